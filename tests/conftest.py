"""Shared data: small, made once, never changed."""

import os

# Before NumPy is imported: the workers of pytest-xdist share the cores, and array-API checks skip
# (or, on scikit-learn 1.6, raise) without the second.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier


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
def rng():
    return np.random.default_rng(0)
