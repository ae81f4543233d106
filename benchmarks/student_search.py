"""Measure what a search within a budget finds, and what screening saves.

    python benchmarks/student_search.py --data phoneme.parquet adult.parquet

Every file is a Parquet table with a column ``target`` of two classes. 70 % of at most ``--rows`` of
its rows are searched on, with an unfitted forest as teacher; on the others the chosen student, the
same student on hard labels and the teacher are scored. Prints for each budget, searched by
screening and by the full grid, what was chosen, its scores, what it costs, and the search's CPU
seconds. Trees, additive models and small MLPs compete, with five synthetic rows per labelled one,
so that the full grid does not take too long; with ``--students auto`` those that the search tries
by default, with all its defaults.
"""

import argparse
import time
import warnings
from pathlib import Path

import pandas as pd
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from skdistill import (
    Budget,
    LinearStudentClassifier,
    MLPStudentClassifier,
    Munge,
    StudentSearchCV,
    TreeStudentClassifier,
)

BUDGETS = {
    "20 us, 40 kB": Budget(latency_us=20, size_kb=40),
    "16 leaves": Budget(leaves=16),
    "3 columns": Budget(columns=3),
    "5 us, 50 kB": Budget(latency_us=5, size_kb=50),
}

STUDENTS = [
    (TreeStudentClassifier(), {"max_leaf_nodes": [4, 8, 16, 32, 64]}),
    (LinearStudentClassifier(), {"n_bins": [1, 8, 32]}),
    (MLPStudentClassifier(), {"hidden_layer_sizes": [(16,), (32, 32)]}),
]
LIGHT = {
    "students": STUDENTS,
    "cv": 3,
    "alphas": (0.5, 0.8),
    "distiller_params": {"label_correction": False, "augmentation": Munge(5)},
}


def make_teacher(seed):
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    words = make_column_selector(dtype_include="category")
    columns = make_column_transformer((encoder, words), remainder="passthrough")
    forest = RandomForestClassifier(200, min_samples_leaf=2, n_jobs=2, random_state=seed)
    return make_pipeline(columns, forest)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--budgets", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    parser.add_argument("--ways", nargs="+", default=["screening", "grid"])
    parser.add_argument("--students", choices=["few", "auto"], default="few")
    parser.add_argument("--time-limit", type=float)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    for path in args.data:
        table = pd.read_parquet(path)
        table = table.sample(min(args.rows, len(table)), random_state=args.seed)
        y = table.pop("target").to_numpy()
        X, X_test, y, y_test = train_test_split(
            table, y, test_size=0.3, stratify=y, random_state=args.seed
        )
        lines = []
        for budget in args.budgets:
            for way in args.ways:
                search = StudentSearchCV(
                    make_teacher(args.seed),
                    budget=BUDGETS[budget],
                    search=way,
                    references=False,
                    time_limit=args.time_limit,
                    random_state=args.seed,
                    **({} if args.students == "auto" else LIGHT),
                )
                began = time.process_time()
                search.fit(X, y)
                seconds = time.process_time() - began
                best, costs = search.candidates_[search.best_index_], search.best_costs_
                distiller = search.best_estimator_
                hard = clone(distiller.student).fit(X, y)
                models = {"": distiller, " hard": hard, " teacher": distiller.teacher_}
                scores = {}
                for name, model in models.items():
                    proba = model.predict_proba(X_test)
                    scores[f"log loss{name}"] = log_loss(y_test, proba)
                    scores[f"PR-AUC{name}"] = average_precision_score(y_test, proba[:, 1])
                lines.append(
                    {
                        "budget": budget,
                        "search": way,
                        "chosen": f"{best.name}, T={best.params['temperature']:g}",
                        **dict(sorted(scores.items())),
                        "p99 us": costs.latency_p99_us,
                        "kB": costs.size_kb,
                        "columns": costs.n_columns,
                        "CPU s": round(seconds),
                    }
                )
        print(f"\n{path.stem}, {len(y):,} rows to search on, {len(y_test):,} to test on")
        print(pd.DataFrame(lines).round(3).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
