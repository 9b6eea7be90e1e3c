"""The manifest: one row a recording (or a stretch of one), with what people say about it.

Columns: `path` (needed; relative to the manifest), `start`, `end` (seconds), `speaker`, `transcript`,
`license`, `consent`, `group`, `language`, `gold`. Any other column is refused, so that a typo is not lost.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import UserError

FACT_COLUMNS = ("speaker", "transcript", "license", "consent", "group", "language", "gold")
COLUMNS = ("path", "start", "end", *FACT_COLUMNS)


@dataclass(frozen=True)
class ManifestRow:
    path: Path
    start_s: float | None = None
    end_s: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def read_csv(manifest: Path) -> Iterator[ManifestRow]:
    """Rows of a CSV manifest with a header line (UTF-8, a byte order mark is fine)."""
    with manifest.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for fields in reader:
            if None in fields:
                raise UserError(
                    "bad_manifest", "more fields than columns", "mend the row", str(manifest), reader.line_num
                )
            yield _row(manifest, reader.line_num, fields)


def read_jsonl(manifest: Path) -> Iterator[ManifestRow]:
    """Rows of a JSON-lines manifest: one object a line."""
    with manifest.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
            except ValueError as error:
                raise UserError(
                    "bad_manifest", f"not JSON: {error}", "mend the line", str(manifest), number
                ) from error
            if not isinstance(fields, dict):
                raise UserError("bad_manifest", "not a JSON object", "mend the line", str(manifest), number)
            yield _row(manifest, number, fields)


def read_parquet(manifest: Path) -> Iterator[ManifestRow]:
    """Rows of a Parquet manifest."""
    import pyarrow.parquet as pq

    rows: Iterable[dict[str, Any]] = pq.read_table(manifest).to_pylist()
    for number, fields in enumerate(rows, 1):
        yield _row(manifest, number, fields)


def _row(manifest: Path, line: int, fields: dict[str, Any]) -> ManifestRow:
    given = {key: value for key, value in fields.items() if value not in (None, "")}
    if unknown := set(fields) - set(COLUMNS):
        raise UserError(
            "bad_manifest",
            f'unknown column "{min(unknown)}"',
            f"known: {', '.join(COLUMNS)}",
            str(manifest),
            line,
        )
    if "path" not in given:
        raise UserError("bad_manifest", "no path", "every row needs a path", str(manifest), line)
    start_s, end_s = (_seconds(manifest, line, key, given.get(key)) for key in ("start", "end"))
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise UserError(
            "bad_manifest", f"end {end_s:g} is not after start {start_s:g}", "mend it", str(manifest), line
        )
    path = manifest.parent / str(given["path"])
    return ManifestRow(path, start_s, end_s, {key: given[key] for key in FACT_COLUMNS if key in given})


def _seconds(manifest: Path, line: int, key: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(
            "bad_manifest", f"{key} is not seconds: {value!r}", "give seconds, e.g. 12.5", str(manifest), line
        )
    return seconds
