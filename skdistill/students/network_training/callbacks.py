"""What happens around the training loop: learning rate, best epoch, progress."""

import math

import torch
from skorch.callbacks import Callback

from skdistill.verbose import bar_of

#: Share of the training in which the learning rate rises.
WARM_UP = 0.1

#: A schedule is doubled, at most so often, where the loss fell by more than this share.
MOST_DOUBLINGS, LEAST_FALL = 2, 0.02

#: Largest number of steps that weights are averaged over.
LONGEST_MEMORY = 1000


class WarmUpThenCosine(Callback):
    """Raise the learning rate over a tenth of the steps, then let it fall to 0 along a cosine.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    arXiv:1608.03983.
    """

    def __init__(self, n_epochs, steps_per_epoch):
        self.n_epochs = n_epochs
        self.steps_per_epoch = steps_per_epoch

    @property
    def n_steps(self):
        """Number of steps until the learning rate is 0."""
        return self.n_epochs * self.steps_per_epoch

    def on_train_begin(self, net, **kwargs):
        """Start with the first step."""
        self.step_ = 0

    def on_batch_begin(self, net, training=False, **kwargs):
        """Set the learning rate of the coming step."""
        if not training:
            return
        (share,) = self.take(1)
        learning_rate = net.lr * share
        for group in net.optimizer_.param_groups:
            if isinstance(group["lr"], torch.Tensor):  # on the device, where a CUDA graph reads it
                group["lr"].fill_(learning_rate)
            else:
                group["lr"] = learning_rate

    def take(self, n_steps):
        """Return the shares of the largest learning rate of the coming steps."""
        first, self.step_ = self.step_, self.step_ + n_steps
        return [self.share(step) for step in range(first, self.step_)]

    def share(self, step):
        """Return the share of the largest learning rate, in [0, 1], at a step."""
        warm_up = max(1, int(WARM_UP * self.n_steps))
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / (self.n_steps - warm_up))))


class LongerWhereItPays(Callback):
    """Double the schedule while the held-out loss is still falling, and stop where it ends.

    At the half of the schedule, the loss is compared with that at its quarter. If it is lower by
    more than `LEAST_FALL`, the schedule becomes twice as long, at most `MOST_DOUBLINGS` times.
    """

    def __init__(self, schedule):
        self.schedule = schedule

    def on_train_begin(self, net, **kwargs):
        """Start with the first schedule."""
        self.doublings_ = 0

    def on_epoch_end(self, net, **kwargs):
        """Decide at the half, and stop at the end; skorch stops training by KeyboardInterrupt."""
        epoch, quarter = len(net.history), self.schedule.n_epochs // 4
        if epoch == 2 * quarter and self.doublings_ < MOST_DOUBLINGS:
            before = net.history[quarter - 1, "valid_loss"]
            if net.history[-1, "valid_loss"] < (1 - LEAST_FALL) * before:
                self.doublings_ += 1
                self.schedule.n_epochs *= 2
        if epoch >= self.schedule.n_epochs:
            raise KeyboardInterrupt


class AverageWeights(Callback):
    """Keep the weights that are served as a moving average of those that are trained.

    The average is exponential with a memory of a fifth of the steps so far, at most
    `LONGEST_MEMORY` steps.

    References
    ----------
    Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992,
    doi:10.1137/0330046.
    """

    def on_train_begin(self, net, **kwargs):
        """Start where the training starts."""
        self.step_ = 0
        served = net.served_weights.detach()
        self.weights_ = served, net.weights.detach()[: len(served)]

    def on_batch_end(self, net, training=False, **kwargs):
        """Move the average towards the weights after a step."""
        if training:
            (share,) = self.take(1)
            served, trained = self.weights_
            served.lerp_(trained, share)

    def take(self, n_steps):
        """Return how far the average moves towards the weights after each of the coming steps."""
        first, self.step_ = self.step_, self.step_ + n_steps
        return [
            max(1 / LONGEST_MEMORY, 5 / (5 + step)) for step in range(first + 1, self.step_ + 1)
        ]


