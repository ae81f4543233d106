import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skdistill import (
    TransferSet,
    TreeStudentClassifier,
    TreeStudentRegressor,
    TreeSumStudentClassifier,
    TreeSumStudentRegressor,
)
from skdistill.soft_labels import SoftTargets, distillation_loss, free_outputs, soften
from skdistill.students.output_loss import distillation, squared_error


@pytest.fixture
def additive_task(rng):
    """Log-odds that are the sum of a step in each of four columns."""
    X = rng.integers(0, 2, (2000, 4)).astype(float)
    return X, X @ [1.0, -2.0, 0.5, 1.5]


def soft_labels(log_odds):
    return np.stack([expit(-log_odds), expit(log_odds)], axis=1)


def margins_of(student, X):
    decision = student.decision_function(X)
    return np.stack([0 * decision, decision], axis=1) if decision.ndim == 1 else decision


def test_four_splits_reproduce_a_sum_of_four_steps_that_a_tree_needs_fifteen_for(additive_task):
    X, log_odds = additive_task
    student = TreeSumStudentClassifier(4, C=1e6).fit(X, soft_labels(log_odds))
    assert (student.n_splits_, len(student.trees_), student.n_leaves_) == (4, 4, 8)
    np.testing.assert_allclose(student.decision_function(X), log_odds, atol=1e-4)
    tree = TreeStudentClassifier(5).fit(X, soft_labels(log_odds))
    assert np.abs(tree.decision_function(X) - log_odds).max() > 0.5


def test_a_regressor_reproduces_the_sum_of_steps(additive_task):
    X, value = additive_task
    student = TreeSumStudentRegressor(4, C=1e8).fit(X, 1000 * value + 5)
    np.testing.assert_allclose(student.predict(X), 1000 * value + 5, atol=1e-3)
    tree = TreeStudentRegressor(5).fit(X, 1000 * value + 5)
    assert np.abs(tree.predict(X) - 1000 * value - 5).max() > 100


def test_one_tree_is_grown_if_no_more_are_allowed(additive_task):
    X, log_odds = additive_task
    student = TreeSumStudentClassifier(15, max_trees=1, C=1e6).fit(X, soft_labels(log_odds))
    assert (len(student.trees_), student.n_leaves_) == (1, 16)
    np.testing.assert_allclose(student.decision_function(X), log_odds, atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_leaves_are_a_logistic_regression_on_their_indicators(n_classes, rng):
    X = rng.normal(size=(600, 4))
    y = np.argmax(X[:, :n_classes] + rng.normal(size=(600, n_classes)), axis=1)
    student = TreeSumStudentClassifier(6, C=0.5).fit(X, y)
    leaves = [tree.apply(X) for tree in student.trees_]
    codes = np.hstack([leaf[:, None] == np.unique(leaf) for leaf in leaves]).astype(float)
    oracle = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000).fit(codes, y)
    np.testing.assert_allclose(student.predict_proba(X), oracle.predict_proba(codes), atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("loss", ["kl", "logit_mse"])
def test_leaves_minimise_the_distillation_loss(n_classes, temperature, loss, rng):
    X = rng.normal(size=(400, 3))
    margins = X[:, :n_classes] * 3
    y = np.argmax(margins + rng.normal(size=margins.shape), axis=1)
    weight = rng.uniform(0.5, 2, len(X))
    rows = TransferSet(X, margins, y, weight, np.zeros(400, int), np.arange(n_classes), loss=loss)
    student = TreeSumStudentClassifier(5, C=1e7).distill(rows, temperature, 0.6)
    targets = SoftTargets(margins, y, weight, temperature, 0.6, loss=loss)
    best = distillation_loss(margins_of(student, X), targets).sum()
    for tree in student.trees_:
        for leaf in np.unique(tree.apply(X)):
            for step in (-0.01, 0.01):
                moved = margins_of(student, X)
                moved[tree.apply(X) == leaf, -1] += step
                assert distillation_loss(moved, targets).sum() > best


def test_every_root_is_zero_and_every_inner_node_the_mean_of_its_children(rng):
    X = rng.normal(size=(500, 3))
    student = TreeSumStudentClassifier(9).fit(X, (X.sum(axis=1) > 0).astype(int))
    assert len(student.trees_) > 1
    for tree in student.trees_:
        np.testing.assert_array_equal(tree.value[0], 0.0)
        inner = np.flatnonzero(tree.children_left >= 0)
        left, right = tree.children_left[inner], tree.children_right[inner]
        np.testing.assert_allclose(tree.weight[left] + tree.weight[right], tree.weight[inner])
        mean = (tree.weight * tree.value[:, 0])[[left, right]].sum(axis=0) / tree.weight[inner]
        np.testing.assert_allclose(mean, tree.value[inner, 0], atol=1e-12)


def test_hard_labels_that_a_split_tells_apart_give_finite_margins(rng):
    X = rng.normal(size=(500, 2))
    student = TreeSumStudentClassifier().fit(X, (X[:, 0] > 0).astype(int))
    assert np.abs(student.decision_function(X)).max() < 20


def test_weights_are_repeated_rows(rng):
    X, weight = rng.normal(size=(300, 3)), rng.integers(1, 4, 300)
    y = (X[:, 0] + X[:, 1] + rng.normal(size=300) > 0).astype(int)
    student = TreeSumStudentClassifier(6, min_samples_leaf=1)
    weighted = clone(student).fit(X, y, weight).predict_proba(X)
    repeated = clone(student).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted, repeated.predict_proba(X), atol=1e-6)


