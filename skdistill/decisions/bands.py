"""Bands of probability in which payments are approved, reviewed and declined."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skdistill.decisions.calibration import calibration_finding, calibration_of
from skdistill.decisions.checks import (
    check_days,
    check_positives,
    check_probabilities,
    positive_column,
    rows_by_day,
    warn_of_classes,
)
from skdistill.decisions.costs import APPROVE, DECISIONS, DECLINE, REVIEW, DecisionCosts
from skdistill.estimators import by_label
from skdistill.messages import warn_caller
from skdistill.models import find_seen_rows, student_and_teacher
from skdistill.parameters import Interval, ParametersMixin, RealNotInt
from skdistill.rows import check_weights

__all__ = ["DecisionBands", "savings_of_reviews", "shadow_price"]


class DecisionBands(ParametersMixin, BaseEstimator):
    """Approve, review or decline, whichever is expected to cost least.

    Parameters
    ----------
    costs : DecisionCosts
        What wrong decisions and reviews cost.
    review_capacity : int, float or None, default=None
        How many rows can be reviewed: an int is their number per day, a float in (0, 1) a share of
        the rows. None: as many as pay.

    Attributes
    ----------
    review_price_ : float
        What a review costs on top of ``costs.review`` because reviews are limited; 0 if there
        are enough.
    calibration_ : tuple of BandCalibration or None
        Mean probability and observed rate of all rows and per band; None if fitted without y.
    amounts_ : ndarray of shape (3,) or None
        Quartiles of the amounts, for which `text` shows thresholds; None without amounts.
    estimator_ : estimator or None
        The model that `predict` uses; None if fitted on scores.

    See Also
    --------
    decision_report : What teacher and student cost when such bands decide.

    Notes
    -----
    Without a limit, rows decide for themselves: the cheapest of the three expected costs wins, see
    `DecisionCosts`. Let ``s_i`` be what a review of row i saves: the smaller cost of approving and
    declining, minus that of the review. At most C reviews require the set with the largest sum of
    savings, which is the C rows of the highest ``s_i > 0``. The Lagrangian of the constraint says
    the same as a price: each review costs ``l`` more, a row is reviewed where ``s_i >= l``, and
    ``l`` is 0 if fewer than C rows save anything, otherwise the C-th highest saving. So the
    thresholds are those of `DecisionCosts` with ``review + l`` in place of ``review``: both move
    inwards, and rows at the edges of the band are approved or declined.

    Price and thresholds follow from costs and scores, not from y: y only serves to check that the
    probabilities are right on average, overall and in each band, where they decide about money. A
    warning says if they are off by more than a quarter and more than chance explains.

    With a capacity per day, the price is the one at which C times the number of days are reviewed.
    Some days have more: `decide` with `days` stops at the capacity of each day, the highest savings
    first, and approves or declines the others. Other days have fewer and do not fill it: thresholds
    are set in advance and no payment waits for the end of its day. Without `days`, as where
    payments come one at a time, somebody must count. Rows whose savings are equal are reviewed or
    left together where the limit is a share; per day the first ones fill the capacity.

    Examples
    --------
    Bands from probabilities of one day, and decisions on those of the next:

    >>> import numpy as np
    >>> from skdistill.decisions import DecisionBands, DecisionCosts
    >>> costs = DecisionCosts(missed_fraud=100, declined_legit=25, review=4)
    >>> rng = np.random.default_rng(0)
    >>> scores = rng.beta(0.2, 4, 2000)
    >>> bands = DecisionBands(costs).fit(scores, rng.random(2000) < scores)
    >>> print(bands.text())
    approve up to 0.04, review up to 0.84, decline above
    >>> bands.decide([0.01, 0.3, 0.95]).tolist()
    ['approve', 'review', 'decline']

    A desk that can review one row in twenty prices its reviews higher:

    >>> bands = DecisionBands(costs, review_capacity=0.05).fit(scores)
    >>> print(bands.text())
    approve up to 0.1746, review up to 0.3015, decline above; each review is priced 13.46 higher
    """

    _parameter_constraints = {
        "costs": [DecisionCosts],
        "review_capacity": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0.0, 1.0, closed="neither"),
            None,
        ],
    }

    def __init__(self, costs, review_capacity=None):
        self.costs = costs
        self.review_capacity = review_capacity

    def fit(self, scores, y=None, *, amounts=None, days=None, pos_label=None, sample_weight=None):
        """Set the price of reviews, and check the calibration if y is there.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Calibrated probabilities of fraud, on rows that the model was not fitted on.
        y : array-like of shape (n_samples,) or None, default=None
            Observed classes, to check the calibration; the thresholds do not depend on them.
        amounts : array-like of shape (n_samples,) or None, default=None
            Amounts of the payments; needed if costs depend on them.
        days : array-like of shape (n_samples,) or None, default=None
            The day of each row: whole numbers, dates or date-times. Needed if the capacity is a
            number per day.
        pos_label : int, float, bool, str or None, default=None
            The class of y that is fraud; None for 1, if the classes are {0, 1} or {-1, 1}.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights: the number of rows that each represents.

        Returns
        -------
        bands : DecisionBands
            The fitted bands.

        Raises
        ------
        ValueError
            If scores are no probabilities, the capacity is above the number of rows, days or
            amounts are needed and not there, or shapes differ.

        Warns
        -----
        UserWarning
            If probabilities are far from what was observed, or all are 0 or 1, as classes are.
        """
        self._validate_params()
        probability = check_probabilities(scores)
        warn_of_classes(probability, "scores")
        weight = check_weights(sample_weight, probability)
        day = None if days is None else check_days(days, len(probability))
        savings, _ = savings_of_reviews(self.costs, probability, amounts)
        self.review_price_ = self._price(savings, day, weight)
        self.amounts_ = None
        if self.costs.need_amounts:
            self.amounts_ = np.quantile(np.asarray(amounts, dtype=np.float64), [0.25, 0.5, 0.75])
        self.calibration_, self.estimator_ = None, None
        if y is not None:
            positive = check_positives(y, pos_label, "y", len(probability))
            codes = self.decide_codes(probability, amounts, day, weight)
            self.calibration_ = calibration_of(positive, probability, codes, weight)
            if finding := calibration_finding(self.calibration_):
                warn_caller(finding)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        costs,
        review_capacity=None,
        amounts=None,
        days=None,
        pos_label=None,
        sample_weight=None,
    ):
        """Fit the bands of a model's probabilities.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier with calibrated probabilities; of a distiller its student is taken.
        X : array-like or data frame of shape (n_samples, n_features)
            Rows that the model was neither fitted nor recalibrated on.
        y : array-like of shape (n_samples,) or None, default=None
            Observed classes, to check the calibration.
        costs : DecisionCosts
            What wrong decisions and reviews cost.
        review_capacity : int, float or None, default=None
            How many rows can be reviewed.
        amounts : array-like of shape (n_samples,) or None, default=None
            Amounts of the payments; needed if costs depend on them.
        days : array-like of shape (n_samples,) or None, default=None
            The day of each row; needed if the capacity is a number per day.
        pos_label : int, float, bool, str or None, default=None
            The class that is fraud; None for 1, if the classes are {0, 1} or {-1, 1}.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights.

        Returns
        -------
        bands : DecisionBands
            The fitted bands, which can `predict`.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If it is no classifier with ``predict_proba``.
        ValueError
            As `fit` says.

        Warns
        -----
        UserWarning
            If the model was fitted or recalibrated on rows of X, or its probabilities are far from
            what was observed.
        """
        student = student_and_teacher(estimator)[0]
        bands = cls(costs, review_capacity)
        scores = student.answers(X, student.labels)[:, positive_column(student.labels, pos_label)]
        bands.fit(
            scores,
            y,
            amounts=amounts,
            days=days,
            pos_label=pos_label,
            sample_weight=sample_weight,
        )
        find_seen_rows(estimator, None, X, "the price of reviews is that of easier rows")
        bands.estimator_ = student.estimator
        bands._column = positive_column(student.labels, pos_label)
        return bands

    def decide(self, scores, *, amounts=None, days=None):
        """Decide about rows by their probabilities of fraud.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Calibrated probabilities of fraud.
        amounts : array-like of shape (n_samples,) or None, default=None
            Amounts of the payments; needed if costs depend on them.
        days : array-like of shape (n_samples,) or None, default=None
            The day of each row, to stop at a capacity per day. None reviews whatever saves enough.

        Returns
        -------
        decisions : ndarray of shape (n_samples,)
            "approve", "review" or "decline".

        Raises
        ------
        NotFittedError
            If the bands are not fitted.
        ValueError
            If scores are no probabilities, amounts are needed and not there, or shapes differ.
        """
        check_is_fitted(self)
        probability = check_probabilities(scores)
        warn_of_classes(probability, "scores")
        day = None if days is None else check_days(days, len(probability))
        return DECISIONS[self.decide_codes(probability, amounts, day, np.ones(len(probability)))]

    def predict(self, X, *, amounts=None, days=None):
        """Decide about rows by what the model of `from_estimator` says.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows as the model takes them.
        amounts : array-like of shape (n_samples,) or None, default=None
            See `decide`.
        days : array-like of shape (n_samples,) or None, default=None
            See `decide`.

        Returns
        -------
        decisions : ndarray of shape (n_samples,)
            "approve", "review" or "decline".
        """
        check_is_fitted(self)
        if self.estimator_ is None:
            raise ValueError(
                "These bands were fitted on scores and know no model. Use decide(scores), or make "
                "them with DecisionBands.from_estimator."
            )
        model = self.estimator_
        scores = by_label(model, model.predict_proba(X), model.classes_)[:, self._column]
        return self.decide(scores, amounts=amounts, days=days)

    def thresholds(self, amounts=None):
        """Return the probabilities at which decisions change, the price of reviews included.

        Parameters
        ----------
        amounts : array-like of shape (n_amounts,) or None, default=None
            Amounts of payments; needed if costs depend on them.

        Returns
        -------
        thresholds : ndarray of shape (2,) or (n_amounts, 2)
            Above the first rows are reviewed, above the second declined.
        """
        check_is_fitted(self)
        return self.costs.thresholds(amounts, review_price=self.review_price_)

    def text(self):
        """Say the bands in words, for quartiles of the amounts if costs depend on them."""
        check_is_fitted(self)
        if self.amounts_ is None:
            lines = [_in_words(*self.thresholds())]
        else:
            lines = [
                f"amount {amount:,.2f}: {_in_words(*thresholds)}"
                for amount, thresholds in zip(
                    self.amounts_, self.thresholds(self.amounts_), strict=True
                )
            ]
        if self.review_price_ > 0:
            lines[-1] += f"; each review is priced {self.review_price_:.4g} higher"
        if self.calibration_ and (finding := calibration_finding(self.calibration_)):
            lines.append(finding)
        return "\n".join(lines)

    def decide_codes(self, probability, amounts, day, weight):
        """Decide; probabilities and days are checked, decisions are positions in `DECISIONS`."""
        savings, unreviewed = savings_of_reviews(self.costs, probability, amounts)
        reviewed = (savings > 0) & (savings >= self.review_price_)
        if isinstance(self.review_capacity, Integral) and day is not None:
            reviewed &= _within_capacity(reviewed, savings, day, weight, self.review_capacity)
        return np.where(reviewed, REVIEW, unreviewed)

    def _price(self, savings, day, weight):
        """Return the price of reviews at which these rows meet the capacity."""
        capacity = self.review_capacity
        if capacity is None:
            return 0.0
        if self.costs.review is None:
            raise ValueError(
                f"review_capacity={capacity} was passed, and costs.review is None: nothing is "
                "reviewed. Pass what a review costs."
            )
        if not isinstance(capacity, Integral):
            return shadow_price(savings, weight, capacity * weight.sum(), fill=False)
        if day is None:
            raise ValueError(
                f"review_capacity={capacity} is a number per day. Pass days, the day of each row; "
                "or a share of the rows between 0 and 1."
            )
        of_day = np.bincount(day, weight)
        if capacity > of_day.max():
            raise ValueError(
                f"review_capacity={capacity} a day is more than there is to review: no day has "
                f"more than {of_day.max():,.0f} rows. Pass a smaller number, or None if all rows "
                "can be reviewed."
            )
        return shadow_price(savings, weight, capacity * len(of_day), fill=True)


def savings_of_reviews(costs, probability, amounts):
    """Compute what reviews save, and what is decided without them.

    Savings are the smaller expected cost of approving and declining, minus that of a review; the
    cheaper of both is returned as a position among `DECISIONS`.
    """
    expected = costs.expected(probability, amounts)
    declines = expected[:, DECLINE] < expected[:, APPROVE]
    cheaper = np.minimum(expected[:, APPROVE], expected[:, DECLINE])
    return cheaper - expected[:, REVIEW], np.where(declines, DECLINE, APPROVE)


def shadow_price(savings, weight, capacity, *, fill):
    """Find the price at which no more rows are worth a review than there is capacity for.

    Rows whose savings are the price or more are reviewed; it is 0 if all that save anything fit. Of
    the rows with the savings at the limit, all equal, `fill` reviews all, so that the capacity is
    reached or exceeded, or none, so that it is not exceeded. `weight` is how many rows each
    represents.
    """
    order = np.argsort(-savings, kind="stable")
    order = order[savings[order] > 0]
    reached = np.cumsum(weight[order])
    if len(order) == 0 or reached[-1] <= capacity:
        return 0.0
    if fill:
        return float(savings[order[np.searchsorted(reached, capacity)]])
    first_out = order[np.searchsorted(reached, capacity, side="right")]
    return float(np.nextafter(savings[first_out], np.inf))


def _within_capacity(wanted, savings, day, weight, capacity):
    """Mark the rows that are reviewed: each day the highest savings first, ties in order."""
    within = np.zeros(len(wanted), dtype=bool)
    for rows in rows_by_day(day):
        rows = rows[wanted[rows]]
        rows = rows[np.argsort(-savings[rows], kind="stable")]
        within[rows] = np.cumsum(weight[rows]) <= capacity * (1 + 1e-12)
    return within


def _in_words(low, high):
    if low == high:
        return f"approve up to {low:.4g}, decline above"
    return f"approve up to {low:.4g}, review up to {high:.4g}, decline above"
