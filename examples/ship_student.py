"""Ship a student: as a file that is safe to load, as ONNX, as C and as SQL, each proven the same.

    python examples/ship_student.py
    python examples/ship_student.py --data loans.parquet --target defaulted

Without ``--data`` it simulates loan applications. It distils a random forest into an MLP and an
additive model, writes them into the folder ``shipped``, each with its certificate, tries the files
again on rows that nobody has seen, and scores one row by the lean scorer. Needs the ``examples``
extra and, for C, a compiler.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from loan_report import make_teacher, read_table, simulate
from sklearn.model_selection import train_test_split

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    lean_scorer,
    load,
    save,
    to_c,
    to_onnx,
    to_sql,
    verify,
)


def ship(network, scorecard, X, folder):
    """Write every file, and say what its certificate says."""
    save(network, folder / "network.skd")
    print(f"{'network.skd':<16}{size(folder / 'network.skd'):>8}  arrays and JSON, no code")
    to_sql(scorecard, folder / "scorecard.sql", X, dialect="postgres", table="applications")
    certificates = {
        "network.onnx": to_onnx(network, folder / "network.onnx", X),
        "network.c": to_c(network, folder / "network.c", X, main=True),
        "scorecard.c": to_c(scorecard, folder / "scorecard.c", X, dtype="float"),
        "scorecard.sql": verify(folder / "scorecard.sql", X),
    }
    for name, certificate in certificates.items():
        print(f"{name:<16}{size(folder / name):>8}  {certificate}")
    return list(certificates)


def size(path):
    """Return the size of a file as text."""
    return f"{path.stat().st_size / 1000:,.0f} kB"


def time_one_row(score, rows):
    """Return the median time of a call in microseconds; every call gets another row."""
    taken = []
    for row in rows:
        start = time.perf_counter()
        score(row)
        taken.append(time.perf_counter() - start)
    return 1e6 * float(np.median(taken))


def main():
    """Run the example."""
    parser = argparse.ArgumentParser(description="Ship a student in every form.")
    parser.add_argument("--data", type=Path, help="parquet file")
    parser.add_argument("--target", default="target", help="its column with two classes")
    parser.add_argument("--folder", type=Path, default=Path("shipped"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.folder.mkdir(exist_ok=True)

    X, y, _ = read_table(args.data, args.target, []) if args.data else simulate(12_000, args.seed)
    X_train, X_test, y_train, _ = train_test_split(X, y, random_state=args.seed, stratify=y)
    teacher = make_teacher(args.seed)
    students = MLPStudentClassifier((64, 64), random_state=args.seed), LinearStudentClassifier()
    network, scorecard = (
        DistilledClassifier(teacher, student, random_state=args.seed).fit(X_train, y_train).student_
        for student in students
    )
    files = ship(network, scorecard, X_train, args.folder)

    print("\nTried again on rows that nobody has seen:")
    for name in files:
        print(f"{name:<16}{verify(args.folder / name, X_test)}")
    again = load(args.folder / "network.skd")
    same = np.array_equal(again.predict_proba(X_test), network.predict_proba(X_test))
    print(f"{'network.skd':<16}loaded, it predicts {'the same' if same else 'SOMETHING ELSE'}")

    scorer = lean_scorer(args.folder / "network.skd")
    rows = X_test.head(500).astype(object).to_numpy().tolist()
    lean = time_one_row(scorer, rows)
    full = time_one_row(network.predict_proba, [X_test.iloc[i : i + 1] for i in range(500)])
    print(f"\n{scorer}: {lean:.1f} µs a row; predict_proba takes {full:,.0f} µs")


if __name__ == "__main__":
    main()
