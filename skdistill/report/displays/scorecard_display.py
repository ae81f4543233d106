"""Show an additive student as a table of points."""

from dataclasses import dataclass
from itertools import groupby
from numbers import Integral, Real
from textwrap import fill

import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from skdistill.columns import column_values_as
from skdistill.formatting import decimals, pandas_frame, percent
from skdistill.models import student_and_teacher
from skdistill.parameters import Interval, validate_params
from skdistill.report.displays.conditions import NumberCondition
from skdistill.report.displays.curves import additive_curves
from skdistill.report.displays.heat_map import slant_if_long
from skdistill.report.displays.pair_points import points_of_pair
from skdistill.report.displays.points import Scaling, points_of_curve
from skdistill.report.plotting import (
    class_position,
    divide_axes,
    draw_if_possible,
    import_pyplot,
    is_axes,
    make_panels,
    new_axes,
    readable_on,
    rows_for,
    shorten,
    shown_student,
)
from skdistill.students.kinds import CLASSIFIERS, of_form
from skdistill.weighted_statistics import weighted_correlation

#: Letters of a bin that are shown in the picture, and of a bin of a pair.
MAX_LETTERS, MAX_OF_PAIR = 32, 20

#: What is drawn beside the bars: visible on light and dark backgrounds.
GREY = "0.6"

#: Default number of points of a scorecard.
SCALING = Scaling(points_to_double_odds=20, base_points=600, base_odds=50)

#: Letters in a line of the title of the picture.
TITLE_LETTERS = 75

#: Size of the picture in inches: the width of a panel, and the height of a row and of a pair.
WIDTH, ROW, PAIR = 6.0, 0.22, 2.8

#: Colours of the points of pairs, from those against the good class to those for it.
DIVERGING = "PuOr"


@dataclass(frozen=True)
class TableFidelity:
    """How closely a table of points follows the student that it was made of.

    Attributes
    ----------
    n_rows : int
        Number of rows that were compared.
    mean_difference : float
        Mean of the absolute differences between the two probabilities.
    largest_difference : float
        Largest of them.
    rank_correlation : float
        Spearman's correlation of points and the student's probability; NaN if one is constant.
    """

    n_rows: int
    mean_difference: float
    largest_difference: float
    rank_correlation: float


