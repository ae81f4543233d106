"""A cohort of students: how they are made, and how they learn from each other."""

from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, delayed
from scipy.special import log_softmax
from sklearn.base import clone

from skdistill.distill.held_out import margins_of
from skdistill.estimators import last_step, seeds_of
from skdistill.messages import shown
from skdistill.soft_labels import log_losses, margins_from_proba, proba_from_margins, soften
from skdistill.students.fitting import (
    check_student,
    distill_classifier,
    distill_classifier_further,
)
from skdistill.transfer_set import join, not_observed

#: Default number of clones of a single student.
DEFAULT_COHORT = 3


@dataclass(frozen=True)
class Course:
    """How a cohort learns.

    Attributes
    ----------
    students : list of estimator
        Not fitted, each with a seed of its own.
    has_teacher : bool
        Whether the transfer set has a teacher's margins.
    temperature, alpha : float
        As of `DistilledClassifier`.
    peer_weight : float
        Share of the peers in the soft labels, if there is a teacher.
    n_jobs : int or None
        Students to fit at a time.
    """

    students: list
    has_teacher: bool
    temperature: float
    alpha: float
    peer_weight: float
    n_jobs: int | None = None

    def rounds(self, transfer_set):
        """Yield the fitted cohort after all have learned alone, then after every round, endlessly.

        Students that are trained further are changed in place: keep no cohort of an earlier round.
        """
        alpha = self.alpha if self.has_teacher else 0.0
        cohort = Parallel(self.n_jobs)(
            delayed(distill_classifier)(student, transfer_set, self.temperature, alpha)
            for student in self.students
        )
        while True:
            yield cohort
            margins = [margins_of(student, transfer_set.X) for student in cohort]
            lessons = (self.lesson(transfer_set, margins, i) for i in range(len(cohort)))
            cohort = Parallel(self.n_jobs)(
                delayed(_learn)(*each, self.temperature, self.alpha)
                for each in zip(self.students, cohort, lessons, strict=True)
            )

    def lesson(self, transfer_set, margins, i):
        """Let the peers of student i, and the teacher, label the rows.

        `margins` are those of every student. The margins that are returned, softened by the
        temperature, are the mean of the others' soft labels.
        """
        peers = [soften(z, self.temperature) for j, z in enumerate(margins) if j != i]
        mix = np.mean(peers, axis=0)
        if self.has_teacher:
            teacher = soften(transfer_set.margins, self.temperature)
            mix = self.peer_weight * mix + (1.0 - self.peer_weight) * teacher
        return replace(transfer_set, margins=self.temperature * margins_from_proba(mix))


def mean_losses(cohort, rows):
    """Compute the mean loss in nats of every student of a cohort on held-out rows.

    That is the log loss of the observed classes, or, where there are none, the cross entropy to
    the teacher's probabilities.
    """
    margins = [margins_of(student, rows.X) for student in cohort]
    if (rows.y < 0).all():
        teacher = proba_from_margins(rows.margins)
        losses = [-np.sum(teacher * log_softmax(z, axis=1), axis=1) for z in margins]
    else:
        losses = [log_losses(z, rows.y) for z in margins]
    return [float(np.average(each, weights=rows.sample_weight)) for each in losses]


def cohort_of(students, n_students):
    """Return names and unfitted clones of the students of a cohort; of one student `n_students`.

    Of a single student all clones but the first have no seed. TypeError if one is not a classifier
    with probabilities, ValueError if there are fewer than two, or names are not different strings.
    """
    if hasattr(students, "fit"):
        check_student(students, "classifier")
        given = [clone(students) for _ in range(n_students or DEFAULT_COHORT)]
        given = given[:1] + [_without_seeds(student) for student in given[1:]]
        return _numbered(given), given
    if not isinstance(students, list | tuple) or len(students) < 2:
        raise ValueError(
            f"students is {shown(students)}; a list of two or more students was expected, or one "
            "student and n_students: a single student has no peers to learn from."
        )
    if n_students is not None:
        raise ValueError(
            f"n_students={n_students} was passed with a list of {len(students)} students. It is "
            "for a single student; pass None."
        )
    names, given = None, list(students)
    if all(isinstance(entry, tuple) and len(entry) == 2 for entry in given):
        names, given = (list(part) for part in zip(*given, strict=True))
        if len({name for name in names if isinstance(name, str)}) < len(names):
            raise ValueError(f"The students' names are {names}; different strings were expected.")
    for student in given:
        check_student(student, "classifier")
    given = [clone(student) for student in given]
    return names or _numbered(given), given


def unanswered_rows(rows, augmentation, random_state):
    """Build a transfer set of all rows, and synthetic ones, without a teacher: margins are 0."""
    classes, codes = np.unique(rows.y, return_inverse=True)

    def unanswered(X, weight, origin):
        return not_observed(X, np.zeros((X.shape[0], len(classes))), weight, origin, classes)

    parts = [replace(unanswered(rows.X, rows.sample_weight, "labelled"), y=codes)]
    if rows.pool is not None:
        parts.append(unanswered(rows.pool, rows.pool_weight, "unlabelled"))
    if augmentation is not None:
        X = augmentation.sample(rows.all_rows(), len(rows.y), random_state)
        parts.append(unanswered(X, np.full(X.shape[0], rows.sample_weight.mean()), "synthetic"))
    return join(parts)


def hold_out(transfer_set, positions, has_teacher):
    """Split a transfer set into the rows to learn from and the held-out rows of positive weight.

    A teacher's labels of synthetic rows may depend on the classes of held-out rows, so these are
    left out, see `TransferSet.without`; peers have not seen these classes. ValueError if no
    held-out row has a positive weight.
    """
    held_out = transfer_set.take(positions[transfer_set.sample_weight[positions] > 0])
    if len(held_out.y) == 0:
        raise ValueError(
            "The first fold of cv has no row with a positive weight, so the students cannot be "
            "compared on it. Pass another cv, such as one that shuffles."
        )
    if has_teacher:
        return transfer_set.without(positions), held_out
    return transfer_set.take(np.setdiff1d(np.arange(len(transfer_set.y)), positions)), held_out


def _learn(student, fitted, lesson, temperature, alpha):
    """Train a fitted student further if it can be, else fit the unfitted one again."""
    if not hasattr(last_step(fitted), "partial_distill"):
        return distill_classifier(student, lesson, temperature, alpha)
    distill_classifier_further(fitted, lesson, temperature, alpha)
    return fitted


def _numbered(students):
    """Name students by their class and number."""
    return [f"{type(last_step(s)).__name__} {number}" for number, s in enumerate(students, 1)]


def _without_seeds(student):
    """Set every ``random_state`` of an unfitted student to None."""
    return student.set_params(**dict.fromkeys(seeds_of(student)))
