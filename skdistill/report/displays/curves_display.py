"""Show the curves of an additive student, and the tables of its pairs."""

from numbers import Integral

import numpy as np

from skdistill.formatting import percent
from skdistill.messages import shown
from skdistill.models import student_and_teacher
from skdistill.parameters import Interval, validate_params
from skdistill.report.displays.curves import TIMES, additive_curves
from skdistill.report.displays.heat_map import draw_heat_map
from skdistill.report.plotting import (
    class_position,
    make_panels,
    right_of,
    rows_for,
    shorten,
    shown_student,
    value_axis,
)
from skdistill.students.kinds import of_form

#: What is drawn beside the curves: visible on light and dark backgrounds.
GREY = "0.6"

#: Letters of a level, and of the name of a column, that are shown, and of each name of a pair.
MAX_LETTERS, MAX_OF_PAIR = 22, 14

#: Size of the panel of one column in a new figure, in inches.
PANEL = 3.9, 2.9


class CurvesDisplay:
    """What each column, and each pair of columns, adds to the prediction of an additive student.

    Use `from_estimator` to make one.

    Parameters
    ----------
    curves : tuple of Curve
        The curves, the most important ones first.
    intercept : float
        The sum of curves and tables and the intercept are the student's prediction.
    unit : str, default="contribution"
        Name of the axis that the curves share.
    n_rows : int or None, default=None
        Number of rows that the curves are centred over; None if it is their knots.
    pairs : tuple of Pair, default=()
        The tables of pairs, the most important ones first.

    Attributes
    ----------
    axes_ : ndarray of shape (n_drawn,)
        The axes of the curves that were drawn, then those of the pairs.
    bounding_ax_ : matplotlib Axes or None
        The axes that they are drawn in; None if an array of axes was passed.
    figure_ : matplotlib Figure
        The figure they belong to.

    See Also
    --------
    ScorecardDisplay : The same student as a table of points.
    TreeDisplay : The rules of a tree student.

    Notes
    -----
    A curve is centred: its mean over the rows of X is 0, or without X its mean over its knots,
    which are quantiles of the transfer set, or levels. What the centring takes off is added to the
    intercept. The importance of a column is the mean of the absolute values of its centred curve,
    over the same. With more than two classes, what is drawn for class k is its curve less the mean
    of the curves of the others: the log-odds of the class against the geometric mean of the rest.
    The same holds for tables of pairs, but they are not centred: over the rows that the student was
    fitted on, a table is 0 on average for every value of either of its columns, so it holds nothing
    that a curve could. Its importance is the mean of its absolute values over the rows of X, or
    without X over its pairs of knots.

    Examples
    --------
    The most important curves of a student distilled from a forest:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import CurvesDisplay, LinearStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = LinearStudentClassifier().fit(X, forest.predict_proba(X))
    >>> display = CurvesDisplay.from_estimator(student, X, n_columns=3)
    >>> len(display.axes_)
    3

    The heat map of a pair beside the two most important curves:

    >>> student = LinearStudentClassifier(interactions=1).fit(X, forest.predict_proba(X))
    >>> display = CurvesDisplay.from_estimator(student, X, n_columns=2)
    >>> len(display.axes_)
    3
    """

    def __init__(self, curves, intercept, *, unit="contribution", n_rows=None, pairs=()):
        self.curves = curves
        self.intercept = intercept
        self.unit = unit
        self.n_rows = n_rows
        self.pairs = pairs

    @classmethod
    @validate_params(
        {
            "columns": ["array-like", None],
            "n_columns": [Interval(Integral, 0, None, closed="left")],
            "n_pairs": [Interval(Integral, 0, None, closed="left")],
        }
    )
    def from_estimator(
        cls,
        estimator,
        X=None,
        *,
        columns=None,
        n_columns=6,
        n_pairs=3,
        class_of_interest=None,
        ax=None,
        **plot_kw,
    ):
        """Read the curves of a fitted additive student, and draw them.

        Parameters
        ----------
        estimator : estimator
            A fitted `LinearStudentClassifier` or `LinearStudentRegressor`, a distiller with such a
            student, a Pipeline that ends in one of them, or a search over them.
        X : array-like or data frame of shape (n_samples, n_features) or None, default=None
            Rows to centre the curves over, as the estimator takes them, and to show under them.
        columns : list of str or int, or None, default=None
            Names or positions of the columns to draw, as the student sees them; None for the most
            important ones.
        n_columns : int, default=6
            Largest number of curves to draw if `columns` is None.
        n_pairs : int, default=3
            Largest number of pairs to draw, the most important ones; with `columns`, of those whose
            columns are both among them.
        class_of_interest : int, float, bool, str or None, default=None
            The class whose log-odds are shown; None for ``classes_[1]`` if there are two classes.
        ax : matplotlib Axes, array of matplotlib Axes or None, default=None
            Where to draw: one axes that is filled with a grid, or one axes per curve and pair; None
            makes a new figure.
        **plot_kw : dict
            Passed to `plot`.

        Returns
        -------
        display : CurvesDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If its student is not additive.
        ValueError
            If there is no such column or class, or more than two classes and none of interest.
        """
        display = read_curves(cls, estimator, X, class_of_interest=class_of_interest)
        return display.plot(ax, columns=columns, n_columns=n_columns, n_pairs=n_pairs, **plot_kw)

    def plot(
        self,
        ax=None,
        *,
        columns=None,
        n_columns=6,
        n_pairs=3,
        n_cols=3,
        max_levels=10,
        cmap=None,
        **line_kw,
    ):
        """Draw curves, all on one scale, and pairs as heat maps, all in the same colours.

        Missing values have a marker of their own at the right, where the student knows what they
        add, and rows and columns of heat maps that are set off. A low histogram below a curve shows
        where the rows of X are, as some hundred points do on a heat map, which is white where
        nothing is added.

        Parameters
        ----------
        ax : matplotlib Axes, array of matplotlib Axes or None, default=None
            Where to draw: one axes that is filled with a grid, or one axes per curve and pair; None
            makes a new figure.
        columns : list of str or int, or None, default=None
            Names or positions of the columns to draw; None for the most important ones.
        n_columns : int, default=6
            Largest number of curves to draw if `columns` is None.
        n_pairs : int, default=3
            Largest number of pairs to draw, the most important ones; with `columns`, of those whose
            columns are both among them.
        n_cols : int, default=3
            Largest number of panels side by side.
        max_levels : int, default=10
            Largest number of levels of a nominal column that have a bar of their own, those that
            matter most; the others share a line from the lowest to the highest. A heat map has as
            many of them.
        cmap : str, matplotlib Colormap or None, default=None
            Colours of the heat maps, from what lowers the prediction to what raises it; None for
            "RdBu_r".
        **line_kw : dict
            Passed to matplotlib's ``plot`` for the curves of numeric columns.

        Returns
        -------
        display : CurvesDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no such column, or another number of axes than of curves and pairs.
        """
        curves = self._chosen(columns, n_columns)
        pairs = self._chosen_pairs(None if columns is None else curves, n_pairs)
        n_panels = len(curves) + len(pairs)
        self.bounding_ax_, self.axes_ = make_panels(ax, n_panels, n_cols, PANEL)
        self.figure_ = self.axes_[0].figure
        over = "its knots" if self.n_rows is None else f"{self.n_rows:,} rows"
        label = self.unit
        if ax is None:
            statement = f"Each curve is 0 on average over {over}; ± is its mean absolute value"
            if pairs:
                statement += "\nA pair adds to the curves of both of its columns"
            self.figure_.suptitle(statement, size="medium")
        else:
            label += f"\n(0 on average over {over})"
        limits = _shared_limits(curves)
        for curve, panel in zip(curves, self.axes_[: len(curves)], strict=True):
            if curve.is_nominal:
                _draw_levels(panel, curve, max_levels, line_kw.get("color", "C0"))
                panel.set_xlabel(label, parse_math=False)
                panel.set_xlim(limits)
            else:
                _draw_line(panel, curve, line_kw)
                panel.set_ylabel(label, parse_math=False)
                panel.set_ylim(limits)
            title = f"{shorten(curve.name, MAX_LETTERS)} (±{curve.importance:.2g})"
            panel.set_title(title, parse_math=False)
        largest = max((np.abs(pair.values).max() for pair in pairs), default=0.0) or 1.0
        for pair, panel in zip(pairs, self.axes_[len(curves) :], strict=True):
            draw_heat_map(panel, pair, largest, self.unit, cmap=cmap, max_levels=max_levels)
            names = TIMES.join(shorten(name, MAX_OF_PAIR) for name in pair.names)
            panel.set_title(f"{names} (±{pair.importance:.2g})", parse_math=False)
        return self

    def _chosen_pairs(self, curves, n_pairs):
        if not isinstance(n_pairs, Integral) or n_pairs < 0:
            raise ValueError(f"n_pairs={n_pairs!r} was passed; 0 or more was expected.")
        columns = None if curves is None else {curve.column for curve in curves}
        pairs = [pair for pair in self.pairs if columns is None or columns.issuperset(pair.columns)]
        return pairs[:n_pairs]

    def _chosen(self, columns, n_columns):
        if columns is None:
            if not isinstance(n_columns, Integral) or n_columns < 1:
                raise ValueError(f"n_columns={n_columns!r} was passed; 1 or more was expected.")
            return self.curves[:n_columns]
        if isinstance(columns, str) or not hasattr(columns, "__len__") or not len(columns):
            raise ValueError(
                f"columns={shown(columns)}; a list of one name or position or more was expected."
            )
        by_column = {curve.column: curve for curve in self.curves}
        by_key = by_column | {curve.name: curve for curve in self.curves}
        unknown = [each for each in columns if not np.isscalar(each) or each not in by_key]
        if unknown:
            names = [by_column[column].name for column in sorted(by_column)]
            raise ValueError(
                f"columns holds {', '.join(map(shown, unknown))}; names or positions of the "
                f"columns {names} were expected."
            )
        return tuple(by_key[column] for column in columns)


