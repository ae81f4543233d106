"""Screening: cheap candidates are evaluated first, expensive ones only if they can win.

Per family of students, temperature and alpha are chosen on one student and used for the others.
Networks come last: they are trained on all rows, synthetic ones included, only if the teacher's
score or a quick trial of the smallest network shows that there is something to gain. Of them, the
better half is kept after each of the first folds: successive halving, with folds as the resource.
A candidate that scores lower on the first folds than one that costs no more is pruned.

References
----------
Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
AISTATS 2016, arXiv:1502.07943.
"""

from dataclasses import dataclass

import numpy as np

from skdistill.search.candidates import cost_names, cost_of, paired_difference
from skdistill.search.trials import mean_of
from skdistill.students.base import stated

#: Folds of a quick trial, and folds after which candidates are pruned.
FIRST_FOLDS = 2

#: Number of pairs of temperature and alpha that students that are cheap to train are tried with.
N_SETTINGS = 2

#: Training rows on which temperature and alpha are chosen, and rows of the rarest class among them.
SUBSAMPLE, FEWEST_OF_A_CLASS = 2000, 60


@dataclass(frozen=True)
class Pruned:
    """A plan that was stopped before it was evaluated on all folds.

    Attributes
    ----------
    reason : str
        Why.
    n_rows : int
        Training rows that its scores are for; 0 if there are none.
    fold_scores : tuple of float
        Its scores on the first folds.
    """

    reason: str
    n_rows: int = 0
    fold_scores: tuple = ()


def screen(trials, costs, budget):
    """Evaluate the plans that can win, by `costs` and the limits of the budget.

    Returns the `Pruned` plans by position, and notes: decisions that were made, in sentences.
    """
    groups = _groups(trials.plans)
    settings = {group: _coordinates(trials.plans, members) for group, members in groups}
    for group, members in groups:
        trials.remaining[group] = _most_trials(trials, members, *settings[group])
    pruned, notes = {}, []
    for group, members in groups:
        is_expensive = learns_from_synthetic_rows(trials.plans[members[0]])
        chosen, quick, others, note = _choose_setting(
            trials, members, costs, *settings[group], is_expensive
        )
        notes += note
        pruned |= others
        candidates = [i for i in members if trials.plans[i].setting in chosen]
        if trials.was_stopped:
            trials.make(candidates)
            continue
        why = _why_it_cannot_win(trials, quick, budget) if is_expensive else ""
        if why:
            pruned |= {i: Pruned(why) for i in candidates} | others
            notes.append(f"{group[0]} was left out: {why}.")
        else:
            pruned |= _by_setting(trials, candidates, chosen, costs, budget, is_expensive)
        del trials.remaining[group]
    return pruned, notes


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


def _groups(plans):
    """Group positions by family and number of columns, those that are cheap to train first."""
    groups = {}
    for i, plan in enumerate(plans):
        groups.setdefault(plan.group, []).append(i)
    return sorted(groups.items(), key=lambda item: learns_from_synthetic_rows(plans[item[1][0]]))


def _coordinates(plans, members):
    """Return the temperatures and the alphas of plans, each once."""
    temperatures = list(dict.fromkeys(plans[i].temperature for i in members))
    return temperatures, list(dict.fromkeys(plans[i].alpha for i in members))


def _most_trials(trials, members, temperatures, alphas):
    n_students = len({trials.plans[i].name for i in members})
    n_settings = len(temperatures) + len(alphas) - 1
    if n_settings == 1 or learns_from_synthetic_rows(trials.plans[members[0]]):
        return trials.n_folds * n_students  # quick trials take little time and are not counted
    n_chosen = n_settings if _rows_of_quick_trial(trials.evaluator.folds) is None else 0
    return trials.n_folds * (n_students * N_SETTINGS + n_chosen)


def _choose_setting(trials, members, costs, temperatures, alphas, is_expensive):
    """Choose alpha at the first temperature, then the temperature, on one student of a group.

    Returns the best pair of temperature and alpha, or the two best for students that are cheap to
    train; the plan they were chosen on with its scores on the first folds, or None; the plans with
    other settings as pruned; and notes.
    """
    plans = trials.plans
    first = plans[members[0]].setting
    is_single = len(members) == len({plans[i].name for i in members})
    if is_single and not (is_expensive and trials.complete()):
        return [first], None, {}, []  # nothing to choose, nothing to compare with
    student = _representative(plans, members, costs, is_expensive)
    of_setting = {plans[i].setting: i for i in members if plans[i].name == student}
    n_rows = _rows_of_quick_trial(trials.evaluator.folds)
    folds = range(min(FIRST_FOLDS, trials.n_folds) if is_expensive else trials.n_folds)
    scores = {}

    def score(setting):
        i = of_setting[setting]
        if is_expensive or n_rows is not None:
            evaluator = trials.evaluator.for_quick_trials() if is_expensive else trials.evaluator
            found = trials.make_quickly(evaluator, [i], folds, n_rows)
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
    if trials.was_stopped:  # `run_search` says what was not tried
        tried = [each for each in scores if scores[each]]
        return [max(tried, key=lambda each: mean_of(scores[each]), default=best)], None, {}, []
    n_taken = 1 if is_expensive else N_SETTINGS
    others = sorted(set(scores) - {best}, key=lambda each: -mean_of(scores[each]))
    taken = [best, *(each for each in others if scores[each])][:n_taken]
    chosen = " and ".join(f"temperature {each[0]}, alpha {each[1]}" for each in taken)
    rows = "all rows" if n_rows is None else f"{n_rows:,} rows"
    rows += " without synthetic ones, trained briefly" if is_expensive else ""
    on = f"{student} ({rows}, {len(folds)} folds)"
    others = [i for i in members if plans[i].setting not in taken and i not in trials.complete()]
    pruned = {}
    for i in others:
        seen = scores.get(plans[i].setting, []) if plans[i].name == student else []
        reason = f"{chosen} did best on {on}"
        pruned[i] = Pruned(reason, n_rows or trials.evaluator.n_rows, tuple(seen))
        if not seen:
            pruned[i] = Pruned(reason)
    notes = [f"{plans[members[0]].family}: {chosen} did best on {on}."] if others else []
    return taken, (plans[of_setting[best]], scores[best]), pruned, notes


