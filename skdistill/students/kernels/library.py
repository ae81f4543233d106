"""Compile and load the kernels: once per machine, kept in the user's folder of caches.

Without a C compiler there are none, and NumPy and torch compute the same.
"""

import ctypes
import os
import platform
import tempfile
from functools import lru_cache
from pathlib import Path

from skdistill.scorer.compiled import compile_library, compiler_version
from skdistill.scorer.digest import sha256

_C_TYPES = {"f": "float", "d": "double"}

#: The types of positions and of numbers that curves are compiled for, as in the names of functions.
_VARIANTS = "ff", "df", "dd"

#: So that square roots and conditions are computed for several numbers at once.
_FLAGS = "-fno-math-errno", "-fno-trapping-math"

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
    try:
        return _declared(_load(_source()))
    except (OSError, RuntimeError):  # no compiler, or no folder from which a library can be loaded
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
    kernels.network_steps.argtypes = [_POINTER, _INT, _POINTER, _INT, _LONG, _POINTER, _POINTER]
    kernels.network_loss.restype = ctypes.c_double
    kernels.network_loss.argtypes = [_POINTER, _INT, _POINTER, _POINTER, _LONG, _INT]
    return kernels


def _load(source):
    """Load the library, which is compiled once per compiler and processor if it can be kept."""
    key = "\n".join([source, *_FLAGS, compiler_version(), platform.machine(), _processor()])
    name = f"kernels-{sha256(key.encode()).hexdigest()[:16]}.so"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "skdistill")
    path = folder / name
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # no home, or one that cannot be written
            folder = None
        with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as made:
            compile_library(source, Path(made, name), _FLAGS)
            if folder is None:
                return ctypes.CDLL(str(Path(made, name)))  # it stays in memory without its file
            Path(made, name).replace(path)
    return ctypes.CDLL(str(path))


def _processor():
    """Describe what instructions the processor has."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
