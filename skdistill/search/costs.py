"""What a student costs: microseconds a row, bytes, columns, and what people have to read."""

import warnings
from dataclasses import dataclass, replace
from time import perf_counter, process_time

import numpy as np

from skdistill.columns import cell_values, plain_rows, take_rows
from skdistill.estimators import last_step
from skdistill.export.lean import lean_scorer
from skdistill.export.student_content import student_content
from skdistill.models import as_model
from skdistill.report.fidelity.cost import measure_row, pickled_size
from skdistill.scorer.student_file import pack
from skdistill.students.base import Student, stated
from skdistill.students.column_selector import selection_of
from skdistill.students.kinds import STUDENTS

#: Calls of one round, and rounds: the 99 % quantile is the smallest over the rounds.
CALLS, ROUNDS = 1000, 5

#: Largest number of measurements of a latency that is over its limit.
MEASUREMENTS = 3

#: A machine is busy if a measurement waits for a core for this share of the time.
BUSY = 0.1

#: Number of rows that are scored in turn.
TIMED_ROWS = 500


@dataclass(frozen=True)
class Costs:
    """What a model costs.

    Attributes
    ----------
    size_kb : float or None
        Thousands of bytes of the student's file; of the pickle for other models, None if they have
        none.
    n_columns : int
        Number of columns that a prediction needs.
    n_columns_used : int
        Number of those that can change it.
    n_leaves : int or None
        Number of leaves of all trees; None for students without trees.
    latency_p50_us, latency_p99_us : float or None
        Microseconds to predict a single row, median and 99 % quantile; None if not measured.
    engine : str or None
        What scored the rows: "c", "numpy", "predict_proba" or "onnxruntime".
    waiting : float or None
        Share of the time of the measurement in which other processes had the core: if it is well
        above 0, the machine was busy. None if it is not known.
    n_interactions : int or None
        Number of pairs of columns that an additive model has tables of; None for other students.
    n_rules : int or None
        Number of leaves that people can read as rules; None for other students.
    """

    size_kb: float | None
    n_columns: int
    n_columns_used: int
    n_leaves: int | None = None
    latency_p50_us: float | None = None
    latency_p99_us: float | None = None
    engine: str | None = None
    waiting: float | None = None
    n_interactions: int | None = None
    n_rules: int | None = None


def static_costs(student):
    """Return the costs of a fitted student, or other classifier, except for its latency."""
    behind = selection_of(student)[1]
    if isinstance(behind, STUDENTS):
        size = len(pack(student_content(behind)))
    else:
        size = pickled_size(behind)
    return Costs(
        size_kb=None if size is None else size / 1000,
        n_columns=behind.n_features_in_,
        n_columns_used=_columns_used(behind),
        n_leaves=_leaves(behind),
        n_interactions=_interactions(behind),
        n_rules=_leaves(behind) if may_have(behind, "rules") else None,
    )


def with_latency(costs, student, X):
    """Add the latency of a student, measured now on real rows with all columns."""
    p50, p99, engine, waiting = measure_latency(student, X)
    return replace(costs, latency_p50_us=p50, latency_p99_us=p99, engine=engine, waiting=waiting)


def judged_latency(costs, student, X, limit):
    """Add the latency of a student, the lowest if it is measured again, being over the limit."""
    measured = [with_latency(costs, student, X)]
    while (
        limit is not None and measured[-1].latency_p99_us > limit and len(measured) < MEASUREMENTS
    ):
        measured.append(with_latency(costs, student, X))
    return min(measured, key=lambda each: each.latency_p99_us)


def measure_latency(student, X):
    """Time single-row calls of the lean scorer, or else of ``predict_proba``, on real rows.

    Returns the median and the 99 % quantile in microseconds, the engine and `waiting`, see `Costs`.
    """
    X = take_rows(X, np.linspace(0, X.shape[0] - 1, min(X.shape[0], TIMED_ROWS)).astype(int))
    selector, behind = selection_of(student)
    if not isinstance(behind, STUDENTS):
        return *measure_row(as_model(student, "student"), X), "predict_proba", None
    scorer = lean_scorer(behind)
    rows = plain_cells(X if selector is None else selector.transform(X))
    p50, p99, waiting = time_calls(scorer, rows)
    return p50, p99, scorer.engine, waiting


def plain_cells(X):
    """Return the rows of a table as lists of cells, as a service passes them to a lean scorer."""
    plain = plain_rows(X)
    rows = cell_values(plain if isinstance(plain, np.ndarray) else X)
    return [[cell.item() if hasattr(cell, "item") else cell for cell in row] for row in rows]


def time_calls(ask, inputs):
    """Time calls with one input after the other.

    Returns the median and the 99 % quantile in microseconds, and the share of the time in which
    this process had no core. Each quantile is the smallest over the rounds, so that a process that
    interrupts some of them has no effect.
    """
    for each in inputs:  # warm
        ask(each)
    quantiles = []
    began, used = perf_counter(), process_time()
    for _ in range(ROUNDS):
        times = np.empty(CALLS)
        for i in range(CALLS):
            each = inputs[i % len(inputs)]
            start = perf_counter()
            ask(each)
            times[i] = perf_counter() - start
        quantiles.append(np.quantile(times, [0.5, 0.99]))
    seconds, used = perf_counter() - began, process_time() - used
    p50, p99 = np.min(quantiles, axis=0) * 1e6
    return float(p50), float(p99), max(0.0, 1 - used / seconds)


def measure_teacher(estimator, X):
    """Measure a teacher through its own ``predict_proba``, on the rows and container it takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names of columns, a thousand times
        p50, p99 = measure_row(as_model(estimator, "teacher"), X)
    size = pickled_size(estimator)
    size_kb = None if size is None else size / 1000
    return Costs(size_kb, X.shape[1], X.shape[1], None, p50, p99, "predict_proba")


def may_have(student, limit):
    """Tell whether a student, fitted or not, may have what a limit of a budget counts."""
    if limit == "leaves":
        return stated(student, "has_leaves")
    forms = {"interactions": ("additive",), "rules": ("tree", "tree_sum")}[limit]
    return stated(student, "form") in (None, *forms)  # None: no student of skdistill


def _predictor(student):
    last = last_step(student)
    return getattr(last, "estimator_", last)  # inside of SoftLabelClassifier


def _interactions(student):
    """Count the pairs of an additive student, or of an EBM."""
    last = _predictor(student)
    if stated(last, "form") == "additive":
        return len(last.tables_)
    terms = getattr(last, "term_features_", None)
    return None if terms is None else sum(len(columns) > 1 for columns in terms)


def _leaves(student):
    last = _predictor(student)
    if hasattr(last, "get_n_leaves"):
        return int(last.get_n_leaves())
    n_leaves = getattr(last, "n_leaves_", None)
    return int(n_leaves) if np.isscalar(n_leaves) else None


def _columns_used(student):
    """Count the columns that can change a prediction; in other models any of them may."""
    return student.n_columns_used() if isinstance(student, Student) else student.n_features_in_
