"""Pool the predictions of several teachers, and find their weights."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from skdistill.soft_labels import margins_from_decision

#: Confidence of a teacher that predicts the uniform distribution: if all do, their own weights
#: decide.
SMALLEST_CONFIDENCE = 1e-6

#: Weights below this are zero: the optimiser's last digits.
SMALLEST_WEIGHT = 1e-6


@dataclass(frozen=True)
class PooledAnswers:
    """The predictions of several teachers for the same rows, pooled; used like `Answers`.

    Attributes
    ----------
    parts : tuple of Answers
        Of every teacher, to the same rows.
    weights : ndarray of shape (n_teachers,)
        Non-negative; sum to 1.
    combine : {"mean", "log_pool", "confidence"}
        How they are pooled, see `pool_margins`.
    """

    parts: tuple
    weights: np.ndarray
    combine: str

    #: Margins have no floor: those of the parts are in them.
    floor = None

    @property
    def values(self):
        """The pooled margins, of shape (n_samples, n_classes)."""
        return self.margins()

    def margins(self, shift=None):
        """Pool the margins, with `shift` added to every row to correct for the prior.

        The pool is corrected, not its parts; but what a part cannot tell from zero is raised to a
        floor relative to the corrected base rate, see `Answers.margins`.
        """
        margins = np.stack([part.margins(shift) for part in self.parts])
        if shift is None:
            margins = pool_margins(margins, self.weights, self.combine)
        else:
            margins = pool_margins(margins - shift, self.weights, self.combine) + shift
        if margins.shape[1] == 2:
            return margins_from_decision(margins[:, 1] - margins[:, 0])
        return margins


def pool_margins(margins, weights, combine):
    """Pool margins of shape (n_teachers, n_samples, n_classes) with weights that sum to 1.

    `combine` is "mean", the weighted mean of the probabilities, "log_pool", the weighted sum of the
    margins, or "confidence", the mean with weights that are multiplied by each teacher's
    `confidence` in the row. The softmax of what is returned is the pooled probability.
    """
    if combine == "log_pool":
        return np.tensordot(weights, margins, 1)
    log_proba = log_softmax(margins, axis=2)
    of_row = weights[:, None]
    if combine == "confidence":
        of_row = of_row * confidence(log_proba)
        of_row = of_row / of_row.sum(axis=0)
    return logsumexp(log_proba, axis=0, b=of_row[:, :, None])


def confidence(log_proba):
    """Return one minus the entropy of distributions, relative to that of the uniform one.

    From about 0 (uniform) to 1 (one-hot, or a single class); classes are the last axis.
    """
    if log_proba.shape[-1] == 1:
        return np.ones(log_proba.shape[:-1])
    entropy = -(np.exp(log_proba) * log_proba).sum(axis=-1)
    return np.maximum(1.0 - entropy / np.log(log_proba.shape[-1]), SMALLEST_CONFIDENCE)


def pooling_weights(margins, combine, codes, sample_weight):
    """Find the weights, non-negative and of sum 1, with which the pool predicts y best.

    Parameters
    ----------
    margins : ndarray of shape (n_teachers, n_samples, n_classes)
        Margins of each teacher for rows it was not fitted on.
    combine : {"mean", "log_pool", "confidence"}
        How they are pooled.
    codes, sample_weight : ndarray of shape (n_samples,)
        The observed class as an index into the columns, and the weight of the row.

    Returns
    -------
    weights : ndarray of shape (n_teachers,)
        The minimiser of the mean log loss. One row's worth of a quadratic penalty draws them
        towards equal ones, so that equal teachers get equal weights.
    """
    n_teachers, n_samples = margins.shape[:2]
    equal = np.full(n_teachers, 1.0 / n_teachers)
    share = sample_weight / sample_weight.sum()
    log_loss = (_log_pool_loss if combine == "log_pool" else _linear_pool_loss)(
        margins, combine, codes, share
    )

    def penalised_log_loss(weights):
        loss, gradient = log_loss(weights)
        away = weights - equal
        return loss + np.dot(away, away) / (2 * n_samples), gradient + away / n_samples

    found = minimize(
        penalised_log_loss,
        equal,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * n_teachers,
        constraints={
            "type": "eq",
            "fun": lambda weights: weights.sum() - 1.0,
            "jac": np.ones_like,
        },
        options={"ftol": 1e-10},
    )
    weights = np.where(found.x < SMALLEST_WEIGHT, 0.0, found.x)
    return weights / weights.sum()


def _log_pool_loss(margins, combine, codes, share):
    """Make the function that gives mean log loss and gradient of a logarithmic pool."""
    rows = np.arange(len(codes))

    def log_loss(weights):
        log_proba = log_softmax(pool_margins(margins, weights, combine), axis=1)
        slope = share[:, None] * np.exp(log_proba)
        slope[rows, codes] -= share
        return -np.dot(share, log_proba[rows, codes]), np.tensordot(margins, slope, 2)

    return log_loss


def _linear_pool_loss(margins, combine, codes, share):
    """Make the same for a linear pool, ``weights @ right / weights @ heard`` per row."""
    log_proba = log_softmax(margins, axis=2)
    heard = np.ones(log_proba.shape[:2])
    if combine == "confidence":
        heard = confidence(log_proba)
    right = heard * np.exp(log_proba[:, np.arange(len(codes)), codes])

    def log_loss(weights):
        of_all = weights @ heard
        of_right = np.maximum(weights @ right, np.finfo(float).tiny)
        loss = np.dot(share, np.log(of_all) - np.log(of_right))
        return loss, (heard / of_all - right / of_right) @ share

    return log_loss
