"""Readable students against other glassbox models: additive with pairs, trees, sums of trees.

    python benchmarks/glassbox.py --data FOLDER --csv lines.csv
    python benchmarks/glassbox.py --speed

The folder holds Parquet files with a column ``target``. For every table, seed and teacher this
prints, in one run: scores on the test part, KL to the teacher and CPU seconds of every student on
hard labels, imitating (``label_correction=False``) and at the default of `DistilledClassifier`,
where that is something else. The names end with "before" for what there was without pairs,
penalties per curve and lookahead.

Peers, where they are installed: interpret's EBM on hard labels and imitating by cross-entropy
(every row once per class, weighted by its label, all in the same side of every bag);
imodels' FIGS of 15 splits and LicketySPLIT of 16 leaves, fitted by least squares to the labels that
our students imitate. FIGS and LicketySPLIT get categories as ordinal codes and missing numbers as
medians, EBM the raw columns; what the two answer is clipped to within 1 / (rows + 2) of 0 and 1.
FIGS and LicketySPLIT are measured where there are two classes, EBM imitating up to ten.

Then the differences of pairs of models, table by table, are summarised beside what was to be shown.
Each line is added to ``--csv`` at once; a run that was stopped goes on where it was, one in which
all is done only prints the summary, and several may add to one file.

``--speed`` times instead: a row in C, SQL over 100,000 rows in DuckDB and fits of 10,000 rows, in
turn and in CPU seconds, so that the ratios, whose medians are printed, are of neighbours.
"""

import argparse
import resource
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from fit_speed import rows_and_forest, what_students_hear
from how_long import Clock
from quality import SCORES, make_teacher, measure, read_table
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    TreeStudentClassifier,
    TreeSumStudentClassifier,
    lean_scorer,
    to_sql,
)
from skdistill.fidelity import gap_closed
from skdistill.students.base import stated

SPLITS = 15

#: EBM imitates up to so many classes: every row is in its rows once per class.
MOST_CLASSES = 10

#: What becomes of the teacher's labels, by the name of the way.
WAYS = {"imitate": {"label_correction": False}, "default": {}}

#: Whether greater is better.
GREATER = {**SCORES, "kl": False}

#: The parts of a line that name it.
KEY = ["data", "teacher", "seed", "model", "labels"]


def students():
    """Return unfitted students by name."""
    return {
        "additive, before": LinearStudentClassifier(32, C=1.0),
        "additive": LinearStudentClassifier(),
        "additive, 10 pairs": LinearStudentClassifier(interactions=10),
        "additive, auto pairs": LinearStudentClassifier(interactions="auto"),
        "tree, before": TreeStudentClassifier(SPLITS + 1, lookahead=False),
        "tree": TreeStudentClassifier(SPLITS + 1),
        "sum of trees": TreeSumStudentClassifier(SPLITS),
    }


@dataclass(frozen=True)
class Split:
    """One table, divided by one seed."""

    X: pd.DataFrame
    X_test: pd.DataFrame
    y: np.ndarray
    y_test: np.ndarray
    seed: int

    @property
    def n_classes(self):
        """How many classes there are."""
        return len(np.unique(self.y))


@dataclass(frozen=True)
class Teacher:
    """A teacher of one split.

    ``inside`` is what goes into a distiller, ``mix`` what its students learn from: probabilities
    that include the share of the observed class, of shape (n_samples, n_classes).
    """

    kind: str
    inside: object
    proba: np.ndarray
    mix: np.ndarray
    memory: str


@dataclass(frozen=True)
class Fitted:
    """Probabilities of the test rows, and CPU seconds.

    ``fit`` is the model's own fit, ``total`` all but the teacher and its labels: correction and
    recalibration, too.
    """

    proba: np.ndarray
    fit: float
    total: float


@dataclass(frozen=True)
class Line:
    """What is fitted and scored: a model, on which labels, how, and up to how many classes."""

    model: str
    labels: str
    fit: Callable[[Split, Teacher], Fitted]
    most_classes: float = np.inf


