"""A pipeline that ends in a student: skl2onnx writes the steps, skdistill the student."""

import numpy as np
from onnx import helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline

from skdistill.columns import column_values, is_missing, table_names
from skdistill.estimators import last_step
from skdistill.export.onnx.answers import NO_LABEL, infinite_rows, instead_of
from skdistill.export.onnx.converters import register_converters
from skdistill.export.onnx.graph import IR_VERSION, ML, ML_OPSET, OPSET, GraphBuilder, value_infos
from skdistill.export.onnx.signature import (
    MATRIX,
    InputColumn,
    cells_of,
    declared_inputs,
    input_names,
    output_names,
)


def build_pipeline(pipeline, X, dtype):
    """Make the ONNX model of a fitted pipeline whose last step is a student, see `build_model`.

    X gives the names and types of the columns. TypeError if skl2onnx cannot convert a step,
    ValueError if a column holds strings and numbers.
    """
    names, (kinds, missing) = table_names(X), _kinds_of(X)
    proto = _converted(pipeline, names, kinds, dtype)
    proto.ir_version = IR_VERSION
    outputs = output_names(getattr(last_step(pipeline), "classes_", None))
    if "string" in kinds:
        inner = _names(proto) - {each.name for each in proto.graph.input}
        tensors = input_names(names, {*inner, *outputs})
    else:
        tensors = [MATRIX] * len(names)
    inputs = tuple(map(InputColumn, names, tensors, kinds, missing))
    _rewire(proto, inputs, outputs, dtype)
    return proto, inputs


def _kinds_of(X):
    """Return the kind of every column, and the string for missing."""
    cells = np.asarray(X, dtype=object)  # as the steps have seen them
    kinds, missing = [], []
    for j, name in enumerate(table_names(X)):
        values = column_values(X, j)
        absent = is_missing(values)
        strings = {isinstance(value, str) for value in values[~absent]}
        if len(strings) > 1:
            raise ValueError(
                f"Column {name!r} of X holds strings and numbers; an ONNX tensor is of one type. "
                "Convert it into strings and fit again."
            )
        is_string = strings == {True}
        kinds.append("string" if is_string else "number")
        # skl2onnx writes the category of missing values, None or NaN, as str() of it.
        marker = str(cells[absent, j][0]) if absent.any() else str(np.nan)
        missing.append(marker if is_string else None)
    return kinds, missing


def _converted(pipeline, names, kinds, dtype):
    """Have skl2onnx convert a pipeline.

    Its inputs are one per column, as a ColumnTransformer may pick them by name, or one matrix.
    """
    register_converters()
    numbers = FloatTensorType if dtype == np.float32 else DoubleTensorType
    types = {"number": numbers, "string": StringTensorType}
    columns = [
        (name or f"x{j}", types[kind]([None, 1]))
        for j, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    picks = any(isinstance(step, ColumnTransformer) for _, step in all_steps(pipeline))
    matrix = [(MATRIX, numbers([None, len(names)]))]
    try:
        return convert_sklearn(
            _without_passthrough(pipeline),
            name="pipeline",
            initial_types=columns if picks or "string" in kinds else matrix,
            options=_options(pipeline),
            target_opset={"": OPSET, ML: ML_OPSET},
        )
    except Exception as error:
        raise TypeError(_refusal(pipeline, error)) from error


def _without_passthrough(pipeline):
    """Leave out steps that change nothing, and thaw frozen ones: skl2onnx knows neither."""
    return Pipeline(
        [
            (name, step.estimator if isinstance(step, FrozenEstimator) else step)
            for name, step in pipeline.steps
            if step not in (None, "passthrough")
        ]
    )


def _options(pipeline):
    """Ask for a tensor of probabilities instead of a list of dicts."""
    last = last_step(pipeline)
    return {id(last): {"zipmap": False}} if hasattr(last, "classes_") else None


def _refusal(pipeline, error):
    """Say which step cannot be converted."""
    steps = dict(all_steps(pipeline))
    guilty = [name for name, step in steps.items() if type(step).__name__ in str(error)]
    which = f"step {guilty[-1]!r}" if guilty else f"one of the steps {list(steps)}"
    reason = str(error).strip().partition("\n")[0]
    return (
        f"skl2onnx cannot convert {which} of the pipeline ({type(error).__name__}: {reason}). "
        "Register a converter with skl2onnx.update_registered_converter, replace the step, or "
        "leave it out: students take raw columns with strings and missing values as they are."
    )


def all_steps(estimator, prefix=""):
    """Yield the name and the estimator of every step, also of those inside of others."""
    if isinstance(estimator, Pipeline):
        parts = estimator.steps
    elif isinstance(estimator, ColumnTransformer):
        parts = [(name, part) for name, part, _ in estimator.transformers_]
    elif isinstance(estimator, FeatureUnion):
        parts = estimator.transformer_list
    else:
        parts = []
    for name, part in parts:
        if part is not None and not isinstance(part, str):
            yield f"{prefix}{name}", part
            yield from all_steps(part, f"{prefix}{name}__")


def _rewire(proto, inputs, outputs, dtype):
    """Give inputs and outputs their names, and rows with infinite numbers the prediction NaN."""
    graph, declared = proto.graph, declared_inputs(inputs, dtype)
    builder = GraphBuilder(taken={*_names(proto), *outputs, *(name for name, _, _ in declared)})
    before = [each.name for each in graph.input]
    answers = [builder.unique_name(name) for name in outputs]
    renamed = dict(zip([each.name for each in graph.output], answers, strict=True))
    split = []
    if len(declared) < len(before):
        split = [
            helper.make_node("Split", [MATRIX], before, name=builder.unique_name("Split"), axis=1)
        ]
    else:
        renamed |= dict(zip(before, [name for name, _, _ in declared], strict=True))
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    for end, name in zip(graph.output, outputs, strict=True):
        end.name = name
    _guard(builder, cells_of(builder, inputs, dtype), graph.output, answers)
    nodes = [*split, *graph.node, *builder.node_protos()]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(value_infos(declared))
    graph.initializer.extend(builder.constant_protos())


def _guard(builder, cells, ends, answers):
    infinite = infinite_rows(builder, cells)
    for end, answer in zip(ends, answers, strict=True):
        kind = end.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        instead = {"f": np.nan, "i": NO_LABEL}.get(dtype.kind, "")
        rows = infinite
        if infinite is not None and len(kind.shape.dim) == 1:
            rows = builder.add("Reshape", infinite, builder.constant(np.array([-1])))
        instead_of(builder, rows, np.array(instead, dtype=dtype), answer, output=end.name)


def _names(proto):
    """Return the names of tensors and nodes."""
    names = {each.name for each in proto.graph.initializer}
    for node in proto.graph.node:
        names |= {node.name, *node.input, *node.output}
    return names
