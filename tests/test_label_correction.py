"""A teacher that knows no better than a student of observed classes is corrected by those."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_friedman1, make_regression
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import TimeSeriesSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    LinearStudentClassifier,
    TreeStudentClassifier,
    TreeSumStudentClassifier,
)
from skdistill.soft_labels import margins_from_decision, proba_from_margins
from skdistill.stacking import stack_margins, stack_predictions
from skdistill.weighted_statistics import z_score

WARNING = "made the student learn from a weighted sum"


@pytest.fixture(scope="module")
def linear_task():
    """Log-odds linear in the columns: a logistic regression knows better than any forest."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 6))
    margins = margins_from_decision(X @ [1.5, -1.0, 1.0, 0.5, 0.0, 0.0])
    return X, (rng.random(3000) < proba_from_margins(margins)[:, 1]).astype(int)


@pytest.fixture(scope="module")
def curved_task():
    """Classes by distance: a forest knows better than any tree of eight leaves."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 4))
    return X, (np.sum(X**2, axis=1) > 3).astype(int)


def overfitted():
    """Boosting with too many rounds for noisy labels: its log-odds are far too large."""
    return HistGradientBoostingClassifier(
        learning_rate=0.3, max_leaf_nodes=16, min_samples_leaf=5, random_state=0
    )


class Gaining(LogisticRegression):
    """A student to which "auto" applies."""

    gains_from_label_correction = True


class Counting(LogisticRegression):
    """Counts its fits; the cache has to find it by name."""

    fits = 0

    def fit(self, *args, **kwargs):
        Counting.fits += 1
        return super().fit(*args, **kwargs)


class TestStacking:
    def test_one_model_is_platt_scaled(self, rng):
        margins = margins_from_decision(rng.normal(size=4000) * 3)
        y = (rng.random(4000) < proba_from_margins(margins / 3 + [0, 0.5])[:, 1]).astype(int)
        weight = rng.random(4000)
        stacking = stack_margins([margins], y, weight)
        platt = LogisticRegression(C=np.inf).fit(margins[:, 1:], y, weight)
        np.testing.assert_allclose(stacking.weights, platt.coef_[0], rtol=0.01)
        np.testing.assert_allclose(stacking.intercept, [0, platt.intercept_[0]], atol=0.01)

    @pytest.mark.parametrize("n_classes", [2, 4])
    def test_the_weights_of_a_product_of_experts_are_found(self, rng, n_classes):
        outputs = rng.normal(size=(2, 40_000, n_classes)) * 2
        proba = proba_from_margins(0.3 * outputs[0] + 0.8 * outputs[1])
        y = (proba.cumsum(axis=1) < rng.random((40_000, 1))).sum(axis=1)
        stacking = stack_margins(outputs, y, np.ones(len(y)))
        np.testing.assert_allclose(stacking.weights, [0.3, 0.8], atol=0.03)
        np.testing.assert_allclose(stacking.intercept, 0, atol=0.06)
        assert stacking.intercept[0] == 0
        np.testing.assert_allclose(
            stacking.combined(outputs),
            np.tensordot(stacking.weights, outputs, 1) + stacking.intercept,
        )

    def test_a_worthless_model_has_no_weight(self, rng):
        good = margins_from_decision(rng.normal(size=3000))
        y = (rng.random(3000) < proba_from_margins(good)[:, 1]).astype(int)
        stacking = stack_margins([good, -good - 0.5], y, np.ones(3000))
        assert stacking.weights[1] < 0.05  # never negative: that would turn its margins round
        assert stacking.weights[0] == pytest.approx(1, abs=0.15)

    def test_separable_and_unobserved_classes_have_weights(self):
        margins = np.repeat([[9.0, 0.0, -9.0], [0.0, 9.0, -9.0]], 50, axis=0)
        y = np.repeat([0, 1], 50)
        stacking = stack_margins([margins, margins], y, np.ones(100))
        assert np.isfinite(stacking.combined([margins, margins])).all()
        assert stacking.weights.max() < 10

    def test_predictions_are_stacked_as_by_least_squares(self, rng):
        outputs = rng.normal(size=(2, 500, 1))
        y = 2 + 0.4 * outputs[0, :, 0] + 0.7 * outputs[1, :, 0] + rng.normal(size=500) / 10
        weight = rng.random(500)
        stacking = stack_predictions(outputs, y, weight)
        ridge = Ridge(alpha=0.0).fit(np.hstack(list(outputs)), y, weight)
        np.testing.assert_allclose(stacking.weights, ridge.coef_, rtol=1e-6)
        assert stacking.intercept == pytest.approx(ridge.intercept_)

    def test_a_z_score_counts_a_row_of_weight_nothing_not_at_all(self, rng):
        differences = rng.normal(size=50) + 0.2
        expected = differences.mean() / (differences.std() / np.sqrt(50))
        assert z_score(differences, np.full(50, 7.0)) == pytest.approx(expected)
        padded = np.append(differences, 1e6), np.append(np.ones(50), 0.0)
        assert z_score(*padded) == pytest.approx(expected)
        assert z_score(np.ones(3), np.ones(3)) == 0


class TestDistiller:
    def test_a_teacher_that_knows_no_better_is_corrected(self, linear_task):
        X, y = linear_task
        model = DistilledClassifier(overfitted(), Gaining(), random_state=0)
        with pytest.warns(UserWarning, match=WARNING) as record:
            corrected = clone(model).fit(X[:1000], y[:1000], X_unlabeled=X[1000:2000])
        assert record[0].filename == __file__
        imitator = clone(model).set_params(label_correction=False)
        imitator.fit(X[:1000], y[:1000], X_unlabeled=X[1000:2000])
        found = corrected.label_correction_
        assert found.lead < 2 < found.gain
        assert found.combined_loss < min(found.teacher_loss, found.student_loss) + 1e-3
        assert 0 <= found.teacher_weight < found.student_weight
        said = str(record[0].message)
        assert found.in_words() in said
        assert found.in_words() in str(found)
        assert found.in_words() in repr(found)
        assert f"held-out log loss {found.combined_loss:.4g}, of the teacher" in said
        assert "label_correction=False imitates" in said
        assert imitator.label_correction_ is None
        losses = [log_loss(y[2000:], m.predict_proba(X[2000:])) for m in (corrected, imitator)]
        assert losses[0] < losses[1] - 0.004

    def test_a_gain_that_costs_little_likeness_is_told_but_no_warning(self, linear_task):
        X, y = linear_task
        teacher = HistGradientBoostingClassifier(max_iter=30, random_state=0)
        found = DistilledClassifier(teacher, Gaining(), cv=3).fit(X, y).label_correction_
        assert found.lead < 2 < found.gain
        of_teacher = cross_val_predict(teacher, X, y, cv=3)
        of_student = cross_val_predict(Gaining(), X, y, cv=3)
        assert found.likeness > 0.9
        assert found.likeness == pytest.approx(np.mean(of_teacher == of_student), abs=0.02)

    def test_a_better_teacher_is_imitated_after_one_fold(self, curved_task):
        X, y = curved_task

        class Counting(TreeStudentClassifier):
            is_readable = False  # and so as good as a large student
            fits = 0

            def distill(self, *args, **kwargs):
                Counting.fits += 1
                return super().distill(*args, **kwargs)

        forest = RandomForestClassifier(100, random_state=0).fit(X, y)
        model = DistilledClassifier(forest, Counting(8)).fit(X, y)
        assert model.label_correction_ is None
        assert Counting.fits == 2  # on one fold, then to distil
        always = clone(model).set_params(label_correction=True).fit(X, y)
        assert Counting.fits == 2 + 6
        assert always.label_correction_.lead > 3
        plain = clone(model).set_params(label_correction=False).fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))

    def test_a_readable_student_learns_from_labels_that_are_as_sure_as_they_should_be(self):
        X, y = load_digits(return_X_y=True)
        forest = RandomForestClassifier(50, random_state=0).fit(X[:900], y[:900])  # too flat
        model = DistilledClassifier(forest, TreeSumStudentClassifier(15), recalibration=False)
        model.fit(X[:900], y[:900])
        found = model.label_correction_
        assert found.teacher_weight > 2
        assert min(found.lead, found.gain) > 3
        plain = clone(model).set_params(label_correction=False).fit(X[:900], y[:900])
        losses = [log_loss(y[900:], each.predict_proba(X[900:])) for each in (model, plain)]
        assert losses[0] < 0.95 * losses[1]

    @pytest.mark.parametrize(
        "student", [LinearStudentClassifier(interactions=2), TreeSumStudentClassifier()]
    )
    def test_a_teacher_that_labels_the_rows_of_its_fit_directly_is_not_made_surer(self, student):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(800, 6))
        margins = margins_from_decision(X[:, 0] + np.sin(2 * X[:, 1]) + X[:, 2] * X[:, 3])
        y = (rng.random(800) < proba_from_margins(margins)[:, 1]).astype(int)
        teacher = GradientBoostingClassifier(n_estimators=200, random_state=0).fit(X, y)
        model = DistilledClassifier(teacher, student)
        with pytest.warns(UserWarning, match="fitted on the very rows"):
            model.fit(X, y)
        assert model.labelling_ == "direct"
        assert model.label_correction_ is None

    @pytest.mark.parametrize("task", [RandomForestClassifier, GradientBoostingRegressor])
    def test_too_few_rows_for_folds_raise_in_our_words(self, task):
        X, y = np.arange(4.0).reshape(2, 2), [0, 1]
        if task is RandomForestClassifier:
            model = DistilledClassifier(task(3), LinearStudentClassifier(), label_correction=True)
        else:
            X, y = X[:1], [0.5]
            model = DistilledRegressor(task(), label_correction=True, labelling="cross_fit")
        with pytest.raises(ValueError, match="cannot be divided into folds; pass more labelled"):
            model.fit(X, y)

    def test_students_with_little_to_gain_are_left_alone(self, linear_task):
        X, y = linear_task
        model = DistilledClassifier(overfitted(), LogisticRegression(), cv=3).fit(X[:500], y[:500])
        assert model.label_correction_ is None
        model.set_params(label_correction=True).fit(X[:500], y[:500])
        assert model.label_correction_.lead < 2 < model.label_correction_.gain

    @pytest.mark.parametrize("alpha", [0, 1])
    def test_imitation_and_hard_labels_alone_are_left_alone(self, linear_task, alpha):
        X, y = linear_task
        model = DistilledClassifier(overfitted(), Gaining(), alpha=alpha, cv=3)
        assert model.fit(X[:500], y[:500]).label_correction_ is None
        with pytest.warns(UserWarning, match=WARNING):
            model.set_params(alpha=0.5).fit(X[:500], y[:500])

    def test_few_rows_are_no_ground_to_correct_on_unless_asked(self, linear_task):
        X, y = linear_task
        model = DistilledClassifier(RandomForestClassifier(20, random_state=0), Gaining())
        assert model.fit(X[:99], y[:99]).label_correction_ is None
        model.set_params(label_correction=True).fit(X[:99], y[:99])
        assert model.label_correction_ is not None

    def test_a_teacher_that_knows_nothing_gets_no_weight(self, linear_task):
        X, y = linear_task
        model = DistilledClassifier(DummyClassifier(strategy="prior"), LinearStudentClassifier())
        model.set_params(label_correction=True).fit(X[:1000], y[:1000])
        alone = LinearStudentClassifier().fit(X[:1000], y[:1000])
        losses = [log_loss(y[1000:], m.predict_proba(X[1000:])) for m in (model, alone)]
        assert losses[0] < losses[1] + 0.003 < model.label_correction_.teacher_loss - 0.15

    def test_the_reported_losses_are_those_of_held_out_answers(self, linear_task):
        X, y = linear_task[0][:800], linear_task[1][:800]
        student = make_pipeline(StandardScaler(), LogisticRegression())
        teacher = GradientBoostingClassifier(n_estimators=40, random_state=0)
        model = DistilledClassifier(teacher, student, label_correction=True, cv=4).fit(X, y)
        for estimator, loss in [
            (student, model.label_correction_.student_loss),
            (teacher, model.label_correction_.teacher_loss),
        ]:
            proba = cross_val_predict(estimator, X, y, cv=4, method="predict_proba")
            assert loss == pytest.approx(log_loss(y, proba), abs=1e-3)

    def test_frames_strings_missing_classes_and_weights_go_through(self, mixed_frame):
        frame, y, _ = mixed_frame(600)
        names = np.array(["no", "yes", "rare"])[y].astype(object)
        names[:3] = "rare"
        names[300:] = np.where(np.arange(300) < 50, -1, names[300:])
        teacher = make_pipeline(
            OrdinalEncoder(
                handle_unknown="use_encoded_value", unknown_value=-2, encoded_missing_value=-1
            ),
            RandomForestClassifier(30, random_state=0),
        )
        model = DistilledClassifier(teacher, LinearStudentClassifier(), label_correction=True)
        model.fit(frame, names, sample_weight=np.where(np.arange(600) % 5, 1.0, 0.0))
        assert model.label_correction_ is not None
        assert list(model.classes_) == ["no", "rare", "yes"]
        np.testing.assert_allclose(model.predict_proba(frame).sum(axis=1), 1)

    def test_splitters_that_leave_rows_out_and_iterators_will_do(self, linear_task):
        X, y = linear_task[0][:400], linear_task[1][:400]
        forest = RandomForestClassifier(30, random_state=0)
        model = DistilledClassifier(forest, LinearStudentClassifier(), label_correction=True)
        model.set_params(cv=TimeSeriesSplit(3)).fit(X, y)
        assert len(model.label_correction_.students) == 3
        halves = np.arange(400) < 200
        pairs = [(np.flatnonzero(halves), np.flatnonzero(~halves))]
        pairs = iter([*pairs, pairs[0][::-1]])
        model.set_params(cv=pairs, labelling="cross_fit").fit(X, y)
        assert len(model.label_correction_.students) == 2

    def test_the_cache_spares_the_fits_of_every_candidate(self, linear_task, tmp_path):
        X, y = linear_task[0][:400], linear_task[1][:400]
        Counting.fits = 0
        model = DistilledClassifier(
            RandomForestClassifier(30, random_state=0),
            Counting(),
            label_correction=True,
            recalibration=False,  # which would fit one more
            memory=str(tmp_path),
        )
        answers = [clone(model).fit(X, y).predict_proba(X) for _ in range(2)]
        np.testing.assert_array_equal(*answers)
        assert Counting.fits == 5 + 2
        clone(model).set_params(temperature=2.0).fit(X, y)
        assert Counting.fits == 5 + 3

    def test_fresh_rows_are_corrected_as_well(self, linear_task):
        pytest.importorskip("torch")
        from skdistill import MLPStudentClassifier

        X, y = linear_task
        student = MLPStudentClassifier((16,), max_epochs=10)
        forest = RandomForestClassifier(60, random_state=0).fit(X[:800], y[:800])
        model = DistilledClassifier(forest, student, random_state=0, label_correction=True)
        model.fit(X[:800], y[:800])
        fresh = model._label_fresh(X[800:1600], None, None)
        margins = model.label_correction_.corrected(
            margins_from_decision(
                np.log(np.clip(forest.predict_proba(X[800:810]), 1e-3, 1)) @ [-1, 1]
            ),
            X[800:810],
        )
        assert np.corrcoef(fresh.margins[:10, 1], margins[:, 1])[0, 1] > 0.99
        n_epochs = model.student_.n_iter_
        assert model.partial_fit(X[1600:2400]).student_.n_iter_ > n_epochs

    def test_callbacks_and_progress_are_for_the_main_fit(self, linear_task, capsys):
        pytest.importorskip("torch")
        from skorch.callbacks import Callback

        from skdistill import MLPStudentClassifier

        class Counter(Callback):
            begun = 0

            def on_train_begin(self, net, **kwargs):
                Counter.begun += 1

        X, y = linear_task[0][:300], linear_task[1][:300]
        student = MLPStudentClassifier((4,), max_epochs=2, callbacks=[Counter()], verbose=1)
        forest = RandomForestClassifier(30, random_state=0)
        model = DistilledClassifier(forest, student, label_correction=True, verbose=1).fit(X, y)
        assert Counter.begun == 1
        told = capsys.readouterr().err
        assert told.count("at most 2 epochs") == 1
        assert model.label_correction_.in_words() in told

    @pytest.mark.parametrize("wrong", ["yes", None, 2])
    def test_other_values_are_refused(self, linear_task, wrong):
        X, y = linear_task
        model = DistilledClassifier(RandomForestClassifier(5), label_correction=wrong)
        with pytest.raises(ValueError, match="label_correction"):
            model.fit(X[:50], y[:50])


class GainingRidge(Ridge):
    """The same for regression."""

    gains_from_label_correction = True


class TestRegressor:
    def test_a_teacher_that_knows_no_better_is_corrected(self):
        X, y = make_regression(1500, 8, n_informative=8, noise=30, random_state=0)
        teacher = GradientBoostingRegressor(n_estimators=30, random_state=0)
        model = DistilledRegressor(teacher, GainingRidge())
        with pytest.warns(UserWarning, match="held-out squared error .* R2 of 0.178 by"):
            corrected = clone(model).fit(X[:500], y[:500])
        imitator = clone(model).set_params(label_correction=False).fit(X[:500], y[:500])
        assert (
            corrected.label_correction_.student_weight > corrected.label_correction_.teacher_weight
        )
        errors = [np.mean((m.predict(X[500:]) - y[500:]) ** 2) for m in (corrected, imitator)]
        assert errors[0] < errors[1]

    def test_a_better_teacher_is_imitated(self):
        X, y = make_friedman1(600, random_state=0)
        teacher = GradientBoostingRegressor(random_state=0)
        assert DistilledRegressor(teacher, GainingRidge()).fit(X, y).label_correction_ is None
