"""What is explained: the predictions of a model in one output space, on rows mixed cell by cell.

The players are always the user's columns, in the user's own container.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit

from skdistill.columns import cell_values, mix_rows, stack_rows, take_rows
from skdistill.models import Model
from skdistill.soft_labels import (
    SMALLEST_PROBABILITY,
    proba_from_margins,
)
from skdistill.teacher.margins import ClassifierTeacher


def contrast(margins):
    """Turn margins, or anything linear in them, into log-odds of each class against the others.

    That is ``z_k - mean of the other z``: with two classes the log-odds of each.
    """
    n_classes = margins.shape[-1]
    return (n_classes * margins - margins.sum(axis=-1, keepdims=True)) / (n_classes - 1)


@dataclass(frozen=True)
class ExplainedOutput:
    """What is explained of a model.

    Attributes
    ----------
    model : Model
        The model.
    space : str
        "probability", "log_odds" or, of a regressor, "prediction".
    prior : ndarray of shape (n_classes,) or None
        Mean probabilities of the background. Log-odds of models that predict 0 start from a
        share of them, see `skdistill.teacher.margins.ClassifierTeacher.margins_of`.
    """

    model: Model
    space: str
    prior: np.ndarray | None = None

    @classmethod
    def about(cls, model, space, background):
        """Ask about a model in a space, against background rows."""
        if space != "log_odds":
            return cls(model, space)
        prior = model.answers(background, model.labels).mean(axis=0)
        return cls(model, space, np.maximum(prior, SMALLEST_PROBABILITY))

    def of_rows(self, X):
        """Return the model's predictions, of shape (n_samples, n_outputs)."""
        if self.space != "log_odds":
            return self.model.answers(X, self.model.labels)
        labels = self.model.labels
        model = ClassifierTeacher(self.model.estimator, labels, labels, self.prior)
        return contrast(model.margins(X))

    def of_sums(self, sums):
        """Turn what adds up in a model into predictions, up to a constant, by a linear map.

        The sums, of shape (..., n_sums), are margins, in probability space probabilities, or
        predictions; one column is the second of two classes.
        """
        if self.space == "prediction":
            return sums
        if sums.shape[-1] == 1:
            return np.concatenate([-sums, sums], axis=-1)
        return contrast(sums) if self.space == "log_odds" else sums

    def of_outputs(self, outputs):
        """Turn the outputs of a student's last step into predictions, one row per sample.

        Outputs are margins without their leading 0 if there are two classes; predictions in
        regression.
        """
        outputs = outputs.astype(np.float64)
        if self.space != "probability":
            return self.of_sums(outputs)
        if outputs.shape[1] == 1:
            return np.concatenate([expit(-outputs), expit(outputs)], axis=1)
        return proba_from_margins(outputs)


@dataclass(frozen=True)
class RowPool:
    """The rows to explain and those of the background, in one table.

    Attributes
    ----------
    table : ndarray or data frame of shape (n_rows, n_columns)
        The user's own container.
    explained : ndarray of shape (n_explained,)
        Positions of the rows to explain.
    background : ndarray of shape (n_background,)
        Positions of the background rows.
    """

    table: Any
    explained: np.ndarray
    background: np.ndarray

    @classmethod
    def of(cls, X, background):
        """Put rows to explain and background rows of one container below each other."""
        n_rows = X.shape[0]
        table = stack_rows([X, background])
        return cls(table, np.arange(n_rows), np.arange(n_rows, table.shape[0]))

    @property
    def n_columns(self):
        """Number of columns."""
        return self.table.shape[1]

    @property
    def explained_rows(self):
        """The rows to explain, in the container of the table."""
        return take_rows(self.table, self.explained)

    @property
    def background_rows(self):
        """The background rows, in the container of the table."""
        return take_rows(self.table, self.background)

    @cached_property
    def cell_codes(self):
        """A number for every cell, equal where cells of a column are, of the table's shape."""
        codes = np.empty(self.table.shape, dtype=np.intp)
        for j, values in enumerate(cell_values(self.table).T):
            known = {}
            for i, value in enumerate(values):
                codes[i, j] = known.setdefault(None if value != value else value, i)
        return codes

    def mix(self, source):
        """Compose rows cell by cell, see `skdistill.columns.mix_rows`."""
        return mix_rows(self.table, source)
