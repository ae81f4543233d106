"""Students that teach each other."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    Munge,
    MutualDistilledClassifier,
    TreeStudentClassifier,
    TreeStudentRegressor,
    fidelity_report,
    to_onnx,
)
from skdistill.distill.cohort import Course
from skdistill.soft_labels import proba_from_margins, soften
from skdistill.transfer_set import TransferSet

PAIR = [TreeStudentClassifier(8, random_state=0), LinearStudentClassifier(8)]


@pytest.fixture(scope="module")
def task():
    X, y = make_classification(900, 6, n_informative=4, flip_y=0.1, random_state=0)
    return X[:500], y[:500], X[500:], y[500:]


def some_rows(rng, n=50, n_classes=3):
    return TransferSet(
        X=rng.normal(size=(n, 2)),
        margins=rng.normal(size=(n, n_classes)),
        y=rng.integers(0, n_classes, n),
        sample_weight=np.ones(n),
        origin=np.zeros(n, dtype=int),
        classes=np.arange(n_classes),
    )


class TestLesson:
    @pytest.mark.parametrize("temperature", [1.0, 4.0])
    def test_it_is_the_mean_of_the_peers_softened_answers(self, rng, temperature):
        rows = some_rows(rng)
        margins = list(rng.normal(size=(3, 50, 3)) * 3)
        course = Course([], False, temperature, 0.8, 0.5)
        lesson = course.lesson(rows, margins, 1)
        expected = (soften(margins[0], temperature) + soften(margins[2], temperature)) / 2
        np.testing.assert_allclose(soften(lesson.margins, temperature), expected, atol=1e-9)

    def test_the_teacher_has_the_share_that_peers_leave(self, rng):
        rows = some_rows(rng)
        margins = list(rng.normal(size=(2, 50, 3)))
        lesson = Course([], True, 2.0, 0.8, 0.3).lesson(rows, margins, 0)
        expected = 0.3 * soften(margins[1], 2.0) + 0.7 * soften(rows.margins, 2.0)
        np.testing.assert_allclose(soften(lesson.margins, 2.0), expected, atol=1e-9)

    def test_its_divergence_differs_by_a_constant_from_the_mean_over_peers(self, rng):
        """The loss of deep mutual learning has the same gradient."""
        rows = some_rows(rng)
        margins = list(rng.normal(size=(4, 50, 3)))
        combined = soften(Course([], False, 1.0, 0.8, 0.5).lesson(rows, margins, 0).margins)

        def divergence(p, q):
            return np.sum(p * (np.log(p) - np.log(q)), axis=1)

        gaps = []
        for _ in range(2):
            student = proba_from_margins(rng.normal(size=(50, 3)))
            peers = [divergence(proba_from_margins(z), student) for z in margins[1:]]
            gaps.append(np.mean(peers, axis=0) - divergence(combined, student))
        np.testing.assert_allclose(gaps[0], gaps[1], atol=1e-9)


class TestCohort:
    def test_peers_change_what_a_student_learns(self, task):
        X, y, _, _ = task
        model = MutualDistilledClassifier(PAIR, random_state=0).fit(X, y)
        assert model.n_rounds_ > 0
        alone = [clone(student).fit(X, y) for student in PAIR]
        for student, other in zip(model.students_, alone, strict=True):
            assert np.abs(student.predict_proba(X) - other.predict_proba(X)).max() > 0.05

    def test_another_peer_teaches_something_else(self, task):
        X, y, _, _ = task
        answers = []
        for peer in (LinearStudentClassifier(8), GaussianNB()):
            model = MutualDistilledClassifier(
                [TreeStudentClassifier(8, random_state=0), peer], alpha=1.0
            )
            cohort = next_cohort(model, X, y)
            answers.append(cohort[0].predict_proba(X))
        assert np.abs(answers[0] - answers[1]).max() > 0.05

    def test_a_student_draws_nearer_to_its_peer(self, task):
        X, y, _, _ = task
        model = MutualDistilledClassifier(
            [TreeStudentClassifier(8, random_state=0), LogisticRegression()]
        )
        alone = next_cohort(model, X, y, n_rounds=0)
        after = next_cohort(model, X, y)
        distances = [
            np.abs(tree.predict_proba(X) - alone[1].predict_proba(X)).mean()
            for tree in (alone[0], after[0])
        ]
        assert distances[1] < 0.8 * distances[0]

    def test_rounds_stop_where_held_out_rows_say_so(self, task):
        X, y, _, _ = task
        model = MutualDistilledClassifier(PAIR, n_rounds=4, random_state=0).fit(X, y)
        assert model.losses_.shape == (5, 2)
        best = np.unravel_index(model.losses_.argmin(), model.losses_.shape)
        assert (model.n_rounds_, model.best_index_) == best
        assert model.student_ is model.students_[model.best_index_]
        np.testing.assert_array_equal(model.predict_proba(X), model.student_.predict_proba(X))

    def test_students_with_nothing_to_learn_from_each_other_stay_alone(self, task):
        X, y, _, _ = task
        ignorant = DummyClassifier(strategy="prior")
        model = MutualDistilledClassifier([LogisticRegression(), ignorant], n_rounds=1).fit(X, y)
        assert model.n_rounds_ == 0
        assert model.best_index_ == 0
        alone = LogisticRegression().fit(X, y)
        np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X), atol=1e-9)

    def test_losses_are_those_of_students_without_the_first_fold(self, task):
        X, y, _, _ = task
        weight = np.arange(len(y)) % 3.0
        students = [GaussianNB(), LogisticRegression()]
        model = MutualDistilledClassifier(students, cv=4).fit(X, y, sample_weight=weight)
        train, test = next(StratifiedKFold(4).split(X, y))
        for student, loss in zip(students, model.losses_[0], strict=True):
            proba = clone(student).fit(X[train], y[train], weight[train]).predict_proba(X[test])
            expected = log_loss(y[test], proba, sample_weight=weight[test])
            assert loss == pytest.approx(expected, abs=1e-4)

    def test_clones_of_one_student_differ_by_their_seeds(self, task):
        X, y, X_test, _ = task
        student = make_pipeline(StandardScaler(), ExtraTreesClassifier(3, random_state=5))
        model = MutualDistilledClassifier(student, n_students=3, n_rounds=1, random_state=0)
        students = model.fit(X, y).students_
        assert len(students) == 3
        seeds = [s[-1].estimator.get_params()["random_state"] for s in students]
        assert seeds[0] == 5
        assert len(set(seeds)) == 3
        answers = [s.predict_proba(X_test) for s in students]
        assert min(np.abs(answers[0] - other).max() for other in answers[1:]) > 0.05
        again = clone(model).fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))

    def test_the_cohorts_answer_is_the_mean_of_all(self, task):
        X, y, X_test, _ = task
        model = MutualDistilledClassifier(PAIR, n_rounds=1).fit(X, y)
        mean = np.mean([s.predict_proba(X_test) for s in model.students_], axis=0)
        np.testing.assert_allclose(model.cohort_proba(X_test), mean)

    def test_networks_go_on_from_their_weights(self, task):
        pytest.importorskip("torch")
        X, y, _, _ = task
        student = MLPStudentClassifier((8,), max_epochs=2, learning_rate_init=0.02, random_state=0)
        model = MutualDistilledClassifier(student, n_students=2, augmentation=None, random_state=0)
        alone = next_cohort(model, X, y, n_rounds=0)
        after = next_cohort(model, X, y, n_rounds=2)
        for one, other in zip(alone, after, strict=True):
            assert other.n_iter_ == 3 * one.n_iter_
            assert len(other.history_["train_loss"]) == other.n_iter_


class TestRows:
    def test_peers_label_unlabelled_rows(self, task):
        X, y, X_test, _ = task
        model = MutualDistilledClassifier(PAIR, n_rounds=1, random_state=0)
        without = next_cohort(model, X[:100], y[:100])
        with_pool = next_cohort(model, X[:100], y[:100], X_unlabeled=X_test)
        difference = without[0].predict_proba(X_test) - with_pool[0].predict_proba(X_test)
        assert np.abs(difference).max() > 0.05
        marked = np.r_[y[:100], np.full(len(X_test), -1)]
        as_marks = next_cohort(model, np.vstack([X[:100], X_test]), marked)
        np.testing.assert_allclose(
            as_marks[0].predict_proba(X), with_pool[0].predict_proba(X), atol=1e-9
        )

    def test_synthetic_rows_need_no_teacher(self, task):
        X, y, _, _ = task
        model = MutualDistilledClassifier(PAIR, augmentation=Munge(2), n_rounds=1, random_state=0)
        model.fit(X, y)
        assert model.transfer_summary_["synthetic"]["rows"] == 1000
        assert repr(model.augmentation_) == repr(Munge(2))
        assert MutualDistilledClassifier(PAIR, n_rounds=1).fit(X, y).augmentation_ is None

    def test_weights_count(self, task):
        X, y, _, _ = task
        weight = np.where(np.arange(len(y)) < 250, 1.0, 0.0)
        students = [GaussianNB(), LogisticRegression()]
        folds = [(np.arange(100, 500), np.arange(100))]
        model = MutualDistilledClassifier(students, n_rounds=1, cv=folds)
        weighted = clone(model).fit(X, y, sample_weight=weight)
        fewer = clone(model).set_params(cv=[(np.arange(100, 250), np.arange(100))])
        fewer.fit(X[:250], y[:250])
        np.testing.assert_allclose(weighted.losses_, fewer.losses_, rtol=1e-6)

    def test_a_fold_without_weight_cannot_judge(self, task):
        X, y, _, _ = task
        weight = np.where(np.arange(len(y)) < 250, 1.0, 0.0)
        folds = [(np.arange(250), np.arange(250, 500))]
        with pytest.raises(ValueError, match="first fold of cv has no row with a positive weight"):
            MutualDistilledClassifier(PAIR, cv=folds).fit(X, y, sample_weight=weight)

    def test_frames_with_strings_and_named_classes_go_through(self, mixed_frame):
        frame, y, _ = mixed_frame(300)
        names = np.array(["no", "yes"])[y]
        model = MutualDistilledClassifier(PAIR, n_rounds=1).fit(frame, names)
        assert list(model.classes_) == ["no", "yes"]
        assert set(model.predict(frame)) == {"no", "yes"}
        assert list(model.feature_names_in_) == list(frame.columns)


class TestTeacher:
    def test_a_teacher_is_learned_from_beside_the_peers(self, task):
        X, y, X_test, _ = task
        forest = RandomForestClassifier(50, random_state=0)
        model = MutualDistilledClassifier(PAIR, teacher=forest, n_rounds=1, random_state=0)
        model.fit(X, y)
        assert model.labelling_ == "oob"
        answer = model.teacher_.predict_proba(X_test)
        alone = MutualDistilledClassifier(PAIR, n_rounds=1, random_state=0).fit(X, y)
        gaps = [
            np.abs(m.students_[0].predict_proba(X_test) - answer).mean() for m in (model, alone)
        ]
        assert gaps[0] < gaps[1]

    def test_a_fitted_teacher_stays_fitted_in_clones(self, task):
        X, y, _, _ = task
        forest = RandomForestClassifier(25, random_state=0).fit(X, y)
        model = MutualDistilledClassifier(PAIR, teacher=forest, n_rounds=1)
        assert clone(model).teacher is forest
        assert clone(model).fit(X, y).teacher_ is forest

    def test_without_one_there_is_none_to_ask(self, task):
        X, y, _, _ = task
        model = MutualDistilledClassifier(PAIR, n_rounds=1).fit(X, y)
        with pytest.raises(AttributeError, match="without a teacher"):
            _ = model.teacher_

    @pytest.mark.parametrize("has_pool", [False, True])
    def test_without_classes_the_students_are_judged_by_it(self, task, has_pool):
        X, y, X_new, _ = task
        forest = RandomForestClassifier(25, random_state=0).fit(X, y)
        fold = np.arange(40)
        model = MutualDistilledClassifier(
            PAIR, teacher=forest, n_rounds=1, augmentation=None, cv=[(np.arange(40, 300), fold)]
        )
        pool = X_new[300:] if has_pool else None
        model.fit(X_new[:300], np.full(300, -1), X_unlabeled=pool)
        alone = DistilledClassifier(forest, PAIR[0], alpha=0.8, labelling="direct")
        rest = np.arange(40, len(X_new) if has_pool else 300)
        alone.fit(X_new[rest], np.full(len(rest), -1))
        asked = model._teacher.answers(X_new[fold]).margins()
        expected = -np.sum(proba_from_margins(asked) * alone.predict_log_proba(X_new[fold]), axis=1)
        assert model.losses_[0, 0] == pytest.approx(expected.mean())
        assert model.transfer_summary_["unlabelled"]["rows"] == (400 if has_pool else 300)
        assert model.student_ is model.students_[model.best_index_]


class TestEstimator:
    def test_reports_and_exports_find_the_best_student(self, task, tmp_path):
        pytest.importorskip("onnx")
        X, y, X_test, y_test = task
        forest = RandomForestClassifier(25, random_state=0)
        model = MutualDistilledClassifier(PAIR, teacher=forest, n_rounds=1).fit(X, y)
        report = fidelity_report(model, X_test, y_test, n_resamples=20)
        assert "student" in str(report).lower()
        assert to_onnx(model, tmp_path / "student.onnx", X_test).certificate.max_difference < 1e-5

    def test_it_is_searched_and_pickled(self, task):
        X, y, _, _ = task
        search = GridSearchCV(
            MutualDistilledClassifier([("tree", PAIR[0]), ("line", PAIR[1])], n_rounds=1),
            {"alpha": [0.5, 1.0]},
            cv=2,
        ).fit(X, y)
        assert search.best_estimator_.names_ == ["tree", "line"]
        again = pickle.loads(pickle.dumps(search))
        np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))

    def test_students_that_are_given_stay_unfitted(self, task):
        X, y, _, _ = task
        students = [TreeStudentClassifier(4), GaussianNB()]
        MutualDistilledClassifier(students, n_rounds=1, random_state=0).fit(X, y)
        assert not any(hasattr(student, "classes_") for student in students)

    @pytest.mark.parametrize(
        ("students", "params", "error", "match"),
        [
            ([TreeStudentClassifier()], {}, ValueError, "two or more students"),
            (None, {}, ValueError, "two or more students"),
            (PAIR, {"n_students": 2}, ValueError, "n_students=2 was passed with a list"),
            ([("a", PAIR[0]), ("a", PAIR[1])], {}, ValueError, "different strings"),
            ([PAIR[0], TreeStudentRegressor()], {}, TypeError, "no classifier with predict_proba"),
            ([PAIR[0], TreeStudentClassifier], {}, TypeError, "an instance was expected"),
            (TreeStudentRegressor(), {}, TypeError, "no classifier with predict_proba"),
            (PAIR, {"teacher": TreeStudentRegressor()}, TypeError, "teacher is the regressor"),
            (PAIR, {"n_rounds": 0}, ValueError, "n_rounds"),
            (PAIR, {"peer_weight": 0.0}, ValueError, "peer_weight"),
            (PAIR, {"peer_weight": -0.5}, ValueError, "peer_weight"),
            (PAIR, {"alpha": 0.0}, ValueError, "alpha"),
            (PAIR[0], {"n_students": 1}, ValueError, "n_students"),
        ],
    )
    def test_what_cannot_be_is_said(self, task, students, params, error, match):
        X, y, _, _ = task
        with pytest.raises(error, match=match):
            MutualDistilledClassifier(students, **params).fit(X, y)

    def test_rounds_are_told(self, task, capsys):
        X, y, _, _ = task
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            MutualDistilledClassifier(PAIR, n_rounds=1, verbose=1).fit(X, y)
        told = capsys.readouterr().err
        assert told.count("round: held-out log loss") == 2
        assert "kept" in told


def next_cohort(model, X, y, n_rounds=1, X_unlabeled=None):
    """Fit, but keep the cohort after a given round whatever the held-out rows say."""

    class Kept(MutualDistilledClassifier):
        def _judge(self, course, transfer_set, rows, task):
            losses = np.ones((n_rounds + 1, len(course.students)))
            losses[n_rounds] = 0.0
            return losses

    return Kept(**model.get_params(deep=False)).fit(X, y, X_unlabeled=X_unlabeled).students_
