from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.spatial.distance import jensenshannon
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from skdistill.soft_labels import (
    LOSSES,
    SoftTargets,
    calibration_temperature,
    distillation_loss,
    distillation_loss_gradient,
    margins_from_decision,
    margins_from_proba,
    proba_from_margins,
    soften,
    weighted_curvature,
    weighted_hessian,
    weighted_loss,
)


@pytest.fixture
def targets(rng):
    return SoftTargets(
        margins=rng.normal(scale=3, size=(20, 4)),
        codes=np.where(np.arange(20) % 5 == 0, -1, np.arange(20) % 4),
        sample_weight=rng.uniform(0.5, 2, 20),
        temperature=2.5,
        alpha=0.7,
    )


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_margins_and_probabilities_are_inverse(rng, n_classes):
    proba = rng.dirichlet(np.ones(n_classes), 50)
    np.testing.assert_allclose(proba_from_margins(margins_from_proba(proba)), proba, rtol=1e-12)


def test_binary_margins_are_zero_and_the_log_odds():
    margins = margins_from_proba([[0.2, 0.8]])
    np.testing.assert_allclose(margins, [[0.0, np.log(4)]])
    np.testing.assert_array_equal(margins_from_decision([1.5, -2.0]), [[0, 1.5], [0, -2.0]])
    np.testing.assert_array_equal(margins_from_decision([[1.5], [-2.0]]), [[0, 1.5], [0, -2.0]])


def test_a_binary_decision_is_not_doubled():
    decision = np.array([0.3, -1.2])
    proba = proba_from_margins(margins_from_decision(decision))
    np.testing.assert_allclose(proba[:, 1], expit(decision))


def test_the_floor_moves_only_what_lies_below_it():
    floor = np.array([0.01, 0.002])
    proba = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    back = proba_from_margins(margins_from_proba(proba, floor))
    np.testing.assert_allclose(back[0], [0.5, 0.5])
    np.testing.assert_allclose(back[1, 1], 0.002 / 1.002)
    np.testing.assert_allclose(back[2, 0], 0.01 / 1.01)


def test_an_infinite_temperature_gives_uniform_and_zero_gives_one_hot(rng):
    margins = rng.normal(size=(10, 3))
    np.testing.assert_allclose(soften(margins, 1e9), 1 / 3, atol=1e-8)
    np.testing.assert_allclose(soften(margins, 1e-4), np.eye(3)[margins.argmax(1)], atol=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_soft_loss_is_zero_at_equality_and_positive_elsewhere(targets, rng, loss):
    soft_only = replace(targets, alpha=1.0, loss=loss)
    np.testing.assert_allclose(distillation_loss(targets.margins, soft_only), 0, atol=1e-12)
    assert (distillation_loss(rng.normal(size=(20, 4)), soft_only) > 0).all()


def test_adding_a_constant_to_a_row_of_margins_changes_nothing(targets, rng):
    student = rng.normal(size=(20, 4))
    shifted = student + rng.normal(size=(20, 1))
    np.testing.assert_allclose(
        distillation_loss(student, targets), distillation_loss(shifted, targets)
    )


def test_the_hard_loss_is_scikit_learns_log_loss(rng):
    codes, student = rng.integers(3, size=30), rng.normal(size=(30, 3))
    targets = SoftTargets(np.zeros((30, 3)), codes, np.ones(30), alpha=0.0)
    expected = log_loss(codes, softmax(student, axis=1))
    np.testing.assert_allclose(distillation_loss(student, targets).mean(), expected)


def test_rows_without_a_class_have_no_hard_term(targets, rng):
    student = rng.normal(size=(20, 4))
    hard_only = SoftTargets(targets.margins, targets.codes, targets.sample_weight, 2.5, alpha=0.0)
    loss = distillation_loss(student, hard_only)
    assert (loss[targets.codes < 0] == 0).all()
    assert (loss[targets.codes >= 0] > 0).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_that_of_finite_differences(targets, rng, temperature, alpha, loss):
    targets = replace(targets, temperature=temperature, alpha=alpha, loss=loss)

    def total(flat):
        return distillation_loss(flat.reshape(20, 4), targets).sum()

    def gradient(flat):
        return distillation_loss_gradient(flat.reshape(20, 4), targets).ravel()

    assert check_grad(total, gradient, rng.normal(size=80)) < 1e-5


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("loss", ["kl", "logit_mse"])
def test_the_hessian_is_that_of_finite_differences(targets, rng, temperature, alpha, loss):
    targets = replace(targets, temperature=temperature, alpha=alpha, loss=loss)
    terms, (z, direction) = targets.terms(), rng.normal(size=(2, 20, 4))
    step = 1e-5 * direction
    change = weighted_loss(z + step, terms)[1] - weighted_loss(z - step, terms)[1]
    product = weighted_hessian(z, terms)
    np.testing.assert_allclose(product(direction), change / 2e-5, atol=1e-8)
    diagonal = [product(np.tile(e, (20, 1)))[:, k] for k, e in enumerate(np.eye(4))]
    np.testing.assert_allclose(weighted_curvature(z, terms), np.transpose(diagonal), atol=1e-15)


def test_at_high_temperature_the_gradient_is_that_of_hintons_equation_4(rng):
    v, z = (m - m.mean(axis=1, keepdims=True) for m in rng.normal(size=(2, 5, 3)))
    temperature, n_classes = 1e4, 3
    targets = SoftTargets(v, np.full(5, -1), np.ones(5), temperature)
    gradient = distillation_loss_gradient(z, targets) / temperature**2  # of KL without the factor
    expected = (z - v) / (n_classes * temperature**2)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-12)


