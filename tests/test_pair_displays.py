"""Pairs of columns of additive students: as heat maps, and as two-way tables of points."""

import itertools

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skdistill import (
    CurvesDisplay,
    LinearStudentClassifier,
    LinearStudentRegressor,
    ScorecardDisplay,
)
from skdistill.columns import column_values
from skdistill.report.displays.curves import TIMES
from skdistill.report.displays.heat_map import cells_of
from skdistill.students.pairs import PairTable

plt = pytest.importorskip("matplotlib.pyplot")
pytestmark = pytest.mark.usefixtures("close_figures")

#: Numbers with gaps, whole numbers, strings with gaps, categories.
PAIRS = [("amount", "count"), ("city", "amount"), ("kind", "city"), ("flag", "amount")]


@pytest.fixture(scope="module")
def mixed(mixed_frame):
    """Rows of all kinds whose classes no sum of curves can tell apart, and strange rows."""
    frame, y, values = mixed_frame(500)
    strange, _, _ = mixed_frame(300, seed=1)
    rng = np.random.default_rng(2)
    strange["city"] = strange["city"].where(rng.random(300) > 0.3, "Rom")
    strange["kind"] = strange["kind"].cat.add_categories("z").where(rng.random(300) > 0.3, "z")
    strange = strange.astype({"count": float, "flag": float})
    for name in strange:
        strange.loc[rng.random(300) < 0.2, name] = None
    strange.loc[:9, "amount"] = 1e9
    crossed = (frame["amount"].fillna(0) > 80) ^ (frame["count"] > 4) ^ (frame["city"] == "Wien")
    return frame, np.where(rng.random(500) < 0.8, crossed, y), values, strange


@pytest.fixture(scope="module")
def paired(mixed):
    return LinearStudentClassifier(interactions=PAIRS).fit(*mixed[:2])


def _sum(display, X):
    added = [curve.at(column_values(X, curve.column)) for curve in display.curves]
    added += [pair.at(*(column_values(X, j) for j in pair.columns)) for pair in display.pairs]
    return np.sum(added, axis=0) + display.intercept


@pytest.mark.parametrize("container", [pd.DataFrame, pl.from_pandas])
def test_curves_pairs_and_intercept_add_up_to_the_decision(mixed, paired, container):
    X = container(mixed[-1])
    for label, sign in ((0, -1), (1, 1)):
        for rows in (None, X):
            display = CurvesDisplay.from_estimator(paired, rows, class_of_interest=label)
            assert len(display.pairs) == 4
            assert np.ptp(display.pairs[0].values) > 0.1
            assert _sum(display, X) == pytest.approx(sign * paired.decision_function(X), abs=1e-5)


def test_with_many_classes_pairs_are_log_odds_against_the_rest(multiclass_task):
    X, y = multiclass_task
    student = LinearStudentClassifier(interactions=[(0, 1), (2, 5)]).fit(X, y)
    log_proba = student.predict_log_proba(X)
    for k in range(3):
        display = CurvesDisplay.from_estimator(student, X, class_of_interest=k)
        rest = np.delete(log_proba, k, axis=1).mean(axis=1)
        assert _sum(display, X) == pytest.approx(log_proba[:, k] - rest, abs=1e-5)


def test_pairs_of_a_regressor_add_up_to_the_prediction(mixed):
    frame, _, values, strange = mixed
    student = LinearStudentRegressor(interactions=PAIRS).fit(frame, values)
    display = CurvesDisplay.from_estimator(student, frame)
    assert _sum(display, strange) == pytest.approx(student.predict(strange), abs=1e-5)


def test_the_most_important_pairs_stand_after_the_curves(mixed, paired):
    display = CurvesDisplay.from_estimator(paired, mixed[0], n_columns=2, n_pairs=3)
    importance = [pair.importance for pair in display.pairs]
    assert importance == sorted(importance, reverse=True)
    for pair in display.pairs:
        added = pair.at(*(column_values(mixed[0], j) for j in pair.columns))
        assert np.abs(added).mean() == pytest.approx(pair.importance)
    assert len(display.axes_) == 5
    for ax, pair in zip(display.axes_[2:], display.pairs[:3], strict=True):
        assert ax.get_title() == f"{TIMES.join(pair.names)} (±{pair.importance:.2g})"
    assert "A pair adds to the curves" in display.figure_.get_suptitle()
    assert len(display.plot(n_columns=1, n_pairs=0).axes_) == 1
    assert "pair" not in display.figure_.get_suptitle()


