"""What the parameter `verbose` prints: stages with their seconds, and progress bars.

A stage prints one line when it ends, with its seconds; a long one prints a line while it runs, too.
Long loops show a bar. All of it goes to stderr, as tqdm's bars do, apart from what a script prints.
A verbose call prints what is done in its own thread, but not what is done by clones that are fitted
to measure something. Worker processes print lines for the verbose calls within them.
"""

import sys
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import wraps
from inspect import signature
from threading import Timer, current_thread, main_thread
from time import perf_counter

__all__ = ["bar_of", "is_verbose", "note", "quiet", "say", "stage", "steps", "verbose"]

#: Seconds after which a stage is named although it has not ended, and a loop gets a bar.
LONG = 5.0

#: Shorter stages, in seconds, print no line unless something was noted.
SHORT = 0.1

#: From this number of steps on, a bar counts in thousands.
MANY = 10_000

#: The innermost stage that is printed; None where nothing is.
_current = ContextVar("stage", default=None)


class _Stage:
    """A stage within another one, or an outermost one."""

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
        """Return what is done, and what was noted, as text."""
        name = [] if self.above is None else [self.name.replace("-", " ")]
        notes = ["; ".join(self.notes)] if self.notes else []
        return ": ".join([*name, *notes]) or "done"

    def prefix(self):
        """Return what lines begin with: the name of the outermost stage, and an indent."""
        if self.above is None:
            return f"[{self.name}] "
        return self.above.prefix() + ("  " if self.above.above else "")

    def announce(self):
        """Print that this stage, and those around it, have begun, unless that is printed."""
        if not self.is_named:
            self.is_named = True
            self.above.announce()
            _print(f"{self.prefix()}{self.in_words()} ...")

    def end(self):
        """Print what was done, unless the stage was short and nothing was noted."""
        if self.is_named or self.notes or self.seconds >= SHORT:
            if self.above is not None:
                self.above.announce()
            _print(f"{self.prefix()}{self.in_words()}, {_duration(self.seconds)}")


@contextmanager
def stage(name, by=None):
    """Print the block as a stage of the current one, if there is one.

    Parameters
    ----------
    name : str
        What is done; hyphens become spaces.
    by : estimator or None, default=None
        What is fitted in the block. Its own stages are parts of this one.
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
    """Print the block as an outermost stage, or print nothing of it."""
    whole = _Stage(name, by=by) if verbose else None
    with _made_current(whole):
        yield
    if whole is not None:
        whole.end()


def quiet():
    """Print nothing in a block."""
    return _made_current(None)


@contextmanager
def _made_current(stage):
    token = _current.set(stage)
    try:
        yield
    finally:
        _current.reset(token)


def verbose(call):
    """Decorate a function that prints its stages if its parameter `verbose` is true.

    If a stage is printed already, the function is a part of it. A method of an estimator goes by
    the estimator's ``verbose``; within another fit it prints only in a stage that is `by` it.
    """
    if "verbose" not in signature(call).parameters:
        return _verbose_method(call)

    @wraps(call)
    def run(*args, **kwargs):
        name = type(args[0]).__name__ if call.__name__ == "__init__" else call.__name__
        with nullcontext() if is_verbose() else _whole(name, kwargs.get("verbose", 0)):
            return call(*args, **kwargs)

    return run


def _verbose_method(method):
    @wraps(method)
    def run(estimator, *args, **kwargs):
        above = _current.get()
        is_part = above is not None and any(
            estimator is each for each in (above.by, _last(above.by))
        )
        name, verbose = type(estimator).__name__, estimator.verbose
        with nullcontext() if is_part else _whole(name, verbose, estimator):
            return method(estimator, *args, **kwargs)

    return run


def is_verbose():
    """Tell whether the current stage is printed."""
    return _current.get() is not None


def note(text):
    """Add something to the line that the current stage prints when it ends."""
    if is_verbose():
        _current.get().notes.append(text)


def say(text):
    """Print a line below the current stage at once."""
    if is_verbose():
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
    if not is_verbose():
        yield from items
        return
    n_items = len(items) if n_items is None and hasattr(items, "__len__") else n_items
    with bar_of(name, n_items, unit) as bar:
        for item in items:
            yield item
            bar.update()


def bar_of(name, n_items, unit=" steps"):
    """Open a bar below the current stage, which must be printed; it shows if it takes long.

    Returns
    -------
    bar : object
        A context manager with ``update(n=1)``, ``set_postfix(**shown)`` and ``close()``: tqdm's
        bar; in workers, in files and without tqdm an object that prints a line now and then.
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
    """A bar that prints lines, the less often the longer it takes."""

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
        """Set what is shown besides."""
        self.shown = shown

    def close(self):
        """End it."""


def _print(line):
    """Write a whole line, above open bars."""
    if sys.stderr is None:  # as in a service
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
    """Return the last step of a pipeline, however deep it is."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator
