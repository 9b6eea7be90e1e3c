"""Measures of made bodies: where the hands are, what moves, what is not seen, what is no person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.pose_geometry import Array, measure_body

SIZE_PX = (640, 480)
TIMES_S = np.arange(10) / 5
# Pixels: shoulder width 120, hands at the sides. Left is the person's own, to the right of the picture.
BODY = {
    0: (320, 130), 9: (328, 145), 10: (312, 145), 11: (380, 220), 12: (260, 220), 13: (400, 300), 14: (240, 300),
    15: (400, 380), 16: (240, 380), 23: (360, 400), 24: (280, 400),
}  # fmt: skip


def landmarks(frames: int = 10, **moved: tuple[float, float]) -> Array:
    """The body in every frame with some points elsewhere (`p15=(x, y)`); fingers lie at their wrists."""
    points = BODY | {int(name[1:]): place for name, place in moved.items()}
    for wrist in (15, 16):
        points |= dict.fromkeys((wrist + 2, wrist + 4, wrist + 6), points[wrist])
    body = np.zeros((frames, 33, 4))
    body[:, :, 3] = 0.1  # guessed
    for index, place in points.items():
        body[:, index] = [place[0] / SIZE_PX[0], place[1] / SIZE_PX[1], 0.0, 0.95]
    return body


def measured(body: Array) -> dict[str, Array]:
    return measure_body(body, TIMES_S[: len(body)], SIZE_PX)


def flags(body: Array) -> set[str]:
    return {
        name.removesuffix("_present")
        for name, values in measured(body).items()
        if name.endswith("_present") and np.nanmax(values) == 1
    }


def test_a_person_at_rest_does_nothing() -> None:
    assert flags(landmarks()) == set()
    assert measured(landmarks())["hand_height"][0] == pytest.approx(-160 / 120)
    assert measured(landmarks())["torso_tilt_deg"][0] == pytest.approx(0, abs=1e-6)


def test_where_the_hands_are() -> None:
    assert flags(landmarks(p15=(340, 160))) == {"hand_near_face", "hand_raised"}
    assert flags(landmarks(p16=(150, 150))) == {"hand_raised"}
    assert flags(landmarks(p15=(270, 300), p16=(370, 300))) == {"arms_crossed"}
    assert flags(landmarks(p15=(335, 300), p16=(305, 300))) == set(), "hands together before the body"
    assert flags(landmarks(p15=(270, 460), p16=(370, 460))) == set(), "below the hips"


def test_a_mirrored_picture_does_not_cross_the_arms() -> None:
    body = landmarks(p15=(270, 300), p16=(370, 300))
    body[..., 0] = 1 - body[..., 0]
    assert flags(body) == {"arms_crossed"}
    rest = landmarks()
    rest[..., 0] = 1 - rest[..., 0]
    assert flags(rest) == set()


def test_hands_that_move_gesture_and_a_camera_that_moves_does_not() -> None:
    body = landmarks()
    body[::2, [15, 17, 19, 21], 0] += 60 / SIZE_PX[0]
    assert flags(body) == {"gesture"}
    assert measured(body)["hand_speed"][1] == pytest.approx(60 / 120 * 5)
    assert np.isnan(measured(body)["hand_speed"][0])
    pan = landmarks()
    pan[::2, :, 0] += 60 / SIZE_PX[0]
    assert flags(pan) == set()


def test_a_torso_that_leans_to_the_persons_left() -> None:
    lean = {
        name: (BODY[int(name[1:])][0] + 60, BODY[int(name[1:])][1])
        for name in ("p11", "p12", "p0", "p9", "p10")
    }
    assert measured(landmarks(**lean))["torso_tilt_deg"][0] == pytest.approx(np.degrees(np.arctan2(60, 180)))


def test_hands_out_of_the_picture_are_not_measured() -> None:
    body = landmarks()
    body[:, 15:23, 3] = 0.2
    found = measured(body)
    for name in (
        "hand_face_distance",
        "hand_height",
        "hand_speed",
        "arms_crossed_present",
        "gesture_present",
    ):
        assert np.isnan(found[name]).all(), name
    assert np.isfinite(found["torso_tilt_deg"]).all()


def test_what_is_no_person_who_sits_or_stands_is_nobody() -> None:
    upside_down = landmarks()
    upside_down[..., 1] = 1 - upside_down[..., 1]
    lying = landmarks()
    lying[..., :2] = lying[..., 1::-1]
    flicker = landmarks()
    flicker[2:] = np.nan
    far = landmarks()
    far[..., :2] = 0.5 + (far[..., :2] - 0.5) / 10
    for body in (upside_down, lying, flicker, far, np.full((5, 33, 4), np.nan), np.zeros((0, 33, 4))):
        assert measured(body) == {}
    assert measured(landmarks(1)), "a still is believed"


@given(st.floats(0.3, 1.4), st.floats(-0.2, 0.2), st.floats(-0.1, 0.1))
def test_neither_size_nor_place_in_the_picture_matter(scale: float, across: float, down: float) -> None:
    body = landmarks(p15=(340, 160), p16=(370, 300))
    moved = body.copy()
    moved[..., :2] = (moved[..., :2] - 0.5) * scale + 0.5 + [across, down]
    one, other = measured(body), measured(moved)
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], atol=1e-6)
