"""Compare students that are re-distilled on fresh, unlabelled traffic with stale ones.

    python benchmarks/redistillation.py --data handbook_fraud_sim.parquet --rows-per-day 9600

The file is a Parquet table in the order of time with a 0/1 column ``target``. Time is cut into
weeks. Labels arrive a week late: at the end of week k those up to week k - 1 are known. Teacher and
student are fitted in week 0 and deployed from week 2 on, and each of these is tested on every week
from then on:

- ``teacher, week 0``: the forest fitted on week 0;
- ``stale``: the student distilled from it on week 0, never touched again;
- ``re-distilled``: the same teacher has labelled all weeks up to the one before the test, and the
  student was distilled again with them as ``X_unlabeled``;
- ``gone on``: the stale student went on learning from those weeks, by ``partial_fit`` (MLP);
- ``teacher, relearned`` and ``relearned``: the forest fitted again on every label that has arrived,
  and a student distilled from it with the last week as ``X_unlabeled``.

Prints average precision (PR-AUC) and log loss by week, then the mean difference from ``stale``,
paired by week and seed, with its standard error over the weeks.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, log_loss

from skdistill import DistilledClassifier, MLPStudentClassifier, TreeStudentClassifier

STUDENTS = {
    "mlp": MLPStudentClassifier((64, 64), random_state=0),
    "tree": TreeStudentClassifier(16, random_state=0),
}


def weeks_of(path, rows_per_day, days):
    """Cut a table into weeks of rows and classes."""
    table = pd.read_parquet(path)
    y = table.pop("target").to_numpy()
    X = table.to_numpy(dtype=np.float32)
    size = rows_per_day * days
    return [(X[i : i + size], y[i : i + size]) for i in range(0, len(y) - size + 1, size)]


def scores(model, week):
    X, y = week
    proba = model.predict_proba(X)[:, 1]
    return {"ap": average_precision_score(y, proba), "log_loss": log_loss(y, proba)}


def run(weeks, student, trees, seed):
    """Yield (week, policy, scores) for every week from the third on."""
    forest = RandomForestClassifier(trees, min_samples_leaf=2, n_jobs=2, random_state=seed)
    teacher = clone(forest).fit(*weeks[0])
    student = clone(student).set_params(random_state=seed)
    settings = {"label_correction": False, "random_state": seed}
    stale = DistilledClassifier(teacher, student, **settings).fit(*weeks[0])
    goes_on = None
    if hasattr(student, "partial_distill"):
        goes_on = DistilledClassifier(teacher, student, **settings).fit(*weeks[0])
    for k in range(2, len(weeks)):
        pool = tuple(X for X, _ in weeks[1:k])
        again = DistilledClassifier(teacher, student, **settings)
        again.fit(*weeks[0], X_unlabeled=pool)
        known = [np.concatenate(part) for part in zip(*weeks[: k - 1], strict=True)]
        relearned = DistilledClassifier(clone(forest), student, **settings)
        relearned.fit(*known, X_unlabeled=(weeks[k - 1][0],))
        models = {
            "teacher, week 0": teacher,
            "stale": stale,
            "re-distilled": again,
            "teacher, relearned": relearned.teacher_,
            "relearned": relearned,
        }
        if goes_on is not None:
            for X in pool if k == 2 else pool[-1:]:
                goes_on.partial_fit(X)
            models["gone on"] = goes_on
        for policy, model in models.items():
            yield k, policy, scores(model, weeks[k])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows-per-day", type=int, default=9600)
    parser.add_argument("--days", type=int, default=7, help="days in a period")
    parser.add_argument("--students", nargs="+", choices=STUDENTS, default=list(STUDENTS))
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    weeks = weeks_of(args.data, args.rows_per_day, args.days)
    for name in args.students:
        began, lines = time.perf_counter(), []
        for seed in range(args.seeds):
            for week, policy, found in run(weeks, STUDENTS[name], args.trees, seed):
                lines.append({"seed": seed, "week": week, "policy": policy, **found})
        lines = pd.DataFrame(lines)
        print(
            f"\n{args.data.stem}, {name} student, forest of {args.trees} trees, "
            f"{args.seeds} seeds, "
            f"{len(weeks[0][1]):,} rows a week, {time.perf_counter() - began:.0f} s"
        )
        for score, decimals in (("ap", 3), ("log_loss", 5)):
            by_week = lines.pivot_table(score, "policy", "week", sort=False)
            by_week["mean"] = by_week.mean(axis=1)
            paired = lines.pivot_table(score, ["seed", "week"], "policy", sort=False)
            gaps = paired.sub(paired["stale"], axis=0).groupby("week").mean()
            by_week["minus stale"] = gaps.mean()
            by_week["se"] = gaps.sem()
            print(
                f"\n{score} by week of the test\n{by_week.round(decimals).to_string()}", flush=True
            )


if __name__ == "__main__":
    main()
