"""Which way of distilling pays? Every technique against plain soft labels, paired, over tables.

    python benchmarks/techniques.py --data FOLDER

The folder holds Parquet files with a column ``target``. On every table and seed, 2,000 labelled
rows are drawn, and as many test rows as there are, up to 4,000; the rest, up to 6,000, is the pool
of rows without labels. Teacher and student are the same throughout: a forest of 200 trees (for
some techniques, which say so, LightGBM with 100) and a network of 64-64 units, with three synthetic
rows per labelled one.

A technique is compared with its baseline on the same table and seed. Printed are the change in log
loss, in per cent of the baseline's, and the change in ROC-AUC, in points (hundredths), each as the
mean over the tables with a 95 % interval over the seeds (Student's t); on how many tables the log
loss changes by more than twice its standard error; the change in agreement with the forest, in
points; and how many times the baseline's CPU time the fit takes. ``--csv`` keeps every line,
``--from`` summarises kept lines instead of measuring.
"""

import argparse
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from scipy import stats
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from skdistill import (
    AdversarialHint,
    AttributionHint,
    DistilledClassifier,
    LeafHint,
    MLPStudentClassifier,
    MultiTeacher,
    Munge,
    MutualDistilledClassifier,
    OnlineDistilledClassifier,
    ProximityHint,
    SoftTreeStudentClassifier,
    TreeStudentClassifier,
    transfer_rows_from_teacher,
)
from skdistill.fidelity import agreement

TABLES = ["phoneme", "electricity", "adult", "default_credit", "mammography", "covertype_sample"]
LABELLED, TEST, POOL = 2_000, 4_000, 6_000

#: Share of the labels that are replaced by another class where labels are said to be noisy.
NOISE = 0.2


@dataclass
class Task:
    """What there is to learn from on a table and a seed."""

    X: pd.DataFrame
    y: np.ndarray
    noisy_y: np.ndarray
    pool: pd.DataFrame
    X_test: pd.DataFrame
    y_test: np.ndarray
    seed: int

    def forest(self):
        """Return a forest, behind an encoder of categories if there are any."""
        forest = RandomForestClassifier(200, random_state=self.seed, n_jobs=1)
        categories = list(self.X.select_dtypes(include="category").columns)
        if not categories:
            return forest
        encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        encoder = make_column_transformer((encode, categories), remainder="passthrough")
        return make_pipeline(encoder, forest)

    def lightgbm(self):
        """Return a booster, which takes categories as they are."""
        return LGBMClassifier(n_estimators=100, verbose=-1, random_state=self.seed, n_jobs=1)

    def network(self):
        """Return the student."""
        return MLPStudentClassifier((64, 64), batch_size=256, random_state=self.seed)

    def munge(self):
        """Return what makes synthetic rows."""
        return Munge(size=3)


def distil(teacher=Task.forest, student=Task.network, noisy=False, pooled=False, **params):
    """Return what fits a distiller on a task, by soft labels alone unless parameters say more."""

    def fit(task):
        model = DistilledClassifier(
            teacher(task),
            student(task),
            **{
                "augmentation": task.munge(),
                "label_correction": False,
                "random_state": task.seed,
                **params,
            },
        )
        pool = task.pool if pooled else None
        return model.fit(task.X, task.noisy_y if noisy else task.y, X_unlabeled=pool)

    return fit


def without_rows(task):
    """Fit on rows that were made of the teacher's thresholds: no real one is seen."""
    teacher = task.lightgbm().fit(task.X, task.y)
    ranges = {
        name: column.cat.categories if column.dtype == "category" else (column.min(), column.max())
        for name, column in task.X.items()
    }
    rows = transfer_rows_from_teacher(
        teacher,
        {name: held if isinstance(held, tuple) else list(held) for name, held in ranges.items()},
        4 * LABELLED,
        missing=task.X.isna().mean().to_dict(),
        random_state=task.seed,
    )
    model = DistilledClassifier(teacher, task.network(), augmentation=None, random_state=task.seed)
    return model.fit(rows, np.full(len(rows), -1))


def several_teachers(**params):
    """Return what distils forest and LightGBM together."""

    def both(task):
        return MultiTeacher([("forest", task.forest()), ("lightgbm", task.lightgbm())], **params)

    return distil(both)


