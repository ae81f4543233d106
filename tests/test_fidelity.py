import pickle

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, spearmanr
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    TreeStudentClassifier,
    fidelity_scorer,
)
from skdistill.fidelity import agreement, gap_closed, js_divergence, kl_divergence, top_k_overlap


@pytest.fixture
def pair(rng):
    return rng.dirichlet(np.ones(3), 50), rng.dirichlet(np.ones(3), 50)


def test_identical_models_agree_and_diverge_by_nothing(pair):
    assert agreement(pair[0], pair[0]) == 1
    assert kl_divergence(pair[0], pair[0]) == 0


def test_kl_is_that_of_scipy_averaged(pair):
    expected = np.mean([entropy(q, p) for q, p in zip(*pair, strict=True)])
    assert kl_divergence(*pair) == pytest.approx(expected)


def test_kl_of_a_student_that_rules_out_what_happens_is_finite():
    assert 20 < kl_divergence([[0.0, 1.0]], [[1.0, 0.0]]) < 30


def test_weights_are_those_of_repeated_rows(pair, rng):
    weight = rng.integers(0, 3, 50)
    repeated = [proba.repeat(weight, axis=0) for proba in pair]
    assert agreement(*pair, weight) == pytest.approx(agreement(*repeated))
    assert kl_divergence(*pair, weight) == pytest.approx(kl_divergence(*repeated))


def test_different_shapes_raise_and_name_both(pair):
    with pytest.raises(ValueError, match=r"\(50, 3\).*\(40, 3\)"):
        agreement(pair[0], pair[1][:40])


def test_the_gap_is_closed_in_scores_and_losses():
    assert gap_closed(0.9, 0.88, 0.8) == pytest.approx(0.8)
    assert gap_closed(0.1, 0.12, 0.2, greater_is_better=False) == pytest.approx(0.8)


def test_there_is_no_gap_where_the_teacher_is_not_better():
    assert np.isnan(gap_closed(0.8, 0.9, 0.85))
    assert np.isnan(gap_closed(0.8, 0.9, 0.8))


def test_js_is_that_of_scipy_squared_and_averaged(pair):
    assert js_divergence(*pair) == pytest.approx(np.mean(jensenshannon(*pair, axis=1) ** 2))
    assert js_divergence(*pair) == pytest.approx(js_divergence(*pair[::-1]))
    assert js_divergence(pair[0], pair[0]) == 0
    assert js_divergence([[1.0, 0.0]], [[0.0, 1.0]]) == pytest.approx(np.log(2))


def test_the_overlap_of_the_top_counts_rows_in_both():
    teacher, student = [5, 4, 3, 2, 1], [5, 1, 4, 2, 3]
    assert [top_k_overlap(teacher, student, k) for k in (1, 2, 3, 5)] == [1, 0.5, 2 / 3, 1]
    with pytest.raises(ValueError, match="top 6 of 5 rows"):
        top_k_overlap(teacher, student, 6)
    with pytest.raises(ValueError, match=r"shape \(5,\) and student_score \(4,\)"):
        top_k_overlap(teacher, student[:4], 2)


@pytest.fixture(scope="module")
def distilled(binary_task):
    X, y = binary_task
    model = DistilledClassifier(RandomForestClassifier(20, random_state=0), random_state=0)
    return model.fit(X[:400], y[:400]), X[400:], y[400:]


def test_scorers_are_the_measures_and_greater_is_better(distilled, rng):
    model, X, y = distilled
    weight = rng.exponential(size=len(X))
    q, p = model.teacher_.predict_proba(X), model.predict_proba(X)
    assert fidelity_scorer("kl")(model, X, y, weight) == pytest.approx(-kl_divergence(q, p, weight))
    assert fidelity_scorer("js")(model, X) == pytest.approx(-js_divergence(q, p))
    assert fidelity_scorer("agreement")(model, X) == agreement(q, p)
    assert fidelity_scorer("top_k", k=10)(model, X) == top_k_overlap(q[:, 1], p[:, 1], 10)
    expected = spearmanr(q[:, 1], p[:, 1]).statistic
    assert fidelity_scorer("rank_correlation")(model, X) == pytest.approx(expected)
    alone = fidelity_scorer("kl", teacher=model.teacher_)(model.student_, X)
    assert alone == pytest.approx(-kl_divergence(q, p))


def test_scorers_of_regressors_compare_predictions(binary_task):
    X, y = binary_task
    model = DistilledRegressor(RandomForestRegressor(10, random_state=0), random_state=0)
    model.fit(X, y + X[:, 0])
    t, s = model.teacher_.predict(X), model.predict(X)
    assert fidelity_scorer("r2")(model, X) == pytest.approx(r2_score(t, s))
    assert fidelity_scorer("mae")(model, X) == pytest.approx(-np.abs(t - s).mean())
    with pytest.raises(ValueError, match=r"measure='kl' does not fit regression; one of \['mae'"):
        fidelity_scorer("kl")(model, X)


def test_searches_choose_by_fidelity_to_the_teacher(binary_task):
    forest = RandomForestClassifier(20, random_state=0)
    model = make_pipeline(
        StandardScaler(), DistilledClassifier(forest, TreeStudentClassifier(), random_state=0)
    )
    grid = {"distilledclassifier__student__max_leaf_nodes": [2, 24]}
    search = GridSearchCV(model, grid, scoring=fidelity_scorer("kl"), cv=3, n_jobs=2)
    search.fit(*binary_task)
    assert search.best_params_ == {"distilledclassifier__student__max_leaf_nodes": 24}
    assert search.best_score_ < 0
    shares = cross_val_score(model, *binary_task, scoring=fidelity_scorer("agreement"), cv=3)
    assert ((shares > 0.6) & (shares <= 1)).all()


def test_a_scorer_shows_itself_and_pickles():
    scorer = pickle.loads(pickle.dumps(fidelity_scorer("top_k", k=7)))
    assert repr(scorer) == "fidelity_scorer('top_k', teacher=None, k=7)"


def test_scorers_say_what_is_wrong(distilled, multiclass_task):
    model, X, _ = distilled
    with pytest.raises(ValueError, match="measure='k_l'; one of"):
        fidelity_scorer("k_l")
    with pytest.raises(ValueError, match="found no teacher in TreeStudentClassifier"):
        fidelity_scorer("kl")(model.student_, X)
    three = DistilledClassifier(RandomForestClassifier(5), random_state=0).fit(*multiclass_task)
    with pytest.raises(ValueError, match="measure='top_k' does not fit multiclass"):
        fidelity_scorer("top_k")(three, multiclass_task[0])
