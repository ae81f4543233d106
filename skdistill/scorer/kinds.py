"""The kinds of student that a file can hold; a new student is one line here."""

from dataclasses import dataclass


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
    """

    form: str
    attributes: tuple = ()
    since: int = 1


_TRAINED_IN_EPOCHS = ("n_iter_", "best_epoch_", "history_")

#: By the name of the class.
KINDS = {
    "TreeStudentClassifier": Kind("tree"),
    "TreeStudentRegressor": Kind("tree"),
    "TreeSumStudentClassifier": Kind("tree_sum", since=3),
    "TreeSumStudentRegressor": Kind("tree_sum", since=3),
    "LinearStudentClassifier": Kind("additive", ("n_iter_",)),
    "LinearStudentRegressor": Kind("additive"),
    "MLPStudentClassifier": Kind("network", _TRAINED_IN_EPOCHS),
    "MLPStudentRegressor": Kind("network", (*_TRAINED_IN_EPOCHS, "y_mean_", "y_scale_")),
    "SoftTreeStudentClassifier": Kind("soft_tree", _TRAINED_IN_EPOCHS, since=2),
}
