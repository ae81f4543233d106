"""The time limit of a search."""

from dataclasses import dataclass, field
from time import perf_counter

#: Share of the limit for the teacher's predictions: folds that are not ready then are left out.
SHARE_OF_TEACHER = 0.4

#: The final fit takes about this many times as long as a trial: it has more rows, and may include
#: recalibration and label correction.
TRIALS_OF_LAST_FIT = 2.5


@dataclass(frozen=True)
class TimeLimit:
    """A number of seconds, from now on.

    Attributes
    ----------
    seconds : float or None
        The limit; None for no limit.
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
        """Tell whether something that takes this many seconds ends within a share of the limit."""
        return self.seconds is None or self.elapsed + seconds < share * self.seconds

    def __str__(self):
        return f"time_limit={self.seconds:g} s"
