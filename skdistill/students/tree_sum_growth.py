"""How a sum of trees is fitted: splits one by one, and after each the values of all leaves.

    objective  ->  best split of all trees  ->  cells  ->  Newton steps for all leaves  ->  ...

Rows that lie in the same leaves of all trees are one cell: they get the same outputs, and the loss
depends on their targets only by the mean. So leaves are fitted on a few dozen cells.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax

from skdistill.soft_labels import margins_from_decision, weighted_loss
from skdistill.students.cuts import Cuts

#: Newton steps after every split, and at the end, where they stop once they change nothing.
STEPS, LAST_STEPS = 2, 100

#: A step is halved at most this many times.
HALVINGS = 30

#: The last steps stop at this share of the total weight.
TOLERANCE = 1e-10

#: Gains below this share of the total weight are rounding errors.
LEAST_GAIN = 1e-12


@dataclass(frozen=True)
class Distillation:
    """The distillation loss as a function of outputs: the log-odds, or one margin per class.

    `terms` are those of `SoftTargets.terms`.
    """

    terms: list

    def over(self, cell, n_cells):
        """Return the same loss of outputs that are equal within cells, up to a constant."""
        return Distillation([_mean_of_cells(term, cell, n_cells) for term in self.terms])

    def loss_and_gradient(self, outputs):
        """Return the loss, summed over rows, and its gradient of the shape of the outputs."""
        loss, gradient = weighted_loss(self._margins(outputs), self.terms)
        return loss.sum(), gradient[:, 1:] if outputs.shape[1] == 1 else gradient

    def hessian(self, outputs):
        """Return the second derivatives by row, of shape (n_rows, n_outputs, n_outputs)."""
        margins, free = self._margins(outputs), slice(outputs.shape[1] == 1, None)
        total = 0.0
        for kind, temperature, _, weight in self.terms:
            curvature = _CURVATURES[kind](margins / temperature)[:, free, free]
            total = total + weight[:, None, None] * curvature
        return total

    def curvature(self, outputs):
        """Return the diagonal of the `hessian`, of shape (n_rows, n_outputs)."""
        return np.einsum("ijj->ij", self.hessian(outputs))

    def _margins(self, outputs):
        return margins_from_decision(outputs) if outputs.shape[1] == 1 else outputs


@dataclass(frozen=True)
class SquaredError:
    """Half of the weighted squared error of values, of shape (n_rows, n_outputs)."""

    values: np.ndarray
    weight: np.ndarray

    def over(self, cell, n_cells):
        """Return the same loss of outputs that are equal within cells, up to a constant."""
        return SquaredError(*_means(self.values, self.weight, cell, n_cells))

    def loss_and_gradient(self, outputs):
        """Return the loss, summed over rows, and its gradient of the shape of the outputs."""
        difference = outputs - self.values
        gradient = self.weight[:, None] * difference
        return np.sum(gradient * difference) / 2, gradient

    def hessian(self, outputs):
        """Return the second derivatives by row, of shape (n_rows, n_outputs, n_outputs)."""
        return self.weight[:, None, None] * np.eye(outputs.shape[1])

    def curvature(self, outputs):
        """Return the diagonal of the `hessian`, of shape (n_rows, n_outputs)."""
        return np.broadcast_to(self.weight[:, None], outputs.shape)


def _sums_by(group, values, n_groups):
    return np.stack([np.bincount(group, v, n_groups) for v in values.T], axis=1)


def _means(values, weight, cell, n_cells):
    """Compute the weighted means of values by cell, and the weights of the cells."""
    total = np.bincount(cell, weight, n_cells)
    sums = _sums_by(cell, weight[:, None] * values, n_cells)
    return np.divide(sums, total[:, None], out=sums, where=total[:, None] > 0), total


def _mean_of_cells(term, cell, n_cells):
    target, weight = _means(term.target, term.weight, cell, n_cells)
    return term._replace(target=target, weight=weight)


def _kl_curvature(z):
    p = softmax(z, axis=1)
    return p[:, :, None] * (np.eye(z.shape[1]) - p[:, None, :])


def _logit_mse_curvature(z):
    n = z.shape[1]
    return np.broadcast_to((np.eye(n) - 1 / n) / n, (len(z), n, n))


_CURVATURES = {"kl": _kl_curvature, "logit_mse": _logit_mse_curvature}


class GrowingTree:
    """A tree while it grows: lists with one entry per node, and the node of every row.

    Attributes
    ----------
    node : ndarray of shape (n_rows,)
        The leaf that each row is in.
    split : list of int
        Position of the node's split in `Cuts`, -1 at a leaf.
    left, right : list of int
        Numbers of the children, -1 at a leaf.
    missing_left : list of bool
        Whether missing cells go left.
    value : list of ndarray of shape (n_outputs,)
        What the node adds to the outputs.
    """

    def __init__(self, n_rows, n_outputs):
        self.node = np.zeros(n_rows, dtype=np.int64)
        self.split, self.left, self.right, self.missing_left = [-1], [-1], [-1], [False]
        self.value = [np.zeros(n_outputs)]

    def grow(self, cuts, leaf, split):
        """Split a leaf; returns the rows that go right."""
        rows = np.flatnonzero(self.node == leaf)
        left = cuts.goes_left(split, rows)
        n = len(self.split)
        self.split[leaf], self.left[leaf], self.right[leaf] = split, n, n + 1
        self.missing_left[leaf] = cuts.missing_goes_left(split, rows)
        self.node[rows] = np.where(left, n, n + 1)
        for entries in (self.split, self.left, self.right):
            entries += [-1, -1]
        self.missing_left += [False, False]
        self.value += [self.value[leaf]] * 2
        return rows[~left]

    @property
    def leaves(self):
        """Numbers of the leaves."""
        return np.flatnonzero(np.array(self.split) < 0)


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

    Returns the trees and the intercept.
    """
    n_rows, n_outputs = len(growth.cuts.bins), len(start)
    trees, cell = [GrowingTree(n_rows, n_outputs)], np.zeros(n_rows, dtype=np.int64)
    outputs, theta, fit = np.broadcast_to(start, (n_rows, n_outputs)), start[None], None
    for _ in range(growth.max_splits):
        found = best_split(objective, outputs, trees, growth, LEAST_GAIN * total_weight)
        if found is None:
            break
        t, leaf, split = found
        if t == len(trees):
            trees.append(GrowingTree(n_rows, n_outputs))
        right = trees[t].grow(growth.cuts, leaf, split)
        cell *= 2
        cell[right] += 1
        _, first, cell = np.unique(cell, return_index=True, return_inverse=True)
        fit = _CellFit(objective.over(cell, len(first)), _membership(trees, first), growth.ridge)
        theta = fit.newton(_coefficients(theta[0], trees), STEPS)
        _set_values(trees, theta[1:])
        outputs = (fit.design @ theta)[cell]
    if fit is not None:
        theta = fit.newton(theta, LAST_STEPS, TOLERANCE * total_weight)
        _set_values(trees, theta[1:])
    return trees, theta[0]


