"""Plot what a monitor has seen: drift by column and time, and the gap to the teacher."""

import numbers
import textwrap

import numpy as np

from skdistill.monitor import FidelityMonitor
from skdistill.monitor.gap import FEWEST_PAIRS
from skdistill.monitor.monitor_report import TITLES
from skdistill.report.plotting import import_pyplot, make_panels, shorten

#: Narrowest and widest figure, what a bucket adds to it, and room for names, in inches.
NARROWEST, WIDEST, BUCKET_WIDTH, NAMES_WIDTH = 8.0, 12.0, 0.09, 4.0

#: Height of a row of the drift, of what stands around the rows, and of the gap, in inches.
ROW_HEIGHT, AROUND, GAP_HEIGHT = 0.19, 1.3, 3.0

#: Letters of the name of a column that are shown, and of a line of notes.
MAX_LETTERS, NOTE_LETTERS = 36, 100

#: Most days that are written below the time axis, and most days without rows that are named.
MAX_TICKS, MAX_NAMED = 6, 3

#: Most entries of a line of a legend.
MAX_ENTRIES = 4

#: Colours of the cells. What chance explains is pale or hatched.
_STABLE, _RISING, _WARN, _ALERT, _STRONG, _TOO_FEW, _ABSENT = range(7)
_COLORS = "#f6f4ec", "#fde9a9", "#fba94c", "#e0332c", "#860c28", "#ededed", "#252525"

#: Colour, marker and face of the points of the gap, by what the report says of it.
_POINTS = {
    "held": ("tab:blue", "o", "tab:blue", "held"),
    "grown": ("tab:red", "s", "tab:red", "grown"),
    "unclear": ("tab:blue", "o", "white", "unclear: too few rows to tell"),
    "too few rows": ("0.6", "o", "white", f"the teacher scored fewer than {FEWEST_PAIRS} rows"),
    "no reference": ("tab:blue", "o", "tab:blue", "live"),
}

#: Statuses from the mildest to the most severe, by which columns are chosen.
_GRAVITY = "too few rows", "stable", "warn", "alert", "absent"


