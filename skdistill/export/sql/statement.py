"""Puts the expressions of a student together, and writes them in a dialect.

A classifier with margins takes steps: these, their largest, the sum of the odds against it. Before
them, a student with tables of pairs takes one for the curves and for the places in the tables. Each
is a query around the one before. All references name the query that they mean, so no column of the
table is taken for another, whatever it is called.
"""

from itertools import chain

from sqlglot import exp

from skdistill.export.sql import expressions, syntax
from skdistill.export.sql.names import has_margins
from skdistill.export.sql.pairs import axes_of_tables
from skdistill.export.sql.syntax import as_double, quoted, reference

#: Dialects without a function that recognises NaN; there NaN equals itself.
NO_ISNAN = ("postgres", "snowflake")

#: What the table is called inside a query, and the predictions beside it.
ROWS, ANSWERS = "skdistill_rows", "skdistill_answers"

#: Columns of the steps after the margins.
LARGEST, TOTAL = "skdistill_largest", "skdistill_total"


def write_expressions(model, names, dialect):
    """Write the predictions of a student as a list to paste into a SELECT."""
    items = _aliased(expressions.answers(model), names.answers)
    return ",\n".join(_written(item, dialect) for item in items)


def write_select(model, names, dialect, *, table, view=None, keep=None):
    """Write a query that scores every row of a table, or its view, without a semicolon.

    `table` and `view` are names in parts; `keep` lists the columns before the predictions, None for
    all.
    """
    source = _named(syntax.table(table), ROWS)
    # PostgreSQL would otherwise compute margins and places anew wherever they are mentioned.
    fence = dialect == "postgres" and (_has_tables(model) or len(step_columns(model)) > 1)
    if keep is not None:
        query = _beside_some(model, names, source, keep, fence)
    elif dialect == "postgres":  # it has no star without some columns
        query = _beside_all_laterally(model, names, source, fence)
    else:
        query = _beside_all(model, names, source)
    if view is not None:
        query = exp.Create(this=syntax.table(view), kind="VIEW", expression=query)
    return _written(query, dialect)


def step_columns(model):
    """Name the columns that the steps before the predictions add, step by step."""
    steps = []
    if _has_tables(model):
        steps.append([*_curve_names(model), *chain.from_iterable(_place_names(model))])
    if has_margins(model):
        steps.append(_margin_names(model))
        steps += [[LARGEST], [TOTAL]] if len(model.classes) > 2 else []
    return steps


def _has_tables(model):
    return bool(getattr(model, "tables", ()))


def _margin_names(model):
    return [f"skdistill_margin_{k}" for k in range(len(model.intercept))]


def _curve_names(model):
    return [f"skdistill_curves_{k}" for k in range(len(model.intercept))]


def _place_names(model):
    """Name the places on every axis, see `place`; those of categories have no share."""
    axes = axes_of_tables(model)
    names = [[f"skdistill_knot_{k}", f"skdistill_share_{k}"] for k in range(len(axes))]
    return [
        both[:1] if axis.edges is None else both for both, axis in zip(names, axes, strict=True)
    ]


def _beside_some(model, names, source, keep, fence):
    """Carry the columns that are kept through the steps under names of their own."""
    carried = [f"skdistill_kept_{k}" for k in range(len(keep))] if step_columns(model) else keep
    first = _aliased([_column(ROWS, name) for name in keep], carried)
    source, alias = _through_steps(model, first, source, fence)
    kept = _aliased([_column(alias, name) for name in carried], keep)
    return _select([*kept, *_answers(model, names, alias)], source)


def _beside_all(model, names, source):
    """Carry all columns through the steps, and leave out those of the steps in the end."""
    added = [name for names in step_columns(model) for name in names]
    source = _without_columns(source, [*added, *names.margins, *names.answers])
    source, alias = _through_steps(model, [_star(ROWS)], source)
    return _select([_star(alias, added), *_answers(model, names, alias)], source)


def _beside_all_laterally(model, names, source, fence):
    """Take the steps beside every row of the table."""
    query = _without_columns(source, [*names.margins, *names.answers])
    query, known = _select([_star(ROWS)], query), {}
    for number, (columns, values) in enumerate(
        zip(step_columns(model), _steps(model), strict=True)
    ):
        step = _fenced(_select(_aliased(_of(known or ROWS, values), columns)), fence)
        known |= dict.fromkeys(columns, f"skdistill_step_{number}")
        beside = _named(exp.Lateral(this=step.subquery(copy=False)), known[columns[0]])
        query = query.join(exp.Join(this=beside, kind="CROSS"), copy=False)
    return query.select(*_answers(model, names, known or ROWS), copy=False)


