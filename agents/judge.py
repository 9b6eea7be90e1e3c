"""A judge: rates one annotation, anonymised, reasons first. A judge that fails gives no score, never a zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from agents.annotator import Asked
from agents.engine import Job, Outcome, ask_all
from agents.parsing import PARSER_VERSION, parse_judgement
from agents.prompting import fill_judge_prompt, judgement_schema, media_parts, sampling
from agents.protocol import MediaLoader, Provider, Request, TextPart
from agents.serialise import clean, sample_text
from schemas.errors import ItemError
from schemas.parts import Evidence, Triplet, Verdict
from schemas.ports import Clock, Journal
from schemas.records import Annotation, Check, Judgement, Sample
from schemas.settings import JudgeSection
from schemas.taxonomy import Taxonomy

KEYLESS, KEYLESS_MODEL = "cues", "rules"  # the provider and model of the judge that is no model


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
    section: JudgeSection,
    *,
    replicate: int = 0,
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
        system=system,
        parts=(TextPart(text=fenced), *media_parts(sample, section)),
        answer_schema=judgement_schema(taxonomy),
        sampling=sampling(section, replicate),
        replicate=replicate,
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
    readings = answer.readings.model_dump()
    lines += [f"{modality} alone points to: {label or 'nothing'}" for modality, label in readings.items()]
    lines += [f"label: {score.label}" for score in answer.labels]
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


class Judge(Asked):
    """Rates annotations with one model; with the provider "cues" by rules, without a model."""

    def __init__(self, section: JudgeSection, taxonomy: Taxonomy) -> None:
        super().__init__(section)
        self.section, self.taxonomy = section, taxonomy

    def request(self, case: Case, replicate: int = 0) -> Request:
        """The question. A judge without a wire reads the records, so their digests are part of the question."""
        request = judgement_request(*case, self.taxonomy, self.section, replicate=replicate)
        if self.wire:
            return request
        digests = [text for record in case for text in (record.id, record.digest)]
        update = {
            "system": "",
            "parts": (),
            "local_inputs": (*digests, self.taxonomy.digest, *self._rules()),
            "sample": case.sample,
            "annotation": case.annotation,
            "check": case.check,
        }
        return request.model_copy(update=update)

    def _rules(self) -> tuple[str, ...]:
        """What the answer depends on beside the records: the version of the rules, or a script."""
        if self.section.provider != KEYLESS:
            return self.own_inputs
        from agents.judge_rules import VERSION

        return (f"rules:{VERSION}",)

    def question_id(self, case: Case, replicate: int = 0) -> str:
        """The id that this judgement has or would get; nothing is asked."""
        return Judgement(**self._question(case, self.request(case, replicate)), outcome="failed").id

    def by_rules(self, case: Case, request: Request) -> Judgement:
        """The keyless judge's rating; it leaves s_rec to the agreement of the annotators."""
        from agents.judge_rules import rate

        rating = rate(case.sample, case.annotation, case.check, self.taxonomy)
        return Judgement(**self._question(case, request), outcome="scored", **rating._asdict())

    def judgement(self, case: Case, request: Request, outcome: Outcome) -> Judgement:
        """The record of an outcome; an error is the outcome "failed"."""
        question = self._question(case, request)
        if outcome.response is None:
            error = outcome.error
            reason, detail = (error.code, error.message) if error else ("no_response", "")
            return Judgement(**question, outcome="failed", reason=reason, detail=detail)
        receipt = outcome.response
        parsed = parse_judgement(receipt.raw, receipt.finish_reason, self.taxonomy)
        flags = _flags(case.annotation, parsed.implied_label) if parsed.outcome == "scored" else ()
        return Judgement(**question, **parsed._asdict(), flags=flags, usage=receipt.usage)

    def _question(self, case: Case, request: Request) -> dict[str, Any]:
        return {
            "annotation_id": case.annotation.id,
            "request_digest": request.digest,
            "judge": self.section.name,
            "provider": self.provider_name,
            "model": self.section.model,
            "replicate": request.replicate,
            "parser_version": PARSER_VERSION,
        }


def _flags(annotation: Annotation, implied_label: str | None) -> tuple[str, ...]:
    """The rationale leads to another label than the one that is claimed: right for wrong reasons, or wrong."""
    claimed = annotation.answer.primary if annotation.answer else None
    return ("label_mismatch",) if implied_label not in (None, claimed) else ()


async def judge_all(
    triples: Sequence[tuple[Judge, Case, int]],
    *,
    journal: Journal | None,
    clock: Clock,
    load: MediaLoader,
    on_judgement: Callable[[Judgement], None],
    seed: int = 0,
) -> None:
    """Ask every (judge, case, replicate); `on_judgement` gets each record as it comes.

    Raises:
        UserError: a key is missing, or the budget is reached (finished judgements were handed over before).
    """
    for judge, case, replicate in triples:
        if judge.section.provider == KEYLESS:
            on_judgement(judge.by_rules(case, judge.request(case, replicate)))
    wired = [triple for triple in triples if triple[0].section.provider != KEYLESS]
    async with AsyncExitStack() as stack:
        providers: dict[int, Provider] = {}
        for judge in {id(judge): judge for judge, _, _ in wired}.values():
            providers[id(judge)] = judge.open_provider()
            stack.push_async_callback(providers[id(judge)].close)

        def jobs() -> Iterator[tuple[tuple[Judge, Case, Request], Job]]:
            for judge, case, replicate in wired:
                request = judge.request(case, replicate)
                yield (judge, case, request), Job(request, providers[id(judge)], judge.section)

        def record(item: tuple[Judge, Case, Request], outcome: Outcome) -> None:
            judge, case, request = item
            on_judgement(judge.judgement(case, request, outcome))

        await ask_all(jobs(), journal=journal, clock=clock, load=load, on_outcome=record, seed=seed)
