"""What the displays share: the student and the class they show, matplotlib, frames, colours."""

import numpy as np
from sklearn.tree import BaseDecisionTree

from skdistill.columns import check_rows, plain_rows
from skdistill.estimators import as_last_step_sees, last_step
from skdistill.messages import shown, warn_caller
from skdistill.students.base import stated

#: A column is long-tailed if it has at least this many distinct values, and half of them lie on
#: less than this share of the axis; its axis has at most this many knots.
FEWEST_SPREAD, NARROW, MOST_SPREAD = 6, 1 / 8, 101

#: Numbers of this size are written with an exponent.
HUGE = 1e13

#: From which size on numbers on an axis are written in which unit.
UNITS = {1e9: (1e9, "G"), 1e6: (1e6, "M"), 1e4: (1e3, "k")}

#: What shows a student that a display was not made for, by the form that it states.
SHOWN_BY = {
    "tree": "TreeDisplay",
    "tree_sum": "TreeDisplay",
    "additive": "CurvesDisplay",
    "network": "LossCurveDisplay",
    "soft_tree": "LossCurveDisplay, or its export_text()",
    None: "sklearn.inspection.PartialDependenceDisplay",
}


def shown_student(display, student, kinds):
    """Return the last step of a student if it is of the `kinds` that a display shows.

    `student` is as `student_and_teacher` finds it. The message of the TypeError names the display.
    """
    last = last_step(student.estimator)
    if isinstance(last, kinds):
        return last
    name = type(last).__name__
    is_tree = isinstance(last, BaseDecisionTree)
    instead = "sklearn.tree.plot_tree" if is_tree else SHOWN_BY[stated(last, "form")]
    raise TypeError(
        f"{display.__name__} was given a {name}; it shows a "
        f"{' or a '.join(kind.__name__ for kind in kinds)}, alone or inside a distiller, a "
        f"Pipeline or a search. For a {name} use {instead}."
    )


def rows_for(student, X):
    """Transform and check raw rows, as the last step of a student reads them."""
    rows = as_last_step_sees(student.estimator, X)
    return plain_rows(check_rows(last_step(student.estimator), rows, reset=False))


def class_position(classes, class_of_interest, name="class_of_interest"):
    """Return the position of a class, the second one for None if there are two; 0 in regression.

    None if the choice among three classes or more is left open. `name` is what messages call it.
    """
    if classes is None:
        if class_of_interest is not None:
            raise ValueError(
                f"{name}={shown(class_of_interest)} was passed with a regressor, which has "
                "no classes. Leave it out."
            )
        return 0
    if class_of_interest is None:
        return None if len(classes) > 2 else len(classes) - 1
    if np.ndim(class_of_interest) or class_of_interest not in classes.tolist():
        raise ValueError(
            f"{name}={shown(class_of_interest)} was passed; one of the classes "
            f"{classes.tolist()} was expected."
        )
    return classes.tolist().index(class_of_interest)


