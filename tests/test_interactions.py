"""Pairs of columns in additive students: which ones get a table, what it says and means."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import log_loss, r2_score

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    LinearStudentClassifier,
    LinearStudentRegressor,
    TreeStudentClassifier,
)
from skdistill.students.encoding import knot_design
from skdistill.students.pairs import PairTable, axis_of, axis_positions, purify, rank_pairs


def names_of(student):
    return [(a, b) for a, b, _ in student.interactions_]


def soft(margins):
    """Probabilities of two classes."""
    return np.stack([expit(-margins), expit(margins)], axis=1)


def make_frame(n=600, seed=0):
    """Columns of all kinds, with gaps, and margins in which three pairs matter."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "income": np.where(rng.random(n) < 0.2, np.nan, rng.gamma(2, 1, n)),
            "age": rng.normal(size=n),
            "city": rng.choice(["Graz", "Linz", "Wien", "Bern", "Chur", None], n),
            "code": rng.choice(list("abc"), n),
            "constant": 1.0,
        }
    )
    has_b, is_gone = frame["code"] == "b", frame["income"].isna()
    margins = np.where(is_gone, -2.0, 1.0) * frame["age"]
    margins += np.where(frame["city"].isin(["Graz", "Wien"]), 1.5, -1.5) * np.where(has_b, 1, -1)
    margins += np.where(has_b, 1.0, -1.0) * frame["age"]
    return frame, margins.to_numpy()


@pytest.fixture(scope="module")
def frame():
    return make_frame()


@pytest.fixture(scope="module")
def product_task():
    """A product of two of ten columns, and a strong main effect of a third."""
    X = np.random.default_rng(0).normal(size=(1000, 10))
    return X, 1.5 * X[:, 3] * X[:, 7] + 2.0 * X[:, 0]


