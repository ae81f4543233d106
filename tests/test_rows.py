import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    Munge,
    TreeStudentClassifier,
    TreeStudentRegressor,
)
from skdistill.columns import (
    check_rows,
    column_names,
    column_values,
    column_values_as,
    is_frame,
    is_nominal,
    plain_rows,
    row_hashes,
    stack_rows,
    take_rows,
)
from skdistill.estimators import weight_params
from skdistill.rows import (
    SKETCH_SIZE,
    SeenRows,
    check_classification_rows,
    check_regression_rows,
    check_weights,
)

CONTAINERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


def frame_of(container, X, names="abcde"):
    """Put an array into a data frame."""
    return CONTAINERS[container]({name: X[:, j] for j, name in enumerate(names)})


class Spy(DecisionTreeClassifier):
    """A teacher that counts the fits of all its instances and remembers what they saw."""

    n_fits = 0
    seen = None
    labels_seen = set()
    largest = 0

    def fit(self, X, y, sample_weight=None):
        Spy.n_fits += 1
        Spy.seen = X, y, sample_weight
        Spy.labels_seen.update(y)
        Spy.largest = max(Spy.largest, len(y))
        return super().fit(X, y, sample_weight=sample_weight)


class SpyRegressor(DecisionTreeRegressor):
    def fit(self, X, y, sample_weight=None):
        Spy.n_fits += 1
        return super().fit(X, y, sample_weight=sample_weight)


@pytest.fixture(autouse=True)
def nothing_fitted_yet():
    Spy.n_fits, Spy.seen, Spy.labels_seen, Spy.largest = 0, None, set(), 0


@pytest.fixture
def X():
    return labelled_rows()[0]


@pytest.fixture
def y():
    return labelled_rows()[1]


def labelled_rows(n_samples=120):
    return make_classification(n_samples, 5, n_informative=3, flip_y=0.1, random_state=0)


def pool_rows(n_samples=60):
    return np.random.default_rng(1).normal(size=(n_samples, 5))


DEFAULTS = {"labelling": "cross_fit", "label_correction": False, "cv": 2, "random_state": 0}


def distiller(teacher=None, student=None, **params):
    teacher = Spy(max_depth=3, random_state=0) if teacher is None else teacher
    return DistilledClassifier(teacher, student, **{**DEFAULTS, **params})


def refuse(error, message, fit, *args, **kwargs):
    """Check that a fit raises, with this message, before the teacher is fitted."""
    with pytest.raises(error, match=message):
        fit(*args, **kwargs)
    assert Spy.n_fits == 0


def test_the_spy_is_fitted_when_nothing_is_wrong(X, y):
    distiller().fit(X, y)
    assert Spy.n_fits >= 2


class TestX:
    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (lambda X: X[:, 0], ValueError, r"X is an array of shape \(120,\).*Reshape your data"),
            (lambda X: X[None], ValueError, r"X is an array of shape \(1, 120, 5\)"),
            (lambda X: X[:0], ValueError, r"0 sample\(s\)"),
            (lambda X: X[:, :0], ValueError, r"0 feature\(s\)"),
            (lambda X: np.where(X > 2, np.inf, X), ValueError, "X contains infinity"),
            (lambda X: X + 1j, ValueError, "Complex data not supported"),
            (lambda X: X.astype("M8[s]"), TypeError, r"X has dtype datetime64\[s\]"),
            (lambda X: pd.Series(X[:, 0]), ValueError, r"X is a Series of shape \(120,\)"),
            (lambda X: sp.csr_matrix(X), TypeError, "[Ss]parse data was passed"),
            (lambda X: None, TypeError, "X is None; a table was expected"),
            (lambda X: "rows", TypeError, "X is 'rows'; a table was expected"),
        ],
    )
    def test_what_is_no_table_of_numbers_and_strings_raises(self, X, y, change, error, message):
        refuse(error, message, distiller().fit, change(X), y)
        refuse(error, message, DistilledRegressor(SpyRegressor()).fit, change(X), y)

    @pytest.mark.parametrize("frame", CONTAINERS)
    def test_infinity_in_a_frame_names_the_column(self, X, y, frame):
        table = frame_of(frame, X)
        column = np.where(X[:, 1] > 2, np.inf, X[:, 1])
        table = table.assign(b=column) if frame == "pandas" else table.with_columns(b=column)
        refuse(ValueError, "X contains infinity in column 'b'", distiller().fit, table, y)

    def test_infinity_in_columns_of_objects_raises(self, X, y):
        table = X.astype(object)
        table[3, 1] = np.inf
        refuse(ValueError, "X contains infinity", distiller().fit, table, y)
        frame = pd.DataFrame(X, columns=list("abcde")).astype({"b": object})
        frame.iloc[3, 1] = np.inf
        refuse(ValueError, "X contains infinity in column 'b'", distiller().fit, frame, y)

    @pytest.mark.parametrize("frame", CONTAINERS)
    def test_columns_of_dates_are_named(self, X, y, frame):
        table = pd.DataFrame(X, columns=list("abcde"))
        table["day"] = pd.date_range("2020-01-01", periods=len(X))
        table = table if frame == "pandas" else pl.from_pandas(table)
        refuse(TypeError, "X has dtype Datetime.* in column 'day'", distiller().fit, table, y)

    @pytest.mark.parametrize("frame", CONTAINERS)
    def test_a_frame_without_rows_or_columns_raises(self, X, y, frame):
        table = frame_of(frame, X)
        refuse(ValueError, r"shape=\(0, 5\) in X", distiller().fit, table.head(0), y[:0])
        refuse(ValueError, r"shape=\(0, 0\) in X", distiller().fit, CONTAINERS[frame]({}), y)

    def test_a_list_of_lists_is_a_table(self, X, y):
        by_list = distiller().fit(X.tolist(), y.tolist())
        by_array = distiller().fit(X, y)
        assert_array_equal(by_list.predict_proba(X.tolist()), by_array.predict_proba(X))

    def test_another_width_at_predict_raises(self, X, y):
        model = distiller().fit(X, y)
        with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 5 features"):
            model.predict_proba(X[:, :4])

    @pytest.mark.parametrize("frame", CONTAINERS)
    def test_other_columns_at_predict_raise(self, X, y, frame):
        table = frame_of(frame, X)
        model = distiller().fit(table, y)
        with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
            model.predict_proba(table[list("bacde")])
        with pytest.raises(ValueError, match=r"seen at fit time, yet now missing:\n- e"):
            model.predict_proba(table[list("abcd")])

    def test_strings_where_numbers_were_raise_at_predict(self, X, y):
        table = frame_of("pandas", X)
        model = distiller(student=TreeStudentClassifier(None)).fit(table, y)
        asked = model.student_.tree_.feature[model.student_.tree_.children_left >= 0]
        name = table.columns[asked[0]]
        with pytest.raises(ValueError, match=f"Column '{name}' holds strings; it held numbers"):
            model.predict(table.astype({name: str}))

    def test_infinity_at_predict_raises(self, X, y):
        model = distiller().fit(X, y)
        X[0, 0] = -np.inf
        with pytest.raises(ValueError, match="X contains infinity"):
            model.predict(X)

    def test_missing_values_reach_teacher_and_student(self, X, y):
        X[::4, 1] = np.nan
        model = distiller().fit(X, y)
        assert np.isnan(Spy.seen[0]).any()
        assert np.isfinite(model.predict_proba(X)).all()

    @pytest.mark.parametrize("dtype", [np.float32, np.int64, object])
    def test_the_teacher_gets_the_callers_own_array(self, X, y, dtype):
        distiller(Spy(), TreeStudentClassifier()).fit(X.astype(dtype), y)
        assert Spy.seen[0].dtype == dtype


