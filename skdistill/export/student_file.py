"""Students saved and loaded without pickles: files that can be loaded from untrusted sources.

The format is that of `skdistill.scorer.student_file`, which the lean scorer reads with NumPy alone;
here a scikit-learn estimator becomes a file and a file an estimator.
"""

import numpy as np

from skdistill.exceptions import StudentFileError
from skdistill.export.lean import certified_scorer
from skdistill.export.student_content import deployed_student, lost_params, student_content
from skdistill.messages import warn_caller
from skdistill.scorer.files import check_writable, write_atomically
from skdistill.scorer.student_content import lean_model
from skdistill.scorer.student_file import pack, read_student_file, unpack
from skdistill.students.encoding import ColumnEncoding, Encoding
from skdistill.students.kinds import STUDENTS
from skdistill.students.pairs import PairTable
from skdistill.students.tree import PlainTree

__all__ = ["SKOPS_TRUSTED_TYPES", "load", "save", "student_from"]

#: What ``skops.io.load(file, trusted=SKOPS_TRUSTED_TYPES)`` needs to load any student.
SKOPS_TRUSTED_TYPES = tuple(
    f"{kind.__module__}.{kind.__qualname__}"
    for kind in (*STUDENTS, PlainTree, Encoding, ColumnEncoding, PairTable)
)


def save(model, path):
    """Save a student as plain arrays and JSON, without pickle.

    Parameters
    ----------
    model : estimator
        A fitted student of skdistill, or a fitted distiller, or a search over one, whose student
        is saved.
    path : str or path-like
        The file, usually with the ending ``.skd``. An existing one is replaced at once.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If its student is not one of skdistill's own.
    ValueError
        If a level or a class label is neither text nor a finite number, or the file would take
        more than 2 GB.
    ParityError
        If the file does not match the student; nothing is written then.
    OSError
        If the path cannot be written to.

    Warns
    -----
    UserWarning
        If a parameter is neither a number nor text, such as callbacks or a RandomState: `load`
        sets it to its default. Predictions do not depend on it.

    See Also
    --------
    load : The way back.

    Notes
    -----
    Before it is written, the file is scored as `skdistill.scorer.load_scorer` scores it, and
    compared with the student on several thousand synthetic rows: on, beside and between all
    thresholds and bin edges, missing, and of every level.

    The same student gives the same bytes. They are in the layout of safetensors, with a SHA-256
    over all of them; it finds damage, and says nothing about who wrote the file.

    Examples
    --------
    A student saved and loaded predicts the same to the last bit:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skdistill import TreeStudentClassifier, load, save
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> student = TreeStudentClassifier(max_leaf_nodes=4).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(student, Path(folder) / "student.skd")
    ...     loaded = load(Path(folder) / "student.skd")
    >>> bool((loaded.predict_proba(X) == student.predict_proba(X)).all())
    True
    """
    path = check_writable(path)
    student = deployed_student(model)
    if type(student) not in STUDENTS:
        raise TypeError(
            f"The student is a {type(student).__name__}, a subclass of one of skdistill's. A file "
            "without code cannot hold what it changes: use joblib.dump."
        )
    content = student_content(student)
    if lost := lost_params(student):
        warn_caller(
            f"The parameters {lost} are neither numbers nor text, so they are not saved: the "
            "loaded student has their defaults. They matter for training only."
        )
    payload = pack(content)
    in_the_file = lean_model(unpack(payload))
    certified_scorer(student, in_the_file, "numpy", "student file", "Nothing was written.")
    write_atomically(path, payload)


def load(path):
    """Load a student that `save` wrote; from trusted and untrusted sources.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    student : estimator
        Of the class that was saved, with its parameters and fitted attributes.

    Raises
    ------
    OSError
        If the file cannot be read.
    StudentFileError
        A ValueError: if it is no student file, is damaged, holds no possible student, or was
        written by a newer skdistill.

    See Also
    --------
    save : Writes such files.

    Notes
    -----
    Nothing in the file is executed, nothing larger than the file is allocated for its arrays, and
    all that predictions rely on is checked: types, shapes and ranges, that a tree is a tree, that
    layers fit each other.

    Examples
    --------
    A file of another kind is refused before anything in it is used:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from skdistill import load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "student.skd")
    ...     _ = path.write_bytes(b"...")
    ...     load(path)
    Traceback (most recent call last):
        ...
    skdistill.exceptions.StudentFileError: ... it is not a student file; ...
    """
    return student_from(read_student_file(path))


def student_from(content):
    """Make the fitted estimator of a content; see `load`."""
    header, arrays = content.header, content.arrays
    kind = next(kind for kind in STUDENTS if kind.__name__ == header["student"])
    known = kind().get_params(deep=False)
    unknown = sorted(set(header["params"]) - set(known))
    if unknown:
        raise StudentFileError(f"{kind.__name__} has no parameters {unknown[:5]}.")
    params = {name: _as_tuples(value) for name, value in header["params"].items()}
    student = kind(**params)
    arrays = {name: array.copy() for name, array in arrays.items()}
    student.n_features_in_ = len(header["columns"])
    if header["has_names"]:
        names = [column["name"] for column in header["columns"]]
        student.feature_names_in_ = np.array(names, dtype=object)
    if header["classes"] is not None:
        student.classes_ = np.array(header["classes"], dtype=header["classes_dtype"])
    for name, value in header["attributes"].items():
        setattr(student, name, value)
    tables = [header["tables"]] if "tables" in header else []
    student.restore(header["columns"], arrays, *tables)
    return student


def _as_tuples(value):
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
