"""Tables of pairs as SQL: places on their axes, and arrays of what is added there.

A place is the knot before a row, or the row of its category, and the share of the way to the next
knot. One CASE each finds them; a cell of the table is then an element of an array, without a
search. As a CASE of CASEs a table would take databases ten times as long to plan and to run.
"""

from dataclasses import dataclass

import numpy as np
from sqlglot import exp

from skdistill.export.sql.curves import curve_of_levels
from skdistill.export.sql.syntax import (
    as_double,
    case,
    cell,
    integer,
    is_missing,
    number,
    product_of,
    sum_of,
)
from skdistill.scorer.model import Column


@dataclass(frozen=True)
class Axis:
    """One side of a table.

    Attributes
    ----------
    column : Column
        The raw column.
    edges : ndarray of shape (n_edges,) or None
        Of a column of numbers.
    rows : tuple of int, or None
        Of a column of categories, for every point of its curve the number of the row of the table:
        points at which the table is the same share one.
    """

    column: Column
    edges: np.ndarray | None
    rows: tuple | None

    @property
    def key(self):
        """What axes share that are the same."""
        return self.column.name, None if self.edges is None else self.edges.tobytes(), self.rows


def axes_of_tables(model):
    """Return the axes of all tables of a model, each once."""
    axes = [axis for each in model.tables for axis in _on_axes(model, each)[0]]
    return list({axis.key: axis for axis in axes}.values())


def place(axis):
    """Write where a row lies on an axis: the knot before it and, on numbers, the share after it."""
    if axis.edges is None:
        return (curve_of_levels(axis.column, axis.rows, integer),)
    edges, zero, last = axis.edges, number(0), len(axis.edges) - 1
    knots = list(zip(edges[1:], map(integer, range(last)), strict=True))
    shares = [_share_of_bin(axis, k) for k in range(last)]
    shares = list(zip(edges, [zero, *shares], strict=True))
    return (
        _case_of_bins(axis.column, integer(last + 1), knots, integer(last)),
        _case_of_bins(axis.column, zero, shares, zero),
    )


def _case_of_bins(column, missing, up_to, after):
    """Write what is found for missing numbers, for those up to each edge, and for those after."""
    branches = [(is_missing(column), missing)]
    for edge, found in up_to:
        branches.append((exp.LTE(this=cell(column), expression=number(edge)), found))
    return case(branches, after)


def _share_of_bin(axis, k):
    """Write the share of the bin after edge k that is below a number."""
    edges = axis.edges
    # Measured from the edge further from 0: what is tiny next to an edge at 0 would underflow.
    near = k if abs(edges[k]) > abs(edges[k + 1]) else k + 1
    distance = exp.paren(exp.Sub(this=cell(axis.column), expression=number(edges[near])))
    part = exp.Div(this=distance, expression=number(edges[k + 1] - edges[k]))
    return part if near == k else sum_of([number(1), part])


def terms_of_tables(model, weights, place_on):
    """Write what the tables add to the weighted sum of the outputs, as terms of a sum.

    `place_on` writes what `place` does, or its name.
    """
    terms = []
    for each in model.tables:
        axes, values = _on_axes(model, each)
        terms += _terms(axes, values @ weights, place_on)
    return terms


def _on_axes(model, table):
    """Return the axes of a table, and its values, whose rows differ where they are categories."""
    axes, values = [], table.values.astype(np.float64)
    for side, (j, edges) in enumerate(zip(table.columns, table.edges, strict=True)):
        rows = None
        if edges is None:
            points = np.moveaxis(values, side, 0).reshape(values.shape[side], -1)
            _, first, rows = np.unique(points, axis=0, return_index=True, return_inverse=True)
            values, rows = values.take(first, axis=side), tuple(rows.ravel().tolist())
        axes.append(Axis(model.columns[j], edges, rows))
    return axes, values


def _terms(axes, values, place_on):
    """Write a table: what it adds at the knot before a row, and how it changes from there."""
    next_a, next_b = map(_next_knots, axes, values.shape)
    down, right = values[next_a] - values, values[:, next_b] - values
    parts = [(values, ()), (down, (0,)), (right, (1,)), (right[next_a] - right, (0, 1))]
    return [
        product_of([_element(part, axes, place_on), *(place_on(axes[side])[1] for side in sides)])
        for part, sides in parts
        if part.any()
    ]


def _next_knots(axis, n_points):
    """Return the knot after every one; after the last, after missing and after categories none."""
    at = np.arange(n_points)
    return at if axis.edges is None else np.where(at < n_points - 2, at + 1, at)


def _element(values, axes, place_on):
    """Write the cell of a table as an element of an array of all its rows."""
    row, column = (place_on(axis)[0] for axis in axes)
    position = sum_of([exp.Mul(this=row, expression=integer(values.shape[1])), column])
    # As an INT, as only then does sqlglot count from 1 where the dialect does.
    index = exp.Cast(this=position, to=exp.DataType(this=exp.DataType.Type.INT))
    array = exp.Array(expressions=[number(value) for value in values.ravel()])
    # Snowflake's arrays hold anything, so the cast is needed there.
    return as_double(exp.Bracket(this=array, expressions=[index], offset=0))
