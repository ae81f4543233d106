import json
import sys
import warnings
from copy import deepcopy

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost
from scipy.stats import spearmanr
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    TreeStudentClassifier,
    TreeStudentRegressor,
    attribution_report,
)
from skdistill.formatting import percent
from skdistill.report.reasons.similarity import rank_correlation, similarity_of_rows, summarise

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # shap uses what matplotlib is about to deprecate
    pytest.importorskip("shap")
plt = pytest.importorskip("matplotlib.pyplot")
pytestmark = pytest.mark.usefixtures("close_figures")


@pytest.fixture(scope="module")
def report(binary_task, forest):
    X, _ = binary_task
    student = LinearStudentClassifier().fit(X, forest.predict_proba(X))
    refit = TreeStudentClassifier(random_state=0).fit(X, forest.predict_proba(X))
    return attribution_report(
        student,
        X,
        teacher=forest,
        refits=[refit],
        n_rows=40,
        max_background=20,
        max_evals=400,
        random_state=0,
    )


def test_a_model_has_the_same_reasons_as_its_copy(binary_task, forest):
    X, _ = binary_task
    network = MLPStudentClassifier((8,), max_epochs=3, random_state=0).fit(*binary_task)
    for model in (forest, network):
        report = attribution_report(model, X, teacher=deepcopy(model), n_rows=30, random_state=0)
        assert report.rank_correlation == 1
        overall = report.local[0]
        assert (overall.sign_flips, overall.top_overlap) == (0, 1)
        assert overall.low_cosine == pytest.approx(1)
        assert [item.student for item in report.importance] == [
            item.teacher for item in report.importance
        ]


def test_a_student_of_other_columns_has_other_reasons(rng):
    X = rng.normal(size=(400, 6))
    teacher, like, other = (
        RandomForestClassifier(10, random_state=seed).fit(X, X[:, j] + X[:, j + 1] > 0)
        for seed, j in enumerate([0, 0, 4])
    )
    alike, unlike = (
        attribution_report(model, X, teacher=teacher, n_rows=30, random_state=0)
        for model in (like, other)
    )
    assert alike.local[0].median_cosine > 0.95 > 0.5 > unlike.local[0].median_cosine
    assert alike.local[0].top_overlap > unlike.local[0].top_overlap
    assert alike.rank_correlation > unlike.rank_correlation


def test_half_of_the_rows_are_those_with_the_highest_scores(report, binary_task, forest):
    X, _ = binary_task
    score = forest.predict_proba(X)[:, 1]
    highest, random = report.rows[:20], report.rows[20:]
    assert score[highest].min() >= np.delete(score, highest).max()
    assert len(set(report.rows.tolist())) == 40
    assert report.origin.tolist() == ["highest scores"] * 20 + ["random"] * 20
    assert score[random].mean() < score[highest].mean() - 0.2
    np.testing.assert_array_equal(report.student.data.astype(float), X[report.rows])


def test_parts_of_the_rows_are_summarised_apart(report):
    parts = {item.rows: item for item in report.local}
    assert list(parts)[:3] == ["all rows", "highest scores", "random"]
    assert parts["highest scores"].n_rows == parts["random"].n_rows == 20
    assert sum(parts[name].n_rows for name in parts if name.endswith("class")) == 40
    frame = report.to_frame("rows")
    for name in ("highest scores", "random"):
        chosen = frame[frame["origin"] == name]
        assert parts[name].median_cosine == pytest.approx(chosen["cosine"].median())
        assert parts[name].low_cosine == pytest.approx(chosen["cosine"].quantile(0.05))
        assert parts[name].sign_flips == pytest.approx(chosen["sign_flips"].mean())
        assert parts[name].top_overlap == pytest.approx(chosen["top_overlap"].mean())


def test_rows_on_which_they_decide_differently_are_a_part(binary_task, forest):
    X, _ = binary_task
    # It decides the other way everywhere.
    student = TreeStudentClassifier(2).fit(X, forest.predict_proba(X)[:, ::-1])
    report = attribution_report(student, X, teacher=forest, n_rows=30, random_state=0)
    decisions = student.predict(X[report.rows]) == forest.predict(X[report.rows])
    parts = {item.rows: item.n_rows for item in report.local}
    assert parts["other class"] == (~decisions).sum() > 15
    assert parts.get("same class", 0) == decisions.sum()


