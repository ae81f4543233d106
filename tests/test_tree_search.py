import numpy as np
import pytest
from scipy.special import expit

from skdistill import (
    TransferSet,
    TreeStudentClassifier,
    TreeStudentRegressor,
    TreeSumStudentClassifier,
)
from skdistill.soft_labels import soften
from skdistill.students.cuts import find_thresholds, make_cuts
from skdistill.students.tree import rows_by
from skdistill.students.tree_improvement import Objective
from skdistill.students.tree_search import entropy, entropy_of_two, greedy_curves, make_search


def pair_of(kind, *args, **params):
    """Return the student that looks ahead, and the greedy one."""
    return kind(*args, random_state=0, **params), kind(
        *args, random_state=0, lookahead=False, **params
    )


def loss_of(student, X, target, weight=None):
    leaf = student.tree_.apply(student._check_X(X, reset=False) if target.ndim == 2 else X)
    target = target if target.ndim == 2 else (target - target.mean())[:, None]
    weight = np.ones(len(target)) if weight is None else weight
    is_proba = hasattr(student, "classes_")
    objective = Objective(target, weight, is_proba)
    return objective.step * objective.loss(rows_by(leaf))


@pytest.fixture
def exclusive_or(rng):
    """Classes that no single split tells apart, and a column that tells a little."""
    X = rng.integers(0, 2, (400, 4)).astype(float)
    y = (X[:, 1] != X[:, 2]).astype(int)
    X[:, 3] = y ^ (rng.random(400) < 0.45)
    return X, y


def test_four_leaves_find_an_exclusive_or_that_greedy_growth_misses(exclusive_or):
    X, y = exclusive_or
    ahead, greedy = pair_of(TreeStudentClassifier, 4)
    assert ahead.fit(X, y).score(X, y) == 1.0
    assert greedy.fit(X, y).score(X, y) < 0.8
    ahead, greedy = pair_of(TreeStudentRegressor, 4)
    assert ahead.fit(X, y).score(X, y) > 1 - 1e-9
    assert greedy.fit(X, y).score(X, y) < 0.5


@pytest.mark.parametrize("n_classes", [2, 3, 40])
@pytest.mark.parametrize("leaves", [2, 5, 16])
def test_the_training_loss_is_never_larger_than_that_of_greedy_growth(n_classes, leaves, rng):
    losses = []
    for _ in range(3):
        X = np.round(rng.normal(size=(500, 5)), 1)
        X[rng.random(X.shape) < 0.1] = np.nan
        noise = rng.normal(size=(5, n_classes))
        soft = soften(np.nan_to_num(X * X[:, ::-1]) @ noise)
        weight = rng.uniform(0.2, 2, 500)
        pair = pair_of(TreeStudentClassifier, leaves)
        losses.append([loss_of(each.fit(X, soft, weight), X, soft, weight) for each in pair])
        assert all(each.n_leaves_ <= leaves for each in pair)
    ahead, greedy = np.array(losses).T
    assert (ahead <= greedy + 1e-9).all()
    assert leaves == 2 or ahead.sum() < greedy.sum() - 1


def test_a_regressor_never_loses_more_than_by_greedy_growth(rng):
    X = rng.normal(size=(600, 4))
    y = np.sin(3 * X[:, 0]) * X[:, 1]
    ahead, greedy = pair_of(TreeStudentRegressor, 12)
    assert ahead.fit(X, y).score(X, y) > greedy.fit(X, y).score(X, y) + 0.01


@pytest.mark.parametrize(
    "limits", [{"max_depth": 3}, {"min_samples_leaf": 40}, {"min_samples_leaf": 0.1}]
)
def test_limits_hold(limits, rng):
    X = rng.normal(size=(600, 4))
    y = (X[:, 0] * X[:, 1] + rng.normal(size=600) / 4 > 0).astype(int)
    student, _ = pair_of(TreeStudentClassifier, 16, **limits)
    student.fit(X, y)
    few = limits.get("min_samples_leaf", 5)
    assert min(map(len, rows_by(student.tree_.apply(X)))) >= (few if few >= 1 else few * 600)
    assert student.depth_ <= limits.get("max_depth", 16)
    assert student.n_leaves_ > 4


