"""Certificates: how far an exported file and its student differ.

A file is compared with its student first: beyond the tolerance nothing is written. The certificate
beside it says how it was compared, and holds the student, so that `verify` can compare again.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from numbers import Real
from pathlib import Path

import numpy as np

from skdistill.exceptions import ParityError
from skdistill.parameters import Interval
from skdistill.scorer.files import check_writable, write_atomically
from skdistill.scorer.model import fingerprint

#: Largest difference in probability, or in shares of the spread of a regressor's predictions.
TOLERANCE = 1e-5

#: The spread is at least this many units in the last place of the largest prediction: what rounding
#: it costs is no difference, also where predictions hardly differ.
LEAST_SPREAD = 4e5

#: What a tolerance may be, as scikit-learn has it.
TOLERANCES = [Interval(Real, 0.0, None, closed="left")]


@dataclass(frozen=True)
class Certificate:
    """How an exported file was compared with its student, and the largest difference.

    Attributes
    ----------
    format : str
        "onnx", "c" or "sql".
    runtime : str
        What ran the file, with its version.
    n_rows : int
        Number of rows compared.
    max_difference : float
        Largest difference between file and student: of a probability, or of a prediction in shares
        of `spread`.
    tolerance : float
        The largest that was allowed.
    model_sha256 : str
        Hash of the student as served: columns, classes and arrays.
    sample_sha256 : str
        Hash of the rows compared.
    file_sha256 : str or None
        Hash of the file; None inside the file itself.
    created : str
        When, in UTC, ISO 8601.
    notes : dict
        What else was measured, by name.
    spread : float
        What a regressor's differences are shares of: the standard deviation of the predictions, but
        of those computed in float32, which has seven digits, at least a twentieth of the largest.
        Of a network at least that of y in its fit, or the largest prediction if that is smaller. 1
        for probabilities.

    Examples
    --------
    A condition for deployment:

    >>> from sklearn.datasets import load_iris
    >>> from skdistill import TreeStudentClassifier, to_sql
    >>> X, y = load_iris(return_X_y=True)
    >>> certificate = to_sql(TreeStudentClassifier().fit(X, y), X=X).certificate
    >>> assert certificate.n_rows > 4000 and certificate.max_difference < 1e-9
    """

    format: str
    runtime: str
    n_rows: int
    max_difference: float
    tolerance: float
    model_sha256: str
    sample_sha256: str
    file_sha256: str | None = None
    created: str = ""
    notes: dict = field(default_factory=dict)
    spread: float = 1.0

    def to_dict(self):
        """Return the fields as a dict that JSON can hold."""
        return asdict(self)

    def __str__(self):
        return (
            f"{self.format}: {self.n_rows:,} rows in {self.runtime}, largest difference "
            f"{self.max_difference:.1e}, tolerance {self.tolerance:.1e}"
        )


@dataclass(frozen=True)
class Export:
    """An exported model: what `to_onnx`, `to_c` and `to_sql` return. Prints as its certificate.

    Attributes
    ----------
    content : bytes or str
        The ONNX model as bytes, the C source or the SQL as text.
    certificate : Certificate
        On how many rows it was compared with the student, and the largest difference.
    path : Path or None
        The file it was written to; None if no path was passed.

    Examples
    --------
    A tree as SQL to paste into a query:

    >>> from sklearn.datasets import load_iris
    >>> from skdistill import TreeStudentClassifier, to_sql
    >>> X, y = load_iris(return_X_y=True)
    >>> export = to_sql(TreeStudentClassifier(max_leaf_nodes=3).fit(X, y))
    >>> export.content.splitlines()[0]
    'CASE'
    >>> print(export)  # doctest: +ELLIPSIS
    sql: ... rows in DuckDB..., largest difference ..., tolerance 1.0e-05
    """

    content: bytes | str = field(repr=False)
    certificate: Certificate
    path: Path | None = None

    def __str__(self):
        return str(self.certificate)


def certify(
    format,
    runtime,
    sample,
    answers,
    *,
    model,
    names,
    tolerance,
    dtype=np.float64,
    notes=None,
    advice="Nothing was written.",
):
    """Compare the predictions of an exported file with the student's.

    Returns a `Certificate` without the hash of the file. If a difference exceeds the tolerance, or
    a prediction is not finite, a ParityError shows the worst row, with the `names` of the columns
    and `advice` at the end. `dtype` is that of the numbers in the file; `notes` is what else was
    measured.
    """
    expected = sample.answers
    if answers.shape != expected.shape:
        raise ParityError(
            f"The {format} returns an array of shape {answers.shape} in {runtime}; "
            f"{expected.shape} was expected. {advice}"
        )
    spread = spread_of(expected, model, dtype)
    differences = np.abs(answers - expected).max(axis=1) / spread
    differences[np.isnan(differences)] = np.inf
    worst = int(np.argmax(differences))
    if not differences[worst] <= tolerance:
        cells = [values[worst : worst + 1].tolist()[0] for values in sample.rows.values]
        raise ParityError(
            f"The {format} does not match the student ({runtime}): "
            f"{np.sum(differences > tolerance):,} of {len(expected):,} rows differ by more than "
            f"the tolerance {tolerance:g}, the worst by {differences[worst]:.3g}. The worst row: "
            f"{_in_words(names, cells)}; the student predicts "
            f"{expected[worst].tolist()}, the {format} {answers[worst].tolist()}. {advice}"
        )
    return Certificate(
        format=format,
        runtime=runtime,
        n_rows=len(expected),
        max_difference=float(differences[worst]),
        tolerance=float(tolerance),
        model_sha256=fingerprint(model),
        sample_sha256=sample.sha256,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=notes or {},
        spread=spread,
    )


def spread_of(answers, model, dtype):
    """Return what differences between predictions are divided by, positive; see `Certificate`."""
    if answers.shape[1] > 1:
        return 1.0
    largest, is_network = np.abs(answers).max(), bool(getattr(model, "layers", ()))
    least = LEAST_SPREAD * np.finfo(np.float32 if is_network else dtype).eps * largest
    if is_network:  # it rounds numbers as large as y, however little predictions differ
        least = max(least, min(model.scale, largest))
    return float(max(np.std(answers), least)) or 1.0


def _in_words(names, row):
    """Write a row by name, and of a wide one its first 20 cells."""
    shown = str(dict(zip(names[:20], row, strict=False)))
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more columns"


def certificate_path(path):
    """Return where the certificate of a file is kept: beside it."""
    path = Path(path)
    return path.with_name(path.name + ".certificate.json")


def write_certified(path, content, certificate, student_file=None):
    """Write a file and its certificate, each of which replaces an older one at once.

    Without a path nothing is written. `student_file` is the student as `save` writes it, None if it
    is not one of skdistill's. The certificate of the export that is returned has the hash of the
    file.
    """
    payload = content.encode() if isinstance(content, str) else content
    certificate = replace(certificate, file_sha256=sha256(payload).hexdigest())
    if path is not None:
        entries = certificate.to_dict()
        entries["student"] = None if student_file is None else b64encode(student_file).decode()
        path, beside = check_writable(path), check_writable(certificate_path(path))
        write_atomically(path, payload)
        write_atomically(beside, (json.dumps(entries, indent=1) + "\n").encode())
    return Export(content, certificate, path)


def read_certificate(path):
    """Read the certificate beside a file, and the student's file in it, or None.

    FileNotFoundError if there is no certificate, ValueError if the file is not one.
    """
    beside = certificate_path(path)
    try:
        entries = json.loads(beside.read_text(encoding="utf-8"))
        student = entries.pop("student")
        return Certificate(**entries), None if student is None else b64decode(student)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no certificate {str(beside)!r}. to_onnx, to_c and to_sql write it beside "
            "the file; keep both together."
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{str(beside)!r} is no certificate of an export: {error}") from error
