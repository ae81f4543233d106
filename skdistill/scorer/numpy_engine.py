"""Scoring by NumPy alone, without a compiler; tests compare compiled code with it."""

from array import array
from dataclasses import dataclass
from math import exp, isfinite, isinf

import numpy as np

from skdistill.scorer.cells import NAN
from skdistill.scorer.model import LeanTree, path_probabilities

#: Rows of a batch that are scored at a time: what they look up stays in the cache.
BLOCK_ROWS = 1024


def numpy_engine(model):
    """Return an engine that scores rows and tables of a model, see `TreeEngine`."""
    return TreeEngine(model) if isinstance(model, LeanTree) else NetworkEngine(model)


class TreeEngine:
    """Scores a tree: a row by Python's own lists, which are quicker than arrays for one number."""

    name = "numpy"

    def __init__(self, model):
        self._model = model
        self._levels = _levels_by_column(model.columns)
        nodes = model.feature, model.threshold, model.children_left, model.children_right
        self._nodes = list(
            zip(*(part.tolist() for part in (*nodes, model.missing_left)), strict=True)
        )
        self._answers = _plain_answers(model)

    def row(self, cells):
        """Score a row as `CellReader.cells` returns it.

        Returns probabilities, or the prediction; None if a cell is infinite. Raises TypeError if a
        cell is not a number.
        """
        x = cells.tolist() if isinstance(cells, np.ndarray) else array("d", cells)
        if not isfinite(sum(x)) and any(map(isinf, x)):
            return None
        nodes, node = self._nodes, 0
        column, threshold, left, right, missing_left = nodes[0]
        while left >= 0:
            cell = x[column]
            if column in self._levels:
                levels = self._levels[column]
                cell = levels.position(cell)
                cell = cell if cell < levels.n_levels else NAN
            goes_left = missing_left if cell != cell else cell <= threshold
            node = left if goes_left else right
            column, threshold, left, right, missing_left = nodes[node]
        return self._answers[node]

    def table(self, X):
        """Score a table of float64; answers are NaN in rows with an infinite cell."""
        model = self._model
        bad = np.isinf(X).any(axis=1)
        X = X.copy() if self._levels else X
        for j, levels in self._levels.items():
            at = levels.positions(X[:, j])
            X[:, j] = np.where(at < levels.n_levels, at, np.nan)
        node, rows = np.zeros(len(X), dtype=np.intp), np.arange(len(X))
        while len(rows):
            rows = rows[model.children_left[node[rows]] >= 0]
            at = node[rows]
            cell = X[rows, model.feature[at]]
            left = np.where(np.isnan(cell), model.missing_left[at], cell <= model.threshold[at])
            node[rows] = np.where(left, model.children_left[at], model.children_right[at])
        answers = model.value[node].astype(np.float64)
        answers[bad] = np.nan
        return answers


