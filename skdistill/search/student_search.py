"""Choose the student within a budget."""

import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.metrics import get_scorer
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from skdistill.columns import column_names
from skdistill.distill import DistilledClassifier
from skdistill.distill.base import ClassifierDistiller
from skdistill.estimators import reusable
from skdistill.exceptions import BudgetError
from skdistill.parameters import HasMethods, Interval, StrOptions
from skdistill.progress import begin, with_callbacks
from skdistill.rows import check_classification_rows, check_something_observed, observed_rows
from skdistill.search.budget import Budget, excesses
from skdistill.search.candidates import Candidate, closest, in_order_of_choice, pareto_front
from skdistill.search.costs import BUSY, judged_latency, static_costs
from skdistill.search.evaluation import behind_selector, build_evaluator
from skdistill.search.references import (
    KINDS,
    ebm_reference,
    hard_references,
    teacher_references,
    time_for_ebm,
    wanted_references,
)
from skdistill.search.results import as_candidates, cv_results
from skdistill.search.search_loop import LATENCY_TOLERANCE, run_search
from skdistill.search.space import (
    certain_excesses,
    check_numbers_of_columns,
    listed_students,
    make_plans,
)
from skdistill.search.time_limit import SHARE_OF_TEACHER, TimeLimit
from skdistill.search.trials import Trials
from skdistill.students.column_selector import selection_of
from skdistill.teacher.asking import is_fitted, with_seeds
from skdistill.teacher.fitting import check_teacher


