"""The rows on which an export is compared: where two implementations of one model could differ."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from skdistill.columns import PlainColumns, check_rows, column_values_as, plain_rows, take_rows
from skdistill.levels import level_numbers
from skdistill.scorer.model import LeanTree
from skdistill.soft_labels import proba_from_margins

#: Largest number of rows of the caller's table that are compared.
GIVEN_ROWS = 20_000

#: Rows whose every cell is drawn from the critical values of its column.
MIXED_ROWS = 4_000

#: Critical values of a column that are compared one at a time, at most, and of all columns
#: together.
ALONE, ALONE_ROWS = 200, 10_000

#: Rows on which both columns of a table take critical values, at most, for all tables together.
PAIR_ROWS = 15_000

#: A category that no column holds.
UNSEEN = "«unseen' \"»"


@dataclass(frozen=True)
class Sample:
    """Rows and what the student predicts for them.

    Attributes
    ----------
    rows : PlainColumns of shape (n_samples, n_features)
        Per column float64 with NaN, or object with None, where missing.
    answers : ndarray of shape (n_samples, n_answers)
        Probabilities, or one column of predictions.
    """

    rows: PlainColumns
    answers: np.ndarray

    @property
    def sha256(self):
        """Hash of the rows, in hexadecimal."""
        digest = sha256()
        for values in self.rows.values:
            numeric = values.dtype != object
            digest.update(values.tobytes() if numeric else repr(values.tolist()).encode())
        return digest.hexdigest()


def parity_sample(student, model, X=None):
    """Make the rows of `parity_rows`, with the student's predictions, as a `Sample`."""
    rows = parity_rows(student, model, X)
    return Sample(rows, student_answers(student, rows))


def parity_rows(student, model, X=None):
    """Make the rows that an export is compared on, the same for the same model and X.

    Besides rows of X, at most `GIVEN_ROWS` of them, drawn at random, there are rows with values
    exactly on, just above and just below every threshold and bin edge, between them and far
    outside, missing values, levels, and categories never seen; alone, all at once, and in both
    columns of a table of pairs.
    """
    random = np.random.RandomState(0)
    critical = [critical_values(model, j) for j in range(len(model.columns))]
    tables = [[_mixed(values, MIXED_ROWS, random) for values in critical]]
    tables.append(_one_at_a_time(critical, random))
    for table in getattr(model, "tables", ()):
        tables.append(_both_at_a_time(model, table, critical, random))
    if X is not None:
        tables.append(some_rows(rows_of(student, model, X), random).values)
    return PlainColumns(
        tuple(np.concatenate([table[j] for table in tables]) for j in range(len(critical)))
    )


def rows_of(student, model, X):
    """Read a caller's table as `Sample.rows`."""
    X = plain_rows(check_rows(student, X, reset=False))
    columns = []
    for j, column in enumerate(model.columns):
        values = column_values_as(X, j, levels=column.levels, name=column.name)
        columns.append(_as_levels(values, column) if column.is_nominal else values)
    return PlainColumns(tuple(columns))


def _as_levels(values, column):
    """Write categories as the levels that they equal: files take text, or numbers, but not both."""
    level_of = {cell: column.levels[k] for cell, k in level_numbers(column.levels).items()}
    if not column.holds_text:
        texts = {value for value in values if isinstance(value, str)}
        level_of = dict.fromkeys(texts, max(column.levels) + 1) | level_of
    return np.fromiter((level_of.get(value, value) for value in values), object, len(values))


def student_answers(student, rows):
    """Predict from plain columns by a student; of shape (n_samples, n_answers)."""
    if hasattr(student, "classes_"):
        return proba_from_margins(student._margins(rows))
    return student._values(rows)[:, None]


def critical_values(model, j):
    """Return the values of column j where two implementations could differ, see `Sample`."""
    column = model.columns[j]
    if column.is_nominal:
        values = [*column.levels, None]
        if column.holds_text:
            values += [UNSEEN, ""]
        else:
            values.append(max(column.levels) + 1)
        critical = np.empty(len(values), dtype=object)
        critical[:] = values
        return critical
    at = _bends(model, j)
    with np.errstate(over="ignore"):
        near = [np.nextafter(at, -np.inf), np.nextafter(at, np.inf)]
        single = at.astype(np.float32)
        near += [single, np.nextafter(single, np.float32(np.inf)), (at[1:] + at[:-1]) / 2]
        span = at[-1] - at[0] if len(at) else 1.0
        far = [at[:1] - span, at[-1:] + span, [0.0, -0.0, 1.0, -1e30, 1e30, np.nan]]
    critical = np.concatenate([at, *near, *far], dtype=np.float64)
    return critical[~np.isinf(critical)]  # no student takes infinity


def _bends(model, j):
    """Thresholds or bin edges of a column, increasing."""
    if isinstance(model, LeanTree):
        used = model.feature == j
        limits = np.unique([model.threshold[used], model.threshold32[used].astype(np.float64)])
        return limits[limits < np.finfo(np.float32).max]  # beyond, only missing values go right
    return model.edges[j]


def _mixed(values, n_rows, random):
    """Draw values in random order, each as often as any other."""
    return random.permutation(np.resize(random.permutation(values), n_rows))


def _one_at_a_time(critical, random):
    """Make rows in which one column takes its critical values and the others stay.

    However many columns there are, there are no more than `ALONE_ROWS` rows.
    """
    alone = max(min(ALONE, ALONE_ROWS // len(critical)), 1)
    own = [random.permutation(values)[:alone] for values in critical]
    counts = [len(values) for values in own]
    if sum(counts) > ALONE_ROWS:  # more columns than rows: some columns are left to the mixed rows
        counts = [int(k < ALONE_ROWS) for k in random.permutation(len(critical))]
    starts = np.cumsum([0, *counts])
    table = []
    for j, values in enumerate(critical):
        column = np.repeat(values[random.randint(len(values), size=len(counts))], counts)
        column[starts[j] : starts[j + 1]] = own[j][: counts[j]]
        table.append(column)
    return table


def _both_at_a_time(model, table, critical, random):
    """Make rows in which both columns of a table take its critical values, in all combinations.

    Of more than its share of `PAIR_ROWS` some are drawn.
    """
    own = [
        critical[j] if edges is None else _near_knots(edges)
        for j, edges in zip(table.columns, table.edges, strict=True)
    ]
    n_pairs, most = len(own[0]) * len(own[1]), max(PAIR_ROWS // len(model.tables), 1)
    pairs = np.arange(n_pairs) if n_pairs <= most else random.randint(n_pairs, size=most)
    rows = [values[[random.randint(len(values))] * len(pairs)] for values in critical]
    for j, values, at in zip(table.columns, own, divmod(pairs, len(own[1])), strict=True):
        rows[j] = values[at]
    return rows


def _near_knots(edges):
    """Return numbers on, just beside and between edges, and a missing one."""
    beside = [np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)]
    return np.concatenate([edges, *beside, (edges[1:] + edges[:-1]) / 2, [np.nan]])


def some_rows(X, random):
    """Return a table, or `GIVEN_ROWS` of its rows if there are more."""
    n_rows = X.shape[0]
    if n_rows <= GIVEN_ROWS:
        return X
    return take_rows(X, np.sort(random.choice(n_rows, GIVEN_ROWS, replace=False)))
