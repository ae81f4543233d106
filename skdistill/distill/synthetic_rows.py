"""Make the synthetic rows of a distillation: mixed rows, and rows with unknown cells."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from skdistill.columns import stack_rows, take_rows
from skdistill.transfer_set import kinds_of_unknown_cells, with_unknown_cells

#: Rows with one kind of unknown cell, as a share of the labelled ones, in number and in weight.
UNKNOWN_SHARE = 0.05

#: Least and largest number of rows with one kind of unknown cell.
UNKNOWN_ROWS = 50, 1_000

#: Largest weight of rows with unknown cells, as a share of that of the labelled rows; and their
#: largest share of the synthetic rows.
MOST_UNKNOWN = 0.1


@dataclass(frozen=True)
class SyntheticRows:
    """Synthetic rows, not labelled yet.

    Attributes
    ----------
    X : ndarray or data frame of shape (n_made, n_features)
        In the container of the rows that they were made from.
    weight : ndarray of shape (n_made,)
        Their weights.
    parents : ndarray of shape (n_made, 2) or None
        The rows that each was made from, see `label_by_members`; None if that is not known.
    """

    X: Any
    weight: np.ndarray
    parents: np.ndarray | None = None


def make_synthetic_rows(
    teacher,
    X,
    sample_weight,
    *,
    pool=None,
    augmentation,
    with_unknown,
    with_parents=False,
    random_state,
):
    """Make the synthetic rows that a student learns from in addition to real ones, or None.

    X are labelled or fresh rows, `pool` unlabelled ones. With `with_unknown` some rows have unseen
    levels and missing values, as far as the teacher accepts them; `with_parents` returns what rows
    were made from, if the augmentation can. Each weighs as much as a row of X on average; fewer and
    lighter ones if all have unknown cells.
    """
    random_state = check_random_state(random_state)
    n_samples = X.shape[0]
    kinds = _kinds_taken(teacher, X) if with_unknown else []
    n_unknown = len(kinds) * int(np.clip(UNKNOWN_SHARE * n_samples, *UNKNOWN_ROWS))
    if augmentation is None:
        if not kinds:
            return None
        made = take_rows(X, random_state.randint(n_samples, size=n_unknown))
        made = with_unknown_cells(made, np.arange(n_unknown), kinds)
        share = min(MOST_UNKNOWN, UNKNOWN_SHARE * len(kinds))
        return SyntheticRows(made, np.full(n_unknown, share * sample_weight.sum() / n_unknown))
    request = (X if pool is None else stack_rows([X, pool])), n_samples, random_state
    if with_parents and hasattr(augmentation, "sample_with_parents"):
        made, parents = augmentation.sample_with_parents(*request)
    else:
        made, parents = augmentation.sample(*request), None
    n_made = made.shape[0]
    if kinds:
        n_unknown = min(n_unknown, int(MOST_UNKNOWN * n_made))
        made = with_unknown_cells(made, random_state.permutation(n_made)[:n_unknown], kinds)
    return SyntheticRows(made, np.full(n_made, sample_weight.mean()), parents)


def _kinds_taken(teacher, X):
    """Find which unknown cells a teacher accepts; see `kinds_of_unknown_cells`."""
    if sp.issparse(X):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # encoders warn of categories that they do not know
        return kinds_of_unknown_cells(X, teacher.margins)
