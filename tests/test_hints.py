"""What students follow besides margins: leaves, relations, attributions, a discriminator."""

import importlib
import pickle
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from skdistill import (
    AdversarialHint,
    AttributionHint,
    DistilledClassifier,
    LeafHint,
    LinearStudentClassifier,
    MLPStudentClassifier,
    MultiTeacher,
    ProximityHint,
    TreeStudentClassifier,
)
from skdistill.distill.hints.base import Hint, compute_targets
from skdistill.soft_labels import HintTargets, SoftTargets
from skdistill.students.network_training.losses import Batch, pack_distillation
from skdistill.students.network_training.network import network_of
from skdistill.teacher.attributions import tree_attributions
from skdistill.teacher.leaves import MOST_TREES, LeafEmbedding, leaves_of
from skdistill.teacher.margins import ClassifierTeacher
from skdistill.transfer_set import not_observed

FAMILIES = [LeafHint, ProximityHint, AttributionHint, AdversarialHint]
each_family = pytest.mark.parametrize("family", FAMILIES)

ENSEMBLES = [
    DecisionTreeClassifier(max_depth=4),
    RandomForestClassifier(12, random_state=0),
    ExtraTreesClassifier(12, random_state=0),
    GradientBoostingClassifier(n_estimators=8),
    HistGradientBoostingClassifier(max_iter=8),
    BaggingClassifier(n_estimators=8, max_features=0.5, random_state=0),
    AdaBoostClassifier(n_estimators=8, random_state=0),
    LGBMClassifier(n_estimators=8, verbose=-1),
    XGBClassifier(n_estimators=8),
    CatBoostClassifier(iterations=8, verbose=0, allow_writing_files=False),
    VotingClassifier(
        [("a", RandomForestClassifier(4)), ("b", XGBClassifier(n_estimators=4))], voting="soft"
    ),
]


#: Fits without what takes longest.
FAST = {"augmentation": None, "label_correction": False, "random_state": 0}


def small_mlp(**params):
    return MLPStudentClassifier((16,), **{"max_epochs": 20, "random_state": 0, **params})


def hidden_layer(student, X):
    with torch.no_grad():
        network = network_of(student)
        positions = torch.as_tensor(student.encoding_.positions(X))
        return network.hidden(network.first(positions)).numpy()


# ---- leaves


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("task", ["binary_task", "multiclass_task"])
def test_rows_of_the_same_leaves_have_the_same_answer_and_others_differ(ensemble, task, request):
    X, y = request.getfixturevalue(task)
    ensemble.fit(X, y)
    leaves = leaves_of(ensemble, X)
    assert leaves.dtype == np.int32
    assert len(leaves) == len(X)
    answers = ensemble.predict_proba(X).round(6)
    _, cell = np.unique(leaves, axis=0, return_inverse=True)
    for number in range(cell.max() + 1):
        assert len(np.unique(answers[cell == number], axis=0)) == 1
    assert len(np.unique(cell)) >= len(np.unique(answers, axis=0))


def test_leaves_of_a_forest_are_those_it_applies_and_spread_over_it(binary_task):
    X, y = binary_task
    forest = RandomForestClassifier(2 * MOST_TREES, random_state=0).fit(X, y)
    leaves = leaves_of(forest, X)
    assert leaves.shape == (len(X), MOST_TREES)
    assert_array_equal(leaves[:, 0], forest.estimators_[0].apply(X))
    assert_array_equal(leaves[:, -1], forest.estimators_[-1].apply(X))


def test_leaves_told_apart_by_answers_are_the_trees_own(binary_task):
    X, y = binary_task
    booster = HistGradientBoostingClassifier(max_iter=6).fit(X, y)
    n_leaves = [tree.get_n_leaf_nodes() for stage in booster._predictors for tree in stage]
    found = [len(np.unique(column)) for column in leaves_of(booster, X).T]
    assert found[1:] == n_leaves[1:]
    assert found[0] < n_leaves[0]  # pure leaves of one class all add the same


def test_leaves_of_a_pipeline_are_asked_behind_its_transformers(binary_task):
    X, y = binary_task
    pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(X, y)
    assert_array_equal(leaves_of(pipeline, X), pipeline[-1].apply(pipeline[:-1].transform(X)))


