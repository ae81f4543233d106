"""The verdict of a report: non-inferior or not, helped or not, by rules that are said."""

from dataclasses import dataclass

from skdistill.report.tables import number, title_of


@dataclass(frozen=True)
class Verdict:
    """The finding, with its rule.

    Attributes
    ----------
    metric : str
        The score it is about.
    margin : float
        By how much the student may be worse than the teacher.
    non_inferior : bool or None
        Whether the student is worse by no more than the margin, for certain: the whole interval
        of the difference lies on the right side of it. None if that cannot be told.
    helped : {"yes", "no", "unclear"} or None
        Whether the student is better ("yes") or worse ("no") than the same student on hard
        labels, the interval of the difference not containing 0; None without a baseline.
    sentences : tuple of str
        The same, and what else matters, in words.
    rule : str
        How it was found.
    """

    metric: str
    margin: float
    non_inferior: bool | None
    helped: str | None
    sentences: tuple
    rule: str


def judge(scores, fidelity, by_class, segments, gaps, decisions, settings):
    """Find the verdict.

    Parameters
    ----------
    scores, fidelity, by_class, segments, gaps, decisions : object
        The parts of a `FidelityReport`.
    settings : dict
        ``metric``, ``margin``, ``top_k``, ``confidence`` and ``n_resamples``.

    Returns
    -------
    verdict : Verdict
        What they amount to.
    """
    metric, margin = settings["metric"], settings["margin"]
    score = scores.get(metric)
    non_inferior, first = _compare_with_teacher(score, metric, margin)
    helped, second = _compare_with_baseline(score, metric)
    sentences = [
        first,
        second,
        *_about_likeness(fidelity, by_class, settings["top_k"]),
        *([] if decisions is None else [decisions.sentence]),
        *_about_segments(segments),
        *_about_groups(gaps),
    ]
    return Verdict(
        metric=metric,
        margin=margin,
        non_inferior=non_inferior,
        helped=helped,
        sentences=tuple(sentences),
        rule=(
            f"Rule: {100 * settings['confidence']:g} % intervals of a paired bootstrap with "
            f"{settings['n_resamples']:,} resamples; a difference counts where the whole interval "
            "lies on one side of the limit"
        ),
    )


def _compare_with_teacher(score, metric, margin):
    """Return whether the student is non-inferior, and a sentence."""
    title = title_of(metric)
    if score is None or score.student_minus_teacher is None:
        return None, (
            f"Whether the student is as good as its teacher in {title} cannot be told from these "
            "rows."
        )
    difference = score.student_minus_teacher
    figures = (
        f"{number(score.student)} against {number(score.teacher)}, difference {number(difference)}"
    )
    gain = difference if score.greater_is_better else -difference
    if gain.low > 0:
        return True, f"The student is better than its teacher in {title}: {figures}."
    if gain.low > -margin:
        return True, (
            f"The student is not worse than its teacher by more than {margin:g} in {title}: "
            f"{figures}."
        )
    if gain.high < -margin:
        return False, (
            f"The student is worse than its teacher by more than {margin:g} in {title}: {figures}."
        )
    return False, (
        f"It is not shown that the student is within {margin:g} of its teacher in {title}: "
        f"{figures}. More rows would narrow the interval."
    )


def _compare_with_baseline(score, metric):
    """Return whether distillation helped, and a sentence."""
    title = title_of(metric)
    if score is None or score.student_minus_baseline is None:
        return None, "Whether distillation helped cannot be told without a baseline on hard labels."
    difference = score.student_minus_baseline
    figures = (
        f"{number(score.student)} against {number(score.baseline)} on hard labels alone, "
        f"difference {number(difference)}"
    )
    gain = difference if score.greater_is_better else -difference
    if gain.low > 0:
        return "yes", f"Distillation helped in {title}: {figures}."
    if gain.high < 0:
        return "no", f"Distillation did harm in {title}: {figures}."
    return "unclear", f"Distillation made no difference that these rows show in {title}: {figures}."


def _about_likeness(fidelity, by_class, top_k):
    if "agreement" in fidelity:
        sentence = (
            f"Both find the same class most probable on {percent(fidelity['agreement'].value)} of "
            "the rows"
        )
        rare = min(by_class, key=lambda each: each.teacher_share)
        if len(by_class) == 2 and rare.teacher_share > 0:
            share = percent(rare.agreement.value)
            sentence += f", and on {share} of those that the teacher finds to be {rare.label}"
        yield f"{sentence}."
    if "top_k_overlap" in fidelity:
        share = percent(fidelity["top_k_overlap"].value)
        yield (
            f"Of the {top_k:,} rows that the teacher scores highest, {share} are among the "
            f"{top_k:,} that the student scores highest."
        )


def _about_segments(segments):
    if not segments or segments[0].student_is_worse is None:
        return
    worse = [segment.condition for segment in segments if segment.student_is_worse]
    if worse:
        listed = "; ".join(worse[:3]) + ("; ..." if len(worse) > 3 else "")
        yield (
            f"On {len(worse)} of {len(segments)} segments the student predicts worse than its "
            f"teacher: {listed}."
        )
    else:
        yield f"On none of {len(segments)} segments is it shown to predict worse than its teacher."


def _about_groups(gaps):
    for attribute in dict.fromkeys(gap.attribute for gap in gaps):
        of_attribute = [gap for gap in gaps if gap.attribute == attribute]
        for finding, words in (("added", "larger"), ("reduced", "smaller")):
            changed = [gap for gap in of_attribute if gap.finding == finding]
            if changed:
                rates = ", ".join(
                    f"{title_of(gap.rate)} ({number(gap.student)}, teacher {number(gap.teacher)})"
                    for gap in changed
                )
                yield (
                    f"Gaps between groups of {attribute} are {words} than the teacher's in {rates}."
                )
        if all(gap.finding == "inherited" for gap in of_attribute):
            yield (
                f"Gaps between groups of {attribute} are those of the teacher: no change is shown."
            )


def percent(share):
    """Write a share with as many digits as tell it from 100 %."""
    return f"{100 * share:.2f} %" if share > 0.99 else f"{100 * share:.1f} %"
