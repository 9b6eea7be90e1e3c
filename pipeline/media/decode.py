"""The one decode pass of a recording: sound, pictures for models, thumbnails, shots and frame times at once."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from pipeline.features.base import Params
from pipeline.media.clock import FrameClock, picture_clock
from pipeline.media.container import (
    audio_stream,
    decode_packet,
    open_media,
    packets,
    pixel_aspect,
    video_stream,
)
from pipeline.media.pictures import PictureMaker
from pipeline.media.reading import frame_at, read_audio, read_frames
from pipeline.media.shots import MIN_SHOT_FRAMES, Looks, shot_detector, shots_from_cuts
from pipeline.media.sinks import AudioSink, PictureSink
from pipeline.media.versions import DECODE_VERSION
from schemas.errors import MediaError
from schemas.parts import MediaFacts, Span

__all__ = [
    "DECODE_VERSION",
    "DecodeParams",
    "DecodeResult",
    "decode",
    "frame_at",
    "read_audio",
    "read_frames",
]

AUDIO_NAME, FRAMES_NAME, THUMBNAILS_NAME, PTS_NAME = (
    "audio.wav",
    "frames.parquet",
    "thumbnails.parquet",
    "pts.npy",
)


class DecodeParams(Params):
    """Parameters of the pass. Pictures are never enlarged; `shot_threshold` None is the detector's default."""

    face_fps: float = Field(10.0, gt=0, le=60)
    frame_width_px: int = Field(640, ge=16)
    jpeg_quality: int = Field(90, ge=1, le=95)
    thumbnail_every_s: float = Field(1.0, gt=0)
    thumbnail_width_px: int = Field(160, ge=16)
    shot_detector: Literal["content", "fade"] = "content"
    shot_threshold: float | None = None
    min_shot_frames: int = Field(MIN_SHOT_FRAMES, ge=0)


@dataclass(frozen=True)
class DecodeResult:
    """What the pass found. `shots` cover [0, duration] in source time and are empty without video.

    `audio`, `frames`, `thumbnails` and `pts` are the files that were written; None where there was nothing.
    """

    shots: tuple[Span, ...]
    cut_frames: tuple[int, ...]
    frames_decoded: int
    errors: int
    notes: tuple[str, ...]
    audio: Path | None
    frames: Path | None
    thumbnails: Path | None
    pts: Path | None


