"""Faces, action units, emotion scores, valence, arousal, gaze and head pose by Py-Feat, in a worker process.

Reference: Cheong et al. 2023, doi:10.1007/s42761-023-00191-4; docs/action-units.md says what the numbers are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
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
    mouth_opening,
    surroundings,
    tell_faces,
    track_notes,
)
from pipeline.features.au_tracks import track_faces
from pipeline.features.au_weights import PyfeatWeights, pyfeat_weights
from pipeline.features.base import Clip, Params
from pipeline.features.devices import ALONE_ON_GPU
from pipeline.features.pictures import Arrays, by_worker
from schemas.errors import ItemError, UserError
from schemas.records import Features

SCRIPT = Path(__file__).resolve().parents[1] / "workers" / "pyfeat_faces.py"
EMOTIONS = {
    "neutral": "neutral",
    "happy": "happiness",
    "happiness": "happiness",
    "sad": "sadness",
    "sadness": "sadness",
    "surprise": "surprise",
    "fear": "fear",
    "disgust": "disgust",
    "anger": "anger",
    "contempt": "contempt",
}
# Py-Feat's angles are radians; its yaw and roll count to the person's right, ours to the left.
ANGLES = {
    "Pitch": ("head_pitch_deg", 1.0),
    "Yaw": ("head_yaw_deg", -1.0),
    "Roll": ("head_roll_deg", -1.0),
    "gaze_pitch": ("gaze_pitch_deg", 1.0),
    "gaze_yaw": ("gaze_yaw_deg", -1.0),
}
# Its mesh has the points of MediaPipe's: inner lips, and outer eye corners.
MOUTH = {
    f"mesh_{axis}_{point}": f"{name}_{axis}"
    for point, name in ((13, "upper"), (14, "lower"), (33, "right"), (263, "left"))
    for axis in "xy"
}


class PyfeatParams(Params):
    """`weights`, `download`, `device` and `batch_size` say where and how, so they are not in the question:
    what the weights are is in `weights_digest`."""

    weights: str | None = None  # folder, or name of a hub model in the local cache; None: Py-Feat's own
    download: bool = False  # whether weights that are not here may be fetched
    device: str = Field(default="cpu", pattern=r"^(cpu|mps|cuda(:\d+)?)$")
    batch_size: int = Field(default=8, ge=1)
    max_faces: int = Field(default=4, ge=1, le=16)
    min_confidence: float = Field(default=0.5, gt=0, lt=1)  # of the face finder
    min_track_frames: int = Field(default=3, ge=1)
    rest_context_s: float = Field(default=1.0, ge=0)  # looked at on both sides of a segment, within its shots
    events: EventRule = EventRule()
    frames: dict[str, float] = Field(default={})  # how the pictures were sampled; set by the run


class PyfeatAus:
    """Extractor "au.pyfeat": one worker process per call of `extract`."""

    stage: ClassVar[str] = "au"
    name: ClassVar[str] = "pyfeat"
    version: ClassVar[str] = "2"

    def __init__(self, params: PyfeatParams | None = None) -> None:
        """Find the weights.

        Raises:
            UserError: "weights_missing" or "weights_download".
        """
        self._params = params or PyfeatParams()
        self._weights: PyfeatWeights = pyfeat_weights(self._params.weights, download=self._params.download)

    @property
    def params(self) -> dict[str, Any]:
        return self._params.model_dump(mode="json", exclude={"weights", "download", "device", "batch_size"})

    @property
    def device(self) -> str:
        return self._params.device

    @cached_property
    def weights_digest(self) -> str | None:
        return self._weights.digest

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """One result per clip; the clips without a video stream come first and start no process.

        Raises:
            UserError: the worker's environment cannot be built or started; weights that cannot be loaded;
                no such device, or not enough memory on it.
        """
        settings = self._params.model_dump(include={"device", "batch_size", "max_faces", "min_confidence"})
        files = {name: str(path) for name, path in self._weights._asdict().items()}
        return by_worker(
            self,
            clips,
            SCRIPT,
            what="Py-Feat",
            window=lambda clip: surroundings(clip, self._params.rest_context_s),
            settings=settings | files,
            device=self.device,
            read=self.read,
            fatal={
                "no_device": self._no_device,
                "out_of_memory": self._out_of_memory,
                "weights_unreadable": self._bad_weights,
            },
        )

    def read(self, clip: Clip, arrays: Arrays) -> Features:
        """The features of one clip from the arrays that the worker left."""
        window = Window.of(arrays["times_s"], clip)
        tracks, dropped = track_faces(
            window.times_s,
            arrays["boxes"],
            arrays["scores"],
            min_frames=self._params.min_track_frames,
            wanted=window.inside,
        )
        names = [str(name) for name in arrays["names"]]
        faces = []
        for track in tracks:
            values = np.full((len(window.times_s), len(names)), np.nan)
            values[track.rows] = arrays["values"][track.rows, track.slots]
            faces.append(Face(track, pyfeat_curves(dict(zip(names, values.T, strict=True)))))
        return tell_faces(self, clip, window, faces, rule=self._params.events, notes=track_notes(dropped))

    def _no_device(self, _: str) -> UserError:
        message = f'Py-Feat: no device "{self._params.device}" on this machine'
        return UserError("no_device", message, 'set device = "cpu" in [features.au]')

    def _out_of_memory(self, _: str) -> UserError:
        message = f'Py-Feat: not enough memory on "{self._params.device}"'
        lower = f"lower batch_size ({self._params.batch_size}) in [features.au]"
        remedy = f'{lower}, or set device = "cpu"; {ALONE_ON_GPU}'
        return UserError("out_of_memory", message, remedy)

    def _bad_weights(self, why: str) -> UserError:
        message = f"Py-Feat's weights in {self._weights.multitask.parent} cannot be loaded: {why[:300]}"
        return UserError(
            "weights_unreadable", message, "download them again, or set weights to another folder"
        )


def pyfeat_curves(columns: Mapping[str, Array]) -> dict[str, Curve]:
    """Py-Feat's columns under the names and in the units of the records; what has no place there is left out.

    Action units keep their scale: how sure the model is that the unit is there, in [0, 1].
    """
    curves: dict[str, Curve] = {}
    for name, values in columns.items():
        if name.startswith("AU"):
            curves[name] = Curve(INTENSITY, values)
        elif name.lower() in EMOTIONS:
            curves[f"emotion_{EMOTIONS[name.lower()]}"] = Curve("probability", values)
        elif name in ("valence", "arousal"):
            curves[name] = Curve("score", values)
        elif name in ANGLES:
            told, sign = ANGLES[name]
            curves[told] = Curve(DEGREES, sign * np.degrees(values))
    if set(MOUTH) <= set(columns) and {"head_pitch_deg", "head_yaw_deg"} <= set(curves):
        points = {told: columns[name] for name, told in MOUTH.items()}
        turned = (curves[f"head_{angle}_deg"].values for angle in ("pitch", "yaw"))
        curves[MOUTH_OPEN] = mouth_opening(points, *turned)
    return curves
