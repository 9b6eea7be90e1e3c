"""What every face backend tells of a clip, in one form: tracks, curves, events and a summary.

A backend measures a window around the segment; told is only what lies in the segment (docs/action-units.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.features.au_events import EventRule, au_events
from pipeline.features.au_geometry import MAX_PITCH_DEG, MAX_YAW_DEG
from pipeline.features.au_tracks import Track
from pipeline.features.base import Clip, Extractor, features_of
from schemas.parts import Event, FaceTrack, Series, Span
from schemas.records import Features

DIGITS = 4
INTENSITY, PRESENCE, DEGREES = "intensity", "presence", "deg"  # units of curves
# Units of curves of which a mean over the clip says how the face looks.
SUMMED = (INTENSITY, PRESENCE, "flag", "probability", "score")
TIME_TOLERANCE_S = 1e-6  # as in the workers: frames of [start, end)
# A shot of which the segment holds less than this, and less than its half, is another picture that padding
# touched; its people tell nothing of the segment's.
MIN_SHOT_S = 0.5
Array = npt.NDArray[np.float64]


class Curve(NamedTuple):
    """A measure of one face over the frames of the window, shape (frames,); NaN = not measured."""

    unit: str
    values: Array


class Face(NamedTuple):
    """One face in the window; `curves` by name, in the order in which they are told.

    Curves in `INTENSITY` or `PRESENCE` are action units and have events; `head_pitch_deg` and the like are
    the pose.
    """

    track: Track
    curves: dict[str, Curve]


class Window(NamedTuple):
    """The sampled frames that were looked at: their times from the segment's start, and which lie in it."""

    times_s: Array
    inside: tuple[int, int]  # first, last + 1

    @classmethod
    def of(cls, source_times_s: Array, clip: Clip) -> Window:
        times_s = source_times_s - clip.segment.source_start_s
        edges = np.array([0.0, max(clip.segment.duration_s, 1e-3)]) - TIME_TOLERANCE_S
        first, last = np.searchsorted(times_s, edges)
        return cls(times_s, (int(first), int(last)))


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


def mouth_opening(points: Mapping[str, Array], pitch_deg: Array, yaw_deg: Array) -> Curve:
    """Gap of the inner lips in outer eye distances, of points in a picture: what tells who speaks.

    `points`: x and y of upper lip, lower lip and both outer eye corners, shape (frames,). A turned head shortens
    the distance of the eyes, a raised or lowered one the gap; both are undone, up to the limits of intensities.
    """
    gap = np.hypot(points["upper_x"] - points["lower_x"], points["upper_y"] - points["lower_y"])
    eyes = np.hypot(points["right_x"] - points["left_x"], points["right_y"] - points["left_y"])
    eyes = np.where(eyes > 0, eyes, np.nan)
    opening = gap / eyes * np.cos(np.radians(yaw_deg)) / np.cos(np.radians(pitch_deg))
    measurable = (np.abs(yaw_deg) <= MAX_YAW_DEG) & (np.abs(pitch_deg) <= MAX_PITCH_DEG)
    return Curve("eye distances", np.where(measurable, opening, np.nan))


def track_notes(dropped: int) -> list[str]:
    """What is to be known of tracks that were taken for false."""
    return [f"{dropped} short or unconfirmed face track(s) dropped"] if dropped else []


def tell_faces(
    extractor: Extractor,
    clip: Clip,
    window: Window,
    faces: Sequence[Face],
    *,
    rule: EventRule,
    notes: Sequence[str],
) -> Features:
    """The record of the faces of one clip, the main one first.

    Without any: missing "no_face", or "no_frame" where none was looked at, because one picture is held all the
    time or the segment is shorter than the step between sampled frames.
    """
    if not faces:
        missing = "no_frame" if window.inside[0] == window.inside[1] else "no_face"
        return features_of(extractor, clip, missing=missing, notes=tuple(notes))
    inside = slice(*window.inside)
    clock = clock_of(window.times_s[inside], clip.segment.duration_s)
    seen = [
        Face(
            face.track.within(*window.inside),
            {name: Curve(curve.unit, curve.values[inside]) for name, curve in face.curves.items()},
        )
        for face in faces
    ]
    return features_of(
        extractor,
        clip,
        tracks=tuple(_face_track(face, clock, clip.segment.duration_s) for face in seen),
        series=tuple(series for face in seen for series in _series(face, clock)),
        events=_events(clip, window, faces, rule),
        summary=_summary(seen, len(clock)),
        notes=tuple(notes),
    )


