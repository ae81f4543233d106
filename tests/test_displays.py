"""Readable students: trees as rules, additive students as curves and as points."""

import itertools
import re
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit, logit
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    CurvesDisplay,
    DistilledClassifier,
    LinearStudentClassifier,
    LinearStudentRegressor,
    LossCurveDisplay,
    ScorecardDisplay,
    TreeDisplay,
    TreeStudentClassifier,
    TreeStudentRegressor,
)
from skdistill.columns import column_values
from skdistill.report.displays.conditions import (
    LevelCondition,
    NumberCondition,
    float32_threshold,
    shortest_between,
)
from skdistill.report.displays.points import best_bins
from skdistill.report.plotting import readable_on, short_numbers, shorten, value_axis

plt = pytest.importorskip("matplotlib.pyplot")
pytestmark = pytest.mark.usefixtures("close_figures")


@pytest.fixture(scope="module")
def mixed(mixed_frame):
    """Rows of all kinds, and such rows with gaps in every column and levels nobody knows."""
    frame, y, values = mixed_frame(500)
    strange, _, _ = mixed_frame(300, seed=1)
    rng = np.random.default_rng(2)
    strange["city"] = strange["city"].where(rng.random(300) > 0.3, "Rom")
    strange["kind"] = strange["kind"].cat.add_categories("z").where(rng.random(300) > 0.3, "z")
    strange = strange.astype({"count": float, "flag": float})
    for name in strange:
        strange.loc[rng.random(300) < 0.2, name] = None
    return frame, y, values, strange


@pytest.fixture(scope="module")
def tree(mixed):
    return TreeStudentClassifier(16, random_state=0).fit(*mixed[:2])


@pytest.fixture(scope="module")
def additive(mixed):
    return LinearStudentClassifier().fit(*mixed[:2])


@pytest.fixture(scope="module")
def distiller(mixed):
    X = mixed[0][["amount", "count", "flag"]].fillna(0.0)
    teacher = RandomForestClassifier(20, random_state=0)
    distiller = DistilledClassifier(
        teacher, TreeStudentClassifier(5), augmentation=None, label_correction=False
    )
    return make_pipeline(StandardScaler(), distiller).fit(X, mixed[1]), X


def test_each_row_fulfils_exactly_the_rule_of_its_leaf(mixed, tree):
    strange = mixed[-1]
    rules = TreeDisplay.from_estimator(tree).rules
    for X in (strange, pl.from_pandas(strange)):
        holds = np.stack([rule.holds(X) for rule in rules], axis=1)
        assert (holds.sum(axis=1) == 1).all()
        leaf = np.array([rule.leaf for rule in rules])
        assert leaf[holds.argmax(axis=1)].tolist() == tree.tree_.apply(X).tolist()
    assert any(isinstance(c, LevelCondition) for rule in rules for c in rule.conditions)


def test_rules_of_arrays_find_columns_by_position(multiclass_task):
    X, y = multiclass_task
    tree = TreeStudentClassifier(12).fit(X, y)
    rules = TreeDisplay.from_estimator(tree).rules
    rows = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    leaves = sum(rule.leaf * rule.holds(rows) for rule in rules)
    assert leaves.tolist() == tree.tree_.apply(rows).tolist()
    assert rules[0].holds(rows.tolist()).tolist() == rules[0].holds(rows).tolist()
    assert rules[0].holds(pd.DataFrame(rows)).tolist() == rules[0].holds(rows).tolist()


def test_frames_are_read_by_name_and_must_have_the_columns(mixed, tree):
    frame = mixed[0]
    rule = TreeDisplay.from_estimator(tree).rules[0]
    assert rule.holds(frame[frame.columns[::-1]]).tolist() == rule.holds(frame).tolist()
    with pytest.raises(ValueError, match="X has no column 'kind'"):
        NumberCondition(4, "kind").holds(frame[["amount", "count"]])
    with pytest.raises(ValueError, match="X has 2 columns; column 4, 'kind'"):
        NumberCondition(4, "kind").holds(np.zeros((3, 2)))


def test_rules_hold_at_the_very_next_float32(rng):
    X = rng.normal(size=(400, 3)).astype(np.float32)
    tree = TreeStudentClassifier(16, min_samples_leaf=1).fit(X, rng.integers(0, 2, 400))
    inner = tree.tree_.children_left >= 0
    below = np.array([float32_threshold(t) for t in tree.tree_.threshold[inner]], np.float32)
    above = np.nextafter(below, np.float32(np.inf))
    assert (below <= tree.tree_.threshold[inner]).all()
    assert (above > tree.tree_.threshold[inner]).all()
    edges = np.stack(np.broadcast_arrays(*[np.concatenate([below, above])[:, None]] * 3), axis=-1)
    rows = np.concatenate([edges[:, 0], X])
    rules = TreeDisplay.from_estimator(tree).rules
    assert sum(r.leaf * r.holds(rows) for r in rules).tolist() == tree.tree_.apply(rows).tolist()


def test_thresholds_have_no_digit_too_many():
    assert float32_threshold((np.float32(16.77) + np.float64(np.float32(16.82))) / 2) == 16.795
    assert float32_threshold(120.5) == 120.5
    assert float32_threshold(np.inf) == np.inf
    just_below = float(np.nextafter(np.float32(2.45), np.float32(0)))
    named = {"column": 0, "name": "x", "single_precision": True}
    assert NumberCondition(high=just_below, **named).text() == "x < 2.45"
    assert NumberCondition(low=just_below, high=4.95, **named).text() == "2.45 <= x <= 4.95"
    assert shortest_between(35374.0, 38000.0) == 36000.0
    assert shortest_between(0.1 + 0.2, 0.30000000000000010) == 0.1 + 0.2


