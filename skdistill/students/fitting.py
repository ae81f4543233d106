"""Check a student, and fit it on a transfer set: one of skdistill, another one, or a pipeline."""

from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.pipeline import Pipeline

from skdistill.columns import take_rows
from skdistill.estimators import (
    as_last_step_sees,
    last_step,
    refuse_frozen,
    seeds_of,
    weight_params,
)
from skdistill.messages import refuse_class
from skdistill.progress import SILENT
from skdistill.soft_labels import margins_from_decision
from skdistill.students.base import Student, StudentClassifier, StudentRegressor, stated
from skdistill.students.column_selector import ColumnSelector
from skdistill.students.kinds import CLASSIFIERS, names_of
from skdistill.students.soft_label_classifier import SoftLabelClassifier
from skdistill.verbose import note


def check_student(student, kind):
    """Raise unless a student is a classifier with probabilities, or a regressor, not frozen.

    The parameters of the students of this package are checked as well.
    """
    refuse_class(student, "student")
    refuse_frozen(student, "student")
    last = last_step(student)
    name = type(last).__name__
    if kind == "regressor":
        if not (hasattr(last, "__sklearn_tags__") and is_regressor(last)):
            raise TypeError(
                f"student is {name}, which is no regressor; a regressor was expected, such as "
                "TreeStudentRegressor()."
            )
    elif not (
        hasattr(last, "__sklearn_tags__")
        and is_classifier(last)
        and hasattr(last, "fit")
        and hasattr(last, "predict_proba")
    ):
        raise TypeError(
            f"student is {name}, which is no classifier with predict_proba; one was expected, such "
            "as TreeStudentClassifier()."
        )
    elif not hasattr(last, "distill"):
        weight_params(last, np.ones(1))
    elif isinstance(last, SoftLabelClassifier):
        refuse_frozen(last.estimator, "student.estimator")
    if isinstance(last, Student):
        last._validate_params()


def check_can_learn(student, loss, hints):
    """Raise ValueError unless a student can minimise a loss, and follow hints."""
    last = last_step(student)
    name = type(last).__name__
    if loss not in stated(last, "losses"):
        able = names_of(kind for kind in CLASSIFIERS if loss in kind.losses)
        raise ValueError(
            f"loss={loss!r} was passed with the student {name}, which cannot minimise it; {able} "
            "can. Use one of those as the student, or loss='kl'."
        )
    for hint in hints:
        if not stated(last, "follows_hints"):
            able = names_of(kind for kind in CLASSIFIERS if kind.follows_hints)
            raise ValueError(
                f"{type(hint).__name__} was passed with the student {name}, which has no hidden "
                f"layer to follow hints; {able} has. Use that as the student, or hints=()."
            )
        hint.check_student(student)


def learns_unknown_levels(student):
    """Tell whether a student encodes raw columns itself, so that it can learn unknown levels."""
    if isinstance(student, Pipeline):
        *before, (_, last) = student.steps
        keeps_columns = all(isinstance(step, ColumnSelector) for _, step in before)
        return keeps_columns and isinstance(last, StudentClassifier)
    return isinstance(student, StudentClassifier | StudentRegressor)


def distill_classifier(student, transfer_set, temperature, alpha, generations=1, task=SILENT):
    """Fit a clone of a classifier student, or of a pipeline that ends in one, on a transfer set.

    The other steps of a pipeline are fitted on the labelled rows; where there are none, on the
    unlabelled ones. Classifiers that are not of skdistill are wrapped in `SoftLabelClassifier`.
    Each of the generations but the first learns from the one before; each is a part of `task`.
    """
    fitted = _distill_once(student, transfer_set, temperature, alpha, task)
    for generation in range(1, generations):
        margins = margins_from_decision(fitted.decision_function(transfer_set.X))
        from_student = replace(transfer_set, margins=margins, hints=())
        fitted = _distill_once(
            _of_generation(student, generation), from_student, temperature, alpha, task
        )
    return fitted


def _distill_once(student, transfer_set, temperature, alpha, task):
    if isinstance(student, Pipeline):
        labelled = transfer_set.origin == 0
        pipeline = clone(student)
        if len(pipeline.steps) > 1:
            transformers = Pipeline(pipeline.steps[:-1])
            if labelled.any():
                y = transfer_set.classes[transfer_set.y[labelled]]
                transformers.fit(take_rows(transfer_set.X, labelled), y)
            else:
                transformers.fit(take_rows(transfer_set.X, transfer_set.origin == 1))
            pipeline.steps[:-1] = transformers.steps
            transfer_set = transfer_set.with_X(transformers.transform(transfer_set.X))
        name, last = pipeline.steps[-1]
        fitted = _distill_once(last, transfer_set, temperature, alpha, task)
        pipeline.steps[-1] = (name, fitted)
        return pipeline
    student = clone(student) if hasattr(student, "distill") else SoftLabelClassifier(student)
    with task.part("fit-student", by=student):
        note(_name(student))
        return student.distill(transfer_set, temperature, alpha)


def _name(student):
    last = last_step(student)
    return type(last.estimator if isinstance(last, SoftLabelClassifier) else last).__name__


def _of_generation(student, generation):
    """Return a clone of a student with other seeds than in the first generation."""
    seeds = {
        name: int(seed) + generation
        for name, seed in seeds_of(student).items()
        if isinstance(seed, Integral)
    }
    return clone(student).set_params(**seeds)


def distill_classifier_further(student, transfer_set, temperature, alpha, task=SILENT):
    """Train a fitted student with ``partial_distill`` further; see `distill_classifier`."""
    transfer_set = transfer_set.with_X(as_last_step_sees(student, transfer_set.X))
    last = last_step(student)
    with task.part("fit-student", by=last):
        note(_name(last))
        last.partial_distill(transfer_set, temperature, alpha)


def distill_regressor(student, transfer_set, alpha, task=SILENT):
    """Fit a clone of any regressor on a transfer set; see `distill_classifier`.

    The weight of the teacher's predictions is alpha, in [0, 1].
    """
    X, values, params, real = _values_to_fit(student, transfer_set, alpha)
    fitted = clone(student)
    with task.part("fit-student", by=fitted):
        note(_name(fitted))
        if isinstance(student, StudentRegressor):
            return fitted.fit_rows(X, values, real=real, **params)
        return fitted.fit(X, values, **params)


def distill_regressor_further(student, transfer_set, alpha):
    """Train a fitted regressor with ``partial_fit`` further, on another transfer set."""
    transfer_set = transfer_set.with_X(as_last_step_sees(student, transfer_set.X))
    student = last_step(student)
    X, values, params, _ = _values_to_fit(student, transfer_set, alpha)
    student.partial_fit(X, values, **params)


def _values_to_fit(student, transfer_set, alpha):
    """Return rows of positive weight, values, keywords for weights, and which rows are real."""
    values, weight = transfer_set.blended_values(alpha)
    used = weight > 0
    same_weight = np.ptp(weight[used]) == 0  # then regressors need not take weights
    params = {} if same_weight else weight_params(student, weight[used])
    X = transfer_set.X if used.all() else take_rows(transfer_set.X, used)
    return X, values[used], params, transfer_set.is_real[used]
