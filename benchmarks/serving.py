"""Time the scoring service of the examples under load, over HTTP on loopback.

    python benchmarks/serving.py

Starts ``examples/serve.py`` with a student of 30 columns in a process of its own, and asks it over
kept connections, one after the other on each. Needs the ``examples`` extra.
"""

import argparse
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import make_classification

from skdistill import LinearStudentClassifier, MLPStudentClassifier, save

console = Console(width=120, highlight=False)

SERVE = Path(__file__).parents[1] / "examples" / "serve.py"
SECONDS = 8


def start(student_file):
    """Start the service; return it and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(SERVE), "--student", str(student_file), "--port", str(port)]
    )
    for _ in range(600):
        try:
            ask(http.client.HTTPConnection("127.0.0.1", port), "GET", "/health")
            return process, port
        except ConnectionError:
            time.sleep(0.05)
    raise TimeoutError("The service did not start.")


def ask(connection, method, path, body=None):
    """Send a request and read the answer."""
    connection.request(method, path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {answer.decode()}")
    return answer


def load(port, bodies, n_connections):
    """Ask on several connections at once; return milliseconds per request, and the seconds."""
    taken = [[] for _ in range(n_connections)]
    until = time.perf_counter() + SECONDS

    def client(times, offset):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.perf_counter() < until:
            body = bodies[(offset + len(times)) % len(bodies)]
            begin = time.perf_counter()
            ask(connection, "POST", "/score", body)
            times.append(1000 * (time.perf_counter() - begin))

    threads = [
        threading.Thread(target=client, args=(times, 100 * k)) for k, times in enumerate(taken)
    ]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.concatenate(taken), time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description="Time the scoring service under load.")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4, 16])
    args = parser.parse_args()
    X, y = make_classification(20_000, 30, n_informative=12, flip_y=0.1, random_state=0)
    bodies = [
        json.dumps({f"x{j}": value for j, value in enumerate(row)}) for row in X[:1000].tolist()
    ]
    table = Table(title="POST /score, 30 columns, one process, on loopback", box=None)
    for name in ("student", "connections", "requests/s", "p50 ms", "p99 ms", "p99.9 ms"):
        table.add_column(name, justify="left" if name == "student" else "right")
    students = {
        "additive": LinearStudentClassifier(),
        "MLP 64-64": MLPStudentClassifier((64, 64), random_state=0),
    }
    for name, student in students.items():
        with tempfile.TemporaryDirectory() as folder:
            save(student.fit(X, y), Path(folder, "student.skd"))
            process, port = start(Path(folder, "student.skd"))
            try:
                load(port, bodies, 1)  # warm up
                for n_connections in args.connections:
                    taken, seconds = load(port, bodies, n_connections)
                    shown = [f"{value:.2f}" for value in np.percentile(taken, [50, 99, 99.9])]
                    rate = f"{len(taken) / seconds:,.0f}"
                    table.add_row(name, str(n_connections), rate, *shown)
            finally:
                process.terminate()
                process.wait()
    console.print(table)
    console.print("Client and service share the machine's cores.")


if __name__ == "__main__":
    main()
