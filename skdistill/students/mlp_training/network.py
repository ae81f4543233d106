"""The network of the MLP students and its losses, in torch."""

import functools
import itertools
import operator
import warnings

import numpy as np
import torch
from torch import nn

from skdistill.students.encoding import LEVEL, MISSING


class EncodedMLP(nn.Module):
    """Expand positions into codes, then hidden layers with ReLU.

    Parameters
    ----------
    encoding : Encoding
        The fitted encoding, whose `expand` is repeated here in torch.
    hidden_layer_sizes : list of int
        Width of every hidden layer.
    start : ndarray of shape (n_outputs,)
        Initial bias of the last layer.
    """

    def __init__(self, encoding, hidden_layer_sizes, start):
        super().__init__()
        self.register_buffer("column", torch.as_tensor(encoding.code_column))
        self.register_buffer("offset", torch.as_tensor(encoding.code_offset))
        kind = torch.as_tensor(encoding.code_kind)
        self.register_buffer("level", kind == LEVEL)
        self.register_buffer("missing", kind == MISSING)
        self.has_level, self.has_missing = bool(self.level.any()), bool(self.missing.any())
        one_each = np.array_equal(encoding.code_column, np.arange(len(encoding.columns)))
        self.is_expanded = one_each and not self.has_level and not self.has_missing
        sizes = [encoding.n_codes, *hidden_layer_sizes, len(start)]
        with warnings.catch_warnings():  # there are no codes if all columns are constant
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            self.layers = nn.ModuleList(
                nn.Linear(n_in, n_out) for n_in, n_out in itertools.pairwise(sizes)
            )
        with torch.no_grad():
            self.layers[-1].bias.copy_(torch.as_tensor(start))

    def forward(self, positions):
        """Compute outputs of shape (n_rows, n_outputs) from positions of (n_rows, n_features)."""
        hidden = positions if self.is_expanded else self.expand(positions)
        *hidden_layers, last = self.layers
        for layer in hidden_layers:
            hidden = torch.relu(nn.functional.linear(hidden, layer.weight, layer.bias))
        return nn.functional.linear(hidden, last.weight, last.bias)

    @torch.no_grad()
    def expand(self, positions):
        """Compute codes of shape (n_rows, n_codes), as `Encoding.expand` does."""
        known = positions.nan_to_num(0.0) if self.has_missing else positions
        distance = known.index_select(1, self.column).sub_(self.offset)
        if not self.has_level and not self.has_missing:
            return distance.clamp_(0, 1)
        codes = distance.clamp(0, 1)
        if self.has_level:
            codes = torch.where(self.level, (distance == 0).float(), codes)
        if self.has_missing:
            absent = positions.isnan().float().index_select(1, self.column)
            codes = torch.where(self.missing, absent, codes)
        return codes

    def weights(self):
        """Return the weights, (n_inputs, n_outputs), and biases of all layers as NumPy arrays."""
        coefs = [layer.weight.detach().cpu().numpy().T.copy() for layer in self.layers]
        return coefs, [layer.bias.detach().cpu().numpy().copy() for layer in self.layers]

    @torch.no_grad()
    def set_weights(self, coefs, intercepts):
        """Take over weights and biases as `weights` returns them."""
        for layer, coef, intercept in zip(self.layers, coefs, intercepts, strict=True):
            layer.weight.copy_(torch.as_tensor(coef.T))
            layer.bias.copy_(torch.as_tensor(intercept))


def network_of(student, start=None):
    """Build the network of a student.

    Parameters
    ----------
    student : MLPStudentClassifier or MLPStudentRegressor
        Has an encoding, and weights if there is no `start`.
    start : ndarray of shape (n_outputs,) or None, default=None
        Outputs of the best constant model, for a new network; None for the student's own weights.

    Returns
    -------
    network : EncodedMLP
        The network.

    Raises
    ------
    ValueError
        If ``hidden_layer_sizes`` is impossible.
    """
    if start is not None:
        return EncodedMLP(student.encoding_, _hidden_layer_sizes(student), start)
    sizes = [len(intercept) for intercept in student.intercepts_[:-1]]
    network = EncodedMLP(student.encoding_, sizes, student.intercepts_[-1])
    network.set_weights(student.coefs_, student.intercepts_)
    return network


def _hidden_layer_sizes(student):
    sizes = np.atleast_1d(student.hidden_layer_sizes).tolist()
    if any(not isinstance(size, int) or size < 1 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes is {student.hidden_layer_sizes!r}; the width of every hidden "
            "layer was expected, as integers of at least 1, such as (128, 128)."
        )
    return sizes


class DistillationLoss(nn.Module):
    """The distillation loss as weighted cross-entropies, one per temperature.

    Parameters
    ----------
    temperatures : list of float
        Temperature of every term.
    n_classes : int
        Number of classes.

    Notes
    -----
    The mean over the batch of ``sum_t T_t**2 * w_t * CE(proba_t, softmax(margins / T_t))``, see
    `skdistill.soft_labels.SoftTargets.cross_entropies`. Every row of `packed` holds the
    probabilities and the weight of one term after the other.
    """

    def __init__(self, temperatures, n_classes):
        super().__init__()
        self.temperatures = temperatures
        self.n_classes = n_classes

    def forward(self, outputs, packed):
        """Compute the mean loss of a batch."""
        starts = range(0, packed.shape[1], self.n_classes + 1)
        terms = [
            self._term(outputs, packed, first, temperature)
            for first, temperature in zip(starts, self.temperatures, strict=True)
        ]
        return functools.reduce(operator.add, terms)

    def _term(self, outputs, packed, first, temperature):
        weight = packed[:, first + self.n_classes]
        if temperature != 1.0:
            outputs, weight = outputs / temperature, weight * temperature**2
        if self.n_classes == 2:
            proba = packed[:, first + 1]
            return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], proba, weight)
        proba = packed[:, first : first + self.n_classes]
        entropy = nn.functional.cross_entropy(outputs, proba, reduction="none")
        return (weight * entropy).mean()

    def row_weights(self, packed):
        """Total weight of every row, 1 on average."""
        return packed[:, self.n_classes :: self.n_classes + 1].sum(dim=1)


class WeightedSquaredError(nn.Module):
    """Mean over the batch of ``w * (output - y)**2``; rows of `packed` hold y and w."""

    def forward(self, outputs, packed):
        """Compute the mean loss of a batch."""
        return (packed[:, 1] * (outputs[:, 0] - packed[:, 0]) ** 2).mean()

    def row_weights(self, packed):
        """Weight of every row, 1 on average."""
        return packed[:, 1]


def pack_distillation(targets):
    """Return the loss for some `SoftTargets` and their float32 array for it."""
    terms = targets.cross_entropies()
    total = sum(weight.sum() for _, _, weight in terms) / len(targets.codes)
    packed = np.concatenate(
        [part for _, p, w in terms for part in (p, w[:, None] / total)], axis=1, dtype=np.float32
    )
    return DistillationLoss([temperature for temperature, _, _ in terms], targets.n_classes), packed


def pack_regression(y, sample_weight):
    """Return the loss for regression and the float32 array of values and weights for it."""
    packed = np.stack([y, sample_weight / sample_weight.mean()], axis=1).astype(np.float32)
    return WeightedSquaredError(), packed
