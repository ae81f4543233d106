"""Files that are there as a whole or not at all."""

import os
from pathlib import Path

from skdistill.messages import shown


def as_path(path):
    """Return the path of a file that a user passed.

    Raises
    ------
    TypeError
        If it is something else, such as the model.
    """
    if isinstance(path, str | os.PathLike):
        return Path(path)
    raise TypeError(
        f"path is {shown(path)}; a str or path-like was expected. Where a model is written, it "
        "comes first, then the path of the file, then rows."
    )


def write_atomically(path, payload):
    """Write bytes so that whoever opens the file sees all of the old or all of the new one.

    Parameters
    ----------
    path : pathlib.Path
        Where to; a file that is there keeps its permissions.
    payload : bytes
        What to write. It is on disk when this returns, and so is the name of the file.

    Raises
    ------
    OSError
        If it cannot be written. An older file stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with open(temporary, "xb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(temporary, path.stat().st_mode & 0o777)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder):
    """Have the new name of a file on disk before anything that relies on it is."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
