"""Prosody from a table beside the recording: curves that somebody measured, such as a table that Praat wrote.

`talk.prosody.csv` (or .tsv, .txt) stands beside `talk.mp4`: a head line, then one line a moment, with a column of
times in seconds of the recording and a column of pitch, of level, or of both.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pipeline.features.base import Clip, features_of, one_by_one
from pipeline.features.beside import cannot_read, files_beside
from pipeline.features.prosody_describe import EventParams, Voice, describe, speech_frames, why_unheard
from pipeline.features.prosody_signal import Curve, frame_times
from pipeline.features.prosody_summary import SUMMARY_UNITS
from pipeline.features.transcripts import decode_text
from schemas.errors import ItemError, UserError
from schemas.records import Features

ENDINGS = (".prosody.csv", ".prosody.tsv", ".prosody.txt")
# Names of columns without case, blanks and marks: ours first, then those of Praat's tables and of common scripts.
COLUMNS = {
    "time_s": ("times", "time", "t", "start", "starts"),
    "pitch_hz": ("pitchhz", "pitch", "f0hz", "f0"),
    "intensity_db": ("intensitydb", "intensity", "leveldb"),
}
NOTHING = {"", "--undefined--", "undefined", "nan", "na", "none", "?"}
LOWEST_HZ, HIGHEST_HZ = (
    20.0,
    2000.0,
)  # of a voice; what is outside was measured in another unit, or is no pitch
MAX_GAP_S = 0.05  # a moment further from every line of the table than this (or than its step) is not in it


@dataclass(frozen=True)
class Table:
    """Times (source time, rising) and the columns that there are, NaN where a cell is empty."""

    times_s: Curve
    pitch_hz: Curve | None
    level_db: Curve | None


class CsvParams(EventParams):
    """When something in the given curves is an event."""


class CsvProsody:
    """Extractor "prosody.csv". What is asked is the table's bytes, wherever it stands."""

    stage: ClassVar[str] = "prosody"
    name: ClassVar[str] = "csv"
    version: ClassVar[str] = "2"
    weights_digest: ClassVar[str | None] = None

    def __init__(self, params: CsvParams | None = None, data: bytes = b"", path: Path = Path()) -> None:
        self._rule = params or CsvParams()
        self._data, self._path = data, path

    def beside(self, recording: Path) -> CsvProsody:
        """The extractor with the same parameters for the table of one recording.

        Raises:
            ItemError: "prosody_missing", "unreadable_prosody"; "bad_prosody", with file and line.
        """
        path = find_table(recording)
        if path is None:
            remedy = f"put {recording.stem}{ENDINGS[0]} in the same folder, or use another prosody backend"
            raise ItemError("prosody_missing", f"no prosody table stands beside {recording.name}", remedy)
        try:
            data = path.read_bytes()
            read_table(data, str(path))  # a mistake is told here, once for the recording
        except OSError as error:
            raise cannot_read(path, error, "unreadable_prosody") from error
        except UserError as error:
            message = f"{path}:{error.line}: {error.message}"
            raise ItemError("bad_prosody", message, f"{error.remedy}, then: emotrace run") from error
        return CsvProsody(self._rule, data, path)

    @property
    def params(self) -> dict[str, Any]:
        return self._rule.model_dump(mode="json") | {"sha256": hashlib.sha256(self._data).hexdigest()}

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """Features per clip of the recording whose table this is."""
        table = read_table(self._data, str(self._path))
        return one_by_one(self, clips, lambda clip: self._measure(clip, table))

    def _measure(self, clip: Clip, table: Table) -> Features:
        missing = why_unheard(clip)
        if missing is not None or clip.audio is None:
            return features_of(self, clip, missing=missing, summary=dict.fromkeys(SUMMARY_UNITS))
        nearest, there = _lines_of(table, frame_times(clip.audio) + clip.segment.source_start_s)
        if not there.any():
            return features_of(self, clip, missing="not_in_table", summary=dict.fromkeys(SUMMARY_UNITS))
        speech, measured = speech_frames(clip, clip.audio)
        pitch_hz = np.full(len(speech), np.nan)
        if table.pitch_hz is not None:
            pitch_hz = np.where(speech & there, table.pitch_hz[nearest], np.nan)
        level_db = None if table.level_db is None else np.where(there, table.level_db[nearest], np.nan)
        return features_of(self, clip, **describe(Voice(pitch_hz, level_db, speech, measured), self._rule))


