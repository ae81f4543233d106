"""What is compiled computes what NumPy and torch do, on any number of threads."""

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback, Freezer
from threadpoolctl import threadpool_info, threadpool_limits

from skdistill import (
    LinearStudentClassifier,
    MLPStudentClassifier,
    MLPStudentRegressor,
    SoftTreeStudentClassifier,
)
from skdistill.scorer.compiled import find_compiler
from skdistill.scorer.model import curve_positions
from skdistill.soft_labels import LOSSES, SoftTargets
from skdistill.students import row_blocks
from skdistill.students.encoding import ColumnEncoding, Encoding
from skdistill.students.kernels import curves, library, steps
from skdistill.students.network_training import compiled, net
from skdistill.students.network_training.network import FirstLayer

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")

COLUMNS = (
    ColumnEncoding(edges=np.array([-1.0, 0.0, 0.5, 4.0])),  # missing has a code
    ColumnEncoding(edges=np.array([0.0, 1.0]), fill_value=0.3),
    ColumnEncoding(edges=np.zeros(1), fill_value=0.0),  # constant
    ColumnEncoding(edges=np.zeros(1)),  # all are missing, or constant
    ColumnEncoding(levels=("a", "b", None)),  # others are unknown
    ColumnEncoding(levels=("a",), has_infrequent=True),
    ColumnEncoding(levels=()),
)
ENCODING = Encoding(COLUMNS, tuple("abcdefg"))


@pytest.fixture
def without_kernels(monkeypatch):
    """Let code that is called by the fixture run as if there were no compiler."""

    def run(function):
        with monkeypatch.context() as patch:
            for module in (library, curves, steps):
                patch.setattr(module, "library", lambda: None)
            patch.setattr("skdistill.students.encoding.library", lambda: None)
            return function()

    return run


def positions_of(n_rows, rng):
    """Draw positions at edges, between them, of missing numbers and of unknown levels."""
    columns = []
    for column in COLUMNS:
        if column.edges is None:
            u = rng.integers(-1 if not column.has_infrequent else 0, column.n_levels, n_rows)
        else:
            u = column.n_bins * rng.uniform(size=n_rows)
            u = np.where(rng.uniform(size=n_rows) < 0.3, np.rint(u), u)
            if column.has_missing_code:
                u = np.where(rng.uniform(size=n_rows) < 0.2, np.nan, u)
        columns.append(u)
    return np.stack(columns, axis=1).astype(np.float64)


@pytest.mark.parametrize("width", [1, 3, 8, 70, 136])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_curves_are_products_with_the_codes(dtype, width, rng):
    positions = positions_of(300, rng)
    weights = rng.normal(size=(ENCODING.n_codes, width)).astype(dtype)
    intercept = rng.normal(size=width).astype(dtype)
    found = ENCODING.layer(weights, intercept)(positions)
    expected = ENCODING.expand(positions) @ weights + intercept
    assert found.dtype == dtype
    atol = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def test_positions_are_those_of_numpy_to_the_last_bit(rng):
    edges = np.unique(rng.normal(size=33))
    values = np.concatenate([rng.normal(size=500), edges, [np.nan, -1e300, 1e300, -0.0, 5e-324]])
    np.testing.assert_array_equal(
        curves.positions(edges, values, np.nan), curve_positions(edges, values)
    )
    every_third = np.repeat(values, 3).reshape(-1, 3)[:, 1]
    filled = np.where(np.isnan(values), 0.25, values)
    np.testing.assert_array_equal(
        curves.positions(edges, every_third, 0.25), curve_positions(edges, filled)
    )


