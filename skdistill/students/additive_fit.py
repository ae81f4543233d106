"""Fit a sum of curves and tables with given ridges: one convex problem.

AdditiveDesign, Objective, ridges  --minimise-->  weights
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg

from skdistill.students.additive_design import LEAST_RIDGE, Cholesky

#: A last Newton step solves its equations to this share, with at most so many products with the
#: Hessian, which are differences of gradients over this distance.
POLISHED, MOST_POLISHING, DIFFERENCE = 1e-3, 20, 1e-4

#: Changes of the gradient that L-BFGS keeps.
MEMORY = 40

#: What scipy calls a line search that found nothing lower. L-BFGS then begins anew, as long as that
#: lowers the loss by this share: with huge weights it fails far from the minimum.
LINE_SEARCH_FAILED, PROGRESS = 2, 1e-9


@dataclass(frozen=True)
class TwoGrids:
    """Coordinates of the sum of a coarse model and of finer blocks.

    There are more of them than weights. The Hessian is close to the identity, as what is fine in
    one block has little to do with what is fine in another, and what is coarse has factors of its
    own. Xu, "Iterative Methods by Space Decomposition and Subspace Correction", SIAM Review 34
    (1992), doi:10.1137/1034116.

    Attributes
    ----------
    coarse : Cholesky
        Of the coarse model.
    finer : csr_array of shape (n_codes, n_coarse_codes)
        Turns the weights of the coarse model into those of the same curves and tables.
    stops : ndarray of shape (n_blocks - 1,)
        Where the codes of a block end and those of the next one start.
    blocks : list of Cholesky
        Of every block alone.
    """

    coarse: Cholesky
    finer: sp.csr_array
    stops: np.ndarray
    blocks: list

    @classmethod
    def of(cls, coarse, finer, design, curvature, ridges, total):
        """Factorise the Hessian of every block, at a curvature of rows."""
        hessians = zip(design.hessians_of_blocks(curvature), ridges, strict=True)
        blocks = [Cholesky.of(of_block, ridge, total) for of_block, ridge in hessians]
        return cls(coarse, finer, np.searchsorted(design.block, range(1, len(blocks))), blocks)

    def weights(self, coordinates):
        """Return the weights, (n_codes, n_outputs), that coordinates stand for."""
        coarse, fine = np.split(coordinates, [self.finer.shape[1]])
        parts = zip(self.blocks, np.split(fine, self.stops), strict=True)
        of_blocks = np.concatenate([block.weights(part) for block, part in parts])
        return self.finer @ self.coarse.weights(coarse) + of_blocks

    def gradient(self, gradient):
        """Turn the gradient of the weights into that of the coordinates."""
        parts = zip(self.blocks, np.split(gradient, self.stops), strict=True)
        of_blocks = [block.gradient(part) for block, part in parts]
        return np.concatenate([self.coarse.gradient(self.finer.T @ gradient), *of_blocks])

    def coordinates(self, weights):
        """Return the coordinates of weights of the coarse model."""
        fine = np.zeros((self.finer.shape[0], weights.shape[1]))
        return np.concatenate([self.coarse.coordinates(weights), fine])


def minimise(design, objective, ridges, solved_in, start, max_iter, tol):
    """Minimise the objective plus ``ridge / 2`` times the squared weights of every block.

    Parameters
    ----------
    design : AdditiveDesign
        Curves and tables.
    objective : Objective
        The loss.
    ridges : ndarray of shape (n_blocks,)
        The ridge of every block; that of the intercept is 0.
    solved_in : Cholesky or TwoGrids
        The coordinates that L-BFGS works in.
    start : ndarray of shape (n_codes, n_outputs)
        Weights to start from; those of the coarse model with `TwoGrids`.
    max_iter : int
        Largest number of iterations.
    tol : float
        Largest entry of the gradient of the coordinates in shares of the total weight.

    Returns
    -------
    theta : ndarray of shape (n_codes, n_outputs)
        The weights.
    n_iter : int
        Number of iterations.
    """
    total, first = objective.weight.sum(), solved_in.coordinates(start)
    ridge = np.append(0.0, np.maximum(ridges[design.block][1:], LEAST_RIDGE * total))[:, None]

    def loss_and_gradient(coordinates):
        theta = solved_in.weights(coordinates.reshape(first.shape))
        losses, row_gradient = objective.loss(design.outputs(theta))
        gradient = design.gradient(row_gradient) + ridge * theta
        loss = losses.sum() + np.sum(ridge * theta**2) / 2
        return loss / total, solved_in.gradient(gradient).ravel() / total

    options = {"maxfun": 10 * max_iter, "maxcor": MEMORY, "gtol": tol, "ftol": 0.0}
    x, before, n_iter = first.ravel(), None, 0
    while n_iter < max_iter:
        found = minimize(
            loss_and_gradient,
            x,
            jac=True,
            method="L-BFGS-B",
            options=options | {"maxiter": max_iter - n_iter},
        )
        is_lower = before is None or found.fun < before - PROGRESS * abs(before)
        x, before, n_iter = found.x, found.fun, n_iter + int(found.nit)
        if found.status != LINE_SEARCH_FAILED or not is_lower:
            break
    polished = _polished(x, lambda x: loss_and_gradient(x)[1], total)
    return solved_in.weights(polished.reshape(first.shape)), n_iter


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