@pytest.fixture(scope="module")
def noisy_task():
    """One column matters, four are noise: classes, and the margins that they are drawn from."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 5))
    return X, (rng.random(3000) < expit(2 * X[:, 0])).astype(int), 2 * X[:, 0]


@pytest.fixture(scope="module")
def fitted(frame):
    """A student of three classes with four tables of all kinds."""
    X, margins = frame
    proba = soft(margins)
    proba = np.column_stack([0.7 * proba[:, 0], 0.3 * proba[:, 0], proba[:, 1]])
    asked = [("age", "income"), ("code", "city"), ("age", "code"), ("income", "city")]
    student = LinearStudentClassifier(interactions=asked, interaction_bins=4)
    return student.fit(X, proba, np.random.default_rng(1).random(len(X)) + 0.5)


class TestWhatIsFound:
    @pytest.mark.parametrize("kind", [LinearStudentClassifier, LinearStudentRegressor])
    def test_a_product_needs_a_pair_and_is_found_among_many(self, kind, product_task):
        X, value = product_task
        y = soft(value) if kind is LinearStudentClassifier else value
        alone, with_pair = kind().fit(X[:700], y[:700]), kind(interactions=1).fit(X[:700], y[:700])
        assert (alone.interactions_, alone.tables_) == ([], ())
        assert names_of(with_pair) == [("x3", "x7")]
        found = [
            student.decision_function(X[700:])
            if kind is LinearStudentClassifier
            else student.predict(X[700:])
            for student in (alone, with_pair)
        ]
        assert r2_score(value[700:], found[0]) < 0.75
        assert r2_score(value[700:], found[1]) > 0.93

    @pytest.mark.parametrize(
        ("a", "b"),
        [("age", "income"), ("city", "code"), ("age", "code")],
        ids=["where missing", "nominal x nominal", "numeric x nominal"],
    )
    def test_the_pairs_of_all_kinds_are_found(self, frame, a, b):
        X, margins = frame
        student = LinearStudentRegressor(interactions=3).fit(X, margins)
        assert {a, b} in [set(pair) for pair in names_of(student)]
        without = LinearStudentRegressor().fit(X, margins)
        new, expected = make_frame(seed=1)
        assert r2_score(expected, without.predict(new)) < 0.5
        assert r2_score(expected, student.predict(new)) > 0.97

    def test_exclusive_or_of_levels_is_learned_from_classes(self, rng):
        X = rng.choice(["yes", "no"], size=(500, 4)).astype(object)
        y = (X[:, 1] == "yes") ^ (X[:, 2] == "yes")
        student = LinearStudentClassifier(interactions=1).fit(X, y)
        assert names_of(student) == [("x1", "x2")]
        assert student.score(X, y) == 1.0
        assert LinearStudentClassifier().fit(X, y).score(X, y) < 0.65

    def test_pairs_of_three_classes_are_found(self, rng):
        X = rng.normal(size=(600, 5))
        margins = np.column_stack([2 * X[:, 0] * X[:, 4], X[:, 1], np.zeros(600)])
        proba = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
        student = LinearStudentClassifier(interactions=1).fit(X, proba)
        assert names_of(student) == [("x0", "x4")]
        assert student.tables_[0].values.shape[2] == 3
        ours, curves = (
            -np.mean(np.sum(proba * each.fit(X, proba).predict_log_proba(X), axis=1))
            for each in (student, LinearStudentClassifier())
        )
        assert ours < curves - 0.1

    def test_rare_levels_share_a_row_of_their_table(self, rng):
        letters = rng.choice(list("abcdefgh"), 800, p=[0.4, 0.3, 0.1, 0.05, 0.05, 0.04, 0.03, 0.03])
        X = pd.DataFrame({"letter": letters, "x": rng.normal(size=800)})
        value = np.where(X["letter"] == "a", 1, np.where(X["letter"] == "b", -1, 3)) * X["x"]
        asked = {"interactions": [(0, 1)], "interaction_bins": 2}
        student = LinearStudentRegressor(**asked).fit(X, value)
        axis = student.tables_[0].axes[0]
        assert (axis.levels, axis.has_infrequent) == (("a", "b"), True)
        assert student.tables_[0].values.shape[0] == 3
        assert student.score(X, value) > 0.99


class TestRanking:
    def ranked(self, student, X, y, ridge=1.0):
        encoding = student.fit(X, y).encoding_
        error = student.predict(X) - y
        return rank_pairs(
            encoding, encoding.positions(X), error[:, None], np.ones((len(X), 1)), 8, ridge
        )

    def test_the_planted_pair_comes_first_and_all_others_are_there(self, product_task):
        X, value = product_task
        pairs = self.ranked(LinearStudentRegressor(), X, value)
        assert pairs[0] == (3, 7)
        assert len(set(pairs)) == 45
        assert all(a < b for a, b in pairs)

    def test_a_pair_that_only_says_what_another_says_comes_behind(self, rng):
        """Alone, the pair of a column's near copy is worth more than a weaker product."""
        X = rng.normal(size=(2000, 6))
        X[:, 2] = X[:, 0] + 0.3 * rng.normal(size=2000)
        value = 2.0 * X[:, 0] * X[:, 1] + X[:, 3] * X[:, 4]
        assert self.ranked(LinearStudentRegressor(), X, value)[:2] == [(0, 1), (1, 2)]
        for student, y in [
            (LinearStudentRegressor(interactions=2), value),
            (LinearStudentClassifier(interactions=2), soft(value)),
        ]:
            assert names_of(student.fit(X, y)) == [("x0", "x1"), ("x3", "x4")]

    def test_what_one_column_explains_counts_for_nothing(self, rng):
        """Without any curve all is left over: a square of one column, and a weak product."""
        X = rng.normal(size=(2000, 5))
        value = 3.0 * X[:, 0] ** 2 + 0.6 * X[:, 1] * X[:, 2] + rng.normal(size=2000)
        encoding = LinearStudentRegressor().fit(X, value).encoding_
        error = value.mean() - value
        pairs = rank_pairs(
            encoding, encoding.positions(X), error[:, None], np.ones((2000, 1)), 8, 1.0
        )
        assert pairs[0] == (1, 2)

    def test_columns_of_one_value_are_in_no_pair(self, frame):
        X, margins = frame
        pairs = self.ranked(LinearStudentRegressor(), X, margins)
        assert len(pairs) == 6
        assert not any(4 in pair for pair in pairs)


