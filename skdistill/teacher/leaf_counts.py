"""How many rows the leaves of fitted trees remember, and how many of some rows fall into them."""

from dataclasses import replace

from skdistill.estimators import as_last_step_sees, last_step, learns_from_y
from skdistill.teacher.asking import as_taken
from skdistill.teacher.members import members_of
from skdistill.teacher.vendors import vendor_of
from skdistill.teacher.vendors.trees import MOST_COUNTED


def leaf_counts(model, X, codes, share=1.0):
    """Yield the leaves of the trees of a model, and of models within; none if there are none.

    Parameters
    ----------
    model : estimator
        A fitted model, or a pipeline that ends in one.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Rows.
    codes : ndarray of shape (n_samples,)
        Position of the class of every row.
    share : float or None, default=1.0
        Share of the rows of the fit which the model was fitted on, None if it is not known or if
        the rows, as the model sees them, were others in fit.

    Yields
    ------
    counts : LeafCounts
        Of one tree.
    """
    if learns_from_y(model, X, codes):
        share = None
    X, model = as_last_step_sees(model, X), last_step(model)
    X, vendor = as_taken(model, X), vendor_of(model)
    trees = vendor.leaf_counts(model, X, codes)
    if trees is not None:
        yield from (replace(tree, share=_product(tree.share, share)) for tree in trees)
        return
    parts = members_of(model, X, MOST_COUNTED)
    draws_rows = hasattr(model, "calibrated_classifiers_")
    share = None if draws_rows or not parts else _product(vendor.share_of_members(model), share)
    for part in parts:
        for tree in leaf_counts(*part, codes, share):
            is_bag = vendor.has_bags and share is not None
            yield replace(tree, share=tree.n_remembered / model._n_samples) if is_bag else tree


def _product(*shares):
    return None if None in shares else shares[0] * shares[1]
