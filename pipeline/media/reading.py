"""Reads what the decode pass wrote: sound by time, pictures by time."""

from __future__ import annotations

import math
import wave
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.features.base import SAMPLE_RATE_HZ, Audio
from schemas.errors import MediaError

BLOCK_SAMPLES = 1 << 20  # a minute of sound


def read_audio(path: Path, start_s: float | None = None, end_s: float | None = None) -> Audio:
    """Samples of a pass's `audio.wav` in [start_s, end_s) source time, float32 in [-1, 1], shape (samples,).

    Only the asked stretch is read from disk. What lies outside the recording is left out.
    """
    with _open(path) as file:
        total = file.getnframes()
        first = min(total, max(0, round((start_s or 0.0) * SAMPLE_RATE_HZ)))
        last = total if end_s is None else min(total, max(first, round(end_s * SAMPLE_RATE_HZ)))
        return _read(file, first, last)


@contextmanager
def _open(path: Path) -> Iterator[wave.Wave_read]:
    with wave.open(str(path), "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (SAMPLE_RATE_HZ, 1, 2):
            raise MediaError("not_decoded_audio", f"{path.name}: is not 16 kHz mono 16-bit sound")
        yield file


def _read(file: wave.Wave_read, first: int, last: int) -> Audio:
    """Block by block into its place: a whole recording is in memory once, and not in both forms."""
    file.setpos(first)
    samples = np.empty(last - first, np.float32)
    filled = 0
    while block := file.readframes(min(BLOCK_SAMPLES, len(samples) - filled)):
        part = np.frombuffer(block, "<i2")
        np.multiply(part, np.float32(1 / 32768), out=samples[filled : filled + len(part)])
        filled += len(part)
    return samples[:filled]


class WavSound:
    """A pass's `audio.wav` as an array of samples of which only the asked slices are read from disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _open(path) as file:
            self._length = file.getnframes()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, asked: slice) -> Audio:
        first, last, step = asked.indices(self._length)
        with _open(self._path) as file:
            return _read(file, first, max(first, last))[::step]


def read_frames(path: Path, start_s: float = 0.0, end_s: float = math.inf) -> Iterator[tuple[float, bytes]]:
    """(source time, JPEG) of the pictures with start_s <= time < end_s, in order of time.

    Row groups outside the span are not looked at: a long recording has thousands.
    """
    with pq.ParquetFile(path) as file:
        groups = range(file.num_row_groups)
        first = bisect_left(
            groups, start_s, key=lambda n: file.metadata.row_group(n).column(0).statistics.max
        )
        for group in groups[first:]:
            if file.metadata.row_group(group).column(0).statistics.min >= end_s:
                return
            table = file.read_row_group(group)
            for time_s, jpeg in zip(table["time_s"].to_pylist(), table["jpeg"], strict=True):
                if start_s <= time_s < end_s:
                    yield time_s, jpeg.as_py()


def frame_at(path: Path, time_s: float) -> bytes:
    """JPEG of the picture nearest in time to `time_s` (source time); the earlier one of two equally near.

    Raises:
        MediaError: no_frames, when the file holds none.
    """
    with pq.ParquetFile(path) as file:
        times = file.read(columns=["time_s"])["time_s"].to_numpy()
        if not len(times):
            raise MediaError("no_frames", f"{path.name}: holds no picture")
        row = int(np.argmin(np.abs(times - time_s)))
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < rows:
                return bytes(file.read_row_group(group, columns=["jpeg"])["jpeg"][row].as_py())
            row -= rows
    raise AssertionError("the rows of the groups are the rows of the file")
