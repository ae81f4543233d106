"""FidelityMonitor: what is counted, what is said about it, and that nothing counted is lost."""

import copy
import datetime
import json
import os
import pickle
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    DistilledClassifier,
    FidelityMonitor,
    MonitorDisplay,
    TreeStudentClassifier,
    TreeStudentRegressor,
)
from skdistill.exceptions import MonitorFileError
from skdistill.fidelity import agreement, kl_divergence
from skdistill.monitor import database
from skdistill.monitor.bins import bins_of_column, equal_edges
from skdistill.monitor.days import days_of_rows
from skdistill.monitor.gap import estimates, gap_of_rows, moments
from skdistill.monitor.psi import population_stability_index, psi_noise


def live_rows(n, rng, shift=0.0):
    """Rows of three kinds of columns, with the scores of student and teacher."""
    amount = rng.gamma(2, 50, n) * np.exp(shift)
    rows = pd.DataFrame(
        {
            "amount": np.where(rng.random(n) < 0.1, np.nan, amount),
            "hour": rng.integers(0, 24, n),
            "city": rng.choice(["Graz", "Linz", "Wien", None], n),
        }
    )
    student = amount / (amount + 200)
    teacher = np.clip(student + rng.normal(0, 0.03, n), 0.001, 0.999)
    return rows, student, teacher


@pytest.fixture
def monitor(rng):
    return FidelityMonitor(max_buckets=5).fit(*live_rows(4000, rng))


@pytest.fixture
def batch(rng):
    return live_rows(300, rng)


def counts_of(monitor):
    """What a monitor has counted, of all rows ever."""
    lifetime = monitor._state.ledger.lifetime
    return lifetime.n_rows, lifetime.cells.tolist(), lifetime.n_pairs, lifetime.gap_sums.tolist()


def drift_of(report, name):
    return next(each for each in (*report.scores, *report.columns) if each.name == name)


# The maths


def test_the_index_is_zero_for_equal_shares_and_follows_the_formula():
    counts = np.array([100, 300, 600])
    assert population_stability_index(counts, counts) == 0
    p = (np.array([10, 0, 40]) + 0.5) / 51.5
    q = (np.array([20, 30, 50]) + 0.5) / 101.5
    live, reference = np.array([10, 0, 40, 0]), np.array([20, 30, 50, 0])
    expected = np.sum((p - q) * np.log(p / q))  # the bin without any row is left out
    assert population_stability_index(live, reference) == pytest.approx(expected)


def test_without_drift_the_index_is_as_large_as_the_chi_square_says(rng):
    shares, n, m = np.full(10, 0.1), 400, 2000
    live, reference = rng.multinomial(n, shares, 3000), rng.multinomial(m, shares, 3000)
    found = [population_stability_index(*pair) for pair in zip(live, reference, strict=True)]
    assert np.mean(found) == pytest.approx(9 * (1 / n + 1 / m), rel=0.05)
    noise = [psi_noise(*pair) for pair in zip(live, reference, strict=True)]
    assert noise[0] == pytest.approx(chi2.ppf(0.999, 9) * (1 / n + 1 / m), rel=0.01)
    assert np.mean(np.greater(found, noise)) < 0.004


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_gap_is_what_the_fidelity_measures_say(rng, n_classes):
    teacher, student = (rng.dirichlet(np.ones(n_classes), 500) for _ in range(2))
    kind = "binary" if n_classes == 2 else "multiclass"
    shown = (teacher[:, 1:], student[:, 1:]) if n_classes == 2 else (teacher, student)
    gaps = gap_of_rows(*shown, kind, 0.5)
    found = estimates(kind, 500, moments(gaps), 0.95)
    assert found["kl_divergence"].value == pytest.approx(kl_divergence(teacher, student))
    assert found["agreement"].value == pytest.approx(agreement(teacher, student))
    assert found["difference"].value == pytest.approx(np.abs(teacher - student).sum(1).mean() / 2)


def test_the_interval_of_the_gap_is_mean_and_standard_error(rng):
    teacher, student = rng.normal(size=(2, 400, 1))
    found = estimates(
        "regression", 400, moments(gap_of_rows(teacher, student, "regression", 0)), 0.9
    )
    bias = (teacher - student)[:, 0]
    margin = 1.6449 * bias.std(ddof=1) / 20
    assert found["bias"].low == pytest.approx(bias.mean() - margin, rel=1e-3)
    assert found["bias"].high == pytest.approx(bias.mean() + margin, rel=1e-3)


def test_bins_hold_about_as_many_rows_each(rng):
    edges = equal_edges(rng.normal(size=5000), 10)
    counts = np.bincount(np.searchsorted(edges, rng.normal(size=50_000)))
    assert len(counts) == 10
    assert counts.min() > 4000


def test_a_frequent_value_has_a_bin_of_its_own(rng):
    values = np.where(rng.random(5000) < 0.8, 0.0, rng.gamma(2, 1, 5000))
    counts = np.bincount(np.searchsorted(equal_edges(values, 10), values))
    assert counts[0] == (values == 0).sum()
    assert len(counts) >= 8


@pytest.mark.parametrize("values", [[0, 0, 1, 1], [7.0], [0.1, 0.1]])
def test_values_beyond_few_known_ones_have_bins_of_their_own(values):
    edges = equal_edges(np.array(values, dtype=float), 10)
    known = set(np.searchsorted(edges, values).tolist())
    beyond = set(np.searchsorted(edges, [min(values) - 1, max(values) + 1]).tolist())
    assert len(known) == len(set(values))
    assert not known & beyond


def test_rounding_to_float32_moves_no_value_into_another_bin(rng):
    values = np.round(rng.normal(size=2000), 1)
    bins = bins_of_column("x", values, 10, 20)
    np.testing.assert_array_equal(bins.count(values), bins.count(values.astype(np.float32)))


def test_levels_beyond_the_most_frequent_are_counted_together():
    values = np.array(["a"] * 5 + ["b"] * 3 + ["c", None, float("nan")], dtype=object)
    bins = bins_of_column("x", values, 10, 2)
    assert bins.labels == ["'a'", "'b'", "other", "missing"]
    assert bins.count(values).tolist() == [5, 3, 1, 2]
    assert bins.count(np.array(["new", 3, pd.NA, [1]], dtype=object)).tolist() == [0, 0, 2, 1]


def test_a_level_is_what_equals_it_for_the_student():
    bins = bins_of_column("x", np.array(["1", "2", "2", "1.5"], dtype=object), 10, 20)
    assert bins.labels[:3] == ["'2'", "'1'", "'1.5'"]
    asked = np.array([1, 2.0, 1.5, True, "1", "01", 3], dtype=object)
    assert bins.count(asked).tolist() == [1, 3, 1, 2, 0]


# What is found


def test_rows_like_the_reference_raise_no_alert(monitor, rng):
    for day in range(7):
        monitor.update(*live_rows(1000, rng), at=day)
    report = monitor.report()
    assert not report.alerts
    assert not report.should_redistill
    assert report.gap_status == "held"
    assert {each.status for each in (*report.scores, *report.columns)} == {"stable"}


def test_a_scaled_column_and_its_score_are_alerted(monitor, rng):
    monitor.update(*live_rows(1000, rng, shift=1.0))
    report = monitor.report()
    assert drift_of(report, "amount").status == "alert"
    assert drift_of(report, "score").status == "alert"
    assert drift_of(report, "hour").status == "stable"
    assert drift_of(report, "amount").shift.startswith(">")


def test_a_new_category_is_alerted_and_named_as_other(monitor, batch):
    rows, student, _ = batch
    monitor.update(rows.assign(city="Salzburg"), student)
    drift = drift_of(monitor.report(), "city")
    assert drift.status == "alert"
    assert drift.shift == "other: 0.0% -> 100.0%"


def test_missing_values_are_a_bin_of_their_own(monitor, batch):
    rows, student, _ = batch
    monitor.update(rows.assign(hour=np.nan), student)
    assert drift_of(monitor.report(), "hour").shift == "missing: 0.0% -> 100.0%"


