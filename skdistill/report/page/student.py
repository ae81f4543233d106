"""The student itself, as far as people can read it: rules, curves, or how it was trained."""

from skdistill.estimators import last_step
from skdistill.report.displays.curves_display import CurvesDisplay
from skdistill.report.displays.loss_curve import LossCurveDisplay
from skdistill.report.displays.scorecard import ScorecardDisplay
from skdistill.report.displays.tree import TreeDisplay
from skdistill.report.page.svg import svg_of, themed
from skdistill.report.plotting import import_pyplot
from skdistill.students.linear import LinearStudentClassifier, LinearStudentRegressor
from skdistill.students.mlp import MLPStudentClassifier, MLPStudentRegressor
from skdistill.students.tree import TreeStudentClassifier, TreeStudentRegressor

#: A tree with more leaves is shown as rules only.
MOST_LEAVES_DRAWN = 40

#: Lines of a scorecard below each other.
MOST_LINES = 100

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
    return {
        "sentence": f"The student is a {type(student).__name__}, which this page cannot show.",
        "figures": {},
        "rules": None,
    }


def _show_tree(case, student):
    teacher = case.models.get("teacher")
    with themed():
        display = TreeDisplay.from_estimator(
            case.models["student"].estimator,
            case.X,
            None if case.y is None else _labels(case),
            teacher=None if teacher is None else teacher.estimator,
        )
        figures = {"Every path from the left is a rule": svg_of(display.figure_, "tree")}
        import_pyplot().close(display.figure_)
    return {
        "sentence": f"The student is a tree of {student.n_leaves_} leaves, at most "
        f"{student.depth_} questions deep.",
        "figures": figures if student.n_leaves_ <= MOST_LEAVES_DRAWN else {},
        "rules": display.text(MOST_LEVELS),
    }


def _show_curves(case, student):
    shown = range(len(case.classes)) if case.kind == "multiclass" else [None]
    figures = {}
    for k in list(shown)[:3]:
        label = None if k is None else case.classes[k].item()
        with themed():
            display = CurvesDisplay.from_estimator(
                case.models["student"].estimator, case.X, class_of_interest=label, n_cols=2
            )
            caption = "The six most important columns: what each value adds to the score"
            figures[caption + ("" if k is None else f" of class {label}")] = svg_of(
                display.figure_, f"curves-{k or 0}"
            )
            import_pyplot().close(display.figure_)
    if case.kind == "binary":
        with themed():
            card = ScorecardDisplay.from_estimator(
                case.models["student"].estimator, case.X, max_lines=MOST_LINES
            )
            caption = "The same as a table of points, for those who add up by hand"
            figures[caption] = svg_of(card.figure_, "scorecard")
            import_pyplot().close(card.figure_)
    return {
        "sentence": f"The student adds up one curve for each of {len(student.curves_)} columns.",
        "figures": figures,
        "rules": None,
    }


def _show_network(student):
    layers = " - ".join(
        str(width) for width in [len(student.coefs_[0]), *map(len, student.intercepts_)]
    )
    figures = {}
    if student.history_.get("train_loss"):
        with themed():
            display = LossCurveDisplay.from_estimator(student)
            figures["Loss while it was trained"] = svg_of(display.figure_, "loss")
            import_pyplot().close(display.figure_)
    return {
        "sentence": f"The student is a network of {layers} units, from codes of the columns to its "
        f"answer, trained for {student.n_iter_} epochs of which epoch {student.best_epoch_} was "
        "kept. Nobody can read it; the reasons above are those of its answers.",
        "figures": figures,
        "rules": None,
    }


def _labels(case):
    return case.y if case.classes is None else case.classes[case.y]
