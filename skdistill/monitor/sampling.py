"""The choice of rows that the teacher scores: by their hashes, so equal after a restart."""

import numpy as np

from skdistill.hashes import cell_hashes
from skdistill.monitor.bins import as_numbers
from skdistill.scorer.cells import is_missing


def chosen_rows(columns, kinds, share):
    """Choose a share of about `share` of the rows by a hash of their cells.

    `kinds` says of each column whether it holds numbers; else its cells are hashed as text. Columns
    may be None, but not all. The choice is the same for the same cells, in any process and
    container.
    """
    n_rows = len(next(column for column in columns if column is not None))
    hashes = np.zeros(n_rows, dtype=np.uint64)
    for column, is_number in zip(columns, kinds, strict=True):
        cells = np.zeros(n_rows, np.uint64) if column is None else _hashes(column, is_number)
        hashes = _mixed(hashes ^ _mixed(cells))
    return hashes.astype(np.float64) < share * 2.0**64


def _hashes(column, is_number):
    """Return one integer per cell; numbers are rounded to float32, as some containers have them."""
    if not is_number:
        cells = column.tolist()
        return cell_hashes([None if is_missing(cell) else str(cell) for cell in cells])
    numbers, readable = as_numbers(column)
    cells = np.full(len(column), np.nan, dtype=np.float32)
    with np.errstate(over="ignore"):
        cells[slice(None) if readable is None else readable] = numbers + 0.0  # one zero
    cells[np.isnan(cells)] = np.nan  # one NaN
    return cells.view(np.uint32).astype(np.uint64)


def _mixed(values):
    """Spread integers over all of 64 bits: the finaliser of SplitMix64."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
