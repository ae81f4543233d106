"""A student as SQL expressions of its raw columns, before they are written in a dialect.

A tree becomes one CASE per prediction. An additive student becomes a sum with one CASE per column:
its margins, whose differences give the probabilities. A row in which a column that the student
reads is infinite gets NULL.
"""

import math
from functools import reduce

import numpy as np
from sqlglot import exp

from skdistill.scorer.model import LeanTree

#: Differences of margins are cut here, so that no exponential overflows or underflows.
LARGEST_DIFFERENCE = 700.0

#: Terms of a sum that are written one after the other.
LONGEST_SUM = 50


def answers(model):
    """Write the predictions of a tree or an additive student by the raw columns alone.

    The expressions are the label and one probability per class, or the prediction.
    """
    if isinstance(model, LeanTree):
        return _tree_answers(model)
    if model.classes is None:
        return [_sum_of_curves(model, np.array([model.scale]), model.shift)]
    if len(model.classes) == 2:
        return _two_class_answers(model, lambda: _sum_of_curves(model, np.ones(1)))
    return _class_answers(model)


def margins(network):
    """Write the margins of an additive classifier as expressions, one per output."""
    return [_sum_of_curves(network, one) for one in np.eye(network.n_outputs)]


def largest_margin(names):
    """Write the largest of the margins; in every dialect, also of a single one."""
    margins = [reference(name) for name in names]
    # Not exp.Greatest: sqlglot would wrap it in a test of all margins, which are NULL together.
    return exp.Anonymous(this="GREATEST", expressions=margins) if len(names) > 1 else margins[0]


def total_odds(network, names, largest):
    """Write the sum of exp(margin - largest margin) over the classes."""
    return _sum(_odds(network, names, largest))


def answers_from_margins(network, names, largest, total):
    """Write the predictions of an additive classifier by the columns of the steps before them.

    `names` hold the `margins`; `largest` and `total` hold `largest_margin` and `total_odds`, which
    two classes do not need.
    """
    if len(network.classes) == 2:
        return _two_class_answers(network, lambda: reference(names[0]))
    branches = [
        (exp.EQ(this=reference(name), expression=reference(largest)), label(each))
        for name, each in zip(names, network.classes, strict=True)
    ]
    odds = _odds(network, names, largest)
    shares = [exp.Div(this=each, expression=reference(total)) for each in odds]
    return [_case(branches, exp.null()), *shares]


def number(value):
    """Write a number as a literal with an exponent, which is a DOUBLE and no DECIMAL."""
    if math.isinf(value):
        return as_double(exp.Literal.string("inf" if value > 0 else "-inf"))
    digits = repr(abs(float(value))).removesuffix(".0")
    literal = exp.Literal(this=digits if "e" in digits else f"{digits}e0", is_string=False)
    return exp.Neg(this=literal) if math.copysign(1.0, value) < 0 else literal


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


def _tree_answers(tree):
    if tree.classes is None:
        return [_tree_case(tree, tree.value[:, 0], number)]
    most_probable = tree.value.argmax(axis=1)
    probabilities = [_tree_case(tree, value, number) for value in tree.value.T]
    return [_tree_case(tree, most_probable, lambda k: label(tree.classes[k])), *probabilities]


def _tree_case(tree, values, write):
    """Write one value per leaf as a CASE; splits between equal values are left out."""
    n_leaves = _leaves_below(tree)

    def case_below(node):
        branches = []
        # The larger side continues the same CASE: so CASEs nest log2(n_leaves) deep at most.
        while n_leaves[node] > 1:
            left, right = tree.children_left[node], tree.children_right[node]
            to_left = n_leaves[left] <= n_leaves[right]
            smaller, larger = (left, right) if to_left else (right, left)
            branches.append((_goes(tree, node, to_left), _case(*case_below(smaller))))
            node = larger
        return branches, write(values[node])

    branches, default = case_below(0)
    numeric = [each for j, each in enumerate(tree.columns) if j in tree.feature]
    infinite = [_is_infinite(each) for each in numeric if not each.is_nominal]
    guard = [(exp.or_(*infinite, copy=False), exp.null())] if infinite else []
    return _case(guard + branches, default)


