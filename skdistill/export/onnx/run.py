"""An ONNX model on rows, in onnxruntime."""

import json

import numpy as np

from skdistill.columns import PlainColumns, plain_rows
from skdistill.exceptions import ParityError
from skdistill.export.onnx.signature import InputColumn, class_labels, feeds, output_names

#: Rows that are scored at a time: their codes stay in the processor's cache.
BLOCK_ROWS = 512


def run_onnx(payload, rows):
    """Score raw rows with an exported model, on one thread, as float64 (n_samples, n_answers).

    ImportError without onnxruntime, RuntimeError if it cannot run the model, ValueError if
    skdistill did not write the model or the rows have other columns, ParityError if a label is not
    that of the largest probability of its row.
    """
    session = open_session(payload)
    inputs, classes = _described(session)
    is_double = any(each.type == "tensor(double)" for each in session.get_inputs())
    tensors = feeds(inputs, _plain(rows), np.float64 if is_double else np.float32)
    blocks = [
        session.run(
            output_names(classes),
            {name: cells[start : start + BLOCK_ROWS] for name, cells in tensors.items()},
        )
        for start in range(0, max(len(rows), 1), BLOCK_ROWS)
    ]
    *labels, answers = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    if labels:
        _check_labels(labels[0], classes, answers)
    return answers.astype(np.float64)


def _check_labels(labels, classes, proba):
    """Raise if labels and probabilities contradict each other."""
    known = class_labels(classes)
    of_label = np.where(labels[:, None] == known, proba, -np.inf).max(axis=1)
    wrong = of_label < proba.max(axis=1) - np.finfo(np.float32).eps  # False where they are NaN
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ParityError(
            f"The onnx gives row {row} the label {labels.tolist()[row]!r}; its probabilities are "
            f"{proba[row].tolist()} for the classes {known.tolist()}."
        )


def runtime_name():
    """Return what runs the models, with its version."""
    return f"onnxruntime {_onnxruntime().__version__}"


def _plain(rows):
    """Read a table once."""
    if isinstance(rows, PlainColumns):
        return rows
    return plain_rows(rows if hasattr(rows, "shape") else np.asarray(rows))


def open_session(payload):
    """Load a model into onnxruntime, for one thread; RuntimeError if it cannot run it."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes, which derive from Exception
        reason = str(error).partition("\n")[0]
        raise RuntimeError(f"{runtime_name()} cannot run the ONNX model: {reason}.") from error


def _described(session):
    """Read how a model is fed, and its classes, from the metadata."""
    metadata = session.get_modelmeta().custom_metadata_map
    if not {"columns", "classes"} <= metadata.keys():
        raise ValueError(
            "The ONNX model does not say which columns it takes; one written by to_onnx was "
            "expected."
        )
    inputs = tuple(InputColumn(**entry) for entry in json.loads(metadata["columns"]))
    return inputs, json.loads(metadata["classes"])


def _onnxruntime():
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"Running an ONNX model needs onnxruntime, which is not installed ({error}). Install "
            "it with: pip install onnxruntime"
        ) from error
    return onnxruntime