def online(task):
    """Fit while LightGBM grows."""
    model = OnlineDistilledClassifier(
        task.lightgbm(), task.network(), augmentation=task.munge(), random_state=task.seed
    )
    return model.fit(task.X, task.y)


def mutual(with_teacher):
    """Return what has two networks teach each other, with the forest or alone."""

    def fit(task):
        model = MutualDistilledClassifier(
            task.network(),
            n_students=2,
            n_rounds=1,
            teacher=task.forest() if with_teacher else None,
            augmentation=task.munge(),
            random_state=task.seed,
        )
        return model.fit(task.X, task.y)

    return fit


def hard_labels(task):
    return task.network().fit(task.X, task.y)


def soft_tree(task):
    return SoftTreeStudentClassifier(5, random_state=task.seed)


def tree(task):
    return TreeStudentClassifier(32, random_state=task.seed)


#: Name -> (baseline, how to fit).
TECHNIQUES = {
    "soft labels": (None, distil()),
    "hard labels": ("soft labels", hard_labels),
    "X_unlabeled": ("soft labels", distil(pooled=True)),
    "temperature=2": ("soft labels", distil(temperature=2.0)),
    "loss='logit_mse'": ("soft labels", distil(loss="logit_mse")),
    "loss='brier'": ("soft labels", distil(loss="brier")),
    "loss='js'": ("soft labels", distil(loss="js")),
    "LeafHint(0.1)": ("soft labels", distil(hints=[LeafHint(0.1)])),
    "ProximityHint(0.1)": ("soft labels", distil(hints=[ProximityHint(0.1)])),
    "AttributionHint(0.1)": ("soft labels", distil(hints=[AttributionHint(0.1)])),
    "AdversarialHint(0.1)": ("soft labels", distil(hints=[AdversarialHint(0.1)])),
    "generations=2": ("soft labels", distil(generations=2)),
    "label_correction=True": ("soft labels", distil(label_correction=True)),
    "alpha='auto'": ("soft labels", distil(alpha="auto")),
    "MultiTeacher, mean": ("soft labels", several_teachers()),
    "MultiTeacher, log_pool": ("soft labels", several_teachers(combine="log_pool")),
    "MultiTeacher, confidence": ("soft labels", several_teachers(combine="confidence")),
    "MultiTeacher, weights='auto'": ("soft labels", several_teachers(weights="auto")),
    "mutual, 2 students": ("soft labels", mutual(with_teacher=True)),
    "mutual, no teacher": ("soft labels", mutual(with_teacher=False)),
    "soft labels, 20 % noise": (None, distil(noisy=True)),
    "alpha='auto', 20 % noise": ("soft labels, 20 % noise", distil(noisy=True, alpha="auto")),
    "soft labels, LightGBM": (None, distil(Task.lightgbm)),
    "online, LightGBM": ("soft labels, LightGBM", online),
    "no real rows, LightGBM": ("soft labels, LightGBM", without_rows),
    "soft labels, tree": (None, distil(student=tree)),
    "soft tree, as many leaves": ("soft labels, tree", distil(student=soft_tree)),
}


def make_task(path, seed):
    frame = pd.read_parquet(path)
    frame = frame.sample(min(len(frame), LABELLED + TEST + POOL), random_state=seed)
    y = frame.pop("target").to_numpy()
    keep = np.isin(y, np.flatnonzero(np.bincount(y) >= 20))
    frame, y = frame[keep], y[keep]
    X, rest, y, y_rest = train_test_split(
        frame, y, train_size=LABELLED, stratify=y, random_state=seed
    )
    n_test = min(TEST, int(0.6 * len(rest)))
    rng = np.random.default_rng(seed)
    classes = np.unique(y)
    shift = rng.integers(1, len(classes), len(y)) * (rng.random(len(y)) < NOISE)
    noisy_y = classes[(np.searchsorted(classes, y) + shift) % len(classes)]
    return Task(X, y, noisy_y, rest[n_test:], rest[:n_test], y_rest[:n_test], seed)


def measure(task, model, teacher_proba):
    proba = model.predict_proba(task.X_test)
    classes = np.unique(task.y)
    truth = (task.y_test[:, None] == classes).astype(int)
    binary = len(classes) == 2
    return {
        "log_loss": log_loss(task.y_test, proba, labels=classes),
        "auc": roc_auc_score(*((truth[:, 1], proba[:, 1]) if binary else (truth, proba))),
        "agreement": agreement(teacher_proba, proba),
    }


