"""Checks that the content of a file can be that of a student, whoever wrote it.

A file from a stranger may hold anything. After `check_content` nothing that reads the content can
fail, loop or reach outside an array, and no number overflows in sums of weights.
"""

import math
import re
from itertools import pairwise

import numpy as np

from skdistill.exceptions import StudentFileError
from skdistill.scorer.kinds import KINDS
from skdistill.scorer.student_content import n_knots

#: The fields of `PlainTree` that are arrays, with their types.
TREE_ARRAYS = {
    "children_left": np.int64,
    "children_right": np.int64,
    "feature": np.int64,
    "threshold": np.float64,
    "missing_go_to_left": np.bool_,
    "value": np.float64,
    "weight": np.float64,
}

#: What a sum of trees has besides.
SUM_ARRAYS = {"roots": np.int64, "intercept": np.float64}

#: What a header holds.
HEADER_KEYS = (
    "student",
    "params",
    "has_names",
    "columns",
    "classes",
    "classes_dtype",
    "attributes",
)

#: Numbers that tables of pairs may take where every level of a column has a row of its own, as in
#: a `LeanTable`: a small file could have columns of many levels that share a row.
MAX_TABLE_NUMBERS = 2**24

#: Bytes that an array of class labels may take: strings are padded to the longest.
MAX_CLASSES_BYTES = 2**26

#: Whole numbers up to this are floats without loss.
MAX_WHOLE = 2**53

_OVERFLOW = "the weights are so large that their sums overflow"
_CLASSES_DTYPE = re.compile(r"\|b1|\|[iu]1|<[iu][248]|<f[248]|<U[1-9][0-9]{0,7}|\|O")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_TYPE_OF_KIND = {"b": bool, "i": int, "u": int, "f": float, "U": str, "O": str}


def check_content(content):
    """Check everything that readers of a student's content rely on.

    Raises StudentFileError if something is missing, too much, of another type or shape, or out of
    range.
    """
    header, arrays = content.header, content.arrays
    _check_keys("the header", header, (*HEADER_KEYS, *({"tables"} & set(header))))
    kind = header["student"]
    require(isinstance(kind, str), "the name of the student is not text")
    require(
        kind in KINDS,
        f"the student is a {kind[:50]!r}; one of these was expected: {', '.join(KINDS)}",
    )
    _check_params(header["params"])
    form = KINDS[kind].form
    is_tree = form in ("tree", "tree_sum")
    _check_columns(header["columns"], header["has_names"], is_tree)
    _check_classes(header["classes"], header["classes_dtype"], kind.endswith("Classifier"))
    _check_attributes(header["attributes"], KINDS[kind].attributes)
    if "tables" in header:
        require(form == "additive", f"a {kind} has tables of pairs")
        _check_tables(header["tables"], header["columns"])
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is rejected
        if is_tree:
            _check_tree(header, arrays, form == "tree_sum")
        else:
            _check_network(header, arrays, form)


def require(condition, reason):
    """Raise `StudentFileError` with the reason unless the condition holds."""
    if not condition:
        raise StudentFileError(reason)


def is_plain(value):
    """Tell whether a parameter can be saved: None, a scalar, or a list of integers or of pairs."""
    if isinstance(value, list):
        return all(_is_integer(each) or _is_pair(each) for each in value)
    return value is None or _is_scalar(value)


def _is_integer(value):
    return type(value) is int and _is_number(value)


def _is_pair(value):
    """Tell whether this is a pair of columns: names or positions."""
    is_list = isinstance(value, list) and len(value) == 2
    return is_list and all(_is_integer(each) or _is_text(each) for each in value)


def _check_keys(what, found, expected):
    require(isinstance(found, dict), f"{what}: no JSON object")
    odd = sorted(name[:50] for name in set(found) ^ set(expected))[:5]
    require(not odd, f"{what}: missing or unknown entries {odd}")


def _is_text(value):
    return isinstance(value, str) and not _LONE_SURROGATE.search(value)


