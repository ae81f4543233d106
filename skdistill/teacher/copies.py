"""Copies of rows, as oversampling makes them: a row and its copies must be held out together."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from skdistill.columns import column_values, is_missing, is_nominal, row_hashes

#: Largest share of copies among the rows that is ignored.
COPIES_TOLERANCE = 0.02

#: Largest share of a table that a row and its copies may be: more are customers who are alike.
LARGEST_GROUP = 1 / 8

#: With more classes none is compared; in classes that were not drawn again at most this share of
#: the rows recurs by chance.
MOST_CLASSES, FEW_OF_OTHERS = 20, 0.1


@dataclass(frozen=True)
class Copies:
    """Rows of a table that are copies of one another.

    Attributes
    ----------
    group : ndarray of shape (n_samples,)
        Equal numbers for copies of one row, from 0.
    n_copied : int
        Number of rows that occur more than once.
    most : int
        How often the most frequent of them occurs.
    """

    group: np.ndarray
    n_copied: int
    most: int

    def in_words(self, are_together):
        """Say how many copies there are, whether they are held out together, and what to do."""
        return (
            f"{self.n_copied:,} of the {len(self.group):,} labelled rows are copies of one another,"
            f" of one row up to {self.most:,}, as oversampling or records kept twice make them. "
            + (
                "Copies are held out together, so that labels stay honest, but there are fewer "
                "different rows than it seems. "
                if are_together
                else "The folds of cv may hold one out while others stay, and labels are too sure "
                "then: with a number as cv they are held out together. "
            )
            + "Pass every row once, and let class_weight count classes more."
        )


def find_copies(X, y):
    """Find copies of rows, as opposed to rows that are equal by chance; None if less than 2 % are.

    Customers without a payment, or rows of a few short codes, are equal without being copies. Rows
    are copies of one another if they are equal in float32, also in y, and have a cell that no other
    row of the table has: an amount to the cent, say; or if most rows of their class are there more
    than once, and few of another class, as after rare classes were oversampled. Synthetic rows, as
    of SMOTE, are no copies.
    """
    hashes = row_hashes(X, np.float32)
    _, group, size = np.unique(hashes, return_inverse=True, return_counts=True)
    pairs = np.stack([group, _numbered(y)])
    group_with_y = np.unique(pairs, axis=1, return_inverse=True)[1].ravel()
    size_with_y = np.bincount(group_with_y)[group_with_y]
    recurs = (size_with_y > 1) & (size_with_y <= LARGEST_GROUP * len(group))
    if recurs.mean() <= COPIES_TOLERANCE:
        return None
    is_copy = recurs & (
        _has_cell_of_its_own(X, size[group]) | _is_oversampled(_numbered(y), recurs)
    )
    if is_copy.mean() <= COPIES_TOLERANCE:
        return None
    alone = np.where(is_copy, group, len(size) + np.arange(len(group)))
    number = np.unique(alone, return_inverse=True)[1]
    return Copies(number, int(is_copy.sum()), int(size_with_y[is_copy].max()))


def _is_oversampled(codes, recurs):
    """Mark the rows of oversampled classes, if y has few classes."""
    n_rows = np.bincount(codes)
    if not 1 < len(n_rows) <= MOST_CLASSES:
        return np.zeros(len(codes), dtype=bool)
    share = np.bincount(codes, weights=recurs) / n_rows
    is_large = n_rows >= len(codes) / (2 * len(n_rows))
    by_chance = share[is_large].min()  # in the class that was drawn once
    return ((share > 0.5) & (by_chance < FEW_OF_OTHERS))[codes]


def _has_cell_of_its_own(X, size):
    """Mark rows that have a cell which occurs in their copies only; `size` counts these."""
    if sp.issparse(X):
        return _has_entry_of_its_own(sp.coo_array(X), size)
    found = np.zeros(len(size), dtype=bool)
    for j in range(X.shape[1]):
        values = column_values(X, j)
        number = _numbered(values if is_nominal(values) else values.astype(np.float32))
        found |= (np.bincount(number)[number] == size) & ~is_missing(values)
    return found


def _has_entry_of_its_own(X, size):
    """Mark the same rows of a sparse matrix, in which zeros are no cells."""
    cells = X.data.astype(np.float32).astype(np.float64)
    entries = np.stack([X.coords[1].astype(np.float64), cells])
    _, number, times = np.unique(entries, axis=1, return_inverse=True, return_counts=True)
    found = np.zeros(len(size), dtype=bool)
    found[X.coords[0][times[number.ravel()] == size[X.coords[0]]]] = True
    return found


def _numbered(values):
    """Give equal values equal numbers from 0."""
    if not is_nominal(values):
        return np.unique(values, return_inverse=True)[1]
    numbers = {value: i for i, value in enumerate(dict.fromkeys(values.tolist()))}
    return np.fromiter((numbers[value] for value in values.tolist()), np.int64, len(values))
