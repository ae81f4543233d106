"""What users are told: warnings at their own line, and how errors describe what was passed.

Warnings are repeated when a cache returns a result. Errors say what a value is, never its contents.
"""

import os
import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from itertools import count

__all__ = ["recalled", "refuse_class", "shown", "warn_caller"]

#: Longer values are described by their type.
MOST_CHARACTERS = 70

#: Packages that fit estimators of others: users cannot change their lines.
PASS_ON = sys.stdlib_module_names | {
    "skdistill",
    "sklearn",
    "imblearn",
    "joblib",
    "mapie",
    "fairlearn",
    "interpret",
    "cleanlab",
    "optuna",
    "optuna_integration",
    "dask_ml",
}

_listeners = ContextVar("listeners", default=())


def warn_caller(message):
    """Warn at the line of the user's own code, however deep in skdistill this is called.

    Parameters
    ----------
    message : str
        What was found, and what to do.

    Notes
    -----
    The line is the innermost one outside of `PASS_ON`. Worker processes and threads have none, and
    Python writes ``sys:1`` there.
    """
    for said in _listeners.get():
        said.append(message)
    warnings.warn(message, UserWarning, stacklevel=_level_of_caller())


def recalled(memory, stage, ignore=()):
    """Let a cache store what a function returns and its warnings, which are then repeated.

    Parameters
    ----------
    memory : joblib.Memory
        The cache.
    stage : callable
        Warns by `warn_caller`.
    ignore : sequence of str, default=()
        Names of parameters that are not part of the key.

    Returns
    -------
    recall : callable
        Takes and returns the same as `stage`.
    """

    def recall(*args, **kwargs):
        is_new = []

        @wraps(stage)  # cache keys hold its name and its parameters
        def run(*args, **kwargs):
            is_new.append(True)
            with _listening() as said:
                return stage(*args, **kwargs), said

        result, said = memory.cache(run, ignore=list(ignore))(*args, **kwargs)
        for message in said if not is_new else ():
            warn_caller(message)
        return result

    return recall


@contextmanager
def _listening():
    """Collect the warnings of this thread meanwhile."""
    said = []
    token = _listeners.set((*_listeners.get(), said))
    try:
        yield said
    finally:
        _listeners.reset(token)


def _level_of_caller():
    """Return the ``stacklevel`` of the caller, as counted from where this is called."""
    frame = sys._getframe(1)
    for level in count(1):
        if frame is None or not _passes_on(frame):
            return level
        frame = frame.f_back


def _passes_on(frame):
    spec = frame.f_globals.get("__spec__")  # names what runs as __main__, as in joblib's workers
    name = getattr(spec, "name", None) or frame.f_globals.get("__name__")
    return str(name).partition(".")[0] in PASS_ON


def shown(value):
    """Describe what was passed, for a message.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    text : str
        Classes, tables and estimators by their names and shapes, short values as Python writes
        them, others by their types. Always one line.
    """
    kind = type(value).__name__.replace("ndarray", "array")
    if isinstance(value, type):
        return f"the class {value.__name__}"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{_with_article(kind)} of shape {shape}"
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if hasattr(value, "fit") or hasattr(value, "get_params"):
        return _with_article(kind)
    if isinstance(value, list | tuple | set | dict) and len(value) > 10:
        return f"{_with_article(kind)} of length {len(value)}"
    try:
        text = repr(value)
    except Exception:  # the __repr__ of what a user passed may fail
        text = object.__repr__(value)
    if text.startswith("<") or "\n" in text or len(text) > MOST_CHARACTERS:
        length = f" of length {len(value)}" if hasattr(value, "__len__") else ""
        return f"{_with_article(kind)}{length}"
    return text


def refuse_class(value, name):
    """Refuse a class where an instance is needed.

    Raises
    ------
    TypeError
        If it is one; the message says what to pass.
    """
    if isinstance(value, type):
        raise TypeError(
            f"{name} is the class {value.__name__}; an instance was expected. Pass "
            f"{value.__name__}()."
        )


def _with_article(name):
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"
