"""Margins, probabilities, temperature and the distillation loss: functions of arrays.

margins --softmax(. / T)--> soft labels --mix with hard labels--> targets of a student

Nothing here knows about estimators, rows or columns.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import entr, log_softmax, logsumexp, rel_entr, softmax

__all__ = [
    "LOSSES",
    "HintTargets",
    "SoftTargets",
    "Term",
    "calibration_temperature",
    "distillation_loss",
    "distillation_loss_gradient",
    "free_margins",
    "free_outputs",
    "js_of_rows",
    "kl_of_rows",
    "log_losses",
    "margins_from_decision",
    "margins_from_proba",
    "proba_from_margins",
    "soften",
    "weighted_curvature",
    "weighted_hessian",
    "weighted_loss",
]

#: What the soft term of the distillation loss may be, see `distillation_loss`.
LOSSES = ("kl", "logit_mse", "brier", "js")

#: Keeps the logarithm of a probability of zero finite, far below what a model can resolve.
SMALLEST_PROBABILITY = 1e-12

#: `calibration_temperature` looks for its minimum between these two temperatures.
TEMPERATURE_RANGE = (0.05, 20.0)


def proba_from_margins(margins):
    """Turn margins into probabilities: the softmax of every row."""
    return softmax(margins, axis=1)


def margins_from_proba(proba, floor=SMALLEST_PROBABILITY):
    """Turn probabilities into margins whose softmax gives the probabilities back.

    With two classes the first column is 0 and the second the log-odds; with more, columns are
    log-probabilities. `floor`, a number or one per class, is the smallest probability that differs
    from zero: entries below are raised to it, the others keep their values, up to the new sum of
    the row.
    """
    log_proba = np.log(np.maximum(np.asarray(proba, dtype=np.float64), floor))
    if log_proba.shape[1] == 2:
        return margins_from_decision(log_proba[:, 1] - log_proba[:, 0])
    return log_proba - logsumexp(log_proba, axis=1, keepdims=True)


def margins_from_decision(decision):
    """Turn the output of a ``decision_function`` or raw boosting scores into float64 margins.

    One column ``x``, the log-odds, becomes ``(0, x)``: ``(-x, x)`` would double the log-odds.
    """
    decision = np.asarray(decision, dtype=np.float64)
    if decision.ndim == 2 and decision.shape[1] > 1:
        return decision
    margins = np.zeros((len(decision), 2))
    margins[:, 1] = decision.reshape(-1)
    return margins


def free_outputs(margins):
    """Turn margins into outputs of a model: the log-odds alone if there are two classes."""
    return margins[..., 1:] - margins[..., :1] if margins.shape[-1] == 2 else margins


def free_margins(proba):
    """Turn one distribution into the outputs, see `free_outputs`, of a model that predicts it."""
    log_proba = np.log(np.maximum(proba, SMALLEST_PROBABILITY))
    return free_outputs(log_proba)


def soften(margins, temperature=1.0):
    """Soft labels: the softmax of the margins divided by the temperature.

    The temperature is larger than 0; towards infinity they become uniform, towards 0 one-hot.
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531.
    """
    return softmax(np.asarray(margins) / temperature, axis=1)


def log_losses(margins, codes):
    """Log loss of every row, of shape (n_samples,), in nats."""
    return -log_softmax(margins, axis=1)[np.arange(len(codes)), codes]


def kl_of_rows(teacher_proba, student_proba):
    """Kullback-Leibler divergence of every row, of shape (n_samples,), in nats."""
    return rel_entr(teacher_proba, np.maximum(student_proba, SMALLEST_PROBABILITY)).sum(axis=1)


def js_of_rows(teacher_proba, student_proba):
    """Jensen-Shannon divergence of every row, of shape (n_samples,), in nats."""
    middle = (teacher_proba + student_proba) / 2
    return (rel_entr(teacher_proba, middle) + rel_entr(student_proba, middle)).sum(axis=1) / 2


class HintTargets(NamedTuple):
    """A hint, and its targets on every row; see `Hint.compute_targets`."""

    hint: Any
    targets: np.ndarray

    def take(self, rows):
        """Return the targets of some rows, given by a mask or by indices."""
        return self._replace(targets=self.targets[rows])


class Term(NamedTuple):
    """A term of the distillation loss, see `weighted_loss`.

    Attributes
    ----------
    loss : str
        One of `LOSSES`.
    temperature : float
        Divides the student's margins.
    target : ndarray of shape (n_samples, n_classes)
        Probabilities; for "logit_mse" centred margins divided by the temperature.
    weight : ndarray of shape (n_samples,)
        Of the rows.
    """

    loss: str
    temperature: float
    target: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class SoftTargets:
    """What a student learns from, row by row.

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
    alpha : float or ndarray of shape (n_samples,)
        Weight of the soft term, in [0, 1]. Rows without an observed class have only that term.
    class_weight : ndarray of shape (n_classes,) or None
        What the weight of the hard term is multiplied by, by observed class; None for 1.
    loss : {"kl", "logit_mse", "brier", "js"}
        The soft term, see `distillation_loss`.
    hints : tuple of HintTargets
        What else the student learns.
    """

    margins: np.ndarray
    codes: np.ndarray
    sample_weight: np.ndarray
    temperature: float = 1.0
    alpha: float | np.ndarray = 1.0
    class_weight: np.ndarray | None = None
    loss: str = "kl"
    hints: tuple = ()

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
            alpha=self.alpha if np.ndim(self.alpha) == 0 else np.asarray(self.alpha)[rows],
            hints=tuple(hint.take(rows) for hint in self.hints),
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

        At T = 1 the distillation loss is, up to a constant, the cross-entropy against this mix,
        ``alpha * q + (1 - alpha) * y`` (``q`` where no class was observed): a student that fits
        weighted probabilities fits the loss. The weight is the sum of those of the row's two terms.
        """
        soft, hard = self.soft_weight(), self.hard_weight()
        weight = soft + hard
        share = np.divide(hard, weight, out=np.zeros_like(weight), where=weight > 0)[:, None]
        proba = (1.0 - share) * soften(self.margins) + share * self.hard_labels()
        return proba, weight

    def terms(self):
        """Write the distillation loss as a list of terms, up to a constant.

        With "kl" at T = 1 there is one, against the mix of soft and hard labels, else the soft and
        the hard one; terms without weight are left out.
        """
        if self.loss == "kl" and self.temperature == 1.0:
            return [Term("kl", 1.0, *self.mixed())]
        target = self.soft_labels()
        if self.loss == "logit_mse":
            target = centred(self.margins) / self.temperature
        terms = [
            Term(self.loss, self.temperature, target, self.soft_weight()),
            Term("kl", 1.0, self.hard_labels(), self.hard_weight()),
        ]
        return [term for term in terms if term.weight.any()]

    def prior(self):
        """Mean of the mix over all rows, of shape (n_classes,): the best constant answer."""
        proba, weight = self.mixed()
        return np.average(proba, axis=0, weights=weight)

    def softened_mix(self):
        """`mixed`, softened by the temperature, for students that have no temperature."""
        proba, weight = self.mixed()
        if self.temperature != 1.0:
            with np.errstate(divide="ignore"):  # log 0 = -inf: a class that stays impossible
                proba = softmax(np.log(proba) / self.temperature, axis=1)
        return proba, weight


