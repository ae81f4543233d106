import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification, make_regression
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler, TargetEncoder
from sklearn.random_projection import GaussianRandomProjection
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    TreeStudentClassifier,
    explain,
    fidelity_report,
)
from skdistill.estimators import as_last_step_sees, by_label, learns_from_y
from skdistill.soft_labels import proba_from_margins
from skdistill.teacher.asking import is_fitted, unfitted
from skdistill.teacher.fitting import (
    check_teacher,
    check_teacher_columns,
    fit_classifier,
    fit_regressor,
    wrap_fitted_classifier,
)
from skdistill.teacher.honest import (
    cross_fit,
    has_enough_members,
    has_out_of_bag,
    out_of_bag,
)
from skdistill.teacher.margins import (
    ClassifierTeacher,
    RegressorTeacher,
    check_probabilities,
    count_votes,
)
from skdistill.teacher.training_rows import replays_bootstraps

CLASSES = {
    "binary strings": np.array(["ash", "birch"]),
    "binary gaps": np.array([2, 5]),
    "three strings": np.array(["ash", "birch", "cedar"]),
    "three gaps": np.array([1, 2, 5]),
}


def xgboost_classifier(**params):
    xgboost = pytest.importorskip("xgboost")
    return xgboost.XGBClassifier(**{"n_estimators": 8, "max_depth": 3, "n_jobs": 1, **params})


def lightgbm_classifier(**params):
    lightgbm = pytest.importorskip("lightgbm")
    defaults = {"n_estimators": 8, "num_leaves": 7, "n_jobs": 1, "verbose": -1}
    return lightgbm.LGBMClassifier(**{**defaults, **params})


def catboost_classifier(**params):
    catboost = pytest.importorskip("catboost")
    defaults = {"iterations": 8, "depth": 3, "thread_count": 1, "verbose": False}
    return catboost.CatBoostClassifier(**{**defaults, "allow_writing_files": False, **params})


def forest(n_estimators=25, **params):
    return RandomForestClassifier(n_estimators, **{"random_state": 1, **params})


def hist_boosting(**params):
    return HistGradientBoostingClassifier(**{"max_iter": 8, "random_state": 0, **params})


def tree(**params):
    return DecisionTreeClassifier(**{"max_depth": 3, "random_state": 0, **params})


def voting():
    return VotingClassifier([("tree", tree()), ("bayes", GaussianNB())], voting="soft")


def stacking():
    return StackingClassifier([("tree", tree()), ("bayes", GaussianNB())], cv=2)


#: Vendor -> the classifier, and the votes of its floor: None where raw scores are exact (for two
#: classes, for three).
VENDORS = {
    "RandomForest": (forest, 25, 25),
    "ExtraTrees": (lambda: ExtraTreesClassifier(25, random_state=1), 25, 25),
    "Bagging": (lambda: BaggingClassifier(n_estimators=25, random_state=1), 25, 25),
    "GradientBoosting": (lambda: GradientBoostingClassifier(n_estimators=8), None, None),
    "GradientBoosting exponential": (
        lambda: GradientBoostingClassifier(n_estimators=8, loss="exponential"),
        1000,
        None,
    ),
    "HistGradientBoosting": (hist_boosting, None, None),
    "AdaBoost": (lambda: AdaBoostClassifier(n_estimators=8, random_state=0), None, 1000),
    "Voting": (voting, 1000, 1000),
    "Stacking": (stacking, None, None),
    "Calibrated": (lambda: CalibratedClassifierCV(tree(), cv=2), 1000, 1000),
    "DecisionTree": (tree, 1000, 1000),
    "LogisticRegression": (LogisticRegression, None, None),
    "GaussianNB": (GaussianNB, 1000, 1000),
    "XGBoost": (xgboost_classifier, None, None),
    "LightGBM": (lightgbm_classifier, None, None),
    "CatBoost": (catboost_classifier, None, None),
    "Pipeline forest": (lambda: make_pipeline(StandardScaler(), forest()), 25, 25),
    "Pipeline HistGB": (lambda: make_pipeline(StandardScaler(), hist_boosting()), None, None),
    "Pipeline XGBoost": (
        lambda: make_pipeline(StandardScaler(), xgboost_classifier()),
        None,
        None,
    ),
    "Frozen forest": (forest, 25, 25),
    "Frozen HistGB": (hist_boosting, None, None),
}


def labelled_rows(classes, n_samples=160, seed=0):
    X, codes = make_classification(
        n_samples,
        n_features=6,
        n_informative=4,
        n_classes=len(classes),
        n_clusters_per_class=1,
        flip_y=0.1,
        random_state=seed,
    )
    return X, classes[codes]


def new_rows(n_samples=160, seed=1):
    return np.random.default_rng(seed).normal(size=(n_samples, 6)) * 2


def shares(classes, y):
    mass = np.array([(y == label).sum() for label in classes])
    return (mass + 1 / len(classes)) / (len(y) + 1)


def uniform(classes):
    return np.full(len(classes), 1 / len(classes))


def wrapped(estimator, y):
    return wrap_fitted_classifier(estimator, np.unique(y), lambda classes: shares(classes, y))


