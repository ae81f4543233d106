"""Time this package and an earlier one, in turn: fits, distillations, predictions.

    git worktree add ../earlier COMMIT
    python benchmarks/fit_speed.py --before ../earlier --student "LinearStudentClassifier()"
    python benchmarks/fit_speed.py --before ../earlier --what distil --data FOLDER
    python benchmarks/fit_speed.py --before ../earlier --what predict
    python benchmarks/fit_speed.py --before ../earlier --what unlabelled --rounds 1

Both packages run in processes of their own, one after the other and in several rounds; the table
has the medians, and the median of the ratios of the rounds.

``student`` is the own fit of a student, given as an expression, on rows that a forest of 100 trees
has labelled; ``--student-before`` is fitted by the earlier package, where that is another one.
``distil`` is a whole default distillation of a fitted forest of 300 trees, on tables of the folder;
it also prints the log loss on other rows, and the largest memory. ``unlabelled`` is one of XGBoost
with 300 trees and a million unlabelled rows. ``predict`` asks students for probabilities of many
rows, of one row, and of rows of Python objects. What this script imports must be in both packages.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from xgboost import XGBClassifier

import skdistill
from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    TreeStudentClassifier,
)

REPEATS = 3

#: Rows that a table is distilled with, at most; the others are for the log loss.
TABLES = {"bank_marketing": 10_000, "phoneme": 10_000, "creditcard_ulb": 170_884}

LABELLED, UNLABELLED = 25_000, 1_000_000

MANY_ROWS, OBJECT_ROWS = 1_000_000, (20_000, 25)


class Listener(LinearStudentClassifier):
    """Keeps what it is given to learn from."""

    heard = None

    def distill(self, transfer_set, temperature=1.0, alpha=1.0):
        """Keep the arguments, for all that were cloned from it, too."""
        Listener.heard = transfer_set, temperature, alpha
        return super().distill(transfer_set, temperature, alpha)


def what_students_hear(teacher, X, y, **params):
    """Return transfer set, temperature and alpha, as a distiller passes them to its student."""
    DistilledClassifier(
        teacher, Listener(1), label_correction=False, recalibration=False, **params
    ).fit(X, y)
    return Listener.heard


def rows_and_forest(n_rows, n_columns):
    """Make rows of two classes, one of them rare, and fit a forest to them."""
    X, y = make_classification(
        n_rows, n_columns, n_informative=12, flip_y=0.1, weights=[0.9], random_state=0
    )
    return X, y, RandomForestClassifier(100, random_state=0).fit(X, y)


def time_student(args):
    """Time a fit of a student, given as an expression in `skdistill`: the best of three."""
    X, y, forest = rows_and_forest(args.rows, args.columns)
    heard = what_students_hear(forest, X, y)
    found = []
    for _ in range(REPEATS):
        student = eval(args.student, vars(skdistill))
        found.append(measure(lambda student=student: student.distill(*heard)))
    return {f"{args.rows:,} rows, {args.columns} columns": min(found, key=lambda each: each["cpu"])}


def time_distillations(args):
    """Time whole distillations of fitted forests."""
    fit = joblib.Memory(args.kept, verbose=0).cache(_table_and_forest)
    MLPStudentClassifier(max_epochs=1).fit(np.eye(600)[:, :3], np.arange(600) % 2)  # imports torch
    found = {}
    for name in args.tables:
        X, y, *test, forest = fit(args.data / f"{name}.parquet", TABLES[name])
        distiller = DistilledClassifier(forest, MLPStudentClassifier(), random_state=0)
        found[f"{name}, {len(X):,} rows"] = _measure_fit(distiller, X, y, *test)
    return found


def time_many_rows(args):
    """Time a distillation with far more unlabelled rows than labelled ones."""
    n_rows = LABELLED + UNLABELLED
    X, y = make_classification(
        n_rows + 20_000, 30, n_informative=12, flip_y=0.05, weights=[0.9], random_state=0
    )
    pool = X[LABELLED:n_rows]
    distiller = DistilledClassifier(
        XGBClassifier(n_estimators=300), MLPStudentClassifier((64, 64)), random_state=0
    )
    labelled, test = (X[:LABELLED], y[:LABELLED]), (X[n_rows:], y[n_rows:])
    measured = _measure_fit(distiller, *labelled, *test, X_unlabeled=pool)
    return {f"{LABELLED:,} labelled and {UNLABELLED:,} unlabelled rows": measured}


def _measure_fit(distiller, X, y, X_test, y_test, **more):
    measured = measure(lambda: distiller.fit(X, y, **more))
    measured["log loss"] = log_loss(y_test, distiller.predict_proba(X_test))
    measured["MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return measured


def _table_and_forest(path, n_rows):
    from quality import make_teacher

    frame = pd.read_parquet(path).sample(frac=1, random_state=0)
    y = frame.pop("target").to_numpy()
    n_rows = min(n_rows, int(0.7 * len(frame)))
    forest = make_teacher("forest", frame, 300, 0).fit(frame[:n_rows], y[:n_rows])
    return frame[:n_rows], y[:n_rows], frame[n_rows:], y[n_rows:], forest


def time_predictions(args):
    """Time `predict_proba` of many rows, of one row, and of rows of objects."""
    X, y, _ = rows_and_forest(5_000, 30)
    many = np.random.default_rng(0).normal(scale=2, size=(MANY_ROWS, 30))
    students = {
        "tree": TreeStudentClassifier(),
        "additive": LinearStudentClassifier(),
        "additive, 10 pairs": LinearStudentClassifier(interactions=10),
        "MLP 64-64": MLPStudentClassifier((64, 64), max_epochs=3, random_state=0),
        "MLP 128-128": MLPStudentClassifier(max_epochs=3, random_state=0),
    }
    found = {}
    for name, student in students.items():
        student.fit(X, y)
        student.predict_proba(X)
        if name != "tree":
            found[f"{name}, {MANY_ROWS:,} rows"] = measure(lambda: student.predict_proba(many))  # noqa: B023
        rows = [many[[i]] for i in range(300)]
        found[f"{name}, 300 x one row"] = measure(lambda: list(map(student.predict_proba, rows)))  # noqa: B023
    forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    distiller = DistilledClassifier(forest, students["additive"]).fit(X, y)
    found["distilled additive, 300 x one row"] = measure(
        lambda: list(map(distiller.predict_proba, rows))
    )
    objects = _objects(*OBJECT_ROWS)
    student = students["MLP 64-64"].fit(objects, np.arange(len(objects)) % 2)
    found["MLP 64-64, 20,000 x 25 objects"] = measure(lambda: student.predict_proba(objects))
    return found


def _objects(n_rows, n_columns):
    """Make rows of Python objects: half of the columns hold text, some cells nothing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_columns)).astype(object)
    X[:, ::2] = np.array(list("abcdefgh"), dtype=object)[rng.integers(8, size=X[:, ::2].shape)]
    X[rng.uniform(size=X.shape) < 0.05] = None
    return X


