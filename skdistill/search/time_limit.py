"""How long a search may take."""

from dataclasses import dataclass, field
from time import perf_counter

#: Share of the limit in which the teacher has to have answered: other folds are left out.
SHARE_OF_TEACHER = 0.4

#: The fit on all rows takes about so many times what a trial took: it may be recalibrated, its
#: labels corrected, and it has more rows.
TRIALS_OF_LAST_FIT = 2.5


@dataclass(frozen=True)
class TimeLimit:
    """Seconds from now on.

    Attributes
    ----------
    seconds : float or None
        How many; None for no limit.
    began : float
        When it began, by `time.perf_counter`.
    """

    seconds: float | None = None
    began: float = field(default_factory=perf_counter)

    @property
    def elapsed(self):
        """Seconds that have passed."""
        return perf_counter() - self.began

    def has_room_for(self, seconds=0.0, share=1.0):
        """Tell whether something of so many seconds ends within a share of the limit."""
        return self.seconds is None or self.elapsed + seconds < share * self.seconds

    def __str__(self):
        return f"time_limit={self.seconds:g} s"
