"""Time one row and many, of teachers and of students, by every way to score them.

    python benchmarks/latency.py
    python benchmarks/latency.py --data transactions.parquet --target is_fraud

One process, one thread, one run. Every call gets another row. Teachers are asked through their own
API and compiled: forests by skl2onnx; boosting by onnxmltools, and by treelite with tl2cgen, where
those are installed. Needs the ``examples`` extra, XGBoost and LightGBM.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
import onnxruntime
import pandas as pd
from lightgbm import LGBMClassifier
from rich.console import Console
from rich.table import Table
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    TreeStudentClassifier,
    lean_scorer,
    save,
    to_c,
    to_onnx,
)
from skdistill.scorer import load_library
from skdistill.scorer.compiled import compile_library

console = Console(width=120, highlight=False)

#: Calls that a percentile is taken over, at most, and the seconds that they may take.
MAX_CALLS, MAX_SECONDS = 5_000, 4.0

#: What other work leaves in the caches between two calls: more than the second level holds.
OTHER_WORK = np.zeros(8_000_000)

BATCH_ROWS = 10_000


def students():
    """Return unfitted students by name."""
    return {
        "tree, 16 leaves": TreeStudentClassifier(),
        "additive": LinearStudentClassifier(),
        "MLP 64-64": MLPStudentClassifier((64, 64), random_state=0),
        "MLP 128-128": MLPStudentClassifier((128, 128), random_state=0),
    }


def teachers(n_trees, n_rounds):
    """Return unfitted teachers by name."""
    return {
        f"forest, {n_trees} trees": RandomForestClassifier(n_trees, n_jobs=-1, random_state=0),
        "forest, 100 trees of depth 10": RandomForestClassifier(
            100, max_depth=10, n_jobs=-1, random_state=0
        ),
        f"XGBoost, {n_rounds} x depth 6": XGBClassifier(n_estimators=n_rounds, max_depth=6),
        f"LightGBM, {n_rounds} x 63 leaves": LGBMClassifier(
            n_estimators=n_rounds, num_leaves=63, verbose=-1
        ),
    }


def clock_cost():
    """Return what reading the clock twice costs, in microseconds."""
    costs = []
    for _ in range(20_000):
        start = time.perf_counter_ns()
        costs.append(time.perf_counter_ns() - start)
    return np.median(costs) / 1000


def one_by_one(score, rows, cold=False):
    """Time single rows.

    Returns
    -------
    microseconds : ndarray
        Of every call, without what the clock costs.
    """
    for row in rows[:3]:
        score(row)
    until = time.perf_counter() + MAX_SECONDS
    taken = []
    while len(taken) < MAX_CALLS and time.perf_counter() < until:
        row = rows[len(taken) % len(rows)]
        if cold:
            OTHER_WORK[:] += 1
        start = time.perf_counter_ns()
        score(row)
        taken.append(time.perf_counter_ns() - start)
    return np.maximum(np.array(taken) / 1000 - clock_cost(), 0.0)


def rows_per_second(score, X):
    """Time a batch: the best of five."""
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        score(X)
        best = min(best, time.perf_counter() - start)
    return len(X) / best


def session(payload):
    """Open an ONNX model on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])


def by_onnx(payload):
    """Return a function that scores arrays by onnxruntime."""
    run = session(payload)
    name, answer = run.get_inputs()[0].name, run.get_outputs()[-1].name
    return lambda X: run.run([answer], {name: X})


def forest_to_onnx(forest):
    """Convert a forest by skl2onnx."""
    from skl2onnx import to_onnx as sklearn_to_onnx

    example = np.zeros((1, forest.n_features_in_), dtype=np.float32)
    model = sklearn_to_onnx(forest, example, options={"zipmap": False}, target_opset=17)
    return model.SerializeToString()


def boosting_to_onnx(booster):
    """Convert a boosting model by onnxmltools."""
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    inputs = [("X", FloatTensorType([None, booster.n_features_in_]))]
    if isinstance(booster, LGBMClassifier):
        model = onnxmltools.convert_lightgbm(booster, initial_types=inputs, zipmap=False)
    else:
        model = onnxmltools.convert_xgboost(booster, initial_types=inputs)
    return model.SerializeToString()


def by_tl2cgen(booster, folder):
    """Return a function that scores arrays by treelite and tl2cgen."""
    import tl2cgen
    import treelite

    read = {
        "XGBClassifier": lambda: treelite.frontend.from_xgboost(booster.get_booster()),
        "LGBMClassifier": lambda: treelite.frontend.from_lightgbm(booster.booster_),
    }
    library = folder / f"{type(booster).__name__}.so"
    model = read[type(booster).__name__]()
    tl2cgen.export_lib(model, toolchain="gcc", libpath=library, params={"parallel_comp": 2})
    predictor = tl2cgen.Predictor(library, nthread=1)
    return lambda X: predictor.predict(tl2cgen.DMatrix(X))


