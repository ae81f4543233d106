"""Linear and additive students: one weight, or one curve, per column."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from sklearn.utils import gen_batches

from skdistill.parameters import Interval
from skdistill.soft_labels import (
    free_margins,
    free_outputs,
    margins_from_decision,
    weighted_loss,
)
from skdistill.students.base import (
    StudentClassifier,
    StudentRegressor,
    centre_and_spread,
    weight_unit,
)
from skdistill.students.encoding import EncodedStudent, fit_encoding

#: Rows on which the curvature is estimated; it only scales the steps of the optimiser.
CURVATURE_ROWS = 20_000

#: The ridge is at least this share of the total weight: with collinear codes, such as those of all
#: levels and the intercept, there is no unique solution without a ridge.
LEAST_RIDGE = 1e-12

_LINEAR_CONSTRAINTS = {
    "n_bins": [Interval(Integral, 1, None, closed="left")],
    "C": [Interval(Real, 0.0, None, closed="neither")],
    "max_categories": [Interval(Integral, 2, None, closed="left")],
    "min_frequency": [Interval(Real, 0.0, 1.0, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0.0, None, closed="left")],
}


#: Numbers of bins that a search tries.
SEARCHED_BINS = (1, 8, 32)


class _LinearStudent(EncodedStudent):
    """What both linear students state."""

    form = "additive"
    is_readable = True
    has_leaves = False

    @classmethod
    def sizes(cls, max_leaves=None):
        return [cls(n) for n in SEARCHED_BINS] if max_leaves is None else []

    def short_name(self):
        return "linear" if self.n_bins == 1 else f"additive, {self.n_bins} bins"

    def parts(self):
        return f"{len(self.curves_)} curves, {sum(map(len, self.curves_)):,} knots"

    def first_sum(self):
        return self.curves_, self.intercept_

    def after_sum(self, sums):
        return sums

    def _weights(self):
        return {"coef": self.coef_, "intercept": self.intercept_}

    def _set_weights(self, arrays):
        self.coef_, self.intercept_ = arrays["coef"], arrays["intercept"]
        self.curves_ = self.encoding_.curves(self.coef_)


class LinearStudentClassifier(_LinearStudent, StudentClassifier):
    """An additive logistic model that learns from soft labels: one curve per column.

    Every numeric column contributes a piecewise-linear curve, every nominal one a number per
    level, and the margins are their sum. With ``n_bins=1`` the curves are straight lines, which
    makes the plain linear model.

    Parameters
    ----------
    n_bins : int, default=32
        Largest number of straight pieces in the curve of a numeric column.
    C : float, default=1.0
        Inverse of the strength of the ridge penalty on the steps of the curves.
    max_categories : int, default=64
        Largest number of levels of a nominal column; the rarest share an infrequent level.
    min_frequency : float, default=0.001
        Categories with less than this share of the weight are infrequent.
    max_iter : int, default=500
        Largest number of L-BFGS iterations.
    tol : float, default=1e-8
        The iterations stop when no entry of the scaled gradient is larger than this share of the
        total weight.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    encoding_ : Encoding
        Bin edges and levels of every column.
    coef_ : ndarray of shape (n_codes, n_outputs)
        Weight of every code; one output if there are two classes, else one per class.
    curves_ : list of ndarray of shape (n_knots, n_outputs)
        Per column, what it adds to the margins at the knots of its curve: at every bin edge, then
        where it is missing; or at every level.
    intercept_ : ndarray of shape (n_outputs,)
        What is added to the sum of the curves.
    n_iter_ : int
        Number of iterations.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    MLPStudentClassifier : The same encoding with hidden layers on top.

    Notes
    -----
    Minimises ``sum_i loss_i + ||coef||^2 / (2 C)``, where ``loss_i`` is the distillation loss of
    row i, with its weight: a convex problem with one solution. The unit of the weights only affects
    the ridge, which is at least 1e-12 of the total weight. Numbers outside the range
    seen at fit count as its ends. Missing numbers have a weight of their own where some were
    missing at fit, and count as the median where none were; a column without any number
    contributes nothing. Categories never seen share the infrequent level; without one they
    contribute nothing.

    References
    ----------
    Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep
    Learning", NeurIPS 2022, arXiv:2203.05556, for the encoding.

    Examples
    --------
    Curves fitted on the probabilities of a forest:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import LinearStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = LinearStudentClassifier().fit(X, forest.predict_proba(X))
    >>> print(f"{(student.predict(X) == forest.predict(X)).mean():.2f}")
    1.00
    """

    #: The soft terms that are convex in its weights.
    losses = ("kl", "logit_mse")

    _parameter_constraints = _LINEAR_CONSTRAINTS

    def __init__(
        self,
        n_bins=32,
        *,
        C=1.0,
        max_categories=64,
        min_frequency=0.001,
        max_iter=500,
        tol=1e-8,
    ):
        self.n_bins = n_bins
        self.C = C
        self.max_categories = max_categories
        self.min_frequency = min_frequency
        self.max_iter = max_iter
        self.tol = tol

    def _fit_targets(self, X, targets):
        unit = weight_unit(targets.sample_weight.sum(keepdims=True))  # of rows and of copies
        targets = replace(targets, sample_weight=targets.sample_weight / unit)
        proba, weight = targets.mixed()
        self.encoding_ = fit_encoding(self, X, weight)
        positions = self.encoding_.positions(X)
        prior = targets.prior()
        near_solution = (proba + prior) / 2  # one-hot targets alone have no curvature
        solution, self.n_iter_ = _minimise(
            _distillation_objective(targets),
            self.encoding_,
            positions,
            curvature=weight * np.mean(near_solution * (1.0 - near_solution), axis=1),
            start=free_margins(prior),
            total_weight=weight.sum(),
            ridge=_ridge(self.C, unit, weight),
            max_iter=self.max_iter,
            tol=self.tol,
        )
        self.intercept_, self.coef_ = solution[0], solution[1:]
        self.curves_ = self.encoding_.curves(self.coef_)

    def _margins(self, X):
        sums = _additive(self, X)
        return margins_from_decision(sums) if len(self.classes_) == 2 else sums

    def rescale_margins(self, slope, intercept):
        """Change curves and intercept, see `StudentClassifier`."""
        self.coef_ = slope * self.coef_
        self.curves_ = self.encoding_.curves(self.coef_)
        self.intercept_ = slope * self.intercept_ + free_outputs(intercept)


class LinearStudentRegressor(_LinearStudent, StudentRegressor):
    """An additive model fitted by ridge regression: one curve per column.

    Parameters
    ----------
    n_bins : int, default=32
        Largest number of straight pieces in the curve of a numeric column; 1 makes the plain
        linear model.
    C : float, default=1.0
        Inverse of the strength of the ridge penalty on the steps of the curves.
    max_categories : int, default=64
        Largest number of levels of a nominal column; the rarest share an infrequent level.
    min_frequency : float, default=0.001
        Categories with less than this share of the weight are infrequent.

    Attributes
    ----------
    encoding_ : Encoding
        Bin edges and levels of every column.
    coef_ : ndarray of shape (n_codes, 1)
        Weight of every code.
    curves_ : list of ndarray of shape (n_knots, 1)
        Per column, what it adds to the prediction at the knots of its curve: at every bin edge,
        then where it is missing; or at every level.
    intercept_ : ndarray of shape (1,)
        What is added to the sum of the curves.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    LinearStudentClassifier : The same for classes, with the treatment of columns explained.

    Notes
    -----
    Minimises ``sum_i w_i (f(x_i) - y_i)^2 + ||coef||^2 / C``, exactly; the ridge is at least 1e-12
    of the total weight. The unit of y only changes the unit of the predictions.

    Examples
    --------
    Curves fitted on the predictions of a forest:

    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from skdistill import LinearStudentRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> forest = RandomForestRegressor(random_state=0).fit(X, y)
    >>> student = LinearStudentRegressor().fit(X, forest.predict(X))
    >>> print(f"{student.score(X, forest.predict(X)):.1f}")
    0.9
    """

    _parameter_constraints = {
        name: _LINEAR_CONSTRAINTS[name]
        for name in ("n_bins", "C", "max_categories", "min_frequency")
    }

    def __init__(self, n_bins=32, *, C=1.0, max_categories=64, min_frequency=0.001):
        self.n_bins = n_bins
        self.C = C
        self.max_categories = max_categories
        self.min_frequency = min_frequency

    def _fit_values(self, X, y, sample_weight):
        unit = weight_unit(sample_weight.sum(keepdims=True))
        weight = sample_weight / unit
        centre, spread = centre_and_spread(y, weight)
        self.encoding_ = fit_encoding(self, X, weight)
        positions = self.encoding_.positions(X)
        normal = _gram(self.encoding_, positions, weight)
        _add_ridge(normal, _ridge(self.C, unit, weight))
        right = np.zeros(len(normal))
        for block in gen_batches(len(positions), 4096):
            weighted = weight[block] * ((y[block] - centre) / spread)
            right[0] += weighted.sum()
            right[1:] += weighted @ self.encoding_.expand(positions[block])
        solution = spread * cho_solve(cho_factor(normal), right)
        self.intercept_, self.coef_ = solution[:1] + centre, solution[1:, None]
        self.curves_ = self.encoding_.curves(self.coef_)

    def _values(self, X):
        return _additive(self, X)[:, 0]


def _additive(student, X):
    positions = student.encoding_.positions(X, dtype=np.float64)
    return student.encoding_.sum_of_curves(positions, student.curves_) + student.intercept_


def _distillation_objective(targets):
    """Return a function from outputs to the loss, summed over rows, and each row's gradient."""
    terms = targets.terms()
    binary = targets.n_classes == 2

    def objective(outputs):
        margins = margins_from_decision(outputs) if binary else outputs
        loss, gradient = weighted_loss(margins, terms)
        return loss.sum(), gradient[:, 1:] if binary else gradient

    return objective


