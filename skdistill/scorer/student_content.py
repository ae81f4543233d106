"""The content of a fitted student: arrays, and a header in JSON types.

    student  ->  StudentContent  ->  lean model
                      |
                 student file

`skdistill.export.student_content` reads it off a student; here it becomes a `LeanTree` or a
`LeanNetwork`. Nothing but NumPy is needed.
"""

from dataclasses import dataclass

import numpy as np

from skdistill.scorer.model import (
    Column,
    LeanNetwork,
    LeanTable,
    LeanTree,
    curve_positions,
    exact_threshold,
)


@dataclass(frozen=True)
class StudentContent:
    """A fitted student as plain data.

    Attributes
    ----------
    header : dict
        What JSON can hold:

        * ``student``: name of the class;
        * ``columns``: per column a dict with ``name`` and, for categories, ``levels`` (None stands
          for missing). Of an encoded column also ``fill_value`` (a number, or None where missing
          has a code of its own) or ``has_infrequent``;
        * ``classes``: the labels, None for a regressor;
        * ``params`` and ``attributes``: of the estimator; a regressor's MLP needs its
          ``y_scale_`` and ``y_mean_``;
        * ``tables``, only of additive students with tables of pairs: per table the positions of its
          ``columns``, and per column what ``axes`` has: ``fill_value`` (None where missing has a
          knot of its own), or ``levels`` and ``has_infrequent`` (the last row is that of all other
          categories); and its ``strength``.
    arrays : dict of str to ndarray
        Of a tree the fields of `PlainTree`, of a sum of trees those of all its trees one after the
        other, with their ``roots`` and the ``intercept``; else ``edges.J`` of the columns of
        numbers, and ``coef`` and ``intercept``, of a soft tree also ``leaf_outputs``, or ``coef.K``
        and ``intercept.K`` of every layer. Of each table ``table.K``, a row per pair of knots, and
        ``table.K.edges.0`` and ``table.K.edges.1`` of its columns of numbers.
    """

    header: dict
    arrays: dict


def lean_model(content):
    """Make the model that is served: the same function of the raw columns."""
    header, arrays = content.header, content.arrays
    classes = None if header["classes"] is None else tuple(header["classes"])
    if "children_left" in arrays:
        return _tree(header, arrays, classes)
    return _network(header, arrays, classes)


def _tree(header, arrays, classes):
    leaf = arrays["children_left"] < 0
    columns = tuple(
        Column(column["name"], None if column.get("levels") is None else tuple(column["levels"]))
        for column in header["columns"]
    )
    feature = np.where(leaf, -1, arrays["feature"])
    nominal = np.array([column.is_nominal for column in columns])[feature]
    threshold = np.where(
        nominal, np.floor(arrays["threshold"]), exact_threshold(arrays["threshold"])
    )
    # Infinite where only missing values go right: infinity is not a number in every language.
    threshold = np.minimum(threshold, np.finfo(np.float64).max)
    value, is_sum = arrays["value"], "roots" in arrays
    roots = arrays["roots"] if is_sum else np.zeros(1)
    return LeanTree(
        columns,
        classes,
        arrays["children_left"].astype(np.int32),
        arrays["children_right"].astype(np.int32),
        feature.astype(np.int32),
        np.where(leaf, 0.0, threshold),
        arrays["missing_go_to_left"].astype(bool) & ~leaf,
        value if is_sum or classes is None else _floored(value),
        roots.astype(np.int32),
        arrays["intercept"] if is_sum else None,
    )


def _floored(proba):
    """Raise probabilities of 0 to what students answer, and scale to sum 1."""
    proba = np.maximum(proba, 1e-12)  # SMALLEST_PROBABILITY of soft_labels, which needs SciPy
    return proba / proba.sum(axis=1, keepdims=True)


