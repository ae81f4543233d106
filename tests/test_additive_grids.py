"""Additive fits on two grids: ridges are chosen on a coarse one, weights are found on the fine."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.metrics import log_loss
from test_interactions import make_frame, soft

import skdistill.students.additive_design as additive_design
import skdistill.students.additive_sum as additive_sum
from skdistill import LinearStudentClassifier, LinearStudentRegressor
from skdistill.students.encoding import codes_at_knots
from skdistill.students.pairs import axis_of, finer_weights, rank_pairs


@pytest.fixture(scope="module")
def frame():
    return make_frame()


def of_three_classes(margins):
    """Return soft labels of two classes, which share the rows with a third one."""
    return np.column_stack([soft(margins) / 2, np.full(len(margins), 0.5)])


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("interactions", [0, 4])
def test_two_grids_find_the_minimum_that_all_factors_find(
    n_classes, interactions, frame, monkeypatch
):
    X, margins = frame
    labels = soft(margins)
    if n_classes == 3:
        labels = np.column_stack([labels[:, 0], labels[:, 1] / 4, 3 * labels[:, 1] / 4])
    found = []
    for long in (0, np.inf):
        monkeypatch.setattr(additive_sum, "LONG", long)
        student = LinearStudentClassifier(interactions=interactions).fit(X, labels)
        assert 0 < student.n_iter_ < student.max_iter
        found.append(student.predict_proba(X))
    assert_allclose(*found, atol=1e-7)
    assert not np.array_equal(*found)  # two ways were gone


@pytest.mark.parametrize("most", [10**4, 10**5, 10**8])
def test_outputs_may_share_matrices_that_would_be_too_large(most, frame, monkeypatch):
    X, margins = frame
    labels = of_three_classes(margins)
    expected = LinearStudentClassifier(interactions=3).fit(X, labels).predict_proba(X)
    monkeypatch.setattr(additive_design, "MOST_ENTRIES", most)
    monkeypatch.setattr(additive_sum, "LONG", 0)
    found = LinearStudentClassifier(interactions=3).fit(X, labels).predict_proba(X)
    assert_allclose(found, expected, atol=0.05)  # ridges are chosen with other matrices


def test_so_they_do_with_copies_of_a_column_and_a_constant_one(frame, monkeypatch):
    X, margins = frame
    X = X.assign(again=X["age"], none=np.nan)
    found = []
    for long in (0, np.inf):
        monkeypatch.setattr(additive_sum, "LONG", long)
        student = LinearStudentRegressor(interactions=[("age", "code"), ("again", "code")])
        found.append(student.fit(X, margins).predict(X))
    assert_allclose(*found, atol=1e-4 * np.std(margins))


@pytest.mark.parametrize("n_bins", [1, 5, 16, 100])
@pytest.mark.parametrize("column", range(5))
def test_finer_weights_mean_the_same_curve(column, n_bins, frame):
    X, margins = frame
    encoding = LinearStudentClassifier().fit(X, soft(margins)).encoding_
    fine = encoding.columns[column]
    coarse = axis_of(fine, n_bins)
    rng = np.random.default_rng(column)
    weights = rng.normal(size=codes_at_knots(coarse).shape[1])
    curve = codes_at_knots(coarse) @ weights
    finer = codes_at_knots(fine) @ (finer_weights(fine, coarse) @ weights)
    if fine.edges is not None:
        n_edges = len(fine.edges)
        assert_allclose(
            finer[:n_edges], np.interp(fine.edges, coarse.edges, curve[: len(coarse.edges)])
        )
        assert_allclose(finer[n_edges:], curve[len(coarse.edges) :])  # where missing
    else:
        row = {level: k for k, level in enumerate(coarse.levels)}
        rows = [row.get(level, len(coarse.levels)) for level in fine.levels]
        rows += [len(coarse.levels)] * fine.has_infrequent
        assert_allclose(finer, curve[rows])


def test_more_bins_than_ridges_are_chosen_with_follow_a_sharp_edge():
    X = np.random.default_rng(0).uniform(0, 1, (4000, 2))
    margins = np.where((X[:, 0] > 0.51) & (X[:, 0] < 0.56), 4.0, -1.0)
    few, many = (LinearStudentRegressor(n).fit(X, margins) for n in (16, 64))
    error = [np.mean((each.predict(X) - margins) ** 2) for each in (few, many)]
    assert error[1] < 0.5 * error[0]
    assert np.ptp(many.curves_[1]) < 0.05 * np.ptp(many.curves_[0])


def test_pairs_that_are_equally_good_come_in_the_order_of_columns():
    X = np.random.default_rng(0).normal(size=(12, 6))
    gradient = np.where(np.arange(12) % 2, 1.0, -1.0)[:, None]
    encoding = LinearStudentRegressor().fit(X, X[:, 0]).encoding_
    order = np.random.default_rng(1).permutation(12)
    for rows in (np.arange(12), order):  # every row has a cell of its own in all tables
        positions = encoding.positions(X[rows], dtype=np.float64)
        args = gradient[rows], np.full((12, 1), 0.1), 16, 1e-9
        pairs = rank_pairs(encoding, positions, *args)
        assert pairs == [(a, b) for a in range(6) for b in range(a + 1, 6)]


def test_intercepts_of_many_classes_have_the_mean_zero(frame):
    X, margins = frame
    labels = of_three_classes(margins)
    student = LinearStudentClassifier(interactions=2).fit(X, labels)
    assert_allclose(student.intercept_.mean(), 0, atol=1e-12)


def test_a_fit_that_ends_far_from_the_minimum_warns(frame):
    X, margins = frame
    labels = of_three_classes(margins)
    with pytest.warns(UserWarning, match="after 1 iterations .* Pass a greater max_iter"):
        few = LinearStudentClassifier(interactions=3, max_iter=1).fit(X, labels)
    assert few.n_iter_ == 1


@pytest.mark.parametrize(("strip", "entries"), [(300, 200_000), (7, 50), (7, 1), (1, 10**9)])
def test_hessians_are_those_of_dense_matrices(strip, entries, rng, monkeypatch):
    monkeypatch.setattr(additive_design, "STRIP", strip)
    monkeypatch.setattr(additive_design, "BATCH_ENTRIES", entries)
    knots = [sp.random(60, n, 0.4, format="csr", random_state=n) for n in (5, 1, 9)]
    codes = [rng.normal(size=(each.shape[1], 4)) for each in knots]
    design = additive_design.join_designs(list(zip(knots, codes, strict=True)))
    curvature = rng.uniform(size=(60, 2))
    dense = (design.knots @ design.codes).toarray()
    expected = [dense.T @ (weight[:, None] * dense) for weight in curvature.T]
    assert_allclose(design.hessians(curvature), expected, atol=1e-12)
    for block, found in enumerate(design.hessians_of_blocks(curvature)):
        at = np.flatnonzero(design.block == block)
        assert_allclose(found, [each[np.ix_(at, at)] for each in expected], atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("interactions", [3, [(0, 1)]])
@pytest.mark.filterwarnings("ignore:The additive student stopped:UserWarning")
def test_heavy_rows_of_separated_classes_are_learned(n_classes, interactions, rng):
    """The coarse fit is a bad start there, and the Hessian at it says little of the minimum."""
    X = rng.normal(size=(800, 6))
    margins = X @ rng.normal(size=(6, n_classes)) + (X[:, :1] * X[:, 1:2]) * rng.normal(
        size=n_classes
    )
    classes = np.argmax(margins + rng.gumbel(size=margins.shape), axis=1)
    student = LinearStudentClassifier(interactions=interactions)
    student.fit(X, classes, np.full(800, 1e6))
    assert student.score(X, classes) > 0.99
    assert log_loss(classes, student.predict_proba(X)) < 0.05


@pytest.mark.parametrize("C", [1e-320, 1e-13, 1e308])
def test_ridges_stay_finite(C, frame):
    X, margins = frame
    student = LinearStudentRegressor(C=C, interactions=2).fit(X, margins)
    assert np.isfinite(student.predict(X)).all()
    if C < 1:
        assert_allclose(student.predict(X), np.mean(margins), atol=1e-6)
