"""A sum of curves and the layers after it, in operators that every runtime has.

A number becomes one code per bin, ``clip((x - left) / width, 0, 1)``, and the curves of all columns
one matrix of their slopes: on short rows a matrix product is faster than a search for the bin, and
it is exact at every edge, however narrow the bins are.

The codes are computed as doubles, and those of an additive student are summed up as doubles, so
that the error does not grow with the columns. A runtime that has other ideas, as OpenVINO with
bfloat16, rounds what follows the first operation on the input: so that is the subtraction of a
centre of each column, after which few digits are enough.
"""

from dataclasses import dataclass, replace

import numpy as np

from skdistill.export.onnx.graph import ML
from skdistill.export.onnx.signature import distinct_levels


def network_outputs(graph, model, inputs, cells):
    """Add a network to a graph.

    Parameters
    ----------
    graph : GraphBuilder
        The graph.
    model : LeanNetwork
        The student.
    inputs : tuple of InputColumn
        How its columns are fed.
    cells : Cells
        The columns in the graph.

    Returns
    -------
    outputs : str
        Tensor of shape (N, n_outputs), of the type of the numbers. With two classes there are two
        outputs, the first of which is 0.
    """
    model = _with_both_margins(model)
    hidden_type = np.float32 if model.layers else np.float64  # as the students compute
    total = _sum_of_curves(graph, model, inputs, cells, hidden_type)
    if model.is_soft_tree:
        total = _path_probabilities(graph, total, len(model.intercept))
    for weight, bias in model.layers:
        if not model.is_soft_tree:  # probabilities are not negative
            total = graph.add("Relu", total)
        total = graph.add("Gemm", total, graph.constant(weight), graph.constant(bias))
    return total if hidden_type == cells.dtype else graph.cast(total, cells.dtype)


def _path_probabilities(graph, log_odds, n_nodes):
    """Add the way through a soft tree, in logarithms: a sum of -softplus(-z) or -softplus(z)."""
    goes_right, is_on_path = _paths(n_nodes)
    minus = graph.add("Neg", log_odds)
    either = graph.add("Softplus", minus)  # softplus(z) is softplus(-z) + z
    either = graph.add("MatMul", either, graph.constant(is_on_path, "paths"))
    left = graph.add("MatMul", minus, graph.constant(is_on_path - goes_right, "paths"))
    return graph.add("Exp", graph.add("Sub", left, either))


def _paths(n_nodes):
    """Tell at which nodes a path to a leaf turns right, and which it passes, as 0 and 1.

    Returns
    -------
    goes_right, is_on_path : ndarray of shape (n_inner_nodes, n_leaves), float32
        Nodes level by level, leaves from left to right.
    """
    goes_right, is_on_path = np.zeros((2, n_nodes, n_nodes + 1), dtype=np.float32)
    for leaf in range(n_nodes + 1):
        node = n_nodes + leaf
        while node:
            parent = (node - 1) // 2
            goes_right[parent, leaf] = node == 2 * parent + 2
            is_on_path[parent, leaf] = 1
            node = parent
    return goes_right, is_on_path


def _with_both_margins(model):
    """Put a margin of 0 before the log-odds of two classes."""
    if model.classes is None or len(model.classes) != 2:
        return model
    if not model.layers:
        curves = tuple(_zero_first(curve) for curve in model.curves)
        return replace(model, curves=curves, intercept=_zero_first(model.intercept))
    last = tuple(_zero_first(array) for array in model.layers[-1])
    return replace(model, layers=(*model.layers[:-1], last))


def _zero_first(array):
    return np.concatenate([np.zeros_like(array[..., :1]), array], axis=-1)


def _sum_of_curves(graph, model, inputs, cells, hidden_type):
    """Add what the columns contribute: the first layer of an MLP, all of an additive student."""
    base = model.intercept.astype(np.float64)
    for j in cells.position:
        curve = model.curves[j]
        base = base + (curve[-1] if model.columns[j].is_nominal else curve[0])
    total = graph.constant(base.astype(hidden_type), "intercept")
    if cells.strings:
        total = graph.add("Add", _look_up(graph, model, inputs, cells, hidden_type), total)
    if cells.numbers is None:
        return total
    absent = graph.add("IsNaN", cells.numbers)
    blocks = [
        (absent, _weights_of_missing(model, cells)),
        _codes_of_levels(graph, model, cells),
        _codes_of_bins(graph, model, cells, absent),
    ]
    codes, weights = zip(*filter(None, blocks), strict=True)
    codes = graph.join([graph.cast(each, hidden_type) for each in codes])
    weights = graph.constant(np.concatenate(weights).astype(hidden_type), "weights")
    return graph.add("Gemm", codes, weights, total)


def _look_up(graph, model, inputs, cells, hidden_type):
    """Look up the strings in one table of all their levels."""
    tables, rows, start = [], [], 0
    for j, tensor in cells.strings.items():
        levels, curve = model.columns[j].levels, model.curves[j]
        rows.append(
            graph.add(
                "LabelEncoder",
                tensor,
                domain=ML,
                keys_strings=[*levels, inputs[j].missing],
                values_int64s=list(range(start, start + len(levels) + 1)),
                default_int64=start + len(levels) + 1,
            )
        )
        tables.append(curve)
        start += len(curve)
    table = graph.constant(np.concatenate(tables).astype(hidden_type), "table")
    found = graph.add("Gather", table, graph.join(rows))
    return graph.add("ReduceSum", found, graph.constant(np.array([1])), keepdims=0)


