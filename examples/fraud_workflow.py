"""From transactions to a student in production, as a fraud desk would do it.

    python examples/fraud_workflow.py
    python examples/fraud_workflow.py --data creditcard.parquet --target target

Without ``--data`` it simulates card transactions. The rows are in time order, and labels arrive
late, so time is cut into four: rows to learn from, rows to set bands and the monitor's reference
on, rows whose labels have not arrived, and live rows. In that order it

1. chooses a student of a forest with class weights within a budget, distils it, corrected for the
   weights, with the rows that have no labels yet, and recalibrates it on the last labelled ones,
2. sets the bands of approving, reviewing and declining by what decisions cost,
3. writes the report, and the student as a file and as ONNX,
4. scores the live rows a period at a time, names the reasons of alerts, and has a monitor compare
   student and teacher; when it says so, the student is distilled again on what has come in, without
   labels,
5. counts what it was worth when the labels have arrived.

In the simulation the cards of a partner bank join, whose customers pay more often. Needs the
``examples`` extra.
"""

import argparse
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits
from transactions import simulate

from skdistill import (
    Budget,
    DecisionBands,
    DecisionCosts,
    DistillationReport,
    FidelityMonitor,
    LinearStudentClassifier,
    MLPStudentClassifier,
    MonitorDisplay,
    Munge,
    StudentSearchCV,
    TreeStudentClassifier,
    lean_scorer,
    reason_codes,
    save,
    to_onnx,
)

#: What a checkout leaves for a score, and what an app can carry.
BUDGET = Budget(latency_us=20, size_kb=100)

#: A missed fraud loses the amount and a fee, a declined customer calls, a review takes minutes.
COSTS = DecisionCosts(missed_fraud=15, missed_fraud_per_amount=1, declined_legit=25, review=4)

#: Shares of the rows, in time order, that end learning, setting the bands, and waiting for labels.
LEARN_UNTIL, SET_UNTIL, WAIT_UNTIL = 0.4, 0.5, 0.6

#: In the simulation the partner's cards join on this day: customers who pay more often.
PARTNER_FROM = 60
PARTNER = {"n_customers": 250, "per_day": (8, 16)}


@dataclass(frozen=True)
class Rows:
    """Rows in time order.

    Attributes
    ----------
    X : data frame of shape (n_samples, n_features)
        Columns.
    y : ndarray of shape (n_samples,)
        1 for fraud.
    period : ndarray of shape (n_samples,)
        The day, or hour, of each row.
    amount : ndarray of shape (n_samples,)
        What was to be paid.
    """

    X: pd.DataFrame
    y: np.ndarray
    period: np.ndarray
    amount: np.ndarray

    def __len__(self):
        return len(self.y)

    def take(self, rows):
        """Return some of the rows, given by a mask or numbers."""
        return Rows(self.X.loc[rows], self.y[rows], self.period[rows], self.amount[rows])

    def joined(self, other):
        """Return these rows and others, in the order of periods."""
        period = np.concatenate([self.period, other.period])
        order = np.argsort(period, kind="stable")
        return Rows(
            pd.concat([self.X, other.X]).iloc[order].reset_index(drop=True),
            np.concatenate([self.y, other.y])[order],
            period[order],
            np.concatenate([self.amount, other.amount])[order],
        )


@dataclass(frozen=True)
class Parts:
    """Rows by what they are for: to learn from, to set bands by, without labels yet, live."""

    learn: Rows
    set_by: Rows
    waiting: Rows
    live: Rows


