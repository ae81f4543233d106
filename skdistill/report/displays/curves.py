"""The curves and tables of an additive student, as one class or the regression sees them."""

from dataclasses import dataclass

import numpy as np

from skdistill.columns import column_values_as, take_rows
from skdistill.report.plotting import rank_knots
from skdistill.students.encoding import ColumnEncoding, Encoding, knot_design

#: Slices of the axis of a numeric column that rows are counted in.
N_SLICES = 40

#: Rows of X that are drawn as points in the table of a pair.
SAMPLED_ROWS = 300

#: Joins the names of a pair.
TIMES = " \u00d7 "


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
        return range_of(self.encoding)

    @property
    def slices(self):
        """Ends of the parts of the axis that rows are counted in; they look equally wide on it."""
        return _slices(self.encoding)

    @property
    def level_names(self):
        """What people read for each knot of a nominal column, and for a level without a knot."""
        return _level_names(self.encoding)

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
class Pair:
    """What a pair of columns adds to the prediction, beyond the curves of both.

    Attributes
    ----------
    columns : tuple of int
        Positions of the two columns.
    names : tuple of str
        Their names.
    axes : tuple of ColumnEncoding
        Where the knots of the table are along either column, as those of a `Curve`.
    encodings : tuple of ColumnEncoding
        Where those of the two curves are, which have more of them.
    values : ndarray of shape (n_knots_a, n_knots_b)
        What the pair adds at every pair of knots.
    importance : float
        Mean of the absolute values, over the rows of X or else over the pairs of knots.
    sample : tuple of ndarray or None
        The values of both columns in some rows of X; None without X.
    """

    columns: tuple
    names: tuple
    axes: tuple
    encodings: tuple
    values: np.ndarray
    importance: float
    sample: tuple | None = None

    def level_names(self, which):
        """Return what people read for each knot of a nominal column, 0 or 1, and at no knot."""
        return _level_names(self.axes[which])

    def at(self, first, second):
        """Look up what the pair adds, in log-odds or the unit of the prediction.

        The values of the first and of the second column are as `column_values` returns them.
        """
        of_a, of_b = (
            knot_design(axis, axis.positions(values))
            for axis, values in zip(self.axes, (first, second), strict=True)
        )
        return of_b.multiply(of_a @ self.values).sum(axis=1)


@dataclass(frozen=True)
class Additive:
    """An additive student as curves and tables of pairs.

    Attributes
    ----------
    curves : tuple of Curve
        One per column, in the order of the columns.
    intercept : float
        What is added to the sum of curves and tables: the prediction on average.
    n_rows : int or None
        Number of rows that the curves are centred over; None if it is their knots.
    pairs : tuple of Pair
        The tables; often none.
    """

    curves: tuple
    intercept: float
    n_rows: int | None
    pairs: tuple = ()


def additive_curves(student, position, rows=None):
    """Split a fitted additive student into its curves, centred over rows or their knots, and pairs.

    Their sum and the intercept are the log-odds of the class at `position` against the geometric
    mean of the others, or the prediction.
    """
    contrast = contrast_of(len(student.intercept_), position, getattr(student, "classes_", None))
    curves = tuple(
        _curve(student.encoding_, j, values @ contrast, rows)
        for j, values in enumerate(student.curves_)
    )
    intercept = float(student.intercept_ @ contrast) + sum(curve.centre for curve in curves)
    pairs = tuple(_pair(student.encoding_, table, contrast, rows) for table in student.tables_)
    return Additive(curves, intercept, None if rows is None else rows.shape[0], pairs)


def contrast_of(n_outputs, position, classes):
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


def _pair(encoding, table, contrast, rows):
    values, sample = table.values @ contrast, None
    names, encodings = (
        tuple(of_all[j] for j in table.columns) for of_all in (encoding.names, encoding.columns)
    )
    if rows is None:
        importance = np.abs(values).mean()
    else:
        added = table.look_up(encoding, encoding.positions(rows, dtype=np.float64)) @ contrast
        importance = np.abs(added).mean()
        some = take_rows(rows, np.unique(np.linspace(0, len(added) - 1, SAMPLED_ROWS).astype(int)))
        sample = tuple(
            column_values_as(some, j, levels=encoding.columns[j].levels, name=encoding.names[j])
            for j in table.columns
        )
    return Pair(table.columns, names, table.axes, encodings, values, float(importance), sample)


def _level_names(encoding):
    """Return what people read for each knot of a nominal column, and for a level without a knot."""
    other = "any other" if None in encoding.levels else "any other or missing"
    named = ["missing" if level is None else str(level) for level in encoding.levels]
    return [*named, *[other] * encoding.has_infrequent, other]


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
    knots = range_of(column) if knots is None else knots
    return np.interp(np.linspace(0, 1, N_SLICES + 1), np.linspace(0, 1, len(knots)), knots)


def range_of(column):
    """Return smallest and largest number at fit, or a longer range if they are nearly the same."""
    low, high = column.edges[0], column.edges[-1]
    finest = 2 * N_SLICES * np.spacing(max(abs(low), abs(high)))  # else slices have no width
    return low, low + max(high - low or 1.0, finest)
