"""A monitor in an SQLite database, kept there by one process or by several.

    monitor     one row per name: the bins, the parameters, numbers of what was skipped; as JSON
    counts      one row per bucket (part "bucket"), of what is older ("older"), of the reference
                ("reference") and of its weekdays ("weekday"); histograms as JSON
    batch_ids   the last identifiers of batches

An update is one transaction, of a write-ahead log: it is in the file before it is in memory, all
of it or nothing. It survives the process at once, and the machine as soon as the operating system
has written the log. Every row has a CRC-32, since SQLite has none of its tables.
"""

import json
import os
import sqlite3
import weakref
import zlib
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from skdistill.monitor.ledger import MOST_BATCH_IDS
from skdistill.monitor.old_journal import journal_of, read_json_state
from skdistill.monitor.state_file import (
    MonitorFileError,
    counts_to_dict,
    header_of,
    state_from_content,
)
from skdistill.scorer.files import sync_folder, write_atomically

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

#: Seconds that a transaction waits for those of other processes.
PATIENCE = 30

_SCHEMA = """
CREATE TABLE monitor (name TEXT PRIMARY KEY, value TEXT, crc32 INTEGER);
CREATE TABLE counts (
    part TEXT, day TEXT, rows INTEGER, pairs INTEGER, columns TEXT, scores TEXT, gap TEXT,
    crc32 INTEGER, PRIMARY KEY (part, day)
);
CREATE TABLE batch_ids (number INTEGER PRIMARY KEY, batch_id TEXT, crc32 INTEGER);
"""

#: What SQLite keeps beside a database that is open.
_BESIDE = "-wal", "-shm"

#: Databases that are in use, and those that are at rest during a fork.
_IN_USE, _AT_REST = weakref.WeakSet(), []


class Database:
    """Keeps a monitor on disk, beside other processes.

    Parameters
    ----------
    path : pathlib.Path
        The database.
    lock : threading.RLock
        Held by the thread that uses it.
    """

    def __init__(self, path, lock):
        self.path = path
        self.lock = lock
        self._connection = None
        with _named_errors(path):  # raises if nothing can be written
            self._connected().execute("PRAGMA user_version = 1")
        _IN_USE.add(self)

    def read(self, state):
        """Return the state at the last update: the same one if no other process wrote since."""
        with _named_errors(self.path):
            connection = self._connected()
            rows = _rows(connection, "SELECT name, value FROM monitor WHERE name = 'n_updates'")
            is_same = rows == [("n_updates", str(state.ledger.n_updates))]
            return state if is_same else _read(connection, self.path)

    @contextmanager
    def transaction(self):
        """Begin a transaction: no other monitor writes to the file until it ends.

        Yields
        ------
        write : callable
            Takes the state that was read and the one to be; writes what differs.

        Raises
        ------
        OSError
            If nothing could be written. The file is as it was.
        """
        with _named_errors(self.path):
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield lambda before, after: _write(connection, before, after)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self):
        """Let go of the file, until it is used again."""
        if self._connection is not None and self._process == os.getpid():
            self._connection.close()
            self._connection = None

    def __del__(self):
        self.close()

    def _connected(self):
        if self._connection is None:
            self._connection, self._process = _connect(self.path), os.getpid()
        if self._process != os.getpid():
            raise RuntimeError(
                f"{str(self.path)!r} was opened by process {self._process}, which this one was "
                "forked from without os.fork. Load the monitor in each process after the fork."
            )
        return self._connection


def _rest():
    """Close databases before a fork: SQLite's locks are not those of both processes."""
    for database in list(_IN_USE):
        database.lock.acquire()
        database.close()
        _AT_REST.append(database)


def _wake():
    while _AT_REST:
        _AT_REST.pop().lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_rest, after_in_parent=_wake, after_in_child=_wake)


def is_database(path):
    """Tell whether a file is an SQLite database; False if there is none."""
    path = Path(path).absolute()
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with closing(_only_read(path)) as connection:
        try:
            connection.execute("PRAGMA schema_version")
        except sqlite3.DatabaseError as error:
            return error.sqlite_errorcode != sqlite3.SQLITE_NOTADB
    return True


