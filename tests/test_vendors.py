"""What the vendors of teachers do differently, and what is made of it."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdistill import (
    AttributionHint,
    DistilledClassifier,
    DistilledRegressor,
    MLPStudentClassifier,
    MultiTeacher,
    OnlineDistilledClassifier,
    TreeStudentClassifier,
    explain,
    fidelity_report,
    to_onnx,
    transfer_rows_from_teacher,
    verify,
)
from skdistill.columns import as_documented_table, column_values
from skdistill.teacher.asking import n_columns_of, names_of, package_of, unfitted
from skdistill.teacher.growing import check_rounds, clone_to_fit
from skdistill.teacher.leaves import leaves_of
from skdistill.teacher.margins import ClassifierTeacher
from skdistill.teacher.training_rows import Proof, proof_of_training_rows
from skdistill.teacher.tree_nodes import read_tree_nodes
from skdistill.teacher.vendors import vendor_of

catboost = pytest.importorskip("catboost")
lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

QUIET = pytest.mark.filterwarnings("ignore:The teacher was fitted on the very rows")
OLD_EVAL_SET = pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")


def rows(n=600, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    return X, (X[:, 0] + rng.normal(size=n) > 0).astype(int)


def catboost_classifier(**params):
    return catboost.CatBoostClassifier(
        **{"iterations": 10, "verbose": 0, "allow_writing_files": False, **params}
    )


def lightgbm_classifier(**params):
    return lightgbm.LGBMClassifier(n_jobs=1, verbose=-1, **params)


class MyLightGBM(lightgbm.LGBMClassifier):
    pass


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


def through_file(model, folder):
    model.save_model(folder / "model.cbm")
    return catboost.CatBoostClassifier().load_model(folder / "model.cbm")


COPIES = {
    "pickle": lambda model, _: through_pickle(model),
    "deep copy": lambda model, _: copy.deepcopy(model),
    "file": through_file,
}


@pytest.mark.parametrize("how", COPIES)
class TestCopiedCatBoost:
    def test_it_is_a_teacher_like_the_original(self, how, tmp_path):
        X, y = rows()
        teacher = catboost_classifier().fit(X[:300], y[:300])
        copied = COPIES[how](teacher, tmp_path)
        found = DistilledClassifier(copied).fit(X[300:], y[300:]).predict_proba(X)
        expected = DistilledClassifier(teacher).fit(X[300:], y[300:]).predict_proba(X)
        assert_array_equal(found, expected)

    def test_it_still_refuses_rows_of_another_width(self, how, tmp_path):
        X, y = rows()
        copied = COPIES[how](catboost_classifier().fit(X, y), tmp_path)
        assert n_columns_of(copied) == n_columns_of(make_pipeline(copied)) == 4
        with pytest.raises(ValueError, match=r"X has 3 columns, but .* fitted on 4"):
            DistilledClassifier(copied).fit(X[:, :3], y)

    def test_its_trees_are_read(self, how, tmp_path):
        X, y = rows()
        copied = COPIES[how](catboost_classifier().fit(X, y), tmp_path)
        drawn = transfer_rows_from_teacher(copied, [(-3, 3)] * 4, 20, random_state=0)
        assert drawn.shape == (20, 4)

    def test_in_front_of_others_it_lets_every_width_pass_that_it_does_not_know(self, how, tmp_path):
        X, y = rows()
        copied = COPIES[how](catboost_classifier().fit(X, y), tmp_path)
        voting = VotingClassifier([("cat", catboost_classifier())], voting="soft").fit(X, y)
        voting.estimators_[0] = copied
        assert n_columns_of(voting) is None


@QUIET
def test_a_pickled_distiller_of_catboost_is_explained():
    X, y = rows()
    model = DistilledClassifier(catboost_classifier().fit(X, y), random_state=0).fit(X, y)
    copied = through_pickle(model)
    found, expected = (
        explain(each.teacher_, X[:5], X[:50], random_state=0).values for each in (copied, model)
    )
    assert_allclose(found, expected)


def test_names_that_a_vendor_makes_up_are_none():
    X, y = rows()
    frame = pd.DataFrame(X, columns=list("abcd"))
    for make in (catboost_classifier, lightgbm_classifier, xgboost.XGBClassifier):
        assert names_of(clone(make()).fit(X, y)) is None
        assert names_of(clone(make()).fit(frame, y)) == list("abcd")


def test_catboost_is_fitted_on_the_columns_of_x_by_name():
    X, y = rows()
    teacher = catboost_classifier().fit(pd.DataFrame(X, columns=list("abcd")), y)
    with pytest.raises(ValueError, match=r"Column 0 of X is 'd', .* fitted on 'a'"):
        DistilledClassifier(teacher).fit(pd.DataFrame(X, columns=list("dcba")), y)


class TestListsOfCatBoost:
    def frame(self):
        X, y = rows(200)
        kinds = pd.Series(np.where(X[:, 1] > 0, "p", "q"))
        return pd.DataFrame({"kind": kinds, "x": X[:, 0]}), y

    @QUIET
    @pytest.mark.parametrize("features", [["kind"], np.array([0]), ("kind",)])
    @pytest.mark.parametrize("is_fitted", [True, False])
    def test_the_distiller_survives_clone_and_search(self, features, is_fitted):
        X, y = self.frame()
        teacher = catboost_classifier(cat_features=features)
        teacher = teacher.fit(X, y) if is_fitted else teacher
        model = DistilledClassifier(teacher, TreeStudentClassifier(), random_state=0, cv=2)
        assert (clone(model).teacher is teacher) == is_fitted
        search = GridSearchCV(model, {"student__max_leaf_nodes": [2, 4]}, cv=2).fit(X, y)
        assert search.best_score_ > 0.6
        several = clone(MultiTeacher([("cat", teacher)]))
        assert (several.teachers[0][1] is teacher) == is_fitted

    def test_its_clone_has_the_same_parameters(self):
        params = unfitted(catboost_classifier(cat_features=["kind"], depth=3)).get_params()
        assert params["cat_features"] == ["kind"]
        assert params["depth"] == 3

    def test_within_others_a_tuple_is_asked_for(self):
        X, y = self.frame()
        inside = VotingClassifier(
            [("cat", catboost_classifier(cat_features=["kind"]))], voting="soft"
        )
        with pytest.raises(TypeError, match="Use a tuple, such as cat_features=\\('colour'"):
            DistilledClassifier(inside).fit(X, y)


def stopped_early():
    """Boosters that stopped long before their last round, by the ways there are to ask for it."""
    X, y = rows()
    fresh = [(X[400:], y[400:])]

    def fitted(model, **params):
        return model.fit(X[:400], y[:400], eval_set=fresh, **params)

    stop = xgboost.callback.EarlyStopping(rounds=3)
    xgb = {"n_estimators": 100, "learning_rate": 0.5, "n_jobs": 1}
    lgb = {"learning_rate": 0.3}
    return {
        "XGBoost": fitted(xgboost.XGBClassifier(early_stopping_rounds=3, **xgb), verbose=False),
        "XGBoost callback": fitted(xgboost.XGBClassifier(callbacks=[stop], **xgb), verbose=False),
        "LightGBM": fitted(lightgbm_classifier(n_estimators=100, early_stopping_round=3, **lgb)),
        "LightGBM aliases": fitted(
            lightgbm_classifier(num_iterations=100, n_iter_no_change=3, **lgb)
        ),
        "CatBoost": fitted(
            catboost_classifier(learning_rate=0.3, iterations=100, early_stopping_rounds=3)
        ),
        "CatBoost best model": fitted(
            catboost_classifier(
                learning_rate=0.3, iterations=100, use_best_model=True, od_type="Iter", od_wait=3
            )
        ),
    }


def rounds_answering(model):
    if package_of(model) == "xgboost":
        return int(model.get_booster().attr("best_iteration")) + 1
    return model.best_iteration_ if package_of(model) == "lightgbm" else model.tree_count_


@QUIET
@OLD_EVAL_SET
@pytest.mark.parametrize(
    "name",
    [
        "XGBoost",
        "XGBoost callback",
        "LightGBM",
        "LightGBM aliases",
        "CatBoost",
        "CatBoost best model",
    ],
)
class TestEarlyStopping:
    def test_a_refit_has_the_rounds_that_were_chosen(self, name):
        teacher, (X, y) = stopped_early()[name], rows()
        chosen = rounds_answering(teacher)
        assert chosen < 60
        copied = clone_to_fit(make_pipeline(teacher)).fit(X, y)
        assert len(read_tree_nodes(copied[-1]).root) == chosen
        model = DistilledClassifier(teacher, labelling="cross_fit", cv=2).fit(X, y)
        assert model.teacher_ is teacher
        assert model.score(X, y) > 0.7

    def test_several_teachers_are_weighed(self, name):
        teacher, (X, y) = stopped_early()[name], rows()
        several = MultiTeacher([("one", teacher)], weights="auto", cv=2).fit(X, y)
        assert several.log_losses_[0] < 0.65

    def test_it_grows_on(self, name):
        teacher, (X, y) = stopped_early()[name], rows()
        chosen = rounds_answering(teacher)
        student = GoesOn()
        model = OnlineDistilledClassifier(teacher, student, n_stages=1).fit(X, y)
        with pytest.warns(UserWarning, match="was fitted on rows among these"):
            model.partial_fit(X, y)
        assert model.stage_trees_ == [chosen, 2 * chosen]

    def test_unfitted_it_says_so_at_once(self, name):
        teacher = stopped_early()[name]
        if name == "CatBoost":  # which does without, in silence
            with pytest.warns(UserWarning, match="early stopping .*CatBoost fits all rounds"):
                check_rounds(unfitted(teacher))
            return
        with pytest.raises(ValueError, match="early stopping"):
            DistilledClassifier(unfitted(teacher)).fit(*rows())


class GoesOn(TreeStudentClassifier):
    """A student that can be distilled further, by starting anew."""

    def partial_distill(self, transfer_set, temperature=1.0, alpha=1.0):
        return self.distill(transfer_set, temperature, alpha)


@pytest.mark.parametrize(
    ("booster", "name"),
    [
        (lambda: catboost_classifier(), "iterations"),
        (lambda: lightgbm_classifier(), "n_estimators"),
        (lambda: lightgbm_classifier(num_trees=7), "num_trees"),
        (lambda: xgboost.XGBClassifier(), "n_estimators"),
    ],
)
def test_the_name_of_the_rounds_is_the_one_that_counts(booster, name):
    assert vendor_of(booster()).size_name(booster()) == name


def test_without_early_stopping_a_clone_is_a_plain_clone():
    X, y = rows(100)
    forest = xgboost.XGBRFClassifier(n_estimators=7, n_jobs=1).fit(X, y)
    assert clone_to_fit(forest).n_estimators == 7  # these are one round


class TestLinearBooster:
    def linear(self):
        return xgboost.XGBClassifier(booster="gblinear", n_estimators=5, n_jobs=1)

    def test_it_is_cross_fitted(self):
        model = DistilledClassifier(self.linear(), cv=2).fit(*rows())
        assert model.labelling_ == "cross_fit"

    def test_it_has_no_trees(self):
        X, y = rows()
        fitted = self.linear().fit(X, y)
        with pytest.raises(ValueError, match="has no leaves"):
            leaves_of(fitted, X)
        with pytest.raises(TypeError, match="does not grow tree by tree"):
            OnlineDistilledClassifier(fitted, GoesOn()).fit(X, y)
        with pytest.raises(TypeError, match="no ensemble of trees"):
            transfer_rows_from_teacher(fitted, [(-1, 1)] * 4)


def test_classes_of_users_belong_to_the_vendor_they_derive_from():
    assert package_of(MyLightGBM()) == "lightgbm"
    assert package_of(RandomForestClassifier()) == "sklearn"


def colours(n=120):
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", "blue"], n).astype(object)
    colour[:5] = None
    x = rng.normal(size=n)
    return colour, x, ((colour == "red") | (x > 1)).astype(int)


def tables():
    colour, x, _ = colours()
    text = pd.DataFrame({"colour": pd.Series(colour, dtype="str"), "x": x})
    cells = pl.DataFrame({"colour": colour.tolist(), "x": x, "wide": x > 0})
    whole = pd.array([1, None] * 60, dtype="Int64")
    encoded = pa.array(colour.tolist()).dictionary_encode()
    return {
        "text": text,
        "object": text.astype({"colour": object}),
        "category": text.astype({"colour": "category"}),
        "nullable": text.astype({"colour": "string", "x": "Float64"}).assign(whole=whole),
        "sparse column": text.assign(x=pd.arrays.SparseArray(x)),
        "arrow column": text.convert_dtypes(dtype_backend="pyarrow"),
        "arrow dictionary": text.assign(colour=pd.arrays.ArrowExtensionArray(encoded)),
        "shifted index": text.set_index(np.arange(120) + 7),
        "polars": cells,
        "polars categorical": cells.with_columns(pl.col("colour").cast(pl.Categorical)),
        "polars enum": cells.with_columns(pl.col("colour").cast(pl.Enum(["red", "blue", "green"]))),
        "pyarrow": pa.table({"colour": colour.tolist(), "x": x}),
        "object array": text.to_numpy(dtype=object),
    }


def is_documented(table):
    """What every version of LightGBM documents."""
    if isinstance(table, pd.DataFrame):
        return all(
            isinstance(dtype, pd.CategoricalDtype)
            or (isinstance(dtype, np.dtype) and dtype.kind in "biuf")
            for dtype in table.dtypes
        )
    return isinstance(table, sp.csr_matrix | sp.csc_matrix) or table.dtype.kind in "biuf"


class Watched(lightgbm.LGBMClassifier):
    """Fails before LightGBM itself is handed what it does not document."""

    def fit(self, X, y, **params):
        assert is_documented(X), type(X)
        return super().fit(X, y, **params)

    def predict(self, X, **params):
        assert is_documented(X), type(X)
        return super().predict(X, **params)

    def predict_proba(self, X, **params):
        assert is_documented(X), type(X)
        return super().predict_proba(X, **params)


def watched():
    return Watched(n_estimators=5, min_child_samples=5, n_jobs=1, verbose=-1)


class TestDocumentedTables:
    @pytest.mark.parametrize("name", tables())
    def test_every_cell_is_kept(self, name):
        table = tables()[name]
        documented = as_documented_table(table)
        assert is_documented(documented)
        assert documented.shape == table.shape
        for j in range(table.shape[1]):
            assert_array_equal(column_values(documented, j), column_values(table, j))

    def test_what_is_documented_is_not_copied(self):
        array, frame = np.ones((3, 2)), pd.DataFrame({"a": [1.5], "b": [True]})
        for table in (array, frame, tables()["category"], sp.csr_matrix(array)):
            assert as_documented_table(table) is table
        assert isinstance(as_documented_table(sp.csr_array(array)), sp.csr_matrix)
        assert isinstance(as_documented_table(sp.coo_matrix(array)), sp.csr_matrix)

    @pytest.mark.parametrize("name", [name for name in tables() if name != "sparse column"])
    def test_lightgbm_learns_from_any_container(self, name):
        _, _, y = colours()
        table = tables()[name]
        model = DistilledClassifier(watched(), cv=2, random_state=0).fit(table, y)
        assert model.score(table, y) > 0.9
        assert_allclose(model.teacher_proba(table).sum(axis=1), 1.0)

    @QUIET
    @pytest.mark.parametrize("name", ["text", "object", "polars", "arrow dictionary"])
    def test_a_fitted_one_finds_its_levels(self, name):
        _, _, y = colours()
        order = ["red", "green", "blue"]  # not the one of the alphabet
        known = tables()["category"]
        known["colour"] = known["colour"].cat.set_categories(order)
        teacher = watched().fit(known, y)
        table = tables()[name]
        table = table.select("colour", "x") if name == "polars" else table
        model = DistilledClassifier(teacher).fit(table, y)
        assert_array_equal(model.teacher_proba(table), teacher.predict_proba(known))

    @pytest.mark.parametrize(
        "around",
        [
            lambda one: make_pipeline(one),
            lambda one: make_pipeline(FunctionTransformer(), one),
            lambda one: Pipeline([("nothing", "passthrough"), ("model", one)]),
            lambda one: VotingClassifier([("one", one)], voting="soft"),
            lambda one: StackingClassifier([("one", one)], cv=2),
            lambda one: CalibratedClassifierCV(one, cv=2),
            lambda one: MultiTeacher([("one", one)]),
            lambda one: MultiTeacher([("one", make_pipeline(FunctionTransformer(), one))]),
        ],
    )
    def test_also_within_others(self, around):
        _, _, y = colours()
        model = DistilledClassifier(around(watched()), cv=2).fit(tables()["polars"], y)
        assert model.score(tables()["polars"], y) > 0.9

    def test_the_teacher_has_the_steps_it_had(self):
        _, _, y = colours()
        teacher = make_pipeline(FunctionTransformer(), watched())
        model = DistilledClassifier(teacher, cv=2).fit(tables()["polars"], y)
        assert list(model.teacher_.named_steps) == ["functiontransformer", "watched"]

    def test_other_teachers_see_the_users_own_table(self):
        _, _, y = colours()
        seen = []
        spy = FunctionTransformer(lambda X: seen.append(type(X)) or X[["x"]].to_numpy())
        DistilledClassifier(make_pipeline(spy, watched()), label_correction=False, cv=2).fit(
            tables()["polars"], y
        )
        assert set(seen) == {pl.DataFrame}


@pytest.mark.parametrize(
    ("make", "cure"),
    [
        (HistGradientBoostingClassifier, "astype\\('category'\\)"),
        (xgboost.XGBClassifier, "enable_categorical=True"),
        (catboost_classifier, "cat_features=\\('colour', 'size'\\)"),
        (RandomForestClassifier, "OneHotEncoder"),
    ],
)
def test_columns_of_text_that_a_teacher_does_not_take_are_named(make, cure):
    _, _, y = colours()
    table = tables()["text"].fillna("red")
    with pytest.raises(ValueError, match=f"cannot take the columns \\['colour'\\].*{cure}"):
        DistilledClassifier(make(), cv=2).fit(table, y)


@pytest.mark.parametrize("labelling", ["direct", "cross_fit"])
def test_columns_of_text_are_named_by_a_teacher_that_was_fitted_on_numbers(labelling):
    _, _, y = colours()
    table = tables()["text"].fillna("red")
    forest = RandomForestClassifier(5).fit(table.assign(colour=0.0), y)
    with pytest.raises(ValueError, match=r"cannot take the columns \['colour'\]"):
        DistilledClassifier(forest, labelling=labelling, cv=2).fit(table, y)


def test_other_errors_of_teachers_stay_as_they_are():
    X, y = rows(50)
    with pytest.raises(ValueError, match="max_depth"):
        DistilledClassifier(RandomForestClassifier(max_depth=-1), cv=2).fit(X, y)


class TestEncodedClasses:
    """What voting, stacking and cross_val_predict make of y."""

    def task(self, labels=("no", "yes")):
        X, y = rows(800)
        y = np.array(labels)[y]
        return RandomForestClassifier(20, random_state=0).fit(X[:400], y[:400]), X[400:], y[400:]

    @pytest.mark.parametrize("labels", [("no", "yes"), (1, 2), (-1, 1)])
    def test_a_fitted_teacher_is_cross_validated(self, labels):
        teacher, X, y = self.task(labels)
        model = DistilledClassifier(teacher, random_state=0)
        found = cross_val_predict(model, X, y, method="predict_proba", cv=2)
        assert (np.array(labels)[found.argmax(axis=1)] == y).mean() > 0.7

    def test_it_votes_and_is_stacked(self):
        teacher, X, y = self.task()
        model = DistilledClassifier(teacher, random_state=0)
        other = ("other", LogisticRegression())
        for ensemble in (
            VotingClassifier([("model", model), other], voting="soft"),
            StackingClassifier([("model", model), other], cv=2),
        ):
            assert ensemble.fit(X, y).score(X, y) > 0.7
            assert_array_equal(ensemble.estimators_[0].classes_, [0, 1])

    def test_the_codes_are_the_classes_and_the_answers_stay(self):
        teacher, X, y = self.task()
        by_name = DistilledClassifier(teacher, random_state=0).fit(X, y)
        by_code = DistilledClassifier(teacher, random_state=0).fit(X, (y == "yes").astype(int))
        assert_array_equal(by_code.predict_proba(X), by_name.predict_proba(X))
        assert_array_equal(by_code.predict(X), (by_name.predict(X) == "yes").astype(int))

    @pytest.mark.parametrize("weights", [None, "auto"])
    def test_so_are_several_teachers(self, weights):
        teacher, X, y = self.task()
        more = ("more", GradientBoostingClassifier(n_estimators=5))
        several = MultiTeacher([("forest", teacher), more], weights=weights, cv=2)
        for model in (several, DistilledClassifier(several, cv=2, random_state=0)):
            found = cross_val_predict(model, X, y, method="predict_proba", cv=2)
            assert ((found[:, 1] > 0.5) == (y == "yes")).mean() > 0.7

    def test_they_grow(self):
        teacher, X, y = self.task()
        codes = (y == "yes").astype(int)
        model = OnlineDistilledClassifier(teacher, GoesOn(), n_stages=1).fit(X, codes)
        assert model.partial_fit(X, codes).score(X, codes) > 0.7

    def test_an_order_that_the_teacher_does_not_bear_out_is_refused(self):
        teacher, X, y = self.task()
        with pytest.raises(ValueError, match="VotingClassifier, StackingClassifier and cross_val"):
            DistilledClassifier(teacher).fit(X, (y == "no").astype(int))

    def test_other_unknown_classes_are_refused(self):
        teacher, X, y = self.task()
        with pytest.raises(ValueError, match=r"y holds \[5, 6\], .* does not know"):
            DistilledClassifier(teacher).fit(X, (y == "yes").astype(int) + 5)


class TestBalancedEnsembles:
    """imbalanced-learn's; all find the rare class far too probable."""

    def task(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(3000, 4))
        return X, (X[:, 0] + 0.5 * rng.normal(size=3000) > 2.1).astype(int)

    def ensemble(self, name):
        imblearn = pytest.importorskip("imblearn.ensemble")
        return getattr(imblearn, name)(n_estimators=5, random_state=0)

    @pytest.mark.parametrize(
        "name", ["EasyEnsembleClassifier", "RUSBoostClassifier", "BalancedBaggingClassifier"]
    )
    @pytest.mark.parametrize("is_fitted", [True, False])
    def test_prior_correction_makes_them_right_on_average(self, name, is_fitted):
        X, y = self.task()
        teacher = self.ensemble(name)
        teacher = teacher.fit(X[:1500], y[:1500]) if is_fitted else teacher
        model = DistilledClassifier(teacher, prior_correction="auto", cv=2, random_state=0)
        model.fit(X[1500:], y[1500:])
        assert self.ensemble(name).fit(X, y).predict_proba(X)[:, 1].mean() > 2 * y.mean()
        assert model.predict_proba(X[1500:])[:, 1].mean() == pytest.approx(y[1500:].mean(), rel=0.2)

    @pytest.mark.parametrize("name", ["EasyEnsembleClassifier", "BalancedBaggingClassifier"])
    def test_their_trees_are_read_through_the_samplers(self, name):
        X, y = self.task()
        teacher = self.ensemble(name).fit(X, y)
        n_trees = sum(np.size(getattr(m[-1], "estimators_", m[-1])) for m in teacher.estimators_)
        assert len(read_tree_nodes(teacher).root) == n_trees
        drawn = transfer_rows_from_teacher(teacher, [(-3, 3)] * 4, 10, random_state=0)
        assert drawn.shape == (10, 4)

    @pytest.mark.parametrize(
        "name",
        [
            "BalancedRandomForestClassifier",
            "BalancedBaggingClassifier",
            "EasyEnsembleClassifier",
            "RUSBoostClassifier",
        ],
    )
    def test_they_know_the_rows_of_their_fit_by_what_each_tree_has_drawn(self, name):
        X, y = self.task()
        teacher = self.ensemble(name).fit(X[:1500], y[:1500])
        vendor = vendor_of(teacher)
        assert vendor.package == "imblearn"
        assert vendor.is_filled_by(teacher, X[:1500])
        assert not vendor.is_filled_by(teacher, X[:1500][::-1])
        assert proof_of_training_rows(teacher, X[:1500], y[:1500]) is Proof.PROVED
        assert proof_of_training_rows(teacher, X[1500:], y[1500:]) is not Proof.PROVED

    def test_fitted_balanced_bagging_labels_its_rows_out_of_bag(self):
        X, y = self.task()
        imblearn = pytest.importorskip("imblearn.ensemble")
        teacher = imblearn.BalancedBaggingClassifier(n_estimators=25, random_state=0).fit(X, y)
        model = DistilledClassifier(teacher, prior_correction="auto", random_state=0).fit(X, y)
        assert model.labelling_ == "oob"
        distiller = DistilledClassifier(teacher, labelling="oob")
        with pytest.raises(ValueError, match="in the same order; replaying its bootstrap"):
            distiller.fit(X[::-1], y[::-1])

    def test_users_classes_are_of_the_same_vendor(self):
        imblearn = pytest.importorskip("imblearn.ensemble")

        class Mine(imblearn.BalancedRandomForestClassifier):
            pass

        assert vendor_of(Mine()).package == package_of(Mine()) == "imblearn"


