"""What landmarks say of a face: the reference of the evidence benchmark for everything that is seen.

Landmarks are taken anew from every frame of the recordings (25 a second), or stand in the table of OpenFace.
Geometry is made here, in the picture's plane and in millimetres by the distance of the outer eye corners: 89 mm
(Farkas 1994). Head angles come from the tip of the nose, which stands half that distance before the eyes. What
lies between "surely not" and "surely" is not decided. Of a picture the published output of Py-Feat decides as
well.

The reference differs in kind from what is checked: an intensity of an action unit is no distance, and units
that no landmark shows (a frown that only wrinkles the skin) are not in it.

Reference: Farkas 1994, Anthropometry of the Head and Face; Soukupova and Cech 2016 (eye aspect ratio).
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.evidence_media import OPENFACE_TABLE, Piece
from benchmarks.evidence_probes import Probe, Truth, claim, said_how
from pipeline.features.au_mediapipe import SCRIPT
from pipeline.features.worker import run_worker
from pipeline.media.decode import DecodeParams, decode
from pipeline.media.probe import probe
from schemas.cues import cue_table
from schemas.parts import Direction

Values = npt.NDArray[np.float64]
EYES_MM, NOSE_MM = 89.0, 45.0
MESH = {
    "eye_r": 33, "eye_l": 263, "nose": 4, "base": 2, "mouth_r": 61, "mouth_l": 291, "upper": 13, "lower": 14,
    "chin": 152, "brow_r": 107, "brow_l": 336, "outer_r": 70, "outer_l": 300,
}  # fmt: skip
MESH_EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))
DLIB = {
    "eye_r": 36, "eye_l": 45, "nose": 30, "base": 33, "mouth_r": 48, "mouth_l": 54, "upper": 62, "lower": 66,
    "chin": 8, "brow_r": 21, "brow_l": 22, "outer_r": 18, "outer_l": 25,
}  # fmt: skip
DLIB_EYES = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
FRONTAL_DEG = 15.0  # farther turned, distances in the picture's plane are not decided


@dataclass
class Face:
    """Measures of one face over time, in mm and degrees of the picture's plane; NaN where none was found."""

    times_s: Values
    mm: dict[str, Values]


def geometry(times_s: Values, points: Values, names: dict[str, int], eyes: Sequence[Sequence[int]]) -> Face:
    """`points` (frames, landmarks, 2) in pixels, x to the right and y down."""
    at = {name: points[:, index] for name, index in names.items()}
    across = at["eye_l"] - at["eye_r"]
    roll = np.arctan2(across[:, 1], across[:, 0])
    scale = EYES_MM / np.hypot(across[:, 0], across[:, 1])
    middle = (at["eye_l"] + at["eye_r"]) / 2

    def upright(name: str) -> Values:
        away = at[name] - middle
        x = away[:, 0] * np.cos(roll) + away[:, 1] * np.sin(roll)
        y = -away[:, 0] * np.sin(roll) + away[:, 1] * np.cos(roll)
        return np.stack([x * scale, y * scale], axis=1)

    up = {name: upright(name) for name in names}
    ratio = [_eye_ratio(points, corners) for corners in eyes]
    lips_y = (up["upper"][:, 1] + up["lower"][:, 1]) / 2
    return Face(
        times_s,
        {
            "roll": np.degrees(roll),
            "yaw": np.degrees(np.arcsin(np.clip(up["nose"][:, 0] / NOSE_MM, -1, 1))),
            "pitch": -np.degrees(np.arcsin(np.clip((up["nose"][:, 1] - 38.0) / NOSE_MM, -1, 1))),
            "mouth": np.hypot(*(up["mouth_l"] - up["mouth_r"]).T),
            "gap": up["lower"][:, 1] - up["upper"][:, 1],
            "corners": lips_y - (up["mouth_l"][:, 1] + up["mouth_r"][:, 1]) / 2,
            "jaw": up["chin"][:, 1] - up["base"][:, 1],
            "inner": -(up["brow_r"][:, 1] + up["brow_l"][:, 1]) / 2,
            "outer": -(up["outer_r"][:, 1] + up["outer_l"][:, 1]) / 2,
            "eyes": np.mean(ratio, axis=0),
        },
    )


