"""Scorers of a fraud desk's metrics, for searches and tuned thresholds."""

import inspect
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.metrics import average_precision_score, make_scorer

from skdistill.decisions.bands import DecisionBands
from skdistill.decisions.checks import check_days, check_positives, check_probabilities
from skdistill.decisions.costs import APPROVE, DECISIONS, DecisionCosts
from skdistill.decisions.metrics import (
    card_precision_at_k,
    precision_at_k,
    recall_at_fpr,
    recall_at_k,
)
from skdistill.messages import shown
from skdistill.rows import check_weights

__all__ = ["fraud_scorer"]


def fraud_scorer(metric="average_precision", **params):
    """Make a scorer of a fraud desk's metric, for searches and tuned thresholds.

    Parameters
    ----------
    metric : str, default="average_precision"
        Of scores: "average_precision" (scikit-learn's), "recall_at_fpr", "precision_at_k",
        "recall_at_k" or "card_precision_at_k" (the functions of these names); of probabilities:
        "band_cost", the mean cost of a row if `DecisionBands` decide; of predicted classes, and so
        for ``TunedThresholdClassifierCV``: "decision_cost", the mean cost of a row if those that
        are predicted to be frauds are declined, or reviewed, and the others approved.
    **params : dict
        Parameters of the metric, such as ``fpr=0.05`` or ``k=100``. "band_cost" takes ``bands``,
        a `DecisionBands`; "decision_cost" takes ``costs``, a `DecisionCosts`, and ``flagged``,
        "decline" (default) or "review". All take ``pos_label``, the class that is fraud, which has
        to be passed unless classes are {0, 1} or {-1, 1}.

    Returns
    -------
    scorer : callable
        To be passed as ``scoring``; greater is better, so costs are negative.

    Raises
    ------
    ValueError
        If there is no such metric.
    TypeError
        If a parameter is missing that it needs, or passed that it does not have.

    See Also
    --------
    fidelity_scorer : Chooses by fidelity to the teacher.

    Notes
    -----
    Days, groups, amounts and weights of the rows come through scikit-learn's metadata routing: with
    ``sklearn.set_config(enable_metadata_routing=True)``, ask for them by
    ``scorer.set_score_request(days=True)`` and pass them to the search's ``fit``, or as ``params``
    of ``cross_validate``.

    "band_cost" sets the price of reviews on the rows that it scores, from their scores alone.

    Examples
    --------
    The depth of a tree that finds most frauds with 5 % false alarms:

    >>> from sklearn.datasets import make_classification
    >>> from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
    >>> from skdistill import TreeStudentClassifier
    >>> from skdistill.decisions import DecisionCosts, fraud_scorer
    >>> X, y = make_classification(2000, weights=[0.9], flip_y=0.02, class_sep=0.5, random_state=0)
    >>> scorer = fraud_scorer("recall_at_fpr", fpr=0.05)
    >>> search = GridSearchCV(TreeStudentClassifier(), {"max_leaf_nodes": [2, 16]}, scoring=scorer)
    >>> search.fit(X, y).best_params_
    {'max_leaf_nodes': 16}

    The threshold from which declining costs least:

    >>> costs = DecisionCosts(missed_fraud=100, declined_legit=20)
    >>> tree = TreeStudentClassifier(random_state=0)
    >>> model = TunedThresholdClassifierCV(
    ...     tree, scoring=fraud_scorer("decision_cost", costs=costs)
    ... )
    >>> print(f"{model.fit(X, y).best_threshold_:.2f}")
    0.13
    """
    if not isinstance(metric, str) or metric not in _METRICS:
        raise ValueError(f"metric={shown(metric)}; one of {list(_METRICS)} was expected.")
    function, response, greater_is_better = _METRICS[metric]
    _check_params(metric, function, params)
    return make_scorer(
        function, response_method=response, greater_is_better=greater_is_better, **params
    )


