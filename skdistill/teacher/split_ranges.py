"""Whether rows lie where a fitted teacher splits, or were scaled unlike those of its fit.

A common mistake is a teacher that was fitted on raw columns and then put behind a scaler: number
and names of the columns are those of its fit, but all rows lie on the same side of its thresholds.
"""

import numpy as np

from skdistill.columns import table_names
from skdistill.messages import warn_caller
from skdistill.teacher.asking import names_of
from skdistill.teacher.met_thresholds import sorted_numbers
from skdistill.teacher.tree_nodes import readable_ensembles

#: Columns are checked that have this many thresholds of the teacher and rows of X.
FEWEST_THRESHOLDS, FEWEST_ROWS = 5, 50

#: Thresholds count that split at least this share of the rows of the fit, the smaller side being at
#: least this share of those: thresholds in tails may lie beyond a few rows.
LARGE_NODE, SMALLER_SIDE = 0.1, 0.1

#: Of n rows of the population all but some 2 in n of these lie between two. Rows of a part of it
#: have few thresholds between them as well, but stand within the range of all thresholds.
FEW_BETWEEN, MOST_OUTSIDE = 0.1, 0.5


def warn_of_unseen_ranges(estimator, X, rows="rows", read=readable_ensembles):
    """Warn if the rows have values in a column that lie beyond the thresholds of a teacher.

    `rows` is what messages call them; `read` is `readable_ensembles`, or a cache of it. Models
    without trees are not checked.
    """
    if X.shape[0] < FEWEST_ROWS:
        return
    for nodes, seen, model, is_changed in read(estimator, X):
        names, splits = names_of(model) or table_names(seen), _large_splits(nodes)
        for j in np.unique(nodes.column[splits]).tolist():
            large = np.unique(nodes.threshold[splits[nodes.column[splits] == j]])
            if len(large) < FEWEST_THRESHOLDS:
                continue
            thresholds, numbers = nodes.thresholds(j), sorted_numbers(seen, j)
            if _are_elsewhere(numbers, thresholds, large):
                where = " (after its own transformers)" if is_changed else ""
                warn_caller(
                    f"The teacher splits column {names[j]!r}{where} between {thresholds[0]:.4g} "
                    f"and {thresholds[-1]:.4g}, but the {rows} it labels have "
                    f"{numbers[0]:.4g} to {numbers[-1]:.4g} there, so that it can hardly tell "
                    "them apart. If they were scaled or encoded after it was fitted, put that "
                    "step into the teacher, as in make_pipeline(StandardScaler(), forest), and "
                    "pass raw columns; if they are of another time or place, it has not learned "
                    "about them."
                )
                return


def _large_splits(nodes):
    """Return the numbers of the nodes that split many rows, neither side being small."""
    split = np.flatnonzero(np.isfinite(nodes.threshold))
    count = nodes.count[split]
    smaller = np.minimum(nodes.count[nodes.left[split]], nodes.count[nodes.right[split]])
    return split[(count >= LARGE_NODE * nodes.count.max()) & (smaller >= SMALLER_SIDE * count)]


def _are_elsewhere(numbers, thresholds, large):
    """Tell whether sorted numbers lie where no, or few, rows of the fit can have been."""
    if len(numbers) < FEWEST_ROWS or numbers[0] == numbers[-1]:  # of one group of the population
        return False
    outside = ((numbers <= thresholds[0]) | (numbers > thresholds[-1])).mean()
    n_between = ((large >= numbers[0]) & (large < numbers[-1])).sum()
    return n_between < FEW_BETWEEN * len(large) and outside > MOST_OUTSIDE
