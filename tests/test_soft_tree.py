"""Soft decision trees: their equations, training in torch, serving without it, and reading them."""

import itertools
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

from skdistill import (
    DistilledClassifier,
    SoftTreeStudentClassifier,
    StudentSearchCV,
    TransferSet,
    TreeDisplay,
    distillation_report,
    explain,
    fidelity_report,
    lean_scorer,
    load,
    save,
    to_c,
    to_onnx,
    to_sql,
    verify,
)
from skdistill.exceptions import StudentFileError
from skdistill.scorer.model import path_probabilities
from skdistill.scorer.student_file import pack, unpack
from skdistill.soft_labels import SoftTargets
from skdistill.students.encoding import ColumnEncoding, Encoding

QUICK = SoftTreeStudentClassifier(2, max_epochs=30, random_state=0)


@pytest.fixture(scope="module")
def training():
    pytest.importorskip("skorch")
    from skdistill.students import network_training
    from skdistill.students.network_training import losses, soft_tree  # noqa: F401

    return network_training


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def fitted(mixed_frame):
    """Two students on columns of all kinds: of two classes, and of three named ones."""
    pytest.importorskip("skorch")
    frame, y, values = mixed_frame()
    names = np.array(["low", "mid", "high"])[(values > 1.5).astype(int) + (values > 3)]
    return {2: clone(QUICK).fit(frame, y), 3: clone(QUICK).fit(frame, names)}


n_classes = pytest.mark.parametrize("n_classes", [2, 3])


def by_hand(student, frame):
    """Walk every path of every row, one node at a time."""
    codes = student.encoding_.expand(student.encoding_.positions(frame)).astype(float)
    right = expit(codes @ student.coef_.astype(float) + student.intercept_)
    depth = int(np.log2(student.n_leaves_))
    reach = np.ones((len(frame), student.n_leaves_))
    for leaf, turns in enumerate(itertools.product([0, 1], repeat=depth)):
        node = 0
        for turn in turns:
            reach[:, leaf] *= right[:, node] if turn else 1 - right[:, node]
            node = 2 * node + 1 + turn
    return reach


# The model


@n_classes
def test_margins_are_the_mean_of_the_leaves_over_the_paths(fitted, mixed_frame, n_classes):
    student, frame = fitted[n_classes], mixed_frame(seed=1)[0]
    reach = by_hand(student, frame)
    np.testing.assert_allclose(student.path_proba(frame), reach, atol=1e-6)
    np.testing.assert_allclose(student.path_proba(frame).sum(axis=1), 1.0, atol=1e-6)
    margins = reach @ student.leaf_outputs_
    expected = margins[:, 0] if n_classes == 2 else margins
    np.testing.assert_allclose(student.decision_function(frame), expected, atol=1e-5)


@n_classes
def test_answers_are_those_of_the_torch_module(fitted, mixed_frame, training, torch, n_classes):
    student, frame = fitted[n_classes], mixed_frame(seed=1)[0]
    tree = training.soft_tree.SoftTree(student.encoding_, student.leaf_outputs_)
    tree.set_weights(student.coef_, student.intercept_)
    with torch.no_grad():
        outputs = tree(torch.as_tensor(student.encoding_.positions(frame))).numpy()
    expected = outputs[:, 0] if n_classes == 2 else outputs
    np.testing.assert_allclose(student.decision_function(frame), expected, atol=1e-6)


def test_path_probabilities_of_sure_nodes_are_zero_and_one_without_overflow():
    log_odds = np.array([[-1e4, 50.0, 1e4], [1e4, 50.0, -1e4]], dtype=np.float32)
    expected = [[0, 1, 0, 0], [0, 0, 1, 0]]
    np.testing.assert_allclose(path_probabilities(log_odds), expected, atol=1e-20)


