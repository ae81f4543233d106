"""Decision trees as SQL: one CASE per tree and number."""

import numpy as np
from sqlglot import exp

from skdistill.export.sql.syntax import (
    case,
    cell,
    is_among,
    is_infinite,
    is_missing,
    number,
    sum_of,
)


def tree_case(tree, values, write, root=0):
    """Write one value per leaf below a root as a CASE; splits between equal values are left out."""
    n_leaves = _leaves_below(tree)
    read = set()

    def case_below(node):
        branches = []
        # The larger side continues the same CASE: so CASEs nest log2(n_leaves) deep at most.
        while n_leaves[node] > 1:
            left, right = tree.children_left[node], tree.children_right[node]
            to_left = n_leaves[left] <= n_leaves[right]
            smaller, larger = (left, right) if to_left else (right, left)
            branches.append((_goes(tree, node, to_left), case(*case_below(smaller))))
            read.add(int(tree.feature[node]))
            node = larger
        return branches, write(values[node])

    branches, default = case_below(root)
    numeric = [tree.columns[j] for j in sorted(read) if not tree.columns[j].is_nominal]
    infinite = [is_infinite(column) for column in numeric]
    guard = [(exp.or_(*infinite, copy=False), exp.null())] if infinite else []
    return case(guard + branches, default)


def sum_of_trees(tree, weights):
    """Write the weighted sum of the outputs of a sum of trees."""
    values = tree.value @ weights
    terms = [tree_case(tree, values, number, root) for root in tree.roots.tolist()]
    return sum_of([number(float(tree.intercept @ weights)), *terms])


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
            return exp.or_(is_missing(column), exp.not_(is_among(column, there)))
        return is_among(column, here)
    compared = {"this": cell(column), "expression": number(threshold)}
    condition = exp.LTE(**compared) if to_left else exp.GT(**compared)
    if missing_too:
        return exp.or_(condition, is_missing(column))
    # Most databases put NaN above all numbers.
    return condition if to_left else exp.and_(condition, exp.not_(exp.IsNan(this=cell(column))))
