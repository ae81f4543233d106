"""Ensembles that grow tree by tree: their first trees alone, and more trees on more rows."""

from copy import copy
from dataclasses import replace

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skdistill.estimators import as_last_step_sees, last_step
from skdistill.messages import warn_caller
from skdistill.teacher.asking import is_fitted, unfitted
from skdistill.teacher.vendors import vendor_of

#: Tolerance of margins: what storing a booster may round.
SAME = 1e-4


def check_growing(teacher):
    """Raise a TypeError unless the trees of a teacher are fitted one after the other."""
    last = last_step(teacher)
    if not vendor_of(last).grows(last):
        raise TypeError(
            f"teacher is {type(last).__name__}, which does not grow tree by tree. Random forests, "
            "extra trees and both kinds of gradient boosting of scikit-learn, XGBoost, LightGBM "
            "and CatBoost do."
        )


def count_trees(estimator):
    """Count the trees of a fitted ensemble that answer; iterations, if each adds several."""
    last = last_step(estimator)
    return vendor_of(last).n_trees(last)


def first_trees(estimator, n_trees):
    """Return a fitted ensemble of the first trees (iterations), at least one, of the same class.

    The ensemble, which may end a Pipeline, is not changed.
    """
    if isinstance(estimator, FrozenEstimator):
        return first_trees(estimator.estimator, n_trees)
    if isinstance(estimator, Pipeline):
        return _with_last_step(estimator, first_trees(estimator.steps[-1][1], n_trees))
    return vendor_of(estimator).first_trees(estimator, n_trees)


def check_growing_on(teacher):
    """Raise a TypeError unless a teacher can grow on rows that it has not begun with."""
    last = last_step(teacher)
    reason = vendor_of(last).why_not_on_other_rows(last)
    if reason:
        raise TypeError(reason)


def check_grown(before, after, X):
    """Check that the earlier trees of a teacher that grew predict what they did before.

    LightGBM numbers categories as in the last batch that it has grown on. `before` and `after` are
    ClassifierTeachers, X are rows of the first fit.
    """
    expected = before.margins(X)
    try:
        old_trees = first_trees(after.estimator, count_trees(before.estimator))
        found = replace(after, estimator=old_trees).margins(X)
        is_same = np.allclose(found, expected, rtol=SAME, atol=SAME)
    except Exception:  # a category that is unknown now
        is_same = False
    if not is_same:
        raise ValueError(
            f"{type(last_step(before.estimator)).__name__} would grow on rows whose categories "
            "are others, or in another order, than those of the first fit: its earlier trees would "
            "confuse categories. The model was not changed. Pass every batch with the "
            "categories of the first fit, in pandas by X[column].cat.set_categories(categories), "
            "in polars by an Enum, or encode them in front of the teacher, in a Pipeline."
        )


def grown(estimator, n_trees, X, y, sample_weight):
    """Return a copy of a fitted ensemble with more trees (iterations), fitted on some rows.

    The ensemble, which may end a Pipeline whose other steps stay, is not changed; `y` has to hold
    all classes that it knows.
    """
    if isinstance(estimator, FrozenEstimator):
        return grown(estimator.estimator, n_trees, X, y, sample_weight)
    if isinstance(estimator, Pipeline):
        X = as_last_step_sees(Pipeline([*estimator.steps[:-1], ("last", "passthrough")]), X)
        return _with_last_step(
            estimator, grown(estimator.steps[-1][1], n_trees, X, y, sample_weight)
        )
    return vendor_of(estimator).more_trees(estimator, n_trees, X, y, sample_weight)


def trees_asked(teacher):
    """Return how many trees an ensemble has, or will have after fit."""
    last = last_step(teacher)
    vendor = vendor_of(last)
    chosen = vendor.rounds_chosen(last) if is_fitted(last) else None
    if chosen is not None:
        return chosen
    number = last.get_params().get(vendor.size_name(last))
    return 100 if number is None else int(number)


def _with_last_step(pipeline, estimator):
    pipeline = copy(pipeline)
    pipeline.steps = [*pipeline.steps[:-1], (pipeline.steps[-1][0], estimator)]
    return pipeline


def stage_sizes(n_trees, n_stages):
    """Return after how many trees each stage ends: equal shares, the last with all."""
    return np.unique(np.ceil(n_trees * np.arange(1, n_stages + 1) / n_stages).astype(int)).tolist()


def check_rounds(teacher):
    """Check that a teacher that will be fitted here needs no evaluation set for early stopping.

    It warns if the teacher can be fitted without one, but does not stop early.
    """
    last = last_step(teacher)
    vendor = vendor_of(last)
    found = vendor.stopping(last)
    if not found or is_fitted(teacher):
        return
    message = (
        f"teacher is {type(last).__name__} with early stopping ({', '.join(found)}), and not "
        "fitted; when it is fitted here there is no evaluation set. Pass it fitted, with an "
        "evaluation set of yours: clones of it then get the number of rounds that it has chosen. "
        "Or leave early stopping out, and set the number of rounds."
    )
    if not vendor.fits_without_held_out_rows(found):
        raise ValueError(message)
    warn_caller(f"{message} {vendor.title} fits all rounds now.")


def clone_to_fit(teacher):
    """Return an unfitted clone that can be fitted without an evaluation set.

    A clone of a fitted booster that stopped early has the number of rounds that were chosen, and
    does not stop early.
    """
    clone, fitted = unfitted(teacher), last_step(teacher)
    if is_fitted(fitted):
        vendor_of(fitted).set_rounds(last_step(clone), fitted)
    return clone
