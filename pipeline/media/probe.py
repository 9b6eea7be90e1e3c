"""Says what a recording is: streams, times, length. Times of frames come from PTS, never from fps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.media.clock import TIME_DIGITS, picture_clock
from pipeline.media.container import (
    IMAGE_FORMATS,
    audio_streams,
    clockwise_deg,
    decode_packet,
    first_frame,
    open_media,
    packets,
    video_stream,
)
from pipeline.media.stamps import Stamps, Times, check_clock, read_stamps
from schemas.errors import MediaError
from schemas.parts import TRUNCATED, AudioFacts, MediaFacts, VideoFacts

ONE_FRAME_S = 0.04  # length of a still, and of a lone frame that states none: one frame at 25 per second
# VP8 hides whole packets (alternate reference frames) from the viewer, so packets do not count frames.
_HIDDEN_PACKET_CODECS = {"vp8"}


def probe(path: Path) -> MediaFacts:
    """Facts of the recording at `path`.

    `start_s` and the video's `first_pts_s`, `last_pts_s` are container times; `width_px`, `height_px` are as
    stored, before `rotation_deg` (clockwise turn for display) is applied. `frames` counts presented frames.

    Raises:
        MediaError: what `open_media` raises; no_streams, undecodable, no_timestamps, broken_times, zero_length.
    """
    scan = _scan(path)
    if scan.video is not None:
        start_s = float(scan.video.times_s[0])
        kind = "image" if scan.container in IMAGE_FORMATS and len(scan.video.times_s) == 1 else "video"
    elif scan.audio:
        start_s, kind = scan.audio[0].start_s, "audio"
    else:
        raise MediaError("undecodable", f"{path.name}: no frame and no sample of it can be decoded")
    ends = [scan.video.end_s] if scan.video else []
    ends += [scan.audio[0].end_s] if scan.audio else []
    duration_s = ONE_FRAME_S if kind == "image" else round(max(ends) - start_s, TIME_DIGITS)
    if duration_s <= 0:
        raise MediaError("zero_length", f"{path.name}: has streams but no length")
    return MediaFacts.model_validate(
        {
            "kind": kind,
            "container": scan.container,
            "duration_s": duration_s,
            "start_s": start_s,
            "video": scan.video.facts() if scan.video else None,
            "audio": tuple(a.facts() for a in scan.audio),
            "notes": tuple(_notes(scan, start_s)),
        }
    )


def pts_table(path: Path) -> Times:
    """Presentation times of the video frames in source time (s), ascending, shape (frames,); empty without video.

    Raises:
        MediaError: as `probe`.
    """
    scan = _scan(path)
    if scan.video is None:
        return np.zeros(0)
    times: Times = np.round(scan.video.times_s - scan.video.times_s[0], TIME_DIGITS)
    return times


@dataclass
class _Video:
    codec: str
    time_base_s: float
    frame: Any  # the first decodable frame: true size, pixel format and rotation
    times_s: Times  # container time of every presented frame, ascending
    last_duration_s: float

    @property
    def end_s(self) -> float:
        return float(self.times_s[-1]) + self.last_duration_s

    def facts(self) -> VideoFacts:
        steps = np.diff(self.times_s)
        span_s = float(self.times_s[-1] - self.times_s[0])
        # Rounding to the time base makes neighbours differ by up to two ticks in a constant-rate recording.
        jitter_s = max(2.5 * self.time_base_s, 0.002)
        return VideoFacts(
            codec=self.codec,
            width_px=self.frame.width,
            height_px=self.frame.height,
            rotation_deg=clockwise_deg(self.frame),
            pixel_format=self.frame.format.name,
            frames=len(self.times_s),
            first_pts_s=float(self.times_s[0]),
            last_pts_s=float(self.times_s[-1]),
            average_fps=len(steps) / span_s if span_s > 0 else None,
            min_frame_interval_s=float(steps.min()) if len(steps) else None,
            max_frame_interval_s=float(steps.max()) if len(steps) else None,
            variable_frame_rate=bool(len(steps) and steps.max() - steps.min() > jitter_s),
        )


@dataclass
class _Audio:
    codec: str
    sample_rate_hz: int
    channels: int
    start_s: float
    end_s: float

    def facts(self) -> AudioFacts:
        return AudioFacts(
            codec=self.codec,
            sample_rate_hz=self.sample_rate_hz,
            channels=self.channels,
            duration_s=round(max(0.0, self.end_s - self.start_s), TIME_DIGITS),
        )


@dataclass
class _Scan:
    container: str
    promised_s: float | None  # the length that the container states
    video: _Video | None = None
    audio: list[_Audio] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _scan(path: Path) -> _Scan:
    """Reads every packet header once (no decoding), then decodes the first frame of each stream."""
    with open_media(path) as container:
        video = video_stream(container)
        audios = audio_streams(container)
        if video is None and not audios:
            raise MediaError("no_streams", f"{path.name}: holds neither picture nor sound")
        promised_s = container.duration / 1e6 if container.duration else None
        scan = _Scan(container.format.name, promised_s)
        streams = ([video] if video else []) + audios
        stamps, used = read_stamps(container, streams, scan.problems), []
        if video is not None:
            scan.video = _read_video(path, video, stamps[video.index])
            if scan.video is None:
                scan.problems.append("no frame of the video stream can be decoded")
            else:
                used.append(stamps[video.index])
        for number, stream in enumerate(audios):
            audio = _read_audio(path, stream, stamps[stream.index])
            if audio is None:
                scan.problems.append(f"no sample of audio stream {number} can be decoded")
                continue
            if not scan.audio:
                used.append(stamps[stream.index])
            scan.audio.append(audio)
    if used:
        check_clock(path, used)
    return scan


def _read_video(path: Path, stream: Any, stamps: Stamps) -> _Video | None:
    codec = stream.codec_context.name
    first, clock = first_frame(path, stream.index), picture_clock(path, stream)
    if first is None:
        return None
    times, first_s = np.array(stamps.pts_s), clock.container_s(first)
    if clock.lag_s is not None:
        times = np.array(stamps.dts_s)
    elif stamps.unstamped or codec in _HIDDEN_PACKET_CODECS:
        times = _decoded_times(path)
    if first_s is None or not len(times):
        if stream.container.format.name not in IMAGE_FORMATS:
            raise MediaError(
                "no_timestamps", f"{path.name}: its frames have no times; put it into an MP4 or MKV container"
            )
        times = np.zeros(1)
    else:
        # Leading frames whose references were cut away are in the file but are never presented.
        times = np.sort(times[times >= first_s - 1e-9])
    last = _last_duration_s(times, stamps)
    return _Video(codec, float(stream.time_base), first, times, last)


def _last_duration_s(times: Times, stamps: Stamps) -> float:
    """How long the last frame is shown: what its packet says, else the median interval, else one frame."""
    stated = 0.0
    if stamps.pts_s and not stamps.unstamped:
        stated = stamps.durations_s[int(np.argmax(stamps.pts_s))]
    if stated > 0:
        return stated
    return float(np.median(np.diff(times))) if len(times) > 1 else ONE_FRAME_S


def _read_audio(path: Path, stream: Any, stamps: Stamps) -> _Audio | None:
    first = first_frame(path, stream.index)
    if first is None or not first.sample_rate:
        return None
    if first.pts is None:
        start_s = stamps.pts_s[0] if stamps.pts_s else 0.0
    else:
        start_s = float(first.pts * first.time_base)
    ends = [p + d for p, d in zip(stamps.pts_s, stamps.durations_s, strict=True)]
    end_s = max(ends, default=start_s)
    if stream.duration is not None and stream.start_time is not None:
        stated = float((stream.start_time + stream.duration) * stream.time_base)
        # Encoders fill the last packet with padding that the container's length leaves out.
        if 0 < end_s - stated < 0.15:
            end_s = stated
    context = stream.codec_context
    return _Audio(context.name, first.sample_rate, first.layout.nb_channels, start_s, end_s)


def _decoded_times(path: Path) -> Times:
    times: list[float] = []
    with open_media(path) as container:
        stream = video_stream(container)
        assert stream is not None
        stream.thread_type = "AUTO"
        for packet in packets(container, [stream], []):
            times += [float(f.pts * f.time_base) for f in decode_packet(packet, []) if f.pts is not None]
    return np.array(times)


def _notes(scan: _Scan, start_s: float) -> list[str]:
    notes = sorted(set(scan.problems))
    ends = ([scan.video.end_s] if scan.video else []) + [a.end_s for a in scan.audio]
    if scan.promised_s is not None and ends and scan.promised_s - (max(ends) - min(start_s, 0.0)) > 0.5:
        notes.append(
            f"{TRUNCATED}: the container states {scan.promised_s:.2f} s, {max(ends):.2f} s can be read"
        )
    if scan.video and scan.audio and start_s - scan.audio[0].start_s > 0.5:
        early_s = start_s - scan.audio[0].start_s
        notes.append(f"sound begins {early_s:.2f} s before the first picture; that part is not used")
    if len(scan.audio) > 1:
        notes.append(f"{len(scan.audio)} audio streams; the first is used")
    return notes
