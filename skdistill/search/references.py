"""References for candidates: the teacher, the compiled teacher and students on observed classes."""

from dataclasses import replace

import numpy as np

from skdistill.columns import take_rows
from skdistill.export.onnx.compiled_teacher import compile_teacher
from skdistill.search.candidates import Reference
from skdistill.search.costs import Costs, measure_teacher, time_calls, with_latency
from skdistill.search.trials import Trials, averaged, mean_measures, mean_of

#: Number of rows on which a compiled teacher is compared with the teacher.
COMPARED_ROWS = 2000


def teacher_references(evaluator, teacher, X):
    """Score and measure the fitted teacher, in Python and compiled; notes say why not."""
    scored = [evaluator.teacher_scores(f) for f in range(len(evaluator.folds))]
    fold_scores = tuple(score for score, _ in scored)
    found = mean_of(fold_scores), fold_scores, mean_measures([each for _, each in scored])
    name = type(teacher).__name__
    costs = measure_teacher(teacher, X)
    references = [Reference(name, "teacher", costs, *found)]
    some = np.linspace(0, X.shape[0] - 1, min(X.shape[0], COMPARED_ROWS)).astype(int)
    compiled, note = compile_teacher(teacher, take_rows(X, some), costs.size_kb)
    if compiled is None:
        return references, [f"The compiled teacher is left out: {note}"]
    p50, p99, waiting = time_calls(compiled.ask, compiled.rows)
    size_kb, n_columns = compiled.n_bytes / 1000, X.shape[1]
    costs = Costs(size_kb, n_columns, n_columns, None, p50, p99, "onnxruntime", waiting)
    return [*references, Reference(name, "compiled teacher", costs, *found)], []


def hard_references(evaluator, plans, X, n_jobs, say, time_limit):
    """Fit the students of plans, each once, to the observed classes, and score and measure them.

    X has the rows to time; notes say what is missing because the time was over.
    """
    hard = {plan.name: replace(plan, temperature=1.0, alpha=0.0) for plan in plans}
    references = []
    evaluator = evaluator.with_params(augmentation=None)  # synthetic rows have no observed class
    made = Trials(evaluator, list(hard.values()), n_jobs, say, time_limit)
    made.make_all()
    missing = [name for i, name in enumerate(hard) if i not in made.complete()]
    for i, name in enumerate(hard):
        if name in missing:
            continue
        trials = made.of(i)
        *found, costs = averaged(trials)
        costs = with_latency(costs, trials[0].student, X)
        references.append(Reference(name, "hard labels", costs, *found))
    if not missing:
        return references, []
    why = f"{time_limit} was over before these were fitted to hard labels: {'; '.join(missing)}."
    return references, [why]
