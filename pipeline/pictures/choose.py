"""Which pictures of a stretch stand for it: few, and no two that show the same. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.pictures.base import Likeness, Picture
from pipeline.pictures.difference import Difference

FACIAL_PEAK, MIDDLE = "facial_peak", "middle"
DIGITS = 6  # of a distance that count: the last ones may differ from machine to machine

Distances = npt.NDArray[np.float64]


def choose(
    pictures: Sequence[Picture], likeness: Likeness, *, peak_s: float | None, most: int
) -> list[tuple[Picture, str]]:
    """At most `most` pictures with the reason for each, the most telling first. `pictures` in order of time.

    The first one is the picture nearest to `peak_s` (source time), without a peak the one nearest to the middle.
    Each further one lies farthest from those chosen (the farthest-point rule; the earlier one of equals).
    Whatever the way to compare, no two are chosen whose frame difference says that they show the same.

    Reference: Gonzalez 1985 (farthest-point clustering), DOI 10.1016/0304-3975(85)90224-5
    """
    if not pictures:
        return []
    middle_s = (pictures[0].time_s + pictures[-1].time_s) / 2
    first = _nearest(pictures, middle_s if peak_s is None else peak_s)
    chosen = [(first, MIDDLE if peak_s is None else FACIAL_PEAK)]
    rules = [_Rule(likeness, pictures)]
    if likeness.name != Difference.name:
        rules.append(_Rule(Difference(), pictures))
    while len(chosen) < most:
        for rule in rules:
            rule.take(chosen[-1][0])
        allowed = np.logical_and.reduce([rule.apart >= rule.least for rule in rules])
        if not allowed.any():
            break
        farthest = int(np.argmax(np.where(allowed, rules[0].apart, -1.0)))  # the first one of equals
        chosen.append((farthest, likeness.name))
    return [(pictures[index], reason) for index, reason in chosen]


class _Rule:
    """How far every picture lies from the nearest of those taken."""

    def __init__(self, likeness: Likeness, pictures: Sequence[Picture]) -> None:
        self._likeness, self.least = likeness, likeness.least
        self._described: list[Any] = [likeness.describe(picture.gray) for picture in pictures]
        self.apart: Distances = np.full(len(pictures), np.inf)

    def take(self, index: int) -> None:
        taken = self._described[index]
        found = [round(self._likeness.distance(taken, other), DIGITS) for other in self._described]
        self.apart = np.minimum(self.apart, found)
        self.apart[index] = 0.0


def _nearest(pictures: Sequence[Picture], time_s: float) -> int:
    return min(range(len(pictures)), key=lambda n: abs(pictures[n].time_s - time_s))
