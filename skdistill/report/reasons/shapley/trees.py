"""Exact Shapley values of sums of decision trees, against background rows: arrays in, arrays out.

The players are columns, or groups of them. A mixture of a row x and a background row z reaches a
leaf if and only if, of the columns that its path tests, those for whom x alone meets all conditions
come from x and those for whom z alone does come from z; a player for whom neither does rules the
leaf out. That makes a game whose Shapley values are two binomial coefficients.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import beta

#: Paths test at most this many columns: those that fail on a path are the bits of one integer.
MAX_PATH_PLAYERS = 64

#: Of paths that test at most this many columns the patterns of failing rows are counted.
MOST_COUNTED_PLAYERS = 10

#: Rows that are explained at a time. Many fail in the same way, so larger blocks are cheaper per
#: row.
CHUNK_ROWS = 512


@dataclass(frozen=True)
class ArrayTree:
    """A binary tree as arrays with one entry per node; node 0 is the root.

    Attributes
    ----------
    left, right : ndarray of shape (n_nodes,)
        Node numbers of the children; negative at a leaf.
    if_missing : ndarray of shape (n_nodes,)
        The child that rows without a value go to.
    column : ndarray of shape (n_nodes,)
        Column that the node tests.
    threshold : ndarray of shape (n_nodes,)
        Rows with ``x <= threshold`` go left.
    value : ndarray of shape (n_nodes, n_outputs)
        What the tree adds to the prediction; read at leaves only.
    """

    left: np.ndarray
    right: np.ndarray
    if_missing: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    value: np.ndarray

    @property
    def n_leaves(self):
        """Number of leaves."""
        return int(np.sum(self.left < 0))

    @property
    def depth(self):
        """Number of splits on the longest path."""
        depth, nodes = -1, np.zeros(1, dtype=np.intp)
        while len(nodes):
            nodes = nodes[self.left[nodes] >= 0]
            nodes = np.concatenate([self.left[nodes], self.right[nodes]])
            depth += 1
        return depth

    def goes_left(self, columns):
        """Evaluate the condition of every node for every row, of shape (n_nodes, n_samples).

        `columns` is the transposed table, NaN where missing; False at leaves.
        """
        inner = np.flatnonzero(self.left >= 0)
        x = columns[self.column[inner]]
        missing_left = (self.if_missing == self.left)[inner]
        goes_left = np.zeros((len(self.left), columns.shape[1]), dtype=bool)
        goes_left[inner] = np.where(
            np.isnan(x), missing_left[:, None], x <= self.threshold[inner, None]
        )
        return goes_left

    def predict(self, columns):
        """Return the value of each row's leaf, of shape (n_samples, n_outputs)."""
        rows = np.arange(columns.shape[1])
        node = np.zeros(len(rows), dtype=np.intp)
        while (inner := self.left[node] >= 0).any():
            at = node[inner]
            left, x = self.left[at], columns[self.column[at], rows[inner]]
            goes_left = np.where(np.isnan(x), self.if_missing[at] == left, x <= self.threshold[at])
            node[inner] = np.where(goes_left, left, self.right[at])
        return self.value[node]


def sum_of_trees(trees, X):
    """Add up the outputs of trees for the rows of a matrix, of shape (n_samples, n_outputs)."""
    columns = np.ascontiguousarray(X.T)
    return sum(tree.predict(columns) for tree in trees)


def tree_shapley_values(trees, X, background, owner, n_players, bar=iter):
    """Compute the Shapley values of a sum of trees exactly.

    Parameters
    ----------
    trees : list of ArrayTree
        The trees; no path may test more than `MAX_PATH_PLAYERS` columns.
    X : ndarray of shape (n_samples, n_columns)
        Rows to explain, in the type that the trees compare; NaN where missing.
    background : ndarray of shape (n_background, n_columns)
        Rows of the same type that give the columns that do not take part.
    owner : ndarray of shape (n_columns,)
        The player that each column belongs to: columns of one player take part together.
    n_players : int
        Number of players.
    bar : callable, default=iter
        Wraps the list of trees that is worked off.

    Returns
    -------
    values : ndarray of shape (n_samples, n_players, n_outputs)
        For every row they add up to its prediction minus the mean prediction of the background.

    Notes
    -----
    For a leaf of value v, let x alone meet the conditions of a players and z alone those of b. In
    the game of x against z each of the a gets ``v (a-1)! b! / (a+b)!`` and each of the b gets
    ``-v a! (b-1)! / (a+b)!``; the values are the means over z, summed over leaves and trees. Rows
    and background rows that fail for the same players of a path are counted once, which makes the
    time per leaf nearly independent of their number.

    References
    ----------
    Lundberg, Erion, Chen, DeGrave, Prutkin, Nair, Katz, Himmelfarb, Bansal and Lee, "From local
    explanations to global understanding with explainable AI for trees", Nature Machine
    Intelligence 2 (2020), doi:10.1038/s42256-019-0138-9, algorithm 3, for the game of one pair.
    """
    n_outputs = trees[0].value.shape[1]
    values = np.zeros((n_players, n_outputs, len(X)))
    starts = range(0, len(X), CHUNK_ROWS)
    for tree, start in bar([(tree, start) for tree in trees for start in starts]):
        chunk = slice(start, start + CHUNK_ROWS)
        _add_tree(values[..., chunk], tree, X[chunk], background, owner)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0)) / len(background)


