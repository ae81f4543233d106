"""Walks evaluated by the model itself, on mixed rows."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skdistill.levels import silent_about_unknown_levels
from skdistill.report.reasons.shapley.explained_output import ExplainedOutput, RowPool
from skdistill.report.reasons.shapley.walks import Walks

#: Cells of a mixed table that a model predicts at a time.
BATCH_CELLS = 2**20


@dataclass(frozen=True)
class MixedRows:
    """Predictions along walks of a model for mixed rows.

    Attributes
    ----------
    output : ExplainedOutput
        What is explained.
    pool : RowPool
        The rows.
    walks : Walks
        From background rows, by their position among them.
    """

    output: ExplainedOutput
    pool: RowPool
    walks: Walks

    @property
    def n_rows(self):
        """Number of rows to explain."""
        return len(self.pool.explained)

    @cached_property
    def _ends(self):
        ends = (self.pool.explained_rows, self.pool.background_rows)
        return tuple(self.output.of_rows(rows) for rows in ends)

    def outputs_along_walks(self):
        """Yield the predictions along the walks to each of the rows to explain, see `walk_all`."""
        return map(self._along, range(self.n_rows))

    def _along(self, row):
        """Predict along the walks to one of the rows to explain.

        Steps that take a cell equal to the one that is there change nothing and are not
        evaluated.
        """
        order, step = self.walks.order, self.walks.step
        x, z = self.pool.explained[row], self.pool.background[self.walks.start]
        codes = self.pool.cell_codes
        differs = codes[x, order] != codes[z[:, None], order]
        n_changed = np.cumsum(differs, axis=1)
        n_different = n_changed[:, -1]
        walk, at = np.nonzero(differs & (n_changed < n_different[:, None]))
        source = np.where(step[walk] <= at[:, None], x, z[walk, None])
        evaluated = self._evaluate(source)
        # What is known, one after the other: z of every walk, x, then the new ones.
        at_x, at_z = self._ends
        known = np.concatenate([at_z[self.walks.start], at_x[row : row + 1], evaluated])
        n_walks = len(self.walks)
        n_evaluated = np.maximum(n_different - 1, 0)
        first_evaluated = n_walks + 1 + np.cumsum(n_evaluated) - n_evaluated
        state = np.pad(n_changed, ((0, 0), (1, 0)))
        place = np.select(
            [state == 0, state == n_different[:, None]],
            [np.arange(n_walks)[:, None], n_walks],
            first_evaluated[:, None] + state - 1,
        )
        return known[place]

    def _evaluate(self, source):
        size = max(BATCH_CELLS // source.shape[1], 1)
        batches = [source[i : i + size] for i in range(0, len(source), size)]
        n_outputs = self._ends[0].shape[1]
        with silent_about_unknown_levels():  # the user passed other rows than these mixtures
            parts = [self.output.of_rows(self.pool.mix(batch)) for batch in batches]
        return np.concatenate([np.zeros((0, n_outputs)), *parts])
