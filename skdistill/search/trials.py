"""Candidates tried on folds: what halving, the grid and optuna share."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from skdistill.search.costs import Costs, static_costs


@dataclass(frozen=True)
class Trial:
    """What came of one plan on one fold.

    Attributes
    ----------
    score : float
        By the search's `scoring`.
    measures : dict of str to float
        See `Candidate`.
    costs : Costs
        Without latency.
    seconds : float
        To distil.
    student : estimator
        The fitted student.
    """

    score: float
    measures: dict
    costs: Costs
    seconds: float
    student: Any


def try_out(arena, plan, f, n_rows=None):
    """Distil a plan on a fold, score it, and read off what it costs."""
    start = perf_counter()
    distiller = arena.fit(plan, f, n_rows)
    seconds = perf_counter() - start
    student = distiller.student_
    return Trial(*arena.scores(distiller, f), static_costs(student), seconds, student)


def try_all(arena, plans, n_jobs):
    """Try plans on all folds; a list of trials for each."""
    n_folds = len(arena.folds)
    jobs = (delayed(try_out)(arena, plan, f) for plan in plans for f in range(n_folds))
    trials = Parallel(n_jobs=n_jobs)(jobs)
    return [trials[i * n_folds : (i + 1) * n_folds] for i in range(len(plans))]


def mean_of(values):
    """Return the mean of the values that are known; NaN if none is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def mean_measures(measures):
    """Average dicts of measures over the folds."""
    return {name: mean_of([each[name] for each in measures]) for name in measures[0]}


def largest_costs(costs):
    """Return the largest of every cost over the folds, without latency."""

    def largest(name):
        values = [getattr(each, name) for each in costs]
        return None if None in values else max(values)

    names = ("size_kb", "n_columns", "n_columns_used", "n_leaves")
    return Costs(**{name: largest(name) for name in names})
