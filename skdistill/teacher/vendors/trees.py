"""What the trees of fitted ensembles remember, as arrays that are the same for all vendors."""

from dataclasses import dataclass, field, replace

import numpy as np

#: Trees of an ensemble whose leaves are counted.
MOST_COUNTED = 32


@dataclass(frozen=True)
class TreeNodes:
    """The nodes of all trees of an ensemble, one after the other, as arrays.

    Attributes
    ----------
    root : ndarray of shape (n_trees,)
        Node number of every tree's root.
    left, right : ndarray of shape (n_nodes,)
        Node numbers of the children; -1 at a leaf.
    column : ndarray of shape (n_nodes,)
        Column that the node splits.
    threshold : ndarray of shape (n_nodes,)
        Rows with ``x <= threshold`` go left; NaN at leaves, and where categories go left.
    count : ndarray of shape (n_nodes,)
        How many rows of the fit went through the node, or the sum of their weights or Hessians.
    categories_left : dict of int to ndarray
        Node number -> the positions of the categories that go left.
    levels : dict of int to list
        Column -> its categories in the order of those positions, where the ensemble knows them.
    ranges : dict of int to (float, float)
        Column -> smallest and largest number of the fit, where the ensemble knows them.
    """

    root: np.ndarray
    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    count: np.ndarray
    categories_left: dict = field(default_factory=dict)
    levels: dict = field(default_factory=dict)
    ranges: dict = field(default_factory=dict)

    def thresholds(self, column):
        """Return the distinct thresholds of a column, sorted."""
        own = (self.left >= 0) & (self.column == column)
        found = self.threshold[own]
        return np.unique(found[~np.isnan(found)])

    def nominal_columns(self):
        """Return the columns that are split by category, or known to hold some."""
        return {int(self.column[node]) for node in self.categories_left} | set(self.levels)

    def on_columns(self, columns):
        """Return the nodes of a member that was fitted on some columns, given by position."""
        columns = np.asarray(columns)
        positions = columns.tolist()
        levels, ranges = (
            {positions[j]: v for j, v in known.items()} for known in (self.levels, self.ranges)
        )
        return replace(self, column=columns[self.column], levels=levels, ranges=ranges)


def join_nodes(parts):
    """Join the nodes of several ensembles over the same columns."""
    starts = np.cumsum([0, *(len(part.left) for part in parts)])
    pairs = list(zip(parts, starts.tolist(), strict=False))

    def children(name):
        return np.concatenate(
            [np.where(getattr(p, name) < 0, -1, getattr(p, name) + start) for p, start in pairs]
        )

    def joined(name):
        return np.concatenate([getattr(part, name) for part in parts])

    return TreeNodes(
        np.concatenate([part.root + start for part, start in pairs]),
        children("left"),
        children("right"),
        joined("column"),
        joined("threshold"),
        joined("count"),
        {node + start: left for p, start in pairs for node, left in p.categories_left.items()},
        {column: levels for p in parts for column, levels in p.levels.items()},
        {column: range_ for p in parts for column, range_ in p.ranges.items()},
    )


def nodes_of_nested(trees, split, levels, ranges):
    """Give the nodes of nested trees numbers.

    `split` takes a node, and returns how it splits (column, threshold, categories that go left or
    None, left and right child; None at a leaf) and how many rows went through it.
    """
    root, left, right, column, threshold, count, categories = [], [], [], [], [], [], {}
    for tree in trees:
        root.append(len(left))
        stack = [(tree, None, None)]
        while stack:
            node, siblings, parent = stack.pop()
            number = len(left)
            if siblings is not None:
                siblings[parent] = number
            how, rows = split(node)
            left.append(-1)
            right.append(-1)
            column.append(0 if how is None else how[0])
            threshold.append(np.nan if how is None else how[1])
            count.append(rows)
            if how is None:
                continue
            if how[2] is not None:
                categories[number] = how[2]
            stack += [(how[4], right, number), (how[3], left, number)]
    integers = (np.array(values, dtype=np.int64) for values in (root, left, right, column))
    numbers = (np.array(values, dtype=np.float64) for values in (threshold, count))
    return TreeNodes(*integers, *numbers, categories, levels, ranges)


@dataclass(frozen=True)
class LeafCounts:
    """How many rows there are in every leaf of a tree.

    Attributes
    ----------
    remembered : ndarray of shape (n_leaves,)
        Rows of the fit, or a sum of their weights, in any unit.
    found : ndarray of shape (n_leaves, n_classes)
        Rows in question, by class.
    is_count : bool
        Whether what is remembered are numbers of rows, not sums of weights.
    is_comparable : bool, default=True
        Whether rows of a class weigh the same, if the user gave them no weights.
    share : float or None, default=None
        Share of the rows of the fit that the tree was grown on, if that and their numbers are
        known.
    """

    remembered: np.ndarray
    found: np.ndarray
    is_count: bool
    is_comparable: bool = True
    share: float | None = None

    @property
    def n_remembered(self):
        """Number of rows that the tree was grown on, or the sum of their weights."""
        return self.remembered.sum()


def leaves_of_nested(tree, number, remembered, is_leaf=None):
    """Return what the leaves of a nested tree remember, by their numbers."""
    found, stack = {}, [tree]
    while stack:
        node = stack.pop()
        if (is_leaf or number) in node:
            found[node[number]] = node[remembered]
        children = [node[side] for side in ("left_child", "right_child") if side in node]
        stack += [*children, *node.get("children", ())]
    return found


def in_order(by_number):
    """Return values by number as an array in the order of the numbers."""
    return np.array([by_number[number] for number in sorted(by_number)], dtype=np.float64)


def counted(leaf, n_leaves, codes):
    """Count rows of every class by leaf."""
    n_classes = codes.max() + 1
    counts = np.bincount(leaf * n_classes + codes, minlength=n_leaves * n_classes)
    return counts.reshape(n_leaves, n_classes).astype(np.float64)


def are_numbers_of_rows(weights, found):
    """Tell whether sums of weights can be nothing but numbers of rows.

    Whole weights give whole numbers, too, but never a leaf with more rows than its number.
    """
    return np.array_equal(weights, weights.round()) and (found > weights).any()


def spread(number, most):
    """Return at most this many positions, evenly spread over a number of them."""
    return np.linspace(0, number - 1, min(number, most)).astype(int)
