"""Rows of any container, column by column, with NumPy alone.

Unlike `skdistill.columns` it accepts tables with cells that cannot be read: monitors skip them.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from skdistill.scorer.cells import is_missing
from skdistill.scorer.tables import as_array, column_labels


@dataclass(frozen=True)
class Table:
    """Rows as columns.

    Attributes
    ----------
    names : list of str or None
        Names of the columns; None if they have none.
    columns : list of ndarray of shape (n_rows,)
        In the caller's types: numbers, strings or objects.
    n_rows : int
        Number of rows.
    is_row : bool
        Whether a single row was passed, not a table.
    """

    names: list | None
    columns: list
    n_rows: int
    is_row: bool = False


def read_table(X):
    """Read a table or a single row.

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


def as_numbers(values):
    """Read the cells of a column as numbers.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        A column in the caller's type.

    Returns
    -------
    numbers : ndarray of shape (n_readable,)
        Float64, NaN where missing.
    readable : ndarray of shape (n_rows,) and dtype bool, or None
        Which cells were numbers or missing; None if all.
    """
    if values.dtype.kind in "biuf":
        return values.astype(np.float64), None
    if values.dtype.kind in "Mm":  # NumPy would turn dates into nanoseconds
        missing = np.isnat(values)
        return np.full(missing.sum(), np.nan), None if missing.all() else missing
    numbers = [_as_number(cell) for cell in values.tolist()]
    readable = np.array([number is not None for number in numbers], dtype=bool)
    found = np.array([number for number in numbers if number is not None], dtype=np.float64)
    return found, None if readable.all() else readable


def holds_texts(values):
    """Tell whether a column holds strings."""
    if values.dtype.kind == "O":
        return any(isinstance(cell, str) for cell in values.tolist())
    return values.dtype.kind in "UST"


def _as_number(cell):
    """Return a cell as a float, NaN if it is missing, None if it is not a number."""
    if is_missing(cell):
        return np.nan
    if isinstance(cell, str | bytes):
        return None
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return None


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
