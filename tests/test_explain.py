import copy
import itertools
import math
import pickle
import sys
import warnings

import catboost
import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import xgboost
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    MLPStudentRegressor,
    SoftTreeStudentClassifier,
    TreeStudentClassifier,
    TreeStudentRegressor,
    TreeSumStudentClassifier,
    TreeSumStudentRegressor,
    explain,
    reason_codes,
)
from skdistill.estimators import see_through
from skdistill.models import as_model
from skdistill.report import Reason
from skdistill.report.reasons.shapley import read_trees
from skdistill.report.reasons.shapley.additive_start import WalksFromStart
from skdistill.report.reasons.shapley.explained_output import ExplainedOutput, RowPool
from skdistill.report.reasons.shapley.methods import _first_step
from skdistill.report.reasons.shapley.mixed_rows import MixedRows
from skdistill.report.reasons.shapley.walks import plan_walks

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # shap uses what matplotlib is about to deprecate
    shap = pytest.importorskip("shap")


class Hidden(ClassifierMixin, BaseEstimator):
    """A classifier that shows nothing of what is inside, and counts the rows it is asked about."""

    def __init__(self, inside):
        self.inside = inside
        self.classes_ = inside.classes_
        self.n_asked = 0

    def fit(self, X, y):
        raise AssertionError("nobody may refit what is explained")

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        self.n_asked += X.shape[0]
        return self.inside.predict_proba(X)

    def predict(self, X):
        raise AssertionError("probabilities are what is explained")


class HiddenWithMargins(Hidden):
    """The same, with log-odds, which are finer than probabilities."""

    def decision_function(self, X):
        return self.inside.decision_function(X)


def log_odds(proba):
    """Log-odds of each class against the geometric mean of the others, from the definition."""
    log_proba = np.log(proba)
    others = [np.delete(log_proba, k, axis=1).mean(axis=1) for k in range(proba.shape[1])]
    return log_proba - np.stack(others, axis=1)


def answers_of(model, space):
    """What an explanation has to add up to, as a function of the rows."""
    if space == "prediction":
        return lambda X: np.asarray(model.predict(X), dtype=np.float64).reshape(-1, 1)
    if space == "log_odds":
        return lambda X: log_odds(np.asarray(model.predict_proba(X), dtype=np.float64))
    return model.predict_proba


def mixed(x, background, players):
    """Background rows with the cells of some columns taken from x."""
    if isinstance(background, np.ndarray):
        rows = background.copy()
        rows[:, players] = x[0, players]
        return rows
    rows = background.copy()
    for j in players:
        rows.isetitem(j, pd.concat([x.iloc[:, j]] * len(rows)).set_axis(rows.index))
    return rows


def by_definition(answers, x, background):
    """Interventional Shapley values of one row by enumerating all sets of columns."""
    d = x.shape[1]
    worth = {
        players: answers(mixed(x, background, list(players))).mean(axis=0)
        for size in range(d + 1)
        for players in itertools.combinations(range(d), size)
    }
    values = np.zeros((d, len(worth[()])))
    for players, value in worth.items():
        for j in set(range(d)) - set(players):
            s = len(players)
            weight = math.factorial(s) * math.factorial(d - s - 1) / math.factorial(d)
            values[j] += weight * (worth[tuple(sorted((*players, j)))] - value)
    return values