def read_state(path):
    """Read a state without changing anything.

    Parameters
    ----------
    path : str or path-like
        A database, which processes may be writing to, or a JSON state.

    Returns
    -------
    state : MonitorState
        At the last update that was written in full.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    MonitorFileError
        If it is damaged, or of something else.
    """
    path = Path(path).absolute()
    before, has_log = path.stat(), Path(f"{path}-wal").exists()
    if is_database(path):
        with _named_errors(path), closing(_only_read(path, has_log)) as connection:
            state = _read_checked(connection, path)
    else:
        state = read_json_state(path)
    after = path.stat()
    is_current = has_log or (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    return state if is_current else read_state(path)


def create_database(path, state):
    """Write a state as a new database.

    Parameters
    ----------
    path : str or path-like
        Where to.
    state : MonitorState
        What to write.

    Raises
    ------
    FileExistsError
        If there is a file.
    """
    with _alone(path):
        if Path(path).exists():
            raise FileExistsError(
                f"{str(path)!r} is there already, and its counts would be lost. Continue it by "
                "FidelityMonitor.load(path, autosave=True), or choose another path."
            )
        _put(path, state)


def open_database(path, lock):
    """Open a database to keep a monitor in it; a JSON state is moved over first.

    Parameters
    ----------
    path : str or path-like
        The file. If it is JSON, it becomes a database at once, and a copy of what it was stays as
        ``PATH.before-sqlite``.
    lock : threading.RLock
        See `Database`.

    Returns
    -------
    database : Database
        The database, checked.
    state : MonitorState
        What is in it.

    Raises
    ------
    OSError, MonitorFileError
        As `read_state`.
    RuntimeError
        If a process with an older skdistill keeps the JSON state.
    """
    path = Path(path).absolute()
    path.stat()  # raises if there is none
    if not is_database(path):
        with _alone(path), _journal_at_rest(path):
            if not is_database(path):  # nor has another process moved it meanwhile
                _move_over(path)
    state = read_state(path)
    return Database(path, lock), state


def _move_over(path):
    """Replace a JSON state by a database; killed at any time, the one or the other is whole."""
    state, journal = read_json_state(path), journal_of(path)
    kept = path.with_name(f"{path.name}.before-sqlite")
    write_atomically(kept, path.read_bytes())
    if journal.exists():
        write_atomically(journal_of(kept), journal.read_bytes())
    _put(path, state)
    journal.unlink(missing_ok=True)


def _put(path, state):
    """Put a database in the place of whatever is there, at once."""
    path = Path(path).absolute()
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with _named_errors(path), closing(_connect(temporary)) as connection:
            connection.executescript(f"PRAGMA synchronous = FULL; BEGIN; {_SCHEMA}")
            _write(connection, None, state)
            connection.execute("COMMIT")
        for ending in _BESIDE:  # left by an older database of this name, they would be taken for
            Path(f"{path}{ending}").unlink(missing_ok=True)  # parts of this one
        os.replace(temporary, path)
    finally:
        for ending in ("", *_BESIDE):
            Path(f"{temporary}{ending}").unlink(missing_ok=True)
    sync_folder(path.parent)


def _connection(path, **options):
    return sqlite3.connect(
        path, timeout=PATIENCE, isolation_level=None, check_same_thread=False, **options
    )


def _only_read(path, has_log=False):
    """Connect to read; without a log the file as it is, so that SQLite puts nothing beside it.

    Never open the file otherwise: closing it would release the locks of all connections of this
    process (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    mode = "mode=ro" if has_log else "immutable=1"
    return _connection(f"{path.as_uri()}?{mode}", uri=True)


def _connect(path):
    connection = _connection(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # of a commit the log is not synced
    return connection


@contextmanager
def _alone(path):
    """Keep other processes from making this file at the same time."""
    lock = Path(path).absolute()
    lock = lock.with_name(f".{lock.name}.lock")
    lock.parent.stat()  # raises if there is no folder
    connection = _connection(lock)
    try:
        with _named_errors(path):
            connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()
        with suppress(OSError):  # on Windows, where another process waits for it
            lock.unlink()


@contextmanager
def _journal_at_rest(path):
    """Raise RuntimeError if a process of an older skdistill still writes the journal."""
    journal = journal_of(path)
    if fcntl is None or not journal.exists():
        yield
        return
    with open(journal, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RuntimeError(
                f"{str(path)!r} is kept by a process with an older skdistill, whose updates would "
                "be lost. Stop that process first."
            ) from None
        yield


@contextmanager
def _named_errors(path):
    """Turn SQLite's errors into those of files, with the path and what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(
            f"The state of the monitor in {str(path)!r} cannot be read or written: {error}. The "
            "monitor is as it was. Check the disk, the permissions and whether a process holds "
            "the file."
        ) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error


