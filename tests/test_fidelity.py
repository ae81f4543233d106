import numpy as np
import pytest
from scipy.stats import entropy

from skdistill import agreement, gap_closed, kl_divergence


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
