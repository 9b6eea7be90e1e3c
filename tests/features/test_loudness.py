"""Loudness: the ratio of speech to its background on a known truth, and a shape that outlives the volume."""

from __future__ import annotations

import wave
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.base import SAMPLE_RATE_HZ, Audio
from pipeline.features.loudness import CHUNK_S, frame_levels, loudness_curve, read_levels, signal_to_noise_db
from pipeline.media.decode import decode, read_audio
from pipeline.media.probe import probe
from schemas.parts import Span
from tests.pipeline.project import voice

CURVE_DIGITS = 32


def noise(length_s: float, level_db: float, seed: int = 0) -> Audio:
    samples = np.random.default_rng(seed).normal(0, 10 ** (level_db / 20), round(length_s * SAMPLE_RATE_HZ))
    return samples.astype(np.float32)


def written(path: Path, audio: Audio) -> Path:
    """As the decode pass leaves its sound."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def gap(one: str | None, other: str | None) -> float:
    assert one is not None
    assert other is not None
    return float(np.mean([abs(int(a, 16) - int(b, 16)) for a, b in zip(one, other, strict=True)]))


@pytest.mark.parametrize("background_db", [-70.0, -45.0, -30.0])
def test_the_ratio_is_that_of_speech_and_background(tmp_path: Path, background_db: float) -> None:
    audio = noise(10, background_db)
    audio[4 * SAMPLE_RATE_HZ : 6 * SAMPLE_RATE_HZ] += noise(2, -20.0, 1)
    path = written(tmp_path / "a.wav", audio)
    found = signal_to_noise_db(path, 3.0, 7.0, [Span(start_s=4, end_s=6)])
    assert found == pytest.approx(-20.0 - background_db, abs=1.0)


def test_a_segment_that_is_speech_from_end_to_end_hears_the_background_around_it(tmp_path: Path) -> None:
    audio = noise(10, -50.0)
    audio[4 * SAMPLE_RATE_HZ : 6 * SAMPLE_RATE_HZ] += noise(2, -20.0, 1)
    path = written(tmp_path / "a.wav", audio)
    speech = [Span(start_s=4, end_s=6)]
    assert signal_to_noise_db(path, 4.0, 6.0, speech) == pytest.approx(30, abs=1.0)
    assert signal_to_noise_db(path, 0.0, 3.0, speech) is None  # nobody speaks in it


@pytest.mark.parametrize(
    ("background_db", "speech"),
    [(-200.0, (1.0, 2.0)), (-40.0, (0.0, 3.0)), (-40.0, (1.0, 1.1)), (-40.0, None)],
)
def test_a_ratio_that_cannot_be_told_is_none(
    tmp_path: Path, background_db: float, speech: tuple[float, float] | None
) -> None:
    audio = noise(3, background_db)
    audio[SAMPLE_RATE_HZ : 2 * SAMPLE_RATE_HZ] += noise(1, -20, 1)
    spans = [Span(start_s=speech[0], end_s=speech[1])] if speech else []
    assert signal_to_noise_db(written(tmp_path / "a.wav", audio), 0.0, 3.0, spans) is None


def test_a_long_stretch_is_read_in_pieces_that_leave_no_seam(tmp_path: Path) -> None:
    audio = noise(CHUNK_S * 2.5, -30.0)
    path = written(tmp_path / "a.wav", audio)
    whole = frame_levels(read_audio(path))
    assert np.allclose(read_levels(path, 0.0, CHUNK_S * 2.5), whole)
    assert len(read_levels(path, CHUNK_S, CHUNK_S)) <= 1
    assert len(read_levels(path, 9999.0, 9999.0)) == 0


@given(gain_db=st.floats(-25, 0), seed=st.integers(0, 50), length_s=st.floats(0.5, 8))
def test_the_shape_does_not_change_with_the_volume(gain_db: float, seed: int, length_s: float) -> None:
    audio = voice(length_s, 120, seed)[::3]
    level_db = frame_levels(audio)
    curve = loudness_curve(level_db)
    assert curve is None or len(curve) == CURVE_DIGITS
    if curve is not None:
        assert gap(curve, loudness_curve(level_db + gain_db)) <= 0.2


@pytest.mark.parametrize("audio", [noise(2, -200), noise(2, -30), np.zeros(0, np.float32), noise(0.01, -20)])
def test_silence_and_an_even_sound_have_no_shape(audio: Audio) -> None:
    assert loudness_curve(frame_levels(audio)) is None


def test_takes_of_one_sentence_have_shapes_of_their_own(media: Callable[[str], Path], tmp_path: Path) -> None:
    curves = []
    for name in ("08a02Fe", "09a02La", "11a02Nc", "13a02Ta"):  # the same words by four actors
        path = media(f"audio/emodb_{name}.wav")
        sound = decode(path, probe(path), tmp_path / name).audio
        assert sound is not None
        curves.append(loudness_curve(read_levels(sound, 0.0, 10.0)))
    assert min(gap(one, other) for one, other in combinations(curves, 2)) > 2.0
