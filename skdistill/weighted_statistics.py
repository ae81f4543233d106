"""Statistics as functions of the rows' weights, rankings among them, and their paired bootstrap.

A bootstrap resample is a weight per row: how often it was drawn. All statistics of all models are
computed for the same resamples, so that differences between models are paired. Each becomes an
array whose first entry is the estimate and whose others are the replicates: arithmetic on such
arrays gives any derived statistic, with its interval.
"""

from dataclasses import dataclass
from statistics import NormalDist  # monitors need NumPy alone

import numpy as np

from skdistill.verbose import steps

#: Resamples that are worked on at a time, and how many weights they may have together.
MOST_RESAMPLES, MOST_WEIGHTS = 32, 2**23


def replicate(means, statistics, sample_weight, n_resamples, random_state):
    """Compute statistics on the rows, and on resamples of them (which keep their weights).

    `means` has the value of every row for statistics that are weighted means; `statistics` has the
    others, as functions of weights, not all zero, that return a float or an array. The result, of
    shape (1 + n_resamples, ...) for each, begins with that of the original rows; NaN where
    undefined.
    """
    columns = np.column_stack(list(means.values())) if means else np.empty((len(sample_weight), 0))
    blocks = []
    at_once = int(np.clip(MOST_WEIGHTS // len(sample_weight), 1, MOST_RESAMPLES))
    weights_of_blocks = _blocks_of_weights(sample_weight, n_resamples, at_once, random_state)
    n_blocks = 1 + -(-n_resamples // at_once)
    for weights in steps(weights_of_blocks, "resampling", n_blocks, " blocks"):
        of_means = weights @ columns / weights.sum(axis=1, keepdims=True)
        block = dict(zip(means, of_means.T, strict=True))
        for name, statistic in statistics.items():
            block[name] = np.array([statistic(w) for w in weights])
        blocks.append(block)
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _blocks_of_weights(sample_weight, n_resamples, at_once, random_state):
    """Yield the original weights, then those of the resamples, a few at a time."""
    yield sample_weight[None, :]
    n_samples = len(sample_weight)
    for start in range(0, n_resamples, at_once):
        size = min(at_once, n_resamples - start)
        counts = [
            np.bincount(random_state.randint(n_samples, size=n_samples), minlength=n_samples)
            for _ in range(size)
        ]
        weights = np.stack(counts) * sample_weight
        yield weights[weights.any(axis=1)]


def ratio(numerator, denominator):
    """Divide arrays of replicates; NaN where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    undefined = np.full(shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) != 0)


def confusion(rows, columns, n_classes):
    """Make the statistic of what share of the weight each pair of classes, as numbers, has."""
    cells = n_classes * rows + columns

    def shares(weight):
        mass = np.bincount(cells, weight, n_classes**2)
        return mass.reshape(n_classes, n_classes) / weight.sum()

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

    def top(self, k, weight):
        """Return the weight of every row that lies within the first k by weight.

        Rows tied at the limit count in part, all alike: the sum is k where there is that much.
        """
        n_rows = 2 * k + 100  # enough, unless most of them weigh nothing
        while True:
            reached = np.cumsum(weight[self.order[:n_rows]])
            if reached[-1] >= k or n_rows >= len(weight):
                break
            n_rows *= 4
        at = min(np.searchsorted(reached, k), len(reached) - 1)
        group = np.searchsorted(self.starts, at, side="right") - 1
        start, end = self.starts[group], np.append(self.starts, len(weight))[group + 1]
        above, tied = self.order[:start], self.order[start:end]
        within = np.zeros(len(weight))
        within[above] = weight[above]
        left, in_tie = k - weight[above].sum(), weight[tied].sum()
        if in_tie > 0:
            within[tied] = weight[tied] * min(1.0, left / in_tie)
        return within


def roc_auc(hits, alarms):
    """Return the area under the ROC curve from `Ranking.tallies`; NaN without both classes."""
    if hits[-1] <= 0 or alarms[-1] <= 0:
        return np.nan
    return np.trapezoid(np.append(0, hits), np.append(0, alarms)) / (hits[-1] * alarms[-1])


def average_precision(hits, alarms):
    """Return the average precision from `Ranking.tallies`; NaN without positives."""
    if hits[-1] <= 0:
        return np.nan
    flagged = hits + alarms
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    return np.sum(np.diff(hits, prepend=0) * precision) / hits[-1]


def recall_at(false_positive_rate, hits, alarms):
    """Return the largest recall with no more than this share of the negatives flagged."""
    if hits[-1] <= 0 or alarms[-1] <= 0:
        return np.nan
    most = false_positive_rate * alarms[-1] * (1 + 1e-12)  # 29 of 100 are 29 %, not 28.999...
    allowed = np.searchsorted(alarms, most, side="right")
    return np.append(0, hits)[allowed] / hits[-1]


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
