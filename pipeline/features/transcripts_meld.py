"""Transcripts from MELD's table of utterances, for recordings that are named as in MELD: `dia0_utt0.mp4`.

Reference: Poria et al. 2019, DOI 10.18653/v1/P19-1050.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from pipeline.features.beside import cannot_read, names_in, time_of
from pipeline.features.transcripts import GivenText, decode_text
from schemas.errors import ItemError, UserError

_NAME = re.compile(r"dia(\d+)_utt(\d+)$")
_OF_ONE = re.compile(r"dia\d+_utt\d+")  # a file that belongs to one recording is no table of many
_NEEDED = {"Utterance", "Speaker", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime"}
_TIME = re.compile(r"(\d+):(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?")
Key = tuple[int, int]  # dialogue and utterance


def find_row(recording: Path) -> GivenText | None:
    """What is said in a recording by the one table in its folder that names it, None without such a table.

    The times of a row are those of the episode; they tell how long the utterance is, which begins with its
    recording.

    Raises:
        ItemError: "bad_transcript", "unreadable_transcript"; "ambiguous_transcript", several tables name it:
            the numbers of MELD's three parts are the same.
    """
    match = _NAME.search(recording.stem)
    if match is None:
        return None
    key = (int(match[1]), int(match[2]))
    folder = recording.parent
    tables, unread = _tables_in(folder, time_of(folder))
    naming = _naming(tables, key) or _naming(filter(_is_meld_now, unread), key)
    if len(naming) > 1:
        raise ItemError(
            "ambiguous_transcript",
            f"several tables name {recording.name}: {', '.join(path.name for path, _ in naming)}",
            "keep the table of these recordings alone in their folder, then: emotrace run",
        )
    return naming[0][1] if naming else None


def _naming(tables: Iterable[Path], key: Key) -> list[tuple[Path, GivenText]]:
    return [(path, rows[key]) for path in tables if key in (rows := _rows_of(path))]


@lru_cache(maxsize=4)
def _tables_in(folder: Path, _mtime_ns: int) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The csv files of a folder whose head is that of MELD, and those that cannot be read and may have it.

    Cached: a folder may hold many recordings.
    """
    tables, unread = [], []
    for path in (folder / name for name in sorted(names_in(folder)) if name.lower().endswith(".csv")):
        try:
            tables += [path] if _is_meld(path) else []
        except OSError:
            unread += [] if _OF_ONE.search(path.name) else [path]
    return tuple(tables), tuple(unread)


def _is_meld(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return set(next(csv.reader(file), [])) >= _NEEDED
    except (IsADirectoryError, csv.Error):
        return False


def _is_meld_now(path: Path) -> bool:
    """Of a file that could not be read: where no other table names the recording, this one may."""
    try:
        return _is_meld(path)
    except OSError as error:
        raise cannot_read(path, error, "unreadable_transcript") from error


def _rows_of(path: Path) -> dict[Key, GivenText]:
    try:
        stat = path.stat()
        return _rows(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise cannot_read(path, error, "unreadable_transcript") from error
    except UserError as error:
        message = f"{path}:{error.line}: {error.message}"
        raise ItemError("bad_transcript", message, f"{error.remedy}, then: emotrace run") from error


@lru_cache(maxsize=8)
def _rows(path: Path, _mtime_ns: int, _size: int) -> dict[Key, GivenText]:
    return read_meld(path.read_bytes(), str(path))


def read_meld(data: bytes, file: str) -> dict[Key, GivenText]:
    """(dialogue, utterance) -> what is said and by whom, of the whole table.

    Raises:
        UserError: "bad_transcript", with the file and the line.
    """
    reader = csv.DictReader(io.StringIO(decode_text(data, file), newline=""))
    found: dict[Key, GivenText] = {}
    try:
        for row in reader:
            key = (_number(row, "Dialogue_ID", file, reader.line_num),
                   _number(row, "Utterance_ID", file, reader.line_num))  # fmt: skip
            if key in found:
                raise _bad(f"dialogue {key[0]} has its utterance {key[1]} twice", file, reader.line_num)
            length_s = _seconds(row, "EndTime", file, reader.line_num) - _seconds(
                row, "StartTime", file, reader.line_num
            )
            text, speaker = (row["Utterance"] or "").strip(), (row["Speaker"] or "").strip()
            # Some rows end before they start: nothing is known of their length then.
            end_s = round(length_s, 3) if length_s > 0 else None
            found[key] = GivenText(text, 0.0, end_s, speaker or None)
    except csv.Error as error:
        raise _bad(f"no table: {error}", file, reader.line_num) from error
    return found


def _number(row: dict[str, str | None], column: str, file: str, line: int) -> int:
    value = (row.get(column) or "").strip()
    if not re.fullmatch(r"\d{1,9}", value):
        raise _bad(f'{column} is "{value[:30]}", not a number', file, line)
    return int(value)


def _seconds(row: dict[str, str | None], column: str, file: str, line: int) -> float:
    match = _TIME.fullmatch((row.get(column) or "").strip())
    if match is None:
        raise _bad(f'{column} is "{(row.get(column) or "")[:30]}", not a time like 00:16:16,059', file, line)
    hours, minutes, seconds, fraction = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")


def _bad(message: str, file: str, line: int) -> UserError:
    return UserError("bad_transcript", message, "correct the line or remove the file", file=file, line=line)