def _leaves_below(tree):
    """Count the leaves below every node; a leaf counts itself."""
    n_leaves = np.ones(len(tree.feature), dtype=int)
    for node in np.flatnonzero(tree.children_left >= 0)[::-1]:  # children come after parents
        n_leaves[node] = n_leaves[tree.children_left[node]] + n_leaves[tree.children_right[node]]
    return n_leaves


def _goes(tree, node, to_left):
    """Write the condition under which a row goes to one side; where it is not true, the other."""
    column, threshold = tree.columns[tree.feature[node]], tree.threshold[node]
    missing_too = to_left == tree.missing_left[node]
    if column.is_nominal:
        n_left = np.sum(np.arange(len(column.levels)) <= threshold)
        left, right = column.levels[:n_left], column.levels[n_left:]
        here, there = (left, right) if to_left else (right, left)
        if missing_too:  # and levels never seen
            return exp.or_(_is_missing(column), exp.not_(_is_among(column, there)))
        return _is_among(column, here)
    compared = {"this": _value(column), "expression": number(threshold)}
    condition = exp.LTE(**compared) if to_left else exp.GT(**compared)
    if missing_too:
        return exp.or_(condition, _is_missing(column))
    # Most databases put NaN above all numbers.
    return condition if to_left else exp.and_(condition, exp.not_(exp.IsNan(this=_value(column))))


def _two_class_answers(network, log_odds):
    """Write label and probabilities: each by its own exponential, so small ones keep digits."""
    [bound] = _bounds(network)

    def probability(against):
        odds = exp.Exp(this=_within_limits(against, bound))
        return exp.Div(this=number(1.0), expression=exp.paren(_sum([number(1.0), odds])))

    signs = [
        exp.LTE(this=log_odds(), expression=number(0.0)),
        exp.GT(this=log_odds(), expression=number(0.0)),
    ]
    labels = [label(each) for each in network.classes]
    return [
        _case(zip(signs, labels, strict=True), exp.null()),
        probability(log_odds),
        probability(lambda: exp.Neg(this=exp.paren(log_odds()))),
    ]


def _odds(network, names, largest):
    """Write exp(margin - largest margin), one per class."""
    bound = 2 * _bounds(network).max()

    def odds(name):
        difference = {"this": reference(name), "expression": reference(largest)}
        return exp.Exp(this=_within_limits(lambda: exp.Sub(**difference), bound))

    return [odds(name) for name in names]


def _class_answers(network):
    """Write label and probabilities by the differences between the margins of all pairs."""
    n_classes, bounds = len(network.classes), _bounds(network)

    def difference(j, k):
        weights = np.eye(n_classes)[j] - np.eye(n_classes)[k]
        return _within_limits(lambda: _sum_of_curves(network, weights), bounds[j] + bounds[k])

    def probability(k):
        # The only class there is has a probability of exp(0), unless it is NULL.
        own = number(1.0) if n_classes > 1 else exp.Exp(this=difference(0, 0))
        others = [exp.Exp(this=difference(j, k)) for j in range(n_classes) if j != k]
        return exp.Div(this=number(1.0), expression=exp.paren(_sum([own, *others])))

    def is_most_probable(k):
        zero = {"expression": number(0.0)}
        later = [exp.LTE(this=difference(j, k), **zero) for j in range(k + 1, n_classes)]
        return exp.and_(*later) if later else exp.not_(_is_null(exp.paren(difference(k, 0))))

    branches = [(is_most_probable(k), label(name)) for k, name in enumerate(network.classes)]
    return [_case(branches, exp.null()), *[probability(k) for k in range(n_classes)]]


def _bounds(network):
    """Return what no margin exceeds, one per output."""
    return np.abs(network.intercept) + sum(np.abs(curve).max(axis=0) for curve in network.curves)


