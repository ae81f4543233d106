"""Multilayer perceptrons on the encoded columns: trained in torch, served by NumPy."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval

from skdistill.soft_labels import free_margins, margins_from_decision
from skdistill.students.base import StudentClassifier, StudentRegressor
from skdistill.students.encoding import fit_encoding

#: Rows that are expanded at a time: their codes stay in the processor's cache.
BLOCK_ROWS = 512

_MLP_CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "n_bins": [Interval(Integral, 1, None, closed="left")],
    "max_categories": [Interval(Integral, 2, None, closed="left")],
    "min_frequency": [Interval(Real, 0.0, 1.0, closed="left")],
    "learning_rate_init": [Interval(Real, 0.0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0.0, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
    "validation_fraction": [Interval(Real, 0.0, 1.0, closed="left")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class MLPStudentClassifier(StudentClassifier):
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
    learning_rate_init : float, default=0.002
        Largest learning rate of AdamW; it warms up over the first tenth of the steps and then
        falls to zero along a cosine.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    batch_size : int, default=512
        Rows per step; fewer when there are fewer rows.
    max_epochs : int or None, default=None
        Passes over the rows. None takes as many as make ``min(6000, 100 * n_samples**0.4)`` steps.
    validation_fraction : float, default=0.1
        Share of the rows held out to find the best epoch, once there are at least 500 rows; 0
        trains on all rows and keeps the last epoch.
    n_iter_no_change : int, default=10
        Training stops when the held-out loss has not improved for this many epochs.
    device : str, default="auto"
        Where to train: "auto" (a GPU when there is one), "cpu", "cuda" or any torch device.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, the held-out rows and the order of the batches.
    verbose : int, default=0
        Whether to print the losses of every epoch.

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
        ``train_loss`` and, with held-out rows, ``valid_loss`` of every epoch.
    n_iter_ : int
        Number of epochs.
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

    #: DistilledClassifier and DistilledRegressor make synthetic rows for such students.
    gains_from_synthetic_rows = True

    _parameter_constraints = _MLP_CONSTRAINTS

    def __init__(
        self,
        hidden_layer_sizes=(128, 128),
        *,
        n_bins=32,
        max_categories=64,
        min_frequency=0.001,
        learning_rate_init=0.002,
        weight_decay=0.01,
        batch_size=512,
        max_epochs=None,
        validation_fraction=0.1,
        n_iter_no_change=10,
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
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _fit_targets(self, X, targets):
        training = _import_training()
        _, weight = targets.mixed()
        self.encoding_ = fit_encoding(self, X, weight)
        positions = self.encoding_.positions(X)
        criterion, packed = training.pack_distillation(targets)
        training.train(self, positions, packed, criterion, start=free_margins(targets.prior()))

    def _margins(self, X):
        outputs = _forward(self, X).astype(np.float64)
        return margins_from_decision(outputs) if len(self.classes_) == 2 else outputs


class MLPStudentRegressor(StudentRegressor):
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
    learning_rate_init : float, default=0.002
        Largest learning rate of AdamW; it warms up over the first tenth of the steps and then
        falls to zero along a cosine.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    batch_size : int, default=512
        Rows per step; fewer when there are fewer rows.
    max_epochs : int or None, default=None
        Passes over the rows. None takes as many as make ``min(6000, 100 * n_samples**0.4)`` steps.
    validation_fraction : float, default=0.1
        Share of the rows held out to find the best epoch, once there are at least 500 rows; 0
        trains on all rows and keeps the last epoch.
    n_iter_no_change : int, default=10
        Training stops when the held-out loss has not improved for this many epochs.
    device : str, default="auto"
        Where to train: "auto" (a GPU when there is one), "cpu", "cuda" or any torch device.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, the held-out rows and the order of the batches.
    verbose : int, default=0
        Whether to print the losses of every epoch.

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
        variance of y.
    n_iter_ : int
        Number of epochs.
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

    #: DistilledClassifier and DistilledRegressor make synthetic rows for such students.
    gains_from_synthetic_rows = True

    _parameter_constraints = _MLP_CONSTRAINTS

    def __init__(
        self,
        hidden_layer_sizes=(128, 128),
        *,
        n_bins=32,
        max_categories=64,
        min_frequency=0.001,
        learning_rate_init=0.002,
        weight_decay=0.01,
        batch_size=512,
        max_epochs=None,
        validation_fraction=0.1,
        n_iter_no_change=10,
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
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _fit_values(self, X, y, sample_weight):
        training = _import_training()
        self.encoding_ = fit_encoding(self, X, sample_weight)
        positions = self.encoding_.positions(X)
        self.y_mean_ = np.average(y, weights=sample_weight)
        self.y_scale_ = np.sqrt(np.average((y - self.y_mean_) ** 2, weights=sample_weight)) or 1.0
        standardised = (y - self.y_mean_) / self.y_scale_
        criterion, packed = training.pack_regression(standardised, sample_weight)
        training.train(self, positions, packed, criterion, start=np.zeros(1))

    def _values(self, X):
        return _forward(self, X)[:, 0].astype(np.float64) * self.y_scale_ + self.y_mean_


def _import_training():
    try:
        from skdistill.students import mlp_training
    except ImportError as error:
        raise ImportError(
            "Training an MLP student needs torch and skorch, which are not installed "
            f"({error}). Install them with: pip install 'skdistill[mlp]'"
        ) from error
    return mlp_training


def _forward(student, X):
    """Compute the last layer, float32 of shape (n_samples, n_outputs), by NumPy alone."""
    encoding, coefs, intercepts = student.encoding_, student.coefs_, student.intercepts_
    positions = encoding.positions(X)
    outputs = np.empty((len(positions), len(intercepts[-1])), dtype=np.float32)
    for block in gen_batches(len(positions), BLOCK_ROWS):
        hidden = encoding.expand(positions[block])
        for weight, bias in zip(coefs[:-1], intercepts[:-1], strict=True):
            hidden = hidden @ weight
            hidden += bias
            np.maximum(hidden, 0, out=hidden)
        outputs[block] = hidden @ coefs[-1] + intercepts[-1]
    return outputs
