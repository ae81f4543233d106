import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_sample_weight

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    MLPStudentRegressor,
    Munge,
    SoftLabelClassifier,
    TreeStudentClassifier,
)
from skdistill.fidelity import kl_divergence
from skdistill.soft_labels import calibration_temperature, margins_from_proba

STUDENTS = {
    "tree": TreeStudentClassifier(),
    "linear": LinearStudentClassifier(),
    "mlp": MLPStudentClassifier((32,), max_epochs=30),
    "logistic": LogisticRegression(max_iter=1000),
    "pipeline": make_pipeline(StandardScaler(), TreeStudentClassifier()),
}


class Counts:
    """How often forests were fitted or asked; a cache sees but the name."""

    def __init__(self):
        self.fits = self.queries = 0

    def __reduce__(self):
        return "COUNTS"


COUNTS = Counts()


class CountingForest(RandomForestClassifier):
    """Counts how often any clone is fitted or asked."""

    def fit(self, X, y, sample_weight=None):
        COUNTS.fits += 1
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        COUNTS.queries += 1
        return super().predict_proba(X)


@pytest.fixture
def counting_forest():
    COUNTS.fits = COUNTS.queries = 0
    return CountingForest(25, random_state=0)


@pytest.mark.parametrize("student", STUDENTS.values(), ids=STUDENTS)
def test_every_student_follows_the_teacher(student, binary_task, forest):
    X, y = binary_task
    model = DistilledClassifier(forest, student, label_correction=False, random_state=0).fit(X, y)
    teacher = forest.predict_proba(X)[:, 1]
    assert np.corrcoef(model.predict_proba(X)[:, 1], teacher)[0, 1] > 0.75
    assert model.teacher_ is forest


@pytest.mark.parametrize("student", STUDENTS.values(), ids=STUDENTS)
def test_a_teacher_with_permuted_answers_gives_another_student(student, binary_task):
    class Contrary(RandomForestClassifier):
        def predict_proba(self, X):
            return super().predict_proba(X)[:, ::-1]

    X, y = binary_task
    honest, contrary = (
        DistilledClassifier(
            kind(30, random_state=0), student, alpha=1, labelling="cross_fit", random_state=0
        )
        for kind in (RandomForestClassifier, Contrary)
    )
    honest.fit(X, y)
    with pytest.warns(UserWarning, match="class 0 worse than chance: its ROC-AUC .* is 0"):
        contrary.fit(X, y)
    assert honest.score(X, y) > 0.7
    assert contrary.score(X, y) < 0.3


def test_the_student_stands_alone(binary_task, forest):
    X, y = binary_task
    names = np.array(["legit", "fraud"])[y]
    teacher = RandomForestClassifier(30, random_state=0).fit(X, names)
    model = DistilledClassifier(teacher, TreeStudentClassifier(8)).fit(X, names)
    data = pickle.dumps(model.student_)
    assert b"RandomForest" not in data
    assert len(data) < 10_000
    restored = pickle.loads(data)
    np.testing.assert_array_equal(restored.predict_proba(X), model.predict_proba(X))
    assert set(restored.predict(X)) == {"legit", "fraud"}


def test_soft_labels_beat_hard_labels_under_label_noise():
    X, y = make_classification(3000, 10, n_informative=6, flip_y=0.0, random_state=1)
    noisy = np.where(np.random.default_rng(0).random(3000) < 0.2, 1 - y, y)
    teacher = RandomForestClassifier(100, random_state=0).fit(X[:1500], noisy[:1500])
    student = TreeStudentClassifier(64, min_samples_leaf=1, random_state=0)
    hard = student.fit(X[:1500], noisy[:1500]).score(X[1500:], y[1500:])
    soft = DistilledClassifier(teacher, student, alpha=1.0).fit(X[:1500], noisy[:1500])
    direct = DistilledClassifier(teacher, student, alpha=1.0, labelling="direct")
    with pytest.warns(UserWarning, match="very rows it labels directly"):
        direct.fit(X[:1500], noisy[:1500])
    assert soft.score(X[1500:], y[1500:]) > hard + 0.02
    assert soft.score(X[1500:], y[1500:]) > direct.score(X[1500:], y[1500:]) + 0.02


