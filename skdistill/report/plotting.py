"""What the displays share: the student and the class they show, matplotlib, frames, colours."""

import numpy as np

from skdistill.columns import check_rows, plain_rows
from skdistill.estimators import as_last_step_sees, last_step
from skdistill.messages import shown

#: What shows a student that a display was not made for, by the first words of its class's name.
_SHOWN_BY = {
    "TreeStudent": "TreeDisplay",
    "LinearStudent": "CurvesDisplay",
    "MLPStudent": "LossCurveDisplay",
    "SoftTreeStudent": "LossCurveDisplay, or its export_text()",
    "DecisionTree": "sklearn.tree.plot_tree",
}


def shown_student(display, student, kinds):
    """Return the last step of a student if a display can show it.

    Parameters
    ----------
    display : type
        The display, whose name messages mention.
    student : Model
        As `student_and_teacher` finds it.
    kinds : tuple of type
        The students that the display shows.

    Returns
    -------
    student : estimator
        An instance of one of the kinds.

    Raises
    ------
    TypeError
        If it is a student of another kind.
    """
    last = last_step(student.estimator)
    if isinstance(last, kinds):
        return last
    name = type(last).__name__
    instead = [shown for start, shown in _SHOWN_BY.items() if name.startswith(start)]
    raise TypeError(
        f"{display.__name__} was given a {name}; it shows a "
        f"{' or a '.join(kind.__name__ for kind in kinds)}, alone or inside a distiller, a "
        f"Pipeline or a search. For a {name} use "
        f"{instead[0] if instead else 'sklearn.inspection.PartialDependenceDisplay'}."
    )


def rows_for(student, X):
    """Transform and check raw rows.

    Parameters
    ----------
    student : Model
        As `student_and_teacher` finds it.
    X : array-like or data frame of shape (n_samples, n_features)
        Rows as users have them.

    Returns
    -------
    rows : ndarray or PlainColumns of shape (n_samples, n_features_in)
        As the last step of the student reads them.
    """
    rows = as_last_step_sees(student.estimator, X)
    return plain_rows(check_rows(last_step(student.estimator), rows, reset=False))


def class_position(classes, class_of_interest, name="class_of_interest"):
    """Return the position of a class, the second one for None if there are two.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,) or None
        The classes; None in regression.
    class_of_interest : int, float, bool, str or None
        One of them, or None.
    name : str, default="class_of_interest"
        What messages call it.

    Returns
    -------
    position : int or None
        0 in regression, where there is one output; None if the choice among three classes or more
        is left open.

    Raises
    ------
    ValueError
        If there is no such class.
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
            "pip install 'skdistill[report]'"
        ) from error
    return plt


def pandas_frame(columns):
    """Make a pandas frame of a dict of columns, or raise ImportError with what to install."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "A data frame needs pandas, which is not installed. Install it with: "
            "pip install 'skdistill[report]'"
        ) from error
    return pd.DataFrame(columns)


def readable_on(color):
    """Return black or white, whichever reads better on a colour.

    Parameters
    ----------
    color : matplotlib colour
        What is behind the text.

    Returns
    -------
    ink : str
        The one of the higher contrast ratio by WCAG 2, which is decided by relative luminance.
    """
    from matplotlib.colors import to_rgb

    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"


def ink_of(figure):
    """Return the colour that text on a figure has to have: its ground may be dark, or absent."""
    ground = figure.get_facecolor()
    return readable_on(ground) if ground[3] > 0.5 else import_pyplot().rcParams["text.color"]


def shorten(text, max_letters):
    """Cut out the middle of a long text: names tend to differ at their ends."""
    if len(text) <= max_letters:
        return text
    kept = max_letters - 1
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def make_panels(ax, n_panels, n_cols, size):
    """Make axes side by side and below each other.

    Parameters
    ----------
    ax : matplotlib Axes, array of matplotlib Axes or None
        One axes that is filled with a grid, or the panels themselves; None makes a new figure.
    n_panels : int
        How many axes are needed.
    n_cols : int
        Largest number of them side by side.
    size : tuple of float
        Width and height of one panel in a new figure, in inches.

    Returns
    -------
    bounding_ax : matplotlib Axes or None
        The axes that was filled; None if the panels were passed.
    panels : ndarray of shape (n_panels,)
        The axes.

    Raises
    ------
    ValueError
        If another number of axes was passed than is needed.
    """
    if ax is not None and not hasattr(ax, "get_position"):
        panels = np.ravel(np.asarray(ax, dtype=object))
        if len(panels) != n_panels:
            raise ValueError(
                f"ax holds {len(panels)} axes and {n_panels} are needed. Pass as many, or a single "
                "one to be filled with a grid."
            )
        return None, panels
    n_cols = min(n_cols, n_panels)
    n_rows = -(-n_panels // n_cols)
    if ax is None:
        figsize = size[0] * n_cols, size[1] * n_rows
        ax = import_pyplot().figure(figsize=figsize, layout="constrained").subplots()
    ax.set_axis_off()
    grid = _grid_within(ax, n_rows, n_cols)
    return ax, np.array([ax.figure.add_subplot(grid[i]) for i in range(n_panels)])


def _grid_within(ax, n_rows, n_cols):
    """Divide the place of an axes, with room between if nothing else makes some."""
    room = {} if ax.figure.get_layout_engine() else {"wspace": 0.5, "hspace": 0.7}
    if ax.get_subplotspec() is not None:
        return ax.get_subplotspec().subgridspec(n_rows, n_cols, **room)
    box = ax.get_position()
    sides = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
    return ax.figure.add_gridspec(n_rows, n_cols, **sides, **room)
