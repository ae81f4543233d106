"""Tell teachers apart: one key for all that decides what an estimator answers."""

import sys
import types
import uuid
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np

#: Parameters that change the time an answer takes, not the answer.
_OF_NO_ACCOUNT = {"n_jobs", "verbose", "thread_count", "nthread"}

#: Parts of a class that are compiled: they change with the version of its package alone.
_COMPILED = (
    types.BuiltinFunctionType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)

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
    kind = type(value)
    digest.update(f"{kind.__module__}.{kind.__qualname__}:".encode())
    if isinstance(value, _PLAIN):
        digest.update(repr(value).encode())
        return
    if any(value is parent for parent in parents):
        digest.update(b"one of the objects it is in")
        return
    parents = [*parents, value]
    if kind is not type:
        _update(digest, kind, parents)
    if isinstance(value, np.ndarray) and value.dtype != object:
        _update_with_array(digest, value, parents)
        return
    for part in _parts(value):
        _update(digest, part, parents)
    digest.update(b";")


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
    if isinstance(value, type):
        names = [str(value.__module__), value.__qualname__]
        if not _may_be_edited(names[0]):
            return [*names, _version(names[0])]
        own = {
            name: part
            for name, part in vars(value).items()
            if (callable(part) or not name.startswith("_")) and not isinstance(part, _COMPILED)
        }
        return [*names, own, value.__bases__]
    if isinstance(value, types.ModuleType):
        own = [_source(value)] if _may_be_edited(value.__name__) else []
        return [value.__name__, _version(value.__name__), *own]
    if isinstance(value, types.BuiltinFunctionType):
        return [getattr(value, "__module__", None), getattr(value, "__qualname__", value.__name__)]
    if isinstance(value, types.FunctionType):
        closure = [_content(cell) for cell in value.__closure__ or ()]
        read = _globals_of(value) if _may_be_edited(value.__module__) else {}
        return [value.__code__, value.__defaults__, value.__kwdefaults__, closure, read]
    if isinstance(value, property):
        return [value.fget]
    if isinstance(value, staticmethod | classmethod):
        return [value.__func__]
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


@cache
def _version(module):
    """Return the version of the package of a module; empty if it has none."""
    return str(getattr(sys.modules.get(module.partition(".")[0]), "__version__", ""))


def _may_be_edited(module):
    """Tell whether a module is neither of Python nor of a package that has versions."""
    package = module.partition(".")[0]
    of_python = package in sys.stdlib_module_names and package != "__main__"
    return not of_python and not _version(module)


def _source(module):
    path = getattr(module, "__file__", None)
    return Path(path).read_bytes() if path and Path(path).is_file() else None


def _globals_of(function):
    """Return the global objects that a function reads."""
    names, codes = set(), [function.__code__]
    while codes:
        code = codes.pop()
        names |= set(code.co_names)
        codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    known = function.__globals__
    return {name: known[name] for name in sorted(names & known.keys())}


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # of a name that is not bound yet
        return None