def test_unlabelled_rows_are_labelled_by_the_teacher_and_used(binary_task, forest):
    X, y = binary_task
    few = DistilledClassifier(forest, labelling="direct", random_state=0).fit(X[:60], y[:60])
    many = DistilledClassifier(forest, labelling="direct", random_state=0)
    many.fit(X[:60], y[:60], X_unlabeled=X[60:])
    teacher = forest.predict_proba(X[60:])
    assert log_loss_to(teacher, many.predict_proba(X[60:])) < log_loss_to(
        teacher, few.predict_proba(X[60:])
    )
    assert many.transfer_summary_["unlabelled"] == {
        "rows": 540,
        "weight": 540.0,
        "labelling": "direct",
    }


def log_loss_to(teacher, proba):
    return -np.mean(np.sum(teacher * margins_from_proba(proba, 1e-3), axis=1))


def test_a_pool_of_another_frame_dtype_is_taken(rng):
    frame = pd.DataFrame(
        {"n": rng.integers(0, 9, 80), "c": pd.Categorical(rng.choice(["a", "b"], 80))}
    )
    pool = pd.DataFrame(
        {"n": rng.normal(4, 2, 40), "c": pd.Categorical(rng.choice(["b", "a"], 40))}
    )
    y = (frame["c"] == "a").to_numpy()
    teacher = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=5)
    model = DistilledClassifier(teacher, LinearStudentClassifier()).fit(frame, y, X_unlabeled=pool)
    assert model.score(frame, y) > 0.9
    assert model.classes_.dtype == bool


@pytest.mark.parametrize("frame_of", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_with_categories_and_gaps_go_through(frame_of, rng):
    data = {
        "amount": np.where(rng.random(300) < 0.2, np.nan, rng.gamma(2, 50, 300)),
        "city": rng.choice(["Graz", "Linz", "Wien"], 300),
    }
    y = np.where((data["city"] == "Linz") | (data["amount"] > 150), "yes", "no")
    X = frame_of({**data})
    X = (
        X.astype({"city": "category"})
        if frame_of is pd.DataFrame
        else X.cast({"city": pl.Categorical})
    )
    teacher = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=20)
    for student in (TreeStudentClassifier(), LinearStudentClassifier(), STUDENTS["mlp"]):
        model = DistilledClassifier(teacher, student, label_correction=False, random_state=0)
        assert model.fit(X, y).score(X, y) > 0.9
        assert list(model.feature_names_in_) == ["amount", "city"]
        with pytest.raises(ValueError, match="feature names"):
            model.predict(X[["city", "amount"]])


def test_sparse_rows_go_to_members_that_take_them(binary_task):
    X, y = binary_task
    X = sp.csr_matrix(np.where(np.abs(X) > 1, X, 0))
    teacher = RandomForestClassifier(30, random_state=0).fit(X, y)
    model = DistilledClassifier(teacher, LogisticRegression(max_iter=1000))
    with pytest.warns(UserWarning, match="fitted on the very rows it labels directly"):
        model.fit(X[:400], y[:400], X_unlabeled=X[400:])
    assert model.score(X, y) > 0.7
    with pytest.raises(ValueError, match=r"Munge\(\) cannot mix the rows of a sparse X"):
        clone(model).set_params(augmentation=Munge()).fit(X, y)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        DistilledClassifier(teacher, LinearStudentClassifier()).fit(X, y)


