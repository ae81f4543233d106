"""interpret: explainable boosting machines (EBMs), sums of tables over one or two columns."""

import copy

import numpy as np

from skdistill.teacher.vendors.base import Vendor
from skdistill.teacher.vendors.trees import (
    MOST_COUNTED,
    LeafCounts,
    are_numbers_of_rows,
    counted,
    nodes_of_nested,
    spread,
)


class ExplainableBoosting(Vendor):
    """ExplainableBoostingClassifier and ExplainableBoostingRegressor.

    Each term is a table over the bins of a column, or of two, which stands in for a tree: its cells
    are the leaves. Bin 0 is that of missing values, the last one that of unknown categories.
    """

    package = "interpret"
    title = "interpret"
    has_tree_shap = False
    made_up_names = "feature_{:04}"

    def owns(self, kind):
        """Tell whether a class is one of EBMs: other models of interpret have no tables."""
        return super().owns(kind) and any(each.__name__ == "EBMModel" for each in kind.__mro__)

    def size_in_words(self, model):
        n_cells = sum(weights.size for weights in model.bin_weights_)
        return f"{len(model.term_features_):,} terms, {n_cells:,} bins"

    def may_have_leaves(self, model):
        return True

    def leaves(self, model, X):
        """Have a copy, whose scores are replaced by numbers, name the cells."""
        numbered = copy.copy(model)
        shapes = [weights.shape for weights in model.bin_weights_]
        numbered.term_scores_ = [np.arange(float(np.prod(s))).reshape(s) for s in shapes]
        numbered.intercept_ = np.zeros(1)  # one score, also where there are several classes
        return numbered.eval_terms(X).astype(int)

    def tree_nodes(self, model):
        """Halve the bins of every term, column by column, as a tree would."""
        levels = {
            j: list(bins[0]) for j, bins in enumerate(model.bins_) if isinstance(bins[0], dict)
        }
        bounds = enumerate(model.feature_bounds_.tolist())
        ranges = {j: tuple(pair) for j, pair in bounds if j not in levels}
        terms = zip(model.term_features_, model.bin_weights_, strict=True)
        trees = [_table(model, columns, weights) for columns, weights in terms]
        return nodes_of_nested(trees, _halved, levels, ranges)

    def leaf_counts(self, model, X, codes):
        """Count rows in the cells of pairs of columns.

        The bins of a single column hold equal numbers of rows by construction, so that other rows
        fill them nearly alike, too.
        """
        pairs = [t for t, weights in enumerate(model.bin_weights_) if weights.ndim > 1]
        cells = self.leaves(model, X)
        for term in (pairs[i] for i in spread(len(pairs), MOST_COUNTED)):
            remembered = model.bin_weights_[term].ravel()
            found = counted(cells[:, term], len(remembered), codes)
            is_count = are_numbers_of_rows(remembered, found.sum(axis=1))
            yield LeafCounts(remembered, found, is_count, share=1.0 if is_count else None)

    def grows_on_bins(self, model):
        return True

    def is_filled_by(self, model, X):
        """Tell whether rows fill all bins with the very numbers; weights other than 1 hide it."""
        weights = [weights.ravel() for weights in model.bin_weights_]
        if sum(len(each) for each in weights) < FEWEST_BINS or weights[0].sum() != X.shape[0]:
            return False
        cells = self.leaves(model, X).T
        pairs = zip(cells, weights, strict=True)
        return all(np.array_equal(np.bincount(c, minlength=len(w)), w) for c, w in pairs)


#: Fewer bins are filled alike by other rows now and then.
FEWEST_BINS = 100


def _table(model, columns, weights):
    """Return the cells of a term without those of missing and unknown values, and their bins."""
    depth = len(columns)
    bins = [model.bins_[j][min(len(model.bins_[j]), depth) - 1] for j in columns]
    return weights[(slice(1, -1),) * depth], tuple(zip(columns, bins, (0,) * depth, strict=True))


def _halved(node):
    """Split a table for `nodes_of_nested`; each axis has a column, its bins, and the first one."""
    weights, axes = node
    axis = next((k for k, size in enumerate(weights.shape) if size > 1), None)
    if axis is None:
        return None, weights.sum()
    column, bins, first = axes[axis]
    half = weights.shape[axis] // 2
    left, right = np.split(weights, [half], axis=axis)
    further = (*axes[:axis], (column, bins, first + half), *axes[axis + 1 :])
    at, categories = np.nan, np.arange(first, first + half)
    if not isinstance(bins, dict):  # x < cut goes left
        at, categories = np.nextafter(bins[first + half - 1], -np.inf), None
    return (column, at, categories, (left, axes), (right, further)), weights.sum()