def test_conditions_on_one_column_are_merged():
    above, below = NumberCondition(0, "amount", low=120.5), NumberCondition(0, "amount", high=300.0)
    assert (above & below).text() == "120.5 < amount <= 300"
    assert (above & below).text(name="") == "> 120.5, <= 300"
    in_two = LevelCondition(1, "city", ("Graz", "Linz"), ("Wien", "Rom"), missing=True)
    in_one = LevelCondition(1, "city", ("Linz", "Wien"), ("Graz", "Rom"), missing=True)
    assert (in_two & in_one).text() == "city in {Linz} or missing"


def test_levels_are_named_by_the_shorter_list():
    few, many = ("Wien",), tuple("abcdefghij")
    assert LevelCondition(0, "city", few, many).text() == "city in {Wien}"
    assert LevelCondition(0, "city", many, few).text() == "city not in {Wien} and not missing"
    assert LevelCondition(0, "city", many, few, missing=True).text() == (
        "city not in {Wien} or missing"
    )
    silent = LevelCondition(0, "city", many, few, mention_missing=False)
    assert silent.text() == "city not in {Wien}"
    assert LevelCondition(0, "c", many, many).text(max_levels=2) == "c in {a, b and 8 more}"
    assert LevelCondition(0, "c", (), many, missing=True).text() == "c is missing"


def test_branches_are_silent_on_what_was_kept_away_before():
    known = NumberCondition(0, "x", high=5.0)
    either = NumberCondition(0, "x", high=5.0, missing=True)
    branch = NumberCondition(0, "x", high=2.0, missing=True)
    assert branch.after(known).text() == "x <= 2"
    assert branch.after(either).text() == "x <= 2 or missing"
    before = LevelCondition(0, "c", ("a", "b"), ("d", "e", "f"))
    branch = LevelCondition(0, "c", ("a", "d", "e"), ("b", "f"), missing=True)
    assert branch.after(before).text() == "c in {a}"


def test_levels_that_could_be_misread_stand_in_quotes():
    condition = LevelCondition(0, "c", ("missing", "a, b", "", "plain"), tuple("12345"))
    assert condition.text() == "c in {'', 'a, b', 'missing', plain}"


def test_missing_is_said_where_it_follows_and_can_occur(mixed, tree):
    frame, _, _, strange = mixed
    with_gaps = TreeDisplay.from_estimator(tree, strange).rules
    said = [c for rule in with_gaps for c in rule.conditions]
    assert any(c.missing for c in said)
    assert not all(c.missing for c in said)
    for condition in said:
        assert condition.text().endswith((" or missing", "is missing")) == condition.missing
    complete = frame.dropna()
    for rule in TreeDisplay.from_estimator(tree, complete).rules:
        assert not set(re.findall("or missing|and not missing", rule.text()))


def test_a_split_on_missing_alone_says_so(rng):
    x = np.where(rng.random(200) < 0.5, np.nan, rng.random(200))
    tree = TreeStudentClassifier(2).fit(x[:, None], np.isnan(x).astype(int))
    display = TreeDisplay.from_estimator(tree, x[:, None])
    assert [rule.text() for rule in display.rules] == ["x0 is missing", "x0 is not missing"]


def test_support_counts_the_rows_or_weighs_the_transfer_set(mixed, tree):
    strange = mixed[-1]
    counted = TreeDisplay.from_estimator(tree, strange).rules
    rows_in_leaf = np.bincount(tree.tree_.apply(strange), minlength=100)
    assert [rule.n_rows for rule in counted] == [rows_in_leaf[rule.leaf] for rule in counted]
    weighed = TreeDisplay.from_estimator(tree).rules
    for rules in (counted, weighed):
        assert sum(rule.share for rule in rules) == pytest.approx(1.0)
    assert [rule.share for rule in counted] == [rule.n_rows / len(strange) for rule in counted]
    assert weighed[0].n_rows is None
    weight = tree.tree_.weight
    assert [rule.share for rule in weighed] == [weight[r.leaf] / weight[0] for r in weighed]


def test_scores_are_those_of_student_teacher_and_observation(mixed, tree):
    frame, y, _, _ = mixed
    numbers = ["amount", "count"]
    teacher = make_pipeline(_Columns(numbers), RandomForestClassifier(5, random_state=0))
    teacher.fit(frame, y)
    rules = TreeDisplay.from_estimator(tree, frame, y, teacher=teacher).rules
    student_proba, teacher_proba = tree.predict_proba(frame), teacher.predict_proba(frame)
    for rule in rules:
        rows = rule.holds(frame)
        assert rule.score == pytest.approx(student_proba[rows, 1].mean())
        assert rule.teacher_score == pytest.approx(teacher_proba[rows, 1].mean())
        assert rule.observed == pytest.approx(y[rows].mean())
        assert rule.purity == pytest.approx(max(y[rows].mean(), 1 - y[rows].mean()))
    scores = [rule.score for rule in rules]
    assert scores == sorted(scores, reverse=True)


def test_without_y_purity_is_that_of_the_transfer_set(mixed, tree):
    for rule in TreeDisplay.from_estimator(tree, mixed[0]).rules:
        assert rule.purity == max(rule.score, 1 - rule.score)
        assert rule.observed is None
        assert rule.teacher_score is None


