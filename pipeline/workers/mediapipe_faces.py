# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["mediapipe==0.10.21", "opencv-contrib-python-headless<4.12", "numpy<2", "pyarrow>=17,<22"]
# [tool.uv]
# override-dependencies = ["jax; sys_platform == 'never'", "jaxlib; sys_platform == 'never'", "sounddevice; sys_platform == 'never'", "sentencepiece; sys_platform == 'never'", "opencv-contrib-python; sys_platform == 'never'"]
# ///
# ruff: noqa: E501  (uv reads the override list from one line)
"""Find faces and their 478 mesh landmarks in sampled frames, in an environment of its own.

Usage: uv run --script mediapipe_faces.py MANIFEST.json

The manifest is a list of clips: {"id", "frames" (Parquet: time_s, jpeg), "start_s", "end_s" (source time),
"still" (one picture, no motion to follow), "out" (.npz)}, and the same in all of them: "max_faces" (4),
"min_confidence" (0.5). Standard output carries JSON lines only: "ready" once, then per clip "start", "progress"
and one of "done" or "error". A clip that fails does not stop the others. When standard input is a pipe, its end is
the end of the caller and of this process.

The .npz holds times_s (frames,), landmarks (frames, faces, 478, 3) as shares of the frame's width and height
(z in the unit of x; NaN where no face), scores (frames, faces; NaN = no detector confirmed the mesh)
and size_px (width, height).

Reference: Kartynnik et al. 2019, Real-time Facial Surface Geometry, https://arxiv.org/abs/1907.06724
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from lean import prepare_mediapipe

prepare_mediapipe()

import cv2
import mediapipe as mp
import numpy as np
import pyarrow.parquet as pq
from caller import clips_and_lines, each_clip, end_with_caller, write_npz
from pictures import PROGRESS_EVERY_FRAMES, rows_between

LANDMARKS = 478
WEIGHTS = (
    "face_landmark/face_landmark_with_attention.tflite",
    "face_detection/face_detection_short_range.tflite",
    "face_detection/face_detection_full_range_sparse.tflite",
)
CROP_FACTOR = 2.0  # side of a crop in sizes of the detected box: hair and chin lie outside it
CROP_PX = 256
Box = tuple[float, float, float, float]  # x0, y0, x1, y1
MIN_OVERLAP = 0.3  # intersection over union at which a detection confirms a mesh
# What was detected counts for the pictures up to this much later: the mesh follows faces in between. Five a second
# are searched at most at the default of 10, and the search is a good third of the cost of a picture.
DETECTION_LASTS_S = 0.15


class Models:
    """The meshes and detectors, each made once per shard, when it is first needed: they hold about 15 MB each.

    The mesh finds near faces by itself and follows them from frame to frame. Far faces (less than a tenth of the
    picture's width) it misses: the full-range detector finds those, and a second mesh reads each from its crop.
    """

    def __init__(self, max_faces: int, confidence: float) -> None:
        self.max_faces, self._confidence = max_faces, confidence
        self.far = self._detector(1)

    def _mesh(self, *, still: bool, faces: int) -> Any:
        return mp.solutions.face_mesh.FaceMesh(
            static_image_mode=still,
            max_num_faces=faces,
            refine_landmarks=True,
            min_detection_confidence=self._confidence,
            min_tracking_confidence=self._confidence,
        )

    def _detector(self, reach: int) -> Any:
        return mp.solutions.face_detection.FaceDetection(
            model_selection=reach, min_detection_confidence=self._confidence
        )

    @cached_property
    def video(self) -> Any:
        return self._mesh(still=False, faces=self.max_faces)

    @cached_property
    def still(self) -> Any:
        return self._mesh(still=True, faces=self.max_faces)

    @cached_property
    def crop(self) -> Any:
        return self._mesh(still=True, faces=1)

    @cached_property
    def near(self) -> Any:
        return self._detector(0)

    def of_clip(self, *, still: bool) -> Any:
        """The mesh of a clip that begins; the faces of the clip before are forgotten."""
        if still:
            return self.still
        self.video.reset()
        return self.video


class Detections:
    """What the detectors found in the pictures of one clip; no older than DETECTION_LASTS_S."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._found: dict[str, tuple[float, list[tuple[Box, float]]]] = {}

    def of(self, reach: str, image: np.ndarray, time_s: float) -> list[tuple[Box, float]]:
        """Boxes and scores, best first, of the detector "near" or "far"."""
        known = self._found.get(reach)
        if known is None or time_s - known[0] > DETECTION_LASTS_S:
            known = self._found[reach] = (time_s, detect(getattr(self._models, reach), image))
        return known[1]


def weights_digest() -> str:
    """SHA-256 (hex) over the model files that the mesh and the detector load from the wheel."""
    digest = hashlib.sha256()
    for name in WEIGHTS:
        digest.update((Path(mp.__file__).parent / "modules" / name).read_bytes())
    return digest.hexdigest()


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (areas - shared)


def box_of(points: np.ndarray) -> Box:
    """The box of a mesh (478, 3), as shares of the picture."""
    (x0, y0), (x1, y1) = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def detect(detector: Any, image: np.ndarray) -> list[tuple[Box, float]]:
    """Boxes and scores of one detector, best first."""
    found = []
    for detection in detector.process(image).detections or []:
        box = detection.location_data.relative_bounding_box
        corners = (box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height)
        found.append((corners, min(1.0, float(detection.score[0]))))
    return sorted(found, key=lambda pair: -pair[1])


def mesh_of(mesh: Any, image: np.ndarray) -> list[np.ndarray]:
    """The meshes (478, 3) that one model finds, as shares of the picture."""
    faces = mesh.process(image).multi_face_landmarks or []
    return [np.array([(p.x, p.y, p.z) for p in face.landmark], dtype=np.float32) for face in faces]


def mesh_in_crop(mesh: Any, image: np.ndarray, box: Box) -> np.ndarray | None:
    """The mesh of the face in `box`, read from an enlarged square around it and put back into the picture."""
    height, width = image.shape[:2]
    side = CROP_FACTOR * max((box[2] - box[0]) * width, (box[3] - box[1]) * height)
    left = (box[0] + box[2]) / 2 * width - side / 2
    top = (box[1] + box[3]) / 2 * height - side / 2
    to_crop = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top]]) * (CROP_PX / side)
    crop = cv2.warpAffine(image, to_crop, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)
    faces = mesh_of(mesh, crop)
    if not faces:
        return None
    points = faces[0] * side + np.array([left, top, 0.0], dtype=np.float32)
    return points / np.array([width, height, width], dtype=np.float32)


