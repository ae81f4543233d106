"""The figures of a report: what teacher, student and baseline predicted, and what was observed."""

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from skdistill.decisions.cost_curve import review_costs
from skdistill.report.fidelity.scores import confidence_and_hit
from skdistill.report.page.svg import THEME, draw_svg
from skdistill.report.plotting import shorten

#: Models in the order they are drawn, the student last and so on top.
ROLES = ("baseline", "teacher", "student")

#: Points of a scatter plot, and of a curve, at most.
MOST_POINTS, MOST_KNOTS = 1500, 400

#: Letters of a class label that are shown, and how many stand side by side below an axis.
MAX_LETTERS, MOST_LETTERS_ABREAST = 22, 30

#: Bins of a calibration curve.
CALIBRATION_BINS = 10


def figures_of(inputs, random_state):
    """Draw the figures that the rows of a report allow: caption to ``svg``, by part of the page.

    The parts are "performance", "fidelity" and "decisions"; `random_state` draws the rows that are
    shown where there are too many.
    """
    figures = {
        "performance": _of_performance(inputs),
        "fidelity": {},
        "decisions": _of_decisions(inputs),
    }
    if "teacher" in inputs.models:
        figures["fidelity"] = _of_fidelity(inputs, _some_rows(inputs.n_samples, random_state))
    return {
        part: {
            caption: draw_svg(f"{part}-{number}", draw)
            for number, (caption, draw) in enumerate(drawings.items(), start=1)
        }
        for part, drawings in figures.items()
    }


def _of_performance(inputs):
    """Return what to draw, by caption."""
    if inputs.y is None:
        return {}
    if inputs.kind == "regression":
        return {"Observed values by predicted value": lambda ax: draw_reliability(ax, inputs)}
    drawings = {}
    if inputs.kind == "binary" and len(np.unique(inputs.y)) == 2:
        drawings["Precision and recall"] = lambda ax: draw_precision_recall(ax, inputs)
        drawings["ROC curve"] = lambda ax: draw_roc(ax, inputs)
    caption = "Calibration: observed rate by predicted probability"
    drawings[caption] = lambda ax: draw_calibration(ax, inputs)
    return drawings


def _of_fidelity(inputs, rows):
    """Return what to draw, by caption."""
    drawings = {_fidelity_caption(inputs): lambda ax: draw_fidelity(ax, inputs, rows)}
    if inputs.kind == "multiclass":
        caption = (
            "Most probable classes: how the rows of each of the teacher's spread over the "
            "student's (area: their share)"
        )
        drawings[caption] = lambda ax: draw_confusion(ax, inputs)
    return drawings


def _of_decisions(inputs):
    """Return what to draw, by caption."""
    if inputs.bands is None or inputs.bands.costs.review is None or inputs.y is None:
        return {}
    unit = "a day" if inputs.payments.day is not None else "a row"
    caption = (
        f"Money lost {unit} on all rows, by the number of reviews (dot: more reviews do not pay)"
    )
    return {caption: lambda ax: draw_costs(ax, inputs)}


def draw_costs(ax, inputs):
    """Draw what decisions cost over how many rows can be reviewed, on all rows."""
    day, weight = inputs.payments.day, inputs.sample_weight
    curves = {
        role: review_costs(
            inputs.y.astype(float), score, inputs.bands.costs, inputs.payments.amounts, day, weight
        )
        for role, score in _scores(inputs)
    }
    end = 1.05 * max(capacity[-1] for capacity, _ in curves.values())
    for role, (capacity, cost) in curves.items():
        ax.plot(capacity[-1], cost[-1], "o", color=THEME[role], markersize=4)
        x, y = _thinned(np.append(capacity, end), np.append(cost, cost[-1]))
        ax.plot(x, y, color=THEME[role], label=role)
    x_label = "share of rows reviewed" if day is None else "reviews per day"
    unit = "a row" if day is None else "a day"
    ax.set(xlabel=x_label, ylabel=f"money lost {unit}", xlim=(0, end), ylim=(0, None))
    _legend(ax)


