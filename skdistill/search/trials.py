"""Candidates tried on folds: what screening, the grid and optuna share."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from skdistill.search.costs import Costs, static_costs
from skdistill.search.time_limit import TRIALS_OF_LAST_FIT, TimeLimit
from skdistill.verbose import quiet


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


@dataclass
class Trials:
    """The trials of a search, made as they are asked for, as long as there is time.

    Attributes
    ----------
    arena : Arena
        The folds.
    plans : list of Plan
        What may be tried.
    n_jobs : int or None
        Trials at a time.
    say : callable
        Takes messages.
    time_limit : TimeLimit
        When the search has to end.
    last_fit_seconds : float
        What the teacher of the fit on all rows will take.
    found : dict of (int, int) to Trial
        By position of the plan and number of the fold, on all rows.
    ahead : Counter of str
        How many trials of every family may still come, first looks not counted.
    seconds : dict of (str, bool) to list of float
        What trials of every family took, first looks (True) and others.
    was_stopped : bool
        Whether the time did not suffice.
    """

    arena: Any
    plans: list
    n_jobs: int | None = None
    say: Any = print
    time_limit: TimeLimit = field(default_factory=TimeLimit)
    last_fit_seconds: float = 0.0
    found: dict = field(default_factory=dict)
    ahead: Counter = field(default_factory=Counter)
    seconds: dict = field(default_factory=lambda: defaultdict(list))
    was_stopped: bool = False

    @property
    def n_folds(self):
        """Number of folds."""
        return len(self.arena.folds)

    def of(self, i):
        """Return the trials of a plan, on the first folds or on all."""
        return tuple(self.found[i, f] for f in range(self.n_folds) if (i, f) in self.found)

    def score(self, i):
        """Return the mean score of a plan; NaN if there is none."""
        return mean_of([trial.score for trial in self.of(i)])

    def complete(self):
        """Return the positions of the plans that were tried on all folds."""
        return [i for i in range(len(self.plans)) if len(self.of(i)) == self.n_folds]

    def make(self, positions, folds=None):
        """Try plans on folds, all of them for None; what is known already is not tried again."""
        folds = range(self.n_folds) if folds is None else folds
        pairs = [(i, f) for i in positions for f in folds if (i, f) not in self.found]
        for pair, trial in self._each(self.arena, pairs, None):
            self.found[pair] = trial

    def make_quickly(self, arena, positions, folds, n_rows):
        """Try plans on the first rows of folds, in a cheaper arena; a score per plan and fold."""
        pairs = [(i, f) for i in positions for f in folds]
        quick = {pair: trial.score for pair, trial in self._each(arena, pairs, n_rows)}
        scores = {i: [quick[i, f] for f in folds if (i, f) in quick] for i in positions}
        return {i: each for i, each in scores.items() if each}

    def _each(self, arena, pairs, n_rows):
        """Yield pairs and their trials while there is time; say what came of every plan."""
        last_of_plan, is_quick = dict(pairs), n_rows is not None or arena is not self.arena
        in_time = self._in_time(pairs, is_quick)
        jobs = (delayed(try_out)(arena.only(f), self.plans[i], f, n_rows) for i, f in in_time)
        scores = defaultdict(list)
        trials = Parallel(n_jobs=self.n_jobs, return_as="generator")(jobs)
        for trial, (i, f) in zip(trials, pairs, strict=False):  # ends with the trials
            family = self.plans[i].family
            self.seconds[family, is_quick].append(trial.seconds)
            self.ahead[family] -= not is_quick
            scores[i].append(trial.score)
            yield (i, f), trial
            if f == last_of_plan[i]:
                known = [each.score for each in self.of(i)] if (i, f) in self.found else scores[i]
                self._say_what_came(i, known, n_rows, is_quick)

    def _in_time(self, pairs, is_quick):
        for i, f in pairs:
            known = self.seconds[self.plans[i].family, is_quick]
            needed = known[-1] if known else 0.0
            longest = max(map(max, filter(None, self.seconds.values())), default=0.0)
            needed += self.last_fit_seconds + TRIALS_OF_LAST_FIT * longest
            if not self.time_limit.has_room_for(needed):
                self.was_stopped = True
                return
            yield i, f

    def try_one(self, i):
        """Try a plan on the first fold, in time or not."""
        self.found[i, 0] = try_out(self.arena, self.plans[i], 0)

    def _say_what_came(self, i, scores, n_rows, is_quick):
        plan = self.plans[i]
        on = f"{len(scores)} of {self.n_folds} folds"
        on += "" if n_rows is None else f", {n_rows:,} rows"
        self.say(
            f"{plan.title}: {mean_of(scores):.4f} ({on}, "
            f"{self.seconds[plan.family, is_quick][-1]:.1f} s each; {self.time_left()})"
        )

    def time_left(self):
        """Say how long what is ahead may take, as far as that is known."""
        n_jobs = max(self.n_jobs or 1, 1)
        families = [family for family, n in self.ahead.items() if n > 0]
        known = [family for family in families if self.seconds[family, False]]
        seconds = sum(self.ahead[each] * np.mean(self.seconds[each, False][-5:]) for each in known)
        left = f"about {seconds / n_jobs:.0f} s of trials left"
        unknown = [family for family in families if family not in known]
        return left + (f", not counting {', '.join(unknown)}" if unknown else "")


def try_out(arena, plan, f, n_rows=None):
    """Distil a plan on a fold, score it, and read off what it costs."""
    start = perf_counter()
    with quiet():  # what fits and scorers do; the search says what came of it
        distiller = arena.fit(plan, f, n_rows)
        seconds = perf_counter() - start
        student = distiller.student_
        return Trial(*arena.scores(distiller, f), static_costs(student), seconds, student)


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
