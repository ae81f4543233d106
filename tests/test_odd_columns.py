"""Columns with next to nothing in them, or far too much: every form of every student agrees."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier

import skdistill.scorer
from skdistill import (
    CurvesDisplay,
    DistilledClassifier,
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    MLPStudentRegressor,
    ScorecardDisplay,
    SoftTreeStudentClassifier,
    TreeDisplay,
    TreeStudentClassifier,
    TreeStudentRegressor,
    distillation_report,
    lean_scorer,
    load,
    save,
    to_c,
    to_onnx,
    to_sql,
)

pytest.importorskip("skorch")

SHORT = {"max_epochs": 4, "random_state": 0}
STUDENTS = {
    "tree": TreeStudentClassifier(random_state=0),
    "tree regressor": TreeStudentRegressor(random_state=0),
    "straight lines": LinearStudentClassifier(1),
    "curves": LinearStudentClassifier(),
    "curves regressor": LinearStudentRegressor(),
    "mlp": MLPStudentClassifier((16, 8), **SHORT),
    "mlp regressor": MLPStudentRegressor((16,), **SHORT),
    "soft tree": SoftTreeStudentClassifier(2, **SHORT),
}

#: Those that can be SQL.
IN_SQL = [name for name in STUDENTS if "mlp" not in name and "soft" not in name]

N_ROWS = 400


def some(share, value, otherwise):
    """Make a column that holds one value in a share of the rows."""
    return lambda rng: np.where(rng.random(N_ROWS) < share, value, otherwise)


def text(column):
    return lambda rng: pd.Series(column(rng), dtype="str")


COLUMNS = {
    "constant": some(1.0, 5.0, 0.0),
    "zero": some(1.0, 0.0, 0.0),
    "constant or missing": some(0.1, np.nan, 5.0),
    "rarely missing": some(0.005, np.nan, -2.5),
    "missing throughout": some(1.0, np.nan, 0.0),
    "almost missing throughout": some(0.99, np.nan, 7.0),
    "two values": some(0.5, 0.0, 1.0),
    "two values or missing": lambda rng: rng.choice([0.0, 1.0, np.nan], N_ROWS),
    "near constant": some(0.5, 0.3, 0.1 + 0.2),
    "identifiers": lambda rng: 2.0**53 - rng.integers(0, 90, N_ROWS),
    "one huge value": some(0.01, 1e300, 1.0),
    "from end to end": lambda rng: rng.choice([-1.7e308, 0.0, 1.7e308], N_ROWS),
    "next to nothing": some(0.5, 5e-324, 0.0),
    "flags": lambda rng: rng.random(N_ROWS) < 0.5,
    "one level": text(some(1.0, "a", "b")),
    "one level or missing": text(some(0.3, "a", None)),
    "text missing throughout": lambda rng: pd.Series([None] * N_ROWS, dtype="str"),
    "infrequent levels only": text(lambda rng: [f"id {k}" for k in rng.permutation(N_ROWS)]),
    "a rare level": text(some(0.005, "b", "a")),
    "one category that is a number": lambda rng: pd.Categorical(np.full(N_ROWS, 3)),
    "categories that are numbers": lambda rng: pd.Categorical(rng.choice([0, 7, -1], N_ROWS)),
}


def odd_table(rng, n_odd):
    """Draw a table of odd columns and one that tells something, and two classes."""
    names = rng.choice(list(COLUMNS), n_odd, replace=False)
    X = pd.DataFrame({name: COLUMNS[name](rng) for name in names}).assign(
        signal=rng.normal(size=N_ROWS)
    )
    score = X["signal"] + 2.0 * X.isna().mean(axis=1) + 0.5 * rng.normal(size=N_ROWS)
    return X, (score > score.median()).to_numpy().astype(int)


def asked_rows(X, rng):
    """Return rows with missing cells and unseen categories in every column."""
    asked = X.copy()
    for name in asked:
        kind = asked[name].dtype
        gaps = rng.random(N_ROWS) < 0.2
        if kind == "str":
            asked.loc[rng.random(N_ROWS) < 0.2, name] = "never seen"
        elif kind != "category":
            asked[name] = asked[name].astype(float)
        asked.loc[gaps, name] = None if kind == "str" else np.nan
    return asked


def answers(student, X):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Most categories")
        return student.predict_proba(X) if hasattr(student, "classes_") else student.predict(X)


def assert_same(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


@pytest.fixture(params=range(4))
def case(request):
    rng = np.random.default_rng(request.param)
    X, y = odd_table(rng, 8)
    return X, y, asked_rows(X, rng)


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.filterwarnings("ignore:Most categories")
def test_every_form_answers_as_the_student_does(name, case, tmp_path):
    X, y, asked = case
    student = clone(STUDENTS[name]).fit(X, y)
    expected = answers(student, asked)
    assert np.isfinite(expected).all()
    for engine in ("c", "numpy"):
        scorer = lean_scorer(student, engine)
        assert_same(scorer.batch(asked), expected)
        rows = asked.astype(object).head(20).to_numpy().tolist()
        assert_same([scorer(row) for row in rows], expected[:20])
    save(student, tmp_path / "student.skd")
    assert_same(answers(load(tmp_path / "student.skd"), asked), expected)
    from_file = skdistill.scorer.load_scorer(tmp_path / "student.skd", engine="numpy")
    assert_same(from_file.batch(asked), expected)
    to_c(student, tmp_path / "student.c", asked)
    to_onnx(student, tmp_path / "student.onnx", asked, dtype="float64")
    if name in IN_SQL:
        to_sql(student, tmp_path / "student.sql", asked)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.filterwarnings("ignore:Most categories")
def test_the_file_of_every_student_on_every_odd_column_answers_as_it_does(name, column, tmp_path):
    rng = np.random.default_rng(1)
    X = pd.DataFrame({column: COLUMNS[column](rng), "signal": rng.normal(size=N_ROWS)})
    y = (X["signal"] + X.isna().mean(axis=1) > 0.2).to_numpy().astype(int)
    student, asked = clone(STUDENTS[name]).fit(X, y), asked_rows(X, rng)
    save(student, tmp_path / "student.skd")
    scorer = skdistill.scorer.load_scorer(tmp_path / "student.skd", engine="numpy")
    assert_same(scorer.batch(asked), answers(student, asked))


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.filterwarnings("ignore:Most categories")
def test_displays_show_every_odd_column(column, close_figures):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(1)
    X = pd.DataFrame({column: COLUMNS[column](rng), "signal": rng.normal(size=N_ROWS)})
    y = (X["signal"] + X.isna().mean(axis=1) > 0.2).to_numpy().astype(int)
    curves, tree = LinearStudentClassifier().fit(X, y), TreeStudentClassifier(8).fit(X, y)
    rows = asked_rows(X, rng)
    shown = CurvesDisplay.from_estimator(curves, rows)
    card = ScorecardDisplay.from_estimator(curves, rows)
    rules = TreeDisplay.from_estimator(tree, rows)
    for display in (shown, card, rules, CurvesDisplay.from_estimator(curves)):
        display.figure_.canvas.draw()
    (curve,) = [curve for curve in shown.curves if curve.name == column]
    assert curve.counts.sum() == N_ROWS
    points = [row for row in card.rows if row.name == column]
    assert np.isclose(sum(row.share for row in points), 1.0)
    assert sum(rule.n_rows for rule in rules.rules) == N_ROWS


@pytest.mark.parametrize("name", ["tree", "curves"])
def test_the_page_shows_all_figures_of_odd_columns(name, close_figures):
    pytest.importorskip("matplotlib")
    X, y = odd_table(np.random.default_rng(4), len(COLUMNS))
    student = clone(STUDENTS[name]).fit(X, y)
    quick = {"n_resamples": 20, "cost": False, "attributions": False, "random_state": 0}
    html = distillation_report(student, X, y, **quick).to_html()
    assert "<svg" in html
    assert "could not be drawn" not in html


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, object])
def test_masked_cells_are_missing_in_every_form(dtype, rng):
    X = rng.integers(0, 9, (300, 3)).astype(dtype)
    is_masked = rng.random(X.shape) < 0.3
    masked = np.ma.masked_array(X, mask=is_masked)
    cells = np.where(is_masked, np.nan, X.astype(float))
    y = (np.nan_to_num(cells[:, 0], nan=9) > 4).astype(int)
    student = TreeStudentClassifier(16).fit(masked, y)
    expected = TreeStudentClassifier(16).fit(cells, y).predict_proba(cells)
    scorer = lean_scorer(student)
    np.testing.assert_allclose(student.predict_proba(masked), expected)
    np.testing.assert_allclose(scorer.batch(masked), expected)
    np.testing.assert_allclose(
        scorer.batch({n: masked[:, j] for j, n in enumerate(["x0", "x1", "x2"])}), expected
    )
    np.testing.assert_allclose([scorer(row) for row in masked[:20]], expected[:20])
    forest = RandomForestClassifier(5, random_state=0)
    model = DistilledClassifier(forest, student, augmentation=None, random_state=0)
    np.testing.assert_allclose(
        model.fit(masked, y).predict_proba(masked), clone(model).fit(cells, y).predict_proba(cells)
    )


@pytest.mark.parametrize("cell", [[1], {"a": 1}, {1}])
def test_cells_that_are_neither_text_nor_number_are_named(cell):
    frame = pd.DataFrame({"k": ["a", "b"] * 20, "x": np.arange(40.0)})
    student = TreeStudentClassifier(4).fit(frame, np.arange(40) % 2)
    frame["k"] = pd.Series([cell, *["a"] * 39], dtype=object)
    for ask in (student.predict_proba, lambda X: clone(student).fit(X, np.arange(40) % 2)):
        with pytest.raises(
            TypeError, match=rf"Column 'k' holds an object of type {type(cell).__name__}"
        ):
            ask(frame)


def test_integers_that_no_float_holds_are_named():
    frame = pd.DataFrame({"x": pd.Series([10**400, *range(39)], dtype=object)})
    with pytest.raises(ValueError, match="Column 'x' holds an integer that is too large"):
        TreeStudentClassifier(4).fit(frame, np.arange(40) % 2)


@pytest.mark.parametrize("level", [2**53 + 1, 10**30])
def test_categories_that_floats_confuse_are_refused_in_every_form(level, tmp_path):
    frame = pd.DataFrame(
        {"k": pd.Categorical(np.array([level, 5], dtype=object)[np.arange(60) % 2])}
    )
    student = TreeStudentClassifier(4).fit(frame, np.arange(60) % 2)
    forms = [
        lean_scorer,
        lambda student: save(student, tmp_path / "a.skd"),
        lambda student: to_c(student, tmp_path / "a.c", frame),
        lambda student: to_onnx(student, tmp_path / "a.onnx", frame),
        lambda student: to_sql(student, tmp_path / "a.sql", frame, dialect="duckdb"),
    ]
    for form in forms:
        with pytest.raises(ValueError, match=r"column 'k' has a category beyond 2\*\*53; where"):
            form(student)
    assert not list(tmp_path.iterdir())


def test_classes_beyond_the_integers_of_a_form_are_named(tmp_path, rng):
    X = rng.normal(size=(60, 2))
    y = np.array([3, 2**63 + 5], dtype=np.uint64)[(X[:, 0] > 0).astype(int)]
    student = TreeStudentClassifier(4).fit(X, y)
    for form, name in ((to_onnx, "a.onnx"), (to_sql, "a.sql")):
        with pytest.raises(ValueError, match="The class 9223372036854775813 is larger"):
            form(student, tmp_path / name, X)
    assert lean_scorer(student).classes[1] == 2**63 + 5


def test_categories_with_a_zero_byte_are_refused_in_c(tmp_path):
    frame = pd.DataFrame({"k": ["a", "a\0b"] * 30})
    student = TreeStudentClassifier(4).fit(frame, np.arange(60) % 2)
    with pytest.raises(ValueError, match=r"Column 'k' has the category 'a\\x00b', with a"):
        to_c(student, tmp_path / "a.c", frame)
    assert np.ptp(lean_scorer(student).batch(frame)[:, 0]) > 0.9
