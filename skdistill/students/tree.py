"""Single decision trees of a few leaves: rules that people can read."""

from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_random_state

from skdistill.columns import (
    UNSEEN,
    column_names,
    column_values,
    column_values_as,
    is_nominal,
    level_positions,
)
from skdistill.parameters import Interval
from skdistill.scorer.content_checks import TREE_ARRAYS
from skdistill.soft_labels import margins_from_proba, proba_from_margins
from skdistill.students.base import (
    Student,
    StudentClassifier,
    StudentRegressor,
    centre_and_spread,
    safely_scaled,
    weight_unit,
)
from skdistill.students.tree_improvement import Objective
from skdistill.students.tree_search import searched_nodes

#: Numbers are clipped to this, the largest that the float32 numbers of a tree can hold.
LARGEST = float(np.finfo(np.float32).max)

#: Larger trees grow greedily.
MAX_LOOKAHEAD_LEAVES = 64

#: Of more rows, a sample decides on the splits of a tree that looks ahead.
LOOKAHEAD_ROWS = 50_000

#: Numbers of leaves that a search tries.
SEARCHED_LEAVES = (4, 8, 16, 32, 128)


class _TreeStudent(Student):
    """What both tree students state."""

    form = "tree"
    is_readable = True

    _parameter_constraints = {
        "max_leaf_nodes": [Interval(Integral, 2, None, closed="left"), None],
        "max_depth": [Interval(Integral, 1, None, closed="left"), None],
        "min_samples_leaf": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0.0, 1.0, closed="neither"),
        ],
        "lookahead": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        max_leaf_nodes=16,
        *,
        max_depth=None,
        min_samples_leaf=5,
        lookahead=True,
        random_state=None,
    ):
        self.max_leaf_nodes = max_leaf_nodes
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.lookahead = lookahead
        self.random_state = random_state

    @property
    def _reader(self):
        return self.tree_

    @classmethod
    def sizes(cls, n_columns, max_leaves=None, max_interactions=None):
        return [cls(n) for n in sorted({min(n, max_leaves or n) for n in SEARCHED_LEAVES})]

    def short_name(self):
        limits = {"leaves": self.max_leaf_nodes, "levels": self.max_depth}
        return ", ".join(["tree", *(f"{n} {of}" for of, n in limits.items() if n is not None)])

    def parts(self):
        return f"{self.n_leaves_:,} leaves"

    def n_columns_used(self):
        return len(self.tree_.split_columns)

    def file_content(self):
        return self.tree_.file_columns(), self.tree_.file_arrays()

    def restore(self, columns, arrays):
        self._keep(PlainTree(**arrays, **columns_from_file(columns)))

    def _keep(self, tree):
        self.tree_, self.n_leaves_, self.depth_ = tree, tree.n_leaves, tree.depth


