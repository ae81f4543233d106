"""Several teachers in one: pooling, weights, honest labels, and behaving as an estimator."""

import pickle

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skdistill import (
    DistilledClassifier,
    MultiTeacher,
    Munge,
    TreeStudentClassifier,
    explain,
    fidelity_report,
)
from skdistill.rows import check_classification_rows
from skdistill.teacher.labelling import label_honestly, label_rows
from skdistill.teacher.lazy_teacher import LazyClassifier
from skdistill.teacher.margins import Answers, remembered_prior
from skdistill.teacher.pooling import PooledAnswers, pool_margins, pooling_weights
from skdistill.teacher.training_rows import Proof, proof_of_training_rows

RULES = ["mean", "log_pool", "confidence"]


@pytest.fixture(scope="module")
def tables():
    X, y = make_classification(800, 6, n_informative=4, n_redundant=0, flip_y=0.15, random_state=1)
    return X[:400], y[:400], X[400:], y[400:]


@pytest.fixture(scope="module")
def fitted(tables):
    """A forest, boosting and a linear model, fitted on the first table."""
    X, y, _, _ = tables
    return [
        ("rf", RandomForestClassifier(30, random_state=0).fit(X, y)),
        ("gb", GradientBoostingClassifier(n_estimators=10, random_state=0).fit(X, y)),
        ("lr", LogisticRegression().fit(X, y)),
    ]


def unfitted_pair():
    return [("rf", RandomForestClassifier(30, random_state=0)), ("lr", LogisticRegression())]


def lazy_teacher(teacher, X, y, sample_weight=None):
    rows = check_classification_rows(
        clone(teacher), X, y, sample_weight, None, known_classes=None, accept_sparse=True
    )
    return LazyClassifier(teacher, rows)


# Pooling.


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_mean_is_the_weighted_mean_of_probabilities(rng, n_classes):
    outputs, weights = rng.normal(size=(3, 50, n_classes)), np.array([0.5, 0.3, 0.2])
    expected = np.tensordot(weights, softmax(outputs, axis=2), 1)
    margins = pool_margins(outputs, weights, "mean")
    np.testing.assert_allclose(softmax(margins, axis=1), expected)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_log_pool_is_the_normalised_product_of_powers(rng, n_classes):
    outputs, weights = rng.normal(size=(3, 50, n_classes)), np.array([0.5, 0.3, 0.2])
    product = (softmax(outputs, axis=2) ** weights[:, None, None]).prod(axis=0)
    margins = pool_margins(outputs, weights, "log_pool")
    np.testing.assert_allclose(
        softmax(margins, axis=1), product / product.sum(axis=1, keepdims=True)
    )


@pytest.mark.parametrize("n_classes", [2, 4])
def test_confidence_weighs_rows_by_one_minus_the_relative_entropy(rng, n_classes):
    outputs, weights = rng.normal(size=(3, 50, n_classes)), np.array([0.5, 0.3, 0.2])
    proba = softmax(outputs, axis=2)
    of_row = weights[:, None] * (1 - entropy(proba, axis=2) / np.log(n_classes))
    expected = (of_row[:, :, None] * proba).sum(axis=0) / of_row.sum(axis=0)[:, None]
    margins = pool_margins(outputs, weights, "confidence")
    np.testing.assert_allclose(softmax(margins, axis=1), expected)


def test_a_teacher_that_says_nothing_has_no_voice_by_confidence():
    outputs = np.array([[[0.0, 0.0]], [[0.0, 2.0]]])
    margins = pool_margins(outputs, np.array([0.9, 0.1]), "confidence")
    np.testing.assert_allclose(margins[:, 1] - margins[:, 0], 2.0, atol=1e-3)


def test_where_nobody_is_sure_the_weights_decide():
    margins = pool_margins(np.zeros((2, 3, 2)), np.array([0.9, 0.1]), "confidence")
    np.testing.assert_allclose(softmax(margins, axis=1), 0.5)


@pytest.mark.parametrize("rule", RULES)
def test_teachers_of_one_output_are_pooled_to_that_output(rng, rule):
    output = rng.normal(size=(20, 3))
    margins = pool_margins(np.stack([output, output]), np.array([0.7, 0.3]), rule)
    np.testing.assert_allclose(softmax(margins, axis=1), softmax(output, axis=1))


def test_floors_of_pooled_answers_are_relative_to_the_corrected_base_rate():
    # A forest without a vote for the class, fitted where it is frequent, and a shift of the prior.
    floor, shift = np.array([0.01, 1e-4]), np.array([0.0, -3.0])
    none = Answers(np.array([[1.0, 0.0]]), floor)
    for rule in RULES:
        alone = PooledAnswers((none, none), np.array([0.5, 0.5]), rule)
        np.testing.assert_allclose(alone.margins(shift), none.margins(shift))
        assert alone.margins(shift)[0, 1] > alone.margins()[0, 1] + shift[1] + 1


