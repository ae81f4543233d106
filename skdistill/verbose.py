"""What is being done, told by `verbose`: stages with their seconds, and bars.

A stage prints one line when it ends, with its seconds, or two if it is long: one while it runs.
Loops that are long show a bar. All of it goes to stderr, as tqdm's bars do, so that what a script
prints stays apart. What a verbose call does in its own thread is told, but not what clones do that
only judge; workers tell their own verbose calls, by lines.
"""

import sys
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import wraps
from inspect import signature
from threading import Timer, current_thread, main_thread
from time import perf_counter

__all__ = ["bar_of", "is_told", "note", "say", "stage", "steps", "told", "untold"]

#: Seconds after which a stage is named although it has not ended, and a loop gets a bar.
LONG = 5.0

#: Seconds below which a stage that nothing was noted of is not worth a line.
SHORT = 0.1

#: Steps of a bar that are counted in thousands.
MANY = 10_000

#: The innermost stage that is told; None where nobody wants to know.
_current = ContextVar("stage", default=None)


class _Stage:
    """Something that is done, within something else or as a whole."""

    def __init__(self, name, above=None, by=None):
        self.name = name
        self.above = above
        self.by = by
        self.notes = []
        self.begun = perf_counter()
        self.is_named = above is None

    @property
    def seconds(self):
        return perf_counter() - self.begun

    def in_words(self):
        """Say what is done, and what was noted."""
        name = [] if self.above is None else [self.name.replace("-", " ")]
        notes = ["; ".join(self.notes)] if self.notes else []
        return ": ".join([*name, *notes]) or "done"

    def prefix(self):
        """Return what lines begin with: the name of the whole, and an indent."""
        if self.above is None:
            return f"[{self.name}] "
        return self.above.prefix() + ("  " if self.above.above else "")

    def announce(self):
        """Print what is under way, and what it is a part of, unless that is known."""
        if not self.is_named:
            self.is_named = True
            self.above.announce()
            _print(f"{self.prefix()}{self.in_words()} ...")

    def end(self):
        """Print what was done, unless it was nothing."""
        if self.is_named or self.notes or self.seconds >= SHORT:
            if self.above is not None:
                self.above.announce()
            _print(f"{self.prefix()}{self.in_words()}, {_duration(self.seconds)}")


@contextmanager
def stage(name, by=None):
    """Tell of the block as a stage of what is told now, if anything is.

    Parameters
    ----------
    name : str
        What is done; hyphens become spaces.
    by : estimator or None, default=None
        What is fitted in the block. Its own stages are told as parts of this one.
    """
    above = _current.get()
    if above is None:
        yield
        return
    part = _Stage(name, above, by)
    reminder = Timer(LONG, part.announce)
    reminder.daemon = True
    reminder.start()
    try:
        with _made_current(part):
            yield
    finally:
        reminder.cancel()
    part.end()


@contextmanager
def _whole(name, verbose, by=None):
    """Tell of the block as a whole of its own, or not at all."""
    whole = _Stage(name, by=by) if verbose else None
    with _made_current(whole):
        yield
    if whole is not None:
        whole.end()


def untold():
    """Tell nothing of a block."""
    return _made_current(None)


@contextmanager
def _made_current(stage):
    token = _current.set(stage)
    try:
        yield
    finally:
        _current.reset(token)


def told(call):
    """Have a function tell what it does if its parameter `verbose` says so.

    Called by what is told already, it is a part of that. A method of an estimator goes by the
    estimator's ``verbose``; within another fit it is told only if the stage is there for it.
    """
    if "verbose" not in signature(call).parameters:
        return _told_by_estimator(call)

    @wraps(call)
    def tells(*args, **kwargs):
        name = type(args[0]).__name__ if call.__name__ == "__init__" else call.__name__
        with nullcontext() if is_told() else _whole(name, kwargs.get("verbose", 0)):
            return call(*args, **kwargs)

    return tells


