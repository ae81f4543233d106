"""The result of `fidelity_report`, as text, frame, JSON and HTML."""

from dataclasses import dataclass

from skdistill.decisions.results import DecisionReport
from skdistill.exceptions import RequirementNotMetError
from skdistill.formatting import TabularReport, fields_of, text_table, title_of
from skdistill.report.fidelity.daily import NEEDS
from skdistill.report.fidelity.measures import MEASURES
from skdistill.report.fidelity.notes import note_on
from skdistill.report.fidelity.requirements import check_conditions
from skdistill.report.fidelity.scores import SCORES
from skdistill.report.fidelity.verdict import STATUSES, Verdict
from skdistill.report.html import HtmlReport, render
from skdistill.weighted_statistics import Estimate

#: The parts of a report that are tables, and their headings.
SECTIONS = {
    "scores": "Scores on the observed labels",
    "fidelity": "Fidelity to the teacher",
    "thresholds": "Decisions at thresholds",
    "by_class": "Fidelity per class",
    "decisions": "Decisions and money",
    "segments": "Segments with the lowest fidelity",
    "group_rates": "Rates per group",
    "group_gaps": "Gaps between groups",
    "cost": "Cost",
}


@dataclass(frozen=True)
class ScoreComparison:
    """One score of teacher, student and baseline on the observed classes or values.

    Attributes
    ----------
    greater_is_better : bool
        False for losses.
    teacher, student, baseline : float or None
        Score of each model; None where there is no such model.
    student_minus_teacher, student_minus_baseline : Estimate or None
        Differences, with paired bootstrap intervals.
    gap_closed : Estimate or None
        Share of the gap between baseline and teacher that the student closes, see `gap_closed`;
        None where it is not certain that there is a gap.
    """

    greater_is_better: bool
    teacher: float | None
    student: float
    baseline: float | None
    student_minus_teacher: Estimate | None
    student_minus_baseline: Estimate | None
    gap_closed: Estimate | None


@dataclass(frozen=True)
class ThresholdAgreement:
    """Whether teacher and student make the same decision at a threshold.

    Attributes
    ----------
    threshold : float
        Probability of the second class from which the decision is "yes".
    agreement : Estimate
        Share of rows with the same decision.
    teacher_yes, student_yes : float
        Share of rows on which each says "yes".
    """

    threshold: float
    agreement: Estimate
    teacher_yes: float
    student_yes: float


@dataclass(frozen=True)
class ClassAgreement:
    """Whether teacher and student find a class most probable on the same rows.

    Attributes
    ----------
    label : str
        The class.
    teacher_share, student_share : float
        Share of rows on which each finds it most probable.
    agreement : Estimate
        Share of the teacher's rows of this class that are the student's as well.
    observed_share, teacher_recall, student_recall : float or None
        Share of rows observed to be of this class, and how many of them each model finds; None
        without y.
    """

    label: str
    teacher_share: float
    student_share: float
    agreement: Estimate
    observed_share: float | None
    teacher_recall: float | None
    student_recall: float | None


