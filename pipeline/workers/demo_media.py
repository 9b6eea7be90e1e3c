# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["mediapipe==0.10.21", "opencv-contrib-python-headless<4.12", "numpy<2", "scikit-image==0.26.0", "espeakng-loader==0.2.4", "av>=15,<19"]
# [tool.uv]
# override-dependencies = ["jax; sys_platform == 'never'", "jaxlib; sys_platform == 'never'", "sounddevice; sys_platform == 'never'", "sentencepiece; sys_platform == 'never'", "opencv-contrib-python; sys_platform == 'never'"]
# ///
# ruff: noqa: E501  (uv reads the override list from one line)
"""Make the demo's recordings: a warped public-domain portrait that speaks with a synthetic voice.

Usage: uv run --script demo_media.py MANIFEST.json

The manifest is a list of clips (`pipeline.commands.demo.manifest` makes it): {"id", "out" (.mp4 or .wav), "subtitles" (.srt or
null), "speech" [{"text", "pitch", "rate", "range"}], "voice", "level_db", "tail_s", "face" {"mirror", "eye_distance_px",
"stretch", "backdrop", "gain"} or null, "expression" {"AU12": 1.0, ...}}. Standard output carries JSON lines only:
"ready" once, then per clip "start" and one of "done" or "error"; "done" says what a picture cost: CPU ms of each, and of the
mouths drawn beforehand. Same manifest, same machine: same bytes.

The portrait is NASA's of Eileen Collins, shipped with scikit-image (public domain); it smiles. A field takes the smile
away, so that a smile is the untouched photo; other expressions displace the neutral face. Each frame is one remap
of a picture whose mouth was drawn before. The voice is eSpeak NG (`demo_voice.py`).

Reference: Bookstein 1989, thin-plate splines, https://doi.org/10.1109/34.24792; Ekman & Friesen 1978, FACS.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from lean import prepare_mediapipe

prepare_mediapipe()

import av
import cv2
import mediapipe as mp
import numpy as np
import skimage.data
from caller import clips_and_lines, each_clip, end_with_caller
from demo_voice import FPS, Speech, loudness, speak, write_srt, write_wav

SIZE_PX = 384
GRID_PX = 8  # fields are smooth: solve on a coarse grid, interpolate to pixels
OPENING_STEPS = 32  # mouth openings are drawn once per step and kept

# MediaPipe face mesh indices. "Right" is the person's right: the left half of an unmirrored picture.
CANTHI = (33, 263)  # outer eye corners, right and left
UPPER_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
UPPER_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LOWER_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_FACE_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 234, 127, 162, 21, 54, 103, 67, 109, 323, 93)
JAW = (361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132)
NOSE = (1, 2, 4, 98, 327, 129, 358, 6, 168)
UPPER_LIDS = (161, 160, 159, 158, 157, 388, 387, 386, 385, 384)
LOWER_LIDS = (163, 144, 145, 153, 154, 390, 373, 374, 380, 381)
EYE_CORNERS = (33, 133, 263, 362)
INNER_BROW, OUTER_BROW = (107, 55, 336, 285), (70, 63, 46, 53, 300, 293, 276, 283)
MID_BROW_IN, MID_BROW_OUT = (66, 65, 296, 295), (105, 52, 334, 282)
LOWER_LIP_MIDDLE = (181, 84, 17, 314, 405)
MOUTH_SIDES = (185, 146, 409, 375, 40, 91, 270, 321)
EYES_AND_BROWS = UPPER_LIDS + LOWER_LIDS + EYE_CORNERS + INNER_BROW + MID_BROW_IN + MID_BROW_OUT + OUTER_BROW
STILL = UPPER_FACE_OVAL + NOSE + EYES_AND_BROWS

# Full-scale displacements per action unit: landmarks -> (outward, down), in outer-canthus distances.
ACTION_UNITS: dict[str, tuple[tuple[tuple[int, ...], float, float], ...]] = {
    "AU01": ((INNER_BROW, 0.0, -0.10), (MID_BROW_IN, 0.0, -0.065), (MID_BROW_OUT, 0.0, -0.025)),
    "AU02": ((OUTER_BROW, 0.0, -0.085), (MID_BROW_OUT, 0.0, -0.06), (MID_BROW_IN, 0.0, -0.03)),
    "AU04": ((INNER_BROW, -0.05, 0.065), (MID_BROW_IN, -0.035, 0.055), (MID_BROW_OUT, -0.015, 0.045)),
    "AU05": ((UPPER_LIDS, 0.0, -0.03), (LOWER_LIDS, 0.0, 0.008)),
    "AU07": ((UPPER_LIDS, 0.0, 0.014), (LOWER_LIDS, 0.0, -0.012)),
    "AU15": (((61, 291), 0.0, 0.10), (MOUTH_SIDES, 0.0, 0.055)),
    "AU17": ((LOWER_LIP_MIDDLE, 0.0, -0.018), ((152, 148, 377), 0.0, -0.01)),
}
JAW_DROP = 0.24  # AU26 at full scale, in outer-canthus distances
CORNERS_IN, CORNERS_DOWN = 0.35, 0.45  # how far the mouth's corners move with it, as shares of the drop


# --- fields: (SIZE, SIZE, 2) float32, added to a pixel's place they give where its colour comes from -----------


PLACES = np.stack(np.meshgrid(*[np.arange(SIZE_PX, dtype=np.float32)] * 2), axis=-1)  # of the pixels: x, y
# How places move when the head turns by one radian about the middle.
TURN = np.stack([SIZE_PX / 2 - PLACES[..., 1], PLACES[..., 0] - SIZE_PX / 2], axis=-1)


def remap(image: np.ndarray, field: np.ndarray, interpolation: int = cv2.INTER_CUBIC) -> np.ndarray:
    return cv2.remap(image, PLACES + field, None, interpolation, borderMode=cv2.BORDER_REFLECT)


def spline_field(places: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Thin-plate spline through `moves` (n, 2) at `places` (n, 2) in px, at rest on the picture's border."""
    steps = np.linspace(0, 1, 5)
    border = np.array([(x, y) for x in steps for y in steps if x in (0, 1) or y in (0, 1)])
    centres = np.vstack([places / SIZE_PX, border])
    values = np.vstack([moves, np.zeros_like(border)])

    def design(points: np.ndarray) -> np.ndarray:
        squared = (points[:, :1] - centres[:, 0]) ** 2 + (points[:, 1:] - centres[:, 1]) ** 2
        return np.hstack([squared * np.log(squared + 1e-12), np.ones((len(points), 1)), points])

    n = len(centres)
    system = np.zeros((n + 3, n + 3))
    system[:n] = design(centres)
    system[:n, :n] += 1e-6 * np.eye(n)
    system[n:, :n] = system[:n, n:].T
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((3, 2))]))
    ticks = np.arange(0, SIZE_PX + GRID_PX, GRID_PX) / SIZE_PX
    nodes = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    coarse = (design(nodes) @ weights).reshape(len(ticks), len(ticks), 2).astype(np.float32)
    return cv2.remap(coarse, PLACES / GRID_PX, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def move_field(after: np.ndarray, before: np.ndarray, ids: tuple[int, ...]) -> np.ndarray:
    """The field that carries the landmarks `ids` from `before` to `after` (478, 2)."""
    chosen = sorted(set(ids))
    return spline_field(after[chosen], before[chosen] - after[chosen])


def above(line: np.ndarray) -> np.ndarray:
    """Weight (SIZE, SIZE, 1): 1 above the line of points (n, 2), 0 below, soft beyond its two ends."""
    line = line[np.argsort(line[:, 0])]
    columns = np.arange(SIZE_PX)
    height = np.interp(columns, line[:, 0], line[:, 1])
    beyond = np.maximum(0, np.maximum(line[0, 0] - columns, columns - line[-1, 0]))
    weight = (height - PLACES[..., 1]) / (1 + 1.5 * beyond) + 0.5
    return np.clip(weight, 0, 1)[..., None].astype(np.float32)


# --- the portrait ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Portrait:
    """The smiling picture (SIZE, SIZE, 3) RGB, its landmarks (478, 2) in px, and those of the neutral face."""

    image: np.ndarray
    points: np.ndarray
    neutral: np.ndarray
    unit_px: float  # distance of the outer eye corners


def load_portrait(
    mirror: bool, eye_distance_px: float, stretch: float, backdrop: list[float], gain: list[float]
) -> Portrait:
    """The portrait with level eyes at a fixed place; `stretch` widens it, `backdrop` and `gain` are RGB factors."""
    photo = skimage.data.astronaut()
    if mirror:
        photo = np.ascontiguousarray(photo[:, ::-1])
    doubled = cv2.resize(photo, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
        marks = mesh.process(doubled).multi_face_landmarks[0].landmark
    points = np.array([(mark.x, mark.y) for mark in marks]) * photo.shape[0]
    right, left = points[CANTHI[0]], points[CANTHI[1]]
    axis = (left - right) / np.hypot(*(left - right))
    scale = eye_distance_px / np.hypot(*(left - right))
    turn = scale * np.array([axis * (stretch, stretch), (-axis[1], axis[0])])
    shift = SIZE_PX * np.array([0.5, 0.47]) - turn @ ((left + right) / 2)
    size = (SIZE_PX, SIZE_PX)
    matrix = np.hstack([turn, shift[:, None]])
    image = cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    with mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0) as segmentation:
        person = cv2.GaussianBlur(segmentation.process(image).segmentation_mask, (0, 0), 1.5)[..., None]
    graded = image * (person + (1 - person) * np.array(backdrop)) * np.array(gain)
    placed = points @ turn.T + shift
    unit_px = eye_distance_px * stretch
    return Portrait(
        np.clip(graded, 0, 255).astype(np.uint8), placed, neutral_points(placed, unit_px), unit_px
    )


def neutral_points(points: np.ndarray, unit_px: float) -> np.ndarray:
    """Where the landmarks lie when the mouth is closed and at rest: narrower, corners down on the lips' seam."""
    neutral = points.copy()
    middle_x = points[[61, 291], 0].mean()
    narrower = 0.55 * unit_px / (points[291, 0] - points[61, 0])
    seam_y = points[13, 1] + 0.07 * unit_px
    for outer, inner, side, fuller in (
        (UPPER_OUTER, UPPER_INNER, -1, 1.3),
        (LOWER_OUTER, LOWER_INNER, 1, 1.15),
    ):
        for place, (out, inn) in enumerate(zip(outer, inner, strict=True)):
            thickness = abs(points[out, 1] - points[inn, 1]) * fuller if 0 < place < len(outer) - 1 else 0
            x = middle_x + (points[[out, inn], 0] - middle_x) * narrower
            # Each lip reaches a little over the seam, so that no tooth shines through.
            neutral[inn] = (x[1], seam_y - side * 0.02 * unit_px * (thickness > 0))
            neutral[out] = (x[0], seam_y + side * thickness)
    return neutral


class Face:
    """One speaker's face with the mouth at rest or smiling, open by any step, and how its expressions move it."""

    def __init__(self, portrait: Portrait) -> None:
        self.portrait = portrait
        smile, rest = portrait.points, portrait.neutral
        seam = rest[list(UPPER_INNER)] * (1, 0) + (0, rest[78, 1])
        upper = move_field(rest, smile, STILL + JAW + UPPER_OUTER + UPPER_INNER[1:-1])
        lower = move_field(rest, smile, STILL + JAW + LOWER_OUTER + LOWER_INNER[1:-1])
        weight = above(seam)
        self.neutralise = weight * upper + (1 - weight) * lower
        self.seam_shade = self._line_shade(seam[1:-1], 0.012, 0.45)
        glabella = (rest[107] + rest[336]) / 2
        sides = [glabella + np.array([x, 0]) * portrait.unit_px for x in (-0.06, 0.06)]
        down = np.array([0, 0.09]) * portrait.unit_px
        self.frown_shade = np.maximum.reduce(
            [self._line_shade(np.array([s, s + down]), 0.025, 0.22) for s in sides]
        )
        self.smiling = functools.cache(self._smiling)
        self.neutral = functools.cache(self._neutral)

    def _line_shade(self, line: np.ndarray, width: float, depth: float) -> np.ndarray:
        """Darkening (SIZE, SIZE, 1) along a line of points; `width` in outer-canthus distances."""
        canvas = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
        cv2.polylines(canvas, [np.round(line * 16).astype(np.int32)], False, 255, 1, cv2.LINE_AA, 4)
        blurred = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), width * self.portrait.unit_px)
        return (depth * blurred / blurred.max())[..., None]

    def _smiling(self, step: int) -> np.ndarray:
        """The smiling picture with the jaw dropped by step / OPENING_STEPS of the full scale."""
        if step == 0:
            return self.portrait.image
        before, drop = self.portrait.points, JAW_DROP * self.portrait.unit_px * step / OPENING_STEPS
        # The corners follow the jaw and come together, else an open mouth looks like a laugh.
        held, lip = before.copy(), np.sin(np.pi * np.linspace(0, 1, len(LOWER_INNER))) ** 0.6
        middle_x, half_px = before[[61, 291], 0].mean(), np.ptp(before[[61, 291], 0]) / 2
        for outline in (UPPER_INNER, UPPER_OUTER, LOWER_INNER, LOWER_OUTER):
            chosen = list(outline)
            held[chosen, 0] += CORNERS_IN * drop * (middle_x - before[chosen, 0]) / half_px
            held[chosen, 1] += CORNERS_DOWN * drop * (1 - lip)
        after = held.copy()
        for outline in (LOWER_INNER, LOWER_OUTER[1:-1]):
            after[list(outline), 1] += drop * (lip if outline == LOWER_INNER else lip[1:-1])
        after[list(JAW), 1] += 0.85 * drop * np.sin(np.pi * np.linspace(0, 1, len(JAW)))
        upper = move_field(held, before, STILL + UPPER_OUTER + UPPER_INNER[1:-1])
        lower = move_field(after, before, STILL + JAW + LOWER_OUTER + LOWER_INNER[1:-1])
        split = held[list(LOWER_INNER)]
        weight = above(split)
        image = remap(self.portrait.image, weight * upper + (1 - weight) * lower)
        hole = np.vstack([split, after[list(LOWER_INNER)][::-1]])
        mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
        cv2.fillPoly(mask, [np.round(hole * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        alpha = cv2.GaussianBlur(mask, (0, 0), 0.8)[..., None] / 255.0
        inside = np.array([62, 24, 24]) * self.portrait.image.mean() / 128
        return (image * (1 - alpha) + inside * alpha).astype(np.uint8)

    def _neutral(self, step: int) -> np.ndarray:
        """The same without the smile, the seam of the lips darkened where they touch."""
        shade = max(0.0, 1 - 8 * step / OPENING_STEPS) * self.seam_shade
        return (remap(self.smiling(step), self.neutralise) * (1 - shade)).astype(np.uint8)

    def expression_field(self, amounts: dict[str, float]) -> np.ndarray | None:
        """The field of all displacing action units at their apex, None when there is none."""
        rest, unit_px = self.portrait.neutral, self.portrait.unit_px
        apex = rest.copy()
        middle_x = rest[list(CANTHI), 0].mean()
        for name, amount in amounts.items():
            for ids, outward, down in ACTION_UNITS.get(name, ()):
                chosen = list(ids)
                apex[chosen, 0] += amount * outward * unit_px * np.sign(rest[chosen, 0] - middle_x)
                apex[chosen, 1] += amount * down * unit_px
        if np.array_equal(apex, rest):
            return None
        return move_field(apex, rest, STILL + JAW + UPPER_OUTER + LOWER_OUTER)


# --- pictures over time, and files ------------------------------------------------------------------------------


def expression_level(frames: int) -> np.ndarray:
    """Rest, onset, apex, offset, rest: in [0, 1] per frame, with smooth steps."""
    duration_s = frames / FPS
    times_s = np.arange(frames, dtype=np.float32) / FPS

    def step(start_s: float, length_s: float) -> np.ndarray:
        x = np.clip((times_s - start_s) / length_s, 0, 1)
        return x * x * (3 - 2 * x)

    return step(0.5, 0.8) - step(duration_s - 1.1, 0.7)


class Take:
    """The pictures of one clip with a face; the mouths that it needs are drawn when it is made."""

    def __init__(self, face: Face, clip: dict[str, Any], frames: int, loud: np.ndarray) -> None:
        amounts = clip["expression"]
        self.face, self.frames, self.phase = face, frames, len(clip["id"])
        self.apex = face.expression_field(amounts)
        self.level = expression_level(frames)
        self.smile, self.frown = (self.level * amounts.get(unit, 0.0) for unit in ("AU12", "AU04"))
        talk = 0.38 * np.clip((clip["level_db"] + 42) / 24, 0.3, 1.0)  # quiet speech opens the mouth less
        opening = np.maximum(talk * loud, self.level * amounts.get("AU26", 0.0) * (0.8 + 0.2 * loud))
        steps = [int(step) for step in np.round(np.clip(opening, 0, 1) * OPENING_STEPS)]
        self.mouths = [
            (face.smiling if s > 0 else face.neutral)(n) for s, n in zip(self.smile, steps, strict=True)
        ]

    def picture(self, n: int) -> np.ndarray:
        """Frame `n`: its mouth, moved by one field."""
        image, smile, frown = self.mouths[n], self.smile[n], self.frown[n]
        if frown > 0:
            image = (image * (1 - frown * self.face.frown_shade)).astype(np.uint8)
        field = self.sway(n) if self.apex is None else self.level[n] * self.apex + self.sway(n)
        if 0 < smile < 1:  # what of the smile is not there yet is taken away where the face has moved to
            field += (1 - smile) * remap(self.face.neutralise, field, cv2.INTER_LINEAR)
        return remap(image, field)

    def sway(self, n: int) -> np.ndarray:
        """The slow small movements of a head that is alive: about one px and half a degree."""
        time_s, phase = n / FPS, self.phase
        shift = (1.2 * np.sin(0.9 * time_s + phase), 0.8 * np.sin(1.7 * time_s + 2 * phase))
        return np.float32(0.009 * np.sin(1.3 * time_s + phase)) * TURN + np.array(shift, np.float32)

    def pictures(self) -> Iterator[np.ndarray]:
        return map(self.picture, range(self.frames))


def clocked(pictures: Iterator[np.ndarray], spent_ms: list[float]) -> Iterator[np.ndarray]:
    """The same pictures; the CPU ms that each took to make go to `spent_ms`."""
    while True:
        before_s = time.process_time()
        picture = next(pictures, None)
        if picture is None:
            return
        spent_ms.append(1000 * (time.process_time() - before_s))
        yield picture


def patterns(frames: int) -> Iterator[np.ndarray]:
    """Pictures without a face: soft discs that drift over a gradient."""
    columns, rows = PLACES[..., 0], PLACES[..., 1]
    ground = np.stack([40 + rows / 5, 70 + columns / 6, 110 + rows / 6], axis=-1).astype(np.uint8)
    for n in range(frames):
        image = ground.copy()
        for disc, colour in enumerate(((190, 150, 90), (90, 160, 150), (150, 100, 140))):
            angle = 2 * np.pi * (n / 150 + disc / 3)
            centre = (SIZE_PX / 2 + 105 * np.cos(angle), SIZE_PX / 2 + 80 * np.sin(2 * angle))
            place = (round(centre[0] * 16), round(centre[1] * 16))
            cv2.circle(image, place, (30 + 12 * disc) * 16, colour, -1, cv2.LINE_AA, 4)
        yield image


def write_mp4(path: Path, pictures: Iterator[np.ndarray], speech: Speech | None) -> None:
    """H.264 and, with speech, AAC. Single-threaded and bit-exact, so that the bytes repeat."""
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        video = container.add_stream(
            "libx264", rate=FPS, options={"preset": "veryfast", "crf": "20", "threads": "1"}
        )
        video.width = video.height = SIZE_PX
        video.pix_fmt = "yuv420p"
        video.time_base = Fraction(1, FPS)
        audio = None
        if speech is not None:
            audio = container.add_stream("aac", rate=speech.rate_hz, layout="mono", options={"threads": "1"})
            audio.bit_rate = 96_000
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if audio is not None and speech is not None:
            block = av.AudioFrame.from_ndarray(speech.audio[None], format="fltp", layout="mono")
            block.sample_rate = speech.rate_hz
            fifo = av.AudioFifo()
            block.pts = 0
            fifo.write(block)
            for frame in fifo.read_many(1024, partial=True):
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))


class Studio:
    """The recordings; each speaker's face is made once."""

    def __init__(self) -> None:
        self._faces: dict[str, Face] = {}

    def face(self, look: dict[str, Any]) -> Face:
        key = json.dumps(look, sort_keys=True)
        if key not in self._faces:
            self._faces[key] = Face(load_portrait(**look))
        return self._faces[key]

    def make(self, clip: dict[str, Any]) -> dict[str, Any]:
        """Make one recording and its subtitles; a reader never sees half a file."""
        out = Path(clip["out"])
        partial = out.with_name(out.name + ".part")
        speech = speak(clip)
        frames = round(len(speech.audio) / speech.rate_hz * FPS)
        cost = {}
        if out.suffix == ".wav":
            write_wav(partial, speech)
        else:
            cost = self.film(clip, speech, frames, partial)
        partial.replace(out)
        if clip["subtitles"]:
            write_srt(Path(clip["subtitles"]), speech.cues)
        return {"out": clip["out"], "duration_s": round(frames / FPS, 3), **cost}

    def film(self, clip: dict[str, Any], speech: Speech, frames: int, path: Path) -> dict[str, float]:
        """Write a recording with pictures; what they cost, without encoding, in CPU ms."""
        face = self.face(clip["face"]) if clip["face"] else None
        before_s = time.process_time()
        pictures = Take(face, clip, frames, loudness(speech, frames)).pictures() if face else patterns(frames)
        mouths_ms, frames_ms = 1000 * (time.process_time() - before_s), []
        write_mp4(path, clocked(pictures, frames_ms), speech if clip["speech"] else None)
        return {
            "mouths_ms": round(mouths_ms, 3),
            "frame_ms": round(float(np.median(frames_ms)), 3),
            "dearest_frame_ms": round(max(frames_ms), 3),
        }


def main() -> None:
    end_with_caller()
    clips, send = clips_and_lines()
    cv2.setNumThreads(2)
    studio = Studio()
    send({"type": "ready", "mediapipe": mp.__version__, "clips": len(clips)})
    each_clip(clips, send, studio.make)


if __name__ == "__main__":
    main()
