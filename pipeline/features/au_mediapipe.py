"""Faces, head pose and geometric action units from the MediaPipe face mesh, measured in a worker process.

A segment is measured inside its surroundings: a person's rest often lies before or after what they say. Only what
lies in the segment is told.

Reference: Kartynnik et al. 2019, https://arxiv.org/abs/1907.06724 (the mesh); docs/action-units.md (the units).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pipeline.features.active_speaker import MOUTH_OPEN
from pipeline.features.au_events import EventRule
from pipeline.features.au_faces import (
    DEGREES,
    INTENSITY,
    Array,
    Curve,
    Face,
    Window,
    surroundings,
    tell_faces,
    track_notes,
)
from pipeline.features.au_geometry import ACTION_UNITS, Faces, measure_faces, to_pixels
from pipeline.features.au_tracks import Track, face_boxes, track_faces
from pipeline.features.base import Clip, Params
from pipeline.features.pictures import Arrays, by_worker
from schemas.errors import ItemError
from schemas.records import Features

SCRIPT = Path(__file__).resolve().parents[1] / "workers" / "mediapipe_faces.py"
# SHA-256 over the three model files in the wheel of mediapipe 0.10.21; the worker reports what it loaded.
WEIGHTS_DIGEST = "edd0e7f4b90cf3e244c95f5268715224eb7b6f0ff8732838ecfe2ea9810db842"
POSE = ("pitch", "yaw", "roll")


class MediapipeParams(Params):
    """Settings of the backend; every one of them changes the id of what is measured."""

    max_faces: int = Field(default=4, ge=1, le=16)
    min_confidence: float = Field(default=0.5, gt=0, lt=1)  # of the detector and of the mesh
    min_track_frames: int = Field(default=5, ge=1)  # a shorter track is taken for a false face
    rest_context_s: float = Field(default=3.0, ge=0)  # looked at on both sides of a segment, within its shots
    events: EventRule = EventRule()
    frames: dict[str, float] = Field(
        default={}
    )  # how the pictures were sampled; set by the run from [ingest]


class MediapipeAus:
    """Extractor "au.mediapipe": one worker process per call of `extract`."""

    stage: ClassVar[str] = "au"
    name: ClassVar[str] = "mediapipe"
    version: ClassVar[str] = "6"

    def __init__(self, params: MediapipeParams | None = None) -> None:
        self._params = params or MediapipeParams()

    @property
    def params(self) -> dict[str, Any]:
        return self._params.model_dump(mode="json")

    @property
    def weights_digest(self) -> str | None:
        return WEIGHTS_DIGEST

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """One result per clip; the clips without a video stream come first and start no process.

        Raises:
            UserError: the worker's environment cannot be built or started.
        """
        settings = self._params.model_dump(include={"max_faces", "min_confidence"})
        return by_worker(
            self,
            clips,
            SCRIPT,
            what="faces",
            window=lambda clip: surroundings(clip, self._params.rest_context_s),
            settings=settings,
            read=self.read,
        )

    def read(self, clip: Clip, arrays: Arrays) -> Features:
        """The features of one clip from the arrays that the worker left."""
        window = Window.of(arrays["times_s"], clip)
        tracks, dropped = track_faces(
            window.times_s,
            face_boxes(arrays["landmarks"]),
            arrays["scores"].astype(np.float64),
            min_frames=self._params.min_track_frames,
            wanted=window.inside,
        )
        notes = track_notes(dropped)
        faces = []
        for track in tracks:
            mesh = np.full((len(window.times_s), *arrays["landmarks"].shape[2:]), np.nan)
            mesh[track.rows] = arrays["landmarks"][track.rows, track.slots]
            width_px, height_px = (int(size) for size in arrays["size_px"])
            measured = measure_faces(to_pixels(mesh, width_px, height_px))
            faces.append(_face(track, measured))
            notes += _turned(track, measured, window)
        return tell_faces(self, clip, window, faces, rule=self._params.events, notes=notes)


def _face(track: Track, measured: Faces) -> Face:
    """Intensities where they mean something, and the pose wherever the face was seen."""
    units = {cue: np.where(measured.measurable, measured.aus[cue], np.nan) for cue in ACTION_UNITS}
    curves = {cue: Curve(INTENSITY, values) for cue, values in units.items()}
    angles: dict[str, Array] = {f"head_{name}_deg": measured.pose_deg[name] for name in POSE}
    opening = np.where(measured.measurable, measured.mouth_open, np.nan)
    curves[MOUTH_OPEN] = Curve("eye distances", opening)
    return Face(track, curves | {name: Curve(DEGREES, values) for name, values in angles.items()})


def _turned(track: Track, measured: Faces, window: Window) -> list[str]:
    seen = track.within(*window.inside)
    turned = int((~measured.within(*window.inside).measurable[seen.rows]).sum())
    if not turned:
        return []
    return [f"{track.name}: head turned too far or face too small for intensities in {turned} frame(s)"]
