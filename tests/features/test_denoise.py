"""Denoisers: the same length, in step with the original, less noise; and what a recogniser is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.features.asr_pocketsphinx import PocketSphinxAsr, PocketSphinxParams
from pipeline.features.base import Audio
from pipeline.features.denoise import DENOISERS
from pipeline.features.denoise.base import AUTO, AUTO_DENOISER, NONE, ListeningParams, as_heard, identity
from schemas.records import Features
from tests.features.voice_media import load, recorded

Media = Callable[[str], Path]


def noise(length: int, level: float = 0.02) -> Audio:
    return np.random.default_rng(0).normal(0, level, length).astype(np.float32)


def power_db(audio: Audio) -> float:
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-12))


@pytest.mark.parametrize("name", DENOISERS)
@settings(max_examples=20)
@given(length=st.integers(0, 20_000))
def test_the_length_stays(name: str, length: int) -> None:
    cleaned = as_heard(noise(length), name)
    assert (len(cleaned), cleaned.dtype) == (length, np.float32)
    assert np.isfinite(cleaned).all()


@pytest.mark.media
@pytest.mark.parametrize("name", DENOISERS)
def test_it_stays_in_step_with_the_original(media: Media, name: str) -> None:
    audio = load(media("audio/jfk.flac"))
    cleaned = as_heard(audio, name)
    size = 2 * len(audio)
    shared = np.fft.irfft(np.conj(np.fft.rfft(audio, size)) * np.fft.rfft(cleaned, size))
    assert int(np.argmax(shared)) == 0
    assert np.array_equal(cleaned, as_heard(audio, name))


@pytest.mark.media
@pytest.mark.parametrize("name", DENOISERS)
def test_noise_gets_less_and_speech_stays(media: Media, name: str) -> None:
    speech = load(media("audio/LJ050-0131.wav"))
    mixed = speech + noise(len(speech), 0.01)
    cleaned = as_heard(mixed, name)
    quietest = min(
        range(0, len(speech) - 1600, 1600), key=lambda first: power_db(speech[first : first + 1600])
    )
    quiet = slice(quietest, quietest + 1600)
    assert power_db(cleaned[quiet]) < power_db(mixed[quiet]) - 3
    assert power_db(cleaned) == pytest.approx(power_db(speech), abs=2)


@pytest.mark.media
def test_by_default_noisy_clips_are_denoised_and_clean_ones_are_not(media: Media) -> None:
    assert ListeningParams().denoise == AUTO
    clean = load(media("audio/LJ050-0131.wav"))
    noisy = clean + noise(len(clean), 0.02)
    assert as_heard(clean, AUTO) is clean
    assert np.array_equal(as_heard(noisy, AUTO), as_heard(noisy, AUTO_DENOISER))


def test_the_choice_is_part_of_the_question() -> None:
    audio = noise(1000)
    assert as_heard(audio, NONE) is audio
    asked = {
        name: PocketSphinxAsr(PocketSphinxParams(denoise=name)).params["denoise"] for name in (NONE, "afftdn")
    }
    assert asked == {NONE: "none", "afftdn": identity("afftdn")}
    assert identity("afftdn").startswith("afftdn/")


@pytest.mark.media
def test_a_recogniser_hears_the_denoised_sound(media: Media) -> None:
    clip = recorded(media("video/wh_address_b.mp4"))
    found = {}
    for name in (NONE, "afftdn"):
        ((_, found[name]),) = PocketSphinxAsr(PocketSphinxParams(denoise=name)).extract([clip])
    plain, cleaned = found[NONE], found["afftdn"]
    assert isinstance(plain, Features)
    assert isinstance(cleaned, Features)
    assert plain.id != cleaned.id
    assert plain.words != cleaned.words
