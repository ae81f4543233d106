"""Figures as SVG that lives inside a page: it takes the page's colours and its font."""

import re
from io import StringIO

from skdistill.report.plotting import import_pyplot
from skdistill.report.reasons.plots import STUDENT, TEACHER

#: Colours that stand for those of the page, by the name of its CSS variable. No other colour of a
#: figure may be one of these, so they are chosen to be none that anybody would choose.
THEME = {
    "ink": "#010203",
    "faint": "#010204",
    "teacher": "#010205",
    "student": "#010206",
    "baseline": "#010207",
}

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
    """Draw a figure in the style of the page.

    Parameters
    ----------
    name : str
        Unique within the page; all ids of the figure begin with it.
    draw : callable
        Gets the axes to draw on.
    size : tuple of float, default=(4.2, 3.2)
        Width and height in inches.

    Returns
    -------
    svg : str
        An ``svg`` element as wide as what holds it, and at most as wide as the figure.
    """
    plt = import_pyplot()
    with plt.rc_context(_STYLE):
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        draw(ax)
        return _taken(figure, name)


def display_svg(name, make):
    """Make a display, which draws its own figure, in the style of the page.

    Parameters
    ----------
    name : str
        Unique within the page; all ids of the figure begin with it.
    make : callable
        Returns the display, with its ``figure_``.

    Returns
    -------
    display : object
        The display.
    svg : str
        An ``svg`` element, see `draw_svg`.
    """
    with import_pyplot().rc_context(_STYLE):
        display = make()
        return display, _taken(display.figure_, name)


def _taken(figure, name):
    svg = svg_of(figure, name)
    import_pyplot().close(figure)
    return svg


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