def find_table(recording: Path) -> Path | None:
    """The prosody table of a recording, if one stands beside it."""
    return next(iter(files_beside(recording, ENDINGS)), None)


def read_table(data: bytes, file: str) -> Table:
    """A table of curves: cells are parted by commas, semicolons or tabs; a pitch of 0 is unvoiced.

    Raises:
        UserError: "bad_prosody" or "bad_transcript" (no text), with the file and the line.
    """
    lines = decode_text(data, file).splitlines()
    if not lines:
        raise _bad("the table is empty", file, 1)
    delimiter = max("\t;,", key=lines[0].count)
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error as error:
        raise _bad(f"no table: {error}", file, 1) from error
    places = _places(rows[0], file)
    numbered = [(n, row) for n, row in enumerate(rows[1:], start=2) if any(cell.strip() for cell in row)]
    if not numbered:
        raise _bad("the table has no lines below its head", file, 1)
    found = [[_number(row, place, delimiter, file, n) for place in places.values()] for n, row in numbered]
    columns = dict(zip(places, np.array(found, dtype=np.float64).T, strict=True))
    line_of = [n for n, _ in numbered]
    _refuse_times(columns["time_s"], file, line_of)
    pitch_hz = columns.get("pitch_hz")
    if pitch_hz is not None:
        pitch_hz = np.where(pitch_hz == 0, np.nan, pitch_hz)
        _refuse_pitch(pitch_hz, file, line_of)
    return Table(columns["time_s"], pitch_hz, columns.get("intensity_db"))


def _places(head: list[str], file: str) -> dict[str, int]:
    """Our column -> its place in the table."""
    names = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in head]
    places = {
        column: next(names.index(alias) for alias in aliases if alias in names)
        for column, aliases in COLUMNS.items()
        if set(aliases) & set(names)
    }
    if "time_s" not in places or len(places) < 2:
        raise _bad("the head line needs time_s, and pitch_hz or intensity_db", file, 1)
    return places


def _number(row: list[str], place: int, delimiter: str, file: str, line: int) -> float:
    cell = row[place].strip() if place < len(row) else ""
    if cell.lower() in NOTHING:
        return math.nan
    try:
        value = float(cell if delimiter == "," else cell.replace(",", "."))
    except ValueError:
        raise _bad(f'"{cell[:30]}" is no number', file, line) from None
    if not math.isfinite(value):
        raise _bad(f'"{cell[:30]}" is no finite number', file, line)
    return value


def _refuse_times(times_s: Curve, file: str, lines: Sequence[int]) -> None:
    wrong = np.flatnonzero(~np.isfinite(times_s) | (np.diff(times_s, prepend=-np.inf) <= 0))
    if len(wrong):
        raise _bad("the times must be there, and rise from line to line", file, lines[wrong[0]])


def _refuse_pitch(pitch_hz: Curve, file: str, lines: Sequence[int]) -> None:
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero((pitch_hz < LOWEST_HZ) | (pitch_hz > HIGHEST_HZ))
    if len(wrong):
        value = float(pitch_hz[wrong[0]])
        message = (
            f"a pitch of {value:g} Hz: it must lie in {LOWEST_HZ:g}-{HIGHEST_HZ:g} Hz, or be 0 (unvoiced)"
        )
        raise _bad(message, file, lines[wrong[0]])


def _bad(message: str, file: str, line: int) -> UserError:
    return UserError("bad_prosody", message, "correct the line or remove the file", file=file, line=line)


def _lines_of(table: Table, times_s: Curve) -> tuple[Any, Any]:
    """The table's nearest line for each moment, and whether it is near enough."""
    right = np.clip(np.searchsorted(table.times_s, times_s), 0, len(table.times_s) - 1)
    left = np.maximum(right - 1, 0)
    nearer_left = np.abs(table.times_s[left] - times_s) <= np.abs(table.times_s[right] - times_s)
    nearest = np.where(nearer_left, left, right)
    step_s = float(np.median(np.diff(table.times_s))) if len(table.times_s) > 1 else 0.0
    return nearest, np.abs(table.times_s[nearest] - times_s) <= max(step_s, MAX_GAP_S) + 1e-9