class ScorecardDisplay:
    """An additive student for two classes as a table of whole points per bin and level.

    Use `from_estimator` to make one.

    Parameters
    ----------
    base : int
        Points that every row gets.
    rows : tuple of PointsRow
        The table, column by column.
    scaling : Scaling
        How points turn into odds.
    classes : ndarray of shape (2,)
        The class labels.
    good_class : int, float, bool or str
        The class that points speak for.
    fidelity : TableFidelity or None, default=None
        How closely the table follows the student; None if it was not compared.
    pairs : tuple of PairPoints, default=()
        The two-way tables of the student's pairs of columns.

    Attributes
    ----------
    axes_ : ndarray of shape (n_panels,)
        The axes that were drawn on: those of the bins, then one per pair.
    bounding_ax_ : matplotlib Axes or None
        The axes that they are drawn in; None if an array of axes was passed.
    figure_ : matplotlib Figure
        The figure they belong to.

    See Also
    --------
    CurvesDisplay : The same student without rounding.

    Notes
    -----
    Points are ``offset + factor * log_odds`` of the good class, with
    ``factor = points_to_double_odds / log(2)`` and
    ``offset = base_points - factor * log(base_odds)``. The student's curves, centred over the rows
    of X or else over their knots, are multiplied by the factor: 0 points are what the column adds
    on average. The table is not the student: bins replace a numeric curve by steps, and points are
    rounded. The bins of a column end at knots of its curve, or a little beyond where that takes
    fewer digits, and follow the curve most closely over the rows of X, or over the knots if there
    is no X; neighbours with equal points are merged. A pair of columns is a two-way table, whose
    bins are found in the same way, each column's along all of the other's; a cell has the mean of
    what the pair adds to the rows in it, or where there are none in the middle of it.
    `fidelity` says what all that costs.

    Values never seen, and missing ones, get the points that the student's prediction for them is
    worth: "any other" levels are those never seen or too rare to have a weight, a missing number
    has a row where some were missing at fit and counts as the median where none were.

    References
    ----------
    Siddiqi, "Credit Risk Scorecards: Developing and Implementing Intelligent Credit Scoring",
    Wiley 2006, chapter 6, for the scaling.

    Examples
    --------
    The points of a student distilled from a forest, 600 of which are odds of 50 to 1:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import LinearStudentClassifier, ScorecardDisplay
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = LinearStudentClassifier().fit(X, forest.predict_proba(X))
    >>> card = ScorecardDisplay.from_estimator(student, X, good_class=1)
    >>> print(f"{card.scaling.factor:.4f} {card.scaling.offset:.3f}")
    28.8539 487.123
    >>> card.points(X).shape
    (569,)
    """

    def __init__(self, base, rows, scaling, *, classes, good_class, fidelity=None, pairs=()):
        self.base = base
        self.rows = rows
        self.scaling = scaling
        self.classes = classes
        self.good_class = good_class
        self.fidelity = fidelity
        self.pairs = pairs

    @classmethod
    @validate_params(
        {
            "n_bins": [Interval(Integral, 1, None, closed="left")],
            "points_to_double_odds": [Interval(Real, 0.0, None, closed="neither")],
            "base_points": [Interval(Real, None, None, closed="neither")],
            "base_odds": [Interval(Real, 0.0, None, closed="neither")],
        },
    )
    def from_estimator(
        cls,
        estimator,
        X=None,
        *,
        n_bins=5,
        points_to_double_odds=20,
        base_points=600,
        base_odds=50,
        good_class=None,
        ax=None,
        **plot_kw,
    ):
        """Make a table of points of a fitted additive classifier, and draw it.

        Parameters
        ----------
        estimator : estimator
            A `LinearStudentClassifier` fitted on two classes, a distiller with such a student, a
            Pipeline that ends in one of them, or a search over them.
        X : array-like or data frame of shape (n_samples, n_features) or None, default=None
            Rows, as the estimator takes them, that the bins are to fit and that the table is
            compared with the student on; None for the knots of the curves, and no comparison.
        n_bins : int, default=5
            Largest number of bins of a numeric column, and of either column in the table of a pair.
        points_to_double_odds : float, default=20
            Points that double the odds of the good class.
        base_points : float, default=600
            Points of `base_odds`.
        base_odds : float, default=50
            Odds of the good class: 50 means 50 to 1.
        good_class : int, float, bool, str or None, default=None
            The class that points speak for; None for ``classes_[0]``, so that more points are a
            lower probability of ``classes_[1]``, which tends to be the event.
        ax : matplotlib Axes, array of matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **plot_kw : dict
            Passed to `plot`.

        Returns
        -------
        display : ScorecardDisplay
            The display, drawn; without matplotlib, and with a UserWarning, not drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If its student is no additive classifier, or knows other than two classes.
        ValueError
            If a parameter is out of range, or there is no such class.
        """
        scaling = Scaling(points_to_double_odds, base_points, base_odds)
        card = make_scorecard(cls, estimator, X, scaling, n_bins=n_bins, good_class=good_class)
        return draw_if_possible(card, ax, plot_kw, "points(), proba_from_points() and to_frame()")

    def points(self, X):
        """Add up the points of each row.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows as the student takes them: behind the transformers, if a pipeline has any. The
            columns of a frame are found by name.

        Returns
        -------
        points : ndarray of shape (n_samples,), int
            `base` plus the points of each column and of each pair.
        """
        points = np.full(len(X), self.base)
        for row in self.rows:
            points += row.points * row.condition.holds(X)
        for pair in self.pairs:
            points += pair.of(X)
        return points

    def proba_from_points(self, points):
        """Turn points back into probabilities.

        Parameters
        ----------
        points : array-like of shape (n_samples,)
            As `points` adds them up.

        Returns
        -------
        proba : ndarray of shape (n_samples, 2)
            One column per class, in the order of `classes`.
        """
        good = expit(self.scaling.log_odds(np.asarray(points, dtype=np.float64)))
        is_good = self.classes == self.good_class
        return np.where(is_good, good[:, None], 1.0 - good[:, None])

    def sentences(self):
        """Say how points add up and what they mean, and how closely they follow the student.

        Returns
        -------
        sentences : list of str
            The last one is about the rows that the table was made with, if there were any.
        """
        scaling, fidelity = self.scaling, self.fidelity
        sentences = [
            f"Everybody starts with {self.base} points.",
            f"{scaling.base_points:g} points are odds of {scaling.base_odds:g} to 1 for class "
            f"{self.good_class}, {scaling.points_to_double_odds:g} more double them.",
        ]
        if self.pairs:
            n_pairs = f"each of {len(self.pairs)} pairs" if len(self.pairs) > 1 else "a pair"
            sentences.append(
                "Everybody gets the points of one bin of every column and those of one cell of "
                f"{n_pairs}."
            )
        if fidelity is not None:
            sentences.append(
                f"On {fidelity.n_rows:,} rows the probability differs from the student's by "
                f"{fidelity.mean_difference:.3f} on average, {fidelity.largest_difference:.3f} at "
                f"most; rank correlation {decimals(fidelity.rank_correlation, 4)}."
            )
        return sentences

    def to_frame(self):
        """Put the table into a data frame.

        Returns
        -------
        frame : pandas.DataFrame
            The columns "column", "bin", "points" and, if it was made with rows, "share" of them;
            the first row holds the points that every row gets, the last ones those of the cells of
            pairs, whose "column" are both names.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        lines = [("base", "every row", self.base, 1.0)]
        lines += [(row.name, row.text(), row.points, row.share) for row in self.rows]
        lines += [(pair.name, *cell) for pair in self.pairs for cell in pair.cells()]
        columns = map(list, zip(*lines, strict=True))
        frame = dict(zip(("column", "bin", "points", "share"), columns, strict=True))
        if self.fidelity is None:
            del frame["share"]
        return pandas_frame(frame)

    def plot(self, ax=None, *, max_lines=45, max_levels=3):
        """Draw the table: a bar of points for every bin, and a two-way table for every pair.

        Parameters
        ----------
        ax : matplotlib Axes, array of matplotlib Axes or None, default=None
            Where to draw: one axes that is filled, or one per panel; None makes a new figure of
            the size that the table needs.
        max_lines : int, default=45
            A longer table is broken into panels side by side, each about as long as the others.
        max_levels : int, default=3
            Largest number of levels with equal points that are named before the rest is counted.

        Returns
        -------
        display : ScorecardDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        columns = _side_by_side(self._blocks(max_levels), max_lines)
        longest = max(map(len, columns))
        self.bounding_ax_, self.axes_ = _panels(ax, len(columns), longest, len(self.pairs))
        self.figure_ = self.axes_[0].figure
        points = [row.points for row in self.rows]
        low, high = min(points, default=0), max(points, default=0)
        limits = low - 0.15 * (high - low) - 1, high + 0.45 * (high - low) + 1
        for panel, lines in zip(self.axes_[: len(columns)], columns, strict=True):
            _draw_lines(panel, lines)
            panel.set(xlim=limits, ylim=(longest - 0.4, -0.6), xlabel="points")
        largest = max((np.abs(pair.points).max() for pair in self.pairs), default=0) or 1
        for panel, pair in zip(self.axes_[len(columns) :], self.pairs, strict=True):
            _draw_pair(panel, pair, largest, max_levels)
        title = "\n".join(fill(sentence, TITLE_LETTERS) for sentence in self.sentences())
        like_text = {"size": "medium", "parse_math": False}
        if ax is None:
            self.figure_.suptitle(title, x=0.01, ha="left", **like_text)
        else:
            self.axes_[0].set_title(title, loc="left", **like_text)
        return self

    def _blocks(self, max_levels):
        """Return the lines of the picture, column by column: its name, then its bins."""
        return [
            [_Line(shorten(name, MAX_LETTERS)), *(_Line.of(row, max_levels) for row in rows)]
            for name, rows in groupby(self.rows, key=lambda row: row.name)
        ]


