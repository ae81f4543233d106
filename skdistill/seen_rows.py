"""Whether models were fitted on the rows they are tested on: figures are too good then."""

from dataclasses import dataclass

from skdistill.caller import warn_caller
from skdistill.columns import as_models_take
from skdistill.estimators import as_last_step_sees, last_step
from skdistill.rows import SEEN_TOLERANCE
from skdistill.teacher.asking import is_fitted_instance
from skdistill.teacher.fitting import check_teacher_columns
from skdistill.teacher.training_rows import Proof, proof_of_training_rows


@dataclass(frozen=True)
class SeenRowsFinding:
    """What is known about rows that models were fitted or recalibrated on.

    Attributes
    ----------
    sentence : str
        In words.
    is_shown : bool
        Whether models were fitted on the rows; False if that cannot be known.
    """

    sentence: str
    is_shown: bool


def limits_of_seen_rows(model, teacher, X):
    """Return the sentence of `find_seen_rows` as a list of limitations, empty if there is none."""
    seen = find_seen_rows(model, teacher, X)
    return [] if seen is None else [seen.sentence]


def find_seen_rows(model, teacher, X, consequence="the figures of this report are too good"):
    """Warn if models were fitted or recalibrated on rows, and return what is known about that.

    Parameters
    ----------
    model : estimator
        The student, or what has distilled it.
    teacher : Peer or None
        The teacher, if it is compared.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        The rows.
    consequence : str, default="the figures of this report are too good"
        What that does to the figures computed from the rows.

    Returns
    -------
    seen : SeenRowsFinding or None
        None if no model was. If the rows of a teacher that was passed fitted are unknown, it says
        so, without a warning.
    """
    X = as_models_take(X)
    if teacher is not None:
        check_teacher_columns(teacher.estimator, X)
    model = getattr(model, "best_estimator_", model)
    distiller = last_step(model)
    distiller = getattr(distiller, "best_estimator_", distiller)
    fitted, recalibrated = _shares_seen(distiller, model, X)
    of_student = fitted > SEEN_TOLERANCE
    if not hasattr(distiller, "student_"):
        of_student = proof_of_training_rows(model, X) is Proof.PROVED
    proof = Proof.REFUTED
    if teacher is not None and not _has_fitted(distiller, teacher):
        proof = proof_of_training_rows(teacher.estimator, X)
    elif teacher is not None and of_student:
        proof = Proof.PROVED
    if of_student or proof is Proof.PROVED:
        which = f"About {fitted:.0%} of the rows of X" if fitted > SEEN_TOLERANCE else "Rows of X"
        who, why = "the student was", "it has learned the teacher's answers"
        if not hasattr(distiller, "student_") and teacher is None:
            who, why = "the model was", "it knows the answers"
        if proof is Proof.PROVED:
            who = "teacher and student were" if of_student else "the teacher was"
            why = "the teacher knows the answers"
        return _warned(f"{which} are rows that {who} fitted on. There {why}, so {consequence}.")
    if recalibrated > SEEN_TOLERANCE:
        return _warned(
            f"About {recalibrated:.0%} of the rows of X are rows that the student was recalibrated "
            f"on. Its probabilities were made to fit there, so {consequence}."
        )
    if proof is Proof.UNKNOWN:
        return SeenRowsFinding(
            "It cannot be known whether the teacher was fitted on rows of X. If it was, its "
            "figures, and the student's fidelity to it, are those on training rows.",
            is_shown=False,
        )
    return None


def _shares_seen(distiller, model, X):
    """Return the shares of rows that a distiller was fitted, and recalibrated on."""
    if not hasattr(distiller, "_seen_rows"):
        return 0.0, 0.0
    rows = as_last_step_sees(model, X)
    sketches = distiller._seen_rows, getattr(distiller, "_recalibrated_on", None)
    return tuple(0.0 if sketch is None else sketch.excess_in(rows) for sketch in sketches)


def _warned(seen):
    """Warn, and return what the report says."""
    seen += " Pass rows that no model was fitted on."
    warn_caller(seen)
    return SeenRowsFinding(seen, is_shown=True)


def _has_fitted(distiller, teacher):
    """Tell whether a distiller has fitted the teacher itself, on rows that it remembers."""
    is_its_own = getattr(distiller, "teacher_", None) is teacher.estimator
    return is_its_own and not is_fitted_instance(distiller.teacher)
