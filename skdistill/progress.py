"""Progress of a fit, for `verbose` and scikit-learn's callbacks, which came with 1.9."""

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from skdistill.verbose import stage, told, untold

try:
    from sklearn.callback import AutoPropagatedCallback, CallbackSupportMixin
    from sklearn.callback import with_callbacks as _heard
except ImportError:

    class CallbackSupportMixin:
        """Supports nothing."""

    AutoPropagatedCallback = type("AutoPropagatedCallback", (), {})

    def _heard(method):
        return method


__all__ = ["UNHEARD", "CallbackSupportMixin", "Task", "begin", "refuse_callbacks", "with_callbacks"]


def with_callbacks(method):
    """Have a method of an estimator tell what it does, to `verbose` and to callbacks."""
    return told(_heard(method))


@dataclass(frozen=True)
class Task:
    """A part of a fit that callbacks, and those who want it verbose, are told of.

    What callbacks are told besides, ``X``, ``y``, ``metadata`` and ``reconstruction_attributes``,
    may be functions, which are called if a callback asks.

    Attributes
    ----------
    estimator : estimator or None
        What is fitted; None for nothing that anybody is told of.
    context : sklearn.callback.CallbackContext or None
        None if no callback can listen.
    """

    estimator: Any = None
    context: Any = None

    def begin(self, name, n_parts=0, **told):
        """Begin a part of it, which has so many parts at most; None for nobody knows."""
        if self.context is None:
            return self
        context = self.context.subcontext(task_name=name, max_subtasks=n_parts)
        return Task(self.estimator, context)._said(**told)

    def end(self, **told):
        """End it; return whether a callback asks to stop."""
        if self.context is None:
            return False
        return self.context.call_on_fit_task_end(estimator=self.estimator, **told)

    @contextmanager
    def part(self, name, n_parts=0, by=None):
        """Begin a part, which is a stage, and end it after the block.

        Parameters
        ----------
        name : str
            What is done.
        n_parts : int or None, default=0
            How many parts it has at most; None for nobody knows.
        by : estimator or None, default=None
            What is fitted by it, and is heard in its place if it takes callbacks.
        """
        with untold() if self.estimator is None else stage(name, by):
            if self.context is None:
                yield self
                return
            context = self.context.subcontext(task_name=name, max_subtasks=n_parts)
            is_heard = hasattr(by, "set_callbacks")
            with context.propagate_callback_context(by) if is_heard else nullcontext():
                part = Task(self.estimator, context)._said()
                yield part
                part.end()

    def run(self, name, function, *args, **kwargs):
        """Call a function as a part."""
        with self.part(name):
            return function(*args, **kwargs)

    def _said(self, **told):
        self.context.call_on_fit_task_begin(estimator=self.estimator, **told)
        return self


#: For fits that are none of the user's, such as those of clones that judge.
UNHEARD = Task()


def begin(estimator, n_parts, **told):
    """Begin the fit of an estimator, which has so many parts at most, within `with_callbacks`."""
    if not hasattr(estimator, "_init_callback_context"):
        return Task(estimator)
    context = estimator._init_callback_context(max_subtasks=n_parts)
    return Task(estimator, context)._said(**told)


def refuse_callbacks(part, whole):
    """Refuse callbacks of a part that scikit-learn wants at the whole, before any work.

    Raises
    ------
    TypeError
        If there are such.
    """
    callbacks = getattr(part, "_skl_callbacks", ())
    names = [type(each).__name__ for each in callbacks if isinstance(each, AutoPropagatedCallback)]
    if names:
        raise TypeError(
            f"{type(part).__name__} has the callbacks {names}, which are handed down from the "
            f"outermost estimator. Set them there, as in {type(whole).__name__}.set_callbacks."
        )