def make_scorecard(cls, estimator, X=None, scaling=SCALING, *, n_bins=5, good_class=None):
    """Make a `ScorecardDisplay` that is not drawn, see `ScorecardDisplay.from_estimator`."""
    student, _ = student_and_teacher(estimator)
    plain = shown_student(cls, student, of_form("additive", among=CLASSIFIERS))
    classes = plain.classes_
    if len(classes) != 2:
        raise TypeError(
            f"The student knows {len(classes)} classes, {classes.tolist()}; points speak for "
            "one class against one other. Use CurvesDisplay."
        )
    good = 0 if good_class is None else class_position(classes, good_class, "good_class")
    rows = None if X is None else rows_for(student, X)
    additive = additive_curves(plain, good, rows)
    card = cls(
        round(scaling.points(additive.intercept)),
        _table(additive, scaling, n_bins, rows),
        scaling,
        classes=classes,
        good_class=classes.tolist()[good],
        pairs=tuple(
            points_of_pair(pair, scaling.factor, n_bins, rows)
            for pair in sorted(additive.pairs, key=lambda pair: -pair.importance)
        ),
    )
    if X is not None:
        points = card.points(rows)
        proba = card.proba_from_points(points)[:, good]
        card.fidelity = _compare(points, proba, student.answers(X, classes)[:, good])
    return card


@dataclass(frozen=True)
class _Line:
    """One line of the picture; the name of a column has no points."""

    label: str
    points: int | None = None
    share: float | None = None

    @classmethod
    def of(cls, row, max_levels):
        text = row.text(max_levels)
        if isinstance(row.condition, NumberCondition):
            text = text.replace("<=", "≤")
        return cls(shorten(text, MAX_LETTERS), row.points, row.share)


