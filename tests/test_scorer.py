"""The lean scorer: rows of any kind, both engines, no scikit-learn."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    MLPStudentRegressor,
    SoftLabelClassifier,
    TreeStudentClassifier,
    TreeStudentRegressor,
    lean_scorer,
    save,
)
from skdistill.export.student_content import student_content
from skdistill.scorer import LeanScorer, load_scorer
from skdistill.scorer.model import (
    LeanNetwork,
    exact_threshold,
    fingerprint,
    largest_float32,
    size_in_bytes,
)
from skdistill.scorer.student_content import lean_model

ENGINES = ["c", "numpy"]
SMALL = {"max_epochs": 2, "random_state": 0}
STUDENTS = {
    "tree": TreeStudentClassifier(),
    "linear": LinearStudentClassifier(),
    "mlp": MLPStudentClassifier((16, 40), **SMALL),
    "tree regressor": TreeStudentRegressor(),
    "linear regressor": LinearStudentRegressor(),
    "mlp regressor": MLPStudentRegressor((16,), **SMALL),
}


def mixed_frame(n_rows=600):
    """Numbers with missing values, strings with missing values, and categories that are numbers."""
    random = np.random.RandomState(0)
    X = pd.DataFrame(
        {
            "amount": random.exponential(size=n_rows),
            "age": np.where(random.rand(n_rows) < 0.2, np.nan, random.randn(n_rows)),
            "country": random.choice(np.array(["AT", "Ü'x", "", None], dtype=object), n_rows),
            "code": pd.Categorical(random.choice([3, 7, 11], n_rows)),
            "constant": 1.0,
        }
    )
    signal = X["amount"] + (X["country"] == "AT") + (X["code"] == 7) - X["age"].fillna(1)
    return X, np.digitize(signal + random.randn(n_rows), [0.5, 2.0])


@pytest.fixture(scope="module")
def fitted():
    """Every student, on two and three classes, and its rows."""
    X, y = mixed_frame()
    found = {}
    for name, student in STUDENTS.items():
        found[name] = student.__class__(**student.get_params()).fit(X, y > 0)
        if "regressor" not in name:
            found[name + ", three classes"] = student.__class__(**student.get_params()).fit(X, y)
    return X, found


CASES = [*STUDENTS, *(f"{name}, three classes" for name in STUDENTS if "regressor" not in name)]


def answers(student, X):
    return student.predict_proba(X) if hasattr(student, "classes_") else student.predict(X)


def rows_of(X):
    return [list(row) for row in X.astype(object).itertuples(index=False)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_rows_and_batches_are_scored_as_the_student_does(fitted, name, engine):
    X, students = fitted
    expected = answers(students[name], X)
    scorer = lean_scorer(students[name], engine)
    assert scorer.engine == engine
    np.testing.assert_allclose(scorer.batch(X), expected, atol=5e-6)
    one_by_one = np.array([scorer(row) for row in rows_of(X)[:100]])
    np.testing.assert_allclose(one_by_one, scorer.batch(X)[:100], atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_small_probabilities_of_either_class_keep_their_digits(sign, engine):
    X = np.linspace(-1, 1, 200)[:, None]
    student = LinearStudentClassifier(n_bins=1).fit(X, (X[:, 0] > 0).astype(int))
    curve = np.array([[-200.0], [200.0], [-90.0]]) * sign
    model = replace(lean_model(student_content(student)), curves=(curve,), intercept=np.zeros(1))
    scorer, edges = LeanScorer(model, engine), model.edges[0]
    log_odds = np.interp(X[:, 0], edges, curve[:2, 0])
    table = scorer.batch(X)
    assert table.min() < 1e-80
    np.testing.assert_allclose(
        table, np.stack([expit(-log_odds), expit(log_odds)], axis=1), rtol=1e-9
    )
    np.testing.assert_allclose([scorer(row) for row in X.tolist()], table, rtol=1e-12)
    assert min(scorer([np.nan])) == pytest.approx(expit(-90.0), rel=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_row_may_be_a_list_a_tuple_an_array_a_dict_or_a_series(fitted, engine):
    X, students = fitted
    scorer = lean_scorer(students["linear"], engine)
    row = rows_of(X)[0]
    by_name = dict(zip(X.columns, row, strict=True))
    backwards = dict(reversed(by_name.items()))
    series = X.astype(object).iloc[0]
    kinds = [row, tuple(row), np.array(row, dtype=object), by_name, backwards, series]
    assert len({scorer(each) for each in kinds}) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_row_of_numbers_may_be_an_array_of_any_type_and_layout(engine, binary_task):
    X, y = binary_task
    scorer = lean_scorer(LinearStudentClassifier().fit(X, y), engine)
    expected = scorer(X[0].tolist())
    assert scorer(X[0]) == expected
    assert scorer(np.asfortranarray(X)[0]) == expected
    assert scorer(np.repeat(X[0], 2)[::2]) == expected
    single = scorer(X[0].astype(np.float32))
    np.testing.assert_allclose(single, expected, atol=1e-5)
    assert scorer([np.float64(cell) for cell in X[0]]) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_may_be_a_frame_in_any_order_a_dict_an_array_or_a_list(fitted, engine):
    X, students = fitted
    scorer = lean_scorer(students["mlp"], engine)
    expected = scorer.batch(X)
    polars = pl.DataFrame(
        {name: X[name].astype(object).where(X[name].notna(), None).tolist() for name in X}
    )
    for table in (
        X[X.columns[::-1]],
        X.convert_dtypes(),
        polars,
        {name: X[name].tolist() for name in X},
        X.astype(object).to_numpy(),
        rows_of(X),
        [dict(zip(X.columns, row, strict=True)) for row in rows_of(X)],
    ):
        np.testing.assert_array_equal(scorer.batch(table), expected)
    unnamed = X.set_axis(range(X.shape[1]), axis=1)
    np.testing.assert_array_equal(scorer.batch(unnamed), expected)


def test_missing_is_missing_however_it_is_written(fitted):
    X, students = fitted
    scorer = lean_scorer(students["tree"])
    row = rows_of(X)[0]
    found = set()
    for nothing in (None, float("nan"), np.nan, pd.NA, pd.NaT, np.float32("nan")):
        row[1] = row[2] = row[3] = nothing
        found.add(scorer(row))
    assert len(found) == 1
    frame = X.iloc[:1].assign(age=np.nan, country=None)
    frame["code"] = pd.Categorical([None], categories=[3, 7, 11])
    np.testing.assert_allclose(found.pop(), students["tree"].predict_proba(frame)[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_an_unknown_category_is_scored_as_the_student_does(fitted, engine):
    X, students = fitted
    row = rows_of(X)[0]
    row[2] = "never seen"
    for name in ("tree", "linear", "mlp"):
        expected = students[name].predict_proba(X.iloc[:1].assign(country="never seen"))[0]
        found = lean_scorer(students[name], engine)(row)
        np.testing.assert_allclose(found, expected, atol=1e-6)


BAD_ROWS = [
    ([1.0, 2.0], ValueError, "has 2 cells; 5 were expected"),
    ({"amount": 1.0, "age": 2.0}, ValueError, "'country', 'code', 'constant' missing"),
    ([1.0, "2", "AT", 3, 1], TypeError, "'age' holds '2', a str; a number"),
    ([1.0, b"2", "AT", 3, 1], TypeError, "'age' holds b'2', a bytes; a number"),
    ([1.0, 2.0, 4, 3, 1], TypeError, "'country' holds 4, an int; a category"),
    ([1.0, object(), "AT", 3, 1], TypeError, "'age' holds an object; a number"),
    ([1.0, [2.0], "AT", 3, 1], TypeError, "'age' holds a list; a number"),
    ([1.0, 2.0, ["AT"], 3, 1], TypeError, r"'country' holds \['AT'\], a list"),
    ([1.0, 10**400, "AT", 3, 1], ValueError, "'age' holds an integer that is too large"),
    ([np.inf, 2.0, "AT", 3, 1], ValueError, "'amount' is infinite"),
    ([1.0, -np.inf, None, 3, 1], ValueError, "'age' is infinite"),
    (np.ones((1, 5)), TypeError, "Tables are scored by batch"),
    (7, TypeError, "The row is an int"),
    ("12345", TypeError, "The row is a str"),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("row", "error", "message"), BAD_ROWS)
def test_a_bad_row_is_refused_with_the_name_of_its_column(fitted, engine, row, error, message):
    scorer = _scorer(fitted, "tree", engine)
    with pytest.raises(error, match=message):
        scorer(row)


def test_an_unknown_column_is_refused_with_its_name(fitted):
    X, _ = fitted
    scorer = _scorer(fitted, "tree", "numpy")
    row = dict(zip(X.columns, rows_of(X)[0], strict=True)) | {"colour": "red"}
    with pytest.raises(ValueError, match="'colour' unknown"):
        scorer(row)
    renamed = {("colour" if name == "age" else name): cell for name, cell in row.items()}
    with pytest.raises(ValueError, match="'age' missing, 'colour' unknown"):
        scorer(renamed)
    with pytest.raises(ValueError, match="'colour' unknown"):
        scorer.batch(X.assign(colour="red"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["tree", "linear", "mlp", "mlp, three classes", "tree regressor"])
def test_infinity_is_never_scored(fitted, name, engine):
    X, _ = fitted
    scorer = _scorer(fitted, name, engine)
    for infinite in (np.inf, -np.inf):
        for j, column in enumerate(["amount", "age", None, "code"]):
            if column is None:
                continue
            row = rows_of(X)[0]
            row[j] = infinite
            with pytest.raises(ValueError, match=f"'{column}' is infinite"):
                scorer(row)
    table = X.copy()
    table.loc[17, "age"] = np.inf
    with pytest.raises(ValueError, match="Row 17: column 'age' is infinite"):
        scorer.batch(table)


_made = {}


def _scorer(fitted, name, engine):
    """A scorer is compiled once for all tests."""
    if (name, engine) not in _made:
        _made[name, engine] = lean_scorer(fitted[1][name], engine)
    return _made[name, engine]


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (np.ones(5), ValueError, r"shape \(5,\); \(n_samples, 5\) was expected"),
        (np.ones((2, 4)), ValueError, r"shape \(2, 4\)"),
        (np.ones((2, 5)), TypeError, "'country' holds 1.0, a float"),
        ([[1.0, 2.0]], ValueError, "has 2 cells"),
    ],
)
def test_a_bad_table_is_refused(fitted, table, error, message):
    with pytest.raises(error, match=message):
        _scorer(fitted, "tree", "numpy").batch(table)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["tree", "mlp, three classes", "linear regressor"])
def test_a_batch_may_be_empty(fitted, name, engine):
    X, students = fitted
    scorer = _scorer(fitted, name, engine)
    n_classes = len(getattr(students[name], "classes_", ()))
    for empty in (X[:0], [], np.empty((0, 5), dtype=object)):
        assert scorer.batch(empty).shape == ((0, n_classes) if n_classes else (0,))


def test_dates_are_not_taken_for_numbers(fitted):
    X, _ = fitted
    dated = X.assign(age=pd.Timestamp("2026-11-22"))
    with pytest.raises(TypeError, match="'age' holds dates"):
        _scorer(fitted, "tree", "numpy").batch(dated)


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_may_share_a_scorer(fitted, engine):
    X, _ = fitted
    scorer = _scorer(fitted, "mlp", engine)
    rows = rows_of(X)
    expected = [scorer(row) for row in rows]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(scorer, rows * 5)) == expected * 5


@pytest.mark.parametrize("engine", ENGINES)
def test_a_scorer_survives_pickling(fitted, engine):
    X, _ = fitted
    scorer = _scorer(fitted, "mlp", engine)
    again = pickle.loads(pickle.dumps(scorer))
    assert again.engine == engine
    np.testing.assert_array_equal(again.batch(X), scorer.batch(X))
    assert repr(again) == f"LeanScorer(5 columns, 2 classes, engine={engine!r})"


def test_a_scorer_describes_itself(fitted):
    X, students = fitted
    scorer = lean_scorer(students["tree, three classes"], "numpy")
    assert scorer.columns == list(X.columns)
    assert scorer.classes == (0, 1, 2)
    assert set(scorer.levels) == {"country", "code"}
    assert set(scorer.levels["country"]) == {"AT", "Ü'x", ""}
    assert lean_scorer(students["tree regressor"], "numpy").classes is None
    model = lean_model(student_content(students["tree, three classes"]))
    assert scorer.sha256 == fingerprint(model)


def test_auto_takes_numpy_without_a_compiler_and_says_so(fitted, monkeypatch):
    monkeypatch.setattr("skdistill.scorer.compiled.find_compiler", lambda: None)
    assert lean_scorer(fitted[1]["tree"]).engine == "numpy"


def test_auto_takes_numpy_without_cffi_but_c_insists(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "cffi", None)
    assert lean_scorer(fitted[1]["tree"]).engine == "numpy"
    with pytest.raises(ImportError, match="pip install cffi"):
        lean_scorer(fitted[1]["tree"], "c")


def test_a_library_that_cannot_be_loaded_is_told(fitted, monkeypatch):
    import skdistill.scorer.c_engine as c_engine

    monkeypatch.setattr(c_engine, "compile_library", lambda source, path: path.write_text("no"))
    with pytest.warns(UserWarning, match="NumPy scores this model"):
        assert lean_scorer(fitted[1]["tree"]).engine == "numpy"


def test_a_compiler_that_fails_is_told(fitted, monkeypatch):
    monkeypatch.setenv("CC", "false")
    with pytest.warns(UserWarning, match="NumPy scores this model"):
        assert lean_scorer(fitted[1]["tree"]).engine == "numpy"
    with pytest.raises(RuntimeError, match=r"false .* failed"):
        lean_scorer(fitted[1]["tree"], "c")


def test_a_column_of_strings_and_numbers_is_scored_by_numpy():
    X = pd.DataFrame({"a": ["x", 1, 2, "x"] * 20, "b": range(80)})
    student = LinearStudentClassifier().fit(X, [0, 1, 1, 0] * 20)
    with pytest.warns(UserWarning, match="strings and numbers"):
        scorer = lean_scorer(student)
    np.testing.assert_allclose(scorer.batch(X), student.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(scorer([1, 1]), student.predict_proba(X)[1], atol=1e-6)
    np.testing.assert_allclose(scorer([None, 1]), scorer(["neither", 1]))
    assert scorer([1, 1]) != scorer([2, 1])


def test_one_class_has_probability_one():
    X = np.arange(20.0)[:, None]
    for student in (TreeStudentClassifier(), LinearStudentClassifier()):
        student.fit(X, np.zeros(20))
        for engine in ENGINES:
            assert lean_scorer(student, engine)([3.0]) == (1.0,)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_narrow_and_a_wide_table_are_scored(engine):
    random = np.random.RandomState(0)
    for n_columns in (1, 300):
        X = random.randn(200, n_columns)
        student = LinearStudentClassifier(n_bins=5).fit(X, X[:, 0] > 0)
        scorer = lean_scorer(student, engine)
        np.testing.assert_allclose(scorer.batch(X), student.predict_proba(X), atol=5e-6)
        assert scorer(dict(zip(scorer.columns, X[0], strict=True))) == scorer(X[0])


def test_an_engine_that_there_is_not_is_refused(fitted):
    with pytest.raises(ValueError, match="engine is 'rust'; 'auto', 'c' or 'numpy'"):
        lean_scorer(fitted[1]["tree"], "rust")


def test_a_student_that_is_not_ours_is_refused(binary_task):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = binary_task
    soft = SoftLabelClassifier(LogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match="SoftLabelClassifier; one of these was expected: Tree"):
        lean_scorer(soft)
    with pytest.raises(TypeError, match="pipeline: StandardScaler -> TreeStudentClassifier"):
        lean_scorer(make_pipeline(StandardScaler(), TreeStudentClassifier()).fit(X, y))


def test_a_scorer_that_differs_is_not_given_out(fitted, monkeypatch):
    from skdistill.exceptions import ParityError

    student = fitted[1]["linear"]
    monkeypatch.setattr(
        "skdistill.export.lean.lean_model",
        lambda content: lean_model(_shifted(content)),
    )
    with pytest.raises(ParityError, match="worst row"):
        lean_scorer(student, "numpy")


def _shifted(content):
    intercept = content.arrays["intercept"] + 0.01
    return type(content)(content.header, content.arrays | {"intercept": intercept})


def test_a_distiller_and_a_file_give_the_same_scorer(binary_task, tmp_path):
    from sklearn.ensemble import RandomForestClassifier

    X, y = binary_task
    forest = RandomForestClassifier(10, random_state=0)
    model = DistilledClassifier(forest, LinearStudentClassifier()).fit(X, y)
    save(model, tmp_path / "student.skd")
    scorers = [
        lean_scorer(model, "numpy"),
        lean_scorer(tmp_path / "student.skd", "numpy"),
        lean_scorer(str(tmp_path / "student.skd"), "numpy"),
        load_scorer(tmp_path / "student.skd", "numpy"),
    ]
    assert len({scorer(X[0]) for scorer in scorers}) == 1


def test_loading_and_scoring_needs_neither_scikit_learn_nor_scipy(fitted, tmp_path):
    save(fitted[1]["mlp"], tmp_path / "student.skd")
    program = (
        "import sys; from skdistill.scorer import load_scorer;"
        f"scorer = load_scorer({str(tmp_path / 'student.skd')!r});"
        "scorer([1.0, None, 'AT', 3, 1.0]); scorer.batch([[1.0, None, 'AT', 3, 1.0]]);"
        "found = {'sklearn', 'scipy', 'torch', 'pandas', 'narwhals'} & set(sys.modules);"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_first_layer_collapses_into_curves(fitted):
    model = lean_model(student_content(fitted[1]["mlp"]))
    assert isinstance(model, LeanNetwork)
    assert [len(layer[1]) for layer in model.layers] == [40, 1]
    assert len(model.intercept) == 16
    assert model.curves[0].shape == (len(model.edges[0]) + 1, 16)
    assert size_in_bytes(model) > 4 * 16 * 30


def test_the_fingerprint_is_that_of_the_function(fitted):
    students = fitted[1]
    prints = {name: fingerprint(lean_model(student_content(s))) for name, s in students.items()}
    assert len(set(prints.values())) == len(prints)
    again = fingerprint(lean_model(student_content(students["linear"])))
    assert again == prints["linear"]


def test_thresholds_hold_for_numbers_that_are_not_rounded():
    random = np.random.RandomState(0)
    scales = 10.0 ** random.randint(-40, 38, size=2000)
    thresholds = np.concatenate([random.randn(2000) * scales, [0.0, -0.0, 1.0, 1e-46, -1e-46]])
    exact = exact_threshold(thresholds)
    with np.errstate(over="ignore"):
        assert (exact.astype(np.float32) <= thresholds).all()
        above = np.nextafter(exact, np.inf).astype(np.float32)
    assert (above > thresholds).all()
    single = largest_float32(thresholds)
    assert (single <= thresholds).all()
    assert (np.nextafter(single, np.float32(np.inf)) > thresholds).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_numbers_between_two_float32_go_the_way_of_the_student(engine):
    X = np.array([[0.1], [0.1 + 1e-9], [0.2], [0.2 + 1e-9]] * 10)
    tree = TreeStudentClassifier(min_samples_leaf=1).fit(X, [0, 0, 1, 1] * 10)
    threshold = tree.tree_.threshold[0]
    near = threshold + np.linspace(-1e-8, 1e-8, 401)[:, None]
    expected = tree.predict_proba(near)
    assert len(np.unique(expected)) > 1
    np.testing.assert_allclose(lean_scorer(tree, engine).batch(near), expected, atol=1e-12)


def test_the_scorer_class_is_made_from_a_model(fitted):
    X, students = fitted
    model = lean_model(student_content(students["linear"]))
    scorer = LeanScorer(model, engine="numpy")
    np.testing.assert_allclose(scorer.batch(X), students["linear"].predict_proba(X), atol=5e-6)


class TestArrow:
    """Tables of pyarrow, which are neither frames nor arrays."""

    def task(self, rng):
        X = pd.DataFrame({"income": rng.normal(50, 10, 200), "kind": rng.choice(list("xy"), 200)})
        X.loc[::3, "kind"] = None
        y = ((X["kind"] == "x") | (X["income"] > 60)).astype(int)
        return LinearStudentClassifier().fit(X, y), X

    @pytest.mark.parametrize("engine", ["c", "numpy"])
    @pytest.mark.parametrize("is_dictionary", [True, False])
    def test_they_are_read_by_name_and_nulls_are_missing(self, rng, engine, is_dictionary):
        pa = pytest.importorskip("pyarrow")
        student, X = self.task(rng)
        kind = pa.array([None if pd.isna(cell) else cell for cell in X["kind"]])
        kind = kind.dictionary_encode() if is_dictionary else kind
        table = pa.table({"kind": kind, "income": X["income"].to_numpy()})
        scorer = lean_scorer(student, engine)
        np.testing.assert_allclose(scorer.batch(table), student.predict_proba(X), atol=1e-9)

    def test_other_names_are_refused(self, rng):
        pa = pytest.importorskip("pyarrow")
        student, X = self.task(rng)
        table = pa.table({"zzz": X["income"].to_numpy(), "kind": ["x"] * 200})
        with pytest.raises(ValueError, match="zzz"):
            lean_scorer(student, "numpy").batch(table)


def test_columns_of_different_lengths_are_refused(rng):
    X = pd.DataFrame(rng.normal(size=(100, 2)), columns=["a", "b"])
    scorer = lean_scorer(TreeStudentClassifier().fit(X, (X["a"] > 0).astype(int)), "numpy")
    for columns in ({"a": [1.0, -1.0], "b": [3.0]}, {"a": [3.0], "b": [1.0, 2.0]}):
        with pytest.raises(ValueError, match="one cell per row was expected"):
            scorer.batch(columns)
    with pytest.raises(ValueError, match=r"X has shape \(2,\).* One row is scored by"):
        scorer.batch({"a": 1.0, "b": 2.0})


def test_a_row_of_dates_is_refused(rng):
    X = rng.normal(size=(100, 2))
    scorer = lean_scorer(TreeStudentClassifier().fit(X, (X[:, 0] > 0).astype(int)), "numpy")
    with pytest.raises(TypeError, match="dates or durations"):
        scorer(np.array(["2020-01-01", "2021-01-01"], dtype="M8[ns]"))