def test_leaves_of_several_teachers_are_those_of_each_on_its_columns(binary_task):
    X, y = binary_task
    forest = RandomForestClassifier(5, random_state=0).fit(X[:, :4], y)
    booster = XGBClassifier(n_estimators=4).fit(X, y)
    several = MultiTeacher([("forest", forest, [0, 1, 2, 3]), ("booster", booster)])
    expected = np.hstack([leaves_of(forest, X[:, :4]), leaves_of(booster, X)])
    assert_array_equal(leaves_of(several, X), expected)


def test_leaf_embeddings_keep_who_shares_leaves(binary_task, forest):
    X, _ = binary_task
    leaves = leaves_of(forest, X)
    embedded = LeafEmbedding(leaves).embed(leaves)
    assert_allclose(embedded.mean(axis=0), 0, atol=1e-4)
    assert embedded.var(axis=0).mean() == pytest.approx(1, rel=1e-3)
    near = (embedded[:, None] - embedded[None]) ** 2
    proximity = (leaves[:, None] == leaves[None]).mean(axis=2)
    pairs = np.triu_indices(len(X), 1)
    assert np.corrcoef(near.sum(axis=2)[pairs], proximity[pairs])[0, 1] < -0.4


def test_a_leaf_that_the_embedding_has_not_seen_is_no_leaf():
    leaves = np.array([[1, 5], [1, 6], [2, 5], [2, 6]], dtype=np.int32)
    embedding = LeafEmbedding(leaves)
    assert np.isfinite(embedding.embed(np.array([[9, 9]], dtype=np.int32))).all()


def test_an_ensemble_of_single_leaves_can_be_embedded():
    embedding = LeafEmbedding(np.ones((5, 3), dtype=np.int32))
    assert_allclose(embedding.embed(np.ones((2, 3), dtype=np.int32)), 0, atol=1e-5)


# ---- attributions


def as_teacher(estimator):
    return ClassifierTeacher(estimator, estimator.classes_, estimator.classes_, None)


@pytest.mark.parametrize("position", [0, 1])
def test_attributions_add_up_to_the_answer_for_the_class_asked(binary_task, position):
    X, y = binary_task
    forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    values = tree_attributions(as_teacher(forest), X[:20], np.full(20, position))
    base = np.mean([tree.tree_.value[0, 0] for tree in forest.estimators_], axis=0)[position]
    assert_allclose(values.sum(axis=1) + base, forest.predict_proba(X[:20])[:, position], atol=1e-6)


@pytest.mark.parametrize("position", [0, 1])
def test_attributions_of_binary_boosting_change_sign_with_the_class(binary_task, position):
    X, y = binary_task
    booster = LGBMClassifier(n_estimators=10, verbose=-1).fit(X, y)
    values = tree_attributions(as_teacher(booster), X[:20], np.full(20, position))
    contributions = booster.predict(X[:20], pred_contrib=True)[:, :-1]
    assert_allclose(values, contributions if position else -contributions, atol=1e-6)


def test_attributions_go_to_the_users_columns(mixed_frame):
    frame, y, _ = mixed_frame()
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["kind", "city"]), remainder="passthrough"
    )
    pipeline = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=10)).fit(frame, y)
    values = tree_attributions(as_teacher(pipeline), frame, np.ones(len(frame), dtype=int))
    assert values.shape == frame.shape
    inner = tree_attributions(
        as_teacher(pipeline[-1]), pipeline[:-1].transform(frame), np.ones(len(frame), dtype=int)
    )
    columns = list(frame.columns)
    assert_allclose(values[:, columns.index("kind")], inner[:, :3].sum(axis=1))
    assert_allclose(values[:, columns.index("amount")], inner[:, -3])


def test_a_teacher_that_tree_shap_does_not_know_is_refused(binary_task):
    X, y = binary_task
    voting = VotingClassifier([("a", RandomForestClassifier(3))], voting="soft").fit(X, y)
    with pytest.raises(ValueError, match=r"shap says.*leave AttributionHint out"):
        tree_attributions(as_teacher(voting), X, y)
    mixing = make_pipeline(PCA(3), RandomForestClassifier(3)).fit(X, y)
    with pytest.raises(ValueError, match="mix columns"):
        tree_attributions(as_teacher(mixing), X, y)


