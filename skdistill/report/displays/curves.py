"""The curves of an additive student, one per column, as one class or the regression sees them."""

from dataclasses import dataclass

import numpy as np

from skdistill.columns import column_values_as
from skdistill.report.plotting import rank_knots
from skdistill.students.encoding import ColumnEncoding, Encoding

#: Slices of the axis of a numeric column that rows are counted in.
N_SLICES = 40


@dataclass(frozen=True)
class Curve:
    """What one column adds to the prediction.

    Attributes
    ----------
    column : int
        Position of the column.
    name : str
        Name of the column.
    encoding : ColumnEncoding
        Where the knots are: at the bin edges of a numeric column, then at missing if that has a
        code; or at the levels of a nominal one.
    values : ndarray of shape (n_knots,)
        What the column adds at each knot, less the centre.
    centre : float
        The mean that was taken off, and is part of the intercept.
    importance : float
        Mean of the absolute values, over the rows of X or else over the knots.
    counts : ndarray or None, default=None
        Rows of X at each level, or in each of the `slices`, and as a last entry those that are
        missing or at an unknown level; None without X.
    """

    column: int
    name: str
    encoding: ColumnEncoding
    values: np.ndarray
    centre: float
    importance: float
    counts: np.ndarray | None = None

    @property
    def is_nominal(self):
        """Whether the column is nominal."""
        return self.encoding.edges is None

    @property
    def range(self):
        """Smallest and largest number at fit, or a longer range if they are nearly the same."""
        return _range(self.encoding)

    @property
    def slices(self):
        """Ends of the parts of the axis that rows are counted in; they look equally wide on it."""
        return _slices(self.encoding)

    @property
    def level_names(self):
        """What people read for each knot of a nominal column, and for a level without a knot."""
        other = "any other" if None in self.encoding.levels else "any other or missing"
        named = ["missing" if level is None else str(level) for level in self.encoding.levels]
        return [*named, *[other] * self.encoding.has_infrequent, other]

    @property
    def level_values(self):
        """What each knot of a nominal column adds, then what a level without a knot does."""
        return np.append(self.values, -self.centre)

    @property
    def missing(self):
        """What a missing number adds; None if it counts as the median."""
        return self.values[-1] if self.encoding.has_missing_code else None

    def at(self, values):
        """Look up what the column adds, in log-odds or the unit of the prediction.

        The values are as `column_values` returns them: float with NaN, or object with None, where
        missing.
        """
        return _look_up(self.encoding, self.values + self.centre, values) - self.centre


@dataclass(frozen=True)
class Additive:
    """An additive student as curves.

    Attributes
    ----------
    curves : tuple of Curve
        One per column, in the order of the columns.
    intercept : float
        What is added to their sum: the prediction on average.
    n_rows : int or None
        Number of rows that the curves are centred over; None if it is their knots.
    """

    curves: tuple
    intercept: float
    n_rows: int | None


def additive_curves(student, position, rows=None):
    """Split a fitted additive student into its curves, centred over rows or over their knots.

    Their sum and the intercept are the log-odds of the class at `position` against the geometric
    mean of the others, or the prediction.
    """
    contrast = _contrast(len(student.intercept_), position, getattr(student, "classes_", None))
    curves = tuple(
        _curve(student.encoding_, j, values @ contrast, rows)
        for j, values in enumerate(student.curves_)
    )
    intercept = float(student.intercept_ @ contrast) + sum(curve.centre for curve in curves)
    return Additive(curves, intercept, None if rows is None else rows.shape[0])


def _contrast(n_outputs, position, classes):
    """Weights of the outputs in the prediction: a class against the mean of the others."""
    if classes is None or len(classes) == 1:
        return np.ones(n_outputs)
    if n_outputs == 1:
        return np.array([1.0 if position == 1 else -1.0])
    return np.where(np.arange(n_outputs) == position, 1.0, -1.0 / (n_outputs - 1))


def _curve(encoding, j, values, rows):
    column, name = encoding.columns[j], encoding.names[j]
    counts = None
    if rows is None:
        added = values if column.edges is None else values[: len(column.edges)]
    else:
        x = column_values_as(rows, j, levels=column.levels, name=name)
        added, counts = _look_up(column, values, x), _counts(column, x)
    centre = added.mean()
    importance = float(np.abs(added - centre).mean())
    return Curve(j, name, column, values - centre, float(centre), importance, counts)


def _look_up(column, values, x):
    """Return the curve through some values at the knots, at x; 0 at unknown levels."""
    positions = column.positions(x).astype(np.float32)[:, None]
    return Encoding((column,), ("",)).sum_of_curves(positions, [values[:, None]])[:, 0]


def _counts(column, x):
    if column.edges is None:
        positions = column.positions(x).astype(int)
        unknown = column.n_levels
        return np.bincount(np.where(positions < 0, unknown, positions), minlength=unknown + 1)
    known = np.clip(x[~np.isnan(x)], column.edges[0], column.edges[-1])
    inner = _slices(column)[1:-1]
    counts = np.bincount(np.searchsorted(inner, known, side="right"), minlength=N_SLICES)
    return np.append(counts, len(x) - len(known))


def _slices(column):
    knots = rank_knots(column.edges)
    knots = _range(column) if knots is None else knots
    return np.interp(np.linspace(0, 1, N_SLICES + 1), np.linspace(0, 1, len(knots)), knots)


def _range(column):
    low, high = column.edges[0], column.edges[-1]
    finest = 2 * N_SLICES * np.spacing(max(abs(low), abs(high)))  # else slices have no width
    return low, low + max(high - low or 1.0, finest)