def test_few_rows_raise_no_alert_unless_chance_is_ruled_out(monitor, rng):
    rows, student, _ = live_rows(12, rng)
    monitor.update(rows, student)
    drift = drift_of(monitor.report(), "amount")
    assert drift.psi > 0.1
    assert drift.status == "too few rows"
    monitor.update(rows.assign(amount=1e6), student)
    monitor.update(rows.assign(amount=1e6), student)
    assert drift_of(monitor.report(), "amount").status == "alert"


def test_thresholds_decide_between_warning_and_alert(monitor, rng):
    monitor.update(*live_rows(2000, rng, shift=0.5))
    psi = drift_of(monitor.report(), "amount").psi
    monitor.psi_warn, monitor.psi_alert = psi - 0.01, psi + 0.01
    assert drift_of(monitor.report(), "amount").status == "warn"
    monitor.psi_warn = psi + 0.01
    assert drift_of(monitor.report(), "amount").status == "stable"


def test_a_gap_grown_beyond_the_tolerance_asks_for_distilling(monitor, rng):
    rows, student, teacher = live_rows(1000, rng)
    monitor.update(rows, student, rng.permutation(teacher))
    report = monitor.report()
    assert report.gap_status == "grown"
    assert report.should_redistill
    assert "has grown" in report.reasons[0]
    assert report.gaps[0].live.low > report.gaps[0].reference.high


def test_drift_with_a_gap_that_held_does_not_ask_for_distilling(monitor, rng):
    rows, student, teacher = live_rows(3000, rng)
    monitor.update(rows.assign(city="Salzburg"), student, teacher)
    report = monitor.report()
    assert report.gap_status == "held"
    assert report.alerts
    assert not report.should_redistill


def test_drift_of_the_score_without_the_teacher_asks_for_distilling(monitor, rng):
    rows, student, teacher = live_rows(3000, rng)
    teacher[20:] = np.nan
    monitor.update(rows.assign(city="Salzburg"), student**2, teacher)
    report = monitor.report()
    assert report.gap_status == "too few rows"
    assert report.should_redistill


def test_drift_of_columns_alone_is_an_alert_and_no_more(monitor, rng):
    rows, student, teacher = live_rows(3000, rng)
    teacher[20:] = np.nan
    monitor.update(rows.assign(city="Salzburg"), student, teacher)
    report = monitor.report()
    assert drift_of(report, "city").status == "alert"
    assert report.alerts
    assert not report.should_redistill
    assert "but not the score" in report.reasons[0]


def test_a_reference_without_teacher_leaves_the_gap_without_comparison(rng):
    monitor = FidelityMonitor().fit(*live_rows(500, rng)[:2])
    monitor.update(*live_rows(500, rng))
    report = monitor.report()
    assert report.gap_status == "no reference"
    assert report.gaps[0].reference is None
    assert not report.should_redistill


def test_flagged_rows_are_those_at_the_threshold_or_above(rng):
    scores = np.array([0.1] * 50 + [0.3] * 30 + [0.7] * 20)
    monitor = FidelityMonitor(threshold=0.3).fit(np.zeros((100, 1)), scores)
    monitor.update(np.zeros((4, 1)), [0.3, 0.2999, 0.9, 0.0])
    report = monitor.report()
    assert report.flagged.value == 0.5
    assert report.flagged_reference.value == 0.5


def test_a_column_in_no_row_is_reported_absent(monitor, batch):
    rows, student, _ = batch
    monitor.update(rows.drop(columns="hour"), student)
    report = monitor.report()
    assert drift_of(report, "hour").status == "absent"
    assert report.should_redistill
    assert "absent: hour is in none of the rows" in report.alerts


def test_a_report_before_any_row_says_so(monitor):
    report = monitor.report()
    assert str(report).startswith("No live rows yet")
    assert not report.should_redistill
    assert json.loads(report.to_json())["columns"][0]["psi"] is None


def test_a_report_prints_and_gives_rows_and_json(monitor, rng):
    monitor.update(*live_rows(500, rng, shift=1.0), at="2025-03-31")
    report = monitor.report()
    text = str(report)
    assert text.startswith("2025-03-31: 500 rows (500 since the start, 4,000 in the reference)")
    assert "Distil again: no" in text
    assert "- alert: amount, PSI" in text
    frame = pd.DataFrame(report.section("gaps"))
    assert list(frame["measure"]) == ["kl_divergence", "difference", "bias", "agreement"]
    assert (frame["live_low"] <= frame["live"]).all()
    assert pd.DataFrame(report.section("columns")).shape == (3, 7)
    assert json.loads(report.to_json()) == report.to_dict()
    with pytest.raises(ValueError, match="section='rows'; 'columns'"):
        report.section("rows")


# What is counted


def containers(rows):
    import polars as pl
    import pyarrow as pa

    shuffled = rows[["city", "amount", "hour"]]
    cells = rows.astype(object).to_numpy()
    return {
        "reordered": shuffled,
        "polars": pl.from_pandas(shuffled),
        "arrow": pa.Table.from_pandas(shuffled),
        "nullable": shuffled.convert_dtypes(),
        "categorical": shuffled.astype({"city": "category"}),
        "dict": shuffled.to_dict("list"),
        "dicts": shuffled.to_dict("records"),
        "array": cells,
        "lists": cells.tolist(),
    }


def test_every_container_is_counted_alike(monitor, batch):
    rows, student, teacher = batch
    empty = monitor.to_json()
    monitor.update(rows, student, teacher)
    for name, table in containers(rows).items():
        other = FidelityMonitor.from_json(empty)
        summary = other.update(table, student, teacher)
        assert not summary.skipped, name
        assert counts_of(other) == counts_of(monitor), name


def test_a_column_may_be_called_column_names(rng):
    rows = pd.DataFrame({"column_names": rng.random(50), "columns": rng.random(50)})
    monitor = FidelityMonitor().fit(rows, rng.random(50))
    assert monitor.feature_names_in_.tolist() == ["column_names", "columns"]
    assert not monitor.update(rows, rng.random(50)).unknown_columns


def test_single_rows_of_every_form_are_counted_like_a_table(monitor, batch):
    rows, student, teacher = batch
    empty = monitor.to_json()
    rows = rows.astype(object)
    monitor.update(rows[:1], student[:1], teacher[:1])
    for row in (
        rows.iloc[0],
        rows.iloc[0].to_dict(),
        rows.iloc[0].tolist(),
        tuple(rows.iloc[0]),
        rows.iloc[0].to_numpy(),
    ):
        other = FidelityMonitor.from_json(empty)
        other.update(row, student[0], [1 - teacher[0], teacher[0]])
        assert counts_of(other)[:3] == counts_of(monitor)[:3], row
        np.testing.assert_allclose(counts_of(other)[3], counts_of(monitor)[3])


def test_sparse_rows_are_counted_like_dense_ones(rng):
    sparse = pytest.importorskip("scipy.sparse")
    X = rng.normal(size=(100, 3)) * (rng.random((100, 3)) < 0.3)
    monitor = FidelityMonitor().fit(X, rng.random(100))
    other = FidelityMonitor.from_json(monitor.to_json())
    scores = rng.random(100)
    monitor.update(X, scores)
    other.update(sparse.csr_array(X), scores)
    assert counts_of(monitor) == counts_of(other)


def test_two_columns_of_probabilities_are_the_second_one(monitor, batch):
    rows, student, teacher = batch
    other = FidelityMonitor.from_json(monitor.to_json())
    monitor.update(rows, student, teacher)
    other.update(rows, *(np.column_stack([1 - each, each]) for each in (student, teacher)))
    assert counts_of(other) == counts_of(monitor)


def test_several_classes_have_a_histogram_each(rng):
    X = rng.normal(size=(800, 2))
    student, teacher = rng.dirichlet([1, 2, 3], (2, 800))
    monitor = FidelityMonitor().fit(X, student, student)
    monitor.update(X, student, teacher)
    report = monitor.report()
    assert [each.name for each in report.scores] == ["score of 0", "score of 1", "score of 2"]
    assert [gap.measure for gap in report.gaps] == ["kl_divergence", "difference", "agreement"]
    assert report.flagged is None
    assert report.gap_status == "grown"
    summary = monitor.update(X[:2], [[0.2, 0.3, 0.5], [0.2, 0.3, 0.6]])
    assert summary.skipped == {"student scores that do not sum to 1": 1}


