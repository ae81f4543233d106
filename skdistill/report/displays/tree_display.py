"""Show a tree student as rules and as a picture."""

import numpy as np

from skdistill.formatting import pandas_frame
from skdistill.models import student_and_teacher
from skdistill.report.displays.tree_picture import draw_tree
from skdistill.report.displays.tree_rules import leaf_facts, rules_of
from skdistill.report.plotting import class_position, draw_if_possible, import_pyplot, shown_student
from skdistill.students.kinds import of_form

#: Heading and format of what is known of a rule; None is the format of scores.
_COLUMNS = {
    "label": ("class", ""),
    "score": ("student", None),
    "teacher_score": ("teacher", None),
    "observed": ("observed", None),
    "purity": ("purity", ".3f"),
    "n_rows": ("rows", "d"),
    "share": ("share", ".2%"),
}


class TreeDisplay:
    """A tree student as rules, one per leaf, and as a picture.

    Use `from_estimator` to make one.

    Parameters
    ----------
    tree : PlainTree
        The tree as plain arrays.
    rules : tuple of Rule
        One rule per leaf, in the order in which they are shown.
    missing_occurs : list of bool or None, default=None
        Per column, whether branches have to say where missing values go; None for yes.
    name : str or None, default=None
        Title of the text and the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were drawn on.
    figure_ : matplotlib Figure
        The figure they belong to.

    See Also
    --------
    CurvesDisplay : The curves of an additive student.

    Notes
    -----
    Numbers in the rules are compared as float32, as the tree does, and have the fewest digits that
    separate the same float32 numbers: no rule is rounded until it is false. Levels of a nominal
    column that were never seen at fit go where missing values go. "missing" is said wherever such
    rows follow a branch, unless there are none among the rows of X.

    Examples
    --------
    The rules of a tree distilled from a forest:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import TreeDisplay, TreeStudentClassifier
    >>> data = load_breast_cancer(as_frame=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(data.data, data.target)
    >>> tree = TreeStudentClassifier(max_leaf_nodes=2)
    >>> tree = tree.fit(data.data, forest.predict_proba(data.data))
    >>> display = TreeDisplay.from_estimator(tree, data.data, data.target, teacher=forest)
    >>> print(display.text())
    TreeStudentClassifier: probability of class 1, 569 rows
    student  teacher  observed  purity  rows   share  rule
      0.948    0.948     0.951   0.951   345  60.63%  worst perimeter <= 105.95
      0.129    0.129     0.129   0.871   224  39.37%  worst perimeter > 105.95
    """

    def __init__(self, tree, rules, *, missing_occurs=None, name=None):
        self.tree = tree
        self.rules = rules
        self.missing_occurs = missing_occurs
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X=None,
        y=None,
        *,
        teacher=None,
        class_of_interest=None,
        ax=None,
        name=None,
        **plot_kw,
    ):
        """Read the rules of a fitted tree student, and draw it.

        Parameters
        ----------
        estimator : estimator
            A fitted `TreeStudentClassifier` or `TreeStudentRegressor`, a distiller with such a
            student, a Pipeline that ends in one of them, or a search over them.
        X : array-like or data frame of shape (n_samples, n_features) or None, default=None
            Rows to count in every leaf, as the estimator takes them; None to take the leaves'
            shares of the weight of the transfer set.
        y : array-like of shape (n_samples,) or None, default=None
            What was observed on these rows; -1 marks those without a class.
        teacher : estimator or None, default=None
            A fitted model whose predictions on these rows are shown beside the student's; None for
            the teacher of the distiller, if it is there.
        class_of_interest : int, float, bool, str or None, default=None
            The class whose probability is shown; None for ``classes_[1]`` if there are two
            classes, else for the most probable one of every leaf.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        name : str or None, default=None
            Title; None for the name of the student's class.
        **plot_kw : dict
            Passed to `plot`.

        Returns
        -------
        display : TreeDisplay
            The display, drawn; without matplotlib, and with a UserWarning, not drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If its student is no tree of ours.
        ValueError
            If y or a teacher is passed without X, or there is no such class.
        """
        display = read_tree(
            cls, estimator, X, y, teacher=teacher, class_of_interest=class_of_interest, name=name
        )
        return draw_if_possible(display, ax, plot_kw, "text() and to_frame()")

    def plot(self, ax=None, *, cmap=None, fontsize=8.0):
        """Draw the tree from left to right; its leaves are the rows of a table.

        A branch is as wide as its share of the rows. The leaves are filled by the student's score,
        or by the class if they speak of different ones.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, with smaller letters if there is little room; None makes a new figure
            of the size that the tree needs.
        cmap : str, matplotlib Colormap or None, default=None
            Colours from the lowest score to the highest, or of the classes in turn; None for
            "viridis" and "tab10".
        fontsize : float, default=8.0
            Size of the letters in points, and with it that of the figure.

        Returns
        -------
        display : TreeDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        fills, cells = self._fills(cmap), self._cells()
        cells.pop("rows", None)  # the bars say it
        self.ax_ = draw_tree(
            ax,
            self.tree,
            self.rules,
            cells,
            fills=fills,
            title=self.title(),
            missing_occurs=self.missing_occurs,
            fontsize=fontsize,
        )
        self.figure_ = self.ax_.figure
        return self

    def text(self, max_levels=None):
        """Write the rules, one per line, below a heading.

        Parameters
        ----------
        max_levels : int or None, default=None
            Largest number of levels to name in a condition before the rest is counted; None for
            no limit.

        Returns
        -------
        text : str
            The rules, by class and then by the student's score, the highest first.
        """
        rows = self.section(max_levels)
        widths = {heading: max(len(row[heading]) for row in rows) for heading in rows[0]}
        widths = {h: max(len(h), width) for h, width in widths.items() if h != "rule"}
        lines = ["  ".join([*(h.rjust(width) for h, width in widths.items()), "rule"])]
        for row in rows:
            cells = [row[heading].rjust(width) for heading, width in widths.items()]
            lines.append("  ".join([*cells, row["rule"]]))
        return "\n".join([self.title(), *lines])

    def section(self, max_levels=None):
        """Return the rules as rows of a table, written as `text` writes them.

        Parameters
        ----------
        max_levels : int or None, default=None
            Largest number of levels to name in a condition before the rest is counted; None for
            no limit.

        Returns
        -------
        rows : list of dict of str to str
            Heading and cell, in the order of the rules; the last one is the "rule".
        """
        cells = {**self._cells(), "rule": [rule.text(max_levels) for rule in self.rules]}
        return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]

    def title(self):
        """Say what the scores are, and of how many rows.

        Returns
        -------
        title : str
            The first line of `text`.
        """
        if not self._one_label():
            score = "probability of the most probable class"
        elif self.rules[0].label is None:
            score = "prediction"
        else:
            score = f"probability of class {self.rules[0].label}"
        n_rows = "" if self.rules[0].n_rows is None else f", {sum(self._known()['n_rows']):,} rows"
        return f"{self.name}: {score}{n_rows}"

    def to_frame(self):
        """Put the rules into a data frame.

        Returns
        -------
        frame : pandas.DataFrame
            One row per rule; the columns are the attributes of a `Rule`, with the conditions as
            text, without those that are not known.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        columns = {"rule": [rule.text() for rule in self.rules], **self._known()}
        return pandas_frame({**columns, "leaf": [rule.leaf for rule in self.rules]})

    def _known(self):
        """Attributes of the rules that are known, column by column."""
        columns = {name: [getattr(rule, name) for rule in self.rules] for name in _COLUMNS}
        return {name: column for name, column in columns.items() if column[0] is not None}

    def _cells(self):
        """Write what is known of the rules, by heading."""
        cells = {}
        for name, column in self._known().items():
            heading, form = _COLUMNS[name]
            form = self._format_of_scores() if form is None else form
            cells[heading] = [_write(value, form) for value in column]
        if self._one_label():
            cells.pop("class", None)
        return cells

    def _one_label(self):
        return len({rule.label for rule in self.rules}) == 1

    def _format_of_scores(self):
        """Three decimals for probabilities, more if the smallest has no two digits then."""
        if self.rules[0].label is None:
            return ".4g"
        smallest = min((rule.score for rule in self.rules if rule.score > 0), default=1.0)
        return f".{np.clip(1 + int(np.ceil(-np.log10(smallest))), 3, 6)}f"

    def _fills(self, cmap):
        """Colour of every leaf."""
        get_cmap = import_pyplot().get_cmap
        if self._one_label():
            scores = np.array([rule.score for rule in self.rules])
            return list(
                get_cmap(cmap or "viridis")((scores - scores.min()) / (np.ptp(scores) or 1))
            )
        labels = list(dict.fromkeys(rule.label for rule in self.rules))
        colors = get_cmap(cmap or "tab10")(np.linspace(0, 1, len(labels)))
        return [colors[labels.index(rule.label)] for rule in self.rules]


def read_tree(cls, estimator, X=None, y=None, *, teacher=None, class_of_interest=None, name=None):
    """Make a `TreeDisplay` that is not drawn, see `TreeDisplay.from_estimator`."""
    if X is None and (y is not None or teacher is not None):
        raise ValueError(
            f"{'y' if teacher is None else 'A teacher'} was passed without X. Pass the rows "
            "that it is shown on, too."
        )
    student, teacher = student_and_teacher(estimator, teacher)
    plain = shown_student(cls, student, of_form("tree"))
    position = class_position(student.labels, class_of_interest)
    facts = None if X is None else leaf_facts(student, teacher, X, y)
    return cls(
        plain.tree_,
        rules_of(plain.tree_, student.labels, position, facts),
        missing_occurs=None if facts is None else facts.missing_occurs,
        name=type(plain).__name__ if name is None else name,
    )


def _write(value, form):
    return "-" if value != value else format(value, form)  # NaN where a leaf has no rows
