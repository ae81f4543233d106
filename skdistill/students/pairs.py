"""Tables of pairs of columns: the interactions of an additive student.

    pairs  --rank_pairs-->  candidates  --missed_most-->  the most useful
                                                               |
                                                               | table_design
                                                               v
    PairTable  <--purify--  tables of any height  <--  one fit with the curves

Lou, Caruana, Gehrke and Hooker, "Accurate Intelligible Models with Pairwise Interactions", KDD
2013, doi:10.1145/2487575.2487579.
"""

from dataclasses import dataclass, replace
from itertools import combinations
from math import prod
from numbers import Integral

import numpy as np
import scipy.sparse as sp

from skdistill.messages import shown
from skdistill.scorer.model import curve_positions
from skdistill.students.encoding import (
    UNKNOWN,
    ColumnEncoding,
    Encoding,
    codes_at_knots,
    knot_design,
    knots_beside,
    n_knots,
    sparse_rows,
    steps_of,
)

#: Gains that agree in so many digits are tied, and positions that do are the same: rounding, which
#: depends on the order of rows, decides neither.
TIED = 6


@dataclass(frozen=True)
class PairTable:
    """What a pair of columns adds to the sum of the curves of an additive student.

    Attributes
    ----------
    columns : tuple of int
        The positions of the two columns, increasing.
    axes : tuple of ColumnEncoding
        The knots of the table: of a numeric column some of the edges of its curve, the first and
        the last among them; of a nominal one its most frequent levels, and one row for the others.
    values : ndarray of shape (n_knots_a, n_knots_b, n_outputs)
        What is added at every pair of knots: of a numeric column one per edge, then one for missing
        if it has a code; of a nominal one, one per level. Between edges the table is bilinear.
    """

    columns: tuple
    axes: tuple
    values: np.ndarray

    def look_up(self, encoding, positions):
        """Compute what the table adds to every row, of shape (n_samples, n_outputs)."""
        return self.reader(encoding)(positions)

    def reader(self, encoding):
        """Return the function that looks up rows of positions."""
        axes = Encoding(self.axes, ("", ""))
        locate = [
            axis_locator(encoding.columns[j], axis)
            for j, axis in zip(self.columns, self.axes, strict=True)
        ]
        values = np.ascontiguousarray(self.values)

        def read(positions):
            along = np.empty((len(positions), 2))
            for side, j in enumerate(self.columns):
                along[:, side] = locate[side](positions[:, j])
            if axes.kernels is not None:
                return axes.kernels.pair_sums(along, values)
            beside = [knots_beside(axis, u) for axis, u in zip(self.axes, along.T, strict=True)]
            return _cells_beside(self.axes, beside) @ values.reshape(-1, values.shape[2])

        return read


def axis_of(column, n_bins):
    """Choose the knots of a table along one column, see `PairTable`."""
    if column.edges is not None:
        at = np.linspace(0, column.n_bins, min(n_bins, column.n_bins) + 1)
        return replace(column, edges=column.edges[np.unique(np.rint(at).astype(int))])
    levels = [level for k, level in enumerate(column.levels) if k < n_bins or level is None]
    has_rest = column.has_infrequent or len(levels) < len(column.levels)
    return ColumnEncoding(levels=tuple(levels), has_infrequent=has_rest)


def axis_positions(column, axis, positions):
    """Turn positions on the curve of a column into positions along an axis of a table."""
    return axis_locator(column, axis)(positions)


def axis_locator(column, axis):
    """Return the function that turns positions on a curve into those along an axis of a table."""
    if column.edges is None:
        rows = axis_rows(column, axis).astype(np.float64)
        return lambda positions: rows[positions.astype(np.intp)]
    at_edges = curve_positions(axis.edges, column.edges)
    numbers = np.arange(len(at_edges))
    return lambda positions: np.interp(positions, numbers, at_edges)  # NaN stays NaN


def axis_rows(column, axis):
    """Return the row of an axis of every level of a nominal column, and last of unknown ones.

    UNKNOWN where the axis has none.
    """
    rest = len(axis.levels) if axis.has_infrequent else UNKNOWN
    row = {level: k for k, level in enumerate(axis.levels)}
    ends = [rest] * (1 + column.has_infrequent)
    return np.array([row.get(level, rest) for level in column.levels] + ends)


def finer_weights(column, axis):
    """Return what turns weights of an axis into those of the same curve with all knots of a column.

    CSR of shape (n_codes of the column, n_codes of the axis).
    """
    knots = np.arange(n_knots(column), dtype=np.float64)
    if column.edges is not None:
        knots[len(column.edges) :] = np.nan
    at_knots = knot_design(axis, axis_positions(column, axis, knots)) @ codes_at_knots(axis)
    return sp.csr_array(steps_of(column, at_knots))


