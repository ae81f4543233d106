"""The fidelity card against scikit-learn, SciPy and fairlearn, and what it says in words."""

import json
from copy import deepcopy
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, norm, spearmanr
from sklearn import metrics
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    LinearStudentClassifier,
    MLPStudentClassifier,
    SoftLabelClassifier,
    SoftTreeStudentClassifier,
    TreeStudentClassifier,
    fidelity_report,
)
from skdistill.decisions import (
    DecisionBands,
    DecisionCosts,
    card_precision_at_k,
    decision_report,
    precision_at_k,
    recall_at_k,
)
from skdistill.decisions.calibration import BandCalibration
from skdistill.decisions.results import DecisionReport, ModelDecisions
from skdistill.exceptions import RequirementNotMetError
from skdistill.report.fidelity.cost import parts_of
from skdistill.report.fidelity.fidelity_report import ScoreComparison
from skdistill.report.fidelity.groups import GroupGap
from skdistill.report.fidelity.segments import Segment
from skdistill.report.fidelity.verdict import judge, rows_needed
from skdistill.weighted_statistics import Estimate, mean_and_error

QUICK = {"n_resamples": 40, "random_state": 0, "cost": False}


@pytest.fixture(scope="module")
def binary_case(binary_task):
    X, y = binary_task
    X, X_test, y, y_test = train_test_split(X, np.array(["no", "yes"])[y], random_state=0)
    forest = RandomForestClassifier(30, random_state=0)
    model = DistilledClassifier(forest, random_state=0).fit(X, y)
    worse = clone(model.student_).set_params(lookahead=False)
    return model, worse.fit(X, y), X_test, y_test


@pytest.fixture(scope="module")
def binary_report(binary_case):
    model, _, X, y = binary_case
    return fidelity_report(model, X, y, **QUICK)


@pytest.fixture(scope="module")
def case_without_ties(binary_task):
    X, X_test, y, y_test = train_test_split(*binary_task, random_state=0)
    return LinearStudentClassifier().fit(X, y), LogisticRegression().fit(X, y), X_test, y_test


@pytest.fixture(scope="module")
def multiclass_case(multiclass_task):
    X, X_test, y, y_test = train_test_split(*multiclass_task, random_state=0)
    model = DistilledClassifier(RandomForestClassifier(30, random_state=0), random_state=0)
    model.fit(X, y)
    return model, clone(model.student_).fit(X, y), X_test, y_test


@pytest.fixture(scope="module")
def regression_case(mixed_frame):
    frame, _, values = mixed_frame(900)
    frame = frame[["amount", "count"]].fillna(0.0)
    X, X_test, y, y_test = train_test_split(frame, values, random_state=0)
    model = DistilledRegressor(RandomForestRegressor(30, random_state=0), random_state=0).fit(X, y)
    return model, clone(model.student_).fit(X, y), X_test, y_test


def scores_by_scikit_learn(y, proba, classes, weight):
    binary = len(classes) == 2
    predicted = np.asarray(classes)[proba.argmax(axis=1)]
    one_hot = (np.asarray(y)[:, None] == np.asarray(classes)).astype(int)
    columns = [1] if binary else range(len(classes))
    kw = {"sample_weight": weight}
    return {
        "roc_auc": np.mean(
            [metrics.roc_auc_score(one_hot[:, c], proba[:, c], **kw) for c in columns]
        ),
        "average_precision": np.mean(
            [metrics.average_precision_score(one_hot[:, c], proba[:, c], **kw) for c in columns]
        ),
        "log_loss": metrics.log_loss(y, proba, labels=classes, **kw),
        "brier": np.average(np.sum((proba - one_hot) ** 2, axis=1), weights=weight)
        / (2 if binary else 1),
        "accuracy": metrics.accuracy_score(y, predicted, **kw),
        "macro_f1": metrics.f1_score(y, predicted, average="macro", **kw),
    }


@pytest.mark.parametrize("case", ["binary_case", "multiclass_case"])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_scikit_learn(request, case, weighted, rng):
    model, baseline, X, y = request.getfixturevalue(case)
    weight = rng.exponential(size=len(y)) if weighted else None
    report = fidelity_report(model, X, y, baseline=baseline, sample_weight=weight, **QUICK)
    for role, each in (("teacher", model.teacher_), ("student", model), ("baseline", baseline)):
        expected = scores_by_scikit_learn(y, each.predict_proba(X), model.classes_, weight)
        for name in set(report.scores) & set(expected):
            assert getattr(report.scores[name], role) == pytest.approx(expected[name]), name
    assert {"roc_auc", "log_loss", "brier", "accuracy"} <= set(report.scores)
    assert ("macro_f1" in report.scores) == (case == "multiclass_case")


def test_alert_scores_and_calibration_are_counted_by_hand(case_without_ties):
    model, _, X, y = case_without_ties
    proba, hit = model.predict_proba(X)[:, 1], y == 1
    report = fidelity_report(model, X, y, top_k=20, **QUICK)
    chosen = np.argsort(-proba, kind="stable")[:20]
    assert report.scores["precision_at_k"].student == pytest.approx(hit[chosen].mean())
    false_positive, true_positive, _ = metrics.roc_curve(hit, proba)
    for percent in (1, 5):
        expected = true_positive[false_positive <= percent / 100].max()
        found = report.scores[f"recall_at_{percent}_percent_fpr"].student
        assert found == pytest.approx(expected)
    error = report.scores["calibration_error"].student
    assert abs(proba.mean() - hit.mean()) <= error < 0.5


def test_a_calibrated_model_has_no_calibration_error(rng):
    from skdistill.report.fidelity.scores import score_statistics

    proba = rng.uniform(size=200_000)
    y = (rng.uniform(size=200_000) < proba).astype(int)
    calibrated = np.column_stack([1 - proba, proba])
    pushed = np.column_stack([1 - proba**2, proba**2])  # too low by p - p^2, 1/6 on average
    errors = [
        score_statistics(answers, y, "binary", 10)["calibration_error"](np.ones((200_000, 1)))
        for answers in (calibrated, pushed)
    ]
    assert errors[0] < 0.005
    assert errors[1] == pytest.approx(1 / 6, abs=0.005)


@pytest.mark.parametrize("case", ["binary_case", "multiclass_case"])
def test_measures_of_fidelity_are_those_of_scipy(request, case):
    model, _, X, _ = request.getfixturevalue(case)
    q, p = model.teacher_.predict_proba(X), model.predict_proba(X)
    fidelity = fidelity_report(model, X, **QUICK).fidelity
    assert fidelity["kl_divergence"].value == pytest.approx(entropy(q, p, axis=1).mean())
    assert fidelity["js_divergence"].value == pytest.approx(
        (jensenshannon(q, p, axis=1) ** 2).mean()
    )
    assert fidelity["agreement"].value == np.mean(q.argmax(axis=1) == p.argmax(axis=1))
    distance = np.abs(q - p).sum(axis=1) / 2
    assert fidelity["mean_difference"].value == pytest.approx(distance.mean())
    assert fidelity["max_difference"].value == distance.max()
    assert fidelity["p95_difference"].value == np.quantile(distance, 0.95, method="inverted_cdf")
    columns = [1] if q.shape[1] == 2 else [0, 1, 2]
    expected = np.mean([spearmanr(q[:, c], p[:, c]).statistic for c in columns])
    assert fidelity["rank_correlation"].value == pytest.approx(expected)


