"""Distil a fraud detector: a forest of hundreds of trees into students small enough to serve.

    python examples/fraud_detection.py
    python examples/fraud_detection.py --data transactions.parquet --target is_fraud

Without ``--data`` it simulates card transactions. The rows are in time order: a labelled period, a
period whose labels have not arrived yet, and a test period. Students of four kinds are distilled
from the first two, and fitted to the labels of the first for comparison; a table shows what they
are worth on the third, their size and speed, and a report on the last one is written. Bad options
end it with exit code 2. Needs the ``examples`` extra.
"""

import pickle
import tempfile
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from command_line import (
    as_zero_and_one,
    bad_input,
    check_file_to_write,
    make_parser,
    parse,
    positive,
    read_table,
)
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits
from transactions import simulate

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    TreeStudentClassifier,
    TreeSumStudentClassifier,
    distillation_report,
    lean_scorer,
    load,
    save,
)
from skdistill.fidelity import agreement, gap_closed

STUDENTS = {
    "tree": TreeStudentClassifier(),
    "trees": TreeSumStudentClassifier(),
    "curves": LinearStudentClassifier(interactions=5),
    "mlp": MLPStudentClassifier((64, 64)),
}

#: Shares of the rows, in time order, that end the labelled and the unlabelled period.
LABELLED_UNTIL, UNLABELLED_UNTIL = 0.6, 0.7

#: The report finds a student non-inferior that is worse by no more than this in PR-AUC.
MARGIN = 0.03

#: Fewest frauds, and fewest honest rows, of a period.
FEWEST = 10

#: A gap in PR-AUC smaller than this says nothing.
SMALLEST_GAP = 0.005


@dataclass(frozen=True)
class Periods:
    """Rows in time order: with labels, with labels still to come, and for testing."""

    X_labelled: Any
    y_labelled: np.ndarray
    X_unlabelled: Any
    X_test: Any
    y_test: np.ndarray


@dataclass(frozen=True)
class Result:
    """What one model is worth on the test period, and what it costs."""

    model: str
    pr_auc: float
    roc_auc: float
    log_loss: float
    agreement: float
    size: int  # bytes
    row_us: float  # microseconds, median, through predict_proba
    lean_us: float | None  # through the lean scorer
    rows_per_s: float


class Stages:
    """Shows the stage at work in a progress bar, and logs how long each took."""

    def __init__(self, console, total):
        self.console = console
        self.bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=total)

    @contextmanager
    def __call__(self, name):
        """Time one stage."""
        self.bar.update(self.task, description=name)
        start = time.perf_counter()
        yield
        self.console.print(f"{time.perf_counter() - start:6.1f} s  {name}", style="dim")
        self.bar.advance(self.task)


# The data: a simulation (see transactions.py), or a file.


def read_rows(args):
    """Simulate transactions, or read a file in time order; 1 is fraud."""
    if args.data is None:
        return simulate(args.seed)[:2]
    X, y = read_table(args.data, args.target, args.rows, args.seed)
    return X, as_zero_and_one(y, args.positive, "fraud")


def split_by_time(X, y):
    """Cut the rows into three periods."""
    y = y.astype(int)
    a, b = int(LABELLED_UNTIL * len(y)), int(UNLABELLED_UNTIL * len(y))
    for name, labels in {"labelled": y[:a], "test": y[b:]}.items():
        if min(labels.sum(), len(labels) - labels.sum()) < FEWEST:
            raise bad_input(
                f"--data: {labels.sum():,} of the {len(labels):,} rows in the {name} period are "
                f"fraud; at least {FEWEST}, and as many others, are needed"
            )
    return Periods(X[:a], y[:a], X[a:b], X[b:], y[b:])


def has_categories(X):
    """Tell whether X is a frame with categories."""
    return hasattr(X, "columns") and len(X.select_dtypes("category").columns) > 0


# The teacher, the students, and what they are worth.


