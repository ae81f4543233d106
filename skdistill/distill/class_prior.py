"""Correct margins for the frequencies of classes, and for their weights."""

from dataclasses import replace

import numpy as np

from skdistill.messages import shown, warn_caller
from skdistill.soft_labels import SMALLEST_PROBABILITY, proba_from_margins
from skdistill.stacking import stack_margins
from skdistill.weighted_statistics import z_score

#: Classes whose mean probability is off by this factor, and by this many standard errors, lead to a
#: warning.
FAR_OFF, SIGNIFICANT = 2.0, 5.0


def prior_shift(margins, codes, sample_weight):
    """Find what to add to a teacher's honest margins so that they fit the classes of some rows.

    The weights make the rows represent the population. The shift minimises the log loss of
    ``softmax(margins + shift)``: the mean probability of every class is then its share of the rows,
    up to the weight of one row. Its first entry is 0.
    """
    if margins.shape[1] == 1:
        return np.zeros(1)
    return stack_margins([margins], codes, sample_weight, weight_bounds=(1.0, 1.0)).intercept


def check_prior(prior_correction, classes, shares):
    """Return the true share of every class that a user gave, of shape (n_classes,).

    ValueError if the shares are not one positive number per class that sum to 1, or a class has no
    labelled row.
    """
    labels = classes.tolist()
    if set(prior_correction) != set(labels):
        raise ValueError(
            f"prior_correction has shares of the classes {sorted(prior_correction, key=str)}; one "
            f"for each of {labels} was expected."
        )
    prior = np.array([prior_correction[label] for label in labels], dtype=np.float64)
    if not (np.isfinite(prior).all() and (prior > 0).all() and abs(prior.sum() - 1) < 1e-6):
        raise ValueError(
            f"prior_correction has the shares {prior.tolist()}, which sum to {prior.sum():.6g}; "
            "positive shares that sum to 1 were expected: how frequent each class is where the "
            "student will be used."
        )
    if (shares == 0).any():
        absent = np.array(labels)[shares == 0].tolist()
        raise ValueError(
            f"prior_correction has a share for {absent}, but no labelled row is of that class, so "
            "the teacher cannot be compared with it. Pass rows of every class."
        )
    return prior


def check_class_weight(class_weight, classes, shares):
    """Return the weight of every class, of shape (n_classes,), for classes with these shares.

    Classes that are left out have weight 1; "balanced" divides by the share of the class.
    ValueError if a class is unknown, or a weight is negative or not finite.
    """
    labels = classes.tolist()
    if class_weight is None:
        return np.ones(len(labels))
    if isinstance(class_weight, str):
        inverse = np.divide(1.0, shares, out=np.zeros(len(labels)), where=shares > 0)
        return np.where(shares > 0, inverse / np.count_nonzero(shares), 1.0)
    unknown = sorted(set(class_weight) - set(labels), key=str)
    if unknown:
        raise ValueError(
            f"class_weight has weights of {unknown}, which are no classes; the classes are "
            f"{labels}."
        )
    weights = np.array([class_weight.get(label, 1.0) for label in labels], dtype=np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights @ shares > 0):
        raise ValueError(
            f"class_weight={shown(class_weight)}; finite weights of 0 or more were expected, not "
            "all of them 0."
        )
    return weights


def class_factors(lazy_teacher, prior_correction, class_weight):
    """Return the factor by which each class counts more than among labelled rows, and its weight.

    The factor is the true share over that among the labelled rows, times the weight; the mean of
    the factors over the labelled rows is 1.
    """
    classes = lazy_teacher.classes
    if lazy_teacher.rows.nothing_observed:  # then there is nothing to correct by
        return np.ones(len(classes)), np.ones(len(classes))
    mass = np.bincount(lazy_teacher.encoded_y(), lazy_teacher.rows.sample_weight, len(classes))
    shares = mass / mass.sum()
    prior, factors = shares, np.ones(len(shares))
    if isinstance(prior_correction, dict):
        prior = check_prior(prior_correction, classes, shares)
        factors = prior / shares
    weights = check_class_weight(class_weight, classes, prior)
    factors = factors * weights
    return factors / (factors @ shares), weights


def weigh_classes(transfer_set, factors):
    """Apply the factors of classes to both terms of the loss.

    In the soft term they multiply the teacher's odds, as class weights in its own fit would have
    done; in the hard term they multiply the weights of the rows.
    """
    if (factors == 1).all():
        return transfer_set
    margins = transfer_set.margins + log_factors(factors)
    if len(factors) == 2:
        margins = margins - margins[:, :1]
    return replace(transfer_set, margins=margins, class_weight=factors)


def log_factors(factors):
    """Return what factors of classes add to margins; finite also for a factor of 0."""
    return np.log(np.maximum(factors, SMALLEST_PROBABILITY))


def warn_if_far_off(transfer_set):
    """Warn if the mean probability of a class is far from its observed share."""
    labelled = transfer_set.take(transfer_set.origin == 0)
    proba, weight = proba_from_margins(labelled.margins), labelled.sample_weight
    if not weight.any():
        return
    for k, label in enumerate(labelled.classes.tolist()):
        observed = labelled.y == k
        mean, share = (np.average(values, weights=weight) for values in (proba[:, k], observed))
        if share in (0, 1) or 1 / FAR_OFF < mean / share < FAR_OFF:
            continue
        if abs(z_score(proba[:, k] - observed, weight)) > SIGNIFICANT:
            warn_caller(
                f"The teacher finds class {label!r} {mean:.3%} probable on average, where "
                f"{share:.3%} of the labelled rows were observed to be of it; so will the "
                "student. If the teacher was fitted on under- or oversampled rows, or with class "
                "weights, pass prior_correction='auto'."
            )
            return