def test_fidelity_among_the_highest_rows_is_that_of_those_rows(case_without_ties):
    model, teacher, X, _ = case_without_ties
    q, p = teacher.predict_proba(X)[:, 1], model.predict_proba(X)[:, 1]
    fidelity = fidelity_report(model, X, teacher=teacher, top_k=30, **QUICK).fidelity
    top, other = (np.argsort(-score, kind="stable")[:30] for score in (q, p))
    assert fidelity["top_k_overlap"].value == pytest.approx(len(np.intersect1d(top, other)) / 30)
    # Ranks are those among all rows, so this is near Spearman's among the thirty, not equal.
    expected = spearmanr(q[top], p[top]).statistic
    assert fidelity["top_k_rank_correlation"].value == pytest.approx(expected, abs=0.1)


def test_regression_is_scored_and_compared_in_the_unit_of_y(regression_case):
    model, baseline, X, y = regression_case
    report = fidelity_report(model, X, y, baseline=baseline, **QUICK)
    teacher, student = model.teacher_.predict(X), model.predict(X)
    assert report.scores["r2"].student == pytest.approx(metrics.r2_score(y, student))
    assert report.scores["mae"].teacher == pytest.approx(metrics.mean_absolute_error(y, teacher))
    expected = metrics.root_mean_squared_error(y, baseline.predict(X))
    assert report.scores["rmse"].baseline == pytest.approx(expected)
    assert report.fidelity["margin_r2"].value == pytest.approx(metrics.r2_score(teacher, student))
    assert report.fidelity["mean_difference"].value == pytest.approx(abs(teacher - student).mean())
    assert "agreement" not in report.fidelity
    assert report.segments[0].agreement is None
    assert report.by_class == report.thresholds == ()
    assert report.verdict.metric == "r2"


def test_a_model_is_perfectly_like_its_copy_and_not_compared_with_itself(binary_case):
    model, _, X, y = binary_case
    for itself in (model, model.student_):
        with pytest.raises(ValueError, match=r"teacher is the .* that is reported on itself"):
            fidelity_report(model, X, y, teacher=itself, **QUICK)
    report = fidelity_report(model.teacher_, X, y, teacher=deepcopy(model.teacher_), **QUICK)
    fidelity = {name: each.value for name, each in report.fidelity.items()}
    for name in ("kl_divergence", "js_divergence", "mean_difference", "max_difference"):
        assert fidelity.pop(name) == 0
    fidelity.pop("p95_difference"), fidelity.pop("p99_difference")
    assert fidelity == pytest.approx(dict.fromkeys(fidelity, 1.0))
    difference = report.scores["roc_auc"].student_minus_teacher
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)
    assert report.verdict.non_inferior
    assert report.verdict.status == "green"
    assert report.verdict.concerns == ()


def test_the_gap_closed_is_between_baseline_and_teacher(binary_case):
    model, _, X, y = binary_case
    poor = LogisticRegression(C=1e-4).fit(X[:, :1], y)

    class Narrow(LogisticRegression):
        def predict_proba(self, X):
            return super().predict_proba(X[:, :1])

    poor.__class__ = Narrow
    score = fidelity_report(model, X, y, baseline=poor, **QUICK).scores["roc_auc"]
    expected = (score.student - score.baseline) / (score.teacher - score.baseline)
    assert score.gap_closed.value == pytest.approx(expected)
    assert score.gap_closed.low < expected < score.gap_closed.high
    assert score.student_minus_baseline.low > 0


def test_where_there_is_no_gap_none_is_closed(binary_case):
    model, _, X, y = binary_case
    report = fidelity_report(model, X, y, baseline=model.teacher_, **QUICK)
    assert report.scores["roc_auc"].gap_closed is None


def test_the_verdict_follows_the_interval_and_the_margin(binary_case):
    model, baseline, X, y = binary_case
    wide = fidelity_report(model, X, y, baseline=baseline, margin=0.5, **QUICK)
    assert wide.verdict.non_inferior
    worse = fidelity_report(baseline, X, y, teacher=model.teacher_, margin=0.0, **QUICK)
    difference = worse.scores["roc_auc"].student_minus_teacher
    assert difference.high < 0
    assert worse.verdict.non_inferior is False
    assert "worse than its teacher by more than 0 in ROC-AUC" in worse.verdict.sentences[0]
    poor = LogisticRegression(C=1e-6).fit(X, y)
    helped = fidelity_report(model, X, y, baseline=poor, metric="log_loss", **QUICK)
    assert helped.verdict.helped == "yes"  # a loss: less is better
    harmed = fidelity_report(poor, X, y, baseline=model, metric="log_loss", **QUICK)
    assert harmed.verdict.helped == "no"
    same = fidelity_report(poor, X, y, baseline=clone(poor).fit(X, y), **QUICK)
    assert same.verdict.helped == "unclear"


def estimate(value, reach=0.001):
    return Estimate(value, value - reach, value + reach)


def compared(to_teacher, to_baseline=None):
    """Return a score by how much more the student has than teacher and baseline."""
    return ScoreComparison(True, 0.9, 0.9, 0.9, to_teacher, to_baseline, None)


def accuracy(difference, reach=0.001):
    """Return two scores that are no losses, one of which is as that of the teacher."""
    other = compared(estimate(0.0))
    return {"accuracy": compared(estimate(difference, reach)), "average_precision": other}


def log_loss(difference):
    return {"log_loss": ScoreComparison(False, 0.3, 0.3, 0.3, estimate(difference), None, None)}


def judged(score=None, *, seen_rows=None, overlap=1.0, error=0.0, others=None, **parts):
    """Return the verdict on a faultless student, but for what is passed."""
    scores = {
        "roc_auc": compared(estimate(0.0)) if score is None else score,
        "calibration_error": compared(estimate(error)),
        **(others or {}),
    }
    settings = {
        "metric": "roc_auc",
        "margin": parts.get("margin", 0.01),
        "top_k": 50,
        "confidence": 0.95,
        "n_resamples": 100,
    }
    return judge(
        scores,
        {"top_k_overlap": estimate(overlap)},
        by_class=(),
        segments=parts.get("segments", ()),
        gaps=parts.get("gaps", ()),
        decisions=parts.get("decisions"),
        settings=settings,
        n_samples=1000,
        seen_rows=seen_rows,
    )


def money(difference, probability=0.1):
    """Return decisions that lose so much more than the teacher's, which lose 1000."""
    lost = ModelDecisions(None, None, 1.0, 1.0, 1.0, 1.0, 1.0, estimate(1000.0), None, 0.5)
    band = BandCalibration("all", 1000, probability, 0.1, abs(probability - 0.1) > 0.05)
    return DecisionReport(
        n_samples=1000,
        n_frauds=100.0,
        n_days=None,
        models={},
        decisions={"student": lost, "teacher": lost},
        student_minus_teacher=difference,
        student_minus_teacher_per_day=None,
        calibration={"student": (band,)},
        notes=(),
        settings={},
    )


def segment(is_worse):
    return Segment("a", "a > 1", 100, 0.1, 0.9, 0.3, 0.5, estimate(0.2), is_worse)


