"""The six intraclass correlations, named as McGraw & Wong do: what share of the variance lies between the items.

| name | Shrout & Fleiss | raters | asks for | of |
|---|---|---|---|---|
| icc_1, icc_1_k | ICC(1,1), ICC(1,k) | others for each item | agreement | one rater, the mean of k |
| icc_a_1, icc_a_k | ICC(2,1), ICC(2,k) | the same, a sample | absolute agreement | one rater, the mean of k |
| icc_c_1, icc_c_k | ICC(3,1), ICC(3,k) | the same | consistency | one rater, the mean of k |

References: Shrout & Fleiss 1979, https://doi.org/10.1037/0033-2909.86.2.420; McGraw & Wong 1996,
https://doi.org/10.1037/1082-989X.1.1.30.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.metrics.base import Metric, Table, ratio


class _Squares(NamedTuple):
    """Mean squares of a table of n items by k raters."""

    n: int
    k: int
    items: float
    raters: float
    within: float
    error: float
    scale: float


def _squares(table: Table) -> _Squares:
    n, k = table.shape
    grand = table.mean()
    total = float(np.sum((table - grand) ** 2))
    items = float(k * np.sum((table.mean(axis=1) - grand) ** 2))
    raters = float(n * np.sum((table.mean(axis=0) - grand) ** 2))
    error = max(0.0, total - items - raters)
    return _Squares(
        n=n,
        k=k,
        items=items / (n - 1),
        raters=raters / (k - 1),
        within=max(0.0, total - items) / (n * (k - 1)),
        error=error / ((n - 1) * (k - 1)),
        scale=float(np.mean(table**2)) or 1.0,
    )


def _single(s: _Squares, noise: float, bias: float = 0.0) -> float:
    below = s.items + (s.k - 1) * noise + s.k * bias
    return ratio(s.items - noise, below, s.scale, "constant")


def _mean(s: _Squares, noise: float, bias: float = 0.0) -> float:
    return ratio(s.items - noise, s.items + bias, s.scale, "no_variance_between_items")


def _icc(title: str, form: Callable[[_Squares], float]) -> Metric:
    return Metric(title, lambda table: form(_squares(table)), columns=None, least=2)


def _rater_bias(s: _Squares) -> float:
    return (s.raters - s.error) / s.n


ICC_1 = _icc("ICC(1)", lambda s: _single(s, s.within))
ICC_1_K = _icc("ICC(1,k)", lambda s: _mean(s, s.within))
ICC_A_1 = _icc("ICC(A,1)", lambda s: _single(s, s.error, _rater_bias(s)))
ICC_A_K = _icc("ICC(A,k)", lambda s: _mean(s, s.error, _rater_bias(s)))
ICC_C_1 = _icc("ICC(C,1)", lambda s: _single(s, s.error))
ICC_C_K = _icc("ICC(C,k)", lambda s: _mean(s, s.error))
