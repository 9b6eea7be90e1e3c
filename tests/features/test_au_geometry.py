"""Head pose and intensities from a face whose shape and turn are known exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.au_geometry import (
    ACTION_UNITS,
    LANDMARKS,
    RESTING,
    RIGID_INDICES,
    RIGID_POINTS,
    au_intensities,
    distances,
    fit_head,
    head_pose_deg,
    measure_faces,
    to_pixels,
)

Array = npt.NDArray[np.float64]
EYE_Y = 0.1075  # mean height of the four eye corners in the reference face
SIZE_PX = 80.0


def neutral_face() -> Array:
    """A face at rest in outer eye distances: what no unit is read from lies at the origin."""
    face = np.zeros((LANDMARKS, 3))
    face[list(RIGID_INDICES)] = RIGID_POINTS
    for right, left, x, y in (
        (55, 285, 0.16, EYE_Y - 0.20),
        (107, 336, 0.18, EYE_Y - 0.22),
        (46, 276, 0.60, EYE_Y - 0.14),
        (70, 300, 0.58, EYE_Y - 0.18),
        (160, 387, 0.42, 0.06),
        (159, 386, 0.345, 0.06),
        (158, 385, 0.27, 0.06),
        (144, 373, 0.42, 0.15),
        (145, 374, 0.345, 0.15),
        (153, 380, 0.27, 0.15),
        (468, 473, 0.345, 0.10),
        (469, 476, 0.410, 0.10),
        (471, 474, 0.280, 0.10),
        (61, 291, 0.275, 0.925),
    ):
        face[right], face[left] = (-x, y, -0.1), (x, y, -0.1)
    face[2], face[13], face[14] = (0, 0.65, -0.4), (0, 0.92, -0.4), (0, 0.93, -0.4)
    return face


def moved(shifts: dict[tuple[int, ...], tuple[float, float]]) -> Array:
    """The neutral face in pixels with points shifted: x away from the middle, y down, in eye distances."""
    face = neutral_face()
    for indices, (outwards, down) in shifts.items():
        for index in indices:
            face[index, 0] += outwards * np.sign(face[index, 0])
            face[index, 1] += down
    return face * SIZE_PX


def turned(face: Array, pitch: float, yaw: float, roll: float) -> Array:
    """Turn by hand: first the chin up, then to the person's left, then tilted to the left; degrees."""
    p, y, r = np.radians((-pitch, yaw, roll))
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return np.asarray(face @ (about_z @ about_y @ about_x).T)


BROW_INNER, BROW_OUTER = (55, 107, 285, 336), (46, 70, 276, 300)
UPPER_LIDS = (158, 159, 160, 385, 386, 387)
EXPRESSIONS: dict[str, dict[tuple[int, ...], tuple[float, float]]] = {
    "AU01": {BROW_INNER: (0, -0.11)},
    "AU02": {BROW_OUTER: (0, -0.11)},
    "AU04": {BROW_INNER: (-0.02, 0.10)},
    "AU05": {UPPER_LIDS: (0, -0.05)},
    "AU12": {(61, 291): (0.10, -0.09)},
    "AU15": {(61, 291): (0, 0.08)},
    "AU20": {(61, 291): (0.12, 0.03)},
    "AU25": {(14,): (0, 0.09)},
    "AU26": {(14,): (0, 0.35), (61, 291): (0, 0.15)},
    "AU43": {UPPER_LIDS: (0, 0.075)},
}


def test_every_unit_has_an_expression() -> None:
    assert set(EXPRESSIONS) == set(ACTION_UNITS)


def test_a_face_at_rest_shows_nothing() -> None:
    assert all(value == 0 for value in au_intensities(moved({})).values())


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_a_unit_rises_with_its_movement_and_brings_no_stranger(unit: str) -> None:
    rest = {name: float(values[0]) for name, values in distances(fit_head(moved({})[None])[0]).items()}
    rest = {name: rest[name] for name in RESTING}
    result = au_intensities(moved(EXPRESSIONS[unit]), rest)
    company = {"AU26": {"AU25"}, "AU25": {"AU26"}}.get(unit, set())
    assert result[unit] > 0.6
    assert [
        name for name, value in result.items() if value > 0.3 and name != unit and name not in company
    ] == []


@given(
    pitch=st.floats(-25, 25),
    yaw=st.floats(-35, 35),
    roll=st.floats(-60, 60),
    size=st.floats(20, 400),
    unit=st.sampled_from(ACTION_UNITS),
)
def test_the_turn_is_found_and_changes_no_intensity(
    pitch: float, yaw: float, roll: float, size: float, unit: str
) -> None:
    face = moved(EXPRESSIONS[unit])
    seen = turned(face, pitch, yaw, roll) * (size / SIZE_PX) + np.array([320.0, 180.0, 5.0])
    found = head_pose_deg(seen)
    assert found == pytest.approx({"pitch": pitch, "yaw": yaw, "roll": roll}, abs=0.01)
    assert au_intensities(seen) == pytest.approx(au_intensities(face), abs=1e-6)


def test_signs_of_the_pose() -> None:
    face = moved({})
    nose, left_eye, right_eye = 4, 263, 33
    to_the_left = turned(face, 0, 20, 0)
    assert to_the_left[nose, 0] > 0  # the right of the picture
    assert head_pose_deg(to_the_left)["yaw"] == pytest.approx(20, abs=0.01)
    chin_up = turned(face, 15, 0, 0)
    assert chin_up[nose, 1] < face[nose, 1]
    assert head_pose_deg(chin_up)["pitch"] == pytest.approx(15, abs=0.01)
    tilted = turned(face, 0, 0, 10)
    assert tilted[left_eye, 1] > tilted[right_eye, 1]  # the left eye is lower
    assert head_pose_deg(tilted)["roll"] == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize(("unit", "other"), [("AU04", "AU01"), ("AU01", "AU04"), ("AU02", "AU04")])
@pytest.mark.parametrize("rest_frames", [3, 10])
def test_rest_is_the_end_of_the_clip_that_looks_like_rest(unit: str, other: str, rest_frames: int) -> None:
    shifts = {indices: (x, y * 0.35) for indices, (x, y) in EXPRESSIONS[unit].items()}
    clip = np.array([moved({})] * rest_frames + [moved(shifts)] * 10)
    aus = measure_faces(clip).aus
    assert aus[unit][:rest_frames].max() < 0.05
    assert aus[unit][rest_frames:].min() > 0.4
    assert aus[other].max() < 0.05


def test_a_still_of_a_smile_is_a_smile() -> None:
    assert au_intensities(moved(EXPRESSIONS["AU12"]))["AU12"] > 0.6


def test_missing_turned_and_tiny_faces() -> None:
    face = moved({})
    faces = measure_faces(np.array([face, np.full_like(face, np.nan), turned(face, 0, 60, 0), face * 0.1]))
    assert faces.measurable.tolist() == [True, False, False, False]
    assert np.isnan(faces.aus["AU12"][1])
    assert np.isnan(faces.pose_deg["yaw"][1])
    assert faces.pose_deg["yaw"][2] == pytest.approx(60, abs=0.01)
    nobody = measure_faces(np.full((2, LANDMARKS, 3), np.nan))
    assert not nobody.measurable.any()


def test_pixels_use_the_width_for_depth() -> None:
    assert to_pixels(np.array([[0.5, 0.5, 0.1]]), 640, 360).tolist() == [[320.0, 180.0, 64.0]]