def test_constant_columns_give_the_base_rate_and_no_split():
    y = np.array([0] * 30 + [1] * 10)
    student = TreeSumStudentClassifier().fit(np.ones((40, 2)), y)
    assert (student.n_splits_, len(student.trees_), student.n_columns_used()) == (0, 1, 0)
    np.testing.assert_allclose(student.predict_proba(np.ones((1, 2))), [[0.75, 0.25]])
    np.testing.assert_allclose(
        TreeSumStudentRegressor().fit(np.ones((40, 2)), y).predict(np.ones((1, 2))), [0.25]
    )


def test_leaves_have_as_many_rows_as_asked(rng):
    X = rng.normal(size=(300, 2))
    y = (X[:, 0] > 1).astype(int)
    for few, expected in ((60, 60), (0.3, 90)):
        student = TreeSumStudentClassifier(min_samples_leaf=few).fit(X, y)
        for tree in student.trees_:
            assert np.bincount(tree.apply(X))[np.unique(tree.apply(X))].min() >= expected


@pytest.mark.parametrize("slope", [0.0, 0.5, 2.0])
def test_margins_are_rescaled_exactly(slope, rng):
    X = rng.normal(size=(400, 3))
    y = np.argmax(X + rng.normal(size=X.shape), axis=1)
    student = TreeSumStudentClassifier().fit(X, y)
    shift = np.array([0.3, -0.2, 0.1])
    expected = slope * student.decision_function(X) + shift
    student.rescale_margins(slope, shift)
    np.testing.assert_allclose(student.decision_function(X), expected, atol=1e-12)
    binary = TreeSumStudentClassifier().fit(X, y > 0)
    expected = slope * binary.decision_function(X) + 0.5
    binary.rescale_margins(slope, np.array([0.2, 0.7]))
    np.testing.assert_allclose(binary.decision_function(X), expected, atol=1e-12)


