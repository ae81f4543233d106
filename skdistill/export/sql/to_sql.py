"""Trees, sums of trees and additive students as SQL: expressions, a query or a view."""

from skdistill.export.certificate import (
    TOLERANCE,
    TOLERANCES,
    certify,
    write_certified,
)
from skdistill.export.parity_sample import parity_sample
from skdistill.export.sql.names import first_repeated, has_margins, result_names, table_name
from skdistill.export.student_content import (
    as_deployed_sees,
    check_labels_of_int64,
    deployed_student,
    student_content,
)
from skdistill.messages import shown
from skdistill.parameters import validate_params
from skdistill.scorer.files import check_writable
from skdistill.scorer.model import LeanTree
from skdistill.scorer.student_content import lean_model
from skdistill.scorer.student_file import pack
from skdistill.students.kinds import names_of, of_form

#: The dialects that SQL can be written in.
DIALECTS = ("duckdb", "postgres", "snowflake", "bigquery", "spark", "databricks")

#: The forms of the students that can be written, see `Student`.
FORMS = ("tree", "tree_sum", "additive")

#: Points of curves that expressions repeat at most, some 100 characters each.
MOST_POINTS = 20_000


@validate_params(
    {
        "dialect": [str],
        "keep": ["array-like", str, None],
        "rename": [dict, None],
        "tolerance": TOLERANCES,
    }
)
def to_sql(
    model,
    path=None,
    X=None,
    *,
    dialect="duckdb",
    table=None,
    view=None,
    keep=None,
    rename=None,
    tolerance=TOLERANCE,
):
    """Write a readable student as SQL that scores raw columns where they are stored.

    Without `table` the SQL is a list of expressions to paste into your own SELECT; with it, a
    whole SELECT; with `view` as well, a CREATE VIEW. It is run in DuckDB and compared with the
    student before it is returned.

    Parameters
    ----------
    model : estimator
        A fitted `TreeStudentClassifier`, `TreeStudentRegressor`, `TreeSumStudentClassifier`,
        `TreeSumStudentRegressor`, `LinearStudentClassifier` or `LinearStudentRegressor`, or a
        distiller or a search that holds one.
    path : str or path-like, default=None
        The file to write; an older one is replaced at once. The certificate goes beside it. None
        writes nothing.
    X : array-like or data frame of shape (n_samples, n_features), default=None
        Real rows to compare on as well; 20,000 of them at most.
    dialect : str, default="duckdb"
        "duckdb", "postgres", "snowflake", "bigquery", "spark" or "databricks".
    table : str or tuple of str, default=None
        The table or view with the raw columns. Dots in a string separate catalog, schema and name;
        a tuple holds them separately.
    view : str or tuple of str, default=None
        Name of the view to create over the table.
    keep : list of str, default=None
        Columns of the table that come before the predictions. None for all, and for a classifier
        that is a sum, of curves or trees, its margins: ``log_odds``, or one ``margin_<class>`` per
        class.
    rename : dict of str to str, default=None
        Other names of predictions, by the name they would have: ``{"label": "churn"}``.
    tolerance : float, default=1e-05
        Largest difference from the student that is allowed: of a probability, or of a prediction
        in shares of the spread of the predictions, see `Certificate`.

    Returns
    -------
    export : Export
        The SQL as ``content``, and the certificate of the comparison. The SQL gives ``label`` and
        one ``probability_<class>`` per class, in the order of ``classes_``, or ``prediction``.

    Raises
    ------
    TypeError
        If the student is an MLP, a soft tree or none of skdistill's.
    ValueError
        If the dialect is unknown, a name occurs twice (most databases ignore case in names
        databases) or is none, the categories of a column are both strings and numbers, or
        expressions for that many classes would be too long.
    ParityError
        If the SQL does not match the student; then nothing is written.
    ImportError
        If sqlglot or duckdb is missing.

    Notes
    -----
    Names are always quoted, so they must be spelt as they are stored; the columns of a student
    that was fitted on an array are ``x0, x1, ...``. NULL counts as missing, and so does NaN. A row
    in which a column of numbers that the student reads is infinite has NULL predictions. Numbers
    are cast to double, categories to text unless they are numbers. PostgreSQL and BigQuery refuse
    to cast booleans to double: give them as integers there.

    With `table`, every reference names the query it means, so a column of the table is never taken
    for a result, whatever it is called. Without `keep`, a table with a column of the name of a
    result is refused by the database ("ambiguous"): pass `keep` or `rename`. Snowflake, BigQuery
    and Spark then need ``EXCLUDE`` or ``EXCEPT`` in a SELECT, which Spark has from version 4.

    A tree is one CASE per prediction. Of an additive student every column is one CASE, a straight
    line per bin, and of a sum of trees every tree; their sum is a margin. A table of a pair of
    columns is looked up in arrays, by the knots before a row and the shares of the way to the next.
    A SELECT computes knots, shares and margins once. Expressions repeat them, margins once per pair
    of classes, so prefer `table` for more than two classes, and for students with pairs. A
    probability is ``exp(margin - largest) / sum of exp(margins - largest)``, or of two classes ``1
    / (1 + exp(-log_odds))`` and ``1 / (1 + exp(log_odds))``: neither overflows, and small
    probabilities keep their digits. PostgreSQL is held to computing shares, and the margins of more
    than two classes, once by ``OFFSET 0``, behind which it does not take the conditions on a view.

    SQL in another dialect than DuckDB's is translated for the comparison, as ``runtime`` in the
    certificate says; run it once in the database itself before relying on it.

    Examples
    --------
    A tree of two leaves as an expression to paste into a query:

    >>> from sklearn.datasets import load_iris
    >>> from skdistill import LinearStudentClassifier, TreeStudentRegressor, to_sql
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> X = X[["petal width (cm)"]]
    >>> print(to_sql(TreeStudentRegressor(max_leaf_nodes=2).fit(X, y)).content)
    CASE
      WHEN ABS(CAST("petal width (cm)" AS DOUBLE)) = CAST('inf' AS DOUBLE)
      THEN NULL
      WHEN CAST("petal width (cm)" AS DOUBLE) <= 0.8000000417232512e0
      THEN 0e0
      ELSE 1.5e0
    END AS "prediction"

    And curves as a view over a table:

    >>> student = LinearStudentClassifier().fit(X, y)
    >>> export = to_sql(student, table="flowers", view="scored", dialect="postgres")
    >>> print(export.content.splitlines()[0])
    CREATE VIEW "scored" AS
    """
    table, view = table_name("table", table), table_name("view", view)
    _check_request(dialect, table, view, keep)
    keep = None if keep is None else list(keep)
    path = check_writable(path)
    student = deployed_student(model)
    _check_student(student)
    content = student_content(student)
    check_labels_of_int64(content)
    lean = lean_model(content)
    _check_columns(lean.columns)
    if table is None:
        _check_length(lean)
    if dialect == "bigquery":
        columns = [column.name for column in lean.columns]
        _check_dots([*columns, *(table or ()), *(view or ()), *(keep or ())])
    run, statement = _import_sql()
    names = result_names(lean, dialect, table=table, keep=keep, rename=rename or {})
    if table is None:
        sql = statement.write_expressions(lean, names, dialect)
    else:
        sql = statement.write_select(lean, names, dialect, table=table, view=view, keep=keep)
    form = {"dialect": dialect, "table": table, "view": view, "keep": keep, "rename": rename}
    sample = parity_sample(student, lean, as_deployed_sees(model, X))
    certificate = certify(
        "sql",
        run.runtime(dialect),
        sample,
        run.run_sql(sql, lean, sample.rows, **form),
        model=lean,
        names=[column.name for column in lean.columns],
        tolerance=tolerance,
        notes=form,
    )
    return write_certified(path, sql, certificate, pack(content))


