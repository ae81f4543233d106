"""imbalanced-learn: ensembles that draw as many rows of every class."""

from sklearn.ensemble import AdaBoostClassifier

from skdistill.teacher.vendors.base import Vendor
from skdistill.teacher.vendors.scikit_learn import Forest, ScikitLearn


class BalancedForest(Forest):
    """BalancedRandomForestClassifier, whose trees are grown on rows drawn by class."""

    package = "imblearn"

    def owns(self, model):
        """Tell whether it is a forest of imbalanced-learn."""
        return super().owns(model) and Vendor.owns(self, model)

    def may_leave_rows_out(self, model):
        """Return True: most rows of large classes are not drawn."""
        return True

    def bags(self, model):
        """Yield the rows that were drawn for every tree."""
        return (sampler.sample_indices_ for sampler in model.samplers_)

    def share_of_members(self, model):
        """Return None."""
        return None


class RUSBoost(ScikitLearn):
    """RUSBoostClassifier, each member of which is grown on rows drawn by class."""

    package = "imblearn"
    classes = (AdaBoostClassifier,)

    def owns(self, model):
        """Tell whether it is a boosting model of imbalanced-learn."""
        return super().owns(model) and Vendor.owns(self, model)

    def share_of_members(self, model):
        """Return None."""
        return None
