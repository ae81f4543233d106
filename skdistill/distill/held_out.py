"""Students of the observed labels, each without one fold: what a teacher is compared with."""

import numpy as np
from sklearn.base import is_classifier

from skdistill.columns import take_rows
from skdistill.levels import silent_about_unknown_levels
from skdistill.soft_labels import log_losses, margins_from_decision
from skdistill.stacking import squared_errors
from skdistill.students.fitting import distill_classifier, distill_regressor
from skdistill.teacher.labelling import folds
from skdistill.verbose import steps
from skdistill.weighted_statistics import z_score

#: With fewer labelled rows of positive weight, teacher and student are not compared.
SMALLEST_SET = 100

#: Differences beyond this many standard errors are significant: about 95 % confidence.
SIGNIFICANT = 2.0

#: Once a teacher leads by this many standard errors, the other folds are not needed.
CLEAR = 3.0


def are_few(labelled):
    """Tell whether there are too few labelled rows to compare a teacher with students."""
    return np.count_nonzero(labelled.sample_weight) < SMALLEST_SET


def held_out_margins(student, labelled, cv):
    """Fit clones of a student to the observed classes or values, each without one fold.

    Yields, after every fold, the margins (predictions in regression) of the rows that were held out
    so far, each by the student that was not fitted on it, NaN for all others; and the students.
    """
    margins = np.full(labelled.margins.shape, np.nan)
    students = []
    splits = folds(cv, labelled.X, labelled.y, labelled.classes is not None)
    for train, test in steps(splits, "fitting students to observed values", unit=" folds"):
        fold = labelled.take(train[labelled.sample_weight[train] > 0])
        students.append(_fit_to_observed(student, fold))
        margins[test] = margins_of(students[-1], take_rows(labelled.X, test))
        yield margins, students


def margins_of(student, X):
    """Return the margins of a fitted student; in regression its predictions, as one column.

    Levels that its fold lacked are no news: the final student learns them.
    """
    with silent_about_unknown_levels():
        if not is_classifier(student):
            return np.asarray(student.predict(X), dtype=np.float64).reshape(-1, 1)
        if len(student.classes_) == 1:
            return np.zeros((X.shape[0], 1))
        return margins_from_decision(student.decision_function(X))


def answered(labelled, margins):
    """Return teacher's and students' margins, y and weights of the rows held out so far.

    Rows of weight 0 are left out; y are positions of classes, or values.
    """
    rows = ~np.isnan(margins[:, 0]) & (labelled.sample_weight > 0)
    sides = labelled.margins[rows], margins[rows]
    return sides, labelled.y[rows], labelled.sample_weight[rows]


def losses_of(labelled):
    """Return the function that computes the loss of every row: log loss, or squared error."""
    return squared_errors if labelled.classes is None else log_losses


def lead_of_teacher(labelled, margins, least_lead=0.0):
    """Compute by how many standard errors the teacher's loss is lower than the students'.

    To lead, it must be lower by the share `least_lead` of theirs. The teacher's margins are
    honest; those of the students are of `held_out_margins`.
    """
    sides, y, weight = answered(labelled, margins)
    teacher, student = (losses_of(labelled)(z, y) for z in sides)
    return z_score((1 - least_lead) * student - teacher, weight)


def _fit_to_observed(student, labelled):
    if labelled.classes is None:
        return distill_regressor(student, labelled, alpha=0.0)
    return distill_classifier(student, labelled, temperature=1.0, alpha=0.0)