class KeepBestEpoch(Callback):
    """Keep the weights with the lowest held-out loss, and stop when it no longer falls.

    Training stops after `patience` epochs without improvement. The `first_epochs`, in which the
    learning rate is still rising, do not count; with `keep_start` the first weights may be the
    best.
    """

    def __init__(self, patience, first_epochs, keep_start=False):
        self.patience = patience
        self.first_epochs = first_epochs
        self.keep_start = keep_start
        self.loss_, self.epoch_, self.weights_ = math.inf, 0, None

    def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
        """Measure the weights that training starts from."""
        if self.keep_start and len(net.history) == 1:
            held_out = net.get_iterator(dataset_valid, training=False)
            self._note(net, net.mean_loss(held_out, net.validation_step), epoch=0)

    def on_epoch_end(self, net, **kwargs):
        """Compare the epoch with the best so far; skorch stops training by KeyboardInterrupt."""
        epoch = len(net.history)
        self._note(net, net.history[-1, "valid_loss"], epoch)
        if epoch - max(self.epoch_, self.first_epochs) >= self.patience:
            raise KeyboardInterrupt

    def on_train_end(self, net, **kwargs):
        """Go back to the best weights."""
        if self.weights_ is not None:
            net.served.load_state_dict(self.weights_)

    def _note(self, net, loss, epoch):
        if loss < self.loss_:
            self.loss_, self.epoch_ = loss, epoch
            self.weights_ = {k: v.clone() for k, v in net.served.state_dict().items()}


class TaskPerEpoch(Callback):
    """Report every epoch to scikit-learn's callbacks, and stop if one of them wants that.

    `attributes_of` turns a network into fitted attributes of the student; `rows` is what callbacks
    may use: ``X``, ``y`` and ``metadata``.
    """

    def __init__(self, task, attributes_of, rows):
        self.task = task
        self.attributes_of = attributes_of
        self.rows = rows
        self.epoch_ = None

    def on_epoch_begin(self, net, **kwargs):
        """Begin a task."""
        self.epoch_ = self.task.begin("epoch", **self._info(net))

    def on_epoch_end(self, net, **kwargs):
        """End it; skorch's callbacks stop training by KeyboardInterrupt."""
        epoch, self.epoch_ = self.epoch_, None
        if epoch.end(**self._info(net)):
            raise KeyboardInterrupt

    def on_train_end(self, net, **kwargs):
        """End the task of an epoch after which, or in which, training was stopped."""
        if self.epoch_ is not None:
            self.epoch_.end(**self._info(net))

    def _info(self, net):
        served = net.served
        return self.rows | {"reconstruction_attributes": lambda: self.attributes_of(served)}


class ProgressBar(Callback):
    """Show rows done, speed, time left and the losses of the last epoch, if training takes long.

    The `schedule` has the number of steps, which may grow.
    """

    def __init__(self, title, schedule, batch_size):
        self.title = title
        self.schedule = schedule
        self.batch_size = batch_size

    def on_train_begin(self, net, **kwargs):
        """Open the bar."""
        n_rows = self.schedule.n_steps * self.batch_size
        self.bar_ = bar_of(self.title, n_rows, unit=" rows")

    def on_batch_end(self, net, training=False, **kwargs):
        """Move on by a step."""
        if training:
            self.take(1)

    def take(self, n_steps):
        """Move on by some steps."""
        self.bar_.update(n_steps * self.batch_size)

    def on_epoch_end(self, net, **kwargs):
        """Show the losses, and how many rows there are by now."""
        self.bar_.total = self.schedule.n_steps * self.batch_size
        losses = net.history[-1]
        shown = {k: f"{losses[k]:.4g}" for k in ("train_loss", "valid_loss") if k in losses}
        self.bar_.set_postfix(epoch=f"{len(net.history)}/{self.schedule.n_epochs}", **shown)

    def on_train_end(self, net, **kwargs):
        """Close the bar; it stays short of its end if training stopped early."""
        self.bar_.close()