def teach(kind, split, trees, memory):
    """Fit a teacher and have it label the training rows."""
    outside = make_teacher(kind, split.X, trees, split.seed).fit(split.X, split.y)
    # An outside boosting teacher has no honest labels for its own rows: fit it inside.
    inside = outside if kind == "forest" else make_teacher(kind, split.X, 0, split.seed)
    heard, temperature, alpha = what_students_hear(
        inside, split.X, split.y, memory=memory, random_state=split.seed
    )
    mix, _ = heard.soft_targets(temperature, alpha).mixed()
    labelled = mix[heard.origin == 0]  # in the order of X
    return Teacher(kind, inside, outside.predict_proba(split.X_test), labelled, memory)


def cpu_seconds():
    """Return what this process and its children have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(fit, predict_proba, X_test):
    """Fit by `fit()`, which returns a model, and ask for the probabilities of the test rows."""
    start = cpu_seconds()
    model = fit()
    seconds = cpu_seconds() - start
    return Fitted(predict_proba(model, X_test), seconds, seconds)


def by_predict_proba(model, X):
    return model.predict_proba(X)


def with_seed(student, seed):
    return student.set_params(
        **{name: seed for name in student.get_params() if name == "random_state"}
    )


def student_on_hard_labels(name):
    def fit(split, teacher):
        student = with_seed(students()[name], split.seed)
        return timed(lambda: student.fit(split.X, split.y), by_predict_proba, split.X_test)

    return fit


def distilled_student(name, way):
    def fit(split, teacher):
        clock = Clock()
        model = DistilledClassifier(
            teacher.inside,
            students()[name],
            memory=teacher.memory,
            random_state=split.seed,
            **WAYS[way],
        ).set_callbacks(clock)
        whole = timed(lambda: model.fit(split.X, split.y), by_predict_proba, split.X_test)
        return Fitted(whole.proba, clock.seconds["training"], whole.total)

    return fit


def own_lines():
    """List students on hard labels and distilled, by default where that is not to imitate.

    What there was before imitated by default.
    """
    lines = []
    for name, student in students().items():
        corrects = stated(student, "gains_from_label_correction") and not name.endswith("before")
        ways = ["imitate", "default"] if corrects else ["imitate"]
        lines.append(Line(name, "hard", student_on_hard_labels(name)))
        lines += [Line(name, way, distilled_student(name, way)) for way in ways]
    return lines


def sides_of_bags(y, n_bags, seed):
    """Choose 15 % of each class for validation in every bag, as EBM does: 1 trains, -1 does not."""
    rng = np.random.default_rng(seed)
    side = np.ones((len(y), n_bags), dtype=np.int8)
    for bag in range(n_bags):
        for label in np.unique(y):
            rows = rng.permutation(np.flatnonzero(y == label))
            side[rows[: max(1, round(0.15 * len(rows)))], bag] = -1
    return side


def ebm_lines(n_pairs, n_bags):
    """List interpret's additive models with a number of pairs."""
    from interpret.glassbox import ExplainableBoostingClassifier

    def model(seed):
        return ExplainableBoostingClassifier(
            interactions=n_pairs, outer_bags=n_bags, random_state=seed, n_jobs=1
        )

    def hard(split, teacher):
        return timed(
            lambda: model(split.seed).fit(split.X, split.y), by_predict_proba, split.X_test
        )

    def imitate(split, teacher):
        side = sides_of_bags(split.y, n_bags, split.seed)
        rows, label = np.nonzero(teacher.mix > 0)
        return timed(
            lambda: model(split.seed).fit(
                split.X.iloc[rows],
                np.unique(split.y)[label],
                sample_weight=teacher.mix[rows, label],
                bags=side[rows],
            ),
            by_predict_proba,
            split.X_test,
        )

    name = "EBM" if n_pairs == 0 else f"EBM, {n_pairs} pairs"
    return [Line(name, "hard", hard), Line(name, "imitate", imitate, most_classes=MOST_CLASSES)]


