"""The result of `attribution_report`, as text, frame, JSON and plots."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from skdistill.formatting import TabularReport, decimals, percent, plain, text_table
from skdistill.report.plotting import class_position, import_pyplot
from skdistill.report.reasons.plots import draw_dependence, draw_importance
from skdistill.report.reasons.similarity import RowSimilarity

#: The parts of a report that are tables, and their headings.
SECTIONS = {
    "importance": "Importance: mean |SHAP value|",
    "local": "Reasons row by row",
    "stability": "For comparison",
}


class ColumnImportance(NamedTuple):
    """How much a column matters in both models.

    Attributes
    ----------
    column : str
        Name of the column.
    teacher, student : float
        Mean absolute Shapley value over rows, and over classes.
    """

    column: str
    teacher: float
    student: float


@dataclass(frozen=True)
class AttributionReport(TabularReport):
    """Whether a student decides for the same reasons as its teacher; made by `attribution_report`.

    Attributes
    ----------
    kind : {"binary", "multiclass", "regression"}
        The task.
    models : dict of str to str
        Class names of "teacher" and "student".
    output_space : {"probability", "log_odds", "prediction"}
        What all values are measured in.
    teacher, student : shap.Explanation
        Explanations of the same rows against the same background, see `explain`.
    rows : ndarray of shape (n_rows,)
        Positions of these rows in X.
    origin : ndarray of shape (n_rows,)
        Why each was taken: "highest scores" of the teacher, "random", or "all" where all were.
    top : int
        How many columns with the largest contributions are looked at in a row.
    importance : tuple of ColumnImportance
        The columns, those that matter most to the teacher first.
    rank_correlation : float
        Spearman's correlation of the two importances.
    row_similarity : RowSimilarity
        Similarity of the student to the teacher on every row.
    local : tuple of Similarity
        The same, summarised over all rows and over parts of them.
    stability : tuple of Similarity
        What to compare that with: refitted students with the student, and models whose values are
        sampled with themselves, drawn again.

    Examples
    --------
    How much each column matters to a tree and to the forest it was distilled from:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import TreeStudentClassifier, attribution_report
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> forest = RandomForestClassifier(20, random_state=0).fit(X, y)
    >>> tree = TreeStudentClassifier(random_state=0).fit(X, forest.predict_proba(X))
    >>> report = attribution_report(tree, X, teacher=forest, n_rows=50, random_state=0)
    >>> report.to_frame("importance").columns.tolist()
    ['column', 'teacher', 'student']
    >>> report.teacher.shape == report.student.shape == (50, 4, 3)
    True
    """

    MAIN_SECTION = "local"

    kind: str
    models: dict
    output_space: str
    teacher: Any
    student: Any
    rows: np.ndarray
    origin: np.ndarray
    top: int
    importance: tuple
    rank_correlation: float
    row_similarity: RowSimilarity
    local: tuple
    stability: tuple

    @property
    def summary(self):
        """The finding in sentences."""
        overall, top = self.local[0], f"top {self.top} columns"
        sentences = [
            f"The columns' importances in the student ({self.models['student']}) and in the "
            f"teacher ({self.models['teacher']}) have a rank correlation of "
            f"{decimals(self.rank_correlation, 2)}.",
            f"On the median row the contributions have a cosine of "
            f"{decimals(overall.median_cosine, 2)}; on 5% of the rows it is below "
            f"{decimals(overall.low_cosine, 2)}.",
            f"Of the teacher's {top} of a row, {percent(overall.sign_flips)} push the other way in "
            f"the student; {percent(overall.top_overlap)} of the {top} are the same.",
        ]
        sentences += [
            f"For comparison, {item.compared}: a median cosine of "
            f"{decimals(item.median_cosine, 2)}, {percent(item.sign_flips)} flipped, "
            f"{percent(item.top_overlap)} the same."
            for item in self.stability
            if item.rows == "all rows"
        ]
        return " ".join(sentences)

    def section(self, name):
        """Return one part of the report as rows.

        Parameters
        ----------
        name : {"importance", "local", "stability", "rows"}
            Which part; "rows" has one row per row of X that was explained.

        Returns
        -------
        rows : list of dict
            All with the same keys; empty if there is nothing to compare with.
        """
        if name == "importance":
            return [item._asdict() for item in self.importance]
        if name in ("local", "stability"):
            return [asdict(item) for item in getattr(self, name)]
        if name != "rows":
            raise ValueError(f"section={name!r}; one of {[*SECTIONS, 'rows']} was expected.")
        columns = {"row": self.rows, "origin": self.origin, **vars(self.row_similarity)}
        values = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in values]

    def to_dict(self):
        """Return all but the explanations as nested dicts and lists of numbers and strings."""
        return plain(
            {
                "kind": self.kind,
                "models": self.models,
                "output_space": self.output_space,
                "methods": {"teacher": self.teacher.method, "student": self.student.method},
                "top": self.top,
                "rank_correlation": self.rank_correlation,
                **{name: self.section(name) for name in (*SECTIONS, "rows")},
                "summary": self.summary,
            }
        )

    def __str__(self):
        parts = [
            f"{self.models['student']} and its teacher {self.models['teacher']}, "
            f"{len(self.rows):,} rows, in {self.output_space.replace('_', '-')}",
            f"Values: teacher {self.teacher.method}; student {self.student.method}\n",
            self.summary,
        ]
        for name, heading in SECTIONS.items():
            if rows := self.section(name):
                shown = rows[:10] if name == "importance" else rows
                parts.append(f"\n{heading}\n{text_table(shown)}")
        return "\n".join(parts)

    def plot_importance(self, ax=None, n_columns=10):
        """Draw how much the columns matter in teacher and student.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        n_columns : int, default=10
            Largest number of columns, those that matter most to the teacher.

        Returns
        -------
        ax : matplotlib Axes
            The axes that were drawn on.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        shown = self.importance[:n_columns]
        if ax is None:
            size = (6.4, 1.2 + 0.36 * len(shown))
            ax = import_pyplot().figure(figsize=size, layout="constrained").subplots()
        draw_importance(ax, shown, self._names, self.output_space.replace("_", "-"))
        return ax

    def plot_dependence(self, columns=None, axes=None, *, n_columns=6, class_of_interest=None):
        """Draw what columns contribute against their values, teacher and student overlaid.

        Points are rows; lines join means over bins that hold as many rows each. Levels of nominal
        columns have a bar for the mean, missing numbers stand at the right.

        Parameters
        ----------
        columns : list of str or None, default=None
            Names of the columns to draw; None for those that matter most to the teacher.
        axes : matplotlib Axes, array of matplotlib Axes or None, default=None
            Where to draw: one axes that is filled with a grid, or one axes per column; None makes
            a new figure.
        n_columns : int, default=6
            Largest number of columns to draw if `columns` is None.
        class_of_interest : str or None, default=None
            The class whose values are drawn, as in ``output_names`` of the explanations; None for
            the second of two, and of more for the one that the student finds most often.

        Returns
        -------
        axes : ndarray of matplotlib Axes
            One per column.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no such column or class.
        """
        names = list(self.student.feature_names)
        if columns is None:
            columns = [item.column for item in self.importance[:n_columns]]
        if unknown := [column for column in columns if column not in names]:
            raise ValueError(f"columns holds {unknown}; names out of {names} were expected.")
        position = self.drawn_class(class_of_interest)
        values = [of.values[:, :, position] for of in (self.teacher, self.student)]
        drawn = [
            (
                column,
                self.student.data[:, names.index(column)],
                *(of[:, names.index(column)] for of in values),
            )
            for column in columns
        ]
        unit = self.output_space.replace("_", "-")
        return draw_dependence(axes, drawn, self._names, f"SHAP value, {unit}")

    @property
    def _names(self):
        return self.models["teacher"], self.models["student"]

    def drawn_class(self, class_of_interest=None):
        """Return the position of the class whose values `plot_dependence` draws.

        Parameters
        ----------
        class_of_interest : str or None, default=None
            A class, as in ``output_names`` of the explanations; None for the second of two, and of
            more for the one that the student finds most often.

        Returns
        -------
        position : int
            0 in regression.
        """
        labels = None if self.kind == "regression" else np.array(self.student.output_names)
        position = class_position(labels, class_of_interest)
        if position is not None:
            return position
        scores = self.student.base_values + self.student.values.sum(axis=1)
        return int(np.bincount(scores.argmax(axis=1)).argmax())