def decision_cost(
    y_true, y_pred, *, costs, flagged="decline", amounts=None, pos_label=None, sample_weight=None
):
    """Mean cost of a row if those predicted to be frauds are flagged; see `fraud_scorer`."""
    if flagged not in ("review", "decline"):
        raise ValueError(f"flagged={shown(flagged)}; 'decline' or 'review' was expected.")
    if flagged == "review" and costs.review is None:
        raise ValueError(
            "flagged='review' was passed, and costs.review is None: nothing is reviewed."
        )
    _check_routed(costs, amounts)
    positive = check_positives(y_true, pos_label)
    code = DECISIONS.tolist().index(flagged)
    predicted = np.asarray(y_pred) == (1 if pos_label is None else pos_label)
    rows = costs.of_codes(positive, np.where(predicted, code, APPROVE), amounts)
    return float(np.average(rows, weights=sample_weight))


def band_cost(
    y_true, y_proba, *, bands, amounts=None, days=None, pos_label=None, sample_weight=None
):
    """Mean cost of a row if bands decide, set on the same rows; see `fraud_scorer`."""
    _check_routed(bands.costs, amounts, bands.review_capacity, days)
    positive = check_positives(y_true, pos_label)
    probability = check_probabilities(y_proba, len(positive), "y_proba")
    weight = check_weights(sample_weight, probability)
    bands = clone(bands).fit(probability, amounts=amounts, days=days, sample_weight=weight)
    day = None if days is None else check_days(days, len(positive))
    codes = bands.decide_codes(probability, amounts, day, weight)
    return float(np.average(bands.costs.of_codes(positive, codes, amounts), weights=weight))


def cards_found(y_true, y_score, groups=None, *, k, days=None, remove_found=True, pos_label=None):
    """`card_precision_at_k`, which says how the groups get here; see `fraud_scorer`."""
    if groups is None:
        raise ValueError(_how_to_route("groups", "the card of each row"))
    options = {"k": k, "days": days, "remove_found": remove_found, "pos_label": pos_label}
    return card_precision_at_k(y_true, y_score, groups, **options)


def _check_routed(costs, amounts, capacity=None, days=None):
    """Raise if amounts or days are needed, and did not get to the scorer."""
    if costs.need_amounts and amounts is None:
        raise ValueError(_how_to_route("amounts", "the amount of each row"))
    if isinstance(capacity, Integral) and days is None:
        raise ValueError(_how_to_route("days", "the day of each row"))


def _how_to_route(name, what):
    return (
        f"The scorer needs {name}, {what}, and scikit-learn passes them on only on request: "
        "call sklearn.set_config(enable_metadata_routing=True), pass "
        f"scoring=scorer.set_score_request({name}=True) to the search, and {name}={name} to its "
        "fit."
    )


_SCORES = ("decision_function", "predict_proba")

#: Metric -> function of (y_true, predictions), what the model predicts, whether greater is
#: better.
_METRICS = {
    "average_precision": (average_precision_score, _SCORES, True),
    "recall_at_fpr": (recall_at_fpr, _SCORES, True),
    "precision_at_k": (precision_at_k, _SCORES, True),
    "recall_at_k": (recall_at_k, _SCORES, True),
    "card_precision_at_k": (cards_found, _SCORES, True),
    "band_cost": (band_cost, "predict_proba", False),
    "decision_cost": (decision_cost, "predict", False),
}

#: What belongs to rows, and so is passed when scoring.
_OF_ROWS = {"days", "groups", "amounts", "sample_weight"}


def _check_params(metric, function, params):
    """Raise unless the parameters are those of the metric that do not belong to rows."""
    kinds = {"costs": DecisionCosts, "bands": DecisionBands}
    for name, kind in kinds.items():
        if name in params and not isinstance(params[name], kind):
            raise TypeError(
                f"{name} is {shown(params[name])}; an instance of {kind.__name__} was expected."
            )
    known = list(inspect.signature(function).parameters.values())[2:]
    own = {each.name: each for each in known if each.name not in _OF_ROWS}
    unknown = sorted(set(params) - set(own))
    if unknown:
        of_rows = [name for name in unknown if name in _OF_ROWS]
        hint = ""
        if of_rows:
            hint = f" {of_rows} belong to rows. {_how_to_route(of_rows[0], 'one for each row')}"
        raise TypeError(f"{metric!r} has no parameters {unknown}; it has {sorted(own)}.{hint}")
    needed = [name for name, each in own.items() if each.default is inspect.Parameter.empty]
    if missing := sorted(set(needed) - set(params)):
        raise TypeError(f"{metric!r} needs {missing}, such as fraud_scorer({metric!r}, ...=...).")
