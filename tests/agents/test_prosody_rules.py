"""The prosody annotator: profiles of voice measures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.answers.parsing import parse_annotation
from agents.cue_rules import prosody
from agents.evidence.check import check_annotation
from pipeline.features.baseline import make_baseline, prosody_measures
from pipeline.features.prosody import CoreProsody
from schemas.cues import cue_table
from schemas.parts import Measure, Triplet
from schemas.records import Features, Sample
from tests.agents import cue_samples as make
from tests.features.voice_media import recorded

PITCH, LEVEL, RATE = "pitch_median_hz", "intensity_mean_db", "speech_rate_syl_s"


def label(sample: Sample) -> str:
    answer = prosody.annotate(sample, make.EKMAN7)
    return str(answer["labels"][0]["label"]) if answer["labels"] else str(answer["abstain_reason"])


@pytest.mark.parametrize(
    ("z", "measures", "expected"),
    [
        ({PITCH: 1.0, LEVEL: 2.0, RATE: 1.4}, {"pitch_range_st": 12.0}, "anger"),
        ({PITCH: 1.9, LEVEL: 1.0, RATE: 1.0}, {"pitch_range_st": 14.0}, "joy"),
        ({PITCH: 1.8, LEVEL: 0.0, RATE: 1.8}, {"pitch_range_st": 4.0}, "fear"),
        ({PITCH: -1.0, LEVEL: -1.8, RATE: -1.6}, {"pitch_range_st": 4.0, "longest_pause_s": 1.2}, "sadness"),
        ({PITCH: 0.2, LEVEL: -0.1, RATE: 0.0}, {}, "neutral"),
        ({PITCH: 0.0, LEVEL: 1.8, RATE: 0.0}, {}, "neutral"),  # one cue alone has many causes
    ],
)
def test_profiles_with_a_baseline(z: dict[str, float], measures: dict[str, float], expected: str) -> None:
    assert label(make.voice_sample(z=z, **measures)) == expected


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ({"speech_rate_syl_s": 2.5, "pitch_range_st": 4.0, "longest_pause_s": 1.3}, "sadness"),
        ({"speech_rate_syl_s": 6.4, "pitch_range_st": 14.0}, "joy"),
        ({"speech_rate_syl_s": 7.0, "pitch_range_st": 4.0}, "fear"),
        ({}, "neutral"),
    ],
)
def test_without_a_baseline_absolute_measures_speak_more_softly(
    measures: dict[str, float], expected: str
) -> None:
    sample = make.voice_sample(**measures)
    assert label(sample) == expected
    confidence = prosody.annotate(sample, make.EKMAN7)["confidence"]
    assert confidence <= prosody.MAX_CONFIDENCE * prosody.NO_BASELINE_FACTOR


def test_an_impossible_deviation_is_not_believed() -> None:
    """Three segments of almost one rate give a spread of almost nothing, and -17 sd for a usual rate."""
    sample = make.voice_sample(z={PITCH: -1.1, RATE: -17.0}, speech_rate_syl_s=4.9)
    assert label(sample) == "neutral"
    cues = {item["cue"] for item in prosody.annotate(sample, make.EKMAN7)["evidence"]}
    assert "slow" not in cues
    assert "slow_rate" in cues


def test_abstains_without_speech() -> None:
    assert label(make.sample()) == "no_speech"
    assert label(make.sample(missing={"audio": "no_audio_stream"})) == "no_audio_stream"
    assert label(make.sample(missing={"audio": "silence"})) == "silence"
    assert label(make.voice_sample(voiced_s=0.0)) == "no_speech"
    assert label(make.voice_sample(voiced_s=0.1)) == "too_little_voice"


def test_a_clearer_voice_gives_more_confidence() -> None:
    faint = make.voice_sample(z={PITCH: -0.5, LEVEL: -1.3, RATE: -1.3}, pitch_range_st=5.0)
    clear = make.voice_sample(
        z={PITCH: -1.0, LEVEL: -1.9, RATE: -1.7}, pitch_range_st=4.0, longest_pause_s=1.3
    )
    assert label(faint) == label(clear) == "sadness"
    answers = [prosody.annotate(sample, make.EKMAN7) for sample in (faint, clear)]
    assert answers[0]["confidence"] < answers[1]["confidence"]


def test_thresholds_are_those_of_the_cue_table() -> None:
    """Where a level counts as clear, the checker calls the cue present."""
    for axis in (*prosody.RELATIVE, *prosody.ABSOLUTE):
        for name, sign in ((axis.high, 1), (axis.low, -1)):
            if name is not None:
                edge = axis.usual + sign * prosody.CLEAR_LEVEL * axis.full
                assert cue_table().cues[name].threshold == pytest.approx(edge), name


def test_every_claim_holds_against_the_signal_it_was_read_from() -> None:
    """130 Hz and -22 dB against 120 Hz and -30 dB of the baseline, 4.9 syllables a second against 4."""
    features = make.voice([130.0, 200.0] * 100, level_db=-22.0, speech_rate_syl_s=4.9)
    usual = make.baseline()
    pitch_st = sorted([12 * math.log2(130.0), 12 * math.log2(200.0)])
    z = {
        PITCH: (sum(pitch_st) / 2 - usual.stats["pitch_st"].median) / usual.stats["pitch_st"].sd,
        LEVEL: 2.0,
        RATE: 1.8,
    }
    sample = make.voice_sample(z=z, pitch_range_st=pitch_st[1] - pitch_st[0], speech_rate_syl_s=4.9)
    answer = _parsed(sample)
    found = check_annotation(make.annotation(answer), [features], [usual], sample.duration_s, cue_table())
    assert [v.verdict for v in found.verdicts] == ["supported"] * len(answer.evidence)
    assert len(found.verdicts) >= 2


def _parsed(sample: Sample) -> Triplet:
    text = json.dumps(prosody.annotate(sample, make.EKMAN7))
    parsed = parse_annotation(text, "stop", sample, make.EKMAN7, shown=frozenset())
    assert parsed.answer is not None, parsed
    return parsed.answer


numbers = st.floats(-1e6, 1e6, allow_nan=False)
measures = st.builds(
    lambda name, value, z: Measure(name=name, value=value, unit="", z=z),
    st.sampled_from([PITCH, LEVEL, RATE, "pitch_range_st", "longest_pause_s", "voiced_s", "pause_share"]),
    st.none() | numbers,
    st.none() | numbers,
)


@given(st.lists(measures, max_size=7, unique_by=lambda measure: measure.name))
@settings(max_examples=200, deadline=None)
def test_any_measures_give_an_answer(found: list[Measure]) -> None:
    answer = prosody.annotate(make.sample(prosody=tuple(found)), make.EKMAN7)
    assert bool(answer["labels"]) != bool(answer["abstain_reason"])
    assert 0 <= answer["confidence"] <= 1
    assert bool(answer["evidence"]) == bool(answer["labels"])


@pytest.mark.media
def test_real_voices_every_claim_agrees_with_the_check(media: Callable[[str], Path]) -> None:
    """Five recordings through the real extractor, with a common baseline and without one."""
    names = [
        "emodb_13a02Ta.wav",
        "emodb_15a04Wb.wav",
        "jfk.flac",
        "LJ050-0131.wav",
        "librispeech_116-288045-0001.m4a",
    ]
    clips = [recorded(media(f"audio/{name}")) for name in names]
    measured = [features for _, features in CoreProsody().extract(clips)]
    usual = make_baseline("source:all", measured)
    assert usual is not None
    claims = 0
    for features, clip in zip(measured, clips, strict=True):
        assert isinstance(features, Features)
        for known in (usual, None):
            sample = make.sample(
                prosody=prosody_measures(features, known),
                speech=clip.speech,
                duration_s=clip.segment.duration_s,
            )
            answer = _parsed(sample)
            found = check_annotation(
                make.annotation(answer), [features], [known] if known else [], sample.duration_s, cue_table()
            )
            assert {v.verdict for v in found.verdicts} == {"supported"}
            claims += len(found.verdicts)
    assert claims > 30
