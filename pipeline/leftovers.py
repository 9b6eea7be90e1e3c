"""What a killed process left half-made. Nothing of it is ever read; it is removed so that it does not add up."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

STALE_S = 24 * 3600.0  # nothing that is still being written stays untouched for a day


def sweep(folder: Path, pattern: str) -> None:
    """Remove the files and folders directly in `folder` that match and were not touched for a day."""
    for path in folder.glob(pattern) if folder.is_dir() else ():
        if time.time() - _touched(path) < STALE_S:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _touched(path: Path) -> float:
    """When it, or anything in it, was changed last; now, if it is being removed by somebody else."""
    try:
        return max(entry.lstat().st_mtime for entry in (path, *path.rglob("*")))
    except OSError:
        return time.time()
