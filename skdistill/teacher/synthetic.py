"""Label synthetic rows by a forest without repeating what it knows by heart."""

import numpy as np
from joblib import Parallel, delayed

from skdistill.estimators import as_last_step_sees, last_step
from skdistill.soft_labels import proba_from_margins
from skdistill.teacher.honest import answer_of_member, member_input, members

#: Synthetic rows on which it is tested whether the members' memories mislead.
TESTED_ROWS = 20_000

#: Standard errors by which they have to.
CRITICAL_Z = 3.0


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
        Holds a fitted forest or bagging ensemble, or a pipeline ending in one.
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
    Whether memories mislead is tested on the second parents, which are neighbours of the first:
    members that know the first parent but not the second predict the second one's class at the
    synthetic row. If their squared error is larger than that of members that know neither, by
    three standard errors over the second parents, then the forest believes its parent too much.
    """
    ensemble = last_step(teacher.estimator)
    matrix = member_input(ensemble, as_last_step_sees(teacher.estimator, X))
    n_rows, n_known = len(parents), max(len(y), parents.max() + 1)
    tested = slice(0, TESTED_ROWS)
    everyone, strangers = Average(n_rows), Average(n_rows)
    insiders, outsiders = (Average(len(parents[tested])) for _ in range(2))

    def ask(member, features, bag):
        knows = np.zeros(n_known, dtype=bool)
        knows[bag] = True
        return knows[parents], answer_of_member(ensemble, member, features, matrix)

    n_jobs = getattr(ensemble, "n_jobs", None) if n_jobs is None else n_jobs
    pool = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    for knows, answers in pool(delayed(ask)(*member) for member in members(ensemble)):
        everyone.add(answers)
        strangers.add(answers, ~knows[:, 0])
        insiders.add(answers[tested], knows[tested, 0] & ~knows[tested, 1])
        outsiders.add(answers[tested], ~knows[tested].any(axis=1))
    if not _memories_mislead(teacher, insiders, outsiders, parents[tested], y):
        return teacher.margins_of(everyone.mean()), False
    half = (everyone.mean() + strangers.mean(default=everyone)) / 2
    return teacher.margins_of(half), True


class Average:
    """Averages of the answers that members give to some rows each."""

    def __init__(self, n_rows):
        self.total = 0.0
        self.votes = np.zeros(n_rows)

    def add(self, answers, asked=True):
        """Add a member's answers to the rows it was asked, given by a mask."""
        asked = np.broadcast_to(asked, len(self.votes))
        self.total = self.total + answers * asked.reshape(-1, *[1] * (answers.ndim - 1))
        self.votes += asked

    def mean(self, default=None):
        """Return the averages; rows that nobody was asked have that of `default`, or NaN."""
        with np.errstate(invalid="ignore"):
            mean = self.total / self.votes.reshape(-1, *[1] * (self.total.ndim - 1))
        if default is not None:
            nobody = self.votes == 0
            mean[nobody] = default.mean()[nobody]
        return mean


def _memories_mislead(teacher, insiders, outsiders, parents, y):
    """Tell whether members that know the first parent predict the second one worse than others."""
    first, second = parents.T
    counted = (insiders.votes > 0) & (outsiders.votes > 0) & (second < len(y)) & (first != second)
    second = second[counted]
    n_parents = len(np.unique(second))
    if n_parents < 2:
        return False
    errors = [
        _squared_errors(teacher, average.mean()[counted], y[second])
        for average in (insiders, outsiders)
    ]
    counts = np.bincount(second, minlength=len(y))
    worse = np.bincount(second, errors[0] - errors[1], minlength=len(y))[counts > 0]
    worse /= counts[counts > 0]
    return bool(worse.mean() > CRITICAL_Z * worse.std(ddof=1) / np.sqrt(n_parents))


def _squared_errors(teacher, answers, y):
    """Brier score of every row, or squared error in regression."""
    margins = teacher.margins_of(answers)
    if margins.shape[1] == 1:
        return (margins[:, 0] - y) ** 2
    wrong = proba_from_margins(margins)
    wrong[np.arange(len(y)), y] -= 1.0
    return (wrong**2).sum(axis=1)