def beside_on_axis(column, axis, positions):
    """Return what `knots_beside` says of positions on the curve of a column, along an axis."""
    return knots_beside(axis, axis_positions(column, axis, positions))


def table_design(axes, beside):
    """Return the design of a table and the codes at its cells.

    The design, CSR of shape (n_samples, n_cells), has the weights of at most four cells per row,
    made of the knots beside it along both axes. The codes, (n_cells, n_codes), are products of the
    codes of both columns: the weight of a code is the step of a step, which is 0 in a table that
    one column alone could replace.
    """
    return _cells_beside(axes, beside), codes_at_cells(axes)


def codes_at_cells(axes):
    """Return the codes at the cells of a table, CSR of shape (n_cells, n_codes)."""
    return sp.kron(*(sp.csr_array(codes_at_knots(axis)) for axis in axes), format="csr")


def _cells_beside(axes, beside):
    (row, row_weight), (column, column_weight) = beside
    width = n_knots(axes[1])
    cells = row[:, :, None] * width + column[:, None, :]
    weights = row_weight[:, :, None] * column_weight[:, None, :]
    shape = len(row), cells.shape[1] * cells.shape[2]
    return sparse_rows(cells.reshape(shape), weights.reshape(shape), n_knots(axes[0]) * width)


def rank_pairs(encoding, positions, row_gradient, curvature, n_bins, ridge):
    """Rank all pairs of columns by how much a table would lower the loss of an additive model.

    Parameters
    ----------
    encoding : Encoding
        The columns.
    positions : ndarray of shape (n_samples, n_features)
        Of the rows.
    row_gradient : ndarray of shape (n_samples, n_outputs)
        Gradient of the loss with respect to the outputs of the additive model.
    curvature : ndarray of shape (n_samples, n_outputs)
        Second derivatives of the loss.
    n_bins : int
        Largest number of bins, or of levels, per column.
    ridge : float
        Added to the curvature of every cell.

    Returns
    -------
    pairs : list of (int, int)
        Positions of columns, the most useful pair first; without columns of one value.

    Notes
    -----
    Of every pair, gradient and curvature are added up in the cells of a grid. A parabola in every
    cell lowers the loss by ``sum G**2 / (2 H)``; from this what one function of each column alone
    would give is subtracted. The work is rows x pairs x outputs additions, about 3 ns each: 300,000
    rows x 100 columns with one output take 10 s on one core.
    """
    cells = [
        _cells(column, u, n_bins) for column, u in zip(encoding.columns, positions.T, strict=True)
    ]
    used = [j for j, (_, size) in enumerate(cells) if size > 1]
    gains = {}
    for a, b in combinations(used, 2):
        cell, shape = _table_cells(cells, (a, b))
        gains[a, b] = sum(
            _gain_of_table(_sums(cell, g, shape), _sums(cell, h, shape), ridge)
            for g, h in zip(row_gradient.T, curvature.T, strict=True)
        )
    return _by_gain(gains)


def _by_gain(gains):
    """Sort pairs by the first of two numbers, see `_gain_of_table`."""
    greatest = max((whole for _, whole in gains.values()), default=0.0) or 1.0
    return sorted(gains, key=lambda pair: -round(gains[pair][0] / greatest, TIED))


def _table_cells(cells, pair):
    """Return the cell of a table that every row is in, and the shape of the table."""
    (row, height), (column, width) = (cells[j] for j in pair)
    return row * width + column, (height, width)


def _cells(column, positions, n_bins):
    """Return the bin or level of every row, and their number; missing and unknown are one more."""
    axis = axis_of(column, n_bins)
    at = axis_positions(column, axis, positions)
    last = n_knots(axis) if axis.edges is not None else len(axis.levels)
    cell = np.where(np.isnan(at) | (at < 0), last, np.rint(np.round(at, TIED))).astype(np.intp)
    present, cell = np.unique(cell, return_inverse=True)
    return cell, len(present)


def _sums(cell, values, shape):
    return np.bincount(cell, values, minlength=prod(shape)).reshape(shape)


def _gain_of_table(G, H, ridge):
    """Return by how much a table lowers the loss more than one function of each column would.

    And by how much it lowers the loss in all, of which rounding takes a share: shape (2,).
    """
    of_cells = np.sum(G**2 / (H + ridge))
    height, width = H.shape
    normal = np.zeros((height + width, height + width))
    normal[:height, height:] = H
    normal += normal.T
    normal[np.diag_indices(height + width)] = np.append(H.sum(axis=1), H.sum(axis=0)) + ridge
    right = np.concatenate([G.sum(axis=1), G.sum(axis=0)])
    return np.array([of_cells - np.sum(right * np.linalg.solve(normal, right)), of_cells])