def test_synthetic_rows_are_on_for_the_mlp_and_off_for_the_tree(binary_task, forest):
    X, y = binary_task
    tree = DistilledClassifier(forest, TreeStudentClassifier()).fit(X, y)
    mlp = DistilledClassifier(forest, MLPStudentClassifier((8,), max_epochs=2)).fit(X, y)
    off = clone(mlp).set_params(augmentation=None).fit(X, y)
    on = clone(tree).set_params(augmentation=Munge(size=3)).fit(X, y)
    rows = [m.transfer_summary_["synthetic"]["rows"] for m in (tree, mlp, off, on)]
    assert rows == [0, 12000, 0, 1800]
    assert [repr(m.augmentation_) for m in (tree, mlp, off, on)] == [
        "None",
        "Munge()",
        "None",
        "Munge(size=3)",
    ]


@pytest.mark.parametrize("teacher_is_fitted", [True, False])
def test_one_teacher_fit_per_fold_with_memory(
    tmp_path, binary_task, counting_forest, teacher_is_fitted
):
    X, y = binary_task
    teacher = counting_forest.fit(X, y) if teacher_is_fitted else counting_forest
    grid = {"temperature": [1.0, 2.0, 4.0], "alpha": [0.5, 1.0], "student__max_leaf_nodes": [4, 8]}
    model = DistilledClassifier(
        teacher, TreeStudentClassifier(), labelling="direct", memory=str(tmp_path), random_state=0
    )
    search = GridSearchCV(model, grid, cv=3, scoring="neg_log_loss")
    COUNTS.fits = COUNTS.queries = 0
    with pytest.warns(UserWarning, match="directly"):
        search.fit(X, y)
    # 12 candidates on 3 folds and the refit: the margins are computed 4 times.
    assert COUNTS.fits == (0 if teacher_is_fitted else 4)
    # The key of a fitted teacher is made of answers to labelled and to mixed rows.
    per_candidate = 2 * (36 + 1) if teacher_is_fitted else 0
    assert COUNTS.queries == 4 + per_candidate
    assert search.best_estimator_.teacher_ is not None


def test_without_memory_every_candidate_fits_the_teacher(binary_task, counting_forest):
    X, y = binary_task
    model = DistilledClassifier(counting_forest)
    GridSearchCV(model, {"temperature": [1.0, 2.0]}, cv=3).fit(X, y)
    assert COUNTS.fits == 7


def test_students_share_the_labels_of_one_teacher(tmp_path, binary_task, counting_forest):
    X, y = binary_task
    model = DistilledClassifier(counting_forest.set_params(random_state=None), random_state=0)
    model.set_params(memory=str(tmp_path), augmentation=None, label_correction=False)
    for student in (TreeStudentClassifier(), STUDENTS["mlp"], STUDENTS["pipeline"]):
        clone(model).set_params(student=student).fit(X, y)
    assert COUNTS.fits == 1


def test_a_cached_fit_is_the_same_and_says_that_the_teacher_is_gone(tmp_path, binary_task):
    X, y = binary_task
    model = DistilledClassifier(
        RandomForestClassifier(25, random_state=0),
        memory=joblib.Memory(tmp_path, verbose=0),
        random_state=0,
    )
    first = clone(model).fit(X, y)
    second = clone(model).fit(X, y)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert first.teacher_.n_estimators == 25
    with pytest.raises(AttributeError, match="came from `memory`"):
        _ = second.teacher_


def test_the_cache_knows_data_teacher_and_labelling_apart(tmp_path, binary_task, counting_forest):
    X, y = binary_task
    model = DistilledClassifier(counting_forest, memory=str(tmp_path))
    model.fit(X, y)
    model.set_params(student=TreeStudentClassifier())
    for other in (
        {"labelling": "cross_fit"},
        {"teacher__max_depth": 3},
        {"augmentation": Munge(1)},
    ):
        before = COUNTS.fits
        clone(model).set_params(**other).fit(X, y)
        assert COUNTS.fits > before
    before = COUNTS.fits
    clone(model).fit(X, 1 - y)
    clone(model).fit(X + 1, y)
    clone(model).fit(X, y, sample_weight=np.ones(len(y)))
    clone(model).fit(X, y, X_unlabeled=X + 1)
    assert COUNTS.fits == before + 4
    clone(model).set_params(temperature=3.0, alpha=0.1, student__max_depth=2).fit(X, y)
    assert COUNTS.fits == before + 4


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_over_everything_in_a_pipeline(n_jobs, binary_task):
    X, y = binary_task
    model = DistilledClassifier(
        RandomForestClassifier(20), TreeStudentClassifier(), label_correction=False, random_state=0
    )
    pipeline = make_pipeline(StandardScaler(), model)
    grid = {
        "distilledclassifier__temperature": [1.0, 3.0],
        "distilledclassifier__alpha": [0.5],
        "distilledclassifier__student__max_leaf_nodes": [2, 8],
        "distilledclassifier__teacher__max_depth": [2, None],
    }
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) > 2
    assert search.best_params_["distilledclassifier__student__max_leaf_nodes"] == 8


