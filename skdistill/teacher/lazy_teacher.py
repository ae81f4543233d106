"""The teacher of one distillation: passed fitted, or fitted when it is first needed."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from skdistill.estimators import as_last_step_sees, last_step, learns_from_y
from skdistill.teacher.asking import is_fitted
from skdistill.teacher.fitting import (
    check_teacher_columns,
    fit_classifier,
    fit_regressor,
    labels_in,
    wrap_fitted_classifier,
)
from skdistill.teacher.margins import ClassifierTeacher, RegressorTeacher, remembered_prior
from skdistill.teacher.training_rows import proof_of_training_rows, replays_bootstraps
from skdistill.teacher.tree_nodes import readable_ensembles


class LazyTeacher:
    """A teacher bound to its labelled rows, fitted when it is first needed.

    If its margins come from a cache it is never needed, and never fitted.

    Parameters
    ----------
    estimator : estimator
        A classifier or regressor, fitted or not.
    rows : Rows
        The labelled rows.

    Attributes
    ----------
    was_fitted : bool
        Whether the user has fitted it.
    classes : ndarray of shape (n_classes,) or None
        Classes of the distillation; None in regression.
    members : sequence of LazyTeacher
        The teachers of a `MultiTeacher`, each with its columns of the rows; empty for others.
    labelled : dict
        What `label_rows` has computed so far, by what it was asked for.
    """

    members = ()

    def __init__(self, estimator, rows):
        self.estimator = estimator
        self.rows = rows
        self.labelled = {}
        self.was_fitted = is_fitted(estimator)
        if self.was_fitted:
            check_teacher_columns(estimator, rows.X)
            self.fitted = self._wrap()

    @cached_property
    def fitted(self):
        """The fitted teacher, a ClassifierTeacher or RegressorTeacher."""
        return self.fit(self.rows.X, self.rows.y, self.rows.given_weight)

    def corrected(self, shift):
        """Return the fitted teacher with a correction of its prior; None for no correction."""
        return self.fitted if shift is None else replace(self.fitted, shift=shift)

    @cached_property
    def proof(self):
        """What is known about whether a teacher that was passed fitted was fitted on the rows."""
        has_classes = self.classes is not None and not self.rows.nothing_observed
        codes = self.encoded_y() if has_classes else None
        return proof_of_training_rows(self.estimator, self.rows.X, codes, self.read_trees)

    @cached_property
    def _trees(self):
        return list(readable_ensembles(self.estimator, self.rows.X))

    def read_trees(self, *_):
        """Return the `readable_ensembles` of a teacher passed fitted, reading them once."""
        return self._trees

    @cached_property
    def replays_bootstraps(self):
        """Whether a teacher that was passed fitted proves by its bags that it has seen the rows."""
        return self.was_fitted and replays_bootstraps(self.estimator, self.rows.X)

    @cached_property
    def learns_from_y(self):
        """Whether a step in front of the last one knows the class of every row."""
        return learns_from_y(self.estimator, self.rows.X, self.rows.y)

    @property
    def is_ready(self):
        """Whether it is fitted by now."""
        return "fitted" in vars(self)


class LazyClassifier(LazyTeacher):
    """A classifier as the teacher of one distillation, see `LazyTeacher`.

    Parameters
    ----------
    estimator : estimator
        A classifier, fitted or not.
    rows : Rows
        The labelled rows.
    labels : ndarray of shape (n_labels,) or None, default=None
        Label of every column of its ``predict_proba``; None for its ``classes_``.
    classes : ndarray of shape (n_classes,) or None, default=None
        Classes of the distillation; None for those that the teacher knows if it was passed fitted,
        else those observed.
    """

    def __init__(self, estimator, rows, labels=None, classes=None):
        self._labels = labels
        self._given_classes = classes
        super().__init__(estimator, rows)

    @cached_property
    def classes(self):
        """Classes of the distillation."""
        if self._given_classes is not None:
            return self._given_classes
        if self.was_fitted:
            return self.fitted.classes
        return self.members[0].classes if self.members else np.unique(self.rows.y)

    @cached_property
    def members(self):
        """The teachers of a `MultiTeacher`, each bound to its columns."""
        several = last_step(self.estimator)
        is_bare = self.was_fitted or several is self.estimator  # behind no unfitted transformers
        if not (is_bare and hasattr(several, "lazy_members")):
            return ()
        X = as_last_step_sees(self.estimator, self.rows.X)
        return several.lazy_members(replace(self.rows, X=X))

    @cached_property
    def fitted(self):
        """The fitted teacher, a ClassifierTeacher."""
        if not self.members:
            return self.fit(self.rows.X, self.rows.y, self.rows.given_weight)
        several = self.estimator.fitted_from(self.members, self.rows)
        prior = self._class_prior(self.classes)
        return ClassifierTeacher(several, self.classes, self.classes, prior)

    def fit(self, X, y, sample_weight):
        """Fit a clone on some rows and return it as a ClassifierTeacher."""
        prior = self._class_prior(self.classes)
        return fit_classifier(self.estimator, X, y, sample_weight, self.classes, prior)

    def encoded_y(self):
        """Return the position of every label among the classes, -1 if none was observed."""
        if self.rows.nothing_observed:
            return self.rows.y
        return np.searchsorted(self.classes, self.rows.y)

    def _wrap(self):
        labels = self._labels
        if self._given_classes is None:
            labels = labels_in(self.rows, self.estimator, np.asarray(self.estimator.classes_))
        return wrap_fitted_classifier(
            self.estimator,
            self.rows.observed_classes,
            self._class_prior,
            labels,
            self._given_classes,
        )

    def _class_prior(self, classes):
        """Shares of the classes among the labelled rows, with one more row spread over all.

        Where nothing was observed those that the teacher remembers, else equal ones.
        """
        if self.rows.nothing_observed:
            remembered = remembered_prior(self.estimator)
            return np.full(len(classes), 1 / len(classes)) if remembered is None else remembered
        weight = self.rows.sample_weight / self.rows.sample_weight.mean()
        mass = np.array([weight[self.rows.y == label].sum() for label in classes])
        return (mass + 1 / len(classes)) / (mass.sum() + 1)


class LazyRegressor(LazyTeacher):
    """A regressor as the teacher of one distillation, see `LazyTeacher`."""

    classes = None

    def fit(self, X, y, sample_weight):
        """Fit a clone on some rows and return it as a RegressorTeacher."""
        return fit_regressor(self.estimator, X, y, sample_weight)

    def encoded_y(self):
        """Return the observed values."""
        return self.rows.y

    def _wrap(self):
        return RegressorTeacher(self.estimator)
