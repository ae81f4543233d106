"""The errors that skdistill adds to those of Python and scikit-learn. Imports nothing."""

__all__ = [
    "BudgetError",
    "MonitorFileError",
    "ParityError",
    "RequirementNotMetError",
    "StudentFileError",
]


class RequirementNotMetError(ValueError):
    """A model does not meet what `FidelityReport.require` requires; the message has the reasons.

    Examples
    --------
    It is a ValueError:

    >>> from skdistill.exceptions import RequirementNotMetError
    >>> issubclass(RequirementNotMetError, ValueError)
    True
    """


class ParityError(RuntimeError):
    """An exported file does not predict what its student predicts."""


class StudentFileError(ValueError):
    """A file is no student file, is damaged, or holds no possible student."""


class MonitorFileError(ValueError):
    """A file holds no state of a monitor, or a damaged one."""


class BudgetError(ValueError):
    """No student is within the budget; the message says which came closest.

    Parameters
    ----------
    message : str
        Which limits were exceeded, and by how much.
    candidates : tuple of Candidate, default=()
        All that was measured.

    Attributes
    ----------
    candidates : tuple of Candidate
        All that was measured.
    candidates_ : tuple of Candidate
        The same, by the name that it has in `StudentSearchCV`.
    """

    def __init__(self, message, candidates=()):
        super().__init__(message)
        self.candidates = self.candidates_ = candidates

    def __reduce__(self):
        return BudgetError, (self.args[0], self.candidates)
