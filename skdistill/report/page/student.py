"""The student itself, as far as people can read it: rules, curves, or how it was trained."""

from functools import partial

from skdistill.estimators import last_step
from skdistill.report.displays.curves_display import CurvesDisplay
from skdistill.report.displays.loss_curve import LossCurveDisplay
from skdistill.report.displays.scorecard import ScorecardDisplay
from skdistill.report.displays.tree import TreeDisplay
from skdistill.report.page.svg import display_svg
from skdistill.students.linear import LinearStudentClassifier, LinearStudentRegressor
from skdistill.students.mlp import MLPStudentClassifier, MLPStudentRegressor
from skdistill.students.soft_tree import SoftTreeStudentClassifier
from skdistill.students.tree import TreeStudentClassifier, TreeStudentRegressor

#: A tree with more leaves is shown as rules only.
MOST_LEAVES_DRAWN = 40

#: Lines of a scorecard below each other.
MOST_LINES = 100

#: Of more classes, the curves of the first few are drawn.
MOST_CLASSES = 3

#: Levels of a nominal column that a rule names.
MOST_LEVELS = 8


def show_student(case):
    """Show the student of a case.

    Parameters
    ----------
    case : Case
        Models and rows.

    Returns
    -------
    shown : dict
        ``sentence``, ``figures`` (caption to SVG) and ``rules``, text or None.
    """
    student = last_step(case.models["student"].estimator)
    if isinstance(student, TreeStudentClassifier | TreeStudentRegressor):
        return _show_tree(case, student)
    if isinstance(student, LinearStudentClassifier | LinearStudentRegressor):
        return _show_curves(case, student)
    if isinstance(student, MLPStudentClassifier | MLPStudentRegressor):
        return _show_network(student)
    if isinstance(student, SoftTreeStudentClassifier):
        return _show_soft_tree(student)
    return {
        "sentence": f"The student is a {type(student).__name__}, which this page cannot show.",
        "figures": {},
        "rules": None,
    }


def _show_tree(case, student):
    display, svg = display_svg(
        "tree",
        lambda: TreeDisplay.from_estimator(
            case.models["student"].estimator,
            case.X,
            None if case.y is None else _labels(case),
            teacher=case.models.get("teacher"),
        ),
    )
    is_drawn = display is None or student.n_leaves_ <= MOST_LEAVES_DRAWN
    return {
        "sentence": f"The student is a tree of {student.n_leaves_} leaves, at most "
        f"{student.depth_} questions deep.",
        "figures": {"Every path from the left is a rule": svg} if is_drawn else {},
        "rules": None if display is None else display.text(MOST_LEVELS),
    }


def _show_curves(case, student):
    estimator = case.models["student"].estimator
    labels = case.classes.tolist()[:MOST_CLASSES] if case.kind == "multiclass" else [None]
    figures = {}
    for number, label in enumerate(labels):
        _, svg = display_svg(
            f"curves-{number}",
            partial(
                CurvesDisplay.from_estimator, estimator, case.X, class_of_interest=label, n_cols=2
            ),
        )
        of_class = "" if label is None else f" of class {label}"
        caption = "The six most important columns: what each value adds to the score"
        figures[caption + of_class] = svg
    if case.kind == "binary":
        _, figures["The same as a table of points, for those who add up by hand"] = display_svg(
            "scorecard",
            lambda: ScorecardDisplay.from_estimator(estimator, case.X, max_lines=MOST_LINES),
        )
    return {
        "sentence": f"The student adds up one curve for each of {len(student.curves_)} columns.",
        "figures": figures,
        "rules": None,
    }


def _show_network(student):
    widths = [len(student.coefs_[0]), *map(len, student.intercepts_)]
    return {
        "sentence": f"The student is a network of {' - '.join(map(str, widths))} units, from codes "
        f"of the columns to its answer, trained for {student.n_iter_} epochs of which epoch "
        f"{student.best_epoch_} was kept. Nobody can read it; the reasons above are those of its "
        "answers.",
        "figures": _loss_curve(student),
        "rules": None,
    }


def _show_soft_tree(student):
    return {
        "sentence": f"The student is a soft tree of {student.n_leaves_} leaves. Each node adds up "
        "a curve of every column and sends a row to both sides, more of it to the one that the sum "
        "speaks for. Below, the columns that matter most at every node, and what the leaves answer "
        "for themselves; the answer to a row is the mean of their margins, weighted by how much of "
        "the row reaches them.",
        "figures": _loss_curve(student),
        "rules": student.export_text(),
    }


def _loss_curve(student):
    if not student.history_.get("train_loss"):
        return {}
    _, svg = display_svg("loss", lambda: LossCurveDisplay.from_estimator(student))
    return {"Loss while it was trained": svg}


def _labels(case):
    return case.y if case.classes is None else case.classes[case.y]
