"""Follow faces over the sampled frames of a clip: greedy matching of boxes, named f1 (the main face), f2, ..."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SAME_FACE_OVERLAP = 0.5  # two meshes of one frame that share this much are one face found twice
MATCH_OVERLAP = 0.2  # intersection over union with the track's last box
MATCH_DISTANCE = (
    0.6  # or centres this near, in widths of the last box: a fast head at a few frames per second
)
MAX_GAP_S = 1.0  # a face that was away for longer is a new track
CONFIRMED_SHARE = 0.5  # the face detector must agree with the mesh in this share of a track's frames


class Track(NamedTuple):
    """One face: `rows[i]` is the frame and `slots[i]` the face within it; boxes are (n, 4): x0, y0, x1, y1."""

    name: str
    rows: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int64]
    boxes: Array
    score: float | None  # median detection score

    def within(self, first: int, last: int) -> Track:
        """The part of the track in the frames first..last-1, counted from `first`."""
        here = (self.rows >= first) & (self.rows < last)
        return Track(self.name, self.rows[here] - first, self.slots[here], self.boxes[here], self.score)


def face_boxes(landmarks: npt.ArrayLike) -> Array:
    """Boxes (frames, faces, 4) of meshes (frames, faces, points, 3), shares of the frame; NaN = no face."""
    points = np.asarray(landmarks, dtype=np.float64)[..., :2]
    return np.concatenate([points.min(axis=2), points.max(axis=2)], axis=-1)


def overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (sides <= 0).any():
        return 0.0
    shared = float(np.prod(sides))
    return shared / (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - shared)


def track_faces(
    times_s: Array,
    boxes: Array,
    scores: Array,
    *,
    min_frames: int,
    wanted: tuple[int, int] | None = None,
) -> tuple[list[Track], int]:
    """The tracks, main face first, and how many were dropped as false.

    `boxes` (frames, faces, 4), `scores` (frames, faces; NaN = not confirmed by the detector). Dropped: tracks of
    fewer than `min_frames` frames (of all frames, when there are fewer) and tracks the detector seldom confirms.
    `wanted` = (first, last): only tracks with a face in the frames first..last-1 are told of; order and scores
    are those of these frames. The main face has the largest sum of box heights over them: long seen, and near.
    """
    first, last = wanted or (0, len(times_s))
    chains = [
        chain for chain in _chains(times_s, boxes, scores) if any(first <= row < last for row, _ in chain)
    ]
    kept = [chain for chain in chains if _is_face(chain, scores, min(min_frames, len(times_s)))]

    def presence(chain: list[tuple[int, int]]) -> float:
        return sum(_height(boxes[row, slot]) for row, slot in chain if first <= row < last)

    kept.sort(key=lambda chain: (-presence(chain), chain[0]))
    tracks = []
    for number, chain in enumerate(kept, start=1):
        rows, slots = np.array(chain, dtype=np.int64).T
        found = scores[rows, slots][(rows >= first) & (rows < last)]
        found = found[np.isfinite(found)]
        score = float(np.median(found)) if len(found) else None
        tracks.append(Track(f"f{number}", rows, slots, boxes[rows, slots], score))
    return tracks, len(chains) - len(kept)


def _chains(times_s: Array, boxes: Array, scores: Array) -> list[list[tuple[int, int]]]:
    """Every face of every frame in exactly one chain of (frame, slot), but for those found twice."""
    chains: list[list[tuple[int, int]]] = []
    for row, time_s in enumerate(times_s):
        slots = _distinct(boxes[row], scores[row])
        open_chains = [c for c in range(len(chains)) if time_s - times_s[chains[c][-1][0]] <= MAX_GAP_S]
        pairs = sorted(
            (-nearness, chain, slot)
            for chain in open_chains
            for slot in slots
            if (nearness := _nearness(boxes[chains[chain][-1]], boxes[row, slot])) > 0
        )
        taken: set[int] = set()
        extended: set[int] = set()
        for _, chain, slot in pairs:
            if chain not in extended and slot not in taken:
                chains[chain].append((row, slot))
                extended.add(chain)
                taken.add(slot)
        chains.extend([(row, slot)] for slot in slots if slot not in taken)
    return chains


def _distinct(boxes: Array, scores: Array) -> list[int]:
    """Slots that hold a face, the best scored of each that was found twice."""
    order = [
        int(slot) for slot in np.argsort(-np.nan_to_num(scores), kind="stable") if np.isfinite(boxes[slot, 0])
    ]
    kept: list[int] = []
    for slot in order:
        if all(overlap(boxes[slot], boxes[other]) < SAME_FACE_OVERLAP for other in kept):
            kept.append(slot)
    return kept


def _nearness(last: Array, box: Array) -> float:
    """How well a box continues a track: above 1 by overlap, up to 1 by distance alone, 0 = not at all."""
    if (shared := overlap(last, box)) >= MATCH_OVERLAP:
        return 1.0 + shared
    offset = (box[:2] + box[2:] - last[:2] - last[2:]) / 2 / np.maximum(last[2:] - last[:2], 1e-6)
    size = _height(box) / max(_height(last), 1e-6)
    distance = float(np.hypot(*offset))
    return 1.0 - distance if distance < MATCH_DISTANCE and 0.5 < size < 2.0 else 0.0


def _is_face(chain: list[tuple[int, int]], scores: Array, min_frames: int) -> bool:
    confirmed = sum(bool(np.isfinite(scores[row, slot])) for row, slot in chain)
    return len(chain) >= min_frames and confirmed >= CONFIRMED_SHARE * len(chain)


def _height(box: Array) -> float:
    return float(box[3] - box[1])
