"""Cuts clips that every browser plays, and sound for models, out of recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from pipeline.media.clip_tracks import CutParams, PictureTrack, SoundTrack, source_time_s
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
        for kind, frame in _frames(source, streams, seek_to, facts, end_s):
            if kind == "video" and pictures is not None:
                pictures.add(frame, source_time_s(frame, facts.start_s))
            elif kind == "audio" and sound is not None:
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
            for _, frame in _frames(source, [audio], _seek_target(path, facts, start_s), facts, end_s):
                sink.add(frame)
        finally:
            sink.close()


def _checked_end_s(path: Path, facts: MediaFacts, start_s: float, end_s: float) -> float:
    end_s = min(end_s, facts.duration_s)
    if not 0 <= start_s < end_s:
        raise MediaError("empty_span", f"{path.name}: no sound or picture in {start_s:g}-{end_s:g} s")
    return end_s


def _frames(
    source: Any, streams: list[Any], seek_to: int | None, facts: MediaFacts, end_s: float
) -> Iterator[tuple[str, Any]]:
    """(stream type, decoded frame) from the seek target until every stream has passed `end_s`."""
    if seek_to is not None:
        source.seek(seek_to, backward=True)
    done: set[int] = set()
    problems: list[str] = []
    for packet in packets(source, streams, problems):
        for frame in decode_packet(packet, problems):
            if source_time_s(frame, facts.start_s) >= end_s:
                done.add(packet.stream_index)
            else:
                yield packet.stream.type, frame
        if len(done) == len(streams):
            return


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
            if first is not None and source_time_s(first, facts.start_s) <= start_s:
                return target
    return None
