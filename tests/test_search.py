import pickle
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import skdistill.distill.label_correction
import skdistill.search.costs
import skdistill.search.screening
import skdistill.search.space
import skdistill.search.time_limit
from skdistill import (
    AttributionHint,
    Budget,
    DistilledClassifier,
    LeafHint,
    LinearStudentClassifier,
    MLPStudentClassifier,
    ProximityHint,
    StudentSearchCV,
    StudentSearchDisplay,
    TreeStudentClassifier,
    TreeSumStudentClassifier,
    explain,
    fidelity_report,
    fidelity_scorer,
    lean_scorer,
    load,
    save,
    to_c,
    to_onnx,
    to_sql,
    verify,
)
from skdistill.exceptions import BudgetError
from skdistill.export.onnx import compiled_teacher
from skdistill.rows import check_classification_rows
from skdistill.search import references
from skdistill.search.budget import Excess, excesses
from skdistill.search.candidates import (
    Candidate,
    Reference,
    in_order_of_choice,
    paired_difference,
    pareto_front,
)
from skdistill.search.column_path import column_path
from skdistill.search.costs import Costs, measure_latency, static_costs, time_calls
from skdistill.search.evaluation import build_evaluator
from skdistill.search.folds import make_folds
from skdistill.search.screening import screen
from skdistill.search.space import Plan, listed_students, make_plans
from skdistill.search.time_limit import TimeLimit
from skdistill.search.tpe import sample
from skdistill.search.trials import Trial, Trials
from skdistill.students.column_selector import ColumnSelector

pytestmark = pytest.mark.filterwarnings("ignore:StudentSearchCV was given a fitted teacher")

TREES = [(TreeStudentClassifier(), {"max_leaf_nodes": [2, 4, 8]})]
QUICK = {"temperatures": [1.0], "alphas": [0.8], "cv": 3, "references": False, "random_state": 0}


@pytest.fixture(autouse=True)
def latency(monkeypatch):
    """Replace the clock: a leaf, or a code of an additive model or network, takes 1 us."""

    def fake(student, X):
        student = getattr(student, "steps", [(None, student)])[-1][1]
        return 0.5, float(getattr(student, "n_leaves_", 100)), "numpy", 0.0

    monkeypatch.setattr(skdistill.search.costs, "measure_latency", fake)


def search_trees(teacher, **params):
    return StudentSearchCV(teacher, TREES, **QUICK | params)


# Budget


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"latency_us": 0}, "latency_us=0 was passed, which no student can keep"),
        ({"size_kb": -1.0}, "size_kb=-1.0"),
        ({"size_kb": float("nan")}, "size_kb=nan"),
        ({"columns": 0}, "columns=0"),
        ({"leaves": 1}, "leaves=1 contradicts itself: a tree of one leaf gives every row the same"),
        ({"min_fidelity": 1.2}, "a share of rows, so at most 1"),
        ({"interactions": -1}, "interactions=-1 .* a finite number of 0 or more"),
        ({"rules": 1}, "rules=1 contradicts itself"),
        ({"leaves": 8, "interactions": 2}, r"no student can keep together.*Pass rules=8 in the pl"),
    ],
)
def test_limits_that_no_student_can_keep_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        Budget(**limits)


@pytest.mark.parametrize(
    "limits",
    [
        {"leaves": 2.5},
        {"columns": True},
        {"latency_us": "5"},
        {"interactions": 0.5},
        {"rules": "4"},
    ],
)
def test_limits_that_are_no_numbers_are_refused(limits):
    with pytest.raises(TypeError, match="number"):
        Budget(**limits)


def test_a_budget_shows_the_limits_it_has():
    assert repr(Budget(size_kb=50, leaves=16)) == "Budget(size_kb=50, leaves=16)"
    assert Budget().limits == {}
    assert Budget(interactions=0).limits == {"interactions": 0}


def test_an_excess_says_what_is_over_and_by_how_much():
    costs = Costs(size_kb=60.0, n_columns=3, n_columns_used=3, latency_p99_us=4.0)
    budget = Budget(latency_us=5, size_kb=50, leaves=8, columns=3, min_fidelity=0.9)
    found = excesses(budget, costs, agreement=0.8)
    assert [each.limit for each in found] == ["size_kb", "leaves", "min_fidelity"]
    assert str(found[0]) == "size_kb 60 (limit 50, over it by 20%)"
    assert str(found[1]) == "leaves: it has none (limit 8)"
    assert str(found[2]) == "min_fidelity 0.8 (limit 0.9, short of it by 12%)"
    assert str(Excess("size_kb", 5000.0, 50.0)).endswith("over it by 99 times)")


def test_readable_students_keep_the_limit_of_their_own_kind():
    budget = Budget(interactions=2, rules=8)
    costs = {
        "tree": Costs(1.0, 3, 3, n_leaves=8, n_rules=8),
        "large tree": Costs(1.0, 3, 3, n_leaves=9, n_rules=9),
        "soft tree": Costs(1.0, 3, 3, n_leaves=8),
        "additive": Costs(1.0, 3, 3, n_interactions=2),
        "with many pairs": Costs(1.0, 3, 3, n_interactions=3),
    }
    assert excesses(budget, costs["tree"]) == excesses(budget, costs["additive"]) == ()
    over = {name: [str(each) for each in excesses(budget, costs[name])] for name in costs}
    assert over["large tree"] == ["rules 9 (limit 8, over it by 12%)"]
    assert over["with many pairs"] == ["interactions 3 (limit 2, over it by 50%)"]
    assert over["soft tree"] == [
        "interactions: it is not additive (limit 2)",
        "rules: it has none (limit 8)",
    ]
    assert excesses(Budget(leaves=8), costs["soft tree"]) == ()
    assert [each.limit for each in excesses(Budget(rules=8), costs["additive"])] == ["rules"]
    assert [str(each) for each in excesses(Budget(interactions=0), costs["additive"])] == [
        "interactions 2 (limit 0)"
    ]


# Candidates


def candidate(name, score, size, folds=(), **more):
    costs = Costs(size_kb=size, n_columns=1, n_columns_used=1, latency_p99_us=1.0)
    folds = folds or (score, score)
    return Candidate(name, {}, costs, score, folds, {}, 10, stage="evaluated", **more)


def test_the_front_holds_what_no_other_beats():
    over = (Excess("size_kb", 9.0, 5.0),)
    table = [
        candidate("worse", -0.5, 4.0),
        candidate("small", -0.4, 1.0),
        candidate("best", -0.1, 9.0, excesses=over),
        candidate("middle", -0.2, 4.0),
        candidate("as good as middle, larger", -0.2, 5.0),
        Candidate("not scored", {}, None),
    ]
    front = pareto_front(table, ["size_kb"])
    assert [each.name for each in front] == ["best", "middle", "small"]


def test_the_one_standard_error_rule_takes_the_cheapest_that_is_not_clearly_worse():
    table = [
        candidate("best", -0.10, 40.0, folds=(-0.05, -0.10, -0.15)),
        candidate("about as good", -0.11, 4.0, folds=(-0.10, -0.06, -0.17)),
        candidate("clearly worse", -0.13, 1.0, folds=(-0.08, -0.131, -0.179)),
        candidate("over", -0.01, 99.0, excesses=(Excess("size_kb", 99.0, 50.0),)),
    ]
    budget = Budget(size_kb=50)
    assert in_order_of_choice(table, budget, "best") == [0, 1, 2]
    assert in_order_of_choice(table, budget, "one_standard_error") == [1, 0, 2]
    assert in_order_of_choice(table, Budget(), "one_standard_error") == [1, 0, 2]


def test_the_one_standard_error_rule_compares_trees_and_additive_students():
    def readable(score, **counts):
        costs = Costs(size_kb=1.0, n_columns=1, n_columns_used=1, **counts)
        folds = (score - 0.1, score, score + 0.2)
        return Candidate("", {}, costs, score, folds, {}, 10, 1.0, "evaluated")

    table = [
        readable(-0.2, n_rules=8),
        readable(-0.2, n_interactions=1),
        readable(-0.2, n_rules=3),
        readable(-0.2, n_interactions=0),
    ]
    budget = Budget(interactions=4, rules=8)
    assert in_order_of_choice(table, budget, "one_standard_error") == [3, 1, 2, 0]
    assert in_order_of_choice(table[3:], Budget(interactions=0), "one_standard_error") == [0]


def test_differences_are_paired_by_fold():
    mean, error = paired_difference((0.5, 0.7, 0.9), (0.6, 0.8, 1.1))
    assert mean == pytest.approx(-0.4 / 3)
    assert error == pytest.approx(np.std([-0.1, -0.1, -0.2], ddof=1) / np.sqrt(3))


# What is tried


