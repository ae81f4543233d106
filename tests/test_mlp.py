"""The MLP students: training in torch, serving without it."""

import contextlib
import itertools
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, GradientNormClipping
from skorch.dataset import Dataset

from skdistill import (
    DistilledClassifier,
    MLPStudentClassifier,
    MLPStudentRegressor,
    TransferSet,
    lean_scorer,
)
from skdistill.soft_labels import LOSSES, SoftTargets, distillation_loss
from skdistill.students.network_training.batches import Batches
from skdistill.students.network_training.losses import pack_distillation
from skdistill.students.network_training.net import GraphedStep
from skdistill.students.network_training.network import EncodedMLP


def test_mlp_answers_are_those_of_the_torch_module(mixed_frame):
    frame, y, _ = mixed_frame(1500)
    student = MLPStudentClassifier((16, 8), max_epochs=3, random_state=0).fit(frame, y)
    module = EncodedMLP(student.encoding_, [16, 8], start=np.zeros(1))
    module.set_weights(student.coefs_, student.intercepts_)
    with torch.no_grad():
        outputs = module(torch.as_tensor(student.encoding_.positions(frame)))[:, 0].numpy()
    np.testing.assert_allclose(student.decision_function(frame), outputs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_torch_loss_is_the_numpy_loss(rng, temperature, n_classes, loss):
    targets = SoftTargets(
        margins=rng.normal(size=(30, n_classes)),
        codes=rng.integers(-1, n_classes, 30),
        sample_weight=rng.uniform(0.5, 2, 30),
        temperature=temperature,
        alpha=0.6,
        loss=loss,
    )
    criterion, packed = pack_distillation(targets)
    student = rng.normal(size=(2, 30, n_classes))
    student[:, :, 0] = 0.0

    def torch_loss(margins):
        outputs = margins[:, 1:] if n_classes == 2 else margins
        return float(criterion(torch.as_tensor(outputs), torch.as_tensor(packed)))

    weights = sum(weight.sum() for *_, weight in targets.terms())
    one, other = (distillation_loss(m, targets).sum() / weights for m in student)
    assert torch_loss(student[0]) - torch_loss(student[1]) == pytest.approx(one - other, rel=1e-4)


def test_network_training_repeats_with_a_seed_and_leaves_the_global_one_alone(binary_task):
    X, y = binary_task
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    student = MLPStudentClassifier((8,), max_epochs=3, random_state=1)
    first = student.fit(X, y).predict_proba(X)
    assert torch.rand(1) == expected
    np.testing.assert_array_equal(student.fit(X, y).predict_proba(X), first)


def test_an_mlp_keeps_the_best_epoch_and_stops_when_it_is_long_past(binary_task):
    X, y = binary_task
    student = MLPStudentClassifier((64,), max_epochs=100, n_iter_no_change=5, random_state=0)
    student.fit(X, y)
    losses = student.history_["valid_loss"]
    assert student.best_epoch_ == np.argmin(losses) + 1
    assert student.n_iter_ == len(losses) == len(student.history_["train_loss"])
    assert student.n_iter_ == max(student.best_epoch_, 10) + 5 < 100  # 10 epochs of warming up


def test_a_small_set_is_not_given_up_while_the_learning_rate_rises(binary_task):
    X, y = binary_task  # one step per epoch
    rng = np.random.default_rng(0)
    noise = rng.permutation(y)  # nothing to learn: no epoch is much better than the first
    student = MLPStudentClassifier((8,), max_epochs=400, n_iter_no_change=3, random_state=0)
    assert student.fit(X, noise).n_iter_ >= 43


def test_a_device_that_is_not_there_raises_and_names_those_that_are(binary_task):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ValueError, match=r"device='cuda' cannot be used.*Devices found: cpu"):
        MLPStudentClassifier(device="cuda").fit(*binary_task)
    with pytest.raises(ValueError, match="device='gpu' cannot be used"):
        MLPStudentClassifier(device="gpu").fit(*binary_task)