class TestY:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda y: y[:-3], r"y has 117 entries and X 120 rows"),
            (lambda y: y + 0.5 + np.arange(len(y)) / 7, "Unknown label type: .?continuous"),
            (lambda y: np.where(y == 1, np.nan, 0.0), "contains NaN"),
            (lambda y: np.full(len(y), -1), "Every entry of y is -1"),
            (lambda y: np.where(y == 1, 1, -1), "y holds one class, .*1.*, and -1, which marks"),
            (lambda y: None, "requires y to be passed"),
            (lambda y: np.stack([y, y], axis=1), "y should be a 1d array"),
            (
                lambda y: np.where(y == 1, "yes", None),
                r"labels of the types \['NoneType', 'str'\]",
            ),
            (
                lambda y: np.array(["yes", 3], dtype=object)[y],
                r"labels of the types \['int', 'str'\]",
            ),
        ],
    )
    def test_what_are_no_classes_raises(self, X, y, change, message):
        refuse(ValueError, message, distiller().fit, X, change(y))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda y: y[:-3], r"y has 117 entries and X 120 rows"),
            (lambda y: np.where(y == 1, np.nan, 0.0), "contains NaN"),
            (lambda y: np.where(y == 1, np.inf, 0.0), "contains infinity"),
            (lambda y: None, "requires y to be passed"),
            (lambda y: np.where(y == 1, "yes", "no"), "that holds text; the numbers that Distil"),
        ],
    )
    def test_what_are_no_values_raises(self, X, y, change, message):
        refuse(ValueError, message, DistilledRegressor(SpyRegressor()).fit, X, change(y))

    @pytest.mark.parametrize("label", [3, -2, "only", True])
    @pytest.mark.parametrize("labelling", ["auto", "cross_fit", "direct"])
    def test_one_class_gives_a_constant_model(self, X, label, labelling):
        model = distiller(labelling=labelling).fit(X, np.full(len(X), label))
        assert_array_equal(model.classes_, [label])
        assert_array_equal(model.predict(X), np.full(len(X), label))
        assert_array_equal(model.predict_proba(X), np.ones((len(X), 1)))
        assert Spy.n_fits == 0  # many ensembles cannot be fitted to one class

    def test_one_class_and_unlabelled_rows_are_enough_for_a_fitted_teacher(self, X, y):
        teacher = Spy(max_depth=3, random_state=0).fit(X, y)
        X_new = np.concatenate([pool_rows(), pool_rows()])
        marked = np.where(np.arange(len(X_new)) % 2, 1, -1)
        model = DistilledClassifier(teacher, labelling="direct").fit(X_new, marked)
        assert_array_equal(model.classes_, [0, 1])

    @pytest.mark.parametrize(
        "labels",
        [
            np.array(["ash", "birch"]),
            np.array(["ash", "birch"], dtype=object),
            np.array([2, 5]),
            np.array([2.0, 5.0]),
            np.array([False, True]),
            np.array([2, 5], dtype=object),
            np.array([1, 3], dtype=np.uint8),
        ],
    )
    def test_labels_of_any_type_come_back(self, X, y, labels):
        model = distiller(student=TreeStudentClassifier(4)).fit(X, labels[y])
        assert_array_equal(model.classes_, labels)
        assert set(model.predict(X)) <= set(labels.tolist())
        assert (model.predict(X) == labels[y]).mean() > 0.7

    @pytest.mark.parametrize(
        "make",
        [
            lambda y: pd.Series(np.array(["ash", "birch"])[y]),
            lambda y: pd.Series(np.array(["ash", "birch"])[y], dtype="category"),
            lambda y: pd.Series(np.array(["ash", "birch"])[y], dtype="string"),
            lambda y: pl.Series(np.array(["ash", "birch"])[y]),
            lambda y: np.array(["ash", "birch"])[y].tolist(),
        ],
    )
    def test_labels_in_any_container_are_the_same(self, X, y, make):
        expected = distiller().fit(X, np.array(["ash", "birch"])[y])
        model = distiller().fit(X, make(y))
        assert_array_equal(model.classes_, expected.classes_)
        assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


class TestUnlabelledRows:
    """Rows with y == -1 are the same as rows of X_unlabeled."""

    @pytest.mark.parametrize(
        ("labels", "dtype"),
        [
            ([0, 1], int),
            ([2, 5], float),
            ([2, 5], object),
            (["ash", "birch"], object),
        ],
    )
    @pytest.mark.parametrize("container", ["array", "pandas", "polars"])
    def test_minus_one_marks_a_row_as_unlabelled(self, X, y, labels, dtype, container):
        pool = pool_rows()
        y = np.array(labels, dtype=dtype)[y]
        if container != "array":
            X, pool = (frame_of(container, table) for table in (X, pool))
        marked_X = stack_rows([pool, X])
        marked_y = np.concatenate([np.full(60, -1).astype(dtype), y])

        marked = distiller().fit(marked_X, marked_y)
        apart = distiller().fit(X, y, X_unlabeled=pool)

        assert marked.transfer_summary_ == apart.transfer_summary_
        assert marked.transfer_summary_["unlabelled"]["rows"] == 60
        assert_array_equal(marked.classes_, labels)
        assert_allclose(marked.predict_proba(pool), apart.predict_proba(pool))
        without = distiller().fit(X, y)
        assert np.abs(without.predict_proba(pool) - apart.predict_proba(pool)).max() > 0.01

    def test_minus_one_among_strings_of_a_series_marks_unlabelled_rows(self, X, y):
        marked = pd.Series(np.array(["ash", "birch"], dtype=object)[y], dtype=object)
        marked[::3] = -1
        model = distiller().fit(X, marked)
        assert_array_equal(model.classes_, ["ash", "birch"])
        assert model.classes_.dtype.kind in "UO"
        assert model.transfer_summary_["unlabelled"]["rows"] == 40

    def test_both_kinds_of_unlabelled_rows_add_up(self, X, y):
        y[:10] = -1
        model = distiller().fit(X, y, X_unlabeled=(pool_rows(7), pool_rows(11)))
        assert model.transfer_summary_["unlabelled"]["rows"] == 28
        assert model.transfer_summary_["labelled"]["rows"] == 110

    def test_the_teacher_is_not_fitted_on_them(self, X, y):
        y[::2] = -1
        distiller().fit(X, y)
        assert Spy.n_fits == 3  # two folds, and once for the unlabelled rows
        assert Spy.labels_seen == {0, 1}
        assert Spy.largest == 60

    def test_marked_rows_keep_their_weights(self, X, y):
        y[::2] = -1
        weight = np.arange(1.0, len(y) + 1)
        summary = distiller().fit(X, y, sample_weight=weight).transfer_summary_
        assert summary["unlabelled"]["weight"] == weight[::2].sum()
        assert summary["labelled"]["weight"] == weight[1::2].sum()

    def test_rows_of_the_pool_weigh_as_much_as_a_labelled_row_on_average(self, X, y):
        weight = np.arange(1.0, len(y) + 1)
        model = distiller().fit(X, y, sample_weight=weight, X_unlabeled=pool_rows(30))
        assert_allclose(model.transfer_summary_["unlabelled"]["weight"], 30 * weight.mean())

    def test_a_fitted_teacher_that_knows_the_class_minus_one_takes_it_as_a_class(self, X, y):
        y = np.where(y == 1, 1, -1)
        teacher = RandomForestClassifier(25, random_state=1).fit(X, y)
        model = DistilledClassifier(teacher).fit(X, y)
        assert_array_equal(model.classes_, [-1, 1])
        assert model.transfer_summary_["labelled"]["rows"] == len(y)
        assert model.transfer_summary_["unlabelled"]["rows"] == 0
        assert (model.predict(X) == y).mean() > 0.7

    def test_a_fitted_teacher_of_other_classes_takes_it_as_a_mark(self, X, y):
        teacher = RandomForestClassifier(25, random_state=1).fit(X, y)
        X_new = np.concatenate([pool_rows(40), pool_rows(80)[40:]])
        marked = teacher.predict(X_new)
        marked[::4] = -1
        model = DistilledClassifier(teacher).fit(X_new, marked)
        assert_array_equal(model.classes_, [0, 1])
        assert model.transfer_summary_["unlabelled"]["rows"] == 20

    def test_the_string_minus_one_is_a_class(self, X, y):
        model = distiller().fit(X, np.array(["-1", "1"])[y])
        assert_array_equal(model.classes_, ["-1", "1"])
        assert model.transfer_summary_["unlabelled"]["rows"] == 0

    def test_unsigned_labels_hold_no_marks(self, X, y):
        model = distiller().fit(X, np.array([0, 255], dtype=np.uint8)[y])
        assert_array_equal(model.classes_, [0, 255])