def draw_fidelity(ax, inputs, rows):
    """Draw the student's predictions over the teacher's, as log-odds, or values in regression."""
    x, y = _positions(*(inputs.outputs[role][rows] for role in ("teacher", "student")), inputs.kind)
    ax.plot(x, y, ".", color=THEME["student"], markersize=3, alpha=0.35, markeredgewidth=0)
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    ax.plot(ends, ends, color=THEME["faint"], linewidth=1)
    if inputs.kind != "regression":
        _label_log_odds(ax.xaxis, ends)
        _label_log_odds(ax.yaxis, ends)
    ax.set(xlabel="teacher", ylabel="student")
    if len(rows) < inputs.n_samples:
        _say(ax, f"{len(rows):,} of {inputs.n_samples:,} rows")


def draw_precision_recall(ax, inputs):
    """Draw precision against recall of every model."""
    for role, score in _scores(inputs):
        precision, recall, _ = precision_recall_curve(
            inputs.y, score, sample_weight=inputs.sample_weight
        )
        x, y = _thinned(recall[::-1], precision[::-1])
        ax.plot(x, y, color=THEME[role], label=role, drawstyle="steps-pre")
    share = np.average(inputs.y, weights=inputs.sample_weight)
    ax.axhline(share, color=THEME["faint"], linewidth=1, linestyle=":")
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    _legend(ax)


def draw_roc(ax, inputs):
    """Draw the true positive rate against the false positive rate of every model."""
    for role, score in _scores(inputs):
        rates = roc_curve(inputs.y, score, sample_weight=inputs.sample_weight)[:2]
        ax.plot(*_thinned(*rates), color=THEME[role], label=role)
    ax.plot([0, 1], [0, 1], color=THEME["faint"], linewidth=1, linestyle=":")
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.02))
    _legend(ax)


def draw_calibration(ax, inputs):
    """Draw observed shares over predicted probabilities; every point is about equally certain."""
    curves = {}
    for role in _roles(inputs):
        confidence, hit = confidence_and_hit(inputs.outputs[role], inputs.y)
        curves[role] = _bin_means(confidence, hit, inputs.sample_weight, True)
    shares = np.concatenate([share for curve in curves.values() for share in curve])
    low = max(shares[shares > 0].min(), 1e-5) / 2
    is_rare = inputs.kind == "binary" and shares.max() / low > 100  # crowded on a linear scale
    n_left_out = 0
    for role, (predicted, observed) in curves.items():
        seen = observed > 0 if is_rare else np.ones(len(observed), dtype=bool)
        n_left_out += int(np.sum(~seen))
        line = {"color": THEME[role], "label": role, "markersize": 4}
        ax.plot(predicted[seen], observed[seen], "o-", **line)
    ends = [low, 1] if is_rare else [0, 1]
    ax.plot(ends, ends, color=THEME["faint"], linewidth=1)
    if is_rare:
        ax.set(xscale="log", yscale="log", xlim=(low, 1.2), ylim=(low, 1.2))
    if n_left_out:
        points = "1 point is" if n_left_out == 1 else f"{n_left_out} points are"
        _say(ax, f"{points} not shown: nothing observed,\nwhich has no place on a logarithmic axis")
    what = "probability" if inputs.kind == "binary" else "probability of the most probable class"
    ax.set(xlabel=f"predicted {what}", ylabel="observed share")
    _legend(ax)


def draw_confusion(ax, inputs):
    """Draw how the teacher's most probable classes spread over the student's."""
    from matplotlib.patches import Rectangle

    teacher, student = (inputs.outputs[role].argmax(axis=1) for role in ("teacher", "student"))
    n_classes = len(inputs.classes)
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (teacher, student), inputs.sample_weight)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    rows, columns = np.nonzero(shares >= 0.001)
    for row, column, share in zip(rows, columns, shares[rows, columns], strict=True):
        side = 0.9 * np.sqrt(share)
        corner = column - side / 2, row - side / 2
        ax.add_patch(Rectangle(corner, side, side, color=THEME["student"], linewidth=0))
    labels = [shorten(str(label), MAX_LETTERS) for label in inputs.classes.tolist()]
    ax.set(
        xlabel="student",
        ylabel="teacher",
        xlim=(-0.6, n_classes - 0.4),
        ylim=(n_classes - 0.4, -0.6),
    )
    size = 8 if n_classes < 15 else 6
    is_crowded = n_classes * max(map(len, labels)) > MOST_LETTERS_ABREAST
    ax.set_xticks(
        range(n_classes), labels, fontsize=size, rotation=90 if is_crowded else 0, parse_math=False
    )
    ax.set_yticks(range(n_classes), labels, fontsize=size, parse_math=False)


