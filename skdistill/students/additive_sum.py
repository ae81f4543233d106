"""A sum of curves and tables, from encoded rows: which pairs get a table, one fit, pure tables.

encoding, positions, objective  ->  AdditiveProblem  --fit_sum-->  AdditiveSum
"""

from dataclasses import dataclass, replace
from itertools import chain, compress

import numpy as np
import scipy.sparse as sp

from skdistill.students.additive_design import (
    LEAST_RIDGE,
    Cholesky,
    Objective,
    constant,
    equal_ridges,
    join_designs,
)
from skdistill.students.additive_fit import TwoGrids, minimise
from skdistill.students.additive_ridges import choose_ridges
from skdistill.students.encoding import Encoding, n_knots
from skdistill.students.pair_elimination import missed_most
from skdistill.students.pairs import (
    PairTable,
    axis_of,
    axis_positions,
    beside_on_axis,
    codes_at_cells,
    finer_weights,
    purify,
    rank_pairs,
    strength,
    table_design,
)

#: Largest number of pairs that "auto" chooses.
MOST_PAIRS = 20

#: Of this many rows, "auto" holds one out; with fewer than the second number it chooses no pair.
HELD_OUT, FEWEST_ROWS = 5, 50

#: Tables that are no stronger are flat but for rounding; outputs are margins, or of unit variance.
FLAT = 1e-10

#: Ridges are chosen with at most so many bins, of a curve and on either side of a table.
COARSE_BINS, COARSE_TABLE_BINS = 16, 8

#: All codes are factorised at once if the cube of their number is less than this times the entries
#: of the design: it takes longer than two grids, but fewer passes through the rows.
LONG = 10_000

#: Tables are fitted for so many more pairs than get one in the end, with at most so many bins on
#: either side.
MORE_CANDIDATES, CANDIDATE_BINS = 20, 5

#: The ridges of that fit are at least this share of the total weight: where so many tables separate
#: the classes, and weights are huge, none of them would be worth more than another.
CANDIDATE_RIDGE = 1e-5


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
        Largest number of iterations of conjugate gradients.
    tol : float
        See `minimise`.
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
        columns = self.encoding.columns
        axis = {j: axis_of(columns[j], self.n_bins) for j in set(chain(*pairs))}
        beside = {j: beside_on_axis(columns[j], axis[j], self.positions[:, j]) for j in axis}
        axes = [(axis[a], axis[b]) for a, b in pairs]
        tables = [
            table_design(of_pair, (beside[a], beside[b]))
            for of_pair, (a, b) in zip(axes, pairs, strict=True)
        ]
        return join_designs([*self.encoding.knots(self.positions), *tables]), axes

    def coarse(self):
        """Return the same rows and loss with fewer bins."""
        columns = self.encoding.columns
        axes = [
            axis_of(column, COARSE_BINS) if column.levels is None else column for column in columns
        ]
        positions = [
            axis_positions(column, axis, u) if column.levels is None else u
            for column, axis, u in zip(columns, axes, self.positions.T, strict=True)
        ]
        return replace(
            self,
            encoding=replace(self.encoding, columns=tuple(axes)),
            positions=np.stack(positions, axis=1),
            n_bins=min(self.n_bins, COARSE_TABLE_BINS),
        )

    def ranked_pairs(self, design, theta):
        """Rank pairs by what each alone would add to a fitted sum of curves."""
        outputs = design.outputs(theta)
        _, gradient = self.objective.loss(outputs)
        curvature = self.objective.curvature(outputs)
        ridge = max(1.0 / self.unit, LEAST_RIDGE * self.objective.weight.sum())
        how = gradient, curvature, self.n_bins, ridge
        return rank_pairs(self.encoding, self.positions, *how)


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
        Number of iterations of conjugate gradients of the last fit.
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


def fit_sum(problem, interactions, objective_of):
    """Fit curves, and tables of pairs, to rows.

    Parameters
    ----------
    problem : AdditiveProblem
        The rows.
    interactions : int, list of (int, int), or "auto"
        How many pairs get a table, or which ones. Flat tables are only kept if they were named.
    objective_of : callable
        Makes the `Objective` of some rows, given by their numbers.

    Returns
    -------
    fitted : AdditiveSum
        Curves and tables.
    """
    if isinstance(interactions, str):
        interactions = _n_paying(problem, objective_of)
    keep_flat = isinstance(interactions, list)
    fit = _fit_with_ridges if problem.ridge is None else _fit_with_one_ridge
    theta, pairs, axes, n_iter = fit(problem, interactions)
    return replace(_pure_sum(problem, pairs, axes, theta, keep_flat), n_iter=n_iter)


