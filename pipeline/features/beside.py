"""Files that stand beside a recording and belong to it by their name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from schemas.errors import ItemError
from schemas.ids import file_digest

AGAIN = "then: emotrace run"


def files_beside(recording: Path, endings: Sequence[str]) -> list[Path]:
    """Those of `talk.csv`, `talk_openface.csv`, ... (stem and ending, in the order of the endings) that exist.

    A link that leads nowhere is one of them: somebody means its file to be used, and has to fetch it.
    """
    folder = recording.parent
    names = names_in(folder)
    return [folder / name for ending in endings if (name := recording.stem + ending) in names]


def names_in(folder: Path) -> frozenset[str]:
    """None in a folder that cannot be looked into: then its recordings cannot be read either, which is told."""
    try:
        return _names_in(folder, time_of(folder))
    except OSError:
        return frozenset()


def time_of(folder: Path) -> int:
    """When files of a folder last came or went, in ns; 0 where there is no folder."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _names_in(folder: Path, _mtime_ns: int) -> frozenset[str]:
    """Cached: a folder may hold 100,000 recordings."""
    return frozenset(os.listdir(folder))  # noqa: PTH208 - names only, no Path for each file


def digest_beside(path: Path, code: str) -> str:
    """SHA-256 of a file beside a recording.

    Raises:
        ItemError: of that code, when it cannot be read.
    """
    try:
        return file_digest(path)
    except OSError as error:
        raise cannot_read(path, error, code) from error


def cannot_read(path: Path, error: OSError, code: str) -> ItemError:
    """What is told of a file that cannot be read; git-annex and DataLad leave links to what has to be fetched."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        remedy = f"fetch the file (git annex get, datalad get) or remove the link, {AGAIN}"
        return ItemError(code, f"{path} is a link to a file that is not here", remedy)
    remedy = f"make the file readable or remove it, {AGAIN}"
    return ItemError(code, f"cannot read {path}: {error.strerror or error}", remedy)
