"""Curves as SQL: one CASE per column."""

import numpy as np
from sqlglot import exp

from skdistill.export.sql.syntax import (
    case,
    cell,
    is_among,
    is_infinite,
    is_missing,
    number,
    sum_of,
)


def terms_of_curves(network, weights, shift=0.0):
    """Write intercept and curves of the weighted sum of the outputs, as terms of a sum."""
    terms = [number(float(network.intercept @ weights) + shift)]
    for column, edges, curve in zip(network.columns, network.edges, network.curves, strict=True):
        points = curve.astype(np.float64) @ weights
        if column.is_nominal:
            terms.append(curve_of_levels(column, points))
        else:
            terms.append(_curve_of_numbers(column, edges, points))
    return terms


def _curve_of_numbers(column, edges, points):
    *at_edges, missing = points
    branches = [(is_missing(column), number(missing)), (is_infinite(column), exp.null())]
    starts = [None, *range(len(edges) - 1)]
    for start, edge in zip(starts, edges, strict=True):
        condition = exp.LTE(this=cell(column), expression=number(edge))
        branches.append((condition, _straight_line(column, edges, at_edges, start)))
    return case(branches, number(at_edges[-1]))


def _straight_line(column, edges, points, start):
    """Write the line between edge `start` and the next; before all edges it is flat."""
    if start is None:
        return number(points[0])
    stop = start + 1
    slope = (points[stop] - points[start]) / (edges[stop] - edges[start])
    if slope == 0:
        return number(points[start])
    # Measured from the edge further from 0: what is tiny next to an edge at 0 would underflow.
    near = start if abs(edges[start]) > abs(edges[stop]) else stop
    distance = exp.paren(exp.Sub(this=cell(column), expression=number(edges[near])))
    return sum_of([number(points[near]), exp.Mul(this=number(slope), expression=distance)])


def curve_of_levels(column, points, write=number):
    """Write one number per category, then those for missing and for unknown ones, as a CASE."""
    *at_levels, missing, unknown = points
    levels_at = {}
    for level, point in zip(column.levels, at_levels, strict=True):
        levels_at.setdefault(point, []).append(level)
    branches = [(is_missing(column), write(missing))] if missing != unknown else []
    for point, levels in levels_at.items():
        if point != unknown:
            branches.append((is_among(column, levels), write(point)))
    return case(branches, write(unknown))
