"""What was tried for the MLP student, and what it gave: one choice changed at a time.

    python benchmarks/mlp_choices.py --data FOLDER

The folder holds Parquet files with a column ``target``. Every table is distilled from every teacher
with the student's defaults, then with one choice changed. Teacher, rows, labels, synthetic rows and
seeds are the same, so differences are paired; the training loop is plain torch, the same for all.
"""

import argparse
import copy
import itertools
import math
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from quality import make_teacher, measure, read_table
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from skdistill import DistilledClassifier, MLPStudentClassifier, Munge
from skdistill.columns import check_rows, plain_rows
from skdistill.soft_labels import free_margins, margins_from_decision, proba_from_margins
from skdistill.students.encoding import bin_edges, fit_encoding
from skdistill.students.network_training.callbacks import LONGEST_MEMORY, WARM_UP, WarmUpThenCosine
from skdistill.students.network_training.losses import pack_distillation
from skdistill.students.network_training.network import EncodedMLP

ACTIVATIONS = {"relu": torch.relu, "silu": nn.functional.silu}
SCORES = {"log_loss": -1, "auc": 1, "ap": 1, "kl": -1}  # 1 where greater is better


@dataclass(frozen=True)
class Choices:
    """Everything that is varied; the defaults are those of the student and the distiller."""

    width: int = 128
    depth: int = 2
    n_bins: int = 32
    learning_rate: float = 0.004
    weight_decay: float = 0.01
    batch_size: int = 512
    most_steps: int = 6000
    alpha: float = 0.8
    size: float = 20.0
    synthetic_weight: float = 1.0
    activation: str = "relu"
    residual: bool = False
    dropout: float = 0.0
    smoothing: float = 0.0
    averaging: bool = True
    standardised: bool = False
    bfloat16: bool = False
    edges_of_teacher: bool = False


VARIANTS = {
    "hard labels": {"alpha": 0.0, "size": 0.0},
    "no synthetic rows": {"size": 0.0},
    "5 x synthetic rows": {"size": 5.0},
    "10 x synthetic rows": {"size": 10.0},
    "40 x synthetic rows": {"size": 40.0},
    "80 x synthetic rows": {"size": 80.0},
    "synthetic rows weigh as much as the real": {"synthetic_weight": 0.1},
    "alpha 0.5": {"alpha": 0.5},
    "alpha 1": {"alpha": 1.0},
    "learning rate 0.002": {"learning_rate": 0.002},
    "learning rate 0.008": {"learning_rate": 0.008},
    "3000 steps": {"most_steps": 3000},
    "12000 steps": {"most_steps": 12000},
    "batches of 256": {"batch_size": 256},
    "batches of 1024": {"batch_size": 1024},
    "weight decay 0": {"weight_decay": 0.0},
    "weight decay 0.1": {"weight_decay": 0.1},
    "width 64": {"width": 64},
    "width 256": {"width": 256},
    "one hidden layer": {"depth": 1},
    "three hidden layers": {"depth": 3},
    "three, residual": {"depth": 3, "residual": True},
    "16 bins": {"n_bins": 16},
    "64 bins": {"n_bins": 64},
    "bin edges from the forest's splits": {"edges_of_teacher": True},
    "standardised input beside the codes": {"standardised": True},
    "SiLU": {"activation": "silu"},
    "dropout 0.1": {"dropout": 0.1},
    "smoothing 0.02 to the base rate": {"smoothing": 0.02},
    "weights not averaged": {"averaging": False},
    "bfloat16": {"bfloat16": True},
}


