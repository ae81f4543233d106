"""The course of a search: what costs too much is ruled out, then candidates are tried."""

from dataclasses import dataclass, replace

from sklearn.base import clone

from skdistill.search.budget import Excess, excesses
from skdistill.search.costs import Costs, judged_latency, static_costs
from skdistill.search.screening import (
    LeftBehind,
    learns_from_synthetic_rows,
    screen,
    smallest_of_family,
)
from skdistill.search.space import Plan, certain_excesses
from skdistill.search.tpe import sample
from skdistill.search.trials import Trial

#: Rows that a student is fitted on to see what it costs.
PROBE_ROWS = 1000

#: Share of the time limit in which latencies are looked at, after the teacher has answered.
SHARE_OF_FIRST_LOOK = 0.6

#: By this share a latency may be over the limit in a first look: that much is noise.
LATENCY_TOLERANCE = 0.5


@dataclass(frozen=True)
class Entry:
    """A plan and what came of it.

    Attributes
    ----------
    plan : Plan
        What was to be tried.
    costs : Costs or None
        At first sight; None if it was ruled out before it was fitted.
    excesses : tuple of Excess
        Why it was not tried.
    trials : tuple of Trial or None
        One per fold, on all rows; on the first folds, if the time did not suffice for any plan
        to be tried on all.
    left_behind : LeftBehind or None
        If it was given up.
    """

    plan: Plan
    costs: Costs | None = None
    excesses: tuple[Excess, ...] = ()
    trials: tuple[Trial, ...] | None = None
    left_behind: LeftBehind | None = None

    @property
    def why_left(self):
        """Why it was given up; empty if it was not."""
        return "" if self.left_behind is None else self.left_behind.reason


def hold(trials, budget, search, *, n_iter, random_state):
    """Rule out, screen and try.

    Parameters
    ----------
    trials : Trials
        What may be tried, on which folds, and until when.
    budget : Budget
        The limits.
    search : {"screening", "grid", "optuna"}
        How those are tried that may be within the budget.
    n_iter : int
        Number of plans that optuna tries.
    random_state : int
        Seed.

    Returns
    -------
    entries : list of Entry
        One per plan; without those that optuna did not propose.
    notes : list of str
        What was decided on the way.
    """
    plans = trials.plans
    entries = look_at_costs(trials.arena, plans, budget, trials.time_limit)
    running = [i for i, entry in enumerate(entries) if not entry.excesses]
    trials.say(f"{len(running)} of {len(plans)} candidates may be within the budget")
    if not running:
        return entries, []
    costs = [entries[i].costs for i in running]
    trials.plans = [plans[i] for i in running]
    trials.arena = replace(trials.arena, judges=_judges(trials.plans, costs))
    left_behind, notes = {}, []
    if search == "optuna":
        trials.ahead.update({trials.plans[0].family: min(n_iter, len(running)) * trials.n_folds})
        sample(trials, costs, n_iter, random_state)
    elif search == "grid":
        for plan in trials.plans:
            trials.ahead[plan.family] += trials.n_folds
        trials.make(range(len(running)))
    else:
        left_behind, notes = screen(trials, costs, budget)
    if not trials.found:
        trials.try_one(min(range(len(running)), key=lambda k: costs[k].size_kb or float("inf")))
    n_folds = max(len(trials.of(k)) for k in range(len(running)))
    for k, i in enumerate(running):
        found = trials.of(k)
        if len(found) == n_folds:
            entries[i] = replace(entries[i], trials=found)
        elif k in left_behind:
            entries[i] = replace(entries[i], left_behind=left_behind[k])
        elif trials.was_stopped:
            scores = tuple(trial.score for trial in found)
            rows = trials.arena.n_rows if scores else 0
            late = LeftBehind(f"{trials.time_limit} was over", rows, scores)
            entries[i] = replace(entries[i], left_behind=late)
    if trials.was_stopped:
        notes.append(_what_time_cost(trials, entries, n_folds))
    return [each for each in entries if each.excesses or each.trials or each.left_behind], notes


def _judges(plans, costs):
    """Return the smallest student of every family that is expensive: it judges the teacher."""
    some = [i for i, plan in enumerate(plans) if learns_from_synthetic_rows(plan)]
    return smallest_of_family([plans[i] for i in some], [costs[i] for i in some])


def _what_time_cost(trials, entries, n_folds):
    """Say what was not tried for want of time."""
    late = [each for each in entries if each.left_behind and "time_limit" in each.why_left]
    names = list(dict.fromkeys(each.plan.name for each in late))
    were_not = "1 candidate was not" if len(late) == 1 else f"{len(late)} candidates were not"
    missing = [f"{were_not} ({'; '.join(names)})"] if late else []
    if n_folds < trials.n_folds:
        others = "the others" if late else "all candidates"
        missing.append(f"{others} only on {n_folds} of {trials.n_folds} folds")
    what = f": {', '.join(missing)}" if missing else ""
    return f"{trials.time_limit} was over before all was tried{what}."


def look_at_costs(arena, plans, budget, time_limit):
    """Fit every student once, on some rows, and rule out those beyond the budget.

    Temperature and alpha leave the costs as they are, so one fit stands for all of them. Latencies
    are not measured any more when the time for this is over: those of the students that are tried
    are measured in the end.
    """
    arena = arena.with_params(augmentation=None, label_correction=False)  # quick
    entries, seen = [], {}
    for plan in plans:
        certain = certain_excesses(plan, budget)
        if certain:
            entries.append(Entry(plan, excesses=certain))
            continue
        key = id(plan.student), plan.n_columns
        if key not in seen:
            is_timed = budget.latency_us is not None
            is_timed = is_timed and time_limit.has_room_for(share=SHARE_OF_FIRST_LOOK)
            seen[key] = _first_costs(arena, plan, budget, is_timed)
        over = excesses(budget, seen[key], latency_tolerance=LATENCY_TOLERANCE)
        entries.append(Entry(plan, seen[key], over))
    return entries


def _first_costs(arena, plan, budget, is_timed):
    student = clone(plan.student)
    if "max_epochs" in student.get_params(deep=False):
        student.set_params(max_epochs=1)  # a network costs what it costs from the start
    plan = replace(plan, student=student)
    student = arena.fit(plan, 0, PROBE_ROWS).student_
    costs = static_costs(student)
    if not is_timed or excesses(budget, costs):
        return costs
    limit = (1 + LATENCY_TOLERANCE) * budget.latency_us
    return judged_latency(costs, student, arena.folds[0].X_test, limit)
