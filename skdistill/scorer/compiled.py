"""Generated C, compiled by the machine's compiler and called in this process."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

#: Flags for a library that runs on this machine; the first that the compiler accepts are used.
_FLAGS = (["-O3", "-march=native"], ["-O3"])


def find_compiler():
    """Return the C compiler: the one that CC names, or cc, gcc or clang; None without any."""
    named = os.environ.get("CC", "").split()
    for command in (named, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    return None


def compiler_version():
    """Return the first line of the compiler's version."""
    command = [*_require_compiler(), "--version"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    return done.stdout.partition("\n")[0]


def compile_library(source, path, more_flags=()):
    """Compile C into a shared library at a path.

    Raises FileNotFoundError if there is no compiler, and RuntimeError with what it said if it
    fails.
    """
    compiler = _require_compiler()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "student.c")
        file.write_text(source, encoding="utf-8")
        for flags in _FLAGS:
            made = ["-shared", "-fPIC", str(file), "-o", str(path), "-lm"]
            command = [*compiler, "-std=c99", *flags, *more_flags, *made]
            done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
            if done.returncode == 0:
                return
    raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")


def _require_compiler():
    compiler = find_compiler()
    if compiler is None:
        raise FileNotFoundError(
            "No C compiler was found: install gcc or clang, or name one in the environment "
            "variable CC."
        )
    return compiler
