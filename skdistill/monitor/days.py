"""The days on which rows were scored."""

import numbers

import numpy as np

from skdistill.scorer.cells import is_missing


def day_of(value):
    """Return the day of a point in time: its number, or its date as YYYY-MM-DD; None if missing.

    It may be a number, whose fraction is dropped, a date with or without time, or a string in ISO
    8601. The date is taken as written: time zones are not converted. Raises ValueError for anything
    else.
    """
    if is_missing(value):
        return None
    if isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_):
        if not np.isfinite(value):
            raise ValueError(f"at is {value}; the finite number of a day was expected, or a date.")
        return int(value // 1)
    if hasattr(value, "date"):  # a datetime: NumPy would convert its time zone
        value = value.date()
    try:
        if not isinstance(value, bool | np.bool_):
            day = np.datetime64(str(value)[:10] if isinstance(value, str) else value, "D")
            return None if np.isnat(day) else str(day)
    except ValueError:
        pass
    raise ValueError(
        f"at is {value!r}, a {type(value).__name__}; a date, a datetime, an ISO date such as "
        "'2025-03-31' or the number of a day was expected."
    )


def days_of_rows(at, n_rows):
    """Group rows by the day they were scored on; `at` is one for all rows, or one per row.

    Returns a mask of the rows of every day, in chronological order; the last key, None, has rows
    without a day. Raises ValueError if the number of days is not that of the rows, or numbers and
    dates are mixed.
    """
    if isinstance(at, str) or np.ndim(at) == 0:
        return {day_of(at.item() if isinstance(at, np.ndarray) else at): np.ones(n_rows, bool)}
    is_polars = hasattr(at, "to_list") and not hasattr(at, "iloc")
    at = np.asarray(at.to_list() if is_polars else at)  # polars' own array is in UTC
    if at.shape != (n_rows,):
        raise ValueError(
            f"at has shape {at.shape}; one day for all rows was expected, or one for each of "
            f"{n_rows}. Nothing was counted."
        )
    if at.dtype.kind == "M":
        at = at.astype("datetime64[D]")
    cells = at.tolist()
    day_by_cell = {cell: day_of(cell) for cell in set(cells)}
    days = np.fromiter((day_by_cell[cell] for cell in cells), object, n_rows)
    known = {day for day in day_by_cell.values() if day is not None}
    check_one_kind(known)
    undated = [None] * (None in day_by_cell.values())
    return {day: np.equal(days, day).astype(bool) for day in [*sorted(known), *undated]}


def check_one_kind(days):
    """Raise ValueError if numbers of days and dates are mixed."""
    if len({type(day) for day in days}) > 1:
        shown = sorted(days, key=str)
        raise ValueError(
            f"The days are numbers and dates: {shown[0]!r} and {shown[-1]!r} cannot be put in "
            "order. Pass one or the other to every update. Nothing was counted."
        )
