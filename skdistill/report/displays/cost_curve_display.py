"""Plot what decisions cost over how many payments can be reviewed, for teacher and student."""

from numbers import Real

import numpy as np

from skdistill.decisions.checks import positive_column
from skdistill.decisions.cost_curve import review_cost_curve
from skdistill.decisions.costs import DecisionCosts
from skdistill.models import find_seen_rows, student_and_teacher
from skdistill.parameters import Interval, validate_params
from skdistill.report.plotting import one_axes

_CONSTRAINTS = {
    "costs": [DecisionCosts],
    "review_capacity": [Interval(Real, 0.0, None, closed="left"), None],
    "ax": "no_validation",  # one_axes says more
}


class CostCurveDisplay:
    """Money that errors and reviews cost, over how many rows can be reviewed.

    Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    curves : dict of str to tuple of ndarray
        Name of each model to its capacities and costs, as `review_cost_curve` returns them.
    per_day : bool, default=False
        Whether capacities are numbers and costs money per day, not shares and money per row.
    review_capacity : int, float or None, default=None
        A capacity to mark, in the unit of the curves.
    name : str or None, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were drawn on.
    figure_ : matplotlib Figure
        The figure they belong to.
    lines_ : dict of str to matplotlib Line2D
        The curve of each model.

    See Also
    --------
    review_cost_curve : The numbers.
    decision_report : The money difference with its interval.

    Examples
    --------
    A tree and its forest, for a desk that works through 100 payments a day:

    >>> import numpy as np
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import CostCurveDisplay, TreeStudentClassifier
    >>> from skdistill.decisions import DecisionCosts
    >>> X, y = make_classification(4000, weights=[0.9], flip_y=0.02, random_state=0)
    >>> forest = RandomForestClassifier(min_samples_leaf=5, random_state=0).fit(X[:2000], y[:2000])
    >>> tree = TreeStudentClassifier(8).fit(X[:2000], forest.predict_proba(X[:2000]))
    >>> display = CostCurveDisplay.from_estimator(
    ...     tree,
    ...     X[2000:],
    ...     y[2000:],
    ...     costs=DecisionCosts(missed_fraud=100, declined_legit=30, review=6),
    ...     teacher=forest,
    ...     days=np.arange(2000) // 400,
    ... )
    >>> display.ax_.get_xlabel()
    'Reviews per day'
    """

    def __init__(self, curves, *, per_day=False, review_capacity=None, name=None):
        self.curves = curves
        self.per_day = per_day
        self.review_capacity = review_capacity
        self.name = name

    @classmethod
    @validate_params(_CONSTRAINTS)
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        costs,
        teacher=None,
        amounts=None,
        days=None,
        pos_label=None,
        sample_weight=None,
        review_capacity=None,
        ax=None,
        name=None,
        **line_kw,
    ):
        """Plot the costs of a student and its teacher, on rows that neither was fitted on.

        Parameters
        ----------
        estimator : estimator
            A fitted distiller, a Pipeline that ends in one, a search over either, or any fitted
            classifier with ``predict_proba``.
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows as the model takes them.
        y : array-like of shape (n_samples,)
            Observed classes, two of them.
        costs : DecisionCosts
            What wrong decisions and reviews cost.
        teacher : estimator or None, default=None
            The fitted teacher; None for the one that the distiller holds.
        amounts, days, pos_label, sample_weight : array-like or None, default=None
            See `review_cost_curve`.
        review_capacity : int, float or None, default=None
            A capacity to mark: a number per day with `days`, else a share of the rows.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        name : str or None, default=None
            Title of the plot.
        **line_kw : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : CostCurveDisplay
            The display, drawn.

        Warns
        -----
        UserWarning
            If models were fitted or recalibrated on rows of X.
        """
        student, teacher = student_and_teacher(estimator, teacher)
        column = positive_column(student.labels, pos_label)
        find_seen_rows(estimator, teacher, X, "the costs are too low")
        models = {"student": student} | ({} if teacher is None else {"teacher": teacher})
        return cls.from_predictions(
            y,
            {role: each.answers(X, student.labels)[:, column] for role, each in models.items()},
            costs=costs,
            amounts=amounts,
            days=days,
            pos_label=pos_label,
            sample_weight=sample_weight,
            review_capacity=review_capacity,
            ax=ax,
            name=name,
            **line_kw,
        )

    @classmethod
    @validate_params(_CONSTRAINTS)
    def from_predictions(
        cls,
        y_true,
        y_proba,
        *,
        costs,
        amounts=None,
        days=None,
        pos_label=None,
        sample_weight=None,
        review_capacity=None,
        ax=None,
        name=None,
        **line_kw,
    ):
        """Plot the costs of given probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Observed classes, two of them.
        y_proba : dict of str to array-like of shape (n_samples,), or one array-like
            Probabilities of fraud, by the names of models.
        costs : DecisionCosts
            What wrong decisions and reviews cost.
        amounts, days, pos_label, sample_weight : array-like or None, default=None
            See `review_cost_curve`.
        review_capacity : int, float or None, default=None
            A capacity to mark: a number per day with `days`, else a share of the rows.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        name : str or None, default=None
            Title of the plot.
        **line_kw : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : CostCurveDisplay
            The display, drawn.
        """
        of_rows = {"amounts": amounts, "days": days, "sample_weight": sample_weight}
        scores = y_proba if isinstance(y_proba, dict) else {"model": y_proba}
        curves = {
            model: review_cost_curve(y_true, each, costs=costs, pos_label=pos_label, **of_rows)
            for model, each in scores.items()
        }
        display = cls(curves, per_day=days is not None, review_capacity=review_capacity, name=name)
        return display.plot(ax, **line_kw)

    def plot(self, ax=None, **line_kw):
        """Draw the curves; a dot marks the capacity from which more reviews are not worth it.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **line_kw : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : CostCurveDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = one_axes(ax)
        self.lines_ = {}
        end = max(capacity[-1] for capacity, _ in self.curves.values())
        end = 1.05 * max(end, self.review_capacity or 0)
        for name, (capacity, cost) in self.curves.items():
            x, y = np.append(capacity, end), np.append(cost, cost[-1])
            style = {"label": name, "marker": "o", "markevery": [len(capacity) - 1], **line_kw}
            (self.lines_[name],) = ax.plot(x, y, **style)
        if self.review_capacity is not None:
            label = f"capacity: {self.review_capacity:g}"
            ax.axvline(self.review_capacity, color="0.6", linestyle="--", linewidth=1, label=label)
        unit = "per day" if self.per_day else "per row"
        x_label = "Reviews per day" if self.per_day else "Share of rows reviewed"
        ax.set(xlabel=x_label, ylabel=f"Cost {unit}", title=self.name)
        ax.set_ylim(bottom=0)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
