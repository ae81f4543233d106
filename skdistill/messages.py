"""What errors say of what was passed: what it is, in a few words, and never its contents."""

import os

__all__ = ["refuse_class", "shown"]

#: Longer values are told by their type.
MOST_CHARACTERS = 70


def shown(value):
    """Say what was passed, for a message.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    text : str
        Classes, tables and estimators by their names and shapes, short values as Python writes
        them, others by their types. One line, however large the value is.
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
    except Exception:  # what a user passed may do anything
        text = object.__repr__(value)
    if text.startswith("<") or "\n" in text or len(text) > MOST_CHARACTERS:
        length = f" of length {len(value)}" if hasattr(value, "__len__") else ""
        return f"{_with_article(kind)}{length}"
    return text


def refuse_class(value, name):
    """Refuse a class where an object of it is needed.

    Raises
    ------
    TypeError
        If it is one, with what to pass instead.
    """
    if isinstance(value, type):
        raise TypeError(
            f"{name} is the class {value.__name__}; an instance was expected. Pass "
            f"{value.__name__}()."
        )


def _with_article(name):
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"