class StudentSearchCV(ClassifierDistiller):
    """Find the student that is best within a budget of time, size, rules and columns.

    Students, temperatures and alphas are tried on cross-validated folds, whose rows the teacher
    labels once. The costs of a student are measured: single-row calls of its compiled scorer, the
    bytes of its file, its leaves, the columns it needs. The best within the budget is fitted again
    on all rows, measured again, and then predicts.

    Parameters
    ----------
    teacher : estimator
        A classifier with ``predict_proba``, fitted or not, as in `DistilledClassifier`. A fitted
        one predicts once for all folds, a clone of an unfitted one is fitted in each.
    students : "auto", estimator, list or dict, default="auto"
        The students to try. "auto": trees of 4 to 128 leaves, sums of trees of 7 to 31 splits,
        linear models, additive models with 0, 5, 10 and "auto" interactions (as far as the table
        has that many pairs of columns), and MLPs of 16 to 128-128 units (if torch and skorch are
        there), except for those that the budget rules out. Else students, each alone or paired with
        a parameter grid, such as ``[(TreeStudentClassifier(), {"max_leaf_nodes": [4, 8]}),
        LinearStudentClassifier()]``; a dict gives them names.
    budget : Budget or None, default=None
        The limits; None for none.
    scoring : str or callable, default="neg_log_loss"
        The score that decides, as in scikit-learn; also `fidelity_scorer`. Log loss and average
        precision are always reported.
    cv : int, cross-validation generator or iterable, default=3
        Folds, the same for all candidates.
    search : {"screening", "grid", "optuna"}, default="screening"
        - "screening": cheap candidates first, and only those that can win, see Notes.
        - "grid": all candidates, on all rows.
        - "optuna": `n_iter` candidates, on all rows, that its TPE sampler proposes. Needs the
          ``search`` extra.
    temperatures : sequence of float or "auto", default=(1.0, 2.0)
        Temperatures to try with every student.
    alphas : sequence of float, default=(0.5, 0.8, 1.0)
        Weights of the soft labels to try with every student.
    n_columns : int, sequence of int or None, or None, default=None
        Numbers of columns to try with every student; None among them means all columns. None
        alone tries as many as the budget allows.
    rule : {"best", "one_standard_error"}, default="best"
        Which candidate within the budget is taken: the one with the best score; or, among those
        within one standard error of it (of the paired differences between folds), the one that uses
        the smallest share of the budget, or without limits the smallest file.
    n_iter : int, default=30
        Number of candidates that optuna tries.
    references : bool or list of {"teacher", "hard labels", "EBM"}, default=True
        Which models that candidates should beat are measured: the teacher, also compiled by
        onnxruntime; the students of the front without a teacher; and interpret's explainable
        boosting machine without a teacher, with 2 outer bags, a learning rate of .03, a stop after
        25 rounds, and as many interactions as the budget allows, at most 10. True takes all, the
        last one if interpret is installed and no slower than the search before it.
    distiller_params : dict or None, default=None
        More parameters of `DistilledClassifier`, the same for all candidates, such as
        ``labelling``, ``augmentation`` or ``class_weight``.
    memory : str, joblib.Memory or None, default=None
        Caches the teacher's labels of synthetic rows; None for a temporary folder, deleted after
        fit.
    n_jobs : int or None, default=None
        Trials at a time. Latencies are measured afterwards, one after the other.
    time_limit : float or None, default=None
        Seconds after which the best so far is taken; None for no limit. Trials that have begun are
        finished, and ``notes_`` lists those left out. The teacher gets two fifths of the time: if
        that is too short for all folds, there are fewer. A search that reaches its limit does not
        repeat exactly.
    random_state : int, RandomState instance or None, default=None
        Seed of everything that has no ``random_state`` of its own.
    verbose : int, default=0
        Whether to print the stages, and a line per candidate with the time left.

    Attributes
    ----------
    best_estimator_ : DistilledClassifier
        The chosen candidate, fitted on all rows.
    best_params_ : dict
        Its ``student``, ``temperature``, ``alpha`` and ``n_columns``.
    best_score_ : float
        Its mean score over the folds.
    best_costs_ : Costs
        What the fitted student costs.
    best_index_ : int
        Its position in ``candidates_`` and ``cv_results_``.
    candidates_ : tuple of Candidate
        All candidates: parameters, scores, costs, and ``why_not``, if one cannot be chosen.
    pareto_front_ : CandidateTable
        The candidates that no other beats in score and all costs that the budget limits (latency
        and size, if it limits none but columns), also those beyond the budget. Prints as a table.
    cv_results_ : dict of str to ndarray or list
        As of scikit-learn's searches: ``params``, ``mean_test_score``, ``split0_test_score`` and so
        on, with ``n_resources``, the training rows each was scored with.
    reference_points_ : tuple of Reference
        See `references`.
    column_path_ : ColumnPath or None
        The order in which columns are dropped, with the fidelity at each step; None if no number
        of columns was tried.
    columns_ : list of str
        Names of the columns that the student needs.
    notes_ : tuple of str
        Decisions of the search: what was chosen or left out, and why.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_splits_ : int
        Number of folds.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    StudentSearchDisplay : Plots candidates, front, budget and references.
    DistilledClassifier : One candidate.

    Notes
    -----
    A student is first fitted on a thousand rows and measured, and not scored if it is over the
    budget (latency: by half). The chosen one is measured again after its fit on all rows; if it
    exceeds a limit then, the next best is taken.

    Screening goes family by family, and those that learn from synthetic rows (MLPs, soft trees)
    come last. (1) Alpha is chosen at the first temperature, and then the temperature, on one
    student, with at most 2000 rows (more if a class is rare): the middle one on all folds, or the
    smallest MLP on two of them, without synthetic rows and trained for 300 steps. The other sizes
    use the best two pairs, MLPs the best one. (2) MLPs go on if they can win: if that small one was
    not worse on both folds than the best of the others, or the teacher is better than that one by
    more than a standard error. (3) Every size is tried on two folds, and on the others unless a
    candidate that costs no more, in file size and all that the budget limits, scored higher on
    both; then its second pair is left out, too. Only the better half of the MLPs goes on after the
    first fold, and half of these after the second; those that keep the limit on fidelity come
    first, and those without a score stay. ``why_not`` of a candidate and ``notes_`` say why one was
    pruned. Whether the labels are corrected is decided once per fold for all MLPs, by the smallest,
    trained briefly.

    The latency that is compared with the budget is the smallest over five rounds of the 99 %
    quantile of a thousand calls, measured up to three times while it is over the limit.

    With ``Budget(columns=k)`` students see k columns and the teacher all of them. Columns are
    dropped one after the other, fold by fold, those first that cost the least held-out fidelity;
    the teacher's labels decide, not the observed classes.

    A fitted teacher has learned from the rows of all folds, and the search warns of it unless it is
    proved that it was fitted on others. Its labels of these rows are honest where possible
    (out-of-bag, cross-fitted), but from its labels of rows between them, above all synthetic ones,
    students learn something of the classes they are scored on: scores are too good, those of MLPs
    most of all. Pass the teacher unfitted, which costs a fit per fold, or judge the final student
    on other rows.

    The latency of a student is that of this machine while nothing else runs.

    References
    ----------
    Maron and Moore, "The Racing Algorithm: Model Selection for Lazy Learners", Artificial
    Intelligence Review 1997, doi:10.1023/A:1006556606079, for giving up by folds. Bergstra et al.,
    "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011. Breiman et al., "Classification and
    Regression Trees", 1984, for the rule of one standard error.

    Examples
    --------
    The best tree, or sum of trees, of at most six leaves:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import Budget, StudentSearchCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> search = StudentSearchCV(
    ...     RandomForestClassifier(50),
    ...     budget=Budget(leaves=6),
    ...     cv=3,
    ...     references=False,
    ...     random_state=0,
    ... )
    >>> search = search.fit(X, y)
    >>> search.student_.n_leaves_ <= 6
    True
    """

    # Pipelines hand X_unlabeled on without set_fit_request.
    __metadata_request__fit = {"X_unlabeled": True}

    _parameter_constraints = {
        "teacher": "no_validation",  # check_teacher says more
        "students": "no_validation",  # listed_students says more
        "budget": [Budget, None],
        "scoring": [str, callable],
        "cv": ["cv_object"],
        "search": [StrOptions({"screening", "grid", "optuna"})],
        "temperatures": ["array-like"],
        "alphas": ["array-like"],
        "n_columns": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "rule": [StrOptions({"best", "one_standard_error"})],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "references": ["boolean", "array-like", StrOptions({*KINDS})],
        "distiller_params": [dict, None],
        "memory": [str, HasMethods(["cache"]), None],
        "n_jobs": [Integral, None],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        teacher,
        students="auto",
        *,
        budget=None,
        scoring="neg_log_loss",
        cv=3,
        search="screening",
        temperatures=(1.0, 2.0),
        alphas=(0.5, 0.8, 1.0),
        n_columns=None,
        rule="best",
        n_iter=30,
        references=True,
        distiller_params=None,
        memory=None,
        n_jobs=None,
        time_limit=None,
        random_state=None,
        verbose=0,
    ):
        self.teacher = teacher
        self.students = students
        self.budget = budget
        self.scoring = scoring
        self.cv = cv
        self.search = search
        self.temperatures = temperatures
        self.alphas = alphas
        self.n_columns = n_columns
        self.rule = rule
        self.n_iter = n_iter
        self.references = references
        self.distiller_params = distiller_params
        self.memory = memory
        self.n_jobs = n_jobs
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X, y, sample_weight=None, X_unlabeled=None):
        """Try the candidates, and fit the best within the budget on all rows.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns: what teacher and students take.
        y : array-like of shape (n_samples,)
            Classes; -1 marks rows without one, see `DistilledClassifier`, but some must be
            observed: candidates are scored on them.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, for fits and scores.
        X_unlabeled : table with the columns of X, or tuple of tables, default=None
            More rows without a class, the same in every fold. Nothing is scored on them.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        BudgetError
            A ValueError: if no candidate is within the budget. It says which came closest, and
            whether the machine was busy; all that was measured is in its ``candidates``, and in
            ``candidates_`` of the search.
        TypeError
            If teacher or a student is not a classifier with ``predict_proba``.
        ValueError
            If a parameter, the rows, the classes or the weights are not what is described here.
        """
        self._validate_params()
        time_limit = TimeLimit(self.time_limit)
        vars(self).pop("best_estimator_", None)
        check_teacher(self.teacher, "classifier")
        budget = Budget() if self.budget is None else self.budget
        shared = self._shared_params()
        kinds = wanted_references(self.references)
        if isinstance(self.scoring, str):
            get_scorer(self.scoring)  # raises before any work
        rows = check_classification_rows(
            self,
            X,
            y,
            sample_weight,
            X_unlabeled,
            known_classes=self.teacher.classes_ if is_fitted(self.teacher) else None,
            accept_sparse=self._takes_sparse(),
        )
        check_something_observed(rows, {f"scoring={self.scoring!r}": True})
        if len(np.unique(rows.y)) < 2:
            raise ValueError(
                f"y holds one class only, {rows.y.tolist()[0]!r}, so that candidates cannot be "
                "compared. Pass rows of two classes or more."
            )
        plans, notes = self._plans(budget, shared, rows.X.shape[1])
        self._check_some_may_fit(plans, budget)
        random_state = check_random_state(self.random_state)
        task = begin(self, n_parts=5, **observed_rows(rows))
        with _cache(self.memory) as memory:
            shared |= {"memory": memory, "random_state": random_state.randint(2**31 - 1)}
            self._say("the teacher labels the rows of the folds")
            teacher = self._seeded_teacher(random_state)
            numbers = [plan.n_columns for plan in plans if plan.n_columns is not None]
            folds = self._cv(), self.scoring, shared, numbers, self.n_jobs, random_state
            self.notes_ = tuple(notes)
            evaluator, self.column_path_ = task.run(
                "label-folds", build_evaluator, teacher, rows, *folds, self._goes_on(time_limit)
            )
            self.classes_, self.n_splits_ = evaluator.classes, len(evaluator.folds)
            trials = Trials(evaluator, plans, self.n_jobs, self._say, time_limit)
            trials.last_fit_seconds = time_limit.elapsed / self.n_splits_
            entries, decisions = task.run(
                "try-candidates",
                run_search,
                trials,
                budget,
                self.search,
                n_iter=self.n_iter,
                random_state=random_state.randint(2**31 - 1),
            )
            self.notes_ += tuple(decisions)
            candidates = task.run("measure-latencies", as_candidates, entries, evaluator, budget)
            self.candidates_ = candidates
            shared["memory"] = self.memory
            given = {"sample_weight": sample_weight, "X_unlabeled": X_unlabeled}
            fit_params = {"X": X, "y": y, **given}
            with task.part("fit-best", n_parts=None) as fitting:
                self._choose(candidates, budget, shared, rows.X, fit_params, fitting)
            self.reference_points_ = ()
            with task.part("measure-references"):
                if kinds:
                    self._refer(kinds, evaluator, entries, rows, time_limit)
        task.end(reconstruction_attributes={}, **observed_rows(rows))
        return self

    def _shared_params(self):
        """Return the parameters that all distillers share."""
        given = dict(self.distiller_params or {})
        ours = {"teacher", "student", "temperature", "alpha", "memory", "random_state"}
        known = set(DistilledClassifier(None).get_params(deep=False)) - ours
        unknown = sorted(set(given) - known)
        if unknown:
            raise ValueError(
                f"distiller_params has {unknown}; parameters of DistilledClassifier that the "
                f"search does not set itself were expected: {sorted(known)}."
            )
        return {name: reusable(value) for name, value in given.items()}

    def _plans(self, budget, shared, n_features):
        """List the candidates to try, and notes on those that are left out."""
        for name in ("temperatures", "alphas"):
            if len(getattr(self, name)) == 0:
                raise ValueError(f"{name} is empty; at least one value was expected.")
        if isinstance(self.students, str) and self.students != "auto":
            raise ValueError(
                f"students={self.students!r}; 'auto', a student, or a list or dict of them was "
                "expected."
            )
        numbers = [budget.columns] if self.n_columns is None else np.ravel(self.n_columns).tolist()
        if self.n_columns is not None:
            check_numbers_of_columns(numbers, n_features)
        plans, notes = make_plans(
            self.students, self.temperatures, self.alphas, numbers, budget, n_features
        )
        checked = None
        for plan in plans:  # raises before any work
            distiller = self._distiller(plan.params, shared, plan.student)
            distiller._validate_params()
            if plan.student is not checked:  # those of one student stand together
                checked = plan.student
                distiller._checked_members()
        return plans, notes

    def _check_some_may_fit(self, plans, budget):
        """Raise BudgetError if the budget rules out all candidates, whatever they are fitted on."""
        ruled_out = [(plan, certain_excesses(plan.student, budget)) for plan in plans]
        if all(found for _, found in ruled_out):
            self.candidates_ = tuple(
                Candidate(plan.name, plan.params, excesses=found) for plan, found in ruled_out
            )
            raise BudgetError(_message(self.candidates_, budget), self.candidates_)

    def _seeded_teacher(self, random_state):
        """Return the teacher; without a seed of its own it gets one if the search has one."""
        if is_fitted(self.teacher) or self.random_state is None:
            return self.teacher
        return with_seeds(clone(self.teacher), random_state)

    def _choose(self, candidates, budget, shared, X, fit_params, task):
        """Fit the best candidate on all rows; the next one if it then is over the budget."""
        candidates = list(candidates)
        for i in in_order_of_choice(candidates, budget, self.rule):
            params = candidates[i].params
            self._say(f"fitting {candidates[i].name} on all rows")
            model = self._distiller(params, shared, self._deployed(params))
            with task.part("fit-candidate", by=model):
                model.fit(**fit_params)
            costs = static_costs(model.student_)
            costs = judged_latency(costs, model.student_, X, budget.latency_us)
            over = excesses(budget, costs)
            if not over:
                break
            candidates[i] = replace(candidates[i], costs=costs, excesses=over)
            late = f"{candidates[i].name}, fitted on all rows, is over the budget"
            self._say(f"{late}: {candidates[i].why_not}")
            self.notes_ += (f"{late}: {candidates[i].why_not}.",)
        else:
            self.candidates_ = tuple(candidates)
            raise BudgetError(_message(candidates, budget), self.candidates_)
        self.candidates_ = tuple(candidates)
        self.pareto_front_ = pareto_front(candidates, budget.limits)
        self.cv_results_ = cv_results(candidates, self.n_splits_)
        self.best_index_, self.best_params_ = i, params
        self.best_score_, self.best_costs_ = candidates[i].score, costs
        self.best_estimator_ = model
        selector = selection_of(model.student_)[0]
        kept = range(self.n_features_in_) if selector is None else selector.columns
        names = column_names(self)
        self.columns_ = [names[j] for j in kept]

    def _distiller(self, params, shared, student):
        return DistilledClassifier(
            self.teacher,
            student,
            temperature=params["temperature"],
            alpha=params["alpha"],
            **{"n_jobs": self.n_jobs} | shared,
        )

    def _deployed(self, params):
        """Return the unfitted student of a candidate, behind the columns it keeps."""
        if params["n_columns"] is None:
            return params["student"]
        return behind_selector(params["student"], self.column_path_.best(params["n_columns"]))

    def _goes_on(self, time_limit):
        """Return the function that reports a fold of the teacher, and decides on the next."""

        def goes_on(n_ready, n_folds):
            self._say(f"the teacher has labelled {n_ready} of {n_folds} folds")
            if time_limit.has_room_for(time_limit.elapsed / n_ready, SHARE_OF_TEACHER):
                return True
            self.notes_ += (
                f"{time_limit}: the teacher took {time_limit.elapsed:.0f} s for {n_ready} of "
                f"{n_folds} folds, which are all that candidates were scored on.",
            )
            return False

        return goes_on

    def _refer(self, kinds, evaluator, entries, rows, time_limit):
        """Measure the models that candidates should beat."""
        if not time_limit.has_room_for():
            self.notes_ += (f"{time_limit} was over before references were measured.",)
            return
        how = rows.X, self.n_jobs, self._say, time_limit
        found = []
        if "teacher" in kinds:
            of_fold = evaluator.folds[0].teacher.teacher  # if all other margins came from `memory`
            teacher = (self._teacher or of_fold).estimator
            found.append(teacher_references(evaluator, teacher, rows.X))
        if "hard labels" in kinds:
            chosen = {each.name for each in self.pareto_front_ if each.within_budget}
            chosen.add(self.candidates_[self.best_index_].name)
            plans = [entry.plan for entry in entries if entry.plan.name in chosen]
            found.append(hard_references(evaluator, plans, *how))
        if "EBM" in kinds:
            limit = time_for_ebm(time_limit, was_asked_for=self.references is not True)
            budget = self.budget or Budget()
            found.append(ebm_reference(evaluator, budget, rows.X, self._say, limit))
        self.reference_points_ = tuple(each for references, _ in found for each in references)
        self.notes_ += tuple(note for _, notes in found for note in notes)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "best_estimator_")  # not if no candidate was within the budget

    @property
    def student_(self):
        """The fitted student of the chosen candidate; this is what goes to production."""
        check_is_fitted(self)
        return self.best_estimator_.student_

    @property
    def _teacher(self):
        return self.best_estimator_._teacher

    @property
    def _seen_rows(self):
        return self.best_estimator_._seen_rows

    def __sklearn_tags__(self):
        """Return the scikit-learn tags, with the input that teacher and all students take."""
        is_listed = not isinstance(self.students, str | type(None))
        students = [each for _, each in listed_students(self.students)] if is_listed else [None]
        tags = [get_tags(DistilledClassifier(self.teacher, student)) for student in students]
        for name in ("allow_nan", "string", "categorical", "sparse"):
            takes = all(getattr(each.input_tags, name) for each in tags)
            setattr(tags[0].input_tags, name, takes)
        return tags[0]


