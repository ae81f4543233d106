"""Whether a fitted teacher was fitted on some rows, judged by what its trees remember.

A tree remembers how many rows of its fit fell into each of its leaves. Rows of the same fit fill
them alike; fresh rows of the same population do so only up to the sampling error of both.
"""

from enum import Enum

import numpy as np
from scipy.optimize import nnls
from scipy.stats import chi2
from sklearn.frozen import FrozenEstimator

from skdistill.estimators import as_last_step_sees, last_step
from skdistill.teacher.met_thresholds import met_thresholds
from skdistill.teacher.tree_nodes import leaf_counts, readable_ensembles
from skdistill.teacher.vendors import vendor_of

#: Smallest mean of the statistic of `_dissimilarity` for rows that were not seen. It is 1 where
#: leaves hold many rows, .7 to .9 where every leaf holds one, less if rows are discrete.
OF_FRESH_ROWS = 0.6

#: Rows are proved to be of the fit if fresh ones are as similar with a smaller probability.
UNLIKELY = 1e-6

#: Trees of one ensemble are dependent: each further tree counts as this share of one.
WORTH_OF_FURTHER_TREES = 1 / 16

#: With fewer degrees of freedom the numbers agree by chance too often.
FEWEST_DEGREES = 4

#: Rows are refuted if less than this share of them, or of those of the fit, is in both.
OVERLAP = 0.5

#: They are refuted if with that overlap they meet as few thresholds with a smaller probability.
RARELY = 1e-2

#: Rows that fill the leaves alike contain at least this share of those of the fit.
MOSTLY = 0.75

#: With more rows boosting models compute bins from a sample.
MOST_BINNED = 200_000

#: With more than this many times the rows of the fit, values that made a threshold are too seldom
#: adjacent.
MOST_TIMES = 2

#: With more classes one weight is estimated for all of them.
MOST_CLASSES = 20


class Proof(Enum):
    """What is known about whether a teacher was fitted on some rows.

    Attributes
    ----------
    PROVED
        On these rows, on a part of them, or on these and more.
    REFUTED
        The teacher was fitted on other rows: less than half of them are among these, and less than
        half of these are among them.
    UNKNOWN
        Neither is proved.
    """

    PROVED = "proved"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


def proof_of_training_rows(estimator, X, codes=None, read=readable_ensembles):
    """Prove, or refute, that a fitted teacher was fitted on these rows.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier or regressor, or a pipeline ending in one.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows in question, in any order.
    codes : ndarray of shape (n_samples,) or None, default=None
        Position of the class of every row: with them weights of classes do not hinder the proof.
    read : callable, default=readable_ensembles
        Reads the trees within the estimator, if they are needed; see there.

    Returns
    -------
    proof : Proof
        See `Proof`. Several teachers were fitted on the rows if one of them was.

    Notes
    -----
    Let f be the number of these rows in a leaf, r the number remembered, n and m their sums. The
    two-sample statistic of homogeneity, with class weights w estimated by non-negative least
    squares (m / n without any),

        sum((r - w f)**2 / (w f + w r)) / degrees of freedom,

    is about 1 for independent samples and 1 - 2 o / (n + m) if o rows are in both. Rows are proved
    to be known if a chi-square variable is that small with a probability below 1e-6, or if they
    meet thresholds of the trees that only the rows of the fit can have made, see `met_thresholds`.

    They are refuted if rows of which one half is of the fit, or that hold one half of those of the
    fit, would meet more thresholds than these. In columns of whole numbers and of few values
    nothing can be refuted: what the leaves remember looks the same where a part of the rows is
    known and the rest is of another population, or where rows had weights. An overlap with a
    smaller part than one half may go unnoticed.
    """
    last = last_step(estimator)
    if hasattr(last, "each_with_its_columns"):  # several teachers
        each = last.each_with_its_columns(as_last_step_sees(estimator, X))
        proofs = {proof_of_training_rows(*one, codes) for one in each}
        return next(p for p in (Proof.PROVED, Proof.UNKNOWN, Proof.REFUTED) if p in proofs)
    if vendor_of(last).is_filled_by(last, as_last_step_sees(estimator, X)):
        return Proof.PROVED
    codes = np.zeros(X.shape[0], dtype=int) if codes is None else codes
    trees = list(leaf_counts(estimator, X, codes))
    met = met_thresholds(estimator, X, read)
    if any(one.are_made(UNLIKELY, RARELY) for one in met):
        return Proof.PROVED
    if _are_filled_alike(trees) and not any(
        one.some_are_made_elsewhere(MOSTLY, RARELY / 100) for one in met
    ):
        return Proof.PROVED
    is_refuted = _meet_too_few(met, trees) and not _holds_models_of_other_rows(last)
    return Proof.REFUTED if is_refuted else Proof.UNKNOWN


