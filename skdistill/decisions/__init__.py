"""Decisions of a fraud desk: metrics, costs, bands of scores, and what decisions cost.

    scores  ->  metrics                      (what is found among the alerts of a day)
            ->  DecisionCosts, DecisionBands (approve, review or decline)  ->  decision_report

`metrics` computes what is found, `scorers` makes scikit-learn scorers of it, `costs` holds the
cost of errors and reviews, `bands` sets the thresholds and prices the reviews, `cost_curve` is the
cost by review capacity, `calibration` compares probabilities with observed rates, `compare_money`
computes what decisions by teacher and student cost, `results` holds it, `payments` and `checks`
check days, cards and amounts.
"""

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

__all__ = [
    "recall_at_fpr",
    "precision_at_k",
    "recall_at_k",
    "card_precision_at_k",
    "fraud_scorer",
    "DecisionCosts",
    "DecisionBands",
    "review_cost_curve",
    "decision_report",
    "DecisionReport",
]
