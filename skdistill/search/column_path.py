"""Which columns a student can drop: backward elimination by held-out fidelity."""

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from sklearn.ensemble import HistGradientBoostingClassifier

from skdistill.columns import column_values, is_missing, is_nominal, plain_rows, take_rows
from skdistill.fidelity import kl_divergence
from skdistill.formatting import text_table
from skdistill.students.soft_label_classifier import SoftLabelClassifier
from skdistill.teacher.tree_nodes import read_tree_nodes

#: Largest number of rows that are used, and the share of them that is held out.
MOST_ROWS, HELD_OUT = 12_000, 1 / 3

#: Quantile bins of a column of numbers.
BINS = 64

#: Boosting rounds for two classes; with more classes there are fewer.
ROUNDS = 60


@dataclass(frozen=True)
class ColumnPath:
    """Columns in the order in which they were dropped, and the loss of fidelity.

    Attributes
    ----------
    names : tuple of str
        Names of all columns.
    dropped : tuple of int
        Positions of columns, first the one whose loss costs the least fidelity.
    n_columns : tuple of int
        Numbers of columns that a model was fitted on, from all of them to the fewest wanted.
    kl_divergence : tuple of float
        Held-out divergence of these models from the teacher.
    """

    names: tuple
    dropped: tuple
    n_columns: tuple
    kl_divergence: tuple

    def best(self, k):
        """Return the positions of the k columns that are dropped last, in order of the table."""
        if k is None or k >= len(self.names):
            return tuple(range(len(self.names)))
        gone = set(self.dropped[: len(self.names) - k])
        return tuple(j for j in range(len(self.names)) if j not in gone)

    def __str__(self):
        rows = []
        for k, divergence in zip(self.n_columns, self.kl_divergence, strict=True):
            next_k = next((n for n in self.n_columns if n < k), k)
            lost = self.dropped[len(self.names) - k : len(self.names) - next_k]
            names = ", ".join(self.names[j] for j in lost)
            rows.append({"columns": k, "kl_divergence": divergence, "dropped next": names})
        return text_table(rows)


def column_path(X, proba, names, fewest, random_state):
    """Drop columns one after the other, those first that cost the least fidelity.

    A gradient boosting model, which sees interactions, is fitted to the teacher's honest
    probabilities on the remaining columns. The column whose permutation on held-out rows raises the
    divergence from the teacher the least is dropped (a tenth of them at a time, while there are
    more than twenty), and the model is fitted again, so that one of two equivalent columns stays.
    It ends at the number `fewest`. Rows on which the teacher is uncertain are drawn more often,
    with a smaller weight: they decide if one class is rare. A sparse X raises TypeError.
    """
    if sp.issparse(X):
        raise TypeError("A choice of columns needs a dense X; it is sparse. Pass X.toarray().")
    rows, weight = _draw(proba, random_state)
    X, proba = _as_numbers(plain_rows(take_rows(X, rows)), proba[rows]), proba[rows]
    held_out = random_state.uniform(size=len(X)) < HELD_OUT
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    left, dropped, numbers, divergences = list(range(X.shape[1])), [], [], []
    while True:
        unpermuted, harm = _divergences(X[:, left], proba, weight, train, test, random_state)
        numbers.append(len(left))
        divergences.append(unpermuted)
        if len(left) <= fewest:
            break
        n_now = min(max(1, len(left) // 10) if len(left) > 20 else 1, len(left) - fewest)
        for j in sorted(np.argsort(harm, kind="stable")[:n_now], key=lambda j: harm[j]):
            dropped.append(left[j])
        gone = set(dropped)
        left = [j for j in left if j not in gone]
    return ColumnPath(tuple(names), tuple(dropped), tuple(numbers), tuple(divergences))


def _divergences(X, proba, weight, train, test, random_state):
    """Fit a model; return its divergence from the teacher, and those with each column permuted.

    Columns that no tree splits on have no effect: to keep tables narrow, the model is fitted again
    without them, to the same trees.
    """
    learn, seed = (proba[train], weight[train]), random_state.randint(2**31 - 1)
    model = _fit(X[train], *learn, seed)
    used = _split_on(model)
    if len(used) < X.shape[1]:
        model = _fit(X[np.ix_(train, used)], *learn, seed)
    held_out = X[np.ix_(test, used)]

    def divergence():
        return kl_divergence(proba[test], model.predict_proba(held_out), weight[test])

    unpermuted = divergence()
    permuted = np.full(X.shape[1], unpermuted)
    for j, values in zip(used, held_out.T, strict=True):
        before = values.copy()
        values[:] = random_state.permutation(before)
        permuted[j] = divergence()
        values[:] = before
    return unpermuted, permuted


def _split_on(model):
    """Return the columns that trees split on, the first one if there are none."""
    nodes = read_tree_nodes(model.estimator_)
    return np.unique(nodes.column[nodes.left >= 0]) if (nodes.left >= 0).any() else np.arange(1)


def _fit(X, proba, weight, seed):
    n_classes = proba.shape[1]
    booster = HistGradientBoostingClassifier(
        max_iter=ROUNDS if n_classes <= 2 else max(10, 2 * ROUNDS // n_classes),
        max_leaf_nodes=15,
        learning_rate=0.15,
        early_stopping=False,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SoftLabelClassifier(booster).fit(X, proba, sample_weight=weight)


def _draw(proba, random_state):
    """Draw rows without replacement, half of them in proportion to the teacher's uncertainty.

    Returns their numbers, and weights: one over the probability that a row had.
    """
    n_samples, n_classes = proba.shape
    n_wanted = min(n_samples, MOST_ROWS * 2 // max(n_classes, 2))
    doubt = 1.0 - (proba**2).sum(axis=1)
    share = 0.5 / n_samples + 0.5 * doubt / max(doubt.sum(), 1e-300)
    chance = np.minimum(1.0, n_wanted * share)
    rows = np.flatnonzero(random_state.uniform(size=n_samples) < chance)
    if n_wanted == n_samples or len(rows) < 2:
        return np.arange(n_samples), np.ones(n_samples)
    return rows, 1.0 / chance[rows]


def _as_numbers(X, proba):
    """Return every column as small integers, NaN where missing.

    Numbers become the number of their quantile bin, levels their rank by the teacher's mean
    probability.
    """
    table = np.full(X.shape, np.nan)
    for j in range(X.shape[1]):
        values = column_values(X, j)
        known = ~is_missing(values)
        if not is_nominal(values):
            edges = np.quantile(values[known], np.linspace(0, 1, BINS + 1)) if known.any() else []
            table[known, j] = np.searchsorted(np.unique(edges), values[known])
            continue
        levels, codes = np.unique(values[known], return_inverse=True)
        sums = np.bincount(codes, proba[known, 0], len(levels))
        ranks = np.argsort(np.argsort(sums / np.maximum(np.bincount(codes), 1)))
        table[known, j] = ranks[codes]
    return table
