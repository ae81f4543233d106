"""Warnings that point at the line of the caller, and are repeated when a cache returns a result."""

import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from itertools import count

__all__ = ["recalled", "warn_caller"]

#: Packages that fit estimators of others: users cannot change their lines.
PASS_ON = sys.stdlib_module_names | {
    "skdistill",
    "sklearn",
    "imblearn",
    "joblib",
    "mapie",
    "fairlearn",
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