class NetworkEngine:
    """Scores a sum of curves and the layers after it; see `TreeEngine`.

    Every bin and level is a piece: a start and a slope. A row picks one piece per column, all at
    once, and adds their starts and their slopes times the share of the bin below the cell.
    """

    name = "numpy"

    def __init__(self, model):
        self._model = model
        self._levels = _levels_by_column(model.columns)
        self._lefts, pieces = _inner_edges(model), []
        lefts, widths, self._first, self._missing = [], [], [], []
        for edges, curve in zip(model.edges, model.curves, strict=True):
            self._first.append(len(pieces))
            if edges is not None and len(edges) > 1:
                pieces += zip(curve[:-2], np.diff(curve[:-1], axis=0), strict=True)
                lefts += edges[:-1].tolist()
                widths += np.diff(edges).tolist()
                curve = curve[-1:]
            pieces += [(point, np.zeros_like(point)) for point in curve]
            self._missing.append(len(pieces) - (2 if edges is None else 1))
            lefts += [0.0] * len(curve)
            widths += [np.inf] * len(curve)
        self._starts, self._slopes = np.swapaxes(pieces, 0, 1).copy()
        self._left, self._width = np.array(lefts), np.array(widths)
        self._ends = _ends_of_curves(model)
        self._first, self._missing = np.array(self._first), np.array(self._missing)

    def row(self, cells):
        """Score a row, see `TreeEngine.row`."""
        plain = cells.tolist() if isinstance(cells, np.ndarray) else array("d", cells)
        x = np.array(plain)
        absent = None
        if not isfinite(sum(plain)):  # some cell is missing or infinite, or all are large
            absent = x != x
            if np.isinf(x).any():
                return None
        piece = self._first + np.add.reduce(x[:, None] >= self._lefts, axis=1)
        share = self._shares(np.minimum(np.maximum(x, self._ends[0]), self._ends[1]), piece)
        if absent is not None:
            piece = np.where(absent, self._missing, piece)
            share[absent] = 0.0
        for j, levels in self._levels.items():
            piece[j] = self._first[j] + levels.position(x[j])
            share[j] = 0.0
        out = share.astype(self._slopes.dtype) @ self._slopes.take(piece, axis=0)
        out += np.add.reduce(self._starts.take(piece, axis=0), axis=0)
        out += self._model.intercept
        if self._model.is_soft_tree:
            out = path_probabilities(out[None])[0]
        for weight, bias in self._model.layers:
            np.maximum(out, 0.0, out=out)
            out = out @ weight
            out += bias
        return self._link_row(out.tolist())

    def _shares(self, inside, piece):
        return (inside - self._left[piece]) / self._width[piece]

    def _link_row(self, out):
        classes = self._model.classes
        if classes is None:
            return out[0] * self._model.scale + self._model.shift
        if len(classes) == 2:
            odds = exp(-abs(out[0]))
            smaller, larger = odds / (1.0 + odds), 1.0 / (1.0 + odds)
            return (smaller, larger) if out[0] > 0 else (larger, smaller)
        largest = max(out)
        odds = [exp(margin - largest) for margin in out]
        total = sum(odds)
        return tuple([each / total for each in odds])

    def table(self, X):
        """Score a table of cells, see `TreeEngine.table`."""
        starts = range(0, max(len(X), 1), BLOCK_ROWS)
        outputs = np.concatenate([self._outputs(X[at : at + BLOCK_ROWS]) for at in starts])
        answers = self._link_table(outputs.astype(np.float64))
        answers[np.isinf(X).any(axis=1)] = np.nan
        return answers

    def _outputs(self, X):
        out = np.empty((len(X), len(self._model.intercept)), dtype=self._slopes.dtype)
        out[:] = self._model.intercept
        part = np.empty_like(out)  # with mode="clip" `take` fills it without a copy
        for j, cells in enumerate(X.T):
            if j in self._levels:
                piece = self._first[j] + self._levels[j].positions(cells)
                out += self._starts.take(piece, axis=0, out=part, mode="clip")
                continue
            absent = np.isnan(cells)
            at = np.searchsorted(self._lefts[j], cells, side="right")
            piece = np.where(absent, self._missing[j], self._first[j] + at)
            inside = np.clip(cells, self._ends[0, j], self._ends[1, j])
            share = np.where(absent, 0.0, self._shares(inside, piece)).astype(out.dtype)
            out += self._starts.take(piece, axis=0, out=part, mode="clip")
            self._slopes.take(piece, axis=0, out=part, mode="clip")
            part *= share[:, None]
            out += part
        if self._model.is_soft_tree:
            out = path_probabilities(out)
        for weight, bias in self._model.layers:
            np.maximum(out, 0.0, out=out)
            out = out @ weight
            out += bias
        return out

    def _link_table(self, out):
        if self._model.classes is None:
            return out * self._model.scale + self._model.shift
        if len(self._model.classes) == 2:
            odds = np.exp(-np.abs(out))
            smaller, larger = odds / (1.0 + odds), 1.0 / (1.0 + odds)
            second_is_larger = out > 0
            first = np.where(second_is_larger, smaller, larger)
            return np.hstack([first, np.where(second_is_larger, larger, smaller)])
        odds = np.exp(out - out.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class _Levels:
    """The categories of a column: their number, and if they are numbers, which."""

    n_levels: int
    numbers: dict | None

    def position(self, cell):
        """Return the level of a cell; n_levels if it is missing, n_levels + 1 if unknown."""
        if cell != cell:
            return self.n_levels
        if self.numbers is not None:
            return self.numbers.get(cell, self.n_levels + 1)
        return int(cell) if cell >= 0 else self.n_levels + 1

    def positions(self, cells):
        """Return the levels of many cells."""
        return np.fromiter((self.position(cell) for cell in cells.tolist()), np.intp, len(cells))


def _levels_by_column(columns):
    by_column = {}
    for j, column in enumerate(columns):
        if column.is_nominal:
            numbers = None
            if not column.holds_text:
                numbers = {float(level): k for k, level in enumerate(column.levels)}
            by_column[j] = _Levels(len(column.levels), numbers)
    return by_column


def _ends_of_curves(model):
    """Return the first and the last edge of every curve, of shape (2, n_columns), or infinities."""
    ends = [(-np.inf, np.inf) if each is None else (each[0], each[-1]) for each in model.edges]
    return np.array(ends).T


def _inner_edges(model):
    """Return inner edges of bins, of shape (n_columns, n_bins - 1), padded with infinities."""
    edges = [np.zeros(0) if each is None else each[1:-1] for each in model.edges]
    table = np.full((len(edges), max(map(len, edges))), np.inf)
    for row, each in zip(table, edges, strict=True):
        row[: len(each)] = each
    return table


def _plain_answers(model):
    """Turn the answers of the nodes into tuples, or floats."""
    if model.classes is None:
        return model.value[:, 0].tolist()
    return [tuple(row) for row in model.value.tolist()]