class Network(nn.Module):
    """The student's network with the choices it does not offer."""

    def __init__(self, encoding, choices, start, positions):
        super().__init__()
        self.base = EncodedMLP(encoding, [choices.width] * choices.depth, start)
        self.choices = choices
        known = torch.nan_to_num(positions)
        self.mean, self.std = known.mean(0), known.std(0) + 1e-6
        if choices.standardised:
            self.beside = nn.Linear(positions.shape[1], choices.width, bias=False)

    def forward(self, positions):
        """Compute the outputs of some rows."""
        choices, layers = self.choices, self.base.layers
        activate = ACTIVATIONS[choices.activation]
        hidden = self.base.first(positions)
        if choices.standardised:
            hidden = hidden + self.beside((torch.nan_to_num(positions) - self.mean) / self.std)
        hidden = nn.functional.dropout(activate(hidden), choices.dropout, self.training)
        for layer in layers[1:-1]:
            new = nn.functional.dropout(activate(layer(hidden)), choices.dropout, self.training)
            hidden = hidden + new if choices.residual else new
        return layers[-1](hidden)


class Capture(MLPStudentClassifier):
    """Takes the transfer set from the distiller instead of learning from it."""

    def distill(self, transfer_set, temperature=1.0, alpha=1.0):
        """Keep the transfer set."""
        self.transfer_set_ = transfer_set
        return self


def train(encoding, X, targets, choices, seed):
    """Train as the student does: warm-up and cosine, best epoch by held-out loss."""
    torch.manual_seed(seed)
    positions = torch.as_tensor(encoding.positions(X))
    criterion, packed = pack_distillation(targets)
    packed = torch.as_tensor(packed)
    if choices.smoothing:
        n_classes = targets.n_classes
        prior = torch.as_tensor(targets.prior(), dtype=torch.float32)
        for first in range(0, packed.shape[1], n_classes + 1):
            packed[:, first : first + n_classes].lerp_(prior, choices.smoothing)
    n_rows = len(positions)
    order = torch.randperm(n_rows)
    held_out, learn = order[: n_rows // 10], order[n_rows // 10 :]
    batch_size = min(choices.batch_size, len(learn))
    per_epoch = len(learn) // batch_size
    n_epochs = math.ceil(min(choices.most_steps, choices.most_steps / 60 * n_rows**0.4) / per_epoch)
    network = Network(encoding, choices, free_margins(targets.prior()), positions)
    optimizer = torch.optim.AdamW(
        network.parameters(), choices.learning_rate, weight_decay=choices.weight_decay, fused=True
    )
    share = WarmUpThenCosine(n_epochs * per_epoch).share
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    served = copy.deepcopy(network) if choices.averaging else network
    steps = itertools.count(1)
    best, best_epoch = math.inf, 0
    for epoch in range(n_epochs):
        network.train()
        for rows in learn[torch.randperm(len(learn))][: per_epoch * batch_size].split(batch_size):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=choices.bfloat16):
                outputs = network(positions[rows])
            criterion(outputs.float(), packed[rows]).backward()
            optimizer.step()
            schedule.step()
            if choices.averaging:
                keep = 1 - max(1 / LONGEST_MEMORY, 5 / (5 + next(steps)))
                get_ema_multi_avg_fn(keep)(
                    list(served.parameters()), list(network.parameters()), None
                )
        served.eval()
        with torch.no_grad():
            loss = criterion(served(positions[held_out]), packed[held_out]).item()
        if loss < best:
            best, best_epoch = loss, epoch
            weights = {name: tensor.clone() for name, tensor in served.state_dict().items()}
        elif epoch - max(best_epoch, WARM_UP * n_epochs) >= 10:
            break
    served.load_state_dict(weights)
    return served


def with_edges_of(forest, encoding, n_bins):
    """Take the bin edges from a forest's splits, each counted once for every row it parts."""
    trees = [member.tree_ for member in forest.estimators_]
    column, threshold, rows = (
        np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("feature", "threshold", "n_node_samples")
    )
    columns = list(encoding.columns)
    for j, old in enumerate(columns):
        splits = column == j  # leaves have a column of -2
        if old.edges is None or not splits.any():
            continue
        inner = bin_edges(threshold[splits], rows[splits].astype(float), n_bins - 2)
        columns[j] = replace(old, edges=np.unique([old.edges[0], *inner, old.edges[-1]]))
    return replace(encoding, columns=tuple(columns))


