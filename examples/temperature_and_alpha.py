"""Student quality against temperature and alpha, as a reader of Hinton's paper would expect.

    python examples/temperature_and_alpha.py
    python examples/temperature_and_alpha.py --data phoneme.parquet adult.parquet --rows 3000

A grid search distils a random forest into a tree and into a small MLP at every temperature and
alpha. Thanks to ``memory`` the teacher is fitted once per fold, not once per candidate. For every
table it prints the best pair of each student and what it gains over the defaults, with standard
errors over the folds, and draws log loss, AUC and agreement with the teacher into a PNG. Without
``--data`` the tables are two that scikit-learn ships: handwritten digits and breast cancer. Bad
options end it with exit code 2. Takes some minutes per table. Needs the ``examples`` extra.
"""

import tempfile
import time
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from command_line import (
    as_classes,
    bad_input,
    check_class_sizes,
    make_folder,
    make_parser,
    parse,
    positive,
    read_table,
)
from loan_report import make_teacher
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict

from skdistill import DistilledClassifier, MLPStudentClassifier, TreeStudentClassifier

TEMPERATURES = (0.5, 1.0, 2.0, 4.0, 8.0, 20.0)
ALPHAS = (0.2, 0.5, 0.8, 1.0)
DEFAULTS = {"temperature": 1.0, "alpha": 0.8}
HARD_LABELS = {"temperature": 1.0, "alpha": 0.0}  # without a soft term temperature has no effect
SHIPPED = {"digits": load_digits, "breast_cancer": load_breast_cancer}
TITLES = {
    "log_loss": "log loss (lower is better)",
    "auc": "AUC",
    "agreement": "agreement with the teacher",
}


def students(seed):
    """Return what is distilled into."""
    return {
        "tree of 16 leaves": TreeStudentClassifier(16),
        "MLP with 16 units": MLPStudentClassifier((16,), max_epochs=30, random_state=seed),
    }


def read(args):
    """Return columns and classes of every table, by its name."""
    if args.data is None:
        shipped = {name: SHIPPED[name](return_X_y=True, as_frame=True) for name in args.tables}
        return {name: (X, y.to_numpy()) for name, (X, y) in shipped.items()}
    tables = {}
    for path in args.data:
        X, y = read_table(path, args.target, args.rows, args.seed)
        check_class_sizes(y, args.folds, args.target)
        tables[path.stem] = X, as_classes(y)
    return tables


def quality(proba, y, teacher_proba):
    """Return the three numbers that are drawn."""
    of_class = proba[:, 1] if proba.shape[1] == 2 else proba
    return {
        "log_loss": log_loss(y, proba),
        "auc": roc_auc_score(y, of_class, multi_class="ovr"),
        "agreement": np.mean(proba.argmax(axis=1) == teacher_proba.argmax(axis=1)),
    }


def search(student, X, y, cv, teacher_proba, cache, seed):
    """Return the quality of a student on every fold, with one row per temperature and alpha."""

    def scores(model, X_test, y_test):  # the teacher of the fold has answered for these rows
        return quality(model.predict_proba(X_test), y_test, teacher_proba[X_test.index])

    model = DistilledClassifier(
        make_teacher(seed),
        student,
        label_correction=False,  # the loss as in the paper, and nothing beside it
        recalibration=False,
        augmentation=None,
        memory=cache,
        random_state=seed,
    )
    grid = [
        {name: [value] for name, value in HARD_LABELS.items()},
        {"temperature": TEMPERATURES, "alpha": ALPHAS},
    ]
    searched = GridSearchCV(model, grid, scoring=scores, refit=False, cv=cv, n_jobs=2).fit(X, y)
    found, folds = searched.cv_results_, range(searched.n_splits_)
    pairs = pd.MultiIndex.from_frame(pd.DataFrame(found["params"])[["temperature", "alpha"]])
    return {
        metric: pd.DataFrame({i: found[f"split{i}_test_{metric}"] for i in folds}).set_index(pairs)
        for metric in TITLES
    }


def mean_and_error(values):
    """Return the mean over folds, and its standard error."""
    return values.mean(axis=-1), values.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1])


def summary(name, losses):
    """Say what is best, and what it is worth beside the defaults and hard labels."""
    best = losses.mean(axis=1).idxmin()
    mean, error = mean_and_error(losses.loc[best].to_numpy())
    behind, errors = mean_and_error((losses - losses.loc[best]).to_numpy())
    behind, errors = (pd.Series(values, losses.index) for values in (behind, errors))
    lines = [f"{name}: T = {best[0]:g}, alpha = {best[1]:g}, log loss {mean:.4f} +- {error:.4f}"]
    for other, at in (("the defaults", DEFAULTS), ("hard labels", HARD_LABELS)):
        at = tuple(at.values())
        if at == best:
            continue
        lines.append(f"  ahead of {other} by {behind[at]:.4f} +- {errors[at]:.4f}, fold by fold")
    tied = behind <= 2 * errors
    are = "are" if tied[tuple(DEFAULTS.values())] else "are not"
    lines.append(f"  {tied.sum()} of {len(tied)} pairs lie within two standard errors of the best,")
    lines.append(f"  and the defaults {are} among them.")
    if behind[tuple(HARD_LABELS.values())] == 0:
        lines.append("  The student does best without this teacher.")
    return "\n".join(lines)


