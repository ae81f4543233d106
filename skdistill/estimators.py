"""A look inside the estimators that users pass: pipelines, frozen ones, fitted ones."""

import inspect

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

__all__ = [
    "as_last_step_sees",
    "is_fitted",
    "last_step",
    "package_of",
    "unfitted",
    "weight_params",
    "with_seeds",
]


def last_step(estimator):
    """Return the estimator that does the predicting: the last step of pipelines, thawed."""
    while isinstance(estimator, Pipeline | FrozenEstimator):
        estimator = (
            estimator.estimator
            if isinstance(estimator, FrozenEstimator)
            else estimator.steps[-1][1]
        )
    return estimator


def as_last_step_sees(estimator, X):
    """Return X as transformed by the steps before the last one of a fitted pipeline."""
    while isinstance(estimator, Pipeline | FrozenEstimator):
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
            continue
        if len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        estimator = estimator.steps[-1][1]
    return X


def package_of(estimator):
    """Return the name of the package that an estimator's class comes from."""
    return type(estimator).__module__.partition(".")[0]


def is_fitted(estimator):
    """Tell whether an estimator is fitted; a pipeline is when its last step is."""
    last = last_step(estimator)
    if package_of(last) == "catboost":
        return last.is_fitted()
    try:
        check_is_fitted(last)
    except NotFittedError:
        return False
    return True


def unfitted(estimator):
    """Return an unfitted clone, also of a frozen estimator."""
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    return clone(estimator)


def with_seeds(estimator, random_state):
    """Fill every ``random_state`` of an unfitted estimator that is None."""
    params = estimator.get_params()
    names = [name for name in sorted(params) if name.split("__")[-1] == "random_state"]
    seeds = {n: int(random_state.randint(2**31 - 1)) for n in names if params[n] is None}
    return estimator.set_params(**seeds)


def weight_params(estimator, sample_weight):
    """Return the parameters of fit that hand sample weights to an estimator.

    Parameters
    ----------
    estimator : estimator
        A pipeline gives the weights to its last step.
    sample_weight : ndarray of shape (n_samples,) or None
        The weights; None if there are none to hand over.

    Returns
    -------
    fit_params : dict
        Empty if there are no weights.

    Raises
    ------
    TypeError
        If there are weights and the estimator takes none.
    """
    if sample_weight is None:
        return {}
    prefix, last = "", estimator
    while isinstance(last, Pipeline):
        prefix, last = f"{prefix}{last.steps[-1][0]}__", last.steps[-1][1]
    parameters = inspect.signature(last.fit).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if "sample_weight" not in parameters and not takes_any:
        raise TypeError(
            f"{type(last).__name__} does not take sample_weight in fit, and weights (sample_weight "
            "or class_weight) were given. Use an estimator that takes them, or pass no weights."
        )
    return {f"{prefix}sample_weight": sample_weight}
