"""Compile and load the kernels: once per machine, kept in the user's folder of caches.

Without a C compiler there are none, and NumPy and torch compute the same.
"""

import ctypes
import os
import platform
import tempfile
from functools import lru_cache
from pathlib import Path

from skdistill.scorer.compiled import compile_library
from skdistill.scorer.digest import sha256

_C_TYPES = {"f": "float", "d": "double"}

#: The types of positions and of numbers that curves are compiled for, as in the names of functions.
_VARIANTS = "ff", "df", "dd"

#: So that square roots and conditions are computed for several numbers at once.
_FLAGS = "-fno-math-errno", "-fno-trapping-math", "-pthread"

_POINTER, _LONG, _INT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int
_SIGNATURES = {
    "curve_sums": [_POINTER, _POINTER, _LONG, _POINTER, _INT, _POINTER, _POINTER],
    "pair_sums": [_POINTER, _POINTER, _LONG, _POINTER, _INT, _POINTER],
    "table_gradient": [_POINTER, _POINTER, _LONG, _POINTER, _INT, _POINTER],
    "table_of_weights": [_POINTER, _POINTER, _INT, _POINTER],
    "weight_gradient": [_POINTER, _POINTER, _INT, _POINTER],
}


@lru_cache(maxsize=1)
def library():
    """Load the kernels, compiled before or now; None if that is not possible here."""
    source = _source()
    for load in (_load_kept, _load_new):
        try:
            return _declared(load(source))
        except (OSError, RuntimeError):
            continue  # no folder to keep it in, none to load it from, or no compiler
    return None


def _source():
    curves, steps = (
        Path(__file__).with_name(name).read_text(encoding="utf-8")
        for name in ("curves.c", "network_steps.c")
    )
    variants = [
        f"#define POSITION {_C_TYPES[position]}\n#define NUMBER {_C_TYPES[number]}\n"
        f"#define NAME(x) x##_{position}{number}\n{curves}"
        for position, number in _VARIANTS
    ]
    return "\n".join([*variants, steps])


def _declared(kernels):
    for variant in _VARIANTS:
        for name, signature in _SIGNATURES.items():
            function = getattr(kernels, f"{name}_{variant}")
            function.argtypes, function.restype = signature, None
    kernels.curve_positions.restype = None
    kernels.curve_positions.argtypes = [
        *(_POINTER, _LONG, _LONG, _POINTER, _INT),
        *(ctypes.c_double, _POINTER, _LONG),
    ]
    kernels.all_positions.restype = None
    kernels.all_positions.argtypes = [
        *(_POINTER, _LONG, _LONG, _LONG, _INT),
        *(_POINTER, _POINTER, _POINTER, _POINTER),
    ]
    kernels.network_steps.restype = None
    kernels.network_steps.argtypes = [_POINTER, _POINTER, _INT, _LONG, _POINTER, _POINTER]
    kernels.network_loss.restype = ctypes.c_double
    kernels.network_loss.argtypes = [_POINTER, _POINTER, _POINTER, _LONG]
    return kernels


def _load_kept(source):
    """Load the library that is kept for this processor; compile it if there is none.

    The name of the file ends with the hash of its content: a damaged one would crash the process.
    """
    folder = _folder()
    key = sha256("\n".join([source, *_FLAGS, platform.machine(), _processor()]).encode())
    name = f"kernels-{key.hexdigest()[:16]}"
    for path in folder.glob(f"{name}-*.so"):
        if path.is_file() and path.stem.endswith(_hash_of(path)):
            return ctypes.CDLL(str(path))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as made:
        compile_library(source, Path(made, name), _FLAGS)
        path = folder / f"{name}-{_hash_of(Path(made, name))}.so"
        Path(made, name).replace(path)
    return ctypes.CDLL(str(path))


def _load_new(source):
    """Compile the library and load it; it stays in memory without its file."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        compile_library(source, Path(made, "kernels.so"), _FLAGS)
        return ctypes.CDLL(str(Path(made, "kernels.so")))


def _folder():
    """Return the folder of caches; RuntimeError if the user has no home."""
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (caches if caches.is_absolute() else Path.home() / ".cache") / "skdistill"


def _hash_of(path):
    return sha256(path.read_bytes()).hexdigest()[:16]


def _processor():
    """Describe what instructions the processor has."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
