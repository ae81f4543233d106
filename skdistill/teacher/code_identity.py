"""What code of a user decides what a function, a class or a module does.

Installed packages are known by their versions. Other code may be edited between two runs, and may
read objects that change while it runs.
"""

import sys
import types
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version

#: Parts of a class that are compiled: they change with the version of its package alone.
_COMPILED = (
    types.BuiltinFunctionType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)

#: Parts of a class that do not change what it does.
_IGNORED = {
    "__abstractmethods__",
    "__annotations__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__slotnames__",
    "__static_attributes__",
    "_abc_impl",
}

#: What `parts_of_code` takes apart.
CODE = (
    type,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FunctionType,
    types.MethodType,
    types.ModuleType,
    cached_property,
    classmethod,
    property,
    staticmethod,
)


def parts_of_code(value):
    """List what decides what a piece of code, of one of the types `CODE`, does.

    That is the name and version of what is installed; of anything else the compiled code, and the
    objects that it reads.
    """
    if isinstance(value, type):
        return _of_class(value)
    if isinstance(value, types.ModuleType):
        return [value.__name__, _version(value.__name__)]
    if isinstance(value, types.BuiltinFunctionType):
        return [getattr(value, "__module__", None), getattr(value, "__qualname__", value.__name__)]
    if isinstance(value, types.FunctionType):
        return _of_function(value)
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_consts, value.co_names]
    if isinstance(value, property):
        return [value.fget]
    return [value.func if isinstance(value, cached_property) else value.__func__]


def _of_class(value):
    names = [str(value.__module__), value.__qualname__]
    if not _may_be_edited(names[0]):
        return [*names, _version(names[0])]
    own = {
        name: part
        for name, part in vars(value).items()
        if name not in _IGNORED and not isinstance(part, _COMPILED)
    }
    return [*names, own, value.__bases__]


def _of_function(value):
    closure = [_content(cell) for cell in value.__closure__ or ()]
    parts = [value.__code__, value.__defaults__, value.__kwdefaults__, closure]
    if not _may_be_edited(str(value.__module__)):
        return [*parts, _version(str(value.__module__))]
    names = _names_in(value.__code__)
    read = {name: value.__globals__[name] for name in names if name in value.__globals__}
    imported = {name: sys.modules[name] for name in names if name in sys.modules}
    return [*parts, [_as_read(part, names, ()) for part in ({**imported, **read}).items()]]


def _as_read(named, names, within):
    """Replace a module of the user by what a function reads of it."""
    name, value = named
    if not isinstance(value, types.ModuleType) or not _may_be_edited(value.__name__):
        return [name, value]
    if value in within:
        return [name]
    read = [(part, vars(value)[part]) for part in names if part in vars(value)]
    return [name, [_as_read(one, names, (*within, value)) for one in read]]


def _names_in(code):
    """List the names that a function, and functions within it, look up."""
    names, codes = set(), [code]
    while codes:
        code = codes.pop()
        names |= set(code.co_names)
        codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return sorted(names)


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # of a name that is not bound yet
        return None


@cache
def _version(module):
    """Return the version of the package of a module; empty if it has none."""
    package = module.partition(".")[0]
    if package in sys.stdlib_module_names:
        return ""
    try:
        return version(package)
    except (PackageNotFoundError, ValueError):
        return str(getattr(sys.modules.get(package), "__version__", ""))


def _may_be_edited(module):
    """Tell whether a module is neither of Python, nor installed, nor of this package."""
    package = module.partition(".")[0]
    if package == "__main__":
        return True
    path = getattr(sys.modules.get(package), "__file__", None) or ""
    is_installed = "site-packages" in path or "dist-packages" in path
    own = __name__.partition(".")[0]
    return not (is_installed or package == own or package in sys.stdlib_module_names)
