"""Several classifiers as one teacher."""

from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skdistill.columns import check_rows, is_frame, take_columns
from skdistill.estimators import nested, reusable
from skdistill.messages import shown
from skdistill.parameters import ParametersMixin, StrOptions
from skdistill.rows import UNLABELLED, check_classification_rows
from skdistill.sklearn_private import BaseComposition
from skdistill.soft_labels import log_losses, proba_from_margins
from skdistill.teacher.asking import fitted_or_clone, is_fitted, is_fitted_instance, with_params
from skdistill.teacher.fitting import check_teacher, labels_in
from skdistill.teacher.labelling import label_honestly
from skdistill.teacher.lazy_teacher import LazyClassifier
from skdistill.teacher.margins import ClassifierTeacher, remembered_prior
from skdistill.teacher.pooling import PooledAnswers, pooling_weights


class MultiTeacher(ParametersMixin, ClassifierMixin, BaseComposition):
    r"""Several classifiers whose predictions are pooled: one teacher to distil.

    Parameters
    ----------
    teachers : list of (str, estimator) or (str, estimator, columns) tuples
        Names and classifiers with ``predict_proba``. Those that are fitted are used as they are,
        also by clones of this estimator; the others are fitted on the rows that are passed to
        `fit`. With columns (a list of names or positions, a boolean mask or a slice) a classifier
        sees only those. Without, one that was fitted on a data frame gets the columns it was
        fitted on if they are there by name, any other gets all.
    combine : {"mean", "log_pool", "confidence"}, default="mean"
        How predictions for a row are pooled: the mean of the probabilities; the mean of the
        margins, which one very confident teacher can decide; or the mean of the probabilities
        with more weight for the teachers that are more confident in that row. See the notes.
    weights : array-like of shape (n_teachers,), "auto" or None, default=None
        Weight of each teacher: non-negative numbers, of which only the ratios matter. None for
        equal weights. "auto" chooses the pool with the lowest log loss on the observed classes,
        by predictions for rows that teachers were not fitted on.
    cv : int, cross-validation generator or iterable, default=5
        For "auto": folds of the teachers without out-of-bag predictions. In a distillation the
        labels have the folds of the distiller; if they are the same, the work is done once.
    n_jobs : int or None, default=None
        For "auto": folds or members of an ensemble to work on at a time.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels: those that fitted teachers know, else those observed.
    teachers_ : list of estimator
        The fitted teachers: those given, or the clones that were fitted.
    weights_ : ndarray of shape (n_teachers,)
        Weights of the teachers; they sum to 1.
    log_losses_ : ndarray of shape (n_teachers,)
        With ``weights="auto"`` the log loss of each teacher, in nats, on rows it was not fitted
        on.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    DistilledClassifier : Distils it; the labelled rows get honest labels from every teacher.

    Notes
    -----
    If every teacher is fitted, and `weights` is not "auto", this estimator is fitted as well: it
    predicts without `fit`, which then fits none of them, but learns how frequent the classes are.

    With probabilities :math:`q_k`, margins :math:`z_k` and weights :math:`w_k` of the teachers,
    the linear opinion pool "mean", the logarithmic one "log_pool" and "confidence" are

    .. math::

        p = \sum_k w_k q_k, \qquad
        p = \mathrm{softmax}\Big(\sum_k w_k z_k\Big), \qquad
        p = \frac{\sum_k w_k c_k q_k}{\sum_k w_k c_k}, \quad
        c_k = 1 - \frac{H(q_k)}{\log n_{classes}}

    where the entropy :math:`H` is that of the row. Kwon et al. give teachers of lower entropy more
    weight, too. This needs no observed class, which unlabelled and synthetic rows lack; CA-MKD
    weighs by the cross-entropy with the observed class instead.

    A probability of 0, with which a teacher would decide a logarithmic pool alone, is first raised
    to the smallest that its number of members can tell from 0, at the base rate of the class among
    the rows of `fit` or of the distillation (without either, at the rate that forests remember,
    else at equal rates).

    "auto" minimises the log loss over all weights that sum to 1, with one row's worth of a
    quadratic penalty towards equal ones. Predictions are out-of-bag for a forest that replays its
    bootstrap on these rows, its own for a fitted teacher that is proved not to have been fitted on
    them, and those of cross-fitted clones for all others, also for fitted ones of which nothing can
    be proved.

    A distillation labels rows by each teacher as `DistilledClassifier` does by a single one, and
    then pools the labels; its ``labelling_`` is the least honest of them.

    References
    ----------
    Genest and Zidek, "Combining Probability Distributions: A Critique and an Annotated
    Bibliography", Statistical Science 1986, doi:10.1214/ss/1177013825, for both pools. Kwon, Na,
    Lee and Kim, "Adaptive Knowledge Distillation Based on Entropy", ICASSP 2020,
    doi:10.1109/ICASSP40776.2020.9054698, for "confidence"; compare Zhang, Chen and Wang,
    "Confidence-Aware Multi-Teacher Knowledge Distillation", ICASSP 2022, arXiv:2201.00007.
    Wolpert, "Stacked Generalization", Neural Networks 1992, doi:10.1016/S0893-6080(05)80023-1, and
    Breiman, "Stacked Regressions", Machine Learning 1996, doi:10.1007/BF00117832, for "auto".

    Examples
    --------
    A forest and a boosting model, weighed by how well they predict, become a tree of eight leaves:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    >>> from skdistill import DistilledClassifier, MultiTeacher, TreeStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> forest = RandomForestClassifier(50, random_state=0)
    >>> boosting = HistGradientBoostingClassifier(max_iter=20)
    >>> teacher = MultiTeacher([("rf", forest), ("hgb", boosting)], weights="auto", cv=2)
    >>> model = DistilledClassifier(teacher, TreeStudentClassifier(8), cv=2, random_state=0)
    >>> model = model.fit(X, y)
    >>> model.labelling_
    'cross_fit'
    >>> model.teacher_.weights_.sum().round(6)
    np.float64(1.0)
    """

    _parameter_constraints = {
        "teachers": "no_validation",  # _members_given says more
        "combine": [StrOptions({"mean", "log_pool", "confidence"})],
        "weights": ["array-like", StrOptions({"auto"}), None],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
    }

    def __init__(self, teachers, *, combine="mean", weights=None, cv=5, n_jobs=None):
        self.teachers = teachers
        self.combine = combine
        self.weights = weights
        self.cv = cv
        self.n_jobs = n_jobs

    @property
    def _pairs(self):
        """Names and estimators, without columns; what it is if it is no such list."""
        try:
            return [(name, estimator) for name, estimator, *_ in self.teachers]
        except (TypeError, ValueError):
            return self.teachers

    @_pairs.setter
    def _pairs(self, pairs):
        rest = [columns for _, _, *columns in self.teachers]
        self.teachers = [(*pair, *columns) for pair, columns in zip(pairs, rest, strict=True)]

    def get_params(self, deep=True):
        """Return the parameters, and those of the teachers as ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return the teachers by name, and their parameters.

        Returns
        -------
        params : dict
            Values by name.
        """
        return self._get_params("_pairs", deep=deep)

    def set_params(self, **params):
        """Set parameters; a fitted teacher that gets other ones is replaced by an unfitted clone.

        Values that it has already change nothing.

        Parameters
        ----------
        **params : dict
            Parameters, teachers by name, and ``name__parameter`` of a teacher.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        if "teachers" in params:
            self.teachers = params.pop("teachers")
        for name, estimator in self._pairs if _is_list_of_teachers(self.teachers) else ():
            given = params.get(name, estimator)
            if is_fitted_instance(given):
                found = with_params(given, nested(params, name))
                params |= {} if found is estimator else {name: found}
        return self._set_params("_pairs", **params)

    def __sklearn_clone__(self):
        """Clone the estimator, but keep fitted teachers by reference."""
        self.cv = reusable(self.cv)
        if not _is_list_of_teachers(self.teachers):
            return super().__sklearn_clone__()
        shell = copy(self)
        shell.teachers = None
        twin = super(MultiTeacher, shell).__sklearn_clone__()
        twin.teachers = [
            (name, fitted_or_clone(estimator), *clone(columns, safe=False))
            for name, estimator, *columns in self.teachers
        ]
        return twin

    def __sklearn_is_fitted__(self):
        """Tell whether it can predict: after fit, or if all teachers are fitted."""
        if hasattr(self, "_members"):
            return True
        finds_weights = isinstance(self.weights, str)
        return (
            not finds_weights
            and _is_list_of_teachers(self.teachers)
            and all(is_fitted_instance(estimator) for _, estimator in self._pairs)
        )

    def __sklearn_tags__(self):
        """Return the scikit-learn tags, with the input that every teacher takes."""
        tags = super().__sklearn_tags__()
        pairs = self._pairs if _is_list_of_teachers(self.teachers) else ()
        of_members = [
            get_tags(each).input_tags
            for _, each in pairs
            if hasattr(each, "__sklearn_tags__") and not isinstance(each, type)
        ]
        for name in ("allow_nan", "string", "categorical", "sparse"):
            setattr(tags.input_tags, name, all(getattr(member, name) for member in of_members))
        return tags

    @property
    def classes_(self):
        """The class labels."""
        check_is_fitted(self)
        return self._fitted_members()[0].classes

    @property
    def teachers_(self):
        """The fitted teachers."""
        check_is_fitted(self)
        return [member.estimator for member in self._fitted_members()]

    @property
    def weights_(self):
        """The weights of the teachers."""
        check_is_fitted(self)
        return self._weights if hasattr(self, "_weights") else self._given_weights()

    def fit(self, X, y, sample_weight=None):
        """Fit the teachers that are not fitted, and find the weights if they are "auto".

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns: what the teachers take.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, for the teachers that are fitted here and for the log loss.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            If a teacher is no classifier with ``predict_proba``, or takes no weights though there
            are some.
        ValueError
            If the fitted teachers know different classes, y holds others, or a parameter or the
            rows are not what is described here.
        """
        for name in ("_members", "_weights", "log_losses_"):
            vars(self).pop(name, None)  # of an earlier fit
        self._members_given()  # raises before the rows are checked
        rows = check_classification_rows(
            self,
            X,
            y,
            sample_weight,
            None,
            known_classes=np.array([UNLABELLED]),  # here -1 is an ordinary class
            accept_sparse=get_tags(self).input_tags.sparse,
        )
        return self._take(self.lazy_members(rows), rows)

    def fitted_from(self, members, rows):
        """Return a fitted clone, as `fit` would make it of the `lazy_members` of some rows."""
        several = clone(self)
        check_rows(several, rows.X, reset=True, accept_sparse=True)
        return several._take(members, rows)

    def _take(self, members, rows):
        """Fit the unfitted teachers, and find the weights."""
        weights = self._given_weights()
        if weights is None:
            honest = [label_honestly(m, self.cv, self.n_jobs).margins() for m in members]
            codes, weight = members[0].encoded_y(), rows.sample_weight
            self.log_losses_ = np.array(
                [np.average(log_losses(margins, codes), weights=weight) for margins in honest]
            )
            weights = pooling_weights(np.stack(honest), self.combine, codes, weight)
        self._members = [member.fitted for member in members]
        self._weights = weights
        return self

    def lazy_members(self, rows):
        """Bind every teacher to its columns of some rows, see `LazyClassifier`, in their order."""
        given = self._members_given()
        if hasattr(self, "_members"):
            estimators = [(member.estimator, member.labels) for member in self._members]
            classes = self.classes_
        else:
            estimators = [(estimator, None) for _, estimator, _ in given]
            classes = _known_classes(given)
        members = []
        for (name, _, columns), (estimator, labels) in zip(given, estimators, strict=True):
            with _naming(name):
                own = replace(rows, X=_own_columns(estimator, columns, rows.X))
                if is_fitted(estimator):
                    labels = estimator.classes_ if labels is None else labels
                    labels = labels_in(own, estimator, np.asarray(labels))
                    classes = np.sort(labels)  # the same for all of them
                members.append((name, estimator, own, labels))
        classes = np.unique(rows.y) if classes is None else classes
        lazy = []
        for name, estimator, own, labels in members:
            with _naming(name):
                lazy.append(LazyClassifier(estimator, own, labels, classes))
        return lazy

    def pooled_answers(self, X, class_prior=None):
        """Ask the teachers whose weight is not zero, and pool what they predict.

        Floors of probabilities are relative to `class_prior`; None for those known here.
        """
        members = self._fitted_members()
        if class_prior is not None:
            members = [replace(member, class_prior=class_prior) for member in members]
        seen = [own for _, own in self.each_with_its_columns(X)]
        weighted = zip(members, seen, self.weights_, strict=True)
        return self.pooled([m.answers(own) if weight > 0 else None for m, own, weight in weighted])

    def pooled(self, parts):
        """Pool the `Answers` of the teachers for the same rows, see `PooledAnswers`."""
        weights = self.weights_
        parts = tuple(part for part, weight in zip(parts, weights, strict=True) if weight > 0)
        return PooledAnswers(parts, weights[weights > 0], self.combine)

    def each_with_its_columns(self, X):
        """Return every fitted teacher, and its columns of some rows."""
        pairs = []
        for (name, _, columns), estimator in zip(
            self._members_given(), self.teachers_, strict=True
        ):
            with _naming(name):
                pairs.append((estimator, _own_columns(estimator, columns, X)))
        return pairs

    def predict(self, X):
        """Predict the class with the highest pooled probability.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes.
        """
        return self.classes_[self._margins(X).argmax(axis=1)]

    def predict_proba(self, X):
        """Pool the probabilities of the teachers.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            One column per class, in the order of ``classes_``.
        """
        return proba_from_margins(self._margins(X))

    def decision_function(self, X):
        """Compute the pooled margins, whose softmax are the probabilities.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Log-odds of ``classes_[1]`` if there are two classes, else one margin per class.
        """
        margins = self._margins(X)
        return margins[:, 1] if margins.shape[1] == 2 else margins

    def _margins(self, X):
        check_is_fitted(self)
        was_fitted_here = hasattr(self, "n_features_in_")
        knows_columns = self if was_fitted_here else BaseEstimator()
        sparse = get_tags(self).input_tags.sparse
        X = check_rows(knows_columns, X, reset=not was_fitted_here, accept_sparse=sparse)
        return self.pooled_answers(X).margins()

    def _members_given(self):
        """Check the parameters; return names, estimators and columns (None for no choice)."""
        self._validate_params()
        self.cv = reusable(self.cv)
        if not _is_list_of_teachers(self.teachers):
            raise ValueError(
                f"teachers is {shown(self.teachers)}; a list of tuples (name, classifier) or "
                "(name, classifier, columns) was expected, with at least one."
            )
        self._validate_names([name for name, _ in self._pairs])
        for name, estimator in self._pairs:
            with _naming(name):
                check_teacher(estimator, "classifier")
        self._given_weights()
        return [(name, each, *(columns or [None])) for name, each, *columns in self.teachers]

    def _fitted_members(self):
        """Return the fitted teachers, as ClassifierTeachers."""
        if hasattr(self, "_members"):
            return self._members
        given = self._members_given()
        classes = _known_classes(given)
        estimators = [estimator for _, estimator, _ in given]
        priors = [prior for prior in map(remembered_prior, estimators) if prior is not None]
        equal = np.full(len(classes), 1.0 / len(classes))
        prior = np.mean(priors, axis=0) if priors else equal
        return [
            ClassifierTeacher(each, np.asarray(each.classes_), classes, prior)
            for each in estimators
        ]

    def _given_weights(self):
        """Return the checked weights, of sum 1; None if they must be found."""
        names = [name for name, _ in self._pairs]
        if isinstance(self.weights, str):
            return None
        if self.weights is None:
            return np.full(len(names), 1.0 / len(names))
        weights = np.asarray(self.weights, dtype=np.float64)
        if weights.shape != (len(names),):
            raise ValueError(
                f"weights has the shape {weights.shape}; one number for each of the "
                f"{len(names)} teachers {names} was expected."
            )
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise ValueError(
                f"weights is {weights.tolist()}; finite numbers that are not negative, at least "
                "one of them positive, were expected."
            )
        return weights / weights.sum()


def _is_list_of_teachers(teachers):
    """Tell whether `teachers` is a list of tuples of the right lengths that begin with a name."""
    return (
        isinstance(teachers, list | tuple)
        and len(teachers) > 0
        and all(isinstance(each, tuple) and len(each) in (2, 3) for each in teachers)
        and all(isinstance(each[0], str) for each in teachers)
    )


def _known_classes(given):
    """Return the classes that all fitted teachers know, sorted; None if no teacher is fitted."""
    known = {
        name: np.sort(np.asarray(estimator.classes_))
        for name, estimator, _ in given
        if is_fitted(estimator)
    }
    classes = next(iter(known.values()), None)
    if any(not np.array_equal(classes, others) for others in known.values()):
        listed = ", ".join(f"{name!r}: {labels.tolist()}" for name, labels in known.items())
        raise ValueError(
            f"The fitted teachers know different classes, {listed}. Predictions can only be pooled "
            "if all were fitted on the same classes. Pass the others unfitted: they are fitted on "
            "y, also if they take no other classes than 0, 1, 2, ..."
        )
    return classes


def _own_columns(estimator, columns, X):
    """Return the columns of X that a teacher sees."""
    if columns is None and is_frame(X) and is_fitted(estimator):
        names = list(getattr(estimator, "feature_names_in_", ()))
        if names != list(X.columns) and set(names) <= set(X.columns):
            columns = names or None
    return X if columns is None else take_columns(X, columns)


@contextmanager
def _naming(name):
    """Add the name of the teacher to errors."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:  # LookupError: a missing column
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Teacher {name!r}: {error.args[0]}") from error
