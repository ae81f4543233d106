"""What candidates are compared with: the teacher, compiled too, and students without a teacher."""

from dataclasses import replace

import numpy as np

from skdistill.columns import take_rows
from skdistill.export.onnx.compiled_teacher import compile_teacher
from skdistill.search.candidates import Reference
from skdistill.search.costs import Costs, measure_teacher, time_calls, with_latency
from skdistill.search.trials import largest_costs, mean_measures, mean_of, try_all

#: Rows on which a compiled teacher has to answer as the teacher does.
COMPARED_ROWS = 2000


def teacher_references(arena, teacher, X):
    """Score and measure the teacher, as it is and compiled.

    Parameters
    ----------
    arena : Arena
        The folds.
    teacher : estimator
        Fitted on all rows.
    X : ndarray or data frame of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    references : list of Reference
        The teacher, and the compiled one if there is one.
    notes : list of str
        Why there is none.
    """
    scored = [arena.teacher_scores(f) for f in range(len(arena.folds))]
    fold_scores = tuple(score for score, _ in scored)
    found = mean_of(fold_scores), fold_scores, mean_measures([each for _, each in scored])
    name = type(teacher).__name__
    costs = measure_teacher(teacher, X)
    references = [Reference(name, "teacher", costs, *found)]
    some = np.linspace(0, X.shape[0] - 1, min(X.shape[0], COMPARED_ROWS)).astype(int)
    compiled, note = compile_teacher(teacher, take_rows(X, some), costs.size_kb)
    if compiled is None:
        return references, [f"The compiled teacher is left out: {note}"]
    p50, p99 = time_calls(compiled.ask, compiled.rows)
    costs = Costs(compiled.n_bytes / 1000, X.shape[1], X.shape[1], None, p50, p99, "onnxruntime")
    return [*references, Reference(name, "compiled teacher", costs, *found)], []


def hard_references(arena, plans, n_jobs, X):
    """Fit students to the observed classes, and score and measure them.

    Parameters
    ----------
    arena : Arena
        The folds.
    plans : list of Plan
        Whose students to fit, each once.
    n_jobs : int or None
        Fits at a time.
    X : ndarray or data frame of shape (n_samples, n_features)
        Rows to time.

    Returns
    -------
    references : list of Reference
        One per student.
    """
    hard = {plan.name: replace(plan, temperature=1.0, alpha=0.0) for plan in plans}
    references = []
    arena = arena.with_params(augmentation=None)  # synthetic rows have no observed class
    trials_of = try_all(arena, list(hard.values()), n_jobs)
    for name, trials in zip(hard, trials_of, strict=True):
        fold_scores = tuple(trial.score for trial in trials)
        costs = largest_costs([trial.costs for trial in trials])
        costs = with_latency(costs, trials[0].student, X)
        measures = mean_measures([trial.measures for trial in trials])
        score = mean_of(fold_scores)
        references.append(Reference(name, "hard labels", costs, score, fold_scores, measures))
    return references
