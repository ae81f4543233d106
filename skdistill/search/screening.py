"""Screening: what is cheap is tried first, and what is expensive only where it can win.

Per family of students, temperature and alpha are chosen on one of them and taken over by the
others. Students that train networks come last: they get all rows, synthetic ones too, only if the
teacher or a quick look at the smallest of them says that there is something to gain, and the better
half of them goes on after each of the first folds. Whoever loses on the first folds to a student
that costs no more is not tried on the others.
"""

from dataclasses import dataclass

import numpy as np

from skdistill.search.candidates import cost_names, cost_of, paired_difference
from skdistill.search.trials import mean_of
from skdistill.students.base import stated

#: Folds of a first look.
FIRST_FOLDS = 2

#: So many pairs of temperature and alpha are taken over by the students that are cheap to train.
TAKEN_OVER = 2

#: Training rows on which temperature and alpha are chosen, and rows of the rarest class among them.
SUBSAMPLE, FEWEST_OF_A_CLASS = 2000, 60


@dataclass(frozen=True)
class LeftBehind:
    """How far a plan came that was given up.

    Attributes
    ----------
    reason : str
        Why.
    n_rows : int
        Training rows that it was scored with; 0 if it was not scored.
    fold_scores : tuple of float
        Score on the folds it was scored on.
    """

    reason: str
    n_rows: int = 0
    fold_scores: tuple = ()


def screen(trials, costs, budget):
    """Try the plans that can win.

    Parameters
    ----------
    trials : Trials
        Makes the trials, and keeps them.
    costs : list of Costs
        What the student of every plan costs.
    budget : Budget
        Its limits decide what costs no more.

    Returns
    -------
    left_behind : dict of int to LeftBehind
        The plans that were not tried on all folds.
    notes : list of str
        What was decided, in sentences.
    """
    families = _families(trials.plans)
    settings = {family: _coordinates(trials.plans, members) for family, members in families}
    ahead = {
        family: _most_trials(trials, members, *settings[family]) for family, members in families
    }
    for family, n_trials in ahead.items():
        trials.ahead[family[0]] += n_trials
    left_behind, notes = {}, []
    for family, members in families:
        learns_more = learns_from_synthetic_rows(trials.plans[members[0]])
        chosen, quick, lost, note = _choose_setting(
            trials, members, costs, *settings[family], learns_more
        )
        notes += note
        left_behind |= lost
        entered = [i for i in members if trials.plans[i].setting in chosen]
        if trials.was_stopped:
            trials.make(entered)
            continue
        why = _why_it_cannot_win(trials, quick, budget) if learns_more else ""
        if why:
            left_behind |= {i: LeftBehind(why) for i in entered} | lost
            notes.append(f"{family[0]} was left out: {why}.")
        else:
            left_behind |= _race(trials, entered, costs, budget, learns_more)
        del ahead[family]
        trials.ahead[family[0]] = sum(n for each, n in ahead.items() if each[0] == family[0])
    return left_behind, notes


def learns_from_synthetic_rows(plan):
    """Tell whether the student of a plan is expensive to train."""
    return stated(plan.student, "gains_from_synthetic_rows")


def smallest_of_family(plans, costs):
    """Return the student with the smallest file of every family."""
    smallest = {}
    for i in sorted(range(len(plans)), key=lambda i: costs[i].size_kb or np.inf):
        plan = plans[i]
        smallest.setdefault(plan.family, plan.student)
    return smallest


def _families(plans):
    """Group positions by kind of student and number of columns, the cheap ones first."""
    groups = {}
    for i, plan in enumerate(plans):
        groups.setdefault((plan.family, plan.n_columns), []).append(i)
    return sorted(groups.items(), key=lambda item: learns_from_synthetic_rows(plans[item[1][0]]))


def _coordinates(plans, members):
    """Return the temperatures and the alphas of plans, each once."""
    temperatures = list(dict.fromkeys(plans[i].temperature for i in members))
    return temperatures, list(dict.fromkeys(plans[i].alpha for i in members))


def _most_trials(trials, members, temperatures, alphas):
    n_students = len({trials.plans[i].name for i in members})
    n_settings = len(temperatures) + len(alphas) - 1
    if n_settings == 1 or learns_from_synthetic_rows(trials.plans[members[0]]):
        return trials.n_folds * n_students  # first looks take little, and are not counted
    n_chosen = n_settings if _rows_of_first_look(trials.arena.folds) is None else 0
    return trials.n_folds * (n_students * TAKEN_OVER + n_chosen)


