"""A judge: rates one annotation, anonymised, reasons first. A judge that fails gives no score, never a zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from agents.asking import Asker
from agents.parsing import parse_judgement
from agents.prompting import fill_judge_prompt, judgement_schema, media_parts, sampling
from agents.protocol import Request, TextPart
from agents.serialise import clean, sample_text
from schemas.errors import ItemError
from schemas.parts import Evidence, Triplet, Verdict
from schemas.ports import Receipt
from schemas.records import Annotation, Check, Judgement, Sample
from schemas.settings_models import ModelSection
from schemas.taxonomy import Taxonomy

RULES_PROVIDER = "cues"  # its judge leaves s_rec open and names flags of its own


class Case(NamedTuple):
    """What a judge is given: an annotation with label, its sample and its evidence check."""

    sample: Sample
    annotation: Annotation
    check: Check


def judgement_request(
    sample: Sample,
    annotation: Annotation,
    check: Check,
    taxonomy: Taxonomy,
    section: ModelSection,
    *,
    replicate: int = 0,
    deployment: str = "",
) -> Request:
    """The question put to a judge; neither the annotator nor its model is named in it.

    Raises:
        ItemError: the annotation holds no answer, so there is nothing to rate.
    """
    if annotation.answer is None:
        raise ItemError("nothing_to_judge", f"the annotation is {annotation.outcome}")
    data = sample_text(sample, measurements="text" in section.takes)
    system, fenced = fill_judge_prompt(f"{data}\n{_annotation_text(annotation.answer, check)}", taxonomy)
    return Request(
        purpose="judge",
        model=section.model,
        deployment=deployment,
        system=system,
        parts=(TextPart(text=fenced), *media_parts(sample, section)),
        answer_schema=judgement_schema(taxonomy),
        sampling=sampling(section, replicate),
        replicate=replicate,
    )


def keyless_judgement_request(
    case: Case,
    taxonomy: Taxonomy,
    section: ModelSection,
    *,
    replicate: int = 0,
    inputs: tuple[str, ...] = (),
) -> Request:
    """The question put to a judge that reads the records themselves; `inputs` is what its provider brings."""
    digests = [text for record in case for text in (record.id, record.digest)]
    return Request(
        purpose="judge",
        model=section.model,
        system="",
        parts=(),
        answer_schema=judgement_schema(taxonomy),
        sampling=sampling(section, replicate),
        replicate=replicate,
        local_inputs=(*digests, taxonomy.digest, *inputs),
        **case._asdict(),
        taxonomy=taxonomy,
    )


def _annotation_text(answer: Triplet, check: Check) -> str:
    """The annotation as data, its claimed label last, so that the rationale is read before it."""
    verdicts = {verdict.evidence_id: verdict for verdict in check.verdicts}
    lines = [
        "<Evidence>",
        *(_evidence(item, verdicts.get(item.id)) for item in answer.evidence),
        "</Evidence>",
    ]
    lines += ["<Rationale>"]
    lines += [
        f"Step {step.n}: {clean(step.text)} [{', '.join(step.evidence_ids)}]" for step in answer.rationale
    ]
    lines += ["</Rationale>", "<Claimed-Answer>"]
    readings = answer.readings.model_dump() if answer.labels else {}
    lines += [f"{modality} alone points to: {label or 'nothing'}" for modality, label in readings.items()]
    lines += [f"label: {score.label}" for score in answer.labels]
    lines += [f"{name}: {label}" for name, label in answer.heads.items()]
    lines += (
        [] if answer.labels else [f"{name}: {value:g}" for name, value in answer.dimensions.given.items()]
    )
    return "\n".join([*lines, "</Claimed-Answer>"])


def _evidence(item: Evidence, verdict: Verdict | None) -> str:
    quote = f' "{clean(item.quote)}"' if item.quote else ""
    line = (
        f"{item.id} {item.modality} {item.start_s:.2f}-{item.end_s:.2f} s, {clean(item.cue)} {item.direction}"
    )
    line += f"{quote}: {clean(item.description)}"
    if verdict is None:
        return f"{line} | not checked"
    because = f" ({clean(verdict.reason)})" if verdict.reason else ""
    return f"{line} | {verdict.verdict}{because}{', shown' if verdict.shown else ''}"


class Judge(Asker[Case, Judgement]):
    """Rates annotations with a model; with the provider "cues" by rules."""

    record_class = Judgement

    def request(self, item: Case, repetition: int = 0) -> Request:
        """Raises ItemError when a model is to rate an annotation without an answer."""
        model, section = self.model, self.section
        if model.wire:
            return judgement_request(
                *item, self.taxonomy, section, replicate=repetition, deployment=model.deployment
            )
        return keyless_judgement_request(
            item, self.taxonomy, section, replicate=repetition, inputs=model.own_inputs
        )

    def _about(self, item: Case) -> dict[str, str]:
        return {"annotation_id": item.annotation.id, "judge": self.section.name}

    def _read(self, item: Case, answers: Sequence[Receipt]) -> dict[str, Any]:
        (receipt,) = answers
        by_rules = self.section.provider == RULES_PROVIDER
        parsed = parse_judgement(receipt.raw, receipt.finish_reason, self.taxonomy, by_rules=by_rules)
        flags = {*parsed.flags, *_flags(item.annotation, parsed.implied_label, self.taxonomy)}
        return {**parsed._asdict(), "flags": tuple(sorted(flags))}


def _flags(annotation: Annotation, implied_label: str | None, taxonomy: Taxonomy) -> tuple[str, ...]:
    """The rationale leads to another label than the one that is claimed: right for wrong reasons, or wrong."""
    claimed = annotation.answer.primary if annotation.answer else None
    return ("label_mismatch",) if taxonomy.differ(implied_label, claimed) else ()
