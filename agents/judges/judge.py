"""A judge: rates one annotation, anonymised, reasons first. A judge that fails gives no score, never a zero."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from agents.asking import Asker
from agents.calls.call import Outcome
from agents.judges.families import Kinship, family_of, kinship
from agents.judges.neutral import without_names
from agents.judges.parsing import parse_judgement
from agents.protocol import Request, TextPart
from agents.questions.datatext import short, within
from agents.questions.prompting import fill_judge_prompt, judgement_schema, media_parts, sampling
from agents.questions.serialise import View, sample_view
from schemas.errors import ItemError
from schemas.ids import content_digest
from schemas.parts import Evidence, Step, Triplet, Verdict
from schemas.ports import Receipt
from schemas.records import Annotation, Check, Judgement, Sample
from schemas.settings_models import JudgeSection
from schemas.taxonomy import Taxonomy

RULES_PROVIDER = "cues"  # its judge leaves s_rec open and names flags of its own


class Case(NamedTuple):
    """What a judge is given: an annotation with label, its sample and its evidence check.

    `position`: as the how many-th of its sample's annotations it is asked about, from 1; judgements of rules,
    which an order cannot move, name none. `reference`: the true labels, where they are known; only a judge that
    evaluates is told.
    """

    sample: Sample
    annotation: Annotation
    check: Check
    position: int | None = None
    reference: tuple[str, ...] = ()


def neutral_answer(case: Case) -> Triplet:
    """The answer that is to be judged, with no name in it.

    Raises:
        ItemError: the annotation holds no answer, so there is nothing to judge.
    """
    if case.annotation.answer is None:
        raise ItemError("nothing_to_judge", f"the annotation is {case.annotation.outcome}")
    return without_names(case.annotation, case.sample)


def reasons_view(answer: Triplet, verdicts: Mapping[str, Verdict] | None) -> View:
    """Evidence and rationale as data, without label and readings; `verdicts` None: none are told."""
    evidence = within([_evidence(item, verdicts) for item in answer.evidence])
    steps = within([_step(step) for step in answer.rationale])
    lines = ["<Evidence>", *evidence.lines, "</Evidence>", "<Rationale>", *steps.lines, "</Rationale>"]
    return View.of(lines, evidence=evidence.left_out, rationale=steps.left_out)


def _claim_view(answer: Triplet) -> View:
    """The claimed answer; it stands last, so that the rationale is read before it."""
    readings = answer.readings.model_dump() if answer.labels else {}
    dimensions = {} if answer.labels else answer.dimensions.given
    claimed = within(
        [
            *(f"{name} alone points to: {short(label or 'nothing')}" for name, label in readings.items()),
            *(f"label: {short(score.label)}" for score in answer.labels),
            *(f"{name}: {short(label)}" for name, label in answer.heads.items()),
            *(f"{name}: {value:g}" for name, value in dimensions.items()),
        ]
    )
    return View.of(["<Claimed-Answer>", *claimed.lines, "</Claimed-Answer>"], claimed=claimed.left_out)


def _step(step: Step) -> str:
    return f"Step {step.n}: {short(step.text)} [{', '.join(step.evidence_ids)}]"


def _evidence(item: Evidence, verdicts: Mapping[str, Verdict] | None) -> str:
    quote = f' "{short(item.quote)}"' if item.quote else ""
    line = (
        f"{item.id} {item.modality} {item.start_s:.2f}-{item.end_s:.2f} s, {short(item.cue)} {item.direction}"
    )
    line += f"{quote}: {short(item.description)}"
    if verdicts is None:
        return line
    verdict = verdicts.get(item.id)
    if verdict is None:
        return f"{line} | not checked"
    because = f" ({short(verdict.reason)})" if verdict.reason else ""
    return f"{line} | {verdict.verdict}{because}{', shown' if verdict.shown else ''}"


class Juror(Asker[Case, Judgement]):
    """What all kinds of questions to a judge share: who may be rated, and what of the asking is recorded."""

    record_class = Judgement
    section: JudgeSection
    kind: Literal["rating", "second_look", "mme_emotion"]

    def __init__(
        self,
        section: JudgeSection,
        taxonomy: Taxonomy,
        *,
        seed: int = 0,
        families: Mapping[str, str | None] | None = None,
        languages: Mapping[str, str] | None = None,
    ) -> None:
        """`families`: annotator -> its family, None: unknown; one that is not named there is unknown, too.

        `languages`: annotator -> code of the language in which it writes; one that is not named writes English.
        """
        super().__init__(section, taxonomy)
        self.seed, self.families, self.languages = seed, families or {}, languages or {}
        self.family = family_of(section)
        self._turned: dict[tuple[str, ...], Taxonomy] = {}

    def kin(self, case: Case) -> Kinship:
        return kinship(self.family, self.families.get(case.annotation.annotator))

    def unasked(self, case: Case) -> str | None:
        """Its own family, where `self_preference` refuses that."""
        if self.section.self_preference != "refuse" or self.kin(case) == "other_family":
            return None
        return f"it does not rate its own model family ({self.kin(case)})"

    def label_order(self, item: Case, replicate: int) -> tuple[str, ...]:
        """In which order the question names the labels: one of all turns of their list, there and back.

        So each label stands at each place equally often. Drawn from seed, answer and replicate.
        """
        if not self.model.wire or not self.taxonomy.labels:
            return ()
        names, answer = self.taxonomy.names, neutral_answer(item).model_dump(mode="json")
        drawn = int(content_digest([self.seed, self.kind, replicate, answer])[:12], 16)
        turn, back = divmod(drawn % (2 * len(names)), 2)
        turned = names[turn:] + names[:turn]
        return turned[::-1] if back else turned

    def turned(self, order: tuple[str, ...]) -> Taxonomy:
        """The taxonomy with its labels in this order; as it is where there are none to choose from."""
        if not order:
            return self.taxonomy
        if order not in self._turned:
            labels = {name: self.taxonomy.labels[name] for name in order}
            fields = {name: getattr(self.taxonomy, name) for name in Taxonomy.model_fields}
            self._turned[order] = Taxonomy.model_validate({**fields, "labels": labels})
        return self._turned[order]

    def record(self, item: Case, request: Request, outcome: Outcome) -> Judgement:
        made = super().record(item, request, outcome)
        kin = self.kin(item) if self.model.wire else "other_family"
        flags = {*made.flags, *(() if kin == "other_family" else (kin,))}
        noted = {
            "kind": self.kind,
            "flags": tuple(sorted(flags)),
            "label_order": self.label_order(item, request.replicate),
            "position": None if self.section.provider == RULES_PROVIDER else item.position,
            "reference": item.reference if self.kind == "mme_emotion" else (),
            "model_version": outcome.response.model_version if outcome.response else None,
        }
        return Judgement.model_validate({**dict(made), **noted})

    def asked(self, system: str, text: str, replicate: int, **more: Any) -> Request:
        """The request of a judge that is a model; `more` are fields of it."""
        section = self.section
        return Request(
            purpose="judge",
            model=section.model,
            deployment=self.model.deployment,
            system=system,
            sampling=sampling(section, replicate),
            replicate=replicate,
            **{"parts": (TextPart(text=text),), **more},
        )

    def _about(self, item: Case) -> dict[str, str]:
        return {"annotation_id": item.annotation.id, "judge": self.section.name}

    @abstractmethod
    def request(self, item: Case, repetition: int = 0) -> Request: ...


class Judge(Juror):
    """Rates annotations with a model; with the provider "cues" by rules."""

    kind = "rating"

    def request(self, item: Case, repetition: int = 0) -> Request:
        """Neither the annotator nor its model is named in a question to a model.

        Raises:
            ItemError: a model is to rate an annotation without an answer.
        """
        if not self.model.wire:
            return self._keyless_request(item, repetition)
        answer = neutral_answer(item)
        verdicts = {verdict.evidence_id: verdict for verdict in item.check.verdicts}
        view = sample_view(item.sample, measurements="text" in self.section.takes)
        view = view.then(reasons_view(answer, verdicts)).then(_claim_view(answer))
        taxonomy = self.turned(self.label_order(item, repetition))
        system, fenced = fill_judge_prompt("judge.md", view.text, taxonomy, self.section.answer_language)
        parts = (TextPart(text=fenced), *media_parts(item.sample, self.section))
        schema = judgement_schema()
        return self.asked(
            system, fenced, repetition, parts=parts, answer_schema=schema, left_out=view.left_out
        )

    def _keyless_request(self, item: Case, replicate: int) -> Request:
        """The question to a judge that reads the records themselves."""
        records = (item.sample, item.annotation, item.check)
        digests = [text for record in records for text in (record.id, record.digest)]
        return Request(
            purpose="judge",
            model=self.section.model,
            system="",
            parts=(),
            answer_schema=judgement_schema(),
            sampling=sampling(self.section, replicate),
            replicate=replicate,
            local_inputs=(*digests, self.taxonomy.digest, *self.model.own_inputs),
            sample=item.sample,
            annotation=item.annotation,
            check=item.check,
            taxonomy=self.taxonomy,
        )

    def _read(self, item: Case, answers: Sequence[Receipt]) -> dict[str, Any]:  # noqa: ARG002 - as declared
        (receipt,) = answers
        by_rules = self.section.provider == RULES_PROVIDER
        parsed = parse_judgement(
            receipt.raw, receipt.finish_reason, self.taxonomy, by_rules=by_rules, language=self.written_in
        )
        return parsed._asdict()
