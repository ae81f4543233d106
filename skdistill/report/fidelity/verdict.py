"""The verdict of a report: green, amber or red by one rule, which is printed with it."""

import math
from dataclasses import dataclass

from scipy.stats import norm

from skdistill.decisions.calibration import calibration_finding
from skdistill.formatting import number, percent, title_of
from skdistill.report.fidelity.segments import MATERIAL_SHARE as MATERIAL_LOSS

#: From the best to the worst.
STATUSES = ("green", "amber", "red")

#: A material loss is more than this share: of what the teacher loses in money or in a score
#: that is a loss, and of the margin against the same student on hard labels, which costs no more
#: than the student.
MATERIAL_SHARE = 0.1

#: By how much the student may be worse in scores that the margin is not about, if they are no
#: losses and the margin is of a loss.
OTHER_MARGIN = 0.01

#: By how much the calibration error may be larger than the teacher's.
CALIBRATION_MARGIN = 0.01

#: A smaller share of the teacher's top k that the student has as well is a concern.
SMALLEST_OVERLAP = 0.5

#: Probability of showing non-inferiority with as many rows as `rows_needed` says.
POWER = 0.8


@dataclass(frozen=True)
class Verdict:
    """The finding, with its rule.

    Attributes
    ----------
    status : {"green", "amber", "red"}
        The worst of all findings: red if a loss that matters is shown, amber if it is not shown
        that the student is as good as its teacher or something else is a concern, green if there
        is nothing of the kind. `rule` has the limits.
    headline : str
        The same in one sentence, with every concern.
    concerns : tuple of str
        What made it amber or red, the worst first; empty if it is green.
    metric : str
        The score it is about.
    margin : float
        By how much the student may be worse than the teacher.
    non_inferior : bool or None
        Whether the student is worse by no more than the margin, for certain: the whole interval
        of the difference lies on the right side of it. None if that is unknown.
    helped : {"yes", "no", "unclear"} or None
        Whether the student is better ("yes") or worse ("no") than the same student on hard
        labels, the interval of the difference not containing 0; None without a baseline.
    rows_needed : int or None
        About how many rows it would take to show non-inferiority, see `rows_needed`; None if it
        is shown, or more rows are not likely to show it.
    sentences : tuple of str
        All findings in words, concerns included.
    rule : str
        How it was found: one line for each colour, and one on what is taken for shown.
    """

    status: str
    headline: str
    concerns: tuple
    metric: str
    margin: float
    non_inferior: bool | None
    helped: str | None
    rows_needed: int | None
    sentences: tuple
    rule: str

    @property
    def remarks(self):
        """The findings that are not concerns."""
        return tuple(sentence for sentence in self.sentences if sentence not in self.concerns)


@dataclass(frozen=True)
class Finding:
    """One finding: the sentence, and if it is a concern, how severe, and in a few words."""

    sentence: str
    status: str = "green"
    words: str = ""


def judge(
    scores, fidelity, by_class, segments, gaps, decisions, settings, *, n_samples, seen_rows=None
):
    """Find the verdict from the parts of a `FidelityReport`.

    `settings` has ``metric``, ``margin``, ``top_k``, ``confidence`` and ``n_resamples``;
    `seen_rows` is the warning, if models were fitted on rows of the report.
    """
    metric, margin = settings["metric"], settings["margin"]
    score = scores.get(metric)
    non_inferior, needed, of_teacher = _compare_with_teacher(
        score, settings, n_samples, _missing(scores, fidelity)
    )
    helped, of_baseline = _compare_with_baseline(score, metric, margin)
    findings = [
        of_teacher,
        of_baseline,
        *_about_seen_rows(seen_rows),
        *_about_money(decisions),
        *_about_calibration(scores, decisions, metric),
        *_about_other_scores(scores, settings),
        *_about_segments(segments),
        *_about_groups(gaps),
        *_about_fidelity(fidelity, by_class),
        *_about_the_top(fidelity, scores, settings["top_k"]),
    ]
    concerns = [
        finding for status in ("red", "amber") for finding in findings if finding.status == status
    ]
    return Verdict(
        status=concerns[0].status if concerns else "green",
        headline=_headline(concerns, of_teacher, non_inferior, helped, settings),
        concerns=tuple(finding.sentence for finding in concerns),
        metric=metric,
        margin=margin,
        non_inferior=non_inferior,
        helped=helped,
        rows_needed=needed,
        sentences=tuple(finding.sentence for finding in findings),
        rule=_rule(scores, settings),
    )