@dataclass(frozen=True)
class FidelityReport(HtmlReport, TabularReport):
    """How closely a student follows its teacher, how good both are, and what they cost.

    Made by `fidelity_report`. Prints as text; `to_frame`, `to_dict`, `to_json` and `to_html` give
    other forms, and `require` raises unless it meets conditions.

    Attributes
    ----------
    kind : {"binary", "multiclass", "regression"}
        The task.
    classes : tuple or None
        The student's classes; None in regression.
    n_samples : int
        Number of rows.
    models : dict of str to str
        Class names of "student", "teacher" and "baseline", those that are there.
    verdict : Verdict
        Green, amber or red, in words, and with its rule.
    scores : dict of str to ScoreComparison
        Scores on the observed classes or values; empty without y.
    fidelity : dict of str to Estimate
        Measures of fidelity; empty without a teacher.
    thresholds : tuple of ThresholdAgreement
        Fidelity of decisions, with two classes.
    by_class : tuple of ClassAgreement
        Fidelity per class.
    decisions : DecisionReport or None
        What the models cost when bands decide; None if none were passed.
    segments : tuple of Segment
        Parts of the rows, those with the largest divergence first.
    group_rates : tuple of GroupRate
        Rates per group; empty without groups.
    group_gaps : tuple of GroupGap
        Differences between groups, of teacher and student.
    cost : dict of str to Cost
        What each model costs, and as "lean_scorer" what the student does once it is deployed by
        `skdistill.lean_scorer`; empty if it was not measured.
    limitations : tuple of str
        What cannot be said, and why.
    settings : dict
        What the report was made with; with groups and two classes also ``selected_class`` and
        ``selection_threshold``, the class and its probability from which rows are selected.

    See Also
    --------
    fidelity_report : Makes it.

    Examples
    --------
    The error for a student that is not good enough:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import TreeStudentClassifier, fidelity_report
    >>> from skdistill.exceptions import RequirementNotMetError
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X[:300], y[:300])
    >>> tree = TreeStudentClassifier(2).fit(X[:300], forest.predict_proba(X[:300]))
    >>> report = fidelity_report(tree, X[300:], teacher=forest, cost=False, random_state=0)
    >>> try:
    ...     report.require(agreement=0.99)
    ... except RequirementNotMetError as error:
    ...     print(error)
    TreeStudentClassifier distilled from RandomForestClassifier, 269 rows: not good enough.
    - agreement is 0.959108; at least 0.99 was required.
    """

    MAIN_SECTION = "scores"

    kind: str
    classes: tuple | None
    n_samples: int
    models: dict
    verdict: Verdict
    scores: dict
    fidelity: dict
    thresholds: tuple
    by_class: tuple
    decisions: DecisionReport | None
    segments: tuple
    group_rates: tuple
    group_gaps: tuple
    cost: dict
    limitations: tuple
    settings: dict

    def section(self, name):
        """Return one part of the report as rows.

        Parameters
        ----------
        name : {"scores", "fidelity", "thresholds", "by_class", "decisions", "segments", \
                "group_rates", "group_gaps", "cost"}
            Which part.

        Returns
        -------
        rows : list of dict
            All with the same keys; empty if there is no such part in this report.
        """
        if name not in SECTIONS:
            raise ValueError(f"section={name!r}; one of {list(SECTIONS)} was expected.")
        content = getattr(self, name)
        if name == "decisions":
            return [] if content is None else content.section()
        if name == "fidelity":
            return [{"measure": key, "value": value} for key, value in content.items()]
        key = "model" if name == "cost" else "score"
        if isinstance(content, dict):
            return [{key: item, **fields_of(values)} for item, values in content.items()]
        rows = [fields_of(item) for item in content]
        if name == "group_gaps":
            rows = [row | {"bias": gap.finding} for row, gap in zip(rows, content, strict=True)]
        return rows

    def shown(self, name):
        """Return one part as people read it: marks for the better side, no empty columns.

        Parameters
        ----------
        name : str
            See `section`.

        Returns
        -------
        rows : list of dict
            All with the same keys.
        """
        if name == "decisions":
            return [] if self.decisions is None else self.decisions.shown()
        rows = self.section(name)
        better = MEASURES[self.kind] | SCORES[self.kind]
        for row in rows:
            for key in row.keys() & {"score", "measure"}:
                row[key] += " ↑" if better[row[key]] else " ↓"
        empty = {key for key in (rows[0] if rows else ()) if all(row[key] is None for row in rows)}
        left_out = empty | {"greater_is_better"} | ({"column"} if name == "segments" else set())
        return [{key: row[key] for key in row if key not in left_out} for row in rows]

    def note(self, name):
        """Return the note to one part of the report.

        Parameters
        ----------
        name : str
            See `section`.

        Returns
        -------
        note : str
            Which rows are the top k, which are selected, or what intervals hold for; empty where
            there is nothing of the kind.
        """
        return note_on(self, name) if self.section(name) else ""

    def _render(self, whole_page):
        return render(self, whole_page=whole_page)

    def __str__(self):
        verdict = self.verdict
        parts = [f"{self._headline()}\n", f"{verdict.status.upper()}: {verdict.headline}"]
        parts += [f"- {sentence}" for sentence in verdict.concerns]
        parts += [*verdict.remarks, f"\nHow the colour is decided\n{verdict.rule}"]
        said = set()
        for name in ("scores", "fidelity", "thresholds", "by_class"):
            if rows := self.shown(name)[:12]:
                parts.append(self._as_text(name, rows, said))
        if self.decisions is not None:
            parts.append(f"\n{self.decisions.tables()}")
        if rows := self.shown("segments")[:5]:
            parts.append(f"\n{SECTIONS['segments']}, the 5 worst\n{text_table(rows)}")
        for name in ("group_rates", "group_gaps", "cost"):
            if rows := self.shown(name):
                parts.append(self._as_text(name, rows, said))
        if self.limitations:
            parts.append("\nNot in this report\n" + "\n".join(self.limitations))
        return "\n".join(parts)

    def _as_text(self, name, rows, said):
        """Write a table with its note, unless it was printed before."""
        note = self.note(name)
        text = f"\n{SECTIONS[name]}\n{text_table(rows)}"
        text += f"\n{note}" if note not in said | {""} else ""
        said.add(note)
        return text

    def _headline(self):
        teacher = self.models.get("teacher")
        of = f" distilled from {teacher}" if teacher else ""
        return f"{self.models['student']}{of}, {self.n_samples:,} rows"

    def require(self, *, status=None, non_inferior=None, helped=None, at_interval=False, **limits):
        """Raise unless the model is good enough: one line that makes a deployment stop.

        Parameters
        ----------
        status : {"green", "amber"} or None, default=None
            The worst verdict that will do.
        non_inferior : bool or None, default=None
            True requires that the verdict finds the student non-inferior to its teacher.
        helped : bool or None, default=None
            True requires that the verdict finds that distillation helped.
        at_interval : bool, default=False
            Whether limits on measures of fidelity must hold at the bad end of the interval, not
            only for the estimate.
        **limits : float
            Names of `fidelity` or `scores` with the smallest value allowed, or the largest for
            losses and divergences, such as ``agreement=0.98, kl_divergence=0.01``. At least one
            condition of any kind is needed.

        Returns
        -------
        report : FidelityReport
            The report itself.

        Raises
        ------
        RequirementNotMetError
            With every reason.
        TypeError
            If a limit is no number, or a switch not True, False or None.
        ValueError
            If there is no condition, a name is none that a report of this kind has, or a limit is
            outside the range of what it limits.
        """
        check_conditions(
            self.kind,
            limits,
            status=status,
            non_inferior=non_inferior,
            helped=helped,
            at_interval=at_interval,
        )
        known = MEASURES[self.kind] | SCORES[self.kind]
        reasons = [
            *self._reasons_of_verdict(status, non_inferior, helped),
            *(
                reason
                for name, limit in limits.items()
                if (reason := self._reason(name, limit, known[name], at_interval))
            ),
        ]
        if reasons:
            raise RequirementNotMetError(
                f"{self._headline()}: not good enough.\n- " + "\n- ".join(reasons)
            )
        return self

    def _reasons_of_verdict(self, status, non_inferior, helped):
        verdict = self.verdict
        if status is not None and STATUSES.index(verdict.status) > STATUSES.index(status):
            asked = "green" if status == "green" else "green or amber"
            yield f"The verdict is {verdict.status}, {asked} was required: {verdict.headline}"
        if non_inferior and not verdict.non_inferior:
            yield f"Non-inferiority to the teacher was not shown: {verdict.sentences[0]}"
        if helped and verdict.helped != "yes":
            yield f"It was not shown that distillation helped: {verdict.helped or 'no baseline'}."

    def _reason(self, name, limit, greater_is_better, at_interval):
        """Say why a limit is not met, or return None."""
        if name in self.fidelity:
            estimate = self.fidelity[name]
            bad_end = estimate.low if greater_is_better else estimate.high
            found = bad_end if at_interval else estimate.value
        elif name in self.scores:
            found = self.scores[name].student
        else:
            hint = f" It needs {NEEDS[name]}=." if name in NEEDS else ""
            return f"{title_of(name)} is not in this report.{hint} {' '.join(self.limitations)}"
        met = found >= limit if greater_is_better else found <= limit
        if met:
            return None
        word, end = ("at least", "low") if greater_is_better else ("at most", "high")
        where = f" ({end} end of the interval)" if at_interval and name in self.fidelity else ""
        return f"{title_of(name)} is {found:.6g}{where}; {word} {limit:g} was required."
