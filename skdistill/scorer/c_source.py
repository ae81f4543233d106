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
from skdistill.scorer.model import LeanTree, fingerprint, n_answers

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
        parts.append(_tree_tables(model, dtype))
        snippets.insert(0, "tree")
    else:
        computed = _centred(model) if dtype == "float" else model
        parts += [_network_tables(computed, dtype), _snippet("network", name), _layers(model)]
        snippets = [_link(model), "score_network", *snippets]
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
        return
    yield "The curves hold", np.concatenate([model.intercept, *map(np.ravel, model.curves)])
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
    inner = np.flatnonzero(model.children_left >= 0)
    leaves = np.flatnonzero(model.children_left < 0)
    number = np.empty(len(model.feature), dtype=int)  # of inner nodes from 0, of leaves -1, -2, ...
    number[inner] = np.arange(len(inner))
    number[leaves] = -1 - np.arange(len(leaves))
    some = inner if len(inner) else np.zeros(1, dtype=int)  # C has no empty tables
    thresholds = model.threshold32 if dtype == "float" else model.threshold
    ints = {
        "node_column": np.maximum(model.feature[some], 0),
        "node_left": number[model.children_left[some]],
        "node_right": number[model.children_right[some]],
        "node_missing_left": model.missing_left[some].astype(int),
    }
    return "\n".join(
        [
            f"#define ROOT {number[0] if len(inner) else -1}",
            *(_integers(name, values) for name, values in ints.items()),
            _numbers("node_threshold", thresholds[some], dtype),
            _numbers("leaf_answers", model.value[leaves].ravel(), dtype),
        ]
    )


def _network_tables(model, dtype):
    weight = "float" if model.intercept.dtype == np.float32 else dtype
    edges = [np.zeros(0) if edges is None else edges for edges in model.edges]
    every_edge = np.concatenate([*edges, np.zeros(1)])  # C has no empty tables
    edge_start = np.cumsum([0, *(len(each) for each in edges)])
    curve_start = np.cumsum([0, *(len(curve) for curve in model.curves)])
    points = np.concatenate([*model.curves, np.zeros((1, len(model.intercept)))])
    scale = ""
    if model.classes is None:
        scale = f"#define OUTPUT_SCALE {_literal(model.scale, dtype)}\n"
        scale += f"#define OUTPUT_SHIFT {_literal(model.shift, dtype)}\n"
    return "\n".join(
        [
            f"typedef {weight} weight; /* curves and layers */",
            f"#define WIDTH {len(model.intercept)}",
            f"#define N_OUTPUTS {model.n_outputs}",
            scale,
            _integers("edge_start", edge_start),
            _integers("curve_start", curve_start),
            _numbers("curve_edges", every_edge, dtype),
            _numbers("curve_points", points.ravel(), weight, type_name="weight"),
            _numbers("intercept", model.intercept, weight, type_name="weight"),
        ]
    )


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
        "kind": "tree" if isinstance(model, LeanTree) else "network",
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
