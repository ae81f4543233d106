"""CatBoost."""

import json
import os
import tempfile

import numpy as np

from skdistill.teacher.vendors.base import Booster
from skdistill.teacher.vendors.trees import (
    MOST_COUNTED,
    LeafCounts,
    are_numbers_of_rows,
    counted,
    nodes_of_nested,
    spread,
)


class CatBoost(Booster):
    """CatBoostClassifier, CatBoostRegressor and what users derive from them."""

    package = "catboost"
    title = "CatBoost"
    raw_score_options = {"prediction_type": "RawFormulaVal"}
    text_cure = "Name them in its constructor, cat_features=('colour', 'size'): as a tuple."
    clone_cure = "Use a tuple, such as cat_features=('colour', 'size')."
    made_up_names = "{}"
    round_names = ("n_estimators", "num_boost_round", "num_trees", "iterations")
    stop_names = ("use_best_model", "early_stopping_rounds", "od_wait", "od_pval")

    def is_fitted(self, model):
        """Ask the model, which has no attributes that end in an underscore before."""
        return model.is_fitted()

    def unfitted(self, model):
        """Make a model of the same parameters; `clone` refuses it because it copies lists."""
        return type(model)(**model.get_params())

    def n_columns(self, model):
        """Count the names of the columns, which it makes up if there are none."""
        return len(model.feature_names_)

    def names(self, model):
        return model.feature_names_

    def size_in_words(self, model):
        return f"{model.tree_count_:,} trees" if model.tree_count_ else ""

    def leaves(self, model, X):
        return model.calc_leaf_indexes(X)

    def tree_nodes(self, model):
        """Read the trees from the model as JSON, if they are symmetric and without categories."""
        written = _as_json(model)
        columns = [f["flat_feature_index"] for f in written["features_info"]["float_features"]]
        has_categories = written["features_info"].get("categorical_features")
        if "oblivious_trees" not in written or has_categories:
            raise TypeError(
                "The trees of this CatBoost model are not read: only symmetric trees over numeric "
                "columns are, grow_policy='SymmetricTree' without cat_features."
            )

        def split(node):
            weights, splits = node
            if len(weights) == 1:
                return None, weights[0]
            top = splits[-1]  # the last split is the highest bit of a leaf's number
            half = len(weights) // 2
            children = (weights[:half], splits[:-1]), (weights[half:], splits[:-1])
            column, border = columns[top["float_feature_index"]], top["border"]
            return (column, border, None, *children), sum(weights)

        trees = [(tree["leaf_weights"], tree["splits"]) for tree in written["oblivious_trees"]]
        return nodes_of_nested(trees, split, {}, {})

    def leaf_counts(self, model, X, codes):
        """Read the sums of the weights of rows, which do not depend on what was sampled."""
        weights = _leaf_weights(model)
        leaves = np.asarray(model.calc_leaf_indexes(X))
        for tree in spread(len(weights), MOST_COUNTED):
            found = counted(leaves[:, tree], len(weights[tree]), codes)
            remembered = weights[tree].astype(np.float64)
            is_count = are_numbers_of_rows(remembered, found.sum(axis=1))
            yield LeafCounts(remembered, found, is_count, share=1.0 if is_count else None)

    def why_not_on_other_rows(self, model):
        """Say that continued models with categories were seen to hang."""
        if not len(model.get_cat_feature_indices()):
            return ""
        return (
            "CatBoost with categories (cat_features) cannot grow on other rows here: models that "
            "were continued on other categories were seen to hang. Encode the categories in front "
            "of it, in a Pipeline, or use LightGBM or XGBoost."
        )

    def fits_without_held_out_rows(self, stopping):
        """Tell whether it only ignores that there is no evaluation set."""
        return "use_best_model" not in stopping

    def rounds_chosen(self, model):
        return None if model.best_iteration_ is None else model.tree_count_

    def n_rounds(self, model):
        return model.tree_count_

    def first_trees(self, model, n_trees):
        young = model.copy()
        young.shrink(ntree_end=n_trees)
        return young

    def begin_with(self, model):
        return {"init_model": model}


def _as_json(model):
    """Return what CatBoost writes of a fitted model, as a dict."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.json")
        model.save_model(path, format="json")
        with open(path, encoding="utf-8") as file:
            return json.load(file)


def _leaf_weights(model):
    written = _as_json(model)
    if "oblivious_trees" in written:
        return [np.array(tree["leaf_weights"]) for tree in written["oblivious_trees"]]
    if hasattr(model, "classes_") and len(model.classes_) > 2:
        return []  # get_leaf_weights fails, and the file has them in another order
    return np.split(model.get_leaf_weights(), np.cumsum(model.get_tree_leaf_counts())[:-1])
