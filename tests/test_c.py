"""The C export: it compiles without a warning, scores the same, and reads CSV."""

import ctypes
import io
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from skdistill import (
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    MLPStudentRegressor,
    TreeStudentClassifier,
    TreeStudentRegressor,
    TreeSumStudentClassifier,
    TreeSumStudentRegressor,
    save,
    to_c,
)
from skdistill.exceptions import ParityError
from skdistill.export.certificate import read_certificate
from skdistill.export.parity_sample import parity_sample
from skdistill.export.student_content import student_content
from skdistill.scorer import load_library
from skdistill.scorer.student_content import lean_model

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

NUMBERS = pd.DataFrame(np.random.RandomState(0).randn(400, 6), columns=list("abcdef"))
NUMBERS.iloc[::7, 2] = np.nan
TEXTS = NUMBERS.assign(
    **{
        'a "quoted", name': np.where(NUMBERS["a"] > 0, 'x,\n*/ "y"', "ü\\??/"),
        "code": pd.Categorical(np.digitize(NUMBERS["b"], [-1, 0, 1]) * 10),
    }
)
TWO = (NUMBERS["a"] + NUMBERS["b"] > 0).map({True: "yes", False: 'n"o'}).to_numpy()
THREE = np.digitize(NUMBERS["a"] + NUMBERS["b"], [-1, 1])

PAIRS = [("a", "b"), ("b", "c"), ("a", 'a "quoted", name'), ('a "quoted", name', "code")]

CASES = {
    "tree, strings": (TreeStudentClassifier(), TEXTS, TWO),
    "tree, three classes": (TreeStudentClassifier(), NUMBERS, THREE),
    "tree, one leaf": (TreeStudentClassifier(), NUMBERS, np.zeros(400)),
    "tree regressor": (TreeStudentRegressor(), TEXTS, THREE.astype(float)),
    "linear": (LinearStudentClassifier(), TEXTS, TWO),
    "linear, three classes": (LinearStudentClassifier(), NUMBERS, THREE),
    "tables": (LinearStudentClassifier(interactions=PAIRS), TEXTS, TWO),
    "tables, three classes": (LinearStudentClassifier(interactions=PAIRS[:2]), NUMBERS, THREE),
    "tables, regressor": (LinearStudentRegressor(interactions=PAIRS), TEXTS, 10.0 * THREE),
    "tree sum": (TreeSumStudentClassifier(), TEXTS, TWO),
    "tree sum, three classes": (TreeSumStudentClassifier(), NUMBERS, THREE),
    "tree sum, one leaf": (TreeSumStudentClassifier(), NUMBERS, np.zeros(400)),
    "tree sum regressor": (TreeSumStudentRegressor(), TEXTS, 10.0 * THREE),
    "mlp": (MLPStudentClassifier((40, 12), max_epochs=2, random_state=0), TEXTS, TWO),
    "mlp, 9 classes": (
        MLPStudentClassifier((20,), max_epochs=2, random_state=0),
        NUMBERS,
        np.digitize(NUMBERS["a"], np.linspace(-1, 1, 8)),
    ),
    "mlp regressor": (
        MLPStudentRegressor((16,), max_epochs=2, random_state=0),
        NUMBERS,
        1e3 + 1e3 * NUMBERS["a"].to_numpy(),
    ),
}


