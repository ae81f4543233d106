"""How well models predict what was observed: scores as statistics of the rows' weights."""

from functools import partial

import numpy as np

from skdistill.weighted_statistics import (
    Ranking,
    average_precision,
    confusion,
    moments,
    ratio,
    recall_at,
    roc_auc,
    sums_by_cell,
    totals,
    variance,
)

#: Bins of the expected calibration error, with equal numbers of rows.
CALIBRATION_BINS = 15

#: False positive rates at which recall is reported.
FALSE_POSITIVE_RATES = 0.01, 0.05

#: Every score and whether greater is better, by kind of task, in the order of reports.
SCORES = {
    "binary": {
        "roc_auc": True,
        "average_precision": True,
        "precision_at_k": True,
        "precision_at_k_per_day": True,
        "recall_at_k_per_day": True,
        "card_precision_at_k": True,
        "recall_at_1_percent_fpr": True,
        "recall_at_5_percent_fpr": True,
        "log_loss": False,
        "brier": False,
        "calibration_error": False,
        "accuracy": True,
    },
    "multiclass": {
        "roc_auc": True,
        "average_precision": True,
        "log_loss": False,
        "brier": False,
        "calibration_error": False,
        "accuracy": True,
        "macro_f1": True,
    },
    "regression": {"r2": True, "mae": False, "rmse": False},
}


def score_statistics(outputs, y, kind, top_k):
    """Prepare the scores of one model, as functions of the rows' weights for `replicate`.

    Several scores may share one function. `outputs` are probabilities, or predictions in one
    column, `y` observed classes as column numbers, or values, and `top_k` is the weight of the rows
    that precision looks at.
    """
    if kind == "regression":
        return {"errors": _errors(outputs[:, 0], y)}
    statistics = {
        "losses": partial(_means, _losses(outputs, y)),
        "calibration_error": _calibration(outputs, y),
        "confusion": confusion(y, outputs.argmax(axis=1), outputs.shape[1]),
    }
    columns = [1] if kind == "binary" else range(outputs.shape[1])
    ranked = [(Ranking.of(outputs[:, c]), (y == c).astype(float)) for c in columns]
    tallies = [ranking.tallies_of(positive) for ranking, positive in ranked]
    statistics["ranking"] = partial(_ranking_scores, tallies)
    if kind == "binary":
        statistics["precision_at_k"] = partial(_precision_at_k, *ranked[0], top_k)
    return statistics


def scores_of(replicates, kind):
    """Turn replicates of `score_statistics` into one array of replicates per score.

    Scores of a day's top k are not among them: see `daily_scores`.
    """
    if kind == "regression":
        found = dict(zip(("r2", "mae", "rmse"), replicates["errors"].T, strict=True))
    else:
        area, precision, recall_at_1, recall_at_5 = replicates["ranking"].T
        loss, brier = replicates["losses"].T
        found = {
            "roc_auc": area,
            "average_precision": precision,
            "recall_at_1_percent_fpr": recall_at_1,
            "recall_at_5_percent_fpr": recall_at_5,
            "precision_at_k": replicates.get("precision_at_k"),
            "log_loss": loss,
            "brier": brier,
            "calibration_error": replicates["calibration_error"],
            "accuracy": np.trace(replicates["confusion"], axis1=1, axis2=2),
            "macro_f1": _macro_f1(replicates["confusion"]),
        }
    return {name: found[name] for name in SCORES[kind] if found.get(name) is not None}


def log_losses_of_rows(outputs, y):
    """Minus the log of the probability of the observed class, clipped as scikit-learn does."""
    chosen = outputs[np.arange(len(y)), y]
    return -np.log(np.clip(chosen, np.finfo(np.float64).eps, None))


def confidence_and_hit(outputs, y):
    """Return what calibration compares: a probability per row, and whether its class was observed.

    The class is the second of two, else the most probable one of the row.
    """
    if outputs.shape[1] == 2:
        return outputs[:, 1], y == 1
    return outputs.max(axis=1), outputs.argmax(axis=1) == y


def _losses(outputs, y):
    """Log loss and Brier score of every row, of shape (2, n_samples)."""
    one_hot = np.zeros(outputs.shape)
    one_hot[np.arange(len(y)), y] = 1.0
    brier = np.sum((outputs - one_hot) ** 2, axis=1)
    if outputs.shape[1] == 2:
        brier = brier / 2  # with two classes the score is that of one column
    return np.stack([log_losses_of_rows(outputs, y), brier])


def _means(values, weights):
    return moments(values, weights).T


def _calibration(outputs, y):
    """Return the calibration error of the second class, or of the most probable one."""
    confidence, hit = confidence_and_hit(outputs, y)
    edges = np.quantile(confidence, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1])
    bins = np.searchsorted(edges, confidence, side="left")
    gaps = sums_by_cell(bins, CALIBRATION_BINS, confidence - hit)
    return lambda weights: np.abs(gaps @ weights).sum(axis=0) / totals(weights)


def _ranking_scores(tallies, weights):
    """Return ROC-AUC, average precision and recall, each the mean over one class against all."""
    scores = [
        (
            roc_auc(*each),
            average_precision(*each),
            *(recall_at(rate, *each) for rate in FALSE_POSITIVE_RATES),
        )
        for each in (of_class(weights) for of_class in tallies)
    ]
    return np.mean(scores, axis=0).T


def _precision_at_k(ranking, positive, top_k, weights):
    found = [ranking.top_rows(top_k, weight) for weight in weights.T]
    shares = [within @ positive[rows] / within.sum() for rows, within in found]
    return np.round(shares, 12)  # parts of ties do not add up exactly


def _macro_f1(counts):
    """Return the mean F1 over the classes that are observed or predicted."""
    hits = np.einsum("bkk->bk", counts)
    f1 = ratio(2 * hits, counts.sum(axis=1) + counts.sum(axis=2))
    return np.nanmean(f1, axis=1)


def _errors(predicted, y):
    """Make the statistic of R2, mean absolute error and root mean squared error."""
    error, y = predicted - y, y - y.mean()
    rows = np.stack([error**2, np.abs(error), y, y**2])

    def errors(weights):
        squared, absolute, mean, mean_square = moments(rows, weights)
        r2 = 1 - ratio(squared, variance(mean, mean_square))
        return np.column_stack([r2, absolute, np.sqrt(squared)])

    return errors
