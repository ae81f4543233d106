"""What users pass to fit, checked and sorted into labelled and unlabelled rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import check_classification_targets

from skdistill.columns import (
    check_rows,
    column_values,
    is_frame,
    is_missing,
    is_nominal,
    row_hashes,
    stack_rows,
    take_rows,
)
from skdistill.levels import MISSING_TYPES
from skdistill.messages import shown, warn_caller
from skdistill.sklearn_private import check_sample_weight, check_y, num_samples

__all__ = [
    "Rows",
    "SeenRows",
    "check_classes",
    "check_classification_rows",
    "check_regression_rows",
    "check_length",
    "check_values",
    "check_weights",
    "checked_labels",
    "encode_observed",
    "finite_values",
    "hashes_of_seen",
    "observed_classes",
    "observed_rows",
    "warn_of_leak",
    "warn_of_one_class",
    "warn_of_seen_rows",
]

#: Marks rows of y without an observed class, as in scikit-learn's semi-supervised estimators.
UNLABELLED = -1

#: Marks of missing labels after their conversion to text.
WRITTEN_MARKS = {"-1", "nan", "None", "<NA>", "NaT"}

#: Number of hashes that `SeenRows` keeps.
SKETCH_SIZE = 16_384

#: Share of labelled rows that may be among the unlabelled ones before that counts as a leak.
LEAK_TOLERANCE = 0.01


@dataclass(frozen=True)
class Rows:
    """Checked rows.

    Attributes
    ----------
    X : ndarray, sparse matrix or data frame of shape (n_labelled, n_features)
        The labelled rows.
    y : ndarray of shape (n_labelled,)
        Their classes, or their values in regression.
    sample_weight : ndarray of shape (n_labelled,)
        Their weights.
    has_weights : bool
        Whether weights were given; if so, every model that is fitted must take them.
    pool : ndarray, sparse matrix, data frame or None
        The unlabelled rows.
    pool_weight : ndarray of shape (n_unlabelled,)
        Their weights.
    nothing_observed : bool
        Whether no row has a class; then all rows are in X, and `y` is -1.
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray
    has_weights: bool
    pool: Any
    pool_weight: np.ndarray
    nothing_observed: bool = False

    @property
    def given_weight(self):
        """The weights if any were given, else None."""
        return self.sample_weight if self.has_weights else None

    def all_rows(self):
        """Return labelled and unlabelled rows in one table."""
        return self.X if self.pool is None else stack_rows([self.X, self.pool])

    @property
    def observed_classes(self):
        """The classes that were observed, sorted; empty if none was."""
        return self.y[:0] if self.nothing_observed else np.unique(self.y)


#: Number of standard errors by which known rows must exceed those expected by chance.
CLEAR = 4.0

#: Largest share of rows that come after fit, known from fit beyond what chance explains, without a
#: warning: in a stream of coarse rows more and more are equal.
AGAIN_TOLERANCE = 0.1


