"""Spearman's rank correlation, and the same with a third column held constant. Ties share their mean rank.

References: Spearman 1904, https://doi.org/10.2307/1412159; partial correlation of ranks: Conover, Practical
Nonparametric Statistics, section 5.4.
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import Metric, Table, UndefinedError


def ranks(values: Table) -> Table:
    """Ranks 1..n of a column; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def _correlation(first: Table, second: Table) -> float:
    """Pearson's correlation of two columns of ranks."""
    a, b = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    if spread == 0:
        raise UndefinedError("constant")
    return float(np.clip((a @ b) / spread, -1, 1))


def _spearman(table: Table) -> float:
    return _correlation(ranks(table[:, 0]), ranks(table[:, 1]))


def _partial(table: Table) -> float:
    x, y, held = (ranks(column) for column in table.T)
    xy, xh, yh = _correlation(x, y), _correlation(x, held), _correlation(y, held)
    left = (1 - xh**2) * (1 - yh**2)
    if left <= 1e-12:
        raise UndefinedError("explained")
    return float(np.clip((xy - xh * yh) / np.sqrt(left), -1, 1))


SPEARMAN = Metric("Spearman's rho", _spearman, least=3)
PARTIAL_SPEARMAN = Metric("Spearman's rho, third column held constant", _partial, columns=3, least=4)
