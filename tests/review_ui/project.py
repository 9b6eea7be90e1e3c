"""A small project with a real store and a real clip, for the tests of the review pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from pipeline.artifacts import Artifacts
from schemas.parts import (
    Dimensions,
    Evidence,
    FaceTrack,
    LabelScore,
    MediaFacts,
    MediaRef,
    MergedEvidence,
    Readings,
    Spread,
    Step,
    Target,
    Triplet,
    Turn,
    Word,
)
from schemas.record import Record
from schemas.records import Annotation, Consensus, Decision, Judgement, Sample, Segment, Source
from schemas.settings import artifacts_url, store_url
from schemas.settings_file import load_settings
from schemas.store import Store
from schemas.taxonomy import Taxonomy, load_taxonomy

CANARY = "canary"  # stands in every piece of model output, and nowhere else
SCRIPTS = (
    "<script>document.title='XSS'</script>",
    "<img src=x onerror=\"document.title='XSS'\">",
    "<svg onload=\"document.title='XSS'\">",
    "[link](javascript:alert(1))",
)
CLIP_S = 2.0
FPS = 25


@dataclass(frozen=True)
class Item:
    source: Source
    segment: Segment
    sample: Sample
    consensus: Consensus
    decision: Decision
    annotation: Annotation
    look: Judgement


@dataclass(frozen=True)
class Project:
    """`items` in queue order: a clip with everything, sound only, no clip in the cache; then one accepted."""

    path: Path
    store: Store
    items: tuple[Item, ...]

    @property
    def waiting(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.decision.status == "needs_review")

    @property
    def accepted(self) -> Item:
        return next(item for item in self.items if item.decision.status == "auto_accepted")


def make_project(folder: Path, taxonomy: str = "ekman7") -> Project:
    """`taxonomy`: with a shipped one of dimensions alone the models give its numbers instead of labels."""
    folder.mkdir(parents=True, exist_ok=True)
    text = f'[project]\nname = "corpus"\ntaxonomy = "{taxonomy}"\n'
    (folder / "emotrace.toml").write_text(text, encoding="utf-8")
    asked = load_taxonomy(taxonomy)
    settings = load_settings(folder)
    store = Store.open(store_url(folder, settings))
    artifacts = Artifacts(artifacts_url(folder, settings))
    items = tuple(
        _item(n, status, asked) for n, status in enumerate(["needs_review"] * 3 + ["auto_accepted"])
    )
    for n, with_picture in ((0, True), (1, False), (3, True)):
        clip = items[n].sample.clip
        assert clip is not None
        write_clip(folder / "new.mp4", with_picture=with_picture)
        artifacts.put(clip.key, "clip.mp4", folder / "new.mp4")
    project = Project(folder, store, items)
    # Stored in reverse, so that only the priority can give the right order.
    for item in reversed(items):
        store.add([item.source, item.segment, item.sample, item.annotation, item.look, item.consensus])
        store.add([item.decision])
    set_live(project)
    return project


def set_live(project: Project, **replaced: list[Record]) -> None:
    """Say that the project's records stand; `sample=[...]` or `decision=[...]` takes others instead."""
    for cls, name in (
        (Sample, "sample"),
        (Annotation, "annotation"),
        (Judgement, "look"),
        (Consensus, "consensus"),
        (Decision, "decision"),
    ):
        records: list[Record] = replaced.get(name) or [getattr(item, name) for item in project.items]
        project.store.add(records)
        project.store.set_live(cls, [record.id for record in records])


