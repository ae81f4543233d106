"""Puts the expressions of a student together, and writes them in a dialect."""

from sqlglot import exp

from skdistill.export.sql import expressions
from skdistill.export.sql.expressions import as_double, quoted

#: Dialects without a function that recognises NaN; there NaN equals itself.
NO_ISNAN = ("postgres", "snowflake")


def write_expressions(model, names, dialect):
    """Write the answers of a student as a list to paste into a SELECT."""
    items = _aliased(expressions.answers(model), names.answers)
    return ",\n".join(_written(item, dialect) for item in items)


def write_select(model, names, dialect, *, table, view=None, keep=None):
    """Write a query that answers for every row of a table, or the view that holds it.

    Parameters
    ----------
    model : LeanTree or LeanNetwork
        The student.
    names : Names
        Of the results.
    dialect : str
        What sqlglot calls the dialect.
    table : tuple of str
        Name of the table after its schema and catalog, if any.
    view : tuple of str or None, default=None
        Name of the view.
    keep : list of str or None, default=None
        Columns before the answers, None for all.

    Returns
    -------
    sql : str
        One statement without a semicolon.
    """
    source = expressions.table(table)
    if names.margins:
        inner = exp.select(
            exp.Star(), *_aliased(expressions.margins(model), names.margins), copy=False
        )
        source = inner.from_(source, copy=False).subquery(quoted("margins"), copy=False)
    kept = [exp.Star()] if keep is None else [expressions.reference(name) for name in keep]
    answered = _aliased(expressions.answers(model, names.margins or None), names.answers)
    query = exp.select(*kept, *answered, copy=False).from_(source, copy=False)
    if view is not None:
        query = exp.Create(this=expressions.table(view), kind="VIEW", expression=query)
    return _written(query, dialect)


def _aliased(expressions, names):
    pairs = zip(expressions, names, strict=True)
    return [exp.alias_(each, quoted(name), copy=False) for each, name in pairs]


def _written(expression, dialect):
    if dialect in NO_ISNAN:
        expression = expression.transform(_without_isnan, copy=False)
    # Before 30.30 sqlglot indents what follows a line break inside a name.
    one_line = any("\n" in name.this for name in expression.find_all(exp.Identifier))
    return expression.sql(dialect=dialect, pretty=not one_line)


def _without_isnan(node):
    """Replace what PostgreSQL and Snowflake lack: ISNAN, and literals that are doubles."""
    if isinstance(node, exp.IsNan):
        return exp.EQ(this=node.this, expression=as_double(exp.Literal.string("NaN")))
    if isinstance(node, exp.Literal) and not node.is_string and "e" in node.this:
        return as_double(exp.Literal.string(node.this.removesuffix("e0")))
    return node
