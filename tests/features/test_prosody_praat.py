"""Pitch and voicing against Praat, which is GPL and therefore only a reference in tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.features.prosody import CoreProsody
from pipeline.features.prosody_signal import frame_times, intensity_db
from schemas.records import Features
from tests.features.voice_media import load, recorded

parselmouth: Any = pytest.importorskip("parselmouth")
Media = Callable[[str], Path]


@pytest.mark.media
@pytest.mark.parametrize(
    "name",
    [
        "audio/jfk.flac",
        "audio/emodb_09a02La.wav",
        "audio/emodb_14a07Aa.wav",
        "video/grid_brbk7n.mpg",
        "video/grid_lbax4n.mpg",
        "video/wh_address_b.mp4",
        "audio/ami_dev01.wav",
    ],
)
def test_pitch_and_voicing_agree_with_praat(media: Media, name: str) -> None:
    clip = recorded(media(name))
    assert clip.audio is not None
    ((_, result),) = CoreProsody().extract([clip])
    assert isinstance(result, Features)
    ours = np.array([np.nan if value is None else value for value in result.series[0].values])
    sound = parselmouth.Sound(clip.audio.astype(np.float64), 16_000)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=75.0, pitch_ceiling=600.0)
    praat = np.array([pitch.get_value_at_time(time_s) for time_s in result.series[0].times_s])
    both = ~np.isnan(ours) & ~np.isnan(praat)
    assert np.mean(np.isnan(ours) == np.isnan(praat)) > 0.85
    assert abs(12 * np.log2(np.nanmedian(ours) / np.nanmedian(praat))) < 0.6
    assert np.median(np.abs(12 * np.log2(ours[both] / praat[both]))) < 0.25
    assert np.mean(np.abs(ours[both] / praat[both] - 1) > 0.2) < 0.03


@pytest.mark.media
def test_intensity_follows_praat_up_to_a_constant(media: Media) -> None:
    """Praat's dB are re 20 micropascal, ours re full scale. The two windows (Kaiser and Hann, 64 ms) have other
    shapes, which must show where the level jumps: compared are frames within 2 dB of both their neighbours."""
    audio = load(media("audio/jfk.flac"))
    sound = parselmouth.Sound(audio.astype(np.float64), 16_000)
    praat = sound.to_intensity(minimum_pitch=100.0, time_step=0.01, subtract_mean=False)
    theirs = np.array([praat.get_value(time_s) for time_s in frame_times(audio)])
    ours = intensity_db(audio)
    steps = np.abs(np.diff(theirs, prepend=np.nan, append=np.nan))
    known = (np.maximum(steps[:-1], steps[1:]) < 2) & (ours > -50)  # False where Praat gives no value
    assert np.count_nonzero(known) > 100
    difference = theirs[known] - ours[known]
    assert np.median(difference) == pytest.approx(20 * np.log10(1 / 2e-5), abs=0.5)
    spread = np.percentile(np.abs(difference - np.median(difference)), 90)
    assert spread < 1
