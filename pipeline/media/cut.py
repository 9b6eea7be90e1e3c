"""Cuts clips that every browser plays, and sound for models, out of recordings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from pipeline.media.clip_tracks import CutParams, PictureTrack, SoundTrack
from pipeline.media.clock import FrameClock, picture_clock
from pipeline.media.container import (
    audio_stream,
    decode_packet,
    open_media,
    packets,
    pixel_aspect,
    video_stream,
)
from pipeline.media.sinks import AudioSink
from schemas.errors import MediaError
from schemas.parts import MediaFacts

__all__ = ["CUT_VERSION", "CutParams", "cut_audio", "cut_clip"]

CUT_VERSION = "2"
MUXERS_LAG_S = (
    10.0  # a writer holds one stream back for another no longer than this (FFmpeg: max_interleave_delta)
)
LEAD_INS_S = (0.25, 10.0)  # reading begins before the cut: a sound decoder needs some packets of lead-in


def cut_clip(
    path: Path,
    facts: MediaFacts,
    start_s: float,
    end_s: float,
    out: Path,
    params: CutParams = CutParams(),  # noqa: B008 - frozen
) -> None:
    """Writes source time [start_s, end_s) as MP4 (H.264 High, yuv420p, AAC) with its index in front.

    The first picture stands at 0 s and the frames keep their distances. Works without sound, without picture
    (AAC only) and for stills (one frame). An end behind the source's end is cut to it.

    Raises:
        MediaError: what `open_media` raises; empty_span; undecodable, when the span holds nothing decodable.
    """
    end_s = _checked_end_s(path, facts, start_s, end_s)
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    found, seek_to = 0, _seek_target(path, facts, start_s)
    with open_media(path) as source, av.open(str(out), "w", format="mp4", options=options) as clip:
        pictures, sound = None, None
        video = video_stream(source) if facts.video else None
        audio = audio_stream(source, path) if facts.audio else None
        if video is not None and facts.video is not None:
            pictures = PictureTrack(clip, facts.video, pixel_aspect(video), start_s, end_s, params)
        if audio is not None:
            channels = facts.audio[0].channels
            sound = SoundTrack(clip, facts.start_s + start_s, end_s - start_s, channels, params)
        streams = [s for s in (video, audio) if s is not None]
        for stream, frame, time_s in _frames(path, streams, seek_to, facts, end_s):
            if stream is video and pictures is not None:
                pictures.add(frame, time_s)
            elif sound is not None:
                sound.add(frame)
        for track in (pictures, sound):
            if track is not None:
                track.close()
                found += track.frames
    if not found:
        out.unlink(missing_ok=True)
        raise MediaError("undecodable", f"{path.name}: nothing can be decoded in {start_s:g}-{end_s:g} s")


def cut_audio(path: Path, facts: MediaFacts, start_s: float, end_s: float, out: Path) -> None:
    """Writes source time [start_s, end_s) as WAV, 16 kHz mono s16; what the sound does not reach is silence.

    Raises:
        MediaError: what `open_media` raises; empty_span; no_audio.
    """
    end_s = _checked_end_s(path, facts, start_s, end_s)
    with open_media(path) as source:
        audio = audio_stream(source, path) if facts.audio else None
        if audio is None:
            raise MediaError("no_audio", f"{path.name}: has no sound")
        sink = AudioSink(out, facts.start_s + start_s, end_s - start_s)
        try:
            for _, frame, _ in _frames(path, [audio], _seek_target(path, facts, start_s), facts, end_s):
                sink.add(frame)
        finally:
            sink.close()


def _checked_end_s(path: Path, facts: MediaFacts, start_s: float, end_s: float) -> float:
    end_s = min(end_s, facts.duration_s)
    if not 0 <= start_s < end_s:
        raise MediaError("empty_span", f"{path.name}: no sound or picture in {start_s:g}-{end_s:g} s")
    return end_s


def _frames(
    path: Path, streams: list[Any], seek_to: int | None, facts: MediaFacts, end_s: float
) -> Iterator[tuple[Any, Any, float]]:
    """(stream, decoded frame, its source time) from the seek target until all have passed `end_s`.

    A stream that has given nothing yet is waited for, to the end of the file: some writers put one whole stream
    after the other. Meanwhile packets are only counted off.
    """
    clocks = {stream.index: _clock(path, stream) for stream in streams}
    container, open_ends, silent = streams[0].container, set(clocks), set(clocks)
    if seek_to is not None:
        container.seek(seek_to, backward=True)
    problems: list[str] = []
    for packet in packets(container, streams, problems):
        if _begins_s(packet, facts.start_s) > end_s + MUXERS_LAG_S and silent.isdisjoint(open_ends):
            return  # of a stream that has ended already nothing tells so
        if packet.stream_index not in open_ends:
            continue
        for frame in decode_packet(packet, problems):
            silent.discard(packet.stream_index)
            time_s = clocks[packet.stream_index].source_s(frame, facts.start_s)
            if time_s >= end_s:
                open_ends.discard(packet.stream_index)
            else:
                yield packet.stream, frame, time_s
        if not open_ends:
            return


def _clock(path: Path, stream: Any) -> FrameClock:
    return picture_clock(path, stream) if stream.type == "video" else FrameClock()


def _begins_s(packet: Any, start_s: float) -> float:
    """Source time at which a packet is decoded: no picture of a later one is shown before it."""
    stamp = packet.pts if packet.dts is None else packet.dts
    return -math.inf if stamp is None else float(stamp * packet.time_base) - start_s


def _seek_target(path: Path, facts: MediaFacts, start_s: float) -> int | None:
    """Container time (us) to seek to so that decoding yields what stands at `start_s`; None: read from the start.

    A container without an index may land late or between key frames, so each candidate is tried out.
    """
    for lead_in_s in LEAD_INS_S:
        if start_s <= lead_in_s:
            return None
        target = int((facts.start_s + start_s - lead_in_s) * av.time_base)
        with open_media(path) as source:
            stream = video_stream(source) if facts.video else audio_stream(source, path)
            assert stream is not None
            source.seek(target, backward=True)
            decoded = (f for p in packets(source, [stream], []) for f in decode_packet(p, []))
            first = next(decoded, None)
            if first is not None and _clock(path, stream).source_s(first, facts.start_s) <= start_s:
                return target
    return None
