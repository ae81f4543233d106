"""What all distillers share: the steps from teacher to student, and the estimator interface."""

from copy import copy
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, check_memory

from skdistill.columns import checked_rows, require_fitted, table_names
from skdistill.distill.label_checks import warn_of_opposite_labels
from skdistill.distill.label_correction import (
    correct_labels,
    may_be_corrected,
    silenced,
    warn_of_correction,
)
from skdistill.distill.munge import Munge
from skdistill.distill.stages import (
    choose_augmentation,
    fingerprint_of,
    label_fresh_rows,
    label_real_rows,
    label_synthetic_rows,
    with_synthetic_rows,
)
from skdistill.estimators import last_step, nested, reusable
from skdistill.messages import recalled, shown
from skdistill.models import check_order
from skdistill.parameters import HasMethods, Interval, ParametersMixin, StrOptions
from skdistill.progress import CallbackSupportMixin, refuse_callbacks
from skdistill.rows import (
    SeenRows,
    check_classes,
    check_weights,
    encode_observed,
    hashes_of_seen,
    observed_classes,
    warn_of_leak,
    warn_of_seen_rows,
)
from skdistill.students.base import Student, StudentClassifier, StudentRegressor
from skdistill.students.fitting import check_student, learns_unknown_levels
from skdistill.students.tree import TreeStudentClassifier
from skdistill.teacher.asking import (
    fitted_or_clone,
    is_fitted,
    is_fitted_instance,
    unfitted,
    with_params,
    with_seeds,
)
from skdistill.teacher.fitting import check_teacher
from skdistill.teacher.labelling import warn_of_known_rows
from skdistill.teacher.split_ranges import warn_of_unseen_ranges
from skdistill.transfer_set import join
from skdistill.verbose import note, say, stage

#: Descriptions of `labelling_`.
LABELLED = {"oob": "out of bag", "cross_fit": "cross-fitted", "direct": "as they come"}

