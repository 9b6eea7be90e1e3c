"""The manifest: one row a recording (or a stretch of one), with what people say about it.

Columns: `path` (needed; relative to the manifest), `start`, `end` (seconds), `speaker`, `transcript`,
`license`, `consent`, `group`, `language`, `gold`. Any other column is refused, so that a typo is not lost.
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


@dataclass(frozen=True)
class ManifestRow:
    """What is said of a recording, or of a stretch of it when it has times. `facts` are all text."""

    path: Path
    start_s: float | None = None
    end_s: float | None = None
    facts: dict[str, str] = field(default_factory=dict)


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


def _row(manifest: Path, line: int, fields: dict[str, Any]) -> ManifestRow:
    given = {key: value for key, value in fields.items() if value not in (None, "")}
    if unknown := set(fields) - set(COLUMNS):
        raise _bad(manifest, line, f'unknown column "{min(unknown)}"', f"known: {', '.join(COLUMNS)}")
    if "path" not in given:
        raise _bad(manifest, line, "no path", "every row needs a path")
    start_s, end_s = (_seconds(manifest, line, key, given.get(key)) for key in ("start", "end"))
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise _bad(manifest, line, f"end {end_s:g} is not after start {start_s:g}", "mend it")
    said = {key: _words(manifest, line, key, given[key]) for key in ("path", *FACT_COLUMNS) if key in given}
    return ManifestRow(manifest.parent / said.pop("path"), start_s, end_s, said)


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
    return seconds


def _bad(manifest: Path, line: int | None, message: str, remedy: str) -> UserError:
    return UserError("bad_manifest", message, remedy, str(manifest), line)
