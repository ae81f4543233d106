"""Sums of few small trees: additive where a single tree would repeat itself."""

from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from skdistill.columns import column_names
from skdistill.parameters import Interval
from skdistill.scorer.content_checks import TREE_ARRAYS
from skdistill.soft_labels import free_margins, free_outputs, margins_from_decision
from skdistill.students.base import (
    Student,
    StudentClassifier,
    StudentRegressor,
    centre_and_spread,
    weight_unit,
)
from skdistill.students.cuts import find_thresholds, informative_mass, make_cuts
from skdistill.students.output_loss import distillation, squared_error
from skdistill.students.tree import (
    PlainTree,
    columns_from_file,
    ordinal_rows,
    rows_of,
    tree_of_rows,
    walk,
    with_centred_thresholds,
)
from skdistill.students.tree_improvement import node_arrays
from skdistill.students.tree_sum_growth import Growth, grow_sum

#: Places at which a column may be cut.
MAX_CUTS = 255

#: Numbers of splits that a search tries.
SEARCHED_SPLITS = (7, 15, 31)

#: The ridge is at least this share of the total weight: leaves and intercept are collinear.
LEAST_RIDGE = 1e-9


class _TreeSumStudent(Student):
    """What both sums of trees state."""

    form = "tree_sum"
    is_readable = True

    _parameter_constraints = {
        "max_splits": [Interval(Integral, 1, None, closed="left")],
        "max_trees": [Interval(Integral, 1, None, closed="left"), None],
        "min_samples_leaf": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0.0, 1.0, closed="neither"),
        ],
        "C": [Interval(Real, 0.0, None, closed="neither")],
    }

    def __init__(self, max_splits=15, *, max_trees=None, min_samples_leaf=5, C=1.0):
        self.max_splits = max_splits
        self.max_trees = max_trees
        self.min_samples_leaf = min_samples_leaf
        self.C = C

    @property
    def _reader(self):
        return TreeSum(self.trees_, self.intercept_)

    @classmethod
    def sizes(cls, n_columns, max_leaves=None, max_interactions=None):
        if max_leaves is None:
            return [cls(n) for n in SEARCHED_SPLITS]
        if max_leaves < 4:  # two trees have as many leaves
            return []
        n_trees = max(2, max_leaves // 4)
        certain = [cls(n) for n in SEARCHED_SPLITS if 2 * n <= max_leaves]
        return [*certain, cls(max_leaves - n_trees, max_trees=n_trees)]

    def short_name(self):
        trees = [] if self.max_trees is None else [f"{self.max_trees} trees"]
        return ", ".join(["sum of trees", f"{self.max_splits} splits", *trees])

    def parts(self):
        return f"{self.n_splits_:,} splits in {len(self.trees_):,} trees"

    def n_columns_used(self):
        return len(self._reader.split_columns)

    def file_content(self):
        return self.trees_[0].file_columns(), self._reader.file_arrays()

    def restore(self, columns, arrays):
        self._keep(sum_from_file(columns, arrays))

    def _keep(self, tree_sum):
        self.trees_, self.intercept_ = tree_sum.trees, tree_sum.intercept
        self.n_leaves_ = sum(tree.n_leaves for tree in self.trees_)
        self.n_splits_ = self.n_leaves_ - len(self.trees_)

    def _grow(self, X, order_by, objective, start, weight, unit):
        """Grow the trees on checked rows; weights were divided by a unit."""
        matrix, levels = ordinal_rows(X, order_by, weight)
        cuts = make_cuts(
            matrix, find_thresholds(matrix, informative_mass(order_by, weight), MAX_CUTS)
        )
        growth = Growth(
            cuts,
            self.max_splits,
            self.max_trees or self.max_splits,
            rows_of(self.min_samples_leaf, len(matrix)),
            max(1.0 / self.C / unit, LEAST_RIDGE * weight.sum()),
        )
        grown, intercept = grow_sum(objective, growth, start, weight.sum())
        described = {"levels": levels, "names": tuple(column_names(self))}
        trees = [_plain(tree, cuts, matrix, weight, unit, described) for tree in grown]
        return centred_sum(trees, intercept)


class TreeSumStudentClassifier(_TreeSumStudent, StudentClassifier):
    """A sum of few small trees that learns from soft labels.

    The margins are an intercept and one leaf of every tree. As many splits as in one tree say more
    if columns act independently: a single tree would have to repeat the same rule in every branch.

    Parameters
    ----------
    max_splits : int, default=15
        Largest number of splits in all trees together.
    max_trees : int or None, default=None
        Largest number of trees. None for no limit.
    min_samples_leaf : int or float, default=5
        Smallest number, or share, of transfer-set rows in a leaf.
    C : float, default=1.0
        Inverse of the strength of the ridge penalty on the values of the leaves.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    trees_ : tuple of PlainTree
        The trees as plain arrays; ``value`` holds what a leaf adds to the outputs: the log-odds of
        ``classes_[1]`` if there are two classes, else one margin per class. Inner nodes hold the
        weighted mean of their children, and every root 0.
    intercept_ : ndarray of shape (n_outputs,)
        What is added to the sum of the leaves.
    n_splits_ : int
        Number of splits in all trees.
    n_leaves_ : int
        Number of leaves of all trees.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    TreeStudentClassifier : A single tree, with the treatment of columns explained.
    LinearStudentClassifier : One curve per column.

    Notes
    -----
    Each step takes the split of any leaf of any tree, or of a new tree, that lowers the
    distillation loss most, by its gradient and curvature. Then all leaves are fitted again, by
    Newton steps on the loss plus ``||leaves||^2 / (2 C)``, so that the next step sees what is left.
    At last every node of up to 64 in turn takes the split that serves its rows best, beside all
    other trees and given what is below it, until nothing changes. The ridge keeps margins finite
    also where all rows of a leaf have one class. Numbers are cut at 255 places at most.

    References
    ----------
    Tan, Singh, Nasseri, Agarwal, Duncan, Ronen, Epland, Kornblith and Yu, "Fast Interpretable
    Greedy-Tree Sums", PNAS 122 (2025), arXiv:2201.11931, for the order of the splits.

    Examples
    --------
    A sum of trees with seven splits, fitted on the probabilities of a forest:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import TreeSumStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = TreeSumStudentClassifier(max_splits=7).fit(X, forest.predict_proba(X))
    >>> student.n_splits_
    7
    """

    losses = ("kl", "logit_mse")

    def _fit_targets(self, X, targets):
        unit = weight_unit(targets.sample_weight.sum(keepdims=True))
        targets = replace(targets, sample_weight=targets.sample_weight / unit)
        softened, weight = targets.softened_mix()
        start = free_margins(targets.prior())
        objective = distillation(targets)
        self._keep(self._grow(X, softened, objective, start, weight, unit))

    def _margins(self, X):
        outputs = self._reader.outputs(X)
        return margins_from_decision(outputs) if len(self.classes_) == 2 else outputs

    def rescale_margins(self, slope, intercept):
        """Change leaves and intercept, see `StudentClassifier`."""
        trees = tuple(replace(tree, value=slope * tree.value) for tree in self.trees_)
        self._keep(TreeSum(trees, slope * self.intercept_ + free_outputs(intercept)))


class TreeSumStudentRegressor(_TreeSumStudent, StudentRegressor):
    """A sum of few small regression trees.

    Parameters
    ----------
    max_splits : int, default=15
        Largest number of splits in all trees together.
    max_trees : int or None, default=None
        Largest number of trees. None for no limit.
    min_samples_leaf : int or float, default=5
        Smallest number, or share, of transfer-set rows in a leaf.
    C : float, default=1.0
        Inverse of the strength of the ridge penalty on the values of the leaves.

    Attributes
    ----------
    trees_ : tuple of PlainTree
        The trees as plain arrays; ``value`` holds what a leaf adds to the prediction. Inner nodes
        hold the weighted mean of their children, and every root 0.
    intercept_ : ndarray of shape (1,)
        What is added to the sum of the leaves.
    n_splits_ : int
        Number of splits in all trees.
    n_leaves_ : int
        Number of leaves of all trees.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    TreeSumStudentClassifier : The same for classes, with the fit explained.

    Notes
    -----
    Minimises ``sum_i w_i (f(x_i) - y_i)^2 + s^2 ||leaves / s||^2 / C``, where s is the standard
    deviation of y: the unit of y only changes the unit of the predictions.

    Examples
    --------
    A sum of trees with seven splits, fitted on the predictions of a forest:

    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from skdistill import TreeSumStudentRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> forest = RandomForestRegressor(random_state=0).fit(X, y)
    >>> student = TreeSumStudentRegressor(max_splits=7).fit(X, forest.predict(X))
    >>> student.n_splits_
    7
    """

    def _fit_values(self, X, y, sample_weight):
        unit = weight_unit(sample_weight.sum(keepdims=True))
        weight = sample_weight / unit
        centre, spread = centre_and_spread(y, weight)
        values = ((y - centre) / spread)[:, None]
        objective = squared_error(values, weight)
        found = self._grow(X, values, objective, np.zeros(1), weight, unit)
        trees = tuple(replace(tree, value=spread * tree.value) for tree in found.trees)
        self._keep(TreeSum(trees, spread * found.intercept + centre))

    def _values(self, X):
        return self._reader.outputs(X)[:, 0]


@dataclass(frozen=True)
class TreeSum:
    """Trees and an intercept, whose sum are the outputs.

    Attributes
    ----------
    trees : tuple of PlainTree
        One or more, with the same columns.
    intercept : ndarray of shape (n_outputs,)
        What is added.
    """

    trees: tuple
    intercept: np.ndarray

    @property
    def names(self):
        """What messages call the columns."""
        return self.trees[0].names

    @property
    def split_columns(self):
        """The columns that nodes split on."""
        return sorted({j for tree in self.trees for j in tree.split_columns})

    def nominal_columns(self):
        """List position, levels and False of the nominal columns that nodes split on."""
        return sorted({column for tree in self.trees for column in tree.nominal_columns()})

    def outputs(self, X):
        """Return the sum for each row, of shape (n_samples, n_outputs)."""
        return sum((tree.predict(X) for tree in self.trees), start=self.intercept)

    def file_arrays(self):
        """Return the arrays as `StudentContent` has them: those of all trees, one after another."""
        roots = np.cumsum([0, *(len(tree.feature) for tree in self.trees)])[:-1]
        parts = [tree.file_arrays() for tree in self.trees]
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in TREE_ARRAYS}
        offset = np.repeat(roots, [len(tree.feature) for tree in self.trees])
        for name in ("children_left", "children_right"):
            arrays[name] = np.where(arrays[name] < 0, arrays[name], arrays[name] + offset)
        return {**arrays, "roots": roots.astype(np.int64), "intercept": self.intercept}


