"""Conditions that a report must meet: which there are, and in which range they make sense."""

import math
from numbers import Real

import numpy as np

from skdistill.report.fidelity.measures import MEASURES
from skdistill.report.fidelity.scores import SCORES

#: The lowest verdicts that can be required; every verdict is at least red.
ASKED_STATUSES = ("green", "amber")

_CORRELATIONS = {"rank_correlation", "top_k_rank_correlation"}
_SHARES_EXPLAINED = {"margin_r2", "r2"}
_UNBOUNDED = {"kl_divergence", "log_loss", "mae", "rmse"}


def range_of(name, kind):
    """Return between which values a measure or score lies, infinite where there is no end."""
    if name in _CORRELATIONS:
        return -1.0, 1.0
    if name in _SHARES_EXPLAINED:
        return -math.inf, 1.0
    if name in _UNBOUNDED or (kind == "regression" and name.endswith("_difference")):
        return 0.0, math.inf
    if name == "js_divergence":
        return 0.0, math.log(2)
    return 0.0, 2.0 if name == "brier" and kind == "multiclass" else 1.0


def check_conditions(kind, limits, *, status, non_inferior, helped, at_interval):
    """Raise unless there are conditions of `FidelityReport.require`, and all of them make sense."""
    switches = {"non_inferior": non_inferior, "helped": helped, "at_interval": at_interval}
    for name, value in switches.items():
        if value is not None and not isinstance(value, bool | np.bool_):
            raise TypeError(f"{name}={value!r}; True, False or None was expected.")
    if status is not None and status not in ASKED_STATUSES:
        raise ValueError(
            f"status={status!r}; 'green' or 'amber' was expected, the worst verdict that will do. "
            "Every verdict is red or better."
        )
    names = sorted(MEASURES[kind] | SCORES[kind])
    unknown = sorted(set(limits) - set(names))
    if unknown:
        raise ValueError(f"No measure or score {unknown}; there are {names}.")
    for name, limit in limits.items():
        _check_limit(name, limit, *range_of(name, kind))
    if status is None and not non_inferior and not helped and not limits:
        raise ValueError(
            "No condition was passed, so that every model would do. Pass status='amber' or "
            "'green', non_inferior=True, helped=True, or limits such as "
            f"{'r2=0.9' if kind == 'regression' else 'agreement=0.98'}; there are {names}."
        )
    if at_interval and not set(limits) & set(MEASURES[kind]):
        raise ValueError(
            "at_interval=True is about limits on measures of fidelity, and none was passed; they "
            f"are {sorted(MEASURES[kind])}."
        )


def _check_limit(name, limit, low, high):
    if isinstance(limit, bool | np.bool_) or not isinstance(limit, Real):
        raise TypeError(f"{name}={limit!r}; a number was expected, the limit of {name}.")
    if math.isfinite(limit) and low <= limit <= high:
        return
    ends = f"{low:g} to {high:.4g}" if math.isfinite(low + high) else None
    ends = ends or (f"of {low:g} or more" if math.isfinite(low) else f"of {high:g} or less")
    hint = ""
    if (low, high) == (0.0, 1.0) and 1 < limit <= 100:
        hint = f" Shares are written as {limit / 100:g}, not {limit:g}."
    raise ValueError(f"{name}={limit!r} can be no limit: {name} has values {ends}.{hint}")
