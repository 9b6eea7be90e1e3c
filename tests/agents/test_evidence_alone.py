"""Claims about the voice where another one speaks, and where a backend knows nothing."""

from __future__ import annotations

import pytest

from schemas.parts import Event, Stat
from schemas.records import Baseline, Features
from tests.agents import cue_samples as make

HZ = [150.0] * 100 + [None] * 100  # 4 s, of which the target speaks the first half


def heard_in(*where: list[float]) -> Features:
    features = make.voice(HZ, speech_rate_syl_s=7.0)
    return features.model_copy(update={"params": {"where": list(where)}})


@pytest.mark.parametrize("cue", ["speech", "silence", "pause", "pitch_flat", "loud_burst", "pitch_rise"])
def test_what_another_person_does_is_not_the_targets(cue: str) -> None:
    there, elsewhere = (
        make.verdict(make.claim(cue, *span), heard_in([0.0, 2.0])) for span in ((0.2, 1.8), (2.3, 3.8))
    )
    assert there.verdict != "not_measurable"
    assert elsewhere.verdict == "not_measurable"


def test_what_was_measured_counts_and_refutes_only_when_it_is_most_of_the_span() -> None:
    pause = Event(cue="pause", modality="audio", start_s=0.5, end_s=1.5, size=1.0, unit="s")
    features = make.voice(HZ, events=(pause,)).model_copy(update={"params": {"where": [[0.0, 1.6]]}})
    wanted = {
        ("long_pause", 4.0): "supported",
        ("pitch_flat", 4.0): "supported",
        ("pitch_rise", 4.0): "not_measurable",
        ("pitch_rise", 2.0): "contradicted",
        ("pitch_varied", 4.0): "not_measurable",
        ("silence", 2.0): "contradicted",
        ("silence", 4.0): "not_measurable",
    }
    found = {
        (cue, end_s): make.verdict(make.claim(cue, 0.0, end_s), features).verdict for cue, end_s in wanted
    }
    assert found == wanted


def test_a_target_that_is_never_heard_alone_says_nothing() -> None:
    assert make.verdict(make.claim("silence", 0.0, 2.0), heard_in()).verdict == "not_measurable"
    assert make.verdict(make.claim("silence", 2.2, 3.8), make.voice(HZ)).verdict == "supported"


def baseline(**stats: Stat) -> Baseline:
    return Baseline(
        subject="speaker:A", extractor="praat", version="1/2", feature_digests=(), segments=3, speech_s=12.0,
        stats=stats,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cue", "name", "usual", "there", "not_there"),
    [
        ("trembling_voice", "jitter_local", Stat(median=0.02, sd=0.005, n=3), 0.03, 0.021),
        ("hoarse_voice", "hnr_db", Stat(median=12.0, sd=1.5, n=3), 9.0, 12.5),
    ],
)
def test_voice_quality_is_decided_against_the_speaker(
    cue: str, name: str, usual: Stat, there: float, not_there: float
) -> None:
    known = (baseline(**{name: usual}),)
    verdicts = [
        make.verdict(make.claim(cue, 0.0, 4.0), make.voice(HZ, **{name: value}), baselines=known).verdict
        for value in (there, not_there)
    ]
    assert verdicts == ["supported", "contradicted"]
    for features, baselines in ((make.voice(HZ), known), (make.voice(HZ, **{name: there}), ())):
        told = make.verdict(make.claim(cue, 0.0, 4.0), features, baselines=baselines)
        assert told.verdict == "not_measurable"
    assert (
        "jitter_local was not measured"
        in make.verdict(make.claim("trembling_voice", 0.0, 4.0), make.voice(HZ), baselines=known).reason
    )


def test_events_of_a_curve_that_is_not_there_are_not_refuted() -> None:
    features = make.voice(HZ)
    pitch_only = features.model_copy(update={"series": features.series[:1]})
    for cue, known in (("loud_burst", features), ("speed_up", None), ("pitch_rise", pitch_only)):
        verdicts = {
            name: make.verdict(make.claim(cue, 0.0, 2.0), one).verdict
            for name, one in (("both", features), ("pitch", pitch_only))
        }
        assert verdicts["both"] == ("contradicted" if known is not None else "not_measurable")
        assert verdicts["pitch"] == ("contradicted" if cue == "pitch_rise" else "not_measurable")