def test_sure_nodes_make_an_ordinary_tree(rng):
    X = rng.integers(0, 4, (300, 2)).astype(float)
    y = (X[:, 0] > 1) * 2 + (X[:, 1] > 1)
    y = np.array([0, 1, 1, 2])[y]
    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y).tree_
    columns = tuple(ColumnEncoding(edges=np.arange(4.0), fill_value=0.0) for _ in range(2))
    student = SoftTreeStudentClassifier(2)
    student.encoding_ = Encoding(columns, ("x0", "x1"))
    student.classes_, student.n_features_in_ = np.arange(3), 2
    # The code of the bin from k to k + 1 is 1 where x > k: one weight per node is a threshold.
    nodes = [0, tree.children_left[0], tree.children_right[0]]
    student.coef_ = np.zeros((6, 3), dtype=np.float32)
    for i, node in enumerate(nodes):
        student.coef_[3 * tree.feature[node] + int(tree.threshold[node]), i] = 200.0
    student.intercept_ = np.full(3, -100.0, dtype=np.float32)
    leaves = [child[n] for n in nodes[1:] for child in (tree.children_left, tree.children_right)]
    with np.errstate(divide="ignore"):
        student.leaf_outputs_ = np.log(np.maximum(tree.value[leaves, 0], 1e-9)).astype(np.float32)
    student.n_leaves_ = 4
    expected = tree.value[tree.apply(X.astype(np.float32)), 0]
    np.testing.assert_allclose(student.predict_proba(X), expected, atol=1e-6)
    assert set(np.unique(student.path_proba(X).round(30))) == {0.0, 1.0}


def test_the_loss_of_the_mean_is_at_most_the_mean_of_the_leaves_losses(fitted, mixed_frame):
    # Frosst and Hinton minimise the latter; the docstring says which is larger.
    student, (frame, y, _) = fitted[2], mixed_frame(seed=1)
    sign = 2 * (y == student.classes_[1]) - 1
    of_leaves = np.logaddexp(0, -sign[:, None] * student.leaf_outputs_[:, 0])
    of_paths = (student.path_proba(frame) * of_leaves).sum(axis=1)
    of_mean = np.logaddexp(0, -sign * student.decision_function(frame))
    assert (of_mean <= of_paths + 1e-6).all()
    assert (of_mean < of_paths - 1e-3).any()


# The regulariser


def test_the_imbalance_is_the_papers(training, torch, rng):
    right, weight = rng.uniform(0.05, 0.95, (7, 7)), rng.uniform(0.5, 2, 7)
    reach = np.ones((7, 7))
    for node in range(1, 7):
        parent, turned_right = (node - 1) // 2, node % 2 == 0
        reach[:, node] = reach[:, parent] * (
            right[:, parent] if turned_right else 1 - right[:, parent]
        )
    share = (weight[:, None] * reach * right).sum(axis=0) / (weight[:, None] * reach).sum(axis=0)
    depth = np.array([0, 1, 1, 2, 2, 2, 2])
    expected = -np.sum(2.0**-depth * (np.log(share) + np.log(1 - share)) / 2)
    found = training.soft_tree.imbalance(torch.as_tensor(right), torch.as_tensor(weight), 3)
    assert float(found) == pytest.approx(expected)
    even = training.soft_tree.imbalance(torch.full((7, 7), 0.5), torch.as_tensor(weight), 3)
    assert float(even) == pytest.approx(3 * np.log(2))


def test_what_is_minimised_is_loss_and_imbalance_and_what_is_compared_the_loss(
    training, torch, fitted, mixed_frame, rng
):
    student, frame = fitted[2], mixed_frame(40)[0]
    targets = SoftTargets(rng.normal(size=(40, 2)), np.full(40, -1), rng.uniform(0.5, 2, 40))
    loss, packed = training.losses.pack_distillation(targets)
    positions, packed = map(torch.as_tensor, (student.encoding_.positions(frame), packed))
    tree = training.soft_tree.SoftTree(student.encoding_, student.leaf_outputs_)
    tree.set_weights(student.coef_, student.intercept_)
    balanced = training.soft_tree.BalancedLoss(loss, 0.3)
    _, alone, objective = balanced.in_training(tree, positions, packed)
    (gradient,) = torch.autograd.grad(objective, tree.filters.first.bias)
    with torch.no_grad():
        uneven = training.soft_tree.imbalance(tree.right(positions), loss.row_weights(packed), 2)
        outputs = tree(positions)
        assert alone.item() == balanced(outputs, packed).item() == loss(outputs, packed).item()
        assert objective.item() == pytest.approx((alone + 0.3 * uneven).item())
        moved = []  # the gradient by finite differences
        for step in (-1e-2, 1e-2):
            tree.filters.first.bias[0] += step
            moved.append(balanced.in_training(tree, positions, packed)[2].item())
            tree.filters.first.bias[0] -= step
    assert gradient[0].item() == pytest.approx((moved[1] - moved[0]) / 2e-2, rel=0.02, abs=1e-4)


