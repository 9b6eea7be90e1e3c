"""Any time series beside a recording (physiology, a rating in time, ...), cut to each segment.

`talk.series.csv` or `talk.series.parquet`: a column time_s, then one column per signal. docs/time-series.md.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipeline.features.base import Clip, Params, features_of, one_by_one
from pipeline.features.beside import cannot_read, digest_beside, files_beside
from schemas.errors import ItemError
from schemas.parts import Series
from schemas.records import Features

ENDINGS = (".series.csv", ".series.parquet")
TIME = "time_s"
DIGITS = 6
NOT_NUMBERS = frozenset({"", "nan", "na", "null", "none"})  # how gaps are written
_UNIT_IN_NAME = re.compile(r"(?P<name>.+?)\s*\[(?P<unit>[^\]]*)\]")
Array = npt.NDArray[np.float64]


class SeriesParams(Params):
    offset_s: float = 0.0  # added to the file's times, where its clock began at another moment
    max_hz: float = Field(default=50.0, gt=0)  # a denser signal is told by the means of bins of 1 / max_hz


class Signals(NamedTuple):
    """`times_s` (samples,) rises; `values` (samples, signals), NaN = not measured."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    times_s: Array
    values: Array


class SeriesSidecar:
    """Extractor "series.sidecar": one file for all segments of its recording."""

    stage: ClassVar[str] = "series"
    name: ClassVar[str] = "sidecar"
    version: ClassVar[str] = "1"
    weights_digest: ClassVar[str | None] = None

    def __init__(self, params: SeriesParams | None = None) -> None:
        self._params = params or SeriesParams()
        self._path: Path | None = None
        self._sha256 = ""
        self._read: Signals | ItemError | None = None

    def beside(self, recording: Path) -> SeriesSidecar:
        """This extractor with the file of a recording.

        Raises:
            ItemError: "series_missing", "unreadable_series".
        """
        path = find_series(recording)
        if path is None:
            raise ItemError(
                "series_missing",
                f"no time series stands beside {recording.name}",
                f"put {recording.stem}.series.csv in the same folder, then: emotrace run",
            )
        self._path, self._sha256 = path, digest_beside(path, "unreadable_series")
        return self

    @property
    def params(self) -> dict[str, Any]:
        return self._params.model_dump(mode="json") | {"sha256": self._sha256}

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """The part of every signal that lies in each segment."""
        return one_by_one(self, clips, self._features)

    def _signals(self) -> Signals:
        if self._read is None:
            assert self._path is not None, "made ready by `beside`"
            try:
                self._read = read_series(self._path)
            except ItemError as error:  # the same for every segment: read once
                self._read = error
        if isinstance(self._read, ItemError):
            raise self._read
        return self._read

    def _features(self, clip: Clip) -> Features:
        signals, start_s = self._signals(), clip.segment.source_start_s
        times_s = signals.times_s + self._params.offset_s - start_s
        here = (times_s >= 0) & (times_s <= clip.segment.duration_s)
        if not here.any():
            return features_of(self, clip, missing="no_samples")
        times_s, values = _binned(times_s[here], signals.values[here], self._params.max_hz)
        clock = tuple(round(float(time), DIGITS) for time in times_s)
        told = zip(signals.names, signals.units, values.T, strict=True)
        series = tuple(
            Series(name=name, unit=unit, times_s=clock, values=_rounded(curve)) for name, unit, curve in told
        )
        return features_of(self, clip, series=series, summary=_summary(series))


def find_series(recording: Path) -> Path | None:
    """The time series beside a recording, csv first."""
    return next(iter(files_beside(recording, ENDINGS)), None)


def read_series(path: Path) -> Signals:
    """Read a csv or Parquet file of signals.

    Raises:
        ItemError: "bad_series", for a csv with file and line; "unreadable_series".
    """
    try:
        return _from_parquet(path) if path.suffix == ".parquet" else _from_csv(path)
    except OSError as error:
        raise cannot_read(path, error, "unreadable_series") from error


