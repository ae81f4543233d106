"""Label synthetic rows by a forest without repeating what it knows by heart."""

import numpy as np
from joblib import Parallel, delayed

from skdistill.estimators import as_last_step_sees, last_step
from skdistill.teacher.honest import Average
from skdistill.teacher.vendors import vendor_of
from skdistill.verbose import steps

#: Synthetic rows on which it is measured what the members' memories are worth.
TESTED_ROWS = 20_000

#: What members remember misleads if less than this share of it is borne out by neighbours.
WORTH_REMEMBERING = 0.2


def label_by_members(teacher, X, parents, y, n_jobs=None):
    """Compute margins of synthetic rows, half from members that do not know the row's parent.

    A synthetic row lies closer to the rows it was made of than a fresh row would, so that a forest
    answers it with the class of its first parent, which the members that were fitted on it
    remember. Where labels are noisy a student would learn that noise many times over: then half of
    the answer is the average of all members, the other half that of the members which had the
    first parent out of their bag. Where the parent does tell the class of its neighbours the
    forest answers as it is.

    Parameters
    ----------
    teacher : ClassifierTeacher or RegressorTeacher
        Holds a fitted forest or bagging ensemble, or a pipeline ending in one. A `MultiTeacher`
        answers as it is.
    X : array-like or data frame of shape (n_synthetic, n_features)
        Synthetic rows.
    parents : ndarray of shape (n_synthetic, 2)
        The training rows each was made of, the one it started from first. Numbers beyond the
        training rows stand for rows that no member knows.
    y : ndarray of shape (n_samples,)
        Position of the class of every training row, or its value.
    n_jobs : int or None, default=None
        Threads to use; None for as many as the ensemble uses.

    Returns
    -------
    margins : ndarray of shape (n_synthetic, n_classes)
        Margins of the averages over the members.
    is_half_honest : bool
        Whether half of it comes from members that do not know the parent.

    Notes
    -----
    What memories are worth is measured at the second parents, which are neighbours of the first.
    Let m be the mean answer to a synthetic row of members that know its first parent but not the
    second, b that of members that know neither, and t the class of the second parent (as 0 and 1
    per class) or its value. The share w of the memory m - b that is borne out is the least-squares
    slope of t - b on m - b,

        w = sum((m - b) . (t - b) - var(b)) / sum(|m - b|**2 - var(m) - var(b)),

    where var, the variance of a mean over few members, corrects for their number. It is near 1
    where neighbours are of one class and near 0 where classes are noise; below
    `WORTH_REMEMBERING` half of the answer is honest.
    """
    ensemble = last_step(teacher.estimator)
    vendor = vendor_of(ensemble)
    if not vendor.has_bags:  # several teachers
        return teacher.margins(X), False
    matrix = vendor.member_input(ensemble, as_last_step_sees(teacher.estimator, X))
    target = _target(teacher, y)
    n_rows, n_known = len(parents), max(len(y), parents.max() + 1)
    everyone, strangers = (Average(n_rows, target.shape[1]) for _ in range(2))
    n_tested = min(n_rows, TESTED_ROWS)
    insiders, outsiders = (Average(n_tested, target.shape[1]) for _ in range(2))

    def ask(member, features, bag):
        knows = np.zeros(n_known, dtype=bool)
        knows[bag] = True
        answers = vendor.answer_of_member(ensemble, member, features, matrix)
        return knows[parents], answers.reshape(n_rows, -1)

    n_jobs = getattr(ensemble, "n_jobs", None) if n_jobs is None else n_jobs
    pool = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    asked = pool(delayed(ask)(*member) for member in vendor.members(ensemble))
    for knows, answers in steps(asked, "asking its members", len(ensemble.estimators_), " members"):
        everyone.add(answers)
        rows = np.flatnonzero(~knows[:, 0])
        strangers.add(answers[rows], rows)
        first, second = knows[:n_tested].T
        for average, asked in ((insiders, first & ~second), (outsiders, ~first & ~second)):
            rows = np.flatnonzero(asked)
            average.add(answers[rows], rows)
            average.add_squares(answers[rows], rows)
    if _worth_of_memories(insiders, outsiders, parents[:n_tested], target) >= WORTH_REMEMBERING:
        return teacher.margins_of(everyone.mean()), False
    of_all, of_strangers = everyone.mean(), strangers.mean()
    nobody = strangers.votes[:, 0] == 0
    of_strangers[nobody] = of_all[nobody]
    return teacher.margins_of((of_all + of_strangers) / 2), True


def _target(teacher, y):
    """Return what the members' answers should have been: indicators of classes, or values."""
    if not hasattr(teacher, "labels"):
        return y[:, None]
    return (teacher.classes[y][:, None] == teacher.labels).astype(np.float64)


def _worth_of_memories(insiders, outsiders, parents, target):
    """Measure the share w of `label_by_members`; 1 if there is nothing to measure it by."""
    first, second = parents.T
    counted = (insiders.votes[:, 0] > 1) & (outsiders.votes[:, 0] > 1)
    counted &= (second < len(target)) & (first != second)
    if not counted.any():
        return 1.0
    m, b = insiders.mean()[counted], outsiders.mean()[counted]
    var_m, var_b = (part.variance_of_mean()[counted] for part in (insiders, outsiders))
    borne_out = ((m - b) * (target[second[counted]] - b)).sum() - var_b.sum()
    remembered = ((m - b) ** 2).sum() - var_m.sum() - var_b.sum()
    return borne_out / remembered if remembered > 0 else 1.0
