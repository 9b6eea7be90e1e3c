"""Fail when `emotrace --help` is slow on CI's machine: a limit of CI, not a test of emotrace."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.start import HELP_TARGET_S, help_times_s

if __name__ == "__main__":
    took_s = statistics.median(help_times_s())
    print(f"emotrace --help took {took_s:.2f} s, the median; its limit is {HELP_TARGET_S} s")
    sys.exit(took_s >= HELP_TARGET_S)
