"""Whether an exported file is still the same model, here and on these rows."""

import os
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from skdistill.columns import table_names
from skdistill.estimators import last_step
from skdistill.export.certificate import Export, certify, read_certificate
from skdistill.export.parity_sample import parity_sample
from skdistill.export.student_content import deployed_student, student_content
from skdistill.export.student_file import student_from
from skdistill.messages import shown
from skdistill.models import student_and_teacher
from skdistill.scorer.model import fingerprint
from skdistill.scorer.student_content import lean_model
from skdistill.scorer.student_file import unpack

#: What runs an exported file, by its format.
RUNTIMES = {"onnx": "onnxruntime", "sql": "sqlglot duckdb", "c": "cffi"}

#: What certificates call numbers with seven digits.
_SINGLE = {"float": np.float32, "float32": np.float32}

_HOW_TO_VERIFY = "Pass the path that to_onnx, to_c or to_sql wrote to: verify('student.onnx')."


def verify(path, X=None, *, model=None):
    """Compare an exported file with its student again.

    Parameters
    ----------
    path : str or path-like
        A file that `to_onnx`, `to_c` or `to_sql` wrote, with its certificate beside it.
    X : array-like or data frame of shape (n_samples, n_features), default=None
        Rows to compare on as well, such as last week's; 20,000 of them at most. A Pipeline is
        compared on them alone, so it needs them.
    model : estimator, default=None
        The model that was exported. None for the student in the certificate, which a Pipeline has
        none of.

    Returns
    -------
    certificate : Certificate
        The new comparison. The certificate beside the file is kept.

    Raises
    ------
    TypeError
        If `path` is no path, such as an `Export`.
    FileNotFoundError
        If the file or its certificate is missing.
    IsADirectoryError
        If `path` is a folder.
    ValueError
        If the file was changed since it was exported, `model` is another one, or the certificate is
        none.
    ParityError
        If the file does not match the student, within the tolerance of the certificate.
    ImportError
        If what runs the file is missing.

    See Also
    --------
    load : Checks a file that `save` wrote by itself.

    Notes
    -----
    A certificate says that file and student agree, not who made them. An ONNX or SQL file is run
    without access to anything but the rows; a C file is compiled and run, so verify only those that
    you would run.

    Examples
    --------
    Compare a file again on new rows, with the runtime installed now:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skdistill import LinearStudentClassifier, to_sql, verify
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> student = LinearStudentClassifier().fit(X[:400], y[:400])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = to_sql(student, Path(folder, "student.sql"))
    ...     certificate = verify(Path(folder, "student.sql"), X[400:])
    >>> certificate.max_difference < certificate.tolerance
    True
    """
    payload = _read_export(path)
    certificate, student_file = read_certificate(path)
    file_sha256 = sha256(payload).hexdigest()
    if file_sha256 != certificate.file_sha256:
        raise ValueError(
            f"{str(path)!r} was changed since it was exported on {certificate.created}: it does "
            "not match the hash in its certificate. Export the model again."
        )
    comparison = _comparison_of(path, certificate, student_file, model, X)
    answers, runtime = _run(certificate, payload, comparison.model, comparison.sample.rows)
    again = certify(
        certificate.format,
        runtime,
        comparison.sample,
        answers,
        model=comparison.model,
        names=comparison.names,
        tolerance=certificate.tolerance,
        dtype=_SINGLE.get(certificate.notes.get("dtype"), np.float64),
        notes=certificate.notes,
        advice=f"It did on {certificate.created}, in {certificate.runtime}.",
    )
    return replace(again, file_sha256=file_sha256)


def _read_export(path):
    """Return the content of an exported file; raise if there is none."""
    if isinstance(path, Export):
        raise TypeError(
            f"path is an Export; the path of its file was expected. {_HOW_TO_VERIFY} An Export "
            "was compared with its student when it was made."
        )
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path is {shown(path)}; a str or path-like was expected. {_HOW_TO_VERIFY}")
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{str(path)!r} is a folder; the path of an exported file was expected. "
            f"{_HOW_TO_VERIFY}"
        )
    if not path.exists():
        raise FileNotFoundError(
            f"There is no file {str(path)!r}; the path of an exported file was expected. "
            f"{_HOW_TO_VERIFY}"
        )
    return path.read_bytes()


@dataclass(frozen=True)
class _Comparison:
    """What a file is compared with.

    Attributes
    ----------
    model : LeanTree or LeanNetwork
        The student.
    sample : Sample
        Rows, and what the student, or the pipeline around it, predicts.
    names : list of str
        Of their columns.
    """

    model: Any
    sample: Any
    names: list


def _comparison_of(path, certificate, student_file, model, X):
    if model is None:
        if student_file is None:
            raise ValueError(
                f"The certificate of {str(path)!r} holds no student, since a pipeline was "
                "exported. Pass it, and rows: verify(path, X, model=pipeline)."
            )
        model = student_from(unpack(student_file, "The student in the certificate"))
    deployed = student_and_teacher(model)[0]
    student = deployed_student(last_step(deployed.estimator))
    lean = lean_model(student_content(student))
    if fingerprint(lean) != certificate.model_sha256:
        raise ValueError(
            f"{str(path)!r} was exported from another model than the one to compare with. Pass the "
            "one that was exported, or leave it out."
        )
    if student_file is None:
        return _pipeline_comparison(path, deployed, lean, X)
    make_sample = parity_sample
    if certificate.format == "onnx":
        make_sample = import_module("skdistill.export.onnx.onnx_sample").onnx_sample
    return _Comparison(
        lean, make_sample(student, lean, X), [column.name for column in lean.columns]
    )


def _pipeline_comparison(path, deployed, lean, X):
    if X is None:
        raise ValueError(
            f"{str(path)!r} is an exported pipeline, so X is needed: rows on which the file is "
            "compared with it. Pass verify(path, X, model=pipeline)."
        )
    X = X if hasattr(X, "shape") else np.asarray(X)
    sample = import_module("skdistill.export.onnx.onnx_sample").table_sample(deployed, X)
    return _Comparison(lean, sample, table_names(X))


def _run(certificate, payload, lean, rows):
    """Run a file by its format; return its predictions, and what ran it."""
    notes = certificate.notes
    try:
        if certificate.format == "onnx":
            from skdistill.export.onnx.run import run_onnx, runtime_name

            return run_onnx(payload, rows), runtime_name()
        if certificate.format == "sql":
            from skdistill.export.sql.run import run_sql, runtime

            return run_sql(payload.decode(), lean, rows, **notes), runtime(notes["dialect"])
        if certificate.format == "c":
            from skdistill.export.c import run_c
            from skdistill.scorer.compiled import compiler_version

            return run_c(payload.decode(), lean, rows, notes["name"]), compiler_version()
    except ImportError as error:
        raise ImportError(
            f"What runs {certificate.format} files is not installed ({error}). Install it with: "
            f"pip install {RUNTIMES[certificate.format]}"
        ) from error
    raise ValueError(
        f"The certificate is of the format {certificate.format!r}; onnx, c or sql was expected. "
        "Upgrade skdistill, if a newer one wrote it."
    )