def _weights_of_missing(model, cells):
    """Return what a missing number adds to the start of its curve, or to an unknown level."""
    weights = []
    for j in cells.position:
        curve = model.curves[j].astype(np.float64)
        weights.append(
            curve[-2] - curve[-1] if model.columns[j].is_nominal else curve[-1] - curve[0]
        )
    return np.stack(weights)


def _codes_of_levels(graph, model, cells):
    """Return one code per level of the columns whose categories are numbers, and the weights."""
    nominal = [j for j in cells.position if model.columns[j].is_nominal]
    levels = [distinct_levels(model.columns[j], cells.dtype) for j in nominal]
    if not nominal or not sum(map(len, levels)):
        return None
    columns = np.repeat([cells.position[j] for j in nominal], [len(each) for each in levels])
    values = graph.add("Gather", cells.numbers, graph.constant(columns), axis=1)
    codes = graph.add("Equal", values, graph.constant(np.concatenate(levels)))
    curves = [model.curves[j].astype(np.float64) for j in nominal]
    return codes, np.concatenate([curve[:-2] - curve[-1] for curve in curves])


def _codes_of_bins(graph, model, cells, absent):
    """Return one code per bin of the columns of numbers, and the slopes of the curves."""
    bins = _bins(model, cells)
    if not len(bins.column):
        return None
    x = cells.numbers if cells.dtype == np.float64 else graph.cast(cells.numbers, np.float64)
    x = graph.add("Sub", x, graph.constant(bins.centre, "centre"))
    x = graph.add("Where", absent, graph.constant(bins.first), x)
    if np.array_equal(bins.column, np.arange(len(bins.centre))):
        x = graph.add("Reshape", x, graph.constant(np.array([0, len(bins.centre), 1])))
    else:
        x = graph.add("Gather", x, graph.constant(bins.column[:, None]), axis=1)
    above = graph.add("Sub", x, graph.constant(bins.left))
    share = graph.add("Mul", above, graph.constant(bins.inverse_width))
    ends = [graph.constant(np.float64(end)) for end in (0, 1)]
    codes = graph.add("Clip", share, *ends)
    return graph.add("Reshape", codes, graph.constant(np.array([0, len(bins.slope)]))), bins.slope


@dataclass(frozen=True)
class _Bins:
    """The bins of all columns of numbers, in rows of one length that are padded with nothing.

    Attributes
    ----------
    centre, first : ndarray of shape (n_numbers,)
        What is subtracted from the numbers, and the first edge after that.
    column : ndarray of shape (n_rows,)
        Position among the numbers that a row is filled from.
    left, inverse_width : ndarray of shape (n_rows, length)
        Of every bin.
    slope : ndarray of shape (n_rows * length, width)
        What the curve rises over every bin.
    """

    centre: np.ndarray
    first: np.ndarray
    column: np.ndarray
    left: np.ndarray
    inverse_width: np.ndarray
    slope: np.ndarray


def _bins(model, cells):
    numeric = [j for j in cells.position if model.edges[j] is not None]
    n_bins = np.array([len(model.edges[j]) - 1 for j in numeric], dtype=int)
    length = _row_length(n_bins)
    n_rows = -(-n_bins // length)
    column = np.repeat([cells.position[j] for j in numeric], n_rows).astype(np.int64)
    left, inverse_width = np.zeros((2, len(column) * length))
    centre, first = np.zeros((2, len(cells.position)))
    slope = np.zeros((len(column) * length, model.curves[0].shape[1]))
    starts = np.cumsum(n_rows * length) - n_rows * length
    for j, start, n in zip(numeric, starts, n_bins, strict=True):
        at = slice(start, start + n)
        edges = _rounded(model.edges[j], cells.dtype)
        slope[at] = np.diff(model.curves[j][:-1].astype(np.float64), axis=0)
        middle = _centre(edges, slope[at])
        centre[cells.position[j]], first[cells.position[j]] = middle, edges[0] - middle
        left[at], inverse_width[at] = edges[:-1] - middle, _inverse_width(edges)
    shape = len(column), length
    return _Bins(centre, first, column, left.reshape(shape), inverse_width.reshape(shape), slope)


def _centre(edges, rises):
    """Choose the edge from which few digits of the distance change the curve least."""
    if len(edges) == 1:
        return edges[0]
    with np.errstate(over="ignore", invalid="ignore"):
        steepness = np.abs(rises).max(axis=1) * _inverse_width(edges)
        distance = np.abs(edges[:, None] - edges)
        largest = np.maximum(distance[:, :-1], distance[:, 1:])
        return edges[np.argmin(np.nan_to_num(largest * steepness).max(axis=1))]


def _row_length(n_bins):
    """Choose the length of the rows: to fill another row costs about as much as four codes."""
    longest = max(n_bins.max(initial=1), 1)
    lengths = [2**k for k in range(int(longest).bit_length()) if 2**k < longest] + [longest]
    return min(lengths, key=lambda length: np.sum(-(-n_bins // length)) * (4 + length))


def _rounded(edges, dtype):
    """Round bin edges as the numbers are, so that a number on an edge stays there."""
    largest = np.finfo(dtype).max
    return np.clip(edges, -largest, largest).astype(dtype).astype(np.float64)


def _inverse_width(edges):
    """Return 1 / width, as large as can be where rounding leaves no width: a step after it."""
    with np.errstate(over="ignore", divide="ignore"):
        return np.minimum(1.0 / np.diff(edges), np.finfo(np.float32).max)
