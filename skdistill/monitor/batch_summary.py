"""The summary of an update: what was counted of a batch."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class BatchSummary:
    """What `FidelityMonitor.update` counted of a batch, and what it skipped.

    Attributes
    ----------
    n_rows : int
        Rows that were counted: all of the batch, or none of one counted before.
    n_scores : int
        Rows whose student score was counted.
    n_pairs : int
        Rows on which teacher and student were compared.
    days : tuple of (int or str)
        The days, or bucket numbers, that they were counted on.
    n_late : int
        Rows older than all buckets; they count only in the lifetime totals.
    replayed : bool
        Whether the batch was not counted because its identifier was counted before.
    skipped : dict of str to int
        What was not counted, and in how many rows.
    unknown_columns : tuple of str
        Columns that the model does not have.

    Examples
    --------
    A score out of range, and an unknown column:

    >>> from skdistill import FidelityMonitor
    >>> monitor = FidelityMonitor().fit({"age": [20, 30, 40]}, [0.1, 0.2, 0.3])
    >>> print(monitor.update({"age": [25, 35], "aeg": [1, 2]}, [0.2, 7.0]))
    2 rows counted, 1 score, 0 compared with the teacher.
    - student scores outside [0, 1]: 1
    - unknown columns: aeg
    """

    n_rows: int
    n_scores: int = 0
    n_pairs: int = 0
    days: tuple = ()
    n_late: int = 0
    replayed: bool = False
    skipped: dict = field(default_factory=dict)
    unknown_columns: tuple = ()

    def __str__(self):
        if self.replayed:
            return "Nothing counted: a batch of this batch_id was counted before."
        rows, scores = ("" if n == 1 else "s" for n in (self.n_rows, self.n_scores))
        lines = [
            f"{self.n_rows:,} row{rows} counted, {self.n_scores:,} score{scores}, "
            f"{self.n_pairs:,} compared with the teacher."
        ]
        lines += [f"- {why}: {n:,}" for why, n in self.skipped.items()]
        if self.n_late:
            lines.append(
                f"- older than all buckets, counted only in the lifetime totals: {self.n_late:,}"
            )
        if self.unknown_columns:
            lines.append(f"- unknown columns: {', '.join(self.unknown_columns)}")
        return "\n".join(lines)
