"""ONNX files: the same answers, in other hands."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler
from test_pairs_and_sums import CLASSES, additive, by_definition, some_rows

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    MLPStudentRegressor,
    TreeStudentClassifier,
    TreeStudentRegressor,
    TreeSumStudentClassifier,
    TreeSumStudentRegressor,
    to_onnx,
)
from skdistill.columns import PlainColumns
from skdistill.exceptions import ParityError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from skdistill.export.onnx.build import build_model, describe  # noqa: E402
from skdistill.export.onnx.run import run_onnx  # noqa: E402

NO_LABEL = -(2**63)


def mlp(kind=MLPStudentClassifier):
    return kind((16,), max_epochs=3, random_state=0)


CLASSIFIERS = [
    TreeStudentClassifier(),
    TreeSumStudentClassifier(),
    LinearStudentClassifier(),
    mlp(),
]
REGRESSORS = [
    TreeStudentRegressor(),
    TreeSumStudentRegressor(),
    LinearStudentRegressor(),
    mlp(MLPStudentRegressor),
]
NETWORKS = [each for each in [*CLASSIFIERS, *REGRESSORS] if "Tree" not in type(each).__name__]
by_name = {"ids": lambda student: type(student).__name__}
classifiers = pytest.mark.parametrize("student", CLASSIFIERS, **by_name)
students = pytest.mark.parametrize("student", [*CLASSIFIERS, *REGRESSORS], **by_name)


def score(path, tensors):
    """Run a file as a stranger would; return the outputs by name."""
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, tensors), strict=True))


def columns_of(X, dtype=np.float32):
    """Feed a frame: numbers as they are, strings with "" for missing."""
    tensors = {}
    for name in X.columns:
        if pd.api.types.is_numeric_dtype(X[name]):
            tensors[name] = X[[name]].to_numpy(dtype).copy()
        else:
            tensors[name] = X[[name]].astype(object).fillna("").to_numpy(object)
    return tensors


def answers_of(student, X):
    """Answers of the student under the names they have in ONNX."""
    if hasattr(student, "predict_proba"):
        return {"label": student.predict(X), "probabilities": student.predict_proba(X)}
    return {"variable": student.predict(X)[:, None]}


def assert_same(found, expected, atol=1e-5):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if name == "label":
            assert found[name].tolist() == values.tolist()
        else:
            np.testing.assert_allclose(found[name], values, atol=atol, rtol=1e-5)


@students
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_of_every_kind_go_in_raw(student, dtype, mixed_frame, tmp_path):
    X, y, values = mixed_frame()
    student.fit(X, values if student in REGRESSORS else y)
    certificate = to_onnx(student, tmp_path / "m.onnx", X, dtype=dtype).certificate
    assert certificate.n_rows > len(X)
    unseen = X.copy()
    unseen.loc[::3, ["amount", "city"]] = [np.nan, "Bonn"]
    unseen["count"] = unseen["count"] * 1000 - 4000
    for rows in (X, unseen):
        found = score(tmp_path / "m.onnx", columns_of(rows, np.dtype(dtype)))
        assert_same(found, answers_of(student, rows))


@students
def test_columns_of_numbers_are_one_tensor(student, multiclass_task, tmp_path):
    X, y = multiclass_task
    X = X.astype(np.float32)
    X[::5, 1] = np.nan
    student.fit(X, y)
    certificate = to_onnx(student, tmp_path / "m.onnx").certificate
    assert_same(score(tmp_path / "m.onnx", {"X": X}), answers_of(student, X))
    assert_same(score(tmp_path / "m.onnx", {"X": X[:1]}), answers_of(student, X[:1]))
    assert all(len(each) == 0 for each in score(tmp_path / "m.onnx", {"X": X[:0]}).values())
    if "Tree" in type(student).__name__:
        assert certificate.max_difference < 1e-6


@classifiers
@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["no", "yes"], ["no", "yes"]),
        ([3, 7], [3, 7]),
        ([False, True], [0, 1]),
        ([1.0, 2.0], [1, 2]),
        (["only", "only"], ["only"]),
    ],
    ids=["strings", "numbers", "booleans", "floats", "one class"],
)
def test_labels_are_the_classes(student, classes, expected, binary_task, tmp_path):
    X, y = binary_task
    student.fit(X, np.array(classes)[y])
    to_onnx(student, tmp_path / "m.onnx")
    found = score(tmp_path / "m.onnx", {"X": X.astype(np.float32)})
    assert set(found["label"].tolist()) == set(expected)
    assert found["label"].tolist() == student.predict(X).tolist()
    np.testing.assert_allclose(found["probabilities"], student.predict_proba(X), atol=1e-5)


@students
def test_infinite_numbers_are_answered_by_nan(student, binary_task, tmp_path):
    X, y = binary_task
    student.fit(X, y)
    to_onnx(student, tmp_path / "m.onnx")
    rows = X[:4].astype(np.float32)
    rows[[0, 1, 2], [0, 7, 3]] = np.inf, -np.inf, np.nan
    found = score(tmp_path / "m.onnx", {"X": rows})
    numbers = found.get("probabilities", found.get("variable"))
    assert np.isnan(numbers).any(axis=1).tolist() == [True, True, False, False]
    assert np.isnan(numbers[:2]).all()
    if "label" in found:
        assert (found["label"] == NO_LABEL).tolist() == [True, True, False, False]


@students
def test_infinite_numbers_among_strings_are_answered_by_nan(student, mixed_frame, tmp_path):
    X, y, values = mixed_frame()
    student.fit(X, values if student in REGRESSORS else np.array(["no", "yes"])[y])
    to_onnx(student, tmp_path / "m.onnx")
    tensors = columns_of(X.iloc[:3])
    tensors["count"][1] = np.inf
    found = score(tmp_path / "m.onnx", tensors)
    numbers = found.get("probabilities", found.get("variable"))
    assert np.isnan(numbers[:, 0]).tolist() == [False, True, False]
    if "label" in found:
        assert (found["label"] == "").tolist() == [False, True, False]


@pytest.mark.filterwarnings("ignore:Most categories")
@students
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_categories_that_are_numbers_are_numbers(student, dtype, rng, tmp_path):
    X = pd.DataFrame({"size": rng.normal(size=300), "code": rng.choice([3, 10, 20240101], 300)})
    y = (X["code"] == 10) ^ (X["size"] > 0.5)
    X["code"] = X["code"].astype("category")
    X.loc[::9, "code"] = np.nan
    student.fit(X, y.astype(int))
    to_onnx(student, tmp_path / "m.onnx", X, dtype=np.dtype(dtype).name)
    rows = X.astype({"code": float}).to_numpy(dtype)
    assert_same(score(tmp_path / "m.onnx", {"X": rows}), answers_of(student, X))
    unknown = X[:5].assign(code=pd.Categorical([4.0] * 5))
    rows[:5, 1] = 4.0
    assert_same(score(tmp_path / "m.onnx", {"X": rows[:5]}), answers_of(student, unknown))


def test_categories_that_float32_cannot_tell_apart_raise(rng, tmp_path):
    codes = pd.Categorical(rng.choice([100_000_001, 100_000_002], 200))
    X = pd.DataFrame({"day": codes, "size": rng.normal(size=200)})
    student = TreeStudentClassifier().fit(X, (codes == 100_000_001).astype(int))
    with pytest.raises(ValueError, match=r"'day' has categories that float32 cannot distinguish"):
        to_onnx(student, tmp_path / "m.onnx")
    to_onnx(student, tmp_path / "m.onnx", X, dtype="float64")


def test_categories_of_mixed_types_raise(rng, tmp_path):
    X = np.empty((100, 2), dtype=object)
    X[:, 0], X[:, 1] = rng.normal(size=100), rng.choice(np.array(["a", 1], dtype=object), 100)
    student = LinearStudentClassifier().fit(X, X[:, 1] == "a")
    with pytest.raises(ValueError, match=r"'x1' has categories of the types int, str"):
        to_onnx(student, tmp_path / "m.onnx")


@students
def test_the_empty_string_is_missing(student, rng, tmp_path):
    X = pd.DataFrame({"city": rng.choice(["Graz", "Wien", None], 300)})
    student.fit(X, (X["city"].isna() | (X["city"] == "Graz")).astype(int))
    to_onnx(student, tmp_path / "m.onnx", X)
    rows = pd.DataFrame({"city": ["Graz", "Wien", None, "Bonn"]})
    assert_same(score(tmp_path / "m.onnx", columns_of(rows)), answers_of(student, rows))


@students
def test_the_empty_string_may_be_a_category(student, rng, tmp_path):
    X = pd.DataFrame({"city": rng.choice(["Graz", "", None], 300)})
    student.fit(X, (X["city"] == "").astype(int))
    to_onnx(student, tmp_path / "m.onnx", X)
    rows = pd.DataFrame({"city": ["Graz", "", None, "Bonn"]})
    tensor = np.array([["Graz"], [""], ["missing"], ["Bonn"]], dtype=object)
    assert_same(score(tmp_path / "m.onnx", {"city": tensor}), answers_of(student, rows))
    [column] = json.loads(metadata(tmp_path / "m.onnx")["columns"])
    assert column["missing"] == "missing"


@students
def test_a_column_without_any_value_is_no_obstacle(student, rng, tmp_path):
    X = pd.DataFrame({"none": np.full(200, None), "city": rng.choice(["a", "b"], 200)})
    X["void"] = pd.Series([None] * 200, dtype="string")
    student.fit(X, (X["city"] == "a").astype(int))
    to_onnx(student, tmp_path / "m.onnx", X)


@students
def test_any_name_is_a_name(student, rng, tmp_path):
    names = ["label", "variable", "", "größe in €", 'a"b\n', "Gemm", "x2"]
    X = pd.DataFrame(rng.normal(size=(200, 7)), columns=names)
    X["probabilities"] = rng.choice(["a", "b"], 200)
    student.fit(X, (X["label"] + X[""] > 0).astype(int))
    to_onnx(student, tmp_path / "m.onnx", X)
    columns = json.loads(metadata(tmp_path / "m.onnx")["columns"])
    assert [column["name"] for column in columns] == list(X.columns)
    tensors = columns_of(X.set_axis([column["input"] for column in columns], axis=1))
    assert_same(score(tmp_path / "m.onnx", tensors), answers_of(student, X), atol=1e-4)


def test_a_sum_of_trees_in_float64_is_exact(rng, tmp_path):
    X = rng.normal(size=(400, 3))
    student = TreeSumStudentRegressor().fit(X, 1e6 + np.sin(3 * X[:, 0]) + (X[:, 1] > 0))
    assert len(student.trees_) > 1
    certificate = to_onnx(student, tmp_path / "m.onnx", X, dtype="float64").certificate
    assert certificate.max_difference < 1e-9
    found = score(tmp_path / "m.onnx", {"X": X})["variable"][:, 0]
    np.testing.assert_allclose(found, student.predict(X), rtol=1e-14)


@pytest.mark.parametrize("make", [LinearStudentClassifier, LinearStudentRegressor])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pairs_of_columns_of_every_kind_go_in_raw(make, dtype, mixed_frame, tmp_path):
    X, _, values = mixed_frame()
    pairs = [("amount", "count"), ("amount", "city"), ("city", "kind")]
    high = X["amount"] > 100
    values = values + 3 * (high & (X["count"] > 4)) + 3 * (high & (X["city"] == "Graz"))
    values = values + 3 * ((X["city"] == "Linz") & (X["kind"] == "a"))
    y = np.digitize(values, [2.0, 4.0]) if make is LinearStudentClassifier else values
    student = make(interactions=pairs, interaction_bins=5, C=10.0).fit(X, y)
    assert {each[:2] for each in student.interactions_} == set(pairs)
    assert to_onnx(student, tmp_path / "m.onnx", X, dtype=dtype).certificate.n_rows > len(X)
    unseen = X.copy()
    unseen.loc[::3, ["amount", "city"]] = [np.nan, "Bonn"]
    unseen["count"] = unseen["count"] * 1000 - 4000
    for rows in (X, unseen):
        found = score(tmp_path / "m.onnx", columns_of(rows, np.dtype(dtype)))
        assert_same(found, answers_of(student, rows))
    tensors = columns_of(X.iloc[:3], np.dtype(dtype))
    tensors["count"][1] = np.inf
    found = score(tmp_path / "m.onnx", tensors)
    numbers = found.get("probabilities", found.get("variable"))
    assert np.isnan(numbers[:, 0]).tolist() == [False, True, False]
    if dtype == "float32":
        graph = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "m.onnx")).graph
        types = {each.type.tensor_type.elem_type for each in graph.value_info}
        assert onnx.TensorProto.DOUBLE not in types | {e.data_type for e in graph.initializer}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", CLASSES)
def test_tables_of_pairs_are_bilinear_between_their_knots(kind, dtype):
    model, cells = additive(kind), some_rows(additive(kind))
    proto, inputs = build_model(model, dtype)
    describe(proto, inputs, "student", model.classes)
    onnx.checker.check_model(proto, full_check=True)
    found = run_onnx(proto.SerializeToString(), PlainColumns(tuple(cells.values())))
    expected = by_definition(model, cells).reshape(found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-5 if dtype == np.float32 else 1e-11)


def test_pairs_of_strings_leave_numbers_to_the_curves(rng, tmp_path):
    X = pd.DataFrame({name: rng.choice(["a", "b", None], 300) for name in ("s", "t")})
    X.insert(1, "number", rng.normal(size=300))
    y = ((X["s"] == "a") ^ (X["t"] == "a")).astype(int)
    student = LinearStudentClassifier(interactions=[("s", "t")]).fit(X, y)
    to_onnx(student, tmp_path / "m.onnx", X)
    assert_same(score(tmp_path / "m.onnx", columns_of(X)), answers_of(student, X))
    assert np.mean(student.predict(X) == y) == 1


def test_a_pipeline_may_end_in_a_student_with_pairs(rng, tmp_path):
    X = rng.normal(size=(600, 3))
    model = make_pipeline(StandardScaler(), LinearStudentClassifier(interactions=[(0, 2)]))
    model.fit(X, X[:, 0] * X[:, 2] > 0)
    assert len(model[-1].tables_) == 1
    to_onnx(model, tmp_path / "m.onnx", X)
    for rows in (X, X[:1]):
        found = score(tmp_path / "m.onnx", {"X": rows.astype(np.float32)})
        assert_same(found, answers_of(model, rows))
    found = score(tmp_path / "m.onnx", {"X": X[:0].astype(np.float32)})
    assert all(len(each) == 0 for each in found.values())


def test_numbers_on_bin_edges_stay_there_however_narrow_the_bins(rng, tmp_path):
    amounts = np.array([0.0, 0.1, 0.1 + 1e-7, 9999.99, 10000.0, 10000.01, 1e6])
    X = rng.choice(amounts, size=(500, 2))
    y = (X[:, 0] == 9999.99).astype(int)
    student = LinearStudentClassifier(C=1e3).fit(X, y)
    # Within the bins, where no row is, a float32 lies a twentieth of a bin off.
    certificate = to_onnx(student, tmp_path / "m.onnx", X, tolerance=0.1).certificate
    assert certificate.max_difference > 1e-3
    found = score(tmp_path / "m.onnx", {"X": X.astype(np.float32)})
    assert_same(found, answers_of(student, X))


@pytest.mark.parametrize("student", [LinearStudentClassifier(), mlp()], **by_name)
def test_timestamps_need_float64(student, rng, tmp_path):
    X = 1.7e9 + rng.integers(0, 600, size=(400, 1)).astype(float)
    student.fit(X, (X[:, 0] % 60 < 30).astype(int))
    with pytest.raises(ParityError, match=r"Nothing was written.*pass dtype='float64'"):
        to_onnx(student, tmp_path / "m.onnx", X)
    assert not list(tmp_path.iterdir())
    to_onnx(student, tmp_path / "m.onnx", X, dtype="float64")
    assert_same(score(tmp_path / "m.onnx", {"X": X}), answers_of(student, X))


def metadata(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_the_file_says_what_it_is(mixed_frame, tmp_path):
    X, y, _ = mixed_frame()
    student = TreeStudentClassifier().fit(X, np.array(["no", "yes"])[y])
    certificate = to_onnx(student, tmp_path / "m.onnx", X).certificate
    entries = metadata(tmp_path / "m.onnx")
    assert entries["student"] == "TreeStudentClassifier"
    assert json.loads(entries["classes"]) == ["no", "yes"]
    columns = json.loads(entries["columns"])
    assert [(c["name"], c["kind"], c["missing"]) for c in columns[-2:]] == [
        ("city", "string", ""),
        ("kind", "string", ""),
    ]
    inside = json.loads(entries["certificate"])
    assert inside == certificate.to_dict() | {"file_sha256": None}
    assert inside["n_rows"] == certificate.n_rows > 1000


@students
def test_the_file_is_valid_and_of_a_version_that_runtimes_read(student, binary_task, tmp_path):
    student.fit(*binary_task)
    to_onnx(student, tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert proto.ir_version == 8
    assert {each.domain: each.version for each in proto.opset_import} == {"": 17, "ai.onnx.ml": 4}


def test_a_file_that_answers_otherwise_is_not_written(binary_task, tmp_path, monkeypatch):
    student = TreeStudentClassifier().fit(*binary_task)
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")
    monkeypatch.setattr(
        "skdistill.export.onnx.answers.leaves_of",
        lambda model: np.flatnonzero(model.children_left < 0)[::-1],
    )
    with pytest.raises(ParityError, match="The worst row"):
        to_onnx(student, path)
    assert [each.name for each in tmp_path.iterdir()] == ["m.onnx"]
    assert path.read_bytes() == b"before"
    monkeypatch.undo()
    to_onnx(student, path)
    assert onnx.load(path).graph.node


@pytest.mark.parametrize("student", [TreeStudentClassifier(), LinearStudentClassifier()], **by_name)
def test_labels_that_contradict_the_probabilities_are_not_written(
    student, binary_task, tmp_path, monkeypatch
):
    student.fit(*binary_task)
    answers = "skdistill.export.onnx.answers"
    monkeypatch.setattr(f"{answers}.class_labels", lambda classes: np.array(classes[::-1]))
    with pytest.raises(ParityError, match=r"gives row 0 the label [01]; its probabilities are"):
        to_onnx(student, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_int8_is_smaller_and_its_loss_is_reported(binary_task, tmp_path):
    X, y = binary_task
    student = MLPStudentClassifier((64, 64), max_epochs=3, random_state=0).fit(X, y)
    full = to_onnx(student, tmp_path / "full.onnx", X)
    small = to_onnx(student, tmp_path / "small.onnx", X, quantize=True)
    sizes = [(tmp_path / name).stat().st_size for name in ("small.onnx", "full.onnx")]
    assert sizes[0] < 0.45 * sizes[1]
    small, full = small.certificate, full.certificate
    loss = small.notes["quantized"]
    assert full.max_difference < 1e-5 < small.max_difference == loss["max_difference"] < 0.05
    assert 0 < loss["mean_difference"] < loss["max_difference"]
    assert 0.9 < loss["agreement"] <= 1
    assert loss["bytes_before"] > small.notes["bytes"]
    rows = X.astype(np.float32)
    proba = score(tmp_path / "small.onnx", {"X": rows})["probabilities"]
    np.testing.assert_allclose(proba, student.predict_proba(X), atol=0.05)
    with pytest.raises(ParityError, match="leave quantize out"):
        to_onnx(student, tmp_path / "small.onnx", X, quantize=True, tolerance=1e-6)


@pytest.mark.parametrize(
    "student",
    [TreeStudentClassifier(), TreeSumStudentRegressor(), LinearStudentRegressor()],
    **by_name,
)
def test_int8_is_for_networks(student, binary_task, tmp_path):
    student.fit(*binary_task)
    with pytest.raises(TypeError, match=r"quantize=True is for MLP students; a \w+Student"):
        to_onnx(student, tmp_path / "m.onnx", quantize=True)


def test_bad_requests_say_what_was_expected(binary_task, tmp_path, monkeypatch):
    student = TreeStudentClassifier().fit(*binary_task)
    with pytest.raises(ValueError, match="'float16' was passed; 'float32' or 'float64'"):
        to_onnx(student, tmp_path / "m.onnx", dtype="float16")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        to_onnx(student, tmp_path / "nowhere" / "m.onnx")
    with pytest.raises(TypeError, match=r"LogisticRegression; one of these was expected"):
        to_onnx(LogisticRegression().fit(*binary_task), tmp_path / "m.onnx")
    monkeypatch.setattr("skdistill.export.student_content.MAX_BYTES", 100)
    with pytest.raises(ValueError, match=r"takes .* GB; a file may hold 2 GB"):
        to_onnx(student, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["skdistill.export.onnx.build", "onnxruntime"])
def test_missing_extras_are_named(missing, binary_task, tmp_path, monkeypatch):
    student = TreeStudentClassifier().fit(*binary_task)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install .*onnxruntime"):
        to_onnx(student, tmp_path / "m.onnx")


def test_rows_that_do_not_fit_are_refused(mixed_frame, tmp_path):
    X, y, _ = mixed_frame()
    student = TreeStudentClassifier().fit(X, y)
    to_onnx(student, tmp_path / "m.onnx")
    payload = (tmp_path / "m.onnx").read_bytes()
    np.testing.assert_allclose(run_onnx(payload, X), student.predict_proba(X), atol=1e-6)
    with pytest.raises(ValueError, match=r"have 4 columns; the ONNX model takes 5: \['amount'"):
        run_onnx(payload, X.iloc[:, :4])
    with pytest.raises(ValueError, match="Column 'count' holds strings"):
        run_onnx(payload, X.assign(count="many"))
    foreign = onnx.load_from_string(payload)
    del foreign.metadata_props[:]
    with pytest.raises(ValueError, match="one written by to_onnx was expected"):
        run_onnx(foreign.SerializeToString(), X)


@students
def test_float32_files_hold_no_doubles(student, mixed_frame, tmp_path):
    # The builds of onnxruntime-web for WebGPU know none.
    X, y, values = mixed_frame()
    to_onnx(student.fit(X, values if student in REGRESSORS else y), tmp_path / "m.onnx")
    graph = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "m.onnx")).graph
    types = {each.data_type for each in graph.initializer}
    types |= {each.type.tensor_type.elem_type for each in (*graph.value_info, *graph.output)}
    assert onnx.TensorProto.FLOAT in types
    assert onnx.TensorProto.DOUBLE not in types


@pytest.mark.parametrize(
    "student", [LinearStudentClassifier(4), LinearStudentRegressor(4), mlp()], **by_name
)
def test_hundreds_of_columns_are_no_obstacle(student, rng, tmp_path):
    X = rng.lognormal(size=(800, 400)) * 10.0 ** rng.integers(-3, 5, 400)
    ranks = X.argsort(axis=0).argsort(axis=0)
    y = ranks[:, :100].sum(axis=1) - ranks[:, 100:200].sum(axis=1)
    student.fit(X, y if student in REGRESSORS else (y > 0).astype(int))
    assert to_onnx(student, tmp_path / "m.onnx", X).certificate.max_difference < 1e-5


def test_the_sum_of_an_additive_student_does_not_grow_with_the_columns(rng, tmp_path):
    X = rng.normal(size=(300, 500))
    student = LinearStudentRegressor(n_bins=4).fit(X, X.sum(axis=1))
    to_onnx(student, tmp_path / "m.onnx", X)
    graph = onnx.load(tmp_path / "m.onnx").graph
    [gemm] = [node for node in graph.node if node.op_type == "Gemm"]
    graph.output.append(onnx.helper.make_tensor_value_info(gemm.input[0], 1, None))
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    session = onnxruntime.InferenceSession(onnx.load(tmp_path / "m.onnx").SerializeToString())
    assert session.run(None, {"X": X.astype(np.float32)})
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    session = onnxruntime.InferenceSession(model.SerializeToString())
    [codes] = session.run([gemm.input[0]], {"X": X.astype(np.float32)})
    partial = np.abs(np.cumsum(codes * weights[gemm.input[1]][:, 0], axis=1)).max()
    assert partial < 5 * np.abs(student.predict(X)).max()


def in_bfloat16(path):
    """Compute as OpenVINO does in bfloat16: round all but what goes into the first operation."""
    proto, kind = onnx.load(path), onnx.TensorProto
    graph = onnx.shape_inference.infer_shapes(proto).graph
    types = {
        each.name: each.type.tensor_type.elem_type for each in (*graph.value_info, *graph.input)
    }
    outputs = {each.name for each in graph.output}
    inputs = {each.name for each in graph.input}
    nodes = []

    def rounded(name):
        for k, to in enumerate((kind.BFLOAT16, kind.FLOAT)):
            source = name if k == 0 else f"{name}_short"
            target = f"{name}_short" if k == 0 else f"{name}_rounded"
            nodes.append(onnx.helper.make_node("Cast", [source], [target], to=to))
        return f"{name}_rounded"

    new_names = {name: rounded(name) for name in inputs}
    for node in graph.node:
        is_first = node.op_type in ("Sub", "Mul", "Add") and node.input[0] in inputs
        if not is_first:
            node.input[:] = [new_names.get(name, name) for name in node.input]
        nodes.append(node)
        if types.get(node.output[0]) == kind.FLOAT and node.output[0] not in outputs:
            new_names[node.output[0]] = rounded(node.output[0])
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto.SerializeToString()


@pytest.mark.parametrize(
    "student",
    [
        LinearStudentClassifier(),
        LinearStudentClassifier(interactions=[(0, 1), (0, 2)]),
        MLPStudentClassifier((32, 32), max_epochs=20, random_state=0),
    ],
    **by_name,
)
def test_years_amounts_and_epochs_survive_bfloat16(student, rng, tmp_path):
    year = rng.integers(1950, 2025, 3000).astype(float)
    amount = np.float32(rng.lognormal(5, 2, 3000)).astype(float)
    epoch = np.float32(1.6e9 + rng.integers(0, 30_000_000, 3000)).astype(float)
    X = np.stack([year, amount, epoch], axis=1)
    y = np.sin((year - 1950) / 8) + np.log(amount) / 2 - 2.5 + np.sin((epoch - 1.6e9) / 3e6)
    y += 2 * ((year > 1990) & (amount > 150))
    student.fit(X, (y + rng.normal(size=3000) / 2 > 0).astype(int))
    to_onnx(student, tmp_path / "m.onnx", tolerance=0.01)
    found = score(in_bfloat16(tmp_path / "m.onnx"), {"X": X.astype(np.float32)})
    expected = student.predict_proba(X)
    assert 1e-4 < np.abs(found["probabilities"] - expected).max() < 0.04
    assert np.mean(found["label"] != student.predict(X)) < 0.005


# Pipelines


def encoder():
    return make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["amount", "count"]),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["city", "kind"]),
        remainder="passthrough",
    )


@students
def test_a_pipeline_is_exported_as_a_whole(student, mixed_frame, tmp_path):
    X, y, values = mixed_frame()
    model = make_pipeline(encoder(), student)
    model.fit(X, values if student in REGRESSORS else np.array(["no", "yes"])[y])
    certificate = to_onnx(model, tmp_path / "m.onnx", X).certificate
    assert certificate.n_rows == len(X)
    assert onnx.load(tmp_path / "m.onnx").ir_version == 8
    tensors = columns_of(X)
    tensors["city"] = X[["city"]].astype(object).fillna("nan").to_numpy(object)
    assert_same(score(tmp_path / "m.onnx", tensors), answers_of(model, X))
    tensors["amount"][3] = -np.inf
    found = score(tmp_path / "m.onnx", tensors)
    numbers = found.get("probabilities", found.get("variable"))
    assert np.flatnonzero(np.isnan(numbers[:, 0])).tolist() == [3]
    if "label" in found:
        assert np.flatnonzero(found["label"] == "").tolist() == [3]


@students
def test_infinite_numbers_do_not_hide_behind_steps(student, binary_task, tmp_path):
    X, y = binary_task
    drop = make_column_transformer((StandardScaler(), [0, 1, 2]), remainder="drop")
    model = make_pipeline(drop, student).fit(X, y)
    to_onnx(model, tmp_path / "m.onnx", X)
    rows = X[:2].astype(np.float32)
    rows[1, 7] = np.inf
    found = score(tmp_path / "m.onnx", {"X": rows})
    numbers = found.get("probabilities", found.get("variable"))
    assert np.isnan(numbers[:, 0]).tolist() == [False, True]
    if "label" in found:
        assert (found["label"] == NO_LABEL).tolist() == [False, True]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pipeline_of_numbers_takes_one_tensor(dtype, binary_task, tmp_path):
    X, y = binary_task
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    by_column = make_column_transformer((StandardScaler(), ["a", "d"]), remainder="passthrough")
    for steps, rows in ((StandardScaler(), X), (StandardScaler(), frame), (by_column, frame)):
        model = make_pipeline(steps, "passthrough", mlp()).fit(rows, y)
        to_onnx(model, tmp_path / "m.onnx", rows, dtype=np.dtype(dtype).name)
        found = score(tmp_path / "m.onnx", {"X": X.astype(dtype)})
        assert_same(found, answers_of(model, rows))


def test_distillers_and_searches_behind_steps_are_exported(binary_task, tmp_path):
    X, y = binary_task
    forest = RandomForestClassifier(10, random_state=0)
    distiller = DistilledClassifier(forest, LinearStudentClassifier(), random_state=0)
    inner = DistilledClassifier(
        forest, make_pipeline(StandardScaler(), TreeStudentClassifier()), random_state=0
    )
    grid = {"treestudentclassifier__max_leaf_nodes": [2, 4]}
    for model in (
        make_pipeline(StandardScaler(), distiller),
        inner,
        GridSearchCV(make_pipeline(StandardScaler(), TreeStudentClassifier()), grid, cv=2),
        make_pipeline(make_pipeline(StandardScaler()), make_pipeline(StandardScaler(), distiller)),
    ):
        model.fit(X, y)
        to_onnx(model, tmp_path / "m.onnx", X)
        found = score(tmp_path / "m.onnx", {"X": X.astype(np.float32)})
        assert_same(found, answers_of(model, X))


def test_steps_that_do_nothing_leave_a_student(binary_task, tmp_path):
    X, y = binary_task
    model = make_pipeline("passthrough", None, FrozenEstimator(TreeStudentClassifier().fit(X, y)))
    certificate = to_onnx(model.fit(X, y), tmp_path / "m.onnx").certificate
    assert certificate.n_rows > len(X)


def test_int8_works_behind_steps(binary_task, tmp_path):
    X, y = binary_task
    student = MLPStudentClassifier((64, 64), max_epochs=3, random_state=0)
    model = make_pipeline(StandardScaler(), student).fit(X, y)
    certificate = to_onnx(model, tmp_path / "m.onnx", X, quantize=True).certificate
    assert certificate.notes["bytes"] < 0.5 * certificate.notes["quantized"]["bytes_before"]
    proba = score(tmp_path / "m.onnx", {"X": X.astype(np.float32)})["probabilities"]
    np.testing.assert_allclose(proba, model.predict_proba(X), atol=0.05)


class Twice(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return 2 * X


def test_pipelines_that_cannot_be_exported_say_why(binary_task, tmp_path):
    X, y = binary_task
    path = tmp_path / "m.onnx"
    model = make_pipeline(StandardScaler(), TreeStudentClassifier()).fit(X, y)
    with pytest.raises(ValueError, match=r"pipeline, so X is needed"):
        to_onnx(model, path)
    for step, name in ((Twice(), "twice"), (SplineTransformer(), "splinetransformer")):
        model = make_pipeline(StandardScaler(), step, LinearStudentClassifier()).fit(X, y)
        with pytest.raises(TypeError, match=rf"cannot convert step '{name}' of the pipeline"):
            to_onnx(model, path, X)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match=r"LogisticRegression; one of these was expected"):
        to_onnx(model, path, X)
    model = make_pipeline(SimpleImputer(), TreeStudentClassifier()).fit(X, y)
    with pytest.raises(TypeError, match=r"no form there for dtype='float64'"):
        to_onnx(model, path, X, dtype="float64")
    assert not list(tmp_path.iterdir())


@students
def test_skl2onnx_converts_students_once_they_are_registered(student, mixed_frame):
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    from skdistill.export.onnx.converters import register_converters

    X, y, values = mixed_frame()
    X = X.astype({"count": "category"})
    student.fit(X, values if student in REGRESSORS else y)
    register_converters()
    types = [(name, FloatTensorType([None, 1])) for name in ("amount", "count", "flag")]
    types += [(name, StringTensorType([None, 1])) for name in ("city", "kind")]
    options = {"zipmap": False} if student in CLASSIFIERS else None
    proto = convert_sklearn(student, initial_types=types, options=options)
    tensors = columns_of(X.astype({"count": float}))
    assert_same(score(proto.SerializeToString(), tensors), answers_of(student, X))
    with pytest.raises(ValueError, match="'city' reaches the student as numbers"):
        convert_sklearn(student, initial_types=[("X", FloatTensorType([None, 5]))])
    with pytest.raises(ValueError, match="4 columns reach the student; it was fitted on 5"):
        convert_sklearn(student, initial_types=[("X", FloatTensorType([None, 4]))])


# OpenVINO


PAIRS = [(0, 3), (1, 2)]
OF_PAIRS = [make(interactions=PAIRS) for make in (LinearStudentClassifier, LinearStudentRegressor)]


@pytest.mark.parametrize("student", [*NETWORKS, *OF_PAIRS], **by_name)
def test_networks_run_in_openvino(student, multiclass_task, tmp_path):
    openvino = pytest.importorskip("openvino")
    X, y = multiclass_task
    X = X.astype(np.float32)
    X[::5, 1] = np.nan
    is_classifier = hasattr(student, "predict_proba")
    student.fit(X, np.array(["a", "b", "c"])[y] if is_classifier else y)
    assert student not in OF_PAIRS or len(student.tables_) == 2
    to_onnx(student, tmp_path / "m.onnx")
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # some processors would compute in bfloat16
    compiled = openvino.Core().compile_model(tmp_path / "m.onnx", "CPU", exact)
    rows = np.vstack([X, X[:1]])
    rows[-1, 0] = np.inf
    found = {output.any_name: values for output, values in compiled(rows).items()}
    expected = answers_of(student, X)
    for name, values in found.items():
        if name == "label":
            assert values.tolist() == [*expected["label"], ""]
        else:
            np.testing.assert_allclose(values[:-1], expected[name], atol=2e-5)
            assert np.isnan(values[-1]).all()
