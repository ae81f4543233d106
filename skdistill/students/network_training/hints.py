"""What an MLP student is to follow besides its teacher's probabilities, in torch.

Each family is a term that sees the network at work and adds to the loss in training. What a term
learns for itself, its head, is thrown away afterwards; epochs are compared without the terms.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize, pad, softmax

#: Rows of a batch whose relations are compared: their number is squared.
RELATED_ROWS = 128

#: Width of the discriminator's hidden layer.
DISCRIMINATOR_SIZE = 64

#: Keeps divisions by norms and variances of zero finite.
TINY = 1e-12


class Pass(NamedTuple):
    """What a batch does in the network.

    Attributes
    ----------
    codes : Tensor of shape (n_rows, n_codes)
        Expanded rows; their gradients can be taken if there are attributions to follow.
    hidden : Tensor of shape (n_rows, n_hidden)
        The last hidden layer.
    margins : Tensor of shape (n_rows, n_classes)
        With two classes the first column is 0.
    """

    codes: torch.Tensor
    hidden: torch.Tensor
    margins: torch.Tensor


class FeatureTerm(nn.Module):
    """The hidden layer predicts where a row falls in the teacher's leaves.

    ``mean((r(h) - e)**2)`` with the last hidden layer h, a linear regressor r that is learned
    along, and the row's leaf embedding e, see `skdistill.teacher.leaves.LeafEmbedding`.

    References
    ----------
    Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, arXiv:1412.6550. Ke et al.,
    "DeepGBM: A Deep Learning Framework Distilled by GBDT for Online Prediction Tasks", KDD 2019,
    doi:10.1145/3292500.3330858.
    """

    def attach_to(self, network, n_values):
        """Make the regressor."""
        self.regressor = nn.Linear(network.n_hidden, n_values)

    def forward(self, step, values, network):
        """Compute the term for a batch."""
        return (self.regressor(step.hidden) - values).square().mean()


class RelationTerm(nn.Module):
    """Rows that share leaves of the teacher lie close in the hidden layer.

    ``1 - corr(s_ij, p_ij)`` over the pairs i != j of a part of the batch: s is the cosine of the
    last hidden layers of two rows, p their proximity, the share of the teacher's trees in which
    they fall into the same leaf (Breiman).

    References
    ----------
    Park, Kim, Lu and Cho, "Relational Knowledge Distillation", CVPR 2019, arXiv:1904.05068. Tung
    and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, arXiv:1907.09682.
    Breiman, "Random Forests", Machine Learning 45 (2001), doi:10.1023/A:1010933404324.
    """

    def attach_to(self, network, n_values):
        """Do without a head."""

    def forward(self, step, values, network):
        """Compute the term for a batch."""
        hidden = normalize(step.hidden[:RELATED_ROWS], dim=1)
        leaves = values[:RELATED_ROWS]
        proximity = (leaves[:, None] == leaves[None, :]).float().mean(dim=2)
        pairs = 1.0 - torch.eye(len(hidden), device=hidden.device)
        return 1.0 - _correlation(hidden @ hidden.T, proximity, pairs)


class AttributionTerm(nn.Module):
    """The student's attributions to the columns point where the teacher's Shapley values do.

    ``||a_S / ||a_S|| - a_T / ||a_T||||**2 / 2``, which is 1 minus their cosine, averaged over the
    rows that the teacher explained. a_T are its TreeSHAP values for its most probable class, a_S
    the student's gradient times input for that class: of its margin with respect to the codes,
    times how far they are from their mean, summed up by column.

    References
    ----------
    Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, arXiv:1612.03928.
    Lundberg et al., "From Local Explanations to Global Understanding with Explainable AI for
    Trees", Nature Machine Intelligence 2 (2020), doi:10.1038/s42256-019-0138-9. Shrikumar,
    Greenside and Kundaje, "Learning Important Features Through Propagating Activation
    Differences", ICML 2017, arXiv:1704.02685, for gradient times input.
    """

    def attach_to(self, network, n_values):
        """Do without a head."""

    def forward(self, step, values, network):
        """Compute the term for a batch."""
        of_teacher, position = values[:, :-1], values[:, -1]
        explained = (position >= 0).float()
        asked = position.clamp(min=0).long()[:, None]
        margins = step.margins - step.margins.mean(dim=1, keepdim=True)
        margin = margins.gather(1, asked).sum()
        (slope,) = torch.autograd.grad(margin, step.codes, create_graph=True)
        of_codes = slope * (step.codes - step.codes.mean(dim=0))
        of_columns = torch.zeros_like(of_teacher).index_add(1, network.column, of_codes)
        cosine = (normalize(of_columns, dim=1) * normalize(of_teacher, dim=1)).sum(dim=1)
        return (explained * (1.0 - cosine)).sum() / explained.sum().clamp(min=1.0)


class AdversarialTerm(nn.Module):
    """A discriminator tries to tell the student's probabilities from the teacher's, given the row.

    ``-(log D(h, q) + log(1 - D(h, p))) / 2``, which the discriminator D minimises and the student
    maximises, with the teacher's probabilities q, the student's p and, for the row, the student's
    last hidden layer h. One step does both: p's gradient is reversed.

    References
    ----------
    Goodfellow et al., "Generative Adversarial Networks", NeurIPS 2014, arXiv:1406.2661. Xu, Hsu
    and Huang, "Training Shallow and Thin Networks for Acceleration via Knowledge Distillation with
    Conditional Adversarial Networks", 2017, arXiv:1709.00513. Ganin et al., "Domain-Adversarial
    Training of Neural Networks", JMLR 17 (2016), arXiv:1505.07818, for the reversal.
    """

    def attach_to(self, network, n_values):
        """Make the discriminator."""
        self.discriminator = nn.Sequential(
            nn.Linear(network.n_hidden + n_values, DISCRIMINATOR_SIZE),
            nn.ReLU(),
            nn.Linear(DISCRIMINATOR_SIZE, 1),
        )

    def forward(self, step, values, network):
        """Compute the term for a batch."""
        of_student = softmax(step.margins, dim=1)
        turned = 2 * of_student.detach() - of_student  # the same, its gradient reversed
        row = step.hidden.detach()
        said = [self.discriminator(torch.cat([row, p], dim=1)) for p in (values, turned)]
        truth = torch.ones_like(said[0]), torch.zeros_like(said[1])
        return sum(map(binary_cross_entropy_with_logits, said, truth)) / 2


FAMILIES = {
    "feature": FeatureTerm,
    "relation": RelationTerm,
    "attribution": AttributionTerm,
    "adversarial": AdversarialTerm,
}


class LossWithHints(nn.Module):
    """A loss of outputs and, in training, a weighted sum of terms.

    Parameters
    ----------
    of_outputs : DistillationLoss
        The loss that epochs are compared by.
    hints : tuple of Hint
        What the terms are about. Their values stand in `packed` behind what the loss needs.
    """

    def __init__(self, of_outputs, hints):
        super().__init__()
        self.of_outputs = of_outputs
        self.weights = [hint.weight for hint in hints]
        self.widths = [hint.values.shape[1] for hint in hints]
        self.terms = nn.ModuleList(FAMILIES[hint.family]() for hint in hints)
        self.row_weights = of_outputs.row_weights
        self.explains = any(hint.family == "attribution" for hint in hints)

    def attach_to(self, network):
        """Make what the terms need to learn for themselves."""
        for term, width in zip(self.terms, self.widths, strict=True):
            term.attach_to(network, width)

    def forward(self, outputs, packed):
        """Compute the loss of outputs."""
        return self.of_outputs(outputs, packed)

    def in_training(self, network, positions, packed):
        """Return outputs, their loss, and that with the terms."""
        codes = network.codes(positions).detach().requires_grad_(self.explains)
        hidden = network.hidden(codes)
        outputs = network.last(hidden)
        margins = pad(outputs, (1, 0)) if outputs.shape[1] == 1 else outputs
        step = Pass(codes, hidden, margins)
        loss = self.of_outputs(outputs, packed)
        values = packed[:, self.of_outputs.width :].split(self.widths, dim=1)
        terms = zip(self.terms, self.weights, values, strict=True)
        return outputs, loss, loss + sum(w * term(step, v, network) for term, w, v in terms)


def _correlation(a, b, weight):
    """Weighted Pearson correlation of the entries of two matrices."""
    total = weight.sum().clamp(min=1.0)
    a, b = (weight * (x - (weight * x).sum() / total) for x in (a, b))
    return (a * b).sum() / ((a * a).sum() * (b * b).sum() + TINY).sqrt()