def _from_csv(path: Path) -> Signals:
    rows: list[list[float]] = []
    lines: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            names, units = _head(next(reader, []), path)
            for fields in reader:
                if not any(field.strip() for field in fields):
                    continue
                if len(fields) != len(names) + 1:
                    raise _bad(
                        path, reader.line_num, f"{len(fields)} fields, the header has {len(names) + 1}"
                    )
                if not rows and _is_unit_row(fields):
                    units = tuple(
                        field.strip() or unit for field, unit in zip(fields[1:], units, strict=True)
                    )
                    continue
                rows.append(_numbers(fields, (TIME, *names), path, reader.line_num))
                lines.append(reader.line_num)
    except UnicodeDecodeError as error:
        raise _bad(path, 1, "no UTF-8 text") from error
    except csv.Error as error:
        raise _bad(path, reader.line_num, str(error)) from error
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(names) + 1)
    late = np.flatnonzero(np.diff(table[:, 0]) <= 0)
    if len(late):
        raise _bad(path, lines[int(late[0]) + 1], "time_s must rise from row to row")
    return Signals(names, units, table[:, 0], table[:, 1:])


def _head(fields: Sequence[str], path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units of the signals: `name` or `name[unit]`."""
    titles = [field.strip() for field in fields]
    if len(titles) < 2 or titles[0] != TIME:
        raise _bad(path, 1, f"the header must be {TIME} and one column per signal")
    matches = [_UNIT_IN_NAME.fullmatch(title) for title in titles[1:]]
    names = tuple(m["name"] if m else title for m, title in zip(matches, titles[1:], strict=True))
    if "" in names or len(set(names)) < len(names):
        raise _bad(path, 1, "every signal needs a name of its own")
    return names, tuple(m["unit"].strip() if m else "" for m in matches)


def _is_unit_row(fields: Sequence[str]) -> bool:
    """The second header row: the unit of the time, then that of each signal."""
    return fields[0].strip().lower() in ("", "s", "sec", "second", "seconds", "[s]")


def _numbers(fields: Sequence[str], titles: Sequence[str], path: Path, line: int) -> list[float]:
    numbers = []
    for title, field in zip(titles, fields, strict=True):
        text = field.strip()
        if text.lower() in NOT_NUMBERS and title != TIME:
            numbers.append(np.nan)
            continue
        try:
            numbers.append(float(text))
        except ValueError:
            raise _bad(path, line, f'"{text[:30]}" in the column {title} is no number') from None
        if not np.isfinite(numbers[-1]):
            raise _bad(path, line, f'"{text[:30]}" in the column {title} cannot be')
    return numbers


def _from_parquet(path: Path) -> Signals:
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise _bad(path, None, f"no Parquet file: {str(error)[:200]}") from error
    names, units = _head(table.column_names, path)
    for field in table.schema:
        if not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
            raise _bad(path, None, f"the column {field.name} holds {field.type}, not numbers")
    columns = [column.cast(pa.float64()).to_numpy() for column in table.columns]
    values = np.stack(columns, axis=1).astype(np.float64)
    values[:, 1:][np.isinf(values[:, 1:])] = np.nan
    if not np.isfinite(values[:, 0]).all() or (np.diff(values[:, 0]) <= 0).any():
        raise _bad(path, None, "time_s must be there and rise from row to row")
    return Signals(names, units, values[:, 0], values[:, 1:])


def _bad(path: Path, line: int | None, why: str) -> ItemError:
    where = f"{path}:{line}" if line is not None else str(path)
    return ItemError("bad_series", f"{where}: {why}", "mend or remove the file, then: emotrace run")


def _binned(times_s: Array, values: Array, max_hz: float) -> tuple[Array, Array]:
    """Means of what lies in one bin of 1 / max_hz, at the mean of its times; sparser samples stay as they are."""
    bins, place = np.unique(np.floor(times_s * max_hz), return_inverse=True)
    if len(bins) == len(times_s):
        return times_s, values
    means = np.full((len(bins), values.shape[1]), np.nan)
    for column, curve in enumerate(values.T):
        known = np.isfinite(curve)
        count = np.bincount(place[known], minlength=len(bins))
        total = np.bincount(place[known], weights=curve[known], minlength=len(bins))
        means[count > 0, column] = total[count > 0] / count[count > 0]
    return np.bincount(place, weights=times_s) / np.bincount(place), means


def _rounded(curve: Array) -> tuple[float | None, ...]:
    return tuple(round(float(value), DIGITS) + 0.0 if np.isfinite(value) else None for value in curve)


def _summary(series: Sequence[Series]) -> dict[str, float | None]:
    """Mean, lowest and highest value of every signal in the segment."""
    summary: dict[str, float | None] = {}
    for one in series:
        known = [value for value in one.values if value is not None]
        numbers = (sum(known) / len(known), min(known), max(known)) if known else (None, None, None)
        for kind, number in zip(("mean", "min", "max"), numbers, strict=True):
            summary[f"{one.name}_{kind}"] = None if number is None else round(number, DIGITS)
    return summary
