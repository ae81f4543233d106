"""Regenerate what README and docs show: what their code prints, and the README's figures.

    python benchmarks/readme.py                      # run the code, write what it prints
    python benchmarks/readme.py --check              # run the code, fail if it prints other words
    python benchmarks/readme.py --figures fraud_detection latency
    python benchmarks/readme.py --figures quality --data FOLDER

The code blocks of a page are run in order, as one program in an empty folder: what readers do who
copies them from top to bottom. A block of output after a block of code is what it prints. Blocks
after ``<!-- needs PACKAGE -->`` are left out where it is not installed. Figures stand between a
comment with their name and ``<!-- end -->``; they take minutes (quality: hours).
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from difflib import SequenceMatcher
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
README = ROOT / "README.md"

#: A fenced block: what it needs, its language and its text.
BLOCK = re.compile(
    r"^(?:<!-- needs (\w+) -->\n\n)?```(python|bash|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)

#: New processes of `latency.py` that the README names.
NEW_PROCESSES = "lean scorer, NumPy", "C by ctypes, no NumPy", "scikit-learn, joblib"

#: What differs from machine to machine in an output, and the share of other words that has to be
#: the same: the largest shift, say, may be found in another place.
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(e[-+]?\d+)?|\s+")
ALIKE = 0.8


def run_code(page):
    """Run the code blocks of a page in a new folder; return it with what they print."""
    text = page.read_text(encoding="utf-8")
    pieces, end, names, printed, last = [], 0, {"__name__": "__main__"}, "", 0
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for block in BLOCK.finditer(text):
            needed, language, code = block.groups()
            is_next, last = not text[last : block.start()].strip(), block.end()
            if language == "text":
                if is_next:
                    pieces += [text[end : block.start(3)], printed]
                    end = block.end(3)
                continue
            if needed and not find_spec(needed):
                print(f"  left out, for want of {needed}", file=sys.stderr)
                continue
            print(f"  {code.splitlines()[0]}", file=sys.stderr, flush=True)
            if language == "bash":
                printed = run_bash(code)
            else:
                lines_before = "\n" * text.count("\n", 0, block.start(3))
                printed = run_python(lines_before + code, page, names)
    return "".join([*pieces, text[end:]])


def run_python(code, page, names):
    """Run code of a page with what is defined so far; return what it prints."""
    with redirect_stdout(io.StringIO()) as out:
        exec(compile(code, str(page), "exec"), names)
    return out.getvalue()


def run_bash(code):
    """Run a command line; return what it prints."""
    done = subprocess.run(["bash", "-e", "-c", code], check=True, capture_output=True, text=True)
    return done.stdout


def is_as_shown(new, shown):
    """Tell whether each output has the words that the page shows, but for a few."""
    outputs = [
        [
            NUMBER.sub(" ", text).split()
            for _, language, text in BLOCK.findall(page)
            if language == "text"
        ]
        for page in (new, shown)
    ]
    return all(SequenceMatcher(None, *pair).ratio() >= ALIKE for pair in zip(*outputs, strict=True))


def fraud_detection(folder, args):
    """Return the table that the first command prints."""
    done = run([ROOT / "examples" / "fraud_detection.py"], folder)
    lines = done.splitlines()
    first = next(i for i, line in enumerate(lines) if "PR-AUC" in line)
    last = max(i for i, line in enumerate(lines) if "hard labels" in line and "rows" not in line)
    return "\n".join(f"    {line.strip()}".rstrip() for line in lines[first : last + 1])


def latency(folder, args):
    """Return the table of single rows, and what it says."""
    found = folder / "latency.json"
    run([HERE / "latency.py", "--json", found], folder)
    found = json.loads(found.read_text())
    p50 = {tuple(key.split("|")): each["p50"] for key, each in found["rows"].items()}
    after = {tuple(key.split("|")): each["after_other_work"] for key, each in found["rows"].items()}
    models = list(dict.fromkeys(name for name, _ in p50))
    forest, small = models[:2]
    mlp = "MLP 64-64"
    lines = [
        "| model | own API | compiled, the best of onnxruntime and tl2cgen | lean scorer, NumPy "
        "| lean scorer, C |",
        "|---|---|---|---|---|",
    ]
    best = {}
    for name in models:
        compiled = [v for (n, way), v in p50.items() if n == name and "compiled" in way]
        is_student = (name, "lean scorer, C") in p50
        own = p50[name, "predict_proba" if is_student else "own API"]
        best[name] = p50[name, "onnxruntime"] if is_student else min(compiled)
        cells = [f"{own:,.0f}", short(best[name])]
        cells += (
            [
                short(p50[name, "lean scorer, NumPy"]),
                f"**{short(p50[name, 'lean scorer, C'])}**",
            ]
            if is_student
            else ["", ""]
        )
        size = f" ({found['n_nodes'] / 1e6:.1f} M nodes)" if name == forest else ""
        title = f"student: {name}" if is_student else f"{name}{size}"
        lines.append(f"| {title} | {' | '.join(cells)} |")
    mine = p50[mlp, "lean scorer, C"]
    boosting = min(best[name] for name in models if "LightGBM" in name or "XGBoost" in name)
    started = {
        name: (f"{1000 * cpu:,.0f} ms", f"{rss / 1024:,.0f} MB")
        for name, (cpu, rss) in found["new_process"].items()
    }
    cpu, rss = zip(*(started[way] for way in NEW_PROCESSES), strict=True)
    lines.append(
        f"\nSo the {mlp} is {round(p50[forest, 'own API'] / mine, -2):,.0f} times faster than "
        f"scikit-learn's forest, but {boosting / mine:.0f} times faster than the best compiled "
        f"boosting and only\n{best[small] / mine:.0f} times faster than a small forest in "
        "onnxruntime: compare with what you would deploy. After other work has emptied the "
        f"caches, a call takes\n{after[mlp, 'lean scorer, C']:.0f} µs (forest in onnxruntime "
        f"{after[forest, 'compiled: onnxruntime']:.0f}). A new process that loads the student "
        f"and scores a row takes {cpu[0]} of CPU and {rss[0]} with NumPy,\n"
        f"{cpu[1]} and {rss[1]} with the compiled library, {cpu[2]} and {rss[2]} with "
        "scikit-learn."
    )
    return "\n".join(lines)


def short(value):
    """Write microseconds with three digits."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def quality(folder, args):
    """Return how often students beat hard labels, and the median share of the gap closed."""
    import pandas as pd
    from quality import SCORES, compare, read_lines

    if args.data is None:
        raise SystemExit("--figures quality needs --data: the folder of the tables.")
    shared = ["--data", args.data.resolve(), "--rows", 10_000, "--trees", 300]
    shared += ["--teachers", "forest"]
    runs = {
        "mlp": ["--students", "mlp", "--ways", "default", "--seeds", *range(5)],
        "readable": ["--students", "tree", "sum", "linear", "pairs", "--ways", "default"],
    }
    found = []
    for name, options in runs.items():
        csv = (args.results or folder).resolve() / f"{name}.csv"
        run([HERE / "quality.py", *shared, *options, "--csv", csv], folder)
        found.append(compare(pd.DataFrame(read_lines(csv))))
    compared = pd.concat(found)
    titles = {
        "mlp": "MLPStudentClassifier()",
        "tree": "TreeStudentClassifier()",
        "sum": "TreeSumStudentClassifier()",
        "linear": "LinearStudentClassifier()",
        "pairs": "LinearStudentClassifier(interactions=10)",
    }
    lines = [
        "| student | beats the same student on hard labels, ROC-AUC / average precision / log loss "
        "| is closer to the teacher (KL) "
        "| median share of the gap to the teacher closed, where there is one |",
        "|---|---|---|---|",
    ]
    for student, title in titles.items():
        own = compared[compared.student == student]
        wins = " / ".join(str(int((own[f"better_{score}"] > 0).sum())) for score in SCORES)
        gaps = " / ".join(f"{own[f'gap_{score}'].median():.2f}".lstrip("0") for score in SCORES)
        closer = f"{(own.better_kl > 0).sum()} of {len(own)}"
        lines.append(f"| `{title}` | {wins} of {len(own)} tables | {closer} | {gaps} |")
    return "\n".join(lines)