class TestMeaning:
    def hats(self, student, table, positions):
        for j, axis in zip(table.columns, table.axes, strict=True):
            yield knot_design(
                axis, axis_positions(student.encoding_.columns[j], axis, positions[:, j])
            )

    def test_tables_are_orthogonal_to_all_functions_of_one_of_their_columns(self, fitted, frame):
        X, _ = frame
        weight = np.random.default_rng(1).random(len(X)) + 0.5
        positions = fitted.encoding_.positions(X, dtype=np.float64)
        assert len(fitted.tables_) == 4
        for table in fitted.tables_:
            added = table.look_up(fitted.encoding_, positions)
            scale = np.sum(weight[:, None] * np.abs(added))
            assert scale > 0.1
            for hat in self.hats(fitted, table, positions):
                inner = hat.T @ (weight[:, None] * added)
                np.testing.assert_allclose(inner, 0, atol=1e-7 * scale)

    @pytest.mark.parametrize("pair", [(0, 1), (0, 2), (2, 3), (1, 3)])
    def test_purification_changes_what_is_said_where_but_no_sum(self, fitted, frame, rng, pair):
        encoding = fitted.encoding_
        axes = tuple(axis_of(encoding.columns[j], 3) for j in pair)
        shape = [len(each.edges) + each.has_missing_code if each.n_levels == 0 else each.n_levels
                 for each in axes]  # fmt: skip
        table = PairTable(pair, axes, rng.normal(size=(*shape, 2)) + 5.0)
        positions = encoding.positions(frame[0], dtype=np.float64)
        pure, moved = purify(encoding, table, positions, np.ones(len(positions)))
        new = encoding.positions(make_frame(seed=5)[0], dtype=np.float64)
        for rows in (positions, new):
            curves = [np.zeros((len(each), 2)) for each in fitted.curves_]
            for j, added in zip(pair, moved, strict=True):
                curves[j] = added
            total = pure.look_up(encoding, rows) + encoding.sum_of_curves(rows, curves)
            np.testing.assert_allclose(total, table.look_up(encoding, rows), atol=1e-9)
        assert np.abs(pure.look_up(encoding, positions).mean(axis=0)).max() < 1e-9

    def test_curves_mean_the_same_with_and_without_pairs_of_independent_columns(self, product_task):
        X, value = product_task
        X, value = np.tile(X, (4, 1)), np.tile(value, 4)
        X[:, 7] = np.random.default_rng(3).permutation(X[:, 7])
        value = 1.5 * X[:, 3] * X[:, 7] + 2.0 * X[:, 0] + np.sin(2 * X[:, 3])
        alone = LinearStudentRegressor(8).fit(X, value)
        paired = LinearStudentRegressor(8, interactions=[(3, 7)]).fit(X, value)
        positions = alone.encoding_.positions(X)
        for j in (0, 3, 7):
            curves = [
                list(each.encoding_.look_up(positions, each.curves_))[j] for each in (alone, paired)
            ]
            one, other = (curve - curve.mean() for curve in curves)
            assert np.sqrt(np.mean((one - other) ** 2)) < 0.12

    def test_interactions_are_sorted_and_as_strong_as_their_tables(self, fitted, frame):
        X, _ = frame
        weight = np.random.default_rng(1).random(len(X)) + 0.5
        positions = fitted.encoding_.positions(X, dtype=np.float64)
        strengths = [size for *_, size in fitted.interactions_]
        assert strengths == sorted(strengths, reverse=True)
        for (a, b, size), table in zip(fitted.interactions_, fitted.tables_, strict=True):
            assert (a, b) == tuple(X.columns[list(table.columns)])
            added = table.look_up(fitted.encoding_, positions)
            variance = np.average((added - added.mean(axis=0)) ** 2, axis=0, weights=weight)
            centre = np.average(added, axis=0, weights=weight)
            np.testing.assert_allclose(centre, 0, atol=1e-8)
            assert size == pytest.approx(np.sqrt(variance.mean()), rel=1e-3)

    def test_the_axes_of_a_table_are_some_of_the_knots_of_the_curves(self, fitted):
        for table in fitted.tables_:
            for j, axis in zip(table.columns, table.axes, strict=True):
                column = fitted.encoding_.columns[j]
                assert axis.fill_value == column.fill_value
                if column.edges is None:
                    assert set(axis.levels) <= set(column.levels)
                    assert None not in column.levels or None in axis.levels
                else:
                    assert axis.n_bins <= 4
                    assert set(axis.edges) <= set(column.edges)
                    assert set(axis.edges[[0, -1]]) == set(column.edges[[0, -1]])