def _add_tree(values, tree, X, background, owner):
    """Add the values of one tree, summed over the background, to `values`.

    These have shape (n_players, n_outputs, n_rows).
    """
    n_rows = len(X)
    goes_left = tree.goes_left(np.concatenate([X, background]).T).astype(np.uint64)
    goes_right = 1 - goes_left
    left, right, column = (each.tolist() for each in (tree.left, tree.right, tree.column))
    owner = owner.tolist()
    # Per node: the columns on which the rows fail on the way there, as bits, and the column of each
    # bit.
    stack = [(0, np.zeros(goes_left.shape[1], dtype=np.uint64), ())]
    while stack:
        node, failed, path = stack.pop()
        if left[node] < 0:
            outputs = np.flatnonzero(tree.value[node])
            if path and len(outputs):
                shares, players = _leaf_shares(failed, n_rows, len(path)), np.array(path)
                added = shares.T[:, None] * tree.value[node, outputs, None]
                values[players[:, None], outputs] += added
            continue
        player = owner[column[node]]
        path = path if player in path else (*path, player)
        bit = path.index(player)
        stack.append((right[node], failed | (goes_left[node] << bit), path))
        stack.append((left[node], failed | (goes_right[node] << bit), path))


def _leaf_shares(failed, n_rows, n_players):
    """Compute what the players of a path get of a leaf's value, of shape (n_rows, n_players).

    `failed` holds, as bits, the players for whom a row does not meet the conditions of the path:
    the rows to explain, then the background. Summed over the background.
    """
    by_x, row_of, _ = _patterns(failed[:n_rows], n_players)
    by_z, _, count = _patterns(failed[n_rows:], n_players)
    reach = np.flatnonzero((by_x[:, None] & by_z) == 0)  # few pairs do, at deep leaves
    x, z = np.divmod(reach, len(by_z))
    a, b = np.bitwise_count(by_z), np.bitwise_count(by_x)  # met by x alone, met by z alone
    both = len(_GAIN[0]) * a.astype(np.intp)[z] + b[x]
    bits = np.arange(n_players, dtype=by_x.dtype)
    only_x = (by_z[:, None] >> bits) & 1
    only_z = (by_x[:, None] >> bits) & 1
    gain = np.zeros(len(by_x) * len(by_z))
    gain[reach] = _GAIN.take(both)
    loss = np.bincount(x, count[z] * _LOSS.take(both), len(by_x))
    gained = gain.reshape(-1, len(by_z)) @ (count[:, None] * only_x)
    return (gained - loss[:, None] * only_z)[row_of]


def _patterns(failed, n_players):
    """Return the distinct patterns of bits, which of them every row has, and how many rows each.

    On long paths rows hardly share any: there every row has its own.
    """
    if n_players > MOST_COUNTED_PLAYERS:
        narrow = np.min_scalar_type(2**n_players - 1)  # is faster to compare
        return failed.astype(narrow), slice(None), np.ones(len(failed))
    codes = failed.astype(np.intp)
    counts = np.bincount(codes, minlength=2**n_players)
    seen = np.flatnonzero(counts)
    place = np.empty(len(counts), dtype=np.intp)
    place[seen] = np.arange(len(seen))
    return seen.astype(np.uint16), place[codes], counts[seen]


def _gains():
    """Tabulate (a-1)! b! / (a+b)!, what each of a players gets; 0 where there are none."""
    a, b = np.ogrid[1 : MAX_PATH_PLAYERS + 1, 0 : MAX_PATH_PLAYERS + 1]
    return np.concatenate([np.zeros((1, MAX_PATH_PLAYERS + 1)), beta(a, b + 1)])


#: By the numbers of players a and b: what each of the a gets, and each of the b loses.
_GAIN = _gains()
_LOSS = np.ascontiguousarray(_GAIN.T)