def test_predictions_are_counted_in_regression(rng):
    X, student = rng.normal(size=(800, 2)), rng.normal(100, 30, 800)
    monitor = FidelityMonitor(task="regression").fit(X, student, student + rng.normal(size=800))
    summary = monitor.update(X[:3], [-50.0, np.inf, 120.0], [None, 1.0, 121.0])
    assert (summary.n_scores, summary.n_pairs) == (2, 1)
    assert summary.skipped == {"student scores not finite": 1}
    monitor.update(X, student + 100, student + 100 + rng.normal(size=800))
    report = monitor.report()
    assert drift_of(report, "score").status == "alert"
    assert [gap.measure for gap in report.gaps] == ["difference", "bias"]


def test_rows_without_a_score_count_in_the_columns(monitor, batch):
    rows, student, teacher = batch
    student[:7], student[7:10], teacher[10:14] = np.nan, 1.5, -0.5
    teacher[14:20] = np.nan
    summary = monitor.update(rows, student, teacher)
    assert (summary.n_rows, summary.n_scores, summary.n_pairs) == (300, 290, 280)
    assert summary.skipped == {
        "student scores outside [0, 1]": 3,
        "student scores missing": 7,
        "teacher scores outside [0, 1]": 4,
    }
    report = monitor.report()
    assert report.skipped == summary.skipped
    assert drift_of(report, "hour").n_rows == 300
    assert drift_of(report, "score").n_rows == 290


def test_absent_and_unknown_columns_are_named_and_the_others_count(monitor, batch):
    rows, student, _ = batch
    summary = monitor.update(rows.rename(columns={"hour": "Hour"}), student)
    assert summary.skipped == {"column 'hour' absent": 300}
    assert summary.unknown_columns == ("Hour",)
    report = monitor.report()
    assert report.unknown_columns == ("Hour",)
    assert drift_of(report, "amount").n_rows == 300
    assert (drift_of(report, "hour").n_rows, drift_of(report, "hour").n_skipped) == (0, 300)
    assert "Unknown columns: Hour" in str(report)


def test_cells_that_cannot_be_read_are_skipped_by_column(monitor, batch):
    rows, student, _ = batch
    rows = rows.astype(object)
    rows.loc[:4, "amount"] = "12.5"
    rows.at[0, "city"] = ["Graz"]
    rows["hour"] = pd.Timestamp("2025-03-31")
    summary = monitor.update(rows, student)
    assert summary.skipped == {
        "column 'amount' not a number": 5,
        "column 'hour' not a number": 300,
        "column 'city' neither text nor number": 1,
    }


def test_infinite_cells_are_in_the_outermost_bins(monitor, batch):
    rows, student, _ = batch
    summary = monitor.update(rows.assign(hour=np.inf), student)
    assert not summary.skipped
    assert drift_of(monitor.report(), "hour").shift.startswith(">")


def test_an_empty_batch_changes_nothing(monitor, batch):
    before = monitor.to_json()
    for rows in (batch[0][:0], [], np.empty((0, 3))):
        assert monitor.update(rows, []).n_rows == 0
    assert monitor.to_json() == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X, s: (X, s[:-1]), ValueError, r"student_scores have shape \(299,\); \(300,\) was"),
        (lambda X, s: (X, s, s[:-1]), ValueError, r"teacher_scores have shape \(299,\)"),
        (lambda X, s: (X, np.ones((300, 3))), ValueError, r"student_scores have shape \(300, 3\)"),
        (lambda X, s: (X, ["high"] * 300), TypeError, "student_scores are no array of numbers"),
        (lambda X, s: (X.to_numpy()[:, :2], s), ValueError, "2 columns without names.*3 were"),
        (lambda X, s: (X.add_prefix("new_"), s), ValueError, "None of the columns.*'new_amount'"),
        (lambda X, s: (pd.concat([X, X], axis=1), s), ValueError, "more than one column.*'amount'"),
        (lambda X, s: (np.zeros((2, 3, 4)), s), ValueError, r"X has shape \(2, 3, 4\)"),
        (lambda X, s: ([[1, 2, 3], [1, 2]], s), ValueError, "from 2 to 3 cells"),
        (lambda X, s: ({"hour": [1, 2], "amount": [1]}, s), ValueError, "different lengths"),
        (lambda X, s: ({"hour": [1, 2], "amount": 1}, s), ValueError, "different lengths"),
        (lambda X, s: (None, s), TypeError, "X is a NoneType"),
        (lambda X, s: ("rows.csv", s), TypeError, "X is a str"),
    ],
)
def test_what_cannot_be_counted_raises_and_changes_nothing(monitor, batch, change, error, message):
    monitor.update(*batch, at="2025-03-31")
    before = monitor.to_json()
    with pytest.raises(error, match=message):
        monitor.update(*change(*batch[:2]), at="2025-03-31")
    assert monitor.to_json() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": "yesterday"}, "at is 'yesterday', a str"),
        ({"at": True}, "at is True"),
        ({"at": float("inf")}, "at is inf"),
        ({"at": 7}, "numbers and dates"),
        ({"at": ["2025-03-31"] * 4}, r"at has shape \(4,\)"),
        ({"batch_id": 7}, "batch_id is 7"),
        ({"batch_id": "x" * 201}, "at most 200 letters"),
    ],
)
def test_a_wrong_day_or_identifier_raises_and_changes_nothing(monitor, batch, options, message):
    monitor.update(*batch, at="2025-03-31")
    before = monitor.to_json()
    with pytest.raises(ValueError, match=message):
        monitor.update(*batch, **options)
    assert monitor.to_json() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "ranking"}, "task is 'ranking'"),
        ({"n_bins": 1}, "n_bins is 1; a whole number from 2"),
        ({"window": 2.5}, "window is 2.5; a whole number"),
        ({"teacher_share": 1.5}, "teacher_share is 1.5; a number from 0.0 to 1.0"),
        ({"confidence": 95}, "confidence is 95"),
        ({"psi_alert": float("nan")}, "psi_alert is nan"),
        ({"psi_alert": 0.05}, "psi_alert=0.05 is below psi_warn=0.1"),
    ],
)
def test_parameters_out_of_range_raise(settings, message):
    with pytest.raises(ValueError, match=message):
        FidelityMonitor(**settings).fit([[1.0], [2.0]], [0.1, 0.2])


def test_a_monitor_without_reference_says_what_to_do():
    with pytest.raises(ValueError, match=r"Call fit\(X, student_scores\)"):
        FidelityMonitor().update([[1.0]], [0.5])


def test_a_reference_that_cannot_be_counted_raises():
    with pytest.raises(ValueError, match=r"no student score that can be counted.*outside"):
        FidelityMonitor().fit([[1.0], [2.0]], [3.0, 4.0])
    for unit in ("ns", "s"):
        days = pd.DataFrame({"day": np.array(["2025-03-31"], dtype=f"datetime64[{unit}]")})
        with pytest.raises(TypeError, match=r"Column 'day' of the reference holds.*datetime64"):
            FidelityMonitor().fit(days, [0.5])
    with pytest.warns(UserWarning, match="student scores missing: 1 rows"):
        FidelityMonitor().fit([[1.0], [2.0]], [None, 0.5])


@pytest.mark.parametrize("shape", ["one column", "two columns"])
def test_labels_in_place_of_scores_are_reported(monitor, batch, shape):
    def passed(scores):
        return scores if shape == "one column" else np.column_stack([1 - scores, scores])

    rows, student, teacher = batch
    for scores, whose in ((((student > 0.4) * 1.0, teacher), "300 student"),
                          ((student, (teacher > 0.4) * 1.0), "300 teacher")):  # fmt: skip
        with pytest.warns(UserWarning, match=rf"All {whose}_scores of this batch.*predict_proba"):
            monitor.update(rows, *map(passed, scores))
    with pytest.warns(UserWarning, match=r"All 300 student_scores of the reference"):
        hard = FidelityMonitor().fit(rows, (student > 0.4) * 1.0)
    hard.update(rows, (student > 0.4) * 1.0)  # as the reference was
    monitor.update(rows[:5], student[:5] > 0.4)  # too few to tell


