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
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

#: Rows on which the curvature is estimated.
CURVATURE_ROWS = 20_000

#: The ridge is at least this share of the total weight: with collinear codes, such as those of all
#: levels and the intercept, there is no unique solution without a ridge.
LEAST_RIDGE = 1e-12

#: Ridges are chosen between these limits.
RIDGES = 1e-3, 1e8

#: Blocks with fewer effective degrees of freedom than this are left out: they are flat.
LEAST_FREEDOM = 0.01

#: Times that the loss is approximated by a parabola, and that ridges are chosen on each.
PARABOLAS, CHOICES = 4, 2


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
        of_knots = knots.T @ weighted
        return (self.codes.T @ (of_knots @ self.codes)).toarray()

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
        From outputs to every row's second derivative, (n_samples,), the mean over the outputs.
    weight : ndarray of shape (n_samples,)
        The weights of the rows.
    start : ndarray of shape (n_outputs,)
        The best constant outputs.
    first_curvature : ndarray of shape (n_samples,)
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
        return squares.sum() / max(curvature.sum() * row_gradient.shape[1], np.finfo(float).tiny)


def fit_additive(design, objective, ridge, unit, max_iter=500, tol=1e-8, start=None):
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
    max_iter : int, default=500
        Largest number of L-BFGS iterations.
    tol : float, default=1e-8
        Largest entry of the scaled gradient in shares of the total weight.
    start : tuple of ndarray, default=None
        Weights and ridges of blocks to start from.

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
    theta = np.zeros((len(design.block), len(objective.start)))
    theta[0] = objective.start
    if ridge is not None:
        ridges = np.append(0.0, np.full(n_blocks - 1, ridge))
        hessian = design.gram(objective.first_curvature)
        theta, n_iter = _minimise(design, objective, ridges, hessian, theta, max_iter, tol)
        return theta, ridges, n_iter
    theta, ridges, freedom, hessian = _choose_ridges(design, objective, unit, theta, start)
    kept = np.append(True, freedom[1:] >= LEAST_FREEDOM)
    codes = kept[design.block]
    found = np.zeros_like(theta)
    found[codes], n_iter = _minimise(
        design if kept.all() else design.of_blocks(kept),
        objective,
        ridges[kept],
        hessian[np.ix_(codes, codes)],
        theta[codes],
        max_iter,
        tol,
    )
    return found, ridges, n_iter


def _choose_ridges(design, objective, unit, theta, start):
    """Choose a ridge per block; returns weights near the solution, ridges, freedom and Hessian.

    The freedom of a block are its effective degrees of freedom.
    """
    total = objective.weight.sum()
    n_blocks = design.block[-1] + 1
    ridges = np.append(0.0, np.full(n_blocks - 1, 1.0 / unit))
    freedom = np.ones(n_blocks)
    curvature = objective.first_curvature
    if start is not None:
        theta, ridges = start
        curvature = None
    outputs = design.outputs(theta)
    for _ in range(PARABOLAS):
        losses, row_gradient = objective.loss(outputs)
        now = objective.curvature(outputs)
        hessian = design.gram(now if curvature is None else curvature)
        curvature = None
        right = hessian @ theta - design.gradient(row_gradient)
        dispersion = objective.dispersion(row_gradient, now) / unit
        for _ in range(CHOICES):
            goal, inverse = _solve(hessian, ridges[design.block], right, total)
            freedom = _freedom(design.block, ridges, inverse, theta.shape[1])
            ridges = _fellner_schall(design.block, goal, freedom, dispersion, unit)
        theta, outputs = _step(design, objective, theta, goal, ridges, losses.sum())
    return theta, ridges, freedom, hessian


def _solve(hessian, ridge, right, total):
    """Solve the ridge problem; returns the weights and the diagonal of the inverse."""
    matrix = _with_ridge(hessian, ridge, total)
    factor = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
    weights = cho_solve((factor, True), right, check_finite=False)
    return weights, np.diag(dpotri(factor, lower=True, overwrite_c=True)[0]).copy()


def _with_ridge(hessian, ridge, total):
    matrix = hessian.copy()
    diagonal = np.einsum("ii->i", matrix)
    diagonal[1:] += np.maximum(ridge[1:], LEAST_RIDGE * total)
    diagonal[0] = max(diagonal[0], np.finfo(float).tiny) * (1 + 1e-12)
    return matrix


def _freedom(block, ridges, inverse, n_outputs):
    return n_outputs * np.maximum(np.bincount(block, 1.0 - ridges[block] * inverse), 0.0)


def _fellner_schall(block, theta, freedom, dispersion, unit):
    squares = np.bincount(block, np.sum(theta**2, axis=1))
    ridges = dispersion * freedom / np.maximum(squares, np.finfo(float).tiny)
    ridges = np.clip(ridges, RIDGES[0] / unit, RIDGES[1] / unit)
    ridges[0] = 0.0
    return ridges


def _step(design, objective, theta, goal, ridges, loss):
    """Go from theta towards a goal as far as the penalised loss falls."""
    ridge = ridges[design.block][:, None]
    before = loss + np.sum(ridge * theta**2) / 2
    share = 1.0
    while True:
        trial = theta + share * (goal - theta)
        outputs = design.outputs(trial)
        now = objective.loss(outputs)[0].sum() + np.sum(ridge * trial**2) / 2
        if now <= before * (1 + 1e-9) or share < 0.05:
            return trial, outputs
        share /= 2


def _minimise(design, objective, ridges, hessian, theta, max_iter, tol):
    """Minimise by L-BFGS in coordinates in which the Hessian is close to the identity."""
    ridge, total, shape = ridges[design.block], objective.weight.sum(), theta.shape
    factor = np.linalg.cholesky(_with_ridge(hessian, ridge, total))
    ridge = np.append(0.0, np.maximum(ridge[1:], LEAST_RIDGE * total))[:, None]

    def unscale(scaled):
        return solve_triangular(factor, scaled.reshape(shape), trans="T", lower=True)

    def loss_and_gradient(scaled):
        theta = unscale(scaled)
        losses, row_gradient = objective.loss(design.outputs(theta))
        gradient = design.gradient(row_gradient) + ridge * theta
        loss = losses.sum() + np.sum(ridge * theta**2) / 2
        return loss / total, solve_triangular(factor, gradient, lower=True).ravel() / total

    found = minimize(
        loss_and_gradient,
        (factor.T @ theta).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, "maxfun": 10 * max_iter, "gtol": tol, "ftol": 0.0},
    )
    return unscale(found.x), int(found.nit)