def test_with_columns_chosen_only_pairs_of_these_are_drawn(mixed, paired):
    display = CurvesDisplay.from_estimator(paired, mixed[0], columns=["amount", "flag", "city"])
    drawn = {frozenset(ax.get_title().split(" (")[0].split(TIMES)) for ax in display.axes_[3:]}
    assert drawn == {frozenset({"city", "amount"}), frozenset({"flag", "amount"})}
    with pytest.raises(ValueError, match="n_pairs=-1 was passed; 0 or more was expected"):
        display.plot(n_pairs=-1)
    with pytest.raises(ValueError, match="'n_pairs' parameter"):
        CurvesDisplay.from_estimator(paired, n_pairs=1.5)
    axes = plt.subplots(1, 3)[1]
    with pytest.raises(ValueError, match="ax holds 3 axes and 5 are needed"):
        display.plot(axes, n_columns=2, n_pairs=3)


def test_heat_maps_show_the_table_in_the_same_colours(mixed, paired):
    display = CurvesDisplay.from_estimator(paired, mixed[0], n_columns=1, n_pairs=4)
    meshes = [ax.collections[0] for ax in display.axes_[1:]]
    largest = max(np.abs(pair.values).max() for pair in display.pairs)
    assert {mesh.get_clim() for mesh in meshes} == {(-largest, largest)}
    pair = next(pair for pair in display.pairs if pair.names == ("amount", "count"))
    drawn = meshes[display.pairs.index(pair)].get_array()
    x, y = (cells_of(pair, which) for which in (0, 1))
    borders = [np.linspace(*each.edges[[0, -1]], 49) for each in pair.encodings]
    amounts, counts = ((ends[1:] + ends[:-1]) / 2 for ends in borders)
    b, a = np.meshgrid(counts, amounts, indexing="ij")
    expected = pair.at(a.ravel(), b.ravel()).reshape(48, 48)
    np.testing.assert_allclose(drawn[:48, :48], expected, atol=1e-9)
    # Amounts may be missing: a column of its own, set off; counts cannot.
    assert drawn.shape == (48, 50)
    assert np.isnan(np.ma.filled(drawn, np.nan)[:, 48]).all()
    missing = pair.at(np.full(48, np.nan), counts)
    np.testing.assert_allclose(drawn[:, 49], missing, atol=1e-9)
    assert x.tick_labels[-1] == "missing"
    assert "missing" not in y.tick_labels


def test_points_on_a_heat_map_are_rows(mixed, paired):
    frame = mixed[0]
    display = CurvesDisplay.from_estimator(paired, frame, n_columns=1, n_pairs=4)
    for ax, pair in zip(display.axes_[1:], display.pairs, strict=True):
        mesh, points = ax.collections
        assert len(points.get_offsets()) == 300
        x, y = points.get_offsets().data.T
        assert (ax.get_xlim()[0] <= x).all()
        assert (x <= ax.get_xlim()[1]).all()
        borders = mesh.get_coordinates()[0, :, 0], mesh.get_coordinates()[:, 0, 1]
        column, row = (
            np.searchsorted(ends[1:-1], places)
            for ends, places in zip(borders, (x, y), strict=True)
        )
        drawn = np.ma.filled(mesh.get_array(), np.nan)[row, column]
        added = pair.at(*pair.sample)
        assert np.corrcoef(drawn, added)[0, 1] > 0.95
        names = list(frame)
        for j, values in zip(pair.columns, pair.sample, strict=True):
            assert len(values) == 300
            assert set(pd.Series(values).dropna()) <= set(frame[names[j]].dropna())
    without_rows = CurvesDisplay.from_estimator(paired, n_columns=1)
    assert all(len(ax.collections) == 1 for ax in without_rows.axes_[1:])


def test_levels_have_cells_of_their_own_and_the_others_are_counted(mixed, paired, rng):
    display = CurvesDisplay.from_estimator(paired, mixed[0])
    pair = next(pair for pair in display.pairs if pair.names == ("city", "kind"))
    city = cells_of(pair, 0)
    assert sorted(city.tick_labels) == ["Graz", "Linz", "Wien", "missing"]
    assert city.tick_labels[-1] == "missing"
    assert city.borders[-2] > city.borders[-3]  # set off
    frame = pd.DataFrame({"country": rng.choice([f"c{i:02d}" for i in range(30)], 2000)})
    frame["x"] = rng.normal(size=2000)
    values = frame["country"].str[1:].astype(float) * frame["x"]
    student = LinearStudentRegressor(interactions=1, interaction_bins=12).fit(frame, values)
    display = CurvesDisplay.from_estimator(student, frame)
    (pair,) = display.pairs
    assert len(pair.level_names(0)) > 6
    assert len(cells_of(pair, 0, max_levels=4).tick_labels) == 4
    assert cells_of(pair, 0, max_levels=4).label == "country, 4 of 13 levels"
    assert cells_of(pair, 0, max_levels=20).label == "country"