CONSTRAINTS = {
    "teacher": "no_validation",  # by check_teacher
    "student": "no_validation",  # by check_student
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


def rows_for(student, checked):
    """Return rows that a distiller has checked as its student takes them.

    Students of this package need no second look at the cells; all others, and classes derived from
    them elsewhere, get the user's container.
    """
    is_student = isinstance(student, StudentClassifier | StudentRegressor)
    is_own = is_student and type(student).__module__.startswith("skdistill.")
    return checked if is_own and not sp.issparse(checked.table) else checked.table


class Distiller(ParametersMixin, CallbackSupportMixin, MetaEstimatorMixin, BaseEstimator):
    """The estimator interface of a distiller, whose teacher may be fitted."""

    #: What `student` is if it is None; None where there is no such parameter.
    _default_student = None

    def __sklearn_clone__(self):
        """Clone the distiller, but keep a fitted teacher by reference."""
        self._cv()  # an iterator can neither be copied nor read twice
        shell = copy(self)
        shell.teacher = None
        twin = super(Distiller, shell).__sklearn_clone__()
        twin.teacher = fitted_or_clone(self.teacher)
        return twin

    def set_params(self, **params):
        """Set parameters; new parameters of a fitted teacher replace it by an unfitted clone.

        Values that it already has change nothing. Where student or augmentation is a default, its
        parameters are those of the default student, such as `TreeStudentClassifier`, or of `Munge`.

        Parameters
        ----------
        **params : dict
            Parameters of the distiller, ``teacher__...`` and ``student__...``.

        Returns
        -------
        self : object
            The distiller.

        Raises
        ------
        ValueError
            If there is no such parameter; the teacher is not changed then.
        """
        teacher = params.get("teacher", self.teacher)
        if is_fitted_instance(teacher):
            params["teacher"] = with_params(teacher, nested(params, "teacher"))
        own = self.get_params(deep=False)
        for name in {name.partition("__")[0] for name in params if "__" in name} & own.keys():
            params[name] = self._part(name, params.get(name, own[name]))
        return super().set_params(**params)

    def _part(self, name, value):
        """Return the object that a nested parameter belongs to."""
        if name == "student" and value is None:
            return self._default_student()
        if name == "augmentation" and isinstance(value, str) and value == "auto":
            return Munge()
        if not hasattr(value, "set_params"):
            raise ValueError(
                f"A parameter {name}__... was passed, but {name} is {shown(value)}, which has no "
                f"parameters. Pass an estimator as {name}, too."
            )
        return value

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
        X = self._for_student(X)
        return self.student_.predict(X)

    def _check_X(self, X):
        return self._checked(X).table

    def _checked(self, X):
        require_fitted(self)
        takes_sparse = sp.issparse(X) and self._takes_sparse()
        return checked_rows(self, X, reset=False, accept_sparse=takes_sparse)

    def _for_student(self, X):
        checked = self._checked(X)  # first: says so if there is no student yet
        return rows_for(self.student_, checked)

    def _takes_sparse(self):
        return get_tags(self).input_tags.sparse

    def _members(self, kind):
        """Return checked teacher and student, with seeds derived from `random_state`."""
        check_teacher(self.teacher, kind)
        teacher = self.teacher
        student = self._default_student() if self.student is None else self.student
        check_student(student, kind)
        check_order(teacher, student)
        for part in (student, last_step(student)):
            refuse_callbacks(part, self)
        if self.random_state is not None:
            random_state = check_random_state(self.random_state)
            if not is_fitted(teacher):  # first: its seed, a part of cache keys, is for all students
                teacher = with_seeds(unfitted(teacher), random_state)
            student = with_seeds(clone(student), random_state)
        return teacher, student

    def _cv(self):
        """Return the folds, in a form that can be used more than once."""
        if hasattr(self, "cv"):
            self.cv = reusable(self.cv)
            return self.cv
        return None

    def _label(self, lazy_teacher, student, rows, cv, task, correct_prior=False):
        """Build the transfer set in three parts of a task, some of them from the cache."""
        if isinstance(student, Student):  # what is behind transformers has other columns
            student.check_columns(table_names(rows.X))
        hashes = [hashes_of_seen(table) for table in (rows.X, rows.pool) if table is not None]
        if rows.pool is not None:
            warn_of_leak(*hashes)
        self._seen_rows = SeenRows.of_hashes(hashes)  # for reports
        self.augmentation_ = choose_augmentation(self.augmentation, student, rows)
        memory = check_memory(self.memory)
        fingerprint = None if self.memory is None else fingerprint_of(lazy_teacher)
        of_teacher = {"lazy_teacher": lazy_teacher, "fingerprint": fingerprint, "rows": rows}
        with task.part("label-rows"):
            note(f"{_count(rows.X)} by {type(last_step(self.teacher)).__name__}")
            transfer_set, self._prior_shift = recalled(
                memory, label_real_rows, ignore=["lazy_teacher", "n_jobs"]
            )(
                **of_teacher,
                labelling=self.labelling,
                cv=cv,
                correct_prior=correct_prior,
                n_jobs=self.n_jobs,
            )
            note(LABELLED[transfer_set.labelling])
        warn_of_opposite_labels(transfer_set)
        with_unknown = self.augmentation is not None and learns_unknown_levels(student)
        with task.part("label-synthetic-rows"):
            if self.augmentation_ is not None or with_unknown:
                synthetic = recalled(
                    memory, label_synthetic_rows, ignore=["lazy_teacher", "n_jobs"]
                )(
                    **of_teacher,
                    labelling=transfer_set.labelling,
                    shift=self._prior_shift,
                    augmentation=self.augmentation_,
                    with_unknown=with_unknown,
                    random_state=self.random_state,
                    n_jobs=self.n_jobs,
                )
                if synthetic is not None:
                    note(_count(synthetic.X))
                    transfer_set = join([transfer_set, synthetic])
        return task.run("correct-labels", self._correct, student, transfer_set, cv)

    def _correct(self, student, transfer_set, cv):
        """Correct the teacher's labels if `label_correction` calls for it."""
        self.label_correction_ = None
        if self.alpha in (0, 1, "auto") or not may_be_corrected(student, self.label_correction):
            return transfer_set
        note("teacher compared with students of the observed labels")
        margins, self.label_correction_ = recalled(check_memory(self.memory), correct_labels)(
            silenced(student), transfer_set, self.label_correction, cv
        )
        if self.label_correction_ is None:
            note("labels unchanged")
            return transfer_set
        note(self.label_correction_.in_words())
        if self.label_correction == "auto" and self.label_correction_.is_costly:
            warn_of_correction(self.label_correction_)
        return replace(transfer_set, margins=margins)

    def _label_fresh(self, X, y, sample_weight):
        """Let the teacher label rows that came after fit, and synthetic rows made from them."""
        X = self._check_X(X)
        observed, weight = self._observed(y, X), check_weights(sample_weight, X)
        warn_of_seen_rows(
            self._seen_rows,
            X,
            "If its teacher was, too, the labels that it gives them now are close to the hard "
            "labels, and the student learns little from them. Pass rows that came after fit.",
        )
        if is_fitted_instance(self.teacher):
            warn_of_known_rows(self.teacher, X)
        classes = getattr(self, "classes_", None)
        warn_of_unseen_ranges(self.teacher_, X, "fresh rows")
        with stage("label-rows"):
            note(f"{_count(X)} by {type(last_step(self.teacher_)).__name__}")
            fresh = label_fresh_rows(self._teacher, X, observed, weight, classes)
            fresh = with_synthetic_rows(
                fresh, self._teacher, self.augmentation_, self.student_, self.random_state
            )
        self._seen_rows = self._seen_rows.including(X)
        if self.label_correction_ is None:
            return fresh
        return replace(fresh, margins=self.label_correction_.corrected(fresh.margins, fresh.X))

    def _finish(self, lazy_teacher, transfer_set):
        """Set the fitted attributes that describe the fit."""
        self._teacher = lazy_teacher.corrected(self._prior_shift) if lazy_teacher.is_ready else None
        self.labelling_ = transfer_set.labelling
        self.transfer_summary_ = transfer_set.summary()
        return self

    def _say(self, message):
        say(message)

    def __sklearn_tags__(self):
        """Return the scikit-learn tags, with the input that teacher and student take."""
        tags = super().__sklearn_tags__()
        student = self.student if _has_tags(self.student) else TreeStudentClassifier()
        members = [get_tags(m).input_tags for m in (student, self.teacher) if _has_tags(m)]
        # Only the student gets X in predict, so it decides; the tags of a Pipeline are unreliable.
        for name in ("allow_nan", "string", "categorical"):
            takes = isinstance(student, Pipeline) or getattr(members[0], name)
            setattr(tags.input_tags, name, takes)
        tags.input_tags.sparse = all(member.sparse for member in members)
        return tags


class ClassifierDistiller(ClassifierMixin, Distiller):
    """A distiller that predicts the probabilities of its student."""

    def _takes_with(self, teacher):
        """Return the classes that a fitted teacher knows, and whether X may be sparse."""
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
        """Fit, as the first call of partial_fit, if the classes are those that were announced."""
        if classes is not None:
            check_teacher(self.teacher, "classifier")
            known = self._takes_with(self.teacher)["known_classes"]
            check_classes(classes, observed_classes(self, y) if known is None else np.sort(known))
        return self.fit(X, y, sample_weight)

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
        X = self._for_student(X)
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
        X = self._for_student(X)
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
        X = self._for_student(X)
        return self.student_.decision_function(X)


def _count(X):
    return f"{X.shape[0]:,} rows"


def _has_tags(estimator):
    return hasattr(estimator, "__sklearn_tags__") and not isinstance(estimator, type)
