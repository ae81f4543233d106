"""Choose alpha row by row: how far each observed class is believed beside the teacher."""

from dataclasses import dataclass

import numpy as np

from skdistill.bootstrap import weighted_quantiles
from skdistill.caller import warn_caller
from skdistill.distill.held_out import (
    CLEAR,
    SIGNIFICANT,
    answered,
    are_few,
    held_out_opinions,
    lead_of_teacher,
)
from skdistill.soft_labels import proba_from_margins
from skdistill.stacking import log_losses, stack_margins, z_score

#: Alpha of a row whose label is fully believed, the default of `DistilledClassifier`.
BELIEVED = 0.8

#: Share of the rows without a class on which that class is the least probable: its label, where it
#: is observed there, says nothing.
TAIL = 0.1


@dataclass(frozen=True, repr=False)
class AlphaChoice:
    """How alpha was chosen row by row, and whether the teacher was refused.

    Losses are mean log losses in nats over the labelled rows that were held out from students of
    observed classes, of teacher and students after their own best affine map of margins each; NaN
    if there were too few rows to judge by.

    Attributes
    ----------
    is_refused : bool
        Whether the teacher was significantly worse than the students: then alpha is 0.
    floor : ndarray of shape (n_classes,)
        By class, the probability at which its label says nothing.
    teacher_loss, student_loss : float
        Loss of the teacher's honest answers, and of the students.
    lead : float
        By how many standard errors the teacher's loss is lower; refused below -2.
    """

    is_refused: bool
    floor: np.ndarray
    teacher_loss: float
    student_loss: float
    lead: float

    @property
    def noise(self):
        """Share of the labels that are taken to say nothing of their rows: the sum of `floor`."""
        return float(self.floor.sum())

    def of_rows(self, transfer_set):
        """Return alpha for the rows of a transfer set that the teacher labelled honestly.

        Returns
        -------
        row_alpha : ndarray of shape (n_samples,)
            In [0, 1]; 1 for rows without an observed class. 0 for all if the teacher is refused.
        """
        if self.is_refused:
            return np.zeros(len(transfer_set.y))
        row_alpha = np.ones(len(transfer_set.y))
        observed = transfer_set.y >= 0
        proba = proba_from_margins(transfer_set.margins[observed])
        row_alpha[observed] = alpha_from_agreement(proba, transfer_set.y[observed], self.floor)
        return row_alpha

    def in_words(self):
        """Say in a line what alpha is, and why."""
        if np.isnan(self.lead):
            return f"alpha {BELIEVED} where a class was observed: there is nothing to judge by"
        against = f"log loss of the teacher {self.teacher_loss:.4g}, of the student alone "
        against += f"{self.student_loss:.4g}"
        if self.is_refused:
            return f"alpha 0, the teacher is refused: {against}"
        return f"alpha from {BELIEVED} to 1, {self.noise:.0%} of the labels say nothing: {against}"

    def __str__(self):
        words = self.in_words()
        return f"{words[0].upper()}{words[1:]}."

    def __repr__(self):
        return f"<AlphaChoice: {self.in_words()}>"


def choose_row_alpha(student, transfer_set, cv):
    """Choose alpha for every row, or refuse the teacher; see `warn_of_refusal`.

    Parameters
    ----------
    student : estimator
        Not fitted, see `silenced`. Clones of it are fitted to the observed classes, each without
        one fold of the labelled rows, until the teacher leads clearly.
    transfer_set : TransferSet
        Rows with the teacher's honest margins.
    cv : int, cross-validation generator or iterable
        The folds.

    Returns
    -------
    row_alpha : ndarray of shape (n_samples,)
        In [0, 1]; 1 for rows without an observed class. 0 for all rows if the teacher is refused.
    choice : AlphaChoice
        Why.

    Notes
    -----
    The teacher is refused if its mean log loss is significantly higher than the students'. Between
    equals it is followed: a student that learns from it sees more rows, and smoother labels, than
    one that learns from classes alone. Both are compared after their own best affine maps of
    margins (Platt scaling): a forest on noisy labels is too sure of itself, and may know more than
    the students all the same. With fewer than 100 labelled rows nothing is judged, and alpha is 0.8
    where a class was observed.
    """
    labelled = transfer_set.take(transfer_set.origin == 0)
    n_classes = labelled.margins.shape[1]
    if n_classes == 1 or are_few(labelled):
        choice = AlphaChoice(False, np.zeros(n_classes), np.nan, np.nan, np.nan)
    else:
        losses, lead = _compare(student, labelled, cv)
        proba = proba_from_margins(labelled.margins)
        floor = noise_floor(proba, labelled.y, labelled.sample_weight)
        choice = AlphaChoice(bool(lead < -SIGNIFICANT), floor, *losses, lead)
    return choice.of_rows(transfer_set), choice