def _within_limits(write, bound):
    """Cut a difference of margins, if it can be too large for an exponential at all."""
    if bound <= LARGEST_DIFFERENCE:
        return write()
    high, low = number(LARGEST_DIFFERENCE), number(-LARGEST_DIFFERENCE)
    branches = [
        (exp.GT(this=write(), expression=high), high.copy()),
        (exp.LT(this=write(), expression=low), low.copy()),
    ]
    return _case(branches, write())


def _sum_of_curves(network, weights, shift=0.0):
    """Write the weighted sum of the outputs of an additive model."""
    terms = [number(float(network.intercept @ weights) + shift)]
    for column, edges, curve in zip(network.columns, network.edges, network.curves, strict=True):
        points = curve.astype(np.float64) @ weights
        if column.is_nominal:
            terms.append(_curve_of_levels(column, points))
        else:
            terms.append(_curve_of_numbers(column, edges, points))
    return _sum(terms)


def _curve_of_numbers(column, edges, points):
    *at_edges, missing = points
    branches = [(_is_missing(column), number(missing)), (_is_infinite(column), exp.null())]
    starts = [None, *range(len(edges) - 1)]
    for start, edge in zip(starts, edges, strict=True):
        condition = exp.LTE(this=_value(column), expression=number(edge))
        branches.append((condition, _straight_line(column, edges, at_edges, start)))
    return _case(branches, number(at_edges[-1]))


def _straight_line(column, edges, points, start):
    """Write the line between edge `start` and the next; before all edges it is flat."""
    if start is None:
        return number(points[0])
    stop = start + 1
    slope = (points[stop] - points[start]) / (edges[stop] - edges[start])
    if slope == 0:
        return number(points[start])
    # Measured from the edge further from 0: what is tiny next to an edge at 0 would underflow.
    near = start if abs(edges[start]) > abs(edges[stop]) else stop
    distance = exp.paren(exp.Sub(this=_value(column), expression=number(edges[near])))
    return _sum([number(points[near]), exp.Mul(this=number(slope), expression=distance)])


def _curve_of_levels(column, points):
    *at_levels, missing, unknown = points
    levels_at = {}
    for level, point in zip(column.levels, at_levels, strict=True):
        levels_at.setdefault(point, []).append(level)
    branches = [(_is_missing(column), number(missing))] if missing != unknown else []
    for point, levels in levels_at.items():
        if point != unknown:
            branches.append((_is_among(column, levels), number(point)))
    return _case(branches, number(unknown))


def _value(column):
    """Write a column as what the student compares: a DOUBLE, or a text."""
    if column.holds_text:
        text = exp.DataType(this=exp.DataType.Type.TEXT)
        return exp.Cast(this=reference(column.name), to=text)
    return as_double(reference(column.name))


def _is_missing(column):
    is_null = _is_null(_value(column))
    return is_null if column.holds_text else exp.or_(is_null, exp.IsNan(this=_value(column)))


def _is_infinite(column):
    return exp.EQ(this=exp.Abs(this=_value(column)), expression=number(math.inf))


def _is_among(column, levels):
    if not levels:
        return exp.false()
    literals = [label(level) if isinstance(level, str) else number(level) for level in levels]
    if len(literals) == 1:
        return exp.EQ(this=_value(column), expression=literals[0])
    return exp.In(this=_value(column), expressions=literals)


def _is_null(expression):
    return exp.Is(this=expression, expression=exp.null())


def _sum(terms):
    """Write a sum; a long one in parts, as databases limit how deep expressions nest."""
    while len(terms) > LONGEST_SUM:
        starts = range(0, len(terms), LONGEST_SUM)
        parts = [terms[start : start + LONGEST_SUM] for start in starts]
        terms = [exp.paren(_chain(part), copy=False) for part in parts]
    return _chain(terms)


def _chain(terms):
    return reduce(lambda total, term: exp.Add(this=total, expression=term), terms)


def _case(branches, default):
    """Write a CASE, or its default alone if no branch gives anything else."""
    branches = list(branches)
    while branches and branches[-1][1] == default:
        branches.pop()
    if not branches:
        return default
    ifs = [exp.If(this=condition, true=value) for condition, value in branches]
    return exp.Case(ifs=ifs, default=default)
