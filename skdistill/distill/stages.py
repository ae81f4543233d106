"""The stages between teacher and student.

Here real, synthetic and fresh rows are labelled, and "auto" is resolved.
"""

from dataclasses import replace

import joblib
import numpy as np
import scipy.sparse as sp

from skdistill import __version__
from skdistill.columns import mix_rows, take_rows
from skdistill.distill.class_prior import prior_shift
from skdistill.distill.munge import Munge
from skdistill.distill.synthetic_rows import make_synthetic_rows
from skdistill.soft_labels import calibration_temperature
from skdistill.students.base import stated
from skdistill.students.fitting import learns_unknown_levels
from skdistill.teacher.identity import content_key
from skdistill.teacher.labelling import label_rows
from skdistill.teacher.margins import PROBE_ROWS
from skdistill.teacher.synthetic import label_by_members
from skdistill.teacher.vendors.trees import spread
from skdistill.transfer_set import ORIGINS, TransferSet, join, not_observed


def label_real_rows(
    lazy_teacher, fingerprint, rows, *, labelling, cv, correct_prior=False, n_jobs=None
):
    """Let the teacher label the rows that the user passed: the labelled, then the unlabelled ones.

    The `fingerprint` identifies the teacher in keys of caches. With `correct_prior` a classifier's
    margins are shifted to fit the shares of the observed classes; returns this shift, or None, with
    the transfer set.
    """
    answers, labelling = label_rows(lazy_teacher, labelling, cv, n_jobs)
    margins, shift = answers.margins(), None
    if correct_prior:
        shift = prior_shift(margins, lazy_teacher.encoded_y(), rows.sample_weight)
        margins = answers.margins(shift)
    # Fitted even if only clones labelled the rows.
    teacher, classes = lazy_teacher.corrected(shift), lazy_teacher.classes
    labelled = TransferSet(
        X=rows.X,
        margins=margins,
        y=lazy_teacher.encoded_y(),
        sample_weight=rows.sample_weight,
        origin=np.full(
            len(rows.y), ORIGINS.index("unlabelled" if rows.nothing_observed else "labelled")
        ),
        classes=classes,
        labelling=labelling,
    )
    if rows.pool is None:
        return labelled, shift
    margins = teacher.margins(rows.pool)
    pool = not_observed(rows.pool, margins, rows.pool_weight, "unlabelled", classes)
    return join([labelled, pool]), shift


def label_synthetic_rows(
    lazy_teacher,
    fingerprint,
    rows,
    *,
    labelling,
    shift,
    augmentation,
    with_unknown,
    random_state,
    n_jobs=None,
):
    """Make synthetic rows, see `make_synthetic_rows`, and let the teacher label them, or None.

    If the labelled rows were labelled "oob", the members of the teacher label one by one, if the
    augmentation returns what the rows were made from. `shift` is added to the margins. A row weighs
    as much as a labelled row on average; rows are fewer and lighter if all have unknown cells.
    """
    teacher = lazy_teacher.corrected(shift)
    made = make_synthetic_rows(
        teacher,
        rows.X,
        rows.sample_weight,
        pool=rows.pool,
        augmentation=augmentation,
        with_unknown=with_unknown,
        with_parents=labelling == "oob",
        random_state=random_state,
    )
    if made is None:
        return None
    if made.parents is None:
        margins, is_half_honest = teacher.margins(made.X), False
    else:
        y = lazy_teacher.encoded_y()
        margins, is_half_honest = label_by_members(teacher, made.X, made.parents, y, n_jobs)
    synthetic_labelling = "half_oob" if is_half_honest else "direct"
    return not_observed(
        made.X, margins, made.weight, "synthetic", lazy_teacher.classes, synthetic_labelling
    )


def label_fresh_rows(teacher, X, observed, sample_weight, classes):
    """Let a fitted teacher label checked rows that came after fit, as a transfer set.

    What was observed is the position of the class, -1 for none; in regression the value, NaN for
    none.
    """
    fresh = not_observed(X, teacher.margins(X), sample_weight, "unlabelled", classes)
    return replace(fresh, y=observed)


def with_synthetic_rows(fresh, teacher, augmentation, student, random_state):
    """Return fresh rows and synthetic ones made from them, labelled by the teacher.

    Some get unknown cells if the student can learn them; without augmentation there are none.
    """
    if augmentation is None or len(fresh.y) < 2:
        return fresh
    made = make_synthetic_rows(
        teacher,
        fresh.X,
        fresh.sample_weight,
        augmentation=augmentation,
        with_unknown=learns_unknown_levels(student),
        random_state=random_state,
    )
    margins = teacher.margins(made.X)
    return join([fresh, not_observed(made.X, margins, made.weight, "synthetic", fresh.classes)])


def choose_augmentation(augmentation, student, rows):
    """Resolve "auto": `Munge()` if a student gains from synthetic rows that can be made, or None.

    ValueError if an augmentation was passed and X is sparse.
    """
    is_sparse = sp.issparse(rows.X)
    if augmentation == "auto":
        gains = stated(student, "gains_from_synthetic_rows")
        return Munge() if gains and not is_sparse and rows.X.shape[0] > 1 else None
    if augmentation is not None and is_sparse:
        raise ValueError(
            f"{augmentation!r} cannot mix the rows of a sparse X. Pass augmentation=None."
        )
    return augmentation


def choose_temperature(temperature, transfer_set):
    """Resolve "auto": the temperature that calibrates the labelled rows' margins."""
    if temperature != "auto":
        return float(temperature)
    labelled = transfer_set.origin == 0
    return calibration_temperature(
        transfer_set.margins[labelled],
        transfer_set.y[labelled],
        transfer_set.sample_weight[labelled],
    )


def fingerprint_of(lazy_teacher):
    """Identify a teacher in cache keys, by its content and by some of its predictions.

    The predictions are for teachers that call a model elsewhere, whose content does not identify
    them.
    """
    if hasattr(lazy_teacher.estimator, "cache_key"):  # set by a search, the same for all candidates
        return lazy_teacher.estimator.cache_key
    key = content_key([__version__, lazy_teacher.estimator])
    if not lazy_teacher.was_fitted:
        return joblib.hash([key, *(fingerprint_of(each) for each in lazy_teacher.members)])
    answers = [lazy_teacher.fitted.margins(rows) for rows in _probes(lazy_teacher.rows)]
    return joblib.hash([key, *answers])


def _probes(rows):
    """List labelled rows, unlabelled ones and rows mixed of both, some of each."""
    tables = [
        take_rows(X, spread(X.shape[0], PROBE_ROWS)) for X in (rows.X, rows.pool) if X is not None
    ]
    if sp.issparse(rows.X):
        return tables
    X = rows.all_rows()
    source = np.random.RandomState(0).randint(X.shape[0], size=(PROBE_ROWS, X.shape[1]))
    return [*tables, mix_rows(X, source)]
