"""Compare the reasons of a student with those of its teacher."""

from copy import copy
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from skdistill.columns import take_rows
from skdistill.models import student_and_teacher
from skdistill.parameters import Interval, validate_params
from skdistill.report.reasons.attribution_report import AttributionReport, ColumnImportance
from skdistill.report.reasons.explain import CONSTRAINTS, check_table, draw_background, explain
from skdistill.report.reasons.similarity import rank_correlation, similarity_of_rows, summarise
from skdistill.verbose import stage, verbose

__all__ = ["AttributionReport", "attribution_report"]

#: Rows on which sampled values are drawn a second time, to tell their error.
REDRAWN_ROWS = 50


@validate_params(
    {
        **CONSTRAINTS,
        "teacher": "no_validation",
        "n_rows": [Interval(Integral, 2, None, closed="left")],
        "refits": ["array-like"],
        "top": [Interval(Integral, 1, None, closed="left")],
    }
)
@verbose
def attribution_report(
    model,
    X,
    background=None,
    *,
    teacher=None,
    output="probability",
    n_rows=200,
    refits=(),
    top=4,
    max_background=100,
    max_evals=None,
    random_state=None,
    verbose=0,
):
    """Compare the reasons of a student with those of its teacher, on the same rows.

    Parameters
    ----------
    model : estimator
        A fitted distiller, a Pipeline that ends in one, a search over either; or a student on its
        own: any fitted classifier with ``predict_proba``, or regressor.
    X : array-like or data frame of shape (n_samples, n_features)
        Rows to choose from, as the model takes them; best such that neither was fitted on.
    background : array-like or data frame of shape (n_background, n_features), default=None
        Rows that explanations start from, see `explain`; None draws them from X.
    teacher : estimator or None, default=None
        The fitted teacher; None for the one that the distiller holds.
    output : {"probability", "log_odds"}, default="probability"
        What is explained of classifiers, see `explain`. With a rare class and a teacher that
        boosts, "log_odds" tells more: close to 0, probabilities hardly move, and sampled values
        of them drown in their error.
    n_rows : int, default=200
        Largest number of rows to explain. With two classes one half are those with the highest
        scores of the teacher, and the rest is random; else all are random.
    refits : list of estimator, default=()
        The same student fitted again, such as with other seeds, or distillers with one: how much
        they differ from the student is what can be expected of the teacher at best.
    top : int, default=4
        How many columns with the largest contributions are looked at in a row.
    max_background : int, default=100
        Largest number of background rows.
    max_evals : int or None, default=None
        Largest number of evaluations per row where values are sampled, see `explain`.
    random_state : int, RandomState instance or None, default=None
        Draws rows, background and orders of columns.
    verbose : int, default=0
        Whether to print the stages with their seconds on stderr, with bars where they take long.

    Returns
    -------
    report : AttributionReport
        Both explanations, importances, and similarity row by row.

    Raises
    ------
    NotFittedError
        If a model is not fitted.
    TypeError
        If teacher and student are of different kinds, or as `explain` says.
    ValueError
        If there is no teacher, a refit or, in log-odds, the teacher knows other classes than the
        student, or for any reason that `explain` has.
    ImportError
        If shap is not installed.

    See Also
    --------
    explain : The explanations that are compared.
    fidelity_report : Whether the predictions agree, and how good they are.

    Notes
    -----
    What is compared in a row are the contributions to the prediction for the second of two classes,
    or for the class that the teacher finds most probable; in regression to the prediction.
    Importances are means over all rows explained, the highest scores included, and over classes.

    A model whose values are sampled is explained a second time on up to 50 rows, with other walks
    from the same background. Where it does not resemble itself, nothing else can resemble it:
    raise `max_evals`, or explain log-odds.

    References
    ----------
    Krishna, Han, Gu, Wu, Jabbari and Lakkaraju, "The Disagreement Problem in Explainable Machine
    Learning: A Practitioner's Perspective", TMLR 2024, arXiv:2202.01602, for agreement of signs
    and of top features.

    Examples
    --------
    Does an additive student go by the same columns as its forest?

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import LinearStudentClassifier, attribution_report
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> forest = RandomForestClassifier(20, random_state=0).fit(X, y)
    >>> student = LinearStudentClassifier().fit(X, forest.predict_proba(X))
    >>> report = attribution_report(student, X, teacher=forest, n_rows=20, random_state=0)
    >>> overall, highest, *_ = report.local
    >>> highest.rows, highest.n_rows
    ('highest scores', 10)
    >>> print(f"median cosine {overall.median_cosine:.1f}")
    median cosine 0.6
    """
    student, teacher = student_and_teacher(model, teacher)
    if teacher is None:
        raise ValueError(
            "There is no teacher to compare with: the model is no distiller, or its labels came "
            "from a cache. Pass the fitted teacher as teacher=."
        )
    others = [student_and_teacher(refit)[0] for refit in refits]
    _check_classes(student, teacher, others, output)
    random_state = check_random_state(random_state)
    X = check_table(X, "X", student)
    if max_evals is not None:  # as many rows as there are walks for, and the same for all models
        max_background = min(max_background, max(max_evals // max(X.shape[1] - 1, 1), 1))
    background = draw_background(X, background, student, max_background, random_state)
    rows, origin = _choose_rows(X, student, teacher, n_rows, random_state)
    X = take_rows(X, rows)
    seed, other_seed = random_state.randint(2**31 - 1, size=2)

    def explained(role, model, X, random_state):
        with stage(f"explain-{role}"):
            return explain(
                model,
                X,
                background=background,
                output=output,
                max_background=max_background,
                max_evals=max_evals,
                random_state=random_state,
            )

    of_student = explained("student", student, X, random_state=seed)
    of_teacher = _in_classes(explained("teacher", teacher, X, random_state=seed), teacher, student)
    comparison = Comparison(_classes_of_rows(of_teacher), _parts(origin), top)
    stability = []
    for i, other in enumerate(others, 1):
        again = explained(f"refit-{i}", other, X, random_state=seed)
        refitted = comparison.of_rows(of_student, again)
        stability += comparison.summaries(refitted, f"student and refit {i}")
    for role, one, first in (("teacher", teacher, of_teacher), ("student", student, of_student)):
        if first.method.startswith("sampled"):
            again, part = comparison.thinned(REDRAWN_ROWS)
            second = explained(f"{role}-again", one, take_rows(X, again), random_state=other_seed)
            second = _in_classes(second, one, student)
            redrawn = part.of_rows(first[again], second)
            stability += part.summaries(redrawn, f"{role} and itself, drawn again")
    similarity = comparison.of_rows(of_teacher, of_student)
    parts = comparison.with_decisions(of_teacher, of_student)
    importance = _mean_sizes(of_teacher), _mean_sizes(of_student)
    return AttributionReport(
        kind=student.kind,
        models={"teacher": teacher.name, "student": student.name},
        output_space=of_student.output_space,
        teacher=of_teacher,
        student=of_student,
        rows=rows,
        origin=origin,
        top=top,
        importance=_ranked(of_student.feature_names, *importance),
        rank_correlation=rank_correlation(*importance),
        row_similarity=similarity,
        local=tuple(parts.summaries(similarity, "teacher and student")),
        stability=tuple(stability),
    )


@dataclass(frozen=True)
class Comparison:
    """What is compared of two explanations of the same rows.

    Attributes
    ----------
    classes : ndarray of shape (n_rows,)
        Position of the class whose contributions are compared, per row.
    parts : dict of str to ndarray of shape (n_rows,)
        Masks of the rows to summarise over.
    top : int
        How many columns with the largest contributions are looked at.
    """

    classes: np.ndarray
    parts: dict
    top: int

    def of_rows(self, reference, other):
        """Compare two explanations row by row, see `similarity_of_rows`."""
        rows = np.arange(len(self.classes))
        both = (explained.values[rows, :, self.classes] for explained in (reference, other))
        return similarity_of_rows(*both, self.top)

    def summaries(self, similarity, compared):
        """Summarise over every part that has rows."""
        return [
            summarise(similarity, compared, name, chosen)
            for name, chosen in self.parts.items()
            if chosen.any()
        ]

    def thinned(self, n_most):
        """Return at most this many rows, evenly spaced, and the same comparison of them."""
        n_rows = len(self.classes)
        rows = np.linspace(0, n_rows - 1, min(n_rows, n_most)).round().astype(int)
        parts = {name: chosen[rows] for name, chosen in self.parts.items()}
        return rows, replace(self, classes=self.classes[rows], parts=parts)

    def with_decisions(self, of_teacher, of_student):
        """Add the rows with the same most probable class, and the others; not in regression."""
        if of_student.output_space == "prediction":
            return self
        alike = _scores(of_teacher).argmax(axis=1) == _scores(of_student).argmax(axis=1)
        return replace(self, parts={**self.parts, "same class": alike, "other class": ~alike})


def _choose_rows(X, student, teacher, n_rows, random_state):
    """Return positions of the rows to explain, and why each was chosen."""
    n_samples = X.shape[0]
    if n_samples <= n_rows:
        return np.arange(n_samples), np.full(n_samples, "all")
    if student.kind != "binary":
        return random_state.permutation(n_samples)[:n_rows], np.full(n_rows, "random")
    n_highest = n_rows // 2
    score = teacher.answers(X, student.labels)[:, 1]
    ranked = np.argsort(-score, kind="stable")
    others = random_state.permutation(ranked[n_highest:])[: n_rows - n_highest]
    origin = np.repeat(["highest scores", "random"], [n_highest, n_rows - n_highest])
    return np.concatenate([ranked[:n_highest], others]), origin


def _parts(origin):
    parts = {"all rows": np.ones(len(origin), dtype=bool)}
    if origin[0] != origin[-1]:
        parts |= {name: origin == name for name in ("highest scores", "random")}
    return parts


def _check_classes(student, teacher, refits, output):
    """Check that refits know the student's classes, and in log-odds the teacher, too."""
    others = [("refit", refit) for refit in refits]
    if output == "log_odds":
        others.append(("teacher", teacher))
    for role, other in others:
        if not np.array_equal(other.labels, student.labels):
            raise ValueError(
                f"The {role} {other.name} has the classes {_classes(other)}, the student "
                f"{student.name} has {_classes(student)}. The same ones were expected"
                + (", or output='probability'." if role == "teacher" else ".")
            )


def _classes(model):
    return "of a regressor" if model.labels is None else model.labels.tolist()


def _in_classes(explanation, model, student):
    """Put an explanation into the student's classes; 0 for those that the model does not know."""
    if model.labels is None or np.array_equal(model.labels, student.labels):
        return explanation
    known = model.labels.tolist()
    aligned = copy(explanation)
    for name in ("values", "base_values"):
        given = getattr(explanation, name)
        columns = [
            given[..., known.index(label)] if label in known else np.zeros(given.shape[:-1])
            for label in student.labels.tolist()
        ]
        setattr(aligned, name, np.stack(columns, axis=-1))
    aligned.output_names = [str(label) for label in student.labels]
    aligned.output_space, aligned.method = explanation.output_space, explanation.method
    return aligned


def _scores(explanation):
    return explanation.base_values + explanation.values.sum(axis=1)


def _classes_of_rows(of_teacher):
    """Return the second of two classes, or the one that the teacher finds most probable."""
    n_rows, _, n_classes = of_teacher.shape
    if n_classes <= 2:
        return np.full(n_rows, n_classes - 1)
    return _scores(of_teacher).argmax(axis=1)


def _mean_sizes(explanation):
    return np.abs(explanation.values).mean(axis=(0, 2))


def _ranked(names, of_teacher, of_student):
    columns = zip(names, of_teacher.tolist(), of_student.tolist(), strict=True)
    importance = map(ColumnImportance._make, columns)
    return tuple(sorted(importance, key=lambda item: -item.teacher))
