"""Whether models were fitted on the rows of a report: its figures are too good then."""

from skdistill.estimators import as_last_step_sees, last_step
from skdistill.teacher.honest import is_training_matrix

#: Share of rows known from training, beyond what chance explains, that is reported.
SEEN_TOLERANCE = 0.01


def rows_seen(model, teacher, X):
    """Say that the models were fitted on rows of X, or return None."""
    model = getattr(model, "best_estimator_", model)
    distiller = last_step(model)
    which = None
    if hasattr(distiller, "_seen_rows"):
        share = distiller._seen_rows.excess_in(as_last_step_sees(model, X))
        if share > SEEN_TOLERANCE:
            which = f"About {share:.0%} of the rows of X"
    elif teacher is not None and is_training_matrix(teacher.estimator, X):
        which = "The rows of X"
    if which is None:
        return None
    return (
        f"{which} are rows that teacher and student were fitted on. There the teacher knows the "
        "answers, so the figures of this report are too good. Pass rows that nobody was fitted on."
    )