def centred(margins):
    """Return margins minus their mean over the classes, which does not change the softmax."""
    return margins - np.mean(margins, axis=1, keepdims=True)


def distillation_loss(student_margins, targets):
    """Compute the distillation loss of every row.

    Parameters
    ----------
    student_margins : ndarray of shape (n_samples, n_classes)
        The student's pre-link scores at T = 1.
    targets : SoftTargets
        Teacher's margins, observed classes, weights, temperature, alpha and loss.

    Returns
    -------
    loss : ndarray of shape (n_samples,)
        In nats with "kl" and "js", already multiplied by the row's weight.

    Notes
    -----
    ``w * (alpha * T**2 * D(q_T, p_T) + (1 - alpha) * CE(y, p))`` with
    ``q_T = softmax(margins / T)``, ``p_T = softmax(student_margins / T)`` and as D

    - "kl": ``sum(q * log(q / p))``;
    - "logit_mse": ``sum((z - v)**2) / (2 * n_classes)`` of centred margins z and v of student and
      teacher, both divided by T. This is the limit of "kl" for T towards infinity;
    - "brier": ``sum((q - p)**2)``;
    - "js": ``(KL(q || m) + KL(p || m)) / 2`` with ``m = (q + p) / 2``, at most log 2.

    The factor T**2 keeps the gradient of the soft term at one scale for all temperatures.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531, section 2 and equation 4. Ba and Caruana, "Do Deep Nets Really Need to be
    Deep?", NeurIPS 2014, arXiv:1312.6184, for logits. Brier, "Verification of Forecasts Expressed
    in Terms of Probability", Monthly Weather Review 78 (1950). Lin, "Divergence Measures Based on
    the Shannon Entropy", IEEE Transactions on Information Theory 37 (1991),
    doi:10.1109/18.61115.
    """
    loss, _ = weighted_loss(student_margins, targets.terms())
    return loss - _least_loss(targets)