def _eye_ratio(points: Values, corners: Sequence[int]) -> Values:
    p = [points[:, corner] for corner in corners]
    heights = np.hypot(*(p[1] - p[5]).T) + np.hypot(*(p[2] - p[4]).T)
    return heights / (2 * np.hypot(*(p[0] - p[3]).T))


def of_recordings(paths: dict[str, Path], folder: Path) -> dict[str, Face]:
    """The face of each recording or picture, frame by frame; what stands in `folder` from before is taken."""
    rows = []
    for name, path in paths.items():
        arrays = folder / f"{name}.npz"
        if arrays.exists():
            continue
        facts = probe(path)
        decoded = decode(path, facts, folder / name, DecodeParams(face_fps=25.0))
        rows.append(
            {
                "id": name, "frames": str(decoded.frames), "start_s": 0.0, "end_s": facts.duration_s + 1.0,
                "still": facts.kind == "image", "out": str(arrays), "max_faces": 1, "min_confidence": 0.5,
            }
        )  # fmt: skip
    for message in run_worker(SCRIPT, rows) if rows else ():
        if message["type"] == "error":
            raise SystemExit(message["message"])
    return {name: _read(folder / f"{name}.npz") for name in paths}


def _read(arrays: Path) -> Face:
    with np.load(arrays) as found:
        size = np.asarray(found["size_px"], dtype=np.float64)
        return geometry(found["times_s"], found["landmarks"][:, 0, :, :2] * size, MESH, MESH_EYES)


