"""Which copy of a recording is read: the one that a transcript or a table stands beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.features.face_tables import find_face_table
from pipeline.features.prosody_csv import find_table
from pipeline.features.series_sidecar import find_series
from pipeline.features.transcripts import GivenText, find_sidecar
from pipeline.features.transcripts_meld import find_row

Find = Callable[[Path], object]


def copy_to_read(
    stage: str,
    requested: str,
    options: dict[str, Any],
    paths: Sequence[Path],
    *,
    transcript: GivenText | None = None,
    language: str | None = None,
) -> Path:
    """The copy beside which stands what the backend reads, else the first; arguments as of `pick_extractor`.

    Raises:
        ItemError: what stands beside a copy cannot be read, or is not the only one.
    """
    if len(paths) == 1:
        return paths[0]
    there = [path for path in paths if path.exists()]
    for find in _finders(stage, requested, transcript, options.get("language") or language):
        for path in there:
            if find(path) is not None:
                return path
    return paths[0]


def _finders(
    stage: str, requested: str, transcript: GivenText | None, language: str | None
) -> tuple[Find, ...]:
    """What a backend looks for beside a recording, in the order in which `auto` would take it."""
    written: Find = partial(find_sidecar, language=language)
    found: dict[str, tuple[Find, ...]] = {
        "asr.auto": (written,) if transcript is not None else (written, find_row),
        "asr.sidecar": (written,),
        "asr.meld": (find_row,),
        "prosody.auto": (find_table,),
        "prosody.csv": (find_table,),
        "au.auto": (find_face_table,),
        "au.openface": (partial(find_face_table, kind="openface"),),
        "au.pyfeat_csv": (partial(find_face_table, kind="pyfeat_csv"),),
        "series.auto": (find_series,),
        "series.sidecar": (find_series,),
    }
    return found.get(f"{stage}.{requested}", ())
