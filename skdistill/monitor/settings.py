"""The parameters of a monitor, and their ranges."""

import math
import numbers

#: The range of every parameter, of integers if its lower end is one; `task` is checked separately.
LIMITS = {
    "task": None,
    "n_bins": (2, 1000),
    "max_levels": (1, 1000),
    "threshold": (0.0, 1.0),
    "window": (1, 100_000),
    "max_buckets": (1, 100_000),
    "bucket_rows": (1, 2**53),
    "psi_warn": (0.0, math.inf),
    "psi_alert": (0.0, math.inf),
    "gap_tolerance": (0.0, math.inf),
    "confidence": (1e-9, 1 - 1e-9),
    "teacher_share": (0.0, 1.0),
}


def check_settings(settings):
    """Raise ValueError if a parameter is out of range, or two contradict each other."""
    for name, value in settings.items():
        check_setting(name, value)
    warn, alert = settings["psi_warn"], settings["psi_alert"]
    if alert < warn:
        raise ValueError(
            f"psi_alert={alert} is below psi_warn={warn}; psi_alert must be at least psi_warn."
        )


def check_setting(name, value):
    """Raise ValueError if a parameter is out of range."""
    if name == "task":
        if value not in ("classification", "regression"):
            raise ValueError(f"task is {value!r}; 'classification' or 'regression' was expected.")
        return
    low, high = LIMITS[name]
    kind = numbers.Integral if isinstance(low, int) else numbers.Real
    if not isinstance(value, kind) or isinstance(value, bool) or not low <= value <= high:
        what = "a whole number" if kind is numbers.Integral else "a number"
        raise ValueError(f"{name} is {value!r}; {what} from {low} to {high} was expected.")