def as_numbers(split):
    """Return training and test rows as arrays without missing values."""
    encode = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1
    )
    words = make_column_selector(dtype_include="category")
    columns = make_column_transformer((encode, words), remainder=SimpleImputer(strategy="median"))
    return columns.fit_transform(split.X), columns.transform(split.X_test)


def least_squares_line(name, fit):
    """Make the line of a regressor of the probability of the second class; `fit(X, p, seed)`."""

    def fit_line(split, teacher):
        X, X_test = as_numbers(split)

        def answers(model, X_test):
            least = 1 / (len(X) + 2)
            proba = np.clip(model.predict(X_test), least, 1 - least)
            return np.column_stack([1 - proba, proba])

        return timed(lambda: fit(X, teacher.mix[:, 1], split.seed), answers, X_test)

    return Line(name, "imitate", fit_line, most_classes=2)


def fit_figs(X, target, seed):
    from imodels import FIGSRegressor

    return FIGSRegressor(max_rules=SPLITS, random_state=seed).fit(X, target)


def cuts_of_boosting(X, target, seed, n_cuts=60):
    """Choose cuts by their gain in a boosting (McTavish et al., AAAI 2022)."""
    boosting = GradientBoostingRegressor(
        n_estimators=60, max_depth=2, learning_rate=0.3, random_state=seed
    ).fit(X, target)
    gains = {}
    for (regressor,) in boosting.estimators_:
        tree = regressor.tree_
        loss = tree.weighted_n_node_samples * tree.impurity
        for node in np.flatnonzero(tree.children_left >= 0):
            below = loss[tree.children_left[node]] + loss[tree.children_right[node]]
            cut = int(tree.feature[node]), float(tree.threshold[node])
            gains[cut] = gains.get(cut, 0.0) + loss[node] - below
    return sorted(sorted(gains, key=gains.get)[-n_cuts:])


class OnCuts:
    """A model of the columns ``X[:, j] <= cut`` of zeros and ones."""

    def __init__(self, model, cuts):
        self.model, self.cuts = model, cuts

    def binary(self, X):
        """Return the columns of zeros and ones."""
        return np.column_stack([X[:, j] <= cut for j, cut in self.cuts]).astype(int)

    def predict(self, X):
        """Predict, as the model does."""
        return self.model.predict(self.binary(X))


def fit_licketysplit(X, target, seed, depth=8):
    """Fit with the smallest penalty, by bisection, that leaves no more leaves than there may be."""
    from licketysplit import LicketySPLITRegressor

    best = OnCuts(None, cuts_of_boosting(X, target, seed))
    binary = best.binary(X)
    low, high = 1e-6, 1e-1
    for _ in range(9):
        penalty = np.sqrt(low * high)
        model = LicketySPLITRegressor(lambda_leaf=penalty, depth_budget=depth, lookahead_k=1)
        model.fit(binary, target)
        if len(model.leaf_paths()) <= SPLITS + 1:
            best.model, high = model, penalty
        else:
            low = penalty
    return best


def peer_lines(n_bags):
    """List the lines of peers that are installed, and say which are not."""
    lines = {
        "interpret": lambda: [*ebm_lines(0, n_bags), *ebm_lines(10, n_bags)],
        "imodels": lambda: [least_squares_line("FIGS", fit_figs)],
        "licketysplit": lambda: [least_squares_line("LicketySPLIT", fit_licketysplit)],
    }
    for name in lines:
        if not find_spec(name):
            print(f"{name} is not installed: its lines are left out")
    return [line for name, make in lines.items() if find_spec(name) for line in make()]


def attempt(line, split, teacher):
    """Fit a line; print the error and return None if that fails: a peer must not end the run."""
    try:
        return line.fit(split, teacher)
    except Exception:
        traceback.print_exc()
        return None