def _damaged(path, why):
    return MonitorFileError(
        f"{str(path)!r} is damaged: {why}. Restore a copy, or make a new monitor."
    )


def _with_crc(*row):
    return (*row, zlib.crc32(repr(row).encode()))


def _rows(connection, query):
    """Return rows without their last column, the CRC-32 of the others, which is compared."""
    rows = connection.execute(query.replace(" FROM", ", crc32 FROM")).fetchall()
    if any(row != _with_crc(*row[:-1]) for row in rows):
        raise sqlite3.DatabaseError("a row does not match its CRC-32")
    return [row[:-1] for row in rows]


def _read_checked(connection, path):
    """Read a state from a file that may be of anyone, or damaged."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not tables >= {"monitor", "counts", "batch_ids"}:
        raise MonitorFileError(
            f"{str(path)!r} is not the state of a FidelityMonitor; a file that "
            "FidelityMonitor.autosave wrote was expected."
        )
    ((fault,), *_) = connection.execute("PRAGMA integrity_check").fetchall()
    if fault != "ok":
        raise _damaged(path, fault.strip())
    return _read(connection, path)


def _read(connection, path):
    """Read a state."""
    connection.execute("SAVEPOINT reading")  # all tables at one update
    try:
        header = _rows(connection, "SELECT name, value FROM monitor")
        counts = _rows(
            connection, "SELECT part, day, rows, pairs, columns, scores, gap FROM counts"
        )
        batch_ids = _rows(connection, "SELECT number, batch_id FROM batch_ids ORDER BY number")
    finally:
        connection.execute("RELEASE reading")
    content = {name: json.loads(value) for name, value in header}
    content["batch_ids"] = [json.loads(batch_id) for _, batch_id in batch_ids]
    content |= {"buckets": [], "weekdays": []}
    for part, day, rows, pairs, *histograms in counts:
        columns, scores, gap = map(json.loads, histograms)
        each = {"rows": rows, "pairs": pairs, "columns": columns, "scores": scores, "gap": gap}
        if part == "bucket":
            content["buckets"].append(each | {"at": _day(day)})
        elif part == "weekday":
            content["weekdays"].append(each | {"on": day})
        else:
            content[part] = each
    content["buckets"].sort(key=lambda bucket: bucket["at"])
    return state_from_content(content, repr(str(path)))


def _day(text):
    """Return a day as it was counted: a number, or a date."""
    try:
        return int(text)
    except ValueError:
        return text


def _write(connection, before, after):
    """Write what differs between two states; all of the second if there is no first."""
    old, new = ({} if state is None else _parts(state) for state in (before, after))
    layout = after.layout
    connection.executemany(
        "DELETE FROM counts WHERE part = ? AND day = ?", [part for part in old if part not in new]
    )
    connection.executemany(
        "INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            _counts_row(part, counts_to_dict(layout, counts))
            for part, counts in new.items()
            if counts is not old.get(part)
        ],
    )
    old, new = ({} if state is None else header_of(state) for state in (before, after))
    connection.executemany(
        "INSERT OR REPLACE INTO monitor VALUES (?, ?, ?)",
        [
            _with_crc(name, json.dumps(value, allow_nan=False))
            for name, value in new.items()
            if name not in old or old[name] != value
        ],
    )
    known = set() if before is None else set(before.ledger.batch_ids)
    for batch_id in after.ledger.batch_ids:
        if batch_id not in known:
            _write_batch_id(connection, json.dumps(batch_id))


def _parts(state):
    """Return all counts of a state, by the key that they have in the table."""
    return {
        ("reference", ""): state.reference,
        **{("weekday", name): counts for name, counts in state.weekdays.items()},
        **{("bucket", str(day)): counts for day, counts in state.ledger.buckets.items()},
        ("older", ""): state.ledger.older,
    }


def _counts_row(part, content):
    histograms = (
        json.dumps(content[name], allow_nan=False) for name in ("columns", "scores", "gap")
    )
    return _with_crc(*part, content["rows"], content["pairs"], *histograms)


def _write_batch_id(connection, batch_id):
    ((last,),) = connection.execute("SELECT coalesce(max(number), 0) FROM batch_ids")
    row = _with_crc(last + 1, batch_id)
    connection.execute("INSERT INTO batch_ids VALUES (?, ?, ?)", row)
    connection.execute("DELETE FROM batch_ids WHERE number <= ?", (last + 1 - MOST_BATCH_IDS,))