class TestMargins:
    @pytest.mark.parametrize("labels", CLASSES)
    @pytest.mark.parametrize("vendor", VENDORS)
    def test_softmax_of_the_margins_is_the_vendors_own_predict_proba(self, vendor, labels):
        make, *votes = VENDORS[vendor]
        classes = CLASSES[labels]
        if len(classes) == 3 and "exponential" in vendor:
            pytest.skip("the exponential loss is for two classes")
        votes = votes[len(classes) - 2]
        X, y = labelled_rows(classes)
        estimator = make()
        estimator.fit(X, np.searchsorted(classes, y) if "XGBoost" in vendor else y)
        if "Frozen" in vendor:
            estimator = FrozenEstimator(estimator)
        prior = shares(classes, y)

        X = np.concatenate([X, new_rows()])
        margins = ClassifierTeacher(estimator, classes, classes, prior).margins(X)

        expected = estimator.predict_proba(X).astype(np.float64)
        if votes is not None:
            expected = np.maximum(expected, prior / (votes + 1))
        expected /= expected.sum(axis=1, keepdims=True)
        assert margins.dtype == np.float64
        assert_allclose(proba_from_margins(margins), expected, rtol=0, atol=1e-5)
        if len(classes) == 2:
            assert_array_equal(margins[:, 0], 0.0)

    def test_raw_scores_are_used_where_probabilities_saturate(self):
        X = np.random.default_rng(0).uniform(-1, 1, size=(400, 2))
        y = (X.sum(axis=1) > 0).astype(int)
        teacher = hist_boosting(learning_rate=3.0, max_iter=10).fit(X, y)
        saturated = teacher.predict_proba(X)[:, 1] == 1.0
        margins = wrapped(teacher, y).margins(X)
        assert len(np.unique(margins[saturated, 1])) > 20
        assert_array_equal(margins[:, 1], teacher.decision_function(X))

    @pytest.mark.parametrize("labels", ["binary gaps", "three strings"])
    @pytest.mark.parametrize(
        ("make", "raw"),
        [
            (hist_boosting, lambda m, X: m.decision_function(X)),
            (
                lambda: GradientBoostingClassifier(n_estimators=5),
                lambda m, X: m.decision_function(X),
            ),
            (LogisticRegression, lambda m, X: m.decision_function(X)),
            (lightgbm_classifier, lambda m, X: m.predict(X, raw_score=True)),
            (catboost_classifier, lambda m, X: m.predict(X, prediction_type="RawFormulaVal")),
        ],
    )
    def test_margins_are_the_vendors_raw_scores(self, make, raw, labels):
        X, y = labelled_rows(CLASSES[labels])
        teacher = make().fit(X, y)
        margins = wrapped(teacher, y).margins(X)
        assert_array_equal(margins[:, 1] if margins.shape[1] == 2 else margins, raw(teacher, X))

    def test_xgboost_margins_are_its_raw_scores(self):
        X, y = labelled_rows(CLASSES["three gaps"])
        teacher = fit_classifier(xgboost_classifier(), X, y, None, np.unique(y), uniform(set(y)))
        raw = teacher.estimator.predict(X, output_margin=True)
        assert_array_equal(teacher.margins(X), raw)

    def test_a_decision_function_that_is_no_log_odds_is_not_used(self):
        class Doubled(LogisticRegression):
            def decision_function(self, X):
                return 2 * super().decision_function(X)

            def predict_proba(self, X):
                odds = np.exp(super().decision_function(X))
                return np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)

        X, y = labelled_rows(CLASSES["binary gaps"])
        teacher = Doubled(C=0.01).fit(X, y)  # so flat that nothing is near the floor
        margins = wrapped(teacher, y).margins(X)
        assert_allclose(margins[:, 1], teacher.decision_function(X) / 2, atol=1e-9)

    def test_zeros_of_a_forest_rise_to_the_class_share_over_one_more_than_its_votes(self):
        X, y = labelled_rows(CLASSES["three gaps"])
        teacher = wrapped(forest(9).fit(X, y), y)
        prior = np.array([0.5, 0.3, 0.2])
        teacher = ClassifierTeacher(teacher.estimator, teacher.labels, teacher.classes, prior)
        margins = teacher.margins_of(np.array([[1.0, 0.0, 0.0]]))
        assert_allclose(np.exp(margins[0] - margins[0, 0]), [1.0, 0.3 / 10, 0.2 / 10])

    def test_margins_of_a_class_the_teacher_never_saw_are_at_the_floor(self):
        X, y = labelled_rows(CLASSES["binary strings"])
        classes = CLASSES["three strings"]
        prior = np.array([0.6, 0.3, 0.1])
        teacher = ClassifierTeacher(forest().fit(X, y), np.unique(y), classes, prior)
        proba = teacher.estimator.predict_proba(X)
        sure = (proba > prior[:2] / 26).all(axis=1)
        margins = teacher.margins(X)
        assert sure.any()
        assert_allclose(
            margins[sure, 2] - margins[sure, 0], np.log(0.1 / 26) - np.log(proba[sure, 0])
        )

    def test_columns_follow_the_order_of_the_classes_not_that_of_the_labels(self):
        X, y = labelled_rows(CLASSES["three strings"])
        classes = np.unique(y)
        estimator = forest().fit(X, y)

        class Reversed:
            def predict_proba(self, X):
                return estimator.predict_proba(X)[:, ::-1]

        prior = uniform(classes)
        straight = ClassifierTeacher(estimator, classes, classes, prior).margins(X)
        teacher = ClassifierTeacher(Reversed(), classes[::-1], classes, prior)
        assert_allclose(np.argmax(teacher.margins(X), axis=1), np.argmax(straight, axis=1))

    def test_a_teacher_of_one_class_answers_with_zeros(self):
        X, _ = labelled_rows(CLASSES["binary gaps"])
        teacher = fit_classifier(forest(), X, np.full(len(X), "only"), None, ["only"], [1.0])
        classes = np.array(["only"])
        teacher = ClassifierTeacher(teacher.estimator, classes, classes, np.ones(1))
        assert_array_equal(teacher.margins(X), np.zeros((len(X), 1)))

    @pytest.mark.parametrize(
        ("estimator", "votes"),
        [
            (forest(7), 7),
            (make_pipeline(StandardScaler(), BaggingClassifier(n_estimators=6)), 6),
            (GradientBoostingClassifier(n_estimators=5), 1000),
            (GaussianNB(), 1000),
        ],
    )
    def test_votes_are_the_members_that_are_averaged(self, estimator, votes):
        X, y = labelled_rows(CLASSES["binary gaps"])
        assert count_votes(estimator.fit(X, y)) == votes

    def test_predictions_of_a_regressor_are_its_margins(self):
        X, y = make_regression(60, 4, random_state=0)
        teacher = RegressorTeacher(RandomForestRegressor(5).fit(X, y))
        assert_array_equal(teacher.margins(X), teacher.estimator.predict(X)[:, None])

    @pytest.mark.parametrize(
        ("predictions", "message"),
        [
            (np.ones((3, 2)), "predicted 2 values per row"),
            (np.array([1.0, np.nan, 2.0]), "NaN or infinity for 1 of 3"),
            (np.array([1.0, np.inf, np.inf]), "NaN or infinity for 2 of 3"),
        ],
    )
    def test_impossible_predictions_of_a_regressor_raise(self, predictions, message):
        with pytest.raises(ValueError, match=f"LinearRegression.*{message}"):
            RegressorTeacher(LinearRegression()).margins_of(predictions)


class TestCheckProbabilities:
    def test_good_probabilities_come_back_as_float64_rows_that_sum_to_one(self):
        proba = np.array([[0.25, 0.75], [0.5, 0.5003]], dtype=np.float32)
        checked = check_probabilities(GaussianNB(), proba, np.arange(2))
        assert checked.dtype == np.float64
        assert_allclose(checked.sum(axis=1), 1.0, rtol=1e-15)

    @pytest.mark.parametrize(
        ("proba", "message"),
        [
            ([[0.5, np.nan], [0.5, 0.5]], r"NaN or infinity for 1 of 2 rows"),
            ([[0.5, np.inf], [0.5, np.nan]], r"NaN or infinity for 2 of 2 rows"),
            ([[1.2, -0.2], [0.5, 0.5]], r"negative values, down to -0\.2"),
            ([[3.0, -2.5], [0.5, 0.5]], r"logits or log-odds"),
            ([[0.7, 0.7], [0.5, 0.5]], r"a row that sums to 1\.4"),
            ([[0.2, 0.3, 0.5]], r"shape \(1, 3\); \(n_samples, 2\)"),
            ([0.2, 0.8], r"shape \(2,\); \(n_samples, 2\)"),
        ],
    )
    def test_impossible_probabilities_raise_and_name_the_teacher(self, proba, message):
        with pytest.raises(ValueError, match=f"teacher GaussianNB returned.*{message}"):
            check_probabilities(make_pipeline(StandardScaler(), GaussianNB()), proba, np.arange(2))

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (lambda proba: np.where(proba > 0.5, np.nan, proba), "NaN"),
            (lambda proba: proba - 0.5, "negative"),
            (lambda proba: proba * 2, "sums to 2"),
            (lambda proba: proba[:, :1], "one column per class"),
        ],
    )
    def test_a_distiller_refuses_a_teacher_with_such_answers(self, answer, message):
        class Broken(GaussianNB):
            def predict_proba(self, X):
                return answer(super().predict_proba(X))

        X, y = labelled_rows(CLASSES["binary gaps"])
        with pytest.raises(ValueError, match=f"teacher Broken returned.*{message}"):
            DistilledClassifier(Broken().fit(X, y)).fit(X, y)


