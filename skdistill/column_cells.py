"""The cells of a column: read from any container, and checked.

A column is read as `skdistill.columns` describes it. Checks keep what they read: a cell is looked
at once. The usual types of pandas and polars are read without narwhals, which takes longer to find
out what the columns are than a small student takes for a row.
"""

import numbers
from dataclasses import dataclass
from functools import partial
from types import NoneType

import narwhals.stable.v2 as nw
import numpy as np

from skdistill.levels import MISSING_TYPES

#: Types of columns that are numbers to NumPy, and their names: those of pandas and polars differ in
#: capitals only.
NUMBER_TYPES = frozenset(map(np.dtype, "bhilqBHILQfd"))
NUMBER_NAMES = frozenset(dtype.name for dtype in NUMBER_TYPES)

#: Types of cells that NumPy turns into float64, all at once and without surprises.
NUMBER_CELLS = {float, int, bool, NoneType, np.float64, np.float32, np.int64, np.int32, np.bool_}


@dataclass(frozen=True)
class PlainColumns:
    """The columns of a frame as `column_values` returns them, read once."""

    values: tuple

    @property
    def shape(self):
        """Number of rows and columns."""
        return len(self), len(self.values)

    def __len__(self):
        return len(self.values[0])


def narwhalify(X):
    """Wrap a frame; return anything else unchanged."""
    if isinstance(X, np.ndarray):
        return X
    return nw.from_native(X, eager_only=True, pass_through=True)


def is_of_pandas(X):
    """Tell whether X is a frame of pandas."""
    pandas = nw.dependencies.get_pandas()
    return pandas is not None and isinstance(X, pandas.DataFrame)


def is_of_polars(X):
    """Tell whether X is a frame of polars."""
    polars = nw.dependencies.get_polars()
    return polars is not None and isinstance(X, polars.DataFrame)


def is_nominal(values):
    """Tell whether the result of `column_values` is that of a nominal column."""
    return values.dtype == object


def as_float(values):
    """Return contiguous float64."""
    return np.ascontiguousarray(values, dtype=np.float64)


def finite_numbers(X):
    """Return the cells of an array or a frame of NumPy's numbers; None if it is anything else.

    None, too, if they are not finite: then others look for what is wrong, and say it.
    """
    if type(X) is np.ndarray:
        values = X if X.ndim == 2 and X.dtype.kind in "biuf" else None
    elif _holds_number_types(X):
        values = as_float(X.to_numpy())
    else:
        return None
    return values if values is not None and values.size and _no_infinity(values) else None


def _holds_number_types(X):
    """Tell whether X is a frame of pandas or polars with NumPy's types of numbers only."""
    if is_of_pandas(X):
        types = X.dtypes.tolist()
        return X.columns.is_unique and all(
            isinstance(dtype, np.dtype) and dtype in NUMBER_TYPES for dtype in types
        )
    return is_of_polars(X) and all(str(dtype).lower() in NUMBER_NAMES for dtype in X.dtypes)


def _no_infinity(values):
    """Tell whether no number is infinite; if the sum is finite, none is missing either."""
    if values.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        return np.isfinite(values.sum()) or not np.isinf(values).any()


def is_numeric_frame(frame):
    """Tell whether all columns of a frame of narwhals are numbers; booleans are not."""
    native = frame.to_native()
    if is_of_pandas(native) and any(map(_is_text_or_bool, native.dtypes)):
        return False
    return all(dtype.is_numeric() for dtype in frame.schema.dtypes())


def _is_text_or_bool(dtype):
    """Tell whether a type of pandas is one of those that most columns without numbers have."""
    if isinstance(dtype, np.dtype):
        return dtype.kind in "Ob"
    pandas = nw.dependencies.get_pandas()
    return isinstance(dtype, pandas.CategoricalDtype | pandas.StringDtype)


def series_values(series):
    """Read one column of a frame, see `column_values`."""
    if has_pandas_categories(series):
        native = series.to_native().cat
        return _category_values(native.categories, native.codes.to_numpy())
    dtype = series.dtype
    if _is_nominal_dtype(dtype):
        return _cells_of(series)
    if dtype == nw.Object:
        return object_values(_cells_of(series), series.name)  # pandas.NA is null
    if dtype == nw.Boolean:
        series = series.cast(nw.Int8) if not series.null_count() else series.cast(nw.Float64)
    return as_float(series.to_numpy())


