"""Label synthetic rows by a forest without repeating the noise that it has memorised."""

import numpy as np
from joblib import Parallel, delayed

from skdistill.estimators import as_last_step_sees, last_step
from skdistill.teacher.honest import Average
from skdistill.teacher.vendors import vendor_of
from skdistill.verbose import steps

#: Synthetic rows on which the worth of in-bag predictions is measured.
TESTED_ROWS = 20_000

#: In-bag predictions mislead if less than this share of their excess is confirmed by neighbours.
WORTH_KEEPING = 0.2


def label_by_members(teacher, X, parents, y, n_jobs=None):
    """Compute margins of synthetic rows, half from members with the row's parent out of bag.

    A synthetic row lies closer to the rows it was made of than a fresh row would, so that a forest
    predicts the class of its first parent, which its in-bag members have memorised. Where labels
    are noisy a student would learn that noise many times over: then half of the prediction is the
    average of all members, the other half that of the members with the first parent out of bag.
    Where the class of the parent does predict that of its neighbours, the forest predicts as usual.

    Parameters
    ----------
    teacher : ClassifierTeacher or RegressorTeacher
        Holds a fitted forest or bagging ensemble, or a pipeline ending in one. A `MultiTeacher`
        predicts as usual.
    X : array-like or data frame of shape (n_synthetic, n_features)
        Synthetic rows.
    parents : ndarray of shape (n_synthetic, 2)
        The training rows each was made of, the one it started from first. Numbers beyond the
        training rows mean rows that are in no bag.
    y : ndarray of shape (n_samples,)
        Position of the class of every training row, or its value.
    n_jobs : int or None, default=None
        Threads to use; None for as many as the ensemble uses.

    Returns
    -------
    margins : ndarray of shape (n_synthetic, n_classes)
        Margins of the averages over the members.
    is_half_honest : bool
        Whether half of it comes from members with the parent out of bag.

    Notes
    -----
    The worth of in-bag predictions is measured at the second parents, neighbours of the first. Let
    m be the mean prediction for a synthetic row by members with its first parent in the bag but not
    the second, b that of members with neither, and t the class of the second parent (as 0 and 1 per
    class) or its value. The share w of m - b that t confirms is the least-squares slope of t - b on
    m - b,

        w = sum((m - b) . (t - b) - var(b)) / sum(|m - b|**2 - var(m) - var(b)),

    where var, the variance of a mean over few members, corrects for their number. It is near 1
    where neighbours are of one class and near 0 where classes are noise; below
    `WORTH_KEEPING` half of the prediction is honest.
    """
    ensemble = last_step(teacher.estimator)
    vendor = vendor_of(ensemble)
    if not vendor.has_bags:  # several teachers
        return teacher.margins(X), False
    matrix = vendor.member_input(ensemble, as_last_step_sees(teacher.estimator, X))
    target = _target(teacher, y)
    n_rows, n_known = len(parents), max(len(y), parents.max() + 1)
    all_members, out_of_bag = (Average(n_rows, target.shape[1]) for _ in range(2))
    n_tested = min(n_rows, TESTED_ROWS)
    first_in_bag, none_in_bag = (Average(n_tested, target.shape[1]) for _ in range(2))

    def ask(member, features, bag):
        in_bag = np.zeros(n_known, dtype=bool)
        in_bag[bag] = True
        answers = vendor.answer_of_member(ensemble, member, features, matrix)
        return in_bag[parents], answers.reshape(n_rows, -1)

    n_jobs = getattr(ensemble, "n_jobs", None) if n_jobs is None else n_jobs
    pool = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    asked = pool(delayed(ask)(*member) for member in vendor.members(ensemble))
    for in_bag, answers in steps(
        asked, "asking its members", len(ensemble.estimators_), " members"
    ):
        all_members.add(answers)
        out_of_bag.add_where(answers, ~in_bag[:, 0])
        (first, second), tested = in_bag[:n_tested].T, answers[:n_tested]
        first_in_bag.add_where(tested, first & ~second, squares=True)
        none_in_bag.add_where(tested, ~first & ~second, squares=True)
    if _worth_of_in_bag(first_in_bag, none_in_bag, parents[:n_tested], target) >= WORTH_KEEPING:
        return teacher.margins_of(all_members.mean()), False
    of_all, honest = all_members.mean(), out_of_bag.mean()
    always_in_bag = out_of_bag.votes[:, 0] == 0
    honest[always_in_bag] = of_all[always_in_bag]
    return teacher.margins_of((of_all + honest) / 2), True


def _target(teacher, y):
    """Return what the members should have predicted: indicators of classes, or values."""
    if not hasattr(teacher, "labels"):
        return y[:, None]
    return (teacher.classes[y][:, None] == teacher.labels).astype(np.float64)


def _worth_of_in_bag(first_in_bag, none_in_bag, parents, target):
    """Measure the share w of `label_by_members`; 1 if there is nothing to measure it by."""
    first, second = parents.T
    counted = (first_in_bag.votes[:, 0] > 1) & (none_in_bag.votes[:, 0] > 1)
    counted &= (second < len(target)) & (first != second)
    if not counted.any():
        return 1.0
    m, b = first_in_bag.mean()[counted], none_in_bag.mean()[counted]
    var_m, var_b = (part.variance_of_mean()[counted] for part in (first_in_bag, none_in_bag))
    confirmed = ((m - b) * (target[second[counted]] - b)).sum() - var_b.sum()
    memorised = ((m - b) ** 2).sum() - var_m.sum() - var_b.sum()
    return confirmed / memorised if memorised > 0 else 1.0
