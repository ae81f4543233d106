"""Whether models were fitted on the rows of a report: its figures are too good then."""

from dataclasses import dataclass

from skdistill.caller import warn_caller
from skdistill.estimators import as_last_step_sees, is_fitted_instance, last_step
from skdistill.rows import SEEN_TOLERANCE
from skdistill.teacher.training_rows import Proof, proof_of_training_rows


@dataclass(frozen=True)
class SeenRows:
    """What a report has to say of rows that models were fitted on.

    Attributes
    ----------
    sentence : str
        In words.
    is_shown : bool
        Whether models were fitted on rows of the report; False if that cannot be known.
    """

    sentence: str
    is_shown: bool


def limits_of_seen_rows(model, teacher, X):
    """Return the sentence of `find_seen_rows` as a list of limitations, empty if there is none."""
    seen = find_seen_rows(model, teacher, X)
    return [] if seen is None else [seen.sentence]


def find_seen_rows(model, teacher, X):
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
    seen : SeenRows or None
        None if no model was. Where nothing is known of the rows of a teacher that was given fitted,
        the report says so, without a warning.
    """
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
        return SeenRows(seen, is_shown=True)
    if proof is Proof.UNKNOWN:
        return SeenRows(
            "It cannot be known whether the teacher was fitted on rows of X. If it was, its "
            "figures, and how faithful the student is to it, are those on rows known by heart.",
            is_shown=False,
        )
    return None


def _has_fitted(distiller, teacher):
    """Tell whether a distiller has fitted the teacher itself, on rows that it remembers."""
    is_its_own = getattr(distiller, "teacher_", None) is teacher.estimator
    return is_its_own and not is_fitted_instance(distiller.teacher)
