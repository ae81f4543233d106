"""Ship a student: as a file that is safe to load, as ONNX, as C and as SQL, each proven the same.

    python examples/ship_student.py
    python examples/ship_student.py --data loans.parquet --target defaulted

Without ``--data`` it simulates loan applications. It distils a random forest into an MLP and an
additive model, writes the first as a file of its own, as ONNX and as C, the second as C and as SQL,
verifies the files on unseen rows, and times one row by the lean scorer. Every
file but the first has a certificate beside it: the largest difference from the student. Ends with
exit code 1 if a file answers otherwise than its student, and with 2 for bad options. Needs the
``examples`` extra and, for C, a compiler.
"""

import time
from pathlib import Path

import numpy as np
from command_line import (
    as_classes,
    check_class_sizes,
    make_folder,
    make_parser,
    parse,
    read_table,
)
from loan_report import make_teacher, simulate
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
    view = {"dialect": "postgres", "table": "applications"}
    exports = {
        "network.onnx": to_onnx(network, folder / "network.onnx", X),
        "network.c": to_c(network, folder / "network.c", X, main=True),
        "scorecard.c": to_c(scorecard, folder / "scorecard.c", X, dtype="float32"),
        "scorecard.sql": to_sql(scorecard, folder / "scorecard.sql", X, **view),
    }
    for name, export in exports.items():
        print(f"{name:<16}{size(folder / name):>8}  {export}")
    return list(exports)


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


def read_rows(args):
    """Simulate loan applications, or read columns and classes from a file."""
    if args.data is None:
        return simulate(12_000, args.seed)[:2]
    X, y = read_table(args.data, args.target, args.rows, args.seed)
    check_class_sizes(y, 20, args.target)
    return X, as_classes(y)


def main():
    """Run the example."""
    parser = make_parser(__doc__)
    parser.add_argument("--folder", type=Path, default=Path("shipped"), help="where to write files")
    args = parse(parser)
    X, y = read_rows(args)
    make_folder(args.folder, "--folder")
    X_train, X_test, y_train, _ = train_test_split(X, y, random_state=args.seed, stratify=y)
    teacher = make_teacher(args.seed)
    students = MLPStudentClassifier((64, 64), random_state=args.seed), LinearStudentClassifier()
    network, scorecard = (
        DistilledClassifier(
            teacher,
            student,
            label_correction=False,  # this is about files: imitation is enough
            random_state=args.seed,
            verbose=1,
        )
        .fit(X_train, y_train)
        .student_
        for student in students
    )
    print(f"\nIn {args.folder}:")
    files = ship(network, scorecard, X_train, args.folder)

    print("\nVerified on unseen rows:")
    for name in files:
        print(f"{name:<16}{verify(args.folder / name, X_test)}")
    again = load(args.folder / "network.skd")
    same = np.array_equal(again.predict_proba(X_test), network.predict_proba(X_test))
    print(f"{'network.skd':<16}loaded, it predicts {'the same' if same else 'SOMETHING ELSE'}")

    scorer = lean_scorer(args.folder / "network.skd")
    timed = X_test.head(500)
    lean = time_one_row(scorer, timed.astype(object).to_numpy().tolist())
    frames = [timed.iloc[i : i + 1] for i in range(len(timed))]
    full = time_one_row(network.predict_proba, frames)
    print(f"\n{scorer}: {lean:.1f} µs a row; predict_proba takes {full:,.0f} µs")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