# ---- terms


def a_batch(rng, n_rows=6, n_codes=5, n_hidden=4, n_classes=3):
    arrays = [rng.normal(size=(n_rows, n)) for n in (n_codes, n_hidden, n_classes)]
    return Batch(*(torch.as_tensor(a, dtype=torch.float32).requires_grad_() for a in arrays), None)


def test_the_term_of_leaves_is_the_mean_squared_error_of_a_linear_map(rng):
    head, step = LeafHint().make_head(4, 3), a_batch(rng)
    targets = torch.as_tensor(rng.normal(size=(6, 3)), dtype=torch.float32)
    weight, bias = (p.detach().numpy() for p in head.parameters())
    predicted = step.hidden.detach().numpy() @ weight.T + bias
    expected = np.mean((predicted - targets.numpy()) ** 2)
    found = float(LeafHint().term(head, step, targets).detach())
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_term_of_proximities_is_one_minus_the_correlation_over_pairs(rng):
    step, leaves = a_batch(rng), rng.integers(2, size=(6, 5))
    hidden = step.hidden.detach().numpy()
    hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
    pairs = ~np.eye(6, dtype=bool)
    cosine = (hidden @ hidden.T)[pairs]
    proximity = (leaves[:, None] == leaves[None]).mean(axis=2)[pairs]
    expected = 1 - np.corrcoef(cosine, proximity)[0, 1]
    found = ProximityHint().term(None, step, torch.as_tensor(leaves, dtype=torch.float32))
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)


def test_the_term_of_proximities_is_finite_for_one_row_and_for_rows_that_share_nothing(rng):
    step = a_batch(rng, n_rows=1)
    assert torch.isfinite(ProximityHint().term(None, step, torch.zeros(1, 3)))
    strangers = torch.arange(6.0)[:, None]
    loss = ProximityHint().term(None, a_batch(rng), strangers)
    loss.backward()
    assert torch.isfinite(loss)


def attribution_of(network, codes, position):
    """Gradient times input by finite differences, for a class, summed up by column."""
    step, base = 1e-3, codes.mean(dim=0)
    with torch.no_grad():

        def margin(x):
            z = network.after(network.first.of_codes(x))
            z = torch.nn.functional.pad(z, (1, 0)) if z.shape[1] == 1 else z
            return (z - z.mean(dim=1, keepdim=True))[torch.arange(len(x)), position]

        slope = torch.stack(
            [
                (margin(codes + step * e) - margin(codes - step * e)) / (2 * step)
                for e in torch.eye(codes.shape[1], dtype=codes.dtype)
            ],
            dim=1,
        )
        of_columns = torch.zeros(len(codes), int(network.first.column.max()) + 1, dtype=codes.dtype)
        return of_columns.index_add(1, network.first.column, slope * (codes - base))


@pytest.mark.parametrize("task", ["binary_task", "multiclass_task"])
def test_the_term_of_attributions_is_one_minus_the_cosine_on_explained_rows(task, request, rng):
    X, y = request.getfixturevalue(task)
    student = MLPStudentClassifier((6,), n_bins=4, max_epochs=2, random_state=0).fit(X, y)
    network = network_of(student).double()
    positions = torch.as_tensor(student.encoding_.positions(X[:40])).double()
    asked = torch.as_tensor(y[:40])
    of_teacher = torch.as_tensor(rng.normal(size=(40, X.shape[1])))
    explained = torch.arange(40) % 3 == 0
    values = torch.cat([of_teacher, torch.where(explained, asked, -1)[:, None]], dim=1)
    hints = (HintTargets(AttributionHint(1.0), values.numpy()),)
    targets = SoftTargets(np.zeros((40, len(student.classes_))), y[:40], np.ones(40), hints=hints)
    criterion, packed = pack_distillation(targets)
    criterion.attach_to(network)
    _, loss, with_term = criterion.in_training(network, positions, torch.as_tensor(packed).double())
    own = attribution_of(network, network.first.codes(positions), asked)
    cosine = torch.nn.functional.cosine_similarity(own, of_teacher, dim=1)
    expected = (1 - cosine)[explained].mean()
    assert float((with_term - loss).detach()) == pytest.approx(float(expected.detach()), rel=1e-3)


