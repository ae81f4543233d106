"""Turn raw columns into numbers that a linear layer can use.

A table is encoded in two steps, so that the wide result of the second is never stored:

    X  --positions-->  (n_samples, n_features)  --expand-->  (n_samples, n_codes)

The position of a number is the bin it falls in plus how far it lies in that bin; the position of a
category is its level. Expanding a position gives piecewise-linear codes or a one-hot row.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from skdistill.columns import (
    UNSEEN,
    column_names,
    column_values,
    column_values_as,
    is_nominal,
    level_positions,
)
from skdistill.students.base import Student, weight_unit
from skdistill.students.kernels.curves import MOST_COLUMNS, CurveKernels, Positions, positions
from skdistill.students.kernels.library import library
from skdistill.students.row_blocks import in_blocks

#: What a code is about.
BIN, LEVEL, MISSING = 0, 1, 2

#: Level position of a category that has no code.
UNKNOWN = -1

#: Bin edges are within this distance of 0, so that no width of a bin overflows.
FARTHEST_EDGE = 1e300

#: Smallest width of a bin: its inverse does not overflow.
NARROWEST_BIN = np.finfo(np.float64).tiny

#: With more rows than this, bin edges are those of a random sample of this size.
SAMPLED_ROWS = 200_000


@dataclass(frozen=True)
class ColumnEncoding:
    """How one column turns into positions.

    Attributes
    ----------
    edges : ndarray of shape (n_bins + 1,) or None
        Increasing bin edges of a numeric column; None for a nominal one.
    fill_value : float or None
        What replaces missing numbers, if none was missing at fit; None if missing has a code.
    levels : tuple or None
        The frequent categories of a nominal column, None standing for missing.
    has_infrequent : bool
        Whether there is one more level, for rare categories and those never seen.
    """

    edges: np.ndarray | None = None
    fill_value: float | None = None
    levels: tuple | None = None
    has_infrequent: bool = False

    @property
    def n_bins(self):
        """Number of bins, 0 for a nominal or constant column."""
        return 0 if self.edges is None else len(self.edges) - 1

    @property
    def n_levels(self):
        """Number of levels, the infrequent one included; 0 for a numeric column."""
        return 0 if self.levels is None else len(self.levels) + self.has_infrequent

    @property
    def has_missing_code(self):
        """Whether there is a code for missing numbers."""
        return self.edges is not None and self.fill_value is None

    @property
    def filled(self):
        """What missing numbers become: NaN if they have a code."""
        return np.nan if self.fill_value is None else self.fill_value

    def positions(self, values):
        """Turn the values of the column into float64 positions of shape (n_samples,)."""
        if self.edges is None:
            other = len(self.levels) if self.has_infrequent else UNKNOWN
            return level_positions(values, self.levels, other)
        return positions(self.edges, values, self.filled)


@dataclass(frozen=True)
class Encoding:
    """How a whole table turns into positions and codes.

    Attributes
    ----------
    columns : tuple of ColumnEncoding
        One per column of the table.
    names : tuple of str
        What messages call the columns.
    """

    columns: tuple
    names: tuple

    def __getstate__(self):
        # Cached properties are larger than the columns that they are computed from.
        return {"columns": self.columns, "names": self.names}

    @cached_property
    def n_codes_of(self):
        """Number of codes of every column of the table, of shape (n_features,)."""
        return np.array([len(kind) for kind, _ in self._codes])

    @cached_property
    def code_column(self):
        """Column of the table that each code belongs to, of shape (n_codes,)."""
        return np.repeat(np.arange(len(self.columns)), self.n_codes_of)

    @cached_property
    def code_kind(self):
        """BIN, LEVEL or MISSING for each code, of shape (n_codes,)."""
        return np.concatenate([kind for kind, _ in self._codes])

    @cached_property
    def code_offset(self):
        """Left edge of the bin, or number of the level, of each code, of shape (n_codes,)."""
        return np.concatenate([offset for _, offset in self._codes], dtype=np.float32)

    @property
    def n_codes(self):
        """Width of the expanded table."""
        return len(self.code_column)

    @cached_property
    def _levels(self):
        return np.flatnonzero(self.code_kind == LEVEL)

    @cached_property
    def _missing(self):
        return np.flatnonzero(self.code_kind == MISSING)

    @cached_property
    def _codes(self):
        return [_codes_of(column) for column in self.columns]

    def nominal_columns(self):
        """List position, levels and `has_infrequent` of the nominal columns."""
        return [
            (j, column.levels, column.has_infrequent)
            for j, column in enumerate(self.columns)
            if column.levels is not None
        ]

    def positions(self, X, dtype=np.float32):
        """Turn a table into positions of shape (n_samples, n_features).

        ValueError if a column holds strings where numbers were seen at fit, or the other way round.
        """
        return self.fill(np.empty(X.shape, dtype=dtype), X, lambda positions: positions)

    def fill(self, out, X, compute):
        """Fill an array, a row per row of a table, with what is computed of positions.

        They are float64, C-contiguous, and of some of the rows at a time. ValueError as in
        `positions`.
        """
        read = self._read(X)

        def fill_rows(rows):
            out[rows] = compute(self._locate(read, rows))

        in_blocks(fill_rows, len(out))
        return out

    def _read(self, X):
        """Read what `_locate` needs of a table: all numbers, or the values of every column."""
        has_numbers = isinstance(X, np.ndarray) and X.dtype.kind in "biuf"
        if has_numbers and self._numbers is not None:
            return X
        read = []
        for j, column in enumerate(self.columns):
            values = column_values_as(X, j, levels=column.levels, name=self.names[j])
            read.append(column.positions(values) if column.edges is None else values)
        return read

    def _locate(self, read, rows):
        """Return the positions of a slice of the rows of what was read."""
        if isinstance(read, np.ndarray):
            return self._numbers(read[rows].astype(np.float64, copy=False))
        blocks = [values[rows] for values in read]
        found = np.empty((len(blocks[0]), len(blocks)))
        for j, (column, values) in enumerate(zip(self.columns, blocks, strict=True)):
            found[:, j] = values if column.edges is None else column.positions(values)
        return found

    @cached_property
    def _numbers(self):
        """Compiled positions; None where there are categories, or no compiler."""
        if library() is None or any(column.edges is None for column in self.columns):
            return None
        edges, fill_values = zip(*((c.edges, c.filled) for c in self.columns), strict=True)
        return Positions(edges, fill_values)

    def expand(self, positions):
        """Turn positions into codes of shape (n_samples, n_codes), of the type of the positions.

        Bin k of a number at position u is ``clip(u - k, 0, 1)``: 1 where the number lies above the
        bin, 0 below, the share of the bin in between, and 0 in every bin where it is missing.
        """
        absent = np.isnan(positions)
        codes = np.repeat(np.where(absent, 0, positions), self.n_codes_of, axis=1)
        codes -= self.code_offset
        exact = codes[:, self._levels] == 0
        np.clip(codes, 0, 1, out=codes)
        codes[:, self._levels] = exact
        codes[:, self._missing] = absent[:, self.code_column[self._missing]]
        return codes

    @cached_property
    def kernels(self):
        """Compiled sums over the curves of all columns; None where they cannot be compiled."""
        if len(self.columns) > MOST_COLUMNS or library() is None:
            return None
        n_edges = np.array([0 if each.edges is None else len(each.edges) for each in self.columns])
        return CurveKernels(n_edges, np.array([n_knots(each) for each in self.columns]) - n_edges)

    def layer(self, weights, intercept):
        """Return a function that computes ``expand(positions) @ weights + intercept``.

        Without codes where there are `kernels`. The result has the type of the weights.
        """
        if self.kernels is None:
            return lambda u: self.expand(u).astype(weights.dtype) @ weights + intercept
        table = self.kernels.table(weights)
        return lambda u: self.kernels.sums(u, table, intercept)

    def knots(self, positions):
        """Yield, per column, a sparse design with at most two entries per row.

        The first CSR array, (n_samples, n_knots) in float64, has the weights of the knots. A
        numeric column has one knot per edge, then one for missing; a nominal column one per level.
        Every linear function of the codes is interpolated linearly between knots. The second,
        (n_knots, n_codes), has the codes at every knot: their product are the expanded codes.
        """
        for column, u in zip(self.columns, positions.T, strict=True):
            yield knot_design(column, u), sp.csr_array(codes_at_knots(column))

    def curves(self, weights):
        """Turn weights, (n_codes, n_outputs), into a curve per column: values at its `knots`."""
        blocks = np.split(weights, np.cumsum(self.n_codes_of)[:-1])
        return [_curve(column, block) for column, block in zip(self.columns, blocks, strict=True)]

    def weights_of(self, curves):
        """Turn curves into weights and what all curves start at, the inverse of `curves`.

        Returns (n_codes, n_outputs), and (n_outputs,): a curve of numbers is 0 at its first edge,
        so what it has there belongs to the intercept.
        """
        first = [
            np.zeros(curve.shape[1]) if column.edges is None else curve[0]
            for column, curve in zip(self.columns, curves, strict=True)
        ]
        blocks = [
            steps_of(column, curve - start)
            for column, curve, start in zip(self.columns, curves, first, strict=True)
        ]
        return np.concatenate(blocks), sum(first)

    def sum_of_curves(self, positions, curves):
        """Compute ``expand(positions) @ weights``, float64, as the sum of what `look_up` yields."""
        return self.adder(curves, np.zeros(curves[0].shape[1]))(positions)

    def adder(self, curves, intercept):
        """Return the function that computes `sum_of_curves` plus an intercept."""
        if self.kernels is None:
            return lambda u: sum(self.look_up(u, curves), np.tile(intercept, (len(u), 1)))
        table = np.concatenate(curves, dtype=np.float64)
        start = np.asarray(intercept, dtype=np.float64)
        return lambda u: self.kernels.sums(np.ascontiguousarray(u, np.float64), table, start)

    def look_up(self, positions, curves):
        """Yield the contribution of each column, (n_samples, n_outputs), looked up in its curve.

        The curves are those of `curves`; so a linear function of the codes is computed without the
        codes.
        """
        for column, curve, u in zip(self.columns, curves, positions.T, strict=True):
            knot, share, known = nearest_knots(column, u)
            part = curve[knot] * ((1.0 - share) * known)[:, None]
            part += curve[np.minimum(knot + 1, len(curve) - 1)] * share[:, None]
            yield part


class EncodedStudent(Student):
    """What students state that encode their columns, by `encoding_`."""

    starts_with_a_sum = True

    @property
    def _reader(self):
        return self.encoding_

    def n_columns_used(self):
        """Count the columns whose curve is not flat."""
        return sum(bool(np.ptp(curve, axis=0).any()) for curve in self.curves_)

    def file_content(self):
        """Return columns, bin edges and weights, see `Student`."""
        encoded = self.encoding_.columns
        named = zip(column_names(self), encoded, strict=True)
        edges = {
            f"edges.{j}": each.edges for j, each in enumerate(encoded) if each.edges is not None
        }
        return [{"name": name} | described(each) for name, each in named], edges | self._weights()

    def restore(self, columns, arrays):
        """Set encoding and weights, see `Student`."""
        encoded = (
            restored_column(each, arrays.get(f"edges.{j}")) for j, each in enumerate(columns)
        )
        self.encoding_ = Encoding(tuple(encoded), tuple(column_names(self)))
        self._set_weights(arrays)


def described(column):
    """Describe an encoded column for a file, without its edges."""
    if column.edges is not None:
        return {"fill_value": column.fill_value}
    return {"levels": column.levels, "has_infrequent": bool(column.has_infrequent)}


def restored_column(column, edges):
    """Return the encoded column that `described` describes; edges are None for a nominal one."""
    if edges is not None:
        return ColumnEncoding(edges=edges, fill_value=column["fill_value"])
    levels, has_infrequent = tuple(column["levels"]), column["has_infrequent"]
    return ColumnEncoding(levels=levels, has_infrequent=has_infrequent)


def fit_encoding(student, X, sample_weight):
    """Learn bin edges and levels from checked rows.

    The student has ``n_bins``, ``max_categories`` and ``min_frequency``, see
    `LinearStudentClassifier`, and the names of the columns. A row of weight 2 counts as two rows.
    """
    sample_weight = sample_weight / weight_unit(sample_weight)
    sample = None
    if X.shape[0] > SAMPLED_ROWS:
        sample = np.random.RandomState(0).randint(X.shape[0], size=SAMPLED_ROWS)
    columns = []
    for j in range(X.shape[1]):
        values = column_values(X, j)
        if is_nominal(values):
            limits = student.max_categories, student.min_frequency
            columns.append(_fit_nominal(values, sample_weight, *limits))
        else:
            columns.append(_fit_numeric(values, sample_weight, student.n_bins, sample))
    return Encoding(tuple(columns), tuple(column_names(student)))


def bin_edges(values, weight, n_bins):
    """Choose increasing bin edges by quantile; a frequent value takes no more than one bin.

    They are all distinct values if there are at most ``n_bins + 1``. The quantiles are those of the
    distinct values, each counting for at most 1 / n_bins of the rows: a column that is mostly zero
    keeps its resolution for the rest. Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical
    Features in Tabular Deep Learning", NeurIPS 2022, arXiv:2203.05556.
    """
    distinct, inverse = np.unique(values, return_inverse=True)
    if len(distinct) <= n_bins + 1:
        return distinct
    mass = np.bincount(inverse, weight)
    mass = np.minimum(mass, mass.sum() / n_bins)
    below = np.cumsum(mass) - mass / 2
    levels = np.linspace(below[0], below[-1], n_bins + 1)
    # Rounding makes the choice the same for a row of weight 2 and two rows of weight 1.
    picks = np.searchsorted(np.round(below, 9), np.round(levels, 9))
    return distinct[np.unique(np.minimum(picks, len(distinct) - 1))]


def _fit_numeric(values, weight, n_bins, sample):
    known = ~np.isnan(values) & (weight > 0)
    if not known.any():  # all values are missing
        return ColumnEncoding(edges=np.zeros(1), fill_value=0.0)
    values = np.clip(values, -FARTHEST_EDGE, FARTHEST_EDGE)
    rows = known if sample is None or not known[sample].any() else sample[known[sample]]
    some = values[rows]
    edges = bin_edges(some, weight[rows], n_bins)
    if sample is not None:  # the sample must not narrow the range
        lowest = values.min(where=known, initial=np.inf)
        highest = values.max(where=known, initial=-np.inf)
        edges = np.unique([lowest, *edges[1:-1], highest])
    edges = edges[np.append(True, np.diff(edges) >= NARROWEST_BIN)]
    if np.isnan(values[weight > 0]).any():
        return ColumnEncoding(edges=edges)
    return ColumnEncoding(edges=edges, fill_value=float(np.median(some)))


def _fit_nominal(values, weight, max_categories, min_frequency):
    values, weight = values[weight > 0], weight[weight > 0]
    levels = list(dict.fromkeys(values.tolist()))
    numbers = level_positions(values, levels, UNKNOWN).astype(np.intp)
    mass = dict(zip(levels, np.bincount(numbers, weight).tolist(), strict=True))
    total = sum(mass.values())
    has_unseen = mass.pop(UNSEEN, 0.0) > 0
    by_mass = sorted(mass, key=lambda level: (-mass[level], str(level)))
    # Missing cells keep a level of their own: a teacher may treat unseen levels differently.
    least = {
        level: 0.0 if has_unseen and level is None else min_frequency * total for level in mass
    }
    frequent = [level for level in by_mass if mass[level] >= least[level]]
    if has_unseen or len(frequent) < len(by_mass) or len(by_mass) > max_categories:
        return ColumnEncoding(levels=tuple(frequent[: max_categories - 1]), has_infrequent=True)
    return ColumnEncoding(levels=tuple(frequent))


def n_knots(column):
    """Return the number of knots of a column, see `Encoding.knots`."""
    return column.n_levels if column.edges is None else len(column.edges) + column.has_missing_code


def nearest_knots(column, positions):
    """Return the knot at or before each position, the share of the next one, and what is known.

    Unknown categories have no knot: `known` is 0 for them and 1 for all others.
    """
    u = positions.astype(np.float64)
    if column.edges is None:
        return np.maximum(u, 0).astype(np.intp), np.zeros(len(u)), (u >= 0).astype(np.float64)
    absent = np.isnan(u)
    u = np.where(absent, 0.0, u)
    knot = np.minimum(u.astype(np.intp), max(column.n_bins - 1, 0))
    share = u - knot
    return np.where(absent, len(column.edges), knot), share, np.ones(len(u))


def knots_beside(column, positions):
    """Return the one or two knots beside every position, and their weights; both (n_samples, 2)."""
    knot, share, known = nearest_knots(column, positions)
    if column.edges is None:
        return knot[:, None], known[:, None]
    after = np.minimum(knot + 1, n_knots(column) - 1)
    return np.stack([knot, after], axis=1), np.stack([(1.0 - share) * known, share], axis=1)


def knot_design(column, positions):
    """Return the weights of the knots of a column, CSR of shape (n_samples, n_knots)."""
    knots, weights = knots_beside(column, positions)
    return sparse_rows(knots, weights, n_knots(column))


def sparse_rows(columns, values, n_columns):
    """Return a CSR array of equally many values per row, both of shape (n_samples, n_each)."""
    n_rows, n_each = columns.shape
    # Half as wide as what NumPy counts with, they take half the time to read.
    numbers = sp.get_index_dtype(maxval=max(columns.size, n_columns))
    starts = np.arange(0, columns.size + 1, n_each, dtype=numbers)
    parts = values.ravel(), columns.ravel().astype(numbers), starts
    return sp.csr_array(parts, shape=(n_rows, n_columns))


def codes_at_knots(column):
    """Return the codes at every knot, of shape (n_knots, n_codes of the column)."""
    if column.edges is None:
        return np.eye(column.n_levels)
    codes = np.zeros((n_knots(column), column.n_bins + column.has_missing_code))
    codes[: len(column.edges), : column.n_bins] = np.tri(len(column.edges), column.n_bins, -1)
    if column.has_missing_code:
        codes[-1, -1] = 1.0
    return codes


def _curve(column, weights):
    """Return ``codes_at_knots(column) @ weights`` without that matrix, which may be large."""
    if column.edges is None:
        return weights.copy()
    curve = np.zeros((n_knots(column), weights.shape[1]))
    np.cumsum(weights[: column.n_bins], axis=0, out=curve[1 : len(column.edges)])
    curve[len(column.edges) :] = weights[column.n_bins :]
    return curve


def steps_of(column, curve):
    """Return the weights of the codes of a curve, of which the first knot is 0 if numeric."""
    if column.edges is None:
        return curve
    n_edges = len(column.edges)
    return np.concatenate([np.diff(curve[:n_edges], axis=0), curve[n_edges:]])


def _codes_of(column):
    """Kinds and offsets of the codes of one column."""
    if column.edges is None:
        kinds, offsets = np.full(column.n_levels, LEVEL), np.arange(column.n_levels)
    else:
        kinds, offsets = np.full(column.n_bins, BIN), np.arange(column.n_bins)
        if column.has_missing_code:
            kinds, offsets = np.append(kinds, MISSING), np.append(offsets, 0)
    return kinds, offsets
