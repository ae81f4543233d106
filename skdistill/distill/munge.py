"""Synthetic rows: each real row mixed with a near neighbour."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state

from skdistill.columns import (
    column_values,
    is_nominal,
    replace_cells,
    require_table,
    table_like,
)
from skdistill.parameters import Interval, ParametersMixin, check_parameters

#: A column with fewer distinct numbers is discrete: its cells are swapped, never jittered.
DISCRETE_VALUES = 32

#: Dimension of the random vectors that represent a nominal column in distances.
NOMINAL_DIRECTIONS = 8

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
        """Make synthetic rows, and return the rows that each was made from.

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
            Positions of the original row and of its neighbour.
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
    """Return float32 points whose Euclidean distances are the dissimilarities of rows."""
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
