"""What metrics, costs and bands are given, checked: classes, scores, days, entities, amounts."""

import re

import numpy as np

from skdistill.messages import shown, warn_caller
from skdistill.rows import check_weights
from skdistill.scorer.cells import is_missing
from skdistill.sklearn_private import check_pos_label

__all__ = [
    "check_amounts",
    "check_both_classes",
    "check_days",
    "check_entities",
    "check_k",
    "check_positives",
    "check_probabilities",
    "check_ranked",
    "check_scores",
    "positive_column",
    "rows_by_day",
    "warn_of_classes",
]

#: What scores are, for messages.
OF_MODEL = "model.predict_proba(X)[:, 1]"

#: Fewer scores that are all 0 or 1 may be chance.
FEWEST_SCORES = 30


def check_ranked(y_true, y_score, pos_label, sample_weight):
    """Check what a ranking metric is given; both classes must occur.

    Returned are 1.0 for rows of the positive class, else 0.0, finite scores, and weights.
    """
    positive = check_positives(y_true, pos_label)
    score = check_scores(y_score, len(positive))
    warn_of_classes(score, "y_score")
    weight = check_weights(sample_weight, score)
    check_both_classes(positive, weight)
    return positive, score, weight


def check_both_classes(positive, weight):
    """Raise unless rows of both classes have a weight."""
    found = np.unique(positive[weight > 0])
    if len(found) < 2:
        only = "positive" if found.any() else "negative"
        raise ValueError(
            f"Every row of y_true is {only}, so that there is nothing to distinguish. Pass rows of "
            "both classes; in a cross-validation, stratified folds, and fewer of them."
        )


def check_positives(y_true, pos_label=None, name="y_true", n_samples=None):
    """Return 1.0 for rows of the positive class and 0.0 for those of the other."""
    y_true = _as_array(y_true, name, "the observed class of each row")
    if y_true.ndim != 1:
        raise ValueError(f"{name} has shape {y_true.shape}; one class per row was expected.")
    if n_samples is not None:
        _check_length(y_true, n_samples, name)
    if len(y_true) == 0:
        raise ValueError(f"{name} is empty; the observed class of at least one row was expected.")
    _refuse_missing(y_true, name, "Pass rows with an observed class.")
    classes = np.unique(y_true)
    if len(classes) > 2:
        raise ValueError(
            f"{name} holds {len(classes)} classes, {classes[:5].tolist()}...; two were expected: "
            "fraud and legitimate."
        )
    pos_label = check_pos_label(pos_label, y_true)
    if len(classes) == 2 and pos_label not in classes.tolist():
        raise ValueError(f"pos_label={pos_label!r} is none of the classes {classes.tolist()}.")
    return (y_true == pos_label).astype(np.float64)


def positive_column(classes, pos_label=None):
    """Return the position of the positive class among those of a model; None is a regressor's."""
    if classes is None:
        raise ValueError("The model is a regressor; a classifier of two classes was expected.")
    labels = np.asarray(classes).tolist()
    if len(labels) != 2:
        raise ValueError(
            f"The model has the classes {labels}; two were expected: fraud and legitimate."
        )
    pos_label = check_pos_label(pos_label, np.asarray(classes))
    if np.ndim(pos_label) or pos_label not in labels:
        raise ValueError(f"pos_label={shown(pos_label)} is none of the classes {labels}.")
    return labels.index(pos_label)


def check_scores(scores, n_samples=None, name="y_score"):
    """Return finite scores of shape (n_samples,) as float64."""
    what = "the amount of each row" if name == "amounts" else OF_MODEL
    scores = _as_array(scores, name, what)
    if scores.ndim != 1:
        raise ValueError(
            f"{name} has shape {scores.shape}; one number per row was expected: {what}."
        )
    try:
        scores = scores.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} holds {shown(scores[0])}, which is no number; one number per row was "
            f"expected: {what}."
        ) from None
    if n_samples is not None:
        _check_length(scores, n_samples, name)
    if not np.isfinite(scores).all():
        raise ValueError(
            f"{name} is NaN or infinite on {np.sum(~np.isfinite(scores))} of {len(scores)} rows. "
            "Rows without a score cannot be ranked or decided: find out why the model gave none."
        )
    return scores


def check_probabilities(scores, n_samples=None, name="scores"):
    """Return probabilities of shape (n_samples,)."""
    scores = check_scores(scores, n_samples, name)
    if len(scores) and not (scores.min() >= 0 and scores.max() <= 1):
        raise ValueError(
            f"{name} lies between {scores.min():g} and {scores.max():g}; calibrated probabilities "
            "of fraud were expected, from 0 to 1: they are multiplied by money."
        )
    return scores


