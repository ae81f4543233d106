"""The results of a search: candidates, their front, the choice among them, and references."""

from dataclasses import dataclass, field

import numpy as np

from skdistill.formatting import columns_of, pandas_frame, text_table
from skdistill.search.budget import READ, Excess
from skdistill.search.costs import Costs

#: Limit of a budget -> the attribute of `Costs` that it applies to.
COST_OF_LIMIT = {
    "latency_us": "latency_p99_us",
    "size_kb": "size_kb",
    "leaves": "n_leaves",
    "columns": "n_columns",
    "interactions": "n_interactions",
    "rules": "n_rules",
}


@dataclass(frozen=True)
class Candidate:
    """A student with a temperature, an alpha and a number of columns, and its results.

    Attributes
    ----------
    name : str
        A short description.
    params : dict
        ``student``, ``temperature``, ``alpha`` and ``n_columns`` (None for all columns).
    costs : Costs or None
        What the student costs; None if it was ruled out before it was fitted.
    score : float
        Mean over the folds; NaN if it was never scored. Greater is better.
    fold_scores : tuple of float
        Score on every fold.
    measures : dict of str to float
        Means over the folds of ``neg_log_loss``, ``average_precision`` (of two classes),
        ``agreement`` with the teacher and ``kl_divergence`` from it.
    n_rows : int
        Training rows of a fold that it was scored with; 0 if it never was.
    fit_seconds : float
        Mean over the folds, teacher not included.
    stage : {"evaluated", "pruned", "not tried", "over budget"}
        Whether it was scored on all folds, stopped after some rows or folds, never scored, or ruled
        out by its costs.
    excesses : tuple of Excess
        The limits of the budget that it exceeds.
    difference : float
        Score minus that of the best of all evaluated candidates, NaN if not evaluated.
    difference_error : float
        Standard error of the difference, from its values on the folds.
    reason : str
        Why it was pruned or not tried.
    """

    name: str
    params: dict
    costs: Costs | None = None
    score: float = float("nan")
    fold_scores: tuple = ()
    measures: dict = field(default_factory=dict)
    n_rows: int = 0
    fit_seconds: float = float("nan")
    stage: str = "over budget"
    excesses: tuple[Excess, ...] = ()
    difference: float = float("nan")
    difference_error: float = float("nan")
    reason: str = ""

    @property
    def is_evaluated(self):
        """Whether it was scored on all folds."""
        return self.stage == "evaluated"

    @property
    def within_budget(self):
        """Whether it is known to keep every limit; False if it was not evaluated."""
        return self.is_evaluated and not self.excesses

    @property
    def why_not(self):
        """Why it cannot be chosen; empty if it can."""
        if self.excesses:
            return "; ".join(map(str, self.excesses))
        return "" if self.is_evaluated else ": ".join(filter(None, (self.stage, self.reason)))

    def cost(self, limit):
        """Return the cost that a limit of the budget applies to; infinite if it has none."""
        return cost_of(self.costs, limit)


@dataclass(frozen=True)
class Reference:
    """A model that candidates are compared with.

    Attributes
    ----------
    name : str
        Its class, or the student.
    kind : {"teacher", "compiled teacher", "hard labels", "EBM"}
        The teacher, the teacher compiled by onnxruntime, a student fitted on observed classes, or
        interpret's explainable boosting machine, fitted on them, too.
    costs : Costs
        What it costs.
    score : float
        Mean over the folds.
    fold_scores : tuple of float
        Score on every fold.
    measures : dict of str to float
        As of candidates.
    fit_seconds : float
        Mean over the folds of what was fitted for the comparison, else NaN.
    """

    name: str
    kind: str
    costs: Costs
    score: float
    fold_scores: tuple
    measures: dict
    fit_seconds: float = float("nan")


@dataclass(frozen=True)
class CandidateTable:
    """Candidates that print as a table.

    Attributes
    ----------
    candidates : tuple of Candidate
        The rows.
    """

    candidates: tuple

    def __len__(self):
        return len(self.candidates)

    def __iter__(self):
        return iter(self.candidates)

    def __getitem__(self, position):
        return self.candidates[position]

    def __str__(self):
        return text_table(self._rows()) if self.candidates else "no candidate was scored"

    def to_frame(self):
        """Return the table as a pandas frame, with a row per candidate."""
        return pandas_frame(columns_of(self._rows()))

    def _rows(self):
        """Return a dict per candidate; of a measure that is the score there is one column."""
        rows = [_cells(each) for each in self.candidates]
        same = {
            name
            for name in self.candidates[0].measures
            if all(row[name] == row["mean_score"] for row in rows)
        }
        return [{name: row[name] for name in row if name not in same} for row in rows]


