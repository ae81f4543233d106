"""Tell teachers apart: one key for all that decides what an estimator answers."""

import sys
import types
import uuid
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b

import numpy as np

#: Parameters that change the time an answer takes, not the answer.
_OF_NO_ACCOUNT = {"n_jobs", "verbose", "thread_count", "nthread"}

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))


def content_key(value):
    """Return a key that differs wherever the content of two objects does.

    Unlike a hash of their pickles it does not depend on which parts of them are one object in
    memory, so that a model has the key of its copies, also those in other processes.

    Parameters
    ----------
    value : object
        Parameters, arrays, estimators, fitted or not, and what they hold: trees, boosters,
        functions. The numbers of threads and of messages do not count.

    Returns
    -------
    key : str
        A hexadecimal digest. What cannot be read, such as an open connection, gets a new key each
        time: a cache then answers for no other object.
    """
    digest = blake2b(digest_size=20)
    _update(digest, value, [])
    return digest.hexdigest()


def _update(digest, value, parents):
    """Feed an object into a digest; `parents` are the objects it is in."""
    digest.update(f"{_class_key(type(value))}:".encode())
    if isinstance(value, _PLAIN):
        digest.update(repr(value).encode())
        return
    if any(value is parent for parent in parents):
        digest.update(b"one of the objects it is in")
        return
    parents = [*parents, value]
    if isinstance(value, np.ndarray) and value.dtype != object:
        _update_with_array(digest, value, parents)
        return
    for part in _parts(value):
        _update(digest, part, parents)
    digest.update(b";")


@cache
def _class_key(kind):
    """Name a class, with the version of its package and the code of methods that may be edited."""
    package = sys.modules.get(kind.__module__.partition(".")[0])
    names = [kind.__module__, kind.__qualname__, str(getattr(package, "__version__", ""))]
    if names[2]:
        return ".".join(names)
    code = [f"{name}{_code_key(part)}" for name, part in sorted(vars(kind).items())]
    return ".".join([*names, *code, *(_class_key(base) for base in kind.__bases__)])


def _code_key(part):
    """Return what decides what a method or property of a class does; empty for anything else."""
    if isinstance(part, property):
        part = part.fget
    function = getattr(part, "__func__", part)
    if not isinstance(function, types.FunctionType):
        return ""
    return content_key([function.__code__, function.__defaults__])


def _update_with_array(digest, array, parents):
    digest.update(
        f"{array.dtype.descr if array.dtype.names else array.dtype}{array.shape}".encode()
    )
    if array.dtype.names:  # between the fields there may be bytes that mean nothing
        for name in array.dtype.names:
            _update_with_array(digest, array[name], parents)
        return
    digest.update(np.ascontiguousarray(array).view(np.uint8).data)


def _parts(value):
    """List what an object is made of."""
    if isinstance(value, np.ndarray):
        return [value.shape, value.tolist()]
    if isinstance(value, np.dtype | np.generic):
        return [str(value), *([value.item()] if isinstance(value, np.generic) else [])]
    if isinstance(value, Mapping):
        known = {name: part for name, part in value.items() if name not in _OF_NO_ACCOUNT}
        return [*known, *known.values()]
    if isinstance(value, list | tuple):
        return [len(value), *value]
    if isinstance(value, set | frozenset):
        return sorted(content_key(part) for part in value)
    if isinstance(value, bytearray | memoryview):
        return [bytes(value)]
    if isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
        return [getattr(value, "__module__", None), getattr(value, "__qualname__", value.__name__)]
    if isinstance(value, types.FunctionType):
        closure = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__code__, value.__defaults__, value.__kwdefaults__, closure]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_consts, value.co_names]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # locks, connections, generators: whatever cannot be pickled
        return [uuid.uuid4().hex]
    if isinstance(reduced, str):
        return [reduced]
    return [list(part) if hasattr(part, "__next__") else part for part in reduced]
