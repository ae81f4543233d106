"""The distillers: the one place that sees the whole flow, from teacher to student."""

from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, check_memory

from skdistill.columns import check_rows, row_hashes
from skdistill.estimators import is_fitted, last_step, unfitted, with_seeds
from skdistill.label_correction import (
    correct_labels,
    may_be_corrected,
    silenced,
    warn_of_correction,
)
from skdistill.rows import (
    SeenRows,
    check_classification_rows,
    check_regression_rows,
    check_weights,
    encode_observed,
    warn_of_leak,
)
from skdistill.stages import (
    choose_augmentation,
    choose_temperature,
    fingerprint_of,
    label_fresh_rows,
    label_real_rows,
    label_synthetic_rows,
)
from skdistill.students.fitting import (
    check_student,
    distill_classifier,
    distill_classifier_further,
    distill_regressor,
    distill_regressor_further,
)
from skdistill.students.tree import TreeStudentClassifier, TreeStudentRegressor
from skdistill.teacher.fitting import check_teacher
from skdistill.teacher.in_use import ClassifierInUse, RegressorInUse
from skdistill.transfer_set import join

_CONSTRAINTS = {
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


def _student_has(method):
    """Make the check that a distiller's student has a method."""

    def check(distiller):
        return hasattr(last_step(distiller.student), method)

    return check


class _Distiller(MetaEstimatorMixin, BaseEstimator):
    """What both distillers do to behave as estimators around a teacher that may be fitted."""

    def __sklearn_clone__(self):
        """Clone the distiller, but keep a fitted teacher by reference."""
        copy = super().__sklearn_clone__()
        if _is_fitted_instance(self.teacher):
            copy.teacher = self.teacher
        return copy

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
        if thaws and _is_fitted_instance(teacher):
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
                teacher = with_seeds(clone(teacher), random_state)
            student = with_seeds(clone(student), random_state)
        return teacher, student

    def _label(self, in_use, student, rows):
        """Build the transfer set, or take its parts from the cache."""
        hashes = [row_hashes(table) for table in (rows.X, rows.pool) if table is not None]
        if rows.pool is not None:
            warn_of_leak(*hashes)
        self._seen_rows = SeenRows.of_hashes(hashes)  # for reports
        self.augmentation_ = choose_augmentation(self.augmentation, student, rows)
        self._say(f"labelling {rows.X.shape[0]} rows by {type(last_step(self.teacher)).__name__}")
        memory = check_memory(self.memory)
        cv = list(self.cv) if isinstance(self.cv, Iterator) else self.cv  # it may be used twice
        fingerprint = None if self.memory is None else fingerprint_of(in_use)
        of_teacher = {"in_use": in_use, "fingerprint": fingerprint, "rows": rows}
        transfer_set = memory.cache(label_real_rows, ignore=["in_use", "n_jobs"])(
            **of_teacher, labelling=self.labelling, cv=cv, n_jobs=self.n_jobs
        )
        if self.augmentation_ is not None:
            synthetic = memory.cache(label_synthetic_rows, ignore=["in_use", "n_jobs"])(
                **of_teacher,
                labelling=transfer_set.labelling,
                augmentation=self.augmentation_,
                random_state=self.random_state,
                n_jobs=self.n_jobs,
            )
            transfer_set = join([transfer_set, synthetic])
        self.label_correction_ = None
        if self.alpha in (0, 1) or not may_be_corrected(student, self.label_correction):
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
        self._teacher = in_use.fitted if in_use.is_ready else None
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


class DistilledClassifier(ClassifierMixin, _Distiller):
    """Distil a tree ensemble, or any classifier, into a small student.

    The student is fitted to the teacher's probabilities on labelled, unlabelled and synthetic
    rows. Used inside Pipeline or GridSearchCV it behaves as any other classifier.

    Parameters
    ----------
    teacher : estimator
        A classifier with ``predict_proba``. Fitted: used as it is, also by clones; it is never
        refitted or changed. Not fitted: a clone is fitted on the labelled rows.
    student : estimator or None, default=None
        A student of skdistill, any classifier whose ``fit`` takes ``sample_weight`` (see
        `SoftLabelClassifier`), or a Pipeline that ends in one. None is `TreeStudentClassifier()`.
    temperature : float or "auto", default=1.0
        Divides the margins of teacher and student in the soft term of the loss; predictions always
        use 1. "auto" takes the temperature at which the teacher's honest margins predict the
        observed classes best.
    alpha : float, default=0.8
        Weight of the soft term of the loss, in [0, 1]; the hard term on observed classes has the
        rest.
    labelling : {"auto", "direct", "oob", "cross_fit"}, default="auto"
        How the teacher labels the labelled rows. Its answers on rows it was fitted on are nearly
        the hard labels again and teach little.

        - "oob": by the members of a bagging ensemble that were not fitted on the row. For a
          teacher fitted outside, X has to be its training matrix in the same order; this is
          proved by replaying the bootstrap of one member.
        - "cross_fit": by clones of the teacher, each fitted on the other folds.
        - "direct": by the teacher itself. Right for rows it was not fitted on.
        - "auto": "oob" where it can be had for at least 20 members, else "cross_fit" for a teacher
          that is fitted inside, else "direct".
    label_correction : bool or "auto", default="auto"
        Whether to correct the teacher's labels by the observed classes. Clones of the student are
        fitted to those alone, each without one fold of `cv`, and the student learns from the
        logarithmic opinion pool of teacher and clones that predicts the observed classes best.

        - "auto": for students that gain from it (the MLP), if the teacher is no better than the
          clones, and significantly worse than the pool, on at least 100 labelled rows. A warning
          says so. A teacher that is clearly better costs one such fit, others `cv`.
        - True: always. The student may become better than its teacher, and less like it.
        - False: never. The student imitates the teacher, whatever that is worth.

        With ``alpha`` 1 or 0 nothing is corrected: the first is pure imitation, the second does
        without the teacher. A teacher that labels directly the very rows it was fitted on looks
        perfect there, and so is not corrected either.
    cv : int, cross-validation generator or iterable, default=5
        Folds of "cross_fit", as in scikit-learn, and of `label_correction`; for the former every
        row has to be in one test fold.
    augmentation : None, "auto" or object with ``sample``, default="auto"
        Makes synthetic rows, see `Munge`. "auto" is `Munge()` for students that gain from it (the
        MLP) and dense X, else None.
    class_weight : dict, "balanced" or None, default=None
        Weights of the observed classes, multiplied into the sample weights.
    memory : str, joblib.Memory or None, default=None
        Caches the teacher's margins, keyed by data, parameters and teacher, so that a grid search
        over temperature, alpha or the student fits and asks the teacher once per fold. Corrected
        ones are cached per student.
    n_jobs : int or None, default=None
        Folds or members to work on at a time.
    random_state : int, RandomState instance or None, default=None
        Decides the synthetic rows, and everything in teacher and student that has no
        ``random_state`` of its own.
    verbose : int, default=0
        Whether to print the stages.

    Attributes
    ----------
    teacher_ : estimator
        The fitted teacher. Not there if the margins came from `memory`.
    student_ : estimator
        The fitted student. It stands alone: it predicts the user's own classes and holds no
        reference to the teacher. This is what goes to production.
    classes_ : ndarray of shape (n_classes,)
        The class labels: those that a fitted teacher knows, else those observed.
    temperature_ : float
        The temperature that was used.
    labelling_ : {"oob", "cross_fit", "direct"}
        How the labelled rows were labelled.
    label_correction_ : LabelCorrection or None
        Weights of teacher and student in the labels, and their losses on held-out labelled rows;
        None if the labels are the teacher's own.
    augmentation_ : object or None
        What made the synthetic rows.
    transfer_summary_ : dict
        For labelled, unlabelled and synthetic rows: their number, total weight and labelling,
        which for synthetic rows is "direct" or "half_oob", see the notes.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    DistilledRegressor : The same for regression.
    Munge : Makes the synthetic rows.

    Notes
    -----
    The loss of a row with weight w, teacher's margins z and student's margins s is

        w * (alpha * T**2 * KL(softmax(z / T) || softmax(s / T)) + (1 - alpha) * CE(y, softmax(s)))

    and rows without an observed class have only its first term.

    Synthetic rows lie next to rows that a forest knows by heart. Where labels are so noisy that
    what members remember of a row says little about its neighbours (measured on forests that have
    out-of-bag labels), half of the answer to a synthetic row comes from the members that were not
    fitted on the row it was made of: "half_oob". Else, and for other teachers, all answer.

    In a grid search
    ``X_unlabeled`` with as many rows as X would be cut along with X by scikit-learn; pass a tuple,
    ``X_unlabeled=(pool,)``, to prevent that. Fitted teachers among the values of a grid are cloned
    by scikit-learn and so lose their fit; wrap them in ``FrozenEstimator``.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531. Bucila, Caruana and Niculescu-Mizil, "Model Compression", KDD 2006,
    doi:10.1145/1150402.1150464. Genest and Zidek, "Combining Probability Distributions: A Critique
    and an Annotated Bibliography", Statistical Science 1986, doi:10.1214/ss/1177013825.

    Examples
    --------
    A forest as a tree of at most eight leaves:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, TreeStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> model = DistilledClassifier(forest, TreeStudentClassifier(8), random_state=0).fit(X, y)
    >>> model.labelling_
    'oob'
    >>> model.student_.n_leaves_
    8
    """

    # Pipelines hand X_unlabeled on without set_fit_request.
    __metadata_request__fit = {"X_unlabeled": True}

    _parameter_constraints = {
        **_CONSTRAINTS,
        "temperature": [Interval(Real, 0.0, None, closed="neither"), StrOptions({"auto"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        teacher,
        student=None,
        *,
        temperature=1.0,
        alpha=0.8,
        labelling="auto",
        label_correction="auto",
        cv=5,
        augmentation="auto",
        class_weight=None,
        memory=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.teacher = teacher
        self.student = student
        self.temperature = temperature
        self.alpha = alpha
        self.labelling = labelling
        self.label_correction = label_correction
        self.cv = cv
        self.augmentation = augmentation
        self.class_weight = class_weight
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None, X_unlabeled=None):
        """Distil the teacher into the student.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns: what teacher and student take.
        y : array-like of shape (n_samples,)
            Classes; -1 marks rows without one, also among strings in an object array (unless a
            fitted teacher knows a class -1).
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, for the teacher (if it is fitted here) and the student.
        X_unlabeled : table with the columns of X, or tuple of tables, default=None
            More rows without a class. They weigh as much as a labelled row on average.

        Returns
        -------
        self : object
            The fitted distiller.

        Raises
        ------
        TypeError
            If teacher or student is no classifier with ``predict_proba``, or takes no weights
            though there are some.
        ValueError
            If a parameter, the rows, the classes, the weights or the teacher's answers are not
            what is described here; before anything is fitted where that can be told.
        """
        self._validate_params()
        teacher, student = self._members("classifier", TreeStudentClassifier())
        rows = check_classification_rows(
            self,
            X,
            y,
            sample_weight,
            X_unlabeled,
            class_weight=self.class_weight,
            known_classes=teacher.classes_ if is_fitted(teacher) else None,
            accept_sparse=self._takes_sparse(),
        )
        in_use = ClassifierInUse(teacher, rows)
        transfer_set = self._label(in_use, student, rows)
        self.classes_ = transfer_set.classes
        self.temperature_ = choose_temperature(self.temperature, transfer_set)
        self.student_ = distill_classifier(student, transfer_set, self.temperature_, self.alpha)
        return self._finish(in_use, transfer_set)

    @available_if(_student_has("partial_distill"))
    def partial_fit(self, X, y=None, classes=None, sample_weight=None):
        """Go on distilling on fresh rows, which the fitted teacher labels; the first call is `fit`.

        This is for rows that came after fit, without classes (yet): the student follows the
        teacher to where they are, at a fraction of the cost of another fit. Available if the
        student can go on learning, as the MLP can.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows that the teacher has not been fitted on.
        y : array-like of shape (n_samples,) or None, default=None
            Classes, -1 where none was observed; None if none was observed at all.
        classes : array-like of shape (n_classes,) or None, default=None
            Has to be all classes of y, in the first call; a teacher cannot learn more.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The distiller, with a changed ``student_``.

        Raises
        ------
        AttributeError
            If the teacher is not there, because its margins came from `memory`.
        ValueError
            If X, y or the weights are not what is described here.

        Notes
        -----
        The rows are augmented as in `fit`. The student trains from the weights it has, see
        `MLPStudentClassifier.partial_fit`; when the fresh rows lie outside the range it has seen,
        fit again with ``X_unlabeled``.
        """
        if not hasattr(self, "student_"):
            self.fit(X, y, sample_weight)
            if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                raise ValueError(
                    f"classes={list(classes)} are not those of y and the teacher, "
                    f"{self.classes_.tolist()}. Pass rows of all classes in the first call."
                )
            return self
        self._validate_params()
        transfer_set = self._label_fresh(X, y, sample_weight)
        distill_classifier_further(self.student_, transfer_set, self.temperature_, self.alpha)
        return self

    def _observed(self, y, X):
        """Return the position of every observed class, -1 for none."""
        if y is None:
            return np.full(X.shape[0], -1)
        return encode_observed(self, y, X, self.classes_)

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


class DistilledRegressor(RegressorMixin, _Distiller):
    """Distil a tree ensemble, or any regressor, into a small student.

    The student is fitted to the teacher's predictions on labelled, unlabelled and synthetic rows
    by least squares.

    Parameters
    ----------
    teacher : estimator
        A regressor. Fitted: used as it is, also by clones; it is never refitted or changed. Not
        fitted: a clone is fitted on the labelled rows.
    student : estimator or None, default=None
        Any regressor, or a Pipeline that ends in one. None is `TreeStudentRegressor()`.
    alpha : float, default=0.8
        Weight of the teacher's predictions in the squared error, in [0, 1]; observed values have
        the rest.
    labelling : {"auto", "direct", "oob", "cross_fit"}, default="auto"
        How the teacher labels the labelled rows, see `DistilledClassifier`.
    label_correction : bool or "auto", default="auto"
        Whether to correct the teacher's predictions by the observed values, see
        `DistilledClassifier`. Teacher and clones of the student are pooled linearly here.
    cv : int, cross-validation generator or iterable, default=5
        Folds of "cross_fit", as in scikit-learn, and of `label_correction`; for the former every
        row has to be in one test fold.
    augmentation : None, "auto" or object with ``sample``, default="auto"
        Makes synthetic rows, see `Munge`. "auto" is `Munge()` for students that gain from it (the
        MLP) and dense X, else None.
    memory : str, joblib.Memory or None, default=None
        Caches the teacher's predictions, keyed by data, parameters and teacher.
    n_jobs : int or None, default=None
        Folds or members to work on at a time.
    random_state : int, RandomState instance or None, default=None
        Decides the synthetic rows, and everything in teacher and student that has no
        ``random_state`` of its own.
    verbose : int, default=0
        Whether to print the stages.

    Attributes
    ----------
    teacher_ : estimator
        The fitted teacher. Not there if the predictions came from `memory`.
    student_ : estimator
        The fitted student, without a reference to the teacher.
    labelling_ : {"oob", "cross_fit", "direct"}
        How the labelled rows were labelled.
    label_correction_ : LabelCorrection or None
        Weights of teacher and student in the labels, and their losses on held-out labelled rows;
        None if the labels are the teacher's own.
    augmentation_ : object or None
        What made the synthetic rows.
    transfer_summary_ : dict
        For labelled, unlabelled and synthetic rows: their number, total weight and labelling.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    DistilledClassifier : The same for classes, with more explanation.

    Notes
    -----
    The loss of a row with weight w, teacher's prediction t and student's prediction s is
    ``w * (alpha * (s - t)**2 + (1 - alpha) * (s - y)**2)``; rows without an observed value have
    only its first term.

    Examples
    --------
    A forest as one curve per column:

    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from skdistill import DistilledRegressor, LinearStudentRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = DistilledRegressor(RandomForestRegressor(), LinearStudentRegressor())
    >>> model.fit(X, y).labelling_
    'oob'
    """

    # Pipelines hand X_unlabeled on without set_fit_request.
    __metadata_request__fit = {"X_unlabeled": True}

    _parameter_constraints = _CONSTRAINTS

    def __init__(
        self,
        teacher,
        student=None,
        *,
        alpha=0.8,
        labelling="auto",
        label_correction="auto",
        cv=5,
        augmentation="auto",
        memory=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.teacher = teacher
        self.student = student
        self.alpha = alpha
        self.labelling = labelling
        self.label_correction = label_correction
        self.cv = cv
        self.augmentation = augmentation
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None, X_unlabeled=None):
        """Distil the teacher into the student.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns: what teacher and student take.
        y : array-like of shape (n_samples,)
            Observed values.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, for the teacher (if it is fitted here) and the student.
        X_unlabeled : table with the columns of X, or tuple of tables, default=None
            Rows without an observed value. They weigh as much as a labelled row on average.

        Returns
        -------
        self : object
            The fitted distiller.

        Raises
        ------
        TypeError
            If teacher or student is no regressor, or takes no weights though there are some.
        ValueError
            If a parameter, the rows, the weights or the teacher's answers are not what is
            described here; before anything is fitted where that can be told.
        """
        self._validate_params()
        teacher, student = self._members("regressor", TreeStudentRegressor())
        rows = check_regression_rows(
            self, X, y, sample_weight, X_unlabeled, accept_sparse=self._takes_sparse()
        )
        in_use = RegressorInUse(teacher, rows)
        transfer_set = self._label(in_use, student, rows)
        self.student_ = distill_regressor(student, transfer_set, self.alpha)
        return self._finish(in_use, transfer_set)

    @available_if(_student_has("partial_fit"))
    def partial_fit(self, X, y=None, sample_weight=None):
        """Go on distilling on fresh rows, which the fitted teacher labels; the first call is `fit`.

        See `DistilledClassifier.partial_fit`. Available if the student has ``partial_fit``.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows that the teacher has not been fitted on.
        y : array-like of shape (n_samples,) or None, default=None
            Observed values, NaN where there are none; None if there are none at all.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The distiller, with a changed ``student_``.

        Raises
        ------
        AttributeError
            If the teacher is not there, because its predictions came from `memory`.
        ValueError
            If X, y or the weights are not what is described here.
        """
        if not hasattr(self, "student_"):
            return self.fit(X, y, sample_weight)
        self._validate_params()
        transfer_set = self._label_fresh(X, y, sample_weight)
        distill_regressor_further(self.student_, transfer_set, self.alpha)
        return self

    def _observed(self, y, X):
        """Return the observed values, NaN for none."""
        if y is None:
            return np.full(X.shape[0], np.nan)
        y = np.asarray(y, dtype=np.float64)
        if y.shape != (X.shape[0],) or np.isinf(y).any():
            raise ValueError(
                f"y has shape {y.shape}; one finite value or NaN for each of the {X.shape[0]} rows "
                "was expected."
            )
        return y


def _is_fitted_instance(teacher):
    return hasattr(teacher, "fit") and not isinstance(teacher, type) and is_fitted(teacher)


def _has_tags(estimator):
    return hasattr(estimator, "__sklearn_tags__") and not isinstance(estimator, type)
