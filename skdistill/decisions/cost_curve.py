"""What approving, reviewing and declining cost, over how many rows can be reviewed."""

from numbers import Real

import numpy as np

from skdistill.decisions.bands import savings_of_reviews
from skdistill.decisions.checks import (
    check_both_classes,
    check_days,
    check_positives,
    check_probabilities,
    rows_by_day,
    warn_of_classes,
)
from skdistill.decisions.costs import REVIEW, DecisionCosts
from skdistill.parameters import validate_params
from skdistill.rows import check_weights

__all__ = ["review_cost_curve", "review_costs"]


@validate_params(
    {
        "y_true": ["array-like"],
        "y_proba": ["array-like"],
        "costs": [DecisionCosts],
        "amounts": ["array-like", None],
        "days": ["array-like", None],
        "pos_label": [Real, str, "boolean", None],
        "sample_weight": ["array-like", None],
    }
)
def review_cost_curve(
    y_true, y_proba, *, costs, amounts=None, days=None, pos_label=None, sample_weight=None
):
    """Compute what decisions cost, over how many rows can be reviewed.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed classes, two of them.
    y_proba : array-like of shape (n_samples,)
        Calibrated probabilities of fraud.
    costs : DecisionCosts
        What wrong decisions and reviews cost.
    amounts : array-like of shape (n_samples,) or None, default=None
        Amounts of the payments; needed if costs depend on them.
    days : array-like of shape (n_samples,) or None, default=None
        The day of each row: whole numbers, dates or date-times. None takes all rows together.
    pos_label : int, float, bool, str or None, default=None
        The class that is fraud; None for 1, if the classes are {0, 1} or {-1, 1}.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative weights: the number of rows that each represents.

    Returns
    -------
    capacity : ndarray of shape (n_points,)
        How many rows can be reviewed: with days their number per day, else a share of the rows.
        Ascending from 0 to where no review pays that was not made.
    cost : ndarray of shape (n_points,)
        What the decisions cost: with days per day, else per row.

    Raises
    ------
    ValueError
        If ``costs.review`` is None, `y_proba` are no probabilities, amounts are needed and not
        there, days are missing, or shapes differ.

    See Also
    --------
    CostCurveDisplay : Draws it for teacher and student.
    DecisionBands : Sets thresholds for one capacity.

    Notes
    -----
    Each day the rows are reviewed whose reviews are expected to save most, as far as the capacity
    goes and they save anything; the others are approved or declined, whichever is expected to cost
    less. So somebody waits for the end of the day: thresholds that are set in advance, as by
    `DecisionBands`, cost a little more. What is decided depends on the probabilities, what it costs
    on the observed classes. Expected savings fall along the curve, so it is convex where
    probabilities are calibrated, up to chance. Rows tied in their savings are reviewed in part, all
    alike.

    Examples
    --------
    Of four payments on one day, two are worth a review:

    >>> from skdistill.decisions import DecisionCosts, review_cost_curve
    >>> costs = DecisionCosts(missed_fraud=100, declined_legit=25, review=4)
    >>> fraud, probability = [0, 0, 1, 1], [0.01, 0.3, 0.15, 0.95]
    >>> capacity, cost = review_cost_curve(fraud, probability, costs=costs, days=[1, 1, 1, 1])
    >>> print(capacity, cost)
    [0. 1. 2.] [125. 104.   8.]
    """
    positive = check_positives(y_true, pos_label)
    probability = check_probabilities(y_proba, len(positive), "y_proba")
    warn_of_classes(probability, "y_proba")
    weight = check_weights(sample_weight, probability)
    check_both_classes(positive, weight)
    if costs.review is None:
        raise ValueError("costs.review is None: nothing is reviewed. Pass what a review costs.")
    day = None if days is None else check_days(days, len(positive))
    return review_costs(positive, probability, costs, amounts, day, weight)


def review_costs(positive, probability, costs, amounts, day, weight):
    """Compute `review_cost_curve` of what was checked."""
    savings, unreviewed = savings_of_reviews(costs, probability, amounts)
    without = costs.of_codes(positive, unreviewed, amounts)
    gain = without - costs.of_codes(positive, np.full(len(positive), REVIEW), amounts)
    curves = [
        _gain_by_reviews(savings[rows], gain[rows], weight[rows])
        for rows in ([slice(None)] if day is None else rows_by_day(day))
    ]
    if day is None:
        total = weight.sum()
        reviewed, gained = curves[0]
        return reviewed / total, (weight @ without - gained) / total
    capacity = np.arange(np.ceil(max(reviewed[-1] for reviewed, _ in curves)) + 1)
    gained = sum(np.interp(capacity, *curve) for curve in curves)
    return capacity, (weight @ without - gained) / len(curves)


def _gain_by_reviews(savings, gain, weight):
    """Return numbers of reviews, ties taken together, and what they gain, both from 0 on."""
    pays = savings > 0
    values, group = np.unique(-savings[pays], return_inverse=True)
    sums = [np.bincount(group, each[pays], len(values)) for each in (weight, weight * gain)]
    return tuple(np.concatenate([[0.0], np.cumsum(each)]) for each in sums)