def decode(
    path: Path,
    facts: MediaFacts,
    out_dir: Path,
    params: DecodeParams = DecodeParams(),  # noqa: B008 - frozen
) -> DecodeResult:
    """Reads `path` once and writes `audio.wav`, `frames.parquet`, `thumbnails.parquet`, `pts.npy` to `out_dir`.

    Packets that cannot be decoded are counted and what could be decoded is kept. The files are complete only
    when this returns; memory does not grow with the length of the recording.

    Raises:
        MediaError: what `open_media` raises; undecodable, when nothing could be decoded.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    with open_media(path) as container:
        video = video_stream(container) if facts.video else None
        audio = audio_stream(container, path) if facts.audio else None
        pictures = None
        if video is not None:
            clock = picture_clock(path, video)
            pictures = _VideoPass(facts, out_dir, params, pixel_aspect(video), clock)
        sound = AudioSink(out_dir / AUDIO_NAME, facts.start_s, facts.duration_s) if audio else None
        with ExitStack() as sinks:  # each is closed even if the disk is full for the other
            for sink in (pictures, sound):
                if sink is not None:
                    sinks.callback(sink.close)
            for packet in packets(container, [s for s in (video, audio) if s], problems):
                sink = pictures if packet.stream.type == "video" else sound
                for frame in decode_packet(packet, problems):
                    if sink is not None:
                        sink.add(frame)
    if not (pictures and pictures.times_s) and not (sound and sound.frames):
        raise MediaError("undecodable", f"{path.name}: no frame and no sample of it could be decoded")
    return _result(facts, out_dir, pictures, sound, problems)


def _result(
    facts: MediaFacts,
    out_dir: Path,
    pictures: _VideoPass | None,
    sound: AudioSink | None,
    problems: list[str],
) -> DecodeResult:
    cuts: list[int] = []
    times_s = np.zeros(0)
    if pictures is not None:
        problems = problems + ["damaged picture was concealed"] * pictures.damaged
        problems += ["picture left out: it is not later than the one before"] * pictures.left_out
        cuts, times_s = pictures.detector.cuts, np.array(pictures.times_s)
        np.save(out_dir / PTS_NAME, times_s, allow_pickle=False)
    seen = bool(len(times_s))
    return DecodeResult(
        shots=shots_from_cuts(cuts, times_s, facts.duration_s) if seen else (),
        cut_frames=tuple(cuts),
        frames_decoded=len(times_s),
        errors=len(problems),
        notes=tuple(
            f"{text} ({n} times)" if n > 1 else text for text, n in sorted(Counter(problems).items())
        ),
        audio=out_dir / AUDIO_NAME if sound is not None else None,
        frames=out_dir / FRAMES_NAME if seen else None,
        thumbnails=out_dir / THUMBNAILS_NAME if seen else None,
        pts=out_dir / PTS_NAME if seen else None,
    )


class _Every:
    """Says which frames to take to have one per `period_s`: the first at or after each multiple of it."""

    def __init__(self, period_s: float) -> None:
        self._period_s, self._next = period_s, 0

    def due(self, time_s: float) -> bool:
        # A microsecond of slack: stamps are rounded, and 0.2 s must count as reached at 0.199999...
        if time_s + 1e-6 < self._next * self._period_s:
            return False
        self._next = math.floor((time_s + 1e-6) / self._period_s) + 1
        return True


class _VideoPass:
    """Everything that looks at decoded pictures: times, shot detector, pictures for models, thumbnails."""

    def __init__(
        self, facts: MediaFacts, out_dir: Path, params: DecodeParams, aspect: float, clock: FrameClock
    ) -> None:
        self.times_s: list[float] = []
        self.damaged = 0
        self.left_out = 0  # pictures whose time is not after that of the picture before
        self._clock = clock
        self.detector = shot_detector(params.shot_detector, params.shot_threshold, params.min_shot_frames)
        self._start_s = facts.start_s
        self._looks = Looks()
        self._maker = PictureMaker(params.frame_width_px, aspect)
        self._thumbnail_width_px = params.thumbnail_width_px
        self._frame_due = _Every(1.0 / params.face_fps)
        self._thumbnail_due = _Every(params.thumbnail_every_s)
        self._frames = PictureSink(out_dir / FRAMES_NAME, params.jpeg_quality)
        self._thumbnails = PictureSink(out_dir / THUMBNAILS_NAME, params.jpeg_quality)

    def add(self, frame: Any) -> None:
        time_s = self._clock.source_s(frame, self._start_s)
        if self.times_s and time_s <= self.times_s[-1]:
            self.left_out += 1
            return
        if time_s < 0:
            return  # before the first presented frame
        self.times_s.append(time_s)
        self.damaged += bool(frame.is_corrupt)
        self.detector.add(self._looks.at(frame))
        frame_due, thumbnail_due = self._frame_due.due(time_s), self._thumbnail_due.due(time_s)
        if not (frame_due or thumbnail_due):
            return
        picture = self._maker.picture(frame)
        if frame_due:
            self._frames.add(time_s, picture)
        if thumbnail_due:
            self._thumbnails.add(time_s, _thumbnail(picture, self._thumbnail_width_px))

    def close(self) -> None:
        self._frames.close()
        self._thumbnails.close()


def _thumbnail(picture: Image.Image, width_px: int) -> Image.Image:
    width = min(width_px, picture.width)
    return picture.resize(
        (width, max(1, round(picture.height * width / picture.width))), Image.Resampling.BOX
    )
