"""Soft decision trees on the encoded columns: trained in torch, served by NumPy."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdistill.levels import warn_of_unknown_levels
from skdistill.parameters import Interval
from skdistill.scorer.model import path_probabilities
from skdistill.soft_labels import free_outputs, margins_from_decision, proba_from_margins
from skdistill.students.base import categories
from skdistill.students.network_classifier import (
    NETWORK_CONSTRAINTS,
    NetworkStudentClassifier,
    TrainedInEpochs,
    import_training,
    rows_for_callbacks,
)

#: Spread of the initial outputs of the leaves: equal ones would leave no reason to route.
LEAF_NOISE = 0.05


class _SoftTreeStudent(TrainedInEpochs):
    """What the soft tree states."""

    form = "soft_tree"
    is_readable = True

    def short_name(self):
        return f"soft tree, {self.max_depth} levels, {self.n_bins} bins"

    def parts(self):
        n_weights = sum(array.size for array in self._weights().values())
        return f"{self.n_leaves_:,} leaves, {n_weights:,} weights"

    def first_sum(self):
        return [curve.astype(np.float32) for curve in self.curves_], self.intercept_

    def after_sum(self, sums):
        return path_probabilities(sums) @ self.leaf_outputs_

    def _weights(self):
        names = "coef", "intercept", "leaf_outputs"
        return {name: getattr(self, f"{name}_") for name in names}

    def _set_weights(self, arrays):
        self.coef_, self.intercept_ = arrays["coef"], arrays["intercept"]
        self.leaf_outputs_ = arrays["leaf_outputs"]
        self.n_leaves_ = len(self.leaf_outputs_)


class SoftTreeStudentClassifier(_SoftTreeStudent, NetworkStudentClassifier):
    """A soft decision tree that learns from soft labels: every node combines all columns.

    A complete tree whose inner nodes are small additive models. Each sends a row to the right with
    a probability, so the row reaches every leaf with some probability, and the margins of the
    leaves are averaged with these weights. Boundaries may be oblique, and the tree is smooth, so it
    is trained by gradient descent as an MLP is. Training needs torch and skorch (the ``mlp``
    extra); a fitted student holds plain arrays and needs neither.

    Parameters
    ----------
    max_depth : int, default=5
        Levels of inner nodes: there are ``2**max_depth`` leaves.
    n_bins : int, default=32
        Largest number of bins of a numeric column. With 1 the nodes are linear: one weight per
        column.
    max_categories : int, default=64
        Largest number of levels of a nominal column; the rarest share an infrequent level.
    min_frequency : float, default=0.001
        Categories with less than this share of the weight are infrequent.
    balance_penalty : float, default=0.1
        Strength of the regulariser by which nodes send as many rows to the left as to the right; 0
        for none. It is halved from level to level.
    learning_rate_init : float, default=0.01
        Largest learning rate of AdamW; it warms up over the first tenth of the steps and then
        falls to zero along a cosine.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    batch_size : int, default=512
        Rows per step; fewer when there are fewer rows.
    max_epochs : int or None, default=None
        Passes over the rows. None takes as many as make ``min(6000, 100 * n_samples**0.4)`` steps,
        and two or four times as many while the held-out loss falls by more than 2 % from the first
        to the second quarter of them.
    validation_fraction : float, default=0.1
        Share of the rows held out to find the best epoch, once there are at least 500 rows; 0
        trains on all rows and keeps the last epoch.
    n_iter_no_change : int, default=10
        Training stops when the held-out loss has not improved for this many epochs; the first
        tenth, in which the learning rate warms up, does not count.
    callbacks : list or None, default=None
        More skorch callbacks, each a `skorch.callbacks.Callback` or a pair of a name and one.
    device : str, default="auto"
        Where to train: "auto" (a GPU when there is one), "cpu", "cuda" or any torch device.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, the held-out rows and the order of the batches.
    verbose : int, default=0
        Whether to print epochs, losses and seconds on stderr, with a bar where it takes more than
        five seconds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    encoding_ : Encoding
        Bin edges and levels of every column.
    coef_ : ndarray of shape (n_codes, n_inner_nodes)
        Float32 weight of every code in every inner node; nodes are numbered level by level, from
        left to right: the children of node i are the nodes ``2 * i + 1`` and ``2 * i + 2``.
    intercept_ : ndarray of shape (n_inner_nodes,)
        Float32 bias of every inner node.
    leaf_outputs_ : ndarray of shape (n_leaves, n_outputs)
        Float32 margins of every leaf, from left to right: the log-odds of ``classes_[1]`` if there
        are two classes, else one margin per class.
    n_leaves_ : int
        Number of leaves.
    history_ : dict of str to list of float
        ``train_loss`` and, with held-out rows, ``valid_loss`` of every epoch, see
        `LossCurveDisplay`.
    n_iter_ : int
        Number of epochs.
    best_epoch_ : int
        The epoch whose weights were kept, counted from 1 over all calls of `partial_fit`.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    TreeStudentClassifier : A tree whose nodes split on one column each, and send rows to one side.
    MLPStudentClassifier : The same encoding with hidden layers, and the treatment of columns
        explained.

    Notes
    -----
    Node i sends a row to the right with probability ``p_i(x) = sigmoid(x @ w_i + b_i)``, where x
    are the codes of its columns. Leaf l is reached with ``P_l(x)``, the product of ``p_i`` or
    ``1 - p_i`` along its path, and the margins are ``z(x) = sum_l P_l(x) z_l``. Minimised is
    ``loss(z(x)) - balance_penalty * sum_i 2**-d_i * (log(a_i) + log(1 - a_i)) / 2``, the mean of
    the distillation loss over a batch and the regulariser of Frosst and Hinton, in which
    ``a_i = sum_x P_i(x) p_i(x) / sum_x P_i(x)`` is the share of the batch that node i, at depth
    d_i, sends to the right. They report that without it nodes get stuck that send nearly all rows
    to one side and have no gradient there. ``history_`` has the loss without the regulariser.

    Frosst and Hinton minimise ``sum_l P_l(x) loss(z_l)`` and predict by the leaf of the largest
    ``P_l``. As the loss is convex in the margins, that is an upper bound of the loss here; both are
    the same where the probabilities of nodes are 0 or 1. It trains leaves that can predict alone,
    which costs accuracy. Averaging the probabilities of leaves instead of their margins is as
    accurate, but could not be recalibrated by changing the leaves alone. The inverse temperature of
    a node, which they have, is part of its weights here.

    References
    ----------
    Frosst and Hinton, "Distilling a Neural Network Into a Soft Decision Tree", 2017,
    arXiv:1711.09784. Irsoy, Yildiz and Alpaydin, "Soft Decision Trees", ICPR 2012, for the mean of
    the leaves.

    Examples
    --------
    Eight leaves fitted on the probabilities of a forest, and the first node in words:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import SoftTreeStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = SoftTreeStudentClassifier(3, max_epochs=200, random_state=0)
    >>> student = student.fit(X, forest.predict_proba(X))
    >>> print(f"{(student.predict(X) == forest.predict(X)).mean():.1f}")
    1.0
    >>> root, *columns = student.export_text(2).splitlines()[:3]
    >>> print(root.partition(",")[0], "looks at", len(columns), "columns first")
    node 0 looks at 2 columns first
    """

    _parameter_constraints = {
        "max_depth": [Interval(Integral, 1, 12, closed="both")],
        "balance_penalty": [Interval(Real, 0.0, None, closed="left")],
        **NETWORK_CONSTRAINTS,
    }

    def __init__(
        self,
        max_depth=5,
        *,
        n_bins=32,
        max_categories=64,
        min_frequency=0.001,
        balance_penalty=0.1,
        learning_rate_init=0.01,
        weight_decay=0.01,
        batch_size=512,
        max_epochs=None,
        validation_fraction=0.1,
        n_iter_no_change=10,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.max_depth = max_depth
        self.n_bins = n_bins
        self.max_categories = max_categories
        self.min_frequency = min_frequency
        self.balance_penalty = balance_penalty
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def path_proba(self, X):
        """Compute the probability of every leaf: where in the tree a row goes.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_leaves)
            Float32; one column per leaf, from left to right. Each row sums to 1, and the margins
            are ``proba @ leaf_outputs_``.
        """
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        warn_of_unknown_levels(categories(self, X))
        return self._reach(X).astype(np.float32)

    @property
    def curves_(self):
        """Per column what it adds to the log-odds of going right, (n_knots, n_inner_nodes)."""
        return self.encoding_.curves(self.coef_)

    def export_text(self, n_columns=3, decimals=2):
        """Describe every node in words: its most important columns, or what a leaf predicts.

        Parameters
        ----------
        n_columns : int, default=3
            Number of columns named at a node, those whose curve there has the widest range.
        decimals : int, default=2
            Digits after the point of log-odds and probabilities.

        Returns
        -------
        text : str
            Below every node its columns, each with the values that add least and most to the
            log-odds of going right, and what they add, relative to the mean of the curve over its
            knots; these means are part of the node's own line. Then the left and the right
            children. Leaves have a probability per class.
        """
        check_is_fitted(self)
        return "\n".join(_described(self, n_columns, decimals))

    def _train(self, X, targets, start):
        training = import_training()

        def build():
            if start is None:
                tree = training.soft_tree.SoftTree(self.encoding_, self.leaf_outputs_)
                tree.set_weights(self.coef_, self.intercept_)
                return tree
            return training.soft_tree.new_tree(self.encoding_, self.max_depth, start, LEAF_NOISE)

        criterion, packed = training.losses.pack_distillation(targets)
        criterion = training.soft_tree.BalancedLoss(criterion, self.balance_penalty)
        positions = self.encoding_.positions(X)
        rows = rows_for_callbacks(self, X, targets)
        training.train.train(
            self, build, positions, packed, criterion, start is None, _attributes_of, rows
        )

    def _reach(self, X):
        """Compute path probabilities by NumPy alone.

        In float64: exports then differ only by what they round to float32.
        """
        weights = (each.astype(np.float64) for each in (self.coef_, self.intercept_))
        first = self.encoding_.layer(*weights)
        reach = np.empty((X.shape[0], self.n_leaves_))
        return self.encoding_.fill(reach, X, lambda u: path_probabilities(first(u)))

    def _outputs(self, X):
        return self._reach(X) @ self.leaf_outputs_

    def rescale_margins(self, slope, intercept):
        """Change the leaves, see `StudentClassifier`."""
        leaves = slope * self.leaf_outputs_ + free_outputs(intercept)
        self.leaf_outputs_ = leaves.astype(np.float32)


def _attributes_of(tree):
    coef, intercept, leaves = tree.weights()
    return {
        "coef_": coef,
        "intercept_": intercept,
        "leaf_outputs_": leaves,
        "n_leaves_": len(leaves),
    }


def _described(student, n_columns, decimals, node=0, indent=""):
    """Describe a node and all below it, line by line."""
    n_inner = len(student.intercept_)
    if node >= n_inner:
        outputs = student.leaf_outputs_[node - n_inner : node - n_inner + 1].astype(np.float64)
        margins = margins_from_decision(outputs) if outputs.shape[1] == 1 else outputs
        proba = proba_from_margins(margins)[0]
        shown = zip(student.classes_.tolist(), proba.tolist(), strict=True)
        answers = ", ".join(f"{label}: {share:.{decimals}f}" for label, share in shown)
        return [f"{indent}leaf {node - n_inner}: {answers}"]
    curves = [curve[:, node] for curve in student.curves_]
    start = student.intercept_[node] + sum(curve.mean() for curve in curves if len(curve))
    lines = [f"{indent}node {node}, log-odds of right {start:+.{decimals}f}"]
    by_range = sorted(range(len(curves)), key=lambda j: -np.ptp(curves[j]))
    for j in by_range[:n_columns]:
        knots, curve = _knots(student.encoding_.columns[j]), curves[j] - curves[j].mean()
        ends = [f"{curve[k]:+.{decimals}f} at {knots[k]}" for k in (curve.argmin(), curve.argmax())]
        lines.append(f"{indent}  {student.encoding_.names[j]}: {', '.join(ends)}")
    for side, child in (("left", 2 * node + 1), ("right", 2 * node + 2)):
        lines.append(f"{indent}{side}:")
        lines += _described(student, n_columns, decimals, child, indent + "    ")
    return lines


def _knots(column):
    """Name the knots of a column's curve, see `Encoding.knots`."""
    if column.edges is not None:
        knots = [
            np.format_float_positional(edge, precision=4, fractional=False, trim="-")
            for edge in column.edges.tolist()
        ]
        return [*knots, "missing"] if column.has_missing_code else knots
    levels = ["missing" if level is None else str(level) for level in column.levels]
    return [*levels, "other categories"] if column.has_infrequent else levels
