"""How fast is the MLP student trained and served? Against hand-written loops, side by side.

    python benchmarks/training_speed.py
    python benchmarks/training_speed.py --gpu-rows 10000000    (where there is a GPU)

All rates are rows per second of training, medians over the epochs of all rounds; in a round every
contender trains once, in turn, on the same rows with the same network, batch size and optimiser.
"""

import argparse
import itertools
import statistics
import time
import warnings

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNet
from skorch.callbacks import Callback
from threadpoolctl import threadpool_limits

from skdistill import MLPStudentClassifier
from skdistill.students.network_training.network import EncodedMLP

LEARNING_RATE = 0.002
BLOCK_ROWS = 512
console = Console(width=100, highlight=False)


class EpochClock(Callback):
    """Measure every epoch, the device's work included."""

    def on_train_begin(self, net, **kwargs):  # noqa: D102
        self.seconds = []

    def on_epoch_begin(self, net, **kwargs):  # noqa: D102
        self.start = now(net.device)

    def on_epoch_end(self, net, **kwargs):  # noqa: D102
        self.seconds.append(now(net.device) - self.start)


def now(device):
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def plain_network(n_features, hidden):
    sizes = [n_features, *hidden]
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], 1))


def adamw(network, **options):
    return torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, fused=True, **options)


def hand_written(network, X, y, batch_size, epochs, device):
    """Train by the shortest loop there is: permute, slice, step."""
    network, X, y = network.to(device), X.to(device), y.to(device)
    criterion, optimizer = torch.nn.BCEWithLogitsLoss(), adamw(network)
    seconds = []
    for _ in range(epochs):
        start = now(device)
        order = torch.randperm(len(X), device=device)
        for i in range(len(X) // batch_size):
            rows = order[i * batch_size : (i + 1) * batch_size]
            optimizer.zero_grad()
            criterion(network(X[rows])[:, 0], y[rows]).backward()
            optimizer.step()
        seconds.append(now(device) - start)
    return seconds


def cuda_graphed(network, X, y, batch_size, epochs, device, dtype=None):
    """Train by a loop whose step is captured once and replayed, in `dtype` where torch can."""
    network, X, y = network.to(device), X.to(device), y.to(device)
    criterion, optimizer = torch.nn.BCEWithLogitsLoss(), adamw(network, capturable=True)
    static_X, static_y = X[:batch_size].clone(), y[:batch_size].clone()

    def step():
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype, enabled=dtype is not None, cache_enabled=False):
            outputs = network(static_X)[:, 0]
        criterion(outputs.float(), static_y).backward()
        optimizer.step()

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    seconds = []
    for _ in range(epochs):
        start = now(device)
        order = torch.randperm(len(X), device=device)
        for i in range(len(X) // batch_size):
            rows = order[i * batch_size : (i + 1) * batch_size]
            torch.index_select(X, 0, rows, out=static_X)
            torch.index_select(y, 0, rows, out=static_y)
            graph.replay()
        seconds.append(now(device) - start)
    return seconds


def skorch_default(network, X, y, batch_size, epochs):
    """Train by skorch with its own loader."""
    clock = EpochClock()
    net = NeuralNet(
        network,
        criterion=torch.nn.BCEWithLogitsLoss,
        optimizer=torch.optim.AdamW,
        optimizer__fused=True,
        lr=LEARNING_RATE,
        batch_size=batch_size,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[clock],
        verbose=0,
    )
    net.fit(X, y[:, None])
    return clock.seconds


def scikit_learn(hidden, X, y, batch_size, epochs):
    """Train by scikit-learn, whose optimiser is Adam."""
    model = MLPClassifier(
        hidden,
        batch_size=batch_size,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=epochs + 1,
        learning_rate_init=LEARNING_RATE,
    )
    start = time.perf_counter()
    model.fit(X, y)
    return [(time.perf_counter() - start) / epochs] * epochs


def skdistill(hidden, X, y, batch_size, epochs, n_bins, device):
    """Train the student."""
    clock = EpochClock()
    student = MLPStudentClassifier(
        hidden,
        n_bins=n_bins,
        batch_size=batch_size,
        max_epochs=epochs,
        validation_fraction=0,
        learning_rate_init=LEARNING_RATE,
        callbacks=[clock],
        device=device,
    )
    student.fit(X, y)
    return clock.seconds, student


def race(title, contenders, n_rows, rounds):
    """Let contenders train in turn, print their rates and return them."""
    seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            seconds[name] += contender()[1:]  # the first epoch warms up
    rates = {name: n_rows / statistics.median(taken) for name, taken in seconds.items()}
    own = rates["skdistill"]
    table = Table(title=title, title_justify="left", box=None)
    for column in ("", "rows/s", "skdistill is"):
        table.add_column(column, justify="left" if not column else "right")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:,.0f}", "" if rate == own else f"{own / rate:.2f} x")
    console.print(table)
    console.print()
    return rates


def train_on_cpu(X, y, args):
    tensors = torch.as_tensor(X), torch.as_tensor(y, dtype=torch.float32)
    arrays = X, y.astype(np.float32)
    hidden, epochs = tuple(args.hidden), args.epochs
    network = {"hidden": hidden, "X": X, "y": y, "epochs": epochs}
    for batch_size in args.batch:
        size = {"batch_size": batch_size, "epochs": epochs}
        contenders = {
            "hand-written torch loop": lambda size=size: hand_written(
                plain_network(X.shape[1], hidden), *tensors, **size, device="cpu"
            ),
            "skdistill": lambda size=size: skdistill(hidden, X, y, **size, n_bins=1, device="cpu")[
                0
            ],
            "skorch, its own loader": lambda size=size: skorch_default(
                plain_network(X.shape[1], hidden), *arrays, **size
            ),
            "scikit-learn MLPClassifier": lambda size=size: scikit_learn(hidden, X, y, **size),
        }
        title = f"One input per column, batches of {batch_size}"
        race(title, contenders, len(X), args.rounds)
    _, student = skdistill(**network, batch_size=512, n_bins=32, device="cpu")
    encoding = student.encoding_
    positions = torch.as_tensor(encoding.positions(X))
    contenders = {
        "hand-written torch loop": lambda: hand_written(
            dense_network(encoding, hidden),
            positions,
            tensors[1],
            512,
            epochs,
            "cpu",
        ),
        "skdistill": lambda: skdistill(**network, batch_size=512, n_bins=32, device="cpu")[0],
    }
    race("32 bins per column (the default), batches of 512", contenders, len(X), args.rounds)


