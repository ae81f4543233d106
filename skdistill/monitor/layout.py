"""The counts of a batch: histograms of all columns and scores, in one array of integers."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from skdistill.monitor.bins import bins_of_column, bins_of_score
from skdistill.monitor.gap import gap_of_rows, moments

#: Rounding by which a probability may leave [0, 1], and probabilities of a row their sum of 1.
_PROBABILITY_TOLERANCE, _SUM_TOLERANCE = 1e-6, 1e-3

#: Predictions beyond it have squares that overflow when they are added up.
_LARGEST_PREDICTION = 1e100

#: Smallest number of scores of 0 or 1 that are taken for labels, and the largest probability that
#: they are scores.
_FEWEST_LABELS, _CHANCE_OF_LABELS = 10, 1e-3

#: Why cells are not counted, by whether numbers were expected.
_UNREADABLE = {True: "not a number", False: "neither text nor number"}


#: What should be passed as scores.
_WANTED = {
    "binary": "predict_proba(X)[:, 1], not the labels of predict",
    "multiclass": "predict_proba(X) with a column per class, not the labels of predict",
    "regression": "what predict(X) returns (probabilities need task='classification')",
}


@dataclass(frozen=True, eq=False)
class Counts:
    """Everything that is stored about some rows. Counts of different rows can be added.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    cells : ndarray of shape (n_cells,)
        Histograms of all columns, then of all scores, one after the other.
    n_pairs : int
        Rows with the scores of both student and teacher.
    gap_sums : ndarray of shape (n_measures, 2)
        Sum and sum of squares of every measure of the gap, over these.
    """

    n_rows: int
    cells: np.ndarray
    n_pairs: int
    gap_sums: np.ndarray

    def __add__(self, other):
        return Counts(
            self.n_rows + other.n_rows,
            self.cells + other.cells,
            self.n_pairs + other.n_pairs,
            self.gap_sums + other.gap_sums,
        )

    def zero(self):
        """Return the counts of no rows."""
        return Counts(0, np.zeros_like(self.cells), 0, np.zeros_like(self.gap_sums))


@dataclass(frozen=True)
class Layout:
    """The bins of the columns and scores of a model, and their positions in `Counts`.

    Attributes
    ----------
    kind : {"binary", "multiclass", "regression"}
        The task.
    threshold : float
        Probability from which a row is flagged, with two classes.
    has_names : bool
        Whether the reference rows had names of columns.
    columns : tuple of Bins
        One per column.
    scores : tuple of Bins
        One per class with three or more, else a single one.
    """

    kind: str
    threshold: float
    has_names: bool
    columns: tuple
    scores: tuple

    @property
    def names(self):
        """Names of the columns."""
        return [bins.name for bins in self.columns]

    @cached_property
    def _places(self):
        """Position of each histogram in `Counts.cells`."""
        ends = np.cumsum([bins.n_cells for bins in (*self.columns, *self.scores)]).tolist()
        return [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]

    @property
    def starts(self):
        """Start of each histogram in `Counts.cells`."""
        return [place.start for place in self._places]

    def split(self, cells):
        """Cut the cells of `Counts` into the histograms of the columns and those of the scores."""
        parts = [cells[place] for place in self._places]
        return parts[: len(self.columns)], parts[len(self.columns) :]


@dataclass(frozen=True)
class Batch:
    """Rows and scores, read and checked, before they are counted.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    columns : list of (ndarray of shape (n_rows,) or None)
        In the order of the layout; None where the batch lacks a column.
    student, teacher : ndarray of shape (n_rows, n_scores)
        Their scores, NaN where there is none or it cannot be counted.
    skipped : dict of str to int
        Why something is not counted, and in how many rows.
    unknown_columns : tuple of str
        Columns that the layout does not have.
    """

    n_rows: int
    columns: list
    student: np.ndarray
    teacher: np.ndarray
    skipped: dict = field(default_factory=dict)
    unknown_columns: tuple = ()

    @property
    def has_student(self):
        """Mark the rows with a student's score."""
        return ~np.isnan(self.student[:, 0])

    @property
    def has_both(self):
        """Mark the rows with both scores."""
        return self.has_student & ~np.isnan(self.teacher[:, 0])

    def of_rows(self, rows):
        """Return some rows of the batch, given by a mask."""
        columns = [None if column is None else column[rows] for column in self.columns]
        return Batch(int(rows.sum()), columns, self.student[rows], self.teacher[rows])


