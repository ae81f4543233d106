"""Exported files that are tried again."""

import itertools
import json
import re
import warnings
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdistill
from skdistill import (
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    MLPStudentRegressor,
    TreeStudentClassifier,
    TreeStudentRegressor,
    TreeSumStudentClassifier,
    lean_scorer,
)
from skdistill.exceptions import ParityError
from skdistill.export.certificate import certificate_path, read_certificate
from skdistill.export.parity_sample import (
    ALONE_ROWS,
    MIXED_ROWS,
    PAIR_ROWS,
    critical_values,
    parity_rows,
    parity_sample,
)
from skdistill.export.student_content import student_content
from skdistill.export.verify import verify
from skdistill.scorer import LeanScorer
from skdistill.scorer.student_content import lean_model


@pytest.fixture(scope="module")
def linear(mixed_frame):
    frame, y, _ = mixed_frame()
    return LinearStudentClassifier(8).fit(frame, y)


@pytest.fixture(scope="module")
def tree(mixed_frame):
    frame, _, values = mixed_frame()
    return TreeStudentRegressor().fit(frame, values)


def export_sql(model, path, **options):
    pytest.importorskip("duckdb")
    pytest.importorskip("sqlglot")
    from skdistill import to_sql

    to_sql(model, path, **options)
    return path


def export_c(model, path, **options):
    from skdistill import to_c
    from skdistill.scorer.compiled import find_compiler

    if find_compiler() is None:
        pytest.skip("there is no C compiler")
    to_c(model, path, **options)
    return path


def export_onnx(model, path, **options):
    pytest.importorskip("onnxruntime")
    from skdistill import to_onnx

    to_onnx(model, path, **options)
    return path


each_format = pytest.mark.parametrize("export", [export_sql, export_c, export_onnx])


def seal(path, payload=None, **changes):
    """Change file or certificate, so that their hashes agree all the same."""
    entries = json.loads(certificate_path(path).read_text()) | changes
    if payload is not None:
        path.write_bytes(payload)
        entries["file_sha256"] = sha256(payload).hexdigest()
    certificate_path(path).write_text(json.dumps(entries))


@each_format
def test_a_file_is_verified_on_the_same_rows_and_on_others(
    export, linear, tree, mixed_frame, tmp_path
):
    for model in linear, tree:
        path = export(model, tmp_path / "student")
        exported, _ = read_certificate(path)
        again = verify(path)
        assert again.sample_sha256 == exported.sample_sha256
        assert again.model_sha256 == exported.model_sha256
        assert again.file_sha256 == exported.file_sha256
        assert again.runtime == exported.runtime
        assert again.max_difference == exported.max_difference
        more = verify(str(path), mixed_frame(50, seed=3)[0])
        assert more.n_rows == exported.n_rows + 50
        assert read_certificate(path)[0] == exported


@pytest.mark.parametrize("name", ["to_sql", "to_c", "to_onnx"])
def test_every_export_returns_content_certificate_and_path(name, linear, tmp_path):
    pytest.importorskip("duckdb")
    pytest.importorskip("onnxruntime")
    export = getattr(skdistill, name)
    path = tmp_path / "student"
    written = export(linear, path)
    payload = path.read_bytes()
    if name != "to_onnx":  # holds the time of the comparison
        assert export(linear).content == written.content
        assert payload.decode() == written.content
    else:
        assert written.content == payload
    assert written.path == path
    assert written.certificate == read_certificate(path)[0]
    assert str(written) == str(written.certificate)
    before = sorted(tmp_path.iterdir())
    assert export(linear).path is None
    assert sorted(tmp_path.iterdir()) == before


def test_a_c_file_whose_certificate_says_float_is_verified(linear, tmp_path):
    path = export_c(linear, tmp_path / "student.c", dtype="float32")
    seal(path, notes={"name": "student", "dtype": "float"})
    assert verify(path).notes["dtype"] == "float"


