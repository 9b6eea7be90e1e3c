"""Praat in its worker: the numbers are Praat's own, and right on voices whose perturbation is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.features.base import Clip
from pipeline.features.prosody import CoreProsody
from pipeline.features.prosody_praat import PraatParams, PraatProsody
from pipeline.features.prosody_summary import SUMMARY_UNITS, VOICE_QUALITY_UNITS
from schemas.errors import ItemError
from schemas.parts import Span
from schemas.records import Features
from tests.backends.voice_truth import vowel
from tests.features.voice_media import load, make_clip, recorded, silence, tone

pytestmark = pytest.mark.worker
parselmouth: Any = pytest.importorskip("parselmouth")
Media = Callable[[str], Path]


def measure(*clips: Clip, params: PraatParams | None = None) -> list[Features]:
    found = {(clip.segment.id, clip.where): result for clip, result in PraatProsody(params).extract(clips)}
    results = [found[clip.segment.id, clip.where] for clip in clips]
    assert all(isinstance(result, Features) for result in results), results
    return [result for result in results if isinstance(result, Features)]


def test_known_jitter_shimmer_and_harmonicity_are_found() -> None:
    plain, jittery, shimmering, noisy = measure(
        *(
            make_clip(vowel(**kind), start_s=10.0 * n)
            for n, kind in enumerate(({}, {"jitter": 0.02}, {"shimmer": 0.1}, {"hnr_db": 15.0}))
        )
    )
    assert plain.summary["jitter_local"] == pytest.approx(0, abs=0.001)
    assert plain.summary["shimmer_local"] == pytest.approx(0, abs=0.005)
    assert plain.summary["hnr_db"] > 35  # type: ignore[operator]
    assert jittery.summary["jitter_local"] == pytest.approx(0.02, rel=0.05)
    assert jittery.summary["jitter_rap"] == pytest.approx(2 / 3 * 0.02, rel=0.05)
    assert shimmering.summary["shimmer_local"] == pytest.approx(0.1, rel=0.05)
    assert noisy.summary["hnr_db"] == pytest.approx(15, abs=1)
    for result in (plain, jittery, shimmering, noisy):
        assert result.summary["pitch_median_hz"] == pytest.approx(140, abs=1)
        assert set(result.summary) == set(SUMMARY_UNITS) | set(VOICE_QUALITY_UNITS)


@pytest.mark.media
def test_the_numbers_are_those_of_praat(media: Media) -> None:
    audio = load(media("audio/jfk.flac"))
    (result,) = measure(make_clip(audio))  # all of it counts as speech
    sound = parselmouth.Sound(audio.astype(np.float64), 16_000)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=75.0, pitch_ceiling=600.0)
    points = parselmouth.praat.call([sound, pitch], "To PointProcess (cc)")
    jitter = parselmouth.praat.call(points, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3)
    shimmer = parselmouth.praat.call([sound, points], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6)
    harmonicity = sound.to_harmonicity_cc(time_step=0.01, minimum_pitch=75.0)
    assert result.summary["jitter_local"] == pytest.approx(jitter, rel=1e-3)
    assert result.summary["shimmer_local"] == pytest.approx(shimmer, rel=1e-3)
    hnr_db = parselmouth.praat.call(harmonicity, "Get mean", 0, 0)
    assert result.summary["hnr_db"] == pytest.approx(hnr_db, abs=0.02)
    curve = result.series[0]
    theirs = [pitch.get_value_at_time(time_s) for time_s in curve.times_s]
    assert [value is None for value in curve.values] == [bool(np.isnan(hz)) for hz in theirs]
    assert all(
        v == pytest.approx(hz, abs=0.06) for v, hz in zip(curve.values, theirs, strict=True) if v is not None
    )
    assert result.notes == (f"praat:{parselmouth.PRAAT_VERSION}",)


@pytest.mark.media
def test_curves_and_pauses_are_like_those_of_the_core(media: Media) -> None:
    clip = recorded(media("audio/jfk.flac"))
    (praat,), ((_, core),) = measure(clip), CoreProsody().extract([clip])
    assert isinstance(core, Features)
    assert [(s.name, s.unit, s.times_s) for s in praat.series] == [
        (s.name, s.unit, s.times_s) for s in core.series
    ]
    for name in ("intensity_mean_db", "pitch_median_hz", "speech_s"):
        assert praat.summary[name] == pytest.approx(core.summary[name], rel=0.05)
    pauses = [[e for e in result.events if e.cue == "pause"] for result in (praat, core)]
    assert [round(e.start_s) for e in pauses[0]] == [round(e.start_s) for e in pauses[1]]
    assert all(event.z is None for event in praat.events)


def test_only_the_stretches_that_are_asked_about_are_judged() -> None:
    """A clear low voice, then a rough high one: asked about the first, nothing of the second is told."""
    audio = np.concatenate([vowel(110), silence(0.5), vowel(140, jitter=0.03, shimmer=0.2, hnr_db=10)])
    whole = make_clip(audio)
    first = replace(whole, where=(Span(start_s=0.0, end_s=2.0),))
    mixed, clear = measure(whole, first)
    assert clear.summary["pitch_median_hz"] == pytest.approx(110, abs=1)
    assert clear.summary["jitter_local"] == pytest.approx(0, abs=0.001)
    assert clear.summary["hnr_db"] > 30  # type: ignore[operator]
    assert mixed.summary["jitter_local"] > 0.01  # type: ignore[operator]
    assert clear.params["where"] == [[0.0, 2.0]]
    assert all(v is None for s in clear.series for t, v in zip(s.times_s, s.values, strict=True) if t > 2)


def test_what_cannot_be_measured_is_said_and_the_others_go_on() -> None:
    bad = tone(200, 1)
    bad[100] = np.nan
    clips = [
        make_clip(None),
        make_clip(silence(1)),
        make_clip(tone(200, 1), speech=()),
        make_clip(bad),
        make_clip(tone(200, 0.02)),
        make_clip(np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)),
    ]
    found = [result for clip in clips for other, result in PraatProsody().extract([clip])]
    missing = [result.missing if isinstance(result, Features) else result.code for result in found[:4]]
    assert missing == ["no_audio_stream", "silence", "no_speech", "bad_samples"]
    assert isinstance(found[3], ItemError)
    short, noise = found[4:]
    assert isinstance(short, Features)
    assert isinstance(noise, Features)
    assert len(short.series[0].values) == 1
    assert short.summary["jitter_local"] is None
    assert noise.missing is None


def test_the_range_of_the_pitch_is_part_of_the_question() -> None:
    clip = make_clip(vowel(140))
    (narrow,), (usual,) = measure(clip, params=PraatParams(pitch_floor_hz=200.0)), measure(clip)
    assert narrow.id != usual.id
    assert narrow.summary["pitch_median_hz"] != usual.summary["pitch_median_hz"]
