"""A monitor on disk that one process may lose at any time: a state file and a journal beside it.

    monitor.json           the state at some update
    monitor.json.journal   one line per later update: CRC-32, and what it added, as JSON

An update is in the journal before it is in memory. When the journal has grown, the state is written
anew and the journal emptied. Each line carries the identifier of its journal and the number of the
update, so that a state never takes lines that are not its own, or takes one twice.
"""

import json
import os
import zlib
from dataclasses import replace
from pathlib import Path

from skdistill.exceptions import MonitorFileError
from skdistill.monitor.state_file import (
    entry_from_dict,
    entry_to_dict,
    state_from_text,
    state_to_text,
    write_state_file,
)

try:
    import fcntl
except ImportError:  # Windows: there nothing keeps two processes apart
    fcntl = None

#: Bytes from which on the state is written anew, and the journal emptied.
MOST_BYTES = 2**20

#: A reader that meets a writer at work tries again as often.
_TRIES = 5


class Journal:
    """Keeps a monitor on disk, for one process.

    Parameters
    ----------
    path : str or path-like
        The state file.

    Raises
    ------
    RuntimeError
        If another monitor, of this or another process, keeps it.
    """

    def __init__(self, path):
        self.path = Path(path).absolute()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._file = os.open(_journal_of(self.path), flags, 0o666)
        self._process, self._size = os.getpid(), 0
        try:
            self._lock()
        except BaseException:
            self.close()
            raise

    def write_state(self, state):
        """Write the whole state, and start an empty journal.

        Parameters
        ----------
        state : MonitorState
            At the last update.

        Returns
        -------
        state : MonitorState
            The state, with the identifier of the journal.
        """
        self._check_process()
        state = replace(state, journal=state.journal or os.urandom(8).hex())
        write_state_file(self.path, state_to_text(state))
        os.ftruncate(self._file, 0)
        self._size = 0
        return state

    def append(self, state, entry):
        """Write an entry; killed at any time, the process leaves all of it or nothing that counts.

        Parameters
        ----------
        state : MonitorState
            Before the entry.
        entry : Entry
            What is added to it.

        Raises
        ------
        OSError
            If it could not be written; then the journal is as it was.
        RuntimeError
            If the process was forked since the journal was opened.
        """
        self._check_process()
        line = _line_of(state, entry)
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(f"The journal of {str(self.path)!r} could not be written in full.")
        except BaseException:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    @property
    def is_full(self):
        """Whether the state should be written anew."""
        return self._size > MOST_BYTES

    def close(self):
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def __del__(self):
        if getattr(self, "_file", None) is not None:
            self.close()

    def _check_process(self):
        if os.getpid() != self._process:
            raise RuntimeError(
                f"{str(self.path)!r} is kept by process {self._process}, which this one was forked "
                "from. Give each process a monitor with a path of its own, and merge them."
            )

    def _lock(self):
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RuntimeError(
                f"{str(self.path)!r} is kept by another monitor, of this or another process. Close "
                "that one, or give each process a path of its own and merge the monitors."
            ) from None


def read_state(path):
    """Read a state file and the journal that continues it.

    Parameters
    ----------
    path : str or path-like
        The state file; a process may be writing to it.

    Returns
    -------
    state : MonitorState
        At the last update that was written in full.

    Raises
    ------
    OSError
        If there is no such file.
    MonitorFileError
        If either file is damaged, or of something else.
    """
    path = Path(path)
    for _ in range(_TRIES):
        payload = path.read_bytes()
        state = state_from_text(payload, repr(str(path)))
        lines = _lines_after(state, _journal_of(path))
        if path.read_bytes() == payload:  # else the journal was emptied into a new state
            return replace(state, ledger=_replayed(state, lines, _journal_of(path)))
    raise MonitorFileError(f"{str(path)!r} was written while it was read. Load it again.")


def _replayed(state, lines, journal):
    """Add the entries of a journal to the ledger of a state."""
    ledger = state.ledger
    for line in lines:
        if line["update"] != ledger.n_updates + 1:
            raise MonitorFileError(
                f"{str(journal)!r} lacks update {ledger.n_updates + 1}. Restore a copy, or remove "
                "the journal to go on without."
            )
        ledger = ledger.add(entry_from_dict(state.layout, line))
    return ledger


def _lines_after(state, journal):
    """Return the lines of a journal that a state does not have yet."""
    try:
        lines = journal.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    contents = []
    for number, line in enumerate(lines[:-1], 1):  # what follows the last line break is cut off
        content = _content_of(line)
        if content is None:
            raise MonitorFileError(
                f"Line {number} of {str(journal)!r} is damaged. Restore a copy; or remove the "
                "journal, to go on without what was counted since the state was last written."
            )
        contents.append(content)
    of_state = [each for each in contents if each["journal"] == state.journal]
    return [each for each in of_state if each["update"] > state.ledger.n_updates]


def _line_of(state, entry):
    content = {"journal": state.journal, "update": state.ledger.n_updates + 1}
    text = json.dumps(content | entry_to_dict(state.layout, entry), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _content_of(line):
    """Return what a line of a journal holds, None if it is damaged."""
    crc, _, text = line.partition(b" ")
    return json.loads(text) if crc == b"%08x" % zlib.crc32(text) else None


def _journal_of(path):
    path = Path(path)
    return path.with_name(f"{path.name}.journal")
