"""The interval of a share. No numpy: `emotrace status` needs it at once."""

from __future__ import annotations

import math

Z_95 = 1.959964


def wilson_interval(hits: int, of: int, z: float = Z_95) -> tuple[float, float]:
    """The 95 % score interval of `hits` of `of` independent trials, within [0, 1]; all of it without a trial.

    Reference: Wilson 1927, J. Am. Stat. Assoc. 22, 209, DOI 10.1080/01621459.1927.10502953.
    """
    if of == 0:
        return 0.0, 1.0
    share, square = hits / of, z * z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)
