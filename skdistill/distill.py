"""The distillers: the one place that sees the whole flow, from teacher to student."""

from numbers import Integral, Real

import joblib
import numpy as np
import scipy.sparse as sp
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
from sklearn.utils.validation import check_is_fitted, check_memory

from skdistill.columns import check_rows, stack_rows, take_rows
from skdistill.estimators import is_fitted, last_step, unfitted, with_seeds
from skdistill.rows import check_classification_rows, check_regression_rows, warn_of_leak
from skdistill.soft_labels import calibration_temperature
from skdistill.students.fitting import check_student, distill_classifier, distill_regressor
from skdistill.students.tree import TreeStudentClassifier, TreeStudentRegressor
from skdistill.teacher.fitting import check_teacher
from skdistill.teacher.in_use import ClassifierInUse, RegressorInUse
from skdistill.teacher.labelling import label_rows
from skdistill.teacher.margins import PROBE_ROWS
from skdistill.transfer_set import ORIGINS, Munge, TransferSet, join, labelled_by

_CONSTRAINTS = {
    "teacher": "no_validation",  # check_teacher says more
    "student": "no_validation",  # check_student says more
    "alpha": [Interval(Real, 0.0, 1.0, closed="both")],
    "labelling": [StrOptions({"auto", "direct", "oob", "cross_fit"})],
    "cv": ["cv_object"],
    "augmentation": [HasMethods(["sample"]), StrOptions({"auto"}), None],
    "memory": [str, HasMethods(["cache"]), None],
    "n_jobs": [Integral, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


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
        if self._fitted_teacher is None:
            raise AttributeError(
                "teacher_ is not there: the margins of this fit came from `memory`, so the teacher "
                "was not fitted again. Fit with memory=None, or clear the cache, to have it."
            )
        return self._fitted_teacher

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
        """Build the transfer set, or take it from the cache."""
        warn_of_leak(rows)
        self.augmentation_ = choose_augmentation(self.augmentation, student, rows)
        self._say(f"labelling {rows.X.shape[0]} rows by {type(last_step(self.teacher)).__name__}")
        memory = check_memory(self.memory)
        fingerprint = None if self.memory is None else _fingerprint(in_use)
        of_teacher = {"in_use": in_use, "fingerprint": fingerprint, "rows": rows}
        real = memory.cache(label_real_rows, ignore=["in_use", "n_jobs"])(
            **of_teacher, labelling=self.labelling, cv=self.cv, n_jobs=self.n_jobs
        )
        if self.augmentation_ is None:
            return real
        synthetic = memory.cache(label_synthetic_rows, ignore=["in_use"])(
            **of_teacher, augmentation=self.augmentation_, random_state=self.random_state
        )
        return join([real, synthetic])

    def _finish(self, in_use, transfer_set):
        """Keep what the user may want to look at after fit."""
        self._fitted_teacher = in_use.fitted.estimator if in_use.is_ready else None
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
    cv : int, cross-validation generator or iterable, default=5
        Folds of "cross_fit", as in scikit-learn; every row has to be in one test fold.
    augmentation : None, "auto" or object with ``sample``, default="auto"
        Makes synthetic rows, see `Munge`. "auto" is `Munge()` for students that gain from it (the
        MLP) and dense X, else None.
    class_weight : dict, "balanced" or None, default=None
        Weights of the observed classes, multiplied into the sample weights.
    memory : str, joblib.Memory or None, default=None
        Caches the teacher's margins, keyed by data, parameters and teacher, so that a grid search
        over temperature, alpha or the student fits and asks the teacher once per fold.
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
    DistilledRegressor : The same for regression.
    Munge : Makes the synthetic rows.

    Notes
    -----
    The loss of a row with weight w, teacher's margins z and student's margins s is

        w * (alpha * T**2 * KL(softmax(z / T) || softmax(s / T)) + (1 - alpha) * CE(y, softmax(s)))

    and rows without an observed class have only its first term. In a grid search
    ``X_unlabeled`` with as many rows as X would be cut along with X by scikit-learn; pass a tuple,
    ``X_unlabeled=(pool,)``, to prevent that. Fitted teachers among the values of a grid are cloned
    by scikit-learn and so lose their fit; wrap them in ``FrozenEstimator``.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531. Bucila, Caruana and Niculescu-Mizil, "Model Compression", KDD 2006,
    doi:10.1145/1150402.1150464.

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
        self.temperature_ = _choose_temperature(self.temperature, transfer_set)
        self.student_ = distill_classifier(student, transfer_set, self.temperature_, self.alpha)
        return self._finish(in_use, transfer_set)

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
    cv : int, cross-validation generator or iterable, default=5
        Folds of "cross_fit", as in scikit-learn; every row has to be in one test fold.
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


def label_real_rows(in_use, fingerprint, rows, *, labelling, cv, n_jobs=None):
    """Have the teacher label the rows that the user passed.

    Parameters
    ----------
    in_use : ClassifierInUse or RegressorInUse
        The teacher. Left out of cache keys, for which `fingerprint` stands in.
    fingerprint : str
        Identifies the teacher in cache keys.
    rows : Rows
        Checked labelled and unlabelled rows.
    labelling : {"auto", "oob", "cross_fit", "direct"}
        How to label the labelled rows.
    cv : int, cross-validation generator or iterable
        Folds of "cross_fit".
    n_jobs : int or None, default=None
        Folds or members to work on at a time.

    Returns
    -------
    transfer_set : TransferSet
        Labelled, then unlabelled rows.
    """
    margins, labelling = label_rows(in_use, labelling, cv, n_jobs)
    teacher, classes = in_use.fitted, in_use.classes  # fitted even if only clones were asked
    labelled = TransferSet(
        X=rows.X,
        margins=margins,
        y=in_use.encoded_y(),
        sample_weight=rows.sample_weight,
        origin=np.full(len(rows.y), ORIGINS.index("labelled")),
        classes=classes,
        labelling=labelling,
    )
    if rows.pool is None:
        return labelled
    pool = labelled_by(teacher.margins, rows.pool, rows.pool_weight, "unlabelled", classes)
    return join([labelled, pool])


def label_synthetic_rows(in_use, fingerprint, rows, *, augmentation, random_state):
    """Make synthetic rows and have the teacher label them.

    Parameters
    ----------
    in_use : ClassifierInUse or RegressorInUse
        The teacher. Left out of cache keys, for which `fingerprint` stands in.
    fingerprint : str
        Identifies the teacher in cache keys.
    rows : Rows
        Checked labelled and unlabelled rows.
    augmentation : object with ``sample``
        Makes synthetic rows.
    random_state : int, RandomState instance or None
        Decides the synthetic rows.

    Returns
    -------
    transfer_set : TransferSet
        Synthetic rows that weigh as much as a labelled row on average.
    """
    X = rows.X if rows.pool is None else stack_rows([rows.X, rows.pool])
    X = augmentation.sample(X, len(rows.y), random_state)
    weight = np.full(X.shape[0], rows.sample_weight.mean())
    return labelled_by(in_use.fitted.margins, X, weight, "synthetic", in_use.classes)


def choose_augmentation(augmentation, student, rows):
    """Resolve "auto", and check that synthetic rows can be made.

    Returns
    -------
    augmentation : object with ``sample`` or None
        For "auto", `Munge()` if the student gains from synthetic rows and they can be made.

    Raises
    ------
    ValueError
        If synthetic rows are asked for and X is sparse.
    """
    is_sparse = sp.issparse(rows.X)
    if augmentation == "auto":
        gains = getattr(last_step(student), "gains_from_synthetic_rows", False)
        return Munge() if gains and not is_sparse and rows.X.shape[0] > 1 else None
    if augmentation is not None and is_sparse:
        raise ValueError(
            f"{augmentation!r} cannot mix the rows of a sparse X. Pass augmentation=None."
        )
    return augmentation


def _choose_temperature(temperature, transfer_set):
    if temperature != "auto":
        return float(temperature)
    labelled = transfer_set.origin == 0
    return calibration_temperature(
        transfer_set.margins[labelled],
        transfer_set.y[labelled],
        transfer_set.sample_weight[labelled],
    )


def _fingerprint(in_use):
    """Identify a teacher without hashing fitted models, whose hashes are not stable."""
    name = f"{type(in_use.estimator).__module__}.{type(in_use.estimator).__qualname__}"
    if not in_use.was_fitted:
        return joblib.hash((name, in_use.estimator.get_params()))
    X = in_use.rows.X
    probe = take_rows(X, np.linspace(0, X.shape[0] - 1, min(X.shape[0], PROBE_ROWS)).astype(int))
    return joblib.hash((name, in_use.fitted.margins(probe)))


def _is_fitted_instance(teacher):
    return hasattr(teacher, "fit") and not isinstance(teacher, type) and is_fitted(teacher)


def _has_tags(estimator):
    return hasattr(estimator, "__sklearn_tags__") and not isinstance(estimator, type)