@pytest.mark.parametrize("export", [export_c, export_onnx])
def test_a_network_is_verified(export, mixed_frame, tmp_path):
    frame, y, _ = mixed_frame()
    student = MLPStudentClassifier((8,), max_epochs=2, random_state=0).fit(frame, y)
    assert verify(export(student, tmp_path / "student")).max_difference < 1e-5


@pytest.mark.parametrize(
    ("export", "options"),
    [(export_c, {"name": "risk", "dtype": "float32"}), (export_sql, {"dialect": "postgres"})],
)
def test_options_of_the_export_are_remembered(export, options, tree, tmp_path):
    assert verify(export(tree, tmp_path / "student", **options)).notes.items() >= options.items()


def test_the_model_may_be_passed_but_has_to_be_the_same(linear, tree, tmp_path):
    path = export_sql(linear, tmp_path / "student.sql")
    assert verify(path, model=linear).model_sha256 == verify(path).model_sha256
    with pytest.raises(ValueError, match="was exported from another model"):
        verify(path, model=tree)


def test_a_changed_file_is_found(linear, tmp_path):
    path = export_sql(linear, tmp_path / "student.sql")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"was changed since it was exported on 20"):
        verify(path)


def test_a_file_that_answers_otherwise_is_found_with_its_worst_row(tree, linear, tmp_path):
    path = export_sql(tree, tmp_path / "student.sql")
    value = repr(float(tree.tree_.value[-1, 0]))
    changed = path.read_text().replace(value, f"1{value}")
    assert changed != path.read_text()
    seal(path, changed.encode())
    with pytest.raises(ParityError, match=r"does not match.*worst row: {'amount'.*It did on 20"):
        verify(path)


def test_a_student_in_the_certificate_that_is_another_is_found(linear, tree, tmp_path):
    path = export_sql(linear, tmp_path / "student.sql")
    other = export_sql(tree, tmp_path / "other.sql")
    seal(path, student=json.loads(certificate_path(other).read_text())["student"])
    with pytest.raises(ValueError, match="was exported from another model"):
        verify(path)
    seal(path, student="AAAA")
    with pytest.raises(ValueError, match="The student in the certificate cannot be loaded"):
        verify(path)


def test_a_pipeline_is_verified_on_the_rows_and_the_model_that_are_passed(binary_task, tmp_path):
    pytest.importorskip("skl2onnx")
    X, y = binary_task
    pipeline = make_pipeline(StandardScaler(), TreeStudentClassifier()).fit(X, y)
    path = export_onnx(pipeline, tmp_path / "student.onnx", X=X)
    again = verify(path, X[:50], model=pipeline)
    assert again.n_rows == 50
    with pytest.raises(ValueError, match=r"holds no student.*verify\(path, X, model=pipeline\)"):
        verify(path, X)
    with pytest.raises(ValueError, match="is an exported pipeline, so X is needed"):
        verify(path, model=pipeline)
    pipeline[0].mean_ = pipeline[0].mean_ + 1.0
    with pytest.raises(ParityError, match="does not match"):
        verify(path, X, model=pipeline)


def test_of_a_search_the_model_may_be_passed_as_well(binary_task, tmp_path):
    X, y = binary_task
    search = GridSearchCV(TreeStudentClassifier(), {"max_depth": [2, 3]}, cv=2).fit(X, y)
    path = export_sql(search, tmp_path / "student.sql")
    assert verify(path, model=search).model_sha256 == verify(path).model_sha256


