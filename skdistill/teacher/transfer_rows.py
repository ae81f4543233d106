"""Rows to distil on without any data: drawn from what the trees of a teacher store."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state, get_tags

from skdistill.estimators import last_step
from skdistill.messages import shown, warn_caller
from skdistill.parameters import validate_params
from skdistill.teacher.asking import is_fitted, n_columns_of, names_of
from skdistill.teacher.tree_nodes import read_tree_nodes
from skdistill.verbose import stage, steps, verbose


@dataclass(frozen=True)
class Column:
    """A column cut into cells, within which all trees treat values alike.

    Attributes
    ----------
    name : str or int
        Its name, or its position if there are no names.
    edges : ndarray of shape (n_cells + 1,) or None
        Cell k of a range reaches from edge k, exclusive, to edge k + 1; None for listed values.
    values : list or None
        The listed values, one cell each: numbers in order, or categories; None for a range.
    is_nominal : bool
        Whether the values are categories.
    """

    name: Any
    edges: np.ndarray | None = None
    values: list | None = None
    is_nominal: bool = False

    @property
    def n_cells(self):
        """Number of cells."""
        return len(self.edges) - 1 if self.values is None else len(self.values)

    def cut(self, threshold):
        """Return the number of cells on the left of thresholds."""
        upper = self.edges[1:] if self.values is None else np.asarray(self.values, dtype=float)
        return np.searchsorted(upper, threshold, side="right")

    def draw(self, cell, random_state):
        """Return one value of each given cell."""
        if self.values is not None:
            values = np.empty(self.n_cells, dtype=object)
            values[:] = self.values
            return values[cell] if self.is_nominal else values[cell].astype(np.float64)
        low, high = self.edges[cell], self.edges[cell + 1]
        return high - (high - low) * random_state.random_sample(len(cell))


@validate_params({"backend": [str, None], "random_state": ["random_state"], "verbose": ["verbose"]})
@verbose
def transfer_rows_from_teacher(
    teacher,
    ranges=None,
    n_samples=10_000,
    *,
    trees_per_row=30,
    missing=0.0,
    backend=None,
    random_state=None,
    verbose=0,
):
    """Make rows to distil on from a fitted tree ensemble alone, when its data may not leave.

    The trees remember where they split and how many rows went to either side. Rows drawn from that
    lie roughly where the rows of the fit did, and on both sides of every threshold. No real row is
    used, and none is reproduced on purpose; but what the trees store about single rows, such as a
    leaf of one row, is in the drawn rows as well: this is no anonymisation.

    Parameters
    ----------
    teacher : estimator
        A fitted tree, forest or gradient boosting model of scikit-learn, XGBoost, LightGBM or
        CatBoost, or an EBM of interpret, a classifier or a regressor; or a `MultiTeacher` or
        scikit-learn's bagging, AdaBoost, voting or stacking of them. In a Pipeline, only if no step
        in front of it changes the columns.
    ranges : dict, array-like of shape (n_features, 2) or None, default=None
        What values each column can hold, which trees do not know. A dict has, for the name of
        every column (its position if the teacher was fitted without names),

        - a tuple (low, high): numbers between these;
        - a list, array or ``range`` of values: numbers or categories, such as ``range(18, 91)`` for
          whole years;
        - None: what the teacher knows, see below.

        An array has low and high for every column. None is None for every column.
    n_samples : int, default=10_000
        Number of rows.
    trees_per_row : int, default=30
        Number of trees that decide on each row. One tree restricts few columns; more than
        a few tens change little, and the time is proportional to the number.
    missing : float or dict, default=0.0
        Share of missing values, of every column or by column, in [0, 1). Teachers do not remember
        shares, so the user has to pass them.
    backend : str or None, default=None
        Library of the data frame to return, such as "pandas" or "polars". None is "pandas" for a
        teacher that was fitted on named columns, and an array for others.
    random_state : int, RandomState instance or None, default=None
        Decides everything that is drawn.
    verbose : int, default=0
        Whether to print the stages with their seconds on stderr, with bars where they take long.

    Returns
    -------
    X : ndarray or data frame of shape (n_samples, n_features)
        Rows for the teacher to label. Categories are strings in an array of objects, or a
        categorical column of a frame.

    Raises
    ------
    NotFittedError
        If the teacher is not fitted.
    TypeError
        If the teacher is no ensemble of trees that can be read.
    ValueError
        If `ranges` lacks columns, has unknown ones or invalid values; if another parameter is
        invalid; or if steps in front of the teacher change the columns.

    Warns
    -----
    UserWarning
        If a range is guessed.

    Notes
    -----
    The thresholds of all trees cut every column into cells. Each row begins as the box of all cells
    and is led down `trees_per_row` trees, one after the other. At a node whose threshold cuts the
    box of column j, ``(a, b]``, it goes left with the share of the rows of the fit that did,

        P(left) = n_left / (n_left + n_right),

    and the box becomes ``(a, threshold]`` or ``(threshold, b]``; at other nodes it goes where the
    box lies. So it ends in the intersection of leaves of these trees, which is never empty. In
    every column one cell of the box is drawn, all with equal probability as thresholds are dense
    where rows were, and a value within the cell uniformly. After one tree, rows reach its leaves as
    often as the rows of the fit did.

    scikit-learn, LightGBM and CatBoost count rows. XGBoost adds up second derivatives, which
    count rows with confident predictions less; in its first trees they are proportional to the
    number of rows.

    A range that is not given is the one of the fit for LightGBM, which remembers it. Elsewhere it
    is guessed: from the outermost thresholds, extended by the mean distance between neighbours. A
    column that is never split is 0 then, which does not change the teacher's predictions.
    Categories that are not given are those that HistGradientBoosting, LightGBM and XGBoost (since
    3.1) remember.

    Missing values are put in after the rows are drawn.

    Where many columns depend on each other, such as the pixels of an image, drawn rows are far from
    real ones. How good students of drawn rows are was measured, see ``docs/techniques.md``.

    References
    ----------
    Distilling without data is known for neural networks, from the statistics of their activations
    (Lopes, Fenu and Starner, "Data-Free Knowledge Distillation for Deep Neural Networks", 2017,
    arXiv:1710.07535) or by a generator trained against the teacher (Chen et al., "Data-Free
    Learning of Student Networks", ICCV 2019, arXiv:1904.01186). Drawing from the boxes of trees in
    turn is this library's own; densities from counts in the leaves of trees are those of Ram and
    Gray, "Density Estimation Trees", KDD 2011, doi:10.1145/2020408.2020507.

    Examples
    --------
    Distil a forest without a row of its data; -1 marks rows without a class:

    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, transfer_rows_from_teacher
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> ranges = [(4, 8), (2, 4.5), (1, 7), (0, 2.5)]
    >>> rows = transfer_rows_from_teacher(forest, ranges, 1000, random_state=0)
    >>> model = DistilledClassifier(forest).fit(rows, np.full(len(rows), -1))
    >>> print(f"{model.score(X, y):.1f}")
    1.0
    """
    _check_number("n_samples", n_samples)
    _check_number("trees_per_row", trees_per_row)
    _check_fitted(teacher)
    with stage("read-trees"):
        nodes = read_tree_nodes(teacher)
    names = names_of(last_step(teacher))
    keys = list(range(n_columns_of(last_step(teacher)))) if names is None else names
    columns = _columns_of(nodes, _ranges_by_column(ranges, keys), keys)
    missing = _missing_shares(missing, keys, teacher)
    random_state = check_random_state(random_state)
    with stage("draw-rows"):
        cells = _draw_cells(nodes, columns, n_samples, trees_per_row, random_state)
    values = [column.draw(cell, random_state) for column, cell in zip(columns, cells, strict=True)]
    for column, share in enumerate(missing):
        if share:
            is_nominal = values[column].dtype == object
            blank = random_state.random_sample(n_samples) < share
            values[column][blank] = None if is_nominal else np.nan
    backend = "pandas" if backend is None and names is not None else backend
    return _table(values, columns, backend)


def _draw_cells(nodes, columns, n_samples, trees_per_row, random_state):
    """Draw a cell per row and column, see the notes of `transfer_rows_from_teacher`."""
    n_cells = np.array([column.n_cells for column in columns])
    box = _Box(
        np.zeros((n_samples, len(columns)), dtype=np.int32),
        np.tile(n_cells.astype(np.int32), (n_samples, 1)),
        {
            j: np.ones((n_samples, column.n_cells), dtype=bool)
            for j, column in enumerate(columns)
            if column.is_nominal
        },
    )
    cut, goes_left = _cuts(nodes, columns)
    order = random_state.permutation(len(nodes.root))
    first_tree = random_state.randint(len(order), size=n_samples)
    for step in steps(range(min(trees_per_row, len(order))), "leading rows down", unit=" trees"):
        tree = order[(first_tree + step) % len(order)]
        _lead_down(nodes, cut, goes_left, box, nodes.root[tree], random_state)
    return [box.draw(j, random_state) for j in range(len(columns))]


@dataclass(frozen=True)
class _Box:
    """The cells that rows may still be in; changed in place.

    Attributes
    ----------
    first, last : ndarray of shape (n_samples, n_features)
        Cells ``first <= k < last`` of columns of numbers.
    categories : dict of int to ndarray of shape (n_samples, n_cells)
        Column of categories -> whether a row may have each.
    """

    first: np.ndarray
    last: np.ndarray
    categories: dict

    def draw(self, j, random_state):
        """Draw one of the cells of column j for every row."""
        u = random_state.random_sample(len(self.first))
        if j in self.categories:
            allowed = np.cumsum(self.categories[j], axis=1)
            return np.argmax(allowed > (u * allowed[:, -1])[:, None], axis=1)
        first, last = self.first[:, j], self.last[:, j]
        return first + (u * (last - first)).astype(np.intp)


def _cuts(nodes, columns):
    """Return the number of cells left of every node, and for nominal columns which ones are."""
    cut = np.zeros(len(nodes.left), dtype=np.int32)
    inner = np.flatnonzero((nodes.left >= 0) & ~np.isnan(nodes.threshold))
    for j, column in enumerate(columns):
        if not column.is_nominal:
            own = inner[nodes.column[inner] == j]
            cut[own] = column.cut(nodes.threshold[own])
    goes_left = {j: {} for j, column in enumerate(columns) if column.is_nominal}
    for node, left in nodes.categories_left.items():
        j = int(nodes.column[node])
        goes_left[j][node] = np.isin(_positions(columns[j], nodes.levels.get(j)), left)
    return cut, goes_left


def _positions(column, levels):
    """Return the positions of a column's categories in the teacher, -1 for unknown ones."""
    if levels is None:
        return np.arange(column.n_cells)
    known = {level: k for k, level in enumerate(levels)}
    return np.array([known.get(value, -1) for value in column.values])


def _lead_down(nodes, cut, goes_left, box, node, random_state):
    """Lead every row down the tree whose root is given, and narrow its box."""
    rows = np.arange(len(node))
    while True:
        inner = nodes.left[node] >= 0
        rows, node = rows[inner], node[inner]
        if not len(rows):
            return
        column, left, right = nodes.column[node], nodes.left[node], nodes.right[node]
        n_left, n_right = nodes.count[left], nodes.count[right]
        total = n_left + n_right
        share = np.divide(n_left, total, out=np.full(len(rows), 0.5), where=total > 0)
        wants_left = random_state.random_sample(len(rows)) < share
        first, last = box.first[rows, column], box.last[rows, column]
        is_cut, lies_left = (first < cut[node]) & (cut[node] < last), cut[node] >= last
        masks = {}
        for j, of_node in goes_left.items():
            here = np.flatnonzero(column == j)
            if len(here):
                distinct, which = np.unique(node[here], return_inverse=True)
                mask = np.array([of_node[k] for k in distinct.tolist()])[which]
                may = box.categories[j][rows[here]]
                has_left, has_right = (may & mask).any(axis=1), (may & ~mask).any(axis=1)
                is_cut[here], lies_left[here] = has_left & has_right, has_left
                masks[j] = here, mask
        to_left = np.where(is_cut, wants_left, lies_left)
        for j, (here, mask) in masks.items():
            box.categories[j][rows[here]] &= mask == to_left[here, None]
        number = np.array([j not in goes_left for j in range(box.first.shape[1])])[column]
        go, stay = to_left & number, ~to_left & number
        box.last[rows[go], column[go]] = np.minimum(last, cut[node])[go]
        box.first[rows[stay], column[stay]] = np.maximum(first, cut[node])[stay]
        node = np.where(to_left, left, right)


def _columns_of(nodes, ranges, keys):
    """Cut every column into cells, see `Column`; warn of those whose range is guessed."""
    nominal = nodes.nominal_columns()
    columns, guessed = [], []
    for j, (key, given) in enumerate(zip(keys, ranges, strict=True)):
        thresholds = nodes.thresholds(j)
        if j in nominal:
            columns.append(_nominal_column(key, given, nodes.levels.get(j)))
            continue
        if given is None and j not in nodes.ranges:
            guessed.append(key)
        given = nodes.ranges.get(j, _guess(thresholds)) if given is None else given
        columns.append(_column(key, given, thresholds))
    if guessed:
        some = ", ".join(repr(key) for key in guessed[:5]) + (", ..." if len(guessed) > 5 else "")
        warn_caller(
            f"The ranges of {len(guessed)} columns ({some}) are guessed from the outermost "
            "thresholds: the teacher does not know them. Pass ranges={column: (low, high)}."
        )
    return columns


def _guess(thresholds):
    if not len(thresholds):
        return 0.0, 0.0
    beyond = np.ptp(thresholds) / (len(thresholds) - 1) if len(thresholds) > 1 else 1.0
    return thresholds[0] - beyond, thresholds[-1] + beyond


def _nominal_column(key, given, levels):
    """Make the `Column` of a column that is split by category."""
    if given is None and levels is None:
        raise ValueError(
            f"Column {key!r} holds categories that the teacher knows by number only. List them in "
            "ranges, in the order of the numbers."
        )
    if given is None:
        given = [level for level in levels if level is not None and level == level]
    if isinstance(given, tuple):
        raise ValueError(
            f"ranges has {given!r} for column {key!r}, which holds categories. Pass a list of them."
        )
    return Column(key, values=list(given), is_nominal=True)


def _column(key, given, thresholds):
    """Make the `Column` of a column that is split at numbers, or not at all."""
    if isinstance(given, tuple):
        low, high = _checked_range(key, given)
        inside = thresholds[(thresholds > low) & (thresholds < high)]
        return Column(key, edges=np.concatenate([[low], inside, [high]]))
    values = list(given)
    if not values:
        raise ValueError(f"ranges lists no values for column {key!r}; one or more were expected.")
    if not all(isinstance(value, Real | np.bool_) for value in values):
        if len(thresholds):
            raise ValueError(
                f"ranges lists {values[:5]} for column {key!r}, but the teacher splits it at "
                "numbers. Pass numbers, or a tuple (low, high)."
            )
        return Column(key, values=values, is_nominal=True)
    values = np.unique(np.array(values, dtype=np.float64))
    if not np.isfinite(values).all():
        raise ValueError(f"ranges lists NaN or infinity for column {key!r}; pass finite numbers.")
    between = (thresholds > values[0]) & (thresholds < values[-1])
    if len(values) == 2 and between.sum() > 1:
        raise ValueError(
            f"ranges lists two values for column {key!r}, {values.tolist()}, between which the "
            f"teacher has {between.sum()} thresholds. Pass a tuple (low, high) for a range."
        )
    return Column(key, values=values.tolist())


def _checked_range(key, given):
    is_pair = len(given) == 2 and all(isinstance(end, Real) for end in given)
    if not is_pair or not np.isfinite(given).all() or given[0] > given[1]:
        raise ValueError(
            f"ranges has {given!r} for column {key!r}; a tuple (low, high) of finite numbers with "
            "low <= high was expected, or a list of values."
        )
    return float(given[0]), float(given[1])


def _ranges_by_column(ranges, keys):
    """Return the range that was passed for every column, None for none."""
    if ranges is None:
        return [None] * len(keys)
    if not isinstance(ranges, dict):
        pairs = np.asarray(ranges, dtype=object)
        if pairs.shape != (len(keys), 2):
            raise ValueError(
                f"ranges has the shape {pairs.shape}; ({len(keys)}, 2) was expected, low and high "
                "for each of the teacher's columns, or a dict."
            )
        return [tuple(pair) for pair in pairs]
    lacks = [key for key in keys if key not in ranges]
    others = [key for key in ranges if key not in keys]
    if lacks or others:
        found = f"lacks the columns {lacks}" if lacks else f"has {others}, which are no columns"
        raise ValueError(
            f"ranges {found}. The teacher's columns are {keys}; a column may be None for what the "
            "teacher knows of it."
        )
    return [ranges[key] for key in keys]


def _missing_shares(missing, keys, teacher):
    """Return the share of missing values of every column."""
    by_column = missing if isinstance(missing, dict) else dict.fromkeys(keys, missing)
    others = [key for key in by_column if key not in keys]
    if others:
        raise ValueError(f"missing has {others}, which are no columns; those are {keys}.")
    shares = [by_column.get(key, 0.0) for key in keys]
    if not all(isinstance(share, Real) and 0 <= share < 1 for share in shares):
        raise ValueError(
            f"missing={shown(missing)}; shares of at least 0 and less than 1 were expected."
        )
    takes_missing = (
        not hasattr(teacher, "__sklearn_tags__") or get_tags(teacher).input_tags.allow_nan
    )
    if any(shares) and not takes_missing:
        raise ValueError(
            f"missing={shown(missing)}, but {type(last_step(teacher)).__name__} takes no missing "
            "values."
        )
    return shares


def _table(values, columns, backend):
    """Put columns together, as an array or a frame."""
    if backend is None:
        is_object = any(
            column.is_nominal and any(isinstance(v, str) for v in column.values)
            for column in columns
        )
        return np.stack(values, axis=1).astype(object if is_object else np.float64)
    names = [c.name if isinstance(c.name, str) else f"x{c.name}" for c in columns]
    series = [
        nw.new_series(
            name,
            value.tolist() if column.is_nominal else value,
            nw.Categorical if column.is_nominal else nw.Float64,
            backend=backend,
        )
        for name, value, column in zip(names, values, columns, strict=True)
    ]
    return nw.concat([one.to_frame() for one in series], how="horizontal").to_native()


def _check_number(name, value):
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={shown(value)}; a whole number of at least 1 was expected.")


def _check_fitted(teacher):
    if isinstance(teacher, type) or not hasattr(teacher, "fit"):
        raise TypeError(f"teacher is {shown(teacher)}; a fitted ensemble of trees was expected.")
    if not is_fitted(teacher):
        raise NotFittedError(
            f"The teacher {type(last_step(teacher)).__name__} is not fitted, so it has no "
            "trees yet. Fit it first."
        )