def test_missing_values_have_their_branch(rng):
    X = rng.normal(size=(500, 2))
    is_missing = rng.random(500) < 0.3
    y = np.where(is_missing, 1, X[:, 0] > 0).astype(int)
    X[is_missing, 0] = np.nan
    student, _ = pair_of(TreeStudentClassifier, 3)
    student.fit(X, y)
    assert student.score(X, y) == 1.0
    assert student.n_leaves_ <= 3
    (node,) = np.flatnonzero(student.tree_.children_left >= 0)[-1:]
    assert student.tree_.feature[node] == 0


def test_columns_of_missing_or_constant_cells_are_never_split():
    X = np.column_stack([np.full(60, np.nan), np.ones(60), np.arange(60.0)])
    student = TreeStudentClassifier(4).fit(X, np.arange(60) // 15)
    assert student.tree_.split_columns == [2]
    assert student.n_leaves_ == 4
    nothing = TreeStudentClassifier(4).fit(X[:, :2], np.arange(60) % 2)
    assert nothing.n_leaves_ == 1


def test_levels_are_split_into_subsets_of_two_columns(rng):
    cells = rng.choice(list("abcdef"), (800, 2)).astype(object)
    y = (np.isin(cells[:, 0], list("ace")) != np.isin(cells[:, 1], list("bd"))).astype(int)
    weight = rng.uniform(1, 2, 800) * np.where(np.isin(cells[:, 0], list("ace")), 1, 2)
    student = TreeStudentClassifier(6).fit(cells, y, weight)
    greedy = TreeStudentClassifier(6, lookahead=False).fit(cells, y, weight)
    assert student.score(cells, y) >= greedy.score(cells, y)


def test_the_better_tree_answers_at_temperature_one(binary_task):
    X, y = binary_task
    margins = np.stack([np.zeros(len(X)), 3 * X[:, 0] * X[:, 1]], axis=1)
    rows = TransferSet(X, margins, y, np.ones(len(X)), np.zeros(len(X), int), np.array([0, 1]))
    student = TreeStudentClassifier(6, random_state=0).distill(rows, temperature=4.0, alpha=1.0)
    leaf = student.tree_.apply(X)
    for rows_of_leaf in rows_by(leaf):
        expected = soften(margins[rows_of_leaf]).mean(axis=0)
        np.testing.assert_allclose(student.tree_.value[leaf[rows_of_leaf[0]]], expected, atol=1e-12)


def test_a_sample_decides_on_the_splits_of_many_rows_and_all_rows_on_the_leaves(rng, monkeypatch):
    X = rng.normal(size=(3000, 3))
    soft = np.stack([expit(-4 * X[:, 0] * X[:, 1]), expit(4 * X[:, 0] * X[:, 1])], axis=1)
    full = TreeStudentClassifier(8, random_state=0).fit(X, soft)
    monkeypatch.setattr("skdistill.students.tree.LOOKAHEAD_ROWS", 600)
    sampled, greedy = pair_of(TreeStudentClassifier, 8)
    sampled.fit(X, soft)
    assert not np.array_equal(sampled.tree_.threshold, full.tree_.threshold)
    assert loss_of(sampled, X, soft) < loss_of(greedy.fit(X, soft), X, soft)
    leaf = sampled.tree_.apply(X)
    for rows in rows_by(leaf):
        np.testing.assert_allclose(sampled.tree_.value[leaf[rows[0]]], soft[rows].mean(axis=0))


def test_large_trees_and_trees_without_a_limit_grow_greedily(binary_task):
    X, y = binary_task
    for leaves in (65, None):
        ahead, greedy = pair_of(TreeStudentClassifier, leaves)
        np.testing.assert_array_equal(
            ahead.fit(X, y).tree_.threshold, greedy.fit(X, y).tree_.threshold
        )


def test_wide_tables_keep_the_columns_that_matter_together(rng):
    X = rng.normal(size=(1500, 40))
    y = ((X[:, 3] > 0) != (X[:, 30] > 0.5)).astype(int)
    student = TreeStudentClassifier(8, random_state=0).fit(X, y)
    assert student.score(X, y) > 0.95


def test_curves_of_greedy_trees_are_those_of_trees_that_grow_best_first(rng):
    X = rng.normal(size=(300, 3)).astype(np.float32)
    y = (X[:, 0] + np.abs(X[:, 1]))[:, None].astype(float)
    y -= y.mean()
    weight = np.ones(300)
    start = {"threshold": np.zeros(1), "feature": np.array([-2])}
    search = make_search(X, Objective(y, weight, False), start, 5)
    (curve,) = greedy_curves(search.problem, search.fine, [np.arange(300)], 6, 10)
    for leaves in range(2, 7):
        tree = TreeStudentRegressor(leaves, lookahead=False).fit(X, y[:, 0])
        residual = np.sum((y[:, 0] - tree.predict(X)) ** 2) - np.sum(y**2)
        np.testing.assert_allclose(curve[leaves - 1], residual, rtol=0.02)


def test_entropies_are_those_of_the_mean_distribution():
    proba = np.array([[0.2, 0.8], [0.0, 1.0], [1e-9, 1 - 1e-9]])
    expected = -3.0 * np.sum(proba * np.log(np.maximum(proba, 1e-300)), axis=1)
    sums = np.column_stack([np.full(3, 5.0), np.full(3, 3.0), 3 * proba])
    np.testing.assert_allclose(entropy(sums), expected, atol=1e-14)
    np.testing.assert_allclose(entropy_of_two(sums[:, [0, 1, 3]]), expected, rtol=1e-6, atol=1e-14)
    empty = np.zeros((1, 4))
    assert entropy(empty) == entropy_of_two(empty[:, :3]) == 0.0


def test_histograms_and_left_sums_count_rows(rng):
    X = rng.normal(size=(200, 3)).astype(np.float32)
    X[rng.random(X.shape) < 0.2] = np.nan
    cuts = make_cuts(X, find_thresholds(X, np.ones(200), 7))
    rows, node = rng.permutation(200)[:120], rng.integers(0, 2, 120)
    values = rng.normal(size=(120, 2))
    left = cuts.left_sums(cuts.histogram(rows, values, node, 2))
    for split in range(cuts.n_splits):
        x = X[rows, cuts.feature[split]]
        goes = np.where(np.isnan(x), cuts.missing_left[split], x <= cuts.threshold[split])
        np.testing.assert_array_equal(goes, cuts.goes_left(split, rows))
        for k in range(2):
            expected = values[goes & (node == k)].sum(axis=0)
            np.testing.assert_allclose(left[k, split], expected, atol=1e-12)


@pytest.mark.parametrize("kind", [TreeStudentClassifier, TreeSumStudentClassifier])
def test_thresholds_are_midway_between_the_rows_that_they_divide(kind, rng):
    X = rng.normal(size=(2000, 2)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    student = kind(8).fit(X, y)
    trees = [student.tree_] if kind is TreeStudentClassifier else student.trees_
    for tree in trees:
        below = [np.arange(len(X))]
        for at, rows in enumerate(below):
            if tree.children_left[at] >= 0:
                x = X[rows, tree.feature[at]]
                left = x <= tree.threshold[at]
                middle = x[left].max() / 2.0 + x[~left].min() / 2.0
                assert tree.threshold[at] == pytest.approx(middle, rel=1e-6)
                below += [None] * (tree.children_right[at] + 1 - len(below))
                below[tree.children_left[at]], below[tree.children_right[at]] = (
                    rows[left],
                    rows[~left],
                )


def test_hard_labels_are_searched_by_squared_error_and_do_not_end_in_the_smallest_pure_leaves(rng):
    X = rng.normal(size=(600, 6))
    y = (X[:, 0] + rng.normal(size=600) * 2 > 0).astype(int)
    student, _ = pair_of(TreeStudentClassifier, 16)
    one_hot = np.eye(2)[y]
    soft = 0.998 * one_hot + 0.001  # almost the same, but no hard labels: the entropy counts
    smallest = [
        min(map(len, rows_by(student.fit(X, target).tree_.apply(X)))) for target in (y, soft)
    ]
    pure = [
        np.sum(np.ptp(student.fit(X, target).predict_proba(X), axis=1) > 0.99)
        for target in (y, soft)
    ]
    assert pure[0] < pure[1]
    assert smallest[0] >= 5
