"""An annotator's answer text to an outcome. Pure and total: every text gives an outcome, none an exception.

What is mended (and marked `repaired`): code fences, prose around the object, an object within another one,
what Python and JSON5 allow beside JSON, numbers given as text, one item in place of a list, a rationale in prose,
labels, cues, modalities and directions given by a synonym, cues that stand in a description alone, ids and step
numbers out of order, spans up to 0.1 s outside the clip, and lines of text of a model that cannot write JSON.
Nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

from agents.answers.fields import (
    DETAIL_CHARS,
    MAX_ITEMS,
    REFUSAL_IN_WORDS,
    BadAnswerError,
    FieldReader,
    check_language,
    read_object,
)
from agents.answers.freetext import read_claim, read_lines
from agents.answers.jsontext import answer_part
from agents.answers.rationale import extract_steps
from agents.answers.stated import direction_in, id_of, ids_in, modality_in, said
from agents.evidence.claims import restated
from agents.questions.answer_schema import DIRECTIONS, QUOTE
from agents.questions.prompting import is_shown
from schemas.cues import cue_table
from schemas.parts import (
    MODALITIES,
    Dimensions,
    Direction,
    Evidence,
    LabelScore,
    Modality,
    Readings,
    Span,
    Step,
    TrajectoryPoint,
    Triplet,
)
from schemas.records import Sample
from schemas.taxonomy import Taxonomy, is_nothing

PARSER_VERSION = "19"  # raise it when any text is read otherwise: stored answers are then read anew, unpaid
SPAN_TOLERANCE_S = 0.1
REFUSALS = ("refusal", "content_filter")


class ParsedAnnotation(NamedTuple):
    """`reason` is empty for "labelled" and a stable code otherwise; `detail` says it in words."""

    outcome: Literal["labelled", "abstained", "refused", "unparsed"]
    reason: str
    detail: str
    answer: Triplet | None
    repaired: bool


class AbstainedError(Exception):
    """The annotator says that the clip allows no label."""


def parse_annotation(
    text: str,
    finish_reason: str | None,
    sample: Sample,
    taxonomy: Taxonomy,
    *,
    shown: frozenset[str],
    free_text: bool = False,
    language: str | None = None,
) -> ParsedAnnotation:
    """The outcome of an answer; `shown` is what the prompt told (see `prompting.shown_features`).

    `free_text`: the model was allowed to answer in lines (see `freetext`), which counts as repaired.
    `language`: the one that free texts were asked for in; None: any.
    """
    if finish_reason in REFUSALS:
        return ParsedAnnotation("refused", str(finish_reason), text[:DETAIL_CHARS], None, False)
    reader = _Reader(sample, taxonomy, shown)
    try:
        read = reader.object_or_lines if free_text else reader.object
        answer = reader.triplet(read(text, finish_reason))
        reader.stands(score.label for score in answer.labels)
        said = [*(item.description for item in answer.evidence), *(step.text for step in answer.rationale)]
        check_language(said, language)
    except BadAnswerError as error:
        return ParsedAnnotation(outcome_of(error), error.reason, error.detail, None, False)
    except AbstainedError as error:
        return ParsedAnnotation("abstained", "abstained", str(error)[:DETAIL_CHARS], None, reader.repaired)
    return ParsedAnnotation("labelled", "", "", answer, reader.repaired)


def outcome_of(error: BadAnswerError) -> Literal["refused", "unparsed"]:
    return "refused" if error.reason == REFUSAL_IN_WORDS else "unparsed"


def object_or(
    lines: Callable[[str], dict[str, Any]], text: str, finish_reason: str | None, reader: FieldReader
) -> dict[str, Any]:
    """The object of an answer; where there is none, the same from its `lines`, which counts as repaired.

    Raises:
        BadAnswerError: about the object where it was meant as one, or refuses, and has no lines either.
    """
    try:
        return read_object(text, finish_reason, reader)
    except BadAnswerError as error:
        if error.reason not in ("not_json", REFUSAL_IN_WORDS):
            raise
        no_object = error
    try:
        data = lines(text)
    except BadAnswerError as error:
        broken = no_object.reason == REFUSAL_IN_WORDS or answer_part(text).lstrip().startswith("{")
        raise no_object if error.reason == "no_label_line" and broken else error from None
    reader.repaired = True
    return data


class _Reader(FieldReader):
    """The triplet's fields, in the order of the answer."""

    def __init__(self, sample: Sample, taxonomy: Taxonomy, shown: frozenset[str]) -> None:
        super().__init__(taxonomy)
        self.sample, self.shown = sample, shown
        self.unsure = False  # lines of text may leave the confidence out, an object may not

    def object(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        return read_object(text, finish_reason, self)

    def object_or_lines(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        def lines(text: str) -> dict[str, Any]:
            data = read_lines(text, self.taxonomy, duration_s=self.sample.duration_s)
            self.unsure = data["confidence"] is None
            return data

        return object_or(lines, text, finish_reason, self)

    def triplet(self, data: dict[str, Any]) -> Triplet:
        labels = self.labels(data) if self.taxonomy.asks_labels else ()
        dimensions = self.dimensions(data)
        evidence, ids = self.evidence(data)
        if not evidence:
            raise BadAnswerError("no_evidence")
        return Triplet(
            evidence=evidence,
            rationale=self.rationale(data, ids),
            readings=self.readings(data) if self.taxonomy.asks_labels else Readings(),
            labels=labels,
            confidence=None if self.unsure else self.confidence(data),
            dimensions=dimensions,
            heads=self.heads(data),
            trajectory=self.trajectory(data) if self.taxonomy.asks_labels else (),
        )

    def labels(self, data: dict[str, Any]) -> tuple[LabelScore, ...]:
        value = self.listed(data.get("labels"))
        if not isinstance(value, list):
            raise BadAnswerError("wrong_shape", "labels is not a list")
        if not value:
            raise self.nothing(data, "label")
        if len(value) > MAX_ITEMS:
            raise BadAnswerError("too_long", f"{len(value)} items in labels")
        if len(value) > 1 and not self.taxonomy.multi_label:
            raise BadAnswerError("several_labels", f"{len(value)} labels where one is asked for")
        scores: dict[str, LabelScore] = {}
        for item in value:
            if isinstance(item, str):
                item, self.repaired = {"label": item}, True
            if not isinstance(item, dict):
                raise BadAnswerError("wrong_shape", "labels is not a list of objects")
            name = self.label(item.get("label"))
            if name in scores:
                self.repaired = True
                continue
            scores[name] = LabelScore(label=name, intensity=self.maybe_number(item, "intensity", 0, 3))
        return tuple(scores.values())

    def nothing(self, data: dict[str, Any], what: str) -> Exception:
        """What to raise for an answer without a label, or without a number: it abstains only with a reason."""
        if reason := said(data.get("abstain_reason")):
            return AbstainedError(reason)
        return BadAnswerError("wrong_shape", f"no {what}, and no abstain_reason")

    def evidence(self, data: dict[str, Any]) -> tuple[tuple[Evidence, ...], dict[str, tuple[str, ...]]]:
        """The items, renumbered e1.., and what each given id became: several where it claims several cues."""
        items: list[Evidence] = []
        ids: dict[str, tuple[str, ...]] = {}
        told = {"evidence": self.said_claims(data.get("evidence"))}
        for position, item in enumerate(self.objects(told, "evidence"), start=1):
            given = id_of(item.get("id"))
            if given is None:
                raise BadAnswerError("wrong_shape", "an evidence id is not text")
            given = given or f"e{position}"
            if given in ids:
                raise BadAnswerError("wrong_shape", f"evidence id {given} is used twice")
            read = self.evidence_item(item, given)
            claims = restated(read)
            names = tuple(f"e{n}" for n in range(len(items) + 1, len(items) + len(claims) + 1))
            self.repaired |= claims != (read,) or (item.get("id") is not None and names != (item["id"],))
            ids[given] = names
            items += [self.told(claim, name) for claim, name in zip(claims, names, strict=True)]
        return tuple(items), ids

    def told(self, claim: Evidence, name: str) -> Evidence:
        """The claim under its new name, and whether its measurement was shown."""
        cue = None if claim.cue == QUOTE else cue_table().find(claim.cue, claim.direction)
        shown = is_shown(cue, claim.cue, claim.modality, claim.direction, self.shown)
        return claim.model_copy(update={"id": name, "shown": shown})

    def said_claims(self, value: Any) -> Any:
        """Claims that were written as texts as the items that they are (see `freetext.read_claim`)."""
        items = self.listed(value)
        if not isinstance(items, list) or not any(isinstance(item, str) for item in items):
            return items
        self.repaired, duration_s = True, self.sample.duration_s
        return [
            read_claim(item, n, duration_s) if isinstance(item, str) else item
            for n, item in enumerate(items, start=1)
        ]

    def evidence_item(self, item: dict[str, Any], given_id: str) -> Evidence:
        modality = cast(Modality, self.one_of(item, "modality", MODALITIES, modality_in))
        direction = cast(Direction, self.one_of(item, "direction", DIRECTIONS, direction_in, "present"))
        if modality in self.sample.missing:
            raise BadAnswerError("missing_modality_cited", f"{given_id}: {modality}")
        word = self.text(item, "cue")
        cue = None if word == QUOTE else cue_table().find(word, direction)
        name = word if cue is None else cue.cue
        self.repaired |= name != word
        quote = item.get("quote")
        if quote is not None and not isinstance(quote, str):
            raise BadAnswerError("wrong_shape", f"{given_id}: quote is not text")
        span = self.span(item, given_id)
        return Evidence(
            id=given_id,
            modality=modality,
            start_s=span.start_s,
            end_s=span.end_s,
            cue=name,
            direction=direction,
            quote=quote,
            description=self.text(item, "description", ""),
        )

    def span(self, item: dict[str, Any], where: str) -> Span:
        start_s = self.number(item, "start_s", -math.inf, math.inf)
        end_s = self.number(item, "end_s", -math.inf, math.inf)
        if end_s < start_s:
            raise BadAnswerError("wrong_shape", f"{where}: end_s is before start_s")
        last = self.sample.duration_s
        slack = SPAN_TOLERANCE_S + 1e-9
        if start_s < -slack or end_s > last + slack or start_s > last + slack:
            raise BadAnswerError("span_outside_clip", f"{where}: {start_s:g}-{end_s:g} s of {last:g} s")
        inside = Span(start_s=min(max(start_s, 0.0), last), end_s=min(max(end_s, 0.0), last))
        self.repaired |= (inside.start_s, inside.end_s) != (start_s, end_s)
        return inside

    def rationale(self, data: dict[str, Any], ids: dict[str, tuple[str, ...]]) -> tuple[Step, ...]:
        steps: list[Step] = []
        for item in self.objects({"rationale": self.said_steps(data.get("rationale"))}, "rationale"):
            text = self.text(item, "text", "")
            if is_nothing(text):
                self.repaired = True
                continue
            cited = ids_in(item.get("evidence_ids"))
            if cited is None:
                raise BadAnswerError("wrong_shape", "evidence_ids is not a list of ids")
            unknown = [name for name in cited if name not in ids]
            if unknown:
                raise BadAnswerError("bad_step_reference", f"step {len(steps) + 1} cites {unknown[0]}")
            self.repaired |= item.get("n") != len(steps) + 1 or cited != item.get("evidence_ids", [])
            names = tuple(dict.fromkeys(new for name in cited for new in ids[name]))
            steps.append(Step(n=len(steps) + 1, text=text, evidence_ids=names))
        if not steps:
            raise BadAnswerError("empty_rationale")
        return tuple(steps)

    def said_steps(self, value: Any) -> Any:
        """The steps of a rationale that was written as one text, or as a list of texts; else what it is."""
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            return value
        self.repaired = True
        lines = texts if value is texts[0] else [f"Step {n}: {text}" for n, text in enumerate(texts, start=1)]
        return [
            {"n": step.n, "text": step.text, "evidence_ids": list(step.evidence_ids)}
            for step in extract_steps("\n".join(lines))
        ]

    def readings(self, data: dict[str, Any]) -> Readings:
        """A reading of a missing modality says nothing and is dropped."""
        value = data.get("readings") or {}
        if not isinstance(value, dict):
            raise BadAnswerError("wrong_shape", "readings is not an object")
        found = {}
        for modality in ("text", "audio", "visual"):
            if value.get(modality) is None:
                continue
            if modality in self.sample.missing or self.is_none(value[modality]):
                self.repaired = True
                continue
            found[modality] = self.label(value[modality])
        return Readings(**found)

    def is_none(self, reading: Any) -> bool:
        """Whether a reading is "none" in words, where no class is called so."""
        return isinstance(reading, str) and is_nothing(reading) and self.taxonomy.match(reading) is None

    def dimensions(self, data: dict[str, Any]) -> Dimensions:
        value = data.get("dimensions") or {}
        if not isinstance(value, dict):
            raise BadAnswerError("wrong_shape", "dimensions is not an object")
        declared = self.taxonomy.dimensions
        told = {
            name: self.maybe_number(value, name, scale.low, scale.high) for name, scale in declared.items()
        }
        given = {name: number for name, number in told.items() if number is not None}
        if not given and not self.taxonomy.asks_labels:
            raise self.nothing(data, "number")
        return Dimensions.of(given)

    def heads(self, data: dict[str, Any]) -> dict[str, str]:
        """The labels of the further questions; one that is left open is not there."""
        value = data.get("heads") or {}
        if not isinstance(value, dict):
            raise BadAnswerError("wrong_shape", "heads is not an object")
        declared = self.taxonomy.heads
        return {
            n: self.head_label(value[n], head) for n, head in declared.items() if value.get(n) is not None
        }

    def trajectory(self, data: dict[str, Any]) -> tuple[TrajectoryPoint, ...]:
        if data.get("trajectory") is None:
            return ()
        points = []
        for item in self.objects(data, "trajectory"):
            span = self.span(item, "trajectory")
            label = self.label(item.get("label"))
            points.append(TrajectoryPoint(start_s=span.start_s, end_s=span.end_s, label=label))
        return tuple(points)
