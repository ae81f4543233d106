"""Compare a student with its teacher: the computation of `fidelity_report`."""

import inspect
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from skdistill.decisions.bands import DecisionBands
from skdistill.decisions.compare_money import decisions_on
from skdistill.messages import shown
from skdistill.parameters import Interval, check_parameters, validate_params
from skdistill.report.fidelity.cost import measure_cost, measure_scorer
from skdistill.report.fidelity.daily import daily_scores
from skdistill.report.fidelity.fidelity_report import (
    ClassAgreement,
    FidelityReport,
    ScoreComparison,
    ThresholdAgreement,
)
from skdistill.report.fidelity.groups import (
    SMALLEST_GROUP,
    GroupGap,
    GroupRate,
    gaps_of,
    group_statistics,
    rates_known,
)
from skdistill.report.fidelity.measures import (
    agreement_by_class,
    differences_of_rows,
    fidelity_measures,
    fidelity_statistics,
    threshold_statistics,
)
from skdistill.report.fidelity.report_inputs import make_inputs
from skdistill.report.fidelity.scores import SCORES, log_losses_of_rows, score_statistics, scores_of
from skdistill.report.fidelity.segments import RowValues, find_segments
from skdistill.report.fidelity.verdict import judge
from skdistill.soft_labels import kl_of_rows
from skdistill.verbose import note, stage, verbose
from skdistill.weighted_statistics import Estimate, confusion, ratio, replicate

#: The score a verdict is about, unless another is passed.
VERDICT_METRIC = {"binary": "roc_auc", "multiclass": "roc_auc", "regression": "r2"}

#: Segments with fewer rows, or a smaller share of them, are left out.
SMALLEST_SEGMENT, SMALLEST_SEGMENT_SHARE = 30, 0.01

#: Where no thresholds are passed, rows of the groups are selected from this probability on.
DEFAULT_THRESHOLD = 0.5

#: Share of the days, entities or rows on which the price of reviews is set; money is counted on
#: the others.
THRESHOLD_SHARE = 0.5

_OPTIONS = {
    "metric": [str, None],
    "margin": [Interval(Real, 0.0, None, closed="left")],
    "thresholds": ["array-like"],
    "top_k": [Interval(Integral, 1, None, closed="left"), None],
    "top_k_per_day": [Interval(Integral, 1, None, closed="left"), None],
    "n_bins": [Interval(Integral, 2, None, closed="left")],
    "n_resamples": [Interval(Integral, 20, None, closed="left")],
    "confidence": [Interval(Real, 0.0, 1.0, closed="neither")],
    "cost": ["boolean"],
}


