"""imbalanced-learn: ensembles whose members are grown on as many rows of every class."""

from itertools import repeat

from sklearn.ensemble import AdaBoostClassifier

from skdistill.teacher.vendors.base import Vendor
from skdistill.teacher.vendors.scikit_learn import Bagging, Forest, ScikitLearn, are_filled


class Balanced(Vendor):
    """What the ensembles of imbalanced-learn have in common."""

    package = "imblearn"

    def owns(self, kind):
        return super().owns(kind) and Vendor.owns(self, kind)

    def share_of_members(self, model):
        return None


class BalancedForest(Balanced, Forest):
    """BalancedRandomForestClassifier."""

    def may_leave_rows_out(self, model):
        """Return True: most rows of large classes are not drawn."""
        return True

    def bags(self, model):
        return (sampler.sample_indices_ for sampler in model.samplers_)


class BalancedBagging(Balanced, Bagging):
    """BalancedBaggingClassifier and EasyEnsembleClassifier, whose members draw from their bags."""

    def grown(self, model):
        for member, columns, bag in self.members(model):
            (_, sampler), (_, last) = member.steps
            first = getattr(last, "estimators_", [last])[0]  # EasyEnsemble boosts trees
            yield first, columns, bag[sampler.sample_indices_]


class RUSBoost(Balanced, ScikitLearn):
    """RUSBoostClassifier."""

    classes = (AdaBoostClassifier,)

    def is_filled_by(self, model, X):
        drawn = (sampler.sample_indices_ for sampler in model.samplers_)
        return are_filled(model, zip(model.estimators_, repeat(None), drawn, strict=False), X)
