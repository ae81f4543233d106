"""Exported files that are tried again."""

import json
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    LinearStudentClassifier,
    MLPStudentClassifier,
    TreeStudentClassifier,
    TreeStudentRegressor,
)
from skdistill.export.certificate import ParityError, certificate_path, read_certificate
from skdistill.export.verify import verify


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


@pytest.mark.parametrize("export", [export_c, export_onnx])
def test_a_network_is_verified(export, mixed_frame, tmp_path):
    frame, y, _ = mixed_frame()
    student = MLPStudentClassifier((8,), max_epochs=2, random_state=0).fit(frame, y)
    assert verify(export(student, tmp_path / "student")).max_difference < 1e-5


@pytest.mark.parametrize(
    ("export", "options"),
    [(export_c, {"name": "risk", "dtype": "float"}), (export_sql, {"dialect": "postgres"})],
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
    with pytest.raises(ParityError, match=r"does not answer.*worst row: {'amount'.*It did on 20"):
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
    with pytest.raises(ParityError, match="does not answer"):
        verify(path, X, model=pipeline)


def test_of_a_search_the_model_may_be_passed_as_well(binary_task, tmp_path):
    X, y = binary_task
    search = GridSearchCV(TreeStudentClassifier(), {"max_depth": [2, 3]}, cv=2).fit(X, y)
    path = export_sql(search, tmp_path / "student.sql")
    assert verify(path, model=search).model_sha256 == verify(path).model_sha256


def test_missing_and_foreign_files_are_named(linear, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        verify(tmp_path / "nothing.sql")
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