def test_the_penalty_has_nodes_split_their_rows_evenly(binary_task):
    X, y = binary_task
    y = (X[:, 0] > np.quantile(X[:, 0], 0.9)).astype(int)  # a split of one to nine
    uneven = []
    for penalty in (0.0, 10.0):
        student = clone(QUICK).set_params(balance_penalty=penalty, max_epochs=200).fit(X, y)
        to_the_right = student.path_proba(X)[:, 2:].sum(axis=1).mean()
        uneven.append(abs(to_the_right - 0.5))
    assert uneven[1] < 0.05 < uneven[0]


# The student


def test_a_soft_tree_learns_from_soft_labels_what_it_does_not_from_permuted_ones(multiclass_task):
    X, y = multiclass_task
    proba = RandomForestClassifier(20, random_state=0).fit(X, y).predict_proba(X)
    student = SoftTreeStudentClassifier(3, random_state=0)
    losses = []
    for labels in (proba, np.random.RandomState(0).permutation(proba)):
        losses.append(log_loss(y, student.fit(X, labels).predict_proba(X)))
    assert losses[0] < 0.5 < 1.0 < losses[1]


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_soft_tree_is_distilled_at_any_temperature(binary_task, temperature, rng):
    X, y = binary_task
    margins = np.stack([np.zeros(len(X)), 3 * X[:, 0]], axis=1)
    transfer_set = TransferSet(X, margins, y, np.ones(len(X)), np.zeros(len(X)), np.arange(2))
    student = clone(QUICK).set_params(max_epochs=300).distill(transfer_set, temperature, 1.0)
    assert np.corrcoef(student.decision_function(X), margins[:, 1])[0, 1] > 0.9


def test_partial_fit_goes_on_from_the_weights_so_far(fitted, mixed_frame):
    frame, y, _ = mixed_frame()
    student = pickle.loads(pickle.dumps(fitted[2]))
    before, leaves = log_loss(y, student.predict_proba(frame)), student.leaf_outputs_.copy()
    student.set_params(max_depth=5, max_epochs=40).partial_fit(frame, y)  # the depth stays
    assert student.n_leaves_ == 4
    assert student.n_iter_ == len(student.history_["train_loss"]) == 70
    assert log_loss(y, student.predict_proba(frame)) < before
    assert not np.array_equal(student.leaf_outputs_, leaves)


@n_classes
def test_rescaled_margins_are_the_students_own(fitted, mixed_frame, n_classes):
    student, frame = pickle.loads(pickle.dumps(fitted[n_classes])), mixed_frame(seed=1)[0]
    before, shift = student.predict_log_proba(frame), np.array([0.3, -0.2, 0.5])[:n_classes]
    student.rescale_margins(0.7, shift)
    expected = softmax(0.7 * before + shift, axis=1)
    np.testing.assert_allclose(student.predict_proba(frame), expected, atol=1e-6)


def test_a_seed_repeats_the_training_and_another_changes_it(fitted, mixed_frame):
    frame, y, _ = mixed_frame()
    again = clone(fitted[2]).fit(frame, y)
    np.testing.assert_array_equal(again.coef_, fitted[2].coef_)
    other = clone(fitted[2]).set_params(random_state=1).fit(frame, y)
    assert not np.array_equal(other.coef_, fitted[2].coef_)