def import_pyplot():
    """Import matplotlib.pyplot, or raise ImportError with what to install."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Plotting needs matplotlib, which is not installed. Install it with: "
            "pip install matplotlib"
        ) from error
    return plt


def one_axes(ax, **subplots_kw):
    """Return the axes to draw on, or for None those of a new figure made with `subplots_kw`."""
    if ax is None:
        return import_pyplot().subplots(layout="constrained", **subplots_kw)[1]
    if not is_axes(ax):
        raise TypeError(
            f"ax={shown(ax)}; a matplotlib Axes, or None for a new figure, was expected."
        )
    return ax


def is_axes(ax):
    """Tell whether something is a matplotlib Axes."""
    import_pyplot()
    from matplotlib.axes import Axes

    return isinstance(ax, Axes)


def draw_if_possible(display, ax, plot_kw, instead):
    """Draw a display by its ``plot``, and return it.

    Without matplotlib it is not drawn, and a UserWarning says what works `instead`.
    """
    try:
        import_pyplot()
    except ImportError as error:
        name = type(display).__name__
        warn_caller(f"This {name} is not drawn, but {instead} work. {error}")
        return display
    return display.plot(ax, **plot_kw)


def readable_on(color):
    """Return black or white, whichever has the higher contrast ratio (WCAG 2) on a colour."""
    from matplotlib.colors import to_rgb

    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"


def ink_of(figure):
    """Return the colour of text on a figure, whose background may be dark or transparent."""
    ground = figure.get_facecolor()
    return readable_on(ground) if ground[3] > 0.5 else import_pyplot().rcParams["text.color"]


def shorten(text, max_letters):
    """Cut out the middle of a long text: names tend to differ at their ends."""
    if len(text) <= max_letters:
        return text
    kept = max_letters - 1
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def value_axis(ax, values, n_ticks=5):
    """Make the x-axis one of values, on which every part of a long-tailed column has its room.

    `values` are the known values of a column: those of rows, or the knots of a curve. The axis may
    change its scale; everything is still drawn at its value.
    """
    knots = rank_knots(values)
    if knots is None:
        ax.locator_params(axis="x", nbins=n_ticks - 1)
        ax.xaxis.set_major_formatter(lambda value, _: _short_number(value, 6))
        return
    place = np.linspace(0, 1, len(knots))
    ax.set_xscale(
        "function",
        functions=(lambda x: _through(x, knots, place), lambda x: _through(x, place, knots)),
    )
    at = knots[np.unique(np.round(np.linspace(0, len(knots) - 1, n_ticks)).astype(int))]
    ax.set_xticks(at, short_numbers(at))
    ax.set_xticks([], minor=True)
    ax.set_xlabel("value, on an axis by rank")


def rank_knots(values):
    """Choose the axis of a column by its known values; None where the axis can be linear.

    Otherwise return values that are to have equal distances, so that equal distances are equal
    numbers of distinct values. That is so if some half of the distinct values lies on less than
    `NARROW` of the axis, as with amounts and counts: of a uniform distribution it takes a half, of
    1,000 normal values a fifth.
    """
    distinct = np.unique(values)
    half = len(distinct) // 2
    if len(distinct) < FEWEST_SPREAD or (
        np.min(distinct[half:] - distinct[:-half]) >= NARROW * (distinct[-1] - distinct[0])
    ):
        return None
    return np.unique(np.quantile(distinct, np.linspace(0, 1, min(len(distinct), MOST_SPREAD))))


def right_of(ax, low, high):
    """Return a value that stands to the right of others, by a seventh of their room on the axis."""
    scale = ax.xaxis.get_transform()
    low, high = scale.transform(np.array([low, high], dtype=np.float64))
    return float(scale.inverted().transform(np.array([high + 0.15 * ((high - low) or 1.0)]))[0])


def _through(x, knots, values):
    """Interpolate, and beyond the ends go on as between them, so that every axis can be drawn."""
    x = np.asarray(x, dtype=np.float64)
    slope = (values[-1] - values[0]) / (knots[-1] - knots[0])
    beyond = np.minimum(x - knots[0], 0) + np.maximum(x - knots[-1], 0)
    return np.interp(x, knots, values) + slope * beyond


def short_numbers(values):
    """Write numbers for an axis with three digits, or as many as distinguish them: 15k, 1.2M."""
    for digits in range(3, 18):
        texts = [_short_number(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def _short_number(value, digits):
    rounded = float(f"{value:.{digits}g}") + 0.0  # no negative zero
    if abs(rounded) >= HUGE:
        return f"{rounded:.{digits}g}"
    size, unit = next((each for least, each in UNITS.items() if abs(rounded) >= least), (1, ""))
    return f"{rounded / size:,.12f}".rstrip("0").rstrip(".") + unit


def make_panels(ax, n_panels, n_cols, size):
    """Make axes side by side and below each other.

    Parameters
    ----------
    ax : matplotlib Axes, array of matplotlib Axes or None
        One axes that is filled with a grid, or the panels themselves; None makes a new figure.
    n_panels, n_cols : int
        How many axes are needed, and the largest number of them side by side.
    size : tuple of float
        Width and height of one panel in a new figure, in inches.

    Returns
    -------
    bounding_ax : matplotlib Axes or None
        The axes that was filled; None if the panels were passed.
    panels : ndarray of shape (n_panels,)
        The axes.
    """
    if ax is not None and not is_axes(ax):
        panels = np.ravel(np.asarray(ax, dtype=object))
        if not all(map(is_axes, panels)):
            raise TypeError(
                f"ax={shown(ax)}; a matplotlib Axes, an array of {n_panels} of them, or None for a "
                "new figure, was expected."
            )
        if len(panels) != n_panels:
            raise ValueError(
                f"ax holds {len(panels)} axes and {n_panels} are needed. Pass as many, or a single "
                "one to be filled with a grid."
            )
        return None, panels
    n_cols = min(n_cols, n_panels)
    n_rows = -(-n_panels // n_cols)
    if ax is None:
        ax = new_axes((size[0] * n_cols, size[1] * n_rows))
    ax.set_axis_off()
    grid = _grid_within(ax, n_rows, n_cols)
    return ax, np.array([ax.figure.add_subplot(grid[i]) for i in range(n_panels)])


def new_axes(size):
    """Return the axes that fill a new figure, whose size is in inches."""
    return import_pyplot().figure(figsize=size, layout="constrained").subplots()


def divide_axes(ax, heights):
    """Return axes below each other in the place of another one, with heights in proportion."""
    ax.set_axis_off()
    grid = _grid_within(ax, len(heights), 1, height_ratios=heights)
    return [ax.figure.add_subplot(grid[i]) for i in range(len(heights))]


def _grid_within(ax, n_rows, n_cols, **room):
    """Divide the place of an axes, with room between if nothing else makes some."""
    room |= {} if ax.figure.get_layout_engine() else {"wspace": 0.5, "hspace": 0.7}
    if ax.get_subplotspec() is not None:
        return ax.get_subplotspec().subgridspec(n_rows, n_cols, **room)
    box = ax.get_position()
    sides = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
    return ax.figure.add_gridspec(n_rows, n_cols, **sides, **room)