@pytest.mark.parametrize("width", [1, 9, 64])
def test_the_layer_that_is_trained_has_the_gradient_of_the_dense_one(width, rng):
    layer = FirstLayer(ENCODING, width)
    dense = FirstLayer(ENCODING, width)
    dense.load_state_dict(layer.state_dict())
    dense.kernels = None
    assert layer.kernels is not None
    positions = torch.as_tensor(positions_of(200, rng).astype(np.float32))
    targets = torch.as_tensor(rng.normal(size=(200, width)).astype(np.float32))
    for each in (layer, dense):
        (each(positions) * targets).sum().backward()
    torch.testing.assert_close(layer(positions), dense(positions), rtol=1e-5, atol=1e-5)
    for name in ("weight", "bias"):
        found, expected = (getattr(each, name).grad for each in (layer, dense))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_layer_in_double_precision_is_not_compiled(rng):
    layer = FirstLayer(ENCODING, 5).double()
    positions = torch.as_tensor(positions_of(20, rng))
    expected = ENCODING.expand(positions.numpy()) @ layer.weight.detach().numpy()
    np.testing.assert_allclose(
        layer(positions).detach().numpy(), expected + layer.bias.detach().numpy(), atol=1e-12
    )


STUDENTS = [
    MLPStudentClassifier((20, 10), max_epochs=3, random_state=0),
    MLPStudentClassifier((7,), n_bins=1, max_epochs=3, random_state=0),
    SoftTreeStudentClassifier(3, max_epochs=2, random_state=0),
    LinearStudentClassifier(),
    LinearStudentClassifier(interactions=3),
]


@pytest.mark.parametrize("student", STUDENTS, ids=lambda each: each.short_name())
@pytest.mark.parametrize("n_classes", [2, 3])
def test_answers_without_a_compiler_are_the_same(student, n_classes, mixed_frame, without_kernels):
    frame, y, _ = mixed_frame(1500)
    student.fit(frame, y if n_classes == 2 else np.where(np.arange(1500) % 5 == 0, 2, y))
    found = student.predict_proba(frame)
    assert student.encoding_.kernels is not None
    plain = pickle.loads(pickle.dumps(student))  # computes again whether there are kernels
    expected = without_kernels(lambda: plain.predict_proba(frame))
    assert plain.encoding_.kernels is None
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_students_learn_the_same_without_a_compiler(mixed_frame, without_kernels):
    frame, y, _ = mixed_frame(1500)
    for student in STUDENTS[:3]:
        found = student.fit(frame, y).history_
        expected = without_kernels(lambda student=student: student.fit(frame, y).history_)
        for name, losses in expected.items():
            np.testing.assert_allclose(found[name], losses, rtol=1e-4)


def trained(student, X, y, is_compiled, monkeypatch):
    """Train by C or by torch, and return the losses and weights; y may be soft targets."""
    calls, run = [], compiled.CompiledSteps._run
    with monkeypatch.context() as patch:
        patch.setattr(compiled.CompiledSteps, "_run", lambda *args: calls.append(1) or run(*args))
        if not is_compiled:
            patch.setattr(net, "can_be_compiled", lambda _: False)
        if isinstance(y, SoftTargets):
            student._fit_checked(student._check_X(X, reset=True), y, np.arange(y.n_classes))
        else:
            student.fit(X, y)
    assert bool(calls) == is_compiled
    return student.history_, student.coefs_


@pytest.mark.parametrize("task", ["two classes", "four classes", "values"])
def test_compiled_steps_are_those_of_torch(task, mixed_frame, rng, monkeypatch):
    frame, y, _ = mixed_frame(2000)
    settings = {"hidden_layer_sizes": (24, 12), "max_epochs": 6, "random_state": 0}
    if task == "values":
        student, y = MLPStudentRegressor(**settings), y + rng.normal(size=2000)
    else:
        student = MLPStudentClassifier(**settings)
        y = rng.dirichlet(np.ones(2 if task == "two classes" else 4), size=2000) ** 2
        y /= y.sum(axis=1, keepdims=True)
    expected, weights = trained(student, frame, y, False, monkeypatch)
    found, found_weights = trained(student, frame, y, True, monkeypatch)
    for name, losses in expected.items():
        np.testing.assert_allclose(found[name], losses, rtol=1e-3)
    for one, other in zip(found_weights, weights, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02 * np.abs(other).max())


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_minimised_by_compiled_steps_as_by_torch(
    loss, n_classes, mixed_frame, rng, monkeypatch
):
    frame, y, _ = mixed_frame(2000)
    margins = rng.normal(size=(2000, n_classes))
    margins[:, 1] += 3 * y
    codes = np.where(rng.uniform(size=2000) < 0.3, -1, margins.argmax(axis=1))
    weight = rng.uniform(0.5, 2, 2000)
    targets = SoftTargets(margins, codes, weight, temperature=2.5, alpha=0.6, loss=loss)
    student = MLPStudentClassifier((16,), max_epochs=5, random_state=0)
    expected, _ = trained(student, frame, targets, False, monkeypatch)
    found, _ = trained(student, frame, targets, True, monkeypatch)
    for name, losses in expected.items():
        np.testing.assert_allclose(found[name], losses, rtol=1e-4)


