"""The words that the SQL of a student is made of: literals, names, conditions, sums and CASEs."""

import math
from functools import reduce

from sqlglot import exp

#: Terms of a sum that are written one after the other.
LONGEST_SUM = 50


def number(value):
    """Write a number as a literal with an exponent, which is a DOUBLE and no DECIMAL."""
    if math.isinf(value):
        return as_double(exp.Literal.string("inf" if value > 0 else "-inf"))
    digits = repr(abs(float(value))).removesuffix(".0")
    literal = exp.Literal(this=digits if "e" in digits else f"{digits}e0", is_string=False)
    return exp.Neg(this=literal) if math.copysign(1.0, value) < 0 else literal


def integer(value):
    """Write an integer."""
    return exp.Literal.number(value)


def as_double(expression):
    """Cast an expression to a double."""
    return exp.Cast(this=expression, to=exp.DataType(this=exp.DataType.Type.DOUBLE))


def reference(name):
    """Write the name of a column."""
    return exp.Column(this=quoted(name))


def quoted(name):
    """Write a name in quotes."""
    return exp.Identifier(this=name, quoted=True)


def table(parts):
    """Write the name of a table, after its schema and catalog if it has them."""
    name, *above = reversed(parts)
    places = dict(zip(("db", "catalog"), map(quoted, above), strict=False))
    return exp.Table(this=quoted(name), **places)


def label(value):
    """Write a class label as a literal of its own type."""
    if isinstance(value, str):
        return exp.Literal.string(value)
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    return exp.Literal.number(value) if isinstance(value, int) else number(value)


def cell(column):
    """Write a column as what the student compares: a DOUBLE, or a text."""
    if column.holds_text:
        text = exp.DataType(this=exp.DataType.Type.TEXT)
        return exp.Cast(this=reference(column.name), to=text)
    return as_double(reference(column.name))


def is_missing(column):
    """Write whether a column is NULL or NaN."""
    missing = is_null(cell(column))
    return missing if column.holds_text else exp.or_(missing, exp.IsNan(this=cell(column)))


def is_infinite(column):
    """Write whether a column of numbers is infinite."""
    return exp.EQ(this=exp.Abs(this=cell(column)), expression=number(math.inf))


def is_among(column, levels):
    """Write whether a column holds one of some categories."""
    if not levels:
        return exp.false()
    literals = [label(level) if isinstance(level, str) else number(level) for level in levels]
    if len(literals) == 1:
        return exp.EQ(this=cell(column), expression=literals[0])
    return exp.In(this=cell(column), expressions=literals)


def is_null(expression):
    """Write whether an expression is NULL."""
    return exp.Is(this=expression, expression=exp.null())


def sum_of(terms):
    """Write a sum; a long one in parts, as databases limit how deep expressions nest."""
    while len(terms) > LONGEST_SUM:
        starts = range(0, len(terms), LONGEST_SUM)
        parts = [terms[start : start + LONGEST_SUM] for start in starts]
        terms = [exp.paren(_chain(part), copy=False) for part in parts]
    return _chain(terms)


def product_of(factors):
    """Write a product."""
    return reduce(lambda total, factor: exp.Mul(this=total, expression=factor), factors)


def _chain(terms):
    return reduce(lambda total, term: exp.Add(this=total, expression=term), terms)


def case(branches, default):
    """Write a CASE, or its default alone if no branch gives anything else."""
    branches = list(branches)
    while branches and branches[-1][1] == default:
        branches.pop()
    if not branches:
        return default
    ifs = [exp.If(this=condition, true=value) for condition, value in branches]
    return exp.Case(ifs=ifs, default=default)
