"""Time fits of students by this package and by an earlier one, in turn.

    git worktree add ../earlier COMMIT
    python benchmarks/fit_speed.py --before ../earlier --student "LinearStudentClassifier()"

Both packages run in processes of their own, one after the other and in several rounds, on one
thread. They get the same rows, which a forest of 100 trees has labelled, and print the CPU seconds
of the student's own fit, the best of three. ``--student-before`` is fitted by the earlier package,
where that is another one. What this script imports must be in both packages.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from threadpoolctl import threadpool_limits

import skdistill
from skdistill import DistilledClassifier, LinearStudentClassifier

REPEATS = 3


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


def time_fits(expression, n_rows, n_columns):
    """Print the CPU seconds of a fit of a student, given as an expression in `skdistill`."""
    X, y, forest = rows_and_forest(n_rows, n_columns)
    heard = what_students_hear(forest, X, y)
    seconds = []
    for _ in range(REPEATS):
        student = eval(expression, vars(skdistill))
        start = time.process_time()
        student.distill(*heard)
        seconds.append(time.process_time() - start)
    print(min(seconds))


def ask(package, expression, args):
    """Run this script with the package of a folder, and return the seconds that it prints."""
    command = [sys.executable, __file__, "--alone", "--student", expression]
    sizes = ["--rows", str(args.rows), "--columns", str(args.columns)]
    environment = os.environ | {"PYTHONPATH": str(package.resolve()), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        command + sizes, env=environment, capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="folder with the earlier package")
    parser.add_argument("--student", default="LinearStudentClassifier(interactions=10)")
    parser.add_argument("--student-before", help="default: the same")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="only time the package that is found")
    args = parser.parse_args()
    if not args.alone and args.before is None:
        parser.error("pass --before FOLDER, or --alone")
    return args


def main():
    args = parse_args()
    if args.alone:
        with threadpool_limits(1):
            time_fits(args.student, args.rows, args.columns)
        return
    here = Path(__file__).parent.parent
    before = args.student_before or args.student
    seconds = [
        (ask(args.before, before, args), ask(here, args.student, args)) for _ in range(args.rounds)
    ]
    then, now = (statistics.median(each) for each in zip(*seconds, strict=True))
    ratio = statistics.median(after / earlier for earlier, after in seconds)
    print(f"{args.rows:,} rows, {args.columns} columns, CPU seconds of a fit, median of rounds")
    print(f"  before  {before:55s} {then:7.3f}")
    print(f"  now     {args.student:55s} {now:7.3f}")
    print(f"  now / before: {ratio:.2f}")


if __name__ == "__main__":
    main()
