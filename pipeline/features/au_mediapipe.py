"""Faces, head pose and geometric action units from the MediaPipe face mesh, measured in a worker process.

A segment is measured inside its surroundings: a person's rest often lies before or after what they say. Only what
lies in the segment is told.

Reference: Kartynnik et al. 2019, https://arxiv.org/abs/1907.06724 (the mesh); docs/action-units.md (the units).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.features.active_speaker import MOUTH_OPEN
from pipeline.features.au_events import EventRule, au_events
from pipeline.features.au_geometry import ACTION_UNITS, Faces, measure_faces, to_pixels
from pipeline.features.au_tracks import Track, face_boxes, track_faces
from pipeline.features.base import Clip, Params, features_of
from pipeline.features.worker import run_worker
from schemas.errors import ItemError, UserError
from schemas.parts import Event, FaceTrack, Series, Span
from schemas.records import Features

SCRIPT = Path(__file__).resolve().parents[1] / "workers" / "mediapipe_faces.py"
# SHA-256 over the three model files in the wheel of mediapipe 0.10.21; the worker reports what it loaded.
WEIGHTS_DIGEST = "edd0e7f4b90cf3e244c95f5268715224eb7b6f0ff8732838ecfe2ea9810db842"
DIGITS = 4
POSE = ("pitch", "yaw", "roll")
TIME_TOLERANCE_S = 1e-6  # as in the worker: frames of [start, end)
# A shot of which the segment holds less than this, and less than its half, is another picture that padding
# touched; its people tell nothing of the segment's.
MIN_SHOT_S = 0.5
Array = npt.NDArray[np.float64]


class MediapipeParams(Params):
    """Settings of the backend; every one of them changes the id of what is measured."""

    max_faces: int = Field(default=4, ge=1, le=16)
    min_confidence: float = Field(default=0.5, gt=0, lt=1)  # of the detector and of the mesh
    min_track_frames: int = Field(default=3, ge=1)  # a shorter track is taken for a false face
    rest_context_s: float = Field(default=3.0, ge=0)  # looked at on both sides of a segment, within its shots
    events: EventRule = EventRule()
    frames: dict[str, float] = Field(
        default={}
    )  # how the pictures were sampled; set by the run from [ingest]


class MediapipeAus:
    """Extractor "au.mediapipe": one worker process per call of `extract`."""

    stage: ClassVar[str] = "au"
    name: ClassVar[str] = "mediapipe"
    version: ClassVar[str] = "4"

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
        waiting: dict[str, Clip] = {}
        for number, clip in enumerate(clips):
            if clip.frames is None:
                yield clip, self._features(clip, missing="no_video_stream")
            else:
                waiting[str(number)] = clip
        if not waiting:
            return
        with tempfile.TemporaryDirectory(prefix="emotrace-faces-") as folder:
            manifest = [self._manifest_row(key, clip, Path(folder)) for key, clip in waiting.items()]
            with contextlib.closing(run_worker(SCRIPT, manifest)) as messages:
                for message in messages:
                    clip = waiting[message["id"]]
                    if message["type"] != "error":
                        yield clip, self._result(clip, Path(message["out"]))
                    elif message["code"] == "no_space":  # every other clip would fail with it
                        raise UserError("no_space", "no space left", "free disk space, run again", folder)
                    else:
                        yield clip, ItemError(message["code"], f"faces: {message['message']}")

    def _manifest_row(self, key: str, clip: Clip, folder: Path) -> dict[str, Any]:
        window = surroundings(clip, self._params.rest_context_s)
        return {
            "id": key,
            "frames": str(clip.frames),
            "start_s": window.start_s,
            "end_s": window.end_s,
            "still": clip.source.media.kind == "image",
            "out": str(folder / f"{key}.npz"),
            "max_faces": self._params.max_faces,
            "min_confidence": self._params.min_confidence,
        }

    def _result(self, clip: Clip, path: Path) -> Features | ItemError:
        try:
            return self._read(clip, path)
        except Exception as error:  # noqa: BLE001 - one clip must not end the shard
            return ItemError("au_failed", f"faces: {type(error).__name__}: {error}")

    def _read(self, clip: Clip, path: Path) -> Features:
        """The features of one clip from the worker's .npz, which is deleted: a shard may be long."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        path.unlink()
        times_s: Array = arrays["times_s"] - clip.segment.source_start_s
        inside = _inside(times_s, clip.segment.duration_s)
        tracks, dropped = track_faces(
            times_s,
            face_boxes(arrays["landmarks"]),
            arrays["scores"].astype(np.float64),
            min_frames=self._params.min_track_frames,
            wanted=inside,
        )
        notes = [f"{dropped} short or unconfirmed face track(s) dropped"] if dropped else []
        if inside[0] == inside[1]:
            notes.append("no sampled frame lies in this segment")
        if not tracks:
            return self._features(clip, missing="no_face", notes=notes)
        width_px, height_px = (int(size) for size in arrays["size_px"])
        faces = []
        for track in tracks:
            mesh = np.full((len(times_s), *arrays["landmarks"].shape[2:]), np.nan)
            mesh[track.rows] = arrays["landmarks"][track.rows, track.slots]
            faces.append(measure_faces(to_pixels(mesh, width_px, height_px)))
        events = self._events(clip, times_s, inside, tracks, faces)
        clock = _clock(times_s[slice(*inside)], clip.segment.duration_s)
        seen = [
            (track.within(*inside), face.within(*inside)) for track, face in zip(tracks, faces, strict=True)
        ]
        return self._assemble(clip, clock, seen, events, notes)

    def _events(
        self, clip: Clip, times_s: Array, inside: tuple[int, int], tracks: list[Track], faces: list[Faces]
    ) -> list[Event]:
        """Events of the whole window, cut at the segment's borders, in order of time."""
        first, last = inside
        clock = np.round(times_s, DIGITS).tolist()
        clock[first:last] = _clock(times_s[first:last], clip.segment.duration_s)
        events: list[Event] = []
        for track, face in zip(tracks, faces, strict=True):
            for cue in ACTION_UNITS:
                events += au_events(
                    clock,
                    _intensities(face, cue),
                    cue,
                    rule=self._params.events,
                    track=track.name,
                    confidence=_confidence(track),
                    clip_end_s=clip.segment.duration_s,
                    wanted=inside,
                )
        return sorted(events, key=lambda event: (event.start_s, event.cue, event.track or ""))

    def _assemble(
        self,
        clip: Clip,
        clock: tuple[float, ...],
        seen: list[tuple[Track, Faces]],
        events: list[Event],
        notes: list[str],
    ) -> Features:
        """The features from what lies in the segment."""
        series: list[Series] = []
        for track, face in seen:
            if turned := int((~face.measurable[track.rows]).sum()):
                notes.append(
                    f"{track.name}: head turned too far or face too small for intensities in {turned} frame(s)"
                )
            for cue in ACTION_UNITS:
                values = _intensities(face, cue)
                series.append(
                    Series(name=cue, unit="intensity", times_s=clock, values=values, track=track.name)
                )
            opening = _rounded(np.where(face.measurable, face.mouth_open, np.nan))
            series.append(
                Series(name=MOUTH_OPEN, unit="eye distances", times_s=clock, values=opening, track=track.name)
            )
            for angle in POSE:
                values = _rounded(face.pose_deg[angle])
                name = f"head_{angle}_deg"
                series.append(Series(name=name, unit="deg", times_s=clock, values=values, track=track.name))
        return self._features(
            clip,
            tracks=[_face_track(*pair, clock, clip.segment.duration_s) for pair in seen],
            series=series,
            events=events,
            summary=_summary(seen, len(clock)),
            notes=notes,
        )

    def _features(self, clip: Clip, **measured: Any) -> Features:
        frozen = {
            name: tuple(value) if isinstance(value, list) else value for name, value in measured.items()
        }
        return features_of(self, clip, **frozen)


