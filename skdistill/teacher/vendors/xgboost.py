"""XGBoost."""

import json
from copy import copy
from itertools import pairwise

import numpy as np

from skdistill.teacher.vendors.base import CATEGORICAL_CURE, Booster
from skdistill.teacher.vendors.trees import (
    MOST_COUNTED,
    LeafCounts,
    are_numbers_of_rows,
    counted,
    in_order,
    leaves_of_nested,
    nodes_of_nested,
)

#: Rows that the smallest leaf may have for the Hessian of a single row to be found.
MOST_ROWS_OF_SMALLEST = 50


class XGBoost(Booster):
    """XGBClassifier, XGBRegressor and what users derive from them."""

    package = "xgboost"
    title = "XGBoost"
    raw_score_options = {"output_margin": True}
    needs_codes = True
    text_cure = f"{CATEGORICAL_CURE}, and pass enable_categorical=True to the teacher."
    stop_names = ("early_stopping_rounds",)
    onnx_operator = "XGBoost"

    def size_in_words(self, model):
        return f"{self.n_rounds(model):,} rounds"

    def leaves(self, model, X):
        return model.apply(X) if self.may_have_leaves(model) else None

    def tree_nodes(self, model):
        if not self.may_have_leaves(model):
            return None
        booster = model.get_booster()
        names = booster.feature_names or [f"f{j}" for j in range(booster.num_features())]
        position = {name: j for j, name in enumerate(names)}
        trees = [json.loads(t) for t in booster.get_dump(with_stats=True, dump_format="json")]

        def split(node):
            if "leaf" in node:
                return None, node["cover"]
            child = {c["nodeid"]: c for c in node["children"]}
            column, left, right = position[node["split"]], child[node["yes"]], child[node["no"]]
            at = node.get("split_condition")
            if isinstance(at, list):
                return (column, np.nan, np.array(at), left, right), node["cover"]
            # x < at goes left, in float32.
            at = np.nextafter(np.float32(0 if at is None else at), np.float32(-np.inf))
            return (column, float(at), None, left, right), node["cover"]

        return nodes_of_nested(trees, split, _levels(json.loads(booster.save_raw("json"))), {})

    def leaf_counts(self, model, X, codes):
        """Read covers, sums of Hessians, which in the first round are equal within a class."""
        if model.get_params().get("booster") == "gblinear":
            return
        booster = model.get_booster()
        number = min(MOST_COUNTED, booster.num_boosted_rounds())
        dumps = booster[:number].get_dump(dump_format="json", with_stats=True)
        leaves = model.apply(X, iteration_range=(0, number))
        of_first = len(dumps) // number
        params = model.get_params()
        is_plain = all(params.get(name) in (None, 1) for name in ("subsample", "scale_pos_weight"))
        leaves = leaves.reshape(X.shape[0], -1).astype(int).T
        for tree, (dump, leaf) in enumerate(zip(dumps, leaves, strict=True)):
            covers = leaves_of_nested(json.loads(dump), "nodeid", "cover", is_leaf="leaf")
            found = counted(leaf, max(covers) + 1, codes)[sorted(covers)]
            covers, is_first = in_order(covers), tree < of_first
            rows = _as_numbers_of_rows(covers, found.sum(axis=1)) if is_first and is_plain else None
            if rows is None:
                yield LeafCounts(covers, found, is_count=False, is_comparable=is_first)
            else:
                yield LeafCounts(rows, found, is_count=True, share=1.0)

    def grows_on_bins(self, model):
        """Tell whether the tree method makes bins once for the whole column."""
        return model.get_params().get("tree_method") not in ("exact", "approx")

    def rounds_chosen(self, model):
        best = model.get_booster().attr("best_iteration")
        return None if best is None else int(best) + 1

    def n_rounds(self, model):
        return model.get_booster().num_boosted_rounds()

    def first_trees(self, model, n_trees):
        """Return a copy that predicts by its first rounds."""
        young = copy(model)
        young._Booster = model.get_booster().copy()  # a slice would forget the categories
        stop = None if n_trees == young._Booster.num_boosted_rounds() else str(n_trees - 1)
        young._Booster.set_attr(best_iteration=stop, best_score=None)
        return young

    def begin_with(self, model):
        """Return the booster without the rounds behind the best one."""
        booster = model.get_booster()
        best = booster.attr("best_iteration")
        return {"xgb_model": booster if best is None else booster[: int(best) + 1]}


def _levels(model):
    """Return the categories of nominal columns, which XGBoost keeps since version 3.1."""
    booster = model["learner"]["gradient_booster"]
    booster = booster.get("gbtree", booster)  # within that of booster="dart"
    encoded = booster["model"].get("cats", {}).get("enc", [])
    levels = {}
    for j, column in enumerate(encoded):
        values, offsets = column["values"], column.get("offsets")
        if offsets is not None:
            values = [bytes(values[a:b]).decode() for a, b in pairwise(offsets)]
        if values:
            levels[j] = values
    return levels


def _as_numbers_of_rows(covers, found):
    """Divide covers by the Hessian of one row; return None if rows may have had weights."""
    for of_smallest in range(1, MOST_ROWS_OF_SMALLEST + 1):
        rows = covers * of_smallest / covers.min()
        if np.abs(rows - rows.round()).max() < 0.02:
            return rows.round() if are_numbers_of_rows(rows.round(), found) else None
    return None
