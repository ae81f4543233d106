"""Whether a teacher was fitted on some rows: proved, refuted, or not to be known."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE, SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skdistill import DistilledClassifier, MultiTeacher, TreeStudentClassifier
from skdistill.teacher.leaves import leaves_of
from skdistill.teacher.training_rows import Proof, proof_of_training_rows, replays_bootstraps

PROVED, REFUTED, UNKNOWN = Proof.PROVED, Proof.REFUTED, Proof.UNKNOWN


def forest(**params):
    return RandomForestClassifier(**{"n_estimators": 25, "random_state": 1, **params})


def hist_boosting(**params):
    return HistGradientBoostingClassifier(**{"max_iter": 20, "random_state": 0, **params})


def boosting(**params):
    return GradientBoostingClassifier(**{"n_estimators": 40, "random_state": 0, **params})


def xgboost_classifier(**params):
    xgboost = pytest.importorskip("xgboost")
    return xgboost.XGBClassifier(**{"n_estimators": 10, "n_jobs": 1, "random_state": 0, **params})


def lightgbm_classifier(**params):
    lightgbm = pytest.importorskip("lightgbm")
    defaults = {"n_estimators": 20, "n_jobs": 1, "verbose": -1, "random_state": 0}
    return lightgbm.LGBMClassifier(**{**defaults, **params})


def catboost_classifier(**params):
    catboost = pytest.importorskip("catboost")
    defaults = {"iterations": 20, "thread_count": 1, "verbose": False, "random_seed": 0}
    return catboost.CatBoostClassifier(**{**defaults, "allow_writing_files": False, **params})


def stacking():
    return StackingClassifier([("forest", forest()), ("bayes", GaussianNB())], cv=2)


def voting():
    return VotingClassifier([("forest", forest()), ("bayes", GaussianNB())], voting="soft")


#: Ensembles whose bootstraps are replayed.
BAGGED = {
    "RandomForest": forest,
    "RandomForest max_samples": lambda: forest(max_samples=0.4),
    "RandomForest balanced": lambda: forest(class_weight="balanced_subsample"),
    "RandomForest no bootstrap": lambda: forest(bootstrap=False),
    "ExtraTrees": lambda: ExtraTreesClassifier(25, bootstrap=True, random_state=1),
    "Bagging": lambda: BaggingClassifier(n_estimators=25, random_state=1),
    "Bagging columns": lambda: BaggingClassifier(
        n_estimators=25, max_features=0.5, max_samples=0.6, random_state=1
    ),
    "Bagging pasted": lambda: BaggingClassifier(
        n_estimators=25, bootstrap=False, max_samples=0.5, random_state=1
    ),
    "Bagging columns only": lambda: BaggingClassifier(
        n_estimators=25, bootstrap=False, max_features=0.5, random_state=1
    ),
    "Pipeline": lambda: make_pipeline(StandardScaler(), forest()),
}

#: What remembers numbers of rows, or sums of equal weights, of all its rows.
COUNTING = {
    **BAGGED,
    "DecisionTree": lambda: DecisionTreeClassifier(random_state=0),
    "GradientBoosting": boosting,
    "HistGradientBoosting": hist_boosting,
    "HistGradientBoosting weighted": lambda: hist_boosting(class_weight="balanced"),
    "LightGBM": lightgbm_classifier,
    "LightGBM balanced": lambda: lightgbm_classifier(class_weight="balanced"),
    "XGBoost": xgboost_classifier,
    "CatBoost": catboost_classifier,
    "CatBoost sampled": lambda: catboost_classifier(bootstrap_type="Bernoulli", subsample=0.5),
    "CatBoost lossguide": lambda: catboost_classifier(grow_policy="Lossguide"),
    "Pipeline LightGBM": lambda: make_pipeline(StandardScaler(), lightgbm_classifier()),
    "Voting": voting,
    "Stacking": stacking,
    "Search": lambda: GridSearchCV(hist_boosting(), {"max_leaf_nodes": [31]}, cv=2),
}

#: What can prove its rows, but not refute those of which it sampled few, or that it weighed.
HALF_SURE = {
    "LightGBM goss": lambda: lightgbm_classifier(data_sample_strategy="goss"),
    "GradientBoosting stopped": lambda: boosting(n_iter_no_change=3),
    "HistGradientBoosting stopped": lambda: hist_boosting(early_stopping=True),
    "LightGBM bagging_fraction": lambda: lightgbm_classifier(bagging_fraction=0.7, bagging_freq=1),
    "LightGBM by class": lambda: lightgbm_classifier(
        pos_bagging_fraction=0.9, neg_bagging_fraction=0.5, bagging_freq=1
    ),
    "XGBoost scale_pos_weight": lambda: xgboost_classifier(scale_pos_weight=3),
    "CatBoost balanced": lambda: catboost_classifier(auto_class_weights="Balanced"),
    "Calibrated": lambda: CalibratedClassifierCV(hist_boosting(), cv=5),
    "GradientBoosting subsample": lambda: boosting(subsample=0.2),
    "XGBoost subsample": lambda: xgboost_classifier(subsample=0.3),
    "XGBoost dart": lambda: xgboost_classifier(booster="dart", subsample=0.5),
    "AdaBoost": lambda: AdaBoostClassifier(n_estimators=20),
}

#: What cannot know.
UNSURE = {
    "XGBoost gblinear": lambda: xgboost_classifier(booster="gblinear"),
    "Bagging of naive Bayes": lambda: BaggingClassifier(GaussianNB(), random_state=0),
    "LogisticRegression": LogisticRegression,
    "Pipeline of naive Bayes": lambda: make_pipeline(StandardScaler(), GaussianNB()),
}

#: What has few thresholds that lie between close values, or none that are read.
WITHOUT_THRESHOLDS = ("ExtraTrees", "DecisionTree", "CatBoost lossguide", "Bagging columns only")

#: What refutes rows of columns of measurements that it was not fitted on.
REFUTING = [name for name in COUNTING if name not in WITHOUT_THRESHOLDS]

ALL = {**COUNTING, **HALF_SURE, **UNSURE}


def tables(n_samples=1500, n_classes=2):
    """Two tables of one population, with the positions of their classes."""
    X, codes = make_classification(
        2 * n_samples,
        n_features=6,
        n_informative=4,
        n_classes=n_classes,
        n_clusters_per_class=1,
        flip_y=0.1,
        random_state=0,
    )
    X = X.astype(np.float32).astype(np.float64)  # a float32 copy is the same
    return X[:n_samples], codes[:n_samples], X[n_samples:], codes[n_samples:]


@pytest.fixture(scope="module")
def fitted():
    """Fit every kind of ensemble once."""
    X, codes, _, _ = tables()
    models = {}

    def fit(name):
        if name not in models:
            models[name] = ALL[name]().fit(X, codes)
        return models[name]

    return fit


class TestProof:
    @pytest.mark.parametrize("name", [*COUNTING, *HALF_SURE])
    def test_the_rows_of_the_fit_are_proved(self, fitted, name):
        X, codes, _, _ = tables()
        assert proof_of_training_rows(fitted(name), X, codes) is PROVED
        assert proof_of_training_rows(FrozenEstimator(fitted(name)), X.copy(), codes) is PROVED

    @pytest.mark.parametrize("name", ALL)
    def test_the_rows_of_the_fit_are_never_refuted(self, fitted, name):
        X, codes, _, _ = tables()
        order = np.random.default_rng(0).permutation(len(X))
        for rows in (slice(None), slice(None, None, -1), order):
            assert proof_of_training_rows(fitted(name), X[rows], codes[rows]) is not REFUTED
            assert proof_of_training_rows(fitted(name), X[rows]) is not REFUTED
        assert proof_of_training_rows(fitted(name), X.astype(np.float32), codes) is not REFUTED

    @pytest.mark.parametrize("name", REFUTING)
    def test_other_rows_are_refuted(self, fitted, name):
        _, _, other, codes = tables()
        assert proof_of_training_rows(fitted(name), other, codes) is REFUTED

    @pytest.mark.parametrize("name", ALL)
    def test_other_rows_are_never_proved(self, fitted, name):
        _, _, other, codes = tables()
        for part in (slice(None), slice(700), slice(100)):
            assert proof_of_training_rows(fitted(name), other[part], codes[part]) is not PROVED

    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.parametrize("size", [1200, 750, 400, 150])
    def test_a_part_of_the_rows_of_the_fit_is_never_refuted(self, fitted, name, size):
        X, codes, _, _ = tables()
        part = np.random.default_rng(size).permutation(len(X))[:size]
        assert proof_of_training_rows(fitted(name), X[part], codes[part]) is not REFUTED
        assert proof_of_training_rows(fitted(name), X[:size]) is not REFUTED

    @pytest.mark.parametrize("name", ALL)
    def test_rows_of_the_fit_among_more_are_never_refuted(self, fitted, name):
        X, codes, other, more = tables()
        both, all_codes = np.concatenate([X, other]), np.concatenate([codes, more])
        assert proof_of_training_rows(fitted(name), both, all_codes) is not REFUTED
        noise = np.random.default_rng(0).normal(scale=0.1, size=(9, *X.shape))
        many = np.concatenate([X, *(other + noise).astype(np.float32)])
        assert proof_of_training_rows(fitted(name), many) is not REFUTED

    @pytest.mark.parametrize("make", [lambda: TargetEncoder(), lambda: SelectKBest(k=2)])
    def test_rows_behind_steps_that_learn_from_y_are_never_refuted(self, make):
        X, codes, _, _ = tables(600)
        X = X.round(1)
        for last in (forest(), hist_boosting()):
            teacher = make_pipeline(make(), last).fit(X, codes)
            assert proof_of_training_rows(teacher, X, codes) is not REFUTED
            inner = VotingClassifier([("a", clone(teacher))], voting="soft").fit(X, codes)
            assert proof_of_training_rows(inner, X, codes) is not REFUTED

    def test_nor_are_rows_that_a_sampler_has_added_to(self):
        sampler = pytest.importorskip("imblearn.over_sampling").SMOTE(random_state=0)
        pipeline = pytest.importorskip("imblearn.pipeline")
        X, codes, _, _ = tables(600)
        codes = codes * (X[:, 0] > 0)
        teacher = pipeline.make_pipeline(sampler, forest()).fit(X, codes)
        assert proof_of_training_rows(teacher, X, codes) is not REFUTED

    @pytest.mark.parametrize("name", UNSURE)
    def test_nobody_knows_where_nothing_is_remembered(self, fitted, name):
        X, codes, _, _ = tables()
        assert proof_of_training_rows(fitted(name), X, codes) is UNKNOWN

    @pytest.mark.parametrize(
        "name",
        ["RandomForest", "Bagging", "HistGradientBoosting", "LightGBM", "XGBoost", "CatBoost"],
    )
    def test_folds_of_the_rows_are_proved_and_so_are_these_and_more(self, fitted, name):
        X, codes, other, more = tables()
        fold = np.arange(len(X)) % 5 != 0
        assert proof_of_training_rows(fitted(name), X[fold], codes[fold]) is PROVED
        if name not in ("CatBoost", "XGBoost"):  # they remember sums of weights
            both = np.concatenate([X, other[:700]]), np.concatenate([codes, more[:700]])
            assert proof_of_training_rows(fitted(name), *both) is PROVED

    @pytest.mark.parametrize("name", [*COUNTING, *HALF_SURE])
    @pytest.mark.parametrize("share", [0.5, 0.75])
    def test_rows_of_which_many_are_of_the_fit_are_never_refuted(self, fitted, name, share):
        X, codes, other, other_codes = tables()
        n = int(share * len(X))
        rows = np.concatenate([X[:n], other[n:]])
        known = np.concatenate([codes[:n], other_codes[n:]])
        assert proof_of_training_rows(fitted(name), rows, known) is not REFUTED
        if name not in (*WITHOUT_THRESHOLDS, "AdaBoost"):
            assert proof_of_training_rows(fitted(name), rows, known) is PROVED

    @pytest.mark.parametrize("name", ["RandomForest", *(n for n in COUNTING if n not in BAGGED)])
    @pytest.mark.parametrize("decimals", [0, 9])
    def test_nor_are_later_rows_of_which_half_are_of_the_fit(self, name, decimals):
        X, codes, _, _ = tables()
        X = X.round(decimals)
        order = np.argsort(X[:, 0] + X[:, 1], kind="stable")
        earlier, later = order[:1000], order[500:]
        model = COUNTING[name]().fit(X[earlier], codes[earlier])
        for rows in (later, order[500:1000]):
            assert proof_of_training_rows(model, X[rows], codes[rows]) is not REFUTED

    @pytest.mark.parametrize("name", ["XGBoost", "CatBoost", "GradientBoosting", "LightGBM"])
    @pytest.mark.parametrize("decimals", [0, 9])
    def test_weights_of_zero_and_other_whole_weights_refute_nothing(self, name, decimals):
        X, codes, _, _ = tables()
        X = X.round(decimals)
        for times in (np.arange(len(X)) % 2, np.random.default_rng(0).poisson(1, len(X))):
            model = COUNTING[name]().fit(X, codes, sample_weight=times.astype(float))
            for rows in (slice(None), slice(700)):
                assert proof_of_training_rows(model, X[rows], codes[rows]) is not REFUTED

    @pytest.mark.parametrize("name", ["RandomForest", *(n for n in COUNTING if n not in BAGGED)])
    @pytest.mark.parametrize("as_copy", [np.float32, lambda X: X.round(4), lambda X: X // 5])
    def test_copies_of_many_rows_among_those_of_another_population_are_no_others(
        self, name, as_copy
    ):
        rng = np.random.default_rng(0)
        X = (
            np.exp(rng.normal(np.where(np.arange(1600) < 800, 0, 0.5)[:, None], 0.6, (1600, 6)))
            * 50
        )
        codes = (np.log(X[:, 0] * X[:, 1]) + rng.normal(0, 0.8, 1600) > 7.8).astype(int)
        fitted_on = as_copy(X) if as_copy(X).max() < 100 else X  # whole numbers are of the fit, too
        model = COUNTING[name]().fit(fitted_on[:800], codes[:800])
        for n in (480, 640):
            rows = np.r_[:n, 800 : 1600 - n]
            assert proof_of_training_rows(model, as_copy(X)[rows], codes[rows]) is not REFUTED

    @pytest.mark.parametrize("decimals", [0, 9])
    def test_models_that_go_on_with_others_are_never_refuted(self, decimals):
        X, codes, other, other_codes = tables()
        X, other = (20 * X).round(decimals), (20 * other).round(decimals)
        old = lightgbm_classifier().fit(X, codes)
        continued = lightgbm_classifier(n_estimators=100).fit(other, other_codes, init_model=old)
        warm = boosting(warm_start=True).fit(X, codes)
        warm.set_params(n_estimators=80).fit(other, other_codes)
        prefit = StackingClassifier([("a", old)], forest(), cv="prefit", passthrough=True)
        frozen = VotingClassifier([("a", FrozenEstimator(old)), ("b", KNeighborsClassifier(1))])
        for model in (continued, warm, *(m.fit(other, other_codes) for m in (prefit, frozen))):
            assert proof_of_training_rows(model, other, other_codes) is not REFUTED

    @pytest.mark.parametrize("name", ["GradientBoosting", "LightGBM", "XGBoost", "CatBoost"])
    def test_rows_between_those_of_the_fit_are_not_these(self, name):
        grid = np.stack(np.meshgrid(np.arange(40.0), np.arange(40.0)), -1).reshape(-1, 2)
        is_even = grid.sum(axis=1) % 2 == 0
        codes = (grid[:, 0] + 20 * np.random.default_rng(0).normal(size=len(grid)) > 20).astype(int)
        model = COUNTING[name]().fit(grid[is_even], codes[is_even])
        assert proof_of_training_rows(model, grid[is_even], codes[is_even]) is PROVED
        assert proof_of_training_rows(model, grid[~is_even], codes[~is_even]) is not PROVED

    @pytest.mark.parametrize("name", ["RandomForest", "LightGBM", "XGBoost", "GradientBoosting"])
    @pytest.mark.parametrize("n_fixed", [3, 6, 7])
    def test_customers_who_come_again_are_not_the_rows_of_the_fit(self, name, n_fixed):
        rng = np.random.default_rng(0)
        fixed = rng.normal(size=(1500, n_fixed))
        first, second = rng.normal(size=(2, 1500, 8 - n_fixed))
        codes = (fixed[:, 0] + first[:, 0] + rng.normal(size=1500) > 0).astype(int)
        model = COUNTING[name]().fit(np.hstack([fixed, first]), codes)
        assert proof_of_training_rows(model, np.hstack([fixed, second])) is not PROVED

    @pytest.mark.parametrize("name", ["XGBoost", "LightGBM", "HistGradientBoosting", "CatBoost"])
    def test_three_classes_prove_as_well(self, name):
        X, codes, other, other_codes = tables(1500, 3)
        model = COUNTING[name]().fit(X, codes)
        assert proof_of_training_rows(model, X, codes) is PROVED
        assert proof_of_training_rows(model, other, other_codes) is REFUTED

    @pytest.mark.parametrize("name", ["RandomForest", "GradientBoosting", "LightGBM", "XGBoost"])
    def test_weights_of_rows_refute_nothing(self, name):
        X, codes, other, _ = tables()
        weight = np.random.default_rng(0).exponential(size=len(X))
        model = COUNTING[name]().fit(X, codes, sample_weight=weight)
        assert proof_of_training_rows(model, X, codes) is not REFUTED
        assert proof_of_training_rows(model, other) is not PROVED
        whole = COUNTING[name]().fit(X, codes, sample_weight=np.arange(len(X)) % 3 + 1)
        assert proof_of_training_rows(whole, X, codes) is not REFUTED

    @pytest.mark.parametrize(
        "make",
        [
            lambda: RandomForestRegressor(25, random_state=1),
            lambda: ExtraTreesRegressor(25, bootstrap=True, random_state=1),
            lambda: BaggingRegressor(n_estimators=25, random_state=1),
            lambda: GradientBoostingRegressor(n_estimators=50),
            lambda: HistGradientBoostingRegressor(max_iter=20),
            lambda: DecisionTreeRegressor(max_depth=6),
            lambda: pytest.importorskip("xgboost").XGBRegressor(n_estimators=4, n_jobs=1),
            lambda: pytest.importorskip("lightgbm").LGBMRegressor(n_estimators=9, verbose=-1),
            lambda: pytest.importorskip("catboost").CatBoostRegressor(
                iterations=20, verbose=False, allow_writing_files=False
            ),
        ],
    )
    def test_regressors_prove_as_well(self, make):
        X, _, other, _ = tables()
        estimator = make().fit(X, X[:, 0] + X[:, 1] * X[:, 2] + X[:, 3] ** 2)
        assert proof_of_training_rows(estimator, X) is PROVED
        refutes = not isinstance(estimator, DecisionTreeRegressor | ExtraTreesRegressor)
        assert proof_of_training_rows(estimator, other) is (REFUTED if refutes else UNKNOWN)

    @pytest.mark.parametrize("name", ["RandomForest", "LightGBM", "XGBoost", "CatBoost"])
    def test_data_frames_prove_as_well(self, name):
        X, codes, other, _ = (
            pd.DataFrame(t, columns=list("abcdef")) if np.ndim(t) == 2 else t for t in tables()
        )
        X.index = X.index[::-1]
        estimator = COUNTING[name]().fit(X, codes)
        assert proof_of_training_rows(estimator, X, codes) is PROVED
        assert proof_of_training_rows(estimator, other) is REFUTED

    @pytest.mark.parametrize("make", [hist_boosting, lightgbm_classifier, catboost_classifier])
    def test_missing_cells_and_categories_prove_as_well(self, make):
        rng = np.random.default_rng(0)
        numbers = rng.normal(size=(2000, 2))
        numbers[rng.random(2000) < 0.2, 0] = np.nan
        frame = pd.DataFrame(numbers, columns=["a", "b"])
        frame["c"] = pd.Categorical(rng.choice(list("uvwxyz"), 2000))
        codes = (
            np.nan_to_num(numbers[:, 0])
            + frame["c"].isin(["u", "v"]).to_numpy()
            + rng.normal(size=2000)
            > 0.5
        ) * 1
        params = {"cat_features": ("c",)} if make is catboost_classifier else {}
        model = make(**params).fit(frame[:1000], codes[:1000])
        assert proof_of_training_rows(model, frame[:1000], codes[:1000]) is PROVED
        proof = proof_of_training_rows(model, frame[1000:], codes[1000:])
        assert proof is (UNKNOWN if make is catboost_classifier else REFUTED)  # of few leaves

    def test_pipelines_are_members_like_others(self):
        X, codes, other, _ = tables()
        steps = make_pipeline(StandardScaler(), hist_boosting())
        model = VotingClassifier([("a", steps), ("b", GaussianNB())], voting="soft").fit(X, codes)
        assert proof_of_training_rows(model, X, codes) is PROVED
        assert proof_of_training_rows(model, other) is REFUTED
        assert leaves_of(make_voting_of_forests().fit(X, codes), X).shape == (len(X), 50)

    def test_a_model_that_was_copied_proves_as_well(self, fitted):
        X, codes, _, _ = tables()
        assert proof_of_training_rows(copy.deepcopy(fitted("XGBoost")), X, codes) is PROVED


def make_voting_of_forests():
    pipelines = [(name, make_pipeline(StandardScaler(), forest())) for name in "ab"]
    return VotingClassifier(pipelines, voting="soft")


class TestReplay:
    @pytest.mark.parametrize("name", BAGGED)
    def test_the_rows_of_the_fit_replay_the_bootstraps(self, fitted, name):
        X, _, other, _ = tables()
        assert replays_bootstraps(fitted(name), X)
        assert not replays_bootstraps(fitted(name), other)
        assert not replays_bootstraps(fitted(name), X[:-40])

    @pytest.mark.parametrize(
        "name",
        [n for n in BAGGED if n not in ("RandomForest no bootstrap", "Bagging columns only")],
    )
    def test_permuted_rows_do_not(self, fitted, name):
        X, _, _, _ = tables()
        for seed in range(5):
            assert not replays_bootstraps(fitted(name), np.random.default_rng(seed).permutation(X))
        assert not replays_bootstraps(fitted(name), X[::-1])

    @pytest.mark.parametrize("max_depth", [1, 2])
    def test_nor_do_those_of_a_forest_of_stumps(self, max_depth):
        X, codes, _, _ = tables(200)
        estimator = forest(max_depth=max_depth).fit(X, codes)
        assert replays_bootstraps(estimator, X)
        orders = [np.random.default_rng(seed).permutation(X) for seed in range(50)]
        assert not any(replays_bootstraps(estimator, rows) for rows in orders)

    @pytest.mark.parametrize("name", BAGGED)
    def test_changed_rows_do_not(self, fitted, name):
        X, _, _, _ = tables()
        changed = X.copy()
        changed[::4] = np.roll(changed[::4], 1, axis=1)
        assert not replays_bootstraps(fitted(name), changed)

    @pytest.mark.parametrize("name", [name for name in BAGGED if name != "Bagging pasted"])
    def test_weights_do_not_hinder_them(self, name):
        X, codes, other, _ = tables()
        estimator = BAGGED[name]()
        step = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
        weight = np.random.default_rng(0).exponential(size=len(X))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "When fitting BaggingClassifier with sample_weight")
            estimator.fit(X, codes, **{f"{step}sample_weight": weight})
        assert replays_bootstraps(estimator, X)
        assert not replays_bootstraps(estimator, other)

    def test_weights_of_zero_do_not_either(self):
        X, codes, _, _ = tables()
        weight = np.where(np.arange(len(X)) % 5 == 0, 0.0, 1.0)
        estimator = forest().fit(X, codes, sample_weight=weight)
        assert replays_bootstraps(estimator, X)
        assert not replays_bootstraps(estimator, X[::-1])

    @pytest.mark.parametrize("name", ["RandomForest", "Bagging", "ExtraTrees"])
    def test_sparse_rows_replay_as_well(self, name):
        X, codes, _, _ = tables()
        X = sp.csr_matrix(np.where(np.abs(X) < 0.5, 0.0, X))
        estimator = BAGGED[name]().fit(X, codes)
        assert replays_bootstraps(estimator, X)
        assert not replays_bootstraps(estimator, X[::-1])

    @pytest.mark.parametrize("estimator", [hist_boosting(), LogisticRegression(), voting()])
    def test_other_models_have_no_bootstraps(self, estimator):
        X, codes, _, _ = tables(200)
        assert not replays_bootstraps(clone(estimator).fit(X, codes), X)


class TestWarning:
    """What the user hears of it."""

    def said(self, teacher, X, y, **params):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            model = DistilledClassifier(teacher, TreeStudentClassifier(8), **params).fit(X, y)
        return model, [str(w.message) for w in seen if "rows it labels" in str(w.message)] + [
            str(w.message) for w in seen if "cannot be known" in str(w.message)
        ]

    @pytest.mark.parametrize("name", [name for name in ALL if name not in BAGGED])
    def test_a_teacher_on_its_own_rows_is_always_named(self, fitted, name):
        X, codes, _, _ = tables()
        model, said = self.said(fitted(name), X, codes, random_state=0)
        assert model.labelling_ == "direct"
        assert len(said) == 1
        assert "labelling='cross_fit'" in said[0]
        _, said = self.said(fitted(name), X, codes, labelling="cross_fit", cv=2)
        assert said == []

    @pytest.mark.parametrize("name", [name for name in REFUTING if name not in BAGGED])
    def test_rows_that_are_proved_unseen_are_passed_over(self, fitted, name):
        _, _, other, codes = tables()
        _, said = self.said(fitted(name), other, codes, random_state=0)
        assert said == []

    def test_a_user_may_vouch_for_rows_of_which_nothing_is_known(self, fitted):
        X, codes, other, other_codes = tables()
        model = fitted("LogisticRegression")
        assert self.said(model, other, other_codes, labelling="direct")[1] == []
        assert len(self.said(fitted("XGBoost"), X, codes, labelling="direct")[1]) == 1

    def test_signs_of_memory_are_told_with_figures(self):
        X, codes, other, other_codes = tables()
        X, other = X.round(1), other.round(1)  # the thresholds tell nothing
        teacher = xgboost_classifier(n_estimators=100, subsample=0.3).fit(X, codes)
        assert "and this is likely: its log loss here is" in self.said(teacher, X, codes)[1][0]
        assert "looks like it" not in self.said(teacher, other, other_codes)[1][0]

    def test_folds_of_the_rows_of_a_forest_are_named_as_such(self, fitted):
        X, codes, _, _ = tables()
        fold = np.arange(len(X)) % 5 != 0
        model, said = self.said(fitted("RandomForest"), X[fold], codes[fold])
        assert model.labelling_ == "direct"
        assert "the folds of a cross-validation are only a part" in said[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: xgboost_classifier(n_estimators=30, scale_pos_weight=3),
        lambda: xgboost_classifier(n_estimators=30, subsample=0.5),
        lambda: lightgbm_classifier(n_estimators=30, bagging_fraction=0.5, bagging_freq=1),
        lambda: boosting(n_estimators=30, max_depth=6, subsample=0.5),
        lambda: hist_boosting(max_iter=30),
    ],
)
@pytest.mark.parametrize("rows", [slice(None), slice(700)])
def test_weights_of_several_teachers_trust_no_answers_that_may_be_known_by_heart(make, rows):
    X, codes, _, _ = tables()
    boosted = make().fit(X, codes)
    X, codes = X[rows], codes[rows]
    known = ("forest", forest().fit(X, codes))
    fitted_once = MultiTeacher([known, ("boosted", boosted)], weights="auto", cv=3).fit(X, codes)
    afresh = MultiTeacher([known, ("boosted", make())], weights="auto", cv=3).fit(X, codes)
    np.testing.assert_allclose(fitted_once.log_losses_, afresh.log_losses_)
    np.testing.assert_allclose(fitted_once.weights_, afresh.weights_)


def test_a_forest_that_grew_on_the_same_rows_in_another_order_is_not_replayed(rng):
    X = rng.normal(size=(300, 4))
    y, order = (X[:, 0] + 2 * rng.normal(size=300) > 0).astype(int), rng.permutation(300)
    model = RandomForestClassifier(10, warm_start=True, random_state=0).fit(X, y)
    assert replays_bootstraps(model, X)
    model.set_params(n_estimators=40).fit(X[order], y[order])
    assert not replays_bootstraps(model, X)


@pytest.mark.filterwarnings("ignore:The step 'frozenestimator' of the teacher learns from y")
def test_a_frozen_step_that_learned_from_y_is_noticed(rng):
    X, y = rng.normal(size=(300, 20)), rng.integers(0, 2, 300)
    for step, labelling in ((SelectKBest(k=2), "cross_fit"), (StandardScaler(), "oob")):
        teacher = make_pipeline(FrozenEstimator(step.fit(X, y)), RandomForestClassifier(30))
        model = DistilledClassifier(teacher, TreeStudentClassifier(4), label_correction=False, cv=2)
        assert model.fit(X, y).labelling_ == labelling


def test_a_model_of_chosen_columns_is_known_on_its_rows(rng):
    X = rng.normal(size=(600, 8))
    y = (X[:, 6] + X[:, 1] * X[:, 2] + rng.normal(size=600) > 0).astype(int)
    forest = RandomForestClassifier(20, random_state=0)
    model = RFE(forest, n_features_to_select=4).fit(X, y)
    assert proof_of_training_rows(model, X, y) is not Proof.REFUTED
    assert proof_of_training_rows(model, rng.normal(size=(600, 8)), y) is not Proof.PROVED


@pytest.mark.parametrize("tree", [None, DecisionTreeRegressor()])
def test_trees_of_adaboost_are_grown_on_drawn_rows(tree, rng):
    X = rng.normal(size=(600, 8))
    model = AdaBoostRegressor(tree, n_estimators=30, random_state=0)
    model.fit(X, X[:, 0] + rng.normal(size=600))
    assert proof_of_training_rows(model, X) is not Proof.REFUTED
