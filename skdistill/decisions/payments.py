"""Day, card and amount of payments: what is known of rows besides their columns."""

from dataclasses import dataclass

import numpy as np

from skdistill.decisions.checks import check_amounts, check_days, check_entities

#: Fewest days or entities whose variation can be estimated.
FEWEST_CLUSTERS = 10


@dataclass(frozen=True)
class Payments:
    """Day, entity and amount of every row; each of shape (n_samples,), or None.

    Attributes
    ----------
    n_samples : int
        Number of rows.
    day : ndarray or None
        Position of the row's day, in the order of time.
    entity : ndarray or None
        Position of the row's card, customer or other entity.
    amounts : ndarray or None
        Amounts of the payments.
    """

    n_samples: int
    day: np.ndarray | None
    entity: np.ndarray | None
    amounts: np.ndarray | None

    @classmethod
    def of(cls, n_samples, *, days=None, entities=None, amounts=None, name="groups"):
        """Check what users pass; `name` is what messages call the entities."""
        return cls(
            n_samples=n_samples,
            day=None if days is None else check_days(days, n_samples),
            entity=None if entities is None else check_entities(entities, n_samples, name),
            amounts=None if amounts is None else check_amounts(amounts, n_samples),
        )

    @property
    def n_days(self):
        """Number of days; None if they are not known."""
        return None if self.day is None else int(self.day.max()) + 1

    def take(self, rows):
        """Return the payments of some rows, given by a mask."""

        def renumbered(positions):
            return None if positions is None else np.unique(positions[rows], return_inverse=True)[1]

        return Payments(
            n_samples=int(rows.sum()),
            day=renumbered(self.day),
            entity=renumbered(self.entity),
            amounts=None if self.amounts is None else self.amounts[rows],
        )

    def split(self, share, random_state):
        """Mark the rows on which thresholds are set: the first days, else random entities or rows.

        `share` is that of the days, entities or rows; there is at least one of them on either side,
        or a ValueError if there is only one.
        """
        unit, name = self._units()
        n_units = int(unit.max()) + 1
        if n_units < 2:
            raise ValueError(
                f"Thresholds are set on some {name} and money is counted on others, and there is "
                f"one of them only. Pass rows of more {name}, or threshold_share=0 to set and "
                "count on the same rows."
            )
        place = np.arange(n_units) if name == "days" else random_state.permutation(n_units)
        n_first = int(np.clip(round(share * n_units), 1, n_units - 1))
        return place[unit] < n_first

    def clusters(self):
        """Return what is resampled as a whole: position for every row, and its name.

        Entities if they are known, else days; rows if there are fewer than `FEWEST_CLUSTERS`.
        """
        for cluster, name in ((self.entity, "entities"), (self.day, "days")):
            if cluster is not None and cluster.max() + 1 >= FEWEST_CLUSTERS:
                return cluster, name
        return np.arange(self.n_samples), "rows"

    def _units(self):
        if self.day is not None:
            return self.day, "days"
        if self.entity is not None:
            return self.entity, "entities"
        return np.arange(self.n_samples), "rows"
