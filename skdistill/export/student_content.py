"""The plain content of a fitted student: all that an export may use."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdistill.exceptions import StudentFileError
from skdistill.models import student_and_teacher
from skdistill.scorer.content_checks import check_content, is_plain
from skdistill.scorer.kinds import KINDS
from skdistill.scorer.model import size_in_bytes
from skdistill.scorer.student_content import StudentContent
from skdistill.students.column_selector import selection_of
from skdistill.students.kinds import STUDENTS

#: Arrays of more bytes are not exported.
MAX_BYTES = 2**31 - 1


def deployed_student(model):
    """Return the fitted student of a model, a student, distiller or search, that is deployed.

    A choice of columns before the student is skipped: it takes those that were kept. NotFittedError
    if the model is not fitted, TypeError if the student is not one of `STUDENTS`, or comes after
    transformers.
    """
    student = selection_of(student_and_teacher(model)[0].estimator)[1]
    if isinstance(student, STUDENTS):
        return student
    supported = ", ".join(kind.__name__ for kind in STUDENTS)
    if isinstance(student, Pipeline):
        steps = " -> ".join(type(step).__name__ for _, step in student.steps)
        raise TypeError(
            f"The model is a pipeline: {steps}. One of these students was expected, without steps "
            f"before it: {supported}; they take raw columns with strings and missing values as "
            "they are. A pipeline as a whole is exported by to_onnx, or leave its steps out."
        )
    raise TypeError(
        f"The student is a {type(student).__name__}; one of these was expected: {supported}. "
        "Distil into one of them."
    )


def as_deployed_sees(model, X):
    """Return a table, if any, without the columns that the deployed student does not get."""
    selector, _ = selection_of(student_and_teacher(model)[0].estimator)
    if selector is None or X is None:
        return X
    X = X if hasattr(X, "shape") else np.asarray(X)
    return X if X.shape[1] == len(selector.columns) else selector.transform(X)


def student_content(student):
    """Read the content off a fitted student: the arrays are its own, not copies.

    Parameters that JSON cannot hold, such as callbacks, are left out: they matter for training
    only. NotFittedError if it is not fitted, ValueError if a level or a class label is neither text
    nor a finite number, or a weight is not finite.
    """
    check_is_fitted(student)
    kind = next(kind for kind in STUDENTS if isinstance(student, kind))
    classes = getattr(student, "classes_", None)
    columns, arrays = student.file_content()
    header = {
        "student": kind.__name__,
        "params": plain_params(student, kind),
        "has_names": hasattr(student, "feature_names_in_"),
        "columns": _plain(columns),
        "classes": None if classes is None else _plain(classes),
        "classes_dtype": None if classes is None else classes.dtype.newbyteorder("<").str,
        "attributes": {
            name: _plain(getattr(student, name)) for name in KINDS[kind.__name__].attributes
        },
    }
    if tables := student.file_tables():
        header["tables"] = _plain(tables)
    content = StudentContent(header, arrays)
    try:
        check_content(content)
    except StudentFileError as error:
        raise ValueError(
            f"The student cannot be saved or exported: {error}. Fit it on columns and classes of "
            "strings or finite numbers."
        ) from None
    return content


def check_labels_of_int64(content):
    """Raise if a class is larger than the integers of ONNX and of databases."""
    for label in content.header["classes"] or []:
        if type(label) is int and label > np.iinfo(np.int64).max:
            raise ValueError(
                f"The class {label} is larger than the integers of ONNX and SQL, 64 bits with a "
                "sign. Give the classes other names, and fit again."
            )


def check_size(model):
    """Raise if a model is too large for a file: ONNX holds 2 GB, compilers take no more of C."""
    size = size_in_bytes(model)
    if size > MAX_BYTES:
        raise ValueError(
            f"The student takes {size / 1e9:.1f} GB; a file may hold 2 GB. Distil into a smaller "
            "one."
        )


def plain_params(student, kind):
    """Return the parameters of a student that JSON can hold; tuples as lists.

    Without those that older versions of the file do not know where they have their default.
    """
    defaults, later = kind().get_params(deep=False), KINDS[kind.__name__].later_params
    params = {name: _plain(getattr(student, name)) for name in defaults}
    return {
        name: value
        for name, value in params.items()
        if is_plain(value) and not (name in later and value == defaults[name])
    }


def lost_params(student):
    """List the parameters of a student that JSON cannot hold."""
    params = student.get_params(deep=False)
    return sorted(name for name, value in params.items() if not is_plain(_plain(value)))


def _plain(value):
    """Turn NumPy's numbers into Python's, and tuples and arrays into lists, also inside."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()  # whose objects may be NumPy's
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