def _coefficients(intercept, trees):
    return np.array([intercept, *(tree.value[leaf] for tree in trees for leaf in tree.leaves)])


def _set_values(trees, values):
    """Give the leaves of all trees their values, of shape (n_leaves, n_outputs)."""
    values = iter(values)
    for tree in trees:
        for leaf in tree.leaves:
            tree.value[leaf] = next(values)


def best_split(objective, outputs, trees, growth, least_gain):
    """Find the split that lowers the loss most; None if none does.

    Returns tree, leaf and split, where the tree may be a new one.
    """
    cuts = growth.cuts
    _, gradient = objective.loss_and_gradient(outputs)
    statistics = np.hstack([np.ones((len(gradient), 1)), gradient, objective.curvature(outputs)])
    m, best, found = gradient.shape[1], least_gain, None
    nodes = [tree.node for tree in trees]
    if len(trees) < growth.max_trees and len(trees[0].split) > 1:
        nodes.append(np.zeros_like(nodes[0]))
    for t, node in enumerate(nodes):
        leaves, place = np.unique(node, return_inverse=True)
        left = cuts.left_sums(cuts.histogram(slice(None), statistics, place, len(leaves)))
        whole = _sums_by(place, statistics, len(leaves))[:, None]
        gain = _score(left, m, growth.ridge) + _score(whole - left, m, growth.ridge)
        gain -= _score(whole, m, growth.ridge)
        few = growth.min_samples_leaf - 0.5
        gain[(left[..., 0] < few) | ((whole - left)[..., 0] < few)] = -np.inf
        if gain.size and gain.max() > best:
            best = gain.max()
            leaf, split = np.unravel_index(np.argmax(gain), gain.shape)
            found = t, int(leaves[leaf]), int(split)
    return found


def _score(sums, m, ridge):
    """Twice the loss that the best Newton step of a leaf gains."""
    gradient, curvature = sums[..., 1 : m + 1], np.maximum(sums[..., m + 1 :], 0.0)
    return np.sum(gradient**2 / (curvature + ridge), axis=-1)


def _membership(trees, first):
    """Mark intercept and leaves that cells, given by one row of each, are in."""
    parts = [np.ones((len(first), 1))]
    parts += [(tree.node[first][:, None] == tree.leaves).astype(float) for tree in trees]
    return np.hstack(parts)


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
        hessian = self.objective.hessian(self.design @ theta)
        full = np.empty((m, n, m, n))
        for a in range(m):
            for b in range(m):
                full[a, :, b] = self.design.T @ (hessian[:, a, b, None] * self.design)
        full = full.reshape(m * n, m * n)
        penalty = np.full((m, n), self.ridge)
        penalty[:, 0] = self.ridge * 1e-6
        full[np.diag_indices(m * n)] += penalty.ravel()
        return cho_solve(cho_factor(full), gradient.T.ravel()).reshape(m, n).T
