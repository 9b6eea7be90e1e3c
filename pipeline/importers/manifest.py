"""The manifest: one row a recording, a stretch of one, or a speaker, with what people say about it.

Columns: `path` (relative to the manifest; a row without one speaks of its speaker), `start`, `end` (seconds),
`speaker`, `transcript`, `license`, `consent`, `group`, `language`, `gold`. Any other column is refused, so that a
typo is not lost.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import UserError

FACT_COLUMNS = ("speaker", "transcript", "license", "consent", "group", "language", "gold")
COLUMNS = ("path", "start", "end", *FACT_COLUMNS)
OF_RECORDINGS_ONLY = ("start", "end", "transcript", "gold")
TIME_DIGITS = 3  # stretches are told apart to the millisecond


@dataclass(frozen=True)
class ManifestRow:
    """What is said of a recording, or of a stretch of it when it has a start (seconds). `facts` are all text.

    Without a path: what is said of the speaker that `facts` name, in every recording. `manifest` and `line` are
    where it stands; a file that was offered by itself stands nowhere.
    """

    path: Path | None
    start_s: float | None = None
    end_s: float | None = None
    facts: dict[str, str] = field(default_factory=dict)
    manifest: Path | None = None
    line: int | None = None


def read_csv(manifest: Path) -> Iterator[ManifestRow]:
    """Rows of a CSV manifest with a header line (UTF-8, a byte order mark is fine).

    Raises:
        UserError: code "bad_manifest", with file and line.
    """
    reader = csv.DictReader(io.StringIO(_text(manifest), newline=""))
    try:
        for fields in reader:
            if None in fields:
                raise _bad(manifest, reader.line_num, "more fields than columns", "mend the row")
            yield _row(manifest, reader.line_num, fields)
    except csv.Error as error:
        raise _bad(manifest, reader.line_num + 1, f"not CSV: {error}", "mend the row") from error


def read_jsonl(manifest: Path) -> Iterator[ManifestRow]:
    """Rows of a JSON-lines manifest: one object a line.

    Raises:
        UserError: code "bad_manifest", with file and line.
    """
    for number, line in enumerate(io.StringIO(_text(manifest)), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise _bad(manifest, number, f"not JSON: {error}", "mend the line") from error
        if not isinstance(fields, dict):
            raise _bad(manifest, number, "not a JSON object", "mend the line")
        yield _row(manifest, number, fields)


def read_parquet(manifest: Path) -> Iterator[ManifestRow]:
    """Rows of a Parquet manifest.

    Raises:
        UserError: code "bad_manifest", with the file and the number of the row.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with manifest.open("rb") as file:
            rows: Iterable[dict[str, Any]] = pq.read_table(file).to_pylist()
    except (pa.ArrowException, ValueError, OSError) as error:
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise _bad(manifest, None, f"cannot be read as Parquet: {first}", "write it again") from error
    for number, fields in enumerate(rows, 1):
        yield _row(manifest, number, fields)


def _text(manifest: Path) -> str:
    try:
        data = manifest.read_bytes()
    except OSError as error:
        raise _bad(manifest, None, f"cannot be read: {error.strerror}", "make it readable") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _bad(manifest, line, "not UTF-8", "save the file as UTF-8") from error


def consistent(manifest: Path, rows: Iterable[ManifestRow]) -> Iterator[ManifestRow]:
    """The rows of a manifest as they come.

    Raises:
        UserError: code "bad_manifest", two rows say different things of the same recording, stretch or speaker.
    """
    said: dict[tuple[Any, ...], tuple[str, int | None]] = {}
    for row in rows:
        subject = (row.facts["speaker"],) if row.path is None else (row.path, row.start_s, row.end_s)
        for key, value in row.facts.items():
            before, line = said.setdefault((*subject, key), (value, row.line))
            if before != value:
                message = f'{key} "{value[:60]}", where line {line} says "{before[:60]}" of the same'
                raise _bad(manifest, row.line, message, "keep one; a stretch has one speaker and one of each")
        yield row


def _row(manifest: Path, line: int, fields: dict[str, Any]) -> ManifestRow:
    given = {key: value for key, value in fields.items() if value not in (None, "")}
    if unknown := set(fields) - set(COLUMNS):
        raise _bad(manifest, line, f'unknown column "{min(unknown)}"', f"known: {', '.join(COLUMNS)}")
    if "path" not in given:
        return _speaker_row(manifest, line, given)
    start_s, end_s = (_seconds(manifest, line, key, given.get(key)) for key in ("start", "end"))
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise _bad(manifest, line, f"end {end_s:g} is not after start {start_s:g}", "mend it")
    if end_s is not None:
        start_s = start_s or 0.0
    said = {key: _words(manifest, line, key, given[key]) for key in ("path", *FACT_COLUMNS) if key in given}
    return ManifestRow(manifest.parent / said.pop("path"), start_s, end_s, said, manifest, line)


def _speaker_row(manifest: Path, line: int, given: dict[str, Any]) -> ManifestRow:
    said = {key: _words(manifest, line, key, given[key]) for key in FACT_COLUMNS if key in given}
    of_recordings = next((key for key in OF_RECORDINGS_ONLY if key in given), None)
    why = None
    if "speaker" not in said:
        why = "no path"
    elif of_recordings is not None:
        why = f"no path, which {of_recordings} needs"
    elif len(said) == 1:
        why = f"no path, and nothing is said of speaker {said['speaker']}"
    if why is not None:
        remedy = "every row needs a path, or a speaker and what is said of that speaker everywhere"
        raise _bad(manifest, line, why, remedy)
    return ManifestRow(None, facts=said, manifest=manifest, line=line)


def _words(manifest: Path, line: int, key: str, value: Any) -> str:
    """A value as text: spreadsheets and data frames turn names like 1001 into numbers."""
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, float) and value.is_integer():
        value = str(int(value))
    elif isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        value = str(value)
    if not isinstance(value, str):
        raise _bad(manifest, line, f"{key} is not text: {str(value)[:60]}", "give one text")
    # No path, and not every database, can hold a NUL; half a surrogate pair has no UTF-8 form.
    if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
        raise _bad(
            manifest, line, f"{key} holds a character that no text may hold: {value[:60]!a}", "mend it"
        )
    return value


def _seconds(manifest: Path, line: int, key: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise _bad(manifest, line, f"{key} is not seconds: {value!r}", "give seconds, e.g. 12.5")
    return round(abs(seconds), TIME_DIGITS)  # abs: "-0" is a way to write 0


def _bad(manifest: Path, line: int | None, message: str, remedy: str) -> UserError:
    return UserError("bad_manifest", message, remedy, str(manifest), line)
