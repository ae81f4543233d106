"""A student that learns while its teacher grows."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from xgboost import XGBClassifier

from skdistill import (
    DistilledClassifier,
    MLPStudentClassifier,
    Munge,
    OnlineDistilledClassifier,
    TreeStudentClassifier,
    fidelity_report,
)
from skdistill.soft_labels import margins_from_decision, proba_from_margins
from skdistill.teacher.growing import count_trees, first_trees, grown

STUDENT = MLPStudentClassifier((16,), max_epochs=3, random_state=0)

GROWING = [
    GradientBoostingClassifier(n_estimators=10, random_state=0),
    RandomForestClassifier(10, max_depth=4, random_state=0),
    ExtraTreesClassifier(10, max_depth=4, random_state=0),
    LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1, random_state=0),
    XGBClassifier(n_estimators=10, n_jobs=1, random_state=0),
    CatBoostClassifier(
        iterations=10, verbose=0, allow_writing_files=False, thread_count=1, random_state=0
    ),
]

FAST = GROWING[0]


def name_of(teacher):
    return type(teacher).__name__


def online(teacher=FAST, student=STUDENT, **params):
    params = {"augmentation": None, "random_state": 0, "n_stages": 2, **params}
    return OnlineDistilledClassifier(teacher, student, **params)


@pytest.fixture
def lessons(monkeypatch):
    """Return the transfer sets that students learn from, in order, first ones and later ones."""
    seen = {"distill": [], "partial_distill": []}
    for method, found in seen.items():
        learn = getattr(MLPStudentClassifier, method)

        def spy(self, transfer_set, temperature, alpha, learn=learn, found=found):
            found.append(transfer_set)
            return learn(self, transfer_set, temperature, alpha)

        monkeypatch.setattr(MLPStudentClassifier, method, spy)
    return seen


@pytest.mark.parametrize(
    "teacher", [*GROWING, HistGradientBoostingClassifier(max_iter=10)], ids=name_of
)
def test_first_trees_answer_as_a_teacher_of_that_size(teacher, binary_task):
    X, y = binary_task
    teacher = clone(teacher).fit(X, y)
    before = teacher.predict_proba(X)
    name = next(n for n in ("max_iter", "iterations", "n_estimators") if n in teacher.get_params())
    small = clone(teacher).set_params(**{name: 4}).fit(X, y)
    if "CatBoost" in name_of(teacher):  # its learning rate depends on the number of trees
        small = None
    young = first_trees(teacher, 4)
    assert count_trees(young) == 4
    assert type(young) is type(teacher)
    if small is not None:
        np.testing.assert_allclose(young.predict_proba(X), small.predict_proba(X), atol=1e-6)
    assert np.abs(young.predict_proba(X) - before).max() > 0.01
    np.testing.assert_array_equal(teacher.predict_proba(X), before)
    assert count_trees(teacher) == 10


@pytest.mark.parametrize("teacher", GROWING, ids=name_of)
def test_a_grown_teacher_begins_with_the_trees_it_had(teacher, binary_task):
    X, y = binary_task
    teacher = clone(teacher).fit(X[:300], y[:300])
    before = teacher.predict_proba(X)
    more = grown(teacher, 3, X[300:], y[300:], np.ones(300))
    assert count_trees(more) == 13
    np.testing.assert_allclose(first_trees(more, 10).predict_proba(X), before, atol=1e-6)
    assert np.abs(more.predict_proba(X) - before).max() > 1e-3
    np.testing.assert_array_equal(teacher.predict_proba(X), before)
    assert count_trees(teacher) == 10


def test_the_student_learns_the_margins_of_every_stage(binary_task, lessons):
    X, y = binary_task
    teacher = clone(FAST).fit(X[:300], y[:300])
    model = online(teacher, n_stages=3).fit(X[300:], y[300:], X_unlabeled=X[:50])
    assert model.stage_trees_ == [4, 7, 10]
    stages = [*lessons["distill"], *lessons["partial_distill"]]
    assert [len(found) for found in lessons.values()] == [1, 2]
    staged = list(teacher.staged_decision_function(np.concatenate([X[300:], X[:50]])))
    for n_trees, stage in zip(model.stage_trees_, stages, strict=True):
        expected = margins_from_decision(staged[n_trees - 1].ravel())
        np.testing.assert_allclose(stage.margins, expected, atol=1e-8)
        np.testing.assert_array_equal(stage.y, [*y[300:], *[-1] * 50])
    assert model.labelling_ == "direct"


def test_labels_of_an_unfitted_teacher_are_cross_fitted_at_every_stage(binary_task, lessons):
    X, y = binary_task
    model = online(n_stages=2, augmentation=Munge(1)).fit(X, y)
    assert model.labelling_ == "cross_fit"
    assert model.transfer_summary_["labelled"]["labelling"] == "cross_fit"
    stages = [*lessons["distill"], *lessons["partial_distill"]]
    for n_trees, stage in zip(model.stage_trees_, stages, strict=True):
        young = first_trees(model.teacher_, n_trees)
        labelled, synthetic = (stage.take(stage.origin == origin) for origin in (0, 2))
        own = young.predict_proba(labelled.X)
        told = proba_from_margins(labelled.margins)
        rows = np.arange(len(y))
        assert own[rows, y].mean() > told[rows, y].mean() + 0.01  # what it has seen it knows
        np.testing.assert_allclose(
            proba_from_margins(synthetic.margins), young.predict_proba(synthetic.X), atol=1e-6
        )


def test_the_student_goes_on_from_stage_to_stage(binary_task):
    X, y = binary_task
    one, three = (online(n_stages=n).fit(X, y).student_ for n in (1, 3))
    assert one.n_iter_ == 3
    assert three.n_iter_ == 9
    assert np.abs(one.predict_proba(X) - three.predict_proba(X)).max() > 0.01


@pytest.mark.parametrize("teacher", GROWING, ids=name_of)
def test_the_teacher_grows_on_a_batch_and_the_student_follows(teacher, binary_task):
    X, y = binary_task
    model = online(teacher).partial_fit(X[:300], y[:300])
    first, before = model.teacher_, model.teacher_.predict_proba(X)
    answers = model.predict_proba(X)
    model.partial_fit(X[300:], y[300:])
    assert model.stage_trees_ == [5, 10, 15]
    assert count_trees(model.teacher_) == 15
    np.testing.assert_array_equal(first.predict_proba(X), before)
    assert (model.predict_proba(X) != answers).any()
    grown_trees = first_trees(model.teacher_, 10).predict_proba(X)
    np.testing.assert_allclose(grown_trees, before, atol=1e-6)


def test_a_batch_is_labelled_before_the_teacher_has_seen_it(binary_task, lessons):
    X, y = binary_task
    model = online(augmentation=Munge(1)).partial_fit(X[:300], y[:300])
    before = model.teacher_
    model.partial_fit(X[300:], y[300:])
    batch = lessons["partial_distill"][-1]
    fresh, synthetic = (batch.take(batch.origin == origin) for origin in (1, 2))
    np.testing.assert_array_equal(fresh.y, y[300:])
    told = proba_from_margins(fresh.margins)
    np.testing.assert_allclose(told, before.predict_proba(X[300:]), atol=1e-6)
    told = proba_from_margins(synthetic.margins)
    np.testing.assert_allclose(told, model.teacher_.predict_proba(synthetic.X), atol=1e-6)


def test_a_stream_makes_teacher_and_student_better():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (3000, 4))
    y = (np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] > 0).astype(int)
    teacher = GradientBoostingClassifier(n_estimators=20, random_state=0)
    student = MLPStudentClassifier((32,), max_epochs=15, random_state=0)
    model = online(teacher, student, augmentation=Munge(4))
    scores = []
    for batch in np.split(np.arange(2000), [100, 500, 1000, 1500]):
        model.partial_fit(X[batch], y[batch])
        scores.append([each.score(X[2000:], y[2000:]) for each in (model.teacher_, model.student_)])
    assert scores[-1][0] > scores[0][0] + 0.005
    assert scores[-1][1] > scores[0][1] + 0.02
    assert scores[-1][1] > 0.9


def test_a_fitted_teacher_is_never_changed(binary_task):
    X, y = binary_task
    fitted_ones = [clone(teacher).fit(X[:300], y[:300]) for teacher in GROWING]
    for fitted in (*fitted_ones, FrozenEstimator(fitted_ones[0])):
        before = fitted.predict_proba(X)
        model = online(fitted).fit(X[300:450], y[300:450])
        assert model.teacher_ is fitted
        model.partial_fit(X[450:], y[450:])
        assert model.teacher_ is not fitted
        assert model.teacher is fitted
        np.testing.assert_array_equal(fitted.predict_proba(X), before)
        assert clone(model).teacher is fitted


def test_a_teacher_on_its_own_rows_is_warned_of(binary_task, forest):
    with pytest.warns(UserWarning, match="fitted on the very rows it labels"):
        online(forest).fit(*binary_task)


def test_rows_without_classes_do_not_let_the_teacher_grow(binary_task):
    X, y = binary_task
    model = online().fit(X[:300], y[:300])
    before, answers = model.teacher_, model.predict_proba(X)
    for unlabelled in (None, np.full(300, -1)):
        model.partial_fit(X[300:], unlabelled)
        assert model.teacher_ is before
    assert (model.predict_proba(X) != answers).any()
    some = np.where(np.arange(300) < 60, y[300:], -1)
    assert model.partial_fit(X[300:], some).teacher_ is not before
    with pytest.warns(UserWarning, match=r"About \d+% of these rows are rows that this model was"):
        model.partial_fit(X[300:], y[300:])


def test_a_fitted_teacher_needs_no_classes_at_all(binary_task):
    X, y = binary_task
    teacher = clone(FAST).fit(X[:300], y[:300])
    model = online(teacher).fit(X[300:], np.full(300, -1))
    assert model.transfer_summary_["unlabelled"]["rows"] == 300
    assert model.transfer_summary_["labelled"]["rows"] == 0


@pytest.mark.parametrize("teacher", GROWING, ids=name_of)
def test_a_later_batch_may_lack_classes(teacher, multiclass_task):
    X, y = multiclass_task
    names = np.array(["a", "b", "c"])[y]
    model = online(teacher).fit(X[:300], names[:300])
    rest = np.flatnonzero(names[300:] == "b") + 300
    model.partial_fit(X[rest], names[rest])
    assert model.classes_.tolist() == ["a", "b", "c"]
    proba = model.teacher_.predict_proba(X)
    assert proba.shape == (600, 3)
    assert count_trees(model.teacher_) == 15
    own = first_trees(model.teacher_, 10).predict_proba(X[rest])
    assert proba[rest, 1].mean() > own[:, 1].mean()  # it learned that b is there


def test_a_class_that_has_never_been_passed_stops_growth(multiclass_task):
    X, y = multiclass_task
    teacher = clone(FAST).fit(X, y)
    rest = y < 2
    model = online(teacher).fit(X[rest][:100], y[rest][:100])
    with pytest.raises(ValueError, match=r"classes \[.*2.*\], which the teacher knows"):
        model.partial_fit(X[rest][100:], y[rest][100:])


def test_an_unknown_class_is_refused(binary_task):
    X, y = binary_task
    model = online().fit(X[:300], y[:300])
    with pytest.raises(ValueError, match=r"y holds \[7\]"):
        model.partial_fit(X[300:], np.full(300, 7))
    with pytest.raises(ValueError, match="Pass rows of all classes in the first call"):
        online().partial_fit(X, y, classes=[0, 1, 2])


def test_who_cannot_grow_or_go_on_is_refused(binary_task):
    X, y = binary_task
    with pytest.raises(TypeError, match=r"LogisticRegression, which does not grow .* XGBoost"):
        online(LogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match=r"TreeStudentClassifier, which cannot go on .*MLPStudent"):
        online(student=TreeStudentClassifier()).fit(X, y)
    binned = online(HistGradientBoostingClassifier(max_iter=5, random_state=0)).fit(X, y)
    assert binned.stage_trees_ == [3, 5]
    with pytest.raises(TypeError, match="cannot grow on other rows than it began with"):
        binned.partial_fit(X, y)
    with pytest.raises(ValueError, match="n_stages"):
        online(n_stages=0).fit(X, y)


def test_weights_reach_teacher_and_student(binary_task):
    X, y = binary_task
    weight = np.where(y == 1, 20.0, 1.0)
    plain, heavy = (online().fit(X, y, sample_weight=w) for w in (None, weight))
    for of_class in ("teacher_", "student_"):
        means = [getattr(m, of_class).predict_proba(X)[:, 1].mean() for m in (plain, heavy)]
        assert means[1] > means[0] + 0.1


def test_pipelines_grow_and_learn_behind_their_transformers(binary_task):
    X, y = binary_task
    teacher = make_pipeline(StandardScaler(), clone(FAST))
    student = make_pipeline(StandardScaler(), STUDENT)
    model = online(teacher, student).fit(X[:300], y[:300])
    scaler = model.teacher_[0]
    model.partial_fit(X[300:], y[300:])
    assert model.teacher_[0] is scaler
    assert count_trees(model.teacher_) == 15
    assert model.score(X, y) > 0.5


def test_frames_with_strings_and_missing_values_stream(mixed_frame):
    frame, y, _ = mixed_frame(400)
    frame["city"] = frame["city"].astype("category")
    model = online(LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1), augmentation=Munge(1))
    model.partial_fit(frame[:200], y[:200]).partial_fit(frame[200:], y[200:])
    assert count_trees(model.teacher_) == 15
    assert model.predict_proba(frame).shape == (400, 2)


def test_it_is_searched_pickled_and_reported_on(binary_task):
    X, y = binary_task
    search = GridSearchCV(online(), {"n_stages": [1, 2], "teacher__max_depth": [1, 3]}, cv=2)
    search.fit(X[:400], y[:400])
    model = search.best_estimator_
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    again.partial_fit(X[400:], y[400:])
    report = fidelity_report(model, X[400:], y[400:])
    assert "GradientBoosting" in str(report)


def test_it_repeats_with_the_random_state(binary_task):
    X, y = binary_task
    student = clone(STUDENT).set_params(random_state=None)
    first, again = (
        online(clone(FAST).set_params(random_state=None), student, augmentation="auto")
        .partial_fit(X[:100], y[:100])
        .partial_fit(X[100:200], y[100:200])
        .predict_proba(X)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        online(
            RandomForestClassifier(10, random_state=0),
            MLPStudentClassifier((16,), learning_rate_init=0.01, max_epochs=60),
        )
    ],
    expected_failed_checks=lambda _: {
        "check_classifiers_classes": "-1 marks rows without a class, see tests/test_common.py",
        "check_sample_weight_equivalence_on_dense_data": "folds and batches are drawn from rows",
    },
)
def test_scikit_learn_compatibility(estimator, check):
    if "invariance" in check.func.__name__:
        pytest.skip("answers are float32, see tests/test_common.py")
    check(estimator)


def test_a_student_that_fails_to_follow_leaves_the_teacher_as_it_was(monkeypatch, binary_task):
    X, y = binary_task
    model = online(RandomForestClassifier(10, random_state=0)).partial_fit(X[:300], y[:300])
    before = model.teacher_, list(model.stage_trees_)
    monkeypatch.setattr(MLPStudentClassifier, "partial_distill", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.partial_fit(X[300:], y[300:])
    assert (model.teacher_, model.stage_trees_) == before


def day(seed, levels, categories=None):
    rng = np.random.default_rng(seed)
    kind, x = rng.choice(list(levels), 300), rng.normal(size=300)
    y = (x + 2 * (kind == "a") + rng.normal(size=300) > 0.5).astype(int)
    return pd.DataFrame({"x": x, "kind": pd.Categorical(kind, categories=categories)}), y


BOOSTERS_OF_CATEGORIES = [
    LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1),
    XGBClassifier(n_estimators=5, n_jobs=1, enable_categorical=True),
]


def test_lightgbm_does_not_grow_on_other_categories():
    model = online(BOOSTERS_OF_CATEGORIES[0], n_stages=1).partial_fit(*day(0, "abc"))
    asked = day(9, "abc")[0]
    before = model.teacher_.predict_proba(asked), model.predict_proba(asked)
    for batch in (day(1, "bc"), day(2, "abc", list("cba"))):
        with pytest.raises(ValueError, match="confuse categories"):
            model.partial_fit(*batch)
    np.testing.assert_array_equal(model.teacher_.predict_proba(asked), before[0])
    np.testing.assert_array_equal(model.predict_proba(asked), before[1])
    model.partial_fit(*day(1, "bc", list("abc")))
    assert model.stage_trees_ == [5, 10]


@pytest.mark.parametrize(("levels", "categories"), [("bc", None), ("abc", list("cba"))])
def test_xgboost_grows_on_other_categories_as_on_the_same(levels, categories):
    X, y = day(0, "abc")
    teacher = clone(BOOSTERS_OF_CATEGORIES[1]).fit(X, y)
    batch, target = day(1, levels, categories)
    aligned = batch.assign(kind=batch["kind"].cat.set_categories(list("abc")))
    found, expected = (grown(teacher, 5, rows, target, np.ones(300)) for rows in (batch, aligned))
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    old = first_trees(found, 5)
    np.testing.assert_array_equal(old.predict_proba(X), teacher.predict_proba(X))
    assert np.abs(found.predict_proba(X) - teacher.predict_proba(X)).max() > 0.1


def test_catboost_with_categories_does_not_grow():
    teacher = CatBoostClassifier(5, cat_features=("kind",), verbose=0, allow_writing_files=False)
    model = online(teacher, n_stages=1).partial_fit(*day(0, "abc"))
    with pytest.raises(TypeError, match="CatBoost with categories"):
        model.partial_fit(*day(1, "abc"))


@pytest.mark.parametrize("teacher", BOOSTERS_OF_CATEGORIES)
def test_first_trees_know_categories_in_any_order(teacher):
    X, y = day(0, "abc")
    fitted = clone(teacher).fit(X, y)
    other = X.assign(kind=X["kind"].cat.set_categories(list("cba")))
    young = first_trees(fitted, 2)
    expected = young.predict_proba(X)
    assert np.abs(expected - fitted.predict_proba(X)).max() > 0.01
    np.testing.assert_allclose(young.predict_proba(other), expected, atol=1e-6)


def test_rows_that_only_a_given_teacher_knows_are_named(binary_task):
    X, y = binary_task
    teacher = GradientBoostingClassifier(n_estimators=60, max_depth=4).fit(X[:300], y[:300])
    student = MLPStudentClassifier((4,), max_epochs=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "It cannot be known")
        models = [
            kind(teacher, student, random_state=0).fit(X[300:], y[300:])
            for kind in (DistilledClassifier, OnlineDistilledClassifier)
        ]
    for model in models:
        with pytest.warns(UserWarning, match="was fitted on rows among these, which it labels now"):
            model.partial_fit(X[:300], y[:300])
    again = OnlineDistilledClassifier(teacher, student, random_state=0).fit(X[300:], y[300:])
    again.partial_fit(X[300:], y[300:])  # which the teacher has not seen