class TreeStudentClassifier(_TreeStudent, StudentClassifier):
    """A small decision tree that learns from soft labels.

    The tree looks ahead: a split is judged by the trees that can grow below it, and all splits are
    improved together afterwards, which few leaves reward. The splits lower the entropy of the
    softened mix of soft and hard labels; the leaves then hold the mean of that mix at T = 1, so the
    probabilities stay calibrated at any temperature.

    Parameters
    ----------
    max_leaf_nodes : int or None, default=16
        Largest number of leaves. None for no limit.
    max_depth : int or None, default=None
        Largest depth. None for no limit.
    min_samples_leaf : int or float, default=5
        Smallest number, or share, of transfer-set rows in a leaf.
    lookahead : bool, default=True
        Whether the tree looks ahead; False grows it split by split, as scikit-learn does. Trees of
        more than 64 leaves, or without a limit, always grow split by split.
    random_state : int, RandomState instance or None, default=None
        Decides between splits that are equally good, and which rows decide on splits if there are
        more than 50,000.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    tree_ : PlainTree
        The tree as plain arrays; ``tree_.value`` holds the class probabilities of every node.
    n_leaves_ : int
        Number of leaves.
    depth_ : int
        Depth of the deepest leaf.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    LinearStudentClassifier : One curve per column instead of rules.
    DistilledClassifier : Distils a teacher into this student.

    Notes
    -----
    Numbers are compared as float32, as scikit-learn's trees do. The levels of a nominal column are
    put in the order of their mean target (with several classes, of its first principal component),
    so a split is a subset of levels. Missing values, and levels never seen, follow the branch that
    was learned for missing values, or the larger branch if there were none.

    First a tree grows best-first by squared error, which is the Gini criterion with probabilities
    in the place of classes. With `lookahead`, the best candidates for a split are then compared by
    the entropy of the greedy trees below them, at all numbers of leaves that the two sides may
    share; that goes on on both sides. At last every node in turn takes the split that serves its
    rows best, given what is below it, until nothing changes. The loss on the training rows is never
    larger than that of the first tree. Of 10,000 rows and 20 columns this takes half a second.
    Where all labels are hard, squared errors take the place of the entropy: that would be least in
    pure leaves, however few rows they have.

    References
    ----------
    Babbar, McTavish, Rudin and Seltzer, "Near-Optimal Decision Trees in a SPLIT Second", ICML 2025,
    arXiv:2502.15988, for the comparison of greedy trees. Carreira-Perpinan and Tavallali,
    "Alternating Optimization of Decision Trees, with Application to Learning Sparse Oblique Trees",
    NeurIPS 2018, for the improvement.

    Fisher, "On Grouping for Maximum Homogeneity", JASA 53 (1958), and Coppersmith, Hong and
    Hosking, "Partitioning Nominal Attributes in Decision Trees", Data Mining and Knowledge
    Discovery 3 (1999), for the order of the levels.

    Examples
    --------
    A tree of four leaves fitted on the probabilities of a forest:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import TreeStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> tree = TreeStudentClassifier(max_leaf_nodes=4).fit(X, forest.predict_proba(X))
    >>> tree.n_leaves_
    4
    """

    def _fit_targets(self, X, targets):
        softened, weight = targets.softened_mix()
        proba, _ = targets.mixed()
        self._keep(grow_tree(self, X, softened, proba, weight, True))

    def _margins(self, X):
        return margins_from_proba(self.tree_.predict(X))

    def rescale_margins(self, slope, intercept):
        """Change the values of leaves, see `StudentClassifier`; inner nodes get their means."""
        tree = self.tree_
        value = proba_from_margins(slope * margins_from_proba(tree.value) + intercept)
        self.tree_ = tree.with_leaf_values(value)


class TreeStudentRegressor(_TreeStudent, StudentRegressor):
    """A small regression tree.

    Parameters
    ----------
    max_leaf_nodes : int or None, default=16
        Largest number of leaves. None for no limit.
    max_depth : int or None, default=None
        Largest depth. None for no limit.
    min_samples_leaf : int or float, default=5
        Smallest number, or share, of transfer-set rows in a leaf.
    lookahead : bool, default=True
        Whether the tree looks ahead; False grows it split by split, as scikit-learn does. Trees of
        more than 64 leaves, or without a limit, always grow split by split.
    random_state : int, RandomState instance or None, default=None
        Decides between splits that are equally good, and which rows decide on splits if there are
        more than 50,000.

    Attributes
    ----------
    tree_ : PlainTree
        The tree as plain arrays; ``tree_.value`` holds the prediction of every node.
    n_leaves_ : int
        Number of leaves.
    depth_ : int
        Depth of the deepest leaf.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    TreeStudentClassifier : The same for classes, with the treatment of columns explained.

    Examples
    --------
    A tree of eight leaves fitted on the predictions of a forest:

    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from skdistill import TreeStudentRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> forest = RandomForestRegressor(random_state=0).fit(X, y)
    >>> tree = TreeStudentRegressor(max_leaf_nodes=8).fit(X, forest.predict(X))
    >>> tree.n_leaves_
    8
    """

    def _fit_values(self, X, y, sample_weight):
        self._keep(grow_tree(self, X, y[:, None], y[:, None], sample_weight, False))

    def _values(self, X):
        return self.tree_.predict(X)[:, 0]


