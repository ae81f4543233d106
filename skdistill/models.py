"""The models of a report: student and teacher, what each predicts, and rows they were fitted on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree
from sklearn.utils.validation import check_is_fitted

from skdistill.columns import as_models_take, require_table
from skdistill.estimators import as_last_step_sees, last_step, transformers_of
from skdistill.messages import refuse_class, shown, warn_caller
from skdistill.students.base import stated
from skdistill.teacher.asking import ask, is_fitted, is_fitted_instance
from skdistill.teacher.fitting import check_teacher_columns
from skdistill.teacher.margins import align_probabilities, check_predictions, check_probabilities
from skdistill.teacher.training_rows import Proof, proof_of_training_rows
from skdistill.teacher.vendors import vendor_of
from skdistill.verbose import note, stage

#: Largest share of rows known from fit, beyond what chance explains, that is not reported.
SEEN_TOLERANCE = 0.01


@dataclass(frozen=True)
class Model:
    """A fitted model that predicts for rows as the user has them.

    Attributes
    ----------
    estimator : estimator
        The fitted estimator, a Pipeline if rows have to be transformed first.
    labels : ndarray of shape (n_labels,) or None
        Class label of every column of its ``predict_proba``; None for a regressor.
    shift : ndarray of shape (n_classes,) or None
        What a distiller added to the margins of this teacher, per class; None for none.
    """

    estimator: Any
    labels: np.ndarray | None
    shift: np.ndarray | None = None

    @property
    def name(self):
        """Name of the class that does the predicting."""
        return type(last_step(self.estimator)).__name__

    @property
    def kind(self):
        """Its task: "binary", "multiclass" (also with one class) or "regression"."""
        if self.labels is None:
            return "regression"
        return "binary" if len(self.labels) == 2 else "multiclass"

    def answers(self, X, classes):
        """Ask the model.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.
        classes : ndarray of shape (n_classes,) or None
            Classes in the order of the columns wanted; None in regression.

        Returns
        -------
        answers : ndarray of shape (n_samples, n_classes) or (n_samples, 1)
            Probabilities, 0 for classes the model does not know; predictions in regression.

        Raises
        ------
        TypeError
            If X is no table.
        ValueError
            If X has not two dimensions, or the model's answers are not finite, or no probabilities.
        """
        require_table(X)
        if classes is None:
            return check_predictions(self.estimator, ask(self.estimator, "predict", X))
        proba = ask(self.estimator, "predict_proba", X)
        proba = check_probabilities(self.estimator, proba, self.labels)
        proba = align_probabilities(proba, self.labels, classes)
        if self.shift is None or not self.shift.any():
            return proba
        proba = proba * np.exp(self.shift - self.shift.max())
        return proba / proba.sum(axis=1, keepdims=True)


def student_and_teacher(model, teacher=None):
    """Find the deployed student, and the teacher if it is there.

    Parameters
    ----------
    model : estimator
        A fitted distiller, a Pipeline that ends in one, a search over either, or any fitted
        classifier or regressor, which then is the student.
    teacher : estimator or None, default=None
        A fitted teacher; None for the one of the distiller.

    Returns
    -------
    student : Model
        What goes to production; it holds no reference to the teacher.
    teacher : Model or None
        None if there is none: the model is no distiller, or its labels came from a cache.

    Raises
    ------
    NotFittedError
        If the model, or a teacher that was passed, is not fitted.
    TypeError
        If one of the two is a classifier and the other a regressor, or neither.
    ValueError
        If the teacher that was passed is the student itself, or what holds it.
    """
    _check_estimator(model, "model")
    model = getattr(model, "best_estimator_", model)
    check_is_fitted(model)
    model = model.estimator if isinstance(model, FrozenEstimator) else model
    distiller = last_step(model)
    if not hasattr(distiller, "student_"):
        student = as_model(model, "model")
        return student, None if teacher is None else as_teacher(teacher, student)
    student = as_model(_in_place_of_last(model, distiller.student_), "model")
    if teacher is not None:
        return student, as_teacher(teacher, student)
    inside = distiller._teacher  # None if the labels came from a cache
    if inside is None:
        return student, None
    return student, Model(
        _in_place_of_last(model, inside.estimator),
        getattr(inside, "labels", None),
        getattr(distiller, "margin_shift_", None),
    )


def check_order(teacher, student):
    """Refuse, or warn, if teacher and student are swapped: a small model and an ensemble.

    Parameters
    ----------
    teacher, student : estimator
        As users pass them.

    Raises
    ------
    ValueError
        If the ensemble is fitted: as a student it would lose that.

    Warns
    -----
    UserWarning
        If it is not. This may be intended, where only one kind of model can be deployed.
    """
    small, large = last_step(teacher), last_step(student)
    is_readable = isinstance(small, BaseDecisionTree) or stated(small, "is_readable")
    if not (is_readable and vendor_of(large).is_ensemble(large)):
        return
    names = type(small).__name__, type(large).__name__
    message = (
        f"teacher is the single model {names[0]} and student the ensemble {names[1]}: that distils "
        "a small model into a large one, which can at best repeat it. The teacher comes first, "
        f"then the student: pass the {names[1]} as teacher and the {names[0]} as student."
    )
    if is_fitted(large):
        raise ValueError(message)
    warn_caller(message)


def as_model(estimator, role):
    """Wrap a fitted classifier or regressor.

    Parameters
    ----------
    estimator : estimator or Model
        A classifier with ``predict_proba``, or a regressor; a `Model` is returned unchanged.
    role : str
        What messages call it.

    Returns
    -------
    model : Model
        The wrapped estimator.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is neither.
    """
    if isinstance(estimator, Model):
        return estimator
    _check_estimator(estimator, role)
    if not is_fitted(estimator):
        check_is_fitted(last_step(estimator))
    if hasattr(estimator, "predict_proba"):
        return Model(estimator, np.asarray(estimator.classes_))
    if not is_regressor(estimator):
        raise TypeError(
            f"{role} is a {type(last_step(estimator)).__name__}, which has no predict_proba and is "
            "no regressor. Probabilities or predicted values are what is compared."
        )
    return Model(estimator, None)


def _check_estimator(estimator, role):
    """Raise if something else was passed, such as the rows, or a class."""
    refuse_class(estimator, role)
    if not hasattr(estimator, "predict") or not hasattr(estimator, "fit"):
        of_order = " The model comes first, then the rows or the path." if role == "model" else ""
        raise TypeError(
            f"{role} is {shown(estimator)}; a fitted estimator was expected: a distiller, a "
            f"classifier with predict_proba or a regressor.{of_order}"
        )


def answers_of(models, X, labels):
    """Ask models, as a stage of `verbose`; see `Model.answers`.

    Parameters
    ----------
    models : dict of str to Model
        By role.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows.
    labels : ndarray of shape (n_classes,) or None
        Classes, one per column of the answers; None in regression.

    Returns
    -------
    answers : dict of str to ndarray of shape (n_samples, n_classes) or (n_samples, 1)
        By role.
    """
    with stage("ask-models"):
        note(f"{', '.join(model.name for model in models.values())} on {X.shape[0]:,} rows")
        return {role: model.answers(X, labels) for role, model in models.items()}


def as_peer(estimator, role, student):
    """Wrap a fitted model that is compared with a student; see `as_model`.

    Raises
    ------
    TypeError
        If one of the two is a classifier and the other a regressor.
    """
    model = as_model(estimator, role)
    if (model.labels is None) != (student.labels is None):
        kinds = ["regressor" if each.labels is None else "classifier" for each in (model, student)]
        raise TypeError(
            f"The {role} {model.name} is a {kinds[0]} and the student {student.name} a {kinds[1]}; "
            "both must be of one kind."
        )
    return model


def as_teacher(estimator, student):
    """Wrap the teacher that a student is compared with; see `as_peer` and `_refuse_itself`."""
    model = as_peer(estimator, "teacher", student)
    _refuse_itself(model, "teacher", student, "Pass the model that it was distilled from")
    return model


def models_by_role(model, teacher=None, baseline=None):
    """Return the student, and the teacher and the baseline if there are any, by role.

    The teacher is the one that was passed, or the distiller's, see `student_and_teacher`.
    """
    student, teacher = student_and_teacher(model, teacher)
    models = {"student": student}
    if teacher is not None:
        models["teacher"] = teacher
    if baseline is not None:
        models["baseline"] = as_baseline(baseline, student)
    return models


def as_baseline(estimator, student):
    """Wrap the same student fitted on hard labels; see `as_peer` and `_refuse_itself`."""
    model = as_peer(estimator, "baseline", student)
    cure = (
        "Pass the same student fitted on the observed labels alone, such as "
        "clone(model.student).fit(X_train, y_train)"
    )
    _refuse_itself(model, "baseline", student, cure)
    return model


def _refuse_itself(model, role, student, cure):
    """Refuse to compare a student with itself.

    Raises
    ------
    ValueError
        If the model is the student itself, or the distiller that holds it.
    """
    inside = last_step(getattr(model.estimator, "best_estimator_", model.estimator))
    own = last_step(student.estimator)
    if own is inside or own is getattr(inside, "student_", None):
        raise ValueError(
            f"{role} is the {student.name} that is reported on itself, so that they cannot "
            f"differ. {cure}."
        )


def _in_place_of_last(model, estimator):
    """Return the estimator behind the transformers of a fitted pipeline, if there are any."""
    if isinstance(model, FrozenEstimator):
        return _in_place_of_last(model.estimator, estimator)
    if not isinstance(model, Pipeline):
        return estimator
    name, last = model.steps[-1]
    inner, before = _in_place_of_last(last, estimator), transformers_of(model)
    return Pipeline([*before, (name, inner)]) if before else inner


@dataclass(frozen=True)
class SeenRowsFinding:
    """What is known about rows that models were fitted or recalibrated on.

    Attributes
    ----------
    sentence : str
        In words.
    is_shown : bool
        Whether models were fitted on the rows; False if that cannot be known.
    """

    sentence: str
    is_shown: bool


def limits_of_seen_rows(model, teacher, X):
    """Return the sentence of `find_seen_rows` as a list of limitations, empty if there is none."""
    seen = find_seen_rows(model, teacher, X)
    return [] if seen is None else [seen.sentence]


def find_seen_rows(model, teacher, X, consequence="the figures of this report are too good"):
    """Warn if models were fitted or recalibrated on rows, and return what is known about that.

    Parameters
    ----------
    model : estimator
        The student, or what has distilled it.
    teacher : Peer or None
        The teacher, if it is compared.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        The rows.
    consequence : str, default="the figures of this report are too good"
        What that does to the figures computed from the rows.

    Returns
    -------
    seen : SeenRowsFinding or None
        None if no model was. If the rows of a teacher that was passed fitted are unknown, it says
        so, without a warning.
    """
    X = as_models_take(X)
    if teacher is not None:
        check_teacher_columns(teacher.estimator, X)
    model = getattr(model, "best_estimator_", model)
    distiller = last_step(model)
    distiller = getattr(distiller, "best_estimator_", distiller)
    fitted, recalibrated = _shares_seen(distiller, model, X)
    of_student = fitted > SEEN_TOLERANCE
    if not hasattr(distiller, "student_"):
        of_student = proof_of_training_rows(model, X) is Proof.PROVED
    proof = Proof.REFUTED
    if teacher is not None and not _has_fitted(distiller, teacher):
        proof = proof_of_training_rows(teacher.estimator, X)
    elif teacher is not None and of_student:
        proof = Proof.PROVED
    if of_student or proof is Proof.PROVED:
        which = f"About {fitted:.0%} of the rows of X" if fitted > SEEN_TOLERANCE else "Rows of X"
        who, why = "the student was", "it has learned the teacher's answers"
        if not hasattr(distiller, "student_") and teacher is None:
            who, why = "the model was", "it knows the answers"
        if proof is Proof.PROVED:
            who = "teacher and student were" if of_student else "the teacher was"
            why = "the teacher knows the answers"
        return _warned(f"{which} are rows that {who} fitted on. There {why}, so {consequence}.")
    if recalibrated > SEEN_TOLERANCE:
        return _warned(
            f"About {recalibrated:.0%} of the rows of X are rows that the student was recalibrated "
            f"on. Its probabilities were made to fit there, so {consequence}."
        )
    if proof is Proof.UNKNOWN:
        return SeenRowsFinding(
            "It cannot be known whether the teacher was fitted on rows of X. If it was, its "
            "figures, and the student's fidelity to it, are those on training rows.",
            is_shown=False,
        )
    return None


def _shares_seen(distiller, model, X):
    """Return the shares of rows that a distiller was fitted, and recalibrated on."""
    if not hasattr(distiller, "_seen_rows"):
        return 0.0, 0.0
    rows = as_last_step_sees(model, X)
    sketches = distiller._seen_rows, getattr(distiller, "_recalibrated_on", None)
    return tuple(0.0 if sketch is None else sketch.excess_in(rows) for sketch in sketches)


def _warned(seen):
    """Warn, and return what the report says."""
    seen += " Pass rows that no model was fitted on."
    warn_caller(seen)
    return SeenRowsFinding(seen, is_shown=True)


def _has_fitted(distiller, teacher):
    """Tell whether a distiller has fitted the teacher itself, on rows that it remembers."""
    is_its_own = getattr(distiller, "teacher_", None) is teacher.estimator
    return is_its_own and not is_fitted_instance(distiller.teacher)