def test_temperature_changes_the_student(binary_task, forest):
    X, y = binary_task
    proba = [
        DistilledClassifier(forest, LinearStudentClassifier(), temperature=t)
        .fit(X, y)
        .predict_proba(X)
        for t in (1.0, 5.0)
    ]
    assert np.abs(proba[0] - proba[1]).max() > 0.01


def test_an_automatic_temperature_calibrates_the_honest_margins(binary_task, forest):
    X, y = binary_task
    model = DistilledClassifier(forest, temperature="auto").fit(X, y)
    honest = RandomForestClassifier(40, oob_score=True, random_state=0).fit(X, y)
    margins = margins_from_proba(honest.oob_decision_function_, 1 / 82)
    assert model.temperature_ == pytest.approx(calibration_temperature(margins, y), rel=0.05)
    fixed = DistilledClassifier(forest, temperature=2).fit(X, y)
    assert fixed.temperature_ == 2.0


def test_the_pool_goes_through_a_pipeline_with_transform_input(binary_task):
    X, y = binary_task
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(
            StandardScaler(),
            DistilledClassifier(RandomForestClassifier(20, random_state=0), label_correction=False),
            transform_input=["X_unlabeled"],
        )
        pipeline.fit(X[:300] * 100 + 50, y[:300], X_unlabeled=X[300:] * 100 + 50)
        scaled = StandardScaler().fit(X[:300])
        direct = clone(pipeline[-1])
        direct.fit(scaled.transform(X[:300]), y[:300], X_unlabeled=scaled.transform(X[300:]))
    assert pipeline[-1].transfer_summary_["unlabelled"]["rows"] == 300
    np.testing.assert_allclose(
        pipeline.predict_proba(X * 100 + 50), direct.predict_proba(scaled.transform(X)), atol=0.2
    )


def test_an_untransformed_pool_warns(binary_task):
    X, y = binary_task
    model = DistilledClassifier(RandomForestClassifier(20, random_state=0))
    with pytest.warns(UserWarning, match=r"outside the range of X.*transform_input"):
        model.fit(X[:300], y[:300], X_unlabeled=X[300:] * 100 + 500)


@pytest.mark.parametrize("routing", [False, True])
def test_a_tuple_keeps_a_pool_as_long_as_X_whole_in_a_grid_search(binary_task, routing):
    X, y = binary_task

    class Recording(TreeStudentClassifier):
        unlabelled = []

        def distill(self, transfer_set, temperature=1.0, alpha=1.0):
            self.unlabelled.append(int((transfer_set.origin == 1).sum()))
            return super().distill(transfer_set, temperature, alpha)

    model = DistilledClassifier(
        RandomForestClassifier(30, random_state=0), Recording(), label_correction=False
    )
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(model, {"temperature": [1.0]}, cv=2)
        search.fit(X[:300], y[:300], X_unlabeled=(X[300:],))
        assert Recording.unlabelled == [300, 300, 300]
        search.fit(X[:300], y[:300], X_unlabeled=X[300:])
        assert Recording.unlabelled[3:] == [150, 150, 300]