@dataclass(frozen=True)
class SeenRows:
    """A sketch of the rows a model was fitted on, to recognise them later.

    Attributes
    ----------
    hashes : ndarray of shape (at most SKETCH_SIZE,)
        The smallest of the rows' hashes, sorted.
    recurring : float
        Share of the rows that occur more than once: about this share of fresh rows is known by
        chance.
    n_rows : int
        Number of the rows.

    References
    ----------
    Cohen and Kaplan, "Summarizing Data Using Bottom-k Sketches", PODC 2007,
    doi:10.1145/1281100.1281133.
    """

    hashes: np.ndarray
    recurring: float
    n_rows: int

    @classmethod
    def of(cls, *tables):
        """Sketch the rows of tables; None among them is skipped."""
        return cls.of_hashes([hashes_of_seen(table) for table in tables if table is not None])

    @classmethod
    def of_hashes(cls, hashes):
        """Sketch rows by their hashes, a list of arrays."""
        hashes = np.concatenate(hashes)
        return cls(np.unique(hashes)[:SKETCH_SIZE].copy(), _recurring(hashes), len(hashes))

    def including(self, X):
        """Return the sketch of these rows and of more."""
        hashes = np.union1d(self.hashes, hashes_of_seen(X))[:SKETCH_SIZE].copy()
        return SeenRows(hashes, self.recurring, self.n_rows + X.shape[0])

    def excess_in(self, X):
        """Return the share of rows of X that were seen, beyond what chance explains.

        Of n rows that were seen and m of X, a share q, that of recurring rows among the n, is known
        by chance. The variance of the difference is about ``m * q * (1 - q) * (1 + 2 * m / n)``:
        new rows come in groups of equal ones, too.
        """
        hashes = hashes_of_seen(X)
        if len(self.hashes) == SKETCH_SIZE:  # larger hashes were not kept
            hashes = hashes[hashes <= self.hashes[-1]]
        if len(hashes) == 0 or self.n_rows == 0 or self.recurring == 1.0:
            return 0.0
        known, m, n = np.isin(hashes, self.hashes).mean(), len(hashes), self.n_rows
        by_chance = (self.recurring * n + 1) / (n + 2)
        error = np.sqrt(by_chance * (1 - by_chance) * (1 + 2 * m / n) / m)
        if known - self.recurring < CLEAR * error:
            return 0.0
        return float((known - self.recurring) / (1 - self.recurring))


def warn_of_seen_rows(seen, X, consequence):
    """Warn if rows that should be new to a model are not; the warning ends with `consequence`."""
    share = seen.excess_in(X)
    if share > AGAIN_TOLERANCE:
        warn_caller(
            f"About {share:.0%} of these rows are rows that this model was fitted on. {consequence}"
        )


def hashes_of_seen(X):
    """Hash rows so that float32 copies of them are recognised."""
    return row_hashes(X, np.float32)


def check_classification_rows(
    estimator, X, y, sample_weight, X_unlabeled, *, known_classes, accept_sparse
):
    """Check the rows of a classification task, and separate those with a class from those without.

    -1 marks rows without a class, unless it is one of `known_classes`, those of a fitted teacher.
    If no row has a class, which needs `known_classes`, all rows are in ``Rows.X``. The estimator
    gets ``n_features_in_`` and ``feature_names_in_``.
    """
    X = check_rows(estimator, X, reset=True, accept_sparse=accept_sparse)
    y = _as_labels(estimator, y)
    check_length(y, X)
    unlabelled = _unlabelled(y, known_classes)
    _warn_of_lost_marks(y, known_classes)
    has_weights = sample_weight is not None
    sample_weight = check_weights(sample_weight, X)
    if unlabelled.all() and known_classes is not None:
        tables = _check_pool(estimator, X_unlabeled, X, accept_sparse)
        n_more = sum(table.shape[0] for table in tables)
        weight = np.concatenate([sample_weight, np.full(n_more, sample_weight.mean())])
        X = stack_rows([X, *tables])
        nothing = np.full(len(weight), UNLABELLED)
        return Rows(X, nothing, weight, has_weights, None, np.zeros(0), nothing_observed=True)
    y = _labels(y[~unlabelled])
    if known_classes is None and unlabelled.any() and len(np.unique(y)) == 1:
        raise ValueError(
            f"y holds one class, {y.tolist()[0]!r}, and -1, which marks rows without a class: "
            "there is nothing to learn. If -1 is a class here, give it another name, such as 0."
        )
    if known_classes is None:
        warn_of_one_class(np.unique(y))
    weight = check_weights(sample_weight[~unlabelled], y[:, None])
    tables, pool_weight = [], [sample_weight[unlabelled]]
    if unlabelled.any():
        tables.append(take_rows(X, unlabelled))
        X = take_rows(X, ~unlabelled)
    for table in _check_pool(estimator, X_unlabeled, X, accept_sparse):
        tables.append(table)
        pool_weight.append(np.full(table.shape[0], weight.mean()))
    pool = stack_rows(tables) if tables else None
    return Rows(X, y, weight, has_weights, pool, np.concatenate(pool_weight))


