"""How closely a student follows a teacher, as numbers from arrays."""

import numpy as np
from scipy.special import rel_entr

from skdistill.soft_labels import SMALLEST_PROBABILITY

__all__ = ["agreement", "gap_closed", "kl_divergence"]


def agreement(teacher_proba, student_proba, sample_weight=None):
    """Share of rows on which teacher and student find the same class most probable.

    Parameters
    ----------
    teacher_proba, student_proba : array-like of shape (n_samples, n_classes)
        Probabilities on rows that neither was fitted on.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights.

    Returns
    -------
    share : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    Two of three rows agree:

    >>> from skdistill import agreement
    >>> teacher = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> student = [[0.8, 0.2], [0.4, 0.6], [0.3, 0.7]]
    >>> print(f"{agreement(teacher, student):.2f}")
    0.67
    """
    teacher_proba, student_proba = _check_pair(teacher_proba, student_proba)
    same = teacher_proba.argmax(axis=1) == student_proba.argmax(axis=1)
    return float(np.average(same, weights=sample_weight))


def kl_divergence(teacher_proba, student_proba, sample_weight=None):
    """Mean Kullback-Leibler divergence of the student from the teacher.

    Parameters
    ----------
    teacher_proba, student_proba : array-like of shape (n_samples, n_classes)
        Probabilities on rows that neither was fitted on.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights.

    Returns
    -------
    divergence : float
        In nats; 0 if and only if the probabilities are equal.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    ``sum_k q_k log(q_k / p_k)`` for teacher q and student p, with p at least 1e-12.

    Examples
    --------
    A student that halves the teacher's doubts:

    >>> from skdistill import kl_divergence
    >>> print(f"{kl_divergence([[0.9, 0.1]], [[0.95, 0.05]]):.4f}")
    0.0207
    """
    teacher_proba, student_proba = _check_pair(teacher_proba, student_proba)
    student_proba = np.maximum(student_proba, SMALLEST_PROBABILITY)
    divergence = rel_entr(teacher_proba, student_proba).sum(axis=1)
    return float(np.average(divergence, weights=sample_weight))


def gap_closed(teacher_score, student_score, baseline_score, *, greater_is_better=True):
    """Share of the gap between hard labels and the teacher that distillation closes.

    Parameters
    ----------
    teacher_score : float
        Score of the teacher on test rows.
    student_score : float
        Score of the distilled student.
    baseline_score : float
        Score of the same student fitted on hard labels.
    greater_is_better : bool, default=True
        False for losses.

    Returns
    -------
    share : float
        1 where the student is as good as the teacher, above 1 where it is better, 0 where
        distillation gained nothing, negative where it lost. NaN where the teacher is not better
        than the baseline: there is no gap then.

    Examples
    --------
    Half of the gap:

    >>> from skdistill import gap_closed
    >>> print(f"{gap_closed(0.90, 0.88, 0.86):.2f}")
    0.50
    """
    sign = 1.0 if greater_is_better else -1.0
    gap = sign * (teacher_score - baseline_score)
    return sign * (student_score - baseline_score) / gap if gap > 0 else float("nan")


def _check_pair(teacher_proba, student_proba):
    teacher_proba = np.asarray(teacher_proba, dtype=np.float64)
    student_proba = np.asarray(student_proba, dtype=np.float64)
    if teacher_proba.ndim != 2 or teacher_proba.shape != student_proba.shape:
        raise ValueError(
            f"teacher_proba has shape {teacher_proba.shape} and student_proba "
            f"{student_proba.shape}; both must be (n_samples, n_classes)."
        )
    return teacher_proba, student_proba
