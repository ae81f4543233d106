"""References for candidates: the teacher, also compiled, and models fitted on observed classes."""

from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np

from skdistill.columns import take_rows
from skdistill.export.onnx.compiled_teacher import compile_teacher
from skdistill.search.candidates import Reference
from skdistill.search.costs import Costs, measure_teacher, time_calls, with_latency
from skdistill.search.space import Plan
from skdistill.search.time_limit import TimeLimit
from skdistill.search.trials import Trials, averaged, mean_measures, mean_of, try_out

#: What `references` of a search may list.
KINDS = ("teacher", "hard labels", "EBM")

#: Number of rows on which a compiled teacher is compared with the teacher.
COMPARED_ROWS = 2000

#: Largest number of interactions of an EBM.
EBM_INTERACTIONS = 10

#: Parameters of an EBM: with its defaults (14, .015 and 100) it takes fifteen times as long, and
#: its log loss is hardly lower; on the payments of the README it is higher as often.
FAST = {"outer_bags": 2, "learning_rate": 0.03, "early_stopping_rounds": 25}


def wanted_references(references):
    """List the kinds of references to measure, those of `KINDS` or some of them.

    True stands for all that can be had. Others raise ValueError, and an EBM that is asked for by
    name ImportError if interpret is not installed.
    """
    has_interpret = find_spec("interpret") is not None
    if isinstance(references, bool | np.bool_):
        return [kind for kind in KINDS if references and (kind != "EBM" or has_interpret)]
    names = [references] if isinstance(references, str) else list(references)
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise ValueError(
            f"references holds {unknown}; True, False or some of {list(KINDS)} were expected."
        )
    if "EBM" in names and not has_interpret:
        raise ImportError(
            "references='EBM' needs interpret, which is not installed. Install it with: "
            "pip install interpret-core"
        )
    return names


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
    evaluator = evaluator.with_params(augmentation=None)  # synthetic rows have no observed class
    made = Trials(evaluator, list(hard.values()), n_jobs, say, time_limit)
    made.make_all()
    names = list(hard)
    references = [_reference(names[i], "hard labels", made.of(i), X) for i in made.complete()]
    missing = [name for i, name in enumerate(hard) if i not in made.complete()]
    if not missing:
        return references, []
    why = f"{time_limit} was over before these were fitted to hard labels: {'; '.join(missing)}."
    return references, [why]


def ebm_reference(evaluator, budget, X, say, time_limit):
    """Fit interpret's explainable boosting machine to the observed classes, and score it.

    It has as many interactions as the budget allows, at most `EBM_INTERACTIONS`. Returns a list of
    it, and notes that say why it is left out.
    """
    ebm = _ebm(budget, evaluator.distiller_params["random_state"], _InTime(time_limit))
    plan = Plan(type(ebm).__name__, ebm, temperature=1.0, alpha=0.0, n_columns=None)
    of_rows = ("class_weight", "prior_correction", "memory", "random_state")
    params = {name: evaluator.distiller_params.get(name) for name in of_rows}
    plain = {"augmentation": None, "label_correction": False, "recalibration": False}
    evaluator = replace(evaluator, distiller_params=params | plain)
    trials = []
    try:
        for f in range(len(evaluator.folds)):
            trials.append(try_out(evaluator, plan, f))
            say(f"{plan.name} on hard labels: fold {f + 1}, {trials[-1].seconds:.1f} s")
        return [_reference(plan.name, "EBM", trials, X)], []
    except Exception as error:  # another library's, about rows that all candidates have learned
        return [], [f"The EBM is left out: {error}"]


def time_for_ebm(time_limit, was_asked_for):
    """Return the limit of its fits: if it was not asked for by name, as long as the search took."""
    if was_asked_for:
        return time_limit
    left = np.inf if time_limit.seconds is None else time_limit.seconds - time_limit.elapsed
    return TimeLimit(min(time_limit.elapsed, left))


@dataclass(frozen=True)
class _InTime:
    """What an EBM calls after every step: it raises when the time is over."""

    time_limit: TimeLimit

    def __call__(self, *_):
        if not self.time_limit.has_room_for():
            raise TimeoutError(
                f"it was not ready after {self.time_limit.elapsed:.0f} s, as long as the search "
                "took or time_limit allows; references='EBM' waits for it."
            )
        return False


def _ebm(budget, random_state, callback):
    from interpret.glassbox import ExplainableBoostingClassifier

    most = EBM_INTERACTIONS if budget.interactions is None else budget.interactions
    return ExplainableBoostingClassifier(
        interactions=min(most, EBM_INTERACTIONS),
        callback=callback,
        n_jobs=1,
        random_state=random_state,
        **FAST,
    )


def _reference(name, kind, trials, X):
    """Make a reference of the trials of a plan, and time it on rows of X."""
    *found, costs = averaged(trials)
    costs = with_latency(costs, trials[0].student, X)
    return Reference(name, kind, costs, *found, mean_of([trial.seconds for trial in trials]))
