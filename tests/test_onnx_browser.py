"""ONNX files in a real browser: headless Chromium with onnxruntime-web."""

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from skdistill import LinearStudentRegressor, TreeStudentClassifier, to_onnx

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow

PACKAGE = "onnxruntime-web@1.30.0"
PAGE = Path(__file__).with_name("onnx_page.html")
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
}


@pytest.fixture(scope="module")
def chromium():
    found = [
        name for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)
    ]
    return found[0] if found else pytest.skip("Chromium is not installed")


@pytest.fixture(scope="module")
def runtime_files(request):
    """The files of onnxruntime-web, installed once and kept in pytest's cache."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    folder = request.config.cache.mkdir("onnxruntime-web")
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", PACKAGE]
    done = subprocess.run([*command, "--prefix", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr[-200:]}")
    return folder / "node_modules" / "onnxruntime-web" / "dist"


@pytest.fixture
def score_in_browser(chromium, runtime_files, tmp_path):
    """Return a function that scores cases, each a model file and the tensors it is fed with."""

    def score(cases, bundle="wasm"):
        (tmp_path / "page.html").write_text(PAGE.read_text().replace("ort.wasm.", f"ort.{bundle}."))
        page_files = {"/": tmp_path / "page.html", "/cases.json": tmp_path / "cases.json"}
        described = []
        for k, (path, tensors) in enumerate(cases):
            page_files[f"/{k}.onnx"] = path
            inputs = {name: as_json(tensor) for name, tensor in tensors.items()}
            described.append({"model": f"/{k}.onnx", "inputs": inputs})
        (tmp_path / "cases.json").write_text(json.dumps(described))
        with serve(page_files, runtime_files) as (address, answers):
            profile = f"--user-data-dir={tmp_path / 'profile'}"
            flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", profile]
            process = subprocess.Popen(
                [chromium, *flags, address],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                return answers.get(timeout=120)
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()

    return score


class serve:  # noqa: N801
    """Serve files on the loopback interface, and keep what is posted."""

    def __init__(self, files, runtime_files):
        posted = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = files.get(self.path)
                if self.path.startswith("/ort/"):
                    path = runtime_files / self.path.removeprefix("/ort/")
                if path is None or not path.is_file():
                    self.send_error(404)
                    return
                self.send_response(200)
                kind = TYPES.get(path.suffix, "application/octet-stream")
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(path.read_bytes())

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                posted.put(json.loads(self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server, self.posted = ThreadingHTTPServer(("127.0.0.1", 0), Handler), posted

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/", self.posted

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


def as_json(tensor):
    """Describe a tensor; JSON has no NaN and no infinity."""
    if tensor.dtype == object:
        return {"type": "string", "width": tensor.shape[1], "cells": tensor.ravel().tolist()}
    words = {"nan": None, "inf": "Infinity", "-inf": "-Infinity"}
    cells = [words.get(str(v), v) for v in tensor.ravel().tolist()]
    return {"type": "float32", "width": tensor.shape[1], "cells": cells}


def numbers(answer, width):
    return np.array([np.nan if v is None else v for v in answer]).reshape(-1, width)


@pytest.mark.parametrize("bundle", ["wasm", "webgpu", "jspi"])
def test_a_network_answers_in_a_browser(bundle, score_in_browser, multiclass_task, tmp_path):
    pytest.importorskip("torch")
    from skdistill import MLPStudentClassifier

    X, y = multiclass_task
    X = X.astype(np.float32)
    X[::7, 2] = np.nan
    student = MLPStudentClassifier((16,), max_epochs=3, random_state=0).fit(X, y)
    to_onnx(student, tmp_path / "network.onnx")
    rows = np.vstack([X, X[:1]])
    rows[-1, 0] = np.inf
    [answers] = score_in_browser([(tmp_path / "network.onnx", {"X": rows})], bundle)
    proba = numbers(answers["probabilities"], 3)
    np.testing.assert_allclose(proba[:-1], student.predict_proba(X), atol=1e-6)
    assert np.isnan(proba[-1]).all()
    assert answers["label"] == [*map(str, student.predict(X)), str(-(2**63))]


def test_trees_and_strings_work_in_a_browser(score_in_browser, mixed_frame, tmp_path):
    X, y, values = mixed_frame()
    tree = TreeStudentClassifier().fit(X, np.array(["no", "yes"])[y])
    linear = LinearStudentRegressor().fit(X, values)
    to_onnx(tree, tmp_path / "tree.onnx")
    to_onnx(linear, tmp_path / "linear.onnx")
    tensors = {name: X[[name]].to_numpy(np.float32) for name in ("amount", "count", "flag")} | {
        name: X[[name]].astype(object).fillna("").to_numpy(object) for name in ("city", "kind")
    }
    of_tree, of_linear = score_in_browser(
        [(tmp_path / "tree.onnx", tensors), (tmp_path / "linear.onnx", tensors)]
    )
    proba = numbers(of_tree["probabilities"], 2)
    np.testing.assert_allclose(proba, tree.predict_proba(X), atol=1e-6)
    assert of_tree["label"] == tree.predict(X).tolist()
    predicted = numbers(of_linear["variable"], 1)[:, 0]
    np.testing.assert_allclose(predicted, linear.predict(X), atol=1e-5)


@pytest.mark.parametrize("bundle", ["webgpu", "jspi"])
def test_bundles_without_the_operators_of_trees_say_so(bundle, score_in_browser, rng, tmp_path):
    X = rng.normal(size=(50, 2)).astype(np.float32)
    to_onnx(TreeStudentClassifier().fit(X, X[:, 0] > 0), tmp_path / "tree.onnx")
    answer = score_in_browser([(tmp_path / "tree.onnx", {"X": X})], bundle)
    assert "TreeEnsembleRegressor" in answer["error"]
