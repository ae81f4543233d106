"""The network of soft decision trees and the regulariser of their balance, in torch."""

import torch
from torch import nn

from skdistill.students.network_training.network import EncodedMLP

#: Unit in which leaves are learned: a step of the optimizer moves all weights by about as much, and
#: margins of leaves have farther to go than weights of codes, many of which add up.
LEAF_UNIT = 5.0

#: Keeps the logarithm of a share of rows, and divisions by their weight, finite.
TINY = 1e-6


class SoftTree(nn.Module):
    """Expand positions into codes, route them through inner nodes, and mix the leaves.

    Parameters
    ----------
    encoding : Encoding
        The fitted encoding.
    leaves : array of shape (n_leaves, n_outputs)
        Initial outputs of the leaves, from left to right: ``2**max_depth`` of a complete tree,
        whose inner nodes are in breadth-first order.
    """

    def __init__(self, encoding, leaves):
        super().__init__()
        n_inner_nodes = len(leaves) - 1
        self.max_depth = n_inner_nodes.bit_length()
        self.filters = EncodedMLP(encoding, [], torch.zeros(n_inner_nodes))
        self.leaves = nn.Parameter(torch.as_tensor(leaves, dtype=torch.float32) / LEAF_UNIT)

    def forward(self, positions):
        """Compute outputs of shape (n_rows, n_outputs) from positions of (n_rows, n_features)."""
        return self.mixed(self.right(positions))

    def right(self, positions):
        """Compute the probability of going right at every node, (n_rows, n_inner_nodes)."""
        return torch.sigmoid(self.filters(positions))

    def mixed(self, right):
        """Mix the leaves by the probabilities of their paths."""
        *_, (reach, _) = levels(right, self.max_depth)
        return reach @ (LEAF_UNIT * self.leaves)

    def weights(self):
        """Return filters, their biases and leaves as NumPy arrays."""
        (coef,), (intercept,) = self.filters.weights()
        return coef, intercept, (LEAF_UNIT * self.leaves).detach().cpu().numpy()

    def set_weights(self, coef, intercept):
        """Set filters and biases, as `weights` returns them."""
        self.filters.set_weights([coef], [intercept])


def new_tree(encoding, max_depth, start, noise):
    """Make a `SoftTree` that predicts nearly as the best constant model does.

    Its outputs are `start`, of shape (n_outputs,); leaves differ from it by noise of this standard
    deviation. Filters are random.
    """
    leaves = torch.as_tensor(start) + noise * torch.randn(2**max_depth, len(start))
    return SoftTree(encoding, leaves)


def levels(right, max_depth):
    """Yield the probabilities of reaching, and of going right, at the nodes of every level.

    Both are of shape (n_rows, n_nodes of the level); the leaves come last, with None for the
    second. ``right`` has all inner nodes of a complete tree, in breadth-first order.
    """
    reach = torch.ones_like(right[:, :1])
    for level in range(max_depth):
        of_level = right[:, 2**level - 1 : 2 ** (level + 1) - 1]
        yield reach, of_level
        reach = torch.stack([reach * (1 - of_level), reach * of_level], dim=2).flatten(1)
    yield reach, None


def imbalance(right, row_weights, max_depth):
    """Measure how unevenly the inner nodes send their rows left and right.

    ``-sum_i 2**-d_i * (log(a_i) + log(1 - a_i)) / 2``, where a_i is the share of the rows that
    reach node i at depth d_i, ``sum_x w P_i(x) p_i(x) / sum_x w P_i(x)``, that it sends right. That
    is ``max_depth * log(2)`` if all nodes send half of their rows to either side, else larger.
    """
    total = torch.zeros((), device=right.device)
    for level, (reach, of_level) in enumerate(levels(right, max_depth)):
        if of_level is not None:
            weighted = row_weights[:, None] * reach
            share = (weighted * of_level).sum(dim=0) / weighted.sum(dim=0).clamp(min=TINY)
            share = share.clamp(TINY, 1 - TINY)
            total = total - 2.0**-level * (share.log() + (1 - share).log()).sum() / 2
    return total


class BalancedLoss(nn.Module):
    """A loss of outputs and, in training, a penalty times the imbalance of the tree.

    Epochs are compared by the loss of outputs alone.
    """

    def __init__(self, of_outputs, penalty):
        super().__init__()
        self.of_outputs = of_outputs
        self.penalty = penalty
        self.row_weights = of_outputs.row_weights

    def forward(self, outputs, packed):
        """Compute the loss of outputs."""
        return self.of_outputs(outputs, packed)

    def in_training(self, network, positions, packed):
        """Return outputs, their loss, and that with the penalty."""
        right = network.right(positions)
        outputs = network.mixed(right)
        loss = self.of_outputs(outputs, packed)
        uneven = imbalance(right, self.row_weights(packed), network.max_depth)
        return outputs, loss, loss + self.penalty * uneven
