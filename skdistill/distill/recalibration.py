"""Recalibrate a student where distillation made its calibration worse than its teacher's."""

from dataclasses import dataclass, replace

import numpy as np

from skdistill.columns import take_rows
from skdistill.distill.held_out import SIGNIFICANT, SMALLEST_SET
from skdistill.estimators import last_step
from skdistill.soft_labels import log_losses, margins_from_decision
from skdistill.stacking import stack_margins
from skdistill.students.fitting import distill_classifier
from skdistill.teacher.labelling import folds
from skdistill.weighted_statistics import z_score


@dataclass(frozen=True, repr=False)
class Recalibration:
    """The affine map of a student's margins that predicts the classes of held-out rows best.

    All losses are mean log losses in nats over those rows.

    Attributes
    ----------
    slope : float
        What the margins are multiplied by; below 1 the student was overconfident.
    intercept : ndarray of shape (n_classes,)
        What is then added to them.
    n_samples : int
        Number of held-out rows.
    student_loss, recalibrated_loss : float
        Loss of the student as it was distilled, and with the map.
    teacher_loss, recalibrated_teacher_loss : float
        The same of the teacher and its own best map.
    excess : float
        By how many standard errors the student gains more from its map than the teacher would.
    """

    slope: float
    intercept: np.ndarray
    n_samples: int
    student_loss: float
    recalibrated_loss: float
    teacher_loss: float
    recalibrated_teacher_loss: float
    excess: float

    @property
    def is_called_for(self):
        """Whether the student is significantly worse calibrated than its teacher."""
        return self.excess > SIGNIFICANT

    def in_words(self):
        """Describe the map and its losses in one line."""
        shift = self.intercept - self.intercept[0]
        shifts = ", ".join(f"{each:+.2f}" for each in shift[1:])
        return (
            f"margins times {self.slope:.2f}, {shifts}: log loss {self.recalibrated_loss:.4g} "
            f"instead of {self.student_loss:.4g} on {self.n_samples:,} held-out rows; the "
            f"teacher's would fall from {self.teacher_loss:.4g} to "
            f"{self.recalibrated_teacher_loss:.4g} by its own best map"
        )

    def __str__(self):
        return f"The student is recalibrated, {self.in_words()}."

    def __repr__(self):
        return f"<Recalibration: {self.in_words()}>"


def recalibration_of(student_margins, teacher_margins, codes, sample_weight):
    """Find the best map of a student's margins, and compare its calibration with the teacher's.

    Both margins are of rows that neither was fitted on. The map may not be called for.

    References
    ----------
    Platt, "Probabilistic Outputs for Support Vector Machines", 1999. Guo, Pleiss, Sun and
    Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599.
    """
    losses, gains, maps = [], [], []
    for margins in (student_margins, teacher_margins):
        affine = stack_margins([margins], codes, sample_weight)
        before, after = (log_losses(z, codes) for z in (margins, affine.combined([margins])))
        losses += [float(np.average(loss, weights=sample_weight)) for loss in (before, after)]
        gains.append(before - after)
        maps.append(affine)
    return Recalibration(
        float(maps[0].weights[0]),
        maps[0].intercept,
        len(codes),
        *losses,
        excess=z_score(gains[0] - gains[1], sample_weight),
    )


def honest_recalibration(student, transfer_set, temperature, alpha, cv, generations=1):
    """Find the map of a student by a clone that is fitted without some labelled rows.

    The first fold of the labelled rows is held out; synthetic rows are left out. None if there are
    too few labelled rows, or one class only.
    """
    labelled = np.flatnonzero(transfer_set.origin == 0)
    y = transfer_set.y[labelled]
    if np.count_nonzero(transfer_set.sample_weight[labelled]) < SMALLEST_SET:
        return None
    X = take_rows(transfer_set.X, labelled)
    held_out = labelled[folds(cv, X, y, True)[0][1]]
    others = transfer_set.without(held_out)
    clone = distill_classifier(student, others, temperature, alpha, generations)
    return recalibration_on(clone, transfer_set.take(held_out))


def recalibration_on(student, honest):
    """Find the map of a fitted student on held-out rows; None if they have one class only."""
    if len(np.unique(honest.y[honest.sample_weight > 0])) < 2:
        return None
    weight = replace(honest, row_alpha=None).soft_targets(1.0, 0.0).hard_weight()
    margins = margins_from_decision(student.decision_function(honest.X))
    return recalibration_of(margins, honest.margins, honest.y, weight)


def may_be_recalibrated(student, rule, temperature, loss="kl"):
    """Tell whether a student may be recalibrated under a rule: True, False or "auto".

    With "auto" it may be where calibration can have suffered. It cannot where a student of
    skdistill is fitted by "kl" at a temperature of 1, as this loss is proper. TypeError if the rule
    is True and the student's margins cannot be rescaled.
    """
    last = last_step(student)
    is_own = hasattr(
        last, "distill"
    )  # others are wrapped in SoftLabelClassifier, which has rescale_margins
    if is_own and not hasattr(last, "rescale_margins"):
        if rule is True:
            raise TypeError(
                f"Recalibrating needs a student with rescale_margins; {type(last).__name__} has "
                "none. Leave it as it is: recalibration=False."
            )
        return False
    calibrates = is_own and temperature == 1.0 and loss == "kl"
    return not calibrates if rule == "auto" else rule