def value_at(axis, values, cell):
    """Values of a curve, or of the rows of a table, at a raw cell."""
    if axis.edges is None:
        cell = None if cell is None or cell is np.nan else cell
        if cell in axis.levels:
            return values[axis.levels.index(cell)]
        return values[-1] if axis.has_infrequent else np.zeros(values.shape[1:])
    cell = axis.fill_value if np.isnan(cell) and axis.fill_value is not None else cell
    if np.isnan(cell):
        return values[-1]
    flat = values[: len(axis.edges)].reshape(len(axis.edges), -1)
    at = [np.interp(cell, axis.edges, column) for column in flat.T]
    return np.reshape(at, values.shape[1:])


def brute_force(student, row):
    """Add up what intercept, curves and tables say of one row of raw cells."""
    total = student.intercept_.copy()
    for column, curve, cell in zip(student.encoding_.columns, student.curves_, row, strict=True):
        total += value_at(column, curve, cell)
    for table in student.tables_:
        (a, b), (first, second) = table.columns, table.axes
        total += value_at(second, value_at(first, table.values, row[a]), row[b])
    return total


class TestPredictions:
    def odd_rows(self, student, X):
        """Rows of the training data, some far outside, missing or with unknown levels."""
        rng = np.random.default_rng(2)
        new = X.sample(80, random_state=0).reset_index(drop=True)
        for j, name in enumerate(X.columns):
            column = student.encoding_.columns[j]
            if column.edges is None:
                odd = ["Bonn", None, column.levels[0]]
            else:
                odd = [-1e30, 1e30, np.nan, column.edges[0], column.edges[-1]]
            changed = rng.random(80) < 0.5
            new[name] = np.where(changed, rng.choice(np.array(odd, dtype=object), 80), new[name])
        return new.astype(dict.fromkeys(("income", "age", "constant"), float))

    def test_they_are_the_sum_of_curves_and_tables(self, fitted, frame):
        X, _ = frame
        new = self.odd_rows(fitted, X)
        expected = np.array([brute_force(fitted, row) for row in new.astype(object).to_numpy()])
        np.testing.assert_allclose(fitted.decision_function(new), expected, atol=1e-9)
        assert np.ptp(expected, axis=0).min() > 0.5

    @pytest.mark.parametrize("min_frequency", [0.0, 0.18], ids=["all levels", "infrequent levels"])
    def test_so_they_are_of_two_classes_and_of_values(self, frame, min_frequency):
        X, margins = frame
        asked = {"interactions": 5, "interaction_bins": 3, "min_frequency": min_frequency}
        classifier = LinearStudentClassifier(**asked).fit(X, (margins > 0).astype(int))
        regressor = LinearStudentRegressor(**asked).fit(X, margins)
        for student, answers in [
            (classifier, classifier.decision_function),
            (regressor, regressor.predict),
        ]:
            assert len(student.tables_) >= 3
            new = self.odd_rows(student, X)
            expected = [brute_force(student, row)[0] for row in new.astype(object).to_numpy()]
            np.testing.assert_allclose(answers(new), expected, atol=1e-9)

    def test_a_row_of_weight_two_counts_as_two_rows(self, frame, rng):
        X, margins = frame
        weight = rng.integers(0, 3, len(X))
        repeated = np.repeat(np.arange(len(X)), weight)
        for student, target in [
            (LinearStudentClassifier(8, interactions=3), (margins > 0).astype(int)),
            (LinearStudentClassifier(8, interactions=[(1, 3)]), soft(margins)),
            (LinearStudentRegressor(8, interactions=3), margins),
        ]:
            weighted = clone(student).fit(X, target, weight)
            other = clone(student).fit(X.iloc[repeated], target[repeated])
            assert names_of(weighted) == names_of(other)
            values = weighted.predict, other.predict
            if hasattr(student, "predict_proba"):
                values = weighted.decision_function, other.decision_function
            np.testing.assert_allclose(*(answer(X) for answer in values), atol=1e-9)

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("C", ["auto", 1.0])
    def test_the_order_of_rows_does_not_matter_where_few_have_many_columns(self, C, seed):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(15, 30)), rng.permutation(np.repeat([0, 1, 2], 5))
        order = rng.permutation(15)
        student = LinearStudentClassifier(C=C, tol=0.0)
        one, other = (clone(student).fit(X[rows], y[rows]) for rows in (slice(None), order))
        np.testing.assert_allclose(
            one.decision_function(X), other.decision_function(X), rtol=1e-7, atol=1e-8
        )

    def test_the_unit_of_values_is_the_unit_of_tables(self, frame):
        X, margins = frame
        student = LinearStudentRegressor(interactions=3)
        one, other = student.fit(X, margins), clone(student).fit(X, 2.0**40 * margins)
        assert names_of(one) == names_of(other)
        for a, b in zip(one.tables_, other.tables_, strict=True):
            np.testing.assert_allclose(2.0**40 * a.values, b.values, rtol=1e-9)
        np.testing.assert_allclose(
            [2.0**40 * size for *_, size in one.interactions_],
            [size for *_, size in other.interactions_],
        )

    def test_rescaled_margins_rescale_tables_and_strengths(self, fitted, frame):
        X, _ = frame
        student = pickle.loads(pickle.dumps(fitted))
        before = student.decision_function(X)
        student.rescale_margins(0.5, np.array([0.0, 1.0, -1.0]))
        np.testing.assert_allclose(student.decision_function(X), 0.5 * before + [0, 1, -1])
        assert names_of(student) == names_of(fitted)
        for (*_, now), (*_, then) in zip(student.interactions_, fitted.interactions_, strict=True):
            assert now == pytest.approx(0.5 * then)

    def test_a_pickle_and_a_clone_have_the_pairs(self, fitted, frame):
        X, margins = frame
        restored = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(restored.predict_proba(X), fitted.predict_proba(X))
        assert restored.interactions_ == fitted.interactions_
        copy = clone(fitted)
        assert copy.get_params() == fitted.get_params()
        assert not hasattr(copy, "tables_")
        copy.set_params(interactions=1, interaction_bins=2).fit(X, soft(margins))
        assert len(copy.tables_) == 1
        assert max(axis.n_bins for axis in copy.tables_[0].axes) <= 2


