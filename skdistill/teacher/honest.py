"""Honest margins for rows the teacher was fitted on: out-of-bag and cross-fitted.

In-sample answers of an ensemble are nearly the hard labels again and teach a student nothing new.
"""

import itertools
import json

import numpy as np
from joblib import Parallel, delayed
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import BaseDecisionTree

from skdistill.columns import take_rows
from skdistill.estimators import as_last_step_sees, as_taken, last_step, package_of
from skdistill.teacher.margins import join_answers

FORESTS = (
    RandomForestClassifier,
    RandomForestRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
)
BAGGINGS = (BaggingClassifier, BaggingRegressor)

#: Members whose bootstrap is replayed. One is not enough: permuted rows fill the two leaves of a
#: stump with the right numbers now and then.
PROVING_MEMBERS = 10

#: With this many members hardly a row (1 in 10,000) is in the bag of all of them.
ENOUGH_MEMBERS = 20


class Average:
    """Averages of the answers that members give to some rows each."""

    def __init__(self, n_rows, n_columns):
        self.total = np.zeros((n_rows, n_columns))
        self.squares = np.zeros(n_rows)
        self.votes = np.zeros((n_rows, 1))

    def add(self, answers, rows=slice(None)):
        """Add a member's answers to some rows, of shape (n_rows_asked, n_columns)."""
        self.total[rows] += answers
        self.votes[rows] += 1

    def add_squares(self, answers, rows):
        """Add what `variance_of_mean` needs."""
        self.squares[rows] += (answers**2).sum(axis=1)

    def mean(self):
        """Return the averages, NaN for rows that nobody was asked."""
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
    if isinstance(last, BaggingClassifier):
        base = last.estimator
        return last.bootstrap and (base is None or hasattr(base, "predict_proba"))
    return isinstance(last, FORESTS + BAGGINGS) and last.bootstrap


def has_enough_members(estimator):
    """Tell whether out-of-bag answers are to be had for practically every row."""
    return last_step(estimator).n_estimators >= ENOUGH_MEMBERS


def out_of_bag(teacher, X, n_jobs=None):
    """Compute answers to every row from the members that were not fitted on it.

    Parameters
    ----------
    teacher : ClassifierTeacher or RegressorTeacher
        Holds a fitted forest or bagging ensemble, or a pipeline ending in one.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Its training matrix, in the same order.
    n_jobs : int or None, default=None
        Threads to use.

    Returns
    -------
    answers : Answers
        Averages over the members.
    voted : ndarray of shape (n_samples,)
        Whether a member was left to answer. For the other rows the whole ensemble does.
    """
    ensemble = last_step(teacher.estimator)
    matrix = member_input(ensemble, as_last_step_sees(teacher.estimator, X))
    n_samples = matrix.shape[0]
    average = Average(n_samples, _n_columns(ensemble))
    jobs = (
        delayed(_answer_out_of_bag)(ensemble, member, features, bag, matrix)
        for member, features, bag in members(ensemble)
    )
    pool = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    for rows, answers in pool(jobs):
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
    """Compute answers to every row by a teacher that was fitted on other rows.

    Parameters
    ----------
    fit : callable
        ``fit(X, y, sample_weight)`` returns a ClassifierTeacher or RegressorTeacher.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Labelled rows.
    y : ndarray of shape (n_samples,)
        Their classes or values.
    sample_weight : ndarray of shape (n_samples,) or None
        Non-negative weights.
    splits : list of (train, test)
        Row numbers of the folds; every row is to be in exactly one test fold.
    n_jobs : int or None, default=None
        Folds to work on at a time.

    Returns
    -------
    answers : Answers
        Honest answers.

    Raises
    ------
    ValueError
        If the test folds do not cover every row exactly once.
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

    folds = Parallel(n_jobs=n_jobs)(delayed(answer_fold)(*split) for split in splits)
    return join_answers(folds, [test for _, test in splits])


def is_training_matrix(estimator, X):
    """Prove, or refute, that a fitted teacher was fitted on these rows.

    The rows that a tree was grown on fill its nodes with exactly the numbers of rows it remembers.
    For a bagging ensemble the bootstraps of some members are replayed, so the order of the rows is
    proved as well.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier or regressor, or a pipeline ending in one.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows in question.

    Returns
    -------
    proved : bool or None
        None if the estimator remembers nothing that could prove it.
    """
    last = last_step(estimator)
    if hasattr(last, "each_with_its_columns"):  # several teachers
        each = last.each_with_its_columns(as_last_step_sees(estimator, X))
        proved = [is_training_matrix(*one) for one in each]
        return None if None in proved and True not in proved else any(proved)
    if isinstance(last, FORESTS + BAGGINGS):
        return _proved_by_members(last, as_last_step_sees(estimator, X))
    if isinstance(last, GradientBoostingClassifier | GradientBoostingRegressor):
        if last.subsample < 1.0 or last.n_iter_no_change is not None:
            return None  # its trees have seen some of the rows only
        matrix = as_last_step_sees(estimator, X)
        return _fills_tree(last.estimators_[0, 0], _as_tree_input(matrix))
    if isinstance(last, BaseDecisionTree):
        return _fills_tree(last, _as_tree_input(as_last_step_sees(estimator, X)))
    if package_of(last) in ("lightgbm", "xgboost") and _samples_rows(last):
        return None
    if package_of(last) == "lightgbm":
        return _fills_lightgbm(last, as_taken(last, as_last_step_sees(estimator, X)))
    if package_of(last) == "xgboost":
        return _fills_xgboost(last, as_last_step_sees(estimator, X))
    return None


def members(ensemble):
    """Yield every member with its columns (None for all) and the rows in its bag."""
    features = getattr(ensemble, "estimators_features_", itertools.repeat(None))
    if hasattr(ensemble, "_get_estimators_indices"):  # the same as below, one at a time
        drawn = ensemble._get_estimators_indices()
        bags = (bag[1] if isinstance(bag, tuple) else bag for bag in drawn)
    else:
        bags = ensemble.estimators_samples_
    return zip(ensemble.estimators_, features, bags, strict=False)


def member_input(ensemble, X):
    """Return X as the members of an ensemble see it."""
    return _as_tree_input(X) if isinstance(ensemble, FORESTS) else _as_array(X)


def _as_array(X):
    return X if hasattr(X, "tocsr") else np.asarray(X)


def _as_tree_input(X):
    """Return X as scikit-learn's trees see it: float32, rows compressed if sparse."""
    return X.tocsr().astype(np.float32) if hasattr(X, "tocsr") else np.asarray(X, dtype=np.float32)


