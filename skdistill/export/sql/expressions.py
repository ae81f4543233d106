"""A student as SQL expressions of its raw columns, before they are written in a dialect.

A tree becomes one CASE per prediction. An additive student becomes a sum with one CASE per column,
and an element of an array per pair, a sum of trees one with a CASE per tree: the margins, whose
differences give the probabilities.
A row in which a column that the student reads is infinite gets NULL.
"""

from dataclasses import replace

import numpy as np
from sqlglot import exp

from skdistill.export.sql.curves import terms_of_curves
from skdistill.export.sql.pairs import axes_of_tables, place, terms_of_tables
from skdistill.export.sql.syntax import case, is_null, label, number, reference, sum_of
from skdistill.export.sql.trees import sum_of_trees, tree_case
from skdistill.scorer.model import LeanTree

#: Differences of margins are cut here, so that no exponential overflows or underflows.
LARGEST_DIFFERENCE = 700.0


def answers(model):
    """Write the predictions of a student by the raw columns alone.

    The expressions are the label and one probability per class, or the prediction.
    """
    if model.intercept is None:
        return _tree_answers(model)
    if model.classes is None:
        return outputs(model)
    if len(model.classes) == 2:
        return _two_class_answers(model, lambda: _output(model, np.ones(1)))
    return _class_answers(model)


def outputs(model):
    """Write the margins of a classifier, or the prediction, by the raw columns alone."""
    return [_output(model, weights) for weights in np.eye(len(model.intercept))]


def places(network):
    """Write where rows lie on the axes of the tables of pairs, see `place`."""
    return [each for axis in axes_of_tables(network) for each in place(axis)]


def outputs_of_curves(network):
    """Write the outputs without the tables of pairs."""
    return outputs(replace(network, tables=()))


def outputs_from_places(network, of_curves, places):
    """Write the outputs by the names of `outputs_of_curves`, and of the places per axis."""
    names = dict(zip([axis.key for axis in axes_of_tables(network)], places, strict=True))

    def place_on(axis):
        return [reference(name) for name in names[axis.key]]

    weights = np.eye(len(network.intercept)) * network.scale
    return [
        sum_of([reference(name), *terms_of_tables(network, own, place_on)])
        for name, own in zip(of_curves, weights, strict=True)
    ]


def largest_margin(names):
    """Write the largest of the margins; in every dialect, also of a single one."""
    margins = [reference(name) for name in names]
    # Not exp.Greatest: sqlglot would wrap it in a test of all margins, which are NULL together.
    return exp.Anonymous(this="GREATEST", expressions=margins) if len(names) > 1 else margins[0]


def total_odds(model, names, largest):
    """Write the sum of exp(margin - largest margin) over the classes."""
    return sum_of(_odds(model, names, largest))


def answers_from_margins(model, names, largest, total):
    """Write the predictions of a classifier by the columns of the steps before them.

    `names` hold the `margins`; `largest` and `total` hold `largest_margin` and `total_odds`, which
    two classes do not need.
    """
    if len(model.classes) == 2:
        return _two_class_answers(model, lambda: reference(names[0]))
    branches = [
        (exp.EQ(this=reference(name), expression=reference(largest)), label(each))
        for name, each in zip(names, model.classes, strict=True)
    ]
    odds = _odds(model, names, largest)
    shares = [exp.Div(this=each, expression=reference(total)) for each in odds]
    return [case(branches, exp.null()), *shares]


def _output(model, weights):
    """Write the weighted sum of the outputs."""
    if isinstance(model, LeanTree):
        return sum_of_trees(model, weights)
    weights = weights * model.scale
    curves = terms_of_curves(model, weights, model.shift)
    return sum_of([*curves, *terms_of_tables(model, weights, place)])


def _tree_answers(tree):
    if tree.classes is None:
        return [tree_case(tree, tree.value[:, 0], number)]
    most_probable = tree.value.argmax(axis=1)
    probabilities = [tree_case(tree, value, number) for value in tree.value.T]
    return [tree_case(tree, most_probable, lambda k: label(tree.classes[k])), *probabilities]


def _two_class_answers(model, log_odds):
    """Write label and probabilities: each by its own exponential, so small ones keep digits."""
    [bound] = _bounds(model)

    def probability(against):
        odds = exp.Exp(this=_within_limits(against, bound))
        return exp.Div(this=number(1.0), expression=exp.paren(sum_of([number(1.0), odds])))

    signs = [
        exp.LTE(this=log_odds(), expression=number(0.0)),
        exp.GT(this=log_odds(), expression=number(0.0)),
    ]
    labels = [label(each) for each in model.classes]
    return [
        case(zip(signs, labels, strict=True), exp.null()),
        probability(log_odds),
        probability(lambda: exp.Neg(this=exp.paren(log_odds()))),
    ]


def _odds(model, names, largest):
    """Write exp(margin - largest margin), one per class."""
    bound = 2 * _bounds(model).max()

    def odds(name):
        difference = {"this": reference(name), "expression": reference(largest)}
        return exp.Exp(this=_within_limits(lambda: exp.Sub(**difference), bound))

    return [odds(name) for name in names]


def _class_answers(model):
    """Write label and probabilities by the differences between the margins of all pairs."""
    n_classes, bounds = len(model.classes), _bounds(model)

    def difference(j, k):
        weights = np.eye(n_classes)[j] - np.eye(n_classes)[k]
        return _within_limits(lambda: _output(model, weights), bounds[j] + bounds[k])

    def probability(k):
        # The only class there is has a probability of exp(0), unless it is NULL.
        own = number(1.0) if n_classes > 1 else exp.Exp(this=difference(0, 0))
        others = [exp.Exp(this=difference(j, k)) for j in range(n_classes) if j != k]
        return exp.Div(this=number(1.0), expression=exp.paren(sum_of([own, *others])))

    def is_most_probable(k):
        zero = {"expression": number(0.0)}
        later = [exp.LTE(this=difference(j, k), **zero) for j in range(k + 1, n_classes)]
        return exp.and_(*later) if later else exp.not_(is_null(exp.paren(difference(k, 0))))

    branches = [(is_most_probable(k), label(name)) for k, name in enumerate(model.classes)]
    return [case(branches, exp.null()), *[probability(k) for k in range(n_classes)]]


def _bounds(model):
    """Return what no margin exceeds, one per output."""
    if isinstance(model, LeanTree):
        parts = np.split(model.value, model.roots[1:])
    else:
        tables = [table.values.reshape(-1, len(model.intercept)) for table in model.tables]
        parts = [*model.curves, *tables]
    return np.abs(model.intercept) + sum(np.abs(part).max(axis=0) for part in parts)


def _within_limits(write, bound):
    """Cut a difference of margins, if it can be too large for an exponential at all."""
    if bound <= LARGEST_DIFFERENCE:
        return write()
    high, low = number(LARGEST_DIFFERENCE), number(-LARGEST_DIFFERENCE)
    branches = [
        (exp.GT(this=write(), expression=high), high.copy()),
        (exp.LT(this=write(), expression=low), low.copy()),
    ]
    return case(branches, write())
