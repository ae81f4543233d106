"""What a report is computed from: models, rows, and what the models answered."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import _check_y, check_consistent_length

from skdistill.columns import is_frame, table_names
from skdistill.estimators import as_last_step_sees, last_step
from skdistill.fidelity import check_top_k
from skdistill.models import as_peer, student_and_teacher
from skdistill.report.fidelity.groups import check_groups
from skdistill.rows import check_weights, encode_observed
from skdistill.teacher.honest import is_training_matrix

#: Share of rows known from training, beyond what chance explains, that is reported.
SEEN_TOLERANCE = 0.01


@dataclass(frozen=True)
class Case:
    """Models and rows, checked, with the answers.

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
    answers : dict of str to ndarray of shape (n_samples, n_classes) or (n_samples, 1)
        Probabilities, or predictions, by role.
    limitations : tuple of str
        What cannot be said, and why.
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
    answers: dict
    limitations: tuple

    @property
    def n_samples(self):
        """Number of rows."""
        return self.X.shape[0]


def make_case(model, X, y, *, teacher, baseline, sample_weight, groups, top_k):
    """Check models and rows, and ask the models.

    Parameters
    ----------
    model, teacher, baseline : estimator
        See `fidelity_report`.
    X, y, sample_weight, groups, top_k : object
        See `fidelity_report`.

    Returns
    -------
    case : Case
        All that a report needs.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        As `fidelity_report` says.
    """
    student, teacher = student_and_teacher(model, teacher)
    models = {"student": student}
    if teacher is not None:
        models["teacher"] = teacher
    if baseline is not None:
        models["baseline"] = as_peer(baseline, "baseline", student)
    kind = student.kind
    if kind != "regression" and len(student.labels) == 1:
        raise ValueError(
            f"The student {student.name} knows one class only, {student.labels.tolist()}; a report "
            "needs two or more."
        )
    if not (is_frame(X) or hasattr(X, "tocsr")):
        X = check_array(X, dtype=None, ensure_all_finite=False, input_name="X")
    if X.shape[0] < 2:
        raise ValueError("X has one row; at least two are needed to compare models.")
    y = None if y is None else _observed(student, y, X)
    weight = check_weights(sample_weight, X)
    top_k = max(1, min(100, X.shape[0] // 10)) if top_k is None else top_k
    check_top_k(top_k, X.shape[0])
    groups = check_groups(groups, X.shape[0])
    limitations = [*_limitations(models, kind, student.labels, y)]
    if seen := _seen_rows(model, teacher, X):
        warnings.warn(seen, UserWarning, stacklevel=4)  # at the caller of fidelity_report
        limitations.append(seen)
    return Case(
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
        answers={role: each.answers(X, student.labels) for role, each in models.items()},
        limitations=tuple(limitations),
    )


def _observed(student, y, X):
    """Return observed classes as column numbers, or observed values."""
    if student.labels is None:
        y = _check_y(y, y_numeric=True).astype(np.float64)
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


def _seen_rows(model, teacher, X):
    """Say that the models were fitted on rows of X, or return None."""
    model = getattr(model, "best_estimator_", model)
    distiller = last_step(model)
    which = None
    if hasattr(distiller, "_seen_rows"):
        share = distiller._seen_rows.excess_in(as_last_step_sees(model, X))
        if share > SEEN_TOLERANCE:
            which = f"About {share:.0%} of the rows of X"
    elif teacher is not None and is_training_matrix(teacher.estimator, X):
        which = "The rows of X"
    if which is None:
        return None
    return (
        f"{which} are rows that teacher and student were fitted on. There the teacher knows the "
        "answers, so the figures of this report are too good. Pass rows that nobody was fitted on."
    )
