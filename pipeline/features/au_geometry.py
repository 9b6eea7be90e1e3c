"""Head pose and action-unit intensities from the 478 points of the MediaPipe face mesh, in plain numpy.

Points are pixels: x to the right of the image, y down, z away from the camera in the unit of x (`to_pixels`).
"Left" and "right" are the person's own. Every formula, its zero and its full scale are explained in
docs/action-units.md.

Reference: Ekman, Friesen and Hager 2002, Facial Action Coding System (the units);
Umeyama 1991, doi:10.1109/34.88573 (the fit).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LANDMARKS = 478

# Points that facial expression hardly moves (temples, forehead, eye corners, bridge and tip of the nose) of a
# face that looks straight ahead; unit: the distance of the outer eye corners. The mean of eight people in
# MediaPipe's own mesh, mirrored so that it is symmetric. Only the person's right side is listed.
_RIGID_RIGHT: dict[tuple[int, int], tuple[float, float, float]] = {
    (33, 263): (-0.500, 0.098, -0.043),
    (133, 362): (-0.190, 0.117, -0.102),
    (127, 356): (-0.778, 0.156, 0.516),
    (234, 454): (-0.772, 0.326, 0.570),
    (21, 251): (-0.728, -0.166, 0.255),
    (54, 284): (-0.662, -0.301, 0.117),
    (103, 332): (-0.555, -0.408, -0.028),
}
_RIGID_MIDDLE: dict[int, tuple[float, float, float]] = {
    10: (0.0, -0.518, -0.246),
    151: (0.0, -0.335, -0.284),
    168: (0.0, 0.051, -0.293),
    6: (0.0, 0.141, -0.342),
    197: (0.0, 0.224, -0.397),
    195: (0.0, 0.302, -0.459),
    4: (0.0, 0.489, -0.548),
}

# Landmark indices (right, left).
EYE_CORNERS = (33, 133, 263, 362)
BROW_INNER = (55, 107, 285, 336)
BROW_OUTER = (46, 70, 276, 300)
LIDS = ((160, 144), (159, 145), (158, 153), (387, 373), (386, 374), (385, 380))
IRISES = ((468, 159, (469, 471)), (473, 386, (474, 476)))  # centre, middle of the upper lid, sides
MOUTH_CORNERS = (61, 291)
INNER_LIPS = (13, 14)
NOSE_BASE = 2

# What is measured against the person's own rest: typical value, lowest and highest believed at rest.
RESTING: dict[str, tuple[float, float, float]] = {
    "brow_inner": (0.205, 0.15, 0.26),
    "brow_outer": (0.165, 0.11, 0.21),
    "lid_over_iris": (0.65, 0.40, 0.95),
    "corner_drop": (0.275, 0.24, 0.36),
    "lower_lip_drop": (0.275, 0.23, 0.34),
}

# Beyond this the far side of the face is guessed by the mesh, not seen.
MAX_YAW_DEG, MAX_PITCH_DEG = 40.0, 30.0
MIN_EYE_DISTANCE_PX = 16.0  # outer eye corners; below it a brow's movement is a fraction of a pixel

ACTION_UNITS = ("AU01", "AU02", "AU04", "AU05", "AU12", "AU15", "AU20", "AU25", "AU26", "AU43")


class Faces(NamedTuple):
    """What geometry says of a face in n frames: `aus` and `pose_deg` map a name to values of shape (n,).

    `mouth_open` (n,) is the gap of the inner lips in outer eye distances: what AU25 is read from, not cut off.
    """

    aus: dict[str, Array]
    pose_deg: dict[str, Array]
    mouth_open: Array
    measurable: npt.NDArray[
        np.bool_
    ]  # turned little enough, and large enough, for the intensities to mean something

    def within(self, first: int, last: int) -> Faces:
        """The frames first..last-1."""
        aus, pose_deg = (
            {name: values[first:last] for name, values in curves.items()}
            for curves in (self.aus, self.pose_deg)
        )
        return Faces(aus, pose_deg, self.mouth_open[first:last], self.measurable[first:last])


def _rigid_model() -> tuple[tuple[int, ...], Array]:
    """Indices and coordinates (points, 3) of the reference face."""
    points: dict[int, tuple[float, float, float]] = dict(_RIGID_MIDDLE)
    for (right, left), (x, y, z) in _RIGID_RIGHT.items():
        points[right], points[left] = (x, y, z), (-x, y, z)
    return tuple(points), np.array(list(points.values()), dtype=np.float64)


RIGID_INDICES, RIGID_POINTS = _rigid_model()


def to_pixels(landmarks: npt.ArrayLike, width_px: int, height_px: int) -> Array:
    """Mesh points given as shares of the frame (..., 478, 3) in pixels; MediaPipe scales z like x."""
    return np.asarray(landmarks, dtype=np.float64) * np.array(
        [width_px, height_px, width_px], dtype=np.float64
    )


def fit_head(points: Array) -> tuple[Array, Array, Array]:
    """Turn faces (n, 478, 3) to the front: faces in outer eye distances, rotations, that distance in px.

    The similarity (rotation, scale, shift) that carries the reference face onto the stable points with the
    least squared error is undone. A rotation R carries reference directions to camera directions.
    """
    stable = points[:, RIGID_INDICES]
    centre = stable.mean(axis=1, keepdims=True)
    reference = RIGID_POINTS - RIGID_POINTS.mean(axis=0)
    u, sigma, vt = np.linalg.svd(np.einsum("npi,pj->nij", stable - centre, reference))
    sign = np.ones_like(sigma)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None, :]) @ vt
    scale = (sigma * sign).sum(axis=1) / (reference**2).sum()
    front = (points - centre) @ rotation / scale[:, None, None]
    return front + RIGID_POINTS.mean(axis=0), rotation, scale


def pose_angles_deg(rotation: Array) -> dict[str, Array]:
    """Pitch (+ = chin up), yaw (+ = turned to the person's left), roll (+ = tilted to the person's left).

    `rotation` (n, 3, 3) = Rz(roll) Ry(-yaw) Rx(-pitch) with x right, y down, z away from the camera.
    """
    horizontal = np.hypot(rotation[:, 0, 0], rotation[:, 1, 0])
    angles = {
        "pitch": -np.arctan2(rotation[:, 2, 1], rotation[:, 2, 2]),
        "yaw": np.arctan2(rotation[:, 2, 0], horizontal),
        "roll": np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]),
    }
    return {name: np.degrees(angle) for name, angle in angles.items()}


def _ramp(value: Array, zero: float, full: float) -> Array:
    """0 at `zero`, 1 at `full`, straight between and flat beyond (`full` may be the smaller)."""
    return np.clip((value - zero) / (full - zero), 0.0, 1.0)


def _height(front: Array, indices: tuple[int, ...]) -> Array:
    """Mean y of some points (n,); y grows towards the chin."""
    mean: Array = front[:, indices, 1].mean(axis=1)
    return mean


def _gap(front: Array, a: int, b: int) -> Array:
    """Distance of two points in the frontal plane (n,); depth is left out as the mesh's weakest axis."""
    return np.hypot(front[:, a, 0] - front[:, b, 0], front[:, a, 1] - front[:, b, 1])