def check_regression_rows(estimator, X, y, sample_weight, X_unlabeled, *, accept_sparse):
    """Check the rows of a regression task; see `check_classification_rows`."""
    X = check_rows(estimator, X, reset=True, accept_sparse=accept_sparse)
    y = check_values(estimator, y)
    check_length(y, X)
    weight = check_weights(sample_weight, X)
    tables = _check_pool(estimator, X_unlabeled, X, accept_sparse)
    pool = stack_rows(tables) if tables else None
    pool_weight = np.full(0 if pool is None else pool.shape[0], weight.mean())
    return Rows(X, y, weight, sample_weight is not None, pool, pool_weight)


def check_something_observed(rows, needed_for):
    """Raise if no class was observed and a parameter was passed that needs some.

    `needed_for` says of each parameter, as users write it, whether it was passed.
    """
    needing = [parameter for parameter, is_passed in needed_for.items() if is_passed]
    if rows.nothing_observed and needing:
        raise ValueError(
            f"Every entry of y is -1, which marks rows without a class, and {', '.join(needing)} "
            "needs observed classes. Pass some, or leave it out."
        )


def encode_observed(estimator, y, X, classes):
    """Turn observed classes into their positions among the known ones, sorted; -1 marks no class.

    Raises ValueError if y has another length than X, or a class that is not known.
    """
    y = _as_labels(estimator, y)
    check_length(y, X)
    codes = np.full(len(y), UNLABELLED)
    observed = ~_unlabelled(y, classes)
    if observed.any():
        labels = _labels(y[observed])
        unknown = set(labels.tolist()) - set(classes.tolist())
        if unknown:
            raise ValueError(
                f"y holds {sorted(unknown, key=str)}; only {classes.tolist()} are known classes."
            )
        codes[observed] = np.searchsorted(classes, labels)
    return codes


def check_classes(classes, known):
    """Raise if the classes that were passed to partial_fit are others than the known ones."""
    if classes is not None and not np.array_equal(np.unique(classes), known):
        raise ValueError(
            f"classes={np.unique(classes).tolist()} are not the classes there are, "
            f"{known.tolist()}: those that a fitted teacher knows, else those of the first call. "
            "Pass rows of all classes in the first call, or leave classes out."
        )


def observed_classes(estimator, y):
    """Return the classes in y, sorted, without the -1 that marks rows without one."""
    y = _as_labels(estimator, y)
    return np.unique(_labels(y[~_unlabelled(y, None)]))


def observed_rows(rows):
    """Return the labelled rows as scikit-learn's callbacks take them."""
    if rows.nothing_observed:
        return {"X": rows.X}
    metadata = {"sample_weight": rows.sample_weight} if rows.has_weights else None
    return {"X": rows.X, "y": rows.y, "metadata": metadata}


def check_weights(sample_weight, X):
    """Return float64 weights of shape (n_samples,): non-negative, finite and not all zero."""
    if sample_weight is not None and np.asarray(sample_weight).ndim == 0:
        raise TypeError(
            f"sample_weight is {shown(sample_weight)}; an array was expected, with one weight per "
            "row of X."
        )
    sample_weight = check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not sample_weight.any():
        raise ValueError(
            "sample_weight is zero for every row. At least one positive weight is needed: with all "
            "sample weights zero there is nothing to learn from."
        )
    return sample_weight


