"""Whether the thresholds of a teacher lie halfway between values of some rows.

Trees split halfway between two values that rows of their fit have, one next to the other, or, in
XGBoost, at such a value. In columns of measurements other rows rarely have both values. Unlike the
numbers of rows in the leaves, this does not depend on weights or sampling in the fit, nor on the
population of the rows, and it also shows that a part of the rows are those of the fit.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.stats import poisson

from skdistill.columns import column_values, is_nominal
from skdistill.estimators import listed_members
from skdistill.teacher.vendors import vendor_of
from skdistill.teacher.vendors.trees import spread

#: Columns, and thresholds of a column, that are looked at.
MOST_COLUMNS, MOST_THRESHOLDS = 64, 1000

#: Values that are tried on either side of a threshold: between the two values that made it there
#: may be rows that are in only one of the two tables.
NEIGHBOURS = 8

#: At least this share of the thresholds whose two values are among the rows is met.
OF_PAIRS_MET = 0.25

#: Adjacent values in a node with this share of the rows are close in the whole column.
LARGE_NODE = 1 / 4

#: A column in which less than this share of the usual thresholds are met has values of other rows.
FAR_LESS = 0.25

#: Digits that numbers are rounded to at most.
MOST_DIGITS = 9

#: A column is ignored if rows that have not made its thresholds meet a larger share of them.
MET_BY_OTHERS = 0.05

#: Columns with fewer rows are ignored.
FEWEST_ROWS = 50


@dataclass(frozen=True)
class MetThresholds:
    """How many thresholds of an ensemble of trees some rows meet, as if they had made them.

    Attributes
    ----------
    n_all, n_met : ndarray of shape (n_columns,)
        Thresholds in the columns that are used, and how many of them the rows meet.
    by_others : ndarray of shape (n_columns,)
        How many of them other rows would meet on average.
    n_close, n_met_close : ndarray of shape (n_columns,)
        Thresholds between values that are close to each other in the whole column, not only in a
        small node, and how many of them the rows meet.
    """

    n_all: np.ndarray
    n_met: np.ndarray
    by_others: np.ndarray
    n_close: np.ndarray
    n_met_close: np.ndarray

    def are_made(self, unlikely, rarely):
        """Tell whether other rows meet this many with a probability below `unlikely`.

        Only the half of the columns with the smallest share met counts, and no column may be met
        far less than the others: returning customers have the same values in many columns without
        being the same rows.
        """
        n_met, share = self.n_met.sum(), self.n_met.sum() / self.n_all.sum()
        if n_met == 0 or (poisson.cdf(self.n_met, FAR_LESS * share * self.n_all) < rarely).any():
            return False
        least = np.argsort(self.n_met / self.n_all)[: -(-len(self.n_met) // 2)]
        return poisson.sf(self.n_met[least].sum() - 1, self.by_others[least].sum()) < unlikely

    def are_made_elsewhere(self, share, rarely):
        """Tell whether this share of the rows of the fit would rarely meet as few as were met."""
        at_least = self.n_close.sum() * share**2 * OF_PAIRS_MET
        return poisson.cdf(self.n_met_close.sum(), at_least) < rarely

    def some_are_made_elsewhere(self, share, rarely):
        """Tell whether `are_made_elsewhere` holds for the thresholds of any single column."""
        at_least = self.n_close * share**2 * OF_PAIRS_MET
        return (poisson.cdf(self.n_met_close, at_least) < rarely).any()


def met_thresholds(estimator, X, read):
    """Count the thresholds of a fitted teacher that some rows meet, by ensemble within it.

    `read` is `readable_ensembles`, or a cache of it. The list is empty where nothing is known.

    Notes
    -----
    How many thresholds others would meet is estimated in the rows themselves: one half of them
    makes thresholds, the other meets some. Columns in which it meets more than 5 % (whole numbers,
    prices, steps of time) are left out. Numbers that were rounded meet what others round to them.
    """
    if X.shape[0] < FEWEST_ROWS:  # a batch of a stream, say: the trees need not be read
        return []
    met = (_met(*one) for one in read(estimator, X))
    return [one for one in met if one is not None]


def _met(nodes, X, model, is_changed):
    is_close = _are_of_close_values(nodes, model)
    columns = [(sorted_numbers(X, j), nodes, j, is_close, is_changed) for j in _columns(nodes)]
    found = [_met_in_column(*column) for column in columns]
    found = [counts for counts in found if counts is not None]
    return MetThresholds(*np.transpose(found)) if found else None


def _are_of_close_values(nodes, model):
    if _splits_at_random(model):
        return np.zeros(len(nodes.left), dtype=bool)
    return vendor_of(model).grows_on_bins(model) | (nodes.count >= LARGE_NODE * nodes.count.max())


def _splits_at_random(model):
    members = listed_members(getattr(model, "estimators_", []))
    return getattr(model, "splitter", None) == "random" or any(map(_splits_at_random, members))


def _columns(nodes):
    split = np.unique(nodes.column[np.isfinite(nodes.threshold)])
    return split[spread(len(split), MOST_COLUMNS)].tolist()


def sorted_numbers(X, j):
    """Return the sorted numbers of a column; none if it holds categories."""
    values = X[:, [j]].toarray().ravel() if sp.issparse(X) else column_values(X, j)
    return np.empty(0) if is_nominal(values) else np.sort(values[np.isfinite(values)])


def _met_in_column(numbers, nodes, j, is_close, is_changed):
    """Count the thresholds of a column, as `MetThresholds` does; None if it is ignored."""
    if len(numbers) < FEWEST_ROWS:
        return None
    splits = (nodes.column == j) & np.isfinite(nodes.threshold)
    thresholds, close = (_some(nodes.threshold[some]) for some in (splits, splits & is_close))
    # XGBoost and CatBoost round thresholds to float32, scikit-learn's trees round the numbers.
    is_rounded = np.array_equal(thresholds, thresholds.astype(np.float32))
    precision = np.finfo(np.float32 if is_rounded else np.float64).eps
    found = [
        _met_by(some, thresholds, close, precision, is_changed)
        for some in (numbers, numbers.astype(np.float32).astype(np.float64))[is_rounded:]
    ]
    return max((one for one in found if one is not None), key=lambda one: one[1], default=None)


def _met_by(numbers, thresholds, close, precision, is_changed):
    relative, absolute = _rounded_to(numbers)
    tolerance = max(precision, relative), absolute
    met_by_others = _met_by_others(numbers, tolerance)
    if met_by_others > MET_BY_OTHERS:
        return None
    # With twice as many rows there are four times as many pairs.
    rate = 4 * met_by_others + 1 / min(len(numbers), MOST_THRESHOLDS)
    numbers = np.unique(numbers)
    met = _are_met(numbers, thresholds, tolerance).sum()
    if is_changed:  # rounding in front of a scaler shows in the closest numbers alone
        tolerance = tolerance[0], max(absolute, np.diff(numbers).min(initial=1.0))
    met_close = _are_met(numbers, close, tolerance).sum()
    return len(thresholds), met, rate * len(thresholds), len(close), met_close


def _rounded_to(numbers):
    """Return the relative and the absolute precision that numbers seem to have been rounded to."""
    for kind in (np.float16, np.float32):
        with np.errstate(over="ignore"):
            if np.array_equal(numbers, numbers.astype(kind)):
                return np.finfo(kind).eps, 0.0
    for decimals in range(MOST_DIGITS):
        if np.array_equal(numbers, numbers.round(decimals)):
            return 0.0, 10.0**-decimals
    size = 10.0 ** np.floor(np.log10(np.maximum(np.abs(numbers), np.finfo(float).tiny)))
    for digits in range(MOST_DIGITS):
        if np.allclose(numbers / size, (numbers / size).round(digits), rtol=0, atol=1e-13):
            return 10.0**-digits, 0.0
    return 0.0, 0.0


def _some(thresholds):
    thresholds = np.unique(thresholds)
    return thresholds[spread(len(thresholds), MOST_THRESHOLDS)]


def _met_by_others(numbers, tolerance):
    """Return the share of the thresholds made by every other number that the rest meet."""
    some, others = np.unique(numbers[::2]), np.unique(numbers[1::2])
    halfway = _some((some[1:] + some[:-1]) / 2)
    return _are_met(others, np.concatenate([_some(some), halfway]), tolerance).mean()


def _are_met(numbers, thresholds, tolerance):
    """Mark thresholds that are a number or halfway between two of them."""
    is_met = _are_among(numbers, thresholds, thresholds, tolerance)
    above = np.searchsorted(numbers, thresholds)
    for k in range(1, min(NEIGHBOURS, len(numbers)) + 1):
        below = numbers[np.maximum(above - k, 0)]
        partner = 2 * thresholds - below
        is_met |= (above >= k) & _are_among(numbers, partner, below, tolerance)
    return is_met


def _are_among(numbers, wanted, of_size, tolerance):
    """Mark what is among sorted numbers, up to the rounding of numbers of the size `of_size`."""
    relative, absolute = tolerance
    tolerance = 2 * relative * np.maximum(np.abs(wanted), np.abs(of_size)) + absolute
    right = np.searchsorted(numbers, wanted)
    left = np.maximum(right - 1, 0)
    right = np.minimum(right, len(numbers) - 1)
    nearest = np.minimum(np.abs(numbers[left] - wanted), np.abs(numbers[right] - wanted))
    return nearest <= tolerance
