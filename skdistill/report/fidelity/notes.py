"""Notes to the tables of a report: k, thresholds, and what is selected."""

from skdistill.report.fidelity.groups import SMALLEST_GROUP


def note_on(report, name):
    """Return the note to one part that a report has; empty if there is none."""
    notes = {
        "scores": _on_scores,
        "fidelity": _on_fidelity,
        "thresholds": lambda report: [_on_decisions(report.classes[1])],
        "group_rates": _on_group_rates,
        "group_gaps": _on_group_gaps,
    }
    return " ".join(notes[name](report)) if name in notes else ""


def _on_scores(report):
    if "precision_at_k" in report.scores:
        yield _on_top_k(report)
    daily = [name for name in report.scores if name.endswith("_k_per_day")]
    k = report.settings["top_k_per_day"]
    if "card_precision_at_k" in report.scores:
        yield (
            f"Of a day's cards, the {k:,} with the highest scores are looked at, and one that was "
            "found is not looked at again."
        )
    if daily:
        yield f"Of a day's rows, the {k:,} with the highest scores are looked at."


def _on_fidelity(report):
    if "top_k_overlap" in report.fidelity:
        yield _on_top_k(report)


def _on_top_k(report):
    highest = "the highest values"
    if report.kind == "binary":
        highest = f"class {report.classes[1]} the highest probabilities"
    return f"A model's top k are the {report.settings['top_k']:,} rows to which it gives {highest}."


def _on_decisions(label):
    return f"The decision is yes where class {label} has at least the threshold's probability."


def _on_group_rates(report):
    rates = {each.rate for each in report.group_rates}
    if "selection_rate" in rates:
        label, threshold = (
            report.settings[name] for name in ("selected_class", "selection_threshold")
        )
        yield (
            f"A model selects the rows to which it gives class {label} a probability of "
            f"{threshold:g} or more. The selection rate is their share of a group."
        )
    if "true_positive_rate" in rates:
        yield (
            f"The true positive rate is their share among its rows of class {label}, the false "
            f"positive rate among its rows of class {report.classes[0]}."
        )
    if "mean_error" in rates:
        yield "The mean error is prediction minus observed value."


def _on_group_gaps(report):
    n_gaps = len(report.group_gaps)
    together = f" for all {n_gaps} gaps together" if n_gaps > 1 else ""
    yield (
        f"A gap is the largest difference between two groups of {SMALLEST_GROUP} rows or more. The "
        "change is added or reduced where its interval does not contain 0; the intervals hold"
        f"{together} with {100 * report.settings['confidence']:g}% confidence."
    )