def dense_network(encoding, hidden):
    """Make the network of a student that multiplies codes, without compiled kernels."""
    network = EncodedMLP(encoding, hidden, np.zeros(1))
    network.first.kernels = None
    return network


def encode_and_predict(X, y, args):
    """Print what encoding and prediction cost on many rows."""
    hidden = tuple(args.hidden)
    rng = np.random.default_rng(0)
    many = X[rng.integers(len(X), size=args.many_rows)]
    many += rng.normal(scale=1e-3, size=many.shape).astype(np.float32)
    y_many = (many[:, 0] > 0).astype(int)
    start = time.perf_counter()
    seconds, student = skdistill(hidden, many, y_many, 512, 1, 32, "cpu")
    whole_fit = time.perf_counter() - start
    (epoch,) = seconds
    encoding = student.encoding_
    start = time.perf_counter()
    positions = encoding.positions(many)
    to_positions = time.perf_counter() - start
    blocks = range(0, len(many), BLOCK_ROWS)
    codes = encoding.expand(positions[:BLOCK_ROWS])

    def matmuls():
        """Multiply as often as prediction does, with codes that are there already."""
        for first in blocks:
            hidden_units = codes[: len(many) - first]
            for coef, intercept in zip(student.coefs_, student.intercepts_, strict=True):
                hidden_units = hidden_units @ coef + intercept

    start = time.perf_counter()
    matmuls()
    raw = time.perf_counter() - start
    start = time.perf_counter()
    student.predict_proba(many)
    whole = time.perf_counter() - start
    lines = {
        "encoding at fit (edges and positions)": whole_fit - epoch,
        "one epoch": epoch,
        "predict_proba": whole,
        "of that, encoding into positions": to_positions,
        "its matrix products alone, in NumPy": raw,
    }
    table = Table(title=f"{len(many):,} rows, 32 bins, 512 a batch", box=None, title_justify="left")
    for column in ("", "seconds", "rows/s"):
        table.add_column(column, justify="left" if not column else "right")
    for name, taken in lines.items():
        table.add_row(name, f"{taken:.2f}", f"{len(many) / taken:,.0f}")
    console.print(table)
    console.print()


def race_on_gpu(X, y, hidden, n_bins, batch_size, args):
    size = {"batch_size": batch_size, "epochs": args.epochs, "device": "cuda"}
    encoding = skdistill(hidden, X, y, 4096, 1, n_bins, "cpu")[1].encoding_
    table = torch.as_tensor(encoding.positions(X)), torch.as_tensor(y, dtype=torch.float32)

    def network():
        return dense_network(encoding, hidden)

    contenders = {
        "hand-written, CUDA graph": lambda: cuda_graphed(network(), *table, **size),
        "the same in bfloat16": lambda: cuda_graphed(
            network(), *table, **size, dtype=torch.bfloat16
        ),
        "hand-written, eager": lambda: hand_written(network(), *table, **size),
        "skdistill": lambda: skdistill(hidden, X, y, **size, n_bins=n_bins)[0],
    }
    race(f"{n_bins} bins per column, batches of {batch_size}", contenders, len(X), args.rounds)


def train_on_gpu(X, y, args):
    console.print(f"GPU: {torch.cuda.get_device_name()}\n")
    for n_bins, batch_size in [(1, 1024), (32, 512), (32, 4096)]:
        race_on_gpu(X, y, tuple(args.hidden), n_bins, batch_size, args)
    rng = np.random.default_rng(0)
    many = rng.normal(size=(args.gpu_rows, X.shape[1])).astype(np.float32)
    y_many = (many[:, 0] + many[:, 1] * many[:, 2] > 0).astype(int)
    start = time.perf_counter()
    seconds, _ = skdistill(tuple(args.hidden), many, y_many, 4096, 10, 32, "cuda")
    whole = time.perf_counter() - start
    console.print(
        f"{args.gpu_rows:,} rows, 10 epochs, 32 bins, batches of 4096: {sum(seconds):.1f} s of "
        f"training in {whole:.1f} s of fit"
    )


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--epochs", type=int, default=4, help="per round; the first warms up")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    parser.add_argument("--many-rows", type=int, default=1_000_000, help="to encode and predict")
    parser.add_argument("--gpu-rows", type=int, default=10_000_000, help="for 10 epochs on a GPU")
    return parser.parse_args()


def main():
    args = parse_args()
    torch.set_num_threads(args.threads)
    X, y = make_classification(args.rows, args.features, n_informative=10, random_state=0)
    X = X.astype(np.float32)
    with threadpool_limits(args.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        shape = f"{args.rows:,} x {args.features}, hidden layers {args.hidden}"
        console.print(f"{shape}, {args.threads} thread(s), torch {torch.__version__}\n")
        train_on_cpu(X, y, args)
        encode_and_predict(X, y, args)
        if torch.cuda.is_available():
            train_on_gpu(X, y, args)
        else:
            console.print("No GPU here: nothing is measured on one.")


if __name__ == "__main__":
    main()
