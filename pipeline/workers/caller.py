"""For every worker script: its clips, the lines to its caller, whole files, and an end when the caller ends.

Standard library only (numpy where arrays are written); imported from the script's folder, in its environment.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Message = dict[str, Any]
Send = Callable[[Message], None]


def end_with_caller() -> None:
    """Leave when the caller is gone, even when it was killed: then its end of the pipe closes."""

    def wait() -> None:
        while os.read(0, 1024):  # not sys.stdin, whose lock a waiting thread would hold at exit
            pass
        os._exit(1)

    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=wait, daemon=True).start()


def clips_and_lines() -> tuple[list[Message], Send]:
    """The clips of the manifest, and where to say something.

    Libraries print on standard output as they like; the real one is kept for the JSON lines.
    """
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: Message) -> None:
        lines.write(json.dumps(message, default=float) + "\n")  # numbers of numpy among them
        lines.flush()

    return json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), send


def loading(send: Send, what: str) -> None:
    """Tell what is loaded now: it takes long, and no clip is to blame when the process dies of it."""
    send({"type": "loading", "what": what})


def failure(error: Exception, code: str = "clip_failed") -> Message:
    """The code and message of an "error" line."""
    full = getattr(error, "errno", None) == errno.ENOSPC
    return {"code": "no_space" if full else code, "message": f"{type(error).__name__}: {error}"}


def each_clip(
    clips: list[Message],
    send: Send,
    measure: Callable[[Message], Message],
    failure_of: Callable[[Exception], Message] = failure,
) -> None:
    """Measure clip after clip; `measure` returns the facts of its "done" message. A failure ends no other."""
    for clip in clips:
        send({"type": "start", "id": clip["id"]})
        try:
            send({"type": "done", "id": clip["id"], **measure(clip)})
        except BrokenPipeError:
            return  # nobody listens any more
        except Exception as error:  # noqa: BLE001  one bad clip must not cost the shard
            send({"type": "error", "id": clip["id"], **failure_of(error)})


def write_npz(path: Path, **arrays: Any) -> None:
    """Write arrays all at once: a reader never sees half a file."""
    import numpy as np

    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)
