"""Make the results of a search: candidates, and scikit-learn's ``cv_results_``."""

from dataclasses import replace

import numpy as np

from skdistill.search.budget import excesses
from skdistill.search.candidates import Candidate, paired_difference
from skdistill.search.costs import judged_latency
from skdistill.search.trials import averaged, mean_of


def as_candidates(entries, evaluator, budget):
    """Make a candidate of every entry: a plan with its trials."""
    candidates = [_candidate(entry, evaluator, budget) for entry in entries]
    scored = [each for each in candidates if each.is_evaluated and not np.isnan(each.score)]
    if scored:
        best = max(scored, key=lambda each: each.score)
        candidates = [_compared(each, best) for each in candidates]
    return tuple(candidates)


def _candidate(entry, evaluator, budget):
    name, params = entry.plan.name, entry.plan.params
    if entry.trials is None and entry.pruned is None:
        return Candidate(name, params, entry.costs, excesses=entry.excesses)
    if entry.trials is None:
        scores, n_rows = entry.pruned.fold_scores, entry.pruned.n_rows
        stage = "pruned" if scores else "not tried"
        found = mean_of(scores), scores, {}, n_rows
        return Candidate(name, params, entry.costs, *found, stage=stage, reason=entry.pruned.reason)
    *found, costs = averaged(entry.trials)
    X = evaluator.folds[0].X_test
    costs = judged_latency(costs, entry.trials[0].student, X, budget.latency_us)
    return Candidate(
        name,
        params,
        costs,
        *found,
        evaluator.n_rows,
        mean_of([trial.seconds for trial in entry.trials]),
        "evaluated",
        excesses(budget, costs, found[2]["agreement"]),
    )


def _compared(candidate, best):
    if not candidate.is_evaluated:
        return candidate
    difference, error = paired_difference(candidate.fold_scores, best.fold_scores)
    return replace(candidate, difference=difference, difference_error=error)


def cv_results(candidates, n_splits):
    """Arrange candidates as scikit-learn's searches do.

    Those scored on more folds, or on more rows, rank before the others.
    """
    scores = np.full((len(candidates), n_splits), np.nan)
    for row, each in zip(scores, candidates, strict=True):
        row[: len(each.fold_scores)] = each.fold_scores
    order = np.lexsort(
        [
            [-np.nan_to_num(c.score, nan=-np.inf) for c in candidates],
            [-c.n_rows for c in candidates],
            [-len(c.fold_scores) for c in candidates],
        ]
    )
    rank = np.empty(len(candidates), dtype=np.int32)
    rank[order] = np.arange(1, len(candidates) + 1)
    results = {
        "params": [each.params for each in candidates],
        "candidate": np.array([each.name for each in candidates], dtype=object),
        "mean_test_score": np.array([each.score for each in candidates]),
        "std_test_score": np.array([np.std(row) for row in scores]),
        "rank_test_score": rank,
        "mean_fit_time": np.array([each.fit_seconds for each in candidates]),
        "n_resources": np.array([each.n_rows for each in candidates]),
    }
    for f in range(n_splits):
        results[f"split{f}_test_score"] = scores[:, f]
    for name in sorted({name for each in candidates for name in each.measures}):
        values = [each.measures.get(name, np.nan) for each in candidates]
        results[f"mean_test_{name}"] = np.array(values)
    return results
