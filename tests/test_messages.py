"""Warnings: at the line of the caller, and again when the cache answers."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skdistill
from skdistill import DistilledClassifier, MultiTeacher, OnlineDistilledClassifier
from skdistill.messages import recalled, warn_caller

ROOT = Path(skdistill.__file__).parent
SEEN = "fitted on the very rows it labels"


@pytest.fixture(scope="module")
def rows():
    return make_classification(120, 5, random_state=0)


@pytest.fixture(scope="module")
def teacher(rows):
    return GradientBoostingClassifier(n_estimators=3, random_state=0).fit(*rows)


def line_here():
    return sys._getframe(1).f_lineno


def heard_by(call, match=SEEN):
    """Run, and return file and line of every warning that matches."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        call()
    return [(w.filename, w.lineno) for w in record if match in str(w.message)]


@pytest.mark.parametrize("has_memory", [False, True])
@pytest.mark.parametrize(
    "around",
    [
        lambda model, X, y: model.fit(X, y),
        lambda model, X, y: clone(model).fit(X, y),
        lambda model, X, y: make_pipeline(FunctionTransformer(), model).fit(X, y),
        lambda model, X, y: GridSearchCV(model, {"alpha": [0.5]}, cv=2).fit(X, y),
    ],
)
def test_every_fit_says_it_at_the_line_that_called_it(rows, teacher, tmp_path, around, has_memory):
    memory = str(tmp_path) if has_memory else None
    model = DistilledClassifier(teacher, labelling="direct", memory=memory)
    expected = (__file__, around.__code__.co_firstlineno)
    for _ in range(3):  # from the second on, the cache answers
        assert set(heard_by(lambda: around(model, *rows))) == {expected}


def test_each_call_that_the_cache_answers_is_pointed_at_for_itself(rows, teacher, tmp_path):
    model = DistilledClassifier(teacher, labelling="direct", memory=str(tmp_path))
    first = heard_by(lambda: model.fit(*rows)), line_here()
    second = heard_by(lambda: model.fit(*rows)), line_here()
    assert [first[0], second[0]] == [[(__file__, first[1])], [(__file__, second[1])]]


def test_what_a_stage_says_is_kept_with_its_result_and_not_more(tmp_path):
    tell = recalled(joblib.Memory(tmp_path, verbose=0), stage_that_warns, ignore=["hidden"])
    for value, hidden in [(1, 1), (1, 1), (1, 2), (2, 2)]:
        assert len(heard_by(lambda v=value, h=hidden: tell(v, hidden=h), f"of {value}")) == 1
    with pytest.warns(UserWarning, match="of 1") as record:
        assert tell(1, hidden=3) == 10
    assert len(record) == 1


def stage_that_warns(value, hidden=0):
    warn_caller(f"of {value}")
    return 10 * value


def test_a_stage_within_a_stage_is_heard_by_both(tmp_path):
    memory = joblib.Memory(tmp_path, verbose=0)
    inner = recalled(memory, stage_that_warns)

    def outer(value):
        return inner(value)

    assert len(heard_by(lambda: inner(1), "of 1")) == 1  # now the cache knows the inner one
    for _ in range(2):
        assert len(heard_by(lambda: recalled(memory, outer)(1), "of 1")) == 1


def test_several_teachers_are_warned_of_again(rows, teacher, tmp_path):
    several = MultiTeacher([("a", teacher), ("b", teacher)])
    model = DistilledClassifier(several, labelling="direct", memory=str(tmp_path))
    found = [heard_by(lambda: model.fit(*rows)) for _ in range(2)]
    assert found[0] == found[1]
    assert {file for file, _ in found[1]} == {__file__}


def test_rows_in_every_bag_are_warned_of_again(rows, tmp_path):
    forest = RandomForestClassifier(3, random_state=0).fit(*rows)
    model = DistilledClassifier(forest, labelling="oob", memory=str(tmp_path))
    found = [heard_by(lambda: model.fit(*rows), "in the bag of every") for _ in range(2)]
    assert found[0] == found[1]
    assert [file for file, _ in found[1]] == [__file__]


