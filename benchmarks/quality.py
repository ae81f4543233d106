"""How good are the students? Teacher x student x way of fitting, over a folder of tables.

    python benchmarks/quality.py --data FOLDER

The folder holds Parquet files with a column ``target``. For every table, teacher, student and seed
this prints test scores and fidelity. Then it averages over the seeds and prints the share of the
gap between hard labels and the teacher that distillation closes, and where it loses to hard labels
by more than two standard errors of the paired difference. ``--csv`` keeps every line.

Ways: ``default``; ``imitate`` and ``pool`` never and always correct the teacher's labels; ``soft``
and ``munge`` imitate without and with synthetic rows, whatever the student. With ``--labelled``
only so many training rows have their label, and ``unlabelled`` is the default with the others, too.
"""

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from xgboost import XGBClassifier

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    Munge,
    TreeStudentClassifier,
    TreeSumStudentClassifier,
)
from skdistill.fidelity import agreement, gap_closed, kl_divergence

SCORES = {"auc": True, "ap": True, "log_loss": False}  # whether greater is better
WAYS = {
    "soft": {"augmentation": None, "label_correction": False},
    "munge": {"augmentation": Munge(), "label_correction": False},
    "default": {},
    "imitate": {"label_correction": False},
    "pool": {"label_correction": True},
    "unlabelled": {},
}


def make_teacher(kind, X, trees, seed):
    if kind == "lightgbm":
        return LGBMClassifier(n_estimators=300, verbose=-1, random_state=seed, n_jobs=1)
    if kind == "xgboost":
        return XGBClassifier(n_estimators=300, enable_categorical=True, random_state=seed, n_jobs=1)
    forest = RandomForestClassifier(trees, random_state=seed, n_jobs=2)
    categories = list(X.select_dtypes(include="category").columns)
    if not categories:
        return forest
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    encoder = make_column_transformer((encode, categories), remainder="passthrough")
    return make_pipeline(encoder, forest)


def make_student(kind, seed):
    return {
        "tree": TreeStudentClassifier(random_state=seed),
        "sum": TreeSumStudentClassifier(),
        "linear": LinearStudentClassifier(),
        "pairs": LinearStudentClassifier(interactions=10),
        "mlp": MLPStudentClassifier(random_state=seed),
    }[kind]


def read_table(path, rows, seed):
    """Return train and test parts of at most `rows` rows, stratified by class."""
    frame = pd.read_parquet(path)
    if rows and len(frame) > rows:
        frame = frame.sample(rows, random_state=seed)
    y = frame.pop("target").to_numpy()
    keep = np.isin(y, np.flatnonzero(np.bincount(y) >= 5))
    return train_test_split(
        frame[keep], y[keep], test_size=0.3, stratify=y[keep], random_state=seed
    )


def measure(y, proba, teacher_proba, classes):
    """Score probabilities against the labels, and against the teacher."""
    binary = proba.shape[1] == 2
    one_hot = (np.asarray(y)[:, None] == classes).astype(int)
    truth, score = (one_hot[:, 1], proba[:, 1]) if binary else (one_hot, proba)
    return {
        "auc": roc_auc_score(truth, score),
        "ap": average_precision_score(truth, score),
        "log_loss": log_loss(y, proba, labels=classes),
        "agreement": agreement(teacher_proba, proba),
        "kl": kl_divergence(teacher_proba, proba),
    }


def run_table(name, path, seed, args, memory, write):
    """Fit every student on hard labels, then by every teacher in every way."""
    X, X_test, y, y_test = read_table(path, args.rows, seed)
    rest = None
    if args.labelled:
        X, rest, y, _ = train_test_split(
            X, y, train_size=args.labelled, stratify=y, random_state=seed
        )
    classes = np.unique(y)
    students = {kind: make_student(kind, seed) for kind in args.students}
    hard = {kind: timed_fit(student, X, y, X_test) for kind, student in students.items()}
    for teacher_kind in args.teachers:
        teacher = make_teacher(teacher_kind, X, args.trees, seed).fit(X, y)
        teacher_proba = teacher.predict_proba(X_test)
        # An outside boosting teacher has no honest labels for its own rows: fit it inside.
        inside = teacher if teacher_kind == "forest" else make_teacher(teacher_kind, X, 0, seed)
        fitted = {("teacher", ""): (teacher_proba, 0.0)}
        for kind, student in students.items():
            fitted[kind, "hard"] = hard[kind]
            for way in args.ways:
                model = DistilledClassifier(
                    inside,
                    student,
                    memory=memory,
                    random_state=seed,
                    **WAYS[way],
                    **args.options,
                )
                more = {"X_unlabeled": rest} if way == "unlabelled" else {}
                fitted[kind, way] = timed_fit(model, X, y, X_test, **more)
        for (kind, way), (proba, seconds) in fitted.items():
            scores = measure(y_test, proba, teacher_proba, classes)
            write(name, teacher_kind, seed, kind, way, scores, seconds)


