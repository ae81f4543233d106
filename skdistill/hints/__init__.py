"""Hints: what else a student learns from its teacher than probabilities.

Each is one file, which holds both what the teacher is asked for and the term of the student's loss.
"""

from skdistill.hints.adversarial import AdversarialHint
from skdistill.hints.attribution import AttributionHint
from skdistill.hints.leaf import LeafHint
from skdistill.hints.proximity import ProximityHint

__all__ = ["LeafHint", "ProximityHint", "AttributionHint", "AdversarialHint"]
