"""How many rows the leaves of fitted trees remember, and how many of some rows fall into them."""

import json
from dataclasses import dataclass, replace

import numpy as np
from sklearn.ensemble import AdaBoostRegressor
from sklearn.tree import BaseDecisionTree

from skdistill.estimators import (
    as_last_step_sees,
    as_taken,
    last_step,
    learns_from_y,
    listed_members,
    package_of,
)
from skdistill.teacher.honest import BAGGINGS, FORESTS, as_tree_input, member_input
from skdistill.teacher.leaves import spread
from skdistill.teacher.tree_nodes import catboost_as_json

#: Trees of an ensemble whose leaves are counted.
MOST_TREES = 32

#: Rows that the smallest leaf may have for the Hessian of a single row to be found.
MOST_ROWS_OF_SMALLEST = 50

#: What wrappers call the models that they have fitted on the rows, or on a part of them.
_PARTS = ("calibrated_classifiers_", "estimators_", "best_estimator_", "estimator_", "regressor_")


@dataclass(frozen=True)
class LeafCounts:
    """How many rows there are in every leaf of some trees.

    Attributes
    ----------
    remembered : ndarray of shape (n_leaves,)
        Rows of the fit, or a sum of their weights, in any unit.
    found : ndarray of shape (n_leaves, n_classes)
        Rows in question, by class.
    is_count : bool
        Whether what is remembered are numbers of rows, not sums of weights.
    is_comparable : bool, default=True
        Whether rows of a class weigh the same, if the user gave them no weights.
    share : float or None, default=None
        Share of the rows of the fit that the tree was grown on, if that and their numbers are
        known.
    """

    remembered: np.ndarray
    found: np.ndarray
    is_count: bool
    is_comparable: bool = True
    share: float | None = None

    @property
    def n_remembered(self):
        """Number of rows that the tree was grown on, or the sum of their weights."""
        return self.remembered.sum()


def leaf_counts(model, X, codes, share=1.0):
    """Yield the leaves of the trees of a model, and of models within; none if there are none.

    `share` is that of the rows of the fit which the model was fitted on, None if it is not known
    or if the rows, as the model sees them, were others in fit.
    """
    if learns_from_y(model, X, codes):
        share = None
    X, model = as_last_step_sees(model, X), last_step(model)
    X = as_taken(model, X)
    reader = _READERS.get(package_of(model))
    if isinstance(model, BaseDecisionTree):
        trees = [of_tree(model, as_tree_input(X), codes, share)]
    elif hasattr(model, "_predictors"):
        trees = _of_histogram_boosting(model, X, codes)
    elif reader is not None and hasattr(model, "get_params"):
        trees = reader(model, X, codes)
    else:
        parts, share = parts_of(model, X), _share_of_parts(model, share)
        trees = (tree for part in parts for tree in leaf_counts(*part, codes, share))
        if isinstance(model, FORESTS + BAGGINGS) and share is not None:
            trees = (replace(t, share=t.n_remembered / model._n_samples) for t in trees)
    yield from (trees if share is not None else (replace(tree, share=None) for tree in trees))


def _share_of_parts(model, share):
    """Return the share of a model's rows that its parts were fitted on; 1 for bags, for now."""
    draws_rows = hasattr(model, "calibrated_classifiers_") or hasattr(model, "samplers_")
    if share is None or draws_rows or isinstance(model, AdaBoostRegressor):
        return None
    if isinstance(model, FORESTS + BAGGINGS):
        return share if isinstance(model.estimators_[0], BaseDecisionTree) else None
    if getattr(model, "n_iter_no_change", None) is not None:
        return share * (1 - model.validation_fraction)
    return share * getattr(model, "subsample", 1.0)


def parts_of(model, X):
    """List models within a model, with the rows as they see them."""
    name = next((name for name in _PARTS if hasattr(model, name)), None)
    if name is None:
        return []
    parts = listed_members(getattr(model, name))
    if name == "calibrated_classifiers_":
        parts = [part.estimator for part in parts]
    columns = getattr(model, "estimators_features_", None)
    if isinstance(model, FORESTS + BAGGINGS):
        X = member_input(model, X)
    elif name == "estimator_" and hasattr(model, "support_"):  # of a choice of columns, as in RFE
        X = model.transform(X)
    chosen = spread(len(parts), MOST_TREES)
    return [(parts[i], X if columns is None else X[:, columns[i]]) for i in chosen]


def of_tree(tree, matrix, codes, share=1.0):
    """Count the rows in the leaves of one tree of scikit-learn."""
    is_leaf = tree.tree_.children_left < 0
    found = _counted(tree.tree_.apply(matrix), len(is_leaf), codes)
    remembered = tree.tree_.n_node_samples[is_leaf].astype(np.float64)
    return LeafCounts(remembered, found[is_leaf], is_count=True, share=share)


def _of_histogram_boosting(model, X, codes):
    """Have the predictors of trees, whose values are replaced by numbers, name the leaves."""
    X = model._preprocess_X(X, reset=False)
    bitsets = model._bin_mapper.make_known_categories_bitsets()
    share = 1 - model.validation_fraction if model.do_early_stopping_ else 1.0
    trees = [tree for iteration in model._predictors for tree in iteration]
    for tree in (trees[i] for i in spread(len(trees), MOST_TREES)):
        nodes = tree.nodes.copy()
        nodes["value"] = np.arange(len(nodes))
        numbered = type(tree)(nodes, tree.binned_left_cat_bitsets, tree.raw_left_cat_bitsets)
        leaf = numbered.predict(X, *bitsets, 1).astype(int)
        is_leaf = nodes["is_leaf"].astype(bool)
        found = _counted(leaf, len(nodes), codes)[is_leaf]
        remembered = nodes["count"][is_leaf].astype(np.float64)
        yield LeafCounts(remembered, found, is_count=True, share=share)


