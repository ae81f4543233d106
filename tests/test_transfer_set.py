import numpy as np
import pandas as pd
import polars as pl
import pytest

from skdistill import Munge, TransferSet
from skdistill.columns import column_values


def raw_frame(n=500, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": np.where(rng.random(n) < 0.2, np.nan, rng.gamma(2, 50, n)),
            "count": rng.integers(0, 500, n),
            "small": rng.integers(0, 4, n).astype(float) * 2,
            "float32": rng.normal(size=n).astype(np.float32),
            "flag": rng.random(n) < 0.5,
            "city": rng.choice(["Graz", "Linz", None], n),
            "kind": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "nullable": pd.array([None if i % 7 == 0 else i for i in range(n)], dtype="Int64"),
        },
        index=np.arange(n) * 3,
    )


@pytest.mark.parametrize("to", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_every_synthetic_cell_is_a_value_its_column_could_hold(to):
    real = to(raw_frame())
    synthetic = Munge(size=4).sample(real, random_state=0)
    assert type(synthetic) is type(real)
    assert list(synthetic.dtypes) == list(real.dtypes)
    assert synthetic.shape == (2000, 8)
    for j, name in enumerate(real.columns):
        old, new = column_values(real, j), column_values(synthetic, j)
        if name in ("small", "flag", "city", "kind"):
            as_sets = [{str(value) for value in values} for values in (old, new)]
            assert as_sets[1] == as_sets[0]
        else:
            assert np.nanmin(new) >= np.nanmin(old)
            assert np.nanmax(new) <= np.nanmax(old)
        if name in ("amount", "nullable"):
            assert np.isnan(new).mean() == pytest.approx(np.isnan(old).mean(), abs=0.05)
        if name in ("count", "nullable"):
            np.testing.assert_array_equal(new, np.rint(new))


def test_numbers_are_new_and_the_distribution_stays():
    X = np.random.default_rng(0).normal(size=(2000, 3)) @ [[1, 0.9, 0], [0, 0.3, 0], [0, 0, 1]]
    synthetic = Munge(size=2).sample(X, random_state=0)
    assert np.isin(synthetic, X).mean() < 0.6
    whole_rows = np.isin(synthetic, X).all(axis=1)
    assert whole_rows.mean() < 0.2
    np.testing.assert_allclose(np.cov(synthetic.T), np.cov(X.T), atol=0.15)


def test_synthetic_rows_stay_near_the_real_ones(rng):
    # Two clusters far apart: mixing with neighbours never leaves them.
    X = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(100, 1, (300, 2))])
    synthetic = Munge(size=3).sample(X, random_state=0)
    assert (np.abs(synthetic[:, 0] - synthetic[:, 1]) < 20).all()


def test_every_cell_of_a_discrete_column_is_one_of_the_parents(rng):
    X = rng.integers(0, 20, size=(50, 4)).astype(float)
    synthetic, parents = Munge(size=3).sample_with_parents(X, random_state=0)
    first, second = X[parents[:, 0]], X[parents[:, 1]]
    assert ((synthetic == first) | (synthetic == second)).all()
    assert (parents[:, 0] != parents[:, 1]).all()
    np.testing.assert_array_equal(Munge(size=3).sample(X, random_state=0), synthetic)


def test_a_small_swap_probability_changes_few_cells(rng):
    X = rng.normal(size=(500, 4))
    synthetic = Munge(size=1, swap_prob=0.1).sample(X, random_state=0)
    assert np.isin(synthetic, X).mean() == pytest.approx(0.9, abs=0.02)


def test_a_large_local_variance_keeps_drawn_numbers_at_the_neighbour(rng):
    X = rng.normal(size=(500, 2))
    at = Munge(size=1, swap_prob=1.0, local_variance=1e9).sample(X, random_state=0)
    distance = np.abs(at[:, :1] - X[:, 0]).min(axis=1)
    assert distance.max() < 1e-6


def test_the_size_is_a_multiple_of_the_labelled_rows_up_to_the_cap(rng):
    X = rng.normal(size=(300, 2))
    assert len(Munge(size=2.5).sample(X)) == 750
    assert len(Munge(size=2.5).sample(X, n_labelled=100)) == 250
    assert len(Munge(size=10, max_rows=400).sample(X)) == 400


def test_the_seed_decides_the_rows(rng):
    X = rng.normal(size=(200, 3))
    one = Munge().sample(X, random_state=0)
    np.testing.assert_array_equal(one, Munge().sample(X, random_state=0))
    assert not np.array_equal(one, Munge().sample(X, random_state=1))


def test_neighbours_are_searched_among_a_bounded_number_of_rows(rng, monkeypatch):
    from skdistill.distill import munge

    sizes = []

    class Spy(munge.NearestNeighbors):
        def fit(self, X, y=None):
            sizes.append(len(X))
            return super().fit(X, y)

    monkeypatch.setattr(munge, "NearestNeighbors", Spy)
    synthetic = Munge(size=1, max_candidates=50).sample(rng.normal(size=(2000, 3)), random_state=0)
    assert sizes == [50]
    assert len(synthetic) == 2000


def test_two_rows_are_enough_and_equal_rows_stay_equal():
    assert Munge(size=5).sample(np.array([[0.0, 1.0], [2.0, 3.0]]), random_state=0).shape == (10, 2)
    same = Munge(size=2).sample(np.ones((20, 3)), random_state=0)
    np.testing.assert_array_equal(same, np.ones((40, 3)))


@pytest.mark.parametrize(
    "parameters", [{"size": 0}, {"swap_prob": 1.5}, {"n_neighbors": 0}, {"local_variance": -1}]
)
def test_impossible_parameters_raise(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        Munge(**parameters).sample(np.ones((5, 2)))


def test_the_summary_counts_rows_weights_and_labelling_by_origin():
    rows = TransferSet(
        X=np.zeros((6, 1)),
        margins=np.zeros((6, 2)),
        y=np.array([0, 1, 0, -1, -1, -1]),
        sample_weight=np.array([1, 2, 3, 4, 5, 6.0]),
        origin=np.array([0, 0, 0, 1, 2, 2]),
        classes=np.array([0, 1]),
        labelling="oob",
    )
    assert rows.summary() == {
        "labelled": {"rows": 3, "weight": 6.0, "labelling": "oob"},
        "unlabelled": {"rows": 1, "weight": 4.0, "labelling": "direct"},
        "synthetic": {"rows": 2, "weight": 11.0, "labelling": "direct"},
    }


def test_blended_values_mix_teacher_and_observation():
    rows = TransferSet(
        X=np.zeros((2, 1)),
        margins=np.array([[10.0], [20.0]]),
        y=np.array([0.0, np.nan]),
        sample_weight=np.array([1.0, 1.0]),
        origin=np.array([0, 1]),
    )
    values, weight = rows.blended_values(0.75)
    np.testing.assert_array_equal(values, [7.5, 20.0])
    np.testing.assert_array_equal(weight, [1.0, 0.75])
