"""The state of a monitor as readable JSON, with a checksum.

One object. ``format`` and ``version`` say what it is, ``sha256`` is the hash of all the rest.
``columns`` and ``scores`` hold the bins, one line each; ``reference``, ``older`` and every line of
``buckets`` and ``weekdays`` (the reference by weekday) hold counts: the histogram of each column
and score, and sum and sum of squares of every measure of the gap. `VERSION` rises with every change
that an older skdistill would not understand; files of version 1 have no ``weekdays``.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skdistill import __version__
from skdistill.exceptions import MonitorFileError
from skdistill.monitor.bins import Bins
from skdistill.monitor.gap import MEASURES
from skdistill.monitor.layout import Counts, Layout
from skdistill.monitor.ledger import Ledger
from skdistill.scorer.digest import sha256
from skdistill.scorer.files import write_atomically

VERSION = 2

_FORMAT = "skdistill.monitor"


@dataclass(frozen=True)
class MonitorState:
    """The complete state of a monitor.

    Attributes
    ----------
    settings : dict
        Parameters of `FidelityMonitor`.
    layout : Layout
        The bins.
    reference : Counts
        Of the reference rows.
    ledger : Ledger
        Of the live rows.
    weekdays : dict of str to Counts
        Of the reference rows by weekday; empty if their days are not known.
    """

    settings: dict
    layout: Layout
    reference: Counts
    ledger: Ledger
    weekdays: dict = field(default_factory=dict)


def state_to_text(state):
    """Write a state as JSON."""
    layout, ledger = state.layout, state.ledger
    content = header_of(state) | {
        "reference": counts_to_dict(layout, state.reference),
        "weekdays": [
            {"on": name} | counts_to_dict(layout, c) for name, c in state.weekdays.items()
        ],
        "buckets": [{"at": day} | counts_to_dict(layout, c) for day, c in ledger.buckets.items()],
        "older": counts_to_dict(layout, ledger.older),
        "batch_ids": ledger.batch_ids,
        "journal": None,  # older versions of skdistill read it
    }
    content["sha256"] = _hash_of(content)
    lines = [f"{_as_json(key)}: {_in_lines(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def header_of(state):
    """Return everything of a state but counts and identifiers of batches, as JSON knows it."""
    layout = state.layout
    return {
        "format": _FORMAT,
        "version": VERSION,
        "written_by": __version__,
        "kind": layout.kind,
        "threshold": layout.threshold,
        "has_names": layout.has_names,
        "columns": [_bins_to_dict(bins) for bins in layout.columns],
        "scores": [_bins_to_dict(bins) for bins in layout.scores],
        "max_buckets": state.ledger.max_buckets,
    } | variables_of(state)


def variables_of(state):
    """Return the part of `header_of` that updates change."""
    return {
        "settings": state.settings,
        "n_updates": state.ledger.n_updates,
        "skipped": state.ledger.skipped,
        "unknown_columns": state.ledger.unknown_columns,
    }


def state_from_text(text, name):
    """Read a state from JSON.

    Parameters
    ----------
    text : str or bytes
        What `state_to_text` wrote.
    name : str
        How messages name it.

    Returns
    -------
    state : MonitorState
        The same as was written.

    Raises
    ------
    MonitorFileError
        If it is incomplete, changed, of something else, or from a newer skdistill.
    """
    return state_from_content(content_of_text(text, name), name)


def state_from_content(content, name):
    """Read a state from what its JSON holds; see `state_from_text`."""
    version = content.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise MonitorFileError(
            f"{name} has version {version!r} of the format; skdistill {__version__} reads versions "
            f"up to {VERSION}. Upgrade skdistill."
        )
    try:
        columns, scores = (
            tuple(_bins_from_dict(each) for each in content[key]) for key in ("columns", "scores")
        )
        layout = Layout(
            content["kind"], content["threshold"], content["has_names"], columns, scores
        )
        ledger = Ledger(
            {each["at"]: counts_from_dict(layout, each) for each in content["buckets"]},
            counts_from_dict(layout, content["older"]),
            content["max_buckets"],
            content["n_updates"],
            content["skipped"],
            tuple(content["unknown_columns"]),
            tuple(content["batch_ids"]),
        )
        reference = counts_from_dict(layout, content["reference"])
        weekdays = {
            each["on"]: counts_from_dict(layout, each) for each in content.get("weekdays", [])
        }
        return MonitorState(content["settings"], layout, reference, ledger, weekdays)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MonitorFileError(
            f"{name} is not a valid state of a monitor: {type(error).__name__}, {error}."
        ) from error


def write_state_file(path, text):
    """Write a state to a file atomically; errors name the monitor."""
    try:
        write_atomically(Path(path), text.encode(errors="surrogatepass"))
    except OSError as error:
        why = f"The state of the monitor cannot be written: {error.strerror or error}"
        raise type(error)(error.errno, why, str(path)) from error


def content_of_text(text, name):
    """Parse the JSON of a state and compare its hash; see `state_from_text`."""
    if isinstance(text, bytes):
        text = text.decode(errors="surrogatepass") if _is_utf8(text) else ""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MonitorFileError(
            f"{name} is not complete JSON, so it was cut off or is another file: {error}. Restore "
            "a copy, or make a new monitor."
        ) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise MonitorFileError(
            f"{name} is not the state of a FidelityMonitor; a file that FidelityMonitor.save wrote "
            "was expected."
        )
    hashed = content.pop("sha256", None)
    is_newer = isinstance(content.get("version"), int) and content["version"] > VERSION
    if not is_newer and hashed != _hash_of(content):
        raise MonitorFileError(
            f"{name} does not match its SHA-256, so it was damaged or changed by hand. Restore a "
            "copy, or make a new monitor."
        )
    return content


def _is_utf8(payload):
    try:
        payload.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _bins_to_dict(bins):
    kind = "edges" if bins.levels is None else "levels"
    return {"name": bins.name, kind: getattr(bins, kind)}


def _bins_from_dict(content):
    edges, levels = content.get("edges"), content.get("levels")
    if (edges is None) == (levels is None):
        raise ValueError(f"column {content['name']!r} has neither edges nor levels, or both")
    return Bins(content["name"], *(None if e is None else tuple(e) for e in (edges, levels)))


def counts_to_dict(layout, counts):
    """Return counts as JSON knows them."""
    columns, scores = layout.split(counts.cells.tolist())
    return {
        "rows": counts.n_rows,
        "columns": dict(zip(layout.names, columns, strict=True)),
        "scores": scores,
        "pairs": counts.n_pairs,
        "gap": dict(zip(MEASURES[layout.kind], counts.gap_sums.tolist(), strict=True)),
    }


def counts_from_dict(layout, content):
    """Read what `counts_to_dict` returned, or raise KeyError, TypeError or ValueError."""
    if list(content["columns"]) != layout.names:
        raise ValueError("counts of other columns than there are")
    histograms = [*content["columns"].values(), *content["scores"]]
    bins = [*layout.columns, *layout.scores]
    for each, histogram in zip(bins, histograms, strict=True):
        if len(histogram) != each.n_cells:
            raise ValueError(f"{each.name!r} has {len(histogram)} counts for {each.n_cells} bins")
    return Counts(
        content["rows"],
        np.concatenate(histograms).astype(np.int64),
        content["pairs"],
        np.array([content["gap"][name] for name in MEASURES[layout.kind]], dtype=np.float64),
    )


def _hash_of(content):
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()


def _as_json(value):
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _in_lines(value):
    """Write a list of objects with one line each, anything else in one."""
    if isinstance(value, list) and value:
        return "[\n " + ",\n ".join(map(_as_json, value)) + "\n]"
    return _as_json(value)
