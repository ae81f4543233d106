"""Check a teacher, and fit it."""

import re
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment
from sklearn.base import is_classifier, is_clusterer, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier, StackingRegressor

from skdistill.columns import column_values, is_nominal, table_names, take_rows
from skdistill.estimators import last_step, weight_params
from skdistill.messages import refuse_class, shown
from skdistill.soft_labels import SMALLEST_PROBABILITY
from skdistill.teacher.asking import ask, fit_on_documented, n_columns_of, names_of
from skdistill.teacher.growing import check_rounds, clone_to_fit
from skdistill.teacher.margins import ClassifierTeacher, RegressorTeacher, check_probabilities
from skdistill.teacher.vendors import vendor_of

#: Rows whose predictions show which of a teacher's classes is meant by which code.
ROWS_TO_MATCH = 10_000

#: What libraries say, among other things, of text where they expect numbers.
NO_TEXT = r"[Cc](ould not|annot) convert .*to float|dtypes for data must be|DataType\(large_string"


def check_teacher(teacher, kind):
    """Check that a teacher is a "classifier" with probabilities, or a "regressor".

    Anything else raises a TypeError, one that stops early and is not fitted a ValueError.
    """
    refuse_class(teacher, "teacher")
    last = last_step(teacher)
    # Its last layer, a logistic regression, exists only after fit.
    stacking = StackingClassifier | StackingRegressor
    gains_it_in_fit = isinstance(last, stacking) and last.final_estimator is None
    if not hasattr(teacher, "fit") or not (hasattr(teacher, "predict") or gains_it_in_fit):
        raise TypeError(
            f"teacher is {shown(teacher)}; a {kind} with fit and predict was expected, fitted or "
            "not. The teacher comes first, then the student; rows are for fit."
        )
    name = type(last).__name__
    if kind == "classifier":
        if is_regressor(last):
            raise TypeError(
                f"teacher is the regressor {name}; a classifier was expected. Use "
                "DistilledRegressor for regressors."
            )
        if is_clusterer(last) or not (is_classifier(last) or hasattr(last, "classes_")):
            raise TypeError(
                f"teacher is {name}, which is no classifier; a classifier with predict_proba was "
                "expected, such as RandomForestClassifier()."
            )
        if not hasattr(last, "predict_proba") and not gains_it_in_fit:
            raise TypeError(
                f"teacher is {name} without predict_proba; a classifier with probabilities was "
                "expected. Some have a switch for them (voting='soft', probability=True), any can "
                "be wrapped in CalibratedClassifierCV."
            )
    elif is_classifier(last):
        raise TypeError(
            f"teacher is the classifier {name}; a regressor was expected. Use DistilledClassifier "
            "for classifiers."
        )
    elif is_clusterer(last):
        raise TypeError(
            f"teacher is the clusterer {name}; a regressor was expected, such as "
            "RandomForestRegressor()."
        )
    check_rounds(teacher)


def check_teacher_columns(teacher, X):
    """Check that a teacher was fitted on as many columns as X has, of the same names and order."""
    n_features = n_columns_of(teacher)
    if n_features is not None and n_features != X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} columns, but the fitted teacher was fitted on {n_features}. Pass "
            "the columns that the teacher was fitted on."
        )
    names, columns = names_of(teacher), getattr(X, "columns", None)
    if names is None or columns is None:
        return
    columns = [str(name) for name in columns]
    if names != columns:
        j = next(
            j for j, pair in enumerate(zip(names, columns, strict=False)) if len(set(pair)) > 1
        )
        raise ValueError(
            f"Column {j} of X is {columns[j]!r}, but the fitted teacher was fitted on {names[j]!r} "
            "there. Pass the same columns in the same order."
        )


