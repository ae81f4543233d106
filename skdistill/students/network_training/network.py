"""The network of the MLP students, in torch."""

import itertools
import warnings

import numpy as np
import torch
from torch import nn

from skdistill.students.encoding import LEVEL, MISSING


class EncodedMLP(nn.Module):
    """Expand positions into codes, then hidden layers with ReLU.

    `Encoding.expand` is repeated here in torch; `start` is the initial bias of the last layer.
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
        return self.last(self.hidden(self.codes(positions)))

    def codes(self, positions):
        """Return the input of the first layer, of shape (n_rows, n_codes)."""
        return positions if self.is_expanded else self.expand(positions)

    def hidden(self, codes):
        """Compute the last hidden layer, of shape (n_rows, n_hidden)."""
        hidden = codes
        for layer in self.layers[:-1]:
            hidden = torch.relu(nn.functional.linear(hidden, layer.weight, layer.bias))
        return hidden

    def last(self, hidden):
        """Compute outputs from the last hidden layer."""
        layer = self.layers[-1]
        return nn.functional.linear(hidden, layer.weight, layer.bias)

    @property
    def n_hidden(self):
        """Width of the last hidden layer."""
        return self.layers[-1].in_features

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
        """Set weights and biases, as `weights` returns them."""
        for layer, coef, intercept in zip(self.layers, coefs, intercepts, strict=True):
            layer.weight.copy_(torch.as_tensor(coef.T))
            layer.bias.copy_(torch.as_tensor(intercept))


def network_of(student, start=None):
    """Build the network of an MLP student that has its encoding.

    It predicts the outputs of the best constant model, `start`; None for the student's own weights.
    """
    if start is not None:
        return EncodedMLP(student.encoding_, student.layer_sizes(), start)
    sizes = [len(intercept) for intercept in student.intercepts_[:-1]]
    network = EncodedMLP(student.encoding_, sizes, student.intercepts_[-1])
    network.set_weights(student.coefs_, student.intercepts_)
    return network