@pytest.fixture(scope="module")
def tables():
    """Return five columns with gaps, and a target that is no sum of them, of three kinds."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 5)).round(2)
    score = X[:, 0] * X[:, 1] + np.abs(X[:, 2]) + (X[:, 3] > 0)
    X[rng.random(X.shape) < 0.05] = np.nan
    binary = score > np.median(score)
    three = np.digitize(score, np.quantile(score, [0.3, 0.7]))
    return X, {"binary": binary.astype(int), "multiclass": three, "regression": score}


def quiet(library, **params):
    return library(**{"n_estimators": 10, **params})


SUMS_OF_TREES = {
    "forest": (lambda: RandomForestClassifier(5, random_state=0), "probability", "binary"),
    "forest, 3 classes": (lambda: RandomForestClassifier(5), "probability", "multiclass"),
    "extra trees": (lambda: ExtraTreesClassifier(5), "probability", "binary"),
    "hist": (lambda: HistGradientBoostingClassifier(max_iter=5), "log_odds", "binary"),
    "hist, 3 classes": (
        lambda: HistGradientBoostingClassifier(max_iter=5),
        "log_odds",
        "multiclass",
    ),
    "xgboost": (lambda: quiet(xgboost.XGBClassifier), "log_odds", "binary"),
    "xgboost, 3 classes": (lambda: quiet(xgboost.XGBClassifier), "log_odds", "multiclass"),
    "lightgbm": (lambda: quiet(lightgbm.LGBMClassifier, verbose=-1), "log_odds", "binary"),
    "lightgbm, 3 classes": (
        lambda: quiet(lightgbm.LGBMClassifier, verbose=-1),
        "log_odds",
        "multiclass",
    ),
    "catboost": (
        lambda: quiet(catboost.CatBoostClassifier, verbose=0, allow_writing_files=False),
        "log_odds",
        "binary",
    ),
    "forest regressor": (lambda: RandomForestRegressor(5), "prediction", "regression"),
    "hist regressor": (
        lambda: HistGradientBoostingRegressor(max_iter=5),
        "prediction",
        "regression",
    ),
    "xgboost regressor": (lambda: quiet(xgboost.XGBRegressor), "prediction", "regression"),
    "lightgbm regressor": (
        lambda: quiet(lightgbm.LGBMRegressor, verbose=-1),
        "prediction",
        "regression",
    ),
    "catboost regressor": (
        lambda: quiet(catboost.CatBoostRegressor, verbose=0, allow_writing_files=False),
        "prediction",
        "regression",
    ),
    "tree student": (TreeStudentClassifier, "probability", "binary"),
    "tree student, log-odds": (
        lambda: TreeStudentClassifier(4, min_samples_leaf=40),
        "log_odds",
        "multiclass",
    ),
    "tree student regressor": (TreeStudentRegressor, "prediction", "regression"),
    "sum of trees": (lambda: TreeSumStudentClassifier(8), "log_odds", "binary"),
    "sum of trees, 3 classes": (lambda: TreeSumStudentClassifier(8), "log_odds", "multiclass"),
    "sum of trees, regressor": (lambda: TreeSumStudentRegressor(8), "prediction", "regression"),
    "linear student": (LinearStudentClassifier, "log_odds", "binary"),
    "linear student, 3 classes": (LinearStudentClassifier, "log_odds", "multiclass"),
    "linear student regressor": (LinearStudentRegressor, "prediction", "regression"),
    "linear student with pairs": (
        lambda: LinearStudentClassifier(interactions=[(0, 1), (1, 2), (1, 4)]),
        "log_odds",
        "binary",
    ),
    "linear student with pairs, 3 classes": (
        lambda: LinearStudentClassifier(interactions=[(0, 1), (2, 3)]),
        "log_odds",
        "multiclass",
    ),
    "linear student with pairs, regressor": (
        lambda: LinearStudentRegressor(interactions=[(0, 1), (0, 3)]),
        "prediction",
        "regression",
    ),
}


@pytest.mark.parametrize("name", SUMS_OF_TREES)
def test_what_adds_up_is_explained_exactly(name, tables):
    make, space, task = SUMS_OF_TREES[name]
    X, targets = tables
    model = make().fit(X, targets[task])
    rows, background = X[:3], X[20:40]
    output = "probability" if space == "prediction" else space
    explanation = explain(model, rows, background, output=output)
    assert explanation.output_space == space
    assert explanation.method == ("closed form" if "linear" in name else explanation.method)
    assert "sampled" not in explanation.method
    answers = answers_of(model, space)
    expected = [by_definition(answers, rows[i : i + 1], background) for i in range(3)]
    np.testing.assert_allclose(explanation.values, expected, rtol=1e-5, atol=2e-6)
    base = np.tile(answers(background).mean(axis=0), (3, 1))
    np.testing.assert_allclose(explanation.base_values, base, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("make", "output"),
    [
        (lambda: HistGradientBoostingClassifier(max_iter=10), "probability"),
        (lambda: quiet(xgboost.XGBClassifier), "probability"),
        (lambda: RandomForestClassifier(30, min_samples_leaf=20, random_state=0), "log_odds"),
        (LinearStudentClassifier, "probability"),
        (lambda: LinearStudentClassifier(interactions=[(0, 1), (1, 2)]), "probability"),
        (lambda: TreeSumStudentClassifier(8), "probability"),
        (lambda: MLPStudentClassifier((16,), max_epochs=30, random_state=0), "probability"),
        (lambda: MLPStudentClassifier((16, 8), max_epochs=30, random_state=0), "log_odds"),
    ],
)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_what_does_not_add_up_is_sampled_closely_and_sums_exactly(make, output, task, tables):
    X, targets = tables
    model = make().fit(X, targets[task])
    rows, background = X[:2], X[20:40]
    explanation = explain(model, rows, background, output=output, random_state=0)
    assert explanation.method.startswith("sampled")
    answers = answers_of(model, output)
    total = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(total, answers(rows), atol=1e-5)
    base = np.tile(answers(background).mean(axis=0), (2, 1))
    np.testing.assert_allclose(explanation.base_values, base, atol=1e-5)
    expected = np.stack([by_definition(answers, rows[i : i + 1], background) for i in range(2)])
    # shap's own "probability" of boosting is off by a fifth of the largest value.
    assert np.abs(explanation.values - expected).max() < 0.06 * np.abs(expected).max()


def test_a_regressing_network_is_sampled_closely_and_sums_exactly(tables):
    X, targets = tables
    model = MLPStudentRegressor((16,), max_epochs=30, random_state=0).fit(X, targets["regression"])
    explanation = explain(model, X[:2], X[20:40], random_state=0)
    assert explanation.shape == (2, 5, 1)
    assert explanation.output_names == ["prediction"]
    answers = answers_of(model, "prediction")
    total = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(total, answers(X[:2]), atol=1e-5)
    expected = np.stack([by_definition(answers, X[i : i + 1], X[20:40]) for i in range(2)])
    assert np.abs(explanation.values - expected).max() < 0.05 * np.abs(expected).max()


def test_sampled_values_are_those_of_the_exact_explainer_of_shap(binary_task):
    X, y = binary_task
    members = [
        ("forest", RandomForestClassifier(3, random_state=0)),
        ("tree", TreeStudentClassifier()),
    ]
    voting = VotingClassifier(members, voting="soft")
    network = MLPStudentClassifier((16,), max_epochs=20, random_state=0)
    background = X[100:110]
    masker = shap.maskers.Independent(background, max_samples=len(background))
    for model in (voting.fit(X, y), network.fit(X, y)):
        expected = shap.explainers.Exact(model.predict_proba, masker)(X[:2], silent=True).values
        found = explain(model, X[:2], background, max_evals=20_000, random_state=0).values
        assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_mixtures_of_rows_with_an_unknown_level_warn_of_nothing(rng):
    frame = pd.DataFrame(rng.normal(size=(300, 6)), columns=list("abcdef"))
    frame["city"] = rng.choice(["Graz", "Linz", None], 300, p=[0.3, 0.3, 0.4])
    y = ((frame["a"] > 0) & (frame["city"] == "Graz") | (frame["b"] > 0.5)).astype(int)
    student = TreeSumStudentClassifier(9).fit(frame, y)
    rows = frame[:4].copy()
    rows["city"] = ["Wien", "Graz", "Graz", "Linz"]
    student.predict_proba(rows)  # no warning: it is one cell of four
    assert np.isfinite(explain(student, rows, background=frame, random_state=0).values).all()


@pytest.mark.filterwarnings("ignore:Most categories are unknown")
@pytest.mark.parametrize("output", ["probability", "log_odds"])
@pytest.mark.parametrize(
    "student",
    [
        MLPStudentClassifier((16, 8), max_epochs=5),
        LinearStudentClassifier(),
        LinearStudentClassifier(interactions=[("city", "amount"), ("kind", "city"), (0, 1)]),
    ],
)
def test_students_asked_by_their_arrays_answer_as_they_do_themselves(student, output, mixed_frame):
    X, y, _ = mixed_frame()
    X.loc[:2, "city"] = "Bregenz"  # seen by nobody
    student.fit(X[5:], y[5:])
    options = {"background": X[20:50], "output": output, "max_evals": 500, "random_state": 3}
    by_arrays = explain(student, X[:5], **options)
    by_itself = explain(HiddenWithMargins(student), X[:5], **options)
    assert by_itself.method.startswith("sampled")
    # The same walks, or a sum for which walks do not matter.
    np.testing.assert_allclose(by_arrays.values, by_itself.values, atol=5e-6)
    np.testing.assert_allclose(by_arrays.base_values, by_itself.base_values, atol=5e-6)


def test_with_one_bin_the_values_are_those_of_a_linear_model(binary_task):
    X, y = binary_task
    student = LinearStudentClassifier(n_bins=1).fit(X, y)
    slope = student.coef_[:, 0] / np.ptp(X, axis=0)
    explanation = explain(student, X[:9], X[100:150], output="log_odds")
    expected = slope * (X[:9] - X[100:150].mean(axis=0))
    np.testing.assert_allclose(explanation.values[:, :, 1], expected, atol=1e-6)
    np.testing.assert_allclose(explanation.values[:, :, 0], -expected, atol=1e-6)


def test_a_tree_student_has_the_values_that_shap_gives_the_same_tree(binary_task):
    X, _ = binary_task
    X = X.astype(np.float32)  # what scikit-learn's trees compare
    y = X[:, 0] * X[:, 1]
    student = TreeStudentRegressor(lookahead=False, random_state=0).fit(X, y)
    tree = DecisionTreeRegressor(max_leaf_nodes=16, min_samples_leaf=5, random_state=0).fit(X, y)
    np.testing.assert_allclose(student.predict(X), tree.predict(X))
    masker = shap.maskers.Independent(X[100:150], max_samples=50)
    of_shap = shap.TreeExplainer(tree, masker, feature_perturbation="interventional")
    found = explain(student, X[:20], X[100:150]).values[:, :, 0]
    np.testing.assert_allclose(found, of_shap.shap_values(X[:20]), atol=1e-6)


def one_hot():
    strings = ["city", "kind"]
    encoder = OneHotEncoder(handle_unknown="ignore")
    return make_column_transformer((encoder, strings), remainder="passthrough")


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(one_hot(), RandomForestClassifier(5, random_state=0)),
        FrozenEstimator(
            make_pipeline(
                make_pipeline(one_hot(), "passthrough"),
                TreeStudentClassifier(8, random_state=0),
            )
        ),
    ],
)
def test_one_hot_codes_take_part_as_the_column_they_were_made_of(model, mixed_frame):
    X, y, _ = mixed_frame()
    if isinstance(model, FrozenEstimator):
        model.estimator.fit(X, y)
    else:
        model.fit(X, y)
    explanation = explain(model, X[:2], X[20:40])
    assert explanation.feature_names == list(X.columns)
    assert explanation.method.startswith("exact")
    for i in range(2):
        expected = by_definition(model.predict_proba, X[i : i + 1], X[20:40])
        np.testing.assert_allclose(explanation.values[i], expected, atol=1e-9)


@pytest.mark.parametrize("output", ["log_odds", "probability"])
def test_a_pair_of_codes_of_one_column_is_that_column(output, mixed_frame):
    X, y, _ = mixed_frame()
    # Columns of the codes: four cities, three kinds, amount, count, flag.
    pairs = [(0, 1), (1, 4), (3, 7), (7, 8), (2, 7)]
    model = make_pipeline(one_hot(), LinearStudentClassifier(interactions=pairs)).fit(X, y)
    options = {"output": output, "max_evals": 5_000, "random_state": 0}
    explanation = explain(model, X[:2], X[20:40], **options)
    assert explanation.feature_names == list(X.columns)
    answers = answers_of(model, output)
    expected = [by_definition(answers, X[i : i + 1], X[20:40]) for i in range(2)]
    atol = 1e-9 if output == "log_odds" else 0.02 * np.abs(expected).max()
    np.testing.assert_allclose(explanation.values, expected, atol=atol)
    total = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(total, answers(X[:2]), atol=1e-9)


def test_a_network_behind_a_scaler_is_asked_by_its_arrays(binary_task):
    X, y = binary_task
    model = make_pipeline(StandardScaler(), MLPStudentClassifier((8,), max_epochs=5)).fit(X, y)
    options = {"background": X[100:120], "max_evals": 300, "random_state": 0}
    found, hidden = explain(model, X[:3], **options), explain(Hidden(model), X[:3], **options)
    np.testing.assert_allclose(found.values, hidden.values, atol=1e-5)
    np.testing.assert_allclose(
        found.base_values + found.values.sum(axis=1), model.predict_proba(X[:3]), atol=1e-6
    )


def test_transformers_that_mix_columns_are_seen_as_part_of_the_model(binary_task):
    X, y = binary_task
    model = make_pipeline(PCA(4), RandomForestClassifier(5, random_state=0)).fit(X, y)
    explanation = explain(model, X[:2], X[100:120], random_state=0)
    assert explanation.method.startswith("sampled")
    assert explanation.shape == (2, 8, 2)
    expected = by_definition(model.predict_proba, X[:1], X[100:120])
    assert np.abs(explanation.values[0] - expected).max() < 0.03


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(
    "student", [TreeStudentClassifier(random_state=0), LinearStudentClassifier()]
)
def test_values_do_not_depend_on_the_container(student, hidden, mixed_frame):
    frame, y, _ = mixed_frame()
    student.fit(frame, y)
    array = frame.to_numpy(object)
    tables = [frame, frame.set_index(np.arange(len(frame)) % 7), pl.from_pandas(frame)]
    model = Hidden(student) if hidden else student
    options = {"max_evals": 400, "random_state": 0}
    first, *others = [explain(model, X[:40], X[50:80], **options) for X in tables]
    assert first.method.startswith("sampled") == (
        hidden or isinstance(student, LinearStudentClassifier)
    )
    for other in others:
        np.testing.assert_array_equal(other.values, first.values)
        assert other.feature_names == list(frame.columns)
    of_array = explain(type(student)().set_params(**student.get_params()).fit(array, y), array[:40])
    assert of_array.feature_names == [f"x{j}" for j in range(5)]


def test_the_data_are_the_cells_as_the_user_has_them(mixed_frame):
    frame, y, _ = mixed_frame()
    for X in (frame, pl.from_pandas(frame), frame.to_numpy(object)):
        data = explain(TreeStudentClassifier().fit(X, y), X).data
        assert data.dtype == object
        assert data[0, 3] == frame["city"][0]
        assert isinstance(data[0, 1], int)
        assert isinstance(data[0, 4], str)
        row = int(np.flatnonzero(frame["city"].isna())[0])
        assert data[row, 3] is None or data[row, 3] != data[row, 3]
        row = int(np.flatnonzero(frame["amount"].isna())[0])
        assert data[row, 0] is None or math.isnan(data[row, 0])


def test_categories_of_lightgbm_are_explained_in_its_own_container(mixed_frame):
    X, y, _ = mixed_frame()
    X = X.astype({"city": "category"})
    model = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(X, y)
    explanation = explain(model, X[:4], X[20:50], max_evals=2000, random_state=0)
    total = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(total, model.predict_proba(X[:4]), atol=1e-9)
    most = np.abs(explanation.values[:, :, 1]).mean(axis=0).argmax()
    assert explanation.feature_names[most] in ("amount", "kind")


def test_a_column_without_influence_gets_nothing(binary_task, rng):
    X, y = binary_task
    noisy = np.column_stack([X, rng.normal(size=len(X))])
    student = MLPStudentClassifier((8,), max_epochs=5).fit(
        np.column_stack([X, np.zeros(len(X))]), y
    )
    tree = TreeStudentClassifier(4).fit(noisy, y)
    for model in (student, Hidden(student), tree, Hidden(tree)):
        values = explain(model, noisy[:5], noisy[50:80], max_evals=600, random_state=0).values
        np.testing.assert_allclose(values[:, -1], 0, atol=1e-6)


def test_cells_equal_to_those_of_the_background_cost_no_answer(binary_task):
    X, y = binary_task
    model = Hidden(RandomForestClassifier(5, random_state=0).fit(X, y))
    one = X[:1].copy()
    background = np.repeat(one, 10, axis=0)
    background[:, 2] += 1.0
    values = explain(model, one, background, random_state=0).values
    probes = 300  # to see whether it is a sum of trees
    assert model.n_asked < probes
    assert (np.delete(values[0], 2, axis=0) == 0).all()
    model.n_asked = 0
    explain(model, X[:3], X[50:60], max_evals=1000, random_state=0)
    assert 3 * 900 < model.n_asked < 3 * 1000 + probes


def test_more_answers_make_the_error_smaller(binary_task):
    X, y = binary_task
    model = Hidden(HistGradientBoostingClassifier(max_iter=20).fit(X, y))
    expected = by_definition(model.predict_proba, X[:1], X[50:60])
    errors = [
        np.mean(
            [
                np.abs(
                    explain(model, X[:1], X[50:60], max_evals=n, random_state=s).values - expected
                )
                for s in range(5)
            ]
        )
        for n in (70, 7000)
    ]
    assert errors[1] < errors[0] / 4


def test_every_second_walk_is_reversed_and_all_use_every_background_row_alike():
    walks = plan_walks(10, 6, max_evals=5 * 45, random_state=np.random.RandomState(0))
    assert np.bincount(walks.start).tolist() == [4] * 10
    assert (walks.order[1::2] == walks.order[::2, ::-1]).all()
    assert (np.sort(walks.order, axis=1) == np.arange(6)).all()
    few = plan_walks(10, 6, max_evals=5 * 3 + 2, random_state=np.random.RandomState(0))
    assert len(set(few.start)) == len(few) == 3


@pytest.mark.parametrize("n_columns", [1, 2, 7])
def test_of_four_walks_two_take_each_column_in_the_first_half(n_columns):
    walks = plan_walks(
        5, n_columns, max_evals=5 * 8 * n_columns, random_state=np.random.RandomState(0)
    )
    half = n_columns // 2
    for four in walks.order[: len(walks) // 4 * 4].reshape(-1, 4, n_columns):
        assert (four[2] == np.append(four[0, half:], four[0, :half])).all()
        assert (four[1::2] == four[::2, ::-1]).all()


@pytest.mark.parametrize("kind", ["MLP", "additive", "soft tree"])
def test_mixed_rows_that_are_not_encoded_predict_like_the_student(mixed_frame, kind):
    pytest.importorskip("skorch")
    X, y, _ = mixed_frame(300)
    student = {
        "MLP": MLPStudentClassifier((16, 8), max_epochs=3, random_state=0),
        "additive": LinearStudentClassifier(interactions=(("amount", "city"), ("flag", "city"))),
        "soft tree": SoftTreeStudentClassifier(4, max_epochs=3, random_state=0),
    }[kind].fit(X, y)
    pool = RowPool.of(X[:70], X[70:90])  # more rows than are looked up at a time
    output = ExplainedOutput.about(as_model(student, "model"), "probability", X[70:90])
    walks = plan_walks(20, 5, max_evals=400, random_state=np.random.RandomState(0))
    last = see_through(student, pool.table)
    by_sums = WalksFromStart(output, walks, *_first_step(pool, last)).outputs_along_walks()
    by_rows = MixedRows(output, pool, walks).outputs_along_walks()
    for found, expected in zip(by_sums, by_rows, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_one_column_gets_the_whole_difference(binary_task):
    X, y = binary_task
    model = RandomForestClassifier(5, random_state=0).fit(X[:, :1], y)
    for one in (model, Hidden(model)):
        explanation = explain(one, X[:5, :1], X[50:70, :1], random_state=0)
        difference = model.predict_proba(X[:5, :1]) - model.predict_proba(X[50:70, :1]).mean(axis=0)
        np.testing.assert_allclose(explanation.values[:, 0], difference, atol=1e-9)


def test_a_number_of_answers_too_small_for_all_background_rows_takes_fewer(binary_task):
    X, y = binary_task
    model = Hidden(RandomForestClassifier(5, random_state=0).fit(X, y))
    explanation = explain(model, X[:4], X[50:90], max_evals=70, random_state=0)
    assert explanation.method == "sampled, 10 walks, 70 evaluations per row"
    assert (explanation.base_values == explanation.base_values[0]).all()
    total = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(total, model.predict_proba(X[:4]), atol=1e-9)


def test_forests_with_too_many_leaves_are_sampled(binary_task, monkeypatch):
    X, y = binary_task
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    assert explain(forest, X[:1], X[50:60]).method == "exact, from 5 trees"
    monkeypatch.setattr(read_trees, "MAX_LEAVES", 10)
    assert explain(forest, X[:1], X[50:60]).method.startswith("sampled")


def test_trees_that_were_misread_are_not_used(binary_task, rng):
    X, y = binary_task
    X = np.column_stack([rng.integers(0, 5, len(X)), X])
    y = np.isin(X[:, 0], [1, 3]) ^ (y == 1)
    model = HistGradientBoostingClassifier(max_iter=10, categorical_features=[0]).fit(X, y)
    explanation = explain(model, X[:3], X[50:70], output="log_odds", random_state=0)
    assert explanation.method.startswith("sampled")
    total = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(total[:, 1], model.decision_function(X[:3]), atol=1e-9)


def test_trees_after_early_stopping_are_left_out(binary_task):
    X, y = binary_task
    model = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=3, learning_rate=0.5)
    model.fit(X[:400], y[:400], eval_set=[(X[400:], y[400:])], verbose=False)
    n_used = model.best_iteration + 1
    assert n_used < model.get_booster().num_boosted_rounds()
    explanation = explain(model, X[:3], X[50:70], output="log_odds")
    assert explanation.method == f"exact, from {n_used} trees"


def test_the_background_is_drawn_from_the_rows_or_from_what_is_passed(forest, binary_task):
    X, _ = binary_task
    few = explain(forest, X[:60], max_background=20, random_state=0)
    same = explain(forest, X[:60], max_background=20, random_state=0)
    other = explain(forest, X[:60], max_background=20, random_state=1)
    np.testing.assert_array_equal(few.values, same.values)
    assert not np.array_equal(few.base_values, other.base_values)
    everything = explain(forest, X[:2], X, max_background=len(X))
    mean = forest.predict_proba(X).mean(axis=0)
    np.testing.assert_allclose(everything.base_values, [mean, mean])
    with pytest.raises(ValueError, match=r"X has 19 rows.*Pass background"):
        explain(forest, X[:19])


def test_log_odds_of_models_that_are_sure_stay_finite(binary_task):
    X, y = binary_task
    forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    assert (forest.predict_proba(X[:50]) == 0).any()
    explanation = explain(forest, X[:50], output="log_odds", max_evals=100, random_state=0)
    total = explanation.base_values + explanation.values.sum(axis=1)
    assert 2 < np.abs(total).max() < 5  # log of 11 times odds of the background
    assert np.isfinite(explanation.values).all()


def test_the_student_of_a_distiller_is_explained(binary_task, forest):
    X, y = binary_task
    named = np.array(["no", "yes"])[y]
    student = TreeStudentClassifier(4, random_state=0)
    distiller = DistilledClassifier(RandomForestClassifier(5, random_state=0), student)
    search = GridSearchCV(make_pipeline(StandardScaler(), distiller), {}, cv=2)
    search.fit(X, named)
    explanation = explain(search, X[:5], X[50:80])
    assert explanation.output_names == ["no", "yes"]
    total = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(total, search.predict_proba(X[:5]), atol=1e-9)
    assert explanation.method == "exact, from 1 tree"
    teacher = explain(search.best_estimator_[-1].teacher_, StandardScaler().fit_transform(X)[:30])
    assert teacher.method == "exact, from 5 trees"


def test_explanations_can_be_sliced_and_plotted_by_shap(mixed_frame, close_figures):
    X, y, _ = mixed_frame()
    explanation = explain(TreeStudentClassifier().fit(X, y), X[:40])
    one_class = explanation[:, :, "1"]
    assert one_class.shape == (40, 5)
    assert explanation[:3].data.shape == (3, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shap.plots.bar(one_class, show=False)
        shap.plots.waterfall(one_class[0], show=False)
        shap.plots.beeswarm(one_class, show=False)


def test_progress_is_shown_if_asked_for(binary_task, forest, capsys, monkeypatch):
    monkeypatch.setattr("skdistill.verbose.LONG", 0.0)
    X, y = binary_task
    network = MLPStudentClassifier((8,), max_epochs=2).fit(X, y)
    for model, unit in ((forest, "trees"), (network, "rows")):
        explain(model, X[:3], X[50:80], max_evals=700)
        assert capsys.readouterr().err == ""
        explain(model, X[:3], X[50:80], max_evals=700, verbose=1)
        shown = capsys.readouterr().err
        assert f"[explain] explaining {type(model).__name__}: 1 of" in shown
        assert unit in shown


def test_reasons_are_the_positive_contributions_largest_first(mixed_frame):
    X, y, _ = mixed_frame()
    student = LinearStudentClassifier().fit(X, np.array(["good", "bad"])[1 - y])
    reasons = reason_codes(student, X[:30], X[50:], top=2, output="log_odds", random_state=0)
    explanation = explain(student, X[:30], X[50:], output="log_odds", random_state=0)
    assert len(reasons) == 30
    assert {len(row) for row in reasons} == {0, 1, 2} | {len(row) for row in reasons} - {0, 1, 2}
    for i, row in enumerate(reasons):
        values = explanation.values[i, :, 1]
        best = [j for j in np.argsort(-values)[:2] if values[j] > 0]
        assert [reason.column for reason in row] == [X.columns[j] for j in best]
        assert [reason.contribution for reason in row] == values[best].tolist()
        assert all(isinstance(reason, Reason) for reason in row)
        for column, value, _ in row:
            cell = X[column][i]
            assert value == cell or (pd.isna(cell) and (value is None or value != value))
    against = reason_codes(
        student, X[:30], X[50:], class_of_interest="bad", output="log_odds", random_state=0
    )
    pushed = [{reason.column for reason in row} for row in reasons]
    assert all(not up & {r.column for r in down} for up, down in zip(pushed, against, strict=True))


@pytest.fixture(scope="module")
def crossed():
    """Return a student of three columns, two of which say nothing alone, and its rows."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(600, 3)).round(2), columns=["age", "claims", "amount"])
    X.loc[::10, "claims"] = np.nan
    together = (X["age"] > 0) ^ (X["claims"].fillna(0) > 0)
    y = (2.0 * together + X["amount"] > 1).to_numpy().astype(int)
    return LinearStudentClassifier(interactions=[(0, 1)]).fit(X, y), X