def compiled(source, output, *flags):
    command = ["gcc", *STRICT, *flags, str(source), "-o", str(output), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_c_compiles_strictly_and_scores_the_same(name, dtype, tmp_path):
    student, X, y = CASES[name]
    student.fit(X, y)
    certificate = to_c(student, tmp_path / "m.c", X, dtype=dtype).certificate
    assert certificate.max_difference < 1e-5
    library = compiled(tmp_path / "m.c", tmp_path / "m.so", "-shared", "-fPIC")
    scorer = load_library(library)
    found = [scorer(row) for row in X.astype(object).head(50).to_numpy().tolist()]
    is_classifier = hasattr(student, "classes_")
    expected = student.predict_proba(X.head(50)) if is_classifier else student.predict(X.head(50))
    scale = 1.0 if is_classifier else np.std(y)
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_c_needs_no_library_but_the_exponential_and_allocates_nothing(dtype, tmp_path):
    student, X, y = CASES["mlp"]
    to_c(student.fit(X, y), tmp_path / "m.c", dtype=dtype)
    compiled(tmp_path / "m.c", tmp_path / "m.o", "-c")
    symbols = subprocess.run(
        ["nm", "--undefined-only", tmp_path / "m.o"], capture_output=True, text=True, check=True
    ).stdout.split()
    exponential = {"float32": "expf", "float64": "exp"}[dtype]
    assert set(symbols) <= {"U", exponential, "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
    source = (tmp_path / "m.c").read_text()
    assert re.findall(r"#include <(.*)>", source) == ["float.h", "math.h", "stddef.h"]


@pytest.mark.parametrize("name", ["mlp", "tables", "tree sum"])
def test_c_in_float_has_no_double(name, tmp_path):
    student, X, y = CASES[name]
    to_c(student.fit(X, y), tmp_path / "m.c", dtype="float32")
    code = re.sub(r"/\*.*?\*/", "", (tmp_path / "m.c").read_text(), flags=re.DOTALL)
    assert "double" not in code
    compiled(tmp_path / "m.c", tmp_path / "m.o", "-c", "-Wdouble-promotion")


COMPILERS = {
    "gcc, gnu17": ["gcc", "-std=gnu17", "-O3"],
    "clang": ["clang", *STRICT],
    "g++, C++11": ["g++", "-x", "c++", "-std=c++11", *STRICT[1:]],
    "g++, C++17": ["g++", "-x", "c++", "-std=c++17", *STRICT[1:]],
    "ARM": ["arm-linux-gnueabihf-gcc", "-static", "-O2"],
    "ARM, 64 bits": ["aarch64-linux-gnu-gcc", "-static", "-O2"],
    "x86, 32 bits": ["i686-linux-gnu-gcc", "-static", "-O2"],
    "x86, 32 bits, C99": ["i686-linux-gnu-gcc", "-static", "-std=c99", "-O2"],
}
EMULATORS = {"ARM": "qemu-arm", "ARM, 64 bits": "qemu-aarch64"}
EMULATORS |= dict.fromkeys(["x86, 32 bits", "x86, 32 bits, C99"], "qemu-i386")


def compiled_elsewhere(compiler, source, output):
    """Compile with another compiler; return the command that runs the program."""
    command, emulator = COMPILERS[compiler], EMULATORS.get(compiler)
    for program in filter(None, (command[0], emulator)):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    done = subprocess.run(
        [*command, str(source), "-o", str(output), "-lm"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [emulator, str(output)] if emulator else [str(output)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "compiler",
    [pytest.param(each, marks=[pytest.mark.slow] * (each in EMULATORS)) for each in COMPILERS],
)
@pytest.mark.parametrize(
    "name",
    [
        "tree, strings",
        "mlp, 9 classes",
        "tables",
        "tree sum",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("linear", "mlp regressor")),
    ],
)
def test_every_compiler_makes_the_same_of_it(name, compiler, dtype, tmp_path):
    student, X, y = CASES[name]
    student.fit(X, y)
    to_c(student, tmp_path / "m.c", dtype=dtype, main=True)
    program = compiled_elsewhere(compiler, tmp_path / "m.c", tmp_path / "m")
    model = lean_model(student_content(student))
    sample = parity_sample(student, model, X)
    rows = [np.r_[:300, -len(X) : 0]]  # some that are critical, and the real ones
    table = pd.DataFrame(
        {c.name: v[*rows] for c, v in zip(model.columns, sample.rows.values, strict=True)}
    )
    code, out, err = score_csv(program, csv_text(table))
    assert (code, err) == (0, "")
    found, expected = pd.read_csv(io.StringIO(out)), sample.answers[*rows]
    spread = 1.0 if hasattr(student, "classes_") else np.std(sample.answers)
    np.testing.assert_allclose(found, expected, atol=1e-5 * spread)


def csv_text(table):
    """Write cells with all digits; a float32 compares numbers as it reads them."""
    return table.to_csv(index=False, float_format=lambda value: repr(float(np.float32(value))))


FAST = ["-Ofast", "-ffast-math", "-ffinite-math-only"]


@pytest.mark.parametrize("flag", FAST)
@pytest.mark.parametrize(
    "compiler", [["gcc"], ["clang"], ["g++", "-x", "c++"], ["aarch64-linux-gnu-gcc"]], ids=" ".join
)
def test_compilers_that_know_no_nan_are_refused(compiler, flag, tmp_path):
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"needs {compiler[0]}")
    student, X, y = CASES["tree, strings"]
    to_c(student.fit(X, y), tmp_path / "m.c")
    command = [*compiler, flag, "-c", str(tmp_path / "m.c"), "-o", str(tmp_path / "m.o")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "without -ffast-math and -Ofast" in done.stderr


@pytest.mark.parametrize("name", ["tree, strings", "linear", "tables", "tree sum"])
def test_fast_mathematics_with_nan_answers_the_same(name, tmp_path):
    student, X, y = CASES[name]
    to_c(student.fit(X, y), tmp_path / "m.c", main=True)
    program = compiled(tmp_path / "m.c", tmp_path / "m", "-Ofast", "-fno-finite-math-only")
    code, out, _ = score_csv([program], X.to_csv(index=False))
    assert code == 0
    np.testing.assert_allclose(pd.read_csv(io.StringIO(out)), student.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("place", ["edge", "below", "category", "answer"])
def test_numbers_beyond_float_are_refused_before_a_compiler_sees_them(place, rng, tmp_path):
    X = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200)})
    y = X["a"] + X["b"]
    if place in ("edge", "below"):
        X["b"] *= 1e39 if place == "edge" else -1e300
    if place == "category":
        X["b"] = pd.Categorical(np.where(X["b"] > 0, 1e39, 2.0))
    if place == "answer":
        y = y * 1e40
    student = LinearStudentRegressor().fit(X, y)
    with pytest.raises(ValueError, match=r"a float holds numbers up to 3.4e\+38. Pass dtype='flo"):
        to_c(student, tmp_path / "m.c", dtype="float32")
    assert list(tmp_path.iterdir()) == []
    to_c(student, tmp_path / "m.c")


def test_a_split_off_of_missing_values_is_no_number_beyond_float(rng, tmp_path):
    X = rng.normal(size=(200, 1))
    X[::4] = np.nan
    student = TreeStudentRegressor(max_leaf_nodes=2).fit(X, np.isnan(X[:, 0]).astype(float))
    to_c(student, tmp_path / "m.c", X, dtype="float32")


def test_texts_of_the_user_are_no_names_of_functions(tmp_path):
    X = pd.DataFrame({"student_score": NUMBERS["a"], "b": np.where(TWO == "yes", "student_x", "y")})
    to_c(LinearStudentClassifier().fit(X, TWO), tmp_path / "m.c", name="fraud", main=True)
    program = compiled(tmp_path / "m.c", tmp_path / "m")
    code, out, _ = score_csv(program, X.to_csv(index=False))
    assert code == 0
    found = pd.read_csv(io.StringIO(out))
    assert ((found["yes"] > 0.5) == (TWO == "yes")).all()


def test_names_begin_as_asked(tmp_path):
    student, X, y = CASES["linear"]
    to_c(student.fit(X, y), tmp_path / "m.c", name="fraud_v2")
    library = ctypes.CDLL(str(compiled(tmp_path / "m.c", tmp_path / "m.so", "-shared", "-fPIC")))
    assert library.fraud_v2_level(6, b"never seen") == -1
    assert library.fraud_v2_level(6, "ü\\??/".encode()) >= 0
    assert library.fraud_v2_level(0, b"x") == -1
    assert library.fraud_v2_level(99, b"x") == -1
    assert not hasattr(library, "student_score")
    with pytest.raises(ValueError, match="name is '2x'"):
        to_c(student, tmp_path / "m.c", name="2x")
    with pytest.raises(
        ValueError, match="dtype='half' was passed; 'float64' or 'float32' was expected"
    ):
        to_c(student, tmp_path / "m.c", dtype="half")


def test_an_infinite_cell_is_told_by_its_position(tmp_path):
    student, X, y = CASES["linear, three classes"]
    to_c(student.fit(X, y), tmp_path / "m.c")
    library = ctypes.CDLL(str(compiled(tmp_path / "m.c", tmp_path / "m.so", "-shared", "-fPIC")))
    row, answers = (ctypes.c_double * 6)(0, 0, 0, float("-inf"), 0, 0), (ctypes.c_double * 3)()
    assert library.student_score(row, answers) == 4
    assert np.isnan(list(answers)).all()
    rows = (ctypes.c_double * 12)(*[0] * 6, *row)
    answers = (ctypes.c_double * 6)()
    library.student_score_rows.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p]
    assert library.student_score_rows(rows, 2, answers) == 1
    assert np.isnan(list(answers)).tolist() == [False] * 3 + [True] * 3


