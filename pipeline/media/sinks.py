"""Where the decode pass puts what it read: a WAV file on the source clock, and Parquet files of JPEG pictures."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipeline.features.base import SAMPLE_RATE_HZ
from pipeline.media.soundline import Samples, SoundLine

PICTURE_SCHEMA = pa.schema([("time_s", pa.float64()), ("jpeg", pa.binary())])
BLOCKS_AT_ONCE = 64  # of sound: a second or two
ROW_GROUP_PICTURES = 32  # some 2 MB of pictures: what a reader of one segment must load at least


class AudioSink:
    """Writes decoded audio frames as 16 kHz mono s16 WAV whose sample 0 is container time `start_s`."""

    def __init__(self, path: Path, start_s: float, duration_s: float) -> None:
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 - closed by close(), the sink outlives this call
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(SAMPLE_RATE_HZ)
        self._line = SoundLine(start_s, duration_s, SAMPLE_RATE_HZ, 1, self._write)
        self._blocks: list[Samples] = []  # sound that is not in the file yet: single frames are tiny

    @property
    def frames(self) -> int:
        """Audio frames that lay inside the stretch."""
        return self._line.frames

    def add(self, frame: Any) -> None:
        self._line.add(frame)

    def close(self) -> None:
        try:
            self._line.close()
            self._flush()
        finally:
            self._file.close()

    def _write(self, samples: Samples) -> None:
        self._blocks.append(samples[0])
        if len(self._blocks) == BLOCKS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._blocks:
            self._file.writeframesraw(np.concatenate(self._blocks).astype("<i2").tobytes())
            self._blocks = []


class PictureSink:
    """Streams (time, picture) rows into a Parquet file, one row group at a time: memory stays flat."""

    def __init__(self, path: Path, jpeg_quality: int) -> None:
        # JPEG does not shrink further, and uncompressed pages are read without a copy.
        self._writer = pq.ParquetWriter(path, PICTURE_SCHEMA, compression="none", use_dictionary=False)
        self._quality = jpeg_quality
        self._times: list[float] = []
        self._jpegs: list[bytes] = []
        self.pictures = 0

    def add(self, time_s: float, image: Image.Image) -> None:
        self._times.append(time_s)
        self._jpegs.append(encode_jpeg(image, self._quality))
        self.pictures += 1
        if len(self._times) == ROW_GROUP_PICTURES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._times:
            self._writer.write_table(pa.table([self._times, self._jpegs], schema=PICTURE_SCHEMA))
            self._times, self._jpegs = [], []


def encode_jpeg(image: Image.Image, quality: int) -> bytes:
    """JPEG bytes of an image, chroma halved as the recordings have it."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()