def test_the_student_is_pushed_against_the_discriminators_gradient(rng):
    step, discriminator = a_batch(rng), AdversarialHint().make_head(4, 3)
    of_teacher = torch.softmax(torch.as_tensor(rng.normal(size=(6, 3))).float(), dim=1)
    AdversarialHint().term(discriminator, step, of_teacher).backward()
    found, of_discriminator = step.margins.grad.clone(), discriminator[0].weight.grad.clone()

    margins = step.margins.detach().requires_grad_()
    discriminator.zero_grad()
    p, row = torch.softmax(margins, dim=1), step.hidden.detach()
    log_odds = [discriminator(torch.cat([row, side], dim=1)) for side in (of_teacher, p)]
    gain = torch.nn.functional.logsigmoid(log_odds[0]) + torch.nn.functional.logsigmoid(
        -log_odds[1]
    )
    (-gain.mean() / 2).backward()
    assert_allclose(found.numpy(), -margins.grad.numpy(), rtol=1e-4, atol=1e-7)
    expected = discriminator[0].weight.grad.numpy()
    assert_allclose(of_discriminator.numpy(), expected, rtol=1e-4, atol=1e-7)
    assert step.hidden.grad is None  # it describes the row, and is not to hide it


def test_terms_add_up_with_their_weights_and_epochs_are_compared_without(rng, binary_task):
    X, y = binary_task
    student = small_mlp(max_epochs=1).fit(X, y)
    values = rng.integers(3, size=(600, 5)).astype(np.float32)
    positions = torch.as_tensor(student.encoding_.positions(X))

    def of_training(weight):
        hints = (HintTargets(ProximityHint(weight), values),)
        targets = SoftTargets(np.zeros((600, 2)), y, np.ones(600), alpha=0.5, hints=hints)
        criterion, packed = pack_distillation(targets)
        network = network_of(student)
        criterion.attach_to(network)
        outputs, loss, total = criterion.in_training(network, positions, torch.as_tensor(packed))
        assert torch.equal(criterion(outputs, torch.as_tensor(packed)), loss)
        return float(loss.detach()), float(total.detach())

    (loss, one), (_, three) = of_training(1.0), of_training(3.0)
    assert three - loss == pytest.approx(3 * (one - loss), rel=1e-4)
    assert one > loss


# ---- from teacher to student


@pytest.fixture(scope="module")
def hinted(binary_task):
    """Students that follow one family each, and none, of a forest fitted on the first 400 rows."""
    X, y = binary_task
    forest = RandomForestClassifier(40, random_state=0).fit(X[:400], y[:400])

    def distil(**params):
        model = DistilledClassifier(
            forest, small_mlp(max_epochs=60), augmentation=None, label_correction=False, **params
        )
        return model.fit(X[:400], y[:400]).student_

    students = {family: distil(hints=[family(weight=3.0)]) for family in FAMILIES}
    return forest, X[400:], {"none": distil(), **students}


def test_a_student_that_follows_leaves_knows_the_leaves_of_fresh_rows(hinted):
    forest, X, students = hinted
    embedded = LeafEmbedding(leaves_of(forest, X)).embed(leaves_of(forest, X))

    def known(student):
        hidden = hidden_layer(student, X)
        fitted = LinearRegression().fit(hidden[:100], embedded[:100])
        return r2_score(embedded[100:], fitted.predict(hidden[100:]))

    assert known(students[LeafHint]) > known(students["none"]) + 0.05


def test_a_student_that_follows_proximities_keeps_fresh_rows_together_as_the_forest_does(hinted):
    forest, X, students = hinted
    leaves = leaves_of(forest, X)
    pairs = np.triu_indices(len(X), 1)
    proximity = (leaves[:, None] == leaves[None]).mean(axis=2)[pairs]

    def likeness(student):
        hidden = hidden_layer(student, X)
        hidden = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
        return np.corrcoef((hidden @ hidden.T)[pairs], proximity)[0, 1]

    assert likeness(students[ProximityHint]) > likeness(students["none"]) + 0.05