def own_api(teacher):
    """Return how a teacher scores rows by itself, on one thread."""
    if isinstance(teacher, XGBClassifier):
        booster = teacher.get_booster()
        booster.set_param({"nthread": 1})
        return booster.inplace_predict
    if isinstance(teacher, LGBMClassifier):
        return lambda X: teacher.booster_.predict(X, num_threads=1)
    return teacher.set_params(n_jobs=1).predict_proba


def teacher_ways(teacher, folder):
    """Return the ways to score rows, arrays of shape (1, n_columns), with a teacher."""
    ways = {"own API": own_api(teacher)}
    if isinstance(teacher, RandomForestClassifier):
        ways["compiled: onnxruntime"] = by_onnx(forest_to_onnx(teacher))
        return ways
    if find_spec("onnxmltools"):
        ways["compiled: onnxruntime"] = by_onnx(boosting_to_onnx(teacher))
    if find_spec("treelite") and find_spec("tl2cgen"):
        ways["compiled: tl2cgen"] = by_tl2cgen(teacher, folder)
    return ways


def student_ways(student, folder):
    """Return ways to score a row, each with what it takes: "array" (1, n), "single" or "list"."""
    to_onnx(student, folder / "student.onnx")
    to_c(student, folder / "student.c")
    library = folder / f"{id(student)}.so"
    compile_library((folder / "student.c").read_text(), library)
    return {
        "predict_proba": (student.predict_proba, "array"),
        "onnxruntime": (by_onnx((folder / "student.onnx").read_bytes()), "single"),
        "lean scorer, NumPy": (lean_scorer(student, "numpy"), "list"),
        "C by ctypes, without NumPy": (load_library(library), "list"),
        "lean scorer, C": (lean_scorer(student, "c"), "list"),
    }


def print_rows(timed):
    """Print the percentiles, and how many times faster the fastest student is."""
    table = Table(title="One row, microseconds, one thread", box=None)
    for name in ("model", "way", "p50", "p99", "p50 after other work"):
        table.add_column(name, justify="left" if name in ("model", "way") else "right")
    for (name, way), (warm, cold) in timed.items():
        p50, p99 = np.percentile(warm, [50, 99])
        table.add_row(name, way, f"{p50:,.2f}", f"{p99:,.2f}", f"{np.median(cold):,.1f}")
    console.print(table)
    console.print(f"(the clock's own {clock_cost():.3f} is taken off; other work: 64 MB)\n")


def print_ratios(timed):
    """Print how the C scorer compares with teachers, and with a student's other ways."""
    p50 = {key: np.median(warm) for key, (warm, _) in timed.items()}
    mine = {name: p50[name, way] for name, way in p50 if way == "lean scorer, C"}
    table = Table(title="How many times faster is the lean scorer in C (p50)", box=None)
    table.add_column("than")
    for name in mine:
        table.add_column(name, justify="right")
    for (name, way), value in p50.items():
        compared = [name] if name in mine else mine
        shown = [f"{value / mine[each]:,.0f}" if each in compared else "" for each in mine]
        if way not in ("lean scorer, C", "lean scorer, NumPy"):
            table.add_row(f"{name}, {way}", *shown)
    console.print(table)


def measure_rows(fitted_teachers, fitted_students, X, folder):
    """Time single rows of all models."""
    arrays = [X[i : i + 1] for i in range(len(X))]
    rows = {
        "array": arrays,
        "single": [row.astype(np.float32) for row in arrays],
        "list": X.tolist(),
    }
    timed = {}
    for name, teacher in fitted_teachers.items():
        for way, score in teacher_ways(teacher, folder).items():
            kind = "single" if "compiled" in way else "array"
            timed[name, way] = [one_by_one(score, rows[kind], cold) for cold in (False, True)]
    for name, student in fitted_students.items():
        for way, (score, kind) in student_ways(student, folder).items():
            timed[name, way] = [one_by_one(score, rows[kind], cold) for cold in (False, True)]
    print_rows(timed)
    print_ratios(timed)
    return timed