def _representative(plans, members, costs, is_expensive):
    """Name the student that temperature and alpha are chosen on: if it is cheap a medium one.

    Those that choose their size themselves take longer: another one is named if there is one.
    """
    fixed = [i for i in members if stated(plans[i].student, "has_fixed_size")]
    by_size = sorted(fixed or members, key=lambda i: costs[i].size_kb or np.inf)
    names = list(dict.fromkeys(plans[i].name for i in by_size))
    return names[0 if is_expensive else (len(names) - 1) // 2]


def _rows_of_quick_trial(folds):
    """Return the number of training rows of a quick trial; None for all."""
    n_rows = min(fold.n_rows for fold in folds)
    rarest = min(np.unique(fold.y, return_counts=True)[1].min() for fold in folds)
    enough = max(SUBSAMPLE, FEWEST_OF_A_CLASS * n_rows // rarest)
    return int(enough) if enough < n_rows else None


def _why_it_cannot_win(trials, quick, budget):
    """Return why an expensive group cannot win; empty if it may.

    It cannot if two things hold: its smallest student, trained briefly, scores lower on every fold
    than the best of the cheap ones, and the teacher is not better than that one by more than a
    standard error.
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
    of_teacher = [trials.evaluator.teacher_scores(f)[0] for f in range(trials.n_folds)]
    lead, error = paired_difference(of_teacher, of_best)
    if not lead <= error:  # also if one of them is not known
        return ""
    return (
        f"the teacher is no better than {trials.plans[best].name} by more than a standard error "
        f"({lead:+.4f} ± {error:.4f}), and {plan.name}, trained briefly, scored lower than "
        f"that on each of {len(scores)} folds ({mean_of(scores):.4f} against "
        f"{mean_of(of_best[: len(scores)]):.4f})"
    )


def _by_setting(trials, candidates, settings, costs, budget, is_expensive):
    """Evaluate plans with the best setting, and those that were not given up with the others."""
    pruned, lost = {}, {}
    for setting in settings:
        these = [i for i in candidates if trials.plans[i].setting == setting]
        late = [i for i in these if trials.plans[i].name in lost]
        for i in late:
            first = lost[trials.plans[i].name]
            reason = f"given up with the better temperature and alpha: {pruned[first].reason}"
            scores = tuple(trial.score for trial in trials.of(i))
            pruned[i] = Pruned(reason, trials.evaluator.n_rows if scores else 0, scores)
            trials.remaining[trials.plans[i].group] -= trials.n_folds - len(scores)
        these = [i for i in these if i not in late]
        found = _successive_halving(trials, these, costs, budget, is_expensive)
        pruned |= found
        lost |= {trials.plans[i].name: i for i in found}
    return pruned


def _successive_halving(trials, candidates, costs, budget, is_expensive):
    """Evaluate plans on the first folds, and on the others those that no cheaper one beats.

    Of plans that are expensive to train only the better half is kept after each of the first folds.
    """
    n_first = min(FIRST_FOLDS, trials.n_folds)
    pruned, kept = {}, list(candidates)
    if is_expensive and trials.time_limit.seconds is not None:
        trials.make(kept[:1])  # so that one is complete if the time ends on the first fold
    for n_done in range(1, n_first + 1) if is_expensive else [n_first]:
        trials.make(kept, range(n_done))
        if n_done == trials.n_folds or trials.was_stopped:
            break
        reasons = _beaten(trials, kept, costs, budget, range(n_done)) if n_done == n_first else {}
        kept = [i for i in kept if i not in reasons]
        if is_expensive:
            folds = "the first fold" if n_done == 1 else f"{n_done} folds"
            half = f"only the better half of {len(kept)} went on after {folds}"
            reasons |= dict.fromkeys(_worse_half(trials, kept, budget, range(n_done)), half)
            kept = [i for i in kept if i not in reasons]
        for i, reason in reasons.items():
            scores = tuple(trial.score for trial in trials.of(i))
            pruned[i] = Pruned(reason, trials.evaluator.n_rows, scores)
            trials.remaining[trials.plans[i].group] -= trials.n_folds - len(scores)
    trials.make(kept)
    return pruned


def _worse_half(trials, positions, budget, folds):
    """Return the plans of the worse half; none of those that have no score yet."""
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
    """Return the plans that one that costs no more beats, and the reason in words."""
    reasons = {}
    for i in positions:
        other = _better_plan(trials, i, costs, budget, folds)
        if other is not None:
            reasons[i] = _why_beaten(trials, i, other, folds)
    return reasons


def _why_beaten(trials, i, other, folds):
    """Say which plan beat another one on the first folds."""
    means = [mean_of([trials.found[k, f].score for f in folds]) for k in (other, i)]
    return (
        f"{trials.plans[other].title} costs no more and scored higher on each of the first "
        "{} folds ({:.4f} against {:.4f})".format(folds.stop, *means)
    )


def _better_plan(trials, i, costs, budget, folds):
    """Return the best plan that costs no more and is better on each of some folds; or None."""
    names = {*cost_names(budget.limits), "size_kb"}  # smaller ones may be preferred in the end

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