class TestFlatness:
    def test_columns_of_noise_have_flat_curves(self, noisy_task):
        X, y, _ = noisy_task
        auto, fixed = (LinearStudentClassifier(C=C).fit(X[:800], y[:800]) for C in ("auto", 1.0))
        heights = [[np.ptp(curve) for curve in each.curves_] for each in (auto, fixed)]
        assert heights[0][0] > 4
        assert np.median(heights[0][1:]) < 0.05
        assert max(heights[0][1:]) < 0.5 * min(heights[1][1:])
        assert auto.n_columns_used() < 5 == fixed.n_columns_used()

    def test_a_column_of_noise_costs_less_than_with_a_fixed_ridge(self, noisy_task):
        X, y, _ = noisy_task

        def loss(C, columns):
            student = LinearStudentClassifier(C=C).fit(X[:800, :columns], y[:800])
            return log_loss(y[800:], student.predict_proba(X[800:, :columns]))

        cost = {C: loss(C, 5) - loss(C, 1) for C in ("auto", 1.0)}
        assert cost["auto"] < 0.2 * cost[1.0]
        assert loss("auto", 5) < loss(1.0, 5) - 0.01

    def test_a_rare_class_among_columns_of_noise_is_found(self):
        rng = np.random.default_rng(1)
        X = rng.normal(size=(14_000, 20))
        proba = expit(6 * X[:, 0] + 3 * X[:, 1] - 14)
        y = (rng.random(len(X)) < proba).astype(int)
        best = log_loss(y[7_000:], proba[7_000:])
        for interactions in (0, 5):
            student = LinearStudentClassifier(interactions=interactions).fit(X[:7_000], y[:7_000])
            assert log_loss(y[7_000:], student.predict_proba(X[7_000:])) < 1.15 * best

    def test_a_pair_that_says_nothing_is_left_out_or_tiny(self, noisy_task):
        X, y, margins = noisy_task
        student = LinearStudentClassifier(interactions=4).fit(X[:800], y[:800])
        assert sum(size for *_, size in student.interactions_) < 0.3 < np.std(margins)
        asked = LinearStudentRegressor(interactions=[(0, 1), (1, 2)]).fit(X, margins)
        assert sum(size for *_, size in asked.interactions_) < 0.01

    def test_flat_tables_are_not_in_the_student(self, noisy_task):
        X, _, margins = noisy_task
        value = margins + np.random.default_rng(1).normal(size=3000)
        student = LinearStudentRegressor(interactions=10).fit(X, value)
        assert len(student.tables_) == len(student.interactions_) < 8
        assert all(table.values.any() for table in student.tables_)
        named = LinearStudentRegressor(interactions=[(1, 2), (3, 4)]).fit(X, value)
        assert {(a, b) for a, b, _ in named.interactions_} == {("x1", "x2"), ("x3", "x4")}

    def test_auto_wants_no_pair_where_none_matters(self, noisy_task):
        X, y, margins = noisy_task
        assert LinearStudentClassifier(interactions="auto").fit(X, y).tables_ == ()
        value = margins + np.random.default_rng(2).normal(size=3000)
        assert LinearStudentRegressor(interactions="auto").fit(X, value).tables_ == ()

    def test_auto_finds_the_pair_that_matters_and_the_same_in_two_fits(self, product_task):
        X, value = product_task
        X = X[:, [0, 1, 2, 3, 7]]
        y = (np.random.default_rng(0).random(1000) < expit(value)).astype(int)
        student = LinearStudentClassifier(interactions="auto", interaction_bins=4)
        one, other = (clone(student).fit(X, y) for _ in range(2))
        assert names_of(one)[0] == ("x3", "x4")
        assert len(one.tables_) <= 3
        assert one.interactions_ == other.interactions_
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))

    @pytest.mark.parametrize("n_rows", [2, 3, 49, 50])
    def test_auto_does_with_a_handful_of_rows(self, n_rows, rng):
        X, y = rng.normal(size=(n_rows, 4)), np.arange(n_rows) % 2
        for kind in (LinearStudentClassifier, LinearStudentRegressor):
            student = kind(interactions="auto").fit(X, y)
            assert np.isfinite(student.predict(X)).all()


