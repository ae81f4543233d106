"""Figures as SVG that lives inside a page: it takes the page's colours and its font."""

import re
from html import escape
from io import StringIO

import numpy as np

from skdistill.report.plotting import import_pyplot, shorten
from skdistill.report.reasons.plots import STUDENT, TEACHER

#: Placeholders for the colours of the page, by the name of its CSS variable. No other colour of a
#: figure may be one of these, so they are colours that nobody would choose.
THEME = {
    "ink": "#010203",
    "faint": "#010204",
    "teacher": "#010205",
    "student": "#010206",
    "baseline": "#010207",
}

#: Letters of an error that are shown in the place of a figure.
MAX_LETTERS = 300

#: Points per inch of a figure: text of 9 points is 12 pixels high at full width.
_FONT_SIZE = 9

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "skdistill",
    "font.size": _FONT_SIZE,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": THEME["faint"],
    "axes.labelcolor": THEME["ink"],
    "axes.titlesize": _FONT_SIZE + 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": THEME["faint"],
    "grid.linewidth": 0.5,
    "text.color": THEME["ink"],
    "xtick.color": THEME["faint"],
    "ytick.color": THEME["faint"],
    "xtick.labelcolor": THEME["ink"],
    "ytick.labelcolor": THEME["ink"],
    "legend.frameon": False,
    "legend.fontsize": _FONT_SIZE - 1,
    "lines.linewidth": 1.6,
}


def draw_svg(name, draw, size=(4.2, 3.2)):
    """Draw a figure in the style of the page, or say in a paragraph what went wrong.

    `name`, with which all ids of the figure begin, is unique within the page; `draw` gets the axes,
    whose size is in inches. The ``svg`` element is as wide as what holds it, and at most as wide as
    the figure.
    """

    def make():
        figure, ax = import_pyplot().subplots(figsize=size, layout="constrained")
        draw(ax)
        return figure

    return _drawn(name, make)[1]


def display_svg(name, make):
    """Make a display, which draws its own ``figure_``, in the style of the page; see `draw_svg`.

    The display, None if it could not be made, and its SVG are returned.
    """
    return _drawn(name, make)


def panel_svgs(name, n_panels, draw, size=(4.2, 3.2)):
    """Draw panels that belong together as figures of their own, see `draw_svg`.

    `draw` gets an array of `n_panels` axes; `size` is that of each.
    """

    def make():
        figures = [
            import_pyplot().subplots(figsize=size, layout="constrained") for _ in range(n_panels)
        ]
        draw(np.array([ax for _, ax in figures]))
        return [figure for figure, _ in figures]

    return _in_style(
        lambda: [svg_of(figure, f"{name}-{i}") for i, figure in enumerate(make())],
        lambda reason: [reason] * n_panels,
    )


def _drawn(name, make):
    """Return what was made and its ``svg`` element."""

    def draw():
        made = make()
        return made, svg_of(getattr(made, "figure_", made), name)

    return _in_style(draw, lambda reason: (None, reason))


def _in_style(draw, instead):
    """Draw in the style of the page; a figure that fails does not lose the page."""
    plt = import_pyplot()
    open_before = plt.get_fignums()
    try:
        with plt.rc_context(_STYLE):
            return draw()
    except Exception as error:
        return instead(_reason(error))
    finally:
        for number in set(plt.get_fignums()) - set(open_before):
            plt.close(number)


def _reason(error):
    """Say in the place of a figure why it is not there."""
    said = escape(shorten(f"{type(error).__name__}: {error}", MAX_LETTERS))
    return f'<p class="soft">This figure could not be drawn. {said}</p>'


def svg_of(figure, name):
    """Turn a matplotlib figure into an ``svg`` element of the page."""
    file = StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r"font: (\w+) ([\d.]+)px [^;\"]*", r"font-weight: \1; font-size: \2px", svg)
    for variable, color in [*THEME.items(), ("teacher", TEACHER), ("student", STUDENT)]:
        svg = svg.replace(color, f"var(--{variable})")
    size = f"--natural: {96 * figure.get_figwidth():.0f}px"
    label = name.replace("-", " ")
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}" style="{size}"', 1)
