"""Choose how the labelled rows get honest margins, and compute them."""

import warnings
from numbers import Integral

import joblib
import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, check_cv
from sklearn.tree import BaseDecisionTree

from skdistill.estimators import frozen_steps_that_learn, last_step, transformers_of
from skdistill.messages import warn_caller
from skdistill.rows import check_something_observed
from skdistill.soft_labels import SMALLEST_PROBABILITY, log_losses, proba_from_margins
from skdistill.teacher.copies import find_copies
from skdistill.teacher.fitting import naming_text_columns
from skdistill.teacher.honest import cross_fit, has_enough_members, has_out_of_bag, out_of_bag
from skdistill.teacher.split_ranges import warn_of_unseen_ranges
from skdistill.teacher.training_rows import Proof, proof_of_training_rows, replays_bootstraps
from skdistill.teacher.vendors import vendor_of
from skdistill.weighted_statistics import z_score

#: Largest share of the rows of a class in every member's bag without a warning, or cross-fitting.
WITHOUT_VOTES_TOLERANCE = 0.01

#: A log loss below this share of its expectation under the predicted probabilities, by this many
#: standard errors, is a sign that the teacher was fitted on the rows.
SUSPICIOUS, CERTAIN = 0.7, 3.0

_NOT_AS_FITTED = (
    "labelling='oob' needs the rows that the teacher was fitted on, in the same order; replaying "
    "its bootstrap shows that X, as the trees see it, is not that matrix. Use 'direct' if the "
    "teacher has not seen these rows, else 'cross_fit'."
)


_NOT_REPLAYED = (
    "labelling='oob' needs the rows that the teacher was fitted on, in the same order; only the "
    "bootstraps of decision trees can be replayed to prove that X is that matrix, and the members "
    "of this teacher are {}. Pass it unfitted, or use 'cross_fit'."
)


def label_rows(teacher, labelling, cv, n_jobs=None):
    """Compute the predictions for the labelled rows of a `LazyTeacher`, by `labelling`.

    They are honest unless the labelling is "direct". The second value is the labelling that was
    done: "oob", "cross_fit" or "direct"; for a `MultiTeacher` the last of these words that fits a
    member.
    """
    key = joblib.hash((labelling, cv))
    if key not in teacher.labelled:
        label = _label_by_each_member if teacher.members else _label_rows
        with naming_text_columns(teacher.estimator, teacher.rows.X):
            teacher.labelled[key] = label(teacher, labelling, cv, n_jobs)
    return teacher.labelled[key]


def label_honestly(teacher, cv, n_jobs=None):
    """Compute predictions for the labelled rows by teachers that were not fitted on them.

    A teacher that was passed fitted predicts itself if it is proved that it was not fitted on these
    rows. Otherwise its out-of-bag predictions are used, or those of cross-fitted clones.
    """
    if teacher.members:
        each = [label_honestly(member, cv, n_jobs) for member in teacher.members]
        return last_step(teacher.fitted.estimator).pooled(each)
    is_honest = (
        not teacher.was_fitted or teacher.proof is Proof.REFUTED or _may_use_out_of_bag(teacher)
    )
    return label_rows(teacher, "auto" if is_honest else "cross_fit", cv, n_jobs)[0]


def _label_by_each_member(teacher, labelling, cv, n_jobs):
    """Pool the predictions of the teachers of a `MultiTeacher`, each labelled by itself."""
    labelled = [label_rows(member, labelling, cv, n_jobs) for member in teacher.members]
    several = last_step(teacher.fitted.estimator)
    answers = several.pooled([answers for answers, _ in labelled])
    found = {word for _, word in labelled}
    return answers, next(word for word in ("direct", "cross_fit", "oob") if word in found)


def _label_rows(teacher, labelling, cv, n_jobs):
    rows = teacher.rows
    chosen = choose_labelling(labelling, teacher)
    knows_no_copies = chosen == "direct" or rows.nothing_observed
    copies = None if knows_no_copies else find_copies(rows.X, rows.y)
    if chosen == "oob":
        answers, chosen = _label_out_of_bag(teacher, labelling, copies, n_jobs)
    elif teacher.was_fitted:  # out-of-bag labels prove that the rows are those of its fit
        warn_of_unseen_ranges(teacher.estimator, rows.X, read=teacher.read_trees)
    if copies:
        warn_caller(copies.in_words(chosen == "oob" or isinstance(cv, Integral)))
    if chosen == "cross_fit":
        _warn_of_frozen_steps(teacher)
        splits = _folds_with_copies(cv, rows.y, teacher.classes is not None, copies)
        answers = cross_fit(teacher.fit, rows.X, rows.y, rows.given_weight, splits, n_jobs)
    if chosen == "direct":
        answers = teacher.fitted.answers(rows.X)
    return answers, chosen