class TestOddTables:
    """Nothing breaks where there is little to learn from."""

    @pytest.mark.parametrize("interactions", [1, "auto", [(0, 1)]])
    @pytest.mark.parametrize(
        "columns",
        [
            [np.ones(60), np.ones(60)],
            [np.full(60, np.nan), np.arange(60.0)],
            [np.full(60, np.nan), np.full(60, np.nan)],
            [np.arange(60.0), np.arange(60.0)],
            [np.array(["a"] * 60, dtype=object), np.arange(60.0)],
            [np.where(np.arange(60) % 2, np.nan, 1.0), np.arange(60) % 3],
            [np.where(np.arange(60) % 2, 1.7e308, -1.7e308), np.arange(60.0) * 1e-300],
        ],
        ids=["constant", "missing", "all missing", "equal", "one level", "gaps", "huge and tiny"],
    )
    def test_poor_columns_are_learned_from(self, columns, interactions):
        X = pd.DataFrame({"a": columns[0], "b": columns[1]})
        y = (np.arange(60) * 7 % 60 > 25).astype(int)
        for student, target in [
            (LinearStudentClassifier(interactions=interactions), y),
            (LinearStudentClassifier(interactions=interactions), y + (np.arange(60) > 50)),
            (LinearStudentRegressor(interactions=interactions), y.astype(float)),
        ]:
            answers = student.fit(X, target).predict(X)
            assert np.isfinite(answers).all()
            assert np.isfinite(np.concatenate(student.curves_)).all()

    @pytest.mark.parametrize("unit", [1e-300, 1e-12, 1e12, 1e300])
    def test_weights_of_any_unit(self, frame, unit):
        X, margins = frame
        weight = np.full(len(X), unit)
        classifier = LinearStudentClassifier(interactions=2).fit(X, soft(margins), weight)
        regressor = LinearStudentRegressor(interactions=2).fit(X, margins, weight)
        assert np.isfinite(classifier.predict_proba(X)).all()
        assert np.isfinite(regressor.predict(X)).all()
        if unit > 1:
            assert len(classifier.tables_) == len(regressor.tables_) == 2
            assert regressor.score(X, margins) > 0.8

    @pytest.mark.parametrize("value", [0.0, 5.0, 1e250])
    def test_constant_values_and_one_class(self, frame, value):
        X, _ = frame
        regressor = LinearStudentRegressor(interactions=2).fit(X, np.full(len(X), value))
        np.testing.assert_allclose(regressor.predict(X), value, rtol=1e-9, atol=1e-12)
        classifier = LinearStudentClassifier(interactions=2).fit(X, np.full(len(X), "only"))
        np.testing.assert_array_equal(classifier.predict_proba(X), 1.0)

    def test_separable_classes_leave_it_finite(self, rng):
        X = rng.normal(size=(300, 3))
        y = (X[:, 0] * X[:, 1] > 0).astype(int)
        student = LinearStudentClassifier(interactions=1).fit(X, y)
        assert np.isfinite(student.decision_function(X)).all()
        assert student.score(X, y) > 0.9

    def test_many_classes_are_learned_from(self, rng):
        X = rng.integers(0, 5, size=(2000, 3)).astype(float)
        y = 5 * X[:, 0] + X[:, 1]
        student = LinearStudentClassifier(interactions=[(0, 1)]).fit(X, y)
        assert student.score(X, y) > 0.99


