"""Readable students as SQL: in DuckDB, in PostgreSQL, and in dialects that are parsed."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from test_pairs_and_sums import CLASSES, additive, by_definition, some_rows

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    TreeStudentClassifier,
    TreeStudentRegressor,
    TreeSumStudentClassifier,
    TreeSumStudentRegressor,
    to_sql,
    verify,
)
from skdistill.columns import PlainColumns
from skdistill.exceptions import ParityError
from skdistill.export.certificate import read_certificate
from skdistill.export.parity_sample import parity_sample, student_answers
from skdistill.export.sql.to_sql import DIALECTS, FORMS
from skdistill.export.student_content import student_content
from skdistill.scorer.student_content import lean_model
from skdistill.students.kinds import of_form

duckdb = pytest.importorskip("duckdb")
sqlglot = pytest.importorskip("sqlglot")

from skdistill.export.sql import run, statement  # noqa: E402
from skdistill.export.sql.names import Names, result_names  # noqa: E402
from skdistill.export.sql.run import POSITION  # noqa: E402

#: What a name may be when people are free to choose.
NASTY = "a\"b'; DROP TABLE x; --"

LEVELS = [
    "it's",
    'say "hi"',
    "back\\slash",
    "\\n",
    "new\nline",
    "\t",
    "x'; DROP TABLE x; --",
    "/* c */",
    "日本",
    "",
    " ",
    "NULL",
    "$$",
    "{{ a }}",
]


#: Numbers with numbers, numbers with text, and categories that are numbers with text.
PAIRS = [("amount", "count"), ("amount", "city"), ("kind", "grade")]


def crossed(frame, score):
    """Add something to a score by every pair."""
    high, many = frame["amount"] > 100, frame["count"] > 4
    score = score + 3 * (high & many) + 3 * (high & (frame["city"] == "Graz"))
    return score + 3 * ((frame["grade"] == 1.5) & (frame["kind"] == "a"))


@pytest.fixture(scope="module")
def frame(mixed_frame):
    return with_grades(mixed_frame(400)[0])


def with_grades(frame):
    """Add categories that are numbers."""
    grades = np.where(frame["count"] > 6, np.nan, frame["count"] % 4 + 0.5)
    return frame.assign(grade=pd.Categorical(grades))


@pytest.fixture(scope="module")
def students(frame, mixed_frame):
    """Every kind of student that SQL can be made from, fitted on every kind of column."""
    score = mixed_frame(400)[2]
    rank = np.digitize(score, np.quantile(score, [0.3, 0.6]))
    text = np.array(["it's", "no"])[(rank > 0).astype(int)]
    both, pairs = crossed(frame, score), {"interactions": PAIRS, "interaction_bins": 2, "C": 10.0}
    return {
        "tree, two classes": TreeStudentClassifier().fit(frame, text),
        "tree, three classes": TreeStudentClassifier(max_leaf_nodes=40).fit(frame, rank - 1),
        "tree, one class": TreeStudentClassifier().fit(frame, np.full(400, "all")),
        "tree, values": TreeStudentRegressor(max_leaf_nodes=40).fit(frame, score),
        "sum, two classes": TreeSumStudentClassifier().fit(frame, text),
        "sum, three classes": TreeSumStudentClassifier(max_splits=20).fit(frame, rank - 1),
        "sum, one class": TreeSumStudentClassifier().fit(frame, np.full(400, "all")),
        "sum, values": TreeSumStudentRegressor().fit(frame, score),
        "curves, two classes": LinearStudentClassifier().fit(frame, rank > 0),
        "curves, three classes": LinearStudentClassifier(n_bins=4).fit(frame, rank / 2 * 2),
        "curves, one class": LinearStudentClassifier(n_bins=2).fit(frame, np.zeros(400, int)),
        "curves, values": LinearStudentRegressor().fit(frame, score),
        "pairs, two classes": LinearStudentClassifier(8, **pairs).fit(frame, both > 3),
        "pairs, three classes": LinearStudentClassifier(3, **pairs).fit(
            frame, np.digitize(both, [2, 4])
        ),
        "pairs, values": LinearStudentRegressor(8, **pairs).fit(frame, both),
        "lines, values": LinearStudentRegressor(n_bins=1).fit(frame, score),
    }


KINDS = [
    "tree, two classes",
    "tree, three classes",
    "tree, one class",
    "tree, values",
    "sum, two classes",
    "sum, three classes",
    "sum, one class",
    "sum, values",
    "curves, two classes",
    "curves, three classes",
    "curves, one class",
    "curves, values",
    "pairs, two classes",
    "pairs, three classes",
    "pairs, values",
    "lines, values",
]


def lean(student):
    return lean_model(student_content(student))


def expected(student, X):
    """Answers of a student, of shape (n_samples, n_answers)."""
    if hasattr(student, "classes_"):
        return student.predict_proba(X)
    return student.predict(X)[:, None]


def sql_of(*args, **kwargs):
    return to_sql(*args, **kwargs).content


def scored(sql, frame, table="t"):
    """Run expressions, or a query over the table t, in DuckDB."""
    query = sql if sql.startswith("SELECT") else f"SELECT\n{sql}\nFROM {table}"
    with duckdb.connect() as connection:
        connection.register("given", frame)
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM given")
        return connection.execute(query).df()


def answers_in(result, student):
    return result.iloc[:, -expected_width(student) :].to_numpy(dtype=float)


def expected_width(student):
    return len(student.classes_) if hasattr(student, "classes_") else 1


def assert_same(result, student, X, atol=2e-6):
    np.testing.assert_allclose(answers_in(result, student), expected(student, X), atol=atol)
    if hasattr(student, "classes_"):
        assert result["label"].tolist() == student.predict(X).tolist()


# ---------------------------------------------------------------- the same answers


@pytest.mark.parametrize("kind", KINDS)
def test_expressions_answer_as_the_student(kind, students, frame):
    assert_same(scored(sql_of(students[kind]), frame), students[kind], frame)


@pytest.mark.parametrize("kind", KINDS)
def test_a_select_answers_as_the_student(kind, students, frame):
    sql = sql_of(students[kind], table="t")
    result = scored(sql, frame)
    assert_same(result, students[kind], frame)
    assert result.columns[: frame.shape[1]].tolist() == frame.columns.tolist()


def test_a_view_answers_as_the_student(students, frame):
    student = students["curves, three classes"]
    sql = sql_of(student, table="raw.t", view="out.scored", keep=["id"])
    with duckdb.connect() as connection:
        connection.register("given", frame.assign(id=range(len(frame))))
        connection.execute("CREATE SCHEMA raw; CREATE SCHEMA out")
        connection.execute("CREATE TABLE raw.t AS SELECT * FROM given")
        connection.execute(sql)
        result = connection.execute('SELECT * FROM "out"."scored" ORDER BY id').df()
    assert_same(result, student, frame)
    names = ["id", "label", "probability_0.0", "probability_1.0", "probability_2.0"]
    assert result.columns.tolist() == names


@pytest.mark.parametrize("kind", ["tree, three classes", "curves, two classes"])
def test_a_hundred_thousand_rows_answer_as_the_student(kind, students, mixed_frame):
    many = with_grades(mixed_frame(100_000, seed=1)[0])
    assert_same(scored(sql_of(students[kind], table="t"), many), students[kind], many)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_dialect_answers_as_the_student_once_translated(kind, dialect, students):
    student = students[kind]
    form = {"table": ("a b", "c", "d"), "view": ("e", "f"), "keep": ["id"]}
    sql = sql_of(student, dialect=dialect, **form)
    sample = parity_sample(student, lean(student))
    answers = run.run_sql(sql, lean(student), sample.rows, dialect=dialect, **form)
    assert np.abs(answers - sample.answers).max() < 2e-6


def test_a_distiller_and_a_search_are_exported_as_their_student(binary_task, forest):
    X, y = binary_task
    distiller = DistilledClassifier(forest, random_state=0).fit(X, y)
    assert sql_of(distiller) == sql_of(distiller.student_)
    search = GridSearchCV(TreeStudentClassifier(), {"max_leaf_nodes": [4]}, cv=2).fit(X, y)
    assert sql_of(search) == sql_of(search.best_estimator_)


def answers_of_model(model, rows):
    sql = statement.write_expressions(model, Names((), ("prediction",)), "duckdb")
    return run.run_sql(sql, model, rows, dialect="duckdb")


def test_scale_and_shift_of_the_model_are_part_of_the_sum(students):
    model = lean(students["curves, values"])
    rows = parity_sample(students["curves, values"], model).rows
    scaled = answers_of_model(replace(model, scale=2.0, shift=3.0), rows)
    np.testing.assert_allclose(scaled, 2.0 * answers_of_model(model, rows) + 3.0)


def test_categories_that_add_the_same_share_a_branch(students):
    model = lean(students["curves, values"])
    j = next(j for j, column in enumerate(model.columns) if column.name == "kind")
    same = model.curves[j].copy()
    same[0] = same[1]
    model = replace(model, curves=(*model.curves[:j], same, *model.curves[j + 1 :]))
    rows = parity_sample(students["curves, values"], model).rows

    def with_kind(level):
        values = list(rows.values)
        values[j] = np.full(len(rows), level, dtype=object)
        return PlainColumns(tuple(values))

    first, second, other = (
        answers_of_model(model, with_kind(level)) for level in (*model.columns[j].levels[:2], "z")
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).min() > 0.01


@pytest.mark.parametrize("dialect", [*DIALECTS, None])
@pytest.mark.parametrize("kind", CLASSES)
def test_tables_of_pairs_are_bilinear_between_their_knots(kind, dialect):
    model, cells = additive(kind), some_rows(additive(kind), 500)
    if dialect is None:
        dialect, form = "duckdb", {}
        sql = statement.write_expressions(model, answer_names(model, form), dialect)
    else:
        form = {"table": ("t",), "keep": ["amount"]}
        sql = statement.write_select(model, answer_names(model, form), dialect, **form)
    answers = run.run_sql(sql, model, PlainColumns(tuple(cells.values())), dialect=dialect, **form)
    expected = by_definition(model, cells).reshape(answers.shape)
    np.testing.assert_allclose(answers, expected, rtol=1e-12, atol=1e-14)


def answer_names(model, form):
    return result_names(model, "duckdb", table=form.get("table"), keep=form.get("keep"), rename={})


def test_a_query_places_every_column_once_however_many_pairs_it_is_in(students):
    student = students["pairs, two classes"]
    sql = sql_of(student, table="t")
    assert {pair[:2] for pair in student.interactions_} == set(PAIRS)
    assert sum(f'AS "skdistill_knot_{k}"' in sql for k in range(9)) == 5
    assert sum(f'AS "skdistill_share_{k}"' in sql for k in range(9)) == 2


@pytest.mark.parametrize(
    "kind", [f"{form}, {n} classes" for form in ("sum", "pairs") for n in ("two", "three")]
)
def test_the_margins_of_a_sum_stand_beside_its_probabilities(kind, students, frame):
    student = students[kind]
    result = scored(sql_of(student, table="t"), frame)
    names = [name for name in result.columns if name.startswith(("log_odds", "margin_"))]
    assert len(names) == (1 if len(student.classes_) == 2 else 3)
    expected = student._margins(frame)[:, -len(names) :]
    np.testing.assert_allclose(result[names].to_numpy(), expected, atol=1e-9)


def test_a_sum_asks_every_tree_and_adds_up(students, frame):
    model = lean(students["sum, values"])
    rows = parity_sample(students["sum, values"], model).rows
    whole = answers_of_model(model, rows)
    for k, root in enumerate(model.roots):
        end = [*model.roots[1:], len(model.value)][k]
        value = model.value.copy()
        value[root:end] = 0
        part = whole - answers_of_model(replace(model, value=value), rows)
        assert set(np.round(part[:, 0], 9)) <= set(np.round(model.value[root:end, 0], 9))
        assert np.ptp(part) > 0


def test_columns_of_an_array_are_called_x0_x1(binary_task):
    X, y = binary_task
    student = LinearStudentClassifier().fit(X, y)
    table = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    assert_same(scored(sql_of(student), table), student, X)


def test_numbers_on_a_threshold_go_the_right_way(rng):
    X = rng.normal(size=(500, 1))
    student = TreeStudentRegressor(max_leaf_nodes=30).fit(X, np.sin(5 * X[:, 0]))
    thresholds = student.tree_.threshold[student.tree_.children_left >= 0]
    exact = lean(student).threshold[lean(student).feature >= 0]
    near = [np.nextafter(exact, -np.inf), exact, np.nextafter(exact, np.inf), thresholds]
    at = np.concatenate(near)[:, None]
    result = scored(sql_of(student), pd.DataFrame(at, columns=["x0"]))
    np.testing.assert_array_equal(result["prediction"], student.predict(at))


def test_real_rows_are_compared_as_well(students, frame, tmp_path):
    student = students["tree, values"]
    certificates = []
    for X in (None, frame):
        sql_of(student, tmp_path / "student.sql", X)
        certificates.append(read_certificate(tmp_path / "student.sql")[0])
    assert certificates[1].n_rows == certificates[0].n_rows + len(frame)


# ---------------------------------------------------------------- missing, unknown, infinite


@pytest.mark.parametrize("kind", ["tree, three classes", "tree, values", "curves, two classes"])
def test_null_counts_as_missing(kind, students, frame):
    # Of the tables in this test, DuckDB holds None as NULL.
    student = students[kind]
    empty = frame.copy()
    for name in ("amount", "city", "kind", "grade"):
        empty[name] = pd.Series([None] * len(frame), dtype=frame[name].dtype)
    assert_same(scored(sql_of(student), empty), student, empty)
    assert np.abs(expected(student, empty) - expected(student, frame)).max() > 0.1


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "bigquery"])
@pytest.mark.parametrize("kind", ["tree, three classes", "tree, values", "curves, two classes"])
def test_nan_counts_as_missing(kind, dialect, students, frame):
    student = students[kind]
    sql = sqlglot.transpile(
        "SELECT " + sql_of(student, dialect=dialect) + " FROM t", read=dialect, write="duckdb"
    )[0]
    with duckdb.connect() as connection:
        connection.register("given", frame)
        nan = ", ".join(f"'nan'::DOUBLE AS {name}" for name in ("amount", "grade", "count"))
        connection.execute(f"CREATE TABLE t AS SELECT * REPLACE ({nan}) FROM given")
        assert (
            connection.execute("SELECT count(amount), count(grade) FROM t").fetchone() == (400,) * 2
        )
        result = connection.execute(sql).df()
    missing = frame.assign(amount=np.nan, grade=pd.Categorical([np.nan] * 400), count=np.nan)
    assert_same(result, student, missing)


def reads(student, j):
    return j in lean(student).feature


@pytest.mark.parametrize("form", [{}, {"table": "t", "keep": []}])
@pytest.mark.parametrize("kind", KINDS)
def test_an_infinite_number_gives_null(kind, form, students, frame):
    student = students[kind]
    columns = ["amount", "count", "flag"]
    if kind.startswith(("tree", "sum")):
        used = {column.name for j, column in enumerate(lean(student).columns) if reads(student, j)}
        columns = sorted(used & set(columns))
    sql = sql_of(student, **form)
    for name in columns:
        for value in (np.inf, -np.inf):
            one = frame.iloc[:2].astype({name: float})
            one.loc[0, name] = value
            result = scored(sql, one)
            assert result.iloc[0].isna().all(), (name, value)
            assert result.iloc[1].notna().all()
    assert columns or kind in ("tree, one class", "sum, one class")


def test_a_split_between_missing_and_known_numbers_is_kept(rng):
    X = rng.normal(size=(200, 1))
    X[::4] = np.nan
    student = TreeStudentRegressor(max_leaf_nodes=2).fit(X, np.isnan(X[:, 0]).astype(float))
    assert np.isinf(student.tree_.threshold[0])
    for dialect in DIALECTS:
        assert sql_of(student, dialect=dialect)
    result = scored(sql_of(student), pd.DataFrame(X, columns=["x0"]))
    np.testing.assert_array_equal(result["prediction"], np.isnan(X[:, 0]))


@pytest.mark.filterwarnings("ignore:Most categories")
def test_categories_never_seen_go_where_the_student_sends_them(students, frame):
    strange = frame.head(50).assign(city="Ried", kind=pd.Categorical(["z"] * 50))
    strange["grade"] = pd.Categorical([99.5] * 50)
    for kind in ("tree, values", "curves, values"):
        assert_same(scored(sql_of(students[kind]), strange), students[kind], strange)


def test_tiny_numbers_next_to_an_edge_at_zero_have_no_tiny_distance(rng):
    # PostgreSQL refuses to multiply them: underflow.
    student = LinearStudentRegressor(n_bins=2).fit(np.array([[0.0], [1.0], [2.0]] * 9), range(27))
    assert "- 0e0" not in sql_of(student)


# ---------------------------------------------------------------- names and literals


@pytest.fixture(scope="module")
def nasty():
    rng = np.random.default_rng(0)
    n = 400
    X = pd.DataFrame(
        {
            NASTY: rng.normal(size=n),
            "select": rng.normal(size=n),
            "`tick\\": rng.normal(size=n),
            "Ünï\ncödé": rng.choice(LEVELS, n),
        }
    )
    labels = np.array(["it's", "b\\n", 'q"`; --'])
    return X, labels[X.iloc[:, 3].map(LEVELS.index).to_numpy() % 3]


@pytest.mark.parametrize("make", [TreeStudentClassifier, LinearStudentClassifier])
def test_no_name_or_category_gets_out_of_its_quotes(make, nasty):
    X, y = nasty
    student = make().fit(X, y)
    sql = sql_of(student, table=(NASTY,), view='v"; --')
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE x AS SELECT 1")
        connection.register("given", X)
        quoted = '"' + NASTY.replace('"', '""') + '"'
        connection.execute(f"CREATE TABLE {quoted} AS SELECT * FROM given")
        connection.execute(sql)
        result = connection.execute('SELECT * FROM "v""; --"').df()
        assert connection.execute("SELECT * FROM x").fetchall() == [(1,)]
    assert_same(result, student, X)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("make", [TreeStudentClassifier, partial(LinearStudentClassifier, 4)])
def test_every_dialect_parses_to_one_statement_that_is_the_same(make, dialect, nasty):
    X, y = nasty
    sql = sql_of(make().fit(X, y), X=X, dialect=dialect, table="s.t", view="v")
    statements = sqlglot.parse(sql, read=dialect)
    assert len(statements) == 1
    assert statements[0].sql(dialect=dialect) == sql
    levels = {each.this for each in statements[0].find_all(sqlglot.exp.Literal) if each.is_string}
    assert {"it's", "b\\n", 'q"`; --'} <= levels
    columns = {each.name for each in statements[0].find_all(sqlglot.exp.Column)}
    assert "Ünï\ncödé" in columns


def test_columns_and_tables_are_always_quoted(students):
    for kind in ("tree, two classes", "curves, two classes"):
        parsed = sqlglot.parse_one(sql_of(students[kind], table="a.t", view="v"), read="duckdb")
        assert all(each.quoted for each in parsed.find_all(sqlglot.exp.Identifier))


@pytest.mark.parametrize("dialect", ["postgres", "snowflake"])
def test_dialects_without_isnan_compare_with_nan(dialect, students):
    for kind in ("tree, values", "curves, values"):
        sql = sql_of(students[kind], dialect=dialect).upper()
        assert "'NAN'" in sql
        assert "ISNAN" not in sql
        assert "IS_NAN" not in sql


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_literal_of_a_number_is_a_decimal(dialect, students):
    sql = sql_of(students["curves, values"], dialect=dialect)
    parsed = sqlglot.parse_one("SELECT " + sql, read=dialect)
    literals = [each for each in parsed.find_all(sqlglot.exp.Literal) if not each.is_string]
    if dialect in ("postgres", "snowflake"):  # there a literal is exact, whatever its form
        assert not literals
    else:
        assert literals
        assert all("e" in each.this for each in literals)


def test_numbers_keep_all_their_digits(rng):
    y = rng.normal(size=100) * 10.0 ** rng.integers(-100, 100, 100)
    X = np.arange(100.0)[:, None]
    student = TreeStudentRegressor(max_leaf_nodes=None, min_samples_leaf=1).fit(X, y)
    table = pd.DataFrame(X, columns=["x0"])
    for dialect in DIALECTS:
        sql = sqlglot.transpile(
            "SELECT " + sql_of(student, dialect=dialect) + " FROM t", read=dialect, write="duckdb"
        )[0]
        np.testing.assert_array_equal(scored(sql, table)["prediction"], student.predict(X))


def test_results_can_be_renamed(students, frame):
    rename = {"label": "churn", "log_odds": "score", "probability_True": "p"}
    sql = sql_of(students["curves, two classes"], table="t", rename=rename)
    added = scored(sql, frame).columns[frame.shape[1] :]
    assert added.tolist() == ["score", "churn", "probability_False", "p"]
    assert 'AS "churn"' in sql_of(students["tree, two classes"], rename={"label": "churn"})
    with pytest.raises(ValueError, match=r"rename mentions \['labels'\]; the results are"):
        sql_of(students["tree, two classes"], rename={"labels": "churn"})


def test_a_result_called_as_a_column_of_the_table_is_refused_until_it_is_renamed(frame):
    X = frame.rename(columns={"amount": "Prediction"})
    student = TreeStudentRegressor().fit(X, X["count"])
    with pytest.raises(ValueError, match="would be called 'prediction'"):
        sql_of(student, table="t")
    renamed = sql_of(student, table="t", rename={"prediction": "expected"})
    np.testing.assert_allclose(scored(renamed, X)["expected"], student.predict(X))
    assert sql_of(student, table="t", keep=["count"])
    assert sql_of(student)


def test_classes_that_differ_in_case_only_need_other_names(frame):
    student = TreeStudentClassifier().fit(frame, np.where(frame["flag"], "yes", "Yes"))
    with pytest.raises(ValueError, match="would be called 'probability_yes'"):
        sql_of(student, table="t")
    sql = sql_of(student, table="t", rename={"probability_yes": "p"})
    assert_same(scored(sql, frame), student, frame)


def test_names_of_results_hold_no_signs_in_bigquery(nasty):
    sql = sql_of(TreeStudentClassifier().fit(*nasty), dialect="bigquery", table="t", keep=[])
    parsed = sqlglot.parse_one(sql, read="bigquery")
    names = ["label", "probability_b_n", "probability_it_s", "probability_q______"]
    assert parsed.named_selects == names


# ---------------------------------------------------------------- names of the user's table


def hostile(frame, student):
    """Add columns called as the results and as what is inside of the queries, of other values."""
    classes = [str(each) for each in getattr(student, "classes_", [])]
    names = ["label", "log_odds", "prediction", POSITION, statement.ROWS, statement.ANSWERS]
    names += [f"{kind}_{each}" for each in classes for kind in ("margin", "probability")]
    names += [name for step in statement.step_columns(lean(student)) for name in step]
    names += ["skdistill_step_1"]
    return frame.assign(id=range(len(frame)), skdistill_step_0=5.0, **dict.fromkeys(names, 7.0))


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "bigquery"])
@pytest.mark.parametrize("form", [{}, {"table": "t", "keep": ["id"]}])
@pytest.mark.parametrize("kind", KINDS)
def test_no_column_of_the_table_is_taken_for_a_result(kind, form, dialect, students, frame):
    student = students[kind]
    sql = sql_of(student, dialect=dialect, **form)
    if dialect != "duckdb":
        query = sql if form else f"SELECT {sql} FROM t"
        sql = sqlglot.transpile(query, read=dialect, write="duckdb")[0]
    assert_same(scored(sql, hostile(frame, student)), student, frame)


def test_columns_called_as_results_can_be_kept(students, frame):
    student = students["curves, two classes"]
    table = hostile(frame, student)
    keep = ["id", "log_odds", "skdistill_margin_0", statement.ROWS]
    result = scored(sql_of(student, table="t", keep=keep), table)
    assert_same(result, student, frame)
    assert result[keep].to_numpy().tolist() == table[keep].to_numpy().tolist()


@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
@pytest.mark.parametrize("kind", ["tree, two classes", "curves, two classes", "curves, values"])
def test_a_table_with_a_column_called_as_a_result_is_refused_by_the_database(
    kind, dialect, students, frame
):
    student = students[kind]
    sql = sql_of(student, table="t", dialect=dialect)
    if dialect != "duckdb":
        sql = sqlglot.transpile(sql, read=dialect, write="duckdb")[0]
    assert_same(scored(sql, frame.assign(id=1)), student, frame)
    for name in sqlglot.parse_one(sql, read="duckdb").named_selects:
        if name != "*":
            table = frame.assign(**{name: 7.0})
            with pytest.raises(duckdb.BinderException, match=r"(?i)ambiguous"):
                scored(sql, table)


def test_a_student_is_scored_over_the_view_of_another(students, frame):
    first, second = students["curves, two classes"], students["curves, three classes"]
    keep = frame.columns.tolist()
    with duckdb.connect() as connection:
        connection.register("given", frame)
        connection.execute("CREATE TABLE t AS SELECT * FROM given")
        connection.execute(sql_of(first, table="t", view="v1"))
        connection.execute(sql_of(second, table="v1", view="v2", keep=keep))
        connection.execute(sql_of(first, table="v2", view="v3", keep=keep))
        assert_same(connection.execute("SELECT * FROM v2").df(), second, frame)
        assert_same(connection.execute("SELECT * FROM v3").df(), first, frame)


def test_a_struct_called_as_the_query_inside_is_no_table(students, frame):
    student = students["tree, values"]
    table = frame.assign(**{statement.ROWS: [{"amount": 1e9, "count": 1e9}] * len(frame)})
    assert_same(scored(sql_of(student, table="t", keep=[]), table), student, frame)


@pytest.mark.parametrize("name", ["log_odds", "probability_True"])
def test_the_comparison_notices_a_column_taken_for_a_result(name, students):
    student = students["curves, two classes"]
    sample = parity_sample(student, lean(student))
    form = {"dialect": "duckdb", "table": ("t",), "keep": ["amount"]}
    sql = sql_of(student, table="t", keep=["amount"])
    taken = f'1e0 / (1e0 + EXP(-"skdistill_rows"."{name}"))'
    captured = f"SELECT amount, label, 1 - {taken}, {taken} FROM t AS skdistill_rows"
    assert (
        np.abs(run.run_sql(sql, lean(student), sample.rows, **form) - sample.answers).max() < 1e-6
    )
    with pytest.raises(ParityError):
        run.run_sql(captured, lean(student), sample.rows, **form)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_reference_in_a_query_names_what_it_means(dialect, students):
    for kind in KINDS:
        sql = sql_of(students[kind], dialect=dialect, table="t", keep=["amount"])
        columns = list(sqlglot.parse_one(sql, read=dialect).find_all(sqlglot.exp.Column))
        assert columns
        assert all(column.table for column in columns)


# ---------------------------------------------------------------- parity and files


def test_nothing_is_written_if_the_sql_answers_differently(students, tmp_path, monkeypatch):
    def other_model(content):
        model = lean_model(content)
        return replace(model, value=model.value + 0.01 * (model.value > 0.5))

    sql_of(students["tree, two classes"], tmp_path / "student.sql")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr("skdistill.export.sql.to_sql.lean_model", other_model)
    with pytest.raises(ParityError, match=r"rows differ by more than .* The worst row: {'amount'"):
        sql_of(students["tree, two classes"], tmp_path / "student.sql", dialect="postgres")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_wrong_labels_are_a_loss_of_parity(students):
    student = students["tree, two classes"]
    sql = (
        sql_of(student)
        .replace("'no'", "'on'")
        .replace("'it''s'", "'no'")
        .replace("'on'", "'it''s'")
    )
    rows = parity_sample(student, lean(student)).rows
    with pytest.raises(ParityError, match=r"labels .* rows with a class that is not the most prob"):
        run.run_sql(sql, lean(student), rows, dialect="duckdb")


def test_null_where_the_student_answers_is_a_loss_of_parity(students, monkeypatch):
    monkeypatch.setattr(statement, "write_expressions", lambda *a: 'NULL AS "prediction"')
    with pytest.raises(ParityError, match=r"the sql \[nan\]"):
        sql_of(students["curves, values"])


@pytest.mark.parametrize("remembered", ["NULL", "NaN"])
def test_the_comparison_notices_when_one_kind_of_missing_is_forgotten(remembered, students):
    student = students["curves, two classes"]
    sample = parity_sample(student, lean(student))
    cell = 'CAST("amount" AS DOUBLE)'
    tests = {"NULL": f"{cell} IS NULL", "NaN": f"ISNAN({cell})"}
    both = " OR ".join(tests.values())
    sql = sql_of(student)
    assert both in sql
    broken = sql.replace(both, tests[remembered])
    answers = run.run_sql(broken, lean(student), sample.rows, dialect="duckdb")
    wrong = np.abs(answers - sample.answers).max(axis=1) > 1e-3
    assert set(np.flatnonzero(wrong) % 2) == {1 if remembered == "NULL" else 0}


@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
def test_a_written_file_is_the_sql_and_can_be_verified(dialect, students, frame, tmp_path):
    form = {"dialect": dialect, "table": "s.t", "view": "v", "keep": ["id", "amount"]}
    sql = sql_of(students["tree, three classes"], tmp_path / "student.sql", **form)
    assert (tmp_path / "student.sql").read_text() == sql
    certificate, student_file = read_certificate(tmp_path / "student.sql")
    assert certificate.format == "sql"
    assert certificate.max_difference < 1e-12
    assert certificate.runtime.startswith("DuckDB ")
    assert ("translated from postgres by sqlglot" in certificate.runtime) == (dialect == "postgres")
    assert certificate.notes["dialect"] == dialect
    assert student_file is not None
    again = verify(tmp_path / "student.sql", frame)
    assert again.n_rows > certificate.n_rows


def test_sql_reaches_no_file_when_it_is_tried(students, tmp_path):
    student = students["curves, values"]
    rows = parity_sample(student, lean(student)).rows
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (
        f"SELECT * FROM t; COPY (SELECT 1) TO '{tmp_path}/stolen.csv'",
        f"SELECT a AS prediction FROM '{tmp_path}/secret.csv'",
        "SET enable_external_access = true; SELECT * FROM t",
    ):
        with pytest.raises(duckdb.Error, match=r"disabled|Cannot|Table with name"):
            run.run_sql(sql, lean(student), rows, dialect="duckdb", table=["t"])
    assert os.listdir(tmp_path) == ["secret.csv"]


# ---------------------------------------------------------------- errors


def test_an_unknown_dialect_names_those_there_are(students):
    with pytest.raises(
        ValueError, match=r"dialect='oracle' .* duckdb, postgres, snowflake, bigquery"
    ):
        sql_of(students["tree, values"], dialect="oracle")


def test_a_network_with_layers_is_refused_and_told_where_to_go(binary_task):
    pytest.importorskip("skorch")
    student = MLPStudentClassifier((16,), max_epochs=3, random_state=0).fit(*binary_task)
    with pytest.raises(
        TypeError, match=r"MLPStudentClassifier cannot .* to_onnx or to_c"
    ) as refusal:
        sql_of(student)
    names = {kind.__name__ for kind in of_form(*FORMS)}
    assert {"TreeSumStudentClassifier", "LinearStudentRegressor"} <= names
    for text in (str(refusal.value), to_sql.__doc__):
        assert all(name in text for name in names)


def test_other_estimators_are_refused(binary_task):
    with pytest.raises(TypeError, match="LogisticRegression; one of these was expected: TreeStud"):
        sql_of(LogisticRegression().fit(*binary_task))


def test_categories_of_two_kinds_name_the_column(frame):
    mixed = frame.assign(code=pd.Categorical(["a", 1] * 200))
    student = LinearStudentRegressor().fit(mixed, frame["count"])
    with pytest.raises(ValueError, match="categories of column 'code' are strings and numbers"):
        sql_of(student)


@pytest.mark.parametrize("names", [["a", "A"], ["a", ""]])
def test_columns_that_a_database_cannot_tell_apart_are_refused(names, rng):
    X = pd.DataFrame(rng.normal(size=(50, 2)), columns=names)
    with pytest.raises(ValueError, match=r"The name '[A]?' of a column is empty or names two"):
        sql_of(TreeStudentRegressor().fit(X, X.iloc[:, 0]))


def test_a_dot_in_a_name_is_refused_for_bigquery_only(rng):
    X = pd.DataFrame(rng.normal(size=(50, 1)), columns=["a.b"])
    student = TreeStudentRegressor().fit(X, X["a.b"])
    with pytest.raises(ValueError, match=r"'a\.b' has a dot"):
        sql_of(student, dialect="bigquery")
    assert '"a.b"' in sql_of(student)
    student = TreeStudentRegressor().fit(X.to_numpy(), X["a.b"])
    with pytest.raises(ValueError, match=r"'c\.d' has a dot"):
        sql_of(student, dialect="bigquery", table=("c.d",))


@pytest.mark.parametrize("name", ["", "a..b", "a.b.c.d", 3, ("a", 3), ["a"], ()])
def test_what_is_no_name_of_a_table_is_refused(name, students):
    with pytest.raises(ValueError, match=r"table=.* is no name of a table"):
        sql_of(students["tree, values"], table=name)


@pytest.mark.parametrize("keep", ["id", [1]])
def test_what_is_no_list_of_names_is_refused(keep, students):
    with pytest.raises(ValueError, match="a list of names of columns was expected"):
        sql_of(students["tree, values"], table="t", keep=keep)


@pytest.mark.parametrize("form", [{"view": "v"}, {"keep": ["id"]}])
def test_a_view_needs_a_table(form, students):
    with pytest.raises(ValueError, match="passed without table"):
        sql_of(students["tree, values"], **form)


def test_an_unwritable_path_is_noticed_before_anything_else(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        sql_of(TreeStudentRegressor(), tmp_path / "nowhere" / "student.sql")


@pytest.mark.parametrize("package", ["sqlglot", "duckdb"])
def test_a_missing_extra_says_what_to_install(package, students, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("skdistill.export.sql.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr("skdistill.export.sql.run")
    monkeypatch.delattr("skdistill.export.sql.statement")
    monkeypatch.delattr("skdistill.export.sql.expressions")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package}.*pip install sqlglot duckdb"):
        sql_of(students["tree, values"])


# ---------------------------------------------------------------- size and extremes


def many_classes(n_classes):
    X = np.random.RandomState(0).randn(10 * n_classes, 2)
    y = np.arange(len(X)) % n_classes
    return LinearStudentClassifier(n_bins=2, max_iter=5).fit(X, y), X


def test_a_query_grows_with_the_number_of_classes_not_with_its_square():
    (few, _), (many, X) = many_classes(10), many_classes(40)
    for dialect in ("duckdb", "postgres"):
        lengths = [len(sql_of(each, dialect=dialect, table="t")) for each in (few, many)]
        assert lengths[1] < 5 * lengths[0]
    table = pd.DataFrame(X, columns=["x0", "x1"])
    result = scored(sql_of(many, table="t"), table)
    assert_same(result, many, X)
    with pytest.raises(ValueError, match=r"60 classes would repeat .* Pass table="):
        sql_of(many_classes(60)[0])


def test_expressions_of_a_sum_of_too_many_classes_are_refused():
    _, X = many_classes(60)
    student = TreeSumStudentClassifier(max_splits=5).fit(X, np.arange(len(X)) % 60)
    with pytest.raises(ValueError, match=r"repeat the \d+ nodes of the trees 3,600 times"):
        sql_of(student)


def test_tables_of_pairs_count_as_parts_of_expressions():
    _, X = many_classes(20)
    students = [LinearStudentClassifier(2, interactions=n, max_iter=5) for n in (0, 1)]
    without, with_pair = (each.fit(X, np.arange(len(X)) % 20) for each in students)
    assert sql_of(without)
    with pytest.raises(ValueError, match=r"repeat the \d+ points of curves and tables 400 times"):
        sql_of(with_pair)


def test_small_probabilities_keep_their_digits(students):
    model = lean(students["curves, two classes"])
    curves = tuple(curve * 20 for curve in model.curves)
    model = replace(model, curves=curves, intercept=model.intercept * 20)
    rows = parity_sample(students["curves, two classes"], model).rows
    log_odds = 20 * students["curves, two classes"]._margins(rows)[:, 1]
    names = Names((), ("l", "p0", "p1"))
    for sql, form in (
        (statement.write_expressions(model, names, "duckdb"), {}),
        (
            statement.write_select(model, names, "duckdb", table=["t"], keep=[]),
            {"table": ["t"], "keep": []},
        ),
    ):
        answers = run.run_sql(sql, model, rows, dialect="duckdb", **form)
        assert answers.min() < 1e-20
        for column, z in zip(answers.T, (-log_odds, log_odds), strict=True):
            np.testing.assert_allclose(column, expit(np.clip(z, -700, 700)), rtol=1e-9)


def depth_of_cases(sql):
    """Largest number of CASEs within each other."""
    depth = deepest = 0
    for word in sql.replace("(", " ").replace(")", " ").split():
        depth += (word == "CASE") - (word == "END")
        deepest = max(deepest, depth)
    return deepest


def test_a_chain_of_splits_is_one_flat_case():
    X = np.exp(np.linspace(0, 80, 400))[:, None]
    student = TreeStudentRegressor(max_leaf_nodes=None, min_samples_leaf=1).fit(X, X[:, 0])
    assert student.depth_ > 50
    sql = sql_of(student)
    assert depth_of_cases(sql) <= np.log2(400)
    result = scored(sql, pd.DataFrame(X, columns=["x0"]))
    np.testing.assert_array_equal(result["prediction"], student.predict(X))


@pytest.fixture(scope="module")
def large():
    """A tree of a thousand leaves, and curves of 200 columns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8000, 200))
    y = X[:, 0] * X[:, 1] + np.sin(3 * X[:, 2]) + X[:, 3:20].sum(axis=1)
    tree = TreeStudentRegressor(max_leaf_nodes=1000, min_samples_leaf=2).fit(X[:, :8], y)
    curves = LinearStudentClassifier(n_bins=4, max_iter=20).fit(X[:500], (y > 0)[:500])
    assert tree.n_leaves_ == 1000
    return {"tree": (tree, X[:, :8]), "curves": (curves, X)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tree", "curves"])
def test_a_thousand_leaves_and_two_hundred_columns_are_no_problem(kind, large):
    student, X = large[kind]
    table = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    sql = sql_of(student, table="t")
    assert_same(scored(sql, table), student, X)
    assert depth_of_cases(sql) <= 10


def test_splits_between_equal_answers_are_left_out(rng):
    X = rng.uniform(size=(500, 1))
    student = TreeStudentClassifier(max_leaf_nodes=30, lookahead=False)
    student.fit(X, np.hstack([1 - X, X]))
    label, rest = sql_of(student).split(' AS "label"')
    assert label.count("WHEN") == 2  # infinity, and the middle
    assert rest.count("WHEN") > 50


@pytest.mark.parametrize("kind", ["curves, two classes", "curves, three classes"])
def test_margins_of_any_size_give_probabilities(kind, students):
    student = students[kind]
    model = lean(student)
    curves = tuple(curve * 3000 for curve in model.curves)
    model = replace(model, curves=curves, intercept=model.intercept * 3000)
    rows = parity_sample(student, model).rows
    margins = student._margins(rows) * 3000
    assert np.ptp(margins, axis=1).max() > 10_000
    n = len(student.classes_)
    names = Names((), tuple("abcd"[: n + 1]))
    inline = statement.write_expressions(model, names, "duckdb")
    names = Names(("log_odds",) if n == 2 else ("m0", "m1", "m2"), names.answers)
    select = statement.write_select(model, names, "duckdb", table=["t"])
    for sql, form in ((inline, {}), (select, {"table": ["t"]})):
        answers = run.run_sql(sql, model, rows, dialect="duckdb", **form)
        np.testing.assert_allclose(answers, softmax(margins, axis=1), atol=0.01)


# ---------------------------------------------------------------- PostgreSQL


class Postgres:
    """A server of its own on a socket in a temporary folder; root starts it as another user."""

    def __init__(self, programs):
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: sockets allow 107 characters
        self.prefix = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
            self.prefix = ["runuser", "-u", "postgres", "--"]

    def start(self):
        data = self.folder / "data"
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        self._run("pg_ctl", "-D", data, "-l", self.folder / "log", "-w", "-o", options, "start")

    def stop(self):
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")
        shutil.rmtree(self.folder)

    def _run(self, program, *arguments):
        command = [*self.prefix, self.programs / program, *arguments]
        # Not captured: the server would keep a pipe open.
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=120)

    def query(self, script):
        """Run a script of SQL in a transaction that is rolled back; return its output."""
        command = [self.programs / "psql", "-h", self.folder, "-U", "postgres", "-q", "-X"]
        done = subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1", "-f", "-"],
            input=f"BEGIN;\n{script}\nROLLBACK;\n".encode(),
            capture_output=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()


