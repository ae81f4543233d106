"""What equals a category: the same in students, scorers, displays and exports."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

import skdistill.scorer
from skdistill import (
    CurvesDisplay,
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    SoftTreeStudentClassifier,
    TreeDisplay,
    TreeStudentClassifier,
    lean_scorer,
    save,
    to_c,
    to_onnx,
    to_sql,
)
from skdistill.export.certificate import read_certificate
from skdistill.levels import level_numbers

N = 400
SHORT = {"max_epochs": 4, "random_state": 0}
STUDENTS = {
    "tree": TreeStudentClassifier(8),
    "linear": LinearStudentClassifier(),
    "mlp": MLPStudentClassifier((8,), **SHORT),
    "soft tree": SoftTreeStudentClassifier(2, **SHORT),
}
each_student = pytest.mark.parametrize("name", STUDENTS)

#: Codes, and how else a table may hold the very same ones.
CODES = np.random.default_rng(0).integers(0, 4, N)
AS_NUMBERS = {
    "integers": CODES,
    "floats": CODES.astype(float),
    "small integers": CODES.astype(np.int8),
    "integer categories": pd.Categorical(CODES),
    "float categories": pd.Categorical(CODES.astype(float)),
    "objects": CODES.astype(object),
    "nullable integers": pd.array(CODES, dtype="Int64"),
}
AS_TEXT = {
    "text": CODES.astype(str),
    "text of floats": CODES.astype(float).astype(str),
    "text categories": pd.Categorical(CODES.astype(str)),
    "text objects": CODES.astype(str).astype(object),
}
FITTED_ON = ["integer categories", "float categories", "text", "text categories"]
CASES = [
    (fitted, asked)
    for fitted in FITTED_ON
    for asked in AS_NUMBERS | AS_TEXT
    # As texts "1" and "1.0" are two.
    if not (fitted in AS_TEXT and asked == "text of floats")
]


def table(kind):
    return pd.DataFrame({"k": (AS_NUMBERS | AS_TEXT)[kind], "x": np.arange(N) / N})


@cache
def fitted_on(kind, name="tree"):
    return clone(STUDENTS[name]).fit(table(kind), CODES % 2)


class TestRule:
    def test_numbers_are_the_texts_they_are_written_as(self):
        number_of = level_numbers((3, 2.5, True))
        same = {3: 0, "3": 0, "3.0": 0, 2.5: 1, "2.5": 1, 1: 2, "True": 2, "1": 2}
        assert {cell: number_of[cell] for cell in same} == same
        assert not {"03", "3.", "3e0", " 3", "+3", "2.50", "true", "TRUE"} & set(number_of)

    def test_texts_are_the_numbers_they_write_and_no_other_text(self):
        number_of = level_numbers(("1", "2.0", "007", "1e5", "nan", "True0", "1_0", "False"))
        found = {cell: k for cell, k in number_of.items() if not isinstance(cell, str)}
        assert found == {1: 0, 2.0: 1, False: 7}
        assert number_of[np.int64(1)] == number_of[np.float32(1)] == number_of[True] == 0
        assert not {"1.0", "2", "7", "100000.0"} & set(number_of)

    def test_a_level_comes_before_one_that_is_written_like_it(self):
        assert level_numbers(("1", 1)) == {"1": 0, 1: 1, "1.0": 1}
        assert level_numbers(("1.0", "1"))[1] == 0  # the first of two that write one number

    def test_large_integers_keep_their_digits(self):
        number_of = level_numbers(("9007199254740993", "9007199254740992"))
        assert number_of[2**53 + 1] == 0
        assert number_of[2**53] == 1
        assert level_numbers((10**400,))[str(10**400)] == 0


@pytest.mark.parametrize(("fitted", "asked"), CASES)
@each_student
def test_a_student_knows_its_levels_however_they_are_passed(name, fitted, asked):
    student = fitted_on(fitted, name)
    expected = student.predict_proba(table(fitted))
    assert len(np.unique(expected[:, 1].round(6))) > 1
    np.testing.assert_array_equal(student.predict_proba(table(asked)), expected)


@pytest.mark.parametrize(("fitted", "asked"), CASES)
def test_scorers_know_them_too(fitted, asked, tmp_path):
    student = fitted_on(fitted)
    expected = student.predict_proba(table(fitted))
    save(student, tmp_path / "student.skd")
    scorer = skdistill.scorer.load_scorer(tmp_path / "student.skd", engine="numpy")
    X = table(asked)
    np.testing.assert_allclose(scorer.batch(X), expected, atol=1e-9)
    rows = list(zip(X["k"].tolist(), X["x"].tolist(), strict=True))
    np.testing.assert_array_equal(scorer.batch(rows), scorer.batch(X))
    for row, answer in zip(rows[:9], scorer.batch(X), strict=False):
        assert scorer(row) == scorer(dict(zip("kx", row, strict=True))) == tuple(answer)


@pytest.mark.parametrize(("fitted", "asked"), [CASES[0], ("text", "integers"), CASES[7]])
def test_compiled_scorers_and_exports_know_them_too(fitted, asked, tmp_path):
    student, X = fitted_on(fitted, "linear"), table(asked)
    scorer = lean_scorer(student, "c")
    np.testing.assert_allclose(scorer.batch(X), student.predict_proba(X), atol=1e-5)
    assert scorer([str(CODES[0]), 0.0]) == scorer([float(CODES[0]), 0.0])
    for export in (to_c, to_onnx, to_sql):
        export(student, tmp_path / "student", X)
        certificate, _ = read_certificate(tmp_path / "student")
        assert certificate.n_rows > N
        assert certificate.max_difference < 1e-5


def test_displays_know_them_too():
    plain, text = table("integers"), table("text")
    tree = TreeDisplay.from_estimator(fitted_on("integer categories"), plain)
    for rule in tree.rules:
        assert rule.holds(text).tolist() == rule.holds(table("integer categories")).tolist()
    curves = CurvesDisplay.from_estimator(fitted_on("text", "linear"), plain)
    (nominal,) = [curve for curve in curves.curves if curve.is_nominal]
    assert nominal.counts.tolist() == [*sorted(np.bincount(CODES).tolist(), reverse=True), 0]


def test_a_column_of_numbers_takes_categories_that_are_numbers():
    student = fitted_on("integers", "linear")
    np.testing.assert_array_equal(
        student.predict_proba(table("integer categories")), student.predict_proba(table("floats"))
    )
    with pytest.raises(ValueError, match="Column 'k' holds strings; it held numbers"):
        student.predict(table("text"))


def test_numbers_are_refused_where_no_level_can_be_one():
    letters = table("integers").assign(k=np.array(list("abcd"))[CODES])
    student = TreeStudentClassifier(8).fit(letters, CODES % 2)
    with pytest.raises(ValueError, match="Column 'k' holds numbers; it held strings"):
        student.predict(table("integers"))
    with pytest.raises(TypeError, match="'k' holds 3, an int; a category was expected"):
        lean_scorer(student, "numpy")([3, 0.0])


def asked_with(k):
    return pd.DataFrame({"k": k, "x": np.linspace(0, 1, len(k))})


class TestUnknownLevels:
    """Asking with categories most of which are unknown warns."""

    @each_student
    def test_one_warning_states_the_share_and_the_levels(self, name):
        student = fitted_on("text", name)
        asked = asked_with(["0", "zero", "one", "one", None, None])
        with pytest.warns(UserWarning, match=r"3 of 4 cells \(75%\) are none of its 4") as said:
            student.predict_proba(asked)
        (warning,) = said
        assert "Column 'k'" in str(warning.message)
        assert "'0'" in str(warning.message)
        assert "'zero', 'one'" in str(warning.message)
        assert warning.filename == __file__

    @pytest.mark.parametrize("engine", ["c", "numpy"])
    def test_batches_of_scorers_warn_and_single_rows_do_not(self, engine):
        scorer = lean_scorer(fitted_on("integer categories", "linear"), engine)
        for X in (asked_with(["a", "b", "c"]), asked_with([7, 8, 9]), [["a", 0.0], ["b", 0.0]]):
            with pytest.warns(UserWarning, match="Most categories are unknown"):
                scorer.batch(X)
        scorer(["a", 0.0])

    def test_regressors_warn(self):
        student = LinearStudentRegressor().fit(table("text"), CODES.astype(float))
        with pytest.warns(UserWarning, match="Most categories"):
            student.predict(asked_with(["a", "b"]))

    @each_student
    @pytest.mark.parametrize(
        "k",
        [
            ["0", "1", "new", "new"],
            ["0", None, None, None],
            [None, None],
            ["new"],  # one new category now and then is to be expected
            ["0", "1", "2", "new", "new", "newer", "newer"],  # so are some more of a few
            [0, 1, 2],
        ],
    )
    def test_half_missing_cells_and_single_ones_do_not_warn(self, name, k):
        fitted_on("text", name).predict(asked_with(k))

    def test_of_many_cells_more_than_half_are_most(self):
        student = fitted_on("text")
        student.predict(asked_with(["0", "new"] * 50))
        with pytest.warns(UserWarning, match=r"52 of 102 cells \(51%\)"):
            student.predict(asked_with([*(["0", "new"] * 50), "new", "new"]))

    def test_a_column_with_an_infrequent_level_warns_if_nothing_is_known(self):
        k = np.where(CODES < 3, CODES.astype(str), [f"id {i}" for i in range(N)])
        student = LinearStudentClassifier(min_frequency=0.05).fit(asked_with(k), CODES % 2)
        student.predict(asked_with([f"id {i}" for i in range(99)]))
        student.predict(asked_with(["0", *(f"id {i}" for i in range(999))]))
        with pytest.warns(UserWarning, match=r"100 of 100 cells \(100%\)"):
            student.predict(asked_with([f"id {i}" for i in range(100)]))

    def test_levels_all_of_which_are_infrequent_do_not_warn(self):
        k = [f"id {i}" for i in range(N)]
        student = LinearStudentClassifier(min_frequency=0.05).fit(asked_with(k), CODES % 2)
        student.predict(asked_with(k))

    def test_columns_that_a_tree_does_not_ask_for_do_not_warn(self):
        X = table("text").assign(idle="a")
        student = TreeStudentClassifier(4).fit(X, (X["x"] > 0.5).to_numpy())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            student.predict(X.assign(idle="b"))

    def test_polars_frames_warn_too(self):
        with pytest.warns(UserWarning, match="Most categories"):
            fitted_on("text").predict(pl.DataFrame({"k": ["a", "b"], "x": [0.0, 1.0]}))
