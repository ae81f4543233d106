"""Explain predictions by Shapley values of the user's own columns, and name reasons."""

import numbers
import warnings
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from skdistill.columns import cell_values, is_frame, table_names, take_rows
from skdistill.models import Model, student_and_teacher
from skdistill.parameters import Interval, StrOptions, validate_params
from skdistill.report.plotting import class_position
from skdistill.report.reasons.shapley.explained_output import ExplainedOutput, RowPool
from skdistill.report.reasons.shapley.methods import attribute, partners
from skdistill.teacher.asking import n_columns_of
from skdistill.verbose import note, steps, verbose

#: With fewer rows to explain than this, a background must be passed.
FEWEST_ROWS_TO_DRAW_FROM = 20

CONSTRAINTS = {
    "model": "no_validation",
    "X": "no_validation",
    "background": "no_validation",
    "output": [StrOptions({"probability", "log_odds"})],
    "max_background": [Interval(numbers.Integral, 1, None, closed="left")],
    "max_evals": [Interval(numbers.Integral, 1, None, closed="left"), None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class _ReasonFields(NamedTuple):
    column: str
    value: Any
    contribution: float


class Reason(_ReasonFields):
    """A column that pushed the score of a row up.

    Attributes
    ----------
    column : str
        Name of the column.
    value : object
        What the row holds there, as the user has it; NaN or None where missing.
    contribution : float
        Its Shapley value, larger than 0, in the output space that was passed.
    partner : tuple or None
        Name and value of the column that it does most of this together with: a pair of an additive
        student whose share, in log-odds or the prediction, is more than what the column adds by its
        own curve, and more than its share of any other pair. None where there is none; it is no
        item of the tuple.

    Examples
    --------
    A reason unpacks like any tuple, and says itself in words:

    >>> from skdistill.report import Reason
    >>> reason = Reason("amount", 1250.0, 0.31, partner=("claims", 5))
    >>> column, value, contribution = reason
    >>> print(f"{column} = {value} adds {contribution}")
    amount = 1250.0 adds 0.31
    >>> print(reason.text())
    amount 1250 with claims 5
    """

    partner: tuple | None

    def __new__(cls, column, value, contribution, partner=None):
        """Make a tuple of three, which knows its partner."""
        self = super().__new__(cls, column, value, contribution)
        self.partner = partner
        return self

    def text(self):
        """Say what the row holds: in the column, and in that of the `partner`.

        Returns
        -------
        text : str
            Such as "age 23", or "age 23 with claims 5".
        """
        said = [(self.column, self.value)] + ([self.partner] if self.partner else [])
        return " with ".join(f"{name} {_cell_text(value)}" for name, value in said)


@validate_params(CONSTRAINTS)
@verbose
def explain(
    model,
    X,
    background=None,
    *,
    output="probability",
    max_background=100,
    max_evals=None,
    random_state=None,
    verbose=0,
):
    """Explain the predictions of a model by Shapley values, one per row, column and class.

    All models are explained by one definition, in one shape and in one output space, so teacher
    and student can be compared. What is explained are always the columns that the model is given:
    a pipeline's own input, whatever its transformers make of it.

    Parameters
    ----------
    model : estimator
        A fitted distiller, of which the deployed student is explained, a Pipeline that ends in
        one, a search over either; or any fitted classifier with ``predict_proba``, or regressor,
        teachers included.
    X : array-like or data frame of shape (n_samples, n_features)
        Rows to explain, as the model takes them.
    background : array-like or data frame of shape (n_background, n_features), default=None
        Rows that an explanation starts from: a value says why the prediction for a row differs from
        the mean prediction for these. None draws them from X.
    output : {"probability", "log_odds"}, default="probability"
        What is explained of a classifier. "log_odds" is the log-odds of each class against the
        geometric mean of the others: with two classes their log-odds, and linear in the margins
        of boosting and of additive models. Of regressors the prediction is explained.
    max_background : int, default=100
        Largest number of background rows; of more, this many are drawn. Time grows with it, except
        for the closed form and with trees.
    max_evals : int or None, default=None
        Largest number of evaluations of the model per row where values are sampled, see
        Notes: the error falls with its square root. None takes 6,000, or 18,000 of students that
        predict from plain arrays, and more if that is less than a walk for every background
        row.
    random_state : int, RandomState instance or None, default=None
        Draws the background and the orders of columns.
    verbose : int, default=0
        Whether to tell on stderr how long it took, with a bar if it takes long.

    Returns
    -------
    explanation : shap.Explanation
        ``values`` of shape (n_samples, n_features, n_classes), ``base_values`` of shape
        (n_samples, n_classes), ``data``, the cells of X in an object array, ``feature_names``,
        ``x0, x1, ...`` if there are none, and ``output_names``, the classes as strings. Regression
        has one class, "prediction". Two attributes are added: ``output_space``, which is
        "probability", "log_odds" or "prediction", and ``method``, how the values were computed.
        Plots of shap take one class at a time: ``explanation[:, :, 1]``.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If it is neither a classifier with ``predict_proba`` nor a regressor, or a table is sparse.
    ValueError
        If the model knows one class only, X or the background does not fit the model or each
        other, there are too few rows to draw a background from, or a parameter is impossible.
    ImportError
        If shap is not installed.

    See Also
    --------
    reason_codes : The columns that pushed a score up, row by row.
    attribution_report : Whether a student decides for the same reasons as its teacher.

    Notes
    -----
    The values are interventional Shapley values: the players are the columns, and a set of columns
    S is worth the mean, over background rows z, of the prediction for z with the columns S taken
    from the row explained. For every row ``base_values + values.sum(axis=1)`` is the model's
    prediction, and the base is its mean prediction for the background. How they are computed
    depends on what the model is found to be, not on its name:

    - "closed form": additive students, in log-odds and in regression; exact. What a pair of columns
      adds beyond their curves is shared: for a row x and a background row z either column gets the
      mean of what it changes if it is taken from x first, and if it is taken second.
    - "exact, from n trees": models whose prediction, in that output space, is a sum of trees:
      tree students, sums of trees in log-odds and in regression, and forests in probability,
      boosting in log-odds and regressors of both, as shap reads them. The trees are used if they
      predict as the model does, to 1e-4 of the range of predictions, on the rows, the background
      and mixtures of both, and if they have at most 300,000 leaves, each of which takes 50 to 150
      microseconds for up to 512 rows.
    - "sampled, n walks": all others, such as MLP students, boosting in probability, Voting,
      Stacking, and models that split by category. A walk turns a background row into the row
      explained, column by column in random order. Walks come in fours: a random order, the one that
      begins with its second half, and the reverse of both. Each background row gets the same number
      of walks, as many as `max_evals` pays for, at ``n_features - 1`` evaluations each; if that is
      less than one, fewer background rows are used. The values still add up exactly, and a column
      that makes no difference gets 0.
      MLP and additive students predict from plain arrays, in a microsecond per prediction.

    Pipelines are looked through where every column that the last step sees is made of one of the
    user's, such as by scaling, imputing or one-hot encoding; behind other transformers, values are
    sampled. Models without raw scores have the log-odds of their probabilities; those below the
    mean of the background divided by 1,001, or by one more than the number of averaged members,
    count as that much.

    Two calls with the same integer as `random_state` use the same background and the same orders
    of columns, whatever the models.

    References
    ----------
    Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017,
    arXiv:1705.07874. Janzing, Minorics and Blöbaum, "Feature relevance quantification in
    explainable AI: A causal problem", AISTATS 2020, arXiv:1910.13413, for the interventional
    definition. Bordt and von Luxburg, "From Shapley Values to Generalized Additive Models and
    back", AISTATS 2023, arXiv:2209.04012, for pairs. Štrumbelj and Kononenko, "Explaining
    prediction models and individual predictions with feature contributions", Knowledge and
    Information Systems 41 (2014), doi:10.1007/s10115-013-0679-x, for walks.

    Examples
    --------
    The contributions of an additive student, which add up to its log-odds:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import LinearStudentClassifier, explain
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = LinearStudentClassifier().fit(X, forest.predict_proba(X))
    >>> explanation = explain(student, X[:5], background=X, output="log_odds", random_state=0)
    >>> explanation.shape
    (5, 30, 2)
    >>> explanation.method
    'closed form'
    >>> log_odds = explanation.base_values + explanation.values.sum(axis=1)
    >>> print(abs(log_odds[:, 1] - student.decision_function(X[:5])).max() < 1e-9)
    True
    """
    model = model if isinstance(model, Model) else student_and_teacher(model)[0]
    return _explain(model, X, background, output, max_background, max_evals, random_state)[0]


@validate_params(
    {
        **CONSTRAINTS,
        "top": [Interval(numbers.Integral, 1, None, closed="left")],
        "class_of_interest": "no_validation",
    }
)
@verbose
def reason_codes(
    model,
    X,
    background=None,
    *,
    top=4,
    class_of_interest=None,
    output="probability",
    max_background=100,
    max_evals=None,
    random_state=None,
    verbose=0,
):
    """Name the columns that pushed the score of each row up: the reasons for an alert.

    Parameters
    ----------
    model : estimator
        A fitted distiller, of which the deployed student gives its reasons, or any fitted
        classifier with ``predict_proba``, or regressor; see `explain`.
    X : array-like or data frame of shape (n_samples, n_features)
        Rows, as the model takes them.
    background : array-like or data frame of shape (n_background, n_features), default=None
        Rows that scores are compared with; None draws them from X. For a few alerts pass rows as
        they usually are, not more alerts.
    top : int, default=4
        Largest number of reasons per row.
    class_of_interest : int, float, bool, str or None, default=None
        The class whose score is explained. None takes the second of two classes, and of more the
        one that is predicted for the row. A regressor's score is its prediction.
    output : {"probability", "log_odds"}, default="probability"
        What contributions are measured in, see `explain`.
    max_background : int, default=100
        Largest number of background rows.
    max_evals : int or None, default=None
        Largest number of evaluations per row where contributions are sampled, see `explain`.
    random_state : int, RandomState instance or None, default=None
        Draws the background and the orders of columns.
    verbose : int, default=0
        Whether to tell on stderr how long it took, with a bar if it takes long.

    Returns
    -------
    reasons : list of list of Reason
        Per row the columns with a positive contribution, the largest first: tuples of column,
        value and contribution. An empty list where nothing pushed the score up. Of additive
        students with pairs, a reason also knows its `partner`: see `Reason`.

    Raises
    ------
    ValueError
        If there is no such class, or for any reason that `explain` has.

    See Also
    --------
    explain : All contributions, of all classes.

    Examples
    --------
    Why a tumour is found benign:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import LinearStudentClassifier, reason_codes
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = LinearStudentClassifier(C=1.0).fit(X, forest.predict_proba(X))
    >>> [reasons] = reason_codes(student, X[19:20], X, top=2, output="log_odds", random_state=0)
    >>> for column, value, contribution in reasons:
    ...     print(f"{column} = {value}: +{contribution:.2f}")
    worst texture = 19.26: +0.82
    mean texture = 14.36: +0.73
    """
    model = student_and_teacher(model)[0]
    position = class_position(model.labels, class_of_interest)
    explanation, explained, pool = _explain(
        model, X, background, output, max_background, max_evals, random_state
    )
    scores = explanation.base_values + explanation.values.sum(axis=1)
    n_rows = len(scores)
    classes = scores.argmax(axis=1) if position is None else np.full(n_rows, position)
    contributions = explanation.values[np.arange(n_rows), :, classes]
    names = explanation.feature_names
    best = np.argsort(-contributions, axis=1, kind="stable")[:, :top]
    found = partners(explained, pool)
    none = np.full(contributions.shape, -1)
    others = none if found is None else found[np.arange(n_rows), :, classes]
    return [
        [_reason(names, cells, j, row[j], with_whom[j]) for j in columns if row[j] > 0]
        for cells, row, with_whom, columns in zip(
            explanation.data, contributions, others, best, strict=True
        )
    ]


def _reason(names, cells, j, contribution, partner):
    """Make a reason of column j and, if it is not -1, the column that is its partner."""
    with_whom = None if partner < 0 else (names[partner], cells[partner])
    return Reason(names[j], cells[j], float(contribution), with_whom)


def _explain(model, X, background, output, max_background, max_evals, random_state):
    """Return the explanation, and the `ExplainedOutput` and the `RowPool` that it is about."""
    X = check_table(X, "X", model)
    space = _space(model, output)
    shap = _import_shap()
    background = draw_background(
        X, background, model, max_background, check_random_state(random_state)
    )
    pool = RowPool.of(X, background)
    explained = ExplainedOutput.about(model, space, background)
    found = attribute(
        explained,
        pool,
        max_evals=max_evals,
        random_state=check_random_state(random_state),
        bar=partial(_bar, model.name),
    )
    note(f"{len(found.values):,} rows, {found.method}")
    explanation = shap.Explanation(
        values=found.values,
        base_values=np.tile(found.base, (len(found.values), 1)),
        data=cell_values(X),
        feature_names=table_names(X),
        output_names=["prediction"] if model.labels is None else [str(c) for c in model.labels],
    )
    explanation.output_space, explanation.method = explained.space, found.method
    return explanation, explained, pool


def _cell_text(value):
    """Write a cell as people read it."""
    if value is None or value != value:
        return "missing"
    if isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_):
        return repr(float(value)).removesuffix(".0")
    return str(value)


def _space(model, output):
    """Return the space of the predictions; a regressor has one, whatever was passed."""
    if model.labels is None:
        if output != "probability":
            raise ValueError(
                f"output={output!r} was passed with the regressor {model.name}, whose predictions "
                "are explained. Leave it out."
            )
        return "prediction"
    if len(model.labels) == 1:
        raise ValueError(
            f"{model.name} knows one class only, {model.labels.tolist()[0]!r}: its prediction is "
            "always the same, and there is nothing to explain."
        )
    return output


def check_table(X, name, model):
    """Check that a table is dense and has rows, and as many columns as a model takes.

    The caller's own container is returned, a list converted to an array. `name` is what messages
    call it.
    """
    if sp.issparse(X):
        raise TypeError(
            f"{name} is sparse; dense rows are needed, as cells are mixed one by one. Pass "
            f"{name}.toarray(), or fewer rows and columns if that is too large."
        )
    X = X if is_frame(X) else np.asarray(X)
    if len(X.shape) != 2 or 0 in X.shape:
        raise ValueError(
            f"{name} has shape {X.shape}; a table of at least one row and one column was expected."
        )
    n_columns = n_columns_of(model.estimator) or X.shape[1]
    if X.shape[1] != n_columns:
        raise ValueError(
            f"{name} has {X.shape[1]} columns; {model.name} was fitted on {n_columns}."
        )
    return X


def draw_background(X, background, model, max_background, random_state):
    """Return the rows that explanations start from, drawn from those passed or, for None, from X.

    At most `max_background`, in the container and columns of X and in their order.
    """
    if background is None:
        background = X
        if X.shape[0] < FEWEST_ROWS_TO_DRAW_FROM:
            raise ValueError(
                f"X has {X.shape[0]} rows, which is too few to draw a background from. Pass "
                "background: some hundred rows as they usually are, such as training rows."
            )
    background = check_table(background, "background", model)
    if type(background) is not type(X) or table_names(background) != table_names(X):
        raise ValueError(
            f"X is a {type(X).__name__} with the columns {table_names(X)}, background a "
            f"{type(background).__name__} with {table_names(background)}. Pass the same columns "
            "in the same container."
        )
    n_rows = background.shape[0]
    if n_rows <= max_background:
        return background
    return take_rows(
        background, np.sort(random_state.choice(n_rows, max_background, replace=False))
    )


def _import_shap():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it uses what matplotlib is about to deprecate
            import shap
    except ImportError as error:
        raise ImportError(
            "Explaining needs shap, which is not installed. Install it with: pip install shap"
        ) from error
    return shap


def _bar(name, items):
    unit = " trees" if isinstance(items, list) else " rows"
    return steps(items, f"explaining {name}", unit=unit)
