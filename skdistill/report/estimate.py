"""A number with its interval."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval.

    Attributes
    ----------
    value : float
        The estimate on the rows as they are.
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
        value, resampled = replicates[0], replicates[1:]
        known = resampled[~np.isnan(resampled)]
        tail = (1 - confidence) / 2
        if np.isnan(value) or len(known) < max(1.0, (1 - tail) * len(resampled)):
            return cls(float(value), np.nan, np.nan)
        low, high = np.quantile(known, [tail, 1 - tail])
        return cls(float(value), float(low), float(high))

    def __neg__(self):
        return Estimate(-self.value, -self.high, -self.low)