@pytest.mark.parametrize(
    ("status", "words", "parts"),
    [
        ("green", "As good as its teacher, within 0.01 in ROC-AUC.", {}),
        ("green", "distillation helped", {"score": compared(estimate(0.0), estimate(0.02))}),
        (
            "amber",
            "distillation made the student worse",
            {"score": compared(estimate(0.0), estimate(-0.0015))},
        ),
        (
            "red",
            "Distillation made the student worse",
            {"score": compared(estimate(0.0), estimate(-0.004))},
        ),
        ("amber", "Not shown to be within 0.01", {"score": compared(estimate(-0.0095))}),
        ("red", "Worse than its teacher by more", {"score": compared(estimate(-0.02))}),
        ("amber", "worse on 1 of 2 segments", {"segments": (segment(True), segment(False))}),
        ("amber", "groups of sex are larger", {"gaps": (GroupGap("sex", "r", 0, 1, estimate(1)),)}),
        ("green", "As good", {"gaps": (GroupGap("sex", "r", 1, 0, estimate(-1)),)}),
        ("amber", "shares only 49.0% of its teacher's top 50", {"overlap": 0.49}),
        ("green", "As good", {"overlap": 0.5}),
        ("amber", "less well calibrated", {"error": 0.02}),
        ("amber", "decisions lose more than its teacher's", {"decisions": money(estimate(50.0))}),
        ("red", "Its decisions lose over 10% more", {"decisions": money(estimate(101.0))}),
        ("green", "As good", {"decisions": money(estimate(0.0))}),
        ("amber", "student's probabilities are not", {"decisions": money(estimate(0.0), 0.3)}),
        ("amber", "fitted on rows of this report", {"seen_rows": "Rows were seen."}),
        ("amber", "worse than its teacher in accuracy", {"others": accuracy(-0.04)}),
        ("green", "As good", {"others": accuracy(0.04)}),
        ("green", "As good", {"others": accuracy(-0.009)}),  # less than the margin
        ("green", "As good", {"others": accuracy(-0.04, 0.039)}),  # of one score it were shown
        ("green", "As good", {"others": accuracy(-0.04, np.nan)}),
        ("amber", "worse than its teacher in log loss", {"others": log_loss(0.031)}),
        ("green", "As good", {"others": log_loss(0.029)}),  # of .3
        ("green", "As good", {"others": log_loss(-0.2)}),
        ("amber", "in 2 other scores.", {"others": accuracy(-0.04) | log_loss(0.04)}),
    ],
)
def test_the_verdict_is_the_worst_of_what_is_known(status, words, parts):
    verdict = judged(**parts)
    assert (verdict.status, bool(verdict.concerns)) == (status, status != "green")
    assert words in verdict.headline
    assert ("As good as" in verdict.headline) == (status == "green")
    assert set(verdict.sentences) == {*verdict.concerns, *verdict.remarks}


def test_the_worst_concern_comes_first_and_none_is_left_out():
    verdict = judged(
        compared(estimate(-0.0095), estimate(-0.02)), overlap=0.2, segments=(segment(True),)
    )
    assert verdict.headline == (
        "Distillation made the student worse in ROC-AUC; also, not shown to be within 0.01 of its "
        "teacher in ROC-AUC, it is worse on 1 of 1 segments and it shares only 20.0% of its "
        "teacher's top 50."
    )
    assert len(verdict.concerns) == 4
    assert verdict.concerns[0].startswith("Distillation made the student worse")


def test_a_margin_that_is_wider_is_that_of_other_scores_too():
    lower = {"margin": 0.05, "others": accuracy(-0.04)}
    verdict = judged(**lower)
    assert verdict.status == "green"
    assert "another score worse by over 0.05" in verdict.rule
    assert judged(**lower | {"others": accuracy(-0.06)}).status == "amber"
    of_loss = judged(log_loss(0.0)["log_loss"], **lower)  # a margin in nats
    assert of_loss.status == "amber"
    assert "another score worse by over 0.01" in of_loss.rule


def test_the_rows_that_would_show_non_inferiority_show_it_as_often_as_is_said():
    gain = Estimate(-0.004, -0.012, 0.004)
    n = rows_needed(gain, 0.01, 500, 0.95)
    error = 0.008 / norm.isf(0.025) * np.sqrt(500 / n)
    assert norm.cdf((0.01 - 0.004) / error - norm.isf(0.025)) == pytest.approx(0.8, abs=0.02)
    verdict = judged(compared(gain))
    assert verdict.rows_needed == rows_needed(gain, 0.01, 1000, 0.95)
    assert "About 3,700 rows instead of 1,000 would show it" in verdict.concerns[0]
    beyond = judged(compared(Estimate(-0.011, -0.02, -0.002)))
    assert beyond.rows_needed is None
    assert "the difference itself is beyond -0.01" in beyond.concerns[0]
    assert judged(compared(Estimate(0.0, np.nan, np.nan))).status == "amber"


def test_a_good_student_is_green_on_many_rows_and_amber_on_few(case_without_ties, binary_task):
    _, teacher, X, y = case_without_ties
    student = LogisticRegression(C=0.07).fit(*train_test_split(*binary_task, random_state=0)[::2])
    rows = np.tile(np.arange(150), 8)
    many = fidelity_report(student, X[rows], y[rows], teacher=teacher, margin=0.015, **QUICK)
    few = fidelity_report(student, X[:40], y[:40], teacher=teacher, margin=0.015, **QUICK)
    assert many.verdict.status == "green"
    assert few.verdict.status == "amber"
    assert few.verdict.rows_needed > 40
    for report in (many, few):
        verdict, html = report.verdict, report.to_html()
        text = str(report)
        assert f"\n{verdict.status.upper()}: {verdict.headline}\n" in text
        assert verdict.rule in text
        assert all(f"\n- {sentence}\n" in text for sentence in verdict.concerns)
        assert f'class="verdict {verdict.status}"' in html
        assert f"{verdict.status.capitalize()}</span>" in html
        assert report.to_dict()["verdict"]["status"] == verdict.status
        assert report.to_dict()["verdict"]["concerns"] == list(verdict.concerns)


def test_the_more_gaps_are_looked_at_the_wider_is_each_interval(binary_case, rng):
    model, _, X, y = binary_case
    groups = {name: rng.choice(["a", "b"], len(y)) for name in ("one", "two")}
    both = fidelity_report(model, X, groups=groups, **QUICK).group_gaps
    alone = fidelity_report(model, X, groups={"one": groups["one"]}, **QUICK).group_gaps
    reach = [each[0].change.high - each[0].change.value for each in (both, alone)]
    assert reach[0] / reach[1] == pytest.approx(norm.isf(0.0125) / norm.isf(0.025))


def test_decisions_at_thresholds_are_counted(binary_case):
    model, _, X, _ = binary_case
    q, p = model.teacher_.predict_proba(X)[:, 1], model.predict_proba(X)[:, 1]
    found = fidelity_report(model, X, thresholds=[0.2, 0.7], **QUICK).thresholds
    assert [each.threshold for each in found] == [0.2, 0.7]
    assert found[1].agreement.value == pytest.approx(np.mean((q >= 0.7) == (p >= 0.7)))
    assert found[0].teacher_yes == pytest.approx(np.mean(q >= 0.2))
    assert found[0].student_yes == pytest.approx(np.mean(p >= 0.2))


def test_agreement_per_class_is_that_of_the_teachers_rows(multiclass_case):
    model, _, X, y = multiclass_case
    teacher, student = model.teacher_.predict(X), model.predict(X)
    for k, found in enumerate(fidelity_report(model, X, y, **QUICK).by_class):
        assert found.label == str(k)
        assert found.agreement.value == pytest.approx(np.mean(student[teacher == k] == k))
        assert found.teacher_share == pytest.approx(np.mean(teacher == k))
        assert found.observed_share == pytest.approx(np.mean(y == k))
        assert found.student_recall == pytest.approx(np.mean(student[y == k] == k))