def _item(n: int, status: str, taxonomy: Taxonomy) -> Item:
    numbers = Dimensions.of({name: scale.scaled(0.25) for name, scale in taxonomy.dimensions.items()})
    labels = {"fear": 0.7319, "joy": 0.2681} if taxonomy.asks_labels else {}
    source = Source(
        sha256=f"{n:064x}", size_bytes=1, media=MediaFacts(kind="video", container="mp4", duration_s=CLIP_S)
    )
    segment = Segment(
        source_id=source.id,
        rule="whole",
        version="1",
        source_start_s=0,
        source_end_s=CLIP_S,
        index=0,
    )
    target = Target(speaker=f"S{n}", face_track="face-1")
    sample = Sample(
        segment_id=segment.id,
        target=target,
        feature_digests=(),
        baseline_ids=(),
        context=(Turn(speaker="other", text="And then? " + SCRIPTS[0]),),
        view_version="1",
        duration_s=CLIP_S,
        words=(
            Word(start_s=0.2, end_s=0.5, text="I"),
            Word(start_s=0.5, end_s=0.9, text="won" + SCRIPTS[1]),
            Word(start_s=0.9, end_s=1.6, text="yesterday"),
        ),
        words_source="sidecar",
        faces=(FaceTrack(name="face-1", start_s=0, end_s=CLIP_S, frames=10, box=(0.3, 0.2, 0.25, 0.5)),),
        clip=MediaRef(kind="clip", source_id=source.id, source_start_s=0, source_end_s=CLIP_S),
        missing={"visual": "no_video_stream"} if n == 1 else {"audio": "silence"},
    )
    evidence = (
        _evidence("e1", "visual", f"{CANARY}_AU12", 0.2, 0.7),
        _evidence("e2", "audio", f"{CANARY}_pitch", 0.9, 1.4),
    )
    rationale = tuple(
        Step(n=k + 1, text=f"{CANARY} reason {text}", evidence_ids=("e1",)) for k, text in enumerate(SCRIPTS)
    )
    annotation = Annotation(
        sample_id=sample.id,
        annotator=f"{CANARY}-annotator",
        request_digest="r",
        provider=f"{CANARY}-provider",
        model=f"{CANARY}-model",
        outcome="labelled",
        detail=f"{CANARY} detail",
        answer=Triplet(
            evidence=evidence,
            rationale=rationale,
            readings=Readings(text="joy") if labels else Readings(),
            labels=tuple(LabelScore(label=name) for name in list(labels)[:1]),
            confidence=0.7319,
            dimensions=numbers,
        ),
    )
    look = Judgement(
        annotation_id=annotation.id,
        request_digest="look",
        judge=f"{CANARY}-judge",
        provider="p",
        model="m",
        kind="second_look",
        outcome="answered",
        reasons=(f"{CANARY} judged",),
        implied_label=f"{CANARY} {SCRIPTS[0]}",
        flags=("label_mismatch",),
    )
    consensus = Consensus(
        segment_id=segment.id,
        target=target,
        input_digests=(f"{annotation.id}:{annotation.digest}", f"{look.id}:{look.digest}"),
        method="vote",
        version="1",
        sample_id=sample.id,
        distribution=labels,
        label="fear" if labels else None,
        margin=0.4638,
        entropy=0.58,
        dimensions=numbers,
        spread={name: Spread(sd=0.1, n=3) for name in numbers.given},
        conflict=f"{CANARY}_conflict",
        best_annotation_id=annotation.id,
        rationale=rationale,
        evidence=tuple(
            MergedEvidence(
                evidence=e, verdict=verdict, supporters=(f"{CANARY}-annotator",), reference=0.3, **said
            )
            for e, (verdict, said) in zip(evidence, _VERDICTS, strict=True)
        ),
    )
    decision = Decision(
        segment_id=segment.id,
        target=target,
        consensus_id=consensus.id,
        review_ids=(),
        policy={},
        version="1",
        status="auto_accepted" if status == "auto_accepted" else "needs_review",
        reasons=(f"{CANARY}_reason",),
        priority=0.9 - 0.2 * n,
        rationale=rationale,
    )
    return Item(source, segment, sample, consensus, decision, annotation, look)


_VERDICTS: tuple[tuple[Literal["supported", "contradicted"], dict[str, Any]], ...] = (
    ("supported", {"measured": 0.9123, "unit": "intensity", "reason": f"{CANARY} AU12 is 0.912"}),
    ("contradicted", {"measured": 0.2977, "unit": f"{CANARY}/s"}),
)


def _evidence(
    name: str, modality: Literal["visual", "audio"], cue: str, start_s: float, end_s: float
) -> Evidence:
    text = f"{CANARY} claim {SCRIPTS[2]}"
    return Evidence(id=name, modality=modality, cue=cue, start_s=start_s, end_s=end_s, description=text)


def write_clip(path: Path, *, with_picture: bool) -> None:
    """An MP4 as browsers play it: a bar that moves over grey, and a tone."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        voice = container.add_stream("aac", rate=16_000, layout="mono")
        streams: list[Any] = [voice]
        if with_picture:
            video = container.add_stream("libx264", rate=FPS, width=320, height=180, pix_fmt="yuv420p")
            for k in range(int(CLIP_S * FPS)):
                picture = np.full((180, 320, 3), 96, dtype=np.uint8)
                picture[:, 6 * k : 6 * k + 12] = 220
                container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            streams.append(video)
        for start in range(0, int(CLIP_S * 16_000), 1024):
            tone = np.sin(2 * np.pi * 220 * np.arange(start, start + 1024) / 16_000)
            sound = av.AudioFrame.from_ndarray(
                (8000 * tone).astype(np.int16)[None], format="s16", layout="mono"
            )
            sound.sample_rate, sound.pts = 16_000, start
            container.mux(voice.encode(sound))
        for stream in streams:
            container.mux(stream.encode(None))