def choose_layout(table, student_scores, kind, *, n_bins, max_levels, threshold, labels):
    """Choose the bins of all columns and scores on reference rows.

    `labels` are the classes, if they are known; the other parameters are those of
    `FidelityMonitor`.
    """
    names = table.names or [f"x{j}" for j in range(len(table.columns))]
    columns = [
        bins_of_column(name, values, n_bins, max_levels)
        for name, values in zip(names, table.columns, strict=True)
    ]
    labels = range(student_scores.shape[1]) if labels is None else labels
    score_names = [f"score of {label}" for label in labels] if kind == "multiclass" else ["score"]
    known = student_scores[~np.isnan(student_scores[:, 0])]
    flagged_from = threshold if kind == "binary" else None
    scores = [
        bins_of_score(name, known[:, j], n_bins, flagged_from) for j, name in enumerate(score_names)
    ]
    return Layout(kind, threshold, table.names is not None, tuple(columns), tuple(scores))


def align(table, layout):
    """Put the columns of a table in the order of a layout, with None where one is absent.

    Returns them with the names that the layout lacks. Raises ValueError if the number of columns
    without names is wrong, or no name is known.
    """
    expected = layout.names
    if table.names is None or not layout.has_names:
        if len(table.columns) != len(expected):
            raise ValueError(
                f"The batch has {len(table.columns)} columns without names that could be matched; "
                f"{len(expected)} were expected: {_some(expected)}. Nothing was counted."
            )
        return table.columns, ()
    given = dict(zip(table.names, table.columns, strict=True))
    known = set(expected)
    unknown = tuple(name for name in given if name not in known)
    if len(unknown) == len(given):
        raise ValueError(
            f"None of the columns of the batch is known: {_some(list(unknown))}. Some of these "
            f"were expected: {_some(expected)}. Nothing was counted."
        )
    return [given.get(name) for name in expected], unknown


def kind_of(task, student_scores):
    """Return the kind of task and the number of scores per row, by the shape of the scores."""
    if task == "regression":
        return "regression", 1
    shape = np.shape(student_scores)
    if len(shape) == 2 and shape[1] > 2:
        return "multiclass", shape[1]
    return "binary", 1


def read_batch(table, student_scores, teacher_scores, kind, n_scores, layout=None):
    """Check rows and scores before any is counted; columns are in the order of a layout, if any."""
    columns, unknown = (table.columns, ()) if layout is None else align(table, layout)
    student, skipped = _read_scores(student_scores, "student", table, kind, n_scores)
    teacher, skipped_too = _read_scores(teacher_scores, "teacher", table, kind, n_scores)
    return Batch(table.n_rows, columns, student, teacher, skipped | skipped_too, unknown)


def _read_scores(scores, whose, table, kind, n_scores):
    """Check the scores of the rows of a table, and mark those that cannot be counted.

    Returns scores of shape (n_rows, n_scores), with NaN where a row has none or it cannot be
    counted, and how many could not be counted by reason. Raises ValueError if there is not one
    score, or one per class, for each row, and TypeError if they are not numbers.
    """
    if scores is None:
        return np.full((table.n_rows, n_scores), np.nan), {}
    try:
        scores = np.array(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{whose}_scores are no array of numbers: {error}. Pass {_WANTED[kind]}, NaN or None "
            "where there is none."
        ) from None
    if table.is_row:
        scores = scores.reshape(1, -1)
    given = scores.shape
    scores = scores[:, None] if scores.ndim == 1 else scores
    widths = {n_scores} | ({2} if kind == "binary" else set())
    if scores.ndim != 2 or len(scores) != table.n_rows or scores.shape[1] not in widths:
        shape = f"({table.n_rows},)" if n_scores == 1 else f"({table.n_rows}, {n_scores})"
        raise ValueError(
            f"{whose}_scores have shape {given}; {shape} was expected, one score for every "
            f"row of X: {_WANTED[kind]}. Nothing was counted."
        )
    return _drop_impossible(scores, whose, kind)