def _fit_with_one_ridge(problem, interactions):
    objective = problem.objective

    def fit(design, start):
        ridges = equal_ridges(design, problem.ridge)
        hessians = design.hessians(objective.first_curvature)
        factors = Cholesky.of(hessians, ridges[design.block], objective.weight.sum())
        return minimise(design, objective, ridges, factors, start, problem.max_iter, problem.tol)

    pairs = interactions or []
    if interactions and not isinstance(interactions, list):
        coarse = problem.coarse()
        design, _ = coarse.design()
        curves = choose_ridges(design, objective, problem.unit, is_rough=True)
        pairs = _choose_pairs(coarse, interactions, design, curves)
    design, axes = problem.design(pairs)
    theta, n_iter = fit(design, constant(design, objective))
    return theta, pairs, axes, n_iter


def _fit_with_ridges(problem, interactions):
    """Choose ridges with few bins, which takes a fraction of the time, and fit with all of them."""
    coarse, objective = problem.coarse(), problem.objective
    chosen, pairs, coarse_axes, coarse_design = _choose_ridges(coarse, interactions)
    design, axes = problem.design(pairs)
    # Flat blocks are left out.
    used, codes = design.of_blocks(chosen.is_used), chosen.is_used[design.block]
    coarse_codes = chosen.is_used[coarse_design.block]
    refinement = _refinement(problem, axes) / _refinement(coarse, coarse_axes)
    ridges = (chosen.ridges * refinement)[chosen.is_used]
    finer = _finer_weights(problem, axes, coarse, coarse_axes)[codes][:, coarse_codes]
    start, total = chosen.theta[coarse_codes], objective.weight.sum()
    curvature = objective.curvature(coarse_design.outputs(chosen.theta))
    if codes.sum() ** 3 < LONG * used.knots.nnz:
        solved_in = Cholesky.of(used.hessians(curvature), ridges[used.block], total)
        start = finer @ start
    else:
        factors = chosen.factors(coarse_design, coarse_codes, total)
        solved_in = TwoGrids.of(factors, finer, used, curvature, ridges, total)
    theta = constant(design, objective)
    how = problem.max_iter, problem.tol
    theta[codes], n_iter = minimise(used, objective, ridges, solved_in, start, *how)
    return theta, pairs, axes, n_iter


def _finer_weights(problem, axes, coarse, coarse_axes):
    """Return what turns weights of a coarse model into those of the same curves and tables."""
    columns = zip(problem.encoding.columns, coarse.encoding.columns, strict=True)
    curves = [finer_weights(*each) for each in columns]
    tables = [
        sp.kron(*(finer_weights(*each) for each in zip(fine, few, strict=True)))
        for fine, few in zip(axes, coarse_axes, strict=True)
    ]
    return sp.block_diag([np.ones((1, 1)), *curves, *tables], format="csr")


def _choose_ridges(problem, interactions, is_rough=False):
    """Return chosen ridges, pairs and their axes, and the design."""
    how = problem.objective, problem.unit
    design, axes = problem.design()
    chosen = choose_ridges(design, *how, is_rough=is_rough or bool(interactions))
    if not interactions:
        return chosen, [], axes, design
    is_list = isinstance(interactions, list)
    pairs = interactions if is_list else _choose_pairs(problem, interactions, design, chosen)
    design, axes = problem.design(pairs)
    return choose_ridges(design, *how, chosen, is_rough), pairs, axes, design


def _choose_pairs(problem, n_pairs, design, chosen):
    """Choose so many pairs, given a fit of the curves alone and its design.

    What a pair adds to the curves alone says little of what it adds beside other pairs: pairs of
    the same column, or of columns that go together, often say the same. Some more than are asked
    for are therefore fitted together, with few bins, and those that are missed most are chosen.
    """
    how = problem.objective, problem.unit
    pairs = problem.ranked_pairs(design, chosen.theta)[: n_pairs + MORE_CANDIDATES]
    if len(pairs) <= n_pairs:
        return pairs
    n_others = design.n_blocks
    few_bins = replace(problem, n_bins=min(problem.n_bins, CANDIDATE_BINS))
    design, _ = few_bins.design(pairs)
    least = CANDIDATE_RIDGE * problem.objective.weight.sum()
    chosen = choose_ridges(design, *how, chosen, is_rough=True, least=least)
    kept = missed_most(chosen, design, *how, n_others, n_pairs)
    return list(compress(pairs, kept[n_others:]))


def _refinement(problem, axes):
    """Count the bins of the intercept, of every curve and of every table."""
    bins = [column.n_bins or 1 for column in problem.encoding.columns]
    cells = [(a.n_bins or 1) * (b.n_bins or 1) for a, b in axes]
    return np.array([1, *bins, *cells], dtype=float)


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
    if problem.ridge is None:
        problem = problem.coarse()
    part = replace(problem, positions=problem.positions[kept], objective=objective_of(kept))
    if part.ridge is None:
        chosen, pairs, axes, _ = _choose_ridges(part, MOST_PAIRS, is_rough=True)
        theta = chosen.theta
    else:
        theta, pairs, axes, _ = _fit_with_one_ridge(part, MOST_PAIRS)
    fitted = _pure_sum(part, pairs, axes, theta, keep_flat=False)
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
        codes = codes_at_cells(of_pair)
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
