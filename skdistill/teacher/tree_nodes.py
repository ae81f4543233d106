"""What the trees within fitted models remember: where they split, and how many rows they had."""

from dataclasses import replace

import narwhals.stable.v2 as nw
import numpy as np
from sklearn.base import is_classifier, is_regressor

from skdistill.estimators import as_last_step_sees, last_step, learns_from_y, transformers_of
from skdistill.teacher.asking import as_taken, n_columns_of
from skdistill.teacher.members import is_of_models, members_of
from skdistill.teacher.vendors import vendor_of
from skdistill.teacher.vendors.trees import MOST_COUNTED, join_nodes


def read_tree_nodes(ensemble):
    """Read the trees of a fitted ensemble as `TreeNodes` over the columns that it takes.

    It is a model of trees of one of the `VENDORS`, scikit-learn's bagging, AdaBoost, voting or
    stacking of them, or a `MultiTeacher`; others raise a TypeError, steps in front that change the
    columns a ValueError.
    """
    for _, step in transformers_of(ensemble):
        raise ValueError(
            f"The teacher has {type(step).__name__} in front of its trees, which see other columns "
            "than yours; their thresholds say nothing about those. Pass the last step, "
            "teacher[-1], and distil that on rows as it sees them."
        )
    ensemble = last_step(ensemble)
    if is_of_models(ensemble):
        each = members_of(ensemble, _positions(ensemble))
        return join_nodes([_on_columns(read_tree_nodes(member), own) for member, own in each])
    has_answers = is_classifier(ensemble) or is_regressor(ensemble)
    nodes = vendor_of(ensemble).tree_nodes(ensemble) if has_answers else None
    if nodes is None:
        raise TypeError(
            f"{type(ensemble).__name__} is no ensemble of trees whose thresholds can be read. "
            "Decision trees, forests, extra trees and both kinds of gradient boosting of "
            "scikit-learn, XGBoost, LightGBM, CatBoost and EBMs of interpret are, and bagging, "
            "AdaBoost, voting, stacking and MultiTeacher of them."
        )
    return nodes


def _positions(ensemble):
    """Return one row with the positions of the columns, None if their number is not known."""
    several = hasattr(ensemble, "each_with_its_columns")
    if several and not hasattr(ensemble, "n_features_in_"):
        raise ValueError(
            "This MultiTeacher does not know its columns yet. Fit it on a few rows first; its "
            "fitted teachers are not changed."
        )
    if n_columns_of(ensemble) is None:  # of CatBoost within a voting ensemble: all see all columns
        return None
    positions = np.arange(n_columns_of(ensemble))[None, :]
    names = getattr(ensemble, "feature_names_in_", None)
    if not several or names is None:
        return positions
    by_name = dict(zip(names.tolist(), positions.T, strict=True))
    return nw.from_dict(by_name, backend="pandas").to_native()


def _on_columns(nodes, positions):
    return nodes if positions is None else nodes.on_columns(np.ravel(positions).astype(int))


def readable_ensembles(model, X, is_changed=False):
    """Yield the trees within a model that can be read, the rows as they see them, and the model.

    Also whether there are steps in front of it, which change the rows.
    """
    is_changed = is_changed or bool(transformers_of(model))
    X, model = as_last_step_sees(model, X), last_step(model)
    try:
        nodes = read_tree_nodes(model)
    except (TypeError, ValueError):
        for part in members_of(model, X, MOST_COUNTED):
            yield from readable_ensembles(*part, is_changed)
    else:
        yield nodes, as_taken(model, X), model, is_changed


def leaf_counts(model, X, codes, share=1.0):
    """Yield the `LeafCounts` of the trees of a model, and of models within; none if there are none.

    `codes` are the positions of the classes of the rows. `share` is the share of the rows of the
    fit which the model was fitted on, None if it is not known or if the rows, as the model sees
    them, were others in fit.
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