@pytest.mark.parametrize("output", ["log_odds", "probability"])
def test_a_reason_names_the_column_that_it_makes_a_pair_with(output, crossed):
    student, X = crossed
    alone = copy.copy(student)
    alone.tables_ = ()
    options = {"output": "log_odds", "random_state": 0}
    whole = explain(student, X[:50], X[50:], **options).values[:, :, 1]
    by_curve = explain(alone, X[:50], X[50:], **options).values[:, :, 1]
    by_pair = whole - by_curve
    np.testing.assert_allclose(by_pair[:, 2], 0, atol=1e-12)
    is_pair = by_pair > np.maximum(by_curve, 0)
    found = reason_codes(student, X[:50], X[50:], output=output, max_evals=200, random_state=0)
    others = {"age": "claims", "claims": "age"}
    for i, row in enumerate(found):
        for reason in row:
            j = X.columns.get_loc(reason.column)
            assert (reason.partner is not None) == (j < 2 and is_pair[i, j])
            if reason.partner:
                name, value = reason.partner
                assert name == others[reason.column]
                assert value == X[name][i] or np.isnan([value, X[name][i]]).all()
    assert sum(reason.partner is not None for row in found for reason in row) > 20
    assert not any(r.partner for row in reason_codes(alone, X[:50], X[50:]) for r in row)