def read_rows(args):
    """Simulate transactions, or read them from a file."""
    if args.data is None:
        own = simulated(args.seed)
        partner = simulated(args.seed + 1, **PARTNER)
        return own.joined(partner.take(partner.period >= PARTNER_FROM))
    X = pd.read_parquet(args.data)
    missing = {args.target, args.time, args.amount} - set(X.columns)
    if missing:
        raise SystemExit(f"{args.data} has no column {', '.join(sorted(missing))}; see --help.")
    y = X.pop(args.target).to_numpy().astype(int)
    period = (X.pop(args.time) // args.period).to_numpy().astype(int)
    return Rows(X, y, period, X[args.amount].to_numpy(np.float64))


def simulated(seed, **customers):
    """Simulate transactions; the period is the day."""
    X, fraud, transactions = simulate(seed, **customers)
    day, amount = (transactions[name].to_numpy() for name in ("day", "amount"))
    return Rows(X, fraud.astype(int), day, amount)


def split_by_time(rows):
    """Cut rows into four, at the ends of periods."""
    ends = [rows.period[int(share * len(rows))] for share in (LEARN_UNTIL, SET_UNTIL, WAIT_UNTIL)]
    part = np.searchsorted(ends, rows.period, side="left")
    return Parts(*(rows.take(part == i) for i in range(4)))


@contextmanager
def step(title):
    """Print a title, and how long the step took."""
    print(f"\n{title}\n{'─' * len(title)}")
    start = time.perf_counter()
    yield
    print(f"({time.perf_counter() - start:.0f} s)")


def choose_student(parts, seed):
    """Choose a student within the budget, and distil it."""
    forest = RandomForestClassifier(
        200,
        min_samples_leaf=5,
        max_samples=0.5,
        class_weight="balanced_subsample",
        n_jobs=-1,
        random_state=seed,
    )
    search = StudentSearchCV(
        forest,
        [
            (TreeStudentClassifier(), {"max_leaf_nodes": [8, 32]}),
            LinearStudentClassifier(),
            MLPStudentClassifier((32, 32)),
        ],
        budget=BUDGET,
        scoring="average_precision",
        cv=2,
        temperatures=[1.0],
        alphas=[0.8],
        references=False,
        distiller_params={
            "prior_correction": "auto",  # the class weights of the forest make frauds look frequent
            "label_correction": False,  # the student is to follow its teacher where no labels are
            "augmentation": Munge(3),
        },
        random_state=seed,
    )
    return search.fit(parts.learn.X, parts.learn.y, X_unlabeled=parts.waiting.X)


def redistill(distiller, parts, seen):
    """Distil the same teacher again, with rows that have come in since; returns another model."""
    again = clone(distiller).set_params(teacher=distiller.teacher_)
    pool = tuple(rows.X for rows in (parts.waiting, *seen))
    again.fit(parts.learn.X, parts.learn.y, X_unlabeled=pool)
    return again.recalibrate(parts.set_by.X, parts.set_by.y)


def new_monitor(distiller, reference, path):
    """Make a monitor that is kept on disk: FidelityMonitor.load goes on with it after a restart."""
    monitor = FidelityMonitor.from_estimator(distiller, reference, teacher_share=0.2)
    path.unlink(missing_ok=True)
    return monitor.autosave(path)


def serve(distiller, bands, parts, folder):
    """Score live rows a period at a time; distil again when the monitor says so.

    Returns
    -------
    scores : ndarray of shape (n_live,)
        As they were when each row came in.
    """
    live = parts.live
    scorer = lean_scorer(distiller)
    monitor = new_monitor(distiller, parts.set_by.X, folder / "monitor.json")
    scores, seen = np.empty(len(live)), []
    for period in np.unique(live.period):
        is_now = live.period == period
        rows = live.take(is_now)
        scores[is_now] = scorer.batch(rows.X)[:, 1]
        if not seen:
            print_reasons(distiller, bands, rows, scores[is_now], parts.learn)
        asked = monitor.sample(rows.X)
        of_teacher = np.full(len(rows), np.nan)
        of_teacher[asked] = distiller.teacher_proba(rows.X.loc[asked])[:, 1]
        monitor.update(rows.X, scores[is_now], of_teacher, at=int(period))
        seen.append(rows)
        report = monitor.report()
        if report.should_redistill:
            print(f"\nAfter period {period} the monitor says:\n{report}\n")
            MonitorDisplay.from_monitor(monitor).figure_.savefig(folder / "alert.png", dpi=120)
            monitor.close()
            distiller = redistill(distiller, parts, seen)
            scorer = lean_scorer(distiller)
            recent = pd.concat([each.X for each in seen[-monitor.window :]])
            monitor = new_monitor(distiller, recent, folder / "monitor.json")
            print(f"Distilled again on {sum(map(len, seen)):,} live rows without labels.")
    if monitor.report().n_rows:
        print(f"\nAt the end the monitor says:\n{monitor.report()}")
        MonitorDisplay.from_monitor(monitor).figure_.savefig(folder / "monitor.png", dpi=120)
    monitor.close()
    return scores


def print_reasons(distiller, bands, rows, scores, learn):
    """Say what is done about the first rows, and why the highest scores are high."""
    decisions = bands.decide(scores, amounts=rows.amount, days=rows.period)
    counts = dict(zip(*np.unique(decisions, return_counts=True), strict=True))
    print(f"First period, {len(rows):,} rows:", {str(k): int(n) for k, n in counts.items()})
    highest = np.argsort(-scores)[:2]
    codes = reason_codes(distiller, rows.X.iloc[highest], learn.X.iloc[::50], top=3)
    for row, reasons in zip(highest, codes, strict=True):
        words = ", ".join(f"{r.column} = {r.value:g} ({r.contribution:+.2f})" for r in reasons)
        print(f"  {decisions[row]}, score {scores[row]:.3f}: {words}")


def main():
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="parquet file, rows in time order")
    parser.add_argument("--target", default="target", help="its column with 1 for fraud, else 0")
    parser.add_argument("--time", default="Time", help="its column with seconds")
    parser.add_argument("--amount", default="Amount", help="its column with amounts")
    parser.add_argument("--period", type=float, default=3600, help="seconds in a period")
    parser.add_argument("--reviews", type=int, default=20, help="reviews in a period")
    parser.add_argument("--out", type=Path, default=Path("fraud_workflow"), help="folder")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with threadpool_limits(1):
        run(args)