def test_a_long_tailed_column_has_the_axis_of_its_curve(rng):
    X = pd.DataFrame({"amount": rng.lognormal(4, 2, 1000), "x": rng.normal(size=1000)})
    y = (X["amount"] > 50) ^ (X["x"] > 0)
    student = LinearStudentClassifier(interactions=1).fit(X, y)
    (pair,) = CurvesDisplay.from_estimator(student, X).pairs
    amount, x = (cells_of(pair, which) for which in (0, 1))
    assert amount.label == "amount, by rank"
    assert x.label == "x"
    at_half = np.interp(0.5, amount.ticks, range(len(amount.ticks)))
    assert at_half == pytest.approx((len(amount.ticks) - 1) / 2, abs=0.1)


def test_a_table_of_a_constant_column_is_shown(rng):
    X = pd.DataFrame({"x": rng.normal(size=200), "c": 7.0, "n": np.nan})
    student = LinearStudentClassifier().fit(X, X["x"] > 0)
    axes = student.encoding_.columns
    x_c = PairTable((0, 1), axes[:2], rng.normal(size=(len(axes[0].edges), 1, 1)))
    c_n = PairTable((1, 2), axes[1:], np.ones((1, 1, 1)))
    student.tables_ = x_c, c_n
    display = CurvesDisplay.from_estimator(student, X)
    assert _sum(display, X) == pytest.approx(student.decision_function(X), abs=1e-5)
    assert len(display.axes_) == 5
    assert len(ScorecardDisplay.from_estimator(student, X).pairs) == 2


def test_each_row_is_in_one_cell_of_every_pair(mixed, paired):
    frame, _, _, strange = mixed
    for rows in (None, frame):
        card = ScorecardDisplay.from_estimator(paired, rows)
        assert {frozenset(pair.names) for pair in card.pairs} == set(map(frozenset, PAIRS))
        for X in (frame, strange, pl.from_pandas(strange)):
            total = card.base + sum(row.points * row.condition.holds(X) for row in card.rows)
            for pair in card.pairs:
                for conditions in pair.conditions:
                    holds = [condition.holds(X).astype(int) for condition in conditions]
                    assert (np.sum(holds, axis=0) == 1).all()
                first, second = pair.conditions
                for i, j in itertools.product(range(len(first)), range(len(second))):
                    total += pair.points[i, j] * (first[i].holds(X) & second[j].holds(X))
            assert card.points(X).tolist() == total.tolist()


@pytest.fixture(scope="module")
def steps(mixed):
    """A student of columns of few values, its rows, and rows nobody has seen."""
    frame, y, _, strange = mixed
    rng = np.random.default_rng(0)
    names = ["count", "flag", "city", "kind"]
    frame = frame[names].assign(gaps=rng.choice([1.0, 2.0, 5.0, np.nan], len(frame)))
    strange = strange[names].assign(gaps=rng.choice([1.0, 2.0, 5.0, np.nan], len(strange)))
    y = np.where(rng.random(len(y)) < 0.5, (frame["gaps"] == 5) ^ (frame["city"] == "Graz"), y)
    pairs = [("gaps", "city"), ("count", "gaps"), ("city", "kind")]
    return LinearStudentClassifier(interactions=pairs).fit(frame, y), frame, strange


def test_points_of_pairs_are_the_log_odds_up_to_rounding(steps):
    # Every value has a bin: only rounding is left, of the base, of each column and of each pair.
    student, frame, strange = steps
    card = ScorecardDisplay.from_estimator(student, frame, n_bins=20, good_class=1)
    for X in (frame, strange, pl.from_pandas(strange)):
        exact = card.scaling.points(student.decision_function(X))
        assert np.abs(card.points(X) - exact).max() <= 0.5 * (1 + 5 + 3)
    without = card.points(frame) - sum(pair.of(frame) for pair in card.pairs)
    exact = card.scaling.points(student.decision_function(frame))
    assert np.abs(without - exact).max() > 10


def test_fine_points_of_pairs_lose_nothing_where_every_value_has_a_bin(steps):
    student, frame, _ = steps
    scale = {"points_to_double_odds": 10_000, "good_class": 1}
    card = ScorecardDisplay.from_estimator(student, frame, n_bins=20, **scale)
    assert card.fidelity.largest_difference < 1e-3
    coarse = ScorecardDisplay.from_estimator(student, frame, n_bins=2, **scale)
    assert coarse.fidelity.mean_difference > 10 * card.fidelity.mean_difference
    assert f"each of {len(card.pairs)} pairs" in card.sentences()[2]