def _is_number(value):
    """Tell whether a value is finite, or an integer of 64 bits: few of these have equal hashes."""
    if type(value) is int:
        return -(2**63) <= value < 2**64
    return type(value) is float and math.isfinite(value)


def _is_scalar(value):
    return type(value) is bool or _is_number(value) or _is_text(value)


def _is_distinct(values):
    return len(set(values)) == len(values)


def _check_params(params):
    require(
        isinstance(params, dict) and all(is_plain(value) for value in params.values()),
        "the parameters are not numbers, strings or lists of integers or pairs",
    )


def _check_columns(columns, has_names, is_tree):
    require(isinstance(columns, list) and columns, "there are no columns")
    require(type(has_names) is bool, "'has_names' is neither true nor false")
    for j, column in enumerate(columns):
        require(isinstance(column, dict), f"column {j} is not a JSON object")
        nominal = "levels" in column
        keys = ["levels"] if nominal else []
        if not is_tree:
            keys.append("has_infrequent" if nominal else "fill_value")
        _check_keys(f"column {j}", column, ["name", *keys])
        require(_is_text(column["name"]), f"the name of column {j} is not text")
        if nominal:
            _check_levels(column, is_tree)
        elif not is_tree:
            fill_value = column["fill_value"]
            require(
                fill_value is None or (type(fill_value) is float and _is_number(fill_value)),
                f"column {column['name']!r} has a fill_value that is not a number",
            )
    names = [column["name"] for column in columns]
    require(_is_distinct(names), "two columns have one name")
    require(
        has_names or names == [f"x{j}" for j in range(len(names))],
        "columns without names are not called x0, x1, ...",
    )


def _check_levels(column, is_tree):
    levels, name = column["levels"], column["name"]
    require(isinstance(levels, list), f"column {name!r} has no list of levels")
    for level in levels:
        require(
            type(level) is not int or abs(level) <= MAX_WHOLE,
            f"column {name!r} has a category beyond 2**53; where categories are integers, they are "
            "stored as floats, which are not exact beyond it",
        )
        require(
            _is_scalar(level) or (level is None and not is_tree),
            f"column {name!r} has a level of type {type(level).__name__}; strings, finite numbers "
            "and booleans are possible",
        )
    require(_is_distinct(levels), f"column {name!r} has one level twice")
    if not is_tree:
        infrequent = column["has_infrequent"]
        require(type(infrequent) is bool, f"column {name!r} has an odd 'has_infrequent'")
        require(levels or infrequent, f"column {name!r} has no levels")


def _check_tables(tables, columns):
    """Check what the header says of tables of pairs; their arrays come later."""
    require(isinstance(tables, list) and tables, "the tables of pairs are no list of tables")
    known = [{(type(level), level) for level in column.get("levels", ())} for column in columns]
    for k, table in enumerate(tables):
        _check_keys(f"table {k}", table, ["columns", "axes", "strength"])
        pair, axes, strength = table["columns"], table["axes"], table["strength"]
        possible = isinstance(pair, list) and len(pair) == 2 and all(map(_is_integer, pair))
        require(
            possible and 0 <= pair[0] < pair[1] < len(columns),
            f"table {k} is not of two columns, the first one before the second",
        )
        require(isinstance(axes, list) and len(axes) == 2, f"table {k} does not have two axes")
        for j, axis in zip(pair, axes, strict=True):
            _check_axis(axis, columns[j], known[j], f"table {k}, column {columns[j]['name']!r}")
        possible = type(strength) is float and _is_number(strength) and strength >= 0
        require(possible, f"table {k} has a strength that is no positive number")
    require(_is_distinct([tuple(table["columns"]) for table in tables]), "a pair has two tables")


