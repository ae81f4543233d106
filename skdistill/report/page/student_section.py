"""The student as people can read it: its rules, its curves, or how it was trained."""

from itertools import groupby

from skdistill.estimators import last_step
from skdistill.formatting import percent
from skdistill.report.displays.curves_display import CurvesDisplay, read_curves
from skdistill.report.displays.loss_curve_display import LossCurveDisplay
from skdistill.report.displays.scorecard_display import ScorecardDisplay, make_scorecard
from skdistill.report.displays.tree_display import TreeDisplay, read_tree
from skdistill.report.page.svg import display_svg, draw_svg, panel_svgs
from skdistill.students.base import stated

#: A tree with more leaves is shown as rules only.
MOST_LEAVES_DRAWN = 40

#: Curves of an additive student that are drawn.
MOST_CURVES = 6

#: Of more classes, the curves of the first few are drawn.
MOST_CLASSES = 3

#: Levels of a nominal column that a rule names.
MOST_LEVELS = 8


def show_student(inputs):
    """Show the student of a report.

    The dict has ``sentence``, ``figures`` and ``wide_figures`` (caption to SVG), ``scorecard``
    (sentences and columns), ``rules`` (rows of a table) with their ``rules_title``, and ``text``;
    what there is not is empty.
    """
    student = last_step(inputs.models["student"].estimator)
    shown = {"figures": {}, "wide_figures": {}, "scorecard": None, "rules": [], "text": ""}
    return shown | SHOWN_ON_PAGES[stated(student, "form")](inputs, student)


def _show_unknown(inputs, student):
    return {"sentence": f"The student is a {type(student).__name__}, which this page cannot show."}


def _show_tree(inputs, student):
    y = None if inputs.y is None else _labels(inputs)
    display = read_tree(
        TreeDisplay,
        inputs.models["student"].estimator,
        inputs.X,
        y,
        teacher=inputs.models.get("teacher"),
        name=type(student).__name__,
    )
    figures = {}
    if student.n_leaves_ <= MOST_LEAVES_DRAWN:
        _, figures["Every path from the root at the left is a rule"] = display_svg(
            "tree", display.plot
        )
    return {
        "sentence": f"The student is a tree of {student.n_leaves_} leaves, at most "
        f"{student.depth_} splits deep.",
        "wide_figures": figures,
        "rules": display.section(MOST_LEVELS),
        "rules_title": f"{display.title()}.",
    }


def _show_curves(inputs, student):
    estimator = inputs.models["student"].estimator
    labels = inputs.classes.tolist()[:MOST_CLASSES] if inputs.kind == "multiclass" else [None]
    figures = {}
    for number, label in enumerate(labels):
        names, svgs = _draw_curves(inputs, estimator, f"curves-{number}", label)
        of_class = "" if label is None else f" of class {label}"
        captions = [f"What {name} adds to the score{of_class}" for name in names]
        figures |= dict(zip(captions, svgs, strict=True))
    n_drawn = min(MOST_CURVES, len(student.curves_))
    most = f" The {n_drawn} most important ones:" if n_drawn < len(student.curves_) else ""
    of_classes = (
        f" Of {len(inputs.classes)} classes, those of the first {MOST_CLASSES} are drawn."
        if len(labels) > 1 and len(inputs.classes) > MOST_CLASSES
        else ""
    )
    return {
        "sentence": f"The student adds up one curve for each of {len(student.curves_)} columns."
        f"{of_classes}{most}",
        "figures": figures,
        "scorecard": _scorecard(inputs, estimator) if inputs.kind == "binary" else None,
    }


def _draw_curves(inputs, estimator, name, label):
    """Return the names of the most important columns, and their curves."""
    display = read_curves(CurvesDisplay, estimator, inputs.X, class_of_interest=label)
    shown = display.curves[:MOST_CURVES]
    svgs = panel_svgs(
        name, len(shown), lambda axes: display.plot(axes, n_columns=len(shown)), size=(3.9, 2.9)
    )
    return [curve.name for curve in shown], svgs


def _scorecard(inputs, estimator):
    """Return a table of points, column by column."""
    card = make_scorecard(ScorecardDisplay, estimator, inputs.X)
    largest = max((abs(row.points) for row in card.rows), default=0) or 1
    columns = [
        (
            name,
            [
                {
                    "text": row.text(MOST_LEVELS).replace("<=", "≤").replace(">=", "≥"),
                    "points": f"{row.points:+d}" if row.points else "0",
                    "tone": " against" if row.points < 0 else "",
                    "part": round(100 * abs(row.points) / largest),
                    "share": None if row.share is None else percent(row.share),
                }
                for row in rows
            ],
        )
        for name, rows in groupby(card.rows, key=lambda row: row.name)
    ]
    return {"sentences": card.sentences(), "columns": columns}


def _show_network(inputs, student):
    widths = [len(student.coefs_[0]), *map(len, student.intercepts_)]
    return {
        "sentence": f"The student is a network of {' - '.join(map(str, widths))} units, from codes "
        f"of the columns to its prediction, trained for {student.n_iter_} epochs of which epoch "
        f"{student.best_epoch_} was kept. It cannot be read as rules; the section on reasons "
        "explains its predictions.",
        "figures": _loss_curve(student),
    }


def _show_soft_tree(inputs, student):
    return {
        "sentence": f"The student is a soft tree of {student.n_leaves_} leaves. Each node adds up "
        "a curve of every column and sends a share of each row to either side: the sum says how "
        "much. Below are the columns that matter most at every node, and the predictions of the "
        "leaves; the prediction for a row is the mean of the leaves' margins, weighted by the "
        "share of the row that reaches them.",
        "figures": _loss_curve(student),
        "text": student.export_text(),
    }


def _loss_curve(student):
    if not student.history_.get("train_loss"):
        return {}
    svg = draw_svg("loss", lambda ax: LossCurveDisplay.from_estimator(student, ax=ax))
    return {"Loss during training": svg}


def _labels(inputs):
    return inputs.y if inputs.classes is None else inputs.classes[inputs.y]


#: By the form that a student states, see `Student`.
SHOWN_ON_PAGES = {
    "tree": _show_tree,
    "tree_sum": _show_unknown,
    "additive": _show_curves,
    "network": _show_network,
    "soft_tree": _show_soft_tree,
    None: _show_unknown,
}
