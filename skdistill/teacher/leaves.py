"""In which leaves of a tree ensemble rows fall: its inner representation of them."""

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import gen_batches

from skdistill.columns import take_rows
from skdistill.estimators import as_last_step_sees, as_taken, last_step, listed_members, package_of
from skdistill.teacher.honest import member_input

#: Trees that are looked at, evenly spread over an ensemble.
MOST_TREES = 64

#: Rows that are asked at a time: boosters answer for all their trees.
BLOCK_ROWS = 20_000

#: Width of the embedding of leaves.
EMBEDDING_SIZE = 32

#: What is left of a variance of 0 in float32.
NO_VARIANCE = 1e-9

#: Decimals to which the answers of a tree of HistGradientBoosting tell its leaves apart.
DECIMALS = 10


def leaves_of(estimator, X):
    """Find the leaf of every row in trees of an ensemble.

    Parameters
    ----------
    estimator : estimator
        A fitted tree, forest or boosting model of scikit-learn, LightGBM, XGBoost or CatBoost; an
        ensemble of those, or a pipeline that ends in one.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows as the estimator takes them.

    Returns
    -------
    leaves : ndarray of shape (n_samples, n_trees)
        Int32, at most `MOST_TREES` trees per ensemble: equal within a column where rows share the
        leaf.

    Raises
    ------
    ValueError
        If the estimator, or a part of it, has no leaves.
    """
    rows = np.arange(X.shape[0])
    blocks = [rows[block] for block in gen_batches(len(rows), BLOCK_ROWS)]
    return np.concatenate([_leaves(estimator, take_rows(X, block)) for block in blocks])


def may_have_leaves(estimator):
    """Tell by its class, fitted or not, whether an estimator may be made of trees.

    Parameters
    ----------
    estimator : estimator
        A model, or a pipeline that ends in one.

    Returns
    -------
    may_have : bool
        False if it is certain that `leaves_of` finds none; models of unknown packages may.
    """
    last = last_step(estimator)
    if isinstance(last, VotingClassifier | StackingClassifier):
        members = [each for _, each in last.estimators if each != "drop"]
    elif isinstance(last, BaggingClassifier | AdaBoostClassifier):
        members = [] if last.estimator is None else [last.estimator]
    else:
        members = [each for _, each, *_ in getattr(last, "teachers", ())]  # of a MultiTeacher
    if members:
        return all(map(may_have_leaves, members))
    if getattr(last, "booster", None) == "gblinear":
        return False
    has_trees = ("sklearn.tree", "sklearn.ensemble")
    is_of_trees = any(each.__module__.startswith(has_trees) for each in type(last).__mro__)
    is_of_trees = is_of_trees or hasattr(last, "apply")  # as of a tree student
    return is_of_trees or package_of(last) not in ("sklearn", "skdistill")


def check_has_leaves(estimator):
    """Raise `without_leaves` if `may_have_leaves` is certain that there are none."""
    if not may_have_leaves(estimator):
        raise without_leaves(estimator)


def without_leaves(estimator):
    """Return the error that says that an estimator has no leaves."""
    return ValueError(
        f"{type(last_step(estimator)).__name__} has no leaves, which LeafHint and "
        "ProximityHint need. Trees, forests, boosting models of scikit-learn, LightGBM, XGBoost "
        "and CatBoost, and ensembles of them have. Use one as the teacher, or leave both hints out."
    )


class LeafEmbedding:
    """Few numbers that say in which leaves a row falls.

    Leaves are made one-hot and projected onto their leading singular vectors. On the rows that the
    embedding is fitted on the coordinates have mean 0 and, on average, variance 1.

    Parameters
    ----------
    leaves : ndarray of shape (n_samples, n_trees)
        As `leaves_of` returns them.
    """

    def __init__(self, leaves):
        self.one_hot = OneHotEncoder(handle_unknown="ignore", dtype=np.float32)
        codes = self.one_hot.fit_transform(leaves)
        self.directions = TruncatedSVD(min(EMBEDDING_SIZE, codes.shape[1]), random_state=0)
        with np.errstate(divide="ignore", invalid="ignore"):  # no variance to share: one leaf only
            found = self.directions.fit_transform(codes)
        self.mean = found.mean(axis=0)
        variance = found.var(axis=0).mean()
        self.scale = np.sqrt(variance) if variance > NO_VARIANCE else 1.0

    def embed(self, leaves):
        """Return the coordinates of rows, float32 of shape (n_samples, at most EMBEDDING_SIZE)."""
        found = self.directions.transform(self.one_hot.transform(leaves))
        return ((found - self.mean) / self.scale).astype(np.float32)


def _leaves(estimator, X):
    last = last_step(estimator)
    X = as_taken(last, as_last_step_sees(estimator, X))
    if hasattr(last, "tree_"):
        return last.apply(X).astype(np.int32)[:, None]
    members = _members(last, X)
    if members:
        return np.concatenate([_leaves(member, rows) for member, rows in members], axis=1)
    package = package_of(last)
    if package == "lightgbm":
        found = last.predict(X, pred_leaf=True)
    elif package == "xgboost" and last.booster != "gblinear":
        found = last.apply(X)
    elif package == "catboost":
        found = last.calc_leaf_indexes(X)
    elif hasattr(last, "staged_decision_function"):  # HistGradientBoosting hides its leaves
        return _leaves_by_answers(last, X)
    else:
        raise without_leaves(last)
    found = np.asarray(found).reshape(X.shape[0], -1)
    return found[:, spread(found.shape[1])].astype(np.int32)


def _members(ensemble, X):
    """List the members of an ensemble with the rows as they see them."""
    if hasattr(ensemble, "each_with_its_columns"):  # a MultiTeacher
        return ensemble.each_with_its_columns(X)
    members = listed_members(getattr(ensemble, "estimators_", []))
    if not members:
        return []
    columns = getattr(ensemble, "estimators_features_", None)
    if columns is not None or hasattr(members[0], "tree_"):
        X = member_input(ensemble, X)
    chosen = spread(len(members))
    return [(members[i], X if columns is None else X[:, columns[i]]) for i in chosen]


def _leaves_by_answers(booster, X):
    """Tell leaves apart by what the trees add to the scores; those that add the same are one."""
    scores = np.stack([s.reshape(X.shape[0], -1) for s in booster.staged_decision_function(X)])
    added = np.concatenate([scores[:1], np.diff(scores, axis=0)])
    trees = added.transpose(1, 0, 2).reshape(X.shape[0], -1)
    trees = trees[:, spread(trees.shape[1])]
    return (trees.round(DECIMALS).astype(np.float32) + 0.0).view(np.int32)


def spread(number, most=MOST_TREES):
    """Return at most so many positions, evenly spread over a number of them."""
    return np.linspace(0, number - 1, min(number, most)).astype(int)
