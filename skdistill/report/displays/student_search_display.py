"""Plot what students cost against how good they are."""

import itertools
import textwrap
from collections import Counter

from sklearn.utils.validation import check_is_fitted

from skdistill.estimators import last_step
from skdistill.formatting import title_of
from skdistill.report.plotting import import_pyplot, one_axes

#: What x can be: the cost, the limit of a budget on it, and what people read.
COSTS = {
    "latency": ("latency_p99_us", "latency_us", "one row, 99 % of calls (µs)"),
    "size": ("size_kb", "size_kb", "size (kB)"),
    "leaves": ("n_leaves", "leaves", "leaves"),
    "columns": ("n_columns", "columns", "columns needed"),
    "interactions": ("n_interactions", "interactions", "interactions"),
    "rules": ("n_rules", "rules", "rules"),
}

#: Marker and colour of what candidates are compared with.
REFERENCES = {
    "teacher": ("s", "black"),
    "compiled teacher": ("D", "black"),
    "hard labels": ("x", "0.45"),
    "EBM": ("^", "0.45"),
}

#: How those are drawn of which the cost on the x axis is not known.
LINES = {"teacher": "--", "EBM": ":"}


class StudentSearchDisplay:
    """Candidates of a search by cost and score, with their Pareto front and references.

    Use `from_estimator` to make one.

    Parameters
    ----------
    candidates : list of dict
        ``name``, ``family``, ``x``, ``y``, ``within_budget`` and ``on_front`` of each; x is None
        for what has no such cost.
    references : list of dict
        ``name``, ``kind``, ``x`` and ``y`` of each.
    chosen : int
        Position of the candidate that was taken.
    x : str, default="latency"
        Which cost x is: "latency", "size", "leaves", "columns", "interactions" or "rules".
    y : str, default="score"
        What y is.
    limit : float or None, default=None
        Largest x within the budget; None for no limit.
    missing : sequence of str, default=()
        What is not shown, and why; written below the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were drawn on.
    figure_ : matplotlib Figure
        The figure they belong to.
    front_ : matplotlib Line2D
        The front, a step at every point of it.
    missing_ : matplotlib Annotation or None
        What is written below the plot.

    See Also
    --------
    StudentSearchCV : The search that is shown.

    Examples
    --------
    Trees by their leaves:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import StudentSearchCV, StudentSearchDisplay, TreeStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> trees = [(TreeStudentClassifier(), {"max_leaf_nodes": [2, 4, 8]})]
    >>> search = StudentSearchCV(
    ...     RandomForestClassifier(30), trees, alphas=[0.8], cv=3, references=False
    ... )
    >>> display = StudentSearchDisplay.from_estimator(search.fit(X, y), x="leaves")
    >>> display.ax_.get_xlabel()
    'leaves'
    """

    def __init__(
        self, candidates, references, chosen, *, x="latency", y="score", limit=None, missing=()
    ):
        self.candidates = candidates
        self.references = references
        self.chosen = chosen
        self.x = x
        self.y = y
        self.limit = limit
        self.missing = missing

    @classmethod
    def from_estimator(cls, search, *, x="latency", y="score", ax=None):
        """Plot a fitted search.

        Parameters
        ----------
        search : StudentSearchCV
            Fitted.
        x : {"latency", "size", "leaves", "columns", "interactions", "rules"}, default="latency"
            The cost.
        y : str, default="score"
            "score" for what the search went by, or "neg_log_loss", "average_precision" (of two
            classes), "agreement" or "kl_divergence".
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : StudentSearchDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        TypeError
            If it is no search for students.
        ValueError
            If there is no such cost or measure, or no candidate has such a cost.
        """
        if not hasattr(search, "budget") or not hasattr(search, "students"):
            raise TypeError(
                f"A {type(search).__name__} was passed; a fitted StudentSearchCV was expected."
            )
        check_is_fitted(search)
        chosen = search.candidates_[search.best_index_]
        if x not in COSTS:
            raise ValueError(f"x={x!r} was passed; one of {sorted(COSTS)} was expected.")
        if y != "score" and y not in chosen.measures:
            known = ["score", *chosen.measures]
            raise ValueError(f"y={y!r} was passed; one of {known} was expected.")
        shown = [each for each in search.candidates_ if each.is_evaluated]
        cost, limit, title = COSTS[x]
        if all(getattr(each.costs, cost) is None for each in shown):
            raise ValueError(f"x={x!r} was passed, but no candidate has {title}.")
        points = [_point(each, cost, y) for each in shown]
        budget_limit = None if search.budget is None else getattr(search.budget, limit)
        display = cls(
            _with_front(points, y),
            [_reference(each, cost, y) for each in search.reference_points_],
            shown.index(chosen),
            x=x,
            y=search.scoring if y == "score" and isinstance(search.scoring, str) else y,
            limit=budget_limit,
            missing=_missing(search, shown, points, title),
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the candidates.

        Filled markers are within the budget, hollow ones beyond another of its limits, or this one;
        what lies right of the budget's limit is shaded. A ring is around the chosen one. The front
        is a line of steps: the best score at each cost. A teacher or an EBM without such a cost is
        a horizontal line. What could not be shown is said below.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : StudentSearchDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot()
        ax = one_axes(ax, figsize=(9, 5))
        figure = ax.figure.figure  # not a part of one
        if figure.get_layout_engine() is None:
            figure.set_layout_engine("constrained")  # makes room for legend and notes
        is_log = self.x != "interactions"  # of which there may be none
        if is_log:
            ax.set_xscale("log", subs=())
        self._draw_candidates(ax, plt)
        self._draw_references(ax)
        self._frame(ax)
        self._draw_budget(ax)
        left, right = ax.get_xlim()
        self._extend_front(ax, right)
        ticker = plt.matplotlib.ticker
        if is_log:
            steps = (1, 2, 5) if right < 100 * left else (1,)
            ax.xaxis.set_major_locator(ticker.LogLocator(subs=steps))
        else:
            ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        ax.xaxis.set_major_formatter("{x:g}")
        y = textwrap.fill(f"{title_of(self.y)}, mean over the folds", _room(ax, 1, 7.5))
        ax.set(xlabel=COSTS[self.x][2], ylabel=y)
        ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
        self._say_what_is_missing(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_candidates(self, ax, plt):
        colors = itertools.cycle(plt.rcParams["axes.prop_cycle"].by_key()["color"])
        points = [each for each in self.candidates if each["x"] is not None]
        families = list(dict.fromkeys(each["family"] for each in points))
        for family in families:
            color = next(colors)
            label = family.replace("StudentClassifier", "").replace("Classifier", "")
            for is_within in (True, False):
                some = [
                    each
                    for each in points
                    if each["family"] == family and each["within_budget"] == is_within
                ]
                if some:
                    ax.scatter(
                        [each["x"] for each in some],
                        [each["y"] for each in some],
                        s=28,
                        facecolor=color if is_within else "none",
                        edgecolor=color,
                        label=label if is_within else f"{label}, over the budget",
                        zorder=3,
                    )
        front = sorted((each["x"], each["y"]) for each in points if each["on_front"])
        xs, ys = zip(*front, strict=True)
        (self.front_,) = ax.plot(
            xs, ys, color="0.2", lw=1.5, drawstyle="steps-post", label="Pareto front", zorder=2
        )
        chosen = self.candidates[self.chosen]
        if chosen["x"] is not None:  # a ring, so that nothing lies under it
            style = {"s": 150, "facecolor": "none", "edgecolor": "black", "lw": 1.8, "zorder": 5}
            label = textwrap.fill(f"chosen: {chosen['name']}", 26)
            ax.scatter([chosen["x"]], [chosen["y"]], label=label, **style)

    def _draw_references(self, ax):
        low, high = self._range()
        for kind, (marker, color) in REFERENCES.items():
            some = [each for each in self.references if each["kind"] == kind]
            placed = [each for each in some if each["x"] is not None]
            outside = sum(not low <= each["y"] <= high for each in placed)
            if placed:
                ax.scatter(
                    [each["x"] for each in placed],
                    [each["y"] for each in placed],
                    marker=marker,
                    color=color,
                    s=36,
                    label=f"{kind} ({outside} outside)" if outside else kind,
                    zorder=3,
                )
            elif some and kind in LINES:
                ax.axhline(some[0]["y"], color=color, ls=LINES[kind], lw=1, label=kind)

    def _range(self):
        """Return the y between which everything is shown; teacher and EBM always are."""
        ys = [each["y"] for each in self.candidates]
        ys += [each["y"] for each in self.references if each["kind"] != "hard labels"]
        ys = [y for y in ys if y == y]
        room = (max(ys) - min(ys)) or abs(max(ys)) or 1.0
        return min(ys) - 0.3 * room, max(ys) + 0.3 * room

    def _frame(self, ax):
        """Leave out what lies so far away that the rest could not be distinguished."""
        low, high = self._range()
        bottom, top = ax.get_ylim()
        ax.set_ylim(max(bottom, low), min(top, high))

    def _extend_front(self, ax, right):
        """Draw the last step on to the right: as good a score can be had for more, too."""
        line, end = self.front_, (self.front_.get_xdata()[-1], self.front_.get_ydata()[-1])
        ax.plot([end[0], right], [end[1]] * 2, color=line.get_color(), lw=line.get_lw(), zorder=2)
        ax.set_xlim(right=right)

    def _say_what_is_missing(self, ax):
        self.missing_ = None
        if self.missing:
            width = _room(ax, 0, 10.5)
            lines = "\n".join(textwrap.fill(f"Not shown: {each}", width) for each in self.missing)
            self.missing_ = ax.annotate(
                lines,
                (0, 0),
                (0, -42),
                xycoords="axes fraction",
                textcoords="offset points",
                va="top",
                fontsize="small",
                color="0.3",
            )

    def _draw_budget(self, ax):
        if self.limit is None:
            return
        low, high = ax.get_xlim()
        high = max(high, self.limit * 1.5)
        ax.axvspan(self.limit, high, color="0.5", alpha=0.15, lw=0, label="over the budget")
        ax.set_xlim(min(low, self.limit), high)


def _room(ax, axis, per_inch):
    """Return how many letters fit along the figure's width or height."""
    return max(20, int(ax.figure.bbox.size[axis] / ax.figure.dpi * per_inch))


def _missing(search, shown, points, title):
    """Say which candidates and references are not shown, and why; a list of sentences."""
    said = []
    stages = Counter(each.stage for each in search.candidates_ if not each.is_evaluated)
    if stages:
        counts = ", ".join(f"{n} {stage}" for stage, n in stages.items())
        n = len(search.candidates_) - len(shown)
        who = "1 candidate that was" if n == 1 else f"{n} candidates that were"
        said.append(f"{who} not scored on all folds ({counts}).")
    without = list(dict.fromkeys(each["name"] for each in points if each["x"] is None))
    if without:
        said.append(f"candidates that have no {title}: {'; '.join(without)}.")
    if search.references is False:
        said.append("teacher and hard labels, which were not measured (references=False).")
    left_out = {f"The {who} is left out: ": f"the {who}: " for who in ("compiled teacher", "EBM")}
    about = (*left_out, "references were measured", "to hard labels")
    notes = [note for note in search.notes_ if any(each in note for each in about)]
    for beginning, short in left_out.items():
        notes = [note.replace(beginning, short) for note in notes]
    return said + notes


def _point(candidate, cost, y):
    return {
        "name": candidate.name,
        "family": type(last_step(candidate.params["student"])).__name__,
        "x": getattr(candidate.costs, cost),
        "y": candidate.score if y == "score" else candidate.measures[y],
        "within_budget": candidate.within_budget,
    }


def _reference(reference, cost, y):
    has_cost = cost != "n_columns" or reference.kind == "hard labels"
    return {
        "name": reference.name,
        "kind": reference.kind,
        "x": getattr(reference.costs, cost) if has_cost else None,
        "y": reference.score if y == "score" else reference.measures[y],
    }


def _with_front(points, y):
    """Mark the points that no other beats in this cost and this measure."""
    sign = -1.0 if y == "kl_divergence" else 1.0
    marked = []
    for each in points:
        beaten = each["x"] is None or any(
            other["x"] is not None
            and other["x"] <= each["x"]
            and sign * other["y"] >= sign * each["y"]
            and (other["x"], other["y"]) != (each["x"], each["y"])
            for other in points
        )
        marked.append(each | {"on_front": not beaten})
    return marked
