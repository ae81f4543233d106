"""Tell teachers apart: one key for all that decides what an estimator predicts."""

import types
import uuid
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from skdistill.teacher.code_identity import CODE, parts_of_code

#: Parameters that change how long a prediction takes, not its value.
_IGNORED = {"n_jobs", "verbose", "thread_count", "nthread"}

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))


def content_key(value):
    """Return a key, a hexadecimal digest, that differs wherever the content of two objects does.

    Unlike a hash of their pickles it does not depend on which parts of them are one object in
    memory, so that a model has the key of its copies, also those in other processes. The numbers of
    threads and of messages do not count. What cannot be read, such as an open connection, gets a
    new key each time, so that a cache is never used for it.
    """
    digest = blake2b(digest_size=20)
    _update(digest, value, [], {})
    return digest.hexdigest()


def _update(digest, value, parents, code):
    """Feed an object into a digest.

    `parents` are the objects it is in, `code` numbers the functions and classes that were fed
    already, so that functions that read one another are read once.
    """
    kind = type(value)
    digest.update(f"{kind.__module__}.{kind.__qualname__}:".encode())
    if isinstance(value, _PLAIN):
        digest.update(repr(value).encode())
        return
    if any(value is parent for parent in parents):
        digest.update(b"one of the objects it is in")
        return
    if isinstance(value, type | types.FunctionType):
        if id(value) in code:
            digest.update(f"code {code[id(value)]}".encode())
            return
        code[id(value)] = len(code)
    parents = [*parents, value]
    if kind is not type:
        _update(digest, kind, parents, code)
    if isinstance(value, np.ndarray) and value.dtype != object:
        _update_with_array(digest, value)
        return
    for part in _parts(value):
        _update(digest, part, parents, code)
    digest.update(b";")


def _update_with_array(digest, array):
    if np.ma.isMaskedArray(array):
        _update_with_array(digest, np.ma.getmaskarray(array))
        array = array.data
    digest.update(
        f"{array.dtype.descr if array.dtype.names else array.dtype}{array.shape}".encode()
    )
    if array.dtype.names:  # padding between the fields may hold any bytes
        for name in array.dtype.names:
            _update_with_array(digest, array[name])
        return
    digest.update(np.ascontiguousarray(array).view(np.uint8).data)


def _parts(value):
    """List what an object is made of."""
    if isinstance(value, np.ndarray):
        return [value.shape, value.tolist()]
    if isinstance(value, np.dtype | np.generic):
        return [str(value), *([value.item()] if isinstance(value, np.generic) else [])]
    if isinstance(value, Mapping):
        known = {name: part for name, part in value.items() if name not in _IGNORED}
        return [*known, *known.values()]
    if isinstance(value, list | tuple):
        return [len(value), *value]
    if isinstance(value, set | frozenset):
        return sorted(content_key(part) for part in value)
    if isinstance(value, bytearray | memoryview):
        return [bytes(value)]
    if isinstance(value, CODE):
        return parts_of_code(value)
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # locks, connections, generators: whatever cannot be pickled
        return [uuid.uuid4().hex]
    if isinstance(reduced, str):
        return [reduced, getattr(value, "__wrapped__", None)]
    return [list(part) if hasattr(part, "__next__") else part for part in reduced]
