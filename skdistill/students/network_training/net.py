"""The training loop: skorch's, without waiting for the device at every batch."""

import copy
import math

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from skdistill.students.network_training.compiled import CompiledSteps, can_be_compiled

#: Steps on a GPU before one is captured; torch needs some.
STEPS_BEFORE_CAPTURE = 3


class NonFiniteLossError(ArithmeticError):
    """The loss of an epoch is infinite or not a number."""


class DistillationNet(NeuralNet):
    """A `skorch.NeuralNet` that reads the loss once per epoch.

    Batch losses stay on the device, so a GPU never waits for the interpreter; the history has the
    losses of epochs only. On a GPU a step is captured as a CUDA graph, unless a callback wants to
    see the gradients. On the CPU many steps are one call of compiled C, unless a callback may
    do more than look at epochs.

    Attributes
    ----------
    weights : torch.nn.Parameter of shape (n_weights,)
        All parameters of ``module_``, then those of ``criterion_``, which are views of it, as their
        gradients are of its own.
    served : EncodedMLP
        The network that is evaluated and kept: a copy of ``module_`` as it was initialised, which
        a callback has to update.
    served_weights : torch.nn.Parameter of shape (n_weights,)
        All parameters of ``served``.
    was_interrupted_ : bool
        Whether the user ended the training, and not a callback or the last epoch.
    """

    def initialize(self):
        """Initialise everything, and let the optimizer of a GPU run inside a CUDA graph."""
        super().initialize()
        # Not as attributes, which skorch would give to the optimizer.
        vars(self)["served"] = copy.deepcopy(self.module_)
        vars(self)["served_weights"] = one_vector(self.served)
        vars(self)["weights"] = one_vector(self.module_, self.criterion_)
        (group,) = self.optimizer_.param_groups
        group["params"] = [self.weights]  # a call of the optimizer costs more than its arithmetic
        self.was_stopped_ = self.was_interrupted_ = False
        self.listeners = {
            event: [cb for _, cb in self.callbacks_ if _overrides(cb, event)]
            for event in ("on_batch_begin", "on_grad_computed", "on_batch_end")
        }
        self._step, self._compiled = self._eager_step, None
        if can_be_compiled(self):
            self._compiled = CompiledSteps(self)
        if torch.device(self.device).type == "cuda" and not self.listeners["on_grad_computed"]:
            group["capturable"] = True
            group["lr"] = torch.tensor(float(group["lr"]), device=self.device)
            self._step = GraphedStep(self._eager_step)
        return self

    def fit_loop(self, X, y=None, **kwargs):
        """Loop over the epochs, and keep how the loop ended."""
        try:
            return super().fit_loop(X, y, **kwargs)
        except KeyboardInterrupt:
            self.was_interrupted_ = not self.was_stopped_
            raise

    def notify(self, method_name, **kwargs):
        """Notify the callbacks, and keep whether one of them stops the training."""
        if method_name in self.listeners:  # of batches there are many, and few callbacks use them
            for callback in self.listeners[method_name]:
                getattr(callback, method_name)(self, **kwargs)
            return
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt:  # how skorch's callbacks stop it, at the end of an epoch
            self.was_stopped_ = method_name == "on_epoch_end"
            raise

    def train_step(self, batch, **kwargs):
        """Take one step of the optimizer, as a CUDA graph where there can be one."""
        return self._step(batch)

    def _eager_step(self, batch):
        X, y = batch
        self.weights.grad.zero_()
        outputs, loss, objective = self._training_loss(X, y)
        objective.backward()
        if self.listeners["on_grad_computed"]:
            parameters = list(self.get_all_learnable_params())
            self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        self.optimizer_.step()
        return {"loss": loss.detach(), "y_pred": outputs.detach()}

    def _training_loss(self, X, y):
        """Return outputs, their loss, and what is minimised, which may have further terms."""
        if hasattr(self.criterion_, "in_training"):
            return self.criterion_.in_training(self.module_, X, y)
        outputs = self.module_(X)
        loss = self.criterion_(outputs, y)
        return outputs, loss, loss

    @torch.no_grad()
    def validation_step(self, batch, **kwargs):
        """Compute the loss of the served network on a batch."""
        X, y = batch
        outputs = self.served(X)
        return {"loss": self.criterion_(outputs, y), "y_pred": outputs}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **kwargs):
        """Pass over the batches and record their mean loss; raise if it is not finite."""
        if iterator is None:
            return
        loss = self.mean_loss(iterator, step_fn, training=training)
        # skorch averages what the batches of an epoch record: here one record is the mean.
        self.history.new_batch()
        self.history.record_batch(f"{prefix}_loss", loss)
        self.history.record_batch(f"{prefix}_batch_size", iterator.n_rows)
        self.history.record(f"{prefix}_batch_count", len(iterator))
        if not math.isfinite(loss):
            raise NonFiniteLossError(f"{prefix}_loss is {loss}")

    def mean_loss(self, iterator, step_fn, training=False):
        """Take a step per batch and return the mean loss of the rows.

        A step takes a batch and returns a dict with its mean loss; callbacks get `training`.
        """
        self._set_training(training)
        if self._compiled is not None:
            if training and self._compiled.steps is None and iterator.chunk_bytes is None:
                self._compiled.prepare(iterator)
            if self._compiled.steps is not None:
                return self._compiled.mean_loss(iterator, training)
        total, n_rows = torch.zeros((), device=self.device), 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            total.add_(step["loss"], alpha=len(batch[0]))
            n_rows += len(batch[0])
            self.notify("on_batch_end", batch=batch, training=training, **step)
        return total.item() / n_rows


class GraphedStep:
    """A training step that is captured as a CUDA graph and replayed: one launch, not dozens.

    The step takes a batch and returns a dict of tensors, and must not wait for the device. See
    "CUDA Graphs" in the notes of the PyTorch documentation on CUDA semantics.
    """

    def __init__(self, step):
        self.step = step
        self.n_steps = 0
        self.graph = None

    def __call__(self, batch):
        """Take a step on a batch; all have the same shape."""
        self.n_steps += 1
        if self.n_steps <= STEPS_BEFORE_CAPTURE:
            return self._step_aside(batch)
        if self.graph is None:
            self.batch = tuple(part.clone() for part in batch)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.result = self.step(self.batch)
        for static, part in zip(self.batch, batch, strict=True):
            static.copy_(part)
        self.graph.replay()
        return self.result

    def _step_aside(self, batch):
        """Take a step on a separate stream, which must come before a capture."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            result = self.step(batch)
        torch.cuda.current_stream().wait_stream(aside)
        return result


def one_vector(*modules):
    """Move the parameters of modules into one vector, and their gradients into its gradient."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    vector = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    vector.grad = torch.zeros_like(vector)
    sizes = [p.numel() for p in parameters]
    parts = vector.detach().split(sizes), vector.grad.split(sizes)
    for parameter, data, grad in zip(parameters, *parts, strict=True):
        parameter.data, parameter.grad = data.view_as(parameter), grad.view_as(parameter)
    return vector


def _overrides(callback, method):
    return getattr(type(callback), method) is not getattr(Callback, method)
