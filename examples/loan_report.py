"""Report on a distilled loan model: whether it deserves its teacher's trust, and its reasons.

    python examples/loan_report.py
    python examples/loan_report.py --data loans.parquet --target defaulted --groups sex age_band

Without ``--data`` it simulates loan applications, in which one group earns less and so is refused
more often. It distils a random forest into an additive model, writes the report that a risk
committee reads, names the reasons for the riskiest application, and stops with exit code 1 if the
student is not good enough to go to production. Needs the ``examples`` extra.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from skdistill import (
    DistillationReport,
    DistilledClassifier,
    LinearStudentClassifier,
    RequirementNotMetError,
    reason_codes,
)


def simulate(n_samples, seed):
    """Return loan applications, 1 for each that was not paid back, and groups of applicants."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["female", "male"], n_samples)
    age = rng.integers(20, 75, n_samples)
    income = rng.lognormal(7.8 + 0.15 * (sex == "male") + 0.004 * (age - 40), 0.45, n_samples)
    job = rng.choice(
        ["salaried", "self-employed", "pensioner", "student"], n_samples, p=[0.6, 0.2, 0.15, 0.05]
    )
    amount = rng.lognormal(8.8, 0.8, n_samples)
    X = pd.DataFrame(
        {
            "age": age,
            "income": income.round(),
            "amount": amount.round(-2),
            "job": job,
            "months_with_bank": rng.integers(0, 240, n_samples),
            "late_payments": rng.poisson(0.6, n_samples),
            "savings": np.where(
                rng.random(n_samples) < 0.3, np.nan, rng.exponential(4000, n_samples).round()
            ),
        }
    )
    burden = np.log(amount / income)
    log_odds = -3.4 + 1.1 * burden + 0.7 * np.minimum(X["late_payments"], 4)
    log_odds += 0.8 * (job == "self-employed") * (burden > 1) - 0.01 * np.minimum(
        X["months_with_bank"], 100
    )
    log_odds -= 0.5 * (X["savings"].fillna(0) > 3000)
    defaulted = rng.random(n_samples) < 1 / (1 + np.exp(-log_odds))
    groups = pd.DataFrame(
        {
            "sex": sex,
            "age band": pd.cut(age, [0, 30, 60, 99], labels=["under 31", "31 to 60", "over 60"]),
        }
    )
    return X, defaulted.astype(int), groups


def read_table(path, target, groups):
    """Return columns, classes and groups of a parquet file."""
    X = pd.read_parquet(path)
    y = X.pop(target).to_numpy()
    return X, y, X[groups] if groups else None


def make_teacher(seed):
    """Return a forest behind an encoder of what is no number."""
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1
    )
    words = make_column_selector(dtype_exclude="number")
    columns = make_column_transformer((encoder, words), remainder="passthrough")
    forest = RandomForestClassifier(300, min_samples_leaf=5, n_jobs=-1, random_state=seed)
    return make_pipeline(columns, forest)


def main():
    """Run the example."""
    parser = argparse.ArgumentParser(description="Report on a distilled loan model.")
    parser.add_argument("--data", type=Path, help="parquet file")
    parser.add_argument("--target", default="target", help="its column with two classes")
    parser.add_argument("--groups", nargs="*", default=[], help="its columns to compare groups by")
    parser.add_argument("--report", type=Path, default=Path("loan_report.html"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    if args.data:
        X, y, groups = read_table(args.data, args.target, args.groups)
    else:
        X, y, groups = simulate(12_000, args.seed)
    train, test = train_test_split(np.arange(len(X)), random_state=args.seed, stratify=y)
    X_train, y_train, X_test, y_test = X.iloc[train], y[train], X.iloc[test], y[test]

    model = DistilledClassifier(
        make_teacher(args.seed), LinearStudentClassifier(), random_state=args.seed
    )
    model.fit(X_train, y_train)
    report = DistillationReport(
        model,
        X_test,
        y_test,
        baseline=clone(model.student).fit(X_train, y_train),
        groups=None if groups is None else groups.iloc[test],
        thresholds=(0.2, 0.5),  # the first one decides who is refused
        title="Loan default model",
        random_state=args.seed,
        verbose=1,
    )
    report.to_html(args.report)
    print(report)
    print(f"\nWritten to {args.report}")

    riskiest = [int(np.argmax(model.predict_proba(X_test)[:, 1]))]
    print("\nWhat speaks against the riskiest application:")
    for reason in reason_codes(model, X_test.iloc[riskiest], X_train)[0]:
        print(f"  {reason.column} = {reason.value}: {reason.contribution:+.3f}")
    try:
        report.fidelity.require(non_inferior=True, agreement=0.9)
    except RequirementNotMetError as error:
        raise SystemExit(str(error)) from None
    print("\nGood enough for production.")


if __name__ == "__main__":
    main()
