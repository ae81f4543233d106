"""A discriminator cannot distinguish the student's probabilities from the teacher's."""

import numpy as np

from skdistill.distill.hints.base import Hint
from skdistill.soft_labels import soften

#: Width of the discriminator's hidden layer.
DISCRIMINATOR_SIZE = 64


class AdversarialHint(Hint):
    """Train the student so that a discriminator cannot distinguish it from its teacher.

    Parameters
    ----------
    weight : float, default=0.1
        Weight of the term in the loss, larger than 0.

    See Also
    --------
    DistilledClassifier : Takes hints.

    Notes
    -----
    For all teachers, and `MLPStudentClassifier`. The term is
    ``-(log D(h, q) + log(1 - D(h, p))) / 2``, which the discriminator D minimises and the student
    maximises, with the teacher's probabilities q, the student's p and, for the row, the student's
    last hidden layer h. One step does both: the gradient of p is reversed.

    References
    ----------
    Goodfellow et al., "Generative Adversarial Networks", NeurIPS 2014, arXiv:1406.2661. Xu, Hsu
    and Huang, "Training Shallow and Thin Networks for Acceleration via Knowledge Distillation with
    Conditional Adversarial Networks", 2017, arXiv:1709.00513. Ganin et al., "Domain-Adversarial
    Training of Neural Networks", JMLR 17 (2016), arXiv:1505.07818, for the reversal.

    Examples
    --------
    A hint for a distiller:

    >>> from skdistill import AdversarialHint
    >>> hints = [AdversarialHint(weight=0.3)]
    """

    def compute_targets(self, rows, state=None):
        """Return the teacher's probabilities, see `Hint`."""
        return soften(rows.transfer_set.margins).astype(np.float32), None

    def make_head(self, n_hidden, n_targets):
        """Make the discriminator, see `Hint`."""
        from torch import nn

        return nn.Sequential(
            nn.Linear(n_hidden + n_targets, DISCRIMINATOR_SIZE),
            nn.ReLU(),
            nn.Linear(DISCRIMINATOR_SIZE, 1),
        )

    def term(self, head, batch, targets):
        """Compute the discriminator's loss; the student gets its gradient reversed, see `Hint`."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits, softmax

        of_student = softmax(batch.margins, dim=1)
        reversed_ = 2 * of_student.detach() - of_student  # the same value
        row = batch.hidden.detach()
        log_odds = [head(torch.cat([row, p], dim=1)) for p in (targets, reversed_)]
        truth = torch.ones_like(log_odds[0]), torch.zeros_like(log_odds[1])
        return sum(map(binary_cross_entropy_with_logits, log_odds, truth)) / 2