def test_weights_reach_teacher_and_student(binary_task):
    X, y = binary_task
    weight = np.where(y == 1, 20.0, 1.0)
    plain = DistilledClassifier(GradientBoostingClassifier(n_estimators=10, random_state=0), cv=2)
    plain = plain.fit(X, y)
    weighted = clone(plain).fit(X, y, sample_weight=weight)
    oracle = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(X, y, weight)
    np.testing.assert_allclose(weighted.teacher_.predict_proba(X), oracle.predict_proba(X))
    assert weighted.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.1


def test_a_class_in_every_bag_is_cross_fitted_instead(binary_task):
    X, y = binary_task[0], np.arange(600) % 60 == 0
    teacher = RandomForestClassifier(30, random_state=0)
    weight = compute_sample_weight("balanced", y)
    model = DistilledClassifier(teacher, prior_correction="auto", label_correction=False)
    assert model.fit(X, y, sample_weight=weight).labelling_ == "cross_fit"
    asked = clone(model).set_params(labelling="oob")
    with pytest.warns(UserWarning, match="in the bag of every member"):
        assert asked.fit(X, y, sample_weight=weight).labelling_ == "oob"


def test_weights_that_a_member_cannot_take_raise_before_training(binary_task):
    X, y = binary_task
    weight = np.ones(len(y))
    with pytest.raises(TypeError, match="KNeighborsClassifier does not take sample_weight"):
        DistilledClassifier(KNeighborsClassifier()).fit(X, y, sample_weight=weight)
    with pytest.raises(TypeError, match="KNeighborsClassifier does not take sample_weight"):
        DistilledClassifier(RandomForestClassifier(), KNeighborsClassifier()).fit(X, y)


def test_classes_missing_from_folds_are_kept(multiclass_task):
    X, y = multiclass_task
    y = np.where(np.arange(len(y)) == 5, 7, y)  # one row of a fourth class
    teacher = GradientBoostingClassifier(n_estimators=5, random_state=0)
    model = DistilledClassifier(teacher, LinearStudentClassifier(), label_correction=False).fit(
        X, y
    )
    assert model.labelling_ == "cross_fit"
    assert model.predict_proba(X).shape == (600, 4)
    assert model.predict_proba(X)[:, 3].mean() < 0.02


def test_one_class_gives_a_constant_model(binary_task):
    X, _ = binary_task
    for student in STUDENTS.values():
        model = DistilledClassifier(RandomForestClassifier(5), student)
        model.fit(X[:40], np.full(40, "only"))
        assert (model.predict(X) == "only").all()


def test_the_same_seed_gives_the_same_student(binary_task):
    X, y = binary_task
    model = DistilledClassifier(
        RandomForestClassifier(20), MLPStudentClassifier((8,), max_epochs=3), random_state=3
    )
    np.testing.assert_array_equal(
        clone(model).fit(X, y).predict_proba(X), clone(model).fit(X, y).predict_proba(X)
    )
    assert model.teacher.random_state is None


def test_other_classifiers_come_wrapped_and_pipelines_keep_their_steps(binary_task, forest):
    X, y = binary_task
    model = DistilledClassifier(forest, STUDENTS["logistic"]).fit(X, y)
    assert isinstance(model.student_, SoftLabelClassifier)
    piped = DistilledClassifier(forest, STUDENTS["pipeline"]).fit(X, y)
    np.testing.assert_allclose(piped.student_[0].mean_, X.mean(axis=0))
    assert isinstance(piped.student_[-1], TreeStudentClassifier)


def test_lightgbm_is_a_student(multiclass_task):
    lightgbm = pytest.importorskip("lightgbm")
    X, y = multiclass_task
    student = lightgbm.LGBMClassifier(n_estimators=20, verbose=-1)
    X = pd.DataFrame(X, columns=list("abcdefgh"))
    teacher = RandomForestClassifier(30, random_state=0).fit(X, y)
    assert DistilledClassifier(teacher, student).fit(X, y).score(X, y) > 0.8


def test_repr_html_works(forest):
    model = DistilledClassifier(forest, TreeStudentClassifier())
    assert "TreeStudentClassifier" in model._repr_html_()


