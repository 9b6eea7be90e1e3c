"""The size of an event in the speaker's own deviations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.questions.serialise import sample_text
from pipeline.features.event_units import in_baseline_units
from schemas.parts import Event, Stat
from schemas.records import Baseline
from tests.agents.cue_samples import au, sample

STATS = {
    "pitch_st": Stat(median=84.0, sd=3.0, n=600),
    "intensity_db": Stat(median=-25.0, sd=5.0, n=600),
    "local_rate_syl_s": Stat(median=4.5, sd=0.8, n=300),
    "pause_s": Stat(median=0.4, sd=0.2, n=12),
}


def baseline(**stats: Stat) -> Baseline:
    return Baseline(
        subject="speaker:A", extractor="core", version="3/2", feature_digests=(), segments=3, speech_s=12.0,
        stats=stats,
    )  # fmt: skip


def heard(cue: str, size: float | None, unit: str = "") -> Event:
    return Event(cue=cue, modality="audio", start_s=1.0, end_s=1.5, apex_s=1.2, size=size, unit=unit)


@pytest.mark.parametrize(
    ("cue", "size", "z"),
    [
        ("pitch_rise", 6.0, 2.0),
        ("pitch_fall", 4.5, 1.5),
        ("loud_burst", 12.0, 2.4),
        ("speed_up", 2.0, 2.5),
        ("slow_down", 1.6, 2.0),
        ("pause", 1.0, 3.0),
        ("pause", 0.3, -0.5),
        ("pitch_rise", None, None),
        ("sigh", 2.0, None),
    ],
)
def test_each_cue_has_its_own_yardstick(cue: str, size: float | None, z: float | None) -> None:
    (event,) = in_baseline_units([heard(cue, size, "x")], baseline(**STATS))
    assert (event.z, event.size, event.unit) == (z, size, "x")


def test_without_a_baseline_a_stat_or_a_spread_there_is_no_z() -> None:
    events = [heard("pitch_rise", 6.0), heard("pause", 0.5)]
    still = baseline(pitch_st=Stat(median=84.0, sd=0.0, n=5), pause_s=Stat(median=0.4, sd=0.0, n=5))
    for known in (None, baseline(), still):
        assert [event.z for event in in_baseline_units(events, known)] == [None, None]


def test_an_action_unit_is_compared_with_how_the_face_usually_is() -> None:
    usual = baseline(AU12=Stat(median=0.2, sd=0.1, n=60))
    (smile,) = in_baseline_units([au("AU12")], usual)
    assert smile.size is not None
    assert smile == au("AU12").model_copy(update={"z": round((smile.size - 0.2) / 0.1, 3)})
    assert in_baseline_units([au("AU04")], usual) == (au("AU04"),)
    assert f"({smile.z:+.1f} sd from how this person usually looks)" in sample_text(sample(events=(smile,)))


@given(
    st.lists(st.tuples(st.sampled_from(["pause", "pitch_rise", "speed_up", "x"]), st.floats(0, 100))),
    st.floats(0, 10),
)
def test_nothing_but_z_is_changed(found: list[tuple[str, float]], sd: float) -> None:
    events = [heard(*one) for one in found]
    told = in_baseline_units(events, baseline(pitch_st=Stat(median=80.0, sd=sd, n=3)))
    assert [event.model_copy(update={"z": None}) for event in told] == events


def test_the_text_tells_the_deviations() -> None:
    events = in_baseline_units(
        [heard("pitch_rise", 6.0, "semitone"), heard("pause", 1.0, "s")], baseline(**STATS)
    )
    text = sample_text(sample(events=events))
    assert "pitch_rise 6 semitone (2.0 sd of this person's usual variation), strongest at 1.20 s" in text
    assert "pause 1 s (+3.0 sd from this person's usual pause)" in text
    assert "sd" not in sample_text(sample(events=(heard("pitch_rise", 6.0, "semitone"),)))
