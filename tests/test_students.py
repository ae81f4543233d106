import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import skdistill
from skdistill import (
    LinearStudentClassifier,
    LinearStudentRegressor,
    MLPStudentClassifier,
    MLPStudentRegressor,
    SoftLabelClassifier,
    SoftTreeStudentClassifier,
    TransferSet,
    TreeStudentClassifier,
    TreeStudentRegressor,
    TreeSumStudentClassifier,
    TreeSumStudentRegressor,
)
from skdistill.report.page.student_section import SHOWN_ON_PAGES
from skdistill.report.plotting import SHOWN_BY
from skdistill.scorer.kinds import KINDS
from skdistill.scorer.model import path_probabilities
from skdistill.soft_labels import LOSSES, SoftTargets, distillation_loss, soften
from skdistill.students.base import Student, stated
from skdistill.students.encoding import bin_edges, fit_encoding
from skdistill.students.kinds import STUDENTS

CLASSIFIERS = {
    "tree": TreeStudentClassifier(random_state=0),
    "tree sum": TreeSumStudentClassifier(),
    "linear": LinearStudentClassifier(),
    "mlp": MLPStudentClassifier((32,), max_epochs=150, random_state=0),
    "any": SoftLabelClassifier(DecisionTreeClassifier(max_leaf_nodes=16, random_state=0)),
}
REGRESSORS = {
    "tree": TreeStudentRegressor(random_state=0),
    "tree sum": TreeSumStudentRegressor(),
    "linear": LinearStudentRegressor(),
    "mlp": MLPStudentRegressor((32,), max_epochs=150, random_state=0),
}
#: Public names about students.
NO_STUDENTS = {"StudentFileError", "StudentSearchCV", "StudentSearchDisplay"}

classifiers = pytest.mark.parametrize("student", CLASSIFIERS.values(), ids=CLASSIFIERS)
own_classifiers = pytest.mark.parametrize(
    "student",
    [student for k, student in CLASSIFIERS.items() if k != "any"],
    ids=list(CLASSIFIERS)[:-1],
)
regressors = pytest.mark.parametrize("student", REGRESSORS.values(), ids=REGRESSORS)


@pytest.mark.parametrize("kind", STUDENTS, ids=lambda kind: kind.__name__)
def test_every_student_states_what_the_rest_of_the_package_asks(kind):
    asked = ["form", "_reader", "short_name", "parts", "file_content", "restore"]
    asked += ["first_sum", "after_sum"] if kind.starts_with_a_sum else []
    assert [name for name in asked if getattr(kind, name) is getattr(Student, name)] == []
    assert kind.form == KINDS[kind.__name__].form
    assert kind.form in set(SHOWN_BY) & set(SHOWN_ON_PAGES)
    assert set(kind.losses) <= set(LOSSES)


def test_the_students_are_listed_public_and_known_to_files():
    listed = {kind.__name__ for kind in STUDENTS}
    assert listed == {name for name in skdistill.__all__ if "Student" in name} - NO_STUDENTS
    assert listed == set(KINDS)


def test_strangers_are_taken_for_students_that_state_nothing():
    stranger = make_pipeline(StandardScaler(), LogisticRegression())
    for name in ("form", "losses", "follows_hints", "gains_from_synthetic_rows", "has_leaves"):
        assert stated(stranger, name) == getattr(Student, name)
    assert stated(make_pipeline(StandardScaler(), LinearStudentClassifier()), "form") == "additive"


@classifiers
def test_soft_labels_are_reproduced_better_than_hard_ones(student, multiclass_task):
    X, _ = multiclass_task
    soft = soften(3 * X[:, :3])
    on_soft = student.fit(X, soft).predict_proba(X)
    on_hard = student.fit(X, soft.argmax(axis=1)).predict_proba(X)

    def cross_entropy(proba):
        return -np.mean(np.sum(soft * np.log(np.maximum(proba, 1e-9)), axis=1))

    assert cross_entropy(on_soft) < cross_entropy(on_hard)
    assert cross_entropy(on_soft) < cross_entropy(soft.mean(axis=0, keepdims=True))