def _events(clip: Clip, window: Window, faces: Sequence[Face], rule: EventRule) -> tuple[Event, ...]:
    """Events of the whole window, cut at the segment's borders, in order of time."""
    first, last = window.inside
    clock = np.round(window.times_s, DIGITS).tolist()
    clock[first:last] = clock_of(window.times_s[first:last], clip.segment.duration_s)
    events: list[Event] = []
    for track, curves in faces:
        for name, (unit, values) in curves.items():
            if unit not in (INTENSITY, PRESENCE):
                continue
            found = au_events(
                clock,
                rounded(values),
                name,
                rule=rule,
                track=track.name,
                confidence=_confidence(track),
                clip_end_s=clip.segment.duration_s,
                wanted=window.inside,
            )
            # That a unit is there says nothing of how strong it is.
            plain: dict[str, Any] = {"size": None, "unit": "", "apex_s": None} if unit == PRESENCE else {}
            events += [event.model_copy(update=plain) for event in found]
    return tuple(sorted(events, key=lambda event: (event.start_s, event.cue, event.track or "")))


def clock_of(times_s: Array, duration_s: float) -> tuple[float, ...]:
    """Rounded times of frames in the segment; rounding carries none across its borders."""
    return tuple(min(max(0.0, round(float(time), DIGITS)), duration_s) for time in times_s)


def rounded(values: Array) -> tuple[float | None, ...]:
    """Few digits keep the records small and stable; NaN becomes None. Adding 0.0 turns -0.0 into 0.0."""
    return tuple(round(float(value), DIGITS) + 0.0 if np.isfinite(value) else None for value in values)


def _series(face: Face, clock: tuple[float, ...]) -> list[Series]:
    return [
        Series(name=name, unit=unit, times_s=clock, values=rounded(values), track=face.track.name)
        for name, (unit, values) in face.curves.items()
    ]


def _confidence(track: Track) -> float | None:
    return None if track.score is None else round(track.score, DIGITS)


def _face_track(face: Face, clock: tuple[float, ...], clip_end_s: float) -> FaceTrack:
    track = face.track
    x0, y0, x1, y1 = (float(side) for side in np.median(track.boxes, axis=0))
    first, last = int(track.rows[0]), int(track.rows[-1])
    # The last frame holds until the next one, or until the clip ends.
    end_s = clock[last + 1] if last + 1 < len(clock) else max(clip_end_s, clock[last])
    return FaceTrack(
        name=track.name,
        start_s=clock[first],
        end_s=end_s,
        frames=len(track.rows),
        box=(round(x0, DIGITS), round(y0, DIGITS), round(x1 - x0, DIGITS), round(y1 - y0, DIGITS)),
        confidence=_confidence(track),
        pose_deg={
            name.removeprefix("head_").removesuffix("_deg"): round(float(np.nanmedian(values)), DIGITS) + 0.0
            for name, (unit, values) in face.curves.items()
            if name.startswith("head_") and np.isfinite(values).any()
        },
    )


def _summary(seen: Sequence[Face], frames: int) -> dict[str, float | None]:
    """Numbers of the main face: highest and mean intensity of each unit, means of what else says how it looks."""
    main = seen[0]
    summary: dict[str, float | None] = {
        "face_share": round(len(main.track.rows) / frames, DIGITS),
        "faces": float(len(seen)),
    }
    for name, (unit, values) in main.curves.items():
        measured = values[np.isfinite(values)]
        if unit == INTENSITY:
            summary[f"{name}_max"] = round(float(measured.max()), DIGITS) if len(measured) else None
        if unit in SUMMED:
            summary[f"{name}_mean"] = round(float(measured.mean()), DIGITS) if len(measured) else None
    return summary
