"""How a speaker usually sounds: when it can be said, what it holds, and z against it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.baseline import make_baseline, prosody_measures, robust_stat, z_score
from pipeline.features.prosody import CoreProsody
from pipeline.features.prosody_summary import SUMMARY_UNITS
from schemas.parts import Event, Series, Stat
from schemas.records import Features
from tests.features.voice_media import recorded

FRAME_S = 0.02


def features(
    name: str,
    pitches_hz: list[float | None],
    *,
    level_db: float = -20.0,
    rate: float | None = 4.0,
    **changes: str,
) -> Features:
    times = tuple(round((i + 0.5) * FRAME_S, 3) for i in range(len(pitches_hz)))
    voiced_s = round(sum(p is not None for p in pitches_hz) * FRAME_S, 2)
    levels = tuple(level_db if p is not None else -80.0 for p in pitches_hz)
    voiced = [p for p in pitches_hz if p is not None]
    return Features(
        subject_id=name,
        extractor=changes.get("extractor", "core"),
        version=changes.get("version", "1"),
        stage=changes.get("stage", "prosody"),
        series=(
            Series(name="pitch_hz", unit="Hz", times_s=times, values=tuple(pitches_hz)),
            Series(name="intensity_db", unit="dB", times_s=times, values=levels),
        ),
        summary=dict.fromkeys(SUMMARY_UNITS)
        | {
            "voiced_s": voiced_s,
            "speech_s": voiced_s,
            "speech_rate_syl_s": rate,
            "pitch_median_hz": round(float(np.median(voiced)), 1) if voiced else None,
            "intensity_mean_db": level_db - 3.0,
        },
    )


def speaker(seconds_each: float = 4.0) -> list[Features]:
    """Three segments of a voice at 100, 110 and 120 Hz."""
    count = round(seconds_each / FRAME_S)
    return [
        features(f"s{i}", [hz, None] * count, level_db=-20.0 - i, rate=4.0 + i)
        for i, hz in enumerate((100.0, 110.0, 120.0))
    ]


def test_statistics_of_voiced_frames_and_segments() -> None:
    baseline = make_baseline("speaker:ANNA", speaker())
    assert baseline is not None
    pitch = baseline.stats["pitch_st"]
    assert pitch.median == pytest.approx(12 * math.log2(110), abs=1e-4)
    assert pitch.sd == pytest.approx(1.4826 * 12 * math.log2(120 / 110), abs=1e-3)
    assert pitch.n == 600
    assert baseline.stats["intensity_db"].median == -21.0  # unvoiced frames (-80 dB) play no part
    assert baseline.stats["speech_rate_syl_s"] == Stat(median=5.0, sd=1.4826, n=3)
    assert (baseline.segments, baseline.speech_s) == (3, 12.0)
    assert (baseline.subject, baseline.extractor, baseline.version) == ("speaker:ANNA", "core", "1/2")
    assert baseline.feature_digests == tuple(sorted(item.digest for item in speaker()))


def test_order_and_repeats_change_nothing() -> None:
    items = speaker()
    shuffled = [*items, *items]
    random.Random(3).shuffle(shuffled)
    assert make_baseline("source:x", items) == make_baseline("source:x", shuffled)


@pytest.mark.parametrize(("seconds_each", "known"), [(3.32, False), (3.34, True)])
def test_ten_seconds_of_voiced_speech_are_needed(seconds_each: float, known: bool) -> None:
    assert (make_baseline("s", speaker(seconds_each)) is not None) == known


def test_three_segments_with_voice_are_needed() -> None:
    silent = Features(
        subject_id="q", extractor="core", version="1", stage="prosody", missing="no_speech",
        summary=dict.fromkeys(SUMMARY_UNITS),
    )  # fmt: skip
    assert make_baseline("s", speaker(30)[:2]) is None
    assert make_baseline("s", [*speaker(30)[:2], silent]) is None
    with_silent = make_baseline("s", [*speaker(), silent])
    assert with_silent == make_baseline("s", speaker())
    assert make_baseline("s", []) is None


def test_mixed_extractors_are_refused() -> None:
    odd = features("s9", [100.0] * 500, version="2")
    with pytest.raises(ValueError, match="one extractor"):
        make_baseline("s", [*speaker(), odd])
    with pytest.raises(ValueError, match="prosody"):
        make_baseline("s", [features(f"s{i}", [100.0] * 500, stage="asr") for i in range(3)])


@given(st.lists(st.floats(-500, 500), min_size=1, max_size=50), st.floats(-100, 100))
def test_robust_stat_moves_with_the_values(values: list[float], shift: float) -> None:
    stat, moved = robust_stat(values), robust_stat([value + shift for value in values])
    assert moved.median == pytest.approx(stat.median + shift, abs=1e-3)
    assert moved.sd == pytest.approx(stat.sd, abs=1e-3)
    assert stat.sd >= 0


def test_z_score() -> None:
    stat = Stat(median=10, sd=2, n=5)
    assert z_score(14, stat) == 2.0
    assert z_score(9, stat) == -0.5
    assert z_score(None, stat) is z_score(1, None) is z_score(1, Stat(median=1, sd=0, n=5)) is None


def test_measures_against_the_baseline() -> None:
    baseline = make_baseline("s", speaker())
    high = features("new", [165.0] * 100, level_db=-19.0, rate=7.0)
    measures = {measure.name: measure for measure in prosody_measures(high, baseline)}
    assert list(measures) == list(SUMMARY_UNITS)
    sd_st = 1.4826 * 12 * math.log2(120 / 110)
    assert measures["pitch_median_hz"].z == pytest.approx(12 * math.log2(165 / 110) / sd_st, abs=0.01)
    assert measures["intensity_mean_db"].z == pytest.approx(
        2 / 1.4826, abs=0.01
    )  # -19 against -21 dB, sd 1 dB
    assert measures["speech_rate_syl_s"].z == pytest.approx(2 / 1.4826, abs=0.01)
    assert measures["intensity_mean_db"].value == -22.0
    assert measures["voiced_s"].z is None
    assert {measure.unit for measure in measures.values()} == set(SUMMARY_UNITS.values())


def test_measures_without_baseline_or_speech() -> None:
    plain = prosody_measures(features("new", [165.0] * 10), None)
    assert [measure.z for measure in plain] == [None] * len(SUMMARY_UNITS)
    unvoiced = prosody_measures(features("new", [None] * 10), make_baseline("s", speaker()))
    assert all(m.z is None for m in unvoiced if m.name != "speech_rate_syl_s")


@pytest.mark.media
def test_a_speaker_against_himself_and_another(media: Callable[[str], Path]) -> None:
    """Low men's voices make the baseline; one of them is near it, Kennedy speaking to a crowd far above."""
    names = [*(f"video/wh_address_{letter}.mp4" for letter in "bcd"), "audio/ami_dev00.wav", "audio/jfk.flac"]
    results = [result for _, result in CoreProsody().extract(recorded(media(name)) for name in names)]
    good = [result for result in results if isinstance(result, Features)]
    baseline = make_baseline("speaker:men", good[:4])
    assert baseline is not None
    own, other = ({m.name: m.z for m in prosody_measures(item, baseline)} for item in (good[0], good[4]))
    assert abs(own["pitch_median_hz"] or 9) < 1 < (other["pitch_median_hz"] or 0)


