"""How good a student is beside its teacher: numbers, reasons, pictures and one page.

`fidelity` compares predictions, `reasons` compares explanations, `displays` draws students that
people can read, and `page` puts all of it into one page. They share `html` and `plotting`. The
functions that make reports are in `skdistill`; the classes of what they return are here.
"""

from typing import TYPE_CHECKING

from skdistill.lazy import lazy_names

if TYPE_CHECKING:  # what editors and type checkers see
    from skdistill.report.fidelity.fidelity_report import FidelityReport
    from skdistill.report.page.distillation_report import DistillationReport
    from skdistill.report.reasons.attribution_report import AttributionReport
    from skdistill.report.reasons.explain import Reason

_PUBLIC = {
    "FidelityReport": "fidelity.fidelity_report",
    "AttributionReport": "reasons.attribution_report",
    "Reason": "reasons.explain",
    "DistillationReport": "page.distillation_report",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = lazy_names(__name__, _PUBLIC)