def test_student_and_teacher_see_rows_as_each_takes_them(distiller, mixed):
    pipeline, X = distiller
    scaled = pipeline[:-1].transform(X)
    rules = TreeDisplay.from_estimator(pipeline, X, mixed[1]).rules
    for rule in rules:
        rows = rule.holds(scaled)
        assert rule.n_rows == rows.sum()
        of_teacher = pipeline[-1].teacher_.predict_proba(scaled[rows])[:, 1].mean()
        assert rule.teacher_score == pytest.approx(of_teacher)
    raw_teacher = RandomForestClassifier(5, random_state=1).fit(X, mixed[1])
    rule = TreeDisplay.from_estimator(pipeline, X, teacher=raw_teacher).rules[0]
    of_teacher = raw_teacher.predict_proba(X[rule.holds(scaled)])[:, 1].mean()
    assert rule.teacher_score == pytest.approx(of_teacher)


def test_a_search_shows_its_best_estimator(binary_task):
    teacher = RandomForestClassifier(5, random_state=0)
    distiller = DistilledClassifier(teacher, TreeStudentClassifier(), augmentation=None)
    search = GridSearchCV(distiller, {"student__max_leaf_nodes": [3]}, cv=2).fit(*binary_task)
    assert len(TreeDisplay.from_estimator(search).rules) == 3


def test_rows_without_a_class_are_left_out_of_what_was_observed(mixed, tree):
    frame, y, _, _ = mixed
    half = np.where(np.arange(len(y)) % 2, y, -1)
    some = frame.iloc[1::2]
    rules = TreeDisplay.from_estimator(tree, frame, half).rules
    observed = {r.leaf: r.observed for r in TreeDisplay.from_estimator(tree, some, y[1::2]).rules}
    assert sum(rule.n_rows for rule in rules) == len(y)
    for rule in rules:
        assert rule.observed == pytest.approx(observed[rule.leaf], nan_ok=True)


def test_with_many_classes_each_leaf_speaks_of_its_own(multiclass_task):
    X, y = multiclass_task
    names = np.array(["ant", "bee", "cat"])[y]
    tree = TreeStudentClassifier(8).fit(X, names)
    display = TreeDisplay.from_estimator(tree, X, names)
    for rule in display.rules:
        rows = rule.holds(X)
        assert set(tree.predict(X[rows])) == {rule.label}
        assert rule.score == pytest.approx(tree.predict_proba(X[rows])[0].max())
        assert rule.observed == pytest.approx(np.mean(names[rows] == rule.label))
    labels = [rule.label for rule in display.rules]
    assert labels == sorted(labels)
    assert display.text().split("\n")[1].split()[:2] == ["class", "student"]
    one = TreeDisplay.from_estimator(tree, class_of_interest="cat")
    assert {rule.label for rule in one.rules} == {"cat"}
    assert one.text().startswith("TreeStudentClassifier: probability of class cat\n")


def test_a_regression_tree_shows_values(mixed):
    frame, _, values, _ = mixed
    tree = TreeStudentRegressor(6).fit(frame, values)
    forest = make_pipeline(_Columns(["count"]), RandomForestRegressor(5)).fit(frame, values)
    display = TreeDisplay.from_estimator(tree, frame, values, teacher=forest)
    for rule in display.rules:
        rows = rule.holds(frame)
        assert rule.score == pytest.approx(tree.predict(frame[rows])[0])
        assert rule.observed == pytest.approx(values[rows].mean())
        assert rule.teacher_score == pytest.approx(forest.predict(frame[rows]).mean())
        assert rule.purity is None
    assert "purity" not in display.text()


def test_the_text_has_a_line_per_rule_in_columns(mixed, tree):
    frame, y, _, _ = mixed
    display = TreeDisplay.from_estimator(tree, frame, y, name="mine")
    title, heading, *lines = display.text().split("\n")
    assert title == "mine: probability of class 1, 500 rows"
    assert heading.split() == ["student", "observed", "purity", "rows", "share", "rule"]
    start = heading.index("rule")
    assert [line[start:] for line in lines] == [rule.text() for rule in display.rules]


def test_a_leaf_that_no_row_reaches_has_a_dash(mixed, tree):
    frame, y, _, _ = mixed
    best = TreeDisplay.from_estimator(tree).rules[0]
    rows = best.holds(frame)
    display = TreeDisplay.from_estimator(tree, frame[rows], y[rows])
    assert sum(rule.n_rows > 0 for rule in display.rules) == 1
    assert display.text().split("\n")[3].split()[1:4] == ["-", "-", "0"]


def test_small_probabilities_keep_two_digits(rng):
    X = rng.random((400, 1))
    proba = np.where(X < 0.5, 0.00012, 0.4)
    tree = TreeStudentClassifier(2).fit(X, np.hstack([1 - proba, proba]))
    assert "0.00012" in TreeDisplay.from_estimator(tree).text()


def test_rules_make_a_frame(mixed, tree):
    frame, y, _, _ = mixed
    display = TreeDisplay.from_estimator(tree, frame, y)
    rules = display.to_frame()
    assert rules["rule"].tolist() == [rule.text() for rule in display.rules]
    assert rules["n_rows"].sum() == len(y)
    assert list(rules)[-1] == "leaf"
    assert "teacher_score" not in rules


def test_a_tree_without_a_split_is_one_rule(binary_task):
    X, _ = binary_task
    tree = TreeStudentClassifier().fit(X, np.full((len(X), 2), 0.5))
    (rule,) = TreeDisplay.from_estimator(tree, X).rules
    assert rule.text() == "every row"
    assert rule.holds(X).all()


