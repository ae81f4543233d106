"""Tables of any container, column by column.

NumPy arrays and data frames (pandas, polars and what else narwhals knows) are read here and nowhere
else. A column is either numeric (float64, NaN where missing; booleans are 0 and 1) or nominal (an
object array, None where missing). SciPy sparse matrices are all numeric.
"""

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skdistill.column_cells import (
    PlainColumns,
    as_float,
    as_numbers,
    checked_frame,
    checked_objects,
    finite_numbers,
    has_pandas_categories,
    is_nominal,
    is_numeric_frame,
    is_of_pandas,
    is_of_polars,
    mark_missing,
    narwhalify,
    numbers_or_columns,
    object_values,
    series_values,
    with_nan,
)
from skdistill.hashes import cell_hashes
from skdistill.levels import can_be_numbers, level_numbers
from skdistill.messages import shown
from skdistill.sklearn_private import safe_indexing

__all__ = [
    "as_documented_table",
    "as_models_take",
    "cell_values",
    "check_rows",
    "checked_rows",
    "column_names",
    "column_values",
    "column_values_as",
    "is_missing",
    "is_nominal",
    "level_positions",
    "plain_rows",
    "require_fitted",
    "require_table",
    "row_hashes",
    "stack_rows",
    "table_names",
    "take_columns",
    "take_rows",
]


class _Unseen:
    def __repr__(self):
        return "UNSEEN"


#: In a nominal column that a student is fitted on, replaces all levels that it has not seen.
UNSEEN = _Unseen()


@dataclass(frozen=True)
class CheckedRows:
    """A table that was checked, and what the check has read of it.

    An estimator passes it to a part of its own that takes the same columns: `check_rows` then looks
    at their names again, not at the cells.

    Attributes
    ----------
    table : ndarray, sparse matrix, data frame or PlainColumns
        The rows as `check_rows` returns them.
    read : callable
        Returns them as `plain_rows` does; what the check has read is not read again.
    """

    table: Any
    read: Callable


def is_frame(X):
    """Tell whether X is a data frame, as opposed to an array, a sparse matrix or a list."""
    return isinstance(narwhalify(X), nw.DataFrame)


def require_table(X, name="X"):
    """Raise TypeError or ValueError unless X is a table of two dimensions; cells are not read."""
    shape = getattr(X, "shape", None)
    if not isinstance(shape, tuple):
        is_listed = isinstance(X, list | tuple) or hasattr(X, "__array__")
        if not is_listed or hasattr(X, "fit"):
            raise TypeError(
                f"{name} is {shown(X)}; a table was expected, with a row per sample and a column "
                "per feature: an array, a data frame or a list of rows."
            )
        shape = np.shape(X[:1]) if isinstance(X, list | tuple) else np.asarray(X).shape
    if len(shape) != 2:
        is_y = f" If it is y: {name} comes first, then y." if len(shape) == 1 else ""
        raise ValueError(
            f"{name} is {shown(X)}; a table was expected, with a row per sample and a column per "
            f"feature. Reshape your data: {name}.reshape(1, -1) is one row, "
            f"{name}.reshape(-1, 1) one column.{is_y}"
        )


def require_fitted(estimator):
    """Raise NotFittedError unless the estimator is fitted; the tags are asked in doubt only."""
    if "n_features_in_" not in vars(estimator):
        check_is_fitted(estimator)


def check_rows(estimator, X, *, reset, accept_sparse=False, name="X"):
    """Check a table, and its columns against those the estimator was fitted on.

    With `reset` the estimator gets ``n_features_in_`` and ``feature_names_in_``. Missing values are
    allowed, infinite ones are not. The caller's own container comes back, a list as an array;
    errors call it `name`. `PlainColumns` are returned unchecked.
    """
    return checked_rows(estimator, X, reset=reset, accept_sparse=accept_sparse, name=name).table