@pytest.mark.parametrize("rule", RULES)
def test_the_pool_is_corrected_not_its_members(rng, rule):
    parts = tuple(Answers(rng.normal(size=(20, 3))) for _ in range(2))
    answers = PooledAnswers(parts, np.array([0.4, 0.6]), rule)
    shift = np.array([0.0, 1.0, -2.0])
    np.testing.assert_allclose(answers.margins(shift), answers.margins() + shift)


# Weights.


@pytest.mark.parametrize("rule", RULES)
def test_no_other_weights_predict_better_than_those_found(rng, rule):
    codes = rng.integers(0, 3, 3000)
    truth = np.eye(3)[codes]
    outputs = np.stack([s * truth + rng.normal(size=(3000, 3)) for s in (2.0, 1.0, 0.0)])
    sample_weight = rng.uniform(size=3000)

    def loss(weights):
        log_proba = log_softmax(pool_margins(outputs, weights, rule), axis=1)
        return -np.average(log_proba[np.arange(3000), codes], weights=sample_weight)

    found = pooling_weights(outputs, rule, codes, sample_weight)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()
    others = rng.dirichlet(np.ones(3), size=300)
    assert loss(found) <= min(loss(weights) for weights in others) + 1e-4
    assert loss(found) < loss(np.full(3, 1 / 3)) - 0.005


@pytest.mark.parametrize("rule", RULES)
def test_equal_teachers_get_equal_weights(rng, rule):
    output = rng.normal(size=(100, 2))
    codes = rng.integers(0, 2, 100)
    found = pooling_weights(np.stack([output] * 3), rule, codes, np.ones(100))
    np.testing.assert_allclose(found, 1 / 3, atol=1e-6)


def test_a_penalty_of_one_row_draws_weights_towards_equal_ones():
    # One teacher is right by a little; without a penalty it would get all the weight.
    outputs = np.array([[[0.0, 0.2]], [[0.0, 0.1]]]).repeat(3, axis=1)
    codes, ones = np.ones(3, dtype=int), np.ones(3)
    grid = np.linspace(0, 1, 10_001)
    right = grid * softmax([0, 0.2])[1] + (1 - grid) * softmax([0, 0.1])[1]
    penalised = -np.log(right) + 2 * (grid - 0.5) ** 2 / (2 * 3)
    found = pooling_weights(outputs, "mean", codes, ones)
    assert found[0] == pytest.approx(grid[penalised.argmin()], abs=1e-3)
    assert 0.5 < found[0] < 0.7


def test_weights_are_found_on_answers_to_rows_that_teachers_were_not_fitted_on(tables):
    X, y, _, _ = tables
    # In-sample the overfitted tree would get all the weight.
    by_heart = DecisionTreeClassifier(random_state=0)
    for tree in (by_heart, clone(by_heart).fit(X, y)):
        teacher = MultiTeacher([("tree", tree), ("lr", LogisticRegression())], weights="auto").fit(
            X, y
        )
        assert teacher.weights_[1] > 0.8
        assert teacher.log_losses_[0] > 2 * teacher.log_losses_[1]
        assert log_loss(y, teacher.teachers_[0].predict_proba(X)) < 0.01


def test_log_losses_are_those_of_cross_fitted_and_out_of_bag_answers(tables):
    X, y, _, _ = tables
    teacher = MultiTeacher(unfitted_pair(), weights="auto", cv=5).fit(X, y)
    proba = cross_val_predict(LogisticRegression(), X, y, cv=5, method="predict_proba")
    assert teacher.log_losses_[1] == pytest.approx(log_loss(y, proba), rel=1e-3)
    forest = RandomForestClassifier(30, random_state=0, oob_score=True).fit(X, y)
    out_of_bag = np.clip(forest.oob_decision_function_, 0.5 / 31, 1)
    expected = log_loss(y, out_of_bag / out_of_bag.sum(axis=1, keepdims=True))
    assert teacher.log_losses_[0] == pytest.approx(expected, rel=0.02)


def test_a_fitted_teacher_that_may_know_the_rows_is_judged_by_cross_fitted_clones(tables):
    X, y, X_other, y_other = tables
    booster = HistGradientBoostingClassifier(max_iter=60).fit(X, y)  # nothing to prove it by
    proba = cross_val_predict(clone(booster), X, y, cv=5, method="predict_proba")
    honest = label_honestly(lazy_teacher(booster, X, y), 5)
    np.testing.assert_allclose(softmax(honest.margins(), axis=1), proba)
    forest = RandomForestClassifier(30, random_state=0).fit(X, y)
    strange = label_honestly(lazy_teacher(forest, X_other, y_other), 5)  # proved not to know them
    np.testing.assert_allclose(
        strange.margins(),
        label_rows(lazy_teacher(forest, X_other, y_other), "direct", 5)[0].margins(),
    )


