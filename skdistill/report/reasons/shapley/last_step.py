"""Look through the transformers of a pipeline that treat every column by itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from skdistill.columns import cell_values
from skdistill.estimators import as_last_step_sees, last_step

#: Mixed rows on which what is seen has to be the mix of what is seen of single rows.
PROBE_ROWS = 256

#: Tables of more cells are not looked at.
MAX_CELLS = 50_000_000


@dataclass(frozen=True)
class LastStep:
    """The step of a model that answers, and the rows of a pool as it sees them.

    Attributes
    ----------
    estimator : estimator
        The last step, or the model itself.
    table : ndarray or data frame of shape (n_rows, n_seen)
        The table of the pool behind the transformers.
    owner : ndarray of shape (n_seen,)
        The user's column that each column of the table is made of.
    n_columns : int
        Number of the user's columns.
    """

    estimator: Any
    table: Any
    owner: np.ndarray
    n_columns: int


def see_through(estimator, pool):
    """Find the step that answers, if every column that it sees is made of one of the user's.

    Parameters
    ----------
    estimator : estimator
        A fitted model.
    pool : RowPool
        Rows as the model takes them.

    Returns
    -------
    last : LastStep or None
        None if there are transformers that do not treat every column by itself. A model without
        transformers is its own last step.

    Notes
    -----
    A column that is seen belongs to the user's columns that change it when they alone are
    exchanged between rows. Where that is one for each, mixed rows are transformed and compared
    with mixtures of transformed rows.
    """
    n_columns = pool.n_columns
    table = as_last_step_sees(estimator, pool.table)
    if table is pool.table:
        return LastStep(last_step(estimator), table, np.arange(n_columns), n_columns)
    if np.prod(table.shape) > MAX_CELLS:
        return None
    table = table.toarray() if sp.issparse(table) else table
    seen = _cells(table)
    rows = np.arange(len(seen))
    changed = np.zeros((n_columns, seen.shape[1]), dtype=bool)
    for j in range(n_columns):
        source = np.repeat(rows[:, None], n_columns, axis=1)
        source[:, j] = np.roll(rows, 1)
        changed[j] = _differ(_cells_of_mixed(estimator, pool, source), seen).any(axis=0)
    if (changed.sum(axis=0) > 1).any():
        return None
    owner = changed.argmax(axis=0)  # 0 for what is the same in all rows: it adds nothing
    mixed = np.random.RandomState(0).randint(len(rows), size=(PROBE_ROWS, n_columns))
    expected = seen[mixed[:, owner], np.arange(len(owner))]
    if _differ(_cells_of_mixed(estimator, pool, mixed), expected).any():
        return None
    return LastStep(last_step(estimator), table, owner, n_columns)


def _cells_of_mixed(estimator, pool, source):
    table = as_last_step_sees(estimator, pool.mix(source))
    return _cells(table.toarray() if sp.issparse(table) else table)


def _cells(table):
    return table if isinstance(table, np.ndarray) else cell_values(table)


def _differ(a, b):
    """Compare cells; missing ones are equal."""
    return (a != b) & ~((a != a) & (b != b))
