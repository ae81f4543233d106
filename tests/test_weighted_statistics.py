"""Statistics under weights against scikit-learn and SciPy, and the coverage of the intervals."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from skdistill.weighted_statistics import (
    Estimate,
    Ranking,
    average_precision,
    ratio,
    recall_at,
    replicate,
    roc_auc,
    sums_by_cell,
    variance,
    weighted_correlation,
    weighted_quantiles,
)


@pytest.fixture
def scored(rng):
    y = rng.integers(0, 2, 300)
    score = np.round(0.3 * y + rng.normal(size=300), 1)  # with many ties
    return y, score, rng.exponential(size=300)


def test_ranking_scores_are_those_of_scikit_learn_with_ties_and_weights(scored):
    y, score, weight = scored
    tallies = Ranking.of(score).tallies(y.astype(float), weight)
    assert roc_auc(*tallies) == pytest.approx(roc_auc_score(y, score, sample_weight=weight))
    expected = average_precision_score(y, score, sample_weight=weight)
    assert average_precision(*tallies) == pytest.approx(expected)
    false_positive, true_positive, _ = roc_curve(y, score, sample_weight=weight)
    assert recall_at(0.2, *tallies) == pytest.approx(true_positive[false_positive <= 0.2].max())


def test_rows_of_weight_zero_are_not_there(scored):
    y, score, weight = scored
    weight[::3] = 0.0
    kept = weight > 0
    all_rows = Ranking.of(score).tallies(y.astype(float), weight)
    some = Ranking.of(score[kept]).tallies(y[kept].astype(float), weight[kept])
    assert roc_auc(*all_rows) == pytest.approx(roc_auc(*some))
    assert average_precision(*all_rows) == pytest.approx(average_precision(*some))


@pytest.mark.parametrize("share_of_positives", [0.5, 0.02, 0.0, 1.0])
def test_scores_of_several_weights_are_those_of_each(rng, share_of_positives):
    score = np.round(rng.normal(size=300), 1)
    positive = (rng.uniform(size=300) < share_of_positives).astype(float)
    weights = rng.exponential(size=(300, 5)) * rng.integers(0, 2, (300, 5))
    ranking = Ranking.of(score)
    together = ranking.tallies_of(positive)(weights)
    for name in (roc_auc, average_precision, partial(recall_at, 0.01), partial(recall_at, 0.3)):
        one_by_one = [name(*ranking.tallies(positive, weight)) for weight in weights.T]
        assert name(*together) == pytest.approx(one_by_one, nan_ok=True)


def test_where_positives_are_rare_few_scores_are_told_apart(rng):
    positive = np.zeros(10_000)
    positive[rng.choice(10_000, 5, replace=False)] = 1.0
    ranking = Ranking.of(rng.normal(size=10_000))
    hits, alarms = ranking.tallies_of(positive)(np.ones((10_000, 1)))
    assert hits.shape == alarms.shape
    assert hits.size <= 11


def test_ranking_scores_are_undefined_with_one_class(scored):
    _, score, weight = scored
    tallies = Ranking.of(score).tallies(np.zeros(300), weight)
    assert np.isnan(
        [roc_auc(*tallies), average_precision(*tallies), recall_at(0.1, *tallies)]
    ).all()


@pytest.mark.parametrize("k", [1, 7, 250, 300])
def test_the_top_k_are_the_highest_rows_and_weigh_k(rng, k):
    score, weight = rng.normal(size=300), np.ones(300)
    within = Ranking.of(score).top(k, weight)
    assert set(np.flatnonzero(within)) == set(np.argsort(-score)[:k])
    assert within.sum() == k


def test_the_row_at_the_limit_of_the_top_counts_in_part():
    within = Ranking.of(np.array([3.0, 2.0, 1.0])).top(2, np.array([0.0, 1.5, 4.0]))
    assert within.tolist() == [0.0, 1.5, 0.5]


def test_rows_tied_at_the_limit_of_the_top_count_alike():
    score, weight = np.array([1.0, 3.0, 2.0, 2.0, 2.0]), np.ones(5)
    assert Ranking.of(score).top(2, weight) == pytest.approx([0, 1, 1 / 3, 1 / 3, 1 / 3])
    assert Ranking.of(score).top(4, weight).tolist() == [0, 1, 1, 1, 1]
    assert Ranking.of(np.zeros(5)).top(2, weight) == pytest.approx(np.full(5, 0.4))


def test_the_top_is_found_where_most_high_rows_were_not_drawn(rng):
    weight = np.r_[np.zeros(2000), np.ones(50)]
    within = Ranking.of(np.arange(2050, 0, -1.0)).top(5, weight)
    assert np.flatnonzero(within).tolist() == [2000, 2001, 2002, 2003, 2004]


def test_weighted_correlation_counts_rows_as_often_as_they_weigh(rng):
    x, y = rng.normal(size=(2, 50))
    counts = rng.integers(0, 4, 50)
    expected = pearsonr(np.repeat(x, counts), np.repeat(y, counts)).statistic
    assert weighted_correlation(x, y, counts.astype(float)) == pytest.approx(expected)
    assert np.isnan(weighted_correlation(np.ones(50), y, counts.astype(float)))


def test_weighted_quantiles_are_entries_that_cover_the_share(rng):
    values = rng.normal(size=1000)
    find = partial(weighted_quantiles, values, np.argsort(values), [0.5, 0.99, 1.0])
    expected = np.quantile(values, [0.5, 0.99, 1.0], method="inverted_cdf")
    assert np.array_equal(find(np.ones(1000)), expected)
    assert np.array_equal(find(np.full(1000, 0.1)), expected)
    doubled = np.where(values > 0, 2.0, 0.0)
    assert find(doubled)[0] == np.quantile(values[values > 0], 0.5, method="inverted_cdf")


def test_the_first_replicate_is_the_estimate_on_the_rows(rng):
    values, weight = rng.normal(size=80), rng.exponential(size=80)
    found = replicate(
        {"mean": values}, {"sum": lambda w: w.sum(axis=0)}, weight, 70, np.random.RandomState(0)
    )
    assert found["mean"].shape == found["sum"].shape == (71,)
    assert found["mean"][0] == pytest.approx(np.average(values, weights=weight))
    assert found["sum"][0] == pytest.approx(weight.sum())


def test_sums_by_cell_are_those_of_each_part(rng):
    cells, values = rng.integers(0, 4, 50), rng.normal(size=50)
    weights = rng.exponential(size=(50, 3))
    found = sums_by_cell(cells, 5, values) @ weights
    expected = [(values[cells == k] @ weights[cells == k]) for k in range(5)]
    assert np.allclose(found, expected)
    assert np.allclose((sums_by_cell(cells, 5) @ weights).sum(axis=0), weights.sum(axis=0))


def test_a_variance_that_is_rounding_is_none():
    mean = np.array([0.1, 0.0, 3.0])
    assert variance(mean, mean**2 * (1 + 1e-15)).tolist() == [0.0, 0.0, 0.0]
    assert variance(mean, mean**2 + 0.5) == pytest.approx([0.5, 0.5, 0.5])


def test_all_statistics_see_the_same_resamples(rng):
    values = rng.normal(size=100)
    found = replicate(
        {"mean": values},
        {"own": lambda w: values @ w / w.sum(axis=0)},
        np.ones(100),
        50,
        np.random.RandomState(0),
    )
    assert np.allclose(found["mean"], found["own"])
    assert found["mean"][1:].std() > 0


def test_intervals_of_a_paired_difference_cover_the_truth():
    # Two models with AUC .76 each (normal scores one standard deviation apart) and correlated.
    random_state = np.random.RandomState(0)
    covered = 0
    for _ in range(150):
        y = random_state.randint(2, size=150)
        shared = y + 0.7 * random_state.normal(size=150)
        scores = [shared + 0.7 * random_state.normal(size=150) for _ in range(2)]

        def statistic(tallies, weights):
            return roc_auc(*tallies(weights))

        areas = {
            name: partial(statistic, Ranking.of(score).tallies_of(y.astype(float)))
            for name, score in zip("ab", scores, strict=True)
        }
        found = replicate({}, areas, np.ones(150), 200, random_state)
        interval = Estimate.of(found["a"] - found["b"], 0.9)
        covered += interval.low <= 0 <= interval.high
    # Of 150 binomial(0.9), 99.9 % lie between 122 and 146.
    assert 122 <= covered <= 146


def test_intervals_of_a_mean_cover_the_truth_and_are_as_wide_as_they_should():
    random_state = np.random.RandomState(1)
    intervals = []
    for _ in range(200):
        values = random_state.exponential(size=100)
        found = replicate({"mean": values}, {}, np.ones(100), 300, random_state)
        intervals.append(Estimate.of(found["mean"], 0.9))
    covered = sum(each.low <= 1.0 <= each.high for each in intervals)
    assert 162 <= covered <= 194
    width = np.mean([each.high - each.low for each in intervals])
    assert width == pytest.approx(2 * 1.645 / np.sqrt(100), rel=0.1)


def test_a_statistic_undefined_in_many_resamples_has_no_interval():
    estimate = Estimate.of(np.r_[0.5, np.full(20, np.nan), np.ones(80)], 0.95)
    assert estimate.value == 0.5
    assert np.isnan([estimate.low, estimate.high]).all()
    assert Estimate.of(np.r_[0.5, np.nan, np.ones(99)], 0.95).low == 1.0


def test_ratios_are_undefined_where_the_denominator_is_zero():
    assert np.array_equal(ratio(np.array([1.0, 2.0]), np.array([0.0, 4.0])), [np.nan, 0.5], True)
    assert (-Estimate(1.0, 0.5, 2.0)) == Estimate(-1.0, -2.0, -0.5)