@contextmanager
def _cache(memory):
    """Yield a cache: the user's, or one in a folder that is deleted afterwards."""
    if memory is not None:
        yield memory
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield joblib.Memory(folder, verbose=0)


def _message(candidates, budget):
    """Say by how many candidates each limit was missed, and which came closest."""
    lines = [f"No student is within {budget!r}. Of {len(candidates)} candidates"]
    for limit, allowed in budget.limits.items():
        over = [excess for each in candidates for excess in each.excesses if excess.limit == limit]
        first = [excess.tolerated for excess in over if excess.tolerance]
        how = f"{limit} {allowed:g}"
        if first:
            how += (
                f" (the first measurement allows {LATENCY_TOLERANCE:.0%} for noise: {first[0]:g})"
            )
        lines.append(f"  {len(over)} do not keep {how}")
    others = [each for each in candidates if not each.excesses and not each.is_evaluated]
    if others:
        why = "see their why_not; search='grid' without time_limit tries all"
        lines.append(f"  {len(others)} were not scored on all folds, {why}")
    lines += ["Closest came:", closest(candidates)]
    lines += filter(None, [_how_busy(candidates)])
    lines.append(
        "Raise a limit or pass other students; candidates_ of the error and of the search have all "
        "that was measured."
    )
    return "\n".join(lines)


def _how_busy(candidates):
    """Say that the machine was busy while latencies were measured, if they decided and it was."""
    over = {
        id(each.costs): each.costs.waiting
        for each in candidates
        if each.costs and any(excess.limit == "latency_us" for excess in each.excesses)
    }
    waiting = np.median([share for share in over.values() if share is not None] or [0.0])
    if waiting < BUSY:
        return ""
    load = f"load average {os.getloadavg()[0]:.1f}, " if hasattr(os, "getloadavg") else ""
    return (
        f"The machine was busy: while latencies were measured, other processes had the core for "
        f"{waiting:.0%} of the time ({load}{os.cpu_count()} cores). Search again when it is quiet."
    )
