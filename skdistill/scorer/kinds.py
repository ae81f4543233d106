"""The kinds of student that a file can hold; a new student is one line here."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """What the file of one kind of student holds.

    Attributes
    ----------
    form : {"tree", "tree_sum", "additive", "network", "soft_tree"}
        Which arrays there are, see `StudentContent`.
    attributes : tuple of str
        Fitted attributes that are not arrays.
    since : int
        Version of the format that first knew it. Files are written in the oldest version that can
        be, so that an older skdistill reads them.
    later_params : dict of str to int
        Parameters that the versions before a number do not know. A file has no such parameter
        where it has its default.
    """

    form: str
    attributes: tuple = ()
    since: int = 1
    later_params: dict = field(default_factory=dict)


#: Version that first knew tables of pairs.
TABLES_SINCE = 3

_TRAINED_IN_EPOCHS = ("n_iter_", "best_epoch_", "history_")

_OF_GROWTH = {"lookahead": 3}
_OF_PAIRS = {"interactions": TABLES_SINCE, "interaction_bins": TABLES_SINCE}

#: By the name of the class.
KINDS = {
    "TreeStudentClassifier": Kind("tree", later_params=_OF_GROWTH),
    "TreeStudentRegressor": Kind("tree", later_params=_OF_GROWTH),
    "TreeSumStudentClassifier": Kind("tree_sum", since=3),
    "TreeSumStudentRegressor": Kind("tree_sum", since=3),
    "LinearStudentClassifier": Kind("additive", ("n_iter_",), later_params=_OF_PAIRS),
    "LinearStudentRegressor": Kind("additive", later_params=_OF_PAIRS),
    "MLPStudentClassifier": Kind("network", _TRAINED_IN_EPOCHS),
    "MLPStudentRegressor": Kind("network", (*_TRAINED_IN_EPOCHS, "y_mean_", "y_scale_")),
    "SoftTreeStudentClassifier": Kind("soft_tree", _TRAINED_IN_EPOCHS, since=2),
}


def version_of(header):
    """Return the oldest version of the format that knows all that a header has."""
    kind = KINDS[header["student"]]
    later = [kind.later_params[name] for name in header["params"] if name in kind.later_params]
    return max(kind.since, TABLES_SINCE if "tables" in header else 1, *later, 1)
