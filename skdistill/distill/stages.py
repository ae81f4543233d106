"""The stages between teacher and student: what the distillers do with both of them.

Real, synthetic and fresh rows are labelled here, and what "auto" means is decided here.
"""

import warnings
from dataclasses import replace

import joblib
import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from skdistill import __version__
from skdistill.columns import mix_rows, take_rows
from skdistill.distill.class_prior import prior_shift
from skdistill.estimators import last_step
from skdistill.soft_labels import calibration_temperature
from skdistill.teacher.identity import content_key
from skdistill.teacher.labelling import label_rows
from skdistill.teacher.leaves import spread
from skdistill.teacher.margins import PROBE_ROWS
from skdistill.teacher.synthetic import label_by_members
from skdistill.transfer_set import (
    ORIGINS,
    Munge,
    TransferSet,
    join,
    kinds_of_unknown_cells,
    not_observed,
    with_unknown_cells,
)

#: Rows with one kind of unknown cell, as a share of the labelled ones; also what they weigh.
UNKNOWN_SHARE = 0.05

#: Least and largest number of rows with one kind of unknown cell.
UNKNOWN_ROWS = 50, 1_000

#: What those of all kinds may weigh, as a share of the labelled, or be of the synthetic rows.
MOST_UNKNOWN = 0.1