@pytest.mark.parametrize(
    ("task", "fitted", "scores", "message"),
    [
        ("classification", [0.1, 0.2], [[0.1, 0.9]], r"\(2,\) was.*predict_proba\(X\)\[:, "),
        ("classification", [[0.2, 0.3, 0.5]] * 2, [0, 2], r"\(2, 3\) was.*a column per class"),
        ("classification", [[0.2, 0.3, 0.5]] * 2, ["a", "b"], "no array of numbers.*not the labe"),
        ("regression", [5.0, 7.0], [[0.1, 0.9]] * 2, "probabilities need task='classification'"),
    ],
)  # fmt: skip
def test_scores_of_another_form_say_what_to_pass(task, fitted, scores, message):
    monitor = FidelityMonitor(task=task).fit([[1.0], [2.0]], fitted)
    with pytest.raises((TypeError, ValueError), match=message):
        monitor.update([[1.0], [2.0]], scores)


# By time


def test_days_may_come_in_any_form_and_order(monitor, batch):
    days = [
        "2025-03-31",
        datetime.date(2025, 3, 29),
        datetime.datetime(2025, 3, 30, 23, 59),
        np.datetime64("2025-03-29T12:00"),
        pd.Timestamp("2025-03-30 01:00", tz="Europe/Vienna"),
        "2025-03-31T10:00:00",
    ]
    for day in days:
        monitor.update(*batch, at=day)
    history = monitor.history()
    assert [each.first for each in history] == ["2025-03-29", "2025-03-30", "2025-03-31"]
    assert [each.n_rows for each in history] == [600] * 3
    assert monitor.report(window=2).n_rows == 1200


def test_one_batch_may_hold_several_days(monitor, batch):
    stamps = pd.date_range("2025-03-30 12:00", periods=300, freq="5min")
    other = FidelityMonitor.from_json(monitor.to_json())
    for at in (stamps, [*stamps.date]):
        copied = FidelityMonitor.from_json(other.to_json())
        summary = copied.update(*batch, at=at)
        assert summary.days == ("2025-03-30", "2025-03-31")
        assert [each.n_rows for each in copied.history()] == [144, 156]
    monitor.update(*batch, at=[1.5, None, float("nan")] * 100)
    assert [each.n_rows for each in monitor.history()] == [200, 100]  # bucket 0, then day 1


def test_old_buckets_are_added_up_and_nothing_is_lost(monitor, batch):
    for day in range(8):
        monitor.update(*batch, at=day)
    assert [each.first for each in monitor.history()] == [3, 4, 5, 6, 7]
    summary = monitor.update(*batch, at=1)
    assert summary.n_late == 300
    report = monitor.report()
    assert (report.n_lifetime, report.n_rows) == (9 * 300, 5 * 300)


def test_rows_without_a_day_fill_buckets(rng, batch):
    monitor = FidelityMonitor(bucket_rows=600).fit(*live_rows(500, rng))
    for _ in range(5):
        monitor.update(*batch)
    assert [each.n_rows for each in monitor.history()] == [600, 600, 300]
    assert [each.first for each in monitor.history()] == [0, 1, 2]


def test_only_recent_buckets_are_judged(monitor, rng):
    for day in range(4):
        monitor.update(*live_rows(500, rng, shift=2.0 * (day < 2)), at=day)
    assert not monitor.report(window=2).alerts
    assert monitor.report(window=4).alerts


def test_the_history_is_what_the_report_said_at_each_time(monitor, rng):
    monitor.window, said = 3, []
    for day in range(7):
        monitor.update(*live_rows(300, rng, shift=day / 4), at=day)
        said.append(monitor.report())
    found = monitor.history(None)  # the first windows of the five days kept reach back further
    assert [each.last for each in found] == [4, 5, 6]
    assert [each.columns for each in found] == [each.columns for each in said[4:]]
    assert found[-1] == monitor.report()
    assert [each.n_days for each in monitor.history()] == [1] * 5
    with pytest.raises(ValueError, match="window is 0"):
        monitor.history(0)


def rows_of_days(days, rng, n=500, shift=0.0):
    """n rows a day: larger amounts on weekends, and a column that is constant within a day."""
    days = np.repeat(np.asarray(days, dtype="datetime64[D]"), n)
    is_weekend = np.is_busday(days) == 0
    amount = rng.normal(shift + is_weekend, size=len(days))
    scores = 1 / (1 + np.exp(-amount))
    return {"amount": amount, "is_weekend": is_weekend.astype(float)}, scores, days


def test_days_are_compared_with_the_same_weekdays(rng, close_figures):
    X, scores, days = rows_of_days(np.arange("2025-03-03", "2025-03-31", dtype="M8[D]"), rng)
    matched = FidelityMonitor().fit(X, scores, at=days)
    plain = FidelityMonitor().fit(X, scores)
    for day in np.arange("2025-03-31", "2025-04-07", dtype="M8[D]"):
        X, scores, at = rows_of_days([day], rng)
        for monitor in (matched, plain):
            monitor.update(X, scores, at=at)
    days = matched.history()
    assert {drift.status for day in days for drift in (*day.columns, *day.scores)} == {"stable"}
    assert "same weekdays of the reference" in str(days[0])
    assert {drift_of(day, "is_weekend").status for day in plain.history()} == {"alert"}
    assert "differences between weekdays look like drift" in str(plain.history()[0])
    assert drift_of(plain.report(), "is_weekend").status == "stable"
    assert plain.report().same_weekdays is False
    other = FidelityMonitor.from_json(matched.to_json())
    X, scores, at = rows_of_days(["2025-04-07"], rng, shift=1.0)  # a Monday like a Sunday
    other.update(X, scores, at=at)
    assert drift_of(other.report(window=1), "amount").status == "alert"
    assert MonitorDisplay.from_monitor(other, window=1).status["amount"][-1] == "alert"
    with pytest.raises(ValueError, match="different references"):
        matched.merge(plain)


def test_rows_without_a_day_are_no_weekday(rng):
    X, scores, _ = rows_of_days([1, 2, 3], rng, n=400)
    monitor = FidelityMonitor(bucket_rows=1000).fit(X, scores, at=np.repeat([1, 2, 3], 400))
    with pytest.raises(ValueError, match=r"at is None.*Pass at="):
        monitor.update(X, scores)
    assert monitor.report().n_rows == 0
    monitor.update(X, scores, at=7)
    monitor.update(X, scores)
    assert monitor.history()[-1].last == 7


def test_zoned_times_of_polars_keep_their_day():
    import polars as pl

    zoned = pl.Series([datetime.datetime(2025, 2, 28, 23, 30)] * 2).dt.replace_time_zone("UTC")
    vienna = zoned.dt.convert_time_zone("Europe/Vienna")
    assert list(days_of_rows(vienna, 2)) == list(days_of_rows(vienna.to_list(), 2))
    assert list(days_of_rows(vienna, 2)) == ["2025-03-01"]


def test_weekdays_with_few_reference_rows_are_compared_with_all_of_them(rng):
    X, scores, days = rows_of_days(["2025-03-22", "2025-03-29", "2025-03-30"], rng, n=200)
    monitor = FidelityMonitor().fit(X, scores, at=days)
    for at, is_matched in (("2025-04-05", True), ("2025-04-06", False), (5, False)):
        other = FidelityMonitor.from_json(monitor.to_json())
        other.update({"amount": [1.0], "is_weekend": [1.0]}, [0.5], at=at)
        assert other.report().same_weekdays is is_matched


def test_the_matched_reference_is_that_of_a_stratified_sample(rng):
    X, scores, days = rows_of_days(["2025-03-29", "2025-03-31", "2025-04-07"], rng)
    monitor = FidelityMonitor().fit(X, scores, at=days)
    monitor.update({"is_weekend": [0.0] * 90 + [1.0] * 10}, [0.5] * 100, at=[
        *["2025-04-14"] * 90, *["2025-04-12"] * 10
    ])  # fmt: skip
    drift = drift_of(monitor.report(), "is_weekend")
    worth = 1 / (0.9**2 / 1000 + 0.1**2 / 500)
    live, reference = np.array([90, 10]), np.array([0.9, 0.1]) * worth
    assert drift.psi == pytest.approx(population_stability_index(live, reference))
    assert drift.noise == pytest.approx(psi_noise(live, reference))
    assert drift_of(monitor.report(), "amount").status == "absent"


# State


