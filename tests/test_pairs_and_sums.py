"""Tables of pairs and sums of trees without their students: files, scorers, C, parity rows."""

import itertools
import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from skdistill import LinearStudentClassifier, LinearStudentRegressor
from skdistill.export.student_content import student_content
from skdistill.scorer import LeanScorer
from skdistill.scorer.c_source import c_source
from skdistill.scorer.model import (
    Column,
    LeanNetwork,
    LeanTable,
    LeanTree,
    fingerprint,
    size_in_bytes,
)
from skdistill.scorer.student_content import StudentContent, lean_model
from skdistill.students.encoding import ColumnEncoding

ENGINES = ["c", "numpy"]
CLASSES = {"values": None, "two classes": ("no", "yes"), "three classes": (0, 1, 2)}
COLUMNS = (
    Column("amount"),
    Column("age"),
    Column("country", ("AT", "Ü'x", "")),
    Column("constant"),
    Column("code", (7, 3, 11)),
)
PAIRS = [(0, 1), (0, 2), (1, 4), (2, 4), (1, 3), (0, 4)]
MISSING, UNKNOWN = -2, -1


def n_outputs(classes):
    return 1 if classes is None or len(classes) == 2 else len(classes)


def additive(kind="two classes", pairs=PAIRS, seed=0):
    """A model of random curves and tables."""
    rng, classes = np.random.default_rng(seed), CLASSES[kind]
    width = n_outputs(classes)
    edges = [np.cumsum(rng.exponential(size=n)) - 3 for n in (12, 3)]
    edges = [edges[0], edges[1], None, np.ones(1), None]
    n_points = [5 if each is None else len(each) + 1 for each in edges]
    tables = []
    for pair in pairs:
        own = [None if edges[j] is None else some_edges(edges[j], rng) for j in pair]
        shape = [5 if each is None else len(each) + 1 for each in own]
        tables.append(LeanTable(pair, tuple(own), rng.normal(size=(*shape, width))))
    return LeanNetwork(
        COLUMNS,
        classes,
        tuple(edges),
        tuple(rng.normal(size=(n, width)) for n in n_points),
        rng.normal(size=width),
        scale=3.0 if classes is None else 1.0,
        shift=-20.0 if classes is None else 0.0,
        tables=tuple(tables),
    )


def some_edges(edges, rng):
    """Some of the edges of a curve, the first and the last among them."""
    inner = rng.permutation(np.arange(1, len(edges) - 1))[:4]
    return edges[sorted({0, *inner, len(edges) - 1})]


def tree_sum(kind="two classes", n_splits=(3, 1, 0, 5), seed=0):
    """A model of random trees, of so many splits each."""
    rng, classes = np.random.default_rng(seed), CLASSES[kind]
    trees, roots, start = [], [], 0
    for n in n_splits:
        trees.append(random_tree(n, start, rng))
        roots.append(start)
        start += len(trees[-1])
    nodes = itertools.chain.from_iterable(trees)
    left, right, feature, threshold, missing = map(np.array, zip(*nodes, strict=True))
    return LeanTree(
        COLUMNS,
        classes,
        left.astype(np.int32),
        right.astype(np.int32),
        feature.astype(np.int32),
        threshold,
        missing,
        rng.normal(size=(start, n_outputs(classes))),
        np.array(roots, dtype=np.int32),
        rng.normal(size=n_outputs(classes)),
    )


def random_tree(n_splits, start, rng):
    """Split random leaves; nodes as (left, right, feature, threshold, missing_left)."""
    leaf = (-1, -1, -1, 0.0, False)
    nodes = [leaf]
    for _ in range(n_splits):
        at = rng.choice([k for k, node in enumerate(nodes) if node == leaf])
        j, n = rng.choice([0, 1, 2, 4]), start + len(nodes)
        threshold = rng.normal() if j < 2 else float(rng.integers(2))
        nodes[at] = (n, n + 1, j, threshold, bool(rng.integers(2)))
        nodes += [leaf, leaf]
    return nodes


