"""The part of the reference that live rows are compared with: rows of the same weekdays."""

import numpy as np

from skdistill.monitor.layout import count

#: Smallest number of reference rows of a weekday to compare with alone: with this many, the index
#: of ten bins is below 0.1 without drift.
FEWEST_ROWS = 300

_WEEKDAYS = "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"


def weekday_of(day):
    """Return the name of the weekday of a bucket; days that are numbers repeat after seven."""
    if isinstance(day, str):
        return _WEEKDAYS[(np.datetime64(day, "D").astype(int) + 3) % 7]
    return f"day {day % 7} of 7"


def counts_by_weekday(layout, batch, days):
    """Count reference rows by the name of their weekday.

    `days` has the mask of the rows of every day, see `days_of_rows`.
    """
    masks = {}
    for day, mask in days.items():
        if day is not None:
            name = weekday_of(day)
            masks[name] = masks.get(name, False) | mask
    return {name: count(layout, batch.of_rows(mask))[0] for name, mask in masks.items()}


def by_weekday(state, days):
    """Pair the live rows of some buckets with reference rows of the same weekdays.

    Returns a pair of `Counts` per weekday; nothing if the reference has fewer than `FEWEST_ROWS`
    rows of one of them.
    """
    groups = {}
    for day in days:
        groups.setdefault(weekday_of(day), []).append(day)
    known = state.weekdays
    if any(name not in known or known[name].n_rows < FEWEST_ROWS for name in groups):
        return []
    return [(state.ledger.total(group), known[name]) for name, group in groups.items()]


def matched_reference(layout, pairs, reference):
    """Weight the reference by weekday as live rows are distributed.

    `pairs` are those of `by_weekday`; `reference`, of all rows, is for columns without reference
    cells on a weekday. Returns the expected shares of all cells, times the effective number of
    rows.

    With n_w of n live rows and m_w reference rows with shares q_w on weekday w, the shares are
    ``sum_w (n_w / n) q_w``, and their variance that of ``1 / sum_w (n_w / n)**2 / m_w`` rows: the
    effective sample size of a stratified sample.
    """
    live, then = (np.stack([each.cells for each in side]) for side in zip(*pairs, strict=True))
    n, m = (np.add.reduceat(each, layout.starts, axis=1) for each in (live, then))
    is_known = (n.sum(axis=0) > 0) & ((n == 0) | (m > 0)).all(axis=0)
    weights, m = n / np.maximum(1, n.sum(axis=0)), np.maximum(1, m)
    worth = 1 / np.where(is_known, (weights**2 / m).sum(axis=0), 1)
    sizes = np.diff([*layout.starts, len(reference.cells)])
    mixed = (np.repeat(weights * worth / m, sizes, axis=1) * then).sum(axis=0)
    return np.where(np.repeat(is_known, sizes), mixed, reference.cells)
