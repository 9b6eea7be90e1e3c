"""Body posture and gestures from MediaPipe's body landmarks, measured in a worker process.

References: Bazarevsky et al. 2020, https://arxiv.org/abs/2006.10204; docs/time-series.md (the measures).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pipeline.features.au_events import EventRule, au_events
from pipeline.features.au_faces import Array, Window, clock_of, rounded
from pipeline.features.base import Clip, Params, features_of
from pipeline.features.pictures import Arrays, by_worker
from pipeline.features.pose_geometry import NOSE, measure_body
from schemas.errors import ItemError
from schemas.parts import Event, Series, Span
from schemas.records import Features

SCRIPT = Path(__file__).resolve().parents[1] / "workers" / "mediapipe_pose.py"
# SHA-256 over the two model files in the wheel of mediapipe 0.10.21; the worker reports what it loaded.
WEIGHTS_DIGEST = "babf28247ffed0a562cf02cb53d113059d41a6d5e6a23795b85603c9bdb84088"
WIDTHS, SPEED = "shoulder widths", "shoulder widths/s"
UNITS = {
    "hand_face_distance": WIDTHS,
    "hand_height": WIDTHS,
    "hand_speed": SPEED,
    "torso_tilt_deg": "deg",
}
FLAG = "_present"
EVENT_RULE = EventRule(apex_level=0.5, apex_rise=0.25, edge_level=0.25, smooth_s=0.0)  # of what is 0 or 1


class PoseParams(Params):
    min_confidence: float = Field(default=0.5, gt=0, lt=1)  # of the person and of the landmarks
    min_event_s: float = Field(default=0.35, ge=0)  # what is there for a shorter time is no event
    frames: dict[str, float] = Field(default={})  # how the pictures were sampled; set by the run


class MediapipePose:
    """Extractor "pose.mediapipe": one worker process per call of `extract`."""

    stage: ClassVar[str] = "pose"
    name: ClassVar[str] = "mediapipe"
    version: ClassVar[str] = "1"

    def __init__(self, params: PoseParams | None = None) -> None:
        self._params = params or PoseParams()

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
        return by_worker(
            self,
            clips,
            SCRIPT,
            what="pose",
            window=lambda clip: Span(start_s=clip.segment.source_start_s, end_s=clip.segment.source_end_s),
            settings=self._params.model_dump(include={"min_confidence"}),
            read=self.read,
        )

    def read(self, clip: Clip, arrays: Arrays) -> Features:
        """The features of one clip from the arrays that the worker left."""
        window = Window.of(arrays["times_s"], clip)
        width_px, height_px = (int(size) for size in arrays["size_px"])
        measures = measure_body(arrays["landmarks"], window.times_s, (width_px, height_px))
        if not measures:
            return features_of(self, clip, missing="no_body")
        clock = clock_of(window.times_s, clip.segment.duration_s)
        series = tuple(
            Series(name=name, unit=UNITS[name], times_s=clock, values=rounded(measures[name]))
            for name in UNITS
        )
        events = [
            event
            for name in measures
            if name.endswith(FLAG)
            for event in self._events(clip, clock, measures, name.removesuffix(FLAG))
        ]
        events.sort(key=lambda event: (event.start_s, event.cue))
        summary = _summary(measures, arrays["landmarks"])
        return features_of(self, clip, series=series, events=tuple(events), summary=summary)

    def _events(
        self, clip: Clip, clock: tuple[float, ...], measures: dict[str, Array], cue: str
    ) -> Iterator[Event]:
        """The stretches in which something is there; of a gesture, with the highest speed of the hands."""
        rule = EVENT_RULE.model_copy(update={"min_duration_s": self._params.min_event_s})
        flags = rounded(measures[cue + FLAG])
        for event in au_events(clock, flags, cue, rule=rule, clip_end_s=clip.segment.duration_s):
            size: dict[str, Any] = {"size": None, "unit": "", "apex_s": None}
            if cue == "gesture":
                speeds = [
                    (speed, time_s)
                    for speed, time_s in zip(measures["hand_speed"], clock, strict=True)
                    if event.start_s <= time_s <= event.end_s and np.isfinite(speed)
                ]
                fastest, apex_s = max(speeds)
                size = {"size": round(float(fastest), 2), "unit": SPEED, "apex_s": apex_s}
            yield event.model_copy(update=size)


def _summary(measures: dict[str, Array], landmarks: Array) -> dict[str, float | None]:
    """The share of frames with a body, where its nose is (shares of the frame), and means over the clip."""
    seen = np.isfinite(landmarks[:, NOSE, 0])
    summary: dict[str, float | None] = {
        "body_share": round(float(seen.mean()), 4),
        "nose_x": round(float(np.median(landmarks[seen, NOSE, 0])), 4),
        "nose_y": round(float(np.median(landmarks[seen, NOSE, 1])), 4),
    }
    for name, values in measures.items():
        known = values[np.isfinite(values)]
        told = name.removesuffix(FLAG) + ("_share" if name.endswith(FLAG) else "_mean")
        summary[told] = round(float(known.mean()), 4) if len(known) else None
    return summary
