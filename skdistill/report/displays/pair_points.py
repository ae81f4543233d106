"""The table of a pair in, whole points per pair of bins out."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from skdistill.columns import column_values_as
from skdistill.report.displays.conditions import LevelCondition, NumberCondition
from skdistill.report.displays.curves import TIMES
from skdistill.report.displays.points import condition_text, cuts_after, merge_segments


@dataclass(frozen=True)
class PairPoints:
    """A two-way table of points.

    Attributes
    ----------
    conditions : tuple of tuple of (NumberCondition or LevelCondition)
        Those on the first column, one per row of the table, and those on the second one, one per
        column; every row of data fulfils exactly one of either.
    points : ndarray of shape (n_rows, n_columns), int
        What rows of data get.
    shares : ndarray of shape (n_rows, n_columns) or None
        Shares of the rows of X in the cells; None without X.
    """

    conditions: tuple
    points: np.ndarray
    shares: np.ndarray | None = None

    @property
    def names(self):
        """Names of the two columns."""
        return tuple(conditions[0].name for conditions in self.conditions)

    @property
    def name(self):
        """Name of the pair."""
        return TIMES.join(self.names)

    def texts(self, which, max_levels=None):
        """Put the conditions on one of the columns, 0 or 1, into words, without its name."""
        return [condition_text(condition, max_levels) for condition in self.conditions[which]]

    def of(self, X):
        """Look up the points of rows as the student takes them, of shape (n_samples,)."""
        row, column = (
            np.argmax([condition.holds(X) for condition in conditions], axis=0)
            for conditions in self.conditions
        )
        return self.points[row, column]

    def cells(self, max_levels=None):
        """List the cells as tuples of words, points and share."""
        (first, second), (a, b) = (self.texts(which, max_levels) for which in (0, 1)), self.names
        shares = np.full(self.points.shape, None) if self.shares is None else self.shares
        return [
            (f"{a}: {first[i]}; {b}: {second[j]}", int(self.points[i, j]), shares[i, j])
            for i, j in np.ndindex(self.points.shape)
        ]


@dataclass(frozen=True)
class _Axis:
    """One axis of a table in segments, which bins are made of.

    Attributes
    ----------
    column, name, encoding :
        The column, and the axis of the table.
    cuts : list of float or None
        Where segments of numbers end; None for categories.
    middle : ndarray of shape (n_segments, n_knots)
        Weights of the knots in the middle of every segment.
    n_ordered : int
        Number of segments that may be merged with their neighbours: not those after them, which are
        of missing numbers, nor those of categories.
    """

    column: int
    name: str
    encoding: object
    cuts: list | None
    middle: np.ndarray
    n_ordered: int

    @classmethod
    def of(cls, pair, which):
        column, name, encoding = pair.columns[which], pair.names[which], pair.axes[which]
        knots = np.eye(pair.values.shape[which])
        if encoding.edges is None:
            # What is at no level of the axis has its last row, or adds nothing.
            rest = [] if encoding.has_infrequent else [np.zeros(len(knots))]
            return cls(column, name, encoding, None, np.array([*knots, *rest]), 0)
        n_edges = len(encoding.edges)
        between = [(before + after) / 2 for before, after in pairwise(knots[:n_edges])]
        middle = np.array([knots[0], *between, *knots[n_edges:]])
        return cls(column, name, encoding, cuts_after(encoding.edges), middle, n_edges)

    def segments(self, values):
        """Return the number of the segment of every value."""
        if self.cuts is None:
            position = self.encoding.positions(values).astype(np.intp)
            return np.where(position < 0, len(self.middle) - 1, position)
        if self.encoding.fill_value is not None:
            values = np.where(np.isnan(values), self.encoding.fill_value, values)
        found = np.searchsorted(self.cuts, values)
        return np.where(np.isnan(values), len(self.middle) - 1, found)

    def conditions(self, groups, mention_missing):
        """Return the condition of every group of segments."""
        of = self._numbers if self.cuts is not None else self._levels
        return tuple(of(group, mention_missing) for group in groups)

    def _numbers(self, group, mention_missing):
        if group[0] >= self.n_ordered:
            return NumberCondition(self.column, self.name, low=np.inf, missing=True)
        ends = [-np.inf, *self.cuts, np.inf]
        low, high, fill_value = ends[group[0]], ends[group[-1] + 1], self.encoding.fill_value
        has_missing = fill_value is not None and low < fill_value <= high
        return NumberCondition(
            self.column, self.name, low, high, has_missing, mention_missing=mention_missing
        )

    def _levels(self, group, _):
        levels = self.encoding.levels
        here = tuple(levels[k] for k in group if k < len(levels))
        others = tuple(level for level in levels if level not in here)
        has_rest = len(levels) in group
        return LevelCondition(self.column, self.name, here, others, missing=has_rest)


def points_of_pair(pair, factor, n_bins, rows=None):
    """Turn a `Pair` into points: a table, of which each row of data is in exactly one cell.

    `factor` are the points per unit of log-odds. Columns of numbers get at most `n_bins` bins,
    which fit the table best, over the rows or over the middles of its cells. Levels, and
    neighbouring bins, are put together where all their points are equal.
    """
    axes = [_Axis.of(pair, which) for which in (0, 1)]
    added = axes[0].middle @ pair.values @ axes[1].middle.T
    sums = np.stack([np.ones_like(added), added, added**2])
    occurs = [False, False]
    if rows is not None:
        values = [_read(rows, pair, which) for which in (0, 1)]
        occurs = [_has_missing(of_column) for of_column in values]
        sums = _sums(axes, values, pair, added.shape)
    groups = [_bins(axes[0], sums, n_bins), _bins(axes[1], sums.swapaxes(1, 2), n_bins)]
    points = _points(groups, sums, added, factor)
    for which, axis in enumerate(axes):
        groups[which] = _merge_equal(axis, groups[which], points.swapaxes(0, which))
        points = _points(groups, sums, added, factor)
    conditions = tuple(
        axis.conditions(of_axis, mention)
        for axis, of_axis, mention in zip(axes, groups, occurs, strict=True)
    )
    shares = None if rows is None else _add_up(groups, sums[0]) / sums[0].sum()
    return PairPoints(conditions, points, shares)


def _read(rows, pair, which):
    levels, name = pair.encodings[which].levels, pair.names[which]
    return column_values_as(rows, pair.columns[which], levels=levels, name=name)


def _has_missing(values):
    return values.dtype != object and bool(np.isnan(values).any())


def _sums(axes, values, pair, shape):
    """Add up, per cell of segments, the rows, what the pair adds to them, and its squares."""
    first, second = (axis.segments(x) for axis, x in zip(axes, values, strict=True))
    cell = np.ravel_multi_index((first, second), shape)
    added = pair.at(*values)
    sums = [np.bincount(cell, added**power, minlength=np.prod(shape)) for power in range(3)]
    return np.reshape(sums, (3, *shape))


def _bins(axis, sums, n_bins):
    """Group the segments of an axis: those that have an order into bins."""
    n = axis.n_ordered
    starts = merge_segments(sums[:, :n], n_bins) if n else []
    bins = [list(range(*ends)) for ends in pairwise([*starts, n])] if n else []
    return [*bins, *([k] for k in range(n, len(axis.middle)))]


def _points(groups, sums, added, factor):
    """Round the mean over each cell of groups; without rows, that over the middles of segments."""
    weight, total, _ = (_add_up(groups, each) for each in sums)
    middle = _add_up(groups, added) / _add_up(groups, np.ones_like(added))
    mean = np.divide(total, weight, out=middle, where=weight > 0)
    return np.rint(factor * mean).astype(int)


def _add_up(groups, cells):
    """Add up cells over groups of their rows and of their columns."""
    by_row = np.stack([cells[group].sum(axis=0) for group in groups[0]])
    return np.stack([by_row[:, group].sum(axis=1) for group in groups[1]], axis=1)


def _merge_equal(axis, groups, points):
    """Join groups with equal points, one row each: of numbers neighbours only."""
    joined, of_joined = [], []
    for group, row in zip(groups, points.tolist(), strict=True):
        if axis.cuts is None:
            at = of_joined.index(row) if row in of_joined else None
        else:
            is_missing = group[0] >= axis.n_ordered
            at = len(joined) - 1 if joined and of_joined[-1] == row and not is_missing else None
        if at is None:
            joined.append(list(group))
            of_joined.append(row)
        else:
            joined[at] += group
    return joined
