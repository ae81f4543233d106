"""How closely the student follows the teacher: fidelity as statistics of the rows' weights."""

from functools import partial

import numpy as np
from scipy.stats import rankdata

from skdistill.soft_labels import js_of_rows, kl_of_rows, margins_from_proba
from skdistill.weighted_statistics import (
    Ranking,
    moments,
    ratio,
    totals,
    variance,
    weighted_correlation,
    weighted_quantiles,
)

#: Every measure and whether greater is better, by kind of task, in the order of reports.
_OF_CLASSES = {"agreement": True, "kl_divergence": False, "js_divergence": False}
_OF_DIFFERENCES = {
    "mean_difference": False,
    "p95_difference": False,
    "p99_difference": False,
    "max_difference": False,
}
_OF_RANKS = {"rank_correlation": True}
_OF_TOP_K = {"top_k_overlap": True, "top_k_rank_correlation": True}
_OF_MARGINS = {"margin_r2": True}
MEASURES = {
    "binary": _OF_CLASSES | _OF_DIFFERENCES | _OF_RANKS | _OF_TOP_K | _OF_MARGINS,
    "multiclass": _OF_CLASSES | _OF_DIFFERENCES | _OF_RANKS | _OF_MARGINS,
    "regression": _OF_DIFFERENCES | _OF_RANKS | _OF_TOP_K | _OF_MARGINS,
}

#: Shares of the rows whose differences `p95_difference` and the others do not fall below.
WORST = 0.95, 0.99, 1.0

#: Margins of probabilities below this share of the mean count as equal.
SMALLEST_SHARE = 0.01


def fidelity_statistics(teacher, student, kind, top_k):
    """Prepare the measures of fidelity from probabilities, or predictions in one column.

    Returned are the measures that are weighted means, as their value for every row, and the others
    as functions of the rows' weights, see `replicate`, some of which give several measures. `top_k`
    is the weight of the rows that count as the highest.
    """
    difference = differences_of_rows(teacher, student)
    means = {"mean_difference": difference}
    if kind != "regression":
        means["agreement"] = teacher.argmax(axis=1) == student.argmax(axis=1)
        means["kl_divergence"] = kl_of_rows(teacher, student)
        means["js_divergence"] = js_of_rows(teacher, student)
    columns = range(teacher.shape[1]) if kind == "multiclass" else [-1]
    ranks = [(rankdata(teacher[:, c]), rankdata(student[:, c])) for c in columns]
    statistics = {
        "worst": partial(_worst, difference, np.argsort(difference)),
        "rank_correlation": _mean_correlation(ranks),
        "margin_r2": _margin_r2(teacher, student),
    }
    if kind != "multiclass":
        statistics["top_k"] = _top_k(teacher[:, -1], student[:, -1], top_k)
    return means, statistics


def fidelity_measures(replicates, kind):
    """Turn replicates of `fidelity_statistics` into one array of replicates per measure."""
    found = dict(replicates)
    worst = ("p95_difference", "p99_difference", "max_difference")
    found.update(zip(worst, found["worst"].T, strict=True))
    if kind != "multiclass":
        found["top_k_overlap"], found["top_k_rank_correlation"] = found["top_k"].T
    return {name: found[name] for name in MEASURES[kind]}


def differences_of_rows(teacher, student):
    """Distance of the predictions to every row, of shape (n_samples,).

    Total variation distance of probabilities (half the summed absolute differences; with two
    classes the absolute difference of either), absolute difference of predictions.
    """
    share = 1.0 if teacher.shape[1] == 1 else 0.5
    return share * np.abs(teacher - student).sum(axis=1)


def threshold_statistics(teacher, student, thresholds):
    """Return whether both decide the same, and whether each decides "yes", by threshold."""
    rows = {}
    for threshold in thresholds:
        yes = teacher[:, 1] >= threshold, student[:, 1] >= threshold
        rows[f"alike at {threshold}"] = yes[0] == yes[1]
        rows[f"teacher at {threshold}"], rows[f"student at {threshold}"] = yes
    return rows


