"""Measure prior correction and recalibration where the class of interest is rare.

    python benchmarks/low_prevalence.py --data creditcard_ulb.parquet handbook_fraud_sim.parquet

Every file is a Parquet table in the order of time with a 0/1 column ``target``. The first 40 % of
the rows are undersampled to ``--ratio`` negatives per positive, as fraud desks do, and a forest is
fitted on them. The next 20 %, with all their negatives, are what students are distilled on, the
last 30 % (after a gap) what they are tested on. Prints, for each way of distilling, the mean
probability over the observed share, log loss and average precision (PR-AUC).
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, log_loss

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    TreeStudentClassifier,
)

STUDENTS = {
    "tree": TreeStudentClassifier(),
    "linear": LinearStudentClassifier(),
    "mlp": MLPStudentClassifier((64, 64)),
}
WAYS = {
    "as it is": {},
    "prior_correction": {"prior_correction": "auto"},
    "... T=4, recalibration=False": {
        "prior_correction": "auto",
        "temperature": 4.0,
        "recalibration": False,
    },
    "... T=4, recalibration='auto'": {"prior_correction": "auto", "temperature": 4.0},
    "... T=4, recalibration=True": {
        "prior_correction": "auto",
        "temperature": 4.0,
        "recalibration": True,
    },
}


def split(path, ratio, seed):
    """Return the teacher's sample, the rows to distil on and those to test on."""
    table = pd.read_parquet(path)
    y = table.pop("target").to_numpy()
    X = table.to_numpy(dtype=np.float32)
    a, b, c = (int(share * len(y)) for share in (0.4, 0.6, 0.7))
    positives, negatives = np.flatnonzero(y[:a] == 1), np.flatnonzero(y[:a] == 0)
    drawn = np.random.default_rng(seed).choice(negatives, ratio * len(positives), replace=False)
    sample = np.sort(np.concatenate([positives, drawn]))
    return (X[sample], y[sample]), (X[a:b], y[a:b]), (X[c:], y[c:])


def line(name, y, proba):
    return {
        "": name,
        "mean / share": proba.mean() / y.mean(),
        "log loss": log_loss(y, proba),
        "PR-AUC": average_precision_score(y, proba),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--students", nargs="+", choices=STUDENTS, default=list(STUDENTS))
    parser.add_argument("--ratio", type=int, default=5, help="negatives per positive")
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", "The teacher finds class")
    for path in args.data:
        sample, labelled, (X, y) = split(path, args.ratio, args.seed)
        forest = RandomForestClassifier(
            args.trees, min_samples_leaf=2, n_jobs=2, random_state=args.seed
        ).fit(*sample)
        lines = [line("teacher", y, forest.predict_proba(X)[:, 1])]
        for name in args.students:
            for way, params in WAYS.items():
                model = DistilledClassifier(
                    forest,
                    STUDENTS[name],
                    label_correction=False,
                    random_state=args.seed,
                    **params,
                ).fit(*labelled)
                lines.append(line(f"{name}, {way}", y, model.predict_proba(X)[:, 1]))
        print(f"\n{path.stem}: {y.mean():.3%} of the rows to test on, {args.ratio} to 1 sampled")
        print(pd.DataFrame(lines).round(5).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
