"""Draw what columns contribute in teacher and student, over each other."""

import numbers

import numpy as np

from skdistill.report.plotting import make_panels, right_of, shorten, value_axis

#: Colours that are visible on light and dark backgrounds.
TEACHER, STUDENT, GREY = "#888888", "#2a78d6", "0.6"

#: Width and height of one panel, in inches.
PANEL = (3.4, 2.6)

#: Points of the mean line of a numeric column, and levels of a nominal one that are drawn.
MOST_POINTS, MOST_LEVELS = 12, 8

#: Letters that a name may have before it is cut short, and those of the title of a panel.
MAX_LETTERS, MAX_TITLE = 30, 26


def draw_importance(ax, importance, names, unit):
    """Draw paired bars of `ColumnImportance`, the most important column on top.

    `names` are those of teacher and student, `unit` what the values are measured in.
    """
    places = np.arange(len(importance))
    pairs = ("teacher", TEACHER, -0.2), ("student", STUDENT, 0.2)
    for name, (role, color, shift) in zip(names, pairs, strict=True):
        values = [getattr(item, role) for item in importance]
        ax.barh(places + shift, values, height=0.36, color=color, label=f"{role}: {name}")
    labels = [shorten(item.column, MAX_LETTERS) for item in importance]
    ax.set_yticks(places, labels, parse_math=False)
    ax.invert_yaxis()
    ax.set_xlabel(f"mean |SHAP value|, {unit}")
    ax.set_facecolor("none")
    ax.locator_params(axis="x", nbins=5)
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1))  # bars may be anywhere


def draw_dependence(axes, columns, names, unit):
    """Draw one panel per column: SHAP values against values, of teacher and student.

    `columns` are tuples of name, cells as the user has them, and the values of teacher and student;
    `axes` as `make_panels` takes them.
    """
    _, panels = make_panels(axes, len(columns), 3, PANEL)
    for panel, (name, cells, *values) in zip(panels, columns, strict=True):
        panel.set_facecolor("none")
        known = np.array([cell is not None and cell == cell for cell in cells])
        if all(isinstance(cell, numbers.Real | np.bool_) for cell in cells[known]):
            if known.any():
                value_axis(panel, cells[known].astype(np.float64))
            _draw_numbers(panel, cells, known, values)
            panel.set_ylabel(unit)
        else:
            _draw_levels(panel, np.where(known, cells, "missing"), values)
            panel.set_xlabel(unit)
        panel.set_title(shorten(name, MAX_TITLE), size="medium", parse_math=False)
    for role, color, name in zip(("teacher", "student"), (TEACHER, STUDENT), names, strict=True):
        panels[0].plot([], [], color=color, lw=4, label=f"{role}: {name}")
    if axes is None:
        panels[0].figure.legend(frameon=False, loc="outside upper center", ncols=2)
    else:
        panels[0].legend(frameon=False, fontsize="small")
    return panels


def _draw_numbers(ax, cells, known, both):
    """Draw faint points with a line of means, and what is missing at the right."""
    ax.axhline(0, color=GREY, lw=0.8)
    x = cells[known].astype(np.float64)
    right = right_of(ax, x.min(), x.max()) if len(x) else 0.0
    for values, color in zip(both, (TEACHER, STUDENT), strict=True):
        ax.scatter(x, values[known], s=8, color=color, alpha=0.3, lw=0)
        ax.plot(*_means(x, values[known]), color=color)
        if not known.all():
            missing = values[~known]
            ax.scatter(np.full(len(missing), right), missing, s=8, color=color, alpha=0.3, lw=0)
            ax.plot([right], [missing.mean()], "D", color=color)
    if not known.all():
        ax.annotate(
            "missing",
            (right, 1),
            (0, -2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right",
            va="top",
        )


def _means(x, values):
    """Average over bins that hold about as many points each, or over distinct numbers."""
    distinct, group = np.unique(x, return_inverse=True)
    if len(distinct) > MOST_POINTS:
        inner = np.quantile(x, np.linspace(0, 1, MOST_POINTS + 1)[1:-1])
        group = np.unique(np.searchsorted(inner, x), return_inverse=True)[1]
    count = np.bincount(group)
    return np.bincount(group, x) / count, np.bincount(group, values) / count


def _draw_levels(ax, levels, both):
    """Draw paired bars of means, of the levels that most rows have."""
    names, group, count = np.unique(levels.astype(str), return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(group, values) / count for values in both])
    shown = np.argsort(-count, kind="stable")[:MOST_LEVELS]
    shown = shown[np.argsort(means[0, shown], kind="stable")]
    places = np.arange(len(shown))
    ax.axvline(0, color=GREY, lw=0.8)
    for mean, color, shift in zip(means, (TEACHER, STUDENT), (0.2, -0.2), strict=True):
        ax.barh(places + shift, mean[shown], height=0.36, color=color)
    labels = [shorten(name, MAX_LETTERS) for name in names[shown]]
    ax.set_yticks(places, labels, parse_math=False)
