import sys

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    DistilledClassifier,
    LossCurveDisplay,
    MLPStudentClassifier,
    TreeStudentClassifier,
)

plt = pytest.importorskip("matplotlib.pyplot")
pytestmark = pytest.mark.usefixtures("close_figures")


def test_the_loss_curves_are_the_history(binary_task):
    student = MLPStudentClassifier((8,), max_epochs=6, random_state=0).fit(*binary_task)
    display = LossCurveDisplay.from_estimator(student, linewidth=3)
    training, held_out = display.lines_
    assert training.get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
    assert training.get_ydata().tolist() == student.history_["train_loss"]
    assert held_out.get_ydata().tolist() == student.history_["valid_loss"]
    assert training.get_linewidth() == 3
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["training", "held out", f"kept: epoch {student.best_epoch_}"]
    assert display.ax_.get_title() == "MLPStudentClassifier"


def test_the_student_is_found_inside_distillers_and_pipelines(binary_task):
    X, y = binary_task
    student = make_pipeline(StandardScaler(), MLPStudentClassifier((8,), max_epochs=2))
    distiller = DistilledClassifier(RandomForestClassifier(20), student, augmentation=None)
    model = make_pipeline(StandardScaler(), distiller).fit(X, y)
    ax = plt.figure().subplots()
    display = LossCurveDisplay.from_estimator(model, ax=ax, name="mine")
    assert display.ax_ is ax
    assert ax.get_title() == "mine"
    losses = model[-1].student_[-1].history_["train_loss"]
    assert display.lines_[0].get_ydata().tolist() == losses


def test_without_held_out_rows_there_is_one_curve(binary_task):
    student = MLPStudentClassifier((8,), max_epochs=2, validation_fraction=0)
    assert len(LossCurveDisplay.from_estimator(student.fit(*binary_task)).lines_) == 1


def test_students_without_epochs_are_refused_by_name(binary_task):
    with pytest.raises(TypeError, match="TreeStudentClassifier was not trained in epochs"):
        LossCurveDisplay.from_estimator(TreeStudentClassifier().fit(*binary_task))
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(MLPStudentClassifier())


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        LossCurveDisplay([1.0, 0.5]).plot()