@pytest.fixture(scope="module")
def postgres():
    programs = shutil.which("pg_ctl")
    found = [Path(programs).resolve().parent] if programs else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [folder for folder in found if (folder / "psql").exists()]
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    if os.geteuid() == 0:
        import pwd

        if not shutil.which("runuser") or "postgres" not in {
            user.pw_name for user in pwd.getpwall()
        }:
            pytest.skip("root cannot run PostgreSQL, and there is no user postgres to run it as")
    server = Postgres(found[0])
    server.start()
    yield server
    server.stop()


def table_in_postgres(name, model, rows):
    """SQL that makes a table; missing numbers are NULL and NaN in turn."""
    texts = [column.holds_text for column in model.columns]
    names = ['"' + column.name.replace('"', '""') + '"' for column in model.columns]
    types = ["text" if text else "double precision" for text in texts]
    fields = "".join(f", {each} {kind}" for each, kind in zip(names, types, strict=True))

    def cell(value, text, i):
        if value is None or value != value:
            return "" if text or i % 2 else "NaN"
        return '"' + value.replace('"', '""') + '"' if text else repr(float(value))

    lines = [
        ",".join([str(i), *(cell(value, text, i) for value, text in zip(row, texts, strict=True))])
        for i, row in enumerate(zip(*rows.values, strict=True))
    ]
    copy = [f"COPY {name} FROM STDIN (FORMAT csv);", *lines, "\\.", ""]
    return f"CREATE TABLE {name} (id integer{fields});\n" + "\n".join(copy)