def _cells(candidate):
    costs = candidate.costs
    measured = {
        "p99_us": costs and costs.latency_p99_us,
        "size_kb": costs and costs.size_kb,
        "leaves": costs and costs.n_leaves,
        "interactions": costs and costs.n_interactions,
        "columns": costs and costs.n_columns,
    }
    return {
        "candidate": candidate.name,
        "temperature": candidate.params["temperature"],
        "alpha": candidate.params["alpha"],
        "mean_score": candidate.score,
        **candidate.measures,
        **measured,
        "within_budget": candidate.why_not or "yes",
    }


def pareto_front(candidates, limits):
    """Find the evaluated candidates that no other beats, from the best score to the worst.

    No other has at least their score at no more of any of the costs, `cost_names` of the limits; of
    equals the first is kept.
    """
    names = cost_names(limits)
    scored = [each for each in candidates if each.is_evaluated and not np.isnan(each.score)]
    scored.sort(key=lambda each: (-each.score, *(each.cost(name) for name in names)))
    front = []
    for each in scored:
        if not any(all(kept.cost(n) <= each.cost(n) for n in names) for kept in front):
            front.append(each)
    return CandidateTable(tuple(front))


def cost_of(costs, limit):
    """Return the cost that a limit of the budget applies to; infinite if there is none."""
    value = None if costs is None else getattr(costs, COST_OF_LIMIT[limit])
    return np.inf if value is None else value


def cost_names(limits):
    """Return the costs that are limited: latency and size if none is, or only columns."""
    named = [name for name in limits if name in COST_OF_LIMIT]
    return named if set(named) - {"columns"} else ["latency_us", "size_kb", *named]


def in_order_of_choice(candidates, budget, rule):
    """Return the positions of the candidates within the budget, the one to take first at the front.

    They are sorted by score; with `rule` "one_standard_error" those within one standard error of
    the best come first, sorted by cost.
    """
    fitting = [i for i, each in enumerate(candidates) if each.within_budget]
    fitting.sort(key=lambda i: -np.nan_to_num(candidates[i].score, nan=-np.inf))
    if rule == "best" or not fitting:
        return fitting
    best = candidates[fitting[0]]
    near = [i for i in fitting if _is_near(candidates[i], best)]
    near.sort(key=lambda i: _share_of_budget(candidates[i], budget))
    return near + [i for i in fitting if i not in near]


def paired_difference(scores, best):
    """Return mean and standard error of the difference between two candidates' fold scores."""
    differences = np.subtract(scores, best)
    differences = differences[~np.isnan(differences)]
    if len(differences) == 0:
        return float("nan"), float("nan")
    if len(differences) == 1:
        return float(differences[0]), float("nan")
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean()), float(error)


def _is_near(candidate, best):
    difference, error = paired_difference(candidate.fold_scores, best.fold_scores)
    return difference >= -np.nan_to_num(error)


def _share_of_budget(candidate, budget):
    """Return the largest share of a limit that is used up; the size if there is no limit."""
    limits = {n: limit for n, limit in budget.limits.items() if n in COST_OF_LIMIT}
    if not limits:
        return candidate.cost("size_kb")
    costs = {name: candidate.cost(name) for name in limits}
    lacking = [name for name in READ if costs.get(name) == np.inf]  # it keeps the other one
    return max(cost and cost / limits[n] for n, cost in costs.items() if n not in lacking)


def closest(candidates):
    """Describe the three candidates that miss the budget by the least, a line each."""
    missing = [each for each in candidates if each.excesses]
    missing.sort(key=lambda each: max(excess.ratio for excess in each.excesses))
    nearest = {}
    for each in missing:  # of one student the temperature that came closest
        nearest.setdefault(each.name, each)
    lines = []
    for each in list(nearest.values())[:3]:
        scored = "" if np.isnan(each.score) else f", score {each.score:.4f}"
        why = "; ".join(map(str, each.excesses))
        temperature, alpha = each.params["temperature"], each.params["alpha"]
        lines.append(f"  {each.name} (temperature {temperature}, alpha {alpha}{scored}): {why}")
    return "\n".join(lines)
