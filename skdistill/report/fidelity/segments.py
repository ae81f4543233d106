"""Where the student follows the teacher least: levels and quantile bins of every column."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import norm

from skdistill.columns import column_values, is_missing, is_nominal
from skdistill.weighted_statistics import Estimate, mean_and_error

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
    counts = rows.sample_weight > 0
    found = [
        (name, condition, mask & counts)
        for j, name in enumerate(names)
        for condition, mask in _parts(column_values(X, j), name, n_bins)
        if min_samples <= (mask & counts).sum() and not (mask | ~counts).all()
    ]
    segments = [_compare(*part, rows, confidence, len(found)) for part in found]
    return tuple(sorted(segments, key=lambda segment: -segment.divergence))


def _parts(values, name, n_bins):
    """Yield a condition and a mask for each part of a column."""
    missing = is_missing(values)
    if is_nominal(values):
        levels, counts = np.unique(values[~missing].astype(str), return_counts=True)
        text = np.where(missing, None, values.astype(str))
        for level in levels[np.argsort(-counts, kind="stable")][:MOST_LEVELS]:
            yield f"{name} = {level}", text == level
    else:
        yield from _bins(values, ~missing, name, n_bins)
    if missing.any():
        yield f"{name} is missing", missing


def _bins(values, known, name, n_bins):
    """Yield quantile bins of a numeric column, or its distinct values if there are few."""
    distinct = np.unique(values[known])
    if len(distinct) <= n_bins:
        for value in distinct:
            yield f"{name} = {_six_digits(value)}", known & (values == value)
        return
    inner = np.quantile(values[known], np.linspace(0, 1, n_bins + 1)[1:-1])
    edges = np.unique(np.append(-np.inf, inner))
    edges = np.append(edges[edges < distinct[-1]], np.inf)
    for low, high in pairwise(edges):
        mask = known & (values > low) & (values <= high)
        yield _interval(name, low, high), mask


def _interval(name, low, high):
    if np.isinf(low):
        return f"{name} ≤ {_six_digits(high)}"
    if np.isinf(high):
        return f"{name} > {_six_digits(low)}"
    return f"{_six_digits(low)} < {name} ≤ {_six_digits(high)}"


def _six_digits(value):
    """Write a number with six digits, and without an exponent however large it is."""
    return np.format_float_positional(value + 0.0, precision=6, fractional=False, trim="-")


def _compare(name, condition, mask, rows, confidence, n_segments):
    weight = rows.sample_weight[mask]

    def mean(values):
        return None if values is None else float(np.average(values[mask], weights=weight))

    difference, worse = None, None
    if rows.teacher_loss is not None:
        tail = (1 - confidence) / 2
        gap, error = mean_and_error(rows.student_loss[mask] - rows.teacher_loss[mask], weight)
        difference = Estimate(gap, gap - norm.isf(tail) * error, gap + norm.isf(tail) * error)
        material = MATERIAL_SHARE * np.average(rows.teacher_loss, weights=rows.sample_weight)
        worse = bool(gap > max(material, norm.isf(tail / n_segments) * error))
    return Segment(
        column=name,
        condition=condition,
        n_samples=int(mask.sum()),
        divergence=mean(rows.divergence),
        agreement=mean(rows.agreement),
        teacher_loss=mean(rows.teacher_loss),
        student_loss=mean(rows.student_loss),
        loss_difference=difference,
        student_is_worse=worse,
    )