def test_no_words_of_the_picture_overlap(mixed, mixed_frame):
    frame, _, _ = mixed_frame(1500, seed=3)
    rng = np.random.default_rng(0)
    frame.columns = [f"{name}_of_the_applicant_in_the_last_twelve_months" for name in frame]
    frame["country"] = rng.choice([f"country {i:02d}" for i in range(40)], len(frame))
    tree = TreeStudentClassifier(32, min_samples_leaf=1).fit(frame, rng.integers(0, 2, len(frame)))
    display = TreeDisplay.from_estimator(tree, frame)
    assert tree.n_leaves_ == 32
    boxes = [text.get_window_extent() for text in display.ax_.texts if text.get_text()]
    for a, b in itertools.combinations(boxes, 2):
        assert not a.shrunk(0.98, 0.9).overlaps(b.shrunk(0.98, 0.9))
    page = display.figure_.bbox
    assert all(page.x0 <= b.x0 and b.x1 <= page.x1 and page.y0 <= b.y0 <= page.y1 for b in boxes)


def test_the_picture_fits_into_given_axes(mixed, tree):
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
    display = TreeDisplay.from_estimator(tree, mixed[0], ax=left, fontsize=10)
    assert display.ax_ is left
    assert display.figure_ is figure
    room = left.get_window_extent()
    for text in left.texts:
        box = text.get_window_extent()
        assert room.x0 - 1 <= box.x0
        assert box.x1 <= room.x1 + 1
        assert text.get_fontsize() < 10
    assert not right.texts
    again = display.plot()
    assert again is display
    assert display.ax_ is not left


def test_the_picture_shows_every_score_and_names_long_sets_below(mixed, rng):
    frame = pd.DataFrame({"country": rng.choice([f"country {i:02d}" for i in range(20)], 600)})
    y = frame["country"].str[-1].astype(int) % 2
    display = TreeDisplay.from_estimator(TreeStudentClassifier(2).fit(frame, y), frame)
    words = [text.get_text() for text in display.ax_.texts]
    assert {"0.000", "1.000", "in set [1]"} <= set(words)
    odd = ", ".join(f"country {i:02d}" for i in range(1, 20, 2))
    even = ", ".join(f"country {i:02d}" for i in range(0, 20, 2))
    noted = " ".join(" ".join(words).split())
    assert f"country: {odd}" in noted or f"country: {even}" in noted


def test_ink_contrasts_with_what_is_below(mixed, tree):
    assert readable_on("white") == readable_on("yellow") == "black"
    assert readable_on("black") == readable_on("navy") == "white"
    with plt.style.context("dark_background"):
        display = TreeDisplay.from_estimator(tree)
    assert display.ax_.texts[0].get_color() == "white"
    light = TreeDisplay.from_estimator(tree)
    assert light.ax_.texts[0].get_color() == "black"
    assert not light.ax_.axison  # no ground of its own


def test_long_names_are_cut_in_the_middle():
    assert shorten("income_of_the_applicant", 11) == "incom…icant"
    assert shorten("income", 6) == "income"


class _Columns:
    """A transformer that picks columns of a frame and fills gaps."""

    def __init__(self, names):
        self.names = names

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X[self.names].fillna(-1.0).to_numpy()


@pytest.mark.parametrize("container", [pd.DataFrame, pl.from_pandas])
def test_curves_and_intercept_add_up_to_the_decision(mixed, additive, container):
    X = container(mixed[-1])
    for label, sign in ((0, -1), (1, 1)):
        for rows in (None, X):
            display = CurvesDisplay.from_estimator(additive, rows, class_of_interest=label)
            assert _sum(display, X) == pytest.approx(sign * additive.decision_function(X), abs=1e-5)


def test_with_many_classes_curves_are_log_odds_against_the_rest(multiclass_task):
    X, y = multiclass_task
    student = LinearStudentClassifier().fit(X, y)
    log_proba = student.predict_log_proba(X)
    for k in range(3):
        display = CurvesDisplay.from_estimator(student, X, class_of_interest=k)
        rest = np.delete(log_proba, k, axis=1).mean(axis=1)
        assert _sum(display, X) == pytest.approx(log_proba[:, k] - rest, abs=1e-5)
        assert display.axes_[0].get_ylabel() == f"log-odds of class {k}"


def test_curves_of_a_regressor_add_up_to_the_prediction(mixed):
    frame, _, values, strange = mixed
    student = LinearStudentRegressor().fit(frame, values)
    display = CurvesDisplay.from_estimator(student, frame)
    assert _sum(display, strange) == pytest.approx(student.predict(strange), abs=1e-5)
    assert display.axes_[0].get_ylabel() or display.axes_[0].get_xlabel()


def test_curves_are_centred_over_rows_or_knots_and_sorted_by_importance(mixed, additive):
    frame = mixed[0]
    over_rows = CurvesDisplay.from_estimator(additive, frame)
    importance = [curve.importance for curve in over_rows.curves]
    assert importance == sorted(importance, reverse=True)
    for curve in over_rows.curves:
        added = curve.at(column_values(frame, curve.column))
        assert added.mean() == pytest.approx(0.0, abs=1e-9)
        assert np.abs(added).mean() == pytest.approx(curve.importance)
    over_knots = CurvesDisplay.from_estimator(additive)
    for curve in over_knots.curves:
        knots = curve.values[: len(curve.encoding.edges)] if not curve.is_nominal else curve.values
        assert knots.mean() == pytest.approx(0.0, abs=1e-9)
    assert "over 500 rows" in over_rows.figure_.get_suptitle()
    assert "over its knots" in over_knots.figure_.get_suptitle()