def test_reasons_say_a_pair_in_words():
    assert Reason("age", 23.0, 0.4, ("claims", 5)).text() == "age 23 with claims 5"
    assert Reason("city", "Linz", 0.4, ("claims", np.nan)).text() == "city Linz with claims missing"
    assert Reason("flag", True, 0.4).text() == "flag True"
    assert Reason("city", None, 0.4).text() == "city missing"
    reason = Reason("age", 23.5, 0.4, ("claims", 5))
    column, value, contribution = reason
    assert (column, value, contribution) == ("age", 23.5, 0.4) == reason
    assert pickle.loads(pickle.dumps(reason)).partner == ("claims", 5)


def test_reasons_of_several_classes_are_those_of_the_predicted_one(multiclass_task):
    X, y = multiclass_task
    student = TreeStudentClassifier(random_state=0).fit(X, np.array(["a", "b", "c"])[y])
    explanation = explain(student, X[:20], X[50:100])
    reasons = reason_codes(student, X[:20], X[50:100], top=8)
    for i, label in enumerate(student.predict(X[:20])):
        values = explanation.values[i, :, "abc".index(label)]
        assert len(reasons[i]) == (values > 0).sum()
        assert reasons[i][0].contribution == values.max()
    given = reason_codes(student, X[:20], X[50:100], class_of_interest="b")
    assert given[0][0].contribution == explanation.values[0, :, 1].max()