def read_curves(cls, estimator, X=None, *, class_of_interest=None):
    """Make a `CurvesDisplay` that is not drawn, see `CurvesDisplay.from_estimator`."""
    student, _ = student_and_teacher(estimator)
    plain = shown_student(cls, student, of_form("additive"))
    position = class_position(student.labels, class_of_interest)
    if position is None:
        raise ValueError(
            f"There are the classes {student.labels.tolist()}, each with curves of its own. "
            "Pass one of them as class_of_interest."
        )
    additive = additive_curves(plain, position, None if X is None else rows_for(student, X))
    return cls(
        tuple(sorted(additive.curves, key=lambda curve: -curve.importance)),
        additive.intercept,
        unit=(
            "contribution to the prediction"
            if student.labels is None
            else f"log-odds of class {student.labels[position]}"
        ),
        n_rows=additive.n_rows,
        pairs=tuple(sorted(additive.pairs, key=lambda pair: -pair.importance)),
    )


def _shared_limits(curves):
    """Return a range that holds all curves and 0, with some room."""
    values = np.concatenate([[0.0], *(curve.values for curve in curves)])
    low, high = values.min(), values.max()
    room = high - low or 1.0
    return low - 0.2 * room, high + 0.1 * room  # more below, for the histogram of the rows


def _draw_line(ax, curve, line_kw):
    edges = curve.encoding.edges
    marker = "" if len(edges) > 1 else "o"
    value_axis(ax, edges)
    ax.axhline(0, color=GREY, lw=0.8)
    line = ax.plot(edges, curve.values[: len(edges)], **{"marker": marker, **line_kw})[0]
    if curve.missing is not None:
        at = right_of(ax, *curve.range)
        ax.plot([at], [curve.missing], "D", color=line.get_color())
        ax.annotate("missing", (at, curve.missing), (4, 8), textcoords="offset points", ha="right")
    if curve.counts is not None:
        _draw_rows(ax, curve.slices, curve.counts[:-1])


