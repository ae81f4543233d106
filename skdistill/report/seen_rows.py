"""Whether models were fitted on the rows of a report: its figures are too good then."""

from skdistill.estimators import as_last_step_sees, last_step
from skdistill.teacher.training_rows import Proof, proof_of_training_rows

#: Share of rows known from training, beyond what chance explains, that is reported.
SEEN_TOLERANCE = 0.01


def rows_seen(model, teacher, X):
    """Say that the models were fitted on rows of X, or return None."""
    model = getattr(model, "best_estimator_", model)
    distiller = last_step(model)
    share = 0.0
    if hasattr(distiller, "_seen_rows"):
        share = distiller._seen_rows.excess_in(as_last_step_sees(model, X))
    if share > SEEN_TOLERANCE:
        which, who = f"About {share:.0%} of the rows of X", "teacher and student were"
    elif teacher is not None and _was_fitted_on(teacher, X):
        which, who = "Rows of X", "the teacher was"
    else:
        return None
    return (
        f"{which} are rows that {who} fitted on. There the teacher knows the answers, so the "
        "figures of this report are too good. Pass rows that nobody was fitted on."
    )


def _was_fitted_on(teacher, X):
    return proof_of_training_rows(teacher.estimator, X) is Proof.PROVED
