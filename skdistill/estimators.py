"""The structure of the estimators that users pass: pipelines, samplers, frozen estimators."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from skdistill.columns import cell_values, is_frame, mix_rows, take_rows

__all__ = [
    "LastStep",
    "as_last_step_sees",
    "by_label",
    "differ",
    "frozen_steps_that_learn",
    "is_sampler",
    "last_step",
    "learns_from_y",
    "listed_members",
    "nested",
    "refuse_frozen",
    "reusable",
    "see_through",
    "seeds_of",
    "thawed",
    "transformers_of",
    "weight_params",
]

#: What pandas and polars put before the number of a column without a name.
UNNAMED = ("", "column_")

#: Mixed rows whose transformed cells must be those of the single rows.
PROBE_ROWS = 256

#: Rows and number of permutations with which transformers are tested for learning from y.
REFITTED_ROWS, PERMUTATIONS = 5_000, 8

#: Larger tables are not examined.
MAX_CELLS = 50_000_000


def last_step(estimator):
    """Return the estimator that does the predicting: the last step of pipelines, thawed."""
    while isinstance(estimator, Pipeline | FrozenEstimator):
        estimator = _inner(estimator)
    return estimator


def as_last_step_sees(estimator, X):
    """Return X as transformed by the steps before the last one of a fitted pipeline.

    Samplers change rows in fit only.
    """
    while isinstance(estimator, Pipeline | FrozenEstimator):
        for _, step in transformers_of(estimator):
            X = step.transform(X)
        estimator = _inner(estimator)
    return X


def transformers_of(pipeline):
    """List the names and steps in front of a pipeline's last one that transform rows."""
    steps = pipeline.steps[:-1] if isinstance(pipeline, Pipeline) else []
    idle = (None, "passthrough")
    return [pair for pair in steps if pair[1] not in idle and not is_sampler(pair[1])]


def is_sampler(step):
    """Tell whether a step of a pipeline changes rows, as imbalanced-learn's samplers do."""
    return hasattr(step, "fit_resample")


def listed_members(members):
    """List what an ensemble is made of: one model, a list or an array of models.

    NumPy takes a pipeline for a list of its steps. Members that were dropped are left out.
    """
    if isinstance(members, np.ndarray):
        members = members.ravel().tolist()
    members = members if isinstance(members, list | tuple) else [members]
    return [member for member in members if not isinstance(member, str | None)]


def by_label(estimator, proba, labels):
    """Put the probabilities of a classifier in the order of its classes.

    Parameters
    ----------
    estimator : estimator
        The classifier, for messages.
    proba : array-like or data frame
        What its ``predict_proba`` returned. The columns of a frame are matched by name.
    labels : ndarray of shape (n_labels,)
        The classes.

    Returns
    -------
    proba : ndarray
        Float64.

    Raises
    ------
    ValueError
        If the columns of a frame have names that are not the classes.
    """
    if not is_frame(proba):
        return np.asarray(proba, dtype=np.float64)
    names, wanted = [str(name) for name in proba.columns], [str(label) for label in labels.tolist()]
    values = np.asarray(proba.to_numpy(), dtype=np.float64)
    has_no_names = names in ([f"{prefix}{j}" for j in range(len(names))] for prefix in UNNAMED)
    if names == wanted or (has_no_names and not set(names) & set(wanted)):
        return values
    if sorted(names) != sorted(wanted):
        raise ValueError(
            f"predict_proba of {type(last_step(estimator)).__name__} returned a data frame with "
            f"the columns {names}; its classes_ are {wanted}. Wrap the model so that it returns "
            "one column for every class, with the class as its name, or an array in the order of "
            "classes_."
        )
    return values[:, [names.index(label) for label in wanted]]


def refuse_frozen(estimator, name):
    """Refuse an estimator that will be fitted if its last step is frozen.

    Raises
    ------
    TypeError
        If it is, with what to pass instead.
    """
    last = estimator
    while isinstance(last, Pipeline):
        last = last.steps[-1][1]
    if isinstance(last, FrozenEstimator):
        raise TypeError(
            f"{name} is {estimator!r}. A frozen estimator is not changed by fit, but it must be "
            "fitted here. Pass it without FrozenEstimator: a clone is fitted, it is not changed."
        )


def nested(params, name):
    """Take the parameters of a part, ``name__...``, out of those of the whole, without prefix."""
    prefix = f"{name}__"
    return {k.removeprefix(prefix): params.pop(k) for k in list(params) if k.startswith(prefix)}


def reusable(cv):
    """Return folds that can be used more than once: an iterator can be read once."""
    return list(cv) if isinstance(cv, Iterator) else cv


