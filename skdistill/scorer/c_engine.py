"""Scoring by compiled C: generated for one model, called through cffi."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from skdistill.scorer.c_source import c_source
from skdistill.scorer.compiled import compile_library
from skdistill.scorer.model import n_answers

_DECLARATIONS = """
int student_score(const double *row, double *answers);
long student_score_rows(const double *rows, long n_rows, double *answers);
double student_answer(const double *row);
"""


class CompiledEngine:
    """Scores by a shared library that is made for the model, see `TreeEngine`.

    Raises ImportError if cffi is not installed; FileNotFoundError or RuntimeError if there is no
    compiler, or it fails; and ValueError if a column has strings and numbers as levels.
    """

    name = "c"

    def __init__(self, model):
        from cffi import FFI

        ffi = FFI()
        ffi.cdef(_DECLARATIONS)
        # Loaded libraries stay in memory when their file is gone.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            path = Path(folder, "student.so")
            compile_library(c_source(model), path)
            library = ffi.dlopen(str(path))
        self._library = library
        self._n_answers, self._score_rows = n_answers(model), library.student_score_rows
        self._view = partial(ffi.from_buffer, ffi.typeof("double[]"))
        #: Scores a row, see `TreeEngine.row`.
        self.row = self._row_function(ffi, model)

    def _row_function(self, ffi, model):
        """Return the function that scores a row; a closure, as attributes cost a tenth of it."""
        library, view = self._library, self._view
        answers_type = ffi.typeof(f"double[{self._n_answers}]")

        def probabilities(cells):
            answers = ffi.new(answers_type)
            bad = library.student_score(cells if type(cells) is list else as_c(cells), answers)
            return None if bad else tuple(answers)

        def two_probabilities(cells):
            probability = answer(cells if type(cells) is list else as_c(cells))
            if probability <= 0.5:
                return 1.0 - probability, probability
            # 1 - p has no digits of a small probability of the first class; or the row is infinite.
            return probabilities(cells)

        def prediction(cells):
            predicted = answer(cells if type(cells) is list else as_c(cells))
            return predicted if predicted == predicted else None

        def as_c(cells):
            return view(cells) if isinstance(cells, np.ndarray) else cells

        if self._n_answers > 2:
            return probabilities
        answer = library.student_answer
        if model.classes is None:
            return prediction
        return two_probabilities if self._n_answers == 2 else probabilities

    def table(self, X):
        """Score a table of cells, see `TreeEngine.table`."""
        X = np.ascontiguousarray(X)
        answers = np.empty((len(X), self._n_answers))
        self._score_rows(self._view(X), len(X), self._view(answers))
        return answers
