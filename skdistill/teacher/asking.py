"""Ask, fit and clone the estimators that users pass, whoever their vendor is."""

from inspect import signature

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skdistill.columns import as_documented_table
from skdistill.estimators import as_last_step_sees, differ, last_step, seeds_of, thawed
from skdistill.teacher.vendors import VENDORS, vendor_of


def package_of(estimator):
    """Return the name of the package that an estimator's class, or its vendor's, comes from."""
    return vendor_of(estimator).package or type(estimator).__module__.partition(".")[0]


def ask(estimator, method, X, **options):
    """Ask a fitted estimator, and have its last step see no table that it does not document.

    `method` is the name of the method that answers, `options` are its other arguments.
    """
    last = last_step(estimator)
    if not _needs_documented_table(last):
        return getattr(estimator, method)(X, **options)
    return getattr(last, method)(as_taken(last, as_last_step_sees(estimator, X)), **options)


def as_taken(estimator, X):
    """Return rows in a table that an estimator documents; X itself for all but LightGBM.

    LightGBM, alone or as what a voting, stacking, bagging or calibrated classifier hands its rows
    to, ends the process on some frames, see `as_documented_table`.
    """
    return as_documented_table(X) if _needs_documented_table(estimator) else X


def fit_on_documented(estimator, X, y, **params):
    """Fit an estimator in place; LightGBM, maybe in a Pipeline, sees a table that it documents."""
    if not (isinstance(estimator, Pipeline) and _needs_documented_table(last_step(estimator))):
        estimator.fit(as_taken(estimator, X), y, **params)
        return
    name = "skdistill_documented_table"
    estimator.steps.insert(-1, (name, _DocumentedTable()))  # behind what changes the rows
    estimator.fit(X, y, **params)
    del estimator.steps[-2]


class _DocumentedTable(TransformerMixin, BaseEstimator):
    """Hands rows on in a table that is documented."""

    def fit(self, X, y=None):
        """Do nothing."""
        return self

    def transform(self, X):
        """Convert a table."""
        return as_documented_table(X)

    def __sklearn_is_fitted__(self):
        return True


def _needs_documented_table(part):
    """Tell whether the vendor of an estimator, or of a part that sees the same rows, needs one.

    Parts are found by parameter, not by `members_of`: an unfitted ensemble has no members yet.
    """
    if isinstance(part, list | tuple):
        return any(map(_needs_documented_table, part))
    if not isinstance(part, BaseEstimator):
        return False
    if vendor_of(part).needs_documented_table:
        return True
    if isinstance(part, Pipeline):
        *before, (_, last) = part.steps
        is_bare = all(step in (None, "passthrough") for _, step in before)
        return is_bare and _needs_documented_table(last)
    if hasattr(part, "lazy_members"):  # several teachers, which are asked one by one
        return False
    # Of merged EBMs some parameters are not set, so that get_params fails.
    params = (getattr(part, name, None) for name in signature(type(part)).parameters)
    return any(map(_needs_documented_table, params))


def is_fitted(estimator):
    """Tell whether an estimator is fitted; a pipeline is when its last step is."""
    last = last_step(estimator)
    return vendor_of(last).is_fitted(last)


def is_fitted_instance(value):
    """Tell whether what a user passed, which may be anything, is a fitted estimator."""
    return hasattr(value, "fit") and not isinstance(value, type) and is_fitted(value)


def unfitted(estimator):
    """Return an unfitted clone, also of a frozen estimator.

    If CatBoost within it has a parameter that scikit-learn cannot clone, the TypeError says what to
    do.
    """
    estimator = thawed(estimator)
    try:
        return vendor_of(estimator).unfitted(estimator)
    except RuntimeError as error:
        within = (each for each in VENDORS if each.clone_cure and each.title in str(error))
        vendor = next(within, None)
        if vendor is None:
            raise
        raise TypeError(
            f"scikit-learn cannot clone {vendor.title} within {type(estimator).__name__} while one "
            f"of its parameters is a list or an array ({error}). {vendor.clone_cure}"
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
    return vendor_of(bare).n_columns(bare)


def names_of(estimator):
    """Return the names of the columns that an estimator was fitted on, None if it had none."""
    bare = _without_shell(estimator)
    names = vendor_of(bare).names(bare)
    if names is None:
        return None
    names = [str(name) for name in names]
    formats = [each.made_up_names for each in VENDORS if each.made_up_names]
    made_up = ([made.format(j) for j in range(len(names))] for made in formats)
    return None if names in made_up else names  # a voting ensemble has those of a member


def _without_shell(estimator):
    """Take an estimator out of frozen ones, and of pipelines of one step."""
    while isinstance(estimator, FrozenEstimator) or (
        isinstance(estimator, Pipeline) and len(estimator.steps) == 1
    ):
        is_frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if is_frozen else estimator.steps[0][1]
    return estimator


def with_params(estimator, params):
    """Give a fitted estimator parameters: itself if it has them, else an unfitted clone with them.

    The names may be those of parts. A frozen estimator has the parameters of what is frozen, too,
    and stays frozen if only ``estimator`` is another. Unknown names raise a ValueError.
    """
    if isinstance(estimator, FrozenEstimator):
        others = dict(params)
        inner = others.pop("estimator", estimator.estimator)
        found = with_params(inner, others)
        if found is not inner:
            return found
        return estimator if inner is estimator.estimator else FrozenEstimator(inner)
    present = estimator.get_params()
    changed = _changed(params, present)
    if not changed:
        return estimator
    frozen = {name: part for name, part in present.items() if isinstance(part, FrozenEstimator)}
    own = {name: FrozenEstimator(part.estimator) for name, part in frozen.items()}
    return unfitted(estimator).set_params(**own).set_params(**changed)  # clones share frozen parts


def _changed(params, present):
    """Return the parameters that have another value at present, or are of a part that has."""
    changed = {}
    for name in sorted(params):  # parts before their own parameters
        is_of_another = any(name.startswith(f"{part}__") for part in changed)
        is_kept = name in present and _is_same(params[name], present[name])
        if is_of_another or not is_kept:
            changed[name] = params[name]
    return changed


def _is_same(a, b):
    """Tell whether two parameters are equal: of one type, arrays and NaN allowed for."""
    if a is b:
        return True
    a, b = (value.item() if isinstance(value, np.generic) else value for value in (a, b))
    if type(a) is not type(b) or isinstance(a, type):  # 1 is one column, 1.0 all of them
        return False
    if hasattr(a, "get_params"):
        is_fit = is_fitted_instance(a) or is_fitted_instance(b)
        return not is_fit and _is_same(a.get_params(deep=False), b.get_params(deep=False))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_is_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_is_same(a[key], b[key]) for key in a)
    try:
        if isinstance(a, np.ndarray):
            return a.dtype == b.dtype and a.shape == b.shape and not differ(a, b).any()
        return bool(a == b or (a != a and b != b))
    except (TypeError, ValueError):  # tables, and others that compare part by part
        return False


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
