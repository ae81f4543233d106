"""Tables of pairs: products of what each of the two columns says.

A table is a sum over the knots of its second column: the weight of the knot, of numbers more than 0
at the two knots beside a cell, times what the first column adds there. Both factors are curves of
one column, so the factors of all tables are one more sum of curves.
"""

from dataclasses import dataclass, replace

import numpy as np

from skdistill.export.onnx.curves import sum_of_curves
from skdistill.scorer.model import curve_positions


def sum_of_tables(graph, model, inputs, cells):
    """Add the tables to a graph; return what they add to the outputs, (N, n_outputs)."""
    factors, shape = _factors(model)
    in_tables = {j for table in model.tables for j in table.columns}
    strings = {j: tensor for j, tensor in cells.strings.items() if j in in_tables}
    # All numbers, as what comes first must be the subtraction of the centres.
    found = sum_of_curves(graph, factors, inputs, replace(cells, strings=strings), cells.dtype)
    found = graph.add("Reshape", found, graph.constant(np.array([0, *shape])))
    outputs, last = np.arange(shape[1] - 1), np.array([shape[1] - 1])
    added, weights = (
        graph.add("Gather", found, graph.constant(k), axis=2) for k in (outputs, last)
    )
    products = graph.add("Mul", added, weights)
    return graph.add("ReduceSum", products, graph.constant(np.array([1, 3])), keepdims=0)


def _factors(model):
    """Return a sum of curves whose outputs are the factors, and the shape that these have.

    It is (n_tables, n_outputs + 1, n_knots): at every knot of the second column what the first adds
    to every output, and last the weight of the knot.
    """
    tables = [(*map(_axis, [table] * 2, (0, 1)), table.values) for table in model.tables]
    shape = len(tables), len(model.intercept) + 1, max(second.n_knots for _, second, _ in tables)
    own, edges, curves = (list(each) for each in (model.columns, model.edges, model.curves))
    for j in range(len(own)):
        edges[j] = _edges_of_tables(model, j)
        curve = np.zeros((len(curves[j]) if edges[j] is None else len(edges[j]) + 1, *shape))
        for k, (first, second, values) in enumerate(tables):
            if first.column == j:
                at_knots = values[first.points][:, second.points].swapaxes(1, 2)
                added = np.tensordot(first.weights(edges[j]), at_knots, 1)
                curve[:, k, :-1, : second.n_knots] = added
            elif second.column == j:
                curve[:, k, -1, : second.n_knots] = second.weights(edges[j])
        curves[j] = curve.reshape(len(curve), -1)
        if edges[j] is None:
            own[j], curves[j] = _without_unknown(own[j], curves[j])
    intercept = np.zeros(np.prod(shape))
    network = replace(model, columns=tuple(own), edges=tuple(edges), curves=tuple(curves))
    return replace(network, intercept=intercept, tables=()), shape


@dataclass(frozen=True)
class _Axis:
    """One side of a table.

    Attributes
    ----------
    column : int
        Position of the column.
    edges : ndarray or None
        Of a column of numbers.
    knots : ndarray of shape (n_points,)
        For every point of the table the number of its knot: categories at which the table is the
        same share one.
    """

    column: int
    edges: np.ndarray | None
    knots: np.ndarray

    @property
    def n_knots(self):
        return self.knots.max() + 1

    @property
    def points(self):
        """One point per knot."""
        return np.unique(self.knots, return_index=True)[1]

    def weights(self, edges):
        """Return the weights of the knots at the points of a curve that bends at these edges."""
        if edges is None:
            return np.eye(self.n_knots)[self.knots]
        weights = np.zeros((len(edges) + 1, self.n_knots))
        distances = curve_positions(self.edges, edges)[:, None] - self.knots[:-1]
        weights[:-1, :-1] = np.maximum(1 - np.abs(distances), 0)
        weights[-1, -1] = 1  # missing
        return weights


def _axis(table, side):
    knots = np.arange(table.values.shape[side])
    if table.edges[side] is None:
        points = np.moveaxis(table.values, side, 0).reshape(len(knots), -1)
        knots = np.unique(points, axis=0, return_inverse=True)[1].ravel()
    return _Axis(table.columns[side], table.edges[side], knots)


def _edges_of_tables(model, j):
    """Return all edges of a column that a table has, one if there is none; None of categories."""
    if model.edges[j] is None:
        return None
    edges = [table.edges[table.columns.index(j)] for table in model.tables if j in table.columns]
    return np.unique(np.concatenate(edges)) if edges else np.zeros(1)


def _without_unknown(column, curve):
    """Leave out categories that are as unknown ones."""
    differs = np.any(curve[:-2] != curve[-1], axis=1)
    levels = tuple(level for level, keep in zip(column.levels, differs, strict=True) if keep)
    return replace(column, levels=levels), np.vstack([curve[:-2][differs], curve[-2:]])
