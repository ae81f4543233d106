"""The folds of a search: rows, and the teacher's predictions for them."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if

from skdistill.columns import row_hashes, take_rows
from skdistill.messages import warn_caller
from skdistill.soft_labels import proba_from_margins
from skdistill.teacher.attributions import tree_attributions
from skdistill.teacher.identity import content_key
from skdistill.teacher.labelling import label_rows
from skdistill.teacher.lazy_teacher import LazyClassifier
from skdistill.teacher.leaves import leaves_of, may_have_leaves
from skdistill.teacher.margins import align_probabilities, check_probabilities
from skdistill.teacher.training_rows import Proof


class RememberingTeacher(ClassifierMixin, BaseEstimator):
    """A fitted teacher with stored predictions for the rows of a search.

    Honest predictions for rows that the teacher was fitted on (out-of-bag, cross-fitted) cannot be
    computed from a part of these rows, so they are looked up. For other rows, such as synthetic
    ones, the teacher predicts.

    Parameters
    ----------
    teacher : ClassifierTeacher
        The fitted teacher.
    hashes : ndarray of shape (n_known,)
        Distinct hashes of the rows with stored predictions, sorted.
    margins : ndarray of shape (n_known, n_classes)
        The predictions for them.
    """

    tree_ = None  # read for hints like a single tree, whose leaves are what `apply` returns

    def __init__(self, teacher, hashes, margins):
        self.teacher = teacher
        self.hashes = hashes
        self.margins = margins

    @classmethod
    def of(cls, teacher, tables, margins):
        """Store predictions for tables of rows; equal rows get the mean of theirs."""
        hashes = np.concatenate([row_hashes(table) for table in tables])
        distinct, which = np.unique(hashes, return_inverse=True)
        total = np.zeros((len(distinct), margins[0].shape[1]))
        np.add.at(total, which, np.concatenate(margins))
        return cls(teacher, distinct, total / np.bincount(which)[:, None])

    @property
    def classes_(self):
        """The classes, one per column of the margins."""
        return self.teacher.classes

    @cached_property
    def cache_key(self):
        """Its key in caches, computed once for all candidates."""
        return content_key(self)

    def fit(self, X, y):
        """Refuse: the teacher is fitted."""
        raise AttributeError("A teacher with stored predictions cannot be fitted again.")

    def margins_of(self, X):
        """Return margins of shape (n_samples, n_classes)."""
        hashes = row_hashes(X)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        known = self.hashes[at] == hashes
        margins = self.margins[at]
        if not known.all():
            margins[~known] = self.teacher.answers(take_rows(X, ~known)).margins()
        return margins

    def decision_function(self, X):
        """Return margins, those of the second class if there are two."""
        margins = self.margins_of(X)
        if margins.shape[1] > 2:
            return margins
        return margins[:, -1]

    def predict_proba(self, X):
        """Return probabilities."""
        return proba_from_margins(self.margins_of(X))

    def predict(self, X):
        """Return classes."""
        return self.classes_[self.margins_of(X).argmax(axis=1)]

    @available_if(lambda self: may_have_leaves(self.teacher.estimator))
    def apply(self, X):
        """Return the leaves of the teacher, see `leaves_of`."""
        return leaves_of(self.teacher.estimator, X)

    def tree_attributions(self, X, positions):
        """Return the attributions of the teacher, see `tree_attributions`."""
        return tree_attributions(self.teacher, X, positions)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.teacher.estimator).input_tags
        return tags


@dataclass(frozen=True)
class Fold:
    """The rows that candidates are fitted and scored on, with the teacher.

    Attributes
    ----------
    teacher : RememberingTeacher
        With predictions for all rows of the fold.
    X, y : table of shape (n_train, n_features), ndarray of shape (n_train,)
        Training rows, in an order in which the first n have about the same shares of classes.
    sample_weight : ndarray of shape (n_train,) or None
        Weights, if there are any.
    pool : table or None
        Unlabelled rows.
    X_test, y_test : table of shape (n_test, n_features), ndarray of shape (n_test,)
        Rows to score on.
    test_weight : ndarray of shape (n_test,) or None
        Their weights.
    test_rows : ndarray of shape (n_test,)
        Their numbers among the labelled rows.
    """

    teacher: RememberingTeacher
    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    pool: Any
    X_test: Any
    y_test: np.ndarray
    test_weight: np.ndarray | None
    test_rows: np.ndarray

    @property
    def n_rows(self):
        """Number of training rows."""
        return len(self.y)

    def teacher_proba(self, X, classes):
        """Return the teacher's probabilities of some classes, 0 for those it was not fitted on."""
        labels = self.teacher.classes_
        proba = check_probabilities(self.teacher, self.teacher.predict_proba(X), labels)
        return align_probabilities(proba, labels, classes)


