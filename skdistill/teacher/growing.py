"""Ensembles that grow tree by tree: their first trees alone, and more trees on more rows."""

from copy import copy, deepcopy
from dataclasses import replace

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skdistill.estimators import (
    as_last_step_sees,
    fit_on_documented,
    is_fitted,
    last_step,
    package_of,
)
from skdistill.teacher.rounds import ROUNDS, clone_to_fit, rounds_chosen, rounds_name

_FORESTS = RandomForestClassifier | ExtraTreesClassifier

#: Differences of margins that are no difference: what storing a booster may round.
SAME = 1e-4


def check_growing(teacher):
    """Check that the trees of a teacher are fitted one after the other.

    Raises
    ------
    TypeError
        If they are not, with what to pass instead.
    """
    last = last_step(teacher)
    growing = _FORESTS | GradientBoostingClassifier | HistGradientBoostingClassifier
    is_booster = package_of(last) in ROUNDS and getattr(last, "booster", None) != "gblinear"
    if not (isinstance(last, growing) or is_booster):
        raise TypeError(
            f"teacher is {type(last).__name__}, which does not grow tree by tree. Random forests, "
            "extra trees and both kinds of gradient boosting of scikit-learn, XGBoost, LightGBM "
            "and CatBoost do."
        )


def count_trees(estimator):
    """Count the trees of a fitted ensemble that answer; iterations, if each adds several."""
    last = last_step(estimator)
    if isinstance(last, _FORESTS):
        return len(last.estimators_)
    if isinstance(last, HistGradientBoostingClassifier):
        return last.n_iter_
    package = package_of(last)
    if package in ROUNDS and rounds_chosen(last) is not None:
        return rounds_chosen(last)
    if package == "lightgbm":
        return last.booster_.current_iteration()
    if package == "xgboost":
        return last.get_booster().num_boosted_rounds()
    if package == "catboost":
        return last.tree_count_
    return last.n_estimators_ if hasattr(last, "n_estimators_") else 1


def first_trees(estimator, n_trees):
    """Return a fitted ensemble of the first trees, of the same class; the ensemble stays as it is.

    Parameters
    ----------
    estimator : estimator
        A fitted ensemble that grows, or a Pipeline that ends in one.
    n_trees : int
        Number of trees (of iterations), at least 1.

    Returns
    -------
    young : estimator
        What `estimator` was when it had that many trees.
    """
    if isinstance(estimator, FrozenEstimator):
        return first_trees(estimator.estimator, n_trees)
    if isinstance(estimator, Pipeline):
        return _with_last_step(estimator, first_trees(estimator.steps[-1][1], n_trees))
    young = copy(estimator)
    package = package_of(estimator)
    if package == "lightgbm":
        text = estimator.booster_.model_to_string(num_iteration=n_trees)
        young._Booster = type(estimator.booster_)(model_str=text)
        young._best_iteration = None
    elif package == "xgboost":
        young._Booster = estimator.get_booster().copy()  # a slice would forget the categories
        stop = None if n_trees == young._Booster.num_boosted_rounds() else str(n_trees - 1)
        young._Booster.set_attr(best_iteration=stop, best_score=None)
    elif package == "catboost":
        young = estimator.copy()
        young.shrink(ntree_end=n_trees)
    elif isinstance(estimator, HistGradientBoostingClassifier):
        young._predictors = estimator._predictors[:n_trees]
    elif hasattr(estimator, "estimators_"):
        young.estimators_ = estimator.estimators_[:n_trees]
        if isinstance(estimator, GradientBoostingClassifier):
            young.n_estimators_ = n_trees
    return young


def check_growing_on(teacher):
    """Check that a teacher can grow on rows that it has not begun with.

    Raises
    ------
    TypeError
        If it cannot.
    """
    last = last_step(teacher)
    if isinstance(last, HistGradientBoostingClassifier):
        raise TypeError(
            "HistGradientBoostingClassifier cannot grow on other rows than it began with: "
            "scikit-learn bins them anew. For rows that come in batches use "
            "GradientBoostingClassifier, XGBoost, LightGBM, CatBoost or a forest."
        )
    if package_of(last) == "catboost" and len(last.get_cat_feature_indices()):
        raise TypeError(
            "CatBoost with categories (cat_features) cannot grow on other rows here: models that "
            "were continued on other categories were seen to hang. Encode the categories in front "
            "of it, in a Pipeline, or use LightGBM or XGBoost."
        )


