"""How errors describe what was passed: what it is, in a few words, never its contents."""

import os

__all__ = ["refuse_class", "shown"]

#: Longer values are described by their type.
MOST_CHARACTERS = 70


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