def test_a_growing_teacher_is_warned_of_at_the_line_that_called(rows, teacher):
    model = OnlineDistilledClassifier(teacher, random_state=0)
    model.set_params(student=skdistill.MLPStudentClassifier((2,), max_epochs=1))
    found = heard_by(lambda: make_pipeline(FunctionTransformer(), model).fit(*rows))
    assert found == [(__file__, line_here() - 1)]


def test_scores_of_a_cross_validation_warn_at_its_line(rows, teacher):
    X, y = rows
    model = DistilledClassifier(teacher)
    found = heard_by(
        lambda: cross_val_score(model, X, y, params={"X_unlabeled": (X,)}), "rows also occur"
    )
    assert {file for file, _ in found} == {__file__}


def test_a_worker_without_a_line_of_the_user_does_not_point_at_ours(rows, teacher):
    model = DistilledClassifier(teacher, labelling="direct")
    search = GridSearchCV(model, {"alpha": [0.5, 0.6]}, cv=[(np.arange(120), np.arange(120))])
    with joblib.parallel_config("threading", n_jobs=2):
        found = heard_by(lambda: search.fit(*rows))
    assert {file for file, _ in found} == {"sys", __file__}  # of the workers, of the final fit


@pytest.mark.parametrize("names", [{}, {"__name__": "__main__"}])
def test_code_without_a_module_is_a_caller(names):
    program = compile("\nwarn('here')", "<notebook>", "exec")
    found = heard_by(lambda: exec(program, {"warn": warn_caller} | names), "here")
    assert found == [("<notebook>", 2)]


def test_a_warning_that_is_an_error_stops_the_fit_and_comes_again(rows, teacher, tmp_path):
    model = DistilledClassifier(teacher, labelling="direct", memory=str(tmp_path))
    for _ in range(2):
        with pytest.raises(UserWarning, match=SEEN):
            model.fit(*rows)


def test_nobody_but_the_one_function_warns_by_a_counted_level():
    ours = [path for path in ROOT.rglob("*.py") if path.name != "messages.py"]
    assert not [path for path in ours if re.search(r"warnings\.warn\(", path.read_text())]


def test_a_script_is_told_its_own_line_by_every_fit(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from sklearn.datasets import make_classification\n"
        "from sklearn.ensemble import GradientBoostingClassifier\n"
        "from skdistill import DistilledClassifier\n"
        "X, y = make_classification(60, 4, random_state=0)\n"
        "teacher = GradientBoostingClassifier(n_estimators=2).fit(X, y)\n"
        "model = DistilledClassifier(teacher, labelling='direct', memory='folder')\n"
        "model.fit(X, y)\n"
        "model.fit(X, y)\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, env=env
    )
    found = re.findall(r"script\.py:(\d+): UserWarning: The teacher was fitted", done.stderr)
    assert found == ["7", "8"]


def test_worker_processes_point_at_no_file_of_joblib(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from sklearn.datasets import make_classification\n"
        "from sklearn.ensemble import GradientBoostingClassifier\n"
        "from sklearn.model_selection import GridSearchCV\n"
        "from skdistill import DistilledClassifier\n"
        "X, y = make_classification(60, 4, random_state=0)\n"
        "model = DistilledClassifier(GradientBoostingClassifier(n_estimators=2).fit(X, y))\n"
        "folds = [(range(60), range(60))]\n"
        "search = GridSearchCV(model, {'alpha': [0.5, 0.6]}, cv=folds, n_jobs=2)\n"
        "search.fit(X, y)\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=env)
    found = re.findall(r"(\S+):(\d+): UserWarning: The teacher was fitted", done.stderr)
    assert found, done.stderr
    assert {(Path(file).name, line) for file, line in found} <= {("sys", "1"), ("script.py", "9")}
    assert (str(script), "9") in found