def test_weights_given_as_numbers_count_by_their_ratios(tables, fitted):
    X = tables[2]
    a = MultiTeacher(fitted, weights=[2, 1, 1])
    np.testing.assert_allclose(a.weights_, [0.5, 0.25, 0.25])
    b = MultiTeacher(fitted, weights=np.array([0.5, 0.25, 0.25]))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert not np.allclose(a.predict_proba(X), MultiTeacher(fitted).predict_proba(X))


def test_a_teacher_without_weight_is_not_asked(tables, fitted):
    class Mute(LogisticRegression):
        def predict_proba(self, X):
            raise AssertionError

    X, y, X_other, _ = tables
    mute = Mute().fit(X, y)
    teacher = MultiTeacher([fitted[2], ("mute", mute)], weights=[1, 0])
    np.testing.assert_allclose(teacher.predict_proba(X_other), fitted[2][1].predict_proba(X_other))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -1, 1], "not negative"),
        ([0, 0, 0], "positive"),
        ([1, np.nan, 1], "finite"),
        ([1, np.inf, 1], "finite"),
        ([1, 1], "one number for each of the 3 teachers"),
        ([[1, 1, 1]], "one number for each of the 3 teachers"),
        ("best", "'weights' parameter"),
    ],
)
def test_bad_weights_are_refused(tables, fitted, weights, message):
    X, y, _, _ = tables
    with pytest.raises(ValueError, match=message):
        MultiTeacher(fitted, weights=weights).fit(X, y)
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(MultiTeacher(fitted, weights=weights)).fit(X, y)


# Answers.


@pytest.mark.parametrize("rule", RULES)
def test_probabilities_are_the_softmax_of_the_decision_function(rule, multiclass_task, tables):
    for X, y in (multiclass_task, tables[:2]):
        teacher = MultiTeacher(unfitted_pair(), combine=rule).fit(X, y)
        decision = teacher.decision_function(X)
        if decision.ndim == 1:
            decision = np.stack([0 * decision, decision], axis=1)
        np.testing.assert_allclose(softmax(decision, axis=1), teacher.predict_proba(X))
        np.testing.assert_array_equal(
            teacher.predict(X), teacher.classes_[teacher.predict_proba(X).argmax(axis=1)]
        )


def test_fitted_teachers_make_a_fitted_teacher(tables, fitted):
    X, _, X_other, y_other = tables
    teacher = MultiTeacher(fitted)
    expected = np.mean([each.predict_proba(X_other) for _, each in fitted], axis=0)
    np.testing.assert_allclose(teacher.predict_proba(X_other), expected, atol=0.01)
    assert teacher.classes_.tolist() == [0, 1]
    assert [each for _, each in fitted] == teacher.teachers_
    model = DistilledClassifier(teacher, random_state=0).fit(X_other, y_other)
    assert model.teacher_ is teacher
    assert not hasattr(MultiTeacher(unfitted_pair()), "classes_")
    assert not hasattr(MultiTeacher(fitted, weights="auto"), "classes_")
    with pytest.raises(NotFittedError):
        MultiTeacher(unfitted_pair()).predict(X)


def test_fit_fits_only_what_is_not_fitted(tables, fitted):
    _, _, X_other, y_other = tables
    before = pickle.dumps(fitted)
    teacher = MultiTeacher([*fitted, ("nb", GaussianNB())]).fit(X_other, y_other)
    assert teacher.teachers_[:3] == [each for _, each in fitted]
    assert pickle.dumps(fitted) == before
    assert not hasattr(teacher.teachers[3][1], "theta_")
    np.testing.assert_array_equal(
        teacher.teachers_[3].theta_, GaussianNB().fit(X_other, y_other).theta_
    )


@pytest.mark.parametrize("rule", RULES)
def test_no_votes_of_a_forest_are_not_a_veto(rule):
    # One class in 100 rows; the forest answers 0 where the other teacher is almost sure of it.
    X = np.arange(1000.0)[:, None]
    y = (np.arange(1000) % 100 == 0).astype(int)
    forest = RandomForestClassifier(20, random_state=0).fit(X, y)
    quiet = X[forest.predict_proba(X)[:, 1] == 0]
    sure = DummyClassifier(strategy="prior").fit(X, (np.arange(1000) % 100 != 0).astype(int))
    teacher = MultiTeacher([("rf", forest), ("sure", sure)], combine=rule)
    of_class = teacher.predict_proba(quiet)[:, 1]
    # The forest can tell one vote in 21 at a base rate of 1 %: log-odds of about -7.6, not -27.
    floor = 0.01 / 21
    assert remembered_prior(forest)[1] == pytest.approx(0.01, abs=0.005)
    if rule == "log_pool":
        odds = np.sqrt(floor * 0.99 / 0.01)
        np.testing.assert_allclose(of_class, odds / (1 + odds), rtol=0.3)
    else:
        assert (of_class > 0.4).all()


