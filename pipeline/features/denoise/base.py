"""The contract of a denoiser, and the option of every recogniser that listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import field_validator

from pipeline.features.base import Audio, Params
from pipeline.features.denoise import DENOISERS
from schemas.registry import resolve

NONE = "none"  # the original


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

    denoise: str = NONE

    @field_validator("denoise")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in (NONE, *DENOISERS):
            raise ValueError(f'no denoiser "{value}"; known: {", ".join([NONE, *DENOISERS])}')
        return value


def as_heard(audio: Audio, name: str) -> Audio:
    """What a recogniser with this option hears."""
    return audio if name == NONE or not len(audio) else _denoiser(name)(audio)


def identity(name: str) -> str:
    """How the option stands in the question: with the denoiser's version."""
    return NONE if name == NONE else f"{name}/{_denoiser(name).version}"


def _denoiser(name: str) -> Denoiser:
    found: Denoiser = resolve(DENOISERS, name, what="denoiser")
    return found
