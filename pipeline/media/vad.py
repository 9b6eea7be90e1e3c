"""Voice activity: where somebody speaks in a recording, by the silero model that faster-whisper carries."""

from __future__ import annotations

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps
from pydantic import Field

from pipeline.features.base import SAMPLE_RATE_HZ, Audio, Params
from schemas.parts import Span

VAD_NAME = "silero"
VAD_VERSION = "silero_v6-2"  # the model in the faster-whisper wheel, and the version of this file's rules


class VadParams(Params):
    """Parameters of the voice activity detector; a frame of 32 ms is speech from `threshold` on."""

    threshold: float = Field(0.5, gt=0, lt=1)
    min_silence_ms: int = Field(250, ge=0)
    speech_pad_ms: int = Field(30, ge=0)
    min_speech_ms: int = Field(100, ge=0)


def speech_regions(audio: Audio, params: VadParams = VadParams()) -> tuple[Span, ...]:  # noqa: B008 - frozen
    """Stretches of speech in `audio` (its own clock), ascending and apart; empty when nobody speaks.

    The signal is judged as recorded, without gain or denoising: gain would turn near-silence into "speech".
    Reference: Silero VAD, https://github.com/snakers4/silero-vad
    """
    if not len(audio):
        return ()
    # Speech whose end is followed by less than `min_silence_ms` would run on to the end of the recording.
    # Silence behind the end closes it where the voice ends; it is cut off again below.
    tail = np.zeros((params.min_silence_ms + 250) * SAMPLE_RATE_HZ // 1000, np.float32)
    options = VadOptions(
        threshold=params.threshold,
        min_speech_duration_ms=params.min_speech_ms,
        min_silence_duration_ms=params.min_silence_ms,
        speech_pad_ms=params.speech_pad_ms,
    )
    found = get_speech_timestamps(np.concatenate([audio, tail]), options, SAMPLE_RATE_HZ)
    ends = [(int(r["start"]), min(int(r["end"]), len(audio))) for r in found]
    return tuple(Span(start_s=a / SAMPLE_RATE_HZ, end_s=b / SAMPLE_RATE_HZ) for a, b in ends if b > a)
