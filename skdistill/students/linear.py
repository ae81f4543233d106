"""Linear and additive students: one weight, or one curve, per column."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np

from skdistill.columns import column_names
from skdistill.parameters import Interval, StrOptions
from skdistill.soft_labels import (
    free_margins,
    free_outputs,
    margins_from_decision,
    weighted_curvature,
    weighted_hessian,
    weighted_loss,
)
from skdistill.students.additive_design import LEAST_RIDGE, Objective
from skdistill.students.additive_sum import MOST_PAIRS, AdditiveProblem, fit_sum
from skdistill.students.base import (
    StudentClassifier,
    StudentRegressor,
    centre_and_spread,
    weight_unit,
)
from skdistill.students.encoding import (
    EncodedStudent,
    described,
    fit_encoding,
    n_knots,
    restored_column,
)
from skdistill.students.pairs import PairTable, checked_interactions, count_pairs

_LINEAR_CONSTRAINTS = {
    "n_bins": [Interval(Integral, 1, None, closed="left")],
    "interactions": [
        Interval(Integral, 0, None, closed="left"),
        "array-like",
        StrOptions({"auto"}),
    ],
    "interaction_bins": [Interval(Integral, 1, None, closed="left")],
    "C": [Interval(Real, 0.0, None, closed="neither"), StrOptions({"auto"})],
    "max_categories": [Interval(Integral, 2, None, closed="left")],
    "min_frequency": [Interval(Real, 0.0, 1.0, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0.0, None, closed="left")],
}


#: Units of weights count as no less where ridges are chosen, which would overflow.
LEAST_UNIT = 1e-290

#: Limits of the iterations of regressors, which have no parameters for them.
MAX_ITER, TOL = 1000, 1e-8

#: Numbers of interactions that a search tries, and "auto".
SEARCHED_INTERACTIONS = (0, 5, 10)


class _LinearStudent(EncodedStudent):
    """What both linear students state."""

    form = "additive"
    is_readable = True
    has_leaves = False

    @property
    def has_fixed_size(self):
        """Whether its number of interactions is given, see `Student`."""
        return not isinstance(self.interactions, str)

    @classmethod
    def sizes(cls, n_columns, max_leaves=None, max_interactions=None):
        most = min(MOST_PAIRS, count_pairs(n_columns))
        limit = most if max_interactions is None else min(max_interactions, most)
        numbers = [n for n in SEARCHED_INTERACTIONS if n <= limit]
        if limit:  # "auto" takes as many as pay, which may be all
            numbers.append("auto" if limit == most else limit)
        return [cls(1), *(cls(interactions=n) for n in dict.fromkeys(numbers))]

    def short_name(self):
        name = "linear" if self.n_bins == 1 else f"additive, {self.n_bins} bins"
        asked = self.interactions
        if isinstance(asked, Integral | str):
            return f"{name}, {asked} interactions" if asked else name
        return f"{name}, {len(asked)} given interactions" if len(asked) else name

    def refusal_of_columns(self, n_columns, are_chosen=False):
        asked = self.interactions
        if isinstance(asked, Integral) and asked > count_pairs(n_columns):
            return (
                f"interactions={asked} is more than the {count_pairs(n_columns)} pairs of "
                f"{n_columns} columns; pass 'auto' or a smaller number"
            )
        if are_chosen and not isinstance(asked, Integral | str):
            return (
                "interactions lists pairs of columns, some of which the search may drop; pass a "
                "number or 'auto', or n_columns=None"
            )
        return ""

    def check_columns(self, names):
        checked_interactions(self.interactions, names)

    def n_columns_used(self):
        """Count the columns whose curve is not flat, or that are in a table."""
        in_curves = {j for j, curve in enumerate(self.curves_) if np.ptp(curve, axis=0).any()}
        return len(in_curves.union(*(each.columns for each in self.tables_ if each.values.any())))

    def parts(self):
        curves = f"{len(self.curves_)} curves, {sum(map(len, self.curves_)):,} knots"
        cells = sum(table.values.shape[0] * table.values.shape[1] for table in self.tables_)
        return f"{curves}, {len(self.tables_)} tables, {cells:,} cells" if self.tables_ else curves

    def first_sum(self):
        return self.curves_, self.intercept_

    def after_sum(self, sums):
        return sums

    def _weights(self):
        tables = {}
        for k, table in enumerate(self.tables_):
            tables[f"table.{k}"] = table.values.reshape(-1, table.values.shape[2])
            for side, axis in enumerate(table.axes):
                if axis.edges is not None:
                    tables[f"table.{k}.edges.{side}"] = axis.edges
        return {"coef": self.coef_, "intercept": self.intercept_} | tables

    def _set_weights(self, arrays):
        self.coef_, self.intercept_ = arrays["coef"], arrays["intercept"]
        self.curves_ = self.encoding_.curves(self.coef_)

    def file_tables(self):
        """Describe the tables of pairs, see `Student`."""
        return [
            {
                "columns": list(table.columns),
                "axes": [described(axis) for axis in table.axes],
                "strength": strength,
            }
            for table, (*_, strength) in zip(self.tables_, self.interactions_, strict=True)
        ]

    def restore(self, columns, arrays, tables=()):
        """Set encoding, weights and tables, see `Student`."""
        super().restore(columns, arrays)
        self.tables_ = tuple(
            _restored_table(table, k, arrays, len(self.intercept_))
            for k, table in enumerate(tables)
        )
        self._name_interactions([table["strength"] for table in tables])

    def _name_interactions(self, strengths):
        names = self.encoding_.names
        self.interactions_ = [
            (*(names[j] for j in table.columns), strength)
            for table, strength in zip(self.tables_, strengths, strict=True)
        ]

    def _fit_sum(self, X, objective_of, unit, C):
        """Fit curves and tables to checked rows; `objective_of` makes the loss of some rows."""
        interactions = checked_interactions(self.interactions, column_names(self))
        objective = objective_of(slice(None))
        encoding = fit_encoding(self, X, objective.weight)
        ridge = None
        if C != "auto":
            total = objective.weight.sum()
            ridge = np.clip(1.0 / C / unit, LEAST_RIDGE * total, total / LEAST_RIDGE)
        problem = AdditiveProblem(
            encoding,
            encoding.positions(X),
            objective,
            self.interaction_bins,
            ridge,
            max(unit, LEAST_UNIT),
            max_iter=getattr(self, "max_iter", MAX_ITER),
            tol=getattr(self, "tol", TOL),
        )
        return fit_sum(problem, interactions, objective_of)

    def _keep(self, fitted):
        self.encoding_, self.coef_, self.intercept_ = (
            fitted.encoding,
            fitted.coef,
            fitted.intercept,
        )
        self.curves_ = self.encoding_.curves(self.coef_)
        self.tables_ = fitted.tables
        self._name_interactions(fitted.strengths)

    def _rescale(self, slope, intercept):
        self.coef_ = slope * self.coef_
        self.curves_ = self.encoding_.curves(self.coef_)
        self.intercept_ = slope * self.intercept_ + intercept
        self.tables_ = tuple(replace(each, values=slope * each.values) for each in self.tables_)
        self.interactions_ = [(a, b, slope * size) for a, b, size in self.interactions_]


class LinearStudentClassifier(_LinearStudent, StudentClassifier):
    """An additive logistic model that learns from soft labels: curves, and tables of pairs.

    Every numeric column contributes a piecewise-linear curve, every nominal one a number per
    level, and the margins are their sum. With ``n_bins=1`` the curves are straight lines, which
    makes the plain linear model. With `interactions` some pairs of columns contribute a table as
    well, which makes the model a GA2M [1]_.

    Parameters
    ----------
    n_bins : int, default=64
        Largest number of straight pieces in the curve of a numeric column.
    interactions : int, list of pairs, or "auto", default=0
        Which pairs of columns get a table: the most useful ones, this many; or those of a list, by
        names or positions, such as ``[("age", "income")]``, where integers are always positions; or
        "auto", at most 20, as many as lower the loss of rows that are held out for the choice; none
        with fewer than 50 rows.
    interaction_bins : int, default=20
        Largest number of bins of a numeric column in a table, and of levels of a nominal one,
        whose other levels share a row.
    C : float or "auto", default="auto"
        Inverse of the strength of the ridge penalty on the steps of curves and tables. "auto"
        chooses a penalty for every curve and every table, so that a column or pair that has nothing
        to say stays flat [2]_.
    max_categories : int, default=256
        Largest number of levels of a nominal column; the rarest share an infrequent level.
    min_frequency : float, default=0.0002
        Categories with less than this share of the weight are infrequent.
    max_iter : int, default=1000
        Largest number of iterations of conjugate gradients, which solve Newton steps.
    tol : float, default=1e-8
        The steps end when the distance to the minimum is about this: the root mean square of what
        is left to change in the outputs, over rows weighted by the curvature of their loss.

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
    tables_ : tuple of PairTable
        What pairs of columns add, the strongest first; flat tables are left out, unless their
        pairs were named.
    interactions_ : list of (str, str, float)
        The names of the columns of every table, and its strength: the weighted standard deviation
        of what it adds to the margins of the training rows (over all outputs, root mean square).
    intercept_ : ndarray of shape (n_outputs,)
        What is added to the sum of curves and tables; its mean is 0 with more than two classes.
    n_iter_ : int
        Number of iterations of conjugate gradients.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    MLPStudentClassifier : The same encoding with hidden layers on top.

    Notes
    -----
    Minimises ``sum_i loss_i + sum_j ridge_j ||coef_j||^2 / 2`` over the weights of all curves and
    tables at once, where ``loss_i`` is the distillation loss of row i, with its weight: a convex
    problem with one solution. ``ridge_j`` is ``1 / C``, or with "auto" chosen for every curve and
    table by the generalised Fellner-Schall method, which approaches the largest restricted
    likelihood; this is done with at most 16 bins per curve and 8 x 8 per table, from which the
    ridges of more bins follow. The unit of the weights only affects the ridge, which is at least
    1e-12 of the total weight: a row of weight 2 counts as two rows, so weights far below 1 make all
    curves flat.

    The pairs are ranked by how much a table would lower the loss of the curves alone, on all rows
    of the transfer set; the time grows with rows x pairs x outputs, about 10 s for 300,000 rows of
    100 columns. Twenty more than are asked for are then fitted together on few bins, with
    ridges of their own whatever ``C``, and those stay without which the restricted likelihood would
    fall most.
    The weights of a table are the steps of its steps, so the penalty keeps it a sum of curves
    unless the labels say otherwise. After the fit tables are purified [3]_: what a function of one
    of their columns could say is moved to the curves, over the training rows, and a curve means the
    same with and without its pairs.

    Numbers outside the range seen at fit count as its ends. Missing numbers have a weight of their
    own where some were missing at fit, and count as the median where none were; a column without
    any number contributes nothing. Categories never seen share the infrequent level; without one
    they contribute nothing.

    References
    ----------
    .. [1] Lou, Caruana, Gehrke and Hooker, "Accurate Intelligible Models with Pairwise
           Interactions", KDD 2013, doi:10.1145/2487575.2487579.
    .. [2] Wood and Fasiolo, "A Generalized Fellner-Schall Method for Smoothing Parameter
           Optimization", Biometrics 73 (2017), doi:10.1111/biom.12666.
    .. [3] Lengerich, Tan, Chang, Hooker and Caruana, "Purifying Interaction Effects with the
           Functional ANOVA", AISTATS 2020, arXiv:1911.04974.

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
    0.99
    """

    #: The soft terms that are convex in its weights.
    losses = ("kl", "logit_mse")

    _parameter_constraints = _LINEAR_CONSTRAINTS

    def __init__(
        self,
        n_bins=64,
        *,
        interactions=0,
        interaction_bins=20,
        C="auto",
        max_categories=256,
        min_frequency=0.0002,
        max_iter=1000,
        tol=1e-8,
    ):
        self.n_bins = n_bins
        self.interactions = interactions
        self.interaction_bins = interaction_bins
        self.C = C
        self.max_categories = max_categories
        self.min_frequency = min_frequency
        self.max_iter = max_iter
        self.tol = tol

    def _fit_targets(self, X, targets):
        unit = weight_unit(targets.sample_weight.sum(keepdims=True))  # of rows and of copies
        targets = replace(targets, sample_weight=targets.sample_weight / unit)
        fitted = self._fit_sum(
            X, lambda rows: _distillation_objective(targets.take(rows)), unit, self.C
        )
        self.n_iter_ = fitted.n_iter
        self._keep(fitted)
        if len(self.intercept_) > 1:  # the loss is the same whatever all outputs have in common
            self.intercept_ = self.intercept_ - self.intercept_.mean()

    def _margins(self, X):
        sums = _additive(self, X)
        return margins_from_decision(sums) if len(self.classes_) == 2 else sums

    def rescale_margins(self, slope, intercept):
        """Change curves, tables and intercept, see `StudentClassifier`."""
        self._rescale(slope, free_outputs(intercept))


class LinearStudentRegressor(_LinearStudent, StudentRegressor):
    """An additive model fitted by ridge regression: curves, and tables of pairs.

    Parameters
    ----------
    n_bins : int, default=64
        Largest number of straight pieces in the curve of a numeric column; 1 makes the plain
        linear model.
    interactions : int, list of pairs, or "auto", default=0
        Which pairs of columns get a table, see `LinearStudentClassifier`.
    interaction_bins : int, default=20
        Largest number of bins of a numeric column in a table, and of levels of a nominal one.
    C : float or "auto", default="auto"
        Inverse of the strength of the ridge penalty on the steps of curves and tables; "auto"
        chooses a penalty for every curve and every table.
    max_categories : int, default=256
        Largest number of levels of a nominal column; the rarest share an infrequent level.
    min_frequency : float, default=0.0002
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
    tables_ : tuple of PairTable
        What pairs of columns add, the strongest first; flat tables are left out, unless their
        pairs were named.
    interactions_ : list of (str, str, float)
        The names of the columns of every table, and its strength: the weighted standard deviation
        of what it adds to the predictions of the training rows.
    intercept_ : ndarray of shape (1,)
        What is added to the sum of curves and tables.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    LinearStudentClassifier : The same for classes, with the treatment of columns explained.

    Notes
    -----
    Minimises ``sum_i w_i (f(x_i) - y_i)^2 + sum_j ridge_j ||coef_j||^2`` where ``ridge_j`` is ``1 /
    C``, or chosen for every curve and table; it is at least 1e-12 of the total weight. y is scaled
    to unit variance for this: its unit only changes the unit of the predictions.

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
    0.8
    """

    _parameter_constraints = {
        name: _LINEAR_CONSTRAINTS[name]
        for name in (
            "n_bins",
            "interactions",
            "interaction_bins",
            "C",
            "max_categories",
            "min_frequency",
        )
    }

    def __init__(
        self,
        n_bins=64,
        *,
        interactions=0,
        interaction_bins=20,
        C="auto",
        max_categories=256,
        min_frequency=0.0002,
    ):
        self.n_bins = n_bins
        self.interactions = interactions
        self.interaction_bins = interaction_bins
        self.C = C
        self.max_categories = max_categories
        self.min_frequency = min_frequency

    def _fit_values(self, X, y, sample_weight):
        unit = weight_unit(sample_weight.sum(keepdims=True))
        weight = sample_weight / unit
        centre, spread = centre_and_spread(y, weight)
        values = (y[:, None] - centre) / spread
        fitted = self._fit_sum(
            X, lambda rows: _squared_error(values[rows], weight[rows]), unit, self.C
        )
        self._keep(fitted)
        self._rescale(spread, centre)

    def _values(self, X):
        return _additive(self, X)[:, 0]


def _restored_table(table, k, arrays, n_outputs):
    axes = tuple(
        restored_column(axis, arrays.get(f"table.{k}.edges.{side}"))
        for side, axis in enumerate(table["axes"])
    )
    shape = *(n_knots(axis) for axis in axes), n_outputs
    return PairTable(tuple(table["columns"]), axes, arrays[f"table.{k}"].reshape(shape))


def _additive(student, X):
    encoding = student.encoding_
    curves = encoding.adder(student.curves_, student.intercept_)
    tables = [table.reader(encoding) for table in student.tables_]

    def outputs(positions):
        return sum((table(positions) for table in tables), curves(positions))

    return encoding.fill(np.empty((X.shape[0], len(student.intercept_))), X, outputs)


def _distillation_objective(targets):
    terms, binary = targets.terms(), targets.n_classes == 2
    free = slice(1 if binary else 0, None)
    proba, weight = targets.mixed()
    prior = targets.prior()

    def margins(outputs):
        return margins_from_decision(outputs) if binary else outputs

    def loss(outputs):
        losses, gradient = weighted_loss(margins(outputs), terms)
        return losses, gradient[:, free]

    def hessian(outputs):
        product = weighted_hessian(margins(outputs), terms)
        return lambda direction: product(margins(direction))[:, free]

    near_solution = (proba + prior) / 2  # one-hot targets alone have no curvature
    return Objective(
        loss,
        lambda outputs: weighted_curvature(margins(outputs), terms)[:, free],
        hessian,
        weight,
        start=free_margins(prior),
        first_curvature=(weight[:, None] * near_solution * (1.0 - near_solution))[:, free],
    )


def _squared_error(values, weight):
    def loss(outputs):
        errors = outputs - values
        gradient = weight[:, None] * errors
        return np.sum(gradient * errors, axis=1) / 2, gradient

    return Objective(
        loss,
        lambda outputs: weight[:, None],
        lambda outputs: lambda direction: weight[:, None] * direction,
        weight,
        start=np.average(values, axis=0, weights=weight),
        first_curvature=weight[:, None],
    )