def fit_predict(transfer_set, teacher, X_test, choices, seed):
    """Fit on the part of the transfer set that the choices leave, and predict the test rows."""
    synthetic = transfer_set.origin == 2
    kept = ~synthetic | (np.cumsum(synthetic) <= choices.size * (~synthetic).sum())
    weight = np.where(synthetic, choices.synthetic_weight, 1.0) * transfer_set.sample_weight
    targets = replace(transfer_set, sample_weight=weight).soft_targets(1.0, choices.alpha)
    targets = targets.take(kept)
    student = MLPStudentClassifier(n_bins=choices.n_bins)
    X = plain_rows(check_rows(student, transfer_set.X[kept], reset=True))
    encoding = fit_encoding(student, X, targets.mixed()[1])
    if choices.edges_of_teacher:
        encoding = with_edges_of(teacher, encoding, choices.n_bins)
    network = train(encoding, X, targets, choices, seed).eval()
    X_test = plain_rows(check_rows(student, X_test, reset=False))
    with torch.no_grad():
        outputs = network(torch.as_tensor(encoding.positions(X_test))).double().numpy()
    return proba_from_margins(outputs if outputs.shape[1] > 1 else margins_from_decision(outputs))


def run(path, kind, seed, args):
    """Yield a line per variant of one table, teacher and seed."""
    X, X_test, y, y_test = read_table(path, args.rows, seed)
    choices_of = {name: Choices(**VARIANTS.get(name, {})) for name in ["default", *args.variants]}
    largest = max(choices.size for choices in choices_of.values())
    distiller = DistilledClassifier(
        make_teacher(kind, X, args.trees, seed),
        Capture(),
        label_correction=False,
        augmentation=Munge(size=largest, max_rows=10**7),
        random_state=seed,
    ).fit(X, y)
    teacher, transfer_set = distiller.teacher_, distiller.student_.transfer_set_
    teacher_proba = teacher.predict_proba(X_test)
    for name, choices in choices_of.items():
        if choices.edges_of_teacher and not hasattr(teacher, "estimators_"):
            continue  # no forest, or one behind an encoder
        proba = fit_predict(transfer_set, teacher, X_test, choices, seed)
        scores = measure(y_test, proba, teacher_proba, distiller.classes_)
        line = {"table": path.stem, "teacher": kind, "seed": seed, "variant": name, **scores}
        print(*line.values(), flush=True)
        yield line


def summarise(lines):
    """Print mean differences to the default, and how often a variant was better."""
    results = pd.DataFrame(lines).set_index(["variant", "table", "teacher", "seed"])
    base = results.loc["default"]
    print("\nDifference to the default, times 1000 (kl in %), and how often it was better")
    rows = {}
    for name in results.index.unique("variant").drop("default"):
        own = results.loc[name]
        rows[name] = {}
        for score, sign in SCORES.items():
            difference = own[score] - base.loc[own.index, score]
            better = f"{int((sign * difference > 0).sum())}/{len(own)}"
            if score == "kl":
                difference = (own[score] / base.loc[own.index, score] - 1) / 10
            rows[name][score] = f"{1000 * difference.mean():+.2f} ({better})"
    print(pd.DataFrame(rows).T.to_string())


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of Parquet files")
    parser.add_argument("--tables", nargs="*", help="names of the tables, default all")
    parser.add_argument("--teachers", nargs="*", default=["forest", "lightgbm"])
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--rows", type=int, default=10_000, help="rows per table, 0 for all")
    parser.add_argument("--trees", type=int, default=300, help="trees of the forest teacher")
    return parser.parse_args()


def main():
    args = parse_args()
    print("default:", asdict(Choices()))
    paths = {path.stem: path for path in sorted(args.data.glob("*.parquet"))}
    lines = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        for name in args.tables or paths:
            for kind in args.teachers:
                for seed in args.seeds:
                    lines += run(paths[name], kind, seed, args)
    summarise(lines)


if __name__ == "__main__":
    main()