def test_auto_leaves_out_what_the_budget_rules_out():
    plans = make_plans("auto", [1.0], [0.8], [None], Budget(leaves=12), 9)[0]
    assert [plan.name for plan in plans] == [
        *(f"tree, {n} leaves" for n in (4, 8, 12)),
        "sum of trees, 9 splits, 3 trees",
    ]
    names = [plan.name for plan in make_plans("auto", [1.0, 2.0], [0.8], [5], Budget(), 9)[0]]
    assert names[0] == names[1] == "tree, 4 leaves, 5 columns"
    assert {"linear, 5 columns", "additive, 64 bins, 5 columns"} <= set(names)
    assert "MLP 64-64, 32 bins, 5 columns" in names
    assert make_plans("auto", [1.0], [0.8], [9], Budget(), 9)[0][0].n_columns is None


@pytest.mark.parametrize(
    ("n_columns", "budget", "numbers"),
    [
        (30, {}, ["", "5", "10", "auto"]),
        (4, {}, ["", "5", "auto"]),
        (3, {}, ["", "auto"]),
        (1, {}, [""]),
        (30, {"interactions": 7}, ["", "5", "7"]),
        (4, {"interactions": 7}, ["", "5", "auto"]),
        (30, {"interactions": 0}, [""]),
        (30, {"interactions": 5, "rules": 8}, ["", "5"]),
        (30, {"rules": 8}, []),
    ],
)
def test_auto_tries_as_many_interactions_as_table_and_budget_allow(n_columns, budget, numbers):
    plans, _ = make_plans("auto", [1.0], [0.8], [None], Budget(**budget), n_columns)
    found = [plan for plan in plans if isinstance(plan.student, LinearStudentClassifier)]
    names = [plan.name for plan in found]
    wanted = [f"additive, 64 bins, {n} interactions" if n else "additive, 64 bins" for n in numbers]
    assert names == (["linear", *wanted] if numbers else [])
    asked = [plan.student.interactions for plan in found[1:]]
    assert [str(each) if each else "" for each in asked] == numbers


def test_auto_counts_the_leaves_of_all_trees_of_a_sum(binary_task):
    for n in range(2, 70):
        for budget in (Budget(leaves=n), Budget(rules=n), Budget(rules=99, leaves=n)):
            plans, _ = make_plans("auto", [1.0], [0.8], [None], budget, 8)
            sums = [p.student for p in plans if isinstance(p.student, TreeSumStudentClassifier)]
            assert bool(sums) == (n >= 4)
            for each in sums:
                n_trees = min(each.max_trees or np.inf, each.max_splits)
                assert each.max_splits + n_trees <= n
    X, y = binary_task
    costs = static_costs(TreeSumStudentClassifier(12, max_trees=4).fit(X, y))
    assert costs.n_rules == costs.n_leaves <= 16


def test_listed_students_are_left_out_where_there_are_too_few_columns():
    students = [(LinearStudentClassifier(), {"interactions": [0, 5]})]
    plans, notes = make_plans(students, [1.0], [0.8], [3, None], Budget(), 9)
    assert [plan.name for plan in plans] == [
        "additive, 64 bins, 3 columns",
        "additive, 64 bins",
        "additive, 64 bins, 5 interactions",
    ]
    assert notes == [
        "additive, 64 bins, 5 interactions, 3 columns was left out: interactions=5 is more than "
        "the 3 pairs of 3 columns; pass 'auto' or a smaller number."
    ]


@pytest.mark.parametrize(
    ("interactions", "n_columns", "message"),
    [
        (29, None, "interactions=29 is more than the 28 pairs of 8 columns"),
        (4, 3, "interactions=4 is more than the 3 pairs of 3 columns"),
        ([(0, 1)], 3, "interactions lists pairs of columns, some of which the search may drop"),
    ],
)
def test_interactions_that_cannot_be_had_are_refused_before_any_work(
    binary_task, interactions, n_columns, message
):
    CountingForest.fits = 0
    student = LinearStudentClassifier(interactions=interactions)
    search = StudentSearchCV(CountingForest(5), student, n_columns=n_columns, **QUICK)
    with pytest.raises(ValueError, match=message):
        search.fit(*binary_task)
    assert CountingForest.fits == 0


def test_without_torch_auto_says_that_the_mlp_is_missing(monkeypatch):
    monkeypatch.setattr(skdistill.search.space, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"leaves out MLPStudentClassifier.*pip install torch"):
        plans, _ = make_plans("auto", [1.0], [0.8], [None], Budget(), 9)
    assert not any(isinstance(plan.student, MLPStudentClassifier) for plan in plans)


def test_students_come_alone_with_grids_and_with_names():
    listed = listed_students([*TREES, LinearStudentClassifier(8), DecisionTreeClassifier()])
    assert [name for name, _ in listed] == [
        "tree, 2 leaves",
        "tree, 4 leaves",
        "tree, 8 leaves",
        "additive, 8 bins",
        "DecisionTreeClassifier()",
    ]
    named = listed_students({"rules": TREES[0], "card": LinearStudentClassifier()})
    assert [name for name, _ in named][2:] == ["rules, max_leaf_nodes=8", "card"]


@pytest.mark.parametrize(
    ("students", "error", "message"),
    [
        ("all", ValueError, "'auto', a student, or a list or dict"),
        ([], ValueError, "students is empty"),
        ([("tree", 3)], TypeError, "a student, or a pair"),
        ([RandomForestRegressor()], TypeError, "no classifier with predict_proba"),
    ],
)
def test_what_is_no_student_is_refused(forest, binary_task, students, error, message):
    with pytest.raises(error, match=message):
        StudentSearchCV(forest, students).fit(*binary_task)


# Folds


def test_a_search_without_observed_classes_is_refused(forest, binary_task):
    X, _ = binary_task
    search = StudentSearchCV(forest, [TreeStudentClassifier(2)], cv=2, references=False)
    with pytest.raises(ValueError, match="scoring='neg_log_loss' needs observed classes"):
        search.fit(X, np.full(len(X), -1))


class CountingForest(RandomForestClassifier):
    """A forest that counts how often it was fitted, and how many rows it was asked for."""

    fits = 0
    rows = 0

    def fit(self, X, y, sample_weight=None):
        CountingForest.fits += 1
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        CountingForest.rows += len(X)
        return super().predict_proba(X)


def test_an_unfitted_teacher_is_fitted_once_per_fold_and_once_at_the_end(binary_task):
    CountingForest.fits = 0
    search_trees(CountingForest(20), temperatures=[1.0, 2.0], alphas=[0.5, 1.0]).fit(*binary_task)
    assert CountingForest.fits == 3 + 1


def test_more_candidates_do_not_ask_the_teacher_more(binary_task):
    X, y = binary_task
    teacher = CountingForest(20, random_state=0).fit(X, y)
    asked = []
    mlp = MLPStudentClassifier((4,), max_epochs=1)  # learns from synthetic rows, too
    for temperatures in ([1.0], [1.0, 2.0, 4.0]):
        CountingForest.rows = 0
        StudentSearchCV(teacher, mlp, **QUICK | {"temperatures": temperatures}).fit(X, y)
        asked.append(CountingForest.rows)
    assert asked[0] == asked[1] > 0


def rows_of(X, y, **more):
    options = {"known_classes": None, "accept_sparse": False}
    return check_classification_rows(
        TreeStudentClassifier(), X, y, None, more.get("X_unlabeled"), **options
    )


def test_a_fitted_forest_answers_out_of_bag_in_every_fold(binary_task, forest):
    X, y = binary_task
    splits = list(StratifiedKFold(3).split(X, y))
    folds = make_folds(forest, rows_of(X, y), splits, "auto", 5, None, np.random.RandomState(0))
    oob = clone(forest).set_params(oob_score=True).fit(X, y).oob_decision_function_
    for fold, (_, test) in zip(folds, splits, strict=True):
        answers = fold.teacher.predict_proba(X[test])
        assert np.abs(answers - oob[test]).max() < 0.03  # a probability of 0 is raised
        assert np.abs(answers - forest.predict_proba(X[test])).max() > 0.3
    fresh = np.random.RandomState(1).normal(size=(20, 8))
    expected = forest.predict_proba(fresh)
    np.testing.assert_allclose(folds[0].teacher.predict_proba(fresh), expected, atol=0.03)


def test_every_beginning_of_the_training_rows_has_the_shares_of_the_classes(rng):
    X, y = rng.normal(size=(1000, 2)), (np.arange(1000) < 100).astype(int)
    rows = rows_of(X, y)
    splits = list(StratifiedKFold(5).split(X, y))
    fold = make_folds(LogisticRegression(), rows, splits, "direct", 5, None, np.random)[0]
    for n in (50, 100, 400):
        assert fold.y[:n].mean() == pytest.approx(0.1, abs=0.021)
    assert sorted(fold.X[:, 0]) == sorted(X[splits[0][0], 0])


# The search


