"""Files that are written atomically."""

import os
import tempfile
from pathlib import Path

from skdistill.messages import shown


def as_path(path):
    """Return the path of a file that a user passed; raise TypeError if it is something else."""
    if isinstance(path, str | os.PathLike):
        return Path(path)
    raise TypeError(
        f"path is {shown(path)}; a str or path-like was expected. Where a model is written, it "
        "comes first, then the path of the file, then rows."
    )


def check_writable(path):
    """Return a path, after checking that a file can be written there; None stays None."""
    if path is None:
        return None
    path = as_path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; the name of a file was expected.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The folder {str(path.parent)!r} of {path.name!r} does not exist. Make it first."
        )
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        raise PermissionError(
            f"The folder {str(path.parent)!r} of {path.name!r} cannot be written to: {error}."
        ) from error


def write_atomically(path, payload):
    """Write bytes so that a reader sees the complete old file or the complete new one.

    On return they are on the disk, under this name. The permissions of an existing file are kept;
    it is unchanged if OSError is raised.
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
    """Flush the entries of a folder, such as a new name, to the disk."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
