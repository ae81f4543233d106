"""The rows a student learns from: labelled, unlabelled and synthetic."""

from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from skdistill.columns import (
    column_values,
    is_missing,
    is_nominal,
    replace_cells,
    replace_levels,
    require_table,
    stack_rows,
    table_like,
    take_rows,
)
from skdistill.parameters import ParametersMixin, check_parameters
from skdistill.soft_labels import SoftTargets

#: Where a row of a transfer set comes from.
ORIGINS = ("labelled", "unlabelled", "synthetic")

#: A column with fewer distinct numbers is discrete: its cells are swapped, never jittered.
DISCRETE_VALUES = 32

#: Random directions that stand for one nominal column when distances are computed.
NOMINAL_DIRECTIONS = 8

#: What a transfer set always has one of per row, besides the row.
_PER_ROW = ("margins", "y", "sample_weight", "origin")


@dataclass(frozen=True)
class TransferSet:
    """Rows with the teacher's margins and, for some of them, observed classes or values.

    Attributes
    ----------
    X : ndarray, sparse matrix or data frame of shape (n_samples, n_features)
        The rows, in the user's container.
    margins : ndarray of shape (n_samples, n_classes)
        The teacher's margins; predictions of shape (n_samples, 1) in regression.
    y : ndarray of shape (n_samples,)
        Index of the observed class, -1 where none was observed; in regression the observed
        value, NaN where none was.
    sample_weight : ndarray of shape (n_samples,)
        Non-negative weights.
    origin : ndarray of shape (n_samples,)
        0 for labelled, 1 for unlabelled, 2 for synthetic rows, see `ORIGINS`.
    classes : ndarray of shape (n_classes,) or None
        Class labels, in the order of the columns of `margins`; None in regression.
    class_weight : ndarray of shape (n_classes,) or None
        What the weights of rows are multiplied by in the hard term, by observed class; None for 1.
        The margins answer for these weights already.
    row_alpha : ndarray of shape (n_samples,) or None
        Weight of every row's soft term, in place of one for all; None for that.
    loss : {"kl", "logit_mse", "brier", "js"}
        What the soft term is, see `skdistill.soft_labels.distillation_loss`.
    hints : tuple of HintTargets
        What the student follows besides the margins.
    labelling : {"oob", "cross_fit", "direct"}
        Where the margins of the labelled rows come from. Unlabelled ones were asked directly.
    synthetic_labelling : {"half_oob", "direct"}
        Where those of the synthetic rows come from, see `DistilledClassifier`.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531.
    """

    X: Any
    margins: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray
    origin: np.ndarray
    classes: np.ndarray | None = None
    class_weight: np.ndarray | None = None
    row_alpha: np.ndarray | None = None
    loss: str = "kl"
    hints: tuple = ()
    labelling: str = "direct"
    synthetic_labelling: str = "direct"

    @property
    def is_real(self):
        """Which rows are not synthetic, of shape (n_samples,)."""
        return self.origin != ORIGINS.index("synthetic")

    def with_X(self, X):
        """Return the same transfer set with transformed rows."""
        return replace(self, X=X)

    def take(self, rows):
        """Return some of the rows, given by a mask or by indices."""
        return replace(
            self,
            X=take_rows(self.X, rows),
            row_alpha=None if self.row_alpha is None else self.row_alpha[rows],
            hints=tuple(hint.take(rows) for hint in self.hints),
            **{name: getattr(self, name)[rows] for name in _PER_ROW},
        )

    def without(self, rows):
        """Hold real rows out: return the other real rows.

        Synthetic rows are left out, too. Some were made of those held out, and to all of them the
        teacher says what it remembers of their neighbours' classes.

        Parameters
        ----------
        rows : ndarray of shape (n_held_out,)
            Positions.
        """
        left = self.is_real
        left[rows] = False
        return self.take(left)

    def soft_targets(self, temperature, alpha):
        """Return the targets of a classifier student."""
        return SoftTargets(
            self.margins,
            self.y,
            self.sample_weight,
            temperature,
            alpha if self.row_alpha is None else self.row_alpha,
            self.class_weight,
            self.loss,
            self.hints,
        )

    def blended_values(self, alpha):
        """Return the targets of a regressor student.

        Parameters
        ----------
        alpha : float
            Weight of the teacher's prediction, in [0, 1].

        Returns
        -------
        values : ndarray of shape (n_samples,)
            ``alpha * teacher + (1 - alpha) * y``, and the teacher's prediction where nothing was
            observed. Squared error to it is, up to a constant, the mix of the squared errors.
        weight : ndarray of shape (n_samples,)
            The row's weight; times `alpha` where nothing was observed.
        """
        teacher, observed = self.margins[:, 0], ~np.isnan(self.y)
        values = np.where(observed, alpha * teacher + (1 - alpha) * self.y, teacher)
        return values, np.where(observed, 1.0, alpha) * self.sample_weight

    def summary(self):
        """Count the rows, add up their weights and say how they were labelled, by origin."""
        labellings = (self.labelling, "direct", self.synthetic_labelling)
        counts = {}
        for code, (name, labelling) in enumerate(zip(ORIGINS, labellings, strict=True)):
            weights = self.sample_weight[self.origin == code]
            counts[name] = {
                "rows": len(weights),
                "weight": float(weights.sum()),
                "labelling": labelling,
            }
        return counts