class TestPool:
    def test_another_width_raises(self, X, y):
        message = "X has 4 features, but DistilledClassifier is expecting 5 features"
        refuse(ValueError, message, distiller().fit, X, y, X_unlabeled=pool_rows()[:, :4])

    @pytest.mark.parametrize("frame", CONTAINERS)
    def test_other_names_or_another_order_raise(self, X, y, frame):
        table, pool = frame_of(frame, X), frame_of(frame, pool_rows(), "abcdz")
        refuse(ValueError, r"unseen at fit time:\n- z", distiller().fit, table, y, None, pool)
        pool = frame_of(frame, pool_rows(), "bacde")
        refuse(ValueError, "must be in the same order", distiller().fit, table, y, None, pool)

    @pytest.mark.parametrize("frame", CONTAINERS)
    def test_a_frame_beside_an_array_raises(self, X, y, frame):
        pool = frame_of(frame, pool_rows())
        message = "X_unlabeled is a data frame with column names, X is not"
        refuse(ValueError, message, distiller().fit, X, y, X_unlabeled=pool)
        table = frame_of(frame, X)
        message = "X is a data frame with column names, X_unlabeled is not"
        refuse(ValueError, message, distiller().fit, table, y, X_unlabeled=pool_rows())

    def test_frames_of_two_libraries_raise(self, X, y):
        table, pool = pd.DataFrame(X, columns=list("abcde")), frame_of("polars", pool_rows())
        message = "(?i)pandas.*polars|polars.*pandas"
        refuse((TypeError, ValueError), message, distiller().fit, table, y, None, pool)

    def test_strings_where_numbers_were_name_the_column(self, X, y):
        table = pd.DataFrame(X, columns=list("abcde"))
        pool = pd.DataFrame(pool_rows(), columns=list("abcde"))
        message = "Column 'b' of X_unlabeled holds strings where X holds numbers"
        refuse(ValueError, message, distiller().fit, table, y, X_unlabeled=pool.astype({"b": str}))
        message = "Column 'b' of X_unlabeled holds numbers where X holds strings"
        refuse(ValueError, message, distiller().fit, table.astype({"b": str}), y, None, pool)
        message = "Column 0 of X_unlabeled holds strings where X holds numbers"
        refuse(ValueError, message, distiller().fit, X, y, X_unlabeled=pool_rows().astype(str))

    @pytest.mark.parametrize("frame", CONTAINERS)
    def test_a_column_of_the_pool_without_any_value_is_of_either_kind(self, X, y, frame):
        columns = {"a": X[:, 0], "s": np.array(["x", "y"])[y]}
        table = CONTAINERS[frame](columns)
        pool = CONTAINERS[frame]({"a": pool_rows()[:, 0], "s": np.full(60, np.nan)})
        rows = check_classification_rows(
            BaseEstimator(),
            table,
            y,
            None,
            pool,
            known_classes=None,
            accept_sparse=False,
        )
        assert_array_equal(column_values_as(rows.pool, 1, levels=("a",), name="s"), [None] * 60)

    def test_infinity_complex_numbers_and_dimensions_are_checked_as_in_X(self, X, y):
        pool = pool_rows()
        fit = distiller().fit
        refuse(
            ValueError,
            "X_unlabeled contains inf",
            fit,
            X,
            y,
            None,
            np.where(pool > 1, np.inf, pool),
        )
        refuse(ValueError, "Complex data not supported", fit, X, y, None, pool + 1j)
        refuse(ValueError, r"X_unlabeled is an array of shape", fit, X, y, None, pool[0])
        refuse(ValueError, r"0 sample\(s\)", fit, X, y, None, pool[:0])

    def test_sparse_beside_dense_raises(self, X, y):
        estimator = distiller(LogisticRegression(), LogisticRegression())
        with pytest.raises(ValueError, match="One of X and X_unlabeled is sparse"):
            estimator.fit(X, y, X_unlabeled=sp.csr_matrix(pool_rows()))
        model = estimator.fit(sp.csr_matrix(X), y, X_unlabeled=sp.csc_matrix(pool_rows()))
        assert model.transfer_summary_["unlabelled"]["rows"] == 60

    def test_categories_that_only_the_pool_knows_stay_categories_for_the_teacher(self, X, y):
        table, pool = pd.DataFrame({"a": X[:, 0]}), pd.DataFrame({"a": pool_rows()[:, 0]})
        table["c"] = pd.Categorical(np.array(["p", "q"])[y])
        pool["c"] = pd.Categorical(np.array(["q", "r"])[np.arange(60) % 2])
        lightgbm = pytest.importorskip("lightgbm")
        teacher = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1)
        model = distiller(teacher, augmentation=Munge(1)).fit(table, y, X_unlabeled=pool)
        assert model.transfer_summary_["synthetic"]["rows"] == len(X)

    def test_a_pool_on_another_scale_warns_where_fit_was_called(self, X, y):
        with pytest.warns(UserWarning, match="median of 5 of 5 numeric columns") as record:
            distiller().fit(X, y, X_unlabeled=pool_rows() + 100)
        assert record[0].filename == __file__

    def test_a_tuple_of_tables_is_one_pool(self, X, y):
        pool = pool_rows()
        one = distiller().fit(X, y, X_unlabeled=pool)
        several = distiller().fit(X, y, X_unlabeled=(pool[:20], pool[20:50], pool[50:]))
        assert_array_equal(one.predict_proba(X), several.predict_proba(X))

    def test_integers_and_floats_may_meet(self, y):
        X = np.random.default_rng(0).integers(0, 9, size=(120, 2))
        pool = np.random.default_rng(1).integers(0, 9, size=(60, 2)) + 0.5
        table, pool = pd.DataFrame(X, columns=["a", "b"]), pd.DataFrame(pool, columns=["a", "b"])
        model = distiller().fit(table, y, X_unlabeled=pool)
        assert model.transfer_summary_["unlabelled"]["rows"] == 60

    def test_the_regressor_checks_its_pool_as_well(self, X, y):
        fit = DistilledRegressor(SpyRegressor()).fit
        refuse(ValueError, "4 features", fit, X, y, X_unlabeled=pool_rows()[:, :4])
        model = DistilledRegressor(SpyRegressor()).fit(X, y, X_unlabeled=pool_rows())
        assert model.transfer_summary_["unlabelled"]["rows"] == 60