def test_a_student_that_follows_attributions_has_the_teachers_reasons_for_fresh_rows(hinted):
    forest, X, students = hinted
    position = forest.predict(X)
    of_teacher = torch.as_tensor(tree_attributions(as_teacher(forest), X, position))

    def likeness(student):
        network = network_of(student).double()
        positions = torch.as_tensor(student.encoding_.positions(X)).double()
        own = attribution_of(network, network.first.codes(positions), torch.as_tensor(position))
        return float(torch.nn.functional.cosine_similarity(own, of_teacher, dim=1).mean())

    assert likeness(students[AttributionHint]) > likeness(students["none"]) + 0.03


def test_a_discriminator_changes_the_student(hinted):
    _, X, students = hinted
    difference = students[AdversarialHint].predict_proba(X) - students["none"].predict_proba(X)
    assert np.abs(difference).max() > 1e-3


def test_without_hints_the_teacher_is_asked_for_none(binary_task, forest, monkeypatch):
    monkeypatch.setattr("skdistill.distill.classifier.compute_targets_in_fit", None)
    DistilledClassifier(forest, small_mlp(max_epochs=1)).fit(*binary_task)
    model = DistilledClassifier(forest, small_mlp(max_epochs=1), hints=[LeafHint()])
    with pytest.raises((TypeError, AttributeError, ValueError)):
        model.fit(*binary_task)


@each_family
def test_hints_repeat_with_a_seed(binary_task, forest, family):
    X, y = binary_task
    model = DistilledClassifier(
        forest, MLPStudentClassifier((8,), max_epochs=2), random_state=3, hints=[family(1)]
    )
    first = model.fit(X, y).predict_proba(X)
    assert_array_equal(model.fit(X, y).predict_proba(X), first)


def test_all_hints_go_together_on_frames_with_strings_and_gaps(mixed_frame):
    frame, y, _ = mixed_frame()
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["kind", "city"]),
        remainder="passthrough",
    )
    teacher = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=10))
    hints = [family(0.5) for family in FAMILIES]
    model = DistilledClassifier(teacher, small_mlp(), random_state=0, hints=hints)
    model.fit(frame, y, X_unlabeled=(mixed_frame(50, seed=1)[0],))
    assert model.score(frame, y) > 0.6


def test_hints_from_the_cache_do_without_the_teacher(binary_task, tmp_path):
    X, y = binary_task

    def distil(weight):
        model = DistilledClassifier(
            RandomForestClassifier(25, random_state=0),
            small_mlp(max_epochs=2),
            hints=[LeafHint(weight), AttributionHint(weight)],
            memory=str(tmp_path),
            random_state=0,
        )
        return model.fit(X, y)

    first, second, other = distil(1.0), distil(1.0), distil(2.0)
    assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert np.abs(first.predict_proba(X) - other.predict_proba(X)).max() > 0
    assert first.teacher_ is not None
    with pytest.raises(AttributeError, match="memory"):  # another weight asks for nothing new
        other.teacher_  # noqa: B018
    with pytest.raises(AttributeError, match="memory"):
        second.teacher_  # noqa: B018


def test_partial_fit_goes_on_with_hints_in_the_embedding_of_fit(binary_task, monkeypatch):
    X, y = binary_task
    model = DistilledClassifier(
        RandomForestClassifier(25, random_state=0),
        small_mlp(max_epochs=2),
        hints=[LeafHint()],
        random_state=0,
    ).fit(X[:400], y[:400])
    seen = []

    def spy(student, transfer_set, *rest):
        seen.extend(transfer_set.hints)

    monkeypatch.setattr("skdistill.distill.classifier.distill_classifier_further", spy)
    model.partial_fit(X[400:])
    (hint,) = seen
    leaves = leaves_of(model.teacher_, X[400:])
    assert_array_equal(hint.targets[:200], model._hint_states["LeafHint"].embed(leaves))


def test_only_real_rows_are_explained_and_not_too_many(binary_task, forest, monkeypatch):
    X, _ = binary_task
    monkeypatch.setattr("skdistill.distill.hints.attribution.EXPLAINED_ROWS", 30)
    margins = ClassifierTeacher(forest, forest.classes_, forest.classes_, np.ones(2)).margins(X)
    rows = not_observed(X, margins, np.ones(600), "unlabelled", forest.classes_)
    rows.origin[100:] = 2
    (targets,), _ = compute_targets([AttributionHint()], as_teacher(forest), rows)
    explained = targets[:, -1] >= 0
    assert explained.sum() == 30
    assert not explained[100:].any()
    assert_array_equal(targets[explained, -1], margins[explained].argmax(axis=1))


