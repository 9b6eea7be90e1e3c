"""Whether a score in [0, 1] means what it says: expected calibration error, Brier score, reliability bins.

The table holds the score and what came of it, 0 to 1 (right or wrong, or people's own score). The error by bins
is too large in small samples, since chance alone moves the bins: read it beside the number of items.

References: Naeini, Cooper & Hauskrecht 2015, https://doi.org/10.1609/aaai.v29i1.9602; Brier 1950,
https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.metrics.base import Metric, Table

BINS = 10


class Bin(NamedTuple):
    """Items with a score in [low, high), the last bin with its end; the means are None in an empty one."""

    low: float
    high: float
    n: int
    score: float | None
    outcome: float | None


def reliability(table: Table, bins: int = BINS) -> list[Bin]:
    """Bins of equal width over [0, 1].

    Raises:
        ValueError: a score outside [0, 1].
    """
    table = table[~np.isnan(table).any(axis=1)]
    place = _place(table, bins)
    found = []
    for number in range(bins):
        inside = table[place == number]
        score, outcome = (float(mean) for mean in inside.mean(axis=0)) if len(inside) else (None, None)
        found.append(Bin(number / bins, (number + 1) / bins, len(inside), score, outcome))
    return found


def _place(table: Table, bins: int) -> np.typing.NDArray[np.intp]:
    if len(table) and (table.min() < 0 or table.max() > 1):
        raise ValueError("calibration is measured on scores in [0, 1]")
    edges = np.arange(1, bins) / bins
    return np.searchsorted(edges, table[:, 0], side="right")


def _ece(table: Table) -> float:
    place = _place(table, BINS)
    gaps = np.bincount(place, weights=table[:, 0] - table[:, 1], minlength=BINS)
    return float(np.abs(gaps).sum() / len(table))


def _brier(table: Table) -> float:
    return float(np.mean((table[:, 0] - table[:, 1]) ** 2))


ECE = Metric("expected calibration error", _ece)
BRIER = Metric("Brier score", _brier)
