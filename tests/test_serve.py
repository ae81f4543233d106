"""The scoring service of the examples, over real HTTP on loopback."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdistill import (
    LinearStudentClassifier,
    TreeStudentRegressor,
    load,
    reason_codes,
    save,
)

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

SERVE = Path(__file__).parents[1] / "examples" / "serve.py"


def start(*arguments):
    """Start the service in a process of its own; return it and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(SERVE), "--port", str(port), *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx.get(f"{address}/health")
            return process, address
        except httpx.ConnectError:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
    raise TimeoutError("the service did not start")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service for a student with numbers, strings, categories of numbers and odd names."""
    folder = tmp_path_factory.mktemp("service")
    random = np.random.RandomState(0)
    X = pd.DataFrame(
        {
            "amount": random.exponential(size=500),
            "home country": random.choice(np.array(["AT", "DE", None], dtype=object), 500),
            "def": pd.Categorical(random.choice([1, 2, 3], 500)),
            "model_x": np.where(random.rand(500) < 0.1, np.nan, random.randn(500)),
        }
    )
    y = np.where(X["amount"] + (X["home country"] == "AT") > 1.2, "fraud", "legit")
    student = LinearStudentClassifier().fit(X, y)
    save(student, folder / "student.skd")
    X.head(50).to_parquet(folder / "rows.parquet")
    arguments = "--student", folder / "student.skd", "--background", folder / "rows.parquet"
    process, address = start(*arguments)
    with httpx.Client(base_url=address) as client:
        yield client, student, X
    process.terminate()
    process.communicate()


ROW = {"amount": 1.0, "home country": "AT", "def": 2, "model_x": None}


def frame_of(row):
    """The row as the student takes it."""
    frame = pd.DataFrame([row])
    return frame.astype({"amount": float, "model_x": float, "def": "category"})


@pytest.mark.parametrize(
    "change",
    [{}, {"amount": 7}, {"home country": None}, {"home country": "unseen"}, {"def": None}],
)
def test_a_row_is_scored_as_the_student_does(service, change):
    client, student, _ = service
    found = client.post("/score", json=ROW | change)
    assert found.status_code == 200
    expected = student.predict_proba(frame_of(ROW | change))[0]
    probabilities = found.json()["probabilities"]
    assert list(probabilities) == ["fraud", "legit"]
    np.testing.assert_allclose(list(probabilities.values()), expected, atol=1e-6)


def test_reasons_are_those_of_the_student(service, tmp_path):
    client, student, X = service
    found = client.post("/score?reasons=2", json=ROW).json()["reasons"]
    background = X.head(50)
    save(student, tmp_path / "s.skd")
    served = load(tmp_path / "s.skd")
    [expected] = reason_codes(served, frame_of(ROW), background, top=2, random_state=0)
    assert [each["column"] for each in found] == [each.column for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["contribution"] == pytest.approx(other.contribution)
    assert "reasons" not in client.post("/score", json=ROW).json()


@pytest.mark.parametrize(
    ("change", "where", "kind"),
    [
        ({"amount": "1.0"}, "amount", "float_type"),
        ({"amount": True}, "amount", "float_type"),
        ({"home country": 4}, "home country", "string_type"),
        ({"colour": "red"}, "colour", "extra_forbidden"),
    ],
)
def test_a_bad_cell_is_refused_by_the_schema_with_its_name(service, change, where, kind):
    found = service[0].post("/score", json=ROW | change)
    assert found.status_code == 422
    [problem] = found.json()["detail"]
    assert (problem["loc"][1], problem["type"]) == (where, kind)


def test_a_row_without_a_column_or_with_infinity_is_refused(service):
    client = service[0]
    lacking = {name: cell for name, cell in ROW.items() if name != "def"}
    [problem] = client.post("/score", json=lacking).json()["detail"]
    assert (problem["loc"], problem["type"]) == (["body", "def"], "missing")
    text = '{"amount": 1e999, "home country": "AT", "def": 2, "model_x": null}'
    for body in (text, text.replace("1e999", "Infinity"), text.replace("1e999", "NaN"), "[1]", "x"):
        found = client.post("/score", content=body, headers={"Content-Type": "application/json"})
        assert found.status_code == 422, body
    assert client.post("/score?reasons=-1", json=ROW).status_code == 422


def test_version_health_and_schema_are_told(service):
    client, _, X = service
    version = client.get("/version").json()
    assert version["columns"] == list(X.columns)
    assert version["classes"] == ["fraud", "legit"]
    assert len(version["model_sha256"]) == 64
    assert client.get("/health").json() == {"status": "ok"}
    schema = client.get("/openapi.json").json()["components"]["schemas"]["Row"]
    assert set(schema["required"]) == set(X.columns)
    assert "'AT'" in schema["properties"]["home country"]["description"]


def test_a_regressor_without_rows_predicts_but_gives_no_reasons(tmp_path):
    X = np.arange(50.0)[:, None]
    save(TreeStudentRegressor(4).fit(X, X[:, 0]), tmp_path / "student.skd")
    process, address = start("--student", tmp_path / "student.skd")
    try:
        found = httpx.post(f"{address}/score", json={"x0": 3})
        assert 0 <= found.json()["prediction"] <= 12
        refused = httpx.post(f"{address}/score?reasons=1", json={"x0": 3})
        assert (refused.status_code, "without rows" in refused.text) == (400, True)
    finally:
        process.terminate()
        process.communicate()
