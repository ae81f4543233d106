"""The course of a search: what costs too much is ruled out, then candidates are tried."""

from dataclasses import dataclass, replace

from sklearn.base import clone

from skdistill.search.budget import Excess, excesses
from skdistill.search.costs import Costs, static_costs, with_latency
from skdistill.search.halving import LeftBehind, race
from skdistill.search.space import Plan, certain_excesses
from skdistill.search.tpe import sample
from skdistill.search.trials import Trial, try_all

#: Rows that a student is fitted on to see what it costs.
PROBE_ROWS = 1000

#: A latency has to be this many times the limit before a student is ruled out by a first look.
LATENCY_TOLERANCE = 1.5


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
        One per fold, on all rows.
    left_behind : LeftBehind or None
        If it lost a race.
    """

    plan: Plan
    costs: Costs | None = None
    excesses: tuple[Excess, ...] = ()
    trials: tuple[Trial, ...] | None = None
    left_behind: LeftBehind | None = None


def hold(arena, plans, budget, search, *, n_iter, n_jobs, random_state, say):
    """Rule out, race and try.

    Parameters
    ----------
    arena : Arena
        The folds.
    plans : list of Plan
        What may be tried.
    budget : Budget
        The limits.
    search : {"halving", "grid", "optuna"}
        How the others are tried.
    n_iter : int
        Number of plans that optuna tries.
    n_jobs : int or None
        Trials at a time.
    random_state : int
        Seed.
    say : callable
        Takes messages.

    Returns
    -------
    entries : list of Entry
        One per plan; without those that optuna did not propose.
    """
    entries = look_at_costs(arena, plans, budget)
    running = [i for i, entry in enumerate(entries) if not entry.excesses]
    say(f"{len(running)} of {len(plans)} candidates may be within the budget")
    if not running:
        return entries
    others = [entries[i].plan for i in running], [entries[i].costs for i in running]
    if search == "optuna":
        tried = sample(arena, *others, n_iter, n_jobs, random_state)
        for k, trials in tried.items():
            entries[running[k]] = replace(entries[running[k]], trials=tuple(trials))
        return [entry for entry in entries if entry.excesses or entry.trials]
    winners, left_behind = list(range(len(running))), {}
    if search == "halving":
        winners, left_behind = race(arena, *others, n_jobs, random_state)
        say(f"{len(winners)} of them get all rows")
    for k, found in left_behind.items():
        entries[running[k]] = replace(entries[running[k]], left_behind=found)
    for k, trials in zip(
        winners, try_all(arena, [others[0][k] for k in winners], n_jobs), strict=True
    ):
        entries[running[k]] = replace(entries[running[k]], trials=tuple(trials))
    return entries


def look_at_costs(arena, plans, budget):
    """Fit every student once, on some rows, and rule out those beyond the budget.

    Temperature and alpha leave the costs as they are, so one fit stands for all of them.
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
            seen[key] = _first_costs(arena, plan, budget)
        entries.append(Entry(plan, seen[key], excesses(_lenient(budget), seen[key])))
    return entries


def _first_costs(arena, plan, budget):
    student = clone(plan.student)
    if "max_epochs" in student.get_params(deep=False):
        student.set_params(max_epochs=1)  # a network costs what it costs from the start
    plan = replace(plan, student=student)
    student = arena.fit(plan, 0, PROBE_ROWS).student_
    costs = static_costs(student)
    if budget.latency_us is None or excesses(budget, costs):
        return costs
    return with_latency(costs, student, arena.folds[0].X_test)


def _lenient(budget):
    if budget.latency_us is None:
        return budget
    return replace(budget, latency_us=LATENCY_TOLERANCE * budget.latency_us)
