"""Backends that look at pictures in a worker: one process for all clips of a call, one result per clip."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.features.base import Clip, Extractor, features_of
from pipeline.features.worker import run_worker
from schemas.errors import ItemError, UserError
from schemas.parts import Span
from schemas.records import Features

Arrays = dict[str, npt.NDArray[Any]]
Row = dict[str, Any]
Remedies = Mapping[str, Callable[[str], UserError]]


def by_worker(
    extractor: Extractor,
    clips: Iterable[Clip],
    script: Path,
    *,
    what: str,
    window: Callable[[Clip], Span],
    settings: Row,
    read: Callable[[Clip, Arrays], Features],
    fatal: Remedies | None = None,
    device: str = "cpu",
) -> Iterator[tuple[Clip, Features | ItemError]]:
    """One result per clip; the clips without a video stream come first and start no process.

    The worker is asked for the frames of `window` (source time) with `settings`, the same for all clips, and
    leaves arrays that `read` makes a record of. `what` names the backend in messages; `fatal` says what the user
    is told of an error code with which every other clip would fail, too. `device` is what it computes on. Clips
    come back without their sound, which nobody needs to look at pictures.

    Raises:
        UserError: the worker's environment cannot be built or started; a fatal error.
    """
    waiting: dict[str, Clip] = {}
    for number, clip in enumerate(clips):
        if clip.frames is None:
            yield clip, features_of(extractor, clip, missing="no_video_stream")
        else:
            waiting[str(number)] = clip.without_sound()
    if not waiting:
        return
    with tempfile.TemporaryDirectory(prefix="emotrace-pictures-") as folder:
        manifest = [
            settings | _row(clip, key, window(clip), Path(folder) / f"{key}.npz")
            for key, clip in waiting.items()
        ]
        with contextlib.closing(run_worker(script, manifest, device=device)) as messages:
            for message in messages:
                clip = waiting[message["id"]]
                if message["type"] != "error":
                    yield clip, _result(extractor, clip, Path(message["out"]), read)
                    continue
                code, text = message["code"], message["message"]
                if code == "no_space":  # every other clip would fail with it
                    raise UserError("no_space", "no space left", "free disk space, run again", folder)
                if fatal and code in fatal:
                    raise fatal[code](text)
                yield clip, ItemError(code, f"{what}: {text}")


def _row(clip: Clip, key: str, window: Span, out: Path) -> Row:
    return {
        "id": key,
        "frames": str(clip.frames),
        "start_s": window.start_s,
        "end_s": window.end_s,
        "still": clip.source.media.kind == "image",
        "out": str(out),
    }


def _result(
    extractor: Extractor, clip: Clip, path: Path, read: Callable[[Clip, Arrays], Features]
) -> Features | ItemError:
    """The features of one clip from the worker's .npz, which is deleted: a shard may be long."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        path.unlink()
        return read(clip, arrays)
    except Exception as error:  # noqa: BLE001 - one clip must not end the shard
        message = f"{extractor.name}: {type(error).__name__}: {error}"
        return ItemError(f"{extractor.stage}_failed", message)
