"""How well models predict what was observed: scores as statistics of the rows' weights."""

from functools import partial

import numpy as np

from skdistill.weighted_statistics import (
    Ranking,
    average_precision,
    confusion,
    ratio,
    recall_at,
    roc_auc,
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
        return {"errors": partial(_errors, outputs[:, 0], y)}
    statistics = {
        "losses": _mean_of(_losses(outputs, y)),
        "calibration_error": _calibration(outputs, y),
        "confusion": confusion(y, outputs.argmax(axis=1), outputs.shape[1]),
    }
    columns = [1] if kind == "binary" else range(outputs.shape[1])
    ranked = [(Ranking.of(outputs[:, c]), (y == c).astype(float)) for c in columns]
    statistics["ranking"] = partial(_ranking_scores, ranked)
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
    """Log loss and Brier score of every row, of shape (n_samples, 2)."""
    one_hot = np.zeros(outputs.shape)
    one_hot[np.arange(len(y)), y] = 1.0
    brier = np.sum((outputs - one_hot) ** 2, axis=1)
    if outputs.shape[1] == 2:
        brier = brier / 2  # with two classes the score is that of one column
    return np.column_stack([log_losses_of_rows(outputs, y), brier])


def _mean_of(values):
    return lambda weight: weight @ values / weight.sum()


def _calibration(outputs, y):
    """Return the calibration error of the second class, or of the most probable one."""
    confidence, hit = confidence_and_hit(outputs, y)
    edges = np.quantile(confidence, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1])
    bins = np.searchsorted(edges, confidence, side="left")
    gap = confidence - hit
    return lambda w: np.abs(np.bincount(bins, w * gap, CALIBRATION_BINS)).sum() / w.sum()


def _ranking_scores(ranked, weight):
    """Return ROC-AUC, average precision and recall, each the mean over one class against all."""
    tallies = [ranking.tallies(positive, weight) for ranking, positive in ranked]
    scores = [
        (
            roc_auc(*each),
            average_precision(*each),
            *(recall_at(rate, *each) for rate in FALSE_POSITIVE_RATES),
        )
        for each in tallies
    ]
    return np.mean(scores, axis=0)


def _precision_at_k(ranking, positive, top_k, weight):
    within = ranking.top(top_k, weight)
    return round(within @ positive / within.sum(), 12)  # parts of ties do not add up exactly


def _macro_f1(counts):
    """Return the mean F1 over the classes that are observed or predicted."""
    hits = np.einsum("bkk->bk", counts)
    f1 = ratio(2 * hits, counts.sum(axis=1) + counts.sum(axis=2))
    return np.nanmean(f1, axis=1)


def _errors(predicted, y, weight):
    """Return R2, mean absolute error and root mean squared error."""
    weight = weight / weight.sum()
    error = predicted - y
    squared = weight @ error**2
    spread = weight @ (y - weight @ y) ** 2
    return (
        (1 - squared / spread if spread > 0 else np.nan),
        weight @ np.abs(error),
        np.sqrt(squared),
    )
