"""The tables of pairs of an additive student, with NumPy alone."""

import numpy as np

from skdistill.scorer.model import points_of_axis


class TableSum:
    """Adds up what the tables of a `LeanNetwork` add to rows, all tables at once.

    A row that is in a piece of the curve of a column, see `NetworkEngine`, is in one of the axis of
    a table: beside a point, a share of the way to the next one, which is a step away in the table.
    `first` has the number of the first piece of every column.
    """

    def __init__(self, model, first):
        shapes = [table.values.shape for table in model.tables]
        starts = np.cumsum([0, *(n_a * n_b for n_a, n_b, _ in shapes)])[:-1]
        scale = np.array([(n_b, 1) for _, n_b, _ in shapes]).T.ravel()
        offset = np.concatenate([starts, np.zeros_like(starts)])
        columns = np.array([table.columns for table in model.tables]).T.ravel()
        edges = [table.edges[side] for side in (0, 1) for table in model.tables]
        pieces = [_pieces(model, j, each) for j, each in zip(columns, edges, strict=True)]
        lengths = [len(points) for points, *_ in pieces]
        points, is_bin, self._left, self._width = map(np.concatenate, zip(*pieces, strict=True))
        self._point = points * np.repeat(scale, lengths) + np.repeat(offset, lengths)
        self._step = is_bin * np.repeat(scale, lengths)
        self._column, self._shift = columns, np.cumsum([0, *lengths[:-1]]) - first[columns]
        self._values = np.concatenate([t.values.reshape(-1, shapes[0][2]) for t in model.tables])

    def sums(self, piece, inside):
        """Return the sums of shape (n_samples, width).

        `piece` and `inside`, of shape (n_samples, n_columns), are numbers of pieces, and cells that
        lie between the ends of the curves, 0 where missing.
        """
        piece = piece[:, self._column] + self._shift
        share = (inside[:, self._column] - self._left[piece]) / self._width[piece]
        point, step, half = self._point[piece], self._step[piece], len(self._column) // 2
        u, v = share[:, :half], share[:, half:]
        below, right = step[:, :half], step[:, half:]
        upper, both = point[:, :half] + point[:, half:], u * v
        lower = upper + below
        corners = np.concatenate([upper, upper + right, lower, lower + right], axis=1)
        weights = np.concatenate([1.0 - u - v + both, v - both, u - both, both], axis=1)
        return (weights[:, None] @ self._values.take(corners, axis=0))[:, 0]


def _pieces(model, j, edges):
    """Return, for every piece of the curve of a column, where it lies on an axis.

    That is its point there, whether it is in a bin, and the left end and the width of that bin.
    """
    of_curve, point = model.edges[j], points_of_axis(model, j, edges)
    if of_curve is not None and len(of_curve) > 1:
        point = np.delete(point, len(of_curve) - 1)  # the last edge begins no bin
    is_bin = np.zeros(len(point), dtype=bool) if edges is None else point < len(edges) - 1
    left, width = np.zeros(len(point)), np.full(len(point), np.inf)
    if is_bin.any():
        left[is_bin], width[is_bin] = edges[point[is_bin]], np.diff(edges)[point[is_bin]]
    return point, is_bin, left, width