def test_logit_mse_is_the_limit_of_kl_and_knows_no_temperature(rng):
    v, z = rng.normal(size=(2, 5, 3))
    limit = SoftTargets(v, np.full(5, -1), np.ones(5), loss="logit_mse")
    kl = SoftTargets(v, np.full(5, -1), np.ones(5), temperature=1e4)
    expected = distillation_loss(z, limit)
    np.testing.assert_allclose(distillation_loss(z, kl), expected, rtol=1e-3)
    np.testing.assert_allclose(distillation_loss(z, replace(limit, temperature=7.0)), expected)
    centred = (z - v) - (z - v).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(expected, (centred**2).sum(axis=1) / (2 * 3))


def test_brier_and_js_are_those_of_scikit_learn_and_scipy(rng):
    v, z = rng.normal(size=(2, 5, 3))
    q, p = softmax(v, axis=1), softmax(z, axis=1)
    targets = SoftTargets(v, np.full(5, -1), np.ones(5), loss="brier")
    np.testing.assert_allclose(distillation_loss(z, targets), ((q - p) ** 2).sum(axis=1))
    targets = replace(targets, loss="js")
    np.testing.assert_allclose(distillation_loss(z, targets), jensenshannon(q, p, axis=1) ** 2)


def test_losses_are_finite_where_probabilities_underflow():
    targets = SoftTargets(np.array([[0.0, 2000.0]]), np.array([-1]), np.ones(1))
    student = np.array([[2000.0, 0.0]])
    for loss in LOSSES:
        asked = replace(targets, loss=loss)
        assert np.isfinite(distillation_loss(student, asked)).all()
        assert np.isfinite(distillation_loss_gradient(student, asked)).all()


def test_every_row_may_have_an_alpha_of_its_own(targets, rng):
    student = rng.normal(size=(20, 4))
    alpha = rng.uniform(size=20)
    by_row = replace(targets, alpha=alpha)
    losses = [distillation_loss(student, replace(targets, alpha=a)) for a in alpha]
    expected = np.stack(losses).diagonal()
    np.testing.assert_allclose(distillation_loss(student, by_row), expected)
    some = np.array([3, 7, 11])
    np.testing.assert_allclose(distillation_loss(student[some], by_row.take(some)), expected[some])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_terms_are_the_loss_up_to_a_constant(targets, rng, temperature):
    targets = SoftTargets(targets.margins, targets.codes, targets.sample_weight, temperature, 0.7)

    def sum_of_terms(student):
        return sum(
            t**2 * weight * -(proba * np.log(softmax(student / t, axis=1))).sum(axis=1)
            for _, t, proba, weight in targets.terms()
        )

    one, other = rng.normal(size=(2, 20, 4))
    np.testing.assert_allclose(
        sum_of_terms(one) - sum_of_terms(other),
        distillation_loss(one, targets) - distillation_loss(other, targets),
    )


def test_the_mix_is_alpha_soft_and_the_rest_hard(targets):
    proba, weight = targets.mixed()
    observed = targets.codes >= 0
    soft = soften(targets.margins)
    expected = 0.7 * soft + 0.3 * targets.hard_labels()
    np.testing.assert_allclose(proba[observed], expected[observed])
    np.testing.assert_allclose(proba[~observed], soft[~observed])
    np.testing.assert_allclose(weight[observed], targets.sample_weight[observed])
    np.testing.assert_allclose(weight[~observed], 0.7 * targets.sample_weight[~observed])


def test_the_softened_mix_of_soft_labels_alone_is_the_soft_labels(targets):
    soft_only = SoftTargets(targets.margins, targets.codes, targets.sample_weight, 2.5, alpha=1.0)
    np.testing.assert_allclose(soft_only.softened_mix()[0], soft_only.soft_labels())


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 3.0])
def test_the_calibration_temperature_is_found(rng, true_temperature):
    margins = rng.normal(scale=3, size=(40_000, 3))
    proba = soften(margins, true_temperature)
    codes = (proba.cumsum(axis=1) < rng.random((40_000, 1))).sum(axis=1)
    assert calibration_temperature(margins, codes) == pytest.approx(true_temperature, rel=0.05)


def test_the_calibration_temperature_heeds_weights(rng):
    margins = rng.normal(scale=3, size=(4000, 3))
    right, wrong = margins.argmax(axis=1), margins.argmin(axis=1)
    codes = np.where(np.arange(4000) % 2, right, wrong)
    trusting = calibration_temperature(margins, codes, np.arange(4000) % 2 + 0.01)
    doubting = calibration_temperature(margins, codes, np.arange(4000) % 2 + 0.6)
    assert trusting < doubting
