"""A sum of curves and tables, from encoded rows: which pairs get a table, one fit, pure tables.

encoding, positions, objective  ->  AdditiveProblem  --fit_sum-->  AdditiveSum
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from skdistill.students.additive_fit import LEAST_RIDGE, Objective, fit_additive, join_designs
from skdistill.students.encoding import Encoding, codes_at_knots, n_knots
from skdistill.students.pairs import PairTable, purify, rank_pairs, strength, table_design

#: Largest number of pairs that "auto" chooses.
MOST_PAIRS = 20

#: Of this many rows, "auto" holds one out; with fewer than the second number it chooses no pair.
HELD_OUT, FEWEST_ROWS = 5, 50

#: Tables that are no stronger are flat but for rounding; outputs are margins, or of unit variance.
FLAT = 1e-10

#: Ridge that the search for the ridge of a table starts from, in rows.
FIRST_RIDGE = 10.0


@dataclass(frozen=True)
class AdditiveProblem:
    """Encoded rows, a loss, and how to fit.

    Attributes
    ----------
    encoding : Encoding
        Of the columns.
    positions : ndarray of shape (n_samples, n_features)
        Of the rows.
    objective : Objective
        The loss.
    n_bins : int
        Largest number of bins, or of levels, per column of a table.
    ridge : float or None
        The ridge of all curves and tables; None chooses one for each.
    unit : float
        What the weights of rows were divided by.
    max_iter : int
        Largest number of L-BFGS iterations.
    tol : float
        See `fit_additive`.
    """

    encoding: Encoding
    positions: np.ndarray
    objective: Objective
    n_bins: int
    ridge: float | None
    unit: float
    max_iter: int
    tol: float

    def design(self, pairs=()):
        """Return the design of all curves and of the tables of some pairs, and the tables' axes."""
        parts = list(self.encoding.knots(self.positions))
        axes = []
        for pair in pairs:
            of_pair, *part = table_design(self.encoding, pair, self.positions, self.n_bins)
            axes.append(of_pair)
            parts.append(part)
        return join_designs(parts), axes

    def fit(self, design, start=None, is_rough=False):
        """Fit a design, see `fit_additive`; `start` may lack its last blocks."""
        if start is not None:
            theta, ridges = start
            n_new = design.block[-1] + 1 - len(ridges)
            missing = np.zeros((len(design.block) - len(theta), theta.shape[1]))
            start = (
                np.concatenate([theta, missing]),
                np.append(ridges, np.full(n_new, FIRST_RIDGE / self.unit)),
            )
        how = self.ridge, self.unit, self.max_iter, self.tol
        return fit_additive(design, self.objective, *how, start=start, is_rough=is_rough)

    def ranked(self, design, theta):
        """Rank all pairs by what they would add to a fitted sum of curves."""
        outputs = design.outputs(theta)
        _, gradient = self.objective.loss(outputs)
        curvature = self.objective.curvature(outputs)
        ridge = max(1.0 / self.unit, LEAST_RIDGE * self.objective.weight.sum())
        return rank_pairs(self.encoding, self.positions, gradient, curvature, self.n_bins, ridge)


@dataclass(frozen=True)
class AdditiveSum:
    """A fitted sum of curves and pure tables.

    Attributes
    ----------
    encoding : Encoding
        Of the columns.
    coef : ndarray of shape (n_codes, n_outputs)
        Weights of the codes of the curves.
    intercept : ndarray of shape (n_outputs,)
        What is added.
    tables : tuple of PairTable
        The strongest first.
    strengths : tuple of float
        Of the tables, see `strength`.
    n_iter : int
        Number of iterations of the last fit.
    """

    encoding: Encoding
    coef: np.ndarray
    intercept: np.ndarray
    tables: tuple
    strengths: tuple
    n_iter: int = 0

    def outputs(self, positions, n_tables=None):
        """Compute outputs, (n_samples, n_outputs), with the first tables only, None for all."""
        curves = self.encoding.curves(self.coef)
        total = self.encoding.sum_of_curves(positions, curves) + self.intercept
        for table in self.tables[:n_tables]:
            total += table.look_up(self.encoding, positions)
        return total


