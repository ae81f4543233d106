"""What a report is computed from: models, rows, and what the models predicted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from skdistill.columns import as_models_take, is_frame, table_names
from skdistill.decisions.bands import DecisionBands
from skdistill.decisions.payments import FEWEST_CLUSTERS, Payments
from skdistill.fidelity import check_top_k
from skdistill.models import (
    SeenRowsFinding,
    answers_of,
    find_seen_rows,
    models_by_role,
)
from skdistill.report.fidelity.daily import check_daily_k
from skdistill.report.fidelity.groups import check_groups
from skdistill.rows import check_weights, encode_observed, finite_values


@dataclass(frozen=True)
class ReportInputs:
    """Models and rows, checked, with the predictions.

    Attributes
    ----------
    model : estimator
        As it was passed.
    models : dict of str to Model
        "student" and, where they are there, "teacher" and "baseline".
    kind : {"binary", "multiclass", "regression"}
        The task.
    classes : ndarray of shape (n_classes,) or None
        The student's classes; None in regression.
    X : ndarray, sparse matrix or data frame of shape (n_samples, n_features)
        The rows.
    names : list of str
        Names of the columns.
    y : ndarray of shape (n_samples,) or None
        Observed classes as column numbers, or observed values.
    sample_weight : ndarray of shape (n_samples,)
        With mean 1.
    groups : dict of str to ndarray of shape (n_samples,)
        The group of each row, by attribute.
    top_k : int
        Number of rows that count as the highest.
    payments : Payments
        Days, entities and amounts of the rows, as far as they are known.
    top_k_per_day : int or None
        Number of rows or cards that are looked at in a day; None without days and entities.
    bands : DecisionBands or None
        What decides, and what that costs; None if nothing is decided.
    outputs : dict of str to ndarray of shape (n_samples, n_classes) or (n_samples, 1)
        Probabilities, or predictions, by role.
    limitations : tuple of str
        What cannot be said, and why.
    seen_rows : SeenRowsFinding or None
        Whether models were fitted on the rows; None if they were not.
    """

    model: Any
    models: dict
    kind: str
    classes: np.ndarray | None
    X: Any
    names: list
    y: np.ndarray | None
    sample_weight: np.ndarray
    groups: dict
    top_k: int
    payments: Payments
    top_k_per_day: int | None
    bands: DecisionBands | None
    outputs: dict
    limitations: tuple
    seen_rows: SeenRowsFinding | None

    @property
    def n_samples(self):
        """Number of rows."""
        return self.X.shape[0]


def make_inputs(
    model,
    X,
    y,
    *,
    teacher,
    baseline,
    sample_weight,
    groups,
    top_k,
    days,
    entities,
    amounts,
    bands,
    top_k_per_day,
):
    """Check models and rows, as `fidelity_report` takes them, and predict."""
    models = models_by_role(model, teacher, baseline)
    student, teacher = models["student"], models.get("teacher")
    kind = student.kind
    if kind != "regression" and len(student.labels) == 1:
        raise ValueError(
            f"The student {student.name} knows one class only, {student.labels.tolist()}; a report "
            "needs two or more."
        )
    X = as_models_take(X)
    if X.shape[0] < 2:
        raise ValueError("X has one row; at least two are needed to compare models.")
    y = None if y is None else _observed(student, y, X)
    weight = check_weights(sample_weight, X)
    top_k = max(1, min(100, X.shape[0] // 10)) if top_k is None else top_k
    check_top_k(top_k, X.shape[0])
    groups = check_groups(groups, X.shape[0], table_names(X) if is_frame(X) else [])
    given = {"days": days, "entities": entities, "amounts": amounts}
    _check_kind_of_task(kind, given | {"bands": bands})
    payments = Payments.of(X.shape[0], **given, name="entities")
    limitations = [*_limitations(models, kind, student.labels, y), *_of_few_days(payments)]
    if bands is not None and y is not None:
        limitations += _of_common_frauds(student.labels, y)
    seen = find_seen_rows(model, teacher, X)
    limitations += [] if seen is None else [seen.sentence]
    return ReportInputs(
        model=model,
        models=models,
        kind=kind,
        classes=student.labels,
        X=X,
        names=_column_names(X, student.estimator),
        y=y,
        sample_weight=weight / weight.mean(),
        groups=groups,
        top_k=int(top_k),
        payments=payments,
        top_k_per_day=check_daily_k(top_k_per_day, payments),
        bands=bands,
        outputs=answers_of(models, X, student.labels),
        limitations=tuple(limitations),
        seen_rows=seen,
    )


def _observed(student, y, X):
    """Return observed classes as column numbers, or observed values."""
    if student.labels is None:
        y = finite_values(y)
        check_consistent_length(X, y)
        return y
    order = np.argsort(student.labels)
    codes = encode_observed(student.estimator, y, X, student.labels[order])
    if (codes < 0).any():
        raise ValueError(
            f"y marks {np.sum(codes < 0)} of {len(codes)} rows as unlabelled (-1). Pass rows with "
            "an observed class, or no y at all for the part of the report that needs none."
        )
    return order[codes]


def _column_names(X, estimator):
    known = None if is_frame(X) else getattr(estimator, "feature_names_in_", None)
    return table_names(X) if known is None else [str(name) for name in known]


def _limitations(models, kind, classes, y):
    """Yield what cannot be said, and why."""
    if "teacher" not in models:
        yield (
            "No teacher: fidelity and the comparison with the teacher are left out. The model "
            "holds none (a student alone, or labels that came from `memory`): pass teacher=."
        )
    if y is None:
        yield (
            "No y: scores, and whether the student is as good as its teacher, are left out. Pass "
            "the observed classes or values."
        )
    elif kind != "regression" and len(np.unique(y)) < len(classes):
        absent = np.delete(classes, np.unique(y)).tolist()
        yield (
            f"y has no row of {absent}: scores that need every class (ROC-AUC, average precision) "
            "are left out."
        )
    if "baseline" not in models:
        yield (
            "No baseline: whether distillation helped is left out. Pass baseline=, the same "
            "student fitted on the observed labels alone, such as "
            "clone(student).fit(X_train, y_train)."
        )


def _check_kind_of_task(kind, given):
    passed = [name for name, value in given.items() if value is not None]
    if passed and kind != "binary":
        raise ValueError(
            f"{', '.join(passed)} were passed with a {kind} task; they are for two classes, such "
            "as fraud and legitimate payments."
        )


def _of_common_frauds(classes, y):
    if 2 * np.mean(y) > 1:
        yield (
            f"{classes[1]!s}, the second class, was taken for fraud, and most rows are of it. If "
            f"fraud is {classes[0]!s}, use decision_report with pos_label."
        )


def _of_few_days(payments):
    if payments.day is not None and payments.n_days < FEWEST_CLUSTERS:
        yield (
            f"There are {payments.n_days} days, which is too few to say how much days vary: scores "
            "of a day's top k have no interval."
        )
