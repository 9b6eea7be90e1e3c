"""Agreement of two raters beyond chance: Cohen's kappa for classes, weighted kappa for values on a scale.

References: Cohen 1960, https://doi.org/10.1177/001316446002000104; Cohen 1968, https://doi.org/10.1037/h0026256.
With quadratic weights it equals Lin's concordance correlation of the values (population moments), so it needs no
bins: https://doi.org/10.2307/2532051.
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import Metric, Table, UndefinedError, ratio


def _cohen(table: Table) -> float:
    classes, codes = np.unique(table, return_inverse=True)
    first, second = codes.reshape(table.shape).T
    size = len(classes)
    by_chance = np.bincount(first, minlength=size) @ np.bincount(second, minlength=size) / len(table) ** 2
    if size == 1:
        raise UndefinedError("one_class")
    return float((np.mean(first == second) - by_chance) / (1 - by_chance))


def _quadratic(table: Table) -> float:
    first, second = table.T
    observed = np.mean((first - second) ** 2)
    by_chance = np.var(first) + np.var(second) + (np.mean(first) - np.mean(second)) ** 2
    return 1 - ratio(float(observed), float(by_chance), _scale(table) ** 2, "one_class")


def _linear(table: Table) -> float:
    first, second = table.T
    observed = np.mean(np.abs(first - second))
    return 1 - ratio(float(observed), _mean_distance(table), _scale(table), "one_class")


def _mean_distance(table: Table) -> float:
    """Mean |a - b| over all pairs of one value of each column, without making the pairs."""
    first, second = table.T
    ordered = np.sort(second)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    below = np.searchsorted(ordered, first)
    above = len(ordered) - below
    distances = first * below - sums[below] + (sums[-1] - sums[below]) - first * above
    return float(np.sum(distances) / len(ordered) ** 2)


def _scale(table: Table) -> float:
    return max(1.0, float(np.max(np.abs(table))))


COHEN = Metric("Cohen's kappa", _cohen)
QUADRATIC = Metric("quadratic weighted kappa", _quadratic)
LINEAR = Metric("linear weighted kappa", _linear)