def rows_needed(gain, margin, n_samples, confidence):
    """Estimate how many rows it would take to show that a student is non-inferior.

    Parameters
    ----------
    gain : Estimate
        Student's score minus teacher's, more being better, on `n_samples` rows.
    margin : float
        By how much the student may be worse.
    n_samples : int
        Number of rows.
    confidence : float
        Of the interval.

    Returns
    -------
    n : int or None
        With two digits, rounded up; None if the difference itself is beyond the margin, or it has
        no interval.

    Notes
    -----
    Standard errors shrink with the root of the number of rows, and to show it with probability
    `POWER` the distance to the margin has to be as many of them as the two normal quantiles
    together: ``n = n_samples * ((1 + z_power / z_tail) * h / (margin + gain)) ** 2``, where ``h``
    is the distance from the difference to the bad end of its interval.

    References
    ----------
    Julious, "Sample sizes for clinical trials with Normal data", Statistics in Medicine 23 (2004),
    doi:10.1002/sim.1783.
    """
    room = margin + gain.value
    if math.isnan(gain.low) or room <= 0:
        return None
    z_tail = norm.isf((1 - confidence) / 2)
    n = n_samples * ((1 + norm.ppf(POWER) / z_tail) * (gain.value - gain.low) / room) ** 2
    unit = 10 ** max(0, math.floor(math.log10(n)) - 1)
    return math.ceil(n / unit) * unit


def _headline(concerns, of_teacher, non_inferior, helped, settings):
    """Name the worst concern first; say "as good as its teacher" only without concerns."""
    title, margin = title_of(settings["metric"]), f"{settings['margin']:g}"
    words = [finding.words for finding in concerns]
    if not concerns:
        also = ", and distillation helped" if helped == "yes" else ""
        return f"As good as its teacher, within {margin} in {title}{also}."
    if non_inferior and concerns[0].status == "amber":
        return f"Within {margin} of its teacher in {title}, but {_listed(words)}."
    first, *others = words
    if non_inferior is None and concerns[0] is of_teacher:
        first = f"no verdict: {first}"
    return f"{first[0].upper()}{first[1:]}{'; also, ' if others else ''}{_listed(others)}."


def _listed(words):
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _rule(scores, settings):
    within = f"{settings['margin']:g} in {title_of(settings['metric'])}"
    tenth = _in_percent(MATERIAL_SHARE)
    return "\n".join(
        [
            f"Red: a loss is shown of over {within} against the teacher, of over {tenth} of that "
            "against the same student on hard labels, which costs no more, or of over "
            f"{tenth} more money than the teacher's decisions lose.",
            f"Amber: it is not shown that the student is within {within} of its teacher; or one of "
            "these is shown: a smaller loss against the student on hard labels or of money, "
            f"another score worse by over {_margin_of_others(scores, settings):g} (where lower is "
            f"better: over {tenth} of the teacher's), a segment with a loss larger by over "
            f"{_in_percent(MATERIAL_LOSS)} of the teacher's loss on all rows, a larger gap between "
            f"groups, a calibration error larger by over {CALIBRATION_MARGIN:g}; or the student "
            f"shares less than {_in_percent(SMALLEST_OVERLAP)} of the teacher's top k, "
            "probabilities that decisions rest on are not calibrated, or models were fitted on "
            "rows of this report.",
            "Green: none of these.",
            f"Shown: the whole {_in_percent(settings['confidence'])} interval is beyond the limit "
            f"(paired bootstrap, {settings['n_resamples']:,} resamples; normal for segments and "
            "gaps). Among many scores, segments or gaps some would be beyond it by chance, so the "
            "intervals of all other scores, of all segments and of all gaps are widened to hold "
            "jointly (Bonferroni correction).",
        ]
    )


def _in_percent(share):
    return f"{100 * share:g}%"


def _missing(scores, fidelity):
    """Say what is missing for a comparison of student and teacher."""
    if not fidelity:
        return "without a teacher"
    return "from these rows" if scores else "without y"


