"""Fit a sum of curves and tables: one convex problem, with a ridge per curve and per table.

    AdditiveDesign, Objective  --choose_ridges-->  a ridge per block  --minimise-->  weights

The ridges are chosen by the generalised Fellner-Schall method, which approaches the largest
restricted likelihood: a column that has nothing to say gets a flat curve. Wood and Fasiolo, "A
Generalized Fellner-Schall Method for Smoothing Parameter Optimization with Application to Tweedie
Location, Scale and Shape Models", Biometrics 73 (2017), doi:10.1111/biom.12666.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dtrtri
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg

#: Rows on which the curvature is estimated.
CURVATURE_ROWS = 20_000

#: The ridge is at least this share of the total weight: with collinear codes, such as those of all
#: levels and the intercept, there is no unique solution without a ridge.
LEAST_RIDGE = 1e-12

#: Ridges are chosen between these limits, in rows.
RIDGES = 1e-3, 1e8

#: Squared weights of a block count as no less; its inverse does not overflow.
SMALLEST_SQUARE = 1e-200

#: Blocks with fewer effective degrees of freedom than this are left out: they are flat.
LEAST_FREEDOM = 0.01

#: The loss is approximated by a parabola, and ridges are chosen on it, until the loss changes by
#: less than the last number, a share of that of the best constant; at most five times, or once for
#: a rough result.
ROUNDS, FEW_ROUNDS, SETTLED = 5, 1, 5e-4

#: At most this many more steps are taken where the parabola is far off.
SHORT_STEPS = 6

#: Hessians are kept until the curvatures of the rows have changed by this share: the gradient is
#: that of the loss, so the steps still lead to its minimum.
STALE = 0.15

#: Ridges are chosen this many times on every parabola.
CHOICES = 2

#: A loss that is higher by this share is as low.
ROUNDING = 1e-12

#: Shares of a step that are tried.
SHARES = 0.5 ** np.arange(8)

#: Matrices with more entries than this in all are shared by the outputs.
MOST_ENTRIES = 10**8

#: Digits that are kept of the logarithms of ridges.
GRID = 4

#: A last Newton step solves its equations to this share, with at most so many products with the
#: Hessian, which are differences of gradients over this distance.
POLISHED, MOST_POLISHING, DIFFERENCE = 1e-3, 20, 1e-4

#: The logarithms of ridges change by this many times what the method says, as its steps are short.
LONGER = 1.7


@dataclass(frozen=True)
class AdditiveDesign:
    """What the weights of an additive model are multiplied by; the first one is the intercept.

    Attributes
    ----------
    knots : csr_array of shape (n_samples, n_knots)
        The weights of the knots of all curves and tables.
    codes : csr_array of shape (n_knots, n_codes)
        The codes at every knot.
    block : ndarray of shape (n_codes,)
        The curve or table that every code belongs to; 0 is the intercept.
    """

    knots: sp.csr_array
    codes: sp.csr_array
    block: np.ndarray

    def outputs(self, theta):
        """Compute outputs, (n_samples, n_outputs), from weights, (n_codes, n_outputs)."""
        return self.knots @ (self.codes @ theta)

    def gradient(self, row_gradient):
        """Turn the gradients of rows with respect to their outputs into that of the weights."""
        return self.codes.T @ (self.knots.T @ row_gradient)

    def gram(self, weight):
        """Compute the Gram matrix of the codes, (n_codes, n_codes), with weights of rows."""
        every = max(1, len(weight) // CURVATURE_ROWS)
        knots, some = self.knots[::every], weight[::every]
        scale = weight.sum() / max(some.sum(), np.finfo(float).tiny)
        weighted = sp.csr_array(
            (
                knots.data * np.repeat(scale * some, np.diff(knots.indptr)),
                knots.indices,
                knots.indptr,
            ),
            shape=knots.shape,
        )
        of_knots = (knots.T @ weighted).toarray()  # nearly dense
        transposed = sp.csr_array(self.codes.T)
        return transposed @ (transposed @ of_knots).T

    def hessians(self, curvature):
        """Compute a Gram matrix per output, or one for all if they would be too large.

        The curvature is of shape (n_samples, n_outputs).
        """
        n_outputs = curvature.shape[1]
        if n_outputs * len(self.block) ** 2 > MOST_ENTRIES:
            curvature = np.mean(curvature, axis=1, keepdims=True)
        return [self.gram(each) for each in curvature.T]

    def of_blocks(self, kept):
        """Return the design of some blocks, given by a mask over the blocks."""
        codes = np.flatnonzero(kept[self.block])
        at_knots = self.codes[:, codes]
        used = np.flatnonzero(np.diff(at_knots.indptr))
        number = np.cumsum(kept) - 1
        return AdditiveDesign(
            self.knots[:, used], at_knots[used].tocsr(), number[self.block[codes]]
        )


def join_designs(parts):
    """Join knots and codes of curves and tables, pairs of arrays, behind an intercept."""
    n_rows = parts[0][0].shape[0]
    knots = [sp.csr_array(np.ones((n_rows, 1))), *(knots for knots, _ in parts)]
    codes = [sp.csr_array(np.ones((1, 1))), *(codes for _, codes in parts)]
    sizes = [each.shape[1] for each in codes]
    return AdditiveDesign(
        sp.hstack(knots, format="csr"),
        sp.block_diag(codes, format="csr"),
        np.repeat(np.arange(len(sizes)), sizes),
    )


@dataclass(frozen=True)
class Objective:
    """A loss of the outputs, convex in them.

    Attributes
    ----------
    loss : callable
        From outputs, (n_samples, n_outputs), to every row's loss and gradient.
    curvature : callable
        From outputs to their second derivatives, (n_samples, n_outputs).
    weight : ndarray of shape (n_samples,)
        The weights of the rows.
    start : ndarray of shape (n_outputs,)
        The best constant outputs.
    first_curvature : ndarray of shape (n_samples, n_outputs)
        What the curvature will be near the solution.
    """

    loss: Callable
    curvature: Callable
    weight: np.ndarray
    start: np.ndarray
    first_curvature: np.ndarray

    def dispersion(self, row_gradient, curvature):
        """Estimate by how much the errors vary more than they would by chance alone.

        Pearson's statistic as a ratio of sums: single rows with tiny curvature do not decide it.
        """
        squares = np.sum(row_gradient**2, axis=1) / self.weight
        expected = max(curvature.sum(), np.finfo(float).tiny)
        return squares.sum() / expected


def fit_additive(design, objective, ridge, unit, max_iter, tol, *, start=None, is_rough=False):
    """Minimise the objective plus ``ridge / 2`` times the squared weights of every block.

    Parameters
    ----------
    design : AdditiveDesign
        Curves and tables.
    objective : Objective
        The loss.
    ridge : float or None
        The ridge of all blocks; None chooses one for every block.
    unit : float
        What the weights of the rows were divided by.
    max_iter : int
        Largest number of L-BFGS iterations.
    tol : float
        Largest entry of the scaled gradient in shares of the total weight.
    start : tuple of ndarray, default=None
        Weights and ridges of blocks to start from.
    is_rough : bool, default=False
        Whether to leave the last iterations out, where ridges are chosen.

    Returns
    -------
    theta : ndarray of shape (n_codes, n_outputs)
        The weights; those of flat blocks are 0.
    ridges : ndarray of shape (n_blocks,)
        The ridge of every block; that of the intercept is 0.
    n_iter : int
        Number of L-BFGS iterations.
    """
    n_blocks = design.block[-1] + 1
    if start is None:
        theta = np.zeros((len(design.block), len(objective.start)))
        theta[0] = objective.start
        start = theta, np.append(0.0, np.full(n_blocks - 1, ridge or 1.0 / unit))
    if ridge is not None:
        theta, ridges = start[0], np.append(0.0, np.full(n_blocks - 1, ridge))
        hessians = design.hessians(objective.first_curvature)
        theta, n_iter = _minimise(design, objective, ridges, hessians, theta, max_iter, tol)
        return theta, ridges, n_iter
    theta, ridges, freedom, hessians = _choose_ridges(design, objective, unit, *start, is_rough)
    if is_rough:
        return theta, ridges, 0
    kept = np.append(True, freedom[1:] >= LEAST_FREEDOM)
    codes = kept[design.block]
    found = np.zeros_like(theta)
    found[codes], n_iter = _minimise(
        design if kept.all() else design.of_blocks(kept),
        objective,
        ridges[kept],
        [each[np.ix_(codes, codes)] for each in hessians],
        theta[codes],
        max_iter,
        tol,
    )
    return found, ridges, n_iter


def _choose_ridges(design, objective, unit, theta, ridges, is_rough):
    """Choose a ridge per block; returns weights near the solution, ridges, freedom and Hessians.

    The freedom of a block are its effective degrees of freedom.
    """
    outputs = design.outputs(theta)
    losses, row_gradient = objective.loss(outputs)
    settled = SETTLED * objective.loss(0.0 * outputs + objective.start)[0].sum()
    before, of_hessians, n_rounds = np.inf, None, 0
    most_rounds = FEW_ROUNDS if is_rough else ROUNDS
    for n_steps in range(1, 2 + most_rounds + SHORT_STEPS):
        curvature = objective.curvature(outputs)
        if of_hessians is None or _change(of_hessians, curvature) > STALE:
            is_first = of_hessians is None and not np.any(theta[1:])
            of_hessians = objective.first_curvature if is_first else curvature
            hessians = design.hessians(of_hessians)
            solver = None
        if solver is None:
            solver = _RidgeSolver.of(hessians, ridges, design, objective)
        right = _products(hessians, theta) - design.gradient(row_gradient)
        goal = solver.solve(right)
        theta, outputs, is_whole = _step(design, objective, theta, goal, ridges, losses.sum())
        losses, row_gradient = objective.loss(outputs)
        if not is_whole:  # far from their minimum, weights tell nothing of their ridges
            continue
        is_last = n_rounds == most_rounds or n_steps == 1 + most_rounds + SHORT_STEPS
        if is_last or abs(before - losses.sum()) <= settled:
            break
        n_rounds += 1
        before = losses.sum()
        dispersion = objective.dispersion(row_gradient, objective.curvature(outputs))
        for choice in range(CHOICES):
            if choice:
                solver = _RidgeSolver.of(hessians, ridges, design, objective)
                goal = solver.solve(right)
            ridges = _fellner_schall(design.block, goal, solver.freedom, dispersion, ridges, unit)
        solver = None
    curvature = objective.curvature(outputs)
    if not is_rough and _change(of_hessians, curvature) > STALE:
        hessians = design.hessians(curvature)
    return theta, _rounded(ridges), solver.freedom, hessians


def _rounded(ridges):
    """Round ridges to a grid, so that the order of rows, which changes last digits, does not."""
    exponent = np.log(np.maximum(ridges, np.finfo(float).tiny))
    return np.where(ridges > 0, np.exp(np.round(exponent, GRID)), 0.0)


def _change(before, now):
    """Return by which share the curvatures of rows have changed."""
    return np.abs(now - before).sum() / max(now.sum(), np.finfo(float).tiny)


def _products(hessians, theta):
    """Multiply the weights of every output by its Hessian; outputs may share one."""
    if len(hessians) == 1:
        return hessians[0] @ theta
    return np.stack([H @ each for H, each in zip(hessians, theta.T, strict=True)], axis=1)


@dataclass(frozen=True)
class _RidgeSolver:
    """The factorised ridge problems of all outputs, which may share one.

    Attributes
    ----------
    factors : list of ndarray of shape (n_codes, n_codes)
        Lower Cholesky factors.
    freedom : ndarray of shape (n_blocks,)
        The effective degrees of freedom of every block.
    """

    factors: list
    freedom: np.ndarray

    @classmethod
    def of(cls, hessians, ridges, design, objective):
        """Factorise the problems of given ridges."""
        ridge, total = ridges[design.block], objective.weight.sum()
        n_sharing = len(objective.start) / len(hessians)
        factors, spared = [], 0.0
        for hessian in hessians:
            matrix = _with_ridge(hessian, ridge, total)
            factor = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
            root, _ = dtrtri(factor, lower=True)  # of the inverse, of which the diagonal is needed
            of_inverse = np.einsum("ij,ij->j", root, root)
            spared = spared + n_sharing * (1.0 - ridge * of_inverse)
            factors.append(factor)
        return cls(factors, np.maximum(np.bincount(design.block, spared), 0.0))

    def solve(self, right):
        """Solve for the weights of every output."""
        if len(self.factors) == 1:
            return cho_solve((self.factors[0], True), right, check_finite=False)
        columns = zip(self.factors, right.T, strict=True)
        solved = [cho_solve((each, True), column, check_finite=False) for each, column in columns]
        return np.stack(solved, axis=1)


def _with_ridge(hessian, ridge, total):
    matrix = hessian.copy()
    diagonal = np.einsum("ii->i", matrix)
    diagonal[1:] += np.maximum(ridge[1:], LEAST_RIDGE * total)
    diagonal[0] = max(diagonal[0], LEAST_RIDGE * total) * (1 + 1e-12)
    return matrix


def _fellner_schall(block, theta, freedom, dispersion, ridges, unit):
    squares = np.bincount(block, np.sum(theta**2, axis=1))[1:]
    better = np.clip(dispersion * freedom[1:] / np.maximum(squares, SMALLEST_SQUARE), *RIDGES)
    longer = better * (better / (unit * ridges[1:])) ** (LONGER - 1.0)
    return np.append(0.0, np.clip(longer, *RIDGES) / unit)


def _step(design, objective, theta, goal, ridges, loss):
    """Go from theta towards a goal, as far as the penalised loss falls.

    Returns where, the outputs there, and whether the goal was reached.
    """
    ridge = ridges[design.block][:, None]
    before = loss + np.sum(ridge * theta**2) / 2
    for share in SHARES:
        trial = theta + share * (goal - theta)
        outputs = design.outputs(trial)
        now = objective.loss(outputs)[0].sum() + np.sum(ridge * trial**2) / 2
        if now <= before + ROUNDING * abs(before):
            return trial, outputs, share == SHARES[0]
    return theta, design.outputs(theta), False


def _divided(factor, columns, trans):
    return solve_triangular(factor, columns, trans=trans, lower=True, check_finite=False)


def _minimise(design, objective, ridges, hessians, theta, max_iter, tol):
    """Minimise by L-BFGS in coordinates in which the Hessian is close to the identity."""
    ridge, total, shape = ridges[design.block], objective.weight.sum(), theta.shape
    factors = [np.linalg.cholesky(_with_ridge(each, ridge, total)) for each in hessians]
    ridge = np.append(0.0, np.maximum(ridge[1:], LEAST_RIDGE * total))[:, None]

    def divided(columns, trans):
        if len(factors) == 1:
            return _divided(factors[0], columns, trans)
        pairs = zip(factors, columns.T, strict=True)
        return np.stack([_divided(factor, column, trans) for factor, column in pairs], axis=1)

    def loss_and_gradient(scaled):
        theta = divided(scaled.reshape(shape), "T")
        losses, row_gradient = objective.loss(design.outputs(theta))
        gradient = design.gradient(row_gradient) + ridge * theta
        loss = losses.sum() + np.sum(ridge * theta**2) / 2
        return loss / total, divided(gradient, "N").ravel() / total

    found = minimize(
        loss_and_gradient,
        _products([factor.T for factor in factors], theta).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, "maxfun": 10 * max_iter, "gtol": tol, "ftol": 0.0},
    )
    polished = _polished(found.x, lambda scaled: loss_and_gradient(scaled)[1], total)
    return divided(polished.reshape(shape), "T"), int(found.nit)


def _polished(x, gradient_at, total):
    """Take a Newton step that needs no values, whose rounding ends a line search too early.

    The Hessian times ``total`` is close to the identity; its products are differences of gradients.
    """
    gradient = gradient_at(x)

    def product(direction):
        size = DIFFERENCE / max(np.linalg.norm(direction), np.finfo(float).tiny)
        return (gradient_at(x + size * direction) - gradient) * (total / size)

    hessian = LinearOperator((len(x), len(x)), product, dtype=np.float64)
    step, _ = cg(hessian, -total * gradient, rtol=POLISHED, maxiter=MOST_POLISHING)
    there = gradient_at(x + step)
    return x + step if np.linalg.norm(there) < np.linalg.norm(gradient) else x
