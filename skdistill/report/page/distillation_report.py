"""The whole report as one page: verdict, performance, fidelity, reasons, student and origin."""

from dataclasses import dataclass, field
from numbers import Integral

from sklearn.utils import check_random_state

from skdistill.decisions.bands import DecisionBands
from skdistill.formatting import JsonReport, plain
from skdistill.parameters import Interval, validate_params
from skdistill.report.fidelity.compare_models import fidelity_options, report_on
from skdistill.report.fidelity.fidelity_report import FidelityReport
from skdistill.report.fidelity.report_inputs import make_inputs
from skdistill.report.html import HtmlReport, default_title, render
from skdistill.report.page.figures import figures_of
from skdistill.report.page.provenance import provenance_of
from skdistill.report.page.reasons_section import show_reasons
from skdistill.report.page.student_section import show_student
from skdistill.report.reasons.attribution_report import AttributionReport
from skdistill.report.reasons.compare_reasons import attribution_report
from skdistill.report.reasons.explain import CONSTRAINTS
from skdistill.verbose import stage, verbose


@dataclass(frozen=True)
class DistillationReport(HtmlReport, JsonReport):
    """Verdict, performance, fidelity, segments and groups, reasons, the student, cost and origin.

    Made by `distillation_report`. Prints as text; `to_html` writes the page, `to_dict` and
    `to_json` the numbers.

    Attributes
    ----------
    title : str
        Heading of the page.
    fidelity : FidelityReport
        The numbers; ``report.fidelity.require(...)`` raises unless they meet conditions.
    attributions : AttributionReport or None
        Reasons of teacher and student; None without a teacher, or with ``attributions=False``.
    provenance : dict of str to dict
        How models and report were made.
    figures : dict of str to dict
        Figures by part of the page, "performance", "fidelity" and "decisions": caption to SVG.
    student : dict or None
        The student as people can read it, as the page shows it.

    See Also
    --------
    distillation_report : Makes it.

    Examples
    --------
    Stop a deployment, and keep the page that says why:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, distillation_report
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = DistilledClassifier(RandomForestClassifier(10, random_state=0), random_state=0)
    >>> model.fit(X[::2], y[::2])  # doctest: +ELLIPSIS
    DistilledClassifier(...)
    >>> report = distillation_report(model, X[1::2], y[1::2], attributions=False, random_state=0)
    >>> report.title
    'TreeStudentClassifier, distilled from RandomForestClassifier'
    >>> report.to_html("report.html")  # doctest: +SKIP
    """

    title: str
    fidelity: FidelityReport
    attributions: AttributionReport | None
    provenance: dict
    figures: dict = field(repr=False)
    student: dict | None = field(repr=False)

    def to_dict(self):
        """Return all numbers as nested dicts and lists of plain numbers and strings."""
        attributions = None if self.attributions is None else self.attributions.to_dict()
        return {
            "title": self.title,
            "fidelity": self.fidelity.to_dict(),
            "attributions": attributions,
            "provenance": plain(self.provenance),
        }

    def __str__(self):
        parts = [self.title, str(self.fidelity)]
        if self.attributions is not None:
            parts.append(str(self.attributions))
        return "\n\n".join(parts)

    def _render(self, whole_page):
        return render(
            self.fidelity,
            title=self.title,
            drawn=self.figures,
            whole_page=whole_page,
            attributions=None if self.attributions is None else show_reasons(self.attributions),
            student=self.student,
            provenance=self.provenance,
        )


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
def distillation_report(
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
    """Report on a student for a risk committee, as one self-contained page.

    Parameters
    ----------
    model : estimator
        A fitted distiller, a Pipeline that ends in one, a search over either, or a student.
    X : array-like or data frame of shape (n_samples, n_features)
        Rows that no model was fitted on, as the model takes them.
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
        Background rows of the explanations; None draws some of X.
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

    Returns
    -------
    report : DistillationReport
        Numbers, reasons and the page: ``to_html``, ``to_dict``, ``to_json``; prints as text.

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
    >>> from skdistill import distillation_report, DistilledClassifier
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    >>> model = DistilledClassifier(RandomForestClassifier(20, random_state=0), random_state=0)
    >>> report = distillation_report(model.fit(X, y), X_test, y_test, n_explained=20)
    >>> report.to_html("report.html")  # doctest: +SKIP
    """
    options = fidelity_options(options)
    random_state = check_random_state(random_state)
    inputs = make_inputs(
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
    fidelity = report_on(inputs, random_state=random_state, **options)
    reasons = None
    if attributions and "teacher" in inputs.models:
        reasons = attribution_report(
            model,
            X,
            background,
            teacher=teacher,
            output=output,
            n_rows=n_explained,
            refits=refits,
            random_state=random_state,
        )
    with stage("draw"):
        figures, student = figures_of(inputs, random_state), show_student(inputs)
    return DistillationReport(
        title=default_title(fidelity) if title is None else title,
        fidelity=fidelity,
        attributions=reasons,
        provenance=provenance_of(inputs, fidelity.settings),
        figures=figures,
        student=student,
    )