def _choose_setting(trials, members, costs, temperatures, alphas, learns_more):
    """Choose alpha at the first temperature, then the temperature, on one student of a family.

    Returns
    -------
    settings : list of tuple of temperature and alpha
        The best; of students that are cheap to train the second best, too.
    quick : tuple of (Plan, list of float) or None
        The student it was chosen on, and its scores on the first folds with it.
    left_behind : dict of int to LeftBehind
        The plans of the family with other settings.
    notes : list of str
        What was chosen, and on what.
    """
    plans = trials.plans
    first = plans[members[0]].setting
    is_single = len(members) == len({plans[i].name for i in members})
    if is_single and not (learns_more and trials.complete()):
        return [first], None, {}, []  # nothing to choose, and nobody to compare with
    student = _representative(plans, members, costs, learns_more)
    of_setting = {plans[i].setting: i for i in members if plans[i].name == student}
    n_rows = _rows_of_first_look(trials.arena.folds)
    folds = range(min(FIRST_FOLDS, trials.n_folds) if learns_more else trials.n_folds)
    scores = {}

    def score(setting):
        i = of_setting[setting]
        if learns_more or n_rows is not None:
            arena = trials.arena.for_a_first_look() if learns_more else trials.arena
            found = trials.make_quickly(arena, [i], folds, n_rows)
        else:
            trials.make([i])
            found = {i: [trial.score for trial in trials.of(i)]}
        scores[setting] = found.get(i, [])
        return np.nan_to_num(mean_of(scores[setting]), nan=-np.inf)

    best_alpha = max(alphas, key=lambda alpha: score((temperatures[0], alpha)))
    best = (temperatures[0], best_alpha)
    for temperature in temperatures[1:]:
        if score((temperature, best_alpha)) > mean_of(scores[best]):
            best = (temperature, best_alpha)
    if trials.was_stopped:  # what was not tried is said by the search
        tried = [each for each in scores if scores[each]]
        return [max(tried, key=lambda each: mean_of(scores[each]), default=best)], None, {}, []
    n_taken = 1 if learns_more else TAKEN_OVER
    others = sorted(set(scores) - {best}, key=lambda each: -mean_of(scores[each]))
    taken = [best, *(each for each in others if scores[each])][:n_taken]
    chosen = " and ".join(f"temperature {each[0]}, alpha {each[1]}" for each in taken)
    rows = "all rows" if n_rows is None else f"{n_rows:,} rows"
    rows += " without synthetic ones, trained briefly" if learns_more else ""
    on = f"{student} ({rows}, {len(folds)} folds)"
    others = [i for i in members if plans[i].setting not in taken and i not in trials.complete()]
    left_behind = {}
    for i in others:
        seen = scores.get(plans[i].setting, []) if plans[i].name == student else []
        reason = f"{chosen} did best on {on}"
        left_behind[i] = LeftBehind(reason, n_rows or trials.arena.n_rows, tuple(seen))
        if not seen:
            left_behind[i] = LeftBehind(reason)
    notes = [f"{plans[members[0]].family}: {chosen} did best on {on}."] if others else []
    return taken, (plans[of_setting[best]], scores[best]), left_behind, notes


