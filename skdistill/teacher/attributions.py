"""How a tree ensemble attributes its predictions to the columns: TreeSHAP."""

import warnings

import numpy as np

from skdistill.estimators import last_step, see_through
from skdistill.messages import shown
from skdistill.teacher.asking import as_taken
from skdistill.teacher.leaves import may_have_leaves
from skdistill.teacher.members import is_of_models
from skdistill.teacher.vendors import vendor_of

#: Trees of a forest that are explained: time grows with their number, and their mean is close.
MOST_TREES = 64


def tree_attributions(teacher, X, positions):
    """Attribute the prediction of one class of every row to the columns.

    Parameters
    ----------
    teacher : ClassifierTeacher
        Holds a fitted ensemble, or a pipeline whose transformers treat every column by itself.
    X : ndarray or data frame of shape (n_samples, n_features)
        Rows as it takes them.
    positions : ndarray of shape (n_samples,)
        The class of every row, by its position among the classes.

    Returns
    -------
    attributions : ndarray of shape (n_samples, n_features)
        Path-dependent TreeSHAP values, of probabilities or margins, as the ensemble adds up.

    References
    ----------
    Lundberg et al., "From Local Explanations to Global Understanding with Explainable AI for
    Trees", Nature Machine Intelligence 2 (2020), doi:10.1038/s42256-019-0138-9.
    """
    if hasattr(teacher.estimator, "tree_attributions"):  # of a search
        return teacher.estimator.tree_attributions(X, positions)
    last = see_through(teacher.estimator, X)
    if last is None:
        raise _cannot_explain(
            "its transformers mix columns, and attributions are to the columns of X"
        )
    values = _shap_values(last.estimator, as_taken(last.estimator, last.table))
    outputs = _outputs_of_classes(teacher, positions, values.shape[2])
    of_class = np.take_along_axis(values, outputs[:, None, None], axis=2)[:, :, 0]
    if values.shape[2] == 1:  # of the second of two classes
        of_class = of_class * np.where(positions == 0, -1.0, 1.0)[:, None]
    attributions = np.zeros((len(positions), last.n_columns))
    np.add.at(attributions.T, last.owner, of_class.T)
    return attributions


def check_can_be_attributed(estimator):
    """Raise a ValueError before any work if TreeSHAP certainly cannot explain an estimator."""
    last = last_step(estimator)
    is_explained = vendor_of(last).has_tree_shap and may_have_leaves(last)
    if is_of_models(last) or not is_explained:
        raise _cannot_explain(f"it is {shown(last)}")


def _outputs_of_classes(teacher, positions, n_outputs):
    """Return the output of the ensemble that belongs to the class of every row."""
    if n_outputs == 1:
        return np.zeros(len(positions), dtype=int)
    rank = {label: k for k, label in enumerate(teacher.labels.tolist())}
    return np.array([rank[label] for label in teacher.classes.tolist()])[positions]


def _shap_values(ensemble, table):
    """Return values of shape (n_samples, n_columns, n_outputs)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its plots warn on import
            import shap
    except ImportError as error:
        raise ImportError(
            f"AttributionHint needs shap, which is not installed ({error}). Install it with: "
            "pip install shap"
        ) from error
    ensemble = vendor_of(ensemble).some_trees(ensemble, MOST_TREES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            explainer = shap.TreeExplainer(ensemble, feature_perturbation="tree_path_dependent")
            values = np.asarray(explainer.shap_values(table, check_additivity=False), dtype=float)
    except Exception as error:  # models it was not made for fail in many ways
        raise _cannot_explain(f"shap says: {error}") from error
    return values if values.ndim == 3 else values[:, :, None]


def _cannot_explain(reason):
    return ValueError(
        "AttributionHint needs a teacher that TreeSHAP can explain. It cannot explain this one: "
        f"{reason}. It can explain most forests, trees and boosting models of scikit-learn, "
        "LightGBM, XGBoost and CatBoost, but no voting, stacking or bagging. Use one of those, or "
        "leave AttributionHint out."
    )