def test_floors_are_relative_to_the_base_rate_of_the_distilled_rows(tables):
    X, y, _, _ = tables
    rare = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:10]])
    forest = RandomForestClassifier(30, random_state=0).fit(X, y)  # fitted on equal shares
    teacher = MultiTeacher([("rf", forest)])
    fresh = X[rare] + 1e-3
    margins = label_rows(lazy_teacher(teacher, fresh, y[rare]), "direct", 5)[0].margins()
    alone = label_rows(lazy_teacher(forest, fresh, y[rare]), "direct", 5)[0].margins()
    np.testing.assert_allclose(margins, alone)
    # The same of rows that came without labels.
    several, single = (lazy_teacher(each, fresh, y[rare]).fitted for each in (teacher, forest))
    np.testing.assert_allclose(several.margins(X), single.margins(X))
    assert several.margins(X).min() < teacher.decision_function(X).min() - 1


def test_the_prior_of_fit_is_used_after_fit(tables):
    X, y, _, _ = tables
    knn = KNeighborsClassifier(3).fit(X, y)  # answers 0, and remembers no prior
    rare = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:5]])
    before = MultiTeacher([("knn", knn)])
    after = MultiTeacher([("knn", knn)]).fit(X[rare], y[rare])
    assert after.predict_proba(X)[:, 1].min() < before.predict_proba(X)[:, 1].min() / 5


def test_another_fit_starts_anew(tables):
    X, y, X_other, y_other = tables
    teacher = MultiTeacher(unfitted_pair(), weights="auto").fit(X, y)
    teacher.set_params(weights=None).fit(X_other, y_other)
    expected = MultiTeacher(unfitted_pair()).fit(X_other, y_other)
    np.testing.assert_array_equal(teacher.predict_proba(X), expected.predict_proba(X))
    assert not hasattr(teacher, "log_losses_")


def test_a_sample_weight_reaches_the_teachers_that_are_fitted(tables):
    X, y, _, _ = tables
    weight = np.where(y == 1, 5.0, 1.0)
    teacher = MultiTeacher([("lr", LogisticRegression())]).fit(X, y, sample_weight=weight)
    expected = LogisticRegression().fit(X, y, sample_weight=weight).predict_proba(X)
    np.testing.assert_allclose(teacher.predict_proba(X), expected)
    with pytest.raises(TypeError, match="KNeighborsClassifier does not take sample_weight"):
        MultiTeacher([("knn", KNeighborsClassifier())]).fit(X, y, sample_weight=weight)


def test_classes_may_be_strings_also_for_those_that_take_codes_only(tables):
    xgboost = pytest.importorskip("xgboost")
    X, y, X_other, y_other = tables
    y, y_other = np.array(["no", "yes"])[y], np.array(["no", "yes"])[y_other]
    teacher = MultiTeacher(
        [("xgb", xgboost.XGBClassifier(n_estimators=5)), ("lr", LogisticRegression())]
    ).fit(X, y)
    assert teacher.classes_.tolist() == ["no", "yes"]
    assert teacher.score(X_other, y_other) > 0.7
    # Fitted, it is used again: the classes that its codes stand for are known.
    answers, _ = label_rows(lazy_teacher(teacher, X_other, y_other), "direct", 5)
    np.testing.assert_allclose(
        softmax(answers.margins(), axis=1), teacher.predict_proba(X_other), rtol=1e-5
    )


def test_minus_one_is_a_class_outside_of_a_distillation(tables):
    X, y, _, _ = tables
    teacher = MultiTeacher(unfitted_pair()).fit(X, np.where(y, 1, -1))
    assert teacher.classes_.tolist() == [-1, 1]


def test_a_class_that_the_rows_lack_is_known_by_fitted_teachers(multiclass_task):
    X, y = multiclass_task
    forest = RandomForestClassifier(20, random_state=0).fit(X, y)
    teacher = MultiTeacher([("rf", forest), ("lr", LogisticRegression())])
    teacher.fit(X[y < 2], y[y < 2])
    assert teacher.classes_.tolist() == [0, 1, 2]
    assert teacher.predict_proba(X).shape == (len(X), 3)


# Columns.