def test_reasons_of_a_regressor_push_its_prediction_up(binary_task):
    X, _ = binary_task
    student = TreeStudentRegressor(random_state=0).fit(X, X[:, 2])
    lowest = np.argsort(student.predict(X))[:2]
    highest = np.argsort(student.predict(X))[-2:]
    reasons = reason_codes(student, X[np.r_[lowest, highest]], X[:100])
    assert [[reason.column for reason in row] for row in reasons] == [[], [], ["x2"], ["x2"]]


def test_what_cannot_be_explained_is_refused_with_what_to_do(binary_task, forest):
    X, y = binary_task
    with pytest.raises(NotFittedError):
        explain(TreeStudentClassifier(), X)
    with pytest.raises(ValueError, match=r"'output' parameter of explain must be.*log_odds"):
        explain(forest, X, output="margin")
    with pytest.raises(ValueError, match="X has 5 columns; RandomForestClassifier was fitted on 8"):
        explain(forest, X[:, :5])
    with pytest.raises(ValueError, match="background has 5 columns"):
        explain(forest, X, X[:, :5])
    with pytest.raises(ValueError, match=r"shape \(8,\)"):
        explain(forest, X[0])
    with pytest.raises(TypeError, match=r"X is sparse.*toarray"):
        explain(forest, sp.csr_array(X))
    with pytest.raises(ValueError, match=r"regressor TreeStudentRegressor.*Leave it out"):
        explain(TreeStudentRegressor().fit(X, y), X, output="log_odds")
    one = RandomForestClassifier(5).fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"knows one class only, 0\.0"):
        explain(one, X)
    with pytest.raises(ValueError, match="class_of_interest=7"):
        reason_codes(forest, X, class_of_interest=7)


