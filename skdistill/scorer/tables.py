"""A caller's table as float64 cells, with NumPy alone."""

import numpy as np

from skdistill.messages import shown


def table_columns(reader, X):
    """Find the columns of a table of any kind.

    Parameters
    ----------
    reader : CellReader
        Of the student's columns.
    X : ndarray of shape (n_samples, n_columns), data frame, dict of columns, or list of rows
        Raw cells. Frames and dicts are read by name, whatever their order.

    Returns
    -------
    columns : ndarray of shape (n_columns, n_samples), or list of array-like
        In the order of the reader's.

    Raises
    ------
    ValueError
        If columns are missing or unknown, or their number is wrong.
    TypeError
        If X is not a table.
    """
    if isinstance(X, np.ndarray):
        if X.ndim != 2 or X.shape[1] != reader.n_columns:
            raise ValueError(
                f"X has shape {X.shape}; (n_samples, {reader.n_columns}) was expected. One row is "
                "scored by scorer(row)."
            )
        return X.T
    if hasattr(X, "columns") or isinstance(X, dict):
        names = column_labels(X)
        if not all(isinstance(name, str) for name in names):  # not names
            return table_columns(reader, np.asarray(X))
        reader.check_names(names)
        return [X[name] for name in reader.names]
    if isinstance(X, str) or not hasattr(X, "__iter__") or hasattr(X, "fit"):
        raise TypeError(
            f"X is {shown(X)}; a table was expected: an array, a data frame, a dict of columns or "
            "a list of rows."
        )
    rows = [reader.in_order(row) for row in X]
    return list(zip(*rows, strict=True)) or [()] * reader.n_columns


def read_columns(reader, columns):
    """Read the cells of columns.

    Parameters
    ----------
    reader : CellReader
        Of the student's columns.
    columns : sequence of array-like of shape (n_samples,)
        One per column, in the order of the reader's.

    Returns
    -------
    table : ndarray of shape (n_samples, n_columns)
        Float64, NaN where missing, with the number of the level instead of a string.

    Raises
    ------
    TypeError
        If a cell is not of the expected type; the message names the column.
    ValueError
        If the columns have different lengths.
    """
    is_plain = isinstance(columns, np.ndarray) and not np.ma.isMaskedArray(columns)
    if is_plain and columns.dtype.kind in "biuf" and not reader.has_texts:
        return columns.T.astype(np.float64, copy=False)
    columns = [as_array(column) for column in columns]
    shapes = [column.shape for column in columns]
    if any(shape != (columns[0].size,) for shape in shapes):
        raise ValueError(
            f"The columns have the shapes {dict(zip(reader.names, shapes, strict=True))}; one cell "
            "per row was expected in each. One row is scored by scorer(row)."
        )
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


def _are_numbers(values):
    """Tell whether NumPy can convert a column as a whole, without a check of every cell."""
    if values.dtype != object:
        return values.dtype.kind in "biuf"
    return set(map(type, values.tolist())) <= {float, np.float64, bool, type(None)}


def as_array(column):
    """Return a column as an array, without turning anything into text."""
    if str(getattr(column, "type", "")).startswith("dictionary<"):
        column = column.to_pylist()  # pyarrow's own conversion to NumPy has a level for every null
    if np.ma.isMaskedArray(column):  # NumPy would show what is behind the mask
        return np.where(np.ma.getmaskarray(column), None, column.data.astype(object))
    if isinstance(column, list | tuple):  # NumPy would turn NaN among strings into "nan"
        return np.fromiter(column, dtype=object, count=len(column))
    return np.asarray(column)
