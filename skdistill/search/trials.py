"""Trials of plans on folds, as screening, the grid and optuna ask for them."""

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
    """The result of one plan on one fold.

    Attributes
    ----------
    score : float
        By the search's `scoring`.
    measures : dict of str to float
        See `Candidate`.
    costs : Costs
        Without latency.
    seconds : float
        That distilling took.
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
    """The trials of a search, made on request while there is time.

    Attributes
    ----------
    evaluator : FoldEvaluator
        Fits and scores on folds.
    plans : list of Plan
        The candidates.
    n_jobs : int or None
        Trials at a time.
    say : callable
        Takes messages.
    time_limit : TimeLimit
        Of the search.
    last_fit_seconds : float
        That the teacher of the final fit, on all rows, will take.
    found : dict of (int, int) to Trial
        By position of the plan and number of the fold, on all rows.
    remaining : Counter of (str, int or None)
        Number of trials, without quick ones, that each group of plans still needs at most; with
        optuna the number that is expected.
    seconds : dict of (str, bool) to list of float
        That trials of every family took, quick ones (True) and others.
    was_stopped : bool
        Whether the time was over before all was tried.
    """

    evaluator: Any
    plans: list
    n_jobs: int | None = None
    say: Any = print
    time_limit: TimeLimit = field(default_factory=TimeLimit)
    last_fit_seconds: float = 0.0
    found: dict = field(default_factory=dict)
    remaining: Counter = field(default_factory=Counter)
    seconds: dict = field(default_factory=lambda: defaultdict(list))
    was_stopped: bool = False

    @property
    def n_folds(self):
        """Number of folds."""
        return len(self.evaluator.folds)

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
        """Evaluate plans on folds (None for all) that they were not evaluated on before."""
        folds = range(self.n_folds) if folds is None else folds
        pairs = [(i, f) for i in positions for f in folds if (i, f) not in self.found]
        for pair, trial in self._each(self.evaluator, pairs, None):
            self.found[pair] = trial

    def make_all(self):
        """Evaluate all plans on all folds."""
        for plan in self.plans:
            self.remaining[plan.group] += self.n_folds
        self.make(range(len(self.plans)))

    def make_quickly(self, evaluator, positions, folds, n_rows):
        """Score plans on the first rows of folds by another, cheaper evaluator."""
        pairs = [(i, f) for i in positions for f in folds]
        quick = {pair: trial.score for pair, trial in self._each(evaluator, pairs, n_rows)}
        scores = {i: [quick[i, f] for f in folds if (i, f) in quick] for i in positions}
        return {i: each for i, each in scores.items() if each}

    def _each(self, evaluator, pairs, n_rows):
        """Yield pairs and their trials while there is time; report the score of every plan."""
        last_of_plan, is_quick = dict(pairs), n_rows is not None or evaluator is not self.evaluator
        in_time = self._in_time(pairs, is_quick)
        jobs = (
            delayed(try_out)(evaluator.for_fold(f), self.plans[i], f, n_rows) for i, f in in_time
        )
        scores = defaultdict(list)
        trials = Parallel(n_jobs=self.n_jobs, return_as="generator")(jobs)
        for trial, (i, f) in zip(trials, pairs, strict=False):  # ends with the trials
            family = self.plans[i].family
            self.seconds[family, is_quick].append(trial.seconds)
            self.remaining[self.plans[i].group] -= not is_quick
            scores[i].append(trial.score)
            yield (i, f), trial
            if f == last_of_plan[i]:
                known = [each.score for each in self.of(i)] if (i, f) in self.found else scores[i]
                self._say_score(i, known, n_rows, is_quick)

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
        """Evaluate a plan on the first fold, even if the time is over."""
        self.found[i, 0] = try_out(self.evaluator, self.plans[i], 0)

    def _say_score(self, i, scores, n_rows, is_quick):
        plan = self.plans[i]
        on = f"{len(scores)} of {self.n_folds} folds"
        on += "" if n_rows is None else f", {n_rows:,} rows"
        self.say(
            f"{plan.title}: {mean_of(scores):.4f} ({on}, "
            f"{self.seconds[plan.family, is_quick][-1]:.1f} s each; {self.time_left()})"
        )

    def time_left(self):
        """Describe how long the remaining trials may take, as far as that is known."""
        n_jobs = max(self.n_jobs or 1, 1)
        remaining = Counter()
        for (family, _), n in self.remaining.items():
            remaining[family] += n
        families = [family for family, n in remaining.items() if n > 0]
        known = [family for family in families if self.seconds[family, False]]
        seconds = sum(remaining[each] * np.mean(self.seconds[each, False][-5:]) for each in known)
        left = f"about {seconds / n_jobs:.0f} s of trials left"
        unknown = [family for family in families if family not in known]
        return left + (f", not counting {', '.join(unknown)}" if unknown else "")


def try_out(evaluator, plan, f, n_rows=None):
    """Distil a plan on a fold, score it and measure its size."""
    start = perf_counter()
    with quiet():  # no stages of fits and scorers; the search prints the score
        distiller = evaluator.fit(plan, f, n_rows)
        seconds = perf_counter() - start
        student = distiller.student_
        return Trial(*evaluator.scores(distiller, f), static_costs(student), seconds, student)


def mean_of(values):
    """Return the mean of the values that are not NaN; NaN if all are."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def averaged(trials):
    """Return score, fold scores and measures of a plan by its trials, and its largest costs."""
    scores = tuple(trial.score for trial in trials)
    measures = mean_measures([trial.measures for trial in trials])
    return mean_of(scores), scores, measures, _largest_costs([trial.costs for trial in trials])


def mean_measures(measures):
    """Average dicts of measures over the folds."""
    return {name: mean_of([each[name] for each in measures]) for name in measures[0]}


def _largest_costs(costs):
    """Return the largest of every cost over the folds, without latency."""

    def largest(name):
        values = [getattr(each, name) for each in costs]
        return None if None in values else max(values)

    names = ("size_kb", "n_columns", "n_columns_used", "n_leaves", "n_interactions", "n_rules")
    return Costs(**{name: largest(name) for name in names})
