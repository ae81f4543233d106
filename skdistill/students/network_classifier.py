"""What classifiers that are trained in epochs share: training can go on with other rows."""

from abc import abstractmethod
from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdistill.columns import PlainColumns, take_rows
from skdistill.parameters import Interval
from skdistill.progress import CallbackSupportMixin
from skdistill.rows import check_classes
from skdistill.soft_labels import LOSSES, free_margins, margins_from_decision
from skdistill.students.base import StudentClassifier, make_targets, without_weightless
from skdistill.students.encoding import EncodedStudent, fit_encoding

#: Constraints of the parameters that all students trained in epochs have.
NETWORK_CONSTRAINTS = {
    "n_bins": [Interval(Integral, 1, None, closed="left")],
    "max_categories": [Interval(Integral, 2, None, closed="left")],
    "min_frequency": [Interval(Real, 0.0, 1.0, closed="left")],
    "learning_rate_init": [Interval(Real, 0.0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0.0, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
    "validation_fraction": [Interval(Real, 0.0, 1.0, closed="left")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "callbacks": [list, tuple, None],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class TrainedInEpochs(CallbackSupportMixin, EncodedStudent):
    """What students state that are trained in torch."""

    gains_from_synthetic_rows = True
    gains_from_label_correction = True
    needs = ("torch", "skorch")


class NetworkStudentClassifier(TrainedInEpochs, StudentClassifier):
    """A classifier trained on encoded columns; a student adds `_train` and `_outputs`."""

    losses = LOSSES

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go on training on other rows, from the weights so far; the first call is `fit`.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns: numbers, strings or categories, with missing values.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Classes, or one probability per class and row; each row sums to 1.
        classes : array-like of shape (n_classes,), default=None
            All classes of this and later calls, in the first call; None for those in y. Later
            calls take the same, or None.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The student.

        Raises
        ------
        ValueError
            If X, y or the weights have the wrong shape or hold impossible values, or y has a class
            that is unknown.

        Notes
        -----
        Each call trains as `fit` would on these rows, with three tenths of the learning rate, and
        keeps the weights from before if no epoch is better on the held-out rows. The encoding is
        not changed: numbers outside its range count as its ends.
        """
        self._validate_params()
        if hasattr(self, "history_"):
            check_classes(classes, self.classes_)
            X = self._check_X(X, reset=False)
            targets, _ = make_targets(self, X, y, sample_weight, self.classes_)
            return self._go_on(X, targets)
        X = self._check_X(X, reset=True)
        classes = None if classes is None else np.unique(classes)
        targets, classes = make_targets(self, X, y, sample_weight, classes)
        return self._fit_checked(X, targets, classes)

    def partial_distill(self, transfer_set, temperature=1.0, alpha=1.0):
        """Go on training on another transfer set, from the weights so far.

        Parameters
        ----------
        transfer_set : TransferSet
            Rows with the teacher's margins and, for some, observed classes.
        temperature : float, default=1.0
            Softens teacher and student in the soft term of the loss; predictions use 1.
        alpha : float, default=1.0
            Weight of the soft term, in [0, 1]; the hard term has the rest.

        Returns
        -------
        self : object
            The student.
        """
        check_is_fitted(self)
        X = self._check_X(transfer_set.X, reset=False)
        return self._go_on(X, transfer_set.soft_targets(temperature, alpha))

    def _fit_targets(self, X, targets):
        import_training()  # raises before any work if torch is missing
        _, weight = targets.mixed()
        self.encoding_ = fit_encoding(self, X, weight)
        self._train(X, targets, start=free_margins(targets.prior()))

    def _go_on(self, X, targets):
        self._train(*without_weightless(X, targets), start=None)
        return self

    @abstractmethod
    def _train(self, X, targets, start):
        """Train from the best constant model, or from the present weights if start is None."""

    @abstractmethod
    def _outputs(self, X):
        """Compute outputs of shape (n_samples, n_outputs) for checked rows."""

    def _margins(self, X):
        outputs = self._outputs(X).astype(np.float64)
        return margins_from_decision(outputs) if len(self.classes_) == 2 else outputs


def rows_for_callbacks(student, X, targets):
    """Return the rows with an observed class as scikit-learn's callbacks take them."""
    observed = targets.codes >= 0
    if not observed.any():
        return {"X": lambda: readable_again(student, X)}
    return {
        "X": lambda: readable_again(student, take_rows(X, observed)),
        "y": lambda: student.classes_[targets.codes[observed]],
        "metadata": lambda: weights_that_differ(targets.sample_weight[observed]),
    }


def readable_again(student, X):
    """Return rows read from a frame in a form that the student takes without column names."""
    has_names = hasattr(student, "feature_names_in_")
    return PlainColumns(tuple(X.T)) if has_names and isinstance(X, np.ndarray) else X


def weights_that_differ(sample_weight):
    """Return weights as metadata of callbacks; None if all are equal."""
    return {"sample_weight": sample_weight} if np.ptp(sample_weight) > 0 else None


def import_training():
    """Return the package of the training, with its modules; nothing else needs torch."""
    try:
        from skdistill.students import network_training
        from skdistill.students.network_training import losses, network, soft_tree, train  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Training an MLP student or a soft tree needs torch and skorch, which are not "
            f"installed ({error}). Install them with: pip install torch skorch tqdm"
        ) from error
    return network_training
