"""Sums of trees as rules, of which every row fulfils one per tree, and as pictures."""

import itertools
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skdistill import (
    CurvesDisplay,
    TreeDisplay,
    TreeStudentClassifier,
    TreeSumStudentClassifier,
    TreeSumStudentRegressor,
)

plt = pytest.importorskip("matplotlib.pyplot")
pytestmark = pytest.mark.usefixtures("close_figures")


@pytest.fixture(scope="module")
def mixed(mixed_frame):
    frame, y, values = mixed_frame(500)
    strange, _, _ = mixed_frame(300, seed=1)
    rng = np.random.default_rng(2)
    strange["city"] = strange["city"].where(rng.random(300) > 0.3, "Rom")
    strange = strange.astype({"count": float, "flag": float})
    for name in strange:
        strange.loc[rng.random(300) < 0.2, name] = None
    return frame, y, values, strange


@pytest.fixture(scope="module")
def tree_sum(mixed):
    student = TreeSumStudentClassifier(12).fit(*mixed[:2])
    assert len(student.trees_) > 1
    return student


def _sum(display, X):
    """Add up the numbers of the rules that rows fulfil, of which there is one per tree."""
    total = np.full(len(X), display.intercept)
    for _, rules in itertools.groupby(display.rules, key=lambda rule: rule.tree):
        rules = list(rules)
        holds = np.array([rule.holds(X) for rule in rules])
        assert (holds.sum(axis=0) == 1).all()
        total += np.array([rule.score for rule in rules]) @ holds
    return total


@pytest.mark.parametrize("container", [pd.DataFrame, pl.from_pandas])
def test_rules_and_intercept_add_up_to_the_log_odds(mixed, tree_sum, container):
    for label, sign in ((0, -1), (1, 1)):
        display = TreeDisplay.from_estimator(tree_sum, mixed[0], class_of_interest=label)
        for X in (container(mixed[0]), container(mixed[-1])):
            decision = tree_sum.decision_function(X)
            assert _sum(display, X) == pytest.approx(sign * decision, abs=1e-9)
        assert {rule.label for rule in display.rules} == {label}
    assert [rule.tree for rule in display.rules] == [
        number for number, tree in enumerate(tree_sum.trees_, 1) for _ in range(tree.n_leaves)
    ]


def test_with_many_classes_rules_add_to_log_odds_against_the_rest(multiclass_task):
    X, y = multiclass_task
    student = TreeSumStudentClassifier(10).fit(X, np.array(["a", "b", "c"])[y])
    with pytest.raises(ValueError, match=r"classes \['a', 'b', 'c'\], each with a sum.*_interest"):
        TreeDisplay.from_estimator(student, X)
    log_proba = student.predict_log_proba(X)
    for k, label in enumerate("abc"):
        display = TreeDisplay.from_estimator(student, X, class_of_interest=label)
        rest = np.delete(log_proba, k, axis=1).mean(axis=1)
        assert _sum(display, X) == pytest.approx(log_proba[:, k] - rest, abs=1e-9)
        assert f"log-odds of class {label}" in display.title()


def test_rules_of_a_regressor_add_up_to_the_prediction(mixed):
    frame, _, values, strange = mixed
    student = TreeSumStudentRegressor(8).fit(frame, values)
    display = TreeDisplay.from_estimator(student, frame, values)
    assert _sum(display, strange) == pytest.approx(student.predict(strange), abs=1e-9)
    assert display.title() == "TreeSumStudentRegressor: prediction, 500 rows"
    for rule in display.rules:
        holds = rule.holds(frame)
        assert rule.student_score == pytest.approx(student.predict(frame)[holds].mean())
        assert rule.observed == pytest.approx(values[holds].mean())


def test_leaves_show_what_student_teacher_and_observation_say_of_their_rows(mixed, tree_sum):
    frame, y, _, _ = mixed
    teacher = TreeStudentClassifier(32).fit(frame, y)
    display = TreeDisplay.from_estimator(tree_sum, frame, y, teacher=teacher)
    for rule in display.rules:
        holds = rule.holds(frame)
        assert rule.n_rows == holds.sum()
        assert rule.share == pytest.approx(holds.mean())
        assert rule.student_score == pytest.approx(tree_sum.predict_proba(frame)[holds, 1].mean())
        assert rule.teacher_score == pytest.approx(teacher.predict_proba(frame)[holds, 1].mean())
        assert rule.observed == pytest.approx(y[holds].mean())
    bare = TreeDisplay.from_estimator(tree_sum)
    assert bare.rules[0].student_score is None
    for number, tree in enumerate(tree_sum.trees_, 1):
        of_tree = [rule for rule in bare.rules if rule.tree == number]
        assert sum(rule.share for rule in of_tree) == pytest.approx(1.0)
        assert {rule.leaf for rule in of_tree} == set(np.flatnonzero(tree.children_left < 0))