def make_teacher(kind, n_trees, X, seed):
    """Return an unfitted teacher that takes X."""
    if kind == "lightgbm":
        from lightgbm import LGBMClassifier

        return LGBMClassifier(
            n_estimators=n_trees,
            learning_rate=0.03,
            min_child_samples=50,
            subsample=0.5,
            subsample_freq=1,
            colsample_bytree=0.5,
            n_jobs=1,
            random_state=seed,
            verbose=-1,
        )
    forest = RandomForestClassifier(
        n_trees, min_samples_leaf=2, max_samples=0.5, n_jobs=-1, random_state=seed
    )
    if not has_categories(X):
        return forest
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    categories = make_column_selector(dtype_include="category")
    return make_pipeline(
        make_column_transformer((encoder, categories), remainder="passthrough"), forest
    )


def make_student(name, seed):
    """Return an unfitted student."""
    student = clone(STUDENTS[name])
    seeds = {"random_state": seed} if "random_state" in student.get_params() else {}
    return student.set_params(**seeds)


def distil(teacher, student, periods, memory, seed):
    """Distil the fitted teacher; the ``student_`` of what is returned goes to production."""
    is_forest = isinstance(last_step(teacher), RandomForestClassifier)
    model = DistilledClassifier(
        teacher,
        student,
        # A forest has honest labels out of the bag; others are asked for rows they have not seen.
        labelling="oob" if is_forest else "cross_fit",
        memory=memory,
        n_jobs=-1 if is_forest else None,
        random_state=seed,
    )
    return model.fit(periods.X_labelled, periods.y_labelled, X_unlabeled=periods.X_unlabelled)


def last_step(model):
    """Return the last step of a pipeline, and other models as they are."""
    return model[-1] if hasattr(model, "steps") else model


def measure(model, name, periods, teacher_proba=None):
    """Score a fitted model on the test period, and measure what it costs on one core."""
    X, y = as_served(periods.X_test), periods.y_test
    pickled = pickle.dumps(model)
    served = pickle.loads(pickled)
    if hasattr(last_step(served), "n_jobs"):
        last_step(served).n_jobs = 1
    proba, rows_per_s = time_batch(served, X)
    result = Result(
        model=name,
        pr_auc=average_precision_score(y, proba[:, 1]),
        roc_auc=roc_auc_score(y, proba[:, 1]),
        log_loss=log_loss(y, proba),
        agreement=agreement(proba if teacher_proba is None else teacher_proba, proba),
        size=len(pickled),
        row_us=time_rows(served.predict_proba, [X[i : i + 1] for i in range(min(len(X), 500))]),
        lean_us=None if teacher_proba is None else time_lean(served, X),
        rows_per_s=rows_per_s,
    )
    return proba, result


def as_served(X):
    """Return numbers without their names: a frame of one row costs more than a student."""
    return X if has_categories(X) else X.to_numpy(np.float64, na_value=np.nan)


def time_batch(model, X):
    """Return the probabilities of all rows, and how many rows a second takes."""
    seconds = []
    while sum(seconds) < 0.5:
        start = time.perf_counter()
        proba = model.predict_proba(X)
        seconds.append(time.perf_counter() - start)
    return proba, len(X) / min(seconds)


def time_lean(student, X):
    """Return the median time of the lean scorer for one row, in microseconds."""
    rows = X[:500].astype(object).to_numpy() if has_categories(X) else X[:500]
    return time_rows(lean_scorer(student), rows.tolist())


def time_rows(score, rows, n_calls=500, limit_s=1.0):
    """Return the median time of a call, in microseconds; every call gets another row."""
    seconds = []
    while len(seconds) < n_calls and sum(seconds) < limit_s:
        row = rows[len(seconds) % len(rows)]
        start = time.perf_counter()
        score(row)
        seconds.append(time.perf_counter() - start)
    return 1e6 * float(np.median(seconds))