def faces_of(
    image: np.ndarray, time_s: float, mesh: Any, models: Models, detections: Detections
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (max_faces, 478, 3) and scores (max_faces,) of one RGB image."""
    faces = mesh_of(mesh, image)[: models.max_faces]
    boxes = [box_of(face) for face in faces]
    found = detections.of("far", image, time_s)
    scores = [best_score(box, found) for box in boxes]
    if any(np.isnan(scores)):
        near = detections.of("near", image, time_s)
        scores = [
            best_score(box, near) if np.isnan(score) else score
            for box, score in zip(boxes, scores, strict=True)
        ]
    for box, score in found:
        if len(faces) == models.max_faces:
            break
        if any(overlap(box, other) >= MIN_OVERLAP for other in boxes):
            continue
        face = mesh_in_crop(models.crop, image, box)
        if face is not None and overlap(box_of(face), box) >= MIN_OVERLAP:
            faces.append(face)
            boxes.append(box_of(face))
            scores.append(score)
    return padded(faces, scores, models.max_faces)


def best_score(box: Box, found: list[tuple[Box, float]]) -> float:
    """Score of the best detection that covers the box, NaN without one."""
    return next((score for other, score in found if overlap(box, other) >= MIN_OVERLAP), float("nan"))


def padded(faces: list[np.ndarray], scores: list[float], max_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """The same number of slots in every frame; an empty slot is NaN."""
    points = np.full((max_faces, LANDMARKS, 3), np.nan, dtype=np.float32)
    marks = np.full(max_faces, np.nan, dtype=np.float32)
    for slot, (face, score) in enumerate(zip(faces, scores, strict=True)):
        points[slot], marks[slot] = face, score
    return points, marks


def process_clip(clip: dict[str, Any], models: Models, send: Any) -> dict[str, Any]:
    """Measure one clip, write its .npz and return the facts of its "done" message."""
    max_faces = models.max_faces
    file = pq.ParquetFile(clip["frames"])
    rows = rows_between(file, clip["start_s"], clip["end_s"])
    mesh = models.of_clip(still=bool(clip.get("still", file.metadata.num_rows == 1)))
    detections = Detections(models)
    times_s: list[float] = []
    points: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    size_px = (0, 0)
    for time_s, jpeg in rows:
        image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"the frame at {time_s:.3f} s is no readable JPEG")
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        found, score = faces_of(rgb, time_s, mesh, models, detections)
        times_s.append(time_s)
        points.append(found)
        scores.append(score)
        size_px = (image.shape[1], image.shape[0])
        if len(times_s) % PROGRESS_EVERY_FRAMES == 0:
            send({"type": "progress", "id": clip["id"], "frames": len(times_s)})
    landmarks = np.stack(points) if points else np.zeros((0, max_faces, LANDMARKS, 3), dtype=np.float32)
    write_npz(
        Path(clip["out"]),
        times_s=np.asarray(times_s, dtype=np.float64),
        landmarks=landmarks,
        scores=np.stack(scores) if scores else np.zeros((0, max_faces), dtype=np.float32),
        size_px=np.asarray(size_px, dtype=np.int64),
    )
    with_face = int(np.isfinite(landmarks[:, :, 0, 0]).any(axis=1).sum())
    return {"out": clip["out"], "frames": len(times_s), "frames_with_face": with_face}


def main() -> None:
    end_with_caller()
    clips, send = clips_and_lines()
    cv2.setNumThreads(1)
    models = Models(clips[0].get("max_faces", 4), clips[0].get("min_confidence", 0.5))
    send({"type": "ready", "mediapipe": mp.__version__, "weights_digest": weights_digest()})
    each_clip(clips, send, lambda clip: process_clip(clip, models, send))


if __name__ == "__main__":
    main()
