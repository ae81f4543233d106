"""Stack the outputs of several models into one: pure maths on arrays.

Outputs are margins, or predictions in regression, of each model. Nothing here knows about
estimators, rows or columns.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear, minimize
from scipy.special import log_softmax

__all__ = [
    "StackingWeights",
    "stack_margins",
    "stack_predictions",
    "squared_errors",
]


@dataclass(frozen=True)
class StackingWeights:
    """A weighted sum of the outputs of several models.

    For margins it is log-linear: its probabilities are the normalised product of the models'
    probabilities, each raised to its weight.

    Attributes
    ----------
    weights : ndarray of shape (n_models,)
        Non-negative; they need not sum to 1, so that overconfident models are shrunk.
    intercept : ndarray of shape (n_classes,)
        Added to every row; of shape (1,) in regression.
    """

    weights: np.ndarray
    intercept: np.ndarray

    def combined(self, outputs):
        """Return the weighted sum of outputs, all of shape (n_samples, n_classes)."""
        return sum(w * z for w, z in zip(self.weights, outputs, strict=True)) + self.intercept


def stack_margins(margins, codes, sample_weight, weight_bounds=(0.0, None)):
    """Find the stacking weights of margins that predict the observed classes best.

    Parameters
    ----------
    margins : sequence of ndarray of shape (n_samples, n_classes)
        Margins of each model on rows it was not fitted on.
    codes : ndarray of shape (n_samples,)
        The observed class as an index into the columns.
    sample_weight : ndarray of shape (n_samples,)
        Non-negative weights.
    weight_bounds : tuple of (float, float or None), default=(0.0, None)
        Smallest and largest weight of a model.

    Returns
    -------
    stacking : StackingWeights
        The minimiser of the mean log loss. A quadratic penalty with the weight of one row shrinks
        it towards the first model alone, so that it exists for separable classes and for classes
        that were not observed. A single model is recalibrated (Platt scaling).

    References
    ----------
    Genest and Zidek, "Combining Probability Distributions: A Critique and an Annotated
    Bibliography", Statistical Science 1986, doi:10.1214/ss/1177013825. Wolpert, "Stacked
    Generalization", Neural Networks 1992, doi:10.1016/S0893-6080(05)80023-1.
    """
    stacked = np.stack(margins)
    n_models, n_samples, n_classes = stacked.shape
    rows, share = np.arange(n_samples), sample_weight / sample_weight.sum()
    start = np.zeros(n_models + n_classes)
    start[0] = 1.0

    def penalised_log_loss(parameters):
        weights, intercept = np.split(parameters, [n_models])
        log_proba = log_softmax(np.tensordot(weights, stacked, 1) + intercept, axis=1)
        slope = share[:, None] * np.exp(log_proba)
        slope[rows, codes] -= share
        away = parameters - start
        gradient = np.concatenate([np.tensordot(stacked, slope, 2), slope.sum(axis=0)])
        loss = -np.dot(share, log_proba[rows, codes]) + np.dot(away, away) / (2 * n_samples)
        return loss, gradient + away / n_samples

    bounds = [weight_bounds] * n_models + [(None, None)] * n_classes
    found = minimize(penalised_log_loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    weights, intercept = np.split(found.x, [n_models])
    return StackingWeights(weights, intercept - intercept[0])


def stack_predictions(predictions, values, sample_weight):
    """Find the weighted sum of predictions that predicts the observed values best.

    Parameters
    ----------
    predictions : sequence of ndarray of shape (n_samples, 1)
        Predictions of each model on rows it was not fitted on.
    values : ndarray of shape (n_samples,)
        The observed values.
    sample_weight : ndarray of shape (n_samples,)
        Non-negative weights.

    Returns
    -------
    stacking : StackingWeights
        The minimiser of the mean squared error, with non-negative weights and an intercept.

    References
    ----------
    Breiman, "Stacked Regressions", Machine Learning 1996, doi:10.1007/BF00117832.
    """
    root = np.sqrt(sample_weight)[:, None]
    design = np.hstack([*predictions, np.ones((len(values), 1))])
    lowest = [0.0] * len(predictions) + [-np.inf]
    found = lsq_linear(design * root, values * root[:, 0], bounds=(lowest, np.inf))
    return StackingWeights(found.x[:-1], found.x[-1:])


def squared_errors(predictions, values):
    """Squared error of every row, of shape (n_samples,)."""
    return (predictions[:, 0] - values) ** 2
