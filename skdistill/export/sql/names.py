"""Names of tables and of results."""

import re
from dataclasses import dataclass

from skdistill.messages import shown


@dataclass(frozen=True)
class Names:
    """What the results are called.

    Attributes
    ----------
    margins : tuple of str
        Of the margins of a classifier that has some, if they are shown.
    answers : tuple of str
        Of the label and the probabilities, or of the prediction.
    """

    margins: tuple
    answers: tuple


def table_name(parameter, name):
    """Split the name of a table, with dots or a tuple, into one to three parts; None stays None."""
    if name is None:
        return None
    parts = tuple(name.split(".")) if isinstance(name, str) else name
    are_names = isinstance(parts, tuple) and all(isinstance(each, str) and each for each in parts)
    if not are_names or not 1 <= len(parts) <= 3:
        raise ValueError(
            f"{parameter}={shown(name)} is no name of a table. A string like 'table', "
            "'schema.table' or 'catalog.schema.table' was expected, or a tuple of these names if "
            "one has a dot in it."
        )
    return parts


def result_names(model, dialect, *, table, keep, rename):
    """Name the results differently from each other and from the columns beside them.

    These are `keep` of the table, None for all; without a table, beside expressions, any name may
    occur. `rename` has other names for results, by the usual ones.
    """
    margins, answers = usual_names(model, dialect)
    if table is None or keep is not None or not has_margins(model):
        margins = []
    usual = [*margins, *answers]
    unknown = sorted(set(rename) - set(usual))
    if unknown:
        raise ValueError(f"rename mentions {unknown}; the results are {usual}.")
    names = Names(*(tuple(rename.get(each, each) for each in some) for some in (margins, answers)))
    beside = [column.name for column in model.columns] if keep is None else keep
    twice = first_repeated([*(() if table is None else beside), *names.margins, *names.answers])
    if twice is not None:
        raise ValueError(
            f"Two columns of the result would be called {twice!r}. Rename one of them: "
            f"rename={{{twice!r}: '...'}}."
        )
    return names


def has_margins(model):
    """Return whether a model predicts by margins; regressors have none, nor have single trees."""
    return model.classes is not None and model.intercept is not None


def first_repeated(names):
    """Return the first name that was there before, in whatever case; None if all differ."""
    seen = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return None


def usual_names(model, dialect):
    """Name the margins and the predictions of a student as they are called without `rename`."""
    if model.classes is None:
        return [], ["prediction"]
    labels = [str(label) for label in model.classes]
    if dialect == "bigquery":  # it takes few signs in names
        labels = [re.sub(r"\W", "_", label) for label in labels]
    margins = ["log_odds"] if len(labels) == 2 else [f"margin_{label}" for label in labels]
    return margins, ["label", *(f"probability_{label}" for label in labels)]
