"""The steps of a search: rule out candidates over the budget, then evaluate the others."""

from dataclasses import dataclass, replace

from sklearn.base import clone

from skdistill.search.budget import Excess, excesses
from skdistill.search.costs import Costs, judged_latency, static_costs
from skdistill.search.screening import (
    Pruned,
    learns_from_synthetic_rows,
    screen,
    smallest_of_family,
)
from skdistill.search.space import Plan, certain_excesses
from skdistill.search.tpe import sample
from skdistill.search.trials import Trial

#: Rows that a student is fitted on to measure its costs.
PROBE_ROWS = 1000

#: Share of the time limit after which latencies are no longer measured before the trials.
SHARE_OF_COSTS = 0.6

#: Share by which a first measurement of a latency may exceed the limit, since it is noisy.
LATENCY_TOLERANCE = 0.5


@dataclass(frozen=True)
class Entry:
    """A plan and its results.

    Attributes
    ----------
    plan : Plan
        The combination.
    costs : Costs or None
        Of a fit on few rows; None if it was ruled out before it was fitted.
    excesses : tuple of Excess
        The limits that it exceeds; then it was not tried.
    trials : tuple of Trial or None
        One per fold, on all rows; only the first folds if there was no time for more.
    pruned : Pruned or None
        Why it was stopped early; None if it was not.
    """

    plan: Plan
    costs: Costs | None = None
    excesses: tuple[Excess, ...] = ()
    trials: tuple[Trial, ...] | None = None
    pruned: Pruned | None = None

    @property
    def why_pruned(self):
        """Why it was stopped early; empty if it was not."""
        return "" if self.pruned is None else self.pruned.reason


def run_search(trials, budget, search, *, n_iter, random_state):
    """Rule out what is over the budget, and evaluate the rest.

    Returns an entry per plan, without those that optuna did not propose in `n_iter` proposals, and
    notes: decisions that were made, in sentences.
    """
    plans = trials.plans
    entries = measure_costs(trials.evaluator, plans, budget, trials.time_limit)
    running = [i for i, entry in enumerate(entries) if not entry.excesses]
    trials.say(f"{len(running)} of {len(plans)} candidates may be within the budget")
    if not running:
        return entries, []
    costs = [entries[i].costs for i in running]
    trials.plans = [plans[i] for i in running]
    deciding = _correction_students(trials.plans, costs)
    trials.evaluator = replace(trials.evaluator, correction_students=deciding)
    pruned, notes = {}, []
    if search == "optuna":
        sample(trials, costs, n_iter, random_state)
    elif search == "grid":
        trials.make_all()
    else:
        pruned, notes = screen(trials, costs, budget)
    if not trials.found:
        trials.try_one(min(range(len(running)), key=lambda k: costs[k].size_kb or float("inf")))
    n_folds = max(len(trials.of(k)) for k in range(len(running)))
    for k, i in enumerate(running):
        found = trials.of(k)
        if len(found) == n_folds:
            entries[i] = replace(entries[i], trials=found)
        elif k in pruned:
            entries[i] = replace(entries[i], pruned=pruned[k])
        elif trials.was_stopped:
            scores = tuple(trial.score for trial in found)
            rows = trials.evaluator.n_rows if scores else 0
            late = Pruned(f"{trials.time_limit} was over", rows, scores)
            entries[i] = replace(entries[i], pruned=late)
    if trials.was_stopped:
        notes.append(_what_time_cost(trials, entries, n_folds))
    return [each for each in entries if each.excesses or each.trials or each.pruned], notes


def _correction_students(plans, costs):
    """Return the smallest student of every expensive family; see `FoldEvaluator`."""
    some = [i for i, plan in enumerate(plans) if learns_from_synthetic_rows(plan)]
    return smallest_of_family([plans[i] for i in some], [costs[i] for i in some])


def _what_time_cost(trials, entries, n_folds):
    """Describe what was not tried because time was over."""
    late = [each for each in entries if each.pruned and "time_limit" in each.why_pruned]
    names = list(dict.fromkeys(each.plan.name for each in late))
    were_not = "1 candidate was not" if len(late) == 1 else f"{len(late)} candidates were not"
    missing = [f"{were_not} ({'; '.join(names)})"] if late else []
    if n_folds < trials.n_folds:
        others = "the others" if late else "all candidates"
        missing.append(f"{others} only on {n_folds} of {trials.n_folds} folds")
    what = f": {', '.join(missing)}" if missing else ""
    return f"{trials.time_limit} was over before all was tried{what}."


def measure_costs(evaluator, plans, budget, time_limit):
    """Fit every student once, on few rows, and rule out those over the budget.

    Costs do not depend on temperature and alpha, so one fit is enough for all of them. When the
    time for this is over latencies are no longer measured here; those of the students that are
    tried are measured at the end.
    """
    evaluator = evaluator.with_params(augmentation=None, label_correction=False)  # quick
    entries, seen = [], {}
    for plan in plans:
        certain = certain_excesses(plan.student, budget)
        if certain:
            entries.append(Entry(plan, excesses=certain))
            continue
        key = id(plan.student), plan.n_columns
        if key not in seen:
            is_timed = budget.latency_us is not None
            is_timed = is_timed and time_limit.has_room_for(share=SHARE_OF_COSTS)
            seen[key] = _first_costs(evaluator, plan, budget, is_timed)
        over = excesses(budget, seen[key], latency_tolerance=LATENCY_TOLERANCE)
        entries.append(Entry(plan, seen[key], over))
    return entries


def _first_costs(evaluator, plan, budget, is_timed):
    student = clone(plan.student)
    if "max_epochs" in student.get_params(deep=False):
        student.set_params(max_epochs=1)  # training does not change what a network costs
    plan = replace(plan, student=student)
    student = evaluator.fit(plan, 0, PROBE_ROWS).student_
    costs = static_costs(student)
    if not is_timed or excesses(budget, costs):
        return costs
    limit = (1 + LATENCY_TOLERANCE) * budget.latency_us
    return judged_latency(costs, student, evaluator.folds[0].X_test, limit)