@pytest.mark.filterwarnings("ignore:The teacher was fitted on the very rows")
def test_the_scores_are_those_of_distillers_fitted_by_hand(binary_task):
    X, y = binary_task
    student, params = TreeStudentClassifier(4, random_state=0), {"labelling": "direct"}
    search = StudentSearchCV(LogisticRegression(), student, distiller_params=params, **QUICK)
    found = search.fit(X, y).candidates_[0].fold_scores
    by_hand = DistilledClassifier(LogisticRegression(), student, **params)
    by_hand = cross_val_score(by_hand, X, y, scoring="neg_log_loss", cv=3)
    np.testing.assert_allclose(found, by_hand, rtol=1e-6)


def test_the_best_within_the_budget_is_chosen_refitted_and_predicts(binary_task, forest):
    X, y = binary_task
    search = search_trees(forest, budget=Budget(leaves=4), rule="best").fit(X, y)
    assert search.best_params_["student"].max_leaf_nodes == 4
    assert search.best_estimator_.labelling_ == "oob"
    assert search.student_.n_leaves_ == 4
    assert [each.within_budget for each in search.candidates_] == [True, True, False]
    assert search.candidates_[2].why_not == "leaves 8 (limit 4, over it by 100%)"
    assert np.isnan(search.candidates_[2].score)
    chosen = search.candidates_[search.best_index_]
    assert search.best_score_ == chosen.score == np.mean(chosen.fold_scores)
    assert chosen.difference == 0
    assert search.candidates_[0].difference < 0 < search.candidates_[0].difference_error
    np.testing.assert_array_equal(search.predict_proba(X), search.student_.predict_proba(X))
    np.testing.assert_array_equal(search.predict(X), search.student_.predict(X))
    assert search.decision_function(X).shape == (600,)
    np.testing.assert_allclose(np.exp(search.predict_log_proba(X)), search.predict_proba(X))
    assert search.teacher_ is forest


def test_a_latency_limit_is_kept_by_what_was_measured(binary_task, forest):
    search = search_trees(forest, budget=Budget(latency_us=5)).fit(*binary_task)
    assert search.best_costs_.latency_p99_us == 4
    assert {each.costs.engine for each in search.candidates_[:2]} == {"numpy"}


def test_if_the_fitted_student_is_over_the_budget_the_next_best_is_taken(
    binary_task, forest, monkeypatch
):
    def slow_on_all_rows(student, X):
        return 1.0, 99.0 if len(X) == 600 and student.n_leaves_ == 8 else 1.0, "numpy", 0.0

    monkeypatch.setattr(skdistill.search.costs, "measure_latency", slow_on_all_rows)
    search = search_trees(forest, budget=Budget(latency_us=5)).fit(*binary_task)
    assert search.student_.n_leaves_ == 4
    assert "latency_us 99 (limit 5" in search.candidates_[2].why_not
    assert "tree, 8 leaves, fitted on all rows, is over the budget: latency" in search.notes_[-1]
    assert search.best_index_ == 1


def test_if_nothing_fits_the_error_says_what_came_closest_and_keeps_it(binary_task, forest):
    students = [*TREES, LinearStudentClassifier(8)]
    search = StudentSearchCV(forest, students, budget=Budget(size_kb=0.5, leaves=6), **QUICK)
    with pytest.raises(BudgetError, match=r"No student is within Budget\(size_kb=0.5, leaves=6\)"):
        search.fit(*binary_task)
    with pytest.raises(ValueError, match=r"Closest came:\n  tree, 2 leaves .*size_kb") as caught:
        search.fit(*binary_task)
    assert [each.name for each in caught.value.candidates][-1] == "additive, 8 bins"
    assert caught.value.candidates[-1].why_not == "leaves: it has none (limit 6)"
    assert caught.value.candidates[0].costs.size_kb > 0.5
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert len(copy.candidates) == 4


def test_a_budget_that_rules_out_all_students_says_so_before_any_work(binary_task):
    CountingForest.fits = 0
    students = [TreeStudentClassifier(4), MLPStudentClassifier((4,))]
    search = StudentSearchCV(CountingForest(5), students, budget=Budget(interactions=3), **QUICK)
    with pytest.raises(BudgetError, match=r"tree, 4 leaves .*: interactions: it is not additive"):
        search.fit(*binary_task)
    assert CountingForest.fits == 0
    assert [each.stage for each in search.candidates_] == ["over budget"] * 2
    assert not hasattr(search, "best_estimator_")


def test_pairs_are_searched_counted_and_limited(few_columns):
    X, y, _ = few_columns
    X = X[:, [2, 4, 5]]
    students = [
        (LinearStudentClassifier(), {"interactions": [0, 1, 3]}),
        TreeStudentClassifier(4),
        DecisionTreeClassifier(max_leaf_nodes=3),
        LogisticRegression(),
    ]
    budget = Budget(interactions=1, rules=4)
    search = StudentSearchCV(RandomForestClassifier(30), students, budget=budget, **QUICK)
    search.fit(X, y)
    none, one, three, tree, stranger, neither = search.candidates_
    assert one.score > none.score + 0.1  # two columns say something only together
    assert search.best_index_ == 1
    assert search.best_costs_.n_interactions == len(search.student_.tables_) == 1
    assert (none.costs.n_interactions, tree.costs.n_interactions) == (0, None)
    assert (tree.costs.n_rules, stranger.costs.n_rules, none.costs.n_rules) == (4, 3, None)
    assert three.why_not == "interactions 3 (limit 1, over it by 200%)"
    assert neither.why_not == (
        "interactions: it is not additive (limit 1); rules: it has none (limit 4)"
    )
    frame = search.pareto_front_.to_frame()
    assert frame["interactions"].dropna().tolist() == [1, 0]


def test_auto_chooses_among_readable_students(few_columns):
    X, y, _ = few_columns
    search = StudentSearchCV(
        RandomForestClassifier(20, random_state=0),
        budget=Budget(interactions=5, rules=8),
        distiller_params={"label_correction": False},
        **QUICK | {"cv": 2},
    ).fit(X[:400, [2, 4, 5]], y[:400])
    families = {"TreeStudentClassifier", "TreeSumStudentClassifier", "LinearStudentClassifier"}
    assert {type(each.params["student"]).__name__ for each in search.candidates_} == families
    within = [each for each in search.candidates_ if each.within_budget]
    assert {type(each.params["student"]).__name__ for each in within} == families
    assert {each.costs.n_interactions for each in within} - {None, 0}


def test_the_error_explains_limits_and_says_if_the_machine_was_busy(
    binary_task, forest, monkeypatch
):
    monkeypatch.setattr(
        skdistill.search.costs, "measure_latency", lambda *_: (1.0, 12.0, "numpy", 0.4)
    )
    search = search_trees(forest, budget=Budget(latency_us=5))
    with pytest.raises(BudgetError) as caught:
        search.fit(*binary_task)
    message = str(caught.value)
    assert "3 do not keep latency_us 5 (the first measurement allows 50% for noise: 7.5)" in message
    assert "latency_us 12 (limit 5, and 50% for noise: 7.5, over it by 60%)" in message
    assert "The machine was busy" in message
    assert "for 40% of the time" in message
    assert search.candidates_ == caught.value.candidates_ == caught.value.candidates
    with pytest.raises(NotFittedError):
        search.predict(binary_task[0])


def test_one_quiet_round_decides_the_latency_and_waiting_is_told(monkeypatch):
    clock = {"wall": 0.0, "used": 0.0, "calls": 0}

    def ask(_):
        clock["calls"] += 1
        is_quiet = 21 <= clock["calls"] - 3 <= 30  # three calls warm it, a round has ten
        clock["wall"] += 1e-6 if is_quiet else 9e-6
        clock["used"] += 1e-6

    monkeypatch.setattr(skdistill.search.costs, "CALLS", 10)
    monkeypatch.setattr(skdistill.search.costs, "perf_counter", lambda: clock["wall"])
    monkeypatch.setattr(skdistill.search.costs, "process_time", lambda: clock["used"])
    p50, p99, waiting = time_calls(ask, [1, 2, 3])
    assert (p50, p99) == pytest.approx((1.0, 1.0))
    assert waiting == pytest.approx(1 - 50 / (10 + 40 * 9))


def test_if_none_is_faithful_enough_the_error_has_the_scores(binary_task, forest):
    with pytest.raises(BudgetError, match=r"score -.*min_fidelity .*short of it by") as caught:
        search_trees(forest, budget=Budget(min_fidelity=1.0)).fit(*binary_task)
    assert all(each.is_evaluated and each.score < 0 for each in caught.value.candidates)


