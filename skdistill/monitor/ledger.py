"""All counts by time: a bounded number of buckets, and the sum of all that is older."""

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property

from skdistill.monitor.days import check_one_kind
from skdistill.monitor.layout import Counts

#: Number of batch identifiers that are stored, the last ones.
MOST_BATCH_IDS = 1000

#: Letters that one may have.
_LONGEST_BATCH_ID = 200

#: Number of names of unknown columns that are stored, the first ones.
MOST_UNKNOWN_COLUMNS = 50


@dataclass(frozen=True)
class Entry:
    """The counts that one update adds.

    Attributes
    ----------
    parts : tuple of (int, str or None, Counts)
        Days and their counts; None for rows older than all buckets.
    skipped : dict of str to int
        What was not counted, and why.
    unknown_columns : tuple of str
        Names of columns the monitor does not have.
    batch_ids : tuple of str
        Identifiers of the batches.
    """

    parts: tuple
    skipped: dict = field(default_factory=dict)
    unknown_columns: tuple = ()
    batch_ids: tuple = ()


@dataclass(frozen=True)
class Ledger:
    """The counts of a monitor. It is immutable: `add` returns a new one.

    Attributes
    ----------
    buckets : dict of (int or str) to Counts
        By day, in chronological order.
    older : Counts
        Sum of all that is older than the buckets.
    max_buckets : int
        Largest number of buckets.
    n_updates : int
        Number of entries that were added.
    skipped : dict of str to int
        What was not counted, and why, since the start.
    unknown_columns : tuple of str
        Unknown columns that were passed.
    batch_ids : tuple of str
        The last identifiers of batches.
    """

    buckets: dict
    older: Counts
    max_buckets: int
    n_updates: int = 0
    skipped: dict = field(default_factory=dict)
    unknown_columns: tuple = ()
    batch_ids: tuple = ()

    @cached_property
    def lifetime(self):
        """Sum of all that was ever counted."""
        return sum(self.buckets.values(), self.older)

    def newest(self, n_buckets):
        """Return the days of the newest buckets."""
        return list(self.buckets)[-n_buckets:]

    def total(self, days):
        """Return the sum of the counts of some days."""
        return sum((self.buckets[day] for day in days), self.older.zero())

    def undated_day(self, bucket_rows):
        """Return the day that rows without one are counted on.

        It is the newest day; the next one if it is a number and its bucket has `bucket_rows` rows.
        """
        if not self.buckets:
            return 0
        newest = next(reversed(self.buckets))
        is_full = self.buckets[newest].n_rows >= bucket_rows
        return newest + 1 if is_full and isinstance(newest, int) else newest

    def is_late(self, day):
        """Tell whether a day is older than all buckets, with `max_buckets` of them."""
        if day is None:
            return True
        full = len(self.buckets) >= self.max_buckets
        return full and day not in self.buckets and day < next(iter(self.buckets))

    def add(self, entry):
        """Return the ledger with an entry; buckets beyond `max_buckets` are added to `older`.

        Raises ValueError if numbers of days and dates are mixed.
        """
        check_one_kind({*self.buckets, *(day for day, _ in entry.parts if day is not None)})
        ledger = self
        for day, counts in entry.parts:
            ledger = ledger._with_part(day, counts)
        unknown = dict.fromkeys((*self.unknown_columns, *entry.unknown_columns))
        return replace(
            ledger,
            n_updates=self.n_updates + 1,
            skipped=dict(Counter(self.skipped) + Counter(entry.skipped)),
            unknown_columns=tuple(unknown)[:MOST_UNKNOWN_COLUMNS],
            batch_ids=(*self.batch_ids, *entry.batch_ids)[-MOST_BATCH_IDS:],
        )

    def _with_part(self, day, counts):
        if self.is_late(day):
            return replace(self, older=self.older + counts)
        buckets = dict(self.buckets)
        if day in buckets:
            buckets[day] += counts
            return replace(self, buckets=buckets)
        buckets = {each: (buckets | {day: counts})[each] for each in sorted([*buckets, day])}
        if len(buckets) <= self.max_buckets:
            return replace(self, buckets=buckets)
        oldest = next(iter(buckets))
        return replace(self, older=self.older + buckets.pop(oldest), buckets=buckets)


def checked_ids(batch_id):
    """Return the identifiers of a batch: one or none."""
    if batch_id is None:
        return ()
    if not isinstance(batch_id, str) or not 0 < len(batch_id) <= _LONGEST_BATCH_ID:
        raise ValueError(
            f"batch_id is {batch_id!r}; a string of at most {_LONGEST_BATCH_ID} letters was "
            "expected. Nothing was counted."
        )
    return (batch_id,)
