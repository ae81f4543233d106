"""A student for serving: plain arrays, with the first layer collapsed.

The lean scorer and every export are made from one of two shapes:

* `LeanTree`: nodes and leaves;
* `LeanNetwork`: one curve per column, their sum, and for an MLP or a soft tree what follows.

The first layer of an MLP is linear in the codes of the columns, so it is a sum of curves as well: a
row costs columns x width, not columns x bins x width. Nothing but NumPy is needed here.
"""

import json
from dataclasses import dataclass, field

import numpy as np

from skdistill.scorer.cells import are_texts
from skdistill.scorer.digest import sha256


@dataclass(frozen=True)
class Column:
    """One raw column.

    Attributes
    ----------
    name : str
        Its name; ``x0, x1, ...`` if the student was fitted on an array.
    levels : tuple or None
        The categories it may hold, strings or numbers, in the order of their numbers; None for
        a column of numbers. Missing is not a level, and what is not among them is unknown.
    has_infrequent : bool
        Whether what is unknown counts as rare categories that were seen, which some may be.
    """

    name: str
    levels: tuple | None = None
    has_infrequent: bool = False

    @property
    def is_nominal(self):
        """Whether the column holds categories."""
        return self.levels is not None

    @property
    def holds_text(self):
        """Whether they are strings; those of a mixed column are looked up as strings are."""
        return self.is_nominal and are_texts(self.levels)

    @property
    def is_mixed(self):
        """Whether some categories are strings and others numbers, as only Python can have it."""
        return self.holds_text and not all(isinstance(level, str) for level in self.levels)


@dataclass(frozen=True)
class LeanTree:
    """A decision tree, or a sum of trees; children come after their parents.

    Attributes
    ----------
    columns : tuple of Column
        The raw columns.
    classes : tuple or None
        The class labels; None for a regressor.
    children_left, children_right : ndarray of shape (n_nodes,), int32
        Node numbers; -1 at a leaf.
    feature : ndarray of shape (n_nodes,), int32
        The column that the node asks for; -1 at a leaf.
    threshold : ndarray of shape (n_nodes,), float64
        Rows with ``x <= threshold`` go left, where x is the number as a float64, or the number of
        the level. Students compare numbers as float32; this is the largest float64 that they send
        left, so nothing needs to be rounded first.
    missing_left : ndarray of shape (n_nodes,), bool
        Whether missing values, and unknown levels, go left.
    value : ndarray of shape (n_nodes, n_outputs), float64
        The answer of every node: a probability per class, or the prediction. In a sum of trees,
        what the node adds to the outputs: to the margins of a classifier, as in a `LeanNetwork`,
        or to the prediction.
    roots : ndarray of shape (n_trees,), int32
        The root of every tree, increasing; the first is 0.
    intercept : ndarray of shape (n_outputs,), float64, or None
        What is added to the sum of the trees; None for a single tree whose leaves are the answers.
    """

    columns: tuple
    classes: tuple | None
    children_left: np.ndarray
    children_right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    roots: np.ndarray = field(default_factory=lambda: np.zeros(1, dtype=np.int32))
    intercept: np.ndarray | None = None

    @property
    def threshold32(self):
        """The largest float32 that goes left, of shape (n_nodes,): for numbers kept as float32."""
        return largest_float32(self.threshold)


@dataclass(frozen=True)
class LeanTable:
    """What a pair of columns adds to the sum of the curves.

    Attributes
    ----------
    columns : tuple of int
        The positions of the two columns, increasing.
    edges : tuple of (ndarray of shape (n_edges,) or None)
        Per column of numbers, the knots of the table: increasing, float64, some of the edges of its
        curve, the first and the last among them. None for categories.
    values : ndarray of shape (n_points_a, n_points_b, width)
        What is added at every pair of points, which are those of curves, see `LeanNetwork`. Between
        edges the table is bilinear, outside it stays at its ends.
    """

    columns: tuple
    edges: tuple
    values: np.ndarray


@dataclass(frozen=True)
class LeanNetwork:
    """A sum of curves, one per column, and the layers of an MLP or the leaves of a soft tree.

    Attributes
    ----------
    columns : tuple of Column
        The raw columns.
    classes : tuple or None
        The class labels; None for a regressor.
    edges : tuple of (ndarray of shape (n_edges,) or None)
        Per column of numbers, where its curve bends: increasing, float64. None for categories.
    curves : tuple of ndarray of shape (n_points, width)
        Per column, what it adds. For numbers: one point per edge, then one for missing. Between
        edges the curve is a straight line, outside it stays at its ends. For categories: one point
        per level, then one for missing, then one for unknown.
    intercept : ndarray of shape (width,)
        The intercept.
    tables : tuple of LeanTable
        What pairs of columns add to the sum of the curves; only of an additive student.
    layers : tuple of (ndarray of shape (n_in, n_out), ndarray of shape (n_out,))
        Weights and biases. Each follows a rectifier: ``hidden = max(hidden, 0) @ weight + bias``.
        Empty for an additive student.
    is_soft_tree : bool
        Whether the sum of the curves are log-odds of going right at the inner nodes of a soft tree.
        Then `path_probabilities` come before the one layer, whose weights are the leaves.
    scale, shift : float
        A regressor answers ``output * scale + shift``.

    Notes
    -----
    With two classes there is one output, the log-odds of the second; with more there is one margin
    per class. Curves and layers are float32 if they were trained in torch, else float64.
    """

    columns: tuple
    classes: tuple | None
    edges: tuple
    curves: tuple
    intercept: np.ndarray
    layers: tuple = ()
    is_soft_tree: bool = False
    scale: float = 1.0
    shift: float = 0.0
    tables: tuple = ()

    @property
    def n_outputs(self):
        """Width of the last layer."""
        return len(self.layers[-1][1] if self.layers else self.intercept)


