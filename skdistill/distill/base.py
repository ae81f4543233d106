"""What both distillers share: the flow from teacher to student, and behaving as estimators."""

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, check_memory

from skdistill.columns import check_rows, row_hashes
from skdistill.distill.label_correction import (
    correct_labels,
    may_be_corrected,
    silenced,
    warn_of_correction,
)
from skdistill.distill.stages import (
    choose_augmentation,
    fingerprint_of,
    label_fresh_rows,
    label_real_rows,
    label_synthetic_rows,
)
from skdistill.estimators import (
    fitted_or_clone,
    is_fitted,
    is_fitted_instance,
    last_step,
    unfitted,
    with_seeds,
)
from skdistill.rows import SeenRows, check_weights, encode_observed, warn_of_leak
from skdistill.students.fitting import check_student, learns_unknown_levels
from skdistill.students.tree import TreeStudentClassifier
from skdistill.teacher.fitting import check_teacher
from skdistill.transfer_set import join

CONSTRAINTS = {
    "teacher": "no_validation",  # check_teacher says more
    "student": "no_validation",  # check_student says more
    "alpha": [Interval(Real, 0.0, 1.0, closed="both")],
    "labelling": [StrOptions({"auto", "direct", "oob", "cross_fit"})],
    "label_correction": ["boolean", StrOptions({"auto"})],
    "cv": ["cv_object"],
    "augmentation": [HasMethods(["sample"]), StrOptions({"auto"}), None],
    "memory": [str, HasMethods(["cache"]), None],
    "n_jobs": [Integral, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def student_has(method):
    """Make the check that a distiller's student has a method."""

    def check(distiller):
        return hasattr(last_step(distiller.student), method)

    return check


class Distiller(MetaEstimatorMixin, BaseEstimator):
    """What both distillers do to behave as estimators around a teacher that may be fitted."""

    def __sklearn_clone__(self):
        """Clone the distiller, but keep a fitted teacher by reference."""
        shell = copy(self)
        shell.teacher = None
        twin = super(Distiller, shell).__sklearn_clone__()
        twin.teacher = fitted_or_clone(self.teacher)
        return twin

    def set_params(self, **params):
        """Set parameters; one of a fitted teacher replaces it by an unfitted clone first.

        Parameters
        ----------
        **params : dict
            Parameters of the distiller, ``teacher__...`` and ``student__...``.

        Returns
        -------
        self : object
            The distiller.
        """
        teacher = params.get("teacher", self.teacher)
        thaws = {name for name in params if name.startswith("teacher__")}
        if isinstance(teacher, FrozenEstimator):
            thaws.discard("teacher__estimator")  # its one own parameter
        if thaws and is_fitted_instance(teacher):
            params["teacher"] = unfitted(teacher)
        return super().set_params(**params)

    @property
    def teacher_(self):
        """The fitted teacher: the one given, or the clone that was fitted."""
        check_is_fitted(self)
        if self._teacher is None:
            raise AttributeError(
                "teacher_ is not there: the margins of this fit came from `memory`, so the teacher "
                "was not fitted again. Fit with memory=None, or clear the cache, to have it."
            )
        return self._teacher.estimator

    def predict(self, X):
        """Predict with the student.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes, or values in regression.
        """
        X = self._check_X(X)
        return self.student_.predict(X)

    def _check_X(self, X):
        check_is_fitted(self)
        return check_rows(self, X, reset=False, accept_sparse=self._takes_sparse())

    def _takes_sparse(self):
        return get_tags(self).input_tags.sparse

    def _members(self, kind, default_student):
        """Return checked teacher and student; without a seed of their own they get one of ours."""
        check_teacher(self.teacher, kind)
        teacher = self.teacher
        student = default_student if self.student is None else self.student
        check_student(student, kind)
        if self.random_state is not None:
            random_state = check_random_state(self.random_state)
            if not is_fitted(teacher):  # first: its seed, and so the cache, is to know no student
                teacher = with_seeds(unfitted(teacher), random_state)
            student = with_seeds(clone(student), random_state)
        return teacher, student

    def _cv(self):
        """Return the folds in a form that can be used more than once."""
        return list(self.cv) if isinstance(self.cv, Iterator) else self.cv

    def _label(self, in_use, student, rows, cv, correct_prior=False):
        """Build the transfer set, or take its parts from the cache."""
        hashes = [row_hashes(table) for table in (rows.X, rows.pool) if table is not None]
        if rows.pool is not None:
            warn_of_leak(*hashes)
        self._seen_rows = SeenRows.of_hashes(hashes)  # for reports
        self.augmentation_ = choose_augmentation(self.augmentation, student, rows)
        self._say(f"labelling {rows.X.shape[0]} rows by {type(last_step(self.teacher)).__name__}")
        memory = check_memory(self.memory)
        fingerprint = None if self.memory is None else fingerprint_of(in_use)
        of_teacher = {"in_use": in_use, "fingerprint": fingerprint, "rows": rows}
        transfer_set, self._prior_shift = memory.cache(
            label_real_rows, ignore=["in_use", "n_jobs"]
        )(
            **of_teacher,
            labelling=self.labelling,
            cv=cv,
            correct_prior=correct_prior,
            n_jobs=self.n_jobs,
        )
        with_unknown = self.augmentation is not None and learns_unknown_levels(student)
        if self.augmentation_ is not None or with_unknown:
            synthetic = memory.cache(label_synthetic_rows, ignore=["in_use", "n_jobs"])(
                **of_teacher,
                labelling=transfer_set.labelling,
                shift=self._prior_shift,
                augmentation=self.augmentation_,
                with_unknown=with_unknown,
                random_state=self.random_state,
                n_jobs=self.n_jobs,
            )
            if synthetic is not None:
                transfer_set = join([transfer_set, synthetic])
        self.label_correction_ = None
        if self.alpha in (0, 1, "auto") or not may_be_corrected(student, self.label_correction):
            return transfer_set
        self._say("judging the teacher by students fitted to what was observed")
        margins, self.label_correction_ = memory.cache(correct_labels)(
            silenced(student), transfer_set, self.label_correction, cv
        )
        if self.label_correction_ is None:
            return transfer_set
        self._say(f"corrected the labels, {self.label_correction_.in_words()}")
        if self.label_correction == "auto":
            warn_of_correction()
        return replace(transfer_set, margins=margins)

    def _label_fresh(self, X, y, sample_weight):
        """Have the teacher label rows that came after fit, and synthetic ones made of them."""
        X = self._check_X(X)
        self._seen_rows = self._seen_rows.including(X)
        self._say(f"labelling {X.shape[0]} fresh rows by {type(last_step(self.teacher_)).__name__}")
        fresh = label_fresh_rows(
            self._teacher,
            X,
            self._observed(y, X),
            check_weights(sample_weight, X),
            getattr(self, "classes_", None),
            self.augmentation_,
            self.random_state,
        )
        if self.label_correction_ is None:
            return fresh
        return replace(fresh, margins=self.label_correction_.corrected(fresh.margins, fresh.X))

    def _finish(self, in_use, transfer_set):
        """Keep what the user may want to look at after fit."""
        self._teacher = in_use.corrected(self._prior_shift) if in_use.is_ready else None
        self.labelling_ = transfer_set.labelling
        self.transfer_summary_ = transfer_set.summary()
        self._say(f"fitted {type(last_step(self.student_)).__name__}")
        return self

    def _say(self, message):
        if self.verbose:
            print(f"[{type(self).__name__}] {message}")

    def __sklearn_tags__(self):
        """Return the scikit-learn tags, with the input that teacher and student take."""
        tags = super().__sklearn_tags__()
        student = self.student if _has_tags(self.student) else TreeStudentClassifier()
        members = [get_tags(m).input_tags for m in (student, self.teacher) if _has_tags(m)]
        # Only the student sees X in predict, so it decides; a Pipeline's own tags are no guide.
        for name in ("allow_nan", "string", "categorical"):
            takes = isinstance(student, Pipeline) or getattr(members[0], name)
            setattr(tags.input_tags, name, takes)
        tags.input_tags.sparse = all(member.sparse for member in members)
        return tags


class ClassifierDistiller(ClassifierMixin, Distiller):
    """What answers with the probabilities of its student."""

    def _takes_with(self, teacher):
        """Say what rows can be taken: classes a fitted teacher knows, and whether X is sparse."""
        is_known = teacher is not None and is_fitted(teacher)
        return {
            "known_classes": teacher.classes_ if is_known else None,
            "accept_sparse": self._takes_sparse(),
        }

    def _observed(self, y, X):
        """Return the position of every observed class, -1 for none."""
        if y is None:
            return np.full(X.shape[0], -1)
        return encode_observed(self, y, X, self.classes_)

    def _fit_first_batch(self, X, y, classes, sample_weight):
        """Fit, as the first call of partial_fit, and check the classes there were to be."""
        self.fit(X, y, sample_weight)
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={list(classes)} are not those of y and the teacher, "
                f"{self.classes_.tolist()}. Pass rows of all classes in the first call."
            )
        return self

    def predict_proba(self, X):
        """Predict probabilities with the student.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            One column per class, in the order of ``classes_``.
        """
        X = self._check_X(X)
        return self.student_.predict_proba(X)

    def predict_log_proba(self, X):
        """Predict logarithms of probabilities with the student.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            One column per class, in the order of ``classes_``.
        """
        X = self._check_X(X)
        return self.student_.predict_log_proba(X)

    def decision_function(self, X):
        """Compute the margins of the student.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Log-odds of ``classes_[1]`` if there are two classes, else one margin per class.
        """
        X = self._check_X(X)
        return self.student_.decision_function(X)


def _has_tags(estimator):
    return hasattr(estimator, "__sklearn_tags__") and not isinstance(estimator, type)
