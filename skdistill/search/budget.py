"""The budget of a search: limits of what a student may cost."""

from dataclasses import dataclass, fields
from numbers import Integral, Real

import numpy as np

from skdistill.messages import shown

#: Limits on whole numbers.
COUNTED = ("leaves", "columns", "interactions", "rules")

#: Limits on what people read. A student has only one of the two; it must have one that is limited.
READ = ("interactions", "rules")


@dataclass(frozen=True)
class Budget:
    """Limits that a student must keep; None for none.

    Parameters
    ----------
    latency_us : float or None, default=None
        99 % quantile of the latency in microseconds of single-row calls of the student's
        `lean_scorer`, compiled if there is a compiler. For other models than skdistill's students
        it is that of ``predict_proba``.
    size_kb : float or None, default=None
        Thousands of bytes that the file of the student takes, as `save` writes it; the pickle of
        other models.
    leaves : int or None, default=None
        Number of leaves, at least 2, of all trees together. It rules out students without leaves.
    columns : int or None, default=None
        Number of columns that the student needs. `StudentSearchCV` drops those whose loss costs
        the least fidelity.
    min_fidelity : float or None, default=None
        Share of rows, in (0, 1], on which student and teacher find the same class most probable,
        see `agreement`. Where one class is rare nearly every student agrees: look at the KL
        divergence there.
    interactions : int or None, default=None
        Number of pairs of columns of an additive student, 0 for curves alone. It rules out
        students that are not additive, except for those that keep `rules`.
    rules : int or None, default=None
        Number of rules to read, at least 2, of a tree or of all trees of a sum: one per leaf, as
        `TreeDisplay` writes them. A sum of t trees with s splits has s + t. It rules out students
        without rules, soft trees among them, except for those that keep `interactions`.

    Raises
    ------
    TypeError
        If a limit is not a number.
    ValueError
        If no student can keep a limit, or `leaves` together with `interactions`.

    Examples
    --------
    A scorer for the checkout, small enough for a mobile phone:

    >>> from skdistill import Budget
    >>> Budget(latency_us=5, size_kb=50)
    Budget(latency_us=5, size_kb=50)

    A student that people can read, of either kind:

    >>> Budget(interactions=5, rules=16)
    Budget(interactions=5, rules=16)
    """

    latency_us: float | None = None
    size_kb: float | None = None
    leaves: int | None = None
    columns: int | None = None
    min_fidelity: float | None = None
    interactions: int | None = None
    rules: int | None = None

    def __post_init__(self):
        for name, value in self.limits.items():
            kind = Integral if name in COUNTED else Real
            if not isinstance(value, kind) or isinstance(value, bool | np.bool_):
                expected = "a whole number" if kind is Integral else "a number"
                raise TypeError(f"{name} is {shown(value)}; {expected} or None was expected.")
            least = "of 0 or more" if name == "interactions" else "larger than 0"
            if not (np.isfinite(value) and (value > 0 or (name, value) == ("interactions", 0))):
                raise ValueError(
                    f"{name}={value!r} was passed, which no student can keep; a finite number "
                    f"{least} was expected, or None for no limit."
                )
        for name in ("leaves", "rules"):
            if getattr(self, name) == 1:
                raise ValueError(
                    f"{name}=1 contradicts itself: a tree of one leaf gives every row the same "
                    "answer. At least 2 were expected, or None for no limit."
                )
        if self.leaves and self.interactions is not None and self.rules is None:
            raise ValueError(
                f"leaves={self.leaves!r} and interactions={self.interactions!r} were passed, which "
                "no student can keep together: additive students have no leaves, and no others "
                f"have interactions. Pass rules={self.leaves!r} in the place of leaves: trees keep "
                "that limit then, and additive students the other one."
            )
        if self.min_fidelity is not None and self.min_fidelity > 1:
            raise ValueError(
                f"min_fidelity={self.min_fidelity!r} was passed; it is a share of rows, so at most "
                "1 was expected."
            )

    @property
    def limits(self):
        """The limits that were set, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def __repr__(self):
        return f"Budget({', '.join(f'{name}={value!r}' for name, value in self.limits.items())})"


@dataclass(frozen=True)
class Excess:
    """A limit that a student exceeds.

    Attributes
    ----------
    limit : str
        Which one, a parameter of `Budget`.
    value : float or None
        The student's value; None if it has none.
    allowed : float
        The limit.
    tolerance : float, default=0.0
        Share by which it may exceed the limit, because measurements are noisy.
    """

    limit: str
    value: float | None
    allowed: float
    tolerance: float = 0.0

    @property
    def ratio(self):
        """Factor by which the limit is exceeded; infinite if there is no value."""
        if self.value is None or not self.allowed:
            return np.inf
        if self.limit == "min_fidelity":
            return self.allowed / max(self.value, 1e-12)
        return self.value / self.tolerated

    @property
    def tolerated(self):
        """The limit, with tolerance."""
        return (1 + self.tolerance) * self.allowed

    def __str__(self):
        if self.value is None:
            lacks = "it is not additive" if self.limit == "interactions" else "it has none"
            return f"{self.limit}: {lacks} (limit {self.allowed:g})"
        value = float(f"{self.value:.3g}")
        if not self.allowed:
            return f"{self.limit} {value:g} (limit 0)"
        by = f"{self.ratio - 1:.2g}" if self.ratio > 10 else f"{self.ratio - 1:.0%}"
        words = "short of it by" if self.limit == "min_fidelity" else "over it by"
        times = " times" if self.ratio > 10 else ""
        limit = f"{self.allowed:g}"
        if self.tolerance:
            limit += f", and {self.tolerance:.0%} for noise: {self.tolerated:g}"
        return f"{self.limit} {value:g} (limit {limit}, {words} {by}{times})"


def missed_for_want(budget, has):
    """List the limits that a student misses because it has nothing that they could limit.

    `has` tells by the name of a limit whether it has.
    """
    asked = [name for name in READ if name in budget.limits]
    missing = [] if any(map(has, asked)) else asked
    return missing if "leaves" not in budget.limits or has("leaves") else ["leaves", *missing]


def excesses(budget, costs, agreement=None, latency_tolerance=0.0):
    """List the limits that a student exceeds, as far as its costs and agreement are known.

    The latency may be over its limit by the share `latency_tolerance`.
    """
    values = {
        "latency_us": costs.latency_p99_us,
        "size_kb": costs.size_kb,
        "leaves": costs.n_leaves,
        "columns": costs.n_columns,
        "min_fidelity": agreement,
        "interactions": costs.n_interactions,
        "rules": costs.n_rules,
    }
    missing = missed_for_want(budget, lambda name: values[name] is not None)
    found = []
    for name, allowed in budget.limits.items():
        value = values[name]
        if value is None and name not in missing:
            continue
        tolerance = latency_tolerance if name == "latency_us" else 0.0
        excess = Excess(name, value, allowed, tolerance)
        is_kept = value is not None and (
            value >= allowed if name == "min_fidelity" else value <= excess.tolerated
        )
        if not is_kept:
            found.append(excess)
    return tuple(found)
