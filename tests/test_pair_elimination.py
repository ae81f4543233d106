"""Which tables are missed most, against fits from which they were left out."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdistill import LinearStudentClassifier, LinearStudentRegressor
from skdistill.students.pair_elimination import Tables

#: Codes of the curves, and of every table.
N_CURVES, SIZES = 5, (4, 2, 3)
BLOCK = np.repeat([1, 2, 3], SIZES)


class Parabola:
    """``theta' A theta / 2 - b' theta`` for every output."""

    def __init__(self, rng, n_hessians):
        n = N_CURVES + len(BLOCK)
        roots = rng.normal(size=(n_hessians, n, 2 * n))
        self.hessians = [root @ root.T for root in roots]
        self.right = rng.normal(size=(n, 2))

    def fit(self, is_there):
        """Return the lowest value, and the weights of what is there."""
        value, weights = 0.0, []
        for k, right in enumerate(self.right.T):
            hessian = self.hessians[k % len(self.hessians)][np.ix_(is_there, is_there)]
            weights.append(np.linalg.solve(hessian, right[is_there]))
            value -= right[is_there] @ weights[-1] / 2
        return value, np.stack(weights, axis=1)

    def tables(self):
        theta = self.fit(np.full(len(self.right), True))[1][N_CURVES:]
        inverses = [np.linalg.inv(hessian) for hessian in self.hessians]
        return Tables(BLOCK, theta, [each[N_CURVES:, N_CURVES:] for each in inverses])

    def without(self, *dropped):
        """Say which codes are there if some tables are not."""
        return np.append(np.full(N_CURVES, True), ~np.isin(BLOCK, dropped))


@pytest.fixture(params=[1, 2])
def parabola(request, rng):
    return Parabola(rng, request.param)


def test_a_table_is_worth_what_the_loss_rises_without_it(parabola):
    lowest, _ = parabola.fit(parabola.without())
    for table in (1, 2, 3):
        value, _ = parabola.fit(parabola.without(table))
        assert_allclose(parabola.tables().worth(table, 1.0, 0.0), 2 * (value - lowest))


def test_the_others_adapt_to_the_absence_of_a_table(parabola):
    for table, other in combinations((1, 2, 3), 2):
        left = parabola.tables().without(table)
        value, theta = parabola.fit(parabola.without(table))
        assert_allclose(left.theta, theta[N_CURVES:])
        assert_allclose(left.block, BLOCK[table != BLOCK])
        later, _ = parabola.fit(parabola.without(table, other))
        assert_allclose(left.worth(other, 1.0, 0.0), 2 * (later - value))


def test_what_noise_would_give_is_subtracted(parabola):
    """The logarithm of how much wider a table's weights may vary by their ridge alone."""
    ridge, dispersion = 0.3, 0.7
    for table in (1, 2, 3):
        at = np.append(np.full(N_CURVES, False), table == BLOCK)
        blocks = [np.linalg.inv(hessian)[np.ix_(at, at)] for hessian in parabola.hessians]
        dets = [np.linalg.slogdet(np.linalg.inv(block) / ridge)[1] for block in blocks]
        noise = dispersion * sum(dets) * 2 / len(dets)
        worth = [parabola.tables().worth(table, ridge, each) for each in (0.0, dispersion)]
        assert_allclose(worth[0] - worth[1], noise)


def test_no_pair_that_others_replace_is_chosen(rng):
    """Each of six pairs alone is worth more than the weak product, but one of them says it all."""
    X = rng.normal(size=(3000, 7))
    X[:, 2:5] = X[:, :1] + 0.4 * rng.normal(size=(3000, 3))
    value = 2.0 * X[:, 0] * X[:, 1] + 0.5 * X[:, 5] * X[:, 6] + 0.1 * rng.normal(size=3000)
    for C in ("auto", 1.0):
        student = LinearStudentRegressor(interactions=2, C=C).fit(X, value)
        assert [pair[:2] for pair in student.interactions_] == [("x0", "x1"), ("x5", "x6")]


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_copies_of_columns_and_weights_of_any_size_leave_pairs_to_choose(size, rng):
    X = rng.normal(size=(400, 6))
    X[:, 3:] = X[:, :3] + [0.0, 1e-9, 1e-6] * rng.normal(size=(400, 3))
    value = X[:, 0] * X[:, 1] + 0.3 * X[:, 2]
    weight = size * 10.0 ** rng.uniform(-3, 3, 400)
    student = LinearStudentRegressor(interactions=3).fit(X, value, weight)
    assert np.isfinite(student.predict(X)).all()
    assert len(student.interactions_) <= 3


@pytest.mark.parametrize("size", [1.0, 1e2, 1e4])
@pytest.mark.parametrize("seed", range(3))
def test_the_strongest_pair_stays_where_heavy_rows_are_separated(size, seed):
    """So many tables separate 300 rows of four classes; hard labels of weight 1e4 want no less."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(300, 7))
    X[:, 4] = X[:, 0] + 0.01 * rng.normal(size=300)
    value = X[:, 0] * X[:, 1] + 0.5 * X[:, 1] * X[:, 2] + 0.2 * X[:, 6]
    classes = np.searchsorted(np.quantile(value, [0.25, 0.5, 0.75]), value)
    student = LinearStudentClassifier(interactions=3, interaction_bins=5, C=1.0)
    pairs = student.fit(X, classes, np.full(300, size)).interactions_
    names = {pair[:2] for pair in pairs}
    assert names & {("x0", "x1"), ("x1", "x4")}
