"""How a speaker's face usually looks: the level and spread of each action unit over all that was seen of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.features.au_faces import INTENSITY
from pipeline.features.baseline import MIN_SEGMENTS
from schemas.parts import Stat
from schemas.records import Baseline, Features

MIN_SEEN_S = 10.0
FACE_BASELINE_VERSION = "2"  # of what is computed from the features
# Least spread, our choice: a quarter of the 0.2 between two FACS grades. Where a unit never moved, its first
# trace is not remarkable.
LEAST_SD = 0.05


class SeenFace(NamedTuple):
    """What a baseline takes of one track; `levels`: the measured intensities by unit."""

    id: str  # "ID/TRACK" of the features
    digest: str  # "DIGEST/TRACK"
    extractor: str
    version: str
    seen_s: float
    levels: Mapping[str, npt.NDArray[np.float32]]


def seen_face(features: Features, track: str) -> SeenFace:
    """One track of a clip without all else that was measured of it; no levels where there is no such track."""
    curves = [curve for curve in features.series if curve.track == track and curve.unit == INTENSITY]
    steps_s = np.diff(curves[0].times_s) if curves else np.empty(0)
    frames = next((face.frames for face in features.tracks if face.name == track), 0)
    return SeenFace(
        id=f"{features.id}/{track}",
        digest=f"{features.digest}/{track}",
        extractor=features.extractor,
        version=features.version,
        seen_s=frames * float(np.mean(steps_s)) if len(steps_s) else 0.0,
        levels={c.name: np.array([v for v in c.values if v is not None], dtype=np.float32) for c in curves},
    )


def make_face_baseline(subject: str, faces: Sequence[SeenFace]) -> Baseline | None:
    """The baseline of one subject from the tracks that show its face; their order does not matter.

    Statistics by action unit ("AU12"): median and standard deviation of its intensity over all frames in which
    it was measured, at least `LEAST_SD`. Units rest most of the time, so the median absolute deviation that
    serves for the voice would be 0. None when fewer than 3 tracks show the face, or when it is seen for under
    10 s in all.

    Raises:
        ValueError: measured by different extractors or versions.
    """
    usable = [face for _, face in sorted({face.id: face for face in faces if face.levels}.items())]
    seen_s = math.fsum(face.seen_s for face in usable)
    if len({(face.extractor, face.version) for face in usable}) > 1:
        raise ValueError("a baseline needs features of one extractor and version")
    if len(usable) < MIN_SEGMENTS or round(seen_s, 6) < MIN_SEEN_S:
        return None
    units = sorted({unit for face in usable for unit in face.levels})
    levels = {unit: np.concatenate([face.levels.get(unit, ()) for face in usable]) for unit in units}
    return Baseline(
        subject=subject,
        extractor=usable[0].extractor,
        version=f"{usable[0].version}/{FACE_BASELINE_VERSION}",
        feature_digests=tuple(sorted(face.digest for face in usable)),
        stage="au",
        segments=len(usable),
        seen_s=round(seen_s, 3),
        stats={unit: _stat(found) for unit, found in levels.items() if len(found)},
    )


def _stat(levels: npt.NDArray[np.float64]) -> Stat:
    spread = max(float(levels.std()), LEAST_SD)
    return Stat(median=round(float(np.median(levels)), 4), sd=round(spread, 4), n=len(levels))
