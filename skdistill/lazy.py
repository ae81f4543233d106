"""Public names of a package that are imported when they are first used (PEP 562)."""

from importlib import import_module
from sys import modules


def lazy_names(package, homes, rooms=()):
    """Return `__getattr__` and `__dir__` for a package whose names come from its modules.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    homes : dict of str to str
        Public name to the module that defines it, relative to the package.
    rooms : sequence of str, default=()
        Modules and packages inside it that are public themselves.

    Returns
    -------
    get, list_names : callable
        `__getattr__`, which keeps what it imported, and `__dir__`.
    """

    def get(name):
        if name in rooms:
            return import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(modules[package], name, value)
        return value

    def list_names():
        dunders = (name for name in vars(modules[package]) if name.startswith("__"))
        return sorted({*dunders, *homes, *rooms})

    return get, list_names
