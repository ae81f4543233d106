"""Tables of any container, column by column.

NumPy arrays and data frames (pandas, polars and what else narwhals knows) are read here and nowhere
else. A column is either numeric (float64, NaN where missing; booleans are 0 and 1) or nominal (an
object array, None where missing). SciPy sparse matrices are all numeric.
"""

import numbers

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse as sp
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import validate_data

__all__ = [
    "check_rows",
    "column_names",
    "column_values",
    "column_values_as",
    "is_nominal",
    "row_hashes",
    "stack_rows",
    "take_rows",
]


def is_frame(X):
    """Tell whether X is a data frame, as opposed to an array, a sparse matrix or a list."""
    return not isinstance(X, np.ndarray) and isinstance(_narwhalify(X), nw.DataFrame)


def check_rows(estimator, X, *, reset, accept_sparse=False, name="X"):
    """Check a table, and its columns against those the estimator was fitted on.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_`` if `reset`, else has them.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        The table. Missing values are allowed, infinite ones are not.
    reset : bool
        Whether the estimator is being fitted.
    accept_sparse : bool, default=False
        Whether SciPy sparse matrices are allowed.
    name : str, default="X"
        What messages call the table.

    Returns
    -------
    X : ndarray, sparse matrix or data frame
        The caller's own container, a list converted to an array.

    Raises
    ------
    ValueError
        If X is not a table of at least one row and one column, has infinite or complex values, or
        has other columns than the estimator was fitted on.
    TypeError
        If X is sparse and may not be, or a column holds neither numbers nor strings.
    """
    if not is_frame(X):
        X = check_array(
            X,
            accept_sparse="csr" if accept_sparse else False,
            dtype=None,
            ensure_all_finite="allow-nan",
            estimator=estimator,
            input_name=name,
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if is_frame(X):
        _check_frame(X, name)
    elif X.dtype.kind not in "biufOSU":
        raise TypeError(
            f"{name} has dtype {X.dtype}; numbers, booleans or strings were expected. "
            "Convert dates and durations into numbers first."
        )
    return X


def column_names(estimator):
    """Names of the columns a fitted estimator knows, ``x0, x1, ...`` if they had none."""
    default = [f"x{j}" for j in range(estimator.n_features_in_)]
    return [str(name) for name in getattr(estimator, "feature_names_in_", default)]


def column_values(X, j):
    """Read one column.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        The table.
    j : int
        Position of the column.

    Returns
    -------
    values : ndarray of shape (n_samples,)
        Float64 with NaN where missing (a numeric column), or object with None where missing (a
        nominal column).
    """
    if isinstance(X, np.ndarray):
        return _object_values(X[:, j], j) if X.dtype.kind in "OSU" else _as_float(X[:, j])
    series = _series(X, j)
    if _is_nominal_dtype(series.dtype):
        return _mark_missing(series.to_list(), series.is_null().to_numpy())
    if series.dtype == nw.Object:
        return _object_values(np.asarray(series.to_list(), dtype=object), series.name)
    if series.dtype == nw.Boolean:
        series = series.cast(nw.Int8) if not series.null_count() else series.cast(nw.Float64)
    return _as_float(series.to_numpy())


def column_values_as(X, j, *, nominal, name):
    """Read one column, and insist that it is of the kind it was when an estimator was fitted.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        The table.
    j : int
        Position of the column.
    nominal : bool
        Whether the column was nominal.
    name : str
        What messages call the column.

    Returns
    -------
    values : ndarray of shape (n_samples,)
        As `column_values` returns them. A column without any value is of either kind.

    Raises
    ------
    ValueError
        If the column holds strings where numbers are expected, or the other way round.
    """
    values = column_values(X, j)
    if is_nominal(values) == nominal:
        return values
    missing = values == None if is_nominal(values) else np.isnan(values)  # noqa: E711
    if not missing.all():
        found, expected = ("numbers", "strings") if nominal else ("strings", "numbers")
        raise ValueError(
            f"Column {name!r} holds {found}; it held {expected} when this estimator was fitted. "
            "Pass the same kind of column."
        )
    return np.full(len(values), None) if nominal else np.full(len(values), np.nan)


def is_nominal(values):
    """Tell whether the result of `column_values` is that of a nominal column."""
    return values.dtype == object


def take_rows(X, rows):
    """Return some rows of X, given by a mask or by indices, in the container of X."""
    rows = np.asarray(rows)
    return _safe_indexing(X, np.flatnonzero(rows) if rows.dtype == bool else rows)


def stack_rows(tables):
    """Put tables with the same columns below each other.

    Parameters
    ----------
    tables : list of ndarray, list of sparse matrices or list of data frames
        All of one kind of container.

    Returns
    -------
    X : ndarray, sparse matrix or data frame
        The container of the tables.
    """
    if len(tables) == 1:
        return tables[0]
    if sp.issparse(tables[0]):
        return sp.vstack(tables, format="csr")
    if isinstance(tables[0], np.ndarray):
        return np.concatenate(tables)
    frames = [_narwhalify(table) for table in tables]
    common = [
        _common_dtype(dtypes)
        for dtypes in zip(*(frame.schema.dtypes() for frame in frames), strict=True)
    ]
    frames = [
        _side_by_side(
            series if dtype is None else series.cast(dtype)
            for series, dtype in zip(frame.iter_columns(), common, strict=True)
        )
        for frame in frames
    ]
    return nw.concat(frames, how="vertical").to_native()


def replace_cells(X, j, source_rows, changed, values):
    """Build a new column j: cells of the given rows of X, some of them replaced by numbers.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        The table.
    j : int
        Position of the column.
    source_rows : ndarray of shape (n_new,)
        The row of X that each new cell is copied from.
    changed : ndarray of shape (n_changed,)
        Positions among the new cells that get a number instead.
    values : ndarray of shape (n_changed,)
        These numbers; rounded where the column holds integers.

    Returns
    -------
    column : ndarray of shape (n_new,) or series
        Of the column's own type.
    """
    if isinstance(X, np.ndarray):
        column = X[source_rows, j]
        column[changed] = np.rint(values) if X.dtype.kind in "iu" else values
        return column
    series = _series(X, j)
    values = np.rint(values) if series.dtype.is_integer() else values
    column = nw.maybe_reset_index(series[source_rows])
    if len(changed):
        replaced = nw.new_series(
            series.name, values, dtype=series.dtype, backend=series.implementation
        )
        column = column.scatter(changed, replaced)
    return column


def table_like(X, columns):
    """Put new columns, made by `replace_cells`, together in the container of X."""
    if isinstance(X, np.ndarray):
        return np.stack(columns, axis=1)
    return _side_by_side(columns).to_native()


def row_hashes(X):
    """Give rows with equal cells equal numbers, and different rows almost surely different ones.

    Parameters
    ----------
    X : ndarray, sparse matrix or data frame of shape (n_samples, n_features)
        The table. Containers and number types do not matter: 1, 1.0 and True are equal.

    Returns
    -------
    hashes : ndarray of shape (n_samples,) and dtype uint64
        Comparable between tables within one process.
    """
    if sp.issparse(X):
        return np.array([hash((row.indices.tobytes(), row.data.tobytes())) for row in X.tocsr()])
    hashes = np.zeros(len(X), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for j in range(X.shape[1]):
            values = column_values(X, j)
            if is_nominal(values):
                cells = np.fromiter((hash(value) for value in values), np.int64, len(values))
            else:
                cells = values + 0.0  # -0.0 becomes 0.0
            mixed = cells.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
            hashes = (hashes ^ mixed) * np.uint64(0xBF58476D1CE4E5B9)
            hashes ^= hashes >> np.uint64(32)
    return hashes


def _narwhalify(X):
    return nw.from_native(X, eager_only=True, pass_through=True)


def _common_dtype(dtypes):
    """Return what columns of several tables have to be cast to, None if they are alike."""
    if len(set(dtypes)) == 1:
        return None
    return nw.Float64 if all(dtype.is_numeric() for dtype in dtypes) else nw.String


def _side_by_side(columns):
    return nw.concat([series.to_frame() for series in columns], how="horizontal")


def _series(X, j):
    return _narwhalify(X)[:, int(j)]


def _as_float(values):
    return np.ascontiguousarray(values, dtype=np.float64)


def _is_nominal_dtype(dtype):
    return dtype in (nw.String, nw.Categorical) or isinstance(dtype, nw.Enum)


def _mark_missing(values, missing):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    column[missing] = None
    return column


def _object_values(values, name):
    """Read a column of Python objects, which is numeric unless it holds a string."""
    if values.dtype.kind in "SU":
        return values.astype(object)
    kinds = {type(value) for value in values}
    missing = np.array([value is None or value != value for value in values], dtype=bool)
    if any(issubclass(kind, str) for kind in kinds):
        return _mark_missing(list(values), missing)
    for kind in kinds - {type(None)}:
        if not issubclass(kind, numbers.Real | np.bool_):
            raise TypeError(
                f"Column {name!r} holds an object of type {kind.__name__}: an argument must be a "
                "string or a real number. Convert the column first."
            )
    numeric = np.full(len(values), np.nan)
    numeric[~missing] = values[~missing].astype(np.float64)
    return numeric


def _check_frame(X, name):
    frame = _narwhalify(X)
    if 0 in frame.shape:
        raise ValueError(
            f"Found array with shape={frame.shape} in {name} while a minimum of 1 sample and 1 "
            "feature is required."
        )
    for column, dtype in frame.schema.items():
        if dtype.is_float() and np.isinf(frame[column].to_numpy()).any():
            raise ValueError(
                f"{name} contains infinity in column {column!r}. Finite or missing values were "
                "expected: clip or replace the infinite ones."
            )
        if not (dtype.is_numeric() or _is_nominal_dtype(dtype) or dtype in (nw.Boolean, nw.Object)):
            raise TypeError(
                f"{name} has dtype {dtype} in column {column!r}; numbers, booleans or strings were "
                "expected. Convert dates and durations into numbers first."
            )
