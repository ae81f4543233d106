"""Margins, probabilities, temperature and the distillation loss: pure maths on arrays.

margins --softmax(. / T)--> soft labels --mix with hard labels--> targets of a student

Nothing here knows about estimators, rows or columns.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

__all__ = [
    "SoftTargets",
    "calibration_temperature",
    "distillation_loss",
    "distillation_loss_gradient",
    "free_margins",
    "free_outputs",
    "margins_from_decision",
    "margins_from_proba",
    "proba_from_margins",
    "soften",
    "weighted_cross_entropy",
]

#: Keeps the logarithm of a probability of zero finite, far below anything a model can resolve.
SMALLEST_PROBABILITY = 1e-12

#: `calibration_temperature` looks for its minimum between these two temperatures.
TEMPERATURE_RANGE = (0.05, 20.0)


def proba_from_margins(margins):
    """Turn margins into probabilities: the softmax of every row.

    Parameters
    ----------
    margins : ndarray of shape (n_samples, n_classes)
        Pre-link scores.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        Non-negative rows that sum to 1.
    """
    return softmax(margins, axis=1)


def margins_from_proba(proba, floor=SMALLEST_PROBABILITY):
    """Turn probabilities into margins whose softmax gives the probabilities back.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Rows that sum to 1.
    floor : float or array-like of shape (n_classes,), default=1e-12
        The smallest probability of each class that can be told from zero. Entries below it are
        raised to it; every other entry keeps its value, up to the row's new sum.

    Returns
    -------
    margins : ndarray of shape (n_samples, n_classes)
        Log-probabilities; with two classes the first column is 0 and the second the log-odds.
    """
    log_proba = np.log(np.maximum(np.asarray(proba, dtype=np.float64), floor))
    if log_proba.shape[1] == 2:
        return margins_from_decision(log_proba[:, 1] - log_proba[:, 0])
    return log_proba - logsumexp(log_proba, axis=1, keepdims=True)


def margins_from_decision(decision):
    """Turn the output of a ``decision_function`` or raw boosting scores into margins.

    Parameters
    ----------
    decision : ndarray of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
        One column is the log-odds of the second of two classes.

    Returns
    -------
    margins : ndarray of shape (n_samples, n_classes)
        Float64. One column ``x`` becomes ``(0, x)``: ``(-x, x)`` would double the log-odds.
    """
    decision = np.asarray(decision, dtype=np.float64)
    if decision.ndim == 2 and decision.shape[1] > 1:
        return decision
    margins = np.zeros((len(decision), 2))
    margins[:, 1] = decision.reshape(-1)
    return margins


def free_outputs(margins):
    """Turn margins of shape (..., n_classes) into outputs of a model, one for two classes.

    Returns
    -------
    outputs : ndarray of shape (..., n_outputs)
        The log-odds, one output, for two classes; else the margins.
    """
    return margins[..., 1:] - margins[..., :1] if margins.shape[-1] == 2 else margins


def free_margins(proba):
    """Turn one distribution into the outputs of a model that answers with it.

    Parameters
    ----------
    proba : ndarray of shape (n_classes,)
        Sums to 1.

    Returns
    -------
    outputs : ndarray of shape (n_outputs,)
        The log-odds, one output, for two classes; else one log-probability per class.
    """
    log_proba = np.log(np.maximum(proba, SMALLEST_PROBABILITY))
    return free_outputs(log_proba)


def soften(margins, temperature=1.0):
    """Soft labels: the softmax of the margins divided by the temperature.

    Parameters
    ----------
    margins : ndarray of shape (n_samples, n_classes)
        Pre-link scores.
    temperature : float, default=1.0
        Larger than 0. Towards infinity the soft labels become uniform, towards 0 one-hot.

    Returns
    -------
    soft_labels : ndarray of shape (n_samples, n_classes)
        Probabilities.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531.
    """
    return softmax(np.asarray(margins) / temperature, axis=1)


@dataclass(frozen=True)
class SoftTargets:
    """What a student is asked to reproduce, row by row.

    Attributes
    ----------
    margins : ndarray of shape (n_samples, n_classes)
        The teacher's margins.
    codes : ndarray of shape (n_samples,)
        The observed class as an index into the columns of `margins`; -1 where none was observed.
    sample_weight : ndarray of shape (n_samples,)
        Non-negative weights.
    temperature : float
        Divides the margins of teacher and student in the soft term.
    alpha : float
        Weight of the soft term, in [0, 1]. Rows without an observed class have only that term.
    class_weight : ndarray of shape (n_classes,) or None
        What the weight of the hard term is multiplied by, by observed class; None for 1.
    """

    margins: np.ndarray
    codes: np.ndarray
    sample_weight: np.ndarray
    temperature: float = 1.0
    alpha: float = 1.0
    class_weight: np.ndarray | None = None

    @property
    def n_classes(self):
        """Number of classes."""
        return self.margins.shape[1]

    def take(self, rows):
        """Return the targets of some rows, given by a mask or by indices."""
        return replace(
            self,
            margins=self.margins[rows],
            codes=self.codes[rows],
            sample_weight=self.sample_weight[rows],
        )

    def soft_labels(self):
        """Teacher's probabilities at the temperature, of shape (n_samples, n_classes)."""
        return soften(self.margins, self.temperature)

    def soft_weight(self):
        """Weight of every row's soft term, of shape (n_samples,)."""
        return self.alpha * self.sample_weight

    def hard_weight(self):
        """Weight of every row's hard term, of shape (n_samples,); 0 where no class was observed."""
        weight = (1.0 - self.alpha) * self.sample_weight * (self.codes >= 0)
        return weight if self.class_weight is None else weight * self.class_weight[self.codes]

    def hard_labels(self):
        """One-hot rows of shape (n_samples, n_classes), all zero where no class was observed."""
        one_hot = np.zeros(self.margins.shape)
        observed = np.flatnonzero(self.codes >= 0)
        one_hot[observed, self.codes[observed]] = 1.0
        return one_hot

    def mixed(self):
        """Soft and hard labels as one distribution per row, and the row's weight, at T = 1.

        At T = 1 the distillation loss is, up to a constant, the cross-entropy against this mix:
        a student that fits weighted probabilities fits the loss.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            ``alpha * q + (1 - alpha) * y``, and ``q`` where no class was observed.
        weight : ndarray of shape (n_samples,)
            The sum of the weights of the row's two terms.
        """
        soft, hard = self.soft_weight(), self.hard_weight()
        weight = soft + hard
        share = np.divide(hard, weight, out=np.zeros_like(weight), where=weight > 0)[:, None]
        proba = (1.0 - share) * soften(self.margins) + share * self.hard_labels()
        return proba, weight

    def cross_entropies(self):
        """Write the distillation loss as a sum of weighted cross-entropies, up to a constant.

        Returns
        -------
        terms : list of tuple (temperature, proba, weight)
            The loss of a row is the sum over the terms of
            ``temperature**2 * weight * CE(proba, softmax(student_margins / temperature))``. At
            T = 1 there is one term, else the soft and the hard one; terms without weight are
            left out.
        """
        if self.temperature == 1.0:
            return [(1.0, *self.mixed())]
        terms = [
            (self.temperature, self.soft_labels(), self.soft_weight()),
            (1.0, self.hard_labels(), self.hard_weight()),
        ]
        return [term for term in terms if term[2].any()]

    def prior(self):
        """Mean of the mix over all rows, of shape (n_classes,): the best constant answer."""
        proba, weight = self.mixed()
        return np.average(proba, axis=0, weights=weight)

    def softened_mix(self):
        """`mixed`, softened by the temperature: what a student that knows no temperature sees."""
        proba, weight = self.mixed()
        if self.temperature != 1.0:
            with np.errstate(divide="ignore"):  # log 0 = -inf: a class that stays impossible
                proba = softmax(np.log(proba) / self.temperature, axis=1)
        return proba, weight