def test_the_state_comes_back_from_json(monitor, batch, tmp_path):
    monitor.update(*batch, at="2025-03-31", batch_id="first")
    monitor.update(batch[0].drop(columns="hour").assign(Größe=1), batch[1], at="2025-04-01")
    monitor.save(tmp_path / "monitor.json")
    for other in (
        FidelityMonitor.load(tmp_path / "monitor.json"),
        FidelityMonitor.from_json(monitor.to_json()),
        pickle.loads(pickle.dumps(monitor)),
        copy.deepcopy(monitor),
    ):
        assert other.to_json() == monitor.to_json()
        assert other.report() == monitor.report()
        other.update(*batch, at="2025-04-01")
        assert other.report().n_lifetime == 900
    assert "Größe" in (tmp_path / "monitor.json").read_text(encoding="utf-8")
    assert os.listdir(tmp_path) == ["monitor.json"]


def test_the_state_does_not_grow_with_the_rows(monitor, batch):
    sizes = []
    for day in range(40):
        monitor.update(
            *batch, at=day, batch_id=f"batch {day % 7 + 100 * (day % 2)} of day {day:02}"
        )
        sizes.append(len(monitor.to_json()) - len(json.dumps(monitor._state.ledger.batch_ids)))
    assert max(sizes[10:]) < 1.05 * sizes[6]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "not complete JSON"),
        (lambda text: "", "not complete JSON"),
        (lambda text: text.replace('"rows": 300', '"rows": 301', 1), "damaged or changed by hand"),
        (lambda text: text.replace('"version": 2', '"version": 3'), "reads versions up to 2"),
        (lambda text: '{"format": "skdistill.student"}', "not the state of a FidelityMonitor"),
        (lambda text: "[1, 2]", "not the state of a FidelityMonitor"),
    ],
)
def test_a_file_that_is_damaged_or_foreign_is_refused(monitor, batch, tmp_path, change, message):
    monitor.update(*batch)
    path = tmp_path / "monitor.json"
    path.write_text(change(monitor.to_json()))
    with pytest.raises(MonitorFileError, match=f"monitor.json.*{message}"):
        FidelityMonitor.load(path)
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(MonitorFileError, match="not complete JSON"):
        FidelityMonitor.load(path)


def test_a_file_of_version_1_is_read_and_goes_on():
    monitor = FidelityMonitor.load(Path(__file__).parent / "monitor_files" / "version_1.json")
    report = monitor.report()
    assert (report.n_rows, report.n_lifetime, report.same_weekdays) == (150, 200, False)
    assert drift_of(report, "amount").psi == pytest.approx(0.01355, abs=1e-5)
    monitor.update({"amount": 12.0, "city": "Graz"}, 0.1, at="2025-04-01")
    assert FidelityMonitor.from_json(monitor.to_json()).report().n_lifetime == 201


def test_a_state_that_fits_its_hash_but_not_itself_is_refused(monitor):
    from skdistill.monitor.state_file import _hash_of

    content = json.loads(monitor.to_json())
    content["columns"].pop()
    del content["sha256"]
    content["sha256"] = _hash_of(content)
    with pytest.raises(MonitorFileError, match="not a valid state"):
        FidelityMonitor.from_json(json.dumps(content))


def test_a_save_that_fails_leaves_the_older_file(monitor, batch, tmp_path, monkeypatch):
    path = tmp_path / "monitor.json"
    monitor.save(path)
    before = path.read_bytes()
    monitor.update(*batch)

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        monitor.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["monitor.json"]


def test_saving_into_a_missing_folder_names_the_path(monitor, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot be written.*nowhere"):
        monitor.save(tmp_path / "nowhere" / "monitor.json")


def test_every_update_is_on_disk_when_it_returns(monitor, batch, tmp_path):
    path = tmp_path / "monitor.db"
    monitor.autosave(path)
    for day in range(3):
        monitor.update(*batch, at=day, batch_id=str(day))
        assert FidelityMonitor.load(path).to_json() == monitor.to_json()
    monitor.close()
    assert os.listdir(tmp_path) == ["monitor.db"]
    again = FidelityMonitor.load(path, autosave=True)
    assert again.report() == monitor.report()
    assert again.update(*batch, at=1, batch_id="1").replayed
    again.update(*batch, at=3)
    assert FidelityMonitor.load(path).report().n_lifetime == 1200


def test_the_database_is_of_bounded_size_and_equals_the_state(monitor, batch, tmp_path):
    monitor.autosave(tmp_path / "monitor.db")
    rows = batch[0][:3].assign(Größe=1), batch[1][:3], batch[2][:3]
    days = ["2025-01-01", "2024-12-31", *np.arange(np.datetime64("2025-01-02"), "2025-02-10")]
    for day in days:
        monitor.update(*rows, at=str(day), batch_id=f"\ud800 {day}")
    for number in range(1100):
        monitor.update(*rows, at="2025-02-09", batch_id=f"later {number}")
    assert FidelityMonitor.load(tmp_path / "monitor.db").to_json() == monitor.to_json()
    monitor.close()
    with closing(sqlite3.connect(tmp_path / "monitor.db")) as connection:
        query = "SELECT key, json_extract(content, '$.rows') FROM parts WHERE part = 'buckets'"
        expected = {day: counts.n_rows for day, counts in monitor._state.ledger.buckets.items()}
        assert {json.loads(day): n for day, n in connection.execute(query)} == expected
        query = "SELECT count(*) FROM parts WHERE part = 'batch_ids'"
        assert connection.execute(query).fetchone() == (1000,)


def test_days_that_are_numbers_come_back_as_numbers_of_any_size(monitor, batch, tmp_path):
    monitor.autosave(tmp_path / "monitor.db")
    for day in (-1, 9, 10, 1e30):
        monitor.update(*batch, at=day)
    again = FidelityMonitor.load(tmp_path / "monitor.db")
    assert list(again._state.ledger.buckets) == [-1, 9, 10, int(1e30)]


def test_parameters_that_were_changed_are_kept(monitor, batch, tmp_path):
    path = tmp_path / "monitor.db"
    monitor.autosave(path)
    monitor.window = 3
    monitor.save(path)
    assert FidelityMonitor.load(path).window == 3
    monitor.psi_warn = 0.15
    monitor.update(*batch)
    assert FidelityMonitor.load(path).psi_warn == 0.15


@pytest.mark.parametrize("where", range(0, 100, 3))
def test_a_damaged_database_is_refused_or_whole(monitor, batch, tmp_path, where):
    path = tmp_path / "monitor.db"
    monitor.update(*batch, batch_id="a")
    monitor.autosave(path)
    monitor.close()
    payload = bytearray(path.read_bytes())
    start = where * len(payload) // 100
    for at in range(start, start + 8):
        payload[at] ^= 1
    path.write_bytes(payload)
    try:
        read = FidelityMonitor.load(path)
    except MonitorFileError as error:
        message = str(error)
        assert re.search(r"monitor\.db.*(new monitor|was expected)", message)
    else:
        assert read.to_json() == monitor.to_json()


def test_a_database_cut_off_or_changed_or_foreign_is_refused(monitor, batch, tmp_path):
    path = tmp_path / "monitor.db"
    monitor.update(*batch)
    monitor.autosave(path)
    monitor.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MonitorFileError, match=r"monitor\.db' is damaged.* Restore a copy"):
        FidelityMonitor.load(path)
    with pytest.raises(MonitorFileError, match="is damaged"):
        FidelityMonitor.load(path, autosave=True)
    path.write_bytes(whole)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE parts SET content = replace(content, '300', '301')")
    with pytest.raises(MonitorFileError, match="does not match its CRC-32"):
        FidelityMonitor.load(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE parts")
    with pytest.raises(MonitorFileError, match="not the state of a FidelityMonitor"):
        FidelityMonitor.load(path)


def test_an_update_cut_off_while_it_was_written_is_not_counted(monitor, batch, tmp_path):
    path, copied = tmp_path / "monitor.db", tmp_path / "copy.db"
    monitor.autosave(path)
    monitor.update(*batch)
    monitor.update(*batch)
    copied.write_bytes(path.read_bytes())  # what a crash of the machine may leave
    log = Path(f"{path}-wal").read_bytes()
    Path(f"{copied}-wal").write_bytes(log[:-10])
    assert FidelityMonitor.load(copied).report().n_rows == 300
    again = FidelityMonitor.load(copied, autosave=True)
    again.update(*batch)
    assert FidelityMonitor.load(copied).report().n_rows == 600


def test_a_log_that_an_older_database_left_is_not_taken(monitor, batch, tmp_path):
    path = tmp_path / "monitor.db"
    monitor.autosave(path)
    monitor.update(*batch)
    log = Path(f"{path}-wal").read_bytes()
    monitor.close()
    path.unlink()
    Path(f"{path}-wal").write_bytes(log)
    other = FidelityMonitor().fit([[1.0], [2.0]], [0.1, 0.2]).autosave(path)
    assert FidelityMonitor.load(path).to_json() == other.to_json()


class NoSpace:
    """A connection to a disk that gets full at some statement."""

    def __init__(self, connection, statement):
        self.connection = connection
        self.statement = statement

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def execute(self, query, *args):
        if query.startswith(self.statement):
            raise sqlite3.OperationalError("database or disk is full")
        return self.connection.execute(query, *args)


@pytest.mark.parametrize("statement", ["COMMIT", "INSERT", "BEGIN"])
def test_a_database_that_cannot_be_written_leaves_the_monitor_as_it_was(
    monitor, batch, tmp_path, monkeypatch, statement
):
    path = tmp_path / "monitor.db"
    monitor.autosave(path)
    monitor.update(*batch)
    connection = NoSpace(monitor._database._connection, statement)
    monkeypatch.setattr(monitor._database, "_connection", connection)
    with pytest.raises(OSError, match=r"monitor\.db.* disk is full.* is unchanged. Check the disk"):
        monitor.update(*batch, batch_id="a")
    monkeypatch.undo()
    assert monitor.report().n_rows == 300
    assert not monitor.update(*batch, batch_id="a").replayed
    assert FidelityMonitor.load(path).report().n_rows == 600


def test_a_file_that_is_removed_or_replaced_is_not_written_to(monitor, batch, tmp_path):
    path, other = tmp_path / "monitor.db", FidelityMonitor.from_json(monitor.to_json())
    monitor.autosave(path)
    monitor.update(*batch)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"monitor\.db"):
        monitor.update(*batch)
    other.autosave(path)
    with pytest.raises(OSError, match="another file has replaced it"):
        monitor.update(*batch)
    with pytest.raises(OSError, match="another file has replaced it"):
        monitor.close()
    assert monitor.report().n_rows == 300
    assert FidelityMonitor.load(path).report().n_rows == 0