FIGURES = {"fraud_detection": fraud_detection, "latency": latency, "quality": quality}


def run(command, folder):
    """Run a script in a folder, show what it prints, and return it."""
    command = [sys.executable, *map(str, command)]
    wide = {**os.environ, "COLUMNS": "160"}
    print(f"+ {' '.join(command[1:])}", file=sys.stderr, flush=True)
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=wide) as it:
        lines = []
        for line in it.stdout:
            print(line, end="", file=sys.stderr, flush=True)
            lines.append(line)
    if it.returncode:
        raise SystemExit(f"{command[1]} failed with exit code {it.returncode}.")
    return "".join(lines)


def with_figures(text, name, figures):
    """Put figures between their comments."""
    start, end = f"<!-- {name} -->", "<!-- end -->"
    before, found, rest = text.partition(start)
    if not found:
        raise SystemExit(f"README.md has no line {start}.")
    return f"{before}{start}\n\n{figures}\n\n{end}{rest.partition(end)[2]}"


def main():
    """Regenerate, or check."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, compare the words that are printed"
    )
    parser.add_argument(
        "--figures", nargs="+", choices=FIGURES, default=[], help="tables in place of the code"
    )
    parser.add_argument("--data", type=Path, help="folder of Parquet files, for quality")
    parser.add_argument(
        "--results", type=Path, help="folder where quality keeps lines, to go on after a stop"
    )
    args = parser.parse_args()
    os.environ.setdefault("MPLBACKEND", "agg")
    if args.figures:
        text = README.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            for name in args.figures:
                text = with_figures(text, name, FIGURES[name](Path(folder), args))
        README.write_text(text, encoding="utf-8")
        return
    for page in [README, *sorted((ROOT / "docs").glob("*.md"))]:
        print(page.relative_to(ROOT), file=sys.stderr, flush=True)
        new = run_code(page)
        if not args.check:
            page.write_text(new, encoding="utf-8")
        elif not is_as_shown(new, page.read_text(encoding="utf-8")):
            raise SystemExit(
                f"The code of {page.name} prints other words than it shows. Run: "
                "python benchmarks/readme.py"
            )


if __name__ == "__main__":
    main()