def _check_axis(axis, column, known, what):
    if "levels" not in column:
        _check_keys(what, axis, ["fill_value"])
        filled = axis["fill_value"], column["fill_value"]
        possible = type(filled[0]) is type(filled[1]) and filled[0] == filled[1]
        require(possible, f"{what}: its fill_value is not that of the column")
        return
    _check_keys(what, axis, ["levels", "has_infrequent"])
    levels = axis["levels"]
    possible = isinstance(levels, list) and all(
        (level is None or _is_scalar(level)) and (type(level), level) in known for level in levels
    )
    require(possible and _is_distinct(levels), f"{what}: its levels are not some of the column's")
    require(type(axis["has_infrequent"]) is bool, f"{what}: it has an odd 'has_infrequent'")
    require(levels or axis["has_infrequent"], f"{what}: it has no levels")


def _check_classes(classes, dtype, expected):
    if not expected:
        require(classes is None and dtype is None, "a regressor has classes")
        return
    require(isinstance(classes, list) and classes, "a classifier has no classes")
    require(isinstance(dtype, str), "the type of the class labels is not text")
    require(
        _CLASSES_DTYPE.fullmatch(dtype),
        f"the class labels are of type {dtype[:50]!r}; strings, numbers or booleans were expected",
    )
    dtype = np.dtype(dtype)
    kind = _TYPE_OF_KIND[dtype.kind]
    possible = all(type(label) is kind and _is_scalar(label) for label in classes)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        possible = possible and all(limits.min <= label <= limits.max for label in classes)
    possible = possible and dtype.itemsize * len(classes) <= MAX_CLASSES_BYTES
    with np.errstate(over="ignore"):  # float16
        possible = possible and np.array(classes, dtype=dtype).tolist() == classes
    require(possible, f"the class labels are not of their type {dtype}")
    require(_is_distinct(classes), "one class is there twice")


def _check_attributes(attributes, expected):
    _check_keys("the attributes", attributes, expected)
    for name in {"n_iter_", "best_epoch_"} & set(expected):
        value = attributes[name]
        require(type(value) is int and 0 <= value < 2**63, f"{name!r} is not a count")
    for name in {"y_mean_", "y_scale_"} & set(expected):
        value = attributes[name]
        possible = type(value) is float and math.isfinite(value)
        require(possible and (name == "y_mean_" or value > 0), f"{name!r} is out of range")
    if "history_" in expected:
        history = attributes["history_"]
        possible = isinstance(history, dict) and set(history) <= {"train_loss", "valid_loss"}
        possible = possible and all(isinstance(losses, list) for losses in history.values())
        losses = (loss for losses in history.values() for loss in losses) if possible else ()
        possible = possible and all(type(loss) is float and _is_number(loss) for loss in losses)
        require(possible, "'history_' holds no lists of losses")


def _check_array(arrays, name, dtype, shape):
    array = arrays[name]
    require(
        array.dtype == dtype, f"{name!r} is of type {array.dtype.str}, not {np.dtype(dtype).str}"
    )
    require(array.shape == shape, f"{name!r} has the shape {array.shape}, not {shape}")
    if array.dtype.kind == "f" and name != "threshold":
        require(np.isfinite(array).all(), f"{name!r} has an entry that is not finite")
    return array


