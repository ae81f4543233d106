"""Places where the columns of a tree may be cut, and histograms of rows between them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

#: Places at which a column may be cut.
MAX_CUTS = 255

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
    feature, threshold, missing_left : ndarray of shape (n_splits,)
        Of every possible split, as in `PlainTree`.
    start, end, missing : ndarray of shape (n_splits,)
        The bins ``start <= bin < end`` go left, and missing cells, the bin `missing`, as
        `missing_left` says.
    """

    bins: np.ndarray
    n_bins: int
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    start: np.ndarray
    end: np.ndarray
    missing: np.ndarray

    @cached_property
    def _ones(self):
        return np.ones(self.bins.size)

    def histogram(self, statistics, node, n_nodes):
        """Sum statistics of rows by node and bin.

        `statistics` of shape (n_rows, n_statistics), `node` the number of each row's node. Returns
        an array of shape (n_nodes, n_bins, n_statistics).
        """
        n_rows, n_columns = self.bins.shape
        key = (self.bins + (node * self.n_bins).astype(np.int32)[:, None]).ravel()
        ends = np.arange(0, key.size + 1, n_columns, dtype=np.int32)
        shape = (n_rows, n_nodes * self.n_bins)
        cells = sp.csr_array((self._ones[: key.size], key, ends), shape=shape)
        return (cells.T @ statistics).reshape(n_nodes, self.n_bins, -1)

    def left_sums(self, histogram):
        """Sum what goes left at every split: (..., n_bins, m) becomes (..., n_splits, m)."""
        shape = (*histogram.shape[:-2], 1, histogram.shape[-1])
        below = np.concatenate([np.zeros(shape), np.cumsum(histogram, axis=-2)], axis=-2)
        left = below[..., self.end, :] - below[..., self.start, :]
        left += histogram[..., self.missing, :] * self.missing_left[:, None]
        return left

    def goes_left(self, split, rows):
        """Tell which rows go left at a split."""
        found = self.bins[rows, self.feature[split]]
        left = (self.start[split] <= found) & (found < self.end[split])
        return left | ((found == self.missing[split]) & self.missing_left[split])

    def missing_goes_left(self, split, rows, left):
        """Tell where missing cells go: as is best for `rows`, or to the larger side without any."""
        if (self.bins[rows, self.feature[split]] == self.missing[split]).any():
            return bool(self.missing_left[split])
        return 2 * np.count_nonzero(left) > len(left)


def find_cuts(matrix, weight, max_cuts=MAX_CUTS):
    """Make `Cuts` of a float32 matrix, with NaN where cells are missing, and weights of rows."""
    bins = np.empty(matrix.shape, dtype=np.int32)
    parts, n_bins = [], 0
    for j, x in enumerate(matrix.T):
        is_missing = np.isnan(x)
        thresholds = _thresholds(x[~is_missing], weight[~is_missing], max_cuts)
        n_known = len(thresholds) + 1
        bins[:, j] = n_bins + np.searchsorted(thresholds, x, side="left")
        bins[is_missing, j] = n_bins + n_known
        parts.append(_splits_of_column(j, thresholds, n_bins, is_missing))
        n_bins += n_known + 1
    return Cuts(bins, n_bins, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def _splits_of_column(j, thresholds, first, is_missing):
    """List the fields of `Cuts` from `feature` on for one column."""
    n = len(thresholds)
    ends = first + 1 + np.arange(n)
    missing_left = np.zeros(n, dtype=bool)
    if is_missing.any():
        everything = is_missing.all()
        alone = np.zeros(0 if everything else 1)  # all numbers left, missing cells right
        thresholds = np.concatenate([thresholds, thresholds, alone + np.inf])
        ends = np.concatenate([ends, ends, (alone + first + n + 1).astype(ends.dtype)])
        missing_left = np.arange(len(ends)) < n
    same = np.full(len(ends), 1)
    return j * same, thresholds, missing_left, first * same, ends, (first + n + 1) * same


def _thresholds(x, weight, max_cuts):
    """Choose places to cut between numbers: all of them, or quantiles."""
    if len(x) > SAMPLED_ROWS:
        some = np.argsort(x)[np.linspace(0, len(x) - 1, SAMPLED_ROWS).astype(int)]
        x, weight = x[some], weight[some]
    values, place = np.unique(x, return_inverse=True)
    values = values.astype(np.float64)
    middles = values[:-1] / 2 + values[1:] / 2
    if len(middles) <= max_cuts:
        return middles
    below = np.cumsum(np.bincount(place, weight))
    wanted = np.linspace(0, below[-1], max_cuts + 2)[1:-1]
    return middles[np.unique(np.minimum(np.searchsorted(below, wanted), len(middles) - 1))]
