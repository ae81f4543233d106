"""A sum of curves, tables of pairs and the layers after them, in operators that all runtimes have.

Everything is float32 if the numbers are: the builds of onnxruntime-web for WebGPU know no doubles.
"""

from dataclasses import replace

import numpy as np

from skdistill.export.onnx.curves import sum_of_curves
from skdistill.export.onnx.pairs import sum_of_tables


def network_outputs(graph, model, inputs, cells):
    """Add a network to a graph; return its margins, or the prediction, in the numbers' type.

    With two classes there are two margins, the first of which is 0.
    """
    model = _with_both_margins(model)
    hidden_type = np.float32 if model.layers else cells.dtype  # as the students compute
    total = sum_of_curves(graph, model, inputs, cells, hidden_type)
    if model.tables:
        total = graph.add("Add", total, sum_of_tables(graph, model, inputs, cells))
    if model.is_soft_tree:
        total = _path_probabilities(graph, total, len(model.intercept))
    for weight, bias in model.layers:
        if not model.is_soft_tree:  # probabilities are not negative
            total = graph.add("Relu", total)
        total = graph.add("Gemm", total, graph.constant(weight), graph.constant(bias))
    total = total if hidden_type == cells.dtype else graph.cast(total, cells.dtype)
    if (model.scale, model.shift) == (1.0, 0.0):
        return total
    scaled = graph.add("Mul", total, graph.constant(cells.dtype(model.scale)))
    return graph.add("Add", scaled, graph.constant(cells.dtype(model.shift)))


def _path_probabilities(graph, log_odds, n_nodes):
    """Add the way through a soft tree: exp of minus a sum of softplus(-z) and softplus(z).

    All of the sum is of one sign, so that nothing cancels where nodes are sure.
    """
    goes_right, goes_left = (graph.constant(turns, "paths") for turns in _turns(n_nodes))
    right = graph.add("MatMul", graph.add("Softplus", graph.add("Neg", log_odds)), goes_right)
    left = graph.add("MatMul", graph.add("Softplus", log_odds), goes_left)
    return graph.add("Exp", graph.add("Neg", graph.add("Add", right, left)))


def _turns(n_nodes):
    """Mark by 1 at which nodes the path to a leaf turns right, and in a second array at which left.

    Both are float32 of shape (n_inner_nodes, n_leaves): nodes level by level, leaves from left to
    right.
    """
    turns = np.zeros((2, n_nodes, n_nodes + 1), dtype=np.float32)
    for leaf in range(n_nodes + 1):
        node = n_nodes + leaf
        while node:
            parent = (node - 1) // 2
            turns[0 if node == 2 * parent + 2 else 1, parent, leaf] = 1
            node = parent
    return turns


def _with_both_margins(model):
    """Put a margin of 0 before the log-odds of two classes."""
    if model.classes is None or len(model.classes) != 2:
        return model
    if not model.layers:
        curves = tuple(zero_first(curve) for curve in model.curves)
        tables = [replace(table, values=zero_first(table.values)) for table in model.tables]
        intercept = zero_first(model.intercept)
        return replace(model, curves=curves, tables=tuple(tables), intercept=intercept)
    last = tuple(zero_first(array) for array in model.layers[-1])
    return replace(model, layers=(*model.layers[:-1], last))


def zero_first(array):
    """Put a margin of 0 before the last one of an array."""
    return np.concatenate([np.zeros_like(array[..., :1]), array], axis=-1)
