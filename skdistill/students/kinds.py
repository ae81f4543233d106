"""All students that can be saved and exported; a new one is one line here."""

from skdistill.students.base import StudentClassifier
from skdistill.students.linear import LinearStudentClassifier, LinearStudentRegressor
from skdistill.students.mlp import MLPStudentClassifier, MLPStudentRegressor
from skdistill.students.soft_tree import SoftTreeStudentClassifier
from skdistill.students.tree import TreeStudentClassifier, TreeStudentRegressor
from skdistill.students.tree_sum import TreeSumStudentClassifier, TreeSumStudentRegressor

STUDENTS = (
    TreeStudentClassifier,
    TreeStudentRegressor,
    TreeSumStudentClassifier,
    TreeSumStudentRegressor,
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    MLPStudentRegressor,
    SoftTreeStudentClassifier,
)

CLASSIFIERS = tuple(kind for kind in STUDENTS if issubclass(kind, StudentClassifier))


def of_form(*forms, among=STUDENTS):
    """Return the classes of the students of some forms, see `Student`."""
    return tuple(kind for kind in among if kind.form in forms)


def names_of(kinds, joined_by="and"):
    """Name classes in a sentence: "A, B and C"."""
    *first, last = [kind.__name__ for kind in kinds]
    return f"{', '.join(first)} {joined_by} {last}" if first else last