def score_csv(program, text):
    command = program if isinstance(program, list) else [program]
    done = subprocess.run(command, input=text.encode(), capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def csv_program(tmp_path_factory):
    """A compiled main of a linear student with strings, and the student."""
    folder = tmp_path_factory.mktemp("main")
    student, X, y = CASES["linear"]
    student = LinearStudentClassifier().fit(X, y)
    to_c(student, folder / "m.c", main=True)
    return compiled(folder / "m.c", folder / "m"), student


def test_main_scores_csv_with_columns_in_any_order(csv_program):
    program, student = csv_program
    table = TEXTS[TEXTS.columns[::-1]].assign(note='a, "b"')
    code, out, err = score_csv(program, table.to_csv(index=False))
    assert (code, err) == (0, "")
    found = pd.read_csv(io.StringIO(out))
    assert list(found) == ['n"o', "yes"]
    np.testing.assert_allclose(found, student.predict_proba(TEXTS), atol=5e-6)


def test_main_reads_carriage_returns_empty_lines_and_a_last_line_without_end(csv_program):
    program, _ = csv_program
    plain = TEXTS.assign(**{'a "quoted", name': "unseen"}).head(3).to_csv(index=False)
    expected = score_csv(program, plain)
    assert expected[0] == 0
    variants = ["\ufeff" + plain, plain.replace("\n", "\r\n"), plain.rstrip(), plain + "\n\n"]
    for variant in variants:
        assert score_csv(program, variant) == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n1.", "\n1.x", "line 2, column 'a': '1.x"),
        ("a,b,", "a,B,", "column 'b': 'b' is missing in the header"),
        ("\n1.", "\n1,1,1,1,1,1,x,10,1.", "more than the header has"),
        ("\n1.764", "\ninf;1.764", "is no number"),
    ],
)
def test_main_names_what_is_wrong(csv_program, old, new, message):
    program, _ = csv_program
    text = TEXTS.head(1).to_csv(index=False)
    assert old in text
    code, _, err = score_csv(program, text.replace(old, new, 1))
    assert code == 1
    assert message in err


