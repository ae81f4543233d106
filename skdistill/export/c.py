"""A student as one C99 file, compiled and compared with the student before it is written."""

import ctypes
import tempfile
from pathlib import Path

import numpy as np

from skdistill.export.certificate import (
    TOLERANCE,
    TOLERANCES,
    certify,
    write_certified,
)
from skdistill.export.parity_sample import parity_sample
from skdistill.export.student_content import (
    as_deployed_sees,
    check_size,
    deployed_student,
    student_content,
)
from skdistill.messages import shown
from skdistill.parameters import validate_params
from skdistill.scorer.c_source import c_source
from skdistill.scorer.cells import CellReader
from skdistill.scorer.compiled import compile_library, compiler_version
from skdistill.scorer.files import check_writable
from skdistill.scorer.model import n_answers
from skdistill.scorer.student_content import lean_model
from skdistill.scorer.student_file import pack
from skdistill.scorer.tables import read_columns

#: The types of C, by their names in NumPy.
C_TYPES = {"float64": "double", "float32": "float"}


@validate_params({"dtype": [str], "main": ["boolean"], "tolerance": TOLERANCES})
def to_c(
    model, path=None, X=None, *, dtype="float64", name="student", main=False, tolerance=TOLERANCE
):
    """Write a student as one C99 file that needs no other.

    Parameters
    ----------
    model : estimator
        A fitted student of skdistill, or a distiller or search that holds one.
    path : str or path-like, default=None
        The file to write; an older one is replaced at once. The certificate goes beside it. None
        writes nothing.
    X : array-like or data frame of shape (n_samples, n_features), default=None
        Rows of the kind that will be scored, on which the file is compared too, besides synthetic
        ones.
    dtype : {"float64", "float32"}, default="float64"
        Type of cells and predictions, thresholds and bin edges: a double of C, or a float for
        microcontrollers. An MLP computes in float either way.
    name : str, default="student"
        What the names of the functions begin with: ``NAME_score`` and others.
    main : bool, default=False
        Whether to add a ``main`` that scores CSV from standard input.
    tolerance : float, default=1e-05
        Largest difference between file and student: of a probability, or of a prediction in shares
        of the spread of the predictions, see `Certificate`.

    Returns
    -------
    export : Export
        The C source as ``content``, and the certificate of the comparison.

    Raises
    ------
    TypeError
        If the student is none of skdistill's, or stands behind transformers.
    ValueError
        If a column holds both strings and numbers, a number is too large for `dtype`, or the
        student takes more than 2 GB.
    FileNotFoundError
        If there is no C compiler to compile the file with, or no such folder.
    ParityError
        If the file predicts differently; nothing is written then.

    See Also
    --------
    lean_scorer : Calls the same code from Python.

    Notes
    -----
    The file holds constant tables and a few functions, documented in its head; it allocates
    nothing and calls ``exp`` and ``expf`` alone. It compiles as C++ as well, and refuses to compile
    where NaN has no meaning (``-ffast-math``, ``-Ofast``). Cells are numbers, NaN where missing. A
    category is passed as the number that ``NAME_level`` gives for its text. A row with an infinite
    cell gets no prediction but the position of that cell.

    Examples
    --------
    An additive student as C:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from skdistill import LinearStudentClassifier, to_c
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> student = LinearStudentClassifier().fit(X, y)
    >>> export = to_c(student, X=X)
    >>> "student_score(" in export.content
    True
    >>> export.certificate.max_difference < 1e-5
    True
    """
    if dtype not in C_TYPES:
        raise ValueError(f"dtype={shown(dtype)} was passed; 'float64' or 'float32' was expected.")
    path = check_writable(path)
    student = deployed_student(model)
    content = student_content(student)
    lean = lean_model(content)
    check_size(lean)
    _check_texts(lean)
    source = c_source(lean, name=name, dtype=C_TYPES[dtype], main=main)
    sample = parity_sample(student, lean, as_deployed_sees(model, X))
    advice = "Nothing was written."
    if dtype == "float32":
        advice = "Nothing was written; dtype='float64' keeps more digits."
    certificate = certify(
        "c",
        compiler_version(),
        sample,
        run_c(source, lean, sample.rows, name),
        model=lean,
        names=[column.name for column in lean.columns],
        tolerance=tolerance,
        dtype=np.dtype(dtype).type,
        notes={"name": name, "dtype": dtype},
        advice=advice,
    )
    return write_certified(path, source, certificate, pack(content))


def run_c(source, model, rows, name="student"):
    """Compile a C file, whose functions begin with `name`, and score rows of `Sample` with it.

    Returns float64 predictions of shape (n_samples, n_answers). FileNotFoundError if there is no
    compiler, RuntimeError if it fails.
    """
    reader = CellReader([c.name for c in model.columns], [c.levels for c in model.columns])
    number = np.float64 if "typedef double number;" in source else np.float32
    table = read_columns(reader, rows.values).astype(number)
    answers = np.empty((len(rows), n_answers(model)), dtype=number)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        library = Path(folder, "student.so")
        compile_library(source, library)
        score_rows = getattr(ctypes.CDLL(str(library)), f"{name}_score_rows")
    score_rows.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p]
    score_rows.restype = ctypes.c_long
    score_rows(table.ctypes.data, len(table), answers.ctypes.data)
    return answers.astype(np.float64)


def _check_texts(lean):
    """Raise for categories that C cannot hold: its strings end at a zero byte."""
    for column in lean.columns:
        for level in column.levels or ():
            if isinstance(level, str) and "\0" in level:
                raise ValueError(
                    f"Column {column.name!r} has the category {level!r}, with a zero byte, "
                    "where strings of C end. Replace it, and fit again."
                )
