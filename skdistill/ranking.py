"""Rows in the order of a score, and what is measured on rankings: pure maths on arrays."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Ranking", "average_precision", "recall_at", "roc_auc", "weighted_correlation"]


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
