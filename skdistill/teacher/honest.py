"""Honest margins for rows the teacher was fitted on: out-of-bag and cross-fitted.

In-sample predictions of an ensemble are close to the hard labels and teach a student nothing new.
"""

import numpy as np
from joblib import Parallel, delayed

from skdistill.columns import take_rows
from skdistill.estimators import as_last_step_sees, last_step
from skdistill.teacher.margins import join_answers
from skdistill.teacher.vendors import vendor_of
from skdistill.verbose import steps

#: With this many members about 1 row in 10,000 is in the bag of all of them.
ENOUGH_MEMBERS = 20


class Average:
    """Averages of members' predictions, each of which are for some of the rows."""

    def __init__(self, n_rows, n_columns):
        self.total = np.zeros((n_rows, n_columns))
        self.squares = np.zeros(n_rows)
        self.votes = np.zeros((n_rows, 1))

    def add(self, outputs, rows=slice(None)):
        """Add a member's predictions for some rows, of shape (n_rows, n_columns)."""
        self.total[rows] += outputs
        self.votes[rows] += 1

    def add_where(self, outputs, mask, squares=False):
        """Add a member's predictions for all rows where a mask is True.

        With `squares` also what `variance_of_mean` needs.
        """
        share = mask[:, None].astype(np.float64)  # a product is faster than a choice of rows
        self.total += share * outputs
        self.votes += share
        if squares:
            self.squares += mask * np.einsum("ij,ij->i", outputs, outputs)

    def mean(self):
        """Return the averages, NaN for rows without votes."""
        with np.errstate(invalid="ignore"):
            return self.total / self.votes

    def variance_of_mean(self):
        """Return the summed variance of every row's average, NaN for fewer than two votes."""
        with np.errstate(invalid="ignore", divide="ignore"):
            votes = self.votes[:, 0]
            return (self.squares / votes - (self.mean() ** 2).sum(axis=1)) / (votes - 1)


def has_out_of_bag(estimator):
    """Tell whether an estimator, fitted or not, leaves rows out of the bag of its members."""
    last = last_step(estimator)
    return vendor_of(last).may_leave_rows_out(last)


def has_enough_members(estimator):
    """Tell whether nearly every row has out-of-bag predictions."""
    last = last_step(estimator)
    return getattr(last, vendor_of(last).size_name(last), 0) >= ENOUGH_MEMBERS


def out_of_bag(teacher, X, groups=None, n_jobs=None):
    """Compute the prediction for every row from the members that were not fitted on it.

    X is the training matrix of the fitted forest or bagging ensemble, in the same order. `groups`
    are numbers of distinct rows: copies of a row in the bag of a member are in-bag, too. The second
    value marks rows out of a bag; for the others the whole ensemble predicts.
    """
    ensemble = last_step(teacher.estimator)
    vendor = vendor_of(ensemble)
    matrix = vendor.member_input(ensemble, as_last_step_sees(teacher.estimator, X))
    n_samples = matrix.shape[0]
    n_columns = len(ensemble.classes_) if hasattr(ensemble, "classes_") else 1
    average = Average(n_samples, n_columns)
    jobs = (
        delayed(_answer_out_of_bag)(ensemble, member, features, bag, matrix, groups)
        for member, features, bag in vendor.members(ensemble)
    )
    pool = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    found = steps(pool(jobs), "asking its members", len(ensemble.estimators_), " members")
    for rows, answers in found:
        average.add(answers.reshape(len(rows), average.total.shape[1]), rows)
    voted = average.votes[:, 0] > 0
    if not voted.any():
        return teacher.answers(X), voted
    answers = teacher.answers_of(average.mean()[voted])
    if voted.all():
        return answers, voted
    of_all = teacher.answers(take_rows(X, ~voted))
    rows = [np.flatnonzero(voted), np.flatnonzero(~voted)]
    return join_answers([answers, of_all], rows), voted


def cross_fit(fit, X, y, sample_weight, splits, n_jobs=None):
    """Compute the prediction for every row by a teacher that was fitted on other rows.

    ``fit(X, y, sample_weight)`` returns a ClassifierTeacher or RegressorTeacher; `splits` are pairs
    (train, test) of row numbers. Every row must be in exactly one test fold.
    """
    tested = np.bincount(np.concatenate([test for _, test in splits]), minlength=len(y))
    if not (tested == 1).all():
        raise ValueError(
            f"cv leaves {(tested == 0).sum()} rows without a test fold and puts "
            f"{(tested > 1).sum()} into several; cross-fitting needs every row in exactly one. "
            "Pass an int, KFold or StratifiedKFold."
        )

    def answer_fold(train, test):
        weight = None if sample_weight is None else sample_weight[train]
        return fit(take_rows(X, train), y[train], weight).answers(take_rows(X, test))

    pool = Parallel(n_jobs=n_jobs, return_as="generator")
    answered = pool(delayed(answer_fold)(*split) for split in splits)
    folds = list(steps(answered, "fitting and asking clones", len(splits), " folds"))
    return join_answers(folds, [test for _, test in splits])


def _answer_out_of_bag(ensemble, member, features, bag, matrix, groups):
    if groups is None:
        groups = np.arange(matrix.shape[0])
    is_known = np.zeros(groups.max() + 1, dtype=bool)
    is_known[groups[bag]] = True
    rows = np.flatnonzero(~is_known[groups])
    answer = vendor_of(ensemble).answer_of_member
    return rows, answer(ensemble, member, features, matrix[rows])