def compare(args, periods, stages):
    """Fit teacher and students; return all results, the distillers and the baselines by name."""
    teacher = make_teacher(args.teacher, args.trees, periods.X_labelled, args.seed)
    name = f"{args.teacher}, {args.trees} trees"
    with stages(f"fit teacher ({name})"):
        teacher.fit(periods.X_labelled, periods.y_labelled)
    with stages("measure teacher"):
        teacher_proba, result = measure(teacher, name, periods)
    results, distillers, baselines = [result], {}, {}
    # The cache lets students with the same transfer set share the teacher's answers.
    with tempfile.TemporaryDirectory() as memory:
        for name in args.students:
            student = make_student(name, args.seed)
            with stages(f"distil {name}"):
                distillers[name] = distil(teacher, student, periods, memory, args.seed)
            with stages(f"fit {name} on hard labels"):
                baselines[name] = student.fit(periods.X_labelled, periods.y_labelled)
            for model, how in [(distillers[name].student_, "distilled"), (student, "hard labels")]:
                results.append(measure(model, f"{name}, {how}", periods, teacher_proba)[1])
    return results, distillers, baselines


# What is printed.


def print_periods(console, source, periods):
    """Say what rows there are."""
    n_columns = periods.X_test.shape[1]
    console.print(f"{source}, {n_columns} columns, rows in time order:", markup=False)
    for name, X, y in [
        ("labelled", periods.X_labelled, periods.y_labelled),
        ("unlabelled", periods.X_unlabelled, None),
        ("test", periods.X_test, periods.y_test),
    ]:
        share = "labels have not arrived" if y is None else f"{y.mean():.2%} fraud ({y.sum():,})"
        console.print(f"  {name:<11}{len(X):>9,} rows, {share}")


def print_results(console, results):
    """Print one row per model."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("model", no_wrap=True)
    for name in ("PR-AUC", "ROC-AUC", "log loss", "agrees", "size", "µs/row", "lean", "rows/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for i, result in enumerate(results):
        table.add_row(
            result.model,
            f"{result.pr_auc:.3f}",
            f"{result.roc_auc:.3f}",
            f"{result.log_loss:.4f}",
            f"{result.agreement:.2%}",
            with_prefix(result.size, "B"),
            f"{result.row_us:,.0f}",
            "" if result.lean_us is None else f"{result.lean_us:.1f}",
            with_prefix(result.rows_per_s),
            end_section=i % 2 == 0,
        )
    console.print()
    console.print(table)
    console.print(
        "\nagrees: same class as the teacher; µs/row: one row a call, by predict_proba; lean:\n"
        "the same by the lean scorer; rows/s: in batches, by predict_proba. All on one core."
    )


def print_conclusion(console, results, name):
    """Say in two sentences what the last student gained."""
    teacher, (distilled, baseline) = results[0], results[-2:]
    console.print(
        f"Distilled {name} against the teacher: "
        f"{ratio(teacher.size / distilled.size, 'smaller', 'larger')}, "
        f"{ratio(teacher.row_us / distilled.lean_us, 'faster', 'slower')} for one row by the lean "
        f"scorer, {ratio(teacher.row_us / distilled.row_us, 'faster', 'slower')} by predict_proba, "
        f"{ratio(distilled.rows_per_s / teacher.rows_per_s, 'faster', 'slower')} in batches."
    )
    console.print(gap_sentence(teacher.pr_auc, distilled.pr_auc, baseline.pr_auc))


def gap_sentence(teacher, distilled, baseline):
    """Say how much of the gap in PR-AUC between hard labels and the teacher was closed."""
    scores = f"PR-AUC: hard labels {baseline:.3f}, distilled {distilled:.3f}, teacher {teacher:.3f}"
    gain = distilled - baseline
    change = f"distilling {'lost' if gain < 0 else 'gained'} {abs(gain):.3f}"
    if teacher - baseline < SMALLEST_GAP:
        return f"{scores}; hard labels alone leave no gap to the teacher, {change}."
    share = gap_closed(teacher, distilled, baseline)
    if share < 0:
        return f"{scores}; {change}."
    if share > 1:
        return f"{scores}; distilling closed all of the gap, and passed the teacher."
    return f"{scores}; distilling closed {share:.0%} of the gap."


def ratio(value, more, less):
    """Put a ratio into words."""
    value, word = (value, more) if value >= 1 else (1 / value, less)
    return f"{value:,.1f} times {word}" if value < 10 else f"{value:,.0f} times {word}"


def with_prefix(number, unit=""):
    """Return a number with three digits, and k, M or G before its unit."""
    power = min(3, int(np.log10(number)) // 3)
    value, space = number / 1000**power, " " if unit else ""
    digits = f"{value:.0f}" if value > 99 else f"{value:.3g}"
    return f"{digits}{space}{['', 'k', 'M', 'G'][power]}{unit}"


def write_report(path, model, baseline, periods, seed):
    """Write the page that answers whether the last student deserves its teacher's trust.

    Returns
    -------
    verdict : str
        Its answer in one sentence.
    """
    report = distillation_report(
        model,
        periods.X_test,
        periods.y_test,
        baseline=baseline,
        metric="average_precision",
        margin=MARGIN,
        title="Fraud detector",
        random_state=seed,
    )
    report.to_html(path)
    verdict = report.fidelity.verdict
    return f"{verdict.status}: {verdict.headline}"


def save_student(console, path, student, X):
    """Save a student, and check that it comes back as it was."""
    save(student, path)
    same = np.array_equal(load(path).predict_proba(X), student.predict_proba(X))
    if not same:
        raise RuntimeError(f"the student read back from {path} predicts something else")
    size = with_prefix(path.stat().st_size, "B")
    console.print(f"Saved to {path}: {size}; read back, it predicts the same.", markup=False)


# The command line.


def make_options():
    """Return the parser of the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--positive", help="the class that is fraud, if it is not 1 or True")
    parser.add_argument(
        "--teacher", choices=["forest", "lightgbm"], default="forest", help="what is distilled"
    )
    parser.add_argument("--trees", type=positive, default=500, help="trees of the teacher")
    parser.add_argument(
        "--students",
        nargs="+",
        choices=STUDENTS,
        default=list(STUDENTS),
        help="what it is distilled into",
    )
    parser.add_argument(
        "--report", type=Path, default=Path("fraud_report.html"), help="where to write the report"
    )
    parser.add_argument("--save", type=Path, help="where to save the distilled MLP student")
    return parser