def mark_hard_labels(ax, values):
    """Draw what alpha = 0 gives, or write it down where it would squeeze everything else."""
    mean, error = mean_and_error(values)
    low, high = ax.get_ylim()
    if low - (high - low) < mean < high + (high - low):
        ax.axhspan(mean - error, mean + error, color="crimson", alpha=0.1, linewidth=0)
        ax.axhline(mean, color="crimson", linestyle="--", label="hard labels (alpha = 0)")
        return
    y, arrow = (0.97, "\N{UPWARDS ARROW}") if mean > high else (0.03, "\N{DOWNWARDS ARROW}")
    text = f"{arrow} hard labels: {mean:.2f} ± {error:.2f}"
    side = "top" if mean > high else "bottom"
    ax.text(0.5, y, text, color="crimson", ha="center", va=side, transform=ax.transAxes)


def draw(title, found, of_teacher, path):
    """Draw every student's quality against temperature, one line per alpha."""
    colours = mpl.colormaps["viridis"](np.linspace(0.85, 0.1, len(ALPHAS)))
    shifts = np.linspace(-0.06, 0.06, len(ALPHAS))  # so that error bars stand side by side
    figure, axes = plt.subplots(
        len(found), len(TITLES), figsize=(13, 3.6 * len(found)), layout="constrained", sharex=True
    )
    for row, (student, metrics) in zip(axes, found.items(), strict=True):
        for ax, (metric, values) in zip(row, metrics.items(), strict=True):
            for alpha, colour, shift in zip(ALPHAS, colours, shifts, strict=True):
                line = values.xs(alpha, level="alpha")
                mean, error = mean_and_error(line.to_numpy())
                style = {"color": colour, "marker": "o", "markersize": 4, "linewidth": 1.8}
                x = line.index.to_numpy() * 2**shift
                ax.errorbar(x, mean, error, **style, elinewidth=1, label=f"alpha = {alpha:g}")
            if metric != "agreement":
                teacher = of_teacher[metric].mean()
                ax.axhline(teacher, color="black", linestyle=":", label="teacher")
            mark_hard_labels(ax, values.loc[tuple(HARD_LABELS.values())].to_numpy())
            ax.set_xscale("log", base=2)
            ax.set_xticks(TEMPERATURES, [f"{t:g}" for t in TEMPERATURES])
            ax.set_title(f"{student}: {TITLES[metric]}", fontsize=11)
            ax.grid(alpha=0.25)
            ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("temperature T")
    entries = {}
    for ax in axes.flat:
        entries |= dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(
        entries.values(), entries, loc="outside lower center", ncols=len(entries), frameon=False
    )
    figure.suptitle(f"{title}: mean over folds, bars and bands are one standard error", fontsize=13)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    """Run the example."""
    parser = make_parser(__doc__, table=False)
    parser.add_argument(
        "--data", type=Path, nargs="+", help="parquet files; without it tables are those below"
    )
    parser.add_argument(
        "--tables",
        nargs="+",
        default=list(SHIPPED),
        choices=SHIPPED,
        help="tables that scikit-learn ships",
    )
    parser.add_argument("--target", default="target", help="their column with the classes")
    parser.add_argument(
        "--rows", type=positive, default=2000, help="draw at most this many rows of a file"
    )
    parser.add_argument("--folds", type=positive, default=5, help="folds of the grid search")
    parser.add_argument(
        "--out", type=Path, default=Path("temperature_and_alpha"), help="folder of the figures"
    )
    args = parse(parser)
    if args.folds < 2:
        raise bad_input("--folds: at least 2 are needed")
    tables = read(args)
    make_folder(args.out, "--out")
    for name, (X, y) in tables.items():
        compare(name, X, y, args)


def compare(name, X, y, args):
    """Search temperature and alpha on one table; print and draw what is found."""
    print(f"\n{name}: {X.shape[0]:,} rows, {len(np.unique(y))} classes", flush=True)
    cv = StratifiedKFold(args.folds, shuffle=True, random_state=args.seed)
    proba = cross_val_predict(make_teacher(args.seed), X, y, cv=cv, method="predict_proba")
    of_teacher = pd.DataFrame(
        [quality(proba[test], y[test], proba[test]) for _, test in cv.split(X, y)]
    )
    print(f"The teacher's log loss is {of_teacher['log_loss'].mean():.4f}", flush=True)
    found = {}
    with tempfile.TemporaryDirectory() as cache:
        for student, estimator in students(args.seed).items():
            start = time.perf_counter()
            found[student] = search(estimator, X, y, cv, proba, cache, args.seed)
            print(summary(student, found[student]["log_loss"]))
            print(f"  ({time.perf_counter() - start:.0f} s)", flush=True)
    path = args.out / f"{name}.png"
    draw(name.replace("_", " "), found, of_teacher, path)
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
