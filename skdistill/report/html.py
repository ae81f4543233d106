"""Reports as HTML: the template, and how numbers look in it."""

from skdistill.formatting import (
    cell,
    estimate_texts,
    number,
    percent,
    size_text,
    time_text,
    title_of,
    write,
)
from skdistill.scorer.files import check_writable
from skdistill.weighted_statistics import Estimate


class HtmlReport:
    """A report that `_render` makes a page of."""

    def to_html(self, path=None):
        """Write a self-contained HTML page.

        Parameters
        ----------
        path : str, path-like or None, default=None
            Where to write it; None returns it.

        Returns
        -------
        html : str or None
            The page, if no path was given. It needs nothing from the network.

        Raises
        ------
        ImportError
            If jinja2 is not installed.
        OSError
            If `path` is a folder, or its folder does not exist or cannot be written to.
        TypeError
            If `path` is no path.
        """
        path = check_writable(path)  # before the figures are drawn
        return write(self._render(whole_page=True), path)

    def _repr_html_(self):
        try:
            return self._render(whole_page=False)
        except ImportError:
            return None  # notebooks then show the text


def render(fidelity, *, title=None, tiles=None, drawn=None, whole_page=True, **parts):
    """Fill the template; the HTML needs nothing from the network.

    Parameters
    ----------
    fidelity : FidelityReport
        The fidelity report.
    title : str or None, default=None
        Heading; None makes one of the models' names.
    tiles : dict of str to str or None, default=None
        Caption to figure, shown large; None for those of the fidelity report.
    drawn : dict or None, default=None
        Figures by part of the page, "performance", "fidelity" and "decisions": dicts of caption to
        SVG.
    whole_page : bool, default=True
        Whether to make a page, or what a notebook shows in its own.
    **parts : dict
        ``attributions``, ``student`` and ``provenance`` as the template takes them.
    """
    environment = _environment()
    title = default_title(fidelity) if title is None else title
    body = environment.get_template("report.html").render(
        fidelity=fidelity,
        title=title,
        tiles=tiles_of(fidelity) if tiles is None else tiles,
        drawn=drawn or {"performance": {}, "fidelity": {}, "decisions": {}},
        style=environment.loader.get_source(environment, "style.css")[0],
        **{"attributions": None, "student": None, "provenance": None, **parts},
    )
    return (
        environment.get_template("page.html").render(title=title, body=body) if whole_page else body
    )


def default_title(fidelity):
    """Name the student and its teacher."""
    teacher = fidelity.models.get("teacher")
    return f"{fidelity.models['student']}" + (f", distilled from {teacher}" if teacher else "")


def tiles_of(fidelity):
    """Choose the few numbers that are shown large."""
    tiles = {}
    score = fidelity.scores.get(fidelity.verdict.metric)
    title = title_of(fidelity.verdict.metric)
    if score is not None:
        of_teacher = "" if score.teacher is None else f" (teacher {number(score.teacher)})"
        tiles[f"{title} of the student{of_teacher}"] = number(score.student)
    if "agreement" in fidelity.fidelity:
        share = percent(fidelity.fidelity["agreement"].value)
        tiles[f"{title_of('agreement')} with the teacher"] = share
    elif "margin_r2" in fidelity.fidelity:
        r2 = number(fidelity.fidelity["margin_r2"].value)
        tiles["R² of the student's predictions with the teacher's"] = r2
    if "top_k_overlap" in fidelity.fidelity:
        k = fidelity.settings["top_k"]
        overlap = percent(fidelity.fidelity["top_k_overlap"].value)
        tiles[f"of the teacher's top {k:,} rows are the student's"] = overlap
    if fidelity.decisions is not None and fidelity.decisions.student_minus_teacher is not None:
        per_day = fidelity.decisions.student_minus_teacher_per_day
        difference = per_day or fidelity.decisions.student_minus_teacher
        unit = " a day" if per_day else ""
        tiles[f"money lost{unit}, student - teacher"] = estimate_texts(difference)[0]
    if {"student", "teacher"} <= set(fidelity.cost):
        teacher = fidelity.cost["teacher"]
        deployed = fidelity.cost.get("lean_scorer", fidelity.cost["student"])
        if deployed.n_bytes and teacher.n_bytes:
            tiles[f"size (teacher {size_text(teacher.n_bytes)})"] = size_text(deployed.n_bytes)
        scorer = " by the lean scorer" if "lean_scorer" in fidelity.cost else ""
        caption = f"for one row{scorer} (teacher {time_text(teacher.row_p50)})"
        tiles[caption] = time_text(deployed.row_p50)
    return tiles