def test_the_best_temperatures_and_alphas_of_one_student_are_taken_over(binary_task):
    more = {"temperatures": [1.0, 2.0], "alphas": [0.0, 0.8, 1.0], "cv": 2}
    search = search_trees(LogisticRegression(), **more).fit(*binary_task)
    scored = [each for each in search.candidates_ if each.is_evaluated]
    middle = [each for each in scored if each.name == "tree, 4 leaves"]
    assert len(middle) == 4  # three alphas, then a temperature
    best = sorted(middle, key=lambda each: -each.score)[:2]
    taken = [(each.params["temperature"], each.params["alpha"]) for each in best]
    for leaves in (2, 8):
        found = [each for each in scored if each.name == f"tree, {leaves} leaves"]
        settings = [(each.params["temperature"], each.params["alpha"]) for each in found]
        assert sorted(settings) == sorted(taken)
    lost = next(each for each in search.candidates_ if not each.is_evaluated)
    words = " and ".join(f"temperature {t}, alpha {alpha}" for t, alpha in taken)
    assert lost.why_not == f"not tried: {words} did best on tree, 4 leaves (all rows, 2 folds)"
    assert search.notes_[0].endswith("did best on tree, 4 leaves (all rows, 2 folds).")


def test_a_grid_leaves_nothing_out(binary_task):
    more = {"temperatures": [1.0, 2.0], "alphas": [0.8, 1.0], "cv": 2}
    search = search_trees(LogisticRegression(), search="grid", **more).fit(*binary_task)
    assert [each.stage for each in search.candidates_] == ["evaluated"] * 12


def test_with_many_rows_temperature_and_alpha_are_chosen_on_some(binary_task, monkeypatch):
    monkeypatch.setattr(skdistill.search.screening, "SUBSAMPLE", 150)
    search = search_trees(LogisticRegression(), alphas=[0.0, 0.8, 1.0]).fit(*binary_task)
    assert {each.n_rows for each in search.candidates_} == {0, 150, 400}
    assert "tree, 4 leaves (150 rows, 3 folds)" in search.notes_[0]


SCORES = {  # on three folds
    "small": (-0.5, -0.5, -0.5),
    "large": (-0.6, -0.4, -0.4),
    "poor": (-0.6, -0.6, -0.1),
    "MLP 4": (-0.45, -0.45, -0.45),
    "MLP 8": (-0.42, -0.42, -0.42),
    "MLP 9": (-0.44, -0.44, -0.44),
}


class KnownTrials(Trials):
    """Trials of which the scores are known, and how alike the students are to their teacher."""

    scores, alike = SCORES, {"small": 0.5}

    def make(self, positions, folds=None):
        for i in positions:
            for f in range(3) if folds is None else folds:
                name = self.plans[i].name
                measures = {"agreement": self.alike.get(name, 1.0)}
                self.found[i, f] = Trial(self.scores[name][f], measures, None, 1.0, None)

    def make_quickly(self, evaluator, positions, folds, n_rows):
        return {i: [self.evaluator.quick_score for f in folds] for i in positions}


class KnownEvaluator:
    n_rows = 100

    def __init__(self, quick_score, teacher_score):
        y = np.repeat([0, 1], 50)
        self.folds = [type("Fold", (), {"n_rows": 100, "y": y}) for _ in range(3)]
        self.quick_score, self.teacher_score = quick_score, teacher_score

    def for_quick_trials(self):
        return self

    def teacher_scores(self, f):
        return self.teacher_score - 0.01 * f, {}


def screened(budget, quick_score=-0.9, teacher_score=-0.51):
    """Screen the students of `SCORES`; names of those given up, and the notes."""
    sizes = {"small": 1.0, "large": 2.0, "poor": 3.0, "MLP 4": 4.0, "MLP 8": 8.0, "MLP 9": 9.0}
    kinds = {name: "MLP" in name and MLPStudentClassifier() for name in sizes}
    plans = [Plan(n, kinds[n] or TreeStudentClassifier(), 1.0, 0.8, None) for n in sizes]
    costs = [Costs(size, 3, 3) for size in sizes.values()]
    trials = KnownTrials(KnownEvaluator(quick_score, teacher_score), plans)
    pruned, notes = screen(trials, costs, budget)
    return {plans[i].name: found for i, found in pruned.items()}, notes


def test_who_loses_to_a_cheaper_one_on_the_first_folds_is_not_tried_on_the_others():
    given_up, _ = screened(Budget(size_kb=50))
    assert "large" not in given_up  # better on one of them
    assert given_up["poor"].fold_scores == (-0.6, -0.6)
    assert given_up["poor"].reason == (
        "small, temperature 1.0, alpha 0.8 costs no more and scored higher on each of the first 2 "
        "folds (-0.5000 against -0.6000)"
    )
    assert "poor" not in screened(Budget(size_kb=50, min_fidelity=0.9))[0]  # small is not faithful


def test_who_lost_with_the_better_setting_is_not_tried_with_the_other_one(monkeypatch):
    monkeypatch.setattr(KnownTrials, "scores", {"small": (-0.5,) * 3, "large": (-0.6,) * 3})
    settings = [(1.0, 0.8), (1.0, 1.0)]
    plans = [
        Plan(name, TreeStudentClassifier(), *each, None)
        for name in ("small", "large")
        for each in settings
    ]
    trials = KnownTrials(KnownEvaluator(-0.9, -0.4), plans)
    costs = [Costs(1.0, 3, 3), Costs(1.0, 3, 3), Costs(2.0, 3, 3), Costs(2.0, 3, 3)]
    candidates = range(4)
    how = candidates, settings, costs, Budget(), False
    pruned = skdistill.search.screening._by_setting(trials, *how)
    assert {i: len(trials.of(i)) for i in candidates} == {0: 3, 1: 3, 2: 2, 3: 0}
    assert pruned[2].reason.startswith("small, temperature 1.0, alpha 0.8 costs no more")
    assert pruned[3].reason == (
        f"given up with the better temperature and alpha: {pruned[2].reason}"
    )
    assert (pruned[3].n_rows, pruned[3].fold_scores) == (0, ())


def test_the_setting_is_chosen_on_a_student_of_a_fixed_size():
    plans = [
        Plan(str(n), LinearStudentClassifier(interactions=n), 1.0, 0.8, None)
        for n in (0, "auto", 10)
    ]
    costs = [Costs(size, 3, 3) for size in (2.0, 1.0, 3.0)]
    representative = skdistill.search.screening._representative
    assert representative(plans, [0, 1, 2], costs, False) == "0"
    assert representative(plans, [1, 2], costs, False) == "10"
    assert representative(plans, [1], costs, False) == "auto"


def test_networks_are_tried_only_where_they_can_win():
    given_up, notes = screened(Budget())
    assert {"MLP 4", "MLP 8", "MLP 9"} < set(given_up)
    assert "no better than large by more than a standard error" in given_up["MLP 9"].reason
    assert notes[-1].startswith("MLPStudentClassifier was left out: the teacher is no better")
    for promising in ({"quick_score": -0.5}, {"teacher_score": -0.2}, {"teacher_score": np.nan}):
        given_up, _ = screened(Budget(), **promising)
        assert "MLP 8" not in given_up
        assert "costs no more" in given_up["MLP 9"].reason


def halved(monkeypatch, scores, alike=None, budget=None, **more):
    """Let networks compete; folds that each was tried on, and why, by name."""
    monkeypatch.setattr(KnownTrials, "scores", scores)
    monkeypatch.setattr(KnownTrials, "alike", alike or {})
    plans = [Plan(name, MLPStudentClassifier(), 1.0, 0.8, None) for name in scores]
    trials = KnownTrials(KnownEvaluator(-0.5, -0.4), plans, **more)
    costs = [Costs(float(i), 3, 3) for i in range(len(plans))]  # the better, the dearer
    pruned, _ = screen(trials, costs, budget or Budget())
    tried = {name: len(trials.of(i)) for i, name in enumerate(scores)}
    return tried, {plans[i].name: found.reason for i, found in pruned.items()}


def test_the_better_half_of_the_networks_goes_on_after_each_of_the_first_folds(monkeypatch):
    scores = {"a": (-0.5,) * 3, "b": (-0.4, -0.5, -0.5), "c": (-0.3,) * 3, "d": (-0.6,) * 3}
    scores["e"] = (-0.2, -0.2, -0.9)
    tried, why = halved(monkeypatch, scores)
    assert tried == {"a": 1, "b": 2, "c": 3, "d": 1, "e": 3}
    assert why["a"] == why["d"] == "only the better half of 5 went on after the first fold"
    assert why["b"] == "only the better half of 3 went on after 2 folds"


def test_networks_without_a_score_or_with_the_same_one_are_not_pruned(monkeypatch):
    nan = np.nan
    unknown = {"a": (nan, -0.5, -0.5), "b": (nan, -0.3, -0.3), "c": (nan, -0.2, -0.2)}
    assert halved(monkeypatch, unknown) == ({"a": 3, "b": 3, "c": 3}, {})
    one_unknown = {"a": (nan, -0.5, -0.5), "b": (-0.3,) * 3, "c": (-0.4,) * 3}
    assert halved(monkeypatch, one_unknown)[0] == {"a": 3, "b": 3, "c": 1}
    same = dict.fromkeys("abcd", (-0.5,) * 3)
    assert halved(monkeypatch, same) == (dict.fromkeys("abcd", 3), {})