def check_grown(before, after, X):
    """Check that the trees that a teacher had before it grew answer as they did.

    LightGBM numbers categories as the batch does that it has grown on last.

    Parameters
    ----------
    before, after : ClassifierTeacher
        The teacher, and with more trees.
    X : ndarray, sparse matrix or data frame of shape (n_samples, n_features)
        Rows of its first fit.

    Raises
    ------
    ValueError
        If they answer otherwise, with what to do.
    """
    expected = before.margins(X)
    try:
        old_trees = first_trees(after.estimator, count_trees(before.estimator))
        found = replace(after, estimator=old_trees).margins(X)
        is_same = np.allclose(found, expected, rtol=SAME, atol=SAME)
    except Exception:  # a category that is not known any more
        is_same = False
    if not is_same:
        raise ValueError(
            f"{type(last_step(before.estimator)).__name__} was to grow on rows whose categories "
            "are others, or in another order, than those of the first fit: its earlier trees would "
            "take one category for another. The model stays as it was. Pass every batch with the "
            "categories of the first fit, in pandas by X[column].cat.set_categories(categories), "
            "in polars by an Enum, or encode them in front of the teacher, in a Pipeline."
        )


def grown(estimator, n_trees, X, y, sample_weight):
    """Return a copy of a fitted ensemble with more trees, fitted on some rows.

    Parameters
    ----------
    estimator : estimator
        A fitted ensemble that grows, or a Pipeline that ends in one, whose other steps stay.
    n_trees : int
        Number of trees (of iterations) to add.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows.
    y : ndarray of shape (n_samples,)
        Their classes: all that the ensemble knows.
    sample_weight : ndarray of shape (n_samples,)
        Their weights.

    Returns
    -------
    grown : estimator
        The copy; `estimator` stays as it is.
    """
    if isinstance(estimator, FrozenEstimator):
        return grown(estimator.estimator, n_trees, X, y, sample_weight)
    if isinstance(estimator, Pipeline):
        X = as_last_step_sees(Pipeline([*estimator.steps[:-1], ("last", "passthrough")]), X)
        return _with_last_step(
            estimator, grown(estimator.steps[-1][1], n_trees, X, y, sample_weight)
        )
    package = package_of(estimator)
    if package in ROUNDS:
        begun = first_trees(estimator, count_trees(estimator))
        start = {
            "lightgbm": lambda: {"init_model": begun.booster_},
            "xgboost": lambda: {"xgb_model": _all_rounds(begun.get_booster())},
            "catboost": lambda: {"init_model": begun},
        }[package]()
        more = clone_to_fit(estimator)
        more.set_params(**{rounds_name(more): n_trees})
        fit_on_documented(more, X, y, sample_weight=sample_weight, **start)
        return more
    more = deepcopy(estimator)
    more.set_params(warm_start=True, n_estimators=count_trees(estimator) + n_trees)
    return more.fit(X, y, sample_weight=sample_weight)


def _all_rounds(booster):
    """Return an XGBoost booster without the rounds behind the best one."""
    best = booster.attr("best_iteration")
    return booster if best is None else booster[: int(best) + 1]


def trees_asked(teacher):
    """Return how many trees an ensemble is to have, fitted or not."""
    last = last_step(teacher)
    is_booster = package_of(last) in ROUNDS
    chosen = rounds_chosen(last) if is_booster and is_fitted(last) else None
    if chosen is not None:
        return chosen
    name = rounds_name(last) if is_booster else _size_name(last)
    number = last.get_params().get(name)
    return 100 if number is None else int(number)


def _size_name(ensemble):
    return "max_iter" if hasattr(ensemble, "max_iter") else "n_estimators"


def _with_last_step(pipeline, estimator):
    pipeline = copy(pipeline)
    pipeline.steps = [*pipeline.steps[:-1], (pipeline.steps[-1][0], estimator)]
    return pipeline


def stage_sizes(n_trees, n_stages):
    """Return after how many trees each stage ends: equal shares, the last with all."""
    return np.unique(np.ceil(n_trees * np.arange(1, n_stages + 1) / n_stages).astype(int)).tolist()
