"""Costs, bands and money: against hand counts, brute force and a linear program."""

import json
import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression

from skdistill import CostCurveDisplay, DistilledClassifier, TreeStudentClassifier
from skdistill.decisions import DecisionBands, DecisionCosts, decision_report, review_cost_curve

FIXED = DecisionCosts(missed_fraud=100, declined_legit=25, review=4, review_catches=0.9)
BY_AMOUNT = DecisionCosts(
    missed_fraud=15, missed_fraud_per_amount=1, declined_legit=25, review=4, review_catches=0.9
)


@pytest.fixture
def scored():
    """Three thousand calibrated probabilities, classes, amounts and thirty days."""
    rng = np.random.default_rng(0)
    probability = rng.beta(0.2, 3, 3000)
    fraud = (rng.random(3000) < probability).astype(int)
    return probability, fraud, rng.gamma(2, 40, 3000), np.repeat(np.arange(30), 100)


@pytest.fixture(scope="module")
def case():
    """A distilled tree with its forest, and test rows with days, cards and amounts."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 5))
    y = (X[:, 0] + X[:, 1] + rng.normal(size=6000) > 2.4).astype(int)
    forest = RandomForestClassifier(30, min_samples_leaf=5, random_state=0).fit(X[:1500], y[:1500])
    model = DistilledClassifier(forest, TreeStudentClassifier(8), random_state=0)
    model.fit(X[1500:3000], y[1500:3000])
    rows = {"days": np.arange(3000) // 100, "groups": rng.integers(0, 300, 3000)}
    return model, X[3000:], y[3000:], rows, rng.gamma(2, 40, 3000)


def test_expected_costs_are_those_of_the_formula():
    costs = BY_AMOUNT.expected([0.0, 0.3, 1.0], amounts=[10, 100, 1000])
    expected = [
        [0, 4, 25],
        [0.3 * 115, 4 + 0.3 * 0.1 * 115, 0.7 * 25],
        [1015, 4 + 0.1 * 1015, 0],
    ]
    np.testing.assert_allclose(costs, expected)


@pytest.mark.parametrize(
    "costs",
    [
        FIXED,
        BY_AMOUNT,
        replace(FIXED, review=None),
        replace(BY_AMOUNT, declined_legit_per_amount=0.3, review=0.0),
        DecisionCosts(missed_fraud_per_amount=1, declined_legit=6, review=5),
    ],
)
def test_thresholds_are_where_the_cheapest_decision_changes(costs, scored):
    probability, _, amounts, _ = scored
    amounts[:300] = 0  # a missed fraud may cost nothing there
    low, high = costs.thresholds(amounts).T
    assert (low <= high).all()
    cheapest = costs.expected(probability, amounts).argmin(axis=1)
    by_threshold = np.where(probability > high, 2, np.where(probability > low, 1, 0))
    far = np.minimum(abs(probability - low), abs(probability - high)) > 1e-9
    np.testing.assert_array_equal(by_threshold[far], cheapest[far])
    bands = DecisionBands(costs).fit(probability, amounts=amounts)
    codes = ["approve", "review", "decline"]
    decisions = bands.decide(probability, amounts=amounts)
    np.testing.assert_array_equal(decisions[far], np.array(codes)[cheapest[far]])


def test_decisions_cost_what_was_observed():
    decisions = ["approve", "approve", "review", "review", "decline", "decline"]
    cost = FIXED.of_decisions([0, 1, 0, 1, 0, 1], decisions)
    np.testing.assert_allclose(cost, [0, 100, 4, 4 + 0.1 * 100, 25, 0])
    words = FIXED.of_decisions(["no", "yes", "no", "yes", "no", "yes"], decisions, pos_label="yes")
    np.testing.assert_allclose(words, cost)
    with pytest.raises(ValueError, match=r"decisions holds \['block'\]"):
        FIXED.of_decisions([0, 1], ["approve", "block"])
    with pytest.raises(ValueError, match="one decision for each row"):
        FIXED.of_decisions([0, 1], ["approve"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"missed_fraud": -1}, "missed_fraud=-1 is negative"),
        ({"review": -4}, "review=-4 is negative"),
        ({"declined_legit": np.nan}, "declined_legit=nan was passed; a finite number"),
        ({"missed_fraud": None}, "missed_fraud=None was passed"),
        ({"missed_fraud": 0}, "everything would be approved"),
        ({"declined_legit": 0}, "all would be declined"),
        ({"review_catches": 0}, "a review that recognises no fraud is none"),
        ({"review_catches": 1.2}, "a share above 0 and up to 1"),
    ],
)
def test_costs_that_make_no_sense_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(FIXED, **changed)


def test_a_review_that_never_pays_is_refused_exactly_where_it_never_pays():
    limit = 0.9 * 100 * 25 / 125  # 18
    with pytest.raises(ValueError, match="review=18 never pays: a review saves at most 18, where"):
        replace(FIXED, review=limit)
    just_pays = replace(FIXED, review=limit - 0.01)
    low, high = just_pays.thresholds()
    assert low < 25 / 125 < high < low + 0.01
    # However large the amount, a review cannot save more than it takes to decline.
    with pytest.raises(ValueError, match=r"whatever the amount, a review saves at most 22\.5"):
        replace(BY_AMOUNT, review=22.5)
    pays_if_large = replace(BY_AMOUNT, review=20)
    assert np.ptp(pays_if_large.thresholds([10])) == 0
    assert np.ptp(pays_if_large.thresholds([1e6])) > 0


def test_costs_per_amount_need_amounts_that_are_no_gains(scored):
    probability = scored[0]
    with pytest.raises(ValueError, match="depends on the amounts of the payments"):
        DecisionBands(BY_AMOUNT).fit(probability)
    with pytest.raises(ValueError, match="amounts is negative on 1 of 3000 rows"):
        DecisionBands(BY_AMOUNT).fit(probability, amounts=np.append(np.ones(2999), -5))
    with pytest.raises(ValueError, match=r"amounts has shape \(3,\)"):
        DecisionBands(BY_AMOUNT).fit(probability, amounts=[1, 2, 3])


def test_the_price_of_reviews_is_the_shadow_price_of_a_linear_program(scored):
    probability, _, amounts, _ = scored
    probability, amounts = probability[:300], amounts[:300]
    costs = BY_AMOUNT.expected(probability, amounts)
    n_rows, capacity = 300, 0.1
    each_row_once = np.kron(np.eye(n_rows), np.ones(3))
    reviews = np.tile([0.0, 1.0, 0.0], n_rows)[None, :]
    solved = linprog(
        costs.ravel(), A_ub=reviews, b_ub=[30], A_eq=each_row_once, b_eq=np.ones(n_rows)
    )
    bands = DecisionBands(BY_AMOUNT, review_capacity=capacity).fit(probability, amounts=amounts)
    # Between the 30th and the 31st saving any price is one; the program may find either end.
    savings = np.sort(np.minimum(costs[:, 0], costs[:, 2]) - costs[:, 1])[::-1]
    assert savings[30] <= -solved.ineqlin.marginals[0] <= savings[29] + 1e-9
    assert savings[30] <= bands.review_price_ <= savings[29]
    codes = solved.x.reshape(n_rows, 3).argmax(axis=1)
    decisions = bands.decide(probability, amounts=amounts)
    assert decisions.tolist() == np.array(["approve", "review", "decline"])[codes].tolist()


def test_the_price_moves_both_thresholds_inwards(scored):
    free = DecisionBands(FIXED).fit(scored[0])
    tight = DecisionBands(FIXED, review_capacity=0.02).fit(scored[0])
    assert free.review_price_ == 0
    (low, high), (lower, upper) = tight.thresholds(), free.thresholds()
    assert lower < low < high < upper
    assert low == pytest.approx((4 + tight.review_price_) / (0.9 * 100))
    assert high == pytest.approx((25 - 4 - tight.review_price_) / (25 + 0.1 * 100))


@pytest.mark.parametrize("capacity", [0.01, 0.1, 1, 7, 100])
def test_reviews_fit_the_capacity(scored, capacity):
    probability, _, amounts, days = scored
    rows = {"amounts": amounts, "days": days}
    bands = DecisionBands(BY_AMOUNT, review_capacity=capacity).fit(probability, **rows)
    reviewed = bands.decide(probability, **rows) == "review"
    if capacity < 1:
        assert capacity - 1 / 3000 <= reviewed.mean() <= capacity
    else:
        per_day = np.bincount(days, reviewed)
        assert per_day.max() <= capacity
        worth_it = np.sum(
            DecisionBands(BY_AMOUNT)
            .fit(probability, amounts=amounts)
            .decide(probability, amounts=amounts)
            == "review"
        )
        assert reviewed.sum() <= worth_it
        assert reviewed.sum() > 0.6 * min(worth_it, 30 * capacity)


def test_a_full_day_reviews_what_saves_most(scored):
    probability, _, amounts, days = scored
    bands = DecisionBands(BY_AMOUNT, review_capacity=3)
    bands.fit(probability, amounts=amounts, days=days)
    decisions = bands.decide(probability, amounts=amounts, days=days)
    unlimited = bands.decide(probability, amounts=amounts)
    expected = BY_AMOUNT.expected(probability, amounts)
    savings = np.minimum(expected[:, 0], expected[:, 2]) - expected[:, 1]
    full = [day for day in range(30) if np.sum(unlimited[days == day] == "review") > 3]
    assert full
    for day in full:
        of_day = days == day
        kept = savings[of_day & (decisions == "review")]
        dropped = savings[of_day & (unlimited == "review") & (decisions != "review")]
        assert len(kept) == 3
        assert kept.min() >= dropped.max()


def test_equal_scores_fill_a_days_capacity_but_no_share():
    scores, days = np.full(200, 0.3), np.repeat([0, 1], 100)
    per_day = DecisionBands(FIXED, review_capacity=10).fit(scores, days=days)
    assert np.sum(per_day.decide(scores, days=days) == "review") == 20
    share = DecisionBands(FIXED, review_capacity=0.1).fit(scores)
    assert np.sum(share.decide(scores) == "review") == 0


def test_weights_stand_for_rows_in_the_capacity(scored):
    probability, _, amounts, days = scored
    bands = DecisionBands(BY_AMOUNT, review_capacity=8)
    twice = clone(bands).fit(
        np.tile(probability, 2), amounts=np.tile(amounts, 2), days=np.tile(days, 2)
    )
    bands.fit(probability, amounts=amounts, days=days, sample_weight=np.full(3000, 2.0))
    assert bands.review_price_ == twice.review_price_


def test_the_capacity_has_to_fit_the_rows(scored):
    probability, _, _, days = scored
    with pytest.raises(ValueError, match="no day has more than 100 rows"):
        DecisionBands(FIXED, review_capacity=101).fit(probability, days=days)
    with pytest.raises(ValueError, match=r"review_capacity=5 is a number per day\. Pass days"):
        DecisionBands(FIXED, review_capacity=5).fit(probability)
    with pytest.raises(ValueError, match=r"costs\.review is None: nothing is reviewed"):
        DecisionBands(replace(FIXED, review=None), review_capacity=0.1).fit(probability)
    for capacity in (0, -1, 1.5, 1.0):
        with pytest.raises(ValueError, match="The 'review_capacity' parameter"):
            DecisionBands(FIXED, review_capacity=capacity).fit(probability, days=days)
    with pytest.raises(ValueError, match="The 'costs' parameter"):
        DecisionBands({"review": 4}).fit(probability)


def test_scores_that_are_no_probabilities_are_refused(scored):
    probability = scored[0]
    bands = DecisionBands(FIXED).fit(probability)
    with pytest.raises(ValueError, match="scores is NaN or infinite on 1 of 2 rows"):
        bands.decide([0.3, np.nan])
    with pytest.raises(ValueError, match=r"between -2 and 3; calibrated probabilities"):
        bands.decide([-2.0, 3.0])
    with pytest.raises(ValueError, match=r"scores has shape \(2, 2\)"):
        bands.decide([[0.3, 0.7], [0.2, 0.8]])
    with pytest.raises(NotFittedError):
        DecisionBands(FIXED).decide([0.3])
    with pytest.raises(ValueError, match="know no model"):
        bands.predict([[0.0]])


def test_calibrated_probabilities_pass_the_check_and_others_are_warned_of(scored):
    probability, fraud, _, _ = scored
    bands = DecisionBands(FIXED).fit(probability, fraud)  # a warning would be an error
    by_band = {each.band: each for each in bands.calibration_}
    decisions = bands.decide(probability)
    assert by_band["review"].n_samples == np.sum(decisions == "review")
    assert by_band["review"].observed_rate == fraud[decisions == "review"].mean()
    assert by_band["all"].mean_probability == pytest.approx(probability.mean())
    balanced = probability / (probability + 0.05 * (1 - probability))  # as if undersampled
    with pytest.warns(
        UserWarning, match=r"does not give calibrated probabilities: on all 3,000 rows"
    ):
        DecisionBands(FIXED).fit(balanced, fraud)
    with pytest.warns(UserWarning, match="reviewed rows"):
        text = DecisionBands(FIXED).fit(probability**2, fraud).text()
    assert "calibrate first" in text


def test_thresholds_do_not_depend_on_the_classes(scored, rng):
    probability, fraud, _, days = scored
    bands = DecisionBands(FIXED, review_capacity=3).fit(probability, days=days)
    same = clone(bands).fit(probability, fraud, days=days)
    assert same.review_price_ == bands.review_price_
    assert bands.calibration_ is None


def test_bands_are_an_estimator_that_pickles_and_reads(scored):
    probability, _, amounts, _ = scored
    bands = DecisionBands(BY_AMOUNT, review_capacity=0.05)
    assert clone(bands).get_params(deep=False) == bands.get_params(deep=False)
    bands.fit(probability, amounts=amounts)
    copied = pickle.loads(pickle.dumps(bands))
    rows = probability[:50], amounts[:50]
    expected = bands.decide(rows[0], amounts=rows[1]).tolist()
    assert copied.decide(rows[0], amounts=rows[1]).tolist() == expected
    assert len(set(expected)) > 1
    lines = bands.text().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"amount {np.quantile(amounts, 0.25):,.2f}: approve up to 0.")
    assert lines[2].endswith(f"each review is priced {bands.review_price_:.4g} higher")
    with pytest.raises(FrozenInstanceError):
        BY_AMOUNT.review = 5
    assert BY_AMOUNT.text() == (
        "A missed fraud costs 15 and the amount, a declined legitimate payment 25, a review 4, "
        "which recognises 90% of the frauds that it sees."
    )


def test_bands_of_a_distiller_decide_by_its_student(case):
    model, X, y, rows, amounts = case
    rows = {"days": rows["days"], "amounts": amounts}
    bands = DecisionBands.from_estimator(model, X, y, costs=BY_AMOUNT, review_capacity=4, **rows)
    score = model.student_.predict_proba(X)[:, 1]
    same = DecisionBands(BY_AMOUNT, review_capacity=4).fit(score, **rows)
    assert bands.review_price_ == same.review_price_
    decisions = bands.predict(X, **rows)
    assert decisions.tolist() == same.decide(score, **rows).tolist()
    assert bands.estimator_ is model.student_
    words = np.where(y == 1, "fraud", "legit")
    tree = TreeStudentClassifier(8).fit(X, words)
    first = DecisionBands.from_estimator(tree, X, costs=FIXED, pos_label="fraud")
    assert np.mean(first.predict(X[y == 1]) == "approve") < 0.5
    with pytest.raises(ValueError, match="pass pos_label explicitly"):
        DecisionBands.from_estimator(tree, X, costs=FIXED)


def test_the_cost_curve_is_the_cost_of_deciding_at_each_capacity(scored):
    probability, fraud, amounts, days = scored
    rows = {"amounts": amounts, "days": days}
    capacity, cost = review_cost_curve(fraud, probability, costs=BY_AMOUNT, **rows)
    expected = BY_AMOUNT.expected(probability, amounts)
    savings = np.minimum(expected[:, 0], expected[:, 2]) - expected[:, 1]
    for k in (0, 1, 5, int(capacity[-1])):
        lost = 0.0
        for day in range(30):
            of_day = np.flatnonzero(days == day)
            wanted = of_day[savings[of_day] > 0]
            reviewed = wanted[np.argsort(-savings[wanted])][:k]
            codes = np.where(expected[:, 2] < expected[:, 0], 2, 0)
            codes[reviewed] = 1
            decisions = np.array(["approve", "review", "decline"])[codes]
            lost += BY_AMOUNT.of_decisions(fraud, decisions, amounts)[of_day].sum()
        assert cost[k] == pytest.approx(lost / 30)
    bands = DecisionBands(BY_AMOUNT).fit(probability, amounts=amounts)
    without_limit = BY_AMOUNT.of_decisions(
        fraud, bands.decide(probability, amounts=amounts), amounts
    )
    assert cost[-1] == pytest.approx(without_limit.sum() / 30)
    share, per_row = review_cost_curve(fraud, probability, costs=BY_AMOUNT, amounts=amounts)
    assert per_row[-1] == pytest.approx(without_limit.mean())
    assert share[-1] == pytest.approx(np.mean(savings > 0))
    with pytest.raises(ValueError, match="nothing is reviewed"):
        review_cost_curve(fraud, probability, costs=replace(FIXED, review=None))


def test_a_report_counts_decisions_and_money_by_hand(case):
    model, X, y, rows, amounts = case
    report = decision_report(
        model, X, y, DecisionBands(BY_AMOUNT), amounts=amounts, days=rows["days"], n_resamples=50
    )
    assert (report.n_samples, report.n_days, report.n_frauds) == (3000, 30, y.sum())
    for role, estimator in (("student", model), ("teacher", model.teacher_)):
        score = estimator.predict_proba(X)[:, 1]
        bands = DecisionBands(BY_AMOUNT).fit(score, amounts=amounts)
        decisions = bands.decide(score, amounts=amounts)
        found = report.decisions[role]
        assert found.reviewed == np.sum(decisions == "review")
        assert found.missed_frauds == np.sum((decisions == "approve") & (y == 1))
        assert found.declined_legit == np.sum((decisions == "decline") & (y == 0))
        lost = BY_AMOUNT.of_decisions(y, decisions, amounts).sum()
        assert found.money_lost.value == pytest.approx(lost)
        assert found.money_lost_per_day.value == pytest.approx(lost / 30)
        everything = np.sum((15 + amounts) * y)
        assert found.share_saved == pytest.approx(1 - lost / everything)
        thresholds = bands.thresholds([np.median(amounts)])[0]
        assert (found.review_above, found.decline_above) == pytest.approx(tuple(thresholds))
    assert report.decisions["approve everything"].money_lost.value == pytest.approx(everything)
    assert report.decisions["oracle"].money_lost.value == 0
    assert report.decisions["oracle"].declined == y.sum()
    roles = report.decisions["student"].money_lost.value, report.decisions["teacher"].money_lost
    assert report.student_minus_teacher.value == pytest.approx(roles[0] - roles[1].value)


def test_thresholds_are_set_on_earlier_days_than_the_money_is_counted_on(case):
    model, X, y, rows, amounts = case
    days, rows_of = rows["days"], {"amounts": amounts, "days": rows["days"]}
    bands = DecisionBands(BY_AMOUNT, review_capacity=3)
    report = decision_report(model, X, y, bands, **rows_of, threshold_share=0.4, n_resamples=20)
    assert report.n_days == 18
    assert "set on the first 12 of 30 days" in report.notes[1]
    score, early = model.predict_proba(X)[:, 1], days < 12
    fitted = clone(bands).fit(score[early], amounts=amounts[early], days=days[early])
    late = {"amounts": amounts[~early], "days": days[~early]}
    decisions = fitted.decide(score[~early], **late)
    found = report.decisions["student"]
    assert found.reviewed == np.sum(decisions == "review") <= 18 * 3
    lost = BY_AMOUNT.of_decisions(y[~early], decisions, amounts[~early]).sum()
    assert found.money_lost.value == pytest.approx(lost)
    shuffled = np.random.default_rng(0).permutation(3000)
    again = decision_report(
        model,
        X[shuffled],
        y[shuffled],
        bands,
        amounts=amounts[shuffled],
        days=days[shuffled],
        threshold_share=0.4,
        n_resamples=20,
    )
    assert again.decisions["student"].money_lost.value == pytest.approx(lost)
    same = decision_report(model, X, y, bands, **rows_of, threshold_share=0, n_resamples=20)
    assert same.n_samples == 3000
    assert "the very rows on which money is counted" in same.notes[1]
    assert not hasattr(bands, "review_price_")


def test_without_days_the_share_is_set_on_whole_groups_or_rows(case):
    model, X, y, rows, _ = case
    bands = DecisionBands(FIXED, review_capacity=0.05)
    report = decision_report(model, X, y, bands, n_resamples=20, random_state=0)
    assert report.n_samples == 1500
    assert report.n_days is report.decisions["student"].money_lost_per_day is None
    grouped = decision_report(
        model, X, y, bands, groups=rows["groups"], n_resamples=20, random_state=0
    )
    sizes = np.bincount(rows["groups"])
    assert grouped.n_samples != 1500
    assert abs(grouped.n_samples - 1500) < 150 * sizes.std()
    assert grouped.settings["resampled"] == "entities"


def test_whole_days_or_groups_are_resampled(case):
    model, X, y, _, _ = case
    bands = DecisionBands(FIXED)
    # Every row stands there ten times, each time on the same card: no news, so no certainty.
    tenfold = np.tile(np.arange(600), 10)
    X, y = X[tenfold], y[tenfold]
    width = {}
    for name, groups in (("rows", None), ("cards", tenfold)):
        report = decision_report(model, X, y, bands, groups=groups, n_resamples=300, random_state=0)
        width[name] = report.student_minus_teacher.high - report.student_minus_teacher.low
    assert 2.5 < width["cards"] / width["rows"] < 4  # the root of ten
    few_days = decision_report(model, X, y, bands, days=np.arange(6000) // 1000, n_resamples=20)
    assert few_days.settings["resampled"] == "rows"
    many_days = decision_report(model, X, y, bands, days=np.arange(6000) // 100, n_resamples=20)
    assert many_days.settings["resampled"] == "days"


def test_rows_that_were_fitted_on_are_recognised(binary_task):
    X, y = binary_task
    model = DistilledClassifier(RandomForestClassifier(10, random_state=0), random_state=0)
    model.fit(X[:400], y[:400])
    bands = DecisionBands(replace(FIXED, missed_fraud=30))
    with pytest.warns(UserWarning, match="About 100% of the rows of X are rows that"):
        report = decision_report(model, X[:400], y[:400], bands, n_resamples=20)
    assert "figures of this report are too good" in report.notes[-1]
    decision_report(model, X[400:], y[400:], bands, n_resamples=20)  # would raise a warning


def test_the_sentence_follows_the_interval(case):
    model, X, y, rows, _ = case
    days = rows["days"]
    options = {"days": days, "n_resamples": 100, "random_state": 0}
    bands = DecisionBands(FIXED)
    poor = LogisticRegression(C=1e-6).fit(X, y)
    worse = decision_report(poor, X, y, bands, teacher=model.teacher_, **options)
    assert "costs more money than with the teacher" in worse.sentence
    better = decision_report(model.teacher_, X, y, bands, teacher=poor, **options)
    assert "costs less money than with the teacher" in better.sentence
    assert better.student_minus_teacher.value == -worse.student_minus_teacher.value
    same = decision_report(model.teacher_, X, y, bands, teacher=deepcopy(model.teacher_), **options)
    assert same.sentence.startswith("It is not shown")
    assert same.student_minus_teacher_per_day.value == 0
    alone = decision_report(poor, X, y, bands, **options)
    assert alone.student_minus_teacher is None
    assert alone.sentence.startswith("Deciding with the student costs ")


def test_a_report_says_where_probabilities_are_off(case):
    model, X, y, _, _ = case

    class Overcautious(LogisticRegression):
        def predict_proba(self, X):
            proba = super().predict_proba(X) ** [1, 0.3]
            return proba / proba.sum(axis=1, keepdims=True)

    careful = Overcautious().fit(X, y)
    report = decision_report(careful, X, y, DecisionBands(FIXED), teacher=model, n_resamples=20)
    assert any(note.startswith("The student does not give calibrated") for note in report.notes)
    assert not any(note.startswith("The teacher does not") for note in report.notes)


def test_a_report_prints_and_turns_into_frames_and_json(case, tmp_path):
    model, X, y, rows, amounts = case
    baseline = clone(model.student_).fit(X, y)
    report = decision_report(
        model,
        X,
        y,
        DecisionBands(BY_AMOUNT, review_capacity=4),
        baseline=baseline,
        amounts=amounts,
        **rows,
        n_resamples=20,
        random_state=0,
    )
    text = str(report)
    for words in ("15 days", "missed frauds", "money lost per day", "oracle", report.sentence):
        assert words in text
    frame = report.to_frame()
    assert frame["model"].tolist() == [
        "student",
        "teacher",
        "baseline",
        "approve everything",
        "oracle",
    ]
    assert (frame["money_lost_low"] <= frame["money_lost"]).all()
    assert set(report.to_frame("calibration")["band"]) == {"all", "approve", "review", "decline"}
    report.to_json(tmp_path / "money.json")
    loaded = json.loads((tmp_path / "money.json").read_text())
    assert loaded == report.to_dict() == json.loads(report.to_json())
    assert loaded["settings"]["costs"]["review"] == 4
    student = loaded["decisions"]["student"]
    assert student["money_lost"]["value"] == report.decisions["student"].money_lost.value
    with pytest.raises(ValueError, match="section='money'"):
        report.to_frame("money")


def test_a_report_refuses_what_it_cannot_count(case):
    model, X, y, rows, _ = case
    bands = DecisionBands(FIXED, review_capacity=5)
    with pytest.raises(ValueError, match="Pass days"):
        decision_report(model, X, y, bands)
    with pytest.raises(ValueError, match=r"Thresholds are set on some days .* one of them only"):
        decision_report(model, X, y, bands, days=np.zeros(3000))
    with pytest.raises(ValueError, match="hold one class only"):
        decision_report(model, X, np.zeros(3000), bands, days=rows["days"])
    with pytest.raises(ValueError, match="depends on the amounts"):
        decision_report(model, X, y, DecisionBands(BY_AMOUNT))
    with pytest.raises(ValueError, match=r"groups has shape \(5,\)"):
        decision_report(model, X, y, bands, days=rows["days"], groups=np.arange(5))
    with pytest.raises(ValueError, match="no day has more than 100 rows"):
        decision_report(model, X, y, DecisionBands(FIXED, review_capacity=200), days=rows["days"])
    with pytest.raises(ValueError, match=r"y has shape \(2999,\)"):
        decision_report(model, X, y[1:], bands, days=rows["days"])
    with pytest.raises(ValueError, match=r"y has shape \(2,\)"):
        DecisionBands(FIXED).fit([0.1, 0.2, 0.3], [0, 1])
    with pytest.raises(ValueError, match="The model is a regressor"):
        decision_report(LinearRegression().fit(X, y), X, y, bands, days=rows["days"])
    with pytest.raises(NotFittedError):
        decision_report(LogisticRegression(), X, y, bands, days=rows["days"])
    three = LogisticRegression().fit(X, np.arange(3000) % 3)
    with pytest.raises(ValueError, match="two were expected: fraud and legitimate"):
        decision_report(three, X, y, bands, days=rows["days"])


def test_the_display_shows_the_curves_of_teacher_and_student(case, close_figures):
    plt = pytest.importorskip("matplotlib.pyplot")
    model, X, y, rows, amounts = case
    options = {"costs": BY_AMOUNT, "amounts": amounts, "days": rows["days"]}
    ax = plt.figure().subplots()
    display = CostCurveDisplay.from_estimator(
        model, X, y, **options, review_capacity=5, ax=ax, name="Payments", linewidth=3
    )
    assert display.ax_ is ax
    score = model.teacher_.predict_proba(X)[:, 1]
    capacity, cost = review_cost_curve(y, score, **options)
    line = display.lines_["teacher"]
    np.testing.assert_allclose(line.get_ydata()[:-1], cost)
    np.testing.assert_allclose(line.get_xdata()[:-1], capacity)
    assert line.get_linewidth() == 3
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["student", "teacher", "capacity: 5"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Reviews per day", "Cost per day")
    assert ax.get_title() == "Payments"
    single = CostCurveDisplay.from_predictions(y, score, costs=FIXED)
    assert single.ax_.get_xlabel() == "Share of rows reviewed"
    assert list(single.lines_) == ["model"]


def test_the_display_takes_frames_and_words(case, close_figures):
    pytest.importorskip("matplotlib.pyplot")
    _, X, y, _, _ = case
    words = np.where(y == 1, "fraud", "legit")
    X = pd.DataFrame(X, columns=list("abcde"))
    tree = TreeStudentClassifier(8).fit(X, words)
    display = CostCurveDisplay.from_estimator(tree, X, words, costs=FIXED, pos_label="fraud")
    expected = review_cost_curve(y, tree.predict_proba(X)[:, 0], costs=FIXED)[1]
    np.testing.assert_allclose(display.lines_["student"].get_ydata()[:-1], expected)