def surroundings(clip: Clip, context_s: float) -> Span:
    """The stretch that is looked at, in source time: the segment and `context_s` around it, within its shots.

    A shot that the segment only touches adds nothing; without known shots the whole source is one.
    """
    start_s, end_s = clip.segment.source_start_s, clip.segment.source_end_s
    shots = clip.shots or (Span(start_s=0.0, end_s=max(clip.source.media.duration_s, end_s)),)
    enough_s = min(MIN_SHOT_S, (end_s - start_s) / 2)
    held = [s for s in shots if min(s.end_s, end_s) - max(s.start_s, start_s) >= enough_s]
    first_s = min((shot.start_s for shot in held), default=start_s)
    last_s = max((shot.end_s for shot in held), default=end_s)
    return Span(
        start_s=min(start_s, max(first_s, start_s - context_s)),
        end_s=max(end_s, min(last_s, end_s + context_s)),
    )


def _inside(times_s: Array, duration_s: float) -> tuple[int, int]:
    """The frames first..last-1 that lie in the segment, [0, duration)."""
    edges = np.array([0.0, max(duration_s, 1e-3)]) - TIME_TOLERANCE_S
    first, last = np.searchsorted(times_s, edges)
    return int(first), int(last)


def _clock(times_s: Array, duration_s: float) -> tuple[float, ...]:
    """Rounded times of frames in the segment; rounding carries none across its borders."""
    return tuple(min(max(0.0, round(float(time), DIGITS)), duration_s) for time in times_s)


def _intensities(face: Faces, cue: str) -> tuple[float | None, ...]:
    return _rounded(np.where(face.measurable, face.aus[cue], np.nan))


def _rounded(values: Array) -> tuple[float | None, ...]:
    """Few digits keep the records small and stable; NaN becomes None. Adding 0.0 turns -0.0 into 0.0."""
    return tuple(round(float(value), DIGITS) + 0.0 if np.isfinite(value) else None for value in values)


def _confidence(track: Track) -> float | None:
    return None if track.score is None else round(track.score, DIGITS)


def _face_track(track: Track, face: Faces, clock: tuple[float, ...], clip_end_s: float) -> FaceTrack:
    x0, y0, x1, y1 = (float(side) for side in np.median(track.boxes, axis=0))
    first, last = int(track.rows[0]), int(track.rows[-1])
    # The last frame holds until the next one, or until the clip ends.
    end_s = clock[last + 1] if last + 1 < len(clock) else max(clip_end_s, clock[last])
    box = (round(x0, DIGITS), round(y0, DIGITS), round(x1 - x0, DIGITS), round(y1 - y0, DIGITS))
    return FaceTrack(
        name=track.name,
        start_s=clock[first],
        end_s=end_s,
        frames=len(track.rows),
        box=box,
        confidence=_confidence(track),
        pose_deg={name: round(float(np.nanmedian(face.pose_deg[name])), DIGITS) + 0.0 for name in POSE},
    )


def _summary(seen: list[tuple[Track, Faces]], frames: int) -> dict[str, float | None]:
    """Numbers of the main face: highest and mean intensity of each unit, the share of frames that show it."""
    track, main = seen[0]
    summary: dict[str, float | None] = {
        "face_share": round(len(track.rows) / frames, DIGITS),
        "faces": float(len(seen)),
    }
    for cue in ACTION_UNITS:
        values = main.aus[cue][main.measurable]
        summary[f"{cue}_max"] = round(float(values.max()), DIGITS) if len(values) else None
        summary[f"{cue}_mean"] = round(float(values.mean()), DIGITS) if len(values) else None
    return summary
