"""From transactions to a student in production, as a fraud desk would do it.

    python examples/fraud_workflow.py
    python examples/fraud_workflow.py --data creditcard.parquet --target target

Without ``--data`` it simulates card transactions. The rows are in time order, and labels arrive
late, so time is cut into four: rows to learn from, rows to set bands and the monitor's reference
on, rows whose labels have not arrived, and live rows. In that order it

1. chooses a student of a forest with class weights within a budget, and distils it, corrected for
   the weights, with the rows that have no labels yet,
2. sets the bands of approving, reviewing and declining by what decisions cost,
3. writes the report, and the student as a file and as ONNX,
4. scores the live rows a period at a time, names the reasons of alerts, and has a monitor compare
   student and teacher; when it says so, the student is distilled again on what has come in, without
   labels,
5. counts what it was worth when the labels have arrived.

In the simulation the cards of a partner bank join after two live weeks: many small payments.
Needs the ``examples`` extra.
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
LEARN_UNTIL, SET_UNTIL, WAIT_UNTIL = 0.5, 0.6, 0.7

#: In the simulation the partner's cards join on this day: mean amounts, and payments a day.
PARTNER_FROM, PARTNER_AMOUNTS, PARTNER_PER_DAY = 63, (1, 15), (2, 8)


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


def read_rows(args):
    """Simulate transactions, or read them from a file."""
    if args.data is None:
        own = simulated(args.seed)
        partner = simulated(args.seed + 1, PARTNER_AMOUNTS, PARTNER_PER_DAY)
        return own.joined(partner.take(partner.period >= PARTNER_FROM))
    X = pd.read_parquet(args.data)
    missing = {args.target, args.time, args.amount} - set(X.columns)
    if missing:
        raise SystemExit(f"{args.data} has no column {', '.join(sorted(missing))}; see --help.")
    y = X.pop(args.target).to_numpy().astype(int)
    period = (X.pop(args.time) // args.period).to_numpy().astype(int)
    return Rows(X, y, period, X[args.amount].to_numpy(np.float64))


def simulated(seed, *habits):
    """Simulate transactions; the period is the day."""
    X, fraud, transactions = simulate(seed, *habits)
    day, amount = (transactions[name].to_numpy() for name in ("day", "amount"))
    return Rows(X, fraud.astype(int), day, amount)


def split_by_time(rows):
    """Cut rows into four, at the ends of periods."""
    last = rows.period.max()
    ends = [share * last for share in (LEARN_UNTIL, SET_UNTIL, WAIT_UNTIL)]
    part = np.searchsorted(ends, rows.period, side="left")
    return [rows.take(part == i) for i in range(4)]


@contextmanager
def step(title):
    """Print a title, and how long the step took."""
    print(f"\n{title}\n{'─' * len(title)}")
    start = time.perf_counter()
    yield
    print(f"({time.perf_counter() - start:.0f} s)")


def choose_student(learn, waiting, seed):
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
        cv=2,
        temperatures=[1.0],
        alphas=[0.8],
        references=False,
        # The class weights of the forest make frauds look frequent.
        distiller_params={"prior_correction": "auto", "augmentation": Munge(3)},
        random_state=seed,
    )
    return search.fit(learn.X, learn.y, X_unlabeled=waiting.X)


def redistill(distiller, learn, fresh):
    """Distil the same teacher again, with rows that have come in since; returns another model."""
    again = clone(distiller).set_params(teacher=distiller.teacher_)
    return again.fit(learn.X, learn.y, X_unlabeled=tuple(rows.X for rows in fresh))


def new_monitor(distiller, reference, path):
    """Make a monitor that is kept on disk: FidelityMonitor.load goes on with it after a restart."""
    monitor = FidelityMonitor.from_estimator(distiller, reference.X, teacher_share=0.2, window=3)
    path.unlink(missing_ok=True)
    return monitor.autosave(path)


def serve(distiller, bands, learn, setting, waiting, live, folder):
    """Score live rows a period at a time; distil again when the monitor says so.

    Returns
    -------
    scores : ndarray of shape (n_live,)
        As they were when each row came in.
    monitor : FidelityMonitor
        The last one.
    """
    scorer = lean_scorer(distiller)
    monitor = new_monitor(distiller, setting, folder / "monitor.json")
    scores, seen = np.empty(len(live)), []
    for period in np.unique(live.period):
        is_now = live.period == period
        rows = live.take(is_now)
        scores[is_now] = scorer.batch(rows.X)[:, 1]
        if not seen:
            print_reasons(distiller, bands, rows, scores[is_now], learn)
        of_teacher = np.full(len(rows), np.nan)
        asked = monitor.sample(rows.X)
        of_teacher[asked] = distiller.teacher_proba(rows.X.loc[asked])[:, 1]
        monitor.update(rows.X, scores[is_now], of_teacher, at=int(period))
        seen.append(rows)
        report = monitor.report()
        if report.should_redistill and period < live.period.max():
            print(f"\nAfter period {period} the monitor says:\n{report}\n")
            MonitorDisplay.from_monitor(monitor).figure_.savefig(folder / "monitor.png", dpi=120)
            distiller = redistill(distiller, learn, [waiting, *seen])
            scorer = lean_scorer(distiller)
            monitor.close()
            recent = seen[-1]
            for rows in seen[-3:-1]:
                recent = rows.joined(recent)
            monitor = new_monitor(distiller, recent, folder / "monitor.json")
    return scores, monitor


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
    rows = read_rows(args)
    learn, setting, waiting, live = split_by_time(rows)
    for name, part in [("learn", learn), ("set", setting), ("wait", waiting), ("live", live)]:
        periods = f"periods {part.period.min()} to {part.period.max()}"
        print(f"{name:<6}{len(part):>8,} rows, {periods}, {part.y.mean():.2%} fraud")
    with step(f"1. A student within {BUDGET}"):
        search = choose_student(learn, waiting, args.seed)
        print(search.pareto_front_)
        distiller = search.best_estimator_
        print(f"\nChosen: {search.best_params_['student']}, {search.best_costs_}")
    with step("2. Bands"):
        bands = DecisionBands.from_estimator(
            distiller,
            setting.X,
            setting.y,
            costs=COSTS,
            review_capacity=args.reviews,
            amounts=setting.amount,
            days=setting.period,
        )
        print(COSTS.text())
        print(bands.text())
    with step("3. Report and files"):
        report = DistillationReport(
            distiller,
            setting.X,
            setting.y,
            metric="average_precision",
            margin=0.03,
            days=setting.period,
            amounts=setting.amount,
            bands=bands,
            title="Fraud detector",
            random_state=args.seed,
        )
        report.to_html(args.out / "report.html")
        print(report.fidelity.verdict)
        save(distiller, args.out / "student.skd")
        to_onnx(distiller, args.out / "student.onnx", setting.X)
    with step("4. Live"):
        scores, monitor = serve(distiller, bands, learn, setting, waiting, live, args.out)
        print(f"At the end the monitor says:\n{monitor.report()}")
        monitor.close()
    with step("5. When the labels have arrived"):
        of_teacher = distiller.teacher_proba(live.X)[:, 1]
        never = distiller.predict_proba(live.X)[:, 1]
        for name, found in [
            ("teacher", of_teacher),
            ("student", scores),
            ("student, never distilled again", never),
        ]:
            print(f"{name:<32} {worth(bands, live, found)}")
    print(f"\nReport, student, monitor: {', '.join(sorted(p.name for p in args.out.iterdir()))}")


def worth(bands, rows, scores):
    """Say how well scores rank, and what their decisions cost per period."""
    decisions = bands.decide(scores, amounts=rows.amount, days=rows.period)
    cost = bands.costs.of_decisions(rows.y, decisions, amounts=rows.amount).sum()
    per_period = cost / len(np.unique(rows.period))
    return f"PR-AUC {average_precision_score(rows.y, scores):.3f}, {per_period:,.0f} a period"


if __name__ == "__main__":
    main()
