"""What a model costs: bytes, parameters, and time to predict."""

import pickle
import warnings
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import scipy.sparse as sp
from sklearn.pipeline import Pipeline

from skdistill.columns import column_values, take_rows
from skdistill.estimators import last_step
from skdistill.exceptions import ParityError
from skdistill.export.lean import lean_scorer
from skdistill.export.student_content import as_deployed_sees, deployed_student, student_content
from skdistill.messages import warn_caller
from skdistill.scorer.student_file import pack
from skdistill.students.base import stated
from skdistill.students.soft_label_classifier import SoftLabelClassifier
from skdistill.teacher.vendors import vendor_of

#: Seconds that a kind of call is timed for, and how many calls there are at least and at most.
SECONDS, FEWEST_CALLS, MOST_CALLS = 0.25, 20, 2000

#: Rows of the call that measures throughput.
BATCH_ROWS = 10_000


@dataclass(frozen=True)
class Cost:
    """What one model costs.

    Attributes
    ----------
    n_bytes : int or None
        Size of its pickle, None if it cannot be pickled; of the file that `save` writes for the
        lean scorer.
    parts : str
        What it is made of, such as "16 leaves" or "24,961 weights", empty if that is not known;
        what the lean scorer runs in.
    row_p50, row_p99 : float
        Microseconds to predict one row: median and 99 % quantile of separate calls, as many as a
        quarter of a second has room for, from 20 to 2,000.
    rows_per_second : float
        When it predicts many rows at once.
    """

    n_bytes: int | None
    parts: str
    row_p50: float
    row_p99: float
    rows_per_second: float


def measure_cost(model, X):
    """Measure ``predict_proba`` or ``predict`` of a model, with its ``n_jobs``, on this machine."""
    row_p50, row_p99 = measure_row(model, X)
    batch = take_rows(X, np.arange(BATCH_ROWS) % X.shape[0])
    batch_seconds = _times(_predict_of(model), [batch], 1).min()
    return Cost(
        n_bytes=pickled_size(model.estimator),
        parts=parts_of(model.estimator),
        row_p50=row_p50,
        row_p99=row_p99,
        rows_per_second=BATCH_ROWS / batch_seconds,
    )


def measure_scorer(model, X):
    """Measure the lean scorer of a student on this machine, in C if that can be compiled here.

    None if the student is none of skdistill's, or behind transformers, or, with a UserWarning, if
    its scorer predicts differently.
    """
    try:
        student = deployed_student(model.estimator)
        scorer = lean_scorer(student)
    except TypeError:
        return None
    except ParityError as error:
        warn_caller(f"The cost of the lean scorer was not measured: {error}")
        return None
    X = as_deployed_sees(model.estimator, take_rows(X, np.arange(min(X.shape[0], BATCH_ROWS))))
    X = X.toarray() if sp.issparse(X) else X
    columns = [column_values(X, j) for j in range(X.shape[1])]
    rows = [list(row) for row in zip(*(values[:100].tolist() for values in columns), strict=True)]
    batch = np.arange(BATCH_ROWS) % X.shape[0]
    table = {name: values[batch] for name, values in zip(scorer.columns, columns, strict=True)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of unknown levels, once per call
        seconds = _times(scorer.batch, [table], 1).min()
        p50, p99 = np.quantile(_times(scorer, rows, FEWEST_CALLS), [0.5, 0.99])
    return Cost(
        n_bytes=len(pack(student_content(student))),
        parts="compiled C" if scorer.engine == "c" else "NumPy",
        row_p50=float(p50 * 1e6),
        row_p99=float(p99 * 1e6),
        rows_per_second=float(BATCH_ROWS / seconds),
    )


def measure_row(model, X):
    """Return median and 99 % quantile of the microseconds for one row; see `measure_cost`."""
    single = [take_rows(X, [i]) for i in range(min(X.shape[0], 100))]
    p50, p99 = np.quantile(_times(_predict_of(model), single, FEWEST_CALLS), [0.5, 0.99]) * 1e6
    return float(p50), float(p99)


def _predict_of(model):
    return model.estimator.predict if model.labels is None else model.estimator.predict_proba


def _times(predict, inputs, fewest_calls):
    """Return the seconds of each of a number of calls, after one that is not counted."""
    if fewest_calls > 1:
        predict(inputs[0])
    times = []
    began = perf_counter()
    while len(times) < fewest_calls or (
        perf_counter() - began < SECONDS and len(times) < MOST_CALLS
    ):
        start = perf_counter()
        predict(inputs[len(times) % len(inputs)])
        times.append(perf_counter() - start)
    return np.array(times)


class _Counter:
    """A file object that counts the bytes written to it."""

    def __init__(self):
        self.n_bytes = 0

    def write(self, data):
        self.n_bytes += memoryview(data).nbytes
        return memoryview(data).nbytes


def pickled_size(estimator):
    """Count the bytes of an estimator's pickle, without keeping them; None if it has none."""
    counter = _Counter()
    try:
        pickle.dump(estimator, counter, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError):  # a lambda in a pipeline, say
        return None
    return counter.n_bytes


def parts_of(estimator):
    """Say what a fitted estimator is made of, in words; "" if it is not known."""
    if isinstance(estimator, Pipeline) and len(estimator.steps) > 1:
        return parts_of(last_step(estimator))
    last = last_step(estimator)
    if isinstance(last, SoftLabelClassifier):
        return parts_of(last.estimator_)
    if stated(last, "form") is not None:
        return last.parts()
    return vendor_of(last).size_in_words(last)
