"""alpha="auto" believes labels as far as the honest teacher bears them out, or refuses it."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from skdistill import DistilledClassifier, LinearStudentClassifier, TreeStudentClassifier
from skdistill.distill.row_alpha import (
    TRUSTED,
    alpha_from_agreement,
    choose_row_alpha,
    noise_floor,
)
from skdistill.soft_labels import margins_from_proba
from skdistill.transfer_set import TransferSet, join, not_observed

REFUSAL = "refuses the teacher"


def transfer_set_of(X, proba, y, sample_weight=None):
    """Labelled rows with honest probabilities."""
    return TransferSet(
        X=X,
        margins=margins_from_proba(proba),
        y=y,
        sample_weight=np.ones(len(y)) if sample_weight is None else sample_weight,
        origin=np.zeros(len(y), dtype=int),
        classes=np.arange(proba.shape[1]),
    )


@pytest.fixture(scope="module")
def noisy_rings():
    """Classes by distance, a fifth of the labels flipped, and the true probabilities of those."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3))
    clean = (np.sum(X**2, axis=1) > 2.4).astype(int)
    is_flipped = rng.random(2000) < 0.2
    proba = np.where(np.eye(2)[clean] == 1, 0.8, 0.2)
    return X, np.where(is_flipped, 1 - clean, clean), is_flipped, proba


class TestAgreement:
    def test_a_label_that_cannot_be_noise_keeps_the_whole_hard_share(self):
        alpha = alpha_from_agreement(
            np.array([[0.1, 0.9], [1.0, 0.0]]), np.array([1, 0]), np.zeros(2)
        )
        np.testing.assert_array_equal(alpha, TRUSTED)

    def test_a_label_at_the_floor_or_below_says_nothing(self):
        proba = np.array([[0.2, 0.8], [0.05, 0.95], [0.0, 1.0]])
        alpha = alpha_from_agreement(proba, np.array([0, 0, 0]), np.array([0.2, 0.0]))
        np.testing.assert_array_equal(alpha, 1.0)
        impossible = alpha_from_agreement(np.array([[0.0, 1.0]]), np.array([0]), np.zeros(2))
        np.testing.assert_array_equal(impossible, 1.0)

    def test_alpha_falls_as_the_teacher_agrees_more(self):
        q = np.linspace(0.0, 1.0, 101)
        alpha = alpha_from_agreement(
            np.column_stack([1 - q, q]), np.ones(101, dtype=int), np.array([0.0, 0.1])
        )
        assert (np.diff(alpha) <= 0).all()
        assert alpha[0] == 1
        assert alpha[-1] == pytest.approx(1 - (1 - TRUSTED) * 0.9)

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_believed_labels_are_on_average_the_clean_ones(self, rng, n_classes):
        clean = rng.dirichlet(np.ones(n_classes), 5)
        floor = rng.random(n_classes) * 0.5 / n_classes
        noisy = (1 - floor.sum()) * clean + floor
        belief = [
            (1 - alpha_from_agreement(noisy, np.full(5, k), floor)) / (1 - TRUSTED)
            for k in range(n_classes)
        ]
        hard_term = noisy * np.column_stack(belief)  # the mean over the labels that may be observed
        np.testing.assert_allclose(hard_term, (1 - floor.sum()) * clean)


class TestNoiseFloor:
    def test_it_is_found_where_the_class_cannot_be(self, rng):
        clean = rng.beta(0.3, 0.3, 20_000)
        noise = np.array([0.1, 0.25])
        q = noise[1] + (1 - noise.sum()) * clean
        y = (rng.random(20_000) < q).astype(int)
        found = noise_floor(np.column_stack([1 - q, q]), y, np.ones(20_000))
        np.testing.assert_allclose(found, noise, atol=0.01)

    def test_without_noise_it_is_near_zero(self, rng):
        q = rng.beta(0.3, 0.3, 20_000)
        y = (rng.random(20_000) < q).astype(int)
        assert noise_floor(np.column_stack([1 - q, q]), y, np.ones(20_000)).max() < 0.01

    def test_one_odd_row_does_not_decide_it(self):
        q = np.r_[0.0, np.full(499, 0.2), np.full(500, 0.8)]
        y = (q > 0.5).astype(int)
        floor = noise_floor(np.column_stack([1 - q, q]), y, np.ones(1000))
        np.testing.assert_allclose(floor, 0.2)

    def test_a_rare_class_does_not_raise_that_of_the_frequent_one(self, rng):
        q = np.where(rng.random(5000) < 0.02, 0.9, 0.01)
        y = (rng.random(5000) < q).astype(int)
        floor = noise_floor(np.column_stack([1 - q, q]), y, np.ones(5000))
        np.testing.assert_allclose(floor, [0.1, 0.01])

    def test_weights_stand_for_repeated_rows(self, rng):
        proba = rng.dirichlet(np.ones(3), 400)
        y = rng.integers(0, 3, 400)
        times = rng.integers(0, 4, 400)
        rows = np.repeat(np.arange(400), times)
        np.testing.assert_array_equal(
            noise_floor(proba, y, times.astype(float)),
            noise_floor(proba[rows], y[rows], np.ones(len(rows))),
        )


