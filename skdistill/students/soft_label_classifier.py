"""Make a student of any classifier that takes sample weights."""

from dataclasses import replace

import numpy as np
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.utils import get_tags

from skdistill.columns import check_rows, take_rows
from skdistill.estimators import by_label, refuse_frozen, weight_params
from skdistill.parameters import HasMethods
from skdistill.soft_labels import margins_from_proba
from skdistill.students.base import StudentClassifier


class SoftLabelClassifier(MetaEstimatorMixin, StudentClassifier):
    """Fit any classifier that takes sample weights on soft labels.

    Every row is repeated once per class, weighted by the probability of the class: for a
    classifier that minimises a weighted log loss or Gini impurity this is the same as fitting the
    probabilities. DistilledClassifier wraps students that are not of its own kind in this class.

    Parameters
    ----------
    estimator : estimator
        A classifier with ``predict_proba`` whose ``fit`` takes ``sample_weight``.

    Attributes
    ----------
    estimator_ : estimator
        The fitted classifier; its classes are 0, 1, 2, ..., positions in `classes_`.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    temperature_ : float
        Temperature of the labels that `estimator_` was fitted on.
    slope_ : float
        What the margins of `estimator_` are multiplied by: the temperature until
        `rescale_margins` changes it.
    intercept_ : ndarray of shape (n_classes,)
        What is then added to them: zeros until `rescale_margins` changes it.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    DistilledClassifier : Distils a teacher into such a student.

    Notes
    -----
    The predictions of other classifiers cannot be softened while they are fitted. The classifier is
    fitted on soft and hard labels, mixed at T = 1 and then softened, and its margins are multiplied
    by the same temperature afterwards: if it reproduces its targets, the student reproduces the
    mix. This temperature is ``1 + alpha * (T - 1)``, which is 1 for hard labels alone, as those
    cannot be softened; where every row has its own alpha, it is their mean.

    Examples
    --------
    A logistic regression fitted on the probabilities of a forest:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdistill import SoftLabelClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = SoftLabelClassifier(LogisticRegression()).fit(X, forest.predict_proba(X))
    >>> student.predict_proba(X).shape
    (150, 3)
    """

    _parameter_constraints = {"estimator": [HasMethods(["fit", "predict_proba"])]}

    def __init__(self, estimator):
        self.estimator = estimator

    def _check_X(self, X, reset):
        return check_rows(self, X, reset=reset, accept_sparse=get_tags(self).input_tags.sparse)

    def _fit_targets(self, X, targets):
        refuse_frozen(self.estimator, "estimator")
        self.temperature_ = 1.0 + float(np.mean(targets.alpha)) * (targets.temperature - 1.0)
        proba, weight = replace(targets, temperature=self.temperature_).softened_mix()
        n_samples, n_classes = proba.shape
        rows = np.tile(np.arange(n_samples), n_classes)
        codes = np.repeat(np.arange(n_classes), n_samples)
        weights = (weight[:, None] * proba).ravel(order="F")
        used = weights > 0
        # One class leaves nothing to learn, and many classifiers refuse it.
        estimator = clone(self.estimator) if n_classes > 1 else DummyClassifier(strategy="prior")
        params = weight_params(estimator, weights[used])
        self.estimator_ = estimator.fit(take_rows(X, rows[used]), codes[used], **params)
        self.slope_, self.intercept_ = self.temperature_, np.zeros(n_classes)

    def _margins(self, X):
        proba = np.zeros((X.shape[0], len(self.classes_)))
        classes = self.estimator_.classes_
        proba[:, classes] = by_label(self.estimator_, self.estimator_.predict_proba(X), classes)
        return self.slope_ * margins_from_proba(proba) + self.intercept_

    def rescale_margins(self, slope, intercept):
        """Change slope and intercept of the margins, see `StudentClassifier`."""
        self.slope_ = slope * self.slope_
        self.intercept_ = slope * self.intercept_ + intercept

    def __sklearn_tags__(self):
        """Return the scikit-learn tags, with the input that the classifier takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags
