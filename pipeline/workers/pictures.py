"""For worker scripts that look at sampled pictures: reading frames, writing arrays, the lines to the caller.

Needs numpy and pyarrow only; imported from the script's folder, in the script's environment.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

PROGRESS_EVERY_FRAMES = 50
TIME_TOLERANCE_S = 1e-6
Message = dict[str, Any]
Send = Callable[[Message], None]


def clips_and_lines() -> tuple[list[Message], Send]:
    """The clips of the manifest, and where to say something.

    Libraries print on standard output as they like; the real one is kept for the JSON lines.
    """
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: Message) -> None:
        lines.write(json.dumps(message) + "\n")
        lines.flush()

    return json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), send


def each_clip(
    clips: list[Message],
    send: Send,
    measure: Callable[[Message], Message],
    code_of: Callable[[Exception], str] = lambda _: "clip_failed",
) -> None:
    """Measure clip after clip; `measure` returns the facts of its "done" message. A failure ends no other."""
    for clip in clips:
        send({"type": "start", "id": clip["id"]})
        try:
            send({"type": "done", "id": clip["id"], **measure(clip)})
        except BrokenPipeError:
            return  # nobody listens any more
        except Exception as error:  # noqa: BLE001  one bad clip must not cost the shard
            full = getattr(error, "errno", None) == errno.ENOSPC
            code = "no_space" if full else code_of(error)
            send(
                {
                    "type": "error",
                    "id": clip["id"],
                    "code": code,
                    "message": f"{type(error).__name__}: {error}",
                }
            )


def rows_between(file: pq.ParquetFile, start_s: float, end_s: float) -> Iterator[tuple[float, bytes]]:
    """The frames of [start_s, end_s) in order; only the row groups that hold some are read."""
    for group in range(file.num_row_groups):
        times_s = file.read_row_group(group, columns=["time_s"]).column("time_s").to_numpy()
        wanted = (times_s >= start_s - TIME_TOLERANCE_S) & (
            times_s < max(end_s, start_s + 1e-3) - TIME_TOLERANCE_S
        )
        if not wanted.any():
            continue
        jpegs = file.read_row_group(group, columns=["jpeg"]).column("jpeg")
        for row in np.flatnonzero(wanted):
            yield float(times_s[row]), jpegs[int(row)].as_py()


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write all at once: a reader never sees half a file."""
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)
