"""Copies of rows: found, held out together, and told from rows that are equal by chance."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold

from skdistill import DistilledClassifier, LinearStudentClassifier, TreeStudentClassifier
from skdistill.teacher.copies import find_copies
from skdistill.teacher.labelling import folds


def oversampled(X, y, seed=0):
    """Draw rows of the smaller class again until both are as frequent."""
    rng = np.random.default_rng(seed)
    few = np.flatnonzero(y == 1)
    rows = np.concatenate([np.arange(len(y)), rng.choice(few, len(y) - 2 * len(few))])
    return rng.permutation(rows)


def coin_flips(n_samples=1500, share=0.1):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_samples, 5)), (rng.random(n_samples) < share).astype(int)


class TestFind:
    def test_oversampled_rows_are_copies(self):
        X, y = coin_flips()
        rows = oversampled(X, y)
        found = find_copies(X[rows], y[rows])
        once = np.bincount(rows)[rows] == 1
        assert found.n_copied == (~once).sum()
        assert found.most == np.bincount(rows).max()
        for row in rows[~once][:20]:
            assert len(set(found.group[rows == row])) == 1
        assert len(np.unique(found.group)) == len(np.unique(rows))
        assert find_copies(X, y) is None

    @pytest.mark.parametrize("kind", ["frame", "sparse", "strings"])
    def test_in_any_container(self, kind):
        X, y = coin_flips()
        rows = oversampled(X, y)
        if kind == "sparse":
            table = sp.csr_array(np.where(np.abs(X) < 1, 0, X))[rows]
        elif kind == "strings":
            names = np.array([f"customer {i}" for i in range(len(X))], dtype=object)
            table = pd.DataFrame({"name": names, "digit": np.arange(len(X)) % 10}).iloc[rows]
        else:
            table = pd.DataFrame(X).iloc[rows]
            table[0] = table[0].where(table[0] > -1)  # missing cells
        found = find_copies(table, y[rows])
        assert found.n_copied > 0.4 * len(rows)

    @pytest.mark.parametrize("kind", ["numbers", "codes"])
    def test_where_no_cell_is_that_of_one_row_alone(self, kind):
        rng = np.random.default_rng(0)
        X, y = rng.poisson(3, (1500, 6)).astype(float), (rng.random(1500) < 0.07).astype(int)
        rows = oversampled(X, y)
        X = X if kind == "numbers" else pd.DataFrame(X).astype(str)
        assert find_copies(X, y) is None
        found = find_copies(np.asarray(X)[rows] if kind == "numbers" else X.iloc[rows], y[rows])
        again = (np.bincount(rows)[rows] > 1) & (y[rows] == 1)
        assert found.n_copied == pytest.approx(again.sum(), rel=0.02)

    @pytest.mark.parametrize("n_rare", [1, 2, 3])
    def test_of_several_rare_classes(self, n_rare):
        rng = np.random.default_rng(0)
        X, y = rng.integers(0, 20, (2000, 5)).astype(float), np.zeros(2000, dtype=int)
        y[: 60 * n_rare] = np.repeat(np.arange(1, n_rare + 1), 60)
        again = [rng.choice(np.flatnonzero(y == k), 1500) for k in range(1, n_rare + 1)]
        rows = np.concatenate([np.arange(2000), *again])
        assert find_copies(X, y) is None
        expected = ((np.bincount(rows)[rows] > 1) & (y[rows] > 0)).sum()
        assert find_copies(X[rows], y[rows]).n_copied == expected

    @pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
    def test_that_differ_by_rounding_alone(self, container):
        X, y = coin_flips()
        rows = oversampled(X, y)
        every_other = np.where(
            (np.arange(len(rows)) % 2 == 0)[:, None], X[rows], np.float32(X[rows])
        )
        noise = 1e-10 * np.random.default_rng(0).normal(size=(len(rows), 5))
        n_copied = (np.bincount(rows)[rows] > 1).sum()
        for table in (every_other, X[rows] + noise):
            found = find_copies(container(table), y[rows])
            assert found.n_copied == pytest.approx(n_copied, rel=0.03)

    @pytest.mark.parametrize(
        "table",
        [
            lambda rng: rng.integers(0, 3, size=(1000, 3)),  # a table of codes
            lambda rng: np.eye(3)[rng.integers(0, 3, size=(1000, 3))].reshape(1000, 9),
            lambda rng: np.where(rng.random((1000, 4)) < 0.8, 0.0, rng.normal(size=(1000, 4))),
            lambda rng: np.where(rng.random((1000, 1)) < 0.3, 0.0, rng.normal(size=(1000, 4))),
            lambda rng: np.full((1000, 2), np.nan),
            lambda rng: np.ones((1000, 2)),
        ],
        ids=[
            "codes",
            "one-hot codes",
            "mostly zero",
            "three in ten all zero",
            "missing",
            "constant",
        ],
    )
    def test_rows_that_are_equal_by_chance_are_none(self, table):
        X = table(np.random.default_rng(0)).astype(float)
        y = np.random.default_rng(1).integers(0, 2, 1000)
        assert len(pd.DataFrame(X).drop_duplicates()) < 990
        assert find_copies(X, y) is None

    def test_equal_rows_of_other_values_are_none(self):
        X = np.repeat(np.random.default_rng(0).normal(size=(500, 3)), 2, axis=0)
        assert find_copies(X, np.arange(1000) % 2) is None
        assert find_copies(X, np.repeat(np.arange(500.0), 2)).n_copied == 1000


@pytest.mark.parametrize("cv", [2, 5])
def test_folds_keep_copies_together(cv):
    X, y = coin_flips()
    rows = oversampled(X, y)
    splits = folds(cv, X[rows], y[rows], True)
    assert len(splits) == cv
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(len(rows)))
    for train, test in splits:
        assert not set(rows[train]) & set(rows[test])
        assert 0.3 < y[rows][test].mean() < 0.7


@pytest.mark.parametrize(
    ("make", "labelling"),
    [
        (lambda: RandomForestClassifier(30, random_state=0), "cross_fit"),
        (lambda: RandomForestClassifier(60, max_samples=0.01, random_state=0), "oob"),
        (lambda: HistGradientBoostingClassifier(max_iter=20), "cross_fit"),
    ],
)
@pytest.mark.parametrize("is_fitted", [False, True])
@pytest.mark.filterwarnings("ignore:The teacher finds class 1")
def test_labels_of_oversampled_coin_flips_stay_coin_flips(make, labelling, is_fitted):
    X, y = coin_flips()
    rows = oversampled(X, y)
    teacher = make().fit(X[rows], y[rows]) if is_fitted else make()
    asked = "cross_fit" if is_fitted and labelling == "cross_fit" else "auto"
    student = TreeStudentClassifier(2000, min_samples_leaf=1)
    model = DistilledClassifier(teacher, student, alpha=1.0, labelling=asked, random_state=0)
    with pytest.warns(UserWarning, match=r"labelled rows are copies of one another, of one row up"):
        model.fit(X[rows], y[rows])
    assert model.labelling_ == labelling
    once = np.unique(rows)
    assert roc_auc_score(y[once], model.predict_proba(X[once])[:, 1]) < 0.6


@pytest.mark.parametrize("student", [TreeStudentClassifier(16), LinearStudentClassifier(16)])
def test_true_shares_of_oversampled_rows_give_true_probabilities(student):
    X, y = make_classification(
        8000, 8, n_informative=5, weights=[0.975], flip_y=0.01, random_state=0
    )
    rows = oversampled(X[:4000], y[:4000])
    share = y[:4000].mean()
    model = DistilledClassifier(
        RandomForestClassifier(30, random_state=0),
        student,
        prior_correction={0: 1 - share, 1: share},
        label_correction=False,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*copies of one another")
        model.fit(X[rows], y[rows])
    assert 0.7 < model.predict_proba(X[4000:])[:, 1].mean() / y[4000:].mean() < 1.4


def test_folds_that_hold_copies_apart_are_not_called_honest():
    X, y = coin_flips()
    rows = oversampled(X, y)
    model = DistilledClassifier(
        HistGradientBoostingClassifier(max_iter=5),
        TreeStudentClassifier(4),
        labelling="cross_fit",
        label_correction=False,
    )
    for cv, said in (
        (3, "held out together, so that"),
        (KFold(3), "may hold one out while others"),
    ):
        with pytest.warns(UserWarning, match=said):
            model.set_params(cv=cv).fit(X[rows], y[rows])
