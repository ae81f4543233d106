"""Histogram bins of one column, chosen on reference rows."""

import numbers
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from skdistill.levels import level_numbers
from skdistill.scorer.cells import is_missing

#: Types of a cell among categories.
_CATEGORY = str | numbers.Real | np.bool_


@dataclass(frozen=True)
class Bins:
    """The bins of a histogram of one column.

    Attributes
    ----------
    name : str
        The column.
    edges : tuple of float or None
        Upper edges of all bins but the last; a bin includes its upper edge. None for categories.
    levels : tuple of (str, int, float or bool), or None
        The categories with a bin of their own; None for numbers.
    """

    name: str
    edges: tuple | None = None
    levels: tuple | None = None

    @property
    def n_cells(self):
        """Number of bins and missing; or of levels, other levels and missing."""
        return len(self.edges if self.levels is None else self.levels) + 2

    @property
    def labels(self):
        """A label for each bin."""
        if self.levels is not None:
            return [*map(repr, self.levels), "other", "missing"]
        if not self.edges:
            return ["any number", "missing"]
        ends = [f"{edge:.4g}" for edge in self.edges]
        between = [f"{low} to {high}" for low, high in pairwise(ends)]
        return [f"<= {ends[0]}", *between, f"> {ends[-1]}", "missing"]

    def count(self, values):
        """Count the cells of a column in each bin.

        Not counted are cells that are not a number where one is expected, or neither text nor a
        number among categories.
        """
        positions = self._of_numbers(values) if self.levels is None else self._of_levels(values)
        return np.bincount(positions, minlength=self.n_cells)

    def _of_numbers(self, values):
        numbers, _ = as_numbers(values)
        positions = np.searchsorted(self.edges, numbers, side="left")
        positions[np.isnan(numbers)] = self.n_cells - 1
        return positions

    def _of_levels(self, values):
        n_levels = len(self.levels)
        known = level_numbers(self.levels)
        positions = (_position(known, cell, n_levels) for cell in values.tolist())
        return np.array([each for each in positions if each is not None], dtype=np.int64)


def bins_of_column(name, values, n_bins, max_levels):
    """Choose the bins of a column on its reference rows.

    They are for categories if any cell is a string, else for numbers. Raises TypeError if it holds
    dates, or cells that are neither strings nor numbers.
    """
    if _holds_texts(values):
        common = Counter(_plain(cell) for cell in values.tolist() if _is_category(cell))
        levels = sorted(common, key=lambda level: (-common[level], str(level)))[:max_levels]
        return Bins(name, levels=tuple(levels))
    numbers, readable = as_numbers(values)
    if readable is not None:
        odd = values[~readable][0]
        raise TypeError(
            f"Column {name!r} of the reference holds {odd!r}, a {type(odd).__name__}; numbers, "
            "strings or missing values were expected. Turn dates into numbers, or leave them out."
        )
    return Bins(name, edges=equal_edges(numbers[np.isfinite(numbers)], n_bins))


def bins_of_score(name, scores, n_bins, threshold):
    """Choose the bins of a score, with an additional edge at the threshold if there is one."""
    edges = set(equal_edges(scores, n_bins))
    if threshold is not None:
        edges.add(edge_below(threshold))
    return Bins(name, edges=tuple(sorted(edges)))


def edge_below(threshold):
    """Return the bin edge between scores below a threshold and all others."""
    return float(np.nextafter(threshold, -np.inf))


def equal_edges(values, n_bins):
    """Divide finite values into at most `n_bins` bins with about equal numbers of rows.

    Edges are halfway between two values that occur, so that rounding to float32 does not move a
    value to another bin. A very frequent value, such as 0, has a bin of its own if that makes the
    bins more even. If there are few distinct values each has a bin, and so have values below and
    above all of them: a constant column may change later.
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) > n_bins:
        return tuple(_between(distinct, _even_ends(np.cumsum(counts), n_bins)))
    if len(distinct) == 0:
        return ()
    steps = np.diff(distinct) / 2 if len(distinct) > 1 else np.array([_rounding(distinct[0])])
    within = _between(distinct, np.arange(len(distinct) - 1))
    return (float(distinct[0] - steps[0]), *within, float(distinct[-1] + steps[-1]))


def _between(distinct, ends):
    """Return numbers halfway between values at these positions and the next ones."""
    low, high = distinct[ends], distinct[ends + 1]
    middle = low / 2 + high / 2
    return np.where(middle < high, middle, low).tolist()


def _rounding(value):
    """Return an upper bound of the rounding error of float32."""
    return 1e-6 * max(abs(value), 1e-6)


def _even_ends(rows_up_to, n_bins):
    """Return the last distinct value of every bin but the last, as positions."""
    ends, done, last = [], 0, -1
    for n_left in range(n_bins, 1, -1):
        target = done + (rows_up_to[-1] - done) / n_left
        last_one = np.searchsorted(rows_up_to, target)
        before = last_one - 1
        closer = before > last and target - rows_up_to[before] < rows_up_to[last_one] - target
        last = before if closer else last_one
        if last >= len(rows_up_to) - 1:
            break
        done = rows_up_to[last]
        ends.append(last)
    return np.array(ends, dtype=np.int64)


def _position(known, cell, n_levels):
    """Return the bin of a cell: its level, other or missing; None if it is not a category."""
    try:
        return known[cell]
    except (KeyError, TypeError):
        if is_missing(cell):
            return n_levels + 1
        return n_levels if isinstance(cell, _CATEGORY) else None


def _is_category(cell):
    """Tell whether a cell can be a level: text or a finite number."""
    return isinstance(cell, str) or (isinstance(cell, _CATEGORY) and np.isfinite(cell))


def _plain(cell):
    return cell.item() if isinstance(cell, np.generic) else cell


def as_numbers(values):
    """Read the cells of a column, in the caller's type, as numbers.

    Returns the readable ones as float64, NaN where missing, and an array of bool that says which
    cells were numbers or missing; None if all.
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


def _holds_texts(values):
    """Tell whether a column holds strings."""
    if values.dtype.kind == "O":
        return any(isinstance(cell, str) for cell in values.tolist())
    return values.dtype.kind in "UST"
