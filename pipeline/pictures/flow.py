"""Optical flow: how far what moves most has moved between two pictures."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pipeline.pictures.base import Gray, open_cv, shrunk

SIDE_PX = 160  # both sides: enough for a head, and no size that the pyramid cannot take
BLOCK_PX = 4
CHANGED = 4.0  # grey levels: what has not changed has not moved, whatever the flow makes of its noise
PERCENTILE = 99.0  # of the picture's area: a mouth is not much more than a hundredth


class Flow:
    """Distance as a share of the picture's diagonal: the 99th percentile of the flow's length.

    A light that is switched on moves nothing. Between two scenes the flow has no meaning, but it is long.

    Reference: Kroeger et al. 2016 (dense inverse search), DOI 10.1007/978-3-319-46493-0_29
    """

    name: ClassVar[str] = "flow"
    # A still picture filmed with noise: 0; neighbouring frames of talking heads: 0.001 to 0.008.
    least: ClassVar[float] = 0.002

    def __init__(self) -> None:
        cv2 = open_cv(self.name)
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def describe(self, picture: Gray) -> Gray:
        return shrunk(picture, SIDE_PX, SIDE_PX)

    def distance(self, one: Gray, other: Gray) -> float:
        return (self._moved(one, other) + self._moved(other, one)) / 2

    def _moved(self, one: Gray, other: Gray) -> float:
        flow = self._flow.calc(one, other, None)
        length_px = np.hypot(flow[..., 0], flow[..., 1]) * _changed(one, other)
        return float(np.percentile(length_px, PERCENTILE)) / float(np.hypot(SIDE_PX, SIDE_PX))


def _changed(one: Gray, other: Gray) -> npt.NDArray[np.bool_]:
    """Which pixels lie in a block whose grey level is another one; shape (SIDE_PX, SIDE_PX)."""
    blocks = SIDE_PX // BLOCK_PX
    levels = [shrunk(picture, blocks, blocks).astype(np.int16) for picture in (one, other)]
    return np.kron(np.abs(levels[0] - levels[1]) >= CHANGED, np.ones((BLOCK_PX, BLOCK_PX), dtype=bool))