def test_group_rates_are_those_of_fairlearn(binary_case, rng):
    fairlearn = pytest.importorskip("fairlearn.metrics")
    model, baseline, X, y = binary_case
    sex = rng.choice(["f", "m"], len(y))
    weight = rng.exponential(size=len(y))
    report = fidelity_report(
        model, X, y, baseline=baseline, groups={"sex": sex}, sample_weight=weight, **QUICK
    )
    rates = {
        "selection_rate": fairlearn.selection_rate,
        "true_positive_rate": fairlearn.true_positive_rate,
        "false_positive_rate": fairlearn.false_positive_rate,
    }
    for role, each in (("teacher", model.teacher_), ("student", model), ("baseline", baseline)):
        frame = fairlearn.MetricFrame(
            metrics=rates,
            y_true=(y == "yes").astype(int),
            y_pred=(each.predict_proba(X)[:, 1] >= 0.5).astype(int),
            sensitive_features=sex,
            sample_params={name: {"sample_weight": weight} for name in rates},
        )
        for found in report.group_rates:
            assert getattr(found, role) == pytest.approx(
                frame.by_group.loc[found.group, found.rate]
            )
        if role != "baseline":
            for gap in report.group_gaps:
                assert getattr(gap, role) == pytest.approx(frame.difference()[gap.rate])