class TestWeights:
    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            (lambda n: np.linspace(-1, 1, n), "(?i)negative"),
            (lambda n: np.where(np.arange(n) == 3, np.nan, 1.0), "contains NaN"),
            (lambda n: np.where(np.arange(n) == 3, np.inf, 1.0), "contains infinity"),
            (lambda n: np.zeros(n), "at least one non-zero|zero for every row"),
            (lambda n: np.ones(n - 1), r"sample_weight.shape == \(119,\)"),
            (lambda n: np.ones((n, 2)), "Sample weights must be 1D"),
        ],
    )
    def test_impossible_weights_raise(self, X, y, weight, message):
        refuse(ValueError, message, distiller().fit, X, y, sample_weight=weight(len(y)))
        fit = DistilledRegressor(SpyRegressor()).fit
        refuse(ValueError, message, fit, X, y, sample_weight=weight(len(y)))

    def test_weights_that_are_zero_for_all_labelled_rows_raise(self, X, y):
        y[::2] = -1
        weight = (y == -1).astype(float)
        message = "at least one non-zero|zero for every row"
        refuse(ValueError, message, distiller().fit, X, y, sample_weight=weight)

    def test_weights_reach_the_teacher(self, X, y):
        weight = np.arange(1.0, len(y) + 1)
        distiller(
            cv=[(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))]
        ).fit(X, y, sample_weight=weight)
        assert_array_equal(Spy.seen[2], weight)

    def test_no_weights_are_no_weights(self, X, y):
        distiller().fit(X, y)
        assert Spy.seen[2] is None

    def test_rows_of_weight_zero_count_for_nothing(self, X, y):
        weight = np.where(np.arange(len(y)) < 80, 1.0, 0.0)
        y_other = y.copy()
        y_other[80:] = 1 - y_other[80:]
        cv = [
            (np.arange(0, 120, 2), np.arange(1, 120, 2)),
            (np.arange(1, 120, 2), np.arange(0, 120, 2)),
        ]
        one = distiller(cv=cv).fit(X, y, sample_weight=weight)
        other = distiller(cv=cv).fit(X, y_other, sample_weight=weight)
        assert_array_equal(one.predict_proba(X), other.predict_proba(X))

    def test_integer_weights_are_fine(self, X):
        assert check_weights(np.ones(len(X), dtype=int), X).dtype == np.float64
        assert_array_equal(check_weights(None, X), np.ones(len(X)))

    def test_weights_go_to_the_last_step_of_a_pipeline(self):
        nested = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Spy()))
        params = weight_params(nested, np.ones(3))
        assert list(params) == ["pipeline__spy__sample_weight"]
        assert weight_params(nested, None) == {}

    def test_what_takes_no_weights_is_named(self, X, y):
        with pytest.raises(TypeError, match="KNeighborsClassifier does not take sample_weight"):
            weight_params(make_pipeline(StandardScaler(), KNeighborsClassifier()), np.ones(3))


class TestParameters:
    @pytest.mark.parametrize("temperature", [0, -1.0, np.nan, np.inf, "warm", None, [1.0]])
    def test_an_impossible_temperature_raises_and_is_shown(self, X, y, temperature):
        message = f"'temperature' parameter of DistilledClassifier must be .* Got .*{temperature!r}"
        message = message.replace("[", r"\[").replace("]", r"\]")
        refuse(ValueError, message, distiller(temperature=temperature).fit, X, y)

    @pytest.mark.parametrize("alpha", [-0.1, 1.1, np.nan, "half", None])
    def test_an_impossible_alpha_raises_and_is_shown(self, X, y, alpha):
        message = f"'alpha' parameter of .* must be .* Got .*{alpha!r}"
        refuse(ValueError, message, distiller(alpha=alpha).fit, X, y)
        refuse(ValueError, message, DistilledRegressor(SpyRegressor(), alpha=alpha).fit, X, y)

    @pytest.mark.parametrize(
        "params",
        [
            {"labelling": "honest"},
            {"cv": 1.5},
            {"augmentation": "munge"},
            {"class_weight": "heavy"},
            {"memory": 3},
            {"n_jobs": "all"},
            {"random_state": "seed"},
        ],
    )
    def test_other_impossible_parameters_raise_and_are_named(self, X, y, params):
        message = f"'{next(iter(params))}' parameter of DistilledClassifier must be"
        refuse(ValueError, message, distiller(**params).fit, X, y)

    @pytest.mark.parametrize("alpha", [0, 1, 0.0, 1.0, np.float32(0.5)])
    @pytest.mark.parametrize("temperature", [2, 0.5, np.float64(3.0), "auto"])
    def test_possible_values_are_taken(self, X, y, alpha, temperature):
        model = distiller(alpha=alpha, temperature=temperature).fit(X, y)
        assert model.temperature_ > 0

    @pytest.mark.parametrize(
        ("student", "message"),
        [
            (KMeans(2), "student is KMeans, which is no classifier with predict_proba"),
            (TreeStudentClassifier, "student is the class TreeStudentClassifier; an instance was"),
            (LinearSVC(), "student is LinearSVC, which is no classifier with predict_proba"),
            (TreeStudentRegressor(), "student is TreeStudentRegressor, which is no classifier"),
            (make_pipeline(StandardScaler(), LinearSVC()), "student is LinearSVC, which is no"),
            (StandardScaler(), "student is StandardScaler, which is no classifier"),
            (KNeighborsClassifier(), "KNeighborsClassifier does not take sample_weight"),
        ],
    )
    def test_what_cannot_learn_classes_is_named(self, X, y, student, message):
        refuse(TypeError, message, distiller(student=student).fit, X, y)

    @pytest.mark.parametrize("student", ["tree", 3, object()])
    def test_what_is_no_estimator_is_no_student(self, X, y, student):
        message = f"student is {type(student).__name__}"
        refuse(TypeError, message, distiller(student=student).fit, X, y)

    @pytest.mark.parametrize(
        ("student", "message"),
        [
            (TreeStudentClassifier(), "student is TreeStudentClassifier, which is no regressor"),
            (TreeStudentRegressor, "student is the class TreeStudentRegressor; an instance was"),
            (KMeans(2), "student is KMeans, which is no regressor"),
        ],
    )
    def test_what_cannot_learn_values_is_named(self, X, y, student, message):
        refuse(TypeError, message, DistilledRegressor(SpyRegressor(), student).fit, X, y)


