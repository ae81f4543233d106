"""The rows of a table of any container, column by column, with NumPy alone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from skdistill.messages import shown


@dataclass(frozen=True)
class Table:
    """Rows as columns of shape (n_rows,), in the caller's types: numbers, strings or objects.

    `names` is None if the columns have none. `is_row` says that a single row was passed.
    """

    names: list | None
    columns: list
    n_rows: int
    is_row: bool = False


def read_table(X):
    """Read a table or a single row; cells may be of any type.

    Parameters
    ----------
    X : ndarray, sparse matrix, data frame, dict, list, tuple or Series
        A table of shape (n_rows, n_columns), a dict of columns, a list of rows (each a list or a
        dict), or a single row: an array or list of cells, a dict or a Series.

    Returns
    -------
    table : Table
        Its columns.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If it is not of one or two dimensions, or has rows of different lengths or a repeated name.
    """
    if hasattr(X, "toarray"):
        X = X.toarray()
    if isinstance(X, np.ndarray):
        return _read_array(X)
    if isinstance(X, Mapping):
        return _read_dict(X)
    if hasattr(X, "keys") and getattr(X, "ndim", 2) == 1:  # a Series by column
        return _named(list(X.keys()), [as_array([cell]) for cell in X.tolist()], is_row=True)
    if hasattr(X, "columns") and hasattr(X, "__getitem__"):
        labels = column_labels(X)
        return _named(labels, [lambda label=label: X[label] for label in labels])
    if isinstance(X, list | tuple):
        return _read_list(X)
    raise TypeError(
        f"X is a {type(X).__name__}; an array, a data frame, a dict of columns, a list of rows or "
        "a single row was expected."
    )


def table_columns(reader, X):
    """Return the columns of a table in the order of a `CellReader`'s, for `read_columns`.

    Frames and dicts are read by name, whatever their order. Raises ValueError if columns are
    missing or unknown, or their number is wrong, and TypeError if X is not a table.
    """
    if isinstance(X, np.ndarray):
        _check_shape(X.shape, reader.n_columns)
        return X.T
    if hasattr(X, "columns") or isinstance(X, dict):
        table = read_table(X)
        is_named = all(isinstance(label, str) for label in column_labels(X))
        if table.is_row or not is_named:
            shape = (table.n_rows, len(table.columns))
            _check_shape(shape[1:] if table.is_row else shape, reader.n_columns)
            return table.columns
        reader.check_names(table.names)
        columns = dict(zip(table.names, table.columns, strict=True))
        return [columns[name] for name in reader.names]
    if isinstance(X, str) or not hasattr(X, "__iter__") or hasattr(X, "fit"):
        raise TypeError(
            f"X is {shown(X)}; a table was expected: an array, a data frame, a dict of columns or "
            "a list of rows."
        )
    rows = [reader.in_order(row) for row in X]
    return list(zip(*rows, strict=True)) or [()] * reader.n_columns


def read_columns(reader, columns):
    """Read the cells of columns in the order of a `CellReader`'s.

    Returns an array of shape (n_samples, n_columns): float64, NaN where missing, with the number of
    the level instead of a string. Raises TypeError, which names the column, if a cell is not of the
    expected type.
    """
    is_plain = isinstance(columns, np.ndarray) and not np.ma.isMaskedArray(columns)
    if is_plain and columns.dtype.kind in "biuf" and not reader.has_texts:
        return columns.T.astype(np.float64, copy=False)
    columns = [as_array(column) for column in columns]
    table = np.empty((len(columns[0]), len(columns)))
    for j, values in enumerate(columns):
        if values.dtype.kind in "Mm":
            raise TypeError(
                f"Column {reader.names[j]!r} holds dates or durations; turn them into numbers, as "
                "when the student was fitted."
            )
        if not reader.has_text(j) and _are_numbers(values):
            table[:, j] = values
        else:
            table[:, j] = [reader.level_number(j, cell) for cell in values.tolist()]
    return table


def column_labels(X):
    """Return the labels of the columns of a data frame, a table of pyarrow or a dict of columns."""
    is_arrow = type(X).__module__.startswith("pyarrow")
    return list(X.column_names if is_arrow else getattr(X, "columns", X))


def as_array(column):
    """Return a column as an array, without turning anything into text."""
    if str(getattr(column, "type", "")).startswith("dictionary<"):
        column = column.to_pylist()  # pyarrow's own conversion to NumPy has a level for every null
    if np.ma.isMaskedArray(column):  # NumPy would show what is behind the mask
        return np.where(np.ma.getmaskarray(column), None, column.data.astype(object))
    if isinstance(column, list | tuple):  # NumPy would turn NaN among strings into "nan"
        return np.fromiter(column, dtype=object, count=len(column))
    return np.asarray(column)


def _check_shape(shape, n_columns):
    if len(shape) != 2 or shape[1] != n_columns:
        raise ValueError(
            f"X has shape {shape}; (n_samples, {n_columns}) was expected. One row is scored by "
            "scorer(row)."
        )


def _are_numbers(values):
    """Tell whether NumPy can convert a column as a whole, without a check of every cell."""
    if values.dtype != object:
        return values.dtype.kind in "biuf"
    return set(map(type, values.tolist())) <= {float, np.float64, bool, type(None)}


def _read_array(X):
    if X.ndim not in (1, 2):
        raise ValueError(
            f"X has shape {X.shape}; (n_rows, n_columns) was expected, or (n_columns,) for one row."
        )
    rows = np.atleast_2d(X)
    return Table(None, list(np.ascontiguousarray(rows.T)), len(rows), X.ndim == 1)


def _read_dict(X):
    if all(_is_cell(value) for value in X.values()):
        return _named(list(X), [as_array([cell]) for cell in X.values()], is_row=True)
    return _named(list(X), list(X.values()))


def _read_list(X):
    first = X[0] if X else []
    if _is_cell(first):
        return Table(None, [as_array([cell]) for cell in X], 1, True)
    if hasattr(first, "keys"):
        names = list(dict.fromkeys(name for row in X for name in row.keys()))  # noqa: SIM118
        return _named(names, [[row.get(name) for row in X] for name in names])
    widths = {len(row) for row in X}
    if len(widths) > 1:
        raise ValueError(
            f"The rows of X have from {min(widths)} to {max(widths)} cells; every row must "
            "have one cell per column."
        )
    columns = [as_array(list(column)) for column in zip(*X, strict=True)]
    return Table(None, columns, len(X))


def _named(labels, columns, is_row=False):
    """Make a table of labelled columns; labels that are all numbers are not names."""
    names = [str(label) for label in labels]
    if len(set(names)) < len(names):
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        raise ValueError(f"X has more than one column {twice}; every name once was expected.")
    columns = [as_array(column() if callable(column) else column) for column in columns]
    lengths = {column.shape for column in columns}
    if len(lengths) > 1 or any(len(shape) != 1 for shape in lengths):
        raise ValueError("The columns of X have different lengths; one cell per row was expected.")
    plain = labels and not any(isinstance(label, str) for label in labels)
    return Table(None if plain else names, columns, len(columns[0]) if columns else 0, is_row)


def _is_cell(value):
    return isinstance(value, str | bytes) or not hasattr(value, "__len__")