def test_a_pickled_soft_tree_is_small_and_needs_no_torch(fitted, mixed_frame, tmp_path):
    student, frame = fitted[3], mixed_frame()[0]
    payload = pickle.dumps(student)
    n_numbers = student.coef_.size + student.leaf_outputs_.size + 3
    assert len(payload) < 4 * n_numbers + 12_000
    path = tmp_path / "student.pickle"
    path.write_bytes(pickle.dumps((student, frame, student.predict_proba(frame))))
    program = (
        "import pickle, sys, numpy as np;"
        f"student, frame, expected = pickle.load(open({str(path)!r}, 'rb'));"
        "assert np.allclose(student.predict_proba(frame), expected);"
        "assert not {'torch', 'skorch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    loaded = pickle.loads(payload)
    np.testing.assert_array_equal(loaded.predict_proba(frame), student.predict_proba(frame))


def test_without_torch_the_error_names_the_extra(monkeypatch, binary_task):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [m for m in sys.modules if m.startswith("skdistill.students.network_training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("skdistill.students.network_training", raising=False)
    with pytest.raises(ImportError, match="pip install torch skorch tqdm"):
        SoftTreeStudentClassifier().fit(*binary_task)


@pytest.mark.parametrize("params", [{"max_depth": 0}, {"max_depth": 13}, {"balance_penalty": -1.0}])
def test_impossible_settings_raise(binary_task, params):
    with pytest.raises(ValueError, match=next(iter(params))):
        SoftTreeStudentClassifier(**params).fit(*binary_task)


def test_a_soft_tree_is_a_student_of_a_distiller_with_unlabelled_rows(mixed_frame):
    frame, y, _ = mixed_frame()
    y = np.where(np.arange(len(y)) < 50, -1, y)
    forest = RandomForestClassifier(20, random_state=0)
    columns = ["amount", "count", "flag"]
    frame = frame[columns].fillna({"amount": 0.0})
    weight = np.random.RandomState(0).uniform(0.5, 2, len(y))
    student = clone(QUICK).set_params(max_epochs=3)
    distiller = DistilledClassifier(forest, student, label_correction=False, random_state=0)
    distiller.fit(frame, y, sample_weight=weight)
    assert distiller.student_.n_leaves_ == 4
    assert distiller.transfer_summary_["synthetic"]["rows"] > 0
    assert distiller.transfer_summary_["unlabelled"]["rows"] == 50


def test_a_grid_search_varies_the_depth(binary_task):
    X, y = binary_task
    search = GridSearchCV(clone(QUICK), {"max_depth": [1, 2]}, cv=2).fit(X, y)
    assert search.best_estimator_.n_leaves_ == 2 ** search.best_params_["max_depth"]


# Reading it


def test_curves_and_intercept_are_the_log_odds_of_the_nodes(fitted, mixed_frame):
    student, frame = fitted[3], mixed_frame(seed=1)[0]
    positions = student.encoding_.positions(frame)
    log_odds = student.encoding_.sum_of_curves(positions, student.curves_) + student.intercept_
    np.testing.assert_allclose(path_probabilities(log_odds), student.path_proba(frame), atol=1e-5)


def test_the_text_names_what_decides_and_what_leaves_answer(rng):
    X = rng.normal(size=(800, 3))
    y = np.where(X[:, 1] > 0, "good", "bad")
    student = SoftTreeStudentClassifier(1, n_bins=1, learning_rate_init=0.1, random_state=0)
    lines = student.fit(X, y).export_text(1).splitlines()
    assert lines[0].startswith("node 0, log-odds of right ")
    low, high = f"{X[:, 1].min():.4g}", f"{X[:, 1].max():.4g}"
    assert lines[1].startswith("  x1: -")
    assert low in lines[1]
    assert high in lines[1]
    rises = f"at {low}, +" in lines[1]
    good = [line for line in lines if "leaf" in line][1 if rises else 0]
    assert float(good.partition("good: ")[2]) > 0.9
    assert len([line for line in lines if line.strip() in ("left:", "right:")]) == 2


def test_the_text_names_levels_and_missing_values(fitted):
    text = fitted[2].export_text(5)
    assert any(f"at {level}" in text for level in "abc")
    assert "missing" in text
    assert text.count("node ") == 3
    assert text.count("leaf ") == 4


def test_reports_explain_a_soft_tree(mixed_frame, fitted):
    student, frame = fitted[2], mixed_frame(seed=1)[0]
    explanation = explain(student, frame[:5], background=frame[:20], output="probability")
    total = explanation.values.sum(axis=1) + explanation.base_values
    np.testing.assert_allclose(total, student.predict_proba(frame[:5]), atol=1e-5)
    with pytest.raises(TypeError, match="export_text"):
        TreeDisplay.from_estimator(student)


def test_pages_show_a_soft_tree_and_reports_compare_it(binary_task):
    pytest.importorskip("matplotlib")
    X, y = binary_task
    teacher = RandomForestClassifier(10, random_state=0).fit(X[:300], y[:300])
    student = clone(QUICK).fit(X[:300], teacher.predict_proba(X[:300]))
    X, y = X[300:], y[300:]
    quick = {"n_resamples": 20, "cost": False, "random_state": 0}
    report = fidelity_report(student, X, y, teacher=teacher, **quick)
    assert report.scores["log_loss"].student == pytest.approx(log_loss(y, student.predict_proba(X)))
    page = distillation_report(student, X, y, teacher=teacher, n_explained=8, **quick).to_html()
    assert "soft tree of 4 leaves" in page
    assert "node 0, log-odds of right" in page


# Export


@n_classes
def test_onnx_c_and_lean_scorers_answer_as_the_student_does(
    fitted, mixed_frame, n_classes, tmp_path
):
    pytest.importorskip("onnxruntime")
    student, frame = fitted[n_classes], mixed_frame(seed=1)[0]
    for dtype in ("float32", "float64"):
        certificate = to_onnx(student, tmp_path / "student.onnx", frame, dtype=dtype).certificate
        assert certificate.max_difference < 2e-6
    assert verify(tmp_path / "student.onnx", frame).max_difference < 2e-6
    assert to_c(student, tmp_path / "student.c", frame).certificate.max_difference < 2e-6
    for engine in ("numpy", "c"):
        scorer = lean_scorer(student, engine)
        expected = student.predict_proba(frame)
        np.testing.assert_allclose(scorer.batch(frame), expected, atol=2e-6)
        np.testing.assert_allclose(scorer(frame.iloc[0]), expected[0], atol=2e-6)


def test_a_deep_soft_tree_is_exact_in_onnx_where_nodes_are_sure(binary_task, tmp_path):
    pytest.importorskip("onnxruntime")
    X, y = binary_task
    student = SoftTreeStudentClassifier(6, max_epochs=2, random_state=0).fit(X, y)
    student.coef_, student.leaf_outputs_ = student.coef_ * 100, student.leaf_outputs_ * 50
    assert to_onnx(student, tmp_path / "student.onnx", X).certificate.max_difference < 1e-5
    quantized = to_onnx(
        student, tmp_path / "small.onnx", X, quantize=True, tolerance=1.0
    ).certificate
    assert quantized.notes["bytes"] < quantized.notes["quantized"]["bytes_before"]


def test_sql_is_refused_with_what_can_be_had(fitted, tmp_path):
    pytest.importorskip("duckdb")
    with pytest.raises(
        TypeError, match=r"these students can: TreeStudentClassifier.*to_onnx or to_c"
    ):
        to_sql(fitted[2], tmp_path / "student.sql")


@n_classes
def test_a_saved_soft_tree_is_the_same(fitted, mixed_frame, n_classes, tmp_path):
    student, frame = fitted[n_classes], mixed_frame(seed=1)[0]
    save(student, tmp_path / "student.skd")
    loaded = load(tmp_path / "student.skd")
    np.testing.assert_array_equal(loaded.predict_proba(frame), student.predict_proba(frame))
    assert loaded.get_params() == student.get_params()
    assert loaded.export_text() == student.export_text()
    assert loaded.partial_fit(frame, student.predict(frame)).n_iter_ > student.n_iter_


def test_files_of_soft_trees_are_of_version_2(fitted):
    from skdistill.export.student_content import student_content

    payload = pack(student_content(fitted[2]))
    size = int.from_bytes(payload[:8], "little")
    assert json.loads(payload[8 : 8 + size])["__metadata__"]["version"] == "2"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("leaf_outputs", lambda a: a[:-1], "has the shape"),
        ("intercept", lambda a: a[:-1], "complete tree"),
        ("leaf_outputs", lambda a: a * np.float32(np.inf), "not finite"),
        ("leaf_outputs", lambda a: np.full_like(a, 3e38), "overflow"),
    ],
)
def test_an_impossible_soft_tree_is_no_student_file(fitted, name, change, message):
    from skdistill.export.student_content import student_content

    content = student_content(fitted[2])
    content.arrays[name] = change(content.arrays[name])
    if message == "complete tree":
        content.arrays["coef"] = np.ascontiguousarray(content.arrays["coef"][:, :-1])
    with pytest.raises(StudentFileError, match=message):
        unpack(pack(content))


def test_a_search_measures_a_soft_tree_as_its_other_students(binary_task):
    X, y = binary_task
    teacher, student = RandomForestClassifier(10, random_state=0), clone(QUICK)
    student.set_params(max_epochs=3)
    once = {"temperatures": (1.0,), "alphas": (0.8,), "cv": 2, "random_state": 0}
    search = StudentSearchCV(teacher, students=student, **once).fit(X, y)
    (candidate,) = search.candidates_
    assert candidate.name == "soft tree, 2 levels, 32 bins"
    assert candidate.costs.n_leaves == 4
