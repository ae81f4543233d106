"""From transactions to a student in production, as a fraud team would do it.

    python examples/fraud_workflow.py
    python examples/fraud_workflow.py --data creditcard.parquet --time Time --amount Amount

Without ``--data`` it simulates card transactions. The rows are in time order, and labels arrive
late, so time is cut into six: rows to learn from, to calibrate on, to set bands and the monitor's
reference on, to assess the student on, rows whose labels have not arrived, and live rows. In that
order it

1. chooses a student of a forest with class weights within a budget, and distils it, corrected for
   the weights, with the rows that have no labels yet,
2. calibrates student and teacher on rows that neither has learned from,
3. sets the bands of approving, reviewing and declining by what decisions cost, for both,
4. assesses the student on unseen rows, writes the report, and passes it if the verdict is not
   red and the student is shown to be as good as its teacher; else it ends with exit code 1, and
   the report is all that is written,
5. writes the student as a file and as ONNX,
6. scores the live rows a period at a time, names the reasons of alerts, and has a monitor compare
   student and teacher; when it says so, the student is distilled again on what has come in, without
   labels, and takes over if it passes the same requirements,
7. counts what it was worth when the labels have arrived.

In the simulation the cards of a partner bank join, whose customers pay more often. Bad options end
it with exit code 2. Needs the ``examples`` extra.
"""

import functools
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from command_line import (
    as_zero_and_one,
    bad_input,
    check_columns,
    make_folder,
    make_parser,
    parse,
    positive,
    positive_number,
    read_table,
)
from pandas.api.types import is_numeric_dtype
from scipy.special import logit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits
from transactions import simulate

from skdistill import (
    Budget,
    FidelityMonitor,
    LinearStudentClassifier,
    MLPStudentClassifier,
    MonitorDisplay,
    Munge,
    StudentSearchCV,
    TreeStudentClassifier,
    distillation_report,
    fidelity_report,
    lean_scorer,
    reason_codes,
    save,
    to_onnx,
)
from skdistill.decisions import DecisionBands, DecisionCosts
from skdistill.exceptions import RequirementNotMetError

#: What a checkout leaves for a score, and what an app can carry.
BUDGET = Budget(latency_us=20, size_kb=100)

#: A missed fraud loses the amount and a fee, a declined customer calls, a review takes minutes.
COSTS = DecisionCosts(missed_fraud=15, missed_fraud_per_amount=1, declined_legit=25, review=4)

#: Shares of the periods that end learning, calibrating, setting bands, judging, and waiting.
ENDS = (0.35, 0.45, 0.55, 0.7, 0.8)

#: Fewest frauds, and fewest honest rows, of a part whose labels are needed.
FEWEST = 10

#: Periods without a column of times.
EQUAL_PERIODS = 70