@classifiers
def test_one_hot_soft_labels_are_hard_labels(student, binary_task):
    X, y = binary_task
    on_labels = student.fit(X, y).predict_proba(X)
    on_one_hot = student.fit(X, np.eye(2)[y]).predict_proba(X)
    # Two rows of the tree change leaves: between equal splits the last digit decides.
    assert (np.abs(on_labels - on_one_hot) < 1e-3).all(axis=1).mean() > 0.99


@own_classifiers
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distil_permuted_margins_and_the_student_changes(student, binary_task, temperature, rng):
    X, y = binary_task
    margins = np.stack([np.zeros(len(X)), 2 * X[:, 0]], axis=1)
    rows = TransferSet(X, margins, y, np.ones(len(X)), np.zeros(len(X), int), np.array(["n", "p"]))
    permuted = TransferSet(
        X, rng.permutation(margins), y, rows.sample_weight, rows.origin, rows.classes
    )
    one = student.distill(rows, temperature, 0.9).predict_proba(X)
    other = student.distill(permuted, temperature, 0.9).predict_proba(X)
    assert student.predict(X).dtype.kind == "U"
    assert np.corrcoef(one[:, 1], margins[:, 1])[0, 1] > 0.8
    assert np.corrcoef(other[:, 1], margins[:, 1])[0, 1] < 0.6


@classifiers
def test_alpha_zero_leaves_the_hard_labels_alone(student, binary_task, rng):
    X, y = binary_task
    margins = rng.normal(size=(len(X), 2))
    rows = TransferSet(X, margins, y, np.ones(len(X)), np.zeros(len(X), int), np.array([0, 1]))
    distilled = student.distill(rows, 2.0, alpha=0.0).predict_proba(X)
    np.testing.assert_allclose(distilled, student.fit(X, y).predict_proba(X), atol=1e-3)


@classifiers
def test_rows_without_weight_are_as_good_as_absent(student, binary_task):
    X, y = binary_task
    weight = (np.arange(len(X)) % 3 > 0).astype(float)
    without = student.fit(X[weight > 0], y[weight > 0]).predict_proba(X)
    np.testing.assert_allclose(student.fit(X, y, weight).predict_proba(X), without, atol=1e-9)


@classifiers
def test_one_class_gives_a_constant_model(student):
    X = np.arange(20.0).reshape(10, 2)
    fitted = student.fit(X, ["only"] * 10)
    assert (fitted.predict(X) == "only").all()
    np.testing.assert_array_equal(fitted.predict_proba(X), np.ones((10, 1)))


@classifiers
@pytest.mark.parametrize(
    ("soft_labels", "message"),
    [
        ([[0.5, 0.6], [0.5, 0.5]], "a row sums to 1.1"),
        ([[1.5, -0.5], [0.5, 0.5]], "negative"),
        ([[np.nan, 0.5], [0.5, 0.5]], "non-finite"),
    ],
)
def test_impossible_soft_labels_raise(student, soft_labels, message):
    with pytest.raises(ValueError, match=message):
        student.fit(np.zeros((2, 2)), np.array(soft_labels))


@own_classifiers
@pytest.mark.parametrize("container", ["pandas", "polars", "object array"])
def test_raw_columns_of_any_container_give_the_same_model(student, container, mixed_frame):
    frame, y, _ = mixed_frame()
    expected = student.fit(frame, y).predict_proba(frame)
    X = {
        "pandas": frame.convert_dtypes(),
        "polars": pl.from_pandas(frame),
        "object array": frame.astype(object).to_numpy(),
    }[container]
    np.testing.assert_allclose(student.fit(X, y).predict_proba(X), expected, atol=1e-6)
    assert (student.predict(X) == y).mean() > 0.9


@own_classifiers
def test_missing_values_and_new_categories_are_predicted(student, mixed_frame):
    frame, y, _ = mixed_frame()
    student.fit(frame, y)
    new = frame.head(3).copy()
    new["city"] = ["Bern", None, "Graz"]
    new["count"] = [np.nan, 1, 2]
    assert np.isfinite(student.predict_proba(new)).all()