def some_rows(model, n_rows=3000, seed=1):
    """Raw cells: on and beside all edges, far outside, missing, every level, unknown ones."""
    rng = np.random.default_rng(seed)
    cells = {}
    for j, column in enumerate(model.columns):
        if column.is_nominal:
            values = [*column.levels, None, "new" if column.holds_text else 99]
            cells[column.name] = np.array(values, dtype=object)[
                rng.integers(len(values), size=n_rows)
            ]
            continue
        at = model.edges[j] if isinstance(model, LeanNetwork) else model.threshold
        near = [at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf), (at[1:] + at[:-1]) / 2]
        values = np.concatenate([*near, [-1e30, 1e30, np.nan, 0.0, 0.3]])
        cells[column.name] = rng.choice(values, size=n_rows)
    return cells


def point_of(column, cell):
    """The position of a level among the points of a curve."""
    if cell is None:
        return MISSING
    return column.levels.index(cell) if cell in column.levels else UNKNOWN


def weights(column, edges, cell):
    """How much of every point a cell takes: hats over the edges, or one level."""
    if column.is_nominal:
        return np.eye(len(column.levels) + 2)[point_of(column, cell)]
    if np.isnan(cell):
        return np.eye(len(edges) + 1)[-1]
    return np.array([np.interp(cell, edges, hat) for hat in np.eye(len(edges))] + [0.0])


def outputs_of_row(model, row):
    """What a row gets, by the definition."""
    if isinstance(model, LeanTree):
        return model.intercept + sum(leaf_value(model, root, row) for root in model.roots)
    total = model.intercept.copy()
    of_curves = [weights(*each) for each in zip(model.columns, model.edges, row, strict=True)]
    total += sum(w @ curve for w, curve in zip(of_curves, model.curves, strict=True))
    for table in model.tables:
        a, b = table.columns
        w = weights(model.columns[a], table.edges[0], row[a])
        v = weights(model.columns[b], table.edges[1], row[b])
        total += np.einsum("i,j,ijk->k", w, v, table.values)
    return total


def leaf_value(model, node, row):
    while model.children_left[node] >= 0:
        column, cell = model.columns[model.feature[node]], row[model.feature[node]]
        if column.is_nominal:
            cell = point_of(column, cell)
            cell = np.nan if cell < 0 else cell
        left = model.missing_left[node] if np.isnan(cell) else cell <= model.threshold[node]
        node = model.children_left[node] if left else model.children_right[node]
    return model.value[node]


def by_definition(model, cells):
    """The answers to raw cells, row by row."""
    rows = zip(*cells.values(), strict=True)
    outputs = np.array([outputs_of_row(model, row) for row in rows])
    if model.classes is None:
        return outputs[:, 0] * getattr(model, "scale", 1.0) + getattr(model, "shift", 0.0)
    if len(model.classes) == 2:
        return np.hstack([expit(-outputs), expit(outputs)])
    return softmax(outputs, axis=1)


MODELS = {
    f"{name}, {kind}": make(kind)
    for name, make in {"tables": additive, "sum": tree_sum}.items()
    for kind in CLASSES
}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


