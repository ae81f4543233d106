"""Time explanations and the whole report, and check that explanations add up.

    python benchmarks/report_speed.py
    python benchmarks/report_speed.py --data transactions.parquet      (rows in time order)

Explanations are timed on one thread with 30 columns and 100 background rows; the report with its
defaults on what the machine has. Without ``--data`` the report is on synthetic rows.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
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


def whole_report(path, target, n_trees, html):
    """Time the report with its defaults, and its parts."""
    if path is None:
        X, y = make_classification(
            200_000, 30, n_informative=12, weights=[0.99], flip_y=0.005, random_state=0
        )
        X = pd.DataFrame(X, columns=[f"V{j}" for j in range(30)])
    else:
        X = pd.read_parquet(path)
        y = X.pop(target).to_numpy()
    n_train = int(0.7 * len(X))
    X_train, y_train, X_test, y_test = X[:n_train], y[:n_train], X[n_train:], y[n_train:]
    forest = RandomForestClassifier(n_trees, n_jobs=-1, random_state=0).fit(X_train, y_train)
    model = DistilledClassifier(forest, MLPStudentClassifier(), random_state=0)
    model.fit(X_train, y_train)
    baseline = clone(model.student).set_params(random_state=0).fit(X_train, y_train)
    console.print(f"\n{len(X_test):,} test rows, {X.shape[1]} columns, forest of {n_trees} trees")
    parts = {
        "fidelity_report": lambda: fidelity_report(
            model, X_test, y_test, baseline=baseline, random_state=0
        ),
        "attribution_report": lambda: attribution_report(model, X_test, random_state=0),
        "distillation_report and to_html": lambda: distillation_report(
            model, X_test, y_test, baseline=baseline, random_state=0
        ).to_html(html),
    }
    for name, part in parts.items():
        start = time.perf_counter()
        part()
        console.print(f"{time.perf_counter() - start:7.1f} s  {name}")
    console.print(f"{html.stat().st_size / 1e6:7.2f} MB {html}", markup=False)


def main():
    parser = argparse.ArgumentParser(description="Time explanations and the report.")
    parser.add_argument("--data", type=Path, help="parquet file, rows in time order")
    parser.add_argument("--target", default="target", help="its column with two classes")
    parser.add_argument("--trees", type=int, default=500, help="trees of the forest")
    parser.add_argument("--explained", type=int, default=100, help="rows to explain")
    parser.add_argument("--html", type=Path, default=Path("report_speed.html"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        explanations(args.explained)
    whole_report(args.data, args.target, args.trees, args.html)


if __name__ == "__main__":
    main()
