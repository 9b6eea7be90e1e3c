"""The whole chain without speech recognition on real 720p talking heads: speed, and memory against length.

Run: python -m benchmarks.chain [--minutes 10 60] [--memory-only]
Recordings are made by repeating the packets of test recordings (EMOTRACE_TEST_DATA): that is quick.
Speed: four recordings on two workers, from ingest to decisions, in CPU time; clips for the browser are counted
apart, beside plain x264. Memory: one recording with small pictures of each length, in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from benchmarks.paired import cpu_s, emit, emit_limited, test_recording

TALKS = tuple(f"wh_address_{letter}.mp4" for letter in "abcd")
TALK_S = 60.0
PLAIN_S = 10.0
SMALL_FPS, SMALL_PX = 10, (320, 180)
WORKERS = 2
LEAST_SPEED = 8.0  # times real time
MOST_MB = 1024.0
APART = "media"  # the stage that makes clips for the browser
SETTINGS = f"""
[project]
name = "chain"
[run]
workers = {WORKERS}
[features.asr]
enabled = false
[policy]
random_review_share = 0.0
"""


class StageClock:
    """Progress that notes of each stage its wall and CPU seconds and the peak memory of this process (MB)."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}
        self._wall_s = self._cpu_s = 0.0

    def start(self, stage: str, total: int) -> None:  # noqa: ARG002 - the signature of progress
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from now on
        self._wall_s, self._cpu_s = time.perf_counter(), cpu_s()

    def advance(self, stage: str, n: int = 1) -> None: ...

    def note(self, stage: str, text: str) -> None: ...

    def finish(self, stage: str) -> None:
        wall_s, used_s = time.perf_counter() - self._wall_s, cpu_s() - self._cpu_s
        self.stages[stage] = {"wall_s": wall_s, "cpu_s": used_s, "peak_mb": peak_mb("self")}


def peak_mb(process: str) -> float:
    """Peak resident memory of a process since its start, or since the peak was set back."""
    status = Path("/proc", process, "status").read_text("ascii", "replace")
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return int(line.split()[1]) / 1024


class TreeWatch(threading.Thread):
    """Notes how much memory this process and all below it hold together at most, looking five times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.2):
            self.peak_mb = max(self.peak_mb, held_mb(os.getpid()))

    def end(self) -> float:
        self._over.set()
        self.join()
        return self.peak_mb


def held_mb(pid: int) -> float:
    """Memory in use now, of a process and all below it; what several share is divided among them (PSS)."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii", "replace").splitlines()
        share_kb = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        children = [
            c for path in Path(f"/proc/{pid}/task").glob("*/children") for c in path.read_text().split()
        ]
        return share_kb / 1024 + sum(held_mb(int(child)) for child in children)
    return 0.0


def repeated(recording: Path, to: Path, length_s: float) -> Path:
    """The packets of a recording again and again, until it is `length_s` long."""
    with av.open(str(to), "w") as out:
        shift, streams = Fraction(0), {}
        while shift < length_s:
            with av.open(str(recording)) as given:
                end = Fraction(0)
                for stream in given.streams:
                    streams.setdefault(stream.index, None)
                    if streams[stream.index] is None:
                        streams[stream.index] = out.add_stream_from_template(stream)
                for packet in given.demux():
                    if packet.dts is None or packet.pts is None:
                        continue
                    end = max(end, (packet.pts + packet.duration) * packet.time_base)
                    ticks = round(shift / packet.time_base)
                    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                    packet.stream = streams[packet.stream_index]
                    out.mux(packet)
            shift += end
    return to


