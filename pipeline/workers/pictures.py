"""For worker scripts that look at sampled pictures: the frames of a stretch.

Needs numpy and pyarrow only; imported from the script's folder, in the script's environment.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

pa.set_memory_pool(pa.system_memory_pool())  # the default one keeps what it read
PROGRESS_EVERY_FRAMES = 50
TIME_TOLERANCE_S = 1e-6


def rows_between(file: pq.ParquetFile, start_s: float, end_s: float) -> Iterator[tuple[float, bytes]]:
    """The frames of [start_s, end_s) in order; only the row groups that hold some are read."""
    for group in range(file.num_row_groups):
        times_s = file.read_row_group(group, columns=["time_s"]).column("time_s").to_numpy()
        wanted = (times_s >= start_s - TIME_TOLERANCE_S) & (
            times_s < max(end_s, start_s + 1e-3) - TIME_TOLERANCE_S
        )
        if not wanted.any():
            continue
        jpegs = file.read_row_group(group, columns=["jpeg"]).column("jpeg")
        for row in np.flatnonzero(wanted):
            yield float(times_s[row]), jpegs[int(row)].as_py()