def test_networks_that_are_faithful_enough_go_on_first(monkeypatch):
    scores = {"a": (-0.5,) * 3, "b": (-0.4,) * 3, "c": (-0.3,) * 3}
    alike = {"a": 0.95, "b": 0.8, "c": 0.85}
    tried, _ = halved(monkeypatch, scores, alike, Budget(min_fidelity=0.9))
    assert tried == {"a": 3, "b": 1, "c": 2}
    assert halved(monkeypatch, scores, alike)[0] == {"a": 1, "b": 2, "c": 3}


def test_one_network_is_complete_first_if_time_is_limited(monkeypatch):
    order = []
    make = KnownTrials.make
    monkeypatch.setattr(
        KnownTrials,
        "make",
        lambda self, positions, folds=None: (
            order.append((positions, folds)) or make(self, positions, folds)
        ),
    )
    scores = {"a": (-0.5,) * 3, "b": (-0.4,) * 3}
    tried, _ = halved(monkeypatch, scores, time_limit=TimeLimit(60.0))
    assert order[0] == ([0], None)
    assert tried == {"a": 3, "b": 3}


def test_the_time_left_counts_the_groups_that_remain():
    plans = [
        Plan(f"{k} columns, {n}", TreeStudentClassifier(), 1.0, 0.8, k)
        for k in (2, None)
        for n in "ab"
    ]
    trials = KnownTrials(KnownEvaluator(-0.5, -0.4), plans)
    remaining, make = [], trials.make
    trials.scores = {plan.name: (-0.5,) * 3 for plan in plans}
    trials.make = lambda *args: remaining.append(dict(trials.remaining)) or make(*args)
    screen(trials, [Costs(1.0, 3, 3)] * 4, Budget())
    few, all_columns = (("TreeStudentClassifier", k) for k in (2, None))
    assert remaining[0] == {few: 6, all_columns: 6}
    assert remaining[-1] == {all_columns: 6}  # `make` here does not count what is done


def test_with_optuna_the_time_left_counts_the_trials_of_all_families():
    pytest.importorskip("optuna")
    kinds = TreeStudentClassifier(), LinearStudentClassifier()
    plans = [Plan(f"{kind} {n}", kind, 1.0, 0.8, None) for kind in kinds for n in "ab"]
    trials = KnownTrials(KnownEvaluator(-0.5, -0.4), plans)
    remaining, make = [], trials.make
    trials.scores = {plan.name: (-0.5,) * 3 for plan in plans}
    trials.make = lambda *args: remaining.append(dict(trials.remaining)) or make(*args)
    sample(trials, [Costs(1.0, 3, 3)] * 4, 4, random_state=0)
    assert sorted(remaining[0].values()) == [4.5, 7.5]
    assert list(dict.fromkeys(sum(each.values()) for each in remaining)) == [12, 9, 6, 3]


def test_the_smallest_network_decides_on_corrected_labels_for_all(binary_task, monkeypatch):
    judged = []
    stack = skdistill.distill.label_correction._stack
    monkeypatch.setattr(
        skdistill.distill.label_correction,
        "_stack",
        lambda labelled, held_out, students: (
            judged.append(students[0].hidden_layer_sizes) or stack(labelled, held_out, students)
        ),
    )
    students = [MLPStudentClassifier((3,), max_epochs=1), MLPStudentClassifier((2,), max_epochs=1)]
    params = {"label_correction": True, "augmentation": None, "cv": 2, "recalibration": False}
    search = StudentSearchCV(
        LogisticRegression(), students, distiller_params=params, **QUICK | {"cv": 2}
    ).fit(*(each[:200] for each in binary_task))
    assert judged == [(2,), (2,), search.best_params_["student"].hidden_layer_sizes]


def test_a_search_out_of_time_takes_what_it_has_and_says_what_is_missing(binary_task):
    CountingForest.fits = 0
    search = search_trees(CountingForest(20), time_limit=1e-6, references=True).fit(*binary_task)
    assert CountingForest.fits == 1 + 1
    assert search.n_splits_ == 1
    assert [each.stage for each in search.candidates_] == ["evaluated", "not tried", "not tried"]
    assert search.student_.n_leaves_ == 2
    assert search.candidates_[2].why_not == "not tried: time_limit=1e-06 s was over"
    notes = " ".join(search.notes_)
    assert "1 of 3 folds, which are all that candidates were scored on" in notes
    assert "2 candidates were not (tree, 4 leaves; tree, 8 leaves)" in notes
    assert "was over before references were measured" in notes
    assert search.predict(binary_task[0]).shape == (600,)


def test_what_was_not_tried_in_time_is_not_said_to_have_lost(binary_task, monkeypatch):
    rooms = iter([True] * 3)
    monkeypatch.setattr(
        skdistill.search.time_limit.TimeLimit, "has_room_for", lambda *_, **__: next(rooms, False)
    )
    grid = {"temperatures": [1.0, 2.0], "alphas": [0.5, 1.0]}
    search = search_trees(LogisticRegression(), time_limit=60, **grid).fit(*binary_task)
    assert "11 candidates were not" in " ".join(search.notes_)
    assert "did best" not in " ".join(search.notes_)
    assert sum("time_limit" in each.why_not for each in search.candidates_) == 11


def test_if_time_is_over_between_folds_those_tried_on_most_compete(binary_task, monkeypatch):
    rooms = iter([True] * 5)
    monkeypatch.setattr(
        skdistill.search.time_limit.TimeLimit, "has_room_for", lambda *_, **__: next(rooms, False)
    )
    search = search_trees(LogisticRegression(), search="grid", time_limit=60).fit(*binary_task)
    found = [len(each.fold_scores) for each in search.candidates_]
    assert found == [3, 0, 0]  # two rooms for folds of the teacher, three for trials
    assert search.best_index_ == 0


def test_workers_end_without_a_word(binary_task):
    search_trees(LogisticRegression(), n_jobs=2).fit(*binary_task)  # warnings are errors


def test_every_candidate_is_told_with_the_time_left(binary_task, capsys):
    students = [TreeStudentClassifier(4), LinearStudentClassifier(8)]
    StudentSearchCV(LogisticRegression(), students, verbose=1, **QUICK).fit(*binary_task)
    lines = capsys.readouterr().err.splitlines()
    tree = next(line for line in lines if "(3 of 3 folds, " in line)
    assert tree.startswith("[StudentSearchCV]   tree, 4 leaves, temperature 1.0, alpha 0.8: -0.")
    assert tree.endswith("s of trials left, not counting LinearStudentClassifier)")
    assert any("the teacher has labelled 1 of 3 folds" in line for line in lines)


def test_a_fitted_teacher_is_warned_of_unless_it_knows_none_of_the_rows(binary_task, rng):
    X, y = binary_task
    teacher = RandomForestClassifier(20, random_state=0).fit(X, y)
    with pytest.warns(UserWarning, match=r"which was fitted on these rows.*clone\(teacher\)"):
        search_trees(teacher).fit(X, y)
    direct = {"labelling": "direct"}
    with pytest.warns(UserWarning, match="may have been fitted on these rows"):
        search_trees(LogisticRegression().fit(X, y), distiller_params=direct).fit(X, y)
    others = rng.normal(size=X.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="StudentSearchCV was given a fitted teacher")
        search_trees(teacher).fit(others, teacher.predict(others))


def test_optuna_tries_as_many_candidates_as_it_is_told(binary_task, forest):
    pytest.importorskip("optuna")
    more = {"search": "optuna", "n_iter": 4, "temperatures": [1.0, 2.0], "alphas": [0.5, 1.0]}
    search = search_trees(forest, **more).fit(*binary_task)
    assert [each.stage for each in search.candidates_] == ["evaluated"] * 4
    again = search_trees(forest, **more).fit(*binary_task)
    assert [each.params["temperature"] for each in again.candidates_] == [
        each.params["temperature"] for each in search.candidates_
    ]


def test_without_optuna_the_error_names_the_extra(binary_task, forest, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match="pip install optuna"):
        search_trees(forest, search="optuna").fit(*binary_task)


def test_a_search_repeats_exactly_with_a_seed(binary_task):
    first, again = (
        search_trees(RandomForestClassifier(20), budget=Budget(columns=3)).fit(*binary_task)
        for _ in range(2)
    )
    assert first.candidates_[2].fold_scores == again.candidates_[2].fold_scores
    assert first.columns_ == again.columns_
    X = binary_task[0]
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))