def checked_rows(estimator, X, *, reset, accept_sparse=False, name="X"):
    """Check a table as `check_rows` does, and keep what was read for that, as `CheckedRows`."""
    if isinstance(X, PlainColumns):  # of a table that was checked before it was read
        return CheckedRows(X, lambda: X)
    if isinstance(X, CheckedRows):
        _check_columns(estimator, X.table, reset)
        return X
    plain = finite_numbers(X)
    if plain is not None:
        _check_columns(estimator, X, reset)
        return CheckedRows(X, lambda: plain)
    require_table(X, name)
    X = _without_mask(_without_sparse_columns(X))
    frame = narwhalify(X)
    if isinstance(frame, nw.DataFrame):
        _check_columns(estimator, X, reset)
        return CheckedRows(X, checked_frame(frame, name))
    with np.errstate(over="ignore", invalid="ignore"):  # of a sum that looks for NaN
        X = check_array(
            X,
            accept_sparse="csr" if accept_sparse else False,
            dtype=None,
            ensure_all_finite="allow-nan",
            estimator=estimator,
            input_name=name,
        )
    read = partial(plain_rows, X)
    if X.dtype == object:
        X, read = checked_objects(X, name)
    _check_columns(estimator, X, reset)
    if X.dtype.kind not in "biufOSU":
        raise TypeError(
            f"{name} has dtype {X.dtype}; numbers, booleans or strings were expected. "
            "Convert dates and durations into numbers first."
        )
    return CheckedRows(X, read)


def _check_columns(estimator, X, reset):
    """Set or check number and names of the columns of an estimator, as scikit-learn does."""
    if reset or not _has_its_columns(estimator, X):
        validate_data(estimator, X, reset=reset, skip_check_array=True)


def _has_its_columns(estimator, X):
    """Tell whether a table has the columns of a fitted estimator; False in doubt."""
    if isinstance(X, PlainColumns):  # they have no names
        return True
    known = getattr(estimator, "feature_names_in_", None)
    if getattr(estimator, "n_features_in_", None) != X.shape[1]:
        return False
    if isinstance(X, np.ndarray) or sp.issparse(X):
        return known is None
    if not (is_of_pandas(X) or is_of_polars(X)):
        return False
    names = X.columns if is_of_polars(X) else X.columns.tolist()
    kinds = set(map(type, names))
    return str not in kinds if known is None else kinds == {str} and names == known.tolist()


def as_models_take(X):
    """Return new rows in a container that models take; the models check the cells.

    Lists become arrays, sparse columns of pandas frames dense, and `pandas.NA` in an object array
    NaN.
    """
    require_table(X)
    if is_frame(X):
        return _without_sparse_columns(X)
    if sp.issparse(X):
        return X
    X = check_array(_without_mask(X), dtype=None, ensure_all_finite=False, input_name="X")
    return with_nan(X) if X.dtype == object else X


def column_names(estimator):
    """Names of the columns a fitted estimator knows, ``x0, x1, ...`` if they had none."""
    default = [f"x{j}" for j in range(estimator.n_features_in_)]
    return [str(name) for name in getattr(estimator, "feature_names_in_", default)]


def table_names(X):
    """Names of the columns of a table, ``x0, x1, ...`` if they have none."""
    names = X.columns if is_frame(X) else [f"x{j}" for j in range(X.shape[1])]
    return [str(name) for name in names]


def column_values(X, j):
    """Read column j: float64 with NaN if it is numeric, objects with None if it is nominal."""
    if isinstance(X, PlainColumns):
        return X.values[j]
    if isinstance(X, np.ndarray):
        return object_values(X[:, j], j) if X.dtype.kind in "OSU" else as_float(X[:, j])
    return series_values(_series(X, j))


