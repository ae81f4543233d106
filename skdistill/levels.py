"""When two categories are equal: one rule for students, scorers and exports.

Two categories are the same if they are the same text, or the same number: 1, 1.0 and True are. A
text and a number are the same if the text is the number as Python writes it: "1", "1.0" and "True"
are 1, "01" and "1e0" are not, and as texts "1" and "1.0" are two. NumPy is not needed.
"""

import warnings
from collections import Counter
from contextlib import contextmanager

from skdistill.messages import warn_caller

#: Names of the types of missing values that are neither None nor NaN.
MISSING_TYPES = ("NAType", "NaTType")

#: A column with an infrequent level is reported if at least this many cells are unknown, and all of
#: them. Others are reported if most cells are unknown; of fewer cells, if clearly most are.
MANY_CELLS, MOST, CLEARLY_MOST = 100, 1 / 2, 2 / 3

#: Categories that a message lists.
_SHOWN = 5


def level_numbers(levels):
    """Give every cell that equals a level of a column its number.

    Parameters
    ----------
    levels : sequence of (str, number, bool or None)
        All different; None stands for missing.

    Returns
    -------
    number_of : dict
        From a cell to the position of its level. The level itself comes before one that only is
        written like it.
    """
    number_of = {level: k for k, level in enumerate(levels)}
    for k, level in enumerate(levels):
        for same in _same_as(level):
            number_of.setdefault(same, k)
    return number_of


def can_be_numbers(number_of):
    """Tell whether some number equals a level; see `level_numbers`."""
    return any(not isinstance(cell, str) and cell is not None for cell in number_of)


def is_missing(cell):
    """Tell whether a cell is None, NaN or a data frame's mark of a missing value."""
    if cell is None or type(cell).__name__ in MISSING_TYPES:
        return True
    try:
        return bool(cell != cell)  # NaN, of any type
    except (TypeError, ValueError):
        return False


def warn_of_unknown_levels(columns):
    """Warn if most cells of a column are at no level.

    Parameters
    ----------
    columns : iterable of tuple (str, sequence, sequence, bool)
        Per column of categories its name, its cells, its levels, and whether it has an infrequent
        level, which may be right for most cells: then it is odd if all of many are unknown.
    """
    told = [told for column in columns if (told := _mostly_unknown(*column))]
    if told:
        warn_caller(
            f"Most categories are unknown to the student. {' '.join(told)} Unknown categories are "
            "scored alike, as rare or missing ones. Pass the categories that it was fitted on."
        )


@contextmanager
def silent_about_unknown_levels():
    """Silence `warn_of_unknown_levels` for rows that the user did not choose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Most categories are unknown to the student")
        yield


def _same_as(level):
    """List what else equals a level: the texts of a number, or the number of a text."""
    if isinstance(level, str):
        return _number_written(level)
    return () if level is None else _writings(level)


def _writings(number):
    """List the texts of a number: its own, and as an integer and as a float."""
    try:
        whole = [str(int(number))] if number == int(number) else []
        return [str(number), *whole, repr(float(number))]
    except (OverflowError, TypeError, ValueError):
        return [str(number)]


def _number_written(text):
    """Return the number that a text stands for in a list; an empty list if there is none."""
    if text in ("True", "False"):
        return [text == "True"]
    if not text[-1:].isdigit():
        return []
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if text in _writings(number):
            return [number]
    return []


def _mostly_unknown(name, cells, levels, has_infrequent):
    """Describe the column if most of its cells are at no level; else an empty text."""
    known = [level for level in levels if level is not None]
    if not known or all(map(is_missing, set(cells).difference(known))):
        return ""
    number_of = level_numbers(known)
    counts = {cell: n for cell, n in Counter(cells).items() if not is_missing(cell)}
    unknown = [cell for cell in counts if cell not in number_of]
    n_cells, n_unknown = sum(counts.values()), sum(counts[cell] for cell in unknown)
    if has_infrequent and (n_unknown < n_cells or n_cells < MANY_CELLS):
        return ""
    are_expected = n_cells * (CLEARLY_MOST if n_cells < MANY_CELLS else MOST)
    if n_unknown <= max(are_expected, 1):  # a new category now and then is to be expected
        return ""
    return (
        f"Column {name!r}: {n_unknown:,} of {n_cells:,} cells ({n_unknown / n_cells:.0%}) are none "
        f"of its {len(known)} levels {_some(known)}; they are {_some(unknown)}."
    )


def _some(categories):
    shown = ", ".join(repr(category) for category in categories[:_SHOWN])
    return f"{shown}, ..." if len(categories) > _SHOWN else shown