def sum_from_file(columns, arrays):
    """Make the sum that `TreeSum.file_arrays` has written."""
    described, roots = columns_from_file(columns), arrays["roots"]
    ends = [*roots[1:], len(arrays["feature"])]
    trees = []
    for start, end in zip(roots, ends, strict=True):
        own = {name: arrays[name][start:end] for name in TREE_ARRAYS}
        for name in ("children_left", "children_right"):
            own[name] = np.where(own[name] < 0, own[name], own[name] - start)
        trees.append(PlainTree(**own, **described))
    return TreeSum(tuple(trees), arrays["intercept"])


def centred_sum(trees, intercept):
    """Move the mean of every tree into the intercept, so that the trees are unique."""
    intercept = intercept + sum(tree.value[0] for tree in trees)
    centred = [tree.with_leaf_values(tree.value - tree.value[0]) for tree in trees]
    trees = [replace(tree, value=_with_root_zero(tree.value)) for tree in centred]
    return TreeSum(tuple(trees), intercept)


def _with_root_zero(value):
    value = value.copy()
    value[0] = 0.0  # but for the last digits it is
    return value


def _plain(root, cuts, matrix, weight, unit, described):
    """Turn a grown tree into plain arrays."""
    nodes = with_centred_thresholds(node_arrays(root, cuts), matrix)
    leaf = walk(nodes, matrix.T, len(matrix))
    values = np.empty((len(matrix), len(root.value)))
    for each in root.leaves():
        values[each.rows] = each.value
    return tree_of_rows(nodes, leaf, values, weight, unit, described)
