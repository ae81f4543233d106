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

#: Rows to explain that are looked up in the curves at a time.
LOOKED_UP_ROWS = 64


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

    @cached_property
    def _background_outputs(self):
        """Predictions for the background rows."""
        return self._outputs_of(self._at_background.copy())

    @cached_property
    def _taken(self):
        """What is taken at each step but the last, (n_steps, n_walks): place in flat changes."""
        place = self.walks.start[:, None] * self.start.n_players + self.walks.order
        return np.ascontiguousarray(place[:, :-1].T)

    def _outputs_of(self, sums):
        return self.output.of_outputs(self.start.student.after_sum(sums))

    def outputs_along_walks(self):
        """Yield the predictions along the walks to each of the rows to explain, see `walk_all`."""
        for rows in gen_batches(self.n_rows, LOOKED_UP_ROWS):
            parts = self.start.parts(self.positions[rows])
            of_games = sum(game.at_explained()[rows] for game in self.games)
            ends = self._outputs_of(parts.sum(axis=1) + self.start.intercept + of_games)
            for row, of_row, end in zip(range(rows.start, rows.stop), parts, ends, strict=True):
                yield self._along(row, of_row - self.background, end)

    def _along(self, row, changes, end):
        """Predict along the walks to a row, given what its players change of background rows."""
        n_walks, n_columns = self.walks.order.shape
        outputs = np.empty((n_columns + 1, n_walks, len(end)))
        outputs[0], outputs[-1] = self._background_outputs[self.walks.start], end
        of_games = [game.gains(row) for game in self.games]
        changes = changes.reshape(-1, changes.shape[-1])
        is_change = None if self.games else changes.any(axis=1)
        for block in gen_batches(n_walks, max(BLOCK_ROWS // n_columns, 1)):
            taken = self._taken[:, block]
            sums = np.take(changes, taken, axis=0)
            self._add_games(sums, of_games, block)
            before = self._at_background[self.walks.start[block]]
            for at_step in sums:
                before = np.add(at_step, before, out=at_step)
            if is_change is None or (moves := is_change[taken]).all():
                found = self._outputs_of(sums.reshape(-1, sums.shape[-1]))
                outputs[1:-1, block] = found.reshape(*taken.shape, -1)
            else:
                outputs[1:-1, block] = self._where_it_moves(sums, moves, outputs[0, block])
        return outputs.swapaxes(0, 1)

    def _where_it_moves(self, sums, moves, at_start):
        """Predict where a step changes the sums; elsewhere the prediction is that before it."""
        known = np.concatenate([at_start, self._outputs_of(sums[moves])])
        place = np.empty(moves.shape, dtype=np.intp)
        place[:] = np.arange(len(at_start))
        place[moves] = np.arange(len(at_start), len(known))
        return known[np.maximum.accumulate(place, axis=0)]

    def _add_games(self, changes, of_games, block):
        """Add to what players add alone along walks what they add in pairs, in place."""
        z, step = self.walks.start[block], self.walks.step[block]
        for game, of_players in zip(self.games, of_games, strict=True):
            a, b = game.players
            a_is_second = (step[:, a] >= step[:, b]).astype(np.intp)
            for which, player, is_second in ((0, a, a_is_second), (1, b, 1 - a_is_second)):
                walk = np.flatnonzero(step[:, player] < len(changes))  # all but the last step
                gains = of_players[which, is_second[walk], z[walk]]
                changes[step[walk, player], walk] += gains