@validate_params(
    {
        "model": "no_validation",
        "X": "no_validation",
        "y": "no_validation",
        "teacher": "no_validation",
        "baseline": "no_validation",
        "sample_weight": "no_validation",
        "groups": "no_validation",
        "days": ["array-like", None],
        "entities": ["array-like", None],
        "amounts": ["array-like", None],
        "bands": [DecisionBands, None],
        **_OPTIONS,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
)
@verbose
def fidelity_report(
    model,
    X,
    y=None,
    *,
    teacher=None,
    baseline=None,
    sample_weight=None,
    groups=None,
    days=None,
    entities=None,
    amounts=None,
    bands=None,
    metric=None,
    margin=0.01,
    thresholds=(0.5,),
    top_k=None,
    top_k_per_day=None,
    n_bins=5,
    n_resamples=1000,
    confidence=0.95,
    cost=True,
    random_state=None,
    verbose=0,
):
    """Compare a student with its teacher on rows that neither was fitted on.

    Parameters
    ----------
    model : estimator
        A fitted distiller, a Pipeline that ends in one, a search over either; or a student on its
        own: any fitted classifier with ``predict_proba``, or regressor.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows that no model was fitted on, as the model takes them.
    y : array-like of shape (n_samples,) or None, default=None
        Observed classes or values. None reports what needs none: fidelity and cost.
    teacher : estimator or None, default=None
        The fitted teacher; None for the one that the distiller holds.
    baseline : estimator or None, default=None
        The same student fitted on the observed labels alone, to tell whether distillation helped.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative weights.
    groups : array-like of shape (n_samples,), dict of those, data frame or None, default=None
        One or more attributes, such as sex or age band; teacher and student are compared per
        group.
    days : array-like of shape (n_samples,) or None, default=None
        The day of each row, with two classes: whole numbers, dates or date-times. Adds precision
        and recall among the rows of a day that score highest.
    entities : array-like of shape (n_samples,) or None, default=None
        The card, customer or other entity of each row, with two classes. Adds card precision.
    amounts : array-like of shape (n_samples,) or None, default=None
        Amounts of the payments, if the costs of `bands` depend on them.
    bands : DecisionBands or None, default=None
        Costs and capacity, with two classes of which the second is fraud. Adds decisions and money
        of all models, see `decision_report`.
    metric : str or None, default=None
        The score that the verdict is about; None for ROC-AUC, in regression R2.
    margin : float, default=0.01
        By how much the student may be worse than the teacher in it and still be "non-inferior".
    thresholds : array-like of float, default=(0.5,)
        Probabilities of the second of two classes from which the decision is "yes". The first
        one decides what is selected in `groups`.
    top_k : int or None, default=None
        Number of rows with the highest scores that are looked at on their own, such as the alerts
        a fraud desk handles; None for 100, or a tenth of the rows if that is less.
    top_k_per_day : int or None, default=None
        Number of rows (with `entities`, cards) that are looked at in a day; None for 100, or a
        tenth of what there is on the median day if that is less.
    n_bins : int, default=5
        Quantile bins per numeric column in which segments are looked for.
    n_resamples : int, default=1000
        Bootstrap resamples. Each takes some ten milliseconds for 50,000 rows, so that 100 may do
        for a million.
    confidence : float, default=0.95
        Of the intervals.
    cost : bool, default=True
        Whether to measure size and speed, which takes seconds.
    random_state : int, RandomState instance or None, default=None
        Draws the resamples.
    verbose : int, default=0
        Whether to print the stages with their seconds on stderr, with bars where they take long.

    Returns
    -------
    report : FidelityReport
        Numbers with intervals, a verdict in words, and what could not be said.

    Raises
    ------
    NotFittedError
        If a model is not fitted.
    TypeError
        If a model is neither a classifier with ``predict_proba`` nor a regressor, or teacher and
        student are of different kinds.
    ValueError
        If rows, classes, weights, groups, days, entities, amounts, `bands`, `top_k` or
        `top_k_per_day` do not fit each other or the model, `baseline` is the student itself, or
        `thresholds` are no probabilities.

    Warns
    -----
    UserWarning
        If models were fitted on rows of X.

    Notes
    -----
    Intervals are percentile intervals of a paired bootstrap: every resample of the rows is scored
    by all models; those of segments and of gaps between groups are normal. Non-inferiority holds if
    the whole interval of the student's score minus the teacher's lies above ``-margin`` (for
    losses: below ``margin``). Scores of a day's top k are those of `precision_at_k`, `recall_at_k`
    and `card_precision_at_k`; their resamples are of whole days, and with fewer than ten days there
    is no interval. If `bands` has a capacity, the price of reviews is set on the first half of the
    days and money is counted on the other.

    The verdict is green, amber or red by the rule in ``report.verdict.rule``, which has all limits.
    Some of many segments, gaps between groups, or scores beside `metric`, look bad by chance. So
    their intervals are those of Bonferroni: a student without a fault is blamed for any segment in
    at most ``(1 - confidence) / 2`` of the reports, as often for any gap, and as often for any
    score.

    References
    ----------
    Piaggio et al., "Reporting of Noninferiority and Equivalence Randomized Trials", JAMA 308
    (2012), doi:10.1001/jama.2012.87802.

    Examples
    --------
    How like its forest a tree of 16 leaves is:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.model_selection import train_test_split
    >>> from skdistill import DistilledClassifier, fidelity_report
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    >>> model = DistilledClassifier(RandomForestClassifier(random_state=0), random_state=0)
    >>> report = fidelity_report(model.fit(X, y), X_test, y_test, random_state=0)
    >>> print(f"{report.fidelity['agreement'].value:.2f}")
    0.93
    >>> _ = report.require(agreement=0.9)
    """
    thresholds = check_thresholds(thresholds)
    inputs = make_inputs(
        model,
        X,
        y,
        teacher=teacher,
        baseline=baseline,
        sample_weight=sample_weight,
        groups=groups,
        top_k=top_k,
        days=days,
        entities=entities,
        amounts=amounts,
        bands=bands,
        top_k_per_day=top_k_per_day,
    )
    return report_on(
        inputs,
        metric=metric,
        margin=margin,
        thresholds=thresholds,
        n_bins=n_bins,
        n_resamples=n_resamples,
        confidence=confidence,
        cost=cost,
        random_state=random_state,
    )


def fidelity_options(given):
    """Fill in the defaults of the options of `fidelity_report`, those that were given checked."""
    unknown = sorted(set(given) - set(_OPTIONS))
    if unknown:
        raise TypeError(f"There are no options {unknown}; there are {sorted(_OPTIONS)}.")
    parameters = inspect.signature(fidelity_report).parameters
    options = {name: parameters[name].default for name in _OPTIONS} | given
    check_parameters(_OPTIONS, options, "fidelity_report")
    return options | {"thresholds": check_thresholds(options["thresholds"])}


def check_thresholds(thresholds):
    """Return thresholds as a list of float; each must be a probability."""
    found = np.asarray(thresholds, dtype=object)
    if found.ndim != 1 or not all(
        isinstance(each, Real) and not isinstance(each, bool) and 0 <= each <= 1 for each in found
    ):
        raise ValueError(
            f"thresholds={shown(thresholds)}; a sequence of probabilities between 0 and 1 was "
            "expected, such as (0.2, 0.5): from each on, the decision is yes."
        )
    return [float(threshold) for threshold in found]


def report_on(
    inputs, *, metric, margin, thresholds, n_bins, n_resamples, confidence, cost, random_state
):
    """Compute the report of checked inputs; parameters are those of `fidelity_report`."""
    metric = VERDICT_METRIC[inputs.kind] if metric is None else metric
    if metric not in SCORES[inputs.kind]:
        raise ValueError(
            f"metric={shown(metric)} is no score of a {inputs.kind} task; one of "
            f"{list(SCORES[inputs.kind])} was expected."
        )
    thresholds = thresholds if inputs.kind == "binary" else []
    selection_threshold = thresholds[0] if thresholds else DEFAULT_THRESHOLD
    random_state = check_random_state(random_state)
    with stage("compare"):
        note(f"{inputs.n_samples:,} rows, {n_resamples:,} resamples")
        replicates = _replicate(inputs, thresholds, selection_threshold, n_resamples, random_state)

    def estimate(values):
        return Estimate.of(values, confidence)

    has_teacher = "teacher" in inputs.models
    scores = _compare_scores(replicates, inputs, estimate, n_resamples, random_state)
    decisions = _decisions(inputs, n_resamples, confidence, random_state)
    measures = fidelity_measures(replicates, inputs.kind) if has_teacher else {}
    fidelity = {name: estimate(values) for name, values in measures.items()}
    by_class = _by_class(replicates, inputs, estimate) if has_teacher else ()
    with stage("find-segments"):
        segments = _segments(inputs, n_bins, confidence) if has_teacher else ()
    rates, gaps, unsaid = _groups(replicates, inputs, confidence)
    settings = {
        "metric": metric,
        "margin": float(margin),
        "thresholds": thresholds,
        "top_k": inputs.top_k,
        "top_k_per_day": inputs.top_k_per_day,
        "n_resamples": int(n_resamples),
        "confidence": float(confidence),
    }
    if inputs.groups and inputs.kind == "binary":
        settings["selected_class"] = inputs.classes[1].item()
        settings["selection_threshold"] = selection_threshold
    seen = inputs.seen_rows
    return FidelityReport(
        kind=inputs.kind,
        classes=None if inputs.classes is None else tuple(inputs.classes.tolist()),
        n_samples=inputs.n_samples,
        models={role: model.name for role, model in inputs.models.items()},
        verdict=judge(
            scores,
            fidelity,
            by_class,
            segments,
            gaps,
            decisions,
            settings,
            n_samples=inputs.n_samples,
            seen_rows=seen.sentence if seen is not None and seen.is_shown else None,
        ),
        scores=scores,
        fidelity=fidelity,
        thresholds=_at_thresholds(replicates, thresholds, estimate) if has_teacher else (),
        by_class=by_class,
        decisions=decisions,
        segments=segments,
        group_rates=rates,
        group_gaps=gaps,
        cost=_costs(inputs) if cost else {},
        limitations=(*inputs.limitations, *unsaid),
        settings=settings,
    )


def _replicate(inputs, thresholds, selection_threshold, n_resamples, random_state):
    """Compute all statistics of all models on the rows and on the same resamples of them."""
    means, statistics = {}, {}
    if "teacher" in inputs.models:
        pair = inputs.outputs["teacher"], inputs.outputs["student"]
        means, statistics = fidelity_statistics(*pair, inputs.kind, inputs.top_k)
        means |= threshold_statistics(*pair, thresholds)
        if inputs.kind != "regression":
            most_probable = [outputs.argmax(axis=1) for outputs in pair]
            statistics["classes"] = confusion(*most_probable, len(inputs.classes))
    for role, outputs in inputs.outputs.items():
        if inputs.y is not None:
            of_role = score_statistics(outputs, inputs.y, inputs.kind, inputs.top_k)
            statistics |= {("score", role, name): each for name, each in of_role.items()}
        for attribute, groups in inputs.groups.items():
            if rates_known(inputs.kind, inputs.y):
                position = np.unique(groups, return_inverse=True)[1]
                statistics["group", role, attribute] = group_statistics(
                    position, inputs.kind, outputs, inputs.y, selection_threshold
                )
    return replicate(means, statistics, inputs.sample_weight, n_resamples, random_state)


def _compare_scores(replicates, inputs, estimate, n_resamples, random_state):
    """Compare the scores of the models, those that can be computed on these rows."""
    if inputs.y is None:
        return {}
    scores = {}
    for role in inputs.models:
        prefix = "score", role
        own = {key[2]: values for key, values in replicates.items() if key[:2] == prefix}
        scores[role] = scores_of(own, inputs.kind)
    for role, daily in _daily_scores(inputs, n_resamples, random_state).items():
        scores[role] |= daily
    return {
        name: _compare({role: scores[role][name] for role in scores}, greater_is_better, estimate)
        for name, greater_is_better in SCORES[inputs.kind].items()
        if name in scores["student"] and not np.isnan(scores["student"][name][0])
    }


def _daily_scores(inputs, n_resamples, random_state):
    if inputs.kind != "binary" or len(np.unique(inputs.y)) < 2:
        return {}
    return daily_scores(
        {role: outputs[:, 1] for role, outputs in inputs.outputs.items()},
        inputs.y.astype(np.float64),
        inputs.payments,
        inputs.top_k_per_day,
        inputs.sample_weight,
        n_resamples,
        random_state,
    )


def _decisions(inputs, n_resamples, confidence, random_state):
    """Count what the models cost when the bands decide; None if it is unknown."""
    if inputs.bands is None or inputs.y is None or len(np.unique(inputs.y)) < 2:
        return None
    return decisions_on(
        {role: outputs[:, 1] for role, outputs in inputs.outputs.items()},
        inputs.y.astype(np.float64),
        inputs.bands,
        inputs.payments,
        inputs.sample_weight,
        names={role: model.name for role, model in inputs.models.items()},
        threshold_share=THRESHOLD_SHARE,
        n_resamples=n_resamples,
        confidence=confidence,
        random_state=random_state,
    )


def _compare(by_role, greater_is_better, estimate):
    """Compare replicates of one score."""
    student = by_role["student"]
    teacher, baseline = by_role.get("teacher"), by_role.get("baseline")
    closed = None
    if teacher is not None and baseline is not None:
        sign = 1.0 if greater_is_better else -1.0
        gap = np.maximum(sign * (teacher - baseline), 0)  # 0 is no gap, and so NaN below
        closed = estimate(ratio(sign * (student - baseline), gap))
        closed = None if np.isnan(closed.low) else closed
    return ScoreComparison(
        greater_is_better=greater_is_better,
        teacher=None if teacher is None else float(teacher[0]),
        student=float(student[0]),
        baseline=None if baseline is None else float(baseline[0]),
        student_minus_teacher=None if teacher is None else estimate(student - teacher),
        student_minus_baseline=None if baseline is None else estimate(student - baseline),
        gap_closed=closed,
    )


def _at_thresholds(replicates, thresholds, estimate):
    return tuple(
        ThresholdAgreement(
            threshold=threshold,
            agreement=estimate(replicates[f"alike at {threshold}"]),
            teacher_yes=float(replicates[f"teacher at {threshold}"][0]),
            student_yes=float(replicates[f"student at {threshold}"][0]),
        )
        for threshold in thresholds
    )


def _by_class(replicates, inputs, estimate):
    """Compare the most probable classes, one class at a time."""
    if inputs.kind == "regression":
        return ()
    teacher_share, student_share, agreement = agreement_by_class(replicates["classes"])
    observed = np.full(len(inputs.classes), None)
    recall = {"teacher": observed, "student": observed}
    if inputs.y is not None:
        n_classes = len(inputs.classes)
        observed = np.bincount(inputs.y, inputs.sample_weight, n_classes) / inputs.n_samples
        for role in recall:
            counts = replicates["score", role, "confusion"][0]
            recall[role] = ratio(np.diag(counts), counts.sum(axis=1))
    return tuple(
        ClassAgreement(
            label=str(label),
            teacher_share=float(teacher_share[0, k]),
            student_share=float(student_share[0, k]),
            agreement=estimate(agreement[:, k]),
            observed_share=observed[k],
            teacher_recall=recall["teacher"][k],
            student_recall=recall["student"][k],
        )
        for k, label in enumerate(inputs.classes.tolist())
    )


def _segments(inputs, n_bins, confidence):
    if sp.issparse(inputs.X):
        return ()
    teacher, student = inputs.outputs["teacher"], inputs.outputs["student"]
    is_classification = inputs.kind != "regression"
    rows = RowValues(
        divergence=kl_of_rows(teacher, student)
        if is_classification
        else differences_of_rows(teacher, student),
        agreement=teacher.argmax(axis=1) == student.argmax(axis=1) if is_classification else None,
        teacher_loss=_losses_of_rows(teacher, inputs),
        student_loss=_losses_of_rows(student, inputs),
        sample_weight=inputs.sample_weight,
    )
    smallest = int(max(SMALLEST_SEGMENT, SMALLEST_SEGMENT_SHARE * inputs.n_samples))
    return find_segments(
        inputs.X, inputs.names, rows, n_bins=n_bins, min_samples=smallest, confidence=confidence
    )


def _losses_of_rows(outputs, inputs):
    if inputs.y is None:
        return None
    if inputs.kind == "regression":
        return (outputs[:, 0] - inputs.y) ** 2
    return log_losses_of_rows(outputs, inputs.y)


def _groups(replicates, inputs, confidence):
    """Return rates per group, gaps between groups, and what cannot be said about them."""
    names = rates_known(inputs.kind, inputs.y)
    rates, changes, unsaid = [], [], []
    for attribute, groups in inputs.groups.items() if names else ():
        labels, sizes = np.unique(groups, return_counts=True)
        of_role = {role: replicates["group", role, attribute] for role in inputs.models}
        rates += [
            GroupRate(
                attribute=attribute,
                group=str(label),
                n_samples=int(sizes[g]),
                rate=name,
                teacher=_first(of_role.get("teacher"), g, r),
                student=_first(of_role["student"], g, r),
                baseline=_first(of_role.get("baseline"), g, r),
            )
            for r, name in enumerate(names)
            for g, label in enumerate(labels)
        ]
        counts = sizes >= SMALLEST_GROUP
        if not counts.all():
            unsaid.append(
                f"Groups of {attribute} with fewer than {SMALLEST_GROUP} rows do not count for "
                f"gaps: {', '.join(labels[~counts])}."
            )
        if "teacher" in of_role and counts.sum() > 1:
            teacher, student = (gaps_of(of_role[r], counts) for r in ("teacher", "student"))
            changes += [
                (attribute, name, teacher[:, r], student[:, r]) for r, name in enumerate(names)
            ]
    gaps = [
        GroupGap(
            attribute=attribute,
            rate=name,
            teacher=float(teacher[0]),
            student=float(student[0]),
            change=Estimate.one_of(len(changes), student - teacher, confidence),
        )
        for attribute, name, teacher, student in changes
    ]
    return tuple(rates), tuple(gaps), unsaid


def _first(replicates, group, rate):
    return None if replicates is None else float(replicates[0, group, rate])


def _costs(inputs):
    costs = {}
    with stage("measure-costs"):
        for role, model in inputs.models.items():
            costs[role] = measure_cost(model, inputs.X)
            if role == "student" and (scorer := measure_scorer(model, inputs.X)) is not None:
                costs["lean_scorer"] = scorer
    return costs
