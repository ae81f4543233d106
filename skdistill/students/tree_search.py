"""A search for a tree of few leaves that asks of a split what the tree below it will lose.

    candidates for the root  ->  greedy trees below each  ->  best, with leaves for both sides
          ^                                                              |
          +------------------- the same for both sides <-----------------+

Then every node in turn takes the split that serves its rows best, as long as the loss falls; so
does every node of the greedy tree, and the better of both trees stays. The search sees the columns
that a greedy tree finds useful, at some of their cuts; the last splits, and the improvement, see
all columns, at ten times as many.
"""

import heapq
from dataclasses import dataclass

import numpy as np

from skdistill.students.cuts import Cuts, find_thresholds, informative_mass, make_cuts
from skdistill.students.tree_improvement import (
    Node,
    divide,
    improve,
    node_arrays,
    tree_of_arrays,
)

#: Cuts per column for the search, and for the last splits and the improvement.
COARSE, FINE = 24, 255

#: Columns that the search sees.
MAX_COLUMNS = 16

#: Levels of the greedy trees below a candidate.
LEVELS = 4

#: Candidates for a node: the fewest, and the most; as many as there is time for.
CANDIDATES = 6, 30

#: That time: cells (rows times columns) times statistics times candidates.
WORK = 4_000_000

#: Candidates on one column, at most, and how many cuts they are apart, at least.
PER_COLUMN, APART = 4, 2

#: With more classes the search sees that many principal components of their probabilities.
MAX_CLASSES, COMPONENTS = 30, 8

#: Numbers in one histogram, and cells that are counted in it, about.
HISTOGRAM, CELLS = 4_000_000, 2_000_000

_TINY, _BELOW_1 = np.finfo(np.float64).tiny, 1 - 2**-53


@dataclass(frozen=True)
class Problem:
    """What a tree is searched for.

    Attributes
    ----------
    statistics : ndarray of shape (n_rows, 2 + n_targets)
        One, the weight, and the weight times the targets.
    loss : callable
        From sums of the statistics, of shape (..., 2 + n_targets), to the loss of nodes.
    min_samples_leaf : int
        Rows in a leaf, at least.
    step : float
        Losses are rounded to its multiples.
    """

    statistics: np.ndarray
    loss: object
    min_samples_leaf: int
    step: float

    def histogram(self, cuts, rows, node, n_nodes):
        """Return the histogram of some rows, whose nodes are given."""
        return cuts.histogram(rows, self.statistics[rows], node, n_nodes)

    def losses(self, cuts, histogram):
        """Compute the loss of nodes after every split, infinite if one is impossible, and before.

        Shapes are (n_nodes, n_splits) and (n_nodes,).
        """
        left, whole = cuts.left_sums(histogram), cuts.sums(histogram)
        right = whole[:, None] - left
        loss = self._rounded(self.loss(left) + self.loss(right))
        loss[np.minimum(left[..., 0], right[..., 0]) < self.min_samples_leaf - 0.5] = np.inf
        return loss, self._rounded(self.loss(whole))

    def _rounded(self, loss):
        return self.step * np.rint(loss / self.step)

    def gain_of_best(self, loss, before):
        """Return the best split of every node, and what it gains: 0 if it is none."""
        best = np.argmin(loss, axis=1)
        gain = before - loss[np.arange(len(loss)), best]
        return best, np.where(gain > self.step / 2, gain, 0.0)


@dataclass(frozen=True)
class Search:
    """A problem with the splits that are tried.

    Attributes
    ----------
    problem : Problem
        The problem.
    coarse, fine : Cuts
        Possible splits, before the last one and for it.
    in_fine : ndarray of shape (coarse.n_splits,)
        The number of each coarse split among the fine ones.
    n_candidates : int
        For a node.
    """

    problem: Problem
    coarse: Cuts
    fine: Cuts
    in_fine: np.ndarray
    n_candidates: int


def searched_nodes(matrix, objective, start, *, max_leaf_nodes, max_depth, min_samples_leaf):
    """Search a tree; returns the fields of `PlainTree` up to `missing_go_to_left`.

    `matrix` are rows as float32, NaN where missing; `start` has such fields of a greedy tree within
    the same limits, which loses no less.
    """
    search = make_search(matrix, objective, start, min_samples_leaf)
    every_row = np.arange(len(matrix))
    greedy = tree_of_arrays(start, search.fine, every_row)
    found = find_tree(search, every_row, max_leaf_nodes, max_depth or np.inf)
    is_possible = min(len(leaf.rows) for leaf in greedy.leaves()) >= min_samples_leaf
    trees = [greedy, found] if is_possible else [found]  # on a sample of rows it may not be
    for tree in trees:
        improve(tree, search.fine, objective, min_samples_leaf)
    best = min(trees, key=lambda tree: objective.loss([leaf.rows for leaf in tree.leaves()]))
    return node_arrays(best, search.fine)