def has_pandas_categories(series):
    """Tell whether a column of narwhals is one of pandas' categories."""
    return series.implementation.is_pandas_like() and hasattr(series.to_native(), "cat")


def _cells_of(series):
    """List the cells of a column, None where missing; only pandas has other marks for that."""
    if series.implementation.is_pandas_like():
        return mark_missing(series.to_list(), series.is_null().to_numpy())
    return np.fromiter(series.to_list(), object, len(series))


def _category_values(categories, codes):
    """Read a column of pandas' categories."""
    cells = np.empty(len(categories) + 1, dtype=object)  # the last is None
    cells[:-1] = categories.to_list()
    return cells[codes]


def _text_values(series):
    """Read a column of pandas as nominal."""
    values = series.to_numpy(dtype=object, copy=True)
    values[series.isna().to_numpy()] = None
    return values


def _is_nominal_dtype(dtype):
    return dtype in (nw.String, nw.Categorical) or isinstance(dtype, nw.Enum)


def mark_missing(values, missing):
    """Return cells as an object array, None where missing."""
    column = np.fromiter(values, object, len(values))  # one cell each, also if they are lists
    column[missing] = None
    return column


def object_values(values, name):
    """Read a column of Python objects, which is numeric unless it holds a string."""
    if values.dtype.kind in "SU":
        return values.astype(object)
    cells = values.tolist()
    return _values_of_kinds(values, cells, set(map(type, cells)), name)  # few, where cells are many


def _values_of_kinds(values, cells, kinds, name):
    """Read a column of Python objects, of which the list and the types are known."""
    marks = _marks(kinds)
    has_strings = any(issubclass(kind, str) for kind in kinds)
    possible = numbers.Number | np.bool_ | str if has_strings else numbers.Real | np.bool_
    for kind in kinds - marks - {NoneType}:
        if not issubclass(kind, possible):
            raise TypeError(
                f"Column {name!r} holds an object of type {kind.__name__}: an argument must be a "
                "string or a real number. Convert the column first."
            )
    if marks:
        values = mark_missing(cells, _of_kinds(marks, cells, values.shape))
    if not has_strings:
        return as_numbers(values, name)
    values = values.copy()
    if any(issubclass(kind, numbers.Number) for kind in kinds):
        values[values != values] = None  # NaN, of any type
    return values


def as_numbers(values, name):
    """Turn an object array of numbers and None into float64."""
    try:
        return values.astype(np.float64)  # None becomes NaN
    except OverflowError:
        raise ValueError(
            f"Column {name!r} holds an integer that is too large for a float."
        ) from None


def numbers_or_columns(columns):
    """Put columns side by side, as an array if all are numeric."""
    columns = tuple(columns)
    return PlainColumns(columns) if any(map(is_nominal, columns)) else np.stack(columns, axis=1)


def checked_objects(X, name):
    """Refuse infinite cells of an object array, and mark missing ones as teachers know them.

    Returns the array, and a function that reads it as `plain_rows` does.
    """
    cells = X.T.tolist()
    kinds = [set(map(type, column)) for column in cells]  # few, where cells are many
    all_kinds = set().union(*kinds)
    if _marks(all_kinds):
        return checked_objects(with_nan(X), name)
    plain = _simply_numbers(X, all_kinds)
    if plain is not None:
        _refuse_infinity(plain, name)
        return X, lambda: plain
    columns = [
        _checked_column(X[:, j], column, kinds[j], j, name) for j, column in enumerate(cells)
    ]
    return X, lambda: numbers_or_columns(map(_values, columns))


def _checked_column(values, cells, kinds, j, name):
    """Refuse infinite cells of column j; return its values, or a function that reads them."""
    read = partial(_values_of_kinds, values, cells, kinds, j)
    floats = {kind for kind in kinds if issubclass(kind, float | np.floating)}
    if not floats:
        return read
    found = plain = _simply_numbers(values, kinds)
    if plain is None:
        found = values[_of_kinds(floats, cells, values.shape)].astype(np.float64)
    _refuse_infinity(found, name)
    return read if plain is None else plain