def run_split(data, split, todo, args, write):
    """Fit and score some lines of one table and seed, given by kind of teacher.

    What is fitted to hard labels is fitted once for all teachers.
    """
    classes, on_hard_labels = np.unique(split.y), {}
    for kind, lines in todo.items():
        with tempfile.TemporaryDirectory() as memory:
            teacher = teach(kind, split, args.trees, memory)
            for line in lines:
                if line.labels == "hard" and line not in on_hard_labels:
                    on_hard_labels[line] = attempt(line, split, None)
                is_hard = line.labels == "hard"
                fitted = on_hard_labels[line] if is_hard else attempt(line, split, teacher)
                if fitted is None:
                    print(f"{data} {kind} {split.seed} {line.model} {line.labels}: FAILED")
                    continue
                scores = measure(split.y_test, fitted.proba, teacher.proba, classes)
                key = (data, kind, split.seed, line.model, line.labels)
                seconds = {"fit": fitted.fit, "total": fitted.total}
                write({**dict(zip(KEY, key, strict=True)), **scores, **seconds})


def run(paths, lines, args):
    """Fit and score what the file of lines lacks; return all of its lines that were asked for."""
    kept = read_lines(args.csv)

    def write(line):
        kept.append(line)
        if args.csv:
            pd.DataFrame([line]).to_csv(
                args.csv, mode="a", header=not args.csv.exists(), index=False
            )
        shown = "  ".join(f"{name} {line[name]:.4f}" for name in GREATER)
        labels = f"{line['data']:18s} {line['teacher']:8s} {line['seed']} {line['model']:20s}"
        seconds = f"{line['fit']:.2f} of {line['total']:.2f} CPU s"
        print(f"{labels} {line['labels']:8s} {shown}  {seconds}", flush=True)

    done = {tuple(line[name] for name in KEY) for line in kept}
    for seed in args.seeds:
        for data in args.tables or paths:
            split = Split(*read_table(paths[data], args.rows, seed), seed)
            possible = [line for line in lines if split.n_classes <= line.most_classes]
            todo = {
                kind: [
                    line
                    for line in possible
                    if (data, kind, seed, line.model, line.labels) not in done
                ]
                for kind in args.teachers
            }
            run_split(data, split, {k: left for k, left in todo.items() if left}, args, write)
    results = pd.DataFrame(kept)
    asked = results.data.isin(args.tables or paths) & results.teacher.isin(args.teachers)
    return results[asked & results.seed.isin(args.seeds)]


def read_lines(path):
    """Return the lines that earlier runs have kept."""
    if path is None or not path.exists():
        return []
    return pd.read_csv(path, keep_default_na=False, na_values=["nan"]).to_dict("records")


@dataclass(frozen=True)
class Comparison:
    """The scores of all lines of one teacher, with a row per table and seed.

    A line is named by model and labels. "distilled" labels are the default where the model has
    one, else those that imitate.
    """

    wide: pd.DataFrame

    def scores(self, line, score):
        """Return the scores of a line by table and seed, none if it was not measured."""
        model, labels = line
        if labels == "distilled":
            labels = "default" if (score, model, "default") in self.wide else "imitate"
        if (score, model, labels) not in self.wide:
            return pd.Series(dtype=float, index=self.wide.index[:0])
        return self.wide[score, model, labels].dropna()

    def better(self, ours, theirs, score):
        """Return by how much one line is better than another, by table."""
        sign = 1 if GREATER[score] else -1
        difference = sign * (self.scores(ours, score) - self.scores(theirs, score))
        return difference.dropna().groupby("data").mean()

    def ratio(self, ours, theirs):
        """Return how many times the seconds of another line a fit takes, by table."""
        ratio = self.scores(ours, "fit") / self.scores(theirs, "fit")
        return ratio.dropna().groupby("data").median()

    def gaps(self, ours, hard, score):
        """Return the share of the gap between hard labels and the teacher, by table."""
        lines = {"teacher": ("teacher", ""), "student": ours, "hard": hard}
        means = pd.DataFrame({k: self.scores(line, score) for k, line in lines.items()})
        means = means.dropna().groupby("data").mean()
        gaps = [
            gap_closed(float(t), float(s), float(h), greater_is_better=GREATER[score])
            for t, s, h in means.itertuples(index=False)
        ]
        return pd.Series(gaps, index=means.index, dtype=float)