def test_arrays_of_a_file_give_the_same_answers(mixed_frame):
    frame, y, value = mixed_frame()
    for student, target in ((TreeSumStudentClassifier(), y), (TreeSumStudentRegressor(), value)):
        student.fit(frame, target)
        expected = student.predict(frame)
        columns, arrays = student.file_content()
        assert arrays["roots"][0] == 0
        assert len(arrays["roots"]) == len(student.trees_) > 1
        inner = arrays["children_left"] >= 0
        children = np.r_[arrays["children_left"][inner], arrays["children_right"][inner]]
        others = np.setdiff1d(np.arange(len(inner)), arrays["roots"])
        np.testing.assert_array_equal(np.sort(children), others)
        del student.trees_, student.intercept_
        student.restore(columns, arrays)
        np.testing.assert_array_equal(student.predict(frame), expected)


def test_outputs_are_those_of_free_margins(rng):
    X = rng.normal(size=(300, 2))
    student = TreeSumStudentClassifier().fit(X, soften(X * [0.0, 2.0]))
    outputs = student.intercept_ + sum(tree.predict(X) for tree in student.trees_)
    np.testing.assert_allclose(free_outputs(margins_of(student, X)), outputs)


@pytest.mark.parametrize(
    "params", [{"max_splits": 0}, {"max_trees": 0}, {"min_samples_leaf": 1.5}, {"C": 0.0}]
)
def test_bad_parameters_are_named(params):
    (name,) = params
    for kind in (TreeSumStudentClassifier, TreeSumStudentRegressor):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of {kind.__name__}"):
            kind(**params).fit(np.zeros((4, 1)), [0, 1, 0, 1])


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("loss", ["kl", "logit_mse"])
def test_gradients_and_second_derivatives_are_those_of_the_losses(n_classes, loss, rng):
    margins = rng.normal(size=(30, n_classes))
    codes, weight = rng.integers(-1, n_classes, 30), rng.uniform(0.5, 2, 30)
    objective = distillation(SoftTargets(margins, codes, weight, 2.0, 0.7, loss=loss))
    check_derivatives(objective, rng.normal(size=(30, 1 if n_classes == 2 else n_classes)))
    check_derivatives(squared_error(margins, weight), rng.normal(size=margins.shape))


def check_derivatives(objective, outputs):
    rows = np.arange(len(outputs))
    gradient, hessian = objective.gradient(outputs, rows), objective.hessian(outputs)
    for k in range(outputs.shape[1]):
        step = 1e-5 * (np.arange(outputs.shape[1]) == k)
        slope = objective.losses(rows, outputs + step) - objective.losses(rows, outputs - step)
        np.testing.assert_allclose(slope / 2e-5, gradient[:, k], atol=1e-8)
        bend = objective.gradient(outputs + step, rows) - objective.gradient(outputs - step, rows)
        np.testing.assert_allclose(bend / 2e-5, hessian[:, k], atol=1e-8)
    np.testing.assert_allclose(objective.diagonal(outputs, rows), np.einsum("ijj->ij", hessian))


def test_losses_differ_from_the_distillation_loss_by_a_constant_per_row(rng):
    margins, codes = rng.normal(size=(20, 3)), rng.integers(-1, 3, 20)
    for loss in ("kl", "logit_mse"):
        targets = SoftTargets(margins, codes, np.ones(20), 2.0, 0.7, loss=loss)
        one, other = rng.normal(size=(2, 20, 3))
        found = distillation(targets).losses(np.arange(20), one)
        found = found - distillation(targets).losses(np.arange(20), other)
        expected = distillation_loss(one, targets) - distillation_loss(other, targets)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_splits_are_improved_together_after_they_were_found_one_by_one(n_classes, rng, monkeypatch):
    X = rng.normal(size=(800, 3))
    soft = soften(np.stack([np.sin(3 * X[:, 0]) * X[:, k] * 3 for k in range(n_classes)], axis=1))

    def cross_entropy():
        proba = TreeSumStudentClassifier(10).fit(X, soft).predict_proba(X)
        return -np.mean(np.sum(soft * np.log(proba), axis=1))

    improved = cross_entropy()
    monkeypatch.setattr("skdistill.students.tree_sum_growth.ROUNDS", 0)
    assert improved < cross_entropy() - 1e-3
