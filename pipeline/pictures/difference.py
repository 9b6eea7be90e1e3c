"""Frame difference: how much the grey values of two pictures differ where they differ most."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pipeline.pictures.base import Gray, shrunk

BLOCKS = 16  # per direction: small enough that one is a mouth, large enough to hold no noise
MOST_CHANGED = 8  # of 256: a face is a small part of the picture, and a mean over all of it hides it


class Difference:
    """Distance in grey levels (0-255): the mean over those blocks of the picture that differ most."""

    name: ClassVar[str] = "difference"
    # Measured at 5 fps: two frames of a still picture filmed with noise differ by at most 1.4, those of a quiet
    # talking head by 4 to 12.
    least: ClassVar[float] = 4.0

    def describe(self, picture: Gray) -> npt.NDArray[np.int16]:
        return shrunk(picture, BLOCKS, BLOCKS).astype(np.int16).ravel()

    def distance(self, one: npt.NDArray[np.int16], other: npt.NDArray[np.int16]) -> float:
        return float(np.sort(np.abs(one - other))[-MOST_CHANGED:].mean())
