"""optuna's sampler: it proposes the next candidate from the results of the others."""

from collections import Counter

import numpy as np


def sample(trials, costs, n_iter, random_state):
    """Try `n_iter` plans that optuna's tree-structured Parzen estimator proposes.

    It optimises score and file size, of `costs`, together, so that its proposals spread along the
    Pareto front.
    """
    optuna = _import_optuna()
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            directions=["maximize", "minimize"],
            sampler=optuna.samplers.TPESampler(seed=random_state),
        )
        _ask_and_tell(study, trials, costs, n_iter)
    finally:
        optuna.logging.set_verbosity(level)


def _ask_and_tell(study, trials, costs, n_iter):
    plans = trials.plans
    students = list(dict.fromkeys((plan.name, plan.n_columns) for plan in plans))
    position = {
        (students.index((plan.name, plan.n_columns)), plan.temperature, plan.alpha): i
        for i, plan in enumerate(plans)
    }
    temperatures = list(dict.fromkeys(plan.temperature for plan in plans))
    alphas = list(dict.fromkeys(plan.alpha for plan in plans))
    tried = set()
    for _ in range(20 * n_iter):  # proposals may come twice
        if len(tried) == min(n_iter, len(plans)):
            break
        proposal = study.ask()
        i = position[
            proposal.suggest_categorical("student", range(len(students))),
            proposal.suggest_categorical("temperature", temperatures),
            proposal.suggest_categorical("alpha", alphas),
        ]
        trials.remaining = _expected_trials(trials, i, min(n_iter, len(plans)) - len(tried))
        trials.make([i])
        if trials.was_stopped:
            break
        tried.add(i)
        score = np.nan_to_num(trials.score(i), nan=-1e9)
        study.tell(proposal, [score, costs[i].size_kb or 0.0])


def _expected_trials(trials, i, n_left):
    """Book plan i, and the trials of the others that are left, by the sizes of their groups."""
    share = (n_left - 1) * trials.n_folds / len(trials.plans)
    remaining = Counter(plan.group for plan in trials.plans)
    remaining = Counter({group: n * share for group, n in remaining.items()})
    remaining[trials.plans[i].group] += trials.n_folds
    return remaining


def _import_optuna():
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "search='optuna' needs optuna, which is not installed. Install it with: "
            "pip install optuna"
        ) from error
    return optuna