READ_ONLY = """
import os, sys
from skdistill.monitor import FidelityMonitor
os.setuid(65534)
print(FidelityMonitor.load(sys.argv[1]).report().n_rows)
FidelityMonitor.load(sys.argv[1], autosave=True)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid(), reason="needs another user")
@pytest.mark.parametrize("is_open", [False, True])
def test_a_read_only_file_is_read_and_not_kept(monitor, batch, is_open):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "monitor.db"
        monitor.autosave(path)
        monitor.update(*batch)
        if not is_open:
            monitor.close()
        command = [sys.executable, "-c", READ_ONLY, str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.stdout == "300\n"
        assert "cannot be read or written: attempt to write a readonly database" in done.stderr
        monitor.close()
        FidelityMonitor.load(path)
        assert os.listdir(folder) == ["monitor.db"]


def test_monitors_that_keep_one_file_count_together(monitor, batch, tmp_path):
    path, elsewhere = tmp_path / "monitor.db", FidelityMonitor.from_json(monitor.to_json())
    monitor.autosave(path)
    other = FidelityMonitor.load(path, autosave=True)
    for day in range(3):
        monitor.update(*batch, at=day, batch_id=f"mine {day}")
        other.update(*batch, at=day, batch_id=f"theirs {day}")
        assert other.update(*batch, at=day, batch_id=f"mine {day}").replayed
        assert monitor.report() == other.report()
        assert monitor.report().n_lifetime == 600 * (day + 1)
    elsewhere.update(*batch, at=1)
    other.merge(elsewhere)
    assert monitor.report().n_lifetime == 2100
    with pytest.raises(RuntimeError, match=r"kept in .* already"):
        monitor.autosave(tmp_path / "other.db")
    with pytest.raises(RuntimeError, match="fitting would discard its counts"):
        monitor.fit([[1.0]], [0.5])
    other.close()
    monitor.update(*batch)
    monitor.close()
    assert (monitor.report().n_lifetime, other.report().n_lifetime) == (2400, 2100)


def test_autosave_and_save_never_replace_a_database(monitor, tmp_path):
    path = tmp_path / "monitor.json"
    monitor.save(path)
    with pytest.raises(FileExistsError, match="counts would be lost"):
        monitor.autosave(path)
    with pytest.raises(FileNotFoundError):
        FidelityMonitor.load(tmp_path / "nothing.db", autosave=True)
    with pytest.raises(FileNotFoundError):
        monitor.autosave(tmp_path / "nowhere" / "monitor.db")
    other = FidelityMonitor.from_json(monitor.to_json())
    monitor.autosave(tmp_path / "monitor.db")
    with pytest.raises(FileExistsError, match="another monitor may be kept in"):
        other.save(tmp_path / "monitor.db")
    monitor.close()
    assert sorted(os.listdir(tmp_path)) == ["monitor.db", "monitor.json"]


JOURNALLED = Path(__file__).parent / "monitor_files" / "version_2.json"


@pytest.fixture
def journalled(tmp_path):
    """A state and a journal of before SQLite: two updates of 50 rows, and two in the journal."""
    for name in ("version_2.json", "version_2.json.journal"):
        shutil.copy(JOURNALLED.with_name(name), tmp_path)
    return tmp_path / "version_2.json"


def test_a_json_state_with_its_journal_becomes_a_database_once(journalled):
    before = [Path(f"{journalled}{end}").read_bytes() for end in ("", ".journal")]
    read = FidelityMonitor.load(journalled)
    assert read.report().n_lifetime == 200
    assert len(os.listdir(journalled.parent)) == 2
    monitor = FidelityMonitor.load(journalled, autosave=True)
    assert monitor.to_json() == read.to_json()
    again = FidelityMonitor.load(journalled, autosave=True)
    again.update({"amount": 12.0, "city": "Graz"}, 0.1, at="2025-04-01")
    assert FidelityMonitor.load(journalled).report().n_lifetime == 201
    monitor.close()
    again.close()
    kept = [Path(f"{journalled}.before-sqlite{end}") for end in ("", ".journal")]
    assert [each.read_bytes() for each in kept] == before
    assert FidelityMonitor.load(kept[0]).to_json() == read.to_json()
    assert len(os.listdir(journalled.parent)) == 3


@pytest.mark.parametrize("n_steps", range(6))
def test_a_move_that_is_cut_off_loses_nothing(journalled, monkeypatch, n_steps):
    before, done = FidelityMonitor.load(journalled).to_json(), []

    def cut_off(function):
        def called(*args, **kwargs):
            if len(done) >= n_steps:
                os._exit(1)
            done.append(function)
            return function(*args, **kwargs)

        return called

    child = os.fork()
    if child == 0:
        for module, name in [(os, "replace"), (os, "fsync"), (database, "_write")]:
            setattr(module, name, cut_off(getattr(module, name)))
        FidelityMonitor.load(journalled, autosave=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert FidelityMonitor.load(journalled).to_json() == before
    assert FidelityMonitor.load(journalled, autosave=True).to_json() == before


MOVER = """
import sys
from skdistill.monitor import FidelityMonitor
sys.stdin.readline()
monitor = FidelityMonitor.load(sys.argv[1], autosave=True)
for _ in range(20):
    monitor.update({"amount": 12.0, "city": "Graz"}, 0.1, at="2025-04-01")
