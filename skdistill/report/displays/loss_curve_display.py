"""Plot how the loss of a student fell during training."""

import numpy as np

from skdistill.estimators import last_step
from skdistill.models import student_and_teacher
from skdistill.report.plotting import one_axes


class LossCurveDisplay:
    """Loss of every epoch of an MLP student, on the rows it learned from and on those held out.

    Use `from_estimator` to make one.

    Parameters
    ----------
    train_loss : list of float
        Mean loss of the training rows, one entry per epoch.
    valid_loss : list of float or None, default=None
        Mean loss of the held-out rows, one entry per epoch; None if none were held out.
    best_epoch : int or None, default=None
        The epoch whose weights were kept, counted from 1; None to mark none.
    name : str or None, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were drawn on.
    figure_ : matplotlib Figure
        The figure they belong to.
    lines_ : list of matplotlib Line2D
        The curves, training first.

    See Also
    --------
    MLPStudentClassifier : Keeps the losses in ``history_``.

    Examples
    --------
    The curves of a network fitted on the classes of the iris flowers:

    >>> from sklearn.datasets import load_iris
    >>> from skdistill import LossCurveDisplay, MLPStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> student = MLPStudentClassifier((16,), max_epochs=30, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(student)
    >>> display.ax_.get_xlabel()
    'Epoch'
    """

    def __init__(self, train_loss, valid_loss=None, *, best_epoch=None, name=None):
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.best_epoch = best_epoch
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, **line_kw):
        """Plot the losses of a fitted MLP student.

        Parameters
        ----------
        estimator : estimator
            A fitted `MLPStudentClassifier` or `MLPStudentRegressor`, a distiller with such a
            student, a Pipeline that ends in one of them, or a search over them.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        name : str or None, default=None
            Title of the plot; None for the name of the student's class.
        **line_kw : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If its student was not trained in epochs.
        """
        student = last_step(student_and_teacher(estimator)[0].estimator)
        if not hasattr(student, "history_"):
            raise TypeError(
                f"{type(student).__name__} was not trained in epochs; an MLPStudentClassifier, an "
                "MLPStudentRegressor, a SoftTreeStudentClassifier or a distiller with one of them "
                "was expected."
            )
        history = student.history_
        display = cls(
            history.get("train_loss", []),
            history.get("valid_loss"),
            best_epoch=student.best_epoch_,
            name=type(student).__name__ if name is None else name,
        )
        return display.plot(ax, **line_kw)

    def plot(self, ax=None, **line_kw):
        """Draw the curves; a vertical line marks the epoch whose weights were kept.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **line_kw : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = one_axes(ax)
        curves = {"training": self.train_loss, "held out": self.valid_loss}
        self.lines_ = []
        for label, losses in curves.items():
            if losses is not None:
                epochs = np.arange(1, len(losses) + 1)
                self.lines_ += ax.plot(epochs, losses, **{"label": label, **line_kw})
        if self.best_epoch:
            label = f"kept: epoch {self.best_epoch}"
            ax.axvline(self.best_epoch, color="0.6", linestyle="--", linewidth=1, label=label)
        ax.set(xlabel="Epoch", ylabel="Loss", title=self.name)
        ax.locator_params(axis="x", integer=True)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
