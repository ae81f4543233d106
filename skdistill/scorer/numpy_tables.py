"""The tables of pairs of an additive student, with NumPy alone."""

import numpy as np

from skdistill.scorer.model import axes_of


class TableSum:
    """Adds up what the tables of a `LeanNetwork` add to rows, all tables at once.

    A row has a point on every axis, see `axes_of`, and a share of the way to the next one; so it
    lies between four points of every table.
    """

    def __init__(self, model):
        axes, of_table = axes_of(model)
        edges = [each for _, each in axes]
        self._of_table = np.array(of_table).T
        self._column, self._axis = np.array([j for j, _ in axes]), np.arange(len(axes))
        self._is_nominal = np.array([each is None for each in edges])
        self._missing = np.array([0 if each is None else len(each) for each in edges])
        self._inner = _filled([() if each is None else each[1:-1] for each in edges], np.inf)
        self._left = _filled([(0.0,) if each is None else each for each in edges], 0.0)
        self._width = _filled([() if each is None else np.diff(each) for each in edges], np.inf)
        self._lowest = np.array([-np.inf if each is None else each[0] for each in edges])
        self._highest = np.array([np.inf if each is None else each[-1] for each in edges])
        shapes = np.array([table.values.shape for table in model.tables])
        self._start = np.cumsum([0, *shapes[:-1, 0] * shapes[:-1, 1]])
        self._row_length = shapes[:, 1]
        self._points = np.concatenate(
            [each.values.reshape(-1, shapes[0, 2]) for each in model.tables]
        )

    def sums(self, cells):
        """Return the sums of shape (n_samples, width).

        Cells are float64, of shape (n_samples, n_columns), NaN where numbers are missing. Columns
        of categories hold the points of their curves.
        """
        cells = cells[:, self._column]
        inside = np.clip(cells, self._lowest, self._highest)
        bins = np.add.reduce(inside[..., None] >= self._inner, axis=2)
        share = (inside - self._left[self._axis, bins]) / self._width[self._axis, bins]
        absent = np.isnan(cells)
        share[absent] = 0.0
        known = np.where(self._is_nominal, cells, bins)
        point = np.where(absent, self._missing, known).astype(np.intp)
        step = np.where(absent | self._is_nominal, 0, 1)
        return self._between(point, step, share)

    def _between(self, point, step, share):
        a, b = self._of_table
        first = self._start + point[:, a] * self._row_length + point[:, b]
        below, right = step[:, a] * self._row_length, step[:, b]
        corners = np.concatenate([first, first + right, first + below, first + below + right], 1)
        u, v = share[:, a], share[:, b]
        weights = np.concatenate([(1 - u) * (1 - v), (1 - u) * v, u * (1 - v), u * v], axis=1)
        return (weights[:, None] @ self._points.take(corners, axis=0))[:, 0]


def _filled(rows, value):
    """Make an array of rows of different lengths, at least 1, filled up with a value."""
    filled = np.full((len(rows), max(1, *map(len, rows))), value)
    for row, each in zip(filled, rows, strict=True):
        row[: len(each)] = each
    return filled
