"""The two tracks of a cut clip: pictures as H.264, sound as AAC."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from pydantic import Field

from pipeline.features.base import Params
from pipeline.media.container import clockwise_deg, display_size
from pipeline.media.probe import ONE_FRAME_S
from pipeline.media.soundline import Samples, SoundLine
from schemas.parts import VideoFacts

CLIP_TICKS_HZ = 90_000
CLIP_AUDIO_RATE_HZ = 48_000
_TURN_FILTERS: dict[int, tuple[tuple[str, str], ...]] = {
    0: (),
    90: (("transpose", "clock"),),
    180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "cclock"),),
}


class CutParams(Params):
    """Parameters of a clip; pictures are never enlarged. `keyframe_every_s` bounds how far a seek decodes."""

    max_height_px: int = Field(720, ge=16)
    crf: int = Field(23, ge=0, le=51)
    preset: str = "veryfast"
    keyframe_every_s: float = Field(0.5, gt=0)
    audio_bit_rate: int = Field(96_000, ge=16_000)


class PictureTrack:
    """Encodes the frames of [start_s, end_s); the first picture is the one on screen at `start_s`.

    Times given to `add` are source times. No B-frames: decoding order is display order, and the track needs
    no edit list.
    """

    def __init__(
        self, clip: Any, facts: VideoFacts, aspect: float, start_s: float, end_s: float, params: CutParams
    ) -> None:
        self.frames = 0
        self._clip, self._start_s, self._end_s = clip, start_s, end_s
        self._graph: Any = None
        self._graph_key: tuple[Any, ...] = ()
        self._before: Any = None
        self._held: Any = None  # the newest packet: its duration is known when the next one comes
        self._last_tick = -1
        self._encoder = _h264_stream(clip, facts, aspect, params)

    def add(self, frame: Any, time_s: float) -> None:
        if time_s >= self._end_s:
            return
        if time_s < self._start_s:
            self._before = frame
            return
        if self.frames == 0 and time_s > self._start_s and self._before is not None:
            self._encode(self._before, 0.0)
        # With no earlier picture (a damaged start) the first one still stands at 0.
        self._encode(frame, time_s - self._start_s if self.frames else 0.0)

    def close(self) -> None:
        if self.frames == 0 and self._before is not None:  # the span lies behind the last picture
            self._encode(self._before, 0.0)
        if self.frames:
            self._mux(self._encoder.encode(None))
        if self._held is not None:
            end_tick = round((self._end_s - self._start_s) * CLIP_TICKS_HZ)
            self._held.duration = max(1, end_tick - self._held.pts)
            self._clip.mux(self._held)

    def _encode(self, frame: Any, time_s: float) -> None:
        tick = max(self._last_tick + 1, round(time_s * CLIP_TICKS_HZ))
        self._last_tick = tick
        turn = clockwise_deg(frame)
        key = (frame.width, frame.height, frame.format.name, turn)
        if key != self._graph_key:
            self._graph_key, self._graph = key, self._build_graph(frame, turn)
        self._graph.push(frame)
        upright = self._graph.pull()
        upright.pts, upright.time_base = tick, Fraction(1, CLIP_TICKS_HZ)
        upright.pict_type = 0  # the source's choice of key frames must not reach the encoder
        self.frames += 1
        self._mux(self._encoder.encode(upright))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            if self._held is not None:
                self._held.duration = packet.pts - self._held.pts
                self._clip.mux(self._held)
            self._held = packet

    def _build_graph(self, frame: Any, turn: int) -> Any:
        width, height = self._encoder.width, self._encoder.height
        if turn % 180 == 90:
            width, height = height, width
        graph = av.filter.Graph()
        graph.threads = 1
        nodes = [
            graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            ),
            graph.add("scale", f"{width}:{height}:flags=bicubic:out_range=tv"),
            graph.add("format", "yuv420p"),
            *(graph.add(*turning) for turning in _TURN_FILTERS[turn]),
            graph.add("setsar", "1"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        return graph


class SoundTrack:
    """Encodes the sound of a stretch as AAC; `start_s` is the container time that is heard at 0."""

    def __init__(
        self, clip: Any, start_s: float, duration_s: float, channels: int, params: CutParams
    ) -> None:
        self._clip = clip
        self._layout = "mono" if channels == 1 else "stereo"
        self._encoder = clip.add_stream("aac", rate=CLIP_AUDIO_RATE_HZ, layout=self._layout)
        self._encoder.bit_rate = params.audio_bit_rate
        self._samples = 0
        self._line = SoundLine(start_s, duration_s, CLIP_AUDIO_RATE_HZ, min(channels, 2), self._write)

    @property
    def frames(self) -> int:
        return self._line.frames

    def add(self, frame: Any) -> None:
        self._line.add(frame)

    def close(self) -> None:
        self._line.close()
        self._clip.mux(self._encoder.encode(None))

    def _write(self, samples: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16p", layout=self._layout)
        frame.sample_rate = CLIP_AUDIO_RATE_HZ
        frame.pts, frame.time_base = self._samples, Fraction(1, CLIP_AUDIO_RATE_HZ)
        self._samples += samples.shape[1]
        self._clip.mux(self._encoder.encode(frame))


def _h264_stream(clip: Any, facts: VideoFacts, aspect: float, params: CutParams) -> Any:
    shown_width, shown_height = display_size(facts.width_px, facts.height_px, facts.rotation_deg, aspect)
    factor = min(1.0, params.max_height_px / shown_height)
    fps = facts.average_fps or 1 / ONE_FRAME_S
    stream = clip.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
    stream.width, stream.height = _even(shown_width * factor), _even(shown_height * factor)
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, CLIP_TICKS_HZ)
    stream.codec_context.thread_count = 1  # with more threads the bytes depend on their number
    stream.codec_context.gop_size = max(1, round(fps * params.keyframe_every_s))
    stream.codec_context.options = {
        "profile": "high",
        "preset": params.preset,
        "crf": str(params.crf),
        "bf": "0",
    }
    return stream


def _even(length_px: float) -> int:
    """The nearest even number: 4:2:0 pictures have no odd sides."""
    return max(2, 2 * round(length_px / 2))