def _compare_with_teacher(score, settings, n_samples, missing):
    """Return whether the student is non-inferior, the rows that would show it, and a finding."""
    title, margin = title_of(settings["metric"]), settings["margin"]
    if score is None or score.student_minus_teacher is None:
        sentence = f"Whether the student is as good as its teacher in {title} is unknown"
        words = f"whether it is as good as its teacher in {title} is unknown {missing}"
        return None, None, Finding(f"{sentence} {missing}.", "amber", words)
    difference = score.student_minus_teacher
    figures = (
        f"{number(score.student)} against {number(score.teacher)}, difference {number(difference)}"
    )
    gain = difference if score.greater_is_better else -difference
    if gain.low > 0:
        sentence = f"The student is better than its teacher in {title}: {figures}."
        return True, None, Finding(sentence)
    if gain.low > -margin:
        return (
            True,
            None,
            Finding(
                f"The student is not worse than its teacher by more than {margin:g} in {title}: "
                f"{figures}."
            ),
        )
    if gain.high < -margin:
        words = f"worse than its teacher by more than {margin:g} in {title}"
        return False, None, Finding(f"The student is {words}: {figures}.", "red", words)
    needed = rows_needed(gain, margin, n_samples, settings["confidence"])
    finding = Finding(
        f"It is not shown that the student is within {margin:g} of its teacher in {title}: "
        f"{figures}. {_about_more_rows(gain, margin, n_samples, needed)}",
        "amber",
        f"not shown to be within {margin:g} of its teacher in {title}",
    )
    return False, needed, finding


def _about_more_rows(gain, margin, n_samples, needed):
    if math.isnan(gain.low):
        return "The difference has no interval on these rows."
    if needed is None and gain.value == -margin:
        return "More rows are not likely to show it: the difference itself is at the limit."
    if needed is None:
        return (
            f"More rows are not likely to show it: the difference itself is beyond {-margin:g}."
            if margin
            else "More rows are not likely to show it: the difference itself is a loss."
        )
    if needed > 100 * n_samples:
        return f"It would take over 100 times as many rows as the {n_samples:,} here."
    return (
        f"About {needed:,} rows instead of {n_samples:,} would show it with a probability of "
        f"{_in_percent(POWER)}, if the difference stays the same."
    )


def _compare_with_baseline(score, metric, margin):
    """Return whether distillation helped, and a finding."""
    title = title_of(metric)
    if score is None or score.student_minus_baseline is None:
        return None, Finding(
            "Whether distillation helped is unknown without a baseline on hard labels."
        )
    difference = score.student_minus_baseline
    figures = (
        f"{number(score.student)} against {number(score.baseline)} on hard labels alone, "
        f"difference {number(difference)}"
    )
    gain = difference if score.greater_is_better else -difference
    if gain.low > 0:
        return "yes", Finding(f"Distillation helped in {title}: {figures}.")
    if gain.high < 0:
        status = "red" if gain.high < -MATERIAL_SHARE * margin else "amber"
        words = f"distillation made the student worse in {title}"
        return "no", Finding(
            f"Distillation made the student worse in {title}: {figures}.", status, words
        )
    return "unclear", Finding(f"These rows show no effect of distillation in {title}: {figures}.")


def _about_seen_rows(sentence):
    if sentence is not None:
        yield Finding(sentence, "amber", "models were fitted on rows of this report")


def _about_fidelity(fidelity, by_class):
    if "agreement" in fidelity:
        sentence = (
            f"Both find the same class most probable on {percent(fidelity['agreement'].value)} of "
            "the rows"
        )
        rare = min(by_class, key=lambda each: each.teacher_share)
        if len(by_class) == 2 and rare.teacher_share > 0:
            share = percent(rare.agreement.value)
            sentence += f", and on {share} of those that the teacher finds to be {rare.label}"
        yield Finding(f"{sentence}.")


def _about_the_top(fidelity, scores, top_k):
    if "top_k_overlap" not in fidelity:
        return
    overlap = fidelity["top_k_overlap"].value
    sentence = (
        f"Of the {top_k:,} rows that the teacher scores highest, {percent(overlap)} are among the "
        f"{top_k:,} that the student scores highest."
    )
    precision = scores.get("precision_at_k")
    if precision is not None:
        sentence += (
            f" Of its own {top_k:,}, the student has {percent(precision.student)} right, the "
            f"teacher {percent(precision.teacher)}."
        )
    if overlap < SMALLEST_OVERLAP:
        words = f"it shares only {percent(overlap)} of its teacher's top {top_k:,}"
        yield Finding(sentence, "amber", words)
    else:
        yield Finding(sentence)