def make_search(matrix, objective, start, min_samples_leaf):
    """Choose targets, splits and candidates; the thresholds of a tree to start with are among them.

    See `searched_nodes` for the parameters.
    """
    weight = objective.weight
    coarse, fine = _thresholds(matrix, objective, start)
    targets, loss = _targets_and_loss(objective)
    statistics = np.column_stack([np.ones(len(weight)), weight, weight[:, None] * targets])
    problem = Problem(statistics, loss, min_samples_leaf, objective.step)
    columns = useful_columns(problem, make_cuts(matrix, coarse), matrix.shape[1])
    coarse = make_cuts(matrix[:, columns], [coarse[j] for j in columns])
    fine = make_cuts(matrix, fine)
    place = {split: k for k, split in enumerate(fine.identities())}
    in_fine = np.array([place[split] for split in coarse.identities(columns)], dtype=int)
    possible = WORK // (coarse.bins.size * statistics.shape[1])
    return Search(problem, coarse, fine, in_fine, int(np.clip(possible, *CANDIDATES)))


def _thresholds(matrix, objective, start):
    """List coarse and fine thresholds by column; the fine ones have the coarse ones among them."""
    mass = informative_mass(objective.target, objective.weight)
    split_on = np.where(np.isfinite(start["threshold"]), start["feature"], -1)
    known = [start["threshold"][split_on == j] for j in range(matrix.shape[1])]
    coarse = list(map(np.union1d, known, find_thresholds(matrix, mass, COARSE)))
    return coarse, list(map(np.union1d, coarse, find_thresholds(matrix, mass, FINE)))


def _targets_and_loss(objective):
    """Return the targets that the search sums up, and the loss of such sums."""
    target, weight = objective.target, objective.weight
    if objective.is_proba and target.shape[1] == 2:
        return target[:, 1:], entropy_of_two
    if objective.is_proba and target.shape[1] <= MAX_CLASSES:
        return target, entropy
    centred = target - np.average(target, axis=0, weights=weight)
    if target.shape[1] > COMPONENTS:
        _, directions = np.linalg.eigh((centred * weight[:, None]).T @ centred)
        centred = centred @ directions[:, -COMPONENTS:]
    return centred, squared_error


def entropy_of_two(sums):
    """Return the entropy of nodes times their weight; the target is the second probability."""
    weight, second = sums[..., 1], sums[..., 2]
    p = np.clip(second / np.maximum(weight, _TINY), 0.0, 1.0)
    log_p, log_rest = np.log(np.maximum(p, _TINY)), np.log1p(-np.minimum(p, _BELOW_1))
    return -weight * (p * log_p + (1 - p) * log_rest)


def entropy(sums):
    """Return the entropy of nodes times their weight; targets are probabilities."""
    weight, of_classes = sums[..., 1:2], np.maximum(sums[..., 2:], 0.0)
    p = of_classes / np.maximum(weight, _TINY)
    return -np.sum(of_classes * np.log(np.maximum(p, _TINY)), axis=-1)


def squared_error(sums):
    """Return the squared error of nodes, but for a constant; targets have the mean 0."""
    weight, targets = sums[..., 1], sums[..., 2:]
    return -np.sum(targets**2, axis=-1) / np.maximum(weight, _TINY)


def useful_columns(problem, cuts, n_columns):
    """Choose columns by what their best splits would gain in all nodes of a greedy tree."""
    if n_columns <= MAX_COLUMNS:
        return np.arange(n_columns)
    rows, total = np.arange(len(problem.statistics)), np.zeros(n_columns)
    node = 0 * rows
    histogram = problem.histogram(cuts, rows, node, 1)
    for level in range(LEVELS + 1):
        loss, before = problem.losses(cuts, histogram)
        for gains in np.maximum(before[:, None] - loss, 0.0):
            best = np.zeros(n_columns)
            np.maximum.at(best, cuts.feature, gains)
            total += best
        if level < LEVELS:
            left = cuts.goes_left(np.argmin(loss, axis=1)[node], rows)
            histogram = _of_children(problem, cuts, histogram, rows, node, left)
            node = 2 * node + ~left
    return np.sort(np.argsort(-total, kind="stable")[:MAX_COLUMNS])


def find_tree(search, rows, n_leaves, max_depth):
    """Search a tree of at most `n_leaves` leaves for some rows."""
    n_leaves = int(min(n_leaves, 2 ** min(max_depth, 30)))
    if n_leaves < 2:
        return Node(rows)
    find = _last_split if n_leaves == 2 else _split_with_a_future
    split, n_left = find(search, rows, n_leaves, max_depth)
    if split is None:
        return Node(rows)
    left, right = divide(search.fine, split, rows)
    return Node(
        rows,
        split,
        find_tree(search, left, n_left, max_depth - 1),
        find_tree(search, right, n_leaves - n_left, max_depth - 1),
    )


def _last_split(search, rows, n_leaves, max_depth):
    """Find the best split; returns it and 1, the number of leaves on the left."""
    problem, cuts = search.problem, search.fine
    if not cuts.n_splits:
        return None, 0
    loss, before = problem.losses(cuts, problem.histogram(cuts, rows, 0, 1))
    (best,), (gain,) = problem.gain_of_best(loss, before)
    return (int(best), 1) if gain else (None, 0)