@dataclass(frozen=True)
class PlainTree:
    """A binary tree as arrays with one entry per node; node 0 is the root.

    Attributes
    ----------
    children_left, children_right : ndarray of shape (n_nodes,)
        Node numbers; -1 at a leaf.
    feature : ndarray of shape (n_nodes,)
        Column that the node splits on.
    threshold : ndarray of shape (n_nodes,)
        Rows with ``float32(x) <= threshold`` go left.
    missing_go_to_left : ndarray of shape (n_nodes,)
        Whether rows with a missing value go left.
    value : ndarray of shape (n_nodes, n_outputs)
        Weighted mean of the targets of the rows in the node.
    weight : ndarray of shape (n_nodes,)
        Total weight of the rows in the node.
    levels : tuple of (tuple or None)
        Per column, the nominal levels in order: x is the position of the level; None if numeric.
    names : tuple of str
        What messages call the columns.
    """

    children_left: np.ndarray
    children_right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_go_to_left: np.ndarray
    value: np.ndarray
    weight: np.ndarray
    levels: tuple
    names: tuple

    @property
    def n_leaves(self):
        """Number of leaves."""
        return int(np.sum(self.children_left < 0))

    @property
    def depth(self):
        """Number of splits on the longest path."""
        depth = np.zeros(len(self.feature), dtype=int)
        for node in np.flatnonzero(self.children_left >= 0):  # parents come before children
            depth[[self.children_left[node], self.children_right[node]]] = depth[node] + 1
        return int(depth.max())

    @property
    def split_columns(self):
        """The columns that nodes split on."""
        return np.unique(self.feature[self.children_left >= 0]).tolist()

    def nominal_columns(self):
        """List position, levels and False of the nominal columns that nodes split on."""
        return [
            (j, self.levels[j], False) for j in self.split_columns if self.levels[j] is not None
        ]

    def apply(self, X):
        """Return the leaf that each row of X falls in, of shape (n_samples,)."""
        return walk(vars(self), {j: self.column(X, j) for j in self.split_columns}, len(X))

    def predict(self, X):
        """Return the value of the leaf of each row, of shape (n_samples, n_outputs)."""
        return self.value[self.apply(X)]

    def with_leaf_values(self, value):
        """Return the tree with other values of its leaves, and their means in the inner nodes."""
        total = value * self.weight[:, None]
        add_up(self.children_left, self.children_right, total)
        return replace(self, value=total / self.weight[:, None])

    def file_columns(self):
        """Return the columns as `StudentContent` has them."""
        return [
            {"name": name} if levels is None else {"name": name, "levels": levels}
            for name, levels in zip(self.names, self.levels, strict=True)
        ]

    def file_arrays(self):
        """Return the arrays as `StudentContent` has them."""
        return {
            name: np.asarray(getattr(self, name), dtype=dtype)
            for name, dtype in TREE_ARRAYS.items()
        }

    def column(self, X, j):
        """Return column j as the nodes compare it: float32, NaN where missing or never seen."""
        levels, name = self.levels[j], self.names[j]
        return _ordinal(column_values_as(X, j, levels=levels, name=name), levels)


def grow_tree(student, X, split_target, leaf_target, weight, is_proba):
    """Grow a tree that splits by one target, and has means of another as its values.

    The parameters of the student are the limits; X are checked rows, with positive weights. The
    targets are probabilities or values.
    """
    unit = weight_unit(weight)
    weight = weight / unit
    matrix, levels = ordinal_rows(X, split_target, weight)
    nodes, leaf = _greedy_nodes(student, matrix, split_target, weight)
    if student.lookahead and (student.max_leaf_nodes or np.inf) <= MAX_LOOKAHEAD_LEAVES:
        objective = _objective(split_target, weight, is_proba)
        nodes, leaf = _better_nodes(student, matrix, objective, nodes, leaf)
    described = {"levels": levels, "names": tuple(column_names(student))}
    return tree_of_rows(nodes, leaf, leaf_target, weight, unit, described)


