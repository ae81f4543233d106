"""The search space: students of several sizes, temperatures, alphas and numbers of columns."""

import itertools
from dataclasses import dataclass
from importlib.util import find_spec
from numbers import Integral
from typing import Any

from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from skdistill.estimators import last_step
from skdistill.messages import shown, warn_caller
from skdistill.search.budget import Excess, missed_for_want
from skdistill.search.costs import may_have
from skdistill.students.base import Student
from skdistill.students.fitting import check_student
from skdistill.students.kinds import CLASSIFIERS


@dataclass(frozen=True)
class Plan:
    """One combination to try.

    Attributes
    ----------
    name : str
        A short description, without temperature and alpha.
    student : estimator
        Not fitted.
    temperature : float or "auto"
        Of the distillation.
    alpha : float
        Weight of the soft labels.
    n_columns : int or None
        Number of columns that the student gets; None for all.
    """

    name: str
    student: Any
    temperature: Any
    alpha: float
    n_columns: int | None

    @property
    def family(self):
        """Name of the class that predicts."""
        return type(last_step(self.student)).__name__

    @property
    def group(self):
        """Family and number of columns: plans of one group are screened together."""
        return self.family, self.n_columns

    @property
    def setting(self):
        """Temperature and alpha."""
        return self.temperature, self.alpha

    @property
    def title(self):
        """A short description, with temperature and alpha."""
        return f"{self.name}, temperature {self.temperature}, alpha {self.alpha}"

    @property
    def params(self):
        """As `Candidate.params` has them."""
        return {
            "student": self.student,
            "temperature": self.temperature,
            "alpha": self.alpha,
            "n_columns": self.n_columns,
        }


def make_plans(students, temperatures, alphas, n_columns, budget, n_features):
    """List the combinations to try, those of one student together, and notes on what is left out.

    `students` is that of `StudentSearchCV`; sizes of "auto" that the budget excludes are left out.
    Of listed students those that cannot learn from so few columns are; ValueError if one cannot
    learn from any of the numbers of columns.
    """
    numbers = list(dict.fromkeys(None if k is None or k >= n_features else k for k in n_columns))
    if isinstance(students, str):
        fits = [(*each, k) for k in numbers for each in auto_students(budget, k or n_features)]
        notes = []
    else:
        fits, notes = _fitting(listed_students(students), numbers, n_features)
    plans = [
        Plan(_on_columns(name, k), student, temperature, alpha, k)
        for name, student, k in fits
        for temperature, alpha in itertools.product(temperatures, alphas)
    ]
    return plans, notes


def _on_columns(name, k):
    return name if k is None else f"{name}, {k} column{'s' * (k > 1)}"


def _fitting(named, numbers, n_features):
    """List name, student and number of columns where a student can learn from so many columns."""
    fits, notes = [], []
    for name, student in named:
        refusals = {k: _refusal(student, k, n_features) for k in numbers}
        if all(refusals.values()):
            raise ValueError(f"{name}: {next(iter(refusals.values()))}.")
        fits += [(name, student, k) for k in numbers if not refusals[k]]
        notes += [
            f"{_on_columns(name, k)} was left out: {why}." for k, why in refusals.items() if why
        ]
    return fits, notes


def _refusal(student, k, n_features):
    """Say why a student cannot learn from k columns, None for all; empty if it can."""
    if isinstance(student, Pipeline) or not isinstance(student, Student):
        return ""  # transformers may make other columns
    return student.refusal_of_columns(k or n_features, are_chosen=k is not None)


def check_numbers_of_columns(numbers, n_features):
    """Raise if a number of columns is neither None nor between 1 and `n_features`."""
    if not numbers:
        raise ValueError("n_columns is empty; at least one number, or None, was expected.")
    for number in numbers:
        is_whole = isinstance(number, Integral) and not isinstance(number, bool)
        if number is not None and not (is_whole and 1 <= number <= n_features):
            raise ValueError(
                f"n_columns holds {shown(number)}; X has {n_features} columns, so whole numbers "
                f"from 1 to {n_features} were expected, or None for all of them."
            )


def auto_students(budget, n_columns):
    """List the students that a budget does not rule out, with their names."""
    students = []
    limits = [limit for limit in (budget.leaves, budget.rules) if limit is not None]
    for kind in CLASSIFIERS:
        sizes = kind.sizes(n_columns, min(limits, default=None), budget.interactions)
        sizes = [student for student in sizes if not certain_excesses(student, budget)]
        if all(map(find_spec, kind.needs)):
            students += sizes
        elif sizes:
            warn_caller(
                f"students='auto' leaves out {kind.__name__}, whose training needs torch and "
                "skorch. Install them with: pip install torch skorch tqdm"
            )
    return [(name_of(student), student) for student in students]


def listed_students(students):
    """List the students that a user passed, an entry of name and estimator per point of the grids.

    Each student is an estimator or a pair of an estimator and a parameter grid, in a list, alone,
    or in a dict by name; everything else raises TypeError or ValueError.
    """
    if isinstance(students, dict):
        entries = list(students.items())
    else:
        listed = students if isinstance(students, list | tuple) else [students]
        entries = [(None, entry) for entry in listed]
    if not entries:
        raise ValueError("students is empty; at least one student, or 'auto', was expected.")
    named = []
    for name, entry in entries:
        student, grid = (
            entry if isinstance(entry, list | tuple) and len(entry) == 2 else (entry, {})
        )
        if not hasattr(student, "fit") or not isinstance(grid, dict | list):
            raise TypeError(
                f"students holds {shown(entry)}; a student, or a pair of a student and a dict of "
                "lists of its parameters, was expected."
            )
        check_student(student, "classifier")
        for params in ParameterGrid(grid):
            each = clone(student).set_params(**params)
            check_student(each, "classifier")
            title = name_of(each) if name is None else _with_params(name, params)
            named.append((title, each))
    return named


def name_of(student):
    """Name a student in a few words."""
    last = last_step(student)
    name = last.short_name() if isinstance(last, Student) else Student.short_name(last)
    return f"{name} behind transformers" if isinstance(student, Pipeline) else name


def _with_params(name, params):
    values = ", ".join(f"{key}={value}" for key, value in params.items())
    return f"{name}, {values}" if values else str(name)


def certain_excesses(student, budget):
    """List the limits that a student cannot keep, whatever it is fitted on."""
    missing = missed_for_want(budget, lambda limit: may_have(student, limit))
    return tuple(Excess(name, None, getattr(budget, name)) for name in missing)