def _about_money(decisions):
    if decisions is None:
        return
    difference = decisions.student_minus_teacher
    if difference is None or not difference.low > 0:
        yield Finding(decisions.sentence)
    elif difference.low > MATERIAL_SHARE * decisions.decisions["teacher"].money_lost.value:
        words = f"its decisions lose over {_in_percent(MATERIAL_SHARE)} more than its teacher's"
        yield Finding(decisions.sentence, "red", words)
    else:
        words = "its decisions lose more than its teacher's"
        yield Finding(decisions.sentence, "amber", words)


def _about_calibration(scores, decisions, metric):
    error = scores.get("calibration_error")
    difference = None if error is None else error.student_minus_teacher
    if metric == "calibration_error":
        difference = None  # the verdict is already about it
    if difference is not None and difference.low > CALIBRATION_MARGIN:
        yield Finding(
            "The student's calibration error is larger than the teacher's by more than "
            f"{CALIBRATION_MARGIN:g}: {number(error.student)} against {number(error.teacher)}, "
            f"difference {number(difference)}.",
            "amber",
            "its probabilities are less well calibrated",
        )
    consequences = {
        "student": "so that its thresholds are off",
        "teacher": "so that the comparison of money is biased against it",
    }
    for role, consequence in consequences.items():
        bands = None if decisions is None else decisions.calibration.get(role)
        if bands is not None and calibration_finding(bands):
            yield Finding(
                f"The {role}'s probabilities are not calibrated, {consequence}: see the notes on "
                "decisions and money.",
                "amber",
                f"the {role}'s probabilities are not calibrated",
            )


def _about_other_scores(scores, settings):
    """Yield a finding if scores that the verdict is not about are lower, in one sentence."""
    judged_already = settings["metric"], "calibration_error"
    others = {
        name: score
        for name, score in scores.items()
        if name not in judged_already and score.student_minus_teacher is not None
    }
    tail = (1 - settings["confidence"]) / 2
    widening = norm.isf(tail / max(len(others), 1)) / norm.isf(tail)
    margin, lower = _margin_of_others(scores, settings), {}
    for name, score in others.items():
        gain = difference = score.student_minus_teacher
        limit = margin
        if not score.greater_is_better:
            gain, limit = -difference, MATERIAL_SHARE * score.teacher
        best = gain.value + widening * (gain.high - gain.value)
        if best < 0 and gain.value < -limit:
            figures = f"{number(score.student)} against {number(score.teacher)}"
            lower[title_of(name)] = f"{figures}, difference {number(difference)}"
    if lower:
        figures = [f"{title} ({each})" for title, each in lower.items()]
        sentence = f"The student is worse than its teacher in {_listed(figures)}."
        which = next(iter(lower)) if len(lower) == 1 else f"{len(lower)} other scores"
        yield Finding(sentence, "amber", f"it is worse than its teacher in {which}")


def _margin_of_others(scores, settings):
    """By how much the student may be worse in a score that is no loss and not the verdict's."""
    score = scores.get(settings["metric"])
    is_loss = score is None or not score.greater_is_better
    return OTHER_MARGIN if is_loss else max(settings["margin"], OTHER_MARGIN)


def _about_segments(segments):
    if not segments or segments[0].student_is_worse is None:
        return
    worse = [segment.condition for segment in segments if segment.student_is_worse]
    if worse:
        listed = "; ".join(worse[:3]) + (f"; and {len(worse) - 3} more" if worse[3:] else "")
        yield Finding(
            f"On {len(worse)} of {len(segments)} segments the student predicts worse than its "
            f"teacher: {listed}.",
            "amber",
            f"it is worse on {len(worse)} of {len(segments)} segments",
        )
    else:
        yield Finding(
            f"On none of {len(segments)} segments is it shown to predict worse than its teacher."
        )


def _about_groups(gaps):
    for attribute in dict.fromkeys(gap.attribute for gap in gaps):
        of_attribute = [gap for gap in gaps if gap.attribute == attribute]
        for finding, size in (("added", "larger"), ("reduced", "smaller")):
            changed = [gap for gap in of_attribute if gap.finding == finding]
            if changed:
                rates = ", ".join(
                    f"{title_of(gap.rate)} ({number(gap.student)}, teacher {number(gap.teacher)})"
                    for gap in changed
                )
                yield Finding(
                    f"Gaps between groups of {attribute} are {size} than the teacher's in {rates}.",
                    "amber" if finding == "added" else "green",
                    f"gaps between groups of {attribute} are {size}",
                )
        if all(gap.finding == "inherited" for gap in of_attribute):
            yield Finding(
                f"Gaps between groups of {attribute} are those of the teacher: no change is shown."
            )
