"""The student's hidden layer predicts the leaves of the teacher."""

from skdistill.distill.hints.base import Hint
from skdistill.teacher.leaves import LeafEmbedding, check_has_leaves, spread

#: Rows that the embedding of leaves is fitted on.
EMBEDDED_ROWS = 10_000


class LeafHint(Hint):
    """Let the student's hidden layer predict in which leaves of the teacher a row falls.

    Parameters
    ----------
    weight : float, default=0.1
        Weight of the term in the loss, larger than 0.

    See Also
    --------
    ProximityHint : Follows which rows share leaves.
    DistilledClassifier : Takes hints.

    Notes
    -----
    For teachers with leaves, and `MLPStudentClassifier`. The term is ``mean((r(h) - e)**2)``: h is
    the last hidden layer, r a linear map that is learned along, and e the leaf embedding of the
    row: the one-hot leaves of at most 64 trees, compressed by a singular value decomposition to 32
    numbers. With several families of hints the leaves are computed once.

    References
    ----------
    Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, arXiv:1412.6550. Ke et al.,
    "DeepGBM: A Deep Learning Framework Distilled by GBDT for Online Prediction Tasks", KDD 2019,
    doi:10.1145/3292500.3330858.

    Examples
    --------
    A hint for a distiller:

    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, LeafHint, MLPStudentClassifier
    >>> model = DistilledClassifier(
    ...     RandomForestClassifier(), MLPStudentClassifier(), hints=[LeafHint(weight=0.3)]
    ... )
    >>> model.hints
    [LeafHint(weight=0.3)]
    """

    needs_hidden_layer = True

    def check_teacher(self, teacher):
        """Raise a ValueError if the teacher is known to have no leaves, see `Hint`."""
        check_has_leaves(teacher)

    def compute_targets(self, rows, state=None):
        """Embed the leaves of rows, see `Hint`; the state is the embedding."""
        leaves = rows.leaves
        if state is None:
            state = LeafEmbedding(leaves[spread(len(leaves), EMBEDDED_ROWS)])
        return state.embed(leaves), state

    def make_head(self, n_hidden, n_targets):
        """Make the linear map, see `Hint`."""
        from torch import nn

        return nn.Linear(n_hidden, n_targets)

    def term(self, head, batch, targets):
        """Compute the mean squared error, see `Hint`."""
        return (head(batch.hidden) - targets).square().mean()
