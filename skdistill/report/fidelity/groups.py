"""Rates per group: whether the student inherited its teacher's bias, added to it or lost some."""

from dataclasses import dataclass
from functools import partial

import narwhals.stable.v2 as nw
import numpy as np

from skdistill.weighted_statistics import Estimate, ratio, sums_by_cell

#: Groups with fewer rows are shown, but do not count for the gap between groups.
SMALLEST_GROUP = 30

#: What `groups` takes.
EXPECTED_GROUPS = "an array of shape (n_samples,), a dict of those or a data frame"

#: What is compared between groups, by kind of task.
RATES = {
    "binary": ("selection_rate", "true_positive_rate", "false_positive_rate"),
    "multiclass": ("accuracy",),
    "regression": ("mean_prediction", "mean_error"),
}


@dataclass(frozen=True)
class GroupRate:
    """One rate of the rows of one group.

    Attributes
    ----------
    attribute : str
        What the rows are grouped by.
    group : str
        The group.
    n_samples : int
        Number of its rows.
    rate : str
        "selection_rate" (share of rows at or above the threshold), "true_positive_rate" and
        "false_positive_rate" (the same of the rows of the second and of the first class);
        "accuracy" with several classes; "mean_prediction" and "mean_error" (prediction minus
        observed value) in regression.
    teacher, student, baseline : float or None
        Of each model; NaN where no row of the group counts.
    """

    attribute: str
    group: str
    n_samples: int
    rate: str
    teacher: float | None
    student: float
    baseline: float | None


@dataclass(frozen=True)
class GroupGap:
    """The largest difference of a rate between two groups.

    Attributes
    ----------
    attribute : str
        What the rows are grouped by.
    rate : str
        Which rate, see `GroupRate`.
    teacher, student : float
        Largest rate minus smallest, for each model.
    change : Estimate
        Student's gap minus teacher's. Its interval is wide enough for those of all gaps of a
        report to hold together (Bonferroni, with the standard error of the bootstrap).
    """

    attribute: str
    rate: str
    teacher: float
    student: float
    change: Estimate

    @property
    def finding(self):
        """What the interval of the change says: "added", "reduced" or "inherited"."""
        if self.change.low > 0:
            return "added"
        return "reduced" if self.change.high < 0 else "inherited"


def check_groups(groups, n_samples, names):
    """Turn groups, in any form that users pass, into arrays of strings by attribute.

    A cell without a group is "missing". `names` are the columns of X, if it is a data frame: some
    pass them in place of their values, which is a ValueError as are other lengths.
    """
    if groups is None:
        return {}
    _refuse_names(groups, n_samples, names)
    native = nw.from_native(groups, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(native, nw.DataFrame):
        groups = {name: native[name].to_list() for name in native.columns}
    elif isinstance(native, nw.Series):
        groups = {native.name or "group": native.to_list()}
    elif not isinstance(groups, dict):
        groups = {"group": groups}
    return {str(name): _as_strings(name, values, n_samples) for name, values in groups.items()}


def group_statistics(group_of_row, kind, outputs, y, threshold):
    """Prepare the rates of one model in all groups of an attribute.

    The function of the rows' weights, (n_samples, n), gives rates of shape (n, n_groups, n_rates).
    `outputs` are probabilities, or predictions in one column, `y` observed classes as column
    numbers, or values, or None; a row is selected if the probability of the second class is at
    least `threshold`.
    """
    n_groups = group_of_row.max() + 1
    if kind == "binary":
        selected = outputs[:, 1] >= threshold
        cells = 4 * group_of_row + 2 * selected + (0 if y is None else y)
        return partial(_decision_rates, sums_by_cell(cells, 4 * n_groups), y is not None)
    values = [outputs[:, 0]] if kind == "regression" else [outputs.argmax(axis=1) == y]
    if kind == "regression" and y is not None:
        values.append(outputs[:, 0] - y)
    sums = [sums_by_cell(group_of_row, n_groups, each) for each in (None, *values)]
    return partial(_group_means, sums)


def gaps_of(rates, counts):
    """Compute the largest difference between groups, of shape (n_replicates, n_rates).

    `rates` have shape (n_replicates, n_groups, n_rates) and are NaN where no row counts; `counts`
    says which groups are large enough. A gap is NaN where no group has the rate.
    """
    rates = rates[:, counts]
    unknown = np.isnan(rates)
    gaps = np.max(np.where(unknown, -np.inf, rates), axis=1)
    gaps = gaps - np.min(np.where(unknown, np.inf, rates), axis=1)
    return np.where(np.isfinite(gaps), gaps, np.nan)


def rates_known(kind, y):
    """Return the names of the rates that there are, with or without y."""
    if y is not None:
        return RATES[kind]
    return {"binary": ("selection_rate",), "regression": ("mean_prediction",)}.get(kind, ())


def _decision_rates(sums, has_y, weights):
    """Return selection rate and, with y, true and false positive rate of every group."""
    mass = (sums @ weights).T.reshape(weights.shape[1], -1, 2, 2)
    rates = [ratio(mass[:, :, 1].sum(axis=-1), mass.sum(axis=(-2, -1)))]
    if has_y:
        rates += [ratio(mass[..., 1, 1], mass[..., 1].sum(axis=-1))]
        rates += [ratio(mass[..., 1, 0], mass[..., 0].sum(axis=-1))]
    return np.stack(rates, axis=-1)


def _group_means(sums, weights):
    mass, *totals = ((each @ weights).T for each in sums)
    return np.stack([ratio(total, mass) for total in totals], axis=-1)


def _refuse_names(groups, n_samples, columns):
    """Raise if names were passed in place of values: of columns, or any word."""
    given = [groups] if isinstance(groups, str) else groups
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        return
    are_columns = bool(given) and set(given) <= set(columns)
    if isinstance(groups, str) or (are_columns and len(given) != n_samples):
        hint = f" Pass X[{groups!r}]." if are_columns else ""
        raise ValueError(
            f"groups={groups!r} holds no values; {EXPECTED_GROUPS} was expected: the group of "
            f"every row.{hint}"
        )


def _as_strings(name, values, n_samples):
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise TypeError(
            f"groups is {values!r} for {name!r}; {EXPECTED_GROUPS} was expected: the group of "
            "every row."
        )
    values = np.asarray(values, dtype=object)
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim != 1:
        raise ValueError(
            f"groups has shape {values.shape} for {name!r}; {EXPECTED_GROUPS} was expected. "
            "Several attributes go into a dict or data frame, one column each."
        )
    if len(values) != n_samples:
        raise ValueError(
            f"groups has {len(values)} entries for {name!r}; one for each of the {n_samples} rows "
            "of X was expected."
        )
    text = values.astype(str)
    return np.where(np.isin(text, ["None", "nan", "<NA>", "NaT"]), "missing", text)
