"""Who chose how many rounds a booster has: clones that are fitted here cannot stop early."""

from skdistill.caller import warn_caller
from skdistill.estimators import last_step
from skdistill.teacher.asking import is_fitted, unfitted
from skdistill.teacher.vendors import vendor_of


def check_rounds(teacher):
    """Check that a teacher that is to be fitted needs no rows held out to know when to stop.

    Raises
    ------
    ValueError
        If it does, with what to pass instead.

    Warns
    -----
    UserWarning
        If it does without them, but not as asked.
    """
    last = last_step(teacher)
    vendor = vendor_of(last)
    found = vendor.stopping(last)
    if not found or is_fitted(teacher):
        return
    message = (
        f"teacher is {type(last).__name__} with early stopping ({', '.join(found)}), and not "
        "fitted; when it is fitted here there is no evaluation set. Pass it fitted, with an "
        "evaluation set of yours: clones of it then get the number of rounds that it has chosen. "
        "Or leave early stopping out, and say how many rounds there are to be."
    )
    if not vendor.fits_without_held_out_rows(found):
        raise ValueError(message)
    warn_caller(f"{message} {vendor.title} fits all rounds now.")


def clone_to_fit(teacher):
    """Return an unfitted clone that can be fitted without an evaluation set.

    Parameters
    ----------
    teacher : estimator
        Fitted or not, maybe a pipeline.

    Returns
    -------
    clone : estimator
        Not fitted. If it is a clone of a booster that has stopped early, it has the number of
        rounds that were chosen, and does not stop early.
    """
    clone, fitted = unfitted(teacher), last_step(teacher)
    if is_fitted(fitted):
        vendor_of(fitted).set_rounds(last_step(clone), fitted)
    return clone