def timed_fit(model, X, y, X_test, **more):
    start = time.perf_counter()
    proba = model.fit(X, y, **more).predict_proba(X_test)
    return proba, time.perf_counter() - start


def compare(results):
    """Average over seeds; add gaps closed and paired z-scores against hard labels."""
    index = ["data", "teacher", "student", "way"]
    by_seed = results.set_index([*index, "seed"]).sort_index()
    lines = []
    for (data, teacher, student, way), group in results[results.way.isin(list(WAYS))].groupby(
        index, sort=False
    ):
        line = {"data": data, "teacher": teacher, "student": student, "way": way}
        own = group.set_index("seed")
        of_teacher = by_seed.loc[data, teacher, "teacher", ""]
        hard = by_seed.loc[data, teacher, student, "hard"]
        line["better_kl"] = (hard["kl"] - own["kl"]).mean()
        for score, greater in SCORES.items():
            better = (own[score] - hard[score]) * (1 if greater else -1)
            line[f"better_{score}"] = better.mean()
            line[f"z_{score}"] = better.mean() / max(better.sem(), 1e-12)
            line[f"gap_{score}"] = gap_closed(
                of_teacher[score].mean(),
                own[score].mean(),
                hard[score].mean(),
                greater_is_better=greater,
            )
        lines.append(line)
    return pd.DataFrame(lines)


def read_lines(path):
    """Return the lines that an earlier run with the same options has kept."""
    return pd.read_csv(path, keep_default_na=False, na_values=["nan"]).to_dict("records")


def summarise(compared, n_seeds):
    """Print medians of the gaps, and how often hard labels were beaten or won."""
    groups = compared.groupby(["teacher", "student", "way"], sort=False)
    table = groups[[f"gap_{score}" for score in SCORES]].median()
    for score in SCORES:
        n_gaps = groups[f"gap_{score}"].count()
        wins = groups[f"better_{score}"].apply(lambda b: f"{int((b > 0).sum())}/{len(b)}")
        table[f"gaps, {score}"] = n_gaps
        table[f"beats hard, {score}"] = wins
        if n_seeds > 1:
            table[f"loses, {score}"] = groups[f"z_{score}"].apply(lambda z: int((z < -2).sum()))
    print("\nMedian share of the gap closed (tables where the teacher beats hard labels)")
    print(table.round(3).T.to_string())
    if n_seeds > 1:
        print("\nWorse than hard labels by more than two standard errors")
        for line in compared.itertuples():
            for score in SCORES:
                z = getattr(line, f"z_{score}")
                if z < -2:
                    difference = getattr(line, f"better_{score}")
                    print(
                        f"{line.data:20s} {line.teacher:9s} {line.student:7s} {line.way:8s} "
                        f"{score:9s} {difference:+.4f} (z {z:.1f})"
                    )


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of Parquet files")
    parser.add_argument("--tables", nargs="*", help="names of the tables, default all")
    parser.add_argument("--rows", type=int, default=20_000, help="rows per table, 0 for all")
    parser.add_argument("--labelled", type=int, help="rows with a label, default all for training")
    parser.add_argument("--trees", type=int, default=500, help="trees of the forest teacher")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--teachers", nargs="*", default=["forest", "lightgbm"])
    parser.add_argument("--students", nargs="*", default=["tree", "sum", "linear", "pairs", "mlp"])
    parser.add_argument("--ways", nargs="*", default=["soft", "munge"], choices=list(WAYS))
    parser.add_argument(
        "--alpha", type=float, help="weight of the soft term, default the library's"
    )
    parser.add_argument(
        "--csv", type=Path, help="file for every line; a run that was stopped goes on where it was"
    )
    args = parser.parse_args()
    if "unlabelled" in args.ways and not args.labelled:
        parser.error("the way unlabelled needs --labelled: the others have no label.")
    args.options = {} if args.alpha is None else {"alpha": args.alpha}
    return args


def main():
    args = parse_args()
    paths = {path.stem: path for path in sorted(args.data.glob("*.parquet"))}
    lines = read_lines(args.csv) if args.csv and args.csv.exists() else []
    done = {(line["data"], line["seed"]) for line in lines}

    def write(data, teacher, seed, student, way, scores, seconds):
        key = {"data": data, "teacher": teacher, "seed": seed, "student": student, "way": way}
        lines.append({**key, **scores, "seconds": seconds})
        shown = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        labels = f"{data:20s} {teacher:9s} {seed} {student:7s} {way:7s}"
        print(f"{labels} {shown}  {seconds:.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as memory, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        warnings.filterwarnings("ignore", "Persisting input arguments took")
        warnings.filterwarnings("ignore", "The student, fitted to the observed")
        for seed in args.seeds:
            for name in args.tables or paths:
                if (name, seed) in done:
                    continue
                run_table(name, paths[name], seed, args, memory, write)
                if args.csv:
                    pd.DataFrame(lines).to_csv(args.csv, index=False)
    summarise(compare(pd.DataFrame(lines)), len(args.seeds))


if __name__ == "__main__":
    main()
