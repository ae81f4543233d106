"""How closely the student follows the teacher: fidelity as statistics of the rows' weights."""

from functools import partial

import numpy as np
from scipy.stats import rankdata

from skdistill.soft_labels import js_of_rows, kl_of_rows, margins_from_proba
from skdistill.weighted_statistics import (
    Ranking,
    ratio,
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

#: Margins of probabilities below this share of the mean count as equal.
SMALLEST_SHARE = 0.01


def fidelity_statistics(teacher, student, kind, top_k):
    """Prepare the measures of fidelity from probabilities, or predictions in one column.

    Returned are the measures that are weighted means, as their value for every row, and the others
    as functions of the rows' weights, some of which give several measures. `top_k` is the weight of
    the rows that count as the highest.
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
        "worst": partial(weighted_quantiles, difference, np.argsort(difference), [0.95, 0.99, 1]),
        "rank_correlation": partial(_rank_correlation, ranks),
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


def _rank_correlation(ranks, weight):
    return np.mean([weighted_correlation(*pair, weight) for pair in ranks])


def _margin_r2(teacher, student):
    """Share of the variance of the teacher's margins that the student's explain."""
    if teacher.shape[1] > 1:
        floor = np.maximum(SMALLEST_SHARE * teacher.mean(axis=0), 1e-12)
        teacher, student = (_centred(margins_from_proba(p, floor)) for p in (teacher, student))
    missed = np.sum((teacher - student) ** 2, axis=1)

    def r2(weight):
        weight = weight / weight.sum()
        spread = weight @ np.sum((teacher - weight @ teacher) ** 2, axis=1)
        return 1 - weight @ missed / spread if spread > 0 else np.nan

    return r2


def _centred(margins):
    """Subtract from margins what the softmax does not see."""
    return margins - margins.mean(axis=1, keepdims=True)


def _top_k(teacher, student, top_k):
    """Overlap of the highest rows, and correlation of the ranks among the teacher's highest."""
    ranking, other = Ranking.of(teacher), Ranking.of(student)
    ranks = rankdata(teacher), rankdata(student)

    def overlap(weight):
        within, others = ranking.top(top_k, weight), other.top(top_k, weight)
        return np.minimum(within, others).sum() / within.sum(), weighted_correlation(*ranks, within)

    return overlap
