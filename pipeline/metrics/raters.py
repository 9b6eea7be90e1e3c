"""Agreement of any number of raters on classes, with gaps: Fleiss' kappa, Gwet's AC1, Krippendorff's alpha.

References: Fleiss 1971, https://doi.org/10.1037/h0031619; Gwet 2008, https://doi.org/10.1348/000711006X126600
(AC1, and for gaps his Handbook of Inter-Rater Reliability); Krippendorff 2011,
https://repository.upenn.edu/asc_papers/43.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.metrics.base import Metric, Table, UndefinedError

Counts = npt.NDArray[np.float64]  # (items, classes): how many raters gave the class


def _counts(table: Table) -> tuple[Table, Counts]:
    """The values that occur, and how often each item got each."""
    values = np.unique(table[~np.isnan(table)])
    return values, np.stack([np.sum(table == value, axis=1) for value in values], axis=1).astype(np.float64)


def _observed(counts: Counts) -> float:
    """Mean over the items with two ratings or more of the share of their pairs that agree."""
    ratings = counts.sum(axis=1)
    paired = counts[ratings >= 2]
    if len(paired) == 0:
        raise UndefinedError("no_pairs")
    k = paired.sum(axis=1)
    return float(np.mean((paired * (paired - 1)).sum(axis=1) / (k * (k - 1))))


def _shares(counts: Counts) -> Table:
    """Share of each class: every item counts alike, however many rated it."""
    return np.asarray(np.mean(counts / counts.sum(axis=1, keepdims=True), axis=0))


def _fleiss(table: Table) -> float:
    values, counts = _counts(table)
    observed = _observed(counts)
    if len(values) == 1:
        raise UndefinedError("one_class")
    by_chance = float(np.sum(_shares(counts) ** 2))
    return (observed - by_chance) / (1 - by_chance)


def _gwet(table: Table) -> float:
    values, counts = _counts(table)
    observed = _observed(counts)
    if len(values) == 1:
        raise UndefinedError("one_class")
    shares = _shares(counts)
    by_chance = float(np.sum(shares * (1 - shares)) / (len(values) - 1))
    return (observed - by_chance) / (1 - by_chance)


def _alpha(table: Table, *, interval: bool) -> float:
    values, counts = _counts(table)
    counts = counts[counts.sum(axis=1) >= 2]
    if len(counts) == 0:
        raise UndefinedError("no_pairs")
    ratings = counts.sum(axis=1)
    weighed = counts / (ratings - 1)[:, None]
    coincidences = weighed.T @ counts - np.diag(weighed.sum(axis=0))
    totals = coincidences.sum(axis=1)
    n = totals.sum()
    apart = (values[:, None] - values[None, :]) ** 2 if interval else 1.0 - np.eye(len(values))
    by_chance = float(np.sum(np.outer(totals, totals) * apart))
    if np.count_nonzero(totals) < 2:
        raise UndefinedError("one_class")
    return 1 - float((n - 1) * np.sum(coincidences * apart)) / by_chance


def _nominal(table: Table) -> float:
    return _alpha(table, interval=False)


def _interval(table: Table) -> float:
    return _alpha(table, interval=True)


FLEISS = Metric("Fleiss' kappa", _fleiss, columns=None, gaps=True)
GWET = Metric("Gwet's AC1", _gwet, columns=None, gaps=True)
KRIPPENDORFF = Metric("Krippendorff's alpha", _nominal, columns=None, gaps=True)
KRIPPENDORFF_INTERVAL = Metric("Krippendorff's alpha, interval", _interval, columns=None, gaps=True)
