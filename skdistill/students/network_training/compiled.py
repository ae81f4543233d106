"""Compiled C takes the steps of an epoch where it can: on the CPU, with nobody watching them."""

import numpy as np
import torch
from skorch.callbacks import EarlyStopping, EpochTimer, PassthroughScoring

from skdistill.students.kernels.steps import NetworkSteps, sgemm
from skdistill.students.network_training.callbacks import (
    AverageWeights,
    KeepBestEpoch,
    LongerWhereItPays,
    ProgressBar,
    TaskPerEpoch,
    WarmUpThenCosine,
)
from skdistill.students.network_training.losses import DistillationLoss, WeightedSquaredError
from skdistill.students.network_training.network import EncodedMLP
from skdistill.students.row_blocks import one_blas_thread

#: Steps between two chances to interrupt the training and to show its progress.
STEPS_PER_CALL = 100

#: Most layers that C has room for.
MOST_LAYERS = 64

#: Callbacks that do without the steps; those of this package do so by `take`.
_OBSERVERS = {
    *(WarmUpThenCosine, AverageWeights, ProgressBar),
    *(KeepBestEpoch, LongerWhereItPays, TaskPerEpoch),
    *(EarlyStopping, EpochTimer, PassthroughScoring),
}


def can_be_compiled(net):
    """Tell whether C computes what a net trains, and all callbacks only look at epochs.

    Others may watch steps, freeze parameters or change the optimizer, of which C knows nothing.
    """
    callbacks = {type(callback) for _, callback in net.callbacks_}
    return (
        torch.device(net.device).type == "cpu"
        and type(net.module_) is EncodedMLP
        and net.module_.first.kernels is not None
        and len(net.module_.layers) <= MOST_LAYERS
        and type(net.criterion_) in (DistillationLoss, WeightedSquaredError)
        and callbacks <= _OBSERVERS
        and sgemm() is not None
    )


class CompiledSteps:
    """The steps of a net's epochs, with the same batches, learning rates and averages."""

    def __init__(self, net):
        self.net = net
        self.watching = {
            type(each): each for listeners in net.listeners.values() for each in listeners
        }
        self.steps = None

    def __getstate__(self):
        return vars(self) | {"steps": None}

    def prepare(self, batches):
        """Get ready to train on the rows of some batches."""
        net, network, loss = self.net, self.net.module_, self.net.criterion_
        is_classifier = isinstance(loss, DistillationLoss)
        (group,) = net.optimizer_.param_groups
        self.steps = NetworkSteps(
            network.first.kernels,
            [len(layer.bias) for layer in network.layers],
            loss.terms if is_classifier else [],
            loss.n_classes if is_classifier else 0,
            *(tensor.contiguous().numpy() for tensor in batches.tensors),
            *(each.detach().numpy() for each in (net.weights, net.served_weights)),
            weight_decay=group["weight_decay"],
            batch_size=batches.batch_size,
        )

    def mean_loss(self, batches, training):
        """Train for an epoch, or compute the loss of other rows; return the mean of the rows."""
        with one_blas_thread():
            if not training:
                tensors = [tensor.contiguous().numpy() for tensor in batches.tensors]
                return self.steps.loss(*tensors) / batches.n_rows
            order = batches.new_order().numpy()
            parts = np.split(order, range(self._n_rows, len(order), self._n_rows))
            return sum(map(self._run, parts)) / len(order)

    @property
    def _n_rows(self):
        return STEPS_PER_CALL * self.steps.batch_size

    def _run(self, rows):
        n_steps = len(rows) // self.steps.batch_size
        learning_rates, shares = (
            np.array(self.watching[kind].take(n_steps), dtype=np.float32)
            for kind in (WarmUpThenCosine, AverageWeights)
        )
        loss = self.steps.run(rows, np.float32(self.net.lr) * learning_rates, shares)
        if ProgressBar in self.watching:
            self.watching[ProgressBar].take(n_steps)
        return loss