def answers_of_postgres(server, sql, model, rows, *, view=None):
    """Answers on rows, NaN where they are NULL, and labels as text."""
    script = table_in_postgres("t", model, rows)
    if view is None:
        query = sql if sql.startswith("SELECT") else f"SELECT id,\n{sql}\nFROM t"
    else:
        script, query = f"{script}{sql};", f"SELECT * FROM {view}"
    result = server.query(f"{script}\nCOPY ({query} ORDER BY id) TO STDOUT (FORMAT csv, HEADER);")
    result = pd.read_csv(io.StringIO(result), dtype=str, keep_default_na=False, na_values=[""])
    n = 1 if model.classes is None else len(model.classes)
    return result.iloc[:, -n:].to_numpy(dtype=float), result.get("label")


def labels_in_postgres(student, X):
    labels = np.asarray(student.predict(X))
    if labels.dtype == bool:
        return np.where(labels, "t", "f").tolist()
    return [f"{label:g}" if isinstance(label, float) else str(label) for label in labels.tolist()]


@pytest.mark.parametrize("kind", KINDS)
def test_postgres_answers_as_the_student(kind, postgres, students, frame):
    student, model = students[kind], lean(students[kind])
    sample = parity_sample(student, model, frame)
    sql = sql_of(student, dialect="postgres")
    answers, _ = answers_of_postgres(postgres, sql, model, sample.rows)
    np.testing.assert_allclose(answers, sample.answers, atol=2e-6)
    sql = sql_of(student, dialect="postgres", table="t", view="v", keep=["id"])
    answers, labels = answers_of_postgres(postgres, sql, model, sample.rows, view="v")
    np.testing.assert_allclose(answers, sample.answers, atol=2e-6)
    if model.classes is not None:
        assert labels.tolist()[-len(frame) :] == labels_in_postgres(student, frame)