def test_importance_is_the_mean_size_over_rows(report):
    values = np.abs(report.teacher.values[:, :, 1]).mean(axis=0)
    expected = dict(zip(report.teacher.feature_names, values, strict=True))
    assert [item.column for item in report.importance] == sorted(expected, key=expected.get)[::-1]
    for item in report.importance:
        assert item.teacher == pytest.approx(expected[item.column])
    of_student = np.abs(report.student.values[:, :, 1]).mean(axis=0)
    assert report.rank_correlation == pytest.approx(spearmanr(values, of_student).statistic)


def test_refits_and_redrawn_walks_are_there_for_comparison(report, binary_task, forest):
    names = {item.compared for item in report.stability}
    assert names == {"student and refit 1", "student and itself, drawn again"}
    redrawn = next(item for item in report.stability if "itself" in item.compared)
    assert redrawn.n_rows == 40
    assert 0.7 < redrawn.median_cosine < 1  # 57 walks
    student = TreeStudentClassifier().fit(*binary_task)
    exact = attribution_report(student, binary_task[0], teacher=forest, n_rows=20)
    assert exact.stability == ()
    same = attribution_report(student, binary_task[0], teacher=forest, n_rows=20, refits=[student])
    assert same.stability[0].low_cosine == pytest.approx(1)


def test_teacher_and_student_start_from_the_same_background(report, forest):
    mean = report.teacher.base_values[0, 1]
    assert report.teacher.method.startswith("exact")
    assert report.student.method == "sampled, 40 walks, 280 evaluations per row"
    wide = np.random.default_rng(0).normal(size=(80, 30))
    y = (wide[:, 0] > 0).astype(int)
    forest = RandomForestClassifier(5, random_state=0).fit(wide, y)
    network = MLPStudentClassifier((4,), max_epochs=2).fit(wide, y)
    thin = attribution_report(network, wide, teacher=forest, max_evals=29 * 4, n_rows=4)
    assert thin.student.method == "sampled, 4 walks, 116 evaluations per row"
    steps = thin.teacher.base_values[0, 1] * 4 * 5  # of four background rows and five trees
    assert steps == pytest.approx(round(steps))
    assert 0 < mean < 1


def test_all_rows_are_taken_if_there_are_no_more(binary_task, forest):
    X, _ = binary_task
    student = TreeStudentClassifier().fit(*binary_task)
    report = attribution_report(student, X[:30], X[100:], teacher=forest)
    assert report.rows.tolist() == list(range(30))
    assert set(report.origin) == {"all"}
    assert report.local[0].rows == "all rows"
    assert not {"highest scores", "random"} & {item.rows for item in report.local}


def test_of_several_classes_the_one_the_teacher_finds_is_compared(multiclass_task):
    X, y = multiclass_task
    named = np.array(["a", "b", "c"])[y]
    teacher = RandomForestClassifier(10, random_state=0).fit(X, named)
    student = TreeStudentClassifier(random_state=0).fit(X, named)
    report = attribution_report(student, X, teacher=teacher, n_rows=25, random_state=0)
    found = teacher.predict_proba(X[report.rows]).argmax(axis=1)
    rows = np.arange(25)
    expected = similarity_of_rows(
        report.teacher.values[rows, :, found], report.student.values[rows, :, found], 4
    )
    np.testing.assert_array_equal(report.row_similarity.cosine, expected.cosine)
    assert report.kind == "multiclass"
    assert set(report.origin) == {"random"}
    assert report.importance[0].teacher == pytest.approx(
        np.abs(report.teacher.values).mean(axis=(0, 2)).max()
    )


def test_a_teacher_of_other_classes_is_compared_in_those_of_the_student(multiclass_task):
    X, y = multiclass_task
    student = TreeStudentClassifier(random_state=0).fit(X, y)
    teacher = RandomForestClassifier(5, random_state=0).fit(X[y != 1], y[y != 1])
    report = attribution_report(student, X, teacher=teacher, n_rows=25, random_state=0)
    assert report.teacher.shape == report.student.shape == (25, 8, 3)
    assert (report.teacher.values[:, :, 1] == 0).all()
    assert report.teacher.output_names == ["0", "1", "2"]
    total = report.teacher.base_values + report.teacher.values.sum(axis=1)
    np.testing.assert_allclose(total[:, [0, 2]], teacher.predict_proba(X[report.rows]), atol=1e-9)
    with pytest.raises(
        ValueError, match=r"teacher RandomForestClassifier has the classes \[0, 2\]"
    ):
        attribution_report(student, X, teacher=teacher, output="log_odds")


