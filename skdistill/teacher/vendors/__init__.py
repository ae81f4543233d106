"""Vendors of teachers, each in a file of its own: a new one is a file, and a line in `VENDORS`."""

from functools import lru_cache

from skdistill.teacher.vendors.catboost import CatBoost
from skdistill.teacher.vendors.histogram_boosting import HistogramBoosting
from skdistill.teacher.vendors.imbalanced_learn import BalancedBagging, BalancedForest, RUSBoost
from skdistill.teacher.vendors.interpret import ExplainableBoosting
from skdistill.teacher.vendors.lightgbm import LightGBM
from skdistill.teacher.vendors.scikit_learn import (
    AdaBoost,
    Bagging,
    Forest,
    GradientBoosting,
    ScikitLearn,
)
from skdistill.teacher.vendors.xgboost import XGBoost

#: Every vendor; the first that owns a model is asked. The last one owns all.
VENDORS = (
    CatBoost(),
    LightGBM(),
    XGBoost(),
    BalancedForest(),
    BalancedBagging(),
    RUSBoost(),
    ExplainableBoosting(),
    HistogramBoosting(),
    Forest(),
    Bagging(),
    GradientBoosting(),
    AdaBoost(),
    ScikitLearn(),
)


def vendor_of(model):
    """Return the vendor of a model, fitted or not, also of a class that a user derived.

    The model is the last step of a pipeline, see `last_step`; anything else is no model of trees.
    """
    return _vendor_of_class(type(model))


@lru_cache(maxsize=256)  # a model is asked about many times, also for a single row
def _vendor_of_class(kind):
    return next(vendor for vendor in VENDORS if vendor.owns(kind))