def test_the_results_have_scikit_learns_form(binary_task, forest):
    search = search_trees(forest).fit(*binary_task)
    results = search.cv_results_
    assert results["params"][1] == search.candidates_[1].params
    splits = np.stack([results[f"split{f}_test_score"] for f in range(3)])
    np.testing.assert_allclose(results["mean_test_score"], splits.mean(axis=0))
    np.testing.assert_allclose(results["mean_test_neg_log_loss"], results["mean_test_score"])
    assert results["rank_test_score"][search.best_index_] == 1
    assert (results["n_resources"] == 400).all()
    assert pd.DataFrame(results).shape[0] == 3


@pytest.mark.parametrize("scoring", ["average_precision", "roc_auc", fidelity_scorer("kl")])
def test_other_scores_can_be_chosen_by(binary_task, forest, scoring):
    search = search_trees(forest, scoring=scoring).fit(*binary_task)
    assert search.student_.n_leaves_ == 8
    assert set(search.candidates_[0].measures) == {
        "neg_log_loss",
        "average_precision",
        "agreement",
        "kl_divergence",
    }
    if not isinstance(scoring, str):
        for each in search.candidates_:
            assert each.score == pytest.approx(-each.measures["kl_divergence"])


def test_the_front_prints_and_becomes_a_frame(binary_task, forest):
    front = search_trees(forest).fit(*binary_task).pareto_front_
    lines = str(front).splitlines()
    assert lines[0].split()[:3] == ["candidate", "temperature", "alpha"]
    assert lines[1].startswith("tree, 8 leaves")
    frame = front.to_frame()
    assert frame["leaves"].tolist() == [8, 4, 2]
    assert frame["mean_score"].is_monotonic_decreasing
    assert len(front) == 3
    assert front[0].name == "tree, 8 leaves"


def test_it_drops_into_pipelines_and_cross_validation(binary_task):
    X, y = binary_task
    teacher = RandomForestClassifier(10, random_state=0)
    model = make_pipeline(StandardScaler(), search_trees(teacher, cv=2))
    assert cross_val_score(model, X, y, cv=2).mean() > 0.7
    model.fit(X, y)
    with pytest.warns(UserWarning, match="100% of the rows of X are rows that teacher and student"):
        report = fidelity_report(model, X, y, n_resamples=20)
    assert report.models["teacher"] == "RandomForestClassifier"


def test_clones_keep_a_fitted_teacher_and_parameters_of_it_leave_it_alone(forest):
    search = clone(search_trees(forest))
    assert search.teacher is forest
    search.set_params(teacher__max_depth=3)
    assert search.teacher is not forest
    assert forest.max_depth is None
    assert search.get_params()["teacher__max_depth"] == 3


def test_unlabelled_rows_teach_and_are_not_scored(binary_task, forest, rng):
    X, y = binary_task
    pool = rng.normal(size=(300, 8))
    plain = search_trees(forest).fit(X, y)
    search = search_trees(forest).fit(X, y, X_unlabeled=pool)
    assert search.best_estimator_.transfer_summary_["unlabelled"]["rows"] == 300
    assert search.candidates_[2].fold_scores != plain.candidates_[2].fold_scores
    marked = np.concatenate([y, np.full(300, -1)])
    teacher = LogisticRegression()
    by_mark = search_trees(teacher).fit(np.concatenate([X, pool]), marked)
    apart = search_trees(teacher).fit(X, y, X_unlabeled=(pool,))
    assert by_mark.candidates_[0].fold_scores == apart.candidates_[0].fold_scores


def test_weights_weigh_the_scores(binary_task):
    X, y = binary_task
    weight = np.where(y == 1, 5.0, 1.0)
    search = search_trees(LogisticRegression()).fit(X, y, sample_weight=weight)
    plain = search_trees(LogisticRegression()).fit(X, y)
    assert search.best_score_ != plain.best_score_
    assert search.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.1


def test_strings_several_classes_and_frames_are_fine(mixed_frame):
    frame, _, value = mixed_frame(300)
    labels = np.array(["low", "middle", "high"], dtype=object)[pd.qcut(value, 3, labels=False)]
    teacher = make_pipeline(ColumnSelector([0, 1, 2]), RandomForestClassifier(20, random_state=0))
    plain = {"label_correction": False}
    search = search_trees(teacher, budget=Budget(columns=2), distiller_params=plain)
    search.fit(frame, labels)
    assert search.classes_.tolist() == ["high", "low", "middle"]
    assert set(search.columns_) <= set(frame.columns)
    assert list(search.student_[-1].feature_names_in_) == search.columns_
    assert "average_precision" not in search.candidates_[0].measures
    assert set(search.predict(frame)) <= set(labels)


def test_other_classifiers_are_candidates_too(binary_task, forest):
    students = [DecisionTreeClassifier(max_leaf_nodes=4), LogisticRegression()]
    search = StudentSearchCV(forest, students, budget=Budget(leaves=8), **QUICK)
    search.fit(*binary_task)
    assert search.candidates_[0].costs.n_leaves == 4
    assert search.candidates_[1].why_not == "leaves: it has none (limit 8)"


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"budget": {"leaves": 4}}, ValueError, "'budget' parameter"),
        ({"distiller_params": {"alpha": 1.0}}, ValueError, r"distiller_params has \['alpha'\]"),
        ({"temperatures": []}, ValueError, "temperatures is empty"),
        ({"temperatures": [-1.0]}, ValueError, "'temperature' parameter"),
        ({"alphas": [2.0]}, ValueError, "'alpha' parameter"),
        ({"teacher": RandomForestRegressor()}, TypeError, "teacher is the regressor"),
        ({"scoring": "beauty"}, ValueError, "'scoring' parameter|not a valid scoring"),
        ({"search": "random"}, ValueError, "'search' parameter"),
    ],
)
def test_bad_parameters_are_refused_before_any_work(binary_task, params, error, message):
    CountingForest.fits = 0
    with pytest.raises(error, match=message):
        search_trees(CountingForest(5)).set_params(**params).fit(*binary_task)
    assert CountingForest.fits == 0


def test_an_unfitted_search_says_so(forest, binary_task):
    with pytest.raises(NotFittedError):
        search_trees(forest).predict(binary_task[0])
    with pytest.raises(NotFittedError):
        StudentSearchDisplay.from_estimator(search_trees(forest))


# Columns


