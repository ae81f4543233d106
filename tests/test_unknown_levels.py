"""What students answer to levels that nobody has seen: what their teacher does."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    Munge,
    OnlineDistilledClassifier,
    SoftTreeStudentClassifier,
    TreeStudentClassifier,
    TreeStudentRegressor,
)
from skdistill.columns import UNSEEN, column_values, mark_unseen, replace_levels, stack_rows
from skdistill.students.column_selector import ColumnSelector
from skdistill.students.fitting import learns_unknown_levels
from skdistill.transfer_set import kinds_of_unknown_cells, with_unknown_cells

pytestmark = [
    pytest.mark.filterwarnings("ignore:Most categories are unknown"),  # on purpose
    pytest.mark.filterwarnings("ignore:The teacher was fitted on the very rows"),
]


LEVELS = list("abcdef")
EFFECT = dict(zip(LEVELS, (-1.5, 1.5, -1.5, 2, 2, -2), strict=True))


def task(n=2400, seed=0):
    """A nominal column that decides nearly alone, and a number."""
    rng = np.random.default_rng(seed)
    kind, x = rng.choice(LEVELS, n, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]), rng.normal(size=n)
    score = np.array([EFFECT[level] for level in kind]) + 0.5 * x
    y = (score + 0.5 * rng.logistic(size=n) > 0).astype(int)
    return pd.DataFrame({"kind": pd.Categorical(kind), "x": x}), y


def asking(X, level):
    """The same rows, all of one level, which may be missing."""
    return X.assign(kind=pd.Categorical([level] * len(X), categories=[*LEVELS, "other"]))


def boosting(**params):
    return HistGradientBoostingClassifier(max_iter=30, random_state=0, **params)


def lightgbm_classifier():
    lightgbm = pytest.importorskip("lightgbm")
    return lightgbm.LGBMClassifier(n_estimators=30, n_jobs=1, verbose=-1)


def behind_one_hot():
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["kind"]), remainder="passthrough"
    )
    return make_pipeline(encoder, RandomForestClassifier(30, min_samples_leaf=5, random_state=0))


def mlp():
    pytest.importorskip("torch")
    return MLPStudentClassifier(max_epochs=60, random_state=0)


def soft_tree():
    pytest.importorskip("torch")
    return SoftTreeStudentClassifier(3, max_epochs=60, random_state=0)


class Rule(LogisticRegression):
    """Sure of one class for unseen levels, of the other for missing ones."""

    of_unseen = 0.98

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        kind = X["kind"].astype(object)
        p = np.where(kind.isna(), 0.02, np.where(kind.isin(LEVELS), 0.5, self.of_unseen))
        return np.column_stack([1 - p, p])

    def decision_function(self, X):
        return np.log(np.divide(*self.predict_proba(X).T[::-1]))


STUDENTS = {
    "tree": (TreeStudentClassifier, "auto"),
    "linear": (LinearStudentClassifier, "auto"),
    "mlp": (mlp, Munge(2)),
    "soft tree": (soft_tree, Munge(2)),
}


def distilled(teacher, student, augmentation="auto"):
    X, y = task()
    teacher = teacher.fit(X[:1200], y[:1200])
    model = DistilledClassifier(
        teacher, student, augmentation=augmentation, label_correction=False, random_state=0
    )
    return model.fit(X[1200:], y[1200:]), X[:300]


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("teacher", [boosting, lightgbm_classifier, behind_one_hot])
@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_a_student_answers_as_its_teacher_does(teacher, student):
    make, augmentation = STUDENTS[student]
    model, X = distilled(teacher(), make(), augmentation)
    for level in ("other", None):
        asked = asking(X, level)
        difference = model.predict_proba(asked) - model.teacher_proba(asked)
        assert np.abs(difference).mean() < 0.12


def gap(model, X):
    """How far a student is from its teacher where the level is new."""
    asked = asking(X, "other")
    return np.abs(model.predict_proba(asked) - model.teacher_.predict_proba(asked)).mean()


@pytest.mark.filterwarnings("ignore:About .* of these rows are rows that this model")
def test_a_student_that_goes_on_learning_is_shown_them_again():
    X, y = task()
    teacher = Rule().fit(X, y)
    student = MLPStudentClassifier(max_epochs=30)
    model = DistilledClassifier(teacher, student, alpha=1.0, augmentation=Munge(2), random_state=0)
    model.fit(X, y)
    assert gap(model, X) < 0.1
    teacher.of_unseen = 0.02
    for _ in range(3):
        model.partial_fit(X)
    assert gap(model, X) < 0.2


@pytest.mark.parametrize("n_batches", [1, 2])
def test_so_does_one_that_follows_a_growing_teacher(n_batches):
    X, y = task()
    teacher = lightgbm_classifier().fit(X[:1200], y[:1200])
    parts = np.array_split(np.arange(1200, 2400), n_batches)

    def follow(augmentation):
        student = MLPStudentClassifier(max_epochs=30)
        model = OnlineDistilledClassifier(
            teacher, student, n_stages=2, augmentation=augmentation, random_state=0
        )
        for rows in parts:
            model.partial_fit(X.iloc[rows], y[rows])
        return gap(model, X)

    assert follow(Munge(2)) < 0.12
    assert follow(None) > 0.2


@pytest.mark.parametrize("student", ["tree", "linear"])
def test_it_would_not_without_being_shown(student):
    make, _ = STUDENTS[student]
    shown, X = distilled(boosting(), make())
    left_alone, _ = distilled(boosting(), make(), None)
    assert shown.transfer_summary_["synthetic"]["rows"] > 0
    assert left_alone.transfer_summary_["synthetic"]["rows"] == 0
    assert gap(shown, X) < gap(left_alone, X)


@pytest.mark.parametrize("student", [LinearStudentRegressor, TreeStudentRegressor])
def test_so_does_a_regressor(student):
    X, _ = task()
    y = np.array([EFFECT[level] for level in X["kind"]]) + X["x"].to_numpy()
    teacher = HistGradientBoostingRegressor(max_iter=30, random_state=0).fit(X[:1200], y[:1200])
    model = DistilledRegressor(teacher, student(), random_state=0).fit(X[1200:], y[1200:])
    for level in ("other", None):
        asked = asking(X, level)
        assert np.abs(model.predict(asked) - teacher.predict(asked)).mean() < 0.6


def test_a_missing_cell_is_told_from_an_unseen_level():
    X, y = task(4000)
    model = DistilledClassifier(Rule().fit(X, y), LinearStudentClassifier(), alpha=1.0).fit(X, y)
    unseen, missing = (model.predict_proba(asking(X, k))[:, 1].mean() for k in ("other", None))
    assert unseen > 0.85
    assert missing < 0.15


class TestWhatTeachersTake:
    def kinds(self, refused):
        X, _ = task(50)

        def ask(table):
            values = column_values(table, 0)
            if any(refused(value) for value in values):
                raise ValueError("no")

        return kinds_of_unknown_cells(X, ask)

    def test_all_of_it(self):
        kinds = self.kinds(lambda value: False)
        assert kinds == [(0, ["a?", "b?", "c?", "d?", "e?"]), (0, [None])]

    def test_what_a_teacher_refuses_is_left_out(self):
        assert self.kinds(lambda value: value is None) == [(0, ["a?", "b?", "c?", "d?", "e?"])]
        assert self.kinds(lambda value: value not in {*LEVELS, None}) == [(0, [None])]
        assert self.kinds(lambda value: value not in LEVELS) == []

    def test_a_column_that_is_refused_does_not_cost_the_others(self):
        frame = pd.DataFrame({name: ["u", "v", "w"] for name in "pqr"})

        def ask(table):
            if set(table["q"]) - set("uvw"):
                raise KeyError("q")

        assert {column for column, _ in kinds_of_unknown_cells(frame, ask)} == {0, 2}

    def test_teachers_that_raise_are_not_asked(self):
        encoder = make_column_transformer((OrdinalEncoder(), ["kind"]), remainder="passthrough")
        teacher = make_pipeline(encoder, RandomForestClassifier(20, random_state=0))
        model, _ = distilled(teacher, TreeStudentClassifier())
        assert model.transfer_summary_["synthetic"]["rows"] == 0

    def test_numbers_only_are_left_alone(self):
        X, y = task()
        model = DistilledClassifier(boosting(), cv=2, label_correction=False).fit(X[["x"]], y)
        assert model.transfer_summary_["synthetic"]["rows"] == 0


def test_munge_makes_as_many_rows_as_it_is_asked_for():
    model, _ = distilled(boosting(), TreeStudentClassifier(), Munge(1))
    assert model.transfer_summary_["synthetic"]["rows"] == 1200


def test_students_behind_transformers_are_not_shown_what_these_may_refuse():
    encoder = make_column_transformer((OrdinalEncoder(), ["kind"]), remainder="passthrough")
    student = make_pipeline(encoder, TreeStudentClassifier())
    assert not learns_unknown_levels(student)
    model, _ = distilled(boosting(), student)
    assert model.transfer_summary_["synthetic"]["rows"] == 0
    assert learns_unknown_levels(make_pipeline(ColumnSelector([0]), TreeStudentClassifier()))
    assert not learns_unknown_levels(LogisticRegression())


CONTAINERS = {
    "category": pd.Series(list("aab") * 4, dtype="category"),
    "category of numbers": pd.Series([3, 3, 7] * 4, dtype="category"),
    "ordered": pd.Series(pd.Categorical(list("aab") * 4, categories=["b", "a"], ordered=True)),
    "text": pd.Series(list("aab") * 4, dtype="str"),
    "object": pd.Series(list("aab") * 4, dtype=object),
    "polars": pl.Series(list("aab") * 4),
    "polars categorical": pl.Series(list("aab") * 4, dtype=pl.Categorical),
    "polars enum": pl.Series(list("aab") * 4, dtype=pl.Enum(["b", "a"])),
}


@pytest.mark.parametrize("name", CONTAINERS)
class TestContainers:
    def frame(self, name):
        series = CONTAINERS[name]
        make = pl.DataFrame if isinstance(series, pl.Series) else pd.DataFrame
        return make({"k": series})

    def test_cells_are_replaced_by_levels_that_the_column_does_not_know(self, name):
        X = self.frame(name)
        old = column_values(X, 0).tolist()
        new = 8 if "numbers" in name else "z"
        changed = with_unknown_cells(X, np.arange(4), [(0, [new]), (0, [None])])
        assert type(changed) is type(X)
        found = column_values(changed, 0).tolist()
        assert found == [new, None, new, None, *old[4:]]
        assert {type(v) for v in found} - {type(None)} == {type(old[0])}
        both = column_values(stack_rows([X, changed]), 0).tolist()
        assert both == [*old, *found]

    def test_the_kind_of_column_stays(self, name):
        X = self.frame(name)
        column = replace_levels(X, 0, np.arange(12), np.array([0]), [None]).to_native()
        before = X["k"].dtype
        assert type(column.dtype) is type(before)
        if "category" in name or name == "ordered":  # codes of old XGBoost are those of the table
            assert list(column.cat.categories)[:2] == list(before.categories)


def test_arrays_of_short_strings_take_long_levels():
    X = np.array([["a"], ["b"]] * 5)
    changed = with_unknown_cells(X, np.arange(2), [(0, ["something long"]), (0, [None])])
    assert column_values(changed, 0)[:3].tolist() == ["something long", None, "a"]


class TestMarking:
    def test_levels_of_synthetic_rows_alone_are_unseen(self):
        X = np.array([["a"], ["b"], ["b"], ["c"], [None]], dtype=object)
        marked = mark_unseen(X, np.array([True, True, False, False, False]))
        assert column_values(marked, 0).tolist() == ["a", "b", "b", UNSEEN, None]

    def test_a_table_without_any_stays_as_it_is(self):
        X = np.array([["a"], ["b"], ["b"]], dtype=object)
        assert mark_unseen(X, np.array([True, True, False])) is X

    def test_they_never_become_levels(self):
        model, _ = distilled(boosting(), LinearStudentClassifier())
        column = model.student_.encoding_.columns[0]
        assert set(column.levels) == {*LEVELS, None}
        assert column.has_infrequent
        tree, _ = distilled(boosting(), TreeStudentClassifier())
        assert set(tree.student_.tree_.levels[0]) == set(LEVELS)
        assert_array_equal(column.positions(np.array(["new", "a?"], dtype=object)), [7, 7])