@own_classifiers
def test_missing_values_can_decide(student, rng):
    X = rng.normal(size=(300, 2))
    y = rng.integers(2, size=300)
    X[y == 1, 0] = np.nan
    assert (student.fit(X, y).predict(X) == y).mean() > 0.95


@own_classifiers
def test_strings_where_numbers_were_raise_and_name_the_column(student, mixed_frame):
    frame, y, _ = mixed_frame()
    student.fit(frame, y)
    with pytest.raises(ValueError, match="Column 'count' holds strings; it held numbers"):
        student.predict(frame.assign(count="three"))
    with pytest.raises(ValueError, match="Column 'kind' holds numbers; it held strings"):
        student.predict(frame.assign(kind=1.0))


@own_classifiers
def test_infinite_values_raise_and_name_the_column(student, mixed_frame):
    frame, y, _ = mixed_frame()
    with pytest.raises(ValueError, match="infinity in column 'amount'"):
        student.fit(frame.assign(amount=np.inf), y)


@regressors
def test_regressors_learn_from_frames(student, mixed_frame):
    frame, _, score = mixed_frame()
    assert r2_score(score, student.fit(frame, score).predict(frame)) > 0.75


@regressors
def test_regressors_follow_shift_and_scale(student):
    X, y = make_regression(300, 4, noise=5, random_state=0)
    plain = student.fit(X, y).predict(X)
    moved = student.fit(X, 1000 * y + 1e6).predict(X)
    # The ridge of the linear student is the one thing that does not scale along.
    tolerance = 0.05 if isinstance(student, LinearStudentRegressor) else 1e-4
    np.testing.assert_allclose((moved - 1e6) / 1000, plain, atol=tolerance * plain.std(), rtol=0.05)


def test_the_tree_is_the_gini_tree_on_weighted_duplicates(multiclass_task):
    X, _ = multiclass_task
    X = X.astype(np.float32).astype(float)
    soft = soften(X[:, :3])
    ours = TreeStudentClassifier(8, min_samples_leaf=1, lookahead=False, random_state=0).fit(
        X, soft
    )
    gini = DecisionTreeClassifier(max_leaf_nodes=8, random_state=0)
    gini.fit(np.tile(X, (3, 1)), np.repeat([0, 1, 2], len(X)), soft.ravel(order="F"))
    np.testing.assert_allclose(ours.predict_proba(X), gini.predict_proba(X), atol=1e-6)


def test_tree_leaves_hold_probabilities_at_temperature_one(binary_task):
    X, y = binary_task
    margins = np.stack([np.zeros(len(X)), 3 * X[:, 0] - 1], axis=1)
    rows = TransferSet(X, margins, y, np.ones(len(X)), np.zeros(len(X), int), np.array([0, 1]))
    tree = TreeStudentClassifier(4).distill(rows, temperature=5.0, alpha=1.0)
    leaf = tree.tree_.apply(X)
    for node in np.unique(leaf):
        expected = soften(margins[leaf == node]).mean(axis=0)
        np.testing.assert_allclose(tree.predict_proba(X[leaf == node])[0], expected, atol=1e-9)


def test_the_temperature_changes_the_splits_of_a_tree(rng):
    # Column 0 moves probabilities around one half, column 1 only margins far from it.
    X = rng.integers(2, size=(2000, 2)).astype(float)
    far = X[:, 1] * 6 - 12
    margins = np.where(np.arange(2000) % 4 == 0, X[:, 0] - 0.5, far)
    margins = np.stack([np.zeros(2000), margins], axis=1)
    rows = TransferSet(
        X, margins, np.full(2000, -1), np.ones(2000), np.ones(2000, int), np.array([0, 1])
    )
    root = {
        t: TreeStudentClassifier(2).distill(rows, temperature=t, alpha=1.0).tree_.feature[0]
        for t in (1.0, 10.0)
    }
    assert root == {1.0: 0, 10.0: 1}


def test_a_tree_splits_levels_into_subsets(rng):
    levels = rng.choice(list("abcdefgh"), 500)
    y = np.isin(levels, ["b", "d", "g"]).astype(int)
    tree = TreeStudentClassifier(2, min_samples_leaf=1).fit(levels[:, None].astype(object), y)
    assert tree.n_leaves_ == 2
    assert tree.score(levels[:, None].astype(object), y) == 1.0