def test_bins_of_a_pair_end_where_the_table_turns(rng):
    X = pd.DataFrame({"a": rng.uniform(0, 1, 2000), "b": rng.uniform(0, 1, 2000)})
    y = (X["a"] > 0.5) ^ (X["b"] > 0.25)
    student = LinearStudentClassifier(interactions=1).fit(X, y)
    card = ScorecardDisplay.from_estimator(student, X, n_bins=2)
    (pair,) = card.pairs
    assert pair.points.shape == (2, 2)
    (a, _), (b, _) = pair.conditions
    assert a.high == pytest.approx(0.5, abs=0.13)
    assert b.high == pytest.approx(0.25, abs=0.13)
    assert (np.sign(pair.points) == [[-1, 1], [1, -1]]).all() or (
        np.sign(pair.points) == [[1, -1], [-1, 1]]
    ).all()
    assert pair.shares == pytest.approx(
        np.outer([a.high, 1 - a.high], [b.high, 1 - b.high]), abs=0.03
    )


def test_neighbours_and_levels_of_equal_points_are_one(rng):
    X = pd.DataFrame({"a": rng.uniform(0, 1, 2000), "city": rng.choice(list("uvwx"), 2000)})
    y = (X["a"] > 0.5) ^ X["city"].isin(["u", "v"])
    student = LinearStudentClassifier(interactions=1).fit(X, y)
    card = ScorecardDisplay.from_estimator(student, X, points_to_double_odds=1e-6)
    (pair,) = card.pairs
    assert pair.points.tolist() == [[0]]
    assert pair.conditions[0][0].text(name="") == "is anything"
    assert set(pair.conditions[1][0].levels) == set("uvwx")
    fine = ScorecardDisplay.from_estimator(student, X).pairs[0]
    rows = [tuple(row) for row in fine.points]
    assert all(one != other for one, other in itertools.pairwise(rows))
    assert len(set(map(tuple, fine.points.T))) == fine.points.shape[1]


def test_cells_of_pairs_are_in_the_frame(mixed, paired):
    card = ScorecardDisplay.from_estimator(paired, mixed[0], good_class=1)
    frame = card.to_frame()
    for pair in card.pairs:
        cells = frame[frame["column"] == TIMES.join(pair.names)]
        assert cells["points"].tolist() == pair.points.ravel().tolist()
        assert cells["share"].sum() == pytest.approx(1.0)
        assert cells["bin"].is_unique
    assert len(frame) == 1 + len(card.rows) + sum(pair.points.size for pair in card.pairs)
    without_rows = ScorecardDisplay.from_estimator(paired)
    assert "share" not in without_rows.to_frame()
    assert all(pair.shares is None for pair in without_rows.pairs)


def test_two_way_tables_are_drawn_below_the_bins(mixed, paired):
    card = ScorecardDisplay.from_estimator(paired, mixed[0], good_class=1)
    bins, *tables = card.axes_
    assert len(tables) == 4
    card.figure_.canvas.draw()
    assert all(ax.get_position().y1 < bins.get_position().y0 for ax in tables)
    for ax, pair in zip(tables, card.pairs, strict=True):
        assert ax.get_title() == pair.name
        drawn = [text.get_text().split("\n")[0] for text in ax.texts]
        expected = [f"{points:+d}" if points else "0" for points in pair.points.ravel()]
        assert drawn == expected
    mine = plt.subplots()[1]
    assert card.plot(mine).bounding_ax_ is mine
    axes = plt.subplots(1, 5)[1]
    assert card.plot(axes).axes_.tolist() == axes.tolist()
    with pytest.raises(ValueError, match="ax holds 5 axes and 7 are needed"):
        card.plot(axes, max_lines=12)


def test_dollars_in_names_of_pairs_are_no_formulas(rng):
    frame = pd.DataFrame({"a$b$": rng.choice(["$x_1$", "$y^2$"], 300), "$n_2$": rng.random(300)})
    y = np.where((frame["$n_2$"] > 0.5) ^ (frame["a$b$"] == "$x_1$"), "$in$", "$out$")
    student = LinearStudentClassifier(interactions=1).fit(frame, y)
    for display in (
        CurvesDisplay.from_estimator(student, frame),
        ScorecardDisplay.from_estimator(student, frame),
    ):
        texts = display.figure_.findobj(lambda a: "$" in getattr(a, "get_text", str)())
        assert len(texts) > 4
        assert not any(text.get_parse_math() for text in texts)
