"""How a sum of trees is fitted: splits one by one, and after each the values of all leaves.

    best split of all trees  ->  Newton steps for all leaves  ->  next split  ->  ...
                                        |
    every node in turn takes the split that serves best, as long as the loss falls

Rows that lie in the same leaves of all trees are one cell: they get the same outputs, and the loss
depends on their targets only by the mean. So leaves are fitted on a few dozen cells.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from skdistill.students.cuts import Cuts
from skdistill.students.tree_improvement import Node, divide, improve_node

#: Newton steps after every split, and at the end, where they stop once they change nothing.
STEPS, LAST_STEPS = 2, 100

#: A step is halved at most this many times.
HALVINGS = 30

#: The last steps stop at this share of the total weight.
TOLERANCE = 1e-10

#: Rounds of improvement, at most, and splits of sums that are improved.
ROUNDS, MOST_IMPROVED = 5, 64

#: Cells are numbered anew before their codes are larger.
MAX_CODE = 2**40

#: Entries of one side of a Hessian; classes are taken for independent if it were larger.
MAX_HESSIAN = 1500

#: Gains below this share of the total weight are rounding errors.
LEAST_GAIN = 1e-12


@dataclass(frozen=True)
class Growth:
    """What the search for splits depends on.

    Attributes
    ----------
    cuts : Cuts
        The possible splits.
    max_splits : int
        Of all trees together.
    max_trees : int
        Number of trees, at most.
    min_samples_leaf : int
        Rows in a leaf, at least.
    ridge : float
        Of the values of leaves.
    """

    cuts: Cuts
    max_splits: int
    max_trees: int
    min_samples_leaf: int
    ridge: float


def grow_sum(objective, growth, start, total_weight):
    """Grow trees and fit their leaves; `start` are the best constant outputs.

    Returns the roots of the trees, and the intercept.
    """
    state, known = SumState(objective, growth, start), {}
    for _ in range(growth.max_splits):
        best = best_proposal(state, known)
        if not best.gain > LEAST_GAIN * total_weight:
            break
        state.split(best)
        del known[id(best.tree)]
        state.fit(STEPS)
    if growth.max_splits <= MOST_IMPROVED:
        state.improve(LEAST_GAIN * total_weight)
    state.fit(LAST_STEPS, TOLERANCE * total_weight)
    return state.trees, state.intercept


class SumState:
    """Trees while they grow, and what they add up to on the rows.

    Attributes
    ----------
    trees : list of Node
        The roots.
    new_tree : Node
        One leaf, which may be split as the first of another tree.
    intercept : ndarray of shape (n_outputs,)
        What is added to the sum of the leaves.
    cell : ndarray of shape (n_rows,)
        Rows in the same leaves of all trees are in one cell.
    of_cells : ndarray of shape (n_cells, n_outputs)
        The sum, by cell.
    """

    def __init__(self, objective, growth, start):
        self.objective, self.growth, self.intercept = objective, growth, start
        self.trees, self.new_tree = [self._tree_of_one_leaf()], self._tree_of_one_leaf()
        self.cell, self.of_cells = np.zeros(len(growth.cuts.bins), dtype=int), start[None]

    def _tree_of_one_leaf(self):
        return Node(np.arange(len(self.growth.cuts.bins)), value=0.0 * self.intercept)

    def split(self, proposal):
        """Split a leaf of a tree, which may be the new one."""
        if proposal.tree is self.new_tree:
            self.trees.append(self.new_tree)
            self.new_tree = self._tree_of_one_leaf()
        leaf = proposal.leaf
        left, right = divide(self.growth.cuts, proposal.split, leaf.rows)
        leaf.split = proposal.split
        leaf.left, leaf.right = Node(left, value=leaf.value), Node(right, value=leaf.value)

    def fit(self, n_steps, tolerance=0.0):
        """Take Newton steps for intercept and leaves, on rows that are equal to all trees."""
        leaves = [tree.leaves() for tree in self.trees]
        places = [_place_of_rows(some, len(self.cell)) for some in leaves]
        first, cell = _cells(places, [len(some) for some in leaves])
        design = np.hstack(
            [np.ones((len(first), 1))]
            + [
                (place[first][:, None] == np.arange(len(some))).astype(float)
                for place, some in zip(places, leaves, strict=True)
            ]
        )
        every_leaf = [leaf for some in leaves for leaf in some]
        theta = np.array([self.intercept, *(leaf.value for leaf in every_leaf)])
        on_cells = _CellFit(self.objective.over(cell, len(first)), design, self.growth.ridge)
        theta = on_cells.newton(theta, n_steps, tolerance)
        self.intercept, self.cell, self.of_cells = theta[0], cell, design @ theta
        for leaf, value in zip(every_leaf, theta[1:], strict=True):
            leaf.value = value

    def improve(self, least_gain):
        """Let every node in turn take the split that serves best, and fit the leaves again.

        As `skdistill.students.tree_improvement.improve`, with the other trees as they are.
        """
        for _ in range(ROUNDS):
            changed = False
            for tree in self.trees:
                for node in tree.inner():
                    beside = _BesideOthers(self.objective, self.outputs_without(tree), least_gain)
                    if improve_node(node, self.growth.cuts, beside, self.growth.min_samples_leaf):
                        self.fit(STEPS)
                        changed = True
            if not changed:
                break

    def slopes(self):
        """Return one, gradients and curvatures of every row, side by side."""
        gradient = self.objective.gradient(self.of_cells, self.cell)
        curvature = self.objective.diagonal(self.of_cells, self.cell)
        return np.hstack([np.ones((len(gradient), 1)), gradient, curvature])

    def outputs_without(self, tree):
        """Return the sum of intercept and all other trees."""
        leaves = tree.leaves()
        values = np.array([leaf.value for leaf in leaves])
        return self.of_cells[self.cell] - values[_place_of_rows(leaves, len(self.cell))]


@dataclass(frozen=True)
class _BesideOthers:
    """What rows lose in the leaves of a tree, whose values stay, beside the other trees."""

    objective: object
    others: np.ndarray
    step: float

    def row_losses(self, rows, leaves, number):
        values = np.array([leaf.value for leaf in leaves])
        return self.objective.losses(rows, self.others[rows] + values[number])


@dataclass(frozen=True)
class Proposal:
    """The best split of a tree, with twice the loss that it gains."""

    tree: Node
    gain: float
    leaf: Node | None = None
    split: int = -1


def best_proposal(state, known):
    """Return the proposal that gains most among those of all trees and of a new one.

    `known` holds the last proposals by tree, and is updated. Gains shrink while the fit improves,
    so only trees whose last gain was larger than the best of now are asked again.
    """
    growth = state.growth
    trees = [*state.trees]
    if len(trees) < growth.max_trees and trees[0].split is not None:
        trees.append(state.new_tree)
    last = [known.get(id(tree), Proposal(tree, np.inf)) for tree in trees]
    statistics = state.slopes()
    best = None
    for proposal in sorted(last, key=lambda proposal: -proposal.gain):
        if best is not None and proposal.gain <= best.gain:
            break
        fresh = _propose(growth, statistics, proposal.tree)
        known[id(proposal.tree)] = fresh
        best = fresh if best is None or fresh.gain > best.gain else best
    return best


def _propose(growth, statistics, tree):
    cuts, m = growth.cuts, statistics.shape[1] // 2
    leaves = tree.leaves()
    place = _place_of_rows(leaves, len(statistics))
    histogram = cuts.histogram(slice(None), statistics, place, len(leaves))
    left, whole = cuts.left_sums(histogram), cuts.sums(histogram)[:, None]
    gain = _score(left, m, growth.ridge) + _score(whole - left, m, growth.ridge)
    gain -= _score(whole, m, growth.ridge)
    n_smaller = np.minimum(left[..., 0], whole[..., 0] - left[..., 0])
    gain[n_smaller < growth.min_samples_leaf - 0.5] = -np.inf
    if not gain.size:
        return Proposal(tree, -np.inf)
    leaf, split = np.unravel_index(np.argmax(gain), gain.shape)
    return Proposal(tree, gain[leaf, split], leaves[leaf], int(split))


def _score(sums, m, ridge):
    """Twice the loss that the best Newton step of a leaf gains."""
    gradient, curvature = sums[..., 1 : m + 1], np.maximum(sums[..., m + 1 :], 0.0)
    return np.sum(gradient**2 / (curvature + ridge), axis=-1)


def _place_of_rows(leaves, n_rows):
    """Return the number of the leaf that every row is in."""
    place = np.empty(n_rows, dtype=int)
    for k, leaf in enumerate(leaves):
        place[leaf.rows] = k
    return place


def _cells(places, sizes):
    """Group rows that are in the same leaves; returns a row of each cell, and the cell of rows."""
    code, n_codes = places[0], sizes[0]
    for place, size in zip(places[1:], sizes[1:], strict=True):
        if n_codes * size > MAX_CODE:
            code = np.unique(code, return_inverse=True)[1]
            n_codes = code.max() + 1
        code, n_codes = code * size + place, n_codes * size
    _, first, cell = np.unique(code, return_index=True, return_inverse=True)
    return first, cell


@dataclass(frozen=True)
class _CellFit:
    """The fit of intercept and leaves on cells; the intercept has no penalty."""

    objective: object
    design: np.ndarray
    ridge: float

    def newton(self, theta, n_steps, tolerance=0.0):
        loss, gradient = self._loss_and_gradient(theta)
        for _ in range(n_steps):
            step = self._step(theta, gradient)
            slope = np.sum(step * gradient)
            if slope <= tolerance:
                break
            for halving in range(HALVINGS):
                moved = theta - step / 2**halving
                new_loss, new_gradient = self._loss_and_gradient(moved)
                if new_loss <= loss - 1e-4 * slope / 2**halving:
                    break
            else:
                break
            theta, loss, gradient = moved, new_loss, new_gradient
        return theta

    def _loss_and_gradient(self, theta):
        loss, gradient = self.objective.loss_and_gradient(self.design @ theta)
        gradient = self.design.T @ gradient
        gradient[1:] += self.ridge * theta[1:]
        return loss + self.ridge * np.sum(theta[1:] ** 2) / 2, gradient

    def _step(self, theta, gradient):
        n, m = theta.shape
        outputs = self.design @ theta
        if m * n > MAX_HESSIAN:  # then classes are taken for independent
            diagonal = self.objective.diagonal(outputs, np.arange(len(outputs)))
            by_class = zip(diagonal.T, gradient.T, strict=True)
            return np.concatenate([self._solve(h[:, None, None], g[None]) for h, g in by_class]).T
        return self._solve(self.objective.hessian(outputs), gradient.T).T

    def _solve(self, hessian, gradient):
        """Solve for some outputs: `hessian` of cells, and `gradient` of shape (m, n_leaves)."""
        m, n = gradient.shape
        full = np.empty((m, n, m, n))
        for a in range(m):
            for b in range(a + 1):
                full[a, :, b] = self.design.T @ (hessian[:, a, b, None] * self.design)
                full[b, :, a] = full[a, :, b].T
        full = full.reshape(m * n, m * n)
        penalty = np.full((m, n), self.ridge)
        penalty[:, 0] *= 1e-6  # the intercept has none but against rounding errors
        full[np.diag_indices(m * n)] += penalty.ravel()
        return cho_solve(cho_factor(full), gradient.ravel()).reshape(m, n)
