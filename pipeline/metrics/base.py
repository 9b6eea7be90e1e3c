"""The contract of a metric: a table of items by columns to one number, or a stable reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float64]  # (items, columns); NaN: not given. Classes stand as numbers.
REASONS = {
    "no_items": "nothing was rated",
    "too_few_items": "too few items",
    "one_class": "only one value occurs, so agreement by chance is certain",
    "constant": "one side never varies",
    "explained": "what is held constant determines the rest",
    "no_variance_between_items": "all items are rated alike",
    "one_group": "only one of two groups is there",
    "no_pairs": "no item has two ratings",
    "one_cluster": "no interval: all items belong to one cluster",
    "unstable": "no interval: undefined in too many resamples",
}


class UndefinedError(Exception):
    """Why a metric has no value here: one of `REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason


class Score(NamedTuple):
    """A metric's value with its interval. `reason` says why `value`, or else `low` and `high`, are None.

    `n` items counted, `missing` were left out because a rating was not given, `clusters` is what was resampled.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    missing: int = 0
    clusters: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Metric:
    """A named metric. `columns`: how many it needs, None: two or more.

    `gaps`: an item counts although some of its ratings are missing.
    """

    title: str
    function: Callable[[Table], float]
    columns: int | None = 2
    gaps: bool = False
    least: int = 1  # items below which it has no value

    def rows(self, table: Table) -> npt.NDArray[np.bool_]:
        """Which items count.

        Raises:
            ValueError: the table has another number of columns than the metric takes.
        """
        width = table.shape[1] if table.ndim == 2 else 0
        if width != self.columns if self.columns is not None else width < 2:
            raise ValueError(f"{self.title}: a table of shape {table.shape}")
        given = ~np.isnan(table)
        return np.asarray(given.any(axis=1) if self.gaps else given.all(axis=1))

    def __call__(self, table: Table) -> float:
        """The value.

        Raises:
            UndefinedError: there is none, with the reason.
        """
        counted = table[self.rows(table)]
        if len(counted) == 0:
            raise UndefinedError("no_items")
        if len(counted) < self.least:
            raise UndefinedError("too_few_items")
        return float(self.function(counted))


def ratio(above: float, below: float, scale: float, reason: str) -> float:
    """A quotient; a divisor that is nothing beside `scale` is 0 but for rounding, and makes it undefined."""
    if below <= 1e-12 * scale or below <= 0:
        raise UndefinedError(reason)
    return above / below