@pytest.mark.parametrize("keep", [["id"], None])
@pytest.mark.parametrize(
    "kind", ["tree, two classes", "curves, two classes", "curves, three classes"]
)
def test_postgres_takes_no_column_of_the_table_for_a_result(kind, keep, postgres, students, frame):
    student, model = students[kind], lean(students[kind])
    rows = parity_sample(student, model, frame).rows
    steps = [name for step in statement.step_columns(model) for name in step]
    others = [*(steps if keep else []), "skdistill_step_0", statement.ROWS, statement.ANSWERS]
    if keep:
        others += ["label", "log_odds", *(f"margin_{each}" for each in model.classes)]
    also = "".join(f', ADD COLUMN "{name}" integer DEFAULT 7' for name in others)
    script = table_in_postgres("t", model, rows) + f"ALTER TABLE t {also.removeprefix(', ')};"
    sql = sql_of(student, dialect="postgres", table="t", view="v", keep=keep)
    found = postgres.query(
        f"{script}\n{sql};\nCOPY (SELECT * FROM v ORDER BY id) TO STDOUT (FORMAT csv, HEADER);"
    )
    result = pd.read_csv(io.StringIO(found))
    np.testing.assert_allclose(
        answers_in(result, student), student_answers(student, rows), atol=2e-6
    )


