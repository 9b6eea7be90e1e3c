"""Why nobody is heard in a stretch of sound: the one rule, and the words for it, wherever this is told."""

from __future__ import annotations

import numpy as np

from pipeline.features.base import SAMPLE_RATE_HZ, Audio, Sound

SILENCE_DB = -60.0  # mean square of 20 ms, dB re full scale
_BLOCK = SAMPLE_RATE_HZ // 50
_AT_ONCE = 1000 * _BLOCK


def why_no_speech(audio: Sound | None) -> str:
    """Of sound without voice activity: "no_audio_stream", "silence", or "no_speech" (sound, but no voice)."""
    if audio is None:
        return "no_audio_stream"
    return "silence" if is_silent(audio) else "no_speech"


def is_silent(audio: Sound) -> bool:
    """Whether nothing at all is loud enough: no 20 ms reach SILENCE_DB."""
    return not any(_is_loud(audio[first : first + _AT_ONCE]) for first in range(0, len(audio), _AT_ONCE))


def _is_loud(audio: Audio) -> bool:
    whole = len(audio) // _BLOCK * _BLOCK
    blocks, rest = audio[:whole].reshape(-1, _BLOCK), audio[whole:]
    powers = [*np.einsum("ij,ij->i", blocks, blocks) / _BLOCK, *([np.mean(rest**2)] if len(rest) else [])]
    return max(powers, default=0.0) >= 10 ** (SILENCE_DB / 10)
