"""HistGradientBoostingClassifier and HistGradientBoostingRegressor of scikit-learn."""

import copy

import numpy as np
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from skdistill.teacher.vendors.base import CATEGORICAL_CURE
from skdistill.teacher.vendors.scikit_learn import ScikitLearn
from skdistill.teacher.vendors.trees import (
    MOST_COUNTED,
    LeafCounts,
    TreeNodes,
    counted,
    join_nodes,
    spread,
)

#: Decimals of what a tree adds to the scores by which its leaves are told apart.
DECIMALS = 10


class HistogramBoosting(ScikitLearn):
    """Histogram gradient boosting, whose trees and leaves scikit-learn hides."""

    classes = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
    text_cure = f"{CATEGORICAL_CURE}."

    def leaves(self, model, X):
        """Tell leaves apart by what trees add to the scores; those that add the same are one."""
        if not hasattr(model, "staged_decision_function"):
            return None
        scores = np.stack([s.reshape(X.shape[0], -1) for s in model.staged_decision_function(X)])
        added = np.concatenate([scores[:1], np.diff(scores, axis=0)])
        trees = added.transpose(1, 0, 2).reshape(X.shape[0], -1)
        return (trees.round(DECIMALS).astype(np.float32) + 0.0).view(np.int32)

    def tree_nodes(self, model):
        nominal = model.is_categorical_
        nominal = np.zeros(model.n_features_in_, bool) if nominal is None else nominal
        order = np.argsort(~nominal, kind="stable")  # the trees see nominal columns first
        levels = {}
        if nominal.any():
            encoder = model._preprocessor.named_transformers_["encoder"]
            levels = dict(enumerate(list(known) for known in encoder.categories_))
        return join_nodes([_nodes_of(tree, levels) for tree in _trees(model)]).on_columns(order)

    def leaf_counts(self, model, X, codes):
        """Have the predictors of trees, whose values are replaced by numbers, name the leaves."""
        X = model._preprocess_X(X, reset=False)
        bitsets = model._bin_mapper.make_known_categories_bitsets()
        share = 1 - model.validation_fraction if model.do_early_stopping_ else 1.0
        trees = _trees(model)
        for tree in (trees[i] for i in spread(len(trees), MOST_COUNTED)):
            nodes = tree.nodes.copy()
            nodes["value"] = np.arange(len(nodes))
            numbered = type(tree)(nodes, tree.binned_left_cat_bitsets, tree.raw_left_cat_bitsets)
            leaf = numbered.predict(X, *bitsets, 1).astype(int)
            is_leaf = nodes["is_leaf"].astype(bool)
            found = counted(leaf, len(nodes), codes)[is_leaf]
            remembered = nodes["count"][is_leaf].astype(np.float64)
            yield LeafCounts(remembered, found, is_count=True, share=share)

    def grows_on_bins(self, model):
        return True

    def grows(self, model):
        return is_classifier(model)

    def why_not_on_other_rows(self, model):
        """Say that rows are binned anew."""
        return (
            "HistGradientBoostingClassifier cannot grow on other rows than it began with: "
            "scikit-learn bins them anew. For rows that come in batches use "
            "GradientBoostingClassifier, XGBoost, LightGBM, CatBoost or a forest."
        )

    def size_name(self, model):
        return "max_iter"

    def n_trees(self, model):
        return model.n_iter_

    def first_trees(self, model, n_trees):
        young = copy.copy(model)
        young._predictors = model._predictors[:n_trees]
        return young


def _trees(model):
    return [tree for iteration in model._predictors for tree in iteration]


def _nodes_of(tree, levels):
    nodes = tree.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    is_nominal = nodes["is_categorical"].astype(bool) & ~is_leaf
    bits = [np.unpackbits(b.view(np.uint8), bitorder="little") for b in tree.raw_left_cat_bitsets]
    left = {
        int(i): np.flatnonzero(bits[nodes["bitset_idx"][i]]) for i in np.flatnonzero(is_nominal)
    }
    return TreeNodes(
        np.zeros(1, dtype=np.int64),
        np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        np.where(is_leaf, 0, nodes["feature_idx"]),
        np.where(is_leaf | is_nominal, np.nan, nodes["num_threshold"]),
        nodes["count"].astype(np.float64),
        left,
        levels,
    )
