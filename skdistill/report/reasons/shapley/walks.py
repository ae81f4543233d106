"""Shapley values of any function, by walks from background rows to the row explained.

A walk takes the columns in some order and turns a background row z into the row x, one column at
a time. What the prediction gains at a step is what that column contributes; the mean over orders
and background rows is its Shapley value, and along every walk the gains add up to f(x) - f(z).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Walks:
    """Which background rows are turned into the row explained, and in which order of columns.

    Attributes
    ----------
    start : ndarray of shape (n_walks,)
        The background row that each walk starts from; each one equally often.
    order : ndarray of shape (n_walks, n_columns)
        The columns, in the order in which they are taken from the row explained.
    """

    start: np.ndarray
    order: np.ndarray

    def __len__(self):
        return len(self.start)

    @cached_property
    def step(self):
        """The step at which each column is taken, of shape (n_walks, n_columns)."""
        return np.argsort(self.order, axis=1)

    def contributions(self, outputs):
        """Average what every column adds: they add up to mean last minus mean first prediction.

        `outputs` are predictions along the walks, of shape (n_walks, n_columns + 1, n_outputs),
        from the background row to the row explained.
        """
        n_columns, column = self.order.shape[1], self.order.ravel()
        gains = np.moveaxis(np.diff(outputs, axis=1), -1, 0)
        sums = [np.bincount(column, each.ravel(), n_columns) for each in gains]
        return np.stack(sums, axis=1) / len(self)


def plan_walks(n_background, n_columns, max_evals, random_state):
    """Choose walks that cost at most `max_evals` evaluations per row explained, at least one.

    Both ends of a walk are known and cost nothing. Walks come in fours: an order, the order that
    begins with its second half, and the reverse of both. What a walk takes first, another takes
    last, and every column is taken once in each quarter of the way, or in its middle: that cancels
    much of the error of all four (antithetic and stratified sampling).
    """
    n_affordable = max(max_evals // max(n_columns - 1, 1), 1)
    if n_affordable < n_background:
        start = np.sort(random_state.permutation(n_background)[:n_affordable])
    else:
        start = np.repeat(np.arange(n_background), n_affordable // n_background)
    orders = [random_state.permutation(n_columns) for _ in range(0, len(start), 4)]
    order = np.concatenate([_four(drawn) for drawn in orders])
    return Walks(start, order[: len(start)])


def _four(order):
    """Return an order, its reverse, the order from its second half on, and the reverse of that."""
    other = np.roll(order, -(len(order) // 2))
    return np.stack([order, order[::-1], other, other[::-1]])


def walk_all(walks, n_rows, outputs_along_walks, bar=iter):
    """Estimate the Shapley values of several rows from the same walks.

    Parameters
    ----------
    walks : Walks
        The walks.
    n_rows : int
        Number of rows.
    outputs_along_walks : iterator of ndarray of shape (n_walks, n_columns + 1, n_outputs)
        For each row the predictions along the walks to it.
    bar : callable, default=iter
        Wraps the range of rows that is worked off.

    Returns
    -------
    values : ndarray of shape (n_rows, n_columns, n_outputs)
        Estimates. For every row they add up to its prediction minus the base.
    base : ndarray of shape (n_outputs,)
        Mean prediction of the background rows that walks start from.

    References
    ----------
    Castro, Gómez and Tejada, "Polynomial calculation of the Shapley value based on sampling",
    Computers & Operations Research 36 (2009), doi:10.1016/j.cor.2008.04.004. Štrumbelj and
    Kononenko, "Explaining prediction models and individual predictions with feature
    contributions", Knowledge and Information Systems 41 (2014), doi:10.1007/s10115-013-0679-x.
    Mitchell, Cooper, Frank and Holmes, "Sampling Permutations for Shapley Value Estimation",
    JMLR 23 (2022), arXiv:2104.12199, for walks in reverse order.
    """
    values = []
    for _, outputs in zip(bar(range(n_rows)), outputs_along_walks, strict=False):
        values.append(walks.contributions(outputs))
    return np.stack(values), outputs[:, 0].mean(axis=0)
