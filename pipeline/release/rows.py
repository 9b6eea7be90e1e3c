"""One row of a release: its Arrow schema, and how it is made from everything that stands about an item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from pipeline.aggregate.readings import majority_readings
from pipeline.aggregate.scores import labelled
from pipeline.live import LiveItem
from pipeline.policy import counted_reviews, person_marks, reviewer_key
from pipeline.reasons import outcome_code
from schemas.briefs import EVALUATIONS
from schemas.ids import canonical_json, content_digest, content_id
from schemas.parts import MergedEvidence
from schemas.records import Annotation, Consensus, Decision, Judgement, Review
from schemas.taxonomy import Taxonomy

FORMAT = "emotrace-release/3"  # raised when a folder of before would not verify by the rules of now
TEXT, NUMBER, COUNT, YES_NO = pa.string(), pa.float64(), pa.int64(), pa.bool_()


def _struct(**fields: pa.DataType) -> pa.DataType:
    return pa.struct(list(fields.items()))


def _list(of: pa.DataType) -> pa.DataType:
    """A list whose items are named as Parquet names them, so that a file reads back with this very schema."""
    return pa.list_(pa.field("element", of))


def _many(**fields: pa.DataType) -> pa.DataType:
    return _list(_struct(**fields))


SCHEMA = pa.schema(
    {
        # what it is
        "id": TEXT,
        "split": TEXT,
        "group": TEXT,
        "segment_id": TEXT,
        "source_id": TEXT,
        "source_sha256": TEXT,
        "source_name": TEXT,
        "source_start_s": NUMBER,
        "source_end_s": NUMBER,
        "duration_s": NUMBER,
        "segment_rule": TEXT,
        "target": _struct(speaker=TEXT, face_track=TEXT),
        "speaker": TEXT,
        "language": TEXT,
        "license": TEXT,
        "consent": TEXT,
        # what it shows
        "taxonomy": TEXT,
        "label": TEXT,
        "labels": _many(label=TEXT, intensity=NUMBER),
        "soft_labels": _many(label=TEXT, p=NUMBER),
        "dimensions": _many(
            name=TEXT, value=NUMBER, by=TEXT, mean=NUMBER, sd=NUMBER, n=COUNT, low=NUMBER, high=NUMBER
        ),
        "heads": _many(name=TEXT, label=TEXT, by=TEXT, soft_labels=_many(label=TEXT, p=NUMBER)),
        "open_labels": _many(word=TEXT, cell=TEXT, annotators=COUNT, people=COUNT),
        "readings": _struct(text=TEXT, audio=TEXT, visual=TEXT),
        "conflict": TEXT,
        "rationale": _many(n=COUNT, text=TEXT, evidence_ids=_list(TEXT)),
        "evidence": _many(
            id=TEXT, modality=TEXT, cue=TEXT, direction=TEXT, quote=TEXT, description=TEXT, start_s=NUMBER,
            end_s=NUMBER, shown=YES_NO, verdict=TEXT, measured=NUMBER, reference=NUMBER, unit=TEXT,
            person_mark=TEXT, supporters=_list(TEXT),
        ),
        "transcript": TEXT,
        "words": _many(text=TEXT, start_s=NUMBER, end_s=NUMBER, confidence=NUMBER, speaker=TEXT),
        "words_source": TEXT,
        "missing": _many(modality=TEXT, reason=TEXT),
        # how sure it is
        "status": TEXT,
        "reasons": _list(TEXT),
        "uncertainty": _struct(probability=NUMBER, margin=NUMBER, entropy_nats=NUMBER, s_final=NUMBER),
        "outcomes": _many(outcome=TEXT, n=COUNT),
        "annotations": _many(
            annotator=TEXT, provider=TEXT, model=TEXT, model_version=TEXT, variant=COUNT, replicate=COUNT,
            outcome=TEXT, reason=TEXT, label=TEXT, intensity=NUMBER, dimensions=_many(name=TEXT, value=NUMBER),
            heads=_many(name=TEXT, value=TEXT), confidence=NUMBER, prob_source=TEXT,
            probabilities=_many(label=TEXT, p=NUMBER), s_rec=NUMBER, s_rec_source=TEXT,
            s_reason=NUMBER, s_cot=NUMBER, s_final=NUMBER, judgements=_many(
                judge=TEXT, model_version=TEXT, kind=TEXT, replicate=COUNT, outcome=TEXT, reason=TEXT,
                s_rec=NUMBER, s_reason=NUMBER, s_cot=NUMBER, implied_label=TEXT, flags=_list(TEXT),
            ),
            request_digest=TEXT, id=TEXT, digest=TEXT,
        ),
        "human": _struct(reviewers=COUNT, blind=COUNT, revealed=COUNT, adjudications=COUNT),
        # where it comes from
        "provenance": _struct(
            extractors=_many(stage=TEXT, name=TEXT, version=TEXT, weights_digest=TEXT),
            judges=_many(judge=TEXT, provider=TEXT, model=TEXT),
            aggregation=TEXT, aggregation_version=TEXT, policy_version=TEXT,
            sample_id=TEXT, sample_digest=TEXT, consensus_id=TEXT, consensus_digest=TEXT,
            decision_id=TEXT, decision_digest=TEXT,
        ),
    },
    metadata={"format": FORMAT},
)  # fmt: skip


def schema_fields(schema: pa.Schema) -> list[dict[str, Any]]:
    """A schema as plain data: name and type of every column, as it stands in the manifest."""
    return [{"name": field.name, "type": str(field.type), "nullable": field.nullable} for field in schema]


def schema_digest(schema: pa.Schema) -> str:
    return content_digest(schema_fields(schema))


def row_line(row: dict[str, Any]) -> str:
    """The canonical JSON text of a row as Arrow gives it back: what the content hash is made of."""
    return canonical_json(row)


def row_id(segment_id: str, target_key: str) -> str:
    """The id of a row: the same for the same segment and target in every version."""
    return content_id("row", {"segment_id": segment_id, "target": target_key})


def make_row(item: LiveItem, consensus: Consensus, decision: Decision, taxonomy: Taxonomy) -> dict[str, Any]:
    """The row of a decided item, without `split` and `group`, which depend on the other rows.

    Names and paths of the user's machine stay out, but for the file name of the recording.
    """
    sample, segment = item.sample, item.segment
    human = counted_reviews(item.reviews, taxonomy)
    marks = person_marks(consensus, human)
    phases = [review.phase for review in human]
    votes = labelled(item.annotations)
    return {
        "id": row_id(segment.id, sample.target.key),
        "segment_id": segment.id,
        "source_id": item.source.id,
        "source_sha256": item.source.sha256,
        "source_name": _base_name(item.facts.get("name")),
        "source_start_s": segment.source_start_s,
        "source_end_s": segment.source_end_s,
        "duration_s": sample.duration_s,
        "segment_rule": segment.rule,
        "target": sample.target.model_dump(),
        **{key: _text(item.facts.get(key)) for key in ("speaker", "language", "license", "consent")},
        "taxonomy": taxonomy.name,
        "label": decision.label,
        "labels": [score.model_dump() for score in decision.labels],
        "soft_labels": [{"label": label, "p": p} for label, p in sorted(consensus.distribution.items())],
        "dimensions": _dimensions(consensus, decision, taxonomy),
        "heads": _heads(consensus, decision, taxonomy),
        "open_labels": _open_labels(consensus, human, taxonomy),
        "readings": majority_readings(votes, taxonomy).model_dump(),
        "conflict": consensus.conflict,
        "rationale": [step.model_dump() for step in decision.rationale],
        "evidence": [_evidence(claim, marks) for claim in decision.evidence],
        "transcript": " ".join(word.text for word in sample.own_words),
        "words": [word.model_dump() for word in sample.words],
        "words_source": sample.words_source,
        "missing": [{"modality": name, "reason": why} for name, why in sorted(sample.missing.items())],
        "status": decision.status,
        "reasons": list(decision.reasons),
        "uncertainty": _uncertainty(consensus, decision.label),
        "outcomes": [{"outcome": name, "n": n} for name, n in sorted(consensus.outcomes.items())],
        "annotations": [
            _annotation(annotation, consensus, item.judgements.get(annotation.id, ()))
            for annotation in _by_name(item.annotations)
        ],
        "human": {
            "reviewers": len({reviewer_key(review.reviewer) for review in human}),
            "blind": len({reviewer_key(review.reviewer) for review in human if review.phase == "blind"}),
            "revealed": phases.count("revealed"),
            "adjudications": phases.count("adjudication"),
        },
        "provenance": _provenance(item, consensus, decision),
    }


def _dimensions(consensus: Consensus, decision: Decision, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Every declared dimension: the decided value and whose it is, and what the annotators gave."""
    value, mean = decision.dimensions.given, consensus.dimensions.given
    return [
        {
            "name": name,
            "value": value.get(name),
            "by": decision.dimensions_of.get(name),
            "mean": mean.get(name),
            "sd": consensus.spread[name].sd if name in consensus.spread else None,
            "n": consensus.spread[name].n if name in consensus.spread else 0,
            "low": scale.low,
            "high": scale.high,
        }
        for name, scale in taxonomy.dimensions.items()
    ]