def _warn_of_frozen_steps(teacher):
    """Warn of frozen steps that learn from y: they are not fitted again in the folds."""
    rows = teacher.rows
    for name in frozen_steps_that_learn(teacher.estimator, rows.X, rows.y):
        warn_caller(
            f"The step {name!r} of the teacher learns from y and is frozen, so that it is not "
            "fitted again in the folds. If it was fitted on these rows, it knows their classes, "
            "and the labels are overconfident. Pass it without FrozenEstimator, or pass rows that "
            "it has not seen."
        )


def _label_out_of_bag(teacher, labelling, copies, n_jobs):
    """Use the members that were not fitted on a row: predictions and "oob".

    None and "cross_fit" if "auto" must cross-fit instead.
    """
    X, estimator = teacher.rows.X, teacher.fitted.estimator
    if not teacher.was_fitted and transformers_of(estimator) and _differs_in_fit(estimator, X):
        if labelling == "oob":
            raise ValueError(_NOT_AS_FITTED)
        return None, "cross_fit"
    answers, voted = out_of_bag(teacher.fitted, X, None if copies is None else copies.group, n_jobs)
    share = _largest_share(~voted, teacher)
    if share <= WITHOUT_VOTES_TOLERANCE:
        return answers, "oob"
    if labelling == "auto" and not teacher.rows.nothing_observed:
        return None, "cross_fit"
    warn_caller(
        f"{share:.0%} of the rows (of a class) are in the bag of every member of the teacher, "
        "which predicts them as fitted. Weights of rows or classes, copies of rows and few "
        "members cause this; labelling='cross_fit' avoids it."
    )
    return answers, "oob"


def _differs_in_fit(estimator, X):
    """Tell whether trees of a pipeline were fitted on other rows than it shows them now."""
    return hasattr(last_step(estimator).estimators_[0], "tree_") and not replays_bootstraps(
        estimator, X
    )


def choose_labelling(labelling, teacher):
    """Resolve "auto" to "oob", "cross_fit" or "direct", and check that this can be done."""
    classes, rows = teacher.classes, teacher.rows
    if rows.X.shape[0] == 1 or (classes is not None and len(classes) == 1):
        return "direct"  # nothing to hold out, or nothing to learn
    if labelling == "cross_fit":
        check_something_observed(rows, {"labelling='cross_fit'": True})
        return labelling
    if labelling == "oob":
        _check_out_of_bag(teacher)
        return labelling
    if labelling == "auto" and _may_use_out_of_bag(teacher):
        return "oob"
    if labelling == "auto" and not teacher.was_fitted:
        return "cross_fit"
    if teacher.was_fitted:
        warn_of_training_rows(teacher, labelling)
    else:
        warn_caller(_labels_its_own_rows(teacher, "", labelling))
    return "direct"


def warn_of_training_rows(teacher, labelling=None):
    """Warn if a fitted teacher was, or may have been, fitted on the rows it labels directly.

    `labelling` is what the user chose, None where there is no choice. With "direct" the user states
    that the teacher has not seen the rows: the warning then needs a proof of the contrary.
    """
    if teacher.proof is Proof.PROVED:
        warn_caller(
            _labels_its_own_rows(teacher, ", on a part of them, or on these and more", labelling)
        )
    elif teacher.proof is Proof.UNKNOWN and not (
        labelling == "direct" or teacher.rows.nothing_observed
    ):
        warn_caller(
            f"It cannot be known whether the teacher ({_name_of(teacher.estimator)}) was fitted "
            "on these rows, which it labels directly. If it was, its predictions are close to the "
            f"hard labels and teach the student little{_sign_of_memory(teacher)}. "
            f"{_cures(teacher, labelling)}"
            + ("; labelling='direct' says that it has not seen these." if labelling else ".")
        )


def warn_of_known_rows(estimator, X):
    """Warn if a teacher that was passed fitted was fitted on rows that come after fit."""
    if proof_of_training_rows(estimator, X) is Proof.PROVED:
        warn_caller(
            f"The teacher ({_name_of(estimator)}) was fitted on rows among these, which it labels "
            "now: its predictions there are close to the hard labels and teach the student little. "
            "Pass rows that it has not seen."
        )