class TestFitClassifier:
    ALL = [
        "RandomForest",
        "GradientBoosting",
        "HistGradientBoosting",
        "LogisticRegression",
        "Voting",
        "Stacking",
        "XGBoost",
        "Pipeline XGBoost",
        "LightGBM",
        "CatBoost",
    ]

    @pytest.mark.parametrize("labels", CLASSES)
    @pytest.mark.parametrize("vendor", ALL)
    def test_any_labels_can_be_learned(self, vendor, labels):
        classes = CLASSES[labels]
        X, y = labelled_rows(classes)
        teacher = fit_classifier(VENDORS[vendor][0](), X, y, None, classes, uniform(classes))
        predicted = classes[np.argmax(teacher.margins(X), axis=1)]
        assert (predicted == y).mean() > 0.75

    @pytest.mark.parametrize("labels", ["three strings", "three gaps"])
    @pytest.mark.parametrize("vendor", ALL)
    def test_a_class_missing_from_the_rows_keeps_its_column(self, vendor, labels):
        classes = CLASSES[labels]
        X, y = labelled_rows(classes)
        present = y != classes[1]
        prior = uniform(classes)
        make = VENDORS[vendor][0]
        teacher = fit_classifier(make(), X[present], y[present], None, classes, prior)
        margins = teacher.margins(X[present])
        assert margins.shape == (present.sum(), 3)
        assert (np.argmax(margins, axis=1) != 1).all()
        assert (classes[np.argmax(margins, axis=1)] == y[present]).mean() > 0.75

    @pytest.mark.parametrize("make", [forest, hist_boosting, xgboost_classifier])
    def test_one_class_gives_a_constant_teacher_in_place_of_the_ensemble(self, make):
        classes = CLASSES["three gaps"]
        X, _ = labelled_rows(classes)
        y = np.full(len(X), 2)
        prior = np.array([0.2, 0.5, 0.3])
        teacher = fit_classifier(make(), X, y, np.ones(len(X)), classes, prior)
        margins = teacher.margins(new_rows())
        assert_array_equal(margins, np.broadcast_to(margins[0], margins.shape))
        assert np.argmax(margins[0]) == 1

    @pytest.mark.parametrize(
        "vendor",
        [
            "RandomForest",
            "HistGradientBoosting",
            "LogisticRegression",
            "Voting",
            "Stacking",
            "Pipeline forest",
            "XGBoost",
            "Pipeline XGBoost",
            "LightGBM",
            "CatBoost",
        ],
    )
    def test_weights_reach_the_teacher(self, vendor):
        classes = CLASSES["three gaps"]
        X, y = labelled_rows(classes)
        weight = np.random.default_rng(0).exponential(size=len(y)) * np.where(y == 5, 5.0, 1.0)
        teacher = fit_classifier(VENDORS[vendor][0](), X, y, weight, classes, uniform(classes))

        direct = VENDORS[vendor][0]()
        codes = np.searchsorted(classes, y)
        name = "sample_weight"
        if isinstance(direct, Pipeline):
            name = f"{direct.steps[-1][0]}__sample_weight"
        direct.fit(X, codes if "XGBoost" in vendor else y, **{name: weight})
        assert_allclose(
            teacher.estimator.predict_proba(X), direct.predict_proba(X), rtol=1e-6, atol=1e-9
        )
        unweighted = fit_classifier(VENDORS[vendor][0](), X, y, None, classes, uniform(classes))
        assert np.abs(teacher.margins(X) - unweighted.margins(X)).max() > 0.05

    def test_a_teacher_that_takes_no_weights_is_named_if_there_are_some(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        args = (np.unique(y), np.full(2, 0.5))
        with pytest.raises(TypeError, match="KNeighborsClassifier does not take sample_weight"):
            fit_classifier(KNeighborsClassifier(), X, y, np.ones(len(y)), *args)
        pipeline = make_pipeline(StandardScaler(), KNeighborsClassifier())
        with pytest.raises(TypeError, match="KNeighborsClassifier does not take sample_weight"):
            fit_classifier(pipeline, X, y, np.ones(len(y)), *args)
        assert is_fitted(fit_classifier(pipeline, X, y, None, *args).estimator)

    def test_class_weights_need_no_teacher_that_takes_weights(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        model = DistilledClassifier(KNeighborsClassifier(), class_weight="balanced").fit(X, y)
        assert model.predict_proba(X).shape == (len(X), 2)

    def test_the_teacher_passed_is_not_fitted_itself(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        given = forest()
        fit_classifier(given, X, y, None, np.unique(y), np.full(2, 0.5))
        assert not is_fitted(given)

    def test_a_fit_of_its_own_is_ignored(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        given = FrozenEstimator(forest().fit(X, y[::-1]))
        teacher = fit_classifier(given, X, y, None, np.unique(y), np.full(2, 0.5))
        expected = forest().fit(X, y).predict_proba(X)
        assert_array_equal(teacher.estimator.predict_proba(X), expected)

    def test_a_regressor_is_fitted_with_its_weights(self):
        X, y = make_regression(80, 4, noise=50, random_state=0)
        weight = np.random.default_rng(0).exponential(size=80)
        teacher = fit_regressor(make_pipeline(StandardScaler(), LinearRegression()), X, y, weight)
        expected = LinearRegression().fit(X, y, weight).predict(X)
        assert_allclose(teacher.margins(X)[:, 0], expected)

    def test_classes_that_a_fitted_teacher_does_not_know_raise(self):
        X, y = labelled_rows(CLASSES["binary strings"])
        with pytest.raises(ValueError, match=r"y holds \['cedar'\], which the fitted teacher does"):
            wrapped(forest().fit(X, y), np.array(["ash", "cedar"]))

    def test_classes_that_only_a_fitted_teacher_knows_are_kept(self):
        X, y = labelled_rows(CLASSES["three strings"])
        teacher = forest().fit(X, y)
        some = y != "birch"
        with pytest.warns(UserWarning, match="on a part of them"):
            model = DistilledClassifier(teacher).fit(X[some], y[some])
        assert_array_equal(model.classes_, CLASSES["three strings"])
        assert model.predict_proba(X).shape == (len(X), 3)


class TestIsFitted:
    @pytest.mark.parametrize(
        "vendor", [name for name in VENDORS if "Frozen" not in name and "exp" not in name]
    )
    def test_an_estimator_is_fitted_after_fit_and_not_before(self, vendor):
        X, y = labelled_rows(np.array([0, 1]))
        estimator = VENDORS[vendor][0]()
        assert not is_fitted(estimator)
        assert not is_fitted(FrozenEstimator(estimator))
        estimator.fit(X, y)
        assert is_fitted(estimator)
        assert is_fitted(FrozenEstimator(estimator))
        assert not is_fitted(unfitted(FrozenEstimator(estimator)))
        assert is_fitted(estimator)

    def test_a_grid_search_is_fitted_after_fit(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        search = GridSearchCV(tree(), {"max_depth": [2, 3]}, cv=2)
        assert not is_fitted(search)
        assert is_fitted(search.fit(X, y))


class TestCheckTeacher:
    @pytest.mark.parametrize(
        ("teacher", "message"),
        [
            (RandomForestClassifier, "the class RandomForestClassifier; an instance was expected"),
            ("forest", "'forest'; a classifier with fit and predict"),
            (None, "None; a classifier with fit and predict"),
            (StandardScaler(), r"a StandardScaler; a classifier with fit and predict"),
            (RandomForestRegressor(), "the regressor RandomForestRegressor.*DistilledRegressor"),
            (
                make_pipeline(StandardScaler(), LinearRegression()),
                "the regressor LinearRegression",
            ),
            (KMeans(2), "KMeans, which is no classifier"),
            (LinearSVC(), "LinearSVC without predict_proba"),
            (SVC(), "SVC without predict_proba.*CalibratedClassifierCV"),
            (
                VotingClassifier([("tree", tree())], voting="hard"),
                "VotingClassifier without predict_proba.*voting='soft'",
            ),
            (
                StackingClassifier([("tree", tree())], final_estimator=LinearSVC()),
                "StackingClassifier without predict_proba",
            ),
        ],
    )
    def test_what_cannot_teach_classes_is_named(self, teacher, message):
        with pytest.raises(TypeError, match=message):
            check_teacher(teacher, "classifier")
        X, y = labelled_rows(CLASSES["binary gaps"])
        with pytest.raises(TypeError, match=message):
            DistilledClassifier(teacher).fit(X, y)

    @pytest.mark.parametrize(
        ("teacher", "message"),
        [
            (RandomForestRegressor, "the class RandomForestRegressor; an instance was expected"),
            (forest(), "the classifier RandomForestClassifier.*DistilledClassifier"),
            (KMeans(2), "the clusterer KMeans"),
            (3, "3; a regressor with fit and predict"),
        ],
    )
    def test_what_cannot_teach_values_is_named(self, teacher, message):
        with pytest.raises(TypeError, match=message):
            check_teacher(teacher, "regressor")
        X, y = make_regression(40, 4, random_state=0)
        with pytest.raises(TypeError, match=message):
            DistilledRegressor(teacher).fit(X, y)

    @pytest.mark.parametrize("vendor", VENDORS)
    def test_classifiers_with_probabilities_are_accepted_unfitted_and_fitted(self, vendor):
        X, y = labelled_rows(np.array([0, 1]))
        teacher = VENDORS[vendor][0]()
        check_teacher(teacher, "classifier")
        check_teacher(teacher.fit(X, y), "classifier")
        check_teacher(FrozenEstimator(teacher), "classifier")

    def test_a_grid_search_over_a_forest_is_accepted(self):
        check_teacher(GridSearchCV(forest(), {"max_depth": [2]}), "classifier")


class TestCheckTeacherColumns:
    def frames(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        return pd.DataFrame(X, columns=list("abcdef")), y

    def test_another_width_names_both_numbers(self):
        X, y = self.frames()
        teacher = forest().fit(X.to_numpy(), y)
        message = "X has 5 columns, but the fitted teacher was fitted on 6"
        with pytest.raises(ValueError, match=message):
            check_teacher_columns(teacher, X.to_numpy()[:, :5])
        with pytest.raises(ValueError, match=message):
            DistilledClassifier(teacher).fit(X.to_numpy()[:, :5], y)

    def test_other_names_are_named(self):
        X, y = self.frames()
        teacher = make_pipeline(StandardScaler(), forest()).fit(X, y)
        other = X.rename(columns={"c": "z"})
        with pytest.raises(ValueError, match=r"Column 2 of X is 'z', but .* fitted on 'c'"):
            check_teacher_columns(teacher, other)

    @pytest.mark.parametrize("make", [forest, lightgbm_classifier, hist_boosting])
    def test_another_order_names_the_first_column_that_differs(self, make):
        X, y = self.frames()
        teacher = make().fit(X, y)
        other = X[["a", "c", "b", "d", "e", "f"]]
        with pytest.raises(ValueError, match=r"Column 1 of X is 'c', but .* fitted on 'b'"):
            check_teacher_columns(teacher, other)
        with pytest.raises(ValueError, match=r"Column 1 of X is 'c', but .* fitted on 'b'"):
            DistilledClassifier(teacher).fit(other, y)

    def test_xgboost_in_another_order_is_refused(self):
        X, y = self.frames()
        teacher = xgboost_classifier().fit(X, np.searchsorted([2, 5], y))
        with pytest.raises(ValueError, match=r"Column 0 of X is 'b'"):
            check_teacher_columns(teacher, X[["b", "a", "c", "d", "e", "f"]])

    def test_lightgbm_fitted_on_arrays_may_be_asked_with_a_frame(self):
        X, y = self.frames()
        teacher = lightgbm_classifier().fit(X.to_numpy(), y)
        check_teacher_columns(teacher, X)
        model = DistilledClassifier(teacher, labelling="cross_fit").fit(X, y)
        assert_array_equal(model.feature_names_in_, list("abcdef"))

    def test_the_right_columns_pass(self):
        X, y = self.frames()
        check_teacher_columns(forest().fit(X, y), X)
        check_teacher_columns(forest().fit(X, y), X.to_numpy())
        check_teacher_columns(forest().fit(X.to_numpy(), y), X)


def out_of_bag_margins(estimator, X, y, **params):
    answers, voted = out_of_bag(wrapped(estimator, y), X, **params)
    return answers.margins(), voted


class TestOutOfBag:
    @pytest.mark.parametrize("labels", ["binary strings", "three gaps"])
    @pytest.mark.parametrize(
        "make",
        [
            forest,
            lambda **p: forest(max_samples=0.5, **p),
            lambda **p: forest(class_weight="balanced_subsample", **p),
            lambda **p: ExtraTreesClassifier(25, bootstrap=True, random_state=1, **p),
            lambda **p: BaggingClassifier(n_estimators=25, random_state=1, **p),
            lambda **p: BaggingClassifier(
                n_estimators=25, max_features=0.5, max_samples=0.7, random_state=1, **p
            ),
            lambda **p: BaggingClassifier(
                GaussianNB(), n_estimators=25, bootstrap_features=True, random_state=1, **p
            ),
            lambda **p: BaggingClassifier(
                KNeighborsClassifier(3), n_estimators=25, random_state=1, **p
            ),
        ],
    )
    def test_it_is_the_vendors_own_out_of_bag_answer(self, make, labels):
        classes = CLASSES[labels]
        X, y = labelled_rows(classes)
        estimator = make(oob_score=True).fit(X, y)
        margins, voted = out_of_bag_margins(estimator, X, y)
        floor = shares(classes, y) / 26
        expected = np.maximum(estimator.oob_decision_function_, floor)
        expected /= expected.sum(axis=1, keepdims=True)
        assert voted.all()
        assert_allclose(proba_from_margins(margins), expected, rtol=1e-9)
        direct = wrapped(estimator, y).margins(X)
        assert np.abs(proba_from_margins(direct) - expected).max() > 0.1

    @pytest.mark.parametrize(
        "make",
        [
            lambda: RandomForestRegressor(25, oob_score=True, random_state=1),
            lambda: RandomForestRegressor(25, oob_score=True, max_samples=0.6, random_state=1),
            lambda: ExtraTreesRegressor(25, oob_score=True, bootstrap=True, random_state=1),
            lambda: BaggingRegressor(n_estimators=25, oob_score=True, random_state=1),
            lambda: BaggingRegressor(
                n_estimators=25, oob_score=True, max_features=0.5, random_state=1
            ),
        ],
    )
    def test_it_is_the_regressors_own_out_of_bag_prediction(self, make):
        X, y = make_regression(100, 6, noise=10, random_state=0)
        estimator = make().fit(X, y)
        answers, voted = out_of_bag(RegressorTeacher(estimator), X)
        assert voted.all()
        assert_allclose(answers.margins()[:, 0], estimator.oob_prediction_, rtol=1e-9)

    @pytest.mark.parametrize("to_sparse", [sp.csr_matrix, sp.csc_matrix])
    @pytest.mark.parametrize(
        "make",
        [forest, lambda: BaggingClassifier(n_estimators=25, max_features=0.5, random_state=1)],
    )
    def test_sparse_rows_give_the_same(self, make, to_sparse):
        X, y = labelled_rows(CLASSES["three gaps"])
        X = np.where(np.abs(X) < 0.7, 0.0, X)
        estimator = make().fit(X, y)
        dense, _ = out_of_bag_margins(estimator, X, y)
        assert_array_equal(out_of_bag_margins(estimator, to_sparse(X), y)[0], dense)

    @pytest.mark.parametrize("make", [forest, lambda: BaggingClassifier(random_state=1)])
    def test_threads_give_the_same(self, make):
        X, y = labelled_rows(CLASSES["three gaps"])
        estimator = make().fit(X, y)
        alone, _ = out_of_bag_margins(estimator, X, y)
        assert_allclose(out_of_bag_margins(estimator, X, y, n_jobs=2)[0], alone, rtol=1e-12)

    @pytest.mark.parametrize(
        "make", [forest, lambda: BaggingClassifier(n_estimators=25, random_state=1)]
    )
    def test_data_frames_give_the_same(self, make):
        X, y = labelled_rows(CLASSES["three strings"])
        frame = pd.DataFrame(X, columns=list("abcdef"), index=np.arange(len(X))[::-1])
        by_array, _ = out_of_bag_margins(make().fit(X, y), X, y)
        by_frame, _ = out_of_bag_margins(make().fit(frame, y), frame, y)
        assert_array_equal(by_frame, by_array)

    def test_pipelines_and_frozen_forests_give_the_same(self):
        X, y = labelled_rows(CLASSES["three strings"])
        scaler = StandardScaler().fit(X)
        inner = forest().fit(scaler.transform(X), y)
        expected, _ = out_of_bag_margins(inner, scaler.transform(X), y)
        for estimator in (
            make_pipeline(StandardScaler(), forest()).fit(X, y),
            FrozenEstimator(make_pipeline(StandardScaler(), forest()).fit(X, y)),
            make_pipeline(FrozenEstimator(scaler), FrozenEstimator(inner)),
        ):
            assert_array_equal(out_of_bag_margins(estimator, X, y)[0], expected)

    def test_missing_values_are_left_to_the_forest(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        X[::3, 1] = np.nan
        estimator = forest(oob_score=True).fit(X, y)
        margins, _ = out_of_bag_margins(estimator, X, y)
        expected = np.maximum(estimator.oob_decision_function_, shares([2, 5], y) / 26)
        expected /= expected.sum(axis=1, keepdims=True)
        assert_allclose(proba_from_margins(margins), expected, rtol=1e-9)

    def test_a_weighted_forest_replays_its_weighted_bags(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        weight = np.random.default_rng(0).exponential(size=len(y))
        estimator = forest(60, oob_score=True, max_samples=0.5).fit(X, y, sample_weight=weight)
        margins, voted = out_of_bag_margins(estimator, X, y)
        expected = np.maximum(estimator.oob_decision_function_, shares([2, 5], y) / 61)
        expected /= expected.sum(axis=1, keepdims=True)
        assert voted.all()
        assert_allclose(proba_from_margins(margins), expected, rtol=1e-9)

    def test_rows_without_votes_are_marked_and_answered_by_the_whole_forest(self):
        X, y = labelled_rows(CLASSES["three gaps"])
        estimator = forest(5).fit(X, y)
        in_bag = np.zeros((len(X), 5), dtype=bool)
        for m, bag in enumerate(estimator.estimators_samples_):
            in_bag[bag, m] = True
        margins, voted = out_of_bag_margins(estimator, X, y)
        assert 0 < voted.sum() < len(X)
        assert_array_equal(voted, ~in_bag.all(axis=1))
        direct = wrapped(estimator, y).margins(X)
        assert_array_equal(margins[~voted], direct[~voted])
        assert np.abs(margins[voted] - direct[voted]).max() > 1

    def test_a_forest_without_any_votes_answers_itself(self):
        X, y = labelled_rows(np.array([2, 5]), 4)
        estimator = next(
            estimator
            for estimator in (forest(1, random_state=seed).fit(X, y) for seed in range(1000))
            if len(set(estimator.estimators_samples_[0])) == 4
        )
        margins, voted = out_of_bag_margins(estimator, X, y)
        assert not voted.any()
        assert_array_equal(margins, wrapped(estimator, y).margins(X))

    @pytest.mark.parametrize(
        ("estimator", "expected"),
        [
            (forest(), True),
            (forest(bootstrap=False), False),
            (ExtraTreesClassifier(), False),
            (ExtraTreesRegressor(bootstrap=True), True),
            (make_pipeline(StandardScaler(), FrozenEstimator(forest())), True),
            (BaggingClassifier(), True),
            (BaggingClassifier(bootstrap=False), False),
            (BaggingClassifier(LinearSVC()), False),  # its members vote with labels
            (BaggingRegressor(), True),
            (hist_boosting(), False),
            (voting(), False),
        ],
    )
    def test_only_bootstrapped_ensembles_have_it(self, estimator, expected):
        assert has_out_of_bag(estimator) is expected

    def test_twenty_members_are_enough(self):
        assert has_enough_members(make_pipeline(StandardScaler(), forest(20)))
        assert not has_enough_members(forest(19))


class Memoriser(ClassifierMixin, BaseEstimator):
    """Answers 1 - 1e-9 for the class `seen` on the rows it was fitted on, else even odds."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.rows_ = {row.tobytes() for row in X}
        return self

    def predict_proba(self, X):
        seen = np.array([row.tobytes() in self.rows_ for row in X])
        proba = np.full((len(X), len(self.classes_)), 1 / len(self.classes_))
        proba[seen] = np.eye(len(self.classes_))[0]
        return proba

    def predict(self, X):
        return self.classes_[np.argmax(self.predict_proba(X), axis=1)]


class TestCrossFit:
    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_every_row_is_answered_by_a_model_that_was_not_fitted_on_it(self, n_jobs):
        X, y = labelled_rows(CLASSES["three gaps"])
        classes = np.unique(y)

        def fit(X, y, weight):
            return fit_classifier(Memoriser(), X, y, weight, classes, uniform(classes))

        assert np.ptp(fit(X, y, None).margins(X), axis=1).min() > 1  # it does memorise
        splits = list(KFold(4, shuffle=True, random_state=0).split(X))
        margins = cross_fit(fit, X, y, None, splits, n_jobs).margins()
        assert_allclose(proba_from_margins(margins), 1 / 3)

    def test_a_distiller_asks_no_clone_about_its_own_rows(self):
        X, y = labelled_rows(CLASSES["three gaps"])
        model = DistilledClassifier(
            Memoriser(), Recorder(), labelling="cross_fit", label_correction=False
        ).fit(X, y)
        assert model.labelling_ == "cross_fit"
        assert_allclose(proba_from_margins(model.student_.transfer_set_.margins), 1 / 3)

    @pytest.mark.parametrize("make", [forest, xgboost_classifier])
    def test_every_fold_answers_as_a_teacher_fitted_on_the_others(self, make):
        X, y = labelled_rows(CLASSES["three strings"])
        classes = np.unique(y)
        weight = np.random.default_rng(0).exponential(size=len(y))

        def fit(X, y, weight):
            return fit_classifier(make(), X, y, weight, classes, uniform(classes))

        splits = list(KFold(3).split(X))
        margins = cross_fit(fit, X, y, weight, splits).margins()
        for train, test in splits:
            expected = fit(X[train], y[train], weight[train]).margins(X[test])
            assert_array_equal(margins[test], expected)

    def test_data_frames_stay_frames(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        frame = pd.DataFrame(X, columns=list("abcdef"), index=list(range(len(X)))[::-1])

        def fit(X, y, weight):
            return fit_classifier(forest(), X, y, weight, np.unique(y), np.full(2, 0.5))

        splits = list(KFold(3).split(X))
        by_frame, by_array = (cross_fit(fit, table, y, None, splits) for table in (frame, X))
        assert_array_equal(by_frame.margins(), by_array.margins())

    @pytest.mark.parametrize("make", [forest, hist_boosting, xgboost_classifier])
    def test_classes_are_aligned_where_a_fold_lacks_one(self, make):
        X, y = labelled_rows(CLASSES["three strings"])
        birch = y == "birch"
        one, two = np.flatnonzero(~birch)[::2], np.flatnonzero(~birch)[1::2]
        birch = np.flatnonzero(birch)
        splits = [
            (np.concatenate([one, two]), birch),
            (np.concatenate([two, birch]), one),
            (np.concatenate([one, birch]), two),
        ]
        classes = np.unique(y)

        def fit(X, y, weight):
            return fit_classifier(make(), X, y, weight, classes, uniform(classes))

        margins = cross_fit(fit, X, y, None, splits).margins()
        others = make().fit(X[splits[0][0]], (y[splits[0][0]] == "cedar").astype(int))
        expected = others.predict_proba(X[birch])
        sure = (expected > 0.05).all(axis=1)
        proba = proba_from_margins(margins[birch][:, [0, 2]])
        assert sure.any()
        assert_allclose(proba[sure], expected[sure], rtol=1e-5)
        assert margins.shape == (len(y), 3)
        assert (np.argmax(margins[birch], axis=1) != 1).all()
        assert (np.argmax(margins[one], axis=1) == 1).any()

    def test_a_class_of_one_row_can_be_cross_fitted(self):
        X, y = labelled_rows(CLASSES["three gaps"])
        y[y == 2] = 1
        y[7] = 2
        model = DistilledClassifier(hist_boosting()).fit(X, y)
        assert model.labelling_ == "cross_fit"
        assert_array_equal(model.classes_, [1, 2, 5])

    @pytest.mark.parametrize(
        ("cv", "message"),
        [
            (ShuffleSplit(2, test_size=0.2, random_state=0), "cv leaves .* rows without a test"),
            ([(np.arange(80), np.arange(80, 160))], "cv leaves 80 rows without a test fold"),
            (
                [(np.arange(80), np.arange(80, 160)), (np.arange(70), np.arange(160))],
                "and puts 80 into several",
            ),
        ],
    )
    def test_folds_that_do_not_cover_every_row_once_raise(self, cv, message):
        X, y = labelled_rows(CLASSES["binary gaps"])
        with pytest.raises(ValueError, match=message):
            DistilledClassifier(tree(), labelling="cross_fit", cv=cv).fit(X, y)


class Recorder(TreeStudentClassifier):
    """The default student, which also keeps what it was given to learn from."""

    def distill(self, transfer_set, temperature=1.0, alpha=1.0):
        self.transfer_set_ = transfer_set
        return super().distill(transfer_set, temperature, alpha)


class CountedForest(RandomForestClassifier):
    """A forest that counts the fits of all its instances."""

    n_fits = 0

    def fit(self, X, y, sample_weight=None):
        CountedForest.n_fits += 1
        return super().fit(X, y, sample_weight)


@pytest.fixture
def fitted_forest():
    X, y = labelled_rows(CLASSES["three strings"])
    teacher = CountedForest(25, random_state=1).fit(X, y)
    CountedForest.n_fits = 0
    return teacher, X, y


class TestFittedTeacher:
    def test_it_is_used_as_it_is(self, fitted_forest):
        teacher, X, y = fitted_forest
        before, hashed = pickle.dumps(teacher), joblib.hash(teacher)
        model = DistilledClassifier(teacher, random_state=0).fit(X, y)
        model.predict_proba(X)
        assert model.teacher_ is teacher
        assert CountedForest.n_fits == 0
        assert pickle.dumps(teacher) == before
        assert joblib.hash(teacher) == hashed

    def test_an_unfitted_teacher_is_fitted_as_a_clone(self, fitted_forest):
        _, X, y = fitted_forest
        teacher = CountedForest(25)
        model = DistilledClassifier(teacher, random_state=0).fit(X, y)
        assert CountedForest.n_fits == 1
        assert not is_fitted(teacher)
        assert teacher.random_state is None
        assert is_fitted(model.teacher_)

    @pytest.mark.parametrize("freeze", [lambda teacher: teacher, FrozenEstimator])
    def test_clones_keep_it_by_reference(self, fitted_forest, freeze):
        teacher, X, y = fitted_forest
        given = freeze(teacher)
        copy = clone(clone(DistilledClassifier(given, TreeStudentClassifier(4), alpha=0.5)))
        assert copy.teacher is given
        assert copy.alpha == 0.5
        assert copy.student.max_leaf_nodes == 4
        copy.fit(X, y)
        assert CountedForest.n_fits == 0

    def test_a_clone_does_not_share_an_unfitted_teacher_or_the_student(self, fitted_forest):
        model = DistilledClassifier(CountedForest(5), TreeStudentClassifier(4))
        copy = clone(model)
        assert copy.teacher is not model.teacher
        assert copy.student is not model.student

    def test_a_pipeline_a_grid_search_and_a_cross_validation_keep_it(self, fitted_forest):
        teacher, _, _ = fitted_forest
        X_new = new_rows(120)
        y_new = teacher.predict(X_new)
        hashed = joblib.hash(teacher)
        model = DistilledClassifier(teacher, random_state=0)

        cross_val_score(model, X_new, y_new, cv=3)
        search = GridSearchCV(model, {"alpha": [0.5, 1.0], "student": [None]}, cv=3)
        search.fit(X_new, y_new)
        pipeline = clone(Pipeline([("scale", "passthrough"), ("distill", model)]))
        pipeline.fit(X_new, y_new)
        nested = GridSearchCV(pipeline, {"distill__alpha": [0.5, 1.0]}, cv=3).fit(X_new, y_new)

        assert CountedForest.n_fits == 0
        assert joblib.hash(teacher) == hashed
        assert search.best_estimator_.teacher_ is teacher
        assert pipeline[-1].teacher_ is teacher
        assert nested.best_estimator_[-1].teacher_ is teacher

    def test_a_parameter_of_it_replaces_it_by_an_unfitted_clone(self, fitted_forest):
        teacher, X, y = fitted_forest
        hashed = joblib.hash(teacher)
        model = DistilledClassifier(teacher)
        model.set_params(teacher__max_depth=2, alpha=0.5)
        assert model.teacher is not teacher
        assert not is_fitted(model.teacher)
        assert model.teacher.max_depth == 2
        assert model.teacher.n_estimators == 25
        assert joblib.hash(teacher) == hashed
        assert teacher.max_depth is None
        model.fit(X, y)
        assert CountedForest.n_fits == 1
        assert {member.get_depth() for member in model.teacher_.estimators_} <= {1, 2}

    def test_a_parameter_of_a_frozen_teacher_replaces_it_too(self, fitted_forest):
        teacher, _, _ = fitted_forest
        model = DistilledClassifier(FrozenEstimator(teacher)).set_params(teacher__max_depth=2)
        assert not is_fitted(model.teacher)
        assert model.teacher.max_depth == 2
        assert is_fitted(teacher)
        assert teacher.max_depth is None

    def test_a_parameter_of_a_fitted_pipeline_replaces_it_too(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        teacher = make_pipeline(StandardScaler(), forest()).fit(X, y)
        inner = teacher[-1]
        model = DistilledClassifier(teacher)
        model.set_params(teacher__randomforestclassifier__max_depth=2)
        assert not is_fitted(model.teacher)
        assert model.teacher[-1].max_depth == 2
        assert is_fitted(teacher)
        assert teacher[-1] is inner
        assert inner.max_depth is None

    def test_a_new_teacher_passed_with_a_parameter_is_left_alone(self, fitted_forest):
        teacher, _, _ = fitted_forest
        model = DistilledClassifier(tree()).set_params(teacher=teacher, teacher__max_depth=2)
        assert teacher.max_depth is None
        assert is_fitted(teacher)
        assert model.teacher.max_depth == 2
        assert not is_fitted(model.teacher)

    def test_a_parameter_of_an_unfitted_teacher_is_set_in_place(self):
        teacher = forest()
        model = DistilledClassifier(teacher).set_params(teacher__max_depth=2)
        assert model.teacher is teacher
        assert teacher.max_depth == 2

    def test_a_parameter_it_does_not_have_raises(self, fitted_forest):
        teacher, _, _ = fitted_forest
        with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
            DistilledClassifier(teacher).set_params(teacher__depth=2)

    def test_a_grid_search_over_its_parameters_fits_new_ones(self, fitted_forest):
        teacher, X, y = fitted_forest
        model = DistilledClassifier(teacher, random_state=0)
        search = GridSearchCV(model, {"teacher__max_depth": [1, 3]}, cv=2).fit(X, y)
        assert CountedForest.n_fits == 5
        assert search.best_estimator_.teacher_ is not teacher
        assert teacher.max_depth is None

    def test_frozen_means_the_same_as_fitted(self, fitted_forest):
        teacher, X, y = fitted_forest
        plain = DistilledClassifier(teacher, random_state=0).fit(X, y)
        frozen = DistilledClassifier(FrozenEstimator(teacher), random_state=0).fit(X, y)
        assert frozen.labelling_ == plain.labelling_ == "oob"
        assert_array_equal(frozen.predict_proba(X), plain.predict_proba(X))
        assert CountedForest.n_fits == 0

    def test_the_student_keeps_no_reference_to_it(self, fitted_forest):
        teacher, X, y = fitted_forest
        model = DistilledClassifier(teacher, random_state=0).fit(X, y)
        assert b"CountedForest" not in pickle.dumps(model.student_)
        assert len(pickle.dumps(model.student_)) < len(pickle.dumps(teacher)) / 10

    def test_a_fitted_regressor_is_kept_as_well(self):
        X, y = make_regression(100, 4, random_state=0)
        teacher = RandomForestRegressor(25, random_state=1).fit(X, y)
        hashed = joblib.hash(teacher)
        model = clone(DistilledRegressor(teacher)).fit(X, y)
        assert model.teacher_ is teacher
        assert model.labelling_ == "oob"
        assert joblib.hash(teacher) == hashed


class TestLabelling:
    def test_out_of_bag_labels_reach_the_student(self, fitted_forest):
        _, X, y = fitted_forest
        teacher = forest(25, oob_score=True).fit(X, y)
        model = DistilledClassifier(teacher, Recorder(), labelling="oob").fit(X, y)
        expected = np.maximum(teacher.oob_decision_function_, shares(teacher.classes_, y) / 26)
        expected /= expected.sum(axis=1, keepdims=True)
        given = proba_from_margins(model.student_.transfer_set_.margins)
        assert_allclose(given, expected, rtol=1e-9)

    def test_out_of_bag_labels_of_a_teacher_fitted_inside_are_the_same(self, fitted_forest):
        _, X, y = fitted_forest
        inside = DistilledClassifier(forest(25), Recorder()).fit(X, y)
        outside = DistilledClassifier(forest(25).fit(X, y), Recorder()).fit(X, y)
        assert inside.labelling_ == outside.labelling_ == "oob"
        assert_array_equal(
            inside.student_.transfer_set_.margins, outside.student_.transfer_set_.margins
        )

    def test_direct_labels_are_the_teachers_own(self, fitted_forest):
        teacher, _, _ = fitted_forest
        X_new = new_rows()
        y_new = teacher.predict(X_new)
        model = DistilledClassifier(
            teacher, Recorder(), labelling="direct", label_correction=False
        ).fit(X_new, y_new)
        expected = wrapped(teacher, y_new).margins(X_new)
        assert_array_equal(model.student_.transfer_set_.margins, expected)

    def test_out_of_bag_of_permuted_rows_raises(self, fitted_forest):
        teacher, X, y = fitted_forest
        with pytest.raises(ValueError, match="in the same order; replaying its bootstrap"):
            DistilledClassifier(teacher, labelling="oob").fit(X[::-1], y[::-1])

    def test_out_of_bag_of_new_rows_raises(self, fitted_forest):
        teacher, X, y = fitted_forest
        with pytest.raises(ValueError, match="is not that matrix"):
            DistilledClassifier(teacher, labelling="oob").fit(new_rows(len(X)), y)

    @pytest.mark.parametrize("fit_outside", [True, False])
    @pytest.mark.parametrize(
        "make", [hist_boosting, lambda: forest(bootstrap=False), lambda: ExtraTreesClassifier(25)]
    )
    def test_out_of_bag_of_a_teacher_without_bags_raises(self, make, fit_outside):
        X, y = labelled_rows(CLASSES["binary gaps"])
        teacher = make().fit(X, y) if fit_outside else make()
        message = f"bootstrap=True; the teacher is {type(teacher).__name__}"
        with pytest.raises(ValueError, match=message):
            DistilledClassifier(teacher, labelling="oob").fit(X, y)

    @pytest.mark.parametrize(
        "make", [forest, lambda: GradientBoostingClassifier(n_estimators=4), lightgbm_classifier]
    )
    def test_direct_labels_of_the_training_matrix_warn_where_fit_was_called(self, make):
        X, y = labelled_rows(CLASSES["binary gaps"])
        teacher = make().fit(X, y)
        with pytest.warns(UserWarning, match="fitted on the very rows it labels") as record:
            DistilledClassifier(teacher, labelling="direct").fit(X, y)
        assert len(record) == 1
        assert record[0].filename == __file__

    def test_the_warning_recommends_out_of_bag_only_where_it_is_to_be_had(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        with pytest.warns(UserWarning, match="'cross_fit' or 'oob'"):
            DistilledClassifier(forest().fit(X, y), labelling="direct").fit(X, y)
        with pytest.warns(UserWarning, match="'cross_fit', or pass rows"):
            DistilledClassifier(tree().fit(X, y), labelling="direct").fit(X, y)

    def test_rows_without_votes_warn_where_fit_was_called(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        for teacher in (forest(3), forest(3).fit(X, y)):
            with pytest.warns(UserWarning, match="in the bag of every member") as record:
                DistilledClassifier(teacher, labelling="oob").fit(X, y)
            assert len(record) == 1
            assert record[0].filename == __file__

    def test_auto_cross_fits_where_many_rows_would_be_without_votes(self):
        X, y = labelled_rows(CLASSES["binary gaps"])
        weight = np.where(np.arange(len(y)) < 8, 1000.0, 1.0)  # these are in almost every bag
        model = DistilledClassifier(forest(25), random_state=0).fit(X, y, sample_weight=weight)
        assert model.labelling_ == "cross_fit"
        assert DistilledClassifier(forest(25), random_state=0).fit(X, y).labelling_ == "oob"
        teacher = forest(25).fit(X, y, sample_weight=weight)
        model = DistilledClassifier(teacher).fit(X, y, sample_weight=weight)
        assert model.labelling_ == "cross_fit"
        with pytest.warns(UserWarning, match="in the bag of every member"):
            model = DistilledClassifier(teacher, labelling="oob").fit(X, y, sample_weight=weight)
        assert model.labelling_ == "oob"

    @pytest.mark.parametrize(
        ("teacher", "expected"),
        [
            (forest(25), "oob"),
            (forest(5), "cross_fit"),
            (forest(25, bootstrap=False), "cross_fit"),
            (make_pipeline(StandardScaler(), forest(25)), "oob"),
            (BaggingClassifier(n_estimators=20), "oob"),
            (hist_boosting(), "cross_fit"),
            (voting(), "cross_fit"),
        ],
    )
    def test_auto_for_a_teacher_fitted_inside(self, teacher, expected):
        X, y = labelled_rows(CLASSES["three gaps"])
        model = DistilledClassifier(teacher, random_state=0).fit(X, y)
        assert model.labelling_ == expected
        assert model.transfer_summary_["labelled"]["labelling"] == expected
        assert model.transfer_summary_["labelled"]["rows"] == len(X)

    @pytest.mark.parametrize(
        "make",
        [
            forest,
            lambda: make_pipeline(StandardScaler(), forest()),
            lambda: BaggingClassifier(n_estimators=25, random_state=1),
        ],
    )
    def test_auto_for_a_fitted_forest(self, make):
        X, y = labelled_rows(CLASSES["three gaps"])
        teacher = make().fit(X, y)
        X_new = new_rows()
        model = DistilledClassifier(teacher, label_correction=False)
        assert model.fit(X, y).labelling_ == "oob"
        assert model.fit(X_new, y).labelling_ == "direct"
        with pytest.warns(UserWarning, match="on a part of them"):
            assert model.fit(X[:100], y[:100]).labelling_ == "direct"

    def test_auto_for_a_fitted_boosting_is_direct(self):
        X, y = labelled_rows(CLASSES["three gaps"])
        teacher = hist_boosting().fit(X, y)
        with pytest.warns(UserWarning, match="fitted on the very rows"):
            assert DistilledClassifier(teacher).fit(X, y).labelling_ == "direct"

    def test_auto_for_a_small_fitted_forest_on_its_rows_is_direct_and_warns(self):
        X, y = labelled_rows(CLASSES["three gaps"])
        with pytest.warns(UserWarning, match="fitted on the very rows"):
            model = DistilledClassifier(forest(5).fit(X, y)).fit(X, y)
        assert model.labelling_ == "direct"

    def test_cross_fitting_a_fitted_teacher_fits_clones_and_keeps_it_for_the_rest(
        self, fitted_forest
    ):
        teacher, X, y = fitted_forest
        model = DistilledClassifier(teacher, labelling="cross_fit", cv=3, random_state=0)
        model.fit(X, y, X_unlabeled=new_rows(40))
        assert model.labelling_ == "cross_fit"
        assert CountedForest.n_fits == 3
        assert model.teacher_ is teacher
        assert model.transfer_summary_["unlabelled"]["labelling"] == "direct"

    @pytest.mark.parametrize(
        ("make", "expected"),
        [
            (lambda: RandomForestRegressor(25), "oob"),
            (lambda: RandomForestRegressor(5), "cross_fit"),
            (HistGradientBoostingRegressor, "cross_fit"),
        ],
    )
    def test_auto_for_regressors(self, make, expected):
        X, y = make_regression(100, 4, random_state=0)
        assert DistilledRegressor(make(), random_state=0).fit(X, y).labelling_ == expected
        fitted = DistilledRegressor(make().fit(X, y))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The teacher was fitted on the very rows")
            fitted.fit(X, y)
        assert fitted.labelling_ == ("oob" if expected == "oob" else "direct")

    def test_a_distiller_that_is_not_fitted_says_so(self, fitted_forest):
        teacher, X, _ = fitted_forest
        with pytest.raises(NotFittedError):
            DistilledClassifier(teacher).predict(X)
        with pytest.raises(NotFittedError):
            DistilledClassifier(teacher).teacher_  # noqa: B018


class Doubling(BaseEstimator):
    """A sampler as imbalanced-learn has them: in fit every row is there twice."""

    def fit_resample(self, X, y):
        return np.repeat(X, 2, axis=0), np.repeat(y, 2)


class SamplingPipeline(Pipeline):
    """A pipeline that skips samplers in prediction."""

    def fit(self, X, y):
        for _, step in self.steps[:-1]:
            X, y = step.fit_resample(X, y)
        self.steps[-1][1].fit(X, y)
        return self

    def predict_proba(self, X):
        return self.steps[-1][1].predict_proba(X)


class MeanOfClass(TransformerMixin, BaseEstimator):
    """A supervised encoder: the class of every value seen in fit, and a half for others."""

    def fit(self, X, y):
        self.known_ = dict(zip(X[:, 0].tolist(), np.asarray(y).tolist(), strict=True))
        return self

    def transform(self, X):
        return np.array([[self.known_.get(value, 0.5)] for value in X[:, 0].tolist()])


def test_bags_of_other_members_than_trees_are_not_said_to_be_of_other_rows():
    X, y = labelled_rows(CLASSES["three gaps"])
    bag = BaggingClassifier(hist_boosting(), n_estimators=20, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="members of this teacher are HistGradientBoostingClass"):
        DistilledClassifier(bag, labelling="oob").fit(X, y)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        DistilledClassifier(bag).fit(X, y)
    assert not any("in the same order" in str(warning.message) for warning in seen)


class TestPipelines:
    """Out-of-bag labels only where no step before the forest has seen the classes."""

    def coin_flips(self):
        rng = np.random.default_rng(0)
        return rng.normal(size=(600, 3)), rng.integers(0, 2, 600)

    @pytest.mark.filterwarnings("ignore:The teacher finds class 1")
    @pytest.mark.parametrize("is_fitted", [False, True])
    @pytest.mark.parametrize(
        "steps",
        [
            lambda: [MeanOfClass()],
            lambda: [StandardScaler(), MeanOfClass()],
            lambda: [make_pipeline(StandardScaler(), MeanOfClass())],
            lambda: [TargetEncoder(target_type="continuous")],
            lambda: [SelectKBest(k=1)],
            lambda: [ColumnTransformer([("codes", MeanOfClass(), [0])], remainder="passthrough")],
        ],
    )
    def test_steps_that_learn_from_y_are_cross_fitted(self, steps, is_fitted):
        X, y = self.coin_flips()
        teacher = make_pipeline(*steps(), forest(50))
        if is_fitted:
            teacher.fit(X, y)
            assert learns_from_y(teacher, X, y)
            with pytest.raises(ValueError, match="labelling='oob' needs"):
                DistilledClassifier(teacher, labelling="oob").fit(X, y)
            return
        student = TreeStudentClassifier(600, min_samples_leaf=1)
        model = DistilledClassifier(teacher, student, alpha=1.0, random_state=0).fit(X, y)
        assert model.labelling_ == "cross_fit"
        assert roc_auc_score(y, model.predict_proba(X)[:, 1]) < 0.6

    def test_frozen_steps_that_know_the_classes_are_named(self):
        X, y = self.coin_flips()
        X = X.round(1)
        steps = {"encoder": TargetEncoder(target_type="continuous"), "scaler": StandardScaler()}
        said = {}
        for name, step in steps.items():
            frozen = FrozenEstimator(step.fit(X, y))
            for teacher in (Pipeline([(name, frozen), ("forest", forest(50))]),):
                with warnings.catch_warnings(record=True) as seen:
                    warnings.simplefilter("always")
                    DistilledClassifier(teacher, labelling="cross_fit").fit(X, y)
                said[name] = [str(w.message) for w in seen if "is frozen" in str(w.message)]
        assert len(said["encoder"]) == 1
        assert "The step 'encoder' of the teacher learns from y" in said["encoder"][0]
        assert said["scaler"] == []

    @pytest.mark.parametrize(
        "steps",
        [
            lambda: [StandardScaler()],
            lambda: [SimpleImputer(), PCA(2, random_state=0)],
            lambda: ["passthrough"],
            lambda: [ColumnTransformer([("scaled", StandardScaler(), [0, 1])])],
            lambda: [KBinsDiscretizer(5, random_state=0, quantile_method="averaged_inverted_cdf")],
        ],
    )
    def test_steps_that_do_not_keep_out_of_bag_labels(self, steps):
        X, y = self.coin_flips()
        teacher = make_pipeline(*steps(), forest(50))
        assert not learns_from_y(teacher, X, y)
        model = DistilledClassifier(teacher, label_correction=False, random_state=0)
        assert model.fit(X, y).labelling_ == "oob"
        assert model.set_params(teacher=teacher.fit(X, y)).fit(X, y).labelling_ == "oob"

    def test_steps_that_draw_random_numbers_without_a_seed_are_cross_fitted(self):
        X, y = self.coin_flips()
        assert learns_from_y(make_pipeline(GaussianRandomProjection(2), forest()), X, y)
        assert not learns_from_y(
            make_pipeline(GaussianRandomProjection(2, random_state=0), forest()), X, y
        )

    def test_samplers_are_cross_fitted_and_skipped_in_prediction(self):
        X, y = self.coin_flips()
        teacher = SamplingPipeline([("twice", Doubling()), ("forest", forest(50))])
        student = TreeStudentClassifier(600, min_samples_leaf=1)
        model = DistilledClassifier(teacher, student, alpha=1.0, random_state=0).fit(X, y)
        assert model.labelling_ == "cross_fit"
        assert roc_auc_score(y, model.predict_proba(X)[:, 1]) < 0.6
        np.testing.assert_array_equal(as_last_step_sees(teacher, X), X)

    def test_weights_do_not_go_through_samplers(self):
        X, y = self.coin_flips()
        teacher = SamplingPipeline([("twice", Doubling()), ("forest", forest(50))])
        with pytest.raises(TypeError, match="Doubling, which changes the rows, and weights"):
            DistilledClassifier(teacher).fit(X, y, sample_weight=np.ones(len(y)))

    @pytest.mark.parametrize("place", ["first", "last"])
    def test_imbalanced_learn_pipelines_go_through(self, place):
        pipeline = pytest.importorskip("imblearn.pipeline")
        smote = pytest.importorskip("imblearn.over_sampling").SMOTE(random_state=0)
        X, y = self.coin_flips()
        y[X[:, 0] < 0.5] = 0
        steps = [smote, StandardScaler()] if place == "first" else [StandardScaler(), smote]
        teacher = pipeline.make_pipeline(*steps, hist_boosting()).fit(X[:300], y[:300])
        model = DistilledClassifier(teacher, prior_correction="auto", labelling="direct")
        model.fit(X[300:], y[300:])
        with pytest.warns(
            UserWarning, match="About 50% of the rows of X are rows that teacher and"
        ):
            report = fidelity_report(model, X, y, n_resamples=20, cost=False)
        assert "distilled from" in str(report)
        explanation = explain(teacher, X[:5], background=X[:50])
        assert explanation.values.shape == (5, 3, 2)


class TestBalancedForests:
    """imbalanced-learn's forests, whose bags are drawn by class."""

    def test_out_of_bag_labels_of_coin_flips_are_coin_flips(self):
        ensemble = pytest.importorskip("imblearn.ensemble")
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(1500, 4)), (rng.random(1500) < 0.1).astype(int)
        teacher = ensemble.BalancedRandomForestClassifier(80, random_state=0)
        student = TreeStudentClassifier(1500, min_samples_leaf=1)
        model = DistilledClassifier(
            teacher, student, alpha=1.0, prior_correction="auto", random_state=0
        ).fit(X, y)
        assert model.labelling_ == "oob"
        assert roc_auc_score(y, model.predict_proba(X)[:, 1]) < 0.6
        assert replays_bootstraps(model.teacher_, X)
        assert not replays_bootstraps(model.teacher_, X[::-1])


class TestAnswersByName:
    """A frame says itself what its columns are."""

    class Named(RandomForestClassifier):
        names = order = None

        def predict_proba(self, X):
            frame = pd.DataFrame(super().predict_proba(X), columns=self.names)
            return frame if self.order is None else frame[self.order]

    def teacher(self, names=None, order=None):
        X, y = labelled_rows(CLASSES["three strings"])
        named = self.Named(25, random_state=1).fit(X, y)
        named.names, named.order = names, order
        return named, X, y

    @pytest.mark.parametrize(
        ("names", "order"),
        [
            (["ash", "birch", "cedar"], None),
            (["ash", "birch", "cedar"], ["cedar", "ash", "birch"]),
            (None, None),
        ],
    )
    @pytest.mark.parametrize("backend", [pd.DataFrame, pl.DataFrame])
    def test_columns_are_put_in_the_order_of_the_classes(self, names, order, backend):
        named, X, y = self.teacher(names, order)
        expected = RandomForestClassifier.predict_proba(named, X)
        rows = new_rows()
        margins = wrapped(named, y).margins(rows)
        plain = forest(25).fit(X, y)
        np.testing.assert_allclose(margins, wrapped(plain, y).margins(rows))
        frame = named.predict_proba(X)
        frame = pl.from_pandas(frame) if backend is pl.DataFrame and names else frame
        np.testing.assert_array_equal(by_label(named, frame, named.classes_), expected)

    def test_numbers_are_known_by_their_text(self):
        frame = pd.DataFrame([[0.9, 0.1]], columns=["1", "0"])
        assert by_label(GaussianNB(), frame, np.array([0, 1])).tolist() == [[0.1, 0.9]]
        frame = pd.DataFrame([[0.9, 0.1]], columns=[True, False])
        assert by_label(GaussianNB(), frame, np.array([False, True])).tolist() == [[0.1, 0.9]]

    @pytest.mark.parametrize(
        "names", [["p0", "p1", "p2"], ["ash", "birch", "oak"], ["ash", "ash ", "elm"]]
    )
    def test_other_names_are_refused(self, names):
        named, _, y = self.teacher(names)
        with pytest.raises(ValueError, match=r"returned a data frame with the columns \['"):
            DistilledClassifier(named, labelling="direct").fit(new_rows(len(y)), y)

    def test_classes_that_are_swapped_are_noticed(self):
        X, y = labelled_rows(CLASSES["binary strings"], 600)
        teacher = hist_boosting().fit(X[:300], y[:300])
        teacher.classes_ = teacher.classes_[::-1]
        with pytest.warns(UserWarning, match=r"ranks class 'ash' worse than chance: .* is 0\.[01]"):
            DistilledClassifier(teacher, labelling="direct", label_correction=False).fit(
                X[300:], y[300:]
            )

    def test_values_that_fall_where_they_should_rise_are_noticed(self):
        X = new_rows(400)
        teacher = LinearRegression().fit(X[:200], X[:200, 0])
        with pytest.warns(UserWarning, match=r"fall where the labelled values rise: .* is -1\.000"):
            DistilledRegressor(teacher, labelling="direct").fit(X[200:], -X[200:, 0])
