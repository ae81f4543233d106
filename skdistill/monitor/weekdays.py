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
    """Count reference rows by weekday.

    Parameters
    ----------
    layout : Layout
        The bins.
    batch : Batch
        The reference rows.
    days : dict of (int, str or None) to ndarray of shape (n_rows,) and dtype bool
        The rows of every day, see `days_of_rows`; None has those without.

    Returns
    -------
    weekdays : dict of str to Counts
        Of every weekday that has rows.
    """
    masks = {}
    for day, mask in days.items():
        if day is not None:
            name = weekday_of(day)
            masks[name] = masks.get(name, False) | mask
    return {name: count(layout, batch.of_rows(mask))[0] for name, mask in masks.items()}


def by_weekday(state, days):
    """Pair live and reference rows of the same weekdays.

    Parameters
    ----------
    state : MonitorState
        What was counted.
    days : list of (int or str)
        Keys of buckets.

    Returns
    -------
    pairs : list of (Counts, Counts)
        Live and reference counts per weekday; empty if the reference has fewer than `FEWEST_ROWS`
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

    Parameters
    ----------
    layout : Layout
        The bins.
    pairs : list of (Counts, Counts)
        Live and reference rows per weekday, see `by_weekday`.
    reference : Counts
        Of all reference rows, for columns without reference cells on a weekday.

    Returns
    -------
    cells : ndarray of shape (n_cells,)
        Expected shares on these weekdays, times the effective number of rows.

    Notes
    -----
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
