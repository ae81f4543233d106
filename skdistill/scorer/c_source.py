"""A lean model as one C99 file: tables of constants, and the few functions that read them.

The functions are the files of the folder ``c``, unchanged; only the tables and the prefix of the
public names depend on the model.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from skdistill.messages import shown
from skdistill.scorer.model import LeanTree, fingerprint, n_answers, points_of_axis

#: Outputs that a wide layer computes side by side, and partial sums of a narrow one.
BLOCK, LANES = 32, 16

#: Layers of fewer outputs are narrow.
NARROW = 8

#: A threshold of this size has only missing values on its other side.
MOST = np.finfo(np.float64).max

_SNIPPETS = Path(__file__).with_name("c")


def c_source(model, *, name="student", dtype="double", main=False):
    """Write a model in C99 that is C++ as well, without allocation; it calls ``exp`` at most.

    `name` is what the names of the public functions begin with, `dtype` the type of cells,
    thresholds, bin edges and answers, and of the arithmetic of an additive student; an MLP computes
    in float either way. With `main` the file has a ``main`` that scores CSV.
    """
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is None:
        raise ValueError(
            f"name is {shown(name)}; the beginning of a C identifier was expected: a letter, then "
            "letters, digits and underscores."
        )
    if dtype not in ("double", "float"):
        raise ValueError(f"dtype is {shown(dtype)}; 'double' or 'float' was expected.")
    _check_levels(model.columns)
    if dtype == "float":
        _check_range(model)
    snippets = ["interface", "answer"] if n_answers(model) <= 2 else ["interface"]
    parts = [_head(model, name, dtype), _snippet("cells", name)]
    if any(column.is_nominal for column in model.columns):
        parts += [_levels(model, dtype), _snippet("levels", name)]
    if isinstance(model, LeanTree):
        if model.intercept is None:
            parts.append(_tree_tables(model, dtype))
            snippets.insert(0, "tree")
        else:
            parts.append(_tree_sum_tables(model, dtype))
            snippets = [_link(model), "tree_sum", *snippets]
    else:
        computed = _centred(model) if dtype == "float" else model
        parts += [_network_tables(computed, dtype), _snippet("add_point", name)]
        if model.tables:
            parts += [_snippet("add_curve_for_tables", name), _pair_tables(computed, dtype)]
            parts += [_snippet("tables", name), _layers(model)]
        else:
            parts += [_snippet("add_curve", name), _layers(model)]
        score = "score_tables" if model.tables else "score_network"
        snippets = [_link(model), score, *snippets]
    parts += [_snippet(each, name) for each in snippets]
    parts.append(_schema(model, name, dtype))
    if main:
        parts += [_main_tables(model), _snippet("main", name)]
    return "\n".join(parts)


def _snippet(file, name):
    return (_SNIPPETS / f"{file}.c").read_text(encoding="utf-8").replace("student_", f"{name}_")


def _link(model):
    if model.classes is None:
        return "link_regression"
    return "link_binary" if len(model.classes) == 2 else "link_softmax"


def _head(model, name, dtype):
    """Write what a caller reads: the columns, the answers, the functions."""
    columns = [
        f" *   {j}: {_comment(column.name)}{_kind(column, name)}"
        for j, column in enumerate(model.columns)
    ]
    answers = "the prediction"
    if model.classes is not None:
        answers = f"a probability per class: {_comment(repr(model.classes))}"
    has_levels = any(column.is_nominal for column in model.columns)
    lines = [
        "/* Written by skdistill: a model that scores rows, in C99 or C++. It allocates nothing,",
        f" * and of the library calls {'expf' if dtype == 'float' else 'exp and expf'} at most.",
        f" * SHA-256 of the model: {fingerprint(model)}",
        " *",
        f" * A row has {len(model.columns)} cells, NaN where missing:",
        *columns,
        f" * The answers: {answers}. */",
        "#include <float.h>",
        "#include <math.h>",
        "#include <stddef.h>",
        "",
        _snippet("compilers", name),
        f"typedef {dtype} number; /* cells, thresholds, bin edges, answers */",
        f"#define NUMBER_MAX {'FLT_MAX' if dtype == 'float' else 'DBL_MAX'}",
        f"#define EXP {'expf' if dtype == 'float' else 'exp'}",
        f"#define N_COLUMNS {len(model.columns)}",
        f"#define N_ANSWERS {n_answers(model)}",
        f"#define HAS_LEVELS {int(has_levels)}",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        "/* Scores a row. Returns 0, or 1 + the position of a cell that is infinite. */",
        f"int {name}_score(const number *row, number *answers);",
        "",
        "/* Scores rows that lie one after the other; returns how many had an infinite cell. */",
        f"long {name}_score_rows(const number *rows, long n_rows, number *answers);",
        "",
    ]
    if n_answers(model) <= 2:
        lines += [
            "/* The last answer alone; NaN if a cell is infinite. */",
            f"number {name}_answer(const number *row);",
            "",
        ]
    if has_levels:
        lines += [
            "/* The number of a category, -1 if it is unknown. */",
            f"int {name}_level(int column, const char *text);",
            "",
        ]
    lines += [
        "/* Columns and classes as JSON; define STUDENT_NO_SCHEMA to leave it out. */",
        f"const char *{name}_schema(void);",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def _kind(column, name):
    if not column.is_nominal:
        return ""
    if column.holds_text:
        return f", the number that {name}_level gives for the category"
    return ", one of some numbers"


def _check_levels(columns):
    """Raise ValueError if a column has categories of two types, which only Python allows."""
    for column in columns:
        if column.is_mixed:
            raise ValueError(
                f"Column {column.name!r} holds strings and numbers: {list(column.levels)[:8]}. "
                "Outside Python a column has one type: turn the numbers into strings before "
                "fitting."
            )


def _check_range(model):
    """Raise ValueError if a number is too large for a float: C has no literal for infinity."""
    largest = np.finfo(np.float32).max
    for where, values in _numbers_of(model):
        beyond = values[~(np.abs(values) <= largest)]
        if len(beyond):
            raise ValueError(
                f"{where} {beyond[0]:g}; a float holds numbers up to {largest:.2g}. Pass "
                "dtype='float64', or scale the column down and fit again."
            )


def _centred(model):
    """Shift curves of an additive student to 0 in their middle, so that float sums stay small."""
    if isinstance(model, LeanTree) or model.layers:
        return model
    middles = [curve[(len(curve) - 1) // 2] for curve in model.curves]
    curves = tuple(curve - each for curve, each in zip(model.curves, middles, strict=True))
    return replace(model, curves=curves, intercept=model.intercept + sum(middles))


def _numbers_of(model):
    """Yield the numbers of a model that are written as `number`, and what they are."""
    for j, column in enumerate(model.columns):
        if column.is_nominal and not column.holds_text:
            yield f"Column {column.name!r} has the category", np.array(column.levels, dtype=float)
        elif isinstance(model, LeanTree):
            used = model.threshold[(model.feature == j) & (model.threshold < MOST)]
            yield f"Column {column.name!r} has the threshold", used
        elif model.edges[j] is not None:
            yield f"The curve of column {column.name!r} bends at", model.edges[j]
    if isinstance(model, LeanTree):
        yield "A leaf predicts", model.value.ravel()
        if model.intercept is not None:
            yield "The intercept is", model.intercept
        return
    yield "The curves hold", np.concatenate([model.intercept, *map(np.ravel, model.curves)])
    for table in model.tables:
        yield "A table of two columns holds", table.values.ravel()
    yield "The predictions are scaled by", np.array([model.scale, model.shift])


def _comment(text):
    """Make text safe inside a comment."""
    return "".join(c if c.isprintable() else "?" for c in text).replace("*/", "* /")


def _levels(model, dtype):
    texts, numbers, tables = [], [], []
    for j, column in enumerate(model.columns):
        texts.append("NULL")
        numbers.append("NULL")
        if not column.levels:
            continue
        if column.holds_text:
            cells = [_quoted(level) for level in column.levels]
            tables.append(_table(f"static const char *const texts_{j}", cells))
            texts[-1] = f"texts_{j}"
        else:
            tables.append(_numbers(f"numbers_{j}", np.array(column.levels, dtype=float), dtype))
            numbers[-1] = f"numbers_{j}"
    counts = [-1 if column.levels is None else len(column.levels) for column in model.columns]
    return "\n".join(
        [
            *tables,
            _integers("level_count", counts),
            _table("static const char *const *const level_texts", texts),
            _table("static const number *const level_numbers", numbers),
        ]
    )


def _tree_tables(model, dtype):
    leaf = model.children_left < 0
    number = np.where(leaf, -np.cumsum(leaf), np.cumsum(~leaf) - 1)  # leaves are -1, -2, ...
    some = np.flatnonzero(~leaf) if not leaf.all() else np.zeros(1, dtype=int)
    splits = _split_tables(model, some, dtype)
    children = {
        "node_left": number[model.children_left[some]],
        "node_right": number[model.children_right[some]],
    }
    return "\n".join(
        [
            f"#define ROOT {number[0]}",
            splits["node_column"],
            *(_integers(name, values) for name, values in children.items()),
            splits["node_missing_left"],
            splits["node_threshold"],
            _numbers("leaf_answers", model.value[leaf].ravel(), dtype),
        ]
    )


def _tree_sum_tables(model, dtype):
    leaf = model.children_left < 0
    n_splits = int(np.sum(~leaf))
    number = np.where(leaf, n_splits + np.cumsum(leaf) - 1, np.cumsum(~leaf) - 1)
    some = np.flatnonzero(~leaf) if n_splits else np.zeros(1, dtype=int)
    following = np.where(leaf, number, number[[model.children_right, model.children_left]])
    return "\n".join(
        [
            "typedef number weight; /* what leaves add */",
            f"#define N_OUTPUTS {len(model.intercept)}",
            f"#define N_TREES {len(model.roots)}",
            f"#define N_SPLITS {n_splits}",
            f"#define N_NODES {len(number)}",
            _output_scale(model, 1.0, 0.0, dtype),
            *_split_tables(model, some, dtype).values(),
            _integers("next_nodes", following.T[np.argsort(number)].ravel()),
            _integers("roots", number[model.roots]),
            _integers("depths", _heights(model)[model.roots]),
            _numbers("leaf_outputs", model.value[leaf].ravel(), dtype, type_name="weight"),
            _numbers("intercept", model.intercept, dtype, type_name="weight"),
        ]
    )


def _split_tables(model, nodes, dtype):
    """Write what nodes ask, by name; there is at least one: C has no empty tables."""
    thresholds = model.threshold32 if dtype == "float" else model.threshold
    return {
        "node_column": _integers("node_column", np.maximum(model.feature[nodes], 0)),
        "node_missing_left": _integers("node_missing_left", model.missing_left[nodes].astype(int)),
        "node_threshold": _numbers("node_threshold", thresholds[nodes], dtype),
    }


def _heights(model):
    """Return how many splits there are at most below every node, itself included."""
    heights = np.zeros(len(model.feature), dtype=int)
    for node in reversed(np.flatnonzero(model.children_left >= 0)):
        children = model.children_left[node], model.children_right[node]
        heights[node] = 1 + max(heights[child] for child in children)
    return heights


def _output_scale(model, scale, shift, dtype):
    """Write how the output of a regressor becomes its prediction."""
    if model.classes is not None:
        return ""
    return (
        f"#define OUTPUT_SCALE {_literal(scale, dtype)}\n"
        f"#define OUTPUT_SHIFT {_literal(shift, dtype)}\n"
    )


def _network_tables(model, dtype):
    weight = "float" if model.intercept.dtype == np.float32 else dtype
    edges = [np.zeros(0) if edges is None else edges for edges in model.edges]
    every_edge = np.concatenate([*edges, np.zeros(1)])  # C has no empty tables
    edge_start = np.cumsum([0, *(len(each) for each in edges)])
    curve_start = np.cumsum([0, *(len(curve) for curve in model.curves)])
    points = np.concatenate([*model.curves, np.zeros((1, len(model.intercept)))])
    return "\n".join(
        [
            f"typedef {weight} weight; /* curves and layers */",
            f"#define WIDTH {len(model.intercept)}",
            f"#define N_OUTPUTS {model.n_outputs}",
            _output_scale(model, model.scale, model.shift, dtype),
            _integers("edge_start", edge_start),
            _integers("curve_start", curve_start),
            _numbers("curve_edges", every_edge, dtype),
            _numbers("curve_points", points.ravel(), weight, type_name="weight"),
            _numbers("intercept", model.intercept, weight, type_name="weight"),
        ]
    )


def _pair_tables(model, dtype):
    """Write the tables of pairs, and which point of every axis each point of a curve is."""
    axes, of_table = _axes_of(model)
    edges = [np.zeros(0) if each is None else each for _, each in axes]
    points = [points_of_axis(model, j, each) for j, each in axes]
    shapes = [table.values.shape for table in model.tables]
    values = np.concatenate([table.values.ravel() for table in model.tables])
    return "\n".join(
        [
            f"#define N_AXES {len(axes)}",
            f"#define N_TABLES {len(shapes)}",
            "",
            _integers("axis_column", [j for j, _ in axes]),
            _integers("axis_edge_start", np.cumsum([0, *map(len, edges)])),
            _numbers("axis_edges", np.concatenate([*edges, np.zeros(1)]), dtype),
            _integers("axis_point_start", np.cumsum([0, *map(len, points)])),
            _integers("axis_points", np.concatenate(points)),
            _integers("table_axes", np.ravel(of_table)),
            _integers("table_start", np.cumsum([0, *(n_a * n_b for n_a, n_b, _ in shapes)])),
            _integers("table_row_length", [n_b for _, n_b, _ in shapes]),
            _numbers("table_points", values, dtype, type_name="weight"),
        ]
    )


def _axes_of(model):
    """List the axes of the tables, columns with the knots of a table, each one once.

    Returns tuples of the position of a column and its edges, None for categories; and per table the
    numbers of its two axes.
    """
    axes, of_table = {}, []
    for table in model.tables:
        numbers = []
        for j, edges in zip(table.columns, table.edges, strict=True):
            key = j, None if edges is None else edges.tobytes()
            numbers.append(axes.setdefault(key, (len(axes), j, edges))[0])
        of_table.append(numbers)
    return [axis[1:] for axis in axes.values()], of_table


def _layers(model):
    tables, calls, before, width = [], [], "sum", len(model.intercept)
    if model.is_soft_tree:
        tables.append(_snippet("paths", ""))
        before, width = "reach", width + 1
        calls += [f"    weight reach[{width}];", "    path_probabilities(sum, reach);"]
    for k, (weights, bias) in enumerate(model.layers, start=1):
        n_out, kind = len(bias), _kind_of_layer(bias)
        ordered = weights.T.ravel() if kind == "narrow" else _in_blocks(weights)
        tables.append(_numbers(f"weights_{k}", ordered, "float", type_name="weight"))
        tables.append(_numbers(f"bias_{k}", bias, "float", type_name="weight"))
        after = "out" if k == len(model.layers) else f"hidden_{k}"
        if after != "out":
            calls.append(f"    weight {after}[{n_out}];")
        arguments = f"{before}, {width}, weights_{k}, bias_{k}, {n_out}, {after}"
        calls.append(f"    {kind}_layer({arguments});")
        before, width = after, n_out
    kinds = sorted({_kind_of_layer(bias) for _, bias in model.layers})
    if model.layers:
        sizes = f"#define BLOCK {BLOCK}\n#define LANES {LANES}\n"
        tables = [sizes, *(_snippet(f"{kind}_layer", "") for kind in kinds), *tables]
    else:
        calls = ["    for (int k = 0; k < N_OUTPUTS; ++k) {", "        out[k] = sum[k];", "    }"]
    body = "\n".join(calls)
    head = "static void run_layers(const weight *RESTRICT sum, weight *RESTRICT out)"
    return "\n".join([*tables, f"{head}\n{{\n{body}\n}}\n"])


def _kind_of_layer(bias):
    return "narrow" if len(bias) < NARROW else "wide"


def _in_blocks(weights):
    """Order weights by blocks of BLOCK outputs, the last one filled up with zeros."""
    n_in, n_out = weights.shape
    n_blocks = -(-n_out // BLOCK)
    padded = np.zeros((n_in, n_blocks * BLOCK), dtype=weights.dtype)
    padded[:, :n_out] = weights
    return padded.reshape(n_in, n_blocks, BLOCK).swapaxes(0, 1).ravel()


def _schema(model, name, dtype):
    """Write the schema byte by byte: C99 compilers may refuse long strings."""
    schema = {
        "columns": [
            {"name": column.name}
            if column.levels is None
            else {"name": column.name, "levels": list(column.levels)}
            for column in model.columns
        ],
        "classes": None if model.classes is None else list(model.classes),
        "kind": _form(model),
        "dtype": dtype,
        "sha256": fingerprint(model),
    }
    text = json.dumps(schema)
    lines = [text[i : i + 80] for i in range(0, len(text), 80)]
    return "\n".join(
        [
            "#ifndef STUDENT_NO_SCHEMA",
            f"const char *{name}_schema(void)",
            "{",
            "    static const char schema[] = {",
            *(f"        {','.join(str(byte) for byte in line.encode())}," for line in lines),
            "        0};",
            "    return schema;",
            "}",
            "#endif",
            "",
        ]
    )


def _form(model):
    if not isinstance(model, LeanTree):
        return "network"
    return "tree" if model.intercept is None else "tree_sum"


def _main_tables(model):
    names = [_quoted(column.name) for column in model.columns]
    classes = ["prediction"] if model.classes is None else map(str, model.classes)
    return "\n".join(
        [
            _table("static const char *const column_names", names),
            _table("static const char *const answer_names", [_quoted(_csv(c)) for c in classes]),
        ]
    )


def _csv(text):
    """Quote a field of CSV."""
    return '"' + text.replace('"', '""') + '"'


def _integers(name, values):
    values = np.asarray(values)
    largest = np.abs(values).max()
    kind = "signed char" if largest < 2**7 else "short" if largest < 2**15 else "int"
    return _table(f"static const {kind} {name}", [str(value) for value in values])


def _numbers(name, values, dtype, type_name="number"):
    cells = [_literal(value, dtype) for value in values.tolist()]
    return _table(f"static const {type_name} {name}", cells)


def _literal(value, dtype):
    """Write a number so that C reads exactly this one."""
    if dtype == "float":
        text = str(np.float32(value))
        return (text if "." in text or "e" in text else text + ".0") + "f"
    return repr(float(value))


def _quoted(text):
    """Write a string literal, with all but plain characters in octal escapes."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def _table(declaration, cells):
    """Write a constant table, several cells to a line."""
    lines, line = [], "    "
    for cell in cells:
        if len(line) + len(cell) > 98:
            lines.append(line.rstrip())
            line = "    "
        line += f"{cell}, "
    return "\n".join([f"{declaration}[] = {{", *lines, line.rstrip(), "};", ""])