def test_the_text_says_where_to_start_and_what_to_add(mixed, tree_sum):
    display = TreeDisplay.from_estimator(tree_sum, mixed[0], mixed[1])
    title, sentence, headings, *lines = display.text().splitlines()
    assert title == "TreeSumStudentClassifier: log-odds of class 1, 500 rows"
    n_trees = len(tree_sum.trees_)
    assert sentence == (
        f"Start from {tree_sum.intercept_[0]:+.3f} and add the number of one leaf of each of the "
        f"{n_trees} trees."
    )
    assert headings.split() == ["tree", "adds", "student", "observed", "rows", "share", "rule"]
    assert len(lines) == tree_sum.n_leaves_
    for line, rule in zip(lines, display.rules, strict=True):
        tree, adds = line.split()[:2]
        assert (int(tree), adds) == (rule.tree, f"{rule.score:+.3f}")
    assert list(display.section()[0]) == headings.split()
    frame = display.to_frame()
    assert frame["tree"].tolist() == [rule.tree for rule in display.rules]
    assert TreeDisplay.from_estimator(TreeStudentClassifier(3).fit(*mixed[:2])).sentence() == ""


def test_trees_stand_below_each_other_and_no_words_overlap(mixed_frame):
    frame, _, _ = mixed_frame(1500, seed=3)
    rng = np.random.default_rng(0)
    frame.columns = [f"{name}_of_the_applicant_in_the_last_twelve_months" for name in frame]
    frame["country"] = rng.choice([f"country {i:02d}" for i in range(40)], len(frame))
    amount, count, _, _, kind, country = (frame[name] for name in frame)
    score = (amount > 100) + (count > 4) + (kind == "b") + country.str[-1].astype(int) % 2
    student = TreeSumStudentClassifier(24).fit(frame, score + rng.normal(size=len(frame)) > 2)
    assert len(student.trees_) > 1
    display = TreeDisplay.from_estimator(student, frame)
    texts = [text for text in display.ax_.texts if text.get_text()]
    boxes = [text.get_window_extent() for text in texts]
    for a, b in itertools.combinations(boxes, 2):
        assert not a.shrunk(0.98, 0.9).overlaps(b.shrunk(0.98, 0.9))
    page = display.figure_.bbox
    assert all(page.x0 <= b.x0 and b.x1 <= page.x1 and page.y0 <= b.y0 <= page.y1 for b in boxes)
    captions = {t.get_text(): t.get_position()[1] for t in texts if t.get_text()[:5] == "Tree "}
    assert list(captions) == [f"Tree {i}" for i in range(1, len(student.trees_) + 1)]
    assert sorted(captions.values()) == list(captions.values())
    notes = [re.findall(r"^\[\d+\]", text.get_text(), re.MULTILINE) for text in texts]
    (numbered,) = filter(None, notes)
    assert numbered == [f"[{i}]" for i in range(1, len(numbered) + 1)]


def test_leaves_are_coloured_by_what_they_add(mixed, tree_sum):
    display = TreeDisplay.from_estimator(tree_sum, mixed[0])
    cmap = plt.get_cmap("RdBu_r")
    largest = max(abs(rule.score) for rule in display.rules)
    drawn = [bar.get_facecolor() for bars in display.ax_.containers[::2] for bar in bars]
    expected = [cmap(0.5 + rule.score / largest / 2) for rule in display.rules]
    np.testing.assert_allclose(drawn, expected)
    words = [text.get_text() for text in display.ax_.texts]
    assert {f"{rule.score:+.3f}" for rule in display.rules} <= set(words)
    _, ax = plt.subplots(figsize=(5, 4))
    assert display.plot(ax).ax_ is ax
    room = ax.get_window_extent()
    assert all(text.get_window_extent().x1 <= room.x1 + 1 for text in ax.texts)


def test_a_sum_without_a_split_is_its_intercept(binary_task):
    X, _ = binary_task
    student = TreeSumStudentRegressor().fit(X, np.full(len(X), 3.0))
    display = TreeDisplay.from_estimator(student, X)
    assert _sum(display, X) == pytest.approx(3.0)
    assert {rule.text() for rule in display.rules} == {"every row"}
    assert "one leaf of the tree." in display.sentence()


def test_other_displays_send_sums_of_trees_here(tree_sum):
    with pytest.raises(TypeError, match=r"given a TreeSumStudentClassifier.*use TreeDisplay"):
        CurvesDisplay.from_estimator(tree_sum)
    with pytest.raises(ValueError, match="teacher was passed without X"):
        TreeDisplay.from_estimator(tree_sum, teacher=TreeStudentClassifier())
