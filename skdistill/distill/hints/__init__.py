"""Hints: what else a student learns from its teacher than probabilities.

Each is one file, with its targets, which the teacher computes, and its term of the student's loss.
"""

from skdistill.distill.hints.adversarial import AdversarialHint
from skdistill.distill.hints.attribution import AttributionHint
from skdistill.distill.hints.leaf import LeafHint
from skdistill.distill.hints.proximity import ProximityHint

__all__ = ["LeafHint", "ProximityHint", "AttributionHint", "AdversarialHint"]
