"""Time explanations and the whole report, and check that explanations add up.

    python benchmarks/report_speed.py
    python benchmarks/report_speed.py --data transactions.parquet      (rows in time order)
    python benchmarks/report_speed.py --before ../earlier --rows 20000 --columns 120

Explanations are timed on one thread with 30 columns and 100 background rows; the report with its
defaults on what the machine has. Without ``--data`` the report is on synthetic rows.

``--before`` compares with an earlier package in another folder, see ``fit_speed.py``: CPU seconds
of the parts of the report on one thread, in processes of their own that take turns. The models are
the same, fitted once with the earlier package.
"""

import argparse
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import numpy as np
import pandas as pd
from fit_speed import in_turn, run_with
from lightgbm import LGBMClassifier
from rich.console import Console
from rich.table import Table
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    TreeStudentClassifier,
    attribution_report,
    distillation_report,
    explain,
    fidelity_report,
)

console = Console(width=120, highlight=False)


def models():
    """Return unfitted models by name."""
    forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=0)
    return {
        "tree student, 16 leaves": TreeStudentClassifier(),
        "additive student": LinearStudentClassifier(),
        "MLP student, 128-128": MLPStudentClassifier(max_epochs=3, random_state=0),
        "forest, 100 trees": forest,
        "LightGBM, 100 x 31 leaves": LGBMClassifier(verbose=-1, random_state=0),
        "XGBoost, 100 x depth 6": XGBClassifier(random_state=0, n_jobs=1),
        "HistGradientBoosting": HistGradientBoostingClassifier(random_state=0),
        "pipeline of scaler and forest": make_pipeline(StandardScaler(), forest),
        "vote of forest and regression": VotingClassifier(
            [("forest", forest), ("regression", LogisticRegression())], voting="soft"
        ),
    }


def explanations(n_explained):
    """Time explanations, and check that they add up."""
    X, y = make_classification(20_000, 30, n_informative=12, flip_y=0.05, random_state=0)
    table = Table(title="Explanations: 30 columns, 100 background rows, one thread", box=None)
    for name in ("model", "output", "ms per row", "largest error of the sum", "method"):
        table.add_column(name, justify="right" if name.startswith(("ms", "larg")) else "left")
    explain(LogisticRegression().fit(X[:100], y[:100]), X[:1], X[:9])  # imports shap
    for name, model in models().items():
        model.fit(X[:15_000], y[:15_000])
        for output in ("probability", "log_odds"):
            start = time.perf_counter()
            found = explain(
                model, X[15_000 : 15_000 + n_explained], X[:100], output=output, random_state=0
            )
            seconds = time.perf_counter() - start
            proba = model.predict_proba(X[15_000 : 15_000 + n_explained])[:, 1]
            expected = proba if output == "probability" else np.log(proba / (1 - proba))
            error = np.abs(found.values[:, :, 1].sum(axis=1) + found.base_values[:, 1] - expected)
            table.add_row(
                name,
                output,
                f"{1000 * seconds / n_explained:.2f}",
                f"{error[np.isfinite(expected)].max():.1e}",
                found.method,
            )
    console.print(table)


def make_models(args):
    """Return a fitted distiller, the same student on hard labels, and the rows to report on."""
    if args.data is None:
        X, y = make_classification(
            args.rows, args.columns, n_informative=12, weights=[0.99], flip_y=0.005, random_state=0
        )
        X = pd.DataFrame(X, columns=[f"V{j}" for j in range(args.columns)])
    else:
        X = pd.read_parquet(args.data)
        y = X.pop(args.target).to_numpy()
    n_train = int(0.7 * len(X))
    X_train, y_train, X_test, y_test = X[:n_train], y[:n_train], X[n_train:], y[n_train:]
    forest = RandomForestClassifier(args.trees, n_jobs=-1, random_state=0).fit(X_train, y_train)
    model = DistilledClassifier(forest, MLPStudentClassifier(), random_state=0)
    model.fit(X_train, y_train)
    baseline = clone(model.student).set_params(random_state=0).fit(X_train, y_train)
    return model, baseline, X_test, y_test


def parts_of_report(model, baseline, X, y, html):
    """Return what to time, by name."""
    return {
        "explain, 100 rows": lambda: explain(model, X[:100], X[100:200], random_state=0),
        "fidelity_report": lambda: fidelity_report(model, X, y, baseline=baseline, random_state=0),
        "attribution_report": lambda: attribution_report(model, X, random_state=0),
        "distillation_report and to_html": lambda: distillation_report(
            model, X, y, baseline=baseline, random_state=0
        ).to_html(html),
    }


def whole_report(args):
    """Time the report with its defaults, and its parts."""
    model, baseline, X, y = make_models(args)
    console.print(f"\n{len(X):,} test rows, {X.shape[1]} columns, forest of {args.trees} trees")
    for name, part in parts_of_report(model, baseline, X, y, args.html).items():
        start = time.perf_counter()
        part()
        console.print(f"{time.perf_counter() - start:7.1f} s  {name}")
    console.print(f"{args.html.stat().st_size / 1e6:7.2f} MB {args.html}", markup=False)


def time_part(args):
    """Print the CPU seconds of one part, once what it imports was imported."""
    model, baseline, X, y = joblib.load(args.models)
    model.teacher_.n_jobs = 1
    parts = parts_of_report(model, baseline, X, y, args.html)
    parts["explain, 100 rows"]()
    start = time.process_time()
    parts[args.part]()
    print(time.process_time() - start)


def compare(args):
    """Time the parts of the report by an earlier package and by this one, in turn."""
    here = Path(__file__).parent.parent
    with TemporaryDirectory() as folder:
        models, html = Path(folder) / "models.joblib", Path(folder) / "report.html"
        sizes = ["--rows", args.rows, "--columns", args.columns, "--trees", args.trees]
        data = [] if args.data is None else ["--data", args.data.resolve(), "--target", args.target]
        run_with(args.before, __file__, map(str, ["--models", models, *sizes, *data]))
        print("CPU seconds, median of rounds")
        for name in parts_of_report(None, None, None, None, None):
            asked = list(map(str, ["--models", models, "--html", html, "--part", name]))
            then, now, ratio = in_turn(
                lambda asked=asked: float(run_with(args.before, __file__, asked)),
                lambda asked=asked: float(run_with(here, __file__, asked)),
                args.rounds,
            )
            print(f"  before {then:7.2f}  now {now:7.2f}  now / before {ratio:.2f}  {name}")


def main():
    parser = argparse.ArgumentParser(description="Time explanations and the report.")
    parser.add_argument("--data", type=Path, help="parquet file, rows in time order")
    parser.add_argument("--target", default="target", help="its column with two classes")
    parser.add_argument("--rows", type=int, default=200_000, help="synthetic rows, without --data")
    parser.add_argument("--columns", type=int, default=30, help="their columns")
    parser.add_argument("--trees", type=int, default=500, help="trees of the forest")
    parser.add_argument("--explained", type=int, default=100, help="rows to explain")
    parser.add_argument("--html", type=Path, default=Path("report_speed.html"))
    parser.add_argument("--before", type=Path, help="folder with an earlier package")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", type=Path, help="only write fitted models to this file")
    parser.add_argument("--part", help="only time this part, with the models of that file")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.before is not None:
        compare(args)
    elif args.part is not None:
        time_part(args)
    elif args.models is not None:
        joblib.dump(make_models(args), args.models)
    else:
        with threadpool_limits(1):
            explanations(args.explained)
        whole_report(args)


if __name__ == "__main__":
    main()
