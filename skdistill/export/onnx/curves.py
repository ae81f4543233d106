"""Curves of columns, and their sum.

A number becomes one code per bin, ``clip((x - left) / width, 0, 1)``, and the curves of all columns
one matrix of their slopes: on short rows a matrix product is faster than a search for the bin, and
it is exact at every edge, however narrow the bins are.

Bins left of the middle count from their right ends, downwards: codes are 0 in the middle of all
columns, so the sum stays small however many columns there are. OpenVINO rounds what follows the
first operation on the input to bfloat16 where the processor can: so that is the subtraction of a
centre of each column, after which few digits are enough.
"""

from dataclasses import dataclass

import numpy as np

from skdistill.export.onnx.graph import ML
from skdistill.export.onnx.signature import distinct_levels

#: A column is centred if rounding that costs its curve no more.
MOST_CHANGE = 1e-6


def sum_of_curves(graph, model, inputs, cells, hidden_type):
    """Add what the columns contribute: the first layer of an MLP, curves of an additive student."""
    base = model.intercept.astype(np.float64)
    for j in cells.position:
        curve = model.curves[j]
        base = base + (curve[-1] if model.columns[j].is_nominal else curve[_middle(curve)])
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
    """Return what a missing number adds to the middle of its curve, or to an unknown level."""
    weights = []
    for j in cells.position:
        curve = model.curves[j].astype(np.float64)
        weights.append(
            curve[-2] - curve[-1]
            if model.columns[j].is_nominal
            else curve[-1] - curve[_middle(curve)]
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
    x = graph.add("Sub", cells.numbers, graph.constant(bins.centre, "centre"))
    x = graph.add("Where", absent, graph.constant(bins.middle), x)
    if np.array_equal(bins.column, np.arange(len(bins.centre))):
        x = graph.add("Reshape", x, graph.constant(np.array([0, len(bins.centre), 1])))
    else:
        x = graph.add("Gather", x, graph.constant(bins.column[:, None]), axis=1)
    above = graph.add("Sub", x, graph.constant(bins.start))
    share = graph.add("Mul", above, graph.constant(bins.inverse_width))
    ends = [graph.constant(cells.dtype(end)) for end in (0, 1)]
    codes = graph.add("Clip", share, *ends)
    return graph.add("Reshape", codes, graph.constant(np.array([0, len(bins.slope)]))), bins.slope


@dataclass(frozen=True)
class _Bins:
    """The bins of all columns of numbers, in rows of one length that are padded with nothing.

    Attributes
    ----------
    centre, middle : ndarray of shape (n_numbers,)
        What is subtracted from the numbers, and the middle edge after that.
    column : ndarray of shape (n_rows,)
        Position among the numbers that a row is filled from.
    start, inverse_width : ndarray of shape (n_rows, length)
        Of every bin: where it counts from, and how quickly; negative left of the middle.
    slope : ndarray of shape (n_rows * length, width)
        What the curve changes over every bin, away from the middle.
    """

    centre: np.ndarray
    middle: np.ndarray
    column: np.ndarray
    start: np.ndarray
    inverse_width: np.ndarray
    slope: np.ndarray


def _bins(model, cells):
    numeric = [j for j in cells.position if model.edges[j] is not None]
    n_bins = np.array([len(model.edges[j]) - 1 for j in numeric], dtype=int)
    length = _row_length(n_bins)
    n_rows = -(-n_bins // length)
    column = np.repeat([cells.position[j] for j in numeric], n_rows).astype(np.int64)
    start, inverse_width = np.zeros((2, len(column) * length), dtype=cells.dtype)
    centre, middle = np.zeros((2, len(cells.position)), dtype=cells.dtype)
    slope = np.zeros((len(column) * length, len(model.intercept)))
    firsts = np.cumsum(n_rows * length) - n_rows * length
    for j, first, n in zip(numeric, firsts, n_bins, strict=True):
        at, position, curve = slice(first, first + n), cells.position[j], model.curves[j]
        rises = np.diff(curve[:-1].astype(np.float64), axis=0)
        edges = _rounded(model.edges[j], cells.dtype)
        centre[position] = _centre(edges, rises)
        edges = edges - centre[position]
        middle[position] = edges[_middle(curve)]
        is_left = np.arange(n) < _middle(curve)
        start[at] = np.where(is_left, edges[1:], edges[:-1])
        inverse_width[at] = np.where(is_left, -1, 1) * _inverse_width(edges)
        slope[at] = np.where(is_left, -1, 1)[:, None] * rises
    shape = len(column), length
    return _Bins(centre, middle, column, start.reshape(shape), inverse_width.reshape(shape), slope)


def _middle(curve):
    """Return the number of the edge in the middle of a curve, whose last point is for missing."""
    return (len(curve) - 1) // 2


def _centre(edges, rises):
    """Choose the edge from which few digits of the distance change the curve least.

    It is 0 where even all digits of the type would change the curve: of numbers that are smaller
    than their distance, the subtraction rounds some away.
    """
    if len(edges) == 1:
        return edges[0]
    with np.errstate(over="ignore", invalid="ignore"):
        exact = edges.astype(np.float64)
        steepness = np.abs(rises).max(axis=1) * _inverse_width(edges)
        distance = np.abs(exact[:, None] - exact)
        rounded = np.where(distance > np.abs(exact), distance, 0.0)
        worst, lost = (
            (np.maximum(each[:, :-1], each[:, 1:]) * steepness).max(axis=1)
            for each in (distance, rounded)
        )
    best = np.argmin(worst)
    loses_little = np.finfo(edges.dtype).eps * lost[best] < MOST_CHANGE
    stay_apart = len(np.unique(edges - edges[best])) == len(np.unique(edges))
    return edges[best] if loses_little and stay_apart else edges.dtype.type(0)


def _row_length(n_bins):
    """Choose the length of the rows: to fill another row costs about as much as four codes."""
    longest = max(n_bins.max(initial=1), 1)
    lengths = [2**k for k in range(int(longest).bit_length()) if 2**k < longest] + [longest]
    return min(lengths, key=lambda length: np.sum(-(-n_bins // length)) * (4 + length))


def _rounded(edges, dtype):
    """Round bin edges as the numbers are, so that a number on an edge stays there."""
    largest = np.finfo(dtype).max
    return np.clip(edges, -largest, largest).astype(dtype)


def _inverse_width(edges):
    """Return 1 / width, as large as can be where rounding leaves no width: a step after it."""
    with np.errstate(over="ignore", divide="ignore"):
        inverse = 1.0 / np.diff(edges.astype(np.float64))
    return np.minimum(inverse, np.finfo(edges.dtype).max)
