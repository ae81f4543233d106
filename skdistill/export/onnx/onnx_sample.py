"""The rows on which an ONNX model is compared."""

import numpy as np

from skdistill.columns import PlainColumns, column_values, plain_rows
from skdistill.export.onnx.signature import MISSING
from skdistill.export.parity_sample import Sample, parity_rows, some_rows, student_answers


def onnx_sample(student, model, X=None):
    """Make the rows that the ONNX model of a student is compared on, and the student's predictions.

    They are those of `parity_rows`; an empty string that is no category is missing.
    """
    columns = zip(model.columns, parity_rows(student, model, X).values, strict=True)
    rows = PlainColumns(
        tuple(
            np.where(values == MISSING, None, values)
            if column.is_nominal and MISSING not in column.levels
            else values
            for column, values in columns
        )
    )
    return Sample(rows, student_answers(student, rows))


def table_sample(model, X):
    """Draw at most `GIVEN_ROWS` rows to compare a pipeline's ONNX model on, and predict them."""
    X = some_rows(X, np.random.RandomState(0))
    plain = plain_rows(X)
    rows = PlainColumns(tuple(column_values(plain, j) for j in range(plain.shape[1])))
    answers = model.answers(X, model.labels)
    return Sample(rows, answers if answers.ndim == 2 else answers[:, None])
