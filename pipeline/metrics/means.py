"""Mean differences: of two columns, and of one column between two groups."""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import Metric, Table, UndefinedError


def _difference(table: Table) -> float:
    return float(np.mean(table[:, 0] - table[:, 1]))


def _between_groups(table: Table) -> float:
    """The second column says whether an item is in the group (1) or not (0)."""
    inside = table[:, 1] == 1
    if inside.all() or not inside.any():
        raise UndefinedError("one_group")
    return float(table[inside, 0].mean() - table[~inside, 0].mean())


MEAN_DIFFERENCE = Metric("mean difference", _difference)
GROUP_DIFFERENCE = Metric("difference of the means of two groups", _between_groups)
