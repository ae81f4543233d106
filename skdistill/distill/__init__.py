"""The distillers: the one place that sees the whole flow, from teacher to student."""

from skdistill.distill.classifier import DistilledClassifier
from skdistill.distill.regressor import DistilledRegressor

__all__ = ["DistilledClassifier", "DistilledRegressor"]