def _greedy_nodes(student, matrix, target, weight):
    """Grow a tree split by split; returns its arrays, and the leaf of every row."""
    grown = DecisionTreeRegressor(
        max_leaf_nodes=student.max_leaf_nodes,
        max_depth=student.max_depth,
        min_samples_leaf=student.min_samples_leaf,
        random_state=student.random_state,
    )
    # With two classes the second column is enough, at half the work.
    target = target[:, 1:] if target.shape[1] == 2 else target
    # The tree takes variances up to 1e-16 for 0: they must not depend on units.
    target = safely_scaled(target, weight)
    with np.errstate(over="ignore", invalid="ignore"):  # of sums that look for missing cells
        leaf = grown.fit(matrix, target, sample_weight=weight).apply(matrix)
    found = grown.tree_
    nodes = {
        name: getattr(found, name).copy()
        for name in ("children_left", "children_right", "feature", "threshold")
    }
    return {**nodes, "missing_go_to_left": np.asarray(found.missing_go_to_left, dtype=bool)}, leaf


def _objective(target, weight, is_proba):
    """Return what a tree that looks ahead minimises: the entropy of soft labels, or squares.

    With hard labels alone the entropy would be least in pure leaves, however few rows they have.
    """
    if is_proba and not (target.max(axis=1) > 1.0 - 1e-9).all():
        return Objective(target, weight, is_proba=True)
    centre, spread = centre_and_spread(target, weight)
    return Objective((target - centre) / spread, weight, is_proba=False)


def _better_nodes(student, matrix, objective, nodes, leaf):
    """Return the arrays of a tree found by looking ahead, and leaves, or those given if better."""
    n_rows, some = len(matrix), slice(None)
    if n_rows > LOOKAHEAD_ROWS:
        random = check_random_state(student.random_state)
        some = np.sort(random.choice(n_rows, LOOKAHEAD_ROWS, replace=False))
    found = searched_nodes(
        matrix[some],
        objective.take(some),
        nodes,
        max_leaf_nodes=student.max_leaf_nodes,
        max_depth=student.max_depth,
        min_samples_leaf=rows_of(student.min_samples_leaf, min(n_rows, LOOKAHEAD_ROWS)),
    )
    found_leaf = walk(found, matrix.T, n_rows)
    found_rows = rows_by(found_leaf)
    is_possible = min(map(len, found_rows)) >= rows_of(student.min_samples_leaf, n_rows)
    if is_possible and objective.loss(found_rows) < objective.loss(rows_by(leaf)):
        return with_centred_thresholds(found, matrix), found_leaf
    return nodes, leaf


def rows_by(leaf):
    """List the rows of every leaf that has some."""
    order = np.argsort(leaf, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(leaf[order])) + 1)


def rows_of(number, n_rows):
    """Return a number of rows that is given as such, or as a share."""
    return number if isinstance(number, Integral) else int(np.ceil(number * n_rows))


def walk(nodes, columns, n_rows):
    """Return the leaf that each row falls in; `nodes` are arrays, `columns` are as nodes compare.

    Columns are given by number, as float32 of shape (n_rows,).
    """
    node = np.zeros(n_rows, dtype=np.intp)
    queue = [(0, np.arange(n_rows))]
    while queue:
        at, rows = queue.pop()
        node[rows] = at
        if nodes["children_left"][at] >= 0 and len(rows):
            value = columns[nodes["feature"][at]][rows]
            left = np.where(
                np.isnan(value), nodes["missing_go_to_left"][at], value <= nodes["threshold"][at]
            )
            queue.append((nodes["children_left"][at], rows[left]))
            queue.append((nodes["children_right"][at], rows[~left]))
    return node