def purify(encoding, table, positions, weight):
    """Move what one column alone explains from a table to curves.

    The table is projected, over weighted rows, on the sums of one function of each of its columns,
    which are linear between the same knots; the rest is orthogonal to all of these. Lengerich, Tan,
    Chang, Hooker and Caruana, "Purifying Interaction Effects with the Functional ANOVA", AISTATS
    2020, arXiv:1911.04974; Hooker, "Generalized Functional ANOVA Diagnostics", JCGS 16 (2007),
    doi:10.1198/106186007X237892.

    Returns the table and, per column, what is added to its curve at the `Encoding.knots`.
    """
    designs = [
        knot_design(axis, axis_positions(encoding.columns[j], axis, positions[:, j]))
        for j, axis in zip(table.columns, table.axes, strict=True)
    ]
    both = sp.hstack(designs, format="csr")
    weighted = both.multiply(weight[:, None])
    normal = (both.T @ weighted).toarray()
    right = weighted.T @ table.look_up(encoding, positions)
    moved = np.linalg.lstsq(normal, right)[0]
    height = designs[0].shape[1]
    first, second = moved[:height], moved[height:]
    values = table.values - first[:, None] - second[None]
    curves = [
        _on_curve(encoding.columns[j], axis, added)
        for j, axis, added in zip(table.columns, table.axes, (first, second), strict=True)
    ]
    return replace(table, values=values), curves


def _on_curve(column, axis, values):
    """Turn values at the knots of an axis into values at the knots of the curve of its column."""
    if column.edges is None:
        rows = axis_rows(column, axis)[: n_knots(column)]
        return values[rows]
    at = curve_positions(axis.edges, column.edges)
    knots = np.arange(len(axis.edges))
    at_edges = [np.interp(at, knots, each) for each in values[: len(axis.edges)].T]
    return np.concatenate([np.stack(at_edges, axis=1), values[len(axis.edges) :]])


def strength(table, encoding, positions, weight):
    """Return the weighted standard deviation of what a table adds, over rows and outputs."""
    added = table.look_up(encoding, positions)
    return float(np.sqrt(np.mean(np.average(added**2, axis=0, weights=weight))))


def count_pairs(n_columns):
    """Count the pairs of so many columns."""
    return n_columns * (n_columns - 1) // 2


def checked_interactions(asked, names):
    """Return a number of interactions, "auto", or a list of pairs of positions of named columns.

    ValueError if a pair is of unknown columns, of a column with itself or there twice, or if there
    are not that many pairs.
    """
    if isinstance(asked, str):
        return asked
    n_pairs = count_pairs(len(names))
    if isinstance(asked, bool | np.bool_):
        raise ValueError(
            f"interactions={asked} was passed; a number of pairs, a list of pairs or 'auto' was "
            "expected."
        )
    if isinstance(asked, Integral):
        if asked > n_pairs:
            raise ValueError(
                f"interactions={asked} was passed, but with n_features={len(names)} the number of "
                f"pairs is {n_pairs}. Pass a smaller number, or 'auto'."
            )
        return int(asked)
    pairs = [_checked_pair(pair, names) for pair in asked]
    twice = [pair for k, pair in enumerate(pairs) if pair in pairs[:k]]
    if twice:
        both = tuple(names[j] for j in twice[0])
        raise ValueError(f"interactions holds the pair {both} twice. Pass every pair once.")
    return pairs


def _checked_pair(pair, names):
    if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
        raise ValueError(
            f"interactions holds {pair!r}; pairs of columns were expected, such as "
            f"({names[0]!r}, {names[-1]!r}), or their positions."
        )
    at = []
    for column in pair:
        is_number = isinstance(column, Integral) and not isinstance(column, bool)
        is_position = is_number and 0 <= column < len(names)
        if not is_position and column not in names:
            raise ValueError(
                f"interactions holds the column {column!r}, which there is not. The columns are "
                f"{shown(list(names))}; their positions go from 0 to {len(names) - 1}."
            )
        at.append(int(column) if is_position else list(names).index(column))
    if at[0] == at[1]:
        raise ValueError(
            f"interactions holds a pair of the column {names[at[0]]!r} with itself; its own curve "
            "can have any shape already. Pass two columns."
        )
    return tuple(sorted(at))