def _without_columns(source, names):
    """Have the database refuse a table with columns of these names: no result may be confused.

    Beside a row of such columns a name without its table is ambiguous.
    """
    row = _named(_select(_aliased([exp.null() for _ in names], names)).subquery(), ANSWERS)
    is_null = [exp.Is(this=reference(name), expression=exp.null()) for name in names]
    query = _select([_star(ROWS)], source).join(exp.Join(this=row, kind="CROSS"), copy=False)
    return _named(query.where(*is_null, copy=False).subquery(copy=False), ROWS)


def _through_steps(model, carried, source, fence=False):
    """Put a query around another for every step; return the last, and its name."""
    alias = ROWS
    for number, (names, values) in enumerate(zip(step_columns(model), _steps(model), strict=True)):
        query = _select([*carried, *_aliased(_of(alias, values), names)], source)
        query = _fenced(query, fence)
        alias = f"skdistill_step_{number}"
        source, carried = _named(query.subquery(copy=False), alias), [_star(alias)]
    return source, alias


def _steps(model):
    """Write the columns of the steps, see `step_columns`."""
    steps = []
    if _has_tables(model):
        steps.append([*expressions.outputs_of_curves(model), *expressions.places(model)])
    if has_margins(model):
        margins = _margin_names(model)
        steps.append(_outputs(model))
        steps.append([expressions.largest_margin(margins)])
        steps.append([expressions.total_odds(model, margins, LARGEST)])
    return steps[: len(step_columns(model))]


def _outputs(model):
    """Write the margins, or the prediction, by the columns of the step before, if there is one."""
    if not _has_tables(model):
        return expressions.outputs(model)
    return expressions.outputs_from_places(model, _curve_names(model), _place_names(model))


def _answers(model, names, alias):
    """Write the results: the margins, if requested, and the predictions."""
    if not has_margins(model):
        answers = _outputs(model) if _has_tables(model) else expressions.answers(model)
        return _aliased(_of(alias, answers), names.answers)
    columns = _margin_names(model)
    margins = [reference(name) for name in columns] if names.margins else []
    answers = expressions.answers_from_margins(model, columns, LARGEST, TOTAL)
    return _aliased(_of(alias, [*margins, *answers]), [*names.margins, *names.answers])


def _fenced(query, fence):
    """Make PostgreSQL, if `fence`, compute the columns of a query once."""
    return query.offset(0, copy=False) if fence else query


def _of(alias, expressions):
    """Make all references name their query: one for all, or by column."""
    for each in expressions:
        for column in each.find_all(exp.Column):
            column.set("table", quoted(alias if isinstance(alias, str) else alias[column.name]))
    return expressions


def _column(alias, name):
    return exp.Column(this=quoted(name), table=quoted(alias))


def _star(alias, but=()):
    excluded = [quoted(name) for name in but]
    return exp.Column(this=exp.Star(except_=excluded or None), table=quoted(alias))


def _select(items, source=None):
    query = exp.select(*items, copy=False)
    return query if source is None else query.from_(source, copy=False)


def _named(source, alias):
    return exp.alias_(source, quoted(alias), table=True, copy=False)


def _aliased(expressions, names):
    pairs = zip(expressions, names, strict=True)
    return [exp.alias_(each, quoted(name), copy=False) for each, name in pairs]


def _written(expression, dialect):
    if dialect in NO_ISNAN:
        expression = expression.transform(_without_isnan, copy=False)
    # Before 30.30 sqlglot indents what follows a line break inside a name.
    one_line = any("\n" in name.this for name in expression.find_all(exp.Identifier))
    return expression.sql(dialect=dialect, pretty=not one_line, copy=False)


def _without_isnan(node):
    """Replace what PostgreSQL and Snowflake lack: ISNAN, and literals that are doubles."""
    if isinstance(node, exp.IsNan):
        return exp.EQ(this=node.this, expression=as_double(exp.Literal.string("NaN")))
    if isinstance(node, exp.Literal) and not node.is_string and "e" in node.this:
        return as_double(exp.Literal.string(node.this.removesuffix("e0")))
    return node