def plain_rows(X):
    """Read a table once: as a float64 array if it holds only numbers, else as `PlainColumns`.

    Arrays of numbers, and sparse matrices, are returned unchanged.
    """
    if isinstance(X, CheckedRows):
        return X.read()
    frame = narwhalify(X)
    if isinstance(frame, nw.DataFrame):
        if is_numeric_frame(frame):
            return as_float(frame.to_numpy())
        return PlainColumns(tuple(series_values(series) for series in frame.iter_columns()))
    if not isinstance(X, np.ndarray) or X.dtype.kind not in "OSU":
        return X
    return numbers_or_columns(column_values(X, j) for j in range(X.shape[1]))


def cell_values(X):
    """Read every cell in the caller's type, as an object array; NaN or None where missing."""
    if isinstance(X, np.ndarray):
        return X.astype(object)
    values = np.empty(X.shape, dtype=object)
    for j, series in enumerate(narwhalify(X).iter_columns()):
        missing = series.is_null().to_numpy() & (not series.dtype.is_float())
        values[:, j] = mark_missing(series.to_list(), missing)
    return values


def column_values_as(X, j, *, levels, name):
    """Read a column as `column_values` does, and check that it is of the kind it was at fit.

    `levels` are those of the fit, None among them for missing; None if the column was numeric.
    Numbers are read as categories if a level can be one, see `skdistill.levels`, and the other way
    round; a ValueError calls the column `name`.
    """
    values = column_values(X, j)
    if is_nominal(values) == (levels is not None):
        return values
    missing = is_missing(values)
    if levels is None:
        if all(isinstance(value, numbers.Real) for value in values[~missing]):
            return as_numbers(values, name)
    elif missing.all() or _can_be_numbers(levels):
        return mark_missing(values.tolist(), missing)
    found, expected = ("strings", "numbers") if levels is None else ("numbers", "strings")
    raise ValueError(
        f"Column {name!r} holds {found}; it held {expected} when this estimator was fitted. "
        "Pass the same kind of column."
    )


def level_positions(values, levels, other):
    """Give each cell of a nominal column the position of its level, in float64.

    Cells at no level get `other`. What equals a level is said in `skdistill.levels`; it is looked
    up for those cells only that are no level themselves.
    """
    cells = values.tolist()
    position = {level: float(k) for k, level in enumerate(levels)}
    others = set(cells).difference(position)
    if others:
        number_of = level_numbers(levels)
        position |= {cell: float(number_of.get(cell, other)) for cell in others}
    return np.fromiter(map(position.__getitem__, cells), np.float64, len(cells))


def is_missing(values):
    """Mark the missing values in the result of `column_values`."""
    return values == None if is_nominal(values) else np.isnan(values)  # noqa: E711


def take_rows(X, rows):
    """Return some rows of X, given by a mask or by indices, in the container of X."""
    rows = np.asarray(rows)
    if isinstance(X, PlainColumns):
        return PlainColumns(tuple(values[rows] for values in X.values))
    return safe_indexing(X, np.flatnonzero(rows) if rows.dtype == bool else rows)


def take_columns(X, columns):
    """Return some columns of X, given by names, positions, a mask or a slice, in its container."""
    return safe_indexing(X, columns, axis=1)


def stack_rows(tables):
    """Put tables of one container, with the same columns, below each other."""
    if len(tables) == 1:
        return tables[0]
    if sp.issparse(tables[0]):
        return sp.vstack(tables, format="csr")
    if isinstance(tables[0], np.ndarray):
        return np.concatenate(tables)
    columns = [
        _stack_column([_series(table, j) for table in tables]) for j in range(tables[0].shape[1])
    ]
    return _side_by_side(columns).to_native()


