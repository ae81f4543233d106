"""Metrics of a fraud desk: recall at a false-positive rate, precision at k a day."""

from numbers import Integral, Real

import numpy as np

from skdistill.decisions.checks import (
    check_days,
    check_entities,
    check_k,
    check_ranked,
    rows_by_day,
)
from skdistill.parameters import Interval, validate_params
from skdistill.weighted_statistics import Ranking, ratio, recall_at

__all__ = [
    "card_precision_at_k",
    "found_cards_by_day",
    "found_rows_by_day",
    "precision_at_k",
    "recall_at_fpr",
    "recall_at_k",
]

_ROWS = {
    "y_true": ["array-like"],
    "y_score": ["array-like"],
    "days": ["array-like", None],
    "pos_label": [Real, str, "boolean", None],
    "sample_weight": ["array-like", None],
}
_K = {"k": [Interval(Integral, 1, None, closed="left")]}


@validate_params(
    {
        **{name: _ROWS[name] for name in ("y_true", "y_score", "pos_label", "sample_weight")},
        "fpr": [Interval(Real, 0.0, 1.0, closed="left")],
    }
)
def recall_at_fpr(y_true, y_score, *, fpr=0.01, pos_label=None, sample_weight=None):
    """Share of the frauds that are found while few legitimate rows raise an alarm.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed classes, two of them.
    y_score : array-like of shape (n_samples,)
        Probabilities of fraud, or other scores that are higher for it.
    fpr : float, default=0.01
        Share of the legitimate rows that may be flagged.
    pos_label : int, float, bool, str or None, default=None
        The class that is fraud; None for 1, if the classes are {0, 1} or {-1, 1}.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative weights.

    Returns
    -------
    recall : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If there is one class only, more than two, scores are NaN, or shapes differ.

    See Also
    --------
    sklearn.metrics.average_precision_score : All alarm rates in one number.
    fraud_scorer : The same for searches.

    Notes
    -----
    The largest recall of all thresholds at which no more than this share of the legitimate rows is
    flagged: a step of the ROC curve, without interpolation. Rows of equal score are flagged
    together.

    Examples
    --------
    With one false alarm in four allowed, both frauds are found; with none, one of them:

    >>> from skdistill.decisions import recall_at_fpr
    >>> fraud, score = [0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.6, 0.5, 0.9]
    >>> recall_at_fpr(fraud, score, fpr=0.25), recall_at_fpr(fraud, score, fpr=0.0)
    (1.0, 0.5)
    """
    positive, score, weight = check_ranked(y_true, y_score, pos_label, sample_weight)
    return float(recall_at(fpr, *Ranking.of(score).tallies(positive, weight)))


@validate_params({**_ROWS, **_K})
def precision_at_k(y_true, y_score, *, k, days=None, pos_label=None, sample_weight=None):
    """Share of frauds among the k rows of a day that score highest, the mean over the days.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed classes, two of them.
    y_score : array-like of shape (n_samples,)
        Probabilities of fraud, or other scores that are higher for it.
    k : int
        Number of rows that are looked at in a day, such as the alerts a fraud desk handles.
    days : array-like of shape (n_samples,) or None, default=None
        The day of each row: whole numbers, dates or date-times. None takes all rows for one day.
    pos_label : int, float, bool, str or None, default=None
        The class that is fraud; None for 1, if the classes are {0, 1} or {-1, 1}.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative weights: the number of rows that each represents, also among the k.

    Returns
    -------
    precision : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If no day has k rows, days are missing or have no order, there is one class only, scores
        are NaN, or shapes differ.

    Notes
    -----
    ``P@k(d) = (frauds among the top k of day d) / k``, and then the mean over all days, those
    without any fraud included. Rows tied at the k-th place count in equal parts. A day with
    fewer than k rows is divided by as many as it has: the desk looks at all of them.

    References
    ----------
    Le Borgne, Siblini, Lebichot and Bontempi, "Reproducible Machine Learning for Credit Card Fraud
    Detection - Practical Handbook", 2022, ch. 4.4,
    https://fraud-detection-handbook.github.io/fraud-detection-handbook/.

    Dal Pozzolo et al., "Learned lessons in credit card fraud detection from a practitioner
    perspective", Expert Systems with Applications 41 (2014), doi:10.1016/j.eswa.2014.02.026.

    Examples
    --------
    Two alerts a day: one of two is a fraud on the first day, both on the second:

    >>> from skdistill.decisions import precision_at_k
    >>> fraud = [1, 0, 0, 1, 1, 0]
    >>> score = [0.9, 0.8, 0.1, 0.7, 0.6, 0.2]
    >>> precision_at_k(fraud, score, k=2, days=[1, 1, 1, 2, 2, 2])
    0.75
    """
    found, looked_at, _ = _found(y_true, y_score, k, days, pos_label, sample_weight)
    return float(np.nanmean(ratio(found, looked_at)))


@validate_params({**_ROWS, **_K})
def recall_at_k(y_true, y_score, *, k, days=None, pos_label=None, sample_weight=None):
    """Share of a day's frauds that are among the k rows that score highest, the mean over the days.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed classes, two of them.
    y_score : array-like of shape (n_samples,)
        Probabilities of fraud, or other scores that are higher for it.
    k : int
        Number of rows that are looked at in a day, such as the alerts a fraud desk handles.
    days : array-like of shape (n_samples,) or None, default=None
        The day of each row: whole numbers, dates or date-times. None takes all rows for one day.
    pos_label : int, float, bool, str or None, default=None
        The class that is fraud; None for 1, if the classes are {0, 1} or {-1, 1}.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative weights: the number of rows that each represents, also among the k.

    Returns
    -------
    recall : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If no day has k rows, days are missing or have no order, there is one class only, scores
        are NaN, or shapes differ.

    Notes
    -----
    ``R@k(d) = (frauds among the top k of day d) / (frauds of day d)``, and then the mean over the
    days that have any fraud. Rows tied at the k-th place count in equal parts.

    Examples
    --------
    With one alert a day, the only fraud of the first day is found and one of two of the second:

    >>> from skdistill.decisions import recall_at_k
    >>> fraud = [1, 0, 0, 1, 1, 0]
    >>> score = [0.9, 0.8, 0.1, 0.7, 0.6, 0.2]
    >>> recall_at_k(fraud, score, k=1, days=[1, 1, 1, 2, 2, 2])
    0.75
    """
    found, _, frauds = _found(y_true, y_score, k, days, pos_label, sample_weight)
    return float(np.nanmean(ratio(found, frauds)))