def distillation_loss_gradient(student_margins, targets):
    """Compute the gradient of `distillation_loss` with respect to the student's margins.

    With "kl" it is ``w * (alpha * T * (p_T - q_T) + (1 - alpha) * (p - y))``.
    """
    return weighted_loss(student_margins, targets.terms())[1]


def weighted_loss(student_margins, terms):
    """Compute the distillation loss of every row, up to a constant, and its gradient.

    The loss is the sum over the terms of ``T**2 * weight * D(target, student_margins / T)``, where
    the divergence "kl" is taken without the entropy of the target; the gradient is that with
    respect to the student's margins.
    """
    loss, gradient = np.zeros(len(student_margins)), np.zeros(student_margins.shape)
    for kind, temperature, target, weight in terms:
        divergence, slope = _DIVERGENCES[kind](student_margins / temperature, target)
        loss += temperature**2 * weight * divergence
        gradient += temperature * weight[:, None] * slope
    return loss, gradient


def weighted_curvature(student_margins, terms):
    """Compute the second derivative of `weighted_loss` with respect to every margin.

    It is of shape (n_samples, n_classes), and that of the convex terms, "kl" and "logit_mse".
    """
    curvature = np.zeros(student_margins.shape)
    for kind, temperature, _, weight in terms:
        p = softmax(student_margins / temperature, axis=1)
        p = p if kind == "kl" else np.full_like(p, 1.0 / p.shape[1])
        curvature += weight[:, None] * p * (1.0 - p)
    return curvature


def weighted_hessian(student_margins, terms):
    """Return what multiplies a direction by every row's Hessian of `weighted_loss`.

    Directions and products are of shape (n_samples, n_classes). The Hessian is that of the convex
    terms, "kl" and "logit_mse".
    """
    parts = [
        (softmax(student_margins / temperature, axis=1) if kind == "kl" else None, weight[:, None])
        for kind, temperature, _, weight in terms
    ]

    def product(direction):
        total = np.zeros(direction.shape)
        for p, weight in parts:
            if p is None:
                total += weight * centred(direction) / direction.shape[1]
            else:
                mean = np.einsum("ij,ij->i", p, direction)[:, None]
                total += weight * p * (direction - mean)
        return total

    return product


def _cross_entropy(z, q):
    # Additive students compute this hundreds of times: SciPy's functions would take thrice as long.
    highest = np.max(z, axis=1)
    p = np.exp(z - highest[:, None])
    total = np.einsum("ij->i", p)
    p /= total[:, None]
    return np.log(total) + highest - np.einsum("ij,ij->i", q, z), p - q


def _logit_mse(z, v):
    difference = centred(z) - v
    return np.mean(difference**2, axis=1) / 2, difference / z.shape[1]


def _brier(z, q):
    p = softmax(z, axis=1)
    return np.sum((p - q) ** 2, axis=1), _through_softmax(p, 2 * (p - q))


def _js(z, q):
    log_p = log_softmax(z, axis=1)
    p = np.exp(log_p)
    with np.errstate(divide="ignore"):  # log 0 = -inf, which adds nothing
        log_m = np.logaddexp(log_p, np.log(q)) - np.log(2)
    return js_of_rows(q, p), _through_softmax(p, (log_p - log_m) / 2)


def _through_softmax(p, slope):
    """Turn a gradient with respect to probabilities into one with respect to their margins."""
    return p * (slope - np.sum(p * slope, axis=1, keepdims=True))


_DIVERGENCES = {"kl": _cross_entropy, "logit_mse": _logit_mse, "brier": _brier, "js": _js}


def _least_loss(targets):
    """Compute the `weighted_loss` of a student that predicts the soft labels."""
    if targets.loss != "kl":
        return np.zeros(len(targets.codes))
    entropy = entr(targets.soft_labels()).sum(axis=1)
    return targets.temperature**2 * targets.soft_weight() * entropy


def calibration_temperature(margins, codes, sample_weight=None):
    """Find the temperature at which margins of held-out rows predict their classes, `codes`, best.

    It minimises the log loss of ``softmax(margins / T)`` between 0.05 and 20: above 1 the margins
    were overconfident, below 1 underconfident. Guo, Pleiss, Sun and Weinberger, "On Calibration of
    Modern Neural Networks", ICML 2017, arXiv:1706.04599.
    """
    rows = np.arange(len(codes))

    def log_loss(log_temperature):
        log_proba = log_softmax(margins / np.exp(log_temperature), axis=1)
        return -np.average(log_proba[rows, codes], weights=sample_weight)

    found = minimize_scalar(log_loss, bounds=np.log(TEMPERATURE_RANGE), method="bounded")
    return float(np.exp(found.x))
