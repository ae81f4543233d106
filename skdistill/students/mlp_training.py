"""Train the MLP students with skorch. The only file that imports torch and skorch."""

import itertools
import math
import warnings

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, LRScheduler, PrintLog
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from skdistill.students.encoding import LEVEL, MISSING

#: Without this many rows none are held out: too few would be left to tell epochs apart.
SMALLEST_SET_WITH_VALIDATION = 500


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
        self.register_buffer("offset", torch.as_tensor(encoding.code_offset, dtype=torch.float32))
        kind = torch.as_tensor(encoding.code_kind)
        self.register_buffer("level", kind == LEVEL)
        self.register_buffer("missing", kind == MISSING)
        self.has_level, self.has_missing = bool(self.level.any()), bool(self.missing.any())
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
        hidden = self.expand(positions)
        for layer in self.layers[:-1]:
            hidden = torch.relu(layer(hidden))
        return self.layers[-1](hidden)

    def expand(self, positions):
        """Compute codes of shape (n_rows, n_codes), as `Encoding.expand` does."""
        distance = positions.index_select(1, self.column) - self.offset
        codes = distance.clamp(0, 1)
        if self.has_level:
            codes = torch.where(self.level, (distance == 0).float(), codes)
        if self.has_missing:
            codes = torch.where(self.missing, distance.isnan().float(), codes)
        return codes.nan_to_num_(nan=0.0) if self.has_missing else codes


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
        loss = outputs.new_zeros(())
        for temperature, term in zip(
            self.temperatures, packed.split(self.n_classes + 1, dim=1), strict=True
        ):
            proba, weight = term[:, :-1], term[:, -1]
            z = outputs / temperature
            if self.n_classes == 2:
                entropy = nn.functional.softplus(z[:, 0]) - proba[:, 1] * z[:, 0]
            else:
                entropy = torch.logsumexp(z, dim=1) - (proba * z).sum(dim=1)
            loss = loss + temperature**2 * (weight * entropy).mean()
        return loss


class WeightedSquaredError(nn.Module):
    """Mean over the batch of ``w * (output - y)**2``; rows of `packed` hold y and w."""

    def forward(self, outputs, packed):
        """Compute the mean loss of a batch."""
        return (packed[:, 1] * (outputs[:, 0] - packed[:, 0]) ** 2).mean()


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


class BatchSlices:
    """Iterate over slices of two tensors, in a new order each time if there is a generator.

    A loader that collates row by row spends most of the time of a small network on it; slices of
    a permuted tensor cost next to nothing.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        Holds two tensors on the training device.
    batch_size : int
        Rows per batch; a last, smaller one is left out of a pass in random order.
    generator : torch.Generator or None, default=None
        Source of the order.
    """

    def __init__(self, dataset, batch_size, generator=None):
        self.X, self.y = dataset.X, dataset.y
        self.batch_size = min(batch_size, len(self.X))
        self.generator = generator

    def __len__(self):
        if self.generator is None:
            return math.ceil(len(self.X) / self.batch_size)
        return len(self.X) // self.batch_size

    def __iter__(self):
        if self.generator is None:
            yield from zip(
                self.X.split(self.batch_size), self.y.split(self.batch_size), strict=True
            )
            return
        order = torch.randperm(len(self.X), generator=self.generator).to(self.X.device)
        for i in range(len(self)):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield self.X.index_select(0, rows), self.y.index_select(0, rows)


