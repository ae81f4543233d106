"""Draw trees from left to right, their leaves as the rows of a table.

Everything is placed in multiples of the font size. A leaf has a row of its own and an inner node
stands in the middle of its children, so two nodes of one depth are at least a row apart: what is
written within half a row of a branch never meets what is written at another one.
"""

import textwrap
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat

import numpy as np

from skdistill.report.displays.conditions import NumberCondition, levels_text
from skdistill.report.displays.tree_rules import branches, ways_to_nodes
from skdistill.report.plotting import import_pyplot, ink_of, one_axes, readable_on, shorten
from skdistill.students.tree import PlainTree

#: Height of a row and of a line, width of the longest bar, space around words.
ROW, LINE, BAR, GAP = 3.4, 1.4, 6.0, 0.9

#: Width of the branch that all rows take, of one that none takes, and of a parting.
FULL_BRANCH, EMPTY_BRANCH, TRUNK = 1.0, 0.06, 0.12

#: Letters that a name or a prediction may have before it is cut short.
MAX_LETTERS = 34

#: What branches and bars are drawn in: visible on light and dark backgrounds.
GREY = "0.6"

#: Font size that widths are measured at.
MEASURED = 100.0


@dataclass(frozen=True)
class Label:
    """Words at a node or at the branch to one of its children.

    Attributes
    ----------
    node : int
        The inner node that is tested.
    y : float
        Where they stand.
    text : str
        The words.
    va : str
        What stands at y: their "bottom", "center" or "top".
    """

    node: int
    y: float
    text: str
    va: str

    @property
    def weight(self):
        """Conditions are bold, branches are not."""
        return "bold" if self.va == "center" else "normal"


@dataclass(frozen=True)
class Layout:
    """Where everything stands.

    Attributes
    ----------
    x, y : ndarray of shape (n_nodes,)
        Places of the nodes.
    width : ndarray of shape (n_nodes,)
        How wide the branch to each node is.
    labels : list of Label
        Conditions and branches.
    right : float
        Where the tree ends and the table begins.
    notes : list of str
        Levels that found no place on their branch.
    """

    x: np.ndarray
    y: np.ndarray
    width: np.ndarray
    labels: list
    right: float
    notes: list

    def moved_down(self, by):
        """Return the same further down."""
        labels = [replace(label, y=label.y + by) for label in self.labels]
        return replace(self, y=self.y + by, labels=labels)


@dataclass(frozen=True)
class Part:
    """A tree and what stands beside its leaves.

    Attributes
    ----------
    tree : PlainTree
        The tree.
    rules : list of Rule
        One per leaf.
    cells : dict of str to list of str
        The table beside the leaves: heading, and a cell per rule.
    fills : list
        Colours of the cells of the first heading.
    caption : str, default=""
        What stands above the tree.
    """

    tree: PlainTree
    rules: list
    cells: dict
    fills: list
    caption: str = ""


def draw_trees(ax, parts, *, title, sentence, missing_occurs, fontsize):
    """Draw the trees of some `Part` below each other and, beside their leaves, one table.

    With `ax` everything is scaled down to fit; None makes a new figure of the size that the trees
    need. The `sentence` stands below the title; `missing_occurs` says per column whether conditions
    have to speak of missing values; `fontsize` is in points.
    """
    notes = []
    layouts = [lay_out(part.tree, part.rules, missing_occurs, notes) for part in parts]
    right = max(layout.right for layout in layouts)
    cell_widths = [
        2 * GAP
        + max(text_width(text) for part in parts for text in [heading, *part.cells[heading]])
        for heading in parts[0].cells
    ]
    width = max(right + sum(cell_widths) + BAR, 1.2 * text_width(title, "bold")) + 2 * GAP
    said, notes = _lines(sentence, width), _wrap(notes, width)
    layouts = _stacked(layouts, LINE * len(said))
    bottom = max(layout.y.max() for layout in layouts) + ROW / 2
    ax, fontsize = _sheet(ax, width, bottom + LINE * (len(notes) + bool(notes)), fontsize)
    write = partial(ax.text, parse_math=False, size=fontsize, color=ink_of(ax.figure))
    write(GAP, GAP, title, va="top", weight="bold", size=1.2 * fontsize)
    write(GAP, GAP + 1.5 * LINE, "\n".join(said), va="top")
    write(GAP, bottom + LINE / 2, "\n".join(notes), va="top")
    largest = max(rule.share for part in parts for rule in part.rules)
    for part, layout in zip(parts, layouts, strict=True):
        layout = replace(layout, right=right)
        _draw_part(ax, write, part, layout, cell_widths, largest, fontsize)
    return ax


def _draw_part(ax, write, part, layout, cell_widths, largest, fontsize):
    """Draw one tree and its part of the table; bars are as long as shares of the largest one."""
    for label in layout.labels:
        write(layout.x[label.node] + 0.6, label.y, label.text, va=label.va, weight=label.weight)
    _draw_branches(ax, part.tree, layout, fontsize)
    leaf_y = np.array([layout.y[rule.leaf] for rule in part.rules])
    left, above = layout.right, leaf_y.min() - ROW / 2 - 0.3
    write(GAP, above, part.caption, va="bottom", weight="bold")
    ax.barh(leaf_y, cell_widths[0], 0.7 * ROW, left, color=part.fills, edgecolor=GREY, lw=0.5)
    for i, (heading, cells) in enumerate(part.cells.items()):
        inks = map(readable_on, part.fills) if i == 0 else repeat(ink_of(ax.figure))
        _write_column(write, left + cell_widths[i] / 2, leaf_y, heading, cells, inks)
        left += cell_widths[i]
    share = np.array([rule.share for rule in part.rules])
    ax.barh(leaf_y, BAR * share / largest, 0.3 * ROW, left, color=GREY)


