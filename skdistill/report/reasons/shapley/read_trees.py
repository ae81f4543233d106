"""Read the trees of a model, and make sure that they predict as it does."""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from skdistill.columns import check_rows, column_values, is_nominal, plain_rows
from skdistill.estimators import listed_members
from skdistill.report.reasons.shapley.trees import MAX_PATH_PLAYERS, ArrayTree, sum_of_trees
from skdistill.soft_labels import margins_from_proba
from skdistill.students.base import stated

#: Ensembles with more leaves are not read: exact values take 50 to 150 microseconds per leaf.
MAX_LEAVES = 300_000

#: Mixed rows, besides those of the pool, on which trees have to predict as their model does.
PROBE_ROWS = 256

#: Largest difference there as a share of the range of predictions: vendors add up in float32.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class TreesOnRows:
    """Trees, and the rows of a pool as they compare them.

    Attributes
    ----------
    trees : list of ArrayTree
        What they add up to is the prediction, up to a constant and `ExplainedOutput.of_sums`.
    matrix : ndarray of shape (n_rows, n_columns)
        The rows as the trees see them, in the type that they compare, NaN where missing.
    """

    trees: list
    matrix: np.ndarray


def read_trees(last, output, pool):
    """Read the trees that a model adds up, as the `LastStep` of the model sees the rows.

    None if its predictions are no sum of trees, if there are too many leaves, or if the trees that
    were read do not predict as the model does on the rows of the pool and on mixed ones.
    """
    of_form = {"tree": _student_tree, "tree_sum": _student_trees}
    candidates = of_form.get(stated(last.estimator, "form"), _vendor_trees)(last, output)
    candidates = [found for found in candidates if _is_feasible(found.trees, last.n_columns)]
    if not candidates:
        return None
    errors = _errors(candidates, last.owner, output, pool)
    best = int(np.argmin(errors))
    return candidates[best] if errors[best] <= TOLERANCE else None


def _student_tree(last, output):
    tree = last.estimator.tree_
    value = margins_from_proba(tree.value) if output.space == "log_odds" else tree.value
    return [TreesOnRows([_array_of(replace(tree, value=value))], _matrix(last, tree))]


def _student_trees(last, output):
    """Return the trees of a sum, whose leaves add up to margins or predictions, if these are it."""
    if output.space == "probability":
        return []
    trees = last.estimator.trees_
    return [TreesOnRows([_array_of(tree) for tree in trees], _matrix(last, trees[0]))]


def _matrix(last, tree):
    """Return the rows as the nodes of a tree of ours compare them."""
    rows = plain_rows(check_rows(last.estimator, last.table, reset=False))
    return np.stack([tree.column(rows, j) for j in range(rows.shape[1])], axis=1)


def _array_of(tree):
    left, right = tree.children_left, tree.children_right
    if_missing = np.where(tree.missing_go_to_left, left, right)
    return ArrayTree(left, right, if_missing, tree.feature, tree.threshold, tree.value)


def _vendor_trees(last, output):
    """Return trees as shap reads those of other libraries, once per type they may compare.

    Only its readers are used: its values keep thresholds in float32 and node numbers in 16 bits,
    and its "probability" rescales values of log-odds, which is another definition.
    """
    table = plain_rows(last.table)
    columns = [column_values(table, j) for j in range(table.shape[1])]
    if any(map(is_nominal, columns)) or _n_sklearn_leaves(last.estimator) > MAX_LEAVES:
        return []
    ensemble = _ensemble_of_shap(last.estimator)
    if ensemble is None:
        return []
    n_trees = len(ensemble.trees)
    n_used = min(ensemble.tree_limit or n_trees, n_trees)  # fewer after early stopping
    trees = [_array_tree(ensemble, i) for i in range(n_used)]
    if output.space == "probability" and trees[0].value.shape[1] == 2:
        trees = [replace(tree, value=tree.value[:, 1:]) for tree in trees]  # half the work
    matrix = np.stack(columns, axis=1)
    dtypes = dict.fromkeys([np.dtype(ensemble.input_dtype), np.dtype(np.float32)])
    return [TreesOnRows(trees, matrix.astype(dtype)) for dtype in dtypes]


def _ensemble_of_shap(estimator):
    import shap

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            explainer = shap.TreeExplainer(
                estimator, feature_perturbation="tree_path_dependent", model_output="raw"
            )
    except Exception:  # models it was not made for fail in many ways
        return None
    ensemble = explainer.model
    if not ensemble.trees or (ensemble.threshold_types > 0).any():  # splits by category
        return None
    return ensemble


def _array_tree(ensemble, i):
    nodes = slice(ensemble.num_nodes[i])
    arrays = "children_left", "children_right", "children_default", "features", "thresholds"
    return ArrayTree(
        *(getattr(ensemble, name)[i, nodes] for name in arrays), ensemble.values[i, nodes]
    )


def _n_sklearn_leaves(estimator):
    """Count leaves before the trees of a large forest are copied."""
    members = listed_members(getattr(estimator, "estimators_", ()))
    return sum(member.tree_.n_leaves for member in members if hasattr(member, "tree_"))


def _is_feasible(trees, n_players):
    if sum(tree.n_leaves for tree in trees) > MAX_LEAVES:
        return False
    return n_players <= MAX_PATH_PLAYERS or max(tree.depth for tree in trees) <= MAX_PATH_PLAYERS


def _errors(candidates, owner, output, pool):
    """Compare trees with their model; predictions may differ by a constant."""
    rows = np.concatenate([pool.explained, pool.background])
    shape = (PROBE_ROWS, pool.n_columns)
    mixed = rows[np.random.RandomState(0).randint(len(rows), size=shape)]
    tables = pool.explained_rows, pool.background_rows, pool.mix(mixed)
    expected = np.concatenate([output.of_rows(table) for table in tables])
    scale = np.ptp(expected, axis=0).max() or 1.0
    errors = []
    for found in candidates:
        matrix = found.matrix
        probe = np.concatenate([matrix[rows], matrix[mixed[:, owner], np.arange(len(owner))]])
        predicted = output.of_sums(sum_of_trees(found.trees, probe))
        if predicted.shape != expected.shape:
            return [np.inf]
        errors.append(np.ptp(predicted - expected, axis=0).max() / scale)
    return errors
