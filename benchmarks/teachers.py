"""What do teachers do with what they were not fitted on? Prints the tables of docs/teachers.md.

    pip install imbalanced-learn==0.14.2; python benchmarks/teachers.py

No skdistill is asked: this is what the vendors themselves do. Frames of other containers are not
handed to LightGBM, which ends the process on some.
"""

import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
import polars as pl
from catboost import CatBoostClassifier
from imblearn.ensemble import (
    BalancedRandomForestClassifier,
    EasyEnsembleClassifier,
    RUSBoostClassifier,
)
from lightgbm import LGBMClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from xgboost import XGBClassifier

PACKAGES = (
    "scikit-learn",
    "xgboost-cpu",
    "lightgbm",
    "catboost",
    "imbalanced-learn",
    "pandas",
    "polars",
)
LEVELS = ["b", "d", "f"]
MEANING = {"b": 0.1, "d": 0.9, "f": 0.2}


def categorical(values, categories=LEVELS):
    return pd.DataFrame({"c": pd.Categorical(values, categories=categories)})


def categorical_teachers():
    rng = np.random.default_rng(0)
    c = rng.choice(LEVELS, 6000)
    y = (rng.random(6000) < np.array([MEANING[level] for level in c])).astype(int)
    X = categorical(c)
    teachers = {
        "HistGradientBoosting": HistGradientBoostingClassifier(),
        "XGBoost": XGBClassifier(enable_categorical=True),
        "LightGBM": LGBMClassifier(verbose=-1),
        "CatBoost": CatBoostClassifier(
            cat_features=("c",), verbose=0, iterations=200, allow_writing_files=False
        ),
    }
    return {name: teacher.fit(X, y) for name, teacher in teachers.items()}


def numeric_teachers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 1))
    y = (rng.random(4000) < np.where(X[:, 0] > 0.5, 0.9, 0.1)).astype(int)
    teachers = {
        "DecisionTree, forests": RandomForestClassifier(100, max_depth=3, random_state=0),
        "ExtraTrees": ExtraTreesClassifier(100, max_depth=3, random_state=0),
        "GradientBoosting": GradientBoostingClassifier(max_depth=2),
        "HistGradientBoosting": HistGradientBoostingClassifier(max_leaf_nodes=4),
        "XGBoost": XGBClassifier(max_depth=2),
        "LightGBM": LGBMClassifier(num_leaves=4, verbose=-1),
        "CatBoost": CatBoostClassifier(verbose=0, iterations=100, allow_writing_files=False),
    }
    return {name: teacher.fit(X, y) for name, teacher in teachers.items()}


def answer(teacher, X):
    """Return the mean probability, or what is raised."""
    try:
        return f"{teacher.predict_proba(X)[:, 1].mean():.2f}"
    except Exception as error:
        return type(error).__name__


def print_table(names, rows):
    print("\n| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def missing_numbers():
    for name, teacher in numeric_teachers().items():
        low, high = (answer(teacher, np.full((1, 1), value)) for value in (-2.0, 2.0))
        yield name, low, high, answer(teacher, np.full((1, 1), np.nan))


def categories():
    for name, teacher in categorical_teachers().items():
        known = " / ".join(answer(teacher, categorical([level])) for level in LEVELS)
        unseen = [
            answer(teacher, categorical([new], [*LEVELS, new])) for new in ("a", "c", "e", "g")
        ]
        absent = answer(teacher, categorical([None]))
        turned = " / ".join(answer(teacher, categorical([k], LEVELS[::-1])) for k in LEVELS)
        yield name, known, *unseen, absent, "the same" if turned == known else turned


def containers():
    frames = {
        "pandas str": categorical(LEVELS).astype({"c": "str"}),
        "pandas object": categorical(LEVELS).astype({"c": object}),
        "polars String": pl.DataFrame({"c": LEVELS}),
        "polars Categorical": pl.DataFrame({"c": pl.Series(LEVELS, dtype=pl.Categorical)}),
        "polars Enum": pl.DataFrame({"c": pl.Series(LEVELS, dtype=pl.Enum(LEVELS))}),
    }
    y = np.arange(300) % 2

    def fits(teacher, frame):
        many = (pl.concat if isinstance(frame, pl.DataFrame) else pd.concat)([frame] * 100)
        try:
            teacher.fit(many, y)
        except Exception as error:
            return type(error).__name__
        return "yes"

    for name, frame in frames.items():
        yield (
            name,
            fits(HistGradientBoostingClassifier(), frame),
            fits(XGBClassifier(enable_categorical=True, n_estimators=2), frame),
            fits(
                CatBoostClassifier(
                    cat_features=("c",), verbose=0, iterations=2, allow_writing_files=False
                ),
                frame,
            ),
        )


def bags():
    """Count how often the positives are in a tree's bag, where they are 2 % of the rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3))
    y = (np.arange(2000) < 40).astype(int)
    heavy = np.where(y == 1, 49.0, 1.0)
    for name, params, weight in (
        ("none", {}, None),
        ("sample_weight", {}, heavy),
        ('class_weight="balanced"', {"class_weight": "balanced"}, None),
        ('class_weight="balanced_subsample"', {"class_weight": "balanced_subsample"}, None),
    ):
        forest = RandomForestClassifier(20, random_state=0, **params).fit(X, y, weight)
        inside = [np.isin(np.flatnonzero(y), bag).mean() for bag in forest.estimators_samples_]
        yield name, f"{np.mean(inside):.2f}"


def balanced():
    """Compare the mean probability with the share of the positives, on fresh rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 8))
    score = X[:, 0] + X[:, 1] * X[:, 2] + rng.logistic(size=60_000)
    y = (score > np.quantile(score, 0.99)).astype(int)
    fit, fresh = slice(0, 20_000), slice(20_000, None)
    weighted = {"n_estimators": 100, "min_samples_leaf": 5, "random_state": 0}
    for name, teacher in {
        "EasyEnsembleClassifier": EasyEnsembleClassifier(10, random_state=0),
        "RUSBoostClassifier": RUSBoostClassifier(n_estimators=50, random_state=0),
        "BalancedRandomForestClassifier": BalancedRandomForestClassifier(100, random_state=0),
        "AdaBoostClassifier": AdaBoostClassifier(random_state=0),
        'RandomForestClassifier(class_weight="balanced", min_samples_leaf=5)': (
            RandomForestClassifier(class_weight="balanced", **weighted)
        ),
        "RandomForestClassifier": RandomForestClassifier(100, random_state=0),
        "HistGradientBoostingClassifier": HistGradientBoostingClassifier(random_state=0),
    }.items():
        p = teacher.fit(X[fit], y[fit]).predict_proba(X[fresh])[:, 1]
        yield name, f"{p.mean() / y[fresh].mean():.1f}", f"{p.min():.3f} to {p.max():.3f}"


def main():
    warnings.simplefilter("ignore")
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES))
    print_table(["fitted without missing numbers", "low", "high", "missing"], missing_numbers())
    print_table(
        ["fitted on b, d, f", "b / d / f", "a", "c", "e", "g", "missing", "categories reordered"],
        categories(),
    )
    print_table(["text as", "HistGradientBoosting", "XGBoost", "CatBoost"], containers())
    print_table(["weights", "share of the bags that hold a heavy row"], bags())
    print_table(["teacher", "mean probability over prevalence", "answers"], balanced())


if __name__ == "__main__":
    main()
