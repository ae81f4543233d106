"""A forest labels synthetic rows, by all members or half out of bag."""

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier, MLPStudentClassifier, Munge
from skdistill.estimators import last_step
from skdistill.soft_labels import proba_from_margins
from skdistill.teacher.fitting import wrap_fitted_classifier
from skdistill.teacher.margins import RegressorTeacher
from skdistill.teacher.synthetic import label_by_members


def task(noise, n=800, n_classes=2):
    """Classes by a rule, of which a share `noise` was drawn anew."""
    X, y = make_classification(
        n, 5, n_informative=5, n_redundant=0, n_classes=n_classes, flip_y=noise, random_state=0
    )
    return X, y


def wrapped(estimator, n_classes=2):
    prior = np.full(n_classes, 1 / n_classes)
    return wrap_fitted_classifier(estimator, np.arange(n_classes), lambda _: prior)


def answers(teacher, X, mask=None):
    """Average the members of a fitted forest or bagging, each over the rows of its mask."""
    ensemble = last_step(teacher)
    columns = getattr(ensemble, "estimators_features_", [slice(None)] * len(ensemble.estimators_))
    total, votes = 0.0, np.zeros((len(X), 1))
    for i, (member, features) in enumerate(zip(ensemble.estimators_, columns, strict=True)):
        asked = np.ones((len(X), 1)) if mask is None else mask[i][:, None]
        total = total + asked * member.predict_proba(X[:, features])
        votes += asked
    return total / votes


def strangers(ensemble, parents, n_rows):
    """Tell for every member and synthetic row whether the first parent was out of its bag."""
    bags = [np.isin(np.arange(n_rows), bag) for bag in ensemble.estimators_samples_]
    return [~bag[parents[:, 0]] for bag in bags]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomForestClassifier(60, random_state=0),
        lambda: BaggingClassifier(n_estimators=60, max_features=0.8, random_state=0),
    ],
    ids=["forest", "bagging"],
)
def test_noise_makes_half_of_the_answer_honest(make, n_classes):
    X, y = task(noise=0.8, n_classes=n_classes)
    ensemble = make().fit(X, y)
    synthetic, parents = Munge(5).sample_with_parents(X, random_state=0)
    teacher = wrapped(ensemble, n_classes)
    margins, is_half_honest = label_by_members(teacher, synthetic, parents, y)
    assert is_half_honest
    honest = answers(ensemble, synthetic, strangers(ensemble, parents, len(X)))
    expected = (answers(ensemble, synthetic) + honest) / 2
    np.testing.assert_allclose(margins, teacher.margins_of(expected), rtol=1e-9)


def test_clean_labels_leave_the_answer_alone():
    X, y = task(noise=0.0)
    ensemble = RandomForestClassifier(60, random_state=0).fit(X, y)
    synthetic, parents = Munge(5).sample_with_parents(X, random_state=0)
    teacher = wrapped(ensemble)
    margins, is_half_honest = label_by_members(teacher, synthetic, parents, y, n_jobs=2)
    assert not is_half_honest
    np.testing.assert_allclose(margins, teacher.margins(synthetic), rtol=1e-9)


def test_a_pipeline_sees_transformed_rows():
    X, y = task(noise=0.5)
    teacher = make_pipeline(StandardScaler(), RandomForestClassifier(60, random_state=0))
    teacher.fit(1000 * X, y)
    synthetic, parents = Munge(5).sample_with_parents(X, random_state=0)
    alone = wrapped(teacher[-1])
    scaled = teacher[0].transform(1000 * synthetic)
    np.testing.assert_allclose(
        label_by_members(wrapped(teacher), 1000 * synthetic, parents, y)[0],
        label_by_members(alone, scaled, parents, y)[0],
    )


def test_rows_made_of_unlabelled_ones_are_known_to_no_member():
    X, y = task(noise=0.5, n=2000)
    known, pool = slice(0, 1500), X[1500:]
    ensemble = RandomForestClassifier(60, random_state=0).fit(X[known], y[known])
    synthetic, parents = Munge(5).sample_with_parents(X, random_state=0)
    teacher = wrapped(ensemble)
    margins, is_half_honest = label_by_members(teacher, synthetic, parents, y[known])
    assert is_half_honest
    of_pool = parents[:, 0] >= 1500
    assert of_pool.sum() == 5 * len(pool)
    direct = teacher.margins(synthetic)
    np.testing.assert_allclose(margins[of_pool], direct[of_pool], rtol=1e-9)
    assert np.abs(margins - direct)[~of_pool].mean() > 0.1


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomForestRegressor(60, random_state=0),
        lambda: BaggingRegressor(n_estimators=60, random_state=0),
    ],
    ids=["forest", "bagging"],
)
@pytest.mark.parametrize(("noise", "expected"), [(0.0, False), (500.0, True)])
def test_values_are_treated_alike(make, noise, expected):
    X, y = make_regression(600, 4, noise=noise, random_state=0)
    teacher = RegressorTeacher(make().fit(X, y))
    synthetic, parents = Munge(5).sample_with_parents(X, random_state=0)
    margins, is_half_honest = label_by_members(teacher, synthetic, parents, y)
    assert is_half_honest == expected
    assert np.allclose(margins, teacher.margins(synthetic)) != expected


def test_the_distiller_says_what_was_done_and_takes_augmentations_without_parents():
    class Copies:
        def sample(self, X, n_labelled, random_state):
            return X.copy()

    X, y = task(noise=0.5, n=2000)
    student = MLPStudentClassifier((8,), max_epochs=2)
    model = DistilledClassifier(
        RandomForestClassifier(40, random_state=0),
        student,
        label_correction=False,
        random_state=0,
    )
    for augmentation, labelling, expected in [
        (Munge(5), "auto", "half_oob"),
        (Munge(5), "cross_fit", "direct"),
        (Copies(), "auto", "direct"),
    ]:
        model.set_params(augmentation=augmentation, labelling=labelling).fit(X, y)
        assert model.transfer_summary_["synthetic"]["labelling"] == expected


def test_half_honest_labels_are_closer_to_the_truth_under_noise():
    X, y = make_classification(2000, 8, n_informative=6, flip_y=0.0, random_state=1)
    noisy = np.where(np.random.default_rng(0).random(2000) < 0.25, 1 - y, y)
    ensemble = RandomForestClassifier(100, random_state=0).fit(X[:1000], noisy[:1000])
    synthetic, parents = Munge(10).sample_with_parents(X[:1000], random_state=0)
    teacher = wrapped(ensemble)
    margins, _ = label_by_members(teacher, synthetic, parents, noisy[:1000])
    truth = RandomForestClassifier(300, random_state=0).fit(X, y).predict_proba(synthetic)
    half, direct = (
        np.abs(proba_from_margins(m) - (0.25 + 0.5 * truth)).mean()
        for m in (margins, teacher.margins(synthetic))
    )
    assert half < 0.95 * direct