# ---- bad input


@each_family
@pytest.mark.parametrize("student", [TreeStudentClassifier(), LogisticRegression()])
def test_a_hint_for_a_student_that_cannot_follow_it_says_which_can(
    binary_task, forest, family, student
):
    model = DistilledClassifier(forest, student, hints=[family()])
    message = rf"{family.__name__} was passed with .*MLPStudentClassifier has.*hints=\(\)"
    with pytest.raises(ValueError, match=message):
        model.fit(*binary_task)


@pytest.mark.parametrize(
    ("student", "loss"),
    [
        (TreeStudentClassifier(), "logit_mse"),
        (LinearStudentClassifier(), "brier"),
        (LogisticRegression(), "js"),
    ],
)
def test_a_loss_asked_of_a_student_that_cannot_minimise_it_says_who_can(
    binary_task, forest, student, loss
):
    with pytest.raises(ValueError, match=rf"loss='{loss}'.*MLPStudentClassifier.*can"):
        DistilledClassifier(forest, student, loss=loss).fit(*binary_task)


@each_family
@pytest.mark.parametrize("weight", [-1.0, 0.0, "a", None, np.nan])
def test_weights_that_are_not_positive_are_refused(binary_task, forest, family, weight):
    model = DistilledClassifier(forest, small_mlp(), hints=[family(weight)])
    with pytest.raises(ValueError, match=f"'weight' parameter of {family.__name__}"):
        model.fit(*binary_task)


@each_family
def test_hints_are_cloned_compared_in_caches_pickled_and_shown(family):
    hint = family(0.3)
    assert repr(hint) == f"{family.__name__}(weight=0.3)"
    assert clone(hint) is not hint
    for twin in (clone(hint), pickle.loads(pickle.dumps(hint))):
        assert joblib.hash(twin) == joblib.hash(hint) != joblib.hash(family(0.4))


def test_a_grid_searches_hints(binary_task):
    X, y = binary_task
    forest = RandomForestClassifier(10, random_state=0)
    model = DistilledClassifier(
        forest, small_mlp(max_epochs=2), random_state=0, augmentation=None, label_correction=False
    )
    grid = {"hints": [(), [ProximityHint(50.0)]]}
    search = GridSearchCV(model, grid, scoring="neg_log_loss", cv=2).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_a_hint_of_ones_own_is_a_term_of_the_loss(binary_task, forest):
    class NormHint(Hint):
        def compute_targets(self, rows, state=None):
            return np.zeros((len(rows.transfer_set.y), 1), dtype=np.float32), None

        def term(self, head, batch, targets):
            return batch.hidden.square().mean()

    X, y = binary_task
    sizes = []
    for hints in ([], [NormHint(10.0)]):
        model = DistilledClassifier(forest, small_mlp(max_epochs=5), random_state=0, hints=hints)
        sizes.append((hidden_layer(model.fit(X, y).student_, X) ** 2).mean())
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize("family", [LeafHint, ProximityHint])
def test_a_teacher_without_leaves_is_refused(binary_task, family):
    model = DistilledClassifier(LogisticRegression(), small_mlp(), hints=[family()])
    with pytest.raises(ValueError, match=r"LogisticRegression has no leaves.*Trees, forests"):
        model.fit(*binary_task)


def test_attributions_for_a_student_behind_transformers_are_refused(binary_task, forest):
    student = make_pipeline(StandardScaler(), small_mlp())
    with pytest.raises(ValueError, match="behind transformers"):
        DistilledClassifier(forest, student, hints=[AttributionHint()]).fit(*binary_task)


@pytest.mark.parametrize("loss", ["kl", "logit_mse", "brier", "js"])
def test_every_loss_imitates_the_teacher(binary_task, loss):
    X, y = binary_task
    booster = LGBMClassifier(n_estimators=20, verbose=-1).fit(X[:300], y[:300])
    model = DistilledClassifier(booster, small_mlp(), loss=loss, alpha=1.0, recalibration=False)
    proba = model.fit(X[300:], y[300:]).predict_proba(X)[:, 1]
    assert np.corrcoef(proba, booster.predict_proba(X)[:, 1])[0, 1] > 0.85


