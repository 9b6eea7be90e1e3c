"""Tables of faces that another program wrote beside a recording: OpenFace's and Py-Feat's csv."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.features.beside import cannot_read, files_beside
from schemas.errors import ItemError

Kind = Literal["openface", "pyfeat_csv"]
ENDINGS = (".csv", "_openface.csv", ".openface.csv", "_pyfeat.csv", ".pyfeat.csv")
_UNIT = re.compile(r"AU\d\d")
_OPENFACE_UNIT = re.compile(r"AU\d\d_[rc]")
_POINTS = re.compile(r"[xy]_\d+")
NEEDED: dict[Kind, tuple[str, ...]] = {
    "openface": ("frame", "timestamp"),
    "pyfeat_csv": ("frame", "FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight"),
}
USED: dict[Kind, tuple[str, ...]] = {
    "openface": (
        *("frame", "timestamp", "face_id", "confidence", "success"),
        *("pose_Rx", "pose_Ry", "pose_Rz", "gaze_angle_x", "gaze_angle_y"),
    ),
    "pyfeat_csv": (
        *("frame", "FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore"),
        *("Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt"),
        *("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
        *("valence", "arousal", "Pitch", "Roll", "Yaw", "gaze_pitch", "gaze_yaw"),
        *(f"mesh_{axis}_{point}" for point in (13, 14, 33, 263) for axis in "xy"),  # lips, eye corners
    ),
}
# How programs write "not a number"; an empty field is one, too.
NOT_NUMBERS = frozenset({"", "nan", "-nan", "nan(ind)", "-nan(ind)"})


@dataclass(frozen=True)
class FaceTable:
    """The columns that are used, by their stripped names, shape (rows,); NaN = empty. Rows keep their order."""

    kind: Kind
    columns: Mapping[str, npt.NDArray[np.float64]]

    @property
    def units(self) -> list[str]:
        """The columns of action units, in the order of their names."""
        return sorted(name for name in self.columns if _UNIT.match(name))

    def column(self, name: str) -> npt.NDArray[np.float64] | None:
        return self.columns.get(name)


def find_face_table(recording: Path, kind: Kind | None = None) -> tuple[Kind, Path] | None:
    """The first table beside a recording (in the order of ENDINGS) whose header is of a kind (None: of any).

    Raises:
        ItemError: "unreadable_table": what a file is that cannot be read is not known, and it comes first.
    """
    for path in files_beside(recording, ENDINGS):
        try:
            found = _kind_of(path, path.stat().st_mtime_ns)
        except OSError as error:
            raise cannot_read(path, error, "unreadable_table") from error
        if found is not None and kind in (None, found):
            return found, path
    return None


@lru_cache(maxsize=4096)
def _kind_of(path: Path, _mtime_ns: int) -> Kind | None:
    """Which program wrote a csv, by its header; None for another table."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = {name.strip() for name in next(csv.reader(file), [])}
    except (IsADirectoryError, UnicodeDecodeError, csv.Error):
        return None
    if set(NEEDED["openface"]) <= names and any(_OPENFACE_UNIT.fullmatch(name) for name in names):
        return "openface"
    if set(NEEDED["pyfeat_csv"]) <= names and any(_UNIT.fullmatch(name) for name in names):
        return "pyfeat_csv"
    return None


def read_face_table(path: Path, kind: Kind) -> FaceTable:
    """Read a table.

    Raises:
        ItemError: "bad_table", with file and line; "unreadable_table".
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, skipinitialspace=True)
            header = [name.strip() for name in next(lines, [])]
            places = {name: place for place, name in enumerate(header) if _is_used(name, kind)}
            rows = [
                _numbers(fields, header, places, path, lines.line_num)
                for fields in lines
                if any(field.strip() for field in fields)
            ]
    except OSError as error:
        raise cannot_read(path, error, "unreadable_table") from error
    except UnicodeDecodeError as error:
        raise _bad(path, 1, "no UTF-8 text") from error
    except csv.Error as error:
        raise _bad(path, lines.line_num, str(error)) from error
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(places))
    return FaceTable(kind, dict(zip(places, values.T, strict=True)))


def _is_used(name: str, kind: Kind) -> bool:
    if name in USED[kind]:
        return True
    if kind == "openface":
        return bool(_OPENFACE_UNIT.fullmatch(name) or _POINTS.fullmatch(name))
    return bool(_UNIT.fullmatch(name))


def _numbers(
    fields: Sequence[str], header: Sequence[str], places: Mapping[str, int], path: Path, line: int
) -> list[float]:
    if len(fields) != len(header):
        raise _bad(path, line, f"{len(fields)} fields, the header has {len(header)}")
    return list(_row(fields, places, path, line))


def _row(fields: Sequence[str], places: Mapping[str, int], path: Path, line: int) -> Iterator[float]:
    for name, place in places.items():
        text = fields[place].strip()
        if text.lower() in NOT_NUMBERS and name not in ("frame", "timestamp"):
            yield np.nan
            continue
        try:
            value = float(text)
        except ValueError:
            raise _bad(path, line, f'"{text[:30]}" in the column {name} is no number') from None
        if not np.isfinite(value) or (name in ("frame", "timestamp") and value < 0):
            raise _bad(path, line, f"{text[:30]} in the column {name} cannot be")
        yield value


def _bad(path: Path, line: int, why: str) -> ItemError:
    remedy = "mend the line or remove the file, then: emotrace run"
    return ItemError("bad_table", f"{path}:{line}: {why}", remedy)
