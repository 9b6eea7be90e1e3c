# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["mediapipe==0.10.21", "opencv-contrib-python-headless<4.12", "numpy<2", "pyarrow>=17,<22"]
# [tool.uv]
# override-dependencies = ["jax; sys_platform == 'never'", "jaxlib; sys_platform == 'never'", "sounddevice; sys_platform == 'never'", "sentencepiece; sys_platform == 'never'", "opencv-contrib-python; sys_platform == 'never'"]
# ///
# ruff: noqa: E501  (uv reads the override list from one line)
"""Find the 33 body landmarks of the most prominent person in sampled frames, in an environment of its own.

Usage: uv run --script mediapipe_pose.py MANIFEST.json

The manifest is a list of clips: {"id", "frames" (Parquet: time_s, jpeg), "start_s", "end_s" (source time),
"still" (one picture, no motion to follow), "out" (.npz)}, and the same in all of them: "min_confidence".
Standard output carries JSON lines only, as `mediapipe_faces.py` writes them.

The .npz holds times_s (frames,), landmarks (frames, 33, 4): x and y as shares of the frame's width and height, z,
and visibility in [0, 1] (NaN where nobody), and size_px (width, height).

Reference: Bazarevsky et al. 2020, BlazePose, https://arxiv.org/abs/2006.10204
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from lean import prepare_mediapipe

prepare_mediapipe()

import cv2
import mediapipe as mp
import numpy as np
import pyarrow.parquet as pq
from caller import Send, clips_and_lines, each_clip, end_with_caller, write_npz
from pictures import PROGRESS_EVERY_FRAMES, rows_between

LANDMARKS = 33
WEIGHTS = ("pose_detection/pose_detection.tflite", "pose_landmark/pose_landmark_full.tflite")


class Models:
    """The pose model for moving pictures and the one for stills, each made once per shard when a clip needs it."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence

    def _model(self, *, still: bool) -> Any:
        # Smoothing follows a video of 30 frames per second; at a few it would smear movements.
        return mp.solutions.pose.Pose(
            static_image_mode=still,
            model_complexity=1,
            smooth_landmarks=False,
            min_detection_confidence=self._confidence,
            min_tracking_confidence=self._confidence,
        )

    @cached_property
    def video(self) -> Any:
        return self._model(still=False)

    @cached_property
    def still(self) -> Any:
        return self._model(still=True)

    def of_clip(self, *, still: bool) -> Any:
        """The model of a clip that begins; the person of the clip before is forgotten."""
        if still:
            return self.still
        self.video.reset()
        return self.video


def weights_digest() -> str:
    """SHA-256 (hex) over the model files that are loaded from the wheel."""
    digest = hashlib.sha256()
    for name in WEIGHTS:
        digest.update((Path(mp.__file__).parent / "modules" / name).read_bytes())
    return digest.hexdigest()


def body_of(image: np.ndarray, model: Any) -> np.ndarray:
    """Landmarks (33, 4) of one RGB image; NaN without a person."""
    found = model.process(image).pose_landmarks
    if found is None:
        return np.full((LANDMARKS, 4), np.nan, dtype=np.float32)
    return np.array([(p.x, p.y, p.z, p.visibility) for p in found.landmark], dtype=np.float32)


def process_clip(clip: dict[str, Any], models: Models, send: Send) -> dict[str, Any]:
    """Measure one clip, write its .npz and return the facts of its "done" message."""
    model = models.of_clip(still=clip["still"])
    times_s: list[float] = []
    bodies: list[np.ndarray] = []
    size_px = (0, 0)
    for time_s, jpeg in rows_between(pq.ParquetFile(clip["frames"]), clip["start_s"], clip["end_s"]):
        image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"the frame at {time_s:.3f} s is no readable JPEG")
        times_s.append(time_s)
        bodies.append(body_of(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), model))
        size_px = (image.shape[1], image.shape[0])
        if len(times_s) % PROGRESS_EVERY_FRAMES == 0:
            send({"type": "progress", "id": clip["id"], "frames": len(times_s)})
    write_npz(
        Path(clip["out"]),
        times_s=np.asarray(times_s, dtype=np.float64),
        landmarks=np.stack(bodies) if bodies else np.zeros((0, LANDMARKS, 4), dtype=np.float32),
        size_px=np.asarray(size_px, dtype=np.int64),
    )
    return {"out": clip["out"], "frames": len(times_s)}


def main() -> None:
    end_with_caller()
    clips, send = clips_and_lines()
    cv2.setNumThreads(1)
    models = Models(clips[0]["min_confidence"])
    send({"type": "ready", "mediapipe": mp.__version__, "weights_digest": weights_digest()})
    each_clip(clips, send, lambda clip: process_clip(clip, models, send))


if __name__ == "__main__":
    main()
