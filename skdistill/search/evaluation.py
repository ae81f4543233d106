"""Cross-validation of candidates: the same folds, scores and distiller for all of them."""

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import average_precision_score, get_scorer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_memory

from skdistill.columns import table_names, take_rows
from skdistill.distill import DistilledClassifier
from skdistill.distill.label_correction import correct_labels, silenced
from skdistill.estimators import last_step
from skdistill.fidelity import agreement, kl_divergence
from skdistill.models import as_model
from skdistill.search.column_path import column_path
from skdistill.search.folds import make_folds, out_of_fold_labels
from skdistill.search.space import Plan
from skdistill.soft_labels import SMALLEST_PROBABILITY
from skdistill.students.column_selector import ColumnSelector
from skdistill.students.tree import TreeStudentClassifier
from skdistill.teacher.asking import is_fitted, with_seeds
from skdistill.teacher.labelling import folds as folds_of
from skdistill.teacher.margins import align_probabilities

#: Training steps of a quick trial.
QUICK_STEPS = 300


@dataclass(frozen=True)
class FoldEvaluator:
    """Fits and scores candidates on folds, each in a distiller with the same parameters.

    Attributes
    ----------
    folds : tuple of Fold
        Rows, with the teacher's predictions for them.
    paths : tuple of ColumnPath or None
        The order in which columns are dropped, one per fold; None if all are kept.
    classes : ndarray of shape (n_classes,)
        All classes.
    scoring : str or callable
        The score; greater is better.
    distiller_params : dict
        Parameters of `DistilledClassifier` that all candidates share.
    correction_students : dict of str to estimator
        By family the student whose fit to the observed classes decides, for all students of that
        family, whether the teacher's labels are corrected.
    is_quick : bool
        Whether students are trained for a few steps only.
    """

    folds: tuple
    paths: tuple | None
    classes: np.ndarray
    scoring: Any
    distiller_params: dict
    correction_students: dict = field(default_factory=dict)
    is_quick: bool = False

    @property
    def n_rows(self):
        """Number of training rows that every fold has at least."""
        return min(fold.n_rows for fold in self.folds)

    def for_fold(self, f):
        """Return the evaluator with one fold only: less to send to another process."""
        folds = tuple(fold if g == f else None for g, fold in enumerate(self.folds))
        return replace(self, folds=folds)

    def fit(self, plan, f, n_rows=None):
        """Distil the student of a plan on the first rows of a fold; None for all."""
        fold = self.folds[f]
        rows = np.arange(fold.n_rows if n_rows is None else min(n_rows, fold.n_rows))
        weight = None if fold.sample_weight is None else fold.sample_weight[rows]
        if self.is_quick:
            plan = replace(plan, student=quick(plan.student, len(rows)))
        distiller = DistilledClassifier(
            fold.teacher,
            self.student(plan, f),
            temperature=plan.temperature,
            alpha=plan.alpha,
            **self.distiller_params | {"labelling": "direct", "memory": self._memory_for(plan, f)},
        )
        pool = None if fold.pool is None else (fold.pool,)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the final fit warns, once
            return distiller.fit(take_rows(fold.X, rows), fold.y[rows], weight, X_unlabeled=pool)

    def _memory_for(self, plan, f):
        """Return a cache in which one student of the family decides on corrected labels for all."""
        memory = self.distiller_params.get("memory")
        student = self.correction_students.get(plan.family)
        if memory is None or student is None:
            return memory
        student = self.student(replace(plan, student=quick(student, self.folds[f].n_rows)), f)
        seed = np.random.RandomState(self.distiller_params["random_state"])
        return SharedCorrection(check_memory(memory), silenced(with_seeds(clone(student), seed)))

    def student(self, plan, f):
        """Return the student of a plan, after a column selector if columns are dropped."""
        if plan.n_columns is None:
            return plan.student
        return behind_selector(plan.student, self.paths[f].best(plan.n_columns))

    def with_params(self, **params):
        """Return the evaluator with other parameters of the distiller."""
        return replace(self, distiller_params=self.distiller_params | params)

    def for_quick_trials(self):
        """Return an evaluator with short training, no synthetic rows and no label correction."""
        cheap = {"label_correction": False}
        if self.distiller_params.get("augmentation", "auto") == "auto":
            cheap["augmentation"] = None
        return replace(self.with_params(**cheap), is_quick=True)

    def scores(self, distiller, f):
        """Return the score of a fitted distiller on fold f, and its measures, see `Candidate`."""
        fold = self.folds[f]
        proba = as_model(distiller.student_, "model").answers(fold.X_test, self.classes)
        of_teacher = distiller.teacher_proba(fold.X_test)
        teacher_proba = align_probabilities(of_teacher, distiller.classes_, self.classes)
        measures = measures_of(proba, teacher_proba, fold.y_test, self.classes, fold.test_weight)
        return self._score(distiller, fold, measures), measures

    def teacher_scores(self, f):
        """Score the teacher on a fold by its honest labels, corrected as for candidates."""
        fold = self.folds[f]
        proba = fold.teacher_proba(fold.X_test, self.classes)
        if any(self.distiller_params.get(name) for name in ("prior_correction", "class_weight")):
            smallest = Plan("teacher", TreeStudentClassifier(2), 1.0, 1.0, None)
            corrected = self.with_params(augmentation=None).fit(smallest, f)
            of_teacher = corrected.teacher_proba(fold.X_test)
            proba = align_probabilities(of_teacher, corrected.classes_, self.classes)
        measures = measures_of(proba, proba, fold.y_test, self.classes, fold.test_weight)
        try:
            return self._score(fold.teacher, fold, measures), measures
        except ValueError:  # a scorer of fidelity has no teacher to compare a teacher with
            return float("nan"), measures

    def _score(self, model, fold, measures):
        if isinstance(self.scoring, str) and self.scoring in measures:
            return measures[self.scoring]
        scorer, params = self.scoring, {}
        if isinstance(scorer, str):
            scorer = get_scorer(scorer)
            params = {} if fold.test_weight is None else {"sample_weight": fold.test_weight}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(scorer(model, fold.X_test, fold.y_test, **params))


