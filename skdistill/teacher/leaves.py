"""In which leaves of a tree ensemble rows fall: its internal representation of them."""

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import gen_batches

from skdistill.columns import take_rows
from skdistill.estimators import as_last_step_sees, last_step
from skdistill.teacher.asking import as_taken
from skdistill.teacher.members import declared_members, members_of
from skdistill.teacher.vendors import vendor_of
from skdistill.teacher.vendors.trees import spread

#: Trees that are looked at, evenly spread over an ensemble.
MOST_TREES = 64

#: Rows in a block: boosters return the leaves of all their trees.
BLOCK_ROWS = 20_000

#: Width of the embedding of leaves.
EMBEDDING_SIZE = 32

#: Rounding error of a variance of 0 in float32.
NO_VARIANCE = 1e-9


def leaves_of(estimator, X):
    """Find the leaf of every row in trees of an ensemble, as int32 of shape (n_samples, n_trees).

    Numbers are equal within a column where rows share the leaf; at most `MOST_TREES` trees of each
    ensemble are looked at. If the estimator, or a part of it, has no leaves, a ValueError is
    raised.
    """
    rows = np.arange(X.shape[0])
    blocks = [rows[block] for block in gen_batches(len(rows), BLOCK_ROWS)]
    return np.concatenate([_leaves(estimator, take_rows(X, block)) for block in blocks])


def may_have_leaves(estimator):
    """Tell by its class, fitted or not, whether an estimator may be made of trees.

    False if it is certain that `leaves_of` finds none; models of unknown packages may.
    """
    last = last_step(estimator)
    members = declared_members(last)
    if members:
        return all(map(may_have_leaves, members))
    return vendor_of(last).may_have_leaves(last)


def check_has_leaves(estimator):
    """Raise `without_leaves` if `may_have_leaves` is certain that there are none."""
    if not may_have_leaves(estimator):
        raise without_leaves(estimator)


def without_leaves(estimator):
    """Return the error that says that an estimator has no leaves."""
    return ValueError(
        f"{type(last_step(estimator)).__name__} has no leaves, which LeafHint and "
        "ProximityHint need. Trees, forests, boosting models of scikit-learn, LightGBM, XGBoost, "
        "CatBoost and interpret, and ensembles of them, have some. Use one as the teacher, or "
        "leave both out."
    )


class LeafEmbedding:
    """A low-dimensional embedding of the leaves in which a row falls.

    Leaves are made one-hot and projected onto their leading singular vectors. On the rows that the
    embedding is fitted on the coordinates have mean 0 and, on average, variance 1.

    Parameters
    ----------
    leaves : ndarray of shape (n_samples, n_trees)
        As `leaves_of` returns them.
    """

    def __init__(self, leaves):
        self.one_hot = OneHotEncoder(handle_unknown="ignore", dtype=np.float32)
        codes = self.one_hot.fit_transform(leaves)
        self.directions = TruncatedSVD(min(EMBEDDING_SIZE, codes.shape[1]), random_state=0)
        with np.errstate(divide="ignore", invalid="ignore"):  # a single leaf has no variance
            found = self.directions.fit_transform(codes)
        self.mean = found.mean(axis=0)
        variance = found.var(axis=0).mean()
        self.scale = np.sqrt(variance) if variance > NO_VARIANCE else 1.0

    def embed(self, leaves):
        """Return the coordinates of rows, float32 of shape (n_samples, at most EMBEDDING_SIZE)."""
        found = self.directions.transform(self.one_hot.transform(leaves))
        return ((found - self.mean) / self.scale).astype(np.float32)


def _leaves(estimator, X):
    last = last_step(estimator)
    X = as_taken(last, as_last_step_sees(estimator, X))
    found = vendor_of(last).leaves(last, X)
    if found is not None:
        found = np.asarray(found).reshape(X.shape[0], -1)
        return found[:, spread(found.shape[1], MOST_TREES)].astype(np.int32)
    members = members_of(last, X, MOST_TREES)
    if not members:
        raise without_leaves(last)
    return np.concatenate([_leaves(*member) for member in members], axis=1)
