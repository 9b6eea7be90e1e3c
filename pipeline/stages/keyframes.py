"""Key frames of a segment: the facial peak, and pictures that show something else. Read from the decode pass."""

from __future__ import annotations

from pathlib import Path

from pipeline.media.decode import DECODE_VERSION, frame_at, read_frames
from pipeline.pictures import LIKENESS
from pipeline.pictures.base import Picture, gray_picture, picture_hash
from pipeline.pictures.choose import choose
from pipeline.stages.base import Run
from schemas.errors import MediaError
from schemas.parts import KeyFrame, MediaRef
from schemas.records import Features, Segment
from schemas.registry import resolve

KEY_FRAMES = 4
MAX_PICTURES = 120  # that are compared: all of a segment of 12 s at 10 fps, and of a longer one evenly many
TIME_DIGITS = 3
SLACK_S = 1e-6  # times are rounded


def key_frames(run: Run, segment: Segment, faces: Features | None, track: str | None) -> tuple[KeyFrame, ...]:
    """At most KEY_FRAMES, the most telling first: who shows fewer takes the first ones.

    `track` is the target's face, whose strongest moment is the peak. Empty without pictures.

    Raises:
        MediaError: the recording is gone and the cache does not hold its pictures, or it cannot be decoded.
    """
    source = run.source_of(segment)
    frames = run.media.decoded(source).frames if source.media.video else None
    if frames is None:
        return ()
    recipe = run.media.params.model_dump(mode="json", include={"face_fps", "frame_width_px", "jpeg_quality"})
    peak_s = facial_peak(faces, track)
    at_s = None if peak_s is None else segment.source_start_s + peak_s
    likeness = resolve(
        LIKENESS, run.project.settings.select.key_frame_method, what="way to choose key frames"
    )
    chosen = choose(pictures_of(frames, segment, at_s), likeness(), peak_s=at_s, most=KEY_FRAMES)
    return tuple(
        KeyFrame(
            time_s=_in_segment(picture.time_s, segment),
            reason=reason,
            picture_hash=picture_hash(picture.gray),
            ref=MediaRef(
                kind="image",
                source_id=source.id,
                source_start_s=picture.time_s,
                source_end_s=picture.time_s,
                params=recipe,
                version=DECODE_VERSION,
            ),
        )
        for picture, reason in chosen
    )


def facial_peak(faces: Features | None, track: str | None) -> float | None:
    """When the summed action-unit intensity of a face is largest, in segment time; None when no unit moved."""
    total: dict[float, float] = {}
    for series in faces.series if faces else ():
        if series.name.startswith("AU") and series.track in (None, track):
            for time_s, value in zip(series.times_s, series.values, strict=True):
                if value is not None:
                    total[time_s] = total.get(time_s, 0.0) + value
    if not any(total.values()):
        return None
    return min(total, key=lambda time_s: (-total[time_s], time_s))


def pictures_of(frames: Path, segment: Segment, peak_s: float | None) -> list[Picture]:
    """Pictures of a segment in order of time: all of them, or evenly many and the one at `peak_s` (source time).

    A segment that lies between two sampled frames has the nearest one.
    """
    start_s, end_s = segment.source_start_s, segment.source_end_s
    period_s = segment.duration_s / MAX_PICTURES
    found: list[Picture] = []
    next_s = start_s
    for time_s, jpeg in read_frames(frames, start_s - SLACK_S, end_s):
        is_due = time_s >= next_s - SLACK_S
        if is_due or (peak_s is not None and abs(time_s - peak_s) < 10**-TIME_DIGITS):
            found.append(Picture(time_s, gray_picture(jpeg)))
        while is_due and period_s and next_s <= time_s + SLACK_S:
            next_s += period_s
    if found:
        return found
    middle_s = round((start_s + end_s) / 2, TIME_DIGITS)
    try:
        return [Picture(middle_s, gray_picture(frame_at(frames, middle_s)))]
    except MediaError:  # the pass found no picture at all
        return []


def _in_segment(time_s: float, segment: Segment) -> float:
    return min(segment.duration_s, max(0.0, round(time_s - segment.source_start_s, TIME_DIGITS)))