def test_postgres_refuses_a_table_with_a_column_called_as_a_result(postgres, students):
    student, model = students["curves, two classes"], lean(students["curves, two classes"])
    rows = PlainColumns(tuple(each[:5] for each in parity_sample(student, model).rows.values))
    script = table_in_postgres("t", model, rows) + "ALTER TABLE t ADD COLUMN label integer;"
    sql = sql_of(student, dialect="postgres", table="t")
    with pytest.raises(AssertionError, match='"label" is ambiguous'):
        postgres.query(f"{script}\n{sql};")


@pytest.mark.parametrize("make", [TreeStudentClassifier, LinearStudentClassifier])
def test_postgres_reads_any_name_and_category(make, postgres, nasty):
    student = make().fit(*nasty)
    sample = parity_sample(student, lean(student), nasty[0])
    sql = sql_of(student, dialect="postgres", table="t", view='"; --', keep=["id"])
    answers, labels = answers_of_postgres(
        postgres, sql, lean(student), sample.rows, view='"""; --"'
    )
    np.testing.assert_allclose(answers, sample.answers, atol=2e-6)
    assert labels.tolist()[-400:] == student.predict(nasty[0]).tolist()


@pytest.mark.parametrize("kind", ["tree, three classes", "curves, three classes", "curves, values"])
def test_postgres_answers_null_for_an_infinite_number(kind, postgres, students, frame):
    student = students[kind]
    rows = parity_sample(student, lean(student)).rows
    first = next(j for j, each in enumerate(lean(student).columns) if each.name == "amount")
    values = [each[:50] for each in rows.values]
    values[first] = np.tile([np.inf, -np.inf, 1.0, np.nan, 0.0], 10)
    sql = sql_of(student, dialect="postgres")
    answers, labels = answers_of_postgres(postgres, sql, lean(student), PlainColumns(tuple(values)))
    infinite = np.isinf(values[first])
    assert np.isnan(answers[infinite]).all()
    assert np.isfinite(answers[~infinite]).all()
    assert labels is None or (labels.isna() == infinite).all()


@pytest.mark.parametrize("kind", ["curves, two classes", "curves, three classes"])
def test_postgres_neither_overflows_nor_underflows(kind, postgres, students):
    student = students[kind]
    model = lean(student)
    curves = tuple(curve * 3000 for curve in model.curves)
    model = replace(model, curves=curves, intercept=model.intercept * 3000)
    rows = parity_sample(student, model).rows
    n = len(student.classes_)
    sql = statement.write_expressions(model, Names((), tuple("abcd"[: n + 1])), "postgres")
    answers, _ = answers_of_postgres(postgres, sql, model, rows)
    np.testing.assert_allclose(answers, softmax(student._margins(rows) * 3000, axis=1), atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tree", "curves"])
def test_postgres_takes_a_thousand_leaves_and_two_hundred_columns(kind, postgres, large):
    student, X = large[kind]
    rows = PlainColumns(tuple(np.ascontiguousarray(column) for column in X[:300].T))
    sql = sql_of(student, dialect="postgres", table="t", keep=["id"])
    answers, _ = answers_of_postgres(postgres, sql, lean(student), rows)
    np.testing.assert_allclose(answers, expected(student, X[:300]), atol=2e-6)
