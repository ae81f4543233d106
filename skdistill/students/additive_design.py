"""What an additive fit is made of: the codes of the rows, the loss, and factorised Hessians."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cholesky
from scipy.linalg.lapack import dtrtrs
from sklearn.utils import gen_batches

try:
    from sklearn.utils.sparsefuncs import sparse_matmul_to_dense
except ImportError:  # scikit-learn < 1.8

    def sparse_matmul_to_dense(A, B):
        """Multiply two sparse arrays."""
        return (A @ B).toarray()


#: Rows on which the curvature is estimated.
CURVATURE_ROWS = 20_000

#: The ridge is at least this share of the total weight: with collinear codes, such as those of all
#: levels and the intercept, there is no unique solution without a ridge.
LEAST_RIDGE = 1e-12

#: A loss that is higher by this share is as low.
ROUNDING = 1e-12

#: Matrices with more entries than this in all are shared by the outputs.
MOST_ENTRIES = 10**8

#: A Gram matrix is computed in strips of so many rows from the diagonal on, as it is symmetric, and
#: added up over batches of rows with so many entries, which a cache can hold.
STRIP, BATCH_ENTRIES = 300, 200_000


@dataclass(frozen=True)
class AdditiveDesign:
    """What the weights of an additive model are multiplied by; the first one is the intercept.

    Attributes
    ----------
    knots : csr_array of shape (n_samples, n_knots)
        The weights of the knots of all curves and tables.
    codes : csr_array of shape (n_knots, n_codes)
        The codes at every knot.
    knot_block : ndarray of shape (n_knots,)
        The curve or table that every knot belongs to, increasing; 0 is the intercept.
    block : ndarray of shape (n_codes,)
        The same of every code.
    n_blocks : int
        The intercept, all curves and all tables, of which some may have no codes.
    """

    knots: sp.csr_array
    codes: sp.csr_array
    knot_block: np.ndarray
    block: np.ndarray
    n_blocks: int

    def outputs(self, theta):
        """Compute outputs, (n_samples, n_outputs), from weights, (n_codes, n_outputs)."""
        return self.knots @ (self.codes @ theta)

    def gradient(self, row_gradient):
        """Turn the gradients of rows with respect to their outputs into that of the weights."""
        return self.codes.T @ (self.knots.T @ row_gradient)

    def by_block(self, of_codes):
        """Add numbers of codes up by block."""
        return np.bincount(self.block, of_codes, minlength=self.n_blocks)

    def hessians(self, curvature):
        """Compute a Gram matrix of the codes per output, or one for all if they would be too large.

        The curvature is of shape (n_samples, n_outputs).
        """
        curvature = _shared(curvature, len(self.block) ** 2)
        knots, curvature = _some_rows(self.knots, curvature)
        return [_of_codes(_gram(knots, each), self.codes) for each in curvature.T]

    def hessians_of_blocks(self, curvature):
        """Yield the Gram matrices of every block alone, per output or one for all."""
        curvature = _shared(curvature, np.sum(np.bincount(self.block) ** 2))
        knots, curvature = _some_rows(self.knots, curvature)
        of_knots = np.searchsorted(self.knot_block, np.arange(self.n_blocks + 1))
        of_codes = np.searchsorted(self.block, np.arange(self.n_blocks + 1))
        by_column = knots.tocsc()
        for at_knots, at_codes in zip(pairwise(of_knots), pairwise(of_codes), strict=True):
            at_knots, at_codes = slice(*at_knots), slice(*at_codes)
            block, codes = by_column[:, at_knots].tocsr(), self.codes[at_knots, at_codes]
            yield [_of_codes(_gram(block, each), codes) for each in curvature.T]

    def of_blocks(self, kept):
        """Return the design of some blocks, given by a mask over the blocks."""
        knots, codes = np.flatnonzero(kept[self.knot_block]), np.flatnonzero(kept[self.block])
        number = np.cumsum(kept) - 1
        return AdditiveDesign(
            self.knots[:, knots],
            self.codes[knots][:, codes],
            number[self.knot_block[knots]],
            number[self.block[codes]],
            kept.sum(),
        )


def _shared(curvature, n_entries):
    """Return the curvature, averaged over outputs if matrices of so many entries are too large."""
    if curvature.shape[1] * n_entries > MOST_ENTRIES:
        return np.mean(curvature, axis=1, keepdims=True)
    return curvature


def _some_rows(knots, curvature):
    """Take some rows of a design, and their curvature, scaled to that of all rows."""
    every = max(1, len(curvature) // CURVATURE_ROWS)
    some = curvature[::every]
    scale = curvature.sum(axis=0) / np.maximum(some.sum(axis=0), np.finfo(float).tiny)
    return knots[::every], scale * some


def _gram(knots, weight):
    """Compute the Gram matrix of knots, (n_knots, n_knots), which is nearly dense."""
    n_rows, n_knots = knots.shape
    strips = list(gen_batches(n_knots, STRIP))
    gram = np.zeros((n_knots, n_knots))
    for batch in gen_batches(n_rows, max(1, BATCH_ENTRIES * n_rows // max(1, knots.nnz))):
        rows = knots[batch]
        weighted, transposed = _times_rows(rows, weight[batch]), rows.T.tocsr()
        for strip in strips:
            rest = slice(strip.start, None)
            gram[strip, rest] += sparse_matmul_to_dense(transposed[strip], weighted[:, rest])
    for strip in strips:
        gram[strip.stop :, strip] = gram[strip, strip.stop :].T
    return gram


def _of_codes(gram, codes):
    """Turn the Gram matrix of knots into that of codes."""
    codes = sp.csr_array(codes.T)
    return codes @ (codes @ gram).T


def _times_rows(rows, factor):
    """Multiply every row of a CSR array by a factor."""
    data = rows.data * np.repeat(factor, np.diff(rows.indptr))
    return sp.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)


def join_designs(parts):
    """Join knots and codes of curves and tables, pairs of arrays, behind an intercept."""
    n_rows = parts[0][0].shape[0]
    knots = [sp.csr_array(np.ones((n_rows, 1))), *(knots for knots, _ in parts)]
    codes = [sp.csr_array(np.ones((1, 1))), *(codes for _, codes in parts)]
    n_blocks = len(codes)
    knot_block, block = (
        np.repeat(np.arange(n_blocks), sizes)
        for sizes in np.transpose([each.shape for each in codes])
    )
    return AdditiveDesign(
        sp.hstack(knots, format="csr"),
        sp.block_diag(codes, format="csr"),
        knot_block,
        block,
        n_blocks,
    )


@dataclass(frozen=True)
class Objective:
    """A loss of the outputs, convex in them.

    Attributes
    ----------
    loss : callable
        From outputs, (n_samples, n_outputs), to every row's loss and gradient.
    curvature : callable
        From outputs to their second derivatives, (n_samples, n_outputs).
    hessian : callable
        From outputs to a function that multiplies (n_samples, n_outputs) by every row's Hessian.
    weight : ndarray of shape (n_samples,)
        The weights of the rows.
    start : ndarray of shape (n_outputs,)
        The best constant outputs.
    first_curvature : ndarray of shape (n_samples, n_outputs)
        What the curvature will be near the solution.
    """

    loss: Callable
    curvature: Callable
    hessian: Callable
    weight: np.ndarray
    start: np.ndarray
    first_curvature: np.ndarray

    def dispersion(self, row_gradient, curvature):
        """Estimate by how much the errors vary more than they would by chance alone.

        Pearson's statistic as a ratio of sums: single rows with tiny curvature do not decide it.
        """
        squares = np.sum(row_gradient**2, axis=1) / self.weight
        expected = max(curvature.sum(), np.finfo(float).tiny)
        return squares.sum() / expected


@dataclass(frozen=True)
class Cholesky:
    """Coordinates in which the Hessians of all outputs are the identity.

    Attributes
    ----------
    factors : list of ndarray of shape (n_codes, n_codes)
        Lower Cholesky factors of the Hessians, of which all outputs may share one.
    """

    factors: list

    @classmethod
    def of(cls, hessians, ridge, total):
        """Factorise Hessians plus a ridge per code; `total` is the weight of all rows."""
        return cls([factorised(each, ridge, total) for each in hessians])

    def weights(self, coordinates):
        """Return the weights, (n_codes, n_outputs), that coordinates stand for."""
        return self._solve(coordinates, transposes=True)

    def gradient(self, gradient):
        """Turn the gradient of the weights into that of the coordinates."""
        return self._solve(gradient, transposes=False)

    def coordinates(self, weights):
        """Return the coordinates of weights."""
        return times_each([factor.T for factor in self.factors], weights)

    def solve(self, right):
        """Multiply by the inverse Hessians."""
        return self.weights(self.gradient(right))

    def _solve(self, columns, transposes):
        def solve(factor, columns):
            solution, _ = dtrtrs(factor, columns, lower=True, trans=transposes)
            return solution

        return _each(solve, self.factors, columns)


def factorised(hessian, ridge, total):
    """Return the lower Cholesky factor of a Hessian plus a ridge, see `Cholesky.of`."""
    matrix = hessian.copy()
    diagonal = np.einsum("ii->i", matrix)
    diagonal += np.maximum(ridge, LEAST_RIDGE * total) * (1 + 1e-12)
    return cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)


def times_each(matrices, columns):
    """Multiply every column by the matrix of its output; outputs may share one."""
    return _each(lambda matrix, columns: matrix @ columns, matrices, columns)


def _each(function, matrices, columns):
    if len(matrices) == 1:
        return function(matrices[0], columns)
    return np.stack([function(*each) for each in zip(matrices, columns.T, strict=True)], axis=1)


def constant(design, objective):
    """Return the weights of the best constant outputs."""
    theta = np.zeros((len(design.block), len(objective.start)))
    theta[0] = objective.start
    return theta


def with_zeros(design, theta):
    """Return weights of the first codes, followed by zeros for all others of a design."""
    n_more = len(design.block) - len(theta)
    return np.concatenate([theta, np.zeros((n_more, theta.shape[1]))])


def equal_ridges(design, ridge):
    """Return the same ridge for every block but the intercept."""
    return np.append(0.0, np.full(design.n_blocks - 1, ridge))
