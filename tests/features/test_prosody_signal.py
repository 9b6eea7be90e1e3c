"""Pitch and intensity against signals whose pitch and level are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.features.prosody_signal import (
    PitchTracker,
    close_gaps,
    drop_short,
    frame_times,
    inside,
    intensity_db,
    runs,
    without_octave_slips,
)
from schemas.parts import Span
from tests.features.voice_media import silence, tone

TRACKER = PitchTracker(floor_hz=60, ceiling_hz=600, voicing=0.45, gate_db=25)


def pitch_of(audio: np.ndarray) -> np.ndarray:
    level = intensity_db(audio)
    return TRACKER.track(audio, level, np.ones(len(level), dtype=bool))


@settings(max_examples=25, deadline=None)
@given(pitch_hz=st.floats(80, 400), peak=st.floats(0.002, 0.9))
def test_saw_tooth_has_its_pitch_within_half_a_semitone(pitch_hz: float, peak: float) -> None:
    found = pitch_of(tone(pitch_hz, 0.6, peak, saw=True))[5:-5]
    assert not np.isnan(found).any()
    assert np.max(np.abs(12 * np.log2(found / pitch_hz))) < 0.5


@settings(max_examples=40, deadline=None)
@given(pitch_hz=st.floats(80, 400), peak=st.floats(0.002, 0.9))
def test_sine_has_its_pitch_within_half_a_semitone(pitch_hz: float, peak: float) -> None:
    """Without a voicing limit: a lone sine, which no voice makes, may pass as unvoiced."""
    audio = tone(pitch_hz, 0.6, peak)
    level = intensity_db(audio)
    tracker = PitchTracker(floor_hz=60, ceiling_hz=600, voicing=0.0, gate_db=25)
    found = tracker.track(audio, level, np.ones(len(level), dtype=bool))[5:-5]
    assert np.max(np.abs(12 * np.log2(found / pitch_hz))) < 0.5


@settings(max_examples=40, deadline=None)
@given(pitch_hz=st.floats(80, 400), peak=st.floats(0.001, 1.0), length_s=st.floats(0.2, 0.5))
def test_sine_has_its_level(pitch_hz: float, peak: float, length_s: float) -> None:
    level = intensity_db(tone(pitch_hz, length_s, peak))
    expected = 20 * math.log10(peak) - 3.01
    assert np.max(np.abs(level[2:-2] - expected)) < 0.3
    assert np.max(np.abs(level - expected)) < 1.5  # also where the window reaches over the ends


def test_constant_of_full_scale_is_0_db_and_silence_is_the_floor() -> None:
    assert np.allclose(intensity_db(np.ones(8000, dtype=np.float32)), 0.0, atol=1e-6)
    assert set(intensity_db(silence(0.5))) == {-100.0}


def test_noise_is_mostly_unvoiced() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 48_000).astype(np.float32)
    assert np.mean(~np.isnan(pitch_of(noise))) < 0.1


def test_clipped_tone_keeps_its_pitch() -> None:
    found = pitch_of(np.clip(tone(150, 0.6, 0.9, saw=True) * 8, -1, 1))[3:-3]
    assert np.nanmedian(np.abs(12 * np.log2(found / 150))) < 0.5


def test_no_pitch_outside_speech() -> None:
    audio = tone(200, 1.0)
    speech = inside(frame_times(audio), [Span(start_s=0.4, end_s=0.7)])
    voiced = ~np.isnan(TRACKER.track(audio, intensity_db(audio), speech))
    assert voiced.any()
    assert not voiced[~speech].any()


@pytest.mark.parametrize("samples", [0, 1, 100, 319, 320, 641, 3200])
def test_short_signals_have_at_least_one_frame(samples: int) -> None:
    audio = np.full(samples, 0.1, dtype=np.float32)
    assert len(frame_times(audio)) == len(intensity_db(audio)) == max(1, samples // 320)


@given(st.lists(st.booleans(), max_size=30))
def test_runs_rebuild_the_mask(values: list[bool]) -> None:
    mask = np.array(values, dtype=bool)
    rebuilt = np.zeros_like(mask)
    for start, end in runs(mask):
        assert start < end
        rebuilt[start:end] = True
    assert np.array_equal(rebuilt, mask)


def test_gaps_close_inside_only_and_short_runs_go() -> None:
    mask = np.array([0, 1, 0, 1, 0, 0, 1, 1, 0], dtype=bool)
    assert close_gaps(mask, 1).tolist() == [False, True, True, True, False, False, True, True, False]
    assert drop_short(mask, 2).tolist() == [False] * 6 + [True, True, False]


def climbing(frames: int = 40) -> np.ndarray:
    """A voice that climbs by four semitones from 150 Hz, unvoiced at both ends."""
    hz = 150 * 2 ** (np.linspace(0, 4, frames) / 12)
    return np.concatenate(([np.nan], hz, [np.nan]))


@pytest.mark.parametrize("factor", [2.0, 0.5])
@pytest.mark.parametrize("frames", [1, 3, 5])
def test_a_short_slip_into_another_octave_is_taken_back(factor: float, frames: int) -> None:
    true, heard = climbing(), climbing()
    heard[12 : 12 + frames] *= factor
    heard[25] *= factor  # a second one in the same stretch
    assert np.allclose(without_octave_slips(heard), true, equal_nan=True)


def test_what_may_be_the_voice_itself_is_left_as_it_is() -> None:
    long, edge, fifth, one_way = (climbing() for _ in range(4))
    long[12:18] *= 2  # 0.12 s: a voice that breaks
    edge[1:4] *= 2  # nobody knows the octave before
    fifth[12:14] *= 1.5
    one_way[20:-1] *= 2
    for heard in (long, edge, fifth, one_way, climbing()):
        assert np.array_equal(without_octave_slips(heard), heard, equal_nan=True)


def test_the_voice_between_two_slips_stays_where_it_is() -> None:
    heard = climbing()
    heard[10:14] *= 2
    heard[17:21] *= 2
    assert np.allclose(without_octave_slips(heard), climbing(), equal_nan=True)
