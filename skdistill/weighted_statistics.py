"""Statistics as functions of the rows' weights, rankings among them, and their paired bootstrap.

A bootstrap resample is a weight per row: how often it was drawn. All statistics of all models are
computed for the same resamples, so that differences between models are paired. Each becomes an
array whose first entry is the estimate and whose others are the replicates: arithmetic on such
arrays gives any derived statistic, with its interval.

Most statistics are functions of a few sums over the rows, which are computed for several resamples
at a time: as a product of two matrices, `moments`, or for parts of the rows by `sums_by_cell`.
"""

from dataclasses import dataclass
from statistics import NormalDist  # monitors need NumPy alone

import numpy as np

from skdistill.verbose import steps

#: Resamples that are worked on at a time, and how many weights they may have together.
MOST_RESAMPLES, MOST_WEIGHTS = 16, 2**23

#: A variance below this share of the mean square is what rounding leaves of none.
ROUNDED = 1e-13


def replicate(means, statistics, sample_weight, n_resamples, random_state):
    """Compute statistics on the rows, and on resamples of them (which keep their weights).

    `means` has the value of every row for statistics that are weighted means; `statistics` has the
    others, as functions of weights of shape (n_samples, n), none of whose columns are all zero,
    that return an array of shape (n, ...). The result, of shape (1 + n_resamples, ...) for each,
    begins with that of the original rows; NaN where undefined.
    """
    rows = np.array(list(means.values()), dtype=float).reshape(-1, len(sample_weight))
    blocks = []
    at_once = int(np.clip(MOST_WEIGHTS // len(sample_weight), 1, MOST_RESAMPLES))
    weights_of_blocks = _blocks_of_weights(sample_weight, n_resamples, at_once, random_state)
    n_blocks = 1 + -(-n_resamples // at_once)
    for weights in steps(weights_of_blocks, "resampling", n_blocks, " blocks"):
        block = dict(zip(means, moments(rows, weights), strict=True))
        block |= {name: statistic(weights) for name, statistic in statistics.items()}
        blocks.append(block)
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _blocks_of_weights(sample_weight, n_resamples, at_once, random_state):
    """Yield the original weights, then those of the resamples, a few at a time."""
    yield sample_weight[:, None]
    n_samples = len(sample_weight)
    for start in range(0, n_resamples, at_once):
        weights = np.empty((n_samples, min(at_once, n_resamples - start)))
        for resample in weights.T:
            drawn = random_state.randint(n_samples, size=n_samples)
            resample[:] = np.bincount(drawn, minlength=n_samples)
        weights *= sample_weight[:, None]
        weighs = totals(weights) > 0
        yield weights if weighs.all() else weights[:, weighs]


def moments(values, weights):
    """Compute the means of values, (n_values, n_samples), under weights, (n_samples, n)."""
    return values @ weights / totals(weights)


def totals(weights):
    """Add up each column of weights, (n_samples, n): as a product, which is faster than a sum."""
    return np.ones(len(weights)) @ weights


def variance(mean, mean_square):
    """Compute variances from means of values about 0 and of their squares: 0 if it is rounding."""
    spread = mean_square - mean**2
    return np.where(spread > ROUNDED * mean_square, spread, 0.0)


def sums_by_cell(cells, n_cells, values=None):
    """Make the matrix that turns weights, (n_samples, ...), into sums per cell, (n_cells, ...).

    `cells` has the number of the cell of every row; what is added up are the weights, multiplied by
    `values` if there are any.
    """
    from scipy.sparse import csr_array  # monitors need NumPy alone

    n_samples = len(cells)
    values = np.ones(n_samples) if values is None else np.asarray(values, dtype=float)
    return csr_array((values, (cells, np.arange(n_samples))), shape=(n_cells, n_samples))


def ratio(numerator, denominator):
    """Divide arrays of replicates; NaN where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    undefined = np.full(shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) != 0)


def confusion(rows, columns, n_classes):
    """Make the statistic of what share of the weight each pair of classes, as numbers, has."""
    sums = sums_by_cell(n_classes * rows + columns, n_classes**2)

    def shares(weights):
        mass = sums @ weights / totals(weights)
        return mass.T.reshape(-1, n_classes, n_classes)

    return shares


def weighted_quantiles(values, order, shares, weight):
    """Return the smallest of the values that these shares of the weight do not exceed.

    `order` is ``np.argsort(values)``, sorted once for many weights.
    """
    below = np.cumsum(weight[order])
    at = np.searchsorted(below, np.multiply(shares, below[-1]) * (1 - 1e-12))
    return values[order[np.minimum(at, len(order) - 1)]]


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval.

    Attributes
    ----------
    value : float
        The estimate on the original rows.
    low, high : float
        Ends of the interval; NaN if the statistic is undefined in too many resamples.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, replicates, confidence):
        """Make an estimate of an array as `replicate` returns it.

        Notes
        -----
        Percentile interval (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch.
        13). If the statistic is undefined in more resamples than lie beyond one end of the
        interval, there is none.
        """
        value, known, tail = replicates[0], _known(replicates, confidence), (1 - confidence) / 2
        if known is None:
            return cls(float(value), np.nan, np.nan)
        low, high = np.quantile(known, [tail, 1 - tail])
        return cls(float(value), float(low), float(high))

    @classmethod
    def one_of(cls, n_estimates, replicates, confidence):
        """Make one of several estimates, all of which hold together with this confidence.

        Notes
        -----
        Normal interval with the standard error of the replicates, at Bonferroni's level: its
        quantiles lie further out than replicates do, unless there are very many.
        """
        value, known = replicates[0], _known(replicates, confidence)
        if known is None:
            return cls(float(value), np.nan, np.nan)
        reach = -NormalDist().inv_cdf((1 - confidence) / 2 / n_estimates) * np.std(known)
        return cls(float(value), float(value - reach), float(value + reach))

    def __neg__(self):
        return Estimate(-self.value, -self.high, -self.low)


def _known(replicates, confidence):
    """Return the resamples in which a statistic is defined; None if they are too few."""
    resampled = replicates[1:]
    known = resampled[~np.isnan(resampled)]
    least = max(1.0, (1 - (1 - confidence) / 2) * len(resampled))
    return None if np.isnan(replicates[0]) or len(known) < least else known


@dataclass(frozen=True)
class Ranking:
    """Rows in the order of a score, highest first, ties grouped: what ranking metrics need.

    Attributes
    ----------
    order : ndarray of shape (n_samples,)
        Row numbers.
    starts : ndarray of shape (n_distinct,)
        Where the rows of each distinct score begin in `order`.
    """

    order: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, score):
        """Rank rows by a score of shape (n_samples,)."""
        order = np.argsort(-score, kind="stable")
        return cls(order, np.flatnonzero(np.diff(score[order], prepend=np.inf)))

    def tallies(self, positive, weight):
        """Return the weight of positives and negatives at least as high as each distinct score."""
        weight = weight[self.order]
        positives = np.add.reduceat(weight * positive[self.order], self.starts)
        total = np.add.reduceat(weight, self.starts)
        return np.cumsum(positives), np.cumsum(total - positives)

    def tallies_of(self, positive):
        """Make the function of weights, (n_samples, n), that returns `tallies`, (n, n_distinct).

        Neighbouring scores without positives count as one score: no area and no recall here tells
        them apart, and where positives are rare few are left.
        """
        group = np.empty(len(self.order), dtype=np.intp)
        sizes = np.diff(self.starts, append=len(self.order))
        group[self.order] = np.repeat(np.arange(len(self.starts)), sizes)
        has_positives = np.bincount(group, positive) > 0
        begins = has_positives | np.append(True, has_positives[:-1])
        n_groups = int(begins.sum())
        group = (np.cumsum(begins) - 1)[group]
        sums = sums_by_cell(group + n_groups * (positive > 0), 2 * n_groups)

        def tallies(weights):
            negatives, positives = np.split(np.ascontiguousarray((sums @ weights).T), 2, axis=1)
            return np.cumsum(positives, axis=1), np.cumsum(negatives, axis=1)

        return tallies

    def top(self, k, weight):
        """Return the weight of every row that lies within the first k by weight.

        Rows tied at the limit count in part, all alike: the sum is k where there is that much.
        """
        rows, counted = self.top_rows(k, weight)
        within = np.zeros(len(weight))
        within[rows] = counted
        return within

    def top_rows(self, k, weight):
        """Return the rows within the first k by weight, and what they weigh there, see `top`."""
        n_rows = 2 * k + 100  # enough, unless most of them weigh nothing
        while True:
            reached = np.cumsum(weight[self.order[:n_rows]])
            if reached[-1] >= k or n_rows >= len(weight):
                break
            n_rows *= 4
        at = min(np.searchsorted(reached, k), len(reached) - 1)
        group = np.searchsorted(self.starts, at, side="right") - 1
        start = self.starts[group]
        end = self.starts[group + 1] if group + 1 < len(self.starts) else len(weight)
        rows = self.order[:end]
        counted = weight[rows]
        left, in_tie = k - counted[:start].sum(), counted[start:].sum()
        if in_tie > 0:
            counted[start:] *= min(1.0, left / in_tie)
        return rows, counted


def roc_auc(hits, alarms):
    """Return the area under the ROC curve from `Ranking.tallies`; NaN without both classes."""
    middle = hits - np.diff(hits, prepend=0) / 2
    area = np.einsum("...g,...g->...", np.diff(alarms, prepend=0), middle)
    return ratio(area, hits[..., -1] * alarms[..., -1])[()]


def average_precision(hits, alarms):
    """Return the average precision from `Ranking.tallies`; NaN without positives."""
    precision = hits / np.maximum(hits + alarms, np.finfo(float).tiny)
    area = np.einsum("...g,...g->...", np.diff(hits, prepend=0), precision)
    return ratio(area, hits[..., -1])[()]


def recall_at(false_positive_rate, hits, alarms):
    """Return the largest recall with no more than this share of the negatives flagged."""
    most = false_positive_rate * alarms[..., -1:] * (1 + 1e-12)  # 29 of 100 are 29 %, not 28.9...
    allowed = np.count_nonzero(alarms <= most, axis=-1, keepdims=True)
    reached = np.take_along_axis(hits, np.maximum(allowed - 1, 0), axis=-1)
    recall = ratio(np.where(allowed > 0, reached, 0.0), hits[..., -1:])
    return np.where(alarms[..., -1:] > 0, recall, np.nan)[..., 0][()]


def weighted_correlation(x, y, weight):
    """Return Pearson's correlation under weights; NaN where one of the two is constant."""
    total = weight.sum()
    if total <= 0:
        return np.nan
    x, y = x - weight @ x / total, y - weight @ y / total
    spread = np.sqrt((weight @ (x * x)) * (weight @ (y * y)))
    return weight @ (x * y) / spread if spread > 0 else np.nan


def mean_and_error(values, sample_weight):
    """Return the weighted mean of values of shape (n_samples,) and its standard error."""
    mean = np.average(values, weights=sample_weight)
    error = np.sqrt(np.sum((sample_weight * (values - mean)) ** 2)) / sample_weight.sum()
    return float(mean), float(error)


def z_score(differences, sample_weight):
    """Weighted mean of paired differences in units of its standard error; 0 if all are equal."""
    mean, error = mean_and_error(differences, sample_weight)
    return mean / error if error > 0 else 0.0
