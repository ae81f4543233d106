"""The outputs of an ONNX model: classes and probabilities, or predictions."""

import numpy as np

from skdistill.export.onnx.network import network_outputs
from skdistill.export.onnx.signature import class_labels
from skdistill.export.onnx.tree import leaves_of, sum_outputs, tree_leaf
from skdistill.scorer.model import LeanTree

#: The label of a row with an infinite number, if classes are numbers; strings have "".
NO_LABEL = np.iinfo(np.int64).min


def add_answers(graph, model, inputs, cells, outputs):
    """Add a student to a graph, down to `outputs`: label and probabilities, or the prediction.

    For a row with an infinite number these are NaN, and a label that no class has.
    """
    infinite = infinite_rows(graph, cells)
    if model.intercept is None:  # one tree
        leaf = tree_leaf(graph, model, inputs, cells)
        _answers_of_leaf(graph, model, cells.dtype, infinite, leaf, outputs)
        return
    outputs_of = sum_outputs if isinstance(model, LeanTree) else network_outputs
    values, nan = outputs_of(graph, model, inputs, cells), cells.dtype(np.nan)
    if model.classes is None:
        instead_of(graph, infinite, nan, values, outputs[0])
        return
    proba = graph.add("Softmax", values, axis=-1)
    instead_of(graph, infinite, nan, proba, outputs[1])
    most_probable = graph.add("ArgMax", values, axis=1, keepdims=1)
    row = instead_of(graph, infinite, np.int64(len(model.classes)), most_probable)
    graph.add(
        "Gather",
        _label_table(graph, class_labels(model.classes)),
        _flat(graph, row),
        output=outputs[0],
    )


def infinite_rows(graph, cells):
    """Mark the rows with an infinite number: a tensor of shape (N, 1), None without numbers."""
    if cells.numbers is None:
        return None
    infinite = graph.cast(graph.add("IsInf", cells.numbers), np.float32)
    ones = graph.constant(np.ones((len(cells.position), 1), dtype=np.float32))
    return graph.cast(graph.add("MatMul", infinite, ones), bool)


def instead_of(graph, infinite, value, tensor, output=None):
    """Put a value in the place of what a tensor says about rows with an infinite number."""
    if infinite is not None:
        return graph.add("Where", infinite, graph.constant(value), tensor, output=output)
    return tensor if output is None else graph.add("Identity", tensor, output=output)


def _answers_of_leaf(graph, model, dtype, infinite, leaf, outputs):
    """Look up the predictions of a leaf; those on infinite numbers stand after the last leaf's."""
    leaves = leaves_of(model)
    leaf = instead_of(graph, infinite, np.float32(len(leaves)), leaf)
    row = _flat(graph, graph.cast(leaf, np.int64))
    values = model.value[leaves]
    table = np.vstack([values, np.full(values.shape[1], np.nan)]).astype(dtype)
    graph.add("Gather", graph.constant(table), row, output=outputs[-1])
    if model.classes is not None:
        labels = class_labels(model.classes)[np.argmax(values, axis=1)]
        graph.add("Gather", _label_table(graph, labels), row, output=outputs[0])


def _label_table(graph, labels):
    """Return labels with one after the last for rows without a prediction."""
    none = "" if labels.dtype == object else NO_LABEL
    return graph.constant(np.append(labels, np.array([none], dtype=labels.dtype)))


def _flat(graph, tensor):
    return graph.add("Reshape", tensor, graph.constant(np.array([-1])))
