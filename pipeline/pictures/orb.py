"""ORB similarity: how many of the corners of one picture are found again in the other."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pipeline.pictures.base import Gray, open_cv

MAX_POINTS = 500
MIN_POINTS = 10  # fewer say nothing
MIN_SIDE_PX = 32  # a smaller picture holds no patch
MAX_BITS = 40  # of 256 in which two descriptors of the same corner differ at most

Descriptors = npt.NDArray[np.uint8]  # shape (points, 32)


class Orb:
    """Distance in [0, 1]: the share of points without a partner, in the picture that has fewer of them.

    Two pictures that have hardly any points cannot be told apart and count as the same.

    Reference: Rublee et al. 2011 (ORB), DOI 10.1109/ICCV.2011.6126544
    """

    name: ClassVar[str] = "orb"
    # A still picture filmed with noise: at most 0.18; neighbouring frames of talking heads: 0.16 to 0.5.
    least: ClassVar[float] = 0.25

    def __init__(self) -> None:
        cv2 = open_cv(self.name)
        self._orb = cv2.ORB_create(MAX_POINTS)
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)

    def describe(self, picture: Gray) -> Descriptors:
        found = self._orb.detectAndCompute(picture, None)[1] if min(picture.shape) >= MIN_SIDE_PX else None
        return np.zeros((0, 32), np.uint8) if found is None else np.asarray(found, dtype=np.uint8)

    def distance(self, one: Descriptors, other: Descriptors) -> float:
        fewer, more = sorted((len(one), len(other)))
        if fewer < MIN_POINTS:
            return 0.0 if more < MIN_POINTS else 1.0
        pairs = [match for match in self._matcher.match(one, other) if match.distance <= MAX_BITS]
        return 1.0 - len(pairs) / fewer
