"""What a killed process left is removed after a day, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pipeline.artifacts import Artifacts
from pipeline.leftovers import STALE_S, sweep


def made(path: Path, *, age_s: float) -> Path:
    """A file or (for a name without an ending) a folder with a file in it, changed `age_s` ago."""
    files = [path] if path.suffix else [path / "inside.bin", path]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    files[0].write_bytes(b"x")
    for file in files:
        os.utime(file, (time.time() - age_s,) * 2)
    return path


def test_only_what_was_not_touched_for_a_day_goes(tmp_path: Path) -> None:
    old = [made(tmp_path / name, age_s=STALE_S + 60) for name in ("tmpabc", "x.part", ".0.1.0-abc")]
    other = made(tmp_path / "0.1.0", age_s=STALE_S + 60)
    young = made(tmp_path / "tmpdef", age_s=STALE_S / 2)
    busy = made(tmp_path / "tmpghi", age_s=STALE_S + 60)
    (busy / "inside.bin").touch()
    for pattern in ("tmp*", "*.part", ".[0-9]*-*"):
        sweep(tmp_path, pattern)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in (other, young, busy))
    sweep(tmp_path / "not there", "*")


def test_the_cache_keeps_its_files(tmp_path: Path) -> None:
    cache = Artifacts(str(tmp_path / "cache"))
    cache.put_bytes("clip_abcdef", "clip.mp4", b"kept")
    kept = cache.local("clip_abcdef", "clip.mp4")
    os.utime(kept, (0, 0))
    left = made(tmp_path / "cache" / "tmp" / "half.part", age_s=STALE_S + 60)
    cache.sweep()
    assert (kept.exists(), left.exists()) == (True, False)