def _ridge(C, unit, weight):
    """Return the ridge for weights that were divided by a unit."""
    return max(1.0 / C / unit, LEAST_RIDGE * weight.sum())


def _minimise(
    objective, encoding, positions, *, curvature, start, total_weight, ridge, max_iter, tol
):
    """Minimise a convex function of the outputs of the additive model plus ridge.

    The problem is solved in coordinates in which the Hessian is close to the identity: those of the
    Cholesky factor of the weighted Gram matrix of the codes. There L-BFGS needs few steps. Returns
    intercept and weights, of shape (1 + n_codes, n_outputs), and the number of iterations.
    """
    design, knots_to_codes = encoding.knots(positions)
    shape = (1 + encoding.n_codes, len(start))
    some = np.arange(0, len(positions), max(1, len(positions) // CURVATURE_ROWS))
    hessian = _gram(encoding, positions[some], curvature[some])
    hessian *= curvature.sum() / max(curvature[some].sum(), np.finfo(float).tiny)
    _add_ridge(hessian, ridge)
    factor = np.linalg.cholesky(hessian)

    def unscale(scaled):
        return solve_triangular(factor, scaled.reshape(shape), trans="T", lower=True)

    def loss_and_gradient(scaled):
        theta = unscale(scaled)
        outputs = design @ (knots_to_codes @ theta[1:]) + theta[0]
        loss, row_gradient = objective(outputs)
        gradient = np.empty(shape)
        gradient[0] = row_gradient.sum(axis=0)
        gradient[1:] = knots_to_codes.T @ (design.T @ row_gradient) + ridge * theta[1:]
        loss += ridge * np.sum(theta[1:] ** 2) / 2
        scaled_gradient = solve_triangular(factor, gradient, lower=True)
        return loss / total_weight, scaled_gradient.ravel() / total_weight

    theta = np.zeros(shape)
    theta[0] = start
    found = minimize(
        loss_and_gradient,
        (factor.T @ theta).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, "maxfun": 10 * max_iter, "gtol": tol, "ftol": 0.0},
    )
    return unscale(found.x), int(found.nit)


def _gram(encoding, positions, weight):
    """Compute the weighted Gram matrix of the codes with a column of ones before them."""
    gram = np.zeros((1 + encoding.n_codes, 1 + encoding.n_codes))
    for block in gen_batches(len(positions), 4096):
        codes = encoding.expand(positions[block]).astype(np.float64)
        weighted = codes * weight[block, None]
        gram[0, 0] += weight[block].sum()
        gram[0, 1:] += weighted.sum(axis=0)
        gram[1:, 1:] += codes.T @ weighted
    gram[1:, 0] = gram[0, 1:]
    return gram


def _add_ridge(gram, ridge):
    """Add the ridge penalty to a Gram matrix, in place; the intercept is not penalised."""
    diagonal = np.einsum("ii->i", gram)
    diagonal[1:] += ridge
    diagonal[0] = max(diagonal[0], np.finfo(float).tiny) * (1 + 1e-12)
