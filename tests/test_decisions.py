"""Metrics of a fraud desk against the Handbook's own procedure, and as scorers in searches."""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn import metrics
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import (
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_validate,
    train_test_split,
)
from sklearn.tree import DecisionTreeClassifier

from skdistill import DistilledClassifier, MLPStudentClassifier, TreeStudentClassifier
from skdistill.decisions import (
    DecisionBands,
    DecisionCosts,
    card_precision_at_k,
    fraud_scorer,
    precision_at_k,
    recall_at_fpr,
    recall_at_k,
)

COSTS = DecisionCosts(missed_fraud=100, declined_legit=20, review=5)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="module")
def transactions():
    """Twelve days of a hundred rows on sixty cards; no two scores are alike."""
    rng = np.random.default_rng(0)
    fraud = (rng.random(1200) < 0.1).astype(int)
    score = rng.permutation(np.linspace(0, 0.6, 1200)) + 0.3 * fraud
    return pd.DataFrame(
        {
            "fraud": fraud,
            "score": score,
            "card": rng.integers(0, 60, 1200),
            "day": np.arange(1200) // 100,
        }
    )


def card_precision_of_the_handbook(table, k, remove_found):
    """Follow ch. 4.4 of Le Borgne et al. step by step, on a frame."""
    found, of_days = set(), []
    for _, of_day in table.groupby("day"):
        cards = of_day[~of_day["card"].isin(found)].groupby("card")[["score", "fraud"]].max()
        top = cards.sort_values("score", ascending=False).head(k)
        compromised = top.index[top["fraud"] == 1]
        of_days.append(len(compromised) / k)
        if remove_found:
            found |= set(compromised)
    return np.mean(of_days)


def test_recall_at_a_false_positive_rate_is_a_point_of_the_roc_curve(transactions):
    fraud, score = transactions["fraud"], transactions["score"]
    weight = np.random.default_rng(1).exponential(size=1200)
    for kw in ({}, {"sample_weight": weight}):
        alarm, found, _ = metrics.roc_curve(fraud, score, drop_intermediate=False, **kw)
        for rate in (0.0, 0.01, 0.05, 0.29):
            expected = found[alarm <= rate + 1e-9].max()
            assert recall_at_fpr(fraud, score, fpr=rate, **kw) == pytest.approx(expected)


def test_a_rate_of_29_in_100_allows_29_false_alarms():
    fraud = np.append(np.zeros(100), 1)
    score = np.append(np.arange(100), 70.5)  # 29 legitimate rows are higher
    assert recall_at_fpr(fraud, score, fpr=0.29) == 1.0
    assert recall_at_fpr(fraud, score, fpr=0.28) == 0.0


def test_precision_and_recall_of_a_days_top_k_are_means_over_days(transactions):
    precision, recall = [], []
    for _, of_day in transactions.groupby("day"):
        top = of_day.sort_values("score", ascending=False).head(7)
        precision.append(top["fraud"].mean())
        recall.append(top["fraud"].sum() / of_day["fraud"].sum())
    columns = transactions["fraud"], transactions["score"]
    assert precision_at_k(*columns, k=7, days=transactions["day"]) == pytest.approx(
        np.mean(precision)
    )
    assert recall_at_k(*columns, k=7, days=transactions["day"]) == pytest.approx(np.mean(recall))
    top = transactions.sort_values("score", ascending=False).head(50)
    assert precision_at_k(*columns, k=50) == pytest.approx(top["fraud"].mean())


@pytest.mark.parametrize("remove_found", [True, False])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_card_precision_is_that_of_the_handbook(transactions, k, remove_found):
    found = card_precision_at_k(
        transactions["fraud"],
        transactions["score"],
        transactions["card"],
        k=k,
        days=transactions["day"],
        remove_found=remove_found,
    )
    expected = card_precision_of_the_handbook(transactions, k, remove_found)
    assert found == pytest.approx(expected)