def _environment():
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup, escape
    except ImportError as error:
        raise ImportError(
            "A report as HTML needs jinja2, which is not installed. Install it with: "
            "pip install jinja2"
        ) from error

    def html_cell(value, name):
        if isinstance(value, Estimate):
            text, low, high = estimate_texts(value)
            ends = Markup('<br><span class="range">{} to {}</span>').format(low, high)
            return Markup("{}{}").format(text, ends if low else "")
        if value is True:
            return Markup('<span class="flag">yes</span>')
        return escape(cell(name, value))

    environment = Environment(
        loader=PackageLoader("skdistill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {
        "cell": html_cell,
        "title_of": title_of,
        "shown": lambda fidelity, section: fidelity.shown(section),
        "note": _note,
        "subtitle": _subtitle,
    }
    environment.tests["wordy"] = _is_wordy
    return environment


def _is_wordy(name, rows, words):
    """Tell whether a column holds words: those named, or strings."""
    return name in words if words is not None else isinstance(rows[0][name], str)


def _note(fidelity, section):
    """Return the note to a table, on the columns that it has."""
    columns = set(fidelity.shown(section)[0])
    says = {"scores": _on_scores, "fidelity": _on_fidelity, "cost": _on_cost}
    sentences = list(says[section](fidelity, columns)) if section in says else []
    if section == "by_class":
        sentences.append(
            "Agreement: of the rows to which the teacher gives this class, the share to which the "
            "student does."
        )
    if "student_is_worse" in columns:
        sentences.append(
            "Student is worse: in this segment its loss is larger than the teacher's by more than "
            "a tenth of the teacher's loss on all rows, shown with a correction for the number of "
            "segments. Where it says no, more rows might show it."
        )
    of_report = fidelity.note(section)
    return " ".join([*sentences, of_report]).strip()


def _on_scores(fidelity, columns):
    yield "↑ more is better, ↓ less is better."
    if columns & {"student_minus_teacher", "student_minus_baseline"}:
        yield "Below each difference: its interval."
    if "gap_closed" in columns:
        yield (
            "The gap closed is the share of the teacher's lead over the same student on hard "
            "labels that distillation closes; none is given where it is not certain that there is "
            "a lead."
        )


def _on_fidelity(fidelity, columns):
    yield "↑ more is better, ↓ less is better. Below each value: its interval."
    if fidelity.kind == "regression":
        yield "Differences are of predicted values, and so is R²."
        return
    several = "" if fidelity.kind == "binary" else ", half of their sum over the classes"
    yield f"Divergences are in nats. Differences are of probabilities{several}."
    yield "Margins are log-odds."


def _on_cost(fidelity, columns):
    if "lean_scorer" in fidelity.cost:
        yield (
            "The lean scorer (skdistill.lean_scorer) scores the student's rows in production, here "
            f"in {fidelity.cost['lean_scorer'].parts}; its size is that of the file that "
            "skdistill.save writes."
        )
    yield (
        "Models predict through predict_proba or predict in this process, as configured; their "
        "sizes are those of their pickles."
    )


def _subtitle(fidelity):
    parts = [f"{fidelity.n_samples:,} rows"]
    if fidelity.classes:
        listed = ", ".join(str(label) for label in fidelity.classes[:6])
        more = ", …" if len(fidelity.classes) > 6 else ""
        parts.append(f"{len(fidelity.classes)} classes: {listed}{more}")
    if "baseline" in fidelity.models:
        parts.append(f"baseline on hard labels: {fidelity.models['baseline']}")
    return " · ".join(parts)