class TestChoice:
    def test_flipped_labels_are_believed_less(self, noisy_rings):
        X, y, is_flipped, proba = noisy_rings
        forest = RandomForestClassifier(100, min_samples_leaf=5, oob_score=True, random_state=0)
        honest = forest.fit(X, y).oob_decision_function_
        for answers in (proba, honest):
            rows = transfer_set_of(X, answers, y)
            alpha, choice = choose_row_alpha(TreeStudentClassifier(8, random_state=0), rows, 5)
            assert not choice.is_refused
            assert alpha[is_flipped].mean() > 0.9 > 0.86 > alpha[~is_flipped].mean()
        assert 0.15 < choice.noise < 0.45  # 0.4: as often as labels flip, noise hits the same class

    def test_rows_without_a_class_follow_the_teacher(self, noisy_rings):
        X, y, _, proba = noisy_rings
        pool = not_observed(X, margins_from_proba(proba), np.ones(2000), "unlabelled", [0, 1])
        rows = join([transfer_set_of(X, proba, y), pool])
        alpha, _ = choose_row_alpha(TreeStudentClassifier(8, random_state=0), rows, 5)
        np.testing.assert_array_equal(alpha[2000:], 1.0)
        assert alpha[:2000].min() < 0.9

    def test_an_equal_teacher_is_followed(self, noisy_rings):
        X, y, _, _ = noisy_rings
        student = TreeStudentClassifier(8, random_state=0)
        folds = StratifiedKFold(5, shuffle=True, random_state=1)
        proba = cross_val_predict(student, X, y, cv=folds, method="predict_proba")
        _, choice = choose_row_alpha(student, transfer_set_of(X, proba, y), 5)
        assert -2 < choice.lead < 2
        assert not choice.is_refused

    def test_a_teacher_is_not_refused_for_being_too_sure(self, noisy_rings):
        X, y, _, proba = noisy_rings
        sure = proba**6 / (proba**6).sum(axis=1, keepdims=True)
        student = TreeStudentClassifier(8, random_state=0)
        alone = cross_val_predict(student, X, y, cv=5, method="predict_proba")
        assert log_loss(y, sure) > log_loss(y, alone)
        _, choice = choose_row_alpha(student, transfer_set_of(X, sure, y), 5)
        assert choice.lead > 2
        assert choice.teacher_loss == pytest.approx(log_loss(y, proba), abs=0.002)

    def test_a_teacher_that_is_worse_is_refused_whole(self, noisy_rings):
        X, y, _, _ = noisy_rings
        weak = DecisionTreeClassifier(max_depth=1, random_state=0)
        proba = cross_val_predict(weak, X, y, cv=5, method="predict_proba")
        pool = not_observed(X, margins_from_proba(proba), np.ones(2000), "unlabelled", [0, 1])
        rows = join([transfer_set_of(X, proba, y), pool])
        alpha, choice = choose_row_alpha(TreeStudentClassifier(8, random_state=0), rows, 3)
        assert choice.is_refused
        assert choice.lead < -2
        assert choice.student_loss < choice.teacher_loss
        np.testing.assert_array_equal(alpha, 0.0)
        assert "refused" in choice.in_words()

    def test_a_clear_lead_is_found_after_one_fold(self, noisy_rings):
        X, y, _, proba = noisy_rings
        rows = transfer_set_of(X, proba, y)
        _, choice = choose_row_alpha(DummyClassifier(strategy="prior"), rows, 5)
        assert choice.lead > 3
        test = np.arange(2000) < 402  # nearly the first of five folds
        assert choice.teacher_loss == pytest.approx(log_loss(y[test], proba[test]), abs=0.01)

    def test_losses_are_those_of_held_out_answers_by_weight(self, noisy_rings):
        X, y, _, proba = noisy_rings
        weight = np.where(np.arange(2000) % 2, 1.0, 0.0)
        blurred = 0.5 + 0.3 * (proba - 0.5)  # no clear lead before it is mapped
        student = TreeStudentClassifier(8, random_state=0)
        rows = transfer_set_of(X, blurred, y, weight)
        _, choice = choose_row_alpha(student, rows, 4)
        used = weight > 0
        assert choice.teacher_loss == pytest.approx(log_loss(y[used], proba[used]), abs=0.005)
        answers = np.zeros((2000, 2))
        for train, test in StratifiedKFold(4).split(X, y):
            train = train[weight[train] > 0]
            answers[test] = clone(student).fit(X[train], y[train]).predict_proba(X[test])
        margins = margins_from_proba(answers[used])[:, 1:]
        mapped = LogisticRegression(C=1e3).fit(margins, y[used]).predict_proba(margins)
        assert choice.student_loss == pytest.approx(log_loss(y[used], mapped), abs=1e-4)

    @pytest.mark.parametrize("n_rows", [60, 99])
    def test_few_rows_are_no_ground_to_judge_on(self, noisy_rings, n_rows):
        X, y, _, proba = (array[:n_rows] for array in noisy_rings)
        worst = transfer_set_of(X, 1 - proba, y)
        alpha, choice = choose_row_alpha(TreeStudentClassifier(random_state=0), worst, 5)
        np.testing.assert_array_equal(alpha, TRUSTED)
        assert not choice.is_refused
        assert np.isnan(choice.lead)
        assert "too few rows" in choice.in_words()

    def test_one_class_leaves_nothing_to_judge(self):
        rows = transfer_set_of(np.zeros((200, 1)), np.ones((200, 1)), np.zeros(200, dtype=int))
        alpha, choice = choose_row_alpha(TreeStudentClassifier(), rows, 5)
        np.testing.assert_array_equal(alpha, TRUSTED)
        assert not choice.is_refused