def test_a_linear_student_matches_logits_exactly_where_it_can(rng):
    X = rng.normal(size=(300, 3))

    class Logits(LogisticRegression):
        def decision_function(self, X):
            return 3 * X[:, 0] - 2 * X[:, 1]

        def predict_proba(self, X):
            p = 1 / (1 + np.exp(-self.decision_function(X)))
            return np.column_stack([1 - p, p])

    teacher = Logits().fit(X, X[:, 0] > 0)
    model = DistilledClassifier(
        teacher, LinearStudentClassifier(1, C=1e6), loss="logit_mse", alpha=1.0, temperature=5.0
    )
    model.set_params(labelling="direct", recalibration=False).fit(X, X[:, 0] > 0)
    assert_allclose(model.decision_function(X), teacher.decision_function(X), atol=1e-3)


def test_a_frame_teacher_is_asked_for_leaves_in_its_own_container(mixed_frame):
    frame, y, _ = mixed_frame()
    numbers = frame[["count", "flag"]].astype(float)
    forest = RandomForestClassifier(5, random_state=0).fit(numbers, y)
    assert isinstance(numbers, pd.DataFrame)
    assert_array_equal(leaves_of(forest, numbers), forest.apply(numbers))


@pytest.mark.parametrize(
    ("hints", "error"),
    [
        ([LeafHint(-5)], "range"),
        (LeafHint(), "a list was expected"),
        ([LeafHint], "is the class LeafHint"),
        ("leaf", "a list was expected"),
        ([LeafHint(), LeafHint()], "twice"),
        ([LeafHint(), AdversarialHint()], "AdversarialHint, which the student did not follow"),
    ],
)
def test_partial_fit_checks_hints_that_were_set_since_fit(binary_task, forest, hints, error):
    X, y = binary_task
    model = DistilledClassifier(forest, small_mlp(), hints=[LeafHint()], **FAST).fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises((TypeError, ValueError), match=error):
        model.set_params(hints=hints).partial_fit(X[:50])
    assert_array_equal(model.predict_proba(X), before)


def test_partial_fit_finds_the_embedding_of_fit_whatever_the_order(binary_task, monkeypatch):
    X, y = binary_task
    both, teacher = [LeafHint(), ProximityHint()], RandomForestClassifier(25, random_state=0)
    model = DistilledClassifier(teacher, small_mlp(), hints=both, **FAST).fit(X[:400], y[:400])
    monkeypatch.setattr("skdistill.distill.hints.leaf.LeafEmbedding", None)  # no second one
    model.set_params(hints=both[::-1]).partial_fit(X[400:500])
    model.set_params(hints=both[:1]).partial_fit(X[500:])


@pytest.mark.parametrize("hint", [LeafHint(), ProximityHint()])
def test_hints_about_the_hidden_layer_need_one(binary_task, forest, hint):
    student = MLPStudentClassifier((), max_epochs=2)
    model = DistilledClassifier(forest, student, hints=[hint])
    with pytest.raises(ValueError, match=r"without hidden layers \(hidden_layer_sizes=\(\)\)"):
        model.fit(*binary_task)


OWN_HINT = """
from skdistill import LeafHint

class Scaled(LeafHint):
    def compute_targets(self, rows, state=None):
        targets, state = super().compute_targets(rows, state)
        return targets * {}, state
"""


def test_a_cache_sees_the_code_of_a_hint_of_ones_own(binary_task, forest, tmp_path, monkeypatch):
    X, y = binary_task
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = None
    for factor in ("1.0", "50.0"):
        (tmp_path / "own_hint.py").write_text(OWN_HINT.format(factor))
        importlib.invalidate_caches()
        module = importlib.reload(module) if module else importlib.import_module("own_hint")
        cached, computed = (
            DistilledClassifier(forest, small_mlp(), hints=[module.Scaled()], memory=memory, **FAST)
            for memory in (str(tmp_path / "cache"), None)
        )
        assert_array_equal(cached.fit(X, y).predict_proba(X), computed.fit(X, y).predict_proba(X))
