"""What a large project costs when there is nothing to do: `run` and `status` at 2,000 and at 20,000 segments.

Recordings, segments and features are made up and put into the store directly; the stages make the rest
(three keyless annotators, checks, judgements, consensus, decisions). Each size is measured in its own process,
so that its peak memory is its own. CPU time per segment must not grow with the project, nor may what is said of a
segment cost more where one long recording has ten times as many rows. Building takes some minutes.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.paired import emit, measured

SIZES = {2_000: 5, 20_000: 3}  # segments -> measured runs
TARGET_RATIO = 1.5
ROWS, ROW_RUNS = (500, 5_000), 5  # of the manifest of one recording
PER_SOURCE, LENGTH_S, SOURCES_AT_ONCE = 50, 6.0, 20
SETTINGS = f"""
[project]
name = "scale"
[segment]
rule = "fixed"
window_s = {LENGTH_S}
[policy]
accept_probability = 0.0
accept_confidence = 0.0
accept_s_final = 0.0
min_margin = 0.0
random_review_share = 0.0
"""


class Quiet:
    """Progress that is told to nobody."""

    def start(self, stage: str, total: int) -> None: ...
    def advance(self, stage: str, n: int = 1) -> None: ...
    def finish(self, stage: str) -> None: ...
    def note(self, stage: str, text: str) -> None: ...


def build(folder: Path, size: int) -> None:
    """An up-to-date project of `size` segments whose recordings are away, so that no feature is made anew."""
    from pipeline.outputs import RunOutput
    from pipeline.project import open_project
    from pipeline.run import local_engine, run

    folder.mkdir(parents=True)
    (folder / "emotrace.toml").write_text(SETTINGS, encoding="utf-8")
    with open_project(folder) as project:
        fill(project, size)
        made: RunOutput = run(project, local_engine(), progress=Quiet())
    assert (made.segments, made.annotations.labelled, made.auto_accepted) == (size, 3 * size, size), made
    assert not made.failed_items, made.failed_items[:3]


def fill(project: Any, size: int) -> None:
    """Sources with a speaker each, their segments, and what was measured on these."""
    from pipeline.decoding import MediaMaker
    from pipeline.ledger import Ledger
    from pipeline.stages.base import Run
    from schemas.store import StoredPath

    run = Run(project, MediaMaker(project), Ledger(project.store, project.settings.budget), Quiet())
    numbers = range(size // PER_SOURCE)
    for start in range(0, len(numbers), SOURCES_AT_ONCE):
        batch = {n: source(n) for n in numbers[start : start + SOURCES_AT_ONCE]}
        project.store.set_paths(StoredPath(f"/away/{n}.mp4", 1, 1, n, one.id) for n, one in batch.items())
        project.store.add_facts((one.id, "speaker", f"S{n}") for n, one in batch.items())
        records, outcomes = [], []
        for n, one in batch.items():
            more, end = measured_source(run, n, one)
            records += more
            outcomes.append(end)
        project.store.add(records, outcomes)


def source(n: int) -> Any:
    from schemas.parts import AudioFacts, MediaFacts, VideoFacts
    from schemas.records import Source

    length_s = PER_SOURCE * LENGTH_S
    picture = VideoFacts(
        codec="h264",
        width_px=64,
        height_px=48,
        frames=round(length_s * 25),
        first_pts_s=0,
        last_pts_s=length_s,
    )
    sound = AudioFacts(codec="aac", sample_rate_hz=48000, channels=1)
    facts = MediaFacts(kind="video", container="mp4", duration_s=length_s, video=picture, audio=(sound,))
    return Source(sha256=f"{n:064x}", size_bytes=1, media=facts)


def measured_source(run: Any, n: int, one: Any) -> tuple[list[Any], Any]:
    """The records of one source, and the outcome that says that it was segmented."""
    from pipeline.stages.segment import SegmentStage, cut, shots_features, source_view, speech_features
    from schemas.parts import Span
    from schemas.store import ItemOutcome

    whole = (Span(start_s=0, end_s=one.media.duration_s),)
    shots = shots_features(run, one, whole)
    speech = speech_features(one).model_copy(update={"missing": None, "regions": whole})
    records = [one, shots, speech]
    for segment in cut(run, one, source_view(run, one, shots, speech)):
        text = f"take {n} {segment.index} i am so happy today"
        records += [segment, *features(segment.id, text)]
    return records, ItemOutcome("segment", SegmentStage()._key(run, one), "done")


def features(subject_id: str, text: str) -> Iterator[Any]:
    """Words, voice and face of a happy clip, as large as those of a real one."""
    from schemas.parts import Event, FaceTrack, Series, Word
    from schemas.records import Features

    words = [Word(text=word, start_s=n / 2, end_s=n / 2 + 0.4) for n, word in enumerate(text.split())]
    yield Features(subject_id=subject_id, extractor="sidecar", version="1", stage="asr", words=tuple(words))
    times = tuple(round(n * 0.02, 3) for n in range(300))
    pitch = tuple(200.0 + n % 7 for n in range(300))
    level = tuple(-20.0 - n % 5 for n in range(300))
    raised = Event(cue="raised_pitch", modality="audio", start_s=1, end_s=2, size=2.0, unit="sd")
    yield Features(
        subject_id=subject_id, extractor="core", version="1", stage="prosody", events=(raised,),
        series=(
            Series(name="pitch_hz", unit="Hz", times_s=times, values=pitch),
            Series(name="intensity_db", unit="dB", times_s=times, values=level),
        ),
        summary={"pitch_median_hz": 203.0, "intensity_mean_db": -22.0, "speech_s": 5.0, "voiced_s": 4.0},
    )  # fmt: skip
    frames = tuple(round(n * 0.2, 3) for n in range(30))
    curve = tuple(round(n / 30, 3) for n in range(30))
    units = ("AU01", "AU02", "AU04", "AU05", "AU12", "AU15", "AU17", "AU20", "AU25", "AU26")
    smile = Event(
        cue="AU12", modality="visual", track="face0", start_s=1, end_s=3, apex_s=2, size=0.9, unit="intensity"
    )
    yield Features(
        subject_id=subject_id, extractor="mediapipe", version="1", stage="au", events=(smile,),
        tracks=(FaceTrack(name="face0", start_s=0, end_s=LENGTH_S, frames=30, box=(0.1, 0.1, 0.5, 0.5)),),
        series=tuple(
            Series(name=unit, unit="intensity", times_s=frames, values=curve, track="face0") for unit in units
        ),
    )  # fmt: skip


def measure(folder: Path, runs: int) -> dict[str, float]:
    """Median CPU and wall seconds of `run` and `status` with nothing to do, and the peak memory of both."""
    from pipeline.project import open_project
    from pipeline.run import run
    from pipeline.stages.decide import bring_decisions_up_to_date
    from pipeline.status import hallucination, totals

    def nothing_to_do() -> None:
        with open_project(folder) as project:
            run(project, _no_engine, progress=Quiet())

    def status() -> None:
        with open_project(folder) as project:
            bring_decisions_up_to_date(project)
            totals(project.store)
            hallucination(project.store)

    found = {}
    for name, job in {"run": nothing_to_do, "status": status}.items():
        cpu, wall = zip(*(timed(job) for _ in range(runs)), strict=True)
        found |= {f"{name}_cpu_s": statistics.median(cpu), f"{name}_wall_s": statistics.median(wall)}
        found[f"{name}_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def of_rows(rows: int) -> float:
    """CPU seconds per segment to tell what holds for it and who may see it, in a recording of so many rows."""
    from pipeline.consent import Consent
    from pipeline.facts import segment_facts, stretch_key
    from schemas.parts import Target
    from schemas.records import Sample, Segment
    from schemas.settings import ConsentSection

    said = {
        stretch_key(3.0 * n, 3.0 * n + 3): {"speaker": f"S{n % 5}", "consent": "given"} for n in range(rows)
    }
    consent = Consent({"src": {"language": "en", **said}}, ConsentSection())
    segments = [
        Segment(
            source_id="src",
            rule="given",
            version="1",
            source_start_s=3.0 * n,
            source_end_s=3.0 * n + 3,
            index=n,
        )
        for n in range(rows)
    ]
    samples = [
        Sample(
            segment_id=one.id,
            target=Target(speaker="S0"),
            feature_digests=(),
            baseline_ids=(),
            context=(),
            view_version="",
            duration_s=3.0,
        )
        for one in segments
    ]

    def job() -> None:
        for segment, sample in zip(segments, samples, strict=True):
            segment_facts(consent.facts, segment)
            consent.keeps_here(sample, segment)

    return measured(job) / rows


def timed(job: Callable[[], None]) -> tuple[float, float]:
    before = time.perf_counter()
    return measured(job), time.perf_counter() - before


def _no_engine(_body: Any) -> None:
    raise AssertionError("there was something to do")


def of_size(folder: Path, size: int, runs: int) -> dict[str, float]:
    """Build a project of this size and measure it, each in a process of its own."""
    program = [sys.executable, "-m", "benchmarks.scale"]
    subprocess.run([*program, "build", str(folder), str(size)], check=True)
    done = subprocess.run(
        [*program, "measure", str(folder), str(runs)], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    print(
        f"{size} segments: " + ", ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True
    )
    return found


def main() -> None:
    if len(sys.argv) == 4:
        _, job, folder, number = sys.argv
        if job == "build":
            build(Path(folder), int(number))
        else:
            print(json.dumps(measure(Path(folder), int(number))))
        return
    with tempfile.TemporaryDirectory() as place:
        found = {size: of_size(Path(place) / str(size), size, runs) for size, runs in SIZES.items()}
    small, large = SIZES
    for name in ("status", "run"):
        cost_s = {size: found[size][f"{name}_cpu_s"] / size for size in SIZES}
        ratio = cost_s[large] / cost_s[small]
        ok = ratio <= TARGET_RATIO
        emit(
            f"{name} with nothing to do",
            1000 * cost_s[large],
            "ms per segment",
            ratio,
            TARGET_RATIO,
            ok,
            SIZES[large],
        )
    cost_s = {rows: statistics.median(of_rows(rows) for _ in range(ROW_RUNS)) for rows in ROWS}
    ratio = cost_s[ROWS[1]] / cost_s[ROWS[0]]
    emit(
        "what is said of a segment",
        1000 * cost_s[ROWS[1]],
        "ms per segment",
        ratio,
        TARGET_RATIO,
        ratio <= TARGET_RATIO,
        ROW_RUNS,
    )


if __name__ == "__main__":
    main()
