"""Files that stand beside a recording and belong to it by their name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path


def files_beside(recording: Path, endings: Sequence[str]) -> list[Path]:
    """Those of `talk.csv`, `talk_openface.csv`, ... (stem and ending, in the order of the endings) that exist."""
    folder = recording.parent
    if not folder.is_dir():
        return []
    names = _names_in(folder, folder.stat().st_mtime_ns)
    return [folder / name for ending in endings if (name := recording.stem + ending) in names]


@lru_cache(maxsize=4)
def _names_in(folder: Path, _mtime_ns: int) -> frozenset[str]:
    """Cached: a folder may hold 100,000 recordings."""
    return frozenset(os.listdir(folder))  # noqa: PTH208 - names only, no Path for each file
