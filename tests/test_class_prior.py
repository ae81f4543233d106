"""Prior correction and class weights, on simulated classes with a known prior."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    TreeStudentClassifier,
    fidelity_report,
)
from skdistill.distill.class_prior import prior_shift
from skdistill.soft_labels import proba_from_margins
from skdistill.teacher.margins import Answers, join_answers

#: One of so many negatives is kept by undersampling.
KEPT = 0.02


def population(n_samples, seed):
    """Rows of a rare class, and the probability that each is of it."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, 3))
    proba = expit(2.0 * X[:, 0] + X[:, 1] - 6.0)
    return X, (rng.random(n_samples) < proba).astype(int), proba


def undersampled(X, y, seed=0):
    rng = np.random.default_rng(seed)
    return (y == 1) | (rng.random(len(y)) < KEPT)


class OddsOff(ClassifierMixin, BaseEstimator):
    """Knows the true probabilities, but with odds that are a factor off, as undersampling does."""

    def __init__(self, factor=1 / KEPT):
        self.factor = factor

    def fit(self, X, y, sample_weight=None):
        self.sample_weight_ = sample_weight
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        proba = expit(2.0 * X[:, 0] + X[:, 1] - 6.0 + np.log(self.factor))
        return np.column_stack([1 - proba, proba])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture(scope="module")
def rows():
    return population(40_000, 0)


@pytest.fixture(scope="module")
def fresh():
    return population(40_000, 1)


def fitted(X, y):
    return OddsOff().fit(X, y)


