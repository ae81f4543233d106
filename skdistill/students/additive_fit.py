"""Fit a sum of curves and tables with given ridges: one convex problem.

AdditiveDesign, Objective, ridges  --minimise-->  weights
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, cg

from skdistill.messages import warn_caller
from skdistill.soft_labels import centred
from skdistill.students.additive_design import LEAST_RIDGE, ROUNDING, Cholesky

#: Newton steps are solved to this share or better.
ROUGHEST = 0.5

#: While the norm of the gradient is larger than this, where weights are huge and classes are
#: separated, the Hessian is far from the identity, and soon another one: a step takes no more than
#: so many iterations.
NEAR, MOST_WHERE_FAR = 1.0, 20

#: With a larger norm of the gradient, predictions may still change visibly.
VISIBLE = 1e-3

#: Shares of a step that are tried.
SHARES = 0.5 ** np.arange(20)


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
        Coordinates in which the Hessian is close to the identity.
    start : ndarray of shape (n_codes, n_outputs)
        Weights to start from; those of the coarse model with `TwoGrids`.
    max_iter : int
        Largest number of iterations of conjugate gradients, over all Newton steps.
    tol : float
        The norm of the gradient at which the steps end, of the mean loss in units in which its
        Hessian is close to the identity.

    Returns
    -------
    theta : ndarray of shape (n_codes, n_outputs)
        The weights.
    n_iter : int
        Number of iterations of conjugate gradients.

    Notes
    -----
    Newton steps are solved by conjugate gradients, the better the nearer the minimum is (Dembo,
    Eisenstat and Steihaug, "Inexact Newton Methods", SIAM Journal on Numerical Analysis 19 (1982),
    doi:10.1137/0719025), and halved until the loss falls.
    """
    problem = _Problem(design, objective, ridges, solved_in)
    nothing = np.zeros_like(start)
    nothing[0] = objective.start
    here, n_iter = min((problem.of(each) for each in (start, nothing)), key=lambda p: p.loss), 0
    while here.norm > tol and n_iter < max_iter:
        there, n_more = problem.after_step(here, tol, max_iter - n_iter)
        n_iter += n_more
        if there is None:
            break
        here = there
    if here.norm > max(tol, VISIBLE):
        remedy = "a greater max_iter" if n_iter >= max_iter else "weights that differ less"
        warn_caller(
            f"The additive student stopped after {n_iter} iterations of conjugate gradients, where "
            f"the norm of the gradient is {here.norm:.1g}; {tol:.1g} was asked for. Pass {remedy}, "
            "or a smaller C."
        )
    return here.theta, n_iter


@dataclass(frozen=True)
class _Point:
    """Coordinates, the weights and outputs that they stand for, mean loss and its gradient."""

    x: np.ndarray
    theta: np.ndarray
    outputs: np.ndarray
    loss: float
    gradient: np.ndarray

    @property
    def norm(self):
        return np.linalg.norm(self.gradient)


class _Problem:
    """The mean loss in coordinates in which its Hessian is close to the identity."""

    def __init__(self, design, objective, ridges, solved_in):
        self.design, self.objective, self.solved_in = design, objective, solved_in
        self.total = objective.weight.sum()
        self.root = np.sqrt(self.total)
        least = np.maximum(ridges[design.block][1:], LEAST_RIDGE * self.total)
        self.ridge = np.append(0.0, least)[:, None]

    def of(self, start):
        """Return the point of weights to start from, see `minimise`."""
        return self.at(self.solved_in.coordinates(start) / self.root)

    def at(self, x):
        theta = self._weights(x)
        outputs = self.design.outputs(theta)
        losses, row_gradient = self.objective.loss(outputs)
        loss = (losses.sum() + np.sum(self.ridge * theta**2) / 2) / self.total
        return _Point(x, theta, outputs, loss, self._gradient(row_gradient, theta))

    def after_step(self, here, tol, max_iter):
        """Return where a Newton step leads, and how many iterations solving it took.

        None if no part of it leads lower.
        """
        of_rows = self.objective.hessian(here.outputs)
        n_iter = 0

        def product(direction):
            theta = self._weights(direction.reshape(here.x.shape))
            return self._gradient(of_rows(self.design.outputs(theta)), theta).ravel()

        def count(_):
            nonlocal n_iter
            n_iter += 1

        hessian = LinearOperator((here.x.size, here.x.size), product, dtype=np.float64)
        step, _ = cg(
            hessian,
            -here.gradient.ravel(),
            rtol=min(ROUGHEST, np.sqrt(here.norm)),
            atol=tol / 2,
            maxiter=max_iter if here.norm <= NEAR else min(max_iter, MOST_WHERE_FAR),
            callback=count,
        )
        for share in SHARES:
            there = self.at(here.x + share * step.reshape(here.x.shape))
            if there.loss < here.loss or _is_as_low(there, here):
                return there, n_iter
        return None, n_iter

    def _weights(self, x):
        return _centred(self.solved_in.weights(self.root * x))

    def _gradient(self, row_gradient, theta):
        gradient = self.design.gradient(row_gradient) + self.ridge * theta
        return self.solved_in.gradient(_centred(gradient)) / self.root


def _is_as_low(there, here):
    """Whether a loss is no higher than by rounding, and its gradient smaller."""
    return there.loss <= here.loss + ROUNDING * abs(here.loss) and there.norm < here.norm


def _centred(columns):
    """Take the mean of all outputs from each, if there are more than one.

    What all classes have in common does not change the loss. Coordinates of every output alone do
    not know that: without this, conjugate gradients take ten times as many products.
    """
    return centred(columns) if columns.shape[1] > 1 else columns