@contextmanager
def naming_text_columns(teacher, X):
    """Have the error of a teacher that takes no text say which columns hold some, and the cure."""
    try:
        yield
    except Exception as error:  # CatBoost has its own
        is_said = "cannot take the columns" in str(error)
        if is_said or sp.issparse(X) or not re.search(NO_TEXT, str(error)):
            raise
        texts = [name for j, name in enumerate(table_names(X)) if is_nominal(column_values(X, j))]
        if not texts:
            raise
        last = last_step(teacher)
        raise ValueError(
            f"The teacher {type(last).__name__} cannot take the columns {texts}, which hold text. "
            f"{vendor_of(last).text_cure} ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error


def fit_classifier(teacher, X, y, sample_weight, classes, class_prior):
    """Fit a clone of a classifier, and return it as a ClassifierTeacher.

    `y` may lack some of the `classes` of the distillation; teachers that only take 0, 1, 2, ... get
    those. Where `y` has one class only, a constant classifier is returned: many ensembles cannot be
    fitted then, and there is nothing to learn. `sample_weight` is None if none was given;
    `class_prior` are the positive shares of the classes among the labelled rows.
    """
    labels, codes = np.unique(y, return_inverse=True)
    fitted = clone_to_fit(teacher) if len(labels) > 1 else DummyClassifier(strategy="prior")
    needs_codes = vendor_of(last_step(fitted)).needs_codes
    target = codes if needs_codes else y
    with naming_text_columns(fitted, X):
        fit_on_documented(fitted, X, target, **weight_params(fitted, sample_weight))
    return ClassifierTeacher(fitted, labels, classes, class_prior)


def fit_regressor(teacher, X, y, sample_weight):
    """Fit a clone of a regressor; see `fit_classifier`."""
    fitted = clone_to_fit(teacher)
    with naming_text_columns(fitted, X):
        fit_on_documented(fitted, X, y, **weight_params(fitted, sample_weight))
    return RegressorTeacher(fitted)


def labels_in(rows, teacher, labels):
    """Return the labels of a fitted teacher, one per column of its output, by their names in y.

    Voting and stacking classifiers and ``cross_val_predict`` encode y as 0, 1, 2, ... before their
    members see it, in the order of the classes. If y holds exactly these, the labels are their
    positions; a ValueError is raised if the teacher finds the classes more probable in another
    order.
    """
    observed = rows.observed_classes
    if set(observed.tolist()) <= set(labels.tolist()):
        return labels
    if not np.array_equal(observed, np.arange(len(labels))):
        return labels
    codes = np.searchsorted(np.sort(labels), labels)
    if not _finds_probable(teacher, rows, codes):
        raise ValueError(
            f"y holds {observed.tolist()}, and the fitted teacher knows {labels.tolist()}. That is "
            "how VotingClassifier, StackingClassifier and cross_val_predict encode y, but the "
            "teacher's predictions do not confirm that 0 is the first of its classes in sorted "
            "order, and so on. Pass the labels that the teacher was fitted on, or a teacher that "
            "was fitted on the codes."
        )
    return codes


def _finds_probable(teacher, rows, codes):
    """Tell whether predictions match the observed classes, which are given by code, one to one."""
    some = np.linspace(0, len(rows.y) - 1, min(len(rows.y), ROWS_TO_MATCH)).astype(int)
    proba = ask(teacher, "predict_proba", take_rows(rows.X, some))
    proba = check_probabilities(teacher, proba, np.asarray(teacher.classes_))
    proba = proba[:, np.argsort(codes)]
    mean = np.stack([proba[rows.y[some] == code].mean(axis=0) for code in np.unique(rows.y[some])])
    lift = mean / np.maximum(mean.mean(axis=0), SMALLEST_PROBABILITY)
    return len(mean) == len(codes) and bool(
        (linear_sum_assignment(-lift)[1] == sorted(codes)).all()
    )


def wrap_fitted_classifier(teacher, observed, class_prior_of, labels=None, classes=None):
    """Wrap a classifier that the user has fitted, by reference; it must know the observed classes.

    `class_prior_of` gives the shares of some classes among the labelled rows. `labels`, one per
    column of ``predict_proba``, are its ``classes_`` for None; the `classes` of the distillation
    are all that it knows for None.
    """
    labels = np.asarray(teacher.classes_) if labels is None else labels
    known = labels if classes is None else classes
    unknown = sorted(set(observed.tolist()) - set(known.tolist()), key=str)
    if unknown:
        raise ValueError(
            f"y holds {unknown}, which the fitted teacher does not know: its classes are "
            f"{known.tolist()}. Pass the labels that the teacher was fitted on, or an unfitted "
            "teacher."
        )
    classes = np.sort(known)
    return ClassifierTeacher(teacher, labels, classes, class_prior_of(classes))
