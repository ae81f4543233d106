"""Train the network of a student."""

import contextlib
import math
import threading

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from skdistill.messages import shown, warn_caller
from skdistill.progress import begin, with_callbacks
from skdistill.students.network_training.batches import CHUNK_BYTES, Batches, has_room
from skdistill.students.network_training.callbacks import (
    MOST_DOUBLINGS,
    WARM_UP,
    AverageWeights,
    KeepBestEpoch,
    LongerWhereItPays,
    ProgressBar,
    TaskPerEpoch,
    WarmUpThenCosine,
)
from skdistill.students.network_training.net import DistillationNet, NonFiniteLossError
from skdistill.verbose import is_verbose, note

#: With fewer rows none are held out: too few would be left to compare epochs by.
SMALLEST_SET_WITH_VALIDATION = 500

#: Rows per batch where no step is taken.
VALIDATION_BATCH = 8192

#: Share of the learning rate for further training: more would undo what was learned.
PARTIAL_LEARNING_RATE = 0.3

#: The losses of fewer epochs do not tell whether to train for longer.
FEWEST_EPOCHS_TO_COMPARE = 8

#: Torch has one generator for the weights that all threads make.
_SEEDING = threading.Lock()

#: A single row whose weight is this many times the mean can make training diverge.
HEAVY_WEIGHT = 100


@with_callbacks
def train(student, build, positions, packed, criterion, goes_on, attributes_of, rows):
    """Train a network, called `build()` once torch is seeded, and give a student its weights.

    The student gives the settings, and gets ``history_``, ``n_iter_`` and ``best_epoch_``.
    `criterion` is called with outputs and `packed`, targets and weights of the rows. With `goes_on`
    the network is the student's own, trained before: it is returned to if no epoch is better, and
    losses are added to those before. `attributes_of` turns a network into fitted attributes, and
    `rows` is ``X``, ``y`` and ``metadata``, for scikit-learn's callbacks. ValueError if a setting
    is impossible.
    """
    callbacks = _users_callbacks(student)
    device = choose_device(student.device)
    random_state = check_random_state(student.random_state)
    seed = int(random_state.randint(np.iinfo(np.int32).max))
    learn, hold_out = _split(len(positions), student.validation_fraction, random_state)
    tensors = [torch.as_tensor(array) for array in (positions, packed)]
    home = device if has_room(tensors, device) else "cpu"
    learned, held_out = (
        Dataset(*(t[rows].to(home) for t in tensors)) for rows in (learn, hold_out)
    )
    batch_size = min(student.batch_size, len(learn))
    steps_per_epoch = len(learn) // batch_size
    n_epochs = max_epochs = student.max_epochs or _default_epochs(len(positions), steps_per_epoch)

    schedule = WarmUpThenCosine(n_epochs, steps_per_epoch)
    best = KeepBestEpoch(student.n_iter_no_change, WARM_UP * n_epochs, goes_on)
    own = [("schedule", schedule), ("average", AverageWeights())]
    if len(hold_out):
        own.append(("best", best))
        if student.max_epochs is None and not goes_on and n_epochs >= FEWEST_EPOCHS_TO_COMPARE:
            callbacks.append(("longer", LongerWhereItPays(schedule)))  # after all others
            max_epochs *= 2**MOST_DOUBLINGS
    task = begin(student, n_parts=max_epochs, **rows)
    if getattr(student, "_skl_callbacks", None):
        own.append(("tasks", TaskPerEpoch(task, attributes_of, rows)))
    if is_verbose():
        own.append(("progress", ProgressBar(type(student).__name__, schedule, batch_size)))
    with _seeded(seed):
        network = build()
    with _current(device):
        net = DistillationNet(
            network,
            criterion=criterion,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=student.weight_decay,
            optimizer__fused=True,
            lr=student.learning_rate_init * (PARTIAL_LEARNING_RATE if goes_on else 1.0),
            max_epochs=max_epochs,
            batch_size=batch_size,
            iterator_train=Batches,
            iterator_train__device=device,
            iterator_train__generator=torch.Generator(home).manual_seed(seed),
            iterator_train__chunk_bytes=None if home == device else CHUNK_BYTES,
            iterator_valid=Batches,
            iterator_valid__device=device,
            iterator_valid__batch_size=VALIDATION_BATCH,
            train_split=predefined_split(held_out) if len(hold_out) else None,
            callbacks=[*own, *callbacks],
            callbacks__print_log=None,
            verbose=0,
            device=device,
        )
        try:
            net.fit(learned)
        except NonFiniteLossError as error:
            raise ValueError(_why_it_diverged(student, criterion, packed, error)) from None
    if net.was_interrupted_:
        _warn_of_interruption(net, best, max_epochs)
    _keep_losses(student, net.history, best.epoch_ if len(hold_out) else None, goes_on)
    note(_in_words(student, len(net.history), max_epochs))
    vars(student).update(attributes_of(net.served))
    task.end(reconstruction_attributes={}, **rows)


