"""The lag between face and voice: which events are a pair, and what the sample tells."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.questions.serialise import sample_text
from pipeline.features.lag import WINDOW_S, event_pairs, lag_measures, moment_s
from schemas.parts import Event
from tests.agents.cue_samples import sample


def face(apex_s: float, cue: str = "AU12", track: str = "face1") -> Event:
    return Event(
        cue=cue, modality="visual", start_s=max(0.0, apex_s - 0.3), end_s=apex_s + 0.3, apex_s=apex_s, size=0.6,
        unit="intensity", track=track,
    )  # fmt: skip


def voice(apex_s: float) -> Event:
    return Event(
        cue="loud_burst", modality="audio", start_s=max(0.0, apex_s - 0.1), end_s=apex_s + 0.1, apex_s=apex_s,
        size=12, unit="dB",
    )  # fmt: skip


def melody(cue: str, start_s: float, end_s: float) -> Event:
    return Event(cue=cue, modality="audio", start_s=start_s, end_s=end_s, size=4, unit="semitone")


def test_the_voice_after_the_face_is_a_positive_lag() -> None:
    (pair,) = event_pairs([voice(1.4), face(1.0)])
    assert (pair.face, pair.voice, pair.lag_s) == (face(1.0), voice(1.4), 0.4)
    assert [pair.lag_s for pair in event_pairs([face(2.0), voice(1.75)])] == [-0.25]


def test_of_a_melody_the_highest_point_counts() -> None:
    assert moment_s(melody("pitch_rise", 1.0, 1.5)) == 1.5
    assert moment_s(melody("pitch_fall", 1.0, 1.5)) == 1.0


@pytest.mark.parametrize(
    "events",
    [
        [],
        [face(1.0)],
        [voice(1.0)],
        [face(1.0), voice(1.0 + WINDOW_S + 0.01)],
        [face(1.0, "AU25"), voice(1.0)],
        [face(1.0, "AU43"), voice(1.0)],
        [face(1.0, "AU45"), voice(1.0)],
        [face(1.0), melody("pause", 1.0, 1.5), melody("speed_up", 0.5, 1.5)],
    ],
)
def test_what_is_no_pair(events: list[Event]) -> None:
    assert event_pairs(events) == ()
    assert lag_measures(events) == ()


def test_each_event_has_one_partner_at_most() -> None:
    pairs = event_pairs([face(1.0), face(1.3, "AU04"), voice(1.2), voice(3.0), face(2.6)])
    assert [(pair.face.cue, pair.lag_s) for pair in pairs] == [("AU04", -0.1), ("AU12", 0.4)]
    (measure,) = lag_measures([face(1.0), face(1.3, "AU04"), voice(1.2), voice(3.0), face(2.6)])
    assert (measure.name, measure.value, measure.unit, measure.z) == ("face_voice_lag_s", 0.15, "s", None)


@given(
    st.lists(st.floats(0, 10).map(lambda t: round(t, 2)), max_size=6),
    st.lists(st.floats(0, 10).map(lambda t: round(t, 2)), max_size=6),
    st.integers(),
)
def test_order_changes_nothing_and_pairs_are_near(faces: list[float], voices: list[float], seed: int) -> None:
    events = [*map(face, faces), *map(voice, voices)]
    shuffled = list(events)
    random.Random(seed).shuffle(shuffled)
    pairs = event_pairs(events)
    assert pairs == event_pairs(shuffled)
    assert all(abs(pair.lag_s) <= WINDOW_S for pair in pairs)


def test_the_text_tells_the_lag() -> None:
    assert "face_voice_lag_s: 0.4 s" in sample_text(sample(prosody=lag_measures([face(1.0), voice(1.4)])))


def test_a_blink_parts_no_pair() -> None:
    (pair,) = event_pairs([face(1.0), face(1.2, "AU45"), voice(1.2)])
    assert (pair.face, pair.lag_s) == (face(1.0), 0.2)