def replays_bootstraps(estimator, X):
    """Prove that a bagging ensemble was fitted on these rows in this order.

    The rows in the bag of a tree, which is drawn again, fill its leaves with exactly the numbers
    that it remembers. False also for what is no forest or bagging ensemble of trees.
    """
    last = last_step(estimator)
    vendor, X = vendor_of(last), as_last_step_sees(estimator, X)
    return vendor.has_bags and vendor.is_filled_by(last, X)


def _are_filled_alike(trees):
    """Tell whether rows fill leaves like those that the trees were grown on."""
    trees = [tree for tree in trees if tree.is_comparable]
    # The first tree alone, too: later ones may have been grown on rows that are hard to predict.
    return any(_are_known(some) for some in (trees[:1], trees) if some)


def _are_known(trees):
    dissimilarity, degrees = _dissimilarity(trees)
    effective = _effective(trees, degrees)
    if effective < FEWEST_DEGREES:
        return False
    if _lack_rows_and_have_others([tree for tree in trees if tree.share == 1]):
        return False  # rows that each lie between two of the fit fill leaves alike, too
    return chi2.cdf(dissimilarity * effective / OF_FRESH_ROWS, effective) < UNLIKELY


def _effective(trees, degrees):
    """Return the effective degrees of freedom of several trees, which are dependent."""
    further = degrees - min(degrees, max(len(tree.remembered) - 1 for tree in trees))
    return degrees - (1 - WORTH_OF_FURTHER_TREES) * further


def _meet_too_few(met, trees):
    """Tell whether rows that overlap with those of the fit would have met more thresholds."""
    trees = [tree for tree in trees if tree.share is not None]
    if not (met and trees) or _dissimilarity(trees)[0] < OF_FRESH_ROWS:
        return False
    n, n_fitted = trees[0].found.sum(), np.mean([t.n_remembered / t.share for t in trees])
    if n_fitted > MOST_BINNED or n > MOST_TIMES * n_fitted:
        return False
    share = OVERLAP * min(n / n_fitted, 1)
    return all(one.are_made_elsewhere(share, RARELY) for one in met)


def _lack_rows_and_have_others(trees):
    """Tell whether rows can neither contain those of the fit nor be a part of them."""
    if not trees:
        return False
    remembered = np.concatenate([tree.remembered for tree in trees])
    found = np.concatenate([tree.found.sum(axis=1) for tree in trees])
    return (remembered > found).any() and (found > remembered).any()


def _holds_models_of_other_rows(model):
    """Tell whether members of an ensemble were fitted before it, so maybe on other rows."""
    return any(
        isinstance(value, FrozenEstimator) or (name.endswith("cv") and value == "prefit")
        for name, value in model.get_params().items()
        if isinstance(value, FrozenEstimator | str)
    )


def _dissimilarity(trees):
    """Return the statistic of `proof_of_training_rows`, and its degrees of freedom."""
    remembered = np.concatenate([tree.remembered for tree in trees])
    found = np.concatenate([tree.found for tree in trees])
    used = (remembered > 0) | (found.sum(axis=1) > 0)
    remembered, found = remembered[used], found[used]
    degrees = len(remembered) - len(trees)
    if not MOST_CLASSES >= found.shape[1] < degrees:  # too few leaves to tell weights of classes
        found = found.sum(axis=1, keepdims=True)
    scale = np.sqrt(remembered + found.sum(axis=1))
    weights = nnls(found / scale[:, None], remembered / scale)[0]
    expected = found @ weights
    if not expected.any():
        return 1.0, 0
    of_found = found @ weights**2 / expected.sum()
    typical = of_found.sum()
    unit = 1.0 if all(tree.is_count for tree in trees) else typical
    variance = unit * expected + typical * remembered
    excess = (remembered - expected) ** 2 / np.maximum(variance, np.finfo(float).tiny)
    return excess.sum() / max(degrees, 1), degrees
