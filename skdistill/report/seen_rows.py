"""Whether models were fitted on the rows of a report: its figures are too good then."""

from skdistill.caller import warn_caller
from skdistill.estimators import as_last_step_sees, is_fitted_instance, last_step
from skdistill.rows import SEEN_TOLERANCE
from skdistill.teacher.fitting import check_teacher_columns
from skdistill.teacher.training_rows import Proof, proof_of_training_rows


def limits_of_seen_rows(model, teacher, X):
    """Warn if models were fitted on rows of a report, and return what it has to say of that.

    Parameters
    ----------
    model : estimator
        The student, or what has distilled it.
    teacher : Peer or None
        The teacher, if it is compared.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        The rows.

    Returns
    -------
    limitations : list of str
        At most one. Where nothing is known of the rows of a teacher that was given fitted, the
        report says so, without a warning.
    """
    if teacher is not None:
        check_teacher_columns(teacher.estimator, X)
    model = getattr(model, "best_estimator_", model)
    distiller = last_step(model)
    share = 0.0
    if hasattr(distiller, "_seen_rows"):
        share = distiller._seen_rows.excess_in(as_last_step_sees(model, X))
    of_student = share > SEEN_TOLERANCE
    proof = Proof.REFUTED
    if teacher is not None and not _has_fitted(distiller, teacher):
        proof = proof_of_training_rows(teacher.estimator, X)
    elif teacher is not None and of_student:
        proof = Proof.PROVED
    if of_student or proof is Proof.PROVED:
        which = f"About {share:.0%} of the rows of X" if of_student else "Rows of X"
        who, why = "the student was", "it has learned the teacher's answers"
        if proof is Proof.PROVED:
            who = "teacher and student were" if of_student else "the teacher was"
            why = "the teacher knows the answers"
        seen = (
            f"{which} are rows that {who} fitted on. There {why}, so the figures of this report "
            "are too good. Pass rows that nobody was fitted on."
        )
        warn_caller(seen)
        return [seen]
    if proof is Proof.UNKNOWN:
        return [
            "It cannot be known whether the teacher was fitted on rows of X. If it was, its "
            "figures, and how faithful the student is to it, are those on rows known by heart."
        ]
    return []


def _has_fitted(distiller, teacher):
    """Tell whether a distiller has fitted the teacher itself, on rows that it remembers."""
    is_its_own = getattr(distiller, "teacher_", None) is teacher.estimator
    return is_its_own and not is_fitted_instance(distiller.teacher)