class MonitorDisplay:
    """Drift of every column and score over time, and the student's gap to its teacher.

    Use `from_monitor` to make one. Every cell and point is what `FidelityMonitor.report` said, or
    would have said, at that time: it judges the newest buckets then, by the same thresholds and
    limits of chance. The last ones are those of the report of today.

    Parameters
    ----------
    reports : list of MonitorReport
        As `FidelityMonitor.history` returns them; at least one.
    max_columns : int, default=15
        How many columns are shown, those with the most severe status and the largest index; scores
        always are.

    Attributes
    ----------
    days : list of (int or str)
        The days, or numbers of buckets, up to which was judged.
    psi : dict of str to list of (float or None)
        Per score and shown column its population stability index; None without rows.
    status : dict of str to list of str
        The same with the status: "stable", "warn", "alert", "too few rows" or "absent".
    gap : list of (Estimate or None)
        The gap to the teacher; None without its predictions.
    gap_status : list of str
        What can be said of it: "grown", "held", "unclear", "too few rows" or "no reference".
    reference_gap : Estimate or None
        That of the reference, if it is known.
    notes : tuple of str
        What is not in the plot, and why; written below it.
    axes_ : ndarray of matplotlib Axes
        The drift, and below it the gap if the teacher's predictions are known.
    bounding_ax_ : matplotlib Axes or None
        The axes that they are drawn in; None if an array of axes was passed.
    figure_ : matplotlib Figure
        The figure they belong to.

    See Also
    --------
    FidelityMonitor : Counts what is shown, and says by which rules.

    Examples
    --------
    Three days, the last one drifted:

    >>> import numpy as np
    >>> from skdistill import FidelityMonitor, MonitorDisplay
    >>> rng = np.random.default_rng(0)
    >>> monitor = FidelityMonitor(window=1)
    >>> monitor = monitor.fit(rng.normal(size=(5000, 2)), rng.random(5000))
    >>> for day, shift in enumerate([0, 0, 1]):
    ...     summary = monitor.update(rng.normal(shift, size=(1000, 2)), rng.random(1000), at=day)
    >>> display = MonitorDisplay.from_monitor(monitor)
    >>> display.status["x0"]
    ['stable', 'stable', 'alert']
    """

    def __init__(self, reports, *, max_columns=15):
        self.reports = reports
        self.max_columns = max_columns
        scores, columns = (_by_name(reports, part) for part in ("scores", "columns"))
        ranked = sorted(columns, key=lambda name: _gravity(columns[name]), reverse=True)
        shown = scores | {name: columns[name] for name in ranked[:max_columns]}
        self.days = [report.last for report in reports]
        self.psi = {name: [each.psi for each in drifts] for name, drifts in shown.items()}
        self.status = {name: [each.status for each in drifts] for name, drifts in shown.items()}
        gaps = [report.gaps[0] if report.gaps else None for report in reports]
        known = [gap for gap in gaps if gap is not None]
        self.gap = [None if gap is None else gap.live for gap in gaps]
        self.gap_status = [report.gap_status for report in reports]
        self.reference_gap = known[-1].reference if known else None
        self._measure = TITLES[known[0].measure] if known else None
        hidden = {name: columns[name] for name in ranked[max_columns:]}
        self.notes = tuple(_notes(reports, hidden, asked=bool(known)))

    @classmethod
    def from_monitor(cls, monitor, *, window=None, max_columns=15, ax=None):
        """Plot what a monitor keeps.

        Parameters
        ----------
        monitor : FidelityMonitor
            With live rows.
        window : int or None, default=None
            How many buckets are judged together, each with those before it; None for the monitor's
            own, as `report` does; 1 for each on its own.
        max_columns : int, default=15
            How many columns are shown, those with the most severe status and the largest index;
            scores always are.
        ax : matplotlib Axes, array of matplotlib Axes or None, default=None
            See `plot`.

        Returns
        -------
        display : MonitorDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If it is no monitor.
        ValueError
            If the monitor has counted no live rows, or a number is out of range.
        """
        if not isinstance(monitor, FidelityMonitor):
            kind = monitor if isinstance(monitor, type) else type(monitor)
            raise TypeError(
                f"monitor is of {kind.__name__}; a FidelityMonitor that has counted live rows was "
                "expected. For a model: monitor = FidelityMonitor.from_estimator(model, X), then "
                "monitor.update(rows, scores) for every batch. A saved one is read by "
                "FidelityMonitor.load(path)."
            )
        if not isinstance(max_columns, numbers.Integral) or max_columns < 0:
            raise ValueError(f"max_columns is {max_columns!r}; a whole number from 0 was expected.")
        reports = monitor.history(window)
        if not reports:
            raise ValueError(
                "The monitor has counted no live rows, so there is nothing to plot. Call update "
                "first."
            )
        return cls(reports, max_columns=max_columns).plot(ax)

    def plot(self, ax=None):
        """Draw the drift as a table of colours, and below it the gap with its interval.

        Parameters
        ----------
        ax : matplotlib Axes, array of matplotlib Axes or None, default=None
            One axes that is filled, or one per panel, in a figure with ``layout="constrained"``,
            as legends stand above the axes and notes below; None makes a new figure.

        Returns
        -------
        display : MonitorDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If another number of axes was passed than is needed.
        """
        import_pyplot()
        heights = [AROUND + ROW_HEIGHT * len(self.psi)]
        heights += [GAP_HEIGHT] * any(each is not None for each in self.gap)
        width = min(WIDEST, max(NARROWEST, NAMES_WIDTH + BUCKET_WIDTH * len(self.days)))
        size = width, sum(heights) / len(heights)
        self.bounding_ax_, self.axes_ = make_panels(ax, len(heights), 1, size)
        self.figure_ = self.axes_[0].figure
        if self.bounding_ax_ is not None:
            self.axes_[0].get_subplotspec().get_gridspec().set_height_ratios(heights)
        self._draw_drift(self.axes_[0])
        if len(heights) == 2:
            self._draw_gap(self.axes_[1])
        for panel in self.axes_:
            step = -(-len(self.days) // MAX_TICKS)
            shown = np.arange((len(self.days) - 1) % step, len(self.days), step)
            panel.set_xticks(shown, [str(self.days[position]) for position in shown])
            panel.set_xlim(-0.5, len(self.days) - 0.5)
            panel.tick_params(labelsize=8)
        lines = [line for note in self.notes for line in textwrap.wrap(note, NOTE_LETTERS)]
        self.axes_[-1].set_xlabel("\n".join(lines), fontsize=8)
        return self

    def _draw_drift(self, ax):
        from matplotlib.colors import ListedColormap
        from matplotlib.patches import Patch

        settings = self.reports[-1].settings
        levels = np.array(
            [
                [_level(*each, settings) for each in zip(self.psi[name], statuses, strict=True)]
                for name, statuses in self.status.items()
            ]
        )
        look = {"cmap": ListedColormap(_COLORS), "vmin": 0, "vmax": len(_COLORS) - 1}
        ax.imshow(levels, **look, aspect="auto", interpolation="nearest")
        for row, start, end in _runs(levels == _TOO_FEW):
            ax.add_patch(_hatched((start - 0.5, row - 0.5), end - start))
        for edge in range(1, len(levels)):
            is_last_score = edge == len(self.reports[-1].scores)
            ax.axhline(edge - 0.5, color="0.3" if is_last_score else "white", linewidth=0.8)
        ax.set_yticks(range(len(self.psi)), [shorten(name, MAX_LETTERS) for name in self.psi])
        entries = [
            _hatched((0, 0), 1, label=text) if level == _TOO_FEW else
            Patch(facecolor=_COLORS[level], edgecolor="0.6", linewidth=0.5, label=text)
            for level, text in _legend(levels, settings)
        ]  # fmt: skip
        _put_above(ax, "Drift from the reference: PSI of scores and columns", entries)

    def _draw_gap(self, ax):
        settings, entries = self.reports[-1].settings, []
        at = np.array([i for i, each in enumerate(self.gap) if each is not None])
        value, low, high = (
            np.array([getattr(each, end) for each in self.gap if each is not None])
            for end in ("value", "low", "high")
        )
        ends = np.nan_to_num(np.stack([value - low, high - value]))
        line = np.array([np.nan if each is None else each.value for each in self.gap])
        ax.plot(line, color="0.75", linewidth=1, zorder=1)
        status = np.array([self.gap_status[i] for i in at])
        for name, (color, marker, face, label) in _POINTS.items():
            is_so = status == name
            if is_so.any():
                look = {"fmt": marker, "color": color, "markerfacecolor": face, "markersize": 4}
                entries.append(
                    ax.errorbar(
                        at[is_so], value[is_so], ends[:, is_so], **look, capsize=2, label=label
                    )
                )
        not_asked = np.setdiff1d(np.arange(len(self.gap)), at)
        if len(not_asked):
            place = {"transform": ax.get_xaxis_transform(), "clip_on": False}
            label = "no teacher"
            entries += ax.plot(
                not_asked, 0.03 + 0 * not_asked, "x", color="0.5", label=label, **place
            )
        title = f"Gap of student to teacher: {self._measure}"
        tallest = [*value, *(value + ends[1])]
        if self.reference_gap is None:
            title += f" (no reference: fit got fewer than {FEWEST_PAIRS} teacher scores)"
        else:
            then, tolerance = self.reference_gap, settings["gap_tolerance"]
            ax.axhspan(then.low, then.high, color="0.5", alpha=0.2, linewidth=0)
            entries.append(ax.axhline(then.value, color="0.5", label="reference"))
            tolerated = (1 + tolerance) * then.value
            look = {"linestyle": "--", "label": f"tolerated: {tolerance:.0%} more"}
            entries.append(ax.axhline(tolerated, color="tab:red", **look))
            tallest += [then.high, tolerated]
        ax.set_ylim(min(0.0, *(value - ends[0])), 1.08 * np.nanmax(tallest) or 1.0)
        _put_above(ax, title, entries)


def _by_name(reports, part):
    """Return the drift of every column, or score, over time."""
    rows = [getattr(report, part) for report in reports]
    return {drifts[0].name: list(drifts) for drifts in zip(*rows, strict=True)}


def _gravity(drifts):
    """Rank a column by its most severe status, then by its index if chance does not explain it."""
    psi = [each.psi for each in drifts if each.psi is not None and each.status != "too few rows"]
    return max(_GRAVITY.index(each.status) for each in drifts), max(psi, default=0.0)


def _level(psi, status, settings):
    """Return the colour of a cell."""
    if status == "stable":
        return _RISING if psi >= settings["psi_warn"] / 2 else _STABLE
    if status == "alert":
        return _STRONG if psi >= 2 * settings["psi_alert"] else _ALERT
    return {"warn": _WARN, "too few rows": _TOO_FEW, "absent": _ABSENT}[status]


def _legend(levels, settings):
    """Yield the colours that need an entry, with their texts."""
    warn, alert = settings["psi_warn"], settings["psi_alert"]
    texts = {
        _STABLE: "stable",
        _RISING: f"stable, from {warn / 2:g}",
        _WARN: f"warn, from {warn:g}",
        _ALERT: f"alert, from {alert:g}",
        _STRONG: f"alert, from {2 * alert:g}",
        _TOO_FEW: "too few rows: chance explains it",
        _ABSENT: "absent",
    }
    present = {_STABLE, _WARN, _ALERT} | set(levels.ravel().tolist())
    yield from ((level, text) for level, text in texts.items() if level in present)


def _runs(mask):
    """Yield row, start and end of all that is true without a gap."""
    for row, marked in enumerate(mask):
        turns = np.flatnonzero(np.diff(np.concatenate([[0], marked, [0]])))
        yield from ((row, start, end) for start, end in turns.reshape(-1, 2))


def _hatched(corner, width, label=None):
    from matplotlib.patches import Rectangle

    color = _COLORS[_TOO_FEW]
    look = {"facecolor": color, "edgecolor": "0.7", "hatch": "/////", "linewidth": 0}
    return Rectangle(corner, width, 1, **look, label=label)


def _put_above(ax, title, entries):
    """Write the title, and the legend between title and axes, where it hides nothing."""
    n_lines = -(-len(entries) // MAX_ENTRIES)
    place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
    ax.legend(
        handles=entries, **place, ncols=-(-len(entries) // n_lines), fontsize=8, frameon=False
    )
    ax.set_title(title, fontsize=10, pad=8 + 13 * n_lines)


def _notes(reports, hidden, asked):
    """Yield notes to the plot."""
    is_dated = isinstance(reports[-1].last, str)
    unit = "days" if is_dated else "buckets"
    window, n_first = max(each.n_days for each in reports), reports[0].n_days
    before = f" and the {window - 1} before" if window > 1 else ""
    fewer = " (the first ones fewer)" if n_first < window else ""
    own = window == min(reports[-1].settings["window"], n_first - 1 + len(reports))
    asked_for = "" if own else f"window={window}"
    judged = f"its {unit[:-1]}{before}, as report({asked_for}) does"
    yield f"Each cell and point judges {judged}{fewer}."
    if n_first > 1 and len(reports) > 1:
        yield (
            f"The {n_first - 1} oldest {unit} have no cell of their own: what came before them is "
            "kept as a sum only."
        )
    n_matched = sum(each.same_weekdays for each in reports)
    if n_matched:
        where = "" if n_matched == len(reports) else f" in {n_matched} of {len(reports)} cells"
        yield f"Drift is measured against the same weekdays of the reference{where}."
    if any(each.may_be_weekdays for each in reports):
        yield (
            "Cells of fewer than seven days are compared with all days of the reference: what "
            "differs by weekday looks like drift there. With their dates in fit(at=), it does not."
        )
    if hidden:
        odd = [name for name, drifts in hidden.items() if _gravity(drifts)[0] > 1]
        never = f"{len(odd)} of them in warning or alert" if odd else "never in warning or alert"
        yield f"Left out by max_columns: {len(hidden)} column{'s' * (len(hidden) > 1)}, {never}."
    empty = _empty_days([each.last for each in reports])
    if empty:
        more = "" if len(empty) <= MAX_NAMED else f" and {len(empty) - MAX_NAMED} more"
        named = ", ".join(map(str, empty[:MAX_NAMED]))
        yield f"Left out, as no row came: {named}{more}."
    if not asked:
        yield "There are no predictions of the teacher for these rows, so the gap to it is unknown."


def _empty_days(days):
    """Return the days between the first and the last that have no rows."""
    is_dated = isinstance(days[-1], str)
    seen = np.array(days, dtype="datetime64[D]").astype(int) if is_dated else np.array(days)
    empty = np.setdiff1d(np.arange(seen.min(), seen.max() + 1), seen)
    return [str(np.datetime64(int(day), "D")) if is_dated else int(day) for day in empty]