def _side_by_side(blocks, max_lines):
    """Break blocks of lines into panels of about equal length, without breaking a block."""
    n_lines = sum(map(len, blocks))
    n_panels = -(-n_lines // max_lines)
    panels, done = [[] for _ in range(n_panels)], 0
    for block in blocks:
        middle = done + len(block) / 2
        panels[min(int(middle * n_panels / n_lines), n_panels - 1)] += block
        done += len(block)
    return [panel for panel in panels if panel]


def _draw_lines(ax, lines):
    y = np.arange(len(lines))
    points = np.array([line.points or 0 for line in lines])
    ax.barh(y, points, color=np.where(points < 0, "C1", "C0"), height=0.7)
    ax.axvline(0, color=GREY, lw=0.8)
    ax.set_yticks(y, [line.label for line in lines], parse_math=False)
    for at, (tick, line) in enumerate(zip(ax.get_yticklabels(), lines, strict=True)):
        if line.points is None:
            tick.set_weight("bold")
        else:
            _write_points(ax, at, line)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)


def _write_points(ax, y, line):
    """Write points at the end of their bar, and the share of rows at the right edge."""
    side, ha = (-3, "right") if line.points < 0 else (3, "left")
    where = {"textcoords": "offset points", "va": "center", "size": "small"}
    text = f"{line.points:+d}" if line.points else "0"
    ax.annotate(text, (line.points, y), (side, 0), ha=ha, **where)
    if line.share is not None:
        edge = ax.get_yaxis_transform()
        ax.annotate(percent(line.share), (1, y), (0, 0), xycoords=edge, ha="right", **where)


def _panels(ax, n_columns, longest, n_pairs):
    """Make axes for columns of lines and, below them, for pairs; see `make_panels`."""
    size = WIDTH, ROW * longest + 1.2
    if not n_pairs or not (ax is None or is_axes(ax)):
        return make_panels(ax, n_columns + n_pairs, n_columns, size)
    below = PAIR * -(-n_pairs // n_columns)
    ax = new_axes((WIDTH * n_columns, size[1] + below)) if ax is None else ax
    upper, lower = divide_axes(ax, [size[1], below])
    of_lines = make_panels(upper, n_columns, n_columns, size)[1]
    of_pairs = make_panels(lower, n_pairs, n_columns, size)[1]
    return ax, np.concatenate([of_lines, of_pairs])


def _draw_pair(ax, pair, largest, max_levels):
    """Draw a two-way table; its colours reach from minus the largest number of points to it."""
    first, second = (
        [shorten(text.replace("<=", "≤"), MAX_OF_PAIR) for text in pair.texts(which, max_levels)]
        for which in (0, 1)
    )
    get_cmap = import_pyplot().get_cmap
    colors = get_cmap(DIVERGING)(0.5 + 0.35 * pair.points / largest)
    ax.imshow(colors, aspect="auto")
    for i, j in np.ndindex(pair.points.shape):
        text = f"{pair.points[i, j]:+d}" if pair.points[i, j] else "0"
        if pair.shares is not None:
            text += f"\n{percent(pair.shares[i, j])}"
        where = {"ha": "center", "va": "center", "size": "small"}
        ax.text(j, i, text, color=readable_on(colors[i, j]), **where)
    a, b = pair.names
    ax.set_yticks(range(len(first)), first, parse_math=False)
    ax.set_xticks(range(len(second)), second, parse_math=False)
    slant_if_long(ax, second)
    ax.set_xlabel(shorten(b, MAX_LETTERS), parse_math=False)
    ax.set_ylabel(shorten(a, MAX_OF_PAIR), parse_math=False)
    ax.set_title(shorten(pair.name, 2 * MAX_OF_PAIR), parse_math=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _table(additive, scaling, n_bins, rows):
    """Return the rows of the table, those of the most important column first."""
    table = []
    for curve in sorted(additive.curves, key=lambda curve: -curve.importance):
        x = None
        if rows is not None:
            levels = curve.encoding.levels
            x = column_values_as(rows, curve.column, levels=levels, name=curve.name)
        table += points_of_curve(curve, scaling.factor, n_bins, x)
    return tuple(table)


def _compare(points, proba, student_proba):
    """Compare points, and their probabilities of a class, with those of the student."""
    difference = np.abs(proba - student_proba)
    return TableFidelity(
        n_rows=len(proba),
        mean_difference=float(difference.mean()),
        largest_difference=float(difference.max()),
        rank_correlation=float(
            weighted_correlation(rankdata(points), rankdata(student_proba), np.ones(len(proba)))
        ),
    )
