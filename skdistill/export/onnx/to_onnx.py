"""A model as an ONNX file, compared with the model before it is written."""

import json

import numpy as np

from skdistill.export.certificate import (
    TOLERANCE,
    TOLERANCES,
    certify,
    spread_of,
    write_certified,
)
from skdistill.export.onnx.onnx_model import onnx_model_of
from skdistill.export.onnx.run import run_onnx, runtime_name
from skdistill.messages import shown
from skdistill.parameters import validate_params
from skdistill.scorer.files import check_writable

#: Largest difference of a file with int8 weights.
QUANTIZED_TOLERANCE = 0.1


@validate_params({"dtype": [str], "quantize": ["boolean"], "tolerance": [*TOLERANCES, None]})
def to_onnx(model, path=None, X=None, *, dtype="float32", quantize=False, tolerance=None):
    """Write a model as an ONNX file: raw columns in, classes and probabilities out.

    The file runs in onnxruntime, in a browser with onnxruntime-web and, if the student has no trees
    and all columns are numbers, in OpenVINO. It is run in onnxruntime and compared with the student
    before it is written, and says in its metadata what it takes, what it returns and how the
    comparison went.

    Parameters
    ----------
    model : estimator
        A fitted student of skdistill, a distiller or a search that holds one, or a Pipeline that
        ends in either. The steps of a Pipeline are converted by skl2onnx.
    path : str or path-like, default=None
        The file, usually with the ending ``.onnx``; an older one is replaced at once. The
        certificate goes beside it. None writes nothing.
    X : array-like or data frame of shape (n_samples, n_features), default=None
        Real rows to compare on as well, 20,000 of them at most. A Pipeline needs them: they are all
        it is compared on, and show the names and types of the columns.
    dtype : str, default="float32"
        Of the numbers that go in, "float32" or "float64". Seven digits of a number are enough for
        most columns, not for timestamps and long identifiers.
    quantize : bool, default=False
        Whether to store the large matrices of an MLP as int8: a third of the size, as fast, and
        less exact. What it costs is in the notes of the certificate.
    tolerance : float or None, default=None
        Largest difference from the student that is allowed: of a probability, or of a prediction
        in shares of the spread of the predictions, see `Certificate`. None for 1e-5, with
        `quantize` 0.1.

    Returns
    -------
    export : Export
        The ONNX model as ``content``, and the certificate of the comparison.

    Raises
    ------
    TypeError
        If the student is not one of skdistill's, skl2onnx cannot convert a step of the Pipeline,
        or `quantize` is passed with a student that is no MLP.
    ValueError
        If the categories of a column are of several types, a Pipeline comes without X, or the
        student is too large for an ONNX file, which holds 2 GB.
    ParityError
        If the file does not match the student; then nothing is written.
    ImportError
        If onnx, onnxruntime or, for a Pipeline, skl2onnx is missing.
    OSError
        If the path cannot be written to.

    See Also
    --------
    to_c : The same as one C file without dependencies.

    Notes
    -----
    If all columns hold numbers, the one input ``X`` has the shape (N, n_columns); else every column
    is an input of shape (N, 1) with its name. A name that is empty or taken gets an underscore, or
    ``x`` and its position: see ``columns`` in the metadata. Numbers, and categories that are
    numbers, go in as `dtype`, and NaN is missing; strings go in as strings, and the empty string is
    missing unless it is a category, in which case "missing" is. In a Pipeline "nan" or "None" is
    missing in strings, as skl2onnx has it. Categories never seen are treated as the student does.

    The outputs are named as skl2onnx names them: ``label`` of shape (N,), int64 or string, and
    ``probabilities`` of shape (N, n_classes), or ``variable`` of shape (N, 1) for a regressor. A
    row with an infinite number gets NaN, and the label "" or -2**63.

    OpenVINO computes in bfloat16 on some processors: compile with
    ``{"INFERENCE_PRECISION_HINT": "f32"}``, which is exact. Columns are centred first, so that
    without it probabilities are off by a percent point or two; but categories that are numbers
    beyond 256 are confused then. ``docs/runtimes.md`` tells what runs where. Score a few thousand
    rows at a time: the codes of a row, one per bin, are in memory for all rows at once.

    Examples
    --------
    A tree as an ONNX file, scored by onnxruntime:

    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from skdistill import TreeStudentClassifier, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> student = TreeStudentClassifier(max_leaf_nodes=4).fit(X, y)
    >>> export = to_onnx(student, X=X)
    >>> session = onnxruntime.InferenceSession(export.content)
    >>> label, proba = session.run(None, {"X": X[:2].astype(np.float32)})
    >>> label.tolist()
    [0, 0]
    >>> export.certificate.max_difference < 1e-6
    True
    """
    path = check_writable(path)
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype={shown(dtype)} was passed; 'float32' or 'float64' was expected.")
    if tolerance is None:
        tolerance = QUANTIZED_TOLERANCE if quantize else TOLERANCE
    onnx_model = onnx_model_of(model, X, np.dtype(dtype).type)
    bytes_before = len(onnx_model.payload())
    if quantize:
        onnx_model = onnx_model.quantized()
    payload = onnx_model.payload()
    answers = _run(onnx_model, payload)
    notes = {"dtype": dtype, "bytes": len(payload)}
    if quantize:
        notes["quantized"] = {"bytes_before": bytes_before} | _loss(onnx_model, answers)
    certificate = certify(
        "onnx",
        runtime_name(),
        onnx_model.sample,
        answers,
        model=onnx_model.model,
        names=[column.name for column in onnx_model.inputs],
        tolerance=tolerance,
        dtype=onnx_model.dtype,
        notes=notes,
        advice=f"Nothing was written. {_advice(onnx_model, quantize)}",
    )
    payload = onnx_model.payload(certificate=json.dumps(certificate.to_dict()))
    return write_certified(path, payload, certificate, onnx_model.student_file)


def _run(onnx_model, payload):
    """Score the rows to compare; a pipeline may use what onnxruntime has for float32 only."""
    try:
        return run_onnx(payload, onnx_model.sample.rows)
    except RuntimeError as error:
        if not onnx_model.is_pipeline:
            raise
        raise TypeError(
            f"{error} A step of the pipeline has no form there for dtype="
            f"'{np.dtype(onnx_model.dtype)}': pass the other one, or leave the step out."
        ) from error


def _loss(onnx_model, answers):
    """Measure what int8 costs."""
    expected = onnx_model.sample.answers
    difference = np.abs(answers - expected).max(axis=1)
    difference /= spread_of(expected, onnx_model.model, onnx_model.dtype)
    loss = {
        "max_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
    }
    if onnx_model.model.classes is not None:
        same = np.argmax(answers, axis=1) == np.argmax(expected, axis=1)
        loss["agreement"] = float(same.mean())
    return loss


def _advice(onnx_model, quantize):
    """Say what could help where a file does not match the student."""
    if quantize:
        return "int8 may be too coarse for this student: leave quantize out."
    advice = "Please report this."
    if onnx_model.is_pipeline:
        advice = "A step may work otherwise in ONNX: leave out those the student does not need."
    if onnx_model.dtype == np.float32:
        advice = (
            "float32 holds seven digits: if numbers of a column differ in later ones only, as "
            f"timestamps do, pass dtype='float64'. {advice}"
        )
    return advice
