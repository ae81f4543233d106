"""Where the student follows the teacher least: levels and quantile bins of every column."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.stats import norm

from skdistill.columns import column_values, is_missing, is_nominal
from skdistill.weighted_statistics import Estimate

#: Levels of a nominal column that are looked at, the most frequent ones.
MOST_LEVELS = 30

#: A difference of losses counts if it is more than this share of the teacher's loss on all rows.
MATERIAL_SHARE = 0.1


@dataclass(frozen=True)
class Segment:
    """Rows that have a level, or lie in a bin, of one column.

    Attributes
    ----------
    column : str
        Name of the column.
    condition : str
        Which rows belong to it, such as ``amount > 120`` or ``city = Graz``.
    n_samples : int
        Number of rows.
    divergence : float
        Mean Kullback-Leibler divergence of the student from the teacher; mean absolute
        difference of predictions in regression.
    agreement : float or None
        Share of rows with the same most probable class; None in regression.
    teacher_loss, student_loss : float or None
        Mean log loss, or squared error; None without y.
    loss_difference : Estimate or None
        Student's loss minus teacher's, with the interval of a normal distribution.
    student_is_worse : bool or None
        Whether the student's loss is larger by more than `MATERIAL_SHARE` of the teacher's loss on
        all rows, and certainly larger for the number of segments looked at (Bonferroni).
    """

    column: str
    condition: str
    n_samples: int
    divergence: float
    agreement: float | None
    teacher_loss: float | None
    student_loss: float | None
    loss_difference: Estimate | None
    student_is_worse: bool | None


@dataclass(frozen=True)
class RowValues:
    """What is averaged over the rows of a segment; each of shape (n_samples,), or None."""

    divergence: np.ndarray
    agreement: np.ndarray | None
    teacher_loss: np.ndarray | None
    student_loss: np.ndarray | None
    sample_weight: np.ndarray


def find_segments(X, names, rows, *, n_bins, min_samples, confidence):
    """Compare teacher and student on every level and quantile bin of every column.

    `rows` are the `RowValues` of the models. Segments with fewer than `min_samples` rows, those
    without weight not counted, are left out; the largest divergence is first.
    """
    found = []
    for j, name in enumerate(names):
        conditions, part = _parts(column_values(X, j), name, n_bins)
        found += _segments_of(name, conditions, part, rows, min_samples)
    if rows.teacher_loss is None:
        segments = [segment for segment, _, _ in found]
    else:
        tail = (1 - confidence) / 2
        reach = norm.isf(tail), norm.isf(tail / max(len(found), 1))
        material = MATERIAL_SHARE * np.average(rows.teacher_loss, weights=rows.sample_weight)
        segments = [_judged(*each, reach, material) for each in found]
    return tuple(sorted(segments, key=lambda segment: -segment.divergence))


def _parts(values, name, n_bins):
    """Return the conditions of the parts of a column, and the part of every row, or -1."""
    missing = is_missing(values)
    part = np.full(len(values), -1)
    if is_nominal(values):
        levels, inverse, counts = np.unique(
            values[~missing].astype(str), return_inverse=True, return_counts=True
        )
        shown = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
        place = np.full(len(levels), -1)
        place[shown] = np.arange(len(shown))
        part[~missing] = place[inverse]
        conditions = [f"{name} = {level}" for level in levels[shown]]
    else:
        conditions, part[~missing] = _bins(values[~missing], name, n_bins)
    if missing.any():
        part[missing] = len(conditions)
        conditions.append(f"{name} is missing")
    return conditions, part


def _bins(values, name, n_bins):
    """Return quantile bins of known numbers, or their distinct values if there are few.

    These are conditions, and the bin of every number.
    """
    distinct = np.unique(values)
    if len(distinct) <= n_bins:
        conditions = [f"{name} = {_six_digits(value)}" for value in distinct]
        return conditions, np.searchsorted(distinct, values)
    inner = np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1])
    inner = np.unique(inner)
    inner = inner[inner < distinct[-1]]
    edges = [-np.inf, *inner, np.inf]
    return [_interval(name, low, high) for low, high in pairwise(edges)], np.searchsorted(
        inner, values
    )


def _segments_of(name, conditions, part, rows, min_samples):
    """Return the segments of a column, each with the gap of losses and its standard error."""
    n_parts, counts = len(conditions), rows.sample_weight > 0
    cell = np.where(counts, part, -1) + 1  # 0 are the rows of no part

    def sums(values):
        return np.bincount(cell, values, n_parts + 1)[1:]

    sizes = sums(None)
    used = (sizes >= min_samples) & (sizes < counts.sum())
    if not used.any():
        return []
    weight = rows.sample_weight
    mass = np.where(used, sums(weight), 1.0)

    def means(values):
        return [None] * n_parts if values is None else (sums(weight * values) / mass).tolist()

    gap = error = np.zeros(n_parts)
    if rows.teacher_loss is not None:
        difference = rows.student_loss - rows.teacher_loss
        gap = sums(weight * difference) / mass
        error = np.sqrt(sums((weight * (difference - np.append(0.0, gap)[cell])) ** 2)) / mass
    averages = map(means, (rows.divergence, rows.agreement, rows.teacher_loss, rows.student_loss))
    parts = zip(conditions, sizes.tolist(), *averages, strict=True)
    segments = [Segment(name, *each, None, None) for each in parts]
    return [(segments[k], float(gap[k]), float(error[k])) for k in np.flatnonzero(used)]


def _judged(segment, gap, error, reach, material):
    """Say of a segment how certain the gap of losses is, and whether the student is worse."""
    one, of_all = (each * error for each in reach)
    return replace(
        segment,
        loss_difference=Estimate(gap, gap - one, gap + one),
        student_is_worse=bool(gap > max(material, of_all)),
    )


def _interval(name, low, high):
    if np.isinf(low):
        return f"{name} ≤ {_six_digits(high)}"
    if np.isinf(high):
        return f"{name} > {_six_digits(low)}"
    return f"{_six_digits(low)} < {name} ≤ {_six_digits(high)}"


def _six_digits(value):
    """Write a number with six digits, and without an exponent however large it is."""
    return np.format_float_positional(value + 0.0, precision=6, fractional=False, trim="-")