@pytest.mark.parametrize("sizes", [(8, 0), (8, -1), (8.5,), ("8",)])
def test_impossible_layers_raise(sizes, binary_task):
    with pytest.raises(ValueError, match="hidden_layer_sizes is"):
        MLPStudentClassifier(sizes).fit(*binary_task)


def test_impossible_layers_are_refused_before_the_teacher_is_fitted(binary_task, monkeypatch):
    monkeypatch.setattr(RandomForestClassifier, "fit", lambda *args, **kwargs: pytest.fail("fit"))
    with pytest.raises(ValueError, match="hidden_layer_sizes is"):
        DistilledClassifier(RandomForestClassifier(), MLPStudentClassifier((0,))).fit(*binary_task)


def test_no_hidden_layer_is_a_linear_model_and_an_integer_is_one_layer(binary_task):
    X, y = binary_task
    widths = [
        [coef.shape[1] for coef in MLPStudentClassifier(s, max_epochs=1).fit(X, y).coefs_]
        for s in ((), 5)
    ]
    assert widths == [[1], [5, 1]]


def test_diverging_training_raises_with_the_likely_cause(binary_task):
    X, y = binary_task
    student = MLPStudentClassifier((8,), learning_rate_init=1e30, max_epochs=5)
    with pytest.raises(ValueError, match=r"diverged: .*loss is .*learning_rate_init=1e\+30 is the"):
        student.fit(X, y)
    weights = np.where(np.arange(len(X)) == 0, 1e6, 1.0)
    with pytest.raises(ValueError, match="heaviest row weighs 600 times the mean"):
        student.fit(X, y, sample_weight=weights)


def test_a_pickled_mlp_predicts_without_torch(tmp_path, binary_task):
    X, y = binary_task
    student = MLPStudentClassifier((8,), max_epochs=3, random_state=0).fit(X, y)
    path = tmp_path / "student.pickle"
    path.write_bytes(pickle.dumps((student, X, student.predict_proba(X))))
    program = (
        "import pickle, sys, numpy as np;"
        f"student, X, expected = pickle.load(open({str(path)!r}, 'rb'));"
        "assert np.allclose(student.predict_proba(X), expected);"
        "assert not {'torch', 'skorch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_torch_the_error_names_the_extra(monkeypatch, binary_task):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [m for m in sys.modules if m.startswith("skdistill.students.network_training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("skdistill.students.network_training", raising=False)
    with pytest.raises(ImportError, match="pip install torch skorch tqdm"):
        MLPStudentClassifier().fit(*binary_task)


def shifted(X, y):
    """The same task elsewhere: what was learned is wrong here."""
    return X + 0.5, 1 - y


def loss_on(student, X, y):
    return -np.log(student.predict_proba(X)[np.arange(len(y)), y]).mean()


def test_partial_fit_goes_on_from_the_weights_so_far(binary_task):
    X, y = binary_task
    student = MLPStudentClassifier((16,), max_epochs=20, random_state=0).fit(X, y)
    encoding, n_epochs = student.encoding_, student.n_iter_
    before = loss_on(student, X, y)
    student.set_params(max_epochs=1).partial_fit(X, y)
    assert loss_on(student, X, y) == pytest.approx(before, rel=0.1)  # not from scratch
    assert student.encoding_ is encoding
    assert student.n_iter_ == len(student.history_["train_loss"]) == n_epochs + 1
    X, y = shifted(X, y)
    before = loss_on(student, X, y)
    student.set_params(max_epochs=100).partial_fit(X, y)
    assert loss_on(student, X, y) < 0.7 * before


def test_partial_fit_keeps_the_weights_it_began_with_if_no_epoch_is_better(binary_task):
    X, y = binary_task
    student = MLPStudentClassifier((16,), random_state=0).fit(X, y)
    expected = student.predict_proba(X)
    student.set_params(learning_rate_init=50.0).partial_fit(X, y)
    np.testing.assert_allclose(student.predict_proba(X), expected, rtol=1e-6)


def test_the_first_partial_fit_is_fit(binary_task, multiclass_task):
    X, y = binary_task
    student = MLPStudentClassifier((8,), max_epochs=3, random_state=0)
    expected = student.fit(X, y).predict_proba(X)
    again = MLPStudentClassifier((8,), max_epochs=3, random_state=0).partial_fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), expected)

    X, y = multiclass_task
    seen = y < 2
    names = np.array(["x", "y", "z"])
    student = MLPStudentClassifier((8,), batch_size=32, max_epochs=30, random_state=0)
    student.partial_fit(X[seen], names[y[seen]], classes=names)
    assert student.predict_proba(X).shape == (len(X), 3)
    student.partial_fit(X, names[y])
    assert student.score(X, names[y]) > 0.6


