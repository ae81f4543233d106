"""What decisions cost: approve, review or decline a payment that is a fraud with a probability."""

import math
from dataclasses import dataclass, fields
from numbers import Real

import numpy as np

from skdistill.decisions.checks import check_amounts, check_positives, check_probabilities
from skdistill.messages import shown

__all__ = ["APPROVE", "DECISIONS", "DECLINE", "REVIEW", "DecisionCosts"]

#: The decisions, the mildest first; their positions are the columns of expected costs.
DECISIONS = np.array(["approve", "review", "decline"])
APPROVE, REVIEW, DECLINE = range(3)


@dataclass(frozen=True, kw_only=True)
class DecisionCosts:
    """What wrong decisions and reviews cost, in any currency.

    Parameters
    ----------
    missed_fraud : float, default=0.0
        What each fraud costs that is approved, such as the fee of a chargeback.
    missed_fraud_per_amount : float, default=0.0
        What it costs besides, per unit of the payment's amount: 1 if the amount is lost.
    declined_legit : float, default=0.0
        What each legitimate payment costs that is declined, such as a call or a lost customer.
    declined_legit_per_amount : float, default=0.0
        What it costs besides, per unit of the payment's amount: the margin that is not earned.
    review : float or None, default=None
        What a review costs, whatever it finds. None: nothing is reviewed, rows are approved or
        declined.
    review_catches : float, default=1.0
        Share of the frauds among the reviewed rows that the review recognises, in (0, 1]. Those it
        does not are approved, legitimate rows are approved as well.

    Raises
    ------
    ValueError
        If a cost is negative or not finite, if missing a fraud or declining a legitimate payment
        costs nothing, or if a review never pays.

    See Also
    --------
    DecisionBands : Thresholds from these costs.

    Notes
    -----
    A missed fraud costs M = ``missed_fraud + missed_fraud_per_amount * amount``, a declined
    legitimate payment D = ``declined_legit + declined_legit_per_amount * amount``, a review R, and
    it recognises the share c of frauds. For a row that is a fraud with probability p, expected
    costs are

    ======== ==============================
    approve  ``p * M``
    review   ``R + p * (1 - c) * M``
    decline  ``(1 - p) * D``
    ======== ==============================

    and the cheapest of them is the decision (Elkan 2001). So rows are approved up to
    ``p = R / (c * M)``, reviewed up to ``(D - R) / (D + (1 - c) * M)``, and declined above.

    At ``p = D / (D + M)`` approving and declining cost the same, and there a review saves the most:
    ``c * M * D / (M + D) - R``. If that is not above 0, a review never pays, for whatever
    probability: the band between is empty and ``D / (D + M)`` is the one threshold. With costs per
    amount that may hold for some amounts and not for others; it is an error only if it holds for
    all of them.

    References
    ----------
    Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001.

    Bahnsen, Aouada and Ottersten, "Example-Dependent Cost-Sensitive Decision Trees", Expert Systems
    with Applications 42 (2015), doi:10.1016/j.eswa.2015.04.042.

    Examples
    --------
    A missed fraud loses the amount and a fee of 15, a review takes 4, a declined customer costs 25:

    >>> from skdistill.decisions import DecisionCosts
    >>> costs = DecisionCosts(
    ...     missed_fraud=15, missed_fraud_per_amount=1, declined_legit=25, review=4
    ... )
    >>> print(costs.expected([0.02, 0.5], amounts=[100, 100]))
    [[ 2.3  4.  24.5]
     [57.5  4.  12.5]]

    From which probability on a payment of 100, and one of 10, is reviewed and declined:

    >>> print(costs.thresholds(amounts=[100, 10]).round(3))
    [[0.035 0.84 ]
     [0.16  0.84 ]]
    """

    missed_fraud: float = 0.0
    missed_fraud_per_amount: float = 0.0
    declined_legit: float = 0.0
    declined_legit_per_amount: float = 0.0
    review: float | None = None
    review_catches: float = 1.0

    def __post_init__(self):
        for field in fields(self):
            _check_cost(field.name, getattr(self, field.name))
        self._check_something_is_lost()
        self._check_that_reviews_pay()

    def text(self):
        """Say the costs in words."""
        missed = _with_amount(self.missed_fraud, self.missed_fraud_per_amount)
        declined = _with_amount(self.declined_legit, self.declined_legit_per_amount)
        words = f"A missed fraud costs {missed}, a declined legitimate payment {declined}"
        if self.review is None:
            return f"{words}; nothing is reviewed."
        caught = f"{self.review_catches:.0%} of the frauds that it sees"
        return f"{words}, a review {self.review:g}, which recognises {caught}."

    @property
    def need_amounts(self):
        """Whether costs depend on the amount of a payment."""
        return self.missed_fraud_per_amount > 0 or self.declined_legit_per_amount > 0

    def expected(self, probability, amounts=None):
        """Compute what each decision is expected to cost.

        Parameters
        ----------
        probability : array-like of shape (n_samples,)
            Calibrated probabilities of fraud.
        amounts : array-like of shape (n_samples,) or None, default=None
            Amounts of the payments; needed if costs depend on them.

        Returns
        -------
        costs : ndarray of shape (n_samples, 3)
            Of approving, reviewing and declining; infinite for a review if nothing is reviewed.

        Raises
        ------
        ValueError
            If probabilities do not lie in [0, 1], or amounts are missing, negative or of another
            length.
        """
        probability = check_probabilities(probability, name="probability")
        missed, declined = self.of_errors(len(probability), amounts)
        review = np.inf if self.review is None else self.review
        return np.column_stack(
            [
                probability * missed,
                review + probability * (1 - self.review_catches) * missed,
                (1 - probability) * declined,
            ]
        )

    def of_decisions(self, y_true, decisions, amounts=None, pos_label=None):
        """Compute what decisions cost, given what was observed.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Observed classes, two of them.
        decisions : array-like of shape (n_samples,)
            "approve", "review" or "decline" for each row.
        amounts : array-like of shape (n_samples,) or None, default=None
            Amounts of the payments; needed if costs depend on them.
        pos_label : int, float, bool, str or None, default=None
            The class that is fraud; None for 1, if the classes are {0, 1} or {-1, 1}.

        Returns
        -------
        costs : ndarray of shape (n_samples,)
            Of each row. A reviewed fraud costs the review and the expected loss of not recognising
            it.

        Raises
        ------
        ValueError
            If a decision is none of the three, or shapes differ.
        """
        positive = check_positives(y_true, pos_label)
        decisions = np.asarray(decisions)
        if decisions.shape != positive.shape:
            raise ValueError(
                f"decisions has shape {decisions.shape}, y_true {positive.shape}; one decision for "
                "each row was expected."
            )
        unknown = sorted(set(decisions.tolist()) - set(DECISIONS.tolist()), key=str)
        if unknown:
            raise ValueError(f"decisions holds {unknown}; {DECISIONS.tolist()} were expected.")
        codes = np.array([DECISIONS.tolist().index(each) for each in decisions.tolist()], dtype=int)
        return self.of_codes(positive, codes, amounts)

    def of_codes(self, positive, codes, amounts):
        """Like `of_decisions`, for whether rows are frauds and for positions among `DECISIONS`."""
        return self.expected(positive, amounts)[np.arange(len(codes)), codes]

    def thresholds(self, amounts=None, *, review_price=0.0):
        """Compute the probabilities at which decisions change.

        Parameters
        ----------
        amounts : array-like of shape (n_amounts,) or None, default=None
            Amounts of payments; needed if costs depend on them.
        review_price : float, default=0.0
            What a review costs on top because reviews are limited, see `DecisionBands`.

        Returns
        -------
        thresholds : ndarray of shape (2,) or (n_amounts, 2)
            Above the first rows are reviewed, above the second declined. Both are the same where a
            review does not pay.

        Raises
        ------
        ValueError
            If amounts are missing or negative.
        """
        if amounts is None:
            return self._thresholds(*self.of_errors(1), review_price)[0]
        return self._thresholds(*self.of_errors(np.size(amounts), amounts), review_price)

    def of_errors(self, n_samples, amounts=None):
        """Return what a missed fraud and a declined legitimate payment cost, each (n_samples,)."""
        if amounts is not None:
            amounts = check_amounts(amounts, n_samples)
        elif self.need_amounts:
            raise ValueError(
                f"{self} depends on the amounts of the payments. Pass amounts, one for each row."
            )
        if not self.need_amounts:
            amounts = np.zeros(n_samples)
        return (
            self.missed_fraud + self.missed_fraud_per_amount * amounts,
            self.declined_legit + self.declined_legit_per_amount * amounts,
        )

    def _thresholds(self, missed, declined, review_price):
        # Where one of the two errors costs nothing, the other decides alone.
        total = missed + declined
        single = np.divide(declined, total, out=np.ones_like(total), where=total > 0)
        if self.review is None:
            return np.column_stack([single, single])
        review, caught = self.review + review_price, self.review_catches * missed
        low = np.divide(review, caught, out=np.ones_like(caught), where=caught > 0)
        rest = declined + (1 - self.review_catches) * missed
        high = np.divide(declined - review, rest, out=np.zeros_like(rest), where=rest > 0)
        pays = (caught > 0) & (low < high)
        return np.column_stack([np.where(pays, low, single), np.where(pays, high, single)])

    def _check_something_is_lost(self):
        if self.missed_fraud == self.missed_fraud_per_amount == 0:
            raise ValueError(
                "A missed fraud costs nothing, so that everything would be approved. Pass "
                "missed_fraud, or missed_fraud_per_amount=1 if the amount is lost."
            )
        if self.declined_legit == self.declined_legit_per_amount == 0:
            raise ValueError(
                "A declined legitimate payment costs nothing, so that all would be declined. "
                "Pass declined_legit or declined_legit_per_amount."
            )

    def _check_that_reviews_pay(self):
        if self.review is None:
            return
        missed = math.inf if self.missed_fraud_per_amount else self.missed_fraud
        declined = math.inf if self.declined_legit_per_amount else self.declined_legit
        most = min(missed, declined)  # the limit of M * D / (M + D) where one of them is infinite
        if math.isfinite(missed) and math.isfinite(declined):
            most = missed * declined / (missed + declined)
        if self.review < self.review_catches * most:
            return
        what = "whatever the amount, " if self.need_amounts else ""
        raise ValueError(
            f"review={self.review:g} never pays: {what}a review saves at most "
            f"{self.review_catches * most:g}, where approving and declining cost the same "
            "(review_catches * M * D / (M + D) for M, what a missed fraud costs, and D, a declined "
            "legitimate payment). Rows would be approved or declined only. Pass a smaller cost of "
            "reviews, or review=None if that is what is meant."
        )


def _with_amount(fixed, per_amount):
    parts = [f"{fixed:g}"] if fixed else []
    if per_amount:
        parts.append("the amount" if per_amount == 1 else f"{per_amount:g} times the amount")
    return " and ".join(parts)


def _check_cost(name, value):
    if value is None and name == "review":
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name}={shown(value)} was passed; a finite number was expected.")
    if name == "review_catches":
        if not 0 < value <= 1:
            raise ValueError(
                f"review_catches={value:g} was passed; a share above 0 and up to 1 was expected: "
                "a review that recognises no fraud is none."
            )
    elif value < 0:
        raise ValueError(f"{name}={value:g} is negative; a cost of 0 or more was expected.")
