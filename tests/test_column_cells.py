"""Cells are read and checked once, and in any container as column by column."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline

import skdistill.columns
from skdistill import DistilledClassifier, SoftLabelClassifier, TreeStudentClassifier
from skdistill.columns import (
    PlainColumns,
    check_rows,
    checked_rows,
    column_values,
    level_positions,
    plain_rows,
)
from skdistill.levels import level_numbers


class Model(BaseEstimator):
    """Something to be fitted."""


def objects(*columns):
    X = np.empty((len(columns[0]), len(columns)), dtype=object)
    for j, column in enumerate(columns):
        X[:, j] = column
    return X


TEXT = ["a", "1", None]
WHOLE = [2**53 + 1, -1, 3]
TABLES = {
    "floats": np.array([[1.5, np.nan], [-0.0, 2.0]]),
    "float32, by columns": np.asfortranarray([[1.5, np.nan], [0.1, 2.0]], dtype=np.float32),
    "objects, numbers": objects([1, None, True], [np.float32(0.1), float("nan"), 2**60]),
    "objects, text": objects([1.5, None, np.int64(3)], TEXT, ["a", float("nan"), 2]),
    "objects, marks": objects([1.5, pd.NA, 3], ["a", pd.NaT, pd.NA], [None, pd.NA, None]),
    "objects, nothing": objects([None] * 3, [float("nan")] * 3),
    "text": np.array([["a", "1"], ["b", "2"]]),
    "pandas, numbers": pd.DataFrame({"x": [1.5, np.nan, 0.0], "n": np.array(WHOLE)}),
    "pandas, booleans": pd.DataFrame({"x": [1.5, np.nan, 0.0], "b": [True, False, True]}),
    "pandas, float32": pd.DataFrame({"x": np.float32([0.1, 2.0]), "s": ["a", None]}),
    "pandas, text": pd.DataFrame({"x": WHOLE, "s": pd.Series(TEXT, dtype="str")}),
    "pandas, strings": pd.DataFrame({"x": WHOLE, "s": pd.Series(TEXT, dtype="string")}),
    "pandas, objects": pd.DataFrame({"x": WHOLE, "s": pd.Series(TEXT, dtype=object)}),
    "pandas, mixed objects": pd.DataFrame(objects([1, None, 2.5], TEXT, [None, 1, "a"])),
    "pandas, text at last": pd.DataFrame({"s": [None] * 120 + ["a"], "x": 1.0}, dtype=object),
    "pandas, no text": pd.DataFrame({"s": pd.Series([None] * 3, dtype=object), "x": WHOLE}),
    "pandas, categories": pd.DataFrame({"x": WHOLE, "c": pd.Categorical([7, None, 8])}),
    "pandas, nullable": pd.DataFrame({"x": pd.Series([0.1, None, 2], dtype="Float32"), "s": TEXT}),
    "pandas, whole": pd.DataFrame({"n": pd.Series([*WHOLE[:2], None], dtype="Int64"), "s": TEXT}),
    "pandas, index": pd.DataFrame({"x": WHOLE, "s": TEXT}, index=[5, 5, 1]),
    "polars, numbers": pl.DataFrame({"x": [1.5, None, 0.0], "n": [1, None, 3]}),
    "polars, text": pl.DataFrame({"x": [1.5, None, 0.0], "s": TEXT, "b": [True, None, False]}),
    "polars, categories": pl.DataFrame({"s": TEXT, "e": TEXT}).cast(
        {"s": pl.Categorical, "e": pl.Enum(["1", "a"])}
    ),
}


def cells(values):
    return [f"{type(cell).__name__} {cell!r}" for cell in values.tolist()]


@pytest.mark.parametrize("X", TABLES.values(), ids=TABLES)
def test_a_table_read_at_once_is_what_its_columns_are_one_by_one(X):
    checked = checked_rows(Model(), X, reset=True)
    table = plain_rows(checked)
    assert table.shape == X.shape
    for j in range(X.shape[1]):
        one, single = column_values(table, j), column_values(checked.table, j)
        assert one.dtype == single.dtype
        assert cells(one) == cells(single)


@pytest.mark.parametrize("X", TABLES.values(), ids=TABLES)
def test_what_was_checked_is_a_table_or_columns_as_before(X):
    at_once = plain_rows(checked_rows(Model(), X, reset=True))
    again = plain_rows(check_rows(Model(), X, reset=True))
    assert type(at_once) is type(again)
    if not isinstance(again, PlainColumns):
        assert at_once.dtype == again.dtype
        np.testing.assert_array_equal(at_once, again)


@pytest.mark.parametrize(
    "X",
    [
        objects([1.5, float("inf")], ["a", "b"]),
        objects([1.5, np.float64("inf")], [1, 2]),
        objects(["a", np.float32("inf")], [1, 2]),
        objects([10**400, float("-inf")], ["a", "b"]),
        objects([pd.NA, 1.5], [float("inf"), 1]),
        np.array([[1.0, np.inf], [np.nan, 1.0]]),
        pd.DataFrame({"x": pd.Series([1.5, np.inf], dtype="Float64"), "s": ["a", "b"]}),
        pd.DataFrame({"x": pd.Series([1.5, np.inf], dtype=object), "s": ["a", "b"]}),
        pd.DataFrame({"x": [np.inf, np.nan]}, dtype=np.float32),
        pl.DataFrame({"x": [1.5, np.inf], "s": ["a", "b"]}),
        pl.DataFrame({"x": [np.inf, None]}),
    ],
    ids=str,
)
def test_an_infinite_cell_is_refused_in_every_container(X):
    with pytest.raises(ValueError, match="contains infinity"):
        check_rows(Model(), X, reset=True)


def test_an_integer_beyond_floats_is_refused_among_them_when_it_is_read():
    checked = checked_rows(Model(), objects([1.5, 10**400], ["a", "b"]), reset=True)
    with pytest.raises(ValueError, match="Column 0 holds an integer that is too large"):
        plain_rows(checked)


def test_names_that_occur_twice_are_refused_in_frames_of_numbers_too():
    with pytest.raises(Exception, match="unique column names"):
        check_rows(Model(), pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), reset=True)


def test_the_sum_of_finite_numbers_may_be_infinite():
    X = np.full((3, 2), np.finfo(np.float64).max)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_rows(Model(), X, reset=True) is X


@pytest.mark.parametrize(
    "levels", [("a", "1", None), ("1", 1), (1, 2.5, True), ("b", "a"), (), (None,)], ids=str
)
@pytest.mark.parametrize("other", [-1, 3, np.nan])
def test_positions_are_those_of_the_levels_that_cells_equal(levels, other):
    values = np.array(["a", 1, "1", "1.0", True, 2.5, "2.5", None, "?", "a"], dtype=object)
    number_of = level_numbers(levels)
    expected = [float(number_of.get(value, other)) for value in values]
    np.testing.assert_array_equal(level_positions(values, levels, other), expected)


def fitted(student, X):
    y = np.arange(X.shape[0]) % 2
    return DistilledClassifier(DummyClassifier().fit(X, y), student).fit(X, y)


def frame(n=40):
    return pd.DataFrame({"x": np.arange(n) / 7, "s": pd.Series(["a", "b"] * (n // 2))})


def test_distiller_and_student_look_at_the_cells_of_a_table_once(monkeypatch):
    X = frame().to_numpy()
    distiller = fitted(TreeStudentClassifier(), X)
    calls = []
    once = skdistill.columns.checked_objects
    monkeypatch.setattr(
        skdistill.columns, "checked_objects", lambda *args: calls.append(args) or once(*args)
    )
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        calls.clear()
        getattr(distiller, method)(X)
        assert len(calls) == 1


def test_a_student_compares_the_columns_of_a_table_that_its_distiller_has_checked():
    X = pd.DataFrame({"x": np.arange(40) / 7, "z": np.arange(40) % 3})
    distiller = fitted(TreeStudentClassifier(), X)
    with pytest.warns(UserWarning, match="feature names") as told:
        distiller.predict_proba(X.to_numpy())
    who = [str(each.message) for each in told]
    assert [name in text for text in who for name in ("DistilledC", "TreeS")] == [1, 0, 0, 1]
    distiller.student_ = TreeStudentClassifier().fit(X[["x"]], np.arange(40) % 2)
    with pytest.raises(ValueError, match="unseen at fit time"):
        distiller.predict_proba(X)


class Records(TransformerMixin, BaseEstimator):
    """Keeps the type of what it is given."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        self.seen_ = type(X)
        return X


class Renaming(TreeStudentClassifier):
    """A student derived elsewhere, which reads the table before the check."""

    def predict_proba(self, X):
        return super().predict_proba(X.rename(columns=str.lower))


def test_students_derived_elsewhere_get_the_container_of_the_caller():
    X = frame()
    expected = fitted(TreeStudentClassifier(), X).predict_proba(X)
    np.testing.assert_array_equal(fitted(Renaming(), X).predict_proba(X), expected)


def test_other_students_get_the_container_of_the_caller():
    X = frame()[["x"]]
    piped = fitted(make_pipeline(Records(), TreeStudentClassifier()), X)
    wrapped = fitted(SoftLabelClassifier(make_pipeline(Records(), DummyClassifier())), X)
    for distiller, records in (
        (piped, piped.student_[0]),
        (wrapped, wrapped.student_.estimator_[0]),
    ):
        distiller.predict_proba(X)
        assert records.seen_ is pd.DataFrame