def make_folds(teacher, rows, splits, labelling, cv, n_jobs, random_state, goes_on=None):
    """Compute the teacher's predictions for the rows of every fold, once.

    A fitted teacher's honest predictions for all rows are computed once, for all folds; otherwise a
    clone is fitted on the training rows of each fold. `labelling` and `cv` are as in
    `DistilledClassifier`; `random_state` decides the order of the training rows. `goes_on`, if any,
    takes the number of folds that are ready and of all, and returns whether there is time for
    another.
    """
    lazy_teacher = LazyClassifier(teacher, rows)
    shared = None
    if lazy_teacher.was_fitted:
        _warn_of_fitted_teacher(lazy_teacher)
        shared = _remember(lazy_teacher, labelling, cv, n_jobs, [])
    how = shared, labelling, cv, n_jobs, random_state
    folds = []
    for train, test in splits:
        if folds and goes_on is not None and not goes_on(len(folds), len(splits)):
            break
        folds.append(_make_fold(teacher, rows, train, test, *how))
    return folds


def _warn_of_fitted_teacher(lazy_teacher):
    """Warn of optimistic scores, unless the teacher was proven not to be fitted on the rows."""
    if lazy_teacher.proof is Proof.REFUTED or lazy_teacher.rows.nothing_observed:
        return
    was = "was" if lazy_teacher.proof is Proof.PROVED else "may have been"
    warn_caller(
        f"StudentSearchCV was given a fitted teacher, which {was} fitted on these rows. It has "
        "then learned from the test rows of every fold, and through it students know something of "
        "the classes that they are scored on: scores are too good, those of MLPs above all. Pass "
        "the teacher unfitted (clone(teacher)), which costs a fit per fold. To accept such scores, "
        "and judge the chosen student on other rows: warnings.filterwarnings('ignore', "
        "message='StudentSearchCV was given a fitted teacher')."
    )


def _make_fold(teacher, rows, train, test, shared, labelling, cv, n_jobs, random_state):
    train = train[_balanced_order(rows.y[train], random_state)]
    X_test = take_rows(rows.X, test)
    learned = {"y": rows.y[train], "sample_weight": rows.sample_weight[train]}
    of_train = replace(rows, X=take_rows(rows.X, train), **learned)
    if shared is None:
        lazy_teacher = LazyClassifier(teacher, of_train)
        shared = _remember(lazy_teacher, labelling, cv, n_jobs, [X_test])
    return Fold(
        teacher=shared,
        X=of_train.X,
        y=of_train.y,
        sample_weight=of_train.given_weight,
        pool=rows.pool,
        X_test=X_test,
        y_test=rows.y[test],
        test_weight=rows.sample_weight[test] if rows.has_weights else None,
        test_rows=test,
    )


def _remember(lazy_teacher, labelling, cv, n_jobs, others):
    """Label the rows of a teacher honestly, and others directly."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the final fit warns, once
        answers, _ = label_rows(lazy_teacher, labelling, cv, n_jobs)
    teacher, rows = lazy_teacher.fitted, lazy_teacher.rows
    others = [*others, rows.pool] if rows.pool is not None else others
    known = set(row_hashes(rows.X).tolist())
    tables, margins = [rows.X], [answers.margins()]
    for table in others:
        fresh = np.array([each not in known for each in row_hashes(table).tolist()])
        if fresh.any():  # not the teacher's own rows: predictions for them are not honest
            tables.append(take_rows(table, fresh))
            margins.append(teacher.answers(tables[-1]).margins())
    remembering = RememberingTeacher.of(teacher, tables, margins)
    _ = remembering.cache_key  # computed before it is copied to other processes
    return remembering


def _balanced_order(y, random_state):
    """Return an order in which the first n rows have about the same shares of classes."""
    random_state = check_random_state(random_state)
    place = np.empty(len(y))
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        ranks = (random_state.permutation(len(rows)) + random_state.uniform()) / len(rows)
        place[rows] = ranks
    return np.argsort(place, kind="stable")


def out_of_fold_labels(folds, rows, classes):
    """Return the tested rows, each once, and the probabilities by their first fold's teacher."""
    tested = np.concatenate([fold.test_rows for fold in folds])
    proba = np.concatenate([fold.teacher_proba(fold.X_test, classes) for fold in folds])
    numbers, first = np.unique(tested, return_index=True)
    return take_rows(rows.X, numbers), proba[first]
