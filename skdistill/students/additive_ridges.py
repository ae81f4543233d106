"""Choose a ridge for every curve and every table.

The generalised Fellner-Schall method approaches the largest restricted likelihood: a column that
has nothing to say gets a flat curve. Wood and Fasiolo, "A Generalized Fellner-Schall Method for
Smoothing Parameter Optimization with Application to Tweedie Location, Scale and Shape Models",
Biometrics 73 (2017), doi:10.1111/biom.12666.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dtrtri

from skdistill.students.additive_design import (
    ROUNDING,
    Cholesky,
    constant,
    equal_ridges,
    times_each,
    with_zeros,
)

#: Ridge that the search for the ridge of a table starts from, in rows.
FIRST_RIDGE = 10.0

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
STALE = 0.3

#: Ridges are chosen this many times on every parabola, once for a rough result.
CHOICES = 2

#: Shares of a step that are tried.
SHARES = 0.5 ** np.arange(8)

#: Digits that are kept of the logarithms of ridges.
GRID = 4

#: The logarithms of ridges change by this many times what the method says, as its steps are short.
LONGER = 1.7


@dataclass(frozen=True)
class ChosenRidges:
    """A fit on the way to which ridges were chosen.

    Attributes
    ----------
    theta : ndarray of shape (n_codes, n_outputs)
        Weights near the solution.
    ridges : ndarray of shape (n_blocks,)
        The ridge of every block; that of the intercept is 0.
    freedom : ndarray of shape (n_blocks,)
        The effective degrees of freedom of every block.
    hessians : list of ndarray of shape (n_codes, n_codes)
        The Hessians near the solution of all outputs, which may share one.
    """

    theta: np.ndarray
    ridges: np.ndarray
    freedom: np.ndarray
    hessians: list

    @property
    def is_used(self):
        """Whether a block is not flat, of shape (n_blocks,)."""
        return np.append(True, self.freedom[1:] >= LEAST_FREEDOM)

    def factors(self, design, codes, total):
        """Factorise the Hessians of some codes, given by a mask, of the fitted design."""
        hessians = [each[np.ix_(codes, codes)] for each in self.hessians]
        return Cholesky.of(hessians, self.ridges[design.block][codes], total)


def choose_ridges(design, objective, unit, before=None, is_rough=False, least=0.0):
    """Choose a ridge per block.

    Parameters
    ----------
    design : AdditiveDesign
        Curves and tables.
    objective : Objective
        The loss.
    unit : float
        What the weights of the rows were divided by.
    before : ChosenRidges, default=None
        A fit of the first blocks to start from.
    is_rough : bool, default=False
        Whether one parabola is enough.
    least : float, default=0.0
        No ridge is less, but that of the intercept.

    Returns
    -------
    chosen : ChosenRidges
        Ridges, and weights near the solution.
    """
    theta, ridges = constant(design, objective), equal_ridges(design, 1.0 / unit)
    if before is not None:
        theta = with_zeros(design, before.theta)
        ridges[len(before.ridges) :] = FIRST_RIDGE / unit
        # One parabola is too few to let a curve bend that was flat before tables needed it.
        most = FIRST_RIDGE / unit if is_rough else np.inf
        ridges[: len(before.ridges)] = np.minimum(before.ridges, most)
    ridges[1:] = np.maximum(ridges[1:], least)
    outputs = design.outputs(theta)
    losses, row_gradient = objective.loss(outputs)
    settled = SETTLED * objective.loss(0.0 * outputs + objective.start)[0].sum()
    loss_before, of_hessians, n_rounds = np.inf, None, 0
    most_rounds = FEW_ROUNDS if is_rough else ROUNDS
    for n_steps in range(1, 2 + most_rounds + SHORT_STEPS):
        curvature = objective.curvature(outputs)
        if of_hessians is None or _change(of_hessians, curvature) > STALE:
            is_first = of_hessians is None and not np.any(theta[1:])
            of_hessians = objective.first_curvature if is_first else curvature
            hessians = design.hessians(of_hessians)
            factors = None
        if factors is None:
            factors, freedom = _factorised(design, objective, hessians, ridges)
        right = times_each(hessians, theta) - design.gradient(row_gradient)
        goal = factors.solve(right)
        theta, outputs, is_whole = _step(design, objective, theta, goal, ridges, losses.sum())
        losses, row_gradient = objective.loss(outputs)
        if not is_whole:  # far from their minimum, weights tell nothing of their ridges
            continue
        is_last = n_rounds == most_rounds or n_steps == 1 + most_rounds + SHORT_STEPS
        if is_last or abs(loss_before - losses.sum()) <= settled:
            break
        n_rounds += 1
        loss_before = losses.sum()
        dispersion = objective.dispersion(row_gradient, objective.curvature(outputs))
        for choice in range(1 if is_rough else CHOICES):
            if choice:
                factors, freedom = _factorised(design, objective, hessians, ridges)
                goal = factors.solve(right)
            ridges = _fellner_schall(design, goal, freedom, dispersion, ridges, unit)
            ridges[1:] = np.maximum(ridges[1:], least)
        factors = None
    return ChosenRidges(theta, _rounded(ridges), freedom, hessians)


def _rounded(ridges):
    """Round ridges to a grid, so that the order of rows, which changes last digits, does not."""
    exponent = np.log(np.maximum(ridges, np.finfo(float).tiny))
    return np.where(ridges > 0, np.exp(np.round(exponent, GRID)), 0.0)


def _change(before, now):
    """Return by which share the curvatures of rows have changed."""
    return np.abs(now - before).sum() / max(now.sum(), np.finfo(float).tiny)


def _factorised(design, objective, hessians, ridges):
    """Return the factors of the Hessians with ridges, and the effective degrees of freedom."""
    ridge = ridges[design.block]
    factorised = Cholesky.of(hessians, ridge, objective.weight.sum())
    spared = 0.0
    for factor in factorised.factors:
        root, _ = dtrtri(factor, lower=True)  # of the inverse, of which the diagonal is needed
        spared = spared + 1.0 - ridge * np.einsum("ij,ij->j", root, root)
    n_sharing = len(objective.start) / len(hessians)
    return factorised, np.maximum(design.by_block(n_sharing * spared), 0.0)


def _fellner_schall(design, theta, freedom, dispersion, ridges, unit):
    squares = design.by_block(np.sum(theta**2, axis=1))[1:]
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