def _of_lightgbm(model, X, codes):
    number = min(MOST_TREES, model.booster_.current_iteration())
    dump = model.booster_.dump_model(num_iteration=number)["tree_info"]
    leaves = model.predict(X, pred_leaf=True, num_iteration=number).reshape(X.shape[0], -1)
    share = None if _samples_rows(model.booster_) else 1.0
    for tree, leaf in zip(dump, leaves.T, strict=True):
        found = _nested(tree["tree_structure"], "leaf_index", "leaf_count")
        if len(found) > 1:
            counts = _counted(leaf, len(found), codes)
            yield LeafCounts(_as_array(found), counts, is_count=True, share=share)


def _samples_rows(booster):
    """Tell whether a LightGBM booster has drawn rows; it writes parameters without aliases."""
    written = booster.model_to_string(num_iteration=1).partition("\nparameters:")[2]
    lines = (line.strip("[]").partition(": ") for line in written.splitlines())
    params = {name: value for name, _, value in lines}
    fractions = [f"{part}bagging_fraction" for part in ("", "pos_", "neg_")]
    bags = params.get("bagging_freq", "0") != "0" and any(
        float(params.get(name, 1)) < 1 for name in fractions
    )
    return bags or "goss" in (params.get("boosting"), params.get("data_sample_strategy"))


def _of_xgboost(model, X, codes):
    """Read covers, sums of Hessians: in the first round those of all rows of a class are equal."""
    if model.get_params().get("booster") == "gblinear":
        return
    booster = model.get_booster()
    number = min(MOST_TREES, booster.num_boosted_rounds())
    dumps = booster[:number].get_dump(dump_format="json", with_stats=True)
    leaves = model.apply(X, iteration_range=(0, number))
    of_first = len(dumps) // number
    params = model.get_params()
    is_plain = all(params.get(name) in (None, 1) for name in ("subsample", "scale_pos_weight"))
    leaves = leaves.reshape(X.shape[0], -1).astype(int).T
    for tree, (dump, leaf) in enumerate(zip(dumps, leaves, strict=True)):
        covers = _nested(json.loads(dump), "nodeid", "cover", is_leaf="leaf")
        found = _counted(leaf, max(covers) + 1, codes)[sorted(covers)]
        covers, is_first = _as_array(covers), tree < of_first
        rows = _as_numbers_of_rows(covers, found.sum(axis=1)) if is_first and is_plain else None
        if rows is None:
            yield LeafCounts(covers, found, is_count=False, is_comparable=is_first)
        else:
            yield LeafCounts(rows, found, is_count=True, share=1.0)


def _as_numbers_of_rows(covers, found):
    """Divide covers by the Hessian of one row; return None if rows may have had weights."""
    for of_smallest in range(1, MOST_ROWS_OF_SMALLEST + 1):
        rows = covers * of_smallest / covers.min()
        if np.abs(rows - rows.round()).max() < 0.02:
            return rows.round() if _are_numbers_of_rows(rows.round(), found) else None
    return None


def _are_numbers_of_rows(weights, found):
    """Tell whether sums of weights can be nothing but numbers of rows.

    Whole weights give whole numbers, too, but never a leaf with more rows than its number.
    """
    return np.array_equal(weights, weights.round()) and (found > weights).any()


def _of_catboost(model, X, codes):
    """Read the sums of the weights of rows, which do not depend on what was sampled."""
    weights = _catboost_weights(model)
    leaves = np.asarray(model.calc_leaf_indexes(X))
    for tree in spread(len(weights), MOST_TREES):
        found = _counted(leaves[:, tree], len(weights[tree]), codes)
        remembered = weights[tree].astype(np.float64)
        is_count = _are_numbers_of_rows(remembered, found.sum(axis=1))
        share = 1.0 if is_count else None
        yield LeafCounts(remembered, found, is_count, share=share)


def _catboost_weights(model):
    written = catboost_as_json(model)
    if "oblivious_trees" in written:
        return [np.array(tree["leaf_weights"]) for tree in written["oblivious_trees"]]
    if hasattr(model, "classes_") and len(model.classes_) > 2:
        return []  # get_leaf_weights fails, and the file has them in another order
    return np.split(model.get_leaf_weights(), np.cumsum(model.get_tree_leaf_counts())[:-1])


_READERS = {"lightgbm": _of_lightgbm, "xgboost": _of_xgboost, "catboost": _of_catboost}


def _nested(tree, number, remembered, is_leaf=None):
    """Return what the leaves of a nested tree remember, by their numbers."""
    found, stack = {}, [tree]
    while stack:
        node = stack.pop()
        if (is_leaf or number) in node:
            found[node[number]] = node[remembered]
        children = [node[side] for side in ("left_child", "right_child") if side in node]
        stack += [*children, *node.get("children", ())]
    return found


def _as_array(by_number):
    return np.array([by_number[number] for number in sorted(by_number)], dtype=np.float64)


def _counted(leaf, n_leaves, codes):
    """Count rows of every class by leaf."""
    n_classes = codes.max() + 1
    counts = np.bincount(leaf * n_classes + codes, minlength=n_leaves * n_classes)
    return counts.reshape(n_leaves, n_classes).astype(np.float64)
