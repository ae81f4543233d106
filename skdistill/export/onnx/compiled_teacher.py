"""A teacher in onnxruntime: what a student must beat on latency."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from skdistill.estimators import by_label, last_step
from skdistill.export.certificate import TOLERANCE
from skdistill.teacher.asking import ask
from skdistill.teacher.vendors import vendor_of

#: Teachers with a larger pickle are not converted: skl2onnx would take minutes and gigabytes.
MOST_KB = 30_000


@dataclass(frozen=True)
class CompiledTeacher:
    """A converted teacher.

    Attributes
    ----------
    ask : callable
        Takes one of the rows and returns its probabilities.
    rows : list
        Rows as `ask` takes them.
    n_bytes : int
        Size of the ONNX model.
    """

    ask: Callable
    rows: list
    n_bytes: int


def compile_teacher(teacher, X, size_kb):
    """Convert a teacher, if that can be done and the result is the same model on the rows of X.

    Without a comparison it might not be: the conversion of trees that were fitted on missing
    values, for one, is silently wrong. Returns the `CompiledTeacher`, or None, and a note that says
    why not.
    """
    missing = [name for name in ("onnxruntime", "skl2onnx") if not find_spec(name)]
    if missing:
        return None, f"{' and '.join(missing)} is not installed."
    if size_kb is None or size_kb > MOST_KB:
        return None, f"its pickle takes more than {MOST_KB / 1000:g} MB, too much to convert."
    try:
        table = np.ascontiguousarray(np.asarray(X, dtype=np.float32))
    except (TypeError, ValueError):
        return None, "it takes strings or a sparse X; what takes a matrix of numbers is compiled."
    try:
        payload = _convert(teacher, table.shape[1])
        answers, run = _runner(payload, table)
    except Exception as error:  # converters raise errors of any class
        reason = str(error).strip().partition("\n")[0]
        return None, f"it cannot be converted ({type(error).__name__}: {reason})."
    asked = by_label(teacher, ask(teacher, "predict_proba", X), teacher.classes_)
    difference = np.abs(answers - asked).max()
    if not difference <= TOLERANCE:
        return None, (
            f"converted to ONNX it predicts differently, by up to {difference:.2g} on {len(table)} "
            "rows."
        )
    return CompiledTeacher(run, [row[None] for row in table[:500]], len(payload)), ""


def _convert(teacher, n_features):
    from skl2onnx import to_onnx, update_registered_converter
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    from skdistill.export.onnx.graph import ML_OPSET, OPSET

    last = last_step(teacher)
    package, operator = vendor_of(last).package, vendor_of(last).onnx_operator
    if operator:
        module = import_module(f"onnxmltools.convert.{package}.operator_converters.{operator}")
        update_registered_converter(
            type(last),
            f"{operator}{type(last).__name__}",
            calculate_linear_classifier_output_shapes,
            getattr(module, f"convert_{package}"),
            options={"zipmap": [True, False, "columns"], "nocl": [True, False]},
        )
    proto = to_onnx(
        teacher,
        initial_types=[("X", FloatTensorType([None, n_features]))],
        options={id(last): {"zipmap": False}},
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
    )
    return proto.SerializeToString()


def _runner(payload, table):
    from skdistill.export.onnx.run import open_session

    session = open_session(payload)
    proba = session.get_outputs()[1].name
    run = session.run
    return run([proba], {"X": table})[0], lambda row: run([proba], {"X": row})