def check_args(args, console):
    """Check what the parser cannot, and leave out the MLP where torch is missing."""
    if args.teacher == "lightgbm" and find_spec("lightgbm") is None:
        raise bad_input("--teacher: lightgbm is missing: pip install lightgbm")
    args.students = [name for name in STUDENTS if name in args.students]
    if "mlp" in args.students and None in (find_spec("torch"), find_spec("skorch")):
        args.students.remove("mlp")
        console.print("No MLP, torch is missing: pip install torch skorch tqdm", markup=False)
    if not args.students:
        raise bad_input("--students: no student is left")
    if args.save and "mlp" not in args.students:
        raise bad_input("--save: --students has no mlp")
    for option, path in [("--save", args.save), ("--report", args.report)]:
        if path:
            check_file_to_write(path, option)


def run(args, console):
    """Do everything, in the order of the flow."""
    check_args(args, console)
    stages = Stages(console, total=4 + 2 * len(args.students))
    # One thread for everything but forests: small matrices gain little from more, and where the
    # cores are shared they lose a lot.
    warnings.filterwarnings("ignore", "X does not have valid feature names")  # see as_served
    with threadpool_limits(1), stages.bar:
        with stages("read file" if args.data else "simulate transactions"):
            periods = split_by_time(*read_rows(args))
        source = args.data.name if args.data else "Simulated card transactions"
        print_periods(console, source, periods)
        results, distillers, baselines = compare(args, periods, stages)
        last = args.students[-1]
        with stages(f"report on {last}"):
            verdict = write_report(
                args.report, distillers[last], baselines[last], periods, args.seed
            )
    print_results(console, results)
    print_conclusion(console, results, last)
    console.print(f"Report on the distilled {last}: {args.report}", markup=False)
    console.print(f"Its verdict is {verdict}", markup=False)
    if args.save:
        save_student(console, args.save, distillers["mlp"].student_, periods.X_test)


def main():
    """Run the example."""
    args = parse(make_options(), "positive")
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=100)  # 80 would be assumed
    run(args, console)


if __name__ == "__main__":
    main()