def measure_batches(fitted_teachers, fitted_students, X, folder):
    """Time a batch of all models."""
    X = np.tile(X, (1 + BATCH_ROWS // len(X), 1))[:BATCH_ROWS]
    table = Table(title=f"Rows per second, one thread, batches of {BATCH_ROWS:,}", box=None)
    ways = "own API", "onnxruntime", "NumPy", "C", "C / onnxruntime"
    for name in ("model", *ways):
        table.add_column(name, justify="left" if name == "model" else "right")
    for name, teacher in fitted_teachers.items():
        score = own_api(teacher)
        table.add_row(name, f"{rows_per_second(score, X):,.0f}")
    for name, student in fitted_students.items():
        to_onnx(student, folder / "student.onnx")
        rates = [
            rows_per_second(student.predict_proba, X),
            rows_per_second(by_onnx((folder / "student.onnx").read_bytes()), X.astype(np.float32)),
            rows_per_second(lean_scorer(student, "numpy").batch, X),
            rows_per_second(lean_scorer(student, "c").batch, X),
        ]
        table.add_row(name, *(f"{rate:,.0f}" for rate in rates), f"{rates[3] / rates[1]:.1f}")
    console.print(table)


COLD_STARTS = {
    "C by ctypes, no NumPy": "from skdistill.scorer import load_library\n"
    "load_library({so!r})({row!r})",
    "lean scorer, NumPy": "from skdistill.scorer import load_scorer\n"
    "load_scorer({skd!r}, 'numpy')({row!r})",
    "onnxruntime": "import onnxruntime, numpy\n"
    "onnxruntime.InferenceSession({onnx!r}, providers=['CPUExecutionProvider'])"
    ".run(None, {{'X': numpy.array([{row!r}], dtype='float32')}})",
    "scikit-learn, joblib": "import joblib\njoblib.load({joblib!r}).predict_proba([{row!r}])",
    "(Python alone)": "",
}

_USAGE = """
import re, resource
used = resource.getrusage(resource.RUSAGE_SELF)
peak = re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read()).group(1)
print(used.ru_utime + used.ru_stime, peak)
"""


def measure_cold_start(student, row, folder):
    """Start new processes that load the student and score one row."""
    files = {kind: str(folder / f"cold.{kind}") for kind in ("skd", "onnx", "joblib", "so")}
    save(student, files["skd"])
    to_onnx(student, files["onnx"])
    joblib.dump(student, files["joblib"])
    to_c(student, folder / "cold.c")
    compile_library((folder / "cold.c").read_text(), files["so"])
    table = Table(title="A new process: start, import, load, score one row", box=None)
    for name in ("way", "CPU ms", "RSS MB", "share of scikit-learn's CPU"):
        table.add_column(name, justify="left" if name == "way" else "right")
    used = {}
    for name, program in COLD_STARTS.items():
        program = program.format(row=row, **files) + _USAGE
        used[name] = min(_usage(program) for _ in range(7))
    whole = used["scikit-learn, joblib"][0]
    for name, (cpu, rss) in used.items():
        table.add_row(name, f"{1000 * cpu:.0f}", f"{rss / 1024:.0f}", f"1/{whole / cpu:.1f}")
    console.print(table)
    return used


def _usage(program):
    """Return CPU seconds and peak resident kB of a new process (Linux)."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu, rss = done.stdout.split()
    return float(cpu), int(rss)


def read_rows(path, target, n_rows):
    """Return training rows, their classes, and rows to score."""
    if path is None:
        X, y = make_classification(
            n_rows + 5_000, 30, n_informative=12, flip_y=0.1, weights=[0.9], random_state=0
        )
    else:
        frame = pd.read_parquet(path).sample(frac=1, random_state=0)[: n_rows + 5_000]
        y = frame.pop(target).to_numpy()
        X = frame.to_numpy(dtype=np.float64)
    return X[:-5_000], y[:-5_000], X[-5_000:]


def main():
    parser = argparse.ArgumentParser(description="Time one row and many.")
    parser.add_argument("--data", type=Path, help="parquet file, columns of numbers")
    parser.add_argument("--target", default="target", help="its column with two classes")
    parser.add_argument("--rows", type=int, default=30_000, help="rows to fit")
    parser.add_argument("--trees", type=int, default=500, help="trees of the forest")
    parser.add_argument("--rounds", type=int, default=1_000, help="rounds of boosting")
    parser.add_argument("--json", type=Path, help="file for the figures that the README shows")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    X, y, X_new = read_rows(args.data, args.target, args.rows)
    console.print(f"{len(X):,} rows, {X.shape[1]} columns")
    fitted_teachers = {
        name: teacher.fit(X, y) for name, teacher in teachers(args.trees, args.rounds).items()
    }
    forest = next(iter(fitted_teachers.values()))
    n_nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
    console.print(f"the forest has {n_nodes:,} nodes\n")
    fitted_students = {
        name: DistilledClassifier(forest, student, random_state=0).fit(X, y).student_
        for name, student in students().items()
    }
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        timed = measure_rows(fitted_teachers, fitted_students, X_new, folder)
        measure_batches(fitted_teachers, fitted_students, X_new, folder)
        used = measure_cold_start(fitted_students["MLP 64-64"], X_new[0].tolist(), folder)
    if args.json:
        rows = {
            f"{name}|{way}": {"p50": np.median(warm), "after_other_work": np.median(cold)}
            for (name, way), (warm, cold) in timed.items()
        }
        found = {"n_nodes": n_nodes, "rows": rows, "new_process": used}
        args.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
