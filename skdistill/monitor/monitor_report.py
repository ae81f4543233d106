"""The report of a monitor: drift of columns and score, the gap to the teacher, and advice."""

import json
import math
from dataclasses import asdict, dataclass, fields

import numpy as np

from skdistill.monitor.gap import FEWEST_PAIRS, MEASURES, estimates, growth, share_estimate
from skdistill.monitor.psi import (
    occupied,
    population_stability_index,
    psi_noise,
)
from skdistill.monitor.weekdays import FEWEST_ROWS, by_weekday, matched_reference
from skdistill.weighted_statistics import Estimate

#: Titles of measures.
TITLES = {
    "kl_divergence": "KL divergence",
    "difference": "difference",
    "bias": "teacher - student",
    "agreement": "agreement",
}

#: Sentences about the gap.
_GAP_SENTENCES = {
    "grown": "has grown by more than the tolerated {:.0%}",
    "held": "has not grown by more than the tolerated {:.0%}",
    "unclear": "may have grown by more than the tolerated {:.0%}; there are too few rows to decide",
    "too few rows": f"is unknown: the teacher scored fewer than {FEWEST_PAIRS} rows",
    "no reference": f"has no reference: fit got fewer than {FEWEST_PAIRS} of its scores",
}

#: Drifted columns that the text shows.
_MOST_SHOWN = 12


@dataclass(frozen=True)
class Drift:
    """Drift of a column or score.

    Attributes
    ----------
    name : str
        The column or score.
    psi : float or None
        Population stability index; None without rows.
    noise : float or None
        The 99.9 % quantile of the index without drift; None without rows.
    status : {"stable", "warn", "alert", "too few rows", "absent"}
        "alert" or "warn" if the index is at or above the threshold and exceeds `noise`; "too few
        rows" if it does not exceed `noise`, and `noise` exceeds the lower threshold.
    n_rows : int
        Rows that were counted.
    n_skipped : int
        Rows in which it was absent or could not be read.
    shift : str or None
        The bin with the largest term of the index, with its shares in the reference and now.
    """

    name: str
    psi: float | None
    noise: float | None
    status: str
    n_rows: int
    n_skipped: int
    shift: str | None


@dataclass(frozen=True)
class Gap:
    """The gap between student and teacher by one measure.

    Attributes
    ----------
    measure : {"kl_divergence", "difference", "bias", "agreement"}
        Mean Kullback-Leibler divergence in nats; mean absolute difference of probabilities or
        predictions; mean of teacher minus student; share of rows on which both agree.
    live : Estimate
        On live rows, with its interval.
    reference : Estimate or None
        On the reference rows; None if the teacher's scores were not passed.
    """

    measure: str
    live: Estimate
    reference: Estimate | None


