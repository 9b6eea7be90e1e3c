"""Evidence of several annotators merged into one list, and the rationale that stands on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.aggregate.scores import current_check
from pipeline.policy import standing_steps
from schemas.cues import cue_table
from schemas.parts import Evidence, MergedEvidence, Span, Step, Verdict, VerdictName
from schemas.records import Annotation, Check

MIN_IOU = 0.5  # claims whose spans overlap less than this are two claims
# A claim that one of its forms contradicts is disputed and must not carry a rationale, so the worst wins.
VERDICT_ORDER: tuple[VerdictName, ...] = ("contradicted", "supported", "not_measurable", "outside_clip")


@dataclass(frozen=True)
class Claim:
    """One annotator's evidence item with its verdict; `key` holds what claims must share to be the same."""

    annotation_id: str
    annotator: str
    item: Evidence
    verdict: Verdict
    key: tuple[str, ...]


@dataclass(frozen=True)
class Merged:
    """A merged claim, and which evidence items (annotation id, evidence id) went into it."""

    released: MergedEvidence
    members: frozenset[tuple[str, str]]


def temporal_iou(a: Span, b: Span) -> float:
    """Intersection over union of two time spans; 1 for two equal instants, 0 for two different ones."""
    inside = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    around = max(a.end_s, b.end_s) - min(a.start_s, b.start_s)
    if around == 0:
        return 1.0
    return max(0.0, inside) / around


def merge_evidence(ranked: Sequence[Annotation], checks: Sequence[Check]) -> list[Merged]:
    """Merge the evidence of annotations (best first) by modality, cue, direction, quote and overlap.

    A claim joins the first group whose first claim it overlaps with IoU >= MIN_IOU. The group's verdict is the
    first of VERDICT_ORDER that one of its claims has; the span and words are those of the best annotation
    with this verdict, so that the verdict is about the span beside it. Items are ordered by time and named
    e1, e2, ... anew.
    """
    groups: list[list[Claim]] = []
    for claim in _claims(ranked, checks):
        for group in groups:
            if group[0].key == claim.key and temporal_iou(group[0].item, claim.item) >= MIN_IOU:
                group.append(claim)
                break
        else:
            groups.append([claim])
    shown_as = [(_representative(group), group) for group in groups]
    shown_as.sort(key=lambda pair: (pair[0].item.start_s, pair[0].item.end_s, pair[0].key))
    return [_merged(f"e{n}", claim, group) for n, (claim, group) in enumerate(shown_as, start=1)]


def _claims(ranked: Sequence[Annotation], checks: Sequence[Check]) -> list[Claim]:
    by_annotation = {check.annotation_id: check for check in checks}
    claims = []
    for annotation in ranked:
        check = current_check(annotation, by_annotation)
        verdicts = {} if check is None else {verdict.evidence_id: verdict for verdict in check.verdicts}
        for item in () if annotation.answer is None else annotation.answer.evidence:
            verdict = verdicts.get(item.id, Verdict(evidence_id=item.id, verdict="not_measurable"))
            claims.append(Claim(annotation.id, annotation.annotator, item, verdict, _key(item)))
    return claims


def _key(item: Evidence) -> tuple[str, ...]:
    """What two claims must share to be the same claim, time aside: "pitch_high down" is "pitch_low present"."""
    table = cue_table()
    cue = table.find(item.cue, item.direction)
    claimed = None if cue is None else table.claimed(cue, item.direction)
    quote = re.sub(r"\W+", " ", item.quote or "").strip().casefold()
    if claimed is None:
        return item.modality, item.cue.casefold(), item.direction, quote
    return item.modality, claimed.cue, "absent" if item.direction == "absent" else "present", quote


def _representative(group: Sequence[Claim]) -> Claim:
    # Of several with this verdict, min keeps the first: the best.
    return min(group, key=lambda claim: VERDICT_ORDER.index(claim.verdict.verdict))


def _merged(name: str, claim: Claim, group: Sequence[Claim]) -> Merged:
    return Merged(
        MergedEvidence(
            evidence=claim.item.model_copy(update={"id": name}),
            verdict=claim.verdict.verdict,
            supporters=tuple(sorted({member.annotator for member in group})),
            measured=claim.verdict.measured,
            reference=claim.verdict.reference,
            unit=claim.verdict.unit,
            reason=claim.verdict.reason,
        ),
        frozenset((member.annotation_id, member.item.id) for member in group),
    )


def released_rationale(best: Annotation, merged: Sequence[Merged]) -> tuple[Step, ...]:
    """The best annotation's steps, citing the merged items; a step that cites a contradicted one is dropped."""
    names = {
        item_id: item.released.evidence.id
        for item in merged
        for annotation_id, item_id in item.members
        if annotation_id == best.id
    }
    contradicted = {item.released.evidence.id for item in merged if item.released.verdict == "contradicted"}
    steps = () if best.answer is None else best.answer.rationale
    renamed = [
        step.model_copy(
            update={"evidence_ids": tuple(dict.fromkeys(names[i] for i in step.evidence_ids if i in names))}
        )
        for step in steps
    ]
    return standing_steps(renamed, contradicted)