"""


@pytest.mark.skipif(database.fcntl is None, reason="Windows replaces no open file")
def test_processes_that_move_a_json_state_at_once_lose_no_update(journalled):
    command = [sys.executable, "-c", MOVER, str(journalled)]
    movers = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(3)]
    for mover in movers:
        mover.stdin.write("\n")
        mover.stdin.close()
    assert [mover.wait() for mover in movers] == [0, 0, 0]
    assert FidelityMonitor.load(journalled).report().n_lifetime == 260


@pytest.mark.skipif(database.fcntl is None, reason="older versions did not lock on Windows")
def test_a_json_state_that_an_older_process_keeps_is_not_moved(journalled):
    with open(f"{journalled}.journal", "ab") as file:
        database.fcntl.flock(file, database.fcntl.LOCK_EX)
        with pytest.raises(RuntimeError, match=r"older skdistill.* Stop that process"):
            FidelityMonitor.load(journalled, autosave=True)
    FidelityMonitor.load(journalled, autosave=True).close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda first, last: b"x" + first + last, r"Line 1 of .*journal' is damaged"),
        (lambda first, last: last, "lacks update 3"),
    ],
)
def test_a_damaged_journal_is_refused(journalled, change, message):
    journal = Path(f"{journalled}.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(change(*lines))
    with pytest.raises(MonitorFileError, match=message):
        FidelityMonitor.load(journalled)
    journal.write_bytes(b"".join(lines)[:-10])
    assert FidelityMonitor.load(journalled).report().n_lifetime == 150


FORKING = """
import os, sys
from skdistill.monitor import FidelityMonitor
monitor = FidelityMonitor().fit([[1.0], [2.0]], [0.1, 0.2]).autosave(sys.argv[1])
for _ in range(3):
    if os.fork() == 0:
        for _ in range(50):
            monitor.update([[1.0]], [0.1])
        sys.exit(0)
for _ in range(50):
    monitor.update([[1.0]], [0.1])
for _ in range(3):
    assert os.wait()[1] == 0
