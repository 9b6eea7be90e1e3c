"""Records of a made-up recording in a real project, for the tests of stages that decode nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.decoding import REPORT, MediaMaker
from pipeline.ledger import Ledger
from pipeline.media.decode import DECODE_VERSION
from pipeline.media.sinks import AudioSink, PictureSink
from pipeline.project import Project, open_project
from pipeline.stages.base import Run
from schemas.ids import content_id
from schemas.parts import AudioFacts, FaceTrack, MediaFacts, Series, VideoFacts, Word
from schemas.record import Record
from schemas.records import Features, Segment, Source
from tests.pipeline.project import write_settings

VOICED_S = 4.0  # of every segment: three of them are enough for a baseline


class Quiet:
    """Progress that is told to nobody."""

    def start(self, stage: str, total: int) -> None: ...
    def advance(self, stage: str, n: int = 1) -> None: ...
    def finish(self, stage: str) -> None: ...
    def note(self, stage: str, text: str) -> None: ...


@contextmanager
def project_in(folder: Path, settings: str = "") -> Iterator[Project]:
    with open_project(write_settings(folder, settings)) as project:
        yield project


def make_run(project: Project, *, rebaseline: bool = False) -> Run:
    ledger = Ledger(project.store, project.settings.budget)
    return Run(project, MediaMaker(project), ledger, Quiet(), rebaseline=rebaseline)


def source(n: int, *, video: bool = True) -> Source:
    picture = VideoFacts(codec="h264", width_px=64, height_px=48, frames=250, first_pts_s=0, last_pts_s=9.96)
    sound = AudioFacts(codec="aac", sample_rate_hz=48000, channels=1)
    facts = MediaFacts(
        kind="video" if video else "audio",
        container="mp4",
        duration_s=60.0,
        video=picture if video else None,
        audio=(sound,),
    )
    return Source(sha256=f"{n:064x}", size_bytes=9, media=facts)


def segment(of: Source, index: int) -> Segment:
    return Segment(
        source_id=of.id, rule="given", version="1", index=index,
        source_start_s=5.0 * index, source_end_s=5.0 * index + 5,
    )  # fmt: skip


def heard(of: Segment, text: str, *, missing: str | None = None, notes: tuple[str, ...] = ()) -> Features:
    words = tuple(Word(text=word, start_s=n / 2, end_s=n / 2 + 0.4) for n, word in enumerate(text.split()))
    return Features(
        subject_id=of.id, extractor="sidecar", version="1", params={"text": text}, stage="asr",
        words=words, missing=missing, notes=notes,
    )  # fmt: skip


def voice(of: Segment, pitch_hz: float, *, missing: str | None = None) -> Features:
    """A steady voice with a little vibrato."""
    times = tuple(round(n * 0.1, 3) for n in range(40))
    pitch = tuple(pitch_hz * (1 + 0.01 * (n % 3)) for n in range(40))
    level = tuple(-20.0 - n % 5 for n in range(40))
    return Features(
        subject_id=of.id, extractor="core", version="1", stage="prosody", missing=missing,
        series=(
            Series(name="pitch_hz", unit="Hz", times_s=times, values=pitch),
            Series(name="intensity_db", unit="dB", times_s=times, values=level),
        ),
        summary={"pitch_median_hz": pitch_hz, "speech_s": VOICED_S, "voiced_s": VOICED_S},
    )  # fmt: skip


def face(of: Segment, *, missing: str | None = None, level: float | None = 0.1) -> Features:
    """A face of which a unit was looked at once; `level` None: it could not be measured."""
    track = FaceTrack(name="face0", start_s=0, end_s=5, frames=25, box=(0.1, 0.1, 0.5, 0.5))
    curve = Series(name="AU12", unit="intensity", times_s=(0.0,), values=(level,), track="face0")
    return Features(
        subject_id=of.id, extractor="mediapipe", version="1", stage="au", missing=missing,
        tracks=() if missing else (track,), series=() if missing else (curve,),
    )  # fmt: skip


def decoded(run: Run, of: Source) -> None:
    """As if the recording had been decoded: pictures of noise that stand still, and silence."""
    params, cache = run.media.params.model_dump(mode="json"), run.project.artifacts
    key = content_id("dec", {"source": of.id, "version": DECODE_VERSION, "params": params})
    noise = np.random.default_rng(int(of.sha256, 16) % 2**32).integers(0, 256, (48, 64), dtype=np.uint8)
    with cache.workdir() as folder:
        pictures = PictureSink(folder / "frames.parquet", 90)
        for n in range(300 if of.media.video else 0):
            pictures.add(round(n * 0.2, 6), Image.fromarray(noise).convert("YCbCr"))
        pictures.close()
        AudioSink(folder / "audio.wav", 0.0, of.media.duration_s).close()
        names = ["audio.wav", *(["frames.parquet"] if of.media.video else [])]
        for name in names:
            cache.put(key, name, folder / name)
    report = {"files": names, "shots": [], "cut_frames": [], "frames_decoded": 0, "errors": 0, "notes": []}
    cache.put_bytes(key, REPORT, json.dumps(report).encode())


def place(run: Run, of: Source, found: list[tuple[Segment, list[Features]]], *, speaker: str | None) -> None:
    """As if segment and extract had just made these records."""
    records: list[Record] = [of]
    for part, features in found:
        records += [part, *features]
        run.segments.append(part)
        run.feature_ids[part.id] = {feature.stage: feature.id for feature in features}
    decoded(run, of)
    run.project.store.add(records)
    run.project.store.set_live(Segment, [part.id for part in run.segments])
    run.sources[of.id] = of
    run.facts[of.id] = {"name": f"{of.id}.mp4", **({"speaker": speaker} if speaker else {})}