def agreement_by_class(counts):
    """Turn replicates of `confusion` of teacher and student into shares per class.

    Returned, each of shape (n_replicates, n_classes), are the shares of rows that the teacher and
    the student give the class, and the share of the teacher's that are the student's.
    """
    by_teacher, by_student = counts.sum(axis=2), counts.sum(axis=1)
    return by_teacher, by_student, ratio(np.einsum("bkk->bk", counts), by_teacher)


def _worst(differences, order, weights):
    """Return what `WORST` of the weight do not exceed, from the rows with the largest differences.

    `order` is ``np.argsort(differences)``; all rows are looked at where those few do not weigh
    enough.
    """
    few = order[-(int(3 * (1 - WORST[0]) * len(order)) + 100) :]
    total, below = totals(weights), np.cumsum(weights[few], axis=0)
    below += total - below[-1]
    found = []
    for j in range(weights.shape[1]):
        if below[0, j] < WORST[0] * total[j] * (1 - 1e-9):
            at = np.searchsorted(below[:, j], np.multiply(WORST, total[j]) * (1 - 1e-12))
            found.append(differences[few[np.minimum(at, len(few) - 1)]])
        else:
            found.append(weighted_quantiles(differences, order, WORST, weights[:, j]))
    return np.array(found)


def _mean_correlation(pairs):
    """Make the statistic of the mean correlation of pairs of values, each (n_samples,)."""
    values = [_standardised(each) for pair in pairs for each in pair]
    rows = [row for x, y in zip(values[::2], values[1::2], strict=True) for row in _products(x, y)]
    rows = np.array(rows)

    def correlation(weights):
        x, y, xx, yy, xy = moments(rows, weights).reshape(-1, 5, weights.shape[1]).swapaxes(0, 1)
        spread = np.sqrt(variance(x, xx) * variance(y, yy))
        return ratio(xy - x * y, spread).mean(axis=0)

    return correlation


def _products(x, y):
    return x, y, x * x, y * y, x * y


def _standardised(values):
    """Shift and scale values so that sums of their squares keep their digits."""
    spread = values.std()
    return (values - values.mean()) / spread if np.ptp(values) > 0 else np.zeros(len(values))


def _margin_r2(teacher, student):
    """Share of the variance of the teacher's margins that the student's explain."""
    if teacher.shape[1] > 1:
        floor = np.maximum(SMALLEST_SHARE * teacher.mean(axis=0), 1e-12)
        teacher, student = (_centred(margins_from_proba(p, floor)) for p in (teacher, student))
    missed = np.sum((teacher - student) ** 2, axis=1)
    teacher = teacher - teacher.mean(axis=0)
    rows = np.column_stack([missed, np.sum(teacher**2, axis=1), teacher]).T

    def r2(weights):
        missed, squares, *mean = moments(rows, weights)
        return 1 - ratio(missed, variance(np.linalg.norm(mean, axis=0), squares))

    return r2


def _centred(margins):
    """Subtract from margins what the softmax does not see."""
    return margins - margins.mean(axis=1, keepdims=True)


def _top_k(teacher, student, top_k):
    """Overlap of the highest rows, and correlation of the ranks among the teacher's highest."""
    ranking, other = Ranking.of(teacher), Ranking.of(student)
    ranks = rankdata(teacher), rankdata(student)
    in_other = np.zeros(len(teacher))

    def overlap(weight):
        rows, within = ranking.top_rows(top_k, weight)
        others, their_weight = other.top_rows(top_k, weight)
        in_other[others] = their_weight
        shared = np.minimum(within, in_other[rows]).sum() / within.sum()
        in_other[others] = 0.0
        return shared, weighted_correlation(*(each[rows] for each in ranks), within)

    return lambda weights: np.array([overlap(weight) for weight in weights.T])