class TestListsOfPairs:
    @pytest.mark.parametrize(
        "pairs", [[(1, 3)], [(3, 1)], [["age", "code"]], [("code", "age")], np.array([[3, 1]])]
    )
    def test_names_and_positions_in_any_order_name_the_same_pair(self, pairs, frame):
        X, _ = frame
        value = np.where(X["code"] == "b", 1.0, -1.0) * X["age"]
        chosen = LinearStudentRegressor(interactions=1).fit(X, value)
        listed = LinearStudentRegressor(interactions=pairs).fit(X, value)
        assert names_of(chosen) == names_of(listed) == [("age", "code")]
        np.testing.assert_allclose(listed.predict(X), chosen.predict(X), atol=1e-6)

    def test_an_empty_list_is_no_pair(self, frame):
        X, margins = frame
        student = LinearStudentRegressor(interactions=[]).fit(X, margins)
        np.testing.assert_array_equal(
            student.predict(X), LinearStudentRegressor().fit(X, margins).predict(X)
        )


class TestBadInput:
    @pytest.mark.parametrize(
        ("interactions", "message"),
        [
            ([("age", "age")], "pair of the column 'age' with itself; .* Pass two columns"),
            ([(1, "age")], "pair of the column 'age' with itself"),
            ([("age", "wage")], "holds the column 'wage', which there is not. The columns are"),
            ([(0, 5)], "holds the column 5, .* positions go from 0 to 4"),
            ([(0, -1)], "holds the column -1, .* positions go from 0 to 4"),
            ([(0, 1), ("age", "income")], r"the pair \('income', 'age'\) twice"),
            ([(2, 3), (2, 3)], r"the pair \('city', 'code'\) twice"),
            (11, "interactions=11 was passed, but with n_features=5 the number of pairs is 10"),
            (-1, "'interactions' parameter .* Got -1"),
            (1.5, "'interactions' parameter .* Got 1.5"),
            (None, "'interactions' parameter .* Got None"),
            ("all", "'interactions' parameter .* Got 'all'"),
            ([(0, 1, 2)], r"holds \(0, 1, 2\); pairs of columns were expected, such as \('income'"),
            (["age"], "holds 'age'; pairs of columns were expected"),
            (["ag"], "holds 'ag'; pairs of columns were expected"),
            ([3], "holds 3; pairs of columns were expected"),
            ([(0.0, 1.0)], "holds the column 0.0"),
            ([(True, "code")], "holds the column True"),
            (True, "interactions=True was passed; a number of pairs, a list of pairs or 'auto'"),
            ([({}, "code")], "holds the column {}"),
        ],
    )
    def test_impossible_pairs_are_refused(self, interactions, message, frame, monkeypatch):
        X, margins = frame
        monkeypatch.setattr("skdistill.students.linear.fit_sum", None)  # nothing is fitted before
        monkeypatch.setattr("skdistill.students.linear.fit_encoding", None)
        for student, y in [
            (LinearStudentClassifier(interactions=interactions), soft(margins)),
            (LinearStudentRegressor(interactions=interactions), margins),
        ]:
            with pytest.raises(ValueError, match=message):
                student.fit(X, y)
        monkeypatch.setattr(RandomForestClassifier, "fit", None)
        monkeypatch.setattr(RandomForestRegressor, "fit", None)
        for model, y in [
            (DistilledClassifier(RandomForestClassifier(), LinearStudentClassifier()), margins > 0),
            (DistilledRegressor(RandomForestRegressor(), LinearStudentRegressor()), margins),
        ]:
            with pytest.raises(ValueError, match=message):
                model.set_params(student__interactions=interactions).fit(X, y)

    def test_more_pairs_than_columns_have_are_refused_for_one_column(self):
        with pytest.raises(ValueError, match="number of pairs is 0"):
            LinearStudentRegressor(interactions=1).fit(np.arange(9.0)[:, None], np.arange(9.0))

    @pytest.mark.parametrize("wrong", [0, -3, 2.5, "auto"])
    def test_impossible_numbers_of_bins_are_refused(self, wrong, frame):
        X, margins = frame
        with pytest.raises(ValueError, match="'interaction_bins' parameter"):
            LinearStudentRegressor(interaction_bins=wrong).fit(X, margins)

    def test_students_without_pairs_say_what_they_can(self):
        model = DistilledClassifier(RandomForestClassifier(), TreeStudentClassifier())
        with pytest.raises(ValueError, match="'interactions' for estimator TreeStudentClassifier"):
            model.set_params(student__interactions=3)