def _check_tree(header, arrays, is_sum):
    _check_keys("the table of arrays", arrays, TREE_ARRAYS | (SUM_ARRAYS if is_sum else {}))
    n_nodes = arrays["weight"].size
    n_answers = 1 if header["classes"] is None else len(header["classes"])
    n_outputs = _n_outputs(header["classes"]) if is_sum else n_answers
    left, right, feature, threshold, _, value, weight = (
        _check_array(arrays, name, dtype, (n_nodes, n_outputs) if name == "value" else (n_nodes,))
        for name, dtype in TREE_ARRAYS.items()
    )
    require(n_nodes, "the tree has no nodes")
    roots = _check_roots(arrays, n_nodes) if is_sum else np.zeros(1, dtype=np.int64)
    parents = np.flatnonzero(left != -1)
    leaf = left == -1
    require((right[leaf] == -1).all(), "a node of the tree has one child")
    left, right = left[parents], right[parents]
    children = np.sort(np.concatenate([left, right]))
    require(
        np.array_equal(children, np.delete(np.arange(n_nodes), roots)),
        "some node of the tree is not the child of exactly one other",
    )
    require(
        (left > parents).all() and (right > parents).all(), "a child is listed before its parent"
    )
    tree_of = np.searchsorted(roots, np.arange(n_nodes), side="right")
    same = (tree_of[left] == tree_of[parents]) & (tree_of[right] == tree_of[parents])
    require(same.all(), "a child is in another tree than its parent")
    used = feature[parents]
    require(
        (used >= 0).all() and (used < len(header["columns"])).all() and (feature[leaf] < 0).all(),
        "a node of the tree splits on a column that does not exist",
    )
    # Infinite if all numbers go left, and only missing values right.
    possible = (np.abs(threshold) < np.finfo(np.float32).max) | (threshold == np.inf)
    require(possible.all(), "a threshold is beyond the range of float32")
    require((weight > 0).all(), "a node of the tree has no weight")
    if is_sum:
        _check_sum(roots, value, _check_array(arrays, "intercept", np.float64, (n_outputs,)))
    elif header["classes"] is not None:
        sums = np.abs(value.sum(axis=1) - 1.0)
        require((value >= 0).all() and (sums < 1e-6).all(), "a node holds no probabilities")
    _check_means(parents, left, right, value, weight)


def _check_roots(arrays, n_nodes):
    roots = _check_array(arrays, "roots", np.int64, (arrays["roots"].size,))
    possible = len(roots) and roots[0] == 0 and roots[-1] < n_nodes
    require(possible and (roots[1:] > roots[:-1]).all(), "the trees do not begin one after another")
    return roots


def _check_sum(roots, value, intercept):
    bound = np.abs(intercept) + np.maximum.reduceat(np.abs(value), roots).sum(axis=0)
    require((bound < np.finfo(np.float64).max / 4).all(), _OVERFLOW)


def _check_means(parents, left, right, value, weight):
    """Check that every inner node is the mean of its children: explanations rely on it."""
    share = weight[left] / weight[parents]
    rest = weight[right] / weight[parents]
    mean = share[:, None] * value[left] + rest[:, None] * value[right]
    scale = np.abs(value).max(axis=0)
    possible = np.abs(share + rest - 1.0) < 1e-6
    possible &= (np.abs(mean - value[parents]) <= 1e-6 * scale).all(axis=1)
    require(possible.all(), "a node of the tree is not the mean of its children")


def _check_network(header, arrays, form):
    columns, classes = header["columns"], header["classes"]
    is_mlp, is_soft_tree = form == "network", form == "soft_tree"
    numeric = [f"edges.{j}" for j, column in enumerate(columns) if "levels" not in column]
    n_layers = max(sum(name.startswith("coef.") for name in arrays), 1)
    ends = [f".{k}" for k in range(n_layers)] if is_mlp else [""]
    names = [f"{name}{end}" for end in ends for name in ("coef", "intercept")]
    leaves = ["leaf_outputs"] if is_soft_tree else []
    tables = header.get("tables", [])
    of_tables = [name for k, table in enumerate(tables) for name in _table_arrays(k, table)]
    _check_keys("the table of arrays", arrays, [*numeric, *names, *leaves, *of_tables])
    for name in numeric:
        edges = _check_array(arrays, name, np.float64, (arrays[name].size,))
        widths = np.diff(edges)
        require(len(edges) and (widths > 0).all(), f"{name!r} does not increase")
        require(np.isfinite(edges[-1] - edges[0]), f"{name!r} is too wide a range of numbers")
    n_codes = sum(_n_codes(column, arrays.get(f"edges.{j}")) for j, column in enumerate(columns))
    n_outputs = _n_outputs(classes)
    last = arrays["intercept"].size if is_soft_tree else n_outputs
    widths = [n_codes, *(arrays[f"intercept{end}"].size for end in ends[:-1]), last]
    require(all(widths[1:]), "a layer has no units")
    dtype = np.float32 if is_mlp or is_soft_tree else np.float64
    layers = [
        (
            _check_array(arrays, f"coef{end}", dtype, shape),
            _check_array(arrays, f"intercept{end}", dtype, shape[1:]),
        )
        for end, shape in zip(ends, pairwise(widths), strict=True)
    ]
    if is_soft_tree:
        n_leaves = last + 1
        require(n_leaves & last == 0, f"a complete tree does not have {last} inner nodes")
        leaves = _check_array(arrays, "leaf_outputs", dtype, (n_leaves, n_outputs))
        _check_overflow([(leaves, np.zeros(n_outputs))], {})  # what they are multiplied by is <= 1
    added = _check_table_arrays(tables, columns, arrays, n_outputs) if tables else 0.0
    _check_overflow(layers, header["attributes"], added)