print(monitor.report().n_lifetime)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_processes_count_in_the_file_of_their_parent(tmp_path):
    path = tmp_path / "monitor.db"
    command = [sys.executable, "-W", "error", "-c", FORKING, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("200\n", "")
    assert FidelityMonitor.load(path).report().n_rows == 200


LATE_CHILD = """
import os, sys
from skdistill.monitor import FidelityMonitor
monitor = FidelityMonitor().fit([[1.0], [2.0]], [0.1, 0.2]).autosave(sys.argv[1])
read, write = os.pipe()
if os.fork() == 0:
    monitor.update([[1.0]], [0.1])
    os.read(read, 1)
    monitor.update([[1.0]], [0.1])
    os._exit(0)
while monitor.report().n_rows == 0:
    pass
monitor.close()
os.write(write, b"x")
os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_parent_that_closes_the_file_leaves_it_to_its_child(tmp_path):
    path = tmp_path / "monitor.db"
    subprocess.run([sys.executable, "-c", LATE_CHILD, str(path)], check=True)
    assert FidelityMonitor.load(path).report().n_rows == 2


SHORT_WRITER = """
import sys
from skdistill.monitor import FidelityMonitor
monitor = FidelityMonitor.load(sys.argv[1], autosave=True)
monitor.update([[1.0]], [0.1])
monitor.close()
"""


def test_a_file_that_is_read_stays_kept(tmp_path):
    path = tmp_path / "monitor.db"
    monitor = FidelityMonitor().fit([[1.0], [2.0]], [0.1, 0.2]).autosave(path)
    monitor.update([[1.0]], [0.1])
    FidelityMonitor.load(path)  # SQLite's locks would be lost if it opened the file by itself
    subprocess.run([sys.executable, "-c", SHORT_WRITER, str(path)], check=True)
    monitor.update([[1.0]], [0.1])
    assert FidelityMonitor.load(path).report().n_rows == 3
    monitor.close()
    assert FidelityMonitor.load(path).report().n_rows == 3


# A service that counts three rows per update without end, and says so after each.
SERVICE = """
import sys
from pathlib import Path
from skdistill.monitor import FidelityMonitor
path = Path(sys.argv[1])
if path.exists():
    monitor = FidelityMonitor.load(path, autosave=True)
else:
    monitor = FidelityMonitor().fit({"age": [20, 30, 40]}, [0.1, 0.2, 0.3]).autosave(path)
rows = {"age": [25, 35, 45]}
for number in range(int(sys.argv[2]), 10**9):
    monitor.update(rows, [0.1, 0.2, 0.3], [0.1, None, 0.2], batch_id=str(number))
    print(number, flush=True)
"""


def test_a_killed_process_loses_no_update_and_counts_none_twice(tmp_path, rng):
    path, next_number = tmp_path / "monitor.db", 0
    for _ in range(4):
        command = [sys.executable, "-c", SERVICE, str(path), str(next_number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
            said = [service.stdout.readline() for _ in range(int(rng.integers(1, 60)))]
            service.send_signal(signal.SIGKILL)
            said += service.stdout.read().splitlines(keepends=True)
        returned = [int(line) for line in said if line.endswith("\n")]
        counted = FidelityMonitor.load(path)
        last = int(counted._state.ledger.batch_ids[-1])
        assert counted.report().n_lifetime == 3 * (last + 1)
        assert counted._state.ledger.lifetime.n_pairs == 2 * (last + 1)
        assert returned[-1] <= last <= returned[-1] + 1
        next_number = max(0, last - 2)  # the service replays what it is not sure of


def test_a_batch_passed_again_is_counted_once(monitor, batch):
    monitor.update(*batch, batch_id="a")
    before = monitor.to_json()
    summary = monitor.update(*batch, batch_id="a")
    assert summary.replayed
    assert summary.n_rows == 0
    assert "counted before" in str(summary)
    assert monitor.to_json() == before
    monitor.update(*batch, batch_id="b")
    monitor.update(*batch)
    monitor.update(*batch)
    assert monitor.report().n_rows == 1200


def test_threads_share_a_monitor_and_lose_nothing(monitor, batch, tmp_path):
    monitor.autosave(tmp_path / "monitor.db")
    rows = batch[0][:5]

    def feed():
        for _ in range(50):
            monitor.update(rows, batch[1][:5], batch[2][:5])

    threads = [threading.Thread(target=feed) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert monitor.report().n_lifetime == 1000
    assert counts_of(FidelityMonitor.load(tmp_path / "monitor.db")) == counts_of(monitor)


def test_merged_monitors_have_counted_what_one_would(monitor, rng):
    start = monitor.to_json()
    one, two, both = (FidelityMonitor.from_json(start) for _ in range(3))
    for day in range(7):
        for number, each in enumerate((one, two)):
            rows = live_rows(100, rng)
            each.update(*rows, at=day, batch_id=f"{number} {day}")
            both.update(*rows, at=day)
    one.merge(two)
    assert one.report().n_lifetime == 1400
    for mine, theirs in zip(one.history(), both.history(), strict=True):
        assert mine.first == theirs.first
        assert mine.columns == theirs.columns
    np.testing.assert_allclose(counts_of(one)[3], counts_of(both)[3])
    assert one.update(*live_rows(100, rng), batch_id="1 3").replayed
    with pytest.raises(ValueError, match="would count twice"):
        one.merge(two)
    with pytest.raises(ValueError, match="different references"):
        one.merge(FidelityMonitor().fit(*live_rows(500, rng)))
    with pytest.raises(ValueError, match="this monitor itself"):
        one.merge(one)
    for other, kind in ((one.to_json(), "a str"), (FidelityMonitor, "the class FidelityMonitor")):
        with pytest.raises(TypeError, match=rf"other is {kind}.*FidelityMonitor\.load\(path\)"):
            one.merge(other)


# Sampling


def test_the_sample_is_its_share_and_the_same_in_every_process_and_container(monitor, rng):
    rows = live_rows(4000, rng)[0]
    monitor.teacher_share = 0.1
    chosen = monitor.sample(rows)
    assert chosen.mean() == pytest.approx(0.1, abs=0.02)
    for name, table in containers(rows).items():
        np.testing.assert_array_equal(monitor.sample(table), chosen, err_msg=name)
    np.testing.assert_array_equal(monitor.sample(rows.astype({"amount": "float32"})), chosen)
    assert [bool(monitor.sample(rows.iloc[i])) for i in range(40)] == chosen[:40].tolist()
    program = (
        "import numpy as np; from skdistill.monitor import FidelityMonitor;"
        "m = FidelityMonitor(teacher_share=0.5).fit([[1.0, 'a'], [2.0, 'b']], [0.1, 0.2]);"
        "print(m.sample([[float(i), 'a'] for i in range(50)]).astype(int).tolist())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert 10 < printed.pop().count("1") < 40


def test_a_missing_text_is_sampled_apart_from_an_empty_one(rng):
    rows = {"name": ["a", "b"], "n": [1.0, 2.0]}
    monitor = FidelityMonitor(teacher_share=0.5).fit(rows, [0.1, 0.2])
    n = np.arange(200.0)
    chosen = [monitor.sample({"name": [name] * 200, "n": n}) for name in ("", None, np.nan)]
    assert (chosen[0] != chosen[1]).any()
    np.testing.assert_array_equal(chosen[1], chosen[2])


def test_the_sample_may_be_decided_by_keys(monitor, rng):
    rows = live_rows(2000, rng)[0]
    monitor.teacher_share = 0.25
    keys = np.arange(2000)
    chosen = monitor.sample(rows, keys=keys)
    assert chosen.mean() == pytest.approx(0.25, abs=0.04)
    np.testing.assert_array_equal(monitor.sample(rows[::-1], keys=keys[::-1]), chosen[::-1])
    with pytest.raises(ValueError, match="one for each of 2000 rows"):
        monitor.sample(rows, keys=keys[:5])
    monitor.teacher_share = 0.0
    assert not monitor.sample(rows).any()
    monitor.teacher_share = 1.0
    assert monitor.sample(rows).all()


# Models


def test_a_distiller_gives_student_and_teacher(binary_task, forest):
    X, y = binary_task
    model = DistilledClassifier(forest, TreeStudentClassifier(8), augmentation=None)
    model = make_pipeline(StandardScaler(), model).fit(X[:300], y[:300])
    monitor = FidelityMonitor.from_estimator(model, X[300:], n_bins=5)
    expected = FidelityMonitor(n_bins=5).fit(
        X[300:],
        model.predict_proba(X[300:])[:, 1],
        forest.predict_proba(model[0].transform(X[300:])),
    )
    assert counts_of(monitor) == counts_of(expected)
    reference, other = (m._state.reference for m in (monitor, expected))
    np.testing.assert_array_equal(reference.cells, other.cells)
    np.testing.assert_allclose(reference.gap_sums, other.gap_sums)
    assert reference.n_pairs == 300
    assert not hasattr(monitor, "feature_names_in_")
    with pytest.warns(UserWarning, match=r"fitted on\. There.*the gap of live rows will seem"):
        FidelityMonitor.from_estimator(model, X[:300])


def test_any_classifier_or_regressor_can_be_the_student(multiclass_task):
    X, y = multiclass_task
    labels = np.array(["a", "b", "c"])[y]
    student = TreeStudentClassifier(8).fit(X, labels)
    monitor = FidelityMonitor.from_estimator(student, X)
    monitor.update(X, student.predict_proba(X))
    assert [each.name for each in monitor.report().scores] == [
        "score of a",
        "score of b",
        "score of c",
    ]
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    student = TreeStudentRegressor(8).fit(X, y)
    monitor = FidelityMonitor.from_estimator(student, X, teacher=LinearRegression().fit(X, y))
    assert monitor.kind_ == "regression"
    assert monitor.feature_names_in_.tolist() == X.columns.tolist()
    assert monitor._state.reference.n_pairs == len(X)


# The plot


def test_the_display_says_what_the_report_said(monitor, rng, close_figures):
    monitor.window = 2
    for day in (0, 1, 3, 4):
        rows, student, teacher = live_rows(500, rng, shift=float(day == 4))
        monitor.update(rows, student, None if day < 3 else teacher, at=day)
    display = MonitorDisplay.from_monitor(monitor, max_columns=2)
    assert list(display.psi)[:2] == ["score", "amount"]
    assert len(display.psi) == 3
    report = monitor.report()
    for name, psi in display.psi.items():
        drift = drift_of(report, name)
        assert (psi[-1], display.status[name][-1]) == (drift.psi, drift.status)
    assert display.days == [0, 1, 3, 4]
    assert display.gap[1] is None
    assert display.gap[3] == report.gaps[0].live
    assert display.gap_status == ["too few rows", "too few rows", "held", "held"]
    drift, gap = display.axes_
    colors = drift.images[0].get_array()
    assert colors[1].tolist()[:3] == [0, 0, 0]
    assert colors[1, 3] == {"warn": 2, "alert": 3}[drift_of(report, "amount").status]
    assert [text.get_text() for text in gap.get_legend().get_texts()] == [
        "held",
        "no teacher",
        "reference",
        "tolerated: 20% more",
    ]
    note = gap.get_xlabel().replace("\n", " ")
    assert "its bucket and the 1 before, as report() does (the first ones fewer)." in note
    ends = [each.high for each in display.gap if each is not None]
    assert gap.get_ylim()[1] > max(*ends, 1.2 * display.reference_gap.value)
    assert "Left out by max_columns: 1 column, never in warning or alert." in note
    assert "Left out, as no row came: 2" in note
    note = MonitorDisplay.from_monitor(monitor, window=1).notes[0]
    assert note == "Each cell and point judges its bucket, as report(window=1) does."


def test_cells_that_chance_explains_are_hatched_and_what_is_missing_is_said(rng, close_figures):
    monitor = FidelityMonitor().fit(*live_rows(500, rng)[:2])
    with pytest.raises(ValueError, match="no live rows"):
        MonitorDisplay.from_monitor(monitor)
    rows, student, _ = live_rows(5, rng)
    monitor.update(rows.drop(columns="hour"), student)
    display = MonitorDisplay.from_monitor(monitor)
    (ax,) = display.axes_
    assert display.status["score"] == ["too few rows"]
    assert display.psi["hour"] == [None]
    assert [patch.get_hatch() for patch in ax.patches] == ["/////"] * 3
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[-2:] == ["too few rows: chance explains it", "absent"]
    assert "There are no predictions of the teacher for these rows" in ax.get_xlabel()


@pytest.mark.parametrize("other", ["monitor.json", LinearRegression(), FidelityMonitor])
def test_the_display_of_something_else_says_how_to_make_a_monitor(other):
    with pytest.raises(
        TypeError, match=r"monitor is of .*; a FidelityMonitor that.*from_estimator"
    ):
        MonitorDisplay.from_monitor(other)


def test_long_names_and_many_days_are_not_clipped(rng, close_figures):
    names = [f"a_name_that_is_much_longer_than_there_is_room_for_{i:02}" for i in range(32)]
    X = dict(zip(names, rng.normal(size=(32, 1000)), strict=True))
    monitor = FidelityMonitor().fit(X, rng.random(1000), at="2025-01-01")
    for day in np.arange("2025-01-01", "2025-03-02", dtype="M8[D]"):
        monitor.update({name: cells[:20] for name, cells in X.items()}, rng.random(20), at=day)
    display = MonitorDisplay.from_monitor(monitor, max_columns=40)
    display.figure_.draw_without_rendering()
    (ax,), width = display.axes_, display.figure_.bbox.width
    boxes = [text.get_window_extent() for text in (*ax.get_yticklabels(), *ax.get_xticklabels())]
    boxes += [ax.get_legend().get_window_extent(), ax.xaxis.label.get_window_extent()]
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 for box in boxes)
    heights = sorted(box.y0 for box in boxes[:33])
    assert min(np.diff(heights)) >= boxes[0].height - 1  # the names do not overlap


# Real data

FOLDER = Path(os.environ.get("SKDISTILL_DATA", Path(__file__).parents[2] / "shared" / "data"))
FRAUD = FOLDER / "handbook_fraud_sim.parquet"


@pytest.mark.skipif(not FRAUD.exists(), reason="the data set is not here")
def test_on_card_transactions_only_what_was_changed_is_alerted():
    frame = pd.read_parquet(FRAUD)[:250_000]
    X, y = frame.drop(columns=["target", "TX_DURING_WEEKEND"]), frame["target"]
    student = TreeStudentClassifier(16).fit(X[:60_000], y[:60_000])
    monitor = FidelityMonitor.from_estimator(student, X[60_000:150_000])
    for day in range(10):
        rows = X[150_000 + day * 9600 :][:9600]
        if day == 9:
            rows = rows.assign(TX_AMOUNT=2 * rows["TX_AMOUNT"])
        monitor.update(rows, student.predict_proba(rows), at=day)
    history = monitor.history()
    assert not any(report.alerts for report in history[:9])
    alerted = [each.name for each in history[9].columns if each.status == "alert"]
    assert alerted == ["TX_AMOUNT"]
