"""What all students share: checks of the input, targets, predictions, and what they state."""

from abc import abstractmethod

import numpy as np
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets

from skdistill.columns import (
    checked_rows,
    column_values_as,
    mark_unseen,
    plain_rows,
    require_fitted,
    take_rows,
)
from skdistill.estimators import last_step
from skdistill.levels import warn_of_unknown_levels
from skdistill.parameters import ParametersMixin
from skdistill.rows import (
    check_length,
    check_values,
    check_weights,
    checked_labels,
    warn_of_one_class,
)
from skdistill.soft_labels import SoftTargets, margins_from_proba, proba_from_margins

#: Standard deviations of values whose squares neither underflow nor overflow.
SPREADS = 1.0, 1e100

#: Values whose mean is this many standard deviations from 0 are centred: their squares would lose
#: digits.
FAR = 1000.0


class Student:
    """What every student states about itself; the defaults hold for all other estimators.

    The rest of the package reads it, by `stated` where an estimator may be no student.

    Attributes
    ----------
    form : {"tree", "tree_sum", "additive", "network", "soft_tree"} or None
        Its plain arrays, which files, exports, reports and explanations depend on; None if it
        cannot be saved or exported. `skdistill.scorer.kinds` has the form for its files.
    losses : tuple of str
        Those of `skdistill.soft_labels.LOSSES` that it can minimise.
    follows_hints : bool
        Whether it has a hidden layer, which hints need.
    gains_from_synthetic_rows, gains_from_label_correction : bool
        Whether "auto" makes synthetic rows, and may correct labels, for it. A search takes students
        that gain from synthetic rows for expensive.
    has_leaves : bool
        False if it never has leaves, whose number a budget may limit.
    has_fixed_size : bool
        Whether its parameters fix its size. If not, it chooses it in its fit, which takes longer.
    is_readable : bool
        Whether people can read it; it is hardly meant as the teacher of an ensemble then.
    starts_with_a_sum : bool
        Whether it first computes a sum of one vector per column, see `first_sum`.
    needs : tuple of str
        Packages that its training needs.
    """

    form = None
    losses = ("kl",)
    follows_hints = False
    gains_from_synthetic_rows = False
    gains_from_label_correction = False
    has_leaves = True
    has_fixed_size = True
    is_readable = False
    starts_with_a_sum = False
    needs = ()

    #: Its tree or encoding, which knows the nominal columns that it uses.
    _reader = None

    @classmethod
    def sizes(cls, n_columns, max_leaves=None, max_interactions=None):
        """List the students of this class that ``StudentSearchCV(students="auto")`` tries.

        They suit a table of so many columns, and have at most so many leaves, if they have any, and
        tables of pairs; None for no limit.
        """
        return []

    def refusal_of_columns(self, n_columns, are_chosen=False):
        """Say why it cannot learn from so many columns, in words; empty if it can.

        `are_chosen` if a search chooses them among others.
        """
        return ""

    def check_columns(self, names):
        """Raise ValueError if it cannot learn from columns of these names, before long work."""

    def short_name(self):
        """Name it and its size by its parameters."""
        return " ".join(repr(self).split())

    def n_columns_used(self):
        """Count the columns that can change an answer."""
        return self.n_features_in_

    @abstractmethod
    def parts(self):
        """Describe the fitted student by its size, such as "16 leaves"."""

    @abstractmethod
    def file_content(self):
        """Return its columns and its arrays as `StudentContent` has them."""

    def file_tables(self):
        """Describe its tables of pairs, whose arrays are among those of `file_content`."""
        return []

    @abstractmethod
    def restore(self, columns, arrays):
        """Set the fitted attributes that `file_content` holds, after all others."""

    @abstractmethod
    def first_sum(self):
        """Return what each column adds at the knots of its curve, and the intercept."""

    @abstractmethod
    def after_sum(self, sums):
        """Compute outputs from sums of what `first_sum` returns, which may be overwritten."""


def stated(estimator, name):
    """Return what the last step of an estimator states, or the default of `Student`."""
    return getattr(last_step(estimator), name, getattr(Student, name))