class TestLeak:
    @pytest.fixture
    def teacher(self, X, y):
        return HistGradientBoostingClassifier(max_iter=3)

    @pytest.mark.parametrize("container", ["array", "pandas", "polars"])
    @pytest.mark.parametrize("share", [0.1, 1.0])
    def test_labelled_rows_in_the_pool_warn_where_fit_was_called(self, X, y, share, container):
        pool = np.concatenate([pool_rows(), X[: int(share * len(X))]])
        teacher = HistGradientBoostingClassifier(max_iter=3)
        if container != "array":
            X, pool = (frame_of(container, table) for table in (X, pool))
        with pytest.warns(UserWarning, match=f"{share:.0%} of the labelled rows also") as record:
            DistilledClassifier(teacher, label_correction=False).fit(X, y, X_unlabeled=pool)
        assert len(record) == 1
        assert record[0].filename == __file__

    def test_the_same_rows_as_another_number_type_warn(self, y):
        X = np.random.default_rng(0).integers(0, 1000, size=(120, 3))
        teacher = HistGradientBoostingClassifier(max_iter=3)
        with pytest.warns(UserWarning, match="100% of the labelled rows"):
            DistilledClassifier(teacher, label_correction=False).fit(
                X, y, X_unlabeled=X.astype(np.float32)
            )

    def test_rows_with_strings_and_missing_values_warn(self, X, y):
        X[::3, 1] = np.nan
        table = pd.DataFrame(X, columns=list("abcde"))
        table["s"] = pd.Categorical(np.array(["x", "y", None], dtype=object)[np.arange(120) % 3])
        teacher = HistGradientBoostingClassifier(max_iter=3)
        with pytest.warns(UserWarning, match="100% of the labelled rows"):
            DistilledClassifier(teacher, label_correction=False).fit(
                table, y, X_unlabeled=table[::-1]
            )

    def test_rows_marked_with_minus_one_warn(self, teacher, X, y):
        marked = np.concatenate([y, np.full(len(y), -1)])
        with pytest.warns(UserWarning, match="100% of the labelled rows"):
            DistilledClassifier(teacher, label_correction=False).fit(np.concatenate([X, X]), marked)

    def test_a_clean_pool_does_not_warn(self, teacher, X, y):
        model = DistilledClassifier(teacher, label_correction=False).fit(
            X, y, X_unlabeled=pool_rows()
        )
        assert model.transfer_summary_["unlabelled"]["rows"] == 60

    @pytest.mark.parametrize(("n_levels", "n_pool"), [(3, 300), (6, 300), (6, 3000), (12, 3000)])
    def test_rows_that_recur_by_nature_do_not_warn(self, n_levels, n_pool):
        rng = np.random.default_rng(0)
        X, pool = (rng.integers(0, n_levels, size=(n, 3)) for n in (300, n_pool))
        y = rng.integers(0, 2, size=300)
        teacher = HistGradientBoostingClassifier(max_iter=3)
        assert np.isin(row_hashes(X), row_hashes(pool)).mean() > 0.5
        DistilledClassifier(teacher, label_correction=False).fit(X, y, X_unlabeled=pool)

    def test_a_leak_of_rows_some_of_which_recur_by_nature_warns(self):
        rng = np.random.default_rng(0)
        X = rng.integers(0, 30, size=(300, 2))
        y = rng.integers(0, 2, size=300)
        teacher = HistGradientBoostingClassifier(max_iter=3)
        with pytest.warns(UserWarning, match="of the labelled rows also"):
            DistilledClassifier(teacher, label_correction=False).fit(X, y, X_unlabeled=X)

    def test_sparse_rows_in_a_sparse_pool_warn(self, X, y):
        X = sp.csr_matrix(np.where(np.abs(X) < 0.5, 0.0, X))
        teacher = LogisticRegression().fit(X, y)
        model = DistilledClassifier(teacher, LogisticRegression())
        with pytest.warns(UserWarning, match="100% of the labelled rows"):
            model.fit(X, y, X_unlabeled=X[::-1].tocsc())
        model.fit(X, y, X_unlabeled=sp.csr_matrix(pool_rows()))


# What three rows of one table are in each container: numbers, strings, both with missing values.
NUMBERS = [1.5, np.nan, 3.0]
INTEGERS = [1, 2, 3]
BOOLEANS = [True, False, True]
STRINGS = ["a", None, "b"]

PANDAS_COLUMNS = {
    "sparse": (pd.arrays.SparseArray([0.0, np.nan, 2.5], fill_value=0.0), [0, np.nan, 2.5]),
    "sparse gaps": (pd.arrays.SparseArray([0.5, np.nan, 2.5]), [0.5, np.nan, 2.5]),
    "sparse integers": (pd.arrays.SparseArray([0, 7, 1]), [0, 7, 1]),
    "sparse flags": (pd.arrays.SparseArray([False, True, False]), [0, 1, 0]),
    "float": (pd.Series(NUMBERS), NUMBERS),
    "float32": (pd.Series(NUMBERS, dtype="float32"), NUMBERS),
    "int8": (pd.Series(INTEGERS, dtype="int8"), INTEGERS),
    "bool": (pd.Series(BOOLEANS), [1, 0, 1]),
    "Int64": (pd.Series([1, None, 3], dtype="Int64"), [1, np.nan, 3]),
    "Float64": (pd.Series([1.5, None, 3], dtype="Float64"), NUMBERS),
    "boolean": (pd.Series([True, None, False], dtype="boolean"), [1, np.nan, 0]),
    "pyarrow int": (pd.Series([1, None, 3], dtype="int64[pyarrow]"), [1, np.nan, 3]),
    "objects": (pd.Series([1, None, 2.5], dtype=object), [1, np.nan, 2.5]),
    "objects NA": (pd.Series([1, pd.NA, 2.5], dtype=object), [1, np.nan, 2.5]),
    "str": (pd.Series(STRINGS), STRINGS),
    "string": (pd.Series(STRINGS, dtype="string"), STRINGS),
    "string objects": (pd.Series(STRINGS, dtype=object), STRINGS),
    "string objects nan": (pd.Series(["a", np.nan, "b"], dtype=object), STRINGS),
    "string objects NA": (pd.Series(["a", pd.NA, "b"], dtype=object), STRINGS),
    "category": (pd.Series(STRINGS, dtype="category"), STRINGS),
    "pyarrow string": (pd.Series(STRINGS, dtype="string[pyarrow]"), STRINGS),
}
POLARS_COLUMNS = {
    "float": (pl.Series([1.5, None, 3.0]), NUMBERS),
    "float nan": (pl.Series(NUMBERS), NUMBERS),
    "int8": (pl.Series(INTEGERS, dtype=pl.Int8), INTEGERS),
    "int null": (pl.Series([1, None, 3]), [1, np.nan, 3]),
    "bool": (pl.Series(BOOLEANS), [1, 0, 1]),
    "bool null": (pl.Series([True, None, False]), [1, np.nan, 0]),
    "str": (pl.Series(STRINGS), STRINGS),
    "category": (pl.Series(STRINGS, dtype=pl.Categorical), STRINGS),
    "enum": (pl.Series(STRINGS, dtype=pl.Enum(["b", "a"])), STRINGS),
}
ARRAY_COLUMNS = {
    "float": (np.array(NUMBERS), NUMBERS),
    "float16": (np.array(NUMBERS, dtype=np.float16), NUMBERS),
    "uint8": (np.array(INTEGERS, dtype=np.uint8), INTEGERS),
    "bool": (np.array(BOOLEANS), [1, 0, 1]),
    "objects": (np.array([1, None, 2.5], dtype=object), [1, np.nan, 2.5]),
    "objects NA": (np.array([1, pd.NA, 2.5], dtype=object), [1, np.nan, 2.5]),
    "objects nan": (np.array([True, np.nan, np.float32(2.5)], dtype=object), [1, np.nan, 2.5]),
    "str": (np.array(["a", "", "b"]), ["a", "", "b"]),
    "string objects": (np.array(STRINGS, dtype=object), STRINGS),
    "string objects NA": (np.array(["a", pd.NA, "b"], dtype=object), STRINGS),
    "string objects nan": (np.array(["a", np.nan, "b"], dtype=object), STRINGS),
}
ALL_COLUMNS = [
    *(
        (f"pandas {name}", pd.DataFrame({"c": c}), values)
        for name, (c, values) in PANDAS_COLUMNS.items()
    ),
    *(
        (f"polars {name}", pl.DataFrame({"c": c}), values)
        for name, (c, values) in POLARS_COLUMNS.items()
    ),
    *((f"array {name}", c[:, None], values) for name, (c, values) in ARRAY_COLUMNS.items()),
]
columns_of_all_kinds = pytest.mark.parametrize(
    ("table", "values"), [c[1:] for c in ALL_COLUMNS], ids=[c[0] for c in ALL_COLUMNS]
)