@validate_params(
    {
        **{name: _ROWS[name] for name in ("y_true", "y_score", "days", "pos_label")},
        **_K,
        "groups": ["array-like"],
        "remove_found": ["boolean"],
    }
)
def card_precision_at_k(
    y_true, y_score, groups, *, k, days=None, remove_found=True, pos_label=None
):
    """Share of compromised cards among the k cards of a day that score highest, the mean over days.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed classes of the transactions, two of them.
    y_score : array-like of shape (n_samples,)
        Probabilities of fraud, or other scores that are higher for it.
    groups : array-like of shape (n_samples,)
        The card, customer or other entity of each row.
    k : int
        Number of cards that are looked at in a day.
    days : array-like of shape (n_samples,) or None, default=None
        The day of each row: whole numbers, dates or date-times. None takes all rows for one day.
    remove_found : bool, default=True
        Whether a compromised card that was found is left out on the days after: it is blocked.
    pos_label : int, float, bool, str or None, default=None
        The class that is fraud; None for 1, if the classes are {0, 1} or {-1, 1}.

    Returns
    -------
    precision : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If no day has k cards, days or groups are missing for some rows, days have no order, there
        is one class only, scores are NaN, or shapes differ.

    Notes
    -----
    On day d, a card's score is the highest of its rows of that day, and it is compromised if any
    of them is a fraud. ``CP@k(d) = (compromised cards among the top k of day d) / k``, and then the
    mean over all days. With `remove_found`, the compromised cards among the top k of earlier days
    are no cards of day d any more: an investigator has to find something new each day. Cards tied
    at the k-th place count in equal parts, and are left out in that part. A day with fewer than
    k cards is divided by as many as it has.

    References
    ----------
    Le Borgne, Siblini, Lebichot and Bontempi, "Reproducible Machine Learning for Credit Card Fraud
    Detection - Practical Handbook", 2022, ch. 4.4,
    https://fraud-detection-handbook.github.io/fraud-detection-handbook/.

    Dal Pozzolo et al., "Credit Card Fraud Detection: A Realistic Modeling and a Novel Learning
    Strategy", IEEE Transactions on Neural Networks and Learning Systems 29 (2018),
    doi:10.1109/TNNLS.2017.2736643.

    Examples
    --------
    Card "a" is found on the first day, so that on the second, "b" is looked at:

    >>> from skdistill.decisions import card_precision_at_k
    >>> fraud, score = [1, 0, 1, 0], [0.9, 0.2, 0.8, 0.3]
    >>> cards, days = ["a", "b", "a", "b"], [1, 1, 2, 2]
    >>> card_precision_at_k(fraud, score, cards, k=1, days=days)
    0.5
    >>> card_precision_at_k(fraud, score, cards, k=1, days=days, remove_found=False)
    1.0
    """
    positive, score, _ = check_ranked(y_true, y_score, pos_label, None)
    entity = check_entities(groups, len(score))
    day = _days_or_one(days, len(score))
    n_entities = entity.max() + 1
    check_k(k, np.unique(day * n_entities + entity) // n_entities, None, "cards")
    found, looked_at = found_cards_by_day(positive, score, entity, day, k, remove_found)
    return float(np.nanmean(ratio(found, looked_at)))


def found_rows_by_day(positive, score, day_of_row, k, weight):
    """Count what is found among the k highest rows of each day.

    Returned by day are the frauds within the top k, all rows within it, and all frauds, each
    weighted; `positive` is 1 for a fraud, else 0.
    """
    counts = []
    for rows in rows_by_day(day_of_row):
        within = Ranking.of(score[rows]).top(k, weight[rows])
        counts.append((within @ positive[rows], within.sum(), weight[rows] @ positive[rows]))
    return np.array(counts).T


def found_cards_by_day(positive, score, entity, day_of_row, k, remove_found):
    """Count the compromised cards among the k highest of each day, and all cards within it.

    `entity` and `day_of_row` are positions; with `remove_found`, cards found are left out on later
    days.
    """
    left = np.ones(entity.max() + 1)  # the part of a card that was not found yet
    counts = []
    for rows in rows_by_day(day_of_row):
        cards, card = np.unique(entity[rows], return_inverse=True)
        highest = np.full(len(cards), -np.inf)
        np.maximum.at(highest, card, score[rows])
        compromised = np.bincount(card, positive[rows]) > 0
        within = Ranking.of(highest).top(k, left[cards])
        counts.append((within @ compromised, within.sum()))
        if remove_found:
            left[cards] -= within * compromised
    return np.array(counts).T


def _found(y_true, y_score, k, days, pos_label, sample_weight):
    positive, score, weight = check_ranked(y_true, y_score, pos_label, sample_weight)
    day = _days_or_one(days, len(score))
    check_k(k, day, weight)
    return found_rows_by_day(positive, score, day, k, weight)


def _days_or_one(days, n_samples):
    return np.zeros(n_samples, dtype=int) if days is None else check_days(days, n_samples)
