"""When frames are seen and heard: by their presentation times, or by decoding times where those go back."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.media.container import FileState, decode_packet, file_state, open_media, packets

TIME_DIGITS = 6  # source times are kept to the microsecond
LOOK_PACKETS = 50


class FrameClock:
    """Times of the frames of one stream, which are given in the order in which they are presented.

    `lag_s` is how much later than its own a frame's decoding time is; None: presentation times are good.
    """

    def __init__(self, lag_s: float | None = None) -> None:
        self.lag_s = lag_s
        self._last_s: float | None = None
        self._step_s = 0.0

    def container_s(self, frame: Any) -> float | None:
        """Container time of the next frame; None when it has none, as a still."""
        if self.lag_s is None:
            return None if frame.pts is None else float(frame.pts * frame.time_base)
        if frame.dts is not None:
            time_s = float(frame.dts * frame.time_base) - self.lag_s
        elif self._last_s is not None:  # what the decoder still held at the end has no decoding time
            time_s = self._last_s + self._step_s
        else:
            return None
        if self._last_s is not None:
            self._step_s = time_s - self._last_s
        self._last_s = time_s
        return time_s

    def source_s(self, frame: Any, start_s: float) -> float:
        """Source time of the next frame, rounded as in the PTS table; a still, which has none, stands at 0."""
        time_s = self.container_s(frame)
        return 0.0 if time_s is None else round(time_s - start_s, TIME_DIGITS)


def picture_clock(path: Path, stream: Any) -> FrameClock:
    """A clock for the pictures of a stream of the recording at `path`, from the first one that is decoded.

    AVI has no presentation times. For H.264 FFmpeg makes them up: they ascend in the order of decoding, one
    picture late. What ascends as pictures are presented is the decoding time that each frame comes out with, and
    FFmpeg's "best effort" takes it, too. Less the lag of the first picture it is the time of a chunk of the AVI.
    """
    if stream.container.format.name != "avi":  # elsewhere a look would cost more than it tells
        return FrameClock()
    return FrameClock(_lag_s(file_state(path), stream.index))


@lru_cache(maxsize=256)
def _lag_s(file: FileState, index: int) -> float | None:
    """How much later than its own the first picture's decoding time is; None where times to show are stated."""
    newest, lag = -math.inf, None
    own: dict[int, int] = {}  # presentation time that a packet states: its decoding time
    with open_media(file.path) as container:
        for packet in islice(packets(container, [container.streams[index]], []), LOOK_PACKETS):
            if packet.pts is not None and packet.dts is not None:
                if packet.pts < newest:
                    return None  # it is known in which order pictures are shown
                newest, own[packet.pts] = packet.pts, packet.dts
            if lag is None and (frames := decode_packet(packet, [])):
                if frames[0].dts is None or frames[0].pts not in own:
                    return None
                lag = float((frames[0].dts - own[frames[0].pts]) * frames[0].time_base)
    return lag
