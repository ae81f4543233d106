"""Students that first add up one vector per column: their rows need not be encoded to be mixed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skdistill.columns import check_rows, plain_rows
from skdistill.report.reasons.shapley.explained_output import ExplainedOutput
from skdistill.report.reasons.shapley.walks import Walks

#: Mixed rows that go through the layers of a network at a time: they stay in the cache.
BLOCK_ROWS = 1024


@dataclass(frozen=True)
class AdditiveStart:
    """A student that first adds up one vector per column: rows need not be encoded to be mixed.

    Attributes
    ----------
    student : estimator
        An additive student, or an MLP or a soft tree: their first layer is one on the codes.
    owner : ndarray of shape (n_columns,)
        The player that each column belongs to.
    n_players : int
        Number of players.
    curves : list of ndarray of shape (n_knots, width)
        Per column, what it adds at the knots of its curve.
    intercept : ndarray of shape (width,)
        What is added to their sum.
    """

    student: Any
    owner: np.ndarray
    n_players: int
    curves: list
    intercept: np.ndarray

    @classmethod
    def of(cls, last):
        """Read the plain arrays of the student that is the last step of a model."""
        return cls(last.estimator, last.owner, last.n_columns, *last.estimator.first_sum())

    def positions(self, X):
        """Encode rows as far as needed, see `Encoding.positions`."""
        rows = plain_rows(check_rows(self.student, X, reset=False))
        return self.student.encoding_.positions(rows, dtype=self.intercept.dtype)

    def parts(self, positions):
        """Look up what every player adds, of shape (n_samples, n_players, width)."""
        shape = len(positions), self.n_players, len(self.intercept)
        parts = np.zeros(shape, dtype=self.intercept.dtype)
        of_columns = self.student.encoding_.look_up(positions, self.curves)
        for player, part in zip(self.owner, of_columns, strict=True):
            parts[:, player] += part
        return parts


@dataclass(frozen=True)
class WalksFromStart:
    """Predictions along walks of a student that starts with a sum.

    Attributes
    ----------
    output : ExplainedOutput
        What is explained.
    walks : Walks
        From background rows, by their position among them.
    start : AdditiveStart
        The student.
    positions : ndarray of shape (n_explained, n_columns)
        The encoded rows to explain.
    background : ndarray of shape (n_background, n_players, width)
        What every player of the background rows adds.
    """

    output: ExplainedOutput
    walks: Walks
    start: AdditiveStart
    positions: np.ndarray
    background: np.ndarray

    @property
    def n_rows(self):
        """Number of rows to explain."""
        return len(self.positions)

    def outputs_along(self, row):
        """Predictions along the walks to one of the rows to explain, see `walk_all`."""
        changes = self.start.parts(self.positions[row : row + 1]) - self.background
        at_z = self.background.sum(axis=1) + self.start.intercept
        n_walks, n_columns = self.walks.order.shape
        along = []
        for block in gen_batches(n_walks, max(BLOCK_ROWS // (n_columns + 1), 1)):
            z, order = self.walks.start[block], self.walks.order[block]
            sums = np.empty((n_columns + 1, len(z), at_z.shape[1]), dtype=at_z.dtype)
            sums[0] = at_z[z]
            for step, column in enumerate(order.T):
                np.add(sums[step], changes[z, column], out=sums[step + 1])
            outputs = self.start.student.after_sum(sums.reshape(-1, at_z.shape[1]))
            along.append(self.output.of_outputs(outputs).reshape(n_columns + 1, len(z), -1))
        return np.concatenate(along, axis=1).swapaxes(0, 1)
