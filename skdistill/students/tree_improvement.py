"""Trees of nodes that know their rows, and their improvement node by node."""

from dataclasses import dataclass

import numpy as np

#: Rounds through all nodes, at most.
ROUNDS = 20

#: Losses are compared in steps of this share of the total weight, so that rounding errors do not
#: decide between splits that are equally good.
STEP = 1e-11

_TINY = np.finfo(np.float64).tiny


class Node:
    """A node: its rows, its value, and its split, by number in `Cuts`, and children, if any."""

    def __init__(self, rows, split=None, left=None, right=None, value=None):
        self.rows, self.value = rows, value
        self.split, self.left, self.right = split, left, right

    def inner(self):
        """List the inner nodes, parents before children."""
        return [] if self.split is None else [self, *self.left.inner(), *self.right.inner()]

    def leaves(self):
        """List the leaves from left to right."""
        return [self] if self.split is None else self.left.leaves() + self.right.leaves()


@dataclass(frozen=True)
class Objective:
    """What a tree whose leaves hold means loses.

    Attributes
    ----------
    target : ndarray of shape (n_rows, n_targets)
        Probabilities, or values with a spread of about 1.
    weight : ndarray of shape (n_rows,)
        Of the rows.
    is_proba : bool
        Whether the loss is the entropy of probabilities; else it is the squared error.
    """

    target: np.ndarray
    weight: np.ndarray
    is_proba: bool

    def take(self, rows):
        """Return the objective of some rows."""
        return Objective(self.target[rows], self.weight[rows], self.is_proba)

    def row_losses(self, rows, leaves, number):
        """Compute what each row would lose in the leaf of a number, but for a constant."""
        values, target, weight = (
            self._means([leaf.rows for leaf in leaves]),
            self.target,
            self.weight,
        )
        if self.is_proba:
            logarithms = np.log(np.maximum(values, _TINY))
            return -weight[rows] * np.sum(target[rows] * logarithms[number], axis=1)
        return weight[rows] * np.sum((target[rows] - values[number]) ** 2, axis=1)

    def loss(self, leaves):
        """Compute the loss of leaves, given by their rows, but for a constant, in steps."""
        first = np.zeros(1, dtype=int)
        total = sum(
            self.row_losses(rows, [Node(rows)], np.repeat(first, len(rows))).sum()
            for rows in leaves
        )
        return np.rint(total / self.step)

    @property
    def step(self):
        """What losses are compared in."""
        return STEP * self.weight.sum()

    def _means(self, leaves):
        weights = [self.weight[rows] for rows in leaves]
        pairs = zip(weights, leaves, strict=True)
        return np.array([weight @ self.target[rows] / weight.sum() for weight, rows in pairs])


def divide(cuts, split, rows):
    """Return the rows that go left at a split, and the others."""
    left = cuts.goes_left(split, rows)
    return rows[left], rows[~left]


def improve(root, cuts, objective, min_samples_leaf):
    """Let every node in turn take the split that serves its rows best, given the tree below it.

    Carreira-Perpinan and Tavallali, "Alternating Optimization of Decision Trees, with Application
    to Learning Sparse Oblique Trees", NeurIPS 2018. The loss falls with every change, and leaves
    keep at least `min_samples_leaf` rows.
    """
    limits = cuts, objective, min_samples_leaf
    for _ in range(ROUNDS):
        if not _improve_below(root, *limits):
            break


def _improve_below(node, *limits):
    if node.split is None:
        return False
    changed = improve_node(node, *limits)
    for child in (node.left, node.right):
        changed |= _improve_below(child, *limits)
    return changed


def improve_node(node, cuts, objective, min_samples_leaf):
    """Give a node the split that serves its rows best, if it has not got it; tells if it changed.

    ``objective.row_losses(rows, leaves, number)`` is what rows lose in the leaves of these numbers.
    """
    cost = _costs_of_splits(node, cuts, objective, min_samples_leaf)
    cost = np.rint(cost / objective.step)
    best, old = int(np.argmin(cost)), node.split
    if not cost[best] < cost[old]:
        return False
    _assign(node, cuts, node.rows, best)
    if min(len(leaf.rows) for leaf in node.leaves()) < min_samples_leaf:
        _assign(node, cuts, node.rows, old)
        return False
    return True


def _costs_of_splits(node, cuts, objective, min_samples_leaf):
    """Compute, but for a constant, what the rows of a node lose with every split of it.

    The tree below, and what its leaves answer, stay as they are.
    """
    rows, leaves = node.rows, node.leaves()
    number = {id(leaf): k for k, leaf in enumerate(leaves)}
    left, right = (
        objective.row_losses(rows, leaves, _leaf_below(child, cuts, rows, number))
        for child in (node.left, node.right)
    )
    statistics = np.stack([np.ones(len(rows)), left - right], axis=1)
    n_left, cost = cuts.left_sums(cuts.histogram(rows, statistics, 0, 1))[0].T
    is_small = np.minimum(n_left, len(rows) - n_left) < min_samples_leaf - 0.5
    return np.where(is_small, np.inf, cost)


def _leaf_below(node, cuts, rows, number):
    """Return the number of the leaf below a node that each of some rows would fall in."""
    if node.split is None:
        return np.full(len(rows), number[id(node)])
    left = cuts.goes_left(node.split, rows)
    found = np.empty(len(rows), dtype=int)
    found[left] = _leaf_below(node.left, cuts, rows[left], number)
    found[~left] = _leaf_below(node.right, cuts, rows[~left], number)
    return found


def _assign(node, cuts, rows, split=None):
    """Send rows down from a node, which may get another split."""
    node.rows = rows
    if node.split is not None:
        node.split = node.split if split is None else split
        left, right = divide(cuts, node.split, rows)
        _assign(node.left, cuts, left)
        _assign(node.right, cuts, right)


def node_arrays(root, cuts):
    """Return the fields of `PlainTree` up to `missing_go_to_left`; parents before children."""
    nodes, left, right, missing_left = [root], [], [], []
    for node in nodes:  # which grows
        is_leaf = node.split is None
        left.append(-1 if is_leaf else len(nodes))
        right.append(-1 if is_leaf else len(nodes) + 1)
        nodes += [] if is_leaf else [node.left, node.right]
        missing_left.append(not is_leaf and cuts.missing_goes_left(node.split, node.rows))
    feature, threshold = cuts.nodes(np.array([-1 if n.split is None else n.split for n in nodes]))
    return {
        "children_left": np.array(left),
        "children_right": np.array(right),
        "feature": feature,
        "threshold": threshold,
        "missing_go_to_left": np.array(missing_left),
    }


def tree_of_arrays(nodes, cuts, rows, at=0):
    """Return the root of a tree given as arrays, whose thresholds are among the cuts."""
    if nodes["children_left"][at] < 0:
        return Node(rows)
    same = (cuts.feature == nodes["feature"][at]) & (cuts.threshold == nodes["threshold"][at])
    possible = np.flatnonzero(same)
    as_given = cuts.missing_left[possible] == nodes["missing_go_to_left"][at]
    split = int(possible[np.argmax(as_given)])
    children = (nodes["children_left"][at], nodes["children_right"][at])
    sides = zip(divide(cuts, split, rows), children, strict=True)
    return Node(rows, split, *(tree_of_arrays(nodes, cuts, side, child) for side, child in sides))