def test_linear_finds_the_minimum_of_the_loss(binary_task, rng):
    X, y = binary_task
    margins = np.stack([np.zeros(len(X)), X[:, 0] - X[:, 1]], axis=1)
    weight = rng.uniform(0.5, 2, len(X))
    classes = np.array([0, 1])
    rows = TransferSet(X, margins, y, weight, np.zeros(len(X), int), classes)
    student = LinearStudentClassifier(n_bins=4, C=1.0).distill(rows, temperature=2.0, alpha=0.6)
    targets = SoftTargets(margins, y, weight, temperature=2.0, alpha=0.6)
    codes = student.encoding_.expand(student.encoding_.positions(X)).astype(float)

    def objective(coef, intercept):
        outputs = codes @ coef[:, 0] + intercept
        loss = distillation_loss(np.stack([0 * outputs, outputs], axis=1), targets).sum()
        return loss + np.sum(coef**2) / 2

    best = objective(student.coef_, student.intercept_[0])
    for _ in range(20):
        step = 0.01 * rng.normal(size=student.coef_.shape)
        assert objective(student.coef_ + step, student.intercept_[0]) > best
    assert objective(student.coef_, student.intercept_[0] + 0.01) > best


@pytest.mark.parametrize("n_classes", [2, 3])
def test_linear_is_logistic_regression_on_its_codes(n_classes, binary_task, multiclass_task):
    X, y = binary_task if n_classes == 2 else multiclass_task
    student = LinearStudentClassifier(n_bins=4, C=1.0, tol=1e-10).fit(X, y)
    codes = student.encoding_.expand(student.encoding_.positions(X)).astype(float)
    oracle = LogisticRegression(tol=1e-10, max_iter=5000).fit(codes, y)
    np.testing.assert_allclose(student.predict_proba(X), oracle.predict_proba(codes), atol=1e-4)


def test_linear_regressor_is_ridge_on_its_codes():
    X, y = make_regression(200, 3, noise=10, random_state=0)
    student = LinearStudentRegressor(n_bins=5, C=2.0).fit(X, y)
    codes = student.encoding_.expand(student.encoding_.positions(X)).astype(float)
    oracle = Ridge(0.5).fit(codes, y)
    # The codes it is fitted on are float32, those it predicts on are not.
    np.testing.assert_allclose(student.predict(X), oracle.predict(codes), atol=1e-6 * np.std(y))


def test_one_bin_makes_the_plain_linear_model(rng):
    X = rng.uniform(size=(200, 2))
    student = LinearStudentRegressor(n_bins=1, C=1e8).fit(X, 3 * X[:, 0] - X[:, 1] + 2)
    np.testing.assert_allclose(student.predict(X), 3 * X[:, 0] - X[:, 1] + 2, atol=1e-4)


def test_knots_and_codes_describe_the_same_curves(mixed_frame):
    frame, y, _ = mixed_frame()
    student = LinearStudentClassifier(n_bins=6).fit(frame, y)
    positions = student.encoding_.positions(
        frame.assign(city=frame["city"].replace("Graz", "never seen"))
    )
    parts = list(student.encoding_.knots(positions))
    assert len(parts) == frame.shape[1]
    codes = student.encoding_.expand(positions)
    of_columns = [(design @ at_knots).toarray() for design, at_knots in parts]
    np.testing.assert_allclose(np.hstack(of_columns), codes, atol=1e-6)
    weights = np.random.default_rng(0).normal(size=(codes.shape[1], 2))
    curves = student.encoding_.sum_of_curves(positions, student.encoding_.curves(weights))
    np.testing.assert_allclose(curves, codes @ weights, atol=1e-5)


