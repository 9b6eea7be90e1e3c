# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["py-feat==2.1.5", "numpy>=2,<3", "pillow>=11", "pyarrow>=17,<27"]
# ///
"""Action units, emotion, valence, arousal, gaze and head pose by Py-Feat, in an environment of its own.

Usage: uv run --script pyfeat_faces.py MANIFEST.json

The manifest is a list of clips: {"id", "frames" (Parquet: time_s, jpeg), "start_s", "end_s" (source time), "out"
(.npz)}, and the same in all of them: "multitask" and "face_finder" (files of weights), "device", "batch_size",
"max_faces", "min_confidence". Standard output carries JSON lines only: "ready" once, then per clip "start",
"progress" and one of "done" or "error". Nothing is downloaded. Codes that hold for every clip: "no_device",
"weights_unreadable", "out_of_memory".

The .npz holds times_s (frames,), boxes (frames, faces, 4: x0, y0, x1, y1 as shares of the frame; NaN where no
face), scores (frames, faces), values (frames, faces, measures) and names (measures,) as Py-Feat calls them.

Reference: Cheong et al. 2023, Py-Feat: Python Facial Expression Analysis Toolbox, doi:10.1007/s42761-023-00191-4
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # the weights are given; nothing is fetched behind the user's back

import feat
import feat.utils
import numpy as np
import pyarrow.parquet as pq
import torch
from caller import Message, Send, clips_and_lines, each_clip, end_with_caller, failure, loading, write_npz
from pictures import PROGRESS_EVERY_FRAMES, rows_between
from PIL import Image

POSE = ["Pitch", "Roll", "Yaw"]
GAZE = ["gaze_pitch", "gaze_yaw"]
# Of the mesh only what tells whether the mouth is open: inner lips, outer eye corners (pixels).
MOUTH = [f"mesh_{axis}_{point}" for point in (13, 14, 33, 263) for axis in "xy"]
BOX = ["FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight"]


class DeviceMissing(Exception):  # noqa: N818 - it says what is wrong
    """The device that was asked for is not there."""


class BadWeights(Exception):  # noqa: N818
    """The weights cannot be loaded."""


class Models:
    """The detector, made when the first clip wants it: what fails then is told of a clip and stops the caller."""

    def __init__(self, clip: dict[str, Any]) -> None:
        self._settings = clip
        self._detector: Any = None

    def detector(self, clip: dict[str, Any], send: Send) -> Any:
        if self._detector is None:
            loading(send, "the models")
            self._detector = self._load()
            send({"type": "progress", "id": clip["id"], "frames": 0})
        return self._detector

    def _load(self) -> Any:
        device = self._settings["device"]
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise DeviceMissing(device)
        # Py-Feat takes the face finder's weights from this function alone.
        feat.utils.hf_hub_download_with_fallback = lambda **_: self._settings["face_finder"]
        try:
            # No identity model: who somebody is is nobody's business here.
            return feat.Detectorv2(
                device=device, identity_model=None, multitask_weights=self._settings["multitask"]
            )
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:
            raise BadWeights(f"{type(error).__name__}: {error}") from error


def failure_of(error: Exception) -> Message:
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return failure(error, "out_of_memory")
    codes = {DeviceMissing: "no_device", BadWeights: "weights_unreadable"}
    return failure(error, codes.get(type(error), "clip_failed"))


def picture(jpeg: bytes, time_s: float) -> torch.Tensor:
    """One RGB picture, uint8 (3, height, width)."""
    try:
        with Image.open(io.BytesIO(jpeg)) as image:
            pixels = np.array(image.convert("RGB"))
    except OSError as error:
        raise ValueError(f"the frame at {time_s:.3f} s is no readable JPEG") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def detect(detector: Any, pictures: list[torch.Tensor], clip: dict[str, Any]) -> Any:
    """What Py-Feat finds in some pictures; `frame` counts from the first of them."""
    return detector.detect(
        torch.stack(pictures),
        data_type="tensor",
        batch_size=clip["batch_size"],
        face_detection_threshold=clip["min_confidence"],
        progress_bar=False,
    )


def slots(
    found: Any, names: list[str], frames: int, size_px: tuple[int, int], max_faces: int
) -> list[np.ndarray]:
    """Boxes, scores and values with the same number of slots in every frame, best scored first; empty is NaN."""
    boxes = np.full((frames, max_faces, 4), np.nan)
    scores = np.full((frames, max_faces), np.nan)
    values = np.full((frames, max_faces, len(names)), np.nan)
    scale = np.array([*size_px, *size_px], dtype=np.float64)
    for frame, rows in found.groupby("frame"):
        rows = rows[np.isfinite(rows["FaceRectX"].to_numpy(dtype=np.float64))]
        rows = rows.sort_values("FaceScore", ascending=False).iloc[:max_faces]
        box = rows[BOX].to_numpy(dtype=np.float64, copy=True)
        box[:, 2:] += box[:, :2]
        boxes[int(frame), : len(rows)] = np.clip(box / scale, 0.0, 1.0)
        scores[int(frame), : len(rows)] = rows["FaceScore"].to_numpy(dtype=np.float64)
        values[int(frame), : len(rows)] = rows[names].to_numpy(dtype=np.float64)
    return [boxes, scores, values]


def process_clip(clip: dict[str, Any], models: Models, send: Send) -> dict[str, Any]:
    """Measure one clip, write its .npz and return the facts of its "done" message."""
    detector = models.detector(clip, send)
    faces = [*detector.multitask.au_names, *detector.multitask.emotion_names, "valence", "arousal"]
    names = [*faces, *POSE, *GAZE, *MOUTH]
    times_s: list[float] = []
    parts: list[list[np.ndarray]] = []
    waiting: list[torch.Tensor] = []

    def flush() -> None:
        if waiting:
            size_px = (waiting[0].shape[2], waiting[0].shape[1])
            found = detect(detector, waiting, clip)
            parts.append(slots(found, names, len(waiting), size_px, clip["max_faces"]))
            waiting.clear()
            send({"type": "progress", "id": clip["id"], "frames": len(times_s)})

    for time_s, jpeg in rows_between(pq.ParquetFile(clip["frames"]), clip["start_s"], clip["end_s"]):
        waiting.append(picture(jpeg, time_s))
        times_s.append(time_s)
        if len(waiting) == PROGRESS_EVERY_FRAMES:
            flush()
    flush()
    if not parts:
        parts = [[np.zeros((0, 1, 4)), np.zeros((0, 1)), np.zeros((0, 1, len(names)))]]
    boxes, scores, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    out = Path(clip["out"])
    times = np.asarray(times_s, dtype=np.float64)
    write_npz(out, times_s=times, boxes=boxes, scores=scores, values=values, names=np.array(names))
    return {"out": clip["out"], "frames": len(times_s)}


def main() -> None:
    end_with_caller()
    clips, send = clips_and_lines()
    models = Models(clips[0])
    send({"type": "ready", "py-feat": feat.__version__})
    each_clip(clips, send, lambda clip: process_clip(clip, models, send), failure_of)


if __name__ == "__main__":
    main()
