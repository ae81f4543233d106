"""Warnings: addressed to the caller, and said again when the cache answers."""

import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from itertools import count

__all__ = ["recalled", "warn_caller"]

#: Packages that fit estimators of others: their lines are not where users can change anything.
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
    """Warn at the user's own line, however deep in skdistill this is said.

    Parameters
    ----------
    message : str
        What was found, and what to do.

    Notes
    -----
    The line is the innermost one outside of `PASS_ON`. Worker processes and threads have none;
    there Python writes ``sys:1``.
    """
    for said in _listeners.get():
        said.append(message)
    warnings.warn(message, UserWarning, stacklevel=_level_of_caller())


def recalled(memory, stage, ignore=()):
    """Have a cache remember what a function returns, and warn again where it warned.

    Parameters
    ----------
    memory : joblib.Memory
        The cache.
    stage : callable
        Warns by `warn_caller`.
    ignore : sequence of str, default=()
        Names of parameters that are no part of the key.

    Returns
    -------
    recall : callable
        Takes and returns what `stage` does.
    """

    def recall(*args, **kwargs):
        is_new = []

        @wraps(stage)  # its name and its parameters are what the cache goes by
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
    """Collect what is said meanwhile, a context variable: each thread hears itself alone."""
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
    return str(frame.f_globals.get("__name__")).partition(".")[0] in PASS_ON
