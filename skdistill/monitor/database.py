"""A monitor in an SQLite database, which several processes may share.

Table ``parts`` has a row for every value of the state in JSON (see `state_file`), with its name as
``part``; and a row for each of its weekdays, buckets and batch identifiers, with the day or
identifier as ``key``. Keys and contents are JSON. Every row has a CRC-32, since SQLite has no
checksums of tables.

An update is one transaction in a write-ahead log: it is in the file before it is in memory, all of
it or nothing. It survives a crash of the process, and one of the machine once the operating system
has written the log to the disk.
"""

import json
import os
import sqlite3
import weakref
import zlib
from contextlib import closing, contextmanager
from pathlib import Path

from skdistill.exceptions import MonitorFileError
from skdistill.monitor.state_file import (
    as_plain,
    content_of_parts,
    journal_of,
    parts_of,
    read_json_state,
    state_from_content,
)
from skdistill.scorer.files import sync_folder, write_atomically

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_SCHEMA = "CREATE TABLE parts (part, key, content, crc32, PRIMARY KEY (part, key))"

#: Files of an open database: itself, and those that SQLite keeps beside it.
_ENDINGS = "", "-wal", "-shm"

#: Databases that are in use, and those that are closed during a fork.
_IN_USE, _AT_FORK = weakref.WeakSet(), []


class Database:
    """The database that a monitor is kept in, possibly by several processes.

    Whoever uses it must hold `lock`.
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
            rows = _rows(connection, "WHERE part = 'n_updates'")
            is_same = rows == [("n_updates", "null", str(state.ledger.n_updates))]
            return state if is_same else _read(connection, self.path)

    @contextmanager
    def transaction(self):
        """Begin a transaction: no other monitor writes to the file until it ends.

        Yields a function that takes the state that was read and the new one, and writes the
        differences. Raises OSError if nothing could be written; the file is unchanged.
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
            self._connection, self._inode = _connect(self.path, "mode=rw"), inode
            self._process = os.getpid()
            self._connection.execute("PRAGMA synchronous = NORMAL")  # no wait for the disk
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
    """Tell whether a file is an SQLite database; False if there is none.

    Python must not open the file itself: closing it would release the locks of all connections of
    this process (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    path = Path(path).absolute()
    if not path.is_file():
        return False
    try:
        with closing(_connect(path, "immutable=1")) as connection:
            return connection.execute("PRAGMA schema_version").fetchone() != (0,)
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode != sqlite3.SQLITE_NOTADB


def read_state(path):
    """Read a database, which processes may be writing to, or a JSON state; change nothing.

    Raises OSError if it cannot be read, and MonitorFileError if it is damaged or of something else.
    """
    path = Path(path).absolute()
    before, has_log = path.stat(), Path(f"{path}-wal").exists()
    if is_database(path):
        options = "mode=ro" if has_log else "immutable=1"  # else SQLite would create a log
        with _named_errors(path), closing(_connect(path, options)) as connection:
            state = _read_checked(connection, path)
    else:
        state = read_json_state(path)
    after = path.stat()
    is_current = has_log or (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    return state if is_current else read_state(path)


def create_database(path, state):
    """Write a state as a new database, or raise FileExistsError."""
    path = Path(path).absolute()
    path.parent.stat()  # raises if the folder does not exist
    with _locked(path.parent):
        if path.exists():
            raise FileExistsError(
                f"{str(path)!r} exists, and its counts would be lost. Continue it by "
                "FidelityMonitor.load(path, autosave=True), or choose another path."
            )
        _put(path, state)


def open_database(path, lock):
    """Open a database to keep a monitor in it, and return it with its state.

    A JSON state is replaced by a database first, and copied to ``PATH.before-sqlite``. Raises what
    `read_state` does, and RuntimeError if a process with an older skdistill keeps the JSON state.
    """
    path = Path(path).absolute()
    path.stat()  # raises if the file does not exist
    if not is_database(path):
        refusal = (
            f"{str(path)!r} is kept by a process with an older skdistill, whose updates would be "
            "lost. Stop that process first."
        )
        with _locked(path.parent), _locked(journal_of(path), refusal):
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
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with _named_errors(path), closing(_connect(temporary, "mode=rwc")) as connection:
            connection.executescript(f"PRAGMA journal_mode = WAL; BEGIN; {_SCHEMA};")
            _write(connection, None, state)
            connection.execute("COMMIT")
        for ending in _ENDINGS[1:]:  # left over from a deleted database: SQLite would apply them
            Path(f"{path}{ending}").unlink(missing_ok=True)
        os.replace(temporary, path)
    finally:
        for ending in _ENDINGS:
            Path(f"{temporary}{ending}").unlink(missing_ok=True)
    sync_folder(path.parent)


def _connect(path, options):
    uri = f"{path.as_uri()}?{options}"
    return sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None, check_same_thread=False)


@contextmanager
def _locked(path, refusal=None):
    """Hold a file or folder when no other process does, or raise RuntimeError with a refusal."""
    if fcntl is None or not path.exists():  # Windows replaces no open file
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        yield
    except BlockingIOError:
        raise RuntimeError(refusal) from None
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # also for a process that was forked meanwhile
        os.close(handle)


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
        raise MonitorFileError(
            f"{str(path)!r} is damaged: {error}. Restore a copy, or make a new monitor."
        ) from error


def _with_crc(*row):
    return (*row, zlib.crc32(repr(row).encode()))


def _rows(connection, which):
    """Return part, key and content of rows, after checking their CRC-32."""
    rows = connection.execute(f"SELECT part, key, content, crc32 FROM parts {which}").fetchall()
    if any(row != _with_crc(*row[:-1]) for row in rows):
        raise sqlite3.DatabaseError("a row does not match its CRC-32")
    return [row[:-1] for row in rows]


def _read_checked(connection, path):
    """Read a state from a file that may be damaged or of something else."""
    if (_SCHEMA,) not in connection.execute("SELECT sql FROM sqlite_master").fetchall():
        raise MonitorFileError(
            f"{str(path)!r} is not the state of a FidelityMonitor; a file that "
            "FidelityMonitor.autosave wrote was expected."
        )
    ((fault,), *_) = connection.execute("PRAGMA integrity_check").fetchall()
    if fault != "ok":
        raise sqlite3.DatabaseError(" ".join(fault.split()))
    return _read(connection, path)


def _read(connection, path):
    rows = _rows(connection, "ORDER BY rowid")
    content = content_of_parts(
        (part, json.loads(key), json.loads(value)) for part, key, value in rows
    )
    return state_from_content(content, repr(str(path)))


def _write(connection, before, after):
    """Write the differences between two states; the whole second one if the first is None."""
    old, new = {} if before is None else parts_of(before), parts_of(after)
    known, ids = (dict.fromkeys(s.ledger.batch_ids if s else ()) for s in (before, after))
    gone = [*(old.keys() - new.keys()), *(("batch_ids", each) for each in known.keys() - ids)]
    for part, key in gone:
        row = part, json.dumps(key)
        connection.execute("DELETE FROM parts WHERE part = ? AND key = ?", row)
    changed = [(*name, new[name]) for name in new if name not in old or old[name] != new[name]]
    changed += [("batch_ids", each, None) for each in ids if each not in known]
    for part, key, value in changed:
        text = json.dumps(as_plain(after.layout, value), allow_nan=False)
        row = _with_crc(part, json.dumps(key), text)
        connection.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)", row)