@pytest.fixture(scope="module")
def few_columns():
    """Three columns decide, two of them only together; two copy them; the rest is noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 9))
    X[:, 7] = X[:, 2]
    score = 2.0 * X[:, 2] + 3.0 * np.sign(X[:, 4] * X[:, 5])
    y = (score + rng.logistic(size=1500) > 0).astype(int)
    return X, y, 1 / (1 + np.exp(-score))


def test_columns_that_matter_are_given_up_last(few_columns):
    X, _, p = few_columns
    proba = np.column_stack([1 - p, p])
    names = [f"x{j}" for j in range(9)]
    path = column_path(X, proba, names, 2, np.random.RandomState(0))
    kept = set(path.best(3))
    assert {4, 5} < kept  # neither says anything alone
    assert len(kept & {2, 7}) == 1  # of two that say the same one stays
    assert path.best(9) == tuple(range(9))
    assert path.n_columns == (9, 8, 7, 6, 5, 4, 3, 2)
    assert path.kl_divergence[-2] < 0.1 < path.kl_divergence[-1]
    assert "dropped next" in str(path)


def test_columns_of_rare_classes_are_found(rng):
    X = rng.normal(size=(30_000, 6))
    margin = 4.0 * X[:, 3] - 14.0
    p = 1 / (1 + np.exp(-margin))
    assert p.mean() < 0.003
    path = column_path(X, np.column_stack([1 - p, p]), list("abcdef"), 1, np.random.RandomState(0))
    assert path.best(1) == (3,)


def test_columns_of_strings_and_gaps_are_ranked(mixed_frame):
    frame, y, _ = mixed_frame(600)
    proba = RandomForestClassifier(50, oob_score=True, random_state=0)
    numbers = frame.assign(
        city=frame["city"].astype("category").cat.codes, kind=frame["kind"].cat.codes
    )
    proba = proba.fit(numbers, y).oob_decision_function_
    path = column_path(frame, proba, list(frame.columns), 1, np.random.RandomState(0))
    assert frame.columns[path.best(1)[0]] == "kind"
    assert frame.columns[path.dropped[0]] == "flag"


def test_a_wider_table_asks_no_more_of_the_models_than_their_splits(rng, monkeypatch):
    asked = []

    class Counted(HistGradientBoostingClassifier):
        def predict_proba(self, X):
            asked.append(X.size)
            return super().predict_proba(X)

    monkeypatch.setattr("skdistill.search.column_path.HistGradientBoostingClassifier", Counted)
    told, totals = rng.normal(size=(600, 3)), []
    p = 1 / (1 + np.exp(-told.sum(axis=1)))
    for width in (10, 1000):
        X = np.column_stack([told, np.zeros((600, width - 3))])
        names = [str(j) for j in range(width)]
        column_path(X, np.column_stack([1 - p, p]), names, width, np.random.RandomState(0))
        totals.append(sum(asked))
        asked.clear()
    assert totals[0] == totals[1] < 600 * 3 * 4


def test_columns_that_say_nothing_do_not_displace_others(few_columns):
    X, _, p = few_columns
    proba = np.column_stack([1 - p, p])
    wide = np.column_stack([X, np.zeros((len(X), 11))])
    names = [f"x{j}" for j in range(20)]
    path = column_path(wide, proba, names, 3, np.random.RandomState(0))
    assert {4, 5} < set(path.best(3))


@pytest.fixture(scope="module")
def column_search(few_columns):
    X, y, _ = few_columns
    frame = pd.DataFrame(X, columns=[f"c{j}" for j in range(9)])
    teacher = RandomForestClassifier(50, min_samples_leaf=5, random_state=0).fit(frame, y)
    students = [(TreeStudentClassifier(), {"max_leaf_nodes": [8, 16]})]
    search = StudentSearchCV(teacher, students, budget=Budget(columns=3), **QUICK)
    with pytest.MonkeyPatch.context() as patch:
        fake = lambda student, X: (1.0, 1.0, "numpy", 0.0)  # noqa: E731
        patch.setattr(skdistill.search.costs, "measure_latency", fake)
        return search.fit(frame, y), frame, y


def test_the_student_needs_only_the_columns_of_the_budget(column_search):
    search, frame, y = column_search
    assert {"c4", "c5"} < set(search.columns_)
    assert len(search.columns_) == search.best_costs_.n_columns == 3
    assert search.best_params_["n_columns"] == 3
    assert search.teacher_.n_features_in_ == 9
    assert search.score(frame, y) > 0.8
    scorer = lean_scorer(search, engine="numpy")
    assert scorer.columns == search.columns_
    row = {name: frame[name].iloc[0] for name in search.columns_}
    np.testing.assert_allclose(scorer(row), search.predict_proba(frame[:1])[0])
    shuffled = frame.assign(**{name: 0.0 for name in frame if name not in search.columns_})
    np.testing.assert_array_equal(search.predict_proba(shuffled), search.predict_proba(frame))


def test_exports_and_reports_see_through_the_choice_of_columns(column_search, tmp_path):
    search, frame, y = column_search
    save(search, tmp_path / "student.skd")
    loaded = load(tmp_path / "student.skd")
    kept = frame[search.columns_]
    np.testing.assert_array_equal(loaded.predict_proba(kept), search.predict_proba(frame))
    assert to_onnx(search, tmp_path / "student.onnx", frame).certificate.max_difference < 1e-5
    verify(tmp_path / "student.onnx", kept)
    assert to_c(search, tmp_path / "student.c", kept).certificate.max_difference < 1e-5
    to_c(search, tmp_path / "student.c", frame)
    sql = to_sql(search, tmp_path / "student.sql", frame, table="t").content
    assert "c4" in sql
    assert "c0" not in sql
    with pytest.warns(UserWarning, match="of the rows of X are rows that teacher and student"):
        report = fidelity_report(search, frame + 1e-9, y, n_resamples=20)
    assert report.models["teacher"] == "RandomForestClassifier"
    pytest.importorskip("shap")
    assert explain(search, frame[:5], background=frame[:200]).shape == (5, 9, 2)


def test_a_selector_refuses_columns_that_are_not_there():
    X = np.zeros((4, 3))
    for columns in ([], [3], [1, 1]):
        with pytest.raises(ValueError, match="different positions from 0 to 2"):
            ColumnSelector(columns).fit(X)
    kept = ColumnSelector([2, 0]).fit(pd.DataFrame(X, columns=list("abc")))
    assert kept.get_feature_names_out().tolist() == ["c", "a"]


def test_the_numbers_of_columns_can_be_a_dimension_of_the_search(few_columns):
    X, y, _ = few_columns
    search = StudentSearchCV(
        RandomForestClassifier(30, min_samples_leaf=5),
        TreeStudentClassifier(16),
        n_columns=[1, 3, None],
        distiller_params={"label_correction": False},
        **QUICK,
    ).fit(X, y)
    numbers = [each.costs.n_columns for each in search.candidates_]
    assert numbers == [1, 3, 9]
    assert search.candidates_[1].score > search.candidates_[0].score + 0.05


# References


def test_the_teacher_is_a_reference_as_it_is_corrected_for_the_candidates(binary_task):
    X, y = binary_task
    params = {"class_weight": {0: 1.0, 1: 30.0}, "prior_correction": "auto"}
    teacher = RandomForestClassifier(20, random_state=0).fit(X, y)
    quick = QUICK | {"references": True}
    plain, weighted = (
        StudentSearchCV(teacher, TREES, distiller_params=each, **quick).fit(X, y)
        for each in ({}, params)
    )
    losses = [-search.reference_points_[0].score for search in (plain, weighted)]
    assert losses[1] > losses[0] + 0.3  # odds thirty times too high, as those of its students
    best = weighted.candidates_[weighted.best_index_]
    assert best.measures["kl_divergence"] < 0.3


def test_references_are_the_teacher_compiled_too_and_students_without_it(binary_task, monkeypatch):
    monkeypatch.setattr(skdistill.search.costs, "CALLS", 10)
    X, y = binary_task
    teacher = RandomForestClassifier(20, random_state=0).fit(X, y)
    students = [TreeStudentClassifier(4, random_state=0)]
    wanted = ["teacher", "hard labels"]
    search = StudentSearchCV(teacher, students, **QUICK | {"references": wanted}).fit(X, y)
    kinds = [each.kind for each in search.reference_points_]
    assert kinds == ["teacher", "compiled teacher", "hard labels"]
    original, compiled, hard = search.reference_points_
    assert original.measures["agreement"] == 1
    assert original.score > search.best_score_
    assert compiled.costs.engine == "onnxruntime"
    by_hand = [
        -log_loss(y[test], clone(students[0]).fit(X[train], y[train]).predict_proba(X[test]))
        for train, test in StratifiedKFold(3).split(X, y)
    ]
    np.testing.assert_allclose(hard.fold_scores, by_hand, rtol=0.05)
    assert search.notes_ == ()


def test_an_ebm_on_hard_labels_is_a_reference_where_interpret_is_installed(binary_task):
    glassbox = pytest.importorskip("interpret.glassbox")
    X, y = binary_task[0][:300, :2], binary_task[1][:300]
    weight = np.where(X[:, 0] > 0, 1.0, 3.0)
    more = {"references": "EBM", "budget": Budget(interactions=1, rules=4)}
    more["distiller_params"] = {"label_correction": False}
    search = search_trees(RandomForestClassifier(5), **more).fit(X, y, sample_weight=weight)
    (ebm,) = search.reference_points_
    assert (ebm.kind, ebm.name) == ("EBM", "ExplainableBoostingClassifier")
    assert ebm.costs.n_interactions == 1
    assert ebm.costs.n_rules is None
    assert ebm.fit_seconds > 0
    by_hand = []
    for train, test in StratifiedKFold(3).split(X, y):
        model = glassbox.ExplainableBoostingClassifier(
            interactions=1, n_jobs=1, random_state=0, **references.FAST
        ).fit(X[train], y[train], sample_weight=weight[train])
        proba = model.predict_proba(X[test])
        by_hand.append(-log_loss(y[test], proba, sample_weight=weight[test]))
    assert ebm.score == pytest.approx(np.mean(by_hand), abs=0.04)  # other rows in its bags
    assert ebm.measures["agreement"] < 1


def test_an_ebm_takes_no_longer_than_the_search_unless_it_was_asked_for(binary_task):
    pytest.importorskip("interpret")
    search = search_trees(RandomForestClassifier(5), alphas=[0.8]).fit(*binary_task)
    limit = TimeLimit()
    assert references.time_for_ebm(limit, was_asked_for=True) is limit
    assert references.time_for_ebm(limit, was_asked_for=False).seconds < 1
    shared = {"random_state": 0, "memory": None}
    evaluator, _ = build_evaluator(
        search.teacher, rows_of(*binary_task), 2, "neg_log_loss", shared, [], None, 0, None
    )
    X, soon = binary_task[0], TimeLimit(1e-6)
    found, notes = references.ebm_reference(evaluator, Budget(), X, print, soon)
    assert found == []
    assert notes[0].startswith("The EBM is left out: it was not ready after 0 s")


def test_an_ebm_that_fails_is_left_out_with_the_reason(binary_task, monkeypatch):
    glassbox = pytest.importorskip("interpret.glassbox")

    def fail(*_, **__):
        raise RuntimeError("no bins")

    monkeypatch.setattr(glassbox.ExplainableBoostingClassifier, "fit", fail)
    search = search_trees(RandomForestClassifier(5), references=["EBM"]).fit(*binary_task)
    assert search.reference_points_ == ()
    assert search.notes_[-1] == "The EBM is left out: no bins"


def test_references_can_be_chosen_and_others_are_refused(binary_task, monkeypatch):
    monkeypatch.setattr(skdistill.search.costs, "CALLS", 10)
    CountingForest.fits = 0
    search = search_trees(CountingForest(5), references=["glass"])
    with pytest.raises(ValueError, match=r"references holds \['glass'\]; True, False or some of"):
        search.fit(*binary_task)
    monkeypatch.setattr(references, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"'EBM' needs interpret.*pip install interpret"):
        search.set_params(references="EBM").fit(*binary_task)
    assert CountingForest.fits == 0
    assert references.wanted_references(True) == ["teacher", "hard labels"]
    search.set_params(references=["hard labels"]).fit(*binary_task)
    assert {each.kind for each in search.reference_points_} == {"hard labels"}
    assert search.notes_ == ()


def test_a_teacher_that_is_wrong_when_compiled_is_left_out(binary_task, monkeypatch):
    X, y = binary_task
    teacher = RandomForestClassifier(5, random_state=0).fit(X, y)
    other = RandomForestClassifier(5, random_state=1).fit(X, y)
    convert = compiled_teacher._convert
    monkeypatch.setattr(compiled_teacher, "_convert", lambda _, n: convert(other, n))
    compiled, note = compiled_teacher.compile_teacher(teacher, X, 10.0)
    assert compiled is None
    assert "predicts differently, by up to" in note


def test_what_cannot_be_compiled_is_said(mixed_frame, binary_task, forest):
    frame, _, _ = mixed_frame(50)
    X, y = binary_task
    assert "takes strings" in compiled_teacher.compile_teacher(forest, frame, 10.0)[1]
    assert "too much to convert" in compiled_teacher.compile_teacher(forest, X, 1e6)[1]
    odd = CountingForest(3).fit(X, y)
    assert "cannot be converted" in compiled_teacher.compile_teacher(odd, X, 10.0)[1]


def test_latency_is_that_of_the_lean_scorer_on_real_rows(binary_task, forest, monkeypatch):
    monkeypatch.setattr(skdistill.search.costs, "CALLS", 20)
    X, y = binary_task
    student = TreeStudentClassifier(4).fit(X, y)
    p50, p99, engine, waiting = measure_latency(student, X)
    assert 0 < p50 <= p99
    assert 0 <= waiting < 1
    assert engine == lean_scorer(student).engine
    assert measure_latency(forest, X)[2] == "predict_proba"
    asked = []
    time_calls(asked.append, [1, 2, 3])
    assert set(asked) == {1, 2, 3}
    assert len(asked) == 3 + 5 * 20


# Display


def is_inside(artist, figure):
    figure.canvas.draw()
    box, whole = artist.get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0 < box.x1 <= whole.x1
    assert whole.y0 <= box.y0 < box.y1 <= whole.y1


def test_the_display_shows_candidates_front_budget_and_references(binary_task, close_figures):
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y = binary_task
    teacher = RandomForestClassifier(20, random_state=0).fit(X, y)
    budget = Budget(leaves=4, min_fidelity=0.5)
    wanted = ["teacher", "hard labels"]
    search = search_trees(teacher, budget=budget, references=wanted).fit(X, y)
    display = StudentSearchDisplay.from_estimator(search, x="leaves")
    assert display.front_.get_xdata().tolist() == [2, 4]
    assert display.limit == 4
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend[:3] == ["Tree", "Pareto front", "chosen: tree, 4 leaves"]
    assert {"teacher", "hard labels", "over the budget"} <= set(legend)
    said = " ".join(display.missing_.get_text().split())
    assert said == "Not shown: 1 candidate that was not scored on all folds (1 over budget)."
    ring = next(each for each in display.ax_.collections if "chosen" in each.get_label())
    assert len(ring.get_facecolor()) == 0  # hides nothing
    is_inside(display.missing_, display.figure_)
    is_inside(display.ax_.get_legend(), display.figure_)
    assert display.ax_.get_xscale() == "log"
    ax = plt.figure().subplots()
    search.set_params(references=False)
    display = StudentSearchDisplay.from_estimator(search, x="size", y="kl_divergence", ax=ax)
    assert display.ax_ is ax
    is_inside(ax.get_legend(), ax.figure)
    said = " ".join(display.missing_.get_text().split())
    assert "teacher and hard labels, which were not measured (references=False)" in said
    assert ax.get_ylabel() == "KL divergence, mean over the folds"
    assert len(display.front_.get_xdata()) == 2
    with pytest.raises(ValueError, match="x='price' was passed"):
        StudentSearchDisplay.from_estimator(search, x="price")
    with pytest.raises(ValueError, match="y='beauty' was passed"):
        StudentSearchDisplay.from_estimator(search, y="beauty")
    with pytest.raises(TypeError, match="StudentSearchCV was expected"):
        StudentSearchDisplay.from_estimator(teacher)


def test_the_display_shows_interactions_from_none_on_and_an_ebm(few_columns, close_figures):
    pytest.importorskip("matplotlib")
    X, y, _ = few_columns
    students = [(LinearStudentClassifier(4), {"interactions": [0, 1]}), TreeStudentClassifier(4)]
    budget = Budget(interactions=1, rules=4)
    search = StudentSearchCV(RandomForestClassifier(10), students, budget=budget, **QUICK)
    search.fit(X[:300, [2, 4, 5]], y[:300])
    costs = replace(search.candidates_[0].costs, n_interactions=2)
    measures = search.candidates_[0].measures
    search.reference_points_ = (Reference("E", "EBM", costs, -0.4, (-0.4,), measures),)
    display = StudentSearchDisplay.from_estimator(search, x="interactions")
    assert display.ax_.get_xscale() == "linear"
    assert display.front_.get_xdata().tolist() == [0, 1]
    assert display.limit == 1
    placed = next(each for each in display.ax_.collections if each.get_label() == "EBM")
    assert placed.get_offsets().tolist() == [[2, -0.4]]
    display = StudentSearchDisplay.from_estimator(search, x="rules")
    line = next(each for each in display.ax_.lines if each.get_label() == "EBM")
    assert set(line.get_ydata()) == {-0.4}
    assert display.limit == 4


# scikit-learn's checks

CHECKED = [
    StudentSearchCV(
        RandomForestClassifier(20, random_state=0), TreeStudentClassifier(8), **QUICK | {"cv": 2}
    ),
    StudentSearchCV(
        ExtraTreesClassifier(5, random_state=0),
        [LinearStudentClassifier(8), LinearStudentClassifier(1)],
        distiller_params={"labelling": "direct"},
        **QUICK | {"cv": 2, "search": "grid"},
    ),
]


def expected_failures(estimator):
    return {
        "check_classifiers_classes": "-1 marks rows without a class, as in DistilledClassifier",
        "check_sample_weight_equivalence_on_dense_data": "folds see other rows",
    }


@pytest.mark.filterwarnings("ignore")  # the checks pass input that deserves warnings
@parametrize_with_checks(CHECKED, expected_failed_checks=expected_failures, xfail_strict=True)
def test_scikit_learn_compatibility(estimator, check):
    check(estimator)


@pytest.mark.parametrize("hint", [LeafHint(), ProximityHint(), AttributionHint()])
@pytest.mark.parametrize("is_fitted", [False, True])
def test_hints_about_the_trees_of_the_teacher_are_followed_in_a_search(
    hint, is_fitted, binary_task, monkeypatch
):
    pytest.importorskip("torch")
    if isinstance(hint, AttributionHint):
        pytest.importorskip("shap")
    X, y = binary_task
    teacher = RandomForestClassifier(5, random_state=0)
    targets, compute_targets = [], type(hint).compute_targets

    def compute_and_keep(self, rows, state=None):
        found = compute_targets(self, rows, state)
        direct = compute_targets(self, rows if is_real(rows) else unwrapped(rows), state)
        np.testing.assert_array_equal(found[0], direct[0])
        targets.append(is_real(rows))
        return found

    def is_real(rows):
        return isinstance(rows.teacher.estimator, RandomForestClassifier)

    def unwrapped(rows):
        return type(rows)(rows.teacher.estimator.teacher, rows.transfer_set)

    monkeypatch.setattr(type(hint), "compute_targets", compute_and_keep)
    search = StudentSearchCV(
        teacher.fit(X, y) if is_fitted else teacher,
        students=[MLPStudentClassifier((8,), max_epochs=2)],
        distiller_params={"hints": [hint], "augmentation": None, "label_correction": False},
        **QUICK | {"cv": 2},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X[:200], y[:200])
    assert not all(targets)  # in folds
    assert targets[-1]  # at the end
    assert type(search.best_estimator_.hints[0]) is type(hint)
