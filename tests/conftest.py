"""Shared data: small, made once, never changed."""

import os
from importlib.util import find_spec

# Before NumPy is imported: the workers of pytest-xdist share the cores, and array-API checks skip
# (or, on scikit-learn 1.6, raise) without the second.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

collect_ignore = [] if find_spec("torch") and find_spec("skorch") else ["test_mlp.py"]


@pytest.fixture(scope="session")
def binary_task():
    X, y = make_classification(600, 8, n_informative=5, flip_y=0.1, random_state=0)
    return X, y


@pytest.fixture(scope="session")
def multiclass_task():
    X, y = make_classification(
        600, 8, n_informative=6, n_classes=3, flip_y=0.1, n_clusters_per_class=1, random_state=0
    )
    return X, y


@pytest.fixture(scope="session")
def forest(binary_task):
    return RandomForestClassifier(40, random_state=0).fit(*binary_task)


@pytest.fixture
def close_figures():
    yield
    pytest.importorskip("matplotlib.pyplot").close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def mixed_frame():
    """Return a function that makes a frame, two classes and values."""
    return make_mixed_frame


def make_mixed_frame(n=400, seed=0):
    """Numbers with gaps, integers, booleans, strings and categories; y depends on all kinds."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "amount": np.where(rng.random(n) < 0.1, np.nan, rng.gamma(2, 50, n)),
            "count": rng.integers(0, 9, n),
            "flag": rng.random(n) < 0.5,
            "city": rng.choice(["Graz", "Linz", "Wien", None], n),
            "kind": pd.Categorical(rng.choice(["a", "b", "c"], n)),
        }
    )
    score = (frame["amount"].fillna(300) > 100) + 2.0 * (frame["kind"] == "b")
    score = score + (frame["city"].isna()) + 0.2 * frame["count"]
    return frame, (score > score.median()).to_numpy().astype(int), score.to_numpy()


@pytest.fixture(scope="session")
def students(mixed_frame):
    """One fitted student of every kind; the classifiers with three string classes."""
    pytest.importorskip("skorch")
    from skdistill import (
        LinearStudentClassifier,
        LinearStudentRegressor,
        MLPStudentClassifier,
        MLPStudentRegressor,
        SoftTreeStudentClassifier,
        TreeStudentClassifier,
        TreeStudentRegressor,
        TreeSumStudentClassifier,
        TreeSumStudentRegressor,
    )

    mlp = {"hidden_layer_sizes": (16,), "max_epochs": 3, "random_state": 0}
    named = (("amount", "city"), (0, 1), ("flag", "city"))
    frame, _, values = mixed_frame()
    joint = 5 * ((frame["amount"] > 100) & (frame["city"] == "Graz")).to_numpy()
    classes = np.array(["low", "mid", "hïgh"], dtype=object)
    classes = classes[(values > 1.5).astype(int) + (values > 3)]
    return {
        "tree": TreeStudentClassifier(random_state=3).fit(frame, classes),
        "tree_regressor": TreeStudentRegressor(max_depth=4).fit(frame, values),
        "linear": LinearStudentClassifier(8, max_categories=3).fit(frame, classes),
        "linear_regressor": LinearStudentRegressor(np.int64(6), C=2.0).fit(frame, values),
        "mlp": MLPStudentClassifier(**mlp).fit(frame, classes),
        "mlp_regressor": MLPStudentRegressor(**mlp).fit(frame, values),
        "soft_tree": SoftTreeStudentClassifier(2, max_epochs=3, random_state=0).fit(frame, classes),
        "pairs": LinearStudentClassifier(8, interactions=7, max_categories=3).fit(frame, classes),
        "pairs_regressor": LinearStudentRegressor(6, interactions=named, interaction_bins=3).fit(
            frame, values + joint
        ),
        "tree_sum": TreeSumStudentClassifier(9).fit(frame, classes),
        "tree_sum_regressor": TreeSumStudentRegressor().fit(frame, values),
    }
