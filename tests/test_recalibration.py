"""The calibration of students: checked on held-out rows, and restored where it was lost."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    CostCurveDisplay,
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    Munge,
    SoftLabelClassifier,
    TreeStudentClassifier,
    lean_scorer,
)
from skdistill.decisions import DecisionBands, DecisionCosts, decision_report
from skdistill.distill.recalibration import recalibration_of
from skdistill.soft_labels import margins_from_decision

STUDENTS = [
    TreeStudentClassifier(8),
    LinearStudentClassifier(8),
    MLPStudentClassifier((8,), max_epochs=2, random_state=0),
    SoftLabelClassifier(LogisticRegression()),
]


def sharp(n_samples, seed):
    """Rows of two classes that an additive student of one column cannot tell apart well."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, 2))
    z = 3 * X[:, 0] * (X[:, 1] > 0) - 2
    return X, (rng.random(n_samples) < expit(z)).astype(int)


class Truth(ClassifierMixin, BaseEstimator):
    """Knows the true probabilities of `sharp`."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        return 3 * X[:, 0] * (X[:, 1] > 0) - 2

    def predict_proba(self, X):
        proba = expit(self.decision_function(X))
        return np.column_stack([1 - proba, proba])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Miscalibrated(LogisticRegression):
    """Answers with three times the log-odds it should."""

    def predict_proba(self, X):
        proba = expit(3 * self.decision_function(X))
        return np.column_stack([1 - proba, proba])


@pytest.fixture(scope="module")
def rows():
    return sharp(6000, 0)


@pytest.fixture(scope="module")
def teacher(rows):
    return Truth().fit(*rows)


class TestRescaling:
    @pytest.mark.parametrize("student", STUDENTS)
    @pytest.mark.parametrize("task", ["binary_task", "multiclass_task"])
    def test_margins_are_multiplied_and_added_to(self, student, task, request):
        X, y = request.getfixturevalue(task)
        student = clone(student).fit(X, y)
        margins = margins_from_decision(student.decision_function(X))
        intercept = np.arange(margins.shape[1]) - 0.5
        student.rescale_margins(0.7, intercept)
        expected = 0.7 * margins + intercept
        expected -= expected[:, :1]
        found = margins_from_decision(student.decision_function(X))
        assert_allclose(found - found[:, :1], expected, atol=2e-5)

    @pytest.mark.parametrize("student", STUDENTS[:3])
    def test_exports_have_the_new_margins(self, student, multiclass_task):
        X, y = multiclass_task
        student = clone(student).fit(X, y)
        before = student.predict_proba(X)
        student.rescale_margins(0.5, np.array([0.0, 1.0, -1.0]))
        scorer = lean_scorer(student, engine="numpy")
        assert_allclose(scorer.batch(X), student.predict_proba(X), atol=1e-5)
        assert np.abs(scorer.batch(X) - before).max() > 0.1


class TestComparison:
    def test_the_slope_of_an_overconfident_student_is_found(self, rows, teacher):
        X, y = rows
        truth = margins_from_decision(teacher.decision_function(X))
        found = recalibration_of(2 * truth, truth, y, np.ones(len(y)))
        assert_allclose(found.slope, 0.5, rtol=0.1)
        assert found.is_called_for
        assert_allclose(found.recalibrated_loss, found.teacher_loss, rtol=0.01)

    def test_a_student_no_worse_than_its_teacher_is_left_alone(self, rows, teacher):
        X, y = rows
        truth = margins_from_decision(teacher.decision_function(X))
        assert not recalibration_of(2 * truth, 2 * truth, y, np.ones(len(y))).is_called_for
        assert not recalibration_of(truth, 2 * truth, y, np.ones(len(y))).is_called_for

    def test_weights_count_as_repetitions(self, rows, teacher):
        X, y = rows
        margins = 2 * margins_from_decision(teacher.decision_function(X))
        weight = np.where(y == 1, 3, 1)
        weighted = recalibration_of(margins, margins / 2, y, weight.astype(float))
        again = np.repeat(np.arange(len(y)), weight)
        repeated = recalibration_of(
            margins[again], margins[again] / 2, y[again], np.ones(len(again))
        )
        assert_allclose(weighted.slope, repeated.slope, rtol=1e-3)
        assert_allclose(weighted.student_loss, repeated.student_loss)


class TestInFit:
    def test_a_miscalibrated_student_is_restored(self, rows, teacher):
        X, y = rows
        X_fresh, y_fresh = sharp(6000, 1)
        losses = {}
        for rule in ("auto", False):
            model = DistilledClassifier(teacher, Miscalibrated(), recalibration=rule)
            losses[rule] = log_loss(y_fresh, model.fit(X, y).predict_proba(X_fresh))
            assert (model.recalibration_ is not None) == (rule == "auto")
        assert losses["auto"] < 0.9 * losses[False]
        honest = LogisticRegression().fit(X, y)
        assert losses["auto"] < 1.02 * log_loss(y_fresh, honest.predict_proba(X_fresh))

    def test_it_is_judged_on_rows_that_the_judged_clone_has_not_seen(self, rows, teacher):
        X, y = rows
        asked = []

        class Watched(LogisticRegression):
            def fit(self, X, y, sample_weight=None):
                self.seen_ = {row.tobytes() for row in X}
                return super().fit(X, y, sample_weight)

            def predict_proba(self, X):
                asked.append(([row.tobytes() in self.seen_ for row in X], len(self.seen_)))
                return super().predict_proba(X)

        DistilledClassifier(teacher, Watched(), cv=KFold(4)).fit(X, y)
        (seen, n_seen), *others = asked
        assert not others
        assert len(seen) == len(X) // 4
        assert not any(seen)
        assert n_seen == len(X) - len(X) // 4

    def test_auto_does_not_check_own_students_at_temperature_one(self, rows, teacher, monkeypatch):
        fits = []
        monkeypatch.setattr(
            LinearStudentClassifier,
            "distill",
            lambda self, *args: fits.append(args) or _distill(self, *args),
        )
        _distill = super(LinearStudentClassifier, LinearStudentClassifier).distill
        for temperature, rule, expected in (
            (1.0, "auto", 1),
            (4.0, "auto", 2),
            (4.0, False, 1),
            (1.0, True, 2),
        ):
            fits.clear()
            DistilledClassifier(
                teacher,
                LinearStudentClassifier(8),
                temperature=temperature,
                label_correction=False,
                recalibration=rule,
            ).fit(*rows)
            assert len(fits) == expected

    def test_what_was_done_prints_as_a_sentence(self, rows, teacher):
        found = DistilledClassifier(teacher, recalibration=True).fit(*rows).recalibration_
        said = f"margins times {found.slope:.2f}, {found.intercept[1] - found.intercept[0]:+.2f}: "
        assert str(found).startswith(f"The student is recalibrated, {said}")
        assert said in repr(found)
        assert f"log loss {found.recalibrated_loss:.4g} instead of" in str(found)

    def test_true_always_recalibrates(self, rows, teacher):
        model = DistilledClassifier(teacher, recalibration=True).fit(*rows)
        plain = DistilledClassifier(teacher, recalibration=False).fit(*rows)
        found = model.recalibration_
        expected = found.slope * plain.decision_function(rows[0])
        expected += found.intercept[1] - found.intercept[0]
        assert_allclose(model.decision_function(rows[0]), expected, atol=1e-9)

    def test_it_holds_in_the_world_of_class_weights(self, rows, teacher):
        X, y = rows
        models = [
            DistilledClassifier(
                teacher, Miscalibrated(), class_weight={1: 5.0}, recalibration=rule
            ).fit(X, y)
            for rule in ("auto", False)
        ]
        weight = np.where(y == 1, 5.0, 1.0)
        share = np.average(y, weights=weight)
        means = [np.average(m.predict_proba(X)[:, 1], weights=weight) for m in models]
        assert abs(means[0] - share) < 0.03

    def test_students_behind_transformers_are_restored(self, rows, teacher):
        student = make_pipeline(StandardScaler(), Miscalibrated())
        model = DistilledClassifier(teacher, student).fit(*rows)
        assert_allclose(model.recalibration_.slope, 1 / 3, rtol=0.15)
        assert model.student_[-1].slope_ == model.recalibration_.slope

    def test_few_rows_are_no_basis(self, rows, teacher):
        X, y = rows
        model = DistilledClassifier(teacher, Miscalibrated(), recalibration=True)
        assert model.fit(X[:90], y[:90]).recalibration_ is None

    def test_an_iterator_of_folds_will_do(self, rows):
        X, y = rows
        forest = RandomForestClassifier(5, min_samples_leaf=20, random_state=0)
        splits = list(KFold(3).split(X))
        models = [
            DistilledClassifier(
                forest, labelling="cross_fit", cv=cv, recalibration=True, random_state=0
            ).fit(X, y)
            for cv in (iter(splits), splits)
        ]
        assert_array_equal(*(model.predict_proba(X) for model in models))

    def test_a_student_that_cannot_be_rescaled_raises(self, rows, teacher):
        class Own(TreeStudentClassifier):
            rescale_margins = property()

        with pytest.raises(TypeError, match="needs a student with rescale_margins; Own has"):
            DistilledClassifier(teacher, Own(), recalibration=True).fit(*rows)
        model = DistilledClassifier(teacher, Own(), temperature=4.0).fit(*rows)
        assert model.recalibration_ is None

    def test_later_rows_with_another_share_recalibrate_a_fitted_student(self, rows, teacher):
        model = DistilledClassifier(teacher, LinearStudentClassifier(8)).fit(*rows)
        X, y = sharp(6000, 2)
        kept = (y == 1) | (np.arange(len(y)) % 5 == 0)  # frauds have become more frequent
        X, y = X[kept], y[kept]
        before = model.predict_proba(X)[:, 1].mean()
        unlabelled = np.where(np.arange(len(y)) < 100, -1, y)
        assert model.recalibrate(X, unlabelled) is model
        assert before < 0.7 * y.mean()
        assert_allclose(model.predict_proba(X)[:, 1].mean(), y.mean(), rtol=0.02)
        assert model.recalibration_.n_samples == len(y) - 100
        assert model.recalibration_.recalibrated_loss < model.recalibration_.student_loss

    def test_rows_of_one_class_cannot_recalibrate(self, rows, teacher):
        model = DistilledClassifier(teacher).fit(*rows)
        with pytest.raises(ValueError, match="y holds one class only"):
            model.recalibrate(rows[0], np.zeros(len(rows[0]), dtype=int))

    def test_the_rule_is_checked(self, rows, teacher):
        with pytest.raises(ValueError, match="'recalibration' parameter of DistilledClassifier"):
            DistilledClassifier(teacher, recalibration="always").fit(*rows)


class Counting(LinearStudentClassifier):
    """Notes how many rows each clone learns from."""

    noted = []

    def distill(self, transfer_set, temperature=1.0, alpha=1.0):
        self.noted.append(np.bincount(transfer_set.origin, minlength=3).tolist())
        return super().distill(transfer_set, temperature, alpha)


def test_calibration_is_judged_without_synthetic_rows_which_tell_of_those_held_out():
    X, y = sharp(300, 0)
    Counting.noted.clear()
    DistilledClassifier(
        RandomForestClassifier(30, random_state=0),
        Counting(8),
        temperature=2.0,
        augmentation=Munge(size=2),
        label_correction=False,
        random_state=0,
    ).fit(X, y, X_unlabeled=sharp(50, 1)[0])
    assert Counting.noted == [[300, 50, 600], [240, 50, 0]]


def test_noise_is_not_taken_for_calibration_where_there_are_synthetic_rows():
    # Synthetic rows carried the classes of the rows held out: the map sharpened what was right.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 2))
    y = (rng.random(600) < expit(X[:, 0])).astype(int)
    model = DistilledClassifier(
        RandomForestClassifier(50, random_state=0),
        MLPStudentClassifier((32,), max_epochs=20),
        temperature=2.0,
        augmentation=Munge(size=5),
        label_correction=False,
        recalibration=True,
        random_state=0,
    ).fit(X, y)
    assert model.recalibration_.slope < 1.3


def test_rows_of_the_fit_are_named_where_later_ones_are_asked_for(rows, teacher):
    X, y = rows
    model = DistilledClassifier(
        teacher, TreeStudentClassifier(8), labelling="direct", random_state=0
    ).fit(X[:800], y[:800])
    with pytest.warns(UserWarning, match=r"About 100% of these rows are rows that this model was"):
        model.recalibrate(X[:800].astype(np.float32), y[:800])
    with pytest.warns(UserWarning, match=r"About 5\d% of these rows"):
        model.recalibrate(X[400:1150], y[400:1150])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.recalibrate(X[800:], y[800:])


def test_rows_that_a_student_was_recalibrated_on_are_no_rows_to_judge_it_on(rows, teacher):
    X, y = rows
    model = DistilledClassifier(
        teacher, TreeStudentClassifier(8), labelling="direct", random_state=0
    ).fit(X[:800], y[:800])
    for part in (slice(800, 1000), slice(800, 1100)):  # the last weeks, again with one more: fine
        model.recalibrate(X[part], y[part])
    bands = DecisionBands(DecisionCosts(missed_fraud=100, declined_legit=25, review=4))
    seen = r"About 100% of the rows of X are rows that the student was recalibrated on"
    with pytest.warns(UserWarning, match=seen):
        DecisionBands.from_estimator(model, X[800:1100], costs=bands.costs)
    with pytest.warns(UserWarning, match=seen):
        decision_report(model, X[900:1100], y[900:1100], bands, n_resamples=20)
    DecisionBands.from_estimator(model, X[1100:], costs=bands.costs)  # a warning would be an error
    model.fit(X[:800], y[:800])
    DecisionBands.from_estimator(model, X[800:], costs=bands.costs)


def test_bands_and_cost_curves_of_rows_of_the_fit_are_warned_of(rows):
    X, y = rows
    costs = DecisionCosts(missed_fraud=100, declined_legit=25, review=4)
    forest = RandomForestClassifier(20, random_state=0).fit(X[:800], y[:800])
    model = DistilledClassifier(forest, TreeStudentClassifier(8)).fit(X[:800], y[:800])
    with pytest.warns(UserWarning, match="student was fitted on.*price of reviews"):
        DecisionBands.from_estimator(model, X[:800].tolist(), costs=costs)
    with pytest.warns(UserWarning, match="the model was fitted on.*price of reviews"):
        DecisionBands.from_estimator(forest, X[:800], costs=costs)
    with pytest.warns(UserWarning, match="teacher and student were fitted on.*costs are too low"):
        CostCurveDisplay.from_estimator(model, X[:800], y[:800], costs=costs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DecisionBands.from_estimator(forest, X[800:], costs=costs)