def _split_with_a_future(search, rows, n_leaves, max_depth):
    """Find the split with the best greedy trees below; returns it and the leaves on its left."""
    problem, cuts = search.problem, search.coarse
    if not cuts.n_splits:
        return None, 0
    loss, before = problem.losses(cuts, problem.histogram(cuts, rows, 0, 1))
    candidates = choose_candidates(cuts, loss[0], search.n_candidates)
    if not candidates:
        return None, 0
    sides = [side for split in candidates for side in divide(cuts, split, rows)]
    curves = greedy_curves(problem, cuts, sides, n_leaves - 1, max_depth - 1)
    total = curves[::2] + curves[1::2, ::-1]  # with 1, 2, ... leaves on the left
    best, n_left = np.unravel_index(np.argmin(total), total.shape)
    if not before[0] - total[best, n_left] > problem.step / 2:
        return None, 0
    return int(search.in_fine[candidates[best]]), int(n_left) + 1


def choose_candidates(cuts, loss, n):
    """Choose splits with the least loss, of several columns and not beside each other."""
    chosen, of_column = [], {}
    for split in np.argsort(loss, kind="stable"):
        if not np.isfinite(loss[split]) or len(chosen) == n:
            break
        near = of_column.setdefault(int(cuts.feature[split]), [])
        is_apart = all(
            abs(cuts.end[split] - cuts.end[other]) >= APART
            or cuts.missing_left[split] != cuts.missing_left[other]
            for other in near
        )
        if is_apart and len(near) < PER_COLUMN:
            near.append(split)
            chosen.append(split)
    return chosen


def greedy_curves(problem, cuts, groups, n_leaves, max_depth):
    """Compute what greedy trees lose that grow best-first: with 1 to `n_leaves` leaves, by group.

    Every group holds rows. The array is of shape (n_groups, n_leaves).
    """
    levels = max(1, int(min(LEVELS, n_leaves - 1, max_depth)))
    numbers = cuts.n_bins * problem.statistics.shape[1] * 2**levels
    cells = max(map(len, groups)) * cuts.bins.shape[1]
    size = max(1, min(HISTOGRAM // numbers, CELLS // max(cells, 1)))
    curves = []
    for start in range(0, len(groups), size):
        some = groups[start : start + size]
        loss, gains = _grow_levels(problem, cuts, some, levels)
        by_group = [gain.reshape(len(some), -1) for gain in gains]
        n_splits = n_leaves if max_depth >= 1 else 1
        curves += [
            loss[g] - _best_first([gain[g] for gain in by_group], n_leaves, n_splits)
            for g in range(len(some))
        ]
    return np.array(curves)


def _grow_levels(problem, cuts, groups, n_levels):
    """Grow one greedy tree per group level by level; returns losses of roots, and gains by level.

    The gains of a level are those of the nodes from left to right, group by group.
    """
    rows = np.concatenate(groups)
    node = np.repeat(np.arange(len(groups)), list(map(len, groups)))
    histogram, at_roots, gains = problem.histogram(cuts, rows, node, len(groups)), None, []
    while True:
        loss, before = problem.losses(cuts, histogram)
        at_roots = before if at_roots is None else at_roots
        split, gain = problem.gain_of_best(loss, before)
        gains.append(gain)
        grows = gain[node] > 0
        rows, node = rows[grows], node[grows]
        if len(gains) == n_levels or not len(rows):
            return at_roots, gains
        left = cuts.goes_left(split[node], rows)
        histogram = _of_children(problem, cuts, histogram, rows, node, left)
        node = 2 * node + ~left


def _of_children(problem, cuts, histogram, rows, node, left):
    """Compute the histograms of children from those of their parents, and of the smaller child.

    `rows` are all of some nodes, and none of the others, which have no children.
    """
    n_nodes = len(histogram)
    n_rows = np.bincount(node, minlength=n_nodes)
    left_is_small = 2 * np.bincount(node[left], minlength=n_nodes) <= n_rows
    small = left == left_is_small[node]
    of_small = problem.histogram(cuts, rows[small], node[small], n_nodes)
    children = np.empty((n_nodes, 2, *histogram.shape[1:]))
    place, is_right = np.arange(n_nodes), np.where(left_is_small, 0, 1)
    children[place, is_right] = of_small
    children[place, 1 - is_right] = (histogram - of_small) * (n_rows > 0)[:, None, None]
    return children.reshape(2 * n_nodes, *histogram.shape[1:])


def _best_first(gains, n_leaves, n_splits):
    """Sum the largest gains of 0, 1, ... splits, each of a leaf that is there by then."""
    total, heap = np.zeros(n_leaves), [(-gains[0][0], 0, 0)]
    for n in range(1, n_leaves):
        gain, level, place = heapq.heappop(heap) if heap and n < n_splits else (0.0, 0, 0)
        total[n] = total[n - 1] - gain
        if gain and level + 1 < len(gains):
            for child in (2 * place, 2 * place + 1):
                heapq.heappush(heap, (-gains[level + 1][child], level + 1, child))
    return total
