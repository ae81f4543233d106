"""Rows that share leaves of the teacher lie close in the student's hidden layer."""

import numpy as np

from skdistill.distill.hints.base import Hint
from skdistill.teacher.leaves import check_has_leaves

#: Rows of a batch that are compared: the number of pairs is their square.
COMPARED_ROWS = 128

#: Keeps divisions by variances of zero finite.
TINY = 1e-12


class ProximityHint(Hint):
    """Let rows that share leaves of the teacher lie close in the student's hidden layer.

    Parameters
    ----------
    weight : float, default=0.1
        Weight of the term in the loss, larger than 0.

    See Also
    --------
    LeafHint : Follows the leaves themselves.
    DistilledClassifier : Takes hints.

    Notes
    -----
    For teachers with leaves, and `MLPStudentClassifier`. The term is ``1 - corr(s_ij, p_ij)`` over
    the pairs i != j of at most 128 rows of a batch: s is the cosine of the last hidden layers of
    two rows, p their proximity, the share of at most 64 of the teacher's trees in which they fall
    into the same leaf (Breiman).

    References
    ----------
    Park, Kim, Lu and Cho, "Relational Knowledge Distillation", CVPR 2019, arXiv:1904.05068. Tung
    and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, arXiv:1907.09682.
    Breiman, "Random Forests", Machine Learning 45 (2001), doi:10.1023/A:1010933404324.

    Examples
    --------
    A hint for a distiller, as a value of a grid:

    >>> from skdistill import ProximityHint
    >>> grid = {"hints": [[], [ProximityHint(0.1)], [ProximityHint(1.0)]]}
    """

    needs_hidden_layer = True

    def check_teacher(self, teacher):
        """Raise a ValueError if the teacher is known to have no leaves, see `Hint`."""
        check_has_leaves(teacher)

    def compute_targets(self, rows, state=None):
        """Return the leaves of rows, see `Hint`."""
        return rows.leaves.astype(np.float32), None

    def term(self, head, batch, targets):
        """Compute 1 minus the correlation of cosines and proximities, see `Hint`."""
        import torch
        from torch.nn.functional import normalize

        hidden = normalize(batch.hidden[:COMPARED_ROWS], dim=1)
        leaves = targets[:COMPARED_ROWS]
        proximity = (leaves[:, None] == leaves[None, :]).float().mean(dim=2)
        pairs = 1.0 - torch.eye(len(hidden), device=hidden.device)
        return 1.0 - _correlation(hidden @ hidden.T, proximity, pairs)


def _correlation(a, b, weight):
    """Weighted Pearson correlation of the entries of two matrices."""
    total = weight.sum().clamp(min=1.0)
    a, b = (weight * (x - (weight * x).sum() / total) for x in (a, b))
    return (a * b).sum() / ((a * a).sum() * (b * b).sum() + TINY).sqrt()
