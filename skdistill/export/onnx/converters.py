"""skdistill's students and distillers as skl2onnx knows them."""

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

import skdistill
from skdistill.export.onnx.answers import add_answers
from skdistill.export.onnx.graph import GraphBuilder
from skdistill.export.onnx.signature import Cells, class_labels, input_columns
from skdistill.export.student_content import (
    check_labels_of_int64,
    deployed_student,
    student_content,
)
from skdistill.scorer.student_content import lean_model
from skdistill.students.kinds import STUDENTS


def register_converters():
    """Let ``skl2onnx.convert_sklearn`` convert the students and distillers of skdistill.

    `to_onnx` does so by itself. This is for pipelines that are converted by hand, with options of
    your own; then nothing has compared the result with the model.

    Examples
    --------
    A pipeline converted by skl2onnx itself:

    >>> from skl2onnx import to_onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdistill import TreeStudentClassifier
    >>> from skdistill.export.onnx.converters import register_converters
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), TreeStudentClassifier()).fit(X, y)
    >>> register_converters()
    >>> proto = to_onnx(model, X[:1].astype("float32"), options={"zipmap": False})
    >>> [output.name for output in proto.graph.output]
    ['label', 'probabilities']
    """
    distillers = skdistill.DistilledClassifier, skdistill.DistilledRegressor
    for kind in (*STUDENTS, *distillers):
        is_classifier = kind.__name__.endswith("Classifier")
        options = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
        update_registered_converter(
            kind,
            f"Skdistill{kind.__name__}",
            _declare_outputs,
            _convert,
            options=options if is_classifier else None,
        )


def _declare_outputs(operator):
    """Give the outputs of a student their types and shapes."""
    n_rows = operator.inputs[0].get_first_dimension()
    numbers = DoubleTensorType if _dtype(operator) == np.float64 else FloatTensorType
    classes = getattr(operator.raw_operator, "classes_", None)
    if classes is None:
        operator.outputs[0].type = numbers([n_rows, 1])
        return
    strings = class_labels(classes.tolist()).dtype == object
    operator.outputs[0].type = (StringTensorType if strings else Int64TensorType)([n_rows])
    operator.outputs[1].type = numbers([n_rows, len(classes)])


def _convert(scope, operator, container):
    """Add a student to a graph of skl2onnx."""
    content = student_content(deployed_student(operator.raw_operator))
    check_labels_of_int64(content)
    model = lean_model(content)
    graph = GraphBuilder(scope.get_unique_variable_name)
    inputs = input_columns(model.columns, ())
    cells = _cells(graph, operator, model, inputs)
    add_answers(graph, model, inputs, cells, [output.full_name for output in operator.outputs])
    for tensor in graph.constant_protos():
        if tensor.data_type == TensorProto.STRING:
            strings = list(tensor.string_data)
            container.add_initializer(tensor.name, TensorProto.STRING, tensor.dims, strings)
        else:
            container.add_initializer(tensor.name, None, None, tensor)
    for op, ins, output, domain, attributes in graph.nodes:
        container.add_node(
            op,
            ins,
            [output],
            op_domain=domain,
            op_version=_version(op, attributes),
            name=scope.get_unique_operator_name(op),
            **attributes,
        )


def _version(op, attributes):
    """Return the version of an operator of ai.onnx.ml; skl2onnx would take one it cannot write."""
    if op == "LabelEncoder":
        return 4 if "keys_tensor" in attributes else 2
    return 3 if op == "TreeEnsembleRegressor" else None


def _cells(graph, operator, model, inputs):
    """Find the columns of a student in the tensors that reach it."""
    dtype = _dtype(operator)
    numbers, position, strings = [], {}, {}
    j = 0
    for tensor in operator.inputs:
        is_string = isinstance(tensor.type, StringTensorType)
        width = tensor.type.shape[1] if len(tensor.type.shape) > 1 else 1
        for k in range(width):
            if is_string:
                at = graph.constant(np.array([k]))
                strings[j + k] = graph.add("Gather", tensor.full_name, at, axis=1)
            else:
                position[j + k] = len(position)
        if not is_string:
            numbers.append(graph.cast(tensor.full_name, dtype))
        j += width
    _check_kinds(model, inputs, position, strings)
    return Cells(graph.join(numbers) if numbers else None, position, strings, dtype)


def _check_kinds(model, inputs, position, strings):
    if len(position) + len(strings) != len(model.columns):
        raise ValueError(
            f"{len(position) + len(strings)} columns reach the student; it was fitted on "
            f"{len(model.columns)}."
        )
    for j, column in enumerate(inputs):
        if (j in strings) != (column.kind == "string"):
            found = "strings" if j in strings else "numbers"
            raise ValueError(
                f"Column {column.name!r} reaches the student as {found}; it was fitted on "
                f"{column.kind}s. Have the steps before it encode strings, or leave them out: "
                "students take raw columns."
            )


def _dtype(operator):
    """Return the type in which a student computes: that of the numbers that reach it."""
    double = any(isinstance(each.type, DoubleTensorType) for each in operator.inputs)
    return np.float64 if double else np.float32