def test_panels_show_knots_missing_and_levels_on_one_scale(mixed, additive):
    display = CurvesDisplay.from_estimator(additive, mixed[0], columns=["amount", 3], color="red")
    amount, city = (
        next(c for c in display.curves if c.name == name) for name in ("amount", "city")
    )
    left, right = display.axes_
    line = next(line for line in left.lines if line.get_color() == "red")
    assert line.get_xdata().tolist() == amount.encoding.edges.tolist()
    assert line.get_ydata().tolist() == amount.values[:-1].tolist()
    marker = next(line for line in left.lines if line.get_marker() == "D")
    assert marker.get_ydata() == [amount.missing]
    assert marker.get_xdata()[0] > amount.encoding.edges[-1]
    bars = right.containers[0]
    assert [bar.get_width() for bar in bars] == sorted(city.values)
    levels = [text.get_text().rpartition(" ")[0] for text in right.get_yticklabels()]
    by_value = [city.level_names[i] for i in np.argsort(city.values)]
    assert levels == by_value
    assert "missing" in levels
    assert left.get_ylim() == right.get_xlim()
    assert [ax.get_title().split()[0] for ax in display.axes_] == ["amount", "city"]


def test_below_a_curve_stands_where_the_rows_are(mixed, additive):
    frame = mixed[0]
    display = CurvesDisplay.from_estimator(additive, frame, columns=["amount"])
    curve = next(c for c in display.curves if c.name == "amount")
    assert curve.counts.sum() == len(frame)
    assert curve.counts[-1] == frame["amount"].isna().sum()
    heights = [bar.get_height() for bar in display.axes_[0].containers[0]]
    assert np.argmax(heights) == np.argmax(curve.counts[:-1])
    assert not CurvesDisplay.from_estimator(additive, columns=["amount"]).axes_[0].containers


def test_a_constant_column_has_a_flat_curve(binary_task):
    X, y = binary_task
    X = np.hstack([X[:, :1], np.full((len(X), 1), 7.0)])
    display = CurvesDisplay.from_estimator(LinearStudentClassifier().fit(X, y), X)
    curve = display.curves[-1]
    assert curve.name == "x1"
    assert curve.importance == 0
    assert curve.counts.tolist() == [len(X)] + [0] * 40


def test_dollars_are_no_formulas(rng):
    frame = pd.DataFrame({"a$b$": rng.choice(["$x_1$", "$y^2$"], 100), "$n_2$": rng.random(100)})
    y = np.where(frame["$n_2$"] > 0.5, "$in$", "$out$")
    tree = TreeStudentClassifier(3).fit(frame, y)
    additive = LinearStudentClassifier().fit(frame, y)
    for display in (
        TreeDisplay.from_estimator(tree, frame),
        CurvesDisplay.from_estimator(additive, frame),
        ScorecardDisplay.from_estimator(additive, frame),
    ):
        texts = display.figure_.findobj(lambda a: "$" in getattr(a, "get_text", str)())
        assert texts
        assert not any(text.get_parse_math() for text in texts)


def test_levels_beyond_the_largest_number_share_a_line(rng):
    frame = pd.DataFrame({"country": rng.choice([f"c{i:02d}" for i in range(30)], 2000)})
    student = LinearStudentRegressor().fit(frame, frame["country"].str[1:].astype(float))
    (curve,) = (display := CurvesDisplay.from_estimator(student, frame, max_levels=5)).curves
    (ax,) = display.axes_
    assert len(ax.containers[0]) == 4
    assert ax.get_yticklabels()[0].get_text() == "26 more levels"
    shown = {bar.get_width() for bar in ax.containers[0]}
    rest = [value for value in curve.values if value not in shown]
    line = ax.lines[-1].get_xdata()
    assert list(line) == [min(rest), max(rest)]


def test_columns_are_chosen_by_importance_name_or_position(mixed, additive):
    display = CurvesDisplay.from_estimator(additive, mixed[0], n_columns=2)
    assert len(display.axes_) == 2
    assert len(display.curves) == 5
    titles = [ax.get_title() for ax in display.plot(columns=["kind", 0]).axes_]
    assert [title.split()[0] for title in titles] == ["kind", "amount"]
    with pytest.raises(ValueError, match=r"columns holds 'age';.*'amount', 'count'"):
        display.plot(columns=["age", "kind"])
    with pytest.raises(ValueError, match="one name or position or more was expected"):
        display.plot(columns=[])
    with pytest.raises(ValueError, match="n_columns=-1 was passed"):
        display.plot(n_columns=-1)


def test_curves_are_drawn_within_one_axes_or_into_several(mixed, additive):
    figure, (left, _) = plt.subplots(1, 2)
    display = CurvesDisplay.from_estimator(additive, ax=left, n_columns=4, n_cols=2)
    assert display.bounding_ax_ is left
    assert display.figure_ is figure
    room = left.get_position()
    for ax in display.axes_:
        assert room.x0 - 1e-9 <= ax.get_position().x0 < ax.get_position().x1 <= room.x1 + 1e-9
    assert "over its knots" in display.axes_[0].get_xlabel() + display.axes_[0].get_ylabel()
    free = plt.figure().add_axes((0.1, 0.1, 0.5, 0.5))
    assert display.plot(free, n_columns=1).axes_[0].get_position().x1 == pytest.approx(0.6)
    axes = plt.subplots(1, 2)[1]
    assert display.plot(axes, n_columns=2).axes_.tolist() == axes.tolist()
    assert display.bounding_ax_ is None
    with pytest.raises(ValueError, match="ax holds 2 axes and 3 are needed"):
        display.plot(axes, n_columns=3)


