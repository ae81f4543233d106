"""The step before a student that selects columns."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdistill.columns import check_rows, column_names, take_columns


class ColumnSelector(TransformerMixin, BaseEstimator):
    """Keep some columns of a table, in its own container.

    As the step before a student in a Pipeline it leaves the teacher all columns. Exports skip it
    and take the student, whose columns are those that are kept.

    Parameters
    ----------
    columns : sequence of int
        Positions of the columns to keep, in order.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.
    """

    def __init__(self, columns):
        self.columns = columns

    def fit(self, X, y=None):
        """Check that the columns are there.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.
        y : object, default=None
            Not used.

        Returns
        -------
        self : object
            The fitted selector.

        Raises
        ------
        ValueError
            If there are no such columns, or a column is named twice.
        """
        X = check_rows(self, X, reset=True, accept_sparse=True)
        columns = list(self.columns)
        known = set(range(X.shape[1]))
        if not columns or not set(columns) <= known or len(set(columns)) < len(columns):
            raise ValueError(
                f"columns={columns}; different positions from 0 to {X.shape[1] - 1} were expected."
            )
        return self

    def transform(self, X):
        """Return the table without the other columns.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        X : ndarray, sparse matrix or data frame of shape (n_samples, n_kept)
            In the caller's container.
        """
        check_is_fitted(self, "n_features_in_")
        X = check_rows(self, X, reset=False, accept_sparse=True)
        return take_columns(X, list(self.columns))

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns that are kept.

        Parameters
        ----------
        input_features : object, default=None
            Not used.

        Returns
        -------
        names : ndarray of shape (n_kept,)
            ``x0, x1, ...`` by position if the columns had none.
        """
        check_is_fitted(self, "n_features_in_")
        return np.array(column_names(self), dtype=object)[list(self.columns)]

    def __sklearn_tags__(self):
        """Return the scikit-learn tags: columns are passed on as they are."""
        tags = super().__sklearn_tags__()
        for name in ("allow_nan", "string", "categorical", "sparse"):
            setattr(tags.input_tags, name, True)
        return tags


def selection_of(estimator):
    """Return the column selector before a fitted student, and the student.

    None and the estimator itself if there is no selector, or if there are other steps.
    """
    if isinstance(estimator, Pipeline) and len(estimator.steps) == 2:
        (_, first), (_, last) = estimator.steps
        if isinstance(first, ColumnSelector):
            return first, last
    return None, estimator
