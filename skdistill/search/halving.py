"""Successive halving: students that cost the same race each other on growing numbers of rows.

A race decides between temperatures, alphas and whatever else leaves the costs as they are. Small
students never race against large ones: they would lose, and the front of the cheap ones with them.
Synthetic rows are made for the winners only.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV

from skdistill.search.trials import try_out

#: Of so many candidates one is kept, and gets so many times the rows.
FACTOR = 3

#: Rows that a first round takes at least, and rows of the rarest class.
FEWEST_ROWS, FEWEST_OF_A_CLASS = 500, 30

#: Files of students that cost the same differ by this factor at most.
SAME_SIZE = 1.1


@dataclass(frozen=True)
class LeftBehind:
    """How far a plan came that lost a race.

    Attributes
    ----------
    n_rows : int
        Training rows in its last round.
    fold_scores : tuple of float
        Score on every fold there.
    """

    n_rows: int
    fold_scores: tuple


class Racer(BaseEstimator):
    """A plan on some rows of a fold, as scikit-learn's searches take it: the rows of X are folds.

    Parameters
    ----------
    arena : Arena
        The folds.
    plans : tuple of Plan
        What may be tried.
    number : int
        The one that is.
    n_rows : int
        Number of training rows.
    """

    def __init__(self, arena=None, plans=None, number=0, n_rows=1):
        self.arena = arena
        self.plans = plans
        self.number = number
        self.n_rows = n_rows

    def __sklearn_clone__(self):
        return Racer(self.arena, self.plans, self.number, self.n_rows)

    def fit(self, X, y=None):
        """Try the plan on the fold whose number X holds."""
        self.score_ = try_out(self.arena, self.plans[self.number], X[0, 0], self.n_rows).score
        return self

    def score(self, X, y=None):
        """Return the score on that fold."""
        return self.score_


def race(arena, plans, costs, n_jobs, random_state):
    """Let plans that cost the same race each other.

    Parameters
    ----------
    arena : Arena
        The folds.
    plans : list of Plan
        Those within the budget as far as is known.
    costs : list of Costs
        What their students cost.
    n_jobs : int or None
        Trials at a time.
    random_state : int
        Seed of scikit-learn's search.

    Returns
    -------
    winners : list of int
        Positions of the plans that are worth all rows.
    left_behind : dict of int to LeftBehind
        The others.
    """
    winners, left_behind = [], {}
    if arena.distiller_params.get("augmentation", "auto") == "auto":
        arena = arena.with_params(augmentation=None)  # else few rows would cost as much as many
    first, last = first_and_last_round(arena.folds)
    for group in same_costs(plans, costs):
        if len(group) == 1 or first > last:
            winners += group
            continue
        won, lost = _race_group(arena, plans, group, first, last, n_jobs, random_state)
        winners += won
        left_behind |= lost
    return sorted(winners), left_behind


def first_and_last_round(folds):
    """Return the numbers of training rows of the first and the last round of a race.

    Those who win the last one get all rows. If the first takes more there is nothing to race for.
    """
    n_rows = min(fold.n_rows for fold in folds)
    rarest = min(np.unique(fold.y, return_counts=True)[1].min() for fold in folds)
    fewest = max(FEWEST_ROWS, n_rows // FACTOR**2, FEWEST_OF_A_CLASS * n_rows // rarest)
    return int(fewest), n_rows // FACTOR


def same_costs(plans, costs):
    """Group plans whose students are of one kind and cost the same; lists of positions."""

    def kind(i):
        leaves = costs[i].n_leaves
        return plans[i].family, plans[i].n_columns or 0, -1 if leaves is None else leaves

    order = sorted(range(len(plans)), key=lambda i: (*kind(i), costs[i].size_kb or 0.0))
    groups = []
    for _, members in itertools.groupby(order, kind):
        for i in members:
            size = costs[i].size_kb or 0.0
            is_new = not groups or kind(groups[-1][0]) != kind(i)
            if is_new or size > SAME_SIZE * (costs[groups[-1][0]].size_kb or 0.0):
                groups.append([])
            groups[-1].append(i)
    return groups


def _race_group(arena, plans, group, first, last, n_jobs, random_state):
    folds = np.arange(len(arena.folds))[:, None]
    search = HalvingGridSearchCV(
        Racer(arena, tuple(plans)),
        {"number": group},
        factor=FACTOR,
        resource="n_rows",
        min_resources=first,
        max_resources=last,
        cv=[([f], [f]) for f in folds[:, 0]],
        refit=False,
        error_score="raise",
        n_jobs=n_jobs,
        random_state=random_state,
    ).fit(folds, np.zeros(len(folds)))
    results = search.cv_results_
    of_split = [results[f"split{f}_test_score"] for f in folds[:, 0]]
    numbers = [params["number"] for params in results["params"]]
    final = np.flatnonzero(results["iter"] == results["iter"].max())
    by_score = final[np.argsort(-np.nan_to_num(results["mean_test_score"][final], nan=-np.inf))]
    winners = [numbers[at] for at in by_score[: -(-len(final) // FACTOR)]]
    lost = {}
    for at, number in enumerate(numbers):  # later rounds come last, and count
        scores = tuple(float(scores[at]) for scores in of_split)
        lost[number] = LeftBehind(int(results["n_resources"][at]), scores)
    return winners, {number: each for number, each in lost.items() if number not in winners}
