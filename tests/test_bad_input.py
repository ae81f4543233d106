"""What was passed by mistake is named, in one line without its contents, before any work."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import skdistill
from skdistill import (
    AttributionHint,
    Budget,
    DistilledClassifier,
    LeafHint,
    LinearStudentClassifier,
    MLPStudentClassifier,
    MultiTeacher,
    Munge,
    MutualDistilledClassifier,
    ProximityHint,
    ScorecardDisplay,
    StudentSearchCV,
    TreeStudentClassifier,
)
from skdistill.decisions import DecisionBands, DecisionCosts, fraud_scorer
from skdistill.messages import shown

COSTS = DecisionCosts(missed_fraud=100, declined_legit=30, review=4)


class Untouchable(RandomForestClassifier):
    """Nobody gets as far as fitting it."""

    def fit(self, X, y, sample_weight=None):
        raise AssertionError("work was begun")


@pytest.fixture(scope="module")
def tree(binary_task):
    return TreeStudentClassifier(4).fit(*binary_task)


def message_of(error, call, *args, **kwargs):
    """Return the message of an error, which is one line, short, and no dump."""
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 450
    assert "array(" not in message
    return message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Munge, "the class Munge"),
        (np.zeros((3, 2)), "an array of shape (3, 2)"),
        (pd.DataFrame({"a": [1]}), "a DataFrame of shape (1, 1)"),
        (Path("a.skd"), "'a.skd'"),
        (RandomForestClassifier(), "a RandomForestClassifier"),
        (list(range(99)), "a list of length 99"),
        ("x" * 500, "a str of length 500"),
        (object(), "an object"),
        (None, "None"),
        (2.5, "2.5"),
    ],
)
def test_what_was_passed_is_said_in_a_few_words(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    "call",
    [
        lambda X, m: skdistill.fidelity_report(X, m),
        lambda X, m: skdistill.attribution_report(X, m),
        lambda X, m: skdistill.explain(X, m),
        lambda X, m: skdistill.reason_codes(X, m),
        lambda X, m: skdistill.decisions.decision_report(X, m, np.zeros(9), DecisionBands(COSTS)),
        lambda X, m: skdistill.lean_scorer(X),
        lambda X, m: skdistill.save(X, "student.skd"),
        lambda X, m: DecisionBands.from_estimator(X, m, costs=COSTS),
        lambda X, m: skdistill.TreeDisplay.from_estimator(X, m),
        lambda X, m: skdistill.FidelityMonitor.from_estimator(X, m),
    ],
)
def test_rows_in_place_of_the_model_are_told_who_comes_first(call, binary_task, tree):
    message = message_of(TypeError, call, binary_task[0], tree)
    assert message.startswith(
        "model is an array of shape (600, 8); a fitted estimator was expected"
    )
    assert "The model comes first" in message


@pytest.mark.parametrize(
    ("call", "passed"),
    [
        (lambda m, X: skdistill.to_onnx(m, X, "a.onnx"), "an array of shape (600, 8)"),
        (lambda m, X: skdistill.to_c(m, X, "a.c"), "an array of shape (600, 8)"),
        (lambda m, X: skdistill.to_sql(m, X, "a.sql"), "an array of shape (600, 8)"),
        (lambda m, X: skdistill.save("a.skd", m), "a TreeStudentClassifier"),
        (lambda m, X: skdistill.verify(m, "a.sql"), "a TreeStudentClassifier"),
        (lambda m, X: skdistill.load(m), "a TreeStudentClassifier"),
    ],
)
def test_what_is_no_path_is_named(call, passed, binary_task, tree):
    message = message_of(TypeError, call, tree, binary_task[0])
    assert message.startswith(f"path is {passed}; a str or path-like was expected.")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "fit"])
@pytest.mark.parametrize("table", [None, "rows.csv", Munge(), RandomForestClassifier])
def test_what_is_no_table_is_named(method, table, tree):
    args = (table, [0, 1]) if method == "fit" else (table,)
    call = getattr(clone(tree) if method == "fit" else tree, method)
    assert f"X is {shown(table)}; a table was expected" in message_of(TypeError, call, *args)


@pytest.mark.parametrize(
    "options",
    [
        {"teacher": RandomForestClassifier},
        {"student": TreeStudentClassifier},
        {"augmentation": Munge},
    ],
)
def test_classes_are_no_instances(options, binary_task):
    model = DistilledClassifier(Untouchable(), MLPStudentClassifier()).set_params(**options)
    message = message_of(TypeError, model.fit, *binary_task)
    [kind] = options.values()
    assert f"the class {kind.__name__}" in message
    assert f"{kind.__name__}()" in message


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"budget": Budget}, "Budget"),
        ({"students": [TreeStudentClassifier]}, "TreeStudentClassifier"),
        ({"students": TreeStudentClassifier}, "TreeStudentClassifier"),
        ({"students": {"tree": (TreeStudentClassifier, {})}}, "TreeStudentClassifier"),
        ({"distiller_params": {"augmentation": Munge}}, "Munge"),
    ],
)
def test_nor_are_they_in_a_search(options, name, binary_task):
    search = StudentSearchCV(Untouchable(), TreeStudentClassifier()).set_params(**options)
    assert f"the class {name}" in message_of(TypeError, search.fit, *binary_task)


def test_nor_in_decisions_and_reports(binary_task, tree):
    X, y = binary_task
    score = tree.predict_proba(X)[:, 1]
    for call, kind in (
        (lambda: DecisionBands(DecisionCosts).fit(score), DecisionCosts),
        (lambda: skdistill.decisions.decision_report(tree, X, y, DecisionBands), DecisionBands),
        (lambda: skdistill.fidelity_report(tree, X, y, bands=DecisionBands), DecisionBands),
        (lambda: skdistill.distillation_report(tree, X, y, bands=DecisionBands), DecisionBands),
        (lambda: fraud_scorer("band_cost", bands=DecisionBands), DecisionBands),
    ):
        assert f"the class {kind.__name__}" in message_of(TypeError, call)


def test_arrays_as_parameters_are_not_printed(binary_task):
    X, y = binary_task
    for call in (
        lambda: TreeStudentClassifier(X).fit(X, y),
        lambda: skdistill.decisions.precision_at_k(y, X[:, 0], k=X),
        lambda: skdistill.fidelity_report(X, X, y, margin=X),
        lambda: DistilledClassifier(X).fit(X, y),
        lambda: MutualDistilledClassifier(X).fit(X, y),
        lambda: MultiTeacher(X).fit(X, y),
    ):
        assert "array of shape (600, 8)" in message_of((TypeError, ValueError), call)


class TestWhoIsWho:
    def test_a_fitted_forest_is_no_student_of_a_tree(self, binary_task, forest, tree):
        model = DistilledClassifier(tree, forest)
        message = message_of(ValueError, model.fit, *binary_task)
        assert "pass the RandomForestClassifier as teacher and the TreeStudent" in message

    @pytest.mark.parametrize("small", [TreeStudentClassifier(), DecisionTreeClassifier()])
    def test_one_that_is_not_fitted_may_be_meant(self, binary_task, small):
        X, y = binary_task
        model = DistilledClassifier(small, RandomForestClassifier(2, random_state=0), cv=2)
        with pytest.warns(UserWarning, match="distils a small model into a large one"):
            model.set_params(labelling="cross_fit", recalibration=False).fit(X[:100], y[:100])

    @pytest.mark.parametrize(
        ("teacher", "student"),
        [
            (TreeStudentClassifier(8), TreeStudentClassifier(4)),
            (RandomForestClassifier(5, random_state=0), RandomForestClassifier(2, random_state=0)),
            (RandomForestClassifier(5, random_state=0), LinearStudentClassifier(2)),
        ],
    )
    def test_other_pairs_are_taken_without_a_word(self, binary_task, teacher, student):
        X, y = binary_task
        options = {"labelling": "direct", "augmentation": None, "recalibration": False}
        DistilledClassifier(teacher.fit(X, y), student, **options).fit(X[:100], y[:100])


class TestHints:
    @pytest.mark.parametrize("family", [LeafHint, ProximityHint, AttributionHint])
    @pytest.mark.parametrize(
        "teacher",
        [
            LogisticRegression(),
            VotingClassifier([("lr", LogisticRegression())], voting="soft"),
            MultiTeacher([("lr", LogisticRegression())]),
        ],
    )
    def test_teachers_that_cannot_tell_are_not_fitted(self, family, teacher, binary_task):
        model = DistilledClassifier(teacher, MLPStudentClassifier(), hints=[family()])
        with pytest.raises(ValueError, match=f"{family.__name__}.*need"):
            model.fit(*binary_task)
        assert not hasattr(model, "transfer_summary_")

    def test_voting_tells_its_leaves_but_no_attributions(self, binary_task):
        voting = VotingClassifier([("forest", Untouchable())], voting="soft")
        model = DistilledClassifier(voting, MLPStudentClassifier(), hints=[LeafHint()])
        with pytest.raises(AssertionError, match="work was begun"):
            model.fit(*binary_task)
        with pytest.raises(ValueError, match="it is a VotingClassifier"):
            model.set_params(hints=[AttributionHint()]).fit(*binary_task)

    @pytest.mark.parametrize(
        ("hints", "error", "message"),
        [
            (LeafHint(), TypeError, r"hints=\[LeafHint\(\)\]"),
            ("leaf", TypeError, "hints is 'leaf'; a list was expected"),
            (None, TypeError, "hints is None; a list was expected"),
            ({LeafHint()}, TypeError, "a list was expected"),
            ([LeafHint], TypeError, r"is the class LeafHint.*Pass LeafHint\(\)"),
            (["leaf"], TypeError, r"hints holds 'leaf'.*hints=\[LeafHint\(\)\]"),
            ([LeafHint(), ProximityHint(), LeafHint(2)], ValueError, "LeafHint twice"),
        ],
    )
    def test_what_is_no_list_of_different_hints_is_refused(
        self, binary_task, hints, error, message
    ):
        with pytest.raises(error, match=message):
            DistilledClassifier(Untouchable(), MLPStudentClassifier(), hints=hints).fit(
                *binary_task
            )

    @pytest.mark.parametrize("students", ["auto", TreeStudentClassifier()])
    def test_a_search_knows_at_once_who_cannot_follow(self, students, binary_task):
        search = StudentSearchCV(
            Untouchable(), students, distiller_params={"hints": [AttributionHint()]}
        )
        message = message_of(ValueError, search.fit, *binary_task)
        assert "AttributionHint was passed with the student TreeStudentClassifier" in message


@pytest.mark.parametrize("n_columns", [9, [2, 99], 0, -1, 2.5])
def test_there_are_only_so_many_columns(n_columns, binary_task):
    search = StudentSearchCV(Untouchable(), TreeStudentClassifier(), n_columns=n_columns)
    message = message_of(ValueError, search.fit, *binary_task)
    assert "X has 8 columns" in message or "n_columns" in message


@pytest.fixture(scope="module")
def draw(binary_task, forest):
    """By name what draws on ``ax``, of every display."""
    X, y = binary_task
    of_additive = LinearStudentClassifier(2).fit(X, y)
    of_tree = TreeStudentClassifier(4).fit(X, y)
    scores = of_tree.predict_proba(X)[:, 1]
    mlp = MLPStudentClassifier((2,), max_epochs=1, random_state=0).fit(X, y)
    monitor = skdistill.FidelityMonitor().fit(X, scores)
    monitor.update(X, scores)
    search = StudentSearchCV(
        forest, TreeStudentClassifier(4), cv=2, temperatures=[1.0], alphas=[0.5]
    )
    with pytest.warns(UserWarning, match="was given a fitted teacher"):
        search.fit(X, y)
    return {
        "tree": lambda **kw: skdistill.TreeDisplay.from_estimator(of_tree, **kw),
        "curves": lambda **kw: skdistill.CurvesDisplay.from_estimator(of_additive, X, **kw),
        "scorecard": lambda **kw: ScorecardDisplay.from_estimator(of_additive, X, **kw),
        "losses": lambda **kw: skdistill.LossCurveDisplay.from_estimator(mlp, **kw),
        "monitor": lambda **kw: skdistill.MonitorDisplay.from_monitor(monitor, **kw),
        "search": lambda **kw: skdistill.StudentSearchDisplay.from_estimator(search, **kw),
        "costs": lambda **kw: skdistill.CostCurveDisplay.from_predictions(
            y, scores, costs=COSTS, **kw
        ),
    }


class TestDisplays:
    def test_draw_on_axes(self, draw):
        pytest.importorskip("matplotlib")
        from matplotlib.figure import Figure

        shown_by = {type(call()).__name__ for call in draw.values()}
        assert shown_by == {name for name in skdistill.__all__ if name.endswith("Display")}
        figure = Figure()
        for call in draw.values():
            for ax in ("a name", 3, figure, [figure.subplots(), "b"]):
                error = (TypeError, ValueError)
                assert "ax" in message_of(error, call, ax=ax)
            call(ax=figure.add_subplot())
            call(ax=figure.subfigures(1, 2)[0].subplots())

    @pytest.mark.parametrize("columns", [np.array([[0, 1]]), [[0, 1]], [{}], [([0],)]])
    def test_of_columns_take_their_names(self, columns, draw):
        with pytest.raises(ValueError, match=r"columns holds .*names or positions of the columns"):
            draw["curves"](columns=columns)

    @pytest.mark.parametrize("columns", [0, "x0", []])
    def test_of_columns_take_a_list(self, columns, draw):
        with pytest.raises(ValueError, match="a list of one name or position or more was expected"):
            draw["curves"]().plot(columns=columns)


@pytest.mark.parametrize("value", [np.array([True, False]), "yes", None, 2])
def test_whether_greater_is_better_is_true_or_false(value):
    message = message_of(
        TypeError, skdistill.fidelity.gap_closed, 0.9, 0.8, 0.7, greater_is_better=value
    )
    assert message.startswith("greater_is_better=")


class TestClasses:
    @pytest.mark.parametrize("call", ["bands", "curve", "ranking"])
    def test_in_place_of_probabilities_are_noticed(self, call, binary_task, tree):
        X, y = binary_task
        predicted = tree.predict(X)
        calls = {
            "bands": lambda scores: DecisionBands(COSTS).fit(scores),
            "curve": lambda scores: skdistill.decisions.review_cost_curve(y, scores, costs=COSTS),
            "ranking": lambda scores: skdistill.decisions.precision_at_k(y, scores, k=5),
        }
        with pytest.warns(UserWarning, match=r"0 or 1 on every row.*predict_proba\(X\)\[:, 1\]"):
            calls[call](predicted)
        calls[call](tree.predict_proba(X)[:, 1])

    def test_as_text_are_no_scores(self, binary_task):
        y = binary_task[1]
        with pytest.raises(ValueError, match=r"y_score holds .*'yes'.*no number"):
            skdistill.decisions.precision_at_k(y, np.where(y == 1, "yes", "no"), k=5)

    @pytest.mark.filterwarnings("default:y holds one class only")
    @pytest.mark.parametrize(
        "estimator",
        [
            TreeStudentClassifier(),
            DistilledClassifier(RandomForestClassifier(2)),
            MutualDistilledClassifier(TreeStudentClassifier(), cv=2, n_rounds=1),
        ],
    )
    def test_one_alone_is_said(self, estimator, binary_task):
        X, _ = binary_task
        with pytest.warns(UserWarning, match="one class only, 7, which every prediction will be"):
            clone(estimator).fit(X[:60], np.full(60, 7))

    def test_one_alone_leaves_a_search_nothing_to_compare(self, binary_task):
        X, y = binary_task
        search = StudentSearchCV(Untouchable(), TreeStudentClassifier())
        with pytest.raises(ValueError, match="one class only"):
            search.fit(X, np.ones_like(y))

    def test_one_alone_gives_no_cost_curve(self, binary_task):
        with pytest.raises(ValueError, match="Every row of y_true is negative"):
            skdistill.decisions.review_cost_curve(np.zeros(9), np.linspace(0, 1, 9), costs=COSTS)

    def test_of_which_there_is_none_are_named_by_their_parameter(self, binary_task):
        student = LinearStudentClassifier(2).fit(*binary_task)
        with pytest.raises(ValueError, match=r"good_class='yes' was passed; one of .*\[0, 1\]"):
            ScorecardDisplay.from_estimator(student, good_class="yes")


@pytest.mark.parametrize(
    ("scorer", "name"),
    [
        (lambda: fraud_scorer("card_precision_at_k", k=5), "groups"),
        (lambda: fraud_scorer("band_cost", bands=DecisionBands(COSTS, 3)), "days"),
        (
            lambda: fraud_scorer(
                "decision_cost", costs=DecisionCosts(missed_fraud_per_amount=1, declined_legit=3)
            ),
            "amounts",
        ),
    ],
)
def test_a_scorer_says_how_what_it_needs_is_routed(scorer, name, binary_task, tree):
    message = message_of(ValueError, scorer(), tree, *binary_task)
    assert f"set_score_request({name}=True)" in message
    assert "enable_metadata_routing=True" in message


def test_what_is_routed_gets_there(binary_task, tree):
    X, y = binary_task
    cards = np.arange(len(y)) % 50
    scorer = fraud_scorer("card_precision_at_k", k=5)
    expected = skdistill.decisions.card_precision_at_k(y, tree.predict_proba(X)[:, 1], cards, k=5)
    with sklearn.config_context(enable_metadata_routing=True):
        assert scorer.set_score_request(groups=True)(tree, X, y, groups=cards) == expected