def _representative(plans, members, costs, learns_more):
    """Name the student that temperature and alpha are chosen on: a middle one, if it is cheap."""
    by_size = sorted(members, key=lambda i: costs[i].size_kb or np.inf)
    names = list(dict.fromkeys(plans[i].name for i in by_size))
    return names[0 if learns_more else len(names) // 2]


def _rows_of_first_look(folds):
    """Return the number of training rows of a first look; None for all."""
    n_rows = min(fold.n_rows for fold in folds)
    rarest = min(np.unique(fold.y, return_counts=True)[1].min() for fold in folds)
    enough = max(SUBSAMPLE, FEWEST_OF_A_CLASS * n_rows // rarest)
    return int(enough) if enough < n_rows else None


def _why_it_cannot_win(trials, quick, budget):
    """Say why a family that is expensive to train is not worth it; empty if it may be.

    It is not if two things come together: a quick fit of its smallest student scores lower on
    every fold than the best of the cheap ones, and the teacher is not better than that one by more
    than a standard error.
    """
    done = [i for i in trials.complete() if not learns_from_synthetic_rows(trials.plans[i])]
    done = [i for i in done if _is_faithful(trials.of(i), budget)]
    if not done or quick is None or not quick[1]:
        return ""
    best = max(done, key=lambda i: np.nan_to_num(trials.score(i), nan=-np.inf))
    of_best = [trial.score for trial in trials.of(best)]
    plan, scores = quick
    if any(not mine < theirs for mine, theirs in zip(scores, of_best, strict=False)):
        return ""
    of_teacher = [trials.arena.teacher_scores(f)[0] for f in range(trials.n_folds)]
    lead, error = paired_difference(of_teacher, of_best)
    if not lead <= error:  # also if one of them is not known
        return ""
    return (
        f"the teacher is no better than {trials.plans[best].name} by more than a standard error "
        f"({lead:+.4f} ± {error:.4f}), and {plan.name}, trained briefly, scored lower than "
        f"that on each of {len(scores)} folds ({mean_of(scores):.4f} against "
        f"{mean_of(of_best[: len(scores)]):.4f})"
    )


def _race(trials, entered, costs, budget, expensive):
    """Try plans on the first folds, and those that nothing cheaper beats there on the others.

    Of those that are expensive to train only the better half goes on after each of the first folds.
    """
    n_first = min(FIRST_FOLDS, trials.n_folds)
    left_behind, stay = {}, list(entered)
    if expensive and trials.time_limit.seconds is not None:
        trials.make(stay[:1])  # so that one is complete if the time ends on the first fold
    for n_done in range(1, n_first + 1) if expensive else [n_first]:
        trials.make(stay, range(n_done))
        if n_done == trials.n_folds or trials.was_stopped:
            break
        reasons = _beaten(trials, stay, costs, budget, range(n_done)) if n_done == n_first else {}
        stay = [i for i in stay if i not in reasons]
        if expensive:
            folds = "the first fold" if n_done == 1 else f"{n_done} folds"
            half = f"only the better half of {len(stay)} went on after {folds}"
            reasons |= dict.fromkeys(_worse_half(trials, stay, budget, range(n_done)), half)
            stay = [i for i in stay if i not in reasons]
        for i, reason in reasons.items():
            scores = tuple(trial.score for trial in trials.of(i))
            left_behind[i] = LeftBehind(reason, trials.arena.n_rows, scores)
            trials.ahead[trials.plans[i].family] -= trials.n_folds - len(scores)
    trials.make(stay)
    return left_behind


def _worse_half(trials, positions, budget, folds):
    """Return the plans that the better half of them beats; none where there is no score yet."""
    ranks = {}
    for i in positions:
        found = [trials.found[i, f] for f in folds]
        scores = [trial.score for trial in found]
        if not np.isnan(scores).any():
            fidelity = np.mean([trial.measures["agreement"] for trial in found])
            limit = 0.0 if budget.min_fidelity is None else budget.min_fidelity
            ranks[i] = min(fidelity, limit), np.mean(scores)
    if not ranks:
        return []
    last_of_better = sorted(ranks.values(), reverse=True)[(len(ranks) - 1) // 2]
    return [i for i in ranks if ranks[i] < last_of_better and len(trials.of(i)) < trials.n_folds]


def _beaten(trials, positions, costs, budget, folds):
    """Return the plans that something beats that costs no more, and by what, in a line."""
    reasons = {}
    for i in positions:
        other = _who_beats(trials, i, costs, budget, folds)
        if other is not None:
            reasons[i] = _why_beaten(trials, i, other, folds)
    return reasons


def _why_beaten(trials, i, other, folds):
    """Say in a line by whom a plan was beaten on the first folds."""
    means = [mean_of([trials.found[k, f].score for f in folds]) for k in (other, i)]
    return (
        f"{trials.plans[other].title} costs no more and scored higher on each of the first "
        "{} folds ({:.4f} against {:.4f})".format(folds.stop, *means)
    )


def _who_beats(trials, i, costs, budget, folds):
    """Return the best plan that costs no more and is better on each of some folds; or None."""
    names = {*cost_names(budget.limits), "size_kb"}  # smaller ones may be needed in the end

    def beats(j):
        mine, theirs = ([trials.found.get((k, f)) for f in folds] for k in (i, j))
        return (
            None not in theirs
            and all(cost_of(costs[j], name) <= cost_of(costs[i], name) for name in names)
            and all(b.score > a.score for a, b in zip(mine, theirs, strict=True))
            and _is_faithful(theirs, budget)
        )

    better = [j for j in range(len(trials.plans)) if j != i and beats(j)]
    return max(better, key=trials.score, default=None)


def _is_faithful(trials, budget):
    """Tell whether a plan keeps the limit on fidelity on every fold that it was tried on."""
    if budget.min_fidelity is None:
        return True
    return all(trial.measures["agreement"] >= budget.min_fidelity for trial in trials)
