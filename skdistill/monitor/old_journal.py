"""State files of before SQLite: JSON, with a journal beside it of the updates since.

    monitor.json           the state at some update
    monitor.json.journal   one line per later update: CRC-32, and what it added, as JSON

Each line has the identifier of its journal and the number of the update. Only read here:
`FidelityMonitor.load` still takes such files, and moves them over to a database to keep them.
"""

import json
import zlib
from dataclasses import replace
from pathlib import Path

from skdistill.monitor.ledger import Entry
from skdistill.monitor.state_file import (
    MonitorFileError,
    content_of_text,
    counts_from_dict,
    state_from_content,
)


def read_json_state(path):
    """Read a JSON state, and the journal that continues it if there is one.

    Parameters
    ----------
    path : str or path-like
        The JSON file.

    Returns
    -------
    state : MonitorState
        At the last update that was written in full.

    Raises
    ------
    OSError
        If a file cannot be read.
    MonitorFileError
        If either file is damaged, or of something else.
    """
    path = Path(path)
    content = content_of_text(path.read_bytes(), repr(str(path)))
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