def warn_of_refusal():
    """Warn that the teacher is not followed."""
    # No figures: warnings of one text are shown once, not for every candidate of a grid search.
    warn_caller(
        "The student, fitted to the observed classes alone, predicts them significantly better "
        "than the teacher, so alpha='auto' refuses the teacher: alpha is 0, and unlabelled and "
        "synthetic rows are not used. Pass a better teacher, or a number as alpha to follow this "
        "one."
    )


def alpha_from_agreement(proba, codes, floor):
    """Turn the agreement of teacher and label into alpha.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        The teacher's honest probabilities.
    codes : ndarray of shape (n_samples,)
        Position of the observed class.
    floor : ndarray of shape (n_classes,)
        See `noise_floor`.

    Returns
    -------
    row_alpha : ndarray of shape (n_samples,)
        From 0.8, where the label is believed, to 1, where it says nothing.

    Notes
    -----
    A label is taken to be drawn from the row's true distribution p, or, with probability
    e = sum_k e_k, from e_k / e whatever the row is. The observed classes then follow
    q = (1 - e) p + (e_1, ..., e_K), which is what an honest teacher learns, and a label y was drawn
    from p with probability

        c = (1 - e) p_y / q_y = max(0, 1 - e_y / q_y),    alpha = 1 - 0.2 c.

    Weighted by c, labels are as good as clean: E[c onehot(y)] = (1 - e) p, so that the hard term
    pulls the student to p whatever the noise is. Without noise all labels count alike, however
    ambiguous the rows are: to distrust labels merely for being improbable would make the student
    too sure. This is importance reweighting with the noise rates found at anchor points.

    References
    ----------
    Liu and Tao, "Classification with Noisy Labels by Importance Reweighting", TPAMI 2016,
    arXiv:1411.7718. Li et al., "Learning from Noisy Labels with Distillation", ICCV 2017,
    arXiv:1703.02391. Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in
    Dataset Labels", JAIR 2021, arXiv:1911.00068.
    """
    of_label = proba[np.arange(len(codes)), codes]
    says_nothing = floor[codes] >= of_label
    ratio = np.divide(floor[codes], of_label, out=np.ones(len(codes)), where=~says_nothing)
    belief = 1.0 - ratio
    return 1.0 - (1.0 - BELIEVED) * belief


def noise_floor(proba, codes, sample_weight):
    """Find by class the probability of its label where it is there by noise alone.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        The teacher's honest probabilities.
    codes : ndarray of shape (n_samples,)
        Position of the observed class.
    sample_weight : ndarray of shape (n_samples,)
        Non-negative weights.

    Returns
    -------
    floor : ndarray of shape (n_classes,)
        For a class with a share of s of the weight, the quantile 0.1 (1 - s) of its probability:
        the largest on the tenth of the other classes' rows that is surest not to be of it. Their
        minimum is what the theory asks for; a quantile does not hang on one row.
    """
    shares = np.bincount(codes, sample_weight, proba.shape[1]) / sample_weight.sum()
    return np.array(
        [
            weighted_quantiles(column, np.argsort(column), [TAIL * (1.0 - share)], sample_weight)[0]
            for column, share in zip(proba.T, shares, strict=True)
        ]
    )


def _compare(student, labelled, cv):
    """Return the losses of the teacher and of held-out students, and the teacher's lead."""
    for opinion, _ in held_out_opinions(student, labelled, cv):
        if lead_of_teacher(labelled, opinion) > CLEAR:
            break
    sides, y, weight = answered(labelled, opinion)
    mapped = (stack_margins([z], y, weight).pooled([z]) for z in sides)
    teacher, student = (log_losses(z, y) for z in mapped)
    losses = tuple(float(np.average(each, weights=weight)) for each in (teacher, student))
    return losses, z_score(student - teacher, weight)
