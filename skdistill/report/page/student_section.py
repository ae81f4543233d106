"""The student as people can read it: its rules, its curves, or how it was trained."""

from itertools import groupby

import numpy as np

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

#: Curves of an additive student that are drawn, and pairs.
MOST_CURVES, MOST_PAIRS = 6, 6

#: Of more classes, the curves, or the sums of trees, of the first few are drawn.
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


def _show_sum(inputs, student):
    """Show a sum of trees, of several classes one after the other."""
    y = None if inputs.y is None else _labels(inputs)
    figures, rules = {}, []
    for number, label in enumerate(_drawn_classes(inputs)):
        display = read_tree(
            TreeDisplay,
            inputs.models["student"].estimator,
            inputs.X,
            y,
            teacher=inputs.models.get("teacher"),
            class_of_interest=label,
            name=type(student).__name__,
        )
        of_class = "" if label is None else f", for the log-odds of class {label}"
        if student.n_leaves_ <= MOST_LEAVES_DRAWN:
            caption = f"A row takes one path through every tree, and adds up their leaves{of_class}"
            _, figures[caption] = display_svg(f"trees-{number}", display.plot)
        rows = display.section(MOST_LEVELS)
        rules += rows if label is None else [{"class": str(label)} | row for row in rows]
    n_trees = len(student.trees_)
    title = "Every row fulfils one rule of each tree." if len(rules) > 1 else ""
    said = display.sentence() if label is None else ""
    return {
        "sentence": f"The student adds up {n_trees} tree{'s' if n_trees > 1 else ''} of "
        f"{student.n_leaves_} leaves in all. {said}{_of_classes(inputs)}",
        "wide_figures": figures,
        "rules": rules,
        "rules_title": f"{display.title() if label is None else 'Log-odds by class'}. {title}",
    }


def _drawn_classes(inputs):
    """List the classes that are shown one after the other; None where there is one output."""
    return inputs.classes.tolist()[:MOST_CLASSES] if inputs.kind == "multiclass" else [None]


def _of_classes(inputs):
    if inputs.kind != "multiclass" or len(inputs.classes) <= MOST_CLASSES:
        return ""
    return f" Of {len(inputs.classes)} classes, those of the first {MOST_CLASSES} are drawn."


def _show_curves(inputs, student):
    estimator = inputs.models["student"].estimator
    figures = {}
    for number, label in enumerate(_drawn_classes(inputs)):
        captions, svgs = _draw_curves(inputs, estimator, f"curves-{number}", label)
        of_class = "" if label is None else f" of class {label}"
        captions = [f"{caption} to the score{of_class}" for caption in captions]
        figures |= dict(zip(captions, svgs, strict=True))
    n_curves, n_pairs = len(student.curves_), len(student.tables_)
    drawn = [
        f"the {most} most important {what}"
        for what, n, most in (("curves", n_curves, MOST_CURVES), ("pairs", n_pairs, MOST_PAIRS))
        if n > most
    ]
    pairs = (
        f" and one table for {f'each of {n_pairs} pairs' if n_pairs > 1 else 'a pair'} of them: "
        "what both do together, beyond their curves"
        if n_pairs
        else ""
    )
    return {
        "sentence": f"The student adds up one curve for each of {n_curves} columns{pairs}."
        f"{_of_classes(inputs)}{' Drawn are ' + ' and '.join(drawn) + '.' if drawn else ''}",
        "figures": figures,
        "scorecard": _scorecard(inputs, estimator) if inputs.kind == "binary" else None,
    }


def _draw_curves(inputs, estimator, name, label):
    """Return what the most important columns and pairs do, and their figures."""
    display = read_curves(CurvesDisplay, estimator, inputs.X, class_of_interest=label)
    curves, pairs = display.curves[:MOST_CURVES], display.pairs[:MOST_PAIRS]
    svgs = panel_svgs(
        name,
        len(curves) + len(pairs),
        lambda axes: display.plot(axes, n_columns=len(curves), n_pairs=len(pairs)),
        size=(3.9, 2.9),
    )
    captions = [f"What {curve.name} adds" for curve in curves]
    captions += [f"What {' and '.join(pair.names)} add together" for pair in pairs]
    return captions, svgs


def _scorecard(inputs, estimator):
    """Return a table of points, column by column, and the two-way tables of pairs."""
    card = make_scorecard(ScorecardDisplay, estimator, inputs.X)
    points = [row.points for row in card.rows]
    points += [each for pair in card.pairs for each in pair.points.flat]
    largest = max(map(abs, points), default=0) or 1
    columns = [
        (
            name,
            [_points_cell(row.text(MOST_LEVELS), row.points, row.share, largest) for row in rows],
        )
        for name, rows in groupby(card.rows, key=lambda row: row.name)
    ]
    pairs = [_two_way_table(pair, largest) for pair in card.pairs]
    return {"sentences": card.sentences(), "columns": columns, "pairs": pairs}


def _points_cell(text, points, share, largest):
    return {
        "text": _comparisons(text),
        "points": f"{points:+d}" if points else "0",
        "tone": " against" if points < 0 else "",
        "part": round(100 * abs(points) / largest),
        "share": None if share is None else percent(share),
    }


def _two_way_table(pair, largest):
    """Return a table of points: the names of both columns, the headings, and rows of cells."""
    first, second = (map(_comparisons, pair.texts(which, MOST_LEVELS)) for which in (0, 1))
    shares = np.full(pair.points.shape, None) if pair.shares is None else pair.shares
    rows = [
        [_points_cell("", int(points), share, largest) for points, share in zip(*both, strict=True)]
        for both in zip(pair.points, shares, strict=True)
    ]
    a, b = pair.names
    return {
        "a": a,
        "b": b,
        "head": list(map(_unbroken, second)),
        "rows": list(zip(first, rows, strict=True)),
    }


def _unbroken(text):
    """Keep comparisons and their numbers on one line."""
    for sign in ("<", ">", "\u2264", "\u2265"):
        text = text.replace(f"{sign} ", f"{sign}\u00a0")
    return text


def _comparisons(text):
    return text.replace("<=", "\u2264").replace(">=", "\u2265")


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
    "tree_sum": _show_sum,
    "additive": _show_curves,
    "network": _show_network,
    "soft_tree": _show_soft_tree,
    None: _show_unknown,
}
