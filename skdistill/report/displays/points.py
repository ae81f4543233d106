"""A curve in, whole points per bin or level out."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from skdistill.report.displays.conditions import (
    LevelCondition,
    NumberCondition,
    levels_text,
    shortest_between,
)

#: Share of the distance to the next knot that a bin's end may lie beyond a knot, to be shorter.
LEEWAY = 1 / 8


@dataclass(frozen=True)
class Scaling:
    """How log-odds turn into points and back.

    Attributes
    ----------
    points_to_double_odds : float
        Points that double the odds.
    base_points : float
        Points of `base_odds`.
    base_odds : float
        Odds, of the class that points speak for.
    """

    points_to_double_odds: float
    base_points: float
    base_odds: float

    @property
    def factor(self):
        """Points per unit of log-odds."""
        return self.points_to_double_odds / np.log(2)

    @property
    def offset(self):
        """Points of even odds."""
        return self.base_points - self.factor * np.log(self.base_odds)

    def points(self, log_odds):
        """Turn log-odds into points, not rounded."""
        return self.offset + self.factor * log_odds

    def log_odds(self, points):
        """Turn points into log-odds."""
        return (points - self.offset) / self.factor


@dataclass(frozen=True)
class PointsRow:
    """One row of a table of points.

    Attributes
    ----------
    condition : NumberCondition or LevelCondition
        Which rows get the points; every row fulfils one condition per column.
    points : int
        What they get.
    share : float or None
        Share of the rows of X that get them; None without X.
    """

    condition: NumberCondition | LevelCondition
    points: int
    share: float | None = None

    @property
    def name(self):
        """Name of the column."""
        return self.condition.name

    def text(self, max_levels=None):
        """Put the condition into words, without the name of the column.

        At most `max_levels` levels are named, None for all; "any other" are those never seen or too
        rare.
        """
        return condition_text(self.condition, max_levels)


def condition_text(condition, max_levels=None):
    """Put a condition of a table of points into words, see `PointsRow.text`."""
    if isinstance(condition, NumberCondition):
        return condition.text(name="")
    words = [levels_text(condition.levels, max_levels)] if condition.levels else []
    if condition.missing:
        known = condition.levels + condition.others
        words.append("any other" if None in known else "any other or missing")
    return ", ".join(words)


def points_of_curve(curve, factor, n_bins, x=None):
    """Turn a curve into points: rows, of which each value of the column fulfils exactly one.

    `factor` are the points per unit of log-odds, negative if points speak against the class.
    Numbers get at most `n_bins` bins, which fit the column `x` best; None for its knots.
    """
    rows = _level_rows(curve, factor) if curve.is_nominal else _bin_rows(curve, factor, n_bins, x)
    if x is None:
        return rows
    return [replace(row, share=float(row.condition.holds_for(x).mean())) for row in rows]


def best_bins(values, segment, n_bins):
    """Merge neighbouring segments into bins whose means follow the values most closely.

    The number of the segment of each value is passed, from 0 and without gaps; the first segment of
    every bin, of which there are at most `n_bins`, is returned.
    """
    sums = np.stack([np.bincount(segment, values**power) for power in range(3)])
    return merge_segments(sums[:, :, None], n_bins)


def merge_segments(sums, n_bins):
    """Merge neighbouring segments into bins whose means follow the values in them most closely.

    `sums` of shape (3, n_segments, n_profiles) are those of the weights of all values, of the
    values and of their squares, side by side for profiles of which each has means of its own. The
    first segment of every bin, of which there are at most `n_bins`, is returned.

    Notes
    -----
    Dynamic programming finds the smallest sum of squared distances to the means of the bins.

    References
    ----------
    Bellman, "On the approximation of curves by line segments using dynamic programming",
    Communications of the ACM 4 (1961), doi:10.1145/366573.366611.
    """
    n_ends = sums.shape[1] + 1
    start, end = np.triu_indices(n_ends, 1)  # every bin there can be: start <= segment < end
    before = np.concatenate([np.zeros_like(sums[:, :1]), np.cumsum(sums, axis=1)], axis=1)
    weight, first, second = before[:, end] - before[:, start]
    mean = np.divide(first, weight, out=np.zeros_like(first), where=weight > 0)
    cost = np.full((n_ends, n_ends), np.inf)
    cost[start, end] = (second - mean * first).sum(axis=1)
    total, last_start = cost[0], []
    for _ in range(1, min(n_bins, n_ends - 1)):
        one_more = total[:, None] + cost
        last_start.append(one_more.argmin(axis=0))
        total = one_more.min(axis=0)
    starts, end = [], n_ends - 1
    for best in reversed(last_start):
        end = int(best[end])
        starts.append(end)
    return [0, *reversed(starts)]


def _bin_rows(curve, factor, n_bins, x):
    """Return the points of a numeric column: of its bins, then where it is missing."""
    edges, fill_value = curve.encoding.edges, curve.encoding.fill_value
    followed = _followed_values(curve, x)
    added = curve.at(followed)
    cuts = cuts_after(edges)
    occupied, segment = np.unique(np.searchsorted(cuts, followed), return_inverse=True)
    starts = best_bins(added, segment, n_bins)
    inner = [cuts[occupied[start] - 1] for start in starts[1:]]
    bin_of_row = np.searchsorted(starts, segment, side="right") - 1
    means = np.bincount(bin_of_row, added) / np.bincount(bin_of_row)
    rows = []
    for low, high, mean in zip([-np.inf, *inner], [*inner, np.inf], means, strict=True):
        points = round(factor * mean)
        if rows and rows[-1].points == points:
            low = rows.pop().condition.low
        condition = NumberCondition(
            curve.column,
            curve.name,
            low,
            high,
            missing=fill_value is not None and low < fill_value <= high,
            mention_missing=x is not None and bool(np.isnan(x).any()),
        )
        rows.append(PointsRow(condition, points))
    if curve.missing is not None:
        missing = NumberCondition(curve.column, curve.name, low=np.inf, missing=True)
        rows.append(PointsRow(missing, round(factor * curve.missing)))
    return rows


def cuts_after(edges):
    """Return where bins may end: at every edge but the last, or a little beyond it."""
    return [
        shortest_between(edge, edge + LEEWAY * (following - edge))
        for edge, following in pairwise(edges)
    ]


def _followed_values(curve, x):
    """Return the numbers that bins are to fit: those of the rows, or the knots if there are none.

    A missing one counts as the median, if the student has it so.
    """
    edges, fill_value = curve.encoding.edges, curve.encoding.fill_value
    if x is None:
        return edges
    known = x[~np.isnan(x)] if fill_value is None else np.where(np.isnan(x), fill_value, x)
    return known if len(known) else edges


def _level_rows(curve, factor):
    """Return the points of a nominal column, levels with equal ones together."""
    levels = curve.encoding.levels
    points = [round(factor * value) for value in curve.level_values]
    of_others = points[len(levels)]  # at the infrequent level, or at none
    rows = []
    for number in sorted({*points[: len(levels)], of_others}, reverse=True):
        here = tuple(level for level, p in zip(levels, points, strict=False) if p == number)
        elsewhere = tuple(level for level in levels if level not in here)
        condition = LevelCondition(
            curve.column, curve.name, here, elsewhere, missing=of_others == number
        )
        rows.append(PointsRow(condition, number))
    return rows
