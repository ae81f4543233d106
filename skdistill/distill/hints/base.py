"""What all hints share, and the targets of several of them for one transfer set."""

from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from skdistill.estimators import last_step
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
    needs_hidden_layer : bool
        Whether a network without hidden layers cannot follow it.
    """

    needs_gradient = False
    needs_hidden_layer = False

    _parameter_constraints = {"weight": [Interval(Real, 0.0, None, closed="neither")]}

    def __init__(self, weight=0.1):
        self.weight = weight

    def check_student(self, student):
        """Raise a ValueError if a student that can follow some hints cannot follow this one."""
        sizes = getattr(last_step(student), "hidden_layer_sizes", None)
        if self.needs_hidden_layer and sizes is not None and not np.size(sizes):
            name = type(self).__name__
            raise ValueError(
                f"{name} was passed with a student without hidden layers (hidden_layer_sizes="
                f"{sizes!r}), which {name} is about. Give the student one, or leave {name} out."
            )

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
        raise NotImplementedError(f"{type(self).__name__} has no compute_targets.")

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
        raise NotImplementedError(f"{type(self).__name__} has no term.")


def compute_targets(hints, teacher, transfer_set, states=None):
    """Return the targets of hints, and their states by name, see `Hint.compute_targets`.

    Raises
    ------
    ImportError
        If attributions need shap, and it is not installed.
    ValueError
        If the teacher cannot give a hint.
    """
    rows, names = LabelledRows(teacher, transfer_set), names_of_hints(hints)
    states = dict.fromkeys(names) if states is None else states
    found = [
        hint.compute_targets(rows, states[name]) for hint, name in zip(hints, names, strict=True)
    ]
    targets = tuple(targets for targets, _ in found)
    return targets, dict(zip(names, (state for _, state in found), strict=True))


def names_of_hints(hints):
    """Return the names of the classes of hints, each of which there is once."""
    return [type(hint).__name__ for hint in hints]


def compute_targets_in_fit(lazy_teacher, fingerprint, transfer_set, hints):
    """Compute targets by a teacher in use; cache keys leave it out and hold `fingerprint`."""
    return compute_targets(hints, lazy_teacher.fitted, transfer_set)


def without_weights(hints):
    """Return hints of weight 1: targets do not depend on weights, so cache keys must not."""
    return [clone(hint).set_params(weight=1.0) for hint in hints]
