"""Students that first add up one vector per column: their rows need not be encoded to be mixed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skdistill.columns import check_rows, plain_rows
from skdistill.report.reasons.shapley.explained_output import ExplainedOutput
from skdistill.report.reasons.shapley.pair_games import PairGame
from skdistill.report.reasons.shapley.walks import Walks
from skdistill.students.encoding import knot_design
from skdistill.students.pairs import axis_positions

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

    def games(self, positions, pool):
        """Read what pairs of columns add, as games between the rows of a pool; often none."""
        return [self._game(table, positions, pool) for table in self._tables]

    @property
    def _tables(self):
        return self.student.tables_ if self.student.form == "additive" else ()

    def _game(self, table, positions, pool):
        encoded = self.student.encoding_.columns
        weights = [
            knot_design(axis, axis_positions(encoded[j], axis, positions[:, j])).toarray()
            for j, axis in zip(table.columns, table.axes, strict=True)
        ]
        of_x, of_z = (
            tuple(of_axis[which] for of_axis in weights)
            for which in (pool.explained, pool.background)
        )
        players = tuple(int(self.owner[j]) for j in table.columns)
        return PairGame(players, table.values, of_x, of_z)


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
    games : list of PairGame
        What pairs of players add.
    """

    output: ExplainedOutput
    walks: Walks
    start: AdditiveStart
    positions: np.ndarray
    background: np.ndarray
    games: list

    @property
    def n_rows(self):
        """Number of rows to explain."""
        return len(self.positions)

    @cached_property
    def _at_background(self):
        """First sums of the background rows, of shape (n_background, width)."""
        of_games = sum(game.at_background() for game in self.games)
        return self.background.sum(axis=1) + self.start.intercept + of_games

    def outputs_along(self, row):
        """Predictions along the walks to one of the rows to explain, see `walk_all`."""
        changes = self.start.parts(self.positions[row : row + 1]) - self.background
        at_z = self._at_background
        of_games = [game.gains(row) for game in self.games]
        n_walks, n_columns = self.walks.order.shape
        along = []
        for block in gen_batches(n_walks, max(BLOCK_ROWS // (n_columns + 1), 1)):
            z, order = self.walks.start[block], self.walks.order[block]
            gains = self._with_games(changes[z], of_games, block)
            sums = np.empty((n_columns + 1, len(z), at_z.shape[1]), dtype=at_z.dtype)
            sums[0] = at_z[z]
            for step, column in enumerate(order.T):
                np.add(sums[step], gains[np.arange(len(z)), column], out=sums[step + 1])
            outputs = self.start.student.after_sum(sums.reshape(-1, at_z.shape[1]))
            along.append(self.output.of_outputs(outputs).reshape(n_columns + 1, len(z), -1))
        return np.concatenate(along, axis=1).swapaxes(0, 1)

    def _with_games(self, gains, of_games, block):
        """Add to what players add alone along walks what they add in pairs, in place."""
        z, step = self.walks.start[block], self.walks.step[block]
        for game, of_players in zip(self.games, of_games, strict=True):
            a, b = game.players
            a_is_second = (step[:, a] >= step[:, b]).astype(np.intp)
            gains[:, a] += of_players[0, a_is_second, z]
            gains[:, b] += of_players[1, 1 - a_is_second, z]
        return gains
