"""Places where the columns of a tree may be cut, and histograms of rows between them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sp

#: Rows from which the places are taken.
SAMPLED_ROWS = 50_000


@dataclass(frozen=True)
class Cuts:
    """Possible splits of rows, which lie in one bin per column.

    The bins of a column are numbered from low to high, then one for missing cells; columns follow
    each other.

    Attributes
    ----------
    bins : ndarray of shape (n_rows, n_columns), int32
        In which bin of each column a row lies.
    n_bins : int
        Number of bins of all columns.
    n_first : int
        Number of bins of the first column.
    feature, threshold, missing_left : ndarray of shape (n_splits,)
        Of every possible split, as in `PlainTree`.
    start, end, missing : ndarray of shape (n_splits,)
        The bins ``start <= bin < end`` go left, and missing cells, the bin `missing`, as
        `missing_left` says.
    """

    bins: np.ndarray
    n_bins: int
    n_first: int
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    start: np.ndarray
    end: np.ndarray
    missing: np.ndarray

    @property
    def n_splits(self):
        """Number of possible splits."""
        return len(self.feature)

    def histogram(self, rows, statistics, node, n_nodes):
        """Sum statistics of some rows by node and bin.

        `statistics` of shape (n_rows, n_statistics) and the number of the `node` are those of
        `rows`; the node is 0 for all if there is one. Returns an array of shape
        (n_nodes, n_bins, n_statistics).
        """
        key = self.bins[rows]
        if n_nodes > 1:
            key = key + (node * self.n_bins).astype(np.int32)[:, None]
        key = key.ravel()
        ends = np.arange(0, key.size + 1, self.bins.shape[1], dtype=np.int32)
        shape = (len(statistics), n_nodes * self.n_bins)
        cells = sp.csr_array((_ones(key.size), key, ends), shape=shape)
        return (cells.T @ statistics).reshape(n_nodes, self.n_bins, -1)

    def sums(self, histogram):
        """Sum all rows of nodes: (..., n_bins, m) becomes (..., m)."""
        return histogram[..., : self.n_first, :].sum(axis=-2)

    def left_sums(self, histogram):
        """Sum what goes left at every split: (..., n_bins, m) becomes (..., n_splits, m)."""
        shape = (*histogram.shape[:-2], 1, histogram.shape[-1])
        below = np.concatenate([np.zeros(shape), np.cumsum(histogram, axis=-2)], axis=-2)
        left = below[..., self.end, :] - below[..., self.start, :]
        takes_missing = np.flatnonzero(self.missing_left)
        left[..., takes_missing, :] += histogram[..., self.missing[takes_missing], :]
        return left

    def goes_left(self, split, rows):
        """Tell which rows go left at a split: one for all rows, or one for each."""
        found = self.bins[rows, self.feature[split]]
        left = (self.start[split] <= found) & (found < self.end[split])
        return left | ((found == self.missing[split]) & self.missing_left[split])

    def missing_goes_left(self, split, rows):
        """Tell where missing cells go: as is best for `rows`, or to the larger side without any."""
        if (self.bins[rows, self.feature[split]] == self.missing[split]).any():
            return bool(self.missing_left[split])
        return 2 * np.count_nonzero(self.goes_left(split, rows)) > len(rows)

    def identities(self, columns=None):
        """List column, threshold and the branch of missing cells of every split.

        `columns` are the numbers of the columns, if they are only some of a table.
        """
        feature = self.feature if columns is None else np.asarray(columns)[self.feature]
        parts = feature, self.threshold, self.missing_left
        return list(zip(*(part.tolist() for part in parts), strict=True))

    def nodes(self, split):
        """Return `feature` and `threshold` of nodes as `PlainTree` has them; leaves have -1."""
        inner = split >= 0
        feature, threshold = np.full(len(split), -2), np.full(len(split), -2.0)
        feature[inner], threshold[inner] = self.feature[split[inner]], self.threshold[split[inner]]
        return feature, threshold


@lru_cache(maxsize=1)
def _block_of_ones(size):
    return np.ones(size)


def _ones(size):
    """Return a view of a block that is kept: making ones takes longer than a histogram of few."""
    return _block_of_ones(max(2 ** int(np.ceil(np.log2(size or 1))), 2**20))[:size]


def make_cuts(matrix, thresholds):
    """Make `Cuts` of a float32 matrix, NaN where missing, and increasing thresholds by column."""
    bins = np.empty(matrix.shape, dtype=np.int32)
    parts, n_bins, n_first = [], 0, len(thresholds[0]) + 2
    for j, (x, of_column) in enumerate(zip(matrix.T, thresholds, strict=True)):
        is_missing = np.isnan(x)
        n_known = len(of_column) + 1
        bins[:, j] = n_bins + np.searchsorted(of_column, x, side="left")
        bins[is_missing, j] = n_bins + n_known
        parts.append(_splits_of_column(j, of_column, n_bins, is_missing))
        n_bins += n_known + 1
    return Cuts(bins, n_bins, n_first, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def _splits_of_column(j, thresholds, first, is_missing):
    """List the fields of `Cuts` from `feature` on for one column."""
    n = len(thresholds)
    ends = first + 1 + np.arange(n)
    missing_left = np.zeros(n, dtype=bool)
    if is_missing.any():
        alone = np.zeros(0 if is_missing.all() else 1)  # all numbers left, missing cells right
        thresholds = np.concatenate([thresholds, thresholds, alone + np.inf])
        ends = np.concatenate([ends, ends, (alone + first + n + 1).astype(ends.dtype)])
        missing_left = np.arange(len(ends)) < n
    same = np.full(len(ends), 1)
    return j * same, thresholds, missing_left, first * same, ends, (first + n + 1) * same


def find_thresholds(matrix, mass, max_cuts):
    """List thresholds by column of a float32 matrix: all, or `max_cuts` quantiles of a mass."""
    return [_quantiles(x[~np.isnan(x)], mass[~np.isnan(x)], max_cuts) for x in matrix.T]


def _quantiles(x, mass, max_cuts):
    if len(x) > SAMPLED_ROWS:
        some = np.argsort(x)[np.linspace(0, len(x) - 1, SAMPLED_ROWS).astype(int)]
        x, mass = x[some], mass[some]
    values, place = np.unique(x, return_inverse=True)
    values = values.astype(np.float64)
    middles = values[:-1] / 2 + values[1:] / 2
    if len(middles) <= max_cuts:
        return middles
    below = np.cumsum(np.bincount(place, mass))
    wanted = np.linspace(0, below[-1], max_cuts + 2)[1:-1]
    return middles[np.unique(np.minimum(np.searchsorted(below, wanted), len(middles) - 1))]


def informative_mass(target, weight):
    """Share a mass of 2 among rows: half by weight, half by weight times distance from the mean.

    So cuts are found among rare events, and among all rows.
    """
    distance = weight * np.abs(target - np.average(target, axis=0, weights=weight)).sum(axis=1)
    return weight / weight.sum() + distance / (distance.sum() or 1.0)
