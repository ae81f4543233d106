"""Ensembles that grow tree by tree: their first trees alone, and more trees on more rows."""

from copy import copy, deepcopy

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skdistill.estimators import as_last_step_sees, last_step, package_of

#: What the ensembles call the number of their trees, or of their iterations.
_SIZE = {"lightgbm": "n_estimators", "xgboost": "n_estimators", "catboost": "iterations"}

_FORESTS = RandomForestClassifier | ExtraTreesClassifier


def check_growing(teacher):
    """Check that the trees of a teacher are fitted one after the other.

    Raises
    ------
    TypeError
        If they are not, with what to pass instead.
    """
    last = last_step(teacher)
    growing = _FORESTS | GradientBoostingClassifier | HistGradientBoostingClassifier
    if not (isinstance(last, growing) or package_of(last) in _SIZE):
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
    if package == "lightgbm":
        best = last.best_iteration_
        return best if best else last.booster_.current_iteration()
    if package == "xgboost":
        rounds = last.get_booster().num_boosted_rounds()
        best = last.get_booster().attr("best_iteration")
        return rounds if best is None else int(best) + 1
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
        young._Booster = estimator.get_booster()[:n_trees]
        young._Booster.set_attr(best_iteration=None, best_score=None)
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
    if package in _SIZE:
        begun = first_trees(estimator, count_trees(estimator))
        start = {
            "lightgbm": lambda: {"init_model": begun.booster_},
            "xgboost": lambda: {"xgb_model": begun.get_booster()},
            "catboost": lambda: {"init_model": begun},
        }[package]()
        more = clone(estimator).set_params(**{_SIZE[package]: n_trees})
        return more.fit(X, y, sample_weight=sample_weight, **start)
    more = deepcopy(estimator)
    more.set_params(warm_start=True, n_estimators=count_trees(estimator) + n_trees)
    return more.fit(X, y, sample_weight=sample_weight)


def trees_asked(teacher):
    """Return how many trees an ensemble is to have, fitted or not."""
    last = last_step(teacher)
    name = "max_iter" if hasattr(last, "max_iter") else _SIZE.get(package_of(last), "n_estimators")
    number = last.get_params().get(name)
    return 100 if number is None else int(number)


def _with_last_step(pipeline, estimator):
    pipeline = copy(pipeline)
    pipeline.steps = [*pipeline.steps[:-1], (pipeline.steps[-1][0], estimator)]
    return pipeline


def stage_sizes(n_trees, n_stages):
    """Return after how many trees each stage ends: equal shares, the last with all."""
    return np.unique(np.ceil(n_trees * np.arange(1, n_stages + 1) / n_stages).astype(int)).tolist()
