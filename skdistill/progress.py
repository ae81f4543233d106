"""Progress of a fit, for `verbose` and scikit-learn's callbacks, which came with 1.9."""

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from skdistill.verbose import quiet, stage, verbose

try:
    from sklearn.callback import AutoPropagatedCallback, CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_sklearn_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Stands in for the mixin of scikit-learn 1.9."""

    AutoPropagatedCallback = type("AutoPropagatedCallback", (), {})

    def _with_sklearn_callbacks(method):
        return method


__all__ = ["SILENT", "CallbackSupportMixin", "Task", "begin", "refuse_callbacks", "with_callbacks"]


def with_callbacks(method):
    """Decorate a method of an estimator that reports to `verbose` and to callbacks."""
    return verbose(_with_sklearn_callbacks(method))


@dataclass(frozen=True)
class Task:
    """A part of a fit that is reported to callbacks, and printed if it is verbose.

    What else callbacks get, ``X``, ``y``, ``metadata`` and ``reconstruction_attributes``, may be
    functions, which are called if a callback needs the value.

    Attributes
    ----------
    estimator : estimator or None
        What is fitted; None for a task that reports nothing.
    context : sklearn.callback.CallbackContext or None
        None if there are no callbacks.
    """

    estimator: Any = None
    context: Any = None

    def begin(self, name, n_parts=0, **info):
        """Begin a part of it, which has at most `n_parts` parts; None if that is not known."""
        if self.context is None:
            return self
        context = self.context.subcontext(task_name=name, max_subtasks=n_parts)
        return Task(self.estimator, context)._begun(**info)

    def end(self, **info):
        """End it; return whether a callback wants the fit to stop."""
        if self.context is None:
            return False
        return self.context.call_on_fit_task_end(estimator=self.estimator, **info)

    @contextmanager
    def part(self, name, n_parts=0, by=None):
        """Begin a part, which is a stage, and end it after the block.

        Parameters
        ----------
        name : str
            What is done.
        n_parts : int or None, default=0
            How many parts it has at most; None if that is not known.
        by : estimator or None, default=None
            What is fitted by it, and reports in its place if it takes callbacks.
        """
        with quiet() if self.estimator is None else stage(name, by):
            if self.context is None:
                yield self
                return
            context = self.context.subcontext(task_name=name, max_subtasks=n_parts)
            reports = hasattr(by, "set_callbacks")
            with context.propagate_callback_context(by) if reports else nullcontext():
                part = Task(self.estimator, context)._begun()
                yield part
                part.end()

    def run(self, name, function, *args, **kwargs):
        """Call a function as a part."""
        with self.part(name):
            return function(*args, **kwargs)

    def _begun(self, **info):
        self.context.call_on_fit_task_begin(estimator=self.estimator, **info)
        return self


#: For fits that report nothing, such as those of clones that are fitted to measure something.
SILENT = Task()


def begin(estimator, n_parts, **info):
    """Begin the fit of an estimator, of at most `n_parts` parts, within `with_callbacks`."""
    if not hasattr(estimator, "_init_callback_context"):
        return Task(estimator)
    context = estimator._init_callback_context(max_subtasks=n_parts)
    return Task(estimator, context)._begun(**info)


def refuse_callbacks(part, whole):
    """Refuse callbacks of a part that have to be set on the whole, before any work.

    Raises
    ------
    TypeError
        If there are some.
    """
    callbacks = getattr(part, "_skl_callbacks", ())
    names = [type(each).__name__ for each in callbacks if isinstance(each, AutoPropagatedCallback)]
    if names:
        raise TypeError(
            f"{type(part).__name__} has the callbacks {names}, which are passed down from the "
            f"outermost estimator. Set them there, as in {type(whole).__name__}.set_callbacks."
        )
