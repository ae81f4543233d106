"""What a teacher tells of rows besides its margins: leaves, attributions."""

import numpy as np

from skdistill.columns import take_rows
from skdistill.soft_labels import Hint, soften
from skdistill.teacher.attributions import check_can_be_attributed, tree_attributions
from skdistill.teacher.leaves import (
    LeafEmbedding,
    leaves_of,
    may_have_leaves,
    spread,
    without_leaves,
)

#: What there is to tell, see `skdistill.soft_labels.Hint`.
FAMILIES = ("feature", "relation", "attribution", "adversarial")

#: Rows that the embedding of leaves is fitted on.
EMBEDDED_ROWS = 10_000

#: Rows whose answers are attributed to the columns: that takes milliseconds each.
EXPLAINED_ROWS = 2_000


def check_can_tell(teacher, families):
    """Raise before any work if a teacher cannot tell what is wanted, fitted or not.

    Parameters
    ----------
    teacher : estimator
        As the user passed it.
    families : iterable of str
        Which families of hints are wanted, see `skdistill.soft_labels.Hint`.

    Raises
    ------
    ValueError
        If it is known by its class that it cannot.
    """
    if {"feature", "relation"} & set(families) and not may_have_leaves(teacher):
        raise without_leaves(teacher)
    if "attribution" in families:
        check_can_be_attributed(teacher)


def tell_in_fit(lazy_teacher, fingerprint, transfer_set, families):
    """Ask the teacher, see `tell`; cache keys leave it out, `fingerprint` stands in."""
    return tell(lazy_teacher.fitted, transfer_set, families)


def tell(teacher, transfer_set, families, embedding=None):
    """Ask a teacher what students can follow besides margins.

    Parameters
    ----------
    teacher : ClassifierTeacher
        Fitted.
    transfer_set : TransferSet
        Rows with the teacher's margins.
    families : tuple of str
        Which families of hints are wanted, see `skdistill.soft_labels.Hint`.
    embedding : LeafEmbedding or None, default=None
        That of the first rows, for those that come later.

    Returns
    -------
    told : dict of str to ndarray of shape (n_samples, n_values)
        For every family what it is about.
    embedding : LeafEmbedding or None
        How leaves were embedded; None if they were not.

    Raises
    ------
    ImportError
        If attributions are wanted and shap is not installed.
    ValueError
        If the teacher cannot tell.
    """
    told, X = {}, transfer_set.X
    if "feature" in families or "relation" in families:
        leaves = leaves_of(teacher.estimator, X)
    if "relation" in families:
        told["relation"] = leaves.astype(np.float32)
    if "feature" in families:
        if embedding is None:
            embedding = LeafEmbedding(leaves[spread(len(leaves), EMBEDDED_ROWS)])
        told["feature"] = embedding.embed(leaves)
    if "attribution" in families:
        told["attribution"] = _attributions(teacher, transfer_set)
    if "adversarial" in families:
        told["adversarial"] = soften(transfer_set.margins).astype(np.float32)
    return {family: told[family] for family in families}, embedding


def as_hints(told, weights):
    """Give every family of what was told its weight, as a tuple of `Hint`."""
    return tuple(Hint(family, weights[family], values) for family, values in told.items())


def _attributions(teacher, transfer_set):
    """Attribute the answers to some real rows, with the class in the last column, -1 for none."""
    real = np.flatnonzero(transfer_set.origin < 2)
    rows = real[spread(len(real), EXPLAINED_ROWS)]
    positions = transfer_set.margins[rows].argmax(axis=1)
    values = np.zeros((len(transfer_set.origin), transfer_set.X.shape[1] + 1), dtype=np.float32)
    values[:, -1] = -1
    values[rows, :-1] = tree_attributions(teacher, take_rows(transfer_set.X, rows), positions)
    values[rows, -1] = positions
    return values