def test_a_background_of_another_kind_is_refused(mixed_frame):
    X, y, _ = mixed_frame()
    student = TreeStudentClassifier().fit(X, y)
    with pytest.raises(ValueError, match="same columns in the same container"):
        explain(student, X, X.to_numpy(object))
    with pytest.raises(ValueError, match="same columns in the same container"):
        explain(student, X, pl.from_pandas(X))
    with pytest.raises(ValueError, match="same columns in the same container"):
        explain(student, X, X[X.columns[::-1]])


def test_without_shap_the_error_names_the_extra(binary_task, forest, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(ImportError, match="pip install shap"):
        explain(forest, binary_task[0])


@pytest.mark.parametrize(
    ("model", "output"),
    [
        (GradientBoostingClassifier(n_estimators=5), "log_odds"),
        (GradientBoostingRegressor(n_estimators=5), "probability"),
    ],
)
def test_gradient_boosting_is_explained_exactly(model, output, multiclass_task):
    X, y = multiclass_task
    y = (y == 1).astype(int)
    explanation = explain(model.fit(X, y), X[:5], X[50:70], output=output)
    assert explanation.method == "exact, from 5 trees"
    total = (explanation.base_values + explanation.values.sum(axis=1))[:, -1]
    expected = model.predict(X[:5]) if output == "probability" else model.decision_function(X[:5])
    np.testing.assert_allclose(total, expected, atol=1e-9)
