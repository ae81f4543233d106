"""A monitor in an SQLite database, which several processes may share.

    monitor     one row per name: bins, parameters, what was skipped; values are JSON
    counts      one row per bucket (its part is "bucket"), one for all older rows ("older"), one
                for the reference ("reference") and one for each of its weekdays ("weekday");
                histograms are JSON
    batch_ids   the last identifiers of batches, as JSON

An update is one transaction in a write-ahead log: it is in the file before it is in memory, all of
it or nothing. It survives a crash of the process, and one of the machine once the operating system
has written the log to the disk. Every row has a CRC-32, since SQLite has no checksums of tables.
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
    variables_of,
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

#: Endings of the files that SQLite keeps beside an open database.
_BESIDE = "-wal", "-shm"

#: Databases that are in use, and those that are closed during a fork.
_IN_USE, _AT_FORK = weakref.WeakSet(), []


class Database:
    """The database that a monitor is kept in, possibly by several processes.

    Parameters
    ----------
    path : pathlib.Path
        The database.
    lock : threading.RLock
        Must be held by the thread that uses the database.
    """

    def __init__(self, path, lock):
        self.path = path
        self.lock = lock
        self._connection = None
        with _named_errors(path):  # raises if nothing can be written
            self._connected().execute("PRAGMA user_version = 1")
        _IN_USE.add(self)

    def read(self, state):
        """Return the state at the last update: `state` itself unless another process wrote."""
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
            Takes the state that was read and the new one, and writes the differences.

        Raises
        ------
        OSError
            If nothing could be written. The file is unchanged.
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
        """Close the file; the next use opens it again."""
        if self._connection is not None and self._process == os.getpid():
            self._connection.close()
            self._connection = None

    def __del__(self):
        self.close()

    def _connected(self):
        inode = self.path.stat().st_ino
        if self._connection is None:
            self._connection, self._inode, self._process = _connect(self.path), inode, os.getpid()
        if self._inode != inode:
            raise sqlite3.OperationalError("another file has replaced it")
        if self._process != os.getpid():
            raise RuntimeError(
                f"{str(self.path)!r} was opened by process {self._process}, which this one was "
                "forked from without os.fork. Load the monitor in each process after the fork."
            )
        return self._connection


def _before_fork():
    """Close databases: two processes must not use one connection, not even its locks."""
    for database in list(_IN_USE):
        database.lock.acquire()
        database.close()
        _AT_FORK.append(database)


def _after_fork():
    while _AT_FORK:
        _AT_FORK.pop().lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


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
        The file.
    state : MonitorState
        Its content.

    Raises
    ------
    FileExistsError
        If the file exists.
    """
    with _creation_lock(path):
        if Path(path).exists():
            raise FileExistsError(
                f"{str(path)!r} exists, and its counts would be lost. Continue it by "
                "FidelityMonitor.load(path, autosave=True), or choose another path."
            )
        _put(path, state)


def open_database(path, lock):
    """Open a database to keep a monitor in it; a JSON state is moved over first.

    Parameters
    ----------
    path : str or path-like
        The file. If it is JSON, it is replaced by a database, and copied to ``PATH.before-sqlite``.
    lock : threading.RLock
        See `Database`.

    Returns
    -------
    database : Database
        The open database.
    state : MonitorState
        Its content, checked.

    Raises
    ------
    OSError, MonitorFileError
        See `read_state`.
    RuntimeError
        If a process with an older skdistill keeps the JSON state.
    """
    path = Path(path).absolute()
    path.stat()  # raises if the file does not exist
    if not is_database(path):
        with _creation_lock(path), _journal_lock(path):
            if not is_database(path):  # another process may have moved it
                _move_over(path)
    state = read_state(path)
    return Database(path, lock), state


def _move_over(path):
    """Replace a JSON state by a database, atomically."""
    state, journal = read_json_state(path), journal_of(path)
    kept = path.with_name(f"{path.name}.before-sqlite")
    write_atomically(kept, path.read_bytes())
    if journal.exists():
        write_atomically(journal_of(kept), journal.read_bytes())
    _put(path, state)
    journal.unlink(missing_ok=True)


def _put(path, state):
    """Write a database in place of an existing file, atomically."""
    path = Path(path).absolute()
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with _named_errors(path), closing(_connect(temporary, "rwc")) as connection:
            connection.executescript(f"PRAGMA synchronous = FULL; BEGIN; {_SCHEMA}")
            _write(connection, None, state)
            connection.execute("COMMIT")
        for ending in _BESIDE:  # left over from a deleted database: SQLite would apply them
            Path(f"{path}{ending}").unlink(missing_ok=True)
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
    """Connect to read; without a log as an immutable file, so that SQLite creates none.

    Python must not open the file itself: closing it would release the locks of all connections of
    this process (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    mode = "mode=ro" if has_log else "immutable=1"
    return _connection(f"{path.as_uri()}?{mode}", uri=True)


def _connect(path, mode="rw"):
    connection = _connection(f"{path.as_uri()}?mode={mode}", uri=True)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # a commit does not wait for the disk
    return connection


@contextmanager
def _creation_lock(path):
    """Hold a lock so that no other process creates this file at the same time."""
    lock = Path(path).absolute()
    lock = lock.with_name(f".{lock.name}.lock")
    lock.parent.stat()  # raises if the folder does not exist
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
def _journal_lock(path):
    """Hold the journal; raise RuntimeError if a process with an older skdistill writes to it."""
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
    """Turn SQLite's errors into OSError and MonitorFileError, with the path and what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(
            f"The state of the monitor in {str(path)!r} cannot be read or written: {error}. The "
            "monitor is unchanged. Check the disk, the permissions and whether a process holds "
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
    """Return rows of a query, after checking their CRC-32."""
    rows = connection.execute(query.replace(" FROM", ", crc32 FROM")).fetchall()
    if any(row != _with_crc(*row[:-1]) for row in rows):
        raise sqlite3.DatabaseError("a row does not match its CRC-32")
    return [row[:-1] for row in rows]


def _read_checked(connection, path):
    """Read a state from a file that may be damaged or of something else."""
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
    """Return the number of a day, or its date as text."""
    try:
        return int(text)
    except ValueError:
        return text


def _write(connection, before, after):
    """Write the differences between two states; the whole second one if the first is None."""
    old, new = ({} if state is None else _parts(state) for state in (before, after))
    layout = after.layout
    connection.executemany(
        "DELETE FROM counts WHERE part = ? AND day = ?", [part for part in old if part not in new]
    )
    connection.executemany(
        "INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET rows = "
        "excluded.rows, pairs = excluded.pairs, columns = excluded.columns, "
        "scores = excluded.scores, gap = excluded.gap, crc32 = excluded.crc32",
        [
            _counts_row(part, counts_to_dict(layout, counts))
            for part, counts in new.items()
            if counts is not old.get(part)
        ],
    )
    old, new = {}, header_of(after)
    if before is not None:
        old, new = variables_of(before), variables_of(after)
    connection.executemany(
        "INSERT INTO monitor VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, "
        "crc32 = excluded.crc32",
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
    """Return all counts of a state by their keys in the table."""
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