class TestDistiller:
    def test_noisy_labels_teach_less_than_at_the_default(self, noisy_rings):
        X, y, is_flipped, _ = noisy_rings
        forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=0)
        model = DistilledClassifier(
            forest, TreeStudentClassifier(32, random_state=0), random_state=0
        )
        fixed = clone(model).fit(X, y)
        chosen = clone(model).set_params(alpha="auto").fit(X, y)
        clean = np.where(is_flipped, 1 - y, y)
        losses = [log_loss(clean, m.predict_proba(X)) for m in (chosen, fixed)]
        assert losses[0] < losses[1] - 0.01
        assert not chosen.alpha_choice_.is_refused
        assert fixed.alpha_choice_ is None

    def test_a_refused_teacher_has_no_say_and_that_is_said(self, noisy_rings):
        X, y, _, _ = noisy_rings
        stump = DecisionTreeClassifier(max_depth=1, random_state=0)
        student = TreeStudentClassifier(16, lookahead=False, random_state=0)
        model = DistilledClassifier(stump, student, alpha="auto")
        with pytest.warns(UserWarning, match=REFUSAL) as record:
            model.fit(X[:1000], y[:1000], X_unlabeled=X[1000:])
        assert record[0].filename == __file__
        alone = clone(student).fit(X[:1000], y[:1000])
        np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X))
        follower = clone(model).set_params(alpha=0.8, label_correction=False)
        follower.fit(X[:1000], y[:1000])
        assert np.abs(follower.predict_proba(X) - alone.predict_proba(X)).max() > 0.1

    def test_a_refusal_is_said_from_the_cache_too(self, noisy_rings, tmp_path):
        X, y, _, _ = (array[:1000] for array in noisy_rings)
        stump = DecisionTreeClassifier(max_depth=1, random_state=0)
        student = TreeStudentClassifier(16, lookahead=False, random_state=0)
        model = DistilledClassifier(stump, student, alpha="auto", memory=str(tmp_path))
        for _ in range(2):
            with pytest.warns(UserWarning, match=REFUSAL):
                clone(model).fit(X, y)

    def test_a_better_teacher_is_followed_without_a_word(self, noisy_rings):
        X, y, _, _ = noisy_rings
        forest = RandomForestClassifier(50, min_samples_leaf=5, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = DistilledClassifier(forest, LinearStudentClassifier(), alpha="auto").fit(X, y)
        assert model.alpha_choice_.lead > 0
        assert 0 < model.alpha_choice_.floor.max() < 0.5
