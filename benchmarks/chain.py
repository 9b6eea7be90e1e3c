"""The whole chain without speech recognition on real 720p talking heads: speed, and memory against length.

Run: python -m benchmarks.chain [--minutes 10 60]
Recordings are made by repeating the packets of test recordings (EMOTRACE_TEST_DATA), so that making them is quick.
Speed: four recordings on two workers, from ingest to decisions; clips for the browser are counted apart, beside
plain x264. Memory: one recording of each length, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from benchmarks.paired import cpu_s, emit, emit_limited

TALKS = tuple(f"wh_address_{letter}.mp4" for letter in "abcd")
TALK_S = 60.0
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
    """Progress that notes how long each stage takes, in seconds of wall time."""

    def __init__(self) -> None:
        self.wall_s: dict[str, float] = {}
        self._began_s = 0.0

    def start(self, stage: str, total: int) -> None:
        self._began_s = time.perf_counter()
        self.wall_s.setdefault(stage, 0.0)

    def advance(self, stage: str, n: int = 1) -> None: ...

    def finish(self, stage: str) -> None:
        self.wall_s[stage] += time.perf_counter() - self._began_s


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


def chain(folder: Path, recordings: Sequence[Path]) -> dict[str, float]:
    """Seconds of recordings, of wall time and CPU per stage, and the peak memory in MB."""
    from pipeline.ingest import ingest
    from pipeline.project import open_project
    from pipeline.run import local_engine, run
    from schemas.records import Segment

    folder.mkdir(parents=True)
    (folder / "emotrace.toml").write_text(SETTINGS, encoding="utf-8")
    clock, cpu, began = StageClock(), cpu_s(), time.perf_counter()
    with open_project(folder) as project:
        report = ingest(project, map(str, recordings))
        assert not report.failed, report.failed
        clock.wall_s["ingest"] = time.perf_counter() - began
        made = run(project, local_engine(workers=WORKERS), progress=clock)
        clips_s = sum(s.source_end_s - s.source_start_s for s in project.store.live(Segment))
    assert not made.failed_items, made.failed_items[:3]
    wall_s = time.perf_counter() - began
    return {
        **{f"{stage}_wall_s": seconds for stage, seconds in clock.wall_s.items()},
        "wall_s": wall_s,
        "cpu_s": cpu_s() - cpu,
        "clips": made.segments,
        "clips_s": clips_s,
        "own_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "child_peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def apart(folder: Path, recordings: Sequence[Path]) -> dict[str, float]:
    """`chain` in a process of its own, so that its peak memory is its own."""
    program = [sys.executable, "-m", "benchmarks.chain", "--in", str(folder), "--of", *map(str, recordings)]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(", ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True)
    return found


def plain_x264_s(recording: Path, length_s: float) -> float:
    """Wall time of the bare encoder on the first `length_s` of a recording, decoding counted off."""
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
        began = time.perf_counter()
        for frame in frames:
            frame.pict_type = 0
            encoder.encode(frame)
        encoder.encode(None)
        return time.perf_counter() - began


def talks() -> list[Path]:
    data = os.environ.get("EMOTRACE_TEST_DATA")
    if data is None:
        sys.exit("set EMOTRACE_TEST_DATA to the folder of the test recordings")
    return [Path(data, "media", "video", name) for name in TALKS]


def speed(place: Path) -> None:
    recordings = [repeated(talk, place / f"{n}.mp4", TALK_S) for n, talk in enumerate(talks())]
    length_s = len(recordings) * TALK_S
    found = apart(place / "speed", recordings)
    clips_wall_s = found.get(f"{APART}_wall_s", 0.0)
    times = length_s / (found["wall_s"] - clips_wall_s)
    plain_s = plain_x264_s(recordings[0], 10.0)
    print(
        f"chain: {length_s:.0f} s of 720p in {found['wall_s'] - clips_wall_s:.1f} s on {WORKERS} workers: "
        f"{times:.1f} times real time (limit: at least {LEAST_SPEED:g})"
    )
    if clips_wall_s:
        print(
            f"clips for the browser: {found['clips_s'] / clips_wall_s:.1f} times real time; "
            f"plain x264, one at a time: {10.0 / plain_s:.1f}"
        )
    ratio = LEAST_SPEED / times
    emit("chain, times real time", times, "x", ratio, 1.0, ratio <= 1.0, 1)


def memory(place: Path, minutes: Sequence[float]) -> None:
    peaks = {}
    for length in minutes:
        recording = repeated(talks()[-1], place / f"{length:g}min.mp4", 60 * length)
        found = apart(place / f"memory{length:g}", [recording])
        peaks[length] = max(found["own_peak_mb"], found["child_peak_mb"])
        sum_mb = found["own_peak_mb"] + found["child_peak_mb"]
        print(f"memory, {length:g} min: own {found['own_peak_mb']:.0f} MB, largest child "
              f"{found['child_peak_mb']:.0f} MB, both {sum_mb:.0f} MB")  # fmt: skip
        emit_limited(f"memory, {length:g} min, own and largest child", sum_mb, "MB", MOST_MB, 1)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, nargs="*", default=[10, 60])
    parser.add_argument("--in", dest="folder", type=Path)
    parser.add_argument("--of", dest="recordings", type=Path, nargs="*", default=[])
    asked = parser.parse_args(arguments)
    if asked.folder is not None:
        print(json.dumps(chain(asked.folder, asked.recordings)))
        return
    with tempfile.TemporaryDirectory() as place:
        memory(Path(place), asked.minutes)
        speed(Path(place))


if __name__ == "__main__":
    main(sys.argv[1:])