def _labels_its_own_rows(teacher, or_on, labelling):
    keeps_bags = teacher.was_fitted and has_out_of_bag(teacher.estimator)
    members = last_step(teacher.estimator).estimators_ if keeps_bags else [None]
    return (
        "The teacher was fitted on the very rows it labels directly "
        f"({_name_of(teacher.estimator)}){or_on}: its predictions there are close to the hard "
        f"labels and teach the student little. {_cures(teacher, labelling)}."
        + (
            " Out-of-bag labels need all the rows that it was fitted on, in the same order; the "
            "folds of a cross-validation are only a part."
            if isinstance(members[0], BaseDecisionTree) and not teacher.replays_bootstraps
            else ""
        )
    )


def _cures(teacher, labelling):
    if teacher.rows.nothing_observed:
        return "Pass rows that it has not seen"
    cures = ["pass it unfitted"] if teacher.was_fitted else []
    if labelling:
        cures.append("use labelling='cross_fit'" + " or 'oob'" * _may_use_out_of_bag(teacher))
    listed = ", ".join([*cures, "or pass rows that it has not seen"])
    return listed[0].upper() + listed[1:]


def _sign_of_memory(teacher):
    """Say so if a classifier is right more often than it expects, as on rows of its fit."""
    if teacher.classes is None:
        return ""
    margins = teacher.fitted.answers(teacher.rows.X).margins()
    proba = proba_from_margins(margins)
    expected = -(proba * np.log(np.maximum(proba, SMALLEST_PROBABILITY))).sum(axis=1)
    found, weight = log_losses(margins, teacher.encoded_y()), teacher.rows.sample_weight
    if z_score(SUSPICIOUS * expected - found, weight) < CERTAIN:
        return ""
    means = [np.average(losses, weights=weight) for losses in (found, expected)]
    return (
        ", and this is likely: its log loss here is {:.3g}; by its own probabilities {:.3g} would "
        "be expected".format(*means)
    )


def _name_of(estimator):
    return type(last_step(estimator)).__name__


def _check_out_of_bag(teacher):
    """Check that there are honest out-of-bag predictions, if a teacher is fitted already."""
    estimator = teacher.estimator
    if not has_out_of_bag(estimator):
        raise ValueError(
            f"labelling='oob' needs a forest or bagging ensemble with bootstrap=True; the "
            f"teacher is {estimator!r}. Use labelling='cross_fit'."
        )
    if teacher.was_fitted and not teacher.replays_bootstraps:
        last = last_step(estimator)
        grown = next(iter(vendor_of(last).grown(last)))[0]
        is_tree = isinstance(grown, BaseDecisionTree)
        raise ValueError(_NOT_AS_FITTED if is_tree else _NOT_REPLAYED.format(_name_of(grown)))
    if teacher.learns_from_y:
        raise ValueError(
            "labelling='oob' needs steps in front of the forest that neither learn from y, nor "
            "change the rows, nor draw random numbers without a seed: the trees know a row's class "
            "through them even if it is out of their bag. Use labelling='cross_fit'."
        )


def _may_use_out_of_bag(teacher):
    return (
        has_out_of_bag(teacher.estimator)
        and has_enough_members(teacher.estimator)
        and (not teacher.was_fitted or teacher.replays_bootstraps)
        and not teacher.learns_from_y
    )


def _largest_share(marked, teacher):
    """Return the largest share of marked rows in a class, or in regression of all rows."""
    if teacher.classes is None:
        return marked.mean()
    return max(marked[teacher.rows.y == label].mean() for label in np.unique(teacher.rows.y))


def folds(cv, X, y, is_classification):
    """Return the folds of labelled rows as a list of pairs (train, test) of row numbers.

    An int as `cv` is lowered where a fold would lack rows, keeps copies of a row together, and
    stratifies classes.
    """
    copies = find_copies(X, y) if isinstance(cv, Integral) else None
    return _folds_with_copies(cv, y, is_classification, copies)


def _folds_with_copies(cv, y, is_classification, copies):
    """Return the folds, see `folds`, of rows whose `Copies` are known; None if there are none."""
    groups = None
    if isinstance(cv, Integral):
        largest = np.unique(y, return_counts=True)[1].max() if is_classification else len(y)
        if largest < 2:
            of = f"{len(y)} classes with one row each" if is_classification else "one row"
            raise ValueError(
                f"cv={cv} was passed, but {of} cannot be divided into folds; pass more labelled "
                "rows, or labelling='direct' and label_correction=False, which need no folds."
            )
        cv = max(2, min(cv, largest))
        if copies:
            groups = copies.group
            cv = StratifiedGroupKFold(cv) if is_classification else GroupKFold(cv)
    splitter = check_cv(cv, y, classifier=is_classification)
    with warnings.catch_warnings():
        # Classes that a fold lacks are dealt with: the margins are aligned by class.
        warnings.filterwarnings("ignore", "The least populated class in y", UserWarning)
        return list(splitter.split(np.zeros((len(y), 1)), y, groups))