def test_missing_and_foreign_files_are_named(linear, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file '.*nothing\.sql'.*Pass the path"):
        verify(tmp_path / "nothing.sql")
    with pytest.raises(IsADirectoryError, match="is a folder; the path of an exported file"):
        verify(tmp_path)
    with pytest.raises(TypeError, match="path is 7; a str or path-like was expected"):
        verify(7)
    with pytest.raises(TypeError, match="path is an Export; the path of its file was expected"):
        verify(skdistill.to_sql(linear))
    path = export_sql(linear, tmp_path / "student.sql")
    seal(path, format="wasm")
    with pytest.raises(ValueError, match="of the format 'wasm'; onnx, c or sql was expected"):
        verify(path)
    certificate_path(path).write_text("{}")
    with pytest.raises(ValueError, match="is no certificate"):
        verify(path)
    certificate_path(path).unlink()
    with pytest.raises(FileNotFoundError, match="There is no certificate"):
        verify(path)


def test_rows_of_another_shape_are_refused(linear, tmp_path):
    path = export_sql(linear, tmp_path / "student.sql")
    with pytest.raises(ValueError, match="feature"):
        verify(path, pd.DataFrame(np.zeros((3, 2))).add_prefix("x"))


# Regressors whose answers hardly differ


@pytest.mark.parametrize("target", [0.0, 0.1, -3e8, "0.1 and a last digit", "1e6 and a hundredth"])
@pytest.mark.parametrize(
    "kind", [LinearStudentRegressor, TreeStudentRegressor, MLPStudentRegressor]
)
def test_answers_that_hardly_differ_are_exported(kind, target, rng, tmp_path):
    X = rng.normal(size=(300, 3))
    y = np.full(300, target if isinstance(target, float) else 0.1)
    if isinstance(target, str):
        y = y + 1e-16 * (X[:, 0] > 0) if "digit" in target else 1e6 + 0.01 * X[:, 0]
    params = {"max_epochs": 2, "random_state": 0} if kind is MLPStudentRegressor else {}
    student = kind(**params).fit(X, y)
    for export, options in ((export_onnx, {}), (export_c, {"dtype": "float32"})):
        certificate = verify(export(student, tmp_path / "single", **options), X)
        assert certificate.spread >= 0.04 * np.abs(y).max()  # seven digits
    assert verify(export_c(student, tmp_path / "student")).max_difference < 1e-5
    assert lean_scorer(student, "numpy")(X[0].tolist()) == pytest.approx(student.predict(X[:1])[0])
    if kind is not MLPStudentRegressor:
        certificate = verify(export_sql(student, tmp_path / "sql"))
        assert certificate.spread <= max(1e-7 * np.abs(y).max(), 1)


def test_a_wrong_answer_of_a_constant_regressor_is_noticed(rng, tmp_path):
    student = TreeStudentRegressor().fit(rng.normal(size=(50, 2)), np.full(50, 0.1))
    path = export_c(student, tmp_path / "student")
    value = repr(float(student.predict([[0.0, 0.0]])[0]))
    source = path.read_text()
    assert f" {value}," in source
    seal(path, source.replace(f" {value},", " 0.1000001,").encode())
    with pytest.raises(ParityError, match="does not match the student"):
        verify(path)


def test_c_of_tables_and_of_sums_of_trees_is_verified_again(mixed_frame, tmp_path):
    frame, y, _ = mixed_frame()
    with_pairs = LinearStudentClassifier(interactions=4, C=1.0).fit(frame, y)
    assert with_pairs.tables_
    for student in with_pairs, TreeSumStudentClassifier(7).fit(frame, y):
        path = export_c(student, tmp_path / "student.c", X=frame)
        assert verify(path, frame).max_difference < 1e-9
        source = path.read_text()
        name = "table_points" if student is with_pairs else "leaf_outputs"
        head, table, rest = source.partition(f"{name}[] = {{")
        seal(path, (head + table + re.sub(r"\d", "9", rest, count=3)).encode())
        with pytest.raises(ParityError, match="does not match the student"):
            verify(path)


# The rows that are tried


@pytest.mark.parametrize("n_columns", [3, 100, 1500])
def test_as_many_rows_are_tried_however_many_columns_there_are(n_columns, rng):
    X = rng.normal(size=(60, n_columns))
    student = LinearStudentRegressor(n_bins=2).fit(X, X[:, 0])
    model = lean_model(student_content(student))
    rows = parity_rows(student, model)
    assert len(rows) <= MIXED_ROWS + ALONE_ROWS
    for j in (0, n_columns // 2, n_columns - 1):
        critical = critical_values(model, j)
        assert set(critical.astype(str)) == set(rows.values[j].astype(str))
        alone = rows.values[j][MIXED_ROWS:]
        assert len(set(alone.astype(str))) >= 2


def test_both_columns_of_a_table_are_tried_on_and_beside_their_knots_together(mixed_frame):
    student = with_tables(mixed_frame)
    model = lean_model(student_content(student))
    assert len(model.tables) == 3
    rows = parity_rows(student, model)
    assert len(rows) <= MIXED_ROWS + ALONE_ROWS + PAIR_ROWS
    for table in model.tables:
        tried = [rows.values[j] for j in table.columns]
        found = set(zip(*(each.astype(str) for each in tried), strict=True))
        wanted = [
            critical_values(model, j).astype(str) if edges is None else near(edges).astype(str)
            for j, edges in zip(table.columns, table.edges, strict=True)
        ]
        assert set(itertools.product(*wanted)) <= found


def with_tables(mixed_frame):
    """A student with tables of numbers, of numbers and categories, and of categories."""
    frame = mixed_frame()[0]
    large, graz = frame["amount"].fillna(300) > 100, frame["city"] == "Graz"
    y = large * frame["count"] + 3.0 * large * graz + 3.0 * graz * (frame["kind"] == "b")
    pairs = [("amount", "count"), ("amount", "city"), ("city", "kind")]
    return LinearStudentRegressor(interactions=pairs, interaction_bins=3).fit(frame, y)


def near(edges):
    beside = [np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)]
    return np.concatenate([edges, *beside, [np.nan]])


def test_a_table_that_is_wrong_at_one_pair_of_points_is_found(mixed_frame):
    student = with_tables(mixed_frame)
    model = lean_model(student_content(student))
    sample = parity_sample(student, model)
    for k, table in enumerate(model.tables):
        for at in np.ndindex(table.values.shape[:2]):
            wrong = table.values.copy()
            wrong[at] += 1e-3
            tables = list(model.tables)
            tables[k] = replace(table, values=wrong)
            scorer = LeanScorer(replace(model, tables=tuple(tables)), "numpy")
            cells = dict(zip(scorer.columns, sample.rows.values, strict=True))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found = scorer.batch(cells)
            assert np.abs(found - sample.answers[:, 0]).max() == pytest.approx(1e-3, rel=1e-6)


def test_thresholds_of_all_trees_of_a_sum_are_tried(mixed_frame):
    frame, y, _ = mixed_frame()
    student = TreeSumStudentClassifier().fit(frame, y)
    model = lean_model(student_content(student))
    assert len(model.roots) > 1
    rows = parity_rows(student, model)
    for j, threshold in zip(model.feature, model.threshold, strict=True):
        if j >= 0 and not model.columns[j].is_nominal:
            assert {threshold, np.nextafter(threshold, np.inf)} <= set(rows.values[j])


def test_the_worst_row_of_a_wide_table_is_told_in_part(rng, tmp_path):
    X = rng.normal(size=(60, 50))
    student = LinearStudentRegressor(n_bins=2, C=1.0).fit(X, X[:, 0])
    with pytest.raises(ParityError, match=r"'x19': [^,]+} and 30 more columns; the student"):
        export_c(student, tmp_path / "student", tolerance=1e-18)


def test_a_network_that_has_learned_nothing_yet_is_compared_in_the_unit_of_y(rng, tmp_path):
    X, y = rng.normal(size=(300, 3)), 9 + 7 * rng.normal(size=300)
    student = MLPStudentRegressor(max_epochs=1, learning_rate_init=1e-6).fit(X, y)
    assert np.std(student.predict(X)) < 1
    assert export_onnx(student, tmp_path / "m").exists()
    assert verify(tmp_path / "m", X).spread == pytest.approx(np.std(y))