class TestCorrection:
    def test_the_shift_makes_every_class_as_probable_as_it_was_observed(self):
        rng = np.random.default_rng(0)
        margins, codes = rng.standard_normal((5000, 3)) * 2, rng.choice(3, 5000, p=[0.7, 0.2, 0.1])
        weight = rng.exponential(size=5000)
        shift = prior_shift(margins, codes, weight)
        proba = np.average(proba_from_margins(margins + shift), axis=0, weights=weight)
        assert_allclose(proba, np.bincount(codes, weight) / weight.sum(), atol=1e-3)
        assert shift[0] == 0

    def test_auto_finds_the_rate_of_undersampling(self, rows):
        X, y, _ = rows
        model = DistilledClassifier(fitted(X, y), prior_correction="auto").fit(X, y)
        error = 1 / np.sqrt(y.sum())
        assert_allclose(model.margin_shift_, [0, np.log(KEPT)], atol=3 * error)

    def test_given_shares_correct_labels_and_hard_labels_of_sampled_rows(self, rows, fresh):
        X, y, _ = rows
        kept = undersampled(X, y)
        shares = {0: 1 - y.mean(), 1: y.mean()}
        X_fresh, y_fresh, proba_fresh = fresh
        best = log_loss(y_fresh, proba_fresh)
        for alpha in (0.0, 0.5, 1.0):
            model = DistilledClassifier(
                fitted(X, y), LinearStudentClassifier(16), alpha=alpha, prior_correction=shares
            ).fit(X[kept], y[kept])
            answers = model.predict_proba(X_fresh)[:, 1]
            assert_allclose(answers.mean(), proba_fresh.mean(), rtol=0.25)
            assert log_loss(y_fresh, answers) < 1.1 * best
        assert_allclose(model.margin_shift_[1], np.log(KEPT), atol=0.15)

    @pytest.mark.filterwarnings("ignore:The teacher was fitted on the very rows")  # those kept
    @pytest.mark.parametrize("student", [TreeStudentClassifier(), LinearStudentClassifier(16)])
    @pytest.mark.parametrize(
        "teacher",
        [
            RandomForestClassifier(50, min_samples_leaf=5, random_state=0),
            HistGradientBoostingClassifier(max_iter=40, random_state=0),
        ],
    )
    def test_students_of_an_undersampled_ensemble_answer_for_the_population(
        self, rows, fresh, teacher, student
    ):
        X, y, _ = rows
        kept = undersampled(X, y)
        teacher.fit(X[kept], y[kept])
        X_fresh, y_fresh, proba_fresh = fresh
        corrected = DistilledClassifier(teacher, student, prior_correction="auto", random_state=0)
        answers = corrected.fit(X, y).predict_proba(X_fresh)[:, 1]
        assert_allclose(answers.mean(), proba_fresh.mean(), rtol=0.15)
        with pytest.warns(UserWarning, match=r"observed to be of it.*prior_correction='auto'"):
            as_it_is = DistilledClassifier(
                teacher, student, label_correction=False, random_state=0
            ).fit(X, y)
        of_teacher = as_it_is.predict_proba(X_fresh)[:, 1]
        assert of_teacher.mean() > 5 * proba_fresh.mean()
        assert log_loss(y_fresh, answers) < 0.6 * log_loss(y_fresh, of_teacher)

    @pytest.mark.filterwarnings("ignore:The teacher was fitted on the very rows")
    def test_corrected_labels_of_an_undersampled_ensemble_are_as_right(self, rows, fresh):
        X, y, _ = rows
        kept = undersampled(X, y)
        teacher = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(X[kept], y[kept])
        losses = {}
        for prior in (None, "auto"):
            model = DistilledClassifier(
                teacher, LinearStudentClassifier(16), prior_correction=prior, random_state=0
            )
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*made the student learn from a weighted sum")
                model.fit(X, y)
            losses[prior] = log_loss(fresh[1], model.predict_proba(fresh[0]))
        assert_allclose(losses[None], losses["auto"], rtol=0.02)

    @pytest.mark.parametrize("weights", [None, {1: 5.0}])
    def test_rows_that_recalibrate_are_as_frequent_as_they_come(self, rows, fresh, weights):
        X, y, _ = rows
        kept = undersampled(X, y)
        shares = {0: 1 - y.mean(), 1: y.mean()}
        model = DistilledClassifier(
            fitted(X, y),
            LinearStudentClassifier(16),
            prior_correction=shares,
            class_weight=weights,
        ).fit(X[kept], y[kept])
        answers = model.recalibrate(*fresh[:2]).predict_proba(fresh[0])[:, 1]
        weight = np.where(fresh[1] == 1, 1 if weights is None else 5, 1)
        assert_allclose(
            np.average(answers, weights=weight), np.average(fresh[1], weights=weight), rtol=0.02
        )

    def test_it_comes_before_the_temperature(self, rows):
        X, y, _ = rows
        right = DistilledClassifier(OddsOff(1.0).fit(X, y), temperature="auto").fit(X, y)
        model = DistilledClassifier(fitted(X, y), temperature="auto", prior_correction="auto")
        assert_allclose(model.fit(X, y).temperature_, right.temperature_, rtol=0.02)
        uncorrected = DistilledClassifier(fitted(X, y), temperature="auto", label_correction=False)
        with pytest.warns(UserWarning, match="prior_correction"):
            assert uncorrected.fit(X, y).temperature_ > 1.05 * right.temperature_

    def test_floors_are_relative_to_the_true_base_rate(self):
        proba = np.array([[1.0, 0.0], [0.98, 0.02], [0.0, 1.0]])
        prior, shift = np.array([0.99, 0.01]), np.array([0.0, -4.0])
        margins = Answers(proba, prior / 51).margins(shift)
        assert_allclose(margins[0, 1], np.log(0.01 / 51))
        assert_allclose(margins[1, 1], logit(0.02) - 4.0)
        assert_allclose(margins[2, 1], -4.0 - np.log(0.99 / 51))  # that of the other class
        assert_array_equal(margins[:, 0], 0)

    def test_answers_are_joined_in_the_order_of_the_rows(self):
        floor = np.array([0.1, 0.1])
        one = Answers(np.array([[0.0, 2.0]]))  # margins
        other = Answers(np.array([[0.3, 0.7], [0.6, 0.4]]), floor)
        joined = join_answers([one, other], [np.array([1]), np.array([2, 0])])
        assert_array_equal(joined.floor, floor)
        assert_allclose(joined.margins()[:, 1], [logit(0.4), 2.0, logit(0.7)])

    def test_unlabelled_rows_are_corrected_as_well(self, rows, fresh):
        X, y, _ = rows
        model = DistilledClassifier(
            fitted(X, y), LinearStudentClassifier(16), alpha=1.0, prior_correction="auto"
        ).fit(X[:4000], y[:4000], X_unlabeled=X[4000:])
        answers = model.predict_proba(fresh[0])[:, 1]
        assert_allclose(answers.mean(), fresh[2].mean(), rtol=0.3)

    def test_synthetic_and_later_rows_are_corrected_as_well(self, rows, fresh):
        X, y, _ = rows
        student = MLPStudentClassifier((8,), max_epochs=2, random_state=0)
        model = DistilledClassifier(
            fitted(X, y), student, prior_correction="auto", label_correction=False, random_state=0
        ).fit(X[:3000], y[:3000])
        answers = model.predict_proba(fresh[0])[:, 1]
        assert answers.mean() < 3 * fresh[2].mean()
        model.partial_fit(fresh[0])
        assert_allclose(model.predict_proba(fresh[0])[:, 1].mean(), fresh[2].mean(), rtol=0.35)

    def test_reports_compare_with_the_corrected_teacher(self, rows, fresh):
        X, y, _ = rows
        model = DistilledClassifier(
            fitted(X, y), LinearStudentClassifier(16), prior_correction="auto"
        )
        report = fidelity_report(model.fit(X, y), *fresh[:2], cost=False, n_resamples=20)
        assert report.fidelity["kl_divergence"].value < 0.01
        scores = report.scores["log_loss"]
        assert_allclose(scores.teacher, log_loss(fresh[1], fresh[2]), rtol=0.05)

    def test_the_corrected_teacher_can_be_asked(self, rows, fresh):
        X, y, _ = rows
        model = DistilledClassifier(
            fitted(X, y), prior_correction="auto", class_weight={1: 2.0}
        ).fit(X, y)
        asked = model.teacher_proba(fresh[0])[:, 1]
        of_teacher = model.teacher_.predict_proba(fresh[0])[:, 1]
        assert_allclose(logit(asked) - logit(of_teacher), model.margin_shift_[1])
        report = fidelity_report(model, fresh[0], fresh[1], cost=False, n_resamples=20)
        assert_allclose(report.scores["log_loss"].teacher, log_loss(fresh[1], asked))

    def test_the_cache_keeps_corrected_and_plain_labels_apart(self, rows, tmp_path):
        X, y, _ = rows
        shifts = {}
        for correction in ("auto", None, "auto"):
            model = DistilledClassifier(
                fitted(X, y), prior_correction=correction, memory=str(tmp_path), alpha=1.0
            )
            if correction is None:
                with pytest.warns(UserWarning, match="prior_correction"):
                    model.fit(X, y)
            else:
                model.fit(X, y)
            shifts.setdefault(correction, []).append(model.margin_shift_)
        assert_array_equal(*shifts["auto"])
        assert_array_equal(shifts[None][0], [0, 0])

    def test_a_calibrated_teacher_needs_none_and_causes_no_warning(self, rows):
        X, y, _ = rows
        model = DistilledClassifier(OddsOff(1.0).fit(X, y)).fit(X, y)
        assert_array_equal(model.margin_shift_, [0, 0])

    @pytest.mark.parametrize(
        ("shares", "message"),
        [
            ({1: 0.1}, r"shares of the classes \[1\]; one for each of \[0, 1\] was expected"),
            ({0: 0.5, 2: 0.5}, r"shares of the classes \[0, 2\]"),
            ({0: 0.9, 1: 0.2}, r"which sum to 1.1; positive shares that sum to 1"),
            ({0: 1.0, 1: 0.0}, "positive shares that sum to 1"),
            ({0: 1.5, 1: -0.5}, "positive shares that sum to 1"),
        ],
    )
    def test_impossible_shares_raise_before_anything_is_fitted(self, rows, shares, message):
        X, y, _ = rows
        with pytest.raises(ValueError, match=message):
            DistilledClassifier(NeverFitted(), prior_correction=shares).fit(X, y)

    def test_a_share_for_a_class_without_rows_raises(self, rows):
        X, y, _ = rows
        model = DistilledClassifier(fitted(X, y), prior_correction={0: 0.9, 1: 0.1})
        with pytest.raises(ValueError, match=r"share for \[1\], but no labelled row"):
            model.fit(X[y == 0], y[y == 0])