def distillation_loss(student_margins, targets):
    """Compute the distillation loss of every row.

    Parameters
    ----------
    student_margins : ndarray of shape (n_samples, n_classes)
        The student's pre-link scores at T = 1.
    targets : SoftTargets
        Teacher's margins, observed classes, weights, temperature and alpha.

    Returns
    -------
    loss : ndarray of shape (n_samples,)
        In nats, already multiplied by the row's weight.

    Notes
    -----
    ``w * (alpha * T**2 * KL(q_T || p_T) + (1 - alpha) * CE(y, p))`` with
    ``q_T = softmax(margins / T)`` and ``p_T = softmax(student_margins / T)``. The factor T**2
    keeps the gradient of the soft term at one scale for all temperatures.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531, section 2.
    """
    temperature = targets.temperature
    log_q = log_softmax(targets.margins / temperature, axis=1)
    log_p = log_softmax(student_margins / temperature, axis=1)
    soft = temperature**2 * np.sum(np.exp(log_q) * (log_q - log_p), axis=1)
    hard = -np.sum(targets.hard_labels() * log_softmax(student_margins, axis=1), axis=1)
    return targets.soft_weight() * soft + targets.hard_weight() * hard


def distillation_loss_gradient(student_margins, targets):
    """Compute the gradient of `distillation_loss` with respect to the student's margins.

    Parameters
    ----------
    student_margins : ndarray of shape (n_samples, n_classes)
        The student's pre-link scores at T = 1.
    targets : SoftTargets
        Teacher's margins, observed classes, weights, temperature and alpha.

    Returns
    -------
    gradient : ndarray of shape (n_samples, n_classes)
        ``w * (alpha * T * (p_T - q_T) + (1 - alpha) * (p - y))``.
    """
    return weighted_cross_entropy(student_margins, targets.cross_entropies())[1]


