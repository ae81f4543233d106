"""A whole ONNX model from a student, and what every model says about itself."""

import json

from onnx import helper

import skdistill
from skdistill.export.onnx.answers import add_answers
from skdistill.export.onnx.graph import IR_VERSION, ML, ML_OPSET, OPSET, GraphBuilder, value_infos
from skdistill.export.onnx.signature import (
    cells_of,
    declared_inputs,
    declared_outputs,
    input_columns,
    output_names,
)


def build_model(model, dtype):
    """Make the ONNX model of a student, without metadata, and the inputs of its columns.

    ValueError if the levels of a column are not of one type, or the type cannot distinguish them.
    """
    outputs = output_names(model.classes)
    inputs = input_columns(model.columns, outputs)
    declared = declared_inputs(inputs, dtype)
    graph = GraphBuilder(taken=[*outputs, *(name for name, _, _ in declared)])
    add_answers(graph, model, inputs, cells_of(graph, inputs, dtype), outputs)
    proto = helper.make_model(
        helper.make_graph(
            graph.node_protos(),
            "student",
            value_infos(declared),
            value_infos(declared_outputs(model.classes, dtype)),
            graph.constant_protos(),
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)],
        ir_version=IR_VERSION,
    )
    return proto, inputs


def describe(proto, inputs, student, classes, **more):
    """Write into the metadata of a model what it is; `classes` are None for a regressor."""
    proto.producer_name, proto.producer_version = "skdistill", skdistill.__version__
    entries = {
        "skdistill_version": skdistill.__version__,
        "student": student,
        "columns": json.dumps([column.to_dict() for column in inputs]),
        "classes": json.dumps(classes if classes is None else list(classes)),
    }
    helper.set_model_props(proto, entries | more)
