"""What the 33 body landmarks of one person honestly tell, in plain numpy: where hands are, how they move, how the
torso stands.

Lengths are in shoulder widths (the median of the clip), so that distance from the camera does not matter. Only x
and y are used: depth is a guess of the model. "Left" and "right" are the person's own. docs/time-series.md says
what each measure means and what is not claimed.

Reference: Bazarevsky et al. 2020, https://arxiv.org/abs/2006.10204 (the landmarks).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

NOSE, MOUTH = 0, (9, 10)
SHOULDERS, HIPS = (11, 12), (23, 24)  # left, right
ELBOWS, WRISTS = (13, 14), (15, 16)
HANDS = ((15, 17, 19, 21), (16, 18, 20, 22))  # wrist, little finger, index, thumb

VISIBLE = 0.5  # a landmark below is guessed, not seen
NEAR_FACE = 0.45  # of a hand's nearest landmark to the middle of nose and mouth: it touches, or nearly does
RAISED = 0.15  # a wrist this far above the line of the shoulders
CROSSED = 0.10  # each wrist this far beyond the body's midline, on the other side
MOVING = 0.9  # shoulder widths per second: faster than hands drift at rest
MAX_STEP_S = 0.5  # across a longer hole no speed is known
MIN_SHOULDER_PX = 24.0  # below it a shoulder width is a few pixels of noise
# The model finds somebody in drawings and landscapes, too. A person who sits or stands has the head above the
# shoulders, by about this much in shoulder widths, and these nearly level.
HEAD_ABOVE = (0.15, 2.0)
MAX_SLOPE = 0.7  # of the line of the shoulders
BELIEVED_SHARE = 0.7  # of the frames with somebody that must look so
MIN_FRAMES = 3  # that must look so; a still has one


def measure_body(landmarks: npt.ArrayLike, times_s: Array, size_px: tuple[int, int]) -> dict[str, Array]:
    """Measures by name, shape (frames,), NaN where not seen, of `landmarks` (frames, 33, 4) as the worker writes.

    Names that end in `_present` are 0 or 1. Empty where nobody is seen who sits or stands.
    """
    body = np.asarray(landmarks, dtype=np.float64)
    points = body[..., :2] * np.array(size_px, dtype=np.float64)
    points = np.where((body[..., 3] >= VISIBLE)[..., None], points, np.nan)
    believed = _looks_like_a_person(points)
    found, enough = np.isfinite(body[:, NOSE, 0]).sum(), min(MIN_FRAMES, len(body))
    if believed.sum() < max(enough, 1, BELIEVED_SHARE * found):
        return {}
    points = np.where(believed[:, None, None], points, np.nan)
    unit_px = float(np.nanmedian(_width(points)))
    if unit_px < MIN_SHOULDER_PX:
        return {}
    points = points / unit_px
    shoulders = points[:, SHOULDERS]
    distance, speed = _hand_to_face(points), _hand_speed(points, times_s)
    raised, crossed = _highest_hand(points, shoulders), _crossing(points, shoulders)
    return {
        "hand_face_distance": distance,
        "hand_height": raised,
        "hand_speed": speed,
        "torso_tilt_deg": _tilt_deg(points, shoulders),
        "hand_near_face_present": _flag(distance, distance <= NEAR_FACE),
        "hand_raised_present": _flag(raised, raised >= RAISED),
        "arms_crossed_present": _flag(crossed, crossed >= CROSSED),
        "gesture_present": _flag(speed, speed >= MOVING),
    }


def _width(points: Array) -> Array:
    width: Array = np.hypot(*(points[:, SHOULDERS[0]] - points[:, SHOULDERS[1]]).T)
    return width


def _looks_like_a_person(points: Array) -> npt.NDArray[np.bool_]:
    """Frames in which head and shoulders are seen where those of a person who sits or stands are."""
    shoulders = points[:, SHOULDERS]
    width = _width(points)
    slope = np.abs(shoulders[:, 0, 1] - shoulders[:, 1, 1])
    above = shoulders[:, :, 1].mean(axis=1) - points[:, NOSE, 1]
    low, high = HEAD_ABOVE
    believed: npt.NDArray[np.bool_] = (
        (slope <= MAX_SLOPE * width) & (above >= low * width) & (above <= high * width)
    )
    return believed


def _flag(measured: Array, holds: npt.NDArray[np.bool_]) -> Array:
    return np.where(np.isfinite(measured), holds.astype(np.float64), np.nan)


def _least(values: Array) -> Array:
    """The least of what was seen along the last axis; NaN where nothing was."""
    least: Array = np.where(np.isfinite(values), values, np.inf).min(axis=-1)
    return np.where(np.isfinite(least), least, np.nan)


def _hand_to_face(points: Array) -> Array:
    """From the middle of nose and mouth to the nearest landmark of a hand."""
    face = points[:, (NOSE, *MOUTH)].mean(axis=1, keepdims=True)
    hands = points[:, (*HANDS[0], *HANDS[1])]
    return _least(np.hypot(*np.moveaxis(hands - face, -1, 0)))


def _highest_hand(points: Array, shoulders: Array) -> Array:
    """How far the higher wrist is above the line of the shoulders (y grows downwards)."""
    line = shoulders[:, :, 1].mean(axis=1, keepdims=True)
    return -_least(points[:, WRISTS, 1] - line)


def _hand_speed(points: Array, times_s: Array) -> Array:
    """Speed of the faster wrist since the frame before, against the shoulders: a moving camera is no gesture."""
    middle = points[:, SHOULDERS].mean(axis=1, keepdims=True)
    wrists = points[:, WRISTS] - middle
    speed = np.full(len(times_s), np.nan)
    if len(times_s) > 1:
        steps_s = np.diff(times_s)
        moved = np.hypot(*np.moveaxis(np.diff(wrists, axis=0), -1, 0))
        fastest = -_least(-moved / steps_s[:, None])
        speed[1:] = np.where(steps_s <= MAX_STEP_S, fastest, np.nan)
    return speed


def _crossing(points: Array, shoulders: Array) -> Array:
    """How far both wrists are beyond the midline on the other side, between shoulders and hips; else negative.

    The lesser of the two counts. Hips are often outside the picture: then twice the shoulder width down.
    """
    middle = shoulders.mean(axis=1)
    across = np.sign(shoulders[:, 0, 0] - shoulders[:, 1, 0])  # where the person's left is in the picture
    left, right = points[:, WRISTS[0]], points[:, WRISTS[1]]
    beyond = np.minimum(across * (middle[:, 0] - left[:, 0]), across * (right[:, 0] - middle[:, 0]))
    hips_y = points[:, HIPS, 1].mean(axis=1)
    bottom = np.where(np.isfinite(hips_y), hips_y, middle[:, 1] + 2.0)
    heights = np.stack([left[:, 1], right[:, 1]], axis=1)
    with np.errstate(invalid="ignore"):
        before_chest = ((heights > middle[:, 1:2]) & (heights < bottom[:, None])).all(axis=1)
    crossing: Array = np.where(np.isfinite(beyond) & ~before_chest, np.minimum(beyond, -1.0), beyond)
    return crossing


def _tilt_deg(points: Array, shoulders: Array) -> Array:
    """How far the torso leans sideways in the picture (+ = to the person's left); needs the hips."""
    hips = points[:, HIPS]
    up = shoulders.mean(axis=1) - hips.mean(axis=1)
    across = np.sign(shoulders[:, 0, 0] - shoulders[:, 1, 0])
    tilt: Array = np.degrees(np.arctan2(across * up[:, 0], -up[:, 1]))
    return tilt
