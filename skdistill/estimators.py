"""A look inside the estimators that users pass: pipelines, frozen ones, fitted ones."""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdistill.columns import as_documented_table, cell_values, mix_rows

__all__ = [
    "LastStep",
    "as_last_step_sees",
    "as_taken",
    "ask",
    "fit_on_documented",
    "fitted_or_clone",
    "is_fitted",
    "is_fitted_instance",
    "last_step",
    "n_columns_of",
    "names_of",
    "package_of",
    "see_through",
    "seeds_of",
    "unfitted",
    "weight_params",
    "with_seeds",
]

#: Packages whose models need attention of their own, also where users derive classes from them.
VENDORS = ("catboost", "lightgbm", "xgboost")

#: Mixed rows on which what is seen has to be the mix of what is seen of single rows.
PROBE_ROWS = 256

#: Tables of more cells are not looked at.
MAX_CELLS = 50_000_000


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
    """Return the name of the package that an estimator's class, or its vendor's, comes from."""
    packages = [each.__module__.partition(".")[0] for each in type(estimator).__mro__]
    return next((package for package in packages if package in VENDORS), packages[0])


def ask(estimator, method, X, **options):
    """Ask a fitted estimator, and have its last step see no table that it does not document.

    Parameters
    ----------
    estimator : estimator
        A fitted one, or a pipeline that ends in one.
    method : str
        Name of the method that answers, such as "predict_proba".
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows as the estimator takes them.
    **options : dict
        Other arguments of the method.

    Returns
    -------
    answers : ndarray
        What the method returns.
    """
    last = last_step(estimator)
    if not _hands_rows_to_lightgbm(last):
        return getattr(estimator, method)(X, **options)
    return getattr(last, method)(as_taken(last, as_last_step_sees(estimator, X)), **options)


def as_taken(estimator, X):
    """Return rows in a table that an estimator documents, see `as_documented_table`.

    Parameters
    ----------
    estimator : estimator
        The step that sees the rows. LightGBM, alone or as what a voting, stacking, bagging or
        calibrated classifier hands its rows to, ends the process on some frames.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    table : array-like, sparse matrix or data frame
        X itself for all but LightGBM.
    """
    return as_documented_table(X) if _hands_rows_to_lightgbm(estimator) else X


def fit_on_documented(estimator, X, y, **params):
    """Fit an estimator in place; LightGBM sees its rows in a table that it documents.

    Parameters
    ----------
    estimator : estimator
        Not fitted. In a Pipeline the last step may be LightGBM.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows.
    y : ndarray of shape (n_samples,)
        Classes or values.
    **params : dict
        What else ``fit`` takes.
    """
    if not (isinstance(estimator, Pipeline) and _hands_rows_to_lightgbm(last_step(estimator))):
        estimator.fit(as_taken(estimator, X), y, **params)
        return
    name = "skdistill_documented_table"
    estimator.steps.insert(-1, (name, _DocumentedTable()))  # behind what changes the rows
    estimator.fit(X, y, **params)
    del estimator.steps[-2]


class _DocumentedTable(TransformerMixin, BaseEstimator):
    """Hands rows on in a table that LightGBM documents."""

    def fit(self, X, y=None):
        """Do nothing."""
        return self

    def transform(self, X):
        """Convert a table."""
        return as_documented_table(X)

    def __sklearn_is_fitted__(self):
        return True


def _hands_rows_to_lightgbm(part):
    """Tell whether an estimator, or a part of it that sees the same rows, is LightGBM."""
    if isinstance(part, list | tuple):
        return any(map(_hands_rows_to_lightgbm, part))
    if package_of(part) == "lightgbm":
        return True
    if isinstance(part, Pipeline):
        *before, (_, last) = part.steps
        is_bare = all(step in (None, "passthrough") for _, step in before)
        return is_bare and _hands_rows_to_lightgbm(last)
    # Several teachers are asked one by one.
    if not isinstance(part, BaseEstimator) or hasattr(part, "members_in_use"):
        return False
    return any(map(_hands_rows_to_lightgbm, part.get_params(deep=False).values()))


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


def is_fitted_instance(value):
    """Tell whether what a user passed, which may be anything, is a fitted estimator."""
    return hasattr(value, "fit") and not isinstance(value, type) and is_fitted(value)


def unfitted(estimator):
    """Return an unfitted clone, also of a frozen estimator.

    Raises
    ------
    TypeError
        If CatBoost within it has a parameter that scikit-learn cannot clone.
    """
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    if package_of(estimator) == "catboost":  # copies lists, which scikit-learn takes for a fault
        return type(estimator)(**estimator.get_params())
    try:
        return clone(estimator)
    except RuntimeError as error:
        if "CatBoost" not in str(error):
            raise
        raise TypeError(
            f"scikit-learn cannot clone CatBoost within {type(estimator).__name__} while one of "
            f"its parameters is a list or an array ({error}). Use a tuple, such as "
            "cat_features=('colour', 'size')."
        ) from error


