"""CPU of the demo's pictures, each one remap of a face, without encoding.

The result is each recording's dearest frame, and of these the median, because a busy machine only adds. The
mouths are drawn before, once per speaker and opening; what they cost is told beside it.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.paired import emit, emit_limited
from pipeline.commands.demo import WORKER, manifest
from pipeline.features.worker import run_worker

LIMIT_MS = 10.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for row in manifest(Path(folder)) if row["face"]]
        films = list(run_worker(WORKER, rows))
    for film in films:
        print(
            f"{film['id']}: {film['frame_ms']:.1f} CPU ms per frame, dearest {film['dearest_frame_ms']:.1f}, "
            f"mouths {film['mouths_ms']:.0f} in all"
        )
    emit("demo_frames_median", median(films, "frame_ms"), "CPU ms", None, None, True, len(films))
    emit_limited("demo_frames", median(films, "dearest_frame_ms"), "CPU ms", LIMIT_MS, len(films))


def median(films: list[dict[str, Any]], what: str) -> float:
    return statistics.median(film[what] for film in films)


if __name__ == "__main__":
    main()
