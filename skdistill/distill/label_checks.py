"""Warn if a teacher's labels contradict what was observed."""

import numpy as np

from skdistill.messages import warn_caller
from skdistill.soft_labels import proba_from_margins
from skdistill.weighted_statistics import Ranking, roc_auc, weighted_correlation

#: A ROC-AUC below the first number is not due to chance if it is also below one half by more than
#: the second number of standard errors.
WORSE_THAN_CHANCE, CLEAR = 0.4, 5.0


def warn_of_opposite_labels(transfer_set):
    """Warn if the teacher ranks the observed classes, or values, clearly worse than chance."""
    labelled = transfer_set.take((transfer_set.origin == 0) & (transfer_set.sample_weight > 0))
    if len(labelled.y) == 0:
        return
    if labelled.classes is None:
        _warn_of_opposite_values(labelled)
    else:
        _warn_of_opposite_classes(labelled)


def _warn_of_opposite_classes(labelled):
    proba = proba_from_margins(labelled.margins)
    for k, label in enumerate(labelled.classes.tolist()):
        positive = labelled.y == k
        n_positive, n_negative = positive.sum(), (~positive).sum()
        if not (n_positive and n_negative):
            continue
        area = roc_auc(*Ranking.of(proba[:, k]).tallies(positive, labelled.sample_weight))
        # standard error of the Mann-Whitney statistic under no difference
        error = np.sqrt((n_positive + n_negative + 1) / (12 * n_positive * n_negative))
        if area < WORSE_THAN_CHANCE and (0.5 - area) / error > CLEAR:
            warn_caller(
                f"The teacher ranks class {label!r} worse than chance: its ROC-AUC on the labelled "
                f"rows is {area:.3f}, and that of a guess .5. Check that the columns of its "
                "predict_proba are in the order of its classes_, that y is coded as in its fit, "
                "and that the columns of X are those of its fit."
            )
            return


def _warn_of_opposite_values(labelled):
    predicted, weight = labelled.margins[:, 0], labelled.sample_weight
    correlation = weighted_correlation(predicted, labelled.y, weight)
    is_clear = -correlation * np.sqrt(len(weight)) > CLEAR
    if is_clear and (1 + correlation) / 2 < WORSE_THAN_CHANCE:
        warn_caller(
            "The teacher's predictions fall where the labelled values rise: their correlation is "
            f"{correlation:.3f}. Check that y, and the columns of X, are those of its fit."
        )
