"""Scoring by NumPy alone, without a compiler; tests compare compiled code with it."""

from array import array
from dataclasses import dataclass
from math import exp, isfinite, isinf

import numpy as np

from skdistill.scorer.cells import NAN
from skdistill.scorer.model import LeanTree, path_probabilities
from skdistill.scorer.numpy_tables import TableSum

#: Rows of a batch that are scored at a time: what they look up stays in the cache.
BLOCK_ROWS = 1024


def numpy_engine(model):
    """Return an engine that scores rows and tables of a model, see `TreeEngine`."""
    if not isinstance(model, LeanTree):
        return NetworkEngine(model)
    return TreeEngine(model) if model.intercept is None else TreeSumEngine(model)


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
        x = self._cells(cells)
        return None if x is None else self._answers[self._leaf(x, 0)]

    def _cells(self, cells):
        """Return the cells of a row as Python's numbers; None if one is infinite."""
        x = cells.tolist() if isinstance(cells, np.ndarray) else array("d", cells)
        return None if not isfinite(sum(x)) and any(map(isinf, x)) else x

    def _leaf(self, x, node):
        """Return the leaf of a row below a node."""
        nodes = self._nodes
        column, threshold, left, right, missing_left = nodes[node]
        while left >= 0:
            cell = x[column]
            if column in self._levels:
                levels = self._levels[column]
                cell = levels.position(cell)
                cell = cell if cell < levels.n_levels else NAN
            goes_left = missing_left if cell != cell else cell <= threshold
            node = left if goes_left else right
            column, threshold, left, right, missing_left = nodes[node]
        return node

    def table(self, X):
        """Score a table of float64; answers are NaN in rows with an infinite cell."""
        answers = self._table_answers(self._ranked(X))
        answers[np.isinf(X).any(axis=1)] = np.nan
        return answers

    def _table_answers(self, X):
        return self._model.value[self._leaves(X, 0)].astype(np.float64)

    def _ranked(self, X):
        """Replace categories by the numbers that thresholds compare; NaN if missing or unknown."""
        X = X.copy() if self._levels else X
        for j, levels in self._levels.items():
            at = levels.positions(X[:, j])
            X[:, j] = np.where(at < levels.n_levels, at, np.nan)
        return X

    def _leaves(self, X, root):
        """Return the leaves of rows below a node."""
        model = self._model
        node, rows = np.full(len(X), root, dtype=np.intp), np.arange(len(X))
        while len(rows):
            rows = rows[model.children_left[node[rows]] >= 0]
            at = node[rows]
            cell = X[rows, model.feature[at]]
            left = np.where(np.isnan(cell), model.missing_left[at], cell <= model.threshold[at])
            node[rows] = np.where(left, model.children_left[at], model.children_right[at])
        return node


