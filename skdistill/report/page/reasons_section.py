"""The reasons of teacher and student, as the page shows them."""

import numpy as np

from skdistill.report.page.svg import draw_svg
from skdistill.report.reasons.attribution_report import SECTIONS

#: Columns whose dependence is drawn.
COLUMNS_DRAWN = 5


def show_reasons(report):
    """Show an attribution report.

    The dict has ``summary``, ``figures`` (caption to SVG), ``tables`` (heading to rows) and
    ``note``.
    """
    n_columns = min(10, len(report.importance))
    figures = {
        "How much each column matters: mean size of its contributions": draw_svg(
            "importance", report.plot_importance, size=(4.2, 1.2 + 0.3 * n_columns)
        )
    }
    for number, item in enumerate(report.importance[:COLUMNS_DRAWN], start=1):
        figures[f"What {item.column} contributes, by its value"] = draw_svg(
            f"dependence-{number}", _dependence_of(report, item.column)
        )
    drawn = report.student.output_names[report.drawn_class()]
    of_class = f" The curves are those of class {drawn}." if report.kind == "multiclass" else ""
    origins, counts = np.unique(report.origin, return_counts=True)
    chosen = ", ".join(f"{n} {origin}" for origin, n in zip(origins, counts, strict=True))
    return {
        "summary": report.summary,
        "figures": figures,
        "tables": {
            SECTIONS[name]: found
            for name in ("local", "stability")
            if (found := report.section(name))
        },
        "note": (
            f"SHAP values of {len(report.rows):,} rows ({chosen}) against the same background "
            f"rows, in {report.output_space.replace('_', '-')}. Teacher: {report.teacher.method}. "
            f"Student: {report.student.method}.{of_class}"
        ),
    }


def _dependence_of(report, column):
    def draw(ax):
        report.plot_dependence([column], np.array([ax]))
        ax.set_title("")  # the caption has the name, the first figure the legend
        ax.get_legend().remove()
        ax.locator_params(axis="x", nbins=5)

    return draw
