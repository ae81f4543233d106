"""The page: that it stands alone, holds what it should, and leaves out what cannot be said."""

import functools
import re
import sys
from html import escape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    LinearStudentClassifier,
    MLPStudentClassifier,
    ScorecardDisplay,
    SoftTreeStudentClassifier,
    TreeStudentClassifier,
    TreeStudentRegressor,
    TreeSumStudentClassifier,
    TreeSumStudentRegressor,
    distillation_report,
    fidelity_report,
)
from skdistill.decisions import DecisionBands, DecisionCosts
from skdistill.report import AttributionReport

pytest.importorskip("matplotlib")

QUICK = {"n_resamples": 20, "cost": False, "n_explained": 24, "random_state": 0}

#: Elements that have no end tag.
VOID = {"meta", "br", "path", "use", "link"}


class Page(HTMLParser):
    """Collects what a page holds, and checks that its elements are closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.references, self.headings = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        for name in ("src", "href", "xlink:href"):
            if name in attrs:
                self.references.append(attrs[name])

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


@pytest.fixture(scope="module")
def frame_case(mixed_frame):
    frame, y, _ = mixed_frame(900)
    labels = np.array(["good", "bad"])[y]
    forest = DistilledClassifier(
        LinearStudentClassifier(), MLPStudentClassifier((8,), max_epochs=3)
    )
    return frame, labels, forest


@pytest.fixture(scope="module")
def report(frame_case):
    frame, labels, model = frame_case
    model = clone(model).set_params(random_state=0, augmentation=None, label_correction=False)
    model.fit(frame[:600], labels[:600])
    baseline = clone(model.student).fit(frame[:600], labels[:600])
    return distillation_report(
        model,
        frame[600:],
        labels[600:],
        baseline=baseline,
        groups=frame[["city"]][600:],
        title="Loans <2026> & more",
        **QUICK,
    )


def test_the_page_is_whole_stands_alone_and_is_small(report):
    html = report.to_html()
    page = Page(html)
    assert page.open == []
    assert all(reference.startswith("#") for reference in page.references)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert len(html) < 3_000_000
    assert len(page.ids) == len(set(page.ids))
    assert {reference[1:] for reference in page.references} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(page.ids)


def test_the_page_has_every_part_in_the_order_of_a_committee(report):
    assert Page(report.to_html()).headings == [
        "Performance on the observed labels",
        "Fidelity to the teacher",
        "Segments with the lowest fidelity",
        "Groups",
        "Reasons: why teacher and student decide as they do",
        "The student",
        "How it was made",
    ]


def test_what_users_named_is_escaped(report):
    html = report.to_html()
    assert "<h1>Loans &lt;2026&gt; &amp; more</h1>" in html
    assert "<2026>" not in html


def test_the_page_says_what_the_numbers_say(report):
    html = report.to_html()
    score = report.fidelity.scores["roc_auc"]
    assert f"{score.student:.4f}" in html
    assert f"{report.fidelity.fidelity['kl_divergence'].value:.4f}" in html
    for sentence in report.fidelity.verdict.sentences:
        assert escape(sentence).replace("&#x27;", "&#39;") in html
    assert report.provenance["Rows of this report"]["SHA-256"] in html
    verdict = report.fidelity.verdict
    assert f'class="verdict {verdict.status}"' in html
    headline = verdict.headline.replace("'", "&#39;")
    assert f"{verdict.status.capitalize()}</span> {headline}" in html
    assert verdict.rule.replace("'", "&#39;") in html


def test_notes_are_on_what_is_there_and_cells_of_wide_tables_know_their_headings(report):
    html = report.to_html()
    scores = report.fidelity.scores.values()
    assert ("The gap closed is" in html) == any(score.gap_closed is not None for score in scores)
    assert html.count('data-title="student - teacher"') == len(scores)
    assert "lean scorer" not in html  # cost was not measured
    assert not re.search(r"\d %", html[html.index("Performance on the observed labels") :])
    assert not re.search(r">-?[\d.]+e-\d", html)


def test_figures_take_the_colours_of_the_page(report):
    html = report.to_html()
    assert "var(--student)" in html
    assert "#010206" not in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_a_page_is_written_to_a_path_and_shown_in_notebooks(report, tmp_path):
    assert report.to_html(tmp_path / "report.html") is None
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report.to_html()
    with pytest.raises(IsADirectoryError, match="is a folder; the name of a file was expected"):
        report.to_html(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        report.to_html(tmp_path / "missing" / "report.html")
    shown = report._repr_html_()
    assert shown.startswith("<article")
    assert "<body" not in shown
    assert Page(shown).open == []
    report.to_json(tmp_path / "report.json")
    assert '"agreement"' in (tmp_path / "report.json").read_text()
    assert "Loans <2026> & more" in str(report)


def test_the_fidelity_card_is_a_page_of_its_own(report):
    page = Page(report.fidelity.to_html())
    assert "Fidelity to the teacher" in page.headings
    assert "The student" not in page.headings
    assert report.fidelity._repr_html_().startswith("<article")


def test_the_provenance_tells_rows_by_origin_parameters_and_versions(report):
    import sklearn

    found = report.provenance
    assert found["Rows the student learned from"]["labelled"].startswith("600 rows")
    assert found["Versions"]["scikit-learn"] == sklearn.__version__
    assert "hidden_layer_sizes=(8,)" in found["Models"]["student"]
    assert found["Distillation"]["alpha"] == "0.8000"


def test_the_fingerprint_of_the_rows_is_that_of_their_values(frame_case, monkeypatch):
    for name in ("figures_of", "show_student"):  # which take long
        monkeypatch.setattr(f"skdistill.report.page.distillation_report.{name}", lambda *_: None)
    frame, labels, _ = frame_case
    student = TreeStudentClassifier().fit(frame[:300], labels[:300])

    def fingerprint(rows, y):
        report = distillation_report(student, rows, y, attributions=False, **QUICK)
        return report.provenance["Rows of this report"]["SHA-256"]

    rows, y = frame[300:400], labels[300:400]
    first = fingerprint(rows, y)
    assert fingerprint(rows.copy(), y.copy()) == first
    assert fingerprint(pl.from_pandas(rows), y) == first
    changed = rows.copy()
    changed.iloc[0, 1] += 1
    assert fingerprint(changed, y) != first
    assert fingerprint(rows, y[::-1]) != first


@pytest.mark.parametrize(
    ("student", "figure"),
    [
        (TreeStudentClassifier(4), 'id="tree-'),
        (TreeSumStudentClassifier(4), 'id="trees-0-'),
        (LinearStudentClassifier(), 'id="curves-'),
    ],
)
def test_readable_students_are_drawn(binary_task, student, figure):
    X, y = binary_task
    model = DistilledClassifier(RandomForestClassifier(10, random_state=0), student)
    model.fit(X[:400], y[:400])
    html = distillation_report(model, X[400:], y[400:], attributions=False, **QUICK).to_html()
    assert figure in html
    assert ("<h3>As rules</h3>" in html) == student.form.startswith("tree")
    assert ("<h3>Scorecard" in html) == isinstance(student, LinearStudentClassifier)


@pytest.fixture(scope="module")
def crossed():
    """Return rows and classes that depend on a pair of columns, and on a third one."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(700, 4)).round(2), columns=["age", "claims", "amount", "x"])
    X.loc[::9, "claims"] = np.nan
    score = 2.0 * ((X["age"] > 0) ^ (X["claims"].fillna(0) > 0)) + X["amount"]
    return X, np.digitize(score, [0.5, 1.5])