class SharedCorrection:
    """A cache in which the same unfitted student always decides whether labels are corrected."""

    def __init__(self, memory, student):
        self.memory = memory
        self.student = student

    def cache(self, function, ignore=()):
        """Return the function with a memory, see `joblib.Memory.cache`."""
        cached = self.memory.cache(function, ignore=list(ignore))
        if getattr(function, "__wrapped__", None) is not correct_labels:
            return cached
        return lambda _, *args: cached(self.student, *args)


def build_evaluator(teacher, rows, cv, scoring, shared, numbers, n_jobs, random_state, goes_on):
    """Get the teacher's predictions on every fold, and find the columns to keep.

    `shared` are the parameters of all distillers, `numbers` the numbers of columns to try, and
    `goes_on` is described at `make_folds`. The `ColumnPath` that is returned with the evaluator is
    that of all rows, by the predictions of each fold's teacher for its test rows; None without
    numbers.
    """
    folds = make_folds(
        teacher,
        rows,
        folds_of(cv, rows.X, rows.y, is_classification=True),
        shared.get("labelling", "auto"),
        shared.get("cv", 5),
        n_jobs,
        random_state,
        goes_on,
    )
    classes = folds[0].teacher.classes_ if is_fitted(teacher) else np.unique(rows.y)
    paths = path = None
    if numbers:
        how = table_names(rows.X), min(numbers), random_state
        labels = [(fold.X, fold.teacher_proba(fold.X, classes)) for fold in folds]
        paths = tuple(column_path(*each, *how) for each in labels)
        path = column_path(*out_of_fold_labels(folds, rows, classes), *how)
    return FoldEvaluator(tuple(folds), paths, classes, scoring, shared), path


def quick(student, n_rows):
    """Return a student that trains for about `QUICK_STEPS` steps at most, if it has epochs."""
    student = clone(student)
    last = last_step(student)
    params = last.get_params(deep=False)
    if "max_epochs" in params and "batch_size" in params:
        epochs = max(1, QUICK_STEPS * min(params["batch_size"], n_rows) // n_rows)
        last.set_params(max_epochs=min(epochs, params["max_epochs"] or epochs))
    return student


def behind_selector(student, columns):
    """Return a pipeline of a column selector and a student."""
    return Pipeline([("columns", ColumnSelector(columns)), ("student", student)])


def measures_of(proba, teacher_proba, y, classes, sample_weight):
    """Compute the measures that are reported of every candidate, from probabilities and classes.

    They are ``neg_log_loss``; ``average_precision`` of the second class if there are two, NaN where
    a fold has none of it; ``agreement`` and ``kl_divergence``.
    """
    codes = np.searchsorted(classes, y)
    of_observed = np.maximum(proba[np.arange(len(y)), codes], SMALLEST_PROBABILITY)
    measures = {"neg_log_loss": float(np.average(np.log(of_observed), weights=sample_weight))}
    if len(classes) == 2:
        precision = np.nan
        if (codes == 1).any():
            precision = average_precision_score(codes, proba[:, 1], sample_weight=sample_weight)
        measures["average_precision"] = float(precision)
    measures["agreement"] = agreement(teacher_proba, proba, sample_weight)
    measures["kl_divergence"] = kl_divergence(teacher_proba, proba, sample_weight)
    return measures