class NeverFitted(OddsOff):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError("fit was called")


class TestClassWeight:
    @pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
    def test_weights_multiply_the_odds_once(self, rows, fresh, alpha):
        X, y, _ = rows
        model = DistilledClassifier(
            OddsOff(1.0).fit(X, y),
            LinearStudentClassifier(8),
            alpha=alpha,
            class_weight={0: 1.0, 1: 10.0},
        ).fit(X, y)
        near = np.abs(fresh[0]).max(axis=1) < 1.5
        expected = logit(fresh[2]) + np.log(10)
        off = model.decision_function(fresh[0])[near] - expected[near]
        assert abs(off.mean()) < (0.05 if alpha == 1 else 0.25)

    def test_a_fit_inside_gets_no_class_weights(self, rows):
        X, y, _ = rows
        model = DistilledClassifier(OddsOff(1.0), class_weight="balanced").fit(X, y)
        assert model.teacher_.sample_weight_ is None
        assert_allclose(model.margin_shift_[1], logit(1 - y.mean()))

    def test_they_are_the_same_for_teachers_fitted_here_and_outside(self, rows):
        X, y, _ = rows
        models = [
            DistilledClassifier(teacher, class_weight="balanced", labelling=labelling)
            for teacher, labelling in (
                (OddsOff(1.0), "cross_fit"),
                (OddsOff(1.0).fit(X, y), "direct"),
            )
        ]
        answers = [model.fit(X, y).predict_proba(X) for model in models]
        assert_array_equal(*answers)

    def test_balanced_ignores_unlabelled_rows(self, rows):
        X, y, _ = rows
        y = y.copy()
        y[: len(y) // 2] = -1
        model = DistilledClassifier(OddsOff(1.0), class_weight="balanced").fit(X, y)
        assert_allclose(model.margin_shift_[1], logit(1 - y[y >= 0].mean()))

    def test_they_multiply_a_prior_correction(self, rows):
        X, y, _ = rows
        plain = DistilledClassifier(fitted(X, y), prior_correction="auto").fit(X, y)
        both = DistilledClassifier(
            fitted(X, y), prior_correction="auto", class_weight={1: 10.0}
        ).fit(X, y)
        assert_allclose(both.margin_shift_ - plain.margin_shift_, [0, np.log(10)])

    def test_a_teacher_that_takes_no_weights_will_do(self, rows):
        X, y, _ = rows
        teacher = KNeighborsClassifier(20)
        weighted = DistilledClassifier(teacher, class_weight="balanced", cv=2)
        plain = DistilledClassifier(teacher, cv=2)
        means = [m.fit(X[:4000], y[:4000]).predict_proba(X)[:, 1].mean() for m in (weighted, plain)]
        assert means[0] > 3 * means[1]

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ({2: 1.0}, r"weights of \[2\], which are no classes; the classes are \[0, 1\]"),
            ({1: -1.0}, "finite weights of 0 or more"),
            ({0: 0.0, 1: 0.0}, "finite weights of 0 or more"),
            ({1: np.inf}, "finite weights of 0 or more"),
        ],
    )
    def test_impossible_weights_raise_before_anything_is_fitted(self, rows, weights, message):
        X, y, _ = rows
        with pytest.raises(ValueError, match=message):
            DistilledClassifier(NeverFitted(), class_weight=weights).fit(X, y)