def run(path, seed, names, write):
    task = make_task(path, seed)
    teacher = clone(task.forest()).fit(task.X, task.y)
    teacher_proba = teacher.predict_proba(task.X_test)
    write(path.stem, seed, "the forest itself", measure(task, teacher, teacher_proba), 0.0)
    for name in names:
        start = time.process_time()
        model = TECHNIQUES[name][1](task)
        seconds = time.process_time() - start
        write(path.stem, seed, name, measure(task, model, teacher_proba), seconds)


def compare(results, name, baseline):
    """Return one line of the table: the paired changes of a technique."""
    of = results.set_index(["table", "seed"]).groupby("technique").get_group
    own, base = of(name).align(of(baseline), join="inner", axis=0)
    changes = pd.DataFrame(
        {
            "log loss, %": 100 * (own["log_loss"] / base["log_loss"] - 1),
            "AUC, points": 100 * (own["auc"] - base["auc"]),
            "agreement, points": 100 * (own["agreement"] - base["agreement"]),
        }
    )
    by_table = changes["log loss, %"].groupby("table")
    z = by_table.mean() / by_table.sem()
    line = {"technique": name, "against": baseline}
    for score in ("log loss, %", "AUC, points"):
        line[score] = interval(changes[score].groupby("seed").mean())
    return line | {
        "better / worse": f"{(z < -2).sum()} / {(z > 2).sum()} of {len(z)}",
        "agreement, points": f"{changes['agreement, points'].mean():+.1f}",
        "CPU time, times": f"{(own['seconds'] / base['seconds']).median():.1f}",
    }


def interval(values):
    half = stats.t.ppf(0.975, len(values) - 1) * values.sem()
    return f"{values.mean():+.2f} ({values.mean() - half:+.2f} to {values.mean() + half:+.2f})"


def summarise(results):
    mean = results.groupby(["technique", "table"], sort=False)["log_loss"].mean().unstack(0)
    names = [name for name in ("the forest itself", "soft labels", "hard labels") if name in mean]
    print("\nLog loss, mean over the seeds\n" + mean[names].round(4).to_string())
    measured = set(results["technique"])
    lines = [
        compare(results, name, baseline)
        for name, (baseline, _) in TECHNIQUES.items()
        if baseline in measured and name in measured
    ]
    print(f"\n{results['table'].nunique()} tables, {results['seed'].nunique()} seeds")
    table = pd.DataFrame(lines)
    print("\n| " + " | ".join(table.columns) + " |\n|" + "---|" * len(table.columns))
    for line in table.itertuples(index=False):
        print("| " + " | ".join(line) + " |")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of Parquet files")
    parser.add_argument("--tables", nargs="*", default=TABLES)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--techniques", nargs="*", default=list(TECHNIQUES), choices=TECHNIQUES)
    parser.add_argument("--csv", type=Path, help="file for every line")
    parser.add_argument("--from", dest="kept", type=Path, nargs="*", help="files to summarise")
    args = parser.parse_args()
    if bool(args.data) == bool(args.kept):
        parser.error("pass --data to measure, or --from to summarise what was kept")
    return args


def main():
    args = parse_args()
    if args.kept:
        kept = pd.concat([pd.read_csv(path) for path in args.kept])
        summarise(kept.drop_duplicates(["table", "seed", "technique"], keep="last"))
        return
    lines = []

    def write(table, seed, technique, scores, seconds):
        key = {"table": table, "seed": seed, "technique": technique}
        lines.append({**key, **scores, "seconds": seconds})
        shown = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        print(f"{table:16s} {seed} {technique:28s} {shown}  {seconds:.1f} s", flush=True)
        if args.csv:
            pd.DataFrame(lines).to_csv(args.csv, index=False)

    warnings.filterwarnings("ignore", "X does not have valid feature names")
    warnings.filterwarnings("ignore", "The student, fitted to the observed")
    for seed in args.seeds:
        for name in args.tables:
            run(args.data / f"{name}.parquet", seed, args.techniques, write)
    summarise(pd.DataFrame(lines))


if __name__ == "__main__":
    main()