def seeds_of(estimator):
    """Return every ``random_state`` among the parameters of an estimator, by name, sorted."""
    params = estimator.get_params()
    return {name: params[name] for name in sorted(params) if name.split("__")[-1] == "random_state"}


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
        samplers = [type(step).__name__ for _, step in last.steps[:-1] if is_sampler(step)]
        if samplers:
            raise TypeError(
                f"The pipeline has {samplers[0]}, which changes the rows, and weights "
                "(sample_weight or class_weight) were given, which belong to the rows before. Pass "
                "no weights, or fit the pipeline without that step."
            )
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
    exchanged between rows. Columns are exchanged in groups, those that have a binary digit of
    their number and those that lack it: one that depends on a single column changes with one of
    each two groups, and these spell its number. Then mixed rows are transformed and compared with
    mixtures of transformed rows.
    """
    n_columns = X.shape[1]
    table = as_last_step_sees(estimator, X)
    if table is X:
        return LastStep(last_step(estimator), table, np.arange(n_columns), n_columns)
    if np.prod(table.shape) > MAX_CELLS:
        return None
    table = table.toarray() if sp.issparse(table) else table
    seen = _cells(table)
    rows = np.arange(len(seen))[:, None]
    owner = np.zeros(seen.shape[1], dtype=int)  # 0 for what is the same in all rows
    for digit in range((n_columns - 1).bit_length()):
        has_it = np.arange(n_columns) >> digit & 1 == 1
        with_it, without = (
            differ(_cells_of_mixed(estimator, X, np.where(group, np.roll(rows, 1), rows)), seen)
            for group in (has_it, ~has_it)
        )
        if (with_it.any(axis=0) & without.any(axis=0)).any():
            return None
        owner += with_it.any(axis=0) << digit
    mixed = np.random.RandomState(0).randint(len(seen), size=(PROBE_ROWS, n_columns))
    expected = seen[mixed[:, owner], np.arange(len(owner))]
    if differ(_cells_of_mixed(estimator, X, mixed), expected).any():
        return None
    return LastStep(last_step(estimator), table, owner, n_columns)


def learns_from_y(pipeline, X, y):
    """Tell whether a step in front of the last one learns from y, or changes rows in fit.

    The last step was fitted on columns that depend on every row's own class, so that out-of-bag
    predictions of a forest are not honest.

    Parameters
    ----------
    pipeline : estimator
        A pipeline, fitted or not; other estimators have no such step.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows to fit clones of the steps on.
    y : ndarray of shape (n_samples,)
        Their classes or values.

    Returns
    -------
    learns : bool
        True also where this is unknown: for steps that draw random numbers without a seed, or that
        cannot be fitted again.

    Notes
    -----
    Clones of the steps are fitted to y and to y in another order; without it they are the same.
    """
    steps = []
    while isinstance(pipeline, Pipeline | FrozenEstimator):
        if any(is_sampler(step) for _, step in getattr(pipeline, "steps", ())[:-1]):
            return True
        steps += [thawed(step) for _, step in transformers_of(pipeline)]  # which may know y
        pipeline = _inner(pipeline)
    if not steps:
        return False
    if any(_needs_y(step) for step in steps):
        return True
    random = np.random.RandomState(0)
    some = np.sort(random.permutation(len(y))[:REFITTED_ROWS])
    X, y = take_rows(X, some), np.asarray(y)[some]
    y = y if (y != y[0]).any() else random.randint(2, size=len(y))
    try:
        seen = _seen_behind(steps, X, y)
        for _ in range(PERMUTATIONS):  # a selection of columns may stay the same by chance
            other = _seen_behind(steps, X, random.permutation(y))
            if seen.shape != other.shape or differ(seen, other).any():
                return True
    except (TypeError, ValueError):
        return True
    return False


def frozen_steps_that_learn(pipeline, X, y):
    """Name the steps of a pipeline that learn from y, but are frozen: no clone is fitted again.

    Parameters
    ----------
    pipeline, X, y
        See `learns_from_y`.

    Returns
    -------
    names : list of str
        Empty where nothing in front of the last step is frozen.
    """
    names, steps = [], []
    for name, step in transformers_of(pipeline):
        before, steps = steps, [*steps, (name, step)]
        if isinstance(step, FrozenEstimator):
            with_step, without = (Pipeline([*some, ("last", None)]) for some in (steps, before))
            learns = learns_from_y(with_step, X, y) and (
                _needs_y(thawed(step)) or not learns_from_y(without, X, y)
            )
            names += [name] * learns
    return names


def thawed(step):
    """Return the estimator within frozen ones."""
    while isinstance(step, FrozenEstimator):
        step = step.estimator
    return step


def _needs_y(step):
    return hasattr(step, "__sklearn_tags__") and get_tags(step).target_tags.required


def _inner(estimator):
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator.steps[-1][1]


def _seen_behind(steps, X, y):
    """Return cells as they come out of clones of some transformers that are fitted to y."""
    for step in steps:
        X = clone(step).fit(X, y).transform(X)
    return _cells(X.toarray() if sp.issparse(X) else X)


def _cells_of_mixed(estimator, X, source):
    table = as_last_step_sees(estimator, mix_rows(X, source))
    return _cells(table.toarray() if sp.issparse(table) else table)


def _cells(table):
    return table if isinstance(table, np.ndarray) else cell_values(table)


def differ(a, b):
    """Compare cells; missing ones are equal."""
    return (a != b) & ~((a != a) & (b != b))