def label_real_rows(in_use, fingerprint, rows, *, labelling, cv, correct_prior=False, n_jobs=None):
    """Have the teacher label the rows that the user passed.

    Parameters
    ----------
    in_use : ClassifierInUse or RegressorInUse
        The teacher. Left out of cache keys, for which `fingerprint` stands in.
    fingerprint : str
        Identifies the teacher in cache keys.
    rows : Rows
        Checked labelled and unlabelled rows.
    labelling : {"auto", "oob", "cross_fit", "direct"}
        How to label the labelled rows.
    cv : int, cross-validation generator or iterable
        Folds of "cross_fit".
    correct_prior : bool, default=False
        Whether a classifier's margins are shifted to fit the shares of the observed classes.
    n_jobs : int or None, default=None
        Folds or members to work on at a time.

    Returns
    -------
    transfer_set : TransferSet
        Labelled, then unlabelled rows.
    shift : ndarray of shape (n_classes,) or None
        What was added to all margins; None for nothing.
    """
    answers, labelling = label_rows(in_use, labelling, cv, n_jobs)
    margins, shift = answers.margins(), None
    if correct_prior:
        shift = prior_shift(margins, in_use.encoded_y(), rows.sample_weight)
        margins = answers.margins(shift)
    # Fitted even if only clones were asked.
    teacher, classes = in_use.corrected(shift), in_use.classes
    labelled = TransferSet(
        X=rows.X,
        margins=margins,
        y=in_use.encoded_y(),
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
    in_use,
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
    """Make synthetic rows and have the teacher label them.

    Parameters
    ----------
    in_use : ClassifierInUse or RegressorInUse
        The teacher. Left out of cache keys, for which `fingerprint` stands in.
    fingerprint : str
        Identifies the teacher in cache keys.
    rows : Rows
        Checked labelled and unlabelled rows.
    labelling : {"oob", "cross_fit", "direct"}
        How the labelled rows were labelled; after "oob" the members of the teacher are asked one
        by one, if the augmentation tells what the rows were made of.
    shift : ndarray of shape (n_classes,) or None
        What is added to the margins.
    augmentation : object with ``sample`` or None
        Makes synthetic rows.
    with_unknown : bool
        Whether there are to be rows with levels that were never seen, and missing ones.
    random_state : int, RandomState instance or None
        Decides the synthetic rows.
    n_jobs : int or None, default=None
        Members to ask at a time.

    Returns
    -------
    transfer_set : TransferSet or None
        Synthetic rows that weigh as much as a labelled row on average; fewer and lighter ones if
        there are only those with unknown cells. None if there are none.
    """
    teacher = in_use.corrected(shift)
    random_state = check_random_state(random_state)
    kinds = _kinds_taken(teacher, rows.X) if with_unknown else []
    if augmentation is None:
        return _only_unknown(teacher, rows, in_use.classes, kinds, random_state)
    request = rows.all_rows(), len(rows.y), random_state
    parents = None
    if labelling == "oob" and hasattr(augmentation, "sample_with_parents"):
        X, parents = augmentation.sample_with_parents(*request)
    else:
        X = augmentation.sample(*request)
    if kinds:
        n_unknown = min(_rows_per_kind(rows) * len(kinds), int(MOST_UNKNOWN * X.shape[0]))
        X = with_unknown_cells(X, random_state.permutation(X.shape[0])[:n_unknown], kinds)
    is_half_honest = False
    if parents is None:
        margins = teacher.margins(X)
    else:
        margins, is_half_honest = label_by_members(teacher, X, parents, in_use.encoded_y(), n_jobs)
    weight = np.full(X.shape[0], rows.sample_weight.mean())
    synthetic_labelling = "half_oob" if is_half_honest else "direct"
    return not_observed(X, margins, weight, "synthetic", in_use.classes, synthetic_labelling)


def _kinds_taken(teacher, X):
    """Find what unknown cells a teacher takes; see `kinds_of_unknown_cells`."""
    if sp.issparse(X):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # encoders warn of categories that they do not know
        return kinds_of_unknown_cells(X, teacher.margins)


def _rows_per_kind(rows):
    return int(np.clip(UNKNOWN_SHARE * len(rows.y), *UNKNOWN_ROWS))


def _only_unknown(teacher, rows, classes, kinds, random_state):
    """Have the teacher label labelled rows in which one cell is unknown."""
    if not kinds:
        return None
    n_rows = _rows_per_kind(rows) * len(kinds)
    X = take_rows(rows.X, random_state.randint(len(rows.y), size=n_rows))
    X = with_unknown_cells(X, np.arange(n_rows), kinds)
    share = min(MOST_UNKNOWN, UNKNOWN_SHARE * len(kinds))
    weight = np.full(n_rows, share * rows.sample_weight.sum() / n_rows)
    return not_observed(X, teacher.margins(X), weight, "synthetic", classes)


def label_fresh_rows(teacher, X, observed, sample_weight, classes, augmentation, random_state):
    """Have a fitted teacher label rows that came after fit, and synthetic rows made of them.

    Parameters
    ----------
    teacher : ClassifierTeacher or RegressorTeacher
        Has not been fitted on the rows.
    X : ndarray, sparse matrix or data frame of shape (n_samples, n_features)
        Checked rows.
    observed : ndarray of shape (n_samples,)
        Position of the observed class, -1 for none; in regression the value, NaN for none.
    sample_weight : ndarray of shape (n_samples,)
        Weights.
    classes : ndarray of shape (n_classes,) or None
        Class labels; None in regression.
    augmentation : object with ``sample`` or None
        Makes synthetic rows.
    random_state : int, RandomState instance or None
        Decides the synthetic rows.

    Returns
    -------
    transfer_set : TransferSet
        The fresh rows, then the synthetic ones.
    """
    fresh = not_observed(X, teacher.margins(X), sample_weight, "unlabelled", classes)
    fresh = replace(fresh, y=observed)
    return with_made_rows(fresh, teacher, augmentation, random_state)


def with_made_rows(fresh, teacher, augmentation, random_state):
    """Add synthetic rows, which a teacher labels, to fresh ones.

    Parameters
    ----------
    fresh : TransferSet
        Rows that came after fit.
    teacher : ClassifierTeacher or RegressorTeacher
        Labels the synthetic rows.
    augmentation : object with ``sample`` or None
        Makes them; None for none.
    random_state : int, RandomState instance or None
        Decides them.

    Returns
    -------
    transfer_set : TransferSet
        The fresh rows, then as many synthetic ones as there are to be.
    """
    n_rows = len(fresh.y)
    if augmentation is None or n_rows < 2:
        return fresh
    X = augmentation.sample(fresh.X, n_rows, random_state)
    weight = np.full(X.shape[0], fresh.sample_weight.mean())
    return join([fresh, not_observed(X, teacher.margins(X), weight, "synthetic", fresh.classes)])


def choose_augmentation(augmentation, student, rows):
    """Resolve "auto", and check that synthetic rows can be made.

    Returns
    -------
    augmentation : object with ``sample`` or None
        For "auto", `Munge()` if the student gains from synthetic rows and they can be made.

    Raises
    ------
    ValueError
        If synthetic rows are asked for and X is sparse.
    """
    is_sparse = sp.issparse(rows.X)
    if augmentation == "auto":
        gains = getattr(last_step(student), "gains_from_synthetic_rows", False)
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


def fingerprint_of(in_use):
    """Identify a teacher in cache keys, by what it is made of and by some of its answers.

    The answers tell models apart that ask elsewhere, where their content says nothing.
    """
    if hasattr(in_use.estimator, "cache_key"):  # of a search, for all its candidates
        return in_use.estimator.cache_key
    key = content_key([__version__, in_use.estimator])
    if not in_use.was_fitted:
        return joblib.hash([key, *(fingerprint_of(each) for each in in_use.members)])
    answers = [in_use.fitted.margins(rows) for rows in _probes(in_use.rows)]
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
