"""Count what teacher and student cost when bands decide by their probabilities."""

from dataclasses import asdict
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from skdistill.columns import as_models_take
from skdistill.decisions.bands import DecisionBands
from skdistill.decisions.calibration import calibration_finding, calibration_of
from skdistill.decisions.checks import check_positives, positive_column
from skdistill.decisions.costs import APPROVE, DECLINE, REVIEW
from skdistill.decisions.payments import Payments
from skdistill.decisions.results import DecisionReport, ModelDecisions
from skdistill.models import answers_of, limits_of_seen_rows, models_by_role
from skdistill.parameters import Interval, validate_params
from skdistill.rows import check_weights
from skdistill.verbose import note, stage, verbose
from skdistill.weighted_statistics import Estimate, ratio, replicate


@validate_params(
    {
        "model": "no_validation",
        "X": "no_validation",
        "y": ["array-like"],
        "bands": [DecisionBands],
        "teacher": "no_validation",
        "baseline": "no_validation",
        "amounts": ["array-like", None],
        "days": ["array-like", None],
        "groups": ["array-like", None],
        "sample_weight": ["array-like", None],
        "pos_label": [Real, str, "boolean", None],
        "threshold_share": [Interval(Real, 0.0, 1.0, closed="left")],
        "n_resamples": [Interval(Integral, 20, None, closed="left")],
        "confidence": [Interval(Real, 0.0, 1.0, closed="neither")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
)
@verbose
def decision_report(
    model,
    X,
    y,
    bands,
    *,
    teacher=None,
    baseline=None,
    amounts=None,
    days=None,
    groups=None,
    sample_weight=None,
    pos_label=None,
    threshold_share=0.5,
    n_resamples=1000,
    confidence=0.95,
    random_state=None,
    verbose=0,
):
    """Count what teacher and student cost when they decide, on rows that neither was fitted on.

    Parameters
    ----------
    model : estimator
        A fitted distiller, a Pipeline that ends in one, a search over either; or a student on its
        own: any fitted classifier with ``predict_proba``.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows that no model was fitted on, as the model takes them.
    y : array-like of shape (n_samples,)
        Observed classes, two of them.
    bands : DecisionBands
        Costs and capacity. Clones of it are fitted for each model, also if it is fitted.
    teacher : estimator or None, default=None
        The fitted teacher; None for the one that the distiller holds.
    baseline : estimator or None, default=None
        The same student fitted on the observed labels alone.
    amounts : array-like of shape (n_samples,) or None, default=None
        Amounts of the payments; needed if costs depend on them.
    days : array-like of shape (n_samples,) or None, default=None
        The day of each row: whole numbers, dates or date-times. Needed if the capacity is a number
        per day.
    groups : array-like of shape (n_samples,) or None, default=None
        The card, customer or other entity of each row.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative weights: the number of rows that each represents.
    pos_label : int, float, bool, str or None, default=None
        The class that is fraud; None for 1, if the classes are {0, 1} or {-1, 1}.
    threshold_share : float, default=0.5
        Where there is a capacity: share of the days, the first ones, on which the price of reviews
        is set; money is counted on the others. Without days, share of the groups, or else of the
        rows, drawn at random. 0 sets it on the very rows on which money is counted. Without a
        capacity thresholds follow from the costs, and all rows are counted.
    n_resamples : int, default=1000
        Bootstrap resamples.
    confidence : float, default=0.95
        Of the intervals.
    random_state : int, RandomState instance or None, default=None
        Draws rows and resamples.
    verbose : int, default=0
        Whether to print the stages with their seconds on stderr, with bars where they take long.

    Returns
    -------
    report : DecisionReport
        Thresholds, counts and money of each, and the difference with its interval.

    Raises
    ------
    NotFittedError
        If a model is not fitted.
    TypeError
        If a model is no classifier with ``predict_proba``.
    ValueError
        If there is one class only, the capacity is above the number of rows, days or amounts are
        needed and not there, shapes differ, or `baseline` is the student itself.

    Warns
    -----
    UserWarning
        If models were fitted on rows of X.

    See Also
    --------
    CostCurveDisplay : Cost over how many rows can be reviewed.
    fidelity_report : Takes ``bands`` as well.

    Notes
    -----
    Money is what the decisions cost on the observed classes, see `DecisionCosts`: an approved fraud
    M, a declined legitimate row D, a review R and, for a fraud, ``(1 - review_catches) * M``.
    The capacity of a day is kept: the reviews that are expected to save most come first, the other
    rows are approved or declined. An oracle that knows the classes declines the frauds and nothing
    else, which costs nothing: it shows what is left to save.

    Intervals are percentile intervals of a paired bootstrap. Rows of one card or one day depend on
    each other, so groups are resampled as a whole if there are any, else days; rows only if
    neither is known or there are fewer than ten of them. Decisions are not made anew in resamples.

    References
    ----------
    Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001.

    Field and Welsh, "Bootstrapping Clustered Data", Journal of the Royal Statistical Society B 69
    (2007), doi:10.1111/j.1467-9868.2007.00593.x.

    Examples
    --------
    Whether a tree costs more than its forest, for a desk that reviews five payments a day:

    >>> import numpy as np
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import TreeStudentClassifier
    >>> from skdistill.decisions import DecisionBands, DecisionCosts, decision_report
    >>> X, y = make_classification(4000, weights=[0.9], flip_y=0.02, random_state=0)
    >>> forest = RandomForestClassifier(min_samples_leaf=5, random_state=0).fit(X[:2000], y[:2000])
    >>> tree = TreeStudentClassifier(8).fit(X[:2000], forest.predict_proba(X[:2000]))
    >>> costs = DecisionCosts(missed_fraud=100, declined_legit=30, review=6)
    >>> report = decision_report(
    ...     tree,
    ...     X[2000:],
    ...     y[2000:],
    ...     DecisionBands(costs, review_capacity=5),
    ...     teacher=forest,
    ...     days=np.arange(2000) // 50,
    ...     random_state=0,
    ... )
    >>> print(report.sentence)  # doctest: +ELLIPSIS
    Deciding with the student costs more money than with the teacher: difference 25... a day.
    """
    models = models_by_role(model, teacher, baseline)
    student, teacher = models["student"], models.get("teacher")
    column = positive_column(student.labels, pos_label)
    X = as_models_take(X)
    n_samples = X.shape[0]
    positive = check_positives(y, pos_label, "y", n_samples)
    payments = Payments.of(n_samples, days=days, entities=groups, amounts=amounts)
    limitations = limits_of_seen_rows(model, teacher, X)
    outputs = answers_of(models, X, student.labels)
    return decisions_on(
        {role: each[:, column] for role, each in outputs.items()},
        positive,
        bands,
        payments,
        check_weights(sample_weight, positive),
        names={role: each.name for role, each in models.items()},
        threshold_share=threshold_share,
        n_resamples=n_resamples,
        confidence=confidence,
        random_state=check_random_state(random_state),
        limitations=limitations,
    )


def decisions_on(
    scores,
    positive,
    bands,
    payments,
    weight,
    *,
    names,
    threshold_share,
    n_resamples,
    confidence,
    random_state,
    limitations=(),
):
    """Count the money of models, as `decision_report` does, from their predictions.

    `scores` are probabilities of fraud by role, of which the student is one, `names` those of the
    models; `positive` is 1 for a fraud, else 0; `limitations` are more notes.
    """
    set_on, counted, how_counted = _rows_to_set_and_count(
        bands, payments, threshold_share, random_state
    )
    part, y, w = payments.take(counted), positive[counted], weight[counted]
    if not 0 < y @ w < w.sum():
        raise ValueError(
            f"The {part.n_samples} rows on which money is counted hold one class only. Pass rows "
            "with frauds and legitimate payments, or another threshold_share."
        )
    fitted, codes, calibration = {}, {}, {}
    with stage("decide"):
        for role, score in scores.items():
            fitted[role] = _fit(bands, score, payments, weight, set_on)
            codes[role] = fitted[role].decide_codes(score[counted], part.amounts, part.day, w)
            calibration[role] = calibration_of(y, score[counted], codes[role], w)
    codes |= {"approve everything": np.full(len(y), APPROVE)}
    codes |= {"oracle": np.where(y > 0, DECLINE, APPROVE)}
    money = {role: bands.costs.of_codes(y, each, part.amounts) for role, each in codes.items()}
    with stage("count-money"):
        totals, unit = _resampled_totals(money, part, w, n_resamples, random_state)
        note(f"{part.n_samples:,} rows, {n_resamples:,} resamples of {unit}")
    difference = totals["student"] - totals["teacher"] if "teacher" in scores else None
    in_total, per_day = _estimates(difference, part.n_days, confidence)
    return DecisionReport(
        n_samples=part.n_samples,
        n_frauds=float(y @ w),
        n_days=part.n_days,
        models=names,
        decisions={
            role: _of_model(fitted.get(role), codes[role], y, w, totals, role, confidence, part)
            for role in codes
        },
        student_minus_teacher=in_total,
        student_minus_teacher_per_day=per_day,
        calibration=calibration,
        notes=(
            bands.costs.text(),
            how_counted,
            *_notes(bands, part, unit, confidence, calibration),
            *limitations,
        ),
        settings={
            "costs": asdict(bands.costs),
            "review_capacity": bands.review_capacity,
            "threshold_share": threshold_share,
            "resampled": unit,
            "n_resamples": int(n_resamples),
            "confidence": float(confidence),
        },
    )


def _rows_to_set_and_count(bands, payments, threshold_share, random_state):
    """Return masks of the rows on which thresholds are set and money is counted, and a note."""
    every = np.ones(payments.n_samples, dtype=bool)
    if bands.review_capacity is None:
        return every, every, "Thresholds follow from the costs alone, all rows are counted."
    limit = f"At most {bands.review_capacity} reviews a day"
    if not isinstance(bands.review_capacity, Integral):
        limit = f"At most {bands.review_capacity:.3g} of the rows are reviewed"
    if threshold_share == 0:
        return (
            every,
            every,
            f"{limit}; their price was set on the very rows on which money is counted, so that the "
            "money is a little too good. Pass threshold_share.",
        )
    first = payments.split(threshold_share, random_state)
    where = f"{first.sum():,} rows drawn at random"
    if payments.day is not None:
        n_first = int(payments.day[first].max()) + 1
        where = f"the first{f' {n_first}' if n_first > 1 else ''} of {payments.n_days} days"
    note = f"{limit}; their price was set on {where}, money is counted on the others."
    return first, ~first, note


def _fit(bands, score, payments, weight, rows):
    part = payments.take(rows)
    return clone(bands).fit(
        score[rows], amounts=part.amounts, days=part.day, sample_weight=weight[rows]
    )


def _resampled_totals(money, payments, weight, n_resamples, random_state):
    """Return replicates of the money of all rows, and what was resampled."""
    cluster, unit = payments.clusters()
    sums = {role: np.bincount(cluster, weight * each) for role, each in money.items()}
    n_clusters = int(cluster.max()) + 1
    means = replicate(sums, {}, np.ones(n_clusters), n_resamples, random_state)
    return {role: each * n_clusters for role, each in means.items()}, unit


def _estimates(replicates, n_days, confidence):
    """Return money in total and per day, as estimates; None where there is none."""
    if replicates is None:
        return None, None
    per_day = None if n_days is None else Estimate.of(replicates / n_days, confidence)
    return Estimate.of(replicates, confidence), per_day


def _notes(bands, payments, unit, confidence, calibration):
    """Yield notes to the figures."""
    if bands.costs.need_amounts:
        yield f"Thresholds are those of the median amount, {np.median(payments.amounts):,.2f}."
    yield f"Intervals: {100 * confidence:g}%, of a paired bootstrap that resamples {unit}."
    for role, each in calibration.items():
        if finding := calibration_finding(each, f"The {role}"):
            yield finding


def _of_model(bands, codes, positive, weight, totals, role, confidence, payments):
    """Collect what one model decides."""
    review_above, decline_above = None, None
    if bands is not None:
        amounts = [np.median(payments.amounts)] if bands.costs.need_amounts else None
        review_above, decline_above = np.ravel(bands.thresholds(amounts)).tolist()
    in_total, per_day = _estimates(totals[role], payments.n_days, confidence)
    rows = np.bincount(codes, weight, 3)
    frauds = np.bincount(codes, weight * positive, 3)
    return ModelDecisions(
        review_above=review_above,
        decline_above=decline_above,
        approved=float(rows[APPROVE]),
        reviewed=float(rows[REVIEW]),
        declined=float(rows[DECLINE]),
        missed_frauds=float(frauds[APPROVE]),
        declined_legit=float(rows[DECLINE] - frauds[DECLINE]),
        money_lost=in_total,
        money_lost_per_day=per_day,
        share_saved=float(1 - ratio(totals[role][0], totals["approve everything"][0])),
    )
