"""Pictures, frames of a video and sound out of bytes, as a model's processor wants them.

Needs av, numpy and pillow only; imported from the script's folder, in the script's environment. Decoding is of
bytes in memory: no file, no address.
"""

from __future__ import annotations

import io
import itertools
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from chat_protocol import RefusedError
from PIL import Image

MAX_DECODED_BYTES = 2 * 2**30  # of the media of a question, once they are pictures and samples
UNREADABLE = (av.FFmpegError, ValueError, LookupError, ArithmeticError, TypeError, AttributeError)
RATES_HZ = range(1000, 768_001)  # of sounds
TOLERANCE_S = 1e-4  # between the time of a frame and the moment at which it is asked for


@dataclass(frozen=True)
class Video:
    """Frames of a video. `pictures`: uint8, [frames, height, width, 3]; `times_s`: from its first frame on."""

    pictures: np.ndarray
    times_s: tuple[float, ...]
    duration_s: float


class Room:
    """The memory that the media of one question may still take: a few bytes may stand for very many."""

    def __init__(self, size_bytes: int = MAX_DECODED_BYTES) -> None:
        self._size_bytes = self._left_bytes = size_bytes

    def take(self, size_bytes: int) -> None:
        """Raises RefusedError: there is not so much."""
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            message = f"decoded, the media take more than {self._size_bytes} bytes: lower fps or max_frames"
            raise RefusedError(message, "too_large")


def picture(data: bytes, room: Room) -> Image.Image:
    """Raises RefusedError for what is no picture, and for one that is enormous."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            found = Image.open(io.BytesIO(data))
            room.take(3 * found.width * found.height)
            return found.convert("RGB")
    except RefusedError:
        raise
    except Exception as error:  # its decoders raise whatever comes
        raise RefusedError(f"a picture cannot be read: {error}", "invalid_image") from error


def moments(times_s: Sequence[float], duration_s: float, fps: float, max_frames: int) -> list[int]:
    """Which frames are looked at: what is shown at every 1/fps s, or at `max_frames` moments evenly spread.

    `times_s`: when each frame begins to be shown, in order. A frame that stands for several moments comes once.
    """
    step_s = max(1 / fps, duration_s / max_frames)
    count = max(1, min(max_frames, round(duration_s / step_s)))
    shown = [bisect_right(times_s, n * step_s + TOLERANCE_S) - 1 for n in range(count)]
    return sorted({max(0, place) for place in shown})


def frames(data: bytes, fps: float, max_frames: int, room: Room) -> Video:
    """Frames of the first picture track, found by their presentation times.

    Raises:
        RefusedError: no video, none of its frames can be decoded, or they are too many or too large.
    """
    try:
        pts, base, length = _presented(data)
        begin = pts[0]
        times_s = [float((one - begin) * base) for one in pts]
        duration_s = max(times_s[-1], float((pts[-1] + length - begin) * base))
        wanted = {pts[place] for place in moments(times_s, duration_s, fps, max_frames)}
        found = _decoded(data, wanted, room)
        pictures = np.stack([found[one] for one in sorted(found)])
    except UNREADABLE as error:
        raise RefusedError(f"a video cannot be read: {error}", "invalid_video") from error
    return Video(pictures, tuple(float((one - begin) * base) for one in sorted(found)), duration_s)


def _presented(data: bytes) -> tuple[list[int], Fraction, int]:
    """The presentation times of all frames in order, the tick in seconds, how long the last one is shown."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        packets = [(p.pts, p.duration) for p in container.demux(stream) if p.pts is not None]
        packets = sorted(p for p in packets if p[0] >= 0) or sorted(packets)
        return [pts for pts, _ in packets], stream.time_base or Fraction(1), packets[-1][1] or 0


def _decoded(data: bytes, wanted: set[int], room: Room) -> dict[int, np.ndarray]:
    found: dict[int, np.ndarray] = {}
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if frame.pts in wanted and frame.pts not in found:
                room.take(3 * frame.width * frame.height)
                found[frame.pts] = frame.to_ndarray(format="rgb24")
                if len(found) == len(wanted):
                    break
    return found


def sound(data: bytes, rate_hz: int, room: Room) -> np.ndarray:
    """float32, mono, at `rate_hz`. Raises RefusedError for what is no sound, holds none, or very much."""
    pieces: list[Any] = []
    try:
        with av.open(io.BytesIO(data)) as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
            for frame in itertools.chain(container.decode(container.streams.audio[0]), [None]):
                if frame is not None:
                    if frame.sample_rate not in RATES_HZ:  # its filter would take for ever
                        raise ValueError(f"{frame.sample_rate} Hz is no rate of a sound")
                    room.take(4 * frame.samples * rate_hz // frame.sample_rate)
                pieces += [one.to_ndarray()[0] for one in resampler.resample(frame)]
    except UNREADABLE as error:
        raise RefusedError(f"a sound cannot be read: {error}", "invalid_audio") from error
    if not pieces:
        raise RefusedError("a sound without a sample", "invalid_audio")
    return np.concatenate(pieces)
