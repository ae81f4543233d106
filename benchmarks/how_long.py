"""Time the stages of a distillation, a search and a report by rows, columns, classes and trees.

    python benchmarks/how_long.py
    python benchmarks/how_long.py --quick                   (a quarter of the rows)

Seconds are those of one core that has nothing else to do: processor time, by one thread, so that a
busy machine changes little. They are kept in the file ``--results``, and a run that was stopped
goes on where it was. The table in markdown goes to stdout, and from there to docs/how_long.md.
"""

import argparse
import json
import os
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from threadpoolctl import threadpool_limits

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    StudentSearchCV,
    TreeStudentClassifier,
    distillation_report,
    fidelity_report,
)


@dataclass(frozen=True)
class Setting:
    """What varies."""

    n_rows: int = 4_000
    n_columns: int = 20
    n_classes: int = 2
    n_trees: int = 100

    def rows(self):
        """Make rows, the last fifth of them to report on."""
        X, y = make_classification(
            self.n_rows * 5 // 4,
            self.n_columns,
            n_informative=10,
            n_classes=self.n_classes,
            flip_y=0.1,
            random_state=0,
        )
        return X[: self.n_rows], y[: self.n_rows], X[self.n_rows :], y[self.n_rows :]

    def __str__(self):
        return " | ".join(
            f"{number:,}" for number in (self.n_rows, self.n_columns, self.n_classes, self.n_trees)
        )


BASE = Setting()
SETTINGS = (
    replace(BASE, n_rows=1_000),
    BASE,
    replace(BASE, n_columns=80),
    replace(BASE, n_classes=5),
    replace(BASE, n_trees=400),
    replace(BASE, n_rows=16_000),
)

#: What is timed in which settings: the longest last, and not in the largest.
WORK = (
    (
        (
            "fit of the forest",
            "labels out of bag",
            "labels cross-fitted (boosting)",
            "training of a tree",
            "training of an additive student",
            "`fidelity_report`",
            "`distillation_report`",
        ),
        SETTINGS,
    ),
    (("training of the MLP",), SETTINGS[:-2]),
    (("search, trees and additive",), SETTINGS[:2]),
)

#: Stages by the name of the task that scikit-learn's callbacks are called with.
TASKS = {
    "label-rows": "labels",
    "label-synthetic-rows": "synthetic",
    "correct-labels": "correction",
    "fit-student": "training",
}


class Clock:
    """Adds up the seconds of the stages of a fit, as a callback of scikit-learn."""

    max_propagation_depth = None

    def __init__(self):
        self.seconds, self.begun = {}, {}

    def setup(self, estimator, context):
        """Nothing to set up."""

    def teardown(self, estimator, context):
        """Nothing to tear down."""

    def on_fit_task_begin(self, estimator, context):
        """Start the clock of a stage."""
        self.begun[_stage(context)] = time.process_time()

    def on_fit_task_end(self, estimator, context):
        """Stop it."""
        name = TASKS.get(_stage(context))
        if name is not None:
            seconds = time.process_time() - self.begun[_stage(context)]
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds


def _stage(context):
    """Name the stage that a task is: a student that is heard itself stands for its training."""
    if context.task_name == "fit" and "Student" in context.estimator_name:
        return "fit-student"
    return context.task_name


def forest(setting):
    return RandomForestClassifier(setting.n_trees, min_samples_leaf=3, random_state=0, n_jobs=1)


def import_everything():
    """Have torch, shap and matplotlib imported, which takes seconds once."""
    X, y = make_classification(600, random_state=0)
    model = DistilledClassifier(
        RandomForestClassifier(20), MLPStudentClassifier((2,), max_epochs=1)
    )
    distillation_report(model.fit(X, y), X[:50], y[:50], n_explained=2, cost=False).to_html()


def measure(setting, names, done, keep):
    """Time what is not done yet of some work in a setting; `keep` is called when there is more."""
    X, y, X_test, y_test = setting.rows()
    teacher = forest(setting).fit(X, y)
    booster = HistGradientBoostingClassifier(max_iter=setting.n_trees, random_state=0)
    model = DistilledClassifier(teacher, TreeStudentClassifier(), random_state=0).fit(X, y)
    students = [TreeStudentClassifier(), LinearStudentClassifier()]

    def stages(teacher, student, **names):
        clock = Clock()
        distiller = DistilledClassifier(teacher, student, random_state=0)
        distiller.set_callbacks(clock).fit(X, y)
        return {name: clock.seconds[stage] for stage, name in names.items()}

    def timed(name, function):
        start = time.process_time()
        function()
        return {name: time.process_time() - start}

    work = {
        "fit of the forest": lambda name: timed(name, lambda: forest(setting).fit(X, y)),
        "labels out of bag": lambda name: stages(teacher, TreeStudentClassifier(), labels=name),
        "labels cross-fitted (boosting)": lambda name: stages(
            booster, TreeStudentClassifier(), labels=name
        ),
        "training of a tree": lambda name: stages(teacher, TreeStudentClassifier(), training=name),
        "training of an additive student": lambda name: stages(
            teacher, LinearStudentClassifier(), training=name
        ),
        "training of the MLP": lambda name: stages(
            teacher,
            MLPStudentClassifier(),
            synthetic="synthetic rows of the MLP",
            correction="label correction of the MLP",
            training=name,
        ),
        "`fidelity_report`": lambda name: timed(
            name, lambda: fidelity_report(model, X_test, y_test, random_state=0)
        ),
        "`distillation_report`": lambda name: timed(
            name, lambda: distillation_report(model, X_test, y_test, random_state=0).to_html()
        ),
        "search, trees and additive": lambda name: timed(
            name, lambda: StudentSearchCV(teacher, students, random_state=0).fit(X, y)
        ),
    }
    for name in names:
        if name not in done:
            done |= work[name](name)
            keep()


def in_seconds(seconds):
    digits = 2 if seconds < 1 else 1 if seconds < 10 else 0
    return f"{seconds:.{digits}f} s"


def table(results):
    """Write the table in markdown: a line per stage, a column per setting."""
    settings = list(results)  # as they were measured
    names = list(dict.fromkeys(name for done in results.values() for name in done))
    head, *parameters = zip(
        ("rows", "columns", "classes", "trees"),
        *(setting.split(" | ") for setting in settings),
        strict=True,
    )
    lines = [
        f"| {' | '.join(head)} |",
        "|---" + "|---:" * len(settings) + "|",
        *(f"| {' | '.join(cells)} |" for cells in parameters),
    ]
    for name in names:
        cells = [in_seconds(results[s][name]) if name in results[s] else "" for s in settings]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description="Time the stages of distillations, searches and reports.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a quarter of the rows")
    parser.add_argument(
        "--results", type=Path, default=Path("how_long.json"), help="where seconds are kept"
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    import_everything()
    sized = {s: replace(s, n_rows=s.n_rows // (4 if args.quick else 1)) for s in SETTINGS}
    for setting in sized.values():
        results.setdefault(str(setting), {})
    for names, settings in WORK:
        for setting in (sized[s] for s in settings):
            with threadpool_limits(1):
                measure(
                    setting,
                    names,
                    results[str(setting)],
                    lambda: args.results.write_text(json.dumps(results, indent=1)),
                )
    print(f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} at the end\n")
    print(table(results))


if __name__ == "__main__":
    main()
