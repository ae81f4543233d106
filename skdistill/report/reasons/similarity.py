"""How similar two models' attributions are, row by row and in summary: numbers from arrays."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class RowSimilarity:
    """How similar the contributions of a reference and of another model are, per row.

    Attributes
    ----------
    cosine : ndarray of shape (n_rows,)
        Cosine of the two vectors of contributions; 1 where both are 0, 0 where one is.
    sign_flips : ndarray of shape (n_rows,)
        Share of the reference's top columns that push the other way in the other model.
    top_overlap : ndarray of shape (n_rows,)
        Share of top columns that both have; columns without a contribution are none.
    """

    cosine: np.ndarray
    sign_flips: np.ndarray
    top_overlap: np.ndarray


@dataclass(frozen=True)
class Similarity:
    """Summary of `RowSimilarity` over some rows.

    Attributes
    ----------
    compared : str
        Which models, the reference first.
    rows : str
        Which rows.
    n_rows : int
        How many. Without any, all numbers are NaN.
    median_cosine, mean_cosine, low_cosine : float
        Median, mean and 5 % quantile of the cosines.
    sign_flips : float
        Mean share of the reference's top columns that push the other way.
    top_overlap : float
        Mean share of top columns that both have.
    """

    compared: str
    rows: str
    n_rows: int
    median_cosine: float
    mean_cosine: float
    low_cosine: float
    sign_flips: float
    top_overlap: float


def similarity_of_rows(reference, other, top):
    """Compare contributions, of shape (n_rows, n_columns), row by row.

    `top` is how many columns with the largest contributions, in absolute value, are looked at.
    """
    cosine = np.sum(_unit(reference) * _unit(other), axis=1)
    both_zero = ~reference.any(axis=1) & ~other.any(axis=1)
    in_reference, in_other = _tops(reference, top), _tops(other, top)
    flipped = in_reference & (np.sign(reference) * np.sign(other) < 0)
    n_reference, n_other = in_reference.sum(axis=1), in_other.sum(axis=1)
    largest = np.maximum(n_reference, n_other)
    return RowSimilarity(
        cosine=np.where(both_zero, 1.0, np.clip(cosine, -1.0, 1.0)),
        sign_flips=flipped.sum(axis=1) / np.maximum(n_reference, 1),
        top_overlap=np.where(
            largest == 0, 1.0, (in_reference & in_other).sum(axis=1) / np.maximum(largest, 1)
        ),
    )


def summarise(similarity, compared, rows, chosen):
    """Summarise a `RowSimilarity` over the rows that a mask chooses."""
    cosine, flips, overlap = (
        values[chosen]
        for values in (similarity.cosine, similarity.sign_flips, similarity.top_overlap)
    )
    if not len(cosine):
        return Similarity(compared, rows, 0, *[float("nan")] * 5)
    low, median = np.quantile(cosine, [0.05, 0.5])
    numbers = median, cosine.mean(), low, flips.mean(), overlap.mean()
    return Similarity(compared, rows, len(cosine), *map(float, numbers))


def rank_correlation(a, b):
    """Compute Spearman's correlation; 1 for equal ranks, 0 if one of them ranks nothing."""
    ranks = np.stack([rankdata(a), rankdata(b)])
    if np.array_equal(*ranks):
        return 1.0
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1)
    return 0.0 if 0 in lengths else float(centred[0] @ centred[1] / lengths.prod())


def _unit(vectors):
    """Scale rows to length 1, but for those of length 0."""
    for order in (np.inf, 2):  # the largest entry first, whose square may be out of range
        length = np.linalg.norm(vectors, order, axis=1, keepdims=True)
        vectors = vectors / np.where(length > 0, length, 1.0)
    return vectors


def _tops(contributions, top):
    """Mark the largest contributions of each row; none that is 0."""
    size = np.abs(contributions)
    best = np.argsort(-size, axis=1, kind="stable")[:, :top]
    marked = np.zeros(size.shape, dtype=bool)
    np.put_along_axis(marked, best, True, axis=1)
    return marked & (size > 0)