def boosted_terms(kind="Classifier", **params):
    glassbox = pytest.importorskip("interpret.glassbox")
    small = {"outer_bags": 1, "max_rounds": 40, "interactions": 2, "n_jobs": 1, "random_state": 0}
    return getattr(glassbox, f"ExplainableBoosting{kind}")(**{**small, **params})


@pytest.mark.filterwarnings("ignore:For multiclass we cannot currently visualize pairs")
@pytest.mark.filterwarnings("ignore:Missing values detected")
class TestExplainableBoosting:
    """interpret's EBMs: sums of tables over the bins of one or two columns."""

    def task(self, n_classes=2, n=1200, seed=0):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n, 4))
        score = X[:, 0] + X[:, 1] * X[:, 2] + 0.5 * rng.normal(size=n)
        if n_classes is None:
            return X, score
        return X, np.digitize(score, [0.3] if n_classes == 2 else [-0.5, 0.8])

    @pytest.mark.parametrize("n_classes", [2, 3])
    @pytest.mark.parametrize("is_fitted", [True, False])
    def test_a_student_follows_one(self, n_classes, is_fitted):
        X, y = self.task(n_classes)
        fresh, _ = self.task(n_classes, seed=1)
        teacher = boosted_terms()
        teacher = teacher.fit(*self.task(n_classes, seed=2)) if is_fitted else teacher
        model = DistilledClassifier(
            teacher, TreeStudentClassifier(64), cv=2, label_correction=False, random_state=0
        )
        model.fit(X, y)
        assert model.labelling_ == ("direct" if is_fitted else "cross_fit")
        assert (model.predict(fresh) == model.teacher_.predict(fresh)).mean() > 0.75

    def test_a_student_follows_merged_ones(self):
        X, y = self.task()
        halves = [boosted_terms(interactions=0).fit(X[i::2], y[i::2]) for i in (0, 1)]
        merged = pytest.importorskip("interpret.glassbox").merge_ebms(halves)  # lacks parameters
        fresh, _ = self.task(seed=1)
        model = DistilledClassifier(
            merged, TreeStudentClassifier(64), label_correction=False, random_state=0
        ).fit(fresh, y)
        assert (model.predict(X) == merged.predict(X)).mean() > 0.75

    def test_a_student_follows_a_regressor(self):
        X, y = self.task(None)
        model = DistilledRegressor(boosted_terms("Regressor"), cv=2, random_state=0).fit(X, y)
        fresh, _ = self.task(None, seed=1)
        assert np.corrcoef(model.predict(fresh), model.teacher_.predict(fresh))[0, 1] > 0.8

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_margins_are_its_own_scores(self, n_classes):
        X, y = self.task(n_classes)
        teacher = boosted_terms().fit(X, y)
        labels = teacher.classes_
        prior = np.full(n_classes, 1 / n_classes)
        margins = ClassifierTeacher(teacher, labels, labels, prior).margins(X)
        difference = margins - np.log(teacher.predict_proba(X))
        assert np.ptp(difference, axis=1).max() < 1e-9
        assert ClassifierTeacher(teacher, labels, labels, prior).answers(X).floor is None

    @pytest.mark.parametrize("n_classes", [2, 3, None])
    def test_rows_fill_the_bins_of_their_fit(self, n_classes):
        X, y = self.task(n_classes)
        X[::20, 1] = np.nan
        teacher = boosted_terms("Classifier" if n_classes else "Regressor").fit(X, y)
        cells = leaves_of(teacher, X)
        for term, weights in enumerate(teacher.bin_weights_):
            assert_array_equal(np.bincount(cells[:, term], minlength=weights.size), weights.ravel())

    @pytest.mark.parametrize("n_classes", [2, 3, None])
    def test_rows_of_its_fit_are_proved_and_others_refuted(self, n_classes):
        X, y = self.task(n_classes)
        fresh, _ = self.task(n_classes, seed=1)
        teacher = boosted_terms("Classifier" if n_classes else "Regressor").fit(X, y)
        for rows, proof in ((X, "PROVED"), (X[::-1], "PROVED"), (X[:600], "PROVED")):
            assert proof_of_training_rows(teacher, rows) is Proof[proof]
        assert proof_of_training_rows(teacher, fresh) is Proof.REFUTED

    def test_columns_of_few_values_prove_nothing_of_fresh_rows(self):
        rng = np.random.default_rng(0)
        X, y = rng.integers(0, 4, size=(3000, 3)).astype(float), rng.integers(0, 2, 3000)
        teacher = boosted_terms().fit(X[:1500], y[:1500])
        assert proof_of_training_rows(teacher, X[1500:], y[1500:]) is Proof.UNKNOWN

    def test_quantile_bins_that_fresh_rows_fill_nearly_alike_prove_nothing(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(4000, 3)).round(1)
        y = (X[:, 0] > 0).astype(int)
        teacher = boosted_terms(max_bins=64).fit(X[:2000], y[:2000])
        assert proof_of_training_rows(teacher, X[2000:], y[2000:]) is not Proof.PROVED

    def test_drawn_rows_have_the_distribution_of_the_fit(self):
        X, y = self.task()
        teacher = boosted_terms().fit(X, y)
        drawn = transfer_rows_from_teacher(teacher, n_samples=2000, random_state=0)
        assert_allclose(drawn.mean(axis=0), X.mean(axis=0), atol=0.15)
        assert_allclose(drawn.std(axis=0), X.std(axis=0), rtol=0.15)
        assert ((drawn >= X.min(axis=0)) & (drawn <= X.max(axis=0))).all()

    def test_categories_are_levels_of_nominal_columns(self):
        X, y = self.task()
        frame = pd.DataFrame(X, columns=list("abcd"))
        frame["kind"] = np.where(X[:, 0] > 0, "high", "low")
        teacher = boosted_terms().fit(frame, y)
        assert read_tree_nodes(teacher).levels == {4: ["high", "low"]}
        assert names_of(teacher) == [*"abcd", "kind"]
        drawn = transfer_rows_from_teacher(teacher, n_samples=100, random_state=0)
        assert set(drawn["kind"]) == {"high", "low"}
        assert teacher.predict_proba(drawn).shape == (100, 2)
        model = DistilledClassifier(teacher, random_state=0)
        assert model.fit(drawn, np.full(100, -1)).predict(frame).shape == y.shape

    def test_rows_on_another_scale_are_noticed(self):
        X, y = self.task()
        teacher = boosted_terms().fit(X, y)
        with pytest.warns(UserWarning, match="splits column 'x0' between"):
            DistilledClassifier(teacher, label_correction=False).fit(X + 100, y)

    def test_attributions_are_refused_before_any_work(self):
        X, y = self.task()
        hints = [AttributionHint()]
        model = DistilledClassifier(boosted_terms(), MLPStudentClassifier((4,)), hints=hints)
        with pytest.raises(ValueError, match="it is an ExplainableBoostingClassifier"):
            model.fit(X, y)

    def test_its_student_is_reported_exported_and_verified(self, tmp_path):
        X, y = self.task()
        fresh, observed = self.task(seed=1)
        teacher = boosted_terms().fit(X, y)
        model = DistilledClassifier(teacher, label_correction=False, random_state=0)
        model.fit(fresh, observed)
        report = fidelity_report(model, *self.task(seed=2))
        assert "terms" in str(report)
        path = tmp_path / "student.onnx"
        to_onnx(model, path, fresh)
        assert verify(path, fresh).max_difference <= 1e-5