def run(args):
    """Do everything, in the order of time."""
    parts = split_by_time(read_rows(args))
    for name, rows in vars(parts).items():
        periods = f"periods {rows.period.min()} to {rows.period.max()}"
        print(f"{name:<8}{len(rows):>8,} rows, {periods}, {rows.y.mean():.2%} fraud")
    with step(f"1. A student within {BUDGET}"):
        distiller = best_student(parts, args.seed)
    set_by = parts.set_by
    by_time = {"amounts": set_by.amount, "days": set_by.period}
    with step("2. Bands"):
        bands = DecisionBands(COSTS, review_capacity=args.reviews)
        bands.fit(distiller.predict_proba(set_by.X)[:, 1], set_by.y, **by_time)
        print(COSTS.text())
        print(bands.text())
    with step("3. Report and files"):
        report = DistillationReport(
            distiller,
            set_by.X,
            set_by.y,
            baseline=clone(distiller.student).fit(parts.learn.X, parts.learn.y),
            metric="average_precision",
            margin=0.03,
            bands=bands,
            **by_time,
            title="Fraud detector",
            random_state=args.seed,
        )
        report.to_html(args.out / "report.html")
        print("\n".join(report.fidelity.verdict.sentences))
        save(distiller, args.out / "student.skd")
        to_onnx(distiller, args.out / "student.onnx", set_by.X)
    with step("4. Live"):
        scores = serve(distiller, bands, parts, args.out)
    with step("5. When the labels have arrived"):
        for name, found in {
            "teacher": distiller.teacher_proba(parts.live.X)[:, 1],
            "student": scores,
            "student, never distilled again": distiller.predict_proba(parts.live.X)[:, 1],
        }.items():
            print(f"{name:<32}{worth(bands, parts.live, found)}")
    print(f"\nIn {args.out}: {', '.join(sorted(path.name for path in args.out.iterdir()))}")


def best_student(parts, seed):
    """Choose and distil the student, and recalibrate it on the last rows with labels."""
    search = choose_student(parts, seed)
    print(search.pareto_front_)
    costs, distiller = search.best_costs_, search.best_estimator_
    print(
        f"\nChosen: {search.best_params_['student']}, 99 of 100 rows within "
        f"{costs.latency_p99_us:.1f} µs, a file of {costs.size_kb:.0f} kB."
    )
    distiller.recalibrate(parts.set_by.X, parts.set_by.y)
    print(f"Recalibrated: {distiller.recalibration_.in_words()}.")
    return distiller


def worth(bands, rows, scores):
    """Say how well scores rank, and what their decisions cost per period."""
    decisions = bands.decide(scores, amounts=rows.amount, days=rows.period)
    cost = bands.costs.of_decisions(rows.y, decisions, amounts=rows.amount).sum()
    per_period = cost / len(np.unique(rows.period))
    return f"PR-AUC {average_precision_score(rows.y, scores):.3f}, {per_period:,.0f} a period"


if __name__ == "__main__":
    main()
