"""Runs exported SQL in DuckDB."""

from numbers import Real

import duckdb
import numpy as np
import sqlglot
from sqlglot import exp

from skdistill.exceptions import ParityError
from skdistill.export.sql import syntax
from skdistill.export.sql.names import usual_names
from skdistill.export.sql.statement import ANSWERS, ROWS, step_columns
from skdistill.export.sql.syntax import quoted
from skdistill.scorer.model import n_answers

#: A label whose probability is this far below the largest is wrong, not a tie.
TIE = 1e-9

#: Column of the table that tells the order of the rows, where all columns are kept.
POSITION = "skdistill_position"


def run_sql(sql, model, rows, *, dialect, table=None, view=None, keep=None, rename=None):
    """Run what `to_sql` wrote (expressions, a SELECT or a CREATE VIEW) on rows of `Sample`.

    DuckDB's dialect is run unchanged, any other is translated first. Missing numbers become NULL
    and NaN in turn. Returns predictions of shape (n_samples, n_answers), NaN for NULL; ParityError
    if a label is not that of the most probable class.
    """
    others = _other_columns(model, dialect, table, keep, rename or {})
    if table is None:
        table = ["rows"]
        sql = f"SELECT\n{sql}\nFROM {quoted('rows').sql(dialect=dialect)}"
    if dialect != "duckdb":
        sql = _translated(sql, dialect)
    with duckdb.connect(":memory:") as connection:
        for parts in (table, view or ()):
            _make_schema(connection, parts[:-1])
        _make_table(connection, _in_duckdb(syntax.table(table)), model, rows, others)
        # The file is untrusted: it can read this table and nothing else.
        connection.execute("SET enable_external_access = false")
        connection.execute("SET preserve_insertion_order = true")
        connection.execute(sql)
        if view is not None:
            connection.execute(f"SELECT * FROM {_in_duckdb(syntax.table(view))}")
        found = connection.fetchnumpy()
    order = np.argsort(found[POSITION]) if POSITION in found else slice(None)
    columns = [column[order] for column in found.values()]
    n = n_answers(model)
    answers = np.stack([_floats(column) for column in columns[-n:]], axis=1)
    if model.classes is not None:
        _check_labels(columns[-n - 1].tolist(), answers, model.classes)
    return answers


def runtime(dialect):
    """Name what runs SQL of a dialect here, with versions."""
    name = f"DuckDB {duckdb.__version__}"
    if dialect == "duckdb":
        return name
    return f"{name}, translated from {dialect} by sqlglot {sqlglot.__version__}"


def _make_schema(connection, parts):
    """Make the catalog and the schema that a name mentions."""
    names = [_in_duckdb(quoted(part)) for part in parts]
    if len(names) == 2:
        connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {names[0]}")
    if names:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {'.'.join(names)}")


def _other_columns(model, dialect, table, keep, rename):
    """Name columns of the table that the student does not read.

    They are those that are kept and, unless all columns are, some that are named like the results,
    steps and inner queries of the SQL, which it must not confuse with them.
    """
    others = [*(keep or ()), POSITION, ROWS, ANSWERS]
    if table is None or keep is not None:
        usual = [name for names in usual_names(model, dialect) for name in names]
        others += [
            *usual,
            *rename.values(),
            *(name for names in step_columns(model) for name in names),
        ]
    known = {column.name.lower() for column in model.columns}
    different = {name.lower(): name for name in reversed(others) if name.lower() not in known}
    return list(different.values())


def _translated(sql, dialect):
    """Write SQL in DuckDB's dialect; OFFSET 0 changes nothing but plans, and there the order."""
    statement = sqlglot.parse_one(sql, read=dialect)
    for offset in statement.find_all(exp.Offset):
        offset.pop()
    return statement.sql(dialect="duckdb", copy=False)


def _make_table(connection, table, model, rows, others):
    """Make the table that the SQL reads."""
    pairs = list(zip(model.columns, rows.values, strict=True))
    cells = {
        f"c{j}": _text_cells(values) if column.holds_text else _number_cells(values, column)
        for j, (column, values) in enumerate(pairs)
    }
    connection.register("parity_rows", {"position": np.arange(len(rows)), **cells})
    selected = [
        f"{_cell(name, column)} AS {_in_duckdb(quoted(column.name))}"
        for name, column in zip(cells, model.columns, strict=True)
    ]
    selected += [f"position AS {_in_duckdb(quoted(name))}" for name in others]
    columns = ", ".join(selected)
    connection.execute(f"CREATE TABLE {table} AS SELECT {columns} FROM parity_rows")
    connection.unregister("parity_rows")


def _cell(name, column):
    if column.holds_text:
        return f"CAST({name} AS VARCHAR)"
    return f"CASE WHEN {name} IS NULL AND position % 2 = 1 THEN 'nan'::DOUBLE ELSE {name} END"


def _text_cells(values):
    cells = np.empty(len(values), dtype=object)
    cells[:] = [None if value is None else str(value) for value in values]
    return cells


def _number_cells(values, column):
    """Numbers with NaN where missing; a text, which is no level, becomes one that is none."""
    if not column.is_nominal:
        return values
    unknown = max(column.levels) + 1.0
    as_number = [np.nan if v is None else v if isinstance(v, Real) else unknown for v in values]
    return np.array(as_number, dtype=np.float64)


def _floats(column):
    """Read a column of results; NaN where it is NULL."""
    return np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)


def _check_labels(labels, answers, classes):
    """Check that every label is that of the most probable class."""
    position = {label: k for k, label in enumerate(classes)}
    column = np.array([position.get(label, -1) for label in labels])
    picked = np.where(column < 0, -np.inf, answers[np.arange(len(answers)), column])
    wrong = np.flatnonzero(picked < answers.max(axis=1) - TIE)
    if len(wrong):
        row = wrong[0]
        raise ParityError(
            f"The sql labels {len(wrong):,} of {len(labels):,} rows with a class that is not "
            f"the most probable one. The first: label {labels[row]!r}, "
            f"probabilities {dict(zip(classes, answers[row].tolist(), strict=True))}."
        )


def _in_duckdb(expression):
    return expression.sql(dialect="duckdb")
