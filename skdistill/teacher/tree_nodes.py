"""What the trees of fitted ensembles remember: where they split, and how many rows went where."""

import json
import os
import tempfile
from dataclasses import dataclass
from itertools import pairwise

import narwhals.stable.v2 as nw
import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.tree import BaseDecisionTree

from skdistill.estimators import last_step, listed_members, package_of, transformers_of

#: Ensembles whose members see columns of the user's table.
_OF_MEMBERS = (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)


@dataclass(frozen=True)
class TreeNodes:
    """The nodes of all trees of an ensemble, one after the other, as arrays.

    Attributes
    ----------
    root : ndarray of shape (n_trees,)
        Node number of every tree's root.
    left, right : ndarray of shape (n_nodes,)
        Node numbers of the children; -1 at a leaf.
    column : ndarray of shape (n_nodes,)
        Column that the node asks for.
    threshold : ndarray of shape (n_nodes,)
        Rows with ``x <= threshold`` go left; NaN at leaves, and where categories go left.
    count : ndarray of shape (n_nodes,)
        How many rows of the fit went through the node, or what stands for that.
    categories_left : dict of int to ndarray
        Node number -> the positions of the categories that go left.
    levels : dict of int to list
        Column -> its categories in the order of those positions, where the ensemble knows them.
    ranges : dict of int to (float, float)
        Column -> smallest and largest number of the fit, where the ensemble knows them.
    """

    root: np.ndarray
    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    count: np.ndarray
    categories_left: dict
    levels: dict
    ranges: dict

    def thresholds(self, column):
        """Return the distinct thresholds of a column, sorted."""
        asked = (self.left >= 0) & (self.column == column)
        found = self.threshold[asked]
        return np.unique(found[~np.isnan(found)])

    def nominal_columns(self):
        """Return the columns that are split by category, or known to hold some."""
        return {int(self.column[node]) for node in self.categories_left} | set(self.levels)

    def on_columns(self, columns):
        """Return the nodes of a member that was fitted on some columns, given by position."""
        columns = np.asarray(columns)
        positions = columns.tolist()
        known = [{positions[j]: v for j, v in d.items()} for d in (self.levels, self.ranges)]
        return TreeNodes(
            self.root,
            self.left,
            self.right,
            columns[self.column],
            self.threshold,
            self.count,
            self.categories_left,
            *known,
        )


def read_tree_nodes(ensemble):
    """Read the trees of a fitted ensemble.

    Parameters
    ----------
    ensemble : estimator
        A fitted tree, forest or boosting model of scikit-learn, XGBoost, LightGBM or CatBoost; or
        scikit-learn's bagging, AdaBoost, voting or stacking of them, or a MultiTeacher.

    Returns
    -------
    nodes : TreeNodes
        Over the columns that the ensemble takes.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If there are steps in front of the trees that change the columns.
    """
    return join_nodes([_read(member, columns) for member, columns in _members(ensemble)])


def join_nodes(parts):
    """Join the nodes of several ensembles over the same columns."""
    starts = np.cumsum([0, *(len(part.left) for part in parts)])
    pairs = list(zip(parts, starts.tolist(), strict=False))

    def children(name):
        return np.concatenate(
            [np.where(getattr(p, name) < 0, -1, getattr(p, name) + start) for p, start in pairs]
        )

    def joined(name):
        return np.concatenate([getattr(part, name) for part in parts])

    return TreeNodes(
        np.concatenate([part.root + start for part, start in pairs]),
        children("left"),
        children("right"),
        joined("column"),
        joined("threshold"),
        joined("count"),
        {node + start: left for p, start in pairs for node, left in p.categories_left.items()},
        {column: levels for p in parts for column, levels in p.levels.items()},
        {column: range_ for p in parts for column, range_ in p.ranges.items()},
    )


def _members(ensemble, columns=None):
    """List the ensembles of trees within an ensemble, and the columns each was fitted on."""
    for _, step in transformers_of(ensemble):
        raise ValueError(
            f"The teacher has {type(step).__name__} in front of its trees, which see other columns "
            "than yours; their thresholds say nothing about those. Pass the last step, "
            "teacher[-1], and distil that on rows as it sees them."
        )
    ensemble = last_step(ensemble)
    if hasattr(ensemble, "each_with_its_columns"):  # MultiTeacher, which is in a file above
        members, subsets = zip(*_with_columns(ensemble), strict=True)
    elif isinstance(ensemble, _OF_MEMBERS):
        members = listed_members(ensemble.estimators_)
        subsets = getattr(ensemble, "estimators_features_", [None] * len(members))
    else:
        return [(ensemble, columns)]
    found = []
    for member, subset in zip(members, subsets, strict=True):
        if subset is not None and columns is not None:
            subset = np.asarray(columns)[subset]
        found += _members(member, columns if subset is None else subset)
    return found


def _with_columns(several):
    """List the teachers of a MultiTeacher, and the positions of the columns each sees."""
    if not hasattr(several, "n_features_in_"):
        raise ValueError(
            "This MultiTeacher does not know its columns yet. Fit it on a few rows first; its "
            "fitted teachers stay as they are."
        )
    positions = np.arange(several.n_features_in_)[None, :]
    names = getattr(several, "feature_names_in_", None)
    if names is not None:
        by_name = dict(zip(names.tolist(), positions.T, strict=True))
        positions = nw.from_dict(by_name, backend="pandas").to_native()
    for teacher, own in several.each_with_its_columns(positions):
        yield teacher, np.ravel(own).astype(int)