def test_predictions_of_regressors_are_compared(binary_task):
    X, _ = binary_task
    y = X[:, 0] + X[:, 1] ** 2
    teacher = RandomForestRegressor(10, random_state=0).fit(X, y)
    student = TreeStudentRegressor(random_state=0).fit(X, teacher.predict(X))
    report = attribution_report(student, X, teacher=teacher, n_rows=25, random_state=0)
    assert report.kind == "regression"
    assert report.output_space == "prediction"
    assert [item.rows for item in report.local] == ["all rows"]
    assert {item.column for item in report.importance[:2]} == {"x0", "x1"}
    assert report.local[0].median_cosine > 0.8
    report.plot_dependence(["x0"])


def test_the_teacher_inside_a_distiller_is_found_behind_the_same_transformers(binary_task):
    X, y = binary_task
    named = np.array(["no", "yes"])[y]
    # XGBoost gets codes inside the distiller.
    teacher = xgboost.XGBClassifier(n_estimators=10)
    distiller = DistilledClassifier(teacher, LinearStudentClassifier(), labelling="cross_fit")
    model = make_pipeline(StandardScaler(), distiller).fit(X, named)
    report = attribution_report(model, X, output="log_odds", n_rows=30, random_state=0)
    assert report.models == {"teacher": "XGBClassifier", "student": "LinearStudentClassifier"}
    assert report.teacher.output_names == ["no", "yes"]
    assert report.teacher.method == "exact, from 10 trees"
    assert report.student.method == "closed form"
    total = report.student.base_values + report.student.values.sum(axis=1)
    np.testing.assert_allclose(total[:, 1], model.decision_function(X[report.rows]), atol=1e-6)
    assert report.local[0].median_cosine > 0.7


def test_a_student_alone_needs_a_teacher(binary_task, forest):
    student = TreeStudentClassifier().fit(*binary_task)
    with pytest.raises(ValueError, match="Pass the fitted teacher as teacher="):
        attribution_report(student, binary_task[0])
    with pytest.raises(NotFittedError):
        attribution_report(TreeStudentClassifier(), binary_task[0], teacher=forest)
    regressor = RandomForestRegressor(5).fit(*binary_task)
    with pytest.raises(TypeError, match="both must be of one kind"):
        attribution_report(student, binary_task[0], teacher=regressor)
    with pytest.raises(ValueError, match="refit RandomForestRegressor has the classes of a regres"):
        attribution_report(student, binary_task[0], teacher=forest, refits=[regressor])
    with pytest.raises(ValueError, match="'n_rows' parameter"):
        attribution_report(student, binary_task[0], teacher=forest, n_rows=1)