@pytest.fixture(scope="module")
def regression_task():
    return make_regression(500, 6, n_informative=4, noise=20, random_state=0)


@pytest.mark.parametrize(
    "student",
    [
        None,
        LinearStudentRegressor(),
        MLPStudentRegressor((32,), max_epochs=60),
        Ridge(),
        KNeighborsRegressor(),
    ],
    ids=["tree", "linear", "mlp", "ridge", "neighbours"],
)
def test_regressors_follow_their_teacher(student, regression_task):
    X, y = regression_task
    teacher = RandomForestRegressor(40, random_state=0).fit(X, y)
    model = DistilledRegressor(teacher, student, label_correction=False, random_state=0)
    model.fit(X[:], y)
    assert model.labelling_ == "oob"
    assert np.corrcoef(model.predict(X), teacher.predict(X))[0, 1] > 0.8
    assert model.teacher_ is teacher


@pytest.mark.filterwarnings("ignore:The teacher was fitted on the very rows")
def test_a_regressors_alpha_moves_from_values_to_teacher(regression_task):
    X, y = regression_task

    class Constant(RandomForestRegressor):
        def predict(self, X):
            return np.full(len(X), 1000.0)

    for alpha, expected in [(0.0, y.mean()), (1.0, 1000.0), (0.25, 0.75 * y.mean() + 250)]:
        teacher = Constant(5).fit(X[::2], y[::2])
        model = DistilledRegressor(teacher, alpha=alpha, labelling="direct")
        assert model.fit(X, y).predict(X).mean() == pytest.approx(expected)


def test_regression_labels_are_cross_fitted_and_pools_used(regression_task):
    X, y = regression_task
    model = DistilledRegressor(GradientBoostingRegressor(n_estimators=20), LinearStudentRegressor())
    model.fit(X[:200], y[:200], X_unlabeled=X[200:])
    assert model.labelling_ == "cross_fit"
    assert model.transfer_summary_["unlabelled"]["rows"] == 300
    assert model.score(X, y) > 0.5


def test_regression_weights_reach_teacher_and_student(regression_task):
    X, y = regression_task
    weight = np.where(y > 0, 50.0, 1.0)
    plain = DistilledRegressor(GradientBoostingRegressor(n_estimators=10, random_state=0)).fit(X, y)
    weighted = clone(plain).fit(X, y, sample_weight=weight)
    assert weighted.predict(X).mean() > plain.predict(X).mean() + 5


def test_cross_validation_of_a_fitted_teacher_keeps_it(binary_task, forest):
    X, y = binary_task
    before = joblib.hash([tree.tree_.value for tree in forest.estimators_])
    with pytest.warns(UserWarning, match="the folds of a cross-validation are only a part"):
        scores = cross_val_score(DistilledClassifier(forest), X, y, cv=3)
    assert scores.min() > 0.6
    assert joblib.hash([tree.tree_.value for tree in forest.estimators_]) == before


def drifted(X):
    """Rows of a later period: elsewhere, but in the range seen."""
    return np.clip(X + 0.7 * X.std(axis=0), X.min(axis=0), X.max(axis=0))


def test_partial_fit_follows_the_teacher_to_fresh_rows(binary_task, forest):
    X, y = binary_task
    student = MLPStudentClassifier((32,), batch_size=128, max_epochs=60)
    model = DistilledClassifier(
        forest, student, augmentation=Munge(5), label_correction=False, random_state=0
    ).fit(X, y)
    fresh, later = drifted(X)[:400], drifted(X)[400:]
    target = forest.predict_proba(later)
    before = kl_divergence(target, model.predict_proba(later))
    n_epochs = model.student_.n_iter_
    assert model.partial_fit(fresh) is model
    assert kl_divergence(target, model.predict_proba(later)) < 0.5 * before
    assert model.student_.n_iter_ > n_epochs


