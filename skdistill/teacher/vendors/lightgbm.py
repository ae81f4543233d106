"""LightGBM."""

from copy import copy

import numpy as np

from skdistill.teacher.vendors.base import Booster
from skdistill.teacher.vendors.trees import (
    MOST_COUNTED,
    LeafCounts,
    counted,
    in_order,
    leaves_of_nested,
    nodes_of_nested,
)


class LightGBM(Booster):
    """LGBMClassifier, LGBMRegressor and what users derive from them."""

    package = "lightgbm"
    title = "LightGBM"
    raw_score_options = {"raw_score": True}
    needs_documented_table = True
    made_up_names = "Column_{}"
    round_names = (
        "num_iterations",
        "num_iteration",
        "n_iter",
        "num_tree",
        "num_trees",
        "num_round",
        "num_rounds",
        "nrounds",
        "num_boost_round",
        "max_iter",
        "n_estimators",
    )
    stop_names = (
        "early_stopping_round",
        "early_stopping_rounds",
        "early_stopping",
        "n_iter_no_change",
    )
    onnx_operator = "LightGbm"

    def size_in_words(self, model):
        return f"{model.booster_.num_trees():,} trees"

    def leaves(self, model, X):
        return model.predict(X, pred_leaf=True)

    def tree_nodes(self, model):
        dump = model.booster_.dump_model()
        infos = [dump["feature_infos"].get(name) for name in dump["feature_names"]]
        levels, ranges = {}, {}
        named = iter(dump["pandas_categorical"] or [])
        for j, info in enumerate(infos):
            if info is None:  # a constant column
                continue
            if info["values"]:
                levels[j] = next(named, None) or sorted(v for v in info["values"] if v >= 0)
            else:
                ranges[j] = (info["min_value"], info["max_value"])
        position = {j: {v: i for i, v in enumerate(known)} for j, known in levels.items()}
        if dump["pandas_categorical"]:  # the trees hold positions already
            position = {j: {i: i for i in range(len(known))} for j, known in levels.items()}

        def split(node):
            if "leaf_value" in node:
                return None, node.get("leaf_count", 0)
            column = node["split_feature"]
            children = node["left_child"], node["right_child"]
            if node["decision_type"] == "==":
                left = [position[column][int(code)] for code in node["threshold"].split("||")]
                return (column, np.nan, np.array(left), *children), node["internal_count"]
            return (column, node["threshold"], None, *children), node["internal_count"]

        trees = [tree["tree_structure"] for tree in dump["tree_info"]]
        return nodes_of_nested(trees, split, levels, ranges)

    def leaf_counts(self, model, X, codes):
        """Read the numbers of rows in the leaves of the first trees."""
        number = min(MOST_COUNTED, model.booster_.current_iteration())
        dump = model.booster_.dump_model(num_iteration=number)["tree_info"]
        leaves = model.predict(X, pred_leaf=True, num_iteration=number).reshape(X.shape[0], -1)
        share = None if _samples_rows(model.booster_) else 1.0
        for tree, leaf in zip(dump, leaves.T, strict=True):
            found = leaves_of_nested(tree["tree_structure"], "leaf_index", "leaf_count")
            if len(found) > 1:
                counts = counted(leaf, len(found), codes)
                yield LeafCounts(in_order(found), counts, is_count=True, share=share)

    def rounds_chosen(self, model):
        return model.best_iteration_ or None

    def n_rounds(self, model):
        return model.booster_.current_iteration()

    def first_trees(self, model, n_trees):
        young = copy(model)
        text = model.booster_.model_to_string(num_iteration=n_trees)
        young._Booster = type(model.booster_)(model_str=text)
        young._best_iteration = None
        return young

    def begin_with(self, model):
        return {"init_model": model.booster_}


def _samples_rows(booster):
    """Tell whether a booster has drawn rows; it writes parameters without aliases."""
    written = booster.model_to_string(num_iteration=1).partition("\nparameters:")[2]
    lines = (line.strip("[]").partition(": ") for line in written.splitlines())
    params = {name: value for name, _, value in lines}
    fractions = [f"{part}bagging_fraction" for part in ("", "pos_", "neg_")]
    bags = params.get("bagging_freq", "0") != "0" and any(
        float(params.get(name, 1)) < 1 for name in fractions
    )
    return bags or "goss" in (params.get("boosting"), params.get("data_sample_strategy"))
