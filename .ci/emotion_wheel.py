"""Make schemas/data/emotion_wheel.json from the tables of MERTools: emotion_wheel.py FOLDER [TARGET].

FOLDER holds format.csv, synonym.xlsx, wheel1.xlsx and wheel2.xlsx (also with `emotion_wheel_` before the name)
from MER2025/MER2025_Track23/emotion_wheel of github.com/zeroQiaoba/MERTools, which is under Apache-2.0.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from pathlib import Path

SHEET = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
TARGET = Path(__file__).parents[1] / "schemas" / "data" / "emotion_wheel.json"
SOURCE = (
    "github.com/zeroQiaoba/MERTools 89120b780ab1, MER2025/MER2025_Track23/emotion_wheel "
    "(format.csv, synonym.xlsx, wheel1.xlsx, wheel2.xlsx), Apache-2.0; converted by .ci/emotion_wheel.py"
)
WHEELS = ("wheel1", "wheel2")
Tree = dict[str, dict[str, list[str]]]


def table(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a workbook's first sheet: column letter -> text, in small letters."""
    with zipfile.ZipFile(path) as book:
        texts = [
            "".join(
                part.text or "" for part in (*item.findall("m:t", SHEET), *item.findall("m:r/m:t", SHEET))
            )
            for item in ET.fromstring(book.read("xl/sharedStrings.xml")).findall("m:si", SHEET)
        ]
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
    for row in sheet.iterfind(".//m:row", SHEET):
        cells = {}
        for cell in row.findall("m:c", SHEET):
            value = cell.findtext("m:v", None, SHEET)
            if value is not None:
                text = texts[int(value)] if cell.get("t") == "s" else value
                cells[re.sub(r"\d", "", cell.get("r", ""))] = text.strip().lower()
        yield cells


def tree(path: Path) -> Tree:
    """Level 1 -> level 2 -> words; a cell that is left empty goes on with what stands above it."""
    found: Tree = {}
    above = {"A": "", "B": "", "C": ""}
    for row in list(table(path))[1:]:
        above |= {column: row[column] for column in above if row.get(column)}
        found.setdefault(above["A"], {}).setdefault(above["B"], []).append(above["C"])
    return found


def synonyms(path: Path) -> dict[str, list[str]]:
    """Root -> the wheel words that it is a synonym of, over all runs."""
    found: dict[str, set[str]] = {}
    head, *rows = table(path)
    words = [column for column, name in head.items() if name.startswith("word_")]
    for row in rows:
        for word in words:
            run = head[word].removeprefix("word_")
            (beside,) = (column for column, name in head.items() if name == f"synonym_{run}")
            for root in (row[word], *listed(row.get(beside, ""))):
                found.setdefault(root, set()).add(row[word])
    return {root: sorted(found[root]) for root in sorted(found)}


def forms(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["name"].strip().lower(): listed(row["format"]) for row in csv.DictReader(file)}
    return {root: sorted(set(rows[root]) - {root}) for root in sorted(rows)}


def listed(text: str) -> list[str]:
    return [part for item in text.split(",") if (part := item.strip().strip("'\"[]").strip().lower())]


def convert(folder: Path) -> str:
    """The text of the data file: one root a line, so that a change can be read."""

    def named(name: str) -> Path:
        plain = folder / name
        return plain if plain.exists() else folder / f"emotion_wheel_{name}"

    tables = {
        "forms": forms(named("format.csv")),
        "synonyms": synonyms(named("synonym.xlsx")),
        "wheels": {wheel: tree(named(f"{wheel}.xlsx")) for wheel in WHEELS},
    }
    parts = [f'"source": {json.dumps(SOURCE)}']
    for name, rows in tables.items():
        lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in rows.items()]
        parts.append(f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET
    target.write_text(convert(Path(sys.argv[1])), encoding="utf-8")