def not_observed(X, margins, sample_weight, origin, classes, synthetic_labelling="direct"):
    """Make the part of a transfer set that has no observed classes or values.

    Parameters
    ----------
    X : ndarray, sparse matrix or data frame of shape (n_samples, n_features)
        The rows.
    margins : ndarray of shape (n_samples, n_classes)
        The teacher's margins.
    sample_weight : ndarray of shape (n_samples,)
        Their weights.
    origin : {"unlabelled", "synthetic"}
        Where they come from.
    classes : ndarray of shape (n_classes,) or None
        Class labels; None in regression.
    synthetic_labelling : {"half_oob", "direct"}, default="direct"
        How synthetic rows were labelled.

    Returns
    -------
    transfer_set : TransferSet
        The rows with margins, and nothing observed.
    """
    n_samples = X.shape[0]
    return TransferSet(
        X=X,
        margins=margins,
        y=np.full(n_samples, np.nan if classes is None else -1),
        sample_weight=sample_weight,
        origin=np.full(n_samples, ORIGINS.index(origin)),
        classes=classes,
        synthetic_labelling=synthetic_labelling,
    )


def join(parts):
    """Join transfer sets of one task, as the teacher labelled them: first labelled, last synthetic.

    What is decided once all rows are together, `row_alpha` and `hints`, cannot be there yet.
    """
    return replace(
        parts[0],
        synthetic_labelling=parts[-1].synthetic_labelling,
        X=stack_rows([part.X for part in parts]),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _PER_ROW},
    )


def kinds_of_unknown_cells(X, ask):
    """Find what a teacher takes in nominal columns though it may never have seen it.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        Real rows.
    ask : callable
        Asks the teacher about a table, and raises if the teacher does not take it.

    Returns
    -------
    kinds : list of (int, list)
        Columns, and cells for them: levels that no row has, or None for missing.
    """
    known = {j: _levels(column_values(X, j)) for j in range(X.shape[1])}
    nominal = {j: levels for j, levels in known.items() if levels}
    unseen = [(j, _unseen_levels(levels)) for j, levels in nominal.items()]
    missing = [(j, [None]) for j in nominal]

    def takes(kinds):
        rows = np.arange(len(kinds))
        some = take_rows(X, rows % X.shape[0])
        try:
            ask(with_unknown_cells(some, rows, kinds))
        except Exception:  # teachers raise whatever they like
            return False
        return True

    return _taken(unseen, takes) + _taken(missing, takes)


def with_unknown_cells(X, rows, kinds):
    """Make some rows have one unknown cell each, of every kind equally often.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        Rows.
    rows : ndarray of shape (n_changed,)
        Positions of those that change.
    kinds : list of (int, list)
        As `kinds_of_unknown_cells` returns them.

    Returns
    -------
    changed : ndarray or data frame of shape (n_samples, n_features)
        In the container of X.
    """
    all_rows, none = np.arange(X.shape[0]), np.arange(0)
    changed = {}
    for k, (j, values) in enumerate(kinds):
        at, cells = changed.setdefault(j, ([], []))
        mine = rows[k :: len(kinds)].tolist()
        at += mine
        cells += [values[i % len(values)] for i in range(len(mine))]
    return table_like(
        X,
        [
            replace_levels(X, j, all_rows, np.array(changed[j][0], dtype=int), changed[j][1])
            if j in changed
            else replace_cells(X, j, all_rows, none, none)
            for j in range(X.shape[1])
        ],
    )