def _sum(display, X):
    added = [curve.at(column_values(X, curve.column)) for curve in display.curves]
    return np.sum(added, axis=0) + display.intercept


def test_the_scaling_is_siddiqis():
    rng = np.random.default_rng(0)
    X = rng.random((200, 2))
    student = LinearStudentClassifier().fit(X, (X[:, 0] > 0.5).astype(int))
    card = ScorecardDisplay.from_estimator(student)
    assert card.scaling.factor == pytest.approx(28.8539, abs=1e-4)
    assert card.scaling.offset == pytest.approx(487.123, abs=1e-3)
    good = card.proba_from_points([600, 620, 580])[:, 0]
    assert good / (1 - good) == pytest.approx([50, 100, 25])
    assert card.proba_from_points([600]).sum() == pytest.approx(1.0)


def test_points_are_the_log_odds_up_to_rounding(mixed, steps):
    # Columns of few values have a knot at each: bins lose nothing, only rounding is left.
    student, frame, strange = steps
    for rows in (None, frame):
        card = ScorecardDisplay.from_estimator(student, rows, n_bins=20, good_class=1)
        for X in (frame, strange, pl.from_pandas(strange)):
            exact = card.scaling.points(student.decision_function(X))
            assert np.abs(card.points(X) - exact).max() <= 0.5 * (X.shape[1] + 1)


def test_fine_points_lose_nothing_where_every_value_has_a_bin(steps):
    student, frame, _ = steps
    card = ScorecardDisplay.from_estimator(
        student, frame, n_bins=20, points_to_double_odds=10_000, good_class=1
    )
    assert card.fidelity.largest_difference < 1e-3
    assert card.proba_from_points(card.points(frame)) == pytest.approx(
        student.predict_proba(frame), abs=1e-3
    )


@pytest.fixture(scope="module")
def steps(mixed):
    """A student of columns of few values, its rows, and rows nobody has seen."""
    frame, y, _, strange = mixed
    rng = np.random.default_rng(0)
    names = ["count", "flag", "city", "kind"]
    frame = frame[names].assign(gaps=rng.choice([1.0, 2.0, 5.0, np.nan], len(frame)))
    strange = strange[names].assign(gaps=rng.choice([1.0, 2.0, 5.0, np.nan], len(strange)))
    y = np.where(rng.random(len(y)) < 0.2, frame["gaps"] == 5, y)
    return LinearStudentClassifier().fit(frame, y), frame, strange


def test_each_row_gets_points_once_per_column(mixed, additive):
    frame, _, _, strange = mixed
    card = ScorecardDisplay.from_estimator(additive, frame)
    for X in (frame, strange):
        for name in frame:
            rows = [row for row in card.rows if row.name == name]
            assert (sum(row.condition.holds(X).astype(int) for row in rows) == 1).all()
    total = card.base + sum(row.points * row.condition.holds(strange) for row in card.rows)
    assert card.points(strange).tolist() == total.tolist()