def _told_by_estimator(method):
    @wraps(method)
    def tells(estimator, *args, **kwargs):
        above = _current.get()
        is_part = above is not None and any(
            estimator is each for each in (above.by, _last(above.by))
        )
        name, verbose = type(estimator).__name__, estimator.verbose
        with nullcontext() if is_part else _whole(name, verbose, estimator):
            return method(estimator, *args, **kwargs)

    return tells


def is_told():
    """Tell whether somebody wants to know what is done now."""
    return _current.get() is not None


def note(text):
    """Note something about the current stage, for the line that it prints when it ends."""
    if is_told():
        _current.get().notes.append(text)


def say(text):
    """Print a line below the current stage now."""
    if is_told():
        _current.get().announce()
        _print(_Stage(text, _current.get()).prefix() + text)


def steps(items, name, n_items=None, unit=" steps"):
    """Yield items, with a bar if that takes long.

    Parameters
    ----------
    items : iterable
        One per step.
    name : str
        What the steps do.
    n_items : int or None, default=None
        Their number; None for ``len(items)``, if there is one.
    unit : str, default=" steps"
        What is counted.
    """
    if not is_told():
        yield from items
        return
    n_items = len(items) if n_items is None and hasattr(items, "__len__") else n_items
    with bar_of(name, n_items, unit) as bar:
        for item in items:
            yield item
            bar.update()


def bar_of(name, n_items, unit=" steps"):
    """Open a bar below the current stage, which has to be told; it shows if it takes long.

    Returns
    -------
    bar : object
        A context manager with ``update(n=1)``, ``set_postfix(**shown)`` and ``close()``: tqdm's
        bar, or lines now and then in workers, in files, and without tqdm.
    """
    from multiprocessing import parent_process  # monitors, which load next to nothing, have no bars

    below = _current.get()
    name = _Stage(name, below).prefix() + name
    is_worker = parent_process() is not None or current_thread() is not main_thread()
    on_screen = (sys.stderr is not None and sys.stderr.isatty()) or "ipykernel" in sys.modules
    if on_screen and not is_worker:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return _Lines(name, n_items, unit)
        are_many = n_items is None or n_items >= MANY
        return tqdm(
            total=n_items, desc=name, unit=unit, unit_scale=are_many, delay=LONG, leave=False
        )
    return _Lines(name, n_items, unit)


class _Lines:
    """Stands in for a bar: a line now and then, the more seldom the longer it takes."""

    def __init__(self, name, n_items, unit):
        self.name = name
        self.n_items = n_items
        self.unit = unit
        self.shown = {}
        self.n_done = 0
        self.begun = self.printed = perf_counter()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def update(self, n=1):
        """Count steps that are done."""
        self.n_done += n
        now = perf_counter()
        seconds = now - self.begun
        if self.n_done == self.n_items or now - self.printed < max(LONG, seconds / 5):
            return
        self.printed = now
        parts = [f"{self.name}: {self.n_done:,}"]
        if self.n_items:
            left = seconds * (self.n_items - self.n_done) / self.n_done
            parts[0] += f" of {self.n_items:,}{self.unit}"
            parts += [_duration(seconds), f"{_duration(left)} left"]
        else:
            parts[0] += self.unit
            parts.append(_duration(seconds))
        _print(", ".join([*parts, *(f"{name}={value}" for name, value in self.shown.items())]))

    def set_postfix(self, **shown):
        """Keep what is to be shown besides."""
        self.shown = shown

    def close(self):
        """End it."""


def _print(line):
    """Write a line as a whole, above the bars that are open."""
    if sys.stderr is None:  # of a service, say
        return
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        sys.stderr.write(line + "\n")
    else:
        tqdm.tqdm.write(line + "\n", file=sys.stderr, end="")


def _duration(seconds):
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _last(estimator):
    """Return the last step of pipelines: the one that a stage is there for."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator
