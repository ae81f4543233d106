"""How many rounds a booster has, by the names its vendor has for that, and who chose them."""

from skdistill.caller import warn_caller
from skdistill.estimators import is_fitted, last_step, package_of, unfitted

#: What the vendors call the number of rounds; aliases first, as they win over the name in front.
ROUNDS = {
    "catboost": ("n_estimators", "num_boost_round", "num_trees", "iterations"),
    "lightgbm": (
        "num_iterations",
        "num_iteration",
        "n_iter",
        "num_tree",
        "num_trees",
        "num_round",
        "num_rounds",
        "nrounds",
        "num_boost_round",
        "max_iter",
        "n_estimators",
    ),
    "xgboost": ("n_estimators",),
}

#: Parameters that have a booster stop early.
_STOP_EARLY = {
    "catboost": ("use_best_model", "early_stopping_rounds", "od_wait", "od_pval"),
    "lightgbm": (
        "early_stopping_round",
        "early_stopping_rounds",
        "early_stopping",
        "n_iter_no_change",
    ),
    "xgboost": ("early_stopping_rounds",),
}


def rounds_name(booster):
    """Return the name of the parameter that says how many rounds a booster has."""
    names, params = ROUNDS[package_of(booster)], booster.get_params()
    return next((name for name in names if params.get(name) is not None), names[-1])


def rounds_chosen(booster):
    """Return how many rounds early stopping chose, None if it chose none."""
    package = package_of(booster)
    if package == "xgboost":
        best = booster.get_booster().attr("best_iteration")
        return None if best is None else int(best) + 1
    if package == "lightgbm":
        return booster.best_iteration_ or None
    return None if booster.best_iteration_ is None else booster.tree_count_


def check_rounds(teacher):
    """Check that a teacher that is to be fitted needs no rows held out to know when to stop.

    Raises
    ------
    ValueError
        If it does, with what to pass instead.

    Warns
    -----
    UserWarning
        If it does without them, but not as asked.
    """
    last = last_step(teacher)
    found = list(_stopping(last))
    if not found or is_fitted(teacher):
        return
    message = (
        f"teacher is {type(last).__name__} with early stopping ({', '.join(found)}), and not "
        "fitted; when it is fitted here there is no evaluation set. Pass it fitted, with an "
        "evaluation set of yours: clones of it then get the number of rounds that it has chosen. "
        "Or leave early stopping out, and say how many rounds there are to be."
    )
    if package_of(last) != "catboost" or "use_best_model" in found:
        raise ValueError(message)
    warn_caller(f"{message} CatBoost fits all rounds now.")


def clone_to_fit(teacher):
    """Return an unfitted clone that can be fitted without an evaluation set.

    Parameters
    ----------
    teacher : estimator
        Fitted or not, maybe a pipeline.

    Returns
    -------
    clone : estimator
        Not fitted. If it is a clone of a booster that has stopped early, it has the number of
        rounds that were chosen, and does not stop early.
    """
    clone, fitted = unfitted(teacher), last_step(teacher)
    if package_of(fitted) in ROUNDS and is_fitted(fitted):
        booster, rounds = last_step(clone), rounds_chosen(fitted)
        never_stop(booster)
        if rounds is not None:
            booster.set_params(**{rounds_name(booster): rounds})
    return clone


def never_stop(booster):
    """Switch off the early stopping of an unfitted booster, in place."""
    params = booster.get_params()
    off = {name: False if name == "use_best_model" else None for name in _stopping(booster)}
    if off.pop("callbacks", False) is None:
        off["callbacks"] = [each for each in params["callbacks"] if not _is_early_stopping(each)]
    booster.set_params(**off)


def _stopping(estimator):
    """Return the parameters that have an estimator stop early, by name; empty for none."""
    names = _STOP_EARLY.get(package_of(estimator), ())
    params = estimator.get_params() if names else {}
    found = {name: params[name] for name in names if params.get(name)}
    callbacks = [each for each in params.get("callbacks") or () if _is_early_stopping(each)]
    return {**found, "callbacks": callbacks} if callbacks else found


def _is_early_stopping(callback):
    return any(each.__name__ == "EarlyStopping" for each in type(callback).__mro__)