def weighted_cross_entropy(student_margins, terms):
    """Compute the distillation loss of every row, up to a constant, and its gradient.

    Parameters
    ----------
    student_margins : ndarray of shape (n_samples, n_classes)
        The student's pre-link scores at T = 1.
    terms : list of tuple (temperature, proba, weight)
        As `SoftTargets.cross_entropies` returns them: worth computing once for many calls.

    Returns
    -------
    loss : ndarray of shape (n_samples,)
        `distillation_loss` plus what does not depend on the student.
    gradient : ndarray of shape (n_samples, n_classes)
        The gradient of both with respect to the student's margins.
    """
    loss, gradient = np.zeros(len(student_margins)), np.zeros(student_margins.shape)
    for temperature, proba, weight in terms:
        z = student_margins / temperature
        entropy = logsumexp(z, axis=1) - np.sum(proba * z, axis=1)
        loss += temperature**2 * weight * entropy
        gradient += temperature * weight[:, None] * (softmax(z, axis=1) - proba)
    return loss, gradient


def calibration_temperature(margins, codes, sample_weight=None):
    """Find the temperature at which margins predict the observed classes best.

    Parameters
    ----------
    margins : ndarray of shape (n_samples, n_classes)
        Pre-link scores of a model on rows it was not fitted on.
    codes : ndarray of shape (n_samples,)
        The observed class as an index into the columns of `margins`.
    sample_weight : ndarray of shape (n_samples,), default=None
        Non-negative weights.

    Returns
    -------
    temperature : float
        The minimiser of the log loss of ``softmax(margins / T)``, between 0.05 and 20. Above 1
        the margins were overconfident, below 1 underconfident.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
    arXiv:1706.04599.
    """
    rows = np.arange(len(codes))

    def log_loss(log_temperature):
        log_proba = log_softmax(margins / np.exp(log_temperature), axis=1)
        return -np.average(log_proba[rows, codes], weights=sample_weight)

    found = minimize_scalar(log_loss, bounds=np.log(TEMPERATURE_RANGE), method="bounded")
    return float(np.exp(found.x))