def _require_y(estimator, y):
    """Return y, or raise if there is none, or if pandas marks some of it as missing."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )
    if isinstance(y, str | type) or hasattr(y, "fit"):
        raise TypeError(f"y is {shown(y)}; an array was expected, with one entry per row of X.")
    missing = _missing_labels(y)
    if len(missing):
        raise ValueError(
            f"Input y contains NaN or NA: {len(missing)} missing values, the first of them in row "
            f"{missing[0]}. Leave these rows out; distillers of classifiers also take them with -1 "
            "as y, which marks rows without a class."
        )
    return y


def check_length(y, X):
    """Raise an error unless y has one entry per row of X."""
    if num_samples(y) != num_samples(X):
        raise ValueError(
            f"y has {num_samples(y)} entries and X {num_samples(X)} rows (inconsistent numbers "
            "of samples); one entry for each row was expected. Were both filtered alike?"
        )


def check_values(estimator, y):
    """Return the values that a regressor is fitted to, as finite float64."""
    try:
        return finite_values(_require_y(estimator, y), estimator)
    except (TypeError, ValueError) as error:
        if "could not convert" not in str(error):
            raise
        raise ValueError(
            f"y is {shown(y)} that holds text; the numbers that {type(estimator).__name__} is to "
            "predict were expected. A classifier takes classes."
        ) from None


def checked_labels(estimator, y):
    """Return y as an array of shape (n_samples,), or raise scikit-learn's errors."""
    return check_y(_require_y(estimator, y), estimator=estimator)


def finite_values(y, estimator=None):
    """Return finite float64 values of shape (n_samples,), or raise scikit-learn's errors."""
    return check_y(y, y_numeric=True, estimator=estimator).astype(np.float64)


def warn_of_one_class(classes):
    """Warn if y has one class only, so that all predictions will be the same."""
    if len(classes) == 1:
        warn_caller(
            f"y holds one class only, {np.asarray(classes).tolist()[0]!r}, which every "
            "prediction will be. Check the filter or the comparison that y was made by."
        )


def _missing_labels(y):
    """List the rows of y that are masked, or that pandas marks as missing."""
    if np.ma.isMaskedArray(y):
        return np.flatnonzero(np.ma.getmaskarray(y))
    dtype = getattr(y, "dtype", None)
    is_plain = isinstance(dtype, np.dtype) and dtype.kind != "O"
    if is_plain or not hasattr(y, "__iter__"):
        return []
    return [i for i, label in enumerate(y) if type(label).__name__ in MISSING_TYPES]


def warn_of_leak(hashes, pool_hashes):
    """Warn if more labelled rows are in the unlabelled pool than expected by chance."""
    by_chance = 1.0 - (1.0 - _recurring(hashes)) ** max(1.0, len(pool_hashes) / len(hashes))
    shared = np.isin(hashes, pool_hashes).mean()
    if shared > by_chance + LEAK_TOLERANCE:
        warn_caller(
            f"{shared:.0%} of the labelled rows also occur among the unlabelled ones. The teacher "
            "has learned their labels, so its margins there are not honest; if the pool holds the "
            "validation rows of a cross-validation as well, its scores are too good. Leave "
            "labelled rows out of X_unlabeled."
        )


def _recurring(hashes):
    """Share of rows that occur more than once."""
    counts = np.unique(hashes, return_counts=True)[1]
    return float(counts[counts > 1].sum() / max(len(hashes), 1))


def _as_labels(estimator, y):
    """Return y as an array whose -1 are still numbers."""
    if isinstance(y, list | tuple) and any(isinstance(label, str) for label in y):
        y = np.array(y, dtype=object)  # NumPy would turn -1 into "-1"
    return checked_labels(estimator, y)


def _unlabelled(y, known_classes):
    """Mark the rows of y without a class."""
    if known_classes is not None and UNLABELLED in known_classes.tolist():
        return np.zeros(len(y), dtype=bool)
    if y.dtype == object:
        return np.array([not isinstance(label, str) and label == UNLABELLED for label in y])
    return y == UNLABELLED if y.dtype.kind in "iuf" else np.zeros(len(y), dtype=bool)


