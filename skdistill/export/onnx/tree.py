"""Trees in the operators of ai.onnx.ml: they find the leaves, and tables hold what these say.

So answers are of the type of the numbers: runtimes add up leaves in float32.
"""

import numpy as np
from onnx.numpy_helper import from_array

from skdistill.export.onnx.graph import ML
from skdistill.export.onnx.network import zero_first
from skdistill.export.onnx.signature import distinct_levels


def leaves_of(model):
    """Return the nodes that are leaves, in the order of the numbers `tree_leaf` gives them."""
    return np.flatnonzero(model.children_left < 0)


def sum_outputs(graph, model, inputs, cells):
    """Add a sum of trees to a graph; return its margins, or the prediction, in the numbers' type.

    With two classes there are two margins, the first of which is 0.
    """
    values, intercept = model.value[leaves_of(model)], model.intercept
    if model.classes is not None and len(model.classes) == 2:
        values, intercept = zero_first(values), zero_first(intercept)
    leaf = graph.cast(tree_leaf(graph, model, inputs, cells), np.int64)
    found = graph.add("Gather", graph.constant(values.astype(cells.dtype), "leaves"), leaf)
    total = graph.add("ReduceSum", found, graph.constant(np.array([1])), keepdims=0)
    return graph.add("Add", total, graph.constant(intercept.astype(cells.dtype), "intercept"))


def tree_leaf(graph, model, inputs, cells):
    """Add trees to a graph; return the numbers of the leaves, a float32 tensor (N, n_trees)."""
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
    """Add the nodes; every tree is a target of its own, to which leaves add their numbers."""
    leaf = model.children_left < 0
    leaves = leaves_of(model)
    tree = np.searchsorted(model.roots, np.arange(len(leaf)), side="right") - 1
    first = model.roots[tree]
    return graph.add(
        "TreeEnsembleRegressor",
        matrix,
        domain=ML,
        n_targets=len(model.roots),
        nodes_treeids=tree.tolist(),
        nodes_nodeids=(np.arange(len(leaf)) - first).tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_featureids=[position.get(j, 0) for j in model.feature.tolist()],
        nodes_values=model.threshold32.tolist(),
        nodes_truenodeids=np.maximum(model.children_left - first, 0).tolist(),
        nodes_falsenodeids=np.maximum(model.children_right - first, 0).tolist(),
        nodes_missing_value_tracks_true=model.missing_left.astype(int).tolist(),
        target_treeids=tree[leaves].tolist(),
        target_nodeids=(leaves - first[leaves]).tolist(),
        target_ids=tree[leaves].tolist(),
        target_weights=np.arange(len(leaves), dtype=float).tolist(),
    )
