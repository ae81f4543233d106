"""Reports as HTML: the template, and how numbers look in it."""

from skdistill.bootstrap import Estimate
from skdistill.report.tables import cell, number, size_text, title_of


def render(fidelity, *, title=None, tiles=None, drawn=None, whole_page=True, **parts):
    """Fill the template.

    Parameters
    ----------
    fidelity : FidelityReport
        The fidelity card.
    title : str or None, default=None
        Heading; None makes one of the models' names.
    tiles : dict of str to str or None, default=None
        Caption to figure, shown large; None for those of the fidelity card.
    drawn : dict or None, default=None
        Figures by part of the page, "performance", "likeness" and "decisions": dicts of caption to
        SVG.
    whole_page : bool, default=True
        Whether to make a page, or what a notebook shows in its own.
    **parts : dict
        ``attributions``, ``student`` and ``provenance`` as the template takes them.

    Returns
    -------
    html : str
        Needs nothing from the network.

    Raises
    ------
    ImportError
        If jinja2 is not installed.
    """
    environment = _environment()
    title = default_title(fidelity) if title is None else title
    body = environment.get_template("report.html").render(
        fidelity=fidelity,
        title=title,
        tiles=tiles_of(fidelity) if tiles is None else tiles,
        drawn=drawn or {"performance": {}, "likeness": {}, "decisions": {}},
        style=environment.loader.get_source(environment, "style.css")[0],
        **{"attributions": None, "student": None, "provenance": None, **parts},
    )
    return (
        environment.get_template("page.html").render(title=title, body=body) if whole_page else body
    )


def write(text, path):
    """Write a text to a path, or return it if there is none."""
    if path is None:
        return text
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return None


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
    for name in ("agreement", "margin_r2"):
        if name in fidelity.fidelity:
            tiles[f"{title_of(name)} with the teacher"] = number(fidelity.fidelity[name].value)
            break
    if "top_k_overlap" in fidelity.fidelity:
        k = fidelity.settings["top_k"]
        overlap = number(fidelity.fidelity["top_k_overlap"].value)
        tiles[f"of the teacher's top {k:,} rows are the student's"] = overlap
    if fidelity.decisions is not None and fidelity.decisions.student_minus_teacher is not None:
        per_day = fidelity.decisions.student_minus_teacher_per_day
        difference = per_day or fidelity.decisions.student_minus_teacher
        unit = " a day" if per_day else ""
        tiles[f"money lost{unit}, student - teacher"] = number(difference.value)
    if {"student", "teacher"} <= set(fidelity.cost):
        student, teacher = fidelity.cost["student"], fidelity.cost["teacher"]
        if student.n_bytes and teacher.n_bytes:
            tiles[f"size (teacher {size_text(teacher.n_bytes)})"] = size_text(student.n_bytes)
        speed = student.rows_per_second / teacher.rows_per_second
        tiles["times the teacher's rows per second"] = f"{speed:,.1f}"
    return tiles


def _environment():
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup, escape
    except ImportError as error:
        raise ImportError(
            "A report as HTML needs jinja2, which is not installed. Install it with: "
            "pip install 'skdistill[report]'"
        ) from error

    def html_cell(value, name):
        if isinstance(value, Estimate) and value.low == value.low:
            text = f"{number(value.value)}"
            ends = f"{number(value.low)} to {number(value.high)}"
            return Markup('{}<br><span class="range">{}</span>').format(text, ends)
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
        "subtitle": _subtitle,
    }
    environment.tests["wordy"] = lambda name, rows: isinstance(rows[0][name], str)
    return environment


def _subtitle(fidelity):
    parts = [f"{fidelity.n_samples:,} rows"]
    if fidelity.classes:
        listed = ", ".join(str(label) for label in fidelity.classes[:6])
        more = ", …" if len(fidelity.classes) > 6 else ""
        parts.append(f"{len(fidelity.classes)} classes: {listed}{more}")
    if "baseline" in fidelity.models:
        parts.append(f"baseline on hard labels: {fidelity.models['baseline']}")
    return " · ".join(parts)