def measure(call):
    """Return the seconds that a call takes, by the clock and of the processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def run_with(package, script, arguments, threads=1):
    """Run a script with the package of a folder, and return what it prints.

    On as many threads as there are processors if `threads` is None.
    """
    environment = os.environ | {"PYTHONPATH": str(package.resolve())}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, script, *map(str, arguments)]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout


def in_turn(before, now, n_rounds):
    """Call two functions that return seconds in turn; return both medians, and that of ratios."""
    return medians([(before(), now()) for _ in range(n_rounds)])


def medians(pairs):
    """Return both medians of pairs, and that of their ratios."""
    then, now = (statistics.median(each) for each in zip(*pairs, strict=True))
    return then, now, statistics.median(later / earlier for earlier, later in pairs)


def ask(package, student, args, kept):
    """Run this script with the package of a folder, and return what it measures."""
    asked = ["--alone", "--what", args.what, "--student", student, "--kept", kept]
    asked += ["--rows", args.rows, "--columns", args.columns, "--tables", *args.tables]
    asked += ["--data", args.data] if args.data else []
    return json.loads(run_with(package, __file__, asked, args.threads).splitlines()[-1])


KINDS = {
    "student": time_student,
    "distil": time_distillations,
    "unlabelled": time_many_rows,
    "predict": time_predictions,
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="folder with the earlier package")
    parser.add_argument("--what", choices=list(KINDS), default="student")
    parser.add_argument("--student", default="LinearStudentClassifier(interactions=10)")
    parser.add_argument("--student-before", help="default: the same")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--data", type=Path, help="folder with tables, for distillations")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: as many as there are processors")
    parser.add_argument("--alone", action="store_true", help="only time the package that is found")
    parser.add_argument("--kept", default="", help="folder for what both packages need")
    args = parser.parse_args()
    if not args.alone and args.before is None:
        parser.error("pass --before FOLDER, or --alone")
    if args.what == "distil" and args.data is None:
        parser.error("pass --data FOLDER with the tables to distil")
    return args


def main():
    args = parse_args()
    if args.alone:
        warnings.simplefilter("ignore")
        print(json.dumps(KINDS[args.what](args)))
        return
    here = Path(__file__).parent.parent
    before = args.student_before or args.student
    with tempfile.TemporaryDirectory() as kept:
        kept = args.kept or kept
        rounds = [
            (ask(args.before, before, args, kept), ask(here, args.student, args, kept))
            for _ in range(args.rounds)
        ]
    columns = next(iter(rounds[0][1].values()))
    print(f"Medians of {args.rounds} rounds: before, now, now / before")
    for name in rounds[0][1]:
        print(f"  {name}")
        for column in columns:
            pairs = [(then[name][column], now[name][column]) for then, now in rounds]
            then, now, ratio = medians(pairs)
            print(f"    {column:10s} {then:10.4g} {now:10.4g} {ratio:8.2f}")


if __name__ == "__main__":
    main()