def _network(header, arrays, classes):
    is_mlp = "coef.0" in arrays
    weights = arrays["coef.0" if is_mlp else "coef"]
    dtype = weights.dtype
    columns, edges, curves = [], [], []
    start = 0
    for j, column in enumerate(header["columns"]):
        if column.get("levels") is None:
            column_edges = arrays[f"edges.{j}"]
            n_codes = len(column_edges) - 1 + (column["fill_value"] is None)
            codes = weights[start : start + n_codes]
            curve = _curve_of_numbers(column_edges, column["fill_value"], codes)
            levels = None
        else:
            column_edges = None
            n_codes = len(column["levels"]) + column["has_infrequent"]
            codes = weights[start : start + n_codes]
            levels, curve = _curve_of_levels(column["levels"], column["has_infrequent"], codes)
        start += n_codes
        columns.append(Column(column["name"], levels, column.get("has_infrequent", False)))
        edges.append(column_edges)
        curves.append(curve.astype(dtype))
    attributes = header["attributes"]
    return LeanNetwork(
        tuple(columns),
        classes,
        tuple(edges),
        tuple(curves),
        arrays["intercept.0" if is_mlp else "intercept"],
        _layers(arrays),
        is_soft_tree="leaf_outputs" in arrays,
        scale=float(attributes.get("y_scale_", 1.0)),
        shift=float(attributes.get("y_mean_", 0.0)),
        tables=tuple(
            _table(table, header["columns"], arrays, f"table.{k}")
            for k, table in enumerate(header.get("tables", ()))
        ),
    )


def _layers(arrays):
    """Return the layers after the sum of the curves."""
    if "leaf_outputs" in arrays:
        leaves = arrays["leaf_outputs"]
        return ((leaves, np.zeros_like(leaves[0])),)
    n_layers = sum(name.startswith("coef.") for name in arrays)
    return tuple((arrays[f"coef.{k}"], arrays[f"intercept.{k}"]) for k in range(1, n_layers))


def _curve_of_numbers(edges, fill_value, weights):
    """Turn the weights of piecewise-linear codes into the points of a curve: prefix sums."""
    n_bins, width = len(edges) - 1, weights.shape[1]
    points = np.zeros((n_bins + 2, width))
    np.cumsum(weights[:n_bins], axis=0, dtype=np.float64, out=points[1:-1])
    if fill_value is None:
        points[-1] = weights[n_bins]
    elif n_bins:
        points[-1] = _interpolated(edges, fill_value, points)
    return points


def _interpolated(edges, value, points):
    """Return what a curve, given by its points at its edges, is at a number."""
    if len(edges) == 1:
        return points[0]
    at = curve_positions(edges, np.array([value]))[0]
    knot = min(int(at), len(edges) - 2)
    return points[knot] + (at - knot) * (points[knot + 1] - points[knot])


def _curve_of_levels(levels, has_infrequent, weights):
    """Give every level a point, then missing, then unknown."""
    unknown = weights[-1] if has_infrequent else np.zeros(weights.shape[1])
    missing = weights[levels.index(None)] if None in levels else unknown
    known = [k for k, level in enumerate(levels) if level is not None]
    return tuple(levels[k] for k in known), np.vstack([weights[known], missing, unknown])


def _table(table, columns, arrays, name):
    """Turn values at pairs of knots into values at pairs of points, one axis after the other."""
    positions, axes = tuple(table["columns"]), table["axes"]
    edges = tuple(arrays.get(f"{name}.edges.{side}") for side in (0, 1))
    shape = [n_knots(axis, each) for axis, each in zip(axes, edges, strict=True)]
    values = arrays[name].reshape(*shape, -1)
    for axis, each, j in zip(axes, edges, positions, strict=True):
        values = _points_of_axis(axis, each, columns[j], values).swapaxes(0, 1)
    return LeanTable(positions, edges, np.ascontiguousarray(values))


def _points_of_axis(axis, edges, column, rows):
    """Turn the rows of a table at its knots into those at its points."""
    if edges is None:
        return _points_of_levels(axis, column["levels"], rows)
    if axis["fill_value"] is None:
        return rows
    return np.concatenate([rows, _interpolated(edges, axis["fill_value"], rows)[None]])


def _points_of_levels(axis, levels, rows):
    """Pick the rows of the levels of a column, then those of missing and unknown categories."""
    rows = np.concatenate([rows, np.zeros_like(rows[:1])])  # no row of its own: it adds nothing
    unknown = len(axis["levels"]) if axis["has_infrequent"] else len(rows) - 1
    knot_of = {level: k for k, level in enumerate(axis["levels"])}
    known = [knot_of.get(level, unknown) for level in levels if level is not None]
    return rows[[*known, knot_of.get(None, unknown), unknown]]


def n_knots(axis, edges):
    """Return how many knots a column has: its edges, or levels, and missing or infrequent ones."""
    if edges is None:
        return len(axis["levels"]) + axis["has_infrequent"]
    return len(edges) + (axis["fill_value"] is None)
