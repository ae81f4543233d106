"""Decisions of a fraud desk: metrics, costs, bands of scores, and what decisions cost.

    scores  ->  metrics                      (what is found among the alerts of a day)
            ->  DecisionCosts, DecisionBands (approve, review or decline)  ->  decision_report

`metrics` computes what is found, `scorers` makes scikit-learn scorers of it, `costs` holds the
cost of errors and reviews, `bands` sets the thresholds and prices the reviews, `cost_curve` is the
cost by review capacity, `calibration` compares probabilities with observed rates, `compare_money`
computes what decisions by teacher and student cost, `results` holds it, `payments` and `checks`
check days, cards and amounts.
"""

from typing import TYPE_CHECKING

from skdistill.lazy import lazy_names

if TYPE_CHECKING:  # what editors and type checkers see
    from skdistill.decisions.bands import DecisionBands
    from skdistill.decisions.compare_money import decision_report
    from skdistill.decisions.cost_curve import review_cost_curve
    from skdistill.decisions.costs import DecisionCosts
    from skdistill.decisions.metrics import (
        card_precision_at_k,
        precision_at_k,
        recall_at_fpr,
        recall_at_k,
    )
    from skdistill.decisions.results import DecisionReport
    from skdistill.decisions.scorers import fraud_scorer

_PUBLIC = {
    "recall_at_fpr": "metrics",
    "precision_at_k": "metrics",
    "recall_at_k": "metrics",
    "card_precision_at_k": "metrics",
    "fraud_scorer": "scorers",
    "DecisionCosts": "costs",
    "DecisionBands": "bands",
    "review_cost_curve": "cost_curve",
    "decision_report": "compare_money",
    "DecisionReport": "results",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = lazy_names(__name__, _PUBLIC)