def test_a_page_shows_pairs_as_maps_and_as_two_way_tables(crossed):
    X, y = crossed
    student = LinearStudentClassifier(interactions=[("age", "claims"), ("age", "x")])
    student.fit(X[:400], y[:400] > 0)
    page = distillation_report(student, X[400:], y[400:] > 0, **QUICK)
    html = page.to_html()
    assert "one table for each of 2 pairs of them" in html
    assert "What age and claims add together to the score" in html
    assert "figure could not be drawn" not in html
    parsed = Page(html)
    assert parsed.open == []
    references = [each.partition(",")[0] for each in parsed.references]
    assert {each for each in references if each[0] != "#"} == {"data:image/png;base64"}
    tables = html.split('<div class="pairs">')[1].split("<h2>")[0]
    assert "age&nbsp;\u2193" in tables
    assert "claims&nbsp;\u2192" in tables
    card = ScorecardDisplay.from_estimator(student, X[400:])
    drawn = re.findall(r'class="cell[^>]*>([^<]+)<', tables)
    expected = [f"{p:+d}" if p else "0" for pair in card.pairs for p in pair.points.ravel()]
    assert drawn == expected


def test_a_page_shows_sums_of_trees_class_by_class(crossed):
    X, y = crossed
    student = TreeSumStudentClassifier(4).fit(X[:400], y[:400])
    html = distillation_report(student, X[400:], y[400:], **QUICK).to_html()
    assert "figure could not be drawn" not in html
    assert all(f'id="trees-{k}-' in html for k in range(3))
    assert "for the log-odds of class 2" in html
    rules = html.split("<h3>As rules</h3>")[1].split("</table>")[0]
    assert rules.count("<tr>") == 1 + 3 * student.n_leaves_
    assert "Every row fulfils one rule of each tree." in html
    student = TreeSumStudentRegressor(4).fit(X[:400], y[:400] * 1.0)
    html = distillation_report(student, X[400:], y[400:] * 1.0, **QUICK).to_html()
    assert f"Start from {student.intercept_[0]:+.4g} and add" in html