def draw_reliability(ax, inputs):
    """Draw mean observed values over mean predictions, with equal numbers of rows per point."""
    ends = []
    for role in _roles(inputs):
        predictions = inputs.outputs[role][:, 0]
        predicted, observed = _bin_means(predictions, inputs.y, inputs.sample_weight, False)
        ends += [predicted.min(), predicted.max()]
        ax.plot(predicted, observed, "o-", color=THEME[role], label=role, markersize=4)
    ax.plot([min(ends), max(ends)], [min(ends), max(ends)], color=THEME["faint"], linewidth=1)
    ax.set(xlabel="predicted", ylabel="observed")
    _legend(ax)


def _fidelity_caption(inputs):
    if inputs.kind == "regression":
        return "What teacher and student predict for the same rows"
    what = f"probability of {inputs.classes[1]}" if inputs.kind == "binary" else "probability"
    extra = "" if inputs.kind == "binary" else " of the class that the teacher finds most probable"
    return f"Predictions of teacher and student for the same rows: {what}{extra}"


def _positions(teacher, student, kind):
    """Return log-odds of the second class, or of the teacher's class; values in regression."""
    if kind == "regression":
        return teacher[:, 0], student[:, 0]
    column = 1 if kind == "binary" else teacher.argmax(axis=1)
    rows = np.arange(len(teacher))
    proba = np.clip([each[rows, column] for each in (teacher, student)], 1e-5, 1 - 1e-5)
    return np.log(proba / (1 - proba))


def _label_log_odds(axis, ends):
    """Label an axis of log-odds with probabilities."""
    shares = np.array([1e-5, 1e-3, 0.1, 0.5, 0.9, 0.999, 0.99999])
    if ends[1] - ends[0] > 12:  # too wide for all labels
        shares = shares[[0, 1, 3, 5, 6]]
    at = np.log(shares / (1 - shares))
    seen = (at >= ends[0] - 0.5) & (at <= ends[1] + 0.5)
    axis.set_ticks(at[seen], [f"{100 * share:g}%" for share in shares[seen]])


def _roles(inputs):
    return [role for role in ROLES if role in inputs.models]


def _scores(inputs):
    return [(role, inputs.outputs[role][:, 1]) for role in _roles(inputs)]


def _legend(ax):
    """Label the curves, the student first."""
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1])


def _say(ax, text):
    """Write what is not on a figure in its lower right corner, where there is least."""
    where = {"xycoords": "axes fraction", "ha": "right", "va": "bottom", "size": "small"}
    ax.annotate(text, (0.99, 0.02), **where)


def _some_rows(n_samples, random_state):
    if n_samples <= MOST_POINTS:
        return np.arange(n_samples)
    return np.sort(random_state.choice(n_samples, MOST_POINTS, replace=False))


def _thinned(x, y):
    """Thin out the points of a long curve; keep its ends."""
    if len(x) <= MOST_KNOTS:
        return x, y
    kept = np.unique(np.searchsorted(x, np.linspace(x[0], x[-1], MOST_KNOTS)))
    kept = np.union1d(kept[kept < len(x)], [0, len(x) - 1])
    return x[kept], y[kept]


def _bin_means(predicted, observed, weight, is_probability):
    """Return the means of both in bins of the first, each with the same part of its variance."""
    information = weight * (predicted * (1 - predicted) + 1e-9 if is_probability else 1.0)
    order = np.argsort(predicted, kind="stable")
    share = np.cumsum(information[order]) / information.sum()
    bins = np.empty(len(order), dtype=int)
    bins[order] = np.minimum(share * CALIBRATION_BINS, CALIBRATION_BINS - 1).astype(int)
    mass = np.bincount(bins, weight)
    used = mass > 0
    sums = [np.bincount(bins, weight * each) for each in (predicted, observed)]
    return sums[0][used] / mass[used], sums[1][used] / mass[used]
