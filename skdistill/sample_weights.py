"""Sample weights: checked once, and handed to any estimator that takes them."""

import inspect

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _check_sample_weight

__all__ = ["check_weights", "weight_params"]


def check_weights(sample_weight, X):
    """Return float64 weights of shape (n_samples,): non-negative, finite and not all zero."""
    sample_weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not sample_weight.any():
        raise ValueError(
            "sample_weight is zero for every row. At least one positive weight is needed: with all "
            "sample weights zero there is nothing to learn from."
        )
    return sample_weight


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