def test_the_leaves_show_a_teacher_that_was_fitted_inside_on_codes(binary_task):
    xgboost = pytest.importorskip("xgboost")
    X, y = binary_task[0], np.array(["no", "yes"])[binary_task[1]]
    student = TreeStudentClassifier(2)
    model = DistilledClassifier(xgboost.XGBClassifier(n_estimators=5), student, random_state=0)
    model.fit(X[:400], y[:400])
    html = distillation_report(model, X[400:], y[400:], attributions=False, **QUICK).to_html()
    leaf = model.student_.tree_.apply(X[400:])
    scores = model.teacher_.predict_proba(X[400:])[:, 1]
    for node in np.unique(leaf):
        assert f"{scores[leaf == node].mean():.3f}" in html


def test_several_classes_and_values_have_pages_of_their_own(multiclass_task):
    X, y = multiclass_task
    model = DistilledClassifier(RandomForestClassifier(10, random_state=0), random_state=0)
    report = distillation_report(model.fit(X[:400], y[:400]), X[400:], y[400:], **QUICK)
    assert "Most probable classes" in report.to_html()
    model = DistilledRegressor(RandomForestRegressor(10, random_state=0), random_state=0)
    model.fit(X[:400], X[:400, 0] * y[:400])
    report = distillation_report(model, X[400:], X[400:, 0] * y[400:], **QUICK)
    html = report.to_html()
    assert "Observed values by predicted value" in html
    assert "R²" in html
    assert Page(html).open == []


def test_without_teacher_and_y_the_page_says_so(binary_task):
    X, y = binary_task
    student = TreeStudentClassifier().fit(X[:400], y[:400])
    report = distillation_report(student, X[400:], **QUICK)
    html = report.to_html()
    assert report.attributions is None
    assert "What this report does not say" in html
    assert "Amber</span> No verdict: whether it is as good as its teacher" in html


def test_the_page_counts_the_money_of_a_fraud_desk(binary_task, rng):
    X, y = binary_task
    model = DistilledClassifier(RandomForestClassifier(10, random_state=0), random_state=0)
    report = distillation_report(
        model.fit(X[:400], y[:400]),
        X[400:],
        y[400:],
        days=np.arange(200) // 10,
        entities=rng.integers(0, 40, 200),
        bands=DecisionBands(DecisionCosts(missed_fraud=50, declined_legit=20, review=3), 2),
        top_k_per_day=4,
        attributions=False,
        **QUICK,
    )
    html = report.to_html()
    page = Page(html)
    assert page.headings.index("Decisions and money") == 2
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert "Money lost a day on all rows, by the number of reviews" in html
    assert "card precision in a day&#39;s top k" in html
    assert report.to_dict()["fidelity"]["decisions"]["n_days"] == 10
    assert "Decisions and money" in str(report)
    assert "At most 2 reviews a day" in html


def test_options_are_those_of_the_fidelity_card(binary_task):
    X, y = binary_task
    student = TreeStudentClassifier().fit(X[:400], y[:400])
    report = distillation_report(
        student, X[400:], y[400:], metric="log_loss", margin=0.2, top_k=7, **QUICK
    )
    assert report.fidelity.settings["metric"] == "log_loss"
    assert report.fidelity.settings["top_k"] == 7
    with pytest.raises(TypeError, match=r"no options \['margn'\]"):
        distillation_report(student, X[400:], y[400:], margn=0.2)
    with pytest.raises(ValueError, match="The 'margin' parameter"):
        distillation_report(student, X[400:], y[400:], margin="wide")


def test_without_jinja2_the_error_names_it_and_notebooks_show_text(binary_task, monkeypatch):
    X, y = binary_task
    student = TreeStudentClassifier().fit(X[:400], y[:400])
    report = fidelity_report(student, X[400:], y[400:], n_resamples=20, cost=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match="pip install jinja2"):
        report.to_html()
    assert report._repr_html_() is None


def test_a_frame_is_reported_on_as_its_columns_are_named(report):
    assert report.provenance["Rows of this report"]["columns"] == "amount, count, flag, city, kind"
    assert isinstance(report.fidelity.to_frame("segments"), pd.DataFrame)