def _taken(kinds, takes):
    """Return the kinds that are taken: all of them, or those of either half."""
    if not kinds or takes(kinds):
        return kinds
    middle = len(kinds) // 2
    return _taken(kinds[:middle], takes) + _taken(kinds[middle:], takes) if middle else []


def _levels(values):
    """Return the levels of a column in order; none of a numeric one."""
    known = set(values[~is_missing(values)]) if is_nominal(values) else set()
    return sorted(known, key=lambda level: (str(type(level)), level))


def _unseen_levels(known):
    """Make levels that are none of the known ones, one behind each of these in order.

    XGBoost takes an unseen category for the one that is next in order, and none that is the last.
    """
    if not isinstance(known[-1], str):
        return [known[-1] + 1]
    names = [f"{level}?" for level in known[:-1] if isinstance(level, str)]
    return sorted(set(names) - set(known)) or [f"{known[-1]}??"]


_OF_SAMPLE = {
    "n_labelled": [Interval(Integral, 0, None, closed="left"), None],
    "random_state": ["random_state"],
}


class Munge(ParametersMixin, BaseEstimator):
    """Make synthetic rows by mixing each row with a near neighbour.

    Every synthetic row starts as a real one. Each of its cells is, with probability `swap_prob`,
    taken from a near neighbour (nominal and discrete columns, missing values) or drawn around the
    neighbour's value (other numeric columns).

    Parameters
    ----------
    size : float, default=20.0
        Number of synthetic rows, as a multiple of the number of labelled rows.
    max_rows : int, default=300_000
        Largest number of synthetic rows.
    swap_prob : float, default=0.5
        Probability that a cell changes.
    local_variance : float, default=1.0
        A changed number is drawn from a normal distribution around the neighbour's value with a
        standard deviation of the distance between the two values divided by this.
    n_neighbors : int, default=5
        Each synthetic row uses one of this many nearest neighbours, at random.
    max_candidates : int, default=10_000
        Neighbours are searched among this many rows drawn at random: exact up to that many rows,
        approximate beyond, with cost and memory linear in the number of rows.

    Notes
    -----
    Distances are Euclidean over numeric columns as ranks in [0, 1] and nominal columns as random
    unit vectors per level, which puts different levels at a distance of about 1.

    Every cell is a value that its column could hold: drawn numbers stay in the range seen and are
    rounded where the column holds integers; columns of fewer than 32 distinct numbers are
    discrete.

    References
    ----------
    Bucila, Caruana and Niculescu-Mizil, "Model Compression", KDD 2006,
    doi:10.1145/1150402.1150464.

    Examples
    --------
    Twice as many rows as there were:

    >>> from sklearn.datasets import load_iris
    >>> from skdistill import Munge
    >>> X, _ = load_iris(return_X_y=True)
    >>> Munge(size=2).sample(X, random_state=0).shape
    (300, 4)
    """

    _parameter_constraints = {
        "size": [Interval(Real, 0.0, None, closed="neither")],
        "max_rows": [Interval(Integral, 1, None, closed="left")],
        "swap_prob": [Interval(Real, 0.0, 1.0, closed="right")],
        "local_variance": [Interval(Real, 0.0, None, closed="neither")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "max_candidates": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        size=20.0,
        *,
        max_rows=300_000,
        swap_prob=0.5,
        local_variance=1.0,
        n_neighbors=5,
        max_candidates=10_000,
    ):
        self.size = size
        self.max_rows = max_rows
        self.swap_prob = swap_prob
        self.local_variance = local_variance
        self.n_neighbors = n_neighbors
        self.max_candidates = max_candidates

    def sample(self, X, n_labelled=None, random_state=None):
        """Make synthetic rows.

        Parameters
        ----------
        X : ndarray or data frame of shape (n_samples, n_features)
            Real rows, labelled or not, at least two.
        n_labelled : int, default=None
            Number that `size` multiplies; None for ``n_samples``.
        random_state : int, RandomState instance or None, default=None
            Decides everything that is drawn.

        Returns
        -------
        synthetic : ndarray or data frame of shape (n_synthetic, n_features)
            In the container of X, with its column types.
        """
        return self.sample_with_parents(X, n_labelled, random_state)[0]

    def sample_with_parents(self, X, n_labelled=None, random_state=None):
        """Make synthetic rows, and tell which rows each was made of.

        Parameters
        ----------
        X : ndarray or data frame of shape (n_samples, n_features)
            Real rows, labelled or not, at least two.
        n_labelled : int, default=None
            Number that `size` multiplies; None for ``n_samples``.
        random_state : int, RandomState instance or None, default=None
            Decides everything that is drawn.

        Returns
        -------
        synthetic : ndarray or data frame of shape (n_synthetic, n_features)
            In the container of X, with its column types.
        parents : ndarray of shape (n_synthetic, 2)
            Numbers of the row it started from and of its neighbour.
        """
        self._validate_params()
        require_table(X)
        X = X if hasattr(X, "shape") else np.asarray(X)
        given = {"n_labelled": n_labelled, "random_state": random_state}
        check_parameters(_OF_SAMPLE, given, "Munge.sample")
        random_state = check_random_state(random_state)
        n_samples = X.shape[0]
        if n_samples == 0:
            raise ValueError("X has no rows; some are needed to mix.")
        wanted = self.size * (n_samples if n_labelled is None else n_labelled)
        n_rows = int(max(1, min(self.max_rows, round(wanted))))
        columns = [column_values(X, j) for j in range(X.shape[1])]

        # Whole passes over all rows, then a random part of them.
        passes, rest = divmod(n_rows, n_samples)
        base = np.tile(np.arange(n_samples), passes)
        base = np.concatenate([base, random_state.permutation(n_samples)[:rest]])
        neighbor = self._draw_neighbors(columns, base, random_state)
        new_columns = [
            self._mix(X, j, values, base, neighbor, random_state)
            for j, values in enumerate(columns)
        ]
        return table_like(X, new_columns), np.column_stack([base, neighbor])

    def _draw_neighbors(self, columns, base, random_state):
        """Return one of the nearest other rows for every base row."""
        points = _embed(columns, random_state)
        n_samples = len(points)
        n_candidates = min(self.max_candidates, n_samples)
        candidates = np.sort(random_state.choice(n_samples, n_candidates, replace=False))
        k = min(self.n_neighbors, n_candidates - 1)
        queries = np.unique(base)
        if k < 1:
            return base
        search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(points[candidates])
        found = np.full((n_samples, k + 1), -1)
        found[queries] = candidates[search.kneighbors(points[queries], return_distance=False)]
        itself = found == np.arange(n_samples)[:, None]
        itself[~itself.any(axis=1), -1] = True  # not a candidate: drop the farthest
        nearest = found[~itself].reshape(n_samples, k)
        return nearest[base, random_state.randint(k, size=len(base))]

    def _mix(self, X, j, values, base, neighbor, random_state):
        swap = random_state.random_sample(len(base)) < self.swap_prob
        source = np.where(swap, neighbor, base)
        none = np.arange(0)
        if is_nominal(values):
            return replace_cells(X, j, source, none, none)
        present = values[~np.isnan(values)]
        distinct = np.unique(present)
        if len(distinct) < DISCRETE_VALUES:
            return replace_cells(X, j, source, none, none)
        own, other = values[base], values[neighbor]
        changed = np.flatnonzero(swap & ~np.isnan(own) & ~np.isnan(other))
        spread = np.abs(own - other)[changed] / self.local_variance
        drawn = other[changed] + spread * random_state.standard_normal(len(changed))
        drawn = np.clip(drawn, distinct[0], distinct[-1])
        if np.array_equal(distinct, np.rint(distinct)):
            drawn = np.rint(drawn)
        return replace_cells(X, j, source, changed, drawn)


def _embed(columns, random_state):
    """Return float32 points whose Euclidean distances say how alike rows are."""
    parts = []
    for values in columns:
        if is_nominal(values):
            codes = np.unique(np.array([str(value) for value in values]), return_inverse=True)[1]
            levels = random_state.standard_normal((codes.max() + 1, NOMINAL_DIRECTIONS))
            levels /= np.linalg.norm(levels, axis=1, keepdims=True) * np.sqrt(2.0)
            parts.append(levels[codes])
            continue
        missing = np.isnan(values)
        distinct, codes = np.unique(values[~missing], return_inverse=True)
        ranks = np.full(len(values), 0.5)
        ranks[~missing] = codes / max(1, len(distinct) - 1)
        parts.append(ranks[:, None])
        if missing.any():
            parts.append(missing[:, None])
    return np.concatenate(parts, axis=1, dtype=np.float32)