def distances(front: Array) -> dict[str, Array]:
    """The distances that the units are read from, shape (n,), in outer eye distances unless said."""
    eye_y = _height(front, EYE_CORNERS)
    eye_width = (_gap(front, 33, 133) + _gap(front, 263, 362)) / 2
    lid_over_iris = [
        (front[:, iris, 1] - front[:, lid, 1]) / (_gap(front, *sides) / 2) for iris, lid, sides in IRISES
    ]
    upper, lower = INNER_LIPS
    return {
        "brow_inner": eye_y - _height(front, BROW_INNER),
        "brow_outer": eye_y - _height(front, BROW_OUTER),
        "eye_aspect": np.mean([_gap(front, a, b) for a, b in LIDS], axis=0) / eye_width,  # a ratio
        "lid_over_iris": np.mean(lid_over_iris, axis=0),  # in iris radii
        "mouth_width": _gap(front, *MOUTH_CORNERS),
        "corner_drop": _height(front, MOUTH_CORNERS) - front[:, NOSE_BASE, 1],
        "corner_rise": _height(front, INNER_LIPS) - _height(front, MOUTH_CORNERS),
        "lip_gap": _gap(front, upper, lower),
        "lower_lip_drop": front[:, lower, 1] - front[:, NOSE_BASE, 1],
    }


