"""skdistill: distil a tree ensemble into a small student, as a scikit-learn estimator.

    teacher  ->  margins  ->  transfer set  ->  student  ->  fidelity   ->  report, export
    (fitted      (log-odds,   (labelled +      (tree,       (how close)     (verdict, reasons, page;
     ensemble)    honest)      unlabelled +     linear,                      ONNX, C, SQL, file,
                               synthetic rows)  MLP)                         lean scorer)

Rooms, in the order of the flow: `distill` sees all of it; `teacher` gives margins; `transfer_set`
makes the rows; `students` learn from them; `fidelity` compares; `report` shows; `export` writes
files that score elsewhere, and `scorer` scores without scikit-learn. Around it `search` chooses a
student within a budget, `decisions` turns scores into actions and money, `monitor` watches a
deployed student. Below it `models` (who is who in what users pass), `soft_labels`,
`opinion_pool`, `ranking` and `bootstrap` (the maths), `rows` and `columns` (checked input) and
`estimators` (a look inside those users pass), `levels` (what equals a category).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what editors and type checkers see
    from skdistill.decisions.bands import DecisionBands
    from skdistill.decisions.cost_curve import review_cost_curve
    from skdistill.decisions.costs import DecisionCosts
    from skdistill.decisions.metrics import (
        card_precision_at_k,
        precision_at_k,
        recall_at_fpr,
        recall_at_k,
    )
    from skdistill.decisions.scorers import fraud_scorer
    from skdistill.distill import DistilledClassifier, DistilledRegressor
    from skdistill.distill.mutual import MutualDistilledClassifier
    from skdistill.distill.online import OnlineDistilledClassifier
    from skdistill.export.c import to_c
    from skdistill.export.certificate import Certificate
    from skdistill.export.lean import lean_scorer
    from skdistill.export.onnx.to_onnx import to_onnx
    from skdistill.export.sql.to_sql import to_sql
    from skdistill.export.student_file import SKOPS_TRUSTED_TYPES, load, save
    from skdistill.export.verify import verify
    from skdistill.fidelity import (
        agreement,
        fidelity_scorer,
        gap_closed,
        js_divergence,
        kl_divergence,
        top_k_overlap,
    )
    from skdistill.monitor.fidelity_monitor import FidelityMonitor
    from skdistill.monitor.report import MonitorReport
    from skdistill.report.decisions.card import DecisionReport
    from skdistill.report.decisions.report import decision_report
    from skdistill.report.displays.cost_curve_display import CostCurveDisplay
    from skdistill.report.displays.curves_display import CurvesDisplay
    from skdistill.report.displays.loss_curve import LossCurveDisplay
    from skdistill.report.displays.monitor_display import MonitorDisplay
    from skdistill.report.displays.scorecard import ScorecardDisplay
    from skdistill.report.displays.student_search_display import StudentSearchDisplay
    from skdistill.report.displays.tree import TreeDisplay
    from skdistill.report.fidelity.card import FidelityReport
    from skdistill.report.fidelity.report import fidelity_report
    from skdistill.report.page.distillation_report import DistillationReport
    from skdistill.report.reasons.explain import Reason, explain, reason_codes
    from skdistill.report.reasons.report import AttributionReport, attribution_report
    from skdistill.scorer.lean_scorer import LeanScorer
    from skdistill.search.budget import Budget
    from skdistill.search.student_search import StudentSearchCV
    from skdistill.students.linear import LinearStudentClassifier, LinearStudentRegressor
    from skdistill.students.mlp import MLPStudentClassifier, MLPStudentRegressor
    from skdistill.students.soft_label_classifier import SoftLabelClassifier
    from skdistill.students.soft_tree import SoftTreeStudentClassifier
    from skdistill.students.tree import TreeStudentClassifier, TreeStudentRegressor
    from skdistill.teacher.multi_teacher import MultiTeacher
    from skdistill.teacher.transfer_rows import transfer_rows_from_teacher
    from skdistill.transfer_set import Munge, TransferSet

__version__ = "0.1.0"

# Public name -> module that defines it, in the order of the flow.
_PUBLIC = {
    "DistilledClassifier": "distill",
    "DistilledRegressor": "distill",
    "OnlineDistilledClassifier": "distill.online",
    "MutualDistilledClassifier": "distill.mutual",
    "MultiTeacher": "teacher.multi_teacher",
    "transfer_rows_from_teacher": "teacher.transfer_rows",
    "Munge": "transfer_set",
    "TransferSet": "transfer_set",
    "TreeStudentClassifier": "students.tree",
    "TreeStudentRegressor": "students.tree",
    "LinearStudentClassifier": "students.linear",
    "LinearStudentRegressor": "students.linear",
    "MLPStudentClassifier": "students.mlp",
    "MLPStudentRegressor": "students.mlp",
    "SoftTreeStudentClassifier": "students.soft_tree",
    "SoftLabelClassifier": "students.soft_label_classifier",
    "agreement": "fidelity",
    "kl_divergence": "fidelity",
    "js_divergence": "fidelity",
    "top_k_overlap": "fidelity",
    "gap_closed": "fidelity",
    "fidelity_scorer": "fidelity",
    "recall_at_fpr": "decisions.metrics",
    "precision_at_k": "decisions.metrics",
    "recall_at_k": "decisions.metrics",
    "card_precision_at_k": "decisions.metrics",
    "fraud_scorer": "decisions.scorers",
    "DecisionCosts": "decisions.costs",
    "DecisionBands": "decisions.bands",
    "review_cost_curve": "decisions.cost_curve",
    "fidelity_report": "report.fidelity.report",
    "FidelityReport": "report.fidelity.card",
    "decision_report": "report.decisions.report",
    "DecisionReport": "report.decisions.card",
    "explain": "report.reasons.explain",
    "reason_codes": "report.reasons.explain",
    "Reason": "report.reasons.explain",
    "attribution_report": "report.reasons.report",
    "AttributionReport": "report.reasons.report",
    "TreeDisplay": "report.displays.tree",
    "CurvesDisplay": "report.displays.curves_display",
    "ScorecardDisplay": "report.displays.scorecard",
    "LossCurveDisplay": "report.displays.loss_curve",
    "CostCurveDisplay": "report.displays.cost_curve_display",
    "DistillationReport": "report.page.distillation_report",
    "lean_scorer": "export.lean",
    "LeanScorer": "scorer.lean_scorer",
    "to_onnx": "export.onnx.to_onnx",
    "to_c": "export.c",
    "to_sql": "export.sql.to_sql",
    "verify": "export.verify",
    "Certificate": "export.certificate",
    "save": "export.student_file",
    "load": "export.student_file",
    "SKOPS_TRUSTED_TYPES": "export.student_file",
    "StudentSearchCV": "search.student_search",
    "Budget": "search.budget",
    "StudentSearchDisplay": "report.displays.student_search_display",
    "FidelityMonitor": "monitor.fidelity_monitor",
    "MonitorReport": "monitor.report",
    "MonitorDisplay": "report.displays.monitor_display",
}

__all__ = list(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