def small_talk(talk: Path, to: Path) -> Path:
    """The sound of a talk under small, plain pictures, which are decoded quickly."""
    with av.open(str(talk)) as given, av.open(str(to), "w") as out:
        sound = given.streams.audio[0]
        video = out.add_stream("libx264", rate=SMALL_FPS)
        video.width, video.height, video.pix_fmt = *SMALL_PX, "yuv420p"
        copied = out.add_stream_from_template(sound)
        end = Fraction(0)
        for packet in given.demux(sound):
            if packet.dts is not None and packet.pts is not None:
                end = max(end, (packet.pts + packet.duration) * packet.time_base)
                packet.stream = copied
                out.mux(packet)
        for number in range(int(end * SMALL_FPS)):
            shade = np.full((SMALL_PX[1], SMALL_PX[0], 3), 60 + 2 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, SMALL_FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return to


def chain(folder: Path, recordings: Sequence[Path]) -> dict[str, Any]:
    """What each stage took, the number of clips, the length of those for the browser, peaks of memory in MB."""
    from pipeline.ingest import ingest
    from pipeline.project import open_project
    from pipeline.run import local_engine, run
    from schemas.records import Decision, Segment

    folder.mkdir(parents=True)
    (folder / "emotrace.toml").write_text(SETTINGS, encoding="utf-8")
    clock, watch = StageClock(), TreeWatch()
    watch.start()
    with open_project(folder) as project:
        clock.start("ingest", len(recordings))
        report = ingest(project, map(str, recordings))
        clock.finish("ingest")
        assert not report.failed, report.failed
        made = run(project, local_engine(workers=WORKERS), progress=clock)
        shown = {d.segment_id for d in project.store.live(Decision) if d.status == "needs_review"}
        clips_s = sum(s.duration_s for s in project.store.live(Segment) if s.id in shown)
    assert not made.failed_items, made.failed_items[:3]
    return {
        "stages": clock.stages,
        "clips": made.segments,
        "clips_s": clips_s,
        "own_mb": max(stage["peak_mb"] for stage in clock.stages.values()),
        "child_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "together_mb": watch.end(),
    }


def apart(folder: Path, recordings: Sequence[Path]) -> dict[str, Any]:
    """`chain` in a process of its own, so that its peak memory is its own."""
    program = [sys.executable, "-m", "benchmarks.chain", "--in", str(folder), "--of", *map(str, recordings)]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name, stage in found["stages"].items():
        print(
            f"{name:10} wall {stage['wall_s']:7.2f} s  CPU {stage['cpu_s']:7.2f} s  "
            f"peak {stage['peak_mb']:5.0f} MB"
        )
    return found


def plain_x264_s(recording: Path, length_s: float) -> float:
    """CPU of the bare encoder on the first `length_s` of a recording, decoding counted off."""
    with av.open(str(recording)) as given:
        stream = given.streams.video[0]
        frames = []
        for frame in given.decode(stream):
            if frame.time is None or frame.time >= length_s:
                break
            frames.append(frame)
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = stream.width, stream.height, "yuv420p"
        encoder.time_base = stream.time_base
        encoder.options = {"preset": "veryfast", "crf": "23"}
        began = cpu_s()
        for frame in frames:
            frame.pict_type = PictureType.NONE
            encoder.encode(frame)
        encoder.encode(None)
        return cpu_s() - began


def talks() -> list[Path]:
    found = [test_recording(f"video/{name}") for name in TALKS]
    if not all(path.exists() for path in found):
        sys.exit("set EMOTRACE_TEST_DATA to the folder of the test recordings")
    return found


def speed(place: Path) -> None:
    recordings = [repeated(talk, place / f"{n}.mp4", TALK_S) for n, talk in enumerate(talks())]
    length_s = len(recordings) * TALK_S
    found = apart(place / "speed", recordings)
    stages = {name: stage for name, stage in found["stages"].items() if name != APART}
    wall_s, used_s = (sum(stage[key] for stage in stages.values()) for key in ("wall_s", "cpu_s"))
    times = length_s / (used_s / WORKERS)
    print(
        f"chain: {length_s:.0f} s of 720p took {used_s:.1f} s of CPU, {times:.1f} times real time "
        f"on {WORKERS} cores (limit: at least {LEAST_SPEED:g}); by the wall, with the load of now, "
        f"{length_s / wall_s:.1f} times"
    )
    if APART in found["stages"]:
        clips, plain_s = found["stages"][APART], plain_x264_s(recordings[0], PLAIN_S)
        print(
            f"clips for the browser: {found['clips_s'] / clips['cpu_s']:.1f} times real time on a core; "
            f"plain x264: {PLAIN_S / plain_s:.1f}"
        )
    ratio = LEAST_SPEED / times
    emit("chain, times real time", times, "x", ratio, 1.0, ratio <= 1.0, 1)


def memory(place: Path, minutes: Sequence[float]) -> None:
    unit = small_talk(talks()[-1], place / "unit.mp4")
    for length in minutes:
        recording = repeated(unit, place / f"{length:g}min.mp4", 60 * length)
        found = apart(place / f"memory{length:g}", [recording])
        recording.unlink()
        print(
            f"memory, {length:g} min: own {found['own_mb']:.0f} MB, largest child {found['child_mb']:.0f} MB, "
            f"all at once {found['together_mb']:.0f} MB"
        )
        largest = max(found["own_mb"], found["child_mb"])
        emit_limited(f"memory of the largest process, {length:g} min", largest, "MB", MOST_MB, 1)
        together = found["together_mb"]
        emit_limited(f"memory of all processes together, {length:g} min", together, "MB", MOST_MB, 1)


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, nargs="*", default=[10, 60])
    parser.add_argument("--memory-only", action="store_true")
    parser.add_argument("--in", dest="folder", type=Path)
    parser.add_argument("--of", dest="recordings", type=Path, nargs="*", default=[])
    asked = parser.parse_args(arguments)
    if asked.folder is not None:
        print(json.dumps(chain(asked.folder, asked.recordings)))
        return
    with tempfile.TemporaryDirectory() as place:
        memory(Path(place), asked.minutes)
        if not asked.memory_only:
            speed(Path(place))


if __name__ == "__main__":
    main(*sys.argv[1:])