def _draw_rows(ax, slices, counts):
    """Draw a low histogram along the lower edge."""
    ax.bar(
        slices[:-1],
        0.12 * counts / max(counts.max(), 1),
        width=np.diff(slices),
        align="edge",
        color=GREY,
        zorder=0,
        transform=ax.get_xaxis_transform(),
    )


def _draw_levels(ax, curve, max_levels, color):
    names, values = np.array(curve.level_names), curve.level_values
    shown, rest = _most_telling(curve, max_levels)
    labels = [shorten(name, MAX_LETTERS) for name in names[shown]]
    if curve.counts is not None:
        shares = curve.counts[shown] / curve.counts.sum()
        labels = [f"{label} {percent(share)}" for label, share in zip(labels, shares, strict=True)]
    ax.axvline(0, color=GREY, lw=0.8)
    ax.barh(np.arange(len(shown)), values[shown], height=0.7, color=color)
    if len(rest):
        ax.plot([values[rest].min(), values[rest].max()], [-1, -1], color=GREY, lw=3)
        labels = [f"{len(rest)} more levels", *labels]
    ax.set_yticks(np.arange(len(labels)) - bool(len(rest)), labels, parse_math=False)


def _most_telling(curve, max_levels):
    """Return the levels that make up most of the importance, lowest first, and all others."""
    values = curve.level_values
    share = np.append(np.ones(len(values) - 1), 0.0) if curve.counts is None else curve.counts
    known = np.arange(len(values) - (share[-1] == 0))  # unknown levels only where there are some
    by_weight = known[np.argsort(-np.abs(values * share)[known], kind="stable")]
    shown = by_weight if len(known) <= max_levels else by_weight[: max_levels - 1]
    return shown[np.argsort(values[shown], kind="stable")], np.setdiff1d(known, shown)
