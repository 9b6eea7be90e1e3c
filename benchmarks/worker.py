"""What the boundary of a worker costs: a shard of 100 clips through it, and the same measuring without it.

Without it means: one process in the worker's environment that loads the models once and measures clip after clip.
No uv, no manifest, no messages, nobody who reads them. Both start an interpreter and load the models.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.faces import recording, work
from benchmarks.paired import emit, paired
from pipeline.commands.demo import CLIPS, WORKER, manifest
from pipeline.features.au_mediapipe import SCRIPT
from pipeline.features.worker import build_environment, run_worker, uv_binary

SHARD = 100
CLIP_S = 2.0
RUNS = 5
HIGHEST_RATIO = 1.05
ALONE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import mediapipe_faces as worker
worker.cv2.setNumThreads(1)
models = worker.Models(4, 0.5)
for clip in json.load(open(sys.argv[2])):
    worker.process_clip(clip, models, lambda message: None)
"""


def shard(folder: Path) -> list[dict[str, Any]]:
    """Stretches of a recording of the demo, over and over."""
    (made,) = run_worker(WORKER, manifest(folder, CLIPS[:1]))
    clip = recording(Path(made["out"]), folder)
    turns = max(1, int(clip.segment.source_end_s / CLIP_S))
    return [
        {
            "id": str(number),
            "frames": str(clip.frames),
            "start_s": number % turns * CLIP_S,
            "end_s": (number % turns + 1) * CLIP_S,
            "still": False,
            "out": str(folder / f"{number}.npz"),
        }
        for number in range(SHARD)
    ]


def main() -> None:
    build_environment(SCRIPT)
    find = [uv_binary(), "python", "find", "--script", str(SCRIPT)]
    python = subprocess.run(find, capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = shard(folder)
        written = folder / "rows.json"
        written.write_text(json.dumps(rows), encoding="utf-8")
        alone = [python, "-c", ALONE, str(SCRIPT.parent), str(written)]
        found = paired(
            lambda: work(rows), lambda: subprocess.run(alone, stderr=subprocess.DEVNULL, check=True), RUNS
        )
    print(
        f"{SHARD} clips of {CLIP_S:g} s: {found.a_s:.2f} CPU s through the boundary, {found.b_s:.2f} without"
    )
    told = ", ".join(f"{ratio:.3f}" for ratio in found.ratios)
    print(f"ratios of neighbouring runs: {told}")
    ok = found.ratio <= HIGHEST_RATIO
    emit("worker_boundary", found.a_s, "CPU s", found.ratio, HIGHEST_RATIO, ok, RUNS)


if __name__ == "__main__":
    main()
