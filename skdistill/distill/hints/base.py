"""What all hints share, and the targets of several of them for one transfer set."""

from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

from sklearn.base import BaseEstimator, clone

from skdistill.parameters import Interval, ParametersMixin
from skdistill.teacher.leaves import leaves_of


@dataclass(frozen=True)
class LabelledRows:
    """A transfer set and the fitted `ClassifierTeacher` that labelled it."""

    teacher: Any
    transfer_set: Any

    @cached_property
    def leaves(self):
        """The leaves of the rows in the teacher's trees, see `leaves_of`."""
        return leaves_of(self.teacher.estimator, self.transfer_set.X)


class Hint(ParametersMixin, BaseEstimator):
    """A term of the loss of a network; a hint adds `compute_targets` and `term`.

    Only `make_head` and `term`, which are called in training, may import torch.

    Attributes
    ----------
    needs_gradient : bool
        Whether `term` differentiates the margins with respect to the codes.
    """

    needs_gradient = False

    _parameter_constraints = {"weight": [Interval(Real, 0.0, None, closed="neither")]}

    def __init__(self, weight=0.1):
        self.weight = weight

    def check_student(self, student):
        """Raise a ValueError if a student that has a hidden layer cannot follow the hint."""

    def check_teacher(self, teacher):
        """Raise a ValueError if a teacher, fitted or not, is known not to give the hint."""

    def compute_targets(self, rows, state=None):
        """Compute by the teacher what the student will follow.

        Parameters
        ----------
        rows : LabelledRows
            The rows of `fit`, or of `partial_fit`.
        state : object, default=None
            What the call for the rows of `fit` returned; None in that call.

        Returns
        -------
        targets : ndarray of shape (n_samples, n_targets)
            Float32.
        state : object
            What later rows need to get targets of the same kind; None for nothing.
        """
        raise NotImplementedError

    def make_head(self, n_hidden, n_targets):
        """Return the module that is trained with the student, for `term` only; None for none."""
        return None

    def term(self, head, batch, targets):
        """Compute the term of the loss for a `Batch`, without the weight.

        Parameters
        ----------
        head : torch.nn.Module or None
            Of `make_head`.
        batch : Batch
            What the student makes of the rows.
        targets : Tensor of shape (n_rows, n_targets)
            Of `compute_targets`.

        Returns
        -------
        term : Tensor
            A number.
        """
        raise NotImplementedError


def compute_targets(hints, teacher, transfer_set, states=None):
    """Return the targets and the states of one or more hints, see `Hint.compute_targets`.

    Raises
    ------
    ImportError
        If attributions need shap, and it is not installed.
    ValueError
        If the teacher cannot give a hint.
    """
    rows, states = LabelledRows(teacher, transfer_set), states or [None] * len(hints)
    found = [hint.compute_targets(rows, s) for hint, s in zip(hints, states, strict=True)]
    return tuple(zip(*found, strict=True))


def compute_targets_in_fit(lazy_teacher, fingerprint, transfer_set, hints):
    """Compute targets by a teacher in use; cache keys leave it out and hold `fingerprint`."""
    return compute_targets(hints, lazy_teacher.fitted, transfer_set)


def without_weights(hints):
    """Return hints of weight 1: targets do not depend on weights, so cache keys must not."""
    return [clone(hint).set_params(weight=1.0) for hint in hints]