def _stacked(layouts, top):
    """Move layouts down until each begins where the one before it ends, the first one at `top`."""
    stacked = []
    for layout in layouts:
        stacked.append(layout.moved_down(top))
        top = stacked[-1].y.max() + 0.2 * ROW
    return stacked


def lay_out(tree, rules, missing_occurs=None, notes=None):
    """Find a place for every node, branch and label; the left branch of each node is its upper one.

    `missing_occurs` says per column whether conditions have to speak of missing values. What finds
    no place on a branch is added to `notes`, if there are some already.
    """
    notes = [] if notes is None else notes
    inner = np.flatnonzero(tree.children_left >= 0)
    depth, y, share = (np.zeros(len(tree.feature)) for _ in range(3))
    for node in inner:  # parents come before children
        depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
    y[_leaves_from_the_top(tree)] = ROW * (np.arange(tree.n_leaves) + 1.9)
    for rule in rules:
        share[rule.leaf] = rule.share
    for node in inner[::-1]:  # children before parents
        children = [tree.children_left[node], tree.children_right[node]]
        y[node], share[node] = y[children].mean(), share[children].sum()
    ways = ways_to_nodes(tree, missing_occurs)
    labels = []
    for node in inner:
        (left, if_left), (right, if_right) = branches(tree, node, missing_occurs)
        before = ways[node].get(if_left.column)
        above = y[left] - FULL_BRANCH * share[left] / 2 - 0.25
        below = y[right] + FULL_BRANCH * share[right] / 2 + 0.25
        labels += [
            Label(node, above, _branch_text(if_left, before, notes), "bottom"),
            Label(node, y[node], shorten(if_left.name, MAX_LETTERS), "center"),
            Label(node, below, _branch_text(if_right, before, notes), "top"),
        ]
    width = EMPTY_BRANCH + (FULL_BRANCH - EMPTY_BRANCH) * share
    starts = _starts(labels, depth.astype(int))
    return Layout(starts[depth.astype(int)], y, width, labels, starts[-1] + GAP, notes)


def text_width(text, weight="normal"):
    """Return the width of a text in multiples of its font size."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=MEASURED, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / MEASURED


def _starts(labels, depth):
    """Where each depth begins: as far right as the labels of the one before need."""
    needed = np.zeros(depth.max() + 1)
    for label in labels:
        at = depth[label.node]
        needed[at] = max(needed[at], text_width(label.text, label.weight) + 2 * GAP)
    return 2 * GAP + np.concatenate([[0.0], np.cumsum(needed[:-1])])


def _leaves_from_the_top(tree):
    leaves, todo = [], [0]
    while todo:
        node = todo.pop()
        if tree.children_left[node] < 0:
            leaves.append(node)
        else:
            todo += [tree.children_right[node], tree.children_left[node]]
    return leaves


def _branch_text(condition, before, notes):
    """Put a condition into few words; levels that find no place among them make a note."""
    condition = condition if before is None else condition.after(before)
    if isinstance(condition, NumberCondition):
        return condition.text(name="").replace("<=", "≤").replace(">=", "≥")
    text = condition.text(name="")
    if len(text) <= MAX_LETTERS:
        return text
    note = f"{condition.name}: {levels_text(condition.named)}"
    if note not in notes:
        notes.append(note)
    verb, _, rest = text.partition(" {")
    return f"{verb} set [{notes.index(note) + 1}]{rest.rpartition('}')[2]}"


def _wrap(notes, width):
    """Break notes into numbered lines of a width."""
    numbered = [f"[{i}] {note}" for i, note in enumerate(notes, 1)]
    return [line for note in numbered for line in _lines(note, width, subsequent_indent="     ")]


def _lines(text, width, **indents):
    """Break a text into lines of a width."""
    letters = int(len(text) * (width - 2 * GAP) / (text_width(text) or 1.0))
    return textwrap.wrap(text, max(letters - 8, 20), **indents)


def _sheet(ax, width, height, fontsize):
    """Return axes measured in multiples of the font size, and that size in points."""
    if ax is None:
        inches = width * fontsize / 72, height * fontsize / 72
        ax = import_pyplot().figure(figsize=inches).add_axes((0, 0, 1, 1))
    else:
        box = one_axes(ax).get_window_extent()
        points = 72 / ax.figure.dpi
        fontsize = min(fontsize, points * box.width / width, points * box.height / height)
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()
    return ax, fontsize


def _draw_branches(ax, tree, layout, fontsize):
    x, y = layout.x, layout.y
    line = {"color": GREY, "solid_capstyle": "butt", "zorder": 1}
    end = np.where(tree.children_left < 0, layout.right, x)
    ax.plot([x[0] - GAP, end[0]], [y[0], y[0]], lw=layout.width[0] * fontsize, **line)
    for node in np.flatnonzero(tree.children_left >= 0):
        children = [tree.children_left[node], tree.children_right[node]]
        ax.plot([x[node]] * 2, y[children], lw=TRUNK * fontsize, **line)
        for child in children:
            lw = layout.width[child] * fontsize
            ax.plot([x[node], end[child]], [y[child], y[child]], lw=lw, **line)


def _write_column(write, x, leaf_y, heading, cells, inks):
    write(x, leaf_y.min() - ROW / 2 - 0.3, heading, ha="center", va="bottom")
    for y, text, ink in zip(leaf_y, cells, inks, strict=False):
        write(x, y, text, ha="center", va="center", color=ink)