def with_centred_thresholds(nodes, matrix):
    """Return the arrays of a tree with thresholds midway between the rows that they divide.

    Thresholds that were found among those of all rows are anywhere between them.
    """
    threshold = nodes["threshold"].copy()
    queue = [(0, np.arange(len(matrix)))]
    while queue:
        at, rows = queue.pop()
        if nodes["children_left"][at] < 0:
            continue
        value = matrix[rows, nodes["feature"][at]]
        low, is_missing = value <= threshold[at], np.isnan(value)
        high = ~low & ~is_missing
        left = np.where(is_missing, nodes["missing_go_to_left"][at], low)
        queue.append((nodes["children_left"][at], rows[left]))
        queue.append((nodes["children_right"][at], rows[~left]))
        if low.any() and high.any():
            threshold[at] = float(value[low].max()) / 2 + float(value[high].min()) / 2
    return {**nodes, "threshold": threshold}


def tree_of_rows(nodes, leaf, target, weight, unit, described):
    """Make a `PlainTree` whose values are the weighted means of a target.

    `nodes` are its first arrays, `leaf` is the leaf of every row; weights were divided by a unit.
    """
    left, right = nodes["children_left"], nodes["children_right"]
    node_weight = np.bincount(leaf, weight, len(left))
    node_sum = np.stack([np.bincount(leaf, weight * t, len(left)) for t in target.T], axis=1)
    add_up(left, right, node_weight)
    add_up(left, right, node_sum)
    value = node_sum / node_weight[:, None]
    return PlainTree(**nodes, value=value, weight=node_weight * unit, **described)


def columns_from_file(columns):
    """Return names and levels of the columns of a file, as `PlainTree` takes them."""
    levels = tuple(tuple(each["levels"]) if "levels" in each else None for each in columns)
    return {"levels": levels, "names": tuple(each["name"] for each in columns)}


def ordinal_rows(X, target, weight):
    """Turn checked rows into float32 as nodes compare them, see `PlainTree.column`.

    Returns the matrix and, per column, the levels in the order of their mean target, or None.
    """
    matrix = np.empty(X.shape, dtype=np.float32)
    levels = []
    for j in range(X.shape[1]):
        values = column_values(X, j)
        levels.append(_order_levels(values, target, weight) if is_nominal(values) else None)
        matrix[:, j] = _ordinal(values, levels[j])
    return matrix, tuple(levels)


def add_up(children_left, children_right, of_leaves):
    """Give every inner node the sum of its children, in place, from the leaves to the root."""
    for node in range(len(of_leaves) - 1, -1, -1):  # children come after parents
        if children_left[node] >= 0:
            of_leaves[node] = of_leaves[children_left[node]] + of_leaves[children_right[node]]


def _order_levels(values, target, weight):
    """Put the levels of a nominal column in the order of their mean target."""
    levels = sorted(set(values) - {None, UNSEEN}, key=str)
    if not levels:
        return ()
    position = {level: i for i, level in enumerate(levels)}
    codes = np.fromiter((position.get(value, -1) for value in values), int, len(values))
    known = codes >= 0
    mass = np.bincount(codes[known], weight[known])
    means = np.stack([np.bincount(codes[known], (weight * t)[known]) for t in target.T], axis=1)
    means /= mass[:, None]
    if means.shape[1] <= 2:
        score = means[:, -1]
    else:
        centred = means - np.average(means, axis=0, weights=mass)
        score = centred @ np.linalg.svd(centred * np.sqrt(mass)[:, None], full_matrices=False)[2][0]
    return tuple(levels[i] for i in np.argsort(score, kind="stable"))


def _ordinal(values, levels):
    """Turn a column into float32: numbers as they are, levels by position, NaN where missing."""
    if levels is None:
        return np.minimum(np.maximum(values, -LARGEST), LARGEST).astype(np.float32)
    return level_positions(values, levels, np.nan).astype(np.float32)