def _read(ensemble, columns):
    reader = _reader_of(ensemble)
    if reader is None:
        raise TypeError(
            f"{type(ensemble).__name__} is no ensemble of trees whose thresholds can be read. "
            "Decision trees, forests, extra trees and both kinds of gradient boosting of "
            "scikit-learn, XGBoost, LightGBM and CatBoost are, and bagging, AdaBoost, voting, "
            "stacking and MultiTeacher of them."
        )
    nodes = reader(ensemble)
    return nodes if columns is None else nodes.on_columns(columns)


def _reader_of(ensemble):
    if not (is_classifier(ensemble) or is_regressor(ensemble)):
        return None
    if getattr(ensemble, "booster", None) == "gblinear":
        return None
    readers = {"lightgbm": _read_lightgbm, "xgboost": _read_xgboost, "catboost": _read_catboost}
    if package_of(ensemble) in readers:
        return readers[package_of(ensemble)]
    if hasattr(ensemble, "_predictors"):  # histogram gradient boosting
        return _read_histogram_boosting
    members = listed_members(getattr(ensemble, "estimators_", ensemble))
    return _read_sklearn_trees if all(isinstance(m, BaseDecisionTree) for m in members) else None


def _read_sklearn_trees(ensemble):
    members = listed_members(getattr(ensemble, "estimators_", ensemble))
    trees = [member.tree_ for member in members]
    return join_nodes([_of_sklearn_tree(tree) for tree in trees])


def _of_sklearn_tree(tree):
    is_leaf = tree.children_left < 0
    return TreeNodes(
        np.zeros(1, dtype=np.int64),
        tree.children_left,
        tree.children_right,
        np.where(is_leaf, 0, tree.feature),
        np.where(is_leaf, np.nan, tree.threshold),
        tree.n_node_samples.astype(np.float64),
        {},
        {},
        {},
    )


def _read_histogram_boosting(ensemble):
    nominal = ensemble.is_categorical_
    nominal = np.zeros(ensemble.n_features_in_, bool) if nominal is None else nominal
    order = np.argsort(~nominal, kind="stable")  # the trees see nominal columns first
    levels = {}
    if nominal.any():
        encoder = ensemble._preprocessor.named_transformers_["encoder"]
        levels = dict(enumerate(list(known) for known in encoder.categories_))
    trees = [tree for iteration in ensemble._predictors for tree in iteration]
    return join_nodes([_of_histogram_tree(tree, levels) for tree in trees]).on_columns(order)


def _of_histogram_tree(tree, levels):
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
        {},
    )


def _read_lightgbm(ensemble):
    dump = ensemble.booster_.dump_model()
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

    return _of_nested([tree["tree_structure"] for tree in dump["tree_info"]], split, levels, ranges)


def _read_xgboost(ensemble):
    booster = ensemble.get_booster()
    names = booster.feature_names or [f"f{j}" for j in range(booster.num_features())]
    position = {name: j for j, name in enumerate(names)}
    trees = [json.loads(t) for t in booster.get_dump(with_stats=True, dump_format="json")]

    levels = _xgboost_levels(json.loads(booster.save_raw("json")))

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

    return _of_nested(trees, split, levels, {})


def _xgboost_levels(model):
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


def catboost_as_json(ensemble):
    """Return what CatBoost writes of a fitted model, as a dict."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.json")
        ensemble.save_model(path, format="json")
        with open(path, encoding="utf-8") as file:
            return json.load(file)


def _read_catboost(ensemble):
    model = catboost_as_json(ensemble)
    columns = [f["flat_feature_index"] for f in model["features_info"]["float_features"]]
    if "oblivious_trees" not in model or model["features_info"].get("categorical_features"):
        raise TypeError(
            "The trees of this CatBoost model are not read: only symmetric trees over numeric "
            "columns are, grow_policy='SymmetricTree' without cat_features."
        )

    def split(node):
        weights, splits = node
        if len(weights) == 1:
            return None, weights[0]
        asked = splits[-1]  # the last split is the highest bit of a leaf's number
        half = len(weights) // 2
        children = (weights[:half], splits[:-1]), (weights[half:], splits[:-1])
        column, border = columns[asked["float_feature_index"]], asked["border"]
        return (column, border, None, *children), sum(weights)

    trees = [(tree["leaf_weights"], tree["splits"]) for tree in model["oblivious_trees"]]
    return _of_nested(trees, split, {}, {})


def _of_nested(trees, split, levels, ranges):
    """Give the nodes of nested trees numbers.

    `split` takes a node, and returns what is asked there (column, threshold, categories that go
    left or None, left and right child; None at a leaf) and how many rows went through it.
    """
    root, left, right, column, threshold, count, categories = [], [], [], [], [], [], {}
    for tree in trees:
        root.append(len(left))
        stack = [(tree, None, None)]
        while stack:
            node, siblings, parent = stack.pop()
            number = len(left)
            if siblings is not None:
                siblings[parent] = number
            asked, rows = split(node)
            left.append(-1)
            right.append(-1)
            column.append(0 if asked is None else asked[0])
            threshold.append(np.nan if asked is None else asked[1])
            count.append(rows)
            if asked is None:
                continue
            if asked[2] is not None:
                categories[number] = asked[2]
            stack += [(asked[4], right, number), (asked[3], left, number)]
    integers = (np.array(values, dtype=np.int64) for values in (root, left, right, column))
    numbers = (np.array(values, dtype=np.float64) for values in (threshold, count))
    return TreeNodes(*integers, *numbers, categories, levels, ranges)
