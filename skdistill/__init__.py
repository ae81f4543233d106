"""Distil a tree ensemble into a small student, as a scikit-learn estimator.

    teacher  ->  margins  ->  transfer set  ->  student  ->  fidelity   ->  report, export
    (fitted      (log-odds,   (labelled +      (tree,       (how close)     (verdict, reasons, page;
     ensemble)    honest)      unlabelled +     linear,                      ONNX, C, SQL, file,
                               synthetic rows)  MLP)                         lean scorer)

Rooms, in the order of the flow: `distill` sees all of it; `teacher` gives margins; `transfer_set`
makes the rows; `students` learn from them; `fidelity` compares; `report` shows; `export` writes
files that score elsewhere, and `scorer` scores without scikit-learn. Around it `search` chooses a
student within a budget, `decisions` turns scores into actions and money, `monitor` watches a
deployed student. Below it `models` (who is who in what users pass), `soft_labels`,
`stacking` and `weighted_statistics` (the maths), `rows` and `columns` (checked input) and
`estimators` (a look inside those users pass), `levels` (what equals a category).

More names are in the public modules `skdistill.decisions`, `skdistill.fidelity`,
`skdistill.exceptions`, `skdistill.report` and `skdistill.export` (classes of results),
`skdistill.monitor` and `skdistill.scorer`.
"""

from typing import TYPE_CHECKING

from skdistill.lazy import lazy_names

if TYPE_CHECKING:  # what editors and type checkers see
    from skdistill.distill import DistilledClassifier, DistilledRegressor
    from skdistill.distill.hints import (
        AdversarialHint,
        AttributionHint,
        LeafHint,
        ProximityHint,
    )
    from skdistill.distill.munge import Munge
    from skdistill.distill.mutual import MutualDistilledClassifier
    from skdistill.distill.online import OnlineDistilledClassifier
    from skdistill.export.c import to_c
    from skdistill.export.lean import lean_scorer
    from skdistill.export.onnx.to_onnx import to_onnx
    from skdistill.export.sql.to_sql import to_sql
    from skdistill.export.student_file import SKOPS_TRUSTED_TYPES, load, save
    from skdistill.export.verify import verify
    from skdistill.fidelity import fidelity_scorer
    from skdistill.monitor.fidelity_monitor import FidelityMonitor
    from skdistill.report.displays.cost_curve_display import CostCurveDisplay
    from skdistill.report.displays.curves_display import CurvesDisplay
    from skdistill.report.displays.loss_curve_display import LossCurveDisplay
    from skdistill.report.displays.monitor_display import MonitorDisplay
    from skdistill.report.displays.scorecard_display import ScorecardDisplay
    from skdistill.report.displays.student_search_display import StudentSearchDisplay
    from skdistill.report.displays.tree_display import TreeDisplay
    from skdistill.report.fidelity.compare_models import fidelity_report
    from skdistill.report.page.distillation_report import distillation_report
    from skdistill.report.reasons.compare_reasons import attribution_report
    from skdistill.report.reasons.explain import explain, reason_codes
    from skdistill.search.budget import Budget
    from skdistill.search.student_search import StudentSearchCV
    from skdistill.students.linear import LinearStudentClassifier, LinearStudentRegressor
    from skdistill.students.mlp import MLPStudentClassifier, MLPStudentRegressor
    from skdistill.students.soft_label_classifier import SoftLabelClassifier
    from skdistill.students.soft_tree import SoftTreeStudentClassifier
    from skdistill.students.tree import TreeStudentClassifier, TreeStudentRegressor
    from skdistill.students.tree_sum import TreeSumStudentClassifier, TreeSumStudentRegressor
    from skdistill.teacher.multi_teacher import MultiTeacher
    from skdistill.teacher.transfer_rows import transfer_rows_from_teacher
    from skdistill.transfer_set import TransferSet

__version__ = "0.1.0"

# Public name -> module that defines it, in the order of the flow.
_PUBLIC = {
    "DistilledClassifier": "distill",
    "DistilledRegressor": "distill",
    "OnlineDistilledClassifier": "distill.online",
    "MutualDistilledClassifier": "distill.mutual",
    "MultiTeacher": "teacher.multi_teacher",
    "transfer_rows_from_teacher": "teacher.transfer_rows",
    "LeafHint": "distill.hints",
    "ProximityHint": "distill.hints",
    "AttributionHint": "distill.hints",
    "AdversarialHint": "distill.hints",
    "Munge": "distill.munge",
    "TransferSet": "transfer_set",
    "TreeStudentClassifier": "students.tree",
    "TreeStudentRegressor": "students.tree",
    "TreeSumStudentClassifier": "students.tree_sum",
    "TreeSumStudentRegressor": "students.tree_sum",
    "LinearStudentClassifier": "students.linear",
    "LinearStudentRegressor": "students.linear",
    "MLPStudentClassifier": "students.mlp",
    "MLPStudentRegressor": "students.mlp",
    "SoftTreeStudentClassifier": "students.soft_tree",
    "SoftLabelClassifier": "students.soft_label_classifier",
    "fidelity_scorer": "fidelity",
    "fidelity_report": "report.fidelity.compare_models",
    "distillation_report": "report.page.distillation_report",
    "explain": "report.reasons.explain",
    "reason_codes": "report.reasons.explain",
    "attribution_report": "report.reasons.compare_reasons",
    "TreeDisplay": "report.displays.tree_display",
    "CurvesDisplay": "report.displays.curves_display",
    "ScorecardDisplay": "report.displays.scorecard_display",
    "LossCurveDisplay": "report.displays.loss_curve_display",
    "CostCurveDisplay": "report.displays.cost_curve_display",
    "lean_scorer": "export.lean",
    "to_onnx": "export.onnx.to_onnx",
    "to_c": "export.c",
    "to_sql": "export.sql.to_sql",
    "verify": "export.verify",
    "save": "export.student_file",
    "load": "export.student_file",
    "SKOPS_TRUSTED_TYPES": "export.student_file",
    "StudentSearchCV": "search.student_search",
    "Budget": "search.budget",
    "StudentSearchDisplay": "report.displays.student_search_display",
    "FidelityMonitor": "monitor.fidelity_monitor",
    "MonitorDisplay": "report.displays.monitor_display",
}

#: Modules with more public names.
_ROOMS = ("decisions", "exceptions", "export", "fidelity", "monitor", "report", "scorer")

__all__ = list(_PUBLIC)
__getattr__, __dir__ = lazy_names(__name__, _PUBLIC, _ROOMS)