def test_main_refuses_infinity_and_short_rows(csv_program):
    program, _ = csv_program
    header = TEXTS.head(0).to_csv(index=False)
    code, _, err = score_csv(program, header + "0,0,inf,0,0,0,x,10\n")
    assert (code, err) == (1, "line 2, column 'c': 'inf' is no finite number\n")
    code, _, err = score_csv(program, header + "0,0,1,0,0,0,x,10\n0,0\n")
    assert code == 1
    assert "line 3" in err
    assert "shorter" in err


def test_the_library_is_scored_without_numpy(tmp_path):
    student, X, y = CASES["linear"]
    to_c(student.fit(X, y), tmp_path / "m.c")
    library = compiled(tmp_path / "m.c", tmp_path / "m.so", "-shared", "-fPIC")
    program = (
        "import sys; from skdistill.scorer import load_library;"
        f"scorer = load_library({str(library)!r});"
        "row = [1, None, 2.5, 0, 0, 0, 'x', 10];"
        "print(scorer(row), scorer(dict(zip(scorer.columns, row))) == scorer(tuple(row)));"
        "assert 'numpy' not in sys.modules"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    row = pd.DataFrame([[1, None, 2.5, 0, 0, 0, "x", 10]], columns=X.columns)
    row["code"] = row["code"].astype("category")
    probabilities, same = out.stdout.strip().rsplit(" ", 1)
    assert same == "True"
    found = [float(p) for p in probabilities.strip("()").split(",")]
    np.testing.assert_allclose(found, student.predict_proba(row)[0], atol=5e-6)


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ([1.0] * 5, ValueError, "has 5 cells; 6"),
        ([1.0, "2", 3, 4, 5, 6], TypeError, "'b' holds '2'"),
        ([1.0, 2, float("inf"), 4, 5, 6], ValueError, "'c' is infinite"),
        ([1.0, 2, 1e300, 4, 5, 6], ValueError, "too large for a C float"),
        ({"a": 1}, ValueError, "'b', 'c', 'd', 'e', 'f' missing"),
    ],
)
def test_the_library_refuses_bad_rows(row, error, message, tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    student, X, y = CASES["tree, three classes"]
    to_c(student.fit(X, y), folder / "m.c", dtype="float32")
    scorer = load_library(compiled(folder / "m.c", folder / "m.so", "-shared", "-fPIC"))
    assert repr(scorer) == "LibraryScorer(6 columns, 3 classes)"
    with pytest.raises(error, match=message):
        scorer(row)


def test_what_is_no_library_of_a_student_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing\.so"):
        load_library(tmp_path / "nothing.so")
    (tmp_path / "text.so").write_text("not a library")
    with pytest.raises(ValueError, match="is not a library of a student"):
        load_library(tmp_path / "text.so")
    (tmp_path / "other.c").write_text("int f(void);\nint f(void) { return 1; }\n")
    other = compiled(tmp_path / "other.c", tmp_path / "other.so", "-shared", "-fPIC")
    with pytest.raises(ValueError, match="is not a library of a student"):
        load_library(other)


def test_beyond_the_tolerance_nothing_is_written(tmp_path):
    student, X, y = CASES["linear"]
    student.fit(X, y)
    with pytest.raises(ParityError, match=r"worst by .*The worst row: \{'a': "):
        to_c(student, tmp_path / "m.c", tolerance=1e-16)
    assert list(tmp_path.iterdir()) == []
    to_c(student, tmp_path / "m.c")
    before = (tmp_path / "m.c").read_bytes()
    with pytest.raises(ParityError):
        to_c(student, tmp_path / "m.c", main=True, tolerance=1e-16)
    assert (tmp_path / "m.c").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_float_that_cannot_hold_the_numbers_is_refused(tmp_path):
    X = 1.7e9 + np.arange(0.0, 400)[:, None]
    student = LinearStudentClassifier().fit(X, np.arange(400) % 80 < 40)
    with pytest.raises(ParityError, match="dtype='float64'"):
        to_c(student, tmp_path / "m.c", dtype="float32")
    assert to_c(student, tmp_path / "m.c").certificate.max_difference < 1e-5


ASCII = """
import sys
from pathlib import Path
from skdistill import lean_scorer, load, to_c, to_onnx, to_sql, verify
student, folder = load(sys.argv[1]), Path(sys.argv[2])
exports = {"m.c": to_c, "m.sql": to_sql, "m.onnx": to_onnx}
for name, export in exports.items():
    export(student, folder / name)
    verify(folder / name)
lean_scorer(student, "c")
"""


def test_files_do_not_depend_on_the_locale(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("duckdb")
    X = pd.DataFrame({"größe": NUMBERS["a"], "straße": np.where(NUMBERS["b"] > 0, "日本", "ü")})
    save(TreeStudentClassifier(4).fit(X, np.where(TWO == "yes", "jä", "nein")), tmp_path / "s.skd")
    written = []
    for locale in ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {}):
        folder = tmp_path / f"{len(locale)}"
        folder.mkdir()
        command = [sys.executable, "-W", "ignore", "-c", ASCII, tmp_path / "s.skd", folder]
        subprocess.run(command, check=True, env=os.environ | locale)
        written.append([(folder / name).read_bytes() for name in ("m.c", "m.sql")])
    assert written[0] == written[1]
    assert "größe" in written[0][0].decode()


def test_the_certificate_tells_what_was_tried(tmp_path):
    student, X, y = CASES["tree, strings"]
    student.fit(X, y)
    certificate = to_c(student, tmp_path / "m.c", X).certificate
    kept, student_file = read_certificate(tmp_path / "m.c")
    assert kept == certificate
    assert certificate.format == "c"
    assert certificate.n_rows > 4000 + len(X)
    assert certificate.model_sha256 in (tmp_path / "m.c").read_text()
    assert certificate.notes == {"name": "student", "dtype": "float64"}
    linear = CASES["linear"][0].fit(X, y)
    for dtype in ("float64", "float32"):
        certificate = to_c(linear, tmp_path / "m.c", X, dtype=dtype).certificate
        assert (tmp_path / "m.c").read_text().count(certificate.model_sha256) == 1
    assert len(student_file) > 0


def test_a_folder_that_is_not_there_is_refused_before_any_work(tmp_path, monkeypatch):
    student, X, y = CASES["tree, three classes"]
    student.fit(X, y)
    monkeypatch.setattr("skdistill.export.c.c_source", None)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        to_c(student, tmp_path / "there" / "m.c")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        to_c(student, tmp_path)

    def refuse(dir):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(PermissionError, match=r"cannot be written to: .*Read-only file system"):
        to_c(student, tmp_path / "m.c")


def test_more_than_two_gigabytes_are_refused(tmp_path, monkeypatch):
    student, X, y = CASES["tree, three classes"]
    monkeypatch.setattr("skdistill.export.student_content.MAX_BYTES", 100)
    with pytest.raises(ValueError, match="a file may hold 2 GB"):
        to_c(student.fit(X, y), tmp_path / "m.c")


def test_without_a_compiler_nothing_is_written(tmp_path, monkeypatch):
    student, X, y = CASES["tree, three classes"]
    monkeypatch.setattr("skdistill.scorer.compiled.find_compiler", lambda: None)
    with pytest.raises(FileNotFoundError, match="No C compiler was found: install gcc"):
        to_c(student.fit(X, y), tmp_path / "m.c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("dtype", "limit"), [("float64", 1e-9), ("float32", 1e-6)])
def test_the_program_prints_all_digits(dtype, limit, tmp_path, rng):
    X = pd.DataFrame({"a": rng.normal(size=400)})
    centre = 1.7e9 if dtype == "float64" else 10.0
    student = LinearStudentRegressor().fit(X, centre + 100 * X["a"])
    to_c(student, tmp_path / "m.c", dtype=dtype, main=True)
    compiled(tmp_path / "m.c", tmp_path / "m", "-lm")
    rows = X.to_csv(index=False)
    done = subprocess.run([tmp_path / "m"], input=rows, capture_output=True, text=True, check=True)
    expected = student.predict(X)
    found = np.array(done.stdout.split()[1:], dtype=float)
    assert np.abs(found - expected).max() / expected.std() < limit
