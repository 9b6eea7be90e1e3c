"""The contract of a denoiser, and the option of every recogniser that listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import field_validator

from pipeline.features.base import SAMPLE_RATE_HZ, Audio, Params
from pipeline.features.denoise import DENOISERS
from schemas.registry import resolve

NONE = "none"  # the original
AUTO = "auto"  # AUTO_DENOISER where a clip is noisy, else the original
AUTO_DENOISER, AUTO_VERSION = "afftdn", "1"
NOISY_BELOW_DB = (
    20.0  # between the loud and the quiet frames; see docs/prosody.md for what this was chosen on
)
LOUD_PERCENTILE, QUIET_PERCENTILE = 95, 5
FRAME_SAMPLES = SAMPLE_RATE_HZ // 50


@dataclass(frozen=True)
class Denoiser:
    """`clean` gives sound of the same length and without delay; times of words stay those of the original."""

    name: str
    version: str  # raised when the sound that comes out changes
    clean: Callable[[Audio], Audio]

    def __call__(self, audio: Audio) -> Audio:
        return self.clean(audio)


class ListeningParams(Params):
    """Base of the parameters of a recogniser that listens. Prosody and voice activity hear the original."""

    denoise: str = AUTO

    @field_validator("denoise")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in (AUTO, NONE, *DENOISERS):
            raise ValueError(f'no denoiser "{value}"; known: {", ".join([AUTO, NONE, *DENOISERS])}')
        return value


def as_heard(audio: Audio, name: str) -> Audio:
    """What a recogniser with this option hears."""
    if name == NONE or not len(audio):
        return audio
    if name == AUTO:
        loud_db, quiet_db = (level_db(audio, part) for part in (LOUD_PERCENTILE, QUIET_PERCENTILE))
        return _denoiser(AUTO_DENOISER)(audio) if loud_db - quiet_db < NOISY_BELOW_DB else audio
    return _denoiser(name)(audio)


def level_db(audio: Audio, percentile: float) -> float:
    """The level (mean square of 20 ms, dB re full scale) under which `percentile` of the frames lie."""
    whole = audio[: max(1, len(audio) // FRAME_SAMPLES) * FRAME_SAMPLES]
    frames = whole.reshape(-1, min(FRAME_SAMPLES, len(whole)))
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    return float(10 * np.log10(max(float(np.percentile(powers, percentile)), 1e-12)))


def identity(name: str) -> str:
    """How the option stands in the question: with the denoiser's version."""
    if name == AUTO:
        return f"{AUTO}/{AUTO_VERSION}:{identity(AUTO_DENOISER)}"
    return NONE if name == NONE else f"{name}/{_denoiser(name).version}"


def _denoiser(name: str) -> Denoiser:
    found: Denoiser = resolve(DENOISERS, name, what="denoiser")
    return found
