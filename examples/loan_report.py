"""Report on a distilled loan model: whether it deserves its teacher's trust, and its reasons.

    python examples/loan_report.py
    python examples/loan_report.py --data loans.parquet --target defaulted --groups sex age_band

Without ``--data`` it simulates loan applications, in which one group earns less and so is refused
more often. It distils a random forest into an additive model, writes the report that a risk
committee reads, and names the reasons for the riskiest application. Then it checks requirements:
it ends with exit code 1 if the report's verdict is red, the student is not shown to be as good as
its teacher, or they agree on less than nine applications in ten. Bad options end it with exit code
2. Needs the ``examples`` extra.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from command_line import (
    as_zero_and_one,
    check_class_sizes,
    check_columns,
    check_file_to_write,
    make_parser,
    parse,
    read_table,
)
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    distillation_report,
    reason_codes,
)
from skdistill.exceptions import RequirementNotMetError


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


def read_loans(args):
    """Return columns of a parquet file, 1 for each loan that went bad, and groups of applicants."""
    X, y = read_table(args.data, args.target, args.rows, args.seed)
    check_columns(X, args.groups, "--groups", args.data)
    y = as_zero_and_one(y, args.positive, "a loan that went bad")
    check_class_sizes(y, 20, args.target)
    return X, y, X[args.groups] if args.groups else None


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
    parser = make_parser(__doc__)
    parser.add_argument("--positive", help="the class that is a bad loan, if it is not 1 or True")
    parser.add_argument(
        "--groups", nargs="*", default=[], help="columns to compare groups by; the model has them"
    )
    parser.add_argument(
        "--report", type=Path, default=Path("loan_report.html"), help="where to write the report"
    )
    args = parse(parser, "positive", "groups")
    check_file_to_write(args.report, "--report")
    X, y, groups = read_loans(args) if args.data else simulate(12_000, args.seed)
    train, test = train_test_split(np.arange(len(X)), random_state=args.seed, stratify=y)
    X_train, y_train, X_test, y_test = X.iloc[train], y[train], X.iloc[test], y[test]

    model = DistilledClassifier(
        make_teacher(args.seed), LinearStudentClassifier(), random_state=args.seed, verbose=1
    )
    model.fit(X_train, y_train)
    report = distillation_report(
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
    decide(report.fidelity)


def decide(fidelity):
    """Say whether the student may go to production; exit code 1 if not."""
    verdict = fidelity.verdict
    try:
        fidelity.require(status="amber", non_inferior=True, agreement=0.9)
    except RequirementNotMetError as error:
        raise SystemExit(f"\nNot good enough for production: {error}") from None
    print("\nGood enough for production.")
    if verdict.concerns:
        print("Concerns to accept before it is deployed:")
        print("\n".join(f"  {concern}" for concern in verdict.concerns))


if __name__ == "__main__":
    main()
