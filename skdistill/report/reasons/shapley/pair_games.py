"""Shapley values of the tables of an additive student: a pair's share is split between its columns.

Let T be the table of the columns a and b. For a row x against one background row z it is a game of
two players, who take their column from x or leave it as it is in z:

    v() = T(z_a, z_b)    v(a) = T(x_a, z_b)    v(b) = T(z_a, x_b)    v(a, b) = T(x_a, x_b)

The Shapley value of a is the mean of what it adds if it comes first and if it comes second:

    phi_a = (v(a) - v()) / 2 + (v(a, b) - v(b)) / 2

All other columns add nothing in either case, and Shapley values are linear in the game, so those of
the student are those of its curves, of which each belongs to its column, plus these of its tables.

A table is linear in the weights of the knots of either axis, ``T(x_a, z_b) = w_a(x)' T w_b(z)``. So
the mean of v(a) over the background takes the mean weights of b only, that of v(b) those of a, and
that of v() is one number: nothing is computed for every row and every background row.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PairGame:
    """The table of a pair of columns as a game between rows to explain and background rows.

    Attributes
    ----------
    players : tuple of int
        The two players, who may be one if both columns are made of one of the user's.
    values : ndarray of shape (n_knots_a, n_knots_b, width)
        The table.
    of_x : tuple of ndarray of shape (n_explained, n_knots)
        The weights of the knots of both axes at the rows to explain.
    of_z : tuple of ndarray of shape (n_background, n_knots)
        Those at the background rows.
    """

    players: tuple
    values: np.ndarray
    of_x: tuple
    of_z: tuple

    def at_background(self):
        """Return what the table adds to the background rows, of shape (n_background, width)."""
        return _look_up(self.values, *self.of_z)

    def at_explained(self):
        """Return what the table adds to the rows to explain, of shape (n_explained, width)."""
        return _look_up(self.values, *self.of_x)

    def mean_shares(self):
        """Compute what either player gets on average over the background, exactly.

        Returns
        -------
        shares : ndarray of shape (n_explained, 2, width)
            For every row they add up to what the table adds to it, less its mean over the
            background.

        References
        ----------
        Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017,
        arXiv:1705.07874, for additive terms. Bordt and von Luxburg, "From Shapley Values to
        Generalized Additive Models and back", AISTATS 2023, arXiv:2209.04012, for terms of several
        columns, whose interventional value each of its columns shares.
        """
        (x_a, x_b), (z_a, z_b) = self.of_x, self.of_z
        none = self.at_background().mean(axis=0)
        only_a = x_a @ np.einsum("abw,b->aw", self.values, z_b.mean(axis=0))
        only_b = x_b @ np.einsum("abw,a->bw", self.values, z_a.mean(axis=0))
        both = _look_up(self.values, x_a, x_b)
        of_a = (only_a - none + both - only_b) / 2
        of_b = (only_b - none + both - only_a) / 2
        return np.stack([of_a, of_b], axis=1)

    def gains(self, row):
        """Return what either player adds to the background rows on the way to a row to explain.

        Parameters
        ----------
        row : int
            The row to explain.

        Returns
        -------
        gains : ndarray of shape (2, 2, n_background, width)
            By player, and by whether it comes first or second.
        """
        (x_a, x_b), (z_a, z_b) = self.of_x, self.of_z
        none = self.at_background()
        only_a = z_b @ np.tensordot(x_a[row], self.values, 1)
        only_b = z_a @ np.tensordot(self.values, x_b[row], (1, 0))
        both = _look_up(self.values, x_a[[row]], x_b[[row]])
        return np.array([[only_a - none, both - only_b], [only_b - none, both - only_a]])


def _look_up(values, of_a, of_b):
    """Return what a table adds to rows by the weights of its knots, (n_samples, width)."""
    n_a, n_b, width = values.shape
    by_b = (of_a @ values.reshape(n_a, n_b * width)).reshape(-1, n_b, width)
    return np.einsum("nbw,nb->nw", by_b, of_b)
