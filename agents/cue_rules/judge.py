"""The keyless judge: grounding, structure and coverage of an annotation by rule. It never rates the label.

`s_rec` is left to the agreement of the annotators. A claim whose measurement was shown never raises a score,
neither by itself nor by what cites it: repeating what one was given proves nothing, but contradicting it does.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.parts import Triplet, Verdict
from schemas.records import Annotation, Check, Sample
from schemas.taxonomy import Taxonomy, stands_in

VERSION = "2"  # bumped when a rule changes a rating
MIN_STEPS = 2
NEUTRAL_GROUNDING = 0.5  # nothing proved, nothing disproved
MISMATCH_FACTOR = 0.5  # the reasons speak for another label


class RuleRating(NamedTuple):
    """`reasons` are written before the scores are made; all scores are in [0, 1]."""

    reasons: tuple[str, ...]
    s_reason: float
    s_cot: float
    implied_label: str | None
    flags: tuple[str, ...]


def rate(sample: Sample, annotation: Annotation, check: Check, taxonomy: Taxonomy) -> RuleRating:
    """Rate one annotation.

    s_reason = mean of grounding and logic, halved when the rationale speaks for another label.
    s_cot = mean of coverage of the available modalities and completeness of the chain.

    Raises:
        ValueError: the annotation holds no answer; a failure is no 0.
    """
    answer = annotation.answer
    if answer is None:
        raise ValueError(f"nothing to rate: the annotation is {annotation.outcome}")
    refuted = {v.evidence_id for v in check.verdicts if v.verdict in ("contradicted", "outside_clip")}
    grounded, logical = grounding(check.verdicts), logic(answer, refuted, taxonomy, shown=_shown(check))
    covered, chained = coverage(sample, answer, refuted | _shown(check)), chain(answer)
    implied = implied_label(answer, taxonomy)
    s_reason = (grounded + logical) / 2
    if taxonomy.differ(implied, answer.primary):
        s_reason *= MISMATCH_FACTOR
    return RuleRating(
        reasons=(
            _told(check.verdicts),
            f"Grounding {grounded:.2f}; steps that rest on standing evidence and conclude: {logical:.2f}.",
            f"Available modalities read or cited: {covered:.2f}; completeness of the chain: {chained:.2f}.",
            f"The rationale speaks for {implied or 'no single label'}; the answer is {_answered(answer)}.",
        ),
        s_reason=round(s_reason, 4),
        s_cot=round((covered + chained) / 2, 4),
        implied_label=implied,
        flags=_flags(sample, answer, check.verdicts, implied, taxonomy),
    )


def grounding(verdicts: tuple[Verdict, ...]) -> float:
    """(independent support + 0.5) / (independent support + refuted + 1).

    0.5 when nothing speaks for or against; claims that were shown and hold, or cannot be measured, count for
    nothing; contradicted claims and spans outside the clip lower it, shown or not.
    """
    support = sum(v.verdict == "supported" and not v.shown for v in verdicts)
    refuted = sum(v.verdict in ("contradicted", "outside_clip") for v in verdicts)
    return (support + NEUTRAL_GROUNDING) / (support + refuted + 1)


def _shown(check: Check) -> set[str]:
    return {v.evidence_id for v in check.verdicts if v.shown}


def logic(answer: Triplet, refuted: set[str], taxonomy: Taxonomy, *, shown: set[str]) -> float:
    """Mean of how far the steps rest on evidence, and whether the last step concludes.

    A step rests (1) on a claim that stands and was not shown, not at all (0) on refuted ones alone; one that
    cites nothing, or only what was shown, is between (0.5): nothing is proved, nothing disproved.
    """
    if not answer.rationale:
        return 0.0
    known = {item.id for item in answer.evidence} - refuted - shown
    resting = sum(_rests(step.evidence_ids, known, refuted) for step in answer.rationale)
    if answer.primary is None:  # a step need not repeat a number
        return resting / len(answer.rationale)
    concludes = answer.primary in mentioned(answer.rationale[-1].text, taxonomy, answer)
    return (resting / len(answer.rationale) + concludes) / 2


def _rests(cited: tuple[str, ...], known: set[str], refuted: set[str]) -> float:
    if not known.isdisjoint(cited):
        return 1.0
    return NEUTRAL_GROUNDING if refuted.isdisjoint(cited) else 0.0


def coverage(sample: Sample, answer: Triplet, uncounted: set[str]) -> float:
    """Share of the available modalities that have a reading or evidence that counts; 0 when none is available."""
    there = [modality for modality in ("text", "audio", "visual") if modality not in sample.missing]
    used = {item.modality for item in answer.evidence if item.id not in uncounted}
    read = [m for m in there if m in used or getattr(answer.readings, m) is not None]
    return len(read) / len(there) if there else 0.0


def chain(answer: Triplet) -> float:
    """Mean of: two steps at least, steps numbered in order, no evidence item that no step uses.

    The last is 1 / (1 + unused items): further items that are used never raise it.
    """
    cited = {e for step in answer.rationale for e in step.evidence_ids}
    unused = sum(item.id not in cited for item in answer.evidence)
    steps = answer.rationale
    return (
        float(len(steps) >= MIN_STEPS)
        + float(bool(steps) and [step.n for step in steps] == list(range(1, len(steps) + 1)))
        + 1 / (1 + unused)
    ) / 3


def implied_label(answer: Triplet, taxonomy: Taxonomy) -> str | None:
    """The label that the reasons name, without a look at the labels: the last step that names exactly one,
    else the one that all readings share."""
    for step in reversed(answer.rationale):
        named = mentioned(step.text, taxonomy, answer)
        if len(named) == 1:
            return next(iter(named))
    readings = {r for r in (answer.readings.text, answer.readings.audio, answer.readings.visual) if r}
    return readings.pop() if len(readings) == 1 else None


def mentioned(text: str, taxonomy: Taxonomy, answer: Triplet) -> set[str]:
    """Classes whose name or a verbalizer stands in `text` as whole words, not negated right before.

    Of an open vocabulary the labels and readings of the answer itself are looked for.
    """
    if taxonomy.names:
        return taxonomy.named_in(text)
    return {name for name in _own_words(answer) if stands_in(name, text)}


def _own_words(answer: Triplet) -> list[str]:
    """All labels that an answer uses."""
    read = (answer.readings.text, answer.readings.audio, answer.readings.visual)
    return list(dict.fromkeys([score.label for score in answer.labels] + [name for name in read if name]))


def _answered(answer: Triplet) -> str:
    numbers = (f"{name} {value:g}" for name, value in answer.dimensions.given.items())
    return answer.primary or ", ".join(numbers)


def _told(verdicts: tuple[Verdict, ...]) -> str:
    counts = [
        f"{sum(v.verdict == name for v in verdicts)} {name.replace('_', ' ')}"
        for name in ("supported", "contradicted", "not_measurable", "outside_clip")
    ]
    shown = sum(v.shown for v in verdicts)
    return f"Of {len(verdicts)} claims: {', '.join(counts)}; {shown} had been shown to the annotator."


def _flags(
    sample: Sample, answer: Triplet, verdicts: tuple[Verdict, ...], implied: str | None, taxonomy: Taxonomy
) -> tuple[str, ...]:
    """Stable names of what a reviewer should look at, sorted."""
    ids = {item.id for item in answer.evidence}
    cited = [e for step in answer.rationale for e in step.evidence_ids]
    available = [m for m in ("text", "audio", "visual") if m not in sample.missing]
    used = {item.modality for item in answer.evidence}
    flags = {
        "contradicted_evidence": any(v.verdict == "contradicted" for v in verdicts),
        "outside_clip": any(v.verdict == "outside_clip" for v in verdicts),
        "no_evidence": not answer.evidence,
        "uncited_step": any(not step.evidence_ids for step in answer.rationale),
        "unknown_evidence_id": any(e not in ids for e in cited),
        "single_modality": len(available) > 1 and len(used) <= 1,
        "label_mismatch": taxonomy.differ(implied, answer.primary),
    }
    return tuple(sorted(name for name, there in flags.items() if there))
