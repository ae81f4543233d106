"""The losses of outputs that a sum of trees minimises, all of one form.

With margins z, temperature T, weight w and target t, a term of row i is, up to a constant,
``T**2 w (A(z / T) - t z / T)``, where A is a convex function. So rows with equal outputs need only
the mean of their targets, and differ in the gradient, ``T w (A'(z / T) - t)``, by their targets.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax

from skdistill.soft_labels import Term, centred, margins_from_decision


class Potential(NamedTuple):
    """A convex function A of each row of an array of shape (n_rows, n), and its derivatives.

    `value` gives an array of shape (n_rows,), `gradient` and `diagonal` (of the second derivatives)
    the shape of the argument, `hessian` (n_rows, n, n).
    """

    value: Any
    gradient: Any
    diagonal: Any
    hessian: Any


def _log_sum_exp(z):
    if z.shape[1] == 2:
        return np.logaddexp(z[:, 0], z[:, 1])
    largest = z.max(axis=1)
    return largest + np.log(np.exp(z - largest[:, None]).sum(axis=1))


def _softmax(z):
    return softmax(z, axis=1)


def _kl_diagonal(z):
    p = _softmax(z)
    return p * (1.0 - p)


def _kl_hessian(z):
    p = _softmax(z)
    return p[:, :, None] * (np.eye(z.shape[1]) - p[:, None, :])


def _centred_hessian(z):
    n = z.shape[1]
    return np.broadcast_to((np.eye(n) - 1 / n) / n, (len(z), n, n))


POTENTIALS = {
    "kl": Potential(_log_sum_exp, _softmax, _kl_diagonal, _kl_hessian),
    "logit_mse": Potential(
        lambda z: np.mean(centred(z) ** 2, axis=1) / 2,
        lambda z: centred(z) / z.shape[1],
        lambda z: np.full(z.shape, (1 - 1 / z.shape[1]) / z.shape[1]),
        _centred_hessian,
    ),
    "squared_error": Potential(
        lambda z: np.sum(z**2, axis=1) / 2,
        lambda z: z,
        np.ones_like,
        lambda z: np.broadcast_to(np.eye(z.shape[1]), (*z.shape, z.shape[1])),
    ),
}


@dataclass(frozen=True)
class OutputLoss:
    """A sum of terms as a function of outputs.

    Attributes
    ----------
    terms : list of Term
        The loss is a name in `POTENTIALS`.
    is_binary : bool
        Whether the one output stands for the margins ``(0, output)``.
    """

    terms: list
    is_binary: bool

    def over(self, cell, n_cells):
        """Return the same loss of outputs that are equal within cells."""
        return replace(self, terms=[_mean_term(term, cell, n_cells) for term in self.terms])

    def losses(self, rows, outputs):
        """Return the losses of some rows with the given outputs, of shape (n_rows,)."""
        margins, total = self._margins(outputs), 0.0
        for kind, temperature, target, weight in self.terms:
            z = margins / temperature
            loss = POTENTIALS[kind].value(z) - np.einsum("ij,ij->i", target[rows], z)
            total = total + temperature**2 * weight[rows] * loss
        return total

    def loss_and_gradient(self, outputs):
        """Return the loss, summed over rows, and its gradient, of the shape of the outputs."""
        rows = np.arange(len(outputs))
        return self.losses(rows, outputs).sum(), self.gradient(outputs, rows)

    def gradient(self, outputs, cell):
        """Return the gradient of all rows, from the outputs of cells, and the cell of each row."""
        margins, total = self._margins(outputs), 0.0
        for kind, temperature, target, weight in self.terms:
            answers = POTENTIALS[kind].gradient(margins / temperature)
            difference = answers[cell, self._free] - target[:, self._free]
            total = total + temperature * weight[:, None] * difference
        return total

    def diagonal(self, outputs, cell):
        """Return the diagonal of the `hessian` of all rows, given as for `gradient`."""
        margins, total = self._margins(outputs), 0.0
        for kind, temperature, _, weight in self.terms:
            diagonal = POTENTIALS[kind].diagonal(margins / temperature)
            total = total + weight[:, None] * diagonal[cell, self._free]
        return total

    def hessian(self, outputs):
        """Return the second derivatives by row, of shape (n_rows, n_outputs, n_outputs)."""
        margins, total = self._margins(outputs), 0.0
        for kind, temperature, _, weight in self.terms:
            hessian = POTENTIALS[kind].hessian(margins / temperature)
            total = total + weight[:, None, None] * hessian[:, self._free, self._free]
        return total

    @property
    def _free(self):
        return slice(1 if self.is_binary else 0, None)

    def _margins(self, outputs):
        return margins_from_decision(outputs) if self.is_binary else outputs


def distillation(targets):
    """Return the distillation loss of `SoftTargets`, as a function of outputs."""
    n = targets.n_classes
    terms = [
        term._replace(target=term.target / (n if term.loss == "logit_mse" else 1))
        for term in targets.terms()
    ]
    return OutputLoss(terms, is_binary=n == 2)


def squared_error(values, weight):
    """Return half of the weighted squared error of values of shape (n_rows, n_outputs)."""
    return OutputLoss([Term("squared_error", 1.0, values, weight)], is_binary=False)


def _mean_term(term, cell, n_cells):
    """Return a term with the mean target of each cell, and its weight."""
    weight = np.bincount(cell, term.weight, n_cells)
    sums = [np.bincount(cell, term.weight * target, n_cells) for target in term.target.T]
    divisor = np.where(weight > 0, weight, 1.0)
    return term._replace(target=np.stack(sums, axis=1) / divisor[:, None], weight=weight)
