"""`verbose`: stages with their seconds and bars, all on stderr, and nothing unless asked for."""

import io
import re
import sys
from threading import Thread
from time import sleep

import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    Budget,
    DistilledClassifier,
    DistilledRegressor,
    LinearStudentClassifier,
    MLPStudentClassifier,
    MLPStudentRegressor,
    MutualDistilledClassifier,
    OnlineDistilledClassifier,
    StudentSearchCV,
    TreeStudentClassifier,
    fidelity_report,
    transfer_rows_from_teacher,
)
from skdistill import (
    verbose as telling,
)
from skdistill.decisions import DecisionBands, DecisionCosts, decision_report

SECONDS = r", ([\d.]+|\d+ min \d\d) s"


@pytest.fixture(scope="module")
def rows():
    return make_classification(300, 5, flip_y=0.1, random_state=0)


@pytest.fixture
def no_patience(monkeypatch):
    """Everything is long."""
    monkeypatch.setattr(telling, "LONG", 0.0)
    monkeypatch.setattr(telling, "SHORT", 0.0)


def forest():
    return RandomForestClassifier(20, random_state=0)


def mlp(**params):
    return MLPStudentClassifier((4,), **{"max_epochs": 2, "random_state": 0} | params)


def told_by(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_stages_end_in_their_seconds(rows, capsys):
    model = DistilledClassifier(forest(), LinearStudentClassifier(4), verbose=1).fit(*rows)
    label, correct, student, done = told_by(capsys)
    assert re.fullmatch(
        r"\[DistilledClassifier\] label rows: 300 rows by RandomForestClassifier; out of bag"
        + SECONDS,
        label,
    )
    assert re.search("correct labels: teacher compared with students.*" + SECONDS, correct)
    assert re.search("fit student: LinearStudentClassifier" + SECONDS, student)
    assert re.search("done" + SECONDS, done)
    model.recalibrate(*make_classification(300, 5, random_state=1))
    assert re.search(r"margins times .* held-out rows.*" + SECONDS, told_by(capsys)[0])


@pytest.mark.parametrize(
    "model",
    [
        DistilledClassifier(forest(), mlp(), label_correction=True, alpha=0.5),
        OnlineDistilledClassifier(forest(), mlp(), n_stages=2),
        MutualDistilledClassifier([mlp(), TreeStudentClassifier(4)], n_rounds=1),
    ],
)
def test_quiet_unless_asked(rows, model, capsys, no_patience):
    clone(model).fit(*rows)
    assert told_by(capsys) == []
    clone(model).set_params(verbose=1).fit(*rows)
    lines = told_by(capsys)
    assert len(lines) > 3
    assert all(line.startswith(f"[{type(model).__name__}] ") for line in lines)


def test_the_students_training_is_told_once_without_a_parameter_of_its_own(
    rows, capsys, no_patience
):
    student = mlp(max_epochs=2)
    model = DistilledClassifier(
        forest(), student, label_correction=True, recalibration=True, verbose=1
    )
    model.fit(*rows)
    shown = "\n".join(told_by(capsys))
    assert student.verbose == model.student_.verbose == 0
    assert shown.count("2 of at most 2 epochs") == 1  # not of the clones that judge
    assert re.search(r"correct labels.*\n.*  fitting students to observed values: 1 of 5", shown)
    assert re.search(r"fit student.* \.\.\.\n.*  MLPStudentClassifier: [\d,]+ of .* left", shown)


def test_students_behind_transformers_and_later_batches_are_told(rows, capsys):
    X, y = rows
    student = make_pipeline(StandardScaler(), MLPStudentRegressor((4,), max_epochs=2))
    DistilledRegressor(RandomForestRegressor(20, random_state=0), student, verbose=1).fit(
        X, 1.0 * y
    )
    assert any("MLPStudentRegressor; 2 of at most 2 epochs" in line for line in told_by(capsys))
    model = DistilledClassifier(forest(), mlp(), verbose=1).partial_fit(X[:200], y[:200])
    assert sum(" done, " in line for line in told_by(capsys)) == 1
    model.partial_fit(X[200:])
    assert "label rows: 100 rows by" in told_by(capsys)[0]


def test_a_search_tells_its_last_fit_but_not_its_trials(rows, capsys):
    search = StudentSearchCV(
        forest(), budget=Budget(leaves=4), temperatures=[1.0], cv=2, references=False, verbose=1
    )
    search.fit(*rows)
    lines = told_by(capsys)
    assert sum("fit student" in line for line in lines) == 1
    assert search.best_estimator_.verbose == 0


def test_reports_have_stages(rows, capsys):
    model = DistilledClassifier(forest(), random_state=0).fit(*rows)
    X, y = make_classification(300, 5, random_state=1)
    fidelity_report(model, X, y, n_resamples=20, cost=False, verbose=1)
    lines = told_by(capsys)
    assert "[fidelity_report] ask models: TreeStudentClassifier, RandomForest" in lines[0]
    assert "compare: 300 rows, 20 resamples" in lines[1]
    fidelity_report(model, X, y, n_resamples=20, cost=False)
    assert told_by(capsys) == []


def test_decisions_and_rows_from_a_teacher_have_stages(rows, capsys, no_patience):
    teacher = forest().fit(*rows)
    bands = DecisionBands(DecisionCosts(missed_fraud=100, declined_legit=30, review=4))
    with pytest.warns(UserWarning, match="guessed"):
        X = transfer_rows_from_teacher(teacher, n_samples=300, random_state=0, verbose=1)
    lines = told_by(capsys)
    assert any("draw rows" in line for line in lines)
    assert any(re.search(r"leading rows down: \d+ of 20 trees", line) for line in lines)
    y = teacher.predict(X)
    student = TreeStudentClassifier(4).fit(X, y)
    decision_report(student, X, y, bands, teacher=teacher, n_resamples=20, verbose=1)
    lines = told_by(capsys)
    assert any(
        "ask models: TreeStudentClassifier, RandomForestClassifier" in line for line in lines
    )
    assert any("count money: 300 rows, 20 resamples of rows" in line for line in lines)
    decision_report(student, X, y, bands, teacher=teacher, n_resamples=20)
    assert told_by(capsys) == []


def test_a_screen_gets_a_bar_and_a_thread_lines(monkeypatch, no_patience):
    tqdm = pytest.importorskip("tqdm.auto")

    class Screen(io.StringIO):
        def isatty(self):
            return True

    kinds = []

    @telling.verbose
    def work(verbose=0):
        with telling.bar_of("counting", 2) as bar:
            kinds.append(type(bar))
        assert list(telling.steps(range(3), "counting")) == [0, 1, 2]

    monkeypatch.setattr(sys, "stderr", Screen())
    work(verbose=1)
    assert re.search(r"\[work\] counting: +\d+%.* [0-3]/3 \[", sys.stderr.getvalue())
    thread = Thread(target=work, kwargs={"verbose": 1})
    thread.start()
    thread.join()
    assert kinds == [tqdm.tqdm, telling._Lines]


def test_nothing_is_told_after_a_failure(rows, capsys):
    class Failing(TreeStudentClassifier):
        def distill(self, *args):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        DistilledClassifier(forest(), Failing(), verbose=1).fit(*rows)
    assert not any("done" in line for line in told_by(capsys))
    assert not telling.is_verbose()
    DistilledClassifier(forest()).fit(*rows)
    assert told_by(capsys) == []


def test_a_stage_is_named_while_it_runs_if_it_is_long(capsys, no_patience):
    @telling.verbose
    def work(verbose=0):
        with telling.stage("sleep-on-it"):
            telling.note("deeply")
            for _ in range(500):
                if "..." in sys.stderr.getvalue():
                    break
                sleep(0.01)

    work(verbose=1)
    running, ended, _ = told_by(capsys)
    assert re.fullmatch(r"\[work\] sleep on it.* \.\.\.", running)
    assert re.fullmatch(r"\[work\] sleep on it: deeply" + SECONDS, ended)


def test_without_stderr_nothing_is_printed_and_nothing_breaks(rows, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    DistilledClassifier(forest(), LinearStudentClassifier(), verbose=1).fit(*rows)
    with telling._whole("all", verbose=1):
        assert list(telling.steps(range(3), "counting")) == [0, 1, 2]
