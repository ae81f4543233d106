"""scikit-learn: its trees, and ensembles of them; also models of unknown packages made of these."""

import copy
import itertools

import numpy as np
from sklearn.base import is_classifier
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import BaseDecisionTree, DecisionTreeClassifier

from skdistill.estimators import listed_members
from skdistill.teacher.vendors.base import Vendor
from skdistill.teacher.vendors.trees import LeafCounts, TreeNodes, counted, join_nodes, spread

#: Members whose bags are drawn again. One is not enough: permuted rows fill the two leaves of a
#: stump with the right numbers now and then.
PROVING_MEMBERS = 10


class ScikitLearn(Vendor):
    """Single trees, and ensembles of trees by duck typing: the vendor of all that no other owns."""

    classes = (object,)

    def owns(self, kind):
        return issubclass(kind, self.classes)

    def is_ensemble(self, model):
        return _is_from(model, "sklearn.ensemble")

    def names(self, model):
        """Return the names of the columns, also by the attribute of other packages."""
        names = super().names(model)
        return getattr(model, "feature_names_", None) if names is None else names

    def size_in_words(self, model):
        """Count the weights of an MLP, or the leaves, or the members and the leaves of trees."""
        if hasattr(model, "coefs_"):
            n_weights = sum(array.size for array in [*model.coefs_, *model.intercepts_])
            return f"{n_weights:,} weights"
        if np.isscalar(getattr(model, "n_leaves_", None)):
            return f"{model.n_leaves_:,} leaves"
        members = getattr(model, "estimators_", None)
        if members is None:
            return ""
        members = listed_members(members)
        trees = [getattr(member, "tree_", None) for member in members]
        if trees and all(hasattr(tree, "n_leaves") for tree in trees):
            return f"{len(trees):,} trees, {sum(tree.n_leaves for tree in trees):,} leaves"
        return f"{len(members):,} members"

    def class_prior(self, model):
        return _prior_in_roots([model])

    def may_have_leaves(self, model):
        """Tell by its class whether a model may have leaves; those of unknown packages may."""
        if getattr(model, "booster", None) == "gblinear":
            return False
        has_trees = _is_from(model, "sklearn.tree", "sklearn.ensemble") or hasattr(model, "apply")
        return has_trees or _package(model) not in ("sklearn", "skdistill")

    def leaves(self, model, X):
        """Return the leaves of a single tree, also of a student."""
        if isinstance(model, BaseDecisionTree):
            return model.apply(as_tree_input(X), check_input=False)
        return model.apply(X) if hasattr(model, "tree_") else None

    def tree_nodes(self, model):
        """Read the nodes of a tree, or of all members if they are trees."""
        members = listed_members(getattr(model, "estimators_", model))
        if not all(isinstance(member, BaseDecisionTree) for member in members):
            return None
        return join_nodes([_nodes_of(member.tree_) for member in members])

    def leaf_counts(self, model, X, codes):
        is_tree = isinstance(model, BaseDecisionTree)
        return [count_leaves(model, as_tree_input(X), codes)] if is_tree else None

    def share_of_members(self, model):
        """Return the share of the rows that gradient boosting draws, or does not hold out."""
        if getattr(model, "n_iter_no_change", None) is not None:
            return 1 - model.validation_fraction
        return getattr(model, "subsample", 1.0)


class GradientBoosting(ScikitLearn):
    """GradientBoostingClassifier and GradientBoostingRegressor."""

    classes = (GradientBoostingClassifier, GradientBoostingRegressor)

    def grows(self, model):
        return is_classifier(model)

    def n_trees(self, model):
        return model.n_estimators_

    def first_trees(self, model, n_trees):
        young = _with_members(model, model.estimators_[:n_trees])
        young.n_estimators_ = n_trees
        return young

    def more_trees(self, model, n_trees, X, y, sample_weight):
        """Return a copy with more trees, by ``warm_start``."""
        more = copy.deepcopy(model)
        more.set_params(warm_start=True, n_estimators=self.n_trees(model) + n_trees)
        return more.fit(X, y, sample_weight=sample_weight)


class AdaBoost(ScikitLearn):
    """AdaBoostRegressor, each member of which is fitted on rows drawn by their errors."""

    classes = (AdaBoostRegressor,)

    def share_of_members(self, model):
        return None


