"""The lean scorer: a student scores rows without scikit-learn, and loads without it.

    student file  ->  content  ->  lean model  ->  LeanScorer (compiled C, or NumPy)
                                       |
                                    C source  ->  shared library  ->  LibraryScorer (no NumPy)

`student_content` makes the `model` that is served, `student_file` reads files, `c_source` writes C,
`c_engine` and `numpy_engine` score, `cells` and `tables` read rows, `lean_scorer` is the public
class, `library` calls a compiled file. Importing this package loads nothing, not even NumPy.
"""

from typing import TYPE_CHECKING

from skdistill.lazy import lazy_names

if TYPE_CHECKING:  # what editors and type checkers see
    from skdistill.scorer.lean_scorer import LeanScorer, load_scorer
    from skdistill.scorer.library import LibraryScorer, load_library

_PUBLIC = {
    "LeanScorer": "lean_scorer",
    "LibraryScorer": "library",
    "load_library": "library",
    "load_scorer": "lean_scorer",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = lazy_names(__name__, _PUBLIC)
