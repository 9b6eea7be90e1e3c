"""Shot detectors for the shared decode pass: shown one frame at a time, they find where shots begin.

Most neighbouring frames are plainly alike and some plainly differ. So a detector first takes a rough look, at a
sixteenth of the pixels, and a fine one only where the rough one comes close to its threshold: the cuts are those
of fine looks everywhere, at a quarter of their cost.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from schemas.parts import Span

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
FINE_PX = 256  # the longer side that frames are reduced to, as PySceneDetect does
ROUGH_PX = 64
# Rough and fine looks at fourteen real recordings differ by 1.0 in the score of a change and 1.6 in the level
# at most, and far less in dark pictures.
CONTENT_DOUBT = 6.0
FADE_DOUBT = 3.0
CONTENT_THRESHOLD = 27.0
# With these two, PySceneDetect's own table of the fades in its test video comes out to the frame.
FADE_THRESHOLD = 9.0
FADE_BIAS = 0.25  # where in the black a shot begins: -1 its first frame, 0 the middle, 1 its end
MIN_SHOT_FRAMES = 15


class Look(Protocol):
    """A frame as detectors see it: red, green and blue planes, each uint8 of shape (height, width)."""

    def rough(self) -> Planes: ...
    def fine(self) -> Planes: ...


class ShotDetector(Protocol):
    cuts: list[int]

    def add(self, look: Look) -> None:
        """Takes the next frame; all frames are seen in one size."""


def shot_detector(
    name: Literal["content", "fade"], threshold: float | None, min_shot_frames: int
) -> ContentDetector | FadeDetector:
    """The detector behind a name; `threshold` None means its published default."""
    if name == "fade":
        return FadeDetector(FADE_THRESHOLD if threshold is None else threshold, min_shot_frames)
    return ContentDetector(CONTENT_THRESHOLD if threshold is None else threshold, min_shot_frames)


class ContentDetector:
    """Hard cuts: mean change of hue, saturation and value between neighbouring frames, on 8-bit scales.

    A change closer than `min_shot_frames` to the last one does not cut at once: such changes are merged, and
    one cut is made at the last of them when the picture has been calm for that long.
    Reference: ContentDetector of PySceneDetect 0.7, https://www.scenedetect.com/docs/latest/api/detectors.html
    """

    def __init__(self, threshold: float = CONTENT_THRESHOLD, min_shot_frames: int = MIN_SHOT_FRAMES) -> None:
        self.cuts: list[int] = []
        self._threshold, self._min_frames = threshold, min_shot_frames
        self._index = -1
        self._last: tuple[Look, Planes] | None = (
            None  # the frame before, and its rough hue, saturation, value
        )
        self._last_change = 0
        self._merge_from: int | None = None

    def add(self, look: Look) -> None:
        self._index += 1
        now, last = hsv_planes(*look.rough()), self._last
        self._last = (look, now)
        self._filter(last is not None and self._changed(look, now, *last))

    def _changed(self, look: Look, now: Planes, before: Look, then: Planes) -> bool:
        score = _change(now, then)
        if abs(score - self._threshold) < CONTENT_DOUBT:
            score = _change(hsv_planes(*look.fine()), hsv_planes(*before.fine()))
        return score >= self._threshold

    def _filter(self, changed: bool) -> None:
        calm = self._index - self._last_change >= self._min_frames
        if changed:
            self._last_change = self._index
        if self._merge_from is not None:
            if calm and not changed and self._last_change - self._merge_from >= self._min_frames:
                self._merge_from = None
                self.cuts.append(self._last_change)
        elif changed and calm:
            self.cuts.append(self._index)
        elif changed and self.cuts:  # before the first cut there is nothing to merge with
            self._merge_from = self._index


class FadeDetector:
    """Fades through black: a shot begins a little after the middle between fading out and fading in again.

    A frame is dark when its mean level is below `threshold` (0-255). Black that a recording begins with
    belongs to its first shot.
    Reference: ThresholdDetector of PySceneDetect 0.7, https://www.scenedetect.com/docs/latest/api/detectors.html
    (which also cuts inside leading black).
    """

    def __init__(self, threshold: float = FADE_THRESHOLD, min_shot_frames: int = MIN_SHOT_FRAMES) -> None:
        self.cuts: list[int] = []
        self._threshold, self._min_frames = threshold, min_shot_frames
        self._index = -1
        self._seen_light = False
        self._dark_from: int | None = None
        self._last_fade_in = 0

    def add(self, look: Look) -> None:
        self._index += 1
        level = _level(look.rough())
        if abs(level - self._threshold) < FADE_DOUBT:
            level = _level(look.fine())
        if level < self._threshold:
            if self._dark_from is None:
                self._dark_from = self._index
            return
        if self._dark_from is not None:
            self._fade_in(self._dark_from)
        self._dark_from, self._seen_light = None, True

    def _fade_in(self, dark_from: int) -> None:
        if self._index - self._last_fade_in < self._min_frames:
            return
        if self._seen_light:
            dark = self._index - dark_from
            self.cuts.append(dark_from + round(dark * (1 + FADE_BIAS) / 2))
        self._last_fade_in = self._index


def shots_from_cuts(cuts: list[int], times_s: npt.NDArray[np.float64], duration_s: float) -> tuple[Span, ...]:
    """Shots in source time that cover [0, duration_s]; `cuts` are frame indices into `times_s`."""
    borders = [0.0, *(float(times_s[c]) for c in cuts if 0 < times_s[c] < duration_s), duration_s]
    return tuple(Span(start_s=a, end_s=b) for a, b in itertools.pairwise(borders))


class Looks:
    """Gives detectors looks at the frames of a stream, all in the size of the first one.

    Frames are reduced by nearest neighbour, which is cheap and keeps single pixels unblended.
    """

    def __init__(self) -> None:
        # A scaler for each size: setting one up costs more than using it.
        self._rough, self._fine = VideoReformatter(), VideoReformatter()
        self._size: tuple[int, int] | None = None

    def at(self, frame: Any) -> FrameLook:
        """The look at a decoded PyAV frame."""
        if self._size is None:
            self._size = (frame.width, frame.height)
        return FrameLook(frame, self._size, self._rough, self._fine)


@dataclass(frozen=True)
class FrameLook:
    """A look at a decoded frame, reduced when it is asked for."""

    frame: Any
    size: tuple[int, int]
    rough_scaler: VideoReformatter
    fine_scaler: VideoReformatter
    rough_px: int = ROUGH_PX
    fine_px: int = FINE_PX

    def rough(self) -> Planes:
        return self._planes(self.rough_scaler, self.rough_px)

    def fine(self) -> Planes:
        return self._planes(self.fine_scaler, self.fine_px)

    def _planes(self, scaler: VideoReformatter, longer_px: int) -> Planes:
        factor = max(1.0, max(self.size) / longer_px)
        width, height = (max(1, round(side / factor)) for side in self.size)
        small = scaler.reformat(
            self.frame,
            width=width,
            height=height,
            format="gbrp",
            interpolation=Interpolation.POINT,
            threads=1,
        )
        green, blue, red = (
            np.frombuffer(memoryview(p), np.uint8).reshape(-1, p.line_size)[:height, :width]
            for p in small.planes
        )
        return red, green, blue


def _division_tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Saturation by (value, spread), shape (256, 256), and the fixed-point factor of hue by spread."""
    level = np.arange(1, 256)
    by_value = np.zeros(256, np.int64)
    by_value[1:] = np.rint((255 << 12) / level)
    by_spread = np.zeros(256, np.int32)
    by_spread[1:] = np.rint((180 << 12) / (6.0 * level))
    spread = np.arange(256)[None, :]
    saturation = np.minimum((spread * by_value[:, None] + (1 << 11)) >> 12, 255)
    return saturation.astype(np.uint8), by_spread


_SATURATION, _HUE_FACTOR = _division_tables()


def hsv_planes(red: Plane, green: Plane, blue: Plane) -> Planes:
    """Hue (0-179), saturation (0-255) and value (0-255), rounded as OpenCV rounds its 8-bit HSV."""
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    saturation = _SATURATION.ravel().take((value.astype(np.uint16) << 8) | spread)
    r, g, b, s = (plane.astype(np.int16) for plane in (red, green, blue, spread))
    sector = np.where(value == red, g - b, np.where(value == green, b - r + 2 * s, r - g + 4 * s))
    hue = (sector * _HUE_FACTOR.take(spread) + (1 << 11)) >> 12
    hue += (hue < 0) * np.int32(180)
    return hue.astype(np.uint8), saturation, value


def _change(now: Planes, then: Planes) -> float:
    return sum(_mean_distance(a, b) for a, b in zip(now, then, strict=True)) / 3


def _level(planes: Planes) -> float:
    return sum(float(plane.mean()) for plane in planes) / 3


def _mean_distance(left: Plane, right: Plane) -> float:
    return float((np.maximum(left, right) - np.minimum(left, right)).sum(dtype=np.uint32)) / left.size
