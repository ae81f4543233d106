"""Losses in torch: the same as those of `skdistill.soft_labels` in NumPy."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    log_softmax,
    pad,
    softmax,
)


class DistillationLoss(nn.Module):
    """The distillation loss as a sum of weighted terms.

    It is the mean over the batch of ``sum_t T_t**2 * w_t * D_t(target_t, margins / T_t)``, see
    `skdistill.soft_labels.weighted_loss`. Every row of `packed` holds the target and the weight of
    one term after the other; `terms` has the loss and the temperature of each.
    """

    def __init__(self, terms, n_classes):
        super().__init__()
        self.terms = terms
        self.n_classes = n_classes

    @property
    def width(self):
        """Number of columns of `packed`."""
        return len(self.terms) * (self.n_classes + 1)

    def forward(self, outputs, packed):
        """Compute the mean loss of a batch."""
        starts = range(0, self.width, self.n_classes + 1)
        return sum(
            self._term(outputs, packed[:, first : first + self.n_classes + 1], *term)
            for first, term in zip(starts, self.terms, strict=True)
        )

    def _term(self, outputs, packed, loss, temperature):
        target, weight = packed[:, :-1], packed[:, -1]
        if temperature != 1.0:
            outputs, weight = outputs / temperature, weight * temperature**2
        if loss == "kl" and self.n_classes == 2:
            return binary_cross_entropy_with_logits(outputs[:, 0], target[:, 1], weight)
        margins = pad(outputs, (1, 0)) if self.n_classes == 2 else outputs
        return (weight * _DIVERGENCES[loss](margins, target)).mean()

    def row_weights(self, packed):
        """Total weight of every row, 1 on average."""
        return packed[:, self.n_classes : self.width : self.n_classes + 1].sum(dim=1)


def _logit_mse(margins, target):
    centred = margins - margins.mean(dim=1, keepdim=True)
    return (centred - target).square().mean(dim=1) / 2


def _brier(margins, target):
    return (softmax(margins, dim=1) - target).square().sum(dim=1)


def _js(margins, target):
    log_p, log_q = log_softmax(margins, dim=1), target.log()
    log_m = torch.logaddexp(log_p, log_q) - np.log(2)
    of_target = torch.where(target > 0, target * (log_q - log_m), 0)
    return (of_target + log_p.exp() * (log_p - log_m)).sum(dim=1) / 2


_DIVERGENCES = {
    "kl": lambda margins, target: cross_entropy(margins, target, reduction="none"),
    "logit_mse": _logit_mse,
    "brier": _brier,
    "js": _js,
}


class WeightedSquaredError(nn.Module):
    """Mean over the batch of ``w * (output - y)**2``; rows of `packed` hold y and w."""

    def forward(self, outputs, packed):
        """Compute the mean loss of a batch."""
        return (packed[:, 1] * (outputs[:, 0] - packed[:, 0]) ** 2).mean()

    def row_weights(self, packed):
        """Weight of every row, 1 on average."""
        return packed[:, 1]


class Batch(NamedTuple):
    """What a network makes of a batch of rows, for the terms of hints.

    Attributes
    ----------
    codes : Tensor of shape (n_rows, n_codes) or None
        Expanded rows, by which margins can be differentiated, if a hint needs that.
    hidden : Tensor of shape (n_rows, n_hidden)
        The last hidden layer.
    margins : Tensor of shape (n_rows, n_classes)
        With two classes the first column is 0.
    column : Tensor of shape (n_codes,)
        The column of every code.
    """

    codes: torch.Tensor | None
    hidden: torch.Tensor
    margins: torch.Tensor
    column: torch.Tensor


class LossWithHints(nn.Module):
    """A loss of outputs and, in training, the weighted sum of the terms of hints.

    Epochs are compared by the loss of outputs alone. The targets of hints come after those of the
    loss in `packed`; the heads that hints train for themselves are thrown away after training.
    """

    def __init__(self, of_outputs, hints):
        super().__init__()
        self.of_outputs = of_outputs
        self.hints = [each.hint for each in hints]
        self.widths = [each.targets.shape[1] for each in hints]
        self.row_weights = of_outputs.row_weights
        self.needs_gradient = any(hint.needs_gradient for hint in self.hints)

    def attach_to(self, network):
        """Make the heads."""
        made = zip(self.hints, self.widths, strict=True)
        self.heads = nn.ModuleList(hint.make_head(network.n_hidden, n) for hint, n in made)

    def forward(self, outputs, packed):
        """Compute the loss of outputs."""
        return self.of_outputs(outputs, packed)

    def in_training(self, network, positions, packed):
        """Return outputs, their loss, and that with the terms."""
        codes, first = None, network.first
        if self.needs_gradient:
            codes = first.codes(positions).detach().requires_grad_()
        hidden = network.hidden(first(positions) if codes is None else first.of_codes(codes))
        outputs = network.last(hidden)
        margins = pad(outputs, (1, 0)) if outputs.shape[1] == 1 else outputs
        batch = Batch(codes, hidden, margins, first.column)
        loss = self.of_outputs(outputs, packed)
        targets = packed[:, self.of_outputs.width :].split(self.widths, dim=1)
        parts = zip(self.hints, self.heads, targets, strict=True)
        return outputs, loss, loss + sum(h.weight * h.term(head, batch, t) for h, head, t in parts)


def pack_distillation(targets):
    """Return the loss for some `SoftTargets` and their float32 array for it."""
    terms = targets.terms()
    total = sum(term.weight.sum() for term in terms) / len(targets.codes)
    columns = [part for term in terms for part in (term.target, term.weight[:, None] / total)]
    loss = DistillationLoss([(term.loss, term.temperature) for term in terms], targets.n_classes)
    if targets.hints:
        loss = LossWithHints(loss, targets.hints)
        columns += [each.targets for each in targets.hints]
    return loss, np.concatenate(columns, axis=1, dtype=np.float32)


def pack_regression(y, sample_weight):
    """Return the loss for regression and the float32 array of values and weights for it."""
    packed = np.stack([y, sample_weight / sample_weight.mean()], axis=1).astype(np.float32)
    return WeightedSquaredError(), packed