class TestColumns:
    @columns_of_all_kinds
    def test_a_column_is_float64_with_nan_or_objects_with_none(self, table, values):
        nominal = any(isinstance(value, str) for value in values)
        check_rows(BaseEstimator(), table, reset=True)
        read = column_values(table, 0)
        assert read.dtype == (object if nominal else np.float64)
        assert is_nominal(read) == nominal
        assert_array_equal(read, np.array(values, dtype=read.dtype))
        assert all(
            value is None for value, asked in zip(read, values, strict=True) if asked is None
        )

    @columns_of_all_kinds
    def test_rows_hash_the_same_in_every_container(self, table, values):
        reference = np.array(values, dtype=object if "a" in values else float)[:, None]
        assert_array_equal(row_hashes(table), row_hashes(reference))

    @columns_of_all_kinds
    def test_a_table_can_be_distilled_whatever_its_columns(self, table, values):
        table = take_rows(table, np.tile(np.arange(3), 20))
        y = np.tile([0, 1, 0], 20)
        model = distiller(Blind(), TreeStudentClassifier(), alpha=0.0).fit(table, y)
        assert_array_equal(model.predict(table), y)

    def test_sparse_columns_are_no_dates(self):
        frame = pd.DataFrame({"a": pd.arrays.SparseArray([1.0, 2.0])})
        checked = check_rows(BaseEstimator(), frame, reset=True)
        assert checked.dtypes.tolist() == [np.float64]
        assert frame.dtypes.tolist() == [pd.SparseDtype(float, np.nan)]
        with pytest.raises(ValueError, match="contains infinity in column 'a'"):
            check_rows(BaseEstimator(), frame * np.inf, reset=True)

    def test_teachers_get_missing_objects_as_nan(self):
        array = np.array([[1, "a"], [pd.NA, None], [pd.NaT, "b"]], dtype=object)
        checked = check_rows(BaseEstimator(), array, reset=True)
        assert checked[0].tolist() == [1, "a"]
        assert np.isnan(checked[1, 0])
        assert np.isnan(checked[2, 0])
        assert array[1, 0] is pd.NA

    @pytest.mark.parametrize("infinite", [np.inf, -np.inf, np.float32(np.inf)])
    def test_one_infinite_object_among_others_is_refused(self, infinite):
        array = np.array([[1, "a"], [None, pd.NA], [infinite, "b"]], dtype=object)
        for column in (array, array[:, :1]):
            with pytest.raises(ValueError, match="X contains infinity"):
                check_rows(BaseEstimator(), column, reset=True)

    def test_object_cells_are_not_looked_at_one_by_one(self, monkeypatch):
        class CountedFloat(float):
            n_looks = 0

            def __ne__(self, other):
                CountedFloat.n_looks += 1
                return super().__ne__(other)

            __hash__ = float.__hash__

        array = np.full((500, 4), None)
        array[:] = [[CountedFloat(k)] * 4 for k in range(500)]
        plain = plain_rows(check_rows(BaseEstimator(), array, reset=True))
        assert plain.dtype == np.float64
        assert CountedFloat.n_looks == 0

    @pytest.mark.parametrize("values", [[[1], [2]], [1j, 2], [{"a": 1}, 3]])
    def test_objects_that_are_neither_numbers_nor_strings_raise(self, values):
        column = np.empty(2, dtype=object)
        column[:] = values
        with pytest.raises(TypeError, match="must be a string or a real number"):
            column_values(column[:, None], 0)
        with pytest.raises(TypeError, match="'c' holds an object of type"):
            column_values(pd.DataFrame({"c": column}), 0)

    def test_a_polars_column_of_nothing_is_missing_everywhere(self):
        table = pl.DataFrame({"a": [1.0, 2.0], "nothing": [None, None]})
        check_rows(BaseEstimator(), table, reset=True)
        assert np.isnan(column_values(table, 1)).all()

    def test_a_column_of_the_other_kind_raises_and_is_named(self):
        numbers, strings = np.array([[1.0], [2.0]]), np.array([["a"], ["b"]], dtype=object)
        with pytest.raises(ValueError, match="Column 'age' holds strings; it held numbers"):
            column_values_as(strings, 0, levels=None, name="age")
        with pytest.raises(ValueError, match="Column 'age' holds numbers; it held strings"):
            column_values_as(numbers, 0, levels=("a",), name="age")
        assert_array_equal(column_values_as(numbers, 0, levels=None, name="age"), [1.0, 2.0])

    def test_a_column_without_any_value_is_of_either_kind(self):
        nothing = np.array([[np.nan], [np.nan]])
        assert_array_equal(column_values_as(nothing, 0, levels=("a",), name="age"), [None, None])
        nothing = pd.DataFrame({"a": pd.Series([None, None], dtype="string")})
        assert np.isnan(column_values_as(nothing, 0, levels=None, name="age")).all()

    @pytest.mark.parametrize("frame", CONTAINERS)
    def test_frames_are_told_from_arrays(self, frame):
        assert is_frame(CONTAINERS[frame]({"a": [1]}))
        assert not is_frame(np.ones((1, 1)))
        assert not is_frame([[1]])
        assert not is_frame(sp.csr_matrix([[1]]))
        assert not is_frame(CONTAINERS[frame]({"a": [1]})["a"])

    def test_columns_without_names_are_numbered(self):
        estimator = BaseEstimator()
        check_rows(estimator, np.ones((2, 3)), reset=True)
        assert column_names(estimator) == ["x0", "x1", "x2"]
        check_rows(estimator, pd.DataFrame({"a": [1], "b": [2]}), reset=True)
        assert column_names(estimator) == ["a", "b"]


