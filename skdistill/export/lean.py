"""The lean scorer of a student, compared with the student before it is returned."""

import warnings
from pathlib import Path

from skdistill.export.certificate import TOLERANCE, certify
from skdistill.export.parity_sample import parity_sample
from skdistill.export.student_content import deployed_student, student_content
from skdistill.scorer.lean_scorer import LeanScorer, load_scorer
from skdistill.scorer.student_content import lean_model


def lean_scorer(model, engine="auto"):
    """Make a scorer that predicts a row in microseconds.

    Parameters
    ----------
    model : estimator, str or path-like
        A fitted student of skdistill, or a distiller or search that holds one; or a file that
        `save` wrote.
    engine : {"auto", "c", "numpy"}, default="auto"
        "c" compiles the student, which takes a second, "numpy" does not; "auto" compiles if cffi
        and a compiler are there. ``scorer.engine`` says which it is.

    Returns
    -------
    scorer : LeanScorer
        ``scorer(row)`` takes a list, tuple, array, dict or Series, ``scorer.batch(X)`` a table.

    Raises
    ------
    TypeError
        If the student is none of skdistill's, or stands behind transformers.
    ParityError
        If the scorer predicts differently than the student.

    See Also
    --------
    save : Keeps a student for `skdistill.scorer.load_scorer`, which needs no scikit-learn.

    Notes
    -----
    What scikit-learn checks on every call (types, names, shapes, of the whole table) costs more
    than the scoring. Here each row is checked for what could be silently wrong: its width, its
    names if it has some, strings for numbers, numbers for strings, infinity.

    Examples
    --------
    A row by list, with a missing value:

    >>> from sklearn.datasets import load_iris
    >>> from skdistill import LinearStudentClassifier, lean_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> scorer = lean_scorer(LinearStudentClassifier().fit(X, y))
    >>> probabilities = scorer([5.1, 3.5, None, 0.2])
    >>> len(probabilities)
    3
    """
    if isinstance(model, str | Path):
        return load_scorer(model, engine)
    student = deployed_student(model)
    lean = lean_model(student_content(student))
    return certified_scorer(student, lean, engine, "lean scorer", advice="")


def certified_scorer(student, lean, engine, format, advice):
    """Make the scorer of a lean model, and compare it with the student, see `certify`."""
    scorer = LeanScorer(lean, engine)
    sample = parity_sample(student, lean)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # many categories are unknown by intention
        answers = scorer.batch(dict(zip(scorer.columns, sample.rows.values, strict=True)))
    certify(
        format,
        scorer.engine,
        sample,
        answers.reshape(sample.answers.shape),
        model=lean,
        names=scorer.columns,
        tolerance=TOLERANCE,
        advice=advice,
    )
    return scorer
