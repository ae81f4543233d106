"""optuna's sampler: it proposes what to try next from what came of the rest."""

import numpy as np

from skdistill.search.trials import mean_of, try_all


def sample(arena, plans, costs, n_iter, n_jobs, random_state):
    """Try plans that optuna's tree-structured Parzen estimator proposes.

    It looks for high scores and small files at once, so that its proposals spread along the front.

    Parameters
    ----------
    arena : Arena
        The folds.
    plans : list of Plan
        Those within the budget as far as is known.
    costs : list of Costs
        What their students cost.
    n_iter : int
        Number of plans to try.
    n_jobs : int or None
        Folds at a time.
    random_state : int
        Seed of the sampler.

    Returns
    -------
    tried : dict of int to list of Trial
        Position of the plan, and a trial per fold.

    Raises
    ------
    ImportError
        If optuna is not installed.
    """
    optuna = _import_optuna()
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            directions=["maximize", "minimize"],
            sampler=optuna.samplers.TPESampler(seed=random_state),
        )
        return _ask_and_tell(study, arena, plans, costs, n_iter, n_jobs)
    finally:
        optuna.logging.set_verbosity(level)


def _ask_and_tell(study, arena, plans, costs, n_iter, n_jobs):
    students = list(dict.fromkeys((plan.name, plan.n_columns) for plan in plans))
    position = {
        (students.index((plan.name, plan.n_columns)), plan.temperature, plan.alpha): i
        for i, plan in enumerate(plans)
    }
    temperatures = list(dict.fromkeys(plan.temperature for plan in plans))
    alphas = list(dict.fromkeys(plan.alpha for plan in plans))
    tried = {}
    for _ in range(20 * n_iter):  # proposals may come twice
        if len(tried) == min(n_iter, len(plans)):
            break
        proposal = study.ask()
        i = position[
            proposal.suggest_categorical("student", range(len(students))),
            proposal.suggest_categorical("temperature", temperatures),
            proposal.suggest_categorical("alpha", alphas),
        ]
        if i not in tried:
            tried[i] = try_all(arena, [plans[i]], n_jobs)[0]
        score = mean_of([trial.score for trial in tried[i]])
        study.tell(proposal, [np.nan_to_num(score, nan=-1e9), costs[i].size_kb or 0.0])
    return tried


def _import_optuna():
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "search='optuna' needs optuna, which is not installed. Install it with: "
            "pip install 'skdistill[search]'"
        ) from error
    return optuna