@pytest.mark.filterwarnings("ignore:About .* of these rows are rows that this model")
@pytest.mark.filterwarnings("ignore:The teacher .* was fitted on rows among these")
def test_partial_fit_learns_observed_classes_as_well(binary_task, forest):
    X, y = binary_task
    names = np.array(["legit", "fraud"])
    teacher = RandomForestClassifier(20, random_state=0).fit(X, names[y])
    model = DistilledClassifier(
        teacher, MLPStudentClassifier((16,)), alpha=0.0, augmentation=None, random_state=0
    ).fit(X, names[y])
    before = model.score(X, names[1 - y])
    fresh_y = np.concatenate([names[1 - y][:500].astype(object), np.full(100, -1, dtype=object)])
    with pytest.warns(UserWarning, match="About 100% of these rows are rows that this model was"):
        model.partial_fit(X, fresh_y)
    assert model.score(X, names[1 - y]) > before + 0.2
    with pytest.raises(ValueError, match=r"y holds \['scam'\]; only .* are known"):
        model.partial_fit(X[:2], ["scam", "legit"])
    with pytest.raises(ValueError, match="X has 7 features"):
        model.partial_fit(X[:, 1:])
    with pytest.raises(ValueError, match="nothing to learn: alpha=0"):
        model.partial_fit(X)


def test_the_first_partial_fit_of_a_distiller_is_fit(binary_task, forest):
    X, y = binary_task
    student = MLPStudentClassifier((8,), max_epochs=3)
    model = DistilledClassifier(forest, student, random_state=0)
    expected = model.fit(X, y).predict_proba(X)
    again = clone(model).partial_fit(X, y, classes=[0, 1])
    np.testing.assert_array_equal(again.predict_proba(X), expected)
    with pytest.raises(ValueError, match=r"classes=\[0, 1, 2\] are not the classes"):
        clone(model).partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.filterwarnings("ignore:About .* of these rows are rows that this model")
@pytest.mark.filterwarnings("ignore:The teacher .* was fitted on rows among these")
@pytest.mark.parametrize("is_fitted_before", [True, False])
def test_partial_fit_refuses_other_classes_before_it_fits_or_learns(binary_task, is_fitted_before):
    X, y = binary_task
    names = np.array(["fraud", "legit"])
    fitted = RandomForestClassifier(20, random_state=0).fit(X, names[y])
    for teacher in (fitted, UnaskedForest(20)):
        model = DistilledClassifier(teacher, MLPStudentClassifier((4,), max_epochs=1))
        if is_fitted_before:
            model.set_params(teacher=fitted).partial_fit(X, names[y], classes=names)
        before = pickle.dumps(model)
        for wrong in (["fraud"], ["fraud", "legit", "else"], [0, 1]):
            with pytest.raises(ValueError, match="are not the classes there are"):
                model.partial_fit(X, names[y], classes=wrong)
        assert pickle.dumps(model) == before
    assert "student_" in vars(
        model.set_params(teacher=fitted).partial_fit(X, names[y], ["legit", "fraud"])
    )


class UnaskedForest(RandomForestClassifier):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError("the teacher was fitted")


def test_rows_that_partial_fit_refuses_do_not_count_as_seen(binary_task):
    X, y = binary_task
    forest = RandomForestClassifier(5, random_state=0)
    model = DistilledClassifier(forest, MLPStudentClassifier((4,), max_epochs=1), random_state=0)
    model.fit(X[:300], y[:300])
    before = model._seen_rows
    with pytest.raises(ValueError, match="known classes"):
        model.partial_fit(X[300:], np.full(len(X) - 300, 7))
    assert model._seen_rows is before


@pytest.mark.filterwarnings("ignore:About .* of these rows are rows that this model")
@pytest.mark.filterwarnings("ignore:The teacher .* was fitted on rows among these")
def test_partial_fit_is_there_only_where_the_student_can_go_on(binary_task, forest):
    assert not hasattr(DistilledClassifier(forest), "partial_fit")
    assert not hasattr(DistilledRegressor(forest), "partial_fit")
    pipeline = make_pipeline(StandardScaler(), MLPStudentClassifier((8,), max_epochs=3))
    model = DistilledClassifier(forest, pipeline, augmentation=None).fit(*binary_task)
    n_epochs = model.student_[-1].n_iter_
    assert model.partial_fit(binary_task[0]).student_[-1].n_iter_ > n_epochs