def _simply_numbers(values, kinds):
    """Turn Python objects into float64; None if they may hold what is refused."""
    if not kinds <= NUMBER_CELLS:
        return None
    try:
        return values.astype(np.float64, order="C")
    except OverflowError:  # of an integer
        return None


def _refuse_infinity(values, name):
    if np.isinf(values).any():
        raise ValueError(
            f"{name} contains infinity. Finite or missing values were expected: clip or replace "
            "the infinite ones."
        )


def with_nan(X):
    """Replace marks such as `pandas.NA` in an object array by NaN, which all teachers know."""
    cells = X.ravel().tolist()
    marks = _marks(set(map(type, cells)))
    return np.where(_of_kinds(marks, cells, X.shape), np.nan, X) if marks else X


def _marks(kinds):
    """Return the types that are data frames' marks of missing values."""
    return {kind for kind in kinds if kind.__name__ in MISSING_TYPES}


def _of_kinds(kinds, cells, shape):
    """Mark the cells, listed row by row, that are of some types."""
    return np.fromiter((type(cell) in kinds for cell in cells), bool, len(cells)).reshape(shape)


def checked_frame(frame, name):
    """Refuse a frame with columns or cells of no use; return a function that reads the others."""
    if 0 in frame.shape:
        raise ValueError(
            f"Found array with shape={frame.shape} in {name} while a minimum of 1 sample and 1 "
            "feature is required."
        )
    if is_numeric_frame(frame):
        plain = as_float(frame.to_numpy())
        if not np.isinf(plain).any():
            return lambda: plain
    native = frame.to_native()
    if is_of_pandas(native):
        columns = [_checked_pandas(series, name) for _, series in native.items()]
    else:
        columns = [_checked_series(series, name) for series in frame.iter_columns()]
    return lambda: PlainColumns(tuple(map(_values, columns)))


def _checked_pandas(series, name):
    """Check a column as `_checked_series` does; narwhals takes long to find the usual types."""
    dtype, pandas = series.dtype, nw.dependencies.get_pandas()
    if isinstance(dtype, pandas.CategoricalDtype):
        return partial(_category_values, series.array.categories, series.array.codes)
    if isinstance(dtype, pandas.StringDtype):
        return partial(_text_values, series)
    values = None
    if not isinstance(dtype, np.dtype):
        if dtype.name.lower() in NUMBER_NAMES:  # pandas' own, such as Int64
            values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    elif dtype in NUMBER_TYPES or dtype.kind == "b":
        values = as_float(series.to_numpy())
    elif dtype.kind == "O":
        values = _only_text(_text_values(series))
    if values is not None:
        return _without_infinity(values, name, series.name)
    return _checked_series(nw.from_native(series, series_only=True), name)


def _only_text(values):
    """Return the cells of a column of objects if they are text, or missing; else None."""
    kinds = set(map(type, values.tolist()))
    return values if str in kinds and kinds <= {str, NoneType} else None


def _checked_series(series, name):
    """Refuse a column of no use; return its values, or a function that reads them."""
    column, dtype = series.name, series.dtype
    empty = dtype == nw.Unknown and series.is_null().all()
    known = dtype.is_numeric() or _is_nominal_dtype(dtype) or dtype in (nw.Boolean, nw.Object)
    if not (known or empty):
        raise TypeError(
            f"{name} has dtype {dtype} in column {column!r}; numbers, booleans or strings were "
            "expected. Convert dates and durations into numbers first."
        )
    if not (dtype.is_float() or dtype == nw.Object):
        return partial(series_values, series)
    return _without_infinity(series_values(series), name, column)


def _without_infinity(values, name, column):
    """Return the values of a column, none of which is infinite."""
    if not is_nominal(values) and np.isinf(values).any():
        raise ValueError(
            f"{name} contains infinity in column {column!r}. Finite or missing values were "
            "expected: clip or replace the infinite ones."
        )
    return values


def _values(column):
    """Return the values of a column, which may be a function that reads them."""
    return column() if callable(column) else column
