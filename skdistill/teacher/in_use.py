"""The teacher of one distillation: given fitted, or fitted when it is first asked."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from skdistill.estimators import is_fitted
from skdistill.teacher.fitting import (
    check_teacher_columns,
    fit_classifier,
    fit_regressor,
    wrap_fitted_classifier,
)
from skdistill.teacher.margins import RegressorTeacher


class TeacherInUse:
    """A teacher for some labelled rows.

    If the margins come from a cache it is never asked, and then never fitted either.

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
    """

    def __init__(self, estimator, rows):
        self.estimator = estimator
        self.rows = rows
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

    @property
    def is_ready(self):
        """Whether it is fitted by now."""
        return "fitted" in vars(self)


class ClassifierInUse(TeacherInUse):
    """A classifier as the teacher of one distillation, see `TeacherInUse`."""

    @cached_property
    def classes(self):
        """Classes that the teacher knows if it was given fitted, else those observed."""
        return self.fitted.classes if self.was_fitted else np.unique(self.rows.y)

    def fit(self, X, y, sample_weight):
        """Fit a clone on some rows and return it as a ClassifierTeacher."""
        prior = self._class_prior(self.classes)
        return fit_classifier(self.estimator, X, y, sample_weight, self.classes, prior)

    def encoded_y(self):
        """Return the position of every label among the classes."""
        return np.searchsorted(self.classes, self.rows.y)

    def _wrap(self):
        return wrap_fitted_classifier(self.estimator, np.unique(self.rows.y), self._class_prior)

    def _class_prior(self, classes):
        """Shares of the classes among the labelled rows, with one more row spread over all."""
        weight = self.rows.sample_weight / self.rows.sample_weight.mean()
        mass = np.array([weight[self.rows.y == label].sum() for label in classes])
        return (mass + 1 / len(classes)) / (mass.sum() + 1)


class RegressorInUse(TeacherInUse):
    """A regressor as the teacher of one distillation, see `TeacherInUse`."""

    classes = None

    def fit(self, X, y, sample_weight):
        """Fit a clone on some rows and return it as a RegressorTeacher."""
        return fit_regressor(self.estimator, X, y, sample_weight)

    def encoded_y(self):
        """Return the observed values."""
        return self.rows.y

    def _wrap(self):
        return RegressorTeacher(self.estimator)
