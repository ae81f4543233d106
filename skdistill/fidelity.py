"""How closely a student follows a teacher: numbers from arrays, and scorers for searches."""

from numbers import Integral, Real

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score

from skdistill.messages import shown
from skdistill.models import student_and_teacher
from skdistill.parameters import Interval, validate_params
from skdistill.soft_labels import js_of_rows, kl_of_rows
from skdistill.weighted_statistics import Ranking

__all__ = [
    "agreement",
    "fidelity_scorer",
    "gap_closed",
    "js_divergence",
    "kl_divergence",
    "top_k_overlap",
]


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

    >>> from skdistill.fidelity import agreement
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

    >>> from skdistill.fidelity import kl_divergence
    >>> print(f"{kl_divergence([[0.9, 0.1]], [[0.95, 0.05]]):.4f}")
    0.0207
    """
    teacher_proba, student_proba = _check_pair(teacher_proba, student_proba)
    return float(np.average(kl_of_rows(teacher_proba, student_proba), weights=sample_weight))


def js_divergence(teacher_proba, student_proba, sample_weight=None):
    """Mean Jensen-Shannon divergence between teacher and student: symmetric, and bounded.

    Parameters
    ----------
    teacher_proba, student_proba : array-like of shape (n_samples, n_classes)
        Probabilities on rows that neither was fitted on.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights.

    Returns
    -------
    divergence : float
        In nats, between 0 (equal) and log 2.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    ``(KL(q || m) + KL(p || m)) / 2`` with ``m = (q + p) / 2`` for teacher q and student p.

    References
    ----------
    Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information
    Theory 37 (1991), doi:10.1109/18.61115.

    Examples
    --------
    Teacher and student are sure of different classes:

    >>> from skdistill.fidelity import js_divergence
    >>> print(f"{js_divergence([[1.0, 0.0]], [[0.0, 1.0]]):.4f}")
    0.6931
    """
    teacher_proba, student_proba = _check_pair(teacher_proba, student_proba)
    return float(np.average(js_of_rows(teacher_proba, student_proba), weights=sample_weight))


def top_k_overlap(teacher_score, student_score, k):
    """Share of the k rows that the teacher scores highest which are the student's as well.

    Parameters
    ----------
    teacher_score, student_score : array-like of shape (n_samples,)
        Probabilities of the class of interest, or predicted values.
    k : int
        Number of rows that are looked at, such as the alerts a fraud desk handles in a day.

    Returns
    -------
    share : float
        Between 0 and 1. Rows tied at the k-th place count in equal parts.

    Raises
    ------
    ValueError
        If the shapes differ, or there are fewer than k rows.

    Examples
    --------
    One of the two highest is the same:

    >>> from skdistill.fidelity import top_k_overlap
    >>> print(top_k_overlap([0.9, 0.8, 0.1], [0.7, 0.2, 0.3], k=2))
    0.5
    """
    teacher_score = _as_numbers(teacher_score, "teacher_score")
    student_score = _as_numbers(student_score, "student_score")
    if teacher_score.ndim != 1 or teacher_score.shape != student_score.shape:
        raise ValueError(
            f"teacher_score has shape {teacher_score.shape} and student_score "
            f"{student_score.shape}; both must be (n_samples,)."
        )
    if np.isnan(teacher_score).any() or np.isnan(student_score).any():
        raise ValueError("Scores are NaN on some rows, which cannot be ranked. Leave these out.")
    check_top_k(k, len(teacher_score))
    weight = np.ones(len(teacher_score))
    within = [Ranking.of(score).top(k, weight) for score in (teacher_score, student_score)]
    return float(np.minimum(*within).sum() / k)


def check_top_k(k, n_samples):
    """Raise if there are not k rows to look at."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise TypeError(f"k is {shown(k)}; a whole number of rows was expected.")
    if not 1 <= k <= n_samples:
        raise ValueError(
            f"The top {k} of {n_samples} rows were requested. Pass a number from 1 to {n_samples}, "
            "or more rows."
        )


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

    >>> from skdistill.fidelity import gap_closed
    >>> print(f"{gap_closed(0.90, 0.88, 0.86):.2f}")
    0.50
    """
    scores = {"teacher": teacher_score, "student": student_score, "baseline": baseline_score}
    for name, score in scores.items():
        if not isinstance(score, Real):
            raise TypeError(f"{name}_score is {shown(score)}; a number was expected.")
    if not isinstance(greater_is_better, bool | np.bool_):
        raise TypeError(f"greater_is_better={shown(greater_is_better)}; a bool was expected.")
    sign = 1.0 if greater_is_better else -1.0
    gap = sign * (teacher_score - baseline_score)
    return sign * (student_score - baseline_score) / gap if gap > 0 else float("nan")


@validate_params({"measure": [str], "k": [Interval(Integral, 1, None, closed="left")]})
def fidelity_scorer(measure="kl", *, teacher=None, k=100):
    """Make a scorer of how closely a student follows its teacher, for searches.

    Parameters
    ----------
    measure : str, default="kl"
        For classifiers "kl" (minus `kl_divergence`), "js" (minus `js_divergence`), "agreement" or,
        with two classes, "top_k" (`top_k_overlap`); for regressors "r2" (of the teacher's
        predictions), "mae" (minus the mean absolute difference) or "top_k"; for both
        "rank_correlation" (Spearman's; with several classes the mean over them).
    teacher : estimator or None, default=None
        The fitted teacher to compare with. None takes that of the distiller that is scored.
    k : int, default=100
        Number of rows for "top_k".

    Returns
    -------
    scorer : callable
        ``scorer(model, X, y=None, sample_weight=None)`` gives a float; greater is better. To be
        passed as ``scoring``.

    Raises
    ------
    ValueError
        If there is no such measure; when scoring, if the measure is none for this kind of model,
        or the teacher is not there because its margins came from a distiller's `memory`.

    Examples
    --------
    The size of a tree that follows a forest best:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skdistill import DistilledClassifier, TreeStudentClassifier, fidelity_scorer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> forest = RandomForestClassifier(50, random_state=0)
    >>> model = DistilledClassifier(forest, TreeStudentClassifier(), random_state=0)
    >>> sizes = {"student__max_leaf_nodes": [2, 8]}
    >>> GridSearchCV(model, sizes, scoring=fidelity_scorer("kl")).fit(X, y).best_params_
    {'student__max_leaf_nodes': 8}
    """
    known = sorted(set().union(*_MEASURES.values()))
    if measure not in known:
        raise ValueError(f"measure={shown(measure)}; one of {known} was expected.")
    return _FidelityScorer(measure, teacher, k)


class _FidelityScorer:
    """The callable that `fidelity_scorer` makes: a class, so that it pickles and shows itself."""

    def __init__(self, measure, teacher, k):
        self.measure = measure
        self.teacher = teacher
        self.k = k

    def __repr__(self):
        return f"fidelity_scorer({self.measure!r}, teacher={self.teacher!r}, k={self.k})"

    def __call__(self, model, X, y=None, sample_weight=None):
        student, teacher = student_and_teacher(model, self.teacher)
        if teacher is None:
            raise ValueError(
                f"{self!r} found no teacher in {student.name}: it is no distiller, or its labels "
                "came from `memory`, so that the teacher was not fitted again. Pass a fitted "
                "teacher, to the distiller or here, or search with memory=None."
            )
        classes = student.labels
        answers = teacher.answers(X, classes), student.answers(X, classes)
        measures = _MEASURES[student.kind]
        if self.measure not in measures:
            raise ValueError(
                f"measure={self.measure!r} does not fit {student.kind}; one of {sorted(measures)} "
                "was expected."
            )
        return measures[self.measure](*answers, sample_weight, self.k)


def _rank_correlation(teacher, student):
    pairs = zip(teacher.T, student.T, strict=True)
    return float(np.mean([spearmanr(*pair).statistic for pair in pairs]))


_OF_ANY = {
    "rank_correlation": lambda teacher, student, weight, k: _rank_correlation(teacher, student),
}
_TOP_K = {
    "top_k": lambda teacher, student, weight, k: top_k_overlap(teacher[:, -1], student[:, -1], k),
}
_OF_CLASSES = {
    "kl": lambda teacher, student, weight, k: -kl_divergence(teacher, student, weight),
    "js": lambda teacher, student, weight, k: -js_divergence(teacher, student, weight),
    "agreement": lambda teacher, student, weight, k: agreement(teacher, student, weight),
}
_OF_VALUES = {
    "r2": lambda teacher, student, weight, k: r2_score(teacher, student, sample_weight=weight),
    "mae": lambda teacher, student, weight, k: (
        -mean_absolute_error(teacher, student, sample_weight=weight)
    ),
}

#: Kind of task -> measure -> score of (teacher's predictions, student's, weights, k).
_MEASURES = {
    "binary": _OF_CLASSES | _OF_ANY | _TOP_K,
    "multiclass": _OF_CLASSES | _OF_ANY,
    "regression": _OF_VALUES | _OF_ANY | _TOP_K,
}


def _check_pair(teacher_proba, student_proba):
    pair = {
        "teacher_proba": _as_numbers(teacher_proba, "teacher_proba"),
        "student_proba": _as_numbers(student_proba, "student_proba"),
    }
    teacher_proba, student_proba = pair.values()
    if teacher_proba.ndim != 2 or teacher_proba.shape != student_proba.shape:
        raise ValueError(
            f"teacher_proba has shape {teacher_proba.shape} and student_proba "
            f"{student_proba.shape}; both must be (n_samples, n_classes), as predict_proba gives "
            "them."
        )
    for name, proba in pair.items():
        if not ((proba >= 0) & (proba <= 1)).all():
            raise ValueError(
                f"{name} has entries that do not lie between 0 and 1, or are NaN; probabilities "
                "were expected, as predict_proba gives them."
            )
    return teacher_proba, student_proba


def _as_numbers(values, name):
    """Return float64 numbers, finite or not."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} is {shown(values)}; numbers were expected, of teacher and student on the same "
            "rows."
        ) from None