def comparison_of(results, teacher):
    wide = results[results.teacher == teacher].pivot_table(
        index=["data", "seed"], columns=["model", "labels"], values=[*GREATER, "fit", "total"]
    )
    return Comparison(wide)


#: What was to be shown: ours, the other, score, smallest mean difference, fewest tables of 13.
DIFFERENCES = [
    (("additive, 10 pairs", "distilled"), ("additive, before", "hard"), "log_loss", None, 11),
    (("additive, 10 pairs", "distilled"), ("additive, 10 pairs", "hard"), "log_loss", None, None),
    (("additive, 10 pairs", "distilled"), ("EBM, 10 pairs", "hard"), "log_loss", None, 9),
    (("additive, 10 pairs", "imitate"), ("EBM, 10 pairs", "imitate"), "kl", None, 9),
    (("additive, 10 pairs", "imitate"), ("EBM, 10 pairs", "imitate"), "log_loss", None, None),
    (("additive", "distilled"), ("EBM", "hard"), "log_loss", 0.0, None),
    (("additive", "imitate"), ("EBM", "imitate"), "kl", None, None),
    (("additive", "distilled"), ("additive", "hard"), "log_loss", None, None),
    (("additive", "distilled"), ("additive", "imitate"), "log_loss", None, None),
    (("additive", "distilled"), ("additive, before", "imitate"), "log_loss", None, None),
    (("additive, auto pairs", "distilled"), ("additive", "distilled"), "log_loss", None, None),
    (
        ("additive, auto pairs", "distilled"),
        ("additive, 10 pairs", "distilled"),
        "log_loss",
        None,
        None,
    ),
    (("tree", "distilled"), ("tree, before", "imitate"), "log_loss", 0.009, 10),
    (("tree", "distilled"), ("tree, before", "imitate"), "auc", 0.01, 10),
    (("sum of trees", "distilled"), ("tree, before", "imitate"), "ap", 0.025, None),
    *[
        ((ours, "imitate"), (theirs, "imitate"), score, 0.0, None)
        for ours, theirs in (("sum of trees", "FIGS"), ("tree", "LicketySPLIT"))
        for score in SCORES
    ],
]

#: Shares of the gap between hard labels and the teacher: ours, on which hard labels, score, least.
GAPS = [
    (("additive, before", "imitate"), ("additive, before", "hard"), "log_loss", None),
    (("additive, before", "imitate"), ("additive, before", "hard"), "ap", None),
    (("additive, 10 pairs", "distilled"), ("additive, before", "hard"), "log_loss", 0.5),
    (("additive, 10 pairs", "distilled"), ("additive, before", "hard"), "ap", 0.4),
    (("additive, 10 pairs", "distilled"), ("additive, 10 pairs", "hard"), "log_loss", None),
    (("additive, 10 pairs", "distilled"), ("additive, 10 pairs", "hard"), "ap", None),
]

#: Times of fits: ours, the other, the largest median ratio.
RATIOS = [
    (("additive, 10 pairs", "imitate"), ("EBM, 10 pairs", "hard"), 0.2),
    (("additive, 10 pairs", "imitate"), ("EBM, 10 pairs", "imitate"), 0.2),
    (("additive, 10 pairs", "imitate"), ("additive, before", "imitate"), None),
    (("tree", "imitate"), ("tree, before", "imitate"), None),
]


def named(line):
    return ", ".join(line) if line[1] else line[0]


def difference_row(compared, ours, theirs, score, least, fewest):
    better = compared.better(ours, theirs, score)
    wanted = [] if least is None else [f"mean >= {least}"]
    wanted += [] if fewest is None else [f"{fewest} of 13"]
    return {
        "ours": named(ours),
        "than": named(theirs),
        "better in": score,
        "wanted": ", ".join(wanted),
        "mean": f"{better.mean():+.4f}",
        "better on": int((better > 0).sum()),
        "tables": len(better),
    }


