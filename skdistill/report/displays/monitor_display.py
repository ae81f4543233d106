"""Plot what a monitor has seen: drift by column and time, and the gap to the teacher."""

import numpy as np

from skdistill.monitor.report import TITLES
from skdistill.report.plotting import import_pyplot, make_panels, shorten

#: Size of a panel in a new figure, in inches.
PANEL = 8.0, 3.4

#: Letters of the name of a column that are shown.
MAX_LETTERS = 36

#: Most days that are written below the time axis.
MAX_TICKS = 5


class MonitorDisplay:
    """Drift of every column and score over time, and the student's gap to its teacher.

    Use `from_monitor` to make one.

    Parameters
    ----------
    days : list of (int or str)
        Days or numbers of the buckets, in the order of time.
    psi : dict of str to list of (float or None)
        Per score and column the population stability index of every bucket; None where it had too
        few rows to tell.
    gap : list of (Estimate or None)
        The gap to the teacher in every bucket; None where the teacher was not asked.
    reference_gap : Estimate or None, default=None
        That of the reference.
    measure : str, default="gap"
        What the gap is called.
    psi_warn : float, default=0.1
        Index that is a warning.
    psi_alert : float, default=0.2
        Index that is an alert.
    gap_tolerance : float, default=0.2
        Share by which the gap may exceed that of the reference.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The drift, and below it the gap if the teacher was asked.
    bounding_ax_ : matplotlib Axes or None
        The axes that they are drawn in; None if an array of axes was passed.
    figure_ : matplotlib Figure
        The figure they belong to.

    See Also
    --------
    FidelityMonitor : Counts what is shown.

    Examples
    --------
    Three days, the last one drifted:

    >>> import numpy as np
    >>> from skdistill import FidelityMonitor, MonitorDisplay
    >>> rng = np.random.default_rng(0)
    >>> monitor = FidelityMonitor().fit(rng.normal(size=(5000, 3)), rng.random(5000))
    >>> for day, shift in enumerate([0, 0, 1]):
    ...     summary = monitor.update(rng.normal(shift, size=(1000, 3)), rng.random(1000), at=day)
    >>> display = MonitorDisplay.from_monitor(monitor)
    >>> sorted(display.psi)
    ['score', 'x0', 'x1', 'x2']
    """

    def __init__(
        self,
        days,
        psi,
        gap,
        reference_gap=None,
        *,
        measure="gap",
        psi_warn=0.1,
        psi_alert=0.2,
        gap_tolerance=0.2,
    ):
        self.days = days
        self.psi = psi
        self.gap = gap
        self.reference_gap = reference_gap
        self.measure = measure
        self.psi_warn = psi_warn
        self.psi_alert = psi_alert
        self.gap_tolerance = gap_tolerance

    @classmethod
    def from_monitor(cls, monitor, *, max_columns=15, ax=None):
        """Plot all buckets that a monitor keeps.

        Parameters
        ----------
        monitor : FidelityMonitor
            With live rows.
        max_columns : int, default=15
            How many columns are shown, those with the largest index; scores always are.
        ax : matplotlib Axes, array of matplotlib Axes or None, default=None
            See `plot`.

        Returns
        -------
        display : MonitorDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the monitor has counted no live rows.
        """
        history = monitor.history()
        if not history:
            raise ValueError(
                "The monitor has counted no live rows, so there is nothing to plot. Call update "
                "first."
            )
        scores = _series(history, "scores")
        columns = _series(history, "columns")
        ranked = sorted(columns, key=lambda name: -max(each or 0 for each in columns[name]))
        gaps = [report.gaps[0] if report.gaps else None for report in history]
        known = [gap for gap in gaps if gap is not None]
        settings = history[-1].settings
        names = "psi_warn", "psi_alert", "gap_tolerance"
        display = cls(
            [report.first for report in history],
            scores | {name: columns[name] for name in ranked[:max_columns]},
            [None if gap is None else gap.live for gap in gaps],
            known[0].reference if known else None,
            measure=TITLES[known[0].measure] if known else "gap",
            **{name: settings[name] for name in names},
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the drift as a table of colours, and below it the gap with its interval.

        Parameters
        ----------
        ax : matplotlib Axes, array of matplotlib Axes or None, default=None
            One axes that is filled, or one per panel; None makes a new figure.

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
        n_panels = 1 + any(each is not None for each in self.gap)
        self.bounding_ax_, self.axes_ = make_panels(ax, n_panels, 1, PANEL)
        self.figure_ = self.axes_[0].figure
        self._draw_drift(self.axes_[0])
        if n_panels == 2:
            self._draw_gap(self.axes_[1])
        for panel in self.axes_:
            step = -(-len(self.days) // MAX_TICKS)
            shown = np.arange(0, len(self.days), step)
            panel.set_xticks(shown, [str(self.days[position]) for position in shown])
            panel.set_xlim(-0.5, len(self.days) - 0.5)
            panel.tick_params(axis="x", labelsize=8)
        return self

    def _draw_drift(self, ax):
        from matplotlib import colormaps
        from matplotlib.colors import BoundaryNorm

        steps = [0, self.psi_warn / 2, self.psi_warn, self.psi_alert, 2 * self.psi_alert]
        colors = colormaps["YlOrRd"].with_extremes(bad="0.8")
        norm = BoundaryNorm(np.unique(steps), colors.N, extend="max")
        values = np.array(list(self.psi.values()), dtype=np.float64)
        image = ax.imshow(values, colors, norm, aspect="auto", interpolation="nearest")
        ax.set_yticks(range(len(self.psi)), [shorten(name, MAX_LETTERS) for name in self.psi])
        ax.tick_params(axis="y", labelsize=8)
        ax.set_title(
            f"Drift: PSI, warning from {self.psi_warn:g}, alert from {self.psi_alert:g} "
            "(grey: too few rows)",
            fontsize=10,
        )
        ax.figure.colorbar(image, ax=ax, spacing="uniform", pad=0.01)

    def _draw_gap(self, ax):
        drawn = [each is not None for each in self.gap]
        at = np.flatnonzero(drawn)
        value, low, high = (
            np.array([getattr(self.gap[i], end) for i in at]) for end in ("value", "low", "high")
        )
        ends = np.nan_to_num(np.stack([value - low, high - value]))
        ax.errorbar(at, value, ends, fmt="o-", markersize=4, capsize=2, label="live, with interval")
        if self.reference_gap is not None:
            then = self.reference_gap
            ax.axhline(then.value, color="0.5", label="reference")
            ax.axhspan(then.low, then.high, color="0.5", alpha=0.2, linewidth=0)
            tolerated = (1 + self.gap_tolerance) * then.value
            label = f"tolerated: {self.gap_tolerance:.0%} more"
            ax.axhline(tolerated, color="tab:red", linestyle="--", label=label)
        ax.set_title(f"Gap of student to teacher: {self.measure}", fontsize=10)
        ax.set_ylim(bottom=min(0.0, *low[~np.isnan(low)], 0.0))
        ax.legend(fontsize=8)


def _series(history, part):
    """Return the index of every column, or score, over time."""
    rows = [getattr(report, part) for report in history]
    return {
        drifts[0].name: [None if each.status == "too few rows" else each.psi for each in drifts]
        for drifts in zip(*rows, strict=True)
    }