def test_teachers_may_have_seen_different_columns(mixed_frame):
    frame, y, _ = mixed_frame()
    numbers = LogisticRegression(max_iter=1000).fit(frame[["count", "flag"]], y)
    boosting = HistGradientBoostingClassifier(max_iter=10).fit(frame[["flag", "amount"]], y)
    teacher = MultiTeacher([("lr", numbers), ("hgb", boosting)], combine="log_pool")
    seen = ((numbers, ["count", "flag"]), (boosting, ["flag", "amount"]))
    expected = sum(np.log(each.predict_proba(frame[names])) / 2 for each, names in seen)
    np.testing.assert_allclose(teacher.predict_proba(frame), softmax(expected, axis=1))
    with pytest.warns(UserWarning, match=r"the very rows it labels directly \(HistGradient"):
        model = DistilledClassifier(teacher, label_correction=False, random_state=0).fit(frame, y)
    assert model.score(frame, y) > 0.6


@pytest.mark.parametrize(
    "columns", [["count", "flag"], [1, 2], slice(1, 3), np.array([False, True, True, False, False])]
)
def test_columns_are_names_positions_a_slice_or_a_mask(mixed_frame, columns):
    frame, y, _ = mixed_frame()
    teacher = MultiTeacher([("lr", LogisticRegression(), columns)]).fit(frame, y)
    expected = LogisticRegression().fit(frame[["count", "flag"]], y)
    np.testing.assert_allclose(
        teacher.predict_proba(frame), expected.predict_proba(frame[["count", "flag"]])
    )


def test_columns_of_polars_frames_and_arrays(mixed_frame):
    pl = pytest.importorskip("polars")
    frame, y, _ = mixed_frame()
    numbers = frame[["count", "flag"]].astype(float)
    expected = MultiTeacher([("lr", LogisticRegression(), [0])]).fit(numbers, y)
    for X in (pl.DataFrame(numbers.to_dict("list")), numbers.to_numpy()):
        teacher = MultiTeacher([("lr", LogisticRegression(), [0])]).fit(X, y)
        np.testing.assert_allclose(teacher.predict_proba(X), expected.predict_proba(numbers))


def test_errors_say_which_teacher_lacks_columns(mixed_frame, tables, fitted):
    frame, y, _ = mixed_frame()
    with pytest.raises(ValueError, match=r"Teacher 'lr': .*nothing"):
        MultiTeacher([("lr", LogisticRegression(), ["nothing"])]).fit(frame, y)
    with pytest.raises(ValueError, match=r"Teacher 'rf': X has 2 columns, but .* fitted on 6"):
        DistilledClassifier(MultiTeacher(fitted)).fit(tables[0][:, :2], tables[1])


def test_predict_checks_the_columns_seen_at_fit(tables):
    X, y, _, _ = tables
    teacher = MultiTeacher(unfitted_pair()).fit(X, y)
    with pytest.raises(ValueError, match="expecting 6 features"):
        teacher.predict(X[:, :3])


# Honest labels.


def test_labels_are_honest_for_every_member(tables):
    X, y, _, _ = tables
    teacher = MultiTeacher(unfitted_pair(), combine="mean")
    used = lazy_teacher(teacher, X, y)
    answers, labelling = label_rows(used, "auto", 5)
    forest = RandomForestClassifier(30, random_state=0, oob_score=True).fit(X, y)
    linear = cross_val_predict(LogisticRegression(), X, y, cv=5, method="predict_proba")
    expected = (forest.oob_decision_function_ + linear) / 2
    np.testing.assert_allclose(softmax(answers.margins(), axis=1), expected, atol=0.01)
    assert labelling == "cross_fit"


def test_labelling_names_the_least_honest_member(tables):
    X, y, _, _ = tables
    forests = [(name, RandomForestClassifier(30, random_state=i)) for i, name in enumerate("ab")]
    fitted = [(name, clone(forest).fit(X, y)) for name, forest in forests]
    linear = LogisticRegression().fit(X, y)

    def labelling(*teachers):
        return DistilledClassifier(MultiTeacher(list(teachers)), random_state=0).fit(X, y)

    assert labelling(*forests).labelling_ == "oob"
    assert labelling(*fitted).labelling_ == "oob"
    assert labelling(*forests, ("lr", clone(linear))).labelling_ == "cross_fit"
    with pytest.warns(UserWarning, match=r"cannot be known whether the teacher \(LogisticRegress"):
        assert labelling(*fitted, ("lr", linear)).labelling_ == "direct"


def test_members_that_know_their_rows_are_warned_about_by_name(tables, fitted):
    X, y, X_other, y_other = tables
    message = r"fitted on the very rows it labels directly \(GradientBoostingClassifier\)"
    with pytest.warns(UserWarning, match=message):
        DistilledClassifier(MultiTeacher(fitted)).fit(X, y)
    DistilledClassifier(MultiTeacher(fitted), labelling="direct").fit(X_other, y_other)
    model = DistilledClassifier(MultiTeacher(fitted), labelling="cross_fit").fit(X, y)
    assert model.labelling_ == "cross_fit"


