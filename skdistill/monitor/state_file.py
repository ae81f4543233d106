"""The state of a monitor as readable JSON, with a checksum.

``format`` and ``version`` say what it is, ``sha256`` is the hash of all the rest.
``columns`` and ``scores`` hold the bins, one line each; ``reference``, ``older`` and every line of
``buckets`` and ``weekdays`` (the reference by weekday) hold counts: the histogram of each column
and score, and sum and sum of squares of every measure of the gap. `VERSION` rises with every change
that an older skdistill would not understand; files of version 1 have no ``weekdays``.

Before SQLite, a kept monitor had a journal beside its JSON, which is only read here: a line for
each later update, with its CRC-32, the identifier of the journal, the number of the update, and
what it added.
"""

import json
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from skdistill import __version__
from skdistill.exceptions import MonitorFileError
from skdistill.monitor.bins import Bins
from skdistill.monitor.gap import MEASURES
from skdistill.monitor.layout import Counts, Layout
from skdistill.monitor.ledger import Entry, Ledger
from skdistill.scorer.digest import sha256
from skdistill.scorer.files import write_atomically

VERSION = 2

_FORMAT = "skdistill.monitor"

#: What the day of a weekday and of a bucket is called.
_DAYS = {"weekdays": "on", "buckets": "at"}


@dataclass(frozen=True)
class MonitorState:
    """The complete state of a monitor.

    It has the parameters of `FidelityMonitor`, the bins, and the counts of the reference rows, of
    live rows, and of reference rows by weekday (empty if their days are not known).
    """

    settings: dict
    layout: Layout
    reference: Counts
    ledger: Ledger
    weekdays: dict = field(default_factory=dict)

    def has_reference_of(self, other):
        """Tell whether another state has the same bins and reference, so that counts add up."""
        mine, theirs = (
            (s.layout, s.reference.cells.tolist(), {k: c.n_rows for k, c in s.weekdays.items()})
            for s in (self, other)
        )
        return mine == theirs


def state_to_text(state):
    """Write a state as JSON."""
    parts = parts_of(state).items()
    content = content_of_parts((*name, as_plain(state.layout, value)) for name, value in parts)
    content["batch_ids"] = state.ledger.batch_ids
    content["journal"] = None  # older versions of skdistill read it
    content["sha256"] = _hash_of(content)
    lines = [f"{_as_json(key)}: {_in_lines(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def parts_of(state):
    """Return all that is stored but identifiers of batches, by name, and day or None."""
    layout, ledger = state.layout, state.ledger
    values = {
        "format": _FORMAT,
        "version": VERSION,
        "written_by": __version__,
        "kind": layout.kind,
        "threshold": layout.threshold,
        "has_names": layout.has_names,
        "columns": [_bins_to_dict(bins) for bins in layout.columns],
        "scores": [_bins_to_dict(bins) for bins in layout.scores],
        "max_buckets": ledger.max_buckets,
        "settings": state.settings,
        "n_updates": ledger.n_updates,
        "skipped": ledger.skipped,
        "unknown_columns": ledger.unknown_columns,
        "reference": state.reference,
        "older": ledger.older,
    }
    return {
        **{(name, None): value for name, value in values.items()},
        **{("weekdays", name): counts for name, counts in state.weekdays.items()},
        **{("buckets", day): counts for day, counts in ledger.buckets.items()},
    }


def content_of_parts(parts):
    """Return the content of the JSON from names, keys and plain values.

    The keys of weekdays and buckets are days, those of ``batch_ids`` the identifiers.
    """
    values, lists = {}, {"weekdays": [], "buckets": [], "batch_ids": []}
    for name, key, value in parts:
        if name == "batch_ids":
            lists[name].append(key)
        elif name in _DAYS:
            lists[name].append({_DAYS[name]: key} | value)
        else:
            values[name] = value
    lists["buckets"].sort(key=lambda bucket: bucket["at"])
    return values | lists


def state_from_text(text, name):
    """Read what `state_to_text` wrote, which messages call `name`.

    Raises MonitorFileError if it is incomplete, changed, of something else, or from a newer
    skdistill.
    """
    return state_from_content(_content_of(text, name), name)


def state_from_content(content, name):
    """Read a state from what its JSON holds; see `state_from_text`."""
    version = content.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise MonitorFileError(
            f"{name} has version {version!r} of the format; skdistill {__version__} reads versions "
            f"up to {VERSION}. Upgrade skdistill."
        )
    try:
        bins = (tuple(map(_bins_from_dict, content[key])) for key in ("columns", "scores"))
        layout = Layout(content["kind"], content["threshold"], content["has_names"], *bins)
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


def _content_of(text, name):
    """Parse the JSON of a state and compare its hash; see `state_from_text`."""
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


def read_json_state(path):
    """Read a JSON state and the journal that continues it, to the last update written in full.

    Raises OSError if a file cannot be read, and MonitorFileError if it is damaged or of something
    else.
    """
    path = Path(path)
    content = _content_of(path.read_bytes(), repr(str(path)))
    state = state_from_content(content, repr(str(path)))
    ledger, journal = state.ledger, journal_of(path)
    for line in _lines(journal) if content.get("journal") else ():
        if line["journal"] != content["journal"] or line["update"] <= state.ledger.n_updates:
            continue
        if line["update"] != ledger.n_updates + 1:
            raise MonitorFileError(
                f"{str(journal)!r} lacks update {ledger.n_updates + 1}. Restore a copy, or remove "
                "the journal to continue without it."
            )
        ledger = ledger.add(_entry(state.layout, line))
    return replace(state, ledger=ledger)


def journal_of(path):
    """Return the path of the journal of a JSON state."""
    path = Path(path)
    return path.with_name(f"{path.name}.journal")


def _lines(journal):
    """Read the lines of a journal; what follows the last line break was cut off."""
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    for number, line in enumerate(lines, 1):
        crc, _, text = line.partition(b" ")
        if crc != b"%08x" % zlib.crc32(text):
            raise MonitorFileError(
                f"Line {number} of {str(journal)!r} is damaged. Restore a copy; or remove the "
                "journal, to continue without the updates since the state was last written."
            )
        yield json.loads(text)


def _entry(layout, content):
    parts = tuple((each["at"], counts_from_dict(layout, each)) for each in content["parts"])
    names = tuple(content["unknown_columns"]), tuple(content["batch_ids"])
    return Entry(parts, content["skipped"], *names)


def _bins_to_dict(bins):
    kind = "edges" if bins.levels is None else "levels"
    return {"name": bins.name, kind: getattr(bins, kind)}


def _bins_from_dict(content):
    edges, levels = content.get("edges"), content.get("levels")
    if (edges is None) == (levels is None):
        raise ValueError(f"column {content['name']!r} has neither edges nor levels, or both")
    return Bins(content["name"], *(None if e is None else tuple(e) for e in (edges, levels)))


def as_plain(layout, value):
    """Return a part as JSON knows it."""
    if not isinstance(value, Counts):
        return value
    columns, scores = layout.split(value.cells.tolist())
    return {
        "rows": value.n_rows,
        "columns": dict(zip(layout.names, columns, strict=True)),
        "scores": scores,
        "pairs": value.n_pairs,
        "gap": dict(zip(MEASURES[layout.kind], value.gap_sums.tolist(), strict=True)),
    }


def counts_from_dict(layout, content):
    """Read counts that `as_plain` returned, or raise KeyError, TypeError or ValueError."""
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
