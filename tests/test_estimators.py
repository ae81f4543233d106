"""Parameters of fitted parts: what changes them, and what does not."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    MLPStudentClassifier,
    MultiTeacher,
    Munge,
    MutualDistilledClassifier,
    OnlineDistilledClassifier,
    SoftLabelClassifier,
    StudentSearchCV,
    TreeStudentClassifier,
    TreeStudentRegressor,
    load,
    save,
)
from skdistill.estimators import see_through
from skdistill.models import student_and_teacher
from skdistill.teacher.asking import is_fitted, with_params


@pytest.fixture(scope="module")
def rows():
    return make_classification(120, 5, random_state=0)


@pytest.fixture(scope="module")
def student(rows):
    return MLPStudentClassifier((2,), max_epochs=1, random_state=0).fit(*rows)


def forest(**params):
    return RandomForestClassifier(5, random_state=0, **params)


TEACHERS = {
    "forest": forest,
    "array of weights": lambda: forest(class_weight={0: 1.0, 1: np.float64(2.0)}),
    "missing is NaN": lambda: make_pipeline(SimpleImputer(missing_values=np.nan), forest()),
    "array": lambda: HistGradientBoostingClassifier(
        max_iter=3, categorical_features=np.array([False] * 5)
    ),
    "pipeline": lambda: make_pipeline(StandardScaler(), forest()),
    "nested pipeline": lambda: make_pipeline(StandardScaler(), make_pipeline(forest())),
    "bagging": lambda: BaggingClassifier(DecisionTreeClassifier(), 3, random_state=0),
    "voting": lambda: VotingClassifier(
        [("a", forest()), ("b", LogisticRegression())], voting="soft"
    ),
    "calibrated": lambda: CalibratedClassifierCV(forest(), cv=2),
}
AROUND = {
    "plain": lambda teacher: teacher,
    "frozen": FrozenEstimator,
    "one of several": lambda teacher: MultiTeacher(
        [("a", teacher), ("b", teacher, [0, 1, 2, 3, 4])]
    ),
}
DISTILLERS = {
    "distilled": DistilledClassifier,
    "online": OnlineDistilledClassifier,
    "mutual": lambda teacher: MutualDistilledClassifier(TreeStudentClassifier(), teacher=teacher),
    "search": StudentSearchCV,
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", TEACHERS)
def test_parameters_that_a_fitted_teacher_has_change_nothing(rows, name, around):
    teacher = AROUND[around](TEACHERS[name]().fit(*rows))
    model = DistilledClassifier(teacher)
    for source in (model, clone(model)):
        model.set_params(**source.get_params())
        assert model.teacher is teacher
    assert model.get_params()["teacher"] is teacher


@pytest.mark.parametrize("kind", DISTILLERS)
def test_all_meta_estimators_keep_it(rows, kind):
    teacher = make_pipeline(StandardScaler(), forest()).fit(*rows)
    model = DISTILLERS[kind](teacher)
    params = model.get_params()
    for order in (params, dict(reversed(params.items())), dict(sorted(params.items()))):
        assert model.set_params(**order).teacher is teacher
    outer = GridSearchCV(make_pipeline(StandardScaler(), model), {})
    outer.set_params(**outer.get_params())
    assert outer.estimator[-1].teacher is teacher
    model.set_params(teacher__randomforestclassifier__max_depth=2)
    assert not is_fitted(model.teacher)
    assert model.teacher[-1].max_depth == 2
    assert is_fitted(teacher)
    assert teacher[-1].max_depth is None


@pytest.mark.parametrize(
    ("params", "same", "other"),
    [
        ({"max_depth": 3}, {"max_depth": np.int64(3)}, {"max_depth": 4}),
        ({"max_features": 1.0}, {"max_features": np.float64(1.0)}, {"max_features": 1}),
        ({"class_weight": {0: 1, 1: 2}}, {"class_weight": {1: 2, 0: 1}}, {"class_weight": None}),
        ({"max_samples": None}, {"max_samples": None}, {"max_samples": 0.5}),
        ({"bootstrap": True}, {"bootstrap": np.True_}, {"bootstrap": False}),
    ],
)
def test_equal_values_are_no_change_and_others_are(rows, params, same, other):
    teacher = forest(**params).fit(*rows)
    assert with_params(teacher, same) is teacher
    changed = with_params(teacher, other)
    assert not is_fitted(changed)
    assert changed.get_params() == teacher.get_params() | other


def test_arrays_nan_and_unfitted_estimators_are_compared_by_value(rows):
    teacher = TEACHERS["array"]().fit(*rows)
    assert with_params(teacher, {"categorical_features": np.zeros(5, dtype=bool)}) is teacher
    assert with_params(teacher, {"categorical_features": np.ones(5, dtype=bool)}) is not teacher
    imputed = TEACHERS["missing is NaN"]().fit(*rows)
    assert with_params(imputed, {"simpleimputer__missing_values": float("nan")}) is imputed
    bagging = TEACHERS["bagging"]().fit(*rows)
    assert with_params(bagging, {"estimator": DecisionTreeClassifier()}) is bagging
    for other in (DecisionTreeClassifier(max_depth=2), DecisionTreeClassifier().fit(*rows)):
        assert with_params(bagging, {"estimator": other}) is not bagging


def test_parameters_go_with_a_part_that_is_exchanged(rows):
    teacher = make_pipeline(StandardScaler(), forest()).fit(*rows)
    other = RandomForestClassifier(2)
    changed = with_params(
        teacher, {"randomforestclassifier__n_estimators": 5, "randomforestclassifier": other}
    )
    assert changed[-1] is other
    assert other.n_estimators == 5


def test_a_copy_has_the_parameters_of_the_original_but_not_its_parts(rows):
    teacher = make_pipeline(StandardScaler(), forest()).fit(*rows)
    params = {k: v for k, v in copy.deepcopy(teacher).get_params().items() if "__" in k}
    assert with_params(teacher, params) is teacher


def test_another_frozen_part_is_not_put_into_the_users_pipeline(rows):
    X, y = rows
    scalers = StandardScaler().fit(X), StandardScaler().fit(X + 5)
    teacher = make_pipeline(FrozenEstimator(scalers[0]), forest()).fit(X, y)
    model = DistilledClassifier(teacher).set_params(teacher__frozenestimator__estimator=scalers[1])
    assert teacher[0].estimator is scalers[0]
    assert model.teacher[0].estimator is scalers[1]
    assert not is_fitted(model.teacher)
    model.set_params(teacher=teacher, teacher__randomforestclassifier__max_depth=2)
    assert model.teacher[0].estimator is scalers[0]


def test_a_frozen_teacher_may_freeze_another_and_the_users_stays(rows):
    teacher, other = forest().fit(*rows), forest(max_depth=1).fit(*rows)
    frozen = FrozenEstimator(teacher)
    model = DistilledClassifier(frozen)
    assert model.set_params(teacher__estimator=teacher).teacher is frozen
    assert model.set_params(teacher__max_depth=None).teacher is frozen
    model.set_params(teacher__estimator=other)
    assert isinstance(model.teacher, FrozenEstimator)
    assert model.teacher.estimator is other
    assert frozen.estimator is teacher


def test_a_parameter_that_does_not_exist_costs_nothing(rows):
    teacher = forest().fit(*rows)
    model = DistilledClassifier(teacher)
    several = DistilledClassifier(MultiTeacher([("a", teacher)]))
    for each, name in [(model, "teacher__depth"), (several, "teacher__a__depth")]:
        before = each.teacher
        with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
            each.set_params(**{name: 1, name.replace("depth", "max_depth"): 2})
        assert each.teacher is before
        assert is_fitted(before)
        assert teacher.max_depth is None


def test_a_teacher_that_comes_with_other_parameters_is_not_changed(rows):
    teacher = forest().fit(*rows)
    several = MultiTeacher([("a", forest())])
    several.set_params(a=teacher, a__max_depth=1)
    assert teacher.max_depth is None
    assert several.teachers[0][1].max_depth == 1
    several.set_params(a__max_depth=2, a=teacher, a__n_estimators=5)
    assert several.teachers[0][1].max_depth == 2
    assert is_fitted(teacher)


def test_a_changed_part_of_several_teachers_leaves_the_others(rows):
    first, second = forest().fit(*rows), LogisticRegression().fit(*rows)
    model = DistilledClassifier(MultiTeacher([("a", first), ("b", second)]))
    params = model.get_params()
    model.set_params(**params | {"teacher__b__C": 2.0})
    assert [is_fitted(each) for _, each in model.teacher.teachers] == [True, False]
    assert model.teacher.teachers[0][1] is first
    assert second.C == 1.0


class TestDefaults:
    @pytest.mark.parametrize(
        ("make", "kind", "name"),
        [
            (lambda: DistilledClassifier(forest()), TreeStudentClassifier, "max_depth"),
            (
                lambda: DistilledRegressor(RandomForestRegressor()),
                TreeStudentRegressor,
                "max_depth",
            ),
            (lambda: OnlineDistilledClassifier(forest()), MLPStudentClassifier, "max_epochs"),
        ],
    )
    def test_parameters_of_no_student_are_those_of_the_default(self, make, kind, name):
        for before in ({}, {"student": None}):
            model = make().set_params(**before, **{f"student__{name}": 2})
            assert type(model.student) is kind
            assert getattr(model.student, name) == 2
        assert clone(model).student.get_params() == model.student.get_params()

    def test_a_grid_search_reaches_them(self, rows):
        model = DistilledClassifier(forest(), random_state=0)
        grid = {"student__max_leaf_nodes": [2, 4], "augmentation__size": [1.0, 2.0]}
        search = GridSearchCV(model, grid, cv=2).fit(*rows)
        leaves = search.best_params_["student__max_leaf_nodes"]
        assert search.best_estimator_.student_.n_leaves_ == leaves
        size = search.best_params_["augmentation__size"]
        assert search.best_estimator_.transfer_summary_["synthetic"]["rows"] == 120 * size
        assert model.student is None
        assert model.augmentation == "auto"

    def test_a_student_that_is_there_is_not_replaced(self):
        student = TreeStudentClassifier(4)
        model = DistilledClassifier(forest(), student).set_params(student__max_depth=2)
        assert model.student is student
        assert (student.max_leaf_nodes, student.max_depth) == (4, 2)

    def test_augmentation_that_is_left_open_is_munge(self):
        model = DistilledClassifier(forest()).set_params(augmentation__size=3)
        assert model.augmentation.get_params() == Munge(3).get_params()

    @pytest.mark.parametrize(
        ("model", "params", "message"),
        [
            (
                DistilledClassifier(forest()),
                {"augmentation": None, "augmentation__size": 2},
                "None",
            ),
            (
                MutualDistilledClassifier(TreeStudentClassifier()),
                {"teacher__max_depth": 2},
                "teacher is None",
            ),
            (DistilledClassifier("forest"), {"teacher__max_depth": 2}, "teacher is 'forest'"),
            (DistilledClassifier(forest()), {"memory__verbose": 2}, "memory is None"),
        ],
    )
    def test_parameters_of_what_has_none_say_so(self, model, params, message):
        with pytest.raises(ValueError, match=message):
            model.set_params(**params)

    def test_parameters_that_do_not_exist_are_scikit_learns_to_name(self):
        for params in ({"nothing__x": 1}, {"nothing": 1}):
            with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
                DistilledClassifier(forest()).set_params(**params)


class TestFrozenStudents:
    @pytest.mark.parametrize(
        "around",
        [
            FrozenEstimator,
            lambda student: make_pipeline(StandardScaler(), FrozenEstimator(student)),
            lambda student: make_pipeline(make_pipeline(FrozenEstimator(student))),
            lambda student: SoftLabelClassifier(FrozenEstimator(student)),
            lambda student: make_pipeline(SoftLabelClassifier(FrozenEstimator(student))),
        ],
    )
    @pytest.mark.parametrize(
        "take",
        [
            lambda student: DistilledClassifier(Unasked(), student),
            lambda student: OnlineDistilledClassifier(forest(), student),
            lambda student: MutualDistilledClassifier(student),
            lambda student: MutualDistilledClassifier([TreeStudentClassifier(), student]),
            lambda student: StudentSearchCV(Unasked(), student),
            lambda student: StudentSearchCV(Unasked(), {"a": (student, {})}),
            lambda student: StudentSearchCV(
                Unasked(),
                [(make_pipeline(TreeStudentClassifier()), {"treestudentclassifier": [student]})],
            ),
        ],
    )
    def test_they_are_refused_before_anything_is_asked(self, rows, student, around, take):
        before = pickle.dumps(student)
        with pytest.raises(TypeError, match="A frozen estimator is not changed by fit"):
            take(around(student)).fit(*rows)
        assert pickle.dumps(student) == before

    def test_so_are_regressors(self, rows):
        student = TreeStudentRegressor().fit(*rows)
        with pytest.raises(TypeError, match="without FrozenEstimator"):
            DistilledRegressor(RandomForestRegressor(), FrozenEstimator(student)).fit(*rows)

    def test_a_soft_label_classifier_fits_no_frozen_one_by_itself(self, rows):
        X, y = rows
        frozen = FrozenEstimator(LogisticRegression().fit(X, y))
        with pytest.raises(TypeError, match="estimator is FrozenEstimator"):
            SoftLabelClassifier(frozen).fit(X, np.column_stack([y, 1 - y]))

    def test_frozen_steps_before_a_student_stay_as_they_are(self, rows):
        X, y = rows
        scaler = StandardScaler().fit(X * 100)
        pipeline = make_pipeline(FrozenEstimator(scaler), TreeStudentClassifier(4))
        model = DistilledClassifier(forest(), pipeline, random_state=0).fit(X, y)
        assert model.student_[0].estimator is scaler
        assert scaler.mean_ == pytest.approx(100 * X.mean(axis=0))


@pytest.mark.parametrize("is_distilled", [True, False])
def test_a_frozen_pipeline_answers_in_reports_and_files_as_it_does_itself(rows, is_distilled):
    X, y = rows
    X = 100 * X + 50
    last = (
        DistilledClassifier(forest(), random_state=0) if is_distilled else TreeStudentClassifier()
    )
    pipeline = make_pipeline(StandardScaler(), last).fit(X, y)
    for model in (pipeline, FrozenEstimator(pipeline), make_pipeline(FrozenEstimator(pipeline))):
        student = student_and_teacher(model)[0]
        np.testing.assert_array_equal(student.answers(X, student.labels), pipeline.predict_proba(X))
        with pytest.raises(TypeError, match="The model is a pipeline"):
            save(model, "never_written")


def test_a_frozen_student_is_saved_as_it_is(rows, tmp_path):
    student = TreeStudentClassifier(4).fit(*rows)
    save(FrozenEstimator(student), tmp_path / "student")
    np.testing.assert_array_equal(
        load(tmp_path / "student").predict_proba(rows[0]), student.predict_proba(rows[0])
    )


class Unasked(ClassifierMixin, BaseEstimator):
    """A teacher that nobody may fit."""

    def fit(self, X, y):
        raise AssertionError("the teacher was fitted")

    def predict(self, X):
        raise AssertionError("the teacher was asked")

    predict_proba = predict


class CountedScaler(StandardScaler):
    n_calls = 0

    def transform(self, X):
        CountedScaler.n_calls += 1
        return super().transform(X)


@pytest.mark.parametrize("n_columns", [1, 2, 3, 37, 256])
def test_the_owners_of_columns_are_found_in_as_many_looks_as_their_numbers_have_digits(
    rng, n_columns
):
    X = rng.normal(size=(20, n_columns))
    X[:, 0] = 1.0  # the same in all rows
    order = np.roll(np.arange(n_columns), 1)
    shuffle = FunctionTransformer(lambda table: table[:, order])
    pipeline = make_pipeline(CountedScaler(), shuffle, LinearRegression()).fit(X, X[:, -1])
    CountedScaler.n_calls = 0
    last = see_through(pipeline, X)
    np.testing.assert_array_equal(last.owner, order)
    assert CountedScaler.n_calls <= 2 * max(1, np.ceil(np.log2(n_columns))) + 2


@pytest.mark.parametrize("mix", [lambda X: X + X[:, [0]], lambda X: X * X[:, ::-1], np.sort])
def test_columns_made_of_several_have_no_owner(rng, mix):
    X = rng.normal(size=(30, 5))
    pipeline = make_pipeline(FunctionTransformer(mix), LinearRegression()).fit(X, X[:, -1])
    assert see_through(pipeline, X) is None