def gap_row(compared, ours, hard, score, least):
    gaps = compared.gaps(ours, hard, score)
    return {
        "ours": named(ours),
        "on hard labels": named(hard),
        "score": score,
        "wanted": "" if least is None else f">= {least} (forest)",
        "median gap closed": f"{gaps.median():.3f}",
        "with a gap": gaps.count(),
        "tables": len(gaps),
    }


def ratio_row(compared, ours, theirs, largest):
    ratio = compared.ratio(ours, theirs)
    return {
        "ours": named(ours),
        "than": named(theirs),
        "wanted": "" if largest is None else f"<= {largest}",
        "median ratio": f"{ratio.median():.3f}",
        "largest": f"{ratio.max():.3f}",
        "tables": len(ratio),
    }


def means_of(results):
    """Return mean scores and median seconds of every line, over the tables and seeds it has."""
    how = dict.fromkeys(GREATER, "mean") | {"fit": "median", "total": "median", "data": "nunique"}
    means = results.groupby(["model", "labels"], sort=False).agg(how)
    return means.rename(columns={"data": "tables"}).round(4)


def worst_tables(compared, line, other, score):
    """Say on which tables one line loses to another, the worst first."""
    better = compared.better(line, other, score)
    losses = better[better < 0].sort_values()
    lost = ", ".join(f"{data} {value:+.4f}" for data, value in losses.items())
    lost = lost or ("none" if len(better) else "not measured")
    return f"  {named(line)} against {named(other)}: {lost}"


def measured(rows):
    """Make a table of the comparisons of which both lines were measured."""
    return pd.DataFrame([row for row in rows if row["tables"]])


def summarise(results):
    """Print, for each teacher, means, gaps closed, differences and ratios of times."""
    for teacher in results.teacher.unique():
        compared = comparison_of(results, teacher)
        tables = {
            "means, and medians of CPU seconds": means_of(results[results.teacher == teacher]),
            "share of the gap between hard labels and the teacher": measured(
                gap_row(compared, *gap) for gap in GAPS
            ),
            "positive differences are better": measured(
                difference_row(compared, *each) for each in DIFFERENCES
            ),
            "CPU seconds of fits": measured(ratio_row(compared, *each) for each in RATIOS),
        }
        for title, table in tables.items():
            print(f"\n{teacher}: {title}")
            print(table.to_string(index=title.startswith("means")))
        print(f"\n{teacher}: where ours loses in log loss or KL")
        for ours, theirs, score, *wanted in DIFFERENCES:
            if score in ("log_loss", "kl") and wanted != [None, None]:
                print(worst_tables(compared, ours, theirs, score))


def in_turn(calls, rounds):
    """Time calls by name in turn; return CPU seconds of shape (rounds, n_calls)."""
    seconds = []
    for _ in range(rounds):
        line = {}
        for name, call in calls.items():
            start = time.process_time()
            call()
            line[name] = time.process_time() - start
        seconds.append(line)
    return pd.DataFrame(seconds)


def print_times(title, seconds, unit, factor, pairs):
    """Print medians, and medians of the ratios of neighbours: (ours, other, what was wanted)."""
    print(f"\n{title}: median, {unit}")
    for name, value in seconds.median().items():
        print(f"  {name:22s} {factor * value:10.3f}")
    for ours, theirs, wanted in pairs:
        ratio = (seconds[ours] / seconds[theirs]).median()
        print(f"  {ours} / {theirs}: {ratio:.2f}{f' (wanted <= {wanted})' if wanted else ''}")


def all_rows(score, rows):
    """Return a call that scores rows one by one."""

    def call():
        for row in rows:
            score(row)

    return call


def time_rows(fitted, X):
    """Time single rows, through Python, and batches, in which C hardly waits for Python."""
    pairs = [
        ("additive, 10 pairs", "additive, before", 1.5),
        ("sum of trees", "tree, before", 1.5),
        ("tree", "tree, before", None),
    ]
    scorers = {name: lean_scorer(student, "c") for name, student in fitted.items()}
    rows = X[:500].tolist()
    single = in_turn({name: all_rows(each, rows) for name, each in scorers.items()}, 200)
    print_times("One row by the lean scorer in C", single / len(rows), "microseconds", 1e6, pairs)
    batch = in_turn({name: lambda s=each: s.batch(X) for name, each in scorers.items()}, 50)
    print_times("A row of a batch in C", batch / len(X), "microseconds", 1e6, pairs)