def train(student, positions, packed, criterion, start):
    """Train the network of a student and leave its weights there as plain arrays.

    Parameters
    ----------
    student : MLPStudentClassifier or MLPStudentRegressor
        Gives the settings and the encoding; gets ``coefs_``, ``intercepts_``, ``history_`` and
        ``n_iter_``.
    positions : ndarray of shape (n_samples, n_features)
        Encoded rows.
    packed : ndarray of shape (n_samples, n_columns)
        Targets and weights, as the criterion wants them.
    criterion : torch.nn.Module
        The loss of a batch, called with outputs and packed targets.
    start : ndarray of shape (n_outputs,)
        Outputs of the best constant model, from which training starts.
    """
    random_state = check_random_state(student.random_state)
    seed = int(random_state.randint(np.iinfo(np.int32).max))
    device = choose_device(student.device)
    learn, hold_out = _split(len(positions), student.validation_fraction, random_state)

    def on_device(rows):
        tensors = [torch.as_tensor(array[rows]).to(device) for array in (positions, packed)]
        return Dataset(*tensors)

    hidden_layer_sizes = _hidden_layer_sizes(student)
    batch_size = min(student.batch_size, len(learn))
    steps_per_epoch = len(learn) // batch_size
    max_epochs = student.max_epochs or _default_epochs(len(positions), steps_per_epoch)
    callbacks = [("schedule", _schedule(max_epochs * steps_per_epoch))]
    if len(hold_out):
        stopping = EarlyStopping(patience=student.n_iter_no_change, load_best=True, sink=_silent)
        callbacks.append(("stopping", stopping))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = NeuralNet(
            EncodedMLP(student.encoding_, hidden_layer_sizes, start),
            criterion=criterion,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=student.weight_decay,
            optimizer__fused=True,
            lr=student.learning_rate_init,
            max_epochs=max_epochs,
            batch_size=batch_size,
            iterator_train=BatchSlices,
            iterator_train__generator=torch.Generator().manual_seed(seed),
            iterator_valid=BatchSlices,
            iterator_valid__batch_size=8192,
            train_split=predefined_split(on_device(hold_out)) if len(hold_out) else None,
            callbacks=callbacks,
            callbacks__print_log=PrintLog() if student.verbose else None,
            verbose=student.verbose,
            device=device,
        )
        net.fit(on_device(learn))
    _keep(student, net)


def choose_device(device):
    """Return the torch device for a setting, and say what exists if it cannot be had."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise ValueError(
            f"device={device!r} cannot be used here ({str(error).splitlines()[0]}). "
            f"Devices found: {', '.join(found)}. Pass one of them, or 'auto'."
        ) from error
    return device


def _split(n_samples, validation_fraction, random_state):
    """Return the rows to learn from and the rows to hold out."""
    if n_samples < SMALLEST_SET_WITH_VALIDATION:
        return np.arange(n_samples), np.arange(0)
    order = random_state.permutation(n_samples)
    n_held_out = int(validation_fraction * n_samples)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def _hidden_layer_sizes(student):
    sizes = np.atleast_1d(student.hidden_layer_sizes).tolist()
    if any(not isinstance(size, int) or size < 1 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes is {student.hidden_layer_sizes!r}; the width of every hidden "
            "layer was expected, as integers of at least 1, such as (128, 128)."
        )
    return sizes


def _default_epochs(n_samples, steps_per_epoch):
    return math.ceil(min(6000, 100 * n_samples**0.4) / steps_per_epoch)


def _schedule(n_steps):
    """Warm up over a tenth of the steps, then fall to zero along a cosine."""
    warm_up = max(1, n_steps // 10)

    def factor(step):
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / (n_steps - warm_up + 1))))

    return LRScheduler(
        policy=torch.optim.lr_scheduler.LambdaLR, lr_lambda=factor, step_every="batch"
    )


def _silent(_):
    """Take a message of a skorch callback and drop it."""


def _keep(student, net):
    layers = net.module_.layers
    student.coefs_ = [layer.weight.detach().cpu().numpy().T.copy() for layer in layers]
    student.intercepts_ = [layer.bias.detach().cpu().numpy().copy() for layer in layers]
    losses = [name for name in ("train_loss", "valid_loss") if name in net.history[-1]]
    student.history_ = {name: net.history[:, name] for name in losses}
    student.n_iter_ = len(net.history)
    if not all(np.isfinite(coef).all() for coef in student.coefs_):
        raise ValueError(
            "Training the MLP student ended with weights that are not finite. A smaller "
            f"learning_rate_init than {student.learning_rate_init} usually helps; weights of very "
            "different sizes in sample_weight are the other common cause."
        )