def test_more_bins_follow_the_student_more_closely(binary_task):
    X, y = binary_task
    student = LinearStudentClassifier().fit(X, y)
    fine = {"points_to_double_odds": 1000}
    errors = [
        ScorecardDisplay.from_estimator(student, X, n_bins=k, **fine).fidelity.mean_difference
        for k in (1, 2, 5, 10, 32)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 10


def test_bins_are_the_best_there_are(rng):
    segment = np.concatenate([np.arange(7), rng.integers(0, 7, 50)])
    values = rng.normal(size=57) + np.sin(segment)

    def distance(starts):
        bins = np.searchsorted(starts, segment, side="right")
        return sum(np.sum((values[bins == b] - values[bins == b].mean()) ** 2) for b in set(bins))

    for n_bins in (1, 2, 3, 5, 7, 9):
        inner = itertools.combinations(range(1, 7), min(n_bins, 7) - 1)
        best = min(([0, *chosen] for chosen in inner), key=distance)
        assert best_bins(values, segment, n_bins) == best


def test_bins_end_at_knots_or_just_beyond(mixed, additive):
    card = ScorecardDisplay.from_estimator(additive, mixed[0])
    knots = additive.encoding_.columns[0].edges
    rows = [row.condition for row in card.rows if row.name == "amount"]
    assert rows[0].low == -np.inf
    assert rows[-2].high == np.inf
    assert rows[-1].text() == "amount is missing"
    for before, after in itertools.pairwise(rows[:-1]):
        assert before.high == after.low
        k = np.searchsorted(knots, before.high, side="right") - 1
        assert before.high - knots[k] < (knots[k + 1] - knots[k]) / 8
        assert len(str(before.high)) <= len("123.4")


def test_neighbours_of_equal_points_are_one_bin(rng):
    X = np.concatenate([rng.uniform(0, 0.9, 500), rng.uniform(0.9, 1, 500)])[:, None]
    student = LinearStudentClassifier(C=1e6).fit(X, _step_proba(X > 0.9))
    card = ScorecardDisplay.from_estimator(student, X, n_bins=20)
    assert len(card.rows) < 12
    for before, after in itertools.pairwise(card.rows):
        assert before.points != after.points
        assert before.condition.high == after.condition.low


def _step_proba(is_high):
    proba = np.where(is_high, 0.8, 0.2)
    return np.hstack([1 - proba, proba])


def test_a_missing_number_counts_as_the_median_where_none_was_missing(mixed, additive):
    frame, _, _, strange = mixed
    card = ScorecardDisplay.from_estimator(additive, strange)
    (row,) = (row for row in card.rows if row.name == "count" and row.condition.missing)
    assert row.condition.low < frame["count"].median() <= row.condition.high
    assert row.text().endswith("or missing")
    complete = ScorecardDisplay.from_estimator(additive, frame)
    assert not any("or missing" in row.text() for row in complete.rows if row.name == "count")


def test_levels_never_seen_are_in_the_table(mixed, additive):
    card = ScorecardDisplay.from_estimator(additive, mixed[0])
    texts = {row.text() for row in card.rows if row.name == "kind"}
    assert "any other or missing" in " ".join(texts)
    texts = " ".join(row.text() for row in card.rows if row.name == "city")
    assert "missing" in texts.replace("or missing", "")  # a level of its own
    assert "any other" in texts


def test_more_points_speak_for_the_good_class(mixed, additive):
    frame = mixed[0]
    proba = additive.predict_proba(frame)[:, 1]
    for good, sign in ((None, -1), (0, -1), (1, 1)):
        card = ScorecardDisplay.from_estimator(additive, frame, good_class=good)
        assert sign * spearmanr(card.points(frame), proba)[0] > 0.9
    with pytest.raises(ValueError, match=r"good_class=7 was passed; one of the classes \[0, 1\]"):
        ScorecardDisplay.from_estimator(additive, frame, good_class=7)


def test_fidelity_compares_table_and_student(mixed, additive):
    frame = mixed[0]
    card = ScorecardDisplay.from_estimator(additive, frame, n_bins=3)
    points, proba = card.points(frame), additive.predict_proba(frame)[:, 0]
    log_odds = np.log(50) + (points - 600) / (20 / np.log(2))
    difference = np.abs(expit(log_odds) - proba)
    assert card.fidelity.mean_difference == pytest.approx(difference.mean())
    assert card.fidelity.largest_difference == pytest.approx(difference.max())
    expected = spearmanr(points, logit(proba))[0]
    assert card.fidelity.rank_correlation == pytest.approx(expected, abs=1e-6)
    assert f"{difference.mean():.3f} on average" in card.figure_.get_suptitle()
    assert ScorecardDisplay.from_estimator(additive).fidelity is None


def test_a_student_that_says_one_thing_has_no_rank_correlation(binary_task):
    X, _ = binary_task
    student = LinearStudentClassifier().fit(X, np.full((len(X), 2), 0.5))
    card = ScorecardDisplay.from_estimator(student, X)
    assert np.isnan(card.fidelity.rank_correlation)
    assert {row.points for row in card.rows} == {0}


def test_the_table_makes_a_frame(mixed, additive):
    frame = mixed[0]
    table = ScorecardDisplay.from_estimator(additive, frame).to_frame()
    assert table.loc[0, ["column", "bin"]].tolist() == ["base", "every row"]
    assert table.groupby("column")["share"].sum().tolist() == pytest.approx([1.0] * 6)
    assert "share" not in ScorecardDisplay.from_estimator(additive).to_frame()
    assert (table["points"] == table["points"].astype(int)).all()


def test_the_table_is_drawn_as_bars_beside_each_other(mixed, additive):
    card = ScorecardDisplay.from_estimator(additive, mixed[0])
    (ax,) = card.axes_
    labels = [text.get_text() for text in ax.get_yticklabels()]
    bars = dict(zip(range(len(labels)), ax.containers[0], strict=True))
    names = [i for i, label in enumerate(labels) if label in set(mixed[0])]
    assert len(names) == 5
    drawn = [bars[i].get_width() for i in bars if i not in names]
    assert drawn == [row.points for row in card.rows]
    panels = card.plot(max_lines=12).axes_
    assert len(panels) > 1
    assert sum(len(panel.get_yticks()) for panel in panels) == len(labels)
    mine = plt.subplots()[1]
    assert card.plot(mine).bounding_ax_ is mine
    assert "Everybody starts with" in card.axes_[0].get_title(loc="left")


def test_scorecards_are_found_behind_transformers(binary_task, forest):
    X, y = binary_task
    distiller = DistilledClassifier(
        RandomForestClassifier(10, random_state=0), LinearStudentClassifier(), augmentation=None
    )
    model = make_pipeline(StandardScaler(), distiller).fit(X, y)
    card = ScorecardDisplay.from_estimator(model, X, good_class=1)
    exact = card.scaling.points(model.decision_function(X))
    assert spearmanr(card.points(model[:-1].transform(X)), exact)[0] > 0.95
    curves = CurvesDisplay.from_estimator(model, X)
    assert _sum(curves, model[:-1].transform(X)) == pytest.approx(
        model.decision_function(X), abs=1e-5
    )


def test_students_of_another_kind_are_refused_by_name(binary_task, tree, additive, forest):
    with pytest.raises(TypeError, match=r"given a LinearStudentClassifier.*use CurvesDisplay"):
        TreeDisplay.from_estimator(additive)
    with pytest.raises(TypeError, match=r"given a TreeStudentClassifier.*use TreeDisplay"):
        CurvesDisplay.from_estimator(tree)
    with pytest.raises(TypeError, match=r"RandomForestClassifier.*PartialDependenceDisplay"):
        CurvesDisplay.from_estimator(forest)
    with pytest.raises(TypeError, match="TreeStudentClassifier or a TreeStudentRegressor"):
        TreeDisplay.from_estimator(forest)
    with pytest.raises(TypeError, match="no predict_proba"):
        TreeDisplay.from_estimator(KMeans(2, n_init=1).fit(binary_task[0]))


def test_a_scorecard_needs_two_classes(multiclass_task, mixed):
    student = LinearStudentClassifier().fit(*multiclass_task)
    with pytest.raises(TypeError, match=r"knows 3 classes, .*one class against one other"):
        ScorecardDisplay.from_estimator(student)
    student = LinearStudentRegressor().fit(mixed[0], mixed[2])
    with pytest.raises(TypeError, match=r"LinearStudentRegressor.*use CurvesDisplay"):
        ScorecardDisplay.from_estimator(student)


def test_wrong_arguments_are_named(mixed, tree, additive, multiclass_task):
    frame, y, values, _ = mixed
    with pytest.raises(ValueError, match="y was passed without X"):
        TreeDisplay.from_estimator(tree, y=y)
    with pytest.raises(ValueError, match="teacher was passed without X"):
        TreeDisplay.from_estimator(tree, teacher=additive)
    with pytest.raises(ValueError, match=r"class_of_interest='no'.*\[0, 1\]"):
        TreeDisplay.from_estimator(tree, class_of_interest="no")
    regressor = TreeStudentRegressor().fit(frame, values)
    with pytest.raises(ValueError, match="with a regressor"):
        TreeDisplay.from_estimator(regressor, class_of_interest=1)
    with pytest.raises(ValueError, match=r"only \[0, 1\] are known classes"):
        TreeDisplay.from_estimator(tree, frame, y + 1)
    with pytest.raises(ValueError, match=r"classes \[0, 1, 2\].*class_of_interest"):
        CurvesDisplay.from_estimator(LinearStudentClassifier().fit(*multiclass_task))
    with pytest.raises(ValueError, match="'n_bins' parameter"):
        ScorecardDisplay.from_estimator(additive, n_bins=0)
    with pytest.raises(ValueError, match="'base_odds' parameter"):
        ScorecardDisplay.from_estimator(additive, base_odds=0)


@pytest.mark.parametrize(
    ("display", "student"),
    [
        (TreeDisplay, TreeStudentClassifier()),
        (CurvesDisplay, LinearStudentClassifier()),
        (ScorecardDisplay, LinearStudentClassifier()),
    ],
)
def test_students_have_to_be_fitted(display, student):
    with pytest.raises(NotFittedError):
        display.from_estimator(student)


def test_without_matplotlib_the_errors_name_the_extra(mixed, tree, additive, monkeypatch):
    displays = [
        TreeDisplay.from_estimator(tree),
        CurvesDisplay.from_estimator(additive),
        ScorecardDisplay.from_estimator(additive),
        LossCurveDisplay([1.0]),
    ]
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for display in displays:
        with pytest.raises(ImportError, match="pip install matplotlib"):
            display.plot()
    with pytest.warns(UserWarning, match=r"not drawn, but text\(\).*pip install"):
        assert TreeDisplay.from_estimator(tree).text() == displays[0].text()
    with pytest.warns(UserWarning, match=r"not drawn, but points\(\).*pip install"):
        card = ScorecardDisplay.from_estimator(additive)
    assert card.rows == displays[2].rows


def test_a_long_tail_gets_its_room_on_an_axis_by_rank():
    amounts = np.random.default_rng(0).lognormal(4, 2, 500)
    _, (rank, linear) = plt.subplots(1, 2)
    value_axis(rank, amounts)
    value_axis(linear, np.log(amounts))
    lowest, median, highest = rank.transData.transform(
        [(x, 0) for x in np.quantile(amounts, [0, 0.5, 1])]
    )[:, 0]
    np.testing.assert_allclose((median - lowest) / (highest - lowest), 0.5, atol=0.01)
    assert rank.get_xlabel() == "value, on an axis by rank"
    assert [tick.get_text() for tick in rank.get_xticklabels()][-1] == "25.1k"
    assert linear.get_xscale() == "linear"
    assert not linear.get_xlabel()
    assert short_numbers([2013.0, 2014.0, -1e7, 0.00002]) == ["2,013", "2,014", "-10M", "0.00002"]


def test_rows_under_a_long_tailed_curve_are_counted_where_they_are_drawn():
    x = np.random.default_rng(0).lognormal(4, 2, (2000, 1))
    student = LinearStudentClassifier().fit(x, (x[:, 0] > 50).astype(int))
    (curve,) = CurvesDisplay.from_estimator(student, x).curves
    inside = np.histogram(np.clip(x, *curve.range), curve.slices)[0]
    np.testing.assert_array_equal(curve.counts[:-1], inside)
    assert curve.counts.max() < 0.1 * len(x)  # of slices equally wide in x, one has nine in ten


def test_without_pandas_the_errors_name_the_extra(tree, additive, monkeypatch):
    displays = [TreeDisplay.from_estimator(tree), ScorecardDisplay.from_estimator(additive)]
    monkeypatch.setitem(sys.modules, "pandas", None)
    for display in displays:
        with pytest.raises(ImportError, match=r"needs pandas.*pip install pandas"):
            display.to_frame()