def replace_cells(X, j, source_rows, changed, values):
    """Build column j from cells of the given rows of X, those at the positions `changed` replaced.

    The new values are numbers, rounded if the column holds integers. The type of the column stays.
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


def replace_levels(X, j, source_rows, changed, levels):
    """Build the nominal column j from cells of some rows of X, those at `changed` replaced.

    `levels` are the new values, None for missing. The type of the column stays; categories that are
    new to it come last.
    """
    if isinstance(X, np.ndarray):
        column = X[source_rows, j].astype(object)
        absent = [value for value in column if value is None or value != value]
        missing = absent[0] if absent else np.nan
        column[changed] = [missing if level is None else level for level in levels]
        return column
    series = nw.maybe_reset_index(_series(X, j)[source_rows])
    known = set(series.unique().to_list())
    new = [level for level in dict.fromkeys(levels) if level is not None and level not in known]
    if series.implementation.is_pandas_like():
        native = series.to_native()
        if has_pandas_categories(series):
            kept = set(native.cat.categories)
            native = native.cat.add_categories([level for level in new if level not in kept])
        native.iloc[changed] = levels
        return nw.from_native(native, series_only=True)
    values = series.to_list()
    for position, level in zip(changed.tolist(), levels, strict=True):
        values[position] = level
    dtype = series.dtype
    if isinstance(dtype, nw.Enum):
        dtype = nw.Enum([*dtype.categories, *(v for v in new if v not in dtype.categories)])
    return nw.new_series(series.name, values, dtype, backend=series.implementation)


def mark_unseen(X, real):
    """Mark the levels that no real row has as `UNSEEN`; without any return the table itself."""
    if real.all():
        return X
    columns, found = [], False
    for j in range(X.shape[1]):
        values = column_values(X, j)
        if is_nominal(values):
            new = set(values[~real]) - set(values[real]) - {None}
            if new:
                found, values = True, values.copy()
                values[[value in new for value in values]] = UNSEEN
        columns.append(values)
    return PlainColumns(tuple(columns)) if found else X


def mix_rows(X, source):
    """Compose rows from cells of X; `source` has the row of each, as (n_mixed, n_features)."""
    none = np.arange(0)
    return table_like(X, [replace_cells(X, j, rows, none, none) for j, rows in enumerate(source.T)])


def table_like(X, columns):
    """Put new columns, made by `replace_cells`, together in the container of X."""
    if isinstance(X, np.ndarray):
        return np.stack(columns, axis=1)
    return _side_by_side(columns).to_native()


def row_hashes(X, precision=np.float64):
    """Give rows with equal cells equal numbers, and different rows almost surely different ones.

    Hashes are uint64, comparable between tables, containers, number types and processes.
    `precision` is the type in which numbers are compared: with float32 a row equals its copy as
    trees and networks receive it.
    """
    if sp.issparse(X):
        return _sparse_row_hashes(X.tocsr().astype(precision).astype(np.float64))
    hashes = np.zeros(len(X), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for j in range(X.shape[1]):
            values = column_values(X, j)
            if is_nominal(values):
                cells = cell_hashes(values.tolist())
            else:
                values = values.astype(precision).astype(np.float64)
                cells = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN, one zero
            mixed = cells.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
            hashes = (hashes ^ mixed) * np.uint64(0xBF58476D1CE4E5B9)
            hashes ^= hashes >> np.uint64(32)
    return hashes


def as_documented_table(X):
    """Return a table as the native libraries that read pandas document it, the same if it is one.

    Some of them end the process, instead of raising, on a frame that they do not know. Arrays hold
    numbers, sparse matrices are compressed, columns of frames have the types of NumPy or are
    pandas' categories: text becomes categories, whatever else pandas has (nullable, sparse, Arrow)
    float64. The columns of an array with text are called ``Column_0, Column_1, ...``.
    """
    if sp.issparse(X):
        return X if isinstance(X, sp.csr_matrix | sp.csc_matrix) else sp.csr_matrix(X)
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OSU":
        return X
    frame = narwhalify(X)
    if isinstance(frame, nw.DataFrame):
        if all(_is_documented(series) for series in frame.iter_columns()):
            return X
        return _side_by_side([_documented(series) for series in frame.iter_columns()]).to_native()
    values = [column_values(X, j) for j in range(X.shape[1])]
    if not any(map(is_nominal, values)):
        return np.column_stack(values)
    return _side_by_side(
        [_pandas_series(f"Column_{j}", column) for j, column in enumerate(values)]
    ).to_native()


def _is_documented(series):
    """Tell whether a column is one of pandas that holds NumPy's numbers or pandas' categories."""
    if series.implementation is not nw.Implementation.PANDAS:
        return False
    dtype = series.to_native().dtype
    is_number = isinstance(dtype, np.dtype) and dtype.kind in "biuf"
    return is_number or has_pandas_categories(series)


def _documented(series):
    if _is_documented(series):
        return nw.maybe_reset_index(series)
    return _pandas_series(series.name, series_values(series))


def _pandas_series(name, values):
    """Make a column of pandas from what `column_values` returns."""
    if is_nominal(values):
        return nw.new_series(name, values.tolist(), nw.Categorical, backend="pandas")
    return nw.new_series(name, values, nw.Float64, backend="pandas")


def _sparse_row_hashes(X):
    X.eliminate_zeros()
    X.sort_indices()
    columns = X.indices.astype(np.int64)
    ranges = zip(X.indptr, X.indptr[1:], strict=False)
    digests = [
        blake2b(columns[a:b].tobytes() + X.data[a:b].tobytes(), digest_size=8).digest()
        for a, b in ranges
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _stack_column(parts):
    """Put columns below each other, as strings or floats if they are of different types."""
    dtype = parts[0].dtype
    if all(isinstance(part.dtype, nw.Enum) for part in parts):
        dtype = nw.Enum(list(dict.fromkeys(k for part in parts for k in part.dtype.categories)))
        parts = [part.cast(dtype) for part in parts]
    if any(part.dtype != dtype for part in parts):
        values = [series_values(part) for part in parts]
        nominal = any(is_nominal(v) and not is_missing(v).all() for v in values)
        dtype = nw.String if nominal else nw.Float64
        parts = [
            nw.new_series(
                part.name, _of_kind(v, nominal).tolist(), dtype, backend=part.implementation
            )
            for part, v in zip(parts, values, strict=True)
        ]
    if all(map(has_pandas_categories, parts)):
        parts = _with_common_categories(parts)
    frames = [nw.maybe_reset_index(part).to_frame() for part in parts]
    stacked = nw.maybe_reset_index(nw.concat(frames, how="vertical"))[:, 0]
    return stacked if stacked.dtype == dtype else stacked.cast(dtype)  # pandas drops categories


def _with_common_categories(parts):
    """Give categorical columns of pandas the categories of all, first those of the first."""
    natives = [part.to_native() for part in parts]
    known = dict.fromkeys(level for native in natives for level in native.cat.categories)
    return [
        nw.from_native(native.cat.set_categories(list(known)), series_only=True)
        for native in natives
    ]


def _of_kind(values, nominal):
    """Turn a column without any value into one of the other kind."""
    if is_nominal(values) == nominal:
        return values
    return np.full(len(values), None) if nominal else np.full(len(values), np.nan)


def _side_by_side(columns):
    return nw.concat([series.to_frame() for series in columns], how="horizontal")


def _series(X, j):
    return narwhalify(X)[:, int(j)]


def _can_be_numbers(levels):
    known = [level for level in levels if level is not None]
    return not known or can_be_numbers(level_numbers(known))


def _without_sparse_columns(X):
    """Return a pandas frame with its sparse columns, which narwhals does not know, made dense."""
    dtypes = getattr(X, "dtypes", None)
    if not hasattr(dtypes, "items"):
        return X
    dense = {name: d.subtype for name, d in dtypes.items() if type(d).__name__ == "SparseDtype"}
    return X.astype(dense) if dense else X


def _without_mask(X):
    """Make masked cells of a masked array missing: NumPy would use the values behind the mask."""
    if not np.ma.isMaskedArray(X):
        return X
    if X.dtype.kind in "biuf":
        return X.astype(np.result_type(X.dtype, np.float32)).filled(np.nan)
    return np.where(np.ma.getmaskarray(X), None, X.data.astype(object))