def test_bias_that_the_student_adds_is_found_and_bias_it_has_from_its_teacher_is_not(rng):
    n = 1500
    group = rng.integers(0, 2, n)
    X = np.column_stack([rng.normal(size=n), group])
    y = (X[:, 0] + 0.3 * rng.normal(size=n) > 0).astype(int)
    fair = LogisticRegression().fit(X[:, :1].repeat(2, axis=1) * [1, 0], y)
    biased = LogisticRegression().fit(X, (X[:, 0] + group > 0.5).astype(int))
    groups = {"group": np.array(["a", "b"])[group]}
    added = fidelity_report(biased, X, y, teacher=fair, groups=groups, **QUICK)
    assert added.group_gaps[0].finding == "added"
    assert "larger than the teacher's in selection rate" in str(added)
    kept = fidelity_report(biased, X, y, teacher=deepcopy(biased), groups=groups, **QUICK)
    assert {gap.finding for gap in kept.group_gaps} == {"inherited"}
    reduced = fidelity_report(fair, X, y, teacher=biased, groups=groups, **QUICK)
    assert reduced.group_gaps[0].finding == "reduced"


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame, dict])
def test_groups_come_in_any_container_and_small_ones_do_not_count(binary_case, container):
    model, _, X, y = binary_case
    ages = ["young", "old"] * (len(y) // 2)
    ages[:3] = ["ancient", None, "young"]
    report = fidelity_report(model, X, y, groups=container({"age": ages}), **QUICK)
    assert {each.group for each in report.group_rates} == {"ancient", "missing", "old", "young"}
    assert any("ancient, missing" in sentence for sentence in report.limitations)
    rates = {
        each.group: each.student for each in report.group_rates if each.rate == "selection_rate"
    }
    gap = report.group_gaps[0]
    assert gap.student == pytest.approx(abs(rates["young"] - rates["old"]))


def test_groups_without_y_have_selection_rates_only(binary_case, multiclass_case, regression_case):
    model, _, X, y = binary_case
    report = fidelity_report(model, X, groups=np.arange(len(y)) % 2, **QUICK)
    assert {each.rate for each in report.group_rates} == {"selection_rate"}
    assert report.note("group_rates") == (
        "A model selects the rows to which it gives class yes a probability of 0.5 or more. The "
        "selection rate is their share of a group."
    )
    other = fidelity_report(
        model, X, y, groups=np.arange(len(y)) % 2, thresholds=(0.2, 0.5), top_k=7, **QUICK
    )
    assert (other.settings["selected_class"], other.settings["selection_threshold"]) == ("yes", 0.2)
    for name, words in {
        "group_rates": "class yes a probability of 0.2 or more",
        "fidelity": "top k are the 7 rows to which it gives class yes the highest",
        "group_gaps": "hold for all 3 gaps together with 95% confidence",
    }.items():
        assert words in other.note(name)
        assert other.note(name) in str(other)
    assert other.note("cost") == ""
    model, _, X, y = multiclass_case
    report = fidelity_report(model, X, y, groups=np.arange(len(y)) % 2, **QUICK)
    accuracy = np.mean(model.predict(X)[::2] == y[::2])
    assert report.group_rates[0].student == pytest.approx(accuracy)
    model, _, X, y = regression_case
    report = fidelity_report(
        model, X, y, groups=pd.Series(np.arange(len(y)) % 2, name="g"), **QUICK
    )
    assert report.group_rates[0].attribute == "g"
    assert report.group_rates[0].student == pytest.approx(model.predict(X)[::2].mean())


def weights_of_resamples(rng, n_samples):
    """Make weights of rows as they are, of resamples, and of the same row over and over."""
    drawn = rng.multinomial(n_samples, np.full(n_samples, 1 / n_samples), size=4).T
    one_row = n_samples * (np.arange(n_samples) == 3)
    return np.column_stack([np.ones(n_samples), drawn, one_row]).astype(float)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_statistics_of_resamples_are_those_of_the_rows_that_were_drawn(rng, kind):
    from skdistill.report.fidelity.measures import fidelity_statistics
    from skdistill.report.fidelity.scores import score_statistics, scores_of

    n_columns = {"binary": 2, "multiclass": 3, "regression": 1}[kind]
    parts = 1.0 + rng.integers(0, 9, (2, 240, n_columns))  # with ties
    if kind == "regression":
        teacher, student = parts
        y = teacher[:, 0] + rng.normal(size=240)
    else:
        teacher, student = parts / parts.sum(axis=-1, keepdims=True)
        y = rng.integers(0, n_columns, 240)
    weights = weights_of_resamples(rng, 240)
    _, statistics = fidelity_statistics(teacher, student, kind, 20)
    statistics |= score_statistics(student, y, kind, 20)
    found = {name: statistic(weights) for name, statistic in statistics.items()}
    drawn = [np.repeat(np.arange(240), weight.astype(int)) for weight in weights.T]
    for k, rows in enumerate(drawn):
        of_rows = fidelity_statistics(teacher[rows], student[rows], kind, 20)[1]
        of_rows = {name: statistic(np.ones((240, 1))) for name, statistic in of_rows.items()}
        assert found["worst"][k] == pytest.approx(of_rows["worst"][0])
        if k == 5:
            assert np.isnan(found["rank_correlation"][k])
            assert np.isnan(found["margin_r2"][k])
    if kind == "regression":
        for k, rows in enumerate(drawn[:-1]):
            expected = metrics.r2_score(y[rows], student[rows, 0])
            assert found["errors"][k, 0] == pytest.approx(expected)
        assert np.isnan(found["errors"][-1, 0])
        return
    scores = scores_of(found, kind)
    for k, rows in enumerate(drawn[:-1]):
        area = metrics.roc_auc_score(
            y[rows], student[rows, 1] if kind == "binary" else student[rows], multi_class="ovr"
        )
        assert scores["roc_auc"][k] == pytest.approx(area)
        labels = np.arange(n_columns)
        loss = metrics.log_loss(y[rows], student[rows], labels=labels)
        assert scores["log_loss"][k] == pytest.approx(loss)
        accuracy = metrics.accuracy_score(y[rows], student[rows].argmax(axis=1))
        assert scores["accuracy"][k] == pytest.approx(accuracy)


def test_segments_are_those_of_the_rows_of_each_part(rng):
    from skdistill.report.fidelity.segments import RowValues, find_segments

    X = pd.DataFrame({"x": rng.normal(size=400), "k": rng.integers(0, 3, 400)})
    X["word"] = rng.choice(["a", "b", "c"], 400)
    X.loc[:50, ["x", "word"]] = None
    values = rng.uniform(size=(4, 400))
    weight = rng.integers(0, 3, 400).astype(float)
    rows = RowValues(*values, weight)
    found = find_segments(X, list(X), rows, n_bins=4, min_samples=30, confidence=0.9)
    assert len(found) == (4 + 1) + 3 + (3 + 1)
    masks = {"word = b": X["word"] == "b", "k = 2": X["k"] == 2, "x is missing": X["x"].isna()}
    for segment in found:
        if segment.condition not in masks:
            continue
        mask = (masks[segment.condition] & (weight > 0)).to_numpy()
        average = np.average(values[:, mask], axis=1, weights=weight[mask])
        of_segment = (
            segment.divergence,
            segment.agreement,
            segment.teacher_loss,
            segment.student_loss,
        )
        assert segment.n_samples == mask.sum()
        assert of_segment == pytest.approx(average)
        gap, error = mean_and_error((values[3] - values[2])[mask], weight[mask])
        assert segment.loss_difference.value == pytest.approx(gap)
        reach = norm.isf(0.05) * error
        assert segment.loss_difference.high - gap == pytest.approx(reach)
    assert masks.keys() <= {segment.condition for segment in found}


def test_rows_without_weight_make_no_segment(binary_case):
    model, _, X, y = binary_case
    weight = (X[:, 0] <= np.quantile(X[:, 0], 0.5)).astype(float)
    report = fidelity_report(model, X, y, sample_weight=weight, **QUICK)
    alone = fidelity_report(model, X[weight > 0], y[weight > 0], **QUICK)
    assert report.segments
    assert all(each.n_samples < (weight > 0).sum() for each in report.segments)
    assert report.scores["roc_auc"].student == pytest.approx(alone.scores["roc_auc"].student)


def test_the_segment_where_the_student_goes_astray_is_found(mixed_frame):
    frame, y, _ = mixed_frame(2400)
    X = frame.assign(kind=frame["kind"].cat.codes)[["amount", "count", "kind"]].fillna(-1)
    fit_rows, X, y_test = X[:1200], X[1200:], y[1200:]
    teacher, astray = (
        RandomForestClassifier(30, min_samples_leaf=5, random_state=0).fit(fit_rows, y[:1200])
        for _ in range(2)
    )

    class Astray(RandomForestClassifier):
        def predict_proba(self, X):
            proba = super().predict_proba(X)
            return np.where(X["kind"].to_numpy()[:, None] == 1, 1 - proba, proba)

    astray.__class__ = Astray
    report = fidelity_report(astray, X, y_test, teacher=teacher, **QUICK)
    divergences = [segment.divergence for segment in report.segments]
    assert divergences == sorted(divergences, reverse=True)
    of = {segment.condition: segment for segment in report.segments}
    assert of["kind = 0"].divergence == of["kind = 2"].divergence == 0
    worst = of["kind = 1"]
    rows = X["kind"] == 1
    assert worst.n_samples == rows.sum()
    q, p = (model.predict_proba(X[rows]) for model in (teacher, astray))
    assert worst.divergence == pytest.approx(entropy(q, np.maximum(p, 1e-12), axis=1).mean())
    assert worst.student_is_worse
    assert worst.student_loss == pytest.approx(metrics.log_loss(y_test[rows], p))
    assert worst.loss_difference.value == pytest.approx(worst.student_loss - worst.teacher_loss)
    assert "the student predicts worse than its teacher: " in str(report)


@pytest.mark.parametrize("to_container", [lambda frame: frame, pl.from_pandas])
def test_segments_cover_levels_bins_and_missing_values_of_frames(mixed_frame, to_container):
    frame, y, _ = mixed_frame(1200)
    model = DistilledClassifier(LinearStudentClassifier(), random_state=0)
    model.fit(to_container(frame[:600]), y[:600])
    report = fidelity_report(model, to_container(frame[600:]), y[600:], **QUICK)
    conditions = {segment.condition: segment for segment in report.segments}
    assert conditions["city = Graz"].n_samples == (frame["city"][600:] == "Graz").sum()
    assert conditions["city is missing"].n_samples == frame["city"][600:].isna().sum()
    assert conditions["amount is missing"].n_samples == frame["amount"][600:].isna().sum()
    assert conditions["flag = 1"].n_samples == frame["flag"][600:].sum()
    amounts = [s for s in report.segments if s.column == "amount"]
    assert sum(s.n_samples for s in amounts) == 600
    assert len(amounts) == 6


def test_cost_counts_bytes_and_parts_and_times(binary_case, regression_case):
    model, _, X, _ = binary_case
    cost = fidelity_report(model, X, n_resamples=20).cost
    assert cost["student"].parts == f"{model.student_.n_leaves_} leaves"
    n_leaves = sum(tree.tree_.n_leaves for tree in model.teacher_.estimators_)
    assert cost["teacher"].parts == f"30 trees, {n_leaves:,} leaves"
    assert cost["student"].n_bytes < cost["teacher"].n_bytes / 20
    assert list(cost) == ["student", "lean_scorer", "teacher"]
    assert cost["lean_scorer"].parts in ("compiled C", "NumPy")
    for each in cost.values():
        assert 0 < each.row_p50 <= each.row_p99
        assert each.rows_per_second > 0
    cost = fidelity_report(regression_case[0], regression_case[2], n_resamples=20).cost
    assert cost["student"].parts == f"{regression_case[0].student_.n_leaves_} leaves"


def test_every_student_says_what_it_is_made_of(binary_task):
    X, y = binary_task
    short = {"max_epochs": 1, "random_state": 0}
    students = {
        "4 leaves": TreeStudentClassifier(4),
        "8 curves, 72 knots": LinearStudentClassifier(8),
        f"{64 * 3 + 3 + 3 + 1} weights": MLPStudentClassifier((3,), n_bins=8, **short),
        f"4 leaves, {64 * 3 + 3 + 4} weights": SoftTreeStudentClassifier(2, n_bins=8, **short),
        "5 trees, 10 leaves": SoftLabelClassifier(
            RandomForestClassifier(5, max_leaf_nodes=2, random_state=0)
        ),
    }
    for parts, student in students.items():
        assert parts_of(student.fit(X, y)) == parts
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    voting = VotingClassifier([("a", scaled), ("b", DecisionTreeClassifier())], voting="soft")
    assert parts_of(voting.fit(X, y)) == "2 members"
    assert parts_of(BaggingClassifier(scaled, 5).fit(X, y)) == "5 members"


def test_teachers_get_tables_as_they_did_in_fit(rng):
    X = rng.normal(size=(200, 2)).astype(object)
    X[::7, 1] = pd.NA
    y = (X[:, 0] > 0).astype(int)
    model = DistilledClassifier(HistGradientBoostingClassifier(max_iter=5), cv=2).fit(X, y)
    asked = rng.normal(size=(50, 2))
    asked[::5, 1] = np.nan
    as_objects = asked.astype(object)
    as_objects[::5, 1] = pd.NA
    quick = {"cost": False, "n_resamples": 20, "random_state": 0}
    reports = [fidelity_report(model, rows, **quick) for rows in (asked, as_objects)]
    assert reports[0].to_dict() == reports[1].to_dict()


def test_sparse_columns_of_frames_are_reported_on(rng):
    frame = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    y = (frame["a"] > 0).astype(int)
    model = DistilledClassifier(HistGradientBoostingClassifier(max_iter=5), cv=2).fit(frame, y)
    asked = frame.sample(60, random_state=0) + 1e-3
    quick = {"cost": False, "n_resamples": 20, "random_state": 0}
    sparse = asked.astype({"a": pd.SparseDtype(float, 0.0)})
    reports = [fidelity_report(model, rows, **quick).to_dict() for rows in (asked, sparse)]
    assert reports[0] == reports[1]


def test_the_size_of_a_pickle_is_counted_without_making_it(forest):
    import pickle

    from skdistill.report.fidelity.cost import pickled_size

    assert pickled_size(forest) == len(pickle.dumps(forest, protocol=5))
    assert pickled_size(lambda: None) is None


def test_a_report_prints_and_turns_into_frames_dicts_and_json(binary_case, tmp_path):
    model, baseline, X, y = binary_case
    report = fidelity_report(
        model, X, y, baseline=baseline, groups=np.arange(len(y)) % 2, n_resamples=40
    )
    text = str(report)
    for word in (
        "ROC-AUC",
        "KL divergence",
        "rows per second",
        "selection rate",
        "Red: a loss is shown",
    ):
        assert word in text
    frame = report.to_frame()
    assert frame["score"].tolist() == list(report.scores)
    row = frame.set_index("score").loc["log_loss"]
    assert row["student_minus_teacher_low"] <= row["student_minus_teacher"]
    for section in ("fidelity", "thresholds", "by_class", "segments", "group_rates", "cost"):
        assert len(report.to_frame(section)) == len(report.section(section)) > 0
    report.to_json(tmp_path / "report.json")
    loaded = json.loads((tmp_path / "report.json").read_text())
    assert loaded == report.to_dict() == json.loads(report.to_json())
    assert loaded["fidelity"]["agreement"]["value"] == report.fidelity["agreement"].value
    assert loaded["classes"] == ["no", "yes"]
    with pytest.raises(FrozenInstanceError):
        report.kind = "regression"
    with pytest.raises(ValueError, match="section='scroes'"):
        report.to_frame("scroes")


def test_requirements_are_checked_by_name_with_the_reason(binary_case):
    model, baseline, X, y = binary_case
    report = fidelity_report(model, X, y, baseline=baseline, margin=0.5, **QUICK)
    agreement = report.fidelity["agreement"]
    assert report.require(agreement=agreement.value, roc_auc=0.5, non_inferior=True) is report
    with pytest.raises(RequirementNotMetError, match=r"agreement is 0\.\d+ \(low end"):
        report.require(agreement=agreement.value, at_interval=True)
    with pytest.raises(RequirementNotMetError) as raised:
        report.require(kl_divergence=1e-6, log_loss=0.01, roc_auc=0.999)
    for reason in ("KL divergence is", "log loss is", "ROC-AUC is", "at most 1e-06 was required"):
        assert reason in str(raised.value)
    with pytest.raises(ValueError, match=r"No measure or score \['agrement'\]"):
        report.require(agrement=0.9)
    assert report.require(status="amber" if report.verdict.status == "amber" else "green")
    worse = fidelity_report(baseline, X, y, teacher=model.teacher_, margin=0.0, **QUICK)
    with pytest.raises(
        RequirementNotMetError, match="Non-inferiority to the teacher was not shown"
    ):
        worse.require(non_inferior=True)
    with pytest.raises(RequirementNotMetError, match="no baseline"):
        worse.require(helped=True)
    with pytest.raises(RequirementNotMetError, match="The verdict is red, green or amber was req"):
        worse.require(status="amber")


@pytest.mark.parametrize(
    ("conditions", "error", "message"),
    [
        ({}, ValueError, r"No condition was passed.*status='amber'.*'agreement'"),
        ({"non_inferior": False}, ValueError, "No condition was passed"),
        ({"at_interval": True, "roc_auc": 0.5}, ValueError, "about limits on measures of fidelity"),
        ({"status": "red"}, ValueError, "status='red'; 'green' or 'amber' was expected"),
        ({"agreement": 98}, ValueError, r"has values 0 to 1\. Shares are written as 0\.98, not 98"),
        ({"kl_divergence": -0.1}, ValueError, "kl_divergence has values of 0 or more"),
        ({"margin_r2": 1.5}, ValueError, "margin_r2 has values of 1 or less"),
        ({"rank_correlation": -2}, ValueError, "rank_correlation has values -1 to 1"),
        ({"roc_auc": np.nan}, ValueError, "roc_auc=nan can be no limit"),
        ({"log_loss": np.inf}, ValueError, "log_loss=inf can be no limit"),
        ({"agreement": True}, TypeError, "agreement=True; a number was expected"),
        ({"agreement": "0.9"}, TypeError, "agreement='0.9'; a number was expected"),
        ({"helped": "yes"}, TypeError, "helped='yes'; True, False or None was expected"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(binary_report, conditions, error, message):
    with pytest.raises(error, match=message):
        binary_report.require(**conditions)


def test_scores_of_a_days_top_k_are_those_of_the_metrics(binary_case, rng):
    model, baseline, X, y = binary_case
    days, cards = np.arange(150) // 10, rng.integers(0, 25, 150)
    report = fidelity_report(
        model, X, y, baseline=baseline, days=days, entities=cards, top_k_per_day=3, **QUICK
    )
    for role, each in (("teacher", model.teacher_), ("student", model), ("baseline", baseline)):
        score = each.predict_proba(X)[:, 1]
        kw = {"k": 3, "days": days, "pos_label": "yes"}
        for name, expected in {
            "precision_at_k_per_day": precision_at_k(y, score, **kw),
            "recall_at_k_per_day": recall_at_k(y, score, **kw),
            "card_precision_at_k": card_precision_at_k(y, score, cards, **kw),
        }.items():
            assert getattr(report.scores[name], role) == pytest.approx(expected), (role, name)
    difference = report.scores["precision_at_k_per_day"].student_minus_teacher
    assert difference.low < difference.value < difference.high
    assert "precision in a day's top k ↑" in str(report)
    assert report.settings["top_k_per_day"] == 3
    report.require(card_precision_at_k=0.1)
    gate = fidelity_report(model, X, y, days=days, metric="recall_at_k_per_day", **QUICK)
    assert gate.verdict.metric == "recall_at_k_per_day"
    assert gate.settings["top_k_per_day"] == 1  # a tenth of the ten rows of a day


def test_intervals_of_a_days_top_k_resample_whole_days(case_without_ties):
    model, teacher, X, y = case_without_ties
    days = np.arange(150) // 10
    options = {"teacher": teacher, "top_k_per_day": 4, "n_resamples": 400, "random_state": 0}
    report = fidelity_report(model, X, y, days=days, cost=False, **options)
    found = report.scores["precision_at_k_per_day"].student_minus_teacher
    of_days = [
        np.subtract(*(y[rows][np.argsort(-score[rows])[:4]].mean() for score in scores))
        for scores in [(model.predict_proba(X)[:, 1], teacher.predict_proba(X)[:, 1])]
        for rows in np.split(np.arange(150), 15)
    ]
    means = np.random.default_rng(0).choice(of_days, (4000, 15)).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_with_few_days_a_days_top_k_has_no_interval(binary_case):
    model, _, X, y = binary_case
    report = fidelity_report(model, X, y, days=np.arange(150) // 50, **QUICK)
    difference = report.scores["precision_at_k_per_day"].student_minus_teacher
    assert np.isfinite(difference.value)
    assert np.isnan(difference.low)
    assert any(sentence.startswith("There are 3 days") for sentence in report.limitations)
    report = fidelity_report(
        model, X, y, days=np.arange(150) // 50, metric="precision_at_k_per_day", **QUICK
    )
    assert report.verdict.non_inferior is False
    with pytest.raises(RequirementNotMetError, match="It needs entities="):
        report.require(card_precision_at_k=0.5)


def test_bands_put_the_money_into_the_report(binary_case, rng):
    model, baseline, X, y = binary_case
    costs = DecisionCosts(missed_fraud_per_amount=1, declined_legit=20, review=3)
    bands = DecisionBands(costs, review_capacity=2)
    rows = {"days": np.arange(150) // 10, "amounts": rng.gamma(2, 40, 150)}
    report = fidelity_report(model, X, y, baseline=baseline, bands=bands, **rows, **QUICK)
    expected = decision_report(
        model, X, y, bands, baseline=baseline, pos_label="yes", **rows, n_resamples=40
    )
    for role in ("student", "teacher", "baseline", "approve everything", "oracle"):
        found = report.decisions.decisions[role]
        assert found.money_lost.value == expected.decisions[role].money_lost.value
        assert found.reviewed == expected.decisions[role].reviewed
    assert report.decisions.sentence in report.verdict.sentences
    text = str(report)
    for words in ("Decisions and money", "missed frauds", "first 8 of 15 days"):
        assert words in text
    assert report.to_frame("decisions")["model"].tolist()[0] == "student"
    assert report.to_dict()["decisions"]["n_days"] == 7
    html = report.to_html()
    assert "<h2>Decisions and money</h2>" in html
    assert "A missed fraud costs the amount" in html
    assert "money lost a day, student - teacher" in html
    without = fidelity_report(model, X, y, **QUICK)
    assert without.decisions is None
    assert without.section("decisions") == []
    assert "Decisions and money" not in str(without)
    assert "Decisions and money" not in without.to_html()


def test_a_report_says_if_the_common_class_is_taken_for_fraud(binary_case):
    model, _, X, y = binary_case
    bands = DecisionBands(DecisionCosts(missed_fraud=50, declined_legit=20))
    legit, fraud = np.flatnonzero(y == "no"), np.flatnonzero(y == "yes")
    for rows, is_said in (((legit, fraud[:20]), False), ((legit[:20], fraud), True)):
        rows = np.concatenate(rows)
        report = fidelity_report(model, X[rows], y[rows], bands=bands, **QUICK)
        said = [each for each in report.limitations if "yes, the second class, was taken" in each]
        assert bool(said) == is_said


def test_what_the_days_add_leaves_the_rest_as_it_was(binary_case):
    model, _, X, y = binary_case
    bands = DecisionBands(DecisionCosts(missed_fraud=50, declined_legit=20, review=3))
    plain = fidelity_report(model, X, y, **QUICK)
    more = fidelity_report(model, X, y, days=np.arange(150) // 10, bands=bands, **QUICK)
    assert more.fidelity == plain.fidelity
    assert {name: more.scores[name] for name in plain.scores} == plain.scores


def test_days_and_bands_are_for_two_classes_and_have_to_fit(
    binary_case, multiclass_case, regression_case
):
    bands = DecisionBands(DecisionCosts(missed_fraud=50, declined_legit=20, review=3), 5)
    for model, _, X, y in (multiclass_case, regression_case):
        with pytest.raises(ValueError, match=r"days, bands were passed with a \w+ task"):
            fidelity_report(model, X, y, days=np.arange(len(y)), bands=bands, **QUICK)
    model, _, X, y = binary_case
    with pytest.raises(ValueError, match="review_capacity=5 is a number per day"):
        fidelity_report(model, X, y, bands=bands, **QUICK)
    with pytest.raises(ValueError, match=r"entities has shape \(3,\)"):
        fidelity_report(model, X, y, entities=["a", "b", "c"], **QUICK)
    with pytest.raises(ValueError, match="days is missing for 1 of 150"):
        fidelity_report(model, X, y, days=[None, *range(149)], **QUICK)
    with pytest.raises(ValueError, match="top 20 rows of a day"):
        fidelity_report(model, X, y, days=np.arange(150) // 10, top_k_per_day=20, **QUICK)
    with pytest.raises(ValueError, match="The 'bands' parameter"):
        fidelity_report(model, X, y, bands=bands.costs, **QUICK)
    report = fidelity_report(model, X, days=np.arange(150) // 10, bands=bands, **QUICK)
    assert report.scores == {}
    assert report.decisions is None


def test_a_requirement_on_what_is_not_there_is_not_met(binary_case):
    model, _, X, _ = binary_case
    report = fidelity_report(model, X, **QUICK)
    with pytest.raises(RequirementNotMetError, match=r"ROC-AUC is not in this report\. No y"):
        report.require(roc_auc=0.5)


def test_without_y_there_is_the_part_that_needs_none(binary_case):
    model, baseline, X, _ = binary_case
    report = fidelity_report(model, X, baseline=baseline, **QUICK)
    assert report.scores == {}
    assert "agreement" in report.fidelity
    assert report.verdict.non_inferior is report.verdict.helped is None
    assert report.segments[0].student_loss is None
    assert any(sentence.startswith("No y") for sentence in report.limitations)
    assert "Not in this report" in str(report)


def test_without_a_teacher_the_student_is_scored_alone(binary_case):
    model, _, X, y = binary_case
    report = fidelity_report(model.student_, X, y, groups=np.arange(len(y)) % 2, **QUICK)
    assert report.scores["roc_auc"].teacher is None
    assert report.fidelity == {}
    assert report.segments == report.by_class == report.thresholds == report.group_gaps == ()
    assert any(sentence.startswith("No teacher") for sentence in report.limitations)
    assert str(report).startswith("TreeStudentClassifier, 150 rows")


def test_with_one_class_in_y_the_scores_that_need_two_are_left_out(binary_case):
    model, _, X, y = binary_case
    rows = y == "no"
    report = fidelity_report(model, X[rows], y[rows], **QUICK)
    assert "roc_auc" not in report.scores
    assert np.isfinite(report.scores["log_loss"].student)
    assert report.verdict.non_inferior is None
    assert any("no row of ['yes']" in sentence for sentence in report.limitations)


def test_the_teacher_is_found_in_pipelines_and_searches(binary_task):
    X, y = binary_task
    distiller = DistilledClassifier(RandomForestClassifier(20, random_state=0), random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), distiller),
        {"distilledclassifier__student": [TreeStudentClassifier(4), TreeStudentClassifier(8)]},
        cv=2,
    ).fit(X[:400], y[:400])
    report = fidelity_report(search, X[400:], y[400:], **QUICK)
    pipeline = search.best_estimator_
    expected = pipeline[-1].teacher_.predict_proba(pipeline[:-1].transform(X[400:]))
    q, p = expected.argmax(axis=1), pipeline.predict(X[400:])
    assert report.models["teacher"] == "RandomForestClassifier"
    assert report.fidelity["agreement"].value == pytest.approx(np.mean(q == p))


def test_a_teacher_that_was_fitted_inside_on_codes_answers_for_the_classes():
    xgboost = pytest.importorskip("xgboost")
    X = np.random.default_rng(0).normal(size=(400, 4))
    y = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]
    model = DistilledClassifier(xgboost.XGBClassifier(n_estimators=20), random_state=0)
    report = fidelity_report(model.fit(X[:300], y[:300]), X[300:], y[300:], **QUICK)
    assert report.scores["accuracy"].teacher > 0.9


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame])
def test_rows_that_were_fitted_on_are_recognised(binary_task, container):
    X, y = binary_task
    X = container(X)
    model = DistilledClassifier(RandomForestClassifier(20, random_state=0), random_state=0)
    model.fit(X[:400], y[:400], X_unlabeled=X[400:450])
    with pytest.warns(UserWarning, match="About 100% of the rows of X are rows that"):
        report = fidelity_report(model, X[100:400], y[100:400], **QUICK)
    assert "the figures of this report are too good" in report.limitations[-1]
    assert report.limitations[-1] in report.verdict.concerns
    with pytest.warns(UserWarning, match="100% of the rows"):
        fidelity_report(model, X[400:450], **QUICK)
    with pytest.warns(UserWarning, match="About 50% of the rows"):
        fidelity_report(model, X[350:550], **QUICK)
    fidelity_report(model, X[450:], y[450:], **QUICK)  # a warning would be an error
    with pytest.warns(UserWarning, match="Rows of X are rows that the teacher was fitted on"):
        fidelity_report(model.student_, X[:400], teacher=model.teacher_, **QUICK)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_float32_copies_of_the_rows_are_recognised(binary_task, container):
    X, y = binary_task
    model = DistilledClassifier(RandomForestClassifier(20, random_state=0), LogisticRegression())
    model.fit(container(X[:400]), y[:400])
    seen = model._seen_rows
    assert seen.excess_in(container(X[:400].astype(np.float32))) == 1.0
    assert seen.excess_in(container(X[400:].astype(np.float32))) == 0.0


def test_rows_that_only_the_teacher_was_fitted_on_are_recognised_as_well(binary_task):
    X, y = binary_task
    teacher = RandomForestClassifier(20, random_state=0).fit(X[:300], y[:300])
    model = DistilledClassifier(teacher, random_state=0).fit(X[300:], y[300:])
    with pytest.warns(UserWarning, match="Rows of X are rows that the teacher was fitted on"):
        fidelity_report(model, X[:300], y[:300], **QUICK)
    with pytest.warns(UserWarning, match="Rows of X are rows that the teacher was fitted on"):
        fidelity_report(model, X[:240], y[:240], **QUICK)


def test_rows_of_partial_fit_are_recognised_as_well(binary_task):
    X, y = binary_task
    student = MLPStudentClassifier((4,), max_epochs=1, random_state=0)
    model = DistilledClassifier(
        RandomForestClassifier(10, random_state=0), student, label_correction=False, random_state=0
    )
    model.fit(X[:300], y[:300]).partial_fit(X[300:450])
    for rows in (X[:300], X[300:450]):
        with pytest.warns(UserWarning, match="About 100% of the rows"):
            fidelity_report(model, rows, **QUICK)
    fidelity_report(model, X[450:], **QUICK)


def test_duplicates_by_chance_are_not_taken_for_rows_fitted_on(rng):
    X = rng.integers(0, 3, size=(600, 3)).astype(float)
    y = (X.sum(axis=1) + rng.normal(size=600) > 3).astype(int)
    model = DistilledClassifier(RandomForestClassifier(20, random_state=0), random_state=0)
    fidelity_report(model.fit(X[:400], y[:400]), X[400:], y[400:], **QUICK)


def test_bad_input_is_refused_with_what_to_do(binary_case, regression_case):
    model, _, X, y = binary_case
    with pytest.raises(NotFittedError):
        fidelity_report(clone(model), X, y)
    with pytest.raises(ValueError, match="groups has 3 entries for 'sex'; one for each of the 150"):
        fidelity_report(model, X, y, groups={"sex": ["a", "b", "c"]})
    expected = r"an array of shape \(n_samples,\), a dict of those or a data frame was expected"
    for groups in ("sex", {"sex": "sex"}, 3, np.ones((150, 2))):
        with pytest.raises((TypeError, ValueError), match=f"groups.*{expected}"):
            fidelity_report(model, X, y, groups=groups)
    frame = pd.DataFrame(X).add_prefix("x")
    for groups in ("x0", ["x0", "x1"]):
        with pytest.raises(ValueError, match=rf"{expected}.* Pass X\[.*x0"):
            fidelity_report(model, frame, y, groups=groups)
    for baseline in (model, model.student_):
        with pytest.raises(ValueError, match="baseline is the TreeStudentClassifier that is repor"):
            fidelity_report(model, X, y, baseline=baseline)
    for thresholds in ((2,), (0.5, np.nan), ("a",), (True,), [[0.5]]):
        with pytest.raises(ValueError, match=r"thresholds=.*probabilities between 0 and 1 was exp"):
            fidelity_report(model, X, y, thresholds=thresholds)
    with pytest.raises(ValueError, match="top 200 of 150 rows were requested"):
        fidelity_report(model, X, y, top_k=200)
    with pytest.raises(ValueError, match=r"y holds \['maybe'\]"):
        fidelity_report(model, X, np.where(y == "no", "maybe", y))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fidelity_report(model, X, y[:-1])
    with pytest.raises(ValueError, match="as unlabelled"):
        fidelity_report(model, X, np.where(y == "no", -1, y.astype(object)))
    with pytest.raises(ValueError, match="X has one row"):
        fidelity_report(model, X[:1], y[:1])
    with pytest.raises(ValueError, match="metric='r2' is no score of a binary task"):
        fidelity_report(model, X, y, metric="r2")
    with pytest.raises(ValueError, match="The 'margin' parameter"):
        fidelity_report(model, X, y, margin=-1.0)
    with pytest.raises(TypeError, match="is a regressor and the student"):
        fidelity_report(model, X, y, teacher=regression_case[0].teacher_)
    with pytest.raises(TypeError, match="The baseline RandomForestRegressor is a regressor"):
        fidelity_report(model, X, y, baseline=regression_case[0].teacher_)
    with pytest.raises(TypeError, match="has no predict_proba"):
        fidelity_report(LinearSVC().fit(X, y), X, y)
    with pytest.raises(TypeError, match="a fitted estimator was expected"):
        fidelity_report("model", X, y)
    with pytest.raises(ValueError, match="X has 3 columns"):
        fidelity_report(model, X[:, :3], y)


def test_reports_say_where_nothing_is_known_of_the_rows_of_a_teacher(binary_task):
    X, y = binary_task
    linear = LogisticRegression().fit(X[:200], y[:200])
    model = DistilledClassifier(linear, TreeStudentClassifier(8), labelling="direct")
    report = fidelity_report(model.fit(X[200:400], y[200:400]), X[400:], y[400:], **QUICK)
    assert any("It cannot be known whether the teacher was" in one for one in report.limitations)
    model = DistilledClassifier(LogisticRegression(), TreeStudentClassifier(8)).fit(
        X[:400], y[:400]
    )
    report = fidelity_report(model, X[400:], y[400:], **QUICK)
    assert not any("cannot be known" in sentence for sentence in report.limitations)
    other = fidelity_report(model, X[400:], y[400:], teacher=linear, **QUICK)
    assert any("cannot be known" in sentence for sentence in other.limitations)


def test_a_part_of_the_rows_that_the_teacher_alone_knows_is_recognised(binary_task):
    X, y = binary_task
    boosting = HistGradientBoostingClassifier(max_iter=20).fit(X[:300], y[:300])
    model = DistilledClassifier(boosting, TreeStudentClassifier(8), labelling="direct")
    model.fit(X[300:450], y[300:450])
    with pytest.warns(UserWarning, match="Rows of X are rows that the teacher was fitted on"):
        fidelity_report(model, np.vstack([X[:150], X[450:]]), np.r_[y[:150], y[450:]], **QUICK)


def test_rows_that_the_student_alone_knows_are_called_so(binary_task):
    X, y = binary_task
    boosting = HistGradientBoostingClassifier(max_iter=20).fit(X[:300], y[:300])
    model = DistilledClassifier(boosting, TreeStudentClassifier(8), labelling="direct")
    model.fit(X[300:], y[300:])
    with pytest.warns(UserWarning, match="About 100% of the rows of X .* the student was"):
        fidelity_report(model, X[300:], y[300:], **QUICK)
