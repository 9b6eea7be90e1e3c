"""A small project in a real store: clips of several speakers, three annotators, a judge, checks, decisions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.annotators.annotator import Annotator
from agents.answers.parsing import PARSER_VERSION
from agents.judges.judge import Case
from agents.judges.panel import panel
from pipeline.aggregate.base import Ballot, combine
from pipeline.aggregate.judge_weighted import weigh
from pipeline.live import live_items
from pipeline.policy import decide
from schemas.ids import content_digest
from schemas.parts import (
    AudioFacts,
    ClaimMark,
    Dimensions,
    Evidence,
    LabelScore,
    MediaFacts,
    Readings,
    Step,
    Target,
    Triplet,
    Verdict,
    VerdictName,
    Word,
)
from schemas.record import Record
from schemas.records import (
    Annotation,
    Check,
    Consensus,
    Decision,
    Features,
    Judgement,
    Review,
    Sample,
    Segment,
    Source,
)
from schemas.settings import PolicySection, ReleaseSection, Settings
from schemas.settings_models import AnnotatorSection
from schemas.store import Store, StoredPath
from schemas.taxonomy import Taxonomy, load_taxonomy

NAMES = ("facial", "lexicon", "prosody")
TAXONOMY: Taxonomy = load_taxonomy("ekman7")
TARGET = Target()
SCRIPT = {"answers": [{"answer": "nothing is asked"}]}


def settings(**release: Any) -> Settings:
    """Settings under which three agreeing annotators are accepted, and nothing is drawn at random."""
    return Settings(
        annotators=tuple(
            AnnotatorSection(name=name, provider="scripted", model=f"model-of-{name}", options=SCRIPT)
            for name in NAMES
        ),
        policy=PolicySection(random_review_share=0.0),
        release=ReleaseSection(**{"license": "cc-by-4.0", "language": "en", **release}),
    )


def evidence(name: str, cue: str = "AU12", start_s: float = 0.5, end_s: float = 1.5, **rest: Any) -> Evidence:
    modality = "text" if cue == "quote" else "visual" if cue.startswith("AU") else "audio"
    return Evidence(id=name, modality=modality, cue=cue, start_s=start_s, end_s=end_s, **rest)


def annotation(
    sample_id: str,
    annotator: str,
    label: str | None,
    *,
    items: Sequence[Evidence] = (),
    steps: Sequence[Step] = (),
    readings: Readings | None = None,
    replicate: int = 0,
    valence: float | None = None,
    request_digest: str | None = None,
) -> Annotation:
    """A labelled annotation, or with `label` None one that failed."""
    question = {"sample": sample_id, "annotator": annotator}
    common: dict[str, Any] = {
        "sample_id": sample_id,
        "annotator": annotator,
        "request_digest": request_digest or content_digest(question),
        "parser_version": PARSER_VERSION,
        "provider": "scripted",
        "model": f"model-of-{annotator}",
        "replicate": replicate,
    }
    if label is None:
        return Annotation(**common, outcome="failed", reason="timeout")
    answer = Triplet(
        evidence=tuple(items),
        rationale=tuple(steps),
        readings=readings or Readings(text=label),
        labels=(LabelScore(label=label, intensity=2),),
        confidence=0.75,
        dimensions=Dimensions(valence=valence),
    )
    return Annotation(**common, outcome="labelled", answer=answer)


def check(said: Annotation, verdicts: dict[str, VerdictName], *, shown: bool = False) -> Check:
    return Check(
        annotation_id=said.id,
        annotation_digest=said.digest,
        feature_digests=("f",),
        cue_table_digest="c",
        checker_version="1",
        verdicts=tuple(
            Verdict(
                evidence_id=name, verdict=verdict, shown=shown, measured=0.6, reference=0.3, unit="intensity"
            )
            for name, verdict in verdicts.items()
        ),
    )


def judgement(
    said: Annotation,
    s_rec: float | None,
    s_reason: float = 0.8,
    s_cot: float = 0.6,
    request_digest: str | None = None,
) -> Judgement:
    return Judgement(
        annotation_id=said.id,
        request_digest=request_digest or f"r{said.id}",
        parser_version=PARSER_VERSION,
        judge="rules",
        provider="cues",
        model="rules",
        outcome="scored",
        s_rec=s_rec,
        s_reason=s_reason,
        s_cot=s_cot,
    )


def consensus_of(
    annotations: Sequence[Annotation],
    checks: Sequence[Check] = (),
    judgements: Sequence[Judgement] = (),
    *,
    segment_id: str = "seg_x",
    sample_id: str = "smp_x",
    target: Target = TARGET,
) -> Consensus:
    ballot = Ballot(segment_id, target, sample_id, tuple(annotations), tuple(checks), tuple(judgements))
    params = Settings().aggregate
    return combine([ballot], "judge_weighted", weigh, taxonomy=TAXONOMY, params=params, seed=0)[0]


def review(segment_id: str, label: str | None, **rest: Any) -> Review:
    fields: dict[str, Any] = {
        "segment_id": segment_id,
        "target": TARGET,
        "taxonomy": TAXONOMY.name,
        "reviewer": "anna",
        "phase": "blind",
        "at": "2026-01-01T00:00:00.000+00:00",
        "labels": () if label is None else (LabelScore(label=label, intensity=1),),
        "cannot_tell": label is None,
    }
    return Review(**{**fields, **rest})


def blind(segment_id: str, label: str, *reviewers: str) -> list[Review]:
    return [review(segment_id, label, reviewer=name) for name in reviewers]


def mark(name: str, said: str) -> ClaimMark:
    return ClaimMark.model_validate({"evidence_id": name, "mark": said})


class Project:
    """A store with clips. `clip` adds one; `finish` says what stands."""

    def __init__(self, folder: Path, *, url: str | None = None) -> None:
        self.folder = folder
        self.store = Store.open(url or f"sqlite:///{folder / 'emotrace.db'}")
        self.settings = settings()
        self.segments: list[str] = []  # their ids, in the order in which they came
        self._records: list[Record] = []
        self._live: dict[type[Record], list[str]] = {}

    def clip(
        self,
        n: int,
        votes: Sequence[str | None] = ("joy", "joy", "joy"),
        *,
        speaker: str | None = None,
        source: int | None = None,
        facts: dict[str, Any] | None = None,
        words_source: str = "sidecar",
    ) -> Segment:
        """Clip number `n`, `n` seconds into its source (one source per clip unless `source` says otherwise)."""
        audio = AudioFacts(codec="pcm", sample_rate_hz=16000, channels=1)
        media = MediaFacts(kind="audio", container="wav", duration_s=60.0, audio=(audio,))
        origin = Source(sha256=f"{n if source is None else source:064x}", size_bytes=9, media=media)
        said = {
            "name": f"/home/someone/clips/{origin.sha256[-3:]}.wav",
            "license": "cc-by-4.0",
            "consent": "given",
        }
        said |= {} if speaker is None else {"speaker": speaker}
        said |= facts or {}
        self.store.set_paths([StoredPath(said["name"], 9, 1, n, origin.id)])
        self.store.add_facts((origin.id, key, value) for key, value in said.items())
        segment = Segment(
            source_id=origin.id, rule="given", version="1", source_start_s=float(n), source_end_s=n + 2.0,
            index=0,
        )  # fmt: skip
        features = Features(subject_id=segment.id, extractor="sidecar", version="1", stage="asr")
        sample = Sample(
            segment_id=segment.id, target=Target(speaker=said.get("speaker")), baseline_ids=(),
            feature_digests=(features.digest,), view_version="1", duration_s=2.0, words_source=words_source,
            missing={"visual": "no_video_stream"},
            words=(Word(text="so", start_s=0.1, end_s=0.3), Word(text="good", start_s=0.4, end_s=0.9)),
        )  # fmt: skip
        self._add(origin, segment, features, sample)
        self._machine(segment, sample, votes)
        self.segments.append(segment.id)
        return segment

    def _machine(self, segment: Segment, sample: Sample, votes: Sequence[str | None]) -> None:
        items = (
            evidence("e1", "quote", 0.1, 0.9, quote="so good"),
            evidence("e2", "raised_pitch", 0.2, 1.0, direction="up"),
        )
        steps = (
            Step(n=1, text="Says so.", evidence_ids=("e1",)),
            Step(n=2, text="High.", evidence_ids=("e2",)),
        )
        asked = [Annotator(section, TAXONOMY) for section in settings().annotators]
        said = [
            annotation(
                sample.id, annotator.section.name, vote, items=items, steps=steps, valence=0.5,
                request_digest=annotator.request(sample).digest,
            )
            for annotator, vote in zip(asked, votes, strict=True)
        ]  # fmt: skip
        voted = [a for a in said if a.answer is not None]
        checks = [check(a, {"e1": "supported", "e2": "contradicted"}) for a in voted]
        (judge,) = panel(settings().judges, settings().annotators, TAXONOMY, seed=0)
        cases = [Case(sample, *pair) for pair in zip(voted, checks, strict=True)]
        judged = [judgement(c.annotation, None, request_digest=judge.request(c).digest) for c in cases]
        consensus = consensus_of(
            said, checks, judged, segment_id=segment.id, sample_id=sample.id, target=sample.target
        )
        decision = decide(consensus, [], sample.missing, self.settings.policy, taxonomy=TAXONOMY, seed=0)
        self._add(*said, *checks, *judged, consensus, decision)

    def _add(self, *records: Record) -> None:
        for record in records:
            self._records.append(record)
            self._live.setdefault(type(record), []).append(record.id)

    def finish(self) -> Project:
        self.store.add(self._records)
        for kind, ids in self._live.items():
            self.store.set_live(kind, ids)
        return self

    def decide(self) -> None:
        """Take in the reviews that came after `finish`."""
        decisions = [
            decide(
                item.consensus,
                item.reviews,
                item.sample.missing,
                self.settings.policy,
                taxonomy=TAXONOMY,
                seed=0,
            )
            for item in live_items(self.store)
            if item.consensus is not None
        ]
        self.store.add(decisions)
        self.store.set_live(Decision, [decision.id for decision in decisions])

    def source_of(self, n: int) -> str:
        """The id of the source of clip number `n`."""
        (segment,) = self.store.by_id(Segment, [self.segments[n]])
        return segment.source_id

    def decisions(self) -> list[Decision]:
        return self.store.live(Decision)


def small_project(folder: Path, clips: int = 6) -> Project:
    """Agreeing annotators on every clip, joy and anger in turn; one more clip with an open tie."""
    project = Project(folder)
    for n in range(clips):
        label = ("joy", "anger")[n % 2]
        project.clip(n, (label, label, label), speaker=f"S{n}")
    project.clip(clips, ("joy", "anger", None), speaker="S0")
    return project.finish()
