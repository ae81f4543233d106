"""scikit-learn's callbacks: what they are told of stages and epochs, and what they cost."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    LinearStudentClassifier,
    MLPStudentClassifier,
    MLPStudentRegressor,
    MutualDistilledClassifier,
    OnlineDistilledClassifier,
    SoftTreeStudentClassifier,
    StudentSearchCV,
    TreeStudentClassifier,
)
from skdistill.students.network_training.callbacks import TaskPerEpoch

callback = pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")

STAGES = ["label-rows", "label-synthetic-rows", "correct-labels", "choose-alpha", "ask-for-hints"]


class Recorder:
    """Writes down the tasks it is told of; it is handed down to all levels."""

    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.begun, self.ended, self.life = [], [], []
        self.stop_after = stop_after

    def setup(self, estimator, context):
        self.life.append("setup")

    def teardown(self, estimator, context):
        self.life.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.estimator_name, context.task_name, context.max_subtasks))

    def on_fit_task_end(self, estimator, context):
        self.ended.append((context.estimator_name, context.task_name, context.max_subtasks))
        return context.task_name == "epoch" and context.task_id == self.stop_after

    def names(self, estimator=None):
        return [task for owner, task, _ in self.begun if estimator in (None, owner)]


def fitted(model, *rows, recorder=None):
    recorder = recorder or Recorder()
    model.set_callbacks(recorder).fit(*rows)
    assert recorder.life == ["setup", "teardown"]
    assert sorted(map(str, recorder.begun)) == sorted(map(str, recorder.ended))
    left = {"_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown"}
    assert not left & set(vars(model))
    return recorder


@pytest.fixture(scope="module")
def rows():
    return make_classification(600, 5, flip_y=0.1, random_state=0)


def forest():
    return RandomForestClassifier(20, random_state=0)


def mlp(**params):
    return MLPStudentClassifier((4,), **{"max_epochs": 3, "random_state": 0} | params)


class TestTasks:
    @pytest.mark.parametrize(
        ("student", "n_epochs"),
        [
            (mlp(), 3),
            (MLPStudentRegressor((4,), max_epochs=2), 2),
            (SoftTreeStudentClassifier(2, max_epochs=2), 2),
        ],
    )
    def test_every_epoch_is_one_of_the_students_fit(self, rows, student, n_epochs):
        X, y = rows
        name = type(student).__name__
        recorder = fitted(student, X, y)
        assert recorder.begun == [(name, "fit", n_epochs), *[(name, "epoch", 0)] * n_epochs]
        again = Recorder()
        student.set_callbacks(again).partial_fit(X, y)
        assert again.names() == recorder.names()

    def test_every_stage_is_one_of_the_distillers_fit(self, rows):
        recorder = fitted(DistilledClassifier(forest(), mlp(), generations=2), *rows)
        assert recorder.begun[0] == ("DistilledClassifier", "fit", 8)
        assert recorder.names("DistilledClassifier") == ["fit", *STAGES, "recalibrate"]
        assert recorder.names("MLPStudentClassifier") == 2 * ["fit", *3 * ["epoch"]]
        positions = [recorder.names().index(name) for name in ("ask-for-hints", "recalibrate")]
        assert recorder.begun[positions[0] + 1] == ("MLPStudentClassifier", "fit", 3)
        assert positions[1] == len(recorder.begun) - 1

    @pytest.mark.parametrize("student", [None, LinearStudentClassifier(4), LogisticRegression()])
    def test_students_without_epochs_are_one_stage(self, rows, student):
        recorder = fitted(DistilledClassifier(forest(), student), *rows)
        names = recorder.names("DistilledClassifier")
        assert names == ["fit", *STAGES, "fit-student", "recalibrate"]

    def test_regressors_have_stages_too(self, rows):
        X, y = rows
        student = make_pipeline(StandardScaler(), MLPStudentRegressor((4,), max_epochs=2))
        model = DistilledRegressor(RandomForestRegressor(20, random_state=0), student)
        recorder = fitted(model, X, y.astype(float))
        assert recorder.begun[0] == ("DistilledRegressor", "fit", 4)
        assert recorder.names("DistilledRegressor") == ["fit", *STAGES[:3]]
        assert recorder.names("MLPStudentRegressor") == ["fit", "epoch", "epoch"]
        assert "Pipeline" in {owner for owner, _, _ in recorder.begun}

    def test_a_growing_teacher_has_a_student_per_stage(self, rows):
        recorder = fitted(OnlineDistilledClassifier(forest(), mlp(), n_stages=2), *rows)
        assert recorder.begun[0] == ("OnlineDistilledClassifier", "fit", 4)
        names = recorder.names("OnlineDistilledClassifier")
        assert names == ["fit", "fit-teacher", "label-rows"]
        assert recorder.names("MLPStudentClassifier") == 2 * ["fit", *3 * ["epoch"]]

    @pytest.mark.parametrize("teacher", [None, forest()])
    def test_a_cohort_has_rounds(self, rows, teacher):
        model = MutualDistilledClassifier(
            [TreeStudentClassifier(4), LinearStudentClassifier(4)], teacher=teacher, n_rounds=2
        )
        recorder = fitted(model, *rows)
        rounds = ["judge-students", *3 * ["round"], "fit-students"]
        rounds += (model.n_rounds_ + 1) * ["round"]
        labels = [] if teacher is None else STAGES[:3]
        assert recorder.names() == ["fit", *labels, *rounds]
        assert recorder.begun[0][2] == 2 + len(labels)

    def test_a_search_hands_them_to_its_final_fit(self, rows):
        search = StudentSearchCV(
            forest(), mlp(), temperatures=[1.0], alphas=[0.5], cv=2, references=False
        )
        recorder = fitted(search, *rows)
        names = recorder.names("StudentSearchCV")
        parts = ["label-folds", "try-candidates", "measure-latencies", "fit-best"]
        assert names == ["fit", *parts, "measure-references"]
        assert recorder.names("DistilledClassifier") == ["fit", *STAGES, "recalibrate"]
        assert recorder.names("MLPStudentClassifier") == ["fit", *3 * ["epoch"]]

    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_a_grid_search_of_a_pipeline_hands_them_down(self, rows, n_jobs):
        model = make_pipeline(StandardScaler(), DistilledClassifier(forest(), mlp()))
        grid = {"distilledclassifier__alpha": [0.5, 1.0]}
        search = GridSearchCV(model, grid, cv=2)
        with joblib.parallel_config("threading", n_jobs=n_jobs or 1):
            recorder = fitted(search, *rows)
        assert recorder.names("DistilledClassifier").count("recalibrate") == 5
        assert recorder.names("MLPStudentClassifier").count("epoch") == 15
        best = search.best_estimator_[-1]
        assert not [name for name in vars(best.student_) if "callback" in name and "skl" in name]


class TestWhatCallbacksMayDo:
    def test_a_monitor_scores_the_student_of_every_epoch(self, rows):
        X, y = rows
        monitor = callback.ScoringMonitor(scoring="neg_log_loss")
        for student in (mlp(validation_fraction=0), SoftTreeStudentClassifier(2, max_epochs=3)):
            student.set_params(validation_fraction=0).set_callbacks(monitor).fit(X, y)
            whole, *epochs = monitor.get_logs().data  # sorted by depth
            scores = [row["neg_log_loss"] for row in epochs]
            assert len(set(scores)) == 3
            assert scores[-1] == pytest.approx(-log_loss(y, student.predict_proba(X)))
            assert whole["neg_log_loss"] == pytest.approx(scores[-1])

    @pytest.mark.parametrize("has_strings", [False, True])
    def test_rows_of_a_frame_are_scored_without_a_word(self, rows, has_strings):
        X, y = rows
        frame = pd.DataFrame(X, columns=list("abcde"))
        frame.loc[::7, "b"] = np.nan
        if has_strings:
            frame["c"] = np.where(X[:, 2] > 0, "high", None)
        regressor = MLPStudentRegressor((4,), max_epochs=3, validation_fraction=0)
        for student, scoring, target in (
            (mlp(validation_fraction=0), "roc_auc", np.array(["n", "y"])[y]),
            (regressor, "r2", y.astype(float)),
        ):
            monitor = callback.ScoringMonitor(scoring=scoring)
            student.set_callbacks(monitor).fit(frame, target)
            scores = [row[scoring] for row in monitor.get_logs().data]
            assert scores[-1] == pytest.approx(get_scorer(scoring)(student, frame, target))
            assert len(scores) == 4

    def test_it_scores_a_distilled_student_on_the_observed_classes(self, rows):
        X, y = rows
        monitor = callback.ScoringMonitor(scoring="neg_log_loss")
        student = mlp(validation_fraction=0).set_callbacks(monitor)
        some = np.where(np.arange(len(y)) < 300, y, -1)
        weight = np.where(np.arange(len(y)) % 2, 1.0, 3.0)
        model = DistilledClassifier(forest().fit(X, y), student, recalibration=False)
        with pytest.warns(UserWarning, match="on a part of them"):
            model.fit(X, some, sample_weight=weight)
        scores = [r["neg_log_loss"] for r in monitor.get_logs().data if r["task_name"] == "epoch"]
        expected = log_loss(y[:300], model.predict_proba(X[:300]), sample_weight=weight[:300])
        assert scores[-1] == pytest.approx(-expected)

    def test_it_scores_a_distiller_when_it_is_done(self, rows):
        X, y = rows
        monitor = callback.ScoringMonitor(scoring="neg_log_loss")
        model = DistilledClassifier(forest(), random_state=0).set_callbacks(monitor).fit(X, y)
        (score,) = [r["neg_log_loss"] for r in monitor.get_logs().data if "neg_log_loss" in r]
        assert score == pytest.approx(-log_loss(y, model.predict_proba(X)))

    def test_one_that_says_so_stops_the_training(self, rows):
        student = mlp(max_epochs=50, n_iter_no_change=50)
        recorder = fitted(student, *rows, recorder=Recorder(stop_after=3))
        assert recorder.names().count("epoch") == 4
        assert student.n_iter_ == 4

    def test_an_epoch_that_ends_the_training_early_is_ended_too(self, rows):
        student = mlp(max_epochs=60, n_iter_no_change=1, learning_rate_init=0.1)
        recorder = fitted(student, rows[0], np.arange(600) % 2)
        assert recorder.names().count("epoch") == student.n_iter_ < 60

    def test_the_progress_bar_of_scikit_learn_shows_stages_and_epochs(
        self, rows, capsys, monkeypatch
    ):
        pytest.importorskip("rich")
        monkeypatch.setenv("COLUMNS", "200")
        bar = callback.ProgressBar(max_propagation_depth=None)
        GridSearchCV(DistilledClassifier(forest(), mlp()), {"alpha": [0.5]}, cv=2).set_callbacks(
            bar
        ).fit(*rows)
        shown = capsys.readouterr().out
        assert "DistilledClassifier - fit" in shown
        assert "DistilledClassifier - fit-student | MLPStudentClassifier - fit" in shown
        assert "100%" in shown

    def test_a_callback_that_fails_is_torn_down(self, rows):
        class Failing(Recorder):
            def on_fit_task_begin(self, estimator, context):
                if context.task_name == "epoch":
                    raise ZeroDivisionError

        recorder = Failing()
        model = DistilledClassifier(forest(), mlp()).set_callbacks(recorder)
        with pytest.raises(ZeroDivisionError):
            model.fit(*rows)
        assert recorder.life == ["setup", "teardown"]
        assert fitted(model, *rows).names()


class TestEstimators:
    def test_clones_copies_and_pickles_keep_what_they_were_given(self, rows):
        model = DistilledClassifier(forest(), mlp()).set_callbacks(Recorder())
        for again in (clone(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            again.fit(*rows)
            (recorder,) = again._skl_callbacks
            assert "epoch" in recorder.names()
        assert clone(model)._skl_callbacks is model._skl_callbacks

    @pytest.mark.parametrize(
        "make",
        [
            lambda student: DistilledClassifier(forest(), student),
            lambda student: DistilledClassifier(forest(), make_pipeline(StandardScaler(), student)),
            lambda student: OnlineDistilledClassifier(forest(), student),
            lambda student: MutualDistilledClassifier([student, TreeStudentClassifier()]),
        ],
    )
    def test_those_of_the_whole_are_refused_at_a_part_before_any_work(
        self, rows, make, monkeypatch
    ):
        monkeypatch.setattr(RandomForestClassifier, "fit", None)
        monkeypatch.setattr(MLPStudentClassifier, "distill", None)
        with pytest.raises(TypeError, match=r"Recorder.* outermost .*Classifier\.set_callbacks"):
            make(mlp().set_callbacks(Recorder())).fit(*rows)

    def test_fits_that_only_judge_are_not_heard(self, rows):
        student = mlp().set_callbacks(monitor := callback.ScoringMonitor(scoring="accuracy"))
        model = DistilledClassifier(forest(), student, label_correction=True, recalibration=True)
        model.fit(*rows)
        epochs = [row for row in monitor.get_logs("all")[-1].data if row["task_name"] == "epoch"]
        assert len(monitor.get_logs("all")) == 1
        assert len(epochs) == 3

    def test_nothing_is_added_to_the_training_if_nobody_listens(self, rows, monkeypatch):
        made = []
        monkeypatch.setattr(TaskPerEpoch, "__init__", lambda self, *args: made.append(self))
        quiet = DistilledClassifier(forest(), mlp(), random_state=0).fit(*rows)
        assert not made
        monkeypatch.undo()
        heard = clone(quiet).set_callbacks(Recorder()).fit(*rows)
        np.testing.assert_array_equal(quiet.predict_proba(rows[0]), heard.predict_proba(rows[0]))