def _table_arrays(k, table):
    """List the arrays of table k by name."""
    sides = [side for side in (0, 1) if "levels" not in table["axes"][side]]
    return [f"table.{k}", *(f"table.{k}.edges.{side}" for side in sides)]


def _check_table_arrays(tables, columns, arrays, n_outputs):
    """Check the arrays of tables of pairs; return the most that their sum can be."""
    n_points = [_n_points(each, arrays.get(f"edges.{j}")) for j, each in enumerate(columns)]
    n_numbers = sum(math.prod(n_points[j] for j in table["columns"]) for table in tables)
    require(
        n_numbers * n_outputs <= MAX_TABLE_NUMBERS,
        f"its tables of pairs take {n_numbers * n_outputs:,} numbers at all levels of their "
        f"columns; {MAX_TABLE_NUMBERS:,} are allowed",
    )
    added = np.zeros(n_outputs)
    for k, table in enumerate(tables):
        knots = []
        for side, (j, axis) in enumerate(zip(table["columns"], table["axes"], strict=True)):
            name, edges = f"table.{k}.edges.{side}", None
            if "levels" not in axis:
                edges = _check_array(arrays, name, np.float64, (arrays[name].size,))
                _check_edges_of_axis(name, edges, arrays[f"edges.{j}"])
            knots.append(n_knots(axis, edges))
        values = _check_array(arrays, f"table.{k}", np.float64, (knots[0] * knots[1], n_outputs))
        added += np.abs(values).max(axis=0)
    return added


def _check_edges_of_axis(name, edges, of_curve):
    """Check that a table bends where the curve of its column does: C looks its bin up."""
    possible = len(edges) and (np.diff(edges) > 0).all() and np.isin(edges, of_curve).all()
    possible = possible and edges[0] == of_curve[0] and edges[-1] == of_curve[-1]
    require(possible, f"{name!r} are not some edges of the curve, from its first to its last")


def _n_points(column, edges):
    """Return how many points a column has, at most, in a `LeanTable`."""
    return len(column["levels"]) + 2 if edges is None else len(edges) + 1


def _check_overflow(layers, attributes, added=0.0):
    """Check that no sum overflows in any row: inputs lie in [0, 1], so weights bound all sums."""
    bound = np.ones(len(layers[0][0]))
    for weight, bias in layers:
        bound = bound @ np.abs(weight, dtype=np.float64) + np.abs(bias) + added
        require((bound < np.finfo(weight.dtype).max / 4).all(), _OVERFLOW)
    answer = bound.max() * attributes.get("y_scale_", 1.0) + abs(attributes.get("y_mean_", 0.0))
    require(answer < np.finfo(np.float64).max / 4, _OVERFLOW)


def _n_outputs(classes):
    """Return the number of margins, one if there are two classes, or 1 for a value."""
    return 1 if classes is None or len(classes) <= 2 else len(classes)


def _n_codes(column, edges):
    if edges is None:
        return len(column["levels"]) + column["has_infrequent"]
    return len(edges) - 1 + (column["fill_value"] is None)
