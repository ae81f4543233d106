"""Students as files: arrays and JSON, nothing that runs.

    8 bytes   length of the header, little-endian
    header    JSON: {"__metadata__": {"sha256": ..., "format": ..., "version": ...,
              "written_by": ..., "student": ...}, NAME: {"dtype", "shape", "data_offsets"}, ...}
    the rest  the arrays, little-endian, one after the other

This is the layout of safetensors, read here with NumPy alone. ``student`` is the header of a
`StudentContent`, as JSON; ``sha256`` is the hash of all other bytes of the file, and its digits
always stand in the same place. docs/student_file.md describes how to change the format.
"""

import json
import math
import os

import numpy as np

from skdistill import __version__
from skdistill.exceptions import StudentFileError
from skdistill.scorer.content_checks import check_content, require
from skdistill.scorer.digest import sha256
from skdistill.scorer.files import as_path
from skdistill.scorer.kinds import version_of
from skdistill.scorer.student_content import StudentContent

__all__ = ["pack", "read_student_file", "unpack"]

#: Rises with every change that an older skdistill would not understand.
VERSION = 3

#: Largest size of a file in bytes.
MAX_BYTES = 2**31

#: Largest size of its header in bytes. As Python objects it takes up to twenty times as much.
MAX_HEADER_BYTES = 2**24

_FORMAT = "skdistill.student"
_CODES = {"float64": "F64", "int64": "I64", "float32": "F32", "bool": "BOOL"}
_DTYPES = {code: np.dtype(name) for name, code in _CODES.items()}
_BEFORE_HASH = b'{"__metadata__":{"sha256":"'
_HASH_AT = slice(8 + len(_BEFORE_HASH), 8 + len(_BEFORE_HASH) + 64)


def pack(content):
    """Turn the content of a student into the bytes of a file, the same ones on every machine.

    Raises StudentFileError if it would take more than 2 GB.
    """
    names = sorted(content.arrays, key=lambda name: (-content.arrays[name].itemsize, name))
    table, end = {}, 0
    for name in names:  # the widest types first, so that all are aligned
        array = content.arrays[name]
        begin, end = end, end + array.nbytes
        code = _CODES[array.dtype.name]
        table[name] = {"dtype": code, "shape": array.shape, "data_offsets": [begin, end]}
    metadata = {
        "sha256": "0" * 64,
        "format": _FORMAT,
        "version": str(version_of(content.header)),
        "written_by": __version__,
        "student": _as_json(content.header),
    }
    header = _as_json({"__metadata__": metadata} | table).encode()
    header += b" " * (-len(header) % 8)
    try:
        _check_size(8 + len(header) + end, len(header))
    except StudentFileError as error:
        raise StudentFileError(f"The student cannot be saved: {error}.") from None
    blocks = (_little_endian(content.arrays[name]).tobytes() for name in names)
    payload = bytearray().join([len(header).to_bytes(8, "little"), header, *blocks])
    payload[_HASH_AT] = _hash_of_the_rest(payload)
    return bytes(payload)


def unpack(payload, name="The student file"):
    """Read the bytes of a student file, which messages call `name`, and check them.

    Nothing in them is executed. Arrays are read-only views of the bytes. Raises StudentFileError if
    these are not the bytes of a student file, are damaged, hold no possible student, or were
    written by a newer skdistill.
    """
    try:
        return _unpack(payload)
    except StudentFileError as error:
        raise StudentFileError(f"{name} cannot be loaded: {error}.") from None


def read_student_file(path):
    """Read a student file; see `unpack`. Raises OSError if it cannot be read."""
    path = as_path(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        return unpack(file.read(min(size, MAX_BYTES + 1)), repr(os.fspath(path)))


def _unpack(payload):
    size = int.from_bytes(payload[:8], "little")
    start = payload[8 : _HASH_AT.start] == _BEFORE_HASH
    require(start, "it is not a student file; one that skdistill.save wrote was expected")
    _check_size(len(payload), size)
    require(
        payload[_HASH_AT] == _hash_of_the_rest(payload),
        "it does not match its SHA-256, so it was damaged or changed. Copy it again, or save the "
        "student again",
    )
    require(8 + size <= len(payload) and size % 8 == 0, "its header has an impossible length")
    table = _from_json(payload[8 : 8 + size])
    metadata = table.pop("__metadata__")
    _check_version(metadata)
    student = _from_json(metadata["student"].encode(errors="replace"))
    arrays = _read_arrays(table, np.frombuffer(payload, np.uint8)[8 + size :])
    content = StudentContent(student, arrays)
    check_content(content)
    return content


def _little_endian(array):
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)


def _as_json(value):
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _from_json(text):
    try:
        value = json.loads(text.decode(), object_pairs_hook=_once_each, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise StudentFileError(f"its JSON cannot be read: {error}") from None
    require(isinstance(value, dict), "its JSON is not an object")
    return value


def _once_each(pairs):
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("one key is there twice")
    return entries


def _no_constant(name):
    raise ValueError(f"{name} is not JSON")


def _hash_of_the_rest(payload):
    view = memoryview(payload)
    digest = sha256(view[: _HASH_AT.start])
    digest.update(view[_HASH_AT.stop :])
    return digest.hexdigest().encode()


def _check_size(size, header_size=0):
    require(size <= MAX_BYTES, f"it takes {size:,} bytes; a student may take {MAX_BYTES:,}")
    require(
        header_size <= MAX_HEADER_BYTES,
        f"its columns, levels and classes take {header_size:,} bytes as JSON; "
        f"{MAX_HEADER_BYTES:,} are allowed",
    )


def _check_version(metadata):
    names = ["sha256", "format", "version", "written_by", "student"]
    possible = isinstance(metadata, dict) and all(isinstance(metadata.get(n), str) for n in names)
    require(possible and metadata["format"] == _FORMAT, "it is not a student file of skdistill")
    version = metadata["version"]
    require(version.isdecimal() and len(version) < 9, "its version is not a number")
    require(
        int(version) <= VERSION,
        f"it was written by a newer skdistill, {metadata['written_by'][:20]}, in version {version} "
        f"of the format; {__version__} reads versions up to {VERSION}. Upgrade "
        "skdistill",
    )
    require(int(version) >= 1, "its version is not a number")


def _read_arrays(table, data):
    """Turn the bytes into arrays; each begins where the one before ends."""
    arrays, end = {}, 0
    for name, entry in table.items():
        possible = isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}
        require(
            possible, f"the entry of array {name[:50]!r} is not a dtype, shape and data_offsets"
        )
        shape, offsets = entry["shape"], entry["data_offsets"]
        dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
        require(dtype is not None, f"the array {name[:50]!r} is of an unknown type")
        possible = isinstance(shape, list) and len(shape) in (1, 2)
        possible = possible and all(type(n) is int and 0 <= n <= MAX_BYTES for n in shape)
        require(possible, f"the array {name[:50]!r} has an impossible shape")
        begin, end = end, end + dtype.itemsize * math.prod(shape)
        possible = offsets == [begin, end] and end <= len(data) and begin % dtype.itemsize == 0
        require(possible, f"the array {name[:50]!r} does not fill its place in the file")
        block = data[begin:end]
        possible = dtype.kind != "b" or (block <= 1).all()
        require(possible, f"the array {name[:50]!r} does not hold booleans")
        little_endian = block.view(dtype.newbyteorder("<")).reshape(shape)
        arrays[name] = little_endian.astype(dtype, copy=False)
    require(end == len(data), "bytes are left over after its arrays")
    return arrays
