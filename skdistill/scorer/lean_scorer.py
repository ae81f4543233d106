"""One row in a microsecond, many in a batch, without scikit-learn."""

from functools import cached_property

import numpy as np

from skdistill.levels import warn_of_unknown_levels
from skdistill.messages import shown, warn_caller
from skdistill.scorer.cells import CellReader
from skdistill.scorer.model import fingerprint
from skdistill.scorer.numpy_engine import numpy_engine
from skdistill.scorer.student_content import lean_model
from skdistill.scorer.student_file import read_student_file
from skdistill.scorer.tables import as_array, read_columns, table_columns

_FLOAT64 = np.dtype(np.float64)


class LeanScorer:
    """Scores rows of raw columns as a student does, without the validation of scikit-learn.

    Made by `lean_scorer` from a student, or by `skdistill.scorer.load_scorer` from a file.

    Parameters
    ----------
    model : LeanTree or LeanNetwork
        What is scored.
    engine : {"auto", "c", "numpy"}, default="auto"
        "c" compiles the model, "numpy" does not; "auto" compiles if cffi and a compiler are there.

    Attributes
    ----------
    engine : str
        What scores: "c" or "numpy".
    columns : list of str
        Names of the columns, in the order of a row.
    levels : dict of str to tuple
        The categories of every column that has some.
    classes : tuple or None
        The class labels, in the order of the probabilities; None for a regressor.
    sha256 : str
        Hash of the model, as in the certificates of its exports.

    Notes
    -----
    Scorers hold no state that a call changes: threads may share one. Pickles hold the arrays, and
    compile again where they are loaded.

    Examples
    --------
    A student saved, and loaded as a scorer:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_diabetes
    >>> from skdistill import TreeStudentRegressor, save
    >>> from skdistill.scorer import load_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(TreeStudentRegressor(4).fit(X, y), Path(folder, "student.skd"))
    ...     scorer = load_scorer(Path(folder, "student.skd"), engine="numpy")
    >>> scorer
    LeanScorer(10 columns, regressor, engine='numpy')
    >>> print(f"{scorer(X[0]):.0f}")
    230
    """

    def __init__(self, model, engine="auto"):
        self._model, self._wanted = model, engine
        self.columns = [column.name for column in model.columns]
        self.classes = model.classes
        self.levels = {each.name: each.levels for each in model.columns if each.is_nominal}
        self._reader = CellReader(self.columns, [column.levels for column in model.columns])
        self._n_numbers = None if self.levels else len(self.columns)
        self._engine = _make_engine(model, engine)
        self.engine = self._engine.name
        self._row = self._engine.row

    @cached_property
    def sha256(self):
        """Hash of the model, computed on first use: a model may have megabytes."""
        return fingerprint(self._model)

    def __call__(self, row):
        """Score one row.

        Parameters
        ----------
        row : list, tuple, ndarray of shape (n_columns,), dict or Series
            Raw cells in the order of ``columns``, or by name: numbers, strings, and None or NaN
            where missing.

        Returns
        -------
        answer : tuple of float, or float
            One probability per class, or the prediction of a regressor.

        Raises
        ------
        ValueError
            If a cell is infinite, or the row has other columns; with their names.
        TypeError
            If a cell is not of the expected type; the message names the column.
        """
        if type(row) is list and len(row) == self._n_numbers:
            cells = row  # the reader would change nothing
        elif type(row) is np.ndarray and self._is_plain(row):
            cells = row
        else:
            cells = self._reader.cells(row)
        try:
            answer = self._row(cells)
        except (TypeError, OverflowError):  # None, or a mistake
            cells = self._reader.numbers(cells)
            answer = self._row(cells)
        if answer is None:
            self._reader.refuse_infinite(cells)
        return answer

    def batch(self, X):
        """Score many rows.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns), data frame, dict of columns, or list of rows
            Raw cells. Frames (pandas, polars) and dicts are read by name, whatever their order.

        Returns
        -------
        answers : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Probabilities, or predictions.

        Raises
        ------
        ValueError, TypeError
            As a row does.

        Warns
        -----
        UserWarning
            If most categories of a column are unknown.
        """
        columns = table_columns(self._reader, X)
        table = read_columns(self._reader, columns)
        warn_of_unknown_levels(
            (column.name, as_array(columns[j]).tolist(), column.levels, column.has_infrequent)
            for j, column in enumerate(self._model.columns)
            if column.is_nominal
        )
        answers = self._engine.table(table)
        if np.isnan(answers).any():
            for bad in np.flatnonzero(np.isinf(table).any(axis=1))[:1]:
                self._reader.refuse_infinite(table[bad].tolist(), f"Row {bad}: column")
        return answers[:, 0] if self.classes is None else answers

    def _is_plain(self, row):
        """Tell whether an array can be scored without conversion."""
        shape = row.shape == (self._n_numbers,)
        return shape and row.dtype is _FLOAT64 and row.flags.c_contiguous

    def __reduce__(self):
        return LeanScorer, (self._model, self._wanted)

    def __repr__(self):
        what = "regressor" if self.classes is None else f"{len(self.classes)} classes"
        return f"LeanScorer({len(self.columns)} columns, {what}, engine={self.engine!r})"


def _make_engine(model, engine):
    """Return the requested engine, or the fastest that is available."""
    if not isinstance(engine, str) or engine not in ("auto", "c", "numpy"):
        raise ValueError(f"engine is {shown(engine)}; 'auto', 'c' or 'numpy' was expected.")
    if engine == "numpy":
        return numpy_engine(model)
    # Imported only here, as compiling needs a tenth of the memory of a scorer.
    from skdistill.scorer.c_engine import CompiledEngine
    from skdistill.scorer.compiled import find_compiler

    if engine == "auto" and find_compiler() is None:
        return numpy_engine(model)
    try:
        return CompiledEngine(model)
    except ImportError as error:
        if engine == "c":
            raise ImportError(
                "The compiled scorer needs cffi, which is not installed. Install it with: "
                "pip install cffi"
            ) from error
    except (OSError, RuntimeError, ValueError) as error:
        if engine == "c":
            raise
        warn_caller(f"NumPy scores this model, C cannot: {error}")
    return numpy_engine(model)


def load_scorer(path, engine="auto"):
    """Load a saved student as a scorer, without scikit-learn.

    Parameters
    ----------
    path : str or path-like
        What `skdistill.save` wrote. It holds no code: a stranger's file is safe to load.
    engine : {"auto", "c", "numpy"}, default="auto"
        See `LeanScorer`. Compiling takes a second, once; "numpy" is ready at once.

    Returns
    -------
    scorer : LeanScorer
        Scores rows and tables.

    Raises
    ------
    StudentFileError
        If the file is damaged, or none of skdistill's.
    """
    return LeanScorer(lean_model(read_student_file(path)), engine)
