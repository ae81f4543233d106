"""The whole report as one page: verdict, performance, likeness, reasons, student and origin."""

import json
from numbers import Integral

from sklearn.utils import check_random_state

from skdistill.decisions.bands import DecisionBands
from skdistill.parameters import Interval, validate_params
from skdistill.report.fidelity.case import make_case
from skdistill.report.fidelity.report import fidelity_options, report_on
from skdistill.report.html import default_title, render, write
from skdistill.report.page.figures import figures_of
from skdistill.report.page.provenance import provenance_of
from skdistill.report.page.reasons import show_reasons
from skdistill.report.page.student import show_student
from skdistill.report.reasons.explain import CONSTRAINTS
from skdistill.report.reasons.report import attribution_report
from skdistill.report.tables import plain
from skdistill.verbose import stage, verbose


class DistillationReport:
    """Everything a risk committee asks of a student, as one self-contained page.

    Verdict first, then performance, likeness to the teacher, segments and groups, reasons, the
    student itself, cost, and how it was made.

    Parameters
    ----------
    model : estimator
        A fitted distiller, a Pipeline that ends in one, a search over either, or a student.
    X : array-like or data frame of shape (n_samples, n_features)
        Rows that nobody was fitted on, as the model takes them.
    y : array-like of shape (n_samples,) or None, default=None
        Observed classes or values.
    teacher : estimator or None, default=None
        The fitted teacher; None for the one that the distiller holds.
    baseline : estimator or None, default=None
        The same student fitted on the observed labels alone.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative weights.
    groups : array-like of shape (n_samples,), dict of those, data frame or None, default=None
        Attributes by which teacher and student are compared, see `fidelity_report`.
    days, entities, amounts : array-like of shape (n_samples,) or None, default=None
        Day, card or other entity, and amount of each row, see `fidelity_report`.
    bands : DecisionBands or None, default=None
        Costs and capacity of a fraud desk, see `fidelity_report`.
    background : array-like or data frame or None, default=None
        Rows that stand for the population in the explanations; None draws some of X.
    refits : sequence of estimator, default=()
        The same student made with other seeds, to tell how stable its reasons are.
    attributions : bool, default=True
        Whether to explain teacher and student, which takes most of the time.
    n_explained : int, default=200
        Number of rows that are explained.
    output : {"probability", "log_odds"}, default="probability"
        Unit of the explanations of classifiers.
    title : str or None, default=None
        Heading of the page; None names the models.
    random_state : int, RandomState instance or None, default=None
        Draws resamples and rows.
    verbose : int, default=0
        Whether to print the stages with their seconds on stderr, with bars where they take long.
    **options : dict
        Other parameters of `fidelity_report`, such as ``metric``, ``margin`` or ``top_k``.

    Attributes
    ----------
    fidelity : FidelityReport
        The fidelity card; ``report.fidelity.require(...)`` makes it a gate.
    attributions : AttributionReport or None
        Reasons of teacher and student; None without a teacher, or if not asked for.
    provenance : dict of str to dict
        How models and report were made.

    Raises
    ------
    ImportError
        If shap, matplotlib or jinja2 are not installed.
    NotFittedError, TypeError, ValueError
        As `fidelity_report` says.

    See Also
    --------
    fidelity_report : The numbers without the page.
    attribution_report : The reasons without the page.

    Examples
    --------
    Write the report of a tree:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.model_selection import train_test_split
    >>> from skdistill import DistillationReport, DistilledClassifier
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    >>> model = DistilledClassifier(RandomForestClassifier(20, random_state=0), random_state=0)
    >>> report = DistillationReport(model.fit(X, y), X_test, y_test, n_explained=20)
    >>> report.to_html("report.html")  # doctest: +SKIP
    """

    @validate_params(
        {
            "bands": [DecisionBands, None],
            "attributions": ["boolean"],
            "n_explained": [Interval(Integral, 2, None, closed="left")],
            "output": CONSTRAINTS["output"],
            "random_state": ["random_state"],
            "verbose": CONSTRAINTS["verbose"],
        }
    )
    @verbose
    def __init__(
        self,
        model,
        X,
        y=None,
        *,
        teacher=None,
        baseline=None,
        sample_weight=None,
        groups=None,
        days=None,
        entities=None,
        amounts=None,
        bands=None,
        background=None,
        refits=(),
        attributions=True,
        n_explained=200,
        output="probability",
        title=None,
        random_state=None,
        verbose=0,
        **options,
    ):
        options = fidelity_options(options)
        random_state = check_random_state(random_state)
        case = make_case(
            model,
            X,
            y,
            teacher=teacher,
            baseline=baseline,
            sample_weight=sample_weight,
            groups=groups,
            top_k=options.pop("top_k"),
            days=days,
            entities=entities,
            amounts=amounts,
            bands=bands,
            top_k_per_day=options.pop("top_k_per_day"),
        )
        self.fidelity = report_on(case, random_state=random_state, **options)
        self.attributions = None
        if attributions and "teacher" in case.models:
            self.attributions = attribution_report(
                model,
                X,
                background,
                teacher=teacher,
                output=output,
                n_rows=n_explained,
                refits=refits,
                random_state=random_state,
            )
        self.title = default_title(self.fidelity) if title is None else title
        self.provenance = provenance_of(case, self.fidelity.settings)
        with stage("draw"):
            self._drawn = figures_of(case, random_state)
            self._student = show_student(case)

    def to_html(self, path=None):
        """Write the page.

        Parameters
        ----------
        path : str, path-like or None, default=None
            Where to write it; None returns it.

        Returns
        -------
        html : str or None
            The page, if no path was given. It needs nothing from the network.
        """
        return write(self._render(whole_page=True), path)

    def to_dict(self):
        """Return all numbers as nested dicts and lists of plain numbers and strings."""
        attributions = None if self.attributions is None else self.attributions.to_dict()
        return {
            "title": self.title,
            "fidelity": self.fidelity.to_dict(),
            "attributions": attributions,
            "provenance": plain(self.provenance),
        }

    def to_json(self, path=None):
        """Write all numbers as JSON.

        Parameters
        ----------
        path : str, path-like or None, default=None
            Where to write it; None returns it.

        Returns
        -------
        json : str or None
            The text, if no path was given.
        """
        return write(json.dumps(self.to_dict(), indent=2), path)

    def _repr_html_(self):
        return self._render(whole_page=False)

    def __str__(self):
        parts = [self.title, str(self.fidelity)]
        if self.attributions is not None:
            parts.append(str(self.attributions))
        return "\n\n".join(parts)

    def _render(self, whole_page):
        return render(
            self.fidelity,
            title=self.title,
            drawn=self._drawn,
            whole_page=whole_page,
            attributions=None if self.attributions is None else show_reasons(self.attributions),
            student=self._student,
            provenance=self.provenance,
        )
