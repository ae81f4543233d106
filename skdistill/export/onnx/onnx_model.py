"""A model on its way into an ONNX file."""

from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skdistill.estimators import last_step
from skdistill.export.onnx.onnx_sample import onnx_sample, table_sample
from skdistill.export.student_content import (
    as_deployed_sees,
    check_labels_of_int64,
    check_size,
    deployed_student,
    student_content,
)
from skdistill.models import student_and_teacher
from skdistill.scorer.model import LeanTree
from skdistill.scorer.student_content import lean_model
from skdistill.scorer.student_file import pack
from skdistill.students.column_selector import selection_of


@dataclass(frozen=True)
class OnnxModel:
    """A model on its way into a file.

    Attributes
    ----------
    student : estimator
        The student, without the steps before it.
    model : LeanTree or LeanNetwork
        The same as plain arrays.
    sample : Sample
        Rows to compare, and what the student, or the pipeline, predicts.
    proto : ModelProto
        The ONNX model.
    inputs : tuple of InputColumn
        How it is fed.
    dtype : type
        Of the numbers: numpy.float32 or numpy.float64.
    student_file : bytes or None
        The student as `save` writes it; None if there are steps before it.
    """

    student: Any
    model: Any
    sample: Any
    proto: Any
    inputs: tuple
    dtype: type
    student_file: bytes | None

    @property
    def is_pipeline(self):
        """Whether there are steps before the student."""
        return self.student_file is None

    def payload(self, **entries):
        """Return the content of the file, with more entries in its metadata."""
        name = type(self.student).__name__
        _part("build").describe(self.proto, self.inputs, name, self.model.classes, **entries)
        return self.proto.SerializeToString()

    def quantized(self):
        """Return the model with int8 weights; see `skdistill.export.onnx.quantize`."""
        if isinstance(self.model, LeanTree) or not self.model.layers:
            raise TypeError(
                f"quantize=True is for MLP students; a {type(self.student).__name__} has no large "
                "matrices to store as int8. Leave it out."
            )
        return replace(self, proto=_part("quantize").quantized(self.proto))


def onnx_model_of(model, X, dtype):
    """Build the ONNX model of a student or a pipeline, and the rows to compare it on."""
    deployed = student_and_teacher(model)[0]
    estimator = _without_idle_steps(selection_of(deployed.estimator)[1])
    student = deployed_student(last_step(estimator))
    content = student_content(student)
    check_labels_of_int64(content)
    lean = lean_model(content)
    check_size(lean)
    if estimator is student:
        proto, inputs = _part("build").build_model(lean, dtype)
        sample = onnx_sample(student, lean, as_deployed_sees(model, X))
        return OnnxModel(student, lean, sample, proto, inputs, dtype, pack(content))
    if X is None:
        raise ValueError(
            "The model is a pipeline, so X is needed: rows that show the names and types of its "
            "columns, and on which the file is compared with it. Pass to_onnx(model, path, X)."
        )
    X = X if hasattr(X, "shape") else np.asarray(X)
    proto, inputs = _part("pipeline").build_pipeline(estimator, X, dtype)
    return OnnxModel(student, lean, table_sample(deployed, X), proto, inputs, dtype, None)


def _without_idle_steps(estimator):
    """Return the student itself where no step before it changes anything."""
    while isinstance(estimator, Pipeline | FrozenEstimator):
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif all(step in (None, "passthrough") for _, step in estimator.steps[:-1]):
            estimator = estimator.steps[-1][1]
        else:
            return estimator
    return estimator


def _part(name):
    """Import a module of this folder that needs onnx."""
    try:
        return import_module(f"skdistill.export.onnx.{name}")
    except ImportError as error:
        raise ImportError(
            f"to_onnx needs onnx, onnxruntime and, for a Pipeline, skl2onnx ({error}). Install "
            "them with: pip install onnx onnxruntime skl2onnx"
        ) from error
