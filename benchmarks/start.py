"""How long people wait before anything happens: the help, and a run that finds nothing to do.

Wall time, as people feel it; the least of the runs stands beside the median, because a busy machine only adds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.paired import emit_limited

RUNS = 9
HELP_TARGET_S = 0.5
NOTHING_TARGET_S = 3.0  # a new process, the imports of all stages, and a look at every record
EMOTRACE = str(Path(sys.executable).with_name("emotrace"))
SETTINGS = """
[project]
name = "start"
[segment]
rule = "whole"
[features.au]
enabled = false
"""


def wall_s(*arguments: str | Path) -> float:
    """Seconds that one call takes, from the shell's side."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("EMOTRACE__")}
    before = time.perf_counter()
    subprocess.run([EMOTRACE, *map(str, arguments)], env=own, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - before


def report(name: str, times_s: list[float], target_s: float) -> None:
    median_s = statistics.median(times_s)
    print(f"{name}: median {median_s:.3f} s, least {min(times_s):.3f} s of {len(times_s)} runs")
    emit_limited(name, median_s, "s", target_s, len(times_s))


def help_times_s() -> list[float]:
    """Of `emotrace --help`, after one call that compiles."""
    wall_s("--help")
    return [wall_s("--help") for _ in range(RUNS)]


def small_project(folder: Path) -> Path:
    """An up-to-date project of three recordings."""
    from tests.pipeline.project import talk, write_settings

    for seed in range(3):
        talk(folder / f"{seed}.mp4", text="The train leaves at nine.", seed=seed)
    project = write_settings(folder / "project", SETTINGS)
    wall_s("ingest", folder, "--speaker", "ann", "--project", project)
    wall_s("run", "--local", "--project", project)
    return project


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = small_project(Path(folder))
        nothing_s = [wall_s("run", "--project", project) for _ in range(RUNS)]
    report("run with nothing to do", nothing_s, NOTHING_TARGET_S)
    report("emotrace --help", help_times_s(), HELP_TARGET_S)


if __name__ == "__main__":
    main()
