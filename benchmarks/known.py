"""What 10,000 known recordings cost when nothing is new: a second ingest and a second run.

Run: python -m benchmarks.known [--files 2000]
The recordings are short sounds with a transcript beside each. To take them in for the first time needs minutes.
Wall and CPU time of whole commands, from the shell's side.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

from benchmarks.paired import cpu_s, emit_limited

FILES, RUNS = 10_000, 5
TARGET_S = 3.0
RATE_HZ = 16_000
EMOTRACE = str(Path(sys.executable).with_name("emotrace"))
SETTINGS = """
[project]
name = "known"
[segment]
rule = "whole"
[select]
require = "any"
[policy]
accept_probability = 0.0
accept_confidence = 0.0
accept_s_final = 0.0
min_margin = 0.0
random_review_share = 0.0
"""


def make_recordings(folder: Path, files: int) -> None:
    """Sounds of a fifth of a second that differ in their noise, each with the same words beside it."""
    folder.mkdir()
    words = "1\n00:00:00,000 --> 00:00:00,200\nI am so happy today\n"
    for number in range(files):
        noise = np.random.default_rng(number).normal(0, 300, RATE_HZ // 5).astype("<i2")
        with wave.open(str(folder / f"{number:05}.wav"), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(noise.tobytes())
        (folder / f"{number:05}.srt").write_text(words, encoding="utf-8")


def emotrace(*arguments: str | Path) -> tuple[float, float]:
    """Wall and CPU seconds of one command."""
    wall, cpu = time.perf_counter(), cpu_s()
    subprocess.run([EMOTRACE, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - wall, cpu_s() - cpu


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=FILES)
    files = parser.parse_args(arguments).files
    with tempfile.TemporaryDirectory() as place:
        recordings, project = Path(place, "recordings"), Path(place, "project")
        make_recordings(recordings, files)
        project.mkdir()
        (project / "emotrace.toml").write_text(SETTINGS, encoding="utf-8")
        commands: dict[str, tuple[str | Path, ...]] = {
            "ingest": ("ingest", recordings, "--project", project),
            "run": ("run", "--local", "--project", project),
        }
        for name, command in commands.items():
            print(f"first {name}, {files} files: {emotrace(*command)[0]:.1f} s", flush=True)
        for name, command in commands.items():
            walls, cpus = zip(*(emotrace(*command) for _ in range(RUNS)), strict=True)
            wall, cpu = statistics.median(walls), statistics.median(cpus)
            print(
                f"second {name}, {files} files: wall {wall:.2f} s, least {min(walls):.2f} s, CPU {cpu:.2f} s"
            )
            emit_limited(f"second {name}, {files} files, CPU", cpu, "s", TARGET_S, RUNS)


if __name__ == "__main__":
    main(*sys.argv[1:])
