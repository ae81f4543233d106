"""A fitted teacher in, checked margins out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skdistill.columns import take_rows
from skdistill.estimators import as_last_step_sees, by_label, last_step
from skdistill.soft_labels import margins_from_decision, margins_from_proba, proba_from_margins
from skdistill.teacher.asking import ask
from skdistill.teacher.vendors import vendor_of

#: Rows on which raw scores are compared with predict_proba before they are trusted.
PROBE_ROWS = 256

#: Largest difference between softmax(raw scores) and predict_proba for scores to be trusted.
RAW_SCORE_TOLERANCE = 1e-5

#: Resolution of the probabilities of a classifier that does not average, as a number of votes.
DEFAULT_VOTES = 1000


@dataclass(frozen=True)
class Answers:
    """What a teacher predicts for some rows, before its prior is corrected.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_classes)
        Probabilities if there is a floor, else margins; predictions in regression.
    floor : ndarray of shape (n_classes,) or None
        The smallest probability of each class that differs from zero; None for margins.
    """

    values: np.ndarray
    floor: np.ndarray | None = None

    def margins(self, shift=None):
        """Turn predictions into margins; `shift`, added to every row, corrects for the prior.

        What lies below the floor is raised to it after the correction: then it is relative to the
        base rate of the class, not to that among the rows the teacher was fitted on.
        """
        shift = np.zeros(self.values.shape[1]) if shift is None else shift
        if self.floor is None:
            margins = self.values + shift
        else:
            margins = margins_from_proba(self.values, self.floor * np.exp(-shift)) + shift
        return margins_from_decision(margins[:, 1] - margins[:, 0]) if len(shift) == 2 else margins


def join_answers(parts, rows):
    """Join the predictions for parts of the rows; `rows` are the row numbers of each part."""
    floors = [part.floor for part in parts]
    floor = next((floor for floor in floors if floor is not None), None)
    values = np.empty((sum(len(part.values) for part in parts), parts[0].values.shape[1]))
    for part, numbers in zip(parts, rows, strict=True):
        is_mixed = part.floor is None and floor is not None
        values[numbers] = proba_from_margins(part.values) if is_mixed else part.values
    return Answers(values, floor)


@dataclass(frozen=True)
class ClassifierTeacher:
    """A fitted classifier that predicts margins over the classes of a distillation.

    Attributes
    ----------
    estimator : estimator
        The fitted classifier.
    labels : ndarray of shape (n_labels,)
        Label of every column of its ``predict_proba``.
    classes : ndarray of shape (n_classes,)
        Classes of the distillation, in order; the classifier may know fewer or more.
    class_prior : ndarray of shape (n_classes,)
        Positive shares of the classes among the labelled rows.
    shift : ndarray of shape (n_classes,) or None
        Added to its margins: the correction of its prior, None for none.
    """

    estimator: Any
    labels: np.ndarray
    classes: np.ndarray
    class_prior: np.ndarray
    shift: np.ndarray | None = None

    def margins(self, X):
        """Return the margins of rows, corrected for the prior: `answers` and the shift."""
        return self.answers(X).margins(self.shift)

    def answers(self, X):
        """Ask the classifier: its raw scores where their softmax is ``predict_proba``, else that.

        Those of a `MultiTeacher` are pooled. A ValueError is raised if it does not return one
        distribution over its labels per row.
        """
        knows_all = np.array_equal(self.labels, self.classes)
        last = last_step(self.estimator)
        if knows_all and hasattr(last, "pooled_answers"):
            return last.pooled_answers(as_last_step_sees(self.estimator, X), self.class_prior)
        if knows_all and self._has_raw_scores(X):
            return Answers(margins_from_decision(raw_scores(self.estimator, X)))
        return self.answers_of(ask(self.estimator, "predict_proba", X))

    def answers_of(self, proba):
        """Check probabilities over the labels, or averages of them, and align them to the classes.

        A probability of zero, or of a class the classifier has never seen, is raised to
        ``class_prior / (votes + 1)``, where votes is the number of averaged members: the smallest
        share that they can tell from zero, at the base rate of the class.
        """
        proba = check_probabilities(self.estimator, proba, self.labels)
        if len(self.classes) == 1:
            return Answers(np.zeros((len(proba), 1)))
        aligned = align_probabilities(proba, self.labels, self.classes)
        return Answers(aligned, self.class_prior / (count_votes(self.estimator) + 1))

    def margins_of(self, proba):
        """Turn probabilities over the labels into margins over the classes; see `answers_of`."""
        return self.answers_of(proba).margins(self.shift)

    def _has_raw_scores(self, X):
        """Compare softmax(raw scores) with ``predict_proba`` on some rows."""
        some = take_rows(X, np.arange(min(X.shape[0], PROBE_ROWS)))
        scores = raw_scores(self.estimator, some)
        if scores is None:
            return False
        proba = by_label(self.estimator, ask(self.estimator, "predict_proba", some), self.labels)
        margins = margins_from_decision(scores)
        if margins.shape != np.shape(proba) or not np.isfinite(margins).all():
            return False
        return np.abs(proba_from_margins(margins) - proba).max() <= RAW_SCORE_TOLERANCE


@dataclass(frozen=True)
class RegressorTeacher:
    """A fitted regressor; with the identity link its predictions are its margins.

    Attributes
    ----------
    estimator : estimator
        The fitted regressor.
    """

    estimator: Any

    def margins(self, X):
        """Return predictions of shape (n_samples, 1), float64."""
        return self.margins_of(ask(self.estimator, "predict", X))

    def answers(self, X):
        """Return predictions as `Answers`."""
        return self.answers_of(ask(self.estimator, "predict", X))

    def answers_of(self, predictions):
        """Check predictions and return them as `Answers`."""
        return Answers(self.margins_of(predictions))

    def margins_of(self, predictions):
        """Check predictions and return them with shape (n_samples, 1), float64."""
        return check_predictions(self.estimator, predictions)


def raw_scores(estimator, X):
    """Return the scores that a classifier has before the link, None if it has none.

    Their shape is (n_samples,) or (n_samples, n_classes). Whether they are log-odds is for the
    caller to check: a ``decision_function`` need not be.
    """
    last = last_step(estimator)
    if hasattr(last, "decision_function"):
        return ask(estimator, "decision_function", X)
    options = vendor_of(last).raw_score_options
    return None if options is None else ask(estimator, "predict", X, **options)


def count_votes(estimator):
    """Return how many members a fitted classifier averages: its resolution of probabilities."""
    last = last_step(estimator)
    averages = hasattr(last, "estimators_") and hasattr(last, "bootstrap")
    return len(last.estimators_) if averages else DEFAULT_VOTES


def remembered_prior(estimator):
    """Return the shares of the classes that a forest or tree was grown on, None if not known."""
    last = last_step(estimator)
    return vendor_of(last).class_prior(last)


def check_probabilities(estimator, proba, labels):
    """Return the result of ``predict_proba`` as float64 of shape (n_samples, n_labels).

    It must be one finite, non-negative row per sample that sums to 1, one column per label.
    """
    name, n_labels = _name(estimator), len(labels)
    proba = by_label(estimator, proba, labels)
    if n_labels == 1 and proba.ndim == 2:
        return np.ones((len(proba), 1))  # some ensembles return two columns here
    if proba.ndim != 2 or proba.shape[1] != n_labels:
        raise ValueError(
            f"predict_proba of the teacher {name} returned an array of shape {proba.shape}; "
            f"(n_samples, {n_labels}) was expected, one column per class."
        )
    if not np.isfinite(proba).all():
        raise ValueError(
            f"predict_proba of the teacher {name} returned NaN or infinity for "
            f"{(~np.isfinite(proba).all(axis=1)).sum()} of {len(proba)} rows; probabilities were "
            "expected. Check what it does with missing values."
        )
    if (proba < 0).any():
        raise ValueError(
            f"predict_proba of the teacher {name} returned negative values, down to "
            f"{proba.min():.3g}; probabilities were expected. If these are logits or log-odds, "
            "wrap the model so that it returns their softmax."
        )
    row_sums = proba.sum(axis=1)
    if len(proba) and np.abs(row_sums - 1.0).max() > 1e-3:
        worst = row_sums[np.argmax(np.abs(row_sums - 1.0))]
        raise ValueError(
            f"predict_proba of the teacher {name} returned a row that sums to {worst:.4g}; 1 was "
            "expected. Normalise its rows, or wrap the model so that they are."
        )
    if np.array_equal(np.round(row_sums, 9), np.ones(len(row_sums))):
        return proba  # dividing would only make or break ties by rounding
    return proba / row_sums[:, None]


def align_probabilities(proba, labels, classes):
    """Put columns, one per label, in the order of the classes; 0 for a class without one."""
    if np.array_equal(labels, classes):
        return proba
    aligned = np.zeros((len(proba), len(classes)))
    position = {label: k for k, label in enumerate(classes.tolist())}
    for column, label in zip(proba.T, labels.tolist(), strict=True):
        if label in position:
            aligned[:, position[label]] = column
    return aligned


def check_predictions(estimator, predictions):
    """Return the predictions of a regressor as float64 of shape (n_samples, 1), all finite."""
    values = np.asarray(predictions, dtype=np.float64).reshape(len(predictions), -1)
    if values.shape[1] != 1:
        raise ValueError(
            f"The teacher {_name(estimator)} predicted {values.shape[1]} values per row; "
            "one was expected. Regressors with several outputs cannot be distilled."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"The teacher {_name(estimator)} predicted NaN or infinity for "
            f"{(~np.isfinite(values)).sum()} of {len(values)} rows; finite numbers were "
            "expected. Check what it does with missing values."
        )
    return values


def _name(estimator):
    return type(last_step(estimator)).__name__
