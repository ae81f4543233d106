"""A tree in the operators of ai.onnx.ml: it finds the leaf, and tables hold the predictions."""

import numpy as np
from onnx.numpy_helper import from_array

from skdistill.export.onnx.graph import ML
from skdistill.export.onnx.signature import distinct_levels


def leaves_of(model):
    """Return the nodes that are leaves, in the order of the numbers `tree_leaf` gives them."""
    return np.flatnonzero(model.children_left < 0)


def tree_leaf(graph, model, inputs, cells):
    """Add a tree to a graph; return the number of the leaf, a float32 tensor of shape (N, 1)."""
    used = np.unique(model.feature[model.feature >= 0]).tolist()
    parts, position, width = [], {}, 0
    if cells.numbers is not None:
        # Students compare numbers rounded to float32, whatever they are given as.
        as_compared = cells.dtype == np.float32
        parts.append(cells.numbers if as_compared else graph.cast(cells.numbers, np.float32))
        position, width = dict(cells.position), len(cells.position)
    encoded = [j for j in used if model.columns[j].is_nominal]
    if not parts and not encoded:
        encoded = [0]  # a tree of one leaf needs to know the number of rows
    for number, j in enumerate(encoded):
        parts.append(_level_numbers(graph, model.columns[j], j, cells))
        position[j] = width + number
    return _tree(graph, model, graph.join(parts), position)


def _level_numbers(graph, column, j, cells):
    """Turn categories into the numbers of their levels, and missing and unknown into NaN."""
    if j in cells.strings:
        keys = {"keys_strings": list(column.levels) or [""]}
        numbers = range(len(column.levels)) if column.levels else [np.nan]
        values = {"values_floats": [float(k) for k in numbers], "default_float": np.nan}
        return graph.add("LabelEncoder", cells.strings[j], domain=ML, **keys, **values)
    at = graph.constant(np.array([cells.position[j]]))
    values = graph.add("Gather", cells.numbers, at, axis=1)
    levels = distinct_levels(column, cells.dtype)
    numbers = graph.add("LabelEncoder", values, domain=ML, **_numbered(levels))
    return numbers if cells.dtype == np.float32 else graph.cast(numbers, np.float32)


def _numbered(levels):
    """Return the attributes that turn levels into their numbers; doubles need newer ones."""
    numbers = np.arange(len(levels), dtype=levels.dtype)
    if levels.dtype == np.float32:
        values = {"values_floats": numbers.tolist(), "default_float": np.nan}
        return {"keys_floats": levels.tolist(), **values}
    return {
        "keys_tensor": from_array(levels),
        "values_tensor": from_array(numbers),
        "default_tensor": from_array(np.array([np.nan], dtype=levels.dtype)),
    }


def _tree(graph, model, matrix, position):
    """Add the nodes; the weight of a leaf is its number."""
    leaf = model.children_left < 0
    leaves = leaves_of(model)
    return graph.add(
        "TreeEnsembleRegressor",
        matrix,
        domain=ML,
        n_targets=1,
        nodes_treeids=[0] * len(leaf),
        nodes_nodeids=list(range(len(leaf))),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_featureids=[position.get(j, 0) for j in model.feature.tolist()],
        nodes_values=model.threshold32.tolist(),
        nodes_truenodeids=np.maximum(model.children_left, 0).tolist(),
        nodes_falsenodeids=np.maximum(model.children_right, 0).tolist(),
        nodes_missing_value_tracks_true=model.missing_left.astype(int).tolist(),
        target_treeids=[0] * len(leaves),
        target_nodeids=leaves.tolist(),
        target_ids=[0] * len(leaves),
        target_weights=np.arange(len(leaves), dtype=float).tolist(),
    )