@dataclass(frozen=True)
class MonitorReport:
    """The report of a `FidelityMonitor` on recent rows. Prints as text.

    Attributes
    ----------
    first, last : int, str or None
        The first and last day, or bucket number; None if nothing was counted yet.
    n_rows, n_lifetime, n_reference : int
        Rows in these days, since the start, and of the reference.
    n_pairs : int
        Rows in these days with the scores of both student and teacher.
    scores : tuple of Drift
        Of the student's score; of each class's with three or more.
    columns : tuple of Drift
        Of every column.
    flagged : Estimate or None
        Share of rows with a score at the threshold or above, with two classes.
    flagged_reference : Estimate or None
        The same on the reference rows.
    gaps : tuple of Gap
        The gap by each measure; empty without scores of the teacher.
    gap_status : {"grown", "held", "unclear", "too few rows", "no reference"}
        The result for the first measure.
    alerts : tuple of str
        What exceeds a threshold.
    should_redistill : bool
        Whether to distil the student again on recent rows.
    reasons : tuple of str
        Why, or why not.
    skipped : dict of str to int
        What could not be counted since the start, and in how many rows.
    unknown_columns : tuple of str
        Columns passed since the start that the model does not have.
    settings : dict
        Parameters of the monitor.
    n_days : int
        Number of days, or buckets, in the report.
    same_weekdays : bool
        Whether live rows are compared with reference rows of the same weekdays, not with all.

    See Also
    --------
    FidelityMonitor : Makes it; its notes define drift, gap and advice.

    Examples
    --------
    The unit of a column has changed:

    >>> import numpy as np
    >>> from skdistill import FidelityMonitor
    >>> rng = np.random.default_rng(0)
    >>> def score(X):
    ...     return X["amount"] / (X["amount"] + 200)
    >>> X = {"amount": rng.gamma(2, 50, 5000), "hour": rng.integers(0, 24, 5000)}
    >>> monitor = FidelityMonitor().fit(X, score(X))
    >>> X["amount"] = X["amount"] / 1000
    >>> summary = monitor.update(X, score(X))
    >>> report = monitor.report()
    >>> report.should_redistill
    True
    >>> for drift in report.columns:
    ...     print(f"{drift.name}: {drift.psi:.2f}, {drift.status}")
    amount: 8.28, alert
    hour: 0.00, stable
    """

    first: int | str | None
    last: int | str | None
    n_rows: int
    n_lifetime: int
    n_reference: int
    n_pairs: int
    scores: tuple
    columns: tuple
    flagged: Estimate | None
    flagged_reference: Estimate | None
    gaps: tuple
    gap_status: str
    alerts: tuple
    should_redistill: bool
    reasons: tuple
    skipped: dict
    unknown_columns: tuple
    settings: dict
    n_days: int
    same_weekdays: bool

    def section(self, name):
        """Return one part of the report as rows, for instance for ``pandas.DataFrame``.

        Parameters
        ----------
        name : {"columns", "scores", "gaps"}
            Which part.

        Returns
        -------
        rows : list of dict
            All with the same keys; estimates take three: the value, ``_low`` and ``_high``.

        Raises
        ------
        ValueError
            If there is no such part.
        """
        if name not in ("columns", "scores", "gaps"):
            raise ValueError(f"section={name!r}; 'columns', 'scores' or 'gaps' was expected.")
        return [_row_of(item) for item in getattr(self, name)]

    @property
    def may_be_weekdays(self):
        """Whether columns have drifted on fewer than seven dates, compared with all weekdays."""
        is_short = self.n_days < 7 and isinstance(self.first, str)
        drifted = any(each.status in ("warn", "alert") for each in self.columns)
        return is_short and drifted and not self.same_weekdays

    def to_dict(self):
        """Return everything as nested dicts and lists of plain numbers and strings."""
        return _plain(asdict(self))

    def to_json(self):
        """Return everything as JSON; what is not a number is null."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def __str__(self):
        return "\n".join([self._headline(), *self._verdict(), *self._tables(), *self._remarks()])

    def _headline(self):
        days = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        recent = f"{days}: {self.n_rows:,} rows" if self.n_rows else "No live rows yet"
        return (
            f"{recent} ({self.n_lifetime:,} since the start, {self.n_reference:,} in the "
            f"reference), the teacher scored {self.n_pairs:,}"
        )

    def _verdict(self):
        alerts = [alert for alert in self.alerts if alert not in self.reasons]
        return [
            f"Distil again: {'yes' if self.should_redistill else 'no'}",
            *(f"- {reason}" for reason in self.reasons),
            *(["Alerts"] if alerts else []),
            *(f"- {alert}" for alert in alerts),
        ]

    def _tables(self):
        drifted = [each for each in self.columns if each.status != "stable"]
        drifted.sort(key=lambda each: -(each.psi or 0))
        shown = [*self.scores, *drifted[:_MOST_SHOWN]]
        yield ""
        yield _aligned(["", "PSI", "chance", "status", "rows", "largest shift"], map(_cells, shown))
        n_hidden = len(self.columns) - len(drifted[:_MOST_SHOWN])
        if n_hidden:
            what = "columns are stable" if len(drifted) <= _MOST_SHOWN else "columns are not shown"
            yield f"{n_hidden} {what}"
        rows = [[TITLES[gap.measure], _text(gap.live), _text(gap.reference)] for gap in self.gaps]
        if self.flagged:
            rows.append(["flagged", _text(self.flagged), _text(self.flagged_reference)])
        if rows:
            yield ""
            yield _aligned(["", "live", "reference"], rows)

    def _remarks(self):
        if self.same_weekdays:
            yield "\nDrift is measured against the same weekdays of the reference."
        elif self.may_be_weekdays:
            yield (
                "\nDrift is measured against all days of the reference, and these rows are from "
                "fewer than\nseven days: differences between weekdays look like drift. To avoid "
                f"that, pass dates in\nfit(at=), with {FEWEST_ROWS} reference rows of each weekday."
            )
        if self.skipped:
            yield "\nNot counted since the start (rows)"
            yield from (f"- {why}: {n:,}" for why, n in self.skipped.items())
        if self.unknown_columns:
            yield f"Unknown columns: {', '.join(self.unknown_columns)}"


def make_report(state, days):
    """Compare the rows of some days, the keys of buckets, with the reference."""
    settings, layout, reference = state.settings, state.layout, state.reference
    live = state.ledger.total(days)
    pairs = by_weekday(state, days)
    expected = matched_reference(layout, pairs, reference) if pairs else reference.cells
    columns, scores = (
        tuple(_drift(*item, live.n_rows, settings) for item in zip(bins, mine, theirs, strict=True))
        for bins, mine, theirs in zip(
            (layout.columns, layout.scores),
            layout.split(live.cells),
            layout.split(expected),
            strict=True,
        )
    )
    status, sentence = _gap_status(layout.kind, live, reference, settings)
    should, reasons = _decide(status, sentence, columns, scores) if live.n_rows else (False, ())
    alerts = [_alert_of(each) for each in (*scores, *columns) if each.status in _ALERTS]
    return MonitorReport(
        days[0] if days else None,
        days[-1] if days else None,
        live.n_rows,
        state.ledger.lifetime.n_rows,
        reference.n_rows,
        live.n_pairs,
        scores,
        columns,
        _flagged(layout, live, settings),
        _flagged(layout, reference, settings),
        _gaps(layout.kind, live, reference, settings["confidence"]),
        status,
        tuple(alerts + [sentence] * (status == "grown")),
        should,
        reasons,
        dict(state.ledger.skipped),
        state.ledger.unknown_columns,
        dict(settings),
        len(days),
        bool(pairs),
    )


def _drift(bins, live, reference, n_rows, settings):
    """Compare the histograms of one column or score."""
    n_live = int(live.sum())
    if n_live == 0 or not reference.any():
        status = "absent" if n_rows and reference.any() else "too few rows"
        return Drift(bins.name, None, None, status, n_live, n_rows - n_live, None)
    psi, noise = population_stability_index(live, reference), psi_noise(live, reference)
    status = _status(psi, noise, settings)
    return Drift(
        bins.name, psi, noise, status, n_live, n_rows - n_live, _shift(bins, live, reference)
    )


def _status(psi, noise, settings):
    if psi <= noise:
        return "too few rows" if noise > settings["psi_warn"] else "stable"
    if psi >= settings["psi_alert"]:
        return "alert"
    return "warn" if psi >= settings["psi_warn"] else "stable"


def _shift(bins, live, reference):
    """Describe the bin with the largest term of the index."""
    now, then = live / live.sum(), reference / reference.sum()
    used = occupied(live, reference)
    ratio = np.log((live + 0.5) / (live.sum() + 0.5) * (reference.sum() + 0.5) / (reference + 0.5))
    worst = int(np.argmax(np.where(used, (now - then) * ratio, -np.inf)))
    return f"{bins.labels[worst]}: {then[worst]:.1%} -> {now[worst]:.1%}"


def _gap_status(kind, live, reference, settings):
    """Decide whether the gap has grown; return a status and a sentence."""
    measure = TITLES[MEASURES[kind][0]]
    if reference.n_pairs < FEWEST_PAIRS:
        status = "no reference"
    elif live.n_pairs < FEWEST_PAIRS:
        status = "too few rows"
    else:
        pairs = [(each.n_pairs, each.gap_sums[0]) for each in (live, reference)]
        grown = growth(*pairs, settings["gap_tolerance"], settings["confidence"])
        status = "grown" if grown.low > 0 else "held" if grown.high <= 0 else "unclear"
    sentence = f"The gap to the teacher {_GAP_SENTENCES[status]}".format(settings["gap_tolerance"])
    if status in ("grown", "held", "unclear"):
        then, now = (each.gap_sums[0, 0] / each.n_pairs for each in (reference, live))
        sentence += f": {measure} {then:.3g} in the reference, {now:.3g} now"
    return status, f"{sentence}."


def _decide(status, sentence, columns, scores):
    """Decide whether to distil again, with the reasons."""
    if status == "grown":
        return True, (sentence,)
    drifted = [*filter(_is_alert, scores), *filter(_is_alert, columns)]
    if not drifted:
        return False, ("Neither score nor columns have drifted to the alert threshold.", sentence)
    names = [each.name for each in drifted]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    if status == "held":
        return False, (
            f"Drifted: {shown}. The student still follows its teacher, so distilling again "
            "would not help; only labels can show whether the teacher is still right.",
            sentence,
        )
    if any(_is_alert(score) for score in scores) or any(c.status == "absent" for c in columns):
        return True, (
            f"Drifted: {shown}. Nothing shows that the student still follows its teacher.",
            sentence,
        )
    return False, (
        f"Drifted: {shown}, but not the score. To find out whether the student still follows its "
        "teacher, have the teacher score more rows (teacher_share).",
        sentence,
    )


#: Statuses that are reported as alerts, and those that ask for action.
_ALERTS = ("warn", "alert", "absent")


def _is_alert(drift):
    return drift.status in ("alert", "absent")


def _alert_of(drift):
    if drift.status == "absent":
        return f"absent: {drift.name} is in none of the rows"
    return f"{drift.status}: {drift.name}, PSI {drift.psi:.3f} ({drift.shift})"


def _gaps(kind, live, reference, confidence):
    now, then = (estimates(kind, e.n_pairs, e.gap_sums, confidence) for e in (live, reference))
    return tuple(Gap(name, value, then.get(name)) for name, value in now.items())


def _flagged(layout, counts, settings):
    """Return the share of scores at the threshold or above; None if there is no threshold."""
    score = layout.split(counts.cells)[1][0]
    if layout.kind != "binary" or not score.any():
        return None
    above = np.searchsorted(layout.scores[0].edges, layout.threshold)
    n_flagged = int(score[above:-1].sum())
    return share_estimate(n_flagged, int(score.sum()), settings["confidence"])


def _row_of(item):
    """Return the fields of a data class as a dict, estimates as three entries."""
    row = {}
    for field in fields(item):
        value = getattr(item, field.name)
        if field.name in ("live", "reference"):
            value = value or Estimate(math.nan, math.nan, math.nan)
            ends = {f"{field.name}_low": value.low, f"{field.name}_high": value.high}
            row |= {field.name: value.value} | ends
        else:
            row[field.name] = value
    return row


def _plain(value):
    """Turn nested dicts and tuples into JSON types; NaN becomes None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _cells(drift):
    psi, noise = ("-" if v is None else f"{v:.4f}" for v in (drift.psi, drift.noise))
    return [drift.name, psi, noise, drift.status, f"{drift.n_rows:,}", drift.shift or "-"]


def _text(estimate):
    if estimate is None:
        return "-"
    if math.isnan(estimate.low):
        return f"{estimate.value:.4g}"
    return f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"


def _aligned(header, rows):
    """Align texts in columns, numbers to the right."""
    rows = [header, *rows]
    widths = [max(len(row[j]) for row in rows) for j in range(len(header))]
    right = {"PSI", "chance", "rows"}
    return "\n".join(
        "  ".join(
            text.rjust(width) if name in right else text.ljust(width)
            for text, width, name in zip(row, widths, header, strict=True)
        ).rstrip()
        for row in rows
    )