def test_the_order_of_the_rows_does_not_matter(transactions):
    shuffled = transactions.sample(frac=1, random_state=0)
    for metric in (precision_at_k, recall_at_k):
        values = [
            metric(table["fraud"], table["score"], k=5, days=table["day"])
            for table in (transactions, shuffled)
        ]
        assert values[0] == pytest.approx(values[1])
    values = [
        card_precision_at_k(table["fraud"], table["score"], table["card"], k=5, days=table["day"])
        for table in (transactions, shuffled)
    ]
    assert values[0] == pytest.approx(values[1])


def test_ties_at_the_limit_count_in_part_and_all_alike():
    assert precision_at_k([1, 0, 0, 1], [0.5] * 4, k=1) == 0.5
    assert recall_at_k([1, 0, 0, 1], [0.5] * 4, k=2) == 0.5
    # Card "a" is found by half on the first day, so that half of it is left on the second.
    fraud, cards, days = [1, 0, 1, 0], ["a", "b", "a", "b"], [1, 1, 2, 2]
    found = card_precision_at_k(fraud, [0.5, 0.5, 0.9, 0.1], cards, k=1, days=days)
    assert found == (0.5 + 0.5) / 2


def test_days_without_fraud_and_days_with_fewer_rows_count_as_stated():
    fraud, score = [1, 0, 0, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.5]
    days = [1, 1, 2, 2, 3]
    assert precision_at_k(fraud, score, k=2, days=days) == pytest.approx((0.5 + 0 + 1) / 3)
    assert recall_at_k(fraud, score, k=2, days=days) == 1.0  # the second day has none to find


def test_weights_stand_for_rows(transactions):
    columns = ["fraud", "score", "day"]
    doubled = pd.concat([transactions[columns]] * 2)
    weighted = precision_at_k(
        transactions["fraud"],
        transactions["score"],
        k=10,
        days=transactions["day"],
        sample_weight=np.full(1200, 2.0),
    )
    assert weighted == pytest.approx(
        precision_at_k(doubled["fraud"], doubled["score"], k=10, days=doubled["day"])
    )


@pytest.mark.parametrize(
    "to_days",
    [
        lambda day: pd.Timestamp("2024-02-27") + pd.to_timedelta(day * 24.0 + 5.3, unit="h"),
        lambda day: [datetime.date(2024, 2, 27) + datetime.timedelta(days=int(d)) for d in day],
        lambda day: (  # nearly midnight in Vienna is another day than in UTC
            pd.Timestamp("2024-02-27", tz="Europe/Vienna")
            + pd.to_timedelta(day * 24.0 + np.where(day.index % 2, 0.2, 23.5), unit="h")
        ),
        lambda day: [f"2024-03-{d + 9:02}T23:10" for d in day],
        lambda day: pl.Series(day.to_numpy()),
        lambda day: day.astype(float).tolist(),
    ],
)
def test_days_are_numbers_dates_or_date_times_in_any_container(transactions, to_days):
    columns = transactions["fraud"], transactions["score"], transactions["card"]
    days = to_days(transactions["day"])
    expected = card_precision_at_k(*columns, k=5, days=transactions["day"])
    assert card_precision_at_k(*columns, k=5, days=days) == pytest.approx(expected)


def test_the_class_that_is_fraud_is_named_as_in_scikit_learn(transactions):
    fraud, score = transactions["fraud"], transactions["score"]
    words = np.where(fraud == 1, "fraud", "legit")
    assert recall_at_fpr(words, score, pos_label="fraud") == recall_at_fpr(fraud, score)
    assert recall_at_fpr(2 * fraud - 1, score) == recall_at_fpr(fraud, score)
    assert recall_at_fpr(fraud == 1, score) == recall_at_fpr(fraud, score)
    with pytest.raises(ValueError, match="pass pos_label explicitly"):
        recall_at_fpr(words, score)
    with pytest.raises(ValueError, match="pos_label='theft' is none of the classes"):
        recall_at_fpr(words, score, pos_label="theft")


