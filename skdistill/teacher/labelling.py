"""Choose how the labelled rows get honest margins, and compute them."""

import warnings
from numbers import Integral

import joblib
import numpy as np
from sklearn.model_selection import check_cv

from skdistill.caller import warn_caller
from skdistill.estimators import last_step
from skdistill.rows import check_something_observed
from skdistill.teacher.honest import (
    cross_fit,
    has_enough_members,
    has_out_of_bag,
    is_training_matrix,
    out_of_bag,
)

#: Share of the rows of a class that may be in every member's bag before that is said, or avoided.
WITHOUT_VOTES_TOLERANCE = 0.01


def label_rows(in_use, labelling, cv, n_jobs=None):
    """Compute the answers to the labelled rows.

    Parameters
    ----------
    in_use : ClassifierInUse or RegressorInUse
        The teacher and its rows.
    labelling : {"auto", "oob", "cross_fit", "direct"}
        How to label, see `DistilledClassifier`.
    cv : int, cross-validation generator or iterable
        Folds of "cross_fit".
    n_jobs : int or None, default=None
        Folds or members to work on at a time.

    Returns
    -------
    answers : Answers
        Honest unless the labelling is "direct".
    labelling : {"oob", "cross_fit", "direct"}
        What was done; for a `MultiTeacher` the last of these words that fits a member.
    """
    asked_for = joblib.hash((labelling, cv))
    if asked_for not in in_use.labelled:
        label = _label_by_each_member if in_use.members else _label_rows
        in_use.labelled[asked_for] = label(in_use, labelling, cv, n_jobs)
    return in_use.labelled[asked_for]


def label_honestly(in_use, cv, n_jobs=None):
    """Compute answers to the labelled rows that are never those of a teacher fitted on them.

    A teacher that was given fitted answers as it is if it is proved that it was not fitted on
    these rows; else clones, which are cross-fitted, answer in its place, unless it has out-of-bag
    answers.

    Parameters
    ----------
    in_use : ClassifierInUse or RegressorInUse
        The teacher and its rows.
    cv : int, cross-validation generator or iterable
        Folds.
    n_jobs : int or None, default=None
        Folds or members to work on at a time.

    Returns
    -------
    answers : Answers
        Honest answers.
    """
    if in_use.members:
        each = [label_honestly(member, cv, n_jobs) for member in in_use.members]
        return last_step(in_use.fitted.estimator).pooled(each)
    labelling = "auto"
    if in_use.was_fitted:
        seen = is_training_matrix(in_use.estimator, in_use.rows.X)
        if seen is None or (seen and not _may_use_out_of_bag(in_use.estimator)):
            labelling = "cross_fit"
    return label_rows(in_use, labelling, cv, n_jobs)[0]


def _label_by_each_member(in_use, labelling, cv, n_jobs):
    """Pool the answers of the teachers of a `MultiTeacher`, each labelled for itself."""
    labelled = [label_rows(member, labelling, cv, n_jobs) for member in in_use.members]
    several = last_step(in_use.fitted.estimator)
    answers = several.pooled([answers for answers, _ in labelled])
    found = {word for _, word in labelled}
    return answers, next(word for word in ("direct", "cross_fit", "oob") if word in found)


def _label_rows(in_use, labelling, cv, n_jobs):
    rows = in_use.rows
    chosen = choose_labelling(labelling, in_use)
    if chosen == "oob":
        answers, voted = out_of_bag(in_use.fitted, rows.X, n_jobs)
        share = _largest_share(~voted, in_use)
        if share <= WITHOUT_VOTES_TOLERANCE:
            return answers, chosen
        if labelling == "oob" or in_use.was_fitted:
            warn_caller(
                f"{share:.0%} of the rows (of a class) are in the bag of every member of the "
                "teacher, which answers for them as fitted. Large weights and few members cause "
                "this; labelling='cross_fit' avoids it."
            )
            return answers, chosen
        chosen = "cross_fit"
    if chosen == "cross_fit":
        splits = folds(cv, rows.y, in_use.classes is not None)
        answers = cross_fit(in_use.fit, rows.X, rows.y, rows.given_weight, splits, n_jobs)
        return answers, chosen
    return in_use.fitted.answers(rows.X), chosen


def choose_labelling(labelling, in_use):
    """Resolve "auto", and check that what was asked for can be done.

    Returns
    -------
    labelling : {"oob", "cross_fit", "direct"}
        See `DistilledClassifier`.
    """
    estimator, classes, X = in_use.estimator, in_use.classes, in_use.rows.X
    if X.shape[0] == 1 or (classes is not None and len(classes) == 1):
        return "direct"  # nothing to hold out, or nothing to learn
    if labelling == "cross_fit":
        check_something_observed(in_use.rows, {"labelling='cross_fit'": True})
        return labelling
    has_oob = has_out_of_bag(estimator)
    seen = is_training_matrix(estimator, X) if in_use.was_fitted else True
    if labelling == "oob":
        if not has_oob:
            raise ValueError(
                f"labelling='oob' needs a forest or bagging ensemble with bootstrap=True; the "
                f"teacher is {estimator!r}. Use labelling='cross_fit'."
            )
        if not seen:
            raise ValueError(
                "labelling='oob' needs the rows that the teacher was fitted on, in the same order; "
                "replaying its bootstrap shows that X is not that matrix. Use 'direct' if the "
                "teacher has not seen these rows, else 'cross_fit'."
            )
        return labelling
    if labelling == "auto":
        if seen and _may_use_out_of_bag(estimator):
            return "oob"
        if not in_use.was_fitted:
            return "cross_fit"
    if seen:
        warn_caller(
            "The teacher was fitted on the very rows it labels directly "
            f"({type(last_step(estimator)).__name__}): its answers there are close to the hard "
            "labels and teach the student little. Use labelling='cross_fit'"
            + (" or 'oob'." if has_oob else ".")
            + " Rows that the teacher has not seen are best."
        )
    return "direct"


def _may_use_out_of_bag(estimator):
    return has_out_of_bag(estimator) and has_enough_members(estimator)


def _largest_share(marked, in_use):
    """Share of marked rows in the class, or in regression the whole, that has most of them."""
    if in_use.classes is None:
        return marked.mean()
    return max(marked[in_use.rows.y == label].mean() for label in np.unique(in_use.rows.y))


def folds(cv, y, is_classification):
    """Return the folds of labelled rows as a list of pairs (train, test) of row numbers.

    Parameters
    ----------
    cv : int, cross-validation generator or iterable
        As in scikit-learn; an int is lowered where a fold would lack rows.
    y : ndarray of shape (n_samples,)
        Observed classes or values.
    is_classification : bool
        Whether an int means folds stratified by class.
    """
    if isinstance(cv, Integral):
        largest = np.unique(y, return_counts=True)[1].max() if is_classification else len(y)
        cv = max(2, min(cv, largest))
    splitter = check_cv(cv, y, classifier=is_classification)
    with warnings.catch_warnings():
        # Classes that a fold lacks are dealt with: the margins are aligned by class.
        warnings.filterwarnings("ignore", "The least populated class in y")
        return list(splitter.split(np.zeros((len(y), 1)), y))