def test_out_of_bag_labels_need_members_that_have_them(tables, fitted):
    X, y, _, _ = tables
    with pytest.raises(ValueError, match="the teacher is GradientBoostingClassifier"):
        DistilledClassifier(MultiTeacher(fitted), labelling="oob").fit(X, y)


def test_several_teachers_know_their_rows_if_one_of_them_does(tables, fitted):
    X, _, X_other, _ = tables
    (forest, _, linear) = fitted
    assert proof_of_training_rows(MultiTeacher([forest, linear]), X) is Proof.PROVED
    several = MultiTeacher([forest, ("again", forest[1])])
    assert proof_of_training_rows(several, X_other) is Proof.REFUTED
    assert proof_of_training_rows(MultiTeacher([forest, linear]), X_other) is Proof.UNKNOWN


def test_every_teacher_is_fitted_once_for_weights_labels_and_answers(tables):
    X, y, _, _ = tables
    fits = []

    class Counted(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            fits.append(len(X))
            return super().fit(X, y, sample_weight)

    teacher = MultiTeacher([("a", Counted()), ("b", LogisticRegression())], weights="auto", cv=4)
    model = DistilledClassifier(teacher, cv=4, random_state=0).fit(X, y)
    assert sorted(fits) == [300] * 4 + [400]
    np.testing.assert_allclose(model.teacher_.weights_, teacher.fit(X, y).weights_, atol=1e-6)


def test_synthetic_and_unlabelled_rows_are_answered_directly(tables):
    X, y, X_other, _ = tables
    teacher = MultiTeacher(
        [(name, RandomForestClassifier(30, random_state=i)) for i, name in enumerate("ab")]
    )
    model = DistilledClassifier(teacher, augmentation=Munge(1), random_state=0)
    model.fit(X, y, X_unlabeled=X_other)
    assert model.labelling_ == "oob"
    assert model.transfer_summary_["synthetic"]["labelling"] == "direct"
    assert model.transfer_summary_["unlabelled"]["labelling"] == "direct"


def test_students_follow_the_pool_not_one_teacher(tables):
    X, y, X_other, y_other = tables
    forest = RandomForestClassifier(30, random_state=0).fit(X, y)
    wrong = RandomForestClassifier(30, random_state=0).fit(X, 1 - y)
    student = TreeStudentClassifier(8)

    def score(weights):
        teacher = MultiTeacher([("right", forest), ("wrong", wrong)], weights=weights)
        model = DistilledClassifier(teacher, student, alpha=1.0)
        return model.fit(X_other, y_other).score(X_other, y_other)

    assert score([1, 0]) > 0.75
    with pytest.warns(UserWarning, match="class 0 worse than chance"):
        assert score([0, 1]) < 0.25


def test_a_prior_is_corrected_for_the_pool(tables):
    X, y, X_other, y_other = tables
    frequent = np.concatenate([np.flatnonzero(y == 1), np.flatnonzero(y == 0)[:40]])
    teacher = MultiTeacher(unfitted_pair()).fit(X[frequent], y[frequent])
    model = DistilledClassifier(teacher, prior_correction="auto", random_state=0)
    model.fit(X_other, y_other)
    mean = model.teacher_proba(X_other)[:, 1].mean()
    assert abs(mean - y_other.mean()) < 0.01
    assert teacher.predict_proba(X_other)[:, 1].mean() > y_other.mean() + 0.1


# As an estimator.


def test_clones_keep_fitted_teachers_by_reference(tables, fitted):
    teacher = MultiTeacher([*fitted, ("nb", GaussianNB(), [0, 1])])
    copy = clone(teacher)
    assert [each for _, each, *_ in copy.teachers[:3]] == [each for _, each in fitted]
    assert copy.teachers[3][1] is not teacher.teachers[3][1]
    assert copy.teachers[3][2] == [0, 1]
    frozen = MultiTeacher([("rf", FrozenEstimator(fitted[0][1]))])
    assert clone(frozen).predict(tables[0]).tolist() == frozen.predict(tables[0]).tolist()


def test_parameters_of_teachers_are_reached_by_name(fitted):
    teacher = MultiTeacher([("rf", RandomForestClassifier(7)), ("lr", LogisticRegression(), [0])])
    params = teacher.get_params()
    assert params["rf__n_estimators"] == 7
    assert params["lr"] is teacher.teachers[1][1]
    teacher.set_params(rf__n_estimators=9, lr=GaussianNB(), combine="log_pool")
    assert teacher.teachers[0][1].n_estimators == 9
    assert isinstance(teacher.teachers[1][1], GaussianNB)
    assert teacher.teachers[1][2] == [0]
    teacher.set_params(teachers=fitted, lr__C=2.0)
    assert teacher.teachers[2][1].C == 2.0


def test_a_parameter_of_a_fitted_teacher_replaces_it_by_an_unfitted_clone(tables, fitted):
    _, _, X_other, y_other = tables
    forest = fitted[0][1]
    teacher = MultiTeacher(list(fitted)).set_params(rf__max_depth=1)
    assert forest.max_depth is None
    assert teacher.teachers[0][1] is not forest
    assert not hasattr(teacher, "classes_")
    assert teacher.teachers[1][1] is fitted[1][1]
    distiller = DistilledClassifier(MultiTeacher(fitted)).set_params(teacher__rf__max_depth=1)
    assert forest.max_depth is None
    distiller.fit(X_other, y_other)
    assert distiller.teacher_.teachers_[0].max_depth == 1
    assert distiller.teacher_.teachers_[1] is fitted[1][1]


def test_a_grid_search_keeps_fitted_teachers_and_changes_none(tables, fitted):
    _, _, X, y = tables
    teacher = MultiTeacher(fitted)
    search = GridSearchCV(
        DistilledClassifier(teacher, random_state=0),
        {"teacher__combine": RULES, "teacher__weights": [None, "auto", [1, 0, 0]]},
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert teacher.combine == "mean"
    assert teacher.weights is None
    found = search.best_estimator_.teacher_
    assert found.combine == search.best_params_["teacher__combine"]
    assert found.teachers_ == [each for _, each in fitted]


def test_a_seed_of_the_distiller_leaves_fitted_teachers_alone(tables):
    X, y, X_other, y_other = tables
    forest = RandomForestClassifier(20).fit(X, y)  # without a seed of its own
    teacher = MultiTeacher([("rf", forest), ("other", RandomForestClassifier(20))])
    a, b = (DistilledClassifier(teacher, random_state=3).fit(X_other, y_other) for _ in range(2))
    assert a.teacher_.teachers_[0] is forest
    assert forest.random_state is None
    assert a.teacher_.teachers_[1].random_state is not None
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_the_cache_knows_fitted_and_unfitted_members_apart(tables, fitted, tmp_path):
    _, _, X, y = tables
    calls = []

    class Counted(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            calls.append(len(X))
            return super().fit(X, y, sample_weight)

    def fit(*teachers, **params):
        calls.clear()
        teacher = MultiTeacher(list(teachers), **params)
        model = DistilledClassifier(teacher, TreeStudentClassifier(4), memory=str(tmp_path))
        return model.fit(X, y).predict_proba(X), len(calls)

    forest, boosting, _ = fitted
    first, n = fit(forest, ("own", Counted()))
    assert n == 6
    again, n = fit(forest, ("own", Counted()))
    assert n == 0
    np.testing.assert_array_equal(first, again)
    for changed in (
        fit(boosting, ("own", Counted())),
        fit(forest, ("own", Counted(C=1e-4))),
        fit(forest, ("own", Counted(), [0, 1])),
        fit(forest, ("own", Counted()), combine="log_pool"),
        fit(forest, ("own", Counted()), weights=[1, 3]),
    ):
        assert changed[1] > 0
        assert not np.array_equal(changed[0], first)
    of_fitted = fit(forest, boosting)[0]
    assert not np.array_equal(fit(forest, boosting, weights=[1, 9])[0], of_fitted)


@pytest.mark.parametrize("wrap", [FrozenEstimator, make_pipeline])
def test_a_wrapped_fitted_teacher_is_labelled_member_by_member(tables, wrap):
    X, y, _, _ = tables
    teacher = MultiTeacher(unfitted_pair()[:1]).fit(X, y)
    wrapped = wrap(teacher)
    model = DistilledClassifier(wrapped, random_state=0).fit(X, y)
    assert model.labelling_ == "oob"
    assert model.teacher_ is wrapped


def test_an_unfitted_pipeline_around_several_teachers_is_cross_fitted(tables):
    X, y, _, _ = tables
    teacher = make_pipeline(StandardScaler(), MultiTeacher(unfitted_pair()))
    model = DistilledClassifier(teacher, random_state=0).fit(X, y)
    assert model.labelling_ == "cross_fit"


def test_members_may_be_several_teachers_themselves(tables):
    X, y, X_other, _ = tables
    inner = MultiTeacher([("nb", GaussianNB()), ("lr", LogisticRegression())], weights=[1, 3])
    outer = MultiTeacher([("inner", inner), ("more", LogisticRegression(C=0.1))], weights="auto")
    model = DistilledClassifier(outer, random_state=0).fit(X, y)
    assert model.labelling_ == "cross_fit"
    assert model.teacher_.predict_proba(X_other).shape == (400, 2)
    assert model.teacher_.n_features_in_ == 6


def test_frames_with_strings_and_gaps_pipelines_and_pickles(mixed_frame):
    frame, y, _ = mixed_frame()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    boosting = HistGradientBoostingClassifier(max_iter=10, categorical_features="from_dtype")
    teacher = MultiTeacher(
        [("lr", pipeline, ["count", "flag"]), ("hgb", boosting, ["amount", "kind"])],
        weights="auto",
    )
    model = DistilledClassifier(teacher, label_correction=False, random_state=0).fit(frame, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        copy.teacher_.predict_proba(frame), model.teacher_.predict_proba(frame)
    )
    assert "MultiTeacher(teachers=[('lr'" in repr(teacher)


def test_reports_take_several_teachers(tables, fitted):
    pytest.importorskip("shap")
    X, y, X_other, y_other = tables
    model = DistilledClassifier(MultiTeacher(fitted), random_state=0).fit(X_other, y_other)
    report = fidelity_report(model, X[:100], y[:100], n_resamples=20, cost=False)
    assert "distilled from MultiTeacher" in str(report)
    explanation = explain(MultiTeacher(fitted), X[:3], X_other[:20])
    assert explanation.values.shape == (3, 6, 2)


@pytest.mark.parametrize(
    ("teachers", "error", "message"),
    [
        ([], ValueError, "with at least one"),
        (None, ValueError, "a list of tuples"),
        ([LogisticRegression()], ValueError, "a list of tuples"),
        ([("lr",)], ValueError, "a list of tuples"),
        ([(1, LogisticRegression())], ValueError, "a list of tuples"),
        ([("a", LogisticRegression()), ("a", GaussianNB())], ValueError, "not unique"),
        ([("a__b", LogisticRegression())], ValueError, "must not contain __"),
        ([("cv", LogisticRegression())], ValueError, "conflict with constructor"),
        ([("ridge", RidgeClassifier())], TypeError, "Teacher 'ridge': .*without predict_proba"),
        ([("lr", LogisticRegression)], TypeError, "Teacher 'lr': .*is the class"),
        ([("lr", "drop")], TypeError, "Teacher 'lr': .*a classifier with fit"),
    ],
)
def test_what_is_no_list_of_classifiers_is_refused(tables, teachers, error, message):
    X, y, _, _ = tables
    with pytest.raises(error, match=message):
        MultiTeacher(teachers).fit(X, y)
    with pytest.raises(error, match=message):
        DistilledClassifier(MultiTeacher(teachers)).fit(X, y)


def test_teachers_of_different_classes_are_refused_with_their_names(tables, multiclass_task):
    X, y, _, _ = tables
    two = RandomForestClassifier(5).fit(X, y)
    three = RandomForestClassifier(5).fit(*multiclass_task)
    teacher = MultiTeacher([("two", two), ("three", three)])
    message = r"different classes, 'two': \[0, 1\], 'three': \[0, 1, 2\]"
    for answer in (lambda: teacher.fit(X, y), lambda: teacher.predict(X)):
        with pytest.raises(ValueError, match=message):
            answer()
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(teacher).fit(X, y)
    with pytest.raises(ValueError, match=r"Teacher 'two': y holds \[2\], which the fitted"):
        MultiTeacher([("two", two), ("lr", LogisticRegression())]).fit(X, np.where(y, 2, 0))


@pytest.mark.parametrize("has_memory", [False, True])
def test_folds_that_can_be_read_once_serve_every_teacher_fit_and_clone(
    tables, has_memory, tmp_path
):
    X, y, _, _ = tables
    members = [("lr", LogisticRegression()), ("nb", GaussianNB())]
    splits = list(KFold(3).split(X))
    expected = MultiTeacher(members, weights="auto", cv=splits).fit(X, y).weights_
    once = MultiTeacher(members, weights="auto", cv=iter(splits))
    for teacher in (once, once, clone(MultiTeacher(members, weights="auto", cv=iter(splits)))):
        np.testing.assert_allclose(teacher.fit(X, y).weights_, expected)
    model = DistilledClassifier(
        MultiTeacher(members, weights="auto", cv=(each for each in splits)),
        cv=(each for each in splits),
        memory=str(tmp_path) if has_memory else None,
    )
    for each in (clone(model), model, model):
        each.fit(X, y)
        assert each.labelling_ == "cross_fit"
    other = DistilledClassifier(
        MultiTeacher(members, weights="auto", cv=iter(splits)), cv=iter(splits)
    ).fit(X, y)
    np.testing.assert_allclose(other.teacher_.weights_, expected)
