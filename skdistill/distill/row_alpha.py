"""Choose alpha row by row: how much each observed class counts against the teacher."""

from dataclasses import dataclass

import numpy as np

from skdistill.distill.held_out import (
    CLEAR,
    SIGNIFICANT,
    answered,
    are_few,
    held_out_margins,
    lead_of_teacher,
)
from skdistill.messages import warn_caller
from skdistill.soft_labels import log_losses, proba_from_margins
from skdistill.stacking import stack_margins
from skdistill.weighted_statistics import weighted_quantiles, z_score

#: Alpha of a row whose label is trusted fully, the default of `DistilledClassifier`.
TRUSTED = 0.8

#: Share of the rows of other classes on which a class is the least probable: where its label is
#: observed there, it is taken for noise.
TAIL = 0.1


@dataclass(frozen=True, repr=False)
class AlphaChoice:
    """How alpha was chosen row by row, and whether the teacher was refused.

    Losses are mean log losses in nats over the labelled rows that were held out from students of
    observed classes, of teacher and students after their own best affine map of margins each; NaN
    if there were too few rows to compare them.

    Attributes
    ----------
    is_refused : bool
        Whether the teacher was significantly worse than the students: then alpha is 0.
    floor : ndarray of shape (n_classes,)
        By class, the probability up to which its label is taken for noise.
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
        """Share of the labels that are taken for noise: the sum of `floor`."""
        return float(self.floor.sum())

    def of_rows(self, transfer_set):
        """Return alpha for the rows of a transfer set that the teacher labelled honestly.

        It is 1 for rows without an observed class, and 0 for all if the teacher is refused.
        """
        if self.is_refused:
            return np.zeros(len(transfer_set.y))
        row_alpha = np.ones(len(transfer_set.y))
        observed = transfer_set.y >= 0
        proba = proba_from_margins(transfer_set.margins[observed])
        row_alpha[observed] = alpha_from_agreement(proba, transfer_set.y[observed], self.floor)
        return row_alpha

    def in_words(self):
        """Describe alpha and its reasons in one line."""
        if np.isnan(self.lead):
            return f"alpha {TRUSTED} where a class was observed: too few rows for a comparison"
        against = f"log loss of the teacher {self.teacher_loss:.4g}, of the student alone "
        against += f"{self.student_loss:.4g}"
        if self.is_refused:
            return f"alpha 0, the teacher is refused: {against}"
        return f"alpha from {TRUSTED} to 1, {self.noise:.0%} of labels taken for noise: {against}"

    def __str__(self):
        words = self.in_words()
        return f"{words[0].upper()}{words[1:]}."

    def __repr__(self):
        return f"<AlphaChoice: {self.in_words()}>"


def choose_row_alpha(student, transfer_set, cv):
    """Choose alpha for every row, or refuse the teacher with alpha 0; see `warn_of_refusal`.

    Clones of the student, see `silenced`, are fitted to the observed classes, each without one
    fold, until the teacher leads clearly. It is refused if its mean log loss is significantly
    higher than the students'. Without a significant difference it is followed: a student that
    learns from it has more rows, and smoother labels, than one that learns from classes alone. Both
    are compared after their own best affine maps of margins (Platt scaling): a forest on noisy
    labels is overconfident, and may still be better than the students. With fewer than 100 labelled
    rows they are not compared, and alpha is 0.8 where a class was observed.
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
    """Compute alpha from the agreement of a teacher's honest probabilities with the label.

    It is 0.8 where the label is trusted and 1 where it is taken for noise, see `noise_floor`.

    The model: a label is drawn from the row's true distribution p, or, with probability
    e = sum_k e_k, from e_k / e, independently of the row. The observed classes then follow
    q = (1 - e) p + (e_1, ..., e_K), which is what an honest teacher learns, and a label y was drawn
    from p with probability

        c = (1 - e) p_y / q_y = max(0, 1 - e_y / q_y),    alpha = 1 - 0.2 c.

    Weighted by c, labels are unbiased: E[c onehot(y)] = (1 - e) p, so that the hard term leads the
    student to p for any noise. Without noise all labels count the same, however ambiguous the rows
    are: to distrust labels only because they are improbable would make the student overconfident.
    This is importance reweighting with the noise rates found at anchor points.

    References
    ----------
    Liu and Tao, "Classification with Noisy Labels by Importance Reweighting", TPAMI 2016,
    arXiv:1411.7718. Li et al., "Learning from Noisy Labels with Distillation", ICCV 2017,
    arXiv:1703.02391. Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in
    Dataset Labels", JAIR 2021, arXiv:1911.00068.
    """
    of_label = proba[np.arange(len(codes)), codes]
    is_noise = floor[codes] >= of_label
    ratio = np.divide(floor[codes], of_label, out=np.ones(len(codes)), where=~is_noise)
    return 1.0 - (1.0 - TRUSTED) * (1.0 - ratio)


def noise_floor(proba, codes, sample_weight):
    """Estimate by class the probability of its label on rows where it can only be noise.

    For a class with a share s of the weight it is the quantile 0.1 (1 - s) of the teacher's honest
    probability: the largest on the tenth of the other classes' rows that are least probably of the
    class. The theory has their minimum, but that depends on a single row.
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
    for margins, _ in held_out_margins(student, labelled, cv):
        if lead_of_teacher(labelled, margins) > CLEAR:
            break
    sides, y, weight = answered(labelled, margins)
    mapped = (stack_margins([z], y, weight).combined([z]) for z in sides)
    teacher, student = (log_losses(z, y) for z in mapped)
    losses = tuple(float(np.average(each, weights=weight)) for each in (teacher, student))
    return losses, z_score(student - teacher, weight)