def _heads(consensus: Consensus, decision: Decision, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Every declared further question: the decided label and whose it is, and the annotators' distribution."""
    return [
        {
            "name": name,
            "label": decision.heads.get(name),
            "by": decision.heads_of.get(name),
            "soft_labels": [{"label": k, "p": p} for k, p in sorted(consensus.heads.get(name, {}).items())],
        }
        for name in taxonomy.heads
    ]


def _open_labels(consensus: Consensus, human: Iterable[Review], taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """All words of an open vocabulary, of annotators and people; `cell` is null off the wheel."""
    if taxonomy.kind != "open":
        return []
    people: dict[str, set[str]] = {}
    for review in human:
        for score in review.labels:
            people.setdefault(score.label, set()).add(reviewer_key(review.reviewer))
    annotators = {said.word: len(said.supporters) for said in consensus.open_labels}
    return [
        {
            "word": word,
            "cell": taxonomy.cell(word),
            "annotators": annotators.get(word, 0),
            "people": len(people.get(word, ())),
        }
        for word in sorted({*annotators, *people})
    ]


def _uncertainty(consensus: Consensus, label: str | None) -> dict[str, float | None]:
    """`probability` is that of the released label among the annotators, also when a person chose it."""
    own = (score.s_final for score in consensus.scores if score.label == (label or ""))
    rated = [value for value in own if value is not None]
    return {
        "probability": None if label is None else consensus.distribution.get(label, 0.0),
        "margin": consensus.margin,
        "entropy_nats": consensus.entropy,
        "s_final": max(rated, default=None),
    }


def _evidence(claim: MergedEvidence, marks: dict[str, str]) -> dict[str, Any]:
    return {
        **claim.evidence.model_dump(),
        "verdict": claim.verdict,
        "measured": claim.measured,
        "reference": claim.reference,
        "unit": claim.unit or None,
        "person_mark": marks.get(claim.evidence.id),
        "supporters": list(claim.supporters),
    }


def _annotation(
    annotation: Annotation, consensus: Consensus, judgements: Iterable[Judgement]
) -> dict[str, Any]:
    score = next((score for score in consensus.scores if score.annotation_id == annotation.id), None)
    answer = annotation.answer
    return {
        **annotation.model_dump(
            include={"annotator", "provider", "model", "model_version", "variant", "replicate", "outcome"}
        ),
        "reason": outcome_code(annotation) or None,
        "label": None if answer is None or annotation.outcome != "labelled" else answer.primary,
        "intensity": None if answer is None or not answer.labels else answer.labels[0].intensity,
        "dimensions": [] if answer is None else _named(answer.dimensions.given),
        "heads": [] if answer is None else _named(answer.heads),
        "confidence": None if answer is None else answer.confidence,
        "prob_source": annotation.prob_source,
        "probabilities": [{"label": label, "p": p} for label, p in sorted(annotation.probabilities.items())],
        **{
            name: None if score is None else getattr(score, name)
            for name in ("s_rec", "s_rec_source", "s_reason", "s_cot", "s_final")
        },
        "judgements": [
            _judgement(one)
            for one in sorted(judgements, key=lambda one: (one.judge, one.kind, one.replicate))
            if one.kind not in EVALUATIONS
        ],
        "request_digest": annotation.request_digest,
        "id": annotation.id,
        "digest": annotation.digest,
    }


def _judgement(judgement: Judgement) -> dict[str, Any]:
    """What one judge says once; its scores are null where it failed."""
    told = {
        "judge",
        "model_version",
        "kind",
        "replicate",
        "outcome",
        "s_rec",
        "s_reason",
        "s_cot",
        "implied_label",
    }
    return {
        **judgement.model_dump(include=told),
        "reason": judgement.reason or None,
        "flags": list(judgement.flags),
    }


def _named(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def _provenance(item: LiveItem, consensus: Consensus, decision: Decision) -> dict[str, Any]:
    extractors = {(f.stage, f.extractor, f.version, f.weights_digest) for f in item.features}
    judges = {(j.judge, j.provider, j.model) for group in item.judgements.values() for j in group}
    return {
        "extractors": [
            dict(zip(("stage", "name", "version", "weights_digest"), values, strict=True))
            for values in sorted(extractors, key=str)
        ],
        "judges": [
            dict(zip(("judge", "provider", "model"), values, strict=True)) for values in sorted(judges)
        ],
        "aggregation": consensus.method,
        "aggregation_version": consensus.version,
        "policy_version": decision.version,
        "sample_id": item.sample.id,
        "sample_digest": item.sample.digest,
        "consensus_id": consensus.id,
        "consensus_digest": consensus.digest,
        "decision_id": decision.id,
        "decision_digest": decision.digest,
    }


def _by_name(annotations: Iterable[Annotation]) -> list[Annotation]:
    return sorted(annotations, key=lambda a: (a.annotator, a.variant, a.replicate, a.id))


def _base_name(name: Any) -> str | None:
    return None if name is None else PurePosixPath(str(name).replace("\\", "/")).name


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