def warn_of_classes(scores, name):
    """Warn of scores that are predicted classes: no row ranks above another of its class."""
    if len(scores) >= FEWEST_SCORES and np.array_equal(np.unique(scores), [0.0, 1.0]):
        warn_caller(
            f"{name} is 0 or 1 on every row, as predicted classes are; probabilities tell more. "
            f"Pass {OF_MODEL}, not model.predict(X). If they are, the model is sure of every row: "
            "calibrate it first."
        )


def check_days(days, n_samples):
    """Return the position of each row's day among the days, in the order of time.

    Days are whole numbers, dates, or date-times, of which the date counts, also as ISO 8601
    strings; a ValueError is raised if some are missing, or in a form whose order is not known.
    """
    days = np.asarray(days)
    _check_length(days, n_samples, "days")
    _refuse_missing(days, "days", "Say on which day each of them was.")
    if days.dtype.kind in "OU":
        days = _dates_or_numbers(days.tolist())
    if days.dtype.kind == "M":
        days = days.astype("datetime64[D]")
    elif days.dtype.kind not in "iufb":
        raise ValueError(
            f"days holds {days[0]!r}, whose order in time is not known. Pass whole numbers, dates, "
            "date-times, or strings such as '2025-03-31'."
        )
    elif (days != np.floor(days)).any():
        fraction = days[days != np.floor(days)][0]
        raise ValueError(
            f"days holds {fraction:g}; whole numbers were expected, such as seconds // 86400."
        )
    return np.unique(days, return_inverse=True)[1]


def check_entities(groups, n_samples, name="groups"):
    """Return the position of each row's entity among the entities."""
    groups = np.asarray(groups)
    _check_length(groups, n_samples, name)
    _refuse_missing(
        groups, name, "Say which card, customer or other entity each of them belongs to."
    )
    if groups.dtype.kind == "O":
        groups = groups.astype(str)
    return np.unique(groups, return_inverse=True)[1]


def check_amounts(amounts, n_samples):
    """Return finite amounts of money of shape (n_samples,), none of them negative."""
    amounts = check_scores(amounts, n_samples, "amounts")
    if (amounts < 0).any():
        raise ValueError(
            f"amounts is negative on {np.sum(amounts < 0)} of {n_samples} rows, which would turn "
            "losses into gains. Pass what a missed fraud loses, 0 or more."
        )
    return amounts


def check_k(k, day_of_row, weight, unit="rows"):
    """Raise if on no day there are k of what is looked at."""
    most = int(np.bincount(day_of_row, weight).max())
    if k > most:
        raise ValueError(
            f"The top {k} {unit} of a day were requested, and no day has more than {most}. Pass a "
            f"number from 1 to {most}."
        )


def rows_by_day(day_of_row):
    """Return the numbers of the rows of each day, in their order."""
    order = np.argsort(day_of_row, kind="stable")
    return np.split(order, np.cumsum(np.bincount(day_of_row))[:-1])


def _as_array(values, name, what):
    """Return an array, unless something else was passed, such as a model."""
    if isinstance(values, str | type) or hasattr(values, "fit") or np.asarray(values).ndim == 0:
        raise TypeError(f"{name} is {shown(values)}; an array was expected: {what}.")
    return np.asarray(values)


def _check_length(values, n_samples, name):
    if values.shape != (n_samples,):
        raise ValueError(
            f"{name} has shape {values.shape}; one entry for each of the {n_samples} rows was "
            "expected."
        )


def _refuse_missing(values, name, advice):
    if values.dtype.kind == "O":
        missing = np.array([is_missing(value) for value in values], dtype=bool)
    elif values.dtype.kind in "fM":
        missing = np.isnan(values) if values.dtype.kind == "f" else np.isnat(values)
    else:
        return
    if missing.any():
        raise ValueError(f"{name} is missing for {missing.sum()} of {len(values)} rows. {advice}")


def _dates_or_numbers(days):
    """Turn dates, ISO strings and numbers into NumPy's; anything else is returned unchanged."""
    days = [each.date() if hasattr(each, "date") else each for each in days]  # in its time zone
    try:
        if all(isinstance(each, str) and re.match(r"\d{4}-\d{2}-\d{2}", each) for each in days):
            return np.array([each[:10] for each in days], dtype="datetime64[D]")
        is_text = any(isinstance(each, str) for each in days)  # "7" may be one of 7, 10 and 9
        kind = "datetime64[D]" if hasattr(days[0], "year") else np.float64
        return np.array(days, dtype=object if is_text else kind)
    except (TypeError, ValueError):
        return np.array(days, dtype=object)