def _drop_impossible(scores, whose, kind):
    """Turn scores that cannot be counted into NaN, and count them by reason."""
    missing = np.isnan(scores).any(axis=1)
    if kind == "regression":
        faults = {"not finite": (np.abs(scores) > _LARGEST_PREDICTION).any(axis=1)}
    else:
        low, high = -_PROBABILITY_TOLERANCE, 1 + _PROBABILITY_TOLERANCE
        outside = ((scores < low) | (scores > high)).any(axis=1)
        faults = {"outside [0, 1]": outside}
        if scores.shape[1] > 1:
            apart = np.abs(scores.sum(axis=1) - 1) > _SUM_TOLERANCE
            faults["that do not sum to 1"] = apart & ~outside
        scores = np.clip(scores, 0, 1)
        scores = scores[:, 1:] if kind == "binary" and scores.shape[1] == 2 else scores
    skipped = {f"{whose} scores {why}": int((at & ~missing).sum()) for why, at in faults.items()}
    if whose == "student":
        skipped["student scores missing"] = int(missing.sum())
    scores[missing | np.any(list(faults.values()), axis=0)] = np.nan
    return scores, {why: n for why, n in skipped.items() if n}


def count(layout, batch):
    """Count a batch.

    Returns the counts, and by reason in how many rows a column is not counted.
    """
    skipped, parts = {}, []
    for bins, values in zip(layout.columns, batch.columns, strict=True):
        of_column = np.zeros(bins.n_cells, np.int64) if values is None else bins.count(values)
        parts.append(of_column)
        n_lost = batch.n_rows - int(of_column.sum())
        if n_lost:
            fault = "absent" if values is None else _UNREADABLE[bins.levels is None]
            skipped[f"column {bins.name!r} {fault}"] = n_lost
    student = batch.student[batch.has_student]
    parts += [bins.count(student[:, j]) for j, bins in enumerate(layout.scores)]
    both = batch.has_both
    gaps = gap_of_rows(batch.teacher[both], batch.student[both], layout.kind, layout.threshold)
    counts = Counts(batch.n_rows, np.concatenate(parts), int(both.sum()), moments(gaps))
    return counts, skipped


def label_faults(layout, batch, reference=None):
    """Describe which scores look like the labels of ``predict``: all are exactly 0 or 1.

    Returns at most one sentence. `reference` is None if the batch is the reference. For live rows
    there is none if the reference has such scores, too: if a share p of its scores is in the bins
    of 0 and 1, n scores are all there with probability ``p**n``. There is one for the teacher only
    if the student's scores are not 0 or 1, and the teacher's are both: where one class is rare, a
    forest often predicts exactly 0.
    """
    if layout.kind == "regression":
        return []
    student, teacher = batch.student[batch.has_student], batch.teacher[batch.has_both]
    likely, of_student = 0.0, _are_labels(student)
    if of_student and reference is not None:
        likely = min(map(_share_at_ends, layout.scores, layout.split(reference.cells)[1]))
    odd = []
    if of_student and likely ** len(student) < _CHANCE_OF_LABELS:
        odd.append(("student", len(student)))
    elif not of_student and _are_labels(teacher) and len(np.unique(teacher)) == 2:
        odd.append(("teacher", len(teacher)))
    whose_rows = "the reference" if reference is None else "this batch"
    return [
        f"All {n:,} {whose}_scores of {whose_rows} are exactly 0 or 1, as labels are. Drift and "
        f"gap need probabilities: pass {_WANTED[layout.kind]}."
        for whose, n in odd
    ]


def _are_labels(scores):
    return len(scores) >= _FEWEST_LABELS and bool(np.isin(scores, [0.0, 1.0]).all())


def _share_at_ends(bins, histogram):
    """Return the share of scores in the bins that 0 and 1 belong to."""
    ends = np.unique(np.searchsorted(bins.edges, [0.0, 1.0], side="left"))
    return histogram[ends].sum() / max(1, histogram[:-1].sum())


def _some(names):
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
