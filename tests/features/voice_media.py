"""Clips for the tests of words and voice: real recordings and made signals."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from pipeline.features.base import SAMPLE_RATE_HZ, Audio, Clip
from pipeline.media.vad import speech_regions
from schemas.parts import MediaFacts, Span
from schemas.records import Segment, Source


def load(path: Path) -> Audio:
    """The first audio stream as 16 kHz mono."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float32)


def make_clip(
    audio: Audio | None,
    *,
    path: Path = Path("talk.wav"),
    speech: tuple[Span, ...] | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    source_s: float | None = None,
    source_speech: tuple[Span, ...] = (),
) -> Clip:
    """A clip over `audio`; without `speech` all of it counts as speech, without `end_s` it is as long as it."""
    length_s = (
        (len(audio) / SAMPLE_RATE_HZ if audio is not None else 1.0) if end_s is None else end_s - start_s
    )
    facts = MediaFacts(kind="audio", container="wav", duration_s=source_s or start_s + length_s)
    source = Source(sha256="0" * 64, size_bytes=1, media=facts)
    segment = Segment(
        source_id=source.id, rule="given", version="1", index=0,
        source_start_s=start_s, source_end_s=start_s + length_s,
    )  # fmt: skip
    if speech is None:
        speech = (Span(start_s=0, end_s=length_s),)
    return Clip(source, segment, path, audio, None, speech, source_speech)


def recorded(path: Path) -> Clip:
    """A whole recording with its voice activity."""
    audio = load(path)
    return make_clip(audio, path=path, speech=speech_regions(audio))


def tone(pitch_hz: float, length_s: float, peak: float = 0.3, *, saw: bool = False) -> Audio:
    """A sine or a saw tooth (band-limited, so that no mirror tones disturb it)."""
    times_s = np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    partials = range(1, int(7000 / pitch_hz) + 1) if saw else (1,)
    wave = sum(np.sin(2 * np.pi * pitch_hz * k * times_s) / k for k in partials)
    return np.asarray(peak * wave / np.max(np.abs(wave)), dtype=np.float32)


def silence(length_s: float) -> Audio:
    return np.zeros(round(length_s * SAMPLE_RATE_HZ), dtype=np.float32)