def _fail(*args, **kwargs):
    raise ValueError("no <ticks> left")


#: What draws, by the students whose page has it, and what stands beside it.
DRAWN = [
    ("figures.draw_roc", "tree", "ROC curve"),
    ("figures.draw_precision_recall", "tree", "Precision and recall"),
    ("figures.draw_calibration", "tree", "Calibration"),
    ("figures.draw_fidelity", "tree", "Predictions of teacher and student"),
    ("student_section.TreeDisplay.plot", "tree", "Every path from the root at the left is a rule"),
    ("student_section.CurvesDisplay.plot", "linear", "What x"),
    ("student_section.LossCurveDisplay.plot", "mlp", "Loss during training"),
    ("student_section.LossCurveDisplay.from_estimator", "soft tree", "Loss during training"),
]


@pytest.fixture(scope="module")
def pages(binary_task):
    """Return a function that makes the page of a student."""
    X, y = binary_task
    forest = RandomForestClassifier(10, random_state=0).fit(X[:400], y[:400])
    short = {"max_epochs": 2, "random_state": 0}
    students = {
        "tree": TreeStudentClassifier(4),
        "linear": LinearStudentClassifier(),
        "mlp": MLPStudentClassifier((4,), **short),
        "soft tree": SoftTreeStudentClassifier(2, **short),
    }
    fitted = {name: student.fit(X[:400], y[:400]) for name, student in students.items()}

    def page(name, **options):
        options = {"attributions": False, **QUICK, **options}
        return distillation_report(fitted[name], X[400:], y[400:], teacher=forest, **options)

    return page


@pytest.fixture(scope="module")
def whole_page(pages):
    """Return a function that makes the HTML of a student's page, once."""
    return functools.cache(lambda name: pages(name).to_html())


@pytest.mark.parametrize(("failing", "name", "caption"), DRAWN)
def test_a_figure_that_fails_is_left_out_and_said(
    failing, name, caption, pages, whole_page, monkeypatch
):
    plt = pytest.importorskip("matplotlib.pyplot")
    whole, n_open = whole_page(name), len(plt.get_fignums())
    monkeypatch.setattr(f"skdistill.report.page.{failing}", _fail)
    html = pages(name).to_html()
    assert Page(html).open == []
    assert Page(html).headings == Page(whole).headings
    said = "This figure could not be drawn. ValueError: no &lt;ticks&gt; left"
    n_failed = 6 if name == "linear" else 1
    assert html.count(said) == n_failed
    assert caption in html[html.index(said) :][:300]
    assert whole.count("<svg") - html.count("<svg") == n_failed
    assert len(plt.get_fignums()) == n_open


@pytest.mark.parametrize("failing", ["plot_importance", "plot_dependence"])
def test_a_figure_of_reasons_that_fails_is_left_out_and_said(failing, pages, monkeypatch):
    report = pages("tree", attributions=True)
    n_figures = report.to_html().count("<svg")
    monkeypatch.setattr(AttributionReport, failing, _fail)
    html = report.to_html()
    n_failed = html.count("This figure could not be drawn. ValueError")
    assert n_failed == (1 if failing == "plot_importance" else 5)
    assert html.count("<svg") == n_figures - n_failed
    assert report.attributions.summary[0].split("<")[0][:20] in html


@pytest.mark.parametrize("failing", ["draw_confusion", "draw_reliability", "draw_costs"])
def test_figures_of_other_tasks_may_fail_too(
    failing, binary_task, multiclass_task, monkeypatch, rng
):
    monkeypatch.setattr(f"skdistill.report.page.figures.{failing}", _fail)
    X, y = multiclass_task if failing == "draw_confusion" else binary_task
    options = {"attributions": False, **QUICK}
    if failing == "draw_reliability":
        y, student = X[:, 0], TreeStudentRegressor(4)
    else:
        student = TreeStudentClassifier(4)
    if failing == "draw_costs":
        costs = DecisionCosts(missed_fraud=50, declined_legit=20, review=3)
        options["bands"] = DecisionBands(costs, 0.1)
    student.fit(X[:400], y[:400])
    teacher = clone(student).fit(X[:200], y[:200])
    html = distillation_report(student, X[400:], y[400:], teacher=teacher, **options).to_html()
    assert html.count("This figure could not be drawn. ValueError") == 1


def test_long_errors_are_cut_and_a_missing_library_still_raises(pages, monkeypatch):
    def fail_at_length(*args, **kwargs):
        raise RuntimeError("x" * 5000)

    monkeypatch.setattr("skdistill.report.page.figures.draw_roc", fail_at_length)
    assert "x" * 300 not in pages("tree").to_html()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        pages("tree")
