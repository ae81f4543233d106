"""The models within an ensemble, with the rows as they see them."""

from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)

from skdistill.estimators import listed_members
from skdistill.teacher.vendors import vendor_of
from skdistill.teacher.vendors.trees import spread

#: What wrappers call the models that they have fitted on the rows, or on a part of them.
_PARTS = ("calibrated_classifiers_", "estimators_", "best_estimator_", "estimator_", "regressor_")

#: Ensembles of models of several kinds.
_OF_KINDS = (StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor)

#: Ensembles of whole models, which see columns of the rows of the ensemble.
_OF_MODELS = (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    *_OF_KINDS,
)


def is_of_models(model):
    """Tell whether a model, fitted or not, is an ensemble of whole models."""
    return isinstance(model, _OF_MODELS) or hasattr(model, "each_with_its_columns")


def declared_members(model):
    """List the models of an ensemble of whole models by its parameters, fitted or not.

    Empty for other models, and where scikit-learn chooses the member.
    """
    if isinstance(model, _OF_KINDS):
        return [each for _, each in model.estimators if each != "drop"]
    if isinstance(model, _OF_MODELS):
        return [] if model.estimator is None else [model.estimator]
    return [each for _, each, *_ in getattr(model, "teachers", ())]  # of a MultiTeacher


def members_of(model, X, most=None):
    """List the fitted models within a fitted model as pairs, with the rows as they see them.

    At most `most` of them, from first to last; None for all.
    """
    if hasattr(model, "each_with_its_columns"):  # a MultiTeacher, which is in a file above
        return model.each_with_its_columns(X)
    name = next((name for name in _PARTS if hasattr(model, name)), None)
    if name is None:
        return []
    members = listed_members(getattr(model, name))
    if name == "calibrated_classifiers_":
        members = [member.estimator for member in members]
    columns = getattr(model, "estimators_features_", None)
    X = vendor_of(model).member_input(model, X)
    if name == "estimator_" and hasattr(model, "support_"):  # of a choice of columns, as in RFE
        X = model.transform(X)
    chosen = range(len(members)) if most is None else spread(len(members), most)
    return [(members[i], X if columns is None else X[:, columns[i]]) for i in chosen]
