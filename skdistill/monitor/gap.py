"""The gap between a student's scores and its teacher's: per row, and as means with intervals."""

import math
from statistics import NormalDist

import numpy as np

from skdistill.weighted_statistics import Estimate

#: Measures by kind of task. The first decides whether the gap has grown.
MEASURES = {
    "binary": ("kl_divergence", "difference", "bias", "agreement"),
    "multiclass": ("kl_divergence", "difference", "agreement"),
    "regression": ("difference", "bias"),
}

#: Smallest number of teacher scores for a statement about the gap.
FEWEST_PAIRS = 30

#: Keeps the logarithm of a probability of zero finite.
_SMALLEST = 1e-12


def gap_of_rows(teacher, student, kind, threshold):
    """Measure the gap on every row, from scores of shape (n_rows, n_scores).

    Returns an array of shape (n_measures, n_rows), in the order of `MEASURES`: the Kullback-Leibler
    divergence of the student from the teacher in nats; half the sum of absolute differences of
    probabilities, or the absolute difference of predictions; teacher minus student; 1.0 where both
    agree, with two classes on whether a row is flagged.
    """
    bias = (teacher - student)[:, 0]
    if kind == "regression":
        return np.stack([np.abs(bias), bias])
    if kind == "binary":
        alike = (teacher[:, 0] >= threshold) == (student[:, 0] >= threshold)
        teacher, student = (np.hstack([1 - each, each]) for each in (teacher, student))
    else:
        alike = teacher.argmax(axis=1) == student.argmax(axis=1)
    difference = np.abs(teacher - student).sum(axis=1) / 2
    biases = [bias] if kind == "binary" else []
    return np.stack([_kl_of_rows(teacher, student), difference, *biases, alike])


def _kl_of_rows(teacher, student):
    """See `skdistill.soft_labels.kl_of_rows`; without SciPy, which monitors do not import."""
    ratio = np.maximum(teacher, _SMALLEST) / np.maximum(student, _SMALLEST)
    return (teacher * np.log(ratio)).sum(axis=1)


def moments(gaps):
    """Return the sums and the sums of squares over rows, of shape (n_measures, 2)."""
    return np.stack([gaps.sum(axis=1), (gaps**2).sum(axis=1)], axis=1)


def estimates(kind, n_pairs, sums, confidence):
    """Turn sums over rows, see `moments`, into one `Estimate` per measure; none without rows.

    The agreement, a share, has the interval of Wilson, "Probable Inference, the Law of Succession,
    and Statistical Inference", JASA 22 (1927), doi:10.1080/01621459.1927.10502953; all others have
    the mean plus and minus normal quantile times standard error. Rows are taken as independent.
    """
    if n_pairs == 0:
        return {}
    return {
        name: share_estimate(each[0], n_pairs, confidence)
        if name == "agreement"
        else _mean_estimate(each, n_pairs, confidence)
        for name, each in zip(MEASURES[kind], sums, strict=True)
    }


def growth(live, reference, tolerance, confidence):
    """Estimate the live mean of a measure minus ``1 + tolerance`` times that of the reference.

    `live` and `reference` are the number of rows, and the sum and sum of squares of the measure.
    The variance of live rows is assumed to be at least that of the reference: large gaps are rare,
    and a small sample without any has too small a variance.
    """
    (n_live, live_sums), (n_reference, reference_sums) = live, reference
    tolerated = 1 + tolerance
    reference_variance = _variance(reference_sums, n_reference)
    live_variance = max(_variance(live_sums, n_live), reference_variance)
    value = live_sums[0] / n_live - tolerated * reference_sums[0] / n_reference
    error = math.sqrt(live_variance / n_live + tolerated**2 * reference_variance / n_reference)
    margin = _quantile(confidence) * error
    return Estimate(float(value), float(value - margin), float(value + margin))


def share_estimate(n_yes, n, confidence):
    """Return a share with its Wilson interval."""
    z2 = _quantile(confidence) ** 2
    share = n_yes / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    margin = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return Estimate(float(share), max(0.0, middle - margin), min(1.0, middle + margin))


def _mean_estimate(sums, n, confidence):
    mean = sums[0] / n
    margin = _quantile(confidence) * math.sqrt(_variance(sums, n) / n)
    return Estimate(float(mean), float(mean - margin), float(mean + margin))


def _variance(sums, n):
    """Of one row: NaN if there is only one."""
    return max(0.0, float(sums[1] - sums[0] ** 2 / n)) / (n - 1) if n > 1 else math.nan


def _quantile(confidence):
    return NormalDist().inv_cdf((1 + confidence) / 2)
