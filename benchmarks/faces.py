"""CPU of the faces worker, per frame and to start: python -m benchmarks.faces [RECORDING ...]

Without recordings one of the demo is made and measured. Frames are those of the decode pass, 10 per second; the
cost of a frame is what many frames cost beyond a run of none. Also measured: what a segment's surroundings cost.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from benchmarks.paired import emit, emit_limited, measured, paired
from pipeline.commands.demo import CLIPS, WORKER, manifest
from pipeline.features.au_mediapipe import SCRIPT, MediapipeAus, MediapipeParams
from pipeline.features.base import Clip
from pipeline.features.worker import run_worker
from pipeline.media.decode import decode
from pipeline.media.probe import probe
from schemas.records import Segment, Source

RUNS = 3
LEAST_FRAMES = 200  # in one run: a recording is repeated until it has as many
TURN_S = 2.0
TARGET_CPU_MS = 25.0  # a quarter of real time on one core at 10 frames per second


class Cost(NamedTuple):
    start_wall_s: float
    start_cpu_s: float
    frame_cpu_ms: float


def recording(path: Path, folder: Path) -> Clip:
    """The whole recording, decoded."""
    facts = probe(path)
    decoded = decode(path, facts, folder / f"{path.stem}.decoded")
    source = Source(sha256="0" * 64, size_bytes=path.stat().st_size, media=facts)
    segment = Segment(
        source_id=source.id,
        rule="whole",
        version="1",
        source_start_s=0.0,
        source_end_s=facts.duration_s,
        index=0,
    )
    return Clip(source, segment, path, None, decoded.frames, shots=decoded.shots)


def work(rows: list[dict[str, Any]]) -> None:
    for message in run_worker(SCRIPT, rows):
        if message["type"] == "error":
            raise SystemExit(message["message"])


def cost(clip: Clip, folder: Path) -> Cost:
    """Medians over RUNS: a run without frames, and one with at least LEAST_FRAMES."""
    frames = pq.ParquetFile(clip.frames).metadata.num_rows
    repeats = -(-LEAST_FRAMES // frames)
    row = {"frames": str(clip.frames), "start_s": 0.0, "end_s": clip.segment.source_end_s, "still": False}
    many = [{**row, "id": str(n), "out": str(folder / f"{n}.npz")} for n in range(repeats)]
    none = [{**many[0], "start_s": 1e6, "end_s": 1e6}]
    work(none)
    walls_s = []
    for _ in range(RUNS):
        clock_s = time.monotonic()
        work(none)
        walls_s.append(time.monotonic() - clock_s)
    starts_s = [measured(lambda: work(none)) for _ in range(RUNS)]
    start_s = statistics.median(starts_s)
    runs_s = [measured(lambda: work(many)) for _ in range(RUNS)]
    frame_s = (statistics.median(runs_s) - start_s) / (repeats * frames)
    return Cost(statistics.median(walls_s), start_s, 1000 * frame_s)


def turns(clip: Clip) -> list[Clip]:
    """The recording as turns of TURN_S, one after the other, four times over: starting counts little."""
    count = max(1, int(clip.segment.source_end_s / TURN_S))
    spans = [{"source_start_s": n * TURN_S, "source_end_s": (n + 1) * TURN_S} for n in range(count)] * 4
    return [
        Clip(
            clip.source, clip.segment.model_copy(update=span), clip.path, None, clip.frames, shots=clip.shots
        )
        for span in spans
    ]


def main(*paths: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = [Path(path) for path in paths]
        if not pictures:
            rows = manifest(folder, CLIPS[:1])
            pictures = [Path(message["out"]) for message in run_worker(WORKER, rows)]
        clips = [recording(path, folder) for path in pictures]
        costs = [cost(clip, folder) for clip in clips]
        for path, found in zip(pictures, costs, strict=True):
            print(
                f"{path.name}: {found.frame_cpu_ms:.1f} CPU ms per frame, "
                f"start {found.start_wall_s:.2f} s ({found.start_cpu_s:.2f} CPU s)"
            )
        pieces = turns(clips[0])
        near, alone = (MediapipeAus(MediapipeParams(rest_context_s=seconds)) for seconds in (3.0, 0.0))
        extra = paired(lambda: list(near.extract(pieces)), lambda: list(alone.extract(pieces)), RUNS)
    emit("faces_surroundings", extra.a_s, "CPU s", extra.ratio, None, True, RUNS)
    start_s = statistics.median(found.start_wall_s for found in costs)
    emit("faces_start", start_s, "s", None, None, True, RUNS)
    frame_ms = statistics.median(found.frame_cpu_ms for found in costs)
    emit_limited("faces_cpu_per_frame", frame_ms, "CPU ms", TARGET_CPU_MS, RUNS)


if __name__ == "__main__":
    main(*sys.argv[1:])
