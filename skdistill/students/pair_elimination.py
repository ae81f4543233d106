"""Of the tables of a fit, keep those without which the restricted likelihood would fall most."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpotri

from skdistill.students.additive_design import factorised
from skdistill.students.pairs import TIED


@dataclass(frozen=True)
class Tables:
    """The tables that are left, on the parabola that touches the loss at a fit.

    Attributes
    ----------
    block : ndarray of shape (n_codes,)
        The table of every code, increasing.
    theta : ndarray of shape (n_codes, n_outputs)
        The weights.
    covariances : list of ndarray of shape (n_codes, n_codes)
        Blocks of the inverse Hessians, of which all outputs may share one: curves adapt.
    """

    block: np.ndarray
    theta: np.ndarray
    covariances: list

    @classmethod
    def of(cls, chosen, design, first, total):
        """Return the tables of a fit, which are its last blocks, from the number `first` on."""
        start = np.searchsorted(design.block, first)
        ridge = chosen.ridges[design.block]
        covariances = [
            _inverse(factorised(hessian, ridge, total)[start:, start:])
            for hessian in chosen.hessians
        ]
        return cls(design.block[start:], chosen.theta[start:], covariances)

    def worth(self, table, ridge, dispersion):
        """Return twice what the loss would rise without a table, more than by noise alone."""
        at = slice(*np.searchsorted(self.block, (table, table + 1)))
        worth = 0.0
        for covariance, outputs in self._by_covariance():
            factor = cho_factor(covariance[at, at], lower=True, check_finite=False)
            theta = self.theta[at, outputs]
            log_det = -2.0 * np.log(np.diag(factor[0])).sum() - len(theta) * np.log(ridge)
            worth += np.sum(theta * cho_solve(factor, theta)) - dispersion * log_det * len(outputs)
        return worth

    def without(self, table):
        """Return all others, adapted to the absence of a table."""
        at, rest = self.block == table, self.block != table
        theta, covariances = self.theta[rest].copy(), []
        for covariance, outputs in self._by_covariance():
            cross = covariance[np.ix_(at, rest)]
            factor = cho_factor(covariance[np.ix_(at, at)], lower=True, check_finite=False)
            theta[:, outputs] -= cross.T @ cho_solve(factor, self.theta[np.ix_(at, outputs)])
            left = covariance[np.ix_(rest, rest)] - cross.T @ cho_solve(factor, cross)
            covariances.append(left)
        return Tables(self.block[rest], theta, covariances)

    def _by_covariance(self):
        """Pair the covariances with the outputs that share them."""
        outputs = np.split(np.arange(self.theta.shape[1]), len(self.covariances))
        return zip(self.covariances, outputs, strict=True)


def missed_most(chosen, design, objective, unit, first, n_kept):
    """Drop tables one by one, always the one that is missed least, until so many are left.

    Parameters
    ----------
    chosen : ChosenRidges
        The fit.
    design : AdditiveDesign
        Curves and tables.
    objective : Objective
        The loss.
    unit : float
        What the weights of the rows were divided by.
    first : int
        The number of the first block that is a table.
    n_kept : int
        How many tables to keep.

    Returns
    -------
    is_kept : ndarray of shape (n_blocks,)
        Whether a block is a table that is left, or no table.

    Notes
    -----
    With the weights ``t`` of a table and their block ``S`` of the inverse Hessian, the penalised
    loss rises by ``t' S^-1 t / 2`` without it, when all others have adapted (Hassibi and Stork,
    "Second Order Derivatives for Network Pruning: Optimal Brain Surgeon", NIPS 1992). Noise alone
    lets a large table rise, too; as in the restricted likelihoods of both models (Wood,
    "Generalized Additive Models", 2nd ed., 2017, section 6.2), ``log det(S^-1 / ridge) / 2`` times
    the dispersion is subtracted.
    """
    outputs = design.outputs(chosen.theta)
    curvature = objective.curvature(outputs)
    dispersion = objective.dispersion(objective.loss(outputs)[1], curvature) / unit
    tables = Tables.of(chosen, design, first, objective.weight.sum())
    left = list(range(first, design.n_blocks))
    while len(left) > n_kept:
        worth = np.array([tables.worth(k, chosen.ridges[k], dispersion) for k in left])
        in_shares = np.round(worth / (np.max(np.abs(worth)) or 1.0), TIED)
        weakest = left.pop(len(left) - 1 - np.argmin(in_shares[::-1]))
        tables = tables.without(weakest)
    return np.isin(np.arange(design.n_blocks), [*range(first), *left])


def _inverse(factor):
    """Return the inverse of a matrix, given by its lower Cholesky factor."""
    inverse, _ = dpotri(factor, lower=True)
    return np.tril(inverse) + np.tril(inverse, -1).T
