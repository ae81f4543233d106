"""How good are the students? Teacher x student x way of fitting, over a folder of tables.

    python benchmarks/quality.py --data FOLDER

The folder holds Parquet files with a column ``target``. For every table, teacher and student this
prints test scores, fidelity and the share of the gap between hard labels and the teacher that
distillation closes, then medians over the tables; ``--csv`` keeps every line.
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

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    Munge,
    TreeStudentClassifier,
    agreement,
    gap_closed,
    kl_divergence,
)

SCORES = {"auc": True, "ap": True, "log_loss": False}  # whether greater is better
WAYS = {"soft": None, "munge": Munge(), "default": "auto"}


def make_teacher(kind, X, trees, seed):
    if kind == "lightgbm":
        return LGBMClassifier(n_estimators=300, verbose=-1, random_state=seed, n_jobs=1)
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
        "linear": LinearStudentClassifier(),
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


def run_table(name, path, args, memory, write):
    X, X_test, y, y_test = read_table(path, args.rows, args.seed)
    for teacher_kind in args.teachers:
        teacher = make_teacher(teacher_kind, X, args.trees, args.seed).fit(X, y)
        teacher_proba = teacher.predict_proba(X_test)
        classes = teacher.classes_
        key = {"data": name, "teacher": teacher_kind}
        write(key, "teacher", "", measure(y_test, teacher_proba, teacher_proba, classes), 0.0)
        # An outside boosting teacher has no honest labels for its own rows: fit it inside.
        inside = (
            teacher
            if teacher_kind == "forest"
            else make_teacher(teacher_kind, X, args.trees, args.seed)
        )
        for student_kind in args.students:
            student = make_student(student_kind, args.seed)
            start = time.perf_counter()
            proba = student.fit(X, y).predict_proba(X_test)
            seconds = time.perf_counter() - start
            result = measure(y_test, proba, teacher_proba, classes)
            write(key, student_kind, "hard", result, seconds)
            for way in args.ways:
                model = DistilledClassifier(
                    inside,
                    student,
                    augmentation=WAYS[way],
                    memory=memory,
                    random_state=args.seed,
                    **args.options,
                )
                start = time.perf_counter()
                proba = model.fit(X, y).predict_proba(X_test)
                seconds = time.perf_counter() - start
                result = measure(y_test, proba, teacher_proba, classes)
                write(key, student_kind, way, result, seconds)


def add_gaps(results):
    """Add the share of the gap closed, per score, to every distilled line."""
    index = ["data", "teacher"]
    teachers = results[results.student == "teacher"].set_index(index)
    hard = results[results.way == "hard"].set_index([*index, "student"])
    for score, greater in SCORES.items():
        results[f"gap_{score}"] = [
            gap_closed(
                teachers[score][line.data, line.teacher],
                getattr(line, score),
                hard[score][line.data, line.teacher, line.student],
                greater_is_better=greater,
            )
            if line.way in WAYS
            else np.nan
            for line in results.itertuples()
        ]
        results[f"wins_{score}"] = [
            float(
                (getattr(line, score) > hard[score][line.data, line.teacher, line.student])
                == greater
            )
            if line.way in WAYS
            else np.nan
            for line in results.itertuples()
        ]
    return results


def summarise(results):
    """Print medians of the gaps, and on how many tables hard labels were beaten."""
    distilled = results[results.way.isin(list(WAYS))]
    gaps = [f"gap_{score}" for score in SCORES]
    groups = distilled.groupby(["teacher", "student", "way"], sort=False)
    table = groups[gaps].median()
    for score in SCORES:
        wins = groups[f"wins_{score}"].apply(lambda w: f"{int(w.sum())}/{len(w)}")
        table[f"beats hard, {score}"] = wins
    table["with a gap, log_loss"] = groups["gap_log_loss"].count()
    print("\nMedian share of the gap closed (tables where the teacher beats hard labels)")
    print(table.round(3).to_string())


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of Parquet files")
    parser.add_argument("--tables", nargs="*", help="names of the tables, default all")
    parser.add_argument("--rows", type=int, default=20_000, help="rows per table, 0 for all")
    parser.add_argument("--trees", type=int, default=500, help="trees of the forest teacher")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--teachers", nargs="*", default=["forest", "lightgbm"])
    parser.add_argument("--students", nargs="*", default=["tree", "linear", "mlp"])
    parser.add_argument("--ways", nargs="*", default=["soft", "munge"], choices=list(WAYS))
    parser.add_argument(
        "--alpha", type=float, help="weight of the soft term, default the library's"
    )
    parser.add_argument("--csv", type=Path, help="file for every line")
    args = parser.parse_args()
    args.options = {} if args.alpha is None else {"alpha": args.alpha}
    return args


def main():
    args = parse_args()
    paths = {path.stem: path for path in sorted(args.data.glob("*.parquet"))}
    lines = []

    def write(key, student, way, result, seconds):
        lines.append({**key, "student": student, "way": way, **result, "seconds": seconds})
        scores = "  ".join(f"{name} {value:.4f}" for name, value in result.items())
        print(
            f"{' '.join(key.values()):34s} {student:7s} {way:7s} {scores}  {seconds:.0f} s",
            flush=True,
        )

    with tempfile.TemporaryDirectory() as memory, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        for name in args.tables or paths:
            run_table(name, paths[name], args, memory, write)
    results = add_gaps(pd.DataFrame(lines))
    if args.csv:
        results.to_csv(args.csv, index=False)
    summarise(results)


if __name__ == "__main__":
    main()