def path_probabilities(log_odds):
    """Compute with which probability rows reach the leaves of a soft tree.

    `log_odds` of shape (n_samples, n_inner_nodes) are those of going right, at the inner nodes of a
    complete tree in breadth-first order. Returns one more column than these: leaves from left to
    right. Each row sums to 1.
    """
    odds = np.exp(-np.abs(log_odds))
    smaller, larger = odds / (1 + odds), 1 / (1 + odds)
    goes_right = log_odds > 0
    right = np.where(goes_right, larger, smaller)
    left = np.where(goes_right, smaller, larger)
    reach = np.ones((len(log_odds), 1), dtype=log_odds.dtype)
    while (width := reach.shape[1]) <= log_odds.shape[1]:
        level = slice(width - 1, 2 * width - 1)
        reach = np.stack([reach * left[:, level], reach * right[:, level]], axis=2)
        reach = reach.reshape(-1, 2 * width)
    return reach


def curve_positions(edges, values):
    """Return where numbers lie between the edges of a curve: in which bin, and how far in it.

    Edges increase, and are so far from the largest float64 that no difference of two overflows.
    Values outside the edges count as the nearest of them. Positions are from 0 to ``n_edges - 1``,
    NaN where missing: ``k + 0.25`` is a quarter of the way from edge k to the next.
    """
    inside = np.clip(values, edges[0], edges[-1])
    if len(edges) == 1:
        return inside - edges[0]
    k = np.searchsorted(edges[1:-1], inside, side="right")
    return k + (inside - edges[k]) / np.diff(edges)[k]


def points_of_axis(model, j, edges):
    """Return at which point of an axis of a table every point of the curve of column j lies.

    Points that the table does not have are at the one before. ValueError if the table bends where
    the curve does not.
    """
    if edges is None:
        return np.arange(len(model.curves[j]))
    if not np.isin(edges, model.edges[j]).all():
        raise ValueError(
            f"A table of column {model.columns[j].name!r} has the edges {edges}; some of those of "
            f"its curve were expected: {model.edges[j]}."
        )
    return np.append(np.searchsorted(edges, model.edges[j], side="right") - 1, len(edges))


def n_answers(model):
    """Return how many numbers a model answers with: one per class, or the prediction."""
    return 1 if model.classes is None else len(model.classes)


def size_in_bytes(model):
    """Return the size of the arrays of a model in bytes."""
    return sum(array.nbytes for array in _arrays(model))


def fingerprint(model):
    """Return the SHA-256 of a model, in hexadecimal: of its columns, classes and all arrays."""
    digest = sha256()
    schema = [[column.name, column.levels] for column in model.columns]
    numbers = [getattr(model, "scale", 1.0), getattr(model, "shift", 0.0)]
    kind = "SoftTree" if getattr(model, "is_soft_tree", False) else type(model).__name__
    digest.update(json.dumps([kind, schema, model.classes, numbers]).encode())
    for array in _arrays(model):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def largest_float32(limit):
    """Return the largest float32 that is not above each float64 limit."""
    with np.errstate(over="ignore"):
        rounded = limit.astype(np.float32)
    below = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded.astype(np.float64) > limit, below, rounded)


def exact_threshold(threshold):
    """Return the largest float64 that, rounded to float32, is not above each threshold.

    So ``x <= exact`` for a float64 x just where ``float32(x) <= threshold``.
    """
    last = largest_float32(threshold)
    following = np.nextafter(last, np.float32(np.inf))
    middle = (last.astype(np.float64) + following.astype(np.float64)) / 2
    # A number right in the middle is rounded to the neighbour whose last bit is 0.
    stays = middle.astype(np.float32) == last
    return np.where(stays, middle, np.nextafter(middle, -np.inf))


def _arrays(model):
    """All arrays of a model, in a fixed order."""
    if isinstance(model, LeanTree):
        nodes = model.children_left, model.children_right, model.feature, model.threshold
        of_sum = [] if model.intercept is None else [model.roots, model.intercept]
        return [*nodes, model.missing_left, model.value, *of_sum]
    edges = [edges for edges in model.edges if edges is not None]
    layers = [array for layer in model.layers for array in layer]
    tables = [
        array
        for table in model.tables
        for array in (np.array(table.columns, dtype=np.int64), *table.edges, table.values)
        if array is not None
    ]
    return [*edges, *model.curves, model.intercept, *layers, *tables]