def fitted_or_clone(part):
    """Return what a clone of an estimator has as this part: itself if fitted, else a clone."""
    if is_fitted_instance(part):
        return part
    is_bare = hasattr(part, "fit") and not isinstance(part, type | FrozenEstimator)
    return unfitted(part) if is_bare else clone(part, safe=False)


def n_columns_of(estimator):
    """Return on how many columns an estimator was fitted, None if it does not know."""
    bare = _without_shell(estimator)
    if package_of(bare) == "catboost":
        return len(bare.feature_names_)
    return getattr(bare, "n_features_in_", None) or None  # a copy of CatBoost within it says 0


def names_of(estimator):
    """Return the names of the columns that an estimator was fitted on, None if it had none."""
    bare = _without_shell(estimator)
    names = getattr(bare, "feature_names_in_", None)
    names = getattr(bare, "feature_names_", None) if names is None else names
    if names is None:
        return None
    names = [str(name) for name in names]
    made_up = ([f"Column_{j}" for j in range(len(names))], [str(j) for j in range(len(names))])
    return None if names in made_up else names


def _without_shell(estimator):
    """Take an estimator out of frozen ones, and of pipelines of one step."""
    while isinstance(estimator, FrozenEstimator) or (
        isinstance(estimator, Pipeline) and len(estimator.steps) == 1
    ):
        is_frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if is_frozen else estimator.steps[0][1]
    return estimator


def seeds_of(estimator):
    """Return every ``random_state`` among the parameters of an estimator, by name, sorted."""
    params = estimator.get_params()
    return {name: params[name] for name in sorted(params) if name.split("__")[-1] == "random_state"}


def with_seeds(estimator, random_state):
    """Fill every ``random_state`` of an unfitted estimator that is None, but of no fitted part."""
    params = estimator.get_params()
    empty = [
        name
        for name, seed in seeds_of(estimator).items()
        if seed is None and not is_fitted_instance(params.get(name.rpartition("__")[0]))
    ]
    seeds = {name: int(random_state.randint(2**31 - 1)) for name in empty}
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


@dataclass(frozen=True)
class LastStep:
    """The step of a model that answers, and rows as it sees them.

    Attributes
    ----------
    estimator : estimator
        The last step, or the model itself.
    table : ndarray or data frame of shape (n_rows, n_seen)
        The rows behind the transformers.
    owner : ndarray of shape (n_seen,)
        The user's column that each column of the table is made of.
    n_columns : int
        Number of the user's columns.
    """

    estimator: Any
    table: Any
    owner: np.ndarray
    n_columns: int


def see_through(estimator, X):
    """Find the step that answers, if every column that it sees is made of one of the user's.

    Parameters
    ----------
    estimator : estimator
        A fitted model.
    X : ndarray or data frame of shape (n_rows, n_columns)
        Rows as the model takes them.

    Returns
    -------
    last : LastStep or None
        None if there are transformers that do not treat every column by itself. A model without
        transformers is its own last step.

    Notes
    -----
    A column that is seen belongs to the user's columns that change it when they alone are
    exchanged between rows. Where that is one for each, mixed rows are transformed and compared
    with mixtures of transformed rows.
    """
    n_columns = X.shape[1]
    table = as_last_step_sees(estimator, X)
    if table is X:
        return LastStep(last_step(estimator), table, np.arange(n_columns), n_columns)
    if np.prod(table.shape) > MAX_CELLS:
        return None
    table = table.toarray() if sp.issparse(table) else table
    seen = _cells(table)
    rows = np.arange(len(seen))
    changed = np.zeros((n_columns, seen.shape[1]), dtype=bool)
    for j in range(n_columns):
        source = np.repeat(rows[:, None], n_columns, axis=1)
        source[:, j] = np.roll(rows, 1)
        changed[j] = _differ(_cells_of_mixed(estimator, X, source), seen).any(axis=0)
    if (changed.sum(axis=0) > 1).any():
        return None
    owner = changed.argmax(axis=0)  # 0 for what is the same in all rows: it adds nothing
    mixed = np.random.RandomState(0).randint(len(rows), size=(PROBE_ROWS, n_columns))
    expected = seen[mixed[:, owner], np.arange(len(owner))]
    if _differ(_cells_of_mixed(estimator, X, mixed), expected).any():
        return None
    return LastStep(last_step(estimator), table, owner, n_columns)


def _cells_of_mixed(estimator, X, source):
    table = as_last_step_sees(estimator, mix_rows(X, source))
    return _cells(table.toarray() if sp.issparse(table) else table)


def _cells(table):
    return table if isinstance(table, np.ndarray) else cell_values(table)


def _differ(a, b):
    """Compare cells; missing ones are equal."""
    return (a != b) & ~((a != a) & (b != b))