def _n_columns(ensemble):
    """Width of the members' answers."""
    return len(ensemble.classes_) if hasattr(ensemble, "classes_") else 1


def _answer_out_of_bag(ensemble, member, features, bag, matrix):
    out = np.ones(matrix.shape[0], dtype=bool)
    out[bag] = False
    rows = np.flatnonzero(out)
    return rows, answer_of_member(ensemble, member, features, matrix[rows])


def answer_of_member(ensemble, member, features, matrix):
    """Ask one member: probabilities in the ensemble's columns, or values.

    Parameters
    ----------
    ensemble : estimator
        A fitted forest or bagging ensemble.
    member : estimator
        One of its members.
    features : ndarray or None
        The columns it was fitted on, None for all.
    matrix : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows as `member_input` returns them.

    Returns
    -------
    answers : ndarray of shape (n_samples, n_labels) or (n_samples,)
        Probabilities of a classifier, predictions of a regressor.
    """
    if isinstance(ensemble, FORESTS):
        ask = getattr(member, "predict_proba", member.predict)
        return ask(matrix, check_input=False)
    matrix = matrix[:, features]
    if not hasattr(ensemble, "classes_"):
        return member.predict(matrix)
    proba = np.zeros((matrix.shape[0], len(ensemble.classes_)))
    proba[:, member.classes_.astype(int)] = member.predict_proba(matrix)
    return proba


def _proved_by_members(ensemble, X):
    if not isinstance(ensemble.estimators_[0], BaseDecisionTree):
        return None
    if ensemble._n_samples != X.shape[0]:
        return False
    matrix = _as_tree_input(X)
    some = itertools.islice(members(ensemble), PROVING_MEMBERS)
    return all(_fills_member(member, features, bag, matrix) for member, features, bag in some)


def _fills_member(member, features, bag, matrix):
    matrix = matrix if features is None else matrix[:, features]
    # A member weighs each row of its bag once, or was given the repeated rows themselves.
    return _fills_tree(member, matrix[np.unique(bag)]) or _fills_tree(member, matrix[bag])


def _fills_tree(tree, matrix):
    """Tell whether rows fill the nodes of a tree with the numbers it remembers."""
    expected = tree.tree_.n_node_samples
    if matrix.shape[0] != expected[0]:
        return False
    leaves = np.bincount(tree.tree_.apply(matrix), minlength=len(expected))
    is_leaf = tree.tree_.children_left < 0
    return bool(np.array_equal(leaves[is_leaf], expected[is_leaf]))


def _samples_rows(booster):
    return (booster.subsample or 1.0) < 1.0 and getattr(booster, "subsample_freq", 1) > 0


def _fills_lightgbm(model, X):
    remembered = {}

    def walk(node):
        if "leaf_index" in node:
            remembered[node["leaf_index"]] = node["leaf_count"]
        for side in ("left_child", "right_child"):
            if side in node:
                walk(node[side])

    walk(model.booster_.dump_model(num_iteration=1)["tree_info"][0]["tree_structure"])
    leaf = np.asarray(model.predict(X, pred_leaf=True, num_iteration=1)).reshape(X.shape[0], -1)
    found = np.bincount(leaf[:, 0], minlength=len(remembered))
    return found.tolist() == [remembered.get(i, 0) for i in range(len(found))]


def _fills_xgboost(model, X):
    """Compare shares: XGBoost remembers sums of Hessians, equal for all rows in the first tree."""
    remembered = {}

    def walk(node):
        if "leaf" in node:
            remembered[node["nodeid"]] = node["cover"]
        for child in node.get("children", ()):
            walk(child)

    dump = model.get_booster()[:1].get_dump(dump_format="json", with_stats=True)
    walk(json.loads(dump[0]))
    leaf = np.asarray(model.apply(X, iteration_range=(0, 1))).reshape(X.shape[0], -1)[:, 0]
    nodes = sorted(remembered)
    found = np.bincount(leaf.astype(int), minlength=nodes[-1] + 1)[nodes] / X.shape[0]
    cover = np.array([remembered[node] for node in nodes])
    return bool(np.allclose(found, cover / cover.sum(), rtol=1e-3, atol=1e-6))