@contextlib.contextmanager
def _seeded(seed):
    """Seed what makes initial weights, and restore it; threads that train take turns."""
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _current(device):
    """Make a GPU the current one."""
    on_gpu = torch.device(device).type == "cuda"
    return torch.cuda.device(device) if on_gpu else contextlib.nullcontext()


def choose_device(device):
    """Return the torch device for a setting; the error lists the devices that there are."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise ValueError(
            f"device={shown(device)} cannot be used here ({str(error).splitlines()[0]}). "
            f"Devices found: {', '.join(found)}. Pass one of them, or 'auto'."
        ) from error
    return device


def _users_callbacks(student):
    """Return the checked callbacks of the user."""
    callbacks = [] if student.callbacks is None else list(student.callbacks)
    for i, entry in enumerate(callbacks):
        callback = entry[1] if isinstance(entry, tuple) and len(entry) == 2 else entry
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(
                f"callbacks[{i}] is {shown(entry)}; a skorch callback or a pair (name, callback) "
                "was expected, such as skorch.callbacks.EpochTimer()."
            )
    return callbacks


def _split(n_samples, validation_fraction, random_state):
    """Return the rows to learn from and the rows to hold out."""
    if n_samples < SMALLEST_SET_WITH_VALIDATION:
        return np.arange(n_samples), np.arange(0)
    order = random_state.permutation(n_samples)
    n_held_out = int(validation_fraction * n_samples)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def _default_epochs(n_samples, steps_per_epoch):
    return math.ceil(min(6000, 100 * n_samples**0.4) / steps_per_epoch)


def _why_it_diverged(student, criterion, packed, error):
    """Explain a loss that is not finite by its likely cause."""
    heaviest = criterion.row_weights(torch.as_tensor(packed)).max().item()  # their mean is 1
    if heaviest > HEAVY_WEIGHT:
        cause = (
            f"The heaviest row weighs {heaviest:.3g} times the mean, so one batch can undo all "
            "others: cap sample_weight, or scale it down"
        )
    else:
        cause = (
            f"learning_rate_init={student.learning_rate_init} is the likely cause: try a tenth of "
            "it"
        )
    return f"Training the {type(student).__name__} diverged: {error} in an epoch. {cause}."


def _warn_of_interruption(net, best, max_epochs):
    n_epochs = sum("train_loss" in epoch for epoch in net.history)
    kept = f"epoch {best.epoch_}, the best so far" if best.epoch_ else "the last step"
    warn_caller(
        f"Training was interrupted after {n_epochs} of at most {max_epochs} epochs; the weights "
        f"of {kept}, are kept."
    )


def _in_words(student, n_epochs, max_epochs):
    """Describe in one line how the training went."""
    best = student.best_epoch_ - 1
    losses = [
        f"{name} {student.history_[key][best]:.4g}"
        for key, name in (("train_loss", "loss"), ("valid_loss", "held-out loss"))
        if 0 <= best < len(student.history_.get(key, ()))
    ]
    return ", ".join([f"{n_epochs} of at most {max_epochs} epochs", *losses])


def _keep_losses(student, history, best_epoch, goes_on):
    """Keep the losses of all epochs in the student."""
    before = student.history_ if goes_on else {}
    n_before = student.n_iter_ if goes_on else 0
    epochs = [epoch for epoch in history if "train_loss" in epoch]  # others were interrupted
    student.history_ = {
        name: before.get(name, []) + [float(epoch[name]) for epoch in epochs if name in epoch]
        for name in ("train_loss", "valid_loss")
        if name in before or any(name in epoch for epoch in epochs)
    }
    student.n_iter_ = n_before + len(epochs)
    if best_epoch is None:
        student.best_epoch_ = student.n_iter_
    elif best_epoch or not goes_on:
        student.best_epoch_ = n_before + best_epoch
