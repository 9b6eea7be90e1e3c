"""A metric with its interval: percentile bootstrap over clusters. Clips of one recording are not independent.

Reference: Field & Welsh 2007, "Bootstrapping clustered data", https://doi.org/10.1111/j.1467-9868.2007.00593.x
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.metrics import METRICS
from pipeline.metrics.base import Metric, Score, Table, UndefinedError
from schemas.registry import resolve

DRAWS = 2000
LEVEL = 0.95
LEAST_DEFINED = 0.9  # share of the resamples in which the metric must have a value
Rows = npt.NDArray[np.intp]


def measure(
    name: str,
    table: Table,
    clusters: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> Score:
    """The metric `name` of METRICS over a table, with a 95 % interval.

    `clusters`: what each item belongs to, e.g. its recording; None: every item stands for itself. The same seed
    gives the same interval.

    Raises:
        UserError: no such metric.
    """
    metric: Metric = resolve(METRICS, name, what="metric")
    counted = metric.rows(table)
    kept = table[counted]
    names = np.arange(len(table)) if clusters is None else _numbered(clusters)
    groups = names[counted]
    found = len(np.unique(groups))
    base = Score(None, None, None, len(kept), len(table) - len(kept), found)
    try:
        value = metric(kept)
    except UndefinedError as error:
        return base._replace(reason=error.reason)
    if found < 2:
        return base._replace(value=value, reason="one_cluster")
    values = []
    for rows in _resamples(groups, draws, seed):
        try:
            values.append(metric(kept[rows]))
        except UndefinedError:
            continue
    if len(values) < LEAST_DEFINED * draws:
        return base._replace(value=value, reason="unstable")
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    # An error of calibration grows in resamples; its interval still holds the value.
    return base._replace(value=value, low=min(value, float(low)), high=max(value, float(high)))


def _numbered(clusters: Sequence[Hashable]) -> npt.NDArray[np.intp]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in clusters], dtype=np.intp)


def _resamples(groups: npt.NDArray[np.intp], draws: int, seed: int) -> Iterator[Rows]:
    """Rows of as many clusters as there are, drawn with replacement."""
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    for drawn in _drawn(len(starts), draws, seed):
        lengths = sizes[drawn]
        before = np.cumsum(lengths) - lengths
        yield order[np.arange(lengths.sum()) + np.repeat(starts[drawn] - before, lengths)]


@lru_cache(maxsize=8)
def _drawn(clusters: int, draws: int, seed: int) -> npt.NDArray[np.intp]:
    """(draws, clusters): which clusters each resample holds; all metrics of a report share them."""
    return np.random.default_rng(seed).integers(0, clusters, (draws, clusters))
