"""Correct a teacher's labels where the observed classes say how they can be better."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import r2_score

from skdistill.columns import take_rows
from skdistill.distill.held_out import (
    CLEAR,
    SIGNIFICANT,
    answered,
    are_few,
    held_out_margins,
    lead_of_teacher,
    losses_of,
    margins_of,
)
from skdistill.estimators import last_step
from skdistill.messages import warn_caller
from skdistill.stacking import StackingWeights, stack_margins, stack_predictions
from skdistill.students.base import stated
from skdistill.weighted_statistics import z_score

#: Corrected labels that agree less with the teacher's lead to a warning.
ALIKE = 0.9

#: A network follows a teacher without correction if its loss is lower than the students' by more
#: than this share: they have fewer rows than the final student, which does not quite reach its
#: teacher.
LEAST_LEAD = 0.02


@dataclass(frozen=True, repr=False)
class LabelCorrection:
    """A teacher, and students fitted to the observed classes alone, stacked.

    All losses are means over the labelled rows, by models that were not fitted on the row: log
    losses in nats, or squared errors in regression.

    Attributes
    ----------
    stacking : StackingWeights
        The weights of teacher and students, and the intercept.
    teacher_loss, student_loss, combined_loss : float
        Loss of the teacher, of the students, and of both combined.
    lead : float
        By how many standard errors the teacher's loss is lower than 98 % of the students'.
    gain : float
        By how many standard errors the combined loss is lower than the teacher's.
    likeness : float
        Share of the weight of these rows on which the combination and the teacher find the same
        class most probable; in regression R2, of the combination by the teacher. The student will
        hardly agree more with its teacher than this.
    students : tuple of estimator
        The fitted students, one per fold.
    """

    stacking: StackingWeights
    teacher_loss: float
    student_loss: float
    combined_loss: float
    lead: float
    gain: float
    likeness: float
    students: tuple = field(repr=False)

    @property
    def teacher_weight(self):
        """What the teacher's margins (predictions, in regression) are multiplied by."""
        return float(self.stacking.weights[0])

    @property
    def student_weight(self):
        """What the mean margins of the students are multiplied by."""
        return float(self.stacking.weights[1])

    def in_words(self):
        """Describe the combination, its losses and its agreement with the teacher in one line."""
        is_regression = not is_classifier(self.students[0])
        loss = "squared error" if is_regression else "log loss"
        alike = f"{self.likeness:.1%} of these rows decided as by the teacher"
        if is_regression:
            alike = f"R2 of {self.likeness:.3f} by the teacher's values"
        return (
            f"{self.teacher_weight:.2f} x teacher + {self.student_weight:.2f} x students of the "
            f"observed {'values' if is_regression else 'classes'}: held-out {loss} "
            f"{self.combined_loss:.4g}, of the teacher {self.teacher_loss:.4g}, of the students "
            f"{self.student_loss:.4g}; {alike}"
        )

    @property
    def is_costly(self):
        """Whether the labels agree so little with the teacher's that a warning is due."""
        return self.likeness < ALIKE

    def __str__(self):
        return f"Labels are a weighted sum, {self.in_words()}."

    def __repr__(self):
        return f"<LabelCorrection: {self.in_words()}>"

    def corrected(self, margins, X):
        """Correct the teacher's margins of rows that none of the students was fitted on."""
        return self.stacking.combined([margins, _mean_margins(self.students, X)])


def correct_labels(student, transfer_set, rule, cv):
    """Return corrected margins of all rows and the `LabelCorrection`, or None twice.

    Clones of the student are fitted to the observed classes, each without one fold of the labelled
    rows. Their outputs and the teacher's are stacked so that the observed classes are predicted
    best. The rule "auto" corrects only if the teacher is significantly worse than both combined
    and not significantly better than the students (by more than 2 % of their loss). To a readable
    student the last does not apply if the labels are honest: a network can follow a better teacher,
    a readable student cannot, and gains from labels that are as sure as they should be. Wolpert,
    "Stacked Generalization", Neural Networks 1992, doi:10.1016/S0893-6080(05)80023-1.
    """
    is_honest = transfer_set.labelling != "direct"  # else it may have seen these rows in its fit
    may_follow = rule == "auto" and not (is_honest and stated(student, "is_readable"))
    is_labelled = transfer_set.origin == 0
    labelled = transfer_set.take(is_labelled)
    unchanged = None, None
    if labelled.classes is not None and len(labelled.classes) == 1:
        return unchanged
    if rule == "auto" and are_few(labelled):
        return unchanged
    for held_out, students in held_out_margins(student, labelled, cv):  # noqa: B007
        if may_follow and lead_of_teacher(labelled, held_out, LEAST_LEAD) > CLEAR:
            return unchanged
    correction = _stack(labelled, held_out, tuple(students))
    leads = may_follow and correction.lead >= SIGNIFICANT
    if rule == "auto" and (leads or correction.gain <= SIGNIFICANT):
        return unchanged
    left_out = np.isnan(held_out[:, 0])  # some splitters do not test all rows
    if left_out.any():
        held_out[left_out] = _mean_margins(students, take_rows(labelled.X, left_out))
    margins = np.empty(transfer_set.margins.shape)
    margins[is_labelled] = correction.stacking.combined([labelled.margins, held_out])
    if not is_labelled.all():
        others = transfer_set.take(~is_labelled)
        margins[~is_labelled] = correction.corrected(others.margins, others.X)
    return margins, correction


def may_be_corrected(student, rule):
    """Tell whether labels may be corrected for a student under a rule: True, False or "auto"."""
    if rule == "auto":
        return stated(student, "gains_from_label_correction")
    return rule


def silenced(student):
    """Return an unfitted clone without progress bar and callbacks, which the main fit has."""
    student = clone(student)
    last = last_step(student)
    params = last.get_params()
    if params.get("callbacks"):
        last.set_params(callbacks=None)
    if (params.get("verbose") or 0) > 0:
        last.set_params(verbose=0)
    if hasattr(last, "set_callbacks"):
        last.set_callbacks()
    return student


def warn_of_correction(correction):
    """Warn that "auto" has chosen a correction that makes the student less like its teacher."""
    warn_caller(
        "label_correction='auto' made the student learn from a weighted sum, "
        f"{correction.in_words()}; label_correction=False imitates the teacher alone, True "
        "corrects without this warning."
    )


def _stack(labelled, held_out, students):
    """Stack teacher and students by the rows that were held out from the students."""
    sides, y, weight = answered(labelled, held_out)
    stack = stack_predictions if labelled.classes is None else stack_margins
    stacking = stack(sides, y, weight)
    combined = stacking.combined(sides)
    losses = [losses_of(labelled)(z, y) for z in (*sides, combined)]
    return LabelCorrection(
        stacking,
        *(float(np.average(each, weights=weight)) for each in losses),
        lead=lead_of_teacher(labelled, held_out, LEAST_LEAD),
        gain=z_score(losses[0] - losses[2], weight),
        likeness=_likeness(sides[0], combined, weight, labelled.classes is None),
        students=students,
    )


def _likeness(teacher, combined, weight, is_regression):
    if is_regression:
        return float(r2_score(teacher, combined, sample_weight=weight))
    return float(np.average(teacher.argmax(axis=1) == combined.argmax(axis=1), weights=weight))


def _mean_margins(students, X):
    """Average the margins of students that were fitted to labelled rows."""
    return sum(margins_of(student, X) for student in students) / len(students)