def resting(d: dict[str, Array]) -> dict[str, float]:
    """What the distances of `RESTING` are for this person at rest, from `distances` of one track (n frames).

    Of the clip's 10th, 50th and 90th percentile the one nearest to the typical face: a clip that goes from
    rest to an expression rests at the end that looks more like rest. The limits keep a clip that never rests
    (a still, a smile throughout) from being called its own rest.
    """
    rest = {}
    for name, (typical, low, high) in RESTING.items():
        values = d[name][np.isfinite(d[name])]
        levels = np.percentile(values, (10, 50, 90)) if len(values) else np.array([typical])
        rest[name] = float(np.clip(levels[np.argmin(np.abs(levels - typical))], low, high))
    return rest


def intensities(d: dict[str, Array], rest: dict[str, float]) -> dict[str, Array]:
    """Intensities in [0, 1] of `ACTION_UNITS` from `distances` of one person and their `resting` values.

    The numbers are argued in docs/action-units.md.
    """
    moved = {name: d[name] - rest[name] for name in rest}
    wide, raised = _ramp(d["mouth_width"], 0.60, 0.76), _ramp(moved["corner_drop"], -0.015, -0.07)
    return {
        "AU01": _ramp(moved["brow_inner"], 0.020, 0.060),
        "AU02": _ramp(moved["brow_outer"], 0.020, 0.055),
        "AU04": _ramp(moved["brow_inner"], -0.012, -0.040),
        "AU05": _ramp(moved["lid_over_iris"], 0.15, 0.45),
        "AU12": np.sqrt(wide * raised),
        "AU15": _ramp(d["corner_rise"], -0.03, -0.09),
        "AU20": _ramp(d["mouth_width"], 0.64, 0.80) * (1 - raised),
        "AU25": _ramp(d["lip_gap"], 0.02, 0.14),
        "AU26": np.minimum(_ramp(moved["lower_lip_drop"], 0.09, 0.33), _ramp(d["lip_gap"], 0.03, 0.12)),
        "AU43": _ramp(d["eye_aspect"], 0.17, 0.09),
    }


def measure_faces(landmarks: npt.ArrayLike, rest: dict[str, float] | None = None) -> Faces:
    """Intensities and head pose of one person in n frames: landmarks (n, 478, 3) in pixels.

    A frame of NaN gives NaN. `rest` is found from these frames (`resting`) unless it is given.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    seen = np.isfinite(points).all(axis=(1, 2))
    front, rotation, eye_distance_px = fit_head(points[seen])

    def spread(values: Array) -> Array:
        full = np.full(len(points), np.nan)
        full[seen] = values
        return full

    pose_deg = {name: spread(angle) for name, angle in pose_angles_deg(rotation).items()}
    with np.errstate(invalid="ignore"):
        measurable = (np.abs(pose_deg["yaw"]) <= MAX_YAW_DEG) & (np.abs(pose_deg["pitch"]) <= MAX_PITCH_DEG)
        measurable &= spread(eye_distance_px) >= MIN_EYE_DISTANCE_PX
    measured = distances(front)
    if rest is None:
        rest = resting({name: values[measurable[seen]] for name, values in measured.items()})
    aus = {name: spread(values) for name, values in intensities(measured, rest).items()}
    return Faces(aus, pose_deg, spread(measured["lip_gap"]), measurable)


def au_intensities(landmarks: npt.ArrayLike, rest: dict[str, float] | None = None) -> dict[str, float]:
    """Intensities in [0, 1] of one face, landmarks (478, 3) in pixels (see `to_pixels`).

    Without the person's `rest` only what no resting face looks like counts as movement of the brows and lids.
    """
    aus = measure_faces(np.asarray(landmarks, dtype=np.float64)[None], rest).aus
    return {name: float(values[0]) for name, values in aus.items()}


def head_pose_deg(landmarks: npt.ArrayLike) -> dict[str, float]:
    """Pitch, yaw and roll in degrees of one face, landmarks (478, 3) in pixels (signs: `pose_angles_deg`)."""
    pose = measure_faces(np.asarray(landmarks, dtype=np.float64)[None]).pose_deg
    return {name: float(values[0]) for name, values in pose.items()}