def fit_sum(problem, interactions, objective_of, is_rough=False):
    """Fit curves, and tables of pairs, to rows.

    Parameters
    ----------
    problem : AdditiveProblem
        The rows.
    interactions : int, list of (int, int), or "auto"
        How many pairs get a table, or which ones. Flat tables are only kept if they were named.
    objective_of : callable
        Makes the `Objective` of some rows, given by their numbers.
    is_rough : bool, default=False
        See `fit_additive`.

    Returns
    -------
    fitted : AdditiveSum
        Curves and tables.
    """
    if isinstance(interactions, str):
        interactions = _n_paying(problem, objective_of)
    design, axes = problem.design()
    theta, ridges, n_iter = problem.fit(design, is_rough=is_rough or bool(interactions))
    pairs = interactions
    if not isinstance(interactions, list):
        pairs = problem.ranked(design, theta)[:interactions] if interactions else []
    if pairs:
        design, axes = problem.design(pairs)
        theta, _, n_iter = problem.fit(design, (theta, ridges), is_rough)
    fitted = _pure_sum(problem, pairs, axes, theta, keep_flat=isinstance(interactions, list))
    return replace(fitted, n_iter=n_iter)


def _n_paying(problem, objective_of):
    """Count the pairs that lower the loss of rows which were held out.

    The strongest of at most `MOST_PAIRS` pairs are added one by one; pure tables leave what the
    curves mean unchanged. It is the smallest number such that no larger one is better by more than
    one standard error of the paired difference.
    """
    if len(problem.positions) < FEWEST_ROWS:
        return 0
    order = np.random.RandomState(0).permutation(len(problem.positions))
    held_out, kept = np.sort(order[::HELD_OUT]), np.sort(np.delete(order, np.s_[::HELD_OUT]))
    part = replace(problem, positions=problem.positions[kept], objective=objective_of(kept))
    fitted = fit_sum(part, MOST_PAIRS, objective_of, is_rough=True)
    objective, positions = objective_of(held_out), problem.positions[held_out]
    losses = [
        objective.loss(fitted.outputs(positions, n))[0] for n in range(len(fitted.tables) + 1)
    ]
    for n, loss in enumerate(losses):
        differences = [loss - other for other in losses[n + 1 :]]
        if not any(d.sum() > np.sqrt(len(d)) * np.std(d) for d in differences):
            return n
    return 0


def _pure_sum(problem, pairs, axes, theta, keep_flat):
    encoding, positions = problem.encoding, problem.positions
    weight = problem.objective.weight
    intercept, coef = theta[0], theta[1 : 1 + encoding.n_codes]
    rest = theta[1 + encoding.n_codes :]
    curves, tables = encoding.curves(coef), []
    for pair, of_pair in zip(pairs, axes, strict=True):
        codes = sp.kron(*(codes_at_knots(axis) for axis in of_pair), format="csr")
        own, rest = rest[: codes.shape[1]], rest[codes.shape[1] :]
        shape = *(n_knots(axis) for axis in of_pair), theta.shape[1]
        table = PairTable(tuple(pair), of_pair, (codes @ own).reshape(shape))
        table, moved = purify(encoding, table, positions, weight)
        for j, added in zip(pair, moved, strict=True):
            curves[j] = curves[j] + added
        tables.append((strength(table, encoding, positions, weight), table))
    tables.sort(key=lambda each: -each[0])
    if not keep_flat:
        tables = [(size, table) for size, table in tables if size > FLAT]
    coef, shift = encoding.weights_of(curves)
    return AdditiveSum(
        encoding,
        coef,
        intercept + shift,
        tuple(table for _, table in tables),
        tuple(size for size, _ in tables),
    )