def _warn_of_lost_marks(y, known_classes):
    """NumPy turns -1 and NaN into strings among strings, and -1 into the largest of unsigned."""
    labels = set(y.tolist()) if y.dtype.kind in "OUu" else set()
    known = [] if known_classes is None else known_classes.tolist()
    if y.dtype.kind == "u":
        wrapped = {int(np.iinfo(y.dtype).max)} if y.dtype.itemsize > 1 else set()
    else:
        wrapped = set() if all(map(_is_number, labels)) else WRITTEN_MARKS
    for label in labels & wrapped - set(known):
        warn_caller(
            f"y holds {label!r}, which is taken for a class. Rows without a class are marked by "
            "the number -1, which NumPy turns into that where it changes the type of an array, as "
            "it does with NaN; among strings it stays a number in an object array only: "
            "np.array([...], dtype=object)."
        )


def _is_number(label):
    try:
        float(label)
    except (TypeError, ValueError):  # None, and text
        return False
    return True


def _labels(y):
    """Check the observed classes and give them the type they have without the -1 marks."""
    if len(y) == 0:
        raise ValueError(
            "Every entry of y is -1, which marks rows without a class. At least one observed "
            "class is needed, unless a fitted teacher gives the classes."
        )
    if y.dtype == object:
        kinds = {type(label) for label in y}
        if type(None) in kinds or (len(kinds) > 1 and any(issubclass(k, str) for k in kinds)):
            raise ValueError(
                f"y holds labels of the types {sorted(kind.__name__ for kind in kinds)}; labels of "
                "one type were expected, and -1 for rows without a class."
            )
        y = y if kinds == {str} else np.array(y.tolist())
    check_classification_targets(y)
    return y


def _check_pool(estimator, X_unlabeled, X, accept_sparse):
    """Return the tables of X_unlabeled, each checked to have the columns of X."""
    if X_unlabeled is None:
        return []
    tables = X_unlabeled if isinstance(X_unlabeled, tuple) else (X_unlabeled,)
    checked = []
    for table in tables:
        if is_frame(table) and is_frame(X) and type(table) is not type(X):
            libraries = [type(frame).__module__.partition(".")[0] for frame in (X, table)]
            raise ValueError(
                f"X is a data frame of {libraries[0]}, X_unlabeled one of {libraries[1]}. Pass "
                "both in the same container."
            )
        if is_frame(table) != is_frame(X):
            have, lack = ("X", "X_unlabeled") if is_frame(X) else ("X_unlabeled", "X")
            raise ValueError(
                f"{have} is a data frame with column names, {lack} is not. Pass both in the same "
                "container; behind transformers of a Pipeline, use "
                "Pipeline(..., transform_input=['X_unlabeled'])."
            )
        table = check_rows(
            estimator, table, reset=False, accept_sparse=accept_sparse, name="X_unlabeled"
        )
        if sp.issparse(table) != sp.issparse(X):
            raise ValueError("One of X and X_unlabeled is sparse, the other is dense. Convert one.")
        if not sp.issparse(X):
            _check_kinds(table, X)
        checked.append(table)
    return checked


def _check_kinds(table, X):
    """Check that X_unlabeled holds strings where X does, and plausible numbers elsewhere."""
    names = list(X.columns) if is_frame(X) else range(X.shape[1])
    out_of_range = 0
    n_numeric = 0
    for j, name in enumerate(names):
        pool, labelled = column_values(table, j), column_values(X, j)
        if is_missing(pool).all() or is_missing(labelled).all():
            continue
        if is_nominal(pool) != is_nominal(labelled):
            found, expected = ("strings", "numbers") if is_nominal(pool) else ("numbers", "strings")
            raise ValueError(
                f"Column {name!r} of X_unlabeled holds {found} where X holds {expected}. Pass the "
                "same columns in the same order."
            )
        if not is_nominal(pool):
            n_numeric += 1
            median = np.nanmedian(pool)
            out_of_range += not np.nanmin(labelled) <= median <= np.nanmax(labelled)
    if n_numeric and out_of_range > n_numeric / 2:
        warn_caller(
            f"The median of {out_of_range} of {n_numeric} numeric columns of X_unlabeled lies "
            "outside the range of X. If X was transformed, X_unlabeled must be as well: use "
            "Pipeline(..., transform_input=['X_unlabeled'])."
        )