def test_partial_fit_refuses_new_classes_and_other_columns(binary_task):
    X, y = binary_task
    student = MLPStudentClassifier((8,), max_epochs=2).fit(X, y)
    with pytest.raises(ValueError, match=r"y has the classes \[7\]; only .* are known"):
        student.partial_fit(X, np.where(y == 0, 7, y))
    with pytest.raises(ValueError, match="y has 3 columns of probabilities; one for each of the 2"):
        student.partial_fit(X, np.full((len(X), 3), 1 / 3))
    with pytest.raises(ValueError, match="X has 7 features"):
        student.partial_fit(X[:, 1:], y)


def test_partial_distill_follows_the_new_teacher(binary_task):
    X, _ = binary_task
    log_odds = 3.0 * X[:, 0]
    student = MLPStudentClassifier((16,), batch_size=32, max_epochs=100, random_state=0)
    for sign, step in ((1, student.distill), (-1, student.partial_distill)):
        margins = np.column_stack([np.zeros(len(X)), sign * log_odds])
        step(TransferSet(X, margins, np.full(len(X), -1), np.ones(len(X)), np.ones(len(X)), [0, 1]))
        correlation = np.corrcoef(student.decision_function(X), sign * log_odds)[0, 1]
        assert correlation > 0.8


def test_a_regressor_goes_on_as_well(binary_task):
    X, _ = binary_task
    values = X[:, 0] + 10.0
    student = MLPStudentRegressor((16,), max_epochs=60, random_state=0).partial_fit(X, values)
    assert student.score(X, values) > 0.9
    assert student.partial_fit(X, values + 1.0).predict(X).mean() == pytest.approx(
        values.mean() + 1.0, abs=0.1
    )


