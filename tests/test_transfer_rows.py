"""Rows that a teacher's trees remember, and distilling on rows without any class."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    MultiTeacher,
    TreeStudentClassifier,
    transfer_rows_from_teacher,
)
from skdistill.teacher import transfer_rows
from skdistill.teacher.tree_nodes import read_tree_nodes

TEACHERS = [
    DecisionTreeClassifier(max_leaf_nodes=12, random_state=0),
    RandomForestClassifier(10, max_leaf_nodes=20, random_state=0),
    ExtraTreesClassifier(5, max_leaf_nodes=10, random_state=0),
    GradientBoostingClassifier(n_estimators=10, random_state=0),
    HistGradientBoostingClassifier(max_iter=5, random_state=0),
    AdaBoostClassifier(DecisionTreeClassifier(max_depth=4), n_estimators=5, random_state=0),
    BaggingClassifier(
        DecisionTreeClassifier(max_leaf_nodes=12), 5, max_features=0.5, random_state=0
    ),
    VotingClassifier(
        [("a", RandomForestClassifier(3, max_depth=4, random_state=0))], voting="soft"
    ),
    StackingClassifier([("a", RandomForestClassifier(3, max_depth=4, random_state=0))], cv=2),
    make_pipeline("passthrough", DecisionTreeClassifier(max_leaf_nodes=12)),
    MultiTeacher(
        [
            ("a", DecisionTreeClassifier(max_depth=3), [2, 0]),
            ("b", GradientBoostingClassifier(n_estimators=3)),
        ]
    ),
    LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1),
    XGBClassifier(n_estimators=5, n_jobs=1),
    CatBoostClassifier(iterations=5, verbose=0, allow_writing_files=False, thread_count=1),
]


def name_of(teacher):
    return type(teacher).__name__


@pytest.fixture(scope="module")
def task():
    """Rows crowded into a diagonal of which the teacher sees the middle, and an integer column."""
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, 2000)
    X = np.column_stack([a, a + rng.normal(0, 0.3, 2000), rng.integers(0, 6, 2000)])
    noise = rng.random(2000) < 0.1
    return X, ((X[:, 0] + X[:, 1] > 0.5) ^ (X[:, 2] == 2) ^ noise).astype(int)


RANGES = [(-4, 4), (-5, 5), (0, 5)]


@pytest.mark.parametrize("teacher", TEACHERS, ids=name_of)
def test_rows_lie_in_the_ranges_on_both_sides_of_every_threshold(teacher, task):
    X, y = task
    teacher.fit(X, y)
    rows = transfer_rows_from_teacher(teacher, RANGES, 3000, random_state=0)
    assert rows.shape == (3000, 3)
    assert rows.dtype == np.float64
    nodes = read_tree_nodes(teacher)
    for j, (low, high) in enumerate(RANGES):
        assert rows[:, j].min() >= low
        assert rows[:, j].max() <= high
        thresholds = nodes.thresholds(j)
        if len(thresholds) == 0:  # a bag may do without a column
            continue
        sides = (rows[:, j, None] <= thresholds).mean(axis=0)
        # All but cells that no row of the fit was in: random thresholds leave some of those.
        assert ((sides > 0) & (sides < 1)).mean() > (0.8 if "Extra" in name_of(teacher) else 0.99)


@pytest.mark.parametrize("teacher", TEACHERS, ids=name_of)
def test_the_teacher_answers_to_the_rows_as_to_those_of_its_fit(teacher, task):
    X, y = task
    teacher.fit(X, y)
    rows = transfer_rows_from_teacher(teacher, RANGES, 3000, random_state=0)
    mean, expected = (teacher.predict_proba(each)[:, 1].mean() for each in (rows, X))
    assert mean == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize(
    "teacher",
    [
        DecisionTreeClassifier(max_leaf_nodes=10, random_state=0),
        GradientBoostingClassifier(n_estimators=1, random_state=0),
        HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=8),
        LGBMClassifier(n_estimators=1, num_leaves=8, verbose=-1, n_jobs=1),
        XGBClassifier(n_estimators=1, max_depth=3, n_jobs=1),
        CatBoostClassifier(
            iterations=1, depth=3, verbose=0, allow_writing_files=False, bootstrap_type="No"
        ),
    ],
    ids=name_of,
)
def test_leaves_of_one_tree_are_as_frequent_as_in_training(teacher, task):
    X, y = task
    teacher.fit(X, y)
    rows = transfer_rows_from_teacher(teacher, RANGES, 40_000, random_state=0)
    leaves, shares = np.unique(teacher.predict_proba(X)[:, 1].round(5), return_counts=True)
    drawn, counts = np.unique(teacher.predict_proba(rows)[:, 1].round(5), return_counts=True)
    np.testing.assert_array_equal(drawn, leaves)
    np.testing.assert_allclose(counts / 40_000, shares / 2000, atol=0.01)


def test_rows_follow_the_counts_and_not_only_the_thresholds(task, monkeypatch):
    X, y = task
    forest = RandomForestClassifier(20, min_samples_leaf=5, random_state=0).fit(X, y)

    def correlation():
        rows = transfer_rows_from_teacher(forest, RANGES, 3000, random_state=0)
        return np.corrcoef(rows[:, 0], rows[:, 1])[0, 1]

    assert correlation() > 0.75  # it is .96 in the rows of the fit
    read = transfer_rows.read_tree_nodes

    def without_counts(teacher):
        nodes = read(teacher)
        return replace(nodes, count=np.ones(len(nodes.count)))

    monkeypatch.setattr(transfer_rows, "read_tree_nodes", without_counts)
    assert correlation() < 0.65


def test_more_trees_per_row_tell_more_of_how_columns_depend_on_each_other(task):
    X, y = task
    model = LGBMClassifier(n_estimators=50, verbose=-1, n_jobs=1).fit(X, y)
    correlations = [
        np.corrcoef(
            transfer_rows_from_teacher(model, RANGES, 3000, trees_per_row=n, random_state=0).T
        )[0, 1]
        for n in (1, 30)
    ]
    assert correlations[1] > correlations[0] + 0.05


def test_students_of_drawn_rows_beat_those_of_rows_from_the_whole_ranges():
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
    ranges = np.column_stack([X.min(axis=0), X.max(axis=0)])
    forest = RandomForestClassifier(100, random_state=0).fit(X, y)
    uniform = np.random.default_rng(0).uniform(*ranges.T, (4000, X.shape[1]))
    drawn = transfer_rows_from_teacher(forest, ranges, 4000, random_state=0)
    student = TreeStudentClassifier(16)
    agrees, loss = {}, {}
    for name, rows in {"real": X, "drawn": drawn, "uniform": uniform}.items():
        student.fit(rows, forest.predict_proba(rows))
        agrees[name] = (student.predict(X_test) == forest.predict(X_test)).mean()
        loss[name] = log_loss(y_test, student.predict_proba(X_test))
    assert agrees["drawn"] > agrees["real"] - 0.05
    assert agrees["drawn"] > agrees["uniform"] + 0.3
    assert loss["drawn"] < 0.4 < loss["uniform"] - 0.1


def test_rows_repeat_with_the_random_state(forest):
    first, again, other = (
        transfer_rows_from_teacher(forest, [(-5, 5)] * 8, 50, random_state=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_regressors_remember_rows_as_well(task):
    X, y = task
    for teacher in (RandomForestRegressor(5), LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1)):
        assert transfer_rows_from_teacher(teacher.fit(X, y), RANGES, 10).shape == (10, 3)


def test_listed_values_are_the_only_ones_in_a_column(task):
    X, y = task
    forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    ranges = {0: (-4, 4), 1: (-5, 5), 2: range(6)}
    rows = transfer_rows_from_teacher(forest, ranges, 2000, random_state=0)
    values, counts = np.unique(rows[:, 2], return_counts=True)
    np.testing.assert_array_equal(values, range(6))
    assert counts.min() > 200  # each is a sixth


def test_cells_that_no_tree_tells_apart_are_equally_likely(task):
    X, y = task
    forest = RandomForestClassifier(10, max_depth=2, random_state=0).fit(X[:, :2], y)
    stump = DecisionTreeClassifier(max_depth=1).fit(X, y)  # splits the first column
    teacher = MultiTeacher([("a", stump), ("b", forest, [0, 1])]).fit(X, y)
    ranges = {0: (-4, 4), 1: (-5, 5), 2: range(6)}
    rows = transfer_rows_from_teacher(teacher, ranges, 3000, trees_per_row=1, random_state=0)
    np.testing.assert_allclose(np.bincount(rows[:, 2].astype(int)) / 3000, 1 / 6, atol=0.03)


def test_a_column_that_holds_one_value_stays_at_it(task):
    X, y = task
    tree = DecisionTreeClassifier(max_depth=4).fit(X, y)
    rows = transfer_rows_from_teacher(tree, [(-4, 4), (-5, 5), (2, 2)], 100, random_state=0)
    assert (rows[:, 2] == 2).all()


def test_lightgbm_knows_its_ranges_and_others_guess_with_a_warning(task):
    X, y = task
    booster = LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(X, y)
    rows = transfer_rows_from_teacher(booster, n_samples=5000, random_state=0)
    assert (rows.min(axis=0) >= X.min(axis=0)).all()
    np.testing.assert_allclose(rows.max(axis=0), X.max(axis=0), atol=0.6)
    tree = DecisionTreeClassifier(max_leaf_nodes=12, random_state=0).fit(X, y)
    with pytest.warns(UserWarning, match=r"ranges of 3 columns \(0, 1, 2\) are guessed"):
        rows = transfer_rows_from_teacher(tree, n_samples=1000, random_state=0)
    thresholds = read_tree_nodes(tree).thresholds(0)
    assert rows[:, 0].min() < thresholds[0]
    assert rows[:, 0].max() > thresholds[-1]


@pytest.mark.parametrize(
    "teacher",
    [
        HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype"),
        LGBMClassifier(n_estimators=5, min_child_samples=5, verbose=-1, n_jobs=1),
        XGBClassifier(n_estimators=5, enable_categorical=True, n_jobs=1),
    ],
    ids=name_of,
)
def test_frames_with_categories_come_back_as_frames_with_categories(teacher, task):
    X, y = task
    kinds = np.array(list("uvwxyz"))[X[:, 2].astype(int)]
    frame = pd.DataFrame({"kind": pd.Categorical(kinds), "a": X[:, 0], "b": X[:, 1]})
    teacher.fit(frame, y)
    ranges = {"a": (-4, 4), "b": (-5, 5), "kind": None}
    rows = transfer_rows_from_teacher(teacher, ranges, 2000, missing={"b": 0.2}, random_state=0)
    assert list(rows.columns) == ["kind", "a", "b"]
    assert rows["kind"].dtype == "category"
    assert set(rows["kind"]) == set("uvwxyz")
    assert rows["b"].isna().mean() == pytest.approx(0.2, abs=0.03)
    full = rows.dropna()
    mean = teacher.predict_proba(full)[:, 1].mean()
    assert mean == pytest.approx(teacher.predict_proba(frame)[:, 1].mean(), abs=0.06)
    # The category that turns the class round does so among the drawn rows, too.
    is_w = (full["kind"] == "w").to_numpy()
    above = (full["a"] + full["b"] > 1.5).to_numpy()
    proba = teacher.predict_proba(full)[:, 1]
    assert proba[above & ~is_w].mean() > proba[above & is_w].mean() + 0.2


def test_polars_frames_are_made_where_they_are_asked_for(task):
    X, y = task
    frame = pl.DataFrame({name: X[:, j] for j, name in enumerate("abc")})
    tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(frame, y)
    ranges = dict(zip("abc", RANGES, strict=True))
    rows = transfer_rows_from_teacher(tree, ranges, 100, backend="polars", random_state=0)
    assert isinstance(rows, pl.DataFrame)
    assert rows.columns == ["a", "b", "c"]
    assert tree.predict(rows).shape == (100,)


def test_missing_values_are_as_frequent_as_the_user_says(task):
    X, y = task
    forest = RandomForestClassifier(5, max_depth=4, random_state=0).fit(X, y)
    rows = transfer_rows_from_teacher(forest, RANGES, 3000, missing=0.3, random_state=0)
    np.testing.assert_allclose(np.isnan(rows).mean(axis=0), 0.3, atol=0.04)


def test_input_that_cannot_be_meant_is_refused(task):
    X, y = task
    tree = DecisionTreeClassifier(max_leaf_nodes=12).fit(X, y)

    def refused(error, match, teacher=tree, ranges=RANGES, **params):
        with pytest.raises(error, match=match):
            transfer_rows_from_teacher(teacher, ranges, **params)

    refused(NotFittedError, "RandomForestClassifier is not fitted", RandomForestClassifier())
    refused(TypeError, "a fitted ensemble of trees was expected", RandomForestClassifier)
    refused(
        TypeError, "LogisticRegression is no ensemble .* XGBoost", LogisticRegression().fit(X, y)
    )
    refused(TypeError, "XGBClassifier is no ensemble", XGBClassifier(booster="gblinear").fit(X, y))
    scaled = make_pipeline(StandardScaler(), DecisionTreeClassifier()).fit(X, y)
    refused(ValueError, "StandardScaler in front of its trees", scaled)
    refused(ValueError, r"n_samples=0", n_samples=0)
    refused(ValueError, r"trees_per_row=0", trees_per_row=0)
    refused(ValueError, r"shape \(2, 2\); \(3, 2\) was expected", ranges=RANGES[:2])
    refused(ValueError, r"lacks the columns \[1, 2\]", ranges={0: (0, 1)})
    refused(
        ValueError, r"has \['x'\], which are no", ranges={**dict(enumerate(RANGES)), "x": (0, 1)}
    )
    refused(ValueError, "low <= high", ranges=[(4, -4), *RANGES[1:]])
    refused(ValueError, "finite numbers", ranges=[(np.nan, 4), *RANGES[1:]])
    refused(ValueError, "finite numbers", ranges={0: (0, 1, 2), 1: (0, 1), 2: (0, 1)})
    refused(ValueError, "two values for column 0", ranges={0: [-4, 4], 1: (0, 1), 2: (0, 1)})
    refused(ValueError, "lists no values", ranges={0: [], 1: (0, 1), 2: (0, 1)})
    refused(ValueError, "NaN or infinity", ranges={0: [np.nan, 1], 1: (0, 1), 2: (0, 1)})
    refused(ValueError, "splits it at numbers", ranges={0: ["a"], 1: (0, 1), 2: (0, 1)})
    refused(ValueError, "missing=1.0; shares", missing=1.0)
    refused(ValueError, r"missing has \['a'\]", missing={"a": 0.1})
    boosting = GradientBoostingClassifier(n_estimators=2).fit(X, y)
    refused(ValueError, "takes no missing values", boosting, missing=0.1)
    frame = pd.DataFrame({"kind": pd.Categorical(list("ab") * 20), "x": range(40)})
    nominal = LGBMClassifier(n_estimators=2, min_child_samples=2, verbose=-1)
    nominal.fit(frame, [0, 1] * 20)
    refused(ValueError, "holds categories", nominal, {"kind": (0, 1), "x": None})


def test_catboost_with_categories_is_refused(task):
    X, y = task
    frame = pd.DataFrame({"kind": X[:, 2].astype(int).astype(str), "a": X[:, 0]})
    model = CatBoostClassifier(
        iterations=2, cat_features=["kind"], verbose=0, allow_writing_files=False
    ).fit(frame, y)
    with pytest.raises(TypeError, match="without cat_features"):
        transfer_rows_from_teacher(model)


# Distilling on rows of which none has a class.


@pytest.mark.parametrize("classes", [np.array([0, 1]), np.array(["no", "yes"])])
@pytest.mark.parametrize(
    "student",
    [
        None,
        LinearStudentClassifier(8),
        MLPStudentClassifier((16,), max_epochs=3, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=name_of,
)
def test_a_fitted_teacher_needs_no_observed_class(student, classes, task):
    X, y = task
    teacher = GradientBoostingClassifier(n_estimators=20, random_state=0).fit(X, classes[y])
    rows = transfer_rows_from_teacher(teacher, RANGES, 2000, random_state=0)
    model = DistilledClassifier(teacher, student, random_state=0).fit(rows, np.full(2000, -1))
    assert model.classes_.tolist() == classes.tolist()
    assert model.labelling_ == "direct"
    assert model.transfer_summary_["labelled"]["rows"] == 0
    assert model.transfer_summary_["unlabelled"]["rows"] == 2000
    agree = (model.predict(X) == teacher.predict(X)).mean()
    assert agree > (0.7 if "Pipeline" in name_of(student) else 0.8)


def test_without_classes_all_rows_count_alike_as_unlabelled_ones(task):
    X, y = task
    teacher = GradientBoostingClassifier(n_estimators=5, random_state=0).fit(X[1::2], y[1::2])
    X = X[::2]
    student = LinearStudentClassifier(8)
    model = DistilledClassifier(teacher, student, alpha=0.5)
    split = model.fit(X[:400], np.full(400, -1), X_unlabeled=X[400:]).predict_proba(X)
    whole = model.fit(X, np.full(1000, -1)).predict_proba(X)
    np.testing.assert_allclose(split, whole, atol=1e-6)
    imitation = student.fit(X, teacher.predict_proba(X)).predict_proba(X)
    np.testing.assert_allclose(whole, imitation, atol=3e-2)  # a ridge of other weight


@pytest.mark.parametrize(
    "params",
    [
        {"alpha": 0},
        {"alpha": "auto"},
        {"temperature": "auto"},
        {"label_correction": True},
        {"recalibration": True},
        {"prior_correction": "auto"},
        {"class_weight": "balanced"},
        {"labelling": "cross_fit"},
    ],
    ids=str,
)
def test_what_needs_observed_classes_says_so(params, task):
    X, y = task
    teacher = DecisionTreeClassifier(max_depth=3).fit(X, y)
    name = next(iter(params))
    with pytest.raises(ValueError, match=f"-1, which marks .*{name}.*needs observed classes"):
        DistilledClassifier(teacher, **params).fit(X, np.full(2000, -1))


def test_an_unfitted_teacher_still_needs_observed_classes(task):
    X, _ = task
    with pytest.raises(ValueError, match="unless a fitted teacher gives the classes"):
        DistilledClassifier(DecisionTreeClassifier()).fit(X, np.full(2000, -1))