def test_no_layer_is_hidden_from_compiled_steps(binary_task, monkeypatch):
    X, y = binary_task
    for layers in [(), (5,), (6, 5, 4)]:
        student = MLPStudentClassifier(layers, max_epochs=4, random_state=0)
        expected, _ = trained(student, X, y, False, monkeypatch)
        found, _ = trained(student, X, y, True, monkeypatch)
        np.testing.assert_allclose(found["train_loss"], expected["train_loss"], rtol=1e-3)


def test_any_number_of_threads_computes_the_same(mixed_frame, monkeypatch):
    frame, y, _ = mixed_frame(6000)
    student = MLPStudentClassifier((16,), batch_size=1024, max_epochs=2, random_state=0)
    found = []
    for n_threads in (1, 2, 3):
        for module in (steps, row_blocks):
            monkeypatch.setattr(module, "n_openmp_threads", lambda n=n_threads: n)
        monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 500)
        student.fit(frame, y)
        found.append((student.coefs_, student.predict_proba(frame), student.history_))
    for coefs, proba, history in found[1:]:
        for one, other in zip(coefs, found[0][0], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(proba, found[0][1])
        assert history["train_loss"] == found[0][2]["train_loss"]


def many_rows(X):
    return np.tile(X, (1 + 40_000 // len(X), 1))


def test_limits_of_threads_are_respected(binary_task, monkeypatch):
    X, y = binary_task
    started = []

    class Thread(threading.Thread):
        def start(self):
            started.append(1)
            super().start()

    monkeypatch.setattr(row_blocks.threading, "Thread", Thread)
    student = LinearStudentClassifier().fit(X, y)
    with threadpool_limits(1):
        student.predict_proba(many_rows(X))
    assert not started
    monkeypatch.setattr(row_blocks, "n_openmp_threads", lambda: 3)
    student.predict_proba(many_rows(X))
    assert len(started) == 2


def test_work_is_done_where_no_thread_can_be_started(binary_task, monkeypatch):
    X, y = binary_task
    student = LinearStudentClassifier().fit(X, y)
    expected = student.predict_proba(many_rows(X))

    def fail(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(row_blocks, "n_openmp_threads", lambda: 3)
    monkeypatch.setattr(threading.Thread, "start", fail)
    np.testing.assert_array_equal(student.predict_proba(many_rows(X)), expected)


def test_blas_has_its_threads_back_after_predictions_side_by_side(binary_task, monkeypatch):
    X, y = binary_task
    monkeypatch.setattr(row_blocks, "n_openmp_threads", lambda: 2)
    student = MLPStudentClassifier((8,), max_epochs=2, random_state=0).fit(X, y)
    rows = many_rows(X)
    with threadpool_limits(2, "blas"):
        before = [each["num_threads"] for each in threadpool_info()]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(student.predict_proba, [rows] * 12))
        assert [each["num_threads"] for each in threadpool_info()] == before


def test_students_predict_while_python_shuts_down(binary_task, tmp_path):
    X, y = binary_task
    joblib.dump((LinearStudentClassifier().fit(X, y), many_rows(X)), tmp_path / "student")
    code = (
        "import atexit, joblib; from skdistill.students import row_blocks\n"
        "row_blocks.n_openmp_threads = lambda: 3\n"
        f"student, X = joblib.load({str(tmp_path / 'student')!r})\n"
        "atexit.register(lambda: print(student.predict_proba(X).shape))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.stdout.strip() == str((len(many_rows(X)), 2)), shown.stderr


def test_fits_side_by_side_are_the_fits_one_after_the_other(binary_task):
    X, y = binary_task

    def fit(seed):
        return MLPStudentClassifier((8,), max_epochs=2, random_state=seed).fit(X, y).coefs_[0]

    expected = [fit(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(pool.map(fit, range(8)), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_error_in_a_thread_is_raised(monkeypatch):
    monkeypatch.setattr(row_blocks, "n_openmp_threads", lambda: 2)

    def fail(rows):
        if rows.start:
            raise ZeroDivisionError("in a block")

    with pytest.raises(ZeroDivisionError, match="in a block"):
        row_blocks.in_blocks(fail, 100_000)


@pytest.mark.parametrize("event", ["on_batch_begin", "on_batch_end", "on_grad_computed"])
def test_callbacks_that_watch_steps_see_them(event, binary_task):
    X, y = binary_task
    seen = []
    watcher = type("Watcher", (Callback,), {event: lambda self, *args, **_: seen.append(event)})
    student = MLPStudentClassifier((4,), max_epochs=2, batch_size=100, random_state=0)
    student.set_params(callbacks=[watcher()]).fit(X, y)
    assert len(seen) >= 2 * int(0.9 * len(X) / 100)


def test_callbacks_that_freeze_parameters_freeze_them(binary_task):
    X, y = binary_task
    student = MLPStudentClassifier((4,), max_epochs=3, weight_decay=0.0, random_state=0).fit(X, y)
    start = student.coefs_
    student.set_params(callbacks=[Freezer("layers.1.*")], learning_rate_init=0.1)
    student.partial_fit(X, y)
    assert (student.coefs_[0] != start[0]).any()
    np.testing.assert_array_equal(student.coefs_[1], start[1])


def test_kernels_are_compiled_once_per_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []
    compile_library = library.compile_library
    monkeypatch.setattr(
        library, "compile_library", lambda *args: calls.append(1) or compile_library(*args)
    )
    for _ in range(2):
        library.library.cache_clear()
        assert library.library() is not None
    (kept,) = (tmp_path / "skdistill").iterdir()
    assert kept.suffix == ".so"
    assert len(calls) == 1


@pytest.mark.parametrize("damage", [b"", b"\x7fELF", None])
def test_a_damaged_file_is_compiled_again(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library.library.cache_clear()
    assert library.library() is not None
    (kept,) = (tmp_path / "skdistill").iterdir()
    content = kept.read_bytes()
    kept.unlink()  # what is loaded stays as it is
    kept.write_bytes(content[: len(content) // 2] if damage is None else damage)
    library.library.cache_clear()
    assert library.library() is not None
    assert any(library._hash_of(path) in path.name for path in kept.parent.iterdir())


def test_a_folder_that_cannot_be_made_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    library.library.cache_clear()
    assert library.library() is not None


def test_a_user_without_a_home_gets_kernels(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    library.library.cache_clear()
    assert library.library() is not None


@pytest.mark.parametrize("command", ["false", f"{(find_compiler() or [''])[0]} -ffast-math"])
def test_a_compiler_that_fails_or_loses_nan_is_no_obstacle(
    command, tmp_path, monkeypatch, binary_task
):
    X, y = binary_task
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", command)
    library.library.cache_clear()
    try:
        assert library.library() is None
        assert MLPStudentClassifier((4,), max_epochs=2, random_state=0).fit(X, y).score(X, y) > 0.5
    finally:
        library.library.cache_clear()


def test_frames_give_what_arrays_give(rng):
    X = rng.normal(size=(400, 6))
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    y = (np.nan_to_num(X[:, 0]) > 0).astype(int)
    student = MLPStudentClassifier((8,), max_epochs=2, random_state=0).fit(X, y)
    by_column = np.asfortranarray(X)
    expected = student.predict_proba(X)
    np.testing.assert_array_equal(student.predict_proba(by_column), expected)
    np.testing.assert_array_equal(student.predict_proba(X[::-1])[::-1], expected)
    frame = pd.DataFrame(X)
    np.testing.assert_array_equal(student.predict_proba(frame.to_numpy()), expected)


def test_every_loss_has_a_number_in_c():
    assert set(steps.LOSSES) == set(LOSSES)