class Blind(DecisionTreeClassifier):
    """A teacher that takes any table and answers with even odds."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X):
        return np.full((X.shape[0], len(self.classes_)), 1 / len(self.classes_))


def cells(table):
    """The columns of a table, as lists with None for missing values."""
    columns = [column_values(table, j) for j in range(table.shape[1])]
    return [[None if v is None or v != v else v for v in column] for column in columns]


class TestTakeAndStack:
    @pytest.mark.parametrize("rows", [[2, 0, 2], [True, False, True]])
    def test_rows_are_taken_by_position(self, rows):
        expected = [1, 3] if rows[0] is True else [3, 1, 3]
        array = np.array([[1.0], [2.0], [3.0]])
        frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=[7, 1, 7])
        for table in (array, frame, pl.DataFrame({"a": [1.0, 2.0, 3.0]})):
            assert cells(take_rows(table, rows)) == [expected]
            assert type(take_rows(table, rows)) is type(table)
        assert take_rows(sp.csr_matrix(array), rows).toarray().ravel().tolist() == expected

    def test_one_table_stays_as_it_is(self):
        frame = pd.DataFrame({"a": [1]})
        assert stack_rows([frame]) is frame

    @pytest.mark.parametrize("frame", CONTAINERS)
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ([1, 2], [0.5, None]),
            ([0.5, None], [1, 2]),
            ([1, None], [1, 2]),
            ([True, False], [True, None]),
            (["a", None], ["b", "c"]),
            (["a", None], [None, None]),
        ],
    )
    def test_frames_are_stacked_whatever_their_number_types(self, frame, first, second):
        make = CONTAINERS[frame]
        stacked = stack_rows([make({"x": [1, 1], "a": first}), make({"x": [1, 1], "a": second})])
        assert isinstance(stacked, make)
        assert cells(stacked) == [[1, 1, 1, 1], [*first, *second]]

    @pytest.mark.parametrize("frame", CONTAINERS)
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ([True, False], [1, 2]),
            ([1, 2], [True, False]),
            ([None, None], [1, 2]),
            ([None, None], ["a", "b"]),
            (["a", "b"], [np.nan, np.nan]),
        ],
    )
    def test_frames_are_stacked_where_one_type_holds_both(self, frame, first, second):
        make = CONTAINERS[frame]
        stacked = stack_rows([make({"a": first}), make({"a": second})])
        missing = [None if value != value else value for value in second]
        assert cells(stacked) == [[*first, *missing]]

    def test_categories_stay_categories(self):
        tables = [
            pd.DataFrame({"c": pd.Categorical(values)}) for values in (["a", "b"], ["c", "a"])
        ]
        stacked = stack_rows(tables)
        assert stacked["c"].dtype == "category"
        assert stacked["c"].tolist() == ["a", "b", "c", "a"]
        for first, second in (
            (pl.Categorical, pl.Categorical),
            (pl.Categorical, pl.String),
            (pl.Enum(["a", "b"]), pl.Enum(["a", "c"])),
        ):
            tables = [
                pl.DataFrame({"c": pl.Series(["a", "b"], dtype=first)}),
                pl.DataFrame({"c": pl.Series(["c", "a"], dtype=second)}),
            ]
            assert cells(stack_rows(tables)) == [["a", "b", "c", "a"]]

    def test_arrays_and_sparse_matrices_are_stacked(self):
        stacked = stack_rows([np.array([[1]]), np.array([[2.5]])])
        assert_array_equal(stacked, [[1.0], [2.5]])
        stacked = stack_rows([sp.csr_matrix([[1.0, 0]]), sp.csc_matrix([[0, 2.0]])])
        assert stacked.format == "csr"
        assert_array_equal(stacked.toarray(), [[1, 0], [0, 2]])

    def test_nothing_is_said_when_tables_are_stacked(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            stack_rows([pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [None]})])


class TestRowHashes:
    def table(self):
        return pd.DataFrame(
            {
                "number": [1.0, 2.0, np.nan, 1.0],
                "count": [1, 2, 3, 1],
                "flag": [True, False, True, True],
                "name": ["a", "b", None, "a"],
            }
        )

    def test_equal_rows_have_equal_hashes_and_others_do_not(self):
        hashes = row_hashes(self.table())
        assert hashes.dtype == np.uint64
        assert hashes[0] == hashes[3]
        assert len(np.unique(hashes)) == 3

    def test_containers_do_not_matter(self):
        table = self.table()
        expected = row_hashes(table)
        assert_array_equal(row_hashes(pl.from_pandas(table)), expected)
        assert_array_equal(row_hashes(table.to_numpy(dtype=object)), expected)
        assert_array_equal(
            row_hashes(table.astype({"name": "category", "count": "Int64"})), expected
        )
        assert_array_equal(row_hashes(table.astype({"count": float, "flag": int})), expected)

    def test_number_types_do_not_matter(self):
        X = np.array([[0, 1], [2, 3]])
        for dtype in (np.int8, np.uint64, np.float32, np.float64, object):
            assert_array_equal(row_hashes(X.astype(dtype)), row_hashes(X))
        assert_array_equal(row_hashes(np.array([[-0.0]])), row_hashes(np.array([[0.0]])))

    def test_every_missing_number_is_the_same(self):
        X = np.array([[np.nan], [-np.nan], [np.float64(np.inf) - np.float64(0) * 0]])
        with np.errstate(invalid="ignore"):
            X[2] = np.array(np.inf) - np.array(np.inf)
        assert len(np.unique(row_hashes(X))) == 1

    def test_columns_and_their_order_matter(self):
        X = np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 0.0], [3.0, 0.0]])
        assert len(np.unique(row_hashes(X))) == 4

    def test_many_different_rows_have_different_hashes(self):
        grid = np.stack(np.meshgrid(np.arange(100.0), np.arange(100.0)), axis=-1).reshape(-1, 2)
        assert len(np.unique(row_hashes(grid))) == 10_000

    def test_many_ids_have_different_hashes(self):
        ids = np.array([[f"id {i:06}"] for i in range(300_000)], dtype=object)
        assert len(np.unique(row_hashes(ids))) == 300_000  # of 32 bits some ten would collide

    @pytest.mark.parametrize("missing", [None, np.nan, pd.NA, float("nan")])
    def test_missing_is_not_the_empty_text(self, missing):
        X = pd.DataFrame({"name": ["", missing, "None", "nan"]}, dtype=object)
        hashes = row_hashes(X)
        assert len(set(hashes)) == 4
        assert hashes[1] == row_hashes(np.array([[None], ["a"]], dtype=object))[0]

    def test_numbers_among_text_are_not_the_text(self):
        X = np.array([[1], [1.0], [True], ["1"], [-1], [-2], [10**400], ["\ud800"]], dtype=object)
        hashes = row_hashes(X)
        assert len(set(hashes[:3])) == 1
        assert len(set(hashes)) == 6

    def test_sparse_rows_hash_by_their_values(self):
        X = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [1.0, 0.0, 2.0], [1.0, 2.0, 0.0]])
        hashes = row_hashes(sp.csr_matrix(X))
        assert hashes[0] == hashes[2]
        assert len(np.unique(hashes)) == 3
        assert_array_equal(row_hashes(sp.csc_matrix(X)), hashes)

    def test_sparse_rows_hash_the_same_whatever_their_number_types(self):
        X = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
        hashes = row_hashes(sp.csr_matrix(X))
        assert hashes.dtype == np.uint64
        assert_array_equal(row_hashes(sp.csr_matrix(X.astype(np.float32))), hashes)
        assert_array_equal(row_hashes(sp.csr_matrix(X.astype(np.int64))), hashes)
        assert_array_equal(row_hashes(sp.csr_array(sp.coo_array(X))), hashes)

    def test_zeros_that_a_sparse_matrix_stores_do_not_matter(self):
        X = sp.csr_matrix(np.array([[1.0, 3.0, 2.0]]))
        stored = X.copy()
        stored.data[1] = 0.0
        assert_array_equal(row_hashes(stored), row_hashes(sp.csr_matrix([[1.0, 0.0, 2.0]])))


class TestFrames:
    """Frames with columns of all kinds pass through the whole flow."""

    @pytest.fixture
    def frame(self, X, y):
        rng = np.random.default_rng(0)
        table = pd.DataFrame(X[:, :2], columns=["f", "g"])
        table["i"] = rng.integers(0, 5, len(y))
        table["flag"] = rng.integers(0, 2, len(y)).astype(bool)
        table["name"] = pd.Series(np.array(["x", "z"], dtype=object)[y], dtype="str")
        table["kind"] = pd.Categorical(np.array(["p", "q", "r"])[rng.integers(0, 3, len(y))])
        table["n"] = pd.array(rng.integers(0, 5, len(y)), dtype="Int64")
        table.loc[::7, ["f", "name", "n"]] = None
        table.loc[::5, "kind"] = None
        return table

    @pytest.mark.parametrize("container", CONTAINERS)
    def test_the_teacher_gets_the_callers_own_frame(self, frame, y, container):
        class Watching(Blind):
            columns = None

            def fit(self, X, y, sample_weight=None):
                Watching.columns = X.dtypes if container == "pandas" else X.schema
                return super().fit(X, y, sample_weight)

        table = frame if container == "pandas" else pl.from_pandas(frame)
        model = distiller(Watching()).fit(table, y)
        expected = table.dtypes if container == "pandas" else table.schema
        assert list(Watching.columns) == list(expected)
        assert_array_equal(model.feature_names_in_, frame.columns)

    def test_both_libraries_give_the_same_student(self, frame, y):
        polars_frame = pl.from_pandas(frame)
        one = distiller(Blind(), alpha=0.0).fit(frame, y)
        other = distiller(Blind(), alpha=0.0).fit(polars_frame, y)
        assert_array_equal(one.predict_proba(frame), other.predict_proba(polars_frame))
        assert (one.predict(frame) == y).mean() > 0.9  # "name" says it all, where it is there

    @pytest.mark.parametrize("container", CONTAINERS)
    def test_a_pool_of_such_rows_is_taken(self, frame, y, container):
        table = frame if container == "pandas" else pl.from_pandas(frame)
        labelled = np.arange(len(y)) < 80
        rows = take_rows(table, labelled), take_rows(table, ~labelled)
        apart = distiller(Blind()).fit(rows[0], y[labelled], X_unlabeled=rows[1])
        marked = distiller(Blind()).fit(table, np.where(labelled, y, -1))
        assert apart.transfer_summary_ == marked.transfer_summary_
        assert_array_equal(apart.predict_proba(table), marked.predict_proba(table))

    def test_gradient_boosting_with_categories_teaches_on_pandas(self, frame, y):
        table = frame.astype({"name": "category", "n": float})
        teacher = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5)
        model = distiller(teacher).fit(table[:80], y[:80], X_unlabeled=table[80:])
        assert (model.predict(table) == y).mean() > 0.8

    def test_the_index_of_a_frame_does_not_matter(self, frame, y):
        shuffled = frame.set_axis(np.random.default_rng(0).integers(0, 9, len(y)))
        y_series = pd.Series(y, index=np.arange(len(y))[::-1])
        one = distiller(Blind(), alpha=0.0).fit(frame, y)
        other = distiller(Blind(), alpha=0.0).fit(shuffled, y_series)
        assert_array_equal(one.predict_proba(frame), other.predict_proba(shuffled))


class TestSeenRows:
    def test_the_share_of_known_rows_is_counted_also_from_a_sketch(self, rng):
        for n in (1000, 5 * SKETCH_SIZE):
            X = rng.normal(size=(n, 2))
            seen = SeenRows.of(X[: n // 2], None, X[n // 2 : -100])
            assert len(seen.hashes) == min(n - 100, SKETCH_SIZE)
            assert seen.excess_in(X[:-100]) == 1.0
            assert seen.excess_in(rng.normal(size=(n, 2))) == 0.0
            half = np.concatenate([X[: n // 4], rng.normal(size=(n // 4, 2))])
            assert abs(seen.excess_in(half) - 0.5) < 0.02

    def test_rows_that_recur_are_known_by_chance(self, rng):
        X = rng.integers(0, 4, size=(4000, 3))
        assert SeenRows.of(X[:2000]).recurring == 1.0
        assert SeenRows.of(X[:2000]).excess_in(X[2000:]) == 0.0
        rare = rng.integers(0, 60, size=(4000, 2))
        seen = SeenRows.of(rare[:2000])
        assert 0.2 < seen.recurring < 0.8
        assert abs(seen.excess_in(rare[2000:])) < 0.05
        assert seen.excess_in(rare[:2000]) == 1.0

    @pytest.mark.parametrize("n_values", [4, 16, 30, 60, 100])
    def test_fresh_rows_of_coarse_tables_are_not_taken_for_known_ones(self, n_values):
        for seed in range(20):
            rng = np.random.default_rng(seed)
            X = rng.integers(0, n_values, size=(5000, 2))
            seen = SeenRows.of(X[:4000])
            assert seen.excess_in(X[4000:]) == 0.0
            mixed = np.concatenate([X[:500], X[4000:4500]])
            if n_values == 100:
                assert abs(seen.excess_in(mixed) - 0.5) < 0.1

    def test_rows_are_recognised_in_another_process_and_container(self):
        frame = pd.DataFrame({"name": ["Ann", None, "Eve"], "n": [1.0, 2.0, 3.0]})
        program = (
            "import sys, pickle, pandas as pd; from skdistill.columns import row_hashes;"
            "frame = pd.DataFrame({'name': ['Ann', None, 'Eve'], 'n': [1.0, 2.0, 3.0]});"
            "import scipy.sparse as sp; sparse = sp.csr_array([[0.0, 1.5], [2.0, 0.0]]);"
            "sys.stdout.buffer.write(pickle.dumps([row_hashes(frame), row_hashes(sparse)]))"
        )
        found = []
        for seed in ("1", "2"):
            done = subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
            )
            found.append(pickle.loads(done.stdout))
        for one, other in zip(*found, strict=True):
            assert_array_equal(one, other)
        assert_array_equal(found[0][0], row_hashes(pl.from_pandas(frame)))


class TestRegressionRows:
    def test_values_become_floats_and_nothing_marks_a_row(self):
        X, y = make_regression(30, 3, random_state=0)
        y = np.where(np.arange(30) % 3 == 0, -1, np.rint(y)).astype(int)
        rows = check_regression_rows(BaseEstimator(), X, y, None, None, accept_sparse=False)
        assert rows.y.dtype == np.float64
        assert_array_equal(rows.y, y)
        assert rows.pool is None
        assert rows.given_weight is None


@pytest.mark.parametrize("dtype", ["string", "Int64", "boolean", object])
@pytest.mark.parametrize(
    "estimator", [TreeStudentClassifier(4), DistilledClassifier(RandomForestClassifier(5))]
)
def test_missing_classes_of_pandas_are_named(dtype, estimator):
    X = np.arange(40.0)[:, None]
    y = pd.Series(["1", "0"] * 20 if dtype in ("string", object) else [1, 0] * 20, dtype=dtype)
    y[3] = pd.NA
    with pytest.raises(ValueError, match=r"1 missing values, the first of them in row 3. Leave"):
        clone(estimator).fit(X, y)


@pytest.mark.parametrize(
    ("y", "mark"),
    [
        (np.array([*["legit"] * 20, *["fraud"] * 20, *[-1] * 20]), "'-1'"),
        (np.array([*["legit"] * 20, *["fraud"] * 20, *[np.nan] * 20]), "'nan'"),
        (np.repeat([0, 1, -1], 20).astype(np.uint64), "18446744073709551615"),
    ],
)
def test_marks_that_numpy_has_changed_are_named(y, mark):
    X = np.arange(60.0)[:, None]
    model = DistilledClassifier(RandomForestClassifier(5), TreeStudentClassifier(4))
    with pytest.warns(UserWarning, match=f"y holds {mark}, which is taken for a class"):
        model.fit(X, y)
    marked = y.astype(object)
    marked[40:] = -1
    assert len(model.fit(X, marked).classes_) == 2


@pytest.mark.parametrize(
    "estimator", [TreeStudentClassifier(4), DistilledClassifier(LogisticRegression())]
)
def test_masked_classes_are_named(estimator):
    y = np.ma.masked_array(np.arange(40) % 2, mask=np.arange(40) > 36)
    with pytest.raises(ValueError, match="3 missing values, the first of them in row 37"):
        clone(estimator).fit(np.arange(40.0)[:, None], y)