class Bagging(ScikitLearn):
    """BaggingClassifier and BaggingRegressor."""

    classes = (BaggingClassifier, BaggingRegressor)
    has_bags = True

    def may_leave_rows_out(self, model):
        """Tell whether bags are bootstraps, of members with probabilities if there are classes."""
        answers = not is_classifier(model) or model.estimator is None
        return model.bootstrap and (answers or hasattr(model.estimator, "predict_proba"))

    def bags(self, model):
        """Yield the rows in the bag of every member, one at a time."""
        if not hasattr(model, "_get_estimators_indices"):
            return model.estimators_samples_
        drawn = model._get_estimators_indices()
        return (bag[1] if isinstance(bag, tuple) else bag for bag in drawn)

    def members(self, model):
        columns = getattr(model, "estimators_features_", itertools.repeat(None))
        return zip(model.estimators_, columns, self.bags(model), strict=False)

    def is_filled_by(self, model, X):
        return are_filled(model, self.grown(model), X)

    def member_input(self, model, X):
        return X if hasattr(X, "tocsr") else np.asarray(X)

    def answer_of_member(self, model, member, columns, matrix):
        matrix = matrix[:, columns]
        if not hasattr(model, "classes_"):
            return member.predict(matrix)
        proba = np.zeros((matrix.shape[0], len(model.classes_)))
        proba[:, member.classes_.astype(int)] = member.predict_proba(matrix)
        return proba

    def share_of_members(self, model):
        """Return None for members that are no trees, which do not tell how large their bags are."""
        return 1.0 if isinstance(model.estimators_[0], BaseDecisionTree) else None


class Forest(Bagging):
    """Random forests and extra trees."""

    classes = (
        RandomForestClassifier,
        RandomForestRegressor,
        ExtraTreesClassifier,
        ExtraTreesRegressor,
    )

    def class_prior(self, model):
        return _prior_in_roots(model.estimators_)

    def some_trees(self, model, most):
        members = model.estimators_
        return _with_members(model, [members[i] for i in spread(len(members), most)])

    def grows(self, model):
        return is_classifier(model)

    def n_trees(self, model):
        return len(model.estimators_)

    def first_trees(self, model, n_trees):
        return _with_members(model, model.estimators_[:n_trees])

    more_trees = GradientBoosting.more_trees

    def may_leave_rows_out(self, model):
        return model.bootstrap

    def member_input(self, model, X):
        return as_tree_input(X)

    def answer_of_member(self, model, member, columns, matrix):
        """Ask a tree without checking its input again."""
        answer = getattr(member, "predict_proba", member.predict)
        return answer(matrix, check_input=False)


def as_tree_input(X):
    """Return X as scikit-learn's trees see it: float32, rows compressed if sparse."""
    return X.tocsr().astype(np.float32) if hasattr(X, "tocsr") else np.asarray(X, dtype=np.float32)


def are_filled(ensemble, grown, X):
    """Tell whether rows fill the trees of an ensemble with the numbers that they remember.

    `grown` has trees, their columns (None for all), and the numbers of the rows that each was grown
    on.
    """
    n_samples = X.shape[0]
    if getattr(ensemble, "_n_samples", n_samples) != n_samples:
        return False
    # From first to last: later ones may have been fitted on other rows.
    chosen = set(spread(len(ensemble.estimators_), PROVING_MEMBERS).tolist())
    matrix = None
    for tree, columns, rows in (each for i, each in enumerate(grown) if i in chosen):
        if not isinstance(tree, BaseDecisionTree) or np.max(rows) >= n_samples:
            return False
        matrix = as_tree_input(X) if matrix is None else matrix
        if not _fills(tree, columns, rows, matrix):
            return False
    return True


def _fills(tree, columns, rows, matrix):
    matrix = matrix if columns is None else matrix[:, columns]
    # A tree weighs each of its rows once, or was given the repeated rows themselves.
    for some in (np.unique(rows), rows):
        counts = count_leaves(tree, matrix[some], np.zeros(len(some), dtype=int))
        if np.array_equal(counts.remembered, counts.found[:, 0]):
            return True
    return False


def count_leaves(tree, matrix, codes):
    """Count the rows in the leaves of one tree of scikit-learn."""
    is_leaf = tree.tree_.children_left < 0
    found = counted(tree.tree_.apply(matrix), len(is_leaf), codes)
    remembered = tree.tree_.n_node_samples[is_leaf].astype(np.float64)
    return LeafCounts(remembered, found[is_leaf], is_count=True, share=1.0)


def _nodes_of(tree):
    is_leaf = tree.children_left < 0
    return TreeNodes(
        np.zeros(1, dtype=np.int64),
        tree.children_left,
        tree.children_right,
        np.where(is_leaf, 0, tree.feature),
        np.where(is_leaf, np.nan, tree.threshold),
        tree.n_node_samples.astype(np.float64),
    )


def _prior_in_roots(trees):
    if not all(isinstance(tree, DecisionTreeClassifier) for tree in trees):
        return None
    roots = np.array([tree.tree_.value[0, 0] for tree in trees])
    return (roots / roots.sum(axis=1, keepdims=True)).mean(axis=0)


def _with_members(model, members):
    young = copy.copy(model)
    young.estimators_ = members
    return young


def _package(model):
    return type(model).__module__.partition(".")[0]


def _is_from(model, *modules):
    return any(each.__module__.startswith(modules) for each in type(model).__mro__)
