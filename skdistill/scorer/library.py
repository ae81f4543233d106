"""A compiled model scored by ctypes: no NumPy, ten megabytes, and up within milliseconds.

cc -O3 -std=c99 -shared -fPIC student.c -o student.so -lm
"""

import ctypes
import json
from pathlib import Path

from skdistill.scorer.cells import CellReader

_TYPES = {"double": ctypes.c_double, "float": ctypes.c_float}


class LibraryScorer:
    """Scores rows by a shared library made from the C file of `to_c`.

    Parameters
    ----------
    path : str or path-like
        The library. It is code: load only what you trust.

    Attributes
    ----------
    columns : list of str
        Names of the columns, in the order of a row.
    levels : dict of str to tuple
        The categories of every column that has some.
    classes : tuple or None
        The class labels, in the order of the probabilities; None for a regressor.
    sha256 : str
        Hash of the model, as in its certificate.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a library of skdistill.
    """

    engine = "c"

    def __init__(self, path):
        path = Path(path).resolve()
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {str(path)!r}.")
        try:
            library = ctypes.CDLL(str(path))
            library.student_schema.restype = ctypes.c_char_p
            schema = json.loads(library.student_schema())
        except (OSError, AttributeError) as error:
            raise ValueError(
                f"{str(path)!r} is not a library of a student: {error}. Compile the file of to_c, "
                "with the name it has by default and with its schema, into a shared library."
            ) from error
        levels = [column.get("levels") for column in schema["columns"]]
        levels = [None if each is None else tuple(each) for each in levels]
        self.columns = [column["name"] for column in schema["columns"]]
        self.levels = {
            name: each for name, each in zip(self.columns, levels, strict=True) if each is not None
        }
        self.classes = None if schema["classes"] is None else tuple(schema["classes"])
        self.sha256 = schema["sha256"]
        self._reader = CellReader(self.columns, levels)
        number = _TYPES[schema["dtype"]]
        self._row_type = number * len(self.columns)
        self._answers_type = number * (1 if self.classes is None else len(self.classes))
        self._score = library.student_score
        self._score.argtypes = [self._row_type, self._answers_type]

    def __call__(self, row):
        """Score one row, see `LeanScorer`.

        Parameters
        ----------
        row : list, tuple, ndarray of shape (n_columns,), dict or Series
            Raw cells in the order of ``columns``, or by name.

        Returns
        -------
        answer : tuple of float, or float
            One probability per class, or the prediction of a regressor.

        Raises
        ------
        ValueError, TypeError
            If a cell or the row is not what was expected; with names.
        """
        cells = self._reader.cells(row)
        try:
            numbers = self._row_type(*cells)
        except (TypeError, OverflowError):  # None, or a mistake
            cells = self._reader.numbers(cells)
            numbers = self._row_type(*cells)
        answers = self._answers_type()
        if self._score(numbers, answers):
            self._reader.refuse_infinite(cells)
            raise ValueError(f"A cell is too large for a C float: {row!r}.")
        return answers[0] if self.classes is None else tuple(answers)

    def __repr__(self):
        what = "regressor" if self.classes is None else f"{len(self.classes)} classes"
        return f"LibraryScorer({len(self.columns)} columns, {what})"


def load_library(path):
    """Load a compiled student, without NumPy.

    Parameters
    ----------
    path : str or path-like
        A shared library made from the C file of `to_c`. It is code: load only what you trust.

    Returns
    -------
    scorer : LibraryScorer
        Scores rows.
    """
    return LibraryScorer(path)
