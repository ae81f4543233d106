"""A caller's table, as one float64 per cell."""

import numpy as np


def read_table(reader, X):
    """Read the cells of a table of any kind.

    Parameters
    ----------
    reader : CellReader
        Knows the columns.
    X : ndarray of shape (n_samples, n_columns), data frame, dict of columns, or list of rows
        Raw cells. Frames and dicts are read by name, whatever their order.

    Returns
    -------
    table : ndarray of shape (n_samples, n_columns)
        Float64, NaN where missing, with the numbers of levels in the place of strings.

    Raises
    ------
    ValueError
        If columns are missing or unknown, or the width is another.
    TypeError
        If a cell is no number where one is expected, or no string; with the column's name.
    """
    if isinstance(X, np.ndarray):
        if X.ndim != 2 or X.shape[1] != reader.n_columns:
            raise ValueError(
                f"X has shape {X.shape}; (n_samples, {reader.n_columns}) was expected. One row is "
                "scored by scorer(row)."
            )
        if X.dtype.kind in "biuf" and not reader.has_texts:
            return X.astype(np.float64, copy=False)
        return read_columns(reader, X.T)
    if hasattr(X, "columns") or isinstance(X, dict):
        names = list(getattr(X, "columns", X))
        if not all(isinstance(name, str) for name in names):  # as good as none
            return read_table(reader, np.asarray(X))
        reader.check_names(names)
        return read_columns(reader, [X[name] for name in reader.names])
    rows = [reader.numbers(reader.cells(row)) for row in X]
    return np.array(rows, dtype=np.float64).reshape(-1, reader.n_columns)


def read_columns(reader, columns):
    """Read columns in the order of the reader's, see `read_table`.

    Parameters
    ----------
    reader : CellReader
        Knows the columns.
    columns : sequence of array-like of shape (n_samples,)
        One per column.

    Returns
    -------
    table : ndarray of shape (n_samples, n_columns)
        Float64.
    """
    columns = [_as_array(column) for column in columns]
    table = np.empty((len(columns[0]), len(columns)))
    for j, values in enumerate(columns):
        if values.dtype.kind in "Mm":
            raise TypeError(
                f"Column {reader.names[j]!r} holds dates or durations; turn them into numbers, as "
                "when the student was fitted."
            )
        if values.dtype.kind in "biuf" and not reader.has_text(j):
            table[:, j] = values
        else:
            table[:, j] = [reader.level_number(j, cell) for cell in values.tolist()]
    return table


def _as_array(column):
    if isinstance(column, list | tuple):  # NumPy would turn NaN among strings into "nan"
        return np.fromiter(column, dtype=object, count=len(column))
    return np.asarray(column)