class TreeSumEngine(TreeEngine):
    """Scores a sum of trees, see `TreeEngine`."""

    def __init__(self, model):
        super().__init__(model)
        self._roots = model.roots.tolist()
        self._adds = model.value.tolist()

    def row(self, cells):
        """Score a row, see `TreeEngine.row`."""
        x = self._cells(cells)
        if x is None:
            return None
        parts = [self._adds[self._leaf(x, root)] for root in self._roots]
        outputs = [sum(each) for each in zip(self._model.intercept.tolist(), *parts, strict=True)]
        return _row_answer(self._model.classes, outputs)

    def _table_answers(self, X):
        outputs = np.tile(self._model.intercept, (len(X), 1))
        for root in self._roots:
            outputs += self._model.value[self._leaves(X, root)]
        return _table_answers(self._model.classes, outputs)


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
        self._tables = TableSum(model, self._first) if model.tables else None

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
        inside = np.minimum(np.maximum(x, self._ends[0]), self._ends[1])
        share = self._shares(inside, piece)
        if absent is not None:
            inside[absent] = 0.0
            piece = np.where(absent, self._missing, piece)
            share[absent] = 0.0
        for j, levels in self._levels.items():
            piece[j] = self._first[j] + levels.position(x[j])
            share[j] = 0.0
        out = share.astype(self._slopes.dtype) @ self._slopes.take(piece, axis=0)
        out += np.add.reduce(self._starts.take(piece, axis=0), axis=0)
        out += self._model.intercept
        if self._tables is not None:
            out += self._tables.sums(piece[None], inside[None])[0]
        if self._model.is_soft_tree:
            out = path_probabilities(out[None])[0]
        for weight, bias in self._model.layers:
            np.maximum(out, 0.0, out=out)
            out = out @ weight
            out += bias
        return self._scaled(_row_answer(self._model.classes, out.tolist()))

    def _scaled(self, answers):
        if self._model.classes is not None:
            return answers
        return answers * self._model.scale + self._model.shift

    def _shares(self, inside, piece):
        return (inside - self._left[piece]) / self._width[piece]

    def table(self, X):
        """Score a table of cells, see `TreeEngine.table`."""
        starts = range(0, max(len(X), 1), BLOCK_ROWS)
        outputs = np.concatenate([self._outputs(X[at : at + BLOCK_ROWS]) for at in starts])
        answers = self._scaled(_table_answers(self._model.classes, outputs.astype(np.float64)))
        answers[np.isinf(X).any(axis=1)] = np.nan
        return answers

    def _outputs(self, X):
        out = np.empty((len(X), len(self._model.intercept)), dtype=self._slopes.dtype)
        out[:] = self._model.intercept
        part = np.empty_like(out)  # with mode="clip" `take` fills it without a copy
        pieces = np.empty(X.shape, dtype=np.intp)
        for j, cells in enumerate(X.T):
            if j in self._levels:
                piece = pieces[:, j] = self._first[j] + self._levels[j].positions(cells)
                out += self._starts.take(piece, axis=0, out=part, mode="clip")
                continue
            absent = np.isnan(cells)
            inside = np.clip(cells, self._ends[0, j], self._ends[1, j])
            at = np.searchsorted(self._lefts[j], inside, side="right")
            piece = pieces[:, j] = np.where(absent, self._missing[j], self._first[j] + at)
            share = np.where(absent, 0.0, self._shares(inside, piece)).astype(out.dtype)
            out += self._starts.take(piece, axis=0, out=part, mode="clip")
            self._slopes.take(piece, axis=0, out=part, mode="clip")
            part *= share[:, None]
            out += part
        if self._tables is not None:
            inside = np.nan_to_num(np.clip(X, *self._ends))
            out += self._tables.sums(pieces, inside)
        if self._model.is_soft_tree:
            out = path_probabilities(out)
        for weight, bias in self._model.layers:
            np.maximum(out, 0.0, out=out)
            out = out @ weight
            out += bias
        return out


def _row_answer(classes, outputs):
    """Turn the outputs of a row, a list, into its probabilities; without classes into a number."""
    if classes is None:
        return outputs[0]
    if len(classes) == 2:
        odds = exp(-abs(outputs[0]))
        smaller, larger = odds / (1.0 + odds), 1.0 / (1.0 + odds)
        return (smaller, larger) if outputs[0] > 0 else (larger, smaller)
    largest = max(outputs)
    odds = [exp(margin - largest) for margin in outputs]
    total = sum(odds)
    return tuple([each / total for each in odds])


def _table_answers(classes, outputs):
    """Do the same with many rows, of shape (n_samples, n_outputs)."""
    if classes is None:
        return outputs
    if len(classes) == 2:
        odds = np.exp(-np.abs(outputs))
        smaller, larger = odds / (1.0 + odds), 1.0 / (1.0 + odds)
        second_is_larger = outputs > 0
        first = np.where(second_is_larger, smaller, larger)
        return np.hstack([first, np.where(second_is_larger, larger, smaller)])
    odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
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