def test_three_equal_rates_do_not_make_every_other_rate_extreme() -> None:
    same = [features(f"s{i}", [100.0 + i, 110.0] * 150, level_db=-20.0, rate=4.0) for i in range(3)]
    baseline = make_baseline("speaker:ANNA", same)
    assert baseline is not None
    assert baseline.stats["speech_rate_syl_s"].sd == pytest.approx(0.2)  # 5 % of the median


def test_pauses_and_the_curve_of_the_rate_have_a_usual_value() -> None:
    curve = Series(
        name="local_rate_syl_s", unit="syllable/s", times_s=(0.0, 0.1, 0.2), values=(4.0, None, 5.0)
    )
    items = []
    for number, item in enumerate(speaker()):
        lengths_s = (0.3, 0.4) if number else (0.5,)
        pauses = tuple(
            Event(cue="pause", modality="audio", start_s=1, end_s=1 + length_s, size=length_s, unit="s")
            for length_s in lengths_s
        )
        items.append(item.model_copy(update={"series": (*item.series, curve), "events": pauses}))
    baseline = make_baseline("s", items)
    assert baseline is not None
    assert baseline.stats["local_rate_syl_s"] == Stat(median=4.5, sd=round(1.4826 * 0.5, 4), n=6)
    assert (baseline.stats["pause_s"].median, baseline.stats["pause_s"].n) == (0.4, 5)
    few = make_baseline("s", [item.model_copy(update={"events": ()}) for item in items[1:]] + items[:1])
    assert few is not None
    assert "pause_s" not in few.stats


def test_a_backend_without_a_level_has_a_baseline_of_the_pitch() -> None:
    items = [item.model_copy(update={"series": item.series[:1]}) for item in speaker()]
    baseline = make_baseline("s", items)
    assert baseline is not None
    assert set(baseline.stats) == {"pitch_st", "speech_rate_syl_s"}
    levels = [m for m in prosody_measures(items[0], baseline) if m.name == "intensity_mean_db"]
    assert [m.z for m in levels] == [None]


def test_voice_quality_is_measured_against_the_speakers_segments() -> None:
    items = [
        item.model_copy(
            update={"summary": item.summary | {"jitter_local": 0.02 + 0.002 * n, "hnr_db": 12.0 - n}}
        )
        for n, item in enumerate(speaker())
    ]
    baseline = make_baseline("s", items)
    assert baseline is not None
    odd = items[0].model_copy(update={"summary": items[0].summary | {"jitter_local": 0.04, "hnr_db": None}})
    z = {measure.name: measure.z for measure in prosody_measures(odd, baseline)}
    assert z["jitter_local"] == pytest.approx((0.04 - 0.022) / (0.15 * 0.022), abs=0.05)
    assert z["hnr_db"] is None