def test_similarity_is_that_of_the_definition():
    teacher = np.array([[3.0, -2.0, 1.0, 0.0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    student = np.array([[3.0, 2.0, 0.0, 1.0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]])
    similarity = similarity_of_rows(teacher, student, top=3)
    assert similarity.cosine.tolist() == pytest.approx([5 / 14, 1, 0, 0])
    assert similarity.sign_flips.tolist() == pytest.approx([1 / 3, 0, 0, 0])
    assert similarity.top_overlap.tolist() == pytest.approx([2 / 3, 1, 0, 0])
    tiny = similarity_of_rows(teacher * 1e-200, teacher * 1e200, top=3)
    assert tiny.cosine.tolist() == pytest.approx([1, 1, 1, 1])
    summary = summarise(similarity, "a and b", "all rows", np.array([True, True, False, False]))
    assert (summary.n_rows, summary.mean_cosine) == (2, pytest.approx(19 / 28))


def test_ranks_without_a_difference_correlate_with_nothing_but_themselves():
    assert rank_correlation([1.0, 1.0], [2.0, 2.0]) == 1
    assert rank_correlation([1.0, 1.0], [1.0, 2.0]) == 0
    assert rank_correlation([1.0, 5.0, 2.0], [10.0, 11.0, 12.0]) == pytest.approx(0.5)


def test_the_report_has_several_forms(report):
    text = str(report)
    assert "LinearStudentClassifier and its teacher RandomForestClassifier, 40 rows" in text
    assert report.summary in text
    assert "student and itself, drawn again" in text
    stored = json.loads(json.dumps(report.to_dict()))
    assert stored["rank_correlation"] == report.rank_correlation
    assert stored["methods"]["teacher"] == "exact, from 40 trees"
    assert stored["local"][0]["median_cosine"] == report.local[0].median_cosine
    assert [row["row"] for row in stored["rows"]] == report.rows.tolist()
    assert report.to_frame("importance").columns.tolist() == ["column", "teacher", "student"]
    assert len(report.to_frame("rows")) == 40
    with pytest.raises(ValueError, match="section='nothing'"):
        report.to_frame("nothing")


def test_the_summary_says_what_was_measured(report):
    overall = report.local[0]
    assert f"rank correlation of {report.rank_correlation:.2f}" in report.summary
    assert f"cosine of {overall.median_cosine:.2f}" in report.summary
    assert f"{percent(overall.sign_flips)} push the other way" in report.summary
    assert f"{percent(overall.top_overlap)} of the top 4 columns" in report.summary


def test_importances_are_drawn_as_paired_bars(report):
    ax = report.plot_importance(n_columns=3)
    assert len(ax.patches) == 6
    widths = [bar.get_width() for bar in ax.patches]
    shown = report.importance[:3]
    assert widths == [item.teacher for item in shown] + [item.student for item in shown]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [item.column for item in shown]
    assert ax.get_facecolor()[3] == 0
    given = plt.figure().subplots()
    assert report.plot_importance(given) is given


def test_dependence_is_drawn_over_numbers_levels_and_gaps(mixed_frame):
    X, y, _ = mixed_frame()
    teacher = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1)
    categories = X.astype({"city": "category"})
    teacher.fit(categories, y)
    student = TreeStudentClassifier().fit(categories, y)
    report = attribution_report(student, categories, teacher=teacher, n_rows=60, max_evals=600)
    amount, city = report.plot_dependence(["amount", "city"])
    levels = {label.get_text() for label in city.get_yticklabels()}
    assert levels == {"Graz", "Linz", "Wien", "missing"}
    assert len(city.patches) == 8
    assert [text.get_text() for text in amount.texts] == ["missing"]
    assert len(report.plot_dependence()) == 5
    axes = plt.figure().subplots(1, 2)
    drawn = report.plot_dependence(["count", "flag"], axes)
    assert list(drawn) == list(axes)
    points = axes[0].collections[0].get_offsets()
    column = report.teacher.feature_names.index("count")
    np.testing.assert_allclose(points[:, 0], report.teacher.data[:, column].astype(float))
    np.testing.assert_allclose(points[:, 1], report.teacher.values[:, column, 1])
    with pytest.raises(ValueError, match="columns holds \\['nothing'\\]"):
        report.plot_dependence(["nothing"])
    with pytest.raises(ValueError, match="class_of_interest='7'"):
        report.plot_dependence(class_of_interest="7")


def test_frames_of_polars_are_compared_as_they_are(mixed_frame):
    X, y, _ = mixed_frame()
    X = X.drop(columns=["city", "kind"])
    table = pl.from_pandas(X)
    teacher = HistGradientBoostingClassifier(max_iter=5).fit(X.to_numpy(float), y)
    student = TreeStudentClassifier().fit(X.to_numpy(float), y)
    array = attribution_report(student, X.to_numpy(float), teacher=teacher, random_state=0)
    teacher, student = teacher.fit(table, y), student.fit(table, y)
    report = attribution_report(student, table, teacher=teacher, random_state=0)
    assert [item.column for item in report.importance] == [
        X.columns[int(item.column[1:])] for item in array.importance
    ]
    assert report.local[0].median_cosine == pytest.approx(array.local[0].median_cosine, abs=0.02)


def test_without_matplotlib_the_error_names_it(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        report.plot_importance()