def of_table(table: Path) -> Face:
    """The face in a table of OpenFace, its frames at 30 a second."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    points = np.array([[[float(row[f"{axis}_{n}"]) for axis in "xy"] for n in range(68)] for row in rows])
    return geometry(np.arange(len(rows)) / 30, points, DLIB, DLIB_EYES)


# Of each cue: the measure, whether against the recording's own rest, "surely not" up to here, "surely" from here
# (falling where the second is smaller), and how long it is held in s.
BOUNDS: dict[str, tuple[str, bool, float, float, float]] = {
    "AU12": ("mouth", False, 53.5, 60.0, 0.12),
    "smile": ("mouth", False, 53.5, 60.0, 0.5),
    "broad_smile": ("mouth", False, 55.0, 64.0, 0.5),
    "AU25": ("gap", False, 2.5, 7.0, 0.12),
    "AU26": ("jaw", True, 5.0, 16.0, 0.12),
    "AU01": ("inner", True, 1.8, 4.5, 0.16),
    "AU02": ("outer", True, 1.8, 4.5, 0.16),
    "AU04": ("inner", True, -1.4, -3.5, 0.16),
    "AU15": ("corners", False, -3.5, -8.0, 0.16),
    "AU20": ("mouth", False, 57.0, 70.0, 0.16),
    "AU43": ("eyes", False, 0.20, 0.10, 0.5),
    "head_tilt": ("roll", False, 7.5, 12.5, 0.3),
    "head_averted": ("yaw", False, 13.0, 28.0, 0.3),
    "head_turn": ("yaw", False, 9.0, 22.0, 0.0),
    "nod": ("pitch", False, 3.0, 8.0, 0.0),
    "head_shake": ("yaw", False, 3.0, 8.0, 0.0),
}
SIGNLESS = ("head_tilt", "head_averted")
SLOW_EDGE_S = 0.3  # what happens beside a span may be meant


def level(cue: str, face: Face, start_s: float, end_s: float) -> tuple[float, float] | None:
    """The level that is held long enough: inside the span, and in the span with its surroundings."""
    name, against_rest, low, high, held_s = BOUNDS[cue]
    values = face.mm[name]
    if against_rest:
        values = values - np.nanmedian(values)
    if cue in SIGNLESS:
        values = np.abs(values)
    sign = 1.0 if high > low else -1.0
    found = []
    for edge_s in (0.0, max(SLOW_EDGE_S, held_s)):
        at = (face.times_s >= start_s - edge_s) & (face.times_s <= end_s + edge_s)
        part = values[at]
        part = part[~np.isnan(part)]
        if len(part) < 2 and len(face.times_s) > 1:
            return None
        found.append(_number(cue, part, face, held_s, sign))
    return found[0], found[1]


def _number(cue: str, part: Values, face: Face, held_s: float, sign: float) -> float:
    if cue == "head_turn":
        return float(np.percentile(part, 95) - np.percentile(part, 5))
    if cue in ("nod", "head_shake"):
        return _legs(part, 3 if cue == "head_shake" else 2)
    step_s = float(np.median(np.diff(face.times_s))) if len(face.times_s) > 1 else 1.0
    count = max(1, min(len(part), round(held_s / step_s)))
    windows = np.lib.stride_tricks.sliding_window_view(sign * part, count)
    return sign * float(windows.min(axis=1).max())


def _legs(part: Values, legs: int) -> float:
    """The smallest leg of the best movement there and back: by every pair and triple of extremes, smoothed."""
    smooth = np.convolve(part, np.ones(3) / 3, mode="valid") if len(part) > 4 else part
    turns = [
        0,
        *(
            n
            for n in range(1, len(smooth) - 1)
            if (smooth[n] - smooth[n - 1]) * (smooth[n + 1] - smooth[n]) < 0
        ),
        len(smooth) - 1,
    ]
    best = 0.0
    for i in range(len(turns)):
        for j in range(i + 1, len(turns)):
            first = smooth[turns[j]] - smooth[turns[i]]
            for k in range(j + 1, len(turns)):
                second = smooth[turns[k]] - smooth[turns[j]]
                if first * second < 0 and legs == 2:
                    best = max(best, min(abs(first), abs(second)))
                elif first * second < 0:
                    later = [
                        abs(smooth[turns[m]] - smooth[turns[k]])
                        for m in range(k + 1, len(turns))
                        if (smooth[turns[m]] - smooth[turns[k]]) * first > 0
                    ]
                    best = max(best, min(abs(first), abs(second), max(later, default=0.0)))
    return float(best)


def decided(cue: str, levels: tuple[float, float] | None, direction: Direction) -> tuple[Truth | None, bool]:
    """Sure and present, sure and absent, or between; near where it is within half of the gap of a bound."""
    if levels is None:
        return None, False
    _, _, low, high, _ = BOUNDS[cue]
    share = [(value - low) / (high - low) for value in levels]
    near = any(-0.5 <= value <= 1.5 for value in share)
    if min(share) >= 1:
        return ("contradicted" if direction == "absent" else "supported"), near
    if max(share) <= 0:
        return ("supported" if direction == "absent" else "contradicted"), near
    return None, near


# Cues of a length, and the cue whose bounds say what is surely there and surely not.
LENGTHS = {
    "brief_smile": "AU12",
    "steady_smile": "AU12",
    "brief_frown": "AU04",
    "steady_frown": "AU04",
    "brief_brow_raise": "AU02",
}
BRIEF_S, NOT_BRIEF_S, STEADY, NOT_STEADY = (0.3, 1.7), 2.4, 0.85, 0.6


def lasts(cue: str, face: Face, start_s: float, end_s: float) -> bool | None:
    """Whether an expression is brief (or lasts through the span), None where that is not sure."""
    name, against_rest, low, high, _ = BOUNDS[LENGTHS[cue]]
    sign = 1.0 if high > low else -1.0
    values = sign * (face.mm[name] - np.nanmedian(face.mm[name]) if against_rest else face.mm[name])
    near = (face.times_s >= start_s - SLOW_EDGE_S) & (face.times_s <= end_s + SLOW_EDGE_S)
    if np.isnan(values[near]).any() or not near.any():
        return None
    if values[near].max() <= sign * low:
        return False
    inside = values[(face.times_s >= start_s) & (face.times_s <= end_s)]
    if cue.startswith("steady"):
        if np.mean(inside >= sign * high) >= STEADY:
            return True
        return False if np.mean(inside > sign * low) <= NOT_STEADY else None
    if inside.max(initial=-np.inf) < sign * high or len(face.times_s) == 1:
        return None
    step_s = float(np.median(np.diff(face.times_s)))
    sure, may = (np.count_nonzero(values >= sign * bound) * step_s for bound in (high, low))
    if BRIEF_S[0] <= sure and may <= BRIEF_S[1]:
        return True
    return False if sure >= NOT_BRIEF_S else None


def seen(pieces: Sequence[Piece], data: Path, scratch: Path, rng: random.Random) -> Iterator[Probe]:
    """Claims about faces and heads."""
    folder = scratch / "landmarks"
    folder.mkdir(exist_ok=True)
    shown = [
        piece
        for piece in pieces
        if not piece.source.file.endswith((".wav", ".flac", ".m4a")) and piece.source.name != "cartoon"
    ]
    faces = of_recordings(
        {piece.source.name: piece.path for piece in shown if piece.source.name != "openface"}, folder
    )
    faces["openface"] = of_table(data / OPENFACE_TABLE)
    for piece in shown:
        yield from seen_in(piece, faces[piece.source.name], rng, "landmarks")


def seen_in(piece: Piece, face: Face, rng: random.Random, reference: str) -> Iterator[Probe]:
    """Claims that the measures of a face decide."""
    still = not piece.source.duration_s
    length_s = piece.sample.duration_s
    spans = [(0.0, round(length_s, 2))]
    if not still:
        spans += [
            (round(a * length_s, 2), round(b * length_s, 2)) for a, b in ((0.0, 0.4), (0.3, 0.7), (0.6, 1.0))
        ]
    measured = {series.name for one in piece.features for series in one.series}
    for span in spans:
        at = (span[0] + piece.start_s, span[1] + piece.start_s)
        turned = np.nanmax(np.abs(face.mm["yaw"])) > FRONTAL_DEG
        if not turned:
            yield from _lengths(piece, face, span, rng, reference)
        for name, (measure, against_rest, *_) in BOUNDS.items():
            cue = cue_table().cues[name]
            if cue.feature not in measured or measure not in face.mm:
                continue
            if still and (against_rest or cue.feature.startswith("head")):
                continue
            word, direction = said_how(cue, rng)
            item = claim(word, "visual", span, direction)
            if turned and not cue.feature.startswith("head"):
                yield Probe(piece, item, None, f"{reference}: the head is turned")
                continue
            truth, near = decided(name, level(name, face, *at), direction)
            yield Probe(piece, item, truth, reference, near)


def _lengths(
    piece: Piece, face: Face, span: tuple[float, float], rng: random.Random, reference: str
) -> Iterator[Probe]:
    measured = {series.name for one in piece.features for series in one.series}
    still = not piece.source.duration_s
    for name, base in LENGTHS.items():
        cue, (measure, against_rest, *_) = cue_table().cues[name], BOUNDS[base]
        if cue.feature not in measured or measure not in face.mm or (still and against_rest):
            continue
        word, direction = said_how(cue, rng)
        holds = lasts(name, face, span[0] + piece.start_s, span[1] + piece.start_s)
        truth: Truth | None = None
        if holds is not None:
            truth = "supported" if holds != (direction == "absent") else "contradicted"
        yield Probe(piece, claim(word, "visual", span, direction), truth, f"{reference}: length")
