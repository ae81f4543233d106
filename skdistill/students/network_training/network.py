"""The network of the MLP students, in torch."""

import itertools
import warnings

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable

from skdistill.students.encoding import LEVEL, MISSING


class EncodedMLP(nn.Module):
    """A first layer on the codes of positions, then hidden layers with ReLU.

    `start` is the initial bias of the last layer, which is the first if none is hidden.
    """

    def __init__(self, encoding, hidden_layer_sizes, start):
        super().__init__()
        sizes = [encoding.n_codes, *hidden_layer_sizes, len(start)]
        self.layers = nn.ModuleList([FirstLayer(encoding, sizes[1])])
        self.layers.extend(nn.Linear(n_in, n_out) for n_in, n_out in itertools.pairwise(sizes[1:]))
        with torch.no_grad():
            self.layers[-1].bias.copy_(torch.as_tensor(start))

    @property
    def first(self):
        """The first layer."""
        return self.layers[0]

    def forward(self, positions):
        """Compute outputs of shape (n_rows, n_outputs) from positions of (n_rows, n_features)."""
        return self.after(self.first(positions))

    def after(self, sums):
        """Compute outputs from those of the first layer."""
        return self.last(self.hidden(sums)) if len(self.layers) > 1 else sums

    def hidden(self, sums):
        """Compute the last hidden layer, of shape (n_rows, n_hidden)."""
        hidden = torch.relu(sums)
        for layer in self.layers[1:-1]:
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

    def weights(self):
        """Return the weights, (n_inputs, n_outputs), and biases of all layers as NumPy arrays."""
        return tuple(
            [tensor.detach().cpu().numpy().copy() for tensor in tensors]
            for tensors in self._tensors()
        )

    @torch.no_grad()
    def set_weights(self, coefs, intercepts):
        """Set weights and biases, as `weights` returns them."""
        weights, biases = self._tensors()
        for tensor, array in zip([*weights, *biases], [*coefs, *intercepts], strict=True):
            tensor.copy_(torch.as_tensor(array))

    def _tensors(self):
        """List the weights, (n_inputs, n_outputs), and the biases of all layers."""
        weights = [self.first.weight, *(layer.weight.T for layer in self.layers[1:])]
        return weights, [layer.bias for layer in self.layers]


class FirstLayer(nn.Module):
    """A linear layer on the codes of positions; compiled kernels need no codes.

    Attributes
    ----------
    weight : Parameter of shape (n_codes, width)
        Weights of the codes.
    bias : Parameter of shape (width,)
        Their biases.
    """

    def __init__(self, encoding, width):
        super().__init__()
        self.register_buffer("column", torch.as_tensor(encoding.code_column))
        self.register_buffer("offset", torch.as_tensor(encoding.code_offset))
        kind = torch.as_tensor(encoding.code_kind)
        self.register_buffer("level", kind == LEVEL)
        self.register_buffer("missing", kind == MISSING)
        self.has_level, self.has_missing = bool(self.level.any()), bool(self.missing.any())
        one_each = np.array_equal(encoding.code_column, np.arange(len(encoding.columns)))
        self.is_expanded = one_each and not self.has_level and not self.has_missing
        with warnings.catch_warnings():  # there are no codes if all columns are constant
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            linear = nn.Linear(encoding.n_codes, width)
        self.weight = nn.Parameter(linear.weight.detach().T.contiguous())
        self.bias = linear.bias
        self.kernels = encoding.kernels

    def forward(self, positions):
        """Compute sums of shape (n_rows, width) from positions of (n_rows, n_features)."""
        if self._is_compiled(positions):
            return SumOfCurves.apply(positions, self.weight, self.bias, self.kernels)
        return self.of_codes(self.codes(positions))

    def _is_compiled(self, positions):
        types = {tensor.dtype for tensor in (positions, self.weight, self.bias)}
        is_taken = types == {torch.float32} and positions.device.type == "cpu"
        return is_taken and self.kernels is not None and not self.is_expanded

    def of_codes(self, codes):
        """Compute the same from the codes."""
        return torch.addmm(self.bias, codes, self.weight)

    def codes(self, positions):
        """Compute codes of shape (n_rows, n_codes), as `Encoding.expand` does."""
        return positions if self.is_expanded else self._expand(positions)

    @torch.no_grad()
    def _expand(self, positions):
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


class SumOfCurves(torch.autograd.Function):
    """The compiled first layer, for torch's differentiation."""

    @staticmethod
    def forward(ctx, positions, weight, bias, kernels):
        """Compute the layer."""
        ctx.kernels, ctx.positions = kernels, positions.contiguous().numpy()
        table = kernels.table(weight.detach().numpy())
        return torch.from_numpy(kernels.sums(ctx.positions, table, bias.detach().numpy()))

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        """Compute the gradients of weights and biases."""
        of_weight = ctx.kernels.weight_gradient(ctx.positions, gradient.contiguous().numpy())
        return None, torch.from_numpy(of_weight), gradient.sum(dim=0), None


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
