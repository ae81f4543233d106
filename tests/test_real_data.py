"""End to end on real tables, with a few golden numbers; left out where the tables are absent."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.base import is_regressor
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

import skdistill.scorer
from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    MLPStudentRegressor,
    SoftTreeStudentClassifier,
    TreeStudentClassifier,
    attribution_report,
    distillation_report,
    explain,
    lean_scorer,
    save,
    to_c,
    to_onnx,
    to_sql,
    verify,
)
from skdistill.fidelity import gap_closed

ROOT = Path(__file__).parents[1]
FOLDER = Path(os.environ.get("SKDISTILL_DATA", ROOT.parent / "shared" / "data"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.* labelled rows are copies"),  # bookings of a group
    pytest.mark.skipif(not FOLDER.exists(), reason="needs a folder of tables in SKDISTILL_DATA"),
]


def read(name, rows=6000):
    frame = pd.read_parquet(FOLDER / f"{name}.parquet")
    frame = frame.sample(min(rows, len(frame)), random_state=0)
    y = frame.pop("target").to_numpy()
    return train_test_split(frame, y, test_size=0.3, stratify=y, random_state=0)


def test_an_mlp_closes_the_gap_to_a_forest_on_phoneme():
    X, X_test, y, y_test = read("phoneme")
    forest = RandomForestClassifier(200, random_state=0, n_jobs=2).fit(X, y)
    student = MLPStudentClassifier(random_state=0)
    hard = student.fit(X, y).predict_proba(X_test)
    soft = DistilledClassifier(forest, student, random_state=0).fit(X, y).predict_proba(X_test)
    teacher = forest.predict_proba(X_test)
    auc = [roc_auc_score(y_test, proba[:, 1]) for proba in (teacher, soft, hard)]
    loss = [log_loss(y_test, proba) for proba in (teacher, soft, hard)]
    assert gap_closed(*auc) > 0.6
    assert gap_closed(*loss, greater_is_better=False) > 0.7
    assert auc[1] > 0.94


def test_a_tree_of_soft_labels_beats_one_of_hard_labels_on_adult():
    X, X_test, y, y_test = read("adult", 10_000)
    categories = list(X.select_dtypes(include="category").columns)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    forest = RandomForestClassifier(100, random_state=0, n_jobs=2)
    columns = make_column_transformer((encoder, categories), remainder="passthrough")
    teacher = make_pipeline(columns, forest).fit(X, y)
    tree = TreeStudentClassifier(16, random_state=0)
    model = DistilledClassifier(teacher, tree, random_state=0).fit(X, y)
    hard = roc_auc_score(y_test, tree.fit(X, y).predict_proba(X_test)[:, 1])
    assert model.labelling_ == "oob"
    assert roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]) > hard + 0.003


@pytest.mark.parametrize("name", ["adult", "hotel_bookings", "letter", "creditcard_ulb"])
def test_every_student_takes_categories_gaps_and_many_classes(name):
    X, X_test, y, y_test = read(name)
    teacher = LGBMClassifier(n_estimators=50, verbose=-1, n_jobs=1)
    prior = np.bincount(y_test) / len(y_test)
    base_rate = log_loss(y_test, np.tile(prior, (len(y_test), 1)))
    for student in (
        TreeStudentClassifier(),
        LinearStudentClassifier(),
        MLPStudentClassifier((32,), max_epochs=3),
    ):
        model = DistilledClassifier(teacher, student, cv=2, random_state=0).fit(X, y)
        assert model.labelling_ == "cross_fit"
        assert log_loss(y_test, model.predict_proba(X_test)) < base_rate


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("adult", LinearStudentClassifier()),
        ("letter", TreeStudentClassifier(64)),
        ("creditcard_ulb", MLPStudentClassifier((32,), max_epochs=5)),
    ],
)
def test_a_report_is_one_page_with_a_verdict_that_its_numbers_bear_out(name, student):
    X, X_test, y, y_test = read(name, 10_000)
    teacher = LGBMClassifier(n_estimators=50, verbose=-1, n_jobs=1)
    model = DistilledClassifier(teacher, student, label_correction=False, cv=2, random_state=0)
    model.fit(X, y)
    groups = X_test[["sex", "race"]] if name == "adult" else None
    report = distillation_report(
        model,
        X_test,
        y_test,
        baseline=student.fit(X, y),
        groups=groups,
        n_explained=20,
        random_state=0,
        n_resamples=200,
        top_k=20,
    )
    proba = {
        "teacher": model.teacher_.predict_proba(X_test),
        "student": model.predict_proba(X_test),
    }
    loss = report.fidelity.scores["log_loss"]
    assert loss.teacher == pytest.approx(log_loss(y_test, proba["teacher"], labels=model.classes_))
    assert loss.student == pytest.approx(log_loss(y_test, proba["student"], labels=model.classes_))
    difference = report.fidelity.scores["roc_auc"].student_minus_teacher
    assert report.fidelity.verdict.non_inferior == (difference.low > -0.01)
    for role, of in (
        ("teacher", report.attributions.teacher),
        ("student", report.attributions.student),
    ):
        answers = of.base_values + of.values.sum(axis=1)
        np.testing.assert_allclose(answers, proba[role][report.attributions.rows], atol=1e-5)
    assert bool(report.fidelity.group_gaps) == (name == "adult")
    html = report.to_html()
    assert len(html) < 3_000_000
    assert "How it was made" in html


def test_card_fraud_is_explained_exactly():
    X, X_test, y, _ = read("creditcard_ulb", 100_000)
    forest = RandomForestClassifier(200, max_samples=0.5, random_state=0, n_jobs=2).fit(X, y)
    explanation = explain(forest, X_test[:200], X, random_state=0)
    assert explanation.method == "exact, from 200 trees"
    total = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(total, forest.predict_proba(X_test[:200]), atol=1e-9)


def test_a_network_has_the_reasons_of_boosting_more_than_a_tree_has_on_adult():
    X, X_test, y, _ = read("adult", 30_000)
    teacher = LGBMClassifier(n_estimators=200, verbose=-1, n_jobs=1).fit(X, y)
    network = MLPStudentClassifier(random_state=0, max_epochs=5)
    cosines = []
    for student in (network, TreeStudentClassifier(random_state=0)):
        student.fit(X, teacher.predict_proba(X))
        report = attribution_report(student, X_test, X, teacher=teacher, n_rows=60, random_state=0)
        cosines.append(report.local[0].median_cosine)
    assert cosines[0] > 0.95
    assert cosines[0] > cosines[1]


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.parquet")))
def test_every_export_is_the_student_on_real_rows(name, tmp_path):
    X, X_test, y, _ = read(name)
    students = (
        TreeStudentClassifier(64),
        LinearStudentClassifier(n_bins=8),
        MLPStudentClassifier((64, 64), max_epochs=3, random_state=0),
    )
    for student in students:
        student.fit(X, y)
        to_c(student, tmp_path / "student.c", X, dtype="float32")
        to_onnx(student, tmp_path / "student.onnx", X)
        files = ["student.c", "student.onnx"]
        if not isinstance(student, MLPStudentClassifier):
            to_sql(student, tmp_path / "student.sql", table="rows")
            files.append("student.sql")
        for file in files:
            assert verify(tmp_path / file, X_test).max_difference < 1e-5
        expected = student.predict_proba(X_test)
        for engine in ("c", "numpy"):
            found = lean_scorer(student, engine).batch(X_test)
            np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize(
    "student",
    [
        TreeStudentClassifier(64),
        LinearStudentClassifier(n_bins=16),
        MLPStudentClassifier((64, 64), max_epochs=3, random_state=0),
        SoftTreeStudentClassifier(4, max_epochs=10, random_state=0),
        LinearStudentRegressor(n_bins=16),
        MLPStudentRegressor((64, 64), max_epochs=3, random_state=0),
    ],
    ids=lambda student: type(student).__name__,
)
def test_every_export_takes_hundreds_of_real_columns(student, tmp_path):
    card = pd.read_parquet(FOLDER / "creditcard_ulb.parquet").drop(columns="target")[:8000]
    amount = card.pop("Amount").to_numpy()
    before = [card.shift(n).add_suffix(f"_{n}_before") for n in range(1, 11)]
    X = pd.concat([card, *before], axis=1)  # a transaction, and the ten before it
    assert X.shape[1] > 300
    X, X_test, y = X[:4000], X[4000:], amount[:4000]
    student.fit(X, np.log1p(y) if is_regressor(student) else y > np.median(y))
    assert to_onnx(student, tmp_path / "student.onnx", X).certificate.max_difference < 7e-6
    to_c(student, tmp_path / "student.c", X, dtype="float32")
    files = ["student.onnx", "student.c"]
    if isinstance(student, TreeStudentClassifier | LinearStudentClassifier):
        to_sql(student, tmp_path / "student.sql", table="rows")
        files.append("student.sql")
    for file in files:
        assert verify(tmp_path / file, X_test).max_difference < 1e-5
    save(student, tmp_path / "student.skd")
    ask = student.predict if is_regressor(student) else student.predict_proba
    scorer = skdistill.scorer.load_scorer(tmp_path / "student.skd")
    np.testing.assert_allclose(scorer.batch(X_test), ask(X_test), atol=5e-6)