@pytest.mark.parametrize("engine", ENGINES)
@each_model
@pytest.mark.filterwarnings("ignore:Most categories")
def test_rows_and_batches_are_scored_by_the_definition(model, engine):
    cells = some_rows(model)
    expected = by_definition(model, cells)
    scorer = LeanScorer(model, engine)
    np.testing.assert_allclose(scorer.batch(cells), expected, rtol=1e-9, atol=1e-12)
    rows = [list(row) for row in zip(*cells.values(), strict=True)][:500]
    np.testing.assert_allclose([scorer(row) for row in rows], expected[:500], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@each_model
def test_infinity_is_refused_with_its_column(model, engine):
    scorer = LeanScorer(model, engine)
    row = [0.0, np.inf, "AT", 1.0, 7]
    with pytest.raises(ValueError, match="'age' is infinite"):
        scorer(row)
    with pytest.raises(ValueError, match="'age' is infinite"):
        scorer.batch([row])
    assert np.isfinite(scorer([0.0, 1.7e308, "AT", 1.0, 7])).all()


def test_an_infinite_cell_in_a_narrow_last_column_is_refused_by_name():
    model = replace(additive(pairs=[]), columns=COLUMNS[:2], edges=(np.arange(9.0), np.arange(2.0)))
    model = replace(model, curves=(np.zeros((10, 1)), np.zeros((3, 1))))
    with pytest.raises(ValueError, match="Row 0: column 'age' is infinite"):
        LeanScorer(model, "numpy").batch(np.array([[0.0, np.inf]]))


@pytest.mark.parametrize("engine", ENGINES)
@each_model
def test_a_scorer_survives_pickling(model, engine):
    scorer = LeanScorer(model, engine)
    again = pickle.loads(pickle.dumps(scorer))
    assert (repr(again), again.sha256) == (repr(scorer), scorer.sha256)
    row = [0.1, None, "AT", 1.0, 3]
    assert again(row) == scorer(row)


@each_model
def test_fingerprint_and_size_know_every_array(model):
    assert size_in_bytes(model) > size_in_bytes(without(model))
    others = [without(model)]
    if isinstance(model, LeanTree):
        others += [
            replace(model, intercept=model.intercept + 1.0),
            replace(model, roots=np.array([0, 7, 10, 12], dtype=np.int32)),
        ]
    else:
        table = model.tables[0]
        values = table.values.copy()
        values[1, 1] += 1.0
        edges = (table.edges[0] + 0.1, table.edges[1])
        others += [
            replace(model, tables=(replace(table, values=values), *model.tables[1:])),
            replace(model, tables=(replace(table, edges=edges), *model.tables[1:])),
            replace(model, tables=(replace(table, columns=(0, 3)), *model.tables[1:])),
            replace(model, tables=model.tables[::-1]),
        ]
    prints = {fingerprint(each) for each in (model, *others)}
    assert len(prints) == len(others) + 1


def without(model):
    """The same model without what is new."""
    if isinstance(model, LeanTree):
        return replace(model, roots=np.zeros(1, dtype=np.int32), intercept=None)
    return replace(model, tables=())


# --- From the content of a student --------------------------------------------------------------


@pytest.fixture(scope="module")
def frame():
    """Numbers with and without missing values, texts and numbers as categories."""
    rng = np.random.default_rng(0)
    amount, age = rng.exponential(size=600), rng.normal(size=600)
    return pd.DataFrame(
        {
            "amount": amount,
            "age": np.where(rng.random(600) < 0.2, np.nan, age),
            "country": rng.choice(np.array(["AT", "Ü'x", "", None], dtype=object), 600),
            "code": pd.Categorical(rng.choice([3, 7, 11], 600)),
            "constant": 1.0,
        }
    )


def own_axes(student, j):
    """Every axis that a table of the student can have on a column."""
    column = student.encoding_.columns[j]
    if column.edges is not None:
        some = some_edges(column.edges, np.random.default_rng(0)) if column.n_bins else column.edges
        return [ColumnEncoding(some, column.fill_value)]
    few = [level for level in column.levels if level is not None][:2]
    return [
        ColumnEncoding(levels=column.levels, has_infrequent=column.has_infrequent),
        ColumnEncoding(levels=tuple(few), has_infrequent=True),
        ColumnEncoding(levels=tuple(few)),
        ColumnEncoding(levels=(), has_infrequent=True),
    ]


def with_tables(student, tables):
    """The content of an additive student with tables as ((a, b), (axis, axis), values)."""
    content = student_content(student)
    about, arrays = [], dict(content.arrays)
    for k, (pair, axes, values) in enumerate(tables):
        about.append({"columns": list(pair), "axes": [described(axis) for axis in axes]})
        arrays[f"table.{k}"] = values.reshape(-1, values.shape[2])
        for side, axis in enumerate(axes):
            if axis.edges is not None:
                arrays[f"table.{k}.edges.{side}"] = axis.edges
    return StudentContent(content.header | {"tables": about}, arrays)


def described(axis):
    if axis.edges is not None:
        return {"fill_value": axis.fill_value}
    return {"levels": list(axis.levels), "has_infrequent": axis.has_infrequent}


def n_knots(axis):
    return axis.n_levels if axis.edges is None else len(axis.edges) + axis.has_missing_code


def tables_of(student, seed=0):
    """A table for every pair of columns and every kind of axis, with random values."""
    rng, columns = np.random.default_rng(seed), range(len(student.encoding_.columns))
    width = len(student.intercept_)
    return [
        ((a, b), axes, rng.normal(size=(n_knots(axes[0]), n_knots(axes[1]), width)))
        for a in columns
        for b in columns[a + 1 :]
        for axes in itertools.product(own_axes(student, a), own_axes(student, b))
    ]


def knot_weights(axis, values):
    """How much of every knot the cells of a column take, of shape (n_samples, n_knots)."""
    values = np.array(values, dtype=object if axis.edges is None else np.float64)
    u, n = axis.positions(values), n_knots(axis)
    if axis.edges is None:
        return (u[:, None] == np.arange(n)).astype(float)
    hats = [np.interp(u, range(len(axis.edges)), hat) for hat in np.eye(len(axis.edges))]
    found = np.zeros((len(u), n))
    found[:, : len(hats)] = np.nan_to_num(np.transpose(hats))
    found[np.isnan(u), -1] = 1.0
    return found


def of_tables(tables, X):
    """What tables add to the outputs of rows."""
    total = 0
    for (a, b), (axis_a, axis_b), values in tables:
        of_a = knot_weights(axis_a, values_of(X, a, axis_a))
        of_b = knot_weights(axis_b, values_of(X, b, axis_b))
        total = total + np.einsum("ni,nj,ijk->nk", of_a, of_b, values)
    return total


def values_of(X, j, axis):
    values = X.iloc[:, j]
    if axis.edges is not None:
        return values.to_numpy(dtype=float)
    values = values.astype(object)
    return values.where(values.notna(), None).tolist()


@pytest.mark.parametrize("n_classes", [0, 1, 2, 3])
@pytest.mark.filterwarnings("ignore:Most categories")
def test_a_table_is_the_same_function_with_the_levels_of_its_columns(n_classes, frame):
    y = np.arange(600) % max(n_classes, 1)
    kind = LinearStudentClassifier if n_classes else LinearStudentRegressor
    student = kind(6, max_categories=3).fit(frame, y)
    tables = tables_of(student)
    assert {len(own_axes(student, j)) for j in range(5)} == {1, 4}
    model = lean_model(with_tables(student, tables))
    odd = frame.assign(country="never seen", amount=frame["amount"] * 1e3 - 50)
    odd["code"] = pd.Categorical(np.where(frame.index % 2, 3, 12))
    for X in frame, odd, frame.assign(amount=np.nan, constant=np.nan, country=None):
        added = outputs_of(model, X) - outputs_of(replace(model, tables=()), X)
        np.testing.assert_allclose(added, of_tables(tables, X), atol=1e-10)


def outputs_of(model, X):
    """The outputs of a model before the link, one after the other."""
    width = len(model.intercept)
    each = [
        replace(
            model,
            classes=None,
            curves=tuple(curve[:, [k]] for curve in model.curves),
            intercept=model.intercept[[k]],
            tables=tuple(replace(t, values=t.values[..., [k]]) for t in model.tables),
        )
        for k in range(width)
    ]
    return np.transpose([LeanScorer(one, "numpy").batch(X) for one in each])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_table_that_bends_where_its_curve_does_not_is_refused(engine):
    model = additive()
    table = model.tables[0]
    wrong = replace(table, edges=(table.edges[0] + 1e-6, table.edges[1]))
    with pytest.raises(ValueError, match=r"A table of column 'amount' has the edges .*; some of"):
        LeanScorer(replace(model, tables=(wrong,)), engine)


def test_tables_and_sums_beyond_float_are_refused_in_float():
    tables, trees = additive(), tree_sum()
    large = replace(tables.tables[1], values=tables.tables[1].values * 1e39)
    for model, what in [
        (replace(tables, tables=(tables.tables[0], large)), "A table of two columns holds"),
        (replace(trees, value=trees.value * 1e39), "A leaf predicts"),
        (replace(trees, intercept=np.array([1e39])), "The intercept is"),
    ]:
        with pytest.raises(ValueError, match=rf"{what} .*; a float holds numbers up to 3.4e\+38"):
            c_source(model, dtype="float")
        assert "student_score(" in c_source(model)


@each_model
def test_c_names_the_kind_of_model(model):
    schema = c_source(model).rpartition("schema[] = {")[2].partition("}")[0]
    text = bytes(int(byte) for byte in schema.replace("\n", "").split(",")).decode().rstrip("\0")
    kind = "tree_sum" if isinstance(model, LeanTree) else "network"
    assert json.loads(text)["kind"] == kind
