"""For worker scripts that look at sampled pictures: the frames of a stretch.

Needs numpy and pyarrow only; imported from the script's folder, in the script's environment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

pa.set_memory_pool(pa.system_memory_pool())  # the default one keeps what it read
PROGRESS_EVERY_FRAMES = 50
TIME_TOLERANCE_S = 1e-6


def rows_between(file: pq.ParquetFile, start_s: float, end_s: float) -> Iterator[tuple[float, bytes]]:
    """The frames of [start_s, end_s) in order; only the row groups that hold some are read."""
    start_s, end_s = start_s - TIME_TOLERANCE_S, max(end_s, start_s + 1e-3) - TIME_TOLERANCE_S
    groups = range(file.num_row_groups)
    first = bisect_left(groups, start_s, key=lambda n: file.metadata.row_group(n).column(0).statistics.max)
    for group in groups[first:]:
        times_s = file.read_row_group(group, columns=["time_s"]).column("time_s").to_numpy()
        if times_s[0] >= end_s:
            return
        wanted = (times_s >= start_s) & (times_s < end_s)
        jpegs = file.read_row_group(group, columns=["jpeg"]).column("jpeg")
        for row in np.flatnonzero(wanted):
            yield float(times_s[row]), jpegs[int(row)].as_py()