def test_codes_are_piecewise_linear_one_hot_and_missing():
    frame = pd.DataFrame({"x": [0.0, 1.0, 3.0, np.nan], "c": ["a", "b", None, "a"]})
    student = LinearStudentClassifier(max_categories=8)
    student.n_features_in_, student.feature_names_in_ = 2, np.array(["x", "c"])
    encoding = fit_encoding(student, frame, np.ones(4))
    new = pd.DataFrame({"x": [-1.0, 0.5, 2.0, 9.0, np.nan], "c": ["a", "b", None, "new", "a"]})
    expected = [
        [0, 0, 0, 1, 0, 0],
        [0.5, 0, 0, 0, 0, 1],
        [1, 0.5, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
    ]
    np.testing.assert_array_equal(encoding.expand(encoding.positions(new)), expected)


def test_rare_categories_and_unknown_ones_share_a_level(rng):
    levels = np.array(["common"] * 60 + ["other"] * 38 + ["rare", "rarer"], dtype=object)[:, None]
    y = (levels[:, 0] != "common").astype(int)
    student = LinearStudentClassifier(min_frequency=0.05).fit(levels, y)
    proba = student.predict_proba(np.array([["rare"], ["rarer"], ["never seen"]], dtype=object))
    assert np.ptp(proba[:, 1]) == 0
    assert student.encoding_.n_codes == 3


def test_a_frequent_value_leaves_bins_to_the_others(rng):
    values = np.where(rng.random(10_000) < 0.95, 0.0, rng.gamma(2, 50, 10_000))
    assert len(bin_edges(values, np.ones(10_000), 32)) > 25


def test_many_rows_are_sampled_for_the_edges_but_not_for_the_range(rng, monkeypatch):
    X = np.column_stack([rng.normal(size=30_000), np.full(30_000, 2.0)])
    X[17] = [99.0, 3.0]
    X[18, 0] = np.nan
    weight = np.ones(len(X))
    student = LinearStudentClassifier(n_bins=8)
    student.n_features_in_ = 2
    exact = fit_encoding(student, X, weight).columns
    monkeypatch.setattr("skdistill.students.encoding.SAMPLED_ROWS", 5000)
    sampled = fit_encoding(student, X, weight).columns
    assert sampled[0].has_missing_code
    assert not np.array_equal(sampled[0].edges, exact[0].edges)
    np.testing.assert_allclose(sampled[0].edges, exact[0].edges, atol=0.1)
    assert sampled[0].edges[[0, -1]].tolist() == exact[0].edges[[0, -1]].tolist()
    assert sampled[1].edges.tolist() == [2.0, 3.0]


def test_bin_edges_count_weights_as_repeated_rows(rng):
    values, weight = rng.normal(size=500), rng.integers(0, 4, 500)
    repeated = np.repeat(values, weight)
    once = bin_edges(values[weight > 0], weight[weight > 0].astype(float), 16)
    np.testing.assert_array_equal(once, bin_edges(repeated, np.ones(len(repeated)), 16))


@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_only_constant_columns_give_the_base_rate(kind):
    y = np.array([0] * 30 + [1] * 10)
    proba = CLASSIFIERS[kind].fit(np.ones((40, 2)), y).predict_proba(np.ones((1, 2)))
    assert proba[0, 1] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("kind", ["mlp", "any"])
def test_subsets_of_rows_get_the_same_answers(kind, binary_task):
    X, y = binary_task
    student = CLASSIFIERS[kind].fit(X, y)
    one_by_one = np.concatenate([student.predict_proba(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(one_by_one, student.predict_proba(X)[:20], atol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_pickle_holds_no_derived_codes(kind, binary_task):
    X, y = binary_task
    student = CLASSIFIERS[kind].fit(X, y)
    expected = student.predict_proba(X)
    restored = pickle.loads(pickle.dumps(student))
    assert set(vars(restored.encoding_)) == {"columns", "names"}
    np.testing.assert_array_equal(restored.predict_proba(X), expected)


def test_any_classifier_learns_softened_labels_and_sharpens_its_answers(multiclass_task):
    X, _ = multiclass_task
    margins = X[:, :3]
    rows = TransferSet(
        X, margins, np.full(len(X), -1), np.ones(len(X)), np.ones(len(X), int), np.arange(3)
    )
    linear = LogisticRegression(C=1e8, tol=1e-8, max_iter=5000)
    for temperature in (1.0, 3.0):
        student = SoftLabelClassifier(linear).distill(rows, temperature, alpha=1.0)
        np.testing.assert_allclose(student.predict_proba(X), softmax(margins, axis=1), atol=2e-3)


def test_a_classifier_without_weights_is_refused_by_name(binary_task):
    from sklearn.neighbors import KNeighborsClassifier

    with pytest.raises(TypeError, match="KNeighborsClassifier does not take sample_weight"):
        SoftLabelClassifier(KNeighborsClassifier()).fit(*binary_task)


def test_students_beat_the_base_rate_on_unseen_rows(binary_task):
    X, y = binary_task
    for student in CLASSIFIERS.values():
        loss = log_loss(y[400:], student.fit(X[:400], y[:400]).predict_proba(X[400:]))
        assert np.isfinite(loss)
        assert student.score(X[400:], y[400:]) > 0.75


UNITS = [1e-300, 1e-12, 1e-3, 3.0, 1e6, 1e12, 1e300]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("n_bins", [1, 32])
def test_the_unit_of_weights_matters_to_additive_students_only_in_the_ridge(
    unit, n_bins, mixed_frame, rng
):
    frame, y, value = mixed_frame()
    weight = rng.random(len(y)) + 0.5
    for kind, target in ((LinearStudentClassifier, y), (LinearStudentRegressor, value)):
        reference = kind(n_bins, C=1.0).fit(frame, target, weight)
        student = kind(n_bins, C=1.0 / unit).fit(frame, target, unit * weight)
        tolerance = {"atol": 1e-5 * np.ptp(reference.coef_)}
        np.testing.assert_allclose(student.coef_, reference.coef_, **tolerance)
        np.testing.assert_allclose(student.intercept_, reference.intercept_, **tolerance)


@pytest.mark.parametrize("unit", [1e6, 1e9, 1e12, 1e300])
def test_large_weights_leave_additive_students_without_ridge(unit, rng):
    X = rng.normal(size=(600, 1))
    y = (X[:, 0] + rng.normal(size=600) > 0).astype(int)
    weight = np.full(600, unit)
    free = LogisticRegression(C=1e9, tol=1e-9, max_iter=1000).fit(X, y).predict_proba(X)
    student = LinearStudentClassifier(1).fit(X, y, weight)
    inside = np.abs(X[:, 0]) < 2.0
    np.testing.assert_allclose(student.predict_proba(X)[inside], free[inside], atol=1e-4)
    line = LinearStudentRegressor(1).fit(X, 3.0 * X[:, 0] - 1.0, weight)
    np.testing.assert_allclose(line.predict(X), 3.0 * X[:, 0] - 1.0, atol=1e-6)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", ["tree", "mlp"])
def test_the_unit_of_weights_does_not_matter_to_other_students(name, unit, mixed_frame):
    frame, y, value = mixed_frame()
    weight = np.random.default_rng(1).random(len(y)) + 0.5
    unit = 2.0 ** np.round(np.log2(unit))  # no digit of a weight changes
    for students, target in ((CLASSIFIERS, y), (REGRESSORS, value)):
        student = clone(students[name])
        if name == "mlp":
            student.set_params(max_epochs=4)
        expected = student.fit(frame, target, weight).predict(frame)
        found = student.fit(frame, target, unit * weight).predict(frame)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("unit", [1e-250, 1e-12, 1e12, 1e150, 1e250])
@regressors
def test_the_unit_of_values_changes_nothing_but_the_unit_of_answers(student, unit, mixed_frame):
    frame, _, value = mixed_frame()
    student = clone(student)
    if isinstance(student, MLPStudentRegressor):
        student.set_params(max_epochs=4)
    expected = student.fit(frame, value).predict(frame)
    unit = 2.0 ** np.round(np.log2(unit))
    found = student.fit(frame, unit * value).predict(frame) / unit
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("offset", [1e9, -1e12])
@regressors
def test_a_large_offset_of_values_is_kept_apart_from_their_spread(student, offset, mixed_frame):
    frame, _, value = mixed_frame()
    student = clone(student)
    found = student.fit(frame, value + offset).predict(frame) - offset
    assert r2_score(value, found) > 0.75


def test_a_tree_splits_values_of_any_range():
    x = np.arange(120.0)
    student = TreeStudentRegressor(None, min_samples_leaf=1).fit(x[:, None], 4.0**x)
    np.testing.assert_array_equal(student.predict(x[:, None]), 4.0**x)


def test_a_tree_splits_rare_probabilities(rng):
    X = rng.normal(size=(400, 2))
    event = np.where(X[:, 0] > 0, 1e-9, 1e-10)
    student = TreeStudentClassifier(2).fit(X, np.stack([1 - event, event], axis=1))
    np.testing.assert_allclose(student.predict_proba(X)[:, 1], event, rtol=1e-6)


@pytest.mark.parametrize("unit", UNITS)
def test_bin_edges_and_levels_do_not_depend_on_the_unit_of_weights(unit, mixed_frame, rng):
    frame, *_ = mixed_frame()
    student = LinearStudentClassifier(8).fit(frame, rng.integers(0, 2, len(frame)))
    X, weight = student._check_X(frame, reset=False), rng.random(len(frame)) + 0.5
    for found, expected in zip(
        fit_encoding(student, X, unit * weight).columns,
        fit_encoding(student, X, weight).columns,
        strict=True,
    ):
        np.testing.assert_array_equal(found.edges, expected.edges)
        assert (found.levels, found.has_infrequent) == (expected.levels, expected.has_infrequent)


@own_classifiers
def test_a_column_without_any_number_contributes_nothing(student, rng):
    X = np.c_[np.full(300, np.nan), rng.normal(size=300)]
    student = clone(student).fit(X, (X[:, 1] > 0).astype(int))
    for value in (0.0, 7.0, -1e30):
        changed = X.copy()
        changed[:, 0] = value
        np.testing.assert_array_equal(student.predict_proba(changed), student.predict_proba(X))


@pytest.mark.parametrize("values", [[5.0], [0.0, 1e-3], [0.3, 0.1 + 0.2], [1.0, 1e300]])
def test_missing_cells_of_a_nearly_constant_column_have_a_code(values, rng):
    x = np.where(rng.random(300) < 0.3, np.nan, rng.choice(values, 300))
    student = LinearStudentClassifier().fit(x[:, None], rng.integers(0, 2, 300))
    encoding = student.encoding_
    codes = encoding.expand(encoding.positions(np.array([[np.nan], [values[0]], [values[-1]]])))
    assert codes[0].tolist() == [0.0] * (len(values) - 1) + [1.0]
    assert codes[1].tolist() == [0.0] * len(values)
    assert codes[2].tolist() == [1.0] * (len(values) - 1) + [0.0]


@own_classifiers
def test_numbers_of_any_size_are_learned_from(student, rng):
    y = rng.integers(0, 2, 400)
    X = np.c_[np.where(y, 1.7e308, -1.7e308), rng.normal(size=400)]
    assert (clone(student).fit(X, y).predict(X) == y).mean() > 0.95


@pytest.mark.parametrize(
    ("kind", "limit"), [(MLPStudentClassifier, 3e-6), (SoftTreeStudentClassifier, 1e-9)]
)
def test_narrow_bins_cost_a_network_no_digits(kind, limit, rng):
    X = rng.normal(size=(400, 1))
    student = kind(max_epochs=20, random_state=0).fit(X, (X[:, 0] > 0).astype(int))
    is_tree = kind is SoftTreeStudentClassifier
    coef = student.coef_ if is_tree else student.coefs_[0]
    coef *= 50  # steep curves, as of sure students
    asked = rng.normal(size=(2000, 1))
    positions = student.encoding_.positions(asked, dtype=np.float64)
    curves = student.encoding_.curves(coef.astype(np.float64))
    sums = student.encoding_.sum_of_curves(positions, curves)
    if is_tree:
        reach = path_probabilities(sums + student.intercept_)
        output = reach @ student.leaf_outputs_.astype(np.float64)
    else:
        output = sums + student.intercepts_[0]
        for weight, bias in zip(student.coefs_[1:], student.intercepts_[1:], strict=True):
            output = np.maximum(output, 0) @ weight.astype(np.float64) + bias
    expected = expit(output[:, 0])
    assert np.ptp(expected) > 0.1
    assert np.abs(student.predict_proba(asked)[:, 1] - expected).max() < limit
