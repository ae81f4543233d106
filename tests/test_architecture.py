"""Rules of the house: public names, imports, docstrings."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpydoc.docscrape
import pytest

import skdistill

ROOT = Path(skdistill.__file__).parent
HEAVY = {
    "torch",
    "skorch",
    "shap",
    "matplotlib",
    "jinja2",
    "xgboost",
    "lightgbm",
    "catboost",
    "onnx",
    "onnxruntime",
    "skl2onnx",
    "sqlglot",
    "duckdb",
    "cffi",
    "optuna",
}
#: Public functions and classes by name, of the package and of its public modules.
PUBLIC = {
    name: getattr(module, name)
    for module in (*map(skdistill.__getattr__, skdistill._ROOMS), skdistill)
    for name in module.__all__
    if not name.isupper()
}

#: They hold data that `fit` makes, or read a file that has to be there.
WITHOUT_EXAMPLE = {"TransferSet", "LibraryScorer", "load", "load_library", "load_scorer"}


def test_the_public_names_are_these():
    assert skdistill.__all__ == [
        "DistilledClassifier",
        "DistilledRegressor",
        "OnlineDistilledClassifier",
        "MutualDistilledClassifier",
        "MultiTeacher",
        "transfer_rows_from_teacher",
        "LeafHint",
        "ProximityHint",
        "AttributionHint",
        "AdversarialHint",
        "Munge",
        "TransferSet",
        "TreeStudentClassifier",
        "TreeStudentRegressor",
        "TreeSumStudentClassifier",
        "TreeSumStudentRegressor",
        "LinearStudentClassifier",
        "LinearStudentRegressor",
        "MLPStudentClassifier",
        "MLPStudentRegressor",
        "SoftTreeStudentClassifier",
        "SoftLabelClassifier",
        "fidelity_scorer",
        "fidelity_report",
        "distillation_report",
        "explain",
        "reason_codes",
        "attribution_report",
        "TreeDisplay",
        "CurvesDisplay",
        "ScorecardDisplay",
        "LossCurveDisplay",
        "CostCurveDisplay",
        "lean_scorer",
        "to_onnx",
        "to_c",
        "to_sql",
        "verify",
        "save",
        "load",
        "SKOPS_TRUSTED_TYPES",
        "StudentSearchCV",
        "Budget",
        "StudentSearchDisplay",
        "FidelityMonitor",
        "MonitorDisplay",
    ]
    public = {name for name in dir(skdistill) if not name.startswith("__")}
    assert public == {*skdistill.__all__, *skdistill._ROOMS}
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = skdistill.Nothing


def test_editors_see_what_is_imported_lazily():
    # The block under TYPE_CHECKING is what editors read; at run time _PUBLIC decides.
    tree = ast.parse((ROOT / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module.removeprefix("skdistill.")
        for node in block.body
        for alias in node.names
    }
    assert seen == skdistill._PUBLIC


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import sys; before = set(sys.modules); import skdistill;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "assert new - sys.stdlib_module_names == {'skdistill'}, new"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_distiller_loads_no_vendor_and_no_torch():
    program = (
        "import sys; from skdistill import DistilledClassifier, LeafHint, MLPStudentRegressor;"
        f"found = {HEAVY!r} & set(sys.modules); assert not found, found"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_imports_only_go_down():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_exports_load_their_libraries_only_when_they_are_needed():
    program = (
        "import sys; from skdistill import lean_scorer, load, to_c, to_onnx, to_sql, verify;"
        f"found = {HEAVY!r} & set(sys.modules); assert not found, found"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_the_scorer_loads_nothing_but_numpy():
    program = (
        "import sys; before = set(sys.modules); import skdistill.scorer;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "assert new - sys.stdlib_module_names == {'skdistill'}, new;"
        "from skdistill.scorer import LeanScorer, load_library, load_scorer;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "assert new - sys.stdlib_module_names == {'skdistill', 'numpy'}, new"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_monitor_loads_nothing_but_numpy():
    program = (
        "import sys; before = set(sys.modules); from skdistill.monitor import FidelityMonitor;"
        "monitor = FidelityMonitor().fit([[1.0, 'a'], [2.0, 'b']], [0.1, 0.2]);"
        "monitor.update([3.0, 'a'], 0.3); str(monitor.report()); monitor.to_json();"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "assert new - sys.stdlib_module_names == {'skdistill', 'numpy'}, new"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_reports_load_shap_and_plots_only_when_they_are_needed():
    program = (
        "import sys; from skdistill import distillation_report, TreeDisplay, explain;"
        f"found = {HEAVY!r} & set(sys.modules); assert not found, found"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_name_every_parameter_in_order_with_its_default(name):
    documented = PUBLIC[name]
    doc = numpydoc.docscrape.get_doc_object(documented)
    if name.endswith("Error") and "__init__" not in vars(documented):
        assert doc["Summary"]
        return
    parameters = inspect.signature(documented).parameters
    section = "Parameters" if doc["Parameters"] else "Attributes"  # data classes
    entries = [
        (part.strip(" *"), entry.type) for entry in doc[section] for part in entry.name.split(",")
    ]
    assert [entry for entry, _ in entries] == list(parameters)
    if section == "Parameters":
        for entry, kind in entries:
            default = parameters[entry].default
            if default is inspect.Parameter.empty:
                assert "default" not in kind
            else:
                shown = kind.rpartition("default=")[2].rstrip(".")
                assert default in (shown, ast.literal_eval(shown)), (entry, kind)
    assert doc["Summary"]
    assert doc["Examples"] or name in WITHOUT_EXAMPLE or name.endswith("Error")


@pytest.mark.parametrize("name", [name for name in PUBLIC if hasattr(PUBLIC[name], "fit")])
def test_docstrings_name_every_fitted_attribute(name, binary_task):
    from sklearn.linear_model import LogisticRegression

    estimator_class = PUBLIC[name]
    X, y = binary_task
    if name == "SoftLabelClassifier":
        estimator = estimator_class(LogisticRegression())
    elif name.startswith("Distilled"):
        kind = "sklearn.ensemble"
        forest = "RandomForest" + name.removeprefix("Distilled")
        estimator = estimator_class(getattr(importlib.import_module(kind), forest)(5))
        estimator.set_params(labelling="cross_fit")
    elif name == "OnlineDistilledClassifier":
        from sklearn.ensemble import RandomForestClassifier

        student = skdistill.MLPStudentClassifier((16,), max_epochs=1)
        estimator = estimator_class(RandomForestClassifier(5), student)
    elif name == "MutualDistilledClassifier":
        estimator = estimator_class([LogisticRegression(), skdistill.TreeStudentClassifier()])
    elif name == "MultiTeacher":
        estimator = estimator_class([("lr", LogisticRegression())], weights="auto")
    elif name == "StudentSearchCV":
        estimator = estimator_class(LogisticRegression(), skdistill.LinearStudentClassifier())
        estimator.set_params(temperatures=[1.0], alphas=[0.8], cv=2, references=False)
    elif name == "DecisionBands":  # is fitted on probabilities
        estimator = estimator_class(
            skdistill.decisions.DecisionCosts(missed_fraud=9, declined_legit=1)
        )
        X = 0 * X[:, 0] + y.mean()
    elif name == "FidelityMonitor":  # on scores
        estimator, y = estimator_class(), 0.9 * y
    else:
        estimator = estimator_class()
    if "MLP" in name:
        estimator.set_params(max_epochs=1)
    estimator.fit(X, y)
    fitted = {a for a in vars(estimator) if a.endswith("_") and not a.startswith("_")}
    doc = numpydoc.docscrape.get_doc_object(estimator_class)
    documented = {part.strip() for entry in doc["Attributes"] for part in entry.name.split(",")}
    assert fitted <= documented
    computed = {a for a, v in vars(estimator_class).items() if isinstance(v, property)}
    assert documented - fitted - computed <= {"feature_names_in_", "teacher_"}


def test_errors_advise_to_install_what_is_there_today():
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    extras = " ".join(
        line for extra in project["optional-dependencies"].values() for line in extra
    ).replace("xgboost-cpu", "")
    known = set(re.findall(r"[a-z][\w-]+", extras))
    for path in ROOT.rglob("*.py"):
        for advised in re.findall(r"pip install ([^{\"\n]+)", path.read_text()):
            assert set(advised.split()) <= known - {"skdistill"}, f"{path.name}: {advised}"


def test_no_file_grows_beyond_reading():
    lines = {path.name: len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert max(lines.values()) < 800, lines
