"""The examples: bad options are answered in one line, gates shut, long ones run to their end."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

from skdistill import DistilledClassifier, FidelityMonitor, fidelity_report, load, verify

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "command_line")


@pytest.fixture
def example(monkeypatch):
    """Import an example as it is where it is run."""
    monkeypatch.syspath_prepend(EXAMPLES)
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    return importlib.import_module


@pytest.fixture
def run(example, monkeypatch, capsys):
    """Run an example that ends early; return its exit code and what it says."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            example(name).main()
        said = capsys.readouterr()
        return end.value.code, said.out + said.err

    return run


@pytest.fixture
def table(rng):
    """Columns of every kind, with missing values."""
    n = 300
    return pd.DataFrame(
        {
            "amount": rng.exponential(10, n).round(2),
            "city": rng.choice(np.array(["Graz", "Wels", None], dtype=object), n),
            "flag": rng.random(n) < 0.5,
            "count": pd.array(rng.choice(np.array([1, 2, None]), n), dtype="Int64"),
            "bad": np.where(rng.random(n) < 0.3, "yes", "no"),
        }
    )


def finish(name, *arguments, cwd):
    """Run an example in a process of its own."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize("name", NAMES)
def test_help_is_the_docstring_and_shows_defaults(run, example, name):
    code, said = run(name, "--help")
    assert code == 0
    assert example(name).__doc__.partition("\n")[0] in said
    assert "(default: 0)" in said  # --seed
    assert "default: None" not in said


@pytest.mark.parametrize(
    "name",
    ["fraud_detection", "fraud_workflow", "loan_report", "ship_student", "temperature_and_alpha"],
)
def test_a_table_that_cannot_be_read_is_named_in_one_line(run, tmp_path, table, name):
    (tmp_path / "no.parquet").write_text("city,amount")
    table.to_parquet(tmp_path / "good.parquet")
    table.assign(when=pd.Timestamp("2026-01-01")).to_parquet(tmp_path / "dates.parquet")
    for arguments, expected in [
        (["--data", tmp_path / "none.parquet"], "there is no file"),
        (["--data", tmp_path], "is a folder; a parquet file was expected"),
        (["--data", tmp_path / "no.parquet"], "as parquet"),
        (["--data", tmp_path / "good.parquet"], "no column 'target'; it has amount, city, flag"),
        (["--data", tmp_path / "dates.parquet", "--target", "bad"], "numbers nor strings: when"),
        (["--target", "bad"], "pass --data, too"),
    ]:
        code, said = run(name, *arguments)
        assert code == 2
        assert said.startswith(f"{name}.py: error: --")
        assert said.count("\n") == 1
        assert expected in said
    assert run(name, "--rows", "0")[0] == 2


def test_options_that_name_what_is_not_there_are_answered_with_what_is(run, tmp_path, table):
    path = tmp_path / "loans.parquet"
    table.to_parquet(path)
    of_table = "--data", path, "--target", "bad"
    for name, arguments, expected in [
        ("loan_report", of_table, "'bad' holds 'no', 'yes'; say which"),
        ("loan_report", (*of_table, "--positive", "maybe"), "'no', 'yes', not 'maybe'"),
        ("loan_report", (*of_table, "--groups", "sex"), "no column 'sex'; it has amount, city"),
        ("loan_report", ("--data", path, "--target", "amount"), "different values, no classes"),
        ("loan_report", ("--report", tmp_path), "is a folder; a file was expected"),
        ("ship_student", (*of_table, "--folder", path), "--folder: cannot make the folder"),
        ("serve", ("--student", tmp_path / "none.skd"), "--student: there is no file"),
        ("serve", ("--student", path), "not a student file"),
        ("temperature_and_alpha", ("--tables", "x"), "invalid choice: 'x'.*digits"),
        ("fraud_workflow", (*of_table, "--positive", "yes"), "--amount: .* no column 'Amount'"),
        ("fraud_workflow", (*of_table, "--time", "when"), "--time: .* no column 'when'"),
        (
            "fraud_workflow",
            (*of_table, "--positive", "yes", "--amount", "amount", "--time", "city"),
            "--time: 'city' does not hold seconds",
        ),
        (
            "fraud_workflow",
            (*of_table, "--positive", "yes", "--amount", "amount", "--rows", "60"),
            "are fraud; at least 10",
        ),
    ]:
        code, said = run(name, *arguments)
        assert code == 2
        assert pd.Series([said]).str.contains(expected).all(), said


def test_tables_become_numbers_and_categories(example, tmp_path, table):
    command_line = example("command_line")
    table["mixed"] = np.where(table.index % 2, None, True)
    table.to_parquet(tmp_path / "table.parquet")
    X, y = command_line.read_table(tmp_path / "table.parquet", "bad", n_rows=100)
    assert len(X) == len(y) == 100
    numbers = ["amount", "flag", "count", "mixed"]
    assert X.dtypes.loc[numbers].eq(np.float64).all()
    assert X["city"].dtype == "category"
    codes = command_line.as_zero_and_one(y, "yes", "a bad loan")
    assert np.array_equal(codes, (y == "yes").to_numpy().astype(int))
    assert command_line.as_classes(y).dtype.kind == "U"
    assert command_line.as_classes(y == "yes").tolist() == codes.tolist()


def test_a_loan_model_that_is_no_match_for_its_teacher_does_not_pass(example, binary_task):
    X, y = binary_task
    model = DistilledClassifier(RandomForestClassifier(20, random_state=0), random_state=0)
    report = fidelity_report(model.fit(X[:300], y[:300]), X[300:], y[300:], n_resamples=50)
    with pytest.raises(SystemExit, match="Not good enough for production") as end:
        example("loan_report").decide(report)
    assert end.value.code not in (0, 2)  # text: exit code 1


@pytest.mark.slow
def test_the_fraud_workflow_goes_from_transactions_to_a_monitored_student(tmp_path):
    done = finish("fraud_workflow", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    for title in ("1. A student", "3. Bands", "4. Judgement", "6. Live", "7. When the labels"):
        assert title in done.stdout
    assert done.stdout.index("Good enough to deploy.") < done.stdout.index("5. Files")
    assert "it takes over" in done.stdout  # the partner's cards
    out = tmp_path / "out"
    assert (out / "report.html").stat().st_size > 100_000
    assert verify(out / "student.onnx").max_difference < 1e-5
    monitor = FidelityMonitor.load(out / "monitor.db")
    assert monitor.report().n_rows > 0
    rows = pd.DataFrame(0.0, index=range(3), columns=monitor.feature_names_in_)
    assert load(out / "student.skd").predict_proba(rows).shape == (3, 2)


@pytest.mark.slow
def test_the_fraud_workflow_saves_no_student_that_does_not_meet_the_requirements(tmp_path, rng):
    table = pd.DataFrame({"Amount": rng.exponential(10, 3000), "x": rng.normal(size=3000)})
    table["target"] = rng.random(3000) < np.where(table["x"] > 1, 0.3, 0.05)
    table.to_parquet(tmp_path / "few.parquet")
    done = finish("fraud_workflow", "--data", "few.parquet", "--out", "out", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "No student is saved" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["strings", "booleans", "many"])
def test_students_of_a_small_mixed_table_are_shipped(tmp_path, table, kind):
    classes = {
        "strings": table["bad"],
        "booleans": table["bad"] == "yes",
        "many": table["city"].fillna("none"),
    }
    X = table.drop(columns="bad" if kind != "many" else ["bad", "city"])
    X.assign(target=classes[kind]).to_parquet(tmp_path / "small.parquet")
    done = finish("ship_student", "--data", "small.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "it predicts the same" in done.stdout


@pytest.mark.slow
def test_temperature_and_alpha_are_searched_and_drawn(tmp_path):
    table = load_wine(as_frame=True).frame
    table.to_parquet(tmp_path / "wine.parquet")
    arguments = ["--data", "wine.parquet", "--folds", "2", "--out", "out"]
    done = finish("temperature_and_alpha", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert done.stdout.count("of 25 pairs lie within two standard errors") == 2  # two students
    assert (tmp_path / "out" / "wine.png").stat().st_size > 30_000