class StudentClassifier(Student, ParametersMixin, ClassifierMixin, BaseEstimator):
    """Shared half of the student classifiers; a student adds `_fit_targets` and `_margins`."""

    gains_from_label_correction = True

    def fit(self, X, y, sample_weight=None):
        """Fit the student on observed classes or on probabilities.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns: numbers, strings or categories, with missing values.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Classes, or one probability per class and row; each row sums to 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The fitted student.

        Raises
        ------
        ValueError
            If X, y or the weights have the wrong shape or hold impossible values.
        """
        self._validate_params()
        X = self._check_X(X, reset=True)
        targets, classes = make_targets(self, X, y, sample_weight)
        return self._fit_checked(X, targets, classes)

    def distill(self, transfer_set, temperature=1.0, alpha=1.0):
        """Fit the student on a transfer set.

        Parameters
        ----------
        transfer_set : TransferSet
            Rows with the teacher's margins and, for some, observed classes.
        temperature : float, default=1.0
            Softens teacher and student in the soft term of the loss; predictions use 1.
        alpha : float, default=1.0
            Weight of the soft term, in [0, 1]; the hard term has the rest.

        Returns
        -------
        self : object
            The fitted student.
        """
        self._validate_params()
        X = mark_unseen(self._check_X(transfer_set.X, reset=True), transfer_set.is_real)
        targets = transfer_set.soft_targets(temperature, alpha)
        return self._fit_checked(X, targets, transfer_set.classes)

    @abstractmethod
    def rescale_margins(self, slope, intercept):
        """Change the fitted parameters so that the margins become ``slope * margins + intercept``.

        Every export of the student has the new margins then: they are its own.

        Parameters
        ----------
        slope : float
            Non-negative.
        intercept : ndarray of shape (n_classes,)
            One number per class.
        """

    def _check_X(self, X, reset):
        return plain_rows(checked_rows(self, X, reset=reset))

    def _fit_checked(self, X, targets, classes):
        self.classes_ = classes
        self._fit_targets(*without_weightless(X, targets))
        return self

    @abstractmethod
    def _fit_targets(self, X, targets):
        """Learn from checked rows, each of which has a positive weight."""

    @abstractmethod
    def _margins(self, X):
        """Margins of shape (n_samples, n_classes) for checked rows."""

    def _checked_margins(self, X):
        require_fitted(self)
        X = self._check_X(X, reset=False)
        margins = self._margins(X)
        warn_of_unknown_levels(categories(self, X))
        return margins

    def decision_function(self, X):
        """Compute the margins of the student.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Log-odds of ``classes_[1]`` if there are two classes, else one margin per class.
        """
        margins = self._checked_margins(X)
        return margins[:, 1] - margins[:, 0] if margins.shape[1] == 2 else margins

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            One column per class, in the order of ``classes_``.
        """
        return proba_from_margins(self._checked_margins(X))

    def predict_log_proba(self, X):
        """Predict logarithms of probabilities.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            One column per class, in the order of ``classes_``.
        """
        return log_softmax(self._checked_margins(X), axis=1)

    def predict(self, X):
        """Predict classes.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The most probable class of each row.
        """
        most_probable = np.argmax(self._checked_margins(X), axis=1)
        return self.classes_[most_probable]

    def __sklearn_tags__(self):
        """Return the scikit-learn tags: raw columns with missing values are fine."""
        return _raw_column_tags(super().__sklearn_tags__())


class StudentRegressor(Student, ParametersMixin, RegressorMixin, BaseEstimator):
    """Shared half of the student regressors; a student adds `_fit_values` and `_values`."""

    def fit(self, X, y, sample_weight=None):
        """Fit the student by weighted least squares.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns: numbers, strings or categories, with missing values.
        y : array-like of shape (n_samples,)
            Observed values, or a teacher's predictions.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The fitted student.

        Raises
        ------
        ValueError
            If X, y or the weights have the wrong shape or hold impossible values.
        """
        return self.fit_rows(X, y, sample_weight)

    def fit_rows(self, X, y, sample_weight=None, real=None):
        """Fit the student on rows of which some are synthetic, see `fit`.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns.
        y : array-like of shape (n_samples,)
            Values.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        real : ndarray of shape (n_samples,), default=None
            Which rows are real, None for all. Levels of synthetic rows only count as unseen.

        Returns
        -------
        self : object
            The fitted student.
        """
        self._validate_params()
        X, y, sample_weight = self._check_training_rows(X, y, sample_weight, True, real)
        self._fit_values(X, y, sample_weight)
        return self

    def _check_training_rows(self, X, y, sample_weight, reset, real=None):
        """Return checked rows, values and weights, without the rows of weight 0."""
        X = plain_rows(checked_rows(self, X, reset=reset))
        X = X if real is None else mark_unseen(X, real)
        sample_weight = check_weights(sample_weight, X)
        y = check_values(self, y)
        check_length(y, X)
        used = sample_weight > 0
        if not used.all():
            X, y, sample_weight = take_rows(X, used), y[used], sample_weight[used]
        return X, y, sample_weight

    @abstractmethod
    def _fit_values(self, X, y, sample_weight):
        """Learn from checked rows, each of which has a positive weight."""

    @abstractmethod
    def _values(self, X):
        """Predictions of shape (n_samples,) for checked rows."""

    def predict(self, X):
        """Predict values.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            In the unit of the values the student was fitted on.
        """
        require_fitted(self)
        X = plain_rows(checked_rows(self, X, reset=False))
        values = self._values(X)
        warn_of_unknown_levels(categories(self, X))
        return values

    def __sklearn_tags__(self):
        """Return the scikit-learn tags: raw columns with missing values are fine."""
        return _raw_column_tags(super().__sklearn_tags__())


def categories(student, X):
    """Yield the nominal columns of checked rows that a fitted student uses.

    In the form of the arguments of `skdistill.levels.warn_of_unknown_levels`.
    """
    reader = student._reader
    for j, levels, has_infrequent in reader.nominal_columns() if reader else ():
        name = reader.names[j]
        cells = column_values_as(X, j, levels=levels, name=name).tolist()
        yield name, cells, levels, has_infrequent


def without_weightless(X, targets):
    """Return rows and targets without the rows of weight 0."""
    used = targets.soft_weight() + targets.hard_weight() > 0
    if not used.any():
        raise ValueError(
            "There is nothing to learn: alpha=0 gives rows without an observed class no weight, "
            "and no row has an observed class. Pass observed classes, or a larger alpha."
        )
    return (X, targets) if used.all() else (take_rows(X, used), targets.take(used))


def weight_unit(sample_weight):
    """Return the largest power of two that is not above the mean weight.

    Dividing by it changes no digit, and makes results independent of the unit of the weights.
    """
    largest = sample_weight.max()
    return _power_of_two(largest * np.mean(sample_weight / largest))


#: Spread that constant values are given, as a share of the largest of them.
OF_CONSTANT = 1e-6


def centre_and_spread(y, sample_weight):
    """Compute the weighted mean and standard deviation of values of any size.

    The spread is one number, over all outputs; a millionth of the largest value if the values are
    constant but for the last digits.
    """
    size = np.abs(y).max() or 1.0  # sums and squares must not overflow or underflow
    weight = sample_weight / weight_unit(sample_weight)
    centre = np.average(y / size, axis=0, weights=weight)
    spread = np.sqrt(np.mean(np.average((y / size - centre) ** 2, axis=0, weights=weight)))
    is_constant = spread <= 4 * np.finfo(float).eps
    return size * centre, float(size * (OF_CONSTANT if is_constant else spread))


def safely_scaled(y, sample_weight):
    """Scale values to a spread in `SPREADS`, and centre them if they are far from 0.

    Returns ``(y - shift) / unit``, where unit is a power of two and shift 0 or a multiple of it:
    equal differences stay equal, and small values keep their digits.
    """
    centre, spread = centre_and_spread(y, sample_weight)
    unit = _power_of_two(spread / np.clip(spread, *SPREADS))
    is_far = np.abs(centre) > FAR * spread
    return y / unit - np.where(is_far, np.rint(centre / unit), 0.0)


def _power_of_two(number):
    return np.exp2(np.floor(np.log2(number)))


def make_targets(estimator, X, y, sample_weight, classes=None):
    """Turn classes or probabilities into the `SoftTargets` of a student, with alpha 0 or 1.

    `classes` are all possible ones, sorted, None for those in y. They are returned, too: the
    numbers from 0 for probabilities.
    """
    sample_weight = check_weights(sample_weight, X)
    soft_labels = as_soft_labels(y)
    if soft_labels is None:
        is_known = classes is not None
        codes, classes = encode_classes(estimator, y, classes)
        if not is_known:
            warn_of_one_class(classes)
        check_length(codes, X)
        margins = np.zeros((len(codes), len(classes)))
        return SoftTargets(margins, codes, sample_weight, alpha=0.0), classes
    check_length(soft_labels, X)
    if classes is None:
        classes = np.arange(soft_labels.shape[1])
    elif len(classes) != soft_labels.shape[1]:
        raise ValueError(
            f"y has {soft_labels.shape[1]} columns of probabilities; one for each of the "
            f"{len(classes)} classes {list(classes)} was expected."
        )
    margins, nothing_observed = margins_from_proba(soft_labels), np.full(len(soft_labels), -1)
    return SoftTargets(margins, nothing_observed, sample_weight), classes


def encode_classes(estimator, y, classes=None):
    """Return the index of each label among the sorted classes, and those."""
    y = checked_labels(estimator, y)
    check_classification_targets(y)
    if classes is None:
        classes, codes = np.unique(y, return_inverse=True)
        return codes, classes
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"y has the classes {unknown.tolist()}; only {list(classes)} are known. A student "
            "cannot learn a new class on top: fit it again, with rows of all classes."
        )
    return np.searchsorted(classes, y), classes


def as_soft_labels(y):
    """Return y as float64 probabilities, or None if it does not have two columns or more."""
    soft_labels = np.asarray(y)
    if soft_labels.ndim != 2 or soft_labels.shape[1] < 2 or soft_labels.dtype.kind not in "biuf":
        return None
    soft_labels = soft_labels.astype(np.float64)
    row_sums = soft_labels.sum(axis=1)
    if not np.isfinite(row_sums).all() or (soft_labels < 0).any():
        raise ValueError(
            "y has several columns, so probabilities were expected, but it has negative or "
            "non-finite entries. Pass non-negative rows that sum to 1, or one column of classes."
        )
    if not np.allclose(row_sums, 1.0, atol=1e-4):
        worst = row_sums[np.argmax(np.abs(row_sums - 1.0))]
        raise ValueError(
            "y has several columns, so probabilities were expected, but a row sums to "
            f"{worst:.6g}. Pass rows that sum to 1, or one column of classes."
        )
    return soft_labels / row_sums[:, None]


def _raw_column_tags(tags):
    tags.input_tags.allow_nan = True
    tags.input_tags.string = True
    tags.input_tags.categorical = True
    return tags