def time_sql(fitted, n_rows):
    """Time the sum of the probabilities over a table in DuckDB, on one thread."""
    import duckdb

    rng = np.random.default_rng(0)
    n_columns = next(iter(fitted.values())).n_features_in_
    frame = pd.DataFrame(rng.normal(size=(n_rows, n_columns)).astype(np.float32)).add_prefix("x")
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("CREATE TABLE rows_to_score AS SELECT * FROM frame")
        names = ["additive", "additive, 10 pairs", "tree", "sum of trees"]
        queries = {
            name: "SELECT sum(probability_1) FROM "
            f"({to_sql(fitted[name], table='rows_to_score').content})"
            for name in names
        }
        calls = {
            name: lambda sql=sql: connection.execute(sql).fetchall()
            for name, sql in queries.items()
        }
        in_turn(calls, 1)
        seconds = in_turn(calls, 5)
    pairs = [("additive, 10 pairs", "additive", 3), ("sum of trees", "tree", None)]
    print_times(f"SQL over {len(frame):,} rows in DuckDB", seconds, "seconds", 1.0, pairs)


def time_fits(heard):
    """Time fits to labels that are there already."""
    calls = {name: lambda s=each: s.distill(*heard) for name, each in students().items()}
    pairs = [
        ("additive, 10 pairs", "additive, before", None),
        ("additive", "additive, before", None),
        ("additive, auto pairs", "additive, before", None),
        ("tree", "tree, before", None),
        ("sum of trees", "tree, before", None),
    ]
    print_times(f"Fits of {heard[0].X.shape[0]:,} rows", in_turn(calls, 3), "seconds", 1.0, pairs)


def measure_speed(n_rows=10_000, n_columns=30, n_sql_rows=100_000):
    """Time rows, SQL and fits of students of one forest."""
    X, y, forest = rows_and_forest(n_rows, n_columns)
    print(f"{n_rows:,} rows, {n_columns} columns, a forest of 100 trees, one thread")
    with threadpool_limits(1):
        heard = what_students_hear(forest, X, y)
        fitted = {
            name: student.distill(*heard)
            for name, student in students().items()
            if name != "additive, auto pairs"
        }
        time_rows(fitted, X)
        time_sql(fitted, n_sql_rows)
        time_fits(heard)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speed", action="store_true", help="time rows, SQL and fits instead")
    parser.add_argument("--data", type=Path, help="folder of Parquet files")
    parser.add_argument("--tables", nargs="*", help="names of the tables, default all")
    parser.add_argument("--rows", type=int, default=10_000, help="rows per table, 0 for all")
    parser.add_argument("--trees", type=int, default=300, help="trees of the forest teacher")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--teachers", nargs="*", default=["forest", "lightgbm"])
    parser.add_argument("--models", nargs="*", help="names of models, default all; 'EBM' is one")
    parser.add_argument("--bags", type=int, default=14, help="outer bags of EBM; fewer are faster")
    parser.add_argument("--csv", type=Path, help="file that every line is added to")
    args = parser.parse_args()
    if not args.speed and args.data is None:
        parser.error("pass --data FOLDER, or --speed")
    return args


def teacher_line():
    def fit(split, teacher):
        return Fitted(teacher.proba, 0.0, 0.0)

    return Line("teacher", "", fit)


def main():
    args = parse_args()
    warnings.simplefilter("ignore")
    if args.speed:
        measure_speed()
        return
    paths = {path.stem: path for path in sorted(args.data.glob("*.parquet"))}
    lines = [teacher_line(), *own_lines(), *peer_lines(args.bags)]
    if args.models:
        lines = [line for line in lines if line.model in [*args.models, "teacher"]]
    summarise(run(paths, lines, args))


if __name__ == "__main__":
    main()
