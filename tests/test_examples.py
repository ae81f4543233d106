"""The long examples run to their end, as a user would run them."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_wine

from skdistill import FidelityMonitor, load, verify

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.slow
def test_the_fraud_workflow_goes_from_transactions_to_a_monitored_student(tmp_path):
    command = [sys.executable, str(EXAMPLES / "fraud_workflow.py"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    for title in ("1. A student", "2. Bands", "3. Report", "4. Live", "5. When the labels"):
        assert title in done.stdout
    assert "Distilled again on" in done.stdout  # the partner's cards
    out = tmp_path / "out"
    assert (out / "report.html").stat().st_size > 100_000
    assert verify(out / "student.onnx").max_difference < 1e-5
    monitor = FidelityMonitor.load(out / "monitor.json")
    assert monitor.report().n_rows > 0
    rows = pd.DataFrame(0.0, index=range(3), columns=monitor.feature_names_in_)
    assert load(out / "student.skd").predict_proba(rows).shape == (3, 2)


@pytest.mark.slow
def test_temperature_and_alpha_are_searched_and_drawn(tmp_path):
    table = load_wine(as_frame=True).frame
    table.to_parquet(tmp_path / "wine.parquet")
    command = [sys.executable, str(EXAMPLES / "temperature_and_alpha.py"), "--data", str(tmp_path)]
    command += ["--tables", "wine", "--folds", "2", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert done.stdout.count("of 25 pairs lie within two standard errors") == 2  # two students
    assert (tmp_path / "out" / "wine.png").stat().st_size > 30_000