#: What a student must meet; "as good" is a PR-AUC that is lower by no more than the margin.
REQUIREMENTS = {"status": "amber", "non_inferior": True}
MARGIN = 0.03

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
        What was paid.
    """

    X: pd.DataFrame
    y: np.ndarray
    period: np.ndarray
    amount: np.ndarray

    def __len__(self):
        return len(self.y)

    @property
    def desk(self):
        """Days, cards and amounts of the payments."""
        return {"amounts": self.amount, "days": self.period}

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
    """Rows by what they are for; those of ``waiting`` and ``live`` have no labels yet."""

    learn: Rows
    calibrate: Rows
    set_by: Rows
    assess: Rows
    waiting: Rows
    live: Rows


@dataclass(frozen=True)
class Deployed:
    """What decides: the student, the teacher it is compared with, and bands for both.

    Attributes
    ----------
    distiller : DistilledClassifier
        Holds the student, recalibrated.
    teacher : CalibratedTeacher
        Its teacher, recalibrated on the same rows.
    bands, bands_of_teacher : DecisionBands
        Thresholds, set on the same rows.
    """

    distiller: object
    teacher: object
    bands: DecisionBands
    bands_of_teacher: DecisionBands


class CalibratedTeacher(ClassifierMixin, BaseEstimator):
    """A teacher whose log-odds are mapped as `recalibrate` maps the student's: by a line."""

    def __init__(self, distiller):
        self.distiller = distiller

    def fit(self, X, y):
        """Fit the line on rows that the teacher has not learned from."""
        self.classes_ = self.distiller.classes_
        self.line_ = LogisticRegression(C=np.inf).fit(self._log_odds(X), y)
        return self

    def predict_proba(self, X):
        """Return calibrated probabilities."""
        return self.line_.predict_proba(self._log_odds(X))

    def predict(self, X):
        """Return the more probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _log_odds(self, X):
        of_fraud = self.distiller.teacher_proba(X)[:, 1]
        return logit(np.clip(of_fraud, 1e-5, 1 - 1e-5))[:, None]


def read_rows(args):
    """Simulate transactions, or read them from a file."""
    if args.data is None:
        own = simulated(args.seed)
        partner = simulated(args.seed + 1, **PARTNER)
        return own.joined(partner.take(partner.period >= PARTNER_FROM))
    X, y = read_table(args.data, args.target, args.rows, args.seed, args.time)
    y = as_zero_and_one(y, args.positive, "fraud")
    check_columns(X, [args.amount], "--amount", args.data)
    amount = X[args.amount]
    if not is_numeric_dtype(amount) or amount.isna().any() or (amount < 0).any():
        raise bad_input(f"--amount: {args.amount!r} does not hold 0 or more in each row")
    order, period = periods_of(X, args)
    rows = Rows(X.drop(columns=args.time or []), y, period, amount.to_numpy(np.float64))
    return Rows(rows.X.iloc[order].reset_index(drop=True), y[order], period, rows.amount[order])


def simulated(seed, **customers):
    """Simulate transactions; the period is the day."""
    X, fraud, transactions = simulate(seed, **customers)
    day, amount = (transactions[name].to_numpy() for name in ("day", "amount"))
    return Rows(X, fraud.astype(int), day, amount)


def periods_of(X, args):
    """Return the order of the rows in time, and the period of each in that order."""
    if args.time is None:
        print(f"No --time: the rows are taken to be in time order, in {EQUAL_PERIODS} periods.")
        return np.arange(len(X)), np.arange(len(X)) * EQUAL_PERIODS // len(X)
    seconds = X[args.time]
    if not is_numeric_dtype(seconds) or seconds.isna().any():
        raise bad_input(f"--time: {args.time!r} does not hold seconds or dates in each row")
    order = np.argsort(seconds.to_numpy(), kind="stable")
    return order, (seconds.iloc[order] // args.period).to_numpy().astype(int)


def split_by_time(rows):
    """Cut rows into six, at the ends of periods."""
    periods = np.unique(rows.period)
    starts = [periods[int(share * len(periods))] for share in ENDS]
    part = np.searchsorted(starts, rows.period, side="right")
    return Parts(*(rows.take(part == i) for i in range(len(ENDS) + 1)))


def check_parts(parts, reviews):
    """Check before long work that every part is large enough for what it is for."""
    for name in ("learn", "calibrate", "set_by", "assess"):
        rows = getattr(parts, name)
        n_frauds = int(rows.y.sum())
        if min(n_frauds, len(rows) - n_frauds) < FEWEST:
            raise bad_input(
                f"--data: {n_frauds:,} of the {len(rows):,} rows in the part '{name}' are fraud; "
                f"at least {FEWEST}, and as many others, are needed"
            )
    busiest = min(
        np.unique(part.period, return_counts=True)[1].max() for part in (parts.set_by, parts.assess)
    )
    if reviews > busiest:
        raise bad_input(f"--reviews: {reviews} are more than the {busiest} rows of a busy period")


@contextmanager
def step(title):
    """Print a title, and how long the step took."""
    print(f"\n{title}\n{'─' * len(title)}", flush=True)
    start = time.perf_counter()
    yield
    print(f"({time.perf_counter() - start:.0f} s)", flush=True)


def make_teacher(seed):
    """Return a forest weighted to find frauds, behind an encoder of what is no number."""
    forest = RandomForestClassifier(
        200,
        min_samples_leaf=5,
        max_samples=0.5,
        class_weight="balanced_subsample",
        n_jobs=-1,
        random_state=seed,
    )
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1
    )
    words = make_column_selector(dtype_exclude="number")
    return make_pipeline(make_column_transformer((encoder, words), remainder="passthrough"), forest)


def choose_student(parts, seed):
    """Choose a student within the budget, and distil it."""
    search = StudentSearchCV(
        make_teacher(seed),
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
        verbose=1,
    )
    search.fit(parts.learn.X, parts.learn.y, X_unlabeled=parts.waiting.X)
    print(search.pareto_front_)
    costs = search.best_costs_
    print(
        f"\nChosen: {search.best_params_['student']}, 99 of 100 rows within "
        f"{costs.latency_p99_us:.1f} µs, a file of {costs.size_kb:.0f} kB."
    )
    return search.best_estimator_


def calibrate(distiller, rows):
    """Calibrate student and teacher on the same rows; return the teacher."""
    distiller.recalibrate(rows.X, rows.y)
    return CalibratedTeacher(distiller).fit(rows.X, rows.y)


def deploy(distiller, teacher, rows, reviews):
    """Set the bands of student and teacher on the same rows."""
    bands = []
    for model in (distiller, teacher):
        scores = model.predict_proba(rows.X)[:, 1]  # thresholds follow from them, without labels
        bands.append(DecisionBands(COSTS, review_capacity=reviews).fit(scores, **rows.desk))
    return Deployed(distiller, teacher, *bands)


def redistil(deployed, parts, pool, reviews):
    """Distil the same teacher again, with rows that have come in since."""
    before = deployed.distiller
    again = clone(before).set_params(teacher=before.teacher_)
    again.fit(parts.learn.X, parts.learn.y, X_unlabeled=(parts.waiting.X, *pool))
    return deploy(again, calibrate(again, parts.calibrate), parts.set_by, reviews)


def options_of_report(deployed, parts, seed):
    """Return the parameters of a report on the rows for the assessment."""
    distiller, learn = deployed.distiller, parts.learn
    return {
        "teacher": deployed.teacher,
        "baseline": clone(distiller.student).fit(learn.X, learn.y),
        "metric": "average_precision",
        "margin": MARGIN,
        "bands": deployed.bands,
        "random_state": seed,
        **parts.assess.desk,
    }


def ship(distiller, parts, folder):
    """Write the student."""
    save(distiller, folder / "student.skd")
    print(to_onnx(distiller, folder / "student.onnx", parts.set_by.X))


def new_monitor(deployed, reference, path, are_days):
    """Make a monitor that is kept on disk: FidelityMonitor.load goes on with it after a restart."""
    monitor = FidelityMonitor.from_estimator(
        deployed.distiller,
        reference.X,
        teacher=deployed.teacher,
        at=reference.period if are_days else None,  # Mondays are compared with Mondays
        teacher_share=0.2,
    )
    path.unlink(missing_ok=True)
    return monitor.autosave(path)


def serve(deployed, parts, args):
    """Score live rows a period at a time; distil again when the monitor says so.

    Returns
    -------
    scores : ndarray of shape (n_live,)
        As they were when each row came in.
    decisions : ndarray of shape (n_live,)
        What was decided then.
    """
    live, folder = parts.live, args.out
    scorer = lean_scorer(deployed.distiller)
    are_days = args.data is None
    monitor = new_monitor(deployed, parts.set_by, folder / "monitor.db", are_days)
    scores, decisions = np.empty(len(live)), np.empty(len(live), dtype=object)
    pool, kept, may_redistil = [], [], True
    for period in np.unique(live.period):
        is_now = live.period == period
        rows = live.take(is_now)
        scores[is_now] = scorer.batch(rows.X)[:, 1]
        decisions[is_now] = deployed.bands.decide(scores[is_now], **rows.desk)
        if not pool:
            print_reasons(deployed.distiller, rows, scores[is_now], decisions[is_now], parts.learn)
        asked = monitor.sample(rows.X)
        of_teacher = np.full(len(rows), np.nan)
        of_teacher[asked] = deployed.teacher.predict_proba(rows.X.loc[asked])[:, 1]
        monitor.update(rows.X, scores[is_now], of_teacher, at=int(period))
        pool.append(rows.X.iloc[::2])  # to distil on, should it come to that
        kept.append(rows.take(np.arange(len(rows)) % 2 == 1))  # what is normal then
        report = monitor.report()
        if report.should_redistill and may_redistil:
            print(f"\nAfter period {period} the monitor says:\n{report}\n")
            MonitorDisplay.from_monitor(monitor).figure_.savefig(folder / "alert.png", dpi=120)
            again = redistil(deployed, parts, pool, args.reviews)
            n_rows = sum(map(len, pool))
            may_redistil = passes(again, parts, args.seed)
            if may_redistil:
                deployed, scorer = again, lean_scorer(again.distiller)
                monitor.close()
                recent = functools.reduce(Rows.joined, kept[-monitor.window :])
                monitor = new_monitor(deployed, recent, folder / "monitor.db", are_days)
                print(f"Distilled again on {n_rows:,} live rows without labels; it takes over.")
                ship(deployed.distiller, parts, folder)
    if monitor.report().n_rows:
        print(f"\nAt the end the monitor says:\n{monitor.report()}")
        MonitorDisplay.from_monitor(monitor).figure_.savefig(folder / "monitor.png", dpi=120)
    monitor.close()
    return scores, decisions


def passes(deployed, parts, seed):
    """Tell whether a student that was distilled again meets the requirements."""
    options = options_of_report(deployed, parts, seed)
    report = fidelity_report(deployed.distiller, parts.assess.X, parts.assess.y, **options)
    print(report.verdict.headline)
    try:
        report.require(**REQUIREMENTS)
    except RequirementNotMetError as error:
        print(f"{error}\nThe student before it stays in use; look into it.")
        return False
    return True


def print_reasons(distiller, rows, scores, decisions, learn):
    """Say what is done about the first rows, and why the highest scores are high."""
    counts = dict(zip(*np.unique(decisions.astype(str), return_counts=True), strict=True))
    print(f"First period, {len(rows):,} rows:", {str(k): int(n) for k, n in counts.items()})
    highest = np.argsort(-scores)[:2]
    background = learn.X.iloc[:: max(1, len(learn) // 1000)]
    codes = reason_codes(distiller, rows.X.iloc[highest], background, top=3)
    for row, reasons in zip(highest, codes, strict=True):
        words = ", ".join(f"{r.column} = {plain(r.value)} ({r.contribution:+.2f})" for r in reasons)
        print(f"  {decisions[row]}, score {scores[row]:.3f}: {words}")


def plain(value):
    """Return a cell as text."""
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def worth(rows, scores, decisions):
    """Say how well scores rank, and what decisions cost per period."""
    cost = COSTS.of_decisions(rows.y, decisions, amounts=rows.amount).sum()
    per_period = cost / len(np.unique(rows.period))
    return f"PR-AUC {average_precision_score(rows.y, scores):.3f}, {per_period:,.0f} a period"


def main():
    """Run the example."""
    parser = make_parser(__doc__)
    parser.add_argument("--positive", help="the class that is fraud, if it is not 1 or True")
    parser.add_argument(
        "--time", help="column with seconds or dates; without it, rows are in time order"
    )
    parser.add_argument("--amount", default="Amount", help="column with amounts")
    parser.add_argument(
        "--period", type=positive_number, default=3600.0, help="seconds in a period of --time"
    )
    parser.add_argument("--reviews", type=positive, default=20, help="reviews in a period")
    parser.add_argument(
        "--out", type=Path, default=Path("fraud_workflow"), help="folder to write into"
    )
    args = parse(parser, "positive", "time", "amount", "period")
    if args.time is None and args.period != parser.get_default("period"):
        raise bad_input("--period: pass --time as well, the column with the seconds or dates")
    parts = split_by_time(read_rows(args))
    check_parts(parts, args.reviews)
    make_folder(args.out, "--out")
    with threadpool_limits(1):
        run(parts, args)


def run(parts, args):
    """Do everything, in the order of time."""
    for name, rows in vars(parts).items():
        periods = f"periods {rows.period.min()} to {rows.period.max()}"
        print(f"{name:<10}{len(rows):>8,} rows, {periods}, {rows.y.mean():.2%} fraud")
    with step(f"1. A student within {BUDGET}"):
        distiller = choose_student(parts, args.seed)
    with step("2. Calibration of student and teacher"):
        teacher = calibrate(distiller, parts.calibrate)
        print(f"Student recalibrated: {distiller.recalibration_.in_words()}.")
        slope, bias = teacher.line_.coef_[0, 0], teacher.line_.intercept_[0]
        print(f"Teacher: log-odds times {slope:.2f}, plus {bias:.2f}.")
    with step("3. Bands"):
        deployed = deploy(distiller, teacher, parts.set_by, args.reviews)
        print(COSTS.text())
        print(deployed.bands.text())
    with step("4. Judgement"):
        assess(deployed, parts, args)
    with step("5. Files"):
        ship(distiller, parts, args.out)
    with step("6. Live"):
        found = {"student": serve(deployed, parts, args)}
    with step("7. When the labels have arrived"):
        live = parts.live
        for name, model, bands in [
            ("student, never distilled again", distiller, deployed.bands),
            ("teacher", teacher, deployed.bands_of_teacher),
        ]:
            scores = model.predict_proba(live.X)[:, 1]
            found[name] = scores, bands.decide(scores, **live.desk)
        for name, answers in found.items():
            print(f"{name:<32}{worth(live, *answers)}")
    print(f"\nIn {args.out}: {', '.join(sorted(path.name for path in args.out.iterdir()))}")


def assess(deployed, parts, args):
    """Write the report on unseen rows; exit code 1 if the student is not good enough."""
    report = distillation_report(
        deployed.distiller,
        parts.assess.X,
        parts.assess.y,
        **options_of_report(deployed, parts, args.seed),
        n_explained=100,  # of a calibrated teacher, which is asked over and over
        title="Fraud detector",
        verbose=1,
    )
    report.to_html(args.out / "report.html")
    print(report.fidelity.verdict.headline)
    print("\n".join(report.fidelity.verdict.sentences))
    try:
        report.fidelity.require(**REQUIREMENTS)
    except RequirementNotMetError as error:
        why = f"why is in {args.out / 'report.html'}"
        raise SystemExit(f"\n{error}\nNo student is saved; {why}.") from None
    print("Good enough to deploy.")


if __name__ == "__main__":
    main()
