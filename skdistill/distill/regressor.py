"""Distil a regressor."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from skdistill.distill.base import CONSTRAINTS, Distiller, student_has
from skdistill.progress import begin, with_callbacks
from skdistill.rows import check_regression_rows, observed_rows
from skdistill.students.fitting import distill_regressor, distill_regressor_further
from skdistill.students.tree import TreeStudentRegressor
from skdistill.teacher.lazy_teacher import LazyRegressor
from skdistill.verbose import stage, verbose


class DistilledRegressor(RegressorMixin, Distiller):
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
        `DistilledClassifier`. The sum is that of their predictions here.
    cv : int, cross-validation generator or iterable, default=5
        Folds of "cross_fit", as in scikit-learn, and of `label_correction`; for the former every
        row must be in one test fold.
    augmentation : None, "auto" or object with ``sample``, default="auto"
        Makes synthetic rows, see `Munge`. "auto" is `Munge()` for students that gain from it (the
        MLP) and dense X, else None. Unless it is None, there are also rows with nominal cells that
        are missing or of an unseen level, if the teacher accepts them and the student is one of
        skdistill: it learns what the teacher predicts for them, see ``docs/teachers.md``.
    memory : str, joblib.Memory or None, default=None
        Caches the teacher's predictions by data, parameters and teacher.
    n_jobs : int or None, default=None
        Folds or members to work on at a time.
    random_state : int, RandomState instance or None, default=None
        Determines the synthetic rows, and everything random in teacher and student where their
        ``random_state`` is None.
    verbose : int, default=0
        Whether to print the stages with their seconds on stderr, including those of the student's
        training, and a bar where something takes more than five seconds.

    Attributes
    ----------
    teacher_ : estimator
        The fitted teacher. Missing if the predictions came from `memory`.
    student_ : estimator
        The fitted student, without a reference to the teacher.
    labelling_ : {"oob", "cross_fit", "direct"}
        How the labelled rows were labelled.
    label_correction_ : LabelCorrection or None
        Weights of teacher and student in the labels, their losses on held-out labelled rows, and
        agreement of the labels with the teacher's; prints as a sentence. None if the labels are
        the teacher's own.
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
    only the first term.

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

    _default_student = TreeStudentRegressor

    _parameter_constraints = CONSTRAINTS

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

    @with_callbacks
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
            If a parameter, the rows, the weights or the teacher's predictions are not what is
            described here; before anything is fitted where that is possible.
        """
        self._validate_params()
        teacher, student = self._members("regressor")
        rows = check_regression_rows(
            self, X, y, sample_weight, X_unlabeled, accept_sparse=self._takes_sparse()
        )
        lazy_teacher = LazyRegressor(teacher, rows)
        task = begin(self, n_parts=4, **observed_rows(rows))
        transfer_set = self._label(lazy_teacher, student, rows, self._cv(), task)
        self.student_ = distill_regressor(student, transfer_set, self.alpha, task)
        self._finish(lazy_teacher, transfer_set)
        task.end(reconstruction_attributes={}, **observed_rows(rows))
        return self

    @available_if(student_has("partial_fit"))
    @verbose
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train the student further on fresh rows, labelled by the teacher; first call `fit`.

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
            If there is no teacher, because its predictions came from `memory`.
        ValueError
            If X, y or the weights are not what is described here.
        """
        if not hasattr(self, "student_"):
            return self.fit(X, y, sample_weight)
        self._validate_params()
        transfer_set = self._label_fresh(X, y, sample_weight)
        with stage("fit-student", by=self.student_):
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
