"""The student attributes its predictions to the columns as the teacher's Shapley values do."""

import numpy as np
from sklearn.pipeline import Pipeline

from skdistill.columns import take_rows
from skdistill.distill.hints.base import Hint
from skdistill.teacher.attributions import check_can_be_attributed, tree_attributions
from skdistill.teacher.leaves import spread

#: Rows whose predictions are attributed to the columns, which takes milliseconds for each.
EXPLAINED_ROWS = 2_000


class AttributionHint(Hint):
    """Let the student attribute its predictions to the columns as TreeSHAP does the teacher's.

    Parameters
    ----------
    weight : float, default=0.1
        Weight of the term in the loss, larger than 0.

    See Also
    --------
    attribution_report : Compares the attributions of teacher and student.
    DistilledClassifier : Takes hints.

    Notes
    -----
    For teachers that TreeSHAP explains, and `MLPStudentClassifier` without transformers before it.
    Needs shap. At most 2,000 real rows are explained.

    The term is ``||a_S / ||a_S|| - a_T / ||a_T||||**2 / 2``, which is 1 minus their cosine,
    averaged over the rows that were explained. a_T are the teacher's TreeSHAP values for its most
    probable class, a_S the student's gradient times input for that class: of its margin with
    respect to the codes, times how far they are from their mean, summed by column.

    References
    ----------
    Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, arXiv:1612.03928.
    Lundberg et al., "From Local Explanations to Global Understanding with Explainable AI for
    Trees", Nature Machine Intelligence 2 (2020), doi:10.1038/s42256-019-0138-9. Shrikumar,
    Greenside and Kundaje, "Learning Important Features Through Propagating Activation
    Differences", ICML 2017, arXiv:1704.02685, for gradient times input.

    Examples
    --------
    Hints of two families for a distiller:

    >>> from skdistill import AttributionHint, LeafHint
    >>> hints = [LeafHint(), AttributionHint(weight=0.3)]
    """

    needs_gradient = True

    def check_student(self, student):
        """Raise a ValueError if the student sees other columns than the teacher, see `Hint`."""
        if isinstance(student, Pipeline) and len(student.steps) > 1:
            raise ValueError(
                "AttributionHint was passed with a student behind transformers, which has other "
                "columns than the teacher. Put the transformers in front of the distiller, in a "
                "Pipeline, or leave AttributionHint out."
            )

    def check_teacher(self, teacher):
        """Raise a ValueError if TreeSHAP is known not to explain the teacher, see `Hint`."""
        check_can_be_attributed(teacher)

    def compute_targets(self, rows, state=None):
        """Attribute the predictions of some real rows, see `Hint`.

        The last column is the class that is explained, -1 for rows that are not.
        """
        transfer_set = rows.transfer_set
        real = np.flatnonzero(transfer_set.origin < 2)
        chosen = real[spread(len(real), EXPLAINED_ROWS)]
        positions = transfer_set.margins[chosen].argmax(axis=1)
        X = transfer_set.X
        targets = np.zeros((X.shape[0], X.shape[1] + 1), dtype=np.float32)
        targets[:, -1] = -1
        targets[chosen, :-1] = tree_attributions(rows.teacher, take_rows(X, chosen), positions)
        targets[chosen, -1] = positions
        return targets, None

    def term(self, head, batch, targets):
        """Compute 1 minus the cosine on the rows that were explained, see `Hint`."""
        import torch
        from torch.nn.functional import normalize

        of_teacher, position = targets[:, :-1], targets[:, -1]
        explained = (position >= 0).float()
        explained_class = position.clamp(min=0).long()[:, None]
        margins = batch.margins - batch.margins.mean(dim=1, keepdim=True)
        margin = margins.gather(1, explained_class).sum()
        (slope,) = torch.autograd.grad(margin, batch.codes, create_graph=True)
        of_codes = slope * (batch.codes - batch.codes.mean(dim=0))
        of_columns = torch.zeros_like(of_teacher).index_add(1, batch.column, of_codes)
        cosine = (normalize(of_columns, dim=1) * normalize(of_teacher, dim=1)).sum(dim=1)
        return (explained * (1.0 - cosine)).sum() / explained.sum().clamp(min=1.0)
