"""Multilayer perceptrons on encoded columns: trained in torch, served by NumPy."""

from numbers import Integral

import numpy as np

from skdistill.messages import shown
from skdistill.parameters import Interval
from skdistill.soft_labels import free_outputs
from skdistill.students.base import StudentRegressor, centre_and_spread
from skdistill.students.encoding import fit_encoding
from skdistill.students.network_classifier import (
    NETWORK_CONSTRAINTS,
    NetworkStudentClassifier,
    TrainedInEpochs,
    import_training,
    readable_again,
    rows_for_callbacks,
    weights_that_differ,
)

#: Hidden layers and numbers of bins that a search tries.
SEARCHED_SIZES = (((16,), 32), ((32, 32), 8), ((32, 32), 32), ((64, 64), 32), ((128, 128), 32))


class _MLPStudent(TrainedInEpochs):
    """What both MLP students state."""

    form = "network"
    follows_hints = True
    has_leaves = False

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        **NETWORK_CONSTRAINTS,
    }

    def __init__(
        self,
        hidden_layer_sizes=(128, 128),
        *,
        n_bins=32,
        max_categories=64,
        min_frequency=0.001,
        learning_rate_init=0.004,
        weight_decay=0.01,
        batch_size=512,
        max_epochs=None,
        validation_fraction=0.1,
        n_iter_no_change=10,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_bins = n_bins
        self.max_categories = max_categories
        self.min_frequency = min_frequency
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def sizes(cls, n_columns, max_leaves=None, max_interactions=None):
        return [cls(layers, n_bins=n_bins) for layers, n_bins in SEARCHED_SIZES]

    def layer_sizes(self):
        """List the widths of the hidden layers; ValueError if they are none."""
        sizes = np.atleast_1d(self.hidden_layer_sizes).tolist()
        if any(not isinstance(size, int) or size < 1 for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes is {shown(self.hidden_layer_sizes)}; the width of every "
                "hidden layer was expected, as integers of at least 1, such as (128, 128)."
            )
        return sizes

    def _validate_params(self):
        super()._validate_params()
        self.layer_sizes()

    def short_name(self):
        layers = self.hidden_layer_sizes
        layers = layers if isinstance(layers, list | tuple) else [layers]
        return f"MLP {'-'.join(map(str, layers))}, {self.n_bins} bins"

    def parts(self):
        return f"{sum(array.size for array in [*self.coefs_, *self.intercepts_]):,} weights"

    def n_columns_used(self):
        return self.n_features_in_

    def first_sum(self):
        curves = self.encoding_.curves(self.coefs_[0])
        return [curve.astype(np.float32) for curve in curves], self.intercepts_[0]

    def after_sum(self, sums):
        hidden = sums
        for weight, bias in zip(self.coefs_[1:], self.intercepts_[1:], strict=True):
            np.maximum(hidden, 0, out=hidden)
            hidden = hidden @ weight
            hidden += bias
        return hidden

    def _weights(self):
        weights = {f"coef.{k}": array for k, array in enumerate(self.coefs_)}
        return weights | {f"intercept.{k}": array for k, array in enumerate(self.intercepts_)}

    def _set_weights(self, arrays):
        layers = range(sum(name.startswith("coef.") for name in arrays))
        self.coefs_ = [arrays[f"coef.{k}"] for k in layers]
        self.intercepts_ = [arrays[f"intercept.{k}"] for k in layers]


class MLPStudentClassifier(_MLPStudent, NetworkStudentClassifier):
    """A multilayer perceptron that learns from soft labels: close to the teacher, still small.

    Numeric columns are encoded piecewise linearly, nominal ones one-hot, so the network can follow
    the steps of a tree ensemble. Training needs torch and skorch (the ``mlp`` extra); a fitted
    student holds plain arrays and needs neither.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(128, 128)
        Width of every hidden layer.
    n_bins : int, default=32
        Largest number of bins of a numeric column.
    max_categories : int, default=64
        Largest number of levels of a nominal column; the rarest share an infrequent level.
    min_frequency : float, default=0.001
        Categories with less than this share of the weight are infrequent.
    learning_rate_init : float, default=0.004
        Largest learning rate of AdamW; it warms up over the first tenth of the steps and then
        falls to zero along a cosine.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    batch_size : int, default=512
        Rows per step; fewer when there are fewer rows.
    max_epochs : int or None, default=None
        Passes over the rows. None takes as many as make ``min(6000, 100 * n_samples**0.4)`` steps,
        and two or four times as many while the held-out loss falls by more than 2 % from the first
        to the second quarter of them.
    validation_fraction : float, default=0.1
        Share of the rows held out to find the best epoch, once there are at least 500 rows; 0
        trains on all rows and keeps the last epoch.
    n_iter_no_change : int, default=10
        Training stops when the held-out loss has not improved for this many epochs; the first
        tenth, in which the learning rate warms up, does not count.
    callbacks : list or None, default=None
        More skorch callbacks, each a `skorch.callbacks.Callback` or a pair of a name and one.
        Those of scikit-learn, from 1.9 on, go to ``set_callbacks``: every epoch is a task.
    device : str, default="auto"
        Where to train: "auto" (a GPU when there is one), "cpu", "cuda" or any torch device.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, the held-out rows and the order of the batches.
    verbose : int, default=0
        Whether to print epochs, losses and seconds on stderr, with a bar where it takes more than
        five seconds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    encoding_ : Encoding
        Bin edges and levels of every column.
    coefs_ : list of ndarray of shape (n_inputs, n_outputs)
        Float32 weights of every layer, as in scikit-learn's MLPClassifier.
    intercepts_ : list of ndarray of shape (n_outputs,)
        Float32 biases of every layer.
    history_ : dict of str to list of float
        ``train_loss`` and, with held-out rows, ``valid_loss`` of every epoch, see
        `LossCurveDisplay`.
    n_iter_ : int
        Number of epochs.
    best_epoch_ : int
        The epoch whose weights were kept, counted from 1 over all calls of `partial_fit`.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    LinearStudentClassifier : The same encoding without hidden layers: one curve per column.

    Notes
    -----
    Numbers outside the range seen at fit count as its ends. Missing numbers have a code of their
    own where some were missing at fit, and count as the median where none were. Categories never
    seen share the infrequent level; without one they contribute nothing.

    The weights that are kept are a moving average over the last fifth of the steps, at most 1000.
    Ctrl-C ends the training, warns and keeps the best weights so far. On a GPU the rows stay
    there if they fit, else they are sent in chunks. Training repeats exactly with a `random_state`
    on the CPU, on any number of threads, not on a GPU.

    On the CPU training steps and scores are computed by C, compiled once per machine, on as many
    threads as OpenMP may use; without a C compiler torch and NumPy do it, in two to five times the
    time. So do they with `callbacks` other than skorch's ``EpochTimer`` and ``EarlyStopping``.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531. Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in
    Tabular Deep Learning", NeurIPS 2022, arXiv:2203.05556.

    Examples
    --------
    A small network fitted on the probabilities of a forest:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import MLPStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = MLPStudentClassifier((16,), max_epochs=20, random_state=0)
    >>> student = student.fit(X, forest.predict_proba(X))
    >>> print(f"{(student.predict(X) == forest.predict(X)).mean():.1f}")
    1.0
    """

    def _train(self, X, targets, start):
        criterion, packed = import_training().losses.pack_distillation(targets)
        rows = rows_for_callbacks(self, X, targets)
        _train_network(self, X, packed, criterion, start, rows)

    def _outputs(self, X):
        return _forward(self, X)

    def rescale_margins(self, slope, intercept):
        """Change the last layer, see `StudentClassifier`."""
        last = slope * self.coefs_[-1], slope * self.intercepts_[-1] + free_outputs(intercept)
        last = [array.astype(np.float32) for array in last]
        self.coefs_ = [*self.coefs_[:-1], last[0]]
        self.intercepts_ = [*self.intercepts_[:-1], last[1]]


class MLPStudentRegressor(_MLPStudent, StudentRegressor):
    """A multilayer perceptron regressor on encoded columns, fitted by least squares.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(128, 128)
        Width of every hidden layer.
    n_bins : int, default=32
        Largest number of bins of a numeric column.
    max_categories : int, default=64
        Largest number of levels of a nominal column; the rarest share an infrequent level.
    min_frequency : float, default=0.001
        Categories with less than this share of the weight are infrequent.
    learning_rate_init : float, default=0.004
        Largest learning rate of AdamW; it warms up over the first tenth of the steps and then
        falls to zero along a cosine.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    batch_size : int, default=512
        Rows per step; fewer when there are fewer rows.
    max_epochs : int or None, default=None
        Passes over the rows. None takes as many as make ``min(6000, 100 * n_samples**0.4)`` steps,
        and two or four times as many while the held-out loss falls by more than 2 % from the first
        to the second quarter of them.
    validation_fraction : float, default=0.1
        Share of the rows held out to find the best epoch, once there are at least 500 rows; 0
        trains on all rows and keeps the last epoch.
    n_iter_no_change : int, default=10
        Training stops when the held-out loss has not improved for this many epochs; the first
        tenth, in which the learning rate warms up, does not count.
    callbacks : list or None, default=None
        More skorch callbacks, each a `skorch.callbacks.Callback` or a pair of a name and one.
    device : str, default="auto"
        Where to train: "auto" (a GPU when there is one), "cpu", "cuda" or any torch device.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, the held-out rows and the order of the batches.
    verbose : int, default=0
        Whether to print epochs, losses and seconds on stderr, with a bar where it takes more than
        five seconds.

    Attributes
    ----------
    encoding_ : Encoding
        Bin edges and levels of every column.
    coefs_ : list of ndarray of shape (n_inputs, n_outputs)
        Float32 weights of every layer.
    intercepts_ : list of ndarray of shape (n_outputs,)
        Float32 biases of every layer.
    y_mean_, y_scale_ : float
        The network predicts ``(y - y_mean_) / y_scale_``.
    history_ : dict of str to list of float
        ``train_loss`` and, with held-out rows, ``valid_loss`` of every epoch, as shares of the
        variance of y; see `LossCurveDisplay`.
    n_iter_ : int
        Number of epochs.
    best_epoch_ : int
        The epoch whose weights were kept, counted from 1 over all calls of `partial_fit`.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    MLPStudentClassifier : The same for classes, with the treatment of columns explained.

    Examples
    --------
    A small network fitted on the predictions of a forest:

    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from skdistill import MLPStudentRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> forest = RandomForestRegressor(random_state=0).fit(X, y)
    >>> student = MLPStudentRegressor((32,), random_state=0).fit(X, forest.predict(X))
    >>> print(f"{student.score(X, forest.predict(X)):.1f}")
    1.0
    """

    def partial_fit(self, X, y, sample_weight=None):
        """Go on training on other rows, from the weights so far; the first call is `fit`.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns: numbers, strings or categories, with missing values.
        y : array-like of shape (n_samples,)
            Observed values, or a teacher's predictions.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The student.

        Raises
        ------
        ValueError
            If X, y or the weights have the wrong shape or hold impossible values.

        Notes
        -----
        See `MLPStudentClassifier.partial_fit`. The unit of the network, ``y_mean_`` and
        ``y_scale_``, stays, too.
        """
        self._validate_params()
        if not hasattr(self, "coefs_"):
            return self.fit(X, y, sample_weight)
        self._train(*self._check_training_rows(X, y, sample_weight, reset=False), start=None)
        return self

    def _fit_values(self, X, y, sample_weight):
        import_training()  # raises before any work if torch is missing
        self.encoding_ = fit_encoding(self, X, sample_weight)
        self.y_mean_, self.y_scale_ = centre_and_spread(y, sample_weight)
        self._train(X, y, sample_weight, start=np.zeros(1))

    def _train(self, X, y, sample_weight, start):
        standardised = (y - self.y_mean_) / self.y_scale_
        criterion, packed = import_training().losses.pack_regression(standardised, sample_weight)
        rows = {
            "X": lambda: readable_again(self, X),
            "y": y,
            "metadata": weights_that_differ(sample_weight),
        }
        _train_network(self, X, packed, criterion, start, rows)

    def _values(self, X):
        return self._in_unit_of_y(_forward(self, X))[:, 0]

    def after_sum(self, sums):
        """Compute predictions, see `Student`."""
        return self._in_unit_of_y(super().after_sum(sums))

    def _in_unit_of_y(self, outputs):
        return outputs.astype(np.float64) * self.y_scale_ + self.y_mean_


def _train_network(student, X, packed, criterion, start, rows):
    """Train from the best constant model, or from the present weights, and keep the result."""
    training = import_training()

    def build():
        network = training.network.network_of(student, start)
        if hasattr(criterion, "attach_to"):
            criterion.attach_to(network)
        return network

    positions = student.encoding_.positions(X)
    training.train.train(
        student, build, positions, packed, criterion, start is None, _attributes_of, rows
    )


def _attributes_of(network):
    coefs, intercepts = network.weights()
    return {"coefs_": coefs, "intercepts_": intercepts}


def _forward(student, X):
    """Compute the last layer, float32 of shape (n_samples, n_outputs), without torch."""
    encoding, coefs, intercepts = student.encoding_, student.coefs_, student.intercepts_
    first = encoding.layer(coefs[0], intercepts[0])
    outputs = np.empty((X.shape[0], len(intercepts[-1])), dtype=np.float32)
    return encoding.fill(outputs, X, lambda u: _MLPStudent.after_sum(student, first(u)))
