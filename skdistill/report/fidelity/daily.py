"""What a fraud desk finds in a day, as scores whose intervals resample whole days."""

import numpy as np

from skdistill.decisions.checks import check_k
from skdistill.decisions.metrics import found_cards_by_day, found_rows_by_day
from skdistill.decisions.payments import FEWEST_CLUSTERS
from skdistill.weighted_statistics import ratio, replicate

#: Every score that needs more than the columns of the rows, and which argument that is.
NEEDS = {
    "precision_at_k_per_day": "days",
    "recall_at_k_per_day": "days",
    "card_precision_at_k": "entities",
}


def check_daily_k(k, payments):
    """Return how many rows or cards of a day are looked at, None where neither are known.

    `k` is as it was passed; None for 100, or a tenth of what there is on the median day. On at
    least one day there must be as many.
    """
    if payments.day is None and payments.entity is None:
        return None
    day = _day(payments)
    unit = "rows"
    if payments.entity is not None:
        n_entities = payments.entity.max() + 1
        day, unit = np.unique(day * n_entities + payments.entity) // n_entities, "cards"
    if k is None:
        return max(1, min(100, int(np.median(np.bincount(day))) // 10))
    check_k(k, day, None, unit)
    return int(k)


def daily_scores(scores, positive, payments, k, weight, n_resamples, random_state):
    """Compute replicates of the scores of a day's top `k` rows or cards, by role and score.

    `scores` are the probabilities of the second class by role, `positive` is 1 for its rows, else
    0. Each array has shape (1 + n_resamples,); resamples are NaN if there are too few days to tell,
    and there are no scores without days and entities.
    """
    of_days = {}
    for role, score in scores.items():
        if payments.day is not None:
            found, looked_at, frauds = found_rows_by_day(positive, score, payments.day, k, weight)
            of_days[role, "precision_at_k_per_day"] = _share(found, looked_at)
            of_days[role, "recall_at_k_per_day"] = _share(found, frauds)
        if payments.entity is not None:
            found, looked_at = found_cards_by_day(
                positive, score, payments.entity, _day(payments), k, remove_found=True
            )
            of_days[role, "card_precision_at_k"] = _share(found, looked_at)
    replicates = {role: {} for role in scores}
    for (role, name), values in _means_of_days(of_days, n_resamples, random_state).items():
        replicates[role][name] = values
    return replicates


def _share(found, among):
    return np.round(ratio(found, among), 12)  # parts of ties do not add up exactly


def _day(payments):
    return np.zeros(payments.n_samples, dtype=int) if payments.day is None else payments.day


def _means_of_days(of_days, n_resamples, random_state):
    """Return replicates of the means of daily values, those without a value left out."""
    if not of_days:
        return {}
    n_days = len(next(iter(of_days.values())))
    sums = {name: np.nan_to_num(values) for name, values in of_days.items()}
    shares = {(*name, "known"): np.isfinite(values) for name, values in of_days.items()}
    means = replicate(sums | shares, {}, np.ones(n_days), n_resamples, random_state)
    found = {name: ratio(means[name], means[(*name, "known")]) for name in of_days}
    if n_days < FEWEST_CLUSTERS:
        for values in found.values():
            values[1:] = np.nan
    return found