def _import_sql():
    """Import what needs sqlglot and duckdb."""
    try:
        from skdistill.export.sql import run, statement
    except ImportError as error:
        raise ImportError(
            f"to_sql needs sqlglot, and duckdb to compare the SQL with the student ({error}). "
            "Install them with: pip install sqlglot duckdb"
        ) from error
    return run, statement


def _check_request(dialect, table, view, keep):
    if dialect not in DIALECTS:
        raise ValueError(
            f"dialect={shown(dialect)} is not supported. One of these was expected: "
            f"{', '.join(DIALECTS)}."
        )
    if keep is not None and (isinstance(keep, str) or not all(isinstance(k, str) for k in keep)):
        raise ValueError(f"keep={shown(keep)} was passed; a list of names of columns was expected.")
    for name, value in (("view", view), ("keep", keep)):
        if value is not None and table is None:
            raise ValueError(f"{name} was passed without table: name the table that is read.")


def _check_student(student):
    supported = of_form(*FORMS)
    if not isinstance(student, supported):
        raise TypeError(
            f"{type(student).__name__} cannot be written as SQL; these students can: "
            f"{names_of(supported)}. Export it with to_onnx or to_c."
        )


def _check_length(lean):
    """Raise for expressions that are too long: they grow with the square of the classes."""
    if not has_margins(lean) or len(lean.classes) < 3:
        return
    n_classes = len(lean.classes)
    parts, points = _parts(lean)
    if n_classes**2 * points > MOST_POINTS:
        raise ValueError(
            f"As expressions, {n_classes} classes would repeat the {points:,} {parts} "
            f"{n_classes**2:,} times. Pass table='...', the name of the table: a SELECT computes "
            "the margin of every class once."
        )


def _parts(lean):
    """Name and count what a margin is made of."""
    if isinstance(lean, LeanTree):
        return "nodes of the trees", len(lean.feature)
    points = sum(map(len, lean.curves))
    if not lean.tables:
        return "points of the curves", points
    return "points of curves and tables", points + sum(map(_points_written, lean.tables))


def _points_written(table):
    """Count what a table takes: four arrays of short numbers, and about six times its axes."""
    n_rows, n_columns, _ = table.values.shape
    return n_rows * n_columns + 6 * (n_rows + n_columns)


def _check_columns(columns):
    """Raise unless a database can distinguish the names and the categories."""
    names = [column.name for column in columns]
    twice = first_repeated(names)
    if twice is not None or "" in names:
        raise ValueError(
            f"The name {twice or ''!r} of a column is empty or names two columns: most "
            "databases do not distinguish upper and lower case. Rename the columns and fit the "
            "student again."
        )
    for column in columns:
        if column.is_mixed:
            raise ValueError(
                f"The categories of column {column.name!r} are strings and numbers; a column of a "
                "database holds one of them. Convert them to one kind and fit the student again."
            )


def _check_dots(names):
    """Raise for names with dots, at which BigQuery would split them."""
    dotted = [name for name in names if "." in name]
    if dotted:
        raise ValueError(
            f"The name {dotted[0]!r} has a dot in it, which BigQuery does not allow. Rename the "
            "table, or rename the column and fit the student again."
        )