@pytest.mark.filterwarnings("ignore:About .* of these rows are rows that this model")
@pytest.mark.filterwarnings("ignore:The teacher .* was fitted on rows among these")
def test_partial_fit_needs_the_teacher_itself(binary_task, tmp_path):
    X, y = binary_task
    model = DistilledClassifier(
        RandomForestClassifier(20, random_state=0),
        MLPStudentClassifier((8,), max_epochs=3, random_state=0),
        memory=str(tmp_path),
        random_state=0,
    )
    clone(model).fit(X, y)
    with pytest.raises(AttributeError, match="teacher_ is not there"):
        model.fit(X, y).partial_fit(X)


def test_a_regressor_is_distilled_further(regression_task):
    X, y = regression_task
    model = DistilledRegressor(
        RandomForestRegressor(30, random_state=0),
        MLPStudentRegressor((32,), max_epochs=60),
        label_correction=False,
        random_state=0,
    ).fit(X, y)
    fresh = drifted(X)
    target = model.teacher_.predict(fresh)
    before = np.mean((model.predict(fresh) - target) ** 2)
    model.partial_fit(fresh[:300], np.full(300, np.nan))
    assert np.mean((model.predict(fresh) - target) ** 2) < before
    with pytest.raises(ValueError, match="one finite value or NaN for each of the 300 rows"):
        model.partial_fit(fresh[:300], y[:299])


class Noting(TreeStudentClassifier):
    """Notes what it is given to learn, in a list that all clones share."""

    noted = []

    def distill(self, transfer_set, temperature=1.0, alpha=1.0):
        self.noted.append((self, transfer_set))
        return super().distill(transfer_set, temperature, alpha)


def test_every_generation_learns_from_the_one_before(binary_task, forest):
    X, y = binary_task
    Noting.noted.clear()
    model = DistilledClassifier(forest, Noting(6, random_state=0), generations=3)
    model.set_params(label_correction=False).fit(X, y)
    (first, given), (second, from_first), (third, from_second) = Noting.noted
    assert model.student_ is third
    np.testing.assert_allclose(from_first.margins[:, 1], first.decision_function(X))
    np.testing.assert_allclose(from_second.margins[:, 1], second.decision_function(X))
    assert not np.allclose(given.margins, from_first.margins)
    for later in (from_first, from_second):  # everything else stays
        np.testing.assert_array_equal(later.y, given.y)
        np.testing.assert_array_equal(later.sample_weight, given.sample_weight)


def test_generations_of_networks_start_from_other_weights(binary_task, forest):
    X, y = binary_task
    model = DistilledClassifier(forest, MLPStudentClassifier((4,), max_epochs=1), random_state=5)
    seeds = [model.set_params(generations=k).fit(X, y).student_.random_state for k in (1, 2, 3)]
    assert len(set(seeds)) == 3


def test_recalibration_is_judged_by_a_student_of_the_same_generation(binary_task, forest):
    X, y = binary_task
    Noting.noted.clear()
    model = DistilledClassifier(forest, Noting(6), generations=2, temperature=2.0)
    model.set_params(label_correction=False).fit(X, y)
    assert len(Noting.noted) == 4


@pytest.mark.parametrize("generations", [0, -1, 1.5])
def test_fewer_than_one_generation_is_refused(binary_task, forest, generations):
    with pytest.raises(ValueError, match="generations"):
        DistilledClassifier(forest, generations=generations).fit(*binary_task)


def test_a_stacking_regressor_with_its_own_last_layer_is_a_teacher(regression_task):
    X, y = regression_task
    stacked = StackingRegressor([("forest", RandomForestRegressor(5, random_state=0))], cv=2)
    model = DistilledRegressor(stacked, cv=2, random_state=0).fit(X, y)
    assert np.corrcoef(model.predict(X), y)[0, 1] > 0.5