def test_what_cannot_be_ranked_is_refused(transactions):
    fraud, score = transactions["fraud"].to_numpy(), transactions["score"].to_numpy()
    days = transactions["day"].to_numpy()
    with pytest.raises(ValueError, match="NaN or infinite on 1 of 1200 rows"):
        recall_at_fpr(fraud, np.append(score[1:], np.nan))
    with pytest.raises(ValueError, match=r"shape \(1200, 2\); one number per row"):
        recall_at_fpr(fraud, np.column_stack([1 - score, score]))
    with pytest.raises(ValueError, match="Every row of y_true is negative"):
        precision_at_k(np.zeros(1200), score, k=5)
    with pytest.raises(ValueError, match="Every row of y_true is positive"):
        recall_at_fpr(np.ones(1200), score)
    with pytest.raises(ValueError, match="holds 3 classes"):
        recall_at_fpr(np.arange(1200) % 3, score)
    with pytest.raises(ValueError, match="y_true is missing for 1 of 1200"):
        recall_at_fpr(np.append(fraud[1:], np.nan), score)
    with pytest.raises(ValueError, match=r"y_score has shape \(1199,\)"):
        precision_at_k(fraud, score[1:], k=5)
    with pytest.raises(ValueError, match="The 'fpr' parameter"):
        recall_at_fpr(fraud, score, fpr=1.0)
    with pytest.raises(ValueError, match="The 'k' parameter"):
        precision_at_k(fraud, score, k=0)
    with pytest.raises(ValueError, match=r"top 101 rows of a day .* no day has more than 100"):
        precision_at_k(fraud, score, k=101, days=days)
    with pytest.raises(ValueError, match="top 61 cards of a day"):
        card_precision_at_k(fraud, score, transactions["card"], k=61, days=days)


def test_days_and_groups_that_are_missing_or_have_no_order_are_refused(transactions):
    fraud, score = transactions["fraud"].to_numpy(), transactions["score"].to_numpy()
    days, cards = transactions["day"].to_numpy(), transactions["card"].to_numpy()
    for missing in (np.where(days == 3, np.nan, days), [None, *days[1:].tolist()]):
        with pytest.raises(ValueError, match=r"days is missing for \d+ of 1200 rows"):
            precision_at_k(fraud, score, k=5, days=missing)
    nat = pd.Series(pd.to_datetime("2024-01-01")).repeat(1200).to_numpy().copy()
    nat[5] = np.datetime64("NaT")
    with pytest.raises(ValueError, match="days is missing for 1 of 1200"):
        precision_at_k(fraud, score, k=5, days=nat)
    with pytest.raises(ValueError, match="whose order in time is not known"):
        precision_at_k(fraud, score, k=5, days=days.astype(str))
    with pytest.raises(ValueError, match="whose order in time is not known"):
        precision_at_k(fraud, score, k=5, days=days.astype(object).astype(str).astype(object))
    with pytest.raises(ValueError, match=r"days holds 0\.5; whole numbers were expected"):
        precision_at_k(fraud, score, k=5, days=days + 0.5)
    with pytest.raises(ValueError, match=r"days has shape \(3,\)"):
        precision_at_k(fraud, score, k=5, days=[1, 2, 3])
    with pytest.raises(ValueError, match=r"groups has shape \(3,\)"):
        card_precision_at_k(fraud, score, ["a", "b", "c"], k=5)
    with pytest.raises(ValueError, match="groups is missing for 1 of 1200"):
        card_precision_at_k(fraud, score, [None, *cards[1:].tolist()], k=5)