class InterruptAfter(Callback):
    """Press Ctrl-C after some steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_batch_end(self, net, training=False, **kwargs):
        self.steps -= training
        if self.steps == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
            signal.raise_signal(signal.SIGINT)


def test_an_interrupted_training_keeps_the_best_weights_and_warns(binary_task):
    X, y = binary_task  # 540 rows to learn from: 5 steps of 100 are an epoch
    settings = {"hidden_layer_sizes": (16,), "batch_size": 100, "random_state": 0}
    student = MLPStudentClassifier(**settings, max_epochs=40, callbacks=[InterruptAfter(52)])
    with pytest.warns(UserWarning, match="interrupted after 10 of at most 40.*epoch 10, the best"):
        student.fit(X, y)
    assert student.n_iter_ == len(student.history_["valid_loss"]) == 10
    assert student.score(X, y) > 0.7
    student.set_params(callbacks=[InterruptAfter(3)])
    with pytest.warns(UserWarning, match="interrupted after 0 of at most 40.*of the last step"):
        student.fit(X, y)
    assert student.history_ == {}
    assert student.predict_proba(X).shape == (len(X), 2)


class Recorder(Callback):
    """Note what the net says."""

    def on_train_begin(self, net, **kwargs):
        self.losses, self.batches = [], 0

    def on_batch_end(self, net, training=False, **kwargs):
        self.batches += training

    def on_epoch_end(self, net, **kwargs):
        self.losses.append(net.history[-1, "train_loss"])


def test_callbacks_of_skorch_are_called(binary_task):
    X, y = binary_task
    recorder = Recorder()
    student = MLPStudentClassifier((8,), batch_size=100, max_epochs=4, random_state=0)
    student.set_params(callbacks=[recorder, ("timer", EpochTimer())]).fit(X, y)
    assert recorder.losses == student.history_["train_loss"]
    assert recorder.batches == 4 * 5
    free = student.coefs_[0]
    clip = GradientNormClipping(1e-4)
    student.set_params(callbacks=[clip], weight_decay=1e-9).fit(X, y)
    assert not np.allclose(student.coefs_[0], free)


def test_a_callback_may_stop_the_training(binary_task):
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=0.5)
    student = MLPStudentClassifier((8,), max_epochs=50, callbacks=[stop]).fit(*binary_task)
    assert student.n_iter_ < 10  # and no warning of an interruption, which would be an error


def test_what_is_no_callback_is_refused(binary_task):
    with pytest.raises(ValueError, match=r"callbacks\[1\] is 3; a skorch callback or a pair"):
        MLPStudentClassifier(callbacks=[EpochTimer(), 3]).fit(*binary_task)


def test_verbose_shows_progress_with_losses(binary_task, capsys, monkeypatch):
    monkeypatch.setattr("skdistill.verbose.LONG", 0.0)
    clock = itertools.count(0.0).__next__  # every step takes as long
    monkeypatch.setattr("skdistill.verbose.perf_counter", clock)
    MLPStudentClassifier((8,), max_epochs=3, verbose=1).fit(*binary_task)
    shown = capsys.readouterr().err
    assert "epoch=1/3, train_loss=" in shown
    assert "[MLPStudentClassifier] 3 of at most 3 epochs, loss" in shown


def pairs(batches):
    """Return the rows of all batches as a sorted list of (x, y)."""
    return sorted((float(x), float(y)) for X, Y in batches for x, y in zip(X, Y, strict=True))


@pytest.mark.parametrize("chunk_bytes", [None, 8 * 5 * 3, 1], ids=["at once", "chunks", "tiny"])
def test_batches_hold_every_row_once_in_a_new_order(chunk_bytes):
    X = torch.arange(23.0)
    dataset = Dataset(X, -X)
    generator = torch.Generator().manual_seed(0)
    batches = Batches(dataset, 5, "cpu", generator, chunk_bytes)
    first, second = list(batches), list(batches)
    assert len(batches) == len(first) == 4  # the rest of three rows waits for another pass
    assert all(len(X) == 5 for X, _ in first)
    for found in (pairs(first), pairs(second)):
        assert len(set(found)) == 20
        assert all(y == -x for x, y in found)
    assert not torch.equal(first[0][0], second[0][0])
    in_order = Batches(dataset, 5, "cpu")
    assert torch.equal(torch.cat([X for X, _ in in_order]), X)
    assert len(in_order) == 5


def test_training_from_chunks_is_the_same_training(binary_task, monkeypatch):
    X, y = binary_task
    student = MLPStudentClassifier((16,), max_epochs=5, device="cpu", random_state=0)
    expected = student.fit(X, y).history_
    chunks = []
    train = "skdistill.students.network_training.train"
    monkeypatch.setattr(f"{train}.has_room", lambda *_: False)
    monkeypatch.setattr(f"{train}.choose_device", lambda _: "cpu:0")  # not where the rows are
    monkeypatch.setattr(Batches, "_batches_per_chunk", lambda self: chunks.append(1) or 1)
    found = student.fit(X, y).history_
    for name, losses in expected.items():
        np.testing.assert_allclose(found[name], losses, rtol=1e-4)
    assert len(chunks) == 5


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@needs_gpu
def test_a_gpu_is_found_and_gives_a_student_as_good(binary_task):
    X, y = binary_task
    on_gpu, on_cpu = (
        MLPStudentClassifier((32,), device=device, random_state=0).fit(X, y)
        for device in ("auto", "cpu")
    )
    losses = [min(student.history_["valid_loss"]) for student in (on_gpu, on_cpu)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


@needs_gpu
def test_a_captured_step_is_the_step_itself(binary_task):
    X, y = binary_task
    captured = MLPStudentClassifier((32,), max_epochs=20, random_state=0).fit(X, y)
    # A callback that looks at the gradients prevents the capture.
    eager = MLPStudentClassifier(
        (32,), max_epochs=20, random_state=0, callbacks=[GradientNormClipping(1e9)]
    ).fit(X, y)
    np.testing.assert_allclose(
        captured.history_["train_loss"], eager.history_["train_loss"], rtol=1e-3
    )


def test_a_graphed_step_feeds_its_static_batch_and_replays(monkeypatch):
    # Without a GPU: a "graph" that runs the step again, on the tensors it was captured with.
    seen = []

    def step(batch):
        seen.append(batch[0].clone())
        return {"loss": batch[0].sum()}

    class Graph:
        def replay(self):
            graphed.result["loss"].copy_(step(graphed.batch)["loss"])

    class Stream:
        def wait_stream(self, other):
            pass

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    graphed = GraphedStep(step)
    batches = [(torch.full((2,), float(i)),) for i in range(6)]
    losses = [graphed(batch)["loss"].item() for batch in batches]
    assert losses == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert len(seen) == 6 + 1  # once more when it is captured


@pytest.mark.parametrize("value", [0.0, 1e-9, 0.5, -3e7, 1e12])
def test_a_constant_is_predicted_whatever_its_size(value, rng):
    X = rng.normal(size=(300, 3))
    model = MLPStudentRegressor((8,), max_epochs=2, random_state=0).fit(X, np.full(300, value))
    for answers in (model.predict(X), lean_scorer(model).batch(X)):
        np.testing.assert_allclose(answers, value, rtol=1e-6, atol=1e-6 * (value == 0))


@pytest.mark.parametrize(("least_fall", "times"), [(1.0, 1), (-1.0, 4)])
def test_training_is_longer_while_the_held_out_loss_falls(
    least_fall, times, binary_task, monkeypatch
):
    X, y = binary_task
    callbacks = "skdistill.students.network_training.callbacks"
    monkeypatch.setattr(f"{callbacks}.LEAST_FALL", least_fall)
    monkeypatch.setattr("skdistill.students.network_training.train._default_epochs", lambda *_: 8)
    epochs, rates = [], []

    class Watcher(Callback):
        def on_epoch_end(self, net, **kwargs):
            epochs.append(len(net.history))
            rates.append(net.optimizer_.param_groups[0]["lr"])

        def on_batch_begin(self, net, **kwargs):
            """Have torch take the steps, whose learning rates can be seen."""

    student = MLPStudentClassifier((4,), n_iter_no_change=100, random_state=0)
    student.set_params(callbacks=[Watcher()]).fit(X, y)
    assert epochs == list(range(1, 8 * times + 1))
    assert student.n_iter_ == 8 * times
    # The learning rate falls to nearly nothing at the end of the last schedule only.
    assert rates[-1] < 0.05 * max(rates)
    assert min(rates[: 4 * times]) > 0.2 * max(rates)


def test_a_number_of_epochs_that_was_passed_is_kept(binary_task, monkeypatch):
    X, y = binary_task
    callbacks = "skdistill.students.network_training.callbacks"
    monkeypatch.setattr(f"{callbacks}.LEAST_FALL", -1.0)
    student = MLPStudentClassifier((4,), max_epochs=8, n_iter_no_change=100, random_state=0)
    assert student.fit(X, y).n_iter_ == 8
