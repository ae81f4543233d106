"""The result of `decision_report`, as text, frame and JSON."""

from dataclasses import dataclass

from skdistill.formatting import TabularReport, fields_of, number, text_table
from skdistill.weighted_statistics import Estimate

#: The parts that are tables, and their headings.
SECTIONS = {
    "decisions": "Decisions and money",
    "calibration": "Probabilities against observed rates",
}

_COUNTS = {"approved", "reviewed", "declined", "missed_frauds", "declined_legit"}


@dataclass(frozen=True)
class ModelDecisions:
    """What is decided by one model's probabilities, and what it costs.

    Attributes
    ----------
    review_above, decline_above : float or None
        Probabilities above which rows are reviewed, and declined; for the median amount if costs
        depend on amounts. None for what is no model.
    approved, reviewed, declined : float
        Number of rows.
    missed_frauds : float
        Frauds among the approved rows.
    declined_legit : float
        Legitimate rows among the declined ones.
    money_lost : Estimate
        What errors and reviews cost in total.
    money_lost_per_day : Estimate or None
        The same per day; None if days are not known.
    share_saved : float
        By which share it costs less than approving everything.
    """

    review_above: float | None
    decline_above: float | None
    approved: float
    reviewed: float
    declined: float
    missed_frauds: float
    declined_legit: float
    money_lost: Estimate
    money_lost_per_day: Estimate | None
    share_saved: float


@dataclass(frozen=True)
class DecisionReport(TabularReport):
    """What teacher and student cost when `DecisionBands` decide by their probabilities.

    Made by `decision_report`. Prints as text; `to_frame`, `to_dict` and `to_json` give other forms.

    Attributes
    ----------
    n_samples : int
        Number of rows on which money is counted.
    n_frauds : float
        Frauds among them.
    n_days : int or None
        Days among them; None if days are not known.
    models : dict of str to str
        Class names of "student", "teacher" and "baseline", those that are there.
    decisions : dict of str to ModelDecisions
        Of each model, of approving everything, and of an oracle that declines the frauds alone.
    student_minus_teacher, student_minus_teacher_per_day : Estimate or None
        Money that the student costs more than the teacher, in total and per day; None without a
        teacher, or without days.
    calibration : dict of str to tuple of BandCalibration
        Mean probability and observed rate of each model, overall and per band.
    notes : tuple of str
        On which rows thresholds were set, what was resampled, and what is wrong with
        probabilities.
    settings : dict
        What the report was made with.

    See Also
    --------
    decision_report : Makes it.

    Examples
    --------
    What a tree costs, against its forest:

    >>> from sklearn.datasets import make_classification
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import TreeStudentClassifier
    >>> from skdistill.decisions import DecisionBands, DecisionCosts, decision_report
    >>> X, y = make_classification(3000, weights=[0.9], flip_y=0.02, random_state=0)
    >>> forest = RandomForestClassifier(min_samples_leaf=5, random_state=0).fit(X[:2000], y[:2000])
    >>> tree = TreeStudentClassifier(8).fit(X[:2000], y[:2000])
    >>> bands = DecisionBands(DecisionCosts(missed_fraud=100, declined_legit=30, review=6))
    >>> report = decision_report(
    ...     tree, X[2000:], y[2000:], bands, teacher=forest, n_resamples=200, random_state=0
    ... )
    >>> print(report.sentence)  # doctest: +ELLIPSIS
    It is not shown that deciding with the student costs more or less money than with the teacher...
    """

    MAIN_SECTION = "decisions"

    n_samples: int
    n_frauds: float
    n_days: int | None
    models: dict
    decisions: dict
    student_minus_teacher: Estimate | None
    student_minus_teacher_per_day: Estimate | None
    calibration: dict
    notes: tuple
    settings: dict

    @property
    def sentence(self):
        """The money difference in words."""
        unit = f"on {self.n_samples:,} rows" if self.n_days is None else "a day"
        if self.student_minus_teacher is None:
            student = self.decisions["student"]
            cost = student.money_lost_per_day or student.money_lost
            return f"Deciding with the student costs {number(cost)} {unit}."
        difference = self.student_minus_teacher_per_day or self.student_minus_teacher
        figures = f"difference {number(difference)} {unit}"
        if difference.low > 0:
            return f"Deciding with the student costs more money than with the teacher: {figures}."
        if difference.high < 0:
            return f"Deciding with the student costs less money than with the teacher: {figures}."
        return (
            "It is not shown that deciding with the student costs more or less money than with the "
            f"teacher: {figures}."
        )

    def section(self, name="decisions"):
        """Return one part of the report as rows.

        Parameters
        ----------
        name : {"decisions", "calibration"}, default="decisions"
            Which part.

        Returns
        -------
        rows : list of dict
            All with the same keys.
        """
        if name not in SECTIONS:
            raise ValueError(f"section={name!r}; one of {list(SECTIONS)} was expected.")
        if name == "calibration":
            return [
                {"model": role, **fields_of(band)}
                for role, bands in self.calibration.items()
                for band in bands
            ]
        return [{"model": role, **fields_of(each)} for role, each in self.decisions.items()]

    def shown(self, name="decisions"):
        """Return one part as people read it: whole numbers of rows, money per day if possible."""
        rows = self.section(name)
        left_out = {key for key in rows[0] if all(row[key] is None for row in rows)}
        if self.n_days is not None:
            left_out |= {"money_lost"}
        return [
            {
                key: round(row[key]) if key in _COUNTS else row[key]
                for key in row
                if key not in left_out
            }
            for row in rows
        ]

    def __str__(self):
        days = "" if self.n_days is None else f", {self.n_days:,} day{'s'[: self.n_days > 1]}"
        teacher = f" and {self.models['teacher']}" if "teacher" in self.models else ""
        parts = [
            f"Decisions by {self.models['student']}{teacher}: {self.n_samples:,} rows, "
            f"{self.n_frauds:,.0f} frauds{days}",
            f"\n{self.sentence}",
            f"\n{self.tables()}",
        ]
        return "\n".join(parts)

    def tables(self):
        """Return all tables and notes as text."""
        tables = [f"{title}\n{text_table(self.shown(name))}\n" for name, title in SECTIONS.items()]
        return "\n".join([*tables, *self.notes])