@pytest.fixture(scope="module")
def fraud_task():
    """Two thousand rows with 10 % fraud, on 20 days and 100 cards, with amounts."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 4))
    y = (X[:, 0] + X[:, 1] + rng.normal(size=2000) > 2.2).astype(int)
    return X, y, rng.integers(0, 20, 2000), rng.integers(0, 100, 2000), rng.gamma(2, 40, 2000)


@pytest.mark.parametrize(
    ("scorer", "expected"),
    [
        (fraud_scorer(), metrics.average_precision_score),
        (fraud_scorer("recall_at_fpr", fpr=0.05), lambda y, s: recall_at_fpr(y, s, fpr=0.05)),
        (fraud_scorer("precision_at_k", k=50), lambda y, s: precision_at_k(y, s, k=50)),
        (fraud_scorer("recall_at_k", k=50), lambda y, s: recall_at_k(y, s, k=50)),
    ],
)
def test_scorers_give_what_the_metrics_give(fraud_task, scorer, expected):
    X, y, *_ = fraud_task
    tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(X[:1000], y[:1000])
    score = tree.predict_proba(X[1000:])[:, 1]
    assert scorer(tree, X[1000:], y[1000:]) == pytest.approx(expected(y[1000:], score))
    copied = pickle.loads(pickle.dumps(scorer))
    assert copied(tree, X[1000:], y[1000:]) == pytest.approx(expected(y[1000:], score))


def test_a_scorer_takes_the_class_that_is_fraud_even_if_it_is_the_first(fraud_task):
    X, y, *_ = fraud_task
    words = np.where(y == 1, "fraud", "legit")
    tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(X[:1000], words[:1000])
    score = tree.predict_proba(X[1000:])[:, 0]
    scorer = fraud_scorer("recall_at_fpr", fpr=0.1, pos_label="fraud")
    expected = recall_at_fpr(y[1000:], score, fpr=0.1)
    assert 0 < expected < 1
    assert scorer(tree, X[1000:], words[1000:]) == pytest.approx(expected)
    costs = fraud_scorer("decision_cost", costs=COSTS, pos_label="fraud")
    assert costs(tree, X[1000:], words[1000:]) == pytest.approx(
        -np.mean(np.where(tree.predict(X[1000:]) == "fraud", 20 * (1 - y[1000:]), 100 * y[1000:]))
    )


def test_days_and_groups_reach_the_scorer_of_a_search(fraud_task, routing):
    X, y, days, cards, _ = fraud_task
    scorer = fraud_scorer("card_precision_at_k", k=3).set_score_request(days=True, groups=True)
    model = DistilledClassifier(
        RandomForestClassifier(10, random_state=0), augmentation=None, random_state=0
    )
    grid = {"student__max_leaf_nodes": [2, 8]}
    search = GridSearchCV(model, {"student": [TreeStudentClassifier(2)], **grid}, scoring=scorer)
    search.fit(X, y, days=days, groups=cards)
    assert search.best_params_["student__max_leaf_nodes"] == 8
    fold = search.best_estimator_.predict_proba(X)[:, 1]
    assert search.score(X, y, days=days, groups=cards) == pytest.approx(
        card_precision_at_k(y, fold, cards, k=3, days=days)
    )


def test_cross_validate_takes_days_as_params(fraud_task, routing):
    X, y, days, _, _ = fraud_task
    scoring = {
        "per_day": fraud_scorer("precision_at_k", k=2).set_score_request(days=True),
        "in_all": fraud_scorer("precision_at_k", k=40).set_score_request(days=False),
    }
    tree = DecisionTreeClassifier(max_depth=4, random_state=0)
    found = cross_validate(tree, X, y, scoring=scoring, params={"days": days})
    assert np.isfinite(found["test_per_day"]).all()
    assert not np.allclose(found["test_per_day"], found["test_in_all"])


@pytest.mark.parametrize("is_fitted", [True, False])
def test_a_tuned_threshold_around_a_distiller_costs_least(fraud_task, routing, is_fitted):
    X, y, _, _, amounts = fraud_task
    train, test, y_train, y_test, amounts, of_test = train_test_split(
        X, y, amounts, random_state=0, stratify=y
    )
    forest = RandomForestClassifier(30, min_samples_leaf=5, random_state=0)
    if is_fitted:
        forest.fit(train[:700], y_train[:700])
        train, y_train, amounts = train[700:], y_train[700:], amounts[700:]
    model = DistilledClassifier(forest, TreeStudentClassifier(12), labelling="auto", random_state=0)
    costs = DecisionCosts(missed_fraud_per_amount=2, declined_legit=10)
    scorer = fraud_scorer("decision_cost", costs=costs).set_score_request(amounts=True)
    tuned = TunedThresholdClassifierCV(model, scoring=scorer, cv=3, store_cv_results=True)
    tuned.fit(train, y_train, amounts=amounts)
    assert 0.01 < tuned.best_threshold_ < 0.45
    predicted = tuned.predict(test)
    lost = np.where(predicted == 1, 10 * (1 - y_test), 2 * of_test * y_test)
    assert scorer(tuned, test, y_test, amounts=of_test) == pytest.approx(-lost.mean())
    at_half = clone(tuned.estimator_).fit(train, y_train).predict(test)
    assert lost.mean() < np.where(at_half == 1, 10 * (1 - y_test), 2 * of_test * y_test).mean()
    if is_fitted:
        assert tuned.estimator_.teacher_ is forest


def test_a_prefit_model_is_tuned_as_well(fraud_task):
    X, y, *_ = fraud_task
    student = MLPStudentClassifier((16,), max_epochs=3, random_state=0).fit(X[:1000], y[:1000])
    scorer = fraud_scorer("decision_cost", costs=COSTS, flagged="review")
    tuned = TunedThresholdClassifierCV(student, scoring=scorer, cv="prefit", refit=False)
    tuned.fit(X[1000:], y[1000:])
    cost = scorer(tuned, X[1000:], y[1000:])
    flagged = tuned.predict(X[1000:])
    assert cost == pytest.approx(-np.mean(np.where(flagged == 1, 5, 100 * y[1000:])))
    assert cost >= scorer(student, X[1000:], y[1000:])


def test_band_cost_is_the_cost_of_the_decisions_of_bands(fraud_task, routing):
    X, y, days, _, amounts = fraud_task
    tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(X[:1000], y[:1000])
    costs = DecisionCosts(missed_fraud=5, missed_fraud_per_amount=1, declined_legit=30, review=3)
    bands = DecisionBands(costs, review_capacity=4)
    scorer = fraud_scorer("band_cost", bands=bands)
    scorer.set_score_request(amounts=True, days=True)
    rows = {"amounts": amounts[1000:], "days": days[1000:]}
    found = scorer(tree, X[1000:], y[1000:], **rows)
    score = tree.predict_proba(X[1000:])[:, 1]
    decisions = clone(bands).fit(score, **rows).decide(score, **rows)
    expected = costs.of_decisions(y[1000:], decisions, amounts[1000:]).mean()
    assert found == pytest.approx(-expected)
    search = GridSearchCV(tree, {"max_depth": [1, 4]}, scoring=scorer, cv=3)
    assert search.fit(X, y, days=days, amounts=amounts).best_params_ == {"max_depth": 4}


def test_scorers_refuse_what_they_do_not_have():
    with pytest.raises(ValueError, match="metric='precision'; one of"):
        fraud_scorer("precision")
    with pytest.raises(TypeError, match=r"'recall_at_fpr' has no parameters \['k'\]"):
        fraud_scorer("recall_at_fpr", k=3)
    with pytest.raises(TypeError, match=r"belong to rows.*set_score_request\(days=True\)"):
        fraud_scorer("precision_at_k", k=3, days=[1, 2])
    with pytest.raises(TypeError, match=r"'precision_at_k' needs \['k'\]"):
        fraud_scorer("precision_at_k")
    with pytest.raises(TypeError, match=r"'decision_cost' needs \['costs'\]"):
        fraud_scorer("decision_cost")
    scorer = fraud_scorer("decision_cost", costs=COSTS, flagged="block")
    tree = DecisionTreeClassifier().fit([[0], [1]], [0, 1])
    with pytest.raises(ValueError, match="flagged='block'; 'decline' or 'review'"):
        scorer(tree, [[0], [1]], [0, 1])
    no_desk = DecisionCosts(missed_fraud=1, declined_legit=1)
    with pytest.raises(ValueError, match="nothing is reviewed"):
        fraud_scorer("decision_cost", costs=no_desk, flagged="review")(tree, [[0], [1]], [0, 1])
